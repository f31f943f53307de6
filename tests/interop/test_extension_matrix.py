"""Each extension, absent, critical and not, and odd fields, in each place of a path: our verdict beside two others.

OpenSSL is asked strictly (`verify -x509_strict -purpose sslserver`), as Python asks it from 3.13 on, and cryptography's
verifier with its own policy, which is the web's. Where they and the profile `private` do not agree, the case stands in
a table below with all three verdicts and the reason; a difference that is not there, or no longer is one, fails.
"""

from __future__ import annotations

import warnings
from base64 import encodebytes
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

import cryptography
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import verification
from cryptography.x509.oid import (
    AuthorityInformationAccessOID,
    ExtendedKeyUsageOID,
    NameOID,
    ObjectIdentifier,
    SubjectInformationAccessOID,
)

from chains import (
    NOW,
    Extension,
    Made,
    ec_key,
    extension,
    general_names,
    integer,
    intermediate,
    key_id,
    key_usage,
    leaf,
    name,
    oid,
    root,
    spki_of,
    tlv,
)
from mlsssl import CertificateAuthority
from mlsssl._validator.validate import validate
from mlsssl.errors import InvalidInputError, MlssslError
from programs import output, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    int(cryptography.__version__.partition(".")[0]) < 50, reason="the tables are of cryptography 50's verifier"
)

HOST = "www.example.com"
PLACES = ("leaf", "intermediate", "root")
STATES = ("absent", "plain", "critical")
WEB = x509.UniformResourceIdentifier("http://ca.example.com/")
POINT = x509.DistributionPoint([WEB], None, None, None)
POLICY = x509.PolicyInformation(ObjectIdentifier("1.3.6.1.4.1.99999.1"), None)
ORGANISATION = x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test")]))


def _raw(dotted: str, *parts: bytes) -> Extension:
    return Extension(dotted, False, b"".join(parts))


# What a well-made extension of each kind holds in each place.
VALUES: dict[str, Callable[[Made, bool], x509.ExtensionType | Extension]] = {
    "authorityKeyIdentifier": lambda made, ca: x509.AuthorityKeyIdentifier(key_id(spki_of(made.signer)), None, None),
    "subjectKeyIdentifier": lambda made, ca: x509.SubjectKeyIdentifier(key_id(spki_of(made.key))),
    "keyUsage": lambda made, ca: (
        key_usage(key_cert_sign=True, crl_sign=True) if ca else key_usage(digital_signature=True)
    ),
    "privateKeyUsagePeriod": lambda made, ca: _raw("2.5.29.16", tlv(0x30, tlv(0x80, b"20260101000000Z"))),
    "certificatePolicies": lambda made, ca: x509.CertificatePolicies([POLICY]),
    "policyMappings": lambda made, ca: _raw("2.5.29.33", tlv(0x30, tlv(0x30, oid("1.2.3.4"), oid("1.2.3.5")))),
    "subjectAltName": lambda made, ca: x509.SubjectAlternativeName([ORGANISATION]) if ca else general_names(HOST),
    "issuerAltName": lambda made, ca: x509.IssuerAlternativeName([WEB]),
    "subjectDirectoryAttributes": lambda made, ca: _raw(
        "2.5.29.9", tlv(0x30, tlv(0x30, oid("1.3.6.1.5.5.7.9.4"), tlv(0x31, tlv(0x13, b"DE"))))
    ),
    "basicConstraints": lambda made, ca: x509.BasicConstraints(ca=ca, path_length=None),
    "nameConstraints": lambda made, ca: x509.NameConstraints([x509.DNSName("example.com")], None),
    "policyConstraints": lambda made, ca: x509.PolicyConstraints(None, 0),
    "extKeyUsage": lambda made, ca: x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
    "cRLDistributionPoints": lambda made, ca: x509.CRLDistributionPoints([POINT]),
    "inhibitAnyPolicy": lambda made, ca: x509.InhibitAnyPolicy(1),
    "freshestCRL": lambda made, ca: x509.FreshestCRL([POINT]),
    "authorityInfoAccess": lambda made, ca: x509.AuthorityInformationAccess(
        [x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, WEB)]
    ),
    "subjectInfoAccess": lambda made, ca: x509.SubjectInformationAccess(
        [x509.AccessDescription(SubjectInformationAccessOID.CA_REPOSITORY, WEB)]
    ),
    "TLS feature": lambda made, ca: x509.TLSFeature([x509.TLSFeatureType.status_request]),
    "OCSP no check": lambda made, ca: x509.OCSPNoCheck(),
    "signed certificate timestamps": lambda made, ca: _raw("1.3.6.1.4.1.11129.2.4.2", tlv(0x04, b"\x00\x00")),
    "precertificate poison": lambda made, ca: x509.PrecertPoison(),
    "netscape certificate type": lambda made, ca: _raw(
        "2.16.840.1.113730.1.1", tlv(0x03, b"\x02\x04" if ca else b"\x06\x40")
    ),
    "netscape comment": lambda made, ca: _raw("2.16.840.1.113730.1.13", tlv(0x16, b"made by a script")),
    "qcStatements": lambda made, ca: _raw("1.3.6.1.5.5.7.1.3", tlv(0x30, tlv(0x30, oid("0.4.0.1862.1.1")))),
    "proxyCertInfo": lambda made, ca: _raw("1.3.6.1.5.5.7.1.14", tlv(0x30, tlv(0x30, oid("1.3.6.1.5.5.7.21.1")))),
    "ipAddrBlocks": lambda made, ca: _raw("1.3.6.1.5.5.7.1.7", tlv(0x30, tlv(0x30, tlv(0x04, b"\x00\x01"), tlv(0x05)))),
    "Microsoft certificate template": lambda made, ca: x509.MSCertificateTemplate(ObjectIdentifier("1.2.3"), 1, 0),
    "Microsoft CA version": lambda made, ca: _raw("1.3.6.1.4.1.311.21.1", integer(0)),
    "noRevAvail": lambda made, ca: _raw("2.5.29.56", tlv(0x05)),
    "of nobody": lambda made, ca: _raw("1.3.6.1.4.1.99999.9", tlv(0x05)),
}


