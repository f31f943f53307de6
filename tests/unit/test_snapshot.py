"""How much of a machine, and of mlsssl, one deployment touches: counted, so that it does not grow unseen."""

from __future__ import annotations

import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import mlsssl
from mlsssl import CertificateAuthority, EmbeddedMachine, deploy
from mlsssl._fakes.dlls import FakeDlls
from mlsssl._fakes.port import FakeWindowsPort
from mlsssl.renewal import renew_due

if TYPE_CHECKING:
    from collections.abc import Iterator
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
    # 47 (machine_keys.py is asked whether the machine has the private key itself), the listener when another test has
    # loaded it, and on Windows the rights of files.
    assert len(entered) <= (49 if sys.platform == "win32" else 48), sorted(entered)


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
