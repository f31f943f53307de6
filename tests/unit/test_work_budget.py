"""Passwords and keys that were made to cost: counted before they are paid for, and refused by the number at fault."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from chains import ECDSA_SHA256, NOW, Extension, leaf, root, tlv
from made_certificates import make, shared_key
from mlsssl import Certificate, MalformedDataError, UnsupportedError, WrongPasswordError, explain_pfx
from mlsssl._formats import budget, choice, csr, der, identifiers, key_files, keys, parsed, pem, pvk
from mlsssl._formats.budget import LIMIT, WorkBudget, rsa_cost
from mlsssl._formats.key_files import load_private_key
from mlsssl._formats.keys import private_key_pem
from mlsssl._formats.pkcs12 import read as pfx_reader
from mlsssl._formats.pkcs12.encryption import Encryption, KeyDerivation, pkcs5_passwords, read_encryption
from mlsssl._formats.pkcs12.read import load_pfx
from mlsssl._formats.pkcs12.write import serialize_pfx
from pfx_material import load_pfx_entries, rebuild

if TYPE_CHECKING:
    from collections.abc import Callable

LEAF = make("www.example.com", key=shared_key(2))
RSA_KEY = rsa.generate_private_key(65537, 2048)
SALT = b"saltsalt"
MANY = 30_000_000
"""Rounds that cost some ten seconds, which nobody here waits for."""


def _seq(*contents: bytes) -> bytes:
    return tlv(0x30, *contents)


def _octets(contents: bytes) -> bytes:
    return tlv(0x04, contents)


_number, _oid = der.write_number, der.write_oid


def _pbes2(kdf: bytes, iv: bytes = bytes(16)) -> bytes:
    return _seq(_oid("1.2.840.113549.1.5.13"), _seq(kdf, _seq(_oid("2.16.840.1.101.3.4.1.42"), _octets(iv))))


def _pbkdf2(rounds: int) -> bytes:
    prf = _seq(_oid("1.2.840.113549.2.9"), tlv(0x05))
    return _pbes2(_seq(_oid("1.2.840.113549.1.5.12"), _seq(_octets(SALT), _number(rounds), prf)))


def _scrypt(n: int, r: int, p: int) -> bytes:
    parameters = _seq(_octets(SALT), _number(n), _number(r), _number(p))
    return _pbes2(_seq(_oid("1.3.6.1.4.1.11591.4.11"), parameters))


def _pbes1(identifier: str, rounds: int) -> bytes:
    return _seq(_oid(identifier), _seq(_octets(SALT), _number(rounds)))


def _sealed(algorithm: bytes, encrypted: bytes = bytes(320)) -> bytes:
    return _seq(algorithm, _octets(encrypted))


def _pem(der: bytes, label: str = "ENCRYPTED PRIVATE KEY") -> bytes:
    return f"-----BEGIN {label}-----\n".encode() + base64.encodebytes(der) + f"-----END {label}-----\n".encode()


HOSTILE = {
    "PBKDF2": (_pbkdf2(MANY), MANY),
    "PBES1 with 3DES": (_pbes1("1.2.840.113549.1.12.1.3", MANY), MANY),
    "PBES1 with MD5 and DES": (_pbes1("1.2.840.113549.1.5.3", MANY), MANY),
    "scrypt, time": (_scrypt(1024, 8, 1024), 1024),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("armour", [bytes, _pem], ids=["DER", "PEM"])
def test_rounds_that_cost_too_much_are_refused_by_number(name: str, armour: Callable[[bytes], bytes]) -> None:
    """Four hundred bytes took as long as their author liked."""
    algorithm, rounds = HOSTILE[name]
    with pytest.raises(MalformedDataError, match=f"costs too much work: .*{rounds}.*openssl pkcs8 -topk8"):
        load_private_key(armour(_sealed(algorithm)), "secret")


@pytest.mark.parametrize("armour", [bytes, _pem], ids=["DER", "PEM"])
def test_scrypt_that_takes_too_much_memory_is_refused_by_number(armour: Callable[[bytes], bytes]) -> None:
    """N = 2^18 and r = 8 are 256 MiB."""
    with pytest.raises(UnsupportedError, match=r"N=262144, r=8, p=1 .at most 130 MiB"):
        load_private_key(armour(_sealed(_scrypt(2**18, 8, 1))), "secret")


HONEST = {
    "OpenSSL": _pbkdf2(2048),
    "a million rounds": _pbkdf2(1_000_000),
    "scrypt of OpenSSL": _scrypt(2**14, 8, 1),
    "scrypt as OWASP wants it": _scrypt(2**17, 8, 1),
    "PBES1 with 3DES": _pbes1("1.2.840.113549.1.12.1.3", 50_000),
    "OpenSSL before 1.1": _pbes1("1.2.840.113549.1.5.3", 2048),
}


@pytest.mark.parametrize("name", HONEST)
def test_what_honest_programs_write_is_read(name: str) -> None:
    """With the right password; with a wrong one it says that it is wrong, in the same budget."""
    algorithm = HONEST[name]
    plain = keys.private_key_der(LEAF.key)
    encrypted = read_encryption(der.only(algorithm)).encrypt(plain, "pässword")
    data = _pem(_sealed(algorithm, encrypted))
    assert keys.spki(load_private_key(data, "pässword").public_key()) == keys.spki(LEAF.key.public_key())
    for wrong in ("wrong", "wröng"):
        with pytest.raises(WrongPasswordError):
            load_private_key(data, wrong)
    with pytest.raises(WrongPasswordError, match="give its password"):
        load_private_key(data, None)


OLD_PEM = {
    "DES-CBC,4156762CD609BF0B": (
        "BzxigvGrpwgHy5QY7WVSqa/tlziaojj0h9xgGVnwXrEF6HYuyx0b6hf4gwHlo93CTqiNR5+j7O2WwlDcAF9VCrGz"
        "AgX4Fj6Al0DREKJhPmhRPnZc4KVSq6svFfhkMKrGu6Ov0Q1fx1hpN+gQC86pAj1/20G9zVjb/qgtSB2OiRA="
    ),
    "DES-EDE3-CBC,801D3CD2257DA808": (
        "4pmQiP5EFQlpd664RIcN/0KD40BHvoop2lYU3b0yiXpSS0sEQGeDoOVpEwOhQ3Vs4Mr6OHjzQqOv3p7r6U2JIo1I"
        "W7UypzvjaOdFl25+KY0k5AQg8B+YJ5Dh6NPHmXStS9LD3QBTozW0o+AABdHCQ5hyPCQc7/hpsaXz2LHfTpQ="
    ),
    "AES-128-CBC,FAF48BFED1BBA75BF067A2DD94DD6D3F": (
        "7mmtjdhJX9RfMc3Gid7RBfmuX4GOAsv1HCd3TnkyDxXZPdDJfQzxRA9T+VZkmgMhqIfC/wblvS41ZZlRigkq9Ltt"
        "5Ig8oxxQoANNeLUORcI5RqpqvJYGB3y+k33Fv9eATVpxqxo8A1eZFHSchrtKXmyplXSig9yV274EwUt4ItI="
    ),
    "AES-192-CBC,453F88873F12F6611FD1B06ADF232525": (
        "lWrDOmh2x31D0iN+HrWDWQEnq5qVfgauPJbPVi1CYppkzk4SRaJIG04K5ZeMI74gPgjjUWMOrPrzRY/oymieX+45"
        "9EX+zP5aAuGDW09qnkvS9sRBv62GkBlEtLhtNvr0ScFaIB34t0aiEBvyaii2FsTOdxISqyOwAp0OqAydxl0="
    ),
    "AES-256-CBC,622A923D41BBD36F798F559AA437A09A": (
        "zhhhdndL7i8g1C1Viar52nbnmRB5tHXezGRzpmyT5o9KkwLyGMVuO8ccmfiNm3hUqOfMLedXSoiq92UE3oJCEoHd"
        "o8vLBuzaL+w5b8kpY1Q/zzCHR27pyzosuahioAyFojTgPGt0RE3WquljmVquoFkVv80EvMMips4ubyNIOm0="
    ),
    "RC2-CBC,D6D1FF65BFCC8642": (
        "K/a0H7xc+dn/gJ8E85/G0OTs2u40ZlOq4XwRpRm7iyUjCpT03qY66SwDjYqcNK3A7VgceGNty5fhBcpvlpwo+uhl"
        "rqI0RBqknpBgcg/H4jA/ljnAf8yZyQvKta2RzXdmhdRQZZ2uiJrkQ9o16gWpP9/K/fXc6Lv2HIYIyeIEEKQ="
    ),
}
"""One EC key as `openssl ec -aes192 -passout pass:secret` and the like write it (OpenSSL 3.0)."""
_OLD_KEY = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAECWME0Rhpt7557rh3A/8P84cQh/rJ"
    "PNcCS/GtISFJ9fAH1aJnapB9nHKNpb6FYMo1OjT5nngE4nO4vYNsUOxxNg=="
)


def _old_pem(dek_info: str, label: str = "EC PRIVATE KEY") -> bytes:
    headers = f"Proc-Type: 4,ENCRYPTED\nDEK-Info: {dek_info}\n"
    return f"-----BEGIN {label}-----\n{headers}\n{OLD_PEM[dek_info]}\n-----END {label}-----\n".encode()


@pytest.mark.parametrize("dek_info", OLD_PEM)
def test_every_cipher_of_old_pem_is_read_or_named(dek_info: str) -> None:
    """`cryptography` knows three of them; for every other the right password was told to be wrong."""
    data = _old_pem(dek_info)
    with pytest.raises(WrongPasswordError, match="give its password"):
        load_private_key(data, None)
    if dek_info.startswith("RC2"):
        with pytest.raises(UnsupportedError, match=r"encrypted with RC2-CBC.*openssl pkey .*-provider legacy"):
            load_private_key(data, "secret")
        return
    assert base64.b64encode(keys.spki(load_private_key(data, "secret").public_key())).decode() == _OLD_KEY
    with pytest.raises(WrongPasswordError, match="does not open"):
        load_private_key(data, "wrong")


def test_headers_of_old_pem_that_were_joined_into_one_line() -> None:
    with pytest.raises(MalformedDataError, match="each stands in a line of its own") as caught:
        load_private_key(_old_pem(next(iter(OLD_PEM))).replace(b"\n", b" "), "secret")
    assert not isinstance(caught.value, WrongPasswordError)


def test_headers_that_encrypt_nothing_are_passed_over() -> None:
    headers = b"-----\nProc-Type: 4,MIC-CLEAR\n\n"
    text = LEAF.certificate.public_bytes(Encoding.PEM).replace(b"-----\n", headers, 1)
    assert Certificate.from_pem(text).to_cryptography() == LEAF.certificate


def test_every_spelling_of_a_password_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three spellings of half the limit each made one and a half; the third is not tried any more."""
    derived: list[bytes] = []

    def derive(self: KeyDerivation, password: bytes, length: int, purpose: int) -> bytes:
        derived.append(password)
        return bytes(length)

    monkeypatch.setattr(KeyDerivation, "derive", derive)
    rounds = LIMIT * 2 // 5 // budget.PBKDF2["SHA-256"]
    account = WorkBudget()
    with pytest.raises(WrongPasswordError):
        load_private_key(_sealed(_pbkdf2(rounds)), "wröng", account)
    assert len(pkcs5_passwords("wröng")) == 3
    assert len(derived) == 2
    assert 0 <= account.left < LIMIT * 2 // 5


