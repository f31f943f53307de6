"""The self-signed roots that came with certificates when these were deployed, for what looks at the machine later.

They are not trusted by being here. A server need not have the root of its certificate, and nothing else on the machine
tells a root that clients have from an intermediate that is missing.
"""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING

from mlsssl._changes.record import on_disk
from mlsssl._machine import files, private_files
from mlsssl.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_MOST = 200
"""Roots that are kept; the oldest go first."""


class RootsFile:
    """The file in a machine's state folder. Only the holder of the machine's lock writes it."""

    def __init__(self, folder: Path) -> None:
        self._path = files.inside(folder, "roots.json")

    def read(self) -> list[bytes]:
        """The roots, DER, oldest first; what cannot be read is left out. Errors as `private_files.read_private`."""
        try:
            return [base64.b64decode(one) for one in json.loads(private_files.read_private(self._path))]
        except (NotFoundError, ValueError, TypeError, RecursionError):
            return []

    def add(self, roots: Iterable[bytes]) -> None:
        """Add those that are not there."""
        wanted = dict.fromkeys(roots)
        state = self._state()
        if wanted.keys() <= _read.get((self._path, state), frozenset()):
            return
        known = self.read()
        if state is not None:
            _read.clear()  # a process changes one machine
            _read[self._path, state] = frozenset(known)
        new = [one for one in wanted if one not in known]
        if new:
            kept = [base64.b64encode(one).decode("ascii") for one in (*known, *new)][-_MOST:]
            with on_disk("write"):
                files.write(self._path, json.dumps(kept, indent=1).encode("ascii") + b"\n", private=True)

    def _state(self) -> tuple[int, ...] | None:
        """What changes when the file is replaced, or anybody is given rights to it; None when it is not there."""
        try:
            status = os.lstat(self._path)
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


_read: dict[tuple[Path, tuple[int, ...] | None], frozenset[bytes]] = {}
"""The roots in a file that was read to add to it, in that state: each deployment of a run asks, and hardly one adds."""
