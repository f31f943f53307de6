"""Access lists in SDDL text, as HTTP.sys keeps them for URL reservations: read entry by entry, and made.

Only the discretionary list (`D:`) of a descriptor means something there, and of an entry the kind, the rights and the
account: "HTTP_SERVICE_CONFIG_URLACL_PARAM" of learn.microsoft.com/windows/win32/api/http. The grammar is "Security
Descriptor String Format" and "ACE Strings" of learn.microsoft.com/windows/win32/secauthz. A text is never written
anew: whoever keeps a foreign one keeps its characters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlsssl._messages.foreign_text import shown
from mlsssl.errors import MalformedDataError

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST = 65_535
"""Characters of a text that is read. An access list has at most 64 KiB (ACL.AclSize is a USHORT)."""

LISTEN, DELEGATE, EVERYTHING = "GX", "GW", "GA"
"""GENERIC_EXECUTE: HTTP_ALLOW_REGISTER_URL. GENERIC_WRITE: HTTP_ALLOW_DELEGATE_URL. GENERIC_ALL: both."""

_GENERIC_BITS = {"GA": 0x1000_0000, "GX": 0x2000_0000, "GW": 0x4000_0000, "GR": 0x8000_0000}
_LISTENS, _DELEGATES = 0x3000_0000, 0x5000_0000

# "SID Strings" of learn.microsoft.com/windows/win32/secauthz: those that name one account everywhere. The others (DA,
# LA, ...) are relative to a domain or to this computer.
ALIASES = {
    "AC": "S-1-15-2-1",
    "AN": "S-1-5-7",
    "AO": "S-1-5-32-548",
    "AU": "S-1-5-11",
    "BA": "S-1-5-32-544",
    "BG": "S-1-5-32-546",
    "BO": "S-1-5-32-551",
    "BU": "S-1-5-32-545",
    "CG": "S-1-3-1",
    "CO": "S-1-3-0",
    "ER": "S-1-5-32-573",
    "IS": "S-1-5-32-568",
    "IU": "S-1-5-4",
    "LS": "S-1-5-19",
    "LU": "S-1-5-32-559",
    "MU": "S-1-5-32-558",
    "NO": "S-1-5-32-556",
    "NS": "S-1-5-20",
    "NU": "S-1-5-2",
    "OW": "S-1-3-4",
    "PO": "S-1-5-32-550",
    "PS": "S-1-5-10",
    "PU": "S-1-5-32-547",
    "RC": "S-1-5-12",
    "RD": "S-1-5-32-555",
    "RE": "S-1-5-32-552",
    "SO": "S-1-5-32-549",
    "SU": "S-1-5-6",
    "SY": "S-1-5-18",
    "WD": "S-1-1-0",
    "WR": "S-1-5-33",
}

_SID = re.compile(r"S-1-(?:0x[0-9a-f]{1,12}|\d{1,15})(?:-(?:0x[0-9a-f]{1,8}|\d{1,10})){1,15}", re.IGNORECASE)
_FLAGS = r"(?:AI|AR|P|NO_ACCESS_CONTROL)*"
_ACES = r"(?:\([^()]*\))*"
_OWNER = rf"(?:O:(?:{_SID.pattern}|[A-Z]{{2}}))?(?:G:(?:{_SID.pattern}|[A-Z]{{2}}))?"
_DESCRIPTOR = re.compile(rf"{_OWNER}D:{_FLAGS}(?P<aces>{_ACES})(?:S:{_FLAGS}{_ACES})?", re.IGNORECASE)
_ACE = re.compile(r"\(([^()]*)\)")
_BETWEEN = re.compile(r"\)\s+\(")  # lists that were broken over lines have blanks there


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of an access list, its fields as they stand there.

    Attributes:
        kind: `A` allows, `D` denies; others mean nothing to HTTP.sys that is documented.
        flags: Of inheritance.
        rights: Two-letter words one behind another, or a number.
        account: A SID or a two-letter alias.
        more: What else stands in it: object GUIDs, conditions; empty as a rule.
    """

    kind: str
    flags: str
    rights: str
    account: str
    more: tuple[str, ...] = ()

    @property
    def sid(self) -> str | None:
        """The account's SID; None for an alias that means another account on each computer."""
        account = self.account.strip().upper()
        return account if _SID.fullmatch(account) else ALIASES.get(account)

    @property
    def mask(self) -> int | None:
        """The rights as bits; None when they hold a word other than the generic ones."""
        text = self.rights.strip().upper()
        if re.fullmatch(r"0X[0-9A-F]{1,8}", text):
            return int(text, 16)
        if re.fullmatch(r"0[0-7]{1,11}|[1-9]\d{0,9}", text):
            return int(text, 8 if text.startswith("0") else 10) & 0xFFFF_FFFF
        words = re.findall("..", text)
        if len(text) % 2 or not all(word in _GENERIC_BITS for word in words):
            return None
        bits = 0
        for word in words:
            bits |= _GENERIC_BITS[word]
        return bits

    @property
    def listens(self) -> bool:
        """Whether it is about registering the URL."""
        return bool((self.mask or 0) & _LISTENS)

    @property
    def delegates(self) -> bool:
        """Whether it is about reserving what lies below for others."""
        return bool((self.mask or 0) & _DELEGATES)

    @property
    def is_plain(self) -> bool:
        """Whether it is one as netsh writes it: allows, no flags, GX, GW or GA, nothing else."""
        bare = not self.flags.strip() and not any(one.strip() for one in self.more)
        return (
            bare and self.kind.strip().upper() == "A" and self.rights.strip().upper() in (LISTEN, DELEGATE, EVERYTHING)
        )


