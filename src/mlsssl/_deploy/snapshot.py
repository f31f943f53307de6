"""The machine, read once for planning: its bindings, certificates in its stores, and its authorities.

Carrying a plan out and recovering read the machine itself, late.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from mlsssl._machine import find
from mlsssl._machine.authorities import read_authorities_if_crls

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlsssl._machine.authorities import Authorities
    from mlsssl._machine.ports import BindingRecord, MachinePort, StoreRecord
    from mlsssl.values import BindingKey, Thumbprint


class Snapshot:
    """What planning has seen of a machine; each thing is read when it is first asked for, and not again.

    Args:
        port: The machine.
        bindings: Its bindings, where they have just been listed; what is to be changed is read afresh all the same.
    """

    def __init__(self, port: MachinePort, bindings: Iterable[BindingRecord] | None = None) -> None:
        self._port = port
        self._stored: dict[tuple[str, Thumbprint], StoreRecord | None] = {}
        if bindings is not None:
            self.bindings = tuple(bindings)

    @cached_property
    def bindings(self) -> tuple[BindingRecord, ...]:
        """Every binding."""
        return tuple(self._port.bindings.all())

    def binding(self, key: BindingKey) -> BindingRecord | None:
        """The binding of this key, in whatever spelling; None without."""
        return self._port.bindings.find(key)

    def certificate(self, store: str, thumbprint: Thumbprint) -> StoreRecord | None:
        """The certificate in a LocalMachine store; None when it, or the store, is not there."""
        name = (store.casefold(), thumbprint)
        if name not in self._stored:
            self._stored[name] = find.certificate(self._port, store, thumbprint)
        return self._stored[name]

    def authorities(self, store: str) -> Authorities | None:
        """The authorities in the machine's stores, and the revocation lists in `store` too; None without any list."""
        return read_authorities_if_crls(self._port, store)
