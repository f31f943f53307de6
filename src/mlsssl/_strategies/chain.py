"""Chains to draw: the value, how a good one is built, and how it is signed."""

from __future__ import annotations

import datetime as dt
import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mlsssl._formats import der
from mlsssl._formats.hosts import parse_name
from mlsssl._issue.keys import hash_for
from mlsssl._strategies import small_keys
from mlsssl.certificate import Certificate
from mlsssl.revocation_list import RevocationList

if TYPE_CHECKING:
    from mlsssl._formats.keys import PrivateKey
    from mlsssl._validator.report import Report

DAY = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """A server's certificate with everything that is needed to judge it.

    Attributes:
        certificate: The leaf, with its private key and, as its `chain`, the intermediates and the root it came with.
        root: What clients trust.
        host: The name that clients use.
        at: The moment to judge for.
        fault: The finding code of the one thing that is wrong under the profile `private`; None when nothing is.
        near_miss: In which of the ways of `NEAR_MISSES` it is wrong; None when nothing is.
        crls: Revocation lists of its authorities, for a near miss of revocation; empty for all others.
    """

    certificate: Certificate
    root: Certificate
    host: str
    at: dt.datetime
    fault: str | None = None
    near_miss: str | None = None
    crls: tuple[RevocationList, ...] = ()

    def check(self) -> Report:
        """What mlsssl's own validator says: `certificate.check(host, trust=[root], at=at, crls=crls)`."""
        return self.certificate.check(self.host, trust=[self.root], at=self.at, crls=self.crls)


@dataclass(slots=True, kw_only=True)
class Level:
    """One certificate before it is signed; faults change it."""

    subject: x509.Name
    key: PrivateKey
    not_before: dt.datetime
    not_after: dt.datetime
    serial: int
    extensions: dict[str, tuple[x509.ExtensionType, bool]] = field(default_factory=dict)
    signed_with: PrivateKey | None = None
    issuer: x509.Name | None = None
    sha1: bool = False
    version1: bool = False


@dataclass(slots=True, kw_only=True)
class Draft:
    """A chain before it is signed: the leaf first, the root last; faults change it."""

    levels: list[Level]
    host: str
    at: dt.datetime
    left_out: int | None = None
    trusted: Level | None = None
    revoked: int | None = None

    @property
    def leaf(self) -> Level:
        return self.levels[0]

    @property
    def root(self) -> Level:
        return self.levels[-1]


_USAGES = (
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


def usage(*named: str) -> x509.KeyUsage:
    """A key usage of these of cryptography's names."""
    return x509.KeyUsage(**{bit: bit in named for bit in _USAGES})


def common_name(text: str) -> x509.Name:
    """A name of this one attribute; checks nothing, for faults are wrong on purpose."""
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text, _validate=False)] if text else [])


def draft(*, hosts: list[str], host: str, keys: list[PrivateKey], serial: int, days: int, at: dt.datetime) -> Draft:
    """A chain that is right in every way: a leaf and, for each further key, an authority above it."""
    begun = at - 30 * DAY
    san = x509.SubjectAlternativeName([parse_name(name) for name in hosts])
    leaf = Level(
        subject=x509.Name([]),
        key=keys[0],
        not_before=at - dt.timedelta(hours=1),
        not_after=at + days * DAY,
        serial=serial,
        extensions={
            "basic": (x509.BasicConstraints(ca=False, path_length=None), True),
            "usage": (usage("digital_signature"), True),
            "eku": (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
            "san": (san, True),
        },
    )
    levels = [leaf]
    for height, key in enumerate(keys[1:]):
        levels.append(
            Level(
                subject=common_name(f"Authority {height}"),
                key=key,
                not_before=begun,
                not_after=at + 3650 * DAY,
                serial=(1 << 80) + height,
                extensions={
                    "basic": (x509.BasicConstraints(ca=True, path_length=height), True),
                    "usage": (usage("key_cert_sign", "crl_sign"), True),
                },
            )
        )
    for level, above in zip(levels, [*levels[1:], levels[-1]], strict=True):
        level.extensions["ski"] = (x509.SubjectKeyIdentifier.from_public_key(level.key.public_key()), False)
        if level is not above:
            aki = x509.AuthorityKeyIdentifier.from_issuer_public_key(above.key.public_key())
            level.extensions["aki"] = (aki, False)
    return Draft(levels=levels, host=host, at=at)


def finish(plan: Draft, *, near_miss: str | None, fault: str | None) -> Chain:
    """Sign it, from the root down."""
    made: list[x509.Certificate] = []
    for level, above in reversed(list(zip(plan.levels, [*plan.levels[1:], plan.root], strict=True))):
        made.insert(0, _sign(level, above))
    leaf, *others = made
    kept = [c for depth, c in enumerate(others, start=1) if depth != plan.left_out]
    root = Certificate(made[-1] if plan.trusted is None else _sign(plan.trusted, plan.trusted))
    return Chain(
        certificate=Certificate(leaf, private_key=plan.leaf.key, chain=kept),
        root=root,
        host=plan.host,
        at=plan.at,
        fault=fault,
        near_miss=near_miss,
        crls=_crls(plan, made) if plan.revoked is not None else (),
    )


def _crls(plan: Draft, made: list[x509.Certificate]) -> tuple[RevocationList, ...]:
    """A list by each authority; the one above the certificate at `plan.revoked` names it."""
    lists = []
    for height, above in enumerate(plan.levels[1:]):
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(above.subject)
            .last_update(plan.at - DAY)
            .next_update(plan.at + DAY)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(above.key.public_key()), critical=False)
            .add_extension(x509.CRLNumber(1), critical=False)
        )
        if height == plan.revoked:
            serial = made[height].serial_number
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(plan.at - DAY)
            builder = builder.add_revoked_certificate(entry.build())
        lists.append(RevocationList(builder.sign(above.key, hash_for(above.key))))
    return tuple(lists)


