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
    from collections.abc import Iterable
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


FORMER_NAME = "superseded.json"
"""What the file was called while it was written anew for each entry: one array. What is in it counts still."""


class SupersededFile:
    """The file in a machine's state folder. Only the holder of the machine's lock writes it.

    It has a line of JSON for each entry, so that to add one takes as long whether there are ten or ten thousand.
    """

    def __init__(self, folder: Path) -> None:
        self._path = files.inside(folder, "superseded.jsonl")
        self._former = files.inside(folder, FORMER_NAME)

    def read(self) -> dict[tuple[str, Thumbprint], Superseded]:
        """Every entry, by store (case folded) and thumbprint. `MalformedDataError` when the file is damaged."""
        found = {}
        for path in (self._former, self._path):
            try:
                data = private_files.read_private(path)
            except NotFoundError:
                continue
            try:
                # A line that a full disk has cut off is of a renewal that it has stopped.
                lines = (line for line in data.splitlines() if line.endswith(b"}"))
                for one in json.loads(data) if path is self._former else map(json.loads, lines):
                    grace_seconds = float(one["grace_seconds"])
                    entry = _parsed(str(one["store"]), str(one["thumbprint"]), str(one["at"]), grace_seconds)
                    found[entry.key] = entry
            except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
                raise MalformedDataError(
                    f"{path} is damaged ({type(error).__name__}); delete it: cleanup then counts from the day on "
                    "which the newer certificate begins"
                ) from None
        return found

    def add(self, *entries: Superseded) -> None:
        """Add entries; of one certificate the last one counts. They are on the disk when this returns.

        But for the file's own entry in the folder, when it is new: the record of the change, which is written there
        next, makes that last. A note that a loss of power takes before that is of a change that had not begun. Nothing
        is read: a renewal must not fail at night for the sake of a damaged note about when to tidy up.
        """
        with on_disk("write"):
            private_files.append_private(self._path, _lines(entries))

    def remove(self, store: str, thumbprint: Thumbprint) -> None:
        """Forget one; nothing when it is not there."""
        known = self.read()
        if known.pop((store.casefold(), thumbprint), None) is not None:
            with on_disk("write"):
                files.write(self._path, _lines(known.values()), private=True)
                files.remove(self._former)


@lru_cache(maxsize=4096)  # a run that removes a thousand certificates reads the file a thousand times
def _parsed(store: str, thumbprint: str, at: str, grace_seconds: float) -> Superseded:
    moment = dt.datetime.fromisoformat(at)
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone")
    grace = dt.timedelta(seconds=grace_seconds)
    return Superseded(store=store, thumbprint=Thumbprint(thumbprint), at=moment, grace=grace)


def _lines(entries: Iterable[Superseded]) -> bytes:
    # Its end alone is a brace, as `read` takes it: a line that was cut off in a store's name with one ends with none.
    texts = (json.dumps(_plain(entry))[:-1].replace("}", r"\u007d") for entry in entries)
    return b"".join(text.encode("ascii") + b"}\n" for text in texts)


def _plain(entry: Superseded) -> dict[str, object]:
    return {
        "store": entry.store,
        "thumbprint": str(entry.thumbprint),
        "at": entry.at.isoformat(),
        "grace_seconds": entry.grace.total_seconds(),
    }
