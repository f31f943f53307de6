"""Files that must be whole and private: made so, checked when read back, written atomically, locked."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import stat
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mlsssl._messages.foreign_text import system_reason
from mlsssl.errors import (
    WINDOWS_ACCESS_DENIED,
    AccessDeniedError,
    BindingError,
    InvalidInputError,
    MlssslError,
    NativeError,
    NotFoundError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LINKS = 40  # followed in one path before it is taken for a loop, as Linux does

_PATIENCE = 2.0
"""Seconds to try a rename, a deletion or a look again on Windows, where a virus scanner may hold a new file."""

_SCANNED = (5, 32)
"""What Windows then answers: ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION."""


def path_of(given: str | os.PathLike[str]) -> Path:
    """What a caller gave as a path; `InvalidInputError` when it is none, or one that no file can have."""
    try:
        path = Path(given)
    except TypeError:
        raise InvalidInputError(f"the path of a file is needed, not {type(given).__name__}") from None
    # The text of a key, say: the system's own error would show it whole.
    if any(len(part) > 255 for part in path.parts) or (os.name != "nt" and len(str(path)) > 4095):
        raise InvalidInputError(f"{str(path)!r} cannot be the path of a file: it is too long")
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise InvalidInputError(f"{str(path)!r} cannot be the path of a file: it holds half a character") from None
    if "\0" in str(path):
        raise InvalidInputError(f"{str(path)!r} cannot be the path of a file: it holds a NUL character")
    return path


def absolute(given: str | os.PathLike[str]) -> Path:
    """`path_of`, independent of the working folder.

    Raises:
        InvalidInputError: as `path_of`.
        NotFoundError: it is relative, and the working folder is gone.
    """
    path = path_of(given)
    try:
        return path.absolute()
    except OSError:
        raise NotFoundError(f"{path} is relative, and the working folder is gone; give a whole path") from None


def is_folder(path: Path) -> bool:
    """Whether a folder is there; False, and no error, for a path that cannot be or cannot be looked at."""
    return os.path.isdir(path)  # noqa: PTH112 -- Path.is_dir raises for a name too long and for a closed folder


def is_file(path: Path) -> bool:
    """Whether a file is there; False, and no error, for a path that cannot be or cannot be looked at."""
    return os.path.isfile(path)  # noqa: PTH113 -- as above


def exists(path: Path) -> bool:
    """Whether anything is there; False, and no error, for a path that cannot be or cannot be looked at."""
    return os.path.exists(path)  # noqa: PTH110 -- as above


def entries(folder: Path) -> list[Path]:
    """What is in a folder, sorted.

    Raises:
        NotFoundError: it is not there.
        InvalidInputError: it is no folder, or no path that can be.
        AccessDeniedError: this user may not look into it.
        NativeError: it cannot be read for another reason.
    """
    with _translated("scandir", folder, right="read"):
        try:
            return sorted(folder.iterdir())
        except NotADirectoryError:
            raise InvalidInputError(f"{folder} is not a folder") from None


def read(path: Path, *, limit: int = 64 * 1024 * 1024) -> bytes:
    """The bytes of a file that the caller named; whose it is does not matter.

    Raises:
        NotFoundError: there is no such file.
        AccessDeniedError: this user may not read it.
        InvalidInputError: it is a folder, larger than `limit` bytes, or no path that can be.
        NativeError: it cannot be read for another reason, such as a failing disk.
    """
    with _translated("open", path, right="read"), path.open("rb") as file:
        data = file.read(limit + 1)
    return _limited(path, data, limit)


def read_found(path: Path) -> bytes:
    """The bytes of a file that was found in a folder, where a pipe or a device would hold us up; errors as `read`."""
    if exists(path) and not is_file(path):
        raise InvalidInputError(f"{path} is no ordinary file")
    return read(path)


def read_private(path: Path, *, limit: int = 64 * 1024 * 1024) -> bytes:
    """The bytes of a file that this library wrote and now acts on: nobody else may have made or changed it.

    Raises:
        NotFoundError: there is no such file.
        AccessDeniedError: as `check_private`; or this user may not read it.
        InvalidInputError: it is no ordinary file, or larger than `limit` bytes.
        NativeError: it cannot be read for another reason, such as a failing disk.
    """
    with (
        _translated("open", path, right="read"),
        os.fdopen(_open_private(path, os.O_RDONLY), "rb") as file,
    ):
        data = file.read(limit + 1)
    return _limited(path, data, limit)


def append_private(path: Path, data: bytes) -> None:
    """Add lines to the end of a file in one write, and flush them to disk; the file is made private when missing.

    What a full disk has cut short before stays, on a line of its own: who else adds lines may have gone on after it.

    Raises:
        NotFoundError: its folder does not exist.
        AccessDeniedError: as `check_private`; or this user may not write it.
        InvalidInputError: it is no ordinary file, or no path that can be.
        NativeError: the disk is full, or otherwise refuses.
    """
    with _translated("write", path, right="write"):
        descriptor = _open_private(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        try:
            if data and os.fstat(descriptor).st_size:
                os.lseek(descriptor, -1, os.SEEK_END)
                data = data if os.read(descriptor, 1) == b"\n" else b"\n" + data
            if os.write(descriptor, data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write(path: Path, data: bytes, *, private: bool) -> None:
    """Put `data` at `path`, whole or not at all: a new file beside it, flushed to disk, then renamed over it.

    Args:
        path: Where; its folder must exist. A symbolic link is replaced, not followed.
        data: All of it.
        private: True makes the file readable by its owner only, from the moment it exists (0600; on Windows an
            access list for the user, administrators and SYSTEM). False leaves it to the umask.

    Raises:
        NotFoundError: the folder does not exist.
        InvalidInputError: a folder is there, or it is no path that can be.
        AccessDeniedError: this user may not write there.
        NativeError: it cannot be written for another reason, such as a full disk; or it is written, and the disk
            failed to make the folder's entry last.
    """
    if not path.name:
        raise InvalidInputError(f"{str(path)!r} is a folder, not a file")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with _translated("write", path, right="write"):
        descriptor = _create(temporary, private=private)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            _replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                _patiently(temporary.unlink)
            raise
    _sync_folder(path.parent)


def replace(source: Path, target: Path) -> None:
    """Rename a file over another one of the same folder.

    Raises:
        NotFoundError, InvalidInputError, AccessDeniedError, NativeError: as `write`.
    """
    with _translated("rename", target, right="write"):
        _replace(source, target)


def remove(path: Path) -> None:
    """Delete a file; nothing when it is not there.

    Raises:
        InvalidInputError, AccessDeniedError, NativeError: as `write`.
    """
    with _translated("unlink", path, right="write"):
        _patiently(lambda: path.unlink(missing_ok=True))


def _replace(source: Path, target: Path) -> None:
    if is_folder(target):  # Windows says ACCESS_DENIED here too
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    _patiently(lambda: source.replace(target))


def _patiently(action: Callable[[], object]) -> None:
    """Do it, again for a while where Windows says that somebody has the file open, or is deleting it, just now."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            action()
        except OSError as error:
            if getattr(error, "winerror", None) not in _SCANNED or time.monotonic() >= deadline:
                raise
        else:
            return
        time.sleep(0.02)


