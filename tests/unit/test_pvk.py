"""PVK files: three protections, two key specs, and every way in which they can be broken."""

from __future__ import annotations

import functools
import struct
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mlsssl._formats.old_ciphers import rc2_cbc_decrypt, rc4
from mlsssl._formats.pvk import load_pvk, serialize_pvk
from mlsssl.errors import InvalidInputError, MalformedDataError, WrongPasswordError

if TYPE_CHECKING:
    from mlsssl._formats.pvk import Protection
    from mlsssl._formats.rsa_blobs import KeySpec


@functools.cache
def key(bits: int = 1024) -> rsa.RSAPrivateKey:
    """Small, for speed; nothing here depends on its strength."""
    return rsa.generate_private_key(65537, bits)


# Where things stand in an unencrypted file of 1024 bits.
_BLOB = 24
_ALGORITHM, _MAGIC, _BITS, _EXPONENT, _MODULUS = _BLOB + 4, _BLOB + 8, _BLOB + 12, _BLOB + 16, _BLOB + 20
_P, _Q, _DP, _DQ, _IQ, _D = (_MODULUS + 128 + 64 * i for i in range(6))


@pytest.mark.parametrize("spec", ["exchange", "signature"])
@pytest.mark.parametrize("protection", ["none", "strong", "weak"])
@pytest.mark.parametrize("password", ["secret", "pässwörd", "x"])
def test_what_is_written_is_read(spec: KeySpec, protection: Protection, password: str) -> None:
    """Key, spec and protection come back; a wrong password does not open it, and none is named as missing."""
    given = None if protection == "none" else password
    data = serialize_pvk(key(), given, key_spec=spec, protection="weak" if protection == "weak" else "strong")
    loaded = load_pvk(data, given)
    assert loaded.private_key.private_numbers() == key().private_numbers()
    assert (loaded.key_spec, loaded.protection) == (spec, protection)
    if given is not None:
        for wrong in ("wrong", "", None):
            with pytest.raises(WrongPasswordError):
                load_pvk(data, wrong)


def test_odd_sizes() -> None:
    """Bits that do not fill their bytes are rounded up, as OpenSSL does."""
    for bits in (1024, 1032, 1040):
        data = serialize_pvk(key(bits), None)
        assert load_pvk(data, None).private_key.key_size == bits


@pytest.mark.parametrize("password", [None, "secret"])
def test_padding_behind_it_is_no_damage(password: str | None) -> None:
    """Ends of blocks of a disk, and a line end: OpenSSL reads it, and every other format is read with them."""
    for padding in (bytes(300), b"\r\n"):
        loaded = load_pvk(serialize_pvk(key(), password) + padding, password)
        assert loaded.private_key.private_numbers() == key().private_numbers()


def test_a_password_in_windows_own_code_page() -> None:
    """MakeCert hashed the ANSI bytes; UTF-8 is tried first, then Windows-1252."""
    import hashlib

    plain = serialize_pvk(key(), None)
    salt = b"0123456789abcdef"
    derived = hashlib.sha1(salt + "pässwörd".encode("cp1252")).digest()[:16]
    blob = plain[_BLOB:]
    data = struct.pack("<6I", 0xB0B5F11E, 0, 1, 1, 16, len(blob)) + salt + blob[:8] + rc4(derived, blob[8:])
    assert load_pvk(data, "pässwörd").protection == "strong"
    with pytest.raises(WrongPasswordError):
        load_pvk(data, "passwörd")


def _changed(at: int, value: bytes) -> bytes:
    data = bytearray(serialize_pvk(key(), None))
    data[at : at + len(value)] = value
    return bytes(data)


def _flipped(at: int) -> bytes:
    plain = serialize_pvk(key(), None)
    return plain[:at] + bytes([plain[at] ^ 2]) + plain[at + 1 :]


