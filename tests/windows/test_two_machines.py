"""The embedded machine and the Windows machine, driven alike: the same results, the same errors.

Anywhere the Windows machine is one over fakes; under Windows' Python it is this computer: under Wine with its
real stores and keys and the stand-in for HTTP.sys. Compared is all that a caller of the seam can see, except:

- the words of a message, and how the causes of 1312 are told (which causes, and their order, are compared);
- the name of a key's provider and container;
- where Wine keeps no CNG keys, EC keys (so the keys here are RSA), and the archived mark, which Wine does not know.
"""

from __future__ import annotations

import contextlib
import functools
import tempfile
import uuid
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from made_certificates import Made, make
from mlsssl._embedded.port import EmbeddedPort
from mlsssl._fakes.dlls import FakeDlls
from mlsssl._formats.binding_keys import BindingKey, BindingOptions, CcsPort, HostnamePort, IpPort, ScopedCcs
from mlsssl._machine.ports import BindingRecord
from mlsssl._windows.machine import WindowsPort
from mlsssl.errors import MlssslError, UnusableCertificateError
from windows.wine_limits import may_change_this_windows, under_wine

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlsssl._machine.ports import MachinePort, StorePort, StoreRecord

STORE = f"mlsssl-twins-{uuid.uuid4().hex[:8]}"
OTHER_STORE = f"{STORE}-other"
KEYS: tuple[BindingKey, ...] = (
    IpPort("0.0.0.0", 44501),
    IpPort("::", 44501),
    HostnamePort("twins.example", 44501),
    CcsPort(44501),
    ScopedCcs("twins.example", 44501),
)
OPTIONS = (
    BindingOptions(),
    BindingOptions(http2=False, tls12=False, check_client_usage=False),
    BindingOptions(revocation_freshness_time=timedelta(days=1), use_revocation_freshness_time=False),
    BindingOptions(ctl_identifier="issuers é", ctl_store_name="CTLs", url_retrieval_timeout=timedelta(milliseconds=1)),
)

certificates = st.integers(0, 3)
stores = st.sampled_from([STORE, STORE, OTHER_STORE])
keys = st.sampled_from(KEYS)
options = st.sampled_from(OPTIONS)
friendly_names = st.sampled_from([None, "name", "Näme \U0001f512"])


