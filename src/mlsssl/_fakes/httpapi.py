"""A fake httpapi.dll: the documented codes, strict about lengths and pointers, records in a dictionary.

Where the documentation is silent the fake takes the stricter side, and says so beside it.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mlsssl._fakes.calls import Calls, Fake, Misuse, returns_code
from mlsssl._fakes.http_config import SETS
from mlsssl._native.cdata import NULL, address_of, ffi, get_guid, set_guid, text_at

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from mlsssl._fakes.http_config import HttpConfig
    from mlsssl._native.cdata import CData

    CheckCertificate = Callable[[bytes, str], int]
    """SHA-1 and LocalMachine store to the code of HTTP.sys's own check: 0, or 1312."""

SUCCESS, FILE_NOT_FOUND, ACCESS_DENIED, INVALID_HANDLE = 0, 2, 5, 6
INVALID_PARAMETER, INSUFFICIENT_BUFFER, ALREADY_EXISTS, NO_MORE_ITEMS = 87, 122, 183, 259
NO_SUCH_LOGON_SESSION = 1312

IP, SNI, CCS, SCOPED_CCS = 1, 5, 6, 11
_STRUCTURES = {IP: "SSL", SNI: "SSL_SNI", CCS: "SSL_CCS", SCOPED_CCS: "SSL_SNI"}
_NUMBERS = (
    "DefaultCertCheckMode",
    "DefaultRevocationFreshnessTime",
    "DefaultRevocationUrlRetrievalTimeout",
    "DefaultFlags",
)
_TEXTS = ("pSslCertStoreName", "pDefaultSslCtlIdentifier", "pDefaultSslCtlStoreName")


NO_OWNER = uuid.UUID(int=0)


@dataclass(frozen=True, kw_only=True)
class SslRecord:
    """A record as HTTP.sys keeps it: whatever a structure can say, sensible or not.

    Attributes:
        config_id: HTTP_SERVICE_CONFIG_ID.
        address: The bytes of a SOCKADDR_IN or SOCKADDR_IN6.
        host: For the families with a host name.
        digest: SHA-1, or empty.
        app_id: The owner.
        numbers: The four DWORDs by field name.
        texts: The three strings by field name.
    """

    config_id: int
    address: bytes
    host: str | None = None
    digest: bytes = b""
    app_id: uuid.UUID = NO_OWNER
    numbers: dict[str, int] = field(default_factory=dict)
    texts: dict[str, str | None] = field(default_factory=dict)

    @property
    def key(self) -> tuple[int, bytes, str]:
        """What it is filed under; host names compare byte by byte (the stricter side: nothing documents more)."""
        return self.config_id, self.address, self.host or ""


