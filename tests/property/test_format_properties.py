"""Every reader of foreign bytes: round trips hold, and whatever is changed gives our own errors in bounded time.

The budget of time is generous, for it is there to catch rounds of hashing and quadratic parsers, not slow machines.
"""

from __future__ import annotations

import contextlib
import time
import tracemalloc
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from made_certificates import make, shared_key
from mlsssl import BindingOptions, CcsPort, HostnamePort, IpPort, ScopedCcs, Thumbprint
from mlsssl._netsh.options import SWITCHES
from mlsssl._pki.csr import load_request
from mlsssl._pki.pfx import load_pfx, load_pfx_entries, serialize_pfx
from mlsssl._pki.pfx_explain import explain_pfx
from mlsssl._pki.pfx_targets import TARGETS
from mlsssl._pki.pkcs7 import load_pkcs7, serialize_pkcs7
from mlsssl._pki.pvk import load_pvk, serialize_pvk
from mlsssl._ports import BindingRecord
from mlsssl.errors import MalformedDataError
from mlsssl.netsh import (
    NetshCommand,
    format_command,
    format_listing,
    from_json,
    parse_command,
    parse_listing,
    parse_script,
    to_json,
)
from mlsssl.request import CertificateRequest
from pfx_material import ber, rebuild

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = make("Root", key=shared_key(1), authority=True)
LEAF = make("www.example.com", key=shared_key(2), issuer=ROOT)
RSA_KEY = rsa.generate_private_key(65537, 1024)
SECONDS = 10
BYTES = 128 * 1024 * 1024

_PFX = serialize_pfx(LEAF.key, LEAF.certificate, [ROOT.certificate], "secret", friendly_name="web", iterations=1)
_AES = serialize_pfx(LEAF.key, LEAF.certificate, [], "secret", readable_by="windows-11", iterations=1)
_OPEN = rebuild(serialize_pfx(LEAF.key, LEAF.certificate, [ROOT.certificate], None, iterations=1), password="secret")
_LISTING = b"""
SSL Certificate bindings:
-------------------------

    IP:port                      : 0.0.0.0:443
    Certificate Hash             : 18e1628ac1cd7cae3495e718f87e5b6188193c81
    Application ID               : {9168e8b4-df4b-497c-918e-36ebc2c69732}
    Certificate Store Name       : (null)
    Verify Client Certificate Revocation : Enabled
    Verify Revocation Using Cached Client Certificate Only : Disabled
    Usage Check                  : Enabled
    Revocation Freshness Time    : 0
    URL Retrieval Timeout        : 0
    Ctl Identifier               : (null)
    Ctl Store Name               : (null)
    DS Mapper Usage              : Disabled
    Negotiate Client Certificate : Disabled
"""
_COMMAND = (
    "netsh http add sslcert hostnameport=www.example.com:443 certhash=18e1628ac1cd7cae3495e718f87e5b6188193c81 "
    "appid={9168e8b4-df4b-497c-918e-36ebc2c69732} certstorename=MY disabletls13=enable"
)


