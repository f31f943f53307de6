"""A client for TLS handshakes with any server, and one with what listens on this computer: what does it serve?"""

from __future__ import annotations

import hashlib
import socket
import ssl
from dataclasses import dataclass

from mlsssl.values import BindingKey, CcsPort, IpPort, Thumbprint

TIMEOUT = 3.0
"""Seconds for connecting, and for the handshake: it is this computer."""


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


def any_server_context() -> ssl.SSLContext:
    """A client that accepts whatever a server can send: which certificate it is, good or bad, is the question."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # Python's own default is TLS 1.2, and a server that speaks nothing newer than TLS 1.1 is to be told so.
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    try:
        # OpenSSL's security levels refuse small keys, SHA-1 and old protocols before anyone has seen them.
        context.set_ciphers("ALL:@SECLEVEL=0")
    except ssl.SSLError:
        context.set_ciphers("DEFAULT")
    return context


def ask(address: tuple[str, int], name: str | None, *, timeout: float = TIMEOUT) -> Served | None:
    """Shake hands, without resuming a session and without trusting anything; None when nothing listens there.

    A client certificate that the server may ask for is not given. Nothing is sent after the handshake.
    """
    context = any_server_context()
    try:
        connection = socket.create_connection(address, timeout=timeout)
    except OSError:
        return None
    try:
        with connection, context.wrap_socket(connection, server_hostname=name) as session:
            der = session.getpeercert(binary_form=True)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError; ValueError: a name ssl cannot send
        return Served(problem=f"no TLS handshake with {address[0]}:{address[1]}: {error}")
    if not der:
        return Served(problem=f"{address[0]}:{address[1]} served no certificate")
    return Served(thumbprint=Thumbprint(hashlib.sha1(der, usedforsecurity=False).digest()))
