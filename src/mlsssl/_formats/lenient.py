"""Certificates that `cryptography` refuses and other programs read: what is odd in them, and a copy without it.

`cryptography` keeps to DER (X.690) and to the letter of RFC 5280. OpenSSL and Windows take more, and old authorities
wrote it: Latin-1 in a TeletexString, `_` or `*` in a PrintableString, parameters behind ecdsa-with-SHA256, times
with an offset. What OpenSSL 3 reads is read here, as it reads it, and some that it does not; nothing is guessed of
dates, and what else cannot be read is said.
"""

from __future__ import annotations

import re
from collections import deque
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, NamedTuple, cast

from cryptography import x509

from mlsssl._formats import der, foreign
from mlsssl._formats.parsed import GENERALIZED_TIME, UTC_TIME, Fault, OddCertificate, OddRequest, shell
from mlsssl._messages.foreign_text import shown
from mlsssl.errors import MalformedDataError, UnreadableCertificateError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlsssl._formats.der import Element

LARGEST = 256 * 1024
"""Bytes of a certificate that is looked into here; honest ones have 1 to 10 KiB."""

ODD, BROKEN, TIME = "encoding-odd", "encoding-broken", "date-form"
_NO_FINDING = ""  # another rule speaks of it

_ADVICE = "ask whoever issued it for a new one"
_MOST_MEMBERS = 20_000
_DEEPEST = 30  # as OpenSSL's ASN1_MAX_CONSTRUCTED_NEST


def load(data: bytes, what: str, refusal: Exception) -> x509.Certificate:
    """The certificate in `data`, which `cryptography` has refused; an `OddCertificate`, which stands in for one.

    Raises:
        MalformedDataError: it has not the form of a certificate; the message begins with `what`.
        UnreadableCertificateError: it has, and a field of it cannot be read.
    """
    reader = _Reader()
    try:
        parts = reader.taken_apart(data)
    except (ValueError, RecursionError):
        parts = None
    if parts is None:
        raise MalformedDataError(f"{what}: {foreign.reason(refusal)}")
    try:
        return cast("x509.Certificate", reader.read(data, *parts))
    except (ValueError, RecursionError) as error:
        known = "".join(f"; {fault.part}: {fault.found}" for fault in reader.faults[:3])
        raise UnreadableCertificateError(f"{what}: {foreign.reason(error)}{known}; {_ADVICE}") from None


def load_request(data: bytes, what: str, refusal: Exception) -> x509.CertificateSigningRequest:
    """The request in `data`, which `cryptography` has refused; an `OddRequest`, which stands in for one.

    Raises:
        MalformedDataError: it cannot be read all the same; the message begins with `what`.
    """
    reader = _Reader()
    try:
        taken = reader.taken_apart(data)
        if taken is None:
            raise ValueError(foreign.reason(refusal))
        (signed, _, _), (content, outer, bits) = taken
        fields = der.members(content, der.SEQUENCE, most=_MOST_FIELDS)
        if len(fields) < 3:
            raise ValueError("the signed part lacks fields")
        algorithm = reader.read_field("signature algorithm", _Reader.algorithm, outer)
        if reader.algorithm_problem:
            raise ValueError(f"signature algorithm: {reader.algorithm_problem}")
        subject = reader.read_field("subject", _Reader.subject, fields[1])
        mended = der.write_sequence(fields[0].raw, subject, *(field.raw for field in fields[2:]))
        copy = foreign.call(x509.load_der_x509_csr, der.write_sequence(mended, algorithm, bits.raw))
        if not reader.faults:
            raise ValueError(foreign.reason(refusal))
    except (ValueError, RecursionError) as error:
        raise MalformedDataError(f"{what}: {foreign.reason(error)}") from None
    made = OddRequest(data, copy, tuple(reader.faults), signed.raw, bits.contents[1:])
    return cast("x509.CertificateSigningRequest", made)