@dataclass(frozen=True)
class Difference:
    """Where the three do not agree: their verdicts, and why ours is what it is."""

    ours: bool
    openssl: bool
    cryptography: bool
    why: str


YES, NO = True, False
STRICT_ONLY = "strict OpenSSL (Python 3.13 and later) refuses; without -x509_strict it does not: a warning that says so"
PROCESSED = "processed here and by OpenSSL, and RFC 5280 lets or makes it be critical; cryptography does not process it"
APPLE = "RFC 5280 takes a missing one for every usage, as these two do; Apple's clients refuse it"
OF_OPENSSL = "OpenSSL alone processes it; RFC 5280 section 4.2 lets every other client refuse"
WEB_ONLY = "a rule of the web's authorities alone, an error in the profile public"
TRUSTED_SO = "a warning, since OpenSSL takes it"

_DIFFERENCES: dict[tuple[str, str, tuple[str, ...]], Difference] = {
    ("authorityKeyIdentifier", "absent", ("leaf",)): Difference(YES, NO, NO, STRICT_ONLY),
    ("authorityKeyIdentifier", "absent", ("intermediate",)): Difference(YES, NO, YES, STRICT_ONLY),
    ("subjectKeyIdentifier", "absent", ("intermediate", "root")): Difference(YES, NO, YES, STRICT_ONLY),
    ("subjectKeyIdentifier", "critical", ("leaf",)): Difference(
        NO, NO, YES, "RFC 5280 section 4.2.1.2 forbids it and OpenSSL refuses; cryptography does not look at it there"
    ),
    ("keyUsage", "absent", ("intermediate", "root")): Difference(YES, NO, NO, STRICT_ONLY),
    ("basicConstraints", "plain", ("intermediate", "root")): Difference(YES, NO, NO, STRICT_ONLY),
    ("certificatePolicies", "critical", PLACES): Difference(YES, YES, NO, PROCESSED),
    ("policyMappings", "critical", PLACES): Difference(YES, YES, NO, PROCESSED),
    ("policyConstraints", "critical", PLACES): Difference(YES, YES, NO, PROCESSED),
    ("inhibitAnyPolicy", "critical", PLACES): Difference(YES, YES, NO, PROCESSED),
    ("cRLDistributionPoints", "critical", PLACES): Difference(YES, YES, NO, PROCESSED),
    ("OCSP no check", "critical", PLACES): Difference(YES, YES, NO, PROCESSED),
    ("subjectAltName", "critical", ("leaf",)): Difference(YES, YES, NO, WEB_ONLY),
    ("nameConstraints", "plain", ("leaf",)): Difference(YES, YES, NO, WEB_ONLY),
    ("nameConstraints", "critical", ("leaf",)): Difference(YES, YES, NO, WEB_ONLY),
    ("extKeyUsage", "absent", ("leaf",)): Difference(NO, YES, YES, APPLE),
    ("extKeyUsage", "critical", PLACES): Difference(YES, YES, NO, WEB_ONLY),
    ("netscape certificate type", "critical", PLACES): Difference(NO, YES, NO, OF_OPENSSL),
    ("ipAddrBlocks", "critical", PLACES): Difference(NO, YES, NO, OF_OPENSSL),
    ("proxyCertInfo", "plain", PLACES): Difference(
        NO, NO, YES, "a proxy certificate of RFC 3820; cryptography passes over what is not critical and unknown"
    ),
}
DIFFERENCES = {
    (kind, state, place): difference for (kind, state, places), difference in _DIFFERENCES.items() for place in places
}


