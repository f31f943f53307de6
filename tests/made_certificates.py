"""Certificates for tests of the machines, made with `cryptography` alone."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mlsssl.values import Thumbprint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlsssl import RevocationList

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A certificate with its key and what tests ask of it."""

    certificate: x509.Certificate
    key: Key

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def pkcs8(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    @property
    def thumbprint(self) -> Thumbprint:
        return Thumbprint(hashlib.sha1(self.der).digest())

    def pfx(self, password: str | None, *others: Made, friendly_name: bytes | None = None) -> bytes:
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if password is not None:
            encryption = serialization.BestAvailableEncryption(password.encode())
        return pkcs12.serialize_key_and_certificates(
            friendly_name, self.key, self.certificate, [other.certificate for other in others] or None, encryption
        )


@functools.cache
def shared_key(number: int = 0) -> ec.EllipticCurvePrivateKey:
    """The same P-256 key for the same number, so that tests need not wait for new ones."""
    return ec.derive_private_key(0x1234_5678_9ABC + number, ec.SECP256R1())


def make(
    *names: str,
    issuer: Made | None = None,
    key: Key | None = None,
    authority: bool = False,
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.SERVER_AUTH,
    days: float = 30,
) -> Made:
    """A certificate for these names; self-signed unless an issuer is given. The first name is the subject's CN."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = dt.datetime.now(dt.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key((issuer.key if issuer else key).public_key()),
            critical=False,
        )
        .add_extension(_key_usage(authority=authority), critical=True)
    )
    if not authority:
        builder = builder.add_extension(x509.SubjectAlternativeName(_general_names(names)), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return Made(certificate=builder.sign(issuer.key if issuer else key, hashes.SHA256()), key=key)


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _general_names(names: Sequence[str]) -> list[x509.GeneralName]:
    found: list[x509.GeneralName] = []
    for name in names:
        try:
            found.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return found


CRL_MOMENT = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)


def make_crl(
    number: int | None = 1,
    *,
    at: dt.datetime = CRL_MOMENT,
    issuer: str = "made authority",
    key: Key | None = None,
    scope: str | None = None,
    delta: bool = False,
    revoked: Sequence[int] = (),
) -> x509.CertificateRevocationList:
    """A revocation list of an authority that need not exist; another `key` is another authorityKeyIdentifier."""
    signer = key or shared_key()
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]),
        last_update=at,
        next_update=at + dt.timedelta(days=30),
    ).add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    if number is not None:
        builder = builder.add_extension(x509.CRLNumber(number), critical=False)
    if scope is not None:
        point = [x509.UniformResourceIdentifier(scope)]
        builder = builder.add_extension(
            x509.IssuingDistributionPoint(point, None, False, False, None, False, False), critical=True
        )
    if delta:
        builder = builder.add_extension(x509.DeltaCRLIndicator(1), critical=True)
    for serial in revoked:
        entry = x509.RevokedCertificateBuilder(serial_number=serial, revocation_date=at)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(signer, hashes.SHA256())


def crl_der(crl: RevocationList | x509.CertificateRevocationList) -> bytes:
    """Its bytes."""
    if isinstance(crl, x509.CertificateRevocationList):
        return crl.public_bytes(serialization.Encoding.DER)
    return crl.to_der()
