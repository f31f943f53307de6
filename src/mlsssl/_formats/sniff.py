"""What is this file really? Bytes in; the certificates, keys and other things found in them out, through any wrapping.

Every reader of a file begins here, so that a certificate is one whether it came as DER, as PEM, as base64 from a key
vault, as UTF-16 from PowerShell's `>`, inside JSON, or pasted from a mail. What is found is told by its content; a PEM
label is believed only where the content leaves it open (RFC 7468, section 2, wants parsers to be tolerant, and the
labels of PKCS#7 and keys are mixed up by well-known tools). What cannot be read is named, with the command that helps.

Work is bounded by the size of the data: each layer of wrapping makes it smaller, there are at most `_LAYERS` of
them, and at most `text.MOST_BLOCKS` PEM blocks.
"""

from __future__ import annotations

import re
from collections import Counter
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from mlsssl._formats import text as texts
from mlsssl._formats.der import end_of, read_tlv, split_sequence
from mlsssl._messages.foreign_text import shown
from mlsssl.errors import MalformedDataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LAYERS = 5
PADDING = b"\0 \t\r\n\x1a"
"""What may stand behind a file: ends of blocks of a disk, line ends of an editor, DOS's end of text."""


class Kind(str, Enum):
    """What an item is."""

    CERTIFICATE = "certificate"
    REQUEST = "certificate request"
    REVOCATION_LIST = "revocation list"
    PKCS7 = "PKCS#7 file"
    PFX = "PFX"
    PRIVATE_KEY = "private key"
    PVK = "PVK private key"
    PUBLIC_KEY = "public key"
    PARAMETERS = "key parameters"


class Item(NamedTuple):
    """One thing that was found.

    Attributes:
        kind: What it is.
        data: Its DER (PVK: its bytes); for a private key with PEM headers, which say how it is encrypted, the PEM text.
        place: Where it stood, for messages: `PEM block 2 (CERTIFICATE, line 31)`; empty when it is the whole file.
        trailing: Number of bytes behind its end.
    """

    kind: Kind
    data: bytes
    place: str = ""
    trailing: int = 0

    def check_end(self) -> None:
        """`MalformedDataError` for bytes behind the end, as where a shorter file was written over a longer one."""
        if self.trailing:
            place = f"{self.place}: " if self.place else ""
            what = "1 byte stands" if self.trailing == 1 else f"{self.trailing} bytes stand"
            raise MalformedDataError(f"{place}{what} behind the end of the {self.kind.value}")


class Recognised(NamedTuple):
    """What a file holds.

    Attributes:
        items: In the order of the file; at least one.
        wrappings: What was unwrapped, from outside in, in words: `UTF-16 text`, `base64`, `JSON`.
    """

    items: tuple[Item, ...]
    wrappings: tuple[str, ...] = ()

    def of(self, *kinds: Kind) -> list[Item]:
        """The items of these kinds."""
        return [item for item in self.items if item.kind in kinds]

    def __str__(self) -> str:
        """What the file holds, in words: `2 certificates and a private key`."""
        counts = Counter(item.kind for item in self.items)
        words = [f"a {kind.value}" if number == 1 else f"{number} {kind.value}s" for kind, number in counts.items()]
        return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def take(data: bytes, *kinds: Kind) -> list[Item]:
    """The items of these kinds in `data`; others in it are passed over.

    Raises:
        MalformedDataError: as `recognise` and `of_kinds`.
    """
    return of_kinds(recognise(data), *kinds)


def of_kinds(recognised: Recognised, *kinds: Kind) -> list[Item]:
    """The items of these kinds. `MalformedDataError` when there is none, or bytes stand behind the end of one."""
    found = recognised.of(*kinds)
    if not found:
        raise MalformedDataError(f"a {kinds[0].value} is needed, and this is {recognised}")
    for item in found:
        item.check_end()
    return found


