"""`netsh http show urlacl` listings of any Windows version and display language to records, and records to text.

Labels are translated, values are not: a record begins at a line whose value is a URL, and its access list is the value
that is SDDL. Names of accounts are passed over, for they are in the language of that Windows; the SDDL says the same.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlsssl._formats import sddl
from mlsssl._formats.text import has_netsh_heading
from mlsssl._formats.url_prefixes import UrlPrefix
from mlsssl._machine import accounts
from mlsssl._machine.ports import ReservationRecord
from mlsssl._messages.arguments import check_callable, check_data, check_type, items_of
from mlsssl._messages.foreign_text import shown
from mlsssl._netsh.listing import NOTHING_AT_THE_KEY, SIZE_LIMIT, decode
from mlsssl.errors import InvalidInputError, MalformedDataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_URL = re.compile(r"[^:：]*[:：]\s*(https?://\S.*?)\s*", re.IGNORECASE)
_SDDL = re.compile(r"[^:：]*[:：]\s*((?:O:|G:|D:|S:).*?)\s*")
_LINE_LIMIT = sddl.LONGEST + 100  # a label, a colon, and an access list or prefix
_NO_LIST = re.compile(r"SDDL\s*[:：]\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlaclListing:
    """What a listing of reservations says.

    Attributes:
        records: In the order of the listing.
        notes: What could not be read, and that netsh was asked for one prefix and found nothing there.
    """

    records: tuple[ReservationRecord, ...]
    notes: tuple[str, ...]


def parse_urlacl_listing(text: str | bytes) -> UrlaclListing:
    """Read the output of `netsh http show urlacl`, in any display language.

    Args:
        text: The output, whole or in part; bytes as `parse_listing` takes them.

    Raises:
        MalformedDataError: it is no such listing; or a prefix has no access list; or more than 16 MiB.
    """
    lines = _lines(text)
    records = _records(lines)
    return UrlaclListing(records=records, notes=() if records else _notes_of_empty(lines))


def reservations_in(text: str | bytes) -> tuple[ReservationRecord, ...]:
    """The records in a text that need not have any: netsh's other lists may stand around them.

    `MalformedDataError` as `parse_urlacl_listing`, but for a text without a record.
    """
    return _records(_lines(text))


def _lines(text: str | bytes) -> list[str]:
    text = text if isinstance(text, str) else check_data(text, "a listing is text or bytes")
    if len(text) > SIZE_LIMIT:
        raise MalformedDataError(f"a listing of {len(text)} characters is too long; at most {SIZE_LIMIT} are read")
    lines = (line[:_LINE_LIMIT].strip() for line in decode(text).splitlines())
    return [line for line in lines if line]


def _records(lines: list[str]) -> tuple[ReservationRecord, ...]:
    records: list[ReservationRecord] = []
    url: str | None = None
    for line in lines:
        if found := _URL.fullmatch(line):
            if url is not None:
                raise MalformedDataError(f"{shown(url)} has no access list (SDDL) in this listing; it may be cut")
            url = found[1]
        elif url is not None and (found := _SDDL.fullmatch(line) or _NO_LIST.fullmatch(line)):
            records.append(_record(url, found[1] if found.re is _SDDL else ""))
            url = None
    if url is not None:
        raise MalformedDataError(f"{shown(url)} has no access list (SDDL) in this listing; it may be cut")
    return tuple(records)


def _record(url: str, text: str) -> ReservationRecord:
    try:
        return ReservationRecord(url=UrlPrefix.as_stored(url), sddl=text)
    except InvalidInputError as error:
        raise MalformedDataError(f"the reservation of {shown(url)} cannot be: {error}") from None


def _notes_of_empty(lines: list[str]) -> tuple[str, ...]:
    if has_netsh_heading("\n".join(lines[:2]), "URL"):
        lines = lines[2:]
        if not lines:
            return ()
    if len(lines) == 1 and lines[0].casefold() in NOTHING_AT_THE_KEY:
        return ("netsh was asked for one prefix, and it is not reserved",)
    raise MalformedDataError(
        "this is not a listing of netsh http show urlacl: no line has a URL, nor is it the heading over a line of "
        "dashes that netsh prints when nothing is reserved"
    )


def format_urlacl_listing(
    records: Iterable[ReservationRecord], *, name_of: Callable[[str], str | None] | None = None
) -> str:
    """The records as a current Windows in English prints them; `parse_urlacl_listing` reads it back.

    Args:
        records: The reservations.
        name_of: Gives the name of a SID, None or the SID itself where nobody has it; the English names that every
            Windows has, when not given.

    Raises:
        InvalidInputError: one of them is no record.
    """
    lines = ["", "URL Reservations:", "-" * 17, ""]
    check_callable(name_of, "name_of is a function from a SID to a name, or None")
    expected = "a list of records (UrlReservation.record) is needed"
    for record in items_of(records, expected):
        check_type(record, ReservationRecord, expected)
        lines.append(f"    Reserved URL            : {record.url.written}")
        found: tuple[sddl.Entry, ...] = ()
        with contextlib.suppress(MalformedDataError):
            found = sddl.entries(record.sddl)
        for entry in found:
            name = _name(entry, name_of)
            if name is None:
                lines.append("        Can't lookup sid, Error: 1332")
                continue
            lines.append(f"        User: {name if chr(92) in name else chr(92) + name}")
            lines.append(f"            Listen: {'Yes' if entry.listens else 'No'}")
            lines.append(f"            Delegate: {'Yes' if entry.delegates else 'No'}")
        lines += [f"            SDDL: {record.sddl}", ""]
    return "\n".join(lines)


def _name(entry: sddl.Entry, name_of: Callable[[str], str | None] | None) -> str | None:
    sid = entry.sid
    if sid is None:
        return None
    if name_of is not None:
        name = name_of(sid)
        return None if name == sid else name
    known = accounts.known(sid)
    return None if known is None else known.name
