"""The documentation keeps up with the code: every public name, error and exit code is in it."""

from __future__ import annotations

import enum
import inspect
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import mlsssl
from mlsssl import cli, errors

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
# What people import by name and the face does not have.
_MODULES = ("aio", "bundles", "ccs", "hooks", "netsh", "strategies", "testing")
_NOT_FOR_CALLERS = ("self", "args", "kwargs", "iterable")
# Results and fakes, which `tls_server`, `fake_windows_machine` and `FakeDlls` put together.
_MADE_BY_FUNCTIONS = {
    *("testing.FakeAdvapi32Crypto", "testing.FakeCrypt32", "testing.FakeNCrypt", "testing.FakeWindows"),
    "testing.TlsServer",
}
_ALIASES = {"Server"}  # shown in the signatures that take it
_DIRECTIVE = re.compile(
    r"^\.\. (?:auto\w+|py:data|mlsssl-call|mlsssl-awaitable):: mlsssl\.(?P<name>[\w.]+)(?: mlsssl\.[\w.]+)?$",
    re.MULTILINE,
)


def test_every_public_name_is_in_the_reference() -> None:
    """Each name of `__all__` is documented once, errors on their page, the rest in the reference; nothing else is."""
    documented = _DIRECTIVE.findall(_reference() + _text("errors.md"))
    assert len(documented) == len(set(documented))
    public = {name for name in dir(mlsssl) if name != "__version__"}
    assert not public - set(documented), "give them a place on a page of docs/reference, or in docs/errors.md"
    assert not {name.partition(".")[0] for name in documented} - public - set(_MODULES)


@pytest.mark.parametrize("module", _MODULES)
def test_every_name_of_the_public_modules_is_in_the_reference(module: str) -> None:
    """The modules that are not in the face are documented name by name, or whole."""
    text = _reference()
    whole = re.search(rf"^\.\. automodule:: mlsssl\.{module}\n   :members:", text, re.MULTILINE)
    named = {name.removeprefix(f"{module}.") for name in _DIRECTIVE.findall(text)}
    names = set(import_module(f"mlsssl.{module}").__all__)
    assert whole or not names - named - _ALIASES


def test_every_argument_is_told() -> None:
    """The docstring of each public call names its arguments, or says of which other call they are: "as `get`"."""
    untold = [
        f"{name}({parameter})"
        for name, call in _calls().items()
        for parameter in _parameters(call)
        if not _tells(name, parameter, set())
    ]
    assert not untold


def _calls() -> dict[str, object]:
    """Each public class, method and function by its name below `mlsssl`."""
    found: dict[str, object] = {}
    for home in (mlsssl, *(import_module(f"mlsssl.{name}") for name in _MODULES)):
        prefix = home.__name__.removeprefix("mlsssl").lstrip(".")
        for name in home.__all__:
            thing = getattr(home, name)
            if not getattr(thing, "__module__", "").startswith("mlsssl"):
                continue  # a type that is an alias
            whole = f"{prefix}.{name}" if prefix else name
            if inspect.isclass(thing):
                if not issubclass(thing, (Exception, enum.Enum)) and not getattr(thing, "_is_protocol", False):
                    found[whole] = thing
                if whole in _MADE_BY_FUNCTIONS:
                    del found[whole]
                methods = {one: inspect.getattr_static(thing, one) for one in dir(thing) if not one.startswith("_")}
                found |= {f"{whole}.{one}": getattr(thing, one) for one, kind in methods.items() if _is_ours(kind)}
            elif inspect.isroutine(thing):
                found[whole] = thing
            elif callable(thing):
                found[whole] = type(thing).__call__
                found[f"{whole}.plan"] = thing.plan
    del found["aio.plan"]  # its words are those of `deploy.plan`, which a method of its own would repeat
    return found


def _is_ours(kind: object) -> bool:
    function = kind.__func__ if isinstance(kind, (classmethod, staticmethod)) else kind
    if not inspect.isfunction(function) or not function.__module__.startswith("mlsssl"):
        return False
    return not function.__name__[0].isupper()  # an entry point of Windows, which Windows documents


def _parameters(call: object) -> list[str]:
    assert callable(call)
    try:
        signature = inspect.signature(call)
    except ValueError:  # a list's, say
        return []
    return [name for name in signature.parameters if name not in _NOT_FOR_CALLERS and name[0] != "_"]


