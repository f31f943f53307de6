"""Accounts of Windows, by name and by SID: what can be said of them without asking a Windows.

A security identifier is a text such as `S-1-5-20`, or its bytes (MS-DTYP 2.4.2). The accounts that Windows itself
brings have the same SIDs everywhere, but names in the language of the Windows ("Network Service", "Netzwerkdienst"), so
their English names are looked up here, never there.
"""

from __future__ import annotations

import hashlib
import re
import struct
from dataclasses import dataclass

from mlsssl._messages.foreign_text import shown
from mlsssl.errors import InvalidInputError, MalformedDataError, NotFoundError

LONGEST = 513
"""Characters of the longest name that is looked up: 256 of a domain, `\\`, 256 of an account."""


@dataclass(frozen=True, slots=True)
class Account:
    r"""An account, as its machine calls it (`NT AUTHORITY\NETWORK SERVICE`), and its SID as text.

    The name is the SID where no account has it any more.
    """

    name: str
    sid: str

    def __str__(self) -> str:
        return self.sid if self.name == self.sid else f"{self.name} ({self.sid})"


EVERYONE = Account("Everyone", "S-1-1-0")
SYSTEM = Account("NT AUTHORITY\\SYSTEM", "S-1-5-18")
ADMINISTRATORS = Account("BUILTIN\\Administrators", "S-1-5-32-544")

# learn.microsoft.com, "Well-known SIDs" and "Security identifiers"; IIS_IUSRS: "Understanding built-in user and group
# accounts in IIS"; NT SERVICE\ALL SERVICES and IIS AppPool: MS-DTYP 2.4.2.4.
_WELL_KNOWN = (
    EVERYONE,
    Account("CREATOR OWNER", "S-1-3-0"),
    Account("OWNER RIGHTS", "S-1-3-4"),
    Account("NT AUTHORITY\\NETWORK", "S-1-5-2"),
    Account("NT AUTHORITY\\BATCH", "S-1-5-3"),
    Account("NT AUTHORITY\\INTERACTIVE", "S-1-5-4"),
    Account("NT AUTHORITY\\SERVICE", "S-1-5-6"),
    Account("NT AUTHORITY\\ANONYMOUS LOGON", "S-1-5-7"),
    Account("NT AUTHORITY\\Authenticated Users", "S-1-5-11"),
    Account("NT AUTHORITY\\IUSR", "S-1-5-17"),
    SYSTEM,
    Account("NT AUTHORITY\\LOCAL SERVICE", "S-1-5-19"),
    Account("NT AUTHORITY\\NETWORK SERVICE", "S-1-5-20"),
    ADMINISTRATORS,
    Account("BUILTIN\\Users", "S-1-5-32-545"),
    Account("BUILTIN\\Guests", "S-1-5-32-546"),
    Account("BUILTIN\\Power Users", "S-1-5-32-547"),
    Account("BUILTIN\\Backup Operators", "S-1-5-32-551"),
    Account("BUILTIN\\Remote Desktop Users", "S-1-5-32-555"),
    Account("BUILTIN\\Network Configuration Operators", "S-1-5-32-556"),
    Account("BUILTIN\\Performance Log Users", "S-1-5-32-559"),
    Account("BUILTIN\\IIS_IUSRS", "S-1-5-32-568"),
    Account("BUILTIN\\Cryptographic Operators", "S-1-5-32-569"),
    Account("BUILTIN\\Remote Management Users", "S-1-5-32-580"),
    Account("NT SERVICE\\ALL SERVICES", "S-1-5-80-0"),
)
_BY_SID = {account.sid: account for account in _WELL_KNOWN}
_BY_NAME = {
    name.casefold(): account
    for account in _WELL_KNOWN
    for name in (account.name, *(account.name.split("\\")[1:] if not account.name.startswith("NT SERVICE") else ()))
}
# What service managers and scripts write (learn.microsoft.com, "LocalSystem account" and its two sisters).
_BY_NAME.update({"localsystem": SYSTEM, "nt authority\\localsystem": SYSTEM})
for _short, _sid in (("localservice", "S-1-5-19"), ("networkservice", "S-1-5-20")):
    _BY_NAME.update({_short: _BY_SID[_sid], f"nt authority\\{_short}": _BY_SID[_sid]})

_SID = r"(?ia)S-1-(\d{1,15}|0x[0-9a-f]{12})((?:-\d{1,10}){1,15})"


