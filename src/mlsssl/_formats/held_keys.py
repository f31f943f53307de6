"""The private keys that a file holds, as far as its bytes tell: for who is about to replace it.

What begins like a key counts as one whether it can be read here or not: a key that is lost is worse than a question too
many.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from mlsssl._formats import sniff
from mlsssl._formats.budget import WorkBudget
from mlsssl._formats.contents import read_private_key
from mlsssl._formats.keys import spki
from mlsssl._formats.pkcs12 import read
from mlsssl._formats.sniff import Kind
from mlsssl.errors import MalformedDataError, MlssslError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlsssl._formats.sniff import Item

_PEM = re.compile(rb"-{2,8} ?BEGIN [A-Z0-9 #]{0,64}PRIVATE KEY")  # PGP's too, and with a hyphen that was lost
# How files with keys begin that are not read here.
_SIGNS = {
    b"\xfe\xed\xfe\xed": "a Java keystore",
    b"\xce\xce\xce\xce": "a Java keystore (JCEKS)",
    b"openssh-key-v1\0": "an OpenSSH private key",
    b"PuTTY-User-Key-File-": "a PuTTY private key",
    b"SQLite format 3\0": "a database, such as an embedded machine",
}
_BLOB = re.compile(rb"\x07\x02\0\0.{4}(RSA2|DSS2)", re.DOTALL)  # CryptoAPI's PRIVATEKEYBLOB

_Found = TypeVar("_Found")


class HeldKeys(NamedTuple):
    """What the file is, in words, and the public halves of its private keys; None for those that stay unread."""

    kind: str
    public_keys: tuple[bytes | None, ...]


def held_keys(data: bytes, password: str | None) -> HeldKeys | None:
    """The private keys in this file, which `password` may open; None when nothing in it looks like one."""
    begun = len(_PEM.findall(data.replace(b"\0", b"")))  # UTF-16
    try:
        recognised = sniff.recognise(data)
    except MalformedDataError:
        kind = next((kind for sign, kind in _SIGNS.items() if data.startswith(sign)), None)
        if kind is None and (begun or _BLOB.match(data)):
            kind = "a private key"
        return None if kind is None else HeldKeys(kind, (None,))
    budget = WorkBudget()
    found: list[bytes | None] = []
    for item in recognised.of(Kind.PRIVATE_KEY, Kind.PVK, Kind.PFX):
        found += _public_keys(item, password, budget)
    found += [None] * (begun - len(found))
    return HeldKeys(str(recognised), tuple(found)) if found else None


def _public_keys(item: Item, password: str | None, budget: WorkBudget) -> tuple[bytes | None, ...]:
    def of_key(word: str | None) -> tuple[bytes | None, ...]:
        return (spki(read_private_key(item.data, word, budget).public_key()),)

    def of_pfx(word: str | None) -> tuple[bytes | None, ...]:
        _, found, unread = read.load_held(item.data, word, budget)
        return (*(spki(one.key.public_key()) for one in found), *([None] * len(unread)))

    found = _tried(of_pfx if item.kind is Kind.PFX else of_key, password)
    return (None,) if found is None else found


def _tried(load: Callable[[str | None], _Found], password: str | None) -> _Found | None:
    """With the password and without; None when neither does, for whatever reason."""
    for word in dict.fromkeys((password, None)):
        try:
            return load(word)
        except MlssslError:
            continue
    return None
