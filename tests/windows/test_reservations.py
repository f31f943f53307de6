"""Reservations and settings over httpapi.dll: its codes in words, its buffers not trusted, every call made to fail."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from mlsssl import (
    AccessDeniedError,
    InvalidInputError,
    MalformedDataError,
    NativeError,
    NotFoundError,
    ReservationExistsError,
    ReservationNotFoundError,
    UnsupportedError,
    UrlPrefix,
)
from mlsssl._fakes.computer import Computer
from mlsssl._fakes.dlls import FakeDlls
from mlsssl._fakes.httpapi import FakeHttpApi
from mlsssl._machine.ports import HttpNumber, ReservationRecord
from mlsssl._native.cdata import ffi
from mlsssl._windows.http_settings import WindowsHttpSettings
from mlsssl._windows.reservations import WindowsReservations

if TYPE_CHECKING:
    from collections.abc import Callable

URL = UrlPrefix("https://+:443/mls/")
RECORD = ReservationRecord(url=URL, sddl="D:(A;;GX;;;S-1-5-20)")


@pytest.fixture(name="dlls")
def _dlls() -> FakeDlls:
    return FakeDlls()


@pytest.mark.parametrize(
    ("code", "error", "said"),
    [
        (5, AccessDeniedError, "only an administrator"),
        (740, AccessDeniedError, "elevated"),
        (183, ReservationExistsError, "reserved already: update the reservation"),
        (87, NativeError, r"87 \(ERROR_INVALID_PARAMETER\).*the prefix or the access list"),
        (1305, InvalidInputError, "look at its SDDL"),
        (1336, InvalidInputError, "does not take the access list"),
        (1337, InvalidInputError, "does not take the access list"),
        (1450, NativeError, "ERROR_NO_SYSTEM_RESOURCES"),
    ],
)
def test_codes_of_setting_are_errors_in_words(dlls: FakeDlls, code: int, error: type[Exception], said: str) -> None:
    """The native error, with function and code, is the cause or the error itself; nothing stays open."""
    calls = 0

    def before(name: str) -> None:
        nonlocal calls
        if name == "HttpSetServiceConfiguration":
            dlls.calls.faults[len(dlls.calls.names)] = code
            calls += 1

    dlls.calls.before = before
    with pytest.raises(error, match=said) as caught:
        WindowsReservations(dlls).add(RECORD)
    native = caught.value if isinstance(caught.value, NativeError) else caught.value.__cause__
    assert isinstance(native, NativeError)
    assert (native.function, native.code) == ("HttpSetServiceConfiguration", code)
    assert (calls, dlls.calls.leaks, dlls.computer.http.reservations) == (1, {}, {})


def test_who_is_no_administrator_changes_nothing() -> None:
    """5, for everything that changes; looking is allowed."""
    dlls = FakeDlls(Computer(administrator=False))
    reservations, settings = WindowsReservations(dlls), WindowsHttpSettings(dlls)
    changes: tuple[Callable[[], object], ...] = (
        lambda: reservations.add(RECORD),
        lambda: reservations.remove(URL),
        lambda: settings.add_listen_address("10.0.0.1"),
        lambda: settings.remove_listen_address("10.0.0.1"),
        lambda: settings.set_number(HttpNumber.TLS_THROTTLE, 1),
        lambda: settings.reset_number(HttpNumber.TLS_THROTTLE),
    )
    for change in changes:
        with pytest.raises(AccessDeniedError, match="elevated process"):
            change()
    assert (reservations.all(), settings.listen_addresses()) == ([], ())


def test_a_windows_without_them_says_so(dlls: FakeDlls) -> None:
    """Wine's own httpapi.dll, say: 87 to every id that it does not know."""
    dlls.httpapi = FakeHttpApi(dlls.calls)
    with pytest.raises(UnsupportedError, match="no URL reservations"):
        WindowsReservations(dlls).all()
    with pytest.raises(UnsupportedError, match="does not know TLS_THROTTLE"):
        WindowsHttpSettings(dlls).number(HttpNumber.TLS_THROTTLE)


def test_every_call_may_fail(dlls: FakeDlls) -> None:
    """Each native call of each operation once: our own error, nothing open, the record there or not."""
    reservations, settings = WindowsReservations(dlls), WindowsHttpSettings(dlls)
    operations: dict[str, Callable[[], object]] = {
        "find": lambda: reservations.find(URL),
        "all": reservations.all,
        "add": lambda: reservations.add(RECORD),
        "remove": lambda: reservations.remove(URL),
        "listen": settings.listen_addresses,
        "number": lambda: settings.number(HttpNumber.HEADER_WAIT_SECONDS),
        "set": lambda: settings.set_number(HttpNumber.HEADER_WAIT_SECONDS, 7),
    }
    swept = 0
    for name, operate in operations.items():
        number = 0
        while True:
            state = dlls.computer.http
            state.reservations.clear()
            state.numbers.clear()
            dlls.calls.names.clear()
            dlls.calls.faults = {number: 1359}
            if name == "remove":
                state.reservations[str(URL)] = RECORD.sddl
            codes = []
            try:
                operate()
            except NativeError as error:
                codes.append(error.code)
            assert codes in ([], [1359])
            swept += len(codes)
            assert dlls.calls.leaks == {}
            assert state.reservations in ({}, {str(URL): RECORD.sddl})
            if number >= len(dlls.calls.names):
                break
            number += 1
    assert swept >= 20


