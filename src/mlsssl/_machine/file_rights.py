"""Who may read, change and own a file: by modes and user ids, on Windows by access lists (`file_rights_windows`)."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from mlsssl._machine.file_rights_windows import *  # noqa: F403 -- the same functions
else:
    import errno
    import os
    import stat
    from typing import TYPE_CHECKING

    from mlsssl._messages.foreign_text import shown
    from mlsssl.errors import AccessDeniedError, InvalidInputError, NativeError

    if TYPE_CHECKING:
        from pathlib import Path

    def create(path: str | Path, *, private: bool) -> int:
        """Make a new file (0600 when private, else as the umask says); a descriptor open for writing."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return os.open(path, flags, 0o600 if private else 0o666)

    def open_private(path: Path, flags: int) -> int:
        """Open a file without following a link in its place; made with 0600 when missing and `flags` say so."""
        # O_NONBLOCK: a pipe that nobody reads must not hold us up.
        return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)

    def make_folder(path: Path, *, administrators: bool) -> None:
        """Make a folder with 0700; `administrators` changes nothing."""
        path.mkdir(0o700)
        path.chmod(0o700)  # mkdir's mode is cut by the umask, which may cut the owner's own bits

    def close_folder(path: Path, *, administrators: bool) -> None:
        """Nothing: that nobody else may write in it was looked at, and names alone are no secret."""

    def owner_of(path: Path, status: os.stat_result) -> str:
        """The user id of a file's owner, from what `os.lstat` saw."""
        return str(status.st_uid)

    def owner_of_open(descriptor: int, status: os.stat_result) -> str:
        """The user id of an open file's owner, from what `os.fstat` saw."""
        return str(status.st_uid)

    def is_ours(account: str) -> bool:
        """Whether it is this user's or root's."""
        return int(account) in (0, os.geteuid())

    def this_account() -> str:
        """This user in words."""
        return account_name(str(os.geteuid()))

    def account_name(account: str) -> str:
        """An account as people know it, with its number."""
        import pwd

        try:
            return f"{pwd.getpwuid(int(account)).pw_name} (uid {account})"
        except (KeyError, OverflowError):
            return f"uid {account}"

    def let_read(path: Path, account: str) -> None:
        """Give a private file to an account (a user's name or id), which alone may read it then; root alone can.

        `InvalidInputError` when there is no such account, `AccessDeniedError` when this user may not.
        """
        import pwd

        try:
            number = int(account) if account.isascii() and account.isdecimal() else pwd.getpwnam(account).pw_uid
            if number != path.stat().st_uid:
                os.chown(path, number, -1)
        except (KeyError, OverflowError, ValueError):
            raise InvalidInputError(f"there is no account {shown(account)} on this computer") from None
        except PermissionError:
            raise AccessDeniedError(
                f"only root may give a file to {shown(account)}: run this as root, or as {shown(account)} itself",
                right="owner",
            ) from None

    def why_not_private(status: os.stat_result, *, secret: bool) -> str | None:
        """Who else may do what by the mode of a file or folder; None when nobody may."""
        if status.st_mode & stat.S_IWOTH:
            return "every account may change it"
        if status.st_mode & stat.S_IWGRP:
            return f"the members of its group ({_group_name(status.st_gid)}) may change it"
        if secret and status.st_mode & stat.S_IRWXO:
            return "every account may read it, although it holds private keys"
        return None

    def _group_name(number: int) -> str:
        import grp

        try:
            return f"{grp.getgrgid(number).gr_name}, gid {number}"
        except (KeyError, OverflowError):
            return f"gid {number}"

    def is_link(status: os.stat_result) -> bool:
        """Whether `os.lstat` saw a link."""
        return stat.S_ISLNK(status.st_mode)

    def others_may_add_beside(path: Path) -> bool:
        """Whether another account may make entries in the folder of a file of this user's."""
        folder, us = os.stat(path.parent), os.geteuid()  # noqa: PTH116 -- half of what Path.stat takes
        exposed = folder.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or folder.st_uid not in (0, us)
        return bool(exposed) and path.stat().st_uid == us

    def share_as(path: Path, other: Path) -> None:
        """Nothing: SQLite itself gives what it makes the mode of its database."""

    def sync_folder(path: str | Path) -> None:
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