def _sign(level: Level, above: Level) -> x509.Certificate:
    key = level.signed_with or above.key
    builder = (
        x509.CertificateBuilder()
        .subject_name(level.subject)
        .issuer_name(above.subject if level.issuer is None else level.issuer)
        .public_key(level.key.public_key())
        .serial_number(level.serial)
        .not_valid_before(level.not_before)
        .not_valid_after(level.not_after)
    )
    for extension, critical in level.extensions.values():
        builder = builder.add_extension(extension, critical)
    if isinstance(key, rsa.RSAPrivateKey):
        made = builder.sign(key, hash_for(key))
    else:
        made = builder.sign(key, hash_for(key), ecdsa_deterministic=_deterministic())
    if level.sha1:
        return _signed_anew_with_sha1(made, key)
    return _signed_anew_as_version_1(made, key) if level.version1 else made


@functools.cache
def _deterministic() -> bool:
    """Whether the OpenSSL under `cryptography` makes RFC 6979 signatures (3.2 and newer); random ones are valid too."""
    try:
        ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    except UnsupportedAlgorithm:
        return False
    return True


def _signed_anew_with_sha1(certificate: x509.Certificate, key: PrivateKey) -> x509.Certificate:
    """The same certificate with a SHA-1 signature, which `cryptography` no longer makes for certificates."""
    with_rsa = der.write_oid("1.2.840.113549.1.1.5") + der.write(der.NULL)
    algorithm = with_rsa if isinstance(key, rsa.RSAPrivateKey) else der.write_oid("1.2.840.10045.4.1")
    fields = _fields(certificate)
    fields[2] = der.write_sequence(algorithm)  # after the version and the serial number
    return _signed_anew(fields, fields[2], key, hashes.SHA1())  # noqa: S303 -- the fault itself


def _signed_anew_as_version_1(certificate: x509.Certificate, key: PrivateKey) -> x509.Certificate:
    """The same certificate without version number and extensions: X.509 of 1988, which knows no authorities."""
    fields = _fields(certificate)
    return _signed_anew(fields[1:7], fields[2], key, hash_for(key))


def _fields(certificate: x509.Certificate) -> list[bytes]:
    members = der.members(der.only(certificate.tbs_certificate_bytes), der.SEQUENCE, most=10)
    return [field.raw for field in members]


def _signed_anew(
    fields: list[bytes], algorithm: bytes, key: PrivateKey, digest: hashes.HashAlgorithm
) -> x509.Certificate:
    data = der.write_sequence(*fields)
    if isinstance(key, rsa.RSAPrivateKey):
        signature = key.sign(data, padding.PKCS1v15(), digest)
    else:
        signature = key.sign(data, ec.ECDSA(digest, deterministic_signing=_deterministic()))
    return x509.load_der_x509_certificate(der.write_sequence(data, algorithm, der.write(0x03, b"\0", signature)))


def stranger(plan: Draft, subject: x509.Name) -> Level:
    """A root of another key than the chain's, and right in itself."""
    key = small_keys.ec_key(ec.SECP256R1, small_keys.EC_KEYS + 1)
    return Level(
        subject=subject,
        key=key,
        not_before=plan.root.not_before,
        not_after=plan.root.not_after,
        serial=1 << 90,
        extensions={
            **{name: plan.root.extensions[name] for name in ("basic", "usage")},
            "ski": (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        },
    )
