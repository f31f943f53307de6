"""Steps for programs that read their certificate from files: a PFX, or PEM files."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from mlsssl._formats.text import password_line
from mlsssl._machine import files
from mlsssl._messages.arguments import check_password, check_type
from mlsssl._messages.foreign_text import shown
from mlsssl.bundles import Server, pem_files
from mlsssl.errors import HookError, InvalidInputError

if TYPE_CHECKING:
    from mlsssl.certificate import Certificate
    from mlsssl.hooks import Replacement

__all__ = ["PemFiles", "PfxFile"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Files:
    """What the two have in common: a password that comes from somewhere, and an account that reads the files."""

    password: str | None = field(default=None, repr=False)
    password_env: str | None = None
    password_file: str | Path | None = None
    account: str | None = None

    def _check(self) -> None:
        check_password(self.password)
        for value, what in ((self.password_env, "password_env is a variable's name"), (self.account, _ACCOUNT)):
            if value is not None and (not check_type(value, str, what) or "\0" in value):
                raise InvalidInputError(f"{what}, not {shown(value)}")
        if self.password_file is not None:
            files.path_of(self.password_file)
        if sum(one is not None for one in (self.password, self.password_env, self.password_file)) > 1:
            raise InvalidInputError("the password comes from one place: password, password_env or password_file")

    def _password(self) -> str | None:
        """The password as it is now, so that it may be changed between two renewals."""
        if self.password_file is not None:
            path = files.path_of(self.password_file)
            return password_line(files.read(path, limit=65536), f"the file {path}")
        if self.password_env is not None:
            password = os.environ.get(self.password_env)
            if password is None:
                raise InvalidInputError(f"the environment has no variable {shown(self.password_env)}")
            return password
        return self.password

    def _write(self, written: dict[Path, bytes], private: set[Path]) -> None:
        for path, data in written.items():
            reader = self.account if path in private else None
            files.write(path, data, private=path in private, reader=reader)


_ACCOUNT = "account is the name of an account"


@dataclass(frozen=True, slots=True)
class PfxFile(_Files):
    """Write certificate, private key and chain to a PFX file that another program reads.

    The file is replaced whole or not at all, and is readable by its owner only, from the moment it exists. The private
    key must be at hand: it was made by this very renewal, or may be exported from the store.

    Args:
        path: The file; its folder must be there.
        password: Protects the key. One of these three is needed.
        password_env: The environment variable that holds the password when the step runs.
        password_file: The file whose first line is the password when the step runs.
        readable_by: The oldest system that must read it, as in `Certificate.to_pfx`.
        account: Who else may read the file. On Windows an account's name or SID is added to its access list; elsewhere
            the file is given to that user (which root alone may do), and stays closed to all others.

    Raises:
        InvalidInputError: an impossible path or account, no password, or two places for it.
    """

    path: str | Path
    readable_by: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        self._check()
        files.path_of(self.path)
        if self.password is None and self.password_env is None and self.password_file is None:
            raise InvalidInputError("a PFX with a private key needs a password: password_env names a variable with it")

    @property
    def name(self) -> str:
        """`pfx`."""
        return "pfx"

    def __call__(self, replacement: Replacement) -> None:
        """Write it.

        Raises:
            HookError: nothing is bound now.
            AccessDeniedError: the private key may not be exported, or this user may not write there.
            InvalidInputError: the password is not there, is empty, or the account is unknown.
            NotFoundError: the folder is not there.
            NativeError: it cannot be written for another reason, such as a full disk.
        """
        certificate = _with_key(replacement, self.name)
        path = files.path_of(self.path)
        data = certificate.to_pfx(self._password(), readable_by=self.readable_by)
        self._write({path: data}, {path})


@dataclass(frozen=True, slots=True)
class PemFiles(_Files):
    """Write the PEM files that nginx, Apache or HAProxy read, as `bundles.write_pem_files` does.

    Each file is replaced whole or not at all, the one with the private key first and readable by its owner only. A
    server that reads them between the two replacements finds a key that does not match; it should read them when it is
    told to, by the next step.

    Args:
        folder: Where; it must be there.
        server: `nginx`, `apache` or `haproxy`.
        file_name: The files' name without suffix.
        password: Encrypts the private key; most servers want none.
        password_env: As in `PfxFile`.
        password_file: As in `PfxFile`.
        account: As in `PfxFile`, for the file with the private key.

    Raises:
        InvalidInputError: an impossible folder, name or account, an unknown server, or two places for the password.
    """

    folder: str | Path
    server: Server
    file_name: str = field(default="server", kw_only=True)

    def __post_init__(self) -> None:
        self._check()
        files.path_of(self.folder)
        if self.server not in get_args(Server):
            raise InvalidInputError(f"server is one of {', '.join(get_args(Server))}, not {shown(self.server)}")
        expected = "file_name is a file's name without a path"
        if Path(check_type(self.file_name, str, expected)).name != self.file_name or "\\" in self.file_name:
            raise InvalidInputError(f"{expected}, not {shown(self.file_name)}")

    @property
    def name(self) -> str:
        """`pem`."""
        return "pem"

    def __call__(self, replacement: Replacement) -> None:
        """Write them; errors as `PfxFile`."""
        certificate = _with_key(replacement, self.name)
        folder = files.path_of(self.folder)
        made = pem_files(certificate, self.server, name=self.file_name, password=self._password())
        private = {folder / name for name, data in made.items() if b"PRIVATE KEY-----" in data}
        in_order = sorted(((folder / name, data) for name, data in made.items()), key=lambda one: one[0] not in private)
        self._write(dict(in_order), private)


def _with_key(replacement: Replacement, name: str) -> Certificate:
    if replacement.new is None:
        raise HookError(f"{name}: nothing is bound now, so the file keeps the certificate that is in it")
    return replacement.certificate_with_key()
