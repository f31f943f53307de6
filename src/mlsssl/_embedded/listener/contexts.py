"""An `ssl.SSLContext` for one certificate and one binding's options."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlsssl._machine.tls_contexts import load_der
from mlsssl.errors import ListenerError, MlssslError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlsssl._formats.binding_keys import BindingOptions


# Alert descriptions of RFC 8446 section 6.
HANDSHAKE_FAILURE, PROTOCOL_VERSION, INTERNAL_ERROR, UNRECOGNIZED_NAME = 40, 70, 80, 112


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a server proves itself with.

    Attributes:
        chain: DER certificates, the server's own first, then its issuers without the root.
        private_key: PKCS#8 DER, unencrypted.
    """

    chain: tuple[bytes, ...]
    private_key: bytes = field(repr=False)


class RefusedError(MlssslError):
    """No handshake for this connection; never leaves the package.

    Attributes:
        alert: The TLS alert to send, or None to end the connection without a word.
    """

    def __init__(self, message: str, *, alert: int | None) -> None:
        super().__init__(message)
        self.alert = alert


def make_context(
    identity: Identity, options: BindingOptions, *, client_roots: Sequence[bytes], allow_legacy_tls: bool
) -> ssl.SSLContext:
    """The context that a binding asks for, as far as Python's ssl can make it.

    Honoured: tls12, tls13, legacy_tls, negotiate_client_certificate, session_tickets; session_id by whoever keeps the
    context, for Python cannot switch the cache of sessions off. `reject_connections` never comes this far. The rest
    is about HTTP/2, HTTP/3, OCSP, revocation and accounts, none of which this listener has.

    `client_roots` (DER) are what client certificates must chain to, when they are asked for. `allow_legacy_tls` is
    Schannel's switch above the binding's, off in current releases: without it TLS 1.0 and 1.1 are never spoken.

    Raises:
        ListenerError: OpenSSL refuses the certificate or the key.
        RefusedError: every version is switched off.
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
        load_der(context, identity.chain, identity.private_key)
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
        raise RefusedError("TLS 1.2 and 1.3 are both switched off for this binding", alert=PROTOCOL_VERSION)
    context.minimum_version, context.maximum_version = versions[0], versions[-1]
    if allow_legacy_tls and options.legacy_tls and options.tls12:
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.set_ciphers("DEFAULT:@SECLEVEL=0")  # OpenSSL 3 refuses their SHA-1 signatures above level 0
