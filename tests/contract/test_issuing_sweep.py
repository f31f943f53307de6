"""Asking an issuer is killed, or fails, at every disk write and call of the issuer: one order, one key, no orphan.

A point is a statement of the machine's database, a write, rename or removal of a file, or a step of the issuer. After
each the same call is made again, undisturbed, and must end with the certificate of the one order that was placed.
"""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sqlite3
import sys
import time
from typing import TYPE_CHECKING

import pytest

from contract.deployment_scenarios import KEY, fast_place
from contract.test_deployment_sweep import Sabotage, watched_files
from issuing import AUTHORITY, DistantIssuer
from mlsssl import Binding, BindingError, IssuePendingError, MlssslError, deploy, renew, renew_due
from mlsssl._deploy.obtain import _tidy_up
from mlsssl._embedded.port import EmbeddedPort
from mlsssl.machine import Machine
from sweeps import points

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mlsssl import Issuer

OTHER = "127.0.0.1:443"
OLD = AUTHORITY.issue("a.test", key="ec-p256")


def _bound(machine: Machine) -> None:
    deploy(KEY, OLD, machine=machine)


def _bound_twice(machine: Machine) -> None:
    _bound(machine)
    deploy(OTHER, OLD, machine=machine)


def _renew(machine: Machine, issuer: Issuer) -> None:
    renew(KEY, issuer, machine=machine)


def _renew_due(machine: Machine, issuer: Issuer) -> None:
    """Every binding that still has the old certificate, as a scheduled task does; the first error comes out."""
    for result in renew_due(issuer, machine=machine, due_only=False, only=_with_the_old(machine)):
        if result.error is not None:
            raise result.error


def _with_the_old(machine: Machine) -> list[str]:
    return [str(one.key) for one in Binding.all(machine=machine) if one.thumbprint == OLD.thumbprint]


def _deploy(machine: Machine, issuer: Issuer) -> None:
    deploy(KEY, issuer, machine=machine, host="a.test")


def _nothing(_: Machine) -> None:
    """A fresh machine."""


SCENARIOS: dict[str, tuple[Callable[[Machine], None], Callable[[Machine, Issuer], None], int]] = {
    "renew": (_bound, _renew, 0),
    "renew-pending": (_bound, _renew, 1),
    "renew-due-shared": (_bound_twice, _renew_due, 0),
    "deploy": (_nothing, _deploy, 0),
}


class Bench:
    """A prepared machine and the calls of an undisturbed run."""

    def __init__(self, folder: Path, name: str) -> None:
        self.prepare, self.act, self.waits = SCENARIOS[name]
        self._folder = folder
        self._copies = 0
        base = EmbeddedPort(self._new("base") / "m.sqlite")
        self.prepare(Machine(base))
        base.close()
        counter = Sabotage(None, lambda _: None)
        place = self.copy()
        self.run(place, counter)
        self.calls = list(counter.calls)
        self.check(place)

    def _new(self, name: str) -> Path:
        place = self._folder / name
        place.mkdir()
        return place

    def copy(self) -> Path:
        """A fresh copy of the prepared machine."""
        self._copies += 1
        place = self._folder / f"copy{self._copies}"
        shutil.copytree(self._folder / "base", place)
        return place

    def run(self, place: Path, hit: Callable[[str], None]) -> None:
        """What is swept; a pending answer is asked for again."""
        issuer = DistantIssuer(place / "issuer", hit=hit)
        issuer.waits = self.waits
        port = EmbeddedPort(place / "m.sqlite", on_statement=hit, busy_timeout=0.2)
        try:
            with watched_files(hit):
                try:
                    self.act(Machine(port), issuer)
                except IssuePendingError:
                    self.act(Machine(port), issuer)
        finally:
            port.close()

    def check(self, place: Path) -> int:
        """Go on after the disturbance; how many bindings had the new certificate already."""
        port = EmbeddedPort(place / "m.sqlite")
        machine = Machine(port)
        issuer = DistantIssuer(place / "issuer")
        before = _with_new(machine)
        machine.recover()
        for record in port.bindings.all():  # never without a certificate that has its key
            assert record.thumbprint is not None
            assert machine.store()[record.thumbprint].has_private_key
        # As often as something is left to be done: a renewal of what is renewed would be another one.
        if _with_the_old(machine) or not Binding.all(machine=machine):
            self.act(machine, issuer)
        after = _with_new(machine)
        assert after == max(1, len(Binding.all(machine=machine)))
        assert len(issuer.orders) == 1, "ordered twice"
        (thumbprint,) = {one.thumbprint for one in Binding.all(machine=machine)}
        assert thumbprint is not None
        assert machine.store()[thumbprint].has_private_key
        stored = {entry.thumbprint for entry in machine.store()}
        assert stored <= {thumbprint, OLD.thumbprint}
        # What a kill after the end has left goes with the next request on this machine.
        _tidy_up(port, besides=port.state_folder / "none")
        assert port.request_keys.names() == []
        assert port.recover() == []
        left = [path.name for path in port.state_folder.iterdir() if "request-" in path.name]
        assert [name for name in left if not name.endswith(".lock")] == []
        port.close()
        shutil.rmtree(place)
        return before


