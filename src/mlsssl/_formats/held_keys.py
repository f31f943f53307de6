"""The private keys that a file holds, as far as its bytes tell: for who is about to replace it.

Taken for a key is what begins like one, whether it can be read here or not: a key that is lost is worse than a question
too many.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from mlsssl._formats import der, pem, pvk, sniff
from mlsssl._formats.budget import WorkBudget
from mlsssl._formats.key_files import load_private_key
from mlsssl._formats.keys import spki
from mlsssl._formats.pkcs12 import read
from mlsssl._formats.pkcs12.structure import read_structure
from mlsssl.errors import MalformedDataError, MlssslError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlsssl._formats.keys import PrivateKey

_PEM = re.compile(rb"-{2,8} ?BEGIN [A-Z0-9 #]{0,64}PRIVATE KEY")  # PGP's too, and with a hyphen that was lost
# How other files with keys begin, which are not read here.
_SIGNS = {
    b"\xfe\xed\xfe\xed": "a Java keystore",
    b"\xce\xce\xce\xce": "a Java keystore (JCEKS)",
    b"openssh-key-v1\0": "an OpenSSH private key",
    b"PuTTY-User-Key-File-": "a PuTTY private key",
    b"SQLite format 3\0": "a database, such as an embedded machine",
}
_BLOB = re.compile(rb"\x07\x02\0\0.{4}(RSA2|DSS2)", re.DOTALL)  # CryptoAPI's PRIVATEKEYBLOB
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{100,}={0,2}")
_MOST_BASE64 = 20
_DEPTH = 3
_MOST_BLOCKS = 100

_Found = TypeVar("_Found")


class HeldKeys(NamedTuple):
    """What kind of file it is, in words, and the public halves of its private keys; None for those that stay unread."""

    kind: str
    public_keys: tuple[bytes | None, ...]


def held_keys(data: bytes, password: str | None) -> HeldKeys | None:
    """The private keys in this file, which `password` may open; None when nothing in it looks like one."""
    return _held(data, password, WorkBudget(), _DEPTH)


def _held(data: bytes, password: str | None, budget: WorkBudget, depth: int) -> HeldKeys | None:
    kind = next((kind for sign, kind in _SIGNS.items() if data.startswith(sign)), None)
    if kind is None and _BLOB.match(data):
        kind = "a private key (CryptoAPI)"
    if kind is not None:
        return HeldKeys(kind, (None,))
    if pvk.is_pvk(data):
        found = _public_key(lambda word: pvk.load_pvk(data, word, budget).private_key, password)
        return HeldKeys("a private key (PVK)", (found,))
    if sniff.format_of(data) == "pfx":
        return _in_pfx(data, password, budget)
    if data[:1] == b"\x30":
        if not _is_key(data):
            return None
        found = _public_key(lambda word: load_private_key(data, word, budget), password)
        return HeldKeys("a private key (DER)", (found,))
    text = data.replace(b"\0", b"")  # UTF-16
    begun = len(_PEM.findall(text))
    if begun:
        in_pem = [*_in_pem(text, password, budget)]
        return HeldKeys("a private key (PEM)", (*in_pem, *[None] * (begun - len(in_pem))))
    for inner in _decoded(text) if depth else ():
        held = _held(inner, password, budget, depth - 1)
        if held is not None:
            return held
    return None


def _in_pfx(data: bytes, password: str | None, budget: WorkBudget) -> HeldKeys | None:
    kind = "a PFX"

    def keys_of(word: str | None) -> tuple[bytes | None, ...]:
        bags = read.bags_of(read.open_safes(read_structure(data), word, budget))
        if not any(bag.kind in ("key", "encrypted key") for bag in bags):
            return ()
        entries = read.load_entries(bags, word, budget)
        return tuple(None if one.private_key is None else spki(one.private_key.public_key()) for one in entries)

    found = _tried(keys_of, password)
    return None if found == () else HeldKeys(kind, found or (None,))


def _in_pem(text: bytes, password: str | None, budget: WorkBudget) -> Iterator[bytes | None]:
    try:
        for label, block in pem.blocks(text, most=_MOST_BLOCKS):
            if label.endswith(b"PRIVATE KEY"):
                yield _public_key(lambda word, block=block: load_private_key(block, word, budget), password)  # type: ignore[misc]
    except MalformedDataError:
        return  # what follows is not counted as read


def _public_key(load: Callable[[str | None], PrivateKey], password: str | None) -> bytes | None:
    key = _tried(load, password)
    return None if key is None else spki(key.public_key())


def _tried(load: Callable[[str | None], _Found], password: str | None) -> _Found | None:
    """With the password and without; None when neither does, for whatever reason."""
    for word in dict.fromkeys((password, None)):
        try:
            return load(word)
        except MlssslError:
            continue
    return None


def _is_key(data: bytes) -> bool:
    """PKCS#8 (RFC 5958), PKCS#1 and SEC 1 begin with a small number; an encrypted key is an algorithm and octets."""
    try:
        with der.decoding("a private key"):
            first, second, *_ = der.members(der.only(data), der.SEQUENCE, most=16)
            if first.tag == der.INTEGER:
                return der.number(first) in (0, 1, 2)
            return first.tag == der.SEQUENCE and second.tag == der.OCTET_STRING
    except MalformedDataError:
        return False


def _decoded(text: bytes) -> Iterator[bytes]:
    """What base64 in it stands for: the whole text, lines joined, or long runs of it, as in the JSON of a vault."""
    joined = b"".join(text.removeprefix(b"\xef\xbb\xbf").removeprefix(b"\xff\xfe").split())
    runs = [joined] if _BASE64.fullmatch(joined) else _BASE64.findall(text)[:_MOST_BASE64]
    for run in runs:
        try:
            yield base64.b64decode(run, validate=True)
        except binascii.Error:
            continue
