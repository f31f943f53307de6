"""The embedded machine as a `MachinePort`: stores, bindings and services over one file."""

from __future__ import annotations

import contextlib
import os
import sys
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mlsssl._embedded import schema
from mlsssl._embedded.bindings import EmbeddedBindings, diagnose
from mlsssl._embedded.database import Database, folded, state_folder_of
from mlsssl._embedded.services import EmbeddedServices
from mlsssl._embedded.stores import EmbeddedStore
from mlsssl._formats.binding_keys import BindingFamily
from mlsssl._machine import files, private_files
from mlsssl._machine.ports import MACHINE_VARIABLE
from mlsssl._machine.user_folder import MACHINE_FILE
from mlsssl._messages.arguments import check_password
from mlsssl.errors import AccessDeniedError, StoreNotFoundError
from mlsssl.values import check_location, check_store_name, store_hint

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from contextlib import AbstractContextManager

    from mlsssl._embedded.central_store import CentralStore
    from mlsssl._embedded.listener.connection import Limits
    from mlsssl._embedded.listener.listener import Listener
    from mlsssl._embedded.request_keys import EmbeddedRequestKeys
    from mlsssl._embedded.reservations import EmbeddedHttpSettings, EmbeddedReservations
    from mlsssl._formats.binding_keys import BindingKey
    from mlsssl._machine.accounts import Account
    from mlsssl._machine.ports import Diagnosis
    from mlsssl.values import Location, Thumbprint


def default_path() -> Path:
    """The file that `EmbeddedPort()` opens: $MLSSSL_MACHINE, else `mlsssl/machine.sqlite` in the user's data folder."""
    configured = os.environ.get(MACHINE_VARIABLE)
    return Path(configured) if configured else files.user_data_folder() / MACHINE_FILE


_STANDARD_PLACES = frozenset((location, folded(name)) for location, name in schema.STANDARD_STORES)


