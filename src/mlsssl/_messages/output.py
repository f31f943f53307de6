"""Values as text: HTML for pages, JSON for programs."""

from __future__ import annotations

import datetime as dt
import enum
from collections.abc import Mapping

from mlsssl._messages.arguments import check_whole
from mlsssl._messages.foreign_text import printable


def escaped(text: object, *, limit: int = 400) -> str:
    """Printable, cut at `limit` characters, and escaped for HTML and SVG, in an attribute too."""
    import html  # with a table of every name of a character, which only pages need

    cleaned = printable(str(text))
    return html.escape(cleaned if len(cleaned) <= limit else f"{cleaned[: limit - 1]}…", quote=True)


def as_dict(thing: object, *names: str) -> dict[str, object]:
    """These attributes of `thing`, in this order, each `as_json`; without names the fields of a dataclass."""
    if not names:
        from dataclasses import fields  # here, where one is loaded already: they are not free to import

        names = tuple(one.name for one in fields(thing))  # type: ignore[arg-type]  # a dataclass, then
    return {name: as_json(getattr(thing, name)) for name in names}


def as_json(value: object) -> object:
    """`value` as JSON has it.

    Moments become ISO 8601 text, enumerations their values, octets hex digits, tuples and (sorted) sets of text lists;
    an object becomes its `to_dict()`, a dataclass without a text of its own its fields, and everything else
    (thumbprints, binding keys, GUIDs, paths) its text.
    """
    if isinstance(value, enum.Enum):
        return value.value
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, dt.datetime):
        return value.isoformat()
    if type(value) is bytes:
        return value.hex()
    if isinstance(value, Mapping):
        return {name: as_json(one) for name, one in value.items()}
    if isinstance(value, (tuple, list)):
        return [as_json(one) for one in value]
    if isinstance(value, frozenset):
        return sorted(map(str, value))
    if (to_dict := getattr(value, "to_dict", None)) is not None:
        return to_dict()
    if type(value).__str__ is object.__str__:
        from dataclasses import is_dataclass

        if is_dataclass(value):
            return as_dict(value)
    return str(value)


def to_json(data: dict[str, object], indent: int | None) -> str:
    """`data` as ASCII JSON, on one line or indented by so many blanks."""
    if indent is not None:
        expected = "indent is a number of blanks from 0 to 1000, or None for one line"
        check_whole(indent, 0, 1000, expected)
    import json  # not free, and text for people does without

    return json.dumps(data, indent=indent)
