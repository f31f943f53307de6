"""The client's side of a TLS handshake: with any server, and with what listens on this computer for a binding."""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlsssl._formats.binding_keys import BindingKey, CcsPort, IpPort
from mlsssl._machine import tls_contexts
from mlsssl._machine.stores import thumbprint_of
from mlsssl.errors import MalformedDataError, UnsupportedError

if TYPE_CHECKING:
    import ssl
    from typing import Any

    from mlsssl.values import Thumbprint

_LOCAL_TIMEOUT = 3.0
"""Seconds for connecting, and for the handshake: it is this computer."""

_MOST_CERTIFICATES = 100


def connect(host: str, port: int, *, deadline: float) -> socket.socket:
    """Connect to the first of the host's addresses that answers; all of them share the time.

    Args:
        host: Name or address.
        port: TCP.
        deadline: Of `time.monotonic`; resolving the name is the system's, and may take longer.

    Raises:
        OSError, UnicodeError: no such host, nothing listens, or not in time (TimeoutError).
    """
    failure: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(left)
            connection.connect(address)
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure


def shake(connection: socket.socket, name: str | None, context: ssl.SSLContext, *, deadline: float) -> ssl.SSLSocket:
    """Do the handshake over a connection, which belongs to what is returned; closed when it fails.

    Nothing is sent after it. A client certificate that the server may ask for is given when the context has one.

    Args:
        connection: As `connect` returns it.
        name: The host name to send (SNI) and, if the context checks it, to find in the certificate; None for none.
        context: A client's.
        deadline: As for `connect`.

    Raises:
        OSError, ValueError: no handshake (ssl.SSLError), not in time (TimeoutError), or a name ssl cannot send.
    """
    with connection:  # left empty by wrap_socket, unless that refuses its arguments
        connection.settimeout(max(deadline - time.monotonic(), 0.001))
        return context.wrap_socket(connection, server_hostname=name)


_ENCODING_DER = 2  # _ssl.ENCODING_DER


def sent_chain(session: ssl.SSLSocket) -> list[bytes]:
    """The server's certificates as it sent them, DER, its own first; at most a hundred.

    Public since Python 3.13 (`SSLSocket.get_unverified_chain`); from 3.10 on the object below has it, under the
    same name, which is the only way to see more than the leaf there.

    Raises:
        UnsupportedError: this Python does not tell.
        MalformedDataError: the server sent none.
    """
    public: Any = getattr(session, "get_unverified_chain", None)
    inner: Any = getattr(getattr(session, "_sslobj", None), "get_unverified_chain", None)
    if public is not None:
        certificates: list[bytes] = public()
    elif inner is not None:
        certificates = [one.public_bytes(_ENCODING_DER) for one in inner() or ()]
    else:
        raise UnsupportedError("this Python's ssl module does not give the chain that a server sent")
    if not certificates:
        raise MalformedDataError("the server sent no certificate")
    return certificates[:_MOST_CERTIFICATES]


# -- what a binding serves on this computer ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What a handshake showed.

    Attributes:
        thumbprint: The certificate that was served; None when there was no handshake.
        problem: Why there was none, although something listens; None otherwise.
    """

    thumbprint: Thumbprint | None = None
    problem: str | None = None


def local_address(key: BindingKey) -> tuple[str, int]:
    """The address on this computer that reaches what a binding answers for."""
    if isinstance(key, IpPort):
        if not key.is_wildcard:
            return key.address, key.port
        return ("::1" if key.ip.version == 6 else "127.0.0.1"), key.port
    return "127.0.0.1", key.port


def server_name(key: BindingKey) -> str | None:
    """The host name to send (SNI) so that this binding answers; None for none."""
    if isinstance(key, (IpPort, CcsPort)):
        return None
    if key.host == "*":
        return "mlsssl-probe.invalid"
    return f"mlsssl-probe.{key.host[2:]}" if key.host.startswith("*.") else key.host


def ask(address: tuple[str, int], name: str | None, *, timeout: float = _LOCAL_TIMEOUT) -> Served | None:
    """What is served there, without resuming a session and without trusting anything; None when nothing listens."""
    context = tls_contexts.accepting_anything()
    try:
        connection = connect(*address, deadline=time.monotonic() + timeout)
    except OSError:
        return None
    try:
        with shake(connection, name, context, deadline=time.monotonic() + timeout) as session:
            der = session.getpeercert(binary_form=True)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError; ValueError: a name ssl cannot send
        return Served(problem=f"no TLS handshake with {address[0]}:{address[1]}: {error}")
    if not der:
        return Served(problem=f"{address[0]}:{address[1]} served no certificate")
    return Served(thumbprint=thumbprint_of(der))