def _text(parse: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda data: parse(data.decode("utf-8", "surrogateescape"))


READERS: dict[str, tuple[Callable[[bytes], object], list[bytes]]] = {
    "load_pfx": (lambda data: load_pfx(data, "secret"), [_PFX, _AES, _OPEN, ber(_PFX)]),
    "load_pfx_entries": (lambda data: load_pfx_entries(data, "secret"), [_PFX, _AES, _OPEN, ber(_OPEN)]),
    "explain_pfx": (lambda data: str(explain_pfx(data, "secret")), [_PFX, _AES, _OPEN, ber(_AES)]),
    "load_pvk": (
        lambda data: load_pvk(data, "secret"),
        [serialize_pvk(RSA_KEY, None), serialize_pvk(RSA_KEY, "secret")],
    ),
    "load_pkcs7": (
        load_pkcs7,
        [
            serialize_pkcs7([LEAF.certificate, ROOT.certificate]),
            serialize_pkcs7([LEAF.certificate], encoding="pem"),
            ber(serialize_pkcs7([LEAF.certificate]), depth=4),
        ],
    ),
    "load_request": (
        load_request,
        [
            CertificateRequest.create("www.example.com", "10.0.0.5", key=LEAF.key).to_der(),
            CertificateRequest.create("www.example.com", key=LEAF.key).to_pem(),
        ],
    ),
    "parse_listing": (parse_listing, [_LISTING]),
    "parse_command": (_text(parse_command), [_COMMAND.encode()]),
    "parse_script": (_text(parse_script), [_COMMAND.encode()]),
    "from_json": (from_json, [to_json(parse_listing(_LISTING).records).encode()]),
}


@st.composite
def _mutations(draw: st.DrawFn, seeds: list[bytes]) -> bytes:
    """A good file with bytes changed, taken out, put in, repeated or cut off; sometimes noise alone."""
    if draw(st.integers(0, 19)) == 0:
        return draw(st.binary(max_size=300))
    data = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        kind = draw(st.sampled_from(["flip", "set", "insert", "delete", "repeat", "cut"]))
        if kind == "flip" and data:
            data[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "set" and data:
            data[at] = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0x84, 0xFF]))
        elif kind == "insert":
            data[at:at] = draw(st.binary(min_size=1, max_size=8))
        elif kind == "delete":
            del data[at : at + draw(st.integers(1, 16))]
        elif kind == "repeat":
            data[at:at] = data[at : at + draw(st.integers(1, 64))] * draw(st.integers(1, 8))
        else:
            del data[at:]
    return bytes(data)


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_changed_files_give_our_own_errors_in_bounded_time(name: str, data: st.DataObject) -> None:
    """Malformed or read: nothing else comes out, and neither time nor memory runs away."""
    read, seeds = READERS[name]
    changed = data.draw(_mutations(seeds))
    began = time.perf_counter()
    with contextlib.suppress(MalformedDataError):
        read(changed)
    assert time.perf_counter() - began < SECONDS