def _tells(name: str, parameter: str, seen: set[str]) -> bool:
    """Whether its docstring names the parameter, or that of a call which it refers to for them."""
    calls = _calls()
    told = inspect.getdoc(calls[name]) or ""
    if re.search(rf"(?<!\w){re.escape(parameter)}(?!\w)", told):
        return True
    around = name.rpartition(".")[0]
    for other in re.findall(r"(?:[Aa]s(?: by| for)?|those of|of) `(?:mlsssl\.)?([\w.]+)", told):
        for candidate in (f"{around}.{other}", other):
            if candidate in calls and candidate not in seen | {name}:
                return _tells(candidate, parameter, seen | {name})
    return False


def test_the_error_tree_draws_every_error_below_its_base() -> None:
    """The tree in the module's docstring, which the page shows, has each error at the depth of its first base."""
    assert errors.__doc__ is not None
    drawn = re.findall(r"^(?P<stem>[│├└─ ]*)(?P<name>[A-Z]\w*Error)", errors.__doc__, re.MULTILINE)
    depths = {name: len(stem) // 4 for stem, name in drawn}
    assert set(depths) == set(errors.__all__)
    for name, depth in depths.items():
        base = getattr(errors, name).__bases__[0].__name__
        assert depth == (depths[base] + 1 if base in depths else 0), name


@pytest.mark.parametrize(("kind", "code"), cli.EXIT_CODES, ids=str)
def test_the_exit_code_of_each_error_is_in_the_table(kind: type[errors.MlssslError], code: int) -> None:
    """The command line's page names each error that has an exit code of its own in the row of that code."""
    row = re.search(rf"^\| {code} \|.*$", _text("cli.md"), re.MULTILINE)
    assert row is not None
    assert kind.__name__ in row[0]


def test_the_example_of_the_readme_runs(tmp_path: Path) -> None:
    """The readme's Python is run as it stands there, on an embedded machine; and it does bind and renew."""
    (example,) = re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    machine = tmp_path / "machine.sqlite"
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "MLSSSL_MACHINE": str(machine)}
    done = subprocess.run(
        [sys.executable, "-c", example], env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=120
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    with mlsssl.EmbeddedMachine(machine) as after, after.store() as store:
        bound = after.bindings["0.0.0.0:443"].thumbprint
        assert bound is not None
        assert [entry.renewed_by for entry in store if entry.thumbprint != bound] == [bound]


@pytest.mark.parametrize("page", [ROOT / "README.md", *sorted(DOCS.glob("*.md"))], ids=lambda page: page.name)
def test_braces_of_command_lines_are_quoted(page: Path) -> None:
    """So that a line works in cmd.exe and in PowerShell, which takes braces for a script block; double, for both."""
    fenced = re.findall(r"^ *```[^\n]*\n(.*?)^ *```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line for block in fenced for line in block.splitlines() if re.search(r"\bnetsh\b|\bappid=|--app-id", line)]
    assert not [line for line in lines if re.search(r"\{[0-9a-fA-F]{8}-", re.sub(r'"[^"]*"', "", line))]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_of_the_front_pages_lead_somewhere(page: str) -> None:
    """Their links to this repository are files of it, with an address or without; Sphinx looks after the others'."""
    links = re.findall(r"\]\(([^)#]+)", (ROOT / page).read_text("utf-8"))
    ours = [link.removeprefix(f"{_urls()['Repository']}/blob/main/") for link in links]
    assert not [link for link in ours if "://" in link or not (ROOT / link).exists()]


def test_links_of_the_readme_work_away_from_the_repository() -> None:
    """A package index shows the readme alone: a relative link would lead nowhere there."""
    links = re.findall(r"\]\(([^)]+)\)", (ROOT / "README.md").read_text("utf-8"))
    assert links
    assert not [link for link in links if not link.startswith(f"{_urls()['Repository']}/")]


def test_every_address_of_the_project_stands_below_one() -> None:
    """What the index links to: the repository, and pages that are files of it."""
    urls = _urls()
    assert {"Repository", "Documentation", "Changelog", "Issues"} == set(urls)
    for name in ("Documentation", "Changelog"):
        base, _, path = urls[name].partition("/blob/main/")
        assert base == urls["Repository"]
        assert (ROOT / path).is_file()


def _urls() -> dict[str, str]:
    section = (ROOT / "pyproject.toml").read_text("utf-8").partition("[project.urls]")[2].partition("\n[")[0]
    return dict(re.findall(r'^(\w+) = "(.+)"$', section, re.MULTILINE))


def _reference() -> str:
    return "".join(page.read_text("utf-8") for page in sorted((DOCS / "reference").glob("*.md")))


def _text(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")
