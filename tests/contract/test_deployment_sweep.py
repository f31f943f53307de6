"""Every call of a deployment fails once with each code, and once the process is killed there: still whole.

The embedded machine. Its calls are SQLite statements and the writes of the record; the kill is a real SIGKILL of a
real process, at every one of them.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import shutil
import signal
import sqlite3
import sys
from typing import TYPE_CHECKING

import pytest

from contract.deployment_scenarios import (
    KEY,
    SCENARIOS,
    Picture,
    Scenario,
    certificates,
    check_second_run,
    check_whole,
    fast_place,
    picture,
)
from mlsssl import MlssslError, ServiceState, deploy
from mlsssl._embedded.port import EmbeddedPort
from mlsssl._machine import files, private_files
from mlsssl.machine import Machine
from sweeps import points

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# https://sqlite.org/rescode.html: those that a healthy program meets on a sick computer.
SQLITE_CODES = {
    "SQLITE_PERM": (3, "access permission denied"),
    "SQLITE_BUSY": (5, "database is locked"),
    "SQLITE_READONLY": (8, "attempt to write a readonly database"),
    "SQLITE_IOERR": (10, "disk I/O error"),
    "SQLITE_CORRUPT": (11, "database disk image is malformed"),
    "SQLITE_FULL": (13, "database or disk is full"),
    "SQLITE_CANTOPEN": (14, "unable to open database file"),
}
LASTING = ("SQLITE_FULL", "SQLITE_READONLY")
FILE_ERRORS = {"SQLITE_FULL": errno.ENOSPC, "SQLITE_READONLY": errno.EACCES}


class Sabotage:
    """Counts the calls, and does something at the n-th (from then on, if lasting)."""

    def __init__(self, at: int | None, strike: Callable[[str], None], *, lasting: bool = False) -> None:
        self.calls: list[str] = []
        self._at = at
        self._strike = strike
        self._lasting = lasting

    def __call__(self, what: str) -> None:
        number = len(self.calls)
        self.calls.append(what)
        if self._at is not None and (number == self._at or (self._lasting and number > self._at)):
            self._strike(what)


@contextlib.contextmanager
def watched_files(hit: Callable[[str], None]) -> Iterator[None]:
    """Count the record's writes and renames too: before each, and after each."""
    write, append, replace, unlink = files.write, private_files.append_private, os.replace, os.unlink

    def counted_write(path: Path, data: bytes, *, private: bool, entry_lasts: bool = True) -> None:
        hit("file write")
        write(path, data, private=private, entry_lasts=entry_lasts)
        hit("file written")

    def counted_append(path: Path, data: bytes) -> None:
        hit("file append")
        append(path, data)
        hit("file written")

    def counted_replace(source: str, target: str) -> None:
        hit("file rename")
        replace(source, target)

    def counted_unlink(path: str | Path) -> None:
        hit("file unlink")
        unlink(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "write", counted_write)
        patch.setattr(private_files, "append_private", counted_append)
        patch.setattr(os, "replace", counted_replace)
        patch.setattr(os, "unlink", counted_unlink)
        yield


def failing(name: str) -> Callable[[str], None]:
    """A strike that fails as SQLite, or the file system, would."""
    code, text = SQLITE_CODES[name]

    def strike(what: str) -> None:
        if what.startswith("file "):
            if name in FILE_ERRORS and what != "file written":
                raise OSError(FILE_ERRORS[name], os.strerror(FILE_ERRORS[name]))
            return
        error = sqlite3.OperationalError(text)
        error.sqlite_errorcode = code  # what Python 3.11 and newer set
        raise error

    return strike


class Bench:
    """A prepared machine, copied for each point."""

    def __init__(self, folder: Path, scenario: Scenario) -> None:
        self._folder = folder
        self._scenario = scenario
        self._copies = 0
        base = self._new(folder / "base")
        scenario.prepare(Machine(base))
        self.before = picture(base)
        base.close()
        self.after, self.calls = self._undisturbed()

    def _new(self, folder: Path, hit: Callable[[str], None] | None = None) -> EmbeddedPort:
        folder.mkdir(exist_ok=True)
        return EmbeddedPort(
            folder / "m.sqlite", atomic_update=self._scenario.atomic, on_statement=hit, busy_timeout=0.2
        )

    def copy(self) -> Path:
        """A fresh copy of the prepared machine."""
        self._copies += 1
        target = self._folder / f"copy{self._copies}"
        shutil.copytree(self._folder / "base", target)
        return target

    def open(self, folder: Path, hit: Callable[[str], None] | None = None) -> EmbeddedPort:
        """Open a copy."""
        return self._new(folder, hit)

    def _undisturbed(self) -> tuple[Picture, list[str]]:
        folder = self.copy()
        counter = Sabotage(None, lambda _: None)
        port = self.open(folder, counter)
        with watched_files(counter):
            self._scenario.act(Machine(port))
        calls = list(counter.calls)
        after = picture(port)
        port.close()
        shutil.rmtree(folder)
        return after, calls

    def check(self, folder: Path) -> str:
        """Look at a copy after the disturbance, recover it, run again; which state it was in."""
        port = self.open(folder)
        try:
            count = functools.partial(_count_keys, port.path)
            state = check_whole(port, self._scenario, self.before, self.after, count_keys=count)
            if self._scenario is RESTART:
                for name in ("Base", "Maps"):
                    assert port.services.query(name).state is ServiceState.RUNNING
            check_second_run(port, self._scenario, self.after)
        finally:
            port.close()
        shutil.rmtree(folder)
        return state


