"""Certificates as other tools make them: each gets the findings that other linters have for it.

They are rebuilt here field by field from what the tools' public sources set, so that the tests need none of them.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID as Eku

from chains import (
    NOW,
    Extension,
    Made,
    ec_key,
    extension,
    general_names,
    key_id,
    key_usage,
    name,
    root,
    rsa_key,
    spki_of,
    tlv,
)
from mlsssl._validator.validate import validate

if TYPE_CHECKING:
    from mlsssl._validator.report import Report

HOST = "server.example.com"


def check(made: Made, above: Made, profile: str = "private", host: str = HOST, at: datetime = NOW) -> Report:
    return validate(
        made.certificate(), host=host, at=at, trust=[above.certificate()], expect_key=False, profile=profile
    )


def authority(*, key: int = 70, extensions: tuple[Extension, ...], common: str = "CA") -> Made:
    made = root(common, key)
    return replace(made, extensions=extensions)


def trustme() -> tuple[Made, Made]:
    """Trustme 1.2: P-256, OU in subject, code signing allowed, no expiry in sight, CA without AKI."""
    key = ec_key(70)
    ca = authority(
        extensions=(
            extension(x509.SubjectKeyIdentifier(key_id(spki_of(key)))),
            extension(x509.BasicConstraints(ca=True, path_length=9), critical=True),
            extension(key_usage(digital_signature=True, key_cert_sign=True, crl_sign=True), critical=True),
        ),
    )
    subject = name(None, ORGANIZATION_NAME="trustme v1.2.1", ORGANIZATIONAL_UNIT_NAME="Testing cert #x")
    made = Made(
        subject=subject,
        issuer=ca.subject,
        key=ec_key(71),
        signer=key,
        not_before=datetime(2000, 1, 1, tzinfo=NOW.tzinfo),
        not_after=datetime(3000, 1, 1, tzinfo=NOW.tzinfo),
        extensions=(
            extension(x509.SubjectKeyIdentifier(key_id(spki_of(ec_key(71))))),
            extension(x509.BasicConstraints(ca=False, path_length=None), critical=True),
            extension(x509.AuthorityKeyIdentifier(key_id(spki_of(key)), None, None)),
            extension(general_names(HOST), critical=True),
            extension(key_usage(digital_signature=True, key_encipherment=True), critical=True),
            extension(x509.ExtendedKeyUsage([Eku.CLIENT_AUTH, Eku.SERVER_AUTH, Eku.CODE_SIGNING]), critical=True),
        ),
    )
    return made, ca


def mkcert() -> tuple[Made, Made]:
    """Mkcert 1.4: RSA-2048 and an RSA-3072 root, 820 days, organisation and unit but no common name, no leaf SKI."""
    key = rsa_key(3072)
    ca = replace(
        root("mkcert root", key=key),
        extensions=(
            extension(key_usage(key_cert_sign=True), critical=True),
            extension(x509.BasicConstraints(ca=True, path_length=0), critical=True),
            extension(x509.SubjectKeyIdentifier(key_id(spki_of(key)))),
        ),
        not_after=NOW + timedelta(days=3000),
    )
    made = Made(
        subject=name(None, ORGANIZATION_NAME="mkcert development certificate", ORGANIZATIONAL_UNIT_NAME="me@host"),
        issuer=ca.subject,
        key=rsa_key(2048),
        signer=key,
        not_before=NOW - timedelta(hours=1),
        not_after=NOW + timedelta(days=823),
        extensions=(
            extension(key_usage(digital_signature=True, key_encipherment=True), critical=True),
            extension(x509.ExtendedKeyUsage([Eku.SERVER_AUTH])),
            extension(x509.AuthorityKeyIdentifier(key_id(spki_of(key)), None, None)),
            extension(general_names(HOST)),
        ),
    )
    return made, ca


def minica() -> tuple[Made, Made]:
    """Minica 1.1: P-384, two years and a month, a 64-bit serial number, client authentication beside the server's."""
    key = ec_key(72)
    ca = replace(
        root("minica root ca 3f2a1b", 72),
        extensions=(
            extension(key_usage(digital_signature=True, key_cert_sign=True, crl_sign=False), critical=True),
            extension(x509.ExtendedKeyUsage([Eku.SERVER_AUTH, Eku.CLIENT_AUTH])),
            extension(x509.BasicConstraints(ca=True, path_length=0), critical=True),
            extension(x509.SubjectKeyIdentifier(key_id(spki_of(key)))),
            extension(x509.AuthorityKeyIdentifier(key_id(spki_of(key)), None, None)),
        ),
    )
    made = Made(
        subject=name(HOST),
        issuer=ca.subject,
        key=ec_key(73),
        signer=key,
        serial=0x1F2A_7B3C_4D5E_6F70,
        not_after=NOW + timedelta(days=760),
        extensions=(
            extension(key_usage(digital_signature=True, key_encipherment=True), critical=True),
            extension(x509.ExtendedKeyUsage([Eku.SERVER_AUTH, Eku.CLIENT_AUTH])),
            extension(x509.BasicConstraints(ca=False, path_length=None), critical=True),
            extension(x509.AuthorityKeyIdentifier(key_id(spki_of(key)), None, None)),
            extension(general_names(HOST)),
        ),
    )
    return made, ca


