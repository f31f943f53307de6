"""One client: its ClientHello chooses the context, then TLS and a little HTTP, all within limits of size and time."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import ssl
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import TYPE_CHECKING

from mlsssl._embedded.listener import http
from mlsssl._embedded.listener.client_hello import ClientHelloReader
from mlsssl._embedded.listener.contexts import INTERNAL_ERROR, RefusedError
from mlsssl._embedded.listener.page import Session, error_page, status_page
from mlsssl._formats import pem
from mlsssl._formats.foreign import name_text
from mlsssl._machine.tls_alpn import PROTOCOL
from mlsssl._messages.foreign_text import clean_logger
from mlsssl.errors import MalformedDataError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlsssl._embedded.listener.serving import Answer, Serving

logger = clean_logger("mlsssl.listener")
logger.addHandler(logging.NullHandler())  # a library does not write to its user's terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one client may cost.

    Attributes:
        handshake: Seconds from accepting the connection to the end of the handshake.
        request: Seconds from a request's first byte (or the handshake) to the end of its head.
        idle: Seconds between two requests.
        write: Seconds a client may leave an answer unread.
        requests: Requests on one connection.
        connections: Connections at once; more are closed at once.
    """

    handshake: float = 10.0
    request: float = 10.0
    idle: float = 30.0
    write: float = 30.0
    requests: int = 1000
    connections: int = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What all connections of a listener share.

    Attributes:
        serving: Chooses what answers.
        limits: What one client may cost.
        clock: The time, aware, for the page.
        connections: Those that are open.
    """

    serving: Serving
    limits: Limits
    clock: Callable[[], datetime]
    connections: set[Connection]


class Connection(asyncio.Protocol):
    """The protocol of one accepted connection.

    It drives `ssl.SSLObject` over memory itself instead of asking asyncio for TLS, because the context is not known
    before the ClientHello has been read (see `client_hello`).

    Args:
        service: What is shared.
        port: The port in the binding table that the client came to.
    """

    def __init__(self, service: Service, port: int) -> None:
        self._service = service
        self._port = port
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None
        self._hello = ClientHelloReader()
        self._received = bytearray()  # requests, as far as they are not answered
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self._answer: Answer | None = None
        self._session: Session | None = None
        self._server_name: str | None = None
        self._requests = 0
        self._validated = False  # by an ACME server, which wants the handshake and nothing more (RFC 8737)
        self._paused = False
        self._closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client is there."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if len(self._service.connections) >= self._service.limits.connections:
            logger.warning("port %d: too many connections", self._port)
            self._closing = True
            transport.abort()
            return
        self._service.connections.add(self)
        self._set_timer(self._service.limits.handshake)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._closing = True
        self._cancel_timer()
        self._service.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        """It said something."""
        if self._closing:
            return
        if self._tls is None:
            self._read_client_hello(data)
        else:
            self._incoming.write(data)
        if self._tls is not None:
            self._advance()

    def eof_received(self) -> bool:
        """It will say no more; nothing is sent to such a client, so the transport may close."""
        return False

    def pause_writing(self) -> None:
        """The client does not read what it asked for: read nothing more from it until it does."""
        self._paused = True
        self._transport.pause_reading()
        self._set_timer(self._service.limits.write)

    def resume_writing(self) -> None:
        """It reads again."""
        self._paused = False
        if not self._closing:
            self._set_timer(self._service.limits.request)
            self._transport.resume_reading()
            self._advance()

    def close(self) -> None:
        """Say goodbye and close, after what is under way was sent."""
        if self._closing:
            return
        self._closing = True
        if self._session is not None and self._tls is not None:
            with contextlib.suppress(ssl.SSLError):
                self._tls.unwrap()  # sends close_notify; nobody waits for the answer
            self._flush()
        self._set_timer(self._service.limits.write)
        self._transport.close()

    def abort(self) -> None:
        """Close at once, whatever was under way."""
        self._closing = True
        self._transport.abort()

    def _read_client_hello(self, data: bytes) -> None:
        try:
            hello = self._hello.feed(data)
            if hello is None:
                return
            self._server_name = hello.server_name
            if hello.protocols == (PROTOCOL.encode(),):
                self._validated = True
                context = self._service.serving.answer_to_validation(hello.server_name)
                self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
                self._incoming.write(self._hello.received)
                return
            self._answer = self._service.serving.answer(self._port, self._local_address(), hello.server_name)
        except MalformedDataError as error:
            logger.info("port %d: %s", self._port, error)
            self._closing = True
            if http.looks_like_http(self._hello.received):
                page = error_page("This port speaks HTTPS", "Use https:// in front of the address.")
                self._transport.write(http.response(400, page, keep_alive=False, date=self._date()))
            self._transport.close()
            return
        except RefusedError as error:
            logger.warning("port %d: handshake refused: %s", self._port, error)
            self._refuse(error.alert)
            return
        except Exception:
            # One client's handshake must not take the listener's answer to the others with it.
            logger.exception("port %d: handshake failed", self._port)
            self._refuse(INTERNAL_ERROR)
            return
        self._tls = self._answer.context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._incoming.write(self._hello.received)

    def _refuse(self, alert: int | None) -> None:
        self._closing = True
        if alert is not None:
            # A fatal alert in a record of its own, in the clear as nothing is agreed yet (RFC 8446 sections 5.1, 6.2).
            self._transport.write(bytes((21, 3, 3, 0, 2, 2, alert)))
        self._transport.close()

    def _local_address(self) -> str:
        address = ipaddress.ip_address(self._transport.get_extra_info("sockname")[0].partition("%")[0])
        mapped = getattr(address, "ipv4_mapped", None)
        return str(mapped or address)

    def _advance(self) -> None:
        """Do what the bytes at hand allow: finish the handshake, read requests, answer them."""
        assert self._tls is not None
        try:
            if self._session is None:
                self._tls.do_handshake()
                self._session = self._describe(self._tls)
                if self._validated:
                    self.close()
                    return
                self._set_timer(self._service.limits.request)
            while not self._closing and not self._paused:
                self._answer_requests()
                if self._closing or self._paused:
                    break
                data = self._tls.read(65536)
                if not data:  # close_notify
                    self.close()
                    return
                if not self._received:
                    self._set_timer(self._service.limits.request)
                self._received += data
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError as error:
            if self._session is None:
                logger.info("port %d: handshake failed: %s", self._port, error.reason or error)
            self._closing = True
            self._flush()  # the alert
            self._transport.close()

    def _describe(self, tls: ssl.SSLObject) -> Session:
        cipher = tls.cipher()
        return Session(
            server_name=self._server_name,
            version=tls.version() or "TLS",
            cipher=cipher[0] if cipher else "",
            client=_client_subject(tls),
        )

    def _answer_requests(self) -> None:
        assert self._session is not None
        assert self._answer is not None
        while not self._closing and not self._paused:
            try:
                request = http.parse_request(self._received)
            except http.BadRequestError as error:
                self._send_error(error.status, str(error))
                return
            if request is None:
                return
            self._requests += 1
            keep_alive = request.keep_alive and self._requests < self._service.limits.requests
            page = status_page(self._answer, self._session, self._service.clock())
            self._send(
                http.response(200, page, keep_alive=keep_alive, with_body=request.method != "HEAD", date=self._date())
            )
            if not keep_alive:
                self.close()
            elif not self._paused:
                self._set_timer(self._service.limits.request if self._received else self._service.limits.idle)

    def _send_error(self, status: int, text: str) -> None:
        page = error_page(http.reason(status), text)
        self._send(http.response(status, page, keep_alive=False, date=self._date()))
        self.close()

    def _send(self, data: bytes) -> None:
        assert self._tls is not None
        self._tls.write(data)  # into memory, so all of it
        self._flush()

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._transport.write(self._outgoing.read())

    def _date(self) -> str:
        return format_datetime(self._service.clock().astimezone(timezone.utc), usegmt=True)

    def _set_timer(self, seconds: float) -> None:
        self._cancel_timer()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._time_is_up)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_is_up(self) -> None:
        self._timer = None
        if self._closing or self._paused or self._session is None:
            self.abort()
        elif self._received:
            try:
                self._send_error(408, "the request took too long")
            except ssl.SSLError:
                self.abort()
        else:
            self.close()


def _client_subject(tls: ssl.SSLObject) -> str | None:
    der = tls.getpeercert(binary_form=True)
    if not der:
        return None
    try:
        return name_text(pem.load_der(der).subject) or "empty"
    except MalformedDataError:
        return "unreadable"
