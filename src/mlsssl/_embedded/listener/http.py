"""The little HTTP/1.1 that a status page needs: reading a request's head, writing a response (RFC 9112)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mlsssl.errors import MlssslError

HEAD_LIMIT = 16 * 1024
_FIELDS_LIMIT = 100

_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}) ([!-~]{1,8000}) HTTP/([0-9])\.([0-9])")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t -~\x80-\xff]*)")

_REASONS = {
    200: "OK",
    400: "Bad Request",
    405: "Method Not Allowed",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    505: "HTTP Version Not Supported",
}


class BadRequestError(MlssslError):
    """Not a request that can be answered with 200; never leaves the package.

    Attributes:
        status: The answer's status code.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request's head.

    Attributes:
        method: `GET`, `HEAD`.
        target: As it was sent.
        keep_alive: Whether another request may follow.
    """

    method: str
    target: str
    keep_alive: bool


def parse_request(buffer: bytearray) -> Request | None:
    """Take one request's head from the front of the buffer; None while it is not all there.

    Raises:
        BadRequestError: malformed or too large, of another version, or neither GET nor HEAD.
    """
    end = buffer.find(b"\r\n\r\n", 0, HEAD_LIMIT)
    if end < 0:
        if len(buffer) >= HEAD_LIMIT:
            raise BadRequestError(431, f"a request's head has at most {HEAD_LIMIT} bytes here")
        if buffer[:1] and _cannot_be_a_request(buffer):
            raise BadRequestError(400, "not a request")
        return None
    line, *rest = bytes(buffer[:end]).split(b"\r\n")
    del buffer[: end + 4]
    matched = _REQUEST_LINE.fullmatch(line)
    if matched is None:
        raise BadRequestError(400, "not a request line")
    if matched[3] != b"1":
        raise BadRequestError(505, "this server speaks HTTP/1.1")
    fields = _parse_fields(rest)
    if matched[4] != b"0" and len(fields.get(b"host", [])) != 1:
        raise BadRequestError(400, "a request of HTTP/1.1 has one Host field")  # RFC 9112 section 3.2
    method = matched[1].decode("ascii")
    if method not in ("GET", "HEAD"):
        raise BadRequestError(405, "this server answers GET and HEAD")
    # A body would have to be read before the next request; nobody sends one with GET, so the connection just ends.
    has_body = b"transfer-encoding" in fields or fields.get(b"content-length", [b"0"]) != [b"0"]
    options = b",".join(fields.get(b"connection", [])).lower().replace(b" ", b"").replace(b"\t", b"").split(b",")
    persistent = matched[4] != b"0" or b"keep-alive" in options
    return Request(
        method=method,
        target=matched[2].decode("ascii"),
        keep_alive=persistent and b"close" not in options and not has_body,
    )


def looks_like_http(data: bytes | bytearray) -> bool:
    """Whether somebody speaks HTTP where TLS was expected."""
    return bytes(data[:8]).split(b" ")[0] in (b"GET", b"HEAD", b"POST", b"PUT", b"OPTIONS", b"DELETE", b"PATCH")


def reason(status: int) -> str:
    """The reason phrase of one of the codes above."""
    return _REASONS[status]


def _cannot_be_a_request(buffer: bytearray) -> bool:
    # What does not even start with a method gets its answer now, not after the time-out.
    return re.match(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}( |$)", bytes(buffer[:33])) is None


def _parse_fields(lines: list[bytes]) -> dict[bytes, list[bytes]]:
    if len(lines) > _FIELDS_LIMIT:
        raise BadRequestError(431, f"a request has at most {_FIELDS_LIMIT} fields here")
    fields: dict[bytes, list[bytes]] = {}
    for line in lines:
        matched = _FIELD.fullmatch(line)
        if matched is None:
            raise BadRequestError(400, "a header line that is no field")
        fields.setdefault(matched[1].lower(), []).append(matched[2].strip(b" \t"))
    return fields


def response(status: int, body: str, *, keep_alive: bool, with_body: bool = True, date: str) -> bytes:
    """A whole response with an HTML body; not `with_body` for HEAD: the fields speak of the body, which is not sent."""
    content = body.encode()
    lines = [
        f"HTTP/1.1 {status} {_REASONS[status]}",
        f"Date: {date}",
        "Server: mlsssl",
        "Content-Type: text/html; charset=utf-8",
        f"Content-Length: {len(content)}",
        "Cache-Control: no-store",
        "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'",
        "X-Content-Type-Options: nosniff",
        f"Connection: {'keep-alive' if keep_alive else 'close'}",
    ]
    if status == 405:
        lines.append("Allow: GET, HEAD")
    head = "\r\n".join(lines).encode("ascii") + b"\r\n\r\n"
    return head + content if with_body else head
