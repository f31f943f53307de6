"""What stands in a certificate, in words and plain values: every extension, and the bare ASN.1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography import x509

from mlsssl._formats import foreign
from mlsssl._formats.der import dotted_oid, read_tlv
from mlsssl._formats.hosts import name_text
from mlsssl._formats.parsed import View
from mlsssl._messages.foreign_text import printable
from mlsssl.errors import MalformedDataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Usages = Sequence[tuple[str, str]]
"""Names of key usages in the order of their bits, with cryptography's attribute for each."""
Purposes = Mapping[x509.ObjectIdentifier, str]
"""Names of extended key usages."""

_MOST_ITEMS = 1000
"""Of a list in an extension; so many names has no certificate that is meant."""


def extensions(certificate: x509.Certificate, usages: Usages, purposes: Purposes) -> list[dict[str, object]]:
    """Each extension: `oid`, `name`, `critical` and `value`; sorted by OID.

    The value is text, numbers, lists and dicts of them; of one that is not known its octets in hexadecimal digits. One
    that cannot be read has the reason as `unreadable` in place of a `value`.
    """
    view = View(certificate)
    found: list[dict[str, object]] = []
    for kind, extension in view.known.items():
        row = _row(kind.oid.dotted_string, kind in view.critical, _NAMES.get(kind, kind.__name__))
        try:
            value = foreign.call(_in_words, extension, usages, purposes)
        except foreign.UNREADABLE as error:
            found.append({**row, "unreadable": foreign.reason(error)})
        else:
            found.append({**row, "value": value})
    found += [{**_row(oid, critical, None), "value": octets.hex()} for oid, critical, octets in view.unknown]
    found += [{**_row(one.oid, one.critical, None), "unreadable": printable(one.reason)} for one in view.problems]
    return sorted(found, key=lambda row: [int(arc) if arc.isdigit() else 0 for arc in str(row["oid"]).split(".")])


def _row(oid: str, critical: bool, name: str | None) -> dict[str, object]:
    return {"oid": oid, "name": name, "critical": critical}


def _names(names: Iterable[x509.GeneralName] | None) -> list[str]:
    return [name_text(name) for name, _ in zip(names or (), range(_MOST_ITEMS), strict=False)]


def _points(points: Iterable[x509.DistributionPoint]) -> list[str]:
    shown = []
    for point in points:
        shown += _names(point.full_name)
        if point.relative_name is not None:
            shown.append(f"relative name: {point.relative_name.rfc4514_string()}")
    return shown


def _accesses(descriptions: Iterable[x509.AccessDescription]) -> list[str]:
    methods = {"1.3.6.1.5.5.7.48.1": "OCSP", "1.3.6.1.5.5.7.48.2": "CA issuers", "1.3.6.1.5.5.7.48.5": "CA repository"}
    dotted = [(one.access_method.dotted_string, name_text(one.access_location)) for one in descriptions]
    return [f"{methods.get(oid, oid)}: {location}" for oid, location in dotted]


def _policies(policies: Iterable[x509.PolicyInformation]) -> list[str]:
    shown = []
    for policy in policies:
        notes = []
        for one in policy.policy_qualifiers or ():
            if isinstance(one, str):
                notes.append(one)
            elif one.explicit_text is not None:
                notes.append(printable(one.explicit_text))
        shown.append(policy.policy_identifier.dotted_string + (f" ({'; '.join(notes)})" if notes else ""))
    return shown


def _usages(usage: x509.KeyUsage, usages: Usages) -> list[str]:
    shown = [name for name, attribute in usages if getattr(usage, attribute)]
    if usage.key_agreement:
        shown += ["encipherOnly"] * usage.encipher_only + ["decipherOnly"] * usage.decipher_only
    return shown


def _signer(value: x509.AuthorityKeyIdentifier) -> dict[str, object]:
    key, number = value.key_identifier, value.authority_cert_serial_number
    return {
        **({} if key is None else {"key_identifier": key.hex()}),
        **({} if value.authority_cert_issuer is None else {"issuer": _names(value.authority_cert_issuer)}),
        **({} if number is None else {"serial_number": f"{number:x}"}),
    }


def _timestamps(value: Iterable[Any]) -> list[str]:
    return [f"{one.timestamp:%Y-%m-%d %H:%M:%S} UTC, log {one.log_id.hex()}" for one in value]