def _with_new(machine: Machine) -> int:
    return sum(one.thumbprint != OLD.thumbprint for one in Binding.all(machine=machine))


@pytest.fixture(name="fast_folder")
def _fast_folder(tmp_path: Path) -> Iterator[Path]:
    with fast_place(tmp_path) as folder:
        yield folder


def _fails(what: str) -> None:
    """As a full disk, and a network that is gone."""
    if what.startswith("file "):
        if what != "file written":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    elif what.startswith("issuer"):
        raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
    else:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = 13  # what Python 3.11 and newer set
        raise error


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_call_that_fails_leaves_an_order_to_go_on_with(
    name: str, fast_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = Bench(fast_folder, name)
    assert {call for call in bench.calls if call.startswith("issuer")} >= {"issuer asked", "issuer answers"}
    failed = 0
    for number, _ in points(bench.calls):
        place = bench.copy()
        try:
            bench.run(place, Sabotage(number, _fails))
        except MlssslError:
            failed += 1
        bench.check(place)
    assert failed
    with capsys.disabled():
        print(f"\n{name}: {len(bench.calls)} calls, {failed} of them end it with an error", end=" ")


if sys.platform != "win32":  # there is no fork there

    @pytest.mark.parametrize("name", SCENARIOS)
    def test_a_kill_at_every_call_leaves_an_order_to_go_on_with(
        name: str, fast_folder: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """SIGKILL of a process of its own; another process goes on."""
        bench = Bench(fast_folder, name)
        states: dict[int, int] = {}
        for number in range(len(bench.calls)):
            place = bench.copy()
            child = os.fork()
            if child == 0:
                try:
                    bench.run(place, Sabotage(number, lambda _: os.kill(os.getpid(), signal.SIGKILL)))
                finally:
                    os._exit(1)  # was not killed: the parent says so
            _, status = os.waitpid(child, 0)
            assert os.WIFSIGNALED(status)
            assert os.WTERMSIG(status) == signal.SIGKILL, f"point {number}: {status}"
            done = bench.check(place)
            states[done] = states.get(done, 0) + 1
        assert len(states) > 1, "every kill left the same: the sweep shows nothing"
        with capsys.disabled():
            print(f"\n{name}: killed at {len(bench.calls)} calls; bindings renewed by then: {states}", end=" ")


class _Queuing(EmbeddedPort):
    """A machine that says in a file when it goes to wait for who is asking for the same certificate."""

    queues: Path

    def lock(self, name: str, *, timeout: float) -> contextlib.AbstractContextManager[Path]:
        """As `MachinePort.lock`."""
        if name.startswith("request-"):
            self.queues.touch()
        return super().lock(name, timeout=timeout)


def _until(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} never came"
        time.sleep(0.01)


if sys.platform != "win32":

    def test_two_processes_at_once_order_once(fast_folder: Path) -> None:
        """The second waits while the first is with the issuer; then the binding was changed, and it asks nobody."""
        place = fast_folder / "two"
        place.mkdir()
        asked, queues = place / "asked", place / "queues"
        with Machine(EmbeddedPort(place / "m.sqlite")) as machine:
            _bound(machine)

        def ask(_: str) -> None:
            asked.touch()
            _until(queues)

        child = os.fork()
        if child == 0:
            try:
                renew(KEY, DistantIssuer(place / "issuer", hit=ask), machine=Machine(EmbeddedPort(place / "m.sqlite")))
                os._exit(0)
            finally:
                os._exit(1)
        _until(asked)
        port = _Queuing(place / "m.sqlite")
        port.queues = queues
        late = DistantIssuer(place / "issuer")
        with Machine(port) as machine:
            with pytest.raises(BindingError, match="was changed before its new certificate was asked for"):
                renew(KEY, late, machine=machine)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
            assert Binding.get(KEY, machine=machine).thumbprint != OLD.thumbprint
        assert late.asked == []
        assert len(late.orders) == 1