@functools.cache
def made(number: int) -> Made:
    """Four certificates; the first two share a key."""
    return make(f"twin{number}.example", key=_rsa(number // 2 if number < 2 else number))


@functools.cache
def _rsa(_number: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def outcome(do: Callable[[], Any]) -> Any:
    """What a caller sees: the result, or which error with what a program reads of it."""
    try:
        return do()
    except UnusableCertificateError as error:
        return type(error).__name__, [getattr(cause, "cause", None) for cause in error.diagnosis]
    except MlssslError as error:
        return type(error).__name__


def seen(record: StoreRecord | None) -> Any:
    """A certificate's record without the names of provider and container."""
    if record is None:
        return None
    key = record.key
    state = key and (key.machine_keyset, key.persisted, key.matches, key.exportable, key.usable, key.problem is None)
    return record.certificate, record.friendly_name, record.archived, record.renewed_by, state


class Twins(RuleBasedStateMachine):
    """Every step is done to both."""

    equal = True

    def __init__(self) -> None:
        super().__init__()
        self.resources = contextlib.ExitStack()
        folder = Path(self.resources.enter_context(tempfile.TemporaryDirectory()))
        self.fakes = None if may_change_this_windows() else FakeDlls()
        windows = WindowsPort(self.fakes, state_folder=folder / "state")
        can_update = windows.bindings.atomic_update
        embedded = EmbeddedPort(folder / "machine.sqlite", atomic_update=can_update is self.equal)
        self.resources.callback(embedded.close)
        self.ports: tuple[MachinePort, MachinePort] = (embedded, windows)
        for port in self.ports:
            for name in (STORE, OTHER_STORE):
                port.open_store(name, "LocalMachine", create=True, write=True).close()

    def both(self, do: Callable[[MachinePort], Any]) -> Any:
        """Do it to both and compare."""
        first, second = (outcome(functools.partial(do, port)) for port in self.ports)
        assert first == second, f"embedded: {first!r}; Windows: {second!r}"
        return first

    def in_store(self, name: str, do: Callable[[StorePort], Any]) -> Any:
        def act(port: MachinePort) -> Any:
            with contextlib.closing(port.open_store(name, "LocalMachine", write=True)) as store:
                return do(store)

        return self.both(act)

    @rule(store=stores, number=certificates, key=st.booleans(), exportable=st.booleans(), name=friendly_names)
    def add(self, store: str, number: int, key: bool, exportable: bool, name: str | None) -> None:
        pkcs8 = made(number).pkcs8 if key else None
        self.in_store(
            store,
            lambda s: seen(
                s.add(
                    made(number).der, pkcs8, friendly_name=name, exportable=exportable, provider="csp" if key else None
                )
            ),
        )

    @rule(store=stores, number=certificates, delete_key=st.booleans())
    def remove(self, store: str, number: int, delete_key: bool) -> None:
        self.in_store(store, lambda s: s.remove(made(number).thumbprint, delete_key=delete_key))

    @rule(store=stores, number=certificates, name=friendly_names)
    def rename(self, store: str, number: int, name: str | None) -> None:
        self.in_store(store, lambda s: s.set_friendly_name(made(number).thumbprint, name))

    @rule(store=stores, number=certificates, newer=st.none() | certificates)
    def mark_renewed(self, store: str, number: int, newer: int | None) -> None:
        mark = None if newer is None else made(newer).thumbprint
        self.in_store(store, lambda s: s.set_renewed_by(made(number).thumbprint, mark))

    @rule(store=stores, number=certificates)
    def export(self, store: str, number: int) -> None:
        self.in_store(store, lambda s: s.export_key(made(number).thumbprint))

    @rule(store=stores, number=certificates)
    def diagnose(self, store: str, number: int) -> None:
        self.both(lambda port: [cause.cause for cause in port.diagnose(made(number).thumbprint, store)])

    @rule(key=keys, store=stores, number=certificates, options=options, update=st.booleans(), owner=st.integers(0, 1))
    def bind(self, key: BindingKey, store: str, number: int, options: BindingOptions, update: bool, owner: int) -> None:
        named = key.family.has_certificate
        record = BindingRecord(
            key=key,
            thumbprint=made(number).thumbprint if named else None,
            store_name=store if named else None,
            app_id=uuid.UUID(int=owner),
            options=options,
        )
        self.both(lambda port: port.bindings.update(record) if update else port.bindings.add(record))

    @rule(key=keys)
    def unbind(self, key: BindingKey) -> None:
        self.both(lambda port: port.bindings.remove(key))

    @rule()
    def recover(self) -> None:
        self.both(lambda port: port.recover())

    @invariant()
    def bindings_agree(self) -> None:
        self.both(lambda port: [record for record in port.bindings.all() if record.key in set(KEYS)])

    @invariant()
    def stores_agree(self) -> None:
        for name in (STORE, OTHER_STORE):
            self.in_store(name, lambda s: sorted(s.thumbprints()))
            self.in_store(name, lambda s: sorted(map(seen, s.records()), key=str))
            for number in range(4):
                self.in_store(name, functools.partial(lambda s, n: seen(s.find(made(n).thumbprint)), n=number))

    def teardown(self) -> None:
        for key in KEYS:
            outcome(lambda key=key: self.ports[1].bindings.remove(key))  # type: ignore[misc]
        for name in (STORE, OTHER_STORE):
            with contextlib.closing(self.ports[1].open_store(name, "LocalMachine", write=True)) as store:
                for thumbprint in list(store.thumbprints()):
                    store.remove(thumbprint, delete_key=True)
        self.resources.close()
        if self.fakes is not None:
            assert self.fakes.calls.leaks == {}


class UnequalTwins(Twins):
    """One of them has an update in one step, the other not."""

    equal = False


def drive(machines: type[Twins], examples: int, steps: int, *phases: Phase) -> None:
    """Run a state machine; skipped on a real Windows, where it would make and unmake stores for minutes."""
    if may_change_this_windows() and not under_wine():
        pytest.skip("on a real Windows only by hand")
    run_state_machine_as_test(
        machines,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            phases=phases or tuple(Phase),
        ),
    )


@pytest.mark.slow
def test_two_machines_do_the_same() -> None:
    """Any order of calls: no difference in results or errors."""
    drive(Twins, 25, 20)


@pytest.mark.slow
def test_a_difference_would_be_noticed() -> None:
    """The failing twin: machines of which only one can update do not pass for the same."""
    with pytest.raises(AssertionError, match=r"embedded: .+; Windows: .+"):
        drive(UnequalTwins, 100, 20, Phase.generate)