_NAMES: dict[type[x509.ExtensionType], str] = {
    x509.SubjectAlternativeName: "subjectAltName",
    x509.IssuerAlternativeName: "issuerAltName",
    x509.BasicConstraints: "basicConstraints",
    x509.KeyUsage: "keyUsage",
    x509.ExtendedKeyUsage: "extendedKeyUsage",
    x509.SubjectKeyIdentifier: "subjectKeyIdentifier",
    x509.AuthorityKeyIdentifier: "authorityKeyIdentifier",
    x509.CRLDistributionPoints: "cRLDistributionPoints",
    x509.FreshestCRL: "freshestCRL",
    x509.AuthorityInformationAccess: "authorityInfoAccess",
    x509.SubjectInformationAccess: "subjectInfoAccess",
    x509.CertificatePolicies: "certificatePolicies",
    x509.PolicyConstraints: "policyConstraints",
    x509.InhibitAnyPolicy: "inhibitAnyPolicy",
    x509.NameConstraints: "nameConstraints",
    x509.TLSFeature: "tlsfeature",
    x509.OCSPNoCheck: "ocsp-nocheck",
    x509.PrecertificateSignedCertificateTimestamps: "signedCertificateTimestampList",
    x509.MSCertificateTemplate: "certificateTemplate",
}
"""By their names in RFC 5280, 6960, 6962, 7633 and Microsoft's documentation."""

_WORDS: dict[type[x509.ExtensionType], Callable[[Any], object]] = {
    x509.SubjectAlternativeName: _names,
    x509.IssuerAlternativeName: _names,
    x509.BasicConstraints: lambda one: {"ca": one.ca, "path_length": one.path_length},
    x509.SubjectKeyIdentifier: lambda one: one.digest.hex(),
    x509.AuthorityKeyIdentifier: _signer,
    x509.CRLDistributionPoints: _points,
    x509.FreshestCRL: _points,
    x509.AuthorityInformationAccess: _accesses,
    x509.SubjectInformationAccess: _accesses,
    x509.CertificatePolicies: _policies,
    x509.PolicyConstraints: lambda one: {
        "require_explicit_policy": one.require_explicit_policy,
        "inhibit_policy_mapping": one.inhibit_policy_mapping,
    },
    x509.InhibitAnyPolicy: lambda one: one.skip_certs,
    x509.NameConstraints: lambda one: {
        "permitted": _names(one.permitted_subtrees),
        "excluded": _names(one.excluded_subtrees),
    },
    x509.TLSFeature: lambda one: [feature.name for feature in one],
    x509.OCSPNoCheck: lambda one: True,
    x509.PrecertificateSignedCertificateTimestamps: _timestamps,
    x509.MSCertificateTemplate: lambda one: {
        "template": one.template_id.dotted_string,
        "major_version": one.major_version,
        "minor_version": one.minor_version,
    },
}


def _in_words(value: x509.ExtensionType, usages: Usages, purposes: Purposes) -> object:
    if isinstance(value, x509.ExtendedKeyUsage):
        return [purposes.get(oid, oid.dotted_string) for oid in value]
    if isinstance(value, x509.KeyUsage):
        return _usages(value, usages)
    words = _WORDS.get(type(value))
    return value.public_bytes().hex() if words is None else words(value)


# -- what differs -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CertificateDiff:
    """How two certificates differ: what `Certificate.diff` returns; true when they do.

    Attributes:
        titles: What to call the two.
        fields: What differs: the field's name, and both values as text, None where one certificate has no such field.
    """

    titles: tuple[str, str]
    fields: tuple[tuple[str, str | None, str | None], ...]

    def __bool__(self) -> bool:
        return bool(self.fields)

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON."""
        return {
            "certificates": [*self.titles],
            "diff": [{"field": name, "before": old, "after": new} for name, old, new in self.fields],
        }

    def _repr_html_(self) -> str:
        from mlsssl._notebook.cards import card, code, faint, line, table, text

        rows = [
            [text(name), *(faint("none") if one is None else code(one) for one in both)] for name, *both in self.fields
        ]
        if not rows:
            return card(text(self.titles[0]), line(faint("no difference")))
        one, other = self.titles
        titles = (f"{one} (this one)", f"{other} (the other)") if one == other else self.titles  # as after a renewal
        return card("two certificates", table(("field", *titles), rows, empty=""))

    def __str__(self) -> str:
        lines = [f"{self.titles[0]} and {self.titles[1]}: {'' if self.fields else 'no difference'}".rstrip()]
        for name, old, new in self.fields:
            lines += [f"  - {name}: {old}"] if old is not None else []
            lines += [f"  + {name}: {new}"] if new is not None else []
        return "\n".join(map(printable, lines))


def flat(described: Mapping[str, object]) -> dict[str, str]:
    """The fields of a certificate's dict as text, each extension as one."""
    fields = {name: _flat(value) for name, value in described.items() if name != "extensions"}
    rows = described["extensions"]
    for row in rows if isinstance(rows, list) else ():
        value = f"cannot be read: {row['unreadable']}" if "unreadable" in row else _flat(row["value"])
        fields[f"extension {row['name'] or row['oid']}"] = f"{'critical, ' if row['critical'] else ''}{value}"
    return fields


