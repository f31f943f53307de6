"""What only a Windows has: rights, links that lead nowhere, other people's keys, files read in its own way."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, cast

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from made_certificates import Made, make, shared_key
from mlsssl._fakes.computer import CURRENT_USER, LOCAL_MACHINE, Computer, FakeKey, FakeStore, ProvInfo
from mlsssl._fakes.dlls import FakeDlls
from mlsssl._machine import private_files
from mlsssl._machine.ports import Cause
from mlsssl._native.cdata import NULL, text_at
from mlsssl._windows.keys import pending as pending_module
from mlsssl.errors import (
    AccessDeniedError,
    MalformedDataError,
    NativeError,
    StoreError,
    StoreNotFoundError,
    UnsupportedError,
)
from windows.stores_machine import WindowsStoresMachine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlsssl._machine.ports import StoreRecord
    from mlsssl._native.cdata import CData
    from mlsssl._windows.dlls import CngKey, StoreHandle
    from mlsssl._windows.stores import WindowsStore

CSP = "Microsoft Enhanced RSA and AES Cryptographic Provider"
CNG = "Microsoft Software Key Storage Provider"
KEY_PROV_INFO = 2


@functools.cache
def rsa_key(_number: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


ONE = make("one.example", key=rsa_key(1))
TWO = make("two.example", key=rsa_key(2))
EC = make("ec.example", key=shared_key(1))


@pytest.fixture
def dlls() -> Iterator[FakeDlls]:
    fakes = FakeDlls()
    yield fakes
    assert fakes.calls.leaks == {}


@pytest.fixture
def machine(dlls: FakeDlls, tmp_path: Path) -> WindowsStoresMachine:
    return WindowsStoresMachine(dlls, tmp_path)


def my(machine: WindowsStoresMachine) -> WindowsStore:
    return machine.open_store("MY", "LocalMachine", write=True)


def add(store: WindowsStore, made: Made, *, exportable: bool = False) -> StoreRecord:
    return store.add(made.der, made.pkcs8, friendly_name=None, exportable=exportable, provider=None)


def relink(dlls: FakeDlls, made: Made, **changes: object) -> None:
    """Change what a certificate in the machine's MY says about its key."""
    entry = next(e for e in dlls.computer.stores[LOCAL_MACHINE, "my"].entries if e.der == made.der)
    old = entry.properties[KEY_PROV_INFO]
    assert isinstance(old, ProvInfo)
    fields = {name: getattr(old, name) for name in ("container", "provider", "provider_type", "flags", "key_spec")}
    entry.properties[KEY_PROV_INFO] = ProvInfo(**(fields | changes))


def causes(machine: WindowsStoresMachine, made: Made) -> list[Cause]:
    return [item.cause for item in machine.diagnose(made.thumbprint, "MY")]


# ---- rights ----


def test_who_is_no_administrator_is_told_so(tmp_path: Path) -> None:
    """Reading the machine's store and changing one's own work; the rest names the missing right and the call."""
    machine = WindowsStoresMachine(FakeDlls(Computer(administrator=False)), tmp_path)
    assert list(machine.open_store("MY", "LocalMachine").records()) == []
    with pytest.raises(AccessDeniedError, match="administrator") as caught:
        my(machine)
    assert caught.value.right == "administrator"
    assert isinstance(caught.value.__cause__, NativeError)
    assert caught.value.__cause__.function == "CertOpenStore"
    record = add(machine.open_store("MY", "CurrentUser", write=True), ONE)
    assert record.key is not None
    assert record.key.usable


