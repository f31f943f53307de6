"""Every reader of foreign bytes: round trips hold, and whatever is changed gives our own errors in bounded time.

The budget of time is generous, for it is there to catch rounds of hashing and quadratic parsers, not slow machines.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import time
import tracemalloc
import uuid
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from foreign_bytes import EXPECTED, LEAF, READERS, ROOT, RSA_KEY
from mlsssl import Binding, BindingOptions, CcsPort, HostnamePort, IpPort, ScopedCcs, Thumbprint
from mlsssl._formats import der
from mlsssl._formats.pkcs12.read import load_pfx
from mlsssl._formats.pkcs12.targets import TARGETS, is_plain
from mlsssl._formats.pkcs12.write import serialize_pfx
from mlsssl._formats.pvk import load_pvk, serialize_pvk
from mlsssl._machine.ports import BindingRecord
from mlsssl._netsh.options import SWITCHES
from mlsssl.errors import InvalidInputError, MalformedDataError
from mlsssl.netsh import (
    NetshCommand,
    format_command,
    format_listing,
    from_json,
    parse_command,
    parse_listing,
    to_json,
)
from mlsssl.strategies import bindings
from pfx_material import load_pfx_entries
from repetitions import examples

SECONDS = 10
BYTES = 128 * 1024 * 1024


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
@settings(max_examples=examples(150), deadline=None)
@given(data=st.data())
def test_changed_files_give_our_own_errors_in_bounded_time(name: str, data: st.DataObject) -> None:
    """Malformed or read: nothing else comes out, and neither time nor memory runs away."""
    read, seeds = READERS[name]
    changed = data.draw(_mutations(seeds))
    began = time.perf_counter()
    with contextlib.suppress(*EXPECTED.get(name, (MalformedDataError,))):
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
        with contextlib.suppress(*EXPECTED.get(name, (MalformedDataError,))):
            read(data)
        assert time.perf_counter() - began < SECONDS
        assert tracemalloc.get_traced_memory()[1] < BYTES
    finally:
        tracemalloc.stop()


_TEXT = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
_PASSWORDS = st.text(_TEXT, min_size=1, max_size=40)


@settings(max_examples=examples(60), deadline=None)
@given(
    password=_PASSWORDS,
    other=_PASSWORDS,
    name=st.none()
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30),
    target=st.none() | st.sampled_from(sorted(TARGETS)),
)
def test_pfx_round_trip(password: str, other: str, name: str | None, target: str | None) -> None:
    """For any password and name; any other password is refused. Both ways of reading agree.

    Java takes printable ASCII only, and is not written for otherwise.
    """
    if target is not None and TARGETS[target].plain_passwords and not is_plain(password):
        with pytest.raises(InvalidInputError, match="ASCII"):
            serialize_pfx(LEAF.key, LEAF.certificate, [], password, readable_by=target)
        target = None
    data = serialize_pfx(
        LEAF.key, LEAF.certificate, [ROOT.certificate], password, friendly_name=name, readable_by=target, iterations=1
    )
    (own,) = load_pfx_entries(data, password)
    for loaded in (load_pfx(data, password), own):
        assert loaded.certificate == LEAF.certificate
        assert loaded.others == (ROOT.certificate,)
        assert loaded.friendly_name == name
    if other != password:
        with pytest.raises(MalformedDataError):
            load_pfx(data, other)


_LENGTHS = [
    b"\0",
    b"\1",
    b"\x7f",
    b"\x80",
    b"\x81\x02",
    b"\x81\x90",
    b"\x82\0\1",
    b"\x82\1\0",
    b"\x84\0\0\0\2",
    b"\xff",
]
_PIECES = st.tuples(
    st.sampled_from([b"\x02", b"\x04", b"\x1f", b"\x1f\x81\1", b"\x24", b"\x30", b"\x3f", b"\xa0"]),
    st.sampled_from(_LENGTHS),
    st.sampled_from([b"", b"x", b"xx", b"\0\0", bytes(0x90), bytes(0x100)]),
)


@settings(max_examples=examples(300), deadline=None)
@given(pieces=st.lists(_PIECES, max_size=5), cut=st.integers(0, 4), most=st.integers(0, 5))
def test_the_quick_reading_of_elements_is_the_reading(
    pieces: list[tuple[bytes, bytes, bytes]], cut: int, most: int
) -> None:
    """The loop for the lengths that nearly every element has gives the elements and errors of the one for all."""
    data = b"".join(map(b"".join, pieces))
    data = data[: len(data) - cut]
    found: list[object] = []
    for split in (der._split, der._split_any):
        try:
            found.append(split(data, most))
        except ValueError as error:
            found.append(str(error))
    assert found[0] == found[1]


@settings(max_examples=examples(60), deadline=None)
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


_CCS = BindingRecord(
    key=CcsPort(443), thumbprint=None, store_name=None, app_id=uuid.UUID(int=1), options=BindingOptions()
)


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


@settings(max_examples=examples(150), deadline=None)
@given(record=_records(), update=st.booleans())
def test_netsh_round_trips(record: BindingRecord, update: bool) -> None:
    """A record goes through a command line of either shell, a listing and JSON, and comes back as it was."""
    command = NetshCommand(verb="update" if update else "add", key=record.key, record=record)
    assert parse_command(format_command(command)) == command
    assert parse_command(format_command(command, shell="powershell")) == command
    assert parse_listing(format_listing([record])).records == (record,)
    assert from_json(to_json([record])) == (record,)


@settings(max_examples=examples(60), deadline=None)
@given(records=st.lists(_records(), max_size=5, unique_by=lambda record: record.key))
def test_listings_of_many(records: list[BindingRecord]) -> None:
    """Any number of records, in their order."""
    assert parse_listing(format_listing(records)).records == tuple(records)
    assert from_json(to_json(records)) == tuple(records)


_FORGED = (
    f"x\n\n    IP:port : 0.0.0.0:443\n    Certificate Hash : {'a' * 40}\n    Application ID : {{{uuid.UUID(int=1)}}}\n"
)
_NAMES = st.text(min_size=1, max_size=30).filter(lambda text: "\0" not in text) | st.sampled_from(
    [
        _FORGED,
        "(null)",
        " a",
        "a : b",
        '"a"',
        '"a\\u0020:\\u0020b"',
        "“a”",
        "Enabled",
        "12",
        "a\u2028b",
        "\x1b[2J",
        "\u202e",
    ]
)


@settings(max_examples=examples(300), deadline=None)
@given(_records(), st.none() | _NAMES, st.none() | _NAMES)
@example(_CCS, _FORGED, '"x"')
def test_listings_keep_names_that_no_line_can_hold(record: BindingRecord, one: str | None, other: str | None) -> None:
    """A line end in a name forged a record, and blanks, colons and quotes were lost; each line is printable now."""
    record = replace(record, options=replace(record.options, ctl_identifier=one, ctl_store_name=other))
    listing = format_listing([record])
    assert all(line.isprintable() for line in listing.split("\n"))
    assert parse_listing(listing).records == (record,)
    assert to_json([record]).isascii()


@settings(max_examples=examples(60), deadline=None)
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


@given(bindings())
def test_the_repr_of_a_binding_can_be_typed_back(binding: Binding) -> None:
    """Every key, store, owner and option; in the words of the constructor."""
    names = {"Binding": Binding, "BindingOptions": BindingOptions, "HostnamePort": HostnamePort, "datetime": dt}
    assert eval(repr(binding), names) == binding
