"""One certificate as the validator sees it: every part read once, and no odd part raises.

`cryptography` reads names and extensions when asked, and then raises ValueError, TypeError or a class of its own
for what it cannot read. A validator wants to say which part is unreadable and go on with the others, so the outer
fields are taken from the DER here, and extensions that cannot be read together are read one by one.
"""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache, partial
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol, TypeVar

from cryptography import x509

from mlsssl._formats import foreign
from mlsssl._formats.der import dotted_oid, read_tlv, split_sequence, write, write_sequence
from mlsssl._formats.keys import as_der, has_signed
from mlsssl.errors import MalformedDataError

if TYPE_CHECKING:
    from collections.abc import Container, Iterable
    from datetime import datetime

    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
    from cryptography.hazmat.primitives.serialization import Encoding
    from typing_extensions import TypeIs


UTC_TIME, GENERALIZED_TIME = 0x17, 0x18

EXTENSIONS = "2.5.29"
"""What an `ExtensionProblem` is about when no extension can be told from another."""

MOST_READ_SINGLY = 1_000
"""Extensions that are read one by one where one of them is unreadable; honest certificates have ten."""

E = TypeVar("E", bound=x509.ExtensionType)

_BASIC_CONSTRAINTS = "2.5.29.19"
_ALGORITHM = bytes.fromhex("300a06082a8648ce3d040302")  # ecdsa-with-SHA256
_KEY = bytes.fromhex("300a 3004 06022a03 03020000")  # of an unknown kind
_DATES = write_sequence(write(UTC_TIME, b"260101000000Z") * 2)


def shell(*, algorithm: bytes = _ALGORITHM, spki: bytes = _KEY, extensions: bytes = b"") -> bytes:
    """A certificate with nothing odd in it but what is given, to see whether `cryptography` takes that."""
    fields = _VERSION_3 + b"\x02\x01\x01" + algorithm + b"\x30\0" + _DATES + b"\x30\0" + spki
    return write_sequence(write_sequence(fields, extensions), algorithm, b"\x03\x01\0")


_dates_of = attrgetter("not_valid_before_utc", "not_valid_after_utc")
_lazy_fields_of = attrgetter("not_valid_before_utc", "not_valid_after_utc", "extensions")
_signature_oid_of = attrgetter("signature_algorithm_oid.dotted_string")
_subject_of = attrgetter("subject")
_issuer_of = attrgetter("issuer")
_tag_of = itemgetter(0)
_UTC_TIME_START = bytes((UTC_TIME, 13))
_BOTH_UTC = UTC_TIME, UTC_TIME
_VERSION_3 = b"\xa0\x03\x02\x01\x02"
_UNIQUE_IDS = frozenset({0x81, 0x82, 0xA1, 0xA2})
# How a name of one commonName begins, as UTF8String or as PrintableString, and how many characters it has: at most 64
# (X.520). And characters that RFC 4514 writes as they are.
_PLAIN_STARTS = {
    b"\x30%c\x31%c\x30%c\x06\x03\x55\x04\x03%c%c" % (size + 11, size + 9, size + 7, tag, size): size
    for size in range(1, 65)
    for tag in (0x0C, 0x13)
}
_PLAIN = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-"


def plain_common_name(name: bytes) -> str | None:
    """The common name, where it is all there is in this DER of a name and is plain text; None for any other name.

    So it is with most servers' certificates of today, and `cryptography` takes a twentieth of a check to read it and to
    write it as text.
    """
    text = name[13:]
    if _PLAIN_STARTS.get(name[:13]) != len(text) or text.translate(None, _PLAIN):
        return None
    return text.decode("ascii")


class ExtensionProblem(NamedTuple):
    """An extension that is there and cannot be used: its dotted OID, and `reason`."""

    oid: str
    critical: bool
    reason: str
    duplicate: bool = False