def _flat(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_flat(one)}" for name, one in value.items())
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


# -- ASN.1 ------------------------------------------------------------------------------------------------------------

_TAGS = {
    0x01: "BOOLEAN",
    0x02: "INTEGER",
    0x03: "BIT STRING",
    0x04: "OCTET STRING",
    0x05: "NULL",
    0x06: "OBJECT IDENTIFIER",
    0x0A: "ENUMERATED",
    0x0C: "UTF8String",
    0x12: "NumericString",
    0x13: "PrintableString",
    0x14: "T61String",
    0x16: "IA5String",
    0x17: "UTCTime",
    0x18: "GeneralizedTime",
    0x1A: "VisibleString",
    0x1C: "UniversalString",
    0x1E: "BMPString",
    0x30: "SEQUENCE",
    0x31: "SET",
}
"""ITU-T X.680, section 8.6."""
_TEXTS = {0x0C: "utf-8", 0x12: "ascii", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x17: "ascii", 0x18: "ascii"}
_TEXTS |= {0x1A: "ascii", 0x1C: "utf-32-be", 0x1E: "utf-16-be"}
_DEEPEST = 32
_MOST_LINES = 5000
_SHOWN = 32


def asn1_lines(der: bytes) -> str:
    """The elements of DER, one a line: place, length, kind and value, indented by depth.

    An OCTET STRING or BIT STRING whose content is DER itself is opened. At most 5000 lines, 32 levels, and 32 octets
    of a value are shown; the text says where something is left out. What is no DER is shown as octets.
    """
    lines: list[str] = []
    for line in _elements(der, 0, len(der), 0):
        if len(lines) == _MOST_LINES:
            lines.append(f"… and more; the first {_MOST_LINES} elements are shown")
            break
        lines.append(line)
    return "\n".join(lines)


def _elements(der: bytes, start: int, end: int, depth: int) -> Iterator[str]:
    while start < end:
        try:
            tag, content, stop = read_tlv(der, start)
            if stop > end:
                raise MalformedDataError("it is longer than its container")
        except MalformedDataError as error:
            yield f"{start:>5}       {'  ' * depth}no DER: {error}: {_octets(der[start:end])}"
            return
        head = f"{start:>5} {stop - content:>5} {'  ' * depth}{_kind(tag)}"
        opened = _opened(der, tag, content, stop) if depth < _DEEPEST else None
        if opened is None:
            value = "… deeper levels are left out" if tag & 0x20 else _value(tag, der[content:stop])
            yield f"{head} {value}".rstrip()
        else:
            yield head
            yield from _elements(der, opened, stop, depth + 1)
        start = stop


def _kind(tag: int) -> str:
    if tag in _TAGS:
        return _TAGS[tag]
    return f"[{('universal ', 'application ', '', 'private ')[tag >> 6]}{tag & 0x1F}]"


def _opened(der: bytes, tag: int, content: int, stop: int) -> int | None:
    """Where the elements inside begin; None when there are none."""
    if tag & 0x20:
        return content
    first = content + 1 if tag == 0x03 and der[content : content + 1] == b"\0" else content
    if tag not in (0x03, 0x04) or der[first : first + 1] not in (b"\x30", b"\x31", b"\x03", b"\x04", b"\x16"):
        return None
    try:
        _, _, end = read_tlv(der, first)
    except MalformedDataError:
        return None
    return first if end == stop else None


def _value(tag: int, octets: bytes) -> str:
    if tag == 0x06:
        return dotted_oid(octets)
    if tag == 0x01 and len(octets) == 1:
        return "FALSE" if octets == b"\0" else "TRUE"
    if tag in (0x02, 0x0A) and 1 <= len(octets) <= 8:
        return str(int.from_bytes(octets, "big", signed=True))
    if tag in _TEXTS:
        try:
            shown = octets[: 8 * _SHOWN].decode(_TEXTS[tag])
        except UnicodeDecodeError:
            return _octets(octets)
        return printable(shown) + ("…" if len(octets) > 8 * _SHOWN else "")
    return _octets(octets)


def _octets(octets: bytes) -> str:
    return octets[:_SHOWN].hex() + ("…" if len(octets) > _SHOWN else "")
