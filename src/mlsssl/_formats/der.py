"""DER and BER: the one reader and the one writer of tag, length and contents.

Three ways to read, on one reader of lengths: `split_sequence` gives places in DER without copying, for certificates, of
which it is most of the cost; `only`, `members`, `fields` and `Fields` give elements, and read the indefinite lengths
and pieces that BER allows in a PFX (RFC 7292, section 3). Work is bounded by the bytes: every count is limited by its
caller, and an indefinite length is looked for once on each level.

No library does it instead: asn1crypto's parser takes bytes without a place and so copies the rest of a list for each
member, its structures take three times as long as these elements, and it gives no places in a certificate.

The elements' functions raise ValueError for what they do not expect; call them inside `decoding`.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple

from mlsssl.errors import MalformedDataError, MlssslError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

INTEGER, OCTET_STRING, NULL, OBJECT_IDENTIFIER, BMP_STRING, SEQUENCE, SET = 0x02, 0x04, 0x05, 0x06, 0x1E, 0x30, 0x31
CONSTRUCTED = 0x20
CONTEXT_0, CONTEXT_1 = 0x80, 0x81
EXPLICIT_0 = CONTEXT_0 | CONSTRUCTED

_HIGH_NUMBER = 0x1F
_END_OF_CONTENTS = b"\0\0"
_DEPTH_LIMIT = 10
_MOST_FIELDS = 16
_MOST_PIECES = 100_000


@contextmanager
def decoding(what: str) -> Iterator[None]:
    """Turn whatever reading raises inside into `MalformedDataError`, naming `what` was being read."""
    try:
        yield
    except MlssslError:
        raise
    except (ValueError, RecursionError) as error:
        reason = str(error).strip().split("\n")[0][:200]
        raise MalformedDataError(f"this is not {what}, or it is damaged: {reason or type(error).__name__}") from None


# ---- places in DER ----


def read_tlv(data: bytes, position: int) -> tuple[int, int, int]:
    """The tag, the start of the content and its end, of the DER element at `position`; low tag numbers only.

    Raises:
        MalformedDataError: the element does not fit into `data`, or its length is not definite.
    """
    try:
        tag, length = data[position], data[position + 1]
        start = position + 2
        if length >= 0x80:
            count = length & 0x7F
            if not 1 <= count <= 4:
                raise MalformedDataError("a DER length is not definite or is absurdly long")
            length = int.from_bytes(data[start : start + count], "big")
            start += count
    except IndexError:
        raise MalformedDataError("DER ends in the middle of an element") from None
    if start + length > len(data):
        raise MalformedDataError("a DER element is longer than its container")
    return tag, start, start + length


def split_sequence(data: bytes, start: int, end: int) -> list[tuple[int, int, int, int]]:
    """The elements between `start` and `end`: tag, first byte, start of content, end.

    Raises:
        MalformedDataError: one of them does not fit.
    """
    elements = []
    try:
        while start < end:
            # The lengths that nearly every element has are read here: this loop is most of a certificate's cost.
            length, content = data[start + 1], start + 2
            if length == 0x82:
                length = data[content] << 8 | data[start + 3]
                content = start + 4
            elif length == 0x81:
                length = data[content]
                content = start + 3
            elif length >= 0x80:
                _, content, stop = read_tlv(data, start)
                length = stop - content
            stop = content + length
            if stop > end:
                raise MalformedDataError("a DER element is longer than its container")
            elements.append((data[start], start, content, stop))
            start = stop
    except IndexError:
        raise MalformedDataError("DER ends in the middle of an element") from None
    return elements


def dotted_oid(content: bytes) -> str:
    """An OBJECT IDENTIFIER's content as dotted text; unreadable content as hex."""
    if not content or content[-1] & 0x80 or len(content) > 64:
        return content[:16].hex() or "(none)"
    arcs: list[int] = []
    value = 0
    for byte in content:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            arcs.append(value)
            value = 0
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, [first, arcs[0] - 40 * first, *arcs[1:]]))


# ---- elements of BER ----


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


_element: Callable[[tuple[int, bytes, bytes]], Element] = partial(tuple.__new__, Element)  # half of what its own costs


def fields(sequence: Element, required: int, optional: int = 0) -> list[Element]:
    """The members of a SEQUENCE that has so many, and perhaps so many more; `ValueError` for another number."""
    found = _split(_tagged(sequence, SEQUENCE).contents, _MOST_FIELDS)
    if len(found) < required:
        raise ValueError("an element is missing")
    if len(found) > required + optional:
        raise _unexpected(found[required + optional])
    return found


class Fields:
    """The members of a SEQUENCE of which some may be left out, taken one after the other."""

    __slots__ = ("_left",)

    def __init__(self, element: Element) -> None:
        self._left = _split(_tagged(element, SEQUENCE).contents, _MOST_FIELDS)
        self._left.reverse()

    def take(self, tag: int | None = None) -> Element:
        """The next member, which must have this tag; any when None."""
        if not self._left:
            raise ValueError("an element is missing")
        element = self._left.pop()
        return element if tag is None else _tagged(element, tag)

    def optional(self, *tags: int) -> Element | None:
        """The next member if it has one of these tags, any when none is given; else None."""
        if self._left and (not tags or self._left[-1].tag in tags):
            return self._left.pop()
        return None

    def end(self) -> None:
        """`ValueError` when anything is left."""
        if self._left:
            raise _unexpected(self._left[-1])


def _unexpected(element: Element) -> ValueError:
    return ValueError(f"an unexpected element with the tag {element.tag:#04x}")