def armour(label: bytes, data: bytes) -> bytes:
    """The bytes as PEM (RFC 7468)."""
    text = base64.b64encode(data)
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return b"\n".join([b"-----BEGIN %s-----" % label, *lines, b"-----END %s-----" % label, b""])


class Fault(NamedTuple):
    """What is encoded in a certificate otherwise than the standards say, and what was read.

    Attributes:
        part: Where: `"subject organizationName (O)"`.
        found: What is there and what it was read as, in words.
        code: The finding that it is.
    """

    part: str
    found: str
    code: str


class _Odd:
    """What stands in this library for an object of `cryptography` where that refuses the bytes; `lenient` makes it.

    Its bytes are those of the file, and so is what it is equal to. Its fields are read from `copy`, which
    `cryptography` takes, since the odd ones are written anew there. It has those attributes that are used here, and no
    others: what is not known to be right is not answered.
    """

    __slots__ = ("_der", "copy", "faults")

    _label = b""
    _of_the_copy: frozenset[str] = frozenset()

    def __init__(self, der: bytes, copy: Any, faults: tuple[Fault, ...]) -> None:
        self._der = der
        self.copy = copy
        self.faults = faults

    def public_bytes(self, encoding: Encoding) -> bytes:
        """What was read, in DER or PEM."""
        return self._der if encoding is as_der() else armour(self._label, self._der)

    def __getattr__(self, name: str) -> Any:
        if name not in self._of_the_copy:
            raise AttributeError(f"cryptography refuses this {self._label.decode().lower()}: it has no {name!r}")
        return foreign.call(getattr, self.copy, name)  # no warning of its may come from here

    def __eq__(self, other: object) -> bool:
        return self._der == other._der if isinstance(other, _Odd) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._der)


class OddRequest(_Odd):
    """For an `x509.CertificateSigningRequest`."""

    __slots__ = ("_signature", "tbs_certrequest_bytes")

    _label = b"CERTIFICATE REQUEST"
    _of_the_copy = frozenset(("subject", "extensions", "public_key"))

    def __init__(self, der: bytes, copy: Any, faults: tuple[Fault, ...], signed: bytes, signature: bytes) -> None:
        super().__init__(der, copy, faults)
        self.tbs_certrequest_bytes = signed
        self._signature = signature

    @property
    def is_signature_valid(self) -> bool:
        """Whether its key made the signature over what was signed. Errors as `keys.has_signed`."""
        return has_signed(self.copy.public_key(), self.copy, self.tbs_certrequest_bytes, self._signature)


class OddCertificate(_Odd):
    """For an `x509.Certificate`: its signature and what was signed are those of the file, too."""

    __slots__ = ("algorithm_problem", "form", "key_problem", "signature", "tbs_certificate_bytes")

    _label = b"CERTIFICATE"
    _of_the_copy = frozenset(
        {
            *("subject", "issuer", "serial_number", "not_valid_before_utc", "not_valid_after_utc", "extensions"),
            *("signature_algorithm_oid", "public_key_algorithm_oid", "version"),
        }
    )

    def __init__(
        self,
        der: bytes,
        *,
        copy: x509.Certificate,
        form: bytes,
        signed: bytes,
        signature: bytes,
        faults: tuple[Fault, ...],
        key_problem: str,
        algorithm_problem: str,
    ) -> None:
        super().__init__(der, copy, faults)
        self.form = form  # the same in definite lengths
        self.tbs_certificate_bytes = signed
        self.signature = signature
        self.key_problem = key_problem
        self.algorithm_problem = algorithm_problem

    def fingerprint(self, algorithm: hashes.HashAlgorithm) -> bytes:
        """The digest of the certificate as it was read."""
        return hashlib.new(algorithm.name, self._der, usedforsecurity=False).digest()

    def public_key(self) -> CertificatePublicKeyTypes:
        """The key. `ValueError` when it is of a form that is not read."""
        key: CertificatePublicKeyTypes = self._unless(self.key_problem, "public_key")()
        return key

    @property
    def signature_hash_algorithm(self) -> Any:
        """As `cryptography` has it. `ValueError` when the algorithm is of a form that is not read."""
        return self._unless(self.algorithm_problem, "signature_hash_algorithm")

    @property
    def signature_algorithm_parameters(self) -> Any:
        """Likewise."""
        return self._unless(self.algorithm_problem, "signature_algorithm_parameters")

    def _unless(self, problem: str, name: str) -> Any:
        if problem:
            raise ValueError(problem)
        return foreign.call(getattr, self.copy, name)