def _limited(path: Path, data: bytes, limit: int) -> bytes:
    if len(data) > limit:
        raise InvalidInputError(f"{path} is larger than {limit} bytes; no certificate file is")
    return data


@contextlib.contextmanager
def _translated(function: str, path: Path, *, right: Literal["read", "write"]) -> Iterator[None]:
    """What the system says to a use of a path, in our words."""
    try:
        yield
    except MlssslError:
        raise
    except FileNotFoundError:
        if right == "read":
            raise NotFoundError(f"there is no file {path}") from None
        raise NotFoundError(f"there is no folder {path.parent}; make it first") from None
    except IsADirectoryError:
        raise InvalidInputError(f"{path} is a folder, not a file") from None
    except PermissionError:
        if function in ("open", "write") and is_folder(path):  # what Windows answers for a folder
            raise InvalidInputError(f"{path} is a folder, not a file") from None
        raise AccessDeniedError(f"this user may not {right} {path}", right=right) from None
    except (OSError, ValueError) as error:
        raise _unnamed(function, path, error) from None


def _unnamed(function: str, path: Path, error: OSError | ValueError) -> MlssslError:
    """The error for what went wrong with a path in a way that has no branch of its own."""
    if isinstance(error, MlssslError):
        return error
    if getattr(error, "winerror", None) in WINDOWS_ACCESS_DENIED:
        return AccessDeniedError(
            f"this user may not do this with {path} ({system_reason(error)}); run it in an elevated process "
            "(Run as administrator)",
            right="administrator",
        )
    if not isinstance(error, OSError) or error.errno in (errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL):
        # ValueError: a NUL in the path. Windows answers EINVAL for characters that no path may have.
        return InvalidInputError(f"{str(path)!r} cannot be the path of a file: {system_reason(error)}")
    if error.errno == errno.ENOTDIR:
        return NotFoundError(f"there is no {path}: a file stands where a folder should")
    if error.errno == errno.EROFS:
        return AccessDeniedError(f"{path} is on a read-only file system", right="write")
    name = errno.errorcode.get(error.errno or 0, "")
    return NativeError(function, error.errno or 0, name, f"{path}: {system_reason(error)}")


