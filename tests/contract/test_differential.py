"""Two machines, the same calls: the embedded machine and the Windows machine, over fakes anywhere, real on Windows.

A state machine of Hypothesis does the same to both and compares what came back, the error's type included, and after
each step everything that can be read. They may differ only in this, which is therefore left out of the comparison:

1. Names of key containers and providers, and the words of messages.
2. Where equal keys lie: the embedded machine keeps one container for certificates of one key on the same terms,
   Windows one for each. Nobody sees it, except in the number of containers.
3. What `recover` says: the embedded machine has nothing half done, so it cleans up more, and says so in other words.
4. Stores of CurrentUser: a Windows shows what LocalMachine's store of that name has (all but MY). So LocalMachine alone
   is compared here; the contract tests do both.
5. Option bits without a name, which a Windows may refuse.
6. Keys: RSA here. A Windows may keep no others (`Wine's CNG keeps nothing`), the embedded machine keeps Ed25519 too.
7. How many first items an `add_many` leaves that an error stopped: the contract says some, each whole.
8. Hiding a certificate from listings (`set_archived`), which Wine does not know.
9. Several revocation lists of one issuer, of which Wine keeps one; here each list has an issuer of its own.
10. Who may read a key that several certificates have (2.); so keys are granted of one that lies in one store alone. Of
    its list the accounts that are granted here: a real Windows adds who made it; and of each the most that it may, for
    who gets everything may keep an entry for less beside it. Wine takes no change of such a list.
11. Words of a reservation's access list, which Windows writes anew; and two spellings of one prefix as they are stored,
    of which HTTP.sys may keep both. What its reader of SDDL takes for an error is asked of the fakes alone.
"""

from __future__ import annotations

import contextlib
import functools
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from made_certificates import Made, crl_der, make, make_crl
from mlsssl._changes import recovery
from mlsssl._embedded.port import EmbeddedPort
from mlsssl._fakes.computer import Computer
from mlsssl._fakes.dlls import FakeDlls
from mlsssl._fakes.http_config import HttpState
from mlsssl._formats import sddl
from mlsssl._formats.binding_keys import BindingOptions, CcsPort, HostnamePort, IpPort, ScopedCcs
from mlsssl._formats.url_prefixes import UrlPrefix
from mlsssl._machine.accounts import Account
from mlsssl._machine.ports import BindingRecord, NewCertificate, ReservationRecord, StoreRecord
from mlsssl._windows.machine import WindowsPort
from mlsssl.errors import MlssslError, ReservationNotFoundError, UnusableCertificateError
from windows.wine_limits import may_change_this_windows, under_wine

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlsssl._formats.binding_keys import BindingKey
    from mlsssl._machine.ports import KeyRight, MachinePort, StorePort
    from mlsssl.values import Thumbprint

REAL = may_change_this_windows()

# Names and ports that no other test of a real machine uses.
STORES = ["mlsssl-differential-1", "mlsssl-differential-2"]
URLS = [UrlPrefix("https://+:44391/mlsssl-differential/"), UrlPrefix("http://*:44391/mlsssl-differential/")]
LISTS = ["D:(A;;GX;;;S-1-5-20)", "D:(A;;GA;;;BU)(D;;GX;;;AN)", "O:BAG:SYD:(A;;GW;;;S-1-5-21-1-2-3-1001)"]
NO_LISTS = [] if REAL else ["", "D:(A;;GX;;;DOMAIN\\user)", "D:(A;;GX;;S-1-5-20)"]
ACCOUNTS = [Account("NT AUTHORITY\\NETWORK SERVICE", "S-1-5-20"), Account("S-1-5-21-1-2-3-1001", "S-1-5-21-1-2-3-1001")]
KEYS: list[BindingKey] = [
    IpPort("127.0.0.1", 44391),
    HostnamePort("differential.example", 44391),
    CcsPort(44391),
    ScopedCcs("differential.example", 44391),
]


@functools.cache
def made() -> list[Made]:
    """Five certificates; the first two have the same key, the last is for `GUARDED` alone."""
    keys = [rsa.generate_private_key(65537, 2048) for _ in range(4)]
    return [make(f"d{n}.example", key=keys[max(n - 1, 0)]) for n in range(5)]