@pytest.mark.parametrize("name", READERS)
def test_seeds_are_read_as_they_are(name: str) -> None:
    """The guard of the test above: before they are changed, every seed is good."""
    read, seeds = READERS[name]
    for seed in seeds:
        read(seed)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    "filler", [b"\x30\x80", b"\x24\x80", b"\x30\x82\xff\xff", b"0", b"(", b"[", b"a=b ", b"\n    a : b"]
)
def test_large_and_nested_inputs_are_bounded(name: str, filler: bytes) -> None:
    """A megabyte of headers, brackets or lines: an error of ours, little time, little memory."""
    read, _ = READERS[name]
    data = filler * (1024 * 1024 // len(filler))
    tracemalloc.start()
    began = time.perf_counter()
    try:
        with contextlib.suppress(MalformedDataError):
            read(data)
        assert time.perf_counter() - began < SECONDS
        assert tracemalloc.get_traced_memory()[1] < BYTES
    finally:
        tracemalloc.stop()


_TEXT = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
_PASSWORDS = st.text(_TEXT, min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(
    password=_PASSWORDS,
    other=_PASSWORDS,
    name=st.none()
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30),
    target=st.none() | st.sampled_from(sorted(TARGETS)),
)
def test_pfx_round_trip(password: str, other: str, name: str | None, target: str | None) -> None:
    """For any password and name; any other password is refused. Both ways of reading agree."""
    data = serialize_pfx(
        LEAF.key, LEAF.certificate, [ROOT.certificate], password, friendly_name=name, readable_by=target, iterations=1
    )
    (own,) = load_pfx_entries(data, password)
    for loaded in (load_pfx(data, password), own):
        assert loaded.certificate == LEAF.certificate
        assert loaded.additional == (ROOT.certificate,)
        assert loaded.friendly_name == name
    if other != password:
        with pytest.raises(MalformedDataError):
            load_pfx(data, other)


@settings(max_examples=60, deadline=None)
@given(password=st.none() | _PASSWORDS, weak=st.booleans(), exchange=st.booleans(), other=_PASSWORDS)
def test_pvk_round_trip(password: str | None, weak: bool, exchange: bool, other: str) -> None:
    """For any password, both strengths and both key specs."""
    data = serialize_pvk(
        RSA_KEY,
        password,
        key_spec="exchange" if exchange else "signature",
        protection="weak" if weak else "strong",
    )
    loaded = load_pvk(data, password)
    assert loaded.private_key.private_numbers() == RSA_KEY.private_numbers()
    assert loaded.key_spec == ("exchange" if exchange else "signature")
    if password is not None and other != password:
        with pytest.raises(MalformedDataError):
            load_pvk(data, other)


_PORTS = st.integers(1, 65535)
_HOSTS = st.from_regex(r"[a-z][a-z0-9]{0,10}(\.[a-z][a-z0-9]{0,10}){0,2}", fullmatch=True)
_STORES = st.from_regex(r"[A-Za-z][A-Za-z0-9 _'&-]{0,20}[A-Za-z0-9]", fullmatch=True)
_SWITCHES = tuple(switch.field for switch in SWITCHES)


@st.composite
def _records(draw: st.DrawFn) -> BindingRecord:
    """Any record that netsh can write."""
    options = BindingOptions(
        **{name: draw(st.booleans()) for name in _SWITCHES},
        revocation_freshness_time=timedelta(seconds=draw(st.integers(0, 2**32 - 1))),
        url_retrieval_timeout=timedelta(milliseconds=draw(st.integers(0, 2**32 - 1))),
        ctl_identifier=draw(st.none() | _STORES),
        ctl_store_name=draw(st.none() | _STORES),
    )
    port, host, thumbprint = draw(_PORTS), draw(_HOSTS), Thumbprint(draw(st.binary(min_size=20, max_size=20)))
    app_id = uuid.UUID(int=draw(st.integers(0, 2**128 - 1)))
    kind = draw(st.integers(0, 3))
    if kind == 0:
        address = str(draw(st.ip_addresses()))
        return BindingRecord(
            key=IpPort(address, port),
            thumbprint=thumbprint,
            store_name=draw(st.none() | _STORES),
            app_id=app_id,
            options=options,
        )
    if kind == 1:
        return BindingRecord(
            key=HostnamePort(host, port),
            thumbprint=thumbprint,
            store_name=draw(_STORES),
            app_id=app_id,
            options=options,
        )
    key = CcsPort(port) if kind == 2 else ScopedCcs(host, port)
    return BindingRecord(key=key, thumbprint=None, store_name=None, app_id=app_id, options=options)


@settings(max_examples=150, deadline=None)
@given(record=_records(), update=st.booleans())
def test_netsh_round_trips(record: BindingRecord, update: bool) -> None:
    """A record goes through a command line of either shell, a listing and JSON, and comes back as it was."""
    command = NetshCommand(verb="update" if update else "add", key=record.key, record=record)
    assert parse_command(format_command(command)) == command
    assert parse_command(format_command(command, shell="powershell")) == command
    assert parse_listing(format_listing([record])).records == (record,)
    assert from_json(to_json([record])) == (record,)


@settings(max_examples=60, deadline=None)
@given(records=st.lists(_records(), max_size=5, unique_by=lambda record: record.key))
def test_listings_of_many(records: list[BindingRecord]) -> None:
    """Any number of records, in their order."""
    assert parse_listing(format_listing(records)).records == tuple(records)
    assert from_json(to_json(records)) == tuple(records)


@settings(max_examples=60, deadline=None)
@given(flags=st.integers(0, 2**32 - 1), mode=st.integers(0, 2**32 - 1))
def test_json_keeps_every_bit(flags: int, mode: int) -> None:
    """Also those that nobody has a name for."""
    options = BindingOptions.from_numbers(
        flags=flags,
        check_mode=mode,
        freshness_seconds=7,
        timeout_milliseconds=8,
        ctl_identifier=None,
        ctl_store_name=None,
    )
    record = BindingRecord(
        key=IpPort("::", 443),
        thumbprint=Thumbprint(bytes(20)),
        store_name=None,
        app_id=uuid.UUID(int=1),
        options=options,
    )
    assert from_json(to_json([record])) == (record,)
