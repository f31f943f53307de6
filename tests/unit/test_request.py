"""Certificate requests: made, read, verified, and honoured by an authority's policy."""

from __future__ import annotations

import pickle
import stat
import sys
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import chains
from chains import oid, rsa_key, tlv
from made_certificates import make, shared_key
from mlsssl import Certificate, CertificateAuthority
from mlsssl.errors import InvalidInputError, MalformedDataError, NotFoundError, WrongPasswordError
from mlsssl.request import CertificateRequest, RequestPolicy
from refused_certificates import STAR, odd_request

if TYPE_CHECKING:
    from pathlib import Path

KEY = shared_key(7)


def test_a_request_asks_for_what_a_server_needs() -> None:
    """Names, serverAuth, usage, common name; an EC key asks for no encipherment."""
    made = CertificateRequest.create("www.example.com", "10.0.0.5", "*.example.com", "www.example.com", key=KEY)
    assert made.names == ("www.example.com", "10.0.0.5", "*.example.com")
    assert made.subject == "CN=www.example.com"
    assert made.key_type == "ec-p256"
    extensions = made.to_cryptography().extensions
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.digital_signature, usage.key_encipherment) == (True, False)
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.SERVER_AUTH]
    assert not extensions.get_extension_for_class(x509.SubjectAlternativeName).critical


def test_an_empty_subject_makes_the_names_critical() -> None:
    """RFC 5280, section 4.2.1.6."""
    made = CertificateRequest.create("www.example.com", key=KEY, common_name="")
    assert made.subject == ""
    assert made.to_cryptography().extensions.get_extension_for_class(x509.SubjectAlternativeName).critical


def test_both_ways_through_files(tmp_path: Path) -> None:
    """PEM and DER, key beside it, readable by its owner only; a stranger's key is refused."""
    made = CertificateRequest.create("www.example.com", key=KEY)
    key = made.save_key(tmp_path / "www.key", password="secret")
    for name in ("www.csr", "www.der"):
        path = made.save(tmp_path / name)
        loaded = CertificateRequest.load(path, key=key, key_password="secret")
        assert loaded == made
        assert loaded.private_key is not None
        assert CertificateRequest.load(path).private_key is None
    assert made.save(tmp_path / "a.csr").read_bytes().startswith(b"-----BEGIN CERTIFICATE REQUEST-----")
    if sys.platform != "win32":
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
    with pytest.raises(WrongPasswordError):
        CertificateRequest.load(tmp_path / "www.csr", key=key)
    other = CertificateRequest.create("www.example.com", key=shared_key(8)).save_key(tmp_path / "other.key")
    with pytest.raises(InvalidInputError, match="not this request's"):
        CertificateRequest.load(tmp_path / "www.csr", key=other)
    with pytest.raises(NotFoundError):
        CertificateRequest.load(tmp_path / "missing.csr")


def test_certreqs_label_is_read() -> None:
    """Windows writes NEW in front."""
    made = CertificateRequest.create("www.example.com", key=KEY)
    text = made.to_pem().decode().replace("CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")
    assert CertificateRequest.from_bytes(text) == made


def test_a_forged_request_is_refused() -> None:
    """One byte of the names changed, and the signature does not fit."""
    der = CertificateRequest.create("www.example.com", key=KEY).to_der()
    with pytest.raises(MalformedDataError, match="signature"):
        CertificateRequest.from_bytes(der.replace(b"www.example.com", b"www.examp1e.com"))


@pytest.mark.parametrize(
    ("identifier", "digest"),
    [
        ("1.2.840.113549.1.1.5", hashes.SHA1()),
        ("1.2.840.113549.1.1.4", hashes.MD5()),
    ],
)
def test_a_request_signed_by_an_old_hash_is_no_forgery(identifier: str, digest: hashes.HashAlgorithm) -> None:
    """Certreq of old Windows and Java 6 sign by SHA-1, as proof of the key alone; the twin was changed."""
    key = rsa_key()
    signed = CertificateRequest.create("www.example.com", key=key).to_cryptography().tbs_certrequest_bytes
    algorithm = tlv(0x30, oid(identifier), tlv(0x05))
    signature = tlv(0x03, b"\0", key.sign(signed, padding.PKCS1v15(), digest))
    request = CertificateRequest.from_bytes(tlv(0x30, signed, algorithm, signature))
    assert request.names == ("www.example.com",)
    changed = signed.replace(b"www.example.com", b"www.examp1e.com")
    with pytest.raises(MalformedDataError, match="signature does not fit"):
        CertificateRequest.from_bytes(tlv(0x30, changed, algorithm, signature))


