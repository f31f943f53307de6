"""What is found in a machine's stores: an open store or None, the record of a certificate or None."""

from __future__ import annotations

import contextlib
from contextlib import closing
from typing import TYPE_CHECKING

from mlsssl.errors import StoreNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlsssl._machine.ports import MachinePort, StorePort, StoreRecord
    from mlsssl.values import Location, Thumbprint


@contextlib.contextmanager
def opened(
    port: MachinePort, name: str, location: Location = "LocalMachine", *, write: bool = False
) -> Iterator[StorePort | None]:
    """A store, closed at the end; None when it does not exist (a new Windows may have no `Disallowed` yet)."""
    try:
        store = port.open_store(name, location, write=write)
    except StoreNotFoundError:
        yield None
        return
    with closing(store):
        yield store


def certificate(port: MachinePort, store: str, thumbprint: Thumbprint) -> StoreRecord | None:
    """The certificate in a LocalMachine store; None when it, or the store, is not there."""
    with opened(port, store) as found:
        return None if found is None else found.find(thumbprint)
