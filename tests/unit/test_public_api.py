"""The public face: exported names exist, type checkers and Python see the same ones, and no signature changes unseen.

After a change that is meant:  python tests/unit/test_public_api.py
"""

from __future__ import annotations

import ast
import enum
import importlib
import inspect
import re
import sys
import typing
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
if __name__ == "__main__":  # as a script, from a clone that is not installed
    sys.path.insert(0, str(ROOT / "src"))

import mlsssl  # noqa: E402 -- after the path

SNAPSHOT = Path(__file__).with_name("public_api.txt")
MODULES = ("mlsssl", "mlsssl.aio", "mlsssl.errors", "mlsssl.netsh", "mlsssl.strategies", "mlsssl.testing")


# -- the snapshot -----------------------------------------------------------------------------------------------------


def describe_all() -> str:
    """Every public name with its signature, as text that is the same on every Python."""
    return "\n".join(line for module in MODULES for line in _describe_module(module)) + "\n"


def _describe_module(name: str) -> list[str]:
    module = importlib.import_module(name)
    lines = [f"# {name}", ""]
    for public in sorted(set(module.__all__) - {"__version__"}):
        lines += [*_describe(public, getattr(module, public)), ""]
    return lines


def _describe(name: str, value: object) -> list[str]:
    if typing.get_args(value):
        return [f"{name} = {', '.join(getattr(one, '__name__', repr(one)) for one in typing.get_args(value))}"]
    if isinstance(value, type) and issubclass(value, enum.Enum):
        return [f"enum {name}({_bases(value)}): {', '.join(f'{m.name}={m.value!r}' for m in value)}"]
    if isinstance(value, type) and getattr(value, "_is_protocol", False):
        return [f"protocol {name}"]
    if isinstance(value, type):
        return [f"class {name}({_bases(value)}){_signature(value)}", *_members(value)]
    if inspect.iscoroutinefunction(value):
        return [f"async {name}{_signature(value)}"]
    if callable(value):
        return [f"{name}{_signature(value)}", *([] if inspect.isroutine(value) else _members(type(value)))]
    return [f"{name}: {type(value).__name__}"]


def _bases(kind: type) -> str:
    """The public ones: what classes share through a private one is among their members."""
    return ", ".join(base.__name__ for base in kind.__bases__ if not base.__name__.startswith("_")) or "object"


def _members(kind: type) -> list[str]:
    found: dict[str, object] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.startswith("mlsssl"):
            found.update(vars(base))
    lines = []
    for name, member in sorted(found.items()):
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            lines.append(f"    .{name}: {inspect.signature(typing.cast('typing.Any', member.fget)).return_annotation}")
        elif isinstance(member, (classmethod, staticmethod)):
            word = type(member).__name__
            lines.append(f"    {word} {name}{_signature(member.__func__)}")
        elif inspect.isfunction(member):
            lines.append(f"    {name}{_signature(member)}")
    return lines


def _signature(value: object) -> str:
    if isinstance(value, type) and issubclass(value, Exception) and "__init__" not in vars(value):
        return "(...)"  # a builtin's, of which each version of Python tells something else
    try:
        signature = inspect.signature(typing.cast("typing.Callable[..., object]", value))
    except (ValueError, TypeError):
        return "(...)"
    if "hypothesis" in str(signature.return_annotation):
        signature = signature.replace(return_annotation=inspect.Signature.empty)  # says it in words of its version
    # What a default prints as differs between versions of Python, and runs; that there is one does not.
    text = str(signature).replace("datetime.", "dt.")
    return re.sub(r"<[^<>]*>", "<…>", re.sub(r"<function .*? at 0x[0-9a-fA-F]+>", "<…>", text))


def test_no_signature_changed_unseen() -> None:
    """Whoever changes the public face changes this file with it: python tests/unit/test_public_api.py."""
    assert describe_all() == SNAPSHOT.read_text(encoding="utf-8"), "meant? then: python tests/unit/test_public_api.py"


def test_the_snapshot_sees_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """A renamed argument, a removed method and a new name each make another text."""
    before = describe_all()

    def renamed(self: object, *, certificate_name: str | None = None) -> bytes:
        raise NotImplementedError

    with monkeypatch.context() as patch:
        patch.setattr(mlsssl.Certificate, "to_pem", renamed)
        assert describe_all() != before
    with monkeypatch.context() as patch:
        patch.delattr(mlsssl.Certificate, "to_pem")
        assert describe_all() != before
    with monkeypatch.context() as patch:
        patch.setattr(mlsssl, "__all__", [*dir(mlsssl), "annotations"])
        assert describe_all() != before
    assert describe_all() == before


# -- the exports ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODULES)
def test_all_names_exist_and_are_sorted(name: str) -> None:
    """Each name of `__all__` is there, once, and documented where it can be."""
    module = importlib.import_module(name)
    assert len(module.__all__) == len(set(module.__all__))
    for public in module.__all__:
        value = getattr(module, public)
        if (inspect.isclass(value) or inspect.isroutine(value)) and not typing.get_args(value):
            assert inspect.getdoc(value), public


def test_type_checkers_see_the_same_names() -> None:
    """What the stub imports is `__all__`, and each from the module that Python takes it from."""
    tree = ast.parse(Path(mlsssl.__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    seen = {alias.asname: node.module for node in imports for alias in node.names if alias.asname == alias.name}
    assert sorted(seen, key=str) == dir(mlsssl)
    homes = vars(mlsssl)["_HOME_OF"] | {"__version__": "_version"}
    assert seen == {name: f"mlsssl.{home}" for name, home in homes.items()}


def test_dir_is_the_public_names() -> None:
    """What a prompt completes; and a name that is none says so."""
    assert dir(mlsssl) == vars(mlsssl)["__all__"] == sorted(set(dir(mlsssl)))
    with pytest.raises(AttributeError, match="no_such_name"):
        getattr(mlsssl, "no_such_name")  # noqa: B009  # as an attribute it is an error to type checkers


def test_no_any_in_a_public_signature() -> None:
    """`Any` switches type checking off for whoever calls."""
    assert not re.findall(r"^.*\bAny\b.*$", describe_all(), re.MULTILINE)


def test_every_error_is_under_the_root() -> None:
    """Catching `MlssslError` catches everything that is raised on purpose."""
    for name in mlsssl.errors.__all__:
        assert issubclass(getattr(mlsssl.errors, name), mlsssl.MlssslError)
        assert name in dir(mlsssl)


def test_importing_the_package_loads_nothing_heavy() -> None:
    """Seen in a process of its own, for this one has loaded everything."""
    import subprocess

    heavy = {"cryptography", "cffi", "sqlite3", "ssl", "hypothesis", "pytest"}
    code = f"import mlsssl, sys; heavy = {heavy!r} & set(sys.modules); assert not heavy, heavy"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_modules_are_public() -> None:
    """The modules of the snapshot are those that the documentation names."""
    assert all(isinstance(importlib.import_module(name), ModuleType) for name in MODULES)


if __name__ == "__main__":
    SNAPSHOT.write_text(describe_all(), encoding="utf-8", newline="\n")
    print(f"wrote {SNAPSHOT}")
