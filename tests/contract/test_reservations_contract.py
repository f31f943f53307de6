"""What every machine's URL reservations and other configuration of HTTP.sys do alike.

A machine may hold reservations of its own (a real Windows does), so tests use prefixes of their own and look for those
only.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from mlsssl._formats.sddl import same
from mlsssl._formats.url_prefixes import UrlPrefix
from mlsssl._machine.ports import HttpNumber, ReservationRecord
from mlsssl.errors import (
    ExistsError,
    InvalidInputError,
    MlssslError,
    NativeError,
    NotFoundError,
    ReservationExistsError,
    ReservationNotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contract.subjects.kinds import HttpSubject
    from mlsssl._machine.ports import HttpSettingsPort, ReservationsPort

LISTEN = "D:(A;;GX;;;NS)"  # as Windows writes it, so that it comes back in these words from every machine
PREFIXES = (
    "https://+:44301/contract/",
    "https://+:44301/",
    "http://*:44301/contract/",
    "https://www.contract.example:44301/Pfad/Grün/",
    "https://10.0.0.5:44301/contract/",
    "https://[fe80::1:2]:44301/contract/",
)
SPELLINGS = (
    "https://+:44301/CONTRACT/",
    "https://WWW.Contract.Example:44301/pfad/grün/",
    "http://*:44301/Contract/",
)
"""As other programs write some of those."""


@pytest.fixture(name="subject")
def _subject(http_subject: HttpSubject) -> Iterator[HttpSubject]:
    yield http_subject
    for text in (*PREFIXES, *SPELLINGS):
        with contextlib.suppress(ReservationNotFoundError):
            http_subject.port.reservations.remove(UrlPrefix.as_stored(text))


@pytest.fixture(name="reservations")
def _reservations(subject: HttpSubject) -> ReservationsPort:
    return subject.port.reservations


@pytest.fixture(name="settings")
def _settings(subject: HttpSubject) -> HttpSettingsPort:
    if not subject.may_be_configured:
        pytest.skip("a real HTTP.sys is not configured by tests")
    return subject.port.http_settings


def record(text: str, sddl: str = LISTEN) -> ReservationRecord:
    return ReservationRecord(url=UrlPrefix(text), sddl=sddl)


def ours(reservations: ReservationsPort) -> list[ReservationRecord]:
    """The machine's records for our prefixes, in its order."""
    known = {UrlPrefix(text) for text in PREFIXES}
    return [found for found in reservations.all() if found.url in known]


@pytest.mark.parametrize("text", PREFIXES)
def test_what_is_added_is_found(reservations: ReservationsPort, text: str) -> None:
    """Exactly the record, under exactly its prefix; before that and after removal, nothing."""
    assert reservations.find(UrlPrefix(text)) is None
    reservations.add(record(text))
    assert reservations.find(UrlPrefix(text)) == record(text)
    assert ours(reservations) == [record(text)]
    reservations.remove(UrlPrefix(text))
    assert reservations.find(UrlPrefix(text)) is None
    assert ours(reservations) == []


def test_a_listing_is_sorted_by_prefix(reservations: ReservationsPort) -> None:
    """The order does not depend on the order of adding."""
    for text in PREFIXES[::-1]:
        reservations.add(record(text))
    assert ours(reservations) == sorted((record(text) for text in PREFIXES), key=lambda one: one.url)


@pytest.mark.parametrize(
    "sddl",
    [
        "D:(A;;GX;;;NS)",
        "D:(A;;GA;;;WD)(A;;GW;;;S-1-5-32-545)",
        "D:PAI(D;;GX;;;AN)(A;CI;0x20000000;;;S-1-5-21-1-2-3-1001)",
        "O:BAG:SYD:(A;;GX;;;S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464)",
        "D:" + "".join(f"(A;;GX;;;S-1-5-21-1-2-3-{number})" for number in range(1000, 1100)),
    ],
)
def test_an_access_list_is_kept(subject: HttpSubject, sddl: str) -> None:
    """Whatever it says: order, flags, numbers for rights, a hundred entries; in its own words where these are kept."""
    reservations = subject.port.reservations
    reservations.add(record(PREFIXES[0], sddl))
    found = reservations.find(UrlPrefix(PREFIXES[0]))
    assert found is not None
    assert same(found.sddl, sddl)
    assert found.sddl == sddl or not subject.keeps_words


