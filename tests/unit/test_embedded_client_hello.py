"""The server name read from a ClientHello: what OpenSSL sends, cut and damaged in every way."""

from __future__ import annotations

import contextlib
import ssl
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlsssl._embedded.listener.client_hello import LIMIT, ClientHello, ClientHelloReader
from mlsssl.errors import MalformedDataError

if TYPE_CHECKING:
    import random


def parse_client_hello(data: bytes | bytearray) -> ClientHello | None:
    """All at once."""
    return ClientHelloReader().feed(bytes(data))


def hello(server_name: str | None) -> bytes:
    """What Python's own TLS client says first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=server_name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


NAMED = hello("www.example.com")


def in_records(message: bytes, size: int) -> bytes:
    """A handshake message cut into records of `size` bytes."""
    pieces = [message[i : i + size] for i in range(0, len(message), size)]
    return b"".join(b"\x16\x03\x01" + len(piece).to_bytes(2, "big") + piece for piece in pieces)


def message(extensions: bytes | None) -> bytes:
    """A ClientHello with these extensions, or without the field."""
    body = b"\x03\x03" + bytes(32) + b"\x00" + b"\x00\x02\x13\x01" + b"\x01\x00"
    if extensions is not None:
        body += len(extensions).to_bytes(2, "big") + extensions
    return b"\x01" + len(body).to_bytes(3, "big") + body


def server_name(*names: bytes, kind: int = 0) -> bytes:
    entries = b"".join(bytes([kind]) + len(name).to_bytes(2, "big") + name for name in names)
    content = len(entries).to_bytes(2, "big") + entries
    return b"\x00\x00" + len(content).to_bytes(2, "big") + content


@pytest.mark.parametrize(
    ("asked", "expected"),
    [("www.example.com", "www.example.com"), ("WWW.Example.COM", "www.example.com"), (None, None)],
)
def test_the_name_that_openssl_sends_is_read(asked: str | None, expected: str | None) -> None:
    """In lower case; None when it sends none, as for an IP address."""
    found = parse_client_hello(hello(asked))
    assert found is not None
    assert found.server_name == expected
    by_address = parse_client_hello(hello("10.0.0.5"))
    assert by_address is not None
    assert by_address.server_name is None


def test_every_piece_of_it_is_incomplete() -> None:
    """Byte by byte nothing is wrong and nothing is known before the end; what follows does not matter."""
    for length in range(len(NAMED)):
        assert parse_client_hello(NAMED[:length]) is None, length
    assert parse_client_hello(NAMED + b"\x17\x03\x03 anything") == parse_client_hello(NAMED)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 100])
def test_it_may_come_in_many_records(size: int) -> None:
    """RFC 8446 section 5.1 allows a handshake message in pieces."""
    split = in_records(NAMED[5:], size)
    found = parse_client_hello(split)
    assert found is not None
    assert found.server_name == "www.example.com"
    reader = ClientHelloReader()
    for length in range(len(split) - 1):
        assert reader.feed(split[length : length + 1]) is None
    assert reader.feed(split[-1:]) == found
    assert reader.received == split


def test_a_hello_may_lack_extensions_and_names() -> None:
    """TLS 1.2 did; a list with names of other types only is no name."""
    for extensions in (None, b"", server_name(b"x", kind=7)):
        found = parse_client_hello(in_records(message(extensions), 2**14))
        assert found is not None
        assert found.server_name is None


def test_a_trailing_dot_is_forgiven() -> None:
    """It means the same name."""
    found = parse_client_hello(in_records(message(server_name(b"Www.Example.com.")), 2**14))
    assert found is not None
    assert found.server_name == "www.example.com"


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x80\x2e\x01\x03\x01",  # SSL 2
        b"\x15\x03\x01\x00\x02\x01\x00",  # an alert
        b"\x16\x02\x00",
        b"\x16\x03\x01\x00\x00",
        b"\x16\x03\x01\x40\x01",
        b"\x16\x03\x01\x00\x01\x02",  # a ServerHello
        b"\x16\x03\x01\x00\x04\x01\x01\x00\x00",  # 65540 bytes announced
        in_records(message(None), 1)[: 6 * 10] + b"\x17\x03\x03\x00\x01x",  # another record in between
        in_records(message(b"\x00\x00\x00"), 2**14),
        in_records(message(b"\x00\x00\x00\x05ab"), 2**14),
        in_records(message(server_name(b"a.example") * 2), 2**14),
        in_records(message(server_name(b"")), 2**14),
        in_records(message(server_name()), 2**14),
        in_records(message(server_name(b"nul\0.example")), 2**14),
        in_records(message(server_name("ü.example".encode())), 2**14),
        in_records(message(server_name(b"x" * 256)), 2**14),
        in_records(b"\x01\x00\x00\x05" + bytes(5), 2**14),
    ],
)
def test_what_is_no_client_hello_is_malformed(data: bytes) -> None:
    """As soon as it shows."""
    with pytest.raises(MalformedDataError):
        parse_client_hello(data)


def test_each_byte_costs_the_same_however_small_the_pieces() -> None:
    """Somebody who drips a long ClientHello keeps the listener no busier than one who sends it at once."""
    endless = in_records(b"\x01\x00\xff\xf0" + bytes(LIMIT), 1)[: LIMIT - 1]
    reader = ClientHelloReader()
    begin = time.process_time()
    for i in range(len(endless)):
        assert reader.feed(endless[i : i + 1]) is None
    assert time.process_time() - begin < 2  # 0.05 s; looking at all of it each time would take minutes


def test_it_is_bounded() -> None:
    """A message that never ends is refused when it has grown too long, however small its records."""
    endless = in_records(b"\x01\x00\xff\xf0" + bytes(LIMIT), 1)
    assert parse_client_hello(endless[: LIMIT - 1]) is None
    with pytest.raises(MalformedDataError, match="too many pieces"):
        parse_client_hello(endless[: LIMIT + 1])


@given(st.randoms(use_true_random=False), st.integers(1, 8))
def test_damage_is_malformed_or_harmless(chance: random.Random, changes: int) -> None:
    """Nothing but our error comes out of a ClientHello with wrong bytes."""
    data = bytearray(NAMED)
    for _ in range(changes):
        data[chance.randrange(len(data))] = chance.randrange(256)
    with contextlib.suppress(MalformedDataError):
        parse_client_hello(data)


@given(st.binary(max_size=300))
def test_any_bytes_are_malformed_or_incomplete_or_fine(data: bytes) -> None:
    """Also behind a good record header."""
    for candidate in (data, b"\x16\x03\x01" + len(data).to_bytes(2, "big") + data, in_records(message(data), 2**14)):
        with contextlib.suppress(MalformedDataError):
            parse_client_hello(candidate)
