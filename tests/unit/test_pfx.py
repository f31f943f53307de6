"""PFX in and out, its explanation, and the odd files of the real world."""

from __future__ import annotations

import base64
import itertools
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, x25519
from cryptography.hazmat.primitives.serialization import pkcs12

from made_certificates import make, shared_key
from mlsssl import Certificate
from mlsssl._formats import der, identifiers
from mlsssl._formats.keys import private_key_der
from mlsssl._formats.pkcs7 import serialize_pkcs7
from mlsssl._formats.pkcs12.encryption import Encryption, KeyDerivation, write_encryption
from mlsssl._formats.pkcs12.explain import explain_pfx
from mlsssl._formats.pkcs12.read import load_pfx
from mlsssl._formats.pkcs12.structure import encrypted_part, open_part, read_structure
from mlsssl._formats.pkcs12.targets import TARGETS
from mlsssl._formats.pkcs12.write import serialize_pfx
from mlsssl.bundles import java_trust_store
from mlsssl.errors import (
    InvalidInputError,
    MalformedDataError,
    NotFoundError,
    UnreadableCertificateError,
    WrongPasswordError,
)
from pfx_material import ber, load_pfx_entries, parts_of, rebuild, safe_contents

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

ROOT = make("Root", key=shared_key(1), authority=True)
LEAF = make("www.example.com", key=shared_key(2), issuer=ROOT)
OTHER = make("other.example.com", key=shared_key(3), issuer=ROOT)
MIDDLE = make("Intermediate", key=shared_key(4), issuer=ROOT, authority=True)

PASSWORDS = ["secret", "pässwörd", "пароль", "密码", "smile😀", " ", "a" * 500]


def _encrypted(
    algorithm: pkcs12.PBES = pkcs12.PBES.PBESv2SHA256AndAES256CBC, password: str = "secret", rounds: int = 1000
) -> bytes:
    """As cryptography writes it: certificates first, so that our own decryption reads it."""
    encryption = (
        serialization.PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(rounds)
        .key_cert_algorithm(algorithm)
        .hmac_hash(hashes.SHA256())
        .build(password.encode())
    )
    return pkcs12.serialize_key_and_certificates(b"web", LEAF.key, LEAF.certificate, [ROOT.certificate], encryption)


@pytest.mark.parametrize("readable_by", [None, "windows-server-2022"])
@pytest.mark.parametrize("password", [None, *PASSWORDS])
def test_what_is_written_is_read(password: str | None, readable_by: str | None) -> None:
    """Key, certificate, chain in order and name come back, and the wrong password does not open it."""
    data = serialize_pfx(
        LEAF.key,
        LEAF.certificate,
        [MIDDLE.certificate, ROOT.certificate],
        password,
        friendly_name="Wéb 😀",
        readable_by=readable_by,
        iterations=100,
    )
    loaded = load_pfx(data, password)
    assert loaded.private_key is not None
    assert loaded.private_key.public_key() == LEAF.key.public_key()
    assert loaded.certificate == LEAF.certificate
    assert loaded.others == (MIDDLE.certificate, ROOT.certificate)
    assert loaded.friendly_name == "Wéb 😀"
    with pytest.raises(WrongPasswordError):
        load_pfx(data, "not it")


def test_openssls_reading_and_ours_agree() -> None:
    """The quick way through OpenSSL and our own decryption give the same, also in the order of certificates."""
    chain = [OTHER.certificate, ROOT.certificate]
    data = serialize_pfx(LEAF.key, LEAF.certificate, chain, "secret", friendly_name="web", iterations=10)
    quick, (own,) = load_pfx(data, "secret"), load_pfx_entries(data, "secret")
    assert (quick.certificate, quick.others, quick.friendly_name) == (
        own.certificate,
        own.others,
        own.friendly_name,
    )


@pytest.mark.parametrize("algorithm", list(pkcs12.PBES))
def test_cryptographys_files_are_read(algorithm: pkcs12.PBES) -> None:
    """Each cipher that cryptography offers, by OpenSSL and by our own hand, with its twin of a wrong password."""
    data = _encrypted(algorithm, "pässwörd")
    for loaded in (load_pfx(data, "pässwörd"), *load_pfx_entries(data, "pässwörd")):
        assert loaded.certificate == LEAF.certificate
        assert loaded.others == (ROOT.certificate,)
        assert loaded.friendly_name == "web"
    for wrong in ("passwort", "", None):
        with pytest.raises(WrongPasswordError):
            load_pfx(data, wrong)


