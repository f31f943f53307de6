"""This Windows computer as one machine (`MachinePort`): stores, bindings and services over the same DLLs."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from functools import cached_property
from typing import TYPE_CHECKING

from mlsssl._machine import files, private_files
from mlsssl._windows.bindings import WindowsBindings
from mlsssl._windows.dlls import SystemDlls
from mlsssl.errors import UnsupportedError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from mlsssl._formats.binding_keys import BindingKey
    from mlsssl._machine.accounts import Account
    from mlsssl._machine.ports import Diagnosis
    from mlsssl._windows.dlls import Dlls
    from mlsssl._windows.http_settings import WindowsHttpSettings
    from mlsssl._windows.keys.requests import RequestKeys
    from mlsssl._windows.reservations import WindowsReservations
    from mlsssl._windows.services import WindowsServices
    from mlsssl._windows.stores import WindowsStore, WindowsStores
    from mlsssl.values import Location, Thumbprint


class WindowsPort:
    r"""The seam to a Windows computer. It keeps nothing open, so `close` has nothing to do.

    Args:
        dlls: Windows' DLLs, or fakes; this Windows' own when None.
        state_folder: Where records of changes and locks go; `%ProgramData%\mlsssl` when None.

    Raises:
        UnsupportedError: neither on Windows nor given DLLs.
    """

    def __init__(self, dlls: Dlls | None = None, *, state_folder: Path | None = None) -> None:
        if dlls is None and sys.platform != "win32":
            raise UnsupportedError(f"the Windows machine is a Windows computer; this is {sys.platform}")
        self._dlls: Dlls = SystemDlls() if dlls is None else dlls
        self._state_folder = state_folder
        self._bindings = WindowsBindings(self._dlls, self.diagnose)

    @cached_property
    def _stores(self) -> WindowsStores:
        from mlsssl._windows.stores import WindowsStores  # with it come two thirds of this machine; bindings need none

        return WindowsStores(self._dlls, lambda: self.state_folder, self._user_folder)

    @property
    def description(self) -> str:
        """This computer."""
        return "this computer"

    @property
    def is_this_windows(self) -> bool:
        """Whether these are this computer's own DLLs."""
        return isinstance(self._dlls, SystemDlls)

    @property
    def state_folder(self) -> Path:
        """For administrators and SYSTEM only: what lies there is done again after a crash, so nobody may plant it.

        Raises:
            AccessDeniedError: this user is no administrator; or somebody else made the folder before us.
        """
        folder = _default_state_folder() if self._state_folder is None else self._state_folder
        return private_files.private_folder(folder, administrators=True)

    def _user_folder(self) -> Path:
        """For this user only: what concerns the keys in a CurrentUser store, which anybody may have."""
        if self._state_folder is not None:
            return self.state_folder
        return private_files.private_folder(files.user_data_folder() / "mlsssl")

    @property
    def bindings(self) -> WindowsBindings:
        """HTTP.sys' TLS records."""
        return self._bindings

    @property
    def reservations(self) -> WindowsReservations:
        """HTTP.sys' URL reservations."""
        from mlsssl._windows.reservations import WindowsReservations  # most machines are never asked for one

        return WindowsReservations(self._dlls)

    @property
    def http_settings(self) -> WindowsHttpSettings:
        """HTTP.sys' listen list and numbers."""
        from mlsssl._windows.http_settings import WindowsHttpSettings  # likewise

        return WindowsHttpSettings(self._dlls)

    @property
    def services(self) -> WindowsServices:
        """The service control manager."""
        from mlsssl._windows.services import WindowsServices  # most machines are never asked for one

        return WindowsServices(self._dlls)

    @property
    def request_keys(self) -> RequestKeys:
        """Keys that were made here for certificate requests."""
        return self._stores.request_keys

    def store_names(self, location: Location) -> list[str]:
        """The stores that exist there, sorted."""
        return self._stores.names(location)

    def may_have_crls(self) -> bool:
        """True: only looking into each store tells."""
        return True

    def open_store(
        self, name: str, location: Location, *, create: bool = False, write: bool = False, keep_open: bool = False
    ) -> WindowsStore:
        """Open a store; the caller closes it."""
        return self._stores.open(name, location, create=create, write=write, keep_open=keep_open)

    def account(self, account: str) -> Account:
        """The account of this name or SID, as this Windows calls it."""
        from mlsssl._windows import accounts  # most machines are never asked for one

        return accounts.account(self._dlls, account)

    def diagnose(self, thumbprint: Thumbprint, store_name: str) -> tuple[Diagnosis, ...]:
        """Why HTTP.sys could not use this certificate, likeliest cause first; empty when it can."""
        return self._stores.diagnose(thumbprint, store_name)

    def served_at(self, key: BindingKey) -> tuple[str, int] | None:
        """This computer itself: HTTP.sys answers at the key's own address and port."""
        from mlsssl._machine import handshake

        return handshake.local_address(key)

    def recover(self) -> list[str]:
        """Clean up what a killed `add` or `try_out` left; a line per thing done."""
        return [*self._bindings.recover(), *self._stores.recover()]

    def lock(self, name: str, *, timeout: float) -> AbstractContextManager[Path]:
        """Hold a named lock across processes and threads."""
        return private_files.named_lock(self.state_folder, name, timeout=timeout, description=self.description)

    def at_once(self) -> AbstractContextManager[bool]:
        """Windows cannot: each thing is changed as it comes."""
        return nullcontext(False)

    def close(self) -> None:
        """Nothing: every operation closes what it opens."""


def _default_state_folder() -> Path:
    if sys.platform != "win32":
        raise UnsupportedError("fakes of Windows' DLLs need a state_folder of their own")
    from mlsssl._machine import file_rights_windows

    return file_rights_windows.program_data() / "mlsssl"