def recognise(data: bytes) -> Recognised:
    """Find out what `data` is, and unwrap it.

    Raises:
        MalformedDataError: it is empty, cut off, or nothing that is read; the message says what it is or looks like,
            and how to convert it.
    """
    return _unwrap(bytes(data), (), 0)


def _unwrap(data: bytes, wrappings: tuple[str, ...], depth: int) -> Recognised:
    if not data.strip(PADDING):
        raise MalformedDataError(_emptiness(data))
    if items := _binary_items(data):
        return Recognised(items, wrappings)
    text = texts.decode_text(data) or texts.decode_text(data.rstrip(b"\0"))
    if text is None:
        raise MalformedDataError(f"these {len(data)} bytes are neither text nor a format that is known here")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data[:2]:
        wrappings = (*wrappings, "UTF-16 text")
        if b"-----BEGIN" in data:  # no UTF-16, and would be passed over as nonsense: `type a.pem >> b.pem`
            raise MalformedDataError(
                "this is UTF-16 text with text of another encoding in it, as where one file was appended to another; "
                "put them together anew, each in the same encoding"
            )
    if depth >= _LAYERS:
        raise MalformedDataError(f"more than {_LAYERS} layers of text around one another")
    return _from_text(text, wrappings, depth)


def _emptiness(data: bytes) -> str:
    if not data:
        return "the file is empty"
    return (
        "the file holds only zero bytes, as after a copy that failed" if b"\0" in data else "the file holds only blanks"
    )


# ---- binary ------------------------------------------------------------------------------------------------

_KEYTOOL = "convert it: keytool -importkeystore -srckeystore FILE -destkeystore new.p12 -deststoretype PKCS12"
_BKS = (
    f"a Bouncy Castle keystore (BKS); {_KEYTOOL} -srcstoretype BKS -providerpath bcprov.jar "
    "-provider org.bouncycastle.jce.provider.BouncyCastleProvider"
)
_OPENSSH = "an OpenSSH private key; convert a copy of it: ssh-keygen -p -m PEM -f COPY"
_PUTTY = "convert it: puttygen FILE -O private-openssh -o COPY, then ssh-keygen -p -m PEM -f COPY"
_SST = (
    "a serialized certificate store (.sst); in PowerShell: $all = [Security.Cryptography.X509Certificates."
    "X509Certificate2Collection]::new(); $all.Import('FILE'); [IO.File]::WriteAllBytes('new.p7b', $all.Export('Pkcs7'))"
)
_MSBLOB = "convert it: openssl rsa -inform MSBLOB -in FILE -out key.pem"
_FOREIGN: tuple[tuple[bytes, str], ...] = (
    (b"\xfe\xed\xfe\xed", f"a Java keystore (JKS); {_KEYTOOL}"),
    (b"\xce\xce\xce\xce", f"a Java keystore (JCEKS); {_KEYTOOL} -srcstoretype JCEKS"),
    (b"\0\0\0\1\0\0\0\x14", _BKS),
    (b"\0\0\0\2\0\0\0\x14", _BKS),
    (b"kych", "a keychain of macOS; export from it: security export -k FILE -t identities -f pkcs12 -o new.p12"),
    (b"\0\0\0\0CERT", _SST),
    (b"openssh-key-v1\0", _OPENSSH),
    (b"\x07\x02\0\0", f"a private key as Microsoft's MSBLOB; {_MSBLOB}"),
    (b"\x06\x02\0\0", "a public key as Microsoft's MSBLOB, without a certificate"),
    (b"RSA2", "a private key as Windows' BCRYPT_RSAPRIVATE_BLOB; export it as a PFX or as PKCS#8"),
    (b"RSA3", "a private key as Windows' BCRYPT_RSAFULLPRIVATE_BLOB; export it as a PFX or as PKCS#8"),
    *(
        (magic, "a private key as Windows' BCRYPT_ECCPRIVATE_BLOB; export it as a PFX or as PKCS#8")
        for magic in (b"ECS2\x20\0", b"ECS4\x30\0", b"ECS6\x42\0", b"ECK2\x20\0", b"ECK4\x30\0", b"ECK6\x42\0")
    ),
    (b"PK\x03\x04", "a ZIP archive; unpack it, and give the file inside"),
    (b"\x1f\x8b", "a gzip archive; unpack it, and give the file inside"),
    (b"MSCF", "a Windows cabinet; unpack it, and give the file inside"),
    (b"7z\xbc\xaf", "a 7-Zip archive; unpack it, and give the file inside"),
    (b"%PDF", "a PDF document"),
    (b"\x89PNG", "a picture (PNG)"),
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a Linux program"),
    (b"SQLite format 3\0", "a SQLite database: an embedded machine, given with --machine, or NSS's (pk12util -o)"),
    (b"\xd0\xcf\x11\xe0", "an old Microsoft Office document"),
)
_PVK_MAGIC = b"\x1e\xf1\xb5\xb0"


