"""Certificates that `cryptography` refuses for one odd field each, rightly signed; other programs read nearly all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from chains import ECDSA_SHA256, NOW, ec_key, general_names, integer, name, oid, rsa_key, spki_of, time_of, tlv
from odd_certificates import HOST, PLAIN, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

TRUE, FALSE = b"\x01\x01\xff", b"\x01\x01\x00"
_CN, _O, _C, _DC, _MAIL = "2.5.4.3", "2.5.4.10", "2.5.4.6", "0.9.2342.19200300.100.1.25", "1.2.840.113549.1.9.1"
_BEGIN, _END = time_of(PLAIN.not_before), time_of(PLAIN.not_after)


def signed(**changed: bytes) -> bytes:
    """A leaf for `HOST` below `ROOT` in which these fields are the octets given; signed as it then is."""
    parts = {
        "version": tlv(0xA0, integer(2)),
        "serial": integer(PLAIN.serial),
        "algorithm": ECDSA_SHA256,
        "issuer": ROOT.subject,
        "validity": tlv(0x30, _BEGIN, _END),
        "subject": name(HOST),
        "spki": spki_of(PLAIN.key),
        "ids": b"",
        "extensions": tlv(0xA3, tlv(0x30, *(_extension(e.oid, e.value, e.critical) for e in PLAIN.extensions))),
        "more": b"",
    }
    outer = changed.pop("outer", changed.get("algorithm", ECDSA_SHA256))
    spare, behind = changed.pop("spare", b"\0"), changed.pop("behind", b"")
    parts |= changed
    assert len(parts) == 10
    content = tlv(0x30, *parts.values())
    assert isinstance(ROOT.signer, ec.EllipticCurvePrivateKey)
    signature = ROOT.signer.sign(content, ec.ECDSA(hashes.SHA256()))
    return tlv(0x30, content, outer, tlv(0x03, spare, signature, b"\xff" if spare != b"\0" else b""), behind)


def _extension(dotted: str, value: bytes, critical: bool | bytes = b"") -> bytes:
    flag = critical if isinstance(critical, bytes) else TRUE if critical else b""
    return tlv(0x30, oid(dotted), flag, tlv(0x04, value))


def attributes(*given: tuple[str, int, bytes]) -> bytes:
    """A name of one attribute each: type, string tag, octets."""
    return tlv(0x30, *(tlv(0x31, tlv(0x30, oid(kind), tlv(tag, octets))) for kind, tag, octets in given))


def _subjects() -> Iterator[tuple[str, bytes]]:
    common = (_CN, 0x0C, HOST.encode())
    yield "t61-latin1", attributes((_O, 0x14, "Müller & Söhne".encode("latin-1")), common)
    yield "t61-utf8", attributes((_O, 0x14, "Müller".encode()), common)
    yield "t61-escape", attributes((_O, 0x14, b"a\x1b[31m\xe9"), common)
    yield "printable", attributes((_CN, 0x13, b"my_host*&@.example.com"))
    yield "printable-latin1", attributes((_O, 0x13, b"M\xfcller"), common)
    yield "printable-utf8", attributes((_O, 0x13, "Müller".encode()), common)
    yield "utf8-latin1", attributes((_O, 0x0C, b"M\xfcller"), common)
    yield "ia5-latin1", attributes((_MAIL, 0x16, b"j\xf6rg@example.com"), common)
    yield "ia5-utf8", attributes((_DC, 0x16, "exämple".encode()), common)
    yield "visible-latin1", attributes((_O, 0x1A, b"M\xfcller"), common)
    yield "numeric-letters", attributes(("2.5.4.5", 0x12, b"AB-12"), common)
    yield "bmp-odd", attributes((_O, 0x1E, b"\0a\0"), common)
    yield "bmp-half-pair", attributes((_O, 0x1E, b"\xd8\0\0a"), common)
    yield "universal-odd", attributes((_O, 0x1C, b"\0\0\0a\0"), common)
    yield "universal-too-high", attributes((_O, 0x1C, b"\0\x11\0\0"), common)
    yield "general", attributes((_O, 0x1B, b"general"), common)
    yield "videotex", attributes((_O, 0x15, b"video"), common)
    yield "integer", attributes((_O, 0x02, b"\x05"), common)
    yield "null", attributes((_O, 0x05, b""), common)
    yield "boolean", attributes((_O, 0x01, b"\xff"), common)
    yield "octets", attributes((_O, 0x04, b"abc"), common)
    yield "bits", attributes((_O, 0x03, b"\0ab"), common)
    yield "time", attributes((_O, 0x17, b"990101000000"), common)
    yield "sequence", attributes((_O, 0x30, b"\x05\0"), common)
    yield "own-tag", attributes((_O, 0x80, b"abc"), common)
    yield "constructed", attributes((_O, 0x2C, tlv(0x0C, b"ab")), common)
    yield "country-three", attributes((_C, 0x13, b"DEU"), common)
    yield "country-one", attributes((_C, 0x13, b"D"), common)
    yield "country-none", attributes((_C, 0x13, b""), common)
    yield "country-long", attributes((_C, 0x0C, b"Germany"), common)
    yield "empty-set", tlv(0x30, tlv(0x31), tlv(0x31, tlv(0x30, oid(_CN), tlv(0x0C, HOST.encode()))))
    pair = [tlv(0x30, oid(kind), tlv(0x0C, text)) for kind, text in ((_O, b"zzzzz"), (_CN, HOST.encode()))]
    yield "unsorted-set", tlv(0x30, tlv(0x31, *pair))
    yield "sorted-set", tlv(0x30, tlv(0x31, *pair[::-1]))
    yield "same-twice", tlv(0x30, tlv(0x31, pair[0], pair[0]))
    yield "three-in-attribute", tlv(0x30, tlv(0x31, tlv(0x30, oid(_O), tlv(0x0C, b"a"), tlv(0x0C, b"b"))))
    yield "no-value", tlv(0x30, tlv(0x31, tlv(0x30, oid(_O))))
    yield "no-set", tlv(0x30, tlv(0x30, oid(_O), tlv(0x0C, b"a")))
    yield "oid-padded", tlv(0x30, tlv(0x31, tlv(0x30, b"\x06\x04\x55\x04\x80\x0a", tlv(0x0C, b"a"))))
    yield "oid-cut", tlv(0x30, tlv(0x31, tlv(0x30, b"\x06\x02\x55\x84", tlv(0x0C, b"a"))))
    yield "oid-empty", tlv(0x30, tlv(0x31, tlv(0x30, b"\x06\x00", tlv(0x0C, b"a"))))
    yield "nothing", b"\x30\0"


def _times() -> Iterator[tuple[str, bytes]]:
    year = f"{NOW:%y%m%d}"
    for label, tag, text in (
        ("utc-offset", 0x17, f"{year}000000+0100"),
        ("utc-offset-west", 0x17, f"{year}000000-0830"),
        ("utc-no-seconds", 0x17, f"{year}0000Z"),
        ("utc-no-seconds-offset", 0x17, f"{year}0000+0100"),
        ("utc-no-zone", 0x17, f"{year}000000"),
        ("utc-fraction", 0x17, f"{year}000000.5Z"),
        ("utc-four-digits", 0x17, f"20{year}000000Z"),
        ("generalized-fraction", 0x18, f"20{year}000000.123Z"),
        ("generalized-comma", 0x18, f"20{year}000000,5Z"),
        ("generalized-offset", 0x18, f"20{year}000000+0100"),
        ("generalized-fraction-offset", 0x18, f"20{year}000000.5+0100"),
        ("generalized-no-seconds", 0x18, f"20{year}0000Z"),
        ("generalized-no-minutes", 0x18, f"20{year}00Z"),
        ("generalized-no-zone", 0x18, f"20{year}000000"),
        ("generalized-two-digits", 0x18, f"{year}000000Z"),
        ("hour-24", 0x17, f"{year}240000Z"),
        ("second-60", 0x17, f"{year}235960Z"),
        ("february-30", 0x17, "260230000000Z"),
        ("month-13", 0x17, "261301000000Z"),
        ("month-0", 0x17, "260001000000Z"),
        ("letters", 0x17, "notatimehere"),
        ("empty", 0x17, ""),
        ("small-z", 0x17, f"{year}000000z"),
        ("spaces", 0x17, "2611 1000000Z"),
        ("year-0", 0x18, "00000101000000Z"),
        ("year-99999", 0x18, "999991231235959Z"),
        ("string", 0x0C, f"{year}000000Z"),
    ):
        yield label, tlv(tag, text.encode())


def _others() -> Iterator[tuple[str, bytes]]:
    plain = PLAIN.extensions
    yield "version-explicit-1", signed(version=tlv(0xA0, integer(0)), extensions=b"")
    yield "version-explicit-1-extensions", signed(version=tlv(0xA0, integer(0)))
    yield "version-2", signed(version=tlv(0xA0, integer(1)))
    yield "version-4", signed(version=tlv(0xA0, integer(3)))
    yield "version-300", signed(version=tlv(0xA0, integer(299)))
    yield "version-190-digits", signed(version=tlv(0xA0, integer(10**190)))
    yield "version-negative", signed(version=tlv(0xA0, integer(-1)))
    yield "version-padded", signed(version=tlv(0xA0, b"\x02\x02\0\x02"))
    yield "version-empty", signed(version=tlv(0xA0, b"\x02\0"))
    yield "version-two", signed(version=tlv(0xA0, integer(2), integer(2)))
    yield "serial-none", signed(serial=b"\x02\0")
    yield "serial-zero", signed(serial=integer(0))
    yield "serial-negative", signed(serial=integer(-5))
    yield "serial-21", signed(serial=integer(2**166))
    yield "serial-negative-21", signed(serial=integer(-(2**166)))
    yield "serial-1000", signed(serial=integer(2**8000))
    yield "serial-padded", signed(serial=b"\x02\x03\0\0\x05")
    yield "serial-padded-negative", signed(serial=b"\x02\x03\xff\xff\x85")
    yield "serial-octets", signed(serial=tlv(0x04, b"\x05"))
    ecdsa, rsa, pss, ed = "1.2.840.10045.4.3.2", "1.2.840.113549.1.1.11", "1.2.840.113549.1.1.10", "1.3.101.112"
    odd = {
        "ecdsa-null": tlv(0x30, oid(ecdsa), b"\x05\0"),
        "ecdsa-sequence": tlv(0x30, oid(ecdsa), b"\x30\0"),
        "ecdsa-curve": tlv(0x30, oid(ecdsa), oid("1.2.840.10045.3.1.7")),
        "ed25519-null": tlv(0x30, oid(ed), b"\x05\0"),
        "rsa-nothing": tlv(0x30, oid(rsa)),
        "rsa-sequence": tlv(0x30, oid(rsa), b"\x30\0"),
        "rsa-null-long": tlv(0x30, oid(rsa), b"\x05\x01\0"),
        "dsa-null": tlv(0x30, oid("2.16.840.1.101.3.4.3.2"), b"\x05\0"),
        "pss-null": tlv(0x30, oid(pss), b"\x05\0"),
        "pss-salt": tlv(0x30, oid(pss), tlv(0x30, tlv(0xA2, integer(2**70)))),
        "two-parameters": tlv(0x30, oid(ecdsa), b"\x05\0", b"\x05\0"),
        "ml-dsa-null": tlv(0x30, oid("2.16.840.1.101.3.4.3.17"), b"\x05\0"),
        "empty": b"\x30\0",
        "oid-alone": oid(ecdsa),
    }
    for label, algorithm in odd.items():
        yield f"algorithm-{label}", signed(algorithm=algorithm)
    yield "algorithm-inner-null", signed(algorithm=odd["ecdsa-null"], outer=ECDSA_SHA256)
    yield "algorithm-outer-null", signed(outer=odd["ecdsa-null"])
    yield "algorithm-mismatch", signed(outer=tlv(0x30, oid("1.2.840.10045.4.3.3")))
    for label, subject in _subjects():
        yield f"subject-{label}", signed(subject=subject)
        yield f"issuer-{label}", signed(issuer=subject)
    for label, time in _times():
        yield f"begin-{label}", signed(validity=tlv(0x30, time, _END))
    yield "end-utc-offset", signed(validity=tlv(0x30, _BEGIN, tlv(0x17, b"270501000000+0100")))
    yield "validity-one", signed(validity=tlv(0x30, _BEGIN))
    yield "validity-three", signed(validity=tlv(0x30, _BEGIN, _END, _END))
    key = spki_of(PLAIN.key)
    point = key[-65:]
    ecc, p256, rsae = oid("1.2.840.10045.2.1"), oid("1.2.840.10045.3.1.7"), oid("1.2.840.113549.1.1.1")
    yield "key-ec-no-curve", signed(spki=tlv(0x30, tlv(0x30, ecc), tlv(0x03, b"\0", point)))
    yield "key-ec-two-curves", signed(spki=tlv(0x30, tlv(0x30, ecc, p256, p256), tlv(0x03, b"\0", point)))
    yield "key-more", signed(spki=tlv(0x30, tlv(0x30, ecc, p256), tlv(0x03, b"\0", point), b"\x05\0"))
    yield "key-no-bits", signed(spki=tlv(0x30, tlv(0x30, ecc, p256)))
    yield "key-spare-bits", signed(spki=tlv(0x30, tlv(0x30, ecc, p256), tlv(0x03, b"\x03", point)))
    yield "key-empty-bits", signed(spki=tlv(0x30, tlv(0x30, ecc, p256), tlv(0x03)))
    yield "key-rsa-sequence", signed(spki=tlv(0x30, tlv(0x30, rsae, b"\x30\0"), tlv(0x03, b"\0", b"x")))
    yield "key-empty", signed(spki=b"\x30\0")
    yield "key-ed25519-null", signed(spki=tlv(0x30, tlv(0x30, oid(ed), b"\x05\0"), tlv(0x03, b"\0", bytes(32))))
    yield "unique-spare-bits", signed(ids=tlv(0x81, b"\x03\xff"))
    yield "unique-empty", signed(ids=tlv(0x81))
    yield "unique-explicit", signed(ids=tlv(0xA1, tlv(0x03, b"\0a")))
    yield "unknown-field", signed(ids=tlv(0xA4, b"\x05\0"))
    yield "unknown-field-last", signed(more=tlv(0xA4, b"\x05\0"))
    for number, flag in (
        ("true-1", b"\x01\x01\x01"),
        ("false", FALSE),
        ("empty", b"\x01\0"),
        ("two-octets", b"\x01\x02\xff\xff"),
        ("integer", integer(1)),
    ):
        value = general_names(HOST).public_bytes()
        rest = [_extension(e.oid, e.value, e.critical) for e in plain if e.oid != "2.5.29.17"]
        yield f"critical-{number}", signed(extensions=tlv(0xA3, tlv(0x30, *rest, _extension("2.5.29.17", value, flag))))
    rest = [_extension(e.oid, e.value, e.critical) for e in plain]
    for label, one in (
        ("basic-false", _extension("2.5.29.19", tlv(0x30, FALSE))),
        ("basic-true-1", _extension("2.5.29.19", tlv(0x30, b"\x01\x01\x01"))),
        ("usage-bits", _extension("2.5.29.15", b"\x03\x02\0\x80")),
        ("usage-none", _extension("2.5.29.15", b"\x03\x01\0")),
        ("extra-value", tlv(0x30, oid("1.2.3"), tlv(0x04), b"\x05\0")),
        ("no-value", tlv(0x30, oid("1.2.3"))),
        ("no-octets", tlv(0x30, oid("1.2.3"), b"\x05\0")),
        ("no-sequence", oid("1.2.3")),
        ("empty", b"\x30\0"),
        ("oid-padded", tlv(0x30, b"\x06\x03\x2a\x80\x03", tlv(0x04))),
        ("cut-octets", tlv(0x30, oid("1.2.3"), tlv(0x24, tlv(0x04, b"ab"), tlv(0x04, b"c")))),
    ):
        kept = [e for e in rest if e[2:7] != one[2:7]]
        yield f"extension-{label}", signed(extensions=tlv(0xA3, tlv(0x30, *kept, one)))
    yield "extensions-none", signed(extensions=tlv(0xA3, tlv(0x30)))
    yield "extensions-nothing", signed(extensions=tlv(0xA3))
    yield "extensions-twice", signed(extensions=tlv(0xA3, tlv(0x30, *rest)) * 2)
    yield "extensions-set", signed(extensions=tlv(0xA3, tlv(0x31, *rest)))
    yield "extensions-in-version-1", signed(version=b"")
    yield "signature-spare-bits", signed(spare=b"\x03")
    yield "signature-empty", signed()[:-74]
    yield "four-parts", signed(behind=b"\x05\0")
    plain_der = signed()
    yield "plain", plain_der
    yield "trailing-zero", plain_der + b"\0"
    yield "trailing-certificate", plain_der + plain_der
    yield "long-length", b"\x30\x83\0" + plain_der[2:]
    yield "indefinite", b"\x30\x80" + plain_der[4:] + b"\0\0"
    yield "short", plain_der[:-5]
    yield "no-signature", tlv(0x30, plain_der[4 : 4 + 4 + int.from_bytes(plain_der[6:8], "big")])


CERTIFICATES = dict(_others())
"""By what is odd, the DER."""


def of_server(**changed: bytes) -> bytes:
    """The same with an RSA key, which every machine keeps: `chains.rsa_key()`."""
    return signed(**{"spki": spki_of(rsa_key()), **changed})


TAKEN_BY_WINDOWS = {
    "t61": {"subject": attributes((_O, 0x14, "Müller & Söhne".encode("latin-1")), (_CN, 0x0C, HOST.encode()))},
    "printable": {"subject": attributes((_CN, 0x13, b"my_host*&@.example.com"))},
    "ecdsa-null": {"algorithm": tlv(0x30, oid("1.2.840.10045.4.3.2"), b"\x05\0")},
    "utc-offset": {"validity": tlv(0x30, tlv(0x17, b"261101000000+0100"), _END)},
}
"""The kinds that people have reported, as what `of_server` is given."""


STAR = attributes((_O, 0x14, b"M\xfcller"), (_CN, 0x13, b"*.example.com"))
"""Latin-1 in a TeletexString, and a `*` in a PrintableString."""


def odd_request(
    subject: bytes = STAR, algorithm: bytes = ECDSA_SHA256, digest: type[hashes.HashAlgorithm] = hashes.SHA256
) -> bytes:
    """A request with this subject, rightly signed by `ec_key(3)`, in DER."""
    key = ec_key(3)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    content = tlv(0x30, integer(0), subject, spki_of(key), tlv(0xA0))
    return tlv(0x30, content, algorithm, tlv(0x03, b"\0", key.sign(content, ec.ECDSA(digest()))))
