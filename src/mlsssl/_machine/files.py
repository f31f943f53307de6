"""Files and paths of the user's: read, written whole or not at all, with what the system says in our words."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import time
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from mlsssl._machine.user_folder import user_folder
from mlsssl._messages.foreign_text import shown, system_reason
from mlsssl.errors import (
    WINDOWS_ACCESS_DENIED,
    AccessDeniedError,
    InvalidInputError,
    MalformedDataError,
    MlssslError,
    NativeError,
    NotFoundError,
    UnreadableCertificateError,
    WrongPasswordError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

R = TypeVar("R")

_PATIENCE = 2.0
"""Seconds to try a rename, a deletion or a look again on Windows, where a virus scanner may hold a new file."""

_FIRST_PIECE, _PIECE = 4 * 1024, 64 * 1024  # most files fit into the first

_SCANNED = (5, 32)
"""What Windows then answers: ERROR_ACCESS_DENIED, ERROR_SHARING_VIOLATION."""


def path_of(given: str | os.PathLike[str]) -> Path:
    """What a caller gave as a path; `InvalidInputError` when it is none, or one that no file can have."""
    try:
        path = given if isinstance(given, Path) else Path(given)
    except TypeError:
        raise InvalidInputError(f"the path of a file is needed, not {type(given).__name__}") from None
    text = str(path)
    # The text of a key, say: the system's own error, and what we say of a file that was made, would show it.
    if "\r" in text or "\n" in text or "-----BEGIN " in text:
        raise InvalidInputError(
            f"{shown(path)} cannot be the path of a file: it is the text of one (a line break, or PEM)"
        )
    if len(text) > 255 and (any(len(part) > 255 for part in path.parts) or (os.name != "nt" and len(text) > 4095)):
        raise InvalidInputError(f"{text!r} cannot be the path of a file: it is too long")
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        raise InvalidInputError(f"{text!r} cannot be the path of a file: it holds half a character") from None
    if "\0" in text:
        raise InvalidInputError(f"{text!r} cannot be the path of a file: it holds a NUL character")
    return path


@lru_cache(maxsize=64)  # a change names each of its few files several times
def inside(folder: Path, name: str) -> Path:
    """The file of this name in a folder of this library's own."""
    return folder / name


def absolute(given: str | os.PathLike[str]) -> Path:
    """`path_of`, independent of the working folder; `NotFoundError` when it is relative and that folder is gone."""
    path = path_of(given)
    try:
        return path.absolute()
    except OSError:
        raise NotFoundError(f"{path} is relative, and the working folder is gone; give a whole path") from None


def is_folder(path: str | Path) -> bool:
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
    with translated("scandir", folder, right="read"):
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
    with translated("open", path, right="read"), path.open("rb") as file:
        return read_limited(path, file.read, limit)


@contextlib.contextmanager
def naming(*paths: str | Path | None) -> Iterator[None]:
    """Begin an error about bytes with the files that they came from; None for what came from no file.

    A class of this package's own below the public ones becomes its public one.
    """
    names = " with ".join(str(path) for path in paths if path is not None)
    try:
        yield
    except (MalformedDataError, NotFoundError) as error:
        kinds = (WrongPasswordError, UnreadableCertificateError, MalformedDataError)
        kind: type[MlssslError] | None = next((kind for kind in kinds if isinstance(error, kind)), None)
        if kind is None and type(error) is NotFoundError:  # nothing has this alias; not a store that is not there
            kind = NotFoundError
        if kind is None or not names:
            raise
        raise kind(f"{names}: {error}") from None


def read_found(path: Path) -> bytes:
    """The bytes of a file that was found in a folder, where a pipe or a device would hold us up; errors as `read`."""
    if exists(path) and not is_file(path):
        raise InvalidInputError(f"{path} is no ordinary file")
    return read(path)


def write(
    path: Path, data: bytes | Iterable[bytes], *, private: bool, reader: str | None = None, entry_lasts: bool = True
) -> None:
    """Put `data` at `path`, whole or not at all: a new file beside it, flushed to disk, then renamed over it.

    Args:
        path: Where; its folder must exist. A symbolic link is replaced, not followed.
        data: All of it, or its pieces in order; what their source raises goes on, and nothing is written.
        private: True makes the file readable by its owner only, from the moment it exists (0600; on Windows an
            access list for the user, administrators and SYSTEM). False leaves it to the umask.
        reader: An account that may read the file besides; where modes say who may, it becomes the file's owner.
        entry_lasts: Whether the folder's entry is flushed to disk too. Without it a loss of power may bring the former
            file back, whole, unless something else is written to the same folder so that it lasts.

    Raises:
        NotFoundError: the folder does not exist.
        InvalidInputError: a folder is there, it is no path that can be, or there is no account `reader`.
        AccessDeniedError: this user may not write there, or may not give the file to `reader`.
        NativeError: it cannot be written for another reason, such as a full disk; or it is written, and the disk
            failed to make the folder's entry last.
    """
    name = path_of(path).name
    if not name:
        raise InvalidInputError(f"{str(path)!r} is a folder, not a file")
    from mlsssl._machine import file_rights  # not free to import, and reading does without

    # As text: each `Path` that is made or changed takes as long as a call of the system.
    target = str(path)
    folder = target[: -len(name)]
    temporary = f"{folder}.{name}.{os.urandom(8).hex()}"
    with translated("write", path, right="write"):
        descriptor = file_rights.create(temporary, private=private)
        try:
            try:
                if isinstance(data, bytes):  # all at once: nothing to buffer
                    _write_all(descriptor, data)
                else:
                    with os.fdopen(descriptor, "wb", closefd=False) as file:
                        file.writelines(data)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if reader is not None:
                file_rights.let_read(Path(temporary), reader)
            _replace(temporary, target)
        except BaseException:
            with contextlib.suppress(OSError):
                patiently(lambda: os.unlink(temporary))  # noqa: PTH108 -- as above
            raise
    if entry_lasts:
        file_rights.sync_folder(folder or os.curdir)