def _binary_items(data: bytes) -> tuple[Item, ...]:
    """The items of binary data, of which several may follow one another (`copy /b a.cer+b.cer both.cer`)."""
    items: list[Item] = []
    rest = data
    while len(items) < texts.MOST_BLOCKS and (item := _binary(rest)) is not None:
        items.append(item)
        rest = data[len(data) - item.trailing :] if item.trailing else b""
        if not rest.strip(PADDING):
            items[-1] = item._replace(trailing=0)
            break
        if rest[:1] != b"\x30" or not _is_whole(rest):
            break
        items[-1] = item._replace(trailing=0)
    return tuple(items)


def _is_whole(data: bytes) -> bool:
    """Whether something that is known begins here and ends before the data does."""
    try:
        _, start, end = read_tlv(data, 0)
        return _kind_of(data, start, end) is not None
    except MalformedDataError:
        return False


def _binary(data: bytes) -> Item | None:
    """The one item that binary data is, or None when it is no format known by its first bytes."""
    if data[:1] == b"\x30" and (found := _der_item(data)) is not None:
        return found
    if data.startswith(_PVK_MAGIC):
        return Item(Kind.PVK, data)
    for magic, what in _FOREIGN:
        if data.startswith(magic):
            raise MalformedDataError(f"this is {what}")
    return None


def _der_item(data: bytes) -> Item | None:
    """The item that begins `data`, or None when no ASN.1 SEQUENCE does (text may begin with the same byte)."""
    if data[1:2] == b"\x80":  # BER of indefinite length: PKCS#7 and PFX are written so, hardly anything else
        kind = {b"\x06": Kind.PKCS7, b"\x02": Kind.PFX, b"\x30": Kind.CERTIFICATE}.get(data[2:3])
        if kind is None:
            return None
        try:
            end = end_of(data)
        except ValueError:
            end = len(data)  # the readers say what is wrong with it
        return Item(kind, data[:end], trailing=len(data) - end)
    try:
        _, start, end = read_tlv(data, 0)
    except MalformedDataError:
        if texts.decode_text(data) is not None or len(data) < 4:
            return None
        if data[1:].startswith(_RUINED):
            raise MalformedDataError(f"this is {_AS_TEXT}") from None
        missing = _missing(data)
        raise MalformedDataError(
            f"the file is cut off: {missing} bytes are missing at its end"
            if missing
            else "this is no DER that can be read"
        ) from None
    found = _kind_of(data, start, end)
    if found is not None and 0 < len(data) - end == data.count(b"\n") == data.count(b"\r\n"):
        raise MalformedDataError(
            f"{len(data) - end} bytes are too many, one for each line end: a transfer in text mode has put a carriage "
            "return before each line feed; copy or download it again in binary mode"
        )
    return None if found is None else Item(found, data[:end], trailing=len(data) - end)


# What follows the first byte of DER, 82 or 80, once a program has read it as text and written it as UTF-8.
_RUINED_TEXT = ("\ufffd", "\u201a", "\u20ac", "\u00e9", "\u00c7", "\u0082", "\u0080")
_RUINED = tuple(character.encode() for character in _RUINED_TEXT)
_AS_TEXT = (
    "binary data that a program has read and written as text, as PowerShell's > does; that cannot be undone: copy, "
    "export or download it again as a file (in PowerShell with -OutFile)"
)


