"""Certificates for tests, built field by field in DER, so that every fault there is can be built too."""

from __future__ import annotations

import functools
import ipaddress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mlsssl._formats.pem import load_der

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
ECDSA_SHA256 = bytes.fromhex("300a06082a8648ce3d040302")
RSA_SHA256 = bytes.fromhex("300d06092a864886f70d01010b0500")
PSS_SHA256 = bytes.fromhex(
    "304106092a864886f70d01010a3034a00f300d06096086480165030402010500"
    "a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120"
)


def tlv(tag: int, *parts: bytes) -> bytes:
    """One DER element."""
    content = b"".join(parts)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(octets))) + octets + content


def integer(value: int) -> bytes:
    """A DER INTEGER."""
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def oid(dotted: str) -> bytes:
    """A DER OBJECT IDENTIFIER."""
    arcs = [int(arc) for arc in dotted.split(".")]
    octets = bytearray()
    for arc in [arcs[0] * 40 + arcs[1], *arcs[2:]]:
        chunk = [arc & 0x7F]
        while arc := arc >> 7:
            chunk.append(arc & 0x7F | 0x80)
        octets += bytes(reversed(chunk))
    return tlv(0x06, bytes(octets))


def time_of(moment: datetime, tag: int | None = None) -> bytes:
    """A DER time, encoded as its year demands unless a tag is given."""
    tag = tag or (0x17 if moment.year < 2050 else 0x18)
    # Not by strftime alone: Windows' refuses years before 1900.
    year = f"{moment.year % 100:02}" if tag == 0x17 else f"{moment.year:04}"
    return tlv(tag, f"{year}{moment:%m%d%H%M%S}Z".encode())


@functools.cache
def ec_key(number: int, curve: type[ec.EllipticCurve] = ec.SECP256R1) -> ec.EllipticCurvePrivateKey:
    """The same key for the same number: fast and repeatable."""
    return ec.derive_private_key(number + 1000, curve())


@functools.cache
def rsa_key(bits: int = 2048, number: int = 0, exponent: int = 65537) -> rsa.RSAPrivateKey:
    """An RSA key, made once per process."""
    del number
    return rsa.generate_private_key(exponent, bits)


def spki_of(key: Any) -> bytes:
    """The SubjectPublicKeyInfo of a private key."""
    public: bytes = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return public


def rsa_spki(modulus: int, exponent: int) -> bytes:
    """The SubjectPublicKeyInfo of any two numbers."""
    numbers = tlv(0x30, integer(modulus), integer(exponent))
    return tlv(0x30, bytes.fromhex("300d06092a864886f70d0101010500"), tlv(0x03, b"\0", numbers))


def name(common: str | None = None, **others: str) -> bytes:
    """A distinguished name in DER."""
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, common)] if common else []
    attributes += [x509.NameAttribute(getattr(NameOID, key), value) for key, value in others.items()]
    return x509.Name(attributes).public_bytes()


@dataclass(frozen=True)
class Extension:
    """One extension, its value in DER."""

    oid: str
    critical: bool
    value: bytes


def extension(value: x509.ExtensionType, *, critical: bool = False) -> Extension:
    """An extension from cryptography's class."""
    return Extension(value.oid.dotted_string, critical, value.public_bytes())


def key_usage(**bits: bool) -> x509.KeyUsage:
    """A key usage with the bits named."""
    every = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{bit: bits.get(bit, False) for bit in every})


def general_names(*names: str) -> x509.SubjectAlternativeName:
    """A subjectAltName of DNS names and addresses."""
    values: list[x509.GeneralName] = []
    for text in names:
        try:
            values.append(x509.IPAddress(ipaddress.ip_address(text)))
        except ValueError:
            values.append(x509.DNSName(text))
    return x509.SubjectAlternativeName(values)


def key_id(spki: bytes) -> bytes:
    """The usual key identifier."""
    return x509.SubjectKeyIdentifier.from_public_key(  # the SHA-1 of the key's bits
        _load_spki(spki)
    ).digest


def _load_spki(spki: bytes) -> Any:
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    return load_der_public_key(spki)


