"""Reading certificates, told apart by content: PEM with any number of blocks, or DER."""

from __future__ import annotations

import re
from collections import deque
from contextlib import suppress
from operator import attrgetter
from typing import TYPE_CHECKING, Literal, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mlsssl._formats.foreign import extensions_of, public_key_of, read, read_or
from mlsssl._formats.keys import spki
from mlsssl._formats.parsed import EXTENSIONS, View
from mlsssl.errors import MalformedDataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mlsssl._formats.budget import WorkBudget
    from mlsssl._formats.keys import PrivateKey

_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,64})-----")
_PEM_LIMIT = 1000

ExtensionType = TypeVar("ExtensionType", bound=x509.ExtensionType)


def format_of(data: bytes) -> Literal["pem", "pfx", "pkcs7", "certificate"]:
    """Which format the bytes claim to be in, by their first element; `certificate` when nothing is known.

    All three binary ones are an ASN.1 SEQUENCE. Its first element is the version number 3 in a PFX (RFC 7292),
    an object identifier in PKCS#7 (RFC 2315), and another SEQUENCE in a certificate (RFC 5280).
    """
    if b"-----BEGIN" in data:
        return "pem"
    if data[:1] == b"\x30" and len(data) > 2:
        length_octets = data[1] & 0x7F if data[1] > 0x80 else 0
        first = data[2 + length_octets : 5 + length_octets]
        if first == b"\x02\x01\x03":
            return "pfx"
        if first[:1] == b"\x06":
            return "pkcs7"
    return "certificate"


def load_der(data: bytes) -> x509.Certificate:
    """One certificate from DER. `MalformedDataError` when it is none."""
    certificate = read("this is no certificate that can be read", x509.load_der_x509_certificate, data)
    probe(certificate)
    return certificate


def readable(ders: Iterable[bytes]) -> Iterator[x509.Certificate]:
    """The certificates among these that can be read: somebody else's damaged one is no reason to stop."""
    for der in ders:
        with suppress(MalformedDataError):
            yield load_der(der)


def blocks(data: bytes, label: bytes) -> Iterator[bytes]:
    """The PEM blocks with this label, armour and all, unread."""
    begin, end = b"-----BEGIN " + label + b"-----", b"-----END " + label + b"-----"
    first = data.find(begin)
    while first >= 0 and (last := data.find(end, first)) >= 0:
        yield data[first : last + len(end)]
        first = data.find(begin, last)


def probe(certificate: x509.Certificate) -> None:
    """Touch what everything here relies on, for cryptography parses it lazily.

    Raises:
        MalformedDataError: a name, a date or the serial number cannot be read.
    """
    read("a field of this certificate cannot be read", _needed_fields, certificate)


_needed_fields = attrgetter("subject", "issuer", "serial_number", "not_valid_before_utc", "not_valid_after_utc")


def load_pem(
    data: bytes, password: str | None, budget: WorkBudget | None = None
) -> tuple[list[x509.Certificate], PrivateKey | None]:
    """The certificates in file order, and the first private key if there is one, paid for from the budget.

    Raises:
        WrongPasswordError: the key is encrypted, and the password is missing or wrong.
        MalformedDataError: a block is damaged, or there is no certificate and no key.
    """
    certificates: list[x509.Certificate] = []
    key: PrivateKey | None = None
    for count, (label, block) in enumerate(_armoured(data)):
        if label in (b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE"):
            what = f"PEM block {count + 1} is no certificate"
            certificates.append(read(what, x509.load_pem_x509_certificate, block))
            read(what, _needed_fields, certificates[-1])
        elif label.endswith(b"PRIVATE KEY") and key is None:
            from mlsssl._formats.key_files import load_private_key  # as much to import as all the rest here

            key = load_private_key(block, password, budget)
    if not certificates and key is None:
        raise MalformedDataError("no certificate and no private key between BEGIN and END lines in this PEM text")
    return certificates, key


def _armoured(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Label and text of each PEM block; a BEGIN without its END is passed over.

    Each BEGIN may cost one look through the rest of the file for its END, so it is they that are counted.

    Raises:
        MalformedDataError: there are too many of them.
    """
    position, begun = 0, 0
    while (begin := _BEGIN.search(data, position)) is not None:
        begun += 1
        if begun > _PEM_LIMIT:
            raise MalformedDataError(f"more than {_PEM_LIMIT} PEM blocks in one file")
        label = begin.group(1)
        end = b"-----END " + label + b"-----"
        last = data.find(end, begin.end())
        if last < 0:
            position = begin.end() - 5  # whose hyphens may be another's
        else:
            position = last + len(end)
            yield label, data[begin.start() : position]


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

    Raises:
        MalformedDataError: the name of one of them cannot be read.
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
