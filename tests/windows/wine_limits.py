"""Whether this Windows is Wine: for skip reasons in tests only, the library never asks."""

from __future__ import annotations

import sys


def under_wine() -> bool:
    """Whether ntdll is Wine's, which says so by an export of its own."""
    if sys.platform != "win32":
        return False
    import ctypes

    return hasattr(ctypes.WinDLL("ntdll"), "wine_get_version")
