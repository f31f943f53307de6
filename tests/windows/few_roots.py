"""Run by Windows' Python in Wine for as long as a session lasts: the store Root keeps a dozen of this system's roots.

The first process that opens the store has Wine copy every root of this system into the registry, and each opening reads
them all, a hundred times as slowly as a store without them. Wine copies none while another process holds the semaphore
under which it does so (dlls/crypt32/rootstore.c).
"""

from __future__ import annotations

import contextlib
import sys
import time

KEPT = 12

if sys.platform == "win32":
    import ctypes
    import winreg

    path = r"Software\Microsoft\SystemCertificates\Root\Certificates"

    def roots() -> list[str]:
        """The names of the keys, one for each root."""
        with contextlib.suppress(FileNotFoundError), winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path) as key:
            return [winreg.EnumKey(key, number) for number in range(winreg.QueryInfoKey(key)[0])]
        return []

    if len(roots()) < KEPT:  # a fresh prefix
        crypt32 = ctypes.WinDLL("crypt32")
        crypt32.CertOpenSystemStoreW.restype = ctypes.c_void_p
        crypt32.CertCloseStore(ctypes.c_void_p(crypt32.CertOpenSystemStoreW(None, "Root")), 0)
    # A thousand at once: a process that is killed while it has it takes nobody else along.
    held = ctypes.WinDLL("kernel32").CreateSemaphoreW(None, 1000, 1_000_000, "crypt32_root_semaphore")
    for name in roots()[KEPT:]:
        winreg.DeleteKey(winreg.HKEY_LOCAL_MACHINE, f"{path}\\{name}")
    sys.stdout.write(f"{len(roots())} roots\n")
    sys.stdout.flush()
    while held:
        time.sleep(3600)  # until the session ends every process of its prefix
