"""The embedded machine's stores: runs anywhere."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from contract.subjects.kinds import StoresSubject
from mlsssl._embedded.port import EmbeddedPort

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def _stores(folder: Path) -> Iterator[StoresSubject]:
    with contextlib.ExitStack() as stack:

        def process() -> EmbeddedPort:
            return stack.enter_context(contextlib.closing(EmbeddedPort(folder / "machine.sqlite")))

        machine = process()

        def keys() -> int:
            rows = machine._database.query("SELECT count(*) FROM keys")
            return int(rows[0][0])

        yield StoresSubject(machine=machine, another_process=process, keys=keys)


STORES = {"embedded": _stores}