def _missing(data: bytes) -> int:
    count = data[1] & 0x7F if data[1] > 0x80 else 0
    if count > 4:
        return 0
    length = int.from_bytes(data[2 : 2 + count], "big") if count else data[1]
    return max(0, 2 + count + length - len(data))


_INTEGER, _BITS, _OCTETS, _OID, _SEQUENCE, _CONTEXT0 = 0x02, 0x03, 0x04, 0x06, 0x30, 0xA0
_TIMES = (0x17, 0x18)
_SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
_CONTENT_TYPES = {
    bytes.fromhex("2a864886f70d010701"): "data",
    bytes.fromhex("2a864886f70d010703"): "encrypted (enveloped) data",
    bytes.fromhex("2a864886f70d010706"): "encrypted data",
}


def _kind_of(data: bytes, start: int, end: int) -> Kind | None:
    """Which structure a SEQUENCE is, by the tags of its first elements (RFC 5280, 2986, 5652, 7292, 5208, 8017)."""
    try:
        parts = split_sequence(data, start, end)
        inner = split_sequence(data, parts[0][2], parts[0][3]) if parts and parts[0][0] == _SEQUENCE else []
    except MalformedDataError:
        return _by_first(data, start)
    tags = tuple(tag for tag, *_ in parts)
    if tags == (_SEQUENCE, _SEQUENCE, _BITS):
        return _signed_kind(inner)
    if tags[:1] == (_OID,):
        oid = data[parts[0][2] : parts[0][3]]
        if oid == _SIGNED_DATA:
            return Kind.PKCS7
        if oid in _CONTENT_TYPES:
            raise MalformedDataError(
                f"this is PKCS#7 (CMS) with {_CONTENT_TYPES[oid]}, which holds no readable certificate"
            )
        return Kind.PARAMETERS if len(parts) == 1 else None
    if tags[:2] == (_INTEGER, _SEQUENCE):
        version = data[parts[0][2] : parts[0][3]]
        return Kind.PFX if version == b"\x03" else Kind.PRIVATE_KEY
    if tags == (_SEQUENCE, _OCTETS) or tags[:2] == (_INTEGER, _OCTETS) or tags[:9] == (_INTEGER,) * 9:
        return Kind.PRIVATE_KEY
    if tags == (_SEQUENCE, _BITS) or tags == (_INTEGER, _INTEGER):
        return Kind.PUBLIC_KEY
    if tags[:5] == (_INTEGER,) * 5:
        return Kind.PRIVATE_KEY  # DSA's own form (OpenSSL): version, p, q, g, y, x
    if tags == (0x0A, _CONTEXT0):
        raise MalformedDataError("this is an OCSP response, which holds no certificate to use")
    return None


def _by_first(data: bytes, start: int) -> Kind | None:
    """For what is damaged further on: the readers say what is wrong with it. Text may begin with the same byte."""
    if texts.decode_text(data) is not None:
        return None
    if data[start : start + 3] == b"\x02\x01\x03":
        return Kind.PFX
    return {_SEQUENCE: Kind.CERTIFICATE, _OID: Kind.PKCS7}.get(data[start] if start < len(data) else 0)


def _signed_kind(inner: list[tuple[int, int, int, int]]) -> Kind:
    """Certificate, request or revocation list: all are something, an algorithm and a signature."""
    tags = [tag for tag, *_ in inner]
    if tags[:1] == [_CONTEXT0] or tags[:6] == [_INTEGER, *[_SEQUENCE] * 5]:
        return Kind.CERTIFICATE
    if tags[:3] == [_INTEGER, _SEQUENCE, _SEQUENCE] and tags[3:4] in ([_CONTEXT0], []):
        return Kind.REQUEST
    if any(tag in _TIMES for tag in tags[2:4]):
        return Kind.REVOCATION_LIST
    return Kind.CERTIFICATE


