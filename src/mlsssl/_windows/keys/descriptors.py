"""Security descriptors as Windows hands them over (self-relative, MS-DTYP 2.4.6): entries read, added and taken out.

Whatever is not the entry that is changed comes back bit by bit: other entries of whatever kind, owner, group and the
audit list.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from mlsssl._machine.accounts import sid_text
from mlsssl.errors import MalformedDataError, StoreError

ALLOW, DENY, ALLOW_CALLBACK, DENY_CALLBACK = 0, 1, 9, 10
"""Types of entries whose mask and SID stand where they are read here; the last two have a condition behind them."""

INHERIT_ONLY, INHERITED = 0x8, 0x10  # ACE flags
_DACL_PRESENT, _SELF_RELATIVE = 0x4, 0x8000  # control
_LARGEST_LIST = 0xFFFF


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the access list. `sid` is empty, and `mask` 0, for a kind that is only kept."""

    kind: int
    flags: int
    mask: int
    sid: str
    octets: bytes

    @property
    def inherited(self) -> bool:
        """Whether it came from the folder or whatever it lies in."""
        return bool(self.flags & INHERITED)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A descriptor in its parts. `entries` is None where there is no access list: then everybody may do everything."""

    control: int
    reserved: int
    owner: bytes
    group: bytes
    audit_list: bytes
    revision: int
    entries: tuple[Entry, ...] | None

    def to_bytes(self) -> bytes:
        """Self-relative again. `StoreError` when the list has become too long."""
        parts = [self.owner, self.group, self.audit_list, self._list()]
        offsets, at = [], 20
        for part in parts:
            offsets.append(at if part else 0)
            at += len(part)
        return struct.pack("<BBH4I", 1, self.reserved, self.control, *offsets) + b"".join(parts)

    def _list(self) -> bytes:
        if self.entries is None:
            return b""
        body = b"".join(entry.octets for entry in self.entries)
        if len(body) + 8 > _LARGEST_LIST:
            raise StoreError("the access list of this private key is full (64 KiB); take entries out first")
        return struct.pack("<BBHHH", self.revision, 0, len(body) + 8, len(self.entries), 0) + body


def parse(data: bytes) -> Descriptor:
    """A descriptor; `MalformedDataError` for what is none."""
    try:
        revision, reserved, control, *offsets = struct.unpack_from("<BBH4I", data)
        if revision != 1 or not control & _SELF_RELATIVE:
            raise MalformedDataError("not a self-relative security descriptor")
        owner, group = (_sid_at(data, offset) for offset in offsets[:2])
        audit_list = _list_at(data, offsets[2])
        acl = _list_at(data, offsets[3]) if control & _DACL_PRESENT else b""
        return Descriptor(control, reserved, owner, group, audit_list, acl[0] if acl else 2, _entries(acl))
    except (struct.error, IndexError):
        raise MalformedDataError("a security descriptor ends before its time") from None


def allowing(mask: int, sid: bytes) -> Entry:
    """An entry that allows this."""
    octets = struct.pack("<BBHI", ALLOW, 0, 8 + len(sid), mask) + sid
    return Entry(ALLOW, 0, mask, sid_text(sid), octets)


def with_entry(entries: tuple[Entry, ...], new: Entry) -> tuple[Entry, ...]:
    """With one more, behind the others of the key's own: those that deny stay first, those inherited last."""
    place = next((number for number, entry in enumerate(entries) if entry.inherited), len(entries))
    return (*entries[:place], new, *entries[place:])


def _sid_at(data: bytes, offset: int) -> bytes:
    if not offset:
        return b""
    return _cut(data, offset, 8 + 4 * data[offset + 1])


def _list_at(data: bytes, offset: int) -> bytes:
    if not offset:
        return b""
    (size,) = struct.unpack_from("<H", data, offset + 2)
    return _cut(data, offset, size)


def _cut(data: bytes, offset: int, size: int) -> bytes:
    if offset < 20 or offset + size > len(data):
        raise MalformedDataError("a security descriptor points outside itself")
    return data[offset : offset + size]


def _entries(acl: bytes) -> tuple[Entry, ...] | None:
    if not acl:
        return None
    (count,) = struct.unpack_from("<H", acl, 4)
    found, at = [], 8
    for _ in range(count):
        kind, flags, size = struct.unpack_from("<BBH", acl, at)
        octets = acl[at : at + size]
        if size < 4 or len(octets) != size:
            raise MalformedDataError("an access list ends before its time")
        mask, sid = 0, ""
        if kind in (ALLOW, DENY, ALLOW_CALLBACK, DENY_CALLBACK):
            (mask,) = struct.unpack_from("<I", octets, 4)
            sid = sid_text(octets[8 : 16 + 4 * octets[9]])
        found.append(Entry(kind, flags, mask, sid, octets))
        at += size
    return tuple(found)