def is_certificate(value: object) -> TypeIs[x509.Certificate]:
    """Whether this is a certificate of `cryptography`, or stands in for one."""
    return isinstance(value, (x509.Certificate, OddCertificate))


class _Value(Protocol):
    def __call__(self, kind: type[E], /) -> E | None: ...


class _Has(Protocol):
    def __call__(self, kind: type[x509.ExtensionType], /) -> bool: ...


def _has(
    known: Container[type[x509.ExtensionType]], problems: Iterable[ExtensionProblem], kind: type[x509.ExtensionType]
) -> bool:
    return kind in known or any(problem.oid == kind.oid.dotted_string for problem in problems)


class View:
    """The parts of one certificate.

    `plain_name` is the subject where that is one plain common name, else None: see `plain_common_name`. `has` says
    whether an extension of a kind is there at all, readable or not; `value` gives it, None when it is absent or
    unreadable.

    Args:
        certificate: The certificate.
        der: Its bytes, where they are at hand: it takes longer to get them back than to read all fields here.

    Raises:
        MalformedDataError: its outer structure or its dates cannot be read at all.
    """

    __slots__ = (
        "_key_problem",
        "_name",
        "_public_key",
        "_subject_text",
        "certificate",
        "critical",
        "der",
        "faults",
        "form",
        "has",
        "has_unique_id",
        "inner_algorithm",
        "issuer",
        "judged",
        "known",
        "not_after",
        "not_before",
        "outer_algorithm",
        "plain_name",
        "problems",
        "self_issued",
        "serial",
        "serial_octets",
        "signed",
        "spki",
        "subject",
        "time_tags",
        "unknown",
        "value",
        "version",
    )

    def __init__(self, certificate: x509.Certificate, der: bytes | None = None) -> None:
        self.certificate = certificate
        self.der = certificate.public_bytes(as_der()) if der is None else der
        odd = certificate if isinstance(certificate, OddCertificate) else None
        # What the places of the fields refer to: with definite lengths.
        self.form = form = self.der if odd is None else odd.form
        self.faults: tuple[Fault, ...] = () if odd is None else odd.faults
        self.not_before: datetime
        self.not_after: datetime
        extensions: x509.Extensions | None
        try:
            self.not_before, self.not_after, extensions = foreign.call(_lazy_fields_of, certificate)
        except foreign.UNREADABLE:  # then each by itself
            self.not_before, self.not_after = foreign.read("the certificate cannot be read", _dates_of, certificate)
            extensions = foreign.read_or(None, foreign.extensions_of, certificate)
        _, start, end = read_tlv(form, 0)
        outer = split_sequence(form, start, end)
        if len(outer) != 3:
            raise MalformedDataError("a certificate has three parts: the signed part, the algorithm, the signature")
        fields = split_sequence(form, outer[0][2], outer[0][3])
        self.time_tags: tuple[int, ...]
        self.version = 1
        if fields and fields[0][0] == 0xA0:
            _, first, content, stop = fields.pop(0)
            self.version = 3
            if form[first:stop] != _VERSION_3:
                _, content, stop = read_tlv(form, content)
                self.version = int.from_bytes(form[content:stop], "big") + 1
        if len(fields) < 6:
            raise MalformedDataError("the signed part of the certificate lacks fields")
        serial, inner, issuer, validity, subject, spki = fields[:6]
        self.serial = int.from_bytes(form[serial[2] : serial[3]], "big", signed=True)
        self.serial_octets = serial[3] - serial[2]
        self.inner_algorithm = form[inner[1] : inner[3]]
        self.outer_algorithm = form[outer[1][1] : outer[1][3]]
        self.issuer = form[issuer[1] : issuer[3]]
        self.subject = form[subject[1] : subject[3]]
        self.plain_name = plain_common_name(self.subject)
        self._name: x509.Name | Literal["unread"] | None = "unread"  # until it was asked for
        # Whether issuer and subject are one name; the signature is another question.
        self.self_issued = self.issuer == self.subject
        self.spki = form[spki[1] : spki[3]]
        self.has_unique_id = False
        for field in fields[6:]:  # one, the extensions, nearly everywhere
            if field[0] in _UNIQUE_IDS:
                self.has_unique_id = True
        _, _, first, stop = validity
        if stop - first == 30 and form[first : first + 2] == form[first + 15 : first + 17] == _UTC_TIME_START:
            self.time_tags = _BOTH_UTC  # as nearly everywhere
        else:
            self.time_tags = tuple(map(_tag_of, split_sequence(form, first, stop)))
        # Of an odd one they are those of the file, in whatever lengths.
        self.signed = form[outer[0][1] : outer[0][3]] if odd is None else odd.tbs_certificate_bytes
        self._public_key: CertificatePublicKeyTypes | None = None
        self._key_problem: str | None = None  # until the key was asked for
        self._subject_text: str | None = None
        # What was found about it as an issuer by itself, for whom; see `_validator/path.py`.
        self.judged: tuple[object, bool, list[Any]] | None = None
        self.problems: tuple[ExtensionProblem, ...] = ()
        # The values of the readable extensions by their type, and which of them are critical.
        self.known: dict[type[x509.ExtensionType], Any] = {}
        self.value: _Value = self.known.get
        self.critical: set[type[x509.ExtensionType]] = set()
        self.unknown: list[tuple[str, bool, bytes]] = []
        if extensions is not None:
            self._take(extensions)
        else:  # one unreadable extension makes the whole list unreadable
            self._read_one_by_one(fields)
        self.has: _Has = partial(_has, self.known, self.problems) if self.problems else self.known.__contains__

    def _take(self, extensions: x509.Extensions) -> None:
        known, criticals = self.known, self.critical
        for extension in extensions:
            value, critical = extension.value, extension.critical
            if type(value) is x509.UnrecognizedExtension:  # isinstance of an abstract class takes ten times as long
                self.unknown.append((extension.oid.dotted_string, critical, value.value))
                continue
            kind = type(value)
            known[kind] = value
            if critical:
                criticals.add(kind)

    def _read_one_by_one(self, fields: list[tuple[int, int, int, int]]) -> None:
        """Read each extension inside an otherwise empty certificate, so that only the unreadable ones are lost."""
        der = self.form
        wrapped = next((field for field in fields if field[0] == 0xA3), None)
        if wrapped is None:
            self.problems = (ExtensionProblem(EXTENSIONS, False, "the extensions cannot be read"),)
            return
        _, start, end = read_tlv(der, wrapped[2])
        problems: list[ExtensionProblem] = []
        seen: set[bytes] = set()
        found = split_sequence(der, start, end)
        if len(found) > MOST_READ_SINGLY:
            text = f"{len(found)} extensions, of which some cannot be read; at most {MOST_READ_SINGLY} are looked into"
            self.problems = (ExtensionProblem(EXTENSIONS, False, text),)
            return
        for _, first, content, stop in found:
            parts = split_sequence(der, content, stop)
            oid = der[parts[0][2] : parts[0][3]] if parts else b""
            critical = len(parts) > 2
            if oid in seen:
                problems.append(
                    ExtensionProblem(dotted_oid(oid), critical, "it is there more than once", duplicate=True)
                )
                continue
            seen.add(oid)
            try:
                self._take_alone(der[first:stop])
            except foreign.UNREADABLE as error:
                if dotted_oid(oid) == _BASIC_CONSTRAINTS and self._take_odd_constraints(der[first:stop], parts):
                    continue
                problems.append(ExtensionProblem(dotted_oid(oid), critical, foreign.reason(error)))
        self.problems = tuple(problems)

    def _take_alone(self, extension: bytes) -> None:
        probe = shell(extensions=write(0xA3, write_sequence(extension)))
        self._take(foreign.call(foreign.extensions_of, foreign.call(x509.load_der_x509_certificate, probe)))

    def _take_odd_constraints(self, extension: bytes, parts: list[tuple[int, int, int, int]]) -> bool:
        """Read basicConstraints whose cA says FALSE in so many words, or TRUE as another number than 255.

        Java's and other tools' certificates of servers have the first, and all but the strictest readers take both.
        """
        der, (_, first, content, stop) = self.form, parts[-1]
        value = der[content:stop]
        if value[:1] != b"\x30" or value[2:4] != b"\x01\x01" or len(value) != value[1] + 2:
            return False
        true, rest = value[4:5] != b"\0", value[5:]
        mended = write(0x04, write_sequence(b"\x01\x01\xff" * true, rest))
        try:
            self._take_alone(write_sequence(der[parts[0][1] : first], mended))
        except foreign.UNREADABLE:
            return False
        found = "TRUE, written as another number than 255" if true else "FALSE, written out although it is the default"
        self.faults += (Fault("extension basicConstraints", f"cA is {found}", "encoding-odd"),)
        return True

    @property
    def signature_oid(self) -> str:
        """The algorithm of the signature, dotted; `unreadable` when it cannot be read."""
        if isinstance(self.certificate, OddCertificate):  # whose copy may have another
            _, start, end = read_tlv(self.form, 0)
            _, _, first, last = split_sequence(self.form, start, end)[1]
            _, _, content, stop = split_sequence(self.form, first, last)[0]
            return dotted_oid(self.form[content:stop])
        oid: str = foreign.read_or("unreadable", _signature_oid_of, self.certificate)
        return oid

    def octets(self, kind: type[x509.ExtensionType]) -> bytes:
        """The value of the extension of this kind as it stands, for what cryptography drops; empty when it is absent.

        Raises:
            MalformedDataError: the extensions cannot be taken apart.
        """
        der = self.form
        _, start, end = read_tlv(der, read_tlv(der, 0)[1])
        for tag, _, wrapped, _ in split_sequence(der, start, end):
            if tag != 0xA3:
                continue
            _, first, last = read_tlv(der, wrapped)
            for _, _, content, stop in split_sequence(der, first, last):
                parts = split_sequence(der, content, stop)
                if parts and dotted_oid(der[parts[0][2] : parts[0][3]]) == kind.oid.dotted_string:
                    return der[parts[-1][2] : parts[-1][3]]
        return b""

    @property
    def is_root(self) -> bool:
        """Whether it is self-issued, and its key identifiers do not say that another key signed it.

        An authority that goes over to a new key certifies it with the old one, and the other way round: certificates
        from its name to its name that are no roots, but steps between two (RFC 4210 section 4.4). The signature is not
        looked at.
        """
        return self.self_issued and self.may_be_signed_by(self)

    def may_be_signed_by(self, issuer: View) -> bool:
        """Whether the key identifiers do not rule it out (RFC 5280 section 4.2.1.1); an absent one does not."""
        pointer, own = self.value(x509.AuthorityKeyIdentifier), issuer.value(x509.SubjectKeyIdentifier)
        signer = None if pointer is None else pointer.key_identifier
        return signer is None or own is None or signer == own.digest

    @property
    def name(self) -> x509.Name | None:
        """The subject, or None when it cannot be read."""
        if isinstance(self._name, str):
            name: x509.Name | None = foreign.read_or(None, _subject_of, self.certificate)
            self._name = name
            return name
        return self._name

    @property
    def has_readable_names(self) -> bool:
        """Whether subject and issuer can be read."""
        subject = self.plain_name is not None or self.name is not None
        return subject and (self.self_issued or foreign.read_or(None, _issuer_of, self.certificate) is not None)

    @property
    def common_names(self) -> list[str]:
        """The values of commonName in the subject, in order."""
        if self.plain_name is not None:
            return [self.plain_name]
        return [a.value for a in self.attributes(x509.NameOID.COMMON_NAME) if isinstance(a.value, str)]

    def attributes(self, kind: x509.ObjectIdentifier) -> list[x509.NameAttribute[Any]]:
        """Those of this kind in the subject, in order; none when it cannot be read."""
        name = self.name
        return [] if name is None else name.get_attributes_for_oid(kind)

    @property
    def subject_text(self) -> str:
        """The subject for people: RFC 4514, or what stands in for it."""
        if self._subject_text is None:
            self._subject_text = _shortened(self.name) if self.plain_name is None else f"CN={self.plain_name}"
        return self._subject_text

    @property
    def issuer_text(self) -> str:
        """The issuer for people."""
        return name_text(self.certificate, "issuer")

    @property
    def public_key(self) -> CertificatePublicKeyTypes | None:
        """The key, or None when it cannot be read; then `key_problem` says why."""
        if self._key_problem is None:
            self._key_problem = ""
            try:
                self._public_key = foreign.call(foreign.key_of, self.certificate)
            except foreign.UNREADABLE as error:
                self._key_problem = foreign.reason(error)
        return self._public_key

    @property
    def key_problem(self) -> str:
        """Why the key cannot be read."""
        return "" if self.public_key is not None else self._key_problem or ""


