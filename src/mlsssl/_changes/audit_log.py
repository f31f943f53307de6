"""The audit trail: one JSON line for each change, in a file that its owner alone can read."""

from __future__ import annotations

import datetime as dt
import getpass
import json
import os
from typing import TYPE_CHECKING

from mlsssl._changes.record import record_to_dict
from mlsssl._machine import files, private_files
from mlsssl.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from pathlib import Path

    from mlsssl._changes.record import Change


def add(change: Change, *, result: str, reason: str | None = None) -> None:
    """Add a line: when, who, which key, before, after, and how it ended. Nothing when the change has no trail.

    Lines are added whole (one write to a file opened for appending), so several processes may share a trail. A line
    that a full disk has cut short, whose change was taken back then, stays and spoils no other.

    Raises:
        NotFoundError: its folder does not exist.
        AccessDeniedError: this user may not write it, or it is a link, another account's, or open to others' writing.
        InvalidInputError: no ordinary file is in its place.
        NativeError: the disk is full, or otherwise refuses.
    """
    if change.trail is None:
        return
    before, after = change.before, change.after
    if change.verb == "undo":  # which runs a change the other way round
        before, after = after, before
    entry = {
        "at": dt.datetime.now(dt.timezone.utc).isoformat(timespec="milliseconds"),
        "user": _user(),
        "process": os.getpid(),
        "verb": change.verb,
        "key": None if change.key is None else str(change.key),
        "result": result,
        "reason": reason,
        "before": None if before is None else record_to_dict(before),
        "after": None if after is None else record_to_dict(after),
        "added": [f"{one.store}/{one.thumbprint}" for one in change.additions],
    }
    _append(change.trail, json.dumps(entry).encode("ascii") + b"\n")


def try_to_open(trail: Path | None) -> None:
    """Raise what `add` would raise, as far as that can be known before: the file is made, and nothing is written."""
    if trail is not None:
        _append(trail, b"")


def _append(trail: Path, line: bytes) -> None:
    try:
        private_files.append_private(trail, line)
    except NotFoundError:
        raise NotFoundError(f"there is no folder {trail.parent} for the audit trail; make it first") from None


def check(trail: str | Path | None) -> Path | None:
    """The trail as a path; refused now when its folder is missing, for later the change would be done already."""
    if trail is None:
        return None
    path = files.absolute(trail)
    if files.is_folder(path):
        raise InvalidInputError(f"{path} is a folder; the audit trail is a file")
    if not files.is_folder(path.parent):
        raise NotFoundError(f"there is no folder {path.parent} for the audit trail; make it first")
    private_files.check_private(path)
    return path


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no such user in the system's list (3.13: OSError)
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
