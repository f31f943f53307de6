"""Keys of certificate requests (`RequestKeysPort`): made by Windows, under a name that is written down before.

A file without content per key, named after it, in `request-keys` of the state folder. While it is there nothing deletes
the key: `PendingKeys` and `WindowsStore.remove` ask `held`.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from mlsssl._issue.keys import check_key_type
from mlsssl._machine import files, private_files
from mlsssl._machine.ports import check_provider, check_request_key_name
from mlsssl._windows.keys import stored
from mlsssl._windows.keys.pending import Pending
from mlsssl.errors import ExistsError, InvalidInputError, MlssslError, NotFoundError

if TYPE_CHECKING:
    from pathlib import Path

    from mlsssl._issue.machine_keys import HashName
    from mlsssl._machine.ports import KeyProvider
    from mlsssl._windows.certificates import KeyLink
    from mlsssl._windows.dlls import Dlls
    from mlsssl._windows.keys.pending import PendingKeys
    from mlsssl.values import KeyType


class RequestKeys:
    """The request keys of this computer, among the machine's keys.

    Args:
        dlls: Windows.
        pending: The notes about the machine's keys, whose lock and folder this shares.
    """

    def __init__(self, dlls: Dlls, pending: PendingKeys) -> None:
        self._dlls = dlls
        self._pending = pending

    def make(self, name: str, key_type: KeyType, *, exportable: bool, provider: KeyProvider | None) -> bytes:
        """Make a key; see `RequestKeysPort.make`."""
        check_request_key_name(name)
        check_key_type(key_type)
        check_provider(provider, is_rsa=key_type.startswith("rsa-"))
        with self._pending.changing():
            if name in self._pending.held() or stored.find(self._dlls, name, machine=True) is not None:
                raise ExistsError(f"there is a request's key {name} on this computer already; release it first")
            note = private_files.private_folder(self._folder) / name
            files.write(note, b"", private=True)
            try:
                return stored.make(self._dlls, name, key_type, machine=True, exportable=exportable, provider=provider)
            except BaseException:
                # The first error is the one to tell. After a kill nothing here runs: the note speaks.
                with contextlib.suppress(MlssslError):
                    self._release(name)
                raise

    def public_key(self, name: str) -> bytes | None:
        """The public half of a key; see `RequestKeysPort.public_key`."""
        if check_request_key_name(name) not in self._pending.held():
            return None
        found = stored.find(self._dlls, name, machine=True)
        return None if found is None else found[1]

    def sign(self, name: str, digest: bytes, hash_name: HashName) -> bytes:
        """Sign a digest; see `RequestKeysPort.sign`."""
        return stored.sign(self._dlls, self._found(name)[0], digest, hash_name)

    def names(self) -> list[str]:
        """Every key that was not released; see `RequestKeysPort.names`."""
        return sorted(self._pending.held())

    def release(self, name: str) -> None:
        """Forget a name; see `RequestKeysPort.release`."""
        check_request_key_name(name)
        with self._pending.changing():
            self._release(name)

    def link_for(self, name: str, identity: bytes | None) -> KeyLink:
        """Where the key of this name is, for the certificate with this public key (`blobs.certificate_identity`)."""
        link, public = self._found(name)
        if public != identity:
            raise InvalidInputError(f"the certificate is for another key than the request's, {name}")
        return link

    def _found(self, name: str) -> tuple[KeyLink, bytes]:
        held = check_request_key_name(name) in self._pending.held()
        found = stored.find(self._dlls, name, machine=True) if held else None
        if found is None:
            raise NotFoundError(f"there is no request's key {name} on this computer")
        return found

    def _release(self, name: str) -> None:
        """With the lock: what becomes of the key is written down before its name is forgotten."""
        links = tuple(stored.possible_links(name, machine=True))
        with self._pending.noted(Pending(links=links, public="")):
            files.remove(self._folder / name)

    @property
    def _folder(self) -> Path:
        return self._pending.held_folder
