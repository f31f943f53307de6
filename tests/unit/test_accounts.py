"""Accounts by name and SID: what is said without a Windows, and what a Windows in any language is asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlsssl._fakes.computer import GERMAN, Computer
from mlsssl._fakes.dlls import FakeDlls
from mlsssl._machine import accounts
from mlsssl._machine.accounts import Account, check_account, imitated, known, sid_bytes, sid_text
from mlsssl._windows.accounts import account, by_sid
from mlsssl.errors import InvalidInputError, MalformedDataError, NativeError, NotFoundError


def test_sids_of_services_and_pools_are_windows_own() -> None:
    """Known answers: TrustedInstaller's is in Windows' own access lists, DefaultAppPool's on every IIS."""
    installer = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
    assert accounts.service_sid("TrustedInstaller") == imitated("nt service\\trustedinstaller").sid == installer
    pool = "S-1-5-82-3006700770-424185619-1745488364-794895919-4004696415"
    assert imitated("IIS AppPool\\DefaultAppPool").sid == pool


@given(
    st.one_of(st.integers(0, 2**32 - 1), st.integers(0, 2**48 - 1)),
    st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=15),
)
def test_sids_go_to_bytes_and_back(authority: int, numbers: list[int]) -> None:
    """Every SID that there can be."""
    binary = bytes([1, len(numbers)]) + authority.to_bytes(6, "big")
    binary += b"".join(number.to_bytes(4, "little") for number in numbers)
    assert sid_bytes(sid_text(binary)) == binary


@pytest.mark.parametrize("text", ["S-1-5", "S-1-5-", "S-1-5-4294967296", "S-1-5-x", "S-1-5-20-", "S-1--5-20"])
def test_what_is_no_sid_is_refused(text: str) -> None:
    """As an argument, before anything is looked up."""
    with pytest.raises(InvalidInputError, match="is no SID"):
        check_account(text)


@pytest.mark.parametrize("data", [b"", b"\1\1\0\0\0\0\0\5", b"\2\1" + bytes(10), b"\1\0" + bytes(6), bytes(70)])
def test_bytes_that_are_no_sid_are_refused(data: bytes) -> None:
    """They come from Windows or from a descriptor."""
    with pytest.raises(MalformedDataError, match="not a SID"):
        sid_text(data)


@pytest.mark.parametrize("wrong", [5, None, b"NETWORK SERVICE", "", "  ", "a\0b", "x" * 600])
def test_what_is_no_account_is_refused(wrong: object) -> None:
    """With what one looks like."""
    with pytest.raises(InvalidInputError, match="account"):
        check_account(wrong)


@pytest.mark.parametrize(
    "name", ["NETWORK SERVICE", "network service", "NT AUTHORITY\\NETWORK SERVICE", "NetworkService", "S-1-5-20"]
)
def test_network_service_has_many_names(name: str) -> None:
    """And one SID."""
    found = known(check_account(name))
    assert found is not None
    assert found.sid == "S-1-5-20"


def test_an_imitated_domain_account_is_the_same_everywhere() -> None:
    """Its SID follows from its name, in any case; user@domain is the same account."""
    first = imitated("Corp\\Alice")
    assert imitated("CORP\\alice").sid == imitated("alice@corp").sid == first.sid != imitated("CORP\\bob").sid
    assert sid_text(sid_bytes(first.sid)) == first.sid
    assert imitated(first.sid) == Account(first.sid, first.sid)


@pytest.mark.parametrize("name", ["alice", "NT AUTHORITY\\NETWORK SERVCE", "BUILTIN\\x", "a\\b\\c", "\\x", "x\\"])
def test_a_name_that_nobody_has_is_not_imitated(name: str) -> None:
    """A typing error must not look like an account."""
    with pytest.raises(NotFoundError, match=r"there is no account .* \(1332, ERROR_NONE_MAPPED\)"):
        imitated(name)


@pytest.mark.parametrize("name", ["NETWORK SERVICE", "NT AUTHORITY\\Network Service", "S-1-5-20", "s-1-5-20"])
def test_english_names_work_on_a_german_windows(name: str) -> None:
    """LookupAccountName knows them there in German only; they are looked up by SID."""
    dlls = FakeDlls(Computer(accounts=dict(GERMAN)))
    assert account(dlls, name) == Account("NT-AUTORITÄT\\Netzwerkdienst", "S-1-5-20")
    assert account(dlls, "NT-AUTORITÄT\\Netzwerkdienst").sid == "S-1-5-20"
    assert "LookupAccountNameW" not in dlls.calls.names[:1]


def test_windows_is_asked_for_the_others() -> None:
    """In any case; the name comes back as that Windows writes it."""
    dlls = FakeDlls()
    assert account(dlls, "example\\ALICE") == Account("EXAMPLE\\alice", dlls.computer.accounts["EXAMPLE\\alice"])
    assert account(dlls, "nt service\\w3svc").sid == accounts.service_sid("W3SVC")


def test_windows_says_1332_in_words() -> None:
    """With Windows' own error behind it."""
    with pytest.raises(NotFoundError, match=r"there is no account 'EXAMPLE.*nobody' here") as caught:
        account(FakeDlls(), "EXAMPLE\\nobody")
    assert isinstance(caught.value.__cause__, NativeError)
    assert caught.value.__cause__.code == 1332


def test_a_domain_that_does_not_answer_is_said() -> None:
    """1789, say: then the SID is the way."""
    dlls = FakeDlls()
    dlls.calls.faults[0] = 1789
    with pytest.raises(NativeError, match="its SID needs no look-up"):
        account(dlls, "EXAMPLE\\alice")


def test_a_sid_that_nobody_has_is_shown_as_it_is() -> None:
    """An account that was deleted, or one of a domain out of reach."""
    dlls = FakeDlls()
    gone = "S-1-5-21-1-2-3-1001"
    assert by_sid(dlls, gone) == account(dlls, gone) == Account(gone, gone)
    assert str(Account(gone, gone)) == gone
    assert str(account(dlls, "SYSTEM")) == "NT AUTHORITY\\SYSTEM (S-1-5-18)"
