"""Files: private ones are looked at before they are believed or written, and every failure is an error of ours."""

from __future__ import annotations

import errno
import io
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlsssl import Certificate, CertificateAuthority
from mlsssl._machine import files, private_files
from mlsssl._machine.files import path_of, write
from mlsssl._machine.private_files import append_private, check_private, lock, private_folder, read_private
from mlsssl.errors import (
    AccessDeniedError,
    InvalidInputError,
    MlssslError,
    NativeError,
    NotFoundError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes, pipes and flock")


def held(path: Path) -> bytes:
    """`lock`, as the other three: something that takes a path."""
    with lock(path, timeout=0.1):
        return b""


def appended(path: Path) -> bytes:
    append_private(path, b"line\n")
    return b""


def checked(path: Path) -> bytes:
    check_private(path)
    return b""


USES = pytest.mark.parametrize("use", [read_private, appended, held, checked])


@USES
def test_a_private_file_of_ours_is_taken(tmp_path: Path, use: Callable[[Path], bytes]) -> None:
    """As `write` makes it, and as `append_private` and `lock` do."""
    path = tmp_path / "file"
    write(path, b"content", private=True)
    use(path)
    appended(tmp_path / "new")
    use(tmp_path / "new")
    held(tmp_path / "lock")
    use(tmp_path / "lock")


def test_a_line_that_a_full_disk_has_cut_short_spoils_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was told as an error; the next line begins on a line of its own."""
    path = tmp_path / "log"
    appended(path)
    whole = os.write
    with monkeypatch.context() as patch:
        patch.setattr("mlsssl._machine.private_files.os.write", lambda descriptor, data: whole(descriptor, data[:2]))
        with pytest.raises(NativeError, match="ENOSPC"):
            appended(path)
    append_private(path, b"")  # nothing to add, nothing added
    assert path.read_bytes() == b"line\nli"
    appended(path)
    appended(path)
    assert path.read_bytes() == b"line\nli\nline\nline\n"


@posix
@USES
def test_a_link_is_not_followed(tmp_path: Path, use: Callable[[Path], bytes]) -> None:
    """Wherever it leads, and also when it leads nowhere; what it leads to stays as it is."""
    target = tmp_path / "target"
    write(target, b"content", private=True)
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "dangling").symlink_to(tmp_path / "nothing")
    for name in ("link", "dangling"):
        with pytest.raises(AccessDeniedError, match=f"{name} is a link") as caught:
            use(tmp_path / name)
        assert caught.value.right == "owner"
    assert target.read_bytes() == b"content"
    assert not (tmp_path / "nothing").exists()


@USES
def test_a_file_with_two_names_is_refused(tmp_path: Path, use: Callable[[Path], bytes]) -> None:
    """It may be changed, or be read by others, under the other one."""
    path = tmp_path / "file"
    write(path, b"content", private=True)
    os.link(path, tmp_path / "other")
    with pytest.raises(AccessDeniedError, match="has 2 names"):
        use(path)
    assert path.read_bytes() == b"content"
    (tmp_path / "other").unlink()
    use(path)


@posix
@USES
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666, 0o660])
def test_a_file_that_others_may_write_is_refused(tmp_path: Path, use: Callable[[Path], bytes], mode: int) -> None:
    """The message says how to close it; that others may read it is their owner's decision."""
    path = tmp_path / "file"
    write(path, b"content", private=True)
    path.chmod(mode)
    with pytest.raises(AccessDeniedError, match="chmod 600") as caught:
        use(path)
    assert caught.value.right == "private file"
    assert path.read_bytes() == b"content"
    path.chmod(0o644)
    use(path)


@posix
@USES
def test_what_is_no_ordinary_file_is_refused_at_once(tmp_path: Path, use: Callable[[Path], bytes]) -> None:
    """A pipe that nobody writes to would hold up who reads it for ever."""
    if sys.platform == "win32":  # pragma: no cover - for the type checker
        raise AssertionError
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    with pytest.raises(InvalidInputError, match="no ordinary file"):
        use(pipe)
    with pytest.raises(InvalidInputError, match="is a folder"):
        use(tmp_path)


@pytest.mark.parametrize("use", [appended, held])
def test_a_folder_that_is_missing_is_not_found(tmp_path: Path, use: Callable[[Path], bytes]) -> None:
    """Named, with what to do; and a path that cannot be is an argument's mistake."""
    with pytest.raises(NotFoundError, match="make it first"):
        use(tmp_path / "nowhere" / "file")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(MlssslError):
        use(tmp_path / "file" / "below")
    with pytest.raises(MlssslError):
        use(tmp_path / ("n" * 300))


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"])
def test_a_path_that_no_file_can_have_is_refused(text: str, tmp_path: Path) -> None:
    """NUL everywhere; half a character where the system's names are UTF-8."""
    if sys.platform == "win32" and "\0" not in text:
        pytest.skip("Windows' names may hold half a character")
    with pytest.raises(InvalidInputError, match="cannot be the path of a file"):
        path_of(text)
    with pytest.raises(InvalidInputError, match="cannot be the path of a file"):
        Certificate.load(tmp_path / text)
    with pytest.raises(InvalidInputError, match="cannot be the path of a file"):
        write(tmp_path / text, b"", private=True)
    assert path_of("a\udc80b") == Path("a\udc80b")  # how Python spells a name that is no UTF-8


@posix
def test_the_lock_says_at_once_that_a_file_system_has_no_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """NFS without its daemon, some FUSE and shared folders: nobody holds the lock, so waiting helps nobody."""
    if sys.platform == "win32":  # pragma: no cover - for the type checker
        raise AssertionError
    import fcntl

    for code in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL):

        def refuse(_descriptor: int, operation: int, code: int = code) -> None:
            if operation & fcntl.LOCK_EX:
                raise OSError(code, os.strerror(code))

        monkeypatch.setattr(fcntl, "flock", refuse)
        start = time.monotonic()
        with (
            pytest.raises(UnsupportedError, match=f"{errno.errorcode[code]}.* local disk"),
            lock(tmp_path / "lock", timeout=30),
        ):
            pass
        assert time.monotonic() - start < 5


