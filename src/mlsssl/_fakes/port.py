"""The whole Windows machine over fakes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsssl._windows.machine import WindowsPort

if TYPE_CHECKING:
    from pathlib import Path

    from mlsssl._fakes.dlls import FakeDlls
    from mlsssl.values import BindingKey


class FakeWindowsPort(WindowsPort):
    """The Windows machine over fake DLLs; nothing listens on the ports of its bindings."""

    def __init__(self, dlls: FakeDlls, folder: Path) -> None:
        super().__init__(dlls, state_folder=folder / "state")

    @property
    def description(self) -> str:
        """What to call it in messages."""
        return "the fake Windows machine"

    def served_at(self, key: BindingKey) -> tuple[str, int] | None:
        """Nowhere: what listens on this computer has nothing to do with the fakes."""
        return None