def check_account(account: object) -> str:
    """An account's name or SID as it may be looked up; `InvalidInputError` for what can be neither."""
    if not isinstance(account, str):
        raise InvalidInputError(f"an account is a name or a SID as text, not {shown(account)}")
    text = account.strip()
    if not text or len(text) > LONGEST or "\0" in text:
        raise InvalidInputError(
            f"{shown(account)} is no account; write a name such as 'NETWORK SERVICE', 'NT SERVICE\\W3SVC' or "
            f"'DOMAIN\\user' (1 to {LONGEST} characters), or a SID such as 'S-1-5-20'"
        )
    if text[:4].upper() == "S-1-":
        return sid_text(sid_bytes(text))
    return text.removeprefix(".\\") if len(text) > 2 else text


def is_sid(text: str) -> bool:
    """Whether what `check_account` returned is a SID, and not a name."""
    return text.startswith("S-1-")


def sid_bytes(sid: str) -> bytes:
    """A SID's bytes (MS-DTYP 2.4.2.2). `InvalidInputError` for what is none."""
    match = re.fullmatch(_SID, sid.strip())
    numbers = [int(number) for number in match[2].split("-")[1:]] if match else []
    authority = int(match[1], 0 if "x" in match[1].lower() else 10) if match else 0
    if match is None or authority >= 1 << 48 or any(number >= 1 << 32 for number in numbers):
        raise InvalidInputError(f"{shown(sid)} is no SID; one looks like S-1-5-20 or S-1-5-21-1-2-3-1001")
    return bytes([1, len(numbers)]) + authority.to_bytes(6, "big") + struct.pack(f"<{len(numbers)}I", *numbers)


def sid_text(sid: bytes) -> str:
    """The text of a SID's bytes. `MalformedDataError` for what is none."""
    if len(sid) < 8 or sid[0] != 1 or not 1 <= sid[1] <= 15 or len(sid) != 8 + 4 * sid[1]:
        raise MalformedDataError(f"not a SID: {shown(sid.hex())}")
    authority = int.from_bytes(sid[2:8], "big")
    numbers = struct.unpack(f"<{sid[1]}I", sid[8:])
    # From 2^32 on in hexadecimal (MS-DTYP 2.4.2.1).
    return "-".join(["S-1", f"0x{authority:012X}" if authority >= 1 << 32 else str(authority), *map(str, numbers)])


def known(account: str) -> Account | None:
    """The account that every Windows has under this SID or English name, in any case; None for another.

    `account` is what `check_account` returned.
    """
    return _BY_SID.get(account) or _BY_NAME.get(account.casefold())


def not_found(account: str) -> NotFoundError:
    """What to say when no account has this name: Windows' 1332 (ERROR_NONE_MAPPED), in words."""
    return NotFoundError(
        f"there is no account {shown(account)} here (1332, ERROR_NONE_MAPPED): look for a typing error, write "
        "DOMAIN\\user for an account of a domain and NT SERVICE\\name for a service (its key name), or give the SID"
    )


def service_sid(name: str) -> str:
    r"""The SID of `NT SERVICE\name`, which follows from the key name of the service: what `sc showsid` prints.

    MS-DTYP 2.4.2.4: S-1-5-80 and the SHA-1 of the name in upper case.
    """
    return _derived("S-1-5-80", name.upper())


def imitated(account: str) -> Account:
    """The account that a machine which is no Windows takes for this name or SID (what `check_account` returned).

    Accounts that every Windows has, services and IIS' application pools get the SIDs that they have there. A name with
    a domain gets one that follows from the name: the same on every such machine, and nobody's on a Windows.
    `NotFoundError` for a name without a domain that is no such account.
    """
    found = known(account)
    if found is not None:
        return found
    if is_sid(account):
        return Account(account, account)
    domain, _, name = account.partition("\\")
    if not name and "@" in account:  # user@domain, a user principal name
        name, _, domain = account.partition("@")
    if not domain or not name or "\\" in name:
        raise not_found(account)
    if domain.casefold() == "nt service":
        return Account(f"NT SERVICE\\{name}", service_sid(name))
    if domain.casefold() == "iis apppool":
        return Account(f"IIS APPPOOL\\{name}", _derived("S-1-5-82", name.lower()))
    if domain.casefold() in ("nt authority", "builtin"):  # all of which are known
        raise not_found(account)
    numbers = struct.unpack("<3I", _digest(domain.upper())[:12])
    number = 1000 + int.from_bytes(_digest(name.upper())[:3], "little")
    return Account(f"{domain.upper()}\\{name}", "-".join(["S-1-5-21", *map(str, numbers), str(number)]))


def _derived(prefix: str, name: str) -> str:
    return "-".join([prefix, *map(str, struct.unpack("<5I", _digest(name)))])


def _digest(name: str) -> bytes:
    return hashlib.sha1(name.encode("utf-16-le", "surrogatepass"), usedforsecurity=False).digest()
