"""What every certificate of a path must be by itself, leaf or issuer: dates, signature algorithm, serial, form."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from mlsssl._formats import foreign
from mlsssl._formats.keys import is_ec
from mlsssl._formats.parsed import GENERALIZED_TIME, UTC_TIME, OddCertificate
from mlsssl._validator.name_constraints import canonical_name
from mlsssl._validator.policies import MAPPINGS, read_mappings

if TYPE_CHECKING:
    from datetime import datetime

    from mlsssl._formats.parsed import View
    from mlsssl._validator.findings import Emitter


_SHA1 = ("signature-hash", "SHA-1")
_WEAK_HASHES = {
    "1.2.840.113549.1.1.2": ("signature-hash-broken", "MD2"),
    "1.2.840.113549.1.1.3": ("signature-hash-broken", "MD4"),
    "1.2.840.113549.1.1.4": ("signature-hash-broken", "MD5"),
    "1.2.840.113549.1.1.5": _SHA1,  # sha1WithRSAEncryption
    "1.3.14.3.2.29": _SHA1,  # the same under OIW's number
    "1.2.840.10045.4.1": _SHA1,  # ecdsa-with-SHA1
    "1.2.840.10040.4.3": _SHA1,  # dsa-with-SHA1
}
# The octets of the AlgorithmIdentifiers that BR section 7.1.3.2 allows, by the name of their hash.
_PSS = (
    "304106092a864886f70d01010a3034a00f300d060960864801650304020{h}0500a11c301a06092a864886f70d010108300d06096086480165"
)
_LISTED = {
    bytes.fromhex(text): name
    for text, name in (
        ("300d06092a864886f70d01010b0500", "RSA SHA-256"),
        ("300d06092a864886f70d01010c0500", "RSA SHA-384"),
        ("300d06092a864886f70d01010d0500", "RSA SHA-512"),
        (_PSS.format(h="1") + "0304020" + "10500a203020120", "PSS SHA-256"),
        (_PSS.format(h="2") + "0304020" + "20500a203020130", "PSS SHA-384"),
        (_PSS.format(h="3") + "0304020" + "30500a203020140", "PSS SHA-512"),
        ("300a06082a8648ce3d040302", "ECDSA SHA-256"),
        ("300a06082a8648ce3d040303", "ECDSA SHA-384"),
        ("300a06082a8648ce3d040304", "ECDSA SHA-512"),
    )
}
_HASH_OF_CURVE = {"secp256r1": "ECDSA SHA-256", "secp384r1": "ECDSA SHA-384", "secp521r1": "ECDSA SHA-512"}


class _Extension(NamedTuple):
    """What is known of a kind of extension: either it is processed, or it must or should not be critical."""

    name: str
    processed: bool = True  # or known to be harmless: here as by clients
    never_empty: bool = False  # RFC 5280 gives its list the size 1 to MAX; cryptography reads some of them empty


_EXTENSIONS: dict[type[x509.ExtensionType], _Extension] = {
    x509.BasicConstraints: _Extension("basicConstraints"),
    x509.KeyUsage: _Extension("keyUsage"),
    x509.ExtendedKeyUsage: _Extension("extKeyUsage", never_empty=True),
    x509.SubjectAlternativeName: _Extension("subjectAltName", never_empty=True),
    x509.NameConstraints: _Extension("nameConstraints"),
    x509.CertificatePolicies: _Extension("certificatePolicies", never_empty=True),
    x509.PolicyConstraints: _Extension("policyConstraints"),
    x509.InhibitAnyPolicy: _Extension("inhibitAnyPolicy"),
    x509.CRLDistributionPoints: _Extension("cRLDistributionPoints", never_empty=True),
    x509.OCSPNoCheck: _Extension("id-pkix-ocsp-nocheck"),
    x509.AuthorityKeyIdentifier: _Extension("authorityKeyIdentifier", processed=False),
    x509.SubjectKeyIdentifier: _Extension("subjectKeyIdentifier", processed=False),
    x509.AuthorityInformationAccess: _Extension("authorityInfoAccess", processed=False, never_empty=True),
    x509.SubjectInformationAccess: _Extension("subjectInfoAccess", processed=False, never_empty=True),
    x509.FreshestCRL: _Extension("freshestCRL", processed=False, never_empty=True),
    x509.IssuerAlternativeName: _Extension("issuerAltName", processed=False, never_empty=True),
    x509.TLSFeature: _Extension("TLS feature", processed=False),
}
_NEVER_EMPTY = frozenset(kind for kind, known in _EXTENSIONS.items() if known.never_empty)
_MAY_BE_CRITICAL = frozenset(kind for kind, known in _EXTENSIONS.items() if known.processed) - {
    x509.CRLDistributionPoints
}
_NAMES = {kind.oid.dotted_string: known.name for kind, known in _EXTENSIONS.items()} | {MAPPINGS: "policyMappings"}
_SUBJECT_DIRECTORY_ATTRIBUTES = "2.5.29.9"
NETSCAPE_TYPE = "2.16.840.1.113730.1.1"
_PROXY_CERTIFICATE_INFORMATION = "1.3.6.1.5.5.7.1.14"


def netscape_bits(value: bytes) -> int:
    """The octet of bits in a netscapeCertType, the first one highest; -1 where it cannot be read."""
    if len(value) != 4 or value[:2] != b"\x03\x02" or value[2] > 7:
        return -1
    return value[3] & 0xFF << value[2] & 0xFF


_BOTH_UTC = UTC_TIME, UTC_TIME
_FIRST_GENERALIZED = 2050


def dates_hold(view: View, at: datetime) -> bool:
    """Whether it is valid at this moment and its dates are written as they should be: nothing for `check_dates`."""
    end = view.not_after
    return view.not_before <= at <= end and view.time_tags == _BOTH_UTC and end.year < _FIRST_GENERALIZED


def check_dates(view: View, emit: Emitter, at: datetime) -> None:
    """Validity at this moment, and dates that make sense; whole seconds, since certificates have no fractions."""
    if dates_hold(view, at):
        return
    begin, end, moment = view.not_before, view.not_after, at.replace(microsecond=0)
    if end < begin:
        emit("dates-reversed", "validity", f"from {_day(begin)} to {_day(end)}")
    elif moment > end:
        emit("expired", "validity", f"valid until {_day(end)}, asked for {_day(moment)}")
    elif moment < begin:
        emit("not-yet-valid", "validity", f"valid from {_day(begin)}, asked for {_day(moment)}")
    for tag, moment in zip(view.time_tags, (begin, end), strict=False):
        wanted = UTC_TIME if moment.year < _FIRST_GENERALIZED else GENERALIZED_TIME
        if tag != wanted:
            form = "UTCTime" if tag == UTC_TIME else "GeneralizedTime"
            emit("date-encoding", "validity", f"{_day(moment)} as {form}")


def _day(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def check_signature_algorithm(view: View, emit: Emitter) -> None:
    """The algorithm that the issuer signed with; not asked of trust anchors, whose signature proves nothing."""
    if view.outer_algorithm in _LISTED:
        return
    weak = _WEAK_HASHES.get(view.signature_oid)
    # SHA-1 under PSS; an algorithm that cryptography does not know raises one of several errors.
    digest = foreign.read_or(None, attrgetter("signature_hash_algorithm"), view.certificate)
    if weak is None and isinstance(digest, hashes.SHA1):
        weak = _SHA1
    found = f"the algorithm {view.signature_oid}, encoded as {view.outer_algorithm[:64].hex()}"
    code, found = weak or ("signature-algorithm", found)
    emit(code, "signatureAlgorithm", found)


# What `cryptography` says of the listed algorithms, each asked once: it makes its objects anew for each certificate.
_PARAMETERS: dict[bytes, tuple[object, hashes.HashAlgorithm | None]] = {}


def signature_parameters(view: View) -> tuple[object, hashes.HashAlgorithm | None]:
    """Parameters and hash of the signature, for `keys.verify`, as `cryptography` gives them; errors, too."""
    certificate, octets = view.certificate, view.outer_algorithm
    if octets not in _LISTED or isinstance(certificate, OddCertificate):
        return certificate.signature_algorithm_parameters, certificate.signature_hash_algorithm
    known = _PARAMETERS.get(octets)
    if known is None:
        known = certificate.signature_algorithm_parameters, certificate.signature_hash_algorithm
        _PARAMETERS[octets] = known
    return known


def check_ecdsa_hash(view: View, issuer: View, emit: Emitter) -> None:
    """Whether the hash fits the curve of the issuer's key."""
    key = issuer.public_key
    if is_ec(key):
        used = _LISTED.get(view.outer_algorithm)
        wanted = _HASH_OF_CURVE.get(key.curve.name)
        if used and wanted and used != wanted:
            emit("ecdsa-hash", "signatureAlgorithm", f"{used} by a key on {key.curve.name}")


