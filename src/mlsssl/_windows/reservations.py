"""URL reservations of HTTP.sys: `ReservationsPort` over httpapi.dll.

HTTP_SERVICE_CONFIG_URLACL_SET and …_QUERY of learn.microsoft.com/windows/win32/api/http. There is no update: the page
of HttpUpdateServiceConfiguration names TLS records only. Whether HTTP.sys takes two spellings of one prefix for one is
not documented, beyond that host and path are compared without case; so both are looked for here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mlsssl._formats.url_prefixes import UrlPrefix
from mlsssl._machine.ports import ReservationRecord
from mlsssl._messages.foreign_text import clean_logger
from mlsssl._native.cdata import NULL, ffi, wide
from mlsssl._windows.failures import reservation_failure
from mlsssl._windows.http_calls import (
    DELETE,
    FILE_NOT_FOUND,
    INVALID_PARAMETER,
    MOST_RECORDS,
    NO_MORE_ITEMS,
    NOT_SUPPORTED,
    QUERY,
    QUERY_EXACT,
    QUERY_NEXT,
    SET,
    query_record,
    session,
)
from mlsssl.errors import (
    InvalidInputError,
    MalformedDataError,
    NativeError,
    ReservationExistsError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlsssl._native.cdata import Buffer, CData
    from mlsssl._windows.dlls import HttpApi, HttpDlls


class _Kind(NamedTuple):
    config_id: int
    set_type: str
    query_type: str


_URLACL = _Kind(2, "HTTP_SERVICE_CONFIG_URLACL_SET", "HTTP_SERVICE_CONFIG_URLACL_QUERY")  # HttpServiceConfigUrlAclInfo


class WindowsReservations:
    """The URL reservations of this Windows' HTTP.sys (`ReservationsPort`)."""

    def __init__(self, dlls: HttpDlls) -> None:
        self._dlls = dlls

    def find(self, url: UrlPrefix) -> ReservationRecord | None:
        """The record, or None. `MalformedDataError` when it holds what no record of ours can."""
        with session(self._dlls) as api:
            found = _exact(api, url)
            return _in_another_spelling(api, url) if found is None else found

    def all(self) -> list[ReservationRecord]:
        """Every record, sorted by prefix; not a snapshot, as of bindings. The log `mlsssl` says what is left out."""
        with session(self._dlls) as api:
            return sorted(_enumerate(api), key=lambda record: record.url)

    def add(self, record: ReservationRecord) -> None:
        """HttpSetServiceConfiguration: a record for a prefix that has none, in no spelling.

        Empty text is refused here: what reads SDDL may take it for a descriptor without a list, which lets anybody in.
        """
        if not record.sddl.strip():
            raise InvalidInputError(f"the access list of {record.url} is empty: look at its SDDL")
        with session(self._dlls) as api:
            other = _in_another_spelling(api, record.url)
            if other is not None:
                raise ReservationExistsError(
                    f"{record.url} is reserved already, written {other.url.written}: update it, or remove it first"
                )
            structure, _owners = _encode(record.url, record.sddl)
            code = api.HttpSetServiceConfiguration(
                NULL, _URLACL.config_id, structure, ffi.sizeof(_URLACL.set_type), NULL
            )
            if code:
                raise reservation_failure(SET, code, record.url)

    def remove(self, url: UrlPrefix) -> None:
        """HttpDeleteServiceConfiguration; it takes the whole SET structure, of which it reads the key."""
        with session(self._dlls) as api:
            other = _in_another_spelling(api, url) if _exact(api, url) is None else None
            structure, _owners = _encode(url if other is None else other.url, None)
            code = api.HttpDeleteServiceConfiguration(
                NULL, _URLACL.config_id, structure, ffi.sizeof(_URLACL.set_type), NULL
            )
            if code:
                raise reservation_failure(DELETE, code, url)


def _encode(url: UrlPrefix, sddl: str | None) -> tuple[CData, list[CData]]:
    """A SET structure and the owners of what it points to."""
    structure = ffi.new(f"{_URLACL.set_type} *")
    owners = [wide(url.written)]
    structure.KeyDesc.pUrlPrefix = owners[0]
    if sddl is not None:
        owners.append(wide(sddl))
        structure.ParamDesc.pStringSecurityDescriptor = owners[1]
    return structure, owners


def _exact(api: HttpApi, url: UrlPrefix) -> ReservationRecord | None:
    query, text = ffi.new(f"{_URLACL.query_type} *", {"QueryDesc": QUERY_EXACT}), wide(url.written)
    query.KeyDesc.pUrlPrefix = text
    code, buffer = query_record(api, _URLACL, query)
    if code == FILE_NOT_FOUND:
        return None
    if code:
        raise reservation_failure(QUERY, code, url)
    return _decode(buffer)


def _in_another_spelling(api: HttpApi, url: UrlPrefix) -> ReservationRecord | None:
    """The first record of the same prefix in another spelling; None for a prefix that was read from a machine."""
    if url.stored is not None:
        return None
    same = (record for record in _enumerate(api) if record.url == url and record.url.written != url.written)
    return min(same, key=lambda record: record.url, default=None)


def _enumerate(api: HttpApi) -> Iterator[ReservationRecord]:
    query = ffi.new(f"{_URLACL.query_type} *", {"QueryDesc": QUERY_NEXT})
    for token in range(MOST_RECORDS):
        query.dwToken = token
        code, buffer = query_record(api, _URLACL, query)
        if code == NO_MORE_ITEMS:
            return
        if not token and code in (INVALID_PARAMETER, NOT_SUPPORTED):  # as for a family of bindings that is not known
            raise UnsupportedError("this Windows has no URL reservations")
        if code:
            raise reservation_failure(QUERY, code, None)
        try:
            yield _decode(buffer)
        except MalformedDataError as error:
            clean_logger("mlsssl").warning("left out of the listing: %s", error)


def _decode(buffer: Buffer) -> ReservationRecord:
    """The record at the start of a query's buffer; `MalformedDataError` when it cannot be one."""
    try:
        structure = buffer.view(_URLACL.set_type)
        url = buffer.text_at(structure.KeyDesc.pUrlPrefix)
        sddl = buffer.text_at(structure.ParamDesc.pStringSecurityDescriptor)
        return ReservationRecord(url=UrlPrefix.as_stored(url or ""), sddl=sddl or "")
    except (InvalidInputError, NativeError) as error:
        raise MalformedDataError(f"HTTP.sys holds a reservation that cannot be read: {error}") from error
