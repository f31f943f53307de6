"""The TLS bindings of the machine's file, by HTTP.sys's rules."""

from __future__ import annotations

import unicodedata
import uuid
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from mlsssl._embedded.database import folded
from mlsssl._embedded.stores import KEY_COLUMNS, KEY_KINDS, key_state
from mlsssl._formats.binding_keys import (
    BindingFamily,
    BindingOptions,
    CcsPort,
    HostnamePort,
    IpPort,
    ScopedCcs,
    numbers_of,
    written_host,
)
from mlsssl._machine.diagnosis import about_key, about_place
from mlsssl._machine.ports import BindingRecord, owner_text, refuse_ccs_options, sort_key
from mlsssl._messages.foreign_text import shown
from mlsssl.errors import (
    BindingExistsError,
    BindingNotFoundError,
    InvalidInputError,
    MalformedDataError,
    UnsupportedError,
    UnusableCertificateError,
)
from mlsssl.values import Thumbprint

if TYPE_CHECKING:
    from collections.abc import Collection

    from mlsssl._embedded.database import Database, Row, Value
    from mlsssl._formats.binding_keys import BindingKey
    from mlsssl._machine.ports import Diagnosis

_COLUMNS = (
    "family, host, port, thumbprint, store_name, app_id, flags, check_mode, freshness_seconds,"
    " timeout_milliseconds, ctl_identifier, ctl_store_name"
)

_ALL = f"SELECT {_COLUMNS} FROM bindings"  # noqa: S608
_FIND = f"{_ALL} WHERE family = ? AND host = ? AND port = ?"
_UPDATE = (
    "UPDATE bindings SET thumbprint = ?, store_name = ?, app_id = ?, flags = ?, check_mode = ?, freshness_seconds = ?,"
    " timeout_milliseconds = ?, ctl_identifier = ?, ctl_store_name = ? WHERE family = ? AND host = ? AND port = ?"
)

_KEPT = 256
"""Keys, owners and options that are kept parsed, of each so many."""


class EmbeddedBindings:
    """A `BindingsPort` over the file; `atomic_update` and `families` as for `EmbeddedPort`."""

    def __init__(self, database: Database, *, atomic_update: bool, families: Collection[BindingFamily]) -> None:
        self._database = database
        self.atomic_update = atomic_update
        self._families = tuple(family for family in BindingFamily if family in families)
        self._read: dict[Row, BindingRecord] = {}
        self._found: dict[Row, BindingRecord] = {}

    def supports(self, family: BindingFamily) -> bool:
        """Whether this machine knows the family."""
        return family in self._families

    def find(self, key: BindingKey) -> BindingRecord | None:
        """The record, or None."""
        self._check_family(key.family)
        row = self._database.query_one(_FIND, _filed_under(self._as_stored(key)))
        if row is None:
            return None
        record = self._known(row)
        self._found = {row: record}
        return record

    def _known(self, row: Row) -> BindingRecord:
        """What the row says; most have been read before, in the last listing or as the one that was found last."""
        return self._read.get(row) or self._found.get(row) or _record(row)

    def all(self) -> list[BindingRecord]:
        """Every record, family by family, sorted by key."""
        rows = self._database.query(_ALL)
        # Between two looks, of a listener say, few rows have changed, and making a record of one is what costs.
        self._read = {row: self._known(row) for row in rows}
        families = self._families
        found = [record for record in self._read.values() if record.key.family in families]
        found.sort(key=lambda record: (families.index(record.key.family), sort_key(record.key)))
        return found

    def add(self, record: BindingRecord, *, retry: bool = True) -> None:
        """Add; see `BindingsPort.add`. Nothing passes by itself here, so `retry` changes nothing."""
        row = self._checked_row(record)
        with self._database.transaction():
            if self._is_bound(self._as_stored(record.key)):
                raise BindingExistsError(
                    f"{record.key} is bound already (183, ERROR_ALREADY_EXISTS); update it, or remove it first"
                )
            self._put("INSERT", record, row)

    def try_out(self, record: BindingRecord) -> None:
        """What `add` would say; see `BindingsPort.try_out`."""
        self._checked_row(record)
        with self._database.transaction():
            self._check_certificate(record)

    def recover(self) -> list[str]:
        """Nothing: trying a record out leaves nothing here."""
        return []

    def update(self, record: BindingRecord) -> None:
        """Replace the whole record; see `BindingsPort.update`."""
        if not self.atomic_update:
            raise UnsupportedError("this machine has no HttpUpdateServiceConfiguration; remove the binding and add it")
        with self._database.transaction():
            key = self._as_stored(record.key)
            record = record if key is record.key else replace(record, key=key)
            row = self._checked_row(record)
            if not self._database.change(_UPDATE, (*row[3:], *row[:3])):
                raise _not_bound(record.key)
            self._check_certificate(record)  # what it refuses is rolled back

    def remove(self, key: BindingKey) -> None:
        """Remove; see `BindingsPort.remove`."""
        self._check_family(key.family)
        with self._database.transaction():
            key = self._as_stored(key)
            if not self._is_bound(key):
                raise _not_bound(key)
            self._database.query("DELETE FROM bindings WHERE family = ? AND host = ? AND port = ?", _filed_under(key))

    def _as_stored(self, key: BindingKey) -> BindingKey:
        """The key as the file has it: of what is bound under another spelling of the host, that spelling."""
        if isinstance(key, (IpPort, CcsPort)) or key.stored_host is not None or self._is_bound(key):
            return key
        # One that is normalised is no other spelling of anything: of ten thousand hosts hardly any has to be read.
        rows = self._database.query(
            "SELECT host FROM bindings WHERE family = ? AND port = ?"
            " AND (host GLOB '*[A-Z]*' OR host GLOB '*.' OR host GLOB '*[^ -~]*') ORDER BY host",
            (key.family.value, key.port),
        )
        spellings = (_key(key.family, str(host), key.port) for (host,) in rows)
        return next((other for other in spellings if other == key), key)

    def _is_bound(self, key: BindingKey) -> bool:
        return bool(
            self._database.query("SELECT 1 FROM bindings WHERE family = ? AND host = ? AND port = ?", _filed_under(key))
        )

    def _check_family(self, family: BindingFamily) -> None:
        if family not in self._families:
            raise UnsupportedError(f"this machine does not know bindings of the family {family.value}")

    def _checked_row(self, record: BindingRecord) -> tuple[Value, ...]:
        self._check_family(record.key.family)
        options = record.options
        refuse_ccs_options(record)
        for text in (options.ctl_identifier, options.ctl_store_name):
            if text and any(unicodedata.category(c) == "Cs" for c in text):
                raise InvalidInputError(f"{shown(text)} holds half a character (a lone surrogate)")
        return (
            *_filed_under(record.key),
            None if record.thumbprint is None else bytes(record.thumbprint),
            record.store_name,
            owner_text(record.app_id),
            *numbers_of(options),
            options.ctl_identifier,
            options.ctl_store_name,
        )

    def _put(self, how: str, record: BindingRecord, row: tuple[Value, ...]) -> None:
        self._check_certificate(record)
        self._database.query(
            f"{how} INTO bindings ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            row,
        )

    def _check_certificate(self, record: BindingRecord) -> None:
        """What HTTP.sys does when a record is set: look the certificate up and open its key. In a transaction."""
        if record.thumbprint is None:
            return
        diagnosis = diagnose(self._database, record.thumbprint, record.store)
        if diagnosis:
            raise UnusableCertificateError(
                f"{record.key} cannot have {record.thumbprint} (1312, ERROR_NO_SUCH_LOGON_SESSION): {diagnosis[0]}",
                diagnosis=diagnosis,
            )


