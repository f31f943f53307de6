"""The URL reservations of the machine's file and what HTTP.sys is configured with besides, by HTTP.sys' rules.

The embedded listener does not ask them: it serves its bindings, whoever runs it.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from mlsssl._formats import sddl
from mlsssl._formats.url_prefixes import UrlPrefix
from mlsssl._machine.ports import ReservationRecord
from mlsssl._messages.foreign_text import shown
from mlsssl.errors import (
    ExistsError,
    InvalidInputError,
    MalformedDataError,
    NotFoundError,
    ReservationExistsError,
    ReservationNotFoundError,
)

if TYPE_CHECKING:
    from mlsssl._embedded.database import Database
    from mlsssl._machine.ports import HttpNumber


class EmbeddedReservations:
    """A `ReservationsPort` over the file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, url: UrlPrefix) -> ReservationRecord | None:
        """The record, or None."""
        row = self._database.query_one(
            "SELECT url, sddl FROM reservations WHERE folded = ?", (_folded(url),), columns="tt"
        )
        return None if row is None else _record(*row)

    def all(self) -> list[ReservationRecord]:
        """Every record, sorted by prefix."""
        rows = self._database.query("SELECT url, sddl FROM reservations", columns="tt")
        return sorted((_record(*row) for row in rows), key=lambda record: record.url)

    def add(self, record: ReservationRecord) -> None:
        """Add; see `ReservationsPort.add`."""
        try:
            sddl.entries(record.sddl)
        except MalformedDataError as error:
            raise InvalidInputError(f"{record.url} cannot have this access list: {error}") from None
        if any(unicodedata.category(c) == "Cs" for c in record.sddl):
            raise InvalidInputError(f"{shown(record.sddl)} holds half a character (a lone surrogate)")
        with self._database.transaction():
            if self._database.query("SELECT 1 FROM reservations WHERE folded = ?", (_folded(record.url),)):
                raise ReservationExistsError(
                    f"{record.url} is reserved already (183, ERROR_ALREADY_EXISTS); update it, or remove it first"
                )
            self._database.query(
                "INSERT INTO reservations (url, folded, sddl) VALUES (?, ?, ?)",
                (record.url.written, _folded(record.url), record.sddl),
            )

    def remove(self, url: UrlPrefix) -> None:
        """Remove; see `ReservationsPort.remove`."""
        with self._database.transaction():
            if not self._database.query("SELECT 1 FROM reservations WHERE folded = ?", (_folded(url),)):
                raise ReservationNotFoundError(f"{url} is not reserved (2, ERROR_FILE_NOT_FOUND)")
            self._database.query("DELETE FROM reservations WHERE folded = ?", (_folded(url),))


def _folded(url: UrlPrefix) -> str:
    return url.folded


def _record(url: str, descriptor: str) -> ReservationRecord:
    try:
        return ReservationRecord(url=UrlPrefix.as_stored(url), sddl=descriptor)
    except InvalidInputError as error:
        raise MalformedDataError(f"the machine's file has a reservation that cannot be one: {error}") from None


class EmbeddedHttpSettings:
    """An `HttpSettingsPort` over the file; nothing here listens by them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def listen_addresses(self) -> tuple[str, ...]:
        """The addresses in the listen list."""
        rows = self._database.query("SELECT address FROM listen_addresses ORDER BY address", columns="t")
        return tuple(row[0] for row in rows)

    def add_listen_address(self, address: str) -> None:
        """Add one; see `HttpSettingsPort.add_listen_address`."""
        with self._database.transaction():
            if self._database.query("SELECT 1 FROM listen_addresses WHERE address = ?", (address,)):
                raise ExistsError(f"{address} is in the listen list already (183, ERROR_ALREADY_EXISTS)")
            self._database.query("INSERT INTO listen_addresses (address) VALUES (?)", (address,))

    def remove_listen_address(self, address: str) -> None:
        """Remove one; see `HttpSettingsPort.remove_listen_address`."""
        with self._database.transaction():
            if not self._database.query("SELECT 1 FROM listen_addresses WHERE address = ?", (address,)):
                raise NotFoundError(f"{address} is not in the listen list (2, ERROR_FILE_NOT_FOUND)")
            self._database.query("DELETE FROM listen_addresses WHERE address = ?", (address,))

    def number(self, which: HttpNumber) -> int | None:
        """What is configured, or None."""
        row = self._database.query_one(
            "SELECT value FROM http_numbers WHERE id = ? AND key = ?", which.value, columns="i"
        )
        return None if row is None else int(row[0])

    def set_number(self, which: HttpNumber, value: int) -> None:
        """Configure it."""
        self._database.query(
            "INSERT OR REPLACE INTO http_numbers (id, key, value) VALUES (?, ?, ?)", (*which.value, value)
        )

    def reset_number(self, which: HttpNumber) -> None:
        """Configure nothing; see `HttpSettingsPort.reset_number`."""
        with self._database.transaction():
            if self.number(which) is None:
                raise NotFoundError(f"{which.name} is not configured (2, ERROR_FILE_NOT_FOUND)")
            self._database.query("DELETE FROM http_numbers WHERE id = ? AND key = ?", which.value)
