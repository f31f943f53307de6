"""The seam to `cryptography` for foreign bytes: its warnings are dropped, whatever it raises becomes our error.

It reads lazily, and raises over odd content whatever happens to come up: KeyError for an unknown TLS feature,
InternalError for a short Ed25519 key, InvalidVersion, a Rust panic, which is not even an `Exception`. So nothing here
lists those classes: every reading of foreign bytes and of a foreign certificate's fields goes through `call`, `read`
or `read_or`, with a function of `cryptography` itself (an attribute by `attrgetter`).
"""

from __future__ import annotations

import builtins
import re
from operator import attrgetter
from types import FunctionType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from cryptography.exceptions import UnsupportedAlgorithm

from mlsssl.errors import MalformedDataError, MlssslError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

P = ParamSpec("P")
R = TypeVar("R")
D = TypeVar("D")

DIFFIE_HELLMAN = ("1.2.840.113549.1.3.1", "1.2.840.10046.2.1")
"""The object identifiers of PKCS#3 and ANSI X9.42."""

UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm)
"""What `call` raises over foreign bytes, and nothing else; only key readers tell them apart."""


def _pass_on(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    return function(*args, **kwargs)


# Where a module's `__name__` is None, CPython takes itself to be shutting down and drops a warning before it looks at
# any filter (warn_explicit in Python/_warnings.c, 3.10 to 3.14). `warnings.catch_warnings` would do it for every thread
# of the process. With `-W error` a certificate from elsewhere would otherwise end the program.
_silently: Callable[..., Any] = FunctionType(_pass_on.__code__, {"__name__": None, "__builtins__": builtins})


def call(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """What the function returns; no warning of its own comes out.

    Raises:
        ValueError, TypeError, UnsupportedAlgorithm: as the function does; ValueError for everything else it raises.
        MlssslError, MemoryError: as the function does.
    """
    try:
        result: R = _silently(function, *args, **kwargs)
        return result
    except (MlssslError, MemoryError, *UNREADABLE):
        raise
    except BaseException as error:
        # pyo3's PanicException cannot be imported; KeyboardInterrupt and SystemExit are nobody's malformed bytes.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise ValueError(f"{type(error).__name__}: {error}") from None


def read(what: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """As `call`, for callers that tell nothing apart; `what` begins the message: `"this is no certificate"`.

    Raises:
        MalformedDataError: it raised.
        MlssslError, MemoryError: as the function does.
    """
    try:
        return call(function, *args, **kwargs)
    except MlssslError:
        raise
    except UNREADABLE as error:
        raise MalformedDataError(f"{what}: {reason(error)}") from None


def read_or(default: D, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R | D:
    """As `read`, with `default` for what cannot be read."""
    try:
        return call(function, *args, **kwargs)
    except UNREADABLE:  # our own MalformedDataError is a ValueError
        return default


def reason(error: BaseException) -> str:
    """What an error says, in words for people: one line of at most 200 characters; its class where it says nothing.

    The one place where `cryptography`'s words for foreign bytes become ours: the names in its program, the addresses of
    its documentation, its dumps and its numbers of hundreds of digits help nobody who has a file in hand.
    """
    if isinstance(error, MlssslError):
        return str(error)
    text = (str(error)[:2000].splitlines() or [""])[0]
    if (found := re.search(_PARSE_ERROR, text)) is not None:
        return _fault_in_words(found["kind"], found["location"] or "")
    for said, ours in _SAID.items():
        if said in text:
            return ours
    text = text.removeprefix("InvalidVersion: ")
    text = re.sub(_LONG_NUMBER, lambda digits: f"a number of {len(digits[0])} digits", text)
    if re.search(_NOT_FOR_PEOPLE, text):
        return "it is damaged, or of a form that is not read"
    return text[:200] or type(error).__name__


_PARSE_ERROR = r"ParseError \{ kind: (?P<kind>\w+).*?(?:, location: \[(?P<location>[^\]]*)\])? \}$"
_KINDS = {
    "InvalidValue": "a value that is not allowed there",
    "InvalidTag": "something of an impossible type",
    "InvalidLength": "a length that is not written as DER demands",
    "UnexpectedTag": "something of another type than belongs there",
    "ShortData": "it ends in the middle",
    "IntegerOverflow": "a number that is too large",
    "ExtraData": "more than belongs there",
    "InvalidSetOrdering": "a set that is not sorted as DER demands",
    "EncodedDefault": "a value that DER leaves out, since it is the default",
    "InvalidSize": "a list that is too short or too long",
    "OidTooLong": "an object identifier that is too long",
}
# Of the fields that a message can name; others are told by their name with spaces in it.
_FIELDS = {
    "BmpString": "BMPString",
    "DNSName": "dNSName",
    "DirectoryName": "directoryName",
    "FullName": "fullName",
    "IPAddress": "iPAddress",
    "OtherName": "otherName",
    "RFC822Name": "rfc822Name",
    "RegisteredID": "registeredID",
    "UniformResourceIdentifier": "URI",
    "UtcTime": "UTCTime",
    "Utf8String": "UTF8String",
    "X400Address": "x400Address",
    "base": "",
    "ca": "cA",
    "critical": "critical flag",
    "csr_info": "",
    "extn_id": "its number",
    "extn_value": "its value",
    "issuer_unique_id": "issuerUniqueID",
    "next_update": "nextUpdate",
    "not_after": "notAfter",
    "not_before": "notBefore",
    "oid": "its number",
    "params": "parameters",
    "path_length": "pathLenConstraint",
    "raw_crl_extensions": "extensions",
    "raw_extensions": "extensions",
    "serial": "serial number",
    "signature_alg": "signature algorithm",
    "spki": "public key",
    "subject_unique_id": "subjectUniqueID",
    "tbs_cert": "",
    "tbs_cert_list": "",
    "this_update": "thisUpdate",
    "type_id": "its type",
    "value": "",
}
_SAID = {
    "a relative distinguished name cannot be empty": "a name with an empty part",
    "X500_UNIQUE_IDENTIFIER": "a name with bits where text belongs",
    "does not appear to be an IP": "an iPAddress of neither 4 nor 16 octets",
    "KeyError": "a value of unknown meaning",
    "UnsupportedGeneralNameType": "an x400Address or ediPartyName, which are not read",
    "TLSFeatureType": "a TLS feature of unknown meaning",
    "path_length must be None": "a pathLenConstraint although it is no authority",
    "must not be None": "it is empty",
    "must be provided": "it is empty",
    "RsaPssParameters": "parameters of RSASSA-PSS that are not allowed",
    "explicit parameters": "an EC key whose curve is written out in numbers and is not P-256, P-384 or P-521",
    "Could not deserialize key data": "the key is damaged, or of a kind that is not read",
    "PEM": "the text between its BEGIN and END lines is damaged, or another thing than they say",
}
_LONG_NUMBER = r"\d{40,}"
_NOT_FOR_PEOPLE = r"(?i)asn1|ParseError|OpenSSLError|https?://|\\x|::|_\w+\(|openssl error"


def _fault_in_words(kind: str, location: str) -> str:
    """`notBefore, UTCTime: a value that is not allowed there`."""
    names = [part.strip().strip('"').rpartition("::")[2] for part in location.split(",")]
    parts = [_FIELDS.get(name, name.replace("_", " ")) for name in names if not name.isdigit()]
    fault = _KINDS.get(kind, "something that is not read")
    where = ", ".join(dict.fromkeys(filter(None, parts)))
    if not where and kind == "ExtraData":
        return "there are bytes behind its end"
    return f"{where}: {fault}" if where else fault


extensions_of = attrgetter("extensions")
"""For `read` and `read_or`: the extensions of a certificate, request or revocation list."""

needed_fields_of = attrgetter("subject", "issuer", "serial_number", "not_valid_before_utc", "not_valid_after_utc")
"""Likewise what everything here relies on in a certificate; read all the same by `cryptography` only when asked."""

serial_of = attrgetter("serial_number")
"""Likewise the serial number, which `cryptography` warns of where it is not positive."""


def public_key_of(certificate: x509.Certificate) -> CertificatePublicKeyTypes:
    """The public key. `MalformedDataError` when it cannot be read, or is a Diffie-Hellman key (`check_public_kind`)."""
    return read("this certificate's public key cannot be read", key_of, certificate)


def key_of(certificate: x509.Certificate) -> CertificatePublicKeyTypes:
    """For `call` and `read_or`: the public key of a certificate, as cryptography reads it.

    Raises:
        UnsupportedAlgorithm: as `check_public_kind`.
        ValueError, TypeError, UnsupportedAlgorithm, InternalError: cryptography's word on an odd key.
    """
    check_public_kind(certificate.public_key_algorithm_oid.dotted_string)
    return certificate.public_key()


def check_public_kind(algorithm: str) -> None:
    """Refuse to have a public key read that is dear and good for nothing.

    Raises:
        UnsupportedAlgorithm: it is for Diffie-Hellman. OpenSSL computes with it on reading, seconds at 16 384 bits,
            and nothing can be signed or served with it.
    """
    if algorithm in DIFFIE_HELLMAN:
        raise UnsupportedAlgorithm("a Diffie-Hellman key, which signs and serves nothing")


def name_text(name: x509.Name) -> str:
    """A name as RFC 4514 text; `(unreadable name)` where it has none."""
    return read_or("(unreadable name)", name.rfc4514_string)
