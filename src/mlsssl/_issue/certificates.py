"""Building and signing certificates: RFC 5280 extensions, everything decided by the caller.

Nothing here reads a clock or makes a key. EC signatures are deterministic (RFC 6979) wherever the OpenSSL under
`cryptography` can do it (3.2 and newer; every wheel on PyPI has it), so that equal arguments give equal bytes.
"""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from mlsssl._formats.pem import find_extension
from mlsssl._issue.keys import hash_for
from mlsssl._issue.subjects import EMPTY
from mlsssl._messages.arguments import check_whole
from mlsssl._messages.foreign_text import shown
from mlsssl.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

    from mlsssl._formats.keys import PrivateKey

    PublicKey: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
    Extension: TypeAlias = tuple[x509.ExtensionType, bool]  # with its criticality


def _key_usage(*, signature: bool, encipherment: bool, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signature,
        content_commitment=False,
        key_encipherment=encipherment,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


# Built once: constructing them is a fifth of the time a P-256 certificate takes.
_END_ENTITY = x509.BasicConstraints(ca=False, path_length=None)
SERVER_AUTH = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
CLIENT_AUTH = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
_RSA_SERVER_USAGE = _key_usage(signature=True, encipherment=True, authority=False)
_SIGNING_USAGE = _key_usage(signature=True, encipherment=False, authority=False)
AUTHORITY_USAGE = _key_usage(signature=False, encipherment=False, authority=True)


class Signer:
    """What an issuer contributes to each certificate: its name, key identifier, key and hash."""

    __slots__ = ("algorithm", "authority_key_identifier", "key", "name")

    def __init__(self, certificate: x509.Certificate, key: PrivateKey) -> None:
        self.name = certificate.subject
        self.key = key
        self.algorithm = hash_for(key)
        self.authority_key_identifier = authority_key_identifier(certificate, key)

    @classmethod
    def named(cls, name: x509.Name, key: PrivateKey, identifier: x509.SubjectKeyIdentifier) -> Signer:
        """An issuer that has no certificate of this key yet."""
        signer = cls.__new__(cls)
        signer.name, signer.key, signer.algorithm = name, key, hash_for(key)
        signer.authority_key_identifier = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)
        return signer


def authority_key_identifier(
    issuer: x509.Certificate, key: CertificateIssuerPrivateKeyTypes
) -> x509.AuthorityKeyIdentifier:
    """What points to this issuer: its SKI as it stands, whatever method made it (RFC 5280 section 4.2.1.1)."""
    ski = find_extension(issuer, x509.SubjectKeyIdentifier)
    if ski is None:  # MakeCert's roots have none
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ski)


def server_usage(key: PublicKey) -> x509.KeyUsage:
    """The key usage that goes with a TLS server's key.

    With RSA it has keyEncipherment too, which the BR (7.1.2.7.11) advise against: TLS 1.2 without Diffie-Hellman, SQL
    Server and other Windows services want it, and MakeCert's `-sky exchange` means it.
    """
    return _RSA_SERVER_USAGE if isinstance(key, rsa.RSAPublicKey) else _SIGNING_USAGE


def serial_number(serial: int | None) -> int:
    """Return `serial` if RFC 5280 allows it: positive, at most 20 octets with the sign bit clear.

    For None 159 random bits, never zero: `x509.random_serial_number` draws them from the system's generator.
    """
    if serial is None:
        return x509.random_serial_number()
    return check_whole(serial, 1, (1 << 159) - 1, "a serial number is a whole number from 1 to 2**159 - 1")


def end_entity_certificate(
    signer: Signer,
    *,
    subject: x509.Name,
    names: Sequence[x509.GeneralName],
    public_key: PublicKey,
    not_before: dt.datetime,
    not_after: dt.datetime,
    serial: int,
    crl_url: str | None = None,
    client: bool = False,
) -> x509.Certificate:
    """A TLS server's certificate, or a `client`'s (RFC 5280, and the BR where they agree with it).

    It has a subjectKeyIdentifier, as RFC 5280 section 4.2.1.2 recommends for every certificate and the BR do not.
    """
    extensions: list[Extension] = [
        (_END_ENTITY, True),
        # A client signs, whatever its key is.
        (_SIGNING_USAGE if client else server_usage(public_key), True),
        (CLIENT_AUTH if client else SERVER_AUTH, False),
    ]
    if names:
        # RFC 5280 section 4.2.1.6: critical when the subject is empty, and only then.
        extensions.append((x509.SubjectAlternativeName(names), subject == EMPTY))
    extensions.append((x509.SubjectKeyIdentifier.from_public_key(public_key), False))
    extensions.append((signer.authority_key_identifier, False))
    if crl_url is not None:
        extensions.append((distribution_point(crl_url), False))
    builder = unsigned(signer.name, subject, public_key, serial, (not_before, not_after), extensions)
    return sign(builder, signer.key, signer)