def test_cryptography_reads_ours() -> None:
    """For every target."""
    for name in TARGETS:
        data = serialize_pfx(LEAF.key, LEAF.certificate, [ROOT.certificate], "secret", readable_by=name, iterations=10)
        loaded = pkcs12.load_pkcs12(data, b"secret")
        assert loaded.cert is not None
        assert loaded.cert.certificate == LEAF.certificate


def test_damage_is_told_from_a_wrong_password() -> None:
    """With the right password a changed byte is damage, with a wrong one the password is named."""
    data = bytearray(_encrypted())
    mac_at = data.rindex(_digest_of(bytes(data)))
    data[mac_at] ^= 1
    with pytest.raises(MalformedDataError, match="damaged") as caught:
        load_pfx(bytes(data), "secret")
    assert not isinstance(caught.value, WrongPasswordError)
    with pytest.raises(WrongPasswordError):
        load_pfx(bytes(data), "wrong")


def _digest_of(data: bytes) -> bytes:
    mac = read_structure(data).mac
    assert mac is not None
    return mac.digest


@pytest.mark.parametrize("data", [b"", b"\x30", b"0\x80", b"not a pfx", b"\x30\x03\x02\x01\x03", b"\0" * 1000])
def test_other_bytes_are_malformed(data: bytes) -> None:
    """Whatever is no PFX says so."""
    for call in (load_pfx, explain_pfx):
        with pytest.raises(MalformedDataError, match="PFX"):
            call(data, "secret")


def test_every_cut_is_malformed() -> None:
    """A file cut short is damaged, not wrongly opened."""
    data = _encrypted()
    for end in range(0, len(data), 37):
        with pytest.raises(MalformedDataError) as caught:
            load_pfx(data[:end], "secret")
        assert not isinstance(caught.value, WrongPasswordError)
    with pytest.raises(MalformedDataError):
        load_pfx(data + b"\0", "secret")


def test_indefinite_lengths_are_read() -> None:
    """BER, as some exporters write it and RFC 7292 allows; twins with another password."""
    for source in (_encrypted(), serialize_pfx(LEAF.key, LEAF.certificate, [], "secret", iterations=10)):
        data = ber(source)
        assert data != source
        assert load_pfx(data, "secret").certificate == LEAF.certificate
        with pytest.raises(WrongPasswordError):
            load_pfx(data, "wrong")


def test_no_mac() -> None:
    """A file without a MAC is read; a wrong password is still a wrong password, and the explanation says so."""
    for source in (_encrypted(), serialize_pfx(LEAF.key, LEAF.certificate, [], "secret", iterations=10)):
        data = rebuild(source, mac=False)
        assert load_pfx(data, "secret").certificate == LEAF.certificate
        with pytest.raises(WrongPasswordError):
            load_pfx(data, "wrong")
        assert any("no MAC" in finding for finding in explain_pfx(data, "secret").findings)


def test_empty_and_absent_password() -> None:
    """Both spellings of no password open a file made with either."""
    for encoded in (b"", b"\0\0"):
        data = _with_empty_password(encoded)
        assert load_pfx(data, None).certificate == LEAF.certificate
        assert load_pfx(data, "").certificate == LEAF.certificate
        assert explain_pfx(data).findings[0] == "its password is empty"
        with pytest.raises(WrongPasswordError):
            load_pfx(data, "x")


def _with_empty_password(encoded: bytes) -> bytes:
    kdf = KeyDerivation(kind="PKCS12", hash_name="SHA-1", salt=b"12345678", iterations=10)
    encryption = Encryption(scheme="PBES1", cipher="3DES-CBC", kdf=kdf)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mlsssl._formats.pkcs12.encryption.pkcs12_passwords", lambda _: [encoded])
        plain = safe_contents(serialize_pfx(LEAF.key, LEAF.certificate, [], None, iterations=10))
        return rebuild(plain, encryption=encryption, password="", kdf=kdf)