class _Reader:
    """Reads one certificate; `faults` are those found so far. Its methods give a field as it stands in the copy."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self._key_problem = ""
        self.algorithm_problem = ""

    def _fault(self, part: str, found: str, code: str = ODD) -> None:
        if len(self.faults) < _MOST_FAULTS:
            self.faults.append(Fault(part, found, code))

    def taken_apart(self, data: bytes) -> tuple[list[Element], list[Element]] | None:
        """The three parts of a certificate as they stand, and in definite lengths; None when it has others."""
        if len(data) > LARGEST:
            return None
        parts = der.members(der.only(data), der.SEQUENCE, most=3)
        if [part.tag for part in parts] != [der.SEQUENCE, der.SEQUENCE, _BIT_STRING]:
            return None
        whole = _definite(der.only(data))
        if whole != data:
            self._fault("certificate", "lengths in a form of BER that DER does not have")
        return parts, der.members(der.only(whole), der.SEQUENCE, most=3)

    def read(self, data: bytes, parts: list[Element], definite: list[Element]) -> OddCertificate:
        """The certificate. ValueError says what cannot be read."""
        signed, outer, bits = definite
        fields = deque(der.members(signed, der.SEQUENCE, most=_MOST_FIELDS))
        readers = dict(_FIELDS)
        if fields and fields[0].tag != der.EXPLICIT_0:
            del readers["version"]
        if len(fields) < len(readers):
            raise ValueError("the signed part lacks fields")
        copied = [self.read_field(what, reader, fields.popleft()) for what, reader in readers.items()]
        for field in fields:
            if field.tag & ~der.CONSTRUCTED in (0x81, 0x82):
                if field.tag & der.CONSTRUCTED or field.contents[:1] != b"\0":
                    self._fault(
                        "unique identifier", "bits in a form that is not read", ODD if field.contents else BROKEN
                    )
                continue  # of which the validator speaks, and which nobody reads
            if field.tag != _EXPLICIT_3:
                raise ValueError(f"a field with the tag {field.tag:#04x}, of which RFC 5280 does not know")
            copied.append(self.read_field("extensions", _Reader.extensions, field))
        if not bits.contents:
            raise ValueError("the signature is missing")
        if bits.contents[0]:
            self._fault("signature", "a signature that is no whole number of octets", BROKEN)
        own = self.read_field("signature algorithm", _Reader.outer_algorithm, outer)
        copy = foreign.call(
            x509.load_der_x509_certificate,
            der.write_sequence(der.write_sequence(*copied), own, der.write(_BIT_STRING, b"\0", bits.contents[1:])),
        )
        foreign.call(foreign.needed_fields_of, copy)
        if not self.faults:
            raise ValueError("it is of a form that is not read")
        return OddCertificate(
            data,
            copy=copy,
            form=der.write_sequence(*(part.raw for part in definite)),
            signed=parts[0].raw,
            signature=bits.contents[1:],
            faults=tuple(self.faults),
            key_problem=self._key_problem,
            algorithm_problem=self.algorithm_problem,
        )

    def read_field(self, what: str, reader: Callable[[_Reader, Element], bytes], field: Element) -> bytes:
        """The field; ValueError names it."""
        try:
            return reader(self, field)
        except ValueError as error:
            raise ValueError(f"{what}: {foreign.reason(error)}") from None

    def version(self, field: Element) -> bytes:
        number = der.inside(field)
        value = _whole_number(number)
        if number.raw != _shortest(value):
            self._fault("version", _PADDED, BROKEN)
        if value == 0:
            self._fault("version", "version 1, written out although it is the default")
            return b""
        if value != 2:
            # OpenSSL and Windows do not look; of its meaning the rules for versions speak.
            self._fault(
                "version", f"version {value + 1 if abs(value) < 2**31 else 'of many digits'}, read as 3", _NO_FINDING
            )
        return _VERSION_3

    def serial(self, field: Element) -> bytes:
        value = _whole_number(field)
        if field.raw != _shortest(value):
            self._fault("serial number", _PADDED, BROKEN)
        return _shortest(value)

    def outer_algorithm(self, field: Element) -> bytes:
        """The second, in which a fault of the first is none of its own."""
        before = list(self.faults)
        found = self.algorithm(field)
        self.faults = list(dict.fromkeys((*before, *self.faults)))
        return found

    def algorithm(self, field: Element) -> bytes:
        if _refusal(algorithm=field.raw) is None:
            return field.raw
        members = der.members(field, der.SEQUENCE, most=3)
        number = der.oid(members[0]) if members else ""
        if not number:
            raise ValueError("no object identifier")
        alone = der.write_sequence(members[0].raw)
        given = members[1:]
        full_null = any(one.tag == der.NULL and one.contents for one in given)
        code = BROKEN if full_null or len(given) > 1 else ODD
        if number in _WITHOUT_PARAMETERS and len(given) == 1 and _refusal(algorithm=alone) is None:
            title, belongs = _WITHOUT_PARAMETERS[number]
            java = given[0].tag == der.NULL and not full_null
            what = (
                "NULL, as Java 11 wrote it," if java else "a NULL that is not empty" if full_null else "something else"
            )
            self._fault("signature algorithm", f"{what} behind {title}, where {belongs} belongs", code)
            return alone
        self.algorithm_problem = f"parameters that do not belong behind {number}"
        found = f"{self.algorithm_problem}, so that the signature cannot be checked"
        self._fault("signature algorithm", found, code)
        return _UNKNOWN_ALGORITHM

    def issuer(self, field: Element) -> bytes:
        return self._name("issuer", field)

    def subject(self, field: Element) -> bytes:
        return self._name("subject", field)

    def _name(self, which: str, name: Element) -> bytes:
        parts = []
        for part in der.members(name, der.SEQUENCE, most=_MOST_MEMBERS):
            found = [self._attribute(which, one) for one in der.members(part, der.SET, most=_MOST_MEMBERS)]
            if not found:
                self._fault(which, "an empty part, passed over")
                continue
            if len(set(found)) < len(found):
                self._fault(which, "an attribute twice in one part")
            elif found != sorted(found):
                self._fault(which, "a part whose attributes are not sorted")
            parts.append(der.write(der.SET, *sorted(set(found))))
        return der.write_sequence(*parts)

    def _attribute(self, which: str, attribute: Element) -> bytes:
        members = der.members(attribute, der.SEQUENCE, most=2)
        if len(members) != 2:
            raise ValueError("an attribute that is not a type and a value")
        kind, value = members
        number = der.oid(kind)
        if der.write_oid(number) != kind.raw:
            raise ValueError("a type of attribute with needless octets")
        where = f"{which} {_ATTRIBUTES.get(number, number)}"
        reading = _STRINGS.get(value.tag)
        if reading is None:
            if value.tag == _BIT_STRING and number == _UNIQUE_IDENTIFIER:
                return attribute.raw
            code = ODD if value.tag in (_BIT_STRING, der.SEQUENCE) or value.tag & der.CONSTRUCTED else BROKEN
            self._fault(where, "no text; read as the hexadecimal digits of its octets", code)
            text = "#" + value.raw[:_LONGEST].hex()
        else:
            text, problem = reading.read(value.contents)
            if not problem:
                return attribute.raw
            self._fault(where, f"{reading.title} {problem}", reading.code)
        return der.write_sequence(kind.raw, der.write(_UTF8_STRING, text.encode("utf-8", "replace")))

    def dates(self, field: Element) -> bytes:
        dates = der.members(field, der.SEQUENCE, most=2)
        if len(dates) != 2:
            raise ValueError("two dates belong there")
        return der.write_sequence(*map(self._date, ("notBefore", "notAfter"), dates))

    def _date(self, which: str, date: Element) -> bytes:
        form = _TIMES.get(date.tag)
        text = date.contents.decode("latin-1")
        found = form.fullmatch(text) if form is not None else None
        try:
            if found is None:
                raise ValueError
            year = int(found["year"])
            if date.tag == UTC_TIME:
                year += 1900 if year >= 50 else 2000  # RFC 5280 section 4.1.2.5.1
            month, day, hour, minute, second = (int(found[part] or 0) for part in _DOWN_TO_SECONDS)
            moment = datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)
            if found["sign"]:
                off = timedelta(hours=int(found["hours"]), minutes=int(found["minutes"]))
                moment += -off if found["sign"] == "+" else off
        except (ValueError, OverflowError):
            raise ValueError(f"{which} is no date: {shown(text[:40])}") from None
        if found["second"] and not found["fraction"] and not found["sign"]:
            return date.raw
        odd = "an offset" if found["sign"] else "a fraction of a second" if found["fraction"] else "no seconds"
        self._fault(which, f"{text[:40]}, a time with {odd}; read as {moment.isoformat(' ')[:19]} UTC", TIME)
        digits = re.sub(r"[^0-9]", "", moment.isoformat()[:19])
        if 1950 <= moment.year < 2050:
            return der.write(UTC_TIME, f"{digits[2:]}Z".encode())
        return der.write(GENERALIZED_TIME, f"{digits}Z".encode())

    def key(self, field: Element) -> bytes:
        refusal = _refusal(spki=field.raw)
        if refusal is None:
            return field.raw
        self._key_problem = foreign.reason(refusal).removeprefix("public key").lstrip(",: ")
        self._fault("public key", self._key_problem, _NO_FINDING)
        return _UNKNOWN_KEY

    def extensions(self, field: Element) -> bytes:
        found = der.members(der.only(field.contents), der.SEQUENCE, most=_MOST_MEMBERS)
        return der.write(_EXPLICIT_3, der.write_sequence(*map(self._extension, found)))

    def _extension(self, extension: Element) -> bytes:
        members = der.members(extension, der.SEQUENCE, most=3)
        flag = members[1] if len(members) == 3 else None
        if len(members) < 2 or members[-1].tag != der.OCTET_STRING:
            raise ValueError("an extension that is not a number, a critical flag and a value")
        if flag is None:
            return extension.raw
        if flag.tag != _BOOLEAN or len(flag.contents) != 1:
            raise ValueError("an extension whose critical flag is no BOOLEAN")
        if flag.contents == b"\xff":
            return extension.raw
        number = der.oid(members[0])
        where = f"extension {_EXTENSIONS.get(number, number)}"
        if flag.contents == b"\0":
            self._fault(where, "critical is FALSE, written out although it is the default")
            return der.write_sequence(members[0].raw, members[2].raw)
        self._fault(where, f"critical is TRUE, written as {flag.contents[0]} instead of 255")
        return der.write_sequence(members[0].raw, b"\x01\x01\xff", members[2].raw)


_FIELDS: dict[str, Callable[[_Reader, Element], bytes]] = {
    "version": _Reader.version,
    "serial number": _Reader.serial,
    "signature algorithm": _Reader.algorithm,
    "issuer": _Reader.issuer,
    "validity": _Reader.dates,
    "subject": _Reader.subject,
    "public key": _Reader.key,
}
_BOOLEAN, _BIT_STRING, _UTF8_STRING, _EXPLICIT_3 = 0x01, 0x03, 0x0C, 0xA3
_VERSION_3 = bytes.fromhex("a003020102")
_HASHES = ((224, 1, 14), (256, 2, 11), (384, 3, 12), (512, 4, 13))
# Whose parameters OpenSSL does not look at; RSASSA-PSS has its meaning in them, Ed25519 is not verified with any.
_WITHOUT_PARAMETERS = {
    "1.2.840.10045.4.1": ("ecdsa-with-SHA1", "nothing"),
    "1.2.840.113549.1.1.4": ("md5WithRSAEncryption", "NULL"),
    "1.2.840.113549.1.1.5": ("sha1WithRSAEncryption", "NULL"),
    **{f"1.2.840.10045.4.3.{arc}": (f"ecdsa-with-SHA{size}", "nothing") for size, arc, _ in _HASHES},
    **{f"1.2.840.113549.1.1.{arc}": (f"sha{size}WithRSAEncryption", "NULL") for size, _, arc in _HASHES},
}
_PADDED = "a number with needless octets before it"
_UNIQUE_IDENTIFIER = "2.5.4.45"
_UNKNOWN_ALGORITHM = der.write_sequence(der.write_oid("1.2.3"))
_UNKNOWN_KEY = der.write_sequence(_UNKNOWN_ALGORITHM, der.write(_BIT_STRING, b"\0"))
_MOST_FIELDS, _MOST_FAULTS, _LONGEST = 10, 100, 1000


def _refusal(*, algorithm: bytes = b"", spki: bytes = b"") -> Exception | None:
    """Why `cryptography` refuses a certificate with nothing odd in it but this; None when it takes it."""
    given = {"algorithm": algorithm} if algorithm else {"spki": spki}
    try:
        foreign.call(x509.load_der_x509_certificate, shell(**given))
    except foreign.UNREADABLE as error:
        return error
    return None


def _definite(element: Element, depth: int = 0) -> bytes:
    """An element with every length definite and as short as can be, its octet strings in one piece."""
    if element.tag & 0x1F == 0x1F or depth > _DEEPEST:
        return element.raw
    if element.tag == der.OCTET_STRING | der.CONSTRUCTED:
        return der.write(der.OCTET_STRING, der.octets(element))
    if not element.tag & der.CONSTRUCTED:
        return der.write(element.tag, element.contents)
    return der.write(
        element.tag, *(_definite(one, depth + 1) for one in der.members(element, element.tag, most=LARGEST))
    )


def _whole_number(element: Element) -> int:
    if element.tag != der.INTEGER or not element.contents:
        raise ValueError("no number")
    return int.from_bytes(element.contents, "big", signed=True)


def _shortest(value: int) -> bytes:
    octets = (8 + (value + (value < 0)).bit_length()) // 8
    return der.write(der.INTEGER, value.to_bytes(octets, "big", signed=True))


class _String(NamedTuple):
    """How a type of string is read: text, and what is odd about it or nothing."""

    title: str
    read: Callable[[bytes], tuple[str, str]]
    code: str


def _as_utf8(octets: bytes) -> tuple[str, str]:
    """As `cryptography` reads most types; Latin-1 where it cannot."""
    try:
        return octets.decode(), ""
    except UnicodeDecodeError:
        return octets.decode("latin-1"), "with octets that are no UTF-8, read as Latin-1"


def _only(allowed: re.Pattern[str]) -> Callable[[bytes], tuple[str, str]]:
    def read(octets: bytes) -> tuple[str, str]:
        text, _ = _as_utf8(octets)
        strange = "".join(dict.fromkeys(character for character in text if not allowed.fullmatch(character)))
        return text, f"with {shown(strange[:40])}, which it cannot have" if strange else ""

    return read


def _in_units(encoding: str) -> Callable[[bytes], tuple[str, str]]:
    def read(octets: bytes) -> tuple[str, str]:
        try:
            return octets.decode(encoding), ""
        except UnicodeDecodeError:
            return octets.decode(encoding, "replace"), "with octets that are no characters"

    return read


def _strange(octets: bytes) -> tuple[str, str]:
    return octets.decode("latin-1"), "where names have other types of string"


# What OpenSSL does not take either is broken.
_STRINGS = {
    _UTF8_STRING: _String("UTF8String", _as_utf8, BROKEN),
    0x12: _String("NumericString", _as_utf8, ODD),
    0x13: _String("PrintableString", _only(re.compile(r"[A-Za-z0-9 '()+,\-./:=?]")), ODD),
    0x14: _String("TeletexString (T61)", _as_utf8, ODD),
    0x15: _String("VideotexString", _strange, BROKEN),
    0x16: _String("IA5String", _as_utf8, ODD),
    0x19: _String("GraphicString", _strange, BROKEN),
    0x1A: _String("VisibleString", _only(re.compile(r"[ -~]")), BROKEN),
    0x1B: _String("GeneralString", _strange, BROKEN),
    0x1C: _String("UniversalString", _in_units("utf-32-be"), BROKEN),
    der.BMP_STRING: _String("BMPString", _in_units("utf-16-be"), BROKEN),
}
_ATTRIBUTES = {
    "2.5.4.3": "commonName (CN)",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "countryName (C)",
    "2.5.4.7": "localityName (L)",
    "2.5.4.8": "stateOrProvinceName (ST)",
    "2.5.4.9": "streetAddress",
    "2.5.4.10": "organizationName (O)",
    "2.5.4.11": "organizationalUnitName (OU)",
    "2.5.4.12": "title",
    "2.5.4.13": "description",
    "2.5.4.17": "postalCode",
    "0.9.2342.19200300.100.1.1": "userId (UID)",
    "0.9.2342.19200300.100.1.25": "domainComponent (DC)",
    "1.2.840.113549.1.9.1": "emailAddress",
}
_EXTENSIONS = {
    "2.5.29.14": "subjectKeyIdentifier",
    "2.5.29.15": "keyUsage",
    "2.5.29.17": "subjectAltName",
    "2.5.29.19": "basicConstraints",
    "2.5.29.30": "nameConstraints",
    "2.5.29.31": "cRLDistributionPoints",
    "2.5.29.32": "certificatePolicies",
    "2.5.29.35": "authorityKeyIdentifier",
    "2.5.29.37": "extKeyUsage",
    "1.3.6.1.5.5.7.1.1": "authorityInfoAccess",
}
_DOWN_TO_SECONDS = ("month", "day", "hour", "minute", "second")
_REST = (
    r"(?P<month>[0-9]{2})(?P<day>[0-9]{2})(?P<hour>[0-9]{2})(?P<minute>[0-9]{2})(?P<second>[0-9]{2})?"
    r"(?P<fraction>%s)(?:Z|(?P<sign>[+-])(?P<hours>[0-9]{2})(?P<minutes>[0-9]{2}))"
)
# What OpenSSL's ossl_asn1_time_to_tm takes, but for the days and hours that there are not.
_TIMES = {
    UTC_TIME: re.compile(r"(?P<year>[0-9]{2})" + _REST % ""),
    GENERALIZED_TIME: re.compile(r"(?P<year>[0-9]{4})" + _REST % r"(?:\.[0-9]+)?"),
}
