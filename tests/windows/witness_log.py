"""What the second stand-in for HTTP.sys (`witness/`) wrote down of this process's calls."""

from __future__ import annotations

import ctypes
import json
import os
import sys
from pathlib import Path
from typing import Any

Call = dict[str, Any]
"""A call by its fields' names: `function`, `family`, `faults`, `code`, and whatever its structures said."""


def present() -> bool:
    """Whether this Windows' httpapi.dll is the witness: it has an export that no other has."""
    return _open_count() is not None


def open_count() -> int:
    """How many HttpInitialize of this process have no HttpTerminate yet."""
    found = _open_count()
    assert found is not None, "httpapi.dll is not the witness"
    return found


def _open_count() -> int | None:
    if sys.platform != "win32":
        return None
    system32 = os.path.join(os.environ["SYSTEMROOT"], "System32")  # noqa: PTH118  # a Windows path, as text
    entry = getattr(ctypes.CDLL(f"{system32}\\httpapi.dll"), "WitnessOpenCount", None)
    return None if entry is None else int(entry())


class WitnessLog:
    """The calls of this process from now on."""

    def __init__(self) -> None:
        self._path = Path(os.environ["PROGRAMDATA"]) / "mlsssl-witness" / "calls.jsonl"
        self._at = self._path.stat().st_size if self._path.exists() else 0

    def read(self) -> list[Call]:
        """The calls since it was made, or since the last `read`."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._at)
            data = file.read()
        self._at += len(data)
        calls = [json.loads(line) for line in data.splitlines()]
        return [call for call in calls if call.pop("process") == os.getpid()]

    def faults(self) -> list[Call]:
        """Of those, the ones in which the witness found something wrong with the caller's structures."""
        return [call for call in self.read() if call["faults"]]