# ---- text --------------------------------------------------------------------------------------------------

# No file that is plain PEM or DER needs one.
_HEX = r"(?:[0-9A-Fa-f]{2}){16,}"
_HEX_MARKS = r"0x|[\s:,\\-]"
_DECIMAL = r"(?:[0-9]{1,3}[\s,]+){16,}[0-9]{1,3}"
_DUMP = r"(?m)^[ \t]*[0-9A-Fa-f]{4,16}:?[ \t]+(?:[0-9A-Fa-f]{2,4}[ \t]+){8}"
_PERCENT = r"-----BEGIN(?:%20|\+)[A-Z0-9%+]{1,80}-----%0"
_PERCENT_LABEL = r"-----(?:BEGIN|END)\+[A-Z0-9%+]{1,80}-----"
# The lines behind the first have nothing but base64, and padding ends it.
_BASE64_RUN = r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{40,}(?:[ \t\r]*\n[ \t]*[A-Za-z0-9+/]+(?=[ \t\r=]*(?:\n|\Z)))*={0,2}"
_CERTIFICATE_ELEMENT = r"<(?:\w{1,40}:)?X509Certificate(?:\s[^<>]{0,200})?>([^<]{1,1000000})</"


def _from_text(text: str, wrappings: tuple[str, ...], depth: int) -> Recognised:
    text = texts.cleaned(text)
    if "&#" in text:  # as XML writes line ends inside of attributes and elements
        from html import unescape  # with a table of every name of a character

        text = unescape(re.sub("&#[0-9]{8,};?", "\ufffd", text))  # Python converts no number of 4301 digits
    stripped = text.strip()
    if not stripped:
        raise MalformedDataError("the file holds only blanks")
    if stripped[0] in "{[" and (document := _json_of(stripped)) is not None:
        return _from_json(document, wrappings, depth)
    if re.search(texts.BOUNDARY, text):
        return _from_pem(text, wrappings, depth)
    if stripped[:1] == "<":
        return _from_markup(stripped, wrappings, depth)
    if re.search(_PERCENT, text):  # as proxies hand certificates on in HTTP headers
        # A plus sign is a blank in a label, as forms have it, and belongs to the base64 elsewhere.
        plain = unquote(re.sub(_PERCENT_LABEL, lambda label: label[0].replace("+", " "), text))
        return _from_text(plain, (*wrappings, "percent-encoding"), depth + 1)
    for how, decode in (("hexadecimal", _from_hex), ("decimal numbers", _from_decimal), ("base64", _from_base64)):
        if (inner := decode(stripped)) is not None:
            return _unwrap(inner, (*wrappings, how), depth + 1)
    if items := _encoded_items(text, depth):
        return Recognised(tuple(items), (*wrappings, "base64"))
    raise _unknown_text(stripped)


def _encoded_items(text: str, depth: int, *, pem_alone: bool = False) -> list[Item]:
    """What base64 in other text holds: a Kubernetes secret in YAML, LDIF, a mail of several parts, an environment file.

    Where some of it is PEM, what looks like DER is not looked at: it may be a signature or a ciphertext.
    """
    runs = (texts.base64_bytes("".join(run[0].split())) or b"" for run in re.finditer(_BASE64_RUN, text))
    found = [data for data in runs if _is_pem(data) or (not pem_alone and _is_der(data))]
    taken = [data for data in found if _is_pem(data)] or found
    if len(taken) > texts.MOST_BLOCKS:
        raise MalformedDataError(f"more than {texts.MOST_BLOCKS} certificates and keys in one file")
    return list(_once(item for data in taken for item in _unwrap(data, (), depth + 1).items))


def _is_der(data: bytes) -> bool:
    """Whether it begins as DER or BER of some size does, cut off or not; a short one has its very length."""
    return data[:1] == b"\x30" and (data[1] in (0x80, 0x81, 0x82, 0x83) or data[1] == len(data) - 2)


