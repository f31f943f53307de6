"""Certificate revocation lists (RFC 5280 section 5), read from bytes, and which of them replace one another."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mlsssl._formats.foreign import extensions_of, name_text, read, read_or
from mlsssl._formats.keys import has_signed
from mlsssl._formats.sniff import Kind, recognise
from mlsssl._messages.foreign_text import printable
from mlsssl.errors import MalformedDataError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes


def load_crls(data: bytes) -> tuple[x509.CertificateRevocationList, ...]:
    """Every list in `data`, in PKCS#7 too; what else is in it is left out. `MalformedDataError` for none."""
    recognised = recognise(data)
    found: list[bytes] = []
    for item in recognised.of(Kind.REVOCATION_LIST, Kind.PKCS7):
        item.check_end()
        if item.kind is Kind.REVOCATION_LIST:
            found.append(item.data)
        else:
            from mlsssl._formats.pkcs7 import crls_of

            found += crls_of(item.data)
    if not found:
        raise MalformedDataError(f"a revocation list is needed, and this is {recognised}")
    return tuple(map(load_der_crl, found))


def load_der_crl(data: bytes) -> x509.CertificateRevocationList:
    """The one list in DER; `MalformedDataError` when its name, times or extensions cannot be read."""
    crl = read(_NO_CRL, x509.load_der_x509_crl, data)
    read(_NO_CRL, _needed_fields, crl)  # which are read lazily, so that nothing raises later
    return crl


def check_der_crl(data: bytes) -> None:
    """`MalformedDataError` for what is no list in DER; one with an extension that cannot be read is one, too."""
    read("not a DER revocation list", x509.load_der_x509_crl, data)


_NO_CRL = "this is no revocation list that can be read"
_needed_fields = attrgetter("issuer", "extensions", "last_update_utc", "next_update_utc")


def is_signed_by(key: PublicKeyTypes, crl: x509.CertificateRevocationList) -> bool:
    """Whether this key signed the list. Errors as `keys.has_signed`."""
    return crl.is_signature_valid(key) or has_signed(key, crl, crl.tbs_certlist_bytes)  # type: ignore[arg-type]


def number_of(crl: x509.CertificateRevocationList) -> int:
    """The CRL number (RFC 5280 section 5.2.3); -1 without one."""
    try:
        return crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    except x509.ExtensionNotFound:
        return -1


def line_and_age(crl: x509.CertificateRevocationList) -> tuple[tuple[bytes, ...], tuple[datetime, int]]:
    """Which lists replace one another, and which of two is the newer.

    Lists of one line have the same issuer, authorityKeyIdentifier and issuingDistributionPoint, and are all full or
    all delta lists: what Windows compares for CRL_FIND_EXISTING. The newer has the later thisUpdate, then the greater
    CRL number (RFC 5280 section 5.2.3).

    Raises:
        ValueError, TypeError: the list cannot be read; `load_crls` has none such.
    """
    extensions = crl.extensions
    line = [crl.issuer.public_bytes()]
    for kind in (x509.AuthorityKeyIdentifier, x509.IssuingDistributionPoint, x509.DeltaCRLIndicator):
        try:
            value = extensions.get_extension_for_class(kind).value
        except x509.ExtensionNotFound:
            line.append(b"")
        else:
            # Which base a delta list is for does not matter: it is a delta list.
            line.append(b"delta" if isinstance(value, x509.DeltaCRLIndicator) else value.public_bytes())
    return tuple(line), (crl.last_update_utc, number_of(crl))


def newest_of_each_line(crls: Iterable[x509.CertificateRevocationList]) -> list[x509.CertificateRevocationList]:
    """The lists that no other one of their line replaces. Raises as `line_and_age`."""
    newest: dict[object, tuple[tuple[datetime, int], x509.CertificateRevocationList]] = {}
    for crl in crls:
        line, age = line_and_age(crl)
        known = newest.get(line)
        if known is None or known[0] < age:
            newest[line] = (age, crl)
    return [crl for _age, crl in newest.values()]


def entry_of(serial: int, crl: x509.CertificateRevocationList) -> x509.RevokedCertificate | None:
    """The list's entry of this serial number, or None."""
    if serial >= 0:
        return crl.get_revoked_certificate_by_serial_number(serial)
    # cryptography looks no negative number up, though certificates and lists with such numbers exist.
    return next((entry for entry in crl if entry.serial_number == serial), None)


def reason_of(entry: x509.RevokedCertificate) -> str:
    """Why it was revoked, in RFC 5280's words."""
    extensions: x509.Extensions | None = read_or(None, extensions_of, entry)
    if extensions is None:  # an unreadable reason is still a revocation
        return "unreadable"
    try:
        return extensions.get_extension_for_class(x509.CRLReason).value.reason.value
    except x509.ExtensionNotFound:
        return "not given"


def der_of(crl: x509.CertificateRevocationList) -> bytes:
    """The list as DER."""
    return crl.public_bytes(Encoding.DER)


def issuer_of(crl: x509.CertificateRevocationList) -> str:
    """The issuer's name as RFC 4514 text, for people."""
    name: x509.Name | None = read_or(None, attrgetter("issuer"), crl)
    return "(unreadable name)" if name is None else printable(name_text(name)) or "(empty name)"


def described(crl: x509.CertificateRevocationList) -> str:
    """Whose it is, of when, and its number, for messages; as much of it as can be read."""
    words = f"of {issuer_of(crl)}"
    found: tuple[object, tuple[datetime, int]] | None = read_or(None, line_and_age, crl)
    if found is None:
        return words
    issued, number = found[1]
    words += f" of {issued:%Y-%m-%d %H:%M:%S}Z"
    return words if number < 0 else f"{words}, number {number}"
