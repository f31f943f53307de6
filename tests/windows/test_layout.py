"""Structures of httpapi and the service manager: our text, cffi, headers and published numbers agree, 64 and 32 bit.

Four witnesses of one table: our declarations compiled by both cross compilers, mingw-w64's own headers where they
have the structure, what cffi computes from our text in this process, and the table itself, whose numbers were printed
by programs built from the field order of the Windows SDK's headers (x64 run, x86 read from the compiler's output).
"""

from __future__ import annotations

import re

import pytest

from mlsssl._native import declarations
from mlsssl._native.cdata import ffi
from windows import mingw

# structure: (size, {field: offset}), each number as x64, or as (x64, x86) where they differ
Number = int | tuple[int, int]
PUBLISHED: dict[str, tuple[Number, dict[str, Number]]] = {
    "GUID": (16, {"Data1": 0, "Data2": 4, "Data3": 6, "Data4": 8}),
    "FILETIME": (8, {"dwLowDateTime": 0, "dwHighDateTime": 4}),
    "HTTPAPI_VERSION": (4, {"HttpApiMajorVersion": 0, "HttpApiMinorVersion": 2}),
    "SOCKADDR": (16, {"sa_family": 0, "sa_data": 2}),
    "SOCKADDR_IN": (16, {"sin_family": 0, "sin_port": 2, "sin_addr": 4, "sin_zero": 8}),
    "SOCKADDR_IN6": (
        28,
        {"sin6_family": 0, "sin6_port": 2, "sin6_flowinfo": 4, "sin6_addr": 8, "sin6_scope_id": 24},
    ),
    "SOCKADDR_STORAGE": (128, {"ss_family": 0, "__ss_pad1": 2, "__ss_align": 8, "__ss_pad2": 16}),
    "HTTP_SERVICE_CONFIG_SSL_KEY": ((8, 4), {"pIpPort": 0}),
    "HTTP_SERVICE_CONFIG_SSL_PARAM": (
        (80, 52),
        {
            "SslHashLength": 0,
            "pSslHash": (8, 4),
            "AppId": (16, 8),
            "pSslCertStoreName": (32, 24),
            "DefaultCertCheckMode": (40, 28),
            "DefaultRevocationFreshnessTime": (44, 32),
            "DefaultRevocationUrlRetrievalTimeout": (48, 36),
            "pDefaultSslCtlIdentifier": (56, 40),
            "pDefaultSslCtlStoreName": (64, 44),
            "DefaultFlags": (72, 48),
        },
    ),
    "HTTP_SERVICE_CONFIG_SSL_SET": ((88, 56), {"KeyDesc": 0, "ParamDesc": (8, 4)}),
    "HTTP_SERVICE_CONFIG_SSL_QUERY": ((24, 12), {"QueryDesc": 0, "KeyDesc": (8, 4), "dwToken": (16, 8)}),
    "HTTP_SERVICE_CONFIG_SSL_SNI_KEY": (136, {"IpPort": 0, "Host": 128}),
    "HTTP_SERVICE_CONFIG_SSL_SNI_SET": ((216, 192), {"KeyDesc": 0, "ParamDesc": 136}),
    "HTTP_SERVICE_CONFIG_SSL_SNI_QUERY": (152, {"QueryDesc": 0, "KeyDesc": 8, "dwToken": 144}),
    "HTTP_SERVICE_CONFIG_SSL_CCS_KEY": (128, {"LocalAddress": 0}),
    "HTTP_SERVICE_CONFIG_SSL_CCS_SET": ((208, 184), {"KeyDesc": 0, "ParamDesc": 128}),
    "HTTP_SERVICE_CONFIG_SSL_CCS_QUERY": (144, {"QueryDesc": 0, "KeyDesc": 8, "dwToken": 136}),
    "HTTP_SERVICE_CONFIG_URLACL_KEY": ((8, 4), {"pUrlPrefix": 0}),
    "HTTP_SERVICE_CONFIG_URLACL_PARAM": ((8, 4), {"pStringSecurityDescriptor": 0}),
    "HTTP_SERVICE_CONFIG_URLACL_SET": ((16, 8), {"KeyDesc": 0, "ParamDesc": (8, 4)}),
    "HTTP_SERVICE_CONFIG_URLACL_QUERY": ((24, 12), {"QueryDesc": 0, "KeyDesc": (8, 4), "dwToken": (16, 8)}),
    "HTTP_SERVICE_CONFIG_IP_LISTEN_PARAM": ((16, 8), {"AddrLength": 0, "pAddress": (8, 4)}),
    "HTTP_SERVICE_CONFIG_IP_LISTEN_QUERY": (136, {"AddrCount": 0, "AddrList": 8}),
    "HTTP_SERVICE_CONFIG_TIMEOUT_SET": (8, {"KeyDesc": 0, "ParamDesc": 4}),
    "HTTP_SERVICE_CONFIG_CACHE_SET": (8, {"KeyDesc": 0, "ParamDesc": 4}),
    "HTTP_SERVICE_CONFIG_SETTING_SET": (8, {"KeyDesc": 0, "ParamDesc": 4}),
    "SECURITY_ATTRIBUTES": ((24, 12), {"nLength": 0, "lpSecurityDescriptor": (8, 4), "bInheritHandle": (16, 8)}),
    "SID_AND_ATTRIBUTES": ((16, 8), {"Sid": 0, "Attributes": (8, 4)}),
    "TOKEN_USER": ((16, 8), {"User": 0}),
    "SERVICE_STATUS": (
        28,
        {
            "dwServiceType": 0,
            "dwCurrentState": 4,
            "dwControlsAccepted": 8,
            "dwWin32ExitCode": 12,
            "dwServiceSpecificExitCode": 16,
            "dwCheckPoint": 20,
            "dwWaitHint": 24,
        },
    ),
    "SERVICE_STATUS_PROCESS": (
        36,
        {
            "dwServiceType": 0,
            "dwCurrentState": 4,
            "dwControlsAccepted": 8,
            "dwWin32ExitCode": 12,
            "dwServiceSpecificExitCode": 16,
            "dwCheckPoint": 20,
            "dwWaitHint": 24,
            "dwProcessId": 28,
            "dwServiceFlags": 32,
        },
    ),
    "ENUM_SERVICE_STATUSW": ((48, 36), {"lpServiceName": 0, "lpDisplayName": (8, 4), "ServiceStatus": (16, 8)}),
    # What follows was printed by the cross compilers from mingw-w64's http.h and minwinbase.h.
    "HTTP_VERSION": (4, {"MajorVersion": 0, "MinorVersion": 2}),
    "HTTP_KNOWN_HEADER": ((16, 8), {"RawValueLength": 0, "pRawValue": (8, 4)}),
    "HTTP_REQUEST_HEADERS": (
        (688, 344),
        {
            "UnknownHeaderCount": 0,
            "pUnknownHeaders": (8, 4),
            "TrailerCount": (16, 8),
            "pTrailers": (24, 12),
            "KnownHeaders": (32, 16),
        },
    ),
    "HTTP_RESPONSE_HEADERS": (
        (512, 256),
        {
            "UnknownHeaderCount": 0,
            "pUnknownHeaders": (8, 4),
            "TrailerCount": (16, 8),
            "pTrailers": (24, 12),
            "KnownHeaders": (32, 16),
        },
    ),
    "HTTP_TRANSPORT_ADDRESS": ((16, 8), {"pRemoteAddress": 0, "pLocalAddress": (8, 4)}),
    "HTTP_COOKED_URL": (
        (40, 24),
        {
            "FullUrlLength": 0,
            "HostLength": 2,
            "AbsPathLength": 4,
            "QueryStringLength": 6,
            "pFullUrl": 8,
            "pHost": (16, 12),
            "pAbsPath": (24, 16),
            "pQueryString": (32, 20),
        },
    ),
    "HTTP_DATA_CHUNK_FROM_MEMORY": (24, {"pBuffer": 0, "BufferLength": (8, 4), "__rest1": (12, 8), "__rest2": 16}),
    "HTTP_DATA_CHUNK": (32, {"DataChunkType": 0, "FromMemory": 8}),
    "HTTP_REQUEST_V1": (
        (848, 464),
        {
            "Flags": 0,
            "ConnectionId": 8,
            "RequestId": 16,
            "UrlContext": 24,
            "Version": 32,
            "Verb": 36,
            "UnknownVerbLength": 40,
            "RawUrlLength": 42,
            "pUnknownVerb": (48, 44),
            "pRawUrl": (56, 48),
            "CookedUrl": (64, 52),
            "Address": (104, 76),
            "Headers": (120, 84),
            "BytesReceived": (808, 432),
            "EntityChunkCount": (816, 440),
            "pEntityChunks": (824, 444),
            "RawConnectionId": (832, 448),
            "pSslInfo": (840, 456),
        },
    ),
    "HTTP_RESPONSE": (
        (568, 288),
        {
            "Flags": 0,
            "Version": 4,
            "StatusCode": 8,
            "ReasonLength": 10,
            "pReason": (16, 12),
            "Headers": (24, 16),
            "EntityChunkCount": (536, 272),
            "pEntityChunks": (544, 276),
            "ResponseInfoCount": (552, 280),
            "pResponseInfo": (560, 284),
        },
    ),
    "HTTP_BINDING_INFO": ((16, 8), {"Flags": 0, "RequestQueueHandle": (8, 4)}),
    "OVERLAPPED": (
        (32, 20),
        {"Internal": 0, "InternalHigh": (8, 4), "Offset": (16, 8), "OffsetHigh": (20, 12), "hEvent": (24, 16)},
    ),
}
TEXTS = ("common", "kernel32", "httpapi", "rights", "advapi32_services")
# mingw-w64's http.h ends before SNI, CCS and settings; its SSL_KEY, SSL_PARAM, SSL_SET and SSL_QUERY are complete.
# Of the kinds of a data chunk it has none by name: HTTP_DATA_CHUNK's size tells.
_ABSENT = ("_SNI_", "_CCS_", "_SETTING_", "_CHUNK_FROM_MEMORY")
NOT_IN_HEADERS = {name for name in PUBLISHED if any(part in name for part in _ABSENT)}
HEADERS = """
#define WIN32_LEAN_AND_MEAN
#define _WIN32_WINNT 0x0601
#include <stddef.h>
#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>
#include <http.h>
#include <winsvc.h>
"""


