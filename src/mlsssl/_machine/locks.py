"""Locks between processes and threads, each a file."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
import time
from typing import TYPE_CHECKING

from mlsssl._machine.files import translated
from mlsssl._machine.private_files import open_private, read_private
from mlsssl._messages.foreign_text import system_reason
from mlsssl.errors import BindingError, InvalidInputError, MlssslError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def lock(path: Path, *, timeout: float) -> Iterator[None]:
    """Hold an exclusive lock on the file `path` (made if missing, never removed) across processes and threads.

    The system drops it when the holder dies. The holder's process id is in the file, for the message.

    Raises:
        TimeoutError: somebody else held it for `timeout` seconds; the message names the process.
        NotFoundError: its folder does not exist.
        AccessDeniedError: as `check_private`; or this user may not write it.
        InvalidInputError: it is no ordinary file, or no path that can be.
        UnsupportedError: its file system has no locks.
        NativeError: it cannot be made for another reason, such as a full disk.
    """
    with translated("open", path, right="write"):
        descriptor = open_private(path, os.O_RDWR | os.O_CREAT)
    try:
        deadline = time.monotonic() + timeout
        while not _try_lock(descriptor, path):
            if time.monotonic() >= deadline:
                raise TimeoutError(f"{path} is locked by process {_lock_holder(path)}")
            time.sleep(0.02)
        _write_holder(descriptor)
        try:
            yield
        finally:
            _unlock(descriptor)
    finally:
        os.close(descriptor)


def _no_locks(path: Path, error: OSError) -> MlssslError:
    name = errno.errorcode.get(error.errno or 0, str(error.errno))
    return UnsupportedError(
        f"{path} cannot be locked: its file system answers {name} ({system_reason(error)}), so it has no locks; "
        "keep the machine's file and its state folder on a local disk"
    )


@contextlib.contextmanager
def named_lock(folder: Path, name: str, *, timeout: float, description: str) -> Iterator[None]:
    """A machine's lock (`MachinePort.lock`): the file `<name>.lock` in its state folder.

    Raises:
        InvalidInputError: `name` is not 1 to 64 ASCII letters, digits, - and _.
        BindingError: somebody else held it for `timeout` seconds; the message says who, and what: `description`.
    """
    if not 1 <= len(name) <= 64 or not all(c.isascii() and (c.isalnum() or c in "-_") for c in name):
        raise InvalidInputError(f"a lock's name has 1 to 64 ASCII letters, digits, - and _; not {name!r}")
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(lock(folder / f"{name}.lock", timeout=timeout))
        except TimeoutError as error:
            raise BindingError(f"somebody else is changing {description}: {error}; try again later") from None
        yield


def _lock_holder(path: Path) -> str:
    try:
        return str(int(json.loads(read_private(path, limit=4096))["pid"]))
    except (MlssslError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return "unknown"


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int, path: Path) -> bool:
        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            # The C runtime says EACCES for a lock of somebody else's, EINVAL for what it has no name for, such as
            # ERROR_NOT_SUPPORTED. (Wine says 0 for a lock of somebody else's.)
            if error.errno in (errno.EINVAL, errno.ENOSYS, errno.EBADF):
                raise _no_locks(path, error) from None
            return False
        return True

    def _write_holder(descriptor: int) -> None:
        """Nothing: the locked byte range cannot be read by others here, so it would help nobody."""

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(descriptor: int, path: Path) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return False
            raise _no_locks(path, error) from None
        return True

    def _write_holder(descriptor: int) -> None:
        with contextlib.suppress(OSError):  # a full disk: the lock is held all the same
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps({"pid": os.getpid()}).encode(), 0)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
