"""HTTP.sys' configuration calls through ctypes: declarations of the tests' own, apart from the library's.

Nothing here checks an argument: the point is to pass wrong ones too. Importable everywhere, usable on Windows.
"""

from __future__ import annotations

import ctypes
import ipaddress
import os
import socket
from typing import Any, Final

SSL: Final = 1
SNI: Final = 5
CCS: Final = 6
SCOPED_CCS: Final = 11
FAMILIES: Final = (SSL, SNI, CCS, SCOPED_CCS)

EXACT: Final = 0
NEXT: Final = 1

AF_INET: Final = 2
AF_INET6: Final = 23  # Windows' number, whatever this system's is

APP_ID: Final = bytes(range(16))


class Address(ctypes.Structure):
    """SOCKADDR_STORAGE, 128 bytes and 8-aligned; its beginning is a SOCKADDR_IN or SOCKADDR_IN6."""

    _fields_ = (("aligned", ctypes.c_uint64 * 16),)


class Param(ctypes.Structure):
    """HTTP_SERVICE_CONFIG_SSL_PARAM; every pointer as a number, so that a wrong one can be given."""

    _fields_ = (
        ("hash_length", ctypes.c_uint32),
        ("hash", ctypes.c_void_p),
        ("app_id", ctypes.c_uint8 * 16),
        ("store", ctypes.c_void_p),
        ("check_mode", ctypes.c_uint32),
        ("freshness_time", ctypes.c_uint32),
        ("retrieval_timeout", ctypes.c_uint32),
        ("ctl_identifier", ctypes.c_void_p),
        ("ctl_store", ctypes.c_void_p),
        ("flags", ctypes.c_uint32),
    )


class IpKey(ctypes.Structure):
    """HTTP_SERVICE_CONFIG_SSL_KEY."""

    _fields_ = (("address", ctypes.c_void_p),)


class SniKey(ctypes.Structure):
    """HTTP_SERVICE_CONFIG_SSL_SNI_KEY, also the key of scoped CCS."""

    _fields_ = (("address", Address), ("host", ctypes.c_void_p))


class CcsKey(ctypes.Structure):
    """HTTP_SERVICE_CONFIG_SSL_CCS_KEY."""

    _fields_ = (("address", Address),)


class IpSet(ctypes.Structure):
    """HTTP_SERVICE_CONFIG_SSL_SET."""

    _fields_ = (("key", IpKey), ("param", Param))


class SniSet(ctypes.Structure):
    """HTTP_SERVICE_CONFIG_SSL_SNI_SET."""

    _fields_ = (("key", SniKey), ("param", Param))


class CcsSet(ctypes.Structure):
    """HTTP_SERVICE_CONFIG_SSL_CCS_SET."""

    _fields_ = (("key", CcsKey), ("param", Param))


class IpQuery(ctypes.Structure):
    """HTTP_SERVICE_CONFIG_SSL_QUERY."""

    _fields_ = (("kind", ctypes.c_int32), ("key", IpKey), ("token", ctypes.c_uint32))


class SniQuery(ctypes.Structure):
    """HTTP_SERVICE_CONFIG_SSL_SNI_QUERY."""

    _fields_ = (("kind", ctypes.c_int32), ("key", SniKey), ("token", ctypes.c_uint32))


class CcsQuery(ctypes.Structure):
    """HTTP_SERVICE_CONFIG_SSL_CCS_QUERY."""

    _fields_ = (("kind", ctypes.c_int32), ("key", CcsKey), ("token", ctypes.c_uint32))


SETS: Final[dict[int, type[Any]]] = {SSL: IpSet, SNI: SniSet, CCS: CcsSet, SCOPED_CCS: SniSet}
QUERIES: Final[dict[int, type[Any]]] = {SSL: IpQuery, SNI: SniQuery, CCS: CcsQuery, SCOPED_CCS: SniQuery}


