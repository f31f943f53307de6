"""The Central Certificate Store: a folder of PFX files named by host, as IIS's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization

from mlsssl._embedded.chains import build_chain
from mlsssl._embedded.listener.contexts import Identity
from mlsssl._formats.binding_keys import HostnamePort
from mlsssl._formats.pkcs12.read import load_pfx
from mlsssl._machine import files
from mlsssl.errors import InvalidInputError, MalformedDataError, NotFoundError

if TYPE_CHECKING:
    from pathlib import Path

    from mlsssl._embedded.database import Database

_FOLDER, _PASSWORD = "ccs_folder", "ccs_password"


@dataclass(frozen=True, slots=True, kw_only=True)
class CentralStore:
    """Where the files are and what opens them.

    Attributes:
        folder: A folder of files like `www.example.com.pfx` and, for `*.example.com`, `_.example.com.pfx`.
        password: The one password of all files, or None.
    """

    folder: Path
    password: str | None = field(default=None, repr=False)

    def find(self, host: str) -> Path | None:
        """The file for a host name as a client sent it: its own, or its wildcard's; None when there is neither."""
        try:
            # A host name has letters, digits, hyphens, underscores and dots only: it leads out of no folder.
            name = HostnamePort(host, 443).host
        except InvalidInputError:
            return None
        if "*" in name:
            return None
        for stem in (name, f"_.{name.partition('.')[2]}"):
            path = self.folder / f"{stem}.pfx"
            if files.is_file(path):
                return path
        return None

    def load(self, path: Path) -> Identity:
        """Read one file; errors as `load_pfx` and `files.read`, `MalformedDataError` without certificate or key."""
        loaded = load_pfx(files.read(path), self.password)
        if loaded.certificate is None or loaded.private_key is None:
            raise MalformedDataError(f"{path} holds no certificate with its private key")
        der = serialization.Encoding.DER
        return Identity(
            chain=tuple(c.public_bytes(der) for c in build_chain(loaded.certificate, lambda _: loaded.others)),
            private_key=loaded.private_key.private_bytes(
                der, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )


def read_central_store(database: Database) -> CentralStore | None:
    """The machine's Central Certificate Store, or None when it has none."""
    rows = database.query("SELECT name, value FROM settings WHERE name IN (?, ?)", (_FOLDER, _PASSWORD), columns="tt")
    found: dict[str, str] = dict(rows)
    return (
        CentralStore(folder=files.path_of(found[_FOLDER]), password=found.get(_PASSWORD)) if _FOLDER in found else None
    )


def write_central_store(database: Database, store: CentralStore | None) -> None:
    """Set or clear it; errors as `EmbeddedMachine.set_central_store`."""
    values: list[tuple[str, str]] = []
    if store is not None:
        folder = files.absolute(store.folder)
        if not files.is_folder(folder):
            raise NotFoundError(f"there is no folder {folder} for the Central Certificate Store")
        values.append((_FOLDER, str(folder)))
        if store.password is not None:
            values.append((_PASSWORD, store.password))
    with database.transaction():
        database.query("DELETE FROM settings WHERE name IN (?, ?)", (_FOLDER, _PASSWORD))
        for setting in values:
            database.query("INSERT INTO settings (name, value) VALUES (?, ?)", setting)
