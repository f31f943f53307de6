"""Where a user's application data is, found without importing anything that takes time."""

from __future__ import annotations

import os.path
import sys

MACHINE_FILE = "mlsssl/machine.sqlite"
"""The usual embedded machine, in that folder."""


def user_folder() -> str | None:
    """Where this platform keeps a user's application data (not made here); None for a user without a home folder."""
    home = os.path.expanduser("~")  # noqa: PTH111 -- importing pathlib takes as long as half of Python's start
    if sys.platform == "win32":
        configured, usual = os.environ.get("LOCALAPPDATA"), "AppData/Local"
    elif sys.platform == "darwin":
        configured, usual = None, "Library/Application Support"
    else:
        # XDG Base Directory Specification: relative paths are to be ignored.
        configured, usual = os.environ.get("XDG_DATA_HOME"), ".local/share"
        configured = configured if configured and os.path.isabs(configured) else None  # noqa: PTH117
    if configured:
        return configured
    return None if home == "~" else os.path.join(home, *usual.split("/"))  # noqa: PTH118