def _is_pem(data: bytes) -> bool:
    """Whether PEM is in it, also as UTF-16; whatever stands before it (`Bag Attributes`, a blank line)."""
    return b"-----BEGIN" in data.replace(b"\0", b"")


def _from_hex(text: str) -> bytes | None:
    """The bytes of hexadecimal digits, also as C and the registry write them; DER always begins with 30."""
    digits = re.sub(_HEX_MARKS, "", text)
    return bytes.fromhex(digits) if digits.startswith("30") and re.fullmatch(_HEX, digits) else None


def _from_decimal(text: str) -> bytes | None:
    """The bytes of decimal numbers, a line each: what `$certificate.RawData > FILE` writes in PowerShell 5.1."""
    if not text.startswith("48") or not re.fullmatch(_DECIMAL, text):
        return None
    numbers = [int(word) for word in text.replace(",", " ").split()]
    return bytes(numbers) if max(numbers) < 256 else None


def _from_base64(text: str) -> bytes | None:
    """The bytes of bare base64, also behind the headers of a mail's part (RFC 2045) or in a data: URL (RFC 2397)."""
    if text.startswith("data:") and "," in text:  # the first line of a Kubernetes secret has no comma
        text = text.partition(",")[2]
    lines = text.splitlines() or [""]
    if re.match(texts.HEADER, lines[0]) and "" in lines:
        lines = lines[lines.index("") :]
    bare = "".join(line.strip().strip("\"',") for line in lines)
    return texts.base64_bytes(bare) if len(bare) >= 16 and re.fullmatch(texts.BASE64, bare) else None


_TEXTS: tuple[tuple[str, str], ...] = (
    ("Windows Registry Editor", "an export of the registry (.reg), which certificates are not taken from"),
    ("[NewRequest]", "certreq's instructions (.inf), not a request; certreq -new FILE request.csr makes one"),
    ("[Version]", "certreq's instructions (.inf), not a request; certreq -new FILE request.csr makes one"),
    ("Certificate:", "the text that openssl x509 -text prints, without the certificate; openssl x509 gives it as PEM"),
    ("Certificate Request:", "the text that openssl req -text prints, without the request; openssl req gives it"),
    ("X509 Certificate:", "the text that certutil -dump prints, without the certificate itself"),
    ("System.Byte[]", "the name of a PowerShell type in place of bytes; write them by [IO.File]::WriteAllBytes"),
)


def _unknown_text(text: str) -> MalformedDataError:
    """What else it is. None of it is shown: it may be somebody's password."""
    first = text.split("\n", 1)[0].strip()[:2000]
    if match := re.match(r"([a-z][a-z0-9+.-]{1,20})://(?:[^/@\s]{1,200}@)?([^/?#\s]{1,300})\S*$", first):
        where = shown(f"{match[1]}://{match[2]}/")
        return MalformedDataError(f"this is a URL (at {where}), not the file that lies there; download it first")
    if re.match(r"(ssh-(rsa|dss|ed25519)|ecdsa-sha2-\S+) AAAA", first):
        return MalformedDataError("this is an SSH public key, which is no certificate")
    if first.startswith("PuTTY-User-Key-File-"):
        return MalformedDataError(f"this is a PuTTY private key; {_PUTTY}")
    for beginning, what in _TEXTS:
        if first.startswith(beginning):
            return MalformedDataError(f"this is {what}")
    if texts.has_netsh_heading(text):
        return MalformedDataError(
            "this is a listing of netsh http show sslcert, which has thumbprints and no certificates; read it with "
            "netsh.parse_listing(...)"
        )
    if text.startswith(tuple(f"0{character}" for character in _RUINED_TEXT)):
        return MalformedDataError(f"this is {_AS_TEXT}")
    if re.search(_DUMP, text):
        return MalformedDataError(
            "this is a hexadecimal dump; make the file from it again: certutil -decodehex DUMP FILE, xxd -r DUMP FILE"
        )
    if match := re.search(texts.DASHES_MISSING, text):
        return MalformedDataError(
            f"the line BEGIN {match[1].strip()} has lost its hyphens: five stand before and behind it"
        )
    return MalformedDataError("this is text, but no PEM, base64 or JSON with a certificate or key in it")