@pytest.mark.parametrize("subject", [STAR, chains.name("www.example.com")])
def test_a_request_signed_by_ecdsa_with_sha1(subject: bytes) -> None:
    """Whether `cryptography` takes the rest of it or not."""
    sha1 = tlv(0x30, oid("1.2.840.10045.4.1"))
    der = odd_request(subject, sha1, hashes.SHA1)
    assert CertificateRequest.from_bytes(der).to_der() == der
    with pytest.raises(MalformedDataError, match="signature does not fit"):
        CertificateRequest.from_bytes(odd_request(subject, sha1, hashes.SHA256))


@pytest.mark.parametrize(
    "data", [b"", b"text", b"\x30\x00", b"-----BEGIN CERTIFICATE REQUEST-----\n???\n-----END CERTIFICATE REQUEST-----"]
)
def test_other_bytes(data: bytes) -> None:
    """Whatever is no request says so."""
    with pytest.raises(MalformedDataError):
        CertificateRequest.from_bytes(data)


def test_a_version_that_there_is_not() -> None:
    """Found by fuzzing: cryptography has an error of its own for it."""
    der = bytearray(CertificateRequest.create("www.example.com", key=KEY).to_der())
    der[der.index(b"\x02\x01\x00") + 2] = 8
    with pytest.raises(MalformedDataError, match="version"):
        CertificateRequest.from_bytes(bytes(der))


def test_every_cut() -> None:
    """A request cut short is malformed."""
    der = CertificateRequest.create("www.example.com", key=KEY).to_der()
    for end in range(0, len(der), 11):
        with pytest.raises(MalformedDataError):
            CertificateRequest.from_bytes(der[:end])


def test_the_answer_meets_its_key() -> None:
    """What comes back from the authority is joined with the key; another certificate is not."""
    made = CertificateRequest.create("www.example.com", key=KEY)
    ca = make("CA", key=shared_key(1), authority=True)
    answer = Certificate.from_der(make("www.example.com", key=KEY, issuer=ca).der)
    other = Certificate.from_der(make("www.example.com", key=shared_key(8), issuer=ca).der)
    assert made.matches(answer)
    assert made.complete(answer).has_private_key
    assert not made.matches(other)
    with pytest.raises(InvalidInputError):
        made.complete(other)
    with pytest.raises(InvalidInputError, match="no private key"):
        CertificateRequest.from_bytes(made.to_pem()).complete(answer)


def test_renewal_asks_for_the_same() -> None:
    """Names, common name and key type of the certificate in use; a new key."""
    old = Certificate.from_der(make("www.example.com", "10.0.0.5", key=KEY).der)
    made = CertificateRequest.for_renewal(old)
    assert made.names == ("www.example.com", "10.0.0.5")
    assert made.subject == "CN=www.example.com"
    assert made.key_type == "ec-p256"
    assert not made.matches(old)
    nameless = Certificate.from_der(make("CA", key=KEY, authority=True).der)
    with pytest.raises(InvalidInputError, match="names no host"):
        CertificateRequest.for_renewal(nameless)


def test_a_template_for_ad_certificate_services() -> None:
    """The extension that certreq writes too: a BMPString."""
    made = CertificateRequest.create("www.example.com", key=KEY, template="WebServer")
    oid = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2")
    value = made.to_cryptography().extensions.get_extension_for_oid(oid).value
    assert isinstance(value, x509.UnrecognizedExtension)
    assert value.value == b"\x1e\x12" + "WebServer".encode("utf-16-be")
    with pytest.raises(InvalidInputError, match="template"):
        CertificateRequest.create("www.example.com", key=KEY, template="")


def _foreign(
    *extensions: x509.ExtensionType,
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey = KEY,
    subject: str = "CN=www.example.com",
) -> CertificateRequest:
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name.from_rfc4514_string(subject))
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return CertificateRequest(builder.sign(key, algorithm))


def test_a_request_by_common_name_alone() -> None:
    """Old tools know no subjectAltName: the name is taken over, when it is one."""
    honoured = _foreign().honoured_by(RequestPolicy())
    assert honoured.names == (x509.DNSName("www.example.com"),)
    assert honoured.ignored == ()
    with pytest.raises(InvalidInputError, match="names no host"):
        _foreign(subject="CN=My fine server").honoured_by(RequestPolicy())
    with pytest.raises(InvalidInputError, match="names no host"):
        _foreign(subject="O=Example").honoured_by(RequestPolicy())


def test_what_is_ignored_or_refused() -> None:
    """Key and names are honoured; more is ignored and said, or refuses the request, as the policy wills."""
    wide = _foreign(
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CODE_SIGNING]),
        x509.TLSFeature([x509.TLSFeatureType.status_request]),
        subject="CN=www.example.com,O=Example",
    )
    assert len(wide.honoured_by(RequestPolicy()).ignored) == 3
    with pytest.raises(InvalidInputError, match=r"1\.3\.6\.1\.5\.5\.7\.3\.3"):
        wide.honoured_by(RequestPolicy(other_requests="refuse"))
    plain = CertificateRequest.create("www.example.com", key=KEY)
    assert plain.honoured_by(RequestPolicy(other_requests="refuse")).ignored == ()


