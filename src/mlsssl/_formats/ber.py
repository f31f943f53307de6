"""Reading BER and DER element by element: a PFX is taken apart before any work is done, so that has to be quick.

asn1crypto's parser splits the bytes; its declared structures, which `_asn1` has for writing, take three times as long
to read. Everything here raises ValueError for what it does not expect: call it inside `_asn1.decoding`.
"""

from __future__ import annotations

import contextlib
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from asn1crypto import core, parser

if TYPE_CHECKING:
    from collections.abc import Callable

INTEGER, OCTET_STRING, OBJECT_IDENTIFIER, BMP_STRING, SEQUENCE, SET = 0x02, 0x04, 0x06, 0x1E, 0x30, 0x31
CONSTRUCTED = 0x20
CONTEXT_0, CONTEXT_1 = 0x80, 0x81
EXPLICIT_0 = CONTEXT_0 | CONSTRUCTED

_FIRST_LOOK = 4096
_DEPTH_LIMIT = 10
_MOST_FIELDS = 16
_MOST_PIECES = 100_000

_Parts = tuple[int, int, int, bytes, bytes, bytes]
_parse: Callable[[bytes], _Parts] = parser.parse


class Element(NamedTuple):
    """One element.

    Attributes:
        tag: Its first octet: class, constructed or not, and number; 31 for every number that needs more octets.
        contents: The octets in it; without the end-of-contents octets of an indefinite length.
        raw: All its octets as they stand.
    """

    tag: int
    contents: bytes
    raw: bytes


class Fields:
    """The members of a SEQUENCE, taken one after the other."""

    __slots__ = ("_left",)

    def __init__(self, element: Element, tag: int = SEQUENCE) -> None:
        self._left = members(element, tag, most=_MOST_FIELDS)
        self._left.reverse()

    def take(self, tag: int | None = None) -> Element:
        """The next member, which must have this tag; any when None."""
        if not self._left:
            raise ValueError("an element is missing")
        element = self._left.pop()
        if tag is not None and element.tag != tag:
            raise ValueError(f"an element with the tag {element.tag:#04x} stands where {tag:#04x} belongs")
        return element

    def optional(self, *tags: int) -> Element | None:
        """The next member if it has one of these tags, any when none is given; else None."""
        if self._left and (not tags or self._left[-1].tag in tags):
            return self._left.pop()
        return None

    def end(self) -> None:
        """`ValueError` when anything is left."""
        if self._left:
            raise ValueError(f"an unexpected element with the tag {self._left[-1].tag:#04x}")


def only(data: bytes) -> Element:
    """The one element that `data` is."""
    found = _split(data, 1)
    if len(found) != 1:
        raise ValueError("there is nothing")
    return found[0]


def members(element: Element, tag: int, *, most: int) -> list[Element]:
    """What stands in an element that must have this tag; `ValueError` when it is more than `most`."""
    if element.tag != tag:
        raise ValueError(f"an element with the tag {element.tag:#04x} stands where {tag:#04x} belongs")
    return _split(element.contents, most)


def _split(data: bytes, most: int) -> list[Element]:
    found: list[Element] = []
    at, end = 0, len(data)
    while at < end:
        if len(found) >= most:
            raise ValueError(f"more than {most} elements, or bytes after the last")
        kind, constructed, number, header, contents, trailer = _parse_at(data, at, end)
        after = at + len(header) + len(contents) + len(trailer)
        tag = kind << 6 | constructed << 5 | min(number, 31)
        found.append(Element(tag, contents, data[at:after]))
        at = after
    return found


def _parse_at(data: bytes, at: int, end: int) -> _Parts:
    """What the parser makes of the element at this place. It takes bytes without a place, so a window is cut out.

    A window that grows keeps the copies in proportion to the data: neither a long list nor a long element is copied
    again for each of its members.
    """
    window = _FIRST_LOOK
    while at + window < end:
        with contextlib.suppress(ValueError):  # cut short, or wrong: the last look tells
            return _parse(data[at : at + window])
        window *= 16
    return _parse(data[at:])


def inside(element: Element) -> Element:
    """What an explicit tag [0] holds."""
    if element.tag != EXPLICIT_0:
        raise ValueError(f"an element with the tag {element.tag:#04x} stands where an explicit [0] belongs")
    return only(element.contents)


def oid(element: Element) -> str:
    """The dotted form of an OBJECT IDENTIFIER."""
    if element.tag != OBJECT_IDENTIFIER:
        raise ValueError(f"an element with the tag {element.tag:#04x} stands where an object identifier belongs")
    return _dotted(element.raw)


@lru_cache(256)
def _dotted(raw: bytes) -> str:
    return str(core.ObjectIdentifier.load(raw).dotted)


def number(element: Element) -> int:
    """An INTEGER; longer than 8 bytes is refused, for nothing here counts so far."""
    if element.tag != INTEGER or not 1 <= len(element.contents) <= 8:
        raise ValueError(f"{len(element.contents)} bytes with the tag {element.tag:#04x} are no small INTEGER")
    return int.from_bytes(element.contents, "big", signed=True)


def octets(element: Element, tag: int = OCTET_STRING, *, depth: int = 0) -> bytes:
    """The bytes of an OCTET STRING, also under an implicit tag; its pieces joined when BER cut it."""
    if element.tag == tag:
        return element.contents
    if depth > _DEPTH_LIMIT:
        raise ValueError("an OCTET STRING in pieces of pieces")
    return b"".join(
        [octets(piece, depth=depth + 1) for piece in members(element, tag | CONSTRUCTED, most=_MOST_PIECES)]
    )
