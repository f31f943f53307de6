"""The audit log: one JSON line for each change, in a file that its owner alone can read."""

from __future__ import annotations

import datetime as dt
import json
import os
import warnings
from typing import TYPE_CHECKING, TypeVar

from mlsssl._changes.record import record_to_dict, reservation_to_dict
from mlsssl._machine import files, private_files
from mlsssl.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from pathlib import Path

    from mlsssl._changes.record import Change

FileT = TypeVar("FileT", bound="str | Path")


def add(change: Change, *, result: str, reason: str | None = None) -> None:
    """Add a line: when, who, which key, before, after, and how it ended. Nothing when the change has no audit log.

    Lines are added whole (one write to a file opened for appending), so several processes may share a file. A line
    that a full disk has cut short, whose change was taken back then, stays and spoils no other. Errors as
    `private_files.append_private`.
    """
    if change.audit_log is None:
        return
    before, after, also = change.before, change.after, change.also
    if change.verb == "undo":  # which runs a change the other way round
        before, after, also = after, before, tuple((new, old) for old, new in also)
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
    if also:  # other bindings that changed together with this one
        entry["also"] = [{"before": record_to_dict(old), "after": record_to_dict(new)} for old, new in also]
    if change.reservation is not None:
        entry["reservation"] = reservation_to_dict(change.reservation)
    _append(change.audit_log, json.dumps(entry).encode("ascii") + b"\n")


def try_to_open(path: Path) -> None:
    """Raise what `add` would raise, as far as that can be known before: the file is made, and nothing is written."""
    _append(path, b"")


def _append(path: Path, line: bytes) -> None:
    try:
        private_files.append_private(path, line)
    except NotFoundError:
        raise NotFoundError(f"there is no folder {path.parent} for the audit log; make it first") from None


def check(file: str | Path) -> Path:
    """The audit log as a path; refused now when its folder is missing, for later the change would be done already."""
    path = files.absolute(file)
    if files.is_folder(path):
        raise InvalidInputError(f"{path} is a folder; the audit log is a file")
    if not files.is_folder(path.parent):
        raise NotFoundError(f"there is no folder {path.parent} for the audit log; make it first")
    private_files.check_private(path)
    return path


def former_name(trail: FileT, *, stacklevel: int) -> FileT:
    """What was given under the former name of `audit_log`, with a warning that names the new one."""
    warnings.warn("trail= is called audit_log= now", DeprecationWarning, stacklevel=stacklevel)
    return trail


def _user() -> str:
    import getpass  # which asks for the terminal's library, and most commands write no log

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no such user in the system's list (3.13: OSError)
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
