"""The documentation keeps up with the code: every public name, error and exit code is in it."""

from __future__ import annotations

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
_MODULES = ("bundles", "ccs", "hooks", "netsh", "strategies", "testing")
_ALIASES = {"Server"}  # shown in the signatures that take it
_DIRECTIVE = re.compile(r"^\.\. (?:auto\w+|py:data|mlsssl-call):: mlsssl\.(?P<name>[\w.]+)$", re.MULTILINE)


def test_every_public_name_is_in_the_reference() -> None:
    """Each name of `__all__` is documented once, errors on their page, the rest in the reference; nothing else is."""
    documented = [name for page in ("reference.md", "errors.md") for name in _DIRECTIVE.findall(_text(page))]
    assert len(documented) == len(set(documented))
    public = {name for name in dir(mlsssl) if name != "__version__"}
    assert not public - set(documented), "give them a place in docs/reference.md, or docs/errors.md"
    assert not {name.partition(".")[0] for name in documented} - public - set(_MODULES)


@pytest.mark.parametrize("module", _MODULES)
def test_every_name_of_the_public_modules_is_in_the_reference(module: str) -> None:
    """The modules that are not in the face are documented name by name, or whole."""
    text = _text("reference.md")
    whole = re.search(rf"^\.\. automodule:: mlsssl\.{module}\n   :members:", text, re.MULTILINE)
    named = {name.removeprefix(f"{module}.") for name in _DIRECTIVE.findall(text)}
    names = set(import_module(f"mlsssl.{module}").__all__)
    assert whole or not names - named - _ALIASES


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
    """Their relative links are files of the repository; Sphinx looks after the others' links."""
    links = re.findall(r"\]\(([^)#]+)", (ROOT / page).read_text("utf-8"))
    assert not [link for link in links if "://" not in link and not (ROOT / link).exists()]


def _text(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")
