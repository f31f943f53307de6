"""The chain that a server gives, checked against the request; and how certificates are named to a server (RFC 9773)."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import NameOID

from mlsssl._formats import foreign, pem
from mlsssl.certificate import Certificate
from mlsssl.errors import IssuerError, MalformedDataError

if TYPE_CHECKING:
    from mlsssl.request import CertificateRequest

_LONGEST = 10  # certificates


def read(data: bytes, request: CertificateRequest, issuer: str) -> Certificate:
    """The certificate at the head of a chain in PEM (RFC 8555 section 9.1), with the others as its chain.

    Raises:
        IssuerError: it is no chain, or its first certificate is for another key than the request's.
    """
    try:
        found = Certificate.from_pem(data)
    except MalformedDataError as error:
        raise IssuerError(f"{issuer} gave no certificate: {error}", issuer=issuer) from None
    if not request.matches(found) or len(found.chain) > _LONGEST:
        raise IssuerError(f"{issuer} gave a certificate that is not for the key of the request", issuer=issuer)
    return found


def topmost_issuer(certificate: Certificate) -> str | None:
    """The common name of the issuer of the last certificate in the chain: the root's, which servers leave out."""
    top = pem.x509_of(certificate.chain[-1] if certificate.chain else certificate)
    names: list[x509.NameAttribute[str | bytes]] = foreign.read_or(
        [], lambda: list(top.issuer.get_attributes_for_oid(NameOID.COMMON_NAME))
    )
    return str(names[0].value) if names else None


def issuer_of(certificate: Certificate) -> list[str]:
    """Who issued it, in hexadecimal: the issuer's name in DER, and the key's identifier or ""."""
    read_ = pem.x509_of(certificate)
    name: bytes = foreign.read("the issuer's name cannot be read", lambda: read_.issuer.public_bytes())
    return [name.hex(), (_key_identifier(certificate) or b"").hex()]


def identifier(certificate: Certificate) -> str | None:
    """What a server knows a certificate by (RFC 9773 section 4.1); None where it does not name its issuer's key."""
    key = _key_identifier(certificate)
    number = certificate.serial_number
    if key is None or number < 0:
        return None
    # The content of the INTEGER in DER, so with a zero in front where the highest bit is set.
    return f"{_base64url(key)}.{_base64url(number.to_bytes(number.bit_length() // 8 + 1, 'big'))}"


def _key_identifier(certificate: Certificate) -> bytes | None:
    try:
        found = pem.find_extension(pem.x509_of(certificate), x509.AuthorityKeyIdentifier)
    except MalformedDataError:
        return None
    return None if found is None else found.key_identifier


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
