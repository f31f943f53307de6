"""Certificates in words: every extension, what differs between two, and the bare ASN.1."""

from __future__ import annotations

import datetime as dt
import html
import json
import re

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from mlsssl import strategies
from mlsssl._formats.described import asn1_lines
from mlsssl.authority import CertificateAuthority
from mlsssl.certificate import Certificate
from mlsssl.errors import InvalidInputError, MalformedDataError

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.timezone.utc)
KEY = ec.derive_private_key(77, ec.SECP256R1())
CA = CertificateAuthority.create("Root", key=KEY, at=NOW, serial=7, crl_url="http://crl.test/a.crl")
LEAF = CA.issue("a.test", "10.0.0.5", key=KEY, at=NOW, serial=8)


def with_extensions(*extensions: tuple[x509.ExtensionType, bool]) -> Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a")])
    builder = x509.CertificateBuilder(name, name, KEY.public_key(), 255, NOW, NOW + dt.timedelta(days=9))
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    return Certificate(builder.sign(KEY, hashes.SHA256()))


def by_name(certificate: Certificate) -> dict[object, dict[str, object]]:
    rows = certificate.to_dict()["extensions"]
    assert isinstance(rows, list)
    return {row["name"] or row["oid"]: row for row in rows}


def test_a_certificate_as_plain_values() -> None:
    """JSON-ready, the usual extensions in words, and no private key."""
    found = json.loads(json.dumps(LEAF.to_dict()))
    assert found["names"] == ["a.test", "10.0.0.5"]
    assert found["serial_number"] == "8"
    assert found["not_before"].startswith("2026-05-31T")
    assert found["chain"] == ["CN=Root"]
    assert found["has_private_key"] is True
    assert f"{77:064x}" not in json.dumps(found)
    rows = by_name(LEAF)
    assert rows["subjectAltName"]["value"] == ["a.test", "10.0.0.5"]
    assert rows["extendedKeyUsage"]["value"] == ["serverAuth"]
    assert rows["keyUsage"] == {
        "oid": "2.5.29.15",
        "name": "keyUsage",
        "critical": True,
        "value": ["digitalSignature"],
    }
    assert rows["cRLDistributionPoints"]["value"] == ["URI:http://crl.test/a.crl"]
    assert by_name(CA.certificate)["basicConstraints"]["value"] == {"ca": True, "path_length": None}


def test_rarer_extensions_in_words() -> None:
    """Each that `cryptography` reads, the unknown as octets."""
    policy = x509.ObjectIdentifier("1.2.3.4")
    notice = x509.UserNotice(None, "line\nbreak")
    uri = x509.UniformResourceIdentifier("http://ocsp.test")
    rows = by_name(
        with_extensions(
            (x509.AuthorityInformationAccess([x509.AccessDescription(AuthorityInformationAccessOID.OCSP, uri)]), False),
            (x509.CertificatePolicies([x509.PolicyInformation(policy, ["http://cps.test", notice])]), False),
            (x509.NameConstraints([x509.DNSName("a.test")], None), True),
            (x509.PolicyConstraints(1, None), True),
            (x509.InhibitAnyPolicy(3), True),
            (x509.TLSFeature([x509.TLSFeatureType.status_request]), False),
            (x509.MSCertificateTemplate(policy, 100, 3), False),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, policy]), False),
            (x509.IssuerAlternativeName([x509.RFC822Name("a@a.test")]), False),
            (x509.OCSPNoCheck(), False),
            (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.5"), b"\x05\0"), False),
        )
    )
    values = {name: row["value"] for name, row in rows.items()}
    assert values == {
        "authorityInfoAccess": ["OCSP: URI:http://ocsp.test"],
        "certificatePolicies": ["1.2.3.4 (http://cps.test; line\\nbreak)"],
        "nameConstraints": {"permitted": ["a.test"], "excluded": []},
        "policyConstraints": {"require_explicit_policy": 1, "inhibit_policy_mapping": None},
        "inhibitAnyPolicy": 3,
        "tlsfeature": ["status_request"],
        "certificateTemplate": {"template": "1.2.3.4", "major_version": 100, "minor_version": 3},
        "extendedKeyUsage": ["clientAuth", "1.2.3.4"],
        "issuerAltName": ["email:a@a.test"],
        "ocsp-nocheck": True,
        "1.2.3.5": "0500",
    }
    assert rows["nameConstraints"]["critical"]


def test_what_cannot_be_read_is_told() -> None:
    """Of a damaged certificate the rest is there, and why this is not."""
    damaged = with_extensions(
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.17"), b"\xff"), False),
        (x509.BasicConstraints(ca=False, path_length=None), True),
    )
    found = damaged.to_dict()
    assert found["names"] is None
    rows = by_name(damaged)
    assert rows["2.5.29.17"]["unreadable"]
    assert "value" not in rows["2.5.29.17"]
    assert rows["basicConstraints"]["value"] == {"ca": False, "path_length": None}
    assert "cannot be read" in str(damaged.diff(LEAF))