def assertions(names: set[str], target: mingw.Target) -> str:
    """Static assertions that these structures are laid out as published."""
    column = 0 if target == "x86_64" else 1

    def number(value: Number) -> int:
        return value if isinstance(value, int) else value[column]

    lines = []
    for name in sorted(names):
        size, fields = PUBLISHED[name]
        lines.append(f'_Static_assert(sizeof({name}) == {number(size)}, "sizeof {name}");')
        lines += [
            f'_Static_assert(offsetof({name}, {field}) == {number(offset)}, "{name}.{field}");'
            for field, offset in fields.items()
        ]
    return "\n".join(lines) + "\n"


def our_text() -> str:
    """Our declarations as one C source."""
    return "#include <stddef.h>\n#include <stdint.h>\n" + "".join(map(declarations.read, TEXTS))


@pytest.fixture(autouse=True)
def _compilers() -> None:
    mingw.require()


def test_every_structure_is_in_the_table() -> None:
    """With all of its fields, so that none is left unchecked."""
    plain = re.sub(r"/\*.*?\*/", "", our_text(), flags=re.DOTALL)
    found = {
        match["name"]: set(re.findall(r"(\w+)(?:\[\d+\])?;", match["body"]))
        for match in re.finditer(r"typedef struct \{(?P<body>[^}]*)\} (?P<name>\w+);", plain)
    }
    assert len(found) == plain.count("typedef struct {")
    assert found == {name: set(fields) for name, (_, fields) in PUBLISHED.items()}


