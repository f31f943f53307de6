"""Files below one megabyte that were made to cost: for `bench_hostile_files.py`, which reads each of them.

Everything is made in seconds although much of it looks like hours of work: the primes of huge RSA keys are those that
RFC 3526 and RFC 7919 publish as formulas, counts are just written down, and nothing is signed that nobody verifies.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from mlsssl._formats import der, identifiers, pvk
from mlsssl._formats.budget import LIMIT, PBKDF2, PKCS12
from mlsssl._formats.pkcs12.encryption import KeyDerivation, read_encryption

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST = 1_000_000
"""Bytes of the largest file here: the promise is about inputs below one megabyte."""

# ---- DER ----

RSA, EC, DSA = "1.2.840.113549.1.1.1", "1.2.840.10045.2.1", "1.2.840.10040.4.1"
DH = "1.2.840.113549.1.3.1"
SHA256_RSA = "1.2.840.113549.1.1.11"
DATA, ENCRYPTED = "1.2.840.113549.1.7.1", "1.2.840.113549.1.7.6"


def tlv(tag: int, *contents: bytes) -> bytes:
    """One element."""
    body = b"".join(contents)
    size = len(body)
    if size < 0x80:
        return bytes([tag, size]) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def seq(*contents: bytes) -> bytes:
    """A SEQUENCE."""
    return tlv(0x30, *contents)


def octets(contents: bytes) -> bytes:
    """An OCTET STRING."""
    return tlv(0x04, contents)


def num(value: int) -> bytes:
    """An INTEGER."""
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    """An OBJECT IDENTIFIER."""
    return der.write_oid(dotted)


def pem(label: str, der: bytes, headers: str = "") -> bytes:
    """PEM with one long line."""
    return (
        f"-----BEGIN {label}-----\n{headers}".encode() + base64.encodebytes(der) + f"-----END {label}-----\n".encode()
    )


# ---- primes by formula ----


def _pi(bits: int) -> int:
    """The first bits of pi, by Machin's formula."""
    one = 1 << bits + 64

    def arctan(inverse: int) -> int:
        term = total = one // inverse
        divisor, sign = 3, -1
        while term:
            term //= inverse * inverse
            total += sign * (term // divisor)
            divisor, sign = divisor + 2, -sign
        return total

    return 4 * (4 * arctan(5) - arctan(239)) >> 64


def _e(bits: int) -> int:
    """The first bits of e."""
    term, total, divisor = 1 << bits + 64, 0, 1
    while term:
        total += term
        term //= divisor
        divisor += 1
    return total >> 64


# What the two RFCs add to make the numbers prime.
_MODP = {2048: 124476, 4096: 240904, 8192: 4743158}
_FFDHE = {2048: 560316, 4096: 5736041, 8192: 10965728}


def huge_rsa(bits: int, *, spoiled: bool = False) -> rsa.RSAPrivateKey:
    """RSA-4096, 8192 or 16384 in no time; with `spoiled` one of its primes is none."""
    half = bits // 2
    p = 2**half - 2 ** (half - 64) - 1 + 2**64 * (_pi(half - 130) + _MODP[half])
    q = 2**half - 2 ** (half - 64) - 1 + 2**64 * (_e(half - 130) + _FFDHE[half])
    if spoiled:
        q += 2
        while q % 65537 == 1 or any(q % small == 0 for small in (3, 5, 7, 11, 13)):
            q += 2
    e = 65537
    d = pow(e, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(e, p * q)
    numbers = rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public)
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)


