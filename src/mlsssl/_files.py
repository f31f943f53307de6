"""Files that must be whole and private: atomic writes, 0600 from creation, locks across processes."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import secrets
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from mlsssl.errors import (
    AccessDeniedError,
    BindingError,
    InvalidInputError,
    MlssslError,
    NativeError,
    NotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


def path_of(given: str | os.PathLike[str]) -> Path:
    """What a caller gave as a path; `InvalidInputError` when it is none."""
    try:
        path = Path(given)
    except TypeError:
        raise InvalidInputError(f"the path of a file is needed, not {type(given).__name__}") from None
    # The text of a key, say: the system's own error would show it whole.
    if any(len(part) > 255 for part in path.parts) or (os.name != "nt" and len(str(path)) > 4095):
        raise InvalidInputError(f"{str(path)!r} cannot be the path of a file: it is too long")
    return path


def read(path: Path, *, limit: int = 64 * 1024 * 1024) -> bytes:
    """The file's bytes.

    Raises:
        NotFoundError: there is no such file.
        AccessDeniedError: this user may not read it.
        InvalidInputError: it is a folder, larger than `limit` bytes, or no path that can be.
        NativeError: it cannot be read for another reason, such as a failing disk.
    """
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise NotFoundError(f"there is no file {path}") from None
    except IsADirectoryError:
        raise InvalidInputError(f"{path} is a folder, not a file") from None
    except PermissionError:
        if path.is_dir():  # what Windows answers for a folder
            raise InvalidInputError(f"{path} is a folder, not a file") from None
        raise AccessDeniedError(f"this user may not read {path}", right="read") from None
    except (OSError, ValueError) as error:
        raise _unnamed("open", path, error) from None
    if len(data) > limit:
        raise InvalidInputError(f"{path} is larger than {limit} bytes; no certificate file is")
    return data


def write(path: Path, data: bytes, *, private: bool) -> None:
    """Put `data` at `path`, whole or not at all: a new file beside it, flushed to disk, then renamed over it.

    Args:
        path: Where; its folder must exist. A symbolic link is replaced, not followed.
        data: All of it.
        private: True makes the file readable by its owner only, from the moment it exists (0600; on Windows an
            access list for the owner, administrators and SYSTEM). False leaves it to the umask.

    Raises:
        NotFoundError: the folder does not exist.
        InvalidInputError: a folder is there, or it is no path that can be.
        AccessDeniedError: this user may not write there.
        NativeError: it cannot be written for another reason, such as a full disk.
    """
    if not path.name:
        raise InvalidInputError(f"{str(path)!r} is a folder, not a file")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = _create(temporary, private=private)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
    except FileNotFoundError:
        raise NotFoundError(f"there is no folder {path.parent}; make it first") from None
    except IsADirectoryError:
        raise InvalidInputError(f"{path} is a folder, not a file") from None
    except PermissionError:
        raise AccessDeniedError(f"this user may not write {path}", right="write") from None
    except (OSError, ValueError) as error:
        raise _unnamed("write", path, error) from None
    _sync_folder(path.parent)


def _unnamed(function: str, path: Path, error: OSError | ValueError) -> MlssslError:
    """The error for what went wrong with a path in a way that has no branch of its own."""
    if isinstance(error, MlssslError):
        return error
    if not isinstance(error, OSError) or error.errno in (errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL):
        # ValueError: a NUL in the path. Windows answers EINVAL for characters that no path may have.
        return InvalidInputError(f"{str(path)!r} cannot be the path of a file: {error}")
    if error.errno == errno.ENOTDIR:
        return NotFoundError(f"there is no {path}: a file stands where a folder should")
    if error.errno == errno.EROFS:
        return AccessDeniedError(f"{path} is on a read-only file system", right="write")
    name = errno.errorcode.get(error.errno or 0, "")
    return NativeError(function, error.errno or 0, name, f"{path}: {error.strerror or error}")


def make_private_file(path: Path) -> None:
    """Make an empty file that only its owner may read, in the way `write` does, unless something is there.

    Raises:
        OSError: it cannot be made.
    """
    with contextlib.suppress(FileExistsError):
        os.close(_create(path, private=True))


def private_folder(path: Path, *, administrators: bool = False) -> Path:
    """Make a folder that only its owner may enter (0700), with its parents, unless it is there; return it.

    On Windows an access list says so: for the owner, administrators and SYSTEM, handed down to what is made inside.

    Args:
        path: Where.
        administrators: On Windows for administrators and SYSTEM only, and a folder that was there before is taken
            only if it belongs to them or to this user; its access list is set again. Elsewhere it changes nothing.

    Raises:
        AccessDeniedError: this user may not make it; or `administrators`, and it belongs to somebody else.
        InvalidInputError: something that is not a folder is there, or it is no path that can be.
        NativeError: it cannot be made for another reason.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _make_folder(path, administrators=administrators)
        except FileExistsError:
            if administrators and path.is_dir():
                _claim_folder(path)
    except AccessDeniedError:
        raise
    except PermissionError:
        raise AccessDeniedError(f"this user may not make the folder {path}", right="write") from None
    except (FileExistsError, NotADirectoryError):
        raise InvalidInputError(f"{path} cannot be made: a file is in its way") from None
    except (OSError, ValueError) as error:
        raise _unnamed("mkdir", path, error) from None
    if not path.is_dir():
        raise InvalidInputError(f"{path} is not a folder")
    return path


def user_data_folder() -> Path:
    """Where this platform keeps a user's application data (not made here)."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    # XDG Base Directory Specification: relative paths are to be ignored.
    configured = Path(os.environ.get("XDG_DATA_HOME") or "")
    return configured if configured.is_absolute() else Path.home() / ".local" / "share"


@contextlib.contextmanager
def lock(path: Path, *, timeout: float) -> Iterator[None]:
    """Hold an exclusive lock on the file `path` (made if missing, never removed) across processes and threads.

    The system drops it when the holder dies. The holder's process id is in the file, for the message.

    Raises:
        TimeoutError: somebody else held it for `timeout` seconds; the message names the process.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
    except PermissionError:
        raise AccessDeniedError(f"this user may not lock {path}", right="write") from None
    try:
        deadline = time.monotonic() + timeout
        while not _try_lock(descriptor):
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
        return str(json.loads(path.read_bytes())["pid"])
    except (OSError, ValueError, KeyError, TypeError):
        return "unknown"


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        os.lseek(descriptor, 0, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _write_holder(descriptor: int) -> None:
        """Nothing: the locked byte range cannot be read by others here, so it would help nobody."""

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

    def _create(path: Path, *, private: bool) -> int:
        if private:
            from mlsssl import _files_windows

            return _files_windows.create_private(path)
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_BINARY, 0o666)

    def _make_folder(path: Path, *, administrators: bool) -> None:
        from mlsssl import _files_windows as windows

        windows.make_private_folder(path, windows.ADMINISTRATORS_FOLDER if administrators else windows.PRIVATE_FOLDER)

    def _claim_folder(path: Path) -> None:
        from mlsssl import _files_windows

        _files_windows.claim_folder(path)

    def program_data_folder() -> Path:
        """Where this Windows keeps the application data of all users (not made here)."""
        from mlsssl import _files_windows

        return _files_windows.program_data()

    def _sync_folder(path: Path) -> None:
        """Windows has no such call; the rename is journalled by NTFS."""

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _write_holder(descriptor: int) -> None:
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

    def _claim_folder(path: Path) -> None:
        """Nothing: who is root here may enter every folder anyway."""

    def _sync_folder(path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