def entries(text: str) -> tuple[Entry, ...]:
    """The entries of a descriptor's access list, in their order.

    Raises:
        MalformedDataError: it is no security descriptor in SDDL with an access list (`D:`), or too long.
    """
    if len(text) > LONGEST:
        raise MalformedDataError(f"an SDDL text of {len(text)} characters is too long; at most {LONGEST} are read")
    found = _DESCRIPTOR.fullmatch(_BETWEEN.sub(")(", text.strip()))
    if found is None:
        raise MalformedDataError(
            f"{_shown(text)} is not an access list in SDDL, such as 'D:(A;;GX;;;S-1-5-20)': D: and an entry of six "
            "fields in parentheses for each account"
        )
    return tuple(_entry(inside, text) for inside in _ACE.findall(found["aces"]))


def _entry(inside: str, text: str) -> Entry:
    fields = inside.split(";")
    if len(fields) not in (6, 7):
        raise MalformedDataError(f"{_shown(text)}: the entry ({_shown(inside)}) has {len(fields)} fields, not six")
    kind, flags, rights, *guids, account = fields[:6]
    entry = Entry(kind, flags, rights, account, (*guids, *fields[6:]) if any(guids) or fields[6:] else ())
    word = entry.account.strip().upper()
    if not _SID.fullmatch(word) and not re.fullmatch("[A-Z]{2}", word):
        raise MalformedDataError(
            f"{_shown(text)}: {_shown(account)} is neither a SID (S-1-5-20) nor one of SDDL's two letters (NS); names "
            "of accounts are for user=, not for SDDL"
        )
    return entry


def _shown(text: str) -> str:
    """What was read, for a message; of what is no text at all nothing is shown."""
    return shown(text) if text.isprintable() else "this text"


def write(grants: Iterable[tuple[str, bool, bool]]) -> str:
    """The text that netsh makes of a SID, listen and delegate for each account; a right of the two must be there."""
    made = [f"(A;;{_rights(listen, delegate)};;;{sid})" for sid, listen, delegate in grants]
    return f"D:{''.join(made)}"


def _rights(listen: bool, delegate: bool) -> str:
    if listen:
        return EVERYTHING if delegate else LISTEN
    return DELEGATE


def same(one: str, other: str) -> bool:
    """Whether two texts say the same to HTTP.sys: a machine may give back WD for S-1-1-0, and no owner."""
    return one == other or _meaning(one) == _meaning(other)


def _meaning(text: str) -> object:
    try:
        found = entries(text)
    except MalformedDataError:
        return text
    # What is no entry, but for owner and group: flags, and how many entries each list has.
    around = "".join(_ACE.sub("()", text).upper().split()).partition("D:")[2]
    return around, tuple(_said(entry) for entry in found), text.upper().partition("S:(")[2]


def _said(entry: Entry) -> tuple[object, ...]:
    kind, flags, rights = (word.strip().upper() for word in (entry.kind, entry.flags, entry.rights))
    return kind, flags, entry.mask or rights, entry.sid or entry.account.strip().upper(), entry.more
