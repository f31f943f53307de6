"""Keys that may be left over: written down before they exist, struck off when a certificate has them.

One small file per key in the state folder. Who adds, imports or removes writes the file first; killed at any moment
after, the file is there, and `recover` deletes the keys in it that no certificate names. One lock for all of it:
recovery never meets the key of somebody who is still at work.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlsssl._machine import files, private_files
from mlsssl._messages.output import as_dict
from mlsssl._windows.certificates import KeyLink
from mlsssl._windows.failures import NTE_NOT_SUPPORTED, code_of
from mlsssl._windows.keys import stored
from mlsssl.errors import MlssslError, StoreError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mlsssl._windows.dlls import Dlls

LOCK_TIMEOUT = 60.0
"""Seconds to wait for another process that adds or removes keys; one of them takes well under one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """One change in progress.

    Attributes:
        links: Where its key is, or may be.
        public: SHA-256 (hex) of the key's public half; a container that Windows named is deleted only if its key
            has it. Empty for a certificate whose key cannot be read.
        before: While Windows imports a PFX, and so chooses the name: the containers that there were before,
            by `machine`. None otherwise.
        machine: Among whose keys the import was to put it.
    """

    links: tuple[KeyLink, ...]
    public: str
    before: frozenset[str] | None = None
    machine: bool = True

    def to_json(self) -> bytes:
        """As it is kept: names only, nothing secret."""
        return json.dumps(as_dict(self)).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Pending:
        """What `to_json` wrote; ValueError, KeyError or TypeError for anything else."""
        content = json.loads(data)
        before = content["before"]
        return cls(
            links=tuple(KeyLink(**link) for link in content["links"]),
            public=content["public"],
            before=None if before is None else frozenset(before),
            machine=content["machine"],
        )


def digest(identity: bytes | None) -> str:
    """`Pending.public` for a public half."""
    return "" if identity is None else hashlib.sha256(identity).hexdigest()


class PendingKeys:
    """The files, and the work that they describe.

    Args:
        dlls: Windows.
        folder: Where they lie; asked for when first needed, so that reading never makes a folder.
    """

    def __init__(self, dlls: Dlls, folder: Callable[[], Path]) -> None:
        self._dlls = dlls
        self._folder = folder

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock; leftovers of others who were killed are cleaned up first, as far as that works."""
        with self._locked():
            with contextlib.suppress(MlssslError):
                self._recover()
            yield

    @property
    def held_folder(self) -> Path:
        """Where each key of a request has a file of its name; it may not be there yet."""
        return self._folder() / "request-keys"

    def held(self) -> frozenset[str]:
        """The names of the keys of requests: nothing deletes these before they are released."""
        folder = self.held_folder
        found = files.entries(folder) if files.is_folder(folder) else ()
        return frozenset(path.name for path in found if stored.is_our_name(path.name))

    def recover(self) -> list[str]:
        """Delete keys that no certificate names; a line per thing done. Raises what stopped it."""
        with self._locked():
            return self._recover()

    @contextlib.contextmanager
    def noted(self, pending: Pending) -> Iterator[Note]:
        """Write `pending` down for the length of the block, inside `changing`, and see it through at its end.

        Unless the block settled it, a key that a certificate names by then stays and one that none names goes.
        When that fails too, the file stays, and the next `recover` tries again.
        """
        folder = private_files.private_folder(self._folder() / "keys")
        note = Note(folder / f"{uuid.uuid4()}.json", pending)
        try:
            yield note
        except BaseException:
            # The first error is the one to tell. After a kill nothing here runs, and the file speaks.
            with contextlib.suppress(MlssslError):
                self._see_through(note.path, note.pending)
            raise
        if note.settled:
            files.remove(note.path)
        else:
            self._see_through(note.path, note.pending)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(private_files.lock(self._folder() / "keys.lock", timeout=LOCK_TIMEOUT))
            except TimeoutError as error:
                raise StoreError(f"another process is changing private keys: {error}; try again later") from None
            yield

    def _recover(self) -> list[str]:
        done: list[str] = []
        failure: MlssslError | None = None
        folder = self._folder() / "keys"
        for path in files.entries(folder) if files.is_folder(folder) else ():
            if path.suffix != ".json":  # half written, by a process that was killed
                continue
            try:
                done += self._see_through(path, Pending.from_json(private_files.read_private(path)))
            except MlssslError as error:
                failure = failure or error
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                # Files are written whole or not at all, so this is none of ours; what it meant nobody knows.
                done.append(f"left {path} alone: it does not say which key it is about")
        if failure is not None:
            raise failure
        return done

    def _see_through(self, path: Path, pending: Pending) -> list[str]:
        used, unread = stored.places_in_use(self._dlls)
        held = self.held()
        done, kept = [], False
        for link in (*pending.links, *self._imported(pending)):
            if link.place in used or link.container in held:
                continue
            if not stored.is_ours(link):
                # A name that Windows or somebody else chose: only if it is the very key that this is about.
                identity = stored.identity(self._dlls, link)
                if identity is None or digest(identity) != pending.public:
                    continue
            if unread:
                # A certificate in there may name it, so it stays, and the note with it: the next recovery looks again.
                if self._may_be_there(link):
                    kept = True
                    done.append(
                        f"left the private key {link.container} ({link.provider}): a certificate may need it in "
                        + ", ".join(f"{where}, which was not looked into ({error})" for where, error in unread.items())
                    )
                continue
            if stored.delete(self._dlls, link):
                done.append(f"deleted the private key {link.container} ({link.provider}), which no certificate names")
        if not kept:
            files.remove(path)
        return done

    def _may_be_there(self, link: KeyLink) -> bool:
        try:
            return stored.identity(self._dlls, link) is not None
        except MlssslError as error:  # unless this Windows has no such storage, or one that opens no key by its name
            return not (isinstance(error, UnsupportedError) or code_of(error) == NTE_NOT_SUPPORTED)

    def _imported(self, pending: Pending) -> list[KeyLink]:
        if pending.before is None:
            return []
        there = stored.containers(self._dlls, machine=pending.machine)
        return [link for link in there if link.container not in pending.before]


class Note:
    """A change that is written down; what is learnt about it while it happens is added."""

    def __init__(self, path: Path, pending: Pending) -> None:
        self.path = path
        self.pending = pending
        self.settled = False
        self.write(pending)

    def write(self, pending: Pending) -> None:
        """Replace what is written."""
        files.write(self.path, pending.to_json(), private=True)
        self.pending = pending

    def settle(self) -> None:
        """A certificate names the key now, so there is nothing left to see through."""
        self.settled = True
