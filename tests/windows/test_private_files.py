"""On Windows, private files and folders are private from the moment they exist.

Access lists are read back as Windows tells them. Wine keeps them as Unix permissions: owner, group and everybody, so
there these tests see only that everybody is out; the list itself, entry by entry, takes a real Windows.
"""

from __future__ import annotations

import ctypes
import sys
from typing import TYPE_CHECKING

import pytest

from mlsssl._machine import file_rights, files, private_files
from mlsssl.errors import AccessDeniedError, InvalidInputError, NotFoundError
from windows.wine_limits import under_wine

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

pytestmark = pytest.mark.skipif(
    sys.platform != "win32", reason="access lists are Windows'; modes have tests of their own"
)

EVERYBODY = ("WD", "BU", "AU")  # everyone, the users' group, whoever logged on


def access_list(path: Path) -> str:
    """The access list as SDDL text."""
    if sys.platform != "win32":  # pragma: no cover - for the type checker
        raise AssertionError
    advapi32 = ctypes.WinDLL("advapi32")
    descriptor, text = ctypes.c_void_p(), ctypes.c_void_p()
    assert not advapi32.GetNamedSecurityInfoW(str(path), 1, 4, None, None, None, None, ctypes.byref(descriptor))
    assert advapi32.ConvertSecurityDescriptorToStringSecurityDescriptorW(descriptor, 1, 4, ctypes.byref(text), None)
    return ctypes.wstring_at(text.value or 0)


def open_to_others(path: Path) -> bool:
    """Whether anybody but owner, administrators and SYSTEM is let in."""
    return any(f";;;{who})" in access_list(path) for who in EVERYBODY)


def test_a_private_file_is_closed_to_others(tmp_path: Path) -> None:
    """The failing twin is the file beside it, which takes what an open folder hands down."""
    if sys.platform != "win32":  # pragma: no cover - for the type checker
        raise AssertionError
    from mlsssl._machine import file_rights_windows

    folder = tmp_path / "open"
    file_rights_windows.make_listed_folder(folder, "D:(A;OICI;FA;;;WD)")
    private, public = folder / "private", folder / "public"
    files.write(private, b"key", private=True)
    files.write(public, b"certificate", private=False)
    assert private.read_bytes() == b"key"
    assert not open_to_others(private)
    assert open_to_others(public)