def authority_certificate(
    signer: Signer | None,
    key: PrivateKey,
    *,
    subject: x509.Name,
    not_before: dt.datetime,
    not_after: dt.datetime,
    serial: int,
    path_length: int | None,
    permitted: Sequence[x509.GeneralName] = (),
    excluded: Sequence[x509.GeneralName] = (),
    crl_url: str | None = None,
) -> x509.Certificate:
    """A certification authority's certificate: a root signed by its own `key`, or an intermediate by `signer`."""
    public_key = key.public_key()
    # A root's points to itself: RFC 5280 section 4.2.1.1 lets it be left out, BR 7.1.2.1.2 recommends it.
    own = x509.AuthorityKeyIdentifier.from_issuer_public_key(public_key)
    extensions: list[Extension] = [
        (x509.BasicConstraints(ca=True, path_length=path_length), True),
        (AUTHORITY_USAGE, True),
        (x509.SubjectKeyIdentifier.from_public_key(public_key), False),
        (signer.authority_key_identifier if signer else own, False),
    ]
    if permitted or excluded:
        extensions.append((x509.NameConstraints(permitted or None, excluded or None), True))
    if crl_url is not None and signer is not None:
        extensions.append((distribution_point(crl_url), False))
    issuer = signer.name if signer else subject
    builder = unsigned(issuer, subject, public_key, serial, (not_before, not_after), extensions)
    return sign(builder, signer.key if signer else key, signer)


def unsigned(
    issuer: x509.Name,
    subject: x509.Name,
    public_key: PublicKey,
    serial: int,
    validity: tuple[dt.datetime, dt.datetime],
    extensions: Sequence[Extension],
) -> x509.CertificateBuilder:
    """What is to be signed. No two of the extensions may be of one kind, which is not checked.

    They are given at once: `add_extension` copies the builder for each, a sixth of the time a P-256 certificate takes.
    """
    return (
        x509.CertificateBuilder(
            extensions=[x509.Extension(value.oid, critical, value) for value, critical in extensions]
        )
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(public_key)
        .serial_number(serial)
        .not_valid_before(validity[0])
        .not_valid_after(validity[1])
    )


def distribution_point(url: str) -> x509.CRLDistributionPoints:
    """Where a revocation list is published, as an extension; `InvalidInputError` for what is no address."""
    try:
        where = x509.UniformResourceIdentifier(url)
    except (ValueError, TypeError):
        where = None
    if where is None or not is_address(url):
        raise InvalidInputError(f"a CRL's address is an ASCII URL such as http://ca.example/ca.crl, not {shown(url)}")
    return x509.CRLDistributionPoints([x509.DistributionPoint([where], None, None, None)])


def is_address(url: str) -> bool:
    """Whether a distribution point may have it: absolute and without blanks (RFC 5280, 4.2.1.6), of any scheme."""
    return re.fullmatch(_ABSOLUTE, url) is not None


_ABSOLUTE = r"[A-Za-z][A-Za-z0-9+.-]*://[!-~]+"


def sign(builder: x509.CertificateBuilder, key: PrivateKey, signer: Signer | None) -> x509.Certificate:
    """The certificate, signed by `key` with the hash that goes with it."""
    algorithm = signer.algorithm if signer else hash_for(key)
    if isinstance(key, rsa.RSAPrivateKey):
        return builder.sign(key, algorithm)
    try:
        return builder.sign(key, algorithm, ecdsa_deterministic=True)
    except UnsupportedAlgorithm:  # OpenSSL before 3.2: random signatures, valid all the same
        return builder.sign(key, algorithm)


_BACKDATED = dt.timedelta(hours=1)
_EARLIEST = dt.datetime(1950, 1, 1, tzinfo=dt.timezone.utc)
_LATEST = dt.datetime.max.replace(tzinfo=dt.timezone.utc)


def check_encodable(moment: dt.datetime, what: str, *, room: dt.timedelta = dt.timedelta(0)) -> None:
    """`InvalidInputError` unless it is an aware moment of 1950 to 9999: UTCTime begins there (RFC 5280, 4.1.2.5.1).

    `cryptography` raises ValueError for some of those, and for others its Rust half panics. `what` begins the message,
    `room` has to be before the moment as well.
    """
    if not isinstance(moment, dt.datetime) or moment.utcoffset() is None:
        raise InvalidInputError(f"{what} is an aware datetime, for example datetime.now(timezone.utc), not {moment!r}")
    if moment < _EARLIEST + room:
        raise InvalidInputError(f"{what} lies before 1950, where the dates of certificates begin: {moment}")
    if moment > _LATEST:
        raise InvalidInputError(f"{what} lies outside the years 1 to 9999 of UTC: {moment}")


def check_days(days: int) -> int:
    """Return `days` if a certificate may be valid for so many; `InvalidInputError` otherwise."""
    return check_whole(days, 1, 36_500, "days is a whole number from 1 to 36500")


def validity(at: dt.datetime, days: int, *, earliest: dt.datetime | None = None) -> tuple[dt.datetime, dt.datetime]:
    """First and last second of validity: from an hour before `at`, for `days` days of 86,400 seconds, inclusive.

    RFC 5280 section 4.1.2.5 counts both ends, so the last second is one less than the sum. Fractions of a second are
    dropped; a start before `earliest`, the issuer's own beginning, is moved to it.

    `InvalidInputError` when `at` is naive, or `days` is not 1 to 36,500 or leaves the calendar.
    """
    check_encodable(at, "at", room=_BACKDATED)
    check_days(days)
    try:
        start = at.astimezone(dt.timezone.utc).replace(microsecond=0) - _BACKDATED
        if earliest is not None and start < earliest <= at:
            start = earliest
        return start, start + dt.timedelta(days=days, seconds=-1)
    except OverflowError:
        raise InvalidInputError(f"{days} days from {at} is beyond the year 9999") from None
