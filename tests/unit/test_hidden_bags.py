"""What an encrypted part of a PFX holds besides its certificates: OpenSSL's reading must find what our own finds."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, x25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from made_certificates import make, shared_key
from mlsssl._formats import der, identifiers
from mlsssl._formats.budget import WorkBudget
from mlsssl._formats.choice import choose
from mlsssl._formats.keys import spki
from mlsssl._formats.pkcs12 import read
from mlsssl._formats.pkcs12.encryption import Encryption, KeyDerivation, write_encryption, write_mac
from mlsssl._formats.pkcs12.structure import (
    _contents,
    certificates_alone,
    encrypted_part,
    load_outside,
    open_part,
    read_structure,
)
from mlsssl._formats.pkcs12.write import serialize_pfx
from mlsssl.certificate import certificates_in
from mlsssl.errors import MlssslError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = make("Root", key=shared_key(1), authority=True)
LEAF = make("www.example.com", key=shared_key(2), issuer=ROOT)
SERVER = make("other.example.com", key=shared_key(3), issuer=ROOT)
ED25519 = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY_ID = bytes(range(20))
KDF = KeyDerivation(kind="PKCS12", hash_name="SHA-1", salt=b"12345678", iterations=10)
ENCRYPTION = Encryption(scheme="PBES1", cipher="3DES-CBC", kdf=KDF)


def _pkcs8(key: Any) -> bytes:
    encoded: bytes = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return encoded


def _tiny() -> x509.Certificate:
    """One of 174 bytes: the headers of its bag are shorter than those of any that programs make."""
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([]))
        .public_key(ED25519.public_key())
        .serial_number(1)
        .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc))
        .not_valid_after(dt.datetime(2040, 1, 1, tzinfo=dt.timezone.utc))
        .sign(ED25519, None)
    )


def _bag(identifier: str, value: bytes, *attributes: bytes) -> bytes:
    written = [der.write(der.SET, *attributes)] if attributes else []
    return der.write_sequence(der.write_oid(identifier), der.write(der.EXPLICIT_0, value), *written)


def _certificate(certificate: x509.Certificate, *attributes: bytes) -> bytes:
    octets = der.write(der.OCTET_STRING, certificate.public_bytes(Encoding.DER))
    value = der.write_sequence(der.write_oid(identifiers.X509_CERTIFICATE), der.write(der.EXPLICIT_0, octets))
    return _bag(identifiers.CERTIFICATE_BAG, value, *attributes)


def _key(pkcs8: bytes, *attributes: bytes) -> bytes:
    return _bag(identifiers.KEY_BAG, pkcs8, *attributes)


def _sealed(pkcs8: bytes, *, rounds: int = 10) -> bytes:
    """An encrypted key that says how many rounds its password takes."""
    kdf = KeyDerivation(kind="PKCS12", hash_name="SHA-1", salt=b"12345678", iterations=rounds)
    algorithm = write_encryption(Encryption(scheme="PBES1", cipher="3DES-CBC", kdf=kdf))
    octets = der.write(der.OCTET_STRING, ENCRYPTION.encrypt(pkcs8, "secret"))
    return _bag(identifiers.ENCRYPTED_KEY_BAG, der.write_sequence(algorithm, octets))


def _other(identifier: str) -> bytes:
    """A bag that is neither certificate nor key."""
    value = der.write_sequence(der.write_oid("1.2.3.4"), der.write(der.EXPLICIT_0, der.write(der.OCTET_STRING, b"x")))
    return _bag(identifier, value)


def _nested(*bags: bytes) -> bytes:
    return _bag(identifiers.SAFE_CONTENTS_BAG, der.write_sequence(*bags))


def _attribute(identifier: str, value: bytes) -> bytes:
    return der.write_sequence(der.write_oid(identifier), der.write(der.SET, value))


def _name(text: str) -> bytes:
    encoded = text.encode("utf-16-be", "surrogatepass")
    return _attribute(identifiers.FRIENDLY_NAME, der.write(der.BMP_STRING, encoded))


def _key_id(octets: bytes = KEY_ID) -> bytes:
    return _attribute(identifiers.LOCAL_KEY_ID, der.write(der.OCTET_STRING, octets))


def _small_key(identifiers_of_key: Sequence[str], private: bytes) -> bytes:
    algorithm = der.write_sequence(*map(der.write_oid, identifiers_of_key))
    return der.write_sequence(der.write_number(0), algorithm, der.write(der.OCTET_STRING, private))


# A scalar of one byte; OpenSSL loads it.
SHORT_P256 = _small_key(
    ("1.2.840.10045.2.1", "1.2.840.10045.3.1.7"),
    der.write_sequence(der.write_number(1), der.write(der.OCTET_STRING, b"\1")),
)
_NUMBERS = der.write_sequence(*map(der.write_number, (23, 11, 4)))
# The smallest key that OpenSSL loads from a PFX: DSA with numbers of one byte.
SHORT_DSA = der.write_sequence(
    der.write_number(0),
    der.write_sequence(der.write_oid("1.2.840.10040.4.1"), _NUMBERS),
    der.write(der.OCTET_STRING, der.write_number(3)),
)


def _pfx(bags: Sequence[bytes], *, key: bytes | None = None, key_first: bool = True) -> bytes:
    """These bags in an encrypted part, beside one with a key in sight."""
    key = _key(LEAF.pkcs8, _key_id()) if key is None else key
    encrypted = ENCRYPTION.encrypt(der.write_sequence(*bags), "secret")
    parts = [open_part(der.write_sequence(key)), encrypted_part(write_encryption(ENCRYPTION), encrypted)]
    authenticated = der.write_sequence(*(parts if key_first else parts[::-1]))
    mac = write_mac(KDF, authenticated, "secret")
    return der.write_sequence(der.write_number(3), open_part(authenticated), mac)


def _slowly(data: bytes) -> read.Held:
    structure, budget = read_structure(data), WorkBudget()
    return read.holdings(structure, read.open_safes(structure, "secret", budget), "secret", budget)


def _quickly(data: bytes) -> read.Held:
    return read.load_held(data, "secret", WorkBudget())


def _outcome(load: Callable[[bytes], read.Held], data: bytes) -> object:
    try:
        certificates, keys, unread = load(data)
        chosen = choose(certificates, keys, unread=unread)
    except MlssslError as error:
        return type(error), str(error)
    held = sorted((one.certificate.public_bytes(Encoding.DER), one.name or "") for one in certificates)
    own = chosen.private_key and spki(chosen.private_key.public_key())
    all_keys = [(spki(one.key.public_key()), one.name, one.key_id) for one in keys]
    return held, all_keys, own, chosen.certificate, chosen.others, chosen.friendly_name, chosen.left_out


LEAF_BAG = _certificate(LEAF.certificate, _key_id())
ROOT_BAG = _certificate(ROOT.certificate)
HIDDEN: dict[str, list[bytes]] = {
    "nothing": [LEAF_BAG, ROOT_BAG],
    "a key, last": [LEAF_BAG, ROOT_BAG, _key(SERVER.pkcs8)],
    "a key, first": [_key(SERVER.pkcs8), LEAF_BAG, ROOT_BAG],
    "a sealed key": [LEAF_BAG, _sealed(SERVER.pkcs8), ROOT_BAG],
    "a key with its certificate": [LEAF_BAG, _certificate(SERVER.certificate), _key(SERVER.pkcs8)],
    "Ed25519": [LEAF_BAG, _key(_pkcs8(ED25519))],
    "X25519": [LEAF_BAG, _key(_pkcs8(x25519.X25519PrivateKey.from_private_bytes(bytes(range(32)))))],
    "P-192": [LEAF_BAG, _key(_pkcs8(ec.derive_private_key(7, ec.SECP192R1())))],
    "a scalar of one byte": [LEAF_BAG, _key(SHORT_P256)],
    "a scalar of one byte in place of the localKeyID": [_certificate(LEAF.certificate), _key(SHORT_P256)],
    "DSA in place of the localKeyID": [_certificate(LEAF.certificate), _key(SHORT_DSA)],
    "a key among twenty tiny certificates": [_certificate(_tiny())] * 20 + [_key(_pkcs8(ED25519))],
    "a key under half surrogate pairs": [_certificate(LEAF.certificate, _name("\ud83d" * 40)), _key(_pkcs8(ED25519))],
    "a secret": [LEAF_BAG, _other(identifiers.SECRET_BAG)],
    "a revocation list": [LEAF_BAG, _other(identifiers.REVOCATION_LIST_BAG)],
    "a bag of an unknown kind": [LEAF_BAG, _other("1.2.3.4.5")],
    "a nested key": [LEAF_BAG, _nested(_key(SERVER.pkcs8))],
    "a nested certificate": [_nested(LEAF_BAG), ROOT_BAG],
    "no certificate": [_key(SERVER.pkcs8)],
    "nothing at all": [],
    "certificates twice": [LEAF_BAG, ROOT_BAG, LEAF_BAG],
    "no localKeyID": [_certificate(LEAF.certificate), ROOT_BAG],
    "the localKeyID at another": [_certificate(LEAF.certificate), _certificate(ROOT.certificate, _key_id())],
    "another localKeyID": [_certificate(LEAF.certificate, _key_id(bytes(32))), ROOT_BAG],
    "a name": [_certificate(LEAF.certificate, _name("wéb"), _key_id()), ROOT_BAG],
    "a name of each": [_certificate(LEAF.certificate, _name("web")), _certificate(ROOT.certificate, _name("root"))],
    "a long name": [_certificate(LEAF.certificate, _name("n" * 900), _key_id()), ROOT_BAG],
    "an empty name": [_certificate(LEAF.certificate, _name(""), _key_id())],
    "two names": [_certificate(LEAF.certificate, _name("one"), _name("two"))],
    "a name outside the BMP": [_certificate(LEAF.certificate, _name("😀"))],
    "a name that ends in NUL": [_certificate(LEAF.certificate, _name("web\0"), _key_id())],
    "a name that is half a surrogate pair": [_certificate(LEAF.certificate, _name("\ud83d"))],
}


@pytest.mark.parametrize("key_first", [True, False])
@pytest.mark.parametrize("case", list(HIDDEN))
def test_openssls_reading_finds_what_ours_finds(case: str, *, key_first: bool) -> None:
    """Whatever lies in an encrypted part, and whichever way the file is read."""
    data = _pfx(HIDDEN[case], key_first=key_first)
    assert _outcome(_quickly, data) == _outcome(_slowly, data)


@pytest.mark.parametrize("key_first", [True, False])
def test_a_key_that_openssl_is_not_given_hides_no_other(monkeypatch: pytest.MonkeyPatch, *, key_first: bool) -> None:
    """As one of RSA, which would be proven: parts are looked at by the same rule, behind a key of ours."""
    monkeypatch.setattr(read, "is_small_alone", lambda *_: False)
    for bags in HIDDEN.values():
        data = _pfx(bags, key_first=key_first)
        assert _outcome(_quickly, data) == _outcome(_slowly, data)


@pytest.mark.parametrize("name", ["P-256", "DSA", "Ed25519"])
def test_a_small_hidden_key_shows_at_every_padding(name: str) -> None:
    """Sizes of a part around those that it may have, with and without what may stand where the key does."""
    pkcs8 = {"P-256": SHORT_P256, "DSA": SHORT_DSA, "Ed25519": _pkcs8(ED25519)}[name]
    for attributes in ((), (_key_id(),)):
        for size in range(8):
            part = read_structure(_pfx([_certificate(LEAF.certificate, _name("n" * size), *attributes), _key(pkcs8)]))
            loaded = load_outside(part.safes[1], "secret", WorkBudget())
            assert loaded is not None
            assert certificates_alone(part.safes[1], loaded, KEY_ID) is None


def test_no_key_fits_where_a_localkeyid_may_be() -> None:
    """The smallest that OpenSSL loads against the most that the size of a part leaves open."""
    room = 0
    for certificate in range(100, 700):
        for names in ((), *((size,) for size in range(0, 300, 2))):
            with_key_id, without = _contents([(certificate, *names)], KEY_ID)
            room = max(room, with_key_id - without + 7)
    assert room < min(len(_key(SHORT_DSA)), len(_key(SHORT_P256)))
    assert len(list(_contents([(600,)], KEY_ID + b"\0"))) == 1  # a longer one would leave more


def test_which_of_two_certificates_is_the_keys() -> None:
    """Of two for one key, that begin and end together, the localKeyID decides, which OpenSSL does not tell."""
    second = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "second.example.com")]))
        .issuer_name(ROOT.certificate.subject)
        .public_key(LEAF.key.public_key())
        .serial_number(77)
        .not_valid_before(LEAF.certificate.not_valid_before_utc)
        .not_valid_after(LEAF.certificate.not_valid_after_utc)
        .sign(ROOT.key, LEAF.certificate.signature_hash_algorithm)  # type: ignore[arg-type]
    )
    for key_first in (True, False):
        data = _pfx([_certificate(LEAF.certificate), _certificate(second, _key_id())], key_first=key_first)
        assert _outcome(_quickly, data) == _outcome(_slowly, data)
        certificates, keys, _ = _quickly(data)
        assert choose(certificates, keys).certificate == second


@pytest.mark.parametrize("key_first", [True, False])
def test_a_certificate_that_cryptography_refuses(*, key_first: bool) -> None:
    """Latin-1 in a UTF8String is read by ours only, so also beside a small key."""
    odd = _certificate(LEAF.certificate, _key_id()).replace(b"www.example.com", b"www.\xffxample.com")
    data = _pfx([odd, ROOT_BAG], key_first=key_first)
    assert _outcome(_quickly, data) == _outcome(_slowly, data)
    certificates, _, _ = _quickly(data)
    assert certificates[0].certificate.subject.rfc4514_string() == "CN=www.\xffxample.com"


@pytest.mark.parametrize("key_first", [True, False])
@pytest.mark.parametrize("place", ["first", "last", "nested"])
def test_endless_rounds_of_a_hidden_key_are_never_begun(place: str, *, key_first: bool) -> None:
    """OpenSSL would take minutes for them, and nothing ends its call: so it is not given a file that may hide one."""
    endless = _sealed(_pkcs8(ED25519), rounds=2**31 - 1)
    bags = {"first": [endless, LEAF_BAG], "last": [LEAF_BAG, endless], "nested": [_nested(endless), LEAF_BAG]}[place]
    began = time.process_time()
    assert "costs too much work" in str(_outcome(_quickly, _pfx(bags, key_first=key_first)))
    assert time.process_time() - began < 2


@pytest.mark.parametrize("provider", [None, "Microsoft Software Key Storage Provider"])
@pytest.mark.parametrize("name", [None, "web", "wéb", "n" * 300])
def test_what_programs_write_is_read_by_openssl(
    monkeypatch: pytest.MonkeyPatch, name: str | None, provider: str | None
) -> None:
    """Certificates first, as `cryptography` and OpenSSL have it, and the key first, as Windows has it."""
    data = serialize_pfx(
        LEAF.key, LEAF.certificate, [ROOT.certificate], "secret", friendly_name=name, provider=provider
    )
    slowly = _outcome(_slowly, data)
    monkeypatch.setattr("mlsssl._formats.pkcs12.encryption.pkcs12_kdf", None)
    assert _outcome(_quickly, data) == slowly


@pytest.mark.parametrize("key_id", [b"\1\0\0\0", b"Time 1700000000000", KEY_ID])
def test_the_localkeyids_that_programs_write(monkeypatch: pytest.MonkeyPatch, key_id: bytes) -> None:
    """Windows, Java and OpenSSL; at the key's certificate alone, wherever that stands."""
    own = _certificate(LEAF.certificate, _name("web"), _key_id(key_id))
    for bags in ([own, ROOT_BAG], [ROOT_BAG, own]):
        data = _pfx(bags, key=_key(LEAF.pkcs8, _key_id(key_id)))
        slowly = _outcome(_slowly, data)
        with monkeypatch.context() as patch:
            patch.setattr("mlsssl._formats.pkcs12.encryption.pkcs12_kdf", None)
            assert _outcome(_quickly, data) == slowly


@pytest.mark.parametrize("key_first", [True, False])
def test_all_certificates_are_given_in_the_order_of_the_file(key_first: bool) -> None:
    """OpenSSL tells the certificate of a key apart from the others, and not where it stood."""
    data = _pfx([ROOT_BAG, LEAF_BAG], key_first=key_first)
    assert [one.common_name for one in certificates_in(data, "secret")] == ["Root", "www.example.com"]
