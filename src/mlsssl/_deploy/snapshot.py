"""The machine, read once for planning: its bindings, certificates in its stores, and its authorities.

Each store is opened once, when it is first asked for, and closed with the snapshot.
Carrying a plan out and recovering read the machine itself, late.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import cached_property
from typing import TYPE_CHECKING

from mlsssl._machine import find
from mlsssl._machine.authorities import read_authorities_if_crls

if TYPE_CHECKING:
    from mlsssl._machine.authorities import Authorities
    from mlsssl._machine.ports import BindingRecord, MachinePort, StorePort, StoreRecord
    from mlsssl.values import BindingKey, Thumbprint


class Snapshot:
    """What planning has seen of a machine; each thing is read when it is first asked for, and not again.

    Args:
        port: The machine.
    """

    def __init__(self, port: MachinePort) -> None:
        self._port = port
        self._opened: dict[str, StorePort | None] = {}
        self._closing = ExitStack()
        self._stored: dict[tuple[str, Thumbprint], StoreRecord | None] = {}
        self._authorities: dict[str, Authorities | None] = {}

    def close(self) -> None:
        """Close the stores that were opened; idempotent."""
        self._closing.close()

    def for_the_next(self) -> Snapshot:
        """For planning the next of several changes: the same authorities and other bindings; certificates anew."""
        made = Snapshot(self._port)
        made._authorities = self._authorities
        made.bindings = self.bindings
        return made

    @cached_property
    def bindings(self) -> tuple[BindingRecord, ...]:
        """Every binding."""
        return tuple(self._port.bindings.all())

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

    def authorities(self, store: str) -> Authorities | None:
        """The authorities in the machine's stores, and the revocation lists in `store` too; None without any list."""
        name = store.casefold()
        if name not in self._authorities:
            self._authorities[name] = read_authorities_if_crls(self._port, store, look=self._store)
        return self._authorities[name]

    def _store(self, name: str) -> StorePort | None:
        key = name.casefold()
        if key not in self._opened:
            self._opened[key] = self._closing.enter_context(find.opened(self._port, name))
        return self._opened[key]