@given(certificate=strategies.certificates(), other=strategies.certificates())
def test_any_certificate_in_words(certificate: Certificate, other: Certificate) -> None:
    """JSON takes it; a certificate differs from itself in nothing, and from another in its SHA-256."""
    assert json.loads(json.dumps(certificate.to_dict())) == certificate.to_dict()
    assert not certificate.diff(certificate)
    assert bool(certificate.diff(other)) == (certificate != other)
    assert certificate.asn1().startswith("    0 ")


def test_two_certificates_compared() -> None:
    """What a renewal changed, with both values; what only one has; a card and lines."""
    renewed = CA.issue("a.test", "b.test", key=KEY, at=NOW + dt.timedelta(days=30), serial=9)
    found = LEAF.diff(renewed)
    fields = {name: (old, new) for name, old, new in found.fields}
    assert fields["names"] == ("a.test, 10.0.0.5", "a.test, b.test")
    assert fields["serial_number"] == ("8", "9")
    assert fields["extension subjectAltName"] == ("a.test, 10.0.0.5", "a.test, b.test")
    assert not set(fields) & {"subject", "issuer", "key_type", "chain", "extension keyUsage"} - {"subject"}
    assert LEAF.diff(CA.certificate).fields
    missing = {name: new for name, _, new in LEAF.diff(CA.certificate).fields}
    assert missing["extension subjectAltName"] is None
    assert "+ serial_number: 9" in str(found)
    assert found.to_dict()["certificates"] == ["a.test and 1 more", "a.test and 1 more"]
    words = html.unescape(re.sub("<style>.*?</style>|<[^>]+>", "", found._repr_html_()))
    assert "a.test, b.test" in words
    assert "a.test and 1 more (this one)" in words
    assert "(this one)" not in LEAF.diff(CA.certificate)._repr_html_()
    same = LEAF.diff(LEAF.without_key())
    assert not same
    assert str(same).endswith("no difference")
    assert "no difference" in same._repr_html_()
    with pytest.raises(InvalidInputError, match="Certificate"):
        LEAF.diff("a.test")  # type: ignore[arg-type]  # the point of it
    with pytest.raises(InvalidInputError, match=r"of an authority it is \.certificate"):
        LEAF.diff(CA)  # type: ignore[arg-type]  # the point of it


def test_trust_in_a_file_by_its_name() -> None:
    """The message says how it is read."""
    with pytest.raises(InvalidInputError, match=r"\(Certificate.load reads a file\), not str"):
        LEAF.check("a.test", trust=["root.cer"])  # type: ignore[list-item]  # the point of it


def test_a_pasted_certificate() -> None:
    """With a mail around it, as base64, as digits; what is none says so."""
    pem = LEAF.to_pem().decode()
    for text in (pem, f"Hello,\n> here it is\n{pem}\nbye", "".join(pem.splitlines()[1:-1]), LEAF.to_der().hex()):
        assert Certificate.from_text(text) == LEAF
    with pytest.raises(MalformedDataError):
        Certificate.from_text("no certificate")
    with pytest.raises(MalformedDataError, match=r"if it is the name of a file, Certificate\.load reads it"):
        Certificate.from_text("SelfIssuedCA.cer")
    with pytest.raises(InvalidInputError, match="text is needed"):
        Certificate.from_text(LEAF.to_der())  # type: ignore[arg-type]  # the point of it


def test_asn1_of_a_certificate() -> None:
    """Place, length, kind and value; what is wrapped is opened."""
    text = LEAF.asn1()
    lines = text.splitlines()
    assert re.match(r"    0 +\d+ SEQUENCE$", lines[0])
    assert any(line.endswith("OBJECT IDENTIFIER 2.5.29.17") for line in lines)
    assert "[2] 612e74657374" in text  # a.test, inside of the OCTET STRING
    assert "UTF8String Root" in text
    assert "BOOLEAN TRUE" in text
    assert re.search(r"INTEGER 8$", text, re.MULTILINE)


def test_asn1_has_its_bounds() -> None:
    """Deep, long, cut off and not DER at all: bounded, and it says so."""
    nested = b""
    for _ in range(60):
        nested = bytes([0x30, 0x82, *len(nested).to_bytes(2, "big")]) + nested
    assert "deeper levels are left out" in asn1_lines(nested)
    many = b"\x05\0" * 9000
    shown = asn1_lines(many).splitlines()
    assert len(shown) == 5001
    assert shown[-1].startswith("… and more")
    assert "no DER" in asn1_lines(b"\x30\x10\x05")
    assert asn1_lines(b"\x04\x50" + b"a" * 80).endswith("61…")


@given(data=st.binary(max_size=200))
def test_asn1_of_any_octets(data: bytes) -> None:
    """No exception, nothing that does not print."""
    for line in asn1_lines(data).splitlines():
        assert line.isprintable()