def pkcs8(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    """Unencrypted PKCS#8."""
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


# ---- encrypted keys ----

_AES = seq(oid("2.16.840.1.101.3.4.1.42"), octets(bytes(16)))
_HMAC_SHA512, _HMAC_SHA256 = "1.2.840.113549.2.11", "1.2.840.113549.2.9"


def _pbkdf2(iterations: int, prf: str = _HMAC_SHA256) -> bytes:
    kdf = seq(oid("1.2.840.113549.1.5.12"), seq(octets(b"saltsalt"), num(iterations), seq(oid(prf), tlv(5))))
    return seq(oid("1.2.840.113549.1.5.13"), seq(kdf, _AES))


def _scrypt(n: int, r: int, p: int) -> bytes:
    kdf = seq(oid("1.3.6.1.4.1.11591.4.11"), seq(octets(b"saltsalt"), num(n), num(r), num(p)))
    return seq(oid("1.2.840.113549.1.5.13"), seq(kdf, _AES))


def _pbes1(identifier: str, iterations: int) -> bytes:
    return seq(oid(identifier), seq(octets(b"saltsalt"), num(iterations)))


_3DES, _RC2, _RC4 = "1.2.840.113549.1.12.1.3", "1.2.840.113549.1.12.1.5", "1.2.840.113549.1.12.1.1"


def _sealed(algorithm: bytes, size: int = 320) -> bytes:
    return seq(algorithm, octets(bytes(size)))


def keys() -> Iterator[tuple[str, bytes]]:
    """Private keys of a few hundred or thousand bytes."""
    many = 2**31 - 1
    algorithms_of = {
        "PBKDF2 two thousand million rounds": _pbkdf2(many),
        "PBKDF2 SHA-512 just affordable": _pbkdf2(LIMIT // PBKDF2["SHA-512"] - 1000, _HMAC_SHA512),
        "PBKDF2 SHA-256 just affordable": _pbkdf2(LIMIT // PBKDF2["SHA-256"] - 1000),
        "scrypt 1 GiB": _scrypt(2**20, 8, 1),
        "scrypt 128 MiB": _scrypt(2**17, 8, 1),
        "scrypt 128 MiB twice": _scrypt(2**17, 8, 2),
        "scrypt a million lanes": _scrypt(2, 8, 2**20),
        "scrypt many lanes, just affordable": _scrypt(2, 8, 49_000),
        "PBES1 3DES two thousand million rounds": _pbes1(_3DES, many),
        "PBES1 3DES just affordable": _pbes1(_3DES, LIMIT // PKCS12["SHA-1"] // 3 - 1000),
        "PBES1 MD5 DES two thousand million rounds": _pbes1("1.2.840.113549.1.5.3", many),
        "PBES1 MD5 DES just affordable": _pbes1("1.2.840.113549.1.5.3", LIMIT // PKCS12["MD5"] // 2 - 1000),
    }
    for name, algorithm in algorithms_of.items():
        yield f"key, {name}", pem("ENCRYPTED PRIVATE KEY", _sealed(algorithm))
    for bits in (8192, 16384):
        key = huge_rsa(bits)
        yield f"key, RSA-{bits}", pem("PRIVATE KEY", pkcs8(key))
        yield f"key, RSA-{bits}, DER", pkcs8(key)
        old = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"secret"))
        yield f"key, RSA-{bits}, OpenSSL's old encryption", old
    yield "key, RSA-16384 with a composite", pem("PRIVATE KEY", pkcs8(huge_rsa(16384, spoiled=True)))
    q, g = 2**255 + 1, 3**40_000
    for size in (65_536, 20_000, 8_000):
        p, x = 2 ** (size - 1) + 1, 3 ** (size * 5 // 8)
        dsa = seq(num(0), seq(oid(DSA), seq(num(p), num(q), num(g % p))), octets(num(x)))
        yield f"key, DSA-{size}", pem("PRIVATE KEY", dsa)
        dh = seq(num(0), seq(oid(DH), seq(num(p), num(g % p))), octets(num(x)))
        yield f"key, Diffie-Hellman {size}", pem("PRIVATE KEY", dh)
    yield "key, nothing but octets", pem("PRIVATE KEY", bytes(700_000))
    yield "key, nested", b"\x30\x80" * 400_000
    yield "key, a modulus of a megabyte", seq(num(0), num(2**7_000_000 + 1), num(65537), *[num(3)] * 6)


# ---- PFX ----

_BAGS = {"key": identifiers.KEY_BAG, "sealed": identifiers.ENCRYPTED_KEY_BAG, "cert": identifiers.CERTIFICATE_BAG}


def _bag(kind: str, value: bytes, *attributes: bytes) -> bytes:
    if kind == "cert":
        value = seq(oid("1.2.840.113549.1.9.22.1"), tlv(0xA0, octets(value)))
    return seq(oid(_BAGS[kind]), tlv(0xA0, value), *([tlv(0x31, *attributes)] if attributes else []))


def _info(contents: bytes) -> bytes:
    return seq(oid(DATA), tlv(0xA0, octets(contents)))


def _sealed_info(algorithm: bytes, contents: bytes) -> bytes:
    content = seq(oid(DATA), algorithm, tlv(0x80, contents))
    return seq(oid(ENCRYPTED), tlv(0xA0, seq(num(0), content)))


def _pfx(*infos: bytes, mac: bytes = b"") -> bytes:
    return seq(num(3), _info(seq(*infos)), mac)


def _mac(iterations: int, identifier: str = "1.3.14.3.2.26", size: int = 20) -> bytes:
    return seq(seq(seq(oid(identifier), tlv(5)), octets(bytes(size))), octets(b"saltsalt"), num(iterations))


def _encrypt(algorithm: bytes, plain: bytes, password: str) -> bytes:
    encryption = read_encryption(der.only(algorithm))
    return encryption.encrypt(plain, password)


def certificate(
    key_info: bytes, *extensions: bytes, number: int = 1, subject: bytes = b"", signature: bytes = bytes(256)
) -> bytes:
    """A certificate that nobody signed."""
    algorithm = seq(oid(SHA256_RSA), tlv(5))
    times = seq(tlv(0x17, b"260101000000Z"), tlv(0x17, b"360101000000Z"))
    name = seq(tlv(0x31, seq(oid("2.5.4.3"), tlv(0x0C, b"Issuer"))))
    wrapped = tlv(0xA3, seq(*extensions)) if extensions else b""
    signed = seq(tlv(0xA0, num(2)), num(number), algorithm, name, times, subject or name, key_info, wrapped)
    return seq(signed, algorithm, tlv(0x03, b"\0", signature))


def key_info(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    """The public half."""
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def dh_info(bits: int) -> bytes:
    """A public key for Diffie-Hellman, whose check costs seconds."""
    p = (1 << bits - 1) | int.from_bytes(hashlib.shake_256(b"p").digest(bits // 8), "big") | 1
    y = int.from_bytes(hashlib.shake_256(b"y").digest(bits // 8 - 1), "big")
    return seq(seq(oid(DH), seq(num(p), num(2))), tlv(0x03, b"\0", num(y)))


def pfx_files() -> Iterator[tuple[str, bytes]]:
    """PFX files; `secret` opens those that are whole."""
    point = ec.generate_private_key(ec.SECP256R1())
    curve = ec.generate_private_key(ec.BrainpoolP512R1())
    small, big = rsa.generate_private_key(65537, 2048), huge_rsa(8192)
    cert = certificate(key_info(point))
    yield "PFX, 700 keys RSA-2048", _pfx(_info(seq(*[_bag("key", pkcs8(small))] * 700)))
    yield "PFX, 200 keys RSA-8192", _pfx(_info(seq(*[_bag("key", pkcs8(big))] * 200)))
    yield "PFX, one key RSA-16384", _pfx(_info(seq(_bag("key", pkcs8(huge_rsa(16384))), _bag("cert", cert))))
    yield "PFX, 6000 keys P-256", _pfx(_info(seq(*[_bag("key", pkcs8(point))] * 6000)))
    yield "PFX, 3500 keys brainpoolP512r1", _pfx(_info(seq(*[_bag("key", pkcs8(curve))] * 3500)))
    pairs = [_bag("key", pkcs8(point)), *[_bag("cert", certificate(key_info(point), number=n)) for n in range(1900)]]
    yield "PFX, a key and 1900 certificates", _pfx(_info(seq(*pairs)))
    strangers = [_bag("cert", certificate(dh_info(16384), number=n)) for n in range(200)]
    yield "PFX, a key and 200 Diffie-Hellman certificates", _pfx(_info(seq(_bag("key", pkcs8(point)), *strangers)))
    one = LIMIT // PKCS12["SHA-1"]
    yield "PFX, MAC two thousand million rounds", _pfx(_info(seq(_bag("cert", cert))), mac=_mac(2**31 - 1))
    yield "PFX, MAC just affordable", _pfx(_info(seq(_bag("cert", cert))), mac=_mac(one - 2000))
    yield (
        "PFX, MAC SHA-512 half affordable",
        _pfx(_info(seq(_bag("cert", cert))), mac=_mac(LIMIT // PKCS12["SHA-512"] // 2, "2.16.840.1.101.3.4.2.3", 64)),
    )
    parts = [_sealed_info(_pbes1(_3DES, one // 60), bytes(64))] * 15
    yield "PFX, 15 parts, together just affordable", _pfx(*parts, mac=_mac(one // 5))
    yield "PFX, RC2 megabyte", _pfx(_sealed_info(_pbes1(_RC2, 1), bytes(900_000)))
    yield "PFX, RC2 quarter of a megabyte", _pfx(_sealed_info(_pbes1(_RC2, 1), bytes(250_000)))
    yield "PFX, RC4 megabyte", _pfx(_sealed_info(_pbes1(_RC4, 1), bytes(900_000)))
    empty = _encrypt(_pbes1(_3DES, 1), seq(), "secret")
    yield "PFX, 9000 encrypted empty parts", _pfx(*[_sealed_info(_pbes1(_3DES, 1), empty)] * 9000)
    hidden = _bag("sealed", _sealed(_pbes1(_3DES, 2**31 - 1)))
    for rounds in (1000, 300_000):
        inside = _encrypt(_pbes1(_3DES, rounds), seq(_bag("cert", cert), hidden), "secret")
        visible = seq(_bag("key", pkcs8(point)))
        authenticated = seq(_info(visible), _sealed_info(_pbes1(_3DES, rounds), inside))
        kdf = KeyDerivation(kind="PKCS12", hash_name="SHA-1", salt=b"saltsalt", iterations=rounds)
        digest = _digest(kdf, authenticated)
        mac = seq(seq(seq(oid("1.3.14.3.2.26"), tlv(5)), octets(digest)), octets(b"saltsalt"), num(rounds))
        yield f"PFX, a key with endless rounds behind {rounds} of them", seq(num(3), _info(authenticated), mac)
    attributes = [seq(oid("1.2.3.4"), tlv(0x31, num(n % 100))) for n in range(900)]
    yield "PFX, bags with 900 attributes", _pfx(_info(seq(*[_bag("cert", cert, *attributes)] * 60)))
    yield "PFX, a hundred thousand pieces", seq(num(3), seq(oid(DATA), tlv(0xA0, tlv(0x24, *[octets(b"x")] * 300_000))))
    yield "PFX, nested", b"\x30\x80\x02\x01\x03" + b"\x30\x80" * 400_000
    yield "PFX, empty parts", _pfx(*[_info(seq())] * 9_900)


def _digest(kdf: KeyDerivation, data: bytes) -> bytes:
    return bytes(hmac.digest(kdf.derive("secret".encode("utf-16-be") + b"\0\0", 20, 3), data, "sha1"))


def pvk_files() -> Iterator[tuple[str, bytes]]:
    """PVK files."""
    for name, key in (("RSA-8192", huge_rsa(8192)), ("RSA-8192 with a composite", huge_rsa(8192, spoiled=True))):
        yield f"PVK, {name}", pvk.serialize_pvk(key, None)
        yield f"PVK, {name}, encrypted", pvk.serialize_pvk(key, "secret")


# ---- certificates, lists, requests ----


def _extension(dotted: str, value: bytes, *, critical: bool = False) -> bytes:
    return seq(oid(dotted), *([b"\x01\x01\xff"] if critical else []), octets(value))


def certificates() -> Iterator[tuple[str, bytes]]:
    """DER certificates of nearly a megabyte."""
    info = key_info(ec.generate_private_key(ec.SECP256R1()))
    rdn = tlv(0x31, seq(oid("2.5.4.3"), tlv(0x0C, b"a")))
    directory = tlv(0xA4, seq(tlv(0x31, seq(oid("2.5.4.3"), tlv(0x0C, b"a")))))
    kinds = {
        "DNS names": tlv(0x82, b"a.b"),
        "long DNS names": tlv(0x82, b"a." * 120 + b"b"),
        "odd DNS names": tlv(0x82, b"*.x--\xc3\xa9."[:5]),
        "addresses": tlv(0x87, b"\x0a\0\0\1"),
        "directory names": directory,
        "mail addresses": tlv(0x81, b"a@b"),
        "URIs": tlv(0x86, b"http://a/"),
        "registered ids": tlv(0x88, b"\x2a\3"),
    }
    for name, one in kinds.items():
        many = seq(*[one] * (900_000 // len(one)))
        yield f"certificate, {name}", certificate(info, _extension("2.5.29.17", many))
    dns = tlv(0x82, b"a.b")
    subtrees = seq(tlv(0xA0, *[seq(dns)] * 120_000))
    yield "certificate, name constraints", certificate(info, _extension("2.5.29.30", subtrees, critical=True))
    policies = [seq(oid(f"1.2.3.{number}")) for number in range(90_000)]
    yield "certificate, policies", certificate(info, _extension("2.5.29.32", seq(*policies)))
    same = seq(oid("1.2.3.4"))
    yield "certificate, one policy again and again", certificate(info, _extension("2.5.29.32", seq(*[same] * 90_000)))
    usages = [oid(f"1.2.3.{number}") for number in range(130_000)]
    yield "certificate, usages", certificate(info, _extension("2.5.29.37", seq(*usages)))
    others = [_extension(f"1.2.3.{number}", b"\5\0") for number in range(60_000)]
    yield "certificate, extensions", certificate(info, *others)
    twice = [_extension(f"1.2.3.{number}", b"\5\0") for number in range(50_000)]
    yield "certificate, extensions, one twice", certificate(info, *twice, twice[0])
    yield "certificate, extensions, one unreadable", certificate(info, *twice, _extension("2.5.29.17", b"\5\0"))
    points = [seq(tlv(0xA0, tlv(0xA0, tlv(0x86, b"http://a/")))) for _ in range(45_000)]
    yield "certificate, distribution points", certificate(info, _extension("2.5.29.31", seq(*points)))
    access = [seq(oid("1.3.6.1.5.5.7.48.1"), tlv(0x86, b"http://a/")) for _ in range(35_000)]
    yield "certificate, access descriptions", certificate(info, _extension("1.3.6.1.5.5.7.1.1", seq(*access)))
    yield "certificate, subject", certificate(info, subject=seq(*[rdn] * 70_000))
    yield (
        "certificate, subject of one RDN",
        certificate(info, subject=seq(tlv(0x31, *[seq(oid("2.5.4.3"), tlv(0x0C, b"a%d" % n)) for n in range(55_000)]))),
    )
    yield (
        "certificate, a long common name",
        certificate(info, subject=seq(tlv(0x31, seq(oid("2.5.4.3"), tlv(0x0C, b"a" * 900_000))))),
    )
    yield "certificate, a long serial number", certificate(info, number=2**7_000_000)
    modulus = seq(seq(oid(RSA), tlv(5)), tlv(0x03, b"\0", seq(num(2**7_000_000 + 1), num(65537))))
    yield "certificate, a modulus of a megabyte", certificate(modulus)
    for bits in (16384, 32768):
        yield f"certificate, Diffie-Hellman {bits}", certificate(dh_info(bits))
    huge = seq(seq(oid(RSA), tlv(5)), tlv(0x03, b"\0", seq(num(2**16383 + 1), num(2**16382 + 1))))
    yield "certificate, RSA-16384 with a long exponent", certificate(huge)
    yield "certificate, nested", b"\x30\x80" * 400_000
    arc = tlv(0x06, b"\x2a" + b"\x81" * 800_000 + b"\1")
    yield "certificate, a long object identifier", certificate(info, seq(arc, octets(b"\5\0")))


def bundles() -> Iterator[tuple[str, bytes]]:
    """Many certificates in PEM or PKCS#7."""
    info = key_info(ec.generate_private_key(ec.SECP256R1()))
    many = [certificate(info, number=number) for number in range(1, 1700)]
    yield "PEM, 999 certificates", b"".join(pem("CERTIFICATE", one) for one in many[:999])
    yield "PEM, a megabyte of beginnings", b"-----BEGIN CERTIFICATE-----\n" * 30_000
    yield "PEM, hyphens", b"-" * 900_000 + b"-----BEGIN CERTIFICATE-----"
    yield (
        "PEM, a key before certificates",
        pem("PRIVATE KEY", pkcs8(huge_rsa(8192))) + pem("CERTIFICATE", many[0]) * 900,
    )

    def bag(*members: bytes) -> bytes:
        signed = seq(num(1), tlv(0x31), seq(oid(DATA)), tlv(0xA0, *members), tlv(0x31))
        return seq(oid("1.2.840.113549.1.7.2"), tlv(0xA0, signed))

    yield "PKCS#7, 1699 certificates", bag(*many)
    yield "PKCS#7, 200 Diffie-Hellman certificates", bag(*[certificate(dh_info(16384), number=n) for n in range(200)])
    yield "PKCS#7, other things", bag(*[tlv(0xA1, b"")] * 400_000)
    yield "PKCS#7, nested", b"\x30\x80\x06\x01\x2a" + b"\xa0\x80" * 400_000
    yield (
        "PKCS#7, one huge certificate",
        bag(certificate(info, _extension("2.5.29.17", seq(*[tlv(0x82, b"a.b")] * 170_000)))),
    )


def requests() -> Iterator[tuple[str, bytes]]:
    """Certificate requests, signed by whom they say where that matters."""
    key = ec.generate_private_key(ec.SECP256R1())

    def request(key_info: bytes, *extensions: bytes, signer: ec.EllipticCurvePrivateKey | None = None) -> bytes:
        wanted = seq(oid("1.2.840.113549.1.9.14"), tlv(0x31, seq(*extensions)))
        signed = seq(num(0), seq(), key_info, tlv(0xA0, wanted))
        if signer is None:
            return seq(signed, seq(oid(SHA256_RSA), tlv(5)), tlv(0x03, b"\0", bytes(2048)))
        signature = signer.sign(signed, ec.ECDSA(hashes.SHA256()))
        return seq(signed, seq(oid("1.2.840.10045.4.3.2")), tlv(0x03, b"\0", signature))

    own = key_info(key)
    yield "request, DNS names", request(own, _extension("2.5.29.17", seq(*[tlv(0x82, b"a.b")] * 170_000)), signer=key)
    yield (
        "request, different DNS names",
        request(own, _extension("2.5.29.17", seq(*[tlv(0x82, b"h%d.example" % n) for n in range(60_000)])), signer=key),
    )
    yield "request, extensions", request(own, *[_extension(f"1.2.3.{n}", b"\5\0") for n in range(60_000)], signer=key)
    for bits in (16384, 32768):
        yield f"request, Diffie-Hellman {bits}", request(dh_info(bits))
    huge = seq(seq(oid(RSA), tlv(5)), tlv(0x03, b"\0", seq(num(2**16383 + 1), num(2**64 - 59))))
    yield "request, RSA-16384", request(huge)


def crls(issuer_key: ec.EllipticCurvePrivateKey, name: bytes) -> Iterator[tuple[str, bytes]]:
    """Revocation lists of one authority."""

    def crl(*entries: bytes) -> bytes:
        algorithm = seq(oid("1.2.840.10045.4.3.2"))
        times = tlv(0x17, b"260101000000Z") + tlv(0x17, b"360101000000Z")
        number = tlv(0xA0, seq(_extension("2.5.29.20", num(1))))
        signed = seq(num(1), algorithm, name, times, seq(*entries), number)
        signature = issuer_key.sign(signed, ec.ECDSA(hashes.SHA256()))
        return seq(signed, algorithm, tlv(0x03, b"\0", signature))

    when = tlv(0x17, b"260101000000Z")
    yield "list, 40000 entries", crl(*[seq(num(number), when) for number in range(40_000)])
    odd = seq(_extension("2.5.29.21", tlv(0x0A, b"\1"), critical=True))
    yield "list, 25000 entries with something critical", crl(*[seq(num(number), when, odd) for number in range(25_000)])
    three = seq(*[_extension(f"1.2.3.{number}", b"\5\0") for number in range(3000)])
    yield "list, entries with 3000 extensions each", crl(*[seq(num(number), when, three) for number in range(20)])
    yield "list, a million bytes of one entry", crl(seq(num(2**7_000_000), when))


def chain_of(count: int, *, bits: int = 0) -> tuple[bytes, list[bytes]]:
    """A leaf and its would-be issuers, all of one name, none of which made the signature."""
    subject = seq(tlv(0x31, seq(oid("2.5.4.3"), tlv(0x0C, b"Issuer"))))
    basic = _extension("2.5.29.19", seq(b"\x01\x01\xff"), critical=True)
    usage = _extension("2.5.29.15", tlv(0x03, b"\2\4"), critical=True)

    def info(number: int) -> bytes:
        modulus = 2 ** (bits - 1) + 2 * number + 1
        return seq(seq(oid(RSA), tlv(5)), tlv(0x03, b"\0", seq(num(modulus), num(2**63 + 1))))

    issuers = [certificate(info(n), basic, usage, number=n + 1, subject=subject) for n in range(count)]
    names = _extension("2.5.29.17", seq(tlv(0x82, b"www.example.com")))
    leaf = certificate(info(count), names, number=count + 1, subject=seq(), signature=b"\1" * (bits // 8))
    return leaf, issuers


_FAMILY_KEY = ec.derive_private_key(7, ec.SECP256R1())


def family() -> tuple[bytes, bytes]:
    """A leaf and its root, whose key signs the revocation lists of `crls`."""
    from mlsssl import CertificateAuthority

    root = CertificateAuthority.create("Issuer", key=_FAMILY_KEY)
    return root.issue("www.example.com", key="ec-p256").to_der(), root.certificate.to_der()


def netsh_listings() -> Iterator[tuple[str, bytes]]:
    """What stands for the output of `netsh http show sslcert`."""
    yield "netsh, colons", b"a : b\n" * 160_000
    yield "netsh, one line", b"a" * 900_000
    yield "netsh, blanks", b" " * 900_000 + b":"
    yield "netsh, keys without records", b"    IP:port : 0.0.0.0:443\n" * 35_000
    record = (
        b"    IP:port : 0.0.0.0:443\n    Hash : 18e1628ac1cd7cae3495e718f87e5b6188193c81\n"
        b"    App : {9168e8b4-df4b-497c-918e-36ebc2c69732}\n"
    )
    rest = b"".join(b"    F%d : Enabled\n" % number for number in range(10))
    yield "netsh, records", (record + rest + b"\n") * 2500
    yield "netsh, numbers", record + b"    Time : " + b"9" * 900_000
    yield "netsh, braces", b"{" * 900_000
    yield "netsh, thousands of commands on a line", (b"netsh " + b"http show ssl;" * 2_300 + b"\n") * 27
    yield "netsh, thousands of quoted commands on a line", (b'netsh "' + b"http show ssl'" * 2_300 + b"\n") * 27
    yield "netsh, lines that are passed over", b"netsh http\n" * 80_000
    yield "netsh, one line that is continued", b"netsh http^\n" * 80_000
    yield "netsh, headings", (b"SSL" * 60 + b"\n-----\n----\n") * 4_500
    yield "netsh, words that could be it", (b"netsh " * 5_400 + b"\n") * 27
    yield "netsh, hexadecimal digits", b"    a : " + b"ab" * 450_000
    yield "netsh, quotes", b"netsh http add sslcert " + b'"' * 900_000
    yield "netsh, options", b"netsh http add sslcert " + b"a=b " * 200_000
    yield "netsh, commands", b"netsh http add sslcert\n" * 38_000
    yield "netsh, continued lines", b"netsh http add sslcert ^\n" * 36_000


def files() -> Iterator[tuple[str, bytes]]:
    """All of them: the kind of file before the first comma, then what is the matter with it."""
    yield from keys()
    yield from pfx_files()
    yield from pvk_files()
    yield from certificates()
    yield from bundles()
    yield from requests()
    name = seq(tlv(0x31, seq(oid("2.5.4.3"), tlv(0x0C, b"Issuer"))))
    yield from crls(_FAMILY_KEY, name)
    for count, bits in ((270, 16384), (700, 2048)):
        leaf, issuers = chain_of(count, bits=bits)
        yield f"chain, {count} issuers RSA-{bits}", b"".join(pem("CERTIFICATE", one) for one in [leaf, *issuers][:999])
    yield from netsh_listings()
    yield "password, a megabyte", b"a" * 999_000
    yield "password, lines", b"\n" * 999_000
