"""The shape of the source tree: what the root holds, no circles between files, few layers, a table of all rooms."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import mlsssl

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCE = Path(mlsssl.__file__).parent
PROJECT = Path(__file__).parents[2]


def root_faults(files: list[str], most: int = 28) -> list[str]:
    """What is wrong with these file names of the package's root."""
    wrong = [name for name in files if name.startswith("_") and name not in _PRIVATE_FILES]
    return wrong + ([f"{len(files)} files"] if len(files) > most else [])


_PRIVATE_FILES = {"__init__.py", "__main__.py", "_version.py"}


def sources(folder: Path = SOURCE) -> dict[str, str]:
    """The text of each module of the package, by its full name."""
    found = {}
    for path in folder.rglob("*.py"):
        parts = path.relative_to(folder.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text(encoding="utf-8")
    return found


def imports(texts: Mapping[str, str]) -> dict[str, set[str]]:
    """Which of these modules each of them imports: anywhere in it, in functions and for type checkers too.

    A module that stands in a text, as `import_module` takes it or with `:` and a name, counts as imported. With a
    module its packages are imported, but for the outermost, which is there before all others: that one counts where
    something is taken from it.
    """
    return {name: _imported(text, set(texts)) - {name} for name, text in texts.items()}


def _imported(text: str, known: set[str]) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, "an import says the whole name"
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= inside if inside <= known else inside | {str(node.module)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and "." in node.value:
            found.add(node.value.partition(":")[0])
    return {name for one in found & known for name in (one, *_packages(one))}


def _packages(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:count]) for count in range(2, len(parts))]


def circles(graph: Mapping[str, set[str]]) -> list[set[str]]:
    """The largest sets of modules each of which imports, over others or not, each other one."""
    reached: dict[str, set[str]] = {}
    for start in graph:
        seen: set[str] = set()
        ahead = [start]
        while ahead:
            new = graph[ahead.pop()] - seen
            seen |= new
            ahead += new
        reached[start] = seen
    found: list[set[str]] = []
    for name, seen in reached.items():
        if name in seen and not any(name in circle for circle in found):
            found.append({other for other in seen if name in reached[other]})
    return found


def layers(configuration: Mapping[str, object]) -> int:
    """How many layers the contracts of import-linter have."""
    contracts = configuration["contracts"]
    assert isinstance(contracts, list)
    return sum(len(contract.get("layers", ())) for contract in contracts)


def rooms(text: str) -> set[str]:
    """The files and folders in the first column of the table in CONTRIBUTING.md."""
    rows = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([^`]+)`", row)}


# -- what is asked of the tree ----------------------------------------------------------------------------------------


def test_the_root_holds_the_public_modules_only() -> None:
    """At most 28 files, none of them private but the version and what Python itself asks for."""
    assert root_faults([path.name for path in SOURCE.glob("*.py")]) == []


def test_a_private_or_a_further_module_in_the_root_is_noticed() -> None:
    """The check can fail: on a private file, and on one file too many."""
    assert root_faults(["__init__.py", "_plan.py"]) == ["_plan.py"]
    assert root_faults([f"a{number}.py" for number in range(29)]) == ["29 files"]


def test_there_are_no_circles_between_files() -> None:
    """Imports go down only, those in functions and for type checkers included."""
    found = circles(imports(sources()))
    assert found == []


@pytest.mark.parametrize(
    "way_back",
    [
        "import house.cellar.lamp",
        "from house.cellar import lamp",
        "from house.cellar.lamp import Light",
        "def ask():\n    from house.cellar.lamp import Light",
        "if TYPE_CHECKING:\n    from house.cellar.lamp import Light",
        "import_module('house.cellar.lamp')",
        "command('house.cellar.lamp:light')",
    ],
)
def test_a_circle_is_noticed(way_back: str) -> None:
    """The check can fail: on each way to import, over a third module or directly; and only then."""
    texts = {
        "house": "if TYPE_CHECKING:\n    from house.attic import Roof",
        "house.attic": "from house.stairs import climb",
        "house.cellar": "",
        "house.cellar.lamp": "import house.stairs",
        "house.stairs": "",
        "house.garden": "from house.attic import Roof",
    }
    assert circles(imports(texts)) == []
    assert circles(imports(texts | {"house.stairs": way_back})) == [{"house.cellar.lamp", "house.stairs"}]
    longer = circles(imports(texts | {"house.stairs": "from house.garden import tree"}))
    assert longer == [{"house.attic", "house.stairs", "house.garden"}]
    two = texts | {"house.stairs": way_back, "house.attic": "import house.garden"}
    assert len(circles(imports(two))) == 2


def test_no_module_takes_a_name_from_the_root() -> None:
    """The root names what all others have, so who imports a name from there imports them all: few may.

    Commands and Salt's modules are users of the library, and of the root's names each loads what it needs alone.
    """
    takers = [name for name, found in imports(sources()).items() if "mlsssl" in found]
    assert [name for name in takers if not name.startswith(("mlsssl._commands.", "mlsssl.saltext."))] == []
    assert imports({"house": "", "house.attic": "from house import Roof"})["house.attic"] == {"house"}
    assert imports({"house": "", "house.attic": "from house import cellar", "house.cellar": ""})["house.attic"] == {
        "house.cellar"
    }


def test_the_contract_has_few_layers_and_counts_every_import() -> None:
    """import-linter is asked for the same as this file: few layers, imports for type checkers included."""
    tomllib = pytest.importorskip("tomllib")
    asked = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    assert 1 <= layers(asked) <= 12
    assert asked["exclude_type_checking_imports"] is False
    assert layers({"contracts": [{"layers": ["a"] * 9}, {"modules": ["b"]}, {"layers": ["c"] * 4}]}) == 13


def test_the_table_of_rooms_is_the_tree() -> None:
    """Each folder and each module of the root has its place in CONTRIBUTING.md, and nothing else has one."""
    folders = {
        f"{path.parent.relative_to(SOURCE).as_posix()}/"
        for path in SOURCE.rglob("__init__.py")
        if path.parent != SOURCE
    }
    modules = {path.name for path in SOURCE.glob("*.py")} - _PRIVATE_FILES
    assert rooms((PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8")) == folders | modules


def test_the_table_of_rooms_is_read() -> None:
    """The check can fail: what the first column names is found, and nothing from the others."""
    table = "| room | what goes in |\n|---|---|\n| `cli.py`, `_commands/` | thin over `mlsssl` |\n| `_fakes/` | `x` |\n"
    assert rooms(table) == {"cli.py", "_commands/", "_fakes/"}


def test_no_two_test_files_have_the_same_name() -> None:
    """Test folders are no packages: pytest collects one of two such files and ends with an error at the other."""
    names = [path.name for path in (PROJECT / "tests").rglob("test_*.py")]
    assert sorted(set(names)) == sorted(names)
