"""Binding records to and from the structures of httpapi.dll: four families, one table.

The IP key points to an address; the other keys hold an address of the form 0.0.0.0:port inline, and nothing else is
allowed there (pages HTTP_SERVICE_CONFIG_SSL_SNI_KEY and …_CCS_KEY). Pointers in what is encoded do not own: the
second value of each `encode…` does.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, NamedTuple

from mlsssl._formats.binding_keys import (
    BindingFamily,
    BindingKey,
    BindingOptions,
    CcsPort,
    HostnamePort,
    IpPort,
    ScopedCcs,
    written_host,
)
from mlsssl._machine.ports import BindingRecord
from mlsssl._native.cdata import NULL, address_of, ffi, get_guid, set_guid, wide, wide_or_null
from mlsssl.errors import InvalidInputError, MalformedDataError, NativeError
from mlsssl.values import Thumbprint

if TYPE_CHECKING:
    from mlsssl._native.cdata import Buffer, CData

AF_INET = 2
AF_INET6 = 23  # Windows' number; Linux' is 10
_SHA1_LENGTH = 20


class Family(NamedTuple):
    """How a family is spelt: HTTP_SERVICE_CONFIG_ID (the run-time numbers) and its structures."""

    name: BindingFamily
    config_id: int
    set_type: str
    query_type: str


def _family(name: BindingFamily, config_id: int, structures: str) -> Family:
    prefix = f"HTTP_SERVICE_CONFIG_{structures}"
    return Family(name=name, config_id=config_id, set_type=f"{prefix}_SET", query_type=f"{prefix}_QUERY")


FAMILIES = {
    family.name: family
    for family in (
        _family(BindingFamily.IP_PORT, 1, "SSL"),
        _family(BindingFamily.HOSTNAME_PORT, 5, "SSL_SNI"),
        _family(BindingFamily.CCS, 6, "SSL_CCS"),
        _family(BindingFamily.SCOPED_CCS, 11, "SSL_SNI"),
    )
}


def encode_query(key: BindingKey) -> tuple[CData, list[CData]]:
    """A QUERY structure with its key filled in, and what must stay alive beside it."""
    query = ffi.new(f"{FAMILIES[key.family].query_type} *")
    return query, _fill_key(query.KeyDesc, key)


def encode_key(key: BindingKey) -> tuple[CData, list[CData]]:
    """A SET structure with only its key filled in, as deleting wants it; and its owners."""
    structure = ffi.new(f"{FAMILIES[key.family].set_type} *")
    return structure, _fill_key(structure.KeyDesc, key)


def encode(record: BindingRecord) -> tuple[CData, list[CData]]:
    """A whole SET structure, and its owners."""
    structure, owners = encode_key(record.key)
    param, options = structure.ParamDesc, record.options
    set_guid(param.AppId, record.app_id)
    if record.thumbprint is not None:
        digest = ffi.from_buffer("BYTE[]", bytes(record.thumbprint))
        owners.append(digest)
        param.SslHashLength, param.pSslHash = _SHA1_LENGTH, digest
    for field, text in (
        ("pSslCertStoreName", record.store_name),
        ("pDefaultSslCtlIdentifier", options.ctl_identifier),
        ("pDefaultSslCtlStoreName", options.ctl_store_name),
    ):
        array = wide_or_null(text)
        owners.append(array)
        setattr(param, field, array)
    param.DefaultCertCheckMode = options.check_mode
    param.DefaultRevocationFreshnessTime = options.freshness_seconds
    param.DefaultRevocationUrlRetrievalTimeout = options.timeout_milliseconds
    param.DefaultFlags = options.flags
    return structure, owners


def _fill_key(desc: CData, key: BindingKey) -> list[CData]:
    if isinstance(key, IpPort):
        address = _socket_address(key)
        desc.pIpPort = ffi.cast("SOCKADDR *", address)
        return [address]
    storage = desc.LocalAddress if isinstance(key, CcsPort) else desc.IpPort
    inline = ffi.cast("SOCKADDR_IN *", ffi.addressof(storage))
    inline.sin_family, inline.sin_port = AF_INET, key.port.to_bytes(2, "big")
    if isinstance(key, CcsPort):
        return []
    host = wide(written_host(key))
    desc.Host = host
    return [host]


def _socket_address(key: IpPort) -> CData:
    port, address = key.port.to_bytes(2, "big"), key.ip.packed
    if key.ip.version == 4:
        return ffi.new("SOCKADDR_IN *", {"sin_family": AF_INET, "sin_port": port, "sin_addr": address})
    return ffi.new("SOCKADDR_IN6 *", {"sin6_family": AF_INET6, "sin6_port": port, "sin6_addr": address})


def decode(buffer: Buffer, family: Family) -> BindingRecord:
    """The record at the start of a query's buffer; nothing of the buffer is needed afterwards.

    Raises:
        MalformedDataError: its pointers leave the buffer, or it holds what `BindingRecord` cannot (an address
            with a scope id, a certificate hash that is no SHA-1).
    """
    where = family.name.value
    try:
        structure = buffer.view(family.set_type)
        key = _read_key(structure.KeyDesc, buffer, family.name)
        where = str(key)
        return _read_param(structure.ParamDesc, buffer, key)
    except (InvalidInputError, NativeError) as error:
        raise MalformedDataError(f"HTTP.sys holds a record for {where} that cannot be read: {error}") from error


def _read_param(param: CData, buffer: Buffer, key: BindingKey) -> BindingRecord:
    thumbprint, store_name = None, None
    if key.family.has_certificate:
        thumbprint = Thumbprint(buffer.bytes_at(param.pSslHash, param.SslHashLength) if param.pSslHash else b"")
        store_name = buffer.text_at(param.pSslCertStoreName)
        if store_name is None and key.family is BindingFamily.HOSTNAME_PORT:
            store_name = "MY"  # what no name means; netsh and we always give one here
    return BindingRecord(
        key=key,
        thumbprint=thumbprint,
        store_name=store_name,
        app_id=get_guid(param.AppId),
        options=BindingOptions.from_numbers(
            flags=param.DefaultFlags,
            check_mode=param.DefaultCertCheckMode,
            freshness_seconds=param.DefaultRevocationFreshnessTime,
            timeout_milliseconds=param.DefaultRevocationUrlRetrievalTimeout,
            ctl_identifier=buffer.text_at(param.pDefaultSslCtlIdentifier) or None,
            ctl_store_name=buffer.text_at(param.pDefaultSslCtlStoreName) or None,
        ),
    )


def _read_key(desc: CData, buffer: Buffer, name: BindingFamily) -> BindingKey:
    if name is BindingFamily.IP_PORT:
        return _read_address(desc.pIpPort, buffer)
    storage = desc.LocalAddress if name is BindingFamily.CCS else desc.IpPort
    port = int.from_bytes(bytes(ffi.buffer(ffi.addressof(storage)))[2:4], "big")
    if name is BindingFamily.CCS:
        return CcsPort(port)
    host = buffer.text_at(desc.Host) or ""
    return (HostnamePort if name is BindingFamily.HOSTNAME_PORT else ScopedCcs).as_stored(host, port)


def _read_address(pointer: CData, buffer: Buffer) -> IpPort:
    if address_of(pointer) == address_of(NULL):
        raise InvalidInputError("it has no address")
    family = int.from_bytes(buffer.bytes_at(pointer, 2), "little")
    if family == AF_INET:
        data = buffer.bytes_at(pointer, ffi.sizeof("SOCKADDR_IN"))
        return IpPort(str(ipaddress.IPv4Address(data[4:8])), int.from_bytes(data[2:4], "big"))
    if family == AF_INET6:
        data = buffer.bytes_at(pointer, ffi.sizeof("SOCKADDR_IN6"))
        if any(data[24:28]):
            raise InvalidInputError("its address has a scope id")
        return IpPort(str(ipaddress.IPv6Address(data[8:24])), int.from_bytes(data[2:4], "big"))
    raise InvalidInputError(f"its address is of family {family}")