def test_a_lock_that_somebody_holds_is_waited_for(tmp_path: Path) -> None:
    """The twin: held by ourselves, in another way in."""
    with (
        lock(tmp_path / "lock", timeout=1),
        pytest.raises(TimeoutError, match="locked by process"),
        lock(tmp_path / "lock", timeout=0.1),
    ):
        pass
    with lock(tmp_path / "lock", timeout=1):
        pass


@posix
def test_a_full_disk_is_no_reason_not_to_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The holder's number in the file is for a message only; a file that cannot be made is an error of ours."""

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with lock(tmp_path / "lock", timeout=1):
        pass
    monkeypatch.setattr(os, "open", full)
    with pytest.raises(NativeError, match="ENOSPC"), lock(tmp_path / "new", timeout=1):
        pass


@posix
def test_a_line_that_the_disk_takes_half_of_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`os.write` says how much it wrote, and raises nothing."""
    real = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:2]))
    with pytest.raises(NativeError, match="ENOSPC"):
        append_private(tmp_path / "log", b"line\n")


@posix
def test_a_save_into_a_folder_that_cannot_be_synced_succeeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A drop box that may be written and not read; a file system that syncs no folders. A failing disk is told."""
    certificate = CertificateAuthority.create("R", key="ec-p256").certificate
    real_open, real_sync = os.open, os.fsync
    answers = [errno.EACCES]

    def closed(path: str | Path, flags: int, mode: int = 0o777) -> int:
        if Path(path) == tmp_path:
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        return real_open(path, flags, mode)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", closed)
        assert Certificate.load(certificate.save(tmp_path / "a.cer")) == certificate

    def refuse(descriptor: int) -> None:
        if os.path.samestat(os.fstat(descriptor), tmp_path.stat()):
            raise OSError(answers[-1], os.strerror(answers[-1]))
        real_sync(descriptor)

    monkeypatch.setattr(os, "fsync", refuse)
    for code in (errno.EINVAL, errno.ENOTSUP):
        answers.append(code)
        assert Certificate.load(certificate.save(tmp_path / "b.cer")) == certificate
    answers.append(errno.EIO)
    with pytest.raises(NativeError, match="may not outlast a loss of power"):
        certificate.save(tmp_path / "c.cer")


