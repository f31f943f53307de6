"""Thumbprints, binding keys and options: what they accept, what they keep."""

from __future__ import annotations

import pickle
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlsssl._formats.binding_keys import BindingOptions, CcsPort, HostnamePort, IpPort, ScopedCcs, parse_binding_key
from mlsssl.errors import InvalidInputError
from mlsssl.values import Thumbprint

HEX = "18e1628ac1cd7cae3495e718f87e5b6188193c81"


@pytest.mark.parametrize(
    "text",
    [HEX, HEX.upper(), "\u200e" + HEX, "18 e1 62 8a c1 cd 7c ae 34 95 e7 18 f8 7e 5b 61 88 19 3c 81", f"0x{HEX}\n"],
)
def test_pasted_spellings_of_a_thumbprint_are_one_value(text: str) -> None:
    """Blanks, case, U+200E and 0x do not matter."""
    assert Thumbprint(text) == Thumbprint(bytes.fromhex(HEX))
    assert str(Thumbprint(text)) == HEX


@pytest.mark.parametrize("text", ["", HEX[:-1], HEX + "0", "g" + HEX[1:], HEX * 10_000, "\u200e", "а" + HEX[1:]])
def test_other_text_is_no_thumbprint(text: str) -> None:
    """Wrong length, wrong letters (a Cyrillic а too) are refused."""
    with pytest.raises(InvalidInputError):
        Thumbprint(text)


def test_a_sha256_is_told_apart() -> None:
    """The message says what the 64 digits are."""
    with pytest.raises(InvalidInputError, match="SHA-256"):
        Thumbprint("ab" * 32)


def test_a_thumbprint_survives_pickling() -> None:
    """Type and value."""
    copy = pickle.loads(pickle.dumps(Thumbprint(HEX)))
    assert (type(copy), copy) == (Thumbprint, Thumbprint(HEX))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("0.0.0.0:443", IpPort("0.0.0.0", 443)),
        ("[::]:443", IpPort("::", 443)),
        ("[0:0::1]:8443", IpPort("::1", 8443)),
        ("www.Example.com.:443", HostnamePort("www.example.com", 443)),
        ("Bücher.example:443", HostnamePort("xn--bcher-kva.example", 443)),
        ("*.example.com:443", HostnamePort("*.example.com", 443)),
        ("ccs=443", CcsPort(443)),
        ("scopedccs=www.example.com:443", ScopedCcs("www.example.com", 443)),
        ("hostnameport=ccs:443", HostnamePort("ccs", 443)),
        ("ipport=[::1]:1", IpPort("::1", 1)),
    ],
)
def test_binding_keys_are_read_from_text(text: str, key: object) -> None:
    """Each family has its spelling, and its own type."""
    assert parse_binding_key(text) == key
    assert parse_binding_key(str(key)) == key


@pytest.mark.parametrize(
    "text",
    ["", ":", "443", "host", "host:", "host:0", "host:65536", "host:٤", "::1:443", "[::1%eth0]:443", "1.2.3:4",
     "a..b:443", "*:443", "x=1:2", "ccs=host:443", "[::1:443", "-:", "h o:1", "1.2.3.4.5:1", "a/b:443"],
)  # fmt: skip
def test_other_text_is_no_binding_key(text: str) -> None:
    """The error is ours, and the same for all."""
    with pytest.raises(InvalidInputError):
        parse_binding_key(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1.2.3.4:000443", "a port is a number from 1 to 65535, of at most 5 digits, not '000443'"),
        ("www.example.com:4430000", "of at most 5 digits, not '4430000'"),
        ("ccs=0.0.0.0:443", "ccs is for a port alone, as in 'ccs=443'; scopedccs has a host"),
        ("ccs=www.example.com:443", "ccs is for a port alone"),
        ("0.0.0.0:٤٤٣", "has no port"),
    ],
)
def test_a_port_that_cannot_be_is_not_told_to_be_missing(text: str, words: str) -> None:
    """The message is about what was written."""
    with pytest.raises(InvalidInputError, match=words):
        parse_binding_key(text)


def test_two_families_are_never_equal() -> None:
    """A key's type is part of it."""
    assert len({ScopedCcs("a.example", 443), HostnamePort("a.example", 443)}) == 2


@given(st.integers(0, 0xFFFF_FFFF), st.integers(0, 0xFFFF_FFFF), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_no_bit_of_a_record_is_lost(flags: int, mode: int, freshness: int, timeout: int) -> None:
    """Numbers → options → the same numbers, unknown bits too."""
    options = BindingOptions.from_numbers(
        flags=flags,
        check_mode=mode,
        freshness_seconds=freshness,
        timeout_milliseconds=timeout,
        ctl_identifier=None,
        ctl_store_name=None,
    )
    assert (options.flags, options.check_mode) == (flags, mode)
    assert (options.freshness_seconds, options.timeout_milliseconds) == (freshness, timeout)


def test_default_options_are_all_zero() -> None:
    """As `netsh http add sslcert` without options writes them."""
    options = BindingOptions()
    assert (options.flags, options.check_mode, options.freshness_seconds, options.timeout_milliseconds) == (0, 0, 0, 0)
    assert repr(options) == "BindingOptions()"
    assert repr(BindingOptions(tls13=False)) == "BindingOptions(tls13=False)"


def test_a_freshness_time_sets_its_bit() -> None:
    """As netsh does; said otherwise, it stays as said."""
    hour = timedelta(hours=1)
    assert BindingOptions(revocation_freshness_time=hour).check_mode == 0x4
    assert BindingOptions(revocation_freshness_time=hour, use_revocation_freshness_time=False).check_mode == 0


@pytest.mark.parametrize("wrong", [timedelta(seconds=-1), timedelta(seconds=0.5), timedelta(days=50_000)])
def test_durations_are_whole_seconds(wrong: timedelta) -> None:
    """A fraction would be lost in silence."""
    with pytest.raises(InvalidInputError):
        BindingOptions(revocation_freshness_time=wrong)
