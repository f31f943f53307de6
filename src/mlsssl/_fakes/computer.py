"""What a fake computer keeps on disk: stores, certificates, key containers. It outlives the process that uses it."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from mlsssl._fakes.http_config import HttpState
from mlsssl._formats.pem import load_der

if TYPE_CHECKING:
    from mlsssl._fakes.httpapi import SslRecord
    from mlsssl._formats.keys import PrivateKey

CURRENT_USER, LOCAL_MACHINE = 0x10000, 0x20000
KEY_PROV_INFO = 2
MACHINE_KEYSET = 0x20


_OTHERS = {
    "NT SERVICE\\W3SVC": "S-1-5-80-989796750-4090848350-2040919084-978865222-2182970707",
    "IIS APPPOOL\\DefaultAppPool": "S-1-5-82-3006700770-424185619-1745488364-794895919-4004696415",
    "EXAMPLE\\alice": "S-1-5-21-1004336348-1177238915-682003330-1104",
}
ENGLISH = {
    "Everyone": "S-1-1-0",
    "NT AUTHORITY\\SYSTEM": "S-1-5-18",
    "NT AUTHORITY\\LOCAL SERVICE": "S-1-5-19",
    "NT AUTHORITY\\NETWORK SERVICE": "S-1-5-20",
    "BUILTIN\\Administrators": "S-1-5-32-544",
    "BUILTIN\\IIS_IUSRS": "S-1-5-32-568",
    **_OTHERS,
}
GERMAN = {
    "Jeder": "S-1-1-0",
    "NT-AUTORITÄT\\SYSTEM": "S-1-5-18",
    "NT-AUTORITÄT\\Lokaler Dienst": "S-1-5-19",
    "NT-AUTORITÄT\\Netzwerkdienst": "S-1-5-20",
    "VORDEFINIERT\\Administratoren": "S-1-5-32-544",
    "VORDEFINIERT\\IIS_IUSRS": "S-1-5-32-568",
    **_OTHERS,
}
"""Accounts of a Windows, in two languages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvInfo:
    """The content of CRYPT_KEY_PROV_INFO."""

    container: str | None
    provider: str | None
    provider_type: int
    flags: int
    key_spec: int


@dataclass(slots=True)
class Entry:
    """One certificate of a store: DER, and properties by number (bytes; KEY_PROV_INFO as `ProvInfo`)."""

    der: bytes
    properties: dict[int, bytes | ProvInfo] = field(default_factory=dict)

    def copy(self) -> Entry:
        """Another entry of the same content."""
        return Entry(self.der, dict(self.properties))


@dataclass(slots=True)
class FakeStore:
    """One system store: its certificates, and its revocation lists, which have no properties here."""

    name: str
    entries: list[Entry] = field(default_factory=list)
    crls: list[Entry] = field(default_factory=list)


_SYSTEM_SID = bytes.fromhex("010100000000000512000000")
_ADMINISTRATORS_SID = bytes.fromhex("01020000000000052000000020020000")
_OPEN_TO_BOTH = b"".join(
    struct.pack("<BBHI", 0, 0, 8 + len(sid), 0xD01F01FF) + sid for sid in (_SYSTEM_SID, _ADMINISTRATORS_SID)
)
DESCRIPTOR = (
    struct.pack("<BBH4I", 1, 0, 0x9004, 20, 36, 0, 48)  # self-relative, protected, with an access list
    + _ADMINISTRATORS_SID
    + _SYSTEM_SID
    + struct.pack("<BBHHH", 2, 0, 8 + len(_OPEN_TO_BOTH), 2, 0)
    + _OPEN_TO_BOTH
)
"""What a new key of the machine has; written apart from the code under test."""


def list_alone(descriptor: bytes) -> bytes:
    """The descriptor as it is handed out when only the access list is asked for: owner and group left out."""
    _, _, control, _, _, _, offset = struct.unpack_from("<BBH4I", descriptor)
    if not offset:
        return struct.pack("<BBH4I", 1, 0, control, 0, 0, 0, 0)
    (size,) = struct.unpack_from("<H", descriptor, offset + 2)
    return struct.pack("<BBH4I", 1, 0, control, 0, 0, 0, 20) + descriptor[offset : offset + size]


def with_list_of(descriptor: bytes, given: bytes) -> bytes | None:
    """The descriptor with the access list of another one; None when that one is not valid, as Windows checks it."""
    if len(given) < 20:
        return None
    revision, _, control, *_, offset = struct.unpack_from("<BBH4I", given)
    if revision != 1 or control & 0x8004 != 0x8004 or not 20 <= offset <= len(given) - 8:
        return None
    revision, zero, size, count, _ = struct.unpack_from("<BBHHH", given, offset)
    octets = given[offset : offset + size]
    at = 8
    for _ in range(count):
        if at + 16 > len(octets):
            return None
        kind, _, length = struct.unpack_from("<BBH", octets, at)
        if kind in (0, 1) and length != 16 + 4 * octets[at + 9]:
            return None
        at += length
    if revision not in (2, 4) or zero or len(octets) != size or at != size:
        return None
    _, _, _, owner, group, _, _ = struct.unpack_from("<BBH4I", descriptor)
    sids = [descriptor[start : start + 8 + 4 * descriptor[start + 1]] for start in (owner, group)]
    places = (20, 20 + len(sids[0]), 0, 20 + len(sids[0]) + len(sids[1]))
    return struct.pack("<BBH4I", 1, 0, control, *places) + b"".join(sids) + octets


