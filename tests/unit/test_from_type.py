"""`from_type` of every public class: in a process of its own, in any order of imports, never this user's machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import mlsssl
from mlsssl._strategies import nouns, registration
from repetitions import LESS_OFTEN

SOURCE = Path(__file__).parents[2] / "src"
_CLASSES = [name for name in dir(mlsssl) if isinstance(getattr(mlsssl, name), type)]
_UNIONS = ["BindingKey", "CertificateReference", "KeyType", "Location", "OnConflict", "RenewalSource", "UserRule"]

_DRAWS = """
import json, os, sys
home = os.environ["HOME"]
touched = []

def watch(event, arguments):
    # A file below the user's folder, by whichever way: SQLite has an event of its own.
    if event in ("open", "os.mkdir", "sqlite3.connect") and str(arguments[0]).startswith(home):
        touched.append((event, str(arguments[0])))

sys.addaudithook(watch)
{first}
from importlib import import_module
from hypothesis import Phase, find, given, seed, settings, strategies as st
from mlsssl._strategies.registration import register
register()  # as Hypothesis' entry point does where the package is installed
{then}
import mlsssl
once = settings(max_examples=1, database=None, deadline=None, phases=[Phase.generate])
faults = []
for name in {names}:
    kind = {get}
    drawn = []

    def keep(one):
        drawn.append(one)

    try:
        seed(1)(once(given(st.from_type(kind))(keep)))()
        if isinstance(kind, type) and not isinstance(drawn[0], kind):
            faults.append(f"{{name}}: {{drawn[0]!r}}")
        repr(drawn[0])
    except BaseException as error:
        faults.append(f"{{name}}: {{type(error).__name__}}: {{error}}")
json.dump({{"faults": faults, "touched": touched, "files": os.listdir(home)}}, sys.stdout)
"""

_BY_PACKAGE = "getattr(mlsssl, name)"
_BY_MODULE = "getattr(import_module(f'mlsssl.{mlsssl._HOME_OF[name]}'), name)"
_WAYS = {
    "ours first": ("import mlsssl; mlsssl.Certificate", "", _BY_PACKAGE),
    "Hypothesis first": ("import hypothesis", "", _BY_PACKAGE),
    "a submodule first": ("import mlsssl.store", "import mlsssl.auditing", _BY_MODULE),
    "Hypothesis, then submodules": ("import hypothesis", "import mlsssl.store", _BY_MODULE),
}


def _draw(tmp_path: Path, first: str, then: str, get: str, names: list[str], *prelude: str) -> dict[str, list[str]]:
    code = _DRAWS.format(first=first, then=then, get=get, names=names)
    environment = {name: value for name, value in os.environ.items() if name != "MLSSSL_MACHINE"}
    places = dict.fromkeys(("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA", "XDG_DATA_HOME"), str(tmp_path))
    environment |= {**places, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join([*prelude, code])],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, list[str]] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize("way", list(_WAYS)[:: 1 if LESS_OFTEN == 1 else 3])
def test_every_noun_is_drawn_and_the_users_machine_is_left_alone(tmp_path: Path, way: str) -> None:
    """Of every public class and union one is drawn, shown by its repr, and no file appears in the user's folder."""
    assert len(_CLASSES) > 80
    told = _draw(tmp_path, *_WAYS[way], [*_CLASSES, *_UNIONS])
    assert told == {"faults": [], "touched": [], "files": []}


def test_the_trace_sees_the_users_machine(tmp_path: Path) -> None:
    """The failing twin: without the strategy, an `EmbeddedMachine` is the user's own, and the trace above tells."""
    without = "import mlsssl._strategies.registration as r; r._waiting.pop('EmbeddedMachine')"
    told = _draw(
        tmp_path, "", "import warnings; warnings.simplefilter('ignore')", _BY_PACKAGE, ["EmbeddedMachine"], without
    )
    assert told["files"]
    assert any("sqlite" in " ".join(one) for one in told["touched"])


def test_what_is_registered_is_what_there_are_strategies_for() -> None:
    """One list is light, for every process that imports Hypothesis; the other has the strategies."""
    homes = {name: module for module, names in registration.NOUNS.items() for name in names}
    assert sorted(homes) == sorted(nouns.NOUNS)
    assert set(homes) <= set(_CLASSES)
    assert homes == {name: f"mlsssl.{vars(mlsssl)['_HOME_OF'][name]}" for name in homes}


def test_registering_loads_nothing_heavy() -> None:
    """A project that has mlsssl installed and does not use it pays for the names alone."""
    code = (
        "import sys, hypothesis\n"
        "from mlsssl._strategies import registration\n"
        "registration.register()\n"
        "ours = [name for name in sys.modules if name.startswith('mlsssl')]\n"
        "loaded = ['mlsssl', 'mlsssl._strategies', 'mlsssl._strategies.registration', 'mlsssl._version']\n"
        "assert sorted(ours) == loaded, ours\n"
        "assert 'cryptography' not in sys.modules\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, env=environment)


def test_common_types_are_drawn_as_before() -> None:
    """Registered classes stand in for nothing that they happen to be: a sequence, a mapping, an exception."""
    code = (
        "import collections.abc as c, os, sys, typing, mlsssl\n"
        "from hypothesis import strategies as st\n"
        "from mlsssl._strategies import registration\n"
        "registration.register()\n"
        "for name in mlsssl.__all__: getattr(mlsssl, name)\n"
        "os.environ.clear()  # a mapping that may be drawn, with this folder's name in it\n"
        "for kind in (Exception, LookupError, c.Sequence, c.Mapping, c.Sized, c.Iterable, c.Hashable, list, bytes,\n"
        "             typing.SupportsIndex):\n"
        "    assert 'mlsssl' not in repr(st.from_type(kind)), (kind, st.from_type(kind))\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, env=environment)
