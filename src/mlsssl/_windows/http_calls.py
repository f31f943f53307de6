"""The calls of httpapi.dll that bindings, reservations and settings share: one session each, and one query.

Every operation stands between one HttpInitialize and one HttpTerminate. Records are copied out of the buffer of their
query before it is given back. Functions and codes:
learn.microsoft.com/windows/win32/http/http-server-api-version-1-0-reference.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Protocol

from mlsssl._native.cdata import NULL, Buffer, ffi
from mlsssl._native.codes import native_error
from mlsssl._windows.failures import binding_failure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlsssl._native.cdata import CData
    from mlsssl._windows.dlls import HttpApi, HttpDlls

SET = "HttpSetServiceConfiguration"
UPDATE = "HttpUpdateServiceConfiguration"
DELETE = "HttpDeleteServiceConfiguration"
QUERY = "HttpQueryServiceConfiguration"

HTTP_INITIALIZE_CONFIG = 2
QUERY_EXACT = 0  # HttpServiceConfigQueryExact
QUERY_NEXT = 1  # HttpServiceConfigQueryNext

FILE_NOT_FOUND = 2
NOT_SUPPORTED = 50
INVALID_PARAMETER = 87
INSUFFICIENT_BUFFER = 122
MORE_DATA = 234
NO_MORE_ITEMS = 259
NO_SUCH_LOGON_SESSION = 1312

MOST_RECORDS = 1 << 20

_FIRST_BUFFER = 512  # bytes; most records fit, and a larger one costs one more call
_LARGEST_BUFFER = 1 << 20


class Kind(Protocol):
    """How a kind of record is spelt: HTTP_SERVICE_CONFIG_ID (the run-time numbers) and its structures."""

    @property
    def config_id(self) -> int:
        """HTTP_SERVICE_CONFIG_ID."""
        ...

    @property
    def set_type(self) -> str:
        """What is set and deleted, and what a query answers."""
        ...

    @property
    def query_type(self) -> str:
        """What a query asks with."""
        ...


@contextlib.contextmanager
def session(dlls: HttpDlls) -> Iterator[HttpApi]:
    """The API between HttpInitialize and HttpTerminate."""
    api = dlls.httpapi
    version = ffi.new("HTTPAPI_VERSION *", {"HttpApiMajorVersion": 1, "HttpApiMinorVersion": 0})
    if code := api.HttpInitialize(version[0], HTTP_INITIALIZE_CONFIG, NULL):
        raise binding_failure("HttpInitialize", code)
    try:
        yield api
    except BaseException:
        api.HttpTerminate(HTTP_INITIALIZE_CONFIG, NULL)  # its code would hide the first error
        raise
    if code := api.HttpTerminate(HTTP_INITIALIZE_CONFIG, NULL):
        raise native_error("HttpTerminate", code, "what was asked for was done before")


def query_record(api: HttpApi, kind: Kind, query: CData) -> tuple[int, Buffer]:
    """One record: the code and the buffer."""
    code, buffer, _ = query_bytes(api, kind.config_id, query, ffi.sizeof(kind.query_type), ffi.sizeof(kind.set_type))
    return code, buffer


def query_bytes(api: HttpApi, config_id: int, query: CData, size: int, least: int) -> tuple[int, Buffer, int]:
    """An answer: the code, the buffer, and how long it is. It may grow between two calls, hence the loop."""
    needed = ffi.new("ULONG *")
    room = max(_FIRST_BUFFER, least)
    while True:
        buffer = Buffer(QUERY, room)
        needed[0] = 0
        code = api.HttpQueryServiceConfiguration(NULL, config_id, query, size, buffer.memory, room, needed, NULL)
        if code not in (INSUFFICIENT_BUFFER, MORE_DATA):  # the page of the function names both
            return code, buffer, int(needed[0])
        room = max(2 * room, -(-int(needed[0]) // 8) * 8)
        if room > _LARGEST_BUFFER:
            raise native_error(QUERY, code, f"it asks for {int(needed[0])} bytes, which no record needs")