class FakeHttpApi(Fake):
    """httpapi.dll (`mlsssl._windows.dlls.HttpApi`).

    Args:
        calls: Shared with the other fakes.
        check_certificate: HTTP.sys's look at the certificate on Set and Update; None passes everything.
        families: The ids that this Windows knows.
        has_update: False is a Windows before 10 1703: the export is missing.
        administrator: False answers 5 to whatever changes something.
        known_flags: DefaultFlags bits that this Windows takes; others are answered 87.
        keeps_ccs_options: Whether options of a plain CCS record are kept, rather than answered 87 (the stricter side).
        records: Where the records are kept, for more than one process; its own when None.
        config: What is not about TLS; None is a Windows that knows TLS records only.
    """

    def __init__(
        self,
        calls: Calls,
        *,
        check_certificate: CheckCertificate | None = None,
        families: Collection[int] = (IP, SNI, CCS, SCOPED_CCS),
        has_update: bool = True,
        administrator: bool = True,
        known_flags: int = 0xFFFF_FFFF,
        keeps_ccs_options: bool = False,
        records: dict[tuple[int, bytes, str], SslRecord] | None = None,
        config: HttpConfig | None = None,
    ) -> None:
        super().__init__(calls)
        self.records: dict[tuple[int, bytes, str], SslRecord] = {} if records is None else records
        self.check_certificate = check_certificate
        self.config = config
        self.families = frozenset(families)
        self.administrator = administrator
        self.known_flags = known_flags
        self.keeps_ccs_options = keeps_ccs_options
        if has_update:
            self.HttpUpdateServiceConfiguration = self._update

    def put(self, record: SslRecord) -> None:
        """Lay a record in as it is, checked by nobody: what another program may have written."""
        self.records[record.key] = record

    @returns_code
    def HttpInitialize(self, Version: CData, Flags: int, pReserved: CData, /) -> int:
        """Count one more."""
        if (Version.HttpApiMajorVersion, Version.HttpApiMinorVersion) not in ((1, 0), (2, 0)):
            return INVALID_PARAMETER
        if Flags not in (1, 2, 3) or pReserved != NULL:
            return INVALID_PARAMETER
        self.calls.open(f"HttpInitialize({Flags})")
        return SUCCESS

    def HttpTerminate(self, Flags: int, pReserved: CData, /) -> int:
        """Count one less, of the same flags; also when made to fail, for a caller has nothing else to close it with."""
        code = self.calls.enter("HttpTerminate")
        if pReserved != NULL:
            return INVALID_PARAMETER
        self.calls.close(f"HttpInitialize({Flags})")
        return code

    @returns_code
    def HttpSetServiceConfiguration(
        self, ServiceHandle: CData, ConfigId: int, pConfigInformation: CData, Length: int, pOverlapped: CData, /
    ) -> int:
        """Add; 183 for a key that has a record."""
        if self.config is not None and ConfigId in SETS:
            code = self._check_call(ServiceHandle, pOverlapped)
            return code or self.config.change(ConfigId, pConfigInformation, Length, remove=False)
        return self._write(ServiceHandle, ConfigId, pConfigInformation, Length, pOverlapped, exists=False)

    @returns_code
    def _update(
        self, ServiceHandle: CData, ConfigId: int, pConfigInformation: CData, Length: int, pOverlapped: CData, /
    ) -> int:
        return self._write(ServiceHandle, ConfigId, pConfigInformation, Length, pOverlapped, exists=True)

    _update.__wrapped__.__name__ = "HttpUpdateServiceConfiguration"  # type: ignore[attr-defined]

    @returns_code
    def HttpDeleteServiceConfiguration(
        self, ServiceHandle: CData, ConfigId: int, pConfigInformation: CData, Length: int, pOverlapped: CData, /
    ) -> int:
        """Remove; 2 for a key that has no record."""
        if self.config is not None and ConfigId in SETS:
            code = self._check_call(ServiceHandle, pOverlapped)
            return code or self.config.change(ConfigId, pConfigInformation, Length, remove=True)
        code = self._check(ServiceHandle, ConfigId, pConfigInformation, Length, "SET", pOverlapped)
        if code:
            return code
        if not self.administrator:
            return ACCESS_DENIED
        record = _read_key(ConfigId, pConfigInformation.KeyDesc)
        if record is None or any(bytes(ffi.buffer(ffi.addressof(pConfigInformation, "ParamDesc")))):
            return INVALID_PARAMETER  # Windows reads the key only; something else here is a caller's mistake
        return SUCCESS if self.records.pop(record.key, None) else FILE_NOT_FOUND

    @returns_code
    def HttpQueryServiceConfiguration(
        self,
        ServiceHandle: CData,
        ConfigId: int,
        pInput: CData,
        InputLength: int,
        pOutput: CData,
        OutputLength: int,
        pReturnLength: CData,
        pOverlapped: CData,
        /,
    ) -> int:
        """Read: exact (2 if missing) or by position (259 past the end); 122 with the size when it does not fit."""
        if self.config is not None and ConfigId in SETS:
            code = self._check_call(ServiceHandle, pOverlapped)
            if code or (pOutput == NULL and OutputLength):
                return code or INVALID_PARAMETER
            return self.config.query(ConfigId, pInput, InputLength, pOutput, OutputLength, pReturnLength)
        code = self._check(ServiceHandle, ConfigId, pInput, InputLength, "QUERY", pOverlapped)
        if code:
            return code
        if pOutput == NULL and OutputLength:
            return INVALID_PARAMETER
        record = self._find(ConfigId, pInput)
        if isinstance(record, int):
            return record
        needed = len(_write_record(record, 0))
        if pReturnLength != NULL:
            pReturnLength[0] = needed
        if needed > OutputLength:
            return INSUFFICIENT_BUFFER
        if ffi.typeof(pOutput).kind == "array" and ffi.sizeof(pOutput) < OutputLength:
            raise Misuse(f"the buffer has {ffi.sizeof(pOutput)} bytes, {OutputLength} were promised")
        ffi.memmove(pOutput, _write_record(record, address_of(pOutput)), needed)
        return SUCCESS

    def _find(self, config_id: int, query: CData) -> SslRecord | int:
        if query.QueryDesc == 1:
            family = [record for record in self.records.values() if record.config_id == config_id]
            return family[query.dwToken] if query.dwToken < len(family) else NO_MORE_ITEMS
        if query.QueryDesc != 0:
            return INVALID_PARAMETER
        wanted = _read_key(config_id, query.KeyDesc)
        return INVALID_PARAMETER if wanted is None else self.records.get(wanted.key, FILE_NOT_FOUND)

    def _write(
        self, handle: CData, config_id: int, structure: CData, length: int, overlapped: CData, *, exists: bool
    ) -> int:
        code = self._check(handle, config_id, structure, length, "SET", overlapped)
        if code:
            return code
        if not self.administrator:
            return ACCESS_DENIED
        record = _read_key(config_id, structure.KeyDesc)
        record = record and _read_param(record, structure.ParamDesc, ccs_options=self.keeps_ccs_options)
        if record is None or record.numbers["DefaultFlags"] & ~self.known_flags:
            return INVALID_PARAMETER
        if (record.key in self.records) != exists:
            return FILE_NOT_FOUND if exists else ALREADY_EXISTS
        if record.digest and self.check_certificate is not None:
            code = self.check_certificate(record.digest, record.texts["pSslCertStoreName"] or "MY")
            if code:
                return code
        self.records[record.key] = record
        return SUCCESS

    def _check_call(self, handle: CData, overlapped: CData) -> int:
        if not any(name.startswith("HttpInitialize") for name in self.calls.leaks):
            raise Misuse("HttpInitialize comes before any other function")
        if handle != NULL:
            return INVALID_HANDLE
        return SUCCESS if overlapped == NULL else INVALID_PARAMETER

    def _check(self, handle: CData, config_id: int, structure: CData, length: int, kind: str, overlapped: CData) -> int:
        code = self._check_call(handle, overlapped)
        if code:
            return code
        if config_id not in self.families or structure == NULL:
            return INVALID_PARAMETER
        expected = f"HTTP_SERVICE_CONFIG_{_STRUCTURES[config_id]}_{kind}"
        given = ffi.typeof(structure)
        if given.kind != "pointer" or given.item.cname != expected:
            raise Misuse(f"{expected} * is needed, not {given.cname}")
        if length < ffi.sizeof(expected):
            return INSUFFICIENT_BUFFER
        return INVALID_PARAMETER if length > ffi.sizeof(expected) else SUCCESS


