"""The machine, read once for planning: its bindings, certificates in its stores, and its authorities.

Carrying a plan out and recovering read the machine itself, late.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from mlsssl._machine import stores
from mlsssl._machine.authorities import read_authorities_if_crls

if TYPE_CHECKING:
    from mlsssl._machine.authorities import Authorities
    from mlsssl._machine.ports import BindingRecord, MachinePort, StoreRecord
    from mlsssl.values import BindingKey, Thumbprint


class Snapshot:
    """What planning has seen of a machine; each thing is read when it is first asked for, and not again.

    Args:
        port: The machine.
    """

    def __init__(self, port: MachinePort) -> None:
        self._port = port
        self._stored: dict[tuple[str, Thumbprint], StoreRecord | None] = {}
        self._authorities: dict[str, Authorities | None] = {}

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
            self._stored[name] = stores.certificate(self._port, store, thumbprint)
        return self._stored[name]

    def authorities(self, store: str) -> Authorities | None:
        """The authorities in the machine's stores, and the revocation lists in `store` too; None without any list."""
        name = store.casefold()
        if name not in self._authorities:
            self._authorities[name] = read_authorities_if_crls(self._port, store)
        return self._authorities[name]