def check_common(view: View, emit: Emitter, *, anchor: bool = False) -> None:
    """Version, serial number, names and extensions: what holds for every certificate, whatever it is for.

    The serial number of an anchor is never looked up anywhere, and some old roots have the number 0.
    """
    if view.inner_algorithm != view.outer_algorithm:
        emit(
            "signature-algorithm-mismatch",
            "signatureAlgorithm",
            f"{view.outer_algorithm.hex()} outside, {view.inner_algorithm.hex()} inside",
        )
    if view.version != 3:
        extended = view.known or view.unknown or view.problems
        number = view.version if view.version < 1000 else "of many digits"
        emit("version-extensions" if extended else "version", "version", f"version {number}")
    if anchor:
        pass
    elif view.serial <= 0:
        found = "the number 0" if view.serial == 0 else "a negative number"
        emit("serial-not-positive", "serialNumber", found, case="negative" if view.serial else "")
    elif view.serial_octets > 20:
        emit("serial-too-long", "serialNumber", f"{view.serial_octets} octets")
    for fault in view.faults:
        if fault.code:
            emit(fault.code, fault.part, fault.found)
    if view.has_unique_id:
        emit("unique-id", "issuerUniqueID, subjectUniqueID", "a unique identifier")
    for problem in view.problems:
        known_as = _NAMES.get(problem.oid)
        part = f"extension {known_as or problem.oid}"
        if problem.duplicate:
            emit("extension-duplicate", part, problem.reason, case="" if known_as else "unknown")
        else:
            emit("extension-malformed", part, problem.reason, case=known_as or "")
    for oid, critical, value in view.unknown:
        if oid == NETSCAPE_TYPE and netscape_bits(value) < 0:
            part = "extension netscapeCertType"
            emit("extension-malformed", part, "no BIT STRING of one octet", case="netscapeCertType")
        if oid == MAPPINGS and read_mappings(view) is None:
            part = "extension policyMappings"
            emit("extension-malformed", part, "no list of pairs of policies", case="policyMappings")
        if critical and oid == _SUBJECT_DIRECTORY_ATTRIBUTES:
            emit("extension-critical", "extension subjectDirectoryAttributes", "a critical extension")
        elif critical and oid != MAPPINGS:
            emit("extension-unknown-critical", f"extension {oid}", "a critical extension of unknown meaning", case=oid)
        elif oid == _PROXY_CERTIFICATE_INFORMATION:
            emit("proxy-certificate", "extension proxyCertInfo", "a proxy certificate")
    criticals = view.critical - _MAY_BE_CRITICAL
    for kind, value in view.known.items():
        empty = kind in _NEVER_EMPTY and not len(value)
        critical = kind in criticals
        if not empty and not critical:
            continue
        known = _EXTENSIONS.get(kind)
        part = f"extension {known.name if known else kind.oid.dotted_string}"
        if empty:
            emit("extension-malformed", part, "an empty list", case="empty")
        if not critical:
            continue
        if kind is x509.PrecertPoison:
            emit("precertificate", part, "the poison extension")
        elif known is None:
            emit("extension-unknown-critical", part, "a critical extension that is not processed")
        elif not known.processed:
            emit("extension-critical", part, "a critical extension", case=known.name)
        else:
            emit("crl-points-critical", part, "critical cRLDistributionPoints")
    if view.issuer == b"\x30\x00":
        emit("issuer-empty", "issuer", "an empty name")
    if view.plain_name is None and view.name is None:
        # The issuer's name is looked at where it is the subject of a certificate of its own.
        emit("name-unreadable", "subject", "a name that cannot be read")