def _changed(place: str, change: Callable[[Made], Made]) -> tuple[Made, Made, Made]:
    """Root, intermediate and leaf, the one in this place changed, and the ones below issued by what it is then."""
    above = change(root()) if place == "root" else root()
    middle = change(intermediate(above)) if place == "intermediate" else intermediate(above)
    end = change(leaf(middle)) if place == "leaf" else leaf(middle)
    return above, middle, end


def _ours(above: Made, middle: Made, end: Made) -> tuple[bool, str]:
    try:
        report = validate(
            end.certificate(),
            host=HOST,
            at=NOW,
            trust=[above.certificate()],
            intermediates=[middle.certificate()],
            expect_key=False,
            profile="private",
        )
    except (MlssslError, x509.InvalidVersion) as error:
        return False, repr(error)
    return report.ok, " ".join(report.codes)


def _openssl(folder: Path, above: Made, middle: Made, end: Made) -> tuple[bool, str]:
    for file, made in (("root", above), ("middle", middle), ("leaf", end)):
        pem = b"-----BEGIN CERTIFICATE-----\n" + encodebytes(made.der()) + b"-----END CERTIFICATE-----\n"
        (folder / file).write_bytes(pem)
    result = run(
        "openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", HOST,
        "-attime", str(int(NOW.timestamp())),
        "-CAfile", folder / "root", "-untrusted", folder / "middle", folder / "leaf",
    )  # fmt: skip
    return result.returncode == 0, output(result)


def _cryptography(above: Made, middle: Made, end: Made) -> tuple[bool, str]:
    try:
        builder = verification.PolicyBuilder().store(verification.Store([above.certificate()])).time(NOW)
        builder.build_server_verifier(x509.DNSName(HOST)).verify(end.certificate(), [middle.certificate()])
    except (verification.VerificationError, ValueError, x509.InvalidVersion) as error:
        return False, str(error)
    return True, ""


