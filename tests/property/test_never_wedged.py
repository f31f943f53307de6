"""Whatever was done, killed, taken out by hand or not written to the audit log: another binding can still be changed.

Random sequences of everything that changes a machine. Each step may be killed at any of its calls (an exception that
nothing catches, after which every further call of the dead process raises it again), or may lose its audit log there.
`MLSSSL_SEQUENCES` sets how many sequences each machine runs.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from contract.test_deployment_sweep import Sabotage, watched_files
from mlsssl import (
    Binding,
    BindingOptions,
    Certificate,
    CertificateAuthority,
    DeploymentError,
    MlssslError,
    NotFoundError,
    audit,
    cleanup,
    deploy,
    last_outcome,
    recover,
    renew,
    renew_due,
)
from mlsssl._embedded.port import EmbeddedPort
from mlsssl._fakes.computer import Computer
from mlsssl._fakes.dlls import FakeDlls
from mlsssl._windows.machine import WindowsPort
from mlsssl.machine import Machine
from repetitions import examples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlsssl._machine.ports import MachinePort

SEQUENCES = int(os.environ.get("MLSSSL_SEQUENCES", str(examples(40))))
STEPS = 12

CA = CertificateAuthority.create("Wedge", key="ec-p256")
BELOW = CA.create_intermediate("Wedge intermediate", key="ec-p256")
CERTIFICATES = tuple((CA if number % 2 else BELOW).issue("a.test") for number in range(3))
KEYS = ("0.0.0.0:443", "a.test:443")
UNRELATED_KEY = "0.0.0.0:8443"
UNRELATED = (CA.issue("b.test"), CA.issue("b.test"))
OPTIONS = (BindingOptions(), BindingOptions(http2=False))
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class KilledError(BaseException):
    """The process ends here."""


class Subject:
    """A machine that processes come to and go from."""

    def __init__(self, folder: Path, *, atomic: bool) -> None:
        self.folder = folder
        self.atomic = atomic

    def open(self, hit: Callable[[str], None] | None) -> MachinePort:
        """A process's own view; `hit` is called with each of its calls."""
        raise NotImplementedError


class Embedded(Subject):
    """The embedded machine: its calls are SQLite statements."""

    def open(self, hit: Callable[[str], None] | None) -> MachinePort:
        return EmbeddedPort(self.folder / "m.sqlite", atomic_update=self.atomic, on_statement=hit, busy_timeout=0.2)


class Windows(Subject):
    """The Windows machine over fakes of the DLLs: its calls are theirs."""

    def __init__(self, folder: Path, *, atomic: bool) -> None:
        super().__init__(folder, atomic=atomic)
        self._computer = Computer()

    def open(self, hit: Callable[[str], None] | None) -> MachinePort:
        dlls = FakeDlls(self._computer)
        if not self.atomic:
            del dlls.httpapi.HttpUpdateServiceConfiguration
        if hit is not None:
            dlls.calls.before = hit
        return WindowsPort(dlls, state_folder=self.folder / "state")


SUBJECTS = {
    "embedded": (Embedded, True),
    "embedded-2016": (Embedded, False),
    "windows": (Windows, True),
    "windows-2016": (Windows, False),
}

keys = st.sampled_from(KEYS)
certificates = st.sampled_from(CERTIFICATES)


@dataclass(frozen=True)
class Accident:
    """What befalls a step.

    Attributes:
        kill: Whether the process ends; else its audit log can no longer be written.
        at: At which call.
        gone: The certificates that somebody takes out of the store before anybody else comes.
        damage: What is in the records of pending changes then, in place of what was.
    """

    kill: bool
    at: int
    gone: frozenset[Certificate]
    damage: bytes | None


accidents = st.none() | st.builds(
    Accident,
    kill=st.sampled_from((True, True, False)),
    at=st.integers(0, 220) | st.integers(25, 65),
    gone=st.frozensets(certificates),
    damage=st.sampled_from((None, None, None, b"", b'{"version": 99}')),
)