_PLACES = (
    f"SELECT location, name, folded, {KEY_COLUMNS}"  # noqa: S608
    " FROM certificates JOIN stores ON stores.id = store LEFT JOIN keys USING (container)"
    " WHERE thumbprint = ? ORDER BY location DESC, name"
)
_PLACES_KINDS = "ttt" + KEY_KINDS


def _not_bound(key: BindingKey) -> BindingNotFoundError:
    return BindingNotFoundError(f"nothing is bound to {key} (2, ERROR_FILE_NOT_FOUND)")


def _filed_under(key: BindingKey) -> tuple[str, str, int]:
    if isinstance(key, IpPort):
        return key.family.value, key.address, key.port
    if isinstance(key, CcsPort):
        return key.family.value, "", key.port
    return key.family.value, written_host(key), key.port


def _record(row: Row) -> BindingRecord:
    try:
        return _parse(row)
    except (ValueError, TypeError, OverflowError) as error:
        raise MalformedDataError(f"the machine's file has a binding that cannot be one: {error}") from None


def _parse(row: Row) -> BindingRecord:
    family, host, port, thumbprint, store_name, app_id, flags, check_mode, freshness, timeout, ctl, ctl_store = row
    for text in (store_name, ctl, ctl_store):
        if not isinstance(text, (str, type(None))):
            raise TypeError("text expected")
    return BindingRecord(
        key=_key(BindingFamily(family), host, port),
        thumbprint=None if thumbprint is None else Thumbprint(thumbprint),
        store_name=store_name,
        app_id=_app_id(app_id),
        options=_options(flags, check_mode, freshness, timeout, ctl, ctl_store),
    )


# The parts of a record that stay when it gets another certificate, and that many records share. By type as well: what
# SQLite has of a damaged file may equal a number and be none.
@lru_cache(maxsize=_KEPT, typed=True)
def _app_id(text: str) -> uuid.UUID:
    return uuid.UUID(text)


@lru_cache(maxsize=_KEPT, typed=True)
def _options(
    flags: int, check_mode: int, freshness: int, timeout: int, ctl: str | None, ctl_store: str | None
) -> BindingOptions:
    return BindingOptions.from_numbers(
        flags=flags,
        check_mode=check_mode,
        freshness_seconds=freshness,
        timeout_milliseconds=timeout,
        ctl_identifier=ctl,
        ctl_store_name=ctl_store,
    )


@lru_cache(maxsize=_KEPT, typed=True)
def _key(family: BindingFamily, host: str, port: int) -> BindingKey:
    if family is BindingFamily.IP_PORT:
        return IpPort(host, port)
    if family is BindingFamily.HOSTNAME_PORT:
        return HostnamePort.as_stored(host, port)
    if family is BindingFamily.SCOPED_CCS:
        return ScopedCcs.as_stored(host, port)
    return CcsPort(port)


def diagnose(database: Database, thumbprint: Thumbprint, store_name: str) -> tuple[Diagnosis, ...]:
    """Every cause of 1312 that holds, likeliest first; empty when HTTP.sys can use the certificate.

    Two lookups by index; callers that want one consistent look hold a transaction.
    """
    rows = database.query(_PLACES, (bytes(thumbprint),), columns=_PLACES_KINDS)
    wanted = folded(store_name)
    for location, _, compared, *key_row in rows:
        if location == "LocalMachine" and compared == wanted:
            key = key_state(tuple(key_row), location)
            if key is not None and key.usable and key.machine_keyset:
                return ()
            return about_key(
                container=None if key is None else key.container,
                key_exists=key_row[2] is not None,
                persisted=bool(key_row[6]),
                machine_keyset=bool(key_row[3]),
                matches=key_row[5] == key_row[0],
            )
    return about_place([(location, name) for location, name, *_ in rows], store_name)