@pytest.mark.parametrize("readable_by", [None, "java-17"])
def test_a_pfx_without_a_password_is_written_when_asked_for(tmp_path: Path, readable_by: str | None) -> None:
    """In so many words, and never together with a password; what is written is encrypted with the empty one."""
    certificate = Certificate(LEAF.certificate, private_key=LEAF.key, chain=[ROOT.certificate])
    data = certificate.to_pfx(None, no_password=True, readable_by=readable_by)
    assert LEAF.pkcs8 not in data
    for password in (None, ""):
        loaded = Certificate.from_pfx(data, password)
        assert (loaded, loaded.has_private_key, loaded.chain) == (certificate, True, certificate.chain)
    assert pkcs12.load_pkcs12(data, b"").cert is not None
    with pytest.raises(WrongPasswordError):
        Certificate.from_pfx(data, "secret")
    for name in ("x.pfx", "x.p12", "x.pem", "x.key"):
        file = certificate.save(tmp_path / name, no_password=True, readable_by=readable_by)
        assert file.stat().st_size
    assert Certificate.load(tmp_path / "x.pfx").has_private_key
    for call in (
        lambda: certificate.to_pfx(None),
        lambda: certificate.to_pfx(""),
        lambda: certificate.to_pfx("secret", no_password=True),
        lambda: certificate.to_pfx("", no_password=True),
        lambda: certificate.save(tmp_path / "y.pfx"),
        lambda: certificate.save(tmp_path / "y.pfx", password="secret", no_password=True),
        lambda: certificate.save(tmp_path / "y.pem", password="secret", no_password=True),
        lambda: certificate.save(tmp_path / "y.crt", no_password=True),
        lambda: certificate.without_key().to_pfx(""),
    ):
        with pytest.raises(InvalidInputError, match="password"):
            call()
    assert not list(tmp_path.glob("y.*"))


def test_an_encrypted_key_without_a_mac_and_encrypted_certificates() -> None:
    """Java 18 writes such files; nothing proves a password, so nothing but the password is spoken of."""
    key = serialize_pfx(LEAF.key, None, [], "secret", iterations=10)
    data = rebuild(serialize_pfx(None, LEAF.certificate, [], None), extra=key, mac=False)
    assert load_pfx(data, "secret").private_key is not None
    for password, words in (
        (None, "is encrypted, and no password was given"),
        ("", "the password that was given is empty"),
        *(
            (f"wrong {number}", "does not open the private key in the PFX, or the PFX is damaged")
            for number in range(300)
        ),
    ):
        with pytest.raises(WrongPasswordError, match=words):
            load_pfx(data, password)
    whole = rebuild(serialize_pfx(LEAF.key, LEAF.certificate, [], "secret", iterations=10), mac=False)
    with pytest.raises(WrongPasswordError, match="the PFX is encrypted, and no password was given"):
        load_pfx(whole, None)
    with pytest.raises(WrongPasswordError, match="protected by a password, and the one that was given is empty"):
        load_pfx(serialize_pfx(LEAF.key, LEAF.certificate, [], "secret", iterations=10), "")


@pytest.mark.parametrize("password", ["pässwörd", "пароль", "tab\there", "delete\x7f"])
def test_java_takes_printable_ascii_only(password: str) -> None:
    """Refused on writing without showing it, and told by the explanation; other readers take it."""
    certificate = Certificate(LEAF.certificate, private_key=LEAF.key)
    for target in ("java-8", "java-11", "java-17", "java-21"):
        with pytest.raises(InvalidInputError, match="ASCII") as caught:
            certificate.to_pfx(password, readable_by=target)
        assert password not in str(caught.value)
        assert certificate.to_pfx("plain ~!", readable_by=target)
    data = certificate.to_pfx(password, readable_by="openssl-3")
    explained = explain_pfx(data, password)
    assert (explained.readable_by("java-17"), explained.readable_by("openssl-3")) == (False, True)
    assert "a password outside ASCII" in str(explained)
    assert explain_pfx(data, "wrong").readable_by("java-17") is True  # of a password that nobody has told
    with pytest.raises(InvalidInputError, match="ASCII"):
        java_trust_store([Certificate(ROOT.certificate)], password)


@pytest.mark.parametrize("number", [1, 2, 40])
@pytest.mark.parametrize("form", ["der", "ber"])
def test_bytes_behind_the_end_are_counted(number: int, form: str) -> None:
    """As where a shorter file was written over a longer one."""
    data = _encrypted()
    data = ber(data) if form == "ber" else data
    explained = explain_pfx(data + b"\x01" * number, "secret")
    assert explained.size == len(data)
    assert f"{number} byte{'s stand' if number > 1 else ' stands'} behind its end" in explained.findings[0]
    with pytest.raises(MalformedDataError, match=f"{number} byte.* behind the end of the PFX"):
        Certificate.from_pfx(data + b"\x01" * number, "secret")
    assert not any("behind" in finding for finding in explain_pfx(data, "secret").findings)