def _json_of(text: str) -> object:
    """The JSON document, or None when it is none."""
    import json  # for such texts alone

    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _from_json(document: object, wrappings: tuple[str, ...], depth: int) -> Recognised:
    """Every item in any string of a JSON document: Vault, cloud managers, `kubectl get secret -o json`."""
    items: list[Item] = []
    for name, value in _strings(document):
        try:
            inner = _unwrap(value.encode("utf-8", "replace"), (), depth + 1)
        except MalformedDataError:
            if "-----BEGIN" in value or _is_pem(texts.base64_bytes("".join(value.split())) or b""):
                raise
            # else it is some other string of the document
            continue
        items += (
            item._replace(place=f"JSON field {shown(name)}" + (f", {item.place}" if item.place else ""))
            for item in inner.items
        )
        if len(items) > texts.MOST_BLOCKS:
            raise MalformedDataError(f"more than {texts.MOST_BLOCKS} certificates and keys in one file")
    if not items and isinstance(document, dict) and "kty" in document:
        raise MalformedDataError("this is a JSON Web Key (RFC 7517) without a certificate (x5c)")
    if not items:
        raise MalformedDataError("this is JSON without a certificate or key in any of its strings")
    return Recognised(tuple(_once(items)), (*wrappings, "JSON"))


def _once(items: Iterable[Item]) -> Iterator[Item]:
    """Each thing once: a vault's answer has a certificate alone and again in its chain."""
    seen: set[tuple[Kind, bytes]] = set()
    for item in items:
        if (item.kind, item.data) not in seen:
            seen.add((item.kind, item.data))
            yield item


def _strings(document: object) -> Iterator[tuple[str, str]]:
    """Every string of a JSON document with the name of its field, in the document's order."""
    waiting: list[tuple[str, object]] = [("", document)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, str):
            if len(value) >= 16:
                yield name, value
        elif isinstance(value, dict):
            waiting += [(str(key), inner) for key, inner in reversed(value.items())]
        elif isinstance(value, list) and value[:1] == [48] and all(type(one) is int for one in value):
            # the bytes of DER, as PowerShell's ConvertTo-Json writes them
            yield name, "\n".join(map(str, value))
        elif isinstance(value, list):
            waiting += [(name, inner) for inner in reversed(value)]


def _from_markup(text: str, wrappings: tuple[str, ...], depth: int) -> Recognised:
    found = re.findall(_CERTIFICATE_ELEMENT, text)
    if found:
        items = [item for one in found[: texts.MOST_BLOCKS] for item in _unwrap(one.encode(), (), depth + 1).items]
        return Recognised(tuple(_once(items)), (*wrappings, "XML"))
    if items := _encoded_items(text, depth):
        return Recognised(tuple(items), (*wrappings, "XML"))
    if re.match(r"<(!doctype html|html|head|body)\b", text, re.IGNORECASE):
        title = re.search(r"<title[^>]{0,200}>([^<]{1,200})", text, re.IGNORECASE)
        named = f" ({shown(' '.join(title.group(1).split()))})" if title else ""
        raise MalformedDataError(
            f"this is an HTML page{named}, not a certificate: a server answered with a page; download it again"
        )
    raise MalformedDataError("this is XML without an X509Certificate element")


# ---- PEM ---------------------------------------------------------------------------------------------------

_NAMED_LABELS = {
    "OPENSSH PRIVATE KEY": _OPENSSH,
    "SSH2 ENCRYPTED PRIVATE KEY": "an SSH2 private key; convert it: ssh-keygen -i -f FILE",
    "SSH2 PUBLIC KEY": "an SSH public key, which is no certificate",
    "TSS2 PRIVATE KEY": "a private key that a TPM keeps, which no file gives away; make a new key for the certificate",
    "PGP PUBLIC KEY BLOCK": "an OpenPGP key, which is no X.509 certificate",
    "PGP PRIVATE KEY BLOCK": "an OpenPGP key, which is no X.509 certificate",
    "PGP MESSAGE": "an OpenPGP message",
    "PGP SIGNED MESSAGE": "an OpenPGP message",
    "ATTRIBUTE CERTIFICATE": "an attribute certificate (RFC 5755), which no server can use",
}


