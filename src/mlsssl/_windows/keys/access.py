"""Who may read a private key of this Windows: the access list of its container, in CNG and in the older providers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mlsssl._machine.accounts import EVERYONE, sid_bytes
from mlsssl._machine.ports import KeyAccess
from mlsssl._windows import accounts
from mlsssl._windows.failures import code_of
from mlsssl._windows.keys import cng, csp, descriptors
from mlsssl.errors import NativeError, StoreError, UnsupportedError

if TYPE_CHECKING:
    from mlsssl._machine.accounts import Account
    from mlsssl._machine.ports import KeyRight
    from mlsssl._windows.certificates import KeyLink
    from mlsssl._windows.dlls import Dlls
    from mlsssl._windows.keys.descriptors import Descriptor, Entry

# winnt.h. A key of Microsoft's software providers is a file: its list says GENERIC_READ and GENERIC_ALL, or what these
# are for a file, FILE_GENERIC_READ and FILE_ALL_ACCESS, or both. Given are both, so that it does not depend on who maps
# one to the other ("Manage private keys" writes the same).
_GENERIC_ALL, _GENERIC_READ = 0x1000_0000, 0x8000_0000
_FILE_READ_DATA, _FILE_GENERIC_READ, _FILE_ALL_ACCESS = 0x1, 0x12_0089, 0x1F_01FF
_READ = _GENERIC_READ | _FILE_GENERIC_READ
_FULL = _GENERIC_ALL | _GENERIC_READ | 0x4000_0000 | _FILE_ALL_ACCESS  # and GENERIC_WRITE

# What a storage answers that has no such list: NTE_BAD_TYPE and NTE_NOT_SUPPORTED, ERROR_NOT_SUPPORTED and
# ERROR_CALL_NOT_IMPLEMENTED.
_NO_LISTS = frozenset({0x8009000A, 0x80090029, 50, 120})


def look(dlls: Dlls, link: KeyLink) -> tuple[KeyAccess, ...]:
    """Every entry of the key's list that is about this key, in the list's order.

    Raises:
        UnsupportedError: this storage keeps no such list.
        NativeError, AccessDeniedError: it could not be read.
        MalformedDataError: what was read is none.
    """
    entries = _read(dlls, link).entries
    if entries is None:
        return (KeyAccess(name=accounts.by_sid(dlls, EVERYONE.sid).name, sid=EVERYONE.sid, right="full"),)
    found = [
        KeyAccess(
            name=accounts.by_sid(dlls, entry.sid).name, sid=entry.sid, right=_right(entry), inherited=entry.inherited
        )
        for entry in entries
        if entry.sid and not entry.flags & descriptors.INHERIT_ONLY
    ]
    return tuple(dict.fromkeys(found))


def grant(dlls: Dlls, link: KeyLink, account: Account, right: KeyRight) -> None:
    """Add an entry for the account, unless one gives it this right already; see `StorePort.grant_key_access`."""
    descriptor = _read(dlls, link)
    if descriptor.entries is None or _has(descriptor, account, right):
        return
    if any(entry.sid == account.sid and _right(entry) == "denied" for entry in descriptor.entries):
        raise StoreError(
            f"an entry of the private key's access list denies {account} to read it, and goes before any that allows "
            "it: take it out (certlm.msc, Manage Private Keys), then grant again"
        )
    new = descriptors.allowing(_FULL if right == "full" else _READ, sid_bytes(account.sid))
    _write(dlls, link, replace(descriptor, entries=descriptors.with_entry(descriptor.entries, new)))
    if not _has(_read(dlls, link), account, right):  # a success code is not proof
        raise StoreError(f"{link.provider} reported success, yet {account} may not read the private key")


def revoke(dlls: Dlls, link: KeyLink, account: Account) -> None:
    """Take out the entries that let the account read it; see `StorePort.revoke_key_access`."""
    descriptor = _read(dlls, link)
    if descriptor.entries is None:
        raise StoreError(f"the private key has no access list, so that everybody may read it, {account} too")
    theirs = [entry for entry in descriptor.entries if entry.sid == account.sid and _right(entry) in ("read", "full")]
    if any(entry.inherited for entry in theirs):
        raise StoreError(f"{account} may read every key in this key's folder: take that right from the folder")
    if not theirs:
        return
    _write(dlls, link, replace(descriptor, entries=tuple(one for one in descriptor.entries if one not in theirs)))
    if _has(_read(dlls, link), account, "read"):
        raise StoreError(f"{link.provider} reported success, yet {account} may still read the private key")


def _has(descriptor: Descriptor, account: Account, right: KeyRight) -> bool:
    enough = ("full",) if right == "full" else ("read", "full")
    entries = descriptor.entries or ()
    return descriptor.entries is None or any(
        one.sid == account.sid and _right(one) in enough and not one.flags & descriptors.INHERIT_ONLY for one in entries
    )


def _right(entry: Entry) -> KeyRight:
    reads = bool(entry.mask & (_GENERIC_ALL | _GENERIC_READ | _FILE_READ_DATA))
    if entry.kind == descriptors.DENY and reads:
        return "denied"
    if entry.kind != descriptors.ALLOW or not reads:
        return "other"
    whole = entry.mask & _GENERIC_ALL or entry.mask & _FILE_ALL_ACCESS == _FILE_ALL_ACCESS
    return "full" if whole else "read"


def _read(dlls: Dlls, link: KeyLink) -> Descriptor:
    try:
        return descriptors.parse(cng.descriptor(dlls, link) if link.is_cng else csp.descriptor(dlls, link))
    except NativeError as error:
        raise _unsupported(link, error) from error


def _write(dlls: Dlls, link: KeyLink, descriptor: Descriptor) -> None:
    data = descriptor.to_bytes()
    try:
        if link.is_cng:
            cng.set_descriptor(dlls, link, data)
        else:
            csp.set_descriptor(dlls, link, data)
    except NativeError as error:
        raise _unsupported(link, error) from error


def _unsupported(link: KeyLink, error: NativeError) -> UnsupportedError | NativeError:
    if code_of(error) not in _NO_LISTS:
        return error
    return UnsupportedError(f"{link.provider} of this Windows does not tell or change who may read a key ({error})")