def check_key_identifiers(view: View, emit: Emitter, *, issuer: View | None, anchor: bool = False) -> None:
    """The authority key identifier against the issuer's subject key identifier.

    `issuer` is None when it was not found; a self-issued certificate may leave the identifier out. Nobody looks for
    the issuer of an `anchor`, which is trusted by itself.
    """
    part = "authorityKeyIdentifier"
    aki = view.value(x509.AuthorityKeyIdentifier)
    if aki is None:
        if not view.self_issued and not view.has(x509.AuthorityKeyIdentifier):
            emit("anchor-aki-missing" if anchor else "aki-missing", part, "no authorityKeyIdentifier")
        return
    if aki.authority_cert_issuer is not None or aki.authority_cert_serial_number is not None:
        emit("aki-issuer-serial", part, "authorityCertIssuer and authorityCertSerialNumber")
    if aki.key_identifier is None:
        emit("aki-no-key-identifier", part, "no keyIdentifier")
    if issuer is not None:
        problem = aki_mismatch(aki, issuer)
        if problem:
            emit("aki-mismatch", part, problem)


def aki_mismatch(aki: x509.AuthorityKeyIdentifier, issuer: View) -> str:
    """Why this identifier cannot mean this issuer, or an empty text; what is absent on either side cannot differ."""
    ski, wanted = issuer.value(x509.SubjectKeyIdentifier), aki.key_identifier
    if wanted is not None and ski is not None and wanted != ski.digest:
        return f"keyIdentifier {wanted.hex()}, the issuer's is {ski.digest.hex()}"
    serial = aki.authority_cert_serial_number
    if serial is not None and serial != issuer.serial:
        return f"authorityCertSerialNumber {serial:x}, the issuer's is {issuer.serial:x}"
    if aki.authority_cert_issuer is None:
        return ""
    # As OpenSSL does it: of several names the first directory name counts, other kinds say nothing.
    named = next((name.value for name in aki.authority_cert_issuer if isinstance(name, x509.DirectoryName)), None)
    if named is not None and not _is_issued_by(issuer, named):
        return f"authorityCertIssuer {named.rfc4514_string()[:200]}, the issuer was issued by {issuer.issuer_text}"
    return ""


def _is_issued_by(view: View, name: x509.Name) -> bool:
    issuer = foreign.read_or(None, attrgetter("issuer"), view.certificate)
    return issuer is not None and canonical_name(issuer) == canonical_name(name)  # an unreadable name is nobody's
