"""The revocation lists of a certificate store: read, and renewed so that the newest of each line is there."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from mlsssl._formats.crl import der_of, described, line_and_age, load_der_crl, newest_of_each_line
from mlsssl._formats.foreign import read
from mlsssl._machine import stores
from mlsssl.errors import InvalidInputError, MalformedDataError, StoreNotFoundError
from mlsssl.values import Thumbprint

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from cryptography import x509

    from mlsssl._machine.ports import StorePort


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
        port.add_crl(der_of(crl), replacing=[der_of(one) for one in _line(crl, before)])
    # Looked at again: another process may have added to the same line meanwhile, or have been killed before this.
    after = readable(port)
    for crl in wanted:
        line = _line(crl, after)
        for one in line:
            if _age(one) < _age(line[-1]):
                with contextlib.suppress(StoreNotFoundError):  # somebody was faster
                    port.remove_crl(der_of(one))
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
    if _age(line[-1]) == _age(crl) and any(der_of(one) == der_of(crl) for one in line):
        return False
    # Of the same moment and number, yet another list: nothing says which of the two is the later one.
    raise InvalidInputError(
        f"the revocation list {described(crl)} is not newer than the one in {port.location}\\{port.name}, "
        f"{described(line[-1])}: with it revoked certificates might count as good again; add a newer list, or take "
        "that one out first, store.remove_crl(...)"
    )


def remove(port: StorePort, crls: Iterable[x509.CertificateRevocationList] | Thumbprint) -> None:
    """Take lists out; see `Store.remove_crl`."""
    there = port.crls()
    if isinstance(crls, Thumbprint):
        found = [der for der in there if stores.thumbprint_of(der) == crls]
        if not found:
            raise StoreNotFoundError(f"no revocation list {crls} in {port.location}\\{port.name}")
    else:
        found = []
        for one in crls:
            found.append(der_of(one))
            if found[-1] not in there:
                raise StoreNotFoundError(f"the revocation list {described(one)} is not in {port.location}\\{port.name}")
    for der in dict.fromkeys(found):
        port.remove_crl(der)
