"""Where fakes used to be kinder than Windows may be: refused here as there, and the library lives with it.

What each of them imitates, and what is not known, is in `docs/provenance.md`.
"""

from __future__ import annotations

import datetime as dt
import logging
from functools import partial
from typing import TYPE_CHECKING, cast

import pytest

from mlsssl import (
    AccessDeniedError,
    Binding,
    BindingError,
    BindingOptions,
    CertificateAuthority,
    InvalidInputError,
    MlssslError,
    ReservationError,
    UnsupportedError,
    UrlReservation,
    audit,
    cleanup,
    deploy,
    recover,
    renew,
)
from mlsssl._fakes.calls import Calls
from mlsssl._fakes.computer import CURRENT_USER, LOCAL_MACHINE, Entry, FakeStore, ProvInfo
from mlsssl._fakes.httpapi import CCS, SslRecord
from mlsssl._formats.sddl import same
from mlsssl._native.cdata import ffi, wide
from mlsssl._windows.bindings import RETRY_DELAYS
from mlsssl._windows.machine import WindowsPort
from mlsssl.deployment import last_outcome
from mlsssl.testing import Computer, FakeCrypt32, FakeDlls, FakeNCrypt, FakeWindows, Misuse, fake_windows_machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlsssl._native.cdata import CData
    from mlsssl._windows.dlls import CertContext, CngKey

CA = CertificateAuthority.create("Strict fakes", key="ec-p256")
OLD, NEW = CA.issue("a.test"), CA.issue("a.test")
URL = "https://+:443/a/"
KEYS = ("0.0.0.0:443", "[::]:443", "a.test:443")


def waits_of(windows: FakeWindows) -> list[float]:
    """The seconds that were waited from now on, and no waiting."""
    waits: list[float] = []
    assert isinstance(windows.machine.port, WindowsPort)
    windows.machine.port.bindings._sleep = waits.append
    return waits


# -- a key of a moment ago ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("release", ["2016", "2019"])
@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("settling", [1, len(RETRY_DELAYS)])
def test_a_new_key_is_answered_87_and_waited_for(key: str, settling: int, release: str) -> None:
    """Deployed, renewed and undone, each with a key that HTTP.sys does not see at first."""
    computer = Computer(settling=settling)
    with fake_windows_machine(release=release, computer=computer) as windows:  # type: ignore[arg-type]
        waits = waits_of(windows)
        assert deploy(key, OLD, machine=windows.machine).changed
        assert waits == list(RETRY_DELAYS[:settling])
        waits.clear()
        outcome = renew(key, CA, machine=windows.machine)
        assert outcome.changed
        assert waits == list(RETRY_DELAYS[:settling])
        outcome.undo()
        assert windows.machine.bindings[key].thumbprint == OLD.thumbprint


def test_a_key_that_stays_unseen_ends_in_an_error_and_changes_nothing() -> None:
    """One look more than the library has patience for."""
    with fake_windows_machine(computer=Computer(settling=len(RETRY_DELAYS) + 1)) as windows:
        waits_of(windows)
        with pytest.raises(MlssslError):
            deploy(KEYS[0], OLD, machine=windows.machine)
        assert list(windows.machine.bindings) == []


def test_the_real_delays_are_in_force_on_a_machine() -> None:
    """Nothing but a test's own hands shortens them."""
    port = WindowsPort(FakeDlls())
    assert port.bindings._retry_delays == RETRY_DELAYS
    assert sum(RETRY_DELAYS) >= 10


# -- the export policy -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("exportable", [True, False])
def test_an_exportable_key_is_so_for_the_next_process(exportable: bool) -> None:
    """Through the key's own handle, opened again."""
    with fake_windows_machine() as windows:
        windows.machine.store("MY").add(NEW, exportable=exportable)
        again = windows.restart().store("MY")
        if exportable:
            assert again.export(NEW.thumbprint).private_key is not None
        else:
            with pytest.raises(AccessDeniedError):
                again.export(NEW.thumbprint)