def _count_keys(path: Path) -> int:
    """Of two certificates in two stores with one key each counts, and each key that no certificate names."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        (used,) = connection.execute("SELECT count(*) FROM certificates JOIN keys USING (container)").fetchone()
        (left,) = connection.execute(
            "SELECT count(*) FROM keys WHERE container NOT IN"
            " (SELECT container FROM certificates WHERE container IS NOT NULL)"
        ).fetchone()
    return int(used) + int(left)


@pytest.fixture(name="fast_folder")
def _fast_folder(tmp_path: Path) -> Iterator[Path]:
    with fast_place(tmp_path) as folder:
        yield folder


def _serving(machine: Machine) -> None:
    """Bound, with a service that runs and one that needs it."""
    SCENARIOS[1].prepare(machine)
    assert isinstance(machine.port, EmbeddedPort)
    machine.port.services.define("Base", running=True)
    machine.port.services.define("Maps", depends_on=["Base"], running=True)


def _deploy_and_restart(machine: Machine) -> None:
    deploy(KEY, certificates()[1], machine=machine, restart=["Base"])


RESTART = Scenario("deploy-restart", _serving, _deploy_and_restart)
EVERY = (*SCENARIOS, RESTART)
_IDS = [scenario.name for scenario in EVERY]


@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from-then-on"])
@pytest.mark.parametrize("scenario", EVERY, ids=_IDS)
def test_every_call_that_fails_leaves_the_old_or_the_new_state(
    scenario: Scenario, lasting: bool, fast_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each call fails with each code, once or for as long as the process lives; nothing but our own errors come out."""
    bench = Bench(fast_folder, scenario)
    assert len(bench.calls) > 10
    states = {"old": 0, "new": 0}
    for number, call in points(bench.calls):
        # The code changes the message only, so for what reads, and for a lasting fault, a few of them say all.
        reads = call.startswith(("SELECT", "PRAGMA", "BEGIN"))
        for code in ("SQLITE_BUSY", "SQLITE_IOERR") if reads else LASTING if lasting else tuple(SQLITE_CODES):
            folder = bench.copy()
            sabotage = Sabotage(number, failing(code), lasting=lasting)
            failed = False
            port = bench.open(folder, sabotage)
            try:
                with watched_files(sabotage):
                    scenario.act(Machine(port))
            except MlssslError:
                failed = True
            finally:
                port.close()
            state = bench.check(folder)
            assert failed or state == "new"
            states[state] += 1
    assert states["old"]
    with capsys.disabled():
        print(f"\n{scenario.name}: {len(bench.calls)} calls, {sum(states.values())} faults, {states}", end=" ")


if sys.platform != "win32":  # there is no fork there; the Windows machine is swept over its fakes

    @pytest.mark.parametrize("scenario", EVERY, ids=_IDS)
    def test_a_kill_at_every_call_leaves_the_old_or_the_new_state(
        scenario: Scenario, fast_folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A process of its own is killed with SIGKILL at each call; what it leaves is recovered by another one."""
        bench = Bench(fast_folder, scenario)
        states = {"old": 0, "new": 0}
        for number in range(len(bench.calls)):
            folder = bench.copy()
            child = os.fork()
            if child == 0:
                _act_until_killed(bench, folder, scenario, number)
            _, status = os.waitpid(child, 0)
            assert os.WIFSIGNALED(status)
            assert os.WTERMSIG(status) == signal.SIGKILL, f"point {number}: {status}"
            states[bench.check(folder)] += 1
        assert states["old"]
        # Rights alone are taken back until their record is forgotten: no binding says that they were given.
        assert states["new"] or scenario.name == "grant"
        with capsys.disabled():
            print(f"\n{scenario.name}: killed at {len(bench.calls)} calls, {states}", end=" ")

    def _act_until_killed(bench: Bench, folder: Path, scenario: Scenario, number: int) -> None:
        try:
            sabotage = Sabotage(number, lambda _: os.kill(os.getpid(), signal.SIGKILL))
            port = bench.open(folder, sabotage)
            with watched_files(sabotage):
                scenario.act(Machine(port))
        finally:
            os._exit(1)  # was not killed: the parent says so
