"""Certificates as `cryptography` has them: out of DER, into PEM; their leaf, chain, extensions and keys."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from operator import attrgetter
from typing import TYPE_CHECKING, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mlsssl._formats.foreign import extensions_of, public_key_of, read, read_or
from mlsssl._formats.keys import spki
from mlsssl._formats.parsed import EXTENSIONS, View
from mlsssl.errors import InvalidInputError, MalformedDataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mlsssl._formats.keys import PrivateKey

ExtensionType = TypeVar("ExtensionType", bound=x509.ExtensionType)


def load_der(data: bytes, what: str = "this is no certificate that can be read") -> x509.Certificate:
    """One certificate from DER. `MalformedDataError`, which begins with `what`, when it is none."""
    certificate = read(what, x509.load_der_x509_certificate, data)
    probe(certificate, what)
    return certificate


def readable(ders: Iterable[bytes]) -> Iterator[x509.Certificate]:
    """The certificates among these that can be read: somebody else's damaged one is no reason to stop."""
    for der in ders:
        with suppress(MalformedDataError):
            yield load_der(der)


def probe(certificate: x509.Certificate, what: str = "a field of this certificate cannot be read") -> None:
    """Touch what everything here relies on, for cryptography parses it lazily; `MalformedDataError` if odd."""
    read(what, _needed_fields, certificate)


_needed_fields = attrgetter("subject", "issuer", "serial_number", "not_valid_before_utc", "not_valid_after_utc")


def to_pem(certificates: Iterable[x509.Certificate]) -> bytes:
    """The certificates as PEM, one after another."""
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def to_der(certificate: x509.Certificate) -> bytes:
    """The certificate's DER."""
    return certificate.public_bytes(Encoding.DER)


def find_leaf(certificates: Sequence[x509.Certificate], key: PrivateKey | None) -> x509.Certificate:
    """The certificate the others lead up from: the one of the key, else the first that issued none of the others.

    Without a key the order would do for a server's PEM, but a PKCS#7 is a SET, sorted by its bytes.

    Raises:
        MalformedDataError: a key is given, and none of the certificates is its own.
    """
    if key is None:
        issuers = {one.issuer for one in certificates if one.issuer != one.subject}
        return next((one for one in certificates if one.subject not in issuers), certificates[0])
    wanted = spki(key.public_key())
    for certificate in certificates:
        if public_key_bytes(certificate) == wanted:
            return certificate
    raise MalformedDataError("the private key belongs to none of the certificates in this file")


def public_key_bytes(certificate: x509.Certificate) -> bytes | None:
    """The certificate's SubjectPublicKeyInfo, or None when its key cannot be read."""
    return read_or(None, lambda: spki(public_key_of(certificate)))


def order_chain(leaf: x509.Certificate, others: Iterable[x509.Certificate]) -> tuple[x509.Certificate, ...]:
    """The others from the leaf's issuer upwards, by issuer names; what does not connect follows in given order.

    Names only: whether signatures hold is the validator's question. The leaf itself and repetitions are dropped.
    """
    left: dict[bytes, x509.Certificate] = {}
    by_subject: dict[x509.Name, deque[bytes]] = {}
    for other in others:
        der = to_der(other)
        if other != leaf and der not in left:
            probe(other)
            left[der] = other
            by_subject.setdefault(other.subject, deque()).append(der)
    ordered: list[x509.Certificate] = []
    current = leaf
    while current.issuer != current.subject and (following := by_subject.get(current.issuer)):
        current = left.pop(following.popleft())
        ordered.append(current)
    return (*ordered, *left.values())


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


def x509_of(given: object) -> x509.Certificate:
    """The certificate behind one of any kind, or behind an authority; `InvalidInputError` for something else."""
    inner = getattr(given, "certificate", given)
    found = inner.to_cryptography() if hasattr(inner, "to_cryptography") else inner
    if isinstance(found, x509.Certificate):
        return found
    raise InvalidInputError(f"a certificate or an authority is needed, not {type(given).__name__}")
