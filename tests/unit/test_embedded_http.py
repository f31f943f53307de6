"""The listener's HTTP: heads read within limits, anything else refused with the right status."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlsssl._embedded.listener.http import (
    HEAD_LIMIT,
    BadRequestError,
    Request,
    looks_like_http,
    parse_request,
    response,
)

GOOD = b"GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n"


def parse(data: bytes) -> Request | None:
    return parse_request(bytearray(data))


def test_a_head_is_taken_from_the_front() -> None:
    """Byte by byte it is not there yet; the next request stays in the buffer."""
    for length in range(1, len(GOOD)):
        assert parse(GOOD[:length]) is None, GOOD[:length]
    buffer = bytearray(GOOD + GOOD[:5])
    assert parse_request(buffer) == Request(method="GET", target="/a?b", keep_alive=True)
    assert buffer == GOOD[:5]
    assert parse(b"") is None


@pytest.mark.parametrize(
    ("head", "keep_alive"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n", True),
        (b"HEAD / HTTP/1.1\r\nhOST:\tx\t\r\nConnection: a, Close\r\n", False),
        (b"GET / HTTP/1.0\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n", False),
        (b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n", False),
    ],
)
def test_the_connection_is_kept_as_rfc_9112_says(head: bytes, keep_alive: bool) -> None:
    """And never past a body, which nobody reads here."""
    found = parse(head + b"\r\n")
    assert found is not None
    assert found.keep_alive is keep_alive


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\nInjected: y\r\n\r\n", 400),
        (b"\x16\x03\x01", 400),
        (b"\r\nGET", 400),
        (b"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505),
        (b"POST / HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 101 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nA: " + b"b" * HEAD_LIMIT, 431),
    ],
)
def test_what_cannot_be_answered_has_a_status(data: bytes, status: int) -> None:
    """And nothing else comes out."""
    with pytest.raises(BadRequestError) as caught:
        parse(data)
    assert caught.value.status == status


@given(st.binary(max_size=200))
def test_any_bytes_have_an_answer(data: bytes) -> None:
    """A request, not yet one, or a status."""
    for candidate in (data, b"GET / HTTP/1.1\r\nHost: x\r\n" + data + b"\r\n\r\n"):
        with contextlib.suppress(BadRequestError):
            parse(candidate)


def test_a_response_says_how_long_it_is() -> None:
    """HEAD gets the same fields without the content."""
    whole = response(200, "<p>ü", keep_alive=True, date="Mon, 23 Nov 2026 18:48:32 GMT")
    head = response(200, "<p>ü", keep_alive=True, with_body=False, date="Mon, 23 Nov 2026 18:48:32 GMT")
    assert whole == head + "<p>ü".encode()
    assert b"Content-Length: 5\r\n" in head
    assert b"Connection: close\r\n" in response(405, "", keep_alive=False, date="x")
    assert b"Allow: GET, HEAD\r\n" in response(405, "", keep_alive=False, date="x")


def test_plain_http_is_recognised() -> None:
    """By its method alone."""
    assert looks_like_http(b"GET / HTTP/1.1")
    assert not looks_like_http(b"\x16\x03\x01GET ")
    assert not looks_like_http(b"GETX / ")