@pytest.mark.parametrize("common", ["Alice Example", "other.example", "*.example.com"])
def test_a_common_name_beside_the_names_is_not_dropped_in_silence(common: str) -> None:
    """The certificate has the first name in its place, as clients look at the names alone."""
    names = x509.SubjectAlternativeName([x509.DNSName("www.example.com"), x509.DNSName("b.example.com")])
    asked = _foreign(names, subject=f"CN={common}")
    assert asked.honoured_by(RequestPolicy()).ignored == (f"the subject field CN={common}",)
    with pytest.raises(InvalidInputError, match="what this policy does not give: the subject field CN="):
        asked.honoured_by(RequestPolicy(other_requests="refuse"))
    for named in ("B.Example.com", "www.example.com."):
        assert _foreign(names, subject=f"CN={named}").honoured_by(RequestPolicy()).ignored == ()


def _authority_usage() -> x509.KeyUsage:
    return x509.KeyUsage(True, False, False, False, False, True, False, False, False)


@pytest.mark.parametrize(
    ("extension", "words"),
    [
        (x509.BasicConstraints(ca=True, path_length=None), "authority"),
        (_authority_usage(), "keyCertSign"),
        (x509.SubjectAlternativeName([x509.RFC822Name("a@example.com")]), "email"),
    ],
)
def test_what_is_always_refused(extension: x509.ExtensionType, words: str) -> None:
    """Nobody becomes an authority by asking, and a server's names are hosts."""
    with pytest.raises(InvalidInputError, match=words):
        _foreign(extension).honoured_by(RequestPolicy())


def test_wildcards_as_the_policy_wills() -> None:
    """Allowed unless said."""
    made = CertificateRequest.create("*.example.com", key=KEY)
    assert made.honoured_by(RequestPolicy()).names == (x509.DNSName("*.example.com"),)
    with pytest.raises(InvalidInputError, match="wildcard"):
        made.honoured_by(RequestPolicy(wildcards=False))


def test_keys_that_are_too_weak_or_unknown() -> None:
    """Short RSA, other curves, Ed25519."""
    weak = rsa.generate_private_key(65537, 1024)
    curve = ec.derive_private_key(99, ec.SECP256K1())
    for key, words in ((weak, "rsa-1024"), (curve, "secp256k1"), (ed25519.Ed25519PrivateKey.generate(), "ed25519")):
        with pytest.raises(InvalidInputError, match=words):
            _foreign(key=key).honoured_by(RequestPolicy())
    with pytest.raises(InvalidInputError, match="minimum_rsa_bits"):
        RequestPolicy(minimum_rsa_bits=1024)


def test_bad_arguments() -> None:
    """No name, no request, no key, a wrong type."""
    with pytest.raises(InvalidInputError, match="at least one name"):
        CertificateRequest.create()
    with pytest.raises(InvalidInputError, match="load reads a file"):
        CertificateRequest("www.csr")  # type: ignore[arg-type]
    made = CertificateRequest.from_bytes(CertificateRequest.create("www.example.com", key=KEY).to_pem())
    with pytest.raises(InvalidInputError, match="no private key"):
        made.save_key("x.key")


def test_it_is_immutable_and_keeps_its_key() -> None:
    """No attribute can be set, it is not pickled, and the key is in no repr."""
    made = CertificateRequest.create("www.example.com", key=KEY)
    with pytest.raises(AttributeError):
        made.names = ()  # type: ignore[misc]
    with pytest.raises(AttributeError, match="deleted"):
        del made._key
    with pytest.raises(InvalidInputError, match="pickled"):
        pickle.dumps(made)
    pem = KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    assert pem.decode()[30:60] not in repr(made)
    assert repr(made) == "<CertificateRequest 'www.example.com', ec-p256>"
    assert made == CertificateRequest.from_bytes(made.to_pem())
    assert hash(made) == hash(CertificateRequest.from_bytes(made.to_der()))


def test_the_subject_oid_is_the_common_name() -> None:
    """A guard for the fixture above."""
    assert _foreign().to_cryptography().subject.get_attributes_for_oid(NameOID.COMMON_NAME)


def test_a_renewal_says_which_kind_of_key_is_not_made() -> None:
    """A new key of the old one's kind cannot be had; who renews chooses another."""
    key = ec.derive_private_key(99, ec.SECP521R1())
    old = CertificateAuthority.create("Large", key=KEY).issue("www.example.com", key=key)
    with pytest.raises(InvalidInputError, match=r"the old key is ec-p521, and none .* choose with key one of rsa-2048"):
        CertificateRequest.for_renewal(old)
    assert CertificateRequest.for_renewal(old, key="ec-p384").key_type == "ec-p384"