@pytest.mark.parametrize("account", ["NETWORK SERVICE", "nt authority\\network service", "S-1-5-20"])
def test_a_reader_of_a_private_file_is_added_to_its_list(
    tmp_path: Path, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a name in any case or the SID; to read, and nobody else with it."""
    if sys.platform != "win32":  # pragma: no cover - for the type checker
        raise AssertionError
    from mlsssl._machine import file_rights_windows

    asked: list[str] = []
    descriptor = file_rights_windows._descriptor

    def noted(sddl: str) -> AbstractContextManager[object]:
        asked.append(sddl)
        return descriptor(sddl)

    path = tmp_path / "service.pfx"
    files.write(path, b"x", private=True)
    before = access_list(path)
    monkeypatch.setattr(file_rights_windows, "_descriptor", noted)
    files.write(path, b"y", private=True, reader=account)
    assert path.read_bytes() == b"y"
    assert asked[-1] == f"{file_rights_windows.private_file_list()}(A;;FR;;;S-1-5-20)"
    if not under_wine():  # which keeps of a list what a Unix mode can say
        after = access_list(path)
        assert "(A;;FR;;;NS)" in after
        assert after.replace("(A;;FR;;;NS)", "") == before


def test_a_reader_that_is_no_account_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """And nothing beside it."""
    path = tmp_path / "service.pfx"
    files.write(path, b"x", private=True)
    with pytest.raises(InvalidInputError, match="there is no account"):
        files.write(path, b"y", private=True, reader="no such account")
    assert (path.read_bytes(), len([*tmp_path.iterdir()])) == (b"x", 1)


def test_a_private_file_replaces_an_open_one(tmp_path: Path) -> None:
    """The new file's access list counts, not the one it replaces."""
    path = tmp_path / "file"
    files.write(path, b"old", private=False)
    files.write(path, b"new", private=True)
    assert path.read_bytes() == b"new"
    assert not open_to_others(path)
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("administrators", [False, True])
def test_a_private_folder_is_closed_to_others(tmp_path: Path, administrators: bool) -> None:
    """So it is made, and so it is found again."""
    folder = tmp_path / "folder"
    for _ in range(2):
        assert private_files.private_folder(folder, administrators=administrators) == folder
        assert not open_to_others(folder)
    (folder / "file").write_bytes(b"we may write")


def test_a_folder_that_was_open_is_closed_for_administrators(tmp_path: Path) -> None:
    """Ours but open: its access list is set again."""
    folder = tmp_path / "folder"
    folder.mkdir()
    private_files.private_folder(folder, administrators=True)
    assert not open_to_others(folder)


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody may make folders in %ProgramData%; what its owner may reach is not private."""
    if sys.platform != "win32":  # pragma: no cover - for the type checker
        raise AssertionError

    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.setattr(file_rights, "owner_of", lambda *_: "S-1-5-21-1-2-3-1001")
    with pytest.raises(AccessDeniedError, match="S-1-5-21-1-2-3-1001"):
        private_files.private_folder(folder, administrators=True)


def test_what_is_added_to_and_locked_is_closed_to_others(tmp_path: Path) -> None:
    """The audit log and the lock, which are made when first needed, in a folder that hands its openness down."""
    if sys.platform != "win32":  # pragma: no cover - for the type checker
        raise AssertionError
    from mlsssl._machine import file_rights_windows

    folder = tmp_path / "open"
    file_rights_windows.make_listed_folder(folder, "D:(A;OICI;FA;;;WD)")
    for _ in range(2):
        private_files.append_private(folder / "log", b"line\n")
    assert private_files.read_private(folder / "log") == b"line\nline\n"
    with private_files.lock(folder / "lock", timeout=1):
        pass
    assert not open_to_others(folder / "log")
    assert not open_to_others(folder / "lock")


def test_the_audit_log_is_closed_to_others(tmp_path: Path) -> None:
    """As `deploy` writes it."""
    if sys.platform != "win32":  # pragma: no cover - for the type checker
        raise AssertionError
    from mlsssl import CertificateAuthority, EmbeddedMachine, deploy
    from mlsssl._machine import file_rights_windows

    folder = tmp_path / "open"
    file_rights_windows.make_listed_folder(folder, "D:(A;OICI;FA;;;WD)")
    certificate = CertificateAuthority.create("R", key="ec-p256").issue("a.test", key="ec-p256")
    machine = EmbeddedMachine(tmp_path / "m.sqlite")
    deploy("0.0.0.0:443", certificate, machine=machine, verify=False, audit_log=folder / "log.jsonl")
    machine.close()
    assert (folder / "log.jsonl").read_bytes().count(b"\n") == 1
    assert not open_to_others(folder / "log.jsonl")


def test_what_sqlite_makes_beside_a_machine_is_closed_to_others(tmp_path: Path) -> None:
    """The write-ahead log holds the keys before the file does, and would take what the folder hands down."""
    if sys.platform != "win32":  # pragma: no cover - for the type checker
        raise AssertionError
    from mlsssl import EmbeddedMachine
    from mlsssl._machine import file_rights_windows

    folder = tmp_path / "open"
    file_rights_windows.make_listed_folder(folder, "D:(A;OICI;FA;;;WD)")
    machine = EmbeddedMachine(folder / "m.sqlite")
    for name in ("m.sqlite", "m.sqlite-wal", "m.sqlite-shm"):
        assert not open_to_others(folder / name), name
    machine.close()


def test_the_user_is_named_in_the_access_list(tmp_path: Path) -> None:
    """Not only as owner: what is made elevated belongs to the administrators, which the user is not unelevated."""
    if sys.platform != "win32":  # pragma: no cover - for the type checker
        raise AssertionError
    from mlsssl._machine import file_rights_windows

    files.write(tmp_path / "file", b"key", private=True)
    private_files.private_folder(tmp_path / "folder")
    for text in (
        file_rights_windows.private_file_list(),
        file_rights_windows.private_folder_list(),
        access_list(tmp_path / "file"),
        access_list(tmp_path / "folder"),
    ):
        assert f";;;{file_rights_windows.user()})" in text
        assert ";;;OW)" not in text


@pytest.mark.parametrize("owner", ["S-1-5-32-544", "S-1-5-18", "S-1-5-21-1-2-3-1001"])
def test_a_file_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: str) -> None:
    """Read, added to, locked, or left to SQLite; what administrators or SYSTEM made is taken."""
    if sys.platform != "win32":  # pragma: no cover - for the type checker
        raise AssertionError
    from mlsssl import EmbeddedMachine

    EmbeddedMachine(tmp_path / "m.sqlite").close()
    path = tmp_path / "file"
    files.write(path, b"", private=True)

    def lock() -> None:
        with private_files.lock(path, timeout=1):
            pass

    monkeypatch.setattr(file_rights, "owner_of", lambda *_: owner)
    monkeypatch.setattr(file_rights, "owner_of_open", lambda *_: owner)
    for use in (
        lambda: private_files.read_private(path),
        lambda: private_files.append_private(path, b""),
        lambda: private_files.check_private(path),
        lambda: EmbeddedMachine(tmp_path / "m.sqlite").close(),
        lock,
    ):
        if not owner.endswith("-1001"):
            use()
            continue
        with pytest.raises(AccessDeniedError, match=owner) as caught:
            use()
        assert caught.value.right == "owner"


def test_one_file_in_two_spellings_is_one_machine(tmp_path: Path) -> None:
    """Windows compares names without case; the path is the one that the file was made under."""
    from mlsssl import EmbeddedMachine

    machine = EmbeddedMachine(tmp_path / "Machine.sqlite")
    other = EmbeddedMachine(str(tmp_path / "MACHINE.SQLITE").upper())
    assert other.path == machine.path
    assert str(other.path) == str(machine.path)
    assert str(other.state_folder) == str(machine.state_folder)
    machine.close()
    other.close()


def test_a_user_who_may_not_make_the_administrators_owner_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ERROR_INVALID_OWNER, of which Python makes an OSError with EINVAL."""
    if sys.platform != "win32":  # pragma: no cover - for the type checker
        raise AssertionError
    import ctypes

    def refuse(*_: object, **__: object) -> None:
        raise ctypes.WinError(1307)

    monkeypatch.setattr(file_rights, "make_folder", refuse)
    with pytest.raises(AccessDeniedError, match="Run as administrator"):
        private_files.private_folder(tmp_path / "state", administrators=True)


def test_files_in_the_way_and_missing_folders(tmp_path: Path) -> None:
    """The same errors as elsewhere."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InvalidInputError):
        private_files.private_folder(tmp_path / "file")
    with pytest.raises(NotFoundError):
        files.write(tmp_path / "nowhere" / "file", b"", private=True)


def test_program_data_is_asked_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is the caller's to change."""
    if sys.platform != "win32":  # pragma: no cover - for the type checker
        raise AssertionError
    from mlsssl._machine import file_rights_windows

    monkeypatch.setenv("ProgramData", "C:\\elsewhere")
    monkeypatch.setenv("ALLUSERSPROFILE", "C:\\elsewhere")
    folder = file_rights_windows.program_data()
    assert folder.is_absolute()
    assert "elsewhere" not in str(folder)
