"""The file in the state folder that notes which certificates were replaced, when, and how long each is to be kept.

`cleanup` (`mlsssl.superseded`) reads it. The store itself says *that* a certificate was renewed (CERT_RENEWAL) but not
when. Without this file nothing goes wrong: `cleanup` then counts from the day on which the newer certificate begins.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from mlsssl._changes.record import on_disk
from mlsssl._machine import files, private_files
from mlsssl.errors import MalformedDataError, NotFoundError
from mlsssl.values import Thumbprint

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Superseded:
    """A certificate that was replaced `at` that moment, and is to be kept for `grace` from then on."""

    store: str
    thumbprint: Thumbprint
    at: dt.datetime
    grace: dt.timedelta

    @property
    def key(self) -> tuple[str, Thumbprint]:
        """What it is known by: the store, case folded, and the certificate in it."""
        return self.store.casefold(), self.thumbprint


class SupersededFile:
    """The file in a machine's state folder. Only the holder of the machine's lock writes it."""

    def __init__(self, folder: Path) -> None:
        self._path = files.inside(folder, "superseded.json")

    def read(self) -> dict[tuple[str, Thumbprint], Superseded]:
        """Every entry, by store (case folded) and thumbprint. `MalformedDataError` when the file is damaged."""
        return {entry.key: entry for entry, _ in self._read()}

    def add(self, *entries: Superseded) -> None:
        """Add entries, or replace those of the same certificate. A damaged file is written anew.

        A renewal must not fail at night for the sake of a note about when to tidy up.
        """
        try:
            known = self._read()
        except MalformedDataError:
            known = []
        new = {entry.key: entry for entry in entries}
        left: list[object] = [plain for entry, plain in known if entry.key not in new]
        # The record of the change, which is written to this folder next, makes the file's entry last. A note that a
        # loss of power takes before that is of a change that had not begun.
        self._write([*left, *map(_plain, new.values())], entry_lasts=False)

    def remove(self, store: str, thumbprint: Thumbprint) -> None:
        """Forget one; nothing when it is not there."""
        known = self._read()
        left = [plain for entry, plain in known if entry.key != (store.casefold(), thumbprint)]
        if len(left) < len(known):
            self._write(left, entry_lasts=True)

    def _read(self) -> list[tuple[Superseded, object]]:
        """Every entry, with how it stands in the file."""
        try:
            data = private_files.read_private(self._path)
        except NotFoundError:
            return []
        try:
            return [
                (_parsed(str(one["store"]), str(one["thumbprint"]), str(one["at"]), float(one["grace_seconds"])), one)
                for one in json.loads(data)
            ]
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise MalformedDataError(
                f"{self._path} is damaged ({type(error).__name__}); delete it: cleanup then counts from the day on "
                "which the newer certificate begins"
            ) from None

    def _write(self, plain: list[object], *, entry_lasts: bool) -> None:
        data = json.dumps(plain).encode("ascii") + b"\n"  # on one line: indenting is done in Python, ten times as slow
        with on_disk("write"):
            files.write(self._path, data, private=True, entry_lasts=entry_lasts)


@lru_cache(maxsize=4096)  # a run that renews a thousand certificates reads the file a thousand times
def _parsed(store: str, thumbprint: str, at: str, grace_seconds: float) -> Superseded:
    moment = dt.datetime.fromisoformat(at)
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone")
    grace = dt.timedelta(seconds=grace_seconds)
    return Superseded(store=store, thumbprint=Thumbprint(thumbprint), at=moment, grace=grace)


def _plain(entry: Superseded) -> dict[str, object]:
    return {
        "store": entry.store,
        "thumbprint": str(entry.thumbprint),
        "at": entry.at.isoformat(),
        "grace_seconds": entry.grace.total_seconds(),
    }
