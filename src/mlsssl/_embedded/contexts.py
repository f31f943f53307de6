"""An `ssl.SSLContext` for one certificate and one binding's options, its key never in a file others could read."""

from __future__ import annotations

import os
import secrets
import ssl
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization

from mlsssl.errors import ListenerError, MlssslError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlsssl.values import BindingOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a server proves itself with.

    Attributes:
        chain: DER certificates, the server's own first, then its issuers without the root.
        private_key: PKCS#8 DER, unencrypted.
    """

    chain: tuple[bytes, ...]
    private_key: bytes = field(repr=False)


class NoVersionLeftError(MlssslError):
    """The options leave no TLS version that this listener can speak; never leaves the package."""


def make_context(
    identity: Identity, options: BindingOptions, *, client_roots: Sequence[bytes], allow_legacy_tls: bool
) -> ssl.SSLContext:
    """The context that a binding asks for, as far as Python's ssl can make it.

    Honoured: tls12, tls13, legacy_tls, negotiate_client_certificate, session_tickets; session_id by whoever keeps the
    context, for Python cannot switch the cache of sessions off. `reject_connections` never comes this far. The rest
    is about HTTP/2, HTTP/3, OCSP, revocation and accounts, none of which this listener has.

    Args:
        identity: Certificate, chain and key.
        options: The binding's.
        client_roots: DER certificates that client certificates must chain to, when they are asked for.
        allow_legacy_tls: Whether TLS 1.0 and 1.1 are spoken where the binding does not forbid them. Windows has such a
            switch too (Schannel's), above the binding's, and current releases ship with it off.

    Raises:
        ListenerError: OpenSSL refuses the certificate or the key.
        NoVersionLeftError: every version is switched off.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _set_versions(context, options, allow_legacy_tls=allow_legacy_tls)
    context.options |= ssl.OP_NO_RENEGOTIATION
    if not options.session_tickets:
        context.options |= ssl.OP_NO_TICKET  # up to TLS 1.2
        context.num_tickets = 0  # TLS 1.3
    context.set_alpn_protocols(["http/1.1"])
    try:
        if options.negotiate_client_certificate:
            # A client without a certificate is let in, as by HTTP.sys. One with a certificate that does not verify is
            # refused in the handshake, where HTTP.sys leaves the verdict to the application.
            context.verify_mode = ssl.CERT_OPTIONAL
            if client_roots:
                context.load_verify_locations(cadata=b"".join(client_roots))
        load_identity(context, identity)
    except (ssl.SSLError, OSError, ValueError) as error:
        raise ListenerError(f"this certificate cannot be served: {error}") from None
    return context


def _set_versions(context: ssl.SSLContext, options: BindingOptions, *, allow_legacy_tls: bool) -> None:
    versions = [
        version
        for version, enabled in ((ssl.TLSVersion.TLSv1_2, options.tls12), (ssl.TLSVersion.TLSv1_3, options.tls13))
        if enabled
    ]
    if not versions:
        # TLS 1.0 and 1.1 without 1.2 would need Python's deprecated setters, and nobody needs it.
        raise NoVersionLeftError("TLS 1.2 and 1.3 are both switched off for this binding")
    context.minimum_version, context.maximum_version = versions[0], versions[-1]
    if allow_legacy_tls and options.legacy_tls and options.tls12:
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.set_ciphers("DEFAULT:@SECLEVEL=0")  # OpenSSL 3 refuses their SHA-1 signatures above level 0


def load_identity(context: ssl.SSLContext, identity: Identity) -> None:
    """Give the context its certificate and key, which Python takes from files only.

    On Linux the file is one without a name, in memory (memfd_create), readable by this process's user alone. Elsewhere
    it lies in a new folder for this user only, the key encrypted under a random password, and is deleted at once.

    Raises:
        ssl.SSLError: OpenSSL does not like them, or they do not belong together.
    """
    certificates = "".join(ssl.DER_cert_to_PEM_cert(der) for der in identity.chain).encode()
    if sys.platform == "linux" and _load_from_memory(context, certificates, identity.private_key):
        return
    password = secrets.token_urlsafe(32)
    key = serialization.load_der_private_key(identity.private_key, None, unsafe_skip_rsa_key_validation=True)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password.encode()),
    )
    with tempfile.TemporaryDirectory(prefix="mlsssl-") as folder:  # 0700
        path = Path(folder) / "identity.pem"
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(encrypted + certificates)
        context.load_cert_chain(path, password=password)


if sys.platform == "linux":

    def _load_from_memory(context: ssl.SSLContext, certificates: bytes, private_key: bytes) -> bool:
        """Whether it worked: not without /proc."""
        descriptor = os.memfd_create("mlsssl", os.MFD_CLOEXEC)
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o600)
            path = f"/proc/self/fd/{descriptor}"
            if not Path(path).exists():
                return False
            file.write(_key_to_pem(private_key) + certificates)
            file.flush()
            context.load_cert_chain(path)
        return True

else:

    def _load_from_memory(context: ssl.SSLContext, certificates: bytes, private_key: bytes) -> bool:
        """Not on this platform."""
        return False


def _key_to_pem(pkcs8: bytes) -> bytes:
    # The bytes as they are in PEM's armour (RFC 7468): parsing an RSA key only for that would take milliseconds.
    return ssl.DER_cert_to_PEM_cert(pkcs8).replace("CERTIFICATE", "PRIVATE KEY").encode()
