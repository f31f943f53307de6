"""The one door to the ASN.1 library: the structures of PFX, and a decoder that raises our error only.

asn1crypto reads BER as well as DER, which PFX allows (RFC 7292, section 3), and puts structures off until they are
asked for. Only its core is imported: its own `pkcs12` module brings certificates, revocation lists and OCSP with
it, four times the import time for nothing.
"""

from __future__ import annotations

import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from asn1crypto import core, parser

from mlsssl.errors import MalformedDataError, MlssslError

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = "1.2.840.113549.1.7.1"
SIGNED_DATA = "1.2.840.113549.1.7.2"
ENVELOPED_DATA = "1.2.840.113549.1.7.3"
ENCRYPTED_DATA = "1.2.840.113549.1.7.6"
KEY_BAG = "1.2.840.113549.1.12.10.1.1"
ENCRYPTED_KEY_BAG = "1.2.840.113549.1.12.10.1.2"
CERTIFICATE_BAG = "1.2.840.113549.1.12.10.1.3"
REVOCATION_LIST_BAG = "1.2.840.113549.1.12.10.1.4"
SECRET_BAG = "1.2.840.113549.1.12.10.1.5"  # noqa: S105 -- a name, not a password
SAFE_CONTENTS_BAG = "1.2.840.113549.1.12.10.1.6"
X509_CERTIFICATE = "1.2.840.113549.1.9.22.1"
FRIENDLY_NAME = "1.2.840.113549.1.9.20"
LOCAL_KEY_ID = "1.2.840.113549.1.9.21"
# Microsoft's, wincrypt.h: szOID_PKCS_12_KEY_PROVIDER_NAME_ATTR, szOID_LOCAL_MACHINE_KEYSET.
PROVIDER_NAME = "1.3.6.1.4.1.311.17.1"
MACHINE_KEYSET = "1.3.6.1.4.1.311.17.2"

# What asn1crypto raises on foreign bytes, found by its source and by fuzzing. RecursionError: nesting.
_DECODING_ERRORS = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    OverflowError,
    RecursionError,
    struct.error,
)


@contextmanager
def decoding(what: str) -> Iterator[None]:
    """Turn whatever the ASN.1 library raises inside into `MalformedDataError`, naming `what` was being read."""
    try:
        yield
    except MlssslError:
        raise
    except _DECODING_ERRORS as error:
        reason = str(error).strip().split("\n")[0][:200]
        raise MalformedDataError(f"this is not {what}, or it is damaged: {reason or type(error).__name__}") from None


class AlgorithmIdentifier(core.Sequence):
    """RFC 5280, section 4.1.1.2."""

    _fields = [("algorithm", core.ObjectIdentifier), ("parameters", core.Any, {"optional": True})]


class ContentInfo(core.Sequence):
    """RFC 5652, section 3."""

    _fields = [("content_type", core.ObjectIdentifier), ("content", core.Any, {"explicit": 0, "optional": True})]


class ContentInfos(core.SequenceOf):
    """AuthenticatedSafe in RFC 7292, section 4.1."""

    _child_spec = ContentInfo


class DigestInfo(core.Sequence):
    """RFC 8017, section 9.2."""

    _fields = [("algorithm", AlgorithmIdentifier), ("digest", core.OctetString)]


class MacData(core.Sequence):
    """RFC 7292, section 4."""

    _fields = [
        ("mac", DigestInfo),
        ("salt", core.OctetString),
        ("iterations", core.Integer, {"default": 1}),
    ]


class Pfx(core.Sequence):
    """RFC 7292, section 4."""

    _fields = [
        ("version", core.Integer),
        ("auth_safe", ContentInfo),
        ("mac_data", MacData, {"optional": True}),
    ]


class EncryptedContentInfo(core.Sequence):
    """RFC 5652, section 6.1."""

    _fields = [
        ("content_type", core.ObjectIdentifier),
        ("algorithm", AlgorithmIdentifier),
        ("content", core.OctetString, {"implicit": 0, "optional": True}),
    ]


