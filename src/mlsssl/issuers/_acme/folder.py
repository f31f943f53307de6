"""http-01 by a folder that a web site serves already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from mlsssl._machine import files
from mlsssl.errors import NotFoundError

if TYPE_CHECKING:
    import os
    from pathlib import Path

WELL_KNOWN = "/.well-known/acme-challenge/"
"""Where a server asks for the answer of http-01 (RFC 8555 section 8.3)."""


class WebrootChallenge:
    """http-01 by a folder that a site serves on port 80: the answer is a file in `.well-known/acme-challenge` there.

    The folder below is made when it is missing and stays; the file is readable by everyone, for it holds no secret,
    and is removed when the order has ended. IIS serves files without a suffix only with a MIME type for `.`.

    Args:
        folder: The site's root; it must exist when an order is placed.

    Raises:
        InvalidInputError: it is no path that can be.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self._folder = files.absolute(folder)

    type: Literal["http-01"] = "http-01"

    def present(self, domain: str, token: str, key_authorization: str) -> None:
        """As `ChallengeSolver.present`.

        Raises:
            NotFoundError: the site's folder is not there.
            AccessDeniedError: this user may not write in it.
            NativeError: the disk is full, or otherwise refuses.
        """
        if not files.is_folder(self._folder):
            raise NotFoundError(f"there is no folder {self._folder}, which a site should serve for {domain}")
        path = self._path(token)
        with files.translated("write", path, right="write"):
            for folder in (path.parent.parent, path.parent):
                if not files.is_folder(folder):
                    folder.mkdir()
                    folder.chmod(0o755)  # whatever the umask of this task, the site's account has to read it
            # In place and not by a rename: what a killed process leaves has the one name that is removed afterwards.
            path.write_text(key_authorization, encoding="ascii")
            path.chmod(0o644)

    def cleanup(self, domain: str, token: str, key_authorization: str) -> None:
        """As `ChallengeSolver.cleanup`.

        Raises:
            AccessDeniedError, NativeError: the file is there and cannot be removed.
        """
        files.remove(self._path(token))

    def _path(self, token: str) -> Path:
        return self._folder.joinpath(*WELL_KNOWN.strip("/").split("/"), token)

    def __repr__(self) -> str:
        return f"<WebrootChallenge {self._folder}>"