def _read_key(config_id: int, desc: CData) -> SslRecord | None:
    """The key of a structure, or None for one that HTTP.sys refuses."""
    if config_id == IP:
        if desc.pIpPort == NULL:
            return None
        size = {2: 16, 23: 28}.get(desc.pIpPort.sa_family)
        address = bytes(ffi.buffer(ffi.cast("BYTE *", desc.pIpPort), size)) if size else b""
        unused = address[8:] if size == 16 else address[4:8]  # sin_zero, sin6_flowinfo
        valid = address[2:4] > b"\0\0" and not any(unused)
        return SslRecord(config_id=config_id, address=address) if valid else None
    storage = desc.LocalAddress if config_id == CCS else desc.IpPort
    raw = bytes(ffi.buffer(ffi.addressof(storage)))
    # "0.0.0.0 and the port, nothing else": the rest of the structure must be zero too (the stricter side).
    if raw[:2] != b"\2\0" or raw[2:4] == b"\0\0" or any(raw[4:]):
        return None
    if config_id == CCS:
        return SslRecord(config_id=config_id, address=raw[:16])
    host = text_at(desc.Host, 256) if _readable(desc.Host) else ""
    return SslRecord(config_id=config_id, address=raw[:16], host=host) if host else None


def _read_param(record: SslRecord, param: CData, *, ccs_options: bool) -> SslRecord | None:
    """`record` with the rest of the structure, or None for one that HTTP.sys refuses."""
    numbers = {name: int(getattr(param, name)) for name in _NUMBERS}
    texts = {name: _text(getattr(param, name)) for name in _TEXTS}
    digest, store_name = b"", texts["pSslCertStoreName"]
    if record.config_id in (IP, SNI):
        # A missing store name for a host name is answered 87 (the stricter side: netsh requires it), an empty one too.
        named = bool(store_name) or (store_name is None and record.config_id == IP)
        if param.SslHashLength != 20 or param.pSslHash == NULL or not named:
            return None
        digest = bytes(ffi.buffer(ffi.cast("BYTE *", param.pSslHash), 20))
    else:
        allowed = record.config_id == SCOPED_CCS or ccs_options or not any((*numbers.values(), *texts.values()))
        if param.SslHashLength or param.pSslHash != NULL or store_name is not None or not allowed:
            return None
    return replace(record, digest=digest, app_id=get_guid(param.AppId), numbers=numbers, texts=texts)