def test_what_is_no_pfx_is_named() -> None:
    """And what is wrapped around one."""
    for data, words in (
        (LEAF.der, "no PFX but a certificate"),
        (LEAF.pem + ROOT.pem, "no PFX but 2 certificates"),
        (serialize_pkcs7([LEAF.certificate]), "no PFX but a PKCS#7 file"),
        (LEAF.pkcs8, "no PFX but a private key"),
        (b"\xfe\xed\xfe\xed\0\0\0\2", "no PFX: this is a Java keystore"),
        (b"", "no PFX: the file is empty"),
    ):
        with pytest.raises(MalformedDataError, match=words):
            explain_pfx(data)
    wrapped = explain_pfx(base64.encodebytes(_encrypted()), "secret")
    assert (wrapped.size, wrapped.password) == (len(_encrypted()), "right")
    assert "wrapped in base64" in wrapped.findings[0]


def test_an_explanation_of_one_alias() -> None:
    """Of several keys, whose to tell."""
    data = _two_keys()
    assert explain_pfx(data, "secret", alias="two").certificates[0] == "CN=other.example.com"
    assert explain_pfx(data, "secret", alias="one").certificates[0] == "CN=www.example.com"
    with pytest.raises(NotFoundError, match="'three'"):
        explain_pfx(data, "secret", alias="three")


def test_two_passwords() -> None:
    """`openssl pkcs12 -twopass`: one for the MAC, one inside; the message says so."""
    data = rebuild(serialize_pfx(LEAF.key, LEAF.certificate, [], "inner", iterations=10), password="outer")
    with pytest.raises(WrongPasswordError, match="second password"):
        load_pfx(data, "outer")
    with pytest.raises(MalformedDataError, match="MAC does not fit"):
        load_pfx(data, "inner")
    with pytest.raises(WrongPasswordError, match="does not open"):
        load_pfx(data, "neither")


def test_a_key_with_a_password_of_its_own() -> None:
    """Java allows it: the store opens, the key does not, and the message says which."""
    inner = serialize_pfx(LEAF.key, None, [], "inner", iterations=10)
    outer = serialize_pfx(None, LEAF.certificate, [ROOT.certificate], "outer", iterations=10)
    data = rebuild(outer, extra=inner, password="outer")
    with pytest.raises(WrongPasswordError, match="password of its own"):
        load_pfx(data, "outer")


def test_a_certificate_whose_name_cannot_be_read() -> None:
    """Latin-1 in a UTF8String, which `cryptography` refuses, is read as what it is, whichever way the file is read."""
    data = serialize_pfx(LEAF.key, LEAF.certificate, [], None, iterations=1)
    changed = rebuild(data.replace(b"www.example.com", b"www.\xffxample.com"), password="secret")
    for found in (load_pfx(changed, "secret"), load_pfx_entries(changed, "secret")[0]):
        assert found.certificate is not None
        assert found.certificate.subject.rfc4514_string() == "CN=www.\xffxample.com"


def test_a_certificate_whose_dates_cannot_be_read() -> None:
    """It is damage of the file, whichever way it is read."""
    data = serialize_pfx(LEAF.key, LEAF.certificate, [], None, iterations=1)
    changed = rebuild(data.replace(b"\x17\x0d2", b"\x17\x0d?"), password="secret")
    for load in (load_pfx, load_pfx_entries):
        with pytest.raises(UnreadableCertificateError, match="notBefore is no date"):
            load(changed, "secret")


def test_several_keys() -> None:
    """Two keys with a certificate each need an alias, and the error names them; `explain_pfx` sees both."""
    data = _two_keys()
    with pytest.raises(MalformedDataError, match=r"2 private keys, .*'one'.*'two'.*alias="):
        load_pfx(data, "secret")
    first, second = load_pfx_entries(data, "secret")
    assert (first.certificate, second.certificate) == (LEAF.certificate, OTHER.certificate)
    assert (first.friendly_name, second.friendly_name) == ("one", "two")
    assert first.others == second.others == (ROOT.certificate,)
    for alias, entry in (("one", first), ("TWO", second)):
        loaded = load_pfx(data, "secret", alias=alias)
        assert (loaded.certificate, loaded.friendly_name) == (entry.certificate, entry.friendly_name)
    assert any("2 private keys" in finding for finding in explain_pfx(data, "secret").findings)


def _two_keys() -> bytes:
    one = serialize_pfx(LEAF.key, LEAF.certificate, [ROOT.certificate], "secret", friendly_name="one", iterations=10)
    two = serialize_pfx(OTHER.key, OTHER.certificate, [], "secret", friendly_name="two", iterations=10)
    return rebuild(one, extra=two, password="secret")


