"""Certificate requests: PKCS#10 (RFC 2986), read and written."""

from __future__ import annotations

from operator import attrgetter

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mlsssl._formats.der import dotted_oid, read_tlv, split_sequence
from mlsssl._formats.foreign import UNREADABLE, call, check_public_kind, extensions_of, read
from mlsssl._formats.hosts import parse_name
from mlsssl._formats.keys import has_signed
from mlsssl._formats.sniff import Kind, take
from mlsssl.errors import InvalidInputError, MalformedDataError

_SIZE_LIMIT = 1024 * 1024


def load_request(data: bytes) -> x509.CertificateSigningRequest:
    """The request (the first of several) in a file, its signature verified: whoever made it has the private key.

    Raises:
        MalformedDataError: no request, a signature that does not fit or cannot be checked, extensions that cannot be
            read, or more than 1 MiB.
    """
    if len(data) > _SIZE_LIMIT:
        raise MalformedDataError(f"{len(data)} bytes are too many for a certificate request")
    what = "this is not a certificate request that can be read"
    encoded = take(data, Kind.REQUEST)[0].data
    try:
        request = call(x509.load_der_x509_csr, encoded)
        call(_subject_of, request)
    except UNREADABLE as error:
        from mlsssl._formats import lenient  # for these alone

        request = lenient.load_request(encoded, what, error)
    read(what, _check_kind_of_key, request.tbs_certrequest_bytes)  # before the signature is checked with it
    fits: bool = read(what, _fits, request)
    read(what, repr, read(what, extensions_of, request))  # decodes them
    read(what, read(what, _subject_of, request).rfc4514_string)
    if not fits:
        raise MalformedDataError("the request's signature does not fit its public key: it was changed, or is a forgery")
    return request


def _fits(request: x509.CertificateSigningRequest) -> bool:
    signed = request.tbs_certrequest_bytes
    return request.is_signature_valid or (
        isinstance(request, x509.CertificateSigningRequest) and has_signed(request.public_key(), request, signed)
    )


_subject_of = attrgetter("subject")


def _check_kind_of_key(signed: bytes) -> None:
    """See `check_public_kind`. The key is the third field of what the request's author signed."""
    _, start, end = read_tlv(signed, 0)
    key = split_sequence(signed, start, end)[2]
    algorithm = split_sequence(signed, key[2], key[3])[0]
    _, start, end = read_tlv(signed, algorithm[2])
    check_public_kind(dotted_oid(signed[start:end]))


def to_pem(request: x509.CertificateSigningRequest) -> bytes:
    """PEM, as every authority takes it."""
    return request.public_bytes(Encoding.PEM)


def requested_names(request: x509.CertificateSigningRequest) -> tuple[x509.GeneralName, ...]:
    """The subjectAltName entries asked for; when there is none, the common name if it can be a host's.

    Old tools ask by common name alone; RFC 9525 section 2 and every client want the names in subjectAltName.
    """
    try:
        return tuple(request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        pass
    found = request.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    try:
        return tuple(parse_name(str(one.value)) for one in found)
    except InvalidInputError:
        return ()
