"""What is looked for in a machine's stores: an open store or None, the record of a certificate or None."""

from __future__ import annotations

import contextlib
import hashlib
from contextlib import closing
from typing import TYPE_CHECKING

from mlsssl.errors import StoreNotFoundError
from mlsssl.values import Thumbprint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlsssl._machine.ports import MachinePort, StorePort, StoreRecord
    from mlsssl.values import Location


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


def thumbprint_of(der: bytes) -> Thumbprint:
    """What Windows finds a certificate or a revocation list by: the SHA-1 of its DER."""
    return Thumbprint(hashlib.sha1(der, usedforsecurity=False).digest())