def test_trust_stores() -> None:
    """Without a key, the one that issued none of the others is the certificate, whatever their order."""
    data = serialize_pfx(None, None, [ROOT.certificate, OTHER.certificate], "secret", iterations=10)
    loaded = load_pfx(data, "secret")
    assert (loaded.private_key, loaded.certificate) == (None, OTHER.certificate)
    assert loaded.others == (ROOT.certificate,)


def test_a_key_without_its_certificate() -> None:
    """The key comes alone; the other certificate is nobody's own."""
    data = serialize_pfx(LEAF.key, None, [ROOT.certificate], "secret", iterations=10)
    loaded = load_pfx(data, "secret")
    assert loaded.certificate is None
    assert loaded.private_key is not None
    assert loaded.others == (ROOT.certificate,)
    assert any("belongs to its private key" in finding for finding in explain_pfx(data, "secret").findings)


def test_other_kinds_of_key() -> None:
    """Ed25519 is carried; a key that can sign nothing is refused by name."""
    key = ed25519.Ed25519PrivateKey.generate()
    assert isinstance(
        load_pfx(serialize_pfx(key, None, [], "secret", iterations=10), "secret").private_key,
        ed25519.Ed25519PrivateKey,
    )
    exchange: Any = x25519.X25519PrivateKey.generate()
    with pytest.raises(MalformedDataError, match="X25519"):
        load_pfx(serialize_pfx(exchange, None, [], "secret", iterations=10), "secret")


@pytest.mark.parametrize("where", ["mac", "safe", "key", "hidden key"])
def test_hostile_iteration_counts_cost_nothing(where: str) -> None:
    """Two thousand million rounds are refused at once, wherever they stand, also inside an encrypted part."""
    data = _hostile(where)
    began = time.perf_counter()
    for call in (load_pfx, load_pfx_entries):
        with pytest.raises(MalformedDataError, match="costs too much work"):
            call(data, "secret")
    explained = explain_pfx(data, "secret")
    assert explained.password == "unknown"
    assert "costs too much work" in explained.findings[0]
    assert time.perf_counter() - began < 2


def _hostile(where: str) -> bytes:
    source = serialize_pfx(LEAF.key, LEAF.certificate, [], "secret", iterations=10)
    many = 2**31 - 1
    if where == "mac":
        return rebuild(source, mac_iterations=many)
    if where == "hidden key":
        kdf = KeyDerivation(kind="PKCS12", hash_name="SHA-1", salt=b"12345678", iterations=10)
        outer = Encryption(scheme="PBES1", cipher="3DES-CBC", kdf=kdf)
        return rebuild(_with_count(source, many, "key"), encryption=outer, password="secret", kdf=kdf)
    return _with_count(source, many, where)


def _with_count(source: bytes, count: int, where: str) -> bytes:
    """`source` with so many iterations for its encrypted part, or for its encrypted key."""

    def counted(encryption: Encryption | None) -> bytes:
        assert encryption is not None
        assert encryption.kdf is not None
        return write_encryption(replace(encryption, kdf=replace(encryption.kdf, iterations=count)))

    first, second = read_structure(source).safes
    if where == "safe":
        parts = [first.raw, encrypted_part(counted(second.encryption), second.encrypted)]
    else:
        (key,) = first.bags
        value = der.write_sequence(counted(key.encryption), der.write(der.OCTET_STRING, key.encrypted_key))
        bag = der.write_sequence(der.write_oid(identifiers.ENCRYPTED_KEY_BAG), der.write(der.EXPLICIT_0, value))
        parts = [open_part(der.write_sequence(bag)), second.raw]
    return rebuild(source, safes=parts, password="secret")


