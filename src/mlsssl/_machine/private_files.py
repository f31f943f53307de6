"""Private files, folders and locks: for one user only, refused when another account has made or may change them."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import stat
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from mlsssl._machine import file_rights
from mlsssl._machine.files import absolute, inside, patiently, read_limited, translated, unnamed
from mlsssl._messages.foreign_text import system_reason
from mlsssl.errors import AccessDeniedError, BindingError, InvalidInputError, MlssslError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator

_LOCK_NAME = r"[A-Za-z0-9_-]{1,64}"
_LINKS = 40  # followed in one path before it is taken for a loop, as Linux does


def read_private(path: Path, *, limit: int = 64 * 1024 * 1024) -> bytes:
    """The bytes of a file that this library wrote and now acts on: nobody else may have made or changed it.

    Raises:
        NotFoundError: there is no such file.
        AccessDeniedError: as `check_private`; or this user may not read it.
        InvalidInputError: it is no ordinary file, or larger than `limit` bytes.
        NativeError: it cannot be read for another reason, such as a failing disk.
    """
    with translated("open", path, right="read"):
        descriptor = open_private(path, os.O_RDONLY)
        try:
            return read_limited(path, partial(os.read, descriptor), limit)
        finally:
            os.close(descriptor)


def append_private(path: Path, data: bytes) -> None:
    """Add lines to the end of a file in one write, and flush them to disk; the file is made private when missing.

    What a full disk has cut short before stays, on a line of its own: who else adds lines may have gone on after it.

    Raises:
        NotFoundError: its folder does not exist.
        AccessDeniedError: as `check_private`; or this user may not write it.
        InvalidInputError: it is no ordinary file, or no path that can be.
        NativeError: the disk is full, or otherwise refuses.
    """
    with translated("write", path, right="write"):
        descriptor = open_private(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        try:
            if data and os.fstat(descriptor).st_size:
                os.lseek(descriptor, -1, os.SEEK_END)
                data = data if os.read(descriptor, 1) == b"\n" else b"\n" + data
            if os.write(descriptor, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def check_private(path: Path, *, secret: bool = False) -> os.stat_result | None:
    """Refuse a file that another account made or may change; what `os.lstat` saw of it, or None when there is none.

    For files that somebody else opens, such as SQLite; `read_private`, `append_private` and `lock` look at what they
    have opened. The system's own account (root; on Windows administrators and SYSTEM) may make and change everything
    anyway, so its files are taken. On Windows the owner alone is looked at, not the access list.

    Args:
        path: The file.
        secret: Whether it also must not be readable by every account.

    Raises:
        AccessDeniedError: it is a symbolic link, belongs to another account, has a second name (a hard link), or
            its mode lets others write it (or, when `secret`, every account read it). The message says whose it is
            and what to do; `.right` is `owner` or `private file`.
        InvalidInputError: it is no ordinary file.
        NotFoundError, NativeError: its folder cannot be looked into.
    """

    def look() -> os.stat_result | None:
        try:
            status = os.lstat(path)
            owner = file_rights.owner_of(path, status)
        except FileNotFoundError:
            return None
        _check_file(path, status, owner, secret=secret)
        return status

    try:
        return look()
    except MlssslError:
        raise
    except (OSError, ValueError):
        with translated("stat", path, right="read"):
            return patiently(look)  # Windows denies access to a file that is just being deleted


def resolved(given: str | os.PathLike[str]) -> Path:
    """The one path behind every spelling of it: absolute, without links; on Windows in the case that it was made in.

    Links of another account are not followed, so nobody else can lead this one to a file that he chose. (On Windows
    that is left to the check of the file itself.)

    Raises:
        InvalidInputError: it is no path that can be, or its links go round in a circle.
        AccessDeniedError: a link in it belongs to another account.
        NotFoundError: as `absolute`.
    """
    path = absolute(given)
    if sys.platform == "win32":
        return Path(os.path.realpath(path))
    # Text without its last slash: a Path for each part would be a tenth of what opening a machine takes.
    done, left, links = path.anchor[:-1], list(path.parts[1:]), 0
    while left:
        part = left.pop(0)
        step = done.rpartition("/")[0] if part == ".." else f"{done}/{part}"
        try:
            status = os.lstat(step or "/")
            target = Path(step).readlink() if stat.S_ISLNK(status.st_mode) else None
        except OSError:  # not there yet, or not ours to look at: whoever opens it says so
            return Path(step, *left)
        if target is None:
            done = step
            continue
        links += 1
        if links > _LINKS:
            raise InvalidInputError(f"{path} cannot be the path of a file: its links go round in a circle")
        owner = file_rights.owner_of(Path(step), status)
        if not file_rights.is_ours(owner):
            raise AccessDeniedError(
                f"{step} is a symbolic link that belongs to {file_rights.account_name(owner)}, and it is not "
                f"followed; remove it, or give the path of what it leads to ({target})",
                right="owner",
            )
        if target.is_absolute():
            done = target.anchor[:-1]
            target = target.relative_to(target.anchor)
        left[:0] = target.parts
    return path if done == str(path) else Path(f"{done}/")


def _check_file(path: Path, status: os.stat_result, owner: str, *, secret: bool = False) -> None:
    if file_rights.is_link(status):
        raise AccessDeniedError(
            f"{path} is a link (of {file_rights.account_name(owner)}), and it is not followed; remove it, or give the "
            "file that it leads to",
            right="owner",
        )
    if stat.S_ISDIR(status.st_mode):
        raise InvalidInputError(f"{path} is a folder, not a file")
    if not stat.S_ISREG(status.st_mode):
        raise InvalidInputError(f"{path} is no ordinary file")
    _check_owner(path, owner)
    if status.st_nlink > 1:
        raise AccessDeniedError(
            f"{path} has {status.st_nlink} names (hard links), so that it can be changed under another one; find "
            "them (find -samefile) and leave it only one",
            right="owner",
        )
    _check_mode(path, status, secret=secret)


def _check_folder(path: Path, status: os.stat_result, owner: str) -> None:
    if file_rights.is_link(status):
        raise AccessDeniedError(
            f"{path} is a link (of {file_rights.account_name(owner)}) to another place, and it is not followed; "
            "remove it",
            right="owner",
        )
    if not stat.S_ISDIR(status.st_mode):
        raise InvalidInputError(f"{path} is not a folder")
    _check_owner(path, owner)
    _check_mode(path, status)


def _check_owner(path: Path, owner: str) -> None:
    if not file_rights.is_ours(owner):
        name = file_rights.account_name(owner)
        raise AccessDeniedError(
            f"{path} belongs to {name}, not to {file_rights.this_account()}; run this as {name}, or look into it and "
            "remove it, or make it yours if you trust what is in it",
            right="owner",
        )


def _check_mode(path: Path, status: os.stat_result, *, secret: bool = False) -> None:
    why = file_rights.why_not_private(status, secret=secret)
    if why is not None:
        wanted = "700" if stat.S_ISDIR(status.st_mode) else "600"
        raise AccessDeniedError(f"{path}: {why}; run: chmod {wanted} {path}", right="private file")


def open_private(path: Path, flags: int) -> int:
    """Open a file, made private when missing and `flags` (of `os.open`) say so, and refuse it as `check_private` does.

    Raises:
        OSError: as `os.open`.
        AccessDeniedError, InvalidInputError: as `check_private`.
    """
    try:
        descriptor = file_rights.open_private(path, flags)
    except OSError as error:
        # The system says only that it will not; whose the file is says more. Linux itself refuses links and files of
        # others in folders like /tmp (fs.protected_symlinks, fs.protected_regular).
        if sys.platform != "win32" and not isinstance(error, FileNotFoundError):
            check_private(path)
        raise
    try:
        status = os.fstat(descriptor)
        _check_file(path, status, file_rights.owner_of_open(descriptor, status))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def make_private_file(path: Path) -> None:
    """Make an empty file that only its owner may read, unless something is there; `OSError` when it cannot be."""
    with contextlib.suppress(FileExistsError):
        os.close(file_rights.create(path, private=True))


def private_folder(path: Path, *, administrators: bool = False) -> Path:
    """Make a folder that only its owner may enter (0700), with its parents; return it.

    On Windows an access list says so: for the user, administrators and SYSTEM, handed down to what is made inside.
    One that was there before is taken only if nobody else made it (or could put something in it); on Windows its
    access list is set again.

    Args:
        path: Where.
        administrators: On Windows for administrators and SYSTEM only. Elsewhere it changes nothing.

    Raises:
        AccessDeniedError: this user may not make it; or it was there, and is a link, belongs to another account, or
            its mode lets others write in it. The message says whose it is.
        InvalidInputError: something that is not a folder is there, or it is no path that can be.
        NativeError: it cannot be made for another reason.
    """
    try:
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):  # somebody was faster
                file_rights.make_folder(path, administrators=administrators)
                return path
            status = os.lstat(path)
        _check_folder(path, status, file_rights.owner_of(path, status))
        file_rights.close_folder(path, administrators=administrators)
    except MlssslError:
        raise
    except PermissionError:
        raise AccessDeniedError(f"this user may not make the folder {path}", right="write") from None
    except (FileExistsError, NotADirectoryError):
        raise InvalidInputError(f"{path} cannot be made: a file is in its way") from None
    except (OSError, ValueError) as error:
        raise unnamed("mkdir", path, error) from None
    return path


# -- locks between processes and threads, each a file --------------------------------------------------------------


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
    descriptor = _locked(path, timeout)
    try:
        yield
    finally:
        _release(descriptor)


def _locked(path: Path, timeout: float) -> int:
    """A descriptor of the file that holds the lock on it; errors as `lock`."""
    with translated("open", path, right="write"):
        descriptor = open_private(path, os.O_RDWR | os.O_CREAT)
    try:
        deadline = time.monotonic() + timeout
        while not _try_lock(descriptor, path):
            if time.monotonic() >= deadline:
                raise TimeoutError(f"{path} is locked by process {_lock_holder(path)}")
            time.sleep(0.02)
        _write_holder(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _release(descriptor: int) -> None:
    try:
        _unlock(descriptor)
    finally:
        os.close(descriptor)


def _no_locks(path: Path, error: OSError) -> UnsupportedError:
    name = errno.errorcode.get(error.errno or 0, str(error.errno))
    return UnsupportedError(
        f"{path} cannot be locked: its file system answers {name} ({system_reason(error)}), so it has no locks; "
        "keep the machine's file and its state folder on a local disk"
    )


@contextlib.contextmanager
def named_lock(folder: Path, name: str, *, timeout: float, description: str) -> Iterator[Path]:
    """A machine's lock (`MachinePort.lock`): the file `<name>.lock` in its state folder, which is given back.

    Raises:
        InvalidInputError: `name` is not 1 to 64 ASCII letters, digits, - and _.
        BindingError: somebody else held it for `timeout` seconds; the message says who, and what: `description`.
    """
    if not re.fullmatch(_LOCK_NAME, name):
        raise InvalidInputError(f"a lock's name has 1 to 64 ASCII letters, digits, - and _; not {name!r}")
    try:
        descriptor = _locked(inside(folder, f"{name}.lock"), timeout)
    except TimeoutError as error:
        raise BindingError(f"somebody else is changing {description}: {error}; try again later") from None
    try:
        yield folder
    finally:
        _release(descriptor)


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
            # As long as every other: to make a file shorter costs as much as a write to the disk.
            os.pwrite(descriptor, f'{{"pid": {os.getpid()}}}'.ljust(40).encode(), 0)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)