@pytest.mark.parametrize("target", mingw.TARGETS)
def test_our_text_has_the_published_layout(target: mingw.Target) -> None:
    """Under the compiler of either kind of Windows."""
    assert mingw.static_assert(our_text() + assertions(set(PUBLISHED), target), target) is None


@pytest.mark.parametrize("target", mingw.TARGETS)
def test_the_headers_have_the_published_layout(target: mingw.Target) -> None:
    """An independent text, where mingw-w64 has one."""
    assert mingw.static_assert(HEADERS + assertions(set(PUBLISHED) - NOT_IN_HEADERS, target), target) is None


@pytest.mark.parametrize("name", sorted(NOT_IN_HEADERS))
def test_the_headers_still_lack_these(name: str) -> None:
    """The day they have one, it becomes a witness: take it out of the exception then."""
    said = mingw.static_assert(HEADERS + assertions({name}, "x86_64"), "x86_64")
    assert said is not None
    assert "undeclared" in said


@pytest.mark.skipif(ffi.sizeof("void *") != 8, reason="a 32-bit Python has the other layout")
@pytest.mark.parametrize("name", PUBLISHED)
def test_cffi_has_the_published_layout(name: str) -> None:
    """What this process would hand to Windows."""
    size, fields = PUBLISHED[name]
    assert ffi.sizeof(name) == (size if isinstance(size, int) else size[0])
    for field, offset in fields.items():
        assert ffi.offsetof(name, field) == (offset if isinstance(offset, int) else offset[0]), field


@pytest.mark.parametrize("target", mingw.TARGETS)
@pytest.mark.parametrize(
    ("right", "wrong", "names"),
    [
        ("    WCHAR *Host;", "    DWORD pad; WCHAR *Host;", "HTTP_SERVICE_CONFIG_SSL_SNI_KEY"),
        ("    int64_t __ss_align;", "    int32_t __ss_align[2];", "HTTP_SERVICE_CONFIG_SSL_SNI_QUERY"),
        ("    DWORD DefaultCertCheckMode;", "    uint64_t DefaultCertCheckMode;", "HTTP_SERVICE_CONFIG_SSL_PARAM"),
    ],
)
def test_a_wrong_declaration_would_be_noticed(target: mingw.Target, right: str, wrong: str, names: str) -> None:
    """The failing twins, the alignment trap of the address among them: it shows on 32 bit, where it matters."""
    text = our_text()
    assert right in text
    said = mingw.static_assert(text.replace(right, wrong) + assertions({names}, target), target)
    if "__ss_align" in right and target == "x86_64":
        assert said is None  # the pointer in the structure aligns it to 8 there anyway
    else:
        assert said is not None
        assert names in said