_ODD_BOUNDARY = (
    r"(?im)^[ \t>]*-{0,6} ?BEGIN ((?:[A-Z0-9]{1,20} ){0,3}(?:CERTIFICATE|REQUEST|KEY|CRL|PKCS7|PKCS12|CMS)) ?-{0,6}"
    r"[ \t]*\n[ \t>]*[A-Z0-9+/]{40,}"
)
_OURS = r"CERT|KEY|CRL|PKCS|CMS|SIGNED|REQUEST"
"""Labels of blocks that are never passed over."""


def _from_pem(text: str, wrappings: tuple[str, ...], depth: int) -> Recognised:
    """The items of all PEM blocks; text before, between and behind them is passed over (RFC 7468, section 2)."""
    if "\\n" in text:  # an environment variable or a JSON string, written down as it was quoted
        text = text.replace("\\r", "").replace("\\n", "\n")
        wrappings = (*wrappings, "backslash-n instead of line breaks")
    items: list[Item] = []
    unsupported: list[str] = []
    for number, (label, line, body) in enumerate(texts.blocks(text), 1):
        place = f"PEM block {number} ({label}, line {line})"
        if label in _NAMED_LABELS:
            unsupported.append(f"{place} is {_NAMED_LABELS[label]}")
            if "PRIVATE KEY" in label:  # which is never passed over
                break
            continue
        headers, encoded = texts.split_headers(body, place)
        if any(header.startswith("Proc-Type:") and "ENCRYPTED" in header for header in headers):
            lines = [encoded[at : at + 64] for at in range(0, len(encoded), 64)]
            armoured = [f"-----BEGIN {label}-----", *headers, "", *lines, f"-----END {label}-----", ""]
            items.append(Item(Kind.PRIVATE_KEY, "\n".join(armoured).encode(), place))
            continue
        items += _block_items(encoded, label, place, depth)
    between = texts.between_blocks(text)
    if match := re.search(_ODD_BOUNDARY, between):
        raise MalformedDataError(
            f"a line in it begins another PEM block and is not written as it must be: write BEGIN {match[1].upper()} "
            "in capital letters, with five hyphens before and behind it, and its END likewise"
        )
    if items and not any("private key" in one for one in unsupported):
        encoded_items = _encoded_items(between, depth, pem_alone=True)
        return Recognised(tuple(_once([*items, *encoded_items]) if encoded_items else items), wrappings)
    raise MalformedDataError(unsupported[-1] if unsupported else "no certificate and no private key in this PEM text")


def _block_items(encoded: str, label: str, place: str, depth: int) -> list[Item]:
    data = texts.base64_bytes(encoded)
    if not data:
        raise MalformedDataError(
            f"{place} is empty or no base64 that can be read: characters are missing or were added"
        )
    if b"-----BEGIN" in data[:200]:  # base64 of PEM, in PEM again
        inner = _unwrap(data, (), depth + 1).items
        return [item._replace(place=f"{place}, {item.place}") for item in inner]
    try:
        item = _binary(data)
    except MalformedDataError as error:
        raise MalformedDataError(f"{place}: {error}") from None
    if item is None and label.endswith("PARAMETERS"):
        item = Item(Kind.PARAMETERS, data)
    if item is None and not re.search(_OURS, label):
        return []
    if item is None:
        raise MalformedDataError(f"{place} holds nothing that is known: neither a certificate nor a key nor a list")
    # OpenSSL writes its trust settings behind the certificate of a TRUSTED CERTIFICATE.
    trailing = 0 if label == "TRUSTED CERTIFICATE" else item.trailing
    return [item._replace(place=place, trailing=trailing)]