def test_all_parts_and_layers_of_one_call_have_one_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """A PFX, and the key beside it, each just affordable."""
    derived: list[int] = []

    def derive(self: KeyDerivation, password: bytes, length: int, purpose: int) -> bytes:
        derived.append(self.iterations)
        return bytes(length)

    monkeypatch.setattr(KeyDerivation, "derive", derive)
    kdf = KeyDerivation(kind="PKCS12", hash_name="SHA-256", salt=SALT, iterations=LIMIT * 3 // 5 // 700)
    plain = serialize_pfx(None, LEAF.certificate, [], None)
    data = rebuild(plain, password="secret", kdf=kdf)
    rounds = LIMIT * 3 // 5 // budget.PBKDF2["SHA-256"]
    derived.clear()
    with pytest.raises(MalformedDataError, match=f"costs too much work: PBES2.* {rounds} iterations"):
        Certificate.from_bytes(data, password="secret", key=_pem(_sealed(_pbkdf2(rounds))), key_password="other")
    assert derived == [kdf.iterations]


def test_a_budget_counts() -> None:
    """What is foreseen is not spent; what is refused leaves nothing."""
    account = WorkBudget()
    account.foresee([(LIMIT // 2, "one"), (LIMIT // 2, "other")])
    account.spend(LIMIT - 5, "much")
    assert (account.left, account.affords(5), account.affords(6), account.exhausted) == (5, True, False, False)
    with pytest.raises(MalformedDataError, match="too much work: b brings it to"):
        account.foresee([(1, "a"), (4, "b"), (2, "c")])
    with pytest.raises(MalformedDataError, match="too much work: more brings it to"):
        account.spend(6, "more")
    assert account.exhausted
    with pytest.raises(MalformedDataError):
        account.spend(1, "anything")


# ---- keys: tried out instead of proved ----


def _numbers(key: rsa.RSAPrivateKey) -> dict[str, int]:
    numbers = key.private_numbers()
    return {name: getattr(numbers, name) for name in ("p", "q", "d", "dmp1", "dmq1", "iqmp")} | {
        "e": numbers.public_numbers.e,
        "n": numbers.public_numbers.n,
    }


def _pkcs8(numbers: dict[str, int]) -> bytes:
    order = ("n", "e", "d", "p", "q", "dmp1", "dmq1", "iqmp")
    key = _seq(_number(0), *(_number(numbers[name]) for name in order))
    return _seq(_number(0), _seq(_oid("1.2.840.113549.1.1.1"), tlv(0x05)), _octets(key))


def _composite() -> dict[str, int]:
    """Every number fits, but q is a product."""
    one, other = rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 2048)
    p, q, e = one.private_numbers().p, other.private_numbers().p * other.private_numbers().q, 65537
    while (q - 1) % e == 0 or (p - 1) % e == 0:
        q += 2
    d = pow(e, -1, (p - 1) * (q - 1))
    return {"p": p, "q": q, "d": d, "dmp1": d % (p - 1), "dmq1": d % (q - 1), "iqmp": pow(q, -1, p), "e": e, "n": p * q}


@pytest.mark.parametrize("name", ["n", "e", "d", "p", "q", "dmp1", "dmq1", "iqmp"])
def test_a_wrong_number_in_an_rsa_key_is_found(name: str) -> None:
    """As OpenSSL's proof found it: in a file alone, and in a PFX."""
    whole = _numbers(RSA_KEY)
    assert load_private_key(_pkcs8(whole), None).private_numbers() == RSA_KEY.private_numbers()
    damaged = _pkcs8(whole | {name: whole[name] + 2})
    for data in (damaged, _pem(damaged, "PRIVATE KEY")):
        with pytest.raises(MalformedDataError):
            load_private_key(data, None)
    with pytest.raises(MalformedDataError, match="the private key in the PFX is damaged"):
        load_pfx(_pfx_of(_key_bag(damaged)), None)


def test_a_composite_prime_is_found_by_trying() -> None:
    """No division shows it; the signature does."""
    numbers = _composite()
    with pytest.raises(MalformedDataError, match="does not take its signature"):
        load_private_key(_pkcs8(numbers), None)
    public = rsa.RSAPublicNumbers(numbers["e"], numbers["n"])
    private = rsa.RSAPrivateNumbers(
        **{n: numbers[n] for n in ("p", "q", "d", "dmp1", "dmq1", "iqmp")}, public_numbers=public
    )
    assert key_files.rsa_problem(private) is None


def test_a_large_rsa_key_costs_what_the_budget_says() -> None:
    """RSA-8192 took OpenSSL five seconds in PEM, PFX and PVK alike."""
    numbers = RSA_KEY.private_numbers()
    account = WorkBudget()
    load_private_key(private_key_pem(RSA_KEY, None), None, account)
    assert LIMIT - account.left == budget.KEY + rsa_cost(numbers.p.bit_length(), numbers.q.bit_length())
    assert rsa_cost(4096, 4096) < 60_000_000
    account = WorkBudget()
    pvk.load_pvk(pvk.serialize_pvk(RSA_KEY, "secret"), "secret", account)
    assert LIMIT - account.left == rsa_cost(1024, 1024)


def test_an_rsa_key_that_is_too_large_is_refused_by_its_size() -> None:
    """Before anything is computed with it."""
    huge = dict.fromkeys(("p", "q"), 2**8190 + 1) | {"n": (2**8190 + 1) ** 2, "e": 65537}
    huge |= dict.fromkeys(("d", "dmp1", "dmq1", "iqmp"), 3)
    with pytest.raises(MalformedDataError, match="an RSA key of 16381 bits; at most 8192 are read"):
        load_private_key(_pkcs8(huge), None)
    with pytest.raises(MalformedDataError, match=r"a private key of [0-9]+ bytes; at most 6144 are read"):
        load_private_key(_pkcs8(huge | {"d": 2**16_000}), None)


@pytest.mark.parametrize("size", [16_000, 60_000])
def test_a_dsa_key_of_any_size_is_not_computed_with(size: int) -> None:
    """OpenSSL derived its public half: 25 kB took a minute and a half."""
    p, x = 2**size + 1, 3 ** (size * 5 // 8)
    parameters = _seq(_oid("1.2.840.10040.4.1"), _seq(_number(p), _number(2**255 + 1), _number(3)))
    with pytest.raises(MalformedDataError, match="at most"):
        load_private_key(_seq(_number(0), parameters, _octets(_number(x))), None)


def test_a_diffie_hellman_key_is_refused_unread() -> None:
    """As a private key, and as the public one of a certificate, where it cost a second or ten."""
    parameters = _seq(_oid("1.2.840.113549.1.3.1"), _seq(_number(2**2047 + 1), _number(2)))
    with pytest.raises(UnsupportedError, match="Diffie-Hellman"):
        load_private_key(_seq(_number(0), parameters, _octets(_number(3))), None)
    spki = _seq(parameters, tlv(0x03, b"\0", _number(3)))
    certificate = Certificate.from_der(replace(leaf(root()), spki=spki).der())
    with pytest.raises(MalformedDataError, match="Diffie-Hellman"):
        _ = certificate.key_type
    assert pem.public_key_bytes(certificate.to_cryptography()) is None
    assert "Diffie-Hellman" in str(certificate.check(trust=None, at=NOW).filter(code="key-unreadable"))
    request = _seq(_seq(_number(0), _seq(), spki, tlv(0xA0)), ECDSA_SHA256, tlv(0x03, b"\0"))
    with pytest.raises(MalformedDataError, match="Diffie-Hellman"):
        csr.load_request(request)


# ---- PFX ----


def _key_bag(pkcs8: bytes) -> bytes:
    return _seq(_oid(identifiers.KEY_BAG), tlv(0xA0, pkcs8))


def _pfx_of(*bags: bytes) -> bytes:
    def info(contents: bytes) -> bytes:
        return _seq(_oid(identifiers.DATA), tlv(0xA0, _octets(contents)))

    return _seq(_number(3), info(_seq(info(_seq(*bags)))))


def test_many_keys_in_a_pfx_are_counted_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven hundred took two minutes, and the answer was that there are too many."""
    data = _pfx_of(*[_key_bag(keys.private_key_der(RSA_KEY))] * 700)
    read: list[bytes] = []

    def load(der: bytes, account: WorkBudget) -> object:
        read.append(der)
        account.spend(budget.KEY, "a private key")
        return RSA_KEY

    monkeypatch.setattr(pfx_reader, "load_plain_key", load)
    for call in (load_pfx, load_pfx_entries):
        read.clear()
        with pytest.raises(MalformedDataError, match="costs too much work: a private key"):
            call(data, None)
        assert 500 < len(read) < 700
    explained = explain_pfx(data)
    assert explained.password == "unknown"
    assert "costs too much work" in explained.findings[0]


def test_a_key_is_found_among_many_certificates_by_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each key was compared with each certificate, whose key was read anew every time."""
    asked: list[object] = []
    original = pem.public_key_bytes

    def public_key_bytes(certificate: object) -> bytes | None:
        asked.append(certificate)
        return original(certificate)  # type: ignore[arg-type]

    monkeypatch.setattr(choice, "public_key_bytes", public_key_bytes)
    one = serialize_pfx(LEAF.key, LEAF.certificate, [], None)
    other = make("other.example.com", key=shared_key(3))
    data = rebuild(one, extra=serialize_pfx(other.key, other.certificate, [LEAF.certificate], None), mac=False)
    loaded = load_pfx(data, None, alias=str(other.thumbprint))
    assert loaded.certificate == other.certificate
    assert len(asked) == 2


def test_very_many_rounds_of_gnutls_and_nss_are_read() -> None:
    """Six hundred thousand with 3DES are more than Python's loops may cost: OpenSSL opens the certificates."""
    data = serialize_pfx(LEAF.key, LEAF.certificate, [], "sécret", friendly_name="wéb", iterations=300_000)
    loaded = load_pfx(data, "sécret")
    assert (loaded.certificate, loaded.friendly_name) == (LEAF.certificate, "wéb")
    assert keys.spki(loaded.private_key.public_key()) == keys.spki(LEAF.key.public_key())  # type: ignore[union-attr]
    with pytest.raises(WrongPasswordError):
        load_pfx(data, "sécrét")


def test_a_megabyte_under_an_old_cipher_is_refused() -> None:
    """RC2 is lines of Python: a second for 200 kB, and again for each spelling."""
    algorithm = _pbes1("1.2.840.113549.1.12.1.5", 1)
    content = _seq(_oid(identifiers.DATA), algorithm, tlv(0x80, bytes(600_000)))
    info = _seq(_oid(identifiers.ENCRYPTED_DATA), tlv(0xA0, _seq(_number(0), content)))
    data = _seq(_number(3), _seq(_oid(identifiers.DATA), tlv(0xA0, _octets(_seq(info)))))
    with pytest.raises(MalformedDataError, match="costs too much work: PBES1, RC2-128-CBC"):
        load_pfx(data, "secret")


# ---- what is kept ----


def test_what_is_kept_of_hostile_issuers_is_bounded() -> None:
    """Two thousand issuers of 16 kB stayed in memory with 390 MB."""
    assert parsed.MOST_KEPT * parsed.LARGEST_KEPT <= 2 * 1024 * 1024
    assert parsed._kept_view.cache_info().maxsize == parsed.MOST_KEPT
    usual = leaf(root()).certificate()
    assert parsed.issuer_view(usual) is parsed.issuer_view(usual)


def test_thousands_of_extensions_are_not_read_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty thousand with one of them twice took four seconds in two calls; the path is refused all the same."""
    top = root()
    made = leaf(top)
    anchor = Certificate.from_der(top.certificate().public_bytes(Encoding.DER))
    twice = made.extensions[3]
    for count, looked_into in ((parsed.MOST_READ_SINGLY - 20, True), (parsed.MOST_READ_SINGLY + 1, False)):
        many = [Extension(f"1.2.3.{number}", False, b"\5\0") for number in range(count)]
        odd = replace(made, extensions=(*made.extensions, twice, *many)).certificate()
        found = parsed.View(odd)
        assert (found.value(x509.BasicConstraints) is not None) is looked_into
        certificate = Certificate.from_der(odd.public_bytes(Encoding.DER))
        assert not certificate.check("www.example.com", trust=[anchor], at=NOW).ok


def test_large_dsa_keys_are_paid_for_when_cryptography_decrypts_them() -> None:
    """What the key is shows only afterwards: each took half a second and counted as two milliseconds."""
    p, x = 2**13_000 + 1, 3**5_500
    parameters = _seq(_number(p), _number(2**127 + 1), _number(2))
    dsa = _seq(_number(0), _seq(_oid("1.2.840.10040.4.1"), parameters), _octets(_number(x)))
    kdf = KeyDerivation(kind="PKCS12", hash_name="SHA-1", salt=SALT, iterations=10)
    encryption = Encryption(scheme="PBES1", cipher="3DES-CBC", kdf=kdf)
    info = _seq(_pbes1("1.2.840.113549.1.12.1.3", 10), _octets(encryption.encrypt(dsa, "secret")))
    bag = _seq(_oid(identifiers.ENCRYPTED_KEY_BAG), tlv(0xA0, info))
    with pytest.raises(MalformedDataError, match="costs too much work: a large key that is not RSA"):
        load_pfx_entries(_pfx_of(*[bag] * 20), "secret")
