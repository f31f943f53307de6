"""Objects as values that JSON has: one answer for each kind of value, whatever object it is in."""

from __future__ import annotations

import datetime as dt
import json
import uuid
from dataclasses import dataclass
from pathlib import PurePosixPath

import pytest

from mlsssl._formats.binding_keys import BindingFamily, IpPort
from mlsssl._messages.output import as_dict, as_json, to_json
from mlsssl.errors import InvalidInputError
from mlsssl.values import Thumbprint

MOMENT = dt.datetime(2026, 2, 3, 4, 5, 6, tzinfo=dt.timezone.utc)
GUID = "4dc3e181-e14b-4a21-b022-59fc669b0914"


@dataclass(frozen=True)
class Inner:
    family: BindingFamily
    thumbprint: Thumbprint | None


@dataclass(frozen=True)
class Outer:
    at: dt.datetime
    inner: tuple[Inner, ...]


class Told:
    def to_dict(self) -> dict[str, object]:
        return {"told": True}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        (True, True),
        (1.5, 1.5),
        ("text", "text"),
        (MOMENT, "2026-02-03T04:05:06+00:00"),
        (BindingFamily.CCS, "ccs"),
        (Thumbprint(bytes(20)), "00" * 20),
        (b"\x01\xff", "01ff"),
        (IpPort("::1", 443), "[::1]:443"),
        (uuid.UUID(GUID), GUID),
        (PurePosixPath("/a/b"), "/a/b"),
        ((1, (MOMENT,)), [1, ["2026-02-03T04:05:06+00:00"]]),
        ({"a": BindingFamily.CCS}, {"a": "ccs"}),
        (frozenset({"b", "a"}), ["a", "b"]),
        (Told(), {"told": True}),
    ],
)
def test_each_kind_has_one_form(value: object, expected: object) -> None:
    """And JSON takes it."""
    assert as_json(value) == expected
    assert json.loads(json.dumps(as_json(value))) == expected


def test_attributes_come_in_the_order_asked_for() -> None:
    """All fields of a dataclass, or those named; a dataclass within it without a text of its own likewise."""
    outer = Outer(MOMENT, (Inner(BindingFamily.IP_PORT, None),))
    inner = [{"family": "ipport", "thumbprint": None}]
    assert as_dict(outer) == {"at": "2026-02-03T04:05:06+00:00", "inner": inner}
    assert list(as_dict(outer, "inner", "at")) == ["inner", "at"]
    assert as_dict(outer, "inner") == {"inner": inner}


def test_an_indent_is_a_number_of_blanks() -> None:
    """One line without it; nothing else is taken."""
    assert to_json({"a": 1}, None) == '{"a": 1}'
    assert to_json({"a": "é"}, 1) == '{\n "a": "\\u00e9"\n}'
    with pytest.raises(InvalidInputError, match="indent"):
        to_json({}, -1)
