"""Values as text: HTML for pages, JSON for programs, tables for people."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING

from mlsssl._messages.arguments import check_number, check_type
from mlsssl._messages.foreign_text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def escaped(text: object, *, limit: int = 400) -> str:
    """Printable, cut at `limit` characters, and escaped for HTML and SVG, in an attribute too."""
    cleaned = printable(str(text))
    return html.escape(cleaned if len(cleaned) <= limit else f"{cleaned[: limit - 1]}…", quote=True)


def to_json(data: dict[str, object], indent: int | None) -> str:
    """`data` as ASCII JSON, on one line or indented by so many blanks."""
    if indent is not None:
        expected = "indent is a number of blanks from 0 to 1000, or None for one line"
        check_number(check_type(indent, int, expected), 0, 1000, expected)
    return json.dumps(data, indent=indent)


def plain_table(rows: Iterable[Mapping[str, object]], columns: Mapping[str, str]) -> str:
    """Rows as aligned text, two blanks between columns."""
    lines = [list(columns.values()), *([cell(row.get(key)) for key in columns] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines)


def cell(value: object) -> str:
    """A value as a table shows it."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return printable(", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value))
