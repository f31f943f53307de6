"""Certificates as `cryptography` has them: out of DER, into PEM; their leaf, chain, extensions and keys."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, TypeVar

from cryptography import x509

from mlsssl._formats.foreign import UNREADABLE, call, extensions_of, needed_fields_of, public_key_of, read, read_or
from mlsssl._formats.keys import as_der, spki
from mlsssl._formats.parsed import EXTENSIONS, OddCertificate, OddRequest, View, is_certificate, issuer_view
from mlsssl.errors import InvalidInputError, MalformedDataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from mlsssl._formats.parsed import Fault

_end_of: Callable[[x509.Certificate], datetime] = attrgetter("not_valid_after_utc")
ExtensionType = TypeVar("ExtensionType", bound=x509.ExtensionType)


def load_der(data: bytes, what: str = "this is no certificate that can be read") -> x509.Certificate:
    """One certificate from DER; one that `cryptography` refuses is an `OddCertificate` where it can be read.

    Raises:
        MalformedDataError: it is none; the message begins with `what`.
        UnreadableCertificateError: it is one, and a field cannot be read.
    """
    try:
        certificate = call(x509.load_der_x509_certificate, data)
        call(needed_fields_of, certificate)
    except UNREADABLE as error:
        from mlsssl._formats import lenient  # for these alone

        return lenient.load(bytes(data), what, error)
    return certificate


def end_of(der: bytes) -> datetime | None:
    """The last second of validity, of a certificate of which nothing else is asked; None where it cannot be read."""
    try:
        return call(_end_of, call(x509.load_der_x509_certificate, der))
    except UNREADABLE:
        certificate = next(readable([der]), None)
        return None if certificate is None else certificate.not_valid_after_utc


def readable(ders: Iterable[bytes]) -> Iterator[x509.Certificate]:
    """The certificates among these that can be read: somebody else's damaged one is no reason to stop."""
    for der in ders:
        with suppress(MalformedDataError):
            yield load_der(der)


def probe(certificate: x509.Certificate, what: str = "a field of this certificate cannot be read") -> None:
    """Touch what everything here relies on, for cryptography parses it lazily; `MalformedDataError` if odd."""
    read(what, needed_fields_of, certificate)


def usable(certificate: x509.Certificate) -> x509.Certificate:
    """The same, or what stands in for it where `cryptography` only now refuses a field; errors as `load_der`."""
    try:
        call(needed_fields_of, certificate)
    except UNREADABLE:
        return load_der(to_der(certificate))
    return certificate


def to_pem(certificates: Iterable[x509.Certificate]) -> bytes:
    """The certificates as PEM, one after another."""
    from cryptography.hazmat.primitives.serialization import Encoding  # as in `as_der`

    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def to_der(certificate: x509.Certificate) -> bytes:
    """The certificate's DER."""
    return certificate.public_bytes(as_der())


def public_key_bytes(certificate: x509.Certificate) -> bytes | None:
    """The certificate's SubjectPublicKeyInfo, or None when its key cannot be read."""
    return read_or(None, lambda: spki(public_key_of(certificate)))


def order_chain(leaf: x509.Certificate, others: Iterable[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    """The others from the leaf's issuer upwards, by issuer names; what does not connect follows in given order.

    Of several of one name, as an authority has that went over to a new key, the first that the key identifiers do not
    rule out is taken. Whether signatures hold is the validator's question. The leaf itself and repetitions are dropped.
    """
    left: dict[x509.Certificate, None] = {}
    by_subject: dict[x509.Name, deque[x509.Certificate]] = {}
    for other in others:
        if other != leaf and other not in left:
            probe(other)
            left[other] = None
            by_subject.setdefault(other.subject, deque()).append(other)
    ordered: list[x509.Certificate] = []
    current = leaf
    while (following := by_subject.get(current.issuer)) and not is_root(current):
        first = list(islice(following, _MOST_OF_ONE_NAME))
        chosen = first[0]
        if len(first) > 1:
            chosen = next((one for one in first if View(current).may_be_signed_by(View(one))), chosen)
        following.remove(chosen)
        del left[chosen]
        current = chosen
        ordered.append(current)
    return (*ordered, *left)


_MOST_OF_ONE_NAME = 16  # a file can hold thousands


def is_root(certificate: x509.Certificate) -> bool:
    """Whether it is self-issued and no cross-certificate, as `View.is_root` says."""
    return bool(read_or(False, _names_itself, certificate)) and issuer_view(certificate).is_root


def _names_itself(certificate: x509.Certificate) -> bool:
    return certificate.issuer == certificate.subject


def faults_of(read: x509.Certificate | x509.CertificateSigningRequest) -> tuple[Fault, ...]:
    """What is odd about the encoding of a certificate or request; empty for all that `cryptography` reads."""
    return read.faults if isinstance(read, (OddCertificate, OddRequest)) else ()


def extensions_by_kind(certificate: x509.Certificate) -> dict[type[x509.ExtensionType], x509.ExtensionType]:
    """Those that can be read, for who asks for several; none where one of them cannot: see `find_extension`."""
    return {type(one.value): one.value for one in read_or((), extensions_of, certificate)}


def find_extension(certificate: x509.Certificate, kind: type[ExtensionType]) -> ExtensionType | None:
    """The extension of this kind, or None. `MalformedDataError` when it cannot be read, or is there more than once."""
    extensions: x509.Extensions | None = read_or(None, extensions_of, certificate)
    if extensions is None:  # for cryptography one that cannot be read spoils them all
        view = View(certificate)
        for problem in view.problems:
            if problem.oid in (kind.oid.dotted_string, EXTENSIONS):
                raise MalformedDataError(f"an extension of this certificate cannot be read: {problem.reason}")
        return view.value(kind)
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def crl_of(given: object) -> object:
    """The list of `cryptography` behind a `RevocationList`; everything else as it is."""
    return given.to_cryptography() if hasattr(given, "to_cryptography") else given


def x509_of(given: object) -> x509.Certificate:
    """The certificate behind one of any kind, or behind an authority; `InvalidInputError` for something else."""
    inner = getattr(given, "certificate", given)
    # Ours first as they are held: `Certificate.to_cryptography` refuses to give what stands in for one.
    found = getattr(inner, "_certificate", None)
    if found is None:
        found = inner.to_cryptography() if hasattr(inner, "to_cryptography") else inner
    if is_certificate(found):
        return found
    raise InvalidInputError(
        f"a certificate or an authority is needed (Certificate.load reads a file), not {type(given).__name__}"
    )