@functools.cache
def crls() -> list[bytes]:
    """Three revocation lists, and half of one."""
    made_lists = [crl_der(make_crl(number, issuer=f"differential {number}")) for number in range(3)]
    return [*made_lists, made_lists[0][: len(made_lists[0]) // 2]]


GUARDED = 4
stores = st.sampled_from(STORES)
numbers = st.integers(0, 3)
binding_keys = st.sampled_from(KEYS)
friendly_names = st.none() | st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=5)
binding_options = st.builds(
    BindingOptions,
    http2=st.booleans(),
    tls13=st.booleans(),
    negotiate_client_certificate=st.booleans(),
)


def shown(value: object) -> object:
    """What must be equal: plain values, without what the list above leaves out."""
    if isinstance(value, StoreRecord):
        key = value.key
        terms = None if key is None else (key.machine_keyset, key.persisted, key.matches, key.exportable)
        return (value.certificate, value.friendly_name, value.archived, value.renewed_by, terms)
    if isinstance(value, ReservationRecord):
        return value.url.written, [(one.kind, one.flags, one.mask, one.sid) for one in sddl.entries(value.sddl)]
    if isinstance(value, (list, tuple)):
        return [shown(item) for item in value]
    return value


def outcome(work: Callable[[], object]) -> object:
    """What an operation gives, or the type of its error, with the causes of a 1312."""
    try:
        return shown(work())
    except UnusableCertificateError as error:
        return type(error), [getattr(item, "cause", item) for item in error.diagnosis]
    except MlssslError as error:
        return type(error)


class Differential(RuleBasedStateMachine):
    """The embedded machine beside a Windows machine."""

    computer: Computer | None = None

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        self.dlls = None if REAL else FakeDlls(self.fresh_computer())
        self.windows: MachinePort = WindowsPort(self.dlls, state_folder=None if REAL else folder / "state")
        # As on Server 2016, where that is what Windows is.
        atomic = self.windows.bindings.atomic_update
        self.embedded: MachinePort = EmbeddedPort(folder / "machine.sqlite", atomic_update=atomic)
        for machine in (self.embedded, self.windows):
            for name in STORES:
                with contextlib.closing(machine.open_store(name, "LocalMachine", create=True, write=True)) as store:
                    clear(store)
            for key in KEYS:
                if machine.bindings.find(key) is not None:
                    machine.bindings.remove(key)
            unreserve(machine)

    def fresh_computer(self) -> Computer:
        """What the fakes run on."""
        return Computer()

    def both(self, work: Callable[[MachinePort], object]) -> object:
        """Do it on both; they must not differ."""
        expected = outcome(lambda: work(self.embedded))
        assert outcome(lambda: work(self.windows)) == expected
        return expected

    def on_store(self, name: str, work: Callable[[StorePort], Any], *, write: bool = True) -> object:
        def run(machine: MachinePort) -> object:
            with contextlib.closing(machine.open_store(name, "LocalMachine", write=write)) as store:
                return work(store)

        return self.both(run)

    @rule(
        name=stores,
        number=numbers,
        key=st.booleans(),
        exportable=st.booleans(),
        friendly=friendly_names,
        provider=st.sampled_from([None, "csp"]),
        write=st.sampled_from([True, True, True, False]),
    )
    def add(
        self, name: str, number: int, key: bool, exportable: bool, friendly: str | None, provider: Any, write: bool
    ) -> None:
        item = made()[number]
        private_key = item.pkcs8 if key else None
        self.on_store(
            name,
            lambda store: store.add(
                item.der, private_key, friendly_name=friendly, exportable=exportable, provider=provider
            ),
            write=write,
        )

    @rule(name=stores, chosen=st.lists(numbers, max_size=3), exportable=st.booleans(), broken=st.booleans())
    def add_many(self, name: str, chosen: list[int], exportable: bool, broken: bool) -> None:
        items = [NewCertificate(certificate=made()[n].der, private_key=made()[n].pkcs8) for n in chosen]
        items = [NewCertificate(certificate=b"broken"), *items] if broken else items
        self.on_store(name, lambda store: store.add_many(iter(items), exportable=exportable))

    @rule(name=stores, number=numbers, password=st.sampled_from(["right", "wrong", None]), damaged=st.booleans())
    def import_pfx(self, name: str, number: int, password: str | None, damaged: bool) -> None:
        data = pfx(number)
        data = data[: len(data) // 2] if damaged else data
        self.on_store(
            name, lambda store: store.import_pfx(data, password, exportable=True, friendly_name="from a file")
        )

    @rule(name=stores, number=numbers, delete_key=st.booleans())
    def remove(self, name: str, number: int, delete_key: bool) -> None:
        self.on_store(name, lambda store: store.remove(made()[number].thumbprint, delete_key=delete_key))

    @rule(name=stores, number=numbers, friendly=friendly_names, newer=st.none() | numbers)
    def set_properties(self, name: str, number: int, friendly: str | None, newer: int | None) -> None:
        thumbprint: Thumbprint = made()[number].thumbprint
        renewed_by = None if newer is None else made()[newer].thumbprint
        self.on_store(name, lambda store: store.set_friendly_name(thumbprint, friendly))
        self.on_store(name, lambda store: store.set_renewed_by(thumbprint, renewed_by))

    @rule(name=stores, number=numbers, archived=st.booleans())
    def set_archived(self, name: str, number: int, archived: bool) -> None:
        if not under_wine():
            self.on_store(name, lambda store: store.set_archived(made()[number].thumbprint, archived))

    @rule(
        name=stores, number=numbers, replacing=st.lists(numbers, max_size=2), write=st.sampled_from([True, True, False])
    )
    def add_crl(self, name: str, number: int, replacing: list[int], write: bool) -> None:
        others = [crls()[other] for other in replacing]
        self.on_store(name, lambda store: store.add_crl(crls()[number], replacing=others), write=write)

    @rule(name=stores, number=numbers, write=st.sampled_from([True, True, False]))
    def remove_crl(self, name: str, number: int, write: bool) -> None:
        self.on_store(name, lambda store: store.remove_crl(crls()[number]), write=write)

    @rule(name=stores, number=numbers)
    def export_key(self, name: str, number: int) -> None:
        self.on_store(name, lambda store: store.export_key(made()[number].thumbprint))

    @rule(number=numbers, name=st.sampled_from([*STORES, "mlsssl-no-such-store"]))
    def diagnose(self, number: int, name: str) -> None:
        self.both(lambda machine: [item.cause for item in machine.diagnose(made()[number].thumbprint, name)])

    @rule(name=st.sampled_from(["mlsssl-no-such-store", "", "a\\b"]), write=st.booleans())
    def open_what_is_not_there(self, name: str, write: bool) -> None:
        self.both(lambda machine: machine.open_store(name, "LocalMachine", write=write))

    @rule(
        key=binding_keys,
        number=numbers,
        name=stores,
        owner=st.integers(1, 3),
        options=binding_options,
        update=st.booleans(),
    )
    def bind(self, key: BindingKey, number: int, name: str, owner: int, options: BindingOptions, update: bool) -> None:
        named = key.family.has_certificate
        record = BindingRecord(
            key=key,
            thumbprint=made()[number].thumbprint if named else None,
            store_name=name if named else None,
            app_id=uuid.UUID(int=owner),
            options=BindingOptions() if isinstance(key, CcsPort) else options,
        )
        self.both(lambda machine: (machine.bindings.update if update else machine.bindings.add)(record))

    @rule(key=binding_keys)
    def unbind(self, key: BindingKey) -> None:
        self.both(lambda machine: machine.bindings.remove(key))

    @rule(provider=st.sampled_from([None, "csp"]), exportable=st.booleans())
    def add_guarded(self, provider: Any, exportable: bool) -> None:
        item = made()[GUARDED]

        def work(store: StorePort) -> None:
            if store.find(item.thumbprint) is None:
                store.add(item.der, item.pkcs8, friendly_name=None, exportable=exportable, provider=provider)

        self.on_store(STORES[0], work)

    @rule()
    def remove_guarded(self) -> None:
        self.on_store(STORES[0], lambda store: store.remove(made()[GUARDED].thumbprint, delete_key=True))

    @rule(
        account=st.sampled_from(ACCOUNTS),
        right=st.sampled_from(["read", "full", None]),
        write=st.sampled_from([True, True, True, False]),
    )
    def change_access(self, account: Account, right: Any, write: bool) -> None:
        if under_wine():
            return
        thumbprint = made()[GUARDED].thumbprint

        def work(store: StorePort) -> None:
            if right is None:
                store.revoke_key_access(thumbprint, account)
            else:
                store.grant_key_access(thumbprint, account, right=right)

        self.on_store(STORES[0], work, write=write)

    @rule(url=st.sampled_from(URLS), text=st.sampled_from([*LISTS, *NO_LISTS]), replace=st.booleans())
    def reserve(self, url: UrlPrefix, text: str, replace: bool) -> None:
        record = ReservationRecord(url=url, sddl=text)
        if replace:
            self.both(lambda machine: recovery.replace_reservation(machine, record))
        else:
            self.both(lambda machine: recovery.add_reservation(machine, record))

    @rule(url=st.sampled_from(URLS))
    def unreserve(self, url: UrlPrefix) -> None:
        self.both(lambda machine: recovery.remove_reservation(machine, url))

    @rule()
    def recover(self) -> None:
        for machine in (self.embedded, self.windows):
            machine.recover()

    @invariant()
    def everything_agrees(self) -> None:
        for name in STORES:
            self.on_store(name, lambda store: sorted(store.thumbprints()), write=False)
            self.on_store(
                name, lambda store: sorted(store.records(), key=lambda record: record.certificate), write=False
            )
            self.on_store(name, lambda store: [store.find(item.thumbprint) for item in made()], write=False)
            self.on_store(name, lambda store: sorted(store.crls()), write=False)
        self.both(lambda machine: [machine.bindings.find(key) for key in KEYS])
        self.both(lambda machine: [record for record in machine.bindings.all() if record.key in KEYS])
        self.both(lambda machine: [machine.reservations.find(url) for url in URLS])
        self.both(lambda machine: [record for record in machine.reservations.all() if record.url in URLS])
        if not under_wine():
            self.on_store(STORES[0], guarded_access, write=False)
        if self.dlls is not None:
            assert self.dlls.calls.leaks == {}

    def teardown(self) -> None:
        for machine in (self.embedded, self.windows):
            for key in KEYS:
                with contextlib.suppress(MlssslError):
                    machine.bindings.remove(key)
            unreserve(machine)
            for name in STORES:
                with contextlib.closing(machine.open_store(name, "LocalMachine", write=True)) as store:
                    clear(store)
            machine.close()
        self._folder.cleanup()


class DifferentialWithoutCng(Differential):
    """The same over a Windows whose CNG keeps nothing, that writes at commit, and imports into one container.

    Its HTTP.sys writes access lists in its own words.
    """

    def fresh_computer(self) -> Computer:
        http = HttpState(keeps_words=False, folds_prefixes=True)
        return Computer(cng_keeps="nothing", writes="at-commit", pfx="wine", lists_keys=False, http=http)


def unreserve(machine: MachinePort) -> None:
    """Remove every reservation of these tests."""
    for url in URLS:
        with contextlib.suppress(ReservationNotFoundError):
            machine.reservations.remove(url)


def guarded_access(store: StorePort) -> list[str]:
    """What each account of these tests may do with the key that no other certificate has."""
    found = {(entry.sid, entry.right) for entry in store.key_access(made()[GUARDED].thumbprint)}
    rights: list[KeyRight] = ["full", "read"]
    return [next((right for right in rights if (one.sid, right) in found), "nothing") for one in ACCOUNTS]


def clear(store: StorePort) -> None:
    """Take every certificate of these tests out, with its key, and every revocation list."""
    for crl in store.crls():
        store.remove_crl(crl)
    for item in made():
        if store.find(item.thumbprint) is not None:
            store.remove(item.thumbprint, delete_key=True)


@functools.cache
def pfx(number: int) -> bytes:
    return made()[number].pfx("right")


SETTINGS = settings(
    max_examples=4 if REAL else 25,
    stateful_step_count=15 if REAL else 25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

TestDifferential = Differential.TestCase
TestDifferential.settings = SETTINGS

if not REAL:
    TestDifferentialWithoutCng = DifferentialWithoutCng.TestCase
    TestDifferentialWithoutCng.settings = SETTINGS


@pytest.mark.skipif(REAL, reason="a difference is made through the fakes")
def test_a_difference_is_noticed() -> None:
    """The failing twin: something changes on one of the two."""
    pair = Differential()
    try:
        pair.add(STORES[0], 0, True, False, None, None, True)
        pair.everything_agrees()
        with contextlib.closing(pair.windows.open_store(STORES[0], "LocalMachine", write=True)) as store:
            store.set_friendly_name(made()[0].thumbprint, "changed")
        with pytest.raises(AssertionError):
            pair.everything_agrees()
    finally:
        pair.teardown()


@pytest.mark.skipif(REAL, reason="a difference is made through the fakes")
@pytest.mark.parametrize("what", ["key", "reservation"])
def test_a_difference_of_access_is_noticed(what: str) -> None:
    """Of an access list, of either kind."""
    pair = Differential()
    try:
        pair.add_guarded(None, False)
        pair.change_access(ACCOUNTS[0], "read", True)
        pair.reserve(URLS[0], LISTS[0], False)
        pair.everything_agrees()
        if what == "key":
            with contextlib.closing(pair.windows.open_store(STORES[0], "LocalMachine", write=True)) as store:
                store.grant_key_access(made()[GUARDED].thumbprint, ACCOUNTS[0], right="full")
        else:
            pair.windows.reservations.remove(URLS[0])
            pair.windows.reservations.add(ReservationRecord(url=URLS[0], sddl=LISTS[1]))
        with pytest.raises(AssertionError):
            pair.everything_agrees()
    finally:
        pair.teardown()