def test_a_policy_without_the_flag_is_gone_after_reopening() -> None:
    """The failing twin: what the library would get if it left NCRYPT_PERSIST_FLAG out."""

    class Forgets(FakeNCrypt):
        def NCryptSetProperty(self, key: CngKey, name: CData, data: CData, size: int, _flags: int, /) -> int:
            return super().NCryptSetProperty(key, name, data, size, 0)

    with fake_windows_machine() as windows:
        windows.dlls.ncrypt = Forgets(windows.calls, windows.dlls.computer)
        try:
            windows.machine.store("MY").add(NEW, exportable=True)
        except MlssslError:
            return  # noticed as it was made: as good
        with pytest.raises(AccessDeniedError):
            windows.restart().store("MY").export(NEW.thumbprint)


# -- no administrator --------------------------------------------------------------------------------------------------


@pytest.fixture(name="guest")
def _guest() -> Iterator[FakeWindows]:
    """A computer that an administrator has set up, used by somebody who is none."""
    with fake_windows_machine() as windows:
        deploy(KEYS[0], OLD, reserve=URL, user="S-1-5-20", machine=windows.machine)
        windows.define_service("Demo")
        windows.dlls.computer.administrator = False
        windows.restart()
        yield windows


LOOKS: dict[str, Callable[[FakeWindows], object]] = {
    "bindings": lambda w: [w.machine.bindings[KEYS[0]], list(w.machine.bindings), w.machine.bindings.find("[::]:1")],
    "diagnose": lambda w: w.machine.bindings[KEYS[0]].diagnose(),
    "audit": lambda w: audit(machine=w.machine).rows[0],
    "stores": lambda w: [
        w.machine.store_names(),
        list(w.machine.store("MY")),
        w.machine.store("MY").find(host="a.test"),
    ],
    "check": lambda w: w.machine.store("MY")[OLD.thumbprint].check("a.test"),
    "plan": lambda w: deploy.plan(KEYS[0], OLD, machine=w.machine),
    "services": lambda w: w.machine.services["Demo"].status,
    "reservations": lambda w: [w.machine.reservations[URL], w.machine.reservations.find("http://+:1/")],
    "plan of a reservation": lambda w: deploy.plan(
        KEYS[0], OLD, reserve="https://+:443/b/", user="S-1-5-20", machine=w.machine
    ),
}


@pytest.mark.parametrize("look", LOOKS)
def test_who_is_no_administrator_may_look(guest: FakeWindows, look: str) -> None:
    """Nothing that only looks asks for the folder of administrators, or does without it."""
    assert LOOKS[look](guest) is not None


