"""Whether this Windows is Wine, and whether tests may change it: for tests only, the library never asks."""

from __future__ import annotations

import os
import sys

REAL_WINDOWS = "MLSSSL_REAL_WINDOWS"  # 1: this Windows is there for the tests


def under_wine() -> bool:
    """Whether ntdll is Wine's, which says so by an export of its own."""
    if sys.platform != "win32":
        return False
    import ctypes

    return hasattr(ctypes.WinDLL("ntdll"), "wine_get_version")


def may_change_this_windows() -> bool:
    """Whether tests may use this computer's stores, keys, services and HTTP.sys.

    In Wine, which is there for nothing else, and on a Windows whose owner says so: ``MLSSSL_REAL_WINDOWS=1``.
    """
    return sys.platform == "win32" and (under_wine() or os.environ.get(REAL_WINDOWS) == "1")