def _readable(pointer: CData) -> bool:
    return bool(pointer != NULL)


def _text(pointer: CData) -> str | None:
    return text_at(pointer, 256) if _readable(pointer) else None


def _write_record(record: SslRecord, base: int) -> bytes:
    """The bytes of a query's answer that lies at the address `base`: the structure, then what it points to."""
    set_type = f"HTTP_SERVICE_CONFIG_{_STRUCTURES[record.config_id]}_SET"
    structure = ffi.new(f"{set_type} *")
    tail = bytearray()

    def place(data: bytes) -> CData:
        tail.extend(bytes(-len(tail) % 8))
        tail.extend(data)
        return ffi.cast("void *", base + ffi.sizeof(set_type) + len(tail) - len(data))

    key, param = structure.KeyDesc, structure.ParamDesc
    if record.config_id == IP:
        key.pIpPort = ffi.cast("SOCKADDR *", place(record.address)) if record.address else NULL
    else:
        storage = key.LocalAddress if record.config_id == CCS else key.IpPort
        ffi.memmove(ffi.addressof(storage), record.address, len(record.address))
        if record.host is not None:
            key.Host = ffi.cast("WCHAR *", place(_utf16(record.host)))
    if record.digest:
        param.SslHashLength, param.pSslHash = len(record.digest), place(record.digest)
    set_guid(param.AppId, record.app_id)
    for name, number in record.numbers.items():
        setattr(param, name, number)
    for name, text in record.texts.items():
        if text is not None:
            setattr(param, name, ffi.cast("WCHAR *", place(_utf16(text))))
    return bytes(ffi.buffer(structure)) + bytes(tail)


def _utf16(text: str) -> bytes:
    return (text + "\0").encode("utf-16-le", "surrogatepass")
