"""Which binding's record answers a connection, by the one order of precedence (`mlsssl._machine.precedence`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlsssl._machine import precedence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlsssl._machine.ports import BindingRecord


@dataclass(slots=True)
class PortBindings:
    """The records of one port, arranged for looking up."""

    by_slot: dict[precedence.Slot, BindingRecord] = field(default_factory=dict)

    def select(self, local_address: str, server_name: str | None) -> BindingRecord | None:
        """The record that answers, or None.

        Args:
            local_address: The address that the client connected to, in its shortest form.
            server_name: What the client asked for by SNI, lower case, no trailing dot; None without.
        """
        slots = precedence.slots(local_address, server_name)
        return next((self.by_slot[slot] for slot in slots if slot in self.by_slot), None)


def by_port(records: Iterable[BindingRecord]) -> dict[int, PortBindings]:
    """The records of a machine, arranged by port."""
    table: dict[int, PortBindings] = {}
    for record in records:
        table.setdefault(record.key.port, PortBindings()).by_slot[precedence.slot_of(record.key)] = record
    return table
