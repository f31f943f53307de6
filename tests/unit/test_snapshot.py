"""How much of a machine, and of mlsssl, one deployment touches: counted, so that it does not grow unseen."""

from __future__ import annotations

import os
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import mlsssl
from mlsssl import CertificateAuthority, EmbeddedMachine, Machine, deploy, renew
from mlsssl._embedded.port import EmbeddedPort
from mlsssl._fakes.dlls import FakeDlls
from mlsssl._fakes.port import FakeWindowsPort
from mlsssl._formats import parsed, pem
from mlsssl._machine import files, private_files
from mlsssl.errors import ClosedError, StoreNotFoundError
from mlsssl.renewal import renew_due

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from mlsssl._machine.ports import MachinePort

SOURCE = Path(mlsssl.__file__).parent
KEY = "0.0.0.0:443"


class FakeMachine:
    """Windows made of fakes, as `machine=` takes it."""

    def __init__(self, folder: Path) -> None:
        self.dlls = FakeDlls()
        self._port = FakeWindowsPort(self.dlls, folder)

    @property
    def port(self) -> MachinePort:
        """The seam."""
        return self._port

    @contextmanager
    def counting(self) -> Iterator[Counter[str]]:
        """The native calls made meanwhile, by name."""
        before = len(self.dlls.calls.names)
        counted: Counter[str] = Counter()
        yield counted
        counted.update(self.dlls.calls.names[before:])


@contextmanager
def modules_entered() -> Iterator[set[str]]:
    """The modules of mlsssl of which a function is called meanwhile, in this thread."""
    entered: set[str] = set()

    def note(frame: FrameType, event: str, _argument: object) -> None:
        file = Path(frame.f_code.co_filename)
        if event == "call" and file.is_relative_to(SOURCE):
            entered.add(file.relative_to(SOURCE).as_posix())

    former = sys.getprofile()
    sys.setprofile(note)
    try:
        yield entered
    finally:
        sys.setprofile(former)


@pytest.fixture(scope="module")
def ca() -> CertificateAuthority:
    return CertificateAuthority.create("CA", key="ec-p256")


def test_a_deployment_stays_in_few_modules(ca: CertificateAuthority, tmp_path: Path) -> None:
    """Everything was imported before; the validator and the embedded machine are among them."""
    with EmbeddedMachine(tmp_path / "m.sqlite") as machine:
        deploy(KEY, ca.issue("a.test"), machine=machine)
        certificate = ca.issue("a.test")
        with modules_entered() as entered:
            deploy(KEY, certificate, machine=machine)
    assert "deployment.py" in entered
    # 50 (machine_keys.py is asked whether the machine has the private key itself), the listener when another test has
    # loaded it, and on Windows the rights of files.
    assert len(entered) <= (52 if sys.platform == "win32" else 51), sorted(entered)


def test_a_renewal_of_what_is_due_reads_little(ca: CertificateAuthority, tmp_path: Path) -> None:
    """One listing of the bindings, one look at the one that is replaced, one after it was."""
    machine = FakeMachine(tmp_path)
    deploy(KEY, ca.issue("a.test"), machine=machine)
    with machine.counting() as calls:
        (result,) = renew_due(ca, machine=machine, due_only=False)
    assert result.outcome is not None
    # Five of them the listing: the record, and the end of each family; one just before the update, one after it.
    assert calls["HttpQueryServiceConfiguration"] <= 7
    # Is it due; planning, under the lock, with the revocation lists of CA, Root and AuthRoot; adding, and whether it is
    # there; the mark on the old one.
    assert calls["CertOpenStore"] <= 1 + 1 + 3 + 2 + 1


def test_a_second_renewal_reads_less(ca: CertificateAuthority, tmp_path: Path) -> None:
    """Bindings and authorities were read for the first; whatever is to be changed is looked at anew."""
    machine = FakeMachine(tmp_path)
    for number in range(2):
        deploy(f"127.0.0.{number + 1}:443", ca.issue("a.test"), machine=machine)
    with machine.counting() as calls:
        results = renew_due(ca, machine=machine, due_only=False)
    assert all(one.outcome is not None for one in results)
    assert calls["HttpQueryServiceConfiguration"] <= 6 + 2 * 2
    assert calls["CertOpenStore"] <= 8 + 5


def test_planning_lists_the_bindings_once(ca: CertificateAuthority, tmp_path: Path) -> None:
    """And what is planned is the binding as it is, not as it was when they were listed."""
    machine = FakeMachine(tmp_path)
    deploy(KEY, ca.issue("a.test"), machine=machine)
    with machine.counting() as calls:
        deploy.plan(KEY, ca.issue("a.test"), machine=machine)
    assert calls["HttpQueryServiceConfiguration"] <= 6


