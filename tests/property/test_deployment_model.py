"""deploy, renew, undo, cleanup and hands that interfere, in any order, against a model of what must be true."""

from __future__ import annotations

import datetime as dt
import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mlsssl import (
    Binding,
    BindingError,
    BindingOptions,
    Certificate,
    CertificateAuthority,
    EmbeddedMachine,
    Outcome,
    Thumbprint,
    UnusableCertificateError,
    cleanup,
    deploy,
    recover,
    renew,
)
from repetitions import examples

CA = CertificateAuthority.create("Model", key="ec-p256")
BELOW = CA.create_intermediate("Model intermediate", key="ec-p256")
CERTIFICATES = tuple((CA if number % 2 else BELOW).issue("a.test") for number in range(6))
KEYS = ("0.0.0.0:443", "[::]:443", "a.test:443")
OPTIONS = (None, BindingOptions(http2=False), BindingOptions(unknown_flags=0x4000_0000, unknown_check_modes=0x80))

# Memory where there is such a place: each step flushes to disk many times.
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None

keys = st.sampled_from(KEYS)
certificates = st.sampled_from(CERTIFICATES)


class Deployments(RuleBasedStateMachine):
    """The model: which certificate each key has, with which options; and what each last outcome came from."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="mlsssl-model-", dir=MEMORY)
        path = Path(self.folder.name) / "m.sqlite"
        self.machines = [EmbeddedMachine(path, atomic_update=atomic) for atomic in (True, False)]
        self.machine = self.machines[0]
        self.bound: dict[str, tuple[Thumbprint, BindingOptions]] = {}
        self.last: dict[str, tuple[Outcome, tuple[Thumbprint, BindingOptions] | None]] = {}

    def teardown(self) -> None:
        for machine in self.machines:
            machine.close()
        self.folder.cleanup()

    # -- what people do ---------------------------------------------------------------------------------------------

    @rule(number=st.sampled_from((0, 1)))
    def go_on_with_another_program(self, number: int) -> None:
        """The same file, through a system with or without an atomic update."""
        self.machine = self.machines[number]

    @rule(key=keys, certificate=certificates, options=st.sampled_from(OPTIONS))
    def deploy(self, key: str, certificate: Certificate, options: BindingOptions | None) -> None:
        before = self.bound.get(key)
        outcome = deploy(key, certificate, machine=self.machine, options=options)
        wanted = options or (before[1] if before else BindingOptions())
        self.bound[key] = (certificate.thumbprint, wanted)
        if self.bound[key] != before:
            assert outcome.changed
        if outcome.changed:
            self.last[key] = (outcome, before)
        assert not deploy(key, certificate, machine=self.machine, options=options).changed

    @precondition(lambda self: self.bound)
    @rule(data=st.data(), certificate=certificates)
    def renew(self, data: st.DataObject, certificate: Certificate) -> None:
        key = data.draw(st.sampled_from(sorted(self.bound)))
        before = self.bound[key]
        outcome = renew(key, certificate, machine=self.machine, grace=dt.timedelta(0))
        self.bound[key] = (certificate.thumbprint, before[1])
        assert outcome.changed == (certificate.thumbprint != before[0])
        if outcome.changed:
            self.last[key] = (outcome, before)

    @precondition(lambda self: self.last)
    @rule(data=st.data())
    def undo(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.last)))
        outcome, before = self.last.pop(key)
        try:
            outcome.undo()
        except UnusableCertificateError:
            # The old certificate was taken out meanwhile, so the new one stays bound until it is back.
            assert before is not None
            assert before[0] not in self.machine.store()
            assert Binding.get(key, machine=self.machine).thumbprint == self.bound[key][0]
            with self.machine.store() as store:
                store.add(next(one for one in CERTIFICATES if one.thumbprint == before[0]))
            outcome.undo()
        except BindingError:
            # Somebody has bound another one since.
            assert outcome.after is not None
            assert self.bound.get(key) != (outcome.after.thumbprint, outcome.after.options)
            return
        if before is None:
            self.bound.pop(key, None)
        else:
            self.bound[key] = before

    @rule()
    def cleanup(self) -> None:
        with self.machine.store() as store:
            superseded = {entry.thumbprint for entry in store if entry.renewed_by is not None}
        done = cleanup(machine=self.machine, grace=dt.timedelta(0))
        assert {entry.thumbprint for entry in done.removed} <= superseded

    # -- hands that interfere ---------------------------------------------------------------------------------------

    @precondition(lambda self: self.bound)
    @rule(data=st.data())
    def unbind_by_hand(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.bound)))
        Binding.get(key, machine=self.machine).remove()
        del self.bound[key]
        self.last.pop(key, None)

    @rule(certificate=certificates)
    def add_by_hand(self, certificate: Certificate) -> None:
        with self.machine.store() as store:
            store.add(certificate)

    @rule()
    def recover(self) -> None:
        assert recover(machine=self.machine) == []

    # -- what must always be true -----------------------------------------------------------------------------------

    @invariant()
    def the_bindings_are_those_of_the_model(self) -> None:
        found = {str(one.key): (one.thumbprint, one.options) for one in Binding.all(machine=self.machine)}
        assert found == self.bound

    @invariant()
    def whatever_is_bound_can_be_used(self) -> None:
        for binding in Binding.all(machine=self.machine):
            assert binding.diagnose() == ()

    @invariant()
    def no_certificate_is_without_its_key_and_no_key_without_its_certificate(self) -> None:
        with self.machine.store() as store:
            assert all(entry.has_private_key for entry in store)
        assert self.machine.recover() == []

    @invariant()
    def the_intermediate_is_there_when_it_is_needed(self) -> None:
        needed = {one.thumbprint for one in CERTIFICATES if one.chain and not one.chain[0].is_self_issued}
        if any(thumbprint in needed for thumbprint, _ in self.bound.values()):
            assert BELOW.certificate.thumbprint in self.machine.store("CA")

    @invariant()
    def no_journal_is_left(self) -> None:
        assert not list(self.machine.state_folder.glob("change*.json"))


TestDeployments = Deployments.TestCase
TestDeployments.settings = settings(
    max_examples=examples(25), stateful_step_count=15, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