def test_a_hostile_key_hidden_beside_an_open_one() -> None:
    """It was passed over where OpenSSL met the open one first, and a file with two keys counted as one with one."""
    source = serialize_pfx(LEAF.key, LEAF.certificate, [], "secret", iterations=10)
    kdf = KeyDerivation(kind="PKCS12", hash_name="SHA-1", salt=b"12345678", iterations=10)
    outer = Encryption(scheme="PBES1", cipher="3DES-CBC", kdf=kdf)
    hidden = rebuild(_with_count(source, 2**31 - 1, "key"), encryption=outer, password="secret", kdf=kdf)
    data = rebuild(hidden, extra=source, password="secret")
    began = time.perf_counter()
    for call in (load_pfx, load_pfx_entries):
        with pytest.raises(MalformedDataError, match="costs too much work"):
            call(data, "secret")
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize("small_first", [True, False])
@pytest.mark.parametrize("hidden", ["sealed", "open", "sealed with endless rounds"])
def test_no_key_in_an_encrypted_part_is_passed_over(hidden: str, *, small_first: bool) -> None:
    """OpenSSL tells of one key only: it opens a part that leaves no room for another, and no other part."""
    source = serialize_pfx(OTHER.key, OTHER.certificate, [], None if hidden == "open" else "secret", iterations=10)
    if hidden == "sealed with endless rounds":
        source = _with_count(source, 2**31 - 1, "key")
    kdf = KeyDerivation(kind="PKCS12", hash_name="SHA-1", salt=b"12345678", iterations=10)
    outer = Encryption(scheme="PBES1", cipher="3DES-CBC", kdf=kdf)
    part = rebuild(source, encryption=outer, password="secret", kdf=kdf)
    small = serialize_pfx(LEAF.key, None, [], "secret", iterations=10)
    first, second = (small, part) if small_first else (part, small)
    began = time.process_time()
    data = rebuild(first, extra=second, password="secret", kdf=kdf)
    if hidden == "open":  # with its certificate, which the one in sight does not have
        loaded = load_pfx(data, "secret")
        assert loaded.certificate == OTHER.certificate
        assert loaded.left_out == ("a private key (ec-p256) without a certificate",)
    else:
        with pytest.raises(MalformedDataError, match=r"2 private keys|costs too much work"):
            load_pfx(data, "secret")
    assert time.process_time() - began < 2


@pytest.mark.parametrize("as_written", [True, False])
def test_a_small_key_and_its_certificates_are_opened_by_openssl(
    monkeypatch: pytest.MonkeyPatch, *, as_written: bool
) -> None:
    """Seven times 2048 rounds in Python took ten milliseconds, which OpenSSL does in one."""
    source = serialize_pfx(LEAF.key, LEAF.certificate, [ROOT.certificate], "secret", friendly_name="wéb")
    kdf = KeyDerivation(kind="PKCS12", hash_name="SHA-1", salt=b"12345678", iterations=10)
    data = source if as_written else rebuild(source, safes=parts_of(source)[::-1], password="secret", kdf=kdf)
    slowly = load_pfx_entries(data, "secret")[0]
    monkeypatch.setattr("mlsssl._formats.pkcs12.encryption.pkcs12_kdf", None)
    loaded = load_pfx(data, "secret")
    assert (loaded.certificate, loaded.others, loaded.friendly_name) == (
        slowly.certificate,
        slowly.others,
        slowly.friendly_name,
    )
    assert loaded.private_key is not None
    assert slowly.private_key is not None
    assert private_key_der(loaded.private_key) == private_key_der(slowly.private_key)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tag", "contents", "name"),
    [
        (0x0C, "Straße".encode(), "Straße"),
        (0x13, b"web", "web"),
        (0x14, "Straße".encode("latin-1"), "Straße"),
        (0x16, b"web", "web"),
        (0x04, b"web", None),
        (0x05, b"", None),
    ],
)
@pytest.mark.parametrize("encrypted", [False, True])
def test_attributes_of_any_type_leave_the_file_readable(
    tag: int, contents: bytes, name: str | None, *, encrypted: bool
) -> None:
    """OpenSSL reads them; those that are no BMPString were told as a second password, or as a damaged file."""
    value = der.write(tag, contents)
    own = [
        der.write_sequence(der.write_oid(kind), der.write(der.SET, value))
        for kind in (identifiers.FRIENDLY_NAME, identifiers.PROVIDER_NAME, identifiers.LOCAL_KEY_ID)
    ]
    data = _with_bags(_certificate_bag(der.write(der.SET, *own)), encrypted=encrypted)
    loaded = load_pfx(data, "secret" if encrypted else None)
    assert loaded.certificate == LEAF.certificate
    assert loaded.friendly_name == name


def test_damaged_contents_are_not_told_as_a_second_password() -> None:
    no_content = der.write_sequence(der.write_oid("1.2.3.4"))
    with pytest.raises(MalformedDataError, match="damaged: an element is missing") as caught:
        load_pfx(_with_bags(_certificate_bag(), no_content, encrypted=True), "secret")
    assert not isinstance(caught.value, WrongPasswordError)