@pytest.mark.parametrize(
    "sddl", ["", "everyone", "D:(A;;GX;;;DOMAIN\\user)", "D:(A;;GX;;S-1-5-20)", "D:(A;;GX;;;S-1-5-20"]
)
def test_what_is_no_access_list_is_refused(reservations: ReservationsPort, sddl: str) -> None:
    """And leaves nothing: it would be a reservation for nobody, or for whom nobody meant."""
    with pytest.raises(MlssslError):
        reservations.add(record(PREFIXES[0], sddl))
    assert ours(reservations) == []


def test_a_prefix_is_reserved_once(reservations: ReservationsPort) -> None:
    """183, and what is there stays; for another path beside it that means nothing."""
    reservations.add(record(PREFIXES[0]))
    with pytest.raises(ReservationExistsError, match="reserved already"):
        reservations.add(record(PREFIXES[0], "D:(A;;GA;;;WD)"))
    reservations.add(record(PREFIXES[1]))
    assert ours(reservations) == sorted([record(PREFIXES[0]), record(PREFIXES[1])], key=lambda one: one.url)


def test_what_is_not_reserved_is_not_removed(reservations: ReservationsPort) -> None:
    """2, in words."""
    with pytest.raises(ReservationNotFoundError, match="not reserved"):
        reservations.remove(UrlPrefix(PREFIXES[0]))


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_prefix_in_another_spelling_is_the_same(subject: HttpSubject, text: str) -> None:
    """Found, not added a second time, removed by the normalised prefix; listed as it is written, where that is kept."""
    reservations = subject.port.reservations
    stored = ReservationRecord(url=UrlPrefix.as_stored(text), sddl=LISTEN)
    reservations.add(stored)
    wanted = UrlPrefix(str(stored.url))
    found = reservations.find(wanted)
    assert found is not None
    assert (found.url, found.sddl) == (stored.url, LISTEN)
    assert found.url.written == text or not subject.keeps_words
    with pytest.raises(ReservationExistsError):
        reservations.add(ReservationRecord(url=wanted, sddl=LISTEN))
    assert ours(reservations) == [found]
    reservations.remove(wanted)
    assert ours(reservations) == []


def test_a_form_that_is_not_documented_is_kept(reservations: ReservationsPort) -> None:
    """IIS and others register with an address behind the port; what is read goes back as it came."""
    stored = UrlPrefix.as_stored("https://+:44301:10.0.0.5/contract/")
    try:
        reservations.add(ReservationRecord(url=stored, sddl=LISTEN))
    except NativeError as error:
        if error.code != 87:
            raise
        pytest.skip("this HTTP.sys does not take such a form as a reservation")
    try:
        assert stored in [found.url for found in reservations.all()]
        assert stored.host_kind is None
    finally:
        reservations.remove(stored)
    assert reservations.find(stored) is None


ADDRESSES = ("127.0.0.1", "10.1.2.3", "fe80::1", "::")


def test_the_listen_list_is_what_was_added(settings: HttpSettingsPort) -> None:
    """In any order, each once; empty again at the end."""
    assert settings.listen_addresses() == ()
    for address in ADDRESSES:
        settings.add_listen_address(address)
    assert sorted(settings.listen_addresses()) == sorted(ADDRESSES)
    with pytest.raises(ExistsError, match=r"10\.1\.2\.3"):
        settings.add_listen_address("10.1.2.3")
    for address in ADDRESSES:
        settings.remove_listen_address(address)
    assert settings.listen_addresses() == ()
    with pytest.raises(NotFoundError, match="::"):
        settings.remove_listen_address("::")


def test_a_long_listen_list_is_read_whole(settings: HttpSettingsPort) -> None:
    """An address takes 128 octets of an answer, so a first buffer holds few."""
    addresses = [f"10.9.{number}.1" for number in range(60)]
    for address in addresses:
        settings.add_listen_address(address)
    found = settings.listen_addresses()
    for address in addresses:
        settings.remove_listen_address(address)
    assert sorted(found) == sorted(addresses)


@pytest.mark.parametrize("which", list(HttpNumber))
def test_a_number_is_set_replaced_and_reset(settings: HttpSettingsPort, which: HttpNumber) -> None:
    """None where nothing is configured; up to the largest that its type holds."""
    assert settings.number(which) is None
    for value in (which.least, 77, which.most):
        settings.set_number(which, value)
        assert settings.number(which) == value
    assert [settings.number(other) for other in HttpNumber if other is not which] == [None] * 4
    settings.reset_number(which)
    assert settings.number(which) is None
    with pytest.raises(NotFoundError):
        settings.reset_number(which)


def test_what_can_be_no_record_is_refused() -> None:
    """An SDDL with a NUL would be cut off there."""
    with pytest.raises(InvalidInputError, match="SDDL"):
        record(PREFIXES[0], "D:\0")
