"""Making certificate revocation lists (RFC 5280 section 5)."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from operator import attrgetter
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519

from mlsssl._formats.crl import is_signed_by
from mlsssl._formats.foreign import public_key_of, read
from mlsssl._formats.pem import find_extension
from mlsssl._issue.certificates import authority_key_identifier, check_days, check_encodable
from mlsssl._messages.arguments import check_whole
from mlsssl._messages.foreign_text import shown
from mlsssl.errors import InvalidInputError, MalformedDataError
from mlsssl.values import REVOCATION_REASONS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

_LAST = datetime.max.replace(tzinfo=timezone.utc)


def build_crl(
    issuer: x509.Certificate,
    key: CertificateIssuerPrivateKeyTypes,
    revoked: Iterable[tuple[int, datetime, str | None]],
    *,
    at: datetime,
    number: int,
    days: int = 30,
    kept: Iterable[x509.RevokedCertificate] = (),
) -> x509.CertificateRevocationList:
    """A full revocation list of one authority, whose key usage must allow cRLSign.

    Each certificate is revoked by its serial number, an aware moment, and a reason (a name of `REVOCATION_REASONS`, or
    None). The CRL number, 0 to 2^159 - 1, must grow from list to list, which is the caller's task; `kept` are entries
    of an earlier list, as they are.

    Raises:
        InvalidInputError: an argument out of its range, a serial number twice, or an authority that may not sign.
    """
    check_encodable(at, "at")
    check_whole(number, 0, 2**159 - 1, "number is a whole number from 0 to 2^159 - 1")
    check_days(days)
    _check_issuer(issuer, key)
    begin = at.astimezone(timezone.utc).replace(microsecond=0)
    if begin > _LAST - timedelta(days=days):
        raise InvalidInputError(f"{days} days from {at} is beyond the year 9999")
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=issuer.subject, last_update=begin, next_update=begin + timedelta(days=days)
    ).add_extension(x509.CRLNumber(number), critical=False)
    builder = builder.add_extension(authority_key_identifier(issuer, key), critical=False)
    for entry in kept:
        builder = builder.add_revoked_certificate(entry)
    seen: set[int] = set()
    for serial, moment, reason in revoked:
        builder = builder.add_revoked_certificate(_entry(serial, moment, reason, seen))
    return builder.sign(key, _hash_for(key))


def _check_issuer(issuer: x509.Certificate, key: CertificateIssuerPrivateKeyTypes) -> None:
    try:
        usage = find_extension(issuer, x509.KeyUsage)
        public_key = public_key_of(issuer)
    except MalformedDataError as error:
        raise InvalidInputError(f"the authority's certificate cannot be read: {error}") from None
    if usage is not None and not usage.crl_sign:
        raise InvalidInputError("the authority's key usage does not have cRLSign, so that nobody believes its lists")
    if key.public_key() != public_key:
        raise InvalidInputError("the key is not the one of the authority's certificate")


def _entry(serial: int, moment: datetime, reason: str | None, seen: set[int]) -> x509.RevokedCertificate:
    check_encodable(moment, "the moment of a revocation")
    check_whole(serial, 1, 2**160 - 1, "a serial number is a number from 1 to 2^160 - 1")
    if serial in seen:
        raise InvalidInputError(f"the serial number {serial:x} is given twice")
    seen.add(serial)
    builder = x509.RevokedCertificateBuilder(serial_number=serial, revocation_date=moment.replace(microsecond=0))
    if reason is not None:
        if reason not in REVOCATION_REASONS:
            raise InvalidInputError(f"a reason is one of {', '.join(REVOCATION_REASONS)}, or None, not {shown(reason)}")
        builder = builder.add_extension(x509.CRLReason(x509.ReasonFlags(reason)), critical=False)
    return builder.build()


def _hash_for(key: CertificateIssuerPrivateKeyTypes) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    if isinstance(key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)):
        return None
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.key_size > 256:
        return hashes.SHA384() if key.key_size <= 384 else hashes.SHA512()
    return hashes.SHA256()


def entries_to_keep(
    previous: x509.CertificateRevocationList, issuer: x509.Certificate, *, besides: Collection[int]
) -> tuple[x509.RevokedCertificate, ...]:
    """The entries of an authority's list until now that its next one has to repeat, `besides` those with these numbers.

    Raises:
        InvalidInputError: the list is not full, or not signed by the authority.
        MalformedDataError: an entry cannot be read.
    """
    what = "the previous list cannot be read"
    name, extensions = read(what, _needed_fields, previous)
    if name != issuer.subject or not read(what, is_signed_by, public_key_of(issuer), previous):
        raise InvalidInputError("the previous list is another authority's: it did not sign it")
    scopes = (x509.DeltaCRLIndicator.oid, x509.IssuingDistributionPoint.oid)
    if any(extension.oid in scopes for extension in extensions):
        raise InvalidInputError("the previous list is no full one: it has the entries of a part only")
    # Every part is read now, for they are written again later.
    return tuple(entry for entry in read(what, list, previous) if read(what, _of_entry, entry)[0] not in besides)


_needed_fields = attrgetter("issuer", "extensions")
_of_entry = attrgetter("serial_number", "extensions", "revocation_date_utc")