def _verdicts(folder: Path, path: tuple[Made, Made, Made]) -> tuple[tuple[bool, bool, bool], str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cryptography warns of serial numbers and versions
        ours, openssl, web = _ours(*path), _openssl(folder, *path), _cryptography(*path)
    return (ours[0], openssl[0], web[0]), f"ours: {ours[1]}\nopenssl: {openssl[1]}\ncryptography: {web[1]}"


def _judge(folder: Path, path: tuple[Made, Made, Made], difference: Difference | None) -> None:
    found, said = _verdicts(folder, path)
    if difference is None:
        assert len(set(found)) == 1, said
    else:
        assert found == (difference.ours, difference.openssl, difference.cryptography), said
        assert len(set(found)) == 2, "no difference"


def test_the_chain_that_everything_starts_from_is_accepted_by_all(tmp_path: Path) -> None:
    """And refused by all for another leaf's signature."""
    path = _changed("leaf", lambda made: made)
    assert _verdicts(tmp_path, path)[0] == (True, True, True)
    forged = (path[0], path[1], replace(path[2], signer=ec_key(98)))
    assert _verdicts(tmp_path, forged)[0] == (False, False, False)


@pytest.mark.parametrize("kind", list(VALUES))
def test_an_extension_is_judged_as_other_programs_judge_it(kind: str, tmp_path: Path) -> None:
    """Absent, plain and critical, in the leaf, the intermediate and the root."""
    for place, state in product(PLACES, STATES):

        def change(made: Made, place: str = place, state: str = state) -> Made:
            value = VALUES[kind](made, place != "leaf")
            new = value if isinstance(value, Extension) else extension(value)
            if state == "absent":
                return replace(made, extensions=tuple(old for old in made.extensions if old.oid != new.oid))
            return made.with_extension(replace(new, critical=state == "critical"))

        _judge(tmp_path, _changed(place, change), DIFFERENCES.get((kind, state, place)))


def test_the_table_of_differences_is_about_cases_that_there_are() -> None:
    """Each names an extension, a state and a place of the matrix, and gives its reason."""
    assert set(DIFFERENCES) <= set(product(VALUES, STATES, PLACES))
    assert all(difference.why for difference in DIFFERENCES.values())


# Odd fields and odd contents ---------------------------------------------------------------------------------------


def _with(dotted: str, *parts: bytes, critical: bool = False) -> Callable[[Made], Made]:
    return lambda made: made.with_extension(Extension(dotted, critical, b"".join(parts)))


def _usages(*usages: ObjectIdentifier) -> Callable[[Made], Made]:
    return lambda made: made.with_extension(x509.ExtendedKeyUsage(usages))


def _key_usage(**bits: bool) -> Callable[[Made], Made]:
    return lambda made: made.with_extension(key_usage(**bits), critical=True)


def _key(key: object) -> Callable[[Made], Made]:
    return lambda made: replace(made, key=key).without(x509.SubjectKeyIdentifier)


def _akid(issuer: str, serial: int | None) -> Callable[[Made], Made]:
    directory = tlv(0xA1, tlv(0xA4, name(issuer)))
    number = b"" if serial is None else tlv(0x82, integer(serial)[2:])
    return lambda made: made.with_extension(
        Extension("2.5.29.35", False, tlv(0x30, tlv(0x80, key_id(spki_of(made.signer))), directory, number))
    )


def _constrained(tag: int, domain: bytes, *distance: bytes) -> Callable[[Made], Made]:
    return _with("2.5.29.30", tlv(0x30, tlv(tag, tlv(0x30, tlv(0x82, domain), *distance))), critical=True)


def _explicit_curve(made: Made) -> Made:
    """P-256 written out (SEC 2 section 2.4.2), instead of by its name."""
    prime = 2**256 - 2**224 + 2**192 + 2**96 - 1
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    factor = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
    generator = ec.derive_private_key(1, ec.SECP256R1()).public_key().public_numbers()
    public = made.key.public_key().public_numbers()

    def point(numbers: ec.EllipticCurvePublicNumbers) -> bytes:
        return b"\x04" + numbers.x.to_bytes(32, "big") + numbers.y.to_bytes(32, "big")

    parameters = tlv(
        0x30,
        integer(1),
        tlv(0x30, oid("1.2.840.10045.1.1"), integer(prime)),
        tlv(0x30, tlv(0x04, (prime - 3).to_bytes(32, "big")), tlv(0x04, factor.to_bytes(32, "big"))),
        tlv(0x04, point(generator)),
        integer(order),
        integer(1),
    )
    spki = tlv(0x30, tlv(0x30, oid("1.2.840.10045.2.1"), parameters), tlv(0x03, b"\0" + point(public)))
    return replace(made, spki=spki)


def _twice(dotted: str) -> Callable[[Made], Made]:
    extra = Extension(dotted, False, b"\x05\x00")
    return lambda made: replace(made, extensions=(*made.extensions, extra, extra))


ANY, SERVER, SGC = (
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    ExtendedKeyUsageOID.SERVER_AUTH,
    ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"),
)
TODAY = "RFC 5280 forbids it; an error here, as some clients refuse"
UNUSABLE = "TLS 1.3 clients and browsers cannot use such a key, which a verifier of chains does not ask"
MALFORMED = "not encoded as its standard says; these read it leniently, or not at all"
ANYTHING = "OpenSSL wants serverAuth by name; cryptography lets an issuer say everything"

ODD: dict[str, tuple[Callable[[Made], Made], dict[tuple[str, ...], Difference | None]]] = {
    "serial number zero": (
        lambda made: replace(made, serial=0),
        {("leaf", "intermediate"): Difference(NO, YES, YES, TODAY), ("root",): None},
    ),
    "serial number negative": (
        lambda made: replace(made, serial=-5),
        {
            ("leaf", "intermediate"): Difference(NO, YES, NO, TODAY),
            ("root",): Difference(YES, YES, NO, "nobody looks the number of a trusted root up"),
        },
    ),
    "serial number of 1000 octets": (
        lambda made: replace(made, serial=2**8000),
        {PLACES: Difference(YES, YES, NO, TRUSTED_SO)},
    ),
    "version 1 with extensions": (lambda made: replace(made, version=1), {PLACES: None}),
    "version 2 with extensions": (lambda made: replace(made, version=2), {PLACES: None}),
    "version 4": (
        lambda made: replace(made, version=4),
        {PLACES: Difference(NO, YES, NO, "there is no such version")},
    ),
    "unique identifier": (lambda made: replace(made, unique_id=tlv(0x82, b"\0\xff")), {PLACES: None}),
    "a standard extension twice": (
        lambda made: replace(made, extensions=(*made.extensions, made.extensions[0])),
        {PLACES: None},
    ),
    "an unknown extension twice": (_twice("1.2.3.4"), {PLACES: Difference(NO, YES, NO, TODAY)}),
    "other algorithm outside": (
        lambda made: replace(made, outer_algorithm=bytes.fromhex("300a06082a8648ce3d040303")),
        {PLACES: None},
    ),
    "path length of no authority": (
        _with("2.5.29.19", tlv(0x30, integer(0)), critical=True),
        {("leaf",): Difference(NO, NO, YES, MALFORMED)},
    ),
    "leaf as authority": (
        lambda made: made.with_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True),
        {("leaf",): Difference(NO, YES, NO, "Firefox refuses it too")},
    ),
    "keyCertSign in a leaf": (
        _key_usage(digital_signature=True, key_cert_sign=True),
        {("leaf",): Difference(YES, NO, NO, STRICT_ONLY)},
    ),
    "no keyCertSign in an issuer": (_key_usage(crl_sign=True), {("intermediate", "root"): None}),
    "key usage without a bit": (
        _with("2.5.29.15", tlv(0x03, b"\0"), critical=True),
        {("leaf",): Difference(NO, NO, YES, "no bit allows what a server does"), ("intermediate", "root"): None},
    ),
    "keyAgreement alone": (
        _key_usage(key_agreement=True),
        {("leaf",): Difference(NO, YES, YES, "TLS 1.3 servers sign: RFC 8446 section 4.4.2.2")},
    ),
    "empty subjectAltName": (_with("2.5.29.17", tlv(0x30)), {("leaf",): None}),
    "no subject, subjectAltName plain": (
        lambda made: replace(made, subject=name()),
        {("leaf",): Difference(YES, NO, NO, STRICT_ONLY)},
    ),
    "no subject, subjectAltName critical": (
        lambda made: replace(made, subject=name()).with_extension(general_names(HOST), critical=True),
        {("leaf",): None},
    ),
    "another key's identifier": (
        lambda made: made.with_extension(x509.AuthorityKeyIdentifier(b"x" * 20, None, None)),
        {
            ("leaf", "intermediate"): Difference(NO, NO, YES, "OpenSSL looks for an issuer with that identifier"),
            ("root",): Difference(YES, NO, YES, "by it no root, but trusted all the same: an anchor, which ours notes"),
        },
    ),
    "another issuer's number": (
        _akid("Test Root", 4711),
        {PLACES: Difference(NO, NO, YES, "OpenSSL looks for an issuer with that number")},
    ),
    "another issuer's issuer": (
        _akid("Nobody", root().serial),
        {PLACES: Difference(NO, NO, YES, "OpenSSL looks for an issuer that this one issued")},
    ),
    "the right issuer's issuer and number": (_akid("Test Root", root().serial), {("leaf", "intermediate"): None}),
    "an empty key identifier of the authority": (
        _with("2.5.29.35", tlv(0x30)),
        {
            ("leaf",): Difference(YES, NO, YES, STRICT_ONLY),
            ("intermediate",): Difference(YES, NO, NO, STRICT_ONLY),
            ("root",): Difference(YES, YES, NO, "nobody looks for the issuer of a trusted root"),
        },
    ),
    "DSA key": (_key(dsa.generate_private_key(1024)), {("leaf",): Difference(NO, YES, YES, UNUSABLE)}),
    "Ed25519 key": (_key(ed25519.Ed25519PrivateKey.from_private_bytes(b"1" * 32)), {("leaf",): None}),
    "Ed448 key": (_key(ed448.Ed448PrivateKey.from_private_bytes(b"1" * 57)), {("leaf",): None}),
    "key on secp256k1": (_key(ec_key(3, ec.SECP256K1)), {("leaf",): Difference(NO, YES, YES, UNUSABLE)}),
    "key on P-224": (_key(ec_key(3, ec.SECP224R1)), {("leaf",): Difference(NO, YES, YES, UNUSABLE)}),
    "curve written out": (
        _explicit_curve,
        {
            ("leaf",): Difference(NO, NO, YES, "CVE-2020-0601; cryptography does not judge the key of the leaf"),
            ("intermediate", "root"): None,
        },
    ),
    "every usage": (
        _usages(ANY),
        {("leaf",): None, ("intermediate", "root"): Difference(NO, NO, YES, ANYTHING)},
    ),
    "every usage, and servers": (_usages(SERVER, ANY), {PLACES: None}),
    "usage for gated cryptography": (
        _usages(SGC),
        {PLACES: Difference(NO, YES, NO, "OpenSSL alone still takes Microsoft's usage of the nineties for serverAuth")},
    ),
    "extended key usage without a usage": (_with("2.5.29.37", tlv(0x30)), {PLACES: None}),
    "policies, none": (_with("2.5.29.32", tlv(0x30)), {PLACES: Difference(NO, YES, YES, MALFORMED)}),
    "policy constraints, none": (
        _with("2.5.29.36", tlv(0x30), critical=True),
        {PLACES: Difference(NO, YES, NO, MALFORMED)},
    ),
    "access to no information": (
        _with("1.3.6.1.5.5.7.1.1", tlv(0x30)),
        {PLACES: Difference(NO, YES, YES, MALFORMED)},
    ),
    "a distribution point with reasons alone": (
        _with("2.5.29.31", tlv(0x30, tlv(0x30, tlv(0x81, b"\x01\x40")))),
        {PLACES: Difference(NO, NO, YES, MALFORMED)},
    ),
    "netscape type for clients": (
        _with("2.16.840.1.113730.1.1", tlv(0x03, b"\x05\xa0")),
        {("leaf",): Difference(NO, NO, YES, "OpenSSL still looks at it")},
    ),
    "netscape type with a bit that its length leaves out": (
        _with("2.16.840.1.113730.1.1", tlv(0x03, b"\x07\x40")),
        {("leaf",): Difference(NO, NO, YES, "OpenSSL still looks at it")},
    ),
    "netscape type that is no bit string": (
        _with("2.16.840.1.113730.1.1", tlv(0x02, b"\x40")),
        {PLACES: Difference(NO, NO, YES, MALFORMED)},
    ),
    "constraints with a minimum": (
        _constrained(0xA0, b"example.com", tlv(0x80, b"\x01")),
        {("intermediate", "root"): Difference(NO, NO, YES, "cryptography reads it and drops it")},
    ),
    "constraints with a maximum": (
        _constrained(0xA1, b"example.org", tlv(0x81, b"\x01")),
        {("intermediate", "root"): Difference(NO, NO, YES, "cryptography reads it and drops it")},
    ),
    "constraint with a leading dot, above the host": (
        _constrained(0xA0, b".example.com"),
        {("root",): Difference(YES, YES, NO, "a warning; RFC 5280 has no such form, and OpenSSL takes names below it")},
    ),
    "constraint with a leading dot, of the host": (_constrained(0xA0, b".www.example.com"), {("root",): None}),
    "exclusion with a trailing dot": (
        _constrained(0xA1, b"example.com."),
        {("root",): Difference(NO, YES, NO, "OpenSSL compares letter by letter, and lets the excluded name through")},
    ),
    "dates of today in four-digit years": (
        lambda made: replace(made, time_tags=(0x18, 0x18)),
        {PLACES: Difference(YES, YES, NO, TRUSTED_SO)},
    ),
}


