"""What this user may not do on Windows, as the file layer says it: seen anywhere, for only the numbers are Windows'."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

import pytest

from mlsssl import AccessDeniedError, InvalidInputError
from mlsssl._machine import file_rights, files, private_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def answering(code: int) -> Callable[..., int]:
    """A call that fails as on Windows: Python has no errno for these codes, so it says EINVAL."""

    def fail(*_: object, **__: object) -> int:
        error = OSError(errno.EINVAL, "as Windows words it")
        error.winerror = code  # type: ignore[attr-defined,unused-ignore]  # set by Python itself on Windows only
        raise error

    return fail


@pytest.mark.parametrize("code", [740, 1300, 1307, 1314])
def test_a_missing_privilege_is_a_missing_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """1307 is what a user who is no administrator is answered who makes a folder for the administrators."""
    monkeypatch.setattr(file_rights, "make_folder", answering(code))
    monkeypatch.setattr(file_rights, "create", answering(code))
    asked: list[Callable[[], object]] = [
        lambda: private_files.private_folder(tmp_path / "state", administrators=True),
        lambda: files.write(tmp_path / "note.json", b"{}", private=True),
    ]
    for ask in asked:
        with pytest.raises(AccessDeniedError, match="Run as administrator") as caught:
            ask()
        assert caught.value.right == "administrator"
        assert str(tmp_path) in str(caught.value)


def test_a_name_that_windows_refuses_is_still_a_wrong_argument(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """123, ERROR_INVALID_NAME, is EINVAL too."""
    monkeypatch.setattr(file_rights, "create", answering(123))
    with pytest.raises(InvalidInputError, match="cannot be the path"):
        files.write(tmp_path / "a", b"", private=True)
