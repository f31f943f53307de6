"""A TLS server and a TLS client for tests: real handshakes on loopback, time-outs everywhere, nothing left behind."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from mlsssl._formats.keys import private_key_der
from mlsssl._machine import handshake, tls_contexts
from mlsssl._messages.arguments import items_of
from mlsssl.certificate import Certificate
from mlsssl.errors import InvalidInputError, ListenerError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from mlsssl.authority import CertificateAuthority

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"
_REQUEST_LIMIT = 65_536


class TlsServer:
    """A running server; `tls_server` makes and ends it.

    Attributes:
        host: The address it listens on.
        port: The port, which the system chose.
        handshakes: How many handshakes succeeded.
        failures: Why the others failed, in the words of OpenSSL; a list of at most 1,000.
        client_certificates: What clients showed, where they are asked for one; a list of at most 1,000.
    """

    def __init__(
        self, certificate: Certificate, host: str, timeout: float, clients: Sequence[CertificateAuthority | Certificate]
    ) -> None:
        self._clients = _anchors("clients", clients)
        self.use(certificate)
        self._timeout = timeout
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, socket.socket] = {}
        try:
            self._socket = socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        except OSError as error:
            raise ListenerError(f"cannot listen on {host}: {error}") from None
        self._socket.settimeout(0.1)  # closing a socket wakes no accept(), so accept looks whether it should end
        self.host: str = host
        self.port: int = self._socket.getsockname()[1]
        self.handshakes = 0
        self.failures: list[str] = []
        self.client_certificates: list[Certificate] = []
        self._thread = threading.Thread(target=self._accept, name="mlsssl-tls-server", daemon=True)
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, as `tls_client` and `socket.create_connection` take them."""
        return self.host, self.port

    @property
    def url(self) -> str:
        """`https://127.0.0.1:port/`; every request is answered 200."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}/"

    def use(self, certificate: Certificate) -> None:
        """Serve another certificate from the next handshake on, and ask clients as before.

        Raises:
            InvalidInputError: it has no private key.
        """
        context = certificate.ssl_context()
        if self._clients:
            tls_contexts.trust(context, self._clients, partial_chain=True)
        self._context = context

    def close(self) -> None:
        """Stop, cut open connections, wait for the threads; idempotent."""
        self._closing.set()
        self._thread.join()
        with self._lock:
            connections = dict(self._open)
        for connection in connections.values():
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in connections:
            thread.join(self._timeout)

    def _accept(self) -> None:
        with self._socket:
            while not self._closing.is_set():
                try:
                    connection, _ = self._socket.accept()
                except TimeoutError:
                    continue
                except OSError:
                    return
                connection.settimeout(self._timeout)
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                with self._lock:
                    self._open[thread] = connection
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, self._context.wrap_socket(connection, server_side=True) as session:
                shown = session.getpeercert(binary_form=True)
                with self._lock:
                    self.handshakes += 1
                    if shown is not None and len(self.client_certificates) < 1000:
                        self.client_certificates.append(Certificate.from_der(shown))
                self._answer(session)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            with self._lock:
                if len(self.failures) < 1000:
                    self.failures.append(str(error))
        finally:
            with self._lock:
                self._open.pop(threading.current_thread(), None)

    def _answer(self, session: ssl.SSLSocket) -> None:
        # A client that closes without a request, or without TLS's good-bye, has done nothing wrong.
        with contextlib.suppress(OSError):
            request = b""
            while b"\r\n\r\n" not in request and len(request) < _REQUEST_LIMIT:
                got = session.recv(4096)
                if not got:
                    return
                request += got
            session.sendall(_ANSWER)
            session.unwrap()

    def __repr__(self) -> str:
        return f"<TlsServer {self.host}:{self.port}{', closed' if self._closing.is_set() else ''}>"


def _anchors(argument: str, trust: Sequence[CertificateAuthority | Certificate]) -> list[bytes]:
    anchors = []
    for one in items_of(trust, f"{argument} is a list of authorities or certificates"):
        anchor = getattr(one, "certificate", one)
        if not isinstance(anchor, Certificate):
            raise InvalidInputError(f"{argument} is authorities or certificates, not {type(one).__name__}")
        anchors.append(anchor.to_der())
    return anchors


@contextlib.contextmanager
def tls_server(
    certificate: Certificate,
    *,
    clients: Sequence[CertificateAuthority | Certificate] = (),
    host: str = "127.0.0.1",
    timeout: float = 5.0,
) -> Iterator[TlsServer]:
    """Serve a certificate over real TLS on loopback, for as long as the `with` lasts.

    Every HTTP request is answered `200 OK`. TLS 1.2 and newer.

    Args:
        certificate: With its private key; its chain is sent along.
        clients: Take only clients that show a client certificate by one of these authorities (mutual TLS). None is
            asked for when it is empty.
        host: The address to listen on; the system chooses the port.
        timeout: Seconds that one connection may take to say anything.

    Yields:
        The running server: `address`, `url`, `handshakes`, `failures`, `client_certificates`, `use()`.

    Raises:
        InvalidInputError: the certificate has no private key, or `clients` has something that is no certificate.
        ListenerError: the address cannot be listened on.
    """
    server = TlsServer(certificate, host, timeout, clients)
    try:
        yield server
    finally:
        server.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsConnection:
    """What a handshake gave; `tls_client` makes and ends it.

    Attributes:
        certificate: What the server served.
        protocol: `TLSv1.3` or `TLSv1.2`.
        cipher: OpenSSL's name of the cipher suite.
        session: The connection, for reading and writing.
    """

    certificate: Certificate
    protocol: str
    cipher: str
    session: ssl.SSLSocket = field(repr=False, compare=False)


@contextlib.contextmanager
def tls_client(
    address: tuple[str, int],
    *,
    trust: Sequence[CertificateAuthority | Certificate],
    certificate: Certificate | None = None,
    host: str | None = None,
    timeout: float = 5.0,
) -> Iterator[TlsConnection]:
    """Connect as a client that checks everything: chain, dates and name, as Python's `ssl` does it.

    Args:
        address: Host and port to connect to, such as `server.address`.
        trust: The only authorities to trust. Empty trusts nobody, which no handshake survives.
        certificate: What to show a server that asks for one, with its private key and chain. In TLS 1.3 a server that
            refuses it says so after the handshake: the first write or read then raises an `OSError` such as
            `ssl.SSLError`.
        host: The name to ask for (SNI) and to find in the certificate; the address's host when not given.
        timeout: Seconds for connecting with its handshake, and for each read and write.

    Yields:
        What the handshake gave.

    Raises:
        ListenerError: there was no handshake; the message has OpenSSL's reason (`certificate has expired`).
        InvalidInputError: `trust` has something that is no certificate, or `certificate` has no private key.
    """
    context = tls_contexts.trusting(_anchors("trust", trust), partial_chain=True)
    if certificate is not None:
        _show(context, certificate)
    name = address[0] if host is None else host
    with contextlib.ExitStack() as stack:
        try:
            deadline = time.monotonic() + timeout
            connection = handshake.connect(*address, deadline=deadline)
            session = stack.enter_context(handshake.shake(connection, name, context, deadline=deadline))
            session.settimeout(timeout)
            der = session.getpeercert(binary_form=True)
        except (OSError, ValueError) as error:
            reason = getattr(error, "verify_message", "") or str(error)
            raise ListenerError(f"no TLS with {address[0]}:{address[1]} as {name!r}: {reason}") from None
        assert der is not None  # verify_mode is CERT_REQUIRED
        cipher = session.cipher()
        yield TlsConnection(
            certificate=Certificate.from_der(der),
            protocol=session.version() or "",
            cipher=cipher[0] if cipher else "",
            session=session,
        )


def _show(context: ssl.SSLContext, certificate: Certificate) -> None:
    if certificate.private_key is None:
        raise InvalidInputError(f"a client that shows a certificate needs its private key: {certificate!r}")
    chain = [one.to_der() for one in (certificate, *certificate.chain)]
    tls_contexts.load_der(context, chain, private_key_der(certificate.private_key))


class TlsServerMaker(Protocol):
    """What the pytest fixture `mlsssl_tls_server` is: `tls_server`, with the servers ended when the test ends."""

    def __call__(
        self,
        certificate: Certificate,
        *,
        clients: Sequence[CertificateAuthority | Certificate] = (),
        host: str = "127.0.0.1",
        timeout: float = 5.0,
    ) -> TlsServer:
        """Start a server for this certificate."""


class TlsClientMaker(Protocol):
    """What the pytest fixture `mlsssl_tls_client` is: `tls_client`, which trusts `mlsssl_ca` by default."""

    def __call__(
        self,
        address: tuple[str, int],
        *,
        trust: Sequence[CertificateAuthority | Certificate] | None = None,
        certificate: Certificate | None = None,
        host: str | None = None,
        timeout: float = 5.0,
    ) -> AbstractContextManager[TlsConnection]:
        """Connect to a server at this address."""
