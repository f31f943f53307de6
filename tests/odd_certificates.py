"""Certificates that can be parsed and are odd in one way each, and revocation lists likewise: what stores do hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, x448, x25519

from chains import (
    ECDSA_SHA256,
    NOW,
    Extension,
    Made,
    ec_key,
    extension,
    general_names,
    integer,
    key_usage,
    leaf,
    oid,
    root,
    rsa_spki,
    spki_of,
    time_of,
    tlv,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = root("Odd Root")
HOST = "odd.example.com"
PLAIN = leaf(ROOT, HOST)


def _rdns(*attributes: tuple[str, int, bytes]) -> bytes:
    """A name of one attribute each: type, string tag, octets."""
    return tlv(0x30, *(tlv(0x31, tlv(0x30, oid(kind), tlv(tag, octets))) for kind, tag, octets in attributes))


def _names() -> Iterator[tuple[str, bytes]]:
    common, country = "2.5.4.3", "2.5.4.6"
    yield "empty", b"\x30\x00"
    yield "empty-rdn", tlv(0x30, tlv(0x31))
    yield "empty-attribute", _rdns((common, 0x0C, b""))
    yield "t61", _rdns((common, 0x14, b"caf\xe9 \x1b[31m"))
    yield "bmp", _rdns((common, 0x1E, "Ünï".encode("utf-16-be")))
    yield "bmp-half-pair", _rdns((common, 0x1E, b"\xd8\x00\x00a"))
    yield "bmp-odd-length", _rdns((common, 0x1E, b"\x00a\x00"))
    yield "universal", _rdns((common, 0x1C, "Ünï".encode("utf-32-be")))
    yield "universal-too-high", _rdns((common, 0x1C, b"\x00\x11\x00\x00"))
    yield "utf8-broken", _rdns((common, 0x0C, b"\xff\xfe"))
    yield "printable-broken", _rdns((common, 0x13, b"a*\xe9@"))
    yield "bit-string", _rdns((common, 0x03, b"\x00ab"))
    yield "unique-identifier", _rdns(("2.5.4.45", 0x03, b"\x00ab"))
    yield "integer", _rdns((common, 0x02, b"\x05"))
    yield "null", _rdns((common, 0x05, b""))
    yield "numeric", _rdns((common, 0x12, b"1 2 3"))
    yield "general", _rdns((common, 0x1B, b"general"))
    yield "time", _rdns((common, 0x17, b"260101000000Z"))
    yield "sequence", _rdns((common, 0x30, b""))
    yield "country-of-three", _rdns((country, 0x13, b"DEU"), (common, 0x0C, HOST.encode()))
    yield "country-of-none", _rdns((country, 0x13, b""))
    yield "nul", _rdns((common, 0x0C, b"odd\0.example.com"))
    yield "controls", _rdns((common, 0x0C, "a\x1b]0;x\x07\r\n\u202e\u2028b".encode()))
    yield (
        "several-in-one-rdn",
        tlv(0x30, tlv(0x31, *(tlv(0x30, oid(common), tlv(0x0C, text)) for text in (b"a", b"b", HOST.encode())))),
    )
    yield "hundred-rdns", _rdns(*((common, 0x0C, b"%d" % number) for number in range(100)))
    yield "long", _rdns((common, 0x0C, b"x" * 70_000))
    yield "unknown-attribute", _rdns(("1.2.3.4.5.6", 0x0C, b"x"))
    yield "huge-oid", _rdns(("1.2." + "9" * 30, 0x0C, b"x"))
    yield "component", _rdns(("0.9.2342.19200300.100.1.25", 0x16, b"ex\xe4mple"))


_DNS, _MAIL, _URI, _DIR, _X400, _EDI, _RID, _IP, _OTHER = 0x82, 0x81, 0x86, 0xA4, 0xA3, 0xA5, 0x88, 0x87, 0xA0


def _general_names() -> Iterator[tuple[str, bytes]]:
    yield "empty", b""
    yield "empty-dns", tlv(_DNS)
    yield "nul", tlv(_DNS, b"odd.example.com\0.evil.test")
    yield "eight-bit", tlv(_DNS, b"caf\xe9.example.com")
    yield "utf8", tlv(_DNS, "café.example.com".encode())
    yield "bad-a-label", tlv(_DNS, b"xn--a.example.com") + tlv(_DNS, b"xn--.com") + tlv(_DNS, b"xn--99999999999.com")
    yield "long-dns", tlv(_DNS, b"a" * 5000)
    yield "dots", tlv(_DNS, b"..") + tlv(_DNS, b".") + tlv(_DNS, b"*") + tlv(_DNS, b"*.") + tlv(_DNS, b"*.com")
    yield "controls", tlv(_DNS, b"a\x1b[31m\r\nb.example.com")
    yield "mail-idn", tlv(_MAIL, "jörg@exämple.com".encode()) + tlv(_MAIL, b"") + tlv(_MAIL, b"@")
    yield "uri", tlv(_URI, b"http://[::1") + tlv(_URI, "http://exämple.com/ü".encode()) + tlv(_URI, b"")
    yield "directory", tlv(_DIR, _rdns(("2.5.4.3", 0x14, b"caf\xe9"))) + tlv(_DNS, HOST.encode())
    yield "directory-broken", tlv(_DIR, _rdns(("2.5.4.3", 0x03, b"\x00a"))) + tlv(_DNS, HOST.encode())
    yield "directory-country", tlv(_DIR, _rdns(("2.5.4.6", 0x13, b"DEU"))) + tlv(_DNS, HOST.encode())
    yield "x400", tlv(_X400, b"\x30\x00")
    yield "edi-party", tlv(_EDI, tlv(0xA1, tlv(0x0C, b"party")))
    yield "registered", tlv(_RID, b"\x2a\x03\x04")
    yield "registered-broken", tlv(_RID, b"\x80")
    yield "other", tlv(_OTHER, oid("1.3.6.1.4.1.311.20.2.3"), tlv(0xA0, tlv(0x0C, b"user@example.com")))
    yield "other-empty", tlv(_OTHER, oid("1.2.3"), tlv(0xA0))
    yield "address-of-three", tlv(_IP, b"abc")
    yield "address-of-none", tlv(_IP)
    yield "network", tlv(_IP, bytes((10, 0, 0, 0, 255, 0, 0, 0)))
    yield "network-with-holes", tlv(_IP, bytes((10, 0, 0, 0, 255, 0, 255, 0)))
    yield "unknown-tag", tlv(0x8B, b"x")
    yield "thousands", b"".join(tlv(_DNS, b"%d.example.com" % number) for number in range(3000))


def _extensions() -> Iterator[tuple[str, Extension]]:
    def one(dotted: str, value: bytes, *, critical: bool = False) -> Extension:
        return Extension(dotted, critical, value)

    tls_feature = "1.3.6.1.5.5.7.1.24"
    yield "tls-feature-37", one(tls_feature, tlv(0x30, integer(37)))
    yield "tls-feature-huge", one(tls_feature, tlv(0x30, integer(2**70)))
    yield "tls-feature-negative", one(tls_feature, tlv(0x30, integer(-1)), critical=True)
    yield "tls-feature-empty", one(tls_feature, tlv(0x30))
    for dotted in (
        *("2.5.29.14", "2.5.29.15", "2.5.29.17", "2.5.29.18", "2.5.29.19", "2.5.29.30", "2.5.29.31", "2.5.29.32"),
        *("2.5.29.33", "2.5.29.35", "2.5.29.36", "2.5.29.37", "2.5.29.46", "2.5.29.54", "1.3.6.1.5.5.7.1.1"),
        *("1.3.6.1.5.5.7.1.11", "1.3.6.1.4.1.11129.2.4.2", "1.3.6.1.4.1.11129.2.4.3", "1.3.6.1.5.5.7.48.1.5"),
        *("1.3.6.1.4.1.311.21.7", "2.5.29.16", "1.3.6.1.5.5.7.1.3", "1.3.36.8.3.3"),
    ):
        yield f"{dotted}-rubbish", one(dotted, b"\xff\xff\xff")
        yield f"{dotted}-empty", one(dotted, b"")
        yield f"{dotted}-empty-sequence", one(dotted, b"\x30\x00")
    yield "unknown", one("1.2.3.4", b"anything")
    yield "unknown-critical", one("1.2.3.4", b"anything", critical=True)
    yield "huge", one("1.2.3.4", bytes(100_000))
    yield "scts-rubbish", one("1.3.6.1.4.1.11129.2.4.2", tlv(0x04, b"\x00\x04\x00\x02\xff\xff"))
    yield "scts-version", one("1.3.6.1.4.1.11129.2.4.2", tlv(0x04, b"\x00\x33\x00\x31" + b"\x05" + bytes(48)))
    sct = bytes(33) + b"\xff" * 8 + b"\x00\x00" + b"\x04\x03" + b"\x00\x02ab"  # a time in the year 584,556,019
    sct = len(sct).to_bytes(2, "big") + sct
    yield "scts-far-future", one("1.3.6.1.4.1.11129.2.4.2", tlv(0x04, len(sct).to_bytes(2, "big") + sct))
    notice = tlv(0x30, tlv(0x30, tlv(0x1A, b"\xff\xfevisible"), tlv(0x30, integer(2**80), integer(-1))))
    qualifier = tlv(0x30, oid("1.3.6.1.5.5.7.2.2"), notice)
    yield "policy-notice", one("2.5.29.32", tlv(0x30, tlv(0x30, oid("1.2.3"), tlv(0x30, qualifier))))
    visible = tlv(0x30, oid("1.3.6.1.5.5.7.2.2"), tlv(0x30, tlv(0x1A, "vïsible".encode())))
    yield "policy-visible-utf8", one("2.5.29.32", tlv(0x30, tlv(0x30, oid("1.2.3"), tlv(0x30, visible))))
    unknown = tlv(0x30, oid("1.2.3.4"), b"\x05\x00")
    yield "policy-unknown-qualifier", one("2.5.29.32", tlv(0x30, tlv(0x30, oid("1.2.3"), tlv(0x30, unknown))))
    yield "policy-twice", one("2.5.29.32", tlv(0x30, tlv(0x30, oid("1.2.3")), tlv(0x30, oid("1.2.3"))))
    for label, names in _general_names():
        yield f"crl-point-{label}", one("2.5.29.31", tlv(0x30, tlv(0x30, tlv(0xA0, tlv(0xA0, names)))))
        yield f"issuer-alternative-{label}", one("2.5.29.18", tlv(0x30, names))
        yield f"constraints-{label}", one("2.5.29.30", tlv(0x30, tlv(0xA0, tlv(0x30, names))), critical=True)
        yield f"authority-key-{label}", one("2.5.29.35", tlv(0x30, tlv(0xA1, names), tlv(0x82, b"\xfb")))
        yield f"access-{label}", one("1.3.6.1.5.5.7.1.1", tlv(0x30, tlv(0x30, oid("1.3.6.1.5.5.7.48.2"), names)))
    relative = tlv(0x30, oid("2.5.4.3"), tlv(0x14, b"\xe9"))
    yield "crl-point-relative", one("2.5.29.31", tlv(0x30, tlv(0x30, tlv(0xA0, tlv(0xA1, relative)))))
    yield "crl-point-reasons", one("2.5.29.31", tlv(0x30, tlv(0x30, tlv(0x81, b"\x00\xff\xff\xff"))))
    yield "path-length-huge", one("2.5.29.19", tlv(0x30, b"\x01\x01\xff", integer(2**200)), critical=True)
    yield "path-length-negative", one("2.5.29.19", tlv(0x30, b"\x01\x01\xff", integer(-5)), critical=True)
    yield "path-length-of-a-leaf", one("2.5.29.19", tlv(0x30, integer(3)), critical=True)
    yield "key-usage-empty", one("2.5.29.15", b"\x03\x01\x00", critical=True)
    yield "key-usage-long", one("2.5.29.15", b"\x03\x05\x00\xff\xff\xff\xff", critical=True)
    yield "purposes-odd", one("2.5.29.37", tlv(0x30, oid("2.999.1"), oid("1.3.6.1.5.5.7.3.1")))
    yield "period-of-use", one("2.5.29.16", tlv(0x30, tlv(0x80, b"19400101000000Z")))
    yield "inhibit-huge", one("2.5.29.54", integer(2**90), critical=True)
    yield "template", one("1.3.6.1.4.1.311.21.7", tlv(0x30, oid("1.2.3"), integer(-1), integer(2**90)))


def _bits(algorithm: bytes, content: bytes) -> bytes:
    return tlv(0x30, algorithm, tlv(0x03, b"\0", content))


def _public_keys() -> Iterator[tuple[str, bytes]]:
    modulus = int("c" + "5" * 511, 16)
    yield "rsa-exponent-1", rsa_spki(modulus, 1)
    yield "rsa-exponent-even", rsa_spki(modulus, 4)
    yield "rsa-exponent-huge", rsa_spki(modulus, 2**2000 + 1)
    yield "rsa-exponent-negative", rsa_spki(modulus, -3)
    yield "rsa-tiny", rsa_spki(15, 3)
    yield "rsa-zero", rsa_spki(0, 0)
    yield "rsa-negative", rsa_spki(-modulus, 65537)
    yield "rsa-16384", rsa_spki(2**16383 + 1, 65537)
    yield "rsa-rubbish", _bits(bytes.fromhex("300d06092a864886f70d0101010500"), b"rubbish")
    yield "rsa-without-null", _bits(tlv(0x30, oid("1.2.840.113549.1.1.1")), tlv(0x30, integer(modulus), integer(3)))
    pss = oid("1.2.840.113549.1.1.10")
    numbers = tlv(0x30, integer(modulus), integer(65537))
    yield "pss", _bits(tlv(0x30, pss), numbers)
    yield "pss-empty", _bits(tlv(0x30, pss, tlv(0x30)), numbers)
    yield "pss-odd-salt", _bits(tlv(0x30, pss, tlv(0x30, tlv(0xA2, integer(-1)))), numbers)
    yield "pss-odd-hash", _bits(tlv(0x30, pss, tlv(0x30, tlv(0xA0, tlv(0x30, oid("1.2.3"))))), numbers)
    ecc = oid("1.2.840.10045.2.1")
    yield "ec-off-the-curve", _bits(tlv(0x30, ecc, oid("1.2.840.10045.3.1.7")), b"\x04" + b"\x01" * 64)
    yield "ec-infinity", _bits(tlv(0x30, ecc, oid("1.2.840.10045.3.1.7")), b"\x00")
    yield "ec-empty", _bits(tlv(0x30, ecc, oid("1.2.840.10045.3.1.7")), b"")
    yield "ec-compressed", _bits(tlv(0x30, ecc, oid("1.2.840.10045.3.1.7")), b"\x02" + b"\x01" * 32)
    yield "ec-unknown-curve", _bits(tlv(0x30, ecc, oid("1.2.3.4")), b"\x04" + b"\x01" * 64)
    yield "ec-implicit", _bits(tlv(0x30, ecc, b"\x05\x00"), b"\x04" + b"\x01" * 64)
    yield "ec-without-curve", _bits(tlv(0x30, ecc), b"\x04" + b"\x01" * 64)
    field = tlv(0x30, oid("1.2.840.10045.1.1"), integer(2**255 - 19))
    explicit = tlv(0x30, integer(1), field, tlv(0x30, tlv(0x04, b"a"), tlv(0x04, b"b")), tlv(0x04, b"\x04"), integer(7))
    yield "ec-explicit", _bits(tlv(0x30, ecc, explicit), b"\x04" + b"\x01" * 64)
    for curve in (ec.SECP192R1, ec.SECP224R1, ec.SECP521R1, ec.SECP256K1, ec.BrainpoolP256R1):
        with_curve = _spki_or_none(curve)
        if with_curve is not None:  # as OpenSSL was built
            yield f"ec-{curve.name}", with_curve
    yield "ed25519", spki_of(ed25519.Ed25519PrivateKey.from_private_bytes(b"\1" * 32))
    yield "ed448", spki_of(ed448.Ed448PrivateKey.from_private_bytes(b"\1" * 57))
    yield "x25519", spki_of(x25519.X25519PrivateKey.from_private_bytes(b"\1" * 32))
    yield "x448", spki_of(x448.X448PrivateKey.from_private_bytes(b"\1" * 56))
    yield "ed25519-short", _bits(tlv(0x30, oid("1.3.101.112")), bytes(31))
    yield "ed448-long", _bits(tlv(0x30, oid("1.3.101.113")), bytes(58))
    yield "x25519-short", _bits(tlv(0x30, oid("1.3.101.110")), bytes(3))
    yield "x448-empty", _bits(tlv(0x30, oid("1.3.101.111")), b"")
    yield "dsa", _bits(tlv(0x30, oid("1.2.840.10040.4.1"), tlv(0x30, *map(integer, _DSA))), integer(5))
    yield "dsa-without-parameters", _bits(tlv(0x30, oid("1.2.840.10040.4.1")), integer(5))
    yield "dsa-rubbish", _bits(tlv(0x30, oid("1.2.840.10040.4.1"), tlv(0x30, *map(integer, (0, 0, 0)))), integer(0))
    yield "dh", _bits(tlv(0x30, oid("1.2.840.113549.1.3.1"), tlv(0x30, integer(23), integer(5))), integer(8))
    gost = tlv(0x30, oid("1.2.643.2.2.35.1"), oid("1.2.643.2.2.30.1"))
    yield "gost", _bits(tlv(0x30, oid("1.2.643.2.2.19"), gost), tlv(0x04, bytes(64)))
    yield "sm2", _bits(tlv(0x30, ecc, oid("1.2.156.10197.1.301")), b"\x04" + b"\x01" * 64)
    yield "ml-dsa", _bits(tlv(0x30, oid("2.16.840.1.101.3.4.3.17")), bytes(1312))
    yield "ml-kem-short", _bits(tlv(0x30, oid("2.16.840.1.101.3.4.4.2")), bytes(7))
    yield "unknown", _bits(tlv(0x30, oid("1.2.3.4")), b"key")
    yield "spare-bits", tlv(0x30, tlv(0x30, ecc, oid("1.2.840.10045.3.1.7")), tlv(0x03, b"\x07", b"\x04" + bytes(64)))


_DSA = (2**1023 + 1155, 2**159 + 7, 4)


def _spki_or_none(curve: type[ec.EllipticCurve]) -> bytes | None:
    try:
        return spki_of(ec_key(5, curve))
    except Exception:  # noqa: BLE001 -- OpenSSL without that curve says so in several ways
        return None


def _algorithms() -> Iterator[tuple[str, bytes]]:
    yield "md2", tlv(0x30, oid("1.2.840.113549.1.1.2"), b"\x05\x00")
    yield "md5", tlv(0x30, oid("1.2.840.113549.1.1.4"), b"\x05\x00")
    yield "sha1", tlv(0x30, oid("1.2.840.113549.1.1.5"), b"\x05\x00")
    yield "gost", tlv(0x30, oid("1.2.643.2.2.3"))
    yield "sm2", tlv(0x30, oid("1.2.156.10197.1.501"))
    yield "dsa", tlv(0x30, oid("1.2.840.10040.4.3"))
    yield "unknown", tlv(0x30, oid("1.2.3.4"), b"\x05\x00")
    yield "ed25519", tlv(0x30, oid("1.3.101.112"))
    yield "ecdsa-with-parameters", tlv(0x30, oid("1.2.840.10045.4.3.2"), b"\x05\x00")
    pss = oid("1.2.840.113549.1.1.10")
    yield "pss-bare", tlv(0x30, pss)
    yield "pss-empty", tlv(0x30, pss, tlv(0x30))
    yield "pss-hash", tlv(0x30, pss, tlv(0x30, tlv(0xA0, tlv(0x30, oid("1.2.3.4")))))
    mgf = tlv(0xA1, tlv(0x30, oid("1.2.840.113549.1.1.8"), tlv(0x30, oid("1.2.3.4"))))
    yield "pss-mask", tlv(0x30, pss, tlv(0x30, mgf))
    yield "pss-salt", tlv(0x30, pss, tlv(0x30, tlv(0xA2, integer(2**70))))
    yield "pss-trailer", tlv(0x30, pss, tlv(0x30, tlv(0xA3, integer(7))))


def _made() -> Iterator[tuple[str, Made]]:
    for serial in (0, -1, -(2**159), 2**159, 2**2000):
        yield f"serial-{serial.bit_length() * (-1 if serial < 0 else 1)}-bits", replace(PLAIN, serial=serial)
    for label, der in _names():
        yield f"subject-{label}", replace(PLAIN, subject=der)
        yield f"issuer-{label}", replace(PLAIN, issuer=der)
        yield f"self-issued-{label}", replace(ROOT, subject=der, issuer=der)
    for label, names in _general_names():
        yield f"san-{label}", PLAIN.with_extension(Extension("2.5.29.17", False, tlv(0x30, names)))
    for label, one in _extensions():
        yield f"extension-{label}", PLAIN.with_extension(one)
        if one.oid in ("2.5.29.19", "2.5.29.30", "2.5.29.15", "2.5.29.14", "1.3.6.1.5.5.7.1.24"):
            yield f"authority-{label}", ROOT.with_extension(one)
    for label, spki in _public_keys():
        yield f"key-{label}", replace(PLAIN, spki=spki)
        yield f"root-key-{label}", replace(ROOT, spki=spki)
    for label, algorithm in _algorithms():
        yield f"signature-{label}", replace(PLAIN, algorithm=algorithm)
    yield "signature-two-algorithms", replace(PLAIN, outer_algorithm=tlv(0x30, oid("1.2.3")))
    for year in (1000, 1940, 1949, 1950, 2049, 2050, 9999):
        moment = datetime(year, 12, 31, 23, 59, 59, tzinfo=timezone.utc)
        for tag in (0x17, 0x18):
            yield f"ends-{year}-{tag:x}", replace(PLAIN, not_after=moment, time_tags=(None, tag))
            yield f"begins-{year}-{tag:x}", replace(PLAIN, not_before=moment, time_tags=(tag, None))
    yield (
        "for-ever",
        replace(
            PLAIN,
            not_before=datetime(1000, 1, 1, tzinfo=timezone.utc),
            not_after=datetime(9999, 12, 31, 23, 59, 59, tzinfo=timezone.utc),
            time_tags=(0x18, 0x18),
        ),
    )
    yield "version-1", replace(PLAIN, version=1)
    yield "version-1-bare", replace(PLAIN, version=1, extensions=())
    yield "version-2", replace(PLAIN, version=2)
    yield "version-5", replace(PLAIN, version=6)
    yield "unique-ids", replace(PLAIN, unique_id=tlv(0x81, b"\0a") + tlv(0x82, b"\0b"))
    yield "no-extensions", replace(PLAIN, extensions=())
    san = extension(general_names(HOST))
    yield "san-twice", replace(PLAIN, extensions=(*PLAIN.extensions, san))
    yield "unknown-twice", replace(PLAIN, extensions=(*PLAIN.extensions, *[Extension("1.2.3", False, b"")] * 2))
    yield (
        "hundreds-of-extensions",
        replace(
            PLAIN, extensions=(*PLAIN.extensions, *(Extension(f"1.2.3.{number}", False, b"") for number in range(500)))
        ),
    )
    yield "usage-encipher-only", PLAIN.with_extension(key_usage(encipher_only=True, key_agreement=True))


def _corpus() -> dict[str, bytes]:
    """By what is odd: the DER of each that `cryptography` itself takes for a certificate, warnings aside."""
    return {label: made.der() for label, made in _made()}


CERTIFICATES = _corpus()
"""By what is odd about it, the DER. Leaves have the key `ec_key(3)`, roots `ROOT.key`, unless it is the key."""


def revocation_lists() -> dict[str, bytes]:
    """Revocation lists of `ROOT`, likewise, by what is odd about them."""
    entry = tlv(0x30, integer(5), time_of(NOW))
    plain = (b"\x02\x01\x01", ECDSA_SHA256, ROOT.subject, time_of(NOW), time_of(NOW), tlv(0x30, entry))

    def one(**changed: bytes) -> bytes:
        labels = ("version", "algorithm", "issuer", "begin", "end", "entries")
        parts = dict(zip(labels, plain, strict=True)) | changed
        return tlv(0x30, tlv(0x30, *parts.values()), ECDSA_SHA256, tlv(0x03, b"\0", b"\x30\x06" + integer(1) * 2))

    def extended(dotted: str, value: bytes) -> bytes:
        return tlv(0xA0, tlv(0x30, tlv(0x30, oid(dotted), tlv(0x04, value))))

    def entries(*parts: bytes) -> bytes:
        return tlv(0x30, tlv(0x30, *parts))

    old = tlv(0x18, b"19400101000000Z")
    found = {
        "plain": one(),
        "begins-1940": one(begin=old),
        "ends-1940": one(end=old),
        "ends-9999": one(end=tlv(0x18, b"99991231235959Z")),
        "no-end": one(end=b""),
        "entry-of-1940": one(entries=entries(integer(5), old)),
        "entry-serial-negative": one(entries=entries(integer(-5), time_of(NOW))),
        "entry-serial-zero": one(entries=entries(integer(0), time_of(NOW))),
        "entry-serial-huge": one(entries=entries(integer(2**3000), time_of(NOW))),
        "version-1": one(version=b""),
        "version-9": one(version=b"\x02\x01\x08"),
        "unknown-extension": one(more=extended("1.2.3.4", b"x")),
    }
    for dotted in ("2.5.29.20", "2.5.29.27", "2.5.29.28", "2.5.29.35", "2.5.29.18", "1.3.6.1.5.5.7.1.1"):
        for label, value in (("rubbish", b"\xff\xff"), ("negative", integer(-5)), ("huge", integer(2**300))):
            found[f"{dotted}-{label}"] = one(more=extended(dotted, value))
    for dotted in ("2.5.29.21", "2.5.29.24", "2.5.29.29", "1.2.3.4"):
        for label, value in (("rubbish", b"\xff"), ("reason-99", tlv(0x0A, b"\x63")), ("1940", old)):
            odd = tlv(0x30, tlv(0x30, oid(dotted), tlv(0x04, value)))
            found[f"entry-{dotted}-{label}"] = one(entries=entries(integer(5), time_of(NOW), odd))
    for label, der in _names():
        found[f"issuer-{label}"] = one(issuer=der)
    return found
