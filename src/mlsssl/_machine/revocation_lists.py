"""The revocation lists of a certificate store: read, and renewed so that the newest of each line is there."""

from __future__ import annotations

import contextlib
from operator import attrgetter
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mlsssl._formats.crl import line_and_age, load_crls, load_der_crl, newest_of_each_line
from mlsssl._formats.foreign import name_text, read, read_or
from mlsssl._machine import files, stores
from mlsssl._messages.foreign_text import printable
from mlsssl.errors import InvalidInputError, MalformedDataError, StoreNotFoundError
from mlsssl.values import Thumbprint

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path

    from mlsssl._machine.ports import StorePort

    Given = x509.CertificateRevocationList | bytes | str | Path


def given(crl: Given) -> tuple[x509.CertificateRevocationList, ...]:
    """The lists that a caller gave: one, or those of PEM or DER bytes or of a file.

    Raises:
        MalformedDataError: there is none, or one cannot be read.
        NotFoundError, AccessDeniedError, InvalidInputError: as `files.read`.
    """
    if isinstance(crl, x509.CertificateRevocationList):
        return (crl,)
    if isinstance(crl, (bytes, bytearray, memoryview)):
        return load_crls(bytes(crl))
    data = files.read(files.path_of(crl))
    with files.naming(crl):
        return load_crls(data)


def readable(port: StorePort) -> tuple[x509.CertificateRevocationList, ...]:
    """The store's lists, without those that cannot be read."""
    found = []
    for der in port.crls():
        with contextlib.suppress(MalformedDataError):
            crl = load_der_crl(der)
            _newest([crl])  # its line and age can be read too
            found.append(crl)
    return tuple(found)


def add(port: StorePort, crls: Iterable[x509.CertificateRevocationList]) -> tuple[x509.CertificateRevocationList, ...]:
    """Put lists in and take those out that they replace; see `Store.add_crl`."""
    wanted = _newest(crls)
    before = readable(port)
    missing = [crl for crl in wanted if _is_missing(crl, _line(crl, before), port)]
    for crl in missing:
        port.add_crl(_der(crl), replacing=[_der(one) for one in _line(crl, before)])
    # Looked at again: another process may have added to the same line meanwhile, or have been killed before this.
    after = readable(port)
    for crl in wanted:
        line = _line(crl, after)
        for one in line:
            if _age(one) < _age(line[-1]):
                with contextlib.suppress(StoreNotFoundError):  # somebody was faster
                    port.remove_crl(_der(one))
    return tuple(missing)


def _newest(crls: Iterable[x509.CertificateRevocationList]) -> list[x509.CertificateRevocationList]:
    return read("the revocation list cannot be read", newest_of_each_line, crls)


def _line(
    crl: x509.CertificateRevocationList, crls: Iterable[x509.CertificateRevocationList]
) -> list[x509.CertificateRevocationList]:
    """Those that are of the same line, the newest last."""
    line = line_and_age(crl)[0]
    return sorted((one for one in crls if line_and_age(one)[0] == line), key=_age)


def _age(crl: x509.CertificateRevocationList) -> tuple[datetime, int]:
    return line_and_age(crl)[1]


def _is_missing(
    crl: x509.CertificateRevocationList, line: list[x509.CertificateRevocationList], port: StorePort
) -> bool:
    """Whether it is to be added to what is there of its line; `InvalidInputError` when it must not be."""
    if not line or _age(line[-1]) < _age(crl):
        return True
    if _age(line[-1]) == _age(crl) and any(_der(one) == _der(crl) for one in line):
        return False
    # Of the same moment and number, yet another list: nothing says which of the two is the later one.
    raise InvalidInputError(
        f"the revocation list {_described(crl)} is not newer than the one in {port.location}\\{port.name}, "
        f"{_described(line[-1])}: with it revoked certificates might count as good again; add a newer list, or take "
        "that one out first (remove_crl)"
    )


def remove(port: StorePort, crl: Given | Thumbprint) -> None:
    """Take lists out; see `Store.remove_crl`."""
    there = port.crls()
    if isinstance(crl, Thumbprint):
        found = [der for der in there if stores.thumbprint_of(der) == crl]
        if not found:
            raise StoreNotFoundError(f"no revocation list {crl} in {port.location}\\{port.name}")
    else:
        lists = given(crl)
        found = [_der(one) for one in lists]
        for one, der in zip(lists, found, strict=True):
            if der not in there:
                raise StoreNotFoundError(
                    f"the revocation list {_described(one)} is not in {port.location}\\{port.name}"
                )
    for der in dict.fromkeys(found):
        port.remove_crl(der)


def thumbprint_of(crl: x509.CertificateRevocationList) -> Thumbprint:
    """What Windows calls a list: the SHA-1 of its DER."""
    return stores.thumbprint_of(_der(crl))


def number_of(crl: x509.CertificateRevocationList) -> int | None:
    """The CRL number (RFC 5280 section 5.2.3), or None."""
    number = _age(crl)[1]
    return None if number < 0 else number


def issuer_of(crl: x509.CertificateRevocationList) -> str:
    """The issuer's name as RFC 4514 text, for people."""
    name: x509.Name | None = read_or(None, attrgetter("issuer"), crl)
    return "(unreadable name)" if name is None else printable(name_text(name)) or "(empty name)"


def _der(crl: x509.CertificateRevocationList) -> bytes:
    return crl.public_bytes(Encoding.DER)


def _described(crl: x509.CertificateRevocationList) -> str:
    words = f"of {issuer_of(crl)}"
    age: tuple[datetime, int] | None = read_or(None, _age, crl)  # given as an object, nobody may be able to read it
    if age is None:
        return words
    words += f" of {age[0]:%Y-%m-%d %H:%M:%S}Z"
    return words if age[1] < 0 else f"{words}, number {age[1]}"
