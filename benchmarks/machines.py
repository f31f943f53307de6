"""Embedded machines of many bindings, made in one transaction: nobody would wait for 10,000 of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlsssl._embedded.port import EmbeddedPort
    from mlsssl._machine.ports import BindingRecord


def bind_all(machine: EmbeddedPort, records: Iterable[BindingRecord]) -> None:
    """Add bindings that are known to be possible and new."""
    bindings, database = machine.bindings, machine._database  # noqa: SLF001
    with database.transaction():
        for record in records:
            bindings._put("INSERT", record, bindings._checked_row(record))  # noqa: SLF001