@pytest.mark.parametrize("odd", list(ODD))
def test_an_odd_field_is_judged_as_other_programs_judge_it(odd: str, tmp_path: Path) -> None:
    """Serial numbers, versions, keys, and contents of extensions that a careful authority does not make."""
    change, expected = ODD[odd]
    for places, difference in expected.items():
        for place in places:
            _judge(tmp_path, _changed(place, change), difference)


@pytest.mark.parametrize(
    "common",
    ["evil.test", "10.0.0.5", "e_vil.test", "example.com", "www.example.com", "intranet", "evil.test.", "*.evil.test",
     "-x.test", "x-.test", "x.-y.test", "a..test", "Example Company", "evil.test, Inc.", "\u00fc.test", "a.b"],
)  # fmt: skip
def test_a_common_name_beside_an_address_is_constrained_as_openssl_does_it(common: str, tmp_path: Path) -> None:
    """OpenSSL takes it for a DNS name by its characters; so the addresses of a constrained authority need none."""
    constraints = x509.NameConstraints([x509.DNSName("example.com")], None)
    above = root().with_extension(constraints, critical=True)
    end = leaf(above, "10.0.0.5", common=common)
    report = validate(end.certificate(), host="10.0.0.5", at=NOW, trust=[above.certificate()], expect_key=False)
    for file, made in (("root", above), ("leaf", end)):
        (tmp_path / file).write_bytes(made.certificate().public_bytes(Encoding.PEM))
    result = run(
        "openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_ip", "10.0.0.5",
        "-attime", str(int(NOW.timestamp())), "-CAfile", tmp_path / "root", tmp_path / "leaf",
    )  # fmt: skip
    assert report.ok is (result.returncode == 0), output(result)


def test_openssl_takes_what_a_constrained_authority_issues_for_an_address(tmp_path: Path) -> None:
    """From both ends: issued by the public method, judged by the other program; the twin is another network's."""
    ca = CertificateAuthority.create("Constrained", key="ec-p256", permitted=["corp.test", "10.0.0.0/8"])
    ca.certificate.save(tmp_path / "root.crt")
    for hosts in (("10.0.0.5",), ("10.0.0.5", "a.corp.test"), ("a.corp.test",), ("*.corp.test", "10.0.0.6")):
        (tmp_path / "leaf").write_bytes(ca.issue(*hosts).to_pem())
        result = run("openssl", "verify", "-x509_strict", "-CAfile", tmp_path / "root.crt", tmp_path / "leaf")
        assert result.returncode == 0, output(result)
    with pytest.raises(InvalidInputError):
        ca.issue("11.0.0.5")
