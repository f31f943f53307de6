"""The listen list and the numbers of HTTP.sys: `HttpSettingsPort` over httpapi.dll.

The ids IPListenList, Timeout, Cache and Setting of HTTP_SERVICE_CONFIG_ID, with the structures of those names in
learn.microsoft.com/windows/win32/api/http. The pages disagree about what a query of a time answers, its SET structure
or the number alone; the length says which it is.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from mlsssl._messages.foreign_text import clean_logger
from mlsssl._native.cdata import NULL, ffi
from mlsssl._native.codes import native_error
from mlsssl._windows.failures import setting_failure
from mlsssl._windows.http_calls import (
    DELETE,
    FILE_NOT_FOUND,
    INVALID_PARAMETER,
    NO_MORE_ITEMS,
    NOT_SUPPORTED,
    QUERY,
    SET,
    query_bytes,
    session,
)
from mlsssl.errors import UnsupportedError

if TYPE_CHECKING:
    from mlsssl._machine.ports import HttpNumber
    from mlsssl._native.cdata import CData
    from mlsssl._windows.dlls import HttpApi, HttpDlls
    from mlsssl.errors import MlssslError

_LISTEN_LIST = 0  # HttpServiceConfigIPListenList
_LISTEN_PARAM = "HTTP_SERVICE_CONFIG_IP_LISTEN_PARAM"
_STRUCTURES = {3: "TIMEOUT", 4: "CACHE", 7: "SETTING"}
_ALREADY_EXISTS = 183
_AF_INET, _AF_INET6 = 2, 23


class WindowsHttpSettings:
    """What this Windows' HTTP.sys is configured with besides bindings and reservations (`HttpSettingsPort`)."""

    def __init__(self, dlls: HttpDlls) -> None:
        self._dlls = dlls

    def listen_addresses(self) -> tuple[str, ...]:
        """The addresses in the listen list; the log `mlsssl` says of one that is none."""
        least = ffi.sizeof("HTTP_SERVICE_CONFIG_IP_LISTEN_QUERY")
        with session(self._dlls) as api:
            code, buffer, _ = query_bytes(api, _LISTEN_LIST, NULL, 0, least)
            # Which of these an empty list is answered is not documented, nor that it is none of them.
            if code in (FILE_NOT_FOUND, NO_MORE_ITEMS):
                return ()
            if code:
                raise setting_failure(QUERY, code, "the listen list")
            view = buffer.view("HTTP_SERVICE_CONFIG_IP_LISTEN_QUERY")
            size, start = (
                ffi.sizeof("SOCKADDR_STORAGE"),
                ffi.offsetof("HTTP_SERVICE_CONFIG_IP_LISTEN_QUERY", "AddrList"),
            )
            count = int(view.AddrCount)
            if start + count * size > buffer.size:
                raise native_error(QUERY, 13, "its answer points outside its own buffer")
            octets = buffer.bytes_at(ffi.cast("BYTE *", buffer.memory), start + count * size)
            found = [_address(octets[start + n * size : start + (n + 1) * size]) for n in range(count)]
        return tuple(address for address in found if address is not None)

    def add_listen_address(self, address: str) -> None:
        """HttpSetServiceConfiguration."""
        with session(self._dlls) as api:
            structure, _owner = _listen_param(address)
            size = ffi.sizeof(_LISTEN_PARAM)
            if code := api.HttpSetServiceConfiguration(NULL, _LISTEN_LIST, structure, size, NULL):
                raise setting_failure(SET, code, f"{address} in the listen list")

    def remove_listen_address(self, address: str) -> None:
        """HttpDeleteServiceConfiguration."""
        with session(self._dlls) as api:
            structure, _owner = _listen_param(address)
            size = ffi.sizeof(_LISTEN_PARAM)
            if code := api.HttpDeleteServiceConfiguration(NULL, _LISTEN_LIST, structure, size, NULL):
                raise setting_failure(DELETE, code, f"{address} in the listen list")

    def number(self, which: HttpNumber) -> int | None:
        """HttpQueryServiceConfiguration."""
        with session(self._dlls) as api:
            return _number(api, which)

    def set_number(self, which: HttpNumber, value: int) -> None:
        """HttpSetServiceConfiguration; where it refuses one that is there already, that is deleted first.

        Whether it refuses is not documented. Killed between the two, HTTP.sys goes by its own number until the next.
        """
        with session(self._dlls) as api:
            code = _set(api, which, value)
            if code == _ALREADY_EXISTS:
                before = _number(api, which)
                if (code := _delete(api, which)) == 0 and (code := _set(api, which, value)) and before is not None:
                    _set(api, which, before)
            if code:
                raise _number_failure(SET, code, which)

    def reset_number(self, which: HttpNumber) -> None:
        """HttpDeleteServiceConfiguration."""
        with session(self._dlls) as api:
            if code := _delete(api, which):
                raise _number_failure(DELETE, code, which)


