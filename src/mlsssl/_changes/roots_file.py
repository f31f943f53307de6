"""The self-signed roots that came with certificates when these were deployed, for what looks at the machine later.

They are not trusted by being here. A server need not have the root of its certificate, and nothing else on the machine
tells a root that clients have from an intermediate that is missing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsssl._changes.record import on_disk
from mlsssl._formats import pem
from mlsssl._machine import files, private_files
from mlsssl.errors import MalformedDataError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_MOST = 200
"""Roots that are kept; the oldest go first."""


class RootsFile:
    """The file in a machine's state folder. Only the holder of the machine's lock writes it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "roots.pem"

    def read(self) -> list[bytes]:
        """The roots, DER, oldest first; what cannot be read is left out. Errors as `private_files.read_private`."""
        try:
            data = private_files.read_private(self._path)
            return [pem.decode(block) for label, block in pem.blocks(data) if label == b"CERTIFICATE"]
        except (NotFoundError, MalformedDataError):
            return []

    def add(self, roots: Iterable[bytes]) -> None:
        """Add those that are not there."""
        known = self.read()
        new = [one for one in dict.fromkeys(roots) if one not in known]
        if new:
            kept = pem.readable([*known, *new][-_MOST:])
            with on_disk("write"):
                files.write(self._path, pem.to_pem(kept), private=True)