def test_a_buffer_is_not_trusted(dlls: FakeDlls, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pointer that leaves it is followed nowhere; such a record is left out of a listing, and logged."""
    reservations = WindowsReservations(dlls)
    reservations.add(RECORD)
    real = dlls.httpapi.HttpQueryServiceConfiguration

    def lying(*arguments: object) -> int:
        code = real(*arguments)  # type: ignore[arg-type]
        if code == 0:
            structure = ffi.cast("HTTP_SERVICE_CONFIG_URLACL_SET *", arguments[4])
            structure.KeyDesc.pUrlPrefix = ffi.cast("WCHAR *", 16)
        return code

    monkeypatch.setattr(dlls.httpapi, "HttpQueryServiceConfiguration", lying)
    with pytest.raises(MalformedDataError, match="outside its own buffer"):
        reservations.find(URL)


def test_a_record_that_cannot_be_one_is_left_out(dlls: FakeDlls, caplog: pytest.LogCaptureFixture) -> None:
    """An empty prefix; the others are listed all the same."""
    dlls.computer.http.reservations = {"": "D:", str(URL): RECORD.sddl, "odd": ""}
    with caplog.at_level(logging.WARNING, "mlsssl"):
        found = WindowsReservations(dlls).all()
    assert [record.url.written for record in found] == [str(URL), "odd"]
    assert "left out of the listing" in caplog.text


def test_a_long_access_list_is_read_whole(dlls: FakeDlls) -> None:
    """Longer than the first buffer; and one longer than any could be is refused."""
    long = "D:" + "".join(f"(A;;GX;;;S-1-5-21-1-2-3-{number})" for number in range(2000))
    dlls.computer.http.reservations[str(URL)] = long
    found = WindowsReservations(dlls).find(URL)
    assert found is not None
    assert found.sddl == long
    dlls.computer.http.reservations[str(URL)] = "D:" + "x" * 1_000_000
    with pytest.raises(NativeError, match="no record needs"):
        WindowsReservations(dlls).find(URL)


def test_an_address_of_another_family_is_left_out(dlls: FakeDlls, caplog: pytest.LogCaptureFixture) -> None:
    """And logged."""
    dlls.computer.http.listen_list = [b"\x07\0" + bytes(26), b"\2\0\0\0\x0a\0\0\1" + bytes(8)]
    with caplog.at_level(logging.WARNING, "mlsssl"):
        assert WindowsHttpSettings(dlls).listen_addresses() == ("10.0.0.1",)
    assert "family 7" in caplog.text


def test_a_count_that_leaves_the_buffer_is_noticed(dlls: FakeDlls, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the listen list."""
    real = dlls.httpapi.HttpQueryServiceConfiguration

    def lying(*arguments: object) -> int:
        code = real(*arguments)  # type: ignore[arg-type]
        ffi.cast("ULONG *", arguments[4])[0] = 1_000_000
        return code

    monkeypatch.setattr(dlls.httpapi, "HttpQueryServiceConfiguration", lying)
    with pytest.raises(NativeError, match="outside its own buffer"):
        WindowsHttpSettings(dlls).listen_addresses()


def test_a_number_is_read_in_both_forms(dlls: FakeDlls) -> None:
    """The page of the query and that of the structure disagree about time-outs; the length says which it is."""
    settings = WindowsHttpSettings(dlls)
    settings.set_number(HttpNumber.HEADER_WAIT_SECONDS, 0x1234)  # the fake answers the number alone
    settings.set_number(HttpNumber.MAX_CACHE_RESPONSE_BYTES, 0x12345678)  # and here the whole structure
    assert settings.number(HttpNumber.HEADER_WAIT_SECONDS) == 0x1234
    assert settings.number(HttpNumber.MAX_CACHE_RESPONSE_BYTES) == 0x12345678


def test_a_number_that_is_refused_leaves_the_old_one(dlls: FakeDlls) -> None:
    """It had to be deleted to be set; the old one comes back."""
    settings = WindowsHttpSettings(dlls)
    settings.set_number(HttpNumber.HEADER_WAIT_SECONDS, 7)
    sets = 0

    def before(name: str) -> None:
        nonlocal sets
        sets += name == "HttpSetServiceConfiguration"
        if sets == 2 and name == "HttpSetServiceConfiguration":
            dlls.calls.faults[len(dlls.calls.names)] = 87

    dlls.calls.before = before
    with pytest.raises(NativeError, match=r"HTTP\.sys refuses HEADER_WAIT_SECONDS"):
        settings.set_number(HttpNumber.HEADER_WAIT_SECONDS, 8)
    assert settings.number(HttpNumber.HEADER_WAIT_SECONDS) == 7


def test_what_is_not_configured_is_not_found(dlls: FakeDlls) -> None:
    """2, in words."""
    with pytest.raises(NotFoundError, match="not configured with HEADER_WAIT_SECONDS"):
        WindowsHttpSettings(dlls).reset_number(HttpNumber.HEADER_WAIT_SECONDS)
    with pytest.raises(NotFoundError, match=r"10\.0\.0\.1 in the listen list"):
        WindowsHttpSettings(dlls).remove_listen_address("10.0.0.1")
    with pytest.raises(ReservationNotFoundError):
        WindowsReservations(dlls).remove(URL)