def test_a_busy_lock_is_waited_for_and_then_told(
    machine: WindowsStoresMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else adds: our error, not a time-out of Python's."""
    monkeypatch.setattr(pending_module, "LOCK_TIMEOUT", 0.05)
    store = my(machine)
    with private_files.lock(tmp_path / "keys.lock", timeout=1), pytest.raises(StoreError, match="another process"):
        add(store, ONE)
    assert add(store, ONE).key is not None


# ---- what a link leads to ----


def test_a_link_to_nothing_is_seen(dlls: FakeDlls, machine: WindowsStoresMachine) -> None:
    """The key file was deleted by hand."""
    add(my(machine), ONE)
    dlls.computer.cng.clear()
    (record,) = my(machine).records()
    assert record.key is not None
    assert not record.key.usable
    assert record.key.problem == "NCryptOpenKey: 0x80090016 (NTE_BAD_KEYSET)"
    assert causes(machine, ONE) == [Cause.KEY_NOT_FOUND]


def test_the_key_of_another_is_seen(dlls: FakeDlls, machine: WindowsStoresMachine) -> None:
    """A link to a container that holds another key: it opens, and is still no key of this certificate."""
    add(my(machine), ONE)
    other = add(my(machine), TWO)
    assert other.key is not None
    relink(dlls, ONE, container=other.key.container)
    record = my(machine).find(ONE.thumbprint)
    assert record is not None
    assert record.key is not None
    assert (record.key.persisted, record.key.matches, record.key.usable) == (True, False, False)
    assert causes(machine, ONE) == [Cause.KEY_MISMATCH]
    assert causes(machine, TWO) == []


def test_a_users_key_behind_a_machine_certificate_is_seen_and_replaced(
    dlls: FakeDlls, machine: WindowsStoresMachine
) -> None:
    """The commonest 1312. Adding again moves the key: the user's copy is gone, the machine has one."""
    add(my(machine), ONE)
    ((_, name),) = dlls.computer.cng
    dlls.computer.cng[False, name] = dlls.computer.cng.pop((True, name))
    relink(dlls, ONE, flags=0)
    assert causes(machine, ONE) == [Cause.USER_KEYSET]
    record = add(my(machine), ONE)
    assert record.key is not None
    assert record.key.machine_keyset
    assert causes(machine, ONE) == []
    assert [place for place, _ in dlls.computer.cng] == [True]


def test_the_older_providers_key_behind_an_odd_key_spec_opens(dlls: FakeDlls, machine: WindowsStoresMachine) -> None:
    """Some importers write a key spec that is neither of the two."""
    store = my(machine)
    store.add(ONE.der, ONE.pkcs8, friendly_name=None, exportable=False, provider="csp")
    relink(dlls, ONE, key_spec=3)
    record = store.find(ONE.thumbprint)
    assert record is not None
    assert record.key is not None
    assert record.key.usable


def test_a_link_without_a_container_never_reaches_the_default_one(
    dlls: FakeDlls, machine: WindowsStoresMachine
) -> None:
    """An empty name means somebody's default container to the older providers: it is neither opened nor deleted."""
    store = my(machine)
    store.add(ONE.der, ONE.pkcs8, friendly_name=None, exportable=False, provider="csp")
    for container in (None, ""):
        relink(dlls, ONE, container=container)
        record = store.find(ONE.thumbprint)
        assert record is not None
        assert record.key is not None
        assert not record.key.usable
    store.remove(ONE.thumbprint, delete_key=True)
    assert len(dlls.computer.csp) == 1  # nothing says whose it is any more


# ---- other people's keys ----


def test_a_key_that_is_not_the_certificates_is_not_deleted_with_it(
    dlls: FakeDlls, machine: WindowsStoresMachine
) -> None:
    """A foreign container with another key in it."""
    store = my(machine)
    add(store, ONE)
    dlls.computer.csp[True, "theirs"] = {1: FakeKey(rsa_key(2))}
    relink(dlls, ONE, container="theirs", provider=CSP, provider_type=24, key_spec=1)
    store.remove(ONE.thumbprint, delete_key=True)
    assert (True, "theirs") in dlls.computer.csp


def test_a_foreign_container_with_the_certificates_key_goes_with_it(
    dlls: FakeDlls, machine: WindowsStoresMachine
) -> None:
    """As the import wizard left it: asked for, its own, used by nobody else."""
    store = my(machine)
    add(store, ONE)
    dlls.computer.cng.clear()
    dlls.computer.csp[True, "theirs"] = {1: FakeKey(rsa_key(1))}
    relink(dlls, ONE, container="Theirs", provider=CSP, provider_type=24, key_spec=1)
    store.remove(ONE.thumbprint, delete_key=True)
    assert dlls.computer.csp == {}


def test_a_shared_container_stays_until_its_last_user_goes(dlls: FakeDlls, machine: WindowsStoresMachine) -> None:
    """Names compare without case; a copy in another store is a user too."""
    store = my(machine)
    renewed = make("one.example", key=rsa_key(1), days=60)
    first = add(store, ONE)
    add(store, renewed)
    assert first.key is not None
    relink(dlls, renewed, container=first.key.container.upper())
    store.remove(ONE.thumbprint, delete_key=True)
    record = store.find(renewed.thumbprint)
    assert record is not None
    assert record.key is not None
    assert record.key.usable
    store.remove(renewed.thumbprint, delete_key=True)
    assert (True, first.key.container.casefold()) not in dlls.computer.cng


def test_the_last_key_of_a_certificate_without_a_link_stays(dlls: FakeDlls, machine: WindowsStoresMachine) -> None:
    """A renewal with the old key whose link was never set: taking its key away could not be mended."""
    store = my(machine)
    renewed = make("one.example", key=rsa_key(1), days=60)
    add(store, ONE)
    store.add(renewed.der, None, friendly_name=None, exportable=False, provider=None)
    store.remove(ONE.thumbprint, delete_key=True)
    assert len(dlls.computer.cng) == 1


def test_recover_touches_nothing_that_it_was_not_told_of(
    dlls: FakeDlls, machine: WindowsStoresMachine, tmp_path: Path
) -> None:
    """A key of a waiting request, a file that is not ours: both stay."""
    dlls.computer.cng[True, "waiting request"] = FakeKey(rsa_key(2))
    dlls.computer.key_names["waiting request"] = "waiting request"
    folder = private_files.private_folder(tmp_path / "keys")
    (folder / "odd.json").write_bytes(b"{}")
    (folder / "odder.json").write_bytes(b"\xff")
    lines = machine.recover()
    assert len(lines) == 2
    assert all("alone" in line for line in lines)
    assert (True, "waiting request") in dlls.computer.cng
    add(my(machine), ONE)  # nor does it stand in the way


# ---- CNG and the older provider ----


def test_cng_alone_is_refused_where_it_keeps_nothing(tmp_path: Path) -> None:
    """Asked for CNG: an error that says what it did; not asked: the older provider."""
    dlls = FakeDlls(Computer(cng_keeps="nothing"))
    store = my(WindowsStoresMachine(dlls, tmp_path))
    with pytest.raises(UnsupportedError, match="reported success"):
        store.add(ONE.der, ONE.pkcs8, friendly_name=None, exportable=False, provider="cng")
    assert dlls.computer.containers == set()
    record = add(store, ONE)
    assert record.key is not None
    assert record.key.provider == CSP


def test_cng_is_the_first_choice(dlls: FakeDlls, machine: WindowsStoresMachine) -> None:
    """And its key is not for export."""
    record = add(my(machine), ONE)
    assert record.key is not None
    assert (record.key.provider, record.key.exportable) == (CNG, False)
    ((_, key),) = dlls.computer.cng.items()
    assert key.policy == 0


@pytest.mark.parametrize("made", [ONE, EC], ids=["rsa", "ec"])
def test_a_key_that_may_leave_only_encrypted_is_exported(
    dlls: FakeDlls, machine: WindowsStoresMachine, made: Made
) -> None:
    """What Windows' own import marks as exportable: plain export is refused, PKCS#8 under a password is not."""
    store = my(machine)
    add(store, made, exportable=True)
    ((_, key),) = dlls.computer.cng.items()
    key.policy = 1
    record = store.find(made.thumbprint)
    assert record is not None
    assert record.key is not None
    assert record.key.exportable
    assert store.export_key(made.thumbprint) == made.pkcs8
    key.policy = 0
    with pytest.raises(AccessDeniedError, match="may not leave"):
        store.export_key(made.thumbprint)


# ---- PFX ----


def imported(dlls: FakeDlls, tmp_path: Path, made: Made, password: str | None = "x") -> StoreRecord:
    store = my(WindowsStoresMachine(dlls, tmp_path))
    record, _ = store.import_pfx(made.pfx(password), password, exportable=False, friendly_name=None)
    assert record.key is not None
    assert record.key.usable
    assert record.key.machine_keyset
    assert not list((tmp_path / "keys").iterdir())
    return record


@pytest.mark.parametrize("made", [ONE, EC], ids=["rsa", "ec"])
def test_windows_own_import_is_used_where_it_serves(tmp_path: Path, made: Made) -> None:
    """The container has the name that Windows gave it."""
    dlls = FakeDlls()
    record = imported(dlls, tmp_path, made)
    assert record.key is not None
    assert record.key.container.startswith("{")
    assert len(dlls.computer.containers) == 1


def test_a_file_that_server_2016_cannot_read_is_imported_all_the_same(tmp_path: Path) -> None:
    """Windows would call the password wrong; the key goes in by our own hand."""
    dlls = FakeDlls(Computer(pfx="2016"))
    record = imported(dlls, tmp_path, ONE)
    assert record.key is not None
    assert record.key.container.startswith("mlsssl-")
    assert len(dlls.computer.containers) == 1


def test_an_import_into_a_shared_container_is_not_used(tmp_path: Path) -> None:
    """Every key in one container named after the user: the last would win, so none is left there."""
    dlls = FakeDlls(Computer(pfx="wine", cng_keeps="nothing", lists_keys=False))
    records = [imported(dlls, tmp_path, made) for made in (ONE, TWO)]
    assert len({record.key.container for record in records if record.key}) == 2
    assert len(dlls.computer.containers) == 2
    assert (True, "root") not in dlls.computer.csp


def test_an_import_never_takes_a_container_that_a_certificate_has(tmp_path: Path) -> None:
    """Windows put the key where another certificate's is: ours is made apart, and theirs is not deleted."""
    dlls = FakeDlls(Computer(pfx="wine", cng_keeps="nothing"))
    store = my(WindowsStoresMachine(dlls, tmp_path))
    store.add(TWO.der, TWO.pkcs8, friendly_name=None, exportable=False, provider="csp")
    ((_, name),) = dlls.computer.csp
    dlls.computer.csp[True, "root"] = dlls.computer.csp.pop((True, name))
    dlls.computer.key_names["root"] = "root"
    relink(dlls, TWO, container="root")
    record = imported(dlls, tmp_path, ONE)
    assert record.key is not None
    assert record.key.container != "root"
    assert (True, "root") in dlls.computer.csp


def test_a_pfx_without_a_key_is_refused(machine: WindowsStoresMachine) -> None:
    """Certificates alone are added one by one."""
    from cryptography.hazmat.primitives.serialization import NoEncryption, pkcs12

    data = pkcs12.serialize_key_and_certificates(None, None, ONE.certificate, None, NoEncryption())
    with pytest.raises(MalformedDataError, match="no certificate with its private key"):
        my(machine).import_pfx(data, None, exportable=False, friendly_name=None)


def test_where_containers_cannot_be_listed_windows_does_not_import(tmp_path: Path) -> None:
    """A container that Windows names could be lost by a kill; ours is written down, so the key goes in by hand."""
    dlls = FakeDlls()
    failures = iter([0x80090020])  # NTE_FAIL

    def fail_once(name: str) -> None:
        if name == "NCryptEnumKeys" and (code := next(failures, 0)):
            dlls.calls.faults[len(dlls.calls.names)] = code

    dlls.calls.before = fail_once
    record = imported(dlls, tmp_path, ONE)
    assert record.key is not None
    assert record.key.container.startswith("mlsssl-")
    assert "PFXImportCertStore" not in dlls.calls.names


USERDS = (CURRENT_USER, "userds")
UNOPENED = (1355, 0x8007203A, 5)
"""ERROR_NO_SUCH_DOMAIN and ERROR_DS_SERVER_DOWN of a domain's store without its controller, ERROR_ACCESS_DENIED."""


@pytest.fixture(params=UNOPENED, ids=hex)
def unopened(dlls: FakeDlls, request: pytest.FixtureRequest) -> set[str]:
    """The stores that exist and do not open: one of the user's, until it is taken out of this set."""
    dlls.computer.stores[USERDS] = FakeStore("UserDS")
    names = {"UserDS"}
    opening = dlls.crypt32.CertOpenStore

    def open_store(provider: CData, encoding: int, legacy: CData, flags: int, name: CData) -> StoreHandle:
        if name and text_at(name, 64) in names:
            dlls.calls.last_error = request.param
            return cast("StoreHandle", NULL)
        return opening(provider, encoding, legacy, flags, name)

    dlls.crypt32.CertOpenStore = open_store  # type: ignore[method-assign]
    return names


@pytest.mark.usefixtures("unopened")
def test_a_store_that_does_not_open_stops_no_import(
    machine: WindowsStoresMachine, dlls: FakeDlls, caplog: pytest.LogCaptureFixture
) -> None:
    """The others tell enough; which one was not looked into is said."""
    store = my(machine)
    record, _ = store.import_pfx(ONE.pfx("x"), "x", exportable=False, friendly_name=None)
    assert record.key is not None
    assert record.key.usable
    assert len(dlls.computer.containers) == 1
    assert "CurrentUser\\UserDS was not looked into" in caplog.text
    assert add(store, TWO).key is not None
    assert machine.recover() == []


def test_a_key_stays_while_a_store_does_not_open_that_may_need_it(
    machine: WindowsStoresMachine, dlls: FakeDlls, unopened: set[str], tmp_path: Path
) -> None:
    """The certificate goes at once; the key when it is known that nobody else names it, and never before."""
    store = my(machine)
    add(store, ONE)
    store.remove(ONE.thumbprint, delete_key=True)
    assert store.find(ONE.thumbprint) is None
    assert len(dlls.computer.containers) == 1
    for _ in range(2):
        (line,) = machine.recover()
        assert "left the private key mlsssl-" in line
        assert "CurrentUser\\UserDS, which was not looked into" in line
    assert len(dlls.computer.containers) == 1
    unopened.clear()
    (line,) = machine.recover()
    assert line.startswith("deleted the private key mlsssl-")
    assert dlls.computer.containers == set()
    assert list((tmp_path / "keys").glob("*.json")) == []


def test_a_key_that_the_unopened_store_needs_is_kept_for_good(
    machine: WindowsStoresMachine, dlls: FakeDlls, unopened: set[str]
) -> None:
    """Its certificate there names the same container."""
    store = my(machine)
    add(store, ONE)
    dlls.computer.stores[USERDS].entries.append(dlls.computer.stores[LOCAL_MACHINE, "my"].entries[0].copy())
    store.remove(ONE.thumbprint, delete_key=True)
    unopened.clear()
    assert machine.recover() == []
    assert len(dlls.computer.containers) == 1


@pytest.mark.usefixtures("unopened")
def test_a_store_that_does_not_open_hides_no_cause(machine: WindowsStoresMachine) -> None:
    """The certificate is found where it is, in the stores that open."""
    machine.open_store("CA", "LocalMachine", write=True).add(
        ONE.der, None, friendly_name=None, exportable=False, provider=None
    )
    (found,) = machine.diagnose(ONE.thumbprint, "MY")
    assert found.cause is Cause.WRONG_STORE


def test_a_location_whose_stores_cannot_be_listed_keeps_keys(machine: WindowsStoresMachine, dlls: FakeDlls) -> None:
    """As a store that does not open."""
    store = my(machine)
    add(store, ONE)
    listing = dlls.crypt32.CertEnumSystemStore

    def refuse_the_user(location: int, *rest: object) -> int:
        if location == CURRENT_USER:
            dlls.calls.last_error = 5
            return 0
        return listing(location, *rest)  # type: ignore[arg-type]

    dlls.crypt32.CertEnumSystemStore = refuse_the_user  # type: ignore[method-assign]
    store.remove(ONE.thumbprint, delete_key=True)
    assert len(dlls.computer.containers) == 1
    (line,) = machine.recover()
    assert "CurrentUser, which was not looked into" in line


def test_an_export_policy_is_kept_with_the_key(machine: WindowsStoresMachine, dlls: FakeDlls) -> None:
    """NCRYPT_PERSIST_FLAG, before the key is finalised: another process reads back what was set."""
    setting = dlls.ncrypt.NCryptSetProperty
    flags: dict[str, int] = {}

    def note(key: CngKey, name: CData, data: CData, size: int, given: int) -> int:
        flags[text_at(name, 64)] = given
        return setting(key, name, data, size, given)

    dlls.ncrypt.NCryptSetProperty = note  # type: ignore[method-assign]
    made = add(my(machine), EC, exportable=True)
    assert made.key is not None
    assert made.key.exportable is True
    another = WindowsStoresMachine(FakeDlls(dlls.computer), machine.stores.pending["LocalMachine"]._folder())
    assert my(another).export_key(EC.thumbprint) == EC.pkcs8
    assert flags == {"ECCPRIVATEBLOB": 0, "Export Policy": 0x80000000}


def test_a_users_store_that_was_never_used_says_what_to_do(machine: WindowsStoresMachine, dlls: FakeDlls) -> None:
    """A fresh profile has no MY until something is put in."""
    del dlls.computer.stores[CURRENT_USER, "my"]
    with pytest.raises(StoreNotFoundError, match=r"CurrentUser\\MY.*create=True"):
        machine.open_store("MY", "CurrentUser")
    with pytest.raises(StoreNotFoundError, match=r"CurrentUser\\MY"):
        machine.open_store("MY", "CurrentUser", write=True)
    assert list(machine.open_store("MY", "CurrentUser", create=True).thumbprints()) == []


def test_an_import_looks_through_all_stores_once(machine: WindowsStoresMachine, dlls: FakeDlls) -> None:
    """A machine may have thousands: a container that was not there before can serve nobody else."""
    record, _ = my(machine).import_pfx(ONE.pfx("x"), "x", exportable=False, friendly_name=None)
    assert record.key is not None
    assert record.key.usable
    assert dlls.calls.names.count("CertEnumSystemStore") == 2  # the machine's and the user's