BROKEN = {
    "empty": (b"", "the file is empty"),
    "header cut": (b"\x1e\xf1\xb5\xb0" + bytes(10), "24"),
    "bad magic": (_changed(0, b"\0"), "neither text nor"),
    "reserved": (_changed(4, b"\1"), "reserved"),
    "key type": (_changed(8, b"\3"), "key type"),
    "encrypted flag": (_changed(12, b"\2"), "flag"),
    "encrypted without salt": (_changed(12, b"\1"), "salt"),
    "salt without encryption": (_changed(16, b"\x10"), "salt"),
    "salt of 4 GiB": (_changed(16, b"\xff\xff\xff\xff"), "claims"),
    "key of 4 GiB": (_changed(20, b"\xff\xff\xff\xff"), "claims"),
    "key length short": (_changed(20, b"\1\0"), "promises"),
    "trailing": (serialize_pvk(key(), None) + b"\0\1", "promises"),
    "cut": (serialize_pvk(key(), None)[:-1], "promises"),
    "blob type": (_changed(_BLOB, b"\6"), "type 6"),
    "blob version": (_changed(_BLOB + 1, b"\3"), "version 3"),
    "algorithm": (_changed(_ALGORITHM, b"\0\0\0\0"), "algorithm"),
    "spec mismatch": (_changed(8, b"\2"), "signature"),
    "public key magic": (_changed(_MAGIC, b"RSA1"), "RSA2"),
    "DSA": (_changed(_MAGIC, b"DSS2"), "DSA"),
    "bits zero": (_changed(_BITS, bytes(4)), "0 bits"),
    "bits huge": (_changed(_BITS, b"\xff\xff\xff\x7f"), "bits"),
    "bits other": (_changed(_BITS, struct.pack("<I", 1032)), "take"),
    "modulus": (_flipped(_MODULUS), "product"),
    "modulus shorter": (_changed(_MODULUS + 127, b"\0"), "modulus"),
    "p": (_flipped(_P), "product"),
    "q": (_flipped(_Q), "product"),
    "dp": (_flipped(_DP), "CRT"),
    "dq": (_flipped(_DQ), "CRT"),
    "iq": (_flipped(_IQ), "CRT"),
    "d": (_flipped(_D), "CRT"),
    "exponent": (_flipped(_EXPONENT), "exponent"),
    "p zero": (_changed(_P, bytes(64)), "product"),
    "p one": (_changed(_P, b"\1" + bytes(63)), "product"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files(name: str) -> None:
    """Each is refused, with the reason; a password given or not makes no difference."""
    data, words = BROKEN[name]
    for password in (None, "secret"):
        with pytest.raises(MalformedDataError, match=words) as caught:
            load_pvk(data, password)
        assert not isinstance(caught.value, WrongPasswordError)


def test_a_composite_that_looks_like_a_key_is_refused() -> None:
    """P times q fits and so do the CRT values, but p is no prime."""
    numbers = key().private_numbers()
    p, q, e = numbers.p * 1 + 0, numbers.q, 65537
    p += 2  # odd, and no prime but by a chance of one in a hundred
    while pow(2, p - 1, p) == 1 or (p - 1) % e == 0:
        p += 2
    d = pow(e, -1, (p - 1) * (q - 1)) if _coprime(e, (p - 1) * (q - 1)) else 0
    fields = [(p * q, 128), (p, 64), (q, 64), (d % (p - 1), 64), (d % (q - 1), 64), (pow(q, -1, p), 64), (d, 128)]
    plain = serialize_pvk(key(), None)
    head = plain[:_MODULUS]
    data = head + b"".join(number.to_bytes(size, "little") for number, size in fields)
    with pytest.raises(MalformedDataError):
        load_pvk(data, None)


def _coprime(a: int, b: int) -> bool:
    while b:
        a, b = b, a % b
    return a == 1


@pytest.mark.parametrize("at", [_MODULUS, _P, _D, _MAGIC, _BITS])
def test_damage_under_encryption_is_told_from_a_wrong_password(at: int) -> None:
    """Whatever single field is damaged, the rest of the key proves that the password was right."""
    data = bytearray(serialize_pvk(key(), "secret"))
    data[at + 16] ^= 2  # the salt moves everything by 16; RC4 turns the same bit over
    with pytest.raises(MalformedDataError) as caught:
        load_pvk(bytes(data), "secret")
    assert not isinstance(caught.value, WrongPasswordError)
    with pytest.raises(WrongPasswordError):
        load_pvk(bytes(data), "wrong")


def test_what_the_writer_refuses() -> None:
    """Other keys, an exponent over 32 bits, an empty password, unknown words."""
    with pytest.raises(InvalidInputError, match="RSA"):
        serialize_pvk(ec.generate_private_key(ec.SECP256R1()), None)  # type: ignore[arg-type]
    for password in ("", "nul\0"):
        with pytest.raises(InvalidInputError, match="password"):
            serialize_pvk(key(), password)
    with pytest.raises(InvalidInputError, match="key_spec"):
        serialize_pvk(key(), None, key_spec="both")  # type: ignore[arg-type]
    numbers = key().private_numbers()
    p, q = numbers.p, numbers.q
    e = 2**40 + 15
    while not (_coprime(e, p - 1) and _coprime(e, q - 1)):
        e += 2
    d = pow(e, -1, (p - 1) * (q - 1))
    large = rsa.RSAPrivateNumbers(
        p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), rsa.RSAPublicNumbers(e, p * q)
    ).private_key()
    with pytest.raises(InvalidInputError, match="32 bits"):
        serialize_pvk(large, None)


def test_nothing_secret_in_reprs() -> None:
    """The key does not show."""
    assert "private_key" not in repr(load_pvk(serialize_pvk(key(), None), None))


# RFC 2268, section 5: key, effective bits, plaintext, ciphertext.
RC2_VECTORS = [
    ("0000000000000000", 63, "0000000000000000", "ebb773f993278eff"),
    ("ffffffffffffffff", 64, "ffffffffffffffff", "278b27e42e2f0d49"),
    ("3000000000000000", 64, "1000000000000001", "30649edf9be7d2c2"),
    ("88", 64, "0000000000000000", "61a8a244adacccf0"),
    ("88bca90e90875a", 64, "0000000000000000", "6ccf4308974c267f"),
    ("88bca90e90875a7f0f79c384627bafb2", 64, "0000000000000000", "1a807d272bbe5db1"),
    ("88bca90e90875a7f0f79c384627bafb2", 128, "0000000000000000", "2269552ab0f85ca6"),
]
# RFC 6229: the first bytes of the key stream.
RC4_VECTORS = [
    ("0102030405", "b2396305f03dc027ccc3524a0a1118a8"),
    ("0102030405060708090a0b0c0d0e0f10", "9ac7cc9a609d1ef7b2932899cde41b97"),
    ("833222772a", "80ad97bdc973df8a2e879e92a497efda"),
]


@pytest.mark.parametrize(("secret", "bits", "plain", "cipher"), RC2_VECTORS)
def test_rc2_vectors(secret: str, bits: int, plain: str, cipher: str) -> None:
    """Those of the RFC."""
    found = rc2_cbc_decrypt(bytes.fromhex(secret), bytes(8), bytes.fromhex(cipher), effective_bits=bits)
    assert found.hex() == plain


@pytest.mark.parametrize(("secret", "stream"), RC4_VECTORS)
def test_rc4_vectors(secret: str, stream: str) -> None:
    """Those of the RFC."""
    assert rc4(bytes.fromhex(secret), bytes(16)).hex() == stream


def test_old_ciphers_are_bounded() -> None:
    """They are slow, so large data is refused; so is half a block."""
    with pytest.raises(MalformedDataError, match="bytes encrypted"):
        rc4(b"key", bytes((1 << 20) + 1))
    with pytest.raises(MalformedDataError, match="whole number"):
        rc2_cbc_decrypt(b"key", bytes(8), bytes(9), effective_bits=24)