def _certificate_bag(*attributes: bytes) -> bytes:
    octets = der.write(der.OCTET_STRING, LEAF.certificate.public_bytes(serialization.Encoding.DER))
    value = der.write_sequence(der.write_oid(identifiers.X509_CERTIFICATE), der.write(der.EXPLICIT_0, octets))
    return der.write_sequence(der.write_oid(identifiers.CERTIFICATE_BAG), der.write(der.EXPLICIT_0, value), *attributes)


def _with_bags(*bags: bytes, encrypted: bool) -> bytes:
    contents = der.write_sequence(*bags)
    if not encrypted:
        source = serialize_pfx(None, LEAF.certificate, [], None)
        return rebuild(source, safes=[open_part(contents)], mac=False)
    kdf = KeyDerivation(kind="PBKDF2", hash_name="SHA-256", salt=b"12345678", iterations=3)
    encryption = Encryption(scheme="PBES2", cipher="AES-256-CBC", kdf=kdf, iv=bytes(16))
    part = encrypted_part(write_encryption(encryption), encryption.encrypt(contents, "secret"))
    return rebuild(serialize_pfx(None, LEAF.certificate, [], None), safes=[part], password="secret")


def test_sizes_are_bounded() -> None:
    """A file or key that is far too large is refused before it is parsed or proved."""
    with pytest.raises(MalformedDataError, match="too many"):
        load_pfx(bytes(16 * 1024 * 1024 + 1), "secret")


_seq = der.write_sequence


def _pfx_of(parts: bytes) -> bytes:
    """A PFX without a MAC around the ContentInfos given."""
    return _seq(der.write_number(3), open_part(parts))


