"""What planning has seen of a machine."""

from __future__ import annotations

import contextlib
from functools import cached_property
from typing import TYPE_CHECKING

from mlsssl._deploy.issuers import KnownIssuers
from mlsssl._machine import precedence, stores
from mlsssl._machine.authorities import Authorities
from mlsssl.errors import StoreNotFoundError, UnsupportedError

if TYPE_CHECKING:
    from mlsssl._formats.binding_keys import BindingKey
    from mlsssl._machine.ports import BindingRecord, KeyAccess, MachinePort, StorePort, StoreRecord
    from mlsssl.values import Thumbprint


class Snapshot:
    """What planning has seen of a machine; each thing is read when it is first asked for, and not again.

    Each store is opened once. Carrying a plan out and recovering read the machine itself, late.
    """

    def __init__(self, port: MachinePort) -> None:
        self._port = port
        self._opened: dict[str, StorePort | None] = {}
        self._closing = contextlib.ExitStack()
        self._stored: dict[tuple[str, Thumbprint], StoreRecord | None] = {}
        self._authorities: dict[str, Authorities | None] = {}

    def close(self) -> None:
        """Close the stores that were opened; idempotent."""
        self._closing.close()

    def for_the_next(self) -> Snapshot:
        """For planning the next of several changes: the same authorities and other bindings; certificates anew."""
        made = Snapshot(self._port)
        made._authorities = self._authorities
        made.issuers = self.issuers
        made.bindings = self.bindings
        made.neighbours = self.neighbours
        made.by_thumbprint = self.by_thumbprint
        return made

    @cached_property
    def issuers(self) -> KnownIssuers:
        """Every place where issuers are."""
        return KnownIssuers(self._port)

    @cached_property
    def bindings(self) -> tuple[BindingRecord, ...]:
        """Every binding."""
        return tuple(self._port.bindings.all())

    @cached_property
    def neighbours(self) -> precedence.Neighbours:
        """Which bindings may stand in each other's way."""
        return precedence.Neighbours(record.key for record in self.bindings)

    @cached_property
    def by_thumbprint(self) -> dict[Thumbprint, list[BindingRecord]]:
        """The bindings of each certificate, in their order."""
        found: dict[Thumbprint, list[BindingRecord]] = {}
        for record in self.bindings:
            if record.thumbprint is not None:
                found.setdefault(record.thumbprint, []).append(record)
        return found

    def binding(self, key: BindingKey) -> BindingRecord | None:
        """The binding of this key, in whatever spelling, as it is now; None without."""
        return self._port.bindings.find(key)

    def certificate(self, store: str, thumbprint: Thumbprint) -> StoreRecord | None:
        """The certificate in a LocalMachine store; None when it, or the store, is not there."""
        name = (store.casefold(), thumbprint)
        if name not in self._stored:
            opened = self._store(store)
            self._stored[name] = None if opened is None else opened.find(thumbprint)
        return self._stored[name]

    def key_access(self, store: str, thumbprint: Thumbprint) -> tuple[KeyAccess, ...]:
        """The access list of a certificate's private key there; empty without a usable key, or where there are none."""
        opened = self._store(store)
        try:
            return () if opened is None else opened.key_access(thumbprint)
        except (StoreNotFoundError, UnsupportedError):
            return ()

    def authorities(self, store: str) -> Authorities | None:
        """The authorities in the machine's stores, and the revocation lists in `store` too; None without any list."""
        name = store.casefold()
        if name not in self._authorities:
            known = Authorities(self._port, "LocalMachine", store)
            # What is kept is used for the next of several changes too, after this one's stores are closed.
            self._authorities[name] = known if known.has_crls(look=self._store) else None
        return self._authorities[name]

    def _store(self, name: str) -> StorePort | None:
        key = name.casefold()
        if key not in self._opened:
            self._opened[key] = opened = stores.if_there(self._port, name)
            if opened is not None:
                self._closing.callback(opened.close)
        return self._opened[key]
