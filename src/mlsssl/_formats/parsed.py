"""One certificate as the validator sees it: every part read once, and no odd part raises.

`cryptography` reads names and extensions when asked, and then raises ValueError, TypeError or a class of its own
for what it cannot read. A validator wants to say which part is unreadable and go on with the others, so the outer
fields are taken from the DER here, and extensions that cannot be read together are read one by one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar, cast

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mlsssl._formats import foreign
from mlsssl._formats.der import dotted_oid, read_tlv, split_sequence, write, write_sequence
from mlsssl.errors import MalformedDataError

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes


UTC_TIME, GENERALIZED_TIME = 0x17, 0x18

EXTENSIONS = "2.5.29"
"""What an `ExtensionProblem` is about when no extension can be told from another."""

MOST_READ_SINGLY = 1_000
"""Extensions that are read one by one where one of them is unreadable; honest certificates have ten."""

E = TypeVar("E", bound=x509.ExtensionType)

_dates_of = attrgetter("not_valid_before_utc", "not_valid_after_utc")
_signature_oid_of = attrgetter("signature_algorithm_oid.dotted_string")
_subject_of = attrgetter("subject")


@dataclass(frozen=True, slots=True)
class ExtensionProblem:
    """An extension that is there and cannot be used: its dotted OID, and `reason`."""

    oid: str
    critical: bool
    reason: str
    duplicate: bool = False


class View:
    """The parts of one certificate. `MalformedDataError` when its outer structure or dates cannot be read at all."""

    __slots__ = (
        "_public_key",
        "_subject_text",
        "certificate",
        "der",
        "has_unique_id",
        "inner_algorithm",
        "issuer",
        "judged",
        "known",
        "not_after",
        "not_before",
        "outer_algorithm",
        "problems",
        "serial",
        "serial_octets",
        "signature_oid",
        "spki",
        "subject",
        "time_tags",
        "unknown",
        "version",
    )

    def __init__(self, certificate: x509.Certificate) -> None:
        self.certificate = certificate
        self.der = der = certificate.public_bytes(Encoding.DER)
        dates: tuple[datetime, datetime] = foreign.read("the certificate cannot be read", _dates_of, certificate)
        self.not_before, self.not_after = dates
        _, start, end = read_tlv(der, 0)
        outer = split_sequence(der, start, end)
        if len(outer) != 3:
            raise MalformedDataError("a certificate has three parts: the signed part, the algorithm, the signature")
        fields = split_sequence(der, outer[0][2], outer[0][3])
        self.version = 1
        if fields and fields[0][0] == 0xA0:
            _, content, stop = read_tlv(der, fields[0][2])
            self.version = int.from_bytes(der[content:stop], "big") + 1
            fields = fields[1:]
        if len(fields) < 6:
            raise MalformedDataError("the signed part of the certificate lacks fields")
        serial, inner, issuer, validity, subject, spki = fields[:6]
        self.serial = int.from_bytes(der[serial[2] : serial[3]], "big", signed=True)
        self.serial_octets = serial[3] - serial[2]
        self.inner_algorithm = der[inner[1] : inner[3]]
        self.outer_algorithm = der[outer[1][1] : outer[1][3]]
        self.issuer = der[issuer[1] : issuer[3]]
        self.subject = der[subject[1] : subject[3]]
        self.spki = der[spki[1] : spki[3]]
        self.has_unique_id = any(field[0] & 0xDF in (0x81, 0x82) for field in fields[6:])
        self.time_tags = tuple(element[0] for element in split_sequence(der, validity[2], validity[3]))
        self._public_key: CertificatePublicKeyTypes | str | None = None
        self._subject_text: str | None = None
        self.signature_oid: str = foreign.read_or("unreadable", _signature_oid_of, certificate)
        # What was found about it as an issuer by itself, for whom; see `_validator/path.py`.
        self.judged: tuple[object, bool, list[Any]] | None = None
        self.problems: tuple[ExtensionProblem, ...] = ()
        # The readable extensions by type.
        self.known: dict[type[x509.ExtensionType], x509.Extension[Any]] = {}
        self.unknown: list[tuple[str, bool, bytes]] = []
        extensions: x509.Extensions | None = foreign.read_or(None, foreign.extensions_of, certificate)
        if extensions is not None:
            self._take(extensions)
        else:  # one unreadable extension makes the whole list unreadable
            self._read_one_by_one(fields)

    def _take(self, extensions: x509.Extensions) -> None:
        for extension in extensions:
            value = extension.value
            if isinstance(value, x509.UnrecognizedExtension):
                self.unknown.append((extension.oid.dotted_string, extension.critical, value.value))
            else:
                self.known[type(value)] = extension

    def _read_one_by_one(self, fields: list[tuple[int, int, int, int]]) -> None:
        """Read each extension inside an otherwise empty certificate, so that only the unreadable ones are lost."""
        der = self.der
        wrapped = next((field for field in fields if field[0] == 0xA3), None)
        if wrapped is None:
            self.problems = (ExtensionProblem(EXTENSIONS, False, "the extensions cannot be read"),)
            return
        _, start, end = read_tlv(der, wrapped[2])
        shell = b"\xa0\x03\x02\x01\x02" + b"\x02\x01\x01" + b"".join(der[f[1] : f[3]] for f in fields[1:6])
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
            alone = write(0xA3, write_sequence(der[first:stop]))
            probe = write_sequence(write_sequence(shell + alone) + self.outer_algorithm + b"\x03\x02\x00\x00")
            try:
                self._take(foreign.call(foreign.extensions_of, foreign.call(x509.load_der_x509_certificate, probe)))
            except foreign.UNREADABLE as error:
                problems.append(ExtensionProblem(dotted_oid(oid), critical, foreign.reason(error)))
        self.problems = tuple(problems)

    def value(self, kind: type[E]) -> E | None:
        """The extension of this kind, or None when it is absent or unreadable."""
        extension = self.known.get(kind)
        return None if extension is None else cast("E", extension.value)

    def octets(self, kind: type[x509.ExtensionType]) -> bytes:
        """The value of the extension of this kind as it stands, for what cryptography drops; empty when it is absent.

        Raises:
            MalformedDataError: the extensions cannot be taken apart.
        """
        der = self.der
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

    def critical(self, kind: type[x509.ExtensionType]) -> bool:
        """Whether the extension of this kind is there, readable and critical."""
        extension = self.known.get(kind)
        return extension is not None and extension.critical

    def has(self, kind: type[x509.ExtensionType]) -> bool:
        """Whether the extension is there at all, readable or not."""
        return kind in self.known or any(p.oid == kind.oid.dotted_string for p in self.problems)

    @property
    def self_issued(self) -> bool:
        """Whether issuer and subject are one name; the signature is another question."""
        return self.issuer == self.subject

    @property
    def name(self) -> x509.Name | None:
        """The subject, or None when it cannot be read."""
        name: x509.Name | None = foreign.read_or(None, _subject_of, self.certificate)
        return name

    @property
    def common_names(self) -> list[str]:
        """The values of commonName in the subject, in order."""
        name = self.name
        if name is None:
            return []
        attributes = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        return [a.value for a in attributes if isinstance(a.value, str)]

    @property
    def subject_text(self) -> str:
        """The subject for people: RFC 4514, or what stands in for it."""
        if self._subject_text is None:
            self._subject_text = name_text(self.certificate, "subject")
        return self._subject_text

    @property
    def issuer_text(self) -> str:
        """The issuer for people."""
        return name_text(self.certificate, "issuer")

    @property
    def public_key(self) -> CertificatePublicKeyTypes | None:
        """The key, or None when it cannot be read; then `key_problem` says why."""
        if self._public_key is None:
            try:
                self._public_key = foreign.call(foreign.key_of, self.certificate)
            except foreign.UNREADABLE as error:
                self._public_key = foreign.reason(error)
        return None if isinstance(self._public_key, str) else self._public_key

    @property
    def key_problem(self) -> str:
        """Why the key cannot be read."""
        return self._public_key if self.public_key is None and isinstance(self._public_key, str) else ""

    @property
    def sha256(self) -> str:
        """SHA-256 of the DER, in hex."""
        return hashlib.sha256(self.der).hexdigest()


def name_text(certificate: x509.Certificate, which: str) -> str:
    """Subject or issuer as RFC 4514 text, `(empty name)`, or `(unreadable name)`; at most 200 characters."""
    name: x509.Name | None = foreign.read_or(None, attrgetter(which), certificate)
    text = "(unreadable name)" if name is None else foreign.name_text(name)
    if not text:
        return "(empty name)"
    return text if len(text) <= 200 else f"{text[:200]}…"


def issuer_view(certificate: x509.Certificate) -> View:
    """The view of an issuer; kept, since one root stands above ten thousand leaves and parses slower than it checks."""
    return _kept_view(certificate) if len(certificate.tbs_certificate_bytes) <= LARGEST_KEPT else View(certificate)


MOST_KEPT = 512
"""Issuers that are kept parsed; operating systems trust 150 to 450 roots."""
LARGEST_KEPT = 3 * 1024
"""Bytes of the largest of them: honest ones have 1 000 to 2 000. Parsed, each byte of a hostile one takes fifty, and
what was looked at once must not fill a service's memory for good: here it is 75 MB at most."""


@lru_cache(maxsize=MOST_KEPT)
def _kept_view(certificate: x509.Certificate) -> View:
    return View(certificate)