_BAG = der.write_oid(identifiers.SECRET_BAG) + b"\xa0\x02\x05\0"
_MANY: dict[str, Callable[[int], bytes]] = {
    "parts": lambda count: _pfx_of(_seq(_seq(b"") * count)),
    "members": lambda count: _seq(b"\x05\0" * count),
    "bags": lambda count: _pfx_of(_seq(open_part(_seq(_seq(_BAG) * (count // 10))))),
    "bags in many parts": lambda count: _pfx_of(_seq(open_part(_seq(_seq(_BAG) * 9_000)) * (count // 90_000))),
    "pieces": lambda count: _seq(
        b"\x02\x01\x03"
        + _seq(der.write_oid(identifiers.DATA) + der.write(der.EXPLICIT_0, der.write(0x24, b"\x04\0" * count)))
    ),
    "attributes": lambda count: _pfx_of(_seq(open_part(_seq(_seq(_BAG + der.write(der.SET, b"\x05\0" * count)))))),
    "indefinite lengths": lambda count: b"\x30\x80" * count,
    "elements of one indefinite length": lambda count: b"\x30\x80" + b"\x05\0" * count,
}


@pytest.mark.parametrize("what", list(_MANY))
def test_counts_of_elements_are_bounded(what: str) -> None:
    """A file of 14 MB in pieces of two bytes is refused before its pieces are made into millions of objects."""
    data = _MANY[what](7_000_000)
    assert 1_000_000 < len(data) < 16 * 1024 * 1024
    began = time.process_time()
    with pytest.raises(MalformedDataError):
        load_pfx(data, "secret")
    assert time.process_time() - began < 2


def test_long_elements_are_read_whole() -> None:
    """Elements whose lengths take two octets and more, one after the other, and cut short."""
    for size in (4_080, 4_096, 4_100, 65_530, 65_536, 1_048_570, 1_048_580, 2_000_000):
        elements = [der.write(der.OCTET_STRING, bytes([number]) * size) for number in range(3)]
        whole = der.only(_seq(b"".join(elements)))
        found = der.members(whole, der.SEQUENCE, most=3)
        assert [element.raw for element in found] == elements
        assert der.octets(found[2]) == b"\2" * size
        with pytest.raises(ValueError, match="more than 2"):
            der.members(whole, der.SEQUENCE, most=2)
        with pytest.raises(ValueError, match="longer than its container"):
            der.only(_seq(b"".join(elements))[:-1])


@pytest.mark.parametrize("password", ["with\0nul", "half \ud800 pair"])
def test_passwords_that_no_file_can_have(password: str) -> None:
    """They are the caller's error, both ways."""
    with pytest.raises(InvalidInputError, match="password"):
        load_pfx(_encrypted(), password)
    with pytest.raises(InvalidInputError, match="password"):
        serialize_pfx(LEAF.key, LEAF.certificate, [], password)


def test_what_the_writer_refuses() -> None:
    """Nothing to write, a stranger's key, numbers out of range, and unknown targets."""
    for arguments, words in (
        ((None, None, [], "secret"), "nothing to write"),
        ((OTHER.key, LEAF.certificate, [], "secret"), "does not belong"),
    ):
        with pytest.raises(InvalidInputError, match=words):
            serialize_pfx(*arguments)
    for iterations in (0, -1, 600_001, True, 1.5):
        with pytest.raises(InvalidInputError, match="iterations"):
            serialize_pfx(LEAF.key, LEAF.certificate, [], "secret", iterations=iterations)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="windows-server-2016"):
        serialize_pfx(LEAF.key, LEAF.certificate, [], "secret", readable_by="windows-server-1999")


def test_equal_randomness_gives_equal_bytes() -> None:
    """Salts are the only chance in it; with the usual source, two files differ."""

    def write(counter: Sequence[int]) -> bytes:
        numbers = itertools.cycle(counter)
        return serialize_pfx(
            LEAF.key, LEAF.certificate, [], "secret", iterations=10, random=lambda n: bytes([next(numbers)]) * n
        )

    assert write([1, 2]) == write([1, 2]) != write([2, 1])
    assert serialize_pfx(LEAF.key, None, [], "x", iterations=10) != serialize_pfx(
        LEAF.key, None, [], "x", iterations=10
    )


def test_explanation_with_and_without_the_password() -> None:
    """Everything that shows is said; what is closed stays closed; nothing secret is printed."""
    data = serialize_pfx(
        LEAF.key,
        LEAF.certificate,
        [ROOT.certificate],
        "secret",
        friendly_name="web",
        readable_by="windows-11",
        provider="Microsoft Software Key Storage Provider",
        machine_keyset=True,
    )
    closed = explain_pfx(data)
    assert closed.password == "not given"
    assert closed.certificates == ()
    assert closed.parts[1].bags is None
    assert closed.readable_by("windows-server-2016") is False
    assert closed.readable_by("windows-server-2019") is True
    assert closed.iterations == (20_000, 20_000, 20_000)
    opened = explain_pfx(data, "secret")
    assert opened.password == "right"
    assert opened.key == "EC, secp256r1"
    assert opened.certificates == ("CN=www.example.com", "CN=Root")
    assert opened.parts[0].bags is not None
    assert opened.parts[0].bags[0].provider == "Microsoft Software Key Storage Provider"
    assert opened.parts[0].bags[0].machine_keyset
    text = str(opened)
    assert "although the password is right" in text
    assert "AES-256-CBC" in text
    assert "secret" not in text
    assert explain_pfx(data, "wrong").password == "wrong"


def test_microsofts_attributes_through_the_public_noun() -> None:
    """`Certificate.to_pfx` asks Windows for a provider and the machine's keys, when told."""
    certificate = Certificate(LEAF.certificate, private_key=LEAF.key)
    name = "Microsoft Software Key Storage Provider"
    for asked in (True, False):
        data = certificate.to_pfx("secret", provider=name if asked else None, machine_keyset=asked)
        bags = [bag for part in explain_pfx(data, "secret").parts for bag in part.bags or () if "key" in bag.kind]
        assert [(bag.provider, bag.machine_keyset) for bag in bags] == [(name if asked else None, asked)]


def test_the_default_suits_every_supported_windows() -> None:
    """3DES with SHA-1 is read from Server 2016 on; AES is not."""
    default = explain_pfx(serialize_pfx(LEAF.key, LEAF.certificate, [], "secret", iterations=10))
    assert all(default.readable_by(name) for name in TARGETS if name.startswith("windows"))
    for name, target in TARGETS.items():
        written = serialize_pfx(LEAF.key, LEAF.certificate, [], "secret", readable_by=name, iterations=10)
        assert explain_pfx(written).readable_by(name) is True, target


def test_few_iterations_and_open_keys_are_noted() -> None:
    """The explanation warns of what protects little."""
    weak = explain_pfx(serialize_pfx(LEAF.key, LEAF.certificate, [], "secret", iterations=10), "secret")
    assert any("10 iterations" in finding for finding in weak.findings)
    bare = explain_pfx(serialize_pfx(LEAF.key, LEAF.certificate, [], None))
    assert bare.password == "not needed"
    assert any("without encryption" in finding for finding in bare.findings)
    assert any("issuer of that is not in the file" in finding for finding in bare.findings)


def test_nothing_secret_in_reprs() -> None:
    """Neither a loaded key nor a salt shows in a repr."""
    loaded = load_pfx(serialize_pfx(LEAF.key, LEAF.certificate, [], "secret", iterations=10), "secret")
    assert "private_key" not in repr(loaded)
