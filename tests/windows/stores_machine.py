"""The part of a Windows machine that is about stores, over any DLLs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsssl._windows.stores import WindowsStores

if TYPE_CHECKING:
    from pathlib import Path

    from mlsssl._machine.ports import Diagnosis
    from mlsssl._windows.dlls import Dlls
    from mlsssl._windows.keys.requests import RequestKeys
    from mlsssl._windows.stores import WindowsStore
    from mlsssl.values import Location, Thumbprint


class WindowsStoresMachine:
    """What of `MachinePort` is about stores, over any DLLs."""

    def __init__(self, dlls: Dlls, folder: Path) -> None:
        self.stores = WindowsStores(dlls, lambda: folder)

    @property
    def request_keys(self) -> RequestKeys:
        return self.stores.request_keys

    def store_names(self, location: Location) -> list[str]:
        return self.stores.names(location)

    def open_store(
        self, name: str, location: Location, *, create: bool = False, write: bool = False, keep_open: bool = False
    ) -> WindowsStore:
        return self.stores.open(name, location, create=create, write=write, keep_open=keep_open)

    def diagnose(self, thumbprint: Thumbprint, store_name: str) -> tuple[Diagnosis, ...]:
        return self.stores.diagnose(thumbprint, store_name)

    def recover(self) -> list[str]:
        return self.stores.recover()
