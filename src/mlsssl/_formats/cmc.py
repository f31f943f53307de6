"""Full PKI responses of a certification authority (CMC, RFC 5272, section 3.2.1.2): what became of a request."""

from __future__ import annotations

from dataclasses import dataclass

from mlsssl._formats import der
from mlsssl._formats.identifiers import SIGNED_DATA
from mlsssl._formats.sniff import Kind, take
from mlsssl.errors import MalformedDataError

_PKI_RESPONSE = "1.3.6.1.5.5.7.12.3"
_STATUS_INFO = ("1.3.6.1.5.5.7.7.1", "1.3.6.1.5.5.7.7.25")  # id-cmc-statusInfo, and V2: alike as far as we read
_UTF8_STRING = 0x0C
_SIZE_LIMIT = 1024 * 1024
_MOST = 1000

SUCCESS, FAILED, PENDING = 0, 2, 3
"""RFC 5272, section 6.1.2: CMCStatus."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What a response says.

    Attributes:
        code: CMCStatus; `FAILED` and `PENDING` are two of them.
        text: What it says in words, in the authority's language; empty when it says nothing.
        token: What the request is known by while it is pending; empty when it is not.
    """

    code: int
    text: str = ""
    token: bytes = b""


def load_status(data: bytes) -> Status | None:
    """What the first status in a response says, in DER or PEM; None when the data is a PKCS#7 of another kind.

    Signatures are not checked: it is believed as much as the way that it came. `MalformedDataError` when it is damaged,
    no PKCS#7, or larger than 1 MiB.
    """
    if len(data) > _SIZE_LIMIT:
        raise MalformedDataError(f"{len(data)} bytes are too many for an authority's response")
    encoded = take(data, Kind.PKCS7)[0].data
    with der.decoding("full response (CMC)"):
        info = der.Fields(der.only(encoded))
        if der.oid(info.take()) != SIGNED_DATA:
            return None
        signed = der.Fields(der.inside(info.take()))
        for tag in (der.INTEGER, der.SET):  # version, digests
            signed.take(tag)
        content = der.Fields(signed.take(der.SEQUENCE))
        if der.oid(content.take()) != _PKI_RESPONSE:
            return None
        body = der.Fields(der.only(der.octets(der.inside(content.take()))))
        for control in der.members(body.take(), der.SEQUENCE, most=_MOST):
            attribute = der.Fields(control)
            attribute.take(der.INTEGER)  # bodyPartID
            if der.oid(attribute.take()) in _STATUS_INFO:
                values = der.members(attribute.take(), der.SET, most=_MOST)
                if not values:
                    raise MalformedDataError("the status in this full response (CMC) is empty")
                return _status(values[0])
    return None


def _status(element: der.Element) -> Status:
    fields = der.Fields(element)
    code = der.number(fields.take())
    fields.take(der.SEQUENCE)  # bodyList
    text = fields.optional(_UTF8_STRING)
    said = "" if text is None else text.contents.decode("utf-8", "replace")
    other = fields.optional(der.SEQUENCE)  # PendInfo; a failInfo is an INTEGER
    return Status(code=code, text=said, token=b"" if other is None else der.octets(der.Fields(other).take()))
