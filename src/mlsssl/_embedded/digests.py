"""What a certificate and its key are filed under: the thumbprint, and digests of public key and subject."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from mlsssl._formats import foreign, pem
from mlsssl._formats.keys import spki
from mlsssl._machine.find import thumbprint_of
from mlsssl.errors import MalformedDataError

if TYPE_CHECKING:
    from mlsssl.values import Thumbprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Digests:
    """One certificate's index entries.

    Attributes:
        thumbprint: SHA-1 of the DER.
        public_key: SHA-256 of the SubjectPublicKeyInfo.
        subject: SHA-256 of the subject's DER.
    """

    thumbprint: Thumbprint
    public_key: bytes
    subject: bytes


def digests(certificate: bytes) -> Digests:
    """The index entries of a DER certificate; `MalformedDataError` when it is none."""
    parsed = foreign.read("not a DER certificate", x509.load_der_x509_certificate, certificate)
    return Digests(
        thumbprint=thumbprint_of(certificate),
        public_key=_public_key_digest(parsed),
        subject=subject_digest(parsed),
    )


def _public_key_digest(certificate: x509.Certificate) -> bytes:
    # Encoded again rather than cut out: a certificate may name its RSA key as RSASSA-PSS (RFC 4055), its PKCS#8
    # as plain RSA, and it is one key.
    octets = pem.public_key_bytes(certificate)
    # A kind of key that we cannot read: stored all the same, equal to no private key.
    return hashlib.sha256(b"unreadable" + certificate.tbs_certificate_bytes if octets is None else octets).digest()


def private_key_digest(pkcs8: bytes) -> bytes:
    """The digest of the public half of a PKCS#8 key; `MalformedDataError` when it is none."""
    try:
        # The numbers were checked by whoever made or loaded this key; checking them again costs 32 ms for RSA.
        load = serialization.load_der_private_key
        key = foreign.call(load, pkcs8, None, unsafe_skip_rsa_key_validation=True)
        return hashlib.sha256(spki(key.public_key())).digest()
    except foreign.UNREADABLE as error:
        raise MalformedDataError(f"not a PKCS#8 private key: {type(error).__name__}") from None


def subject_digest(certificate: x509.Certificate) -> bytes:
    """The digest of the subject's DER; of nothing when the name cannot be read."""
    return _name_digest(certificate, issuer=False)


def issuer_digest(certificate: x509.Certificate) -> bytes:
    """The digest of the issuer's DER, to be compared with `subject_digest` of the issuer."""
    return _name_digest(certificate, issuer=True)


def _name_digest(certificate: x509.Certificate, *, issuer: bool) -> bytes:
    name: x509.Name | None = foreign.read_or(None, attrgetter("issuer" if issuer else "subject"), certificate)
    octets = None if name is None else foreign.read_or(None, name.public_bytes)
    return b"" if octets is None else hashlib.sha256(octets).digest()