CONSTANTS = {
    "HTTP_INITIALIZE_CONFIG": 2,
    "HTTP_INITIALIZE_SERVER": 1,
    "HTTP_SEND_RESPONSE_FLAG_DISCONNECT": 1,
    "HttpServerBindingProperty": 7,
    "HttpVerbGET": 4,
    "HttpHeaderContentType": 12,
    "HttpDataChunkFromMemory": 0,
    "WAIT_OBJECT_0": 0,
    "INFINITE": 0xFFFF_FFFF,
    "HttpServiceConfigSSLCertInfo": 1,
    "HttpServiceConfigIPListenList": 0,
    "HttpServiceConfigUrlAclInfo": 2,
    "IdleConnectionTimeout": 0,
    "HeaderWaitTimeout": 1,
    "MaxCacheResponseSize": 0,
    "CacheRangeChunkSize": 1,
    "HttpServiceConfigQueryExact": 0,
    "HttpServiceConfigQueryNext": 1,
    "AF_INET": 2,
    "AF_INET6": 23,
    "SC_MANAGER_CONNECT": 0x1,
    "SERVICE_QUERY_STATUS": 0x4,
    "SERVICE_ENUMERATE_DEPENDENTS": 0x8,
    "SERVICE_START": 0x10,
    "SERVICE_STOP": 0x20,
    "SC_STATUS_PROCESS_INFO": 0,
    "SERVICE_ACTIVE": 1,
    "SERVICE_CONTROL_STOP": 1,
    "SERVICE_ACCEPT_STOP": 1,
    "SERVICE_STOPPED": 1,
    "SERVICE_START_PENDING": 2,
    "SERVICE_STOP_PENDING": 3,
    "SERVICE_RUNNING": 4,
    "SERVICE_CONTINUE_PENDING": 5,
    "SERVICE_PAUSE_PENDING": 6,
    "SERVICE_PAUSED": 7,
}


def test_constants_are_the_headers() -> None:
    """ABI mode takes no constant from a header, so each is stated by us and compared here."""
    from mlsssl._machine.ports import HttpNumber, ServiceState
    from mlsssl._windows import binding_records, http_calls, http_requests, http_settings, reservations, services

    lines = [f'_Static_assert({name} == {value}, "{name}");' for name, value in CONSTANTS.items()]
    assert mingw.static_assert(HEADERS + "\n".join(lines) + "\n", "x86_64") is None
    stated = {**vars(services), **vars(http_calls), **vars(binding_records)}
    for name, value in CONSTANTS.items():
        ours = stated.get(f"_{name}", stated.get(name))
        if name.startswith("SERVICE_") and hasattr(ServiceState, name.removeprefix("SERVICE_")):
            ours = ServiceState[name.removeprefix("SERVICE_")].value
        if name in ("HTTP_INITIALIZE_CONFIG", "AF_INET", "AF_INET6") or name.startswith(("SC_", "SERVICE_")):
            assert ours == value, name
    assert CONSTANTS["HTTP_INITIALIZE_SERVER"] == http_requests._HTTP_INITIALIZE_SERVER
    assert CONSTANTS["HTTP_SEND_RESPONSE_FLAG_DISCONNECT"] == http_requests._RESPONSE_FLAG_DISCONNECT
    assert CONSTANTS["HttpServerBindingProperty"] == http_requests._BINDING_PROPERTY
    assert CONSTANTS["HttpVerbGET"] == http_requests._VERB_GET
    assert CONSTANTS["HttpHeaderContentType"] == http_requests._CONTENT_TYPE
    assert CONSTANTS["INFINITE"] == http_requests._INFINITE
    assert CONSTANTS["HttpServiceConfigQueryExact"] == http_calls.QUERY_EXACT
    assert CONSTANTS["HttpServiceConfigQueryNext"] == http_calls.QUERY_NEXT
    assert CONSTANTS["HttpServiceConfigIPListenList"] == http_settings._LISTEN_LIST
    assert CONSTANTS["HttpServiceConfigUrlAclInfo"] == reservations._URLACL.config_id
    numbers = {
        "IdleConnectionTimeout": HttpNumber.IDLE_CONNECTION_SECONDS,
        "HeaderWaitTimeout": HttpNumber.HEADER_WAIT_SECONDS,
        "MaxCacheResponseSize": HttpNumber.MAX_CACHE_RESPONSE_BYTES,
        "CacheRangeChunkSize": HttpNumber.CACHE_RANGE_CHUNK_BYTES,
    }
    assert {name: number.value[1] for name, number in numbers.items()} == {name: CONSTANTS[name] for name in numbers}
