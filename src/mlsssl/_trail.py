"""The audit trail: one JSON line for each change, in a file that its owner alone can read."""

from __future__ import annotations

import datetime as dt
import errno
import getpass
import json
import os
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from mlsssl import _files
from mlsssl._journal import record_to_dict
from mlsssl.errors import AccessDeniedError, InvalidInputError, NativeError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlsssl._journal import Change


def add(change: Change, *, result: str, reason: str | None = None) -> None:
    """Add a line: when, who, which key, before, after, and how it ended. Nothing when the change has no trail.

    Lines are added whole (one write to a file opened for appending), so several processes may share a trail.

    Raises:
        NotFoundError: its folder does not exist.
        AccessDeniedError: this user may not write it.
        InvalidInputError: a folder is in its place, or it is no path that can be.
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
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    with _in_our_words(trail):
        descriptor = os.open(trail, flags, 0o600)
        try:
            if os.write(descriptor, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def check(trail: str | Path | None) -> Path | None:
    """The trail as a path; refused now when it cannot be one, for later the change would be done already.

    Raises:
        NotFoundError, AccessDeniedError, InvalidInputError, NativeError: as `add`.
    """
    if trail is None:
        return None
    path = _files.path_of(trail)
    with _in_our_words(path):
        path = path.absolute()
        with suppress(FileNotFoundError):
            if stat.S_ISDIR(path.stat().st_mode):
                raise IsADirectoryError
        if not path.parent.is_dir():
            raise FileNotFoundError
    return path


@contextmanager
def _in_our_words(trail: Path) -> Iterator[None]:
    """What the system, or Python before it asks the system, says to the path of a trail."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(f"there is no folder {trail.parent} for the audit trail; make it first") from None
    except IsADirectoryError:
        raise InvalidInputError(f"{trail} is a folder; the audit trail is a file") from None
    except PermissionError:
        raise AccessDeniedError(f"this user may not write the audit trail {trail}", right="write") from None
    except (OSError, ValueError) as error:
        # A ValueError: a NUL, or half a surrogate. Windows answers EINVAL for characters that no path may have.
        if isinstance(error, ValueError) or error.errno in (errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL):
            raise InvalidInputError(f"{str(trail)!r} cannot be the path of the audit trail: {error}") from None
        code = error.errno or 0
        raise NativeError("write", code, errno.errorcode.get(code, ""), f"the audit trail {trail}") from None


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # no such user in the system's list (3.13: OSError)
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
