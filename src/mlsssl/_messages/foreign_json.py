"""JSON from elsewhere: read in bounded time and memory, and the members of an object, each of the kind that it has."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from mlsssl._messages.arguments import check_data
from mlsssl._messages.foreign_text import shown
from mlsssl.errors import MalformedDataError

_LONGEST_TEXT = 64 * 1024 * 1024
_MOST_VALUES = 4_000_000
"""Commas and brackets in a JSON text: as many values at the most are made of it."""

_LONGEST_MEMBER = 1_000_000
"""Characters of a text in it; ten thousand names of a certificate have fewer."""


def read_json(text: str | bytes) -> object:
    """The document in a JSON text; as bytes in UTF-8, UTF-16 or UTF-32.

    Raises:
        MalformedDataError: it is none, or more than 64 MiB or four million values.
    """
    data = text.encode("utf-8", "replace") if isinstance(text, str) else check_data(text, "JSON is text or bytes")
    if len(data) > _LONGEST_TEXT:
        raise MalformedDataError(f"a JSON text of {len(data)} bytes is too long; at most {_LONGEST_TEXT} are read")
    if sum(data.count(sign) for sign in b",[{") > _MOST_VALUES:
        raise MalformedDataError(f"a JSON text with more than {_MOST_VALUES} values is not read")
    try:
        document: object = json.loads(data, parse_int=_whole, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise MalformedDataError(f"this is no JSON text: {str(error)[:200]}") from None
    return document


def _whole(digits: str) -> int:
    if len(digits) > 20:  # int() takes time that grows with the square
        raise ValueError("a number of more than 20 digits")
    return int(digits)


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no number")


def text_in(found: dict[str, Any], name: str) -> str | None:
    """A member that is text, or not there; ValueError for another, or one of more than a million characters."""
    value = found.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name} is a text, not {shown(value)}")
    if value is not None and len(value) > _LONGEST_MEMBER:
        raise ValueError(f"{name} has {len(value)} characters; at most {_LONGEST_MEMBER} are read")
    return value


def needed_text(found: dict[str, Any], name: str) -> str:
    """As `text_in`; KeyError for what is not there."""
    value = text_in(found, name)
    if value is None:
        raise KeyError(name)
    return value


def moment_in(found: dict[str, Any], name: str) -> dt.datetime | None:
    """A moment in ISO 8601, in UTC, or what is not there; ValueError for anything else, and without a time zone."""
    value = text_in(found, name)
    if value is None:
        return None
    moment = dt.datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(f"{name} has no time zone")
    return moment.astimezone(dt.timezone.utc)


def list_in(found: dict[str, Any], name: str, kind: type) -> list[Any]:
    """A list of texts (`str`) or objects (`dict`), empty where none is there; ValueError for anything else."""
    values = found.get(name, [])
    if not isinstance(values, list) or not all(isinstance(one, kind) for one in values):
        raise ValueError(f"{name} is a list of {'texts' if kind is str else 'objects'}")
    return values
