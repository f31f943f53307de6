"""The server name in a TLS ClientHello, read before any TLS engine sees it.

Why not Python's `sni_callback`? It may give the connection another SSLContext, but OpenSSL then takes over that
context's certificate only (SSL_set_SSL_CTX). Seen with OpenSSL 3.0 and Python 3.11: a context with TLS 1.3 as its
minimum still spoke TLS 1.2, one with TLS 1.2 as its maximum still spoke 1.3, one with CERT_REQUIRED accepted a client
without a certificate, and one without tickets still sent them: versions, client certificates and tickets are settled
by the first context, before the callback or in spite of it. A binding decides all of these, so the binding has to be
known before the engine starts.
"""

from __future__ import annotations

from dataclasses import dataclass

from mlsssl._formats.hosts import to_a_labels
from mlsssl.errors import MalformedDataError

LIMIT = 64 * 1024
"""How many bytes a ClientHello and its record headers may take. Real ones take 0.3 to 2 KB."""

_HANDSHAKE = 22  # RFC 8446 section 5.1, ContentType
_CLIENT_HELLO = 1  # section 4, HandshakeType
_RECORD_LIMIT = 2**14  # section 5.1
_SERVER_NAME = 0  # RFC 6066 section 3, ExtensionType and NameType host_name alike
_ALPN = 16  # RFC 7301 section 3.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientHello:
    """What the choice of a binding needs from a ClientHello.

    Attributes:
        server_name: The host name that the client asked for, in lower case without a trailing dot; None without.
        protocols: What it offers to speak above TLS (ALPN), as it wrote it.
    """

    server_name: str | None
    protocols: tuple[bytes, ...] = ()


class ClientHelloReader:
    """Puts a ClientHello together from what comes in; each byte is looked at once, however small the pieces.

    Attributes:
        received: Everything fed so far, for whoever takes the connection over.
    """

    def __init__(self) -> None:
        self.received = bytearray()
        self._position = 0  # of the first record that is not complete
        self._message = bytearray()

    def feed(self, data: bytes) -> ClientHello | None:
        """Take the next bytes.

        Returns:
            What the ClientHello says, or None while it is not all there.

        Raises:
            MalformedDataError: it is no ClientHello, or longer than `LIMIT`.
        """
        self.received += data
        while True:
            header = self.received[self._position : self._position + 5]
            if header[:1] and header[0] != _HANDSHAKE:
                raise MalformedDataError("the client does not speak TLS: its first record is no handshake")
            if len(header) > 1 and header[1] != 3:
                raise MalformedDataError("the client speaks no version of TLS that there is")
            end = self._position + 5 + int.from_bytes(header[3:5], "big")
            if len(header) == 5 and not 1 <= end - self._position - 5 <= _RECORD_LIMIT:
                raise MalformedDataError(f"a TLS record of {end - self._position - 5} bytes")
            if len(header) < 5 or end > len(self.received):
                if len(self.received) > LIMIT:
                    raise MalformedDataError("a ClientHello in too many pieces")
                return None
            self._message += self.received[self._position + 5 : end]
            self._position = end
            if (found := self._parse_message()) is not None:
                return found

    def _parse_message(self) -> ClientHello | None:
        if self._message[0] != _CLIENT_HELLO:
            raise MalformedDataError("the client's first message is no ClientHello")
        needed = 4 + int.from_bytes(self._message[1:4], "big")
        if len(self._message) < 4:
            return None
        if needed > LIMIT:
            raise MalformedDataError(f"a ClientHello of {needed} bytes")
        return _parse(bytes(self._message[4:needed])) if len(self._message) >= needed else None


class _Reader:
    """A cursor over bytes that never reads past their end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def at_end(self) -> bool:
        return self._position == len(self._data)

    def take(self, length: int) -> bytes:
        end = self._position + length
        if end > len(self._data):
            raise MalformedDataError("a ClientHello that ends too early")
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def number(self, width: int) -> int:
        return int.from_bytes(self.take(width), "big")

    def vector(self, width: int) -> bytes:
        """A vector with a length of `width` bytes in front (RFC 8446 section 3.4)."""
        return self.take(self.number(width))


def _parse(body: bytes) -> ClientHello:
    reader = _Reader(body)
    reader.take(2 + 32)  # legacy_version, random
    reader.vector(1)  # legacy_session_id
    reader.vector(2)  # cipher_suites
    reader.vector(1)  # legacy_compression_methods
    if reader.at_end:  # TLS 1.2 and before need not have extensions
        return ClientHello(server_name=None)
    extensions = _Reader(reader.vector(2))
    if not reader.at_end:
        raise MalformedDataError("bytes after a ClientHello's extensions")
    name: str | None = None
    protocols: tuple[bytes, ...] = ()
    seen = False
    while not extensions.at_end:
        kind, content = extensions.number(2), extensions.vector(2)
        if kind == _SERVER_NAME:
            if seen:
                raise MalformedDataError("a ClientHello with two lists of server names")
            seen = True
            name = _host_name(content)
        elif kind == _ALPN:
            protocols = _protocols(content)
    return ClientHello(server_name=name, protocols=protocols)


def _protocols(content: bytes) -> tuple[bytes, ...]:
    listed = _Reader(content)
    entries, found = _Reader(listed.vector(2)), []
    while not entries.at_end:
        found.append(entries.vector(1))
    return tuple(found)


def _host_name(content: bytes) -> str | None:
    names = _Reader(content)
    entries = _Reader(names.vector(2))
    if not names.at_end or entries.at_end:
        raise MalformedDataError("a list of server names that is not one")
    found: str | None = None
    while not entries.at_end:
        kind, name = entries.number(1), entries.vector(2)
        if kind == _SERVER_NAME and found is None:
            # RFC 6066: ASCII without a trailing dot; a dot is forgiven here, as names with one mean the same.
            if not name or len(name) > 255 or not name.isascii() or b"\0" in name:
                raise MalformedDataError("a server name that is no host name")
            found = to_a_labels(name.decode("ascii"))
    return found or None