# -- whose it is ------------------------------------------------------------------------------------------------


def check_private(path: Path, *, secret: bool = False) -> None:
    """Refuse a file that another account made or may change; nothing when there is none.

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

    def look() -> None:
        try:
            status = path.lstat()
            owner = _owner(path, status)
        except FileNotFoundError:
            return
        _check_file(path, status, owner, secret=secret)

    with _translated("stat", path, right="read"):
        _patiently(look)  # Windows denies access to a file that is just being deleted


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
    done, left, links = Path(path.anchor), list(path.parts[1:]), 0
    while left:
        part = left.pop(0)
        step = done.parent if part == ".." else done / part
        try:
            status = step.lstat()
            target = step.readlink() if stat.S_ISLNK(status.st_mode) else None
        except OSError:  # not there yet, or not ours to look at: whoever opens it says so
            return step.joinpath(*left)
        if target is None:
            done = step
            continue
        links += 1
        if links > _LINKS:
            raise InvalidInputError(f"{path} cannot be the path of a file: its links go round in a circle")
        owner = _owner(step, status)
        if not owner.ours:
            raise AccessDeniedError(
                f"{step} is a symbolic link that belongs to {owner.name}, and it is not followed; remove it, or give "
                f"the path of what it leads to ({target})",
                right="owner",
            )
        if target.is_absolute():
            done = Path(target.anchor)
            target = target.relative_to(done)
        left[:0] = target.parts
    return done


@dataclass(frozen=True, slots=True)
class _Owner:
    """Whose a file is, as number or SID, and whether that is this user or the system."""

    account: str
    ours: bool

    @property
    def name(self) -> str:
        """In words. Asked for when something is wrong only, for a directory of accounts may be far away."""
        return _account_name(self.account)


def _check_file(path: Path, status: os.stat_result, owner: _Owner, *, secret: bool = False) -> None:
    if _is_link(status):
        raise AccessDeniedError(
            f"{path} is a link (of {owner.name}), and it is not followed; remove it, or give the file that it leads to",
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


def _check_folder(path: Path, status: os.stat_result, owner: _Owner) -> None:
    if _is_link(status):
        raise AccessDeniedError(
            f"{path} is a link (of {owner.name}) to another place, and it is not followed; remove it", right="owner"
        )
    if not stat.S_ISDIR(status.st_mode):
        raise InvalidInputError(f"{path} is not a folder")
    _check_owner(path, owner)
    _check_mode(path, status)


def _check_owner(path: Path, owner: _Owner) -> None:
    if not owner.ours:
        raise AccessDeniedError(
            f"{path} belongs to {owner.name}, not to {_this_account()}; run this as {owner.name}, or look into it and "
            "remove it, or make it yours if you trust what is in it",
            right="owner",
        )


def _check_mode(path: Path, status: os.stat_result, *, secret: bool = False) -> None:
    if sys.platform == "win32":
        return  # the mode says nothing there
    if status.st_mode & stat.S_IWOTH:
        what = "every account may change it"
    elif status.st_mode & stat.S_IWGRP:
        what = f"the members of its group ({_group_name(status.st_gid)}) may change it"
    elif secret and status.st_mode & stat.S_IRWXO:
        what = "every account may read it, although it holds private keys"
    else:
        return
    wanted = "700" if stat.S_ISDIR(status.st_mode) else "600"
    raise AccessDeniedError(f"{path}: {what}; run: chmod {wanted} {path}", right="private file")


def make_private_file(path: Path) -> None:
    """Make an empty file that only its owner may read, in the way `write` does, unless something is there.

    Raises:
        OSError: it cannot be made.
    """
    with contextlib.suppress(FileExistsError):
        os.close(_create(path, private=True))


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
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _make_folder(path, administrators=administrators)
        except FileExistsError:
            status = path.lstat()
            _check_folder(path, status, _owner(path, status))
            _close_folder(path, administrators=administrators)
    except MlssslError:
        raise
    except PermissionError:
        raise AccessDeniedError(f"this user may not make the folder {path}", right="write") from None
    except (FileExistsError, NotADirectoryError):
        raise InvalidInputError(f"{path} cannot be made: a file is in its way") from None
    except (OSError, ValueError) as error:
        raise _unnamed("mkdir", path, error) from None
    return path


def user_data_folder() -> Path:
    """Where this platform keeps a user's application data (not made here).

    Raises:
        NotFoundError: the environment names none, and this user has no home folder.
    """
    try:
        if sys.platform == "win32":
            return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
        if sys.platform == "darwin":
            return Path.home() / "Library" / "Application Support"
        # XDG Base Directory Specification: relative paths are to be ignored.
        configured = Path(os.environ.get("XDG_DATA_HOME") or "")
        return configured if configured.is_absolute() else Path.home() / ".local" / "share"
    except RuntimeError:  # what Path.home says for a user whom the system does not list
        variable = "LOCALAPPDATA" if sys.platform == "win32" else "HOME"
        raise NotFoundError(
            f"this user has no home folder, so there is no default place for a machine's file: set {variable}, or say "
            "where the file is (MLSSSL_MACHINE, EmbeddedMachine(path))"
        ) from None


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
    with _translated("open", path, right="write"):
        descriptor = _open_private(path, os.O_RDWR | os.O_CREAT)
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

    def _create(path: Path, *, private: bool) -> int:
        if private:
            from mlsssl._machine import files_windows

            return files_windows.create_private(path)
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_BINARY, 0o666)

    def _make_folder(path: Path, *, administrators: bool) -> None:
        from mlsssl._machine import files_windows as windows

        windows.make_private_folder(path, _folder_list(administrators=administrators))

    def _close_folder(path: Path, *, administrators: bool) -> None:
        from mlsssl._machine import files_windows as windows

        windows.close_folder(path, _folder_list(administrators=administrators))

    def _folder_list(*, administrators: bool) -> str:
        from mlsssl._machine import files_windows as windows

        return windows.ADMINISTRATORS_FOLDER if administrators else windows.private_folder_list()

    def _open_private(path: Path, flags: int) -> int:
        """Open a file, made for this user, administrators and SYSTEM, and refuse it as `check_private` does."""
        from mlsssl._machine import files_windows as windows

        descriptor = windows.open_private(path, flags)
        try:
            owner = windows.owner_of_handle(msvcrt.get_osfhandle(descriptor))
            _check_file(path, os.fstat(descriptor), _named(owner))
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _owner(path: Path, status: os.stat_result) -> _Owner:
        from mlsssl._machine import files_windows

        return _named(files_windows.owner_of(path))

    def _named(sid: str) -> _Owner:
        from mlsssl._machine import files_windows as windows

        return _Owner(sid, ours=sid in (windows.ADMINISTRATORS, windows.SYSTEM, windows.user()))

    def _this_account() -> str:
        from mlsssl._machine import files_windows as windows

        return windows.account_name(windows.user())

    def _account_name(account: str) -> str:
        from mlsssl._machine import files_windows

        return files_windows.account_name(account)

    def _group_name(number: int) -> str:
        return str(number)

    def _is_link(status: os.stat_result) -> bool:
        from mlsssl._machine import files_windows

        return files_windows.is_link(status)

    def program_data_folder() -> Path:
        """Where this Windows keeps the application data of all users (not made here)."""
        from mlsssl._machine import files_windows

        return files_windows.program_data()

    def others_may_add_beside(path: Path) -> bool:
        """False: the access list of the folder is not looked at."""
        return False

    def share_as(path: Path, other: Path) -> None:
        """Let those read and write `path`, which SQLite has made, who may do so with `other`."""
        from mlsssl._machine import files_windows

        with contextlib.suppress(OSError):  # another process did it, and this one may not; or there are no lists here
            files_windows.copy_access_list(other, path)

    def _sync_folder(path: Path) -> None:
        """Windows has no such call; the rename is journalled by NTFS."""

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

    def _create(path: Path, *, private: bool) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return os.open(path, flags, 0o600 if private else 0o666)

    def _make_folder(path: Path, *, administrators: bool) -> None:
        path.mkdir(0o700)
        path.chmod(0o700)  # mkdir's mode is cut by the umask, which may cut the owner's own bits

    def others_may_add_beside(path: Path) -> bool:
        """Whether another account may make entries in the folder of a file of this user's."""
        folder = path.parent.stat()
        exposed = folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or folder.st_uid not in (0, os.geteuid())
        return bool(exposed) and path.stat().st_uid == os.geteuid()

    def share_as(path: Path, other: Path) -> None:
        """Nothing: SQLite itself gives what it makes the mode of its database."""

    def _close_folder(path: Path, *, administrators: bool) -> None:
        """Nothing: that nobody else may write in it was looked at, and names alone are no secret."""

    def _open_private(path: Path, flags: int) -> int:
        """Open a file, made with 0600 when missing, and refuse it as `check_private` does."""
        # O_NOFOLLOW: no link. O_NONBLOCK: a pipe that nobody reads must not hold us up.
        flags |= os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            descriptor = os.open(path, flags, 0o600)
        except FileNotFoundError:
            raise
        except OSError:
            # The system says only that it will not; whose the file is says more. Linux itself refuses links and
            # files of others in folders like /tmp (fs.protected_symlinks, fs.protected_regular).
            check_private(path)
            raise
        try:
            status = os.fstat(descriptor)
            _check_file(path, status, _owner(path, status))
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _owner(path: Path, status: os.stat_result) -> _Owner:
        return _Owner(str(status.st_uid), ours=status.st_uid in (0, os.geteuid()))

    def _this_account() -> str:
        return _account_name(str(os.geteuid()))

    def _account_name(account: str) -> str:
        import pwd

        try:
            return f"{pwd.getpwuid(int(account)).pw_name} (uid {account})"
        except (KeyError, OverflowError):
            return f"uid {account}"

    def _group_name(number: int) -> str:
        import grp

        try:
            return f"{grp.getgrgid(number).gr_name}, gid {number}"
        except (KeyError, OverflowError):
            return f"gid {number}"

    def _is_link(status: os.stat_result) -> bool:
        return stat.S_ISLNK(status.st_mode)

    def _sync_folder(path: Path) -> None:
        """Make the folder's entries last. Where that cannot be asked for, the file is there all the same."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # who may write in a folder need not be allowed to read it
            return
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in (errno.EIO, errno.ENOSPC, errno.EDQUOT):
                return  # not a failing disk, but a file system that does not do this for folders
            hint = f"{path}: what was written is there, but may not outlast a loss of power ({error.strerror})"
            raise NativeError("fsync", error.errno or 0, errno.errorcode.get(error.errno or 0, ""), hint) from None
        finally:
            os.close(descriptor)
