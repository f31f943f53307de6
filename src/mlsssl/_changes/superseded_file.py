"""The file in the state folder that notes which certificates were replaced, when, and how long each is to be kept.

`cleanup` (`mlsssl.superseded`) reads it. The store itself says *that* a certificate was renewed (CERT_RENEWAL) but not
when. Without this file nothing goes wrong: `cleanup` then counts from the day on which the newer certificate begins.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass
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


class SupersededFile:
    """The file in a machine's state folder. Only the holder of the machine's lock writes it."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "superseded.json"

    def read(self) -> dict[tuple[str, Thumbprint], Superseded]:
        """Every entry, by store (case folded) and thumbprint. `MalformedDataError` when the file is damaged."""
        try:
            data = private_files.read_private(self._path)
        except NotFoundError:
            return {}
        try:
            entries = [
                Superseded(
                    store=str(one["store"]),
                    thumbprint=Thumbprint(str(one["thumbprint"])),
                    at=dt.datetime.fromisoformat(str(one["at"])),
                    grace=dt.timedelta(seconds=float(one["grace_seconds"])),
                )
                for one in json.loads(data)
            ]
            if any(one.at.tzinfo is None for one in entries):
                raise ValueError("a moment without a time zone")
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise MalformedDataError(
                f"{self._path} is damaged ({type(error).__name__}); delete it: cleanup then counts from the day on "
                "which the newer certificate begins"
            ) from None
        return {(one.store.casefold(), one.thumbprint): one for one in entries}

    def add(self, *entries: Superseded) -> None:
        """Add entries, or replace those of the same certificate. A damaged file is written anew.

        A renewal must not fail at night for the sake of a note about when to tidy up.
        """
        try:
            known = self.read()
        except MalformedDataError:
            known = {}
        known.update({(one.store.casefold(), one.thumbprint): one for one in entries})
        self._write(known)

    def remove(self, store: str, thumbprint: Thumbprint) -> None:
        """Forget one; nothing when it is not there."""
        known = self.read()
        if known.pop((store.casefold(), thumbprint), None) is not None:
            self._write(known)

    def _write(self, known: dict[tuple[str, Thumbprint], Superseded]) -> None:
        data = [
            {
                "store": one.store,
                "thumbprint": str(one.thumbprint),
                "at": one.at.isoformat(),
                "grace_seconds": one.grace.total_seconds(),
            }
            for one in known.values()
        ]
        # On one line: indenting is done in Python, ten times as slow.
        with on_disk("write"):
            files.write(self._path, json.dumps(data).encode("ascii") + b"\n", private=True)
