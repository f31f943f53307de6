"""Bags of certificates: PKCS#7 SignedData without signers (.spc, .p7b), in DER or PEM (RFC 5652, section 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from mlsssl._formats import der
from mlsssl._formats.identifiers import SIGNED_DATA
from mlsssl._formats.pem import load_der
from mlsssl._formats.sniff import Kind, take
from mlsssl.errors import InvalidInputError, MalformedDataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509


_SIZE_LIMIT = 16 * 1024 * 1024
_COUNT_LIMIT = 10_000


def load_pkcs7(data: bytes) -> list[x509.Certificate]:
    """The certificates in a .spc or .p7b, in the order of the file, which means nothing: `pem.find_leaf` knows better.

    DER, BER and PEM are read; signatures and revocation lists in it are passed over. `MalformedDataError` when it is
    not PKCS#7 SignedData, damaged, without a certificate, or larger than 16 MiB.
    """
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
        found = signed.optional(der.EXPLICIT_0)  # implicit, in truth: the same octets
        members = [] if found is None else der.members(found, der.EXPLICIT_0, most=_COUNT_LIMIT)
        # RFC 5652, section 10.2.2: plain certificates carry no tag of their own; the other choices are obsolete.
        ders = [member.raw for member in members if member.tag == der.SEQUENCE]
    certificates = [load_der(one, "a certificate in the PKCS#7 file is damaged and cannot be read") for one in ders]
    if not certificates:
        raise MalformedDataError("this PKCS#7 file holds no certificate")
    return certificates


def serialize_pkcs7(certificates: Sequence[x509.Certificate], *, encoding: Literal["der", "pem"] = "der") -> bytes:
    """A bag of certificates in DER (.p7b for Windows, .spc for MakeCert) or PEM; a SET, so their order is lost."""
    if not certificates or encoding not in ("der", "pem"):
        raise InvalidInputError("give at least one certificate, and 'der' or 'pem' as the encoding")
    return pkcs7.serialize_certificates(list(certificates), Encoding.DER if encoding == "der" else Encoding.PEM)