class EncryptedData(core.Sequence):
    """RFC 5652, section 8."""

    _fields = [
        ("version", core.Integer),
        ("content", EncryptedContentInfo),
        ("attributes", core.Any, {"implicit": 1, "optional": True}),
    ]


class AttributeValues(core.SetOf):
    """RFC 5652, section 5.3."""

    _child_spec = core.Any


class Attribute(core.Sequence):
    """RFC 5652, section 5.3."""

    _fields = [("type", core.ObjectIdentifier), ("values", AttributeValues)]


class Attributes(core.SetOf):
    """RFC 7292, section 4.2."""

    _child_spec = Attribute


class SafeBag(core.Sequence):
    """RFC 7292, section 4.2."""

    _fields = [
        ("bag_id", core.ObjectIdentifier),
        ("value", core.Any, {"explicit": 0}),
        ("attributes", Attributes, {"optional": True}),
    ]


class SafeContents(core.SequenceOf):
    """RFC 7292, section 4.2."""

    _child_spec = SafeBag


class CertBag(core.Sequence):
    """RFC 7292, section 4.2.3; CRLBag and SecretBag have the same shape."""

    _fields = [("id", core.ObjectIdentifier), ("value", core.Any, {"explicit": 0})]


class EncryptedPrivateKeyInfo(core.Sequence):
    """RFC 5958, section 3."""

    _fields = [("algorithm", AlgorithmIdentifier), ("data", core.OctetString)]


class PbeParameters(core.Sequence):
    """RFC 7292, appendix C."""

    _fields = [("salt", core.OctetString), ("iterations", core.Integer)]


class Pbes2Parameters(core.Sequence):
    """RFC 8018, appendix A.4; PBMAC1 (A.5) has the same shape."""

    _fields = [("kdf", AlgorithmIdentifier), ("scheme", AlgorithmIdentifier)]


class Pbkdf2Parameters(core.Sequence):
    """RFC 8018, appendix A.2."""

    _fields = [
        ("salt", core.OctetString),
        ("iterations", core.Integer),
        ("key_length", core.Integer, {"optional": True}),
        ("prf", AlgorithmIdentifier, {"optional": True}),
    ]


class ScryptParameters(core.Sequence):
    """RFC 7914, section 7."""

    _fields = [
        ("salt", core.OctetString),
        ("cost", core.Integer),
        ("block_size", core.Integer),
        ("parallelization", core.Integer),
        ("key_length", core.Integer, {"optional": True}),
    ]


def oid(value: Any) -> str:
    """The dotted form of a decoded object identifier."""
    return str(value.dotted)


def octets(value: Any) -> bytes:
    """The bytes of a decoded OCTET STRING, its pieces joined when BER cut it."""
    native = value.native
    if not isinstance(native, bytes):
        raise MalformedDataError("an OCTET STRING is missing")
    return native


def number(value: Any) -> int:
    """A decoded INTEGER; longer than 8 bytes is refused, for nothing here counts so far."""
    if len(value.contents) > 8:
        raise MalformedDataError(f"an INTEGER of {len(value.contents)} bytes stands where a small number belongs")
    return int(value.native)


def as_octets(value: Any) -> bytes:
    """The bytes of an OCTET STRING that was declared ANY."""
    return octets(value.parse(core.OctetString))


def bmp_string(text: str) -> Any:
    """`text` as Windows writes it: UTF-16BE under the tag of BMPString, surrogate pairs included."""
    return core.BMPString(contents=text.encode("utf-16-be"))


def explicit(value: Any) -> Any:
    """`value` under an explicit tag [0], for a field declared ANY: asn1crypto leaves that to its caller."""
    return value.retag({"explicit": 0})


def sequence(*members: bytes) -> bytes:
    """A SEQUENCE of what is encoded already; three times as fast as a structure of this library, for the quick way."""
    return bytes(parser.emit(0, 1, 16, b"".join(members)))


def octet_string(contents: bytes) -> bytes:
    """An OCTET STRING, encoded; as `sequence`."""
    return bytes(parser.emit(0, 0, 4, contents))


def explicit_der(member: bytes) -> bytes:
    """What is encoded already under an explicit tag [0]; as `sequence`."""
    return bytes(parser.emit(2, 1, 0, member))