@dataclass(frozen=True, kw_only=True)
class Made:
    """A certificate to be, as its fields; `replace` a field to make it faulty, then `der()` signs it."""

    subject: bytes
    issuer: bytes
    key: Any
    signer: Key
    extensions: tuple[Extension, ...]
    not_before: datetime = NOW - timedelta(hours=1)
    not_after: datetime = NOW + timedelta(days=198)
    serial: int = 0x5A3C_90F1_7B2D_4E68_1122_3344
    version: int | None = 3
    spki: bytes = b""
    algorithm: bytes = b""
    outer_algorithm: bytes = b""
    time_tags: tuple[int | None, int | None] = (None, None)
    begin: bytes = b""
    unique_id: bytes = b""
    digest: type[hashes.HashAlgorithm] = hashes.SHA256
    break_signature: bool = False

    def der(self) -> bytes:
        """The certificate, signed; the same octets each time, though ECDSA signatures differ each time."""
        return _signed(self)

    def der_of_one_use(self) -> bytes:
        """The certificate, not kept: thousands would push out those that other tests compare octets of."""
        return self._sign()

    def _sign(self) -> bytes:
        usual = RSA_SHA256 if isinstance(self.signer, rsa.RSAPrivateKey) else ECDSA_SHA256
        algorithm = self.algorithm or usual
        extensions = [
            tlv(0x30, oid(e.oid), b"\x01\x01\xff" if e.critical else b"", tlv(0x04, e.value)) for e in self.extensions
        ]
        signed = tlv(
            0x30,
            tlv(0xA0, integer(self.version - 1)) if self.version is not None and self.version != 1 else b"",
            integer(self.serial),
            algorithm,
            self.issuer,
            tlv(
                0x30,
                self.begin or time_of(self.not_before, self.time_tags[0]),
                time_of(self.not_after, self.time_tags[1]),
            ),
            self.subject,
            self.spki or spki_of(self.key),
            self.unique_id,
            tlv(0xA3, tlv(0x30, *extensions)) if extensions else b"",
        )
        if isinstance(self.signer, rsa.RSAPrivateKey):
            pss = padding.PSS(padding.MGF1(self.digest()), self.digest().digest_size)
            signature = self.signer.sign(signed, pss if algorithm == PSS_SHA256 else padding.PKCS1v15(), self.digest())
        else:
            signature = self.signer.sign(signed, ec.ECDSA(self.digest()))
        if self.break_signature:
            signed = signed.replace(self.subject, self.subject[:-1] + bytes((self.subject[-1] ^ 1,)))
        return tlv(0x30, signed, self.outer_algorithm or algorithm, tlv(0x03, b"\0", signature))

    def certificate(self) -> x509.Certificate:
        """The certificate, loaded; what stands in for one that `cryptography` refuses."""
        try:
            return x509.load_der_x509_certificate(self.der())
        except ValueError:
            return load_der(self.der())

    def without(self, *kinds: type[x509.ExtensionType]) -> Made:
        """A copy without these extensions."""
        gone = {kind.oid.dotted_string for kind in kinds}
        return replace(self, extensions=tuple(e for e in self.extensions if e.oid not in gone))

    def with_extension(self, value: x509.ExtensionType | Extension, *, critical: bool = False) -> Made:
        """A copy in which this extension stands instead of another of its kind, or is new."""
        new = value if isinstance(value, Extension) else extension(value, critical=critical)
        return replace(self, extensions=(*(e for e in self.extensions if e.oid != new.oid), new))


@functools.lru_cache(maxsize=4096)
def _signed(made: Made) -> bytes:
    return made._sign()


def root(
    common: str = "Test Root", number: int = 1, *, key: Key | None = None, extensions: Sequence[Extension] = ()
) -> Made:
    """A faultless root of ten years."""
    key = key or ec_key(number)
    spki = spki_of(key)
    return Made(
        subject=name(common),
        issuer=name(common),
        key=key,
        signer=key,
        not_before=NOW - timedelta(days=400),
        not_after=NOW + timedelta(days=3250),
        extensions=(
            extension(x509.BasicConstraints(ca=True, path_length=None), critical=True),
            extension(key_usage(key_cert_sign=True, crl_sign=True), critical=True),
            extension(x509.SubjectKeyIdentifier(key_id(spki))),
            *extensions,
        ),
    )


def intermediate(
    above: Made, common: str = "Test Intermediate", number: int = 2, *, path_length: int | None = 0
) -> Made:
    """A faultless intermediate under `above`."""
    key = ec_key(number)
    spki = spki_of(key)
    return Made(
        subject=name(common),
        issuer=above.subject,
        key=key,
        signer=above.key,
        not_before=NOW - timedelta(days=300),
        not_after=NOW + timedelta(days=1500),
        extensions=(
            extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True),
            extension(key_usage(key_cert_sign=True, crl_sign=True), critical=True),
            extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])),
            extension(x509.SubjectKeyIdentifier(key_id(spki))),
            extension(x509.AuthorityKeyIdentifier(key_id(spki_of(above.key)), None, None)),
        ),
    )


def leaf(above: Made, *names: str, number: int = 3, key: Key | None = None, common: str | None = None) -> Made:
    """A faultless server certificate under `above`, for `names` (www.example.com by default)."""
    names = names or ("www.example.com",)
    key = key or ec_key(number)
    usage = key_usage(digital_signature=True, key_encipherment=isinstance(key, rsa.RSAPrivateKey))
    return Made(
        subject=name(common, ORGANIZATION_NAME="Test"),
        issuer=above.subject,
        key=key,
        signer=above.key,
        extensions=(
            extension(x509.BasicConstraints(ca=False, path_length=None), critical=True),
            extension(usage, critical=True),
            extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])),
            extension(general_names(*names)),
            extension(x509.SubjectKeyIdentifier(key_id(spki_of(key)))),
            extension(x509.AuthorityKeyIdentifier(key_id(spki_of(above.key)), None, None)),
        ),
    )
