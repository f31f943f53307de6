"""One certificate store of the machine's file."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlsssl._embedded import crls, keys
from mlsssl._embedded.digests import Digests, digests, private_key_digest
from mlsssl._machine.open_store import OpenStore, read_pfx
from mlsssl._machine.ports import Cause, NewCertificate, StoreRecord, refuse_users_roots
from mlsssl.errors import (
    AccessDeniedError,
    InvalidInputError,
    StoreNotFoundError,
)
from mlsssl.values import Thumbprint, check_friendly_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from mlsssl._embedded.database import Database, Row, Value
    from mlsssl._machine.ports import KeyProvider
    from mlsssl.values import Location

_COLUMNS = f"der, friendly_name, archived, renewed_by, certificates.public_key, {keys.STATE_COLUMNS}"
_KINDS = "bTiBb" + keys.STATE_KINDS
_FROM = "FROM certificates LEFT JOIN keys USING (container)"

_PAGE = 500  # certificates read at once: a listing of any length costs about a megabyte
_CHUNK = 1000  # certificates added in one transaction


class EmbeddedStore(OpenStore):
    """A `StorePort` over the file. It holds nothing open of its own, so closing is bookkeeping."""

    def __init__(self, database: Database, number: int, name: str, location: Location, *, writable: bool) -> None:
        super().__init__(name, location, writable=writable, is_machine_closed=lambda: database.closed)
        self._database = database
        self._number = number

    def thumbprints(self) -> Iterator[Thumbprint]:
        """Every listed certificate's thumbprint, in the order of their bytes."""
        for row in self._pages("thumbprint", "b"):
            yield Thumbprint(row[0])

    def records(self) -> Iterator[StoreRecord]:
        """The records behind `thumbprints`."""
        for row in self._pages(_COLUMNS, _KINDS):
            yield self._record(row)

    def find(self, thumbprint: Thumbprint) -> StoreRecord | None:
        """The record, archived or not, or None."""
        row = self._row(thumbprint)
        return None if row is None else self._record(row)

    def add(
        self,
        certificate: bytes,
        private_key: bytes | None,
        *,
        friendly_name: str | None,
        exportable: bool,
        provider: KeyProvider | None,
    ) -> StoreRecord:
        """Put a certificate in, with its key if one is given; see `StorePort.add`."""
        new = NewCertificate(certificate=certificate, private_key=private_key, friendly_name=friendly_name)
        item = _checked(new, exportable=exportable, provider=provider)
        database = self._changing()
        with database.transaction():
            self._insert(item)
            return self._existing(item.digests.thumbprint)

    def add_many(
        self, items: Iterable[NewCertificate], *, exportable: bool, provider: KeyProvider | None = None
    ) -> int:
        """Put many in, a thousand to a transaction; see `StorePort.add_many`."""
        database = self._changing()
        waiting = iter(items)
        count = 0
        # Taken and parsed outside the transaction: the caller's iterator may read from this very machine.
        while chunk := [
            _checked(new, exportable=exportable, provider=provider) for new in itertools.islice(waiting, _CHUNK)
        ]:
            with database.transaction():
                for item in chunk:
                    self._insert(item)
            count += len(chunk)
        return count

    def import_pfx(
        self, data: bytes, password: str | None, *, exportable: bool, friendly_name: str | None
    ) -> tuple[StoreRecord, tuple[bytes, ...]]:
        """Take a PFX; see `StorePort.import_pfx`. Without `friendly_name` the one in the file is taken."""
        self._changing()
        content = read_pfx(data, password)
        record = self.add(
            content.certificate,
            content.pkcs8,
            friendly_name=content.friendly_name if friendly_name is None else friendly_name,
            exportable=exportable,
            provider=None,
        )
        return record, content.others

    def export_key(self, thumbprint: Thumbprint) -> bytes:
        """The private key as PKCS#8 DER; see `StorePort.export_key`."""
        record = self._existing(thumbprint)
        if record.key is None or not record.key.usable:
            raise StoreNotFoundError(f"{thumbprint} in {self._where} has no usable private key")
        if not record.key.exportable:
            raise AccessDeniedError(
                f"the private key of {thumbprint} may not leave the machine; it was added without exportable=True",
                right="exportable key",
            )
        row = self._open().query_one(
            "SELECT pkcs8 FROM key_material WHERE container = ?", (record.key.container,), columns="b"
        )
        if row is None:  # removed by somebody else since the line above
            raise StoreNotFoundError(f"the private key of {thumbprint} in {self._where} is gone")
        return bytes(row[0])

    def set_friendly_name(self, thumbprint: Thumbprint, friendly_name: str | None) -> None:
        """Set or clear the name."""
        check_friendly_name(friendly_name)
        self._set("friendly_name", friendly_name, thumbprint)

    def set_archived(self, thumbprint: Thumbprint, archived: bool) -> None:
        """Hide from or show in listings."""
        self._set("archived", int(archived), thumbprint)

    def set_renewed_by(self, thumbprint: Thumbprint, newer: Thumbprint | None) -> None:
        """Set or clear the CERT_RENEWAL mark."""
        self._set("renewed_by", None if newer is None else bytes(newer), thumbprint)

    def remove(self, thumbprint: Thumbprint, *, delete_key: bool) -> None:
        """Take a certificate out; see `StorePort.remove`."""
        database = self._changing()
        refuse_users_roots(self._name, self._location)
        with database.transaction():
            row = database.query_one(
                "SELECT id, container FROM certificates WHERE store = ? AND thumbprint = ?",
                (self._number, bytes(thumbprint)),
                columns="iT",
            )
            if row is None:
                raise self._missing(thumbprint)
            database.query("DELETE FROM certificates WHERE id = ?", row[:1])
            keys.release_key(database, row[1], delete=delete_key)

    def crls(self) -> list[bytes]:
        """Every revocation list; see `StorePort.crls`."""
        return crls.all_of(self._open(), self._number)

    def add_crl(self, crl: bytes, *, replacing: Collection[bytes] = ()) -> None:
        """Put a revocation list in; see `StorePort.add_crl`."""
        crls.add(self._changing(), self._number, bytes(crl), replacing)

    def remove_crl(self, crl: bytes) -> None:
        """Take a revocation list out; see `StorePort.remove_crl`."""
        if not crls.remove(self._changing(), self._number, bytes(crl)):
            raise StoreNotFoundError(f"this revocation list is not in {self._where}")

    def imitate(self, thumbprint: Thumbprint, cause: Cause) -> None:
        """Bring a certificate's key into one of the states that Windows is known to answer with 1312.

        For trying out what a program does then; not part of `StorePort`, for Windows needs no help with it.

        Args:
            thumbprint: A certificate of this store with a key.
            cause: NO_KEY takes the link away, KEY_NOT_FOUND the key behind it, KEY_NOT_PERSISTED makes the key
                one that was never kept, USER_KEYSET one of a user, KEY_MISMATCH another one than the
                certificate's.

        Raises:
            InvalidInputError: the cause is about the certificate's place, not its key.
            StoreNotFoundError: no such certificate here, or it has no key.
        """
        database = self._changing()
        statement = _IMITATIONS.get(cause)
        if statement is None:
            raise InvalidInputError(f"{cause.value} is not a state of a key; remove or move the certificate for it")
        with database.transaction():
            record = self._existing(thumbprint)
            if record.key is None:
                raise StoreNotFoundError(f"{thumbprint} in {self._where} has no private key")
            database.query(statement, (record.key.container,))

    def _open(self) -> Database:
        self._check_open()
        return self._database

    def _changing(self) -> Database:
        self._check_changing()
        return self._database

    def _pages(self, columns: str, kinds: str) -> Iterator[Row]:
        # By keyset, not by cursor: nothing stays open between two pages, so callers may change what they list.
        after = b""
        while True:
            page = self._open().query(
                f"SELECT {columns}, thumbprint {_FROM} WHERE store = ? AND thumbprint > ? AND NOT archived"
                " ORDER BY thumbprint LIMIT ?",
                (self._number, after, _PAGE),
                columns=kinds + "b",
            )
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1][-1]

    def _row(self, thumbprint: Thumbprint) -> Row | None:
        rows = self._open().query(
            f"SELECT {_COLUMNS} {_FROM} WHERE store = ? AND thumbprint = ?",
            (self._number, bytes(thumbprint)),
            columns=_KINDS,
        )
        return rows[0] if rows else None

    def _record(self, row: Row) -> StoreRecord:
        der, friendly_name, archived, renewed_by, public_key = row[:5]
        return StoreRecord(
            certificate=der,
            friendly_name=friendly_name,
            archived=bool(archived),
            key=keys.key_state(
                row[5:11], certificate_key=public_key, in_machine_store=self._location == "LocalMachine"
            ),
            renewed_by=None if renewed_by is None else Thumbprint(renewed_by),
        )

    def _existing(self, thumbprint: Thumbprint) -> StoreRecord:
        record = self.find(thumbprint)
        if record is None:
            raise self._missing(thumbprint)
        return record

    def _set(self, column: str, value: Value, thumbprint: Thumbprint) -> None:
        database = self._changing()
        with database.transaction():
            self._existing(thumbprint)
            database.query(
                f"UPDATE certificates SET {column} = ? WHERE store = ? AND thumbprint = ?",  # noqa: S608
                (value, self._number, bytes(thumbprint)),
            )

    def _insert(self, item: _Item) -> None:
        """One certificate, inside the caller's transaction."""
        refuse_users_roots(self._name, self._location)
        database = self._open()
        before = database.query_one(
            f"SELECT certificates.id, certificates.public_key, {keys.STATE_COLUMNS} {_FROM}"
            " WHERE store = ? AND thumbprint = ?",
            (self._number, bytes(item.digests.thumbprint)),
            columns="ib" + keys.STATE_KINDS,
        )
        if before is None:
            database.query(
                "INSERT INTO certificates (store, thumbprint, public_key, subject, friendly_name, container, der)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    self._number,
                    bytes(item.digests.thumbprint),
                    item.digests.public_key,
                    item.digests.subject,
                    item.new.friendly_name,
                    self._store_key(database, item),
                    item.new.certificate,
                ),
            )
            return
        number, public_key, *key_row = before
        in_machine = self._location == "LocalMachine"
        state = keys.key_state(tuple(key_row), certificate_key=public_key, in_machine_store=in_machine)
        if item.new.friendly_name is not None:
            database.query("UPDATE certificates SET friendly_name = ? WHERE id = ?", (item.new.friendly_name, number))
        fit = state is not None and state.usable and (state.machine_keyset or not in_machine)
        if item.new.private_key is not None and not fit:
            database.query(
                "UPDATE certificates SET container = ? WHERE id = ?", (self._store_key(database, item), number)
            )
            keys.release_key(database, None if state is None else state.container, delete=True)

    def _store_key(self, database: Database, item: _Item) -> str | None:
        if item.new.private_key is None:
            return None
        return keys.store_key(
            database,
            item.new.private_key,
            public_key=item.private_key_digest,
            provider=item.provider,
            machine_keyset=self._location == "LocalMachine",
            exportable=item.exportable,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    """One certificate on its way in, checked and digested before any transaction starts."""

    new: NewCertificate
    digests: Digests
    private_key_digest: bytes
    exportable: bool
    provider: str


def _checked(new: NewCertificate, *, exportable: bool, provider: KeyProvider | None) -> _Item:
    check_friendly_name(new.friendly_name)
    key = new.private_key
    return _Item(
        new=new,
        digests=digests(new.certificate),
        private_key_digest=b"" if key is None else private_key_digest(key),
        exportable=bool(exportable),
        provider=keys.provider_name(provider, key),
    )


_IMITATIONS = {
    Cause.NO_KEY: "UPDATE certificates SET container = NULL WHERE container = ?",
    Cause.KEY_NOT_FOUND: "DELETE FROM keys WHERE container = ?",
    Cause.KEY_NOT_PERSISTED: "UPDATE keys SET persisted = 0 WHERE container = ?",
    Cause.USER_KEYSET: "UPDATE keys SET machine_keyset = 0 WHERE container = ?",
    Cause.KEY_MISMATCH: "UPDATE keys SET public_key = zeroblob(32) WHERE container = ?",
}