class Sequences(RuleBasedStateMachine):
    """Everything that people and programs do to a machine, in any order."""

    kind: type[Subject]
    atomic: bool
    made = 0
    stuck = 0

    def __init__(self) -> None:
        type(self).made += 1
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="mlsssl-wedge-", dir=MEMORY))
        self.log = self.folder / "logs" / "audit.jsonl"
        self.log.parent.mkdir()
        self.subject = self.kind(self.folder, atomic=self.atomic)
        self.turn = 0

    def teardown(self) -> None:
        try:
            self._nothing_is_left_once_it_is_given_up()
        finally:
            shutil.rmtree(self.folder)

    @contextlib.contextmanager
    def process(self, hit: Callable[[str], None] | None = None) -> Iterator[Machine]:
        """A process of its own."""
        port = self.subject.open(hit)
        try:
            yield Machine(port)
        finally:
            port.close()

    def run(self, step: Callable[[Machine], object], accident: Accident | None) -> None:
        """One step by a process of its own; it ends well, with an error of ours, or killed."""

        def strike(_: str) -> None:
            assert accident is not None
            if accident.kill:
                raise KilledError
            if self.log.parent.exists():
                self.log.parent.rename(self.folder / "logs of yesterday")

        sabotage = Sabotage(None if accident is None else accident.at, strike, lasting=True)
        with (
            contextlib.suppress(KilledError, MlssslError),
            self.process(sabotage) as machine,
            watched_files(sabotage),
        ):
            step(machine)
        with contextlib.suppress(FileNotFoundError):
            (self.folder / "logs of yesterday").rename(self.log.parent)
        if accident is not None:
            self._find_it_otherwise(accident)

    def _find_it_otherwise(self, accident: Accident) -> None:
        """Before anybody recovers it."""
        with self.process() as machine:
            with machine.store() as store:
                for certificate in accident.gone:
                    with contextlib.suppress(NotFoundError):
                        store.remove(certificate.thumbprint)
            if accident.damage is not None:
                for path in records(machine):
                    path.write_bytes(accident.damage)

    # -- what is done -----------------------------------------------------------------------------------------------

    @initialize(certificate=certificates)
    def begin_with_a_binding(self, certificate: Certificate) -> None:
        self.run(lambda machine: deploy(KEYS[0], certificate, machine=machine, audit_log=self.log), None)

    @rule(key=keys, certificate=certificates, options=st.sampled_from(OPTIONS), logged=st.booleans(), what=accidents)
    def deploy(
        self, key: str, certificate: Certificate, options: BindingOptions, logged: bool, what: Accident | None
    ) -> None:
        log = self.log if logged else None
        self.run(lambda machine: deploy(key, certificate, machine=machine, options=options, audit_log=log), what)

    @rule(key=keys, certificate=certificates, everywhere=st.booleans(), logged=st.booleans(), what=accidents)
    def renew(self, key: str, certificate: Certificate, everywhere: bool, logged: bool, what: Accident | None) -> None:
        log = self.log if logged else None

        def step(machine: Machine) -> None:
            grace = dt.timedelta(0)
            renew(key, certificate, machine=machine, grace=grace, everywhere=everywhere, audit_log=log)

        self.run(step, what)

    @rule(key=keys, what=accidents)
    def undo(self, key: str, what: Accident | None) -> None:
        def step(machine: Machine) -> None:
            outcome = last_outcome(key, machine=machine)
            if outcome is not None:
                outcome.undo()

        self.run(step, what)

    @rule(key=keys, certificate=certificates, options=st.sampled_from(OPTIONS), what=accidents)
    def update(self, key: str, certificate: Certificate, options: BindingOptions, what: Accident | None) -> None:
        def step(machine: Machine) -> None:
            Binding.get(key, machine=machine).with_certificate(certificate).with_options(options).update()

        self.run(step, what)

    @rule(what=accidents)
    def cleanup(self, what: Accident | None) -> None:
        self.run(lambda machine: cleanup(machine=machine, grace=dt.timedelta(0)), what)

    @rule(certificate=certificates, what=accidents)
    def remove_a_certificate(self, certificate: Certificate, what: Accident | None) -> None:
        self.run(lambda machine: machine.store().remove(certificate.thumbprint), what)

    @rule(key=keys, what=accidents)
    def remove_a_binding(self, key: str, what: Accident | None) -> None:
        self.run(lambda machine: Binding.get(key, machine=machine).remove(), what)

    @rule(what=accidents)
    def recover(self, what: Accident | None) -> None:
        self.run(lambda machine: recover(machine=machine), what)

    # -- what must always be true -----------------------------------------------------------------------------------

    @invariant()
    def another_key_can_be_deployed(self) -> None:
        certificate = UNRELATED[self.turn % 2]
        self.turn += 1
        with self.process() as machine:
            assert deploy(UNRELATED_KEY, certificate, machine=machine).changed
            assert Binding.get(UNRELATED_KEY, machine=machine).thumbprint == certificate.thumbprint

    @invariant()
    def what_is_pending_is_told(self) -> None:
        """After a deploy has recovered what could be: by recover, audit and renew_due."""
        with self.process() as machine:
            pending = len(records(machine))
            findings = [finding for row in audit(machine=machine).rows for finding in row.findings]
            # A change of several bindings is told at each of them.
            assert len({finding.found for finding in findings if finding.code == "change-pending"}) == pending
            if not pending:
                assert recover(machine=machine) == []
                return
            type(self).stuck += 1
            assert not audit(machine=machine).ok
            with pytest.raises(DeploymentError, match="abandon="):
                recover(machine=machine)
            failed = [one for one in renew_due(CA, machine=machine) if one.error is not None]
            assert len({str(one.error) for one in failed if "abandon=" in str(one.error)}) == pending

    def _nothing_is_left_once_it_is_given_up(self) -> None:
        with self.process() as machine:
            for path in records(machine):
                with contextlib.suppress(DeploymentError):  # there are others
                    recover(machine=machine, abandon=path.name)
            assert recover(machine=machine) == []
            for key in KEYS:
                assert deploy(key, CERTIFICATES[0], machine=machine).after is not None


def records(machine: Machine) -> list[Path]:
    """The files of changes that have begun and not ended."""
    return sorted(machine.port.state_folder.glob("change*.json"))


@pytest.mark.parametrize("name", SUBJECTS)
def test_no_sequence_keeps_another_key_from_being_deployed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """On every machine."""
    kind, atomic = SUBJECTS[name]

    class Here(Sequences):
        """These sequences on this machine."""

    Here.kind, Here.atomic = kind, atomic
    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=SEQUENCES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
    with capsys.disabled():
        print(f"\n{name}: {Here.made} sequences of {STEPS} steps, {Here.stuck} steps with something pending", end=" ")