def _write_all(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data)
    while written < len(data):  # a disk that is nearly full takes a part, and refuses the rest
        data = data[written:]
        written = os.write(descriptor, data)


def replace(source: Path, target: Path) -> None:
    """Rename a file over another one of the same folder; errors as `write`."""
    with translated("rename", target, right="write"):
        _replace(str(source), str(target))


def remove(path: Path) -> None:
    """Delete a file; nothing when it is not there; errors as `write`."""
    with translated("unlink", path, right="write"), contextlib.suppress(FileNotFoundError):
        patiently(lambda: os.unlink(path))  # noqa: PTH108 -- as `_replace`, for tests that count both


def _replace(source: str, target: str) -> None:
    if sys.platform == "win32" and is_folder(target):  # which says ACCESS_DENIED here too, and it would be tried again
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), target)
    patiently(lambda: os.replace(source, target))  # noqa: PTH105 -- `Path.replace` makes one more `Path`


def patiently(action: Callable[[], R]) -> R:
    """Do it, and again for a while where Windows says that somebody has the file open, or is deleting it, just now."""
    deadline: float | None = None
    while True:
        try:
            return action()
        except OSError as error:
            if getattr(error, "winerror", None) not in _SCANNED:
                raise
            now = time.monotonic()
            deadline = now + _PATIENCE if deadline is None else deadline
            if now >= deadline:
                raise
        time.sleep(0.02)


def read_limited(path: Path, read: Callable[[int], bytes], limit: int) -> bytes:
    """All that `read` gives of a file, unless it is more than `limit` bytes."""
    # In pieces: to read so many bytes at once takes the memory for all of them first, however small the file is. Until
    # one is empty: without a buffer a read may give less than is there.
    pieces, left, size = [], limit + 1, _FIRST_PIECE
    while left and (piece := read(min(size, left))):
        pieces.append(piece)
        left -= len(piece)
        size = _PIECE
    if not left:
        raise InvalidInputError(f"{path} is larger than {limit} bytes; no certificate file is")
    return b"".join(pieces)


class translated:  # noqa: N801 -- used as a function; as a generator it would take as long as what it is around
    """What the system says to a use of a path, in our words."""

    __slots__ = ("_function", "_path", "_right")

    def __init__(self, function: str, path: Path, *, right: Literal["read", "write"]) -> None:
        self._function = function
        self._path = path
        self._right = right

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, (OSError, ValueError)) and not isinstance(error, MlssslError):
            raise self._in_our_words(error) from None

    def _in_our_words(self, error: OSError | ValueError) -> MlssslError:
        function, path, right = self._function, self._path, self._right
        if isinstance(error, FileNotFoundError):
            if right == "read":
                return NotFoundError(f"there is no file {path}{_thumbprint_hint(path)}")
            return NotFoundError(f"there is no folder {path.parent}; make it first")
        # What Windows answers for a folder is the second.
        is_refused = isinstance(error, PermissionError)
        if isinstance(error, IsADirectoryError) or (is_refused and function in ("open", "write") and is_folder(path)):
            return InvalidInputError(f"{path} is a folder, not a file")
        if isinstance(error, PermissionError):
            return AccessDeniedError(f"this user may not {right} {path}", right=right)
        return unnamed(function, path, error)


def unnamed(function: str, path: Path, error: OSError | ValueError) -> MlssslError:
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
        hint = _thumbprint_hint(path)  # on Windows none has colons
        return InvalidInputError(f"{str(path)!r} cannot be the path of a file: {system_reason(error)}{hint}")
    if error.errno == errno.ENOTDIR:
        return NotFoundError(f"there is no {path}: a file stands where a folder should")
    if error.errno == errno.EROFS:
        return AccessDeniedError(f"{path} is on a read-only file system", right="write")
    name = errno.errorcode.get(error.errno or 0, "")
    return NativeError(function, error.errno or 0, name, f"{path}: {system_reason(error)}")


def _thumbprint_hint(path: Path) -> str:
    from mlsssl.values import thumbprint_hint  # for messages only

    return thumbprint_hint(path.name)


def user_data_folder() -> Path:
    """Where this platform keeps a user's application data (not made here).

    Raises:
        NotFoundError: the environment names none, and this user has no home folder.
    """
    folder = user_folder()
    if folder is None:
        variable = "LOCALAPPDATA" if sys.platform == "win32" else "HOME"
        raise NotFoundError(
            f"this user has no home folder, so there is no default place for a machine's file: set {variable}, or say "
            "where the file is (MLSSSL_MACHINE, EmbeddedMachine(path))"
        )
    return Path(folder)


def issuer_folder(issuer: str) -> Path:
    """Where what an issuer of this kind has to remember is kept, unless the caller says where; not made here."""
    return user_data_folder() / "mlsssl" / issuer
