"""tls-alpn-01 (RFC 8737) by the embedded machine's own TLS server."""

from __future__ import annotations

import datetime as dt
import hashlib
import ipaddress
from typing import TYPE_CHECKING, Literal

from mlsssl._machine import tls_alpn
from mlsssl._messages.arguments import check_type

if TYPE_CHECKING:
    from mlsssl.machine import EmbeddedMachine

_ACME_IDENTIFIER = "1.3.6.1.5.5.7.1.31"  # RFC 8737 section 6.1, id-pe-acmeIdentifier
_LIFE = dt.timedelta(days=7)  # as long as an order may be pending at the usual servers


class TlsAlpnChallenge:
    """tls-alpn-01 by the listener of an embedded machine, in this process or another; bindings answer as before.

    The server that validates comes to port 443 of the name, which has to be the listener's, or to lead to it. HTTP.sys
    does not let a program answer this kind of challenge.

    Args:
        machine: The embedded machine that listens.

    Raises:
        InvalidInputError: it is no embedded machine.
    """

    type: Literal["tls-alpn-01"] = "tls-alpn-01"

    def __init__(self, machine: EmbeddedMachine) -> None:
        from mlsssl.machine import EmbeddedMachine

        expected = "tls-alpn-01 is answered by the listener of an EmbeddedMachine, for HTTP.sys cannot"
        self._machine = check_type(machine, EmbeddedMachine, expected)

    def present(self, domain: str, token: str, key_authorization: str) -> None:
        """As `ChallengeSolver.present`.

        Raises:
            AccessDeniedError, NativeError: the machine's state folder cannot be written.
        """
        certificate, key = _answer(domain, key_authorization)
        tls_alpn.leave_answer(self._machine.state_folder, domain, certificate, key)

    def cleanup(self, domain: str, token: str, key_authorization: str) -> None:
        """As `ChallengeSolver.cleanup`; errors as `present`."""
        tls_alpn.remove_answer(self._machine.state_folder, domain)

    def __repr__(self) -> str:
        return f"<TlsAlpnChallenge {self._machine.path}>"


def _answer(domain: str, key_authorization: str) -> tuple[bytes, bytes]:
    """A certificate that only the holder of the account's key could have asked for, and its key (section 3)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding

    from mlsssl._formats.keys import private_key_der

    try:
        name: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(domain))
    except ValueError:
        name = x509.DNSName(domain)
    key = ec.generate_private_key(ec.SECP256R1())
    digest = hashlib.sha256(key_authorization.encode("ascii")).digest()
    shown = x509.UnrecognizedExtension(x509.ObjectIdentifier(_ACME_IDENTIFIER), b"\x04\x20" + digest)
    now = dt.datetime.now(dt.timezone.utc)
    subject = x509.Name([])
    certificate = (
        x509.CertificateBuilder(
            subject, subject, key.public_key(), x509.random_serial_number(), now - _LIFE, now + _LIFE
        )
        .add_extension(x509.SubjectAlternativeName([name]), critical=True)
        .add_extension(shown, critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.DER), private_key_der(key)