def name_text(certificate: x509.Certificate, which: str) -> str:
    """Subject or issuer as RFC 4514 text, `(empty name)`, or `(unreadable name)`; at most 200 characters."""
    return _shortened(foreign.read_or(None, attrgetter(which), certificate))


def _shortened(name: x509.Name | None) -> str:
    text = "(unreadable name)" if name is None else foreign.name_text(name)
    if not text:
        return "(empty name)"
    return text if len(text) <= 200 else f"{text[:200]}…"


def subject_octets(der: bytes) -> bytes:
    """`View.subject` alone, for who goes through a million certificates.

    Raises:
        MalformedDataError: it cannot be taken apart, or has lengths that are not definite.
    """
    _, signed, _ = read_tlv(der, 0)
    _, start, end = read_tlv(der, signed)
    fields = split_sequence(der, start, end)
    # Before it: serial number, algorithm, issuer and validity; and first of all the version, unless it is 1.
    position = 5 if fields and fields[0][0] == 0xA0 else 4
    if len(fields) <= position:
        raise MalformedDataError("the signed part of the certificate lacks fields")
    _, first, _, last = fields[position]
    return der[first:last]


def issuer_view(certificate: x509.Certificate) -> View:
    """The view of an issuer; kept, since one root stands above ten thousand leaves and parses slower than it checks."""
    try:
        return _kept_view(certificate)
    except _TooLargeError as error:
        return error.view


MOST_KEPT = 512
"""Issuers that are kept parsed; operating systems trust 150 to 450 roots."""
LARGEST_KEPT = 3 * 1024
"""Bytes of the largest of them: honest ones have 1 000 to 2 000. Parsed, each byte of a hostile one takes fifty, and
what was looked at once must not fill a service's memory for good: here it is 75 MB at most."""


@lru_cache(maxsize=MOST_KEPT)
def _kept_view(certificate: x509.Certificate) -> View:
    view = View(certificate)
    if len(view.signed) > LARGEST_KEPT:
        raise _TooLargeError(view)  # of a call that raises the cache keeps nothing
    return view


class _TooLargeError(Exception):
    def __init__(self, view: View) -> None:
        super().__init__()
        self.view = view
