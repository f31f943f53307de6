"""Not replacing a file that holds a private key, unless it is the very key that is written, or the caller says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsssl._formats.keys import spki
from mlsssl._machine import files
from mlsssl.errors import ExistsError, MlssslError

if TYPE_CHECKING:
    from pathlib import Path

    from mlsssl._formats.keys import PrivateKey


def refuse_to_lose_a_key(target: Path, *, key: PrivateKey | None, password: str | None) -> None:
    """Refuse if a file there holds a private key other than `key`, or one that cannot be read to compare.

    Whether the key has a copy elsewhere nobody can know; so each counts as the only one. A symbolic link is replaced
    itself, and what it leads to stays.

    Args:
        target: Where a file is about to be written.
        key: The private key in that file, or None.
        password: What may open the file that is there, besides no password.

    Raises:
        ExistsError: it holds one, or may hold one, since it cannot be read.
    """
    if not files.is_file(target) or target.is_symlink():
        return
    from mlsssl._formats.held_keys import held_keys  # every format of keys; most files are new

    try:
        held = held_keys(files.read(target), password)
    except MlssslError as error:
        raise ExistsError(
            f"{target} is there already and may hold a private key, for it cannot be looked at ({error}); "
            "overwrite=True replaces it"
        ) from None
    if held is None:
        return
    own = None if key is None else spki(key.public_key())
    others = [one for one in held.public_keys if one is None or one != own]
    if not others:
        return
    which = "a private key, which is not opened here" if None in others else "another private key"
    raise ExistsError(
        f"{target} is there already, {held.kind} with {which}, and would be lost; name another file, or "
        "overwrite=True replaces it"
    )
