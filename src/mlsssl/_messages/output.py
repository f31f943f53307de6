"""Text for pages and for programs: HTML and JSON."""

from __future__ import annotations

import html
import json

from mlsssl._messages.arguments import check_number, check_type
from mlsssl._messages.foreign_text import printable


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
