"""The index behind a look-up by host: under which names each certificate of the machine's file is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from mlsssl._formats import pem
from mlsssl._formats.hosts import filed_under, hosts_among
from mlsssl.errors import MalformedDataError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

LOOK = ""
"""What a certificate is filed under that each look-up has to look at itself, for its names are not in the index."""

_MOST = 1000  # names of one certificate; no authority gives as many, and an index of a stranger's would have no bound


def names_of(certificate: x509.Certificate) -> frozenset[str]:
    """What to file it under; only `LOOK` where the names cannot be read today, or are too many."""
    try:
        found = pem.find_extension(certificate, x509.SubjectAlternativeName)
    except MalformedDataError:  # a later version may be able to
        return frozenset({LOOK})
    if found is None:
        return frozenset()
    names = frozenset(name for name in map(filed_under, hosts_among(found)) if name is not None)
    return names if len(names) <= _MOST else frozenset({LOOK})


def fill(connection: sqlite3.Connection) -> None:
    """File every certificate of a file whose `names` is new and empty; inside the caller's transaction."""
    connection.executemany("INSERT INTO names (store, name, certificate) VALUES (?, ?, ?)", _rows(connection))


def _rows(connection: sqlite3.Connection) -> Iterator[tuple[int, str, int]]:
    for number, store, der in connection.execute("SELECT id, store, der FROM certificates"):
        for name in _names_in(der):
            yield store, name, number


def _names_in(der: object) -> frozenset[str]:
    try:
        return names_of(pem.load_der(der)) if isinstance(der, bytes) else frozenset({LOOK})
    except MalformedDataError:  # damaged: whoever looks at it is told so
        return frozenset({LOOK})
