"""Values for people: tables that fit a terminal, else lists. No word is split: thumbprints, GUIDs, keys are copied."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from mlsssl._messages.foreign_text import printable

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Mapping, Sequence
    from typing import TypeAlias

    Lines: TypeAlias = "Iterator[tuple[str, str]]"

_GAP = 2
_INDENT = 4
_NOTHING = "-"


def table(rows: Sequence[Mapping[str, object]], columns: Mapping[str, str], width: int | None) -> Lines:
    """Lines, each with its style: `heading`, or the `severity` of its row.

    Args:
        rows: Values by the names of columns; more of them are left out, but for `severity`.
        columns: The heading of each column.
        width: Of the terminal, where cells are broken at blanks to fit; when even that does not do, each row becomes
            a list of its own. None for no limit.
    """
    cells = [[cell(row.get(name)) for name in columns] for row in rows]
    styles = [str(row.get("severity") or "") for row in rows]
    headings = list(columns.values())
    widths = _widths([headings, *cells], width)
    if widths is None:
        yield headings[0], "heading"
        for values, style in zip(cells, styles, strict=True):
            yield from _list(headings, values, style, width or 0)
        return
    for values, style in zip([headings, *cells], ["heading", *styles], strict=True):
        parts = [_broken(value, its) for value, its in zip(values, widths, strict=True)]
        for number in range(max(map(len, parts))):
            line = [part[number] if number < len(part) else "" for part in parts]
            yield (" " * _GAP).join(map(padded, line, widths)).rstrip(), style


def facts(values: Mapping[str, object], width: int | None) -> Lines:
    """A line for each value behind its name; a value that does not fit there has the next line."""
    shown = {name: cell(value) for name, value in values.items()}
    label = max(map(display_width, shown)) + _GAP
    for name, value in shown.items():
        for line in _fact(name, value, label, width):
            yield line, ""


def _widths(lines: Sequence[Sequence[str]], width: int | None) -> list[int] | None:
    """How wide each column is; None when the longest words of all columns do not fit beside each other."""
    columns = list(zip(*lines, strict=True))
    whole = [max(map(display_width, column)) for column in columns]
    if width is None:
        return whole
    words = [max(display_width(word) for value in column for word in value.split(" ")) for column in columns]
    room = width - _GAP * (len(columns) - 1)
    for most in range(min(max(whole), width), -1, -1):  # the widest columns become narrower first
        fitting = [max(word, min(full, most)) for word, full in zip(words, whole, strict=True)]
        if sum(fitting) <= room:
            return fitting
    return None


def _list(headings: Sequence[str], values: Sequence[str], style: str, width: int) -> Lines:
    """The first value, and below it the others that are there, each behind its heading."""
    for line in _broken(values[0], width):
        yield line, style
    label = max(map(display_width, headings[1:]), default=0) + 2 * _GAP
    for heading, value in zip(headings[1:], values[1:], strict=True):
        if value != _NOTHING:
            for line in _fact(f"{' ' * _GAP}{heading.lower()}", value, label, width):
                yield line, style


def _fact(name: str, value: str, label: int, width: int | None) -> Iterator[str]:
    if width is None:
        yield padded(name, label) + value
        return
    longest = max(map(display_width, value.split(" ")))
    if label + longest <= width:
        first, *others = _broken(value, width - label)
        yield padded(name, label) + first
        yield from (" " * label + line for line in others)
        return
    yield name
    indent = max(0, min(_INDENT, width - longest))
    yield from (" " * indent + line for line in _broken(value, width - indent))


def _broken(text: str, width: int) -> list[str]:
    """Text in lines of this width, broken at blanks only, so that a line is longer where a word is."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and display_width(lines[-1]) + 1 + display_width(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def plain_table(rows: Sequence[Mapping[str, object]], columns: Mapping[str, str]) -> str:
    """Rows as aligned text of any width, a line each."""
    return "\n".join(line for line, _ in table(rows, columns, None))


def cell(value: object) -> str:
    """A value as a table shows it; numbers with a fraction are days, of which the whole ones count."""
    if value is None:
        return _NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return str(math.floor(value))
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {cell(one)}" for name, one in value.items())
    if isinstance(value, (list, tuple)):
        value = ", ".join(cell(one) if isinstance(one, dict) else str(one) for one in value)
    return printable(str(value)) or _NOTHING


def display_width(text: str) -> int:
    """How many columns of a terminal printable text takes: two for a wide character (UAX #11), none for an accent."""
    if text.isascii():
        return len(text)
    import unicodedata  # for few texts

    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def padded(text: str, width: int) -> str:
    """Text with blanks behind it up to this width."""
    return text + " " * (width - display_width(text))


def validity_words(start: dt.datetime, end: dt.datetime, at: dt.datetime) -> str:
    """How much of a validity is left at a moment: `42 days left`, `expired 3 days ago`, `valid in 2 days`."""
    if at < start:
        return f"valid in {_whole_days(start - at)}"
    if at > end:
        return f"expired {_whole_days(at - end)} ago"
    return f"{_whole_days(end - at)} left"


def _whole_days(duration: dt.timedelta) -> str:
    days, hours = duration.days, duration.seconds // 3600
    if days:
        return "1 day" if days == 1 else f"{days} days"
    return "1 hour" if hours == 1 else f"{hours} hours"