def only(data: bytes) -> Element:
    """The one element that `data` is."""
    size = len(data)
    if size > 3 and data[0] & _HIGH_NUMBER != _HIGH_NUMBER:  # as in `_split`, and nothing to copy but the contents
        length = data[1]
        if length == size - 2 < 0x80:
            return _element((data[0], data[2:], data))
        if length == 0x82 and data[2] << 8 | data[3] == size - 4:
            return _element((data[0], data[4:], data))
    found = _split(data, 1)
    if len(found) != 1:
        raise ValueError("there is nothing")
    return found[0]


def end_of(data: bytes) -> int:
    """Where the first element ends. `ValueError` when that cannot be told."""
    return _bounds(data, 0)[2]


def members(element: Element, tag: int, *, most: int) -> list[Element]:
    """What stands in an element that must have this tag; `ValueError` when it is more than `most`."""
    return _split(_tagged(element, tag).contents, most)


def _tagged(element: Element, tag: int) -> Element:
    if element.tag != tag:
        raise ValueError(f"an element with the tag {element.tag:#04x} stands where {tag:#04x} belongs")
    return element


def _split(data: bytes, most: int) -> list[Element]:
    found: list[Element] = []
    at, size = 0, len(data)
    try:
        for _ in range(most):
            if at == size:
                return found
            # The tags and lengths that nearly every element has are read here: it is most of what a PFX costs.
            tag, length = data[at], data[at + 1]
            if length < 0x80:
                content = at + 2
                end = content + length
            elif length == 0x82:
                content = at + 4
                end = content + (data[at + 2] << 8 | data[at + 3])
            elif length == 0x81:
                content = at + 3
                end = content + data[at + 2]
            else:
                return _split_any(data, most)
            if end > size or tag & _HIGH_NUMBER == _HIGH_NUMBER:
                return _split_any(data, most)
            found.append(_element((tag, data[content:end], data[at:end])))
            at = end
    except IndexError:
        return _split_any(data, most)
    if at < size:
        raise _too_many(most)
    return found


def _split_any(data: bytes, most: int) -> list[Element]:
    """The same for every tag and length; and it says what is wrong."""
    found: list[Element] = []
    at = 0
    while at < len(data):
        if len(found) >= most:
            raise _too_many(most)
        content, end, after = _bounds(data, at)
        found.append(Element(data[at], data[content:end], data[at:after]))
        at = after
    return found


def _too_many(most: int) -> ValueError:
    return ValueError(f"more than {most} elements, or bytes after the last")


def _bounds(data: bytes, at: int) -> tuple[int, int, int]:
    """Where the contents of the element at this place begin and end, and where the next element begins."""
    content, end = _header(data, at)
    if end is not None:
        return content, end, end
    after, open_ones = content, 1
    for _ in range(_MOST_PIECES):
        end = after
        if data[after : after + 2] == _END_OF_CONTENTS:
            after += 2
            open_ones -= 1
            if not open_ones:
                return content, end, after
            continue
        inner, stop = _header(data, after)
        if stop is None:
            open_ones += 1
            if open_ones > _DEPTH_LIMIT:
                raise ValueError("indefinite lengths nested too deep")
        after = inner if stop is None else stop
    raise ValueError(f"more than {_MOST_PIECES} elements in one of indefinite length")


def _header(data: bytes, at: int) -> tuple[int, int | None]:
    """Where the contents of the element at this place begin and end; None for an indefinite length."""
    if at >= len(data):
        raise ValueError("an indefinite length without an end")
    start = at
    if data[at] & _HIGH_NUMBER == _HIGH_NUMBER:  # a number that needs more octets: the last has no top bit
        start += 1
        while start < len(data) and data[start] & 0x80:
            start += 1
    if data[start + 1 : start + 2] == b"\x80" and data[at] & CONSTRUCTED:
        return start + 2, None
    try:
        return read_tlv(data, start)[1:]
    except MalformedDataError as error:
        raise ValueError(str(error)) from None  # `decoding` says what it was read for


def inside(element: Element) -> Element:
    """What an explicit tag [0] holds."""
    return only(_tagged(element, EXPLICIT_0).contents)


def oid(element: Element) -> str:
    """The dotted form of an OBJECT IDENTIFIER."""
    return _readable_oid(_tagged(element, OBJECT_IDENTIFIER).contents)


@lru_cache(maxsize=64)  # a file has the same few again and again; what cannot be read is not kept
def _readable_oid(contents: bytes) -> str:
    dotted = dotted_oid(contents)
    if "." not in dotted:
        raise ValueError("an object identifier cannot be read")
    return dotted


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


# ---- writing ----


def write(tag: int, *contents: bytes) -> bytes:
    """An element with these octets in it; of a constructed one its members, written already."""
    body = b"".join(contents)
    size = len(body)
    if size < 0x80:
        return bytes((tag, size)) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + body


def write_sequence(*members: bytes) -> bytes:
    """A SEQUENCE."""
    return write(SEQUENCE, *members)


def write_number(value: int) -> bytes:
    """An INTEGER that is not negative."""
    return write(INTEGER, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def write_oid(dotted: str) -> bytes:
    """An OBJECT IDENTIFIER."""
    first, second, *arcs = map(int, dotted.split("."))
    octets_of = bytearray()
    for arc in (40 * first + second, *arcs):
        groups = [arc >> shift & 0x7F for shift in range(0, max(arc.bit_length(), 1), 7)]
        octets_of += bytes([group | 0x80 for group in groups[:0:-1]]) + bytes(groups[:1])
    return write(OBJECT_IDENTIFIER, bytes(octets_of))


def write_bmp_string(text: str) -> bytes:
    """`text` as Windows writes it: UTF-16BE under the tag of BMPString, surrogate pairs included."""
    return write(BMP_STRING, text.encode("utf-16-be"))