@dataclass(slots=True)
class FakeKey:
    """A private key in a container; `policy` is CNG's Export Policy, or for the older providers 1 for exportable.

    `descriptor` says who may use it, self-relative: SYSTEM and the administrators from the start, O:BAG:SY.
    """

    key: PrivateKey = field(repr=False)
    policy: int = 0
    descriptor: bytes = field(default_factory=lambda: DESCRIPTOR)


@dataclass(slots=True)
class Computer:
    """A computer's certificates and keys, and how its Windows behaves.

    Attributes:
        stores: By location flag and lower-case name.
        csp: Containers of the older providers by machine or user and lower-case name: key spec to key.
        cng: CNG keys by machine or user and lower-case name.
        key_names: Lower-case names to the spelling they were made with.
        cng_keeps: "all"; "nothing" answers 0 to everything and opens no key (as Wine 8 does); "no-ec" knows RSA only.
        writes: "at-once" as Windows' registry stores do; "at-commit" keeps changes of a handle to itself until it
            is committed, and loses those that were not (Wine, with a process that dies).
        lists_keys: Whether the providers can list their containers.
        pfx: "2019" reads everything; "2016" knows no AES and calls the password wrong; "wine" knows no CNG flag
            and no EC keys, and puts every key into one container named after the user.
        keeps_lists: Whether a key's access list can be changed; without, the provider answers 0 and keeps the old one.
        administrator: False may not change what is the machine's, nor make or enter the folder for administrators.
        unopenable: System stores that are listed and do not open, by location flag and lower-case name: the code, such
            as 1355 (ERROR_NO_SUCH_DOMAIN, UserDS without its domain controller) or 5.
        ccs_options: What HTTP.sys does with options of a plain CCS record, which is not documented: answers 87, or
            keeps them.
        settling: How often HTTP.sys answers 87 for a key that was just made in CNG, as it does for some seconds on
            Server 2019 to 2025.
        bindings: HTTP.sys' records, by the fake httpapi's keys.
        http: What else HTTP.sys keeps.
        accounts: SIDs by name, in the language of this Windows; `ENGLISH` and `GERMAN` are what every one brings.
    """

    stores: dict[tuple[int, str], FakeStore] = field(default_factory=dict)
    csp: dict[tuple[bool, str], dict[int, FakeKey]] = field(default_factory=dict)
    cng: dict[tuple[bool, str], FakeKey] = field(default_factory=dict)
    key_names: dict[str, str] = field(default_factory=dict)
    cng_keeps: Literal["all", "nothing", "no-ec"] = "all"
    writes: Literal["at-once", "at-commit"] = "at-once"
    lists_keys: bool = True
    pfx: Literal["2019", "2016", "wine"] = "2019"
    keeps_lists: bool = True
    administrator: bool = True
    unopenable: dict[tuple[int, str], int] = field(default_factory=dict)
    ccs_options: Literal["refused", "kept"] = "refused"
    settling: int = 0
    bindings: dict[tuple[int, bytes, str], SslRecord] = field(default_factory=dict)
    http: HttpState = field(default_factory=HttpState)
    accounts: dict[str, str] = field(default_factory=lambda: dict(ENGLISH))

    _unsettled: dict[tuple[bool, str], int] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("My", "Root", "CA", "Trust", "Disallowed"):
            for location in (CURRENT_USER, LOCAL_MACHINE):
                self.stores[location, name.casefold()] = FakeStore(name)

    @property
    def containers(self) -> set[tuple[str, bool, str]]:
        """Every key there is: storage, machine or user, name."""
        found = {("cng", machine, name) for machine, name in self.cng}
        return found | {("csp", machine, name) for machine, name in self.csp}

    def keep_in_cng(self, place: tuple[bool, str], key: FakeKey) -> None:
        """Keep a key at its `place`: the machine's or not, and its name. HTTP.sys sees it after `settling` looks."""
        self.cng[place] = key
        if self.settling:
            self._unsettled[place] = self.settling

    def http_look(self, digest: bytes, store_name: str) -> int:
        """HTTP.sys' own look at the certificate of this SHA-1 `digest` in LocalMachine's `store_name`.

        0, 1312 (`http_accepts`), or 87 for a key of a moment ago.
        """
        entry = self._found(digest, store_name)
        if entry is None or not self.http_accepts(digest, store_name):
            return 1312
        link = entry.properties[KEY_PROV_INFO]
        assert isinstance(link, ProvInfo)
        assert link.container is not None
        place = (True, link.container.casefold())
        left = self._unsettled.pop(place, 0) if link.provider_type == 0 else 0
        if left > 1:
            self._unsettled[place] = left - 1
        return 87 if left else 0

    def _found(self, digest: bytes, store_name: str) -> Entry | None:
        store = self.stores.get((LOCAL_MACHINE, store_name.casefold()))
        entries = store.entries if store else []
        return next((each for each in entries if hashlib.sha1(each.der).digest() == digest), None)  # noqa: S324

    def http_accepts(self, digest: bytes, store_name: str) -> bool:
        """Whether the one of this SHA-1 `digest` is in LocalMachine's `store_name`, with a key of the machine's."""
        entry = self._found(digest, store_name)
        if entry is None:
            return False
        link = entry.properties.get(KEY_PROV_INFO)
        if not isinstance(link, ProvInfo) or not link.flags & MACHINE_KEYSET or link.container is None:
            return False
        place = (True, link.container.casefold())
        if link.provider_type == 0:
            held = self.cng.get(place) if self.cng_keeps != "nothing" else None
        else:
            held = self.csp.get(place, {}).get(link.key_spec)
        return held is not None and held.key.public_key() == load_der(entry.der).public_key()