class Memory:
    """Owns what structures point at; keep it as long as they are used."""

    def __init__(self) -> None:
        self._kept: list[Any] = []

    def data(self, data: bytes) -> int:
        """Copy bytes and return their address, which is 8-aligned."""
        words = (ctypes.c_uint64 * (len(data) // 8 + 1))()
        ctypes.memmove(words, data, len(data))
        self._kept.append(words)
        return ctypes.addressof(words)

    def text(self, text: str) -> int:
        """Copy text as UTF-16 with its NUL and return its address."""
        return self.data(text.encode("utf-16-le") + b"\0\0")

    def structure(self, structure: Any) -> Any:
        """Keep a structure and return it."""
        self._kept.append(structure)
        return structure


def address_bytes(address: str, port: int) -> bytes:
    """Return a SOCKADDR_IN or SOCKADDR_IN6 as Windows lays it out."""
    parsed = ipaddress.ip_address(address)
    if parsed.version == 4:
        return AF_INET.to_bytes(2, "little") + port.to_bytes(2, "big") + parsed.packed + bytes(8)
    return AF_INET6.to_bytes(2, "little") + port.to_bytes(2, "big") + bytes(4) + parsed.packed + bytes(4)


def fill_key(memory: Memory, family: int, key: Any, address: str, port: int, host: str) -> None:
    """Fill a key structure of any family; what the family has no use for is left out."""
    raw = address_bytes(address, port)
    if family == SSL:
        key.address = memory.data(raw)
        return
    ctypes.memmove(ctypes.addressof(key.address), raw, len(raw))
    if family != CCS:
        key.host = memory.text(host)


def set_structure(
    memory: Memory,
    family: int,
    *,
    address: str = "0.0.0.0",
    port: int = 443,
    host: str = "a.example",
    thumbprint: bytes = b"",
    store: str | None = "MY",
    app_id: bytes = APP_ID,
    **options: int,
) -> Any:
    """Return the SET structure of a family, valid unless an argument makes it wrong.

    ``options`` are further fields of ``Param``, by name. Families without a certificate get no hash and no store.
    """
    structure = memory.structure(SETS[family]())
    fill_key(memory, family, structure.key, address, port, host)
    param = structure.param
    if family in (SSL, SNI):
        param.hash_length = len(thumbprint)
        param.hash = memory.data(thumbprint)
        param.store = None if store is None else memory.text(store)
    param.app_id[:] = app_id
    for name, value in options.items():
        setattr(param, name, value)
    return structure


def delete_structure(memory: Memory, family: int, **key: Any) -> Any:
    """Return the SET structure of a family with its key alone."""
    structure = memory.structure(SETS[family]())
    wanted: dict[str, Any] = {"address": "0.0.0.0", "port": 443, "host": "a.example", **key}
    fill_key(memory, family, structure.key, **wanted)
    return structure


def query_structure(memory: Memory, family: int, *, kind: int = EXACT, token: int = 0, **key: Any) -> Any:
    """Return the QUERY structure of a family; for NEXT its key stays zero, which no reader may mind."""
    structure = memory.structure(QUERIES[family]())
    structure.kind, structure.token = kind, token
    if kind != NEXT:
        wanted: dict[str, Any] = {"address": "0.0.0.0", "port": 443, "host": "a.example", **key}
        fill_key(memory, family, structure.key, **wanted)
    return structure


class HttpApi:
    """One loaded httpapi.dll. x64 Windows has one calling convention, so a plain ctypes library calls it right."""

    def __init__(self, name: str = "httpapi.dll") -> None:
        system32 = os.path.join(os.environ["SYSTEMROOT"], "System32")  # noqa: PTH118  # a Windows path, as text
        self.dll = ctypes.CDLL(f"{system32}\\{name}")

    def exports(self, name: str) -> bool:
        """Say whether the library exports a function."""
        return hasattr(self.dll, name)

    def initialize(self, version: int = 1, flags: int = 2, reserved: int | None = None) -> int:
        """HttpInitialize; ``version`` is the structure's four bytes as a number."""
        return self._call("HttpInitialize", ctypes.c_uint32(version), ctypes.c_uint32(flags), ctypes.c_void_p(reserved))

    def terminate(self, flags: int = 2, reserved: int | None = None) -> int:
        """HttpTerminate."""
        return self._call("HttpTerminate", ctypes.c_uint32(flags), ctypes.c_void_p(reserved))

    def set(self, family: int, structure: Any, **other: int | None) -> int:
        """HttpSetServiceConfiguration."""
        return self._change("HttpSetServiceConfiguration", family, structure, **other)

    def update(self, family: int, structure: Any, **other: int | None) -> int:
        """HttpUpdateServiceConfiguration."""
        return self._change("HttpUpdateServiceConfiguration", family, structure, **other)

    def delete(self, family: int, structure: Any, **other: int | None) -> int:
        """HttpDeleteServiceConfiguration."""
        return self._change("HttpDeleteServiceConfiguration", family, structure, **other)

    def query(
        self,
        family: int,
        structure: Any,
        output: int | None = None,
        output_length: int = 0,
        return_length: Any = None,
        *,
        length: int | None = None,
        handle: int | None = None,
        overlapped: int | None = None,
    ) -> int:
        """HttpQueryServiceConfiguration; ``return_length`` is a ctypes pointer, an address or None."""
        returned = return_length if return_length is not None else ctypes.c_void_p(None)
        size = ctypes.sizeof(structure) if length is None else length
        return self._call(
            "HttpQueryServiceConfiguration",
            ctypes.c_void_p(handle),
            ctypes.c_int32(family),
            ctypes.byref(structure),
            ctypes.c_uint32(size),
            ctypes.c_void_p(output),
            ctypes.c_uint32(output_length),
            returned,
            ctypes.c_void_p(overlapped),
        )

    def read(self, family: int, structure: Any) -> tuple[int, Found | None]:
        """Ask for the size, then for the record; return the last code and what was found."""
        needed = ctypes.c_uint32()
        code = self.query(family, structure, return_length=ctypes.byref(needed))
        if code != 122:
            return code, None
        buffer = (ctypes.c_uint64 * ((needed.value + 7) // 8))()
        code = self.query(family, structure, ctypes.addressof(buffer), needed.value, ctypes.byref(needed))
        return code, Found(family, buffer, needed.value) if code == 0 else None

    def listed(self, family: int) -> list[Found]:
        """Ask for every record of a family by rising tokens."""
        memory, records = Memory(), list[Found]()
        while True:
            code, found = self.read(family, query_structure(memory, family, kind=NEXT, token=len(records)))
            if found is None:
                assert code == 259, f"a listing ends with 259, not with {code}"
                return records
            records.append(found)

    def _change(
        self,
        function: str,
        family: int,
        structure: Any,
        *,
        length: int | None = None,
        handle: int | None = None,
        overlapped: int | None = None,
        pointer: int | None = None,
    ) -> int:
        size = ctypes.sizeof(structure) if length is None else length
        return self._call(
            function,
            ctypes.c_void_p(handle),
            ctypes.c_int32(family),
            ctypes.byref(structure) if pointer is None else ctypes.c_void_p(pointer),
            ctypes.c_uint32(size),
            ctypes.c_void_p(overlapped),
        )

    def _call(self, function: str, *arguments: Any) -> int:
        entry = getattr(self.dll, function)
        entry.restype = ctypes.c_uint32
        return int(entry(*arguments))


class StandIn(HttpApi):
    """The stand-in library, with the functions that only it has."""

    def reset(self) -> None:
        """Delete all records, disarm faults."""
        assert self._call("StandinReset") == 0

    def open_count(self) -> int:
        """Return how many initialisations have no termination yet."""
        return self._call("StandinOpenCount")

    def calls(self) -> int:
        """Return the calls counted since a fault was set, or the records were cleared."""
        return self._call("StandinCalls")

    def fail_call(self, number: int, code: int) -> None:
        """Let the n-th call from now do nothing and answer ``code``; 0 disarms."""
        self._call("StandinFailCall", ctypes.c_int32(number), ctypes.c_uint32(code))

    def kill_call(self, number: int, *, after: bool) -> None:
        """End this process at the n-th call from now, before or after its work; 0 disarms."""
        self._call("StandinKillCall", ctypes.c_int32(number), ctypes.c_int(after))

    def failed_function(self) -> str | None:
        """Return the name of the function that was failed on demand."""
        return self._text("StandinFailedFunction")

    def reason(self) -> str:
        """Return why the last call was refused."""
        return self._text("StandinReason") or ""

    def _text(self, function: str) -> str | None:
        entry = getattr(self.dll, function)
        entry.restype = ctypes.c_char_p
        said = entry()
        return said.decode("ascii") if isinstance(said, bytes) else None


class Found:
    """A record as it came back, copied out of its buffer; every pointer is checked to lie inside it."""

    def __init__(self, family: int, buffer: Any, length: int) -> None:
        self._start = ctypes.addressof(buffer)
        self._length = length
        structure = SETS[family].from_buffer(buffer)
        param = structure.param
        if family == SSL:
            kind = int.from_bytes(self._bytes(structure.key.address, 2), "little")
            raw = self._bytes(structure.key.address, 16 if kind == AF_INET else 28)
        else:
            raw = bytes(structure.key.address)
            kind = int.from_bytes(raw[:2], "little")
        packed = raw[4:8] if kind == AF_INET else raw[8:24]
        self.address = socket.inet_ntop(socket.AF_INET if kind == AF_INET else socket.AF_INET6, packed)
        self.port = int.from_bytes(raw[2:4], "big")
        self.host = self._text(structure.key.host) if family in (SNI, SCOPED_CCS) else None
        self.thumbprint = self._bytes(param.hash, param.hash_length) if param.hash is not None else None
        self.hash_length = int(param.hash_length)
        self.store = self._text(param.store)
        self.app_id = bytes(param.app_id)
        self.options = {
            name: int(getattr(param, name)) for name in ("check_mode", "freshness_time", "retrieval_timeout", "flags")
        }
        self.ctl_identifier = self._text(param.ctl_identifier)
        self.ctl_store = self._text(param.ctl_store)

    def _bytes(self, address: int, length: int) -> bytes:
        assert self._start <= address, "a pointer in the answer points before its buffer"
        assert address + length <= self._start + self._length, "a pointer in the answer points behind its buffer"
        return ctypes.string_at(address, length)

    def _text(self, address: int | None) -> str | None:
        if address is None:
            return None
        room = self._bytes(address, self._start + self._length - address)
        units = [room[at : at + 2] for at in range(0, len(room) - 1, 2)]
        return b"".join(units[: units.index(b"\0\0")]).decode("utf-16-le")
