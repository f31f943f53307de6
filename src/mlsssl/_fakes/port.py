"""The whole Windows machine over fakes."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from mlsssl._machine import files, private_files
from mlsssl._windows.machine import WindowsPort

if TYPE_CHECKING:
    from pathlib import Path

    from mlsssl._fakes.dlls import FakeDlls
    from mlsssl._formats.binding_keys import BindingKey

_INVALID_OWNER = 1307  # ERROR_INVALID_OWNER: who is no administrator may make nothing that is the administrators'


class FakeWindowsPort(WindowsPort):
    """The Windows machine over fake DLLs; nothing listens on the ports of its bindings."""

    def __init__(self, dlls: FakeDlls, folder: Path) -> None:
        super().__init__(dlls, state_folder=folder / "state")
        self._computer = dlls.computer
        self._user = folder / "user"

    @property
    def description(self) -> str:
        """What to call it in messages."""
        return "the fake Windows machine"

    @property
    def state_folder(self) -> Path:
        """For administrators only: who is none gets Windows' code, on any system."""
        if not self._computer.administrator:
            assert self._state_folder is not None
            refused = OSError(errno.EINVAL, "This security ID may not be assigned as the owner of this object")
            refused.winerror = _INVALID_OWNER  # type: ignore[attr-defined,unused-ignore]  # Windows' OSError has it
            raise files.unnamed("mkdir", self._state_folder, refused)
        return super().state_folder

    def _user_folder(self) -> Path:
        return private_files.private_folder(self._user)

    def served_at(self, key: BindingKey) -> tuple[str, int] | None:
        """Nowhere: what listens on this computer has nothing to do with the fakes."""
        return None
