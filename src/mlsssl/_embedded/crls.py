"""The revocation lists of a store of the machine's file."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from mlsssl._formats.crl import check_der_crl

if TYPE_CHECKING:
    from collections.abc import Collection

    from mlsssl._embedded.database import Database


def all_of(database: Database, store: int) -> list[bytes]:
    """Every list of the store with this number."""
    with database.transaction(write=False):
        # A file of version 1 that this user may only read has no such table.
        if database.query_one("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'crls'") is None:
            return []
        rows = database.query("SELECT der FROM crls WHERE store = ? ORDER BY digest", (store,), columns="b")
        return [row[0] for row in rows]


def add(database: Database, store: int, crl: bytes, replacing: Collection[bytes]) -> None:
    """Put a list in and take others out, in one change; `MalformedDataError` when it is no list."""
    check_der_crl(crl)
    with database.transaction():
        database.query("INSERT OR IGNORE INTO crls (store, digest, der) VALUES (?, ?, ?)", (store, _digest(crl), crl))
        for other in replacing:
            if other != crl:
                _delete(database, store, other)


def remove(database: Database, store: int, crl: bytes) -> bool:
    """Take a list out; False when it is not there."""
    with database.transaction():
        row = (store, _digest(crl))
        there = database.query_one("SELECT 1 FROM crls WHERE store = ? AND digest = ?", row) is not None
        _delete(database, store, crl)
    return there


def _delete(database: Database, store: int, crl: bytes) -> None:
    database.query("DELETE FROM crls WHERE store = ? AND digest = ?", (store, _digest(crl)))


def _digest(crl: bytes) -> bytes:
    return hashlib.sha256(crl).digest()