CHANGES: dict[str, Callable[[FakeWindows], object]] = {
    "deploy": lambda w: deploy(KEYS[0], NEW, machine=w.machine),
    "deploy first": lambda w: deploy(KEYS[2], NEW, machine=w.machine),
    "renew": lambda w: renew(KEYS[0], CA, machine=w.machine),
    "cleanup": lambda w: cleanup(machine=w.machine),
    "recover": lambda w: recover(machine=w.machine),
    "last outcome": lambda w: last_outcome(KEYS[0], machine=w.machine),
    "store": lambda w: w.machine.store("MY").add(NEW),
    "pfx": lambda w: w.machine.store("MY").import_pfx(NEW.to_pfx("x"), "x"),
    "remove": lambda w: w.machine.store("MY").remove(OLD.thumbprint),
    "binding": lambda w: w.machine.bindings[KEYS[0]].remove(),
    "update": lambda w: w.machine.bindings[KEYS[0]].update(),
    "reserve": lambda w: w.machine.reservations.add("https://+:443/b/", user="S-1-5-20"),
    "deploy a reservation": lambda w: deploy(KEYS[0], OLD, reserve=URL, user="S-1-5-18", machine=w.machine),
    "update of a reservation": lambda w: w.machine.reservations[URL].with_user("S-1-5-18").update(),
    "removal of a reservation": lambda w: w.machine.reservations[URL].remove(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_who_is_no_administrator_changes_nothing(guest: FakeWindows, change: str) -> None:
    """One error says which right is missing, and everything is as it was."""

    def state() -> tuple[object, ...]:
        computer = guest.dlls.computer
        kept = dict(computer.bindings), dict(computer.http.reservations), set(computer.containers)
        return (*kept, list(guest.machine.store("MY")))

    before = state()
    with pytest.raises(AccessDeniedError) as caught:
        CHANGES[change](guest)
    assert caught.value.right in ("administrator", "write")
    assert "dministrator" in str(caught.value)
    assert before == state()


def test_the_users_own_store_needs_no_administrator(guest: FakeWindows) -> None:
    """Keys, notes about unfinished keys and certificates are the user's."""
    store = guest.machine.store("MY", location="CurrentUser")
    store.add(NEW)
    assert store[NEW.thumbprint].has_private_key
    store.remove(NEW.thumbprint)
    assert list(store) == []


def test_reservations_that_are_not_shown_stop_no_audit(guest: FakeWindows) -> None:
    """Bindings are told of all the same, and what was not looked at is said."""
    assert [str(one.url) for one in audit(machine=guest.machine).reservations] == [URL]
    guest.dlls.computer.http.shows_to_all = False
    found = audit(machine=guest.machine)
    assert (len(found.rows), found.reservations) == (1, ())
    (note,) = found.notes
    assert note.startswith("URL reservations could not be looked at: only an administrator")
    assert f"note: {note}" in str(found)
    with pytest.raises(AccessDeniedError, match="elevated"):
        list(guest.machine.reservations)


# -- what HTTP.sys makes of a reservation ------------------------------------------------------------------------------


@pytest.mark.parametrize("keeps_words", [True, False])
@pytest.mark.parametrize("folds", [True, False])
def test_a_reservation_in_other_words_is_the_same(keeps_words: bool, folds: bool) -> None:
    """Deployed again, replaced as it was read, undone: no change is taken for somebody else's."""
    with fake_windows_machine() as windows:
        http, machine = windows.dlls.computer.http, windows.machine
        http.keeps_words, http.folds_prefixes = keeps_words, folds
        assert deploy(KEYS[0], OLD, reserve=URL, user="NETWORK SERVICE", machine=machine).changed
        assert http.reservations == {URL: "D:(A;;GX;;;S-1-5-20)" if keeps_words else "D:(A;;GX;;;NS)"}
        assert not deploy(KEYS[0], OLD, reserve=URL, user="S-1-5-20", machine=machine).changed
        outcome = deploy(KEYS[0], OLD, reserve=URL, user="S-1-5-18", machine=machine)
        assert outcome.changed
        outcome.undo()
        assert same(http.reservations[URL], "D:(A;;GX;;;NS)")
        made = UrlReservation("https://+:443/b/", sddl="D:(A;;0x10000000;;;S-1-1-0)", machine=machine).add()
        made.with_user("S-1-5-20").update()
        machine.reservations["https://+:443/B/"].with_user("S-1-5-19").update()
        assert same(http.reservations["https://+:443/b/"], "D:(A;;GX;;;LS)")
        machine.reservations["https://+:443/b/"].remove()
        assert list(http.reservations) == [URL]


def test_who_else_changed_it_is_noticed_in_other_words_too() -> None:
    """The failing twin: other words are the same, other rights are not."""
    with fake_windows_machine() as windows:
        http, machine = windows.dlls.computer.http, windows.machine
        http.keeps_words = False
        made = machine.reservations.add(URL, user="S-1-5-20")
        http.reservations[URL] = "D:(A;;GA;;;NS)"
        with pytest.raises(ReservationError, match="changed since it was read"):
            made.with_user("S-1-5-18").update()
        assert http.reservations == {URL: "D:(A;;GA;;;NS)"}


# -- a store that does not open ----------------------------------------------------------------------------------------

CODES = (1355, 0x8007203A, 5)  # no such domain, no such server, access denied


@pytest.fixture(name="closed", params=CODES)
def _closed(request: pytest.FixtureRequest) -> Iterator[FakeWindows]:
    """A computer with a store that is listed in both locations and does not open."""
    computer = Computer()
    for location in (CURRENT_USER, LOCAL_MACHINE):
        computer.stores[location, "userds"] = FakeStore("UserDS")
        computer.unopenable[location, "userds"] = request.param
    with fake_windows_machine(computer=computer) as windows:
        yield windows


def test_one_store_that_does_not_open_stops_nothing_else(closed: FakeWindows, caplog: pytest.LogCaptureFixture) -> None:
    """The whole life of a certificate beside it."""
    machine = closed.machine
    with caplog.at_level(logging.WARNING, logger="mlsssl"):
        deploy(KEYS[0], OLD, machine=machine)
        assert renew(KEYS[0], CA, machine=machine, grace=dt.timedelta(0)).changed
        assert audit(machine=machine).rows
        assert "UserDS" in machine.store_names()
        cleaned = cleanup(machine=machine, grace=dt.timedelta(0))
        last_outcome(KEYS[0], machine=machine)
        machine.store("MY").import_pfx(NEW.to_pfx("x"), "x")
        (said,) = recover(machine=machine)
        with pytest.raises(MlssslError, match="UserDS"):
            list(machine.store("UserDS"))
    # The certificate goes; its key might be named in the store that nobody could look into.
    assert [one.thumbprint for one in cleaned.removed] == [OLD.thumbprint]
    assert "left the private key" in said
    assert "UserDS" in said
    closed.dlls.computer.unopenable.clear()
    assert [line.partition(" the private key")[0] for line in recover(machine=machine)] == ["deleted"]
    assert "UserDS was not looked into" in caplog.text


def test_no_key_goes_that_an_unread_store_may_need(closed: FakeWindows) -> None:
    """The certificate goes and its key stays; with the store read, the key goes too."""
    store = closed.machine.store("MY")
    store.add(OLD)
    store.remove(OLD.thumbprint)
    assert len(closed.dlls.computer.containers) == 1
    assert list(store) == []
    closed.dlls.computer.unopenable.clear()
    store.add(NEW)
    store.remove(NEW.thumbprint)
    assert len(closed.dlls.computer.containers) <= 1
    recover(machine=closed.machine)
    assert closed.dlls.computer.containers == set()


# -- options of the central store --------------------------------------------------------------------------------------

OPTIONED = SslRecord(
    config_id=CCS,
    address=b"\2\0\x01\xbb" + bytes(12),
    numbers={"DefaultFlags": 0x10, "DefaultCertCheckMode": 0},
    texts={"pSslCertStoreName": None},
)


@pytest.mark.parametrize("release", ["2016", "2019"])
@pytest.mark.parametrize("what", ["refused", "kept"])
def test_options_of_the_central_store_are_never_written(what: str, release: str) -> None:
    """Whatever HTTP.sys would do with them; without options a record is written."""
    with fake_windows_machine(release=release, computer=Computer(ccs_options=what)) as windows:  # type: ignore[arg-type]
        with pytest.raises(InvalidInputError, match="takes no options"):
            Binding("ccs=443", options=BindingOptions(http2=False), machine=windows.machine).add()
        assert list(windows.machine.bindings) == []
        plain = Binding("ccs=443", machine=windows.machine).add()
        assert windows.machine.bindings["ccs=443"] == plain


@pytest.mark.parametrize("release", ["2016", "2019"])
def test_kept_options_of_others_are_read_and_only_taken_away_whole(release: str) -> None:
    """A record that another program wrote on a Windows that keeps them."""
    with fake_windows_machine(release=release, computer=Computer(ccs_options="kept")) as windows:  # type: ignore[arg-type]
        windows.dlls.httpapi.put(OPTIONED)
        found = windows.machine.bindings["ccs=443"]
        assert found.options == BindingOptions(http2=False)
        assert [row.key for row in audit(machine=windows.machine).rows] == [found.key]
        with pytest.raises(InvalidInputError, match="takes no options"):
            found.update()
        assert windows.dlls.httpapi.records == {OPTIONED.key: OPTIONED}
        without = found.with_options(BindingOptions())
        if release == "2016":  # deleted and set: what was there could not be put back
            with pytest.raises(BindingError, match="nothing was done: what is bound to ccs=443 has options"):
                without.update()
            assert windows.dlls.httpapi.records == {OPTIONED.key: OPTIONED}
        else:
            without.update()
            assert windows.machine.bindings["ccs=443"].options == BindingOptions()
        windows.machine.bindings["ccs=443"].remove()
        assert list(windows.machine.bindings) == []


@pytest.mark.parametrize(("what", "code"), [("refused", 87), ("kept", 0)])
def test_the_fake_has_both(what: str, code: int) -> None:
    """By the calls themselves: what the library never writes."""
    dlls = FakeDlls(Computer(ccs_options=what))  # type: ignore[arg-type]
    structure = ffi.new("HTTP_SERVICE_CONFIG_SSL_CCS_SET *")
    storage = ffi.cast("BYTE *", ffi.addressof(structure.KeyDesc, "LocalAddress"))
    storage[0], storage[2], storage[3] = 2, 1, 0xBB
    structure.ParamDesc.DefaultFlags = 0x10
    version = ffi.new("HTTPAPI_VERSION *", {"HttpApiMajorVersion": 2})
    assert dlls.httpapi.HttpInitialize(version[0], 2, ffi.NULL) == 0
    size = ffi.sizeof("HTTP_SERVICE_CONFIG_SSL_CCS_SET")
    assert dlls.httpapi.HttpSetServiceConfiguration(ffi.NULL, CCS, structure, size, ffi.NULL) == code
    assert dlls.httpapi.HttpTerminate(2, ffi.NULL) == 0


# -- the user's roots --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("location", "opens"), [(CURRENT_USER, True), (LOCAL_MACHINE, False)])
@pytest.mark.parametrize("work", ["add", "remove"])
def test_a_dialog_is_a_bug_in_the_caller(work: str, location: int, opens: bool) -> None:
    """The fake itself: no code comes back from a dialog that nobody answers. In LocalMachine there is none."""
    computer, der = Computer(), CA.certificate.to_der()
    if work == "remove":
        computer.stores[location, "root"].entries.append(Entry(der))
    crypt32 = FakeCrypt32(Calls(), computer)
    name = wide("rOOt")  # names of stores have no case
    store = crypt32.CertOpenStore(ffi.cast("char *", 10), 0, ffi.NULL, location | 0x4000, ffi.cast("void *", name))
    if work == "add":
        made = crypt32.CertCreateCertificateContext(0x10001, ffi.from_buffer("BYTE[]", der), len(der))
        change = partial(crypt32.CertAddCertificateContextToStore, store, made, 1, ffi.NULL)
    else:
        found = crypt32.CertEnumCertificatesInStore(store, cast("CertContext", ffi.NULL))
        change = partial(crypt32.CertDeleteCertificateFromStore, found)
    if opens:
        with pytest.raises(Misuse, match="dialog"):
            change()
    else:
        assert change()


def test_no_way_through_the_library_opens_it() -> None:
    """Each is refused before Windows is asked; a mutation of this refusal would be a `Misuse` here."""
    root = CA.certificate
    with fake_windows_machine() as windows:
        users = windows.machine.store("Root", location="CurrentUser")
        asked: list[Callable[[], object]] = [
            lambda: users.add(root),
            lambda: users.add_all([root]),
            lambda: users.import_pfx(NEW.to_pfx("x"), "x"),
            lambda: users.remove(root.thumbprint),
            lambda: windows.machine.store("MY", location="CurrentUser").add(NEW, trust_root=True),
            lambda: windows.machine.store("MY", location="CurrentUser").import_pfx(
                NEW.to_pfx("x"), "x", trust_root=True
            ),
        ]
        for ask in asked:
            with pytest.raises(UnsupportedError, match="dialog"):
                ask()
        assert windows.dlls.computer.containers == set()
        windows.machine.store("MY").add(NEW, trust_root=True)  # the machine's own needs none
        assert [one.thumbprint for one in windows.machine.store("Root")] == [root.thumbprint]


# -- a profile that is new ---------------------------------------------------------------------------------------------


def test_a_users_store_that_is_not_there_yet() -> None:
    """A fresh profile has no MY before something was put in: audits and removals look past it, `add` makes it."""
    with fake_windows_machine() as windows:
        del windows.dlls.computer.stores[CURRENT_USER, "my"]
        deploy(KEYS[0], OLD, machine=windows.machine)
        assert audit(machine=windows.machine).rows
        windows.machine.bindings[KEYS[0]].remove()
        windows.machine.store("MY").remove(OLD.thumbprint)
        assert windows.dlls.computer.containers == set()
        windows.machine.store("MY", location="CurrentUser", create=True).add(NEW)
        link = windows.dlls.computer.stores[CURRENT_USER, "my"].entries[0].properties[2]
        assert isinstance(link, ProvInfo)
        assert not link.flags & 0x20
