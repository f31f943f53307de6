"""An authority's successor: the same name and limits, other dates, and by choice another key (RFC 4210 section 4.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from mlsssl._formats.foreign import extensions_of, read
from mlsssl._formats.pem import find_extension
from mlsssl._issue.certificates import AUTHORITY_USAGE, Signer, distribution_point, serial_number, sign, unsigned

if TYPE_CHECKING:
    import datetime as dt

    from mlsssl._formats.keys import PrivateKey
    from mlsssl._issue.certificates import Extension, PublicKey

# What belongs to one certificate, not to the authority: whose key it has, who signed it, where that one's lists are.
_OF_ONE_CERTIFICATE = (
    x509.SubjectKeyIdentifier,
    x509.AuthorityKeyIdentifier,
    x509.CRLDistributionPoints,
    x509.FreshestCRL,
    x509.AuthorityInformationAccess,
    x509.PrecertificateSignedCertificateTimestamps,
)


def key_identifier(old: x509.Certificate, key: PublicKey) -> x509.SubjectKeyIdentifier:
    """The identifier of this key: that in `old` if it is its key, for certificates point to it as it stands."""
    own = find_extension(old, x509.SubjectKeyIdentifier) if old.public_key() == key else None
    return x509.SubjectKeyIdentifier.from_public_key(key) if own is None else own


def self_signer(old: x509.Certificate, key: PrivateKey) -> Signer:
    """The authority `old` under this key, as it signs what has its own name."""
    return Signer.named(old.subject, key, key_identifier(old, key.public_key()))


def with_limits_of(
    old: x509.Certificate,
    signer: Signer,
    public_key: PublicKey,
    *,
    not_before: dt.datetime,
    not_after: dt.datetime,
    crl_url: str | None = None,
) -> x509.Certificate:
    """A certificate for the name of `old` with this key, by `signer`: every extension of the authority is kept.

    So are path length, name constraints, policies and extended usages, critical where they were. A root without
    basicConstraints, which MakeCert made, gets them.
    """
    found: x509.Extensions = read("an extension of this authority cannot be read", extensions_of, old)
    kept = [one for one in found if not isinstance(one.value, _OF_ONE_CERTIFICATE)]
    kinds = {type(one.value) for one in kept}
    extensions: list[Extension] = []
    if x509.BasicConstraints not in kinds:
        extensions.append((x509.BasicConstraints(ca=True, path_length=None), True))
    if x509.KeyUsage not in kinds:
        extensions.append((AUTHORITY_USAGE, True))
    extensions += [(one.value, one.critical) for one in kept]
    extensions.append((key_identifier(old, public_key), False))
    extensions.append((signer.authority_key_identifier, False))
    if crl_url is not None:
        extensions.append((distribution_point(crl_url), False))
    validity = (not_before, not_after)
    builder = unsigned(signer.name, old.subject, public_key, serial_number(None), validity, extensions)
    return sign(builder, signer.key, signer)