def _number(api: HttpApi, which: HttpNumber) -> int | None:
    config_id, key = which.value
    query, whole = ffi.new("int32_t *", key), _set_type(which)
    code, buffer, length = query_bytes(api, config_id, query, ffi.sizeof("int32_t"), ffi.sizeof(whole))
    if code in (FILE_NOT_FOUND, NO_MORE_ITEMS):
        return None
    if code:
        raise _number_failure(QUERY, code, which)
    if length == ffi.sizeof(whole):
        return int(buffer.view(whole).ParamDesc)
    return int(buffer.view("USHORT" if config_id == 3 else "ULONG")[0])


def _set(api: HttpApi, which: HttpNumber, value: int) -> int:
    structure = ffi.new(f"{_set_type(which)} *", {"KeyDesc": which.value[1], "ParamDesc": value})
    return api.HttpSetServiceConfiguration(NULL, which.value[0], structure, ffi.sizeof(_set_type(which)), NULL)


def _delete(api: HttpApi, which: HttpNumber) -> int:
    structure = ffi.new(f"{_set_type(which)} *", {"KeyDesc": which.value[1]})
    return api.HttpDeleteServiceConfiguration(NULL, which.value[0], structure, ffi.sizeof(_set_type(which)), NULL)


def _set_type(which: HttpNumber) -> str:
    return f"HTTP_SERVICE_CONFIG_{_STRUCTURES[which.value[0]]}_SET"


def _number_failure(function: str, code: int, which: HttpNumber) -> MlssslError:
    if code == NOT_SUPPORTED or (code == INVALID_PARAMETER and function == QUERY):
        error: MlssslError = UnsupportedError(f"this Windows does not know {which.name} of HTTP.sys")
        error.__cause__ = native_error(function, code)
        return error
    return setting_failure(function, code, which.name)


def _listen_param(address: str) -> tuple[CData, CData]:
    """The structure of one address, and the owner of what it points to."""
    parsed = ipaddress.ip_address(address)
    if parsed.version == 4:
        socket_address = ffi.new("SOCKADDR_IN *", {"sin_family": _AF_INET, "sin_addr": parsed.packed})
        length = ffi.sizeof("SOCKADDR_IN")
    else:
        socket_address = ffi.new("SOCKADDR_IN6 *", {"sin6_family": _AF_INET6, "sin6_addr": parsed.packed})
        length = ffi.sizeof("SOCKADDR_IN6")
    structure = ffi.new(f"{_LISTEN_PARAM} *", {"AddrLength": length})
    structure.pAddress = ffi.cast("SOCKADDR *", socket_address)
    return structure, socket_address


def _address(storage: bytes) -> str | None:
    family = int.from_bytes(storage[:2], "little")
    if family == _AF_INET:
        return str(ipaddress.IPv4Address(storage[4:8]))
    if family == _AF_INET6:
        return str(ipaddress.IPv6Address(storage[8:24]))
    clean_logger("mlsssl").warning("left out of the listen list: an address of family %s", family)
    return None