@pytest.mark.parametrize("code", [5, 32])
def test_what_a_virus_scanner_holds_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """ERROR_ACCESS_DENIED and ERROR_SHARING_VIOLATION for a moment, from each rename and deletion of ours."""
    attempts: list[str] = []

    class HeldError(PermissionError):
        """As Windows raises it."""

        winerror = code

    def holding(real: Callable[..., object], *, times: int) -> Callable[..., object]:
        def action(path: str | Path, *args: object, **kwargs: object) -> object:
            attempts.append(Path(path).name)
            if len(attempts) <= times:
                raise HeldError(errno.EACCES, "held")
            return real(path, *args, **kwargs)

        return action

    uses: list[tuple[str, Callable[[], None]]] = [
        ("replace", lambda: write(tmp_path / "a", b"new", private=True)),
        ("replace", lambda: files.replace(tmp_path / "a", tmp_path / "b")),
        ("unlink", lambda: files.remove(tmp_path / "b")),
    ]
    for name, use in uses:
        attempts.clear()
        with monkeypatch.context() as patched:
            patched.setattr(os, name, holding(getattr(os, name), times=3))
            use()
        assert len(attempts) == 4
    assert list(tmp_path.iterdir()) == []

    # For good: an error of ours, in bounded time, and nothing is left over.
    monkeypatch.setattr(files, "_PATIENCE", 0.1)
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", holding(os.replace, times=10_000))
        with pytest.raises(AccessDeniedError, match="may not write"):
            write(tmp_path / "a", b"new", private=True)
    assert list(tmp_path.iterdir()) == []


def test_an_error_that_does_not_pass_is_not_tried_again(tmp_path: Path) -> None:
    """A folder in the file's place, which Windows also calls ACCESS_DENIED."""
    (tmp_path / "folder").mkdir()
    start = time.monotonic()
    with pytest.raises(InvalidInputError, match="is a folder"):
        write(tmp_path / "folder", b"", private=True)
    assert time.monotonic() - start < files._PATIENCE / 2
    with pytest.raises(NotFoundError):
        files.replace(tmp_path / "nothing", tmp_path / "b")
    files.remove(tmp_path / "nothing")


@posix
def test_a_user_without_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's user without an entry in the system's list; XDG_DATA_HOME or MLSSSL_MACHINE do without."""
    import pwd

    def unknown(number: int) -> None:
        raise KeyError(number)

    for variable in ("HOME", "XDG_DATA_HOME", "MLSSSL_MACHINE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(NotFoundError, match="set HOME"):
        files.user_data_folder()
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert files.user_data_folder() == Path("/data")


@posix
def test_a_relative_path_without_working_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder was removed under the process."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(NotFoundError, match="working folder is gone"):
        files.absolute("file")
    assert files.absolute(tmp_path) == tmp_path


@posix
def test_a_path_is_resolved_to_the_file_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links to files and folders, relative and absolute ones, and `..` behind a link; what is not there yet stays."""
    real = tmp_path / "real"
    (real / "inner").mkdir(parents=True)
    (real / "file").write_bytes(b"")
    (tmp_path / "folder").symlink_to("real/inner")
    (tmp_path / "file").symlink_to(real / "file")
    (tmp_path / "again").symlink_to("file")
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.chdir(tmp_path)
    for given in ("real/file", "file", "again", "folder/../file", tmp_path / "folder" / ".." / "file", real / "file"):
        assert private_files.resolved(given) == real / "file", given
    assert private_files.resolved("folder/new/er") == real / "inner" / "new" / "er"
    with pytest.raises(InvalidInputError, match="circle"):
        private_files.resolved("loop/file")


@posix
def test_a_private_folder_that_was_there_is_looked_at(tmp_path: Path) -> None:
    """A link, a file, and one in which others may write are refused; others' looking in is let be."""
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(0o755)
    assert private_folder(folder) == folder
    for mode in (0o777, 0o770, 0o1777):
        folder.chmod(mode)
        with pytest.raises(AccessDeniedError, match="chmod 700"):
            private_folder(folder)
    folder.chmod(0o700)
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(AccessDeniedError, match="is a link"):
        private_folder(tmp_path / "link")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InvalidInputError, match="not a folder"):
        private_folder(tmp_path / "file")


def test_a_folder_that_cannot_be_listed_is_an_error_of_ours(tmp_path: Path) -> None:
    """Missing, a file, or a name too long."""
    (tmp_path / "b").write_bytes(b"")
    (tmp_path / "a").mkdir()
    assert files.entries(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    with pytest.raises(NotFoundError):
        files.entries(tmp_path / "nothing")
    with pytest.raises((InvalidInputError, NotFoundError)):
        files.entries(tmp_path / "b")
    assert not files.is_folder(tmp_path / ("n" * 300))
    assert not files.is_file(tmp_path / ("n" * 300))


class _InDrops(io.BytesIO):
    """A file of which a read gives less than is asked for and there, as one without a buffer may."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(3, size if size is not None and size >= 0 else 3))


def test_a_file_is_read_whole_however_little_a_read_gives() -> None:
    """Up to the limit; one octet more is too many."""
    data = bytes(range(100))
    assert files.read_limited(Path("f"), _InDrops(data).read, 100) == data
    with pytest.raises(InvalidInputError, match="larger than 99"):
        files.read_limited(Path("f"), _InDrops(data).read, 99)