class Work:
    """What an embedded machine, which has been changed before, is asked and told for one change."""

    def __init__(self, ca: CertificateAuthority, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.statements: list[str] = []
        self.counted: Counter[str] = Counter()
        port = EmbeddedPort(folder / "m.sqlite", on_statement=self.statements.append)
        self.machine = Machine(port)
        self.certificates = [ca.issue("a.test", key="ec-p256") for _ in range(2)]
        for certificate in (*self.certificates, self.certificates[0]):
            deploy(KEY, certificate, machine=self.machine)
        renew(KEY, ca, machine=self.machine)
        self.statements.clear()
        self._count(monkeypatch, parsed.View, "__init__", "taken apart")
        self._count(monkeypatch, pem, "load_der", "parsed")
        self._count(monkeypatch, private_files, "read_private", "files read")
        self._count(monkeypatch, private_files, "private_folder", "folders looked at")
        self._count(monkeypatch, files, "write", "files written")
        self._count(monkeypatch, os, "fsync", "waits for the disk besides SQLite's")

    def _count(self, monkeypatch: pytest.MonkeyPatch, place: object, name: str, called: str) -> None:
        function: Callable[..., object] = getattr(place, name)

        def counting(*args: object, **kwargs: object) -> object:
            self.counted[called] += 1
            return function(*args, **kwargs)

        monkeypatch.setattr(place, name, counting)

    @property
    def transactions(self) -> int:
        """Those that wait for the disk."""
        return self.statements.count("BEGIN IMMEDIATE")


@pytest.fixture
def work(ca: CertificateAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Work]:
    made = Work(ca, tmp_path, monkeypatch)
    yield made
    made.machine.close()


def test_a_plan_asks_an_embedded_machine_little(work: Work) -> None:
    """The binding, its certificate and the new one, who may read their keys, one look for lists, the other bindings."""
    deploy.plan(KEY, work.certificates[1], machine=work.machine)
    assert len(work.statements) <= 7, work.statements
    assert work.transactions == 0
    assert work.counted["files written"] == 0
    assert work.counted["parsed"] == 0
    assert work.counted["taken apart"] <= 1, "for the check and for the way to a root"


def test_a_deployment_asks_an_embedded_machine_little(work: Work) -> None:
    """Nearly what a plan asks, four statements that bind, and one that reads it back; one record, written once."""
    assert deploy(KEY, work.certificates[1], machine=work.machine).changed
    assert len(work.statements) <= 11, work.statements
    assert work.transactions == 1
    assert work.counted["files written"] == 1
    assert work.counted["files read"] <= 1, "the last change, for steps that are owed; the roots are known to be noted"
    assert work.counted["folders looked at"] <= 1
    assert work.counted["waits for the disk besides SQLite's"] <= 2, "the record, and its entry in the folder"
    assert work.counted["parsed"] == 0, "of the bound one nothing but its end is read"
    assert work.counted["taken apart"] <= 1


def test_a_new_certificate_is_added_and_bound_in_one_transaction(ca: CertificateAuthority, work: Work) -> None:
    """With its key, and neither of them is read from its bytes: they are at hand."""
    assert deploy(KEY, ca.issue("a.test", key="ec-p256"), machine=work.machine).changed
    assert len(work.statements) <= 17, work.statements
    assert work.transactions == 1
    assert work.counted["parsed"] == 0
    assert work.counted["taken apart"] <= 1


def test_a_renewal_asks_an_embedded_machine_little(ca: CertificateAuthority, work: Work) -> None:
    """Besides that the certificate that is renewed, and in the one transaction a mark on the old one."""
    assert renew(KEY, ca, machine=work.machine).changed
    assert len(work.statements) <= 21, work.statements
    assert work.transactions == 1
    assert work.counted["files written"] == 1, "the record; to the note for cleanup a line is added"
    assert work.counted["files read"] <= 1, "the last change"
    assert work.counted["folders looked at"] <= 2
    assert work.counted["waits for the disk besides SQLite's"] <= 3, "what is noted lasts with the record's entry"
    assert work.counted["parsed"] <= 1, "the old one"
    assert work.counted["taken apart"] <= 2, "the new one, and the old one for its issuer"


def test_the_record_of_a_renewal_does_not_grow_with_the_bindings(ca: CertificateAuthority, tmp_path: Path) -> None:
    """Otherwise renewing all of them writes the square of their number; what adds an issuer does list them."""
    with EmbeddedMachine(tmp_path / "m.sqlite") as machine:
        written = []
        for number in range(12):
            deploy(f"h{number}.test:443", ca.issue(f"h{number}.test"), machine=machine)
            renew(f"h{number}.test:443", ca, machine=machine)
            folder = machine.port.state_folder
            written.append(max(folder.glob("last-*.json"), key=lambda path: path.stat().st_mtime_ns).read_text())
    lengths = [len(text) for text in written]
    assert max(lengths) - min(lengths) < 20, lengths
    assert '"bound": []' in written[-1]


def test_a_store_is_looked_up_anew_when_the_machine_was_closed(tmp_path: Path) -> None:
    """Its number is kept for as long as the file is open, and no longer."""
    port = EmbeddedPort(tmp_path / "m.sqlite")
    port.open_store("MY", "LocalMachine").close()
    port.close()
    with pytest.raises(ClosedError):
        port.open_store("MY", "LocalMachine")


if sys.platform != "win32":  # there is no fork there

    def test_a_store_is_looked_up_anew_after_a_fork(tmp_path: Path) -> None:
        """Which closes the file; the path may lead to another one when it is opened again."""
        here, other = EmbeddedPort(tmp_path / "here.sqlite"), EmbeddedPort(tmp_path / "other.sqlite")
        here.open_store("First", "LocalMachine", create=True).close()
        other.close()
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        (tmp_path / "other.sqlite").replace(tmp_path / "here.sqlite")
        with pytest.raises(StoreNotFoundError):
            here.open_store("First", "LocalMachine")
        here.close()