def makecert() -> tuple[Made, Made]:
    """MakeCert, as the manual procedure calls it: a root with nothing but the old 2.5.29.1, to 2039; a CN-only leaf."""
    old_identifier = Extension("2.5.29.1", False, tlv(0x30, tlv(0x80, b"0123456789abcdef")))
    begin, end = datetime(2026, 1, 1, tzinfo=NOW.tzinfo), datetime(2039, 12, 31, 23, 59, 59, tzinfo=NOW.tzinfo)
    ca = replace(root("SelfIssuedCA", key=rsa_key(1024)), extensions=(old_identifier,), not_before=begin, not_after=end)
    made = Made(
        subject=name(HOST),
        issuer=ca.subject,
        key=rsa_key(1024, 1),
        signer=ca.signer,
        not_before=begin,
        not_after=end,
        digest=hashes.SHA256,
        extensions=(extension(x509.ExtendedKeyUsage([Eku.SERVER_AUTH])), old_identifier),
    )
    return made, ca


EXPECTED = {
    "trustme": {
        "private": {"san-critical", "eku-critical", "eku-other-usage", "key-usage-ec-encipherment", "outlives-issuer"}
        | {"validity-backdated"},
        "public": {"san-critical", "eku-critical", "eku-other-usage", "key-usage-ec-encipherment", "aia-missing"}
        | {"subject-ou", "policies-missing", "validity-backdated"},
    },
    "mkcert": {
        "private": {"leaf-ski-missing"},
        "public": {"validity-too-long", "subject-ou", "policies-missing", "aia-missing", "revocation-pointer-missing"},
    },
    "minica": {
        "private": {"leaf-ski-missing", "key-usage-ec-encipherment"},
        "public": {"validity-too-long", "key-usage-ec-encipherment", "root-eku", "policies-missing"},
    },
    "makecert": {
        "private": {"common-name-only", "name-mismatch", "root-basic-constraints-missing", "aki-missing"}
        | {"validity-too-long", "rsa-too-small", "issuer-key-usage-missing", "issuer-ski-missing"},
        "procedure": {"common-name-only", "rsa-too-small", "root-basic-constraints-missing"},
    },
}
MAKERS = {"trustme": trustme, "mkcert": mkcert, "minica": minica, "makecert": makecert}


@pytest.mark.parametrize(("tool", "profile"), [(t, p) for t, profiles in EXPECTED.items() for p in profiles])
def test_certificates_of_other_tools_get_their_findings(tool: str, profile: str) -> None:
    """What linters say of each is said here."""
    report = check(*MAKERS[tool](), profile=profile)
    assert set(report.codes) >= EXPECTED[tool][profile], report.to_text()


def test_what_works_in_practice_is_no_error_in_private() -> None:
    """Mkcert's and minica's certificates are accepted by browsers, and so they are here; MakeCert's are not."""
    assert check(*mkcert()).ok, check(*mkcert()).to_text()
    assert check(*minica()).ok, check(*minica()).to_text()
    assert check(*trustme()).ok, check(*trustme()).to_text()
    assert not check(*makecert()).ok
    assert check(*makecert(), profile="procedure").ok
