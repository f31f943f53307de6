"""Text as files have it: decoded, freed of what mail and editors add, taken apart into PEM blocks (RFC 7468)."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

from mlsssl.errors import InvalidInputError, MalformedDataError

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_BLOCKS = 1000
"""PEM blocks in one file."""

BASE64 = r"[A-Za-z0-9+/_-]+={0,2}"
"""Bare base64 as `base64_bytes` takes it."""

# What word processors, mail programs and web pages make of hyphens and blanks, and what nobody sees.
_DASHES = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"), "-")
_INVISIBLE = dict.fromkeys([0xAD, 0x200B, 0x200C, 0x200D, 0x200E, 0x200F, 0x2060, 0xFEFF, *range(0x202A, 0x202F)])
_BLANKS = dict.fromkeys([0xA0, 0x2007, 0x202F, 0x3000], " ")
_CLEANED = {**_DASHES, **_INVISIBLE, **_BLANKS}
BOUNDARY = r"-{4,6} ?(BEGIN|END) ([A-Z0-9#. ]{1,64}?) ?-{4,6}"
DASHES_MISSING = r"(?:^|\n)[ \t>]*-{0,3} ?BEGIN ([A-Z0-9 ]{1,64})\b"
_RULER = r"\n[ \t]*-{5,}[ \t\r]*(?=\n|\Z)"
HEADER = r"[A-Za-z][A-Za-z0-9-]*:[ \t]"


def decode_text(data: bytes) -> str | None:
    """`data` as text without byte order mark: as `decode_unicode`, else Windows-1252; None when it is no text."""
    text = decode_unicode(data)
    if text is None and not re.search(_BINARY, data):
        text = data.decode("cp1252", "replace")
    return text


def decode_unicode(data: bytes) -> str | None:
    """`data` as text without byte order mark, or None when it is neither UTF-16 nor UTF-8.

    UTF-16 is taken with a byte order mark (PowerShell 5.1 writes one with `>` and Out-File), and without one where
    every second byte of the beginning is zero.
    """
    head = data[:256]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    if len(head) >= 8 and not any(head[1::2]) and all(head[0::2]):
        return data.decode("utf-16-le", "replace")
    if len(head) >= 8 and not any(head[0::2]) and all(head[1::2]):
        return data.decode("utf-16-be", "replace")
    if re.search(_BINARY, data):
        return None
    try:
        return data.removeprefix(_BYTE_ORDER_MARK).decode()  # as utf-8-sig does, whose codec is a module to import
    except UnicodeDecodeError:
        return None


def password_line(data: bytes, where: str) -> str:
    """The first line of `data`, which is a password; `where` is what the error calls it.

    Raises:
        InvalidInputError: it is neither UTF-8 nor UTF-16.
    """
    text = decode_unicode(data[:-1] if data.endswith(b"\n") else data)  # a line of UTF-16 may end in half a character
    if text is None:
        raise InvalidInputError(f"{where} is not UTF-8 or UTF-16 text, so its password is not known for certain")
    return (text.splitlines() or [""])[0]


_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BINARY = rb"[\x00-\x08\x0e-\x19\x1b-\x1f]"  # a tab, line ends, form feed, and DOS's ^Z stand in text


def cleaned(text: str) -> str:
    """Text with plain hyphens and blanks, and without characters that nobody sees."""
    return text if text.isascii() else text.translate(_CLEANED)


def has_netsh_heading(text: str, word: str = "SSL") -> bool:
    """Whether a line of dashes stands under a heading as `netsh http show sslcert` prints it, in any language.

    "SSL" is translated in none, and tells it from the headings of netsh's other lists; "URL" that of `show urlacl`.
    """
    return any(
        word in text[text.rfind("\n", 0, ruler.start()) + 1 : ruler.start()][:200].upper()
        for ruler in re.finditer(_RULER, text)
    )


def base64_bytes(text: str) -> bytes | None:
    """The bytes of base64, also with the letters of URLs (RFC 4648, section 5) and without its padding."""
    bare = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def blocks(text: str, *, most: int = MOST_BLOCKS) -> Iterator[tuple[str, int, str]]:
    """Label, number of the BEGIN line, and what stands between BEGIN and END.

    Raises:
        MalformedDataError: a block does not end, or there are too many.
    """
    begun: tuple[str, int, int] | None = None
    line, counted, count = 1, 0, 0
    for boundary in re.finditer(BOUNDARY, text):
        line += text.count("\n", counted, boundary.start())
        counted = boundary.start()
        word, label = boundary.group(1), boundary.group(2).strip()
        if word == "BEGIN":
            if begun is not None:
                raise _cut_off(*begun[:2])
            count += 1
            if count > most:
                raise MalformedDataError(f"more than {most} PEM blocks in one file")
            begun = (label, line, boundary.end())
        elif begun is None:
            raise MalformedDataError(
                f"line {line} ends a PEM block ({label}) that has not begun: the beginning is missing"
            )
        elif label != begun[0]:
            raise MalformedDataError(
                f"the PEM block that begins in line {begun[1]} is a {begun[0]}, and its end says {label}"
            )
        else:
            yield label, begun[1], text[begun[2] : boundary.start()]
            begun = None
    if begun is not None:
        raise _cut_off(*begun[:2])


def between_blocks(text: str) -> str:
    """What stands outside of the blocks, once `blocks` has taken each of them."""
    parts: list[str] = []
    at = 0
    for boundary in re.finditer(BOUNDARY, text):
        if boundary.group(1) == "BEGIN":
            parts.append(text[at : boundary.start()])
        at = boundary.end()
    return "\n".join([*parts, text[at:]])


def _cut_off(label: str, line: int) -> MalformedDataError:
    return MalformedDataError(
        f"a PEM block ({label}) begins in line {line} and does not end: the file is cut off, or its END line is missing"
    )


def _without_quoting(line: str) -> str:
    """A line without what mail programs put before it and programming languages around it: `> …`, `"…" +`, `'…',`."""
    bare = line.lstrip(" \t>|#")
    if not bare.strip(" \t\"'+,;\\"):
        return ""
    if bare[:1] in ("'", '"') and bare.rfind(bare[0]) > 0:
        return bare[1 : bare.rfind(bare[0])].strip()
    # A quote without its other half is left of `"…\n" \`, where `\n` was a line break in a program.
    return bare.lstrip("\"'").rstrip(" \t\\\"'")


def split_headers(body: str, place: str) -> tuple[list[str], str]:
    """The headers of RFC 1421 (`Proc-Type`, `DEK-Info`), and the base64 without blanks and without quoting.

    Raises:
        MalformedDataError: something else stands in between.
    """
    bare = body.replace("\n", "")
    if re.fullmatch(BASE64, bare):  # as nearly every file is: nothing to take away
        return [], bare
    headers: list[str] = []
    encoded: list[str] = []
    for line in body.splitlines():
        content = _without_quoting(line)
        if not encoded and re.match(HEADER, content):
            headers.append(content)
        elif bare := "".join(content.split()).replace("=3D", "="):  # quoted-printable (RFC 2045) has it so
            if not re.fullmatch(BASE64, bare):
                raise MalformedDataError(
                    f"{place} holds a line that is no base64: it was changed by hand, or lines are missing"
                )
            encoded.append(bare)
    return headers, "".join(encoded)