class EmbeddedPort:
    """A machine in one SQLite file; any number of processes and threads may use it at once.

    Args:
        path: The file; `default_path()` when None. Made if missing, for this user only, like its folder.
        atomic_update: False imitates Server 2016, which has no HttpUpdateServiceConfiguration: its bindings cannot be
            updated, only removed and added.
        families: The binding families that the machine knows; Windows 7 knew IP_PORT only.
        busy_timeout: Seconds to wait while another process changes the file.
        on_statement: As in `Database`; for tests that make each call fail in turn.

    Raises:
        AccessDeniedError, InvalidInputError, MalformedDataError, StoreError, UnsupportedError: as in `Database`.
    """

    is_this_windows = False

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        atomic_update: bool = True,
        families: Collection[BindingFamily] = tuple(BindingFamily),
        busy_timeout: float = 30.0,
        on_statement: Callable[[str], None] | None = None,
    ) -> None:
        # Resolved, so that a later chdir does not lead to another file, so that no name has a meaning to SQLite, and so
        # that one file has one state folder and one write-ahead log under whatever name it was reached
        # (sqlite.org/howtocorrupt.html, "Multiple links to the same file").
        self.path = private_files.resolved(default_path() if path is None else path)
        self.description = f"the embedded machine at {self.path}"
        self._state_folder = state_folder_of(self.path)
        self._database = Database(self.path, busy_timeout=busy_timeout, on_statement=on_statement)
        self._atomic_update = atomic_update
        self._families = families

    def __repr__(self) -> str:
        return f"<EmbeddedPort {self.path}>"

    @cached_property
    def bindings(self) -> EmbeddedBindings:
        """The TLS bindings."""
        return EmbeddedBindings(self._database, atomic_update=self._atomic_update, families=self._families)

    @cached_property
    def services(self) -> EmbeddedServices:
        """The imitated services."""
        return EmbeddedServices(self._database)

    @cached_property
    def reservations(self) -> EmbeddedReservations:
        """The URL reservations."""
        from mlsssl._embedded.reservations import EmbeddedReservations  # most machines are never asked for them

        return EmbeddedReservations(self._database)

    @cached_property
    def http_settings(self) -> EmbeddedHttpSettings:
        """The listen list and numbers of HTTP.sys."""
        from mlsssl._embedded.reservations import EmbeddedHttpSettings  # likewise

        return EmbeddedHttpSettings(self._database)

    @property
    def state_folder(self) -> Path:
        """`<file>.state`, beside the file, for this user only; made on first use."""
        return private_files.private_folder(self._state_folder)

    @cached_property
    def request_keys(self) -> EmbeddedRequestKeys:
        """Keys that were made here for certificate requests."""
        from mlsssl._embedded.request_keys import EmbeddedRequestKeys  # only who asks an issuer needs it

        return EmbeddedRequestKeys(self._database)

    def store_names(self, location: Location) -> list[str]:
        """The stores that exist there, sorted without case."""
        rows = self._database.query(
            "SELECT name FROM stores WHERE location = ? ORDER BY folded", (check_location(location),), columns="t"
        )
        return [row[0] for row in rows]

    def may_have_crls(self) -> bool:
        """Whether any store has one."""
        database = self._database
        return database.has_table("crls") and database.query_one("SELECT 1 FROM crls LIMIT 1") is not None

    def open_store(
        self, name: str, location: Location, *, create: bool = False, write: bool = False, keep_open: bool = False
    ) -> EmbeddedStore:
        """Open a store; see `MachinePort.open_store`. Opened without `write` it refuses to be changed.

        There is nothing for `keep_open` to save: the database is open.
        """
        check_store_name(name)
        location = check_location(location)
        if write and not os.access(self.path, os.W_OK):
            raise AccessDeniedError(f"this user may not change {self.path}", right="write")
        number = self._find_store(name, location)
        if number is None:
            if not create:
                known = ", ".join(self.store_names(location))
                hint = store_hint(name)
                raise StoreNotFoundError(f"there is no store {location}\\{name}{hint or f'; there are: {known}'}")
            self._database.query(
                "INSERT OR IGNORE INTO stores (location, name, folded) VALUES (?, ?, ?)", (location, name, folded(name))
            )  # ignored: somebody was faster
            number = self._find_store(name, location)
        assert number is not None
        return EmbeddedStore(self._database, number, name, location, writable=write)

    def _find_store(self, name: str, location: str) -> int | None:
        place = location, folded(name)
        number = self._database.store_numbers.get(place)
        if number is None:
            row = self._database.query_one(
                "SELECT id FROM stores WHERE location = ? AND folded = ?", place, columns="i"
            )
            number = None if row is None else int(row[0])
            # Kept for those that each file has from its beginning: what makes another one may be rolled back, and a
            # file that a backup is put back into may have it under another number.
            if number is not None and place in _STANDARD_PLACES:
                self._database.store_numbers[place] = number
        return number

    def account(self, account: str) -> Account:
        """The account of this name or SID, imitated: no Windows and no domain is asked; see `accounts.imitated`.

        A service's SID has its name back where the machine has an imitated service of that name.
        """
        from mlsssl._machine import accounts  # most machines are never asked for one

        text = accounts.check_account(account)
        if text.startswith("S-1-5-80-"):
            name = next((one for one in self.services.names() if accounts.service_sid(one) == text), None)
            text = text if name is None else f"NT SERVICE\\{name}"
        return accounts.imitated(text)

    def diagnose(self, thumbprint: Thumbprint, store_name: str) -> tuple[Diagnosis, ...]:
        """Why HTTP.sys could not use this certificate; empty when it can."""
        return diagnose(self._database, thumbprint, check_store_name(store_name))

    def served_at(self, key: BindingKey) -> tuple[str, int] | None:
        """Where a listener of this machine, in this process, answers for this key; None when none does."""
        if "mlsssl._embedded.listener.listener" not in sys.modules:  # none was made
            return None
        from mlsssl._embedded.listener.listener import served_at

        return served_at(self.path, key)

    @property
    def central_store(self) -> CentralStore | None:
        """The folder of the CCS bindings and what opens its files; None when none was set."""
        from mlsssl._embedded.central_store import read_central_store

        return read_central_store(self._database)

    def set_central_store(self, folder: str | os.PathLike[str] | None, password: str | None = None) -> None:
        """Set or clear it; see `EmbeddedMachine.set_central_store`."""
        from mlsssl._embedded.central_store import CentralStore, write_central_store

        check_password(password)
        store = None if folder is None else CentralStore(folder=files.path_of(folder), password=password)
        write_central_store(self._database, store)

    def listen(
        self,
        *,
        host: str | Sequence[str] = "127.0.0.1",
        ports: Mapping[int, int] | None = None,
        allow_legacy_tls: bool = False,
        limits: Limits | None = None,
    ) -> Listener:
        """A listener over this machine's bindings, not started yet; see `Listener`. Its owner closes it.

        It goes on when this machine is closed, for it opens the file itself.
        """
        # Here, because asyncio is 30 ms that a machine without a listener need not pay.
        from mlsssl._embedded.listener.listener import Listener

        return Listener(
            self.path,
            host=host,
            ports=ports,
            allow_legacy_tls=allow_legacy_tls,
            families=[family for family in BindingFamily if self.bindings.supports(family)],
            limits=limits,
        )

    def recover(self) -> list[str]:
        """Remove keys that no certificate uses, unless kept on purpose or made for a request; a line per key.

        A killed `add` leaves none here, for certificate and key are one transaction.
        """
        with self._database.transaction():
            rows = self._database.query(
                "SELECT container FROM keys WHERE NOT kept AND NOT requested AND container NOT IN"
                " (SELECT container FROM certificates WHERE container IS NOT NULL)",
                columns="t",
            )
            for row in rows:
                self._database.query("DELETE FROM keys WHERE container = ?", row)
        return [f"removed the private key {container}, which no certificate used" for (container,) in rows]

    def lock(self, name: str, *, timeout: float) -> AbstractContextManager[Path]:
        """Hold a named lock across processes and threads; see `MachinePort.lock`."""
        return private_files.named_lock(self.state_folder, name, timeout=timeout, description=self.description)

    def at_once(self) -> AbstractContextManager[bool]:
        """One transaction; not where a machine without an update in one step is imitated. See `MachinePort.at_once`."""
        return self._database.joined() if self._atomic_update else contextlib.nullcontext(False)

    def close(self) -> None:
        """Close the file; idempotent."""
        self._database.close()
