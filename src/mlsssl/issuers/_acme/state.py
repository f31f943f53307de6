"""What is kept between runs: account, orders, back-off, renewal times; each a small private file, written whole."""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from mlsssl._machine import files, private_files
from mlsssl.errors import MalformedDataError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LIMIT = 1024 * 1024

_LONG = dt.timedelta(days=60)
"""After it nothing is counted on from a record: no back-off and no time to ask again is longer than 30 days."""


class State:
    """The files of one account at one directory; the folder is made for this user only (0700, files 0600).

    Raises:
        AccessDeniedError, InvalidInputError, NativeError: as `private_files.private_folder`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = private_files.private_folder(folder)

    def read(self, name: str) -> dict[str, Any]:
        """What was kept under a name; empty when nothing was.

        Raises:
            MalformedDataError: the file is no record of ours any more.
            AccessDeniedError, NativeError: as `private_files.read_private`.
        """
        path = self._path(name)
        try:
            data = private_files.read_private(path, limit=_LIMIT)
        except NotFoundError:
            return {}
        try:
            found = json.loads(data)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise MalformedDataError(f"{path} is damaged; put it back from a backup, or remove it to begin anew")
        return found

    def write(self, name: str, record: dict[str, Any]) -> None:
        """Keep a record, whole or not at all, in the place of the one before; errors as `files.write`."""
        files.write(self._path(name), json.dumps(record).encode("ascii"), private=True)

    def remove(self, name: str) -> None:
        """Forget a record; nothing when there is none."""
        files.remove(self._path(name))

    def names(self, kind: str) -> list[str]:
        """The names of this kind that something is kept under."""
        return sorted(path.stem for path in self.folder.glob(f"{kind}-*.json"))

    def forget_past(self, kind: str, field: str, *, now: dt.datetime, but: str = "") -> None:
        """Remove the records of this kind whose moment in `field` is missing or long past; the one named `but` stays.

        A damaged one stays too: the next who needs it is told so.
        """
        for name in self.names(kind):
            with contextlib.suppress(MalformedDataError):
                until = moment(self.read(name).get(field))
                if name != but and (until is None or now - until > _LONG):
                    self.remove(name)

    @contextlib.contextmanager
    def locked(self, name: str, *, timeout: float) -> Iterator[None]:
        """Hold a record for one process; what a killed one left half-written of it is removed.

        Raises:
            TimeoutError: another process has held it for `timeout` seconds.
            MlssslError: as `private_files.lock`.
        """
        # Locks are never removed, and orders are new each time: so these share 256.
        shared = f"order-{hashlib.sha256(name.encode()).hexdigest()[:2]}" if name.startswith("order-") else name
        with private_files.lock(self.folder / f"{shared}.lock", timeout=timeout):
            for left in self.folder.glob(f".{name}.*"):
                files.remove(left)
            yield

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.json"


def moment(text: object) -> dt.datetime | None:
    """An aware moment as servers (RFC 3339) and records write it; None for anything else."""
    if not isinstance(text, str):
        return None
    try:
        # Python 3.10 reads neither a Z nor fractions of other lengths than its own.
        found = dt.datetime.fromisoformat(re.sub(r"\.[0-9]+", "", text, count=1).replace("Z", "+00:00"))
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
