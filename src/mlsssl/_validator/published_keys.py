"""Keys whose private half anyone can have: Debian's of 2006 to 2008, and the ones found in firmware, manuals and tests.

Millions of such keys are published as a list of hashes, which grows and belongs to a library that follows it: where
`badkeys` is installed (the extra `mlsssl[weakkeys]`) and its list was downloaded (`badkeys --update-bl`), each key is
looked up there. Nothing is downloaded here, and without library or list no key is known.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["find_collection", "number_of"]

# What badkeys' documentation of its list calls these files, and the folder that it keeps them in.
_FILES = ("badkeysdata.json", "blocklist.dat")


def _list_is_there() -> bool:
    cache = os.environ.get("XDG_CACHE_HOME")
    folder = Path(cache or "~/.cache").expanduser() / "badkeys"
    return all((folder / name).is_file() for name in _FILES)


@functools.lru_cache(maxsize=1)
def _listed() -> Callable[[int], object] | None:
    """The library's look-up of a key by its number, or None without library or list; decided once in a process."""
    try:
        # The library takes a tenth of a second to import, and ends the program when its list is missing.
        if not _list_is_there():
            return None
        from badkeys.allkeys import blocklist  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except Exception:  # noqa: BLE001 - not installed, or one of the libraries below it does not load here
        return None
    return cast("Callable[[int], object]", blocklist)


def number_of(key: object) -> int | None:
    """The number that stands for a key other than RSA in the list: an EC point's x, an EdDSA key's octets."""
    try:
        if isinstance(key, ec.EllipticCurvePublicKey):
            return key.public_numbers().x
        if isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
            return int.from_bytes(key.public_bytes_raw(), "big")
    except Exception:  # noqa: BLE001 - a curve whose numbers cryptography does not give
        return None
    return None


def find_collection(number: Callable[[], int | None]) -> str | None:
    """The name of the published collection that a key is in, such as `debianssl`, or None.

    Args:
        number: Gives the RSA modulus, or what `number_of` says; called only when there is a list to look in.
    """
    lookup = _listed()
    if lookup is None:
        return None
    wanted = number()
    if wanted is None or wanted <= 0:
        return None
    try:
        found = lookup(wanted)
    except (Exception, SystemExit):  # noqa: BLE001 - it exits over a file that is gone, raises over a damaged one
        return None
    return str(found.get("subtest", "badkeys"))[:60] if isinstance(found, dict) else None
