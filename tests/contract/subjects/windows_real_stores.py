"""Stores and keys of this Windows: the real one, or Wine's. Each test has a store of its own, unmade at its end."""

from __future__ import annotations

import contextlib
import os
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from contract.subjects.kinds import StoresSubject
from mlsssl._native.cdata import NULL, ffi, wide
from mlsssl._windows.dlls import SystemDlls
from windows.stores_machine import WindowsStoresMachine
from windows.wine_limits import may_change_this_windows, under_wine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contract.subjects.kinds import StoresMaker

DELETE = 0x10  # CERT_STORE_DELETE_FLAG
LOCATIONS = (0x10000, 0x20000)


def _unmake(name: str) -> None:
    dlls = SystemDlls()
    for location in LOCATIONS:
        for suffix in ("", "-Another"):
            wanted = wide(name + suffix)
            system = ffi.cast("char *", 10)
            dlls.crypt32.CertOpenStore(system, 0, NULL, location | DELETE, ffi.cast("void *", wanted))


def _key_containers() -> set[str]:
    """Every key container of the machine and the user, by where Windows and Wine keep them."""
    if sys.platform != "win32":
        return set()
    found: set[str] = set()
    if under_wine():
        import winreg

        for root in (winreg.HKEY_LOCAL_MACHINE, winreg.HKEY_CURRENT_USER):
            with contextlib.suppress(FileNotFoundError), winreg.OpenKey(root, r"Software\Wine\Crypto\RSA") as key:
                found |= {f"{root}\\{winreg.EnumKey(key, i)}" for i in range(winreg.QueryInfoKey(key)[0])}
        return found
    folders = [Path(os.environ["PROGRAMDATA"]) / "Microsoft" / "Crypto" / "RSA" / "MachineKeys"]
    folders += [Path(os.environ["PROGRAMDATA"]) / "Microsoft" / "Crypto" / "Keys"]
    folders += (Path(os.environ["APPDATA"]) / "Microsoft" / "Crypto" / "RSA").glob("S-*")
    folders += [Path(os.environ["APPDATA"]) / "Microsoft" / "Crypto" / "Keys"]
    return {str(file) for folder in folders if folder.is_dir() for file in folder.iterdir()}


@contextlib.contextmanager
def _stores(folder: Path) -> Iterator[StoresSubject]:
    name = f"mlsssl-test-{uuid.uuid4().hex[:8]}"
    machine = WindowsStoresMachine(SystemDlls(), folder)
    before = _key_containers()
    try:
        for location in ("LocalMachine", "CurrentUser"):
            machine.open_store(name, location, create=True)
            machine.open_store("MY", location, create=True)
        yield StoresSubject(
            machine=machine,
            another_process=lambda: WindowsStoresMachine(SystemDlls(), folder),
            keys=lambda: len(_key_containers() - before),
            my=name,
            ec_keys="Wine's CNG keeps nothing, and the older provider knows RSA only" if under_wine() else None,
            archives="Wine does not know the archived property" if under_wine() else None,
            access_lists="Wine keeps them in its registry, without SYSTEM, and takes one change"
            if under_wine()
            else None,
            crls_of_one_issuer="Wine replaces lists by issuer when it reads a store" if under_wine() else None,
        )
    finally:
        _unmake(name)


STORES: dict[str, StoresMaker] = {"windows-real": _stores} if may_change_this_windows() else {}
