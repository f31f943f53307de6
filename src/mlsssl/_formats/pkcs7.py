"""Bags of certificates: PKCS#7 SignedData without signers (.spc, .p7b), in DER or PEM (RFC 5652, section 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cryptography.hazmat.primitives.serialization import Encoding

from mlsssl._formats import der
from mlsssl._formats.identifiers import DATA, SIGNED_DATA
from mlsssl._formats.parsed import armour
from mlsssl._formats.pem import load_der
from mlsssl._formats.sniff import Kind, take
from mlsssl.errors import InvalidInputError, MalformedDataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509


_SIZE_LIMIT = 16 * 1024 * 1024
_COUNT_LIMIT = 10_000


def load_pkcs7(data: bytes) -> list[x509.Certificate]:
    """The certificates in a .spc or .p7b, in the order of the file, which means nothing: `choice.choose` knows better.

    DER, BER and PEM are read; signatures and revocation lists in it (`crls_of`) are passed over. `MalformedDataError`
    when it is not PKCS#7 SignedData, damaged, without a certificate, or larger than 16 MiB.
    """
    ders, lists = _contents(data)
    certificates = [
        load_der(one, f"certificate {number} in the PKCS#7 file is damaged and cannot be read")
        for number, one in enumerate(ders, 1)
    ]
    if not certificates:
        raise MalformedDataError(f"this PKCS#7 file holds no certificate{', but revocation lists' * bool(lists)}")
    return certificates


def crls_of(data: bytes) -> list[bytes]:
    """The DER of the revocation lists in it; errors as `load_pkcs7`, but none at all are no error."""
    return _contents(data)[1]


def _contents(data: bytes) -> tuple[list[bytes], list[bytes]]:
    """The DER of its certificates and of its revocation lists."""
    if len(data) > _SIZE_LIMIT:
        raise MalformedDataError(f"{len(data)} bytes are too many for a bag of certificates")
    encoded = take(data, Kind.PKCS7)[0].data
    with der.decoding("PKCS#7 (.p7b, .spc)"):
        info = der.Fields(der.only(encoded))
        if der.oid(info.take()) != SIGNED_DATA:
            raise MalformedDataError("this PKCS#7 file is encrypted or something else, not a bag of certificates")
        signed = der.Fields(der.inside(info.take()))
        for tag in (der.INTEGER, der.SET, der.SEQUENCE):  # version, digests, what was signed
            signed.take(tag)
        both: list[list[bytes]] = []
        for tag in (der.EXPLICIT_0, der.CONTEXT_1 | der.CONSTRUCTED):  # implicit, in truth: the same octets
            found = signed.optional(tag)
            members = [] if found is None else der.members(found, tag, most=_COUNT_LIMIT)
            # RFC 5652, sections 10.2.1 and 10.2.2: certificates and lists of X.509 carry no tag of their own; the other
            # certificates are obsolete, and the other lists are OCSP responses and the like.
            both.append([member.raw for member in members if member.tag == der.SEQUENCE])
        return both[0], both[1]


def serialize_pkcs7(certificates: Sequence[x509.Certificate], *, encoding: Literal["der", "pem"] = "der") -> bytes:
    """A bag of certificates in DER (.p7b for Windows, .spc for MakeCert) or PEM; a SET, so their order is lost."""
    if not certificates or encoding not in ("der", "pem"):
        raise InvalidInputError("give at least one certificate, and 'der' or 'pem' as the encoding")
    found = sorted(certificate.public_bytes(Encoding.DER) for certificate in certificates)
    signed = der.write_sequence(
        der.write_number(1),
        der.write(der.SET),
        der.write_sequence(der.write_oid(DATA)),
        der.write(der.EXPLICIT_0, *found),
        der.write(der.SET),
    )
    whole = der.write_sequence(der.write_oid(SIGNED_DATA), der.write(der.EXPLICIT_0, signed))
    return whole if encoding == "der" else armour(b"PKCS7", whole)
