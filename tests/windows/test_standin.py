"""The stand-in httpapi.dll, call by call: tests that rest on it are worth what it is worth."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import textwrap
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from windows import machine_keys, raw_httpapi
from windows.raw_httpapi import CCS, EXACT, FAMILIES, NEXT, SCOPED_CCS, SNI, SSL, Memory, StandIn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

if sys.platform != "win32":
    pytest.skip("the stand-in is a Windows DLL: `nox -s windows` runs it under Wine", allow_module_level=True)

OK = 0
NOT_FOUND = 2
ACCESS_DENIED = 5
INVALID_HANDLE = 6
FILE_NOT_FOUND = 2
INVALID_PARAMETER = 87
INSUFFICIENT_BUFFER = 122
ALREADY_EXISTS = 183
NO_MORE_ITEMS = 259
NOT_INITIALIZED = 1114
NO_SUCH_LOGON_SESSION = 1312

KILLED = 137
WITHOUT_CERTIFICATE = (CCS, SCOPED_CCS)
OLDER_OR_FOREIGN = (-1, 8, 9, 10, 12, 13)


def load(name: str = "httpapi.dll") -> StandIn:
    """Load the stand-in, and never the library of a real Windows: these tests delete every record."""
    library = StandIn(name)
    if not library.exports("StandinReset"):
        pytest.skip("this httpapi.dll is Windows' own; the stand-in is used only under Wine")
    return library


@pytest.fixture
def raw() -> Iterator[StandIn]:
    """The stand-in without records or faults; whatever a test left open fails it."""
    library = load()
    library.reset()
    yield library
    library.reset()
    assert library.open_count() == 0


@pytest.fixture
def api(raw: StandIn) -> Iterator[StandIn]:
    """The stand-in, initialised."""
    assert raw.initialize() == OK
    yield raw
    assert raw.terminate() == OK


@pytest.fixture
def memory() -> Memory:
    """Memory that the structures of a test point into."""
    return Memory()


@pytest.fixture(scope="module")
def bound() -> Iterator[machine_keys.Made]:
    """A certificate with its key where HTTP.sys wants both."""
    with machine_keys.bindable("mlsssl-test-standin") as made:
        yield made


@pytest.fixture(scope="module")
def other() -> Iterator[machine_keys.Made]:
    """A second one."""
    with machine_keys.bindable("mlsssl-test-standin-other") as made:
        yield made


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in another process, after `api` and `memory` have been made."""
    prelude = """
        from windows.raw_httpapi import *
        api, memory = StandIn(), Memory()
    """
    tests = str(Path(__file__).resolve().parent.parent)
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(prelude) + textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": tests, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def set_of(memory: Memory, family: int, made: machine_keys.Made, **other: Any) -> Any:
    """A valid SET structure of any family."""
    return raw_httpapi.set_structure(memory, family, thumbprint=made.thumbprint, **other)


# ---- initialisation --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("flags", [1, 2, 3])
def test_every_initialisation_needs_its_termination(raw: StandIn, version: int, flags: int) -> None:
    """They nest, and the count falls only by a termination with the same flags."""
    assert raw.initialize(version, flags) == OK
    assert raw.initialize(version, flags) == OK
    assert raw.open_count() == 2
    assert raw.terminate(flags ^ 3 or 1) == INVALID_PARAMETER
    assert raw.terminate(flags) == OK
    assert raw.open_count() == 1
    assert raw.terminate(flags) == OK
    assert raw.terminate(flags) == INVALID_PARAMETER
    assert raw.open_count() == 0


@pytest.mark.parametrize(
    ("version", "flags", "reserved"),
    [(0, 2, None), (3, 2, None), (0x10001, 2, None), (1, 0, None), (1, 4, None), (1, 6, None), (1, 2, 1)],
)
def test_a_wrong_initialisation_is_refused(raw: StandIn, version: int, flags: int, reserved: int | None) -> None:
    """Nothing is counted then."""
    assert raw.initialize(version, flags, reserved) == INVALID_PARAMETER
    assert raw.open_count() == 0


@pytest.mark.parametrize(("flags", "reserved"), [(0, None), (4, None), (2, 1)])
def test_a_wrong_termination_is_refused(api: StandIn, flags: int, reserved: int | None) -> None:
    """And leaves the initialisation open."""
    assert api.terminate(flags, reserved) == INVALID_PARAMETER
    assert api.open_count() == 1


@pytest.mark.parametrize("function", ["set", "update", "delete", "query"])
@pytest.mark.parametrize("flags", [None, 1])
def test_configuration_needs_its_own_initialisation(
    raw: StandIn, memory: Memory, function: str, flags: int | None
) -> None:
    """HTTP_INITIALIZE_SERVER alone is not enough."""
    if flags is not None:
        assert raw.initialize(1, flags) == OK
    structure = (
        raw_httpapi.query_structure(memory, CCS) if function == "query" else raw_httpapi.set_structure(memory, CCS)
    )
    assert getattr(raw, function)(CCS, structure) == NOT_INITIALIZED
    if flags is not None:
        assert raw.terminate(flags) == OK


# ---- what every configuration call checks ------------------------------------------------------------------------


def call_structures(memory: Memory, family: int, made: machine_keys.Made) -> dict[str, Any]:
    """A valid input for each of the four functions."""
    return {
        "set": set_of(memory, family, made),
        "update": set_of(memory, family, made),
        "delete": raw_httpapi.delete_structure(memory, family),
        "query": raw_httpapi.query_structure(memory, family),
    }


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("function", ["set", "update", "delete", "query"])
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"handle": 1}, INVALID_HANDLE),
        ({"overlapped": 8}, INVALID_PARAMETER),
        ({"length": -1}, INSUFFICIENT_BUFFER),
        ({"length": 1}, INVALID_PARAMETER),
    ],
)
def test_reserved_arguments_and_lengths(
    api: StandIn,
    memory: Memory,
    bound: machine_keys.Made,
    function: str,
    family: int,
    change: dict[str, int],
    code: int,
) -> None:
    """Handle 0, no overlapped structure, and exactly the structure's size."""
    structure = call_structures(memory, family, bound)[function]
    wrong = dict(change)
    if "length" in wrong:
        wrong["length"] += ctypes.sizeof(structure)
    assert getattr(api, function)(family, structure, **wrong) == code
    assert api.listed(family) == []


@pytest.mark.parametrize("function", ["set", "update", "delete", "query"])
@pytest.mark.parametrize("identifier", OLDER_OR_FOREIGN)
def test_families_of_other_windows_are_unknown(api: StandIn, memory: Memory, function: str, identifier: int) -> None:
    """The Ex families included: 87 is how a Windows says that it lacks one."""
    structure = memory.structure(raw_httpapi.SniSet())
    assert getattr(api, function)(identifier, structure) == INVALID_PARAMETER


def test_a_family_can_be_taken_away(api: StandIn, memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The imitation of an older Windows: asking answers 87, where a known family answers 259."""
    probe = raw_httpapi.query_structure(memory, CCS, kind=NEXT)
    assert api.query(CCS, probe) == NO_MORE_ITEMS
    monkeypatch.setenv("MLSSSL_STANDIN_FAMILIES", "1,5")
    assert api.query(CCS, probe) == INVALID_PARAMETER
    assert api.set(CCS, raw_httpapi.set_structure(memory, CCS)) == INVALID_PARAMETER
    assert api.query(SNI, raw_httpapi.query_structure(memory, SNI, kind=NEXT)) == NO_MORE_ITEMS


def test_without_the_right_nothing_is_changed_but_read(
    api: StandIn, memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not an administrator: 5 for every change."""
    assert api.set(CCS, raw_httpapi.set_structure(memory, CCS)) == OK
    monkeypatch.setenv("MLSSSL_STANDIN_NOT_ADMIN", "1")
    assert api.set(CCS, raw_httpapi.set_structure(memory, CCS, port=444)) == ACCESS_DENIED
    assert api.update(CCS, raw_httpapi.set_structure(memory, CCS)) == ACCESS_DENIED
    assert api.delete(CCS, raw_httpapi.delete_structure(memory, CCS)) == ACCESS_DENIED
    assert [found.port for found in api.listed(CCS)] == [443]


@pytest.mark.parametrize("function", ["set", "update", "delete"])
@pytest.mark.parametrize("pointer", [0, 1, 0x10, 0xFFFFFFFFFFFFFFF8])
def test_an_unreadable_structure_is_refused(api: StandIn, memory: Memory, function: str, pointer: int) -> None:
    """NULL, odd, low and at the end of the address space: refused, not crashed on."""
    structure = raw_httpapi.set_structure(memory, CCS)
    assert getattr(api, function)(CCS, structure, pointer=pointer) == INVALID_PARAMETER


# ---- keys --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "port"), [("0.0.0.0", 443), ("10.1.2.3", 1), ("::", 443), ("fe80::1", 65535), ("2001:db8::ff", 8443)]
)
def test_an_address_comes_back_as_it_went(
    api: StandIn, memory: Memory, bound: machine_keys.Made, address: str, port: int
) -> None:
    """IPv4 and IPv6, the pointed-to address included."""
    assert api.set(SSL, set_of(memory, SSL, bound, address=address, port=port)) == OK
    code, found = api.read(SSL, raw_httpapi.query_structure(memory, SSL, address=address, port=port))
    assert code == OK
    assert found is not None
    assert (found.address, found.port, found.thumbprint, found.store) == (address, port, bound.thumbprint, "MY")
    assert api.read(SSL, raw_httpapi.query_structure(memory, SSL, address=address, port=port ^ 2))[0] == NOT_FOUND


def change_address(offset: int, data: bytes) -> Callable[[Any], None]:
    """Write over a part of an inline address."""

    def change(structure: Any) -> None:
        ctypes.memmove(ctypes.addressof(structure.key.address) + offset, data, len(data))

    return change


@pytest.mark.parametrize("family", [SNI, CCS, SCOPED_CCS])
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (change_address(0, b"\x17\0"), "AF_INET (2)"),
        (change_address(0, b"\x0a\0"), "AF_INET (2)"),
        (change_address(0, b"\0\0"), "AF_INET (2)"),
        (change_address(2, b"\0\0"), "port 0"),
        (change_address(4, b"\x7f\0\0\1"), "0.0.0.0"),
        (change_address(8, b"\1"), "not zero"),
        (change_address(127, b"\1"), "not zero"),
    ],
)
def test_an_inline_address_is_the_wildcard_and_a_port(
    api: StandIn, memory: Memory, bound: machine_keys.Made, family: int, change: Callable[[Any], None], reason: str
) -> None:
    """Nothing else is allowed in the keys of these families."""
    structure = set_of(memory, family, bound)
    change(structure)
    assert api.set(family, structure) == INVALID_PARAMETER
    assert reason in api.reason()
    assert api.listed(family) == []


@pytest.mark.parametrize(
    ("raw_address", "reason"),
    [
        (raw_httpapi.address_bytes("0.0.0.0", 0), "port 0"),
        (raw_httpapi.address_bytes("::", 0), "port 0"),
        (b"\x0a\0" + raw_httpapi.address_bytes("::", 443)[2:], "neither AF_INET"),  # Linux's number of AF_INET6
        (raw_httpapi.address_bytes("0.0.0.0", 443)[:15] + b"\1", "sin_zero"),
        (raw_httpapi.address_bytes("::", 443)[:4] + b"\1" + raw_httpapi.address_bytes("::", 443)[5:], "flowinfo"),
    ],
)
def test_a_wrong_pointed_address_is_refused(
    api: StandIn, memory: Memory, bound: machine_keys.Made, raw_address: bytes, reason: str
) -> None:
    """The address that an IP key points to is read with the same care."""
    structure = set_of(memory, SSL, bound)
    structure.key.address = memory.data(raw_address)
    assert api.set(SSL, structure) == INVALID_PARAMETER
    assert reason in api.reason()


@pytest.mark.parametrize("pointer", [None, 1, 0x10])
@pytest.mark.parametrize(
    ("family", "field", "reason"),
    [
        (SSL, ("key", "address"), "pIpPort"),
        (SSL, ("param", "hash"), "pSslHash"),
        (SNI, ("key", "host"), "Host"),
        (SNI, ("param", "hash"), "pSslHash"),
        (SNI, ("param", "store"), "store name"),
        (SCOPED_CCS, ("key", "host"), "Host"),
    ],
)
def test_a_bad_pointer_is_refused(
    api: StandIn,
    memory: Memory,
    bound: machine_keys.Made,
    family: int,
    field: tuple[str, str],
    reason: str,
    pointer: int | None,
) -> None:
    """Every pointer that is needed, as NULL, odd and unmapped."""
    structure = set_of(memory, family, bound)
    setattr(getattr(structure, field[0]), field[1], pointer)
    assert api.set(family, structure) == INVALID_PARAMETER
    assert reason in api.reason()


@pytest.mark.parametrize("name", ["store", "ctl_identifier", "ctl_store"])
@pytest.mark.parametrize("pointer", [1, 0x10])
def test_an_optional_bad_pointer_is_refused(
    api: StandIn, memory: Memory, bound: machine_keys.Made, name: str, pointer: int
) -> None:
    """NULL is allowed there for an address; something unreadable is not."""
    structure = set_of(memory, SSL, bound)
    setattr(structure.param, name, pointer)
    assert api.set(SSL, structure) == INVALID_PARAMETER
    setattr(structure.param, name, None)
    assert api.set(SSL, structure) == OK


PAGE = 4096
MEM_COMMIT, MEM_RESERVE, MEM_RELEASE = 0x1000, 0x2000, 0x8000
PAGE_NOACCESS, PAGE_READONLY, PAGE_READWRITE, PAGE_GUARD = 0x1, 0x2, 0x4, 0x100


@pytest.fixture
def pages() -> Iterator[Callable[[int | None], int]]:
    """Pairs of pages: a usable one, and behind it one with a protection (None: reserved, but not committed)."""
    kernel32 = ctypes.CDLL("kernel32.dll")
    kernel32.VirtualAlloc.restype = ctypes.c_void_p
    taken: list[int] = []

    def take(protection: int | None) -> int:
        start = kernel32.VirtualAlloc(None, ctypes.c_size_t(2 * PAGE), MEM_RESERVE, PAGE_NOACCESS)
        assert start
        taken.append(start)
        first, second = ctypes.c_void_p(start), ctypes.c_void_p(start + PAGE)
        assert kernel32.VirtualAlloc(first, ctypes.c_size_t(PAGE), MEM_COMMIT, PAGE_READWRITE)
        if protection is not None:
            assert kernel32.VirtualAlloc(second, ctypes.c_size_t(PAGE), MEM_COMMIT, protection)
        return int(start)

    yield take
    for start in taken:
        assert kernel32.VirtualFree(ctypes.c_void_p(start), ctypes.c_size_t(0), MEM_RELEASE)


FORBIDDEN = [None, PAGE_NOACCESS, PAGE_READWRITE | PAGE_GUARD]


@pytest.mark.parametrize("protection", FORBIDDEN)
@pytest.mark.parametrize("missing", [0, 2], ids=["all of it", "its end"])
def test_memory_that_may_not_be_read_is_not(
    api: StandIn, memory: Memory, pages: Callable[[int | None], int], protection: int | None, missing: int
) -> None:
    """A host that reaches into a page that is reserved, forbidden or guarded; one that ends before it is taken."""
    boundary = pages(protection) + PAGE
    host = "a.example".encode("utf-16-le")
    structure = raw_httpapi.set_structure(memory, SCOPED_CCS)
    structure.key.host = boundary if missing == 0 else boundary - len(host)
    if missing:
        ctypes.memmove(boundary - len(host), host, len(host))
    assert api.set(SCOPED_CCS, structure) == INVALID_PARAMETER
    structure.key.host = boundary - len(host) - 2
    ctypes.memmove(boundary - len(host) - 2, host + b"\0\0", len(host) + 2)
    assert api.set(SCOPED_CCS, structure) == OK
    assert [found.host for found in api.listed(SCOPED_CCS)] == ["a.example"]


@pytest.mark.parametrize("protection", FORBIDDEN)
def test_a_structure_that_ends_in_forbidden_memory_is_refused(
    api: StandIn, memory: Memory, pages: Callable[[int | None], int], protection: int | None
) -> None:
    """Its last bytes count as much as its first; moved up by them it is taken."""
    boundary = pages(protection) + PAGE
    structure = raw_httpapi.set_structure(memory, CCS)
    size = ctypes.sizeof(structure)
    ctypes.memmove(boundary - size, ctypes.addressof(structure), size)
    assert api.set(CCS, structure, pointer=boundary - size + 8) == INVALID_PARAMETER
    assert api.set(CCS, structure, pointer=boundary - size) == OK


@pytest.mark.parametrize("protection", [*FORBIDDEN, PAGE_READONLY])
def test_memory_that_may_not_be_written_is_not(
    api: StandIn, memory: Memory, pages: Callable[[int | None], int], protection: int | None
) -> None:
    """An answer that would end in such a page is refused; one that ends before it is written."""
    boundary = pages(protection) + PAGE
    assert api.set(CCS, raw_httpapi.set_structure(memory, CCS)) == OK
    ask, size = raw_httpapi.query_structure(memory, CCS), ctypes.sizeof(raw_httpapi.CcsSet)
    assert api.query(CCS, ask, boundary - size + 8, size) == INVALID_PARAMETER
    assert api.query(CCS, ask, return_length=ctypes.c_void_p(boundary)) == INVALID_PARAMETER
    assert api.query(CCS, ask, boundary - size, size) == OK


@pytest.mark.parametrize(("length", "code"), [(0, INVALID_PARAMETER), (1, OK), (255, OK), (256, INVALID_PARAMETER)])
def test_the_length_of_a_host(api: StandIn, memory: Memory, length: int, code: int) -> None:
    """From 1 to 255 characters."""
    assert api.set(SCOPED_CCS, raw_httpapi.set_structure(memory, SCOPED_CCS, host="h" * length)) == code


def test_a_host_without_its_end_is_refused(api: StandIn, memory: Memory) -> None:
    """Its reader stops after 256 characters, wherever the memory goes on."""
    structure = raw_httpapi.set_structure(memory, SCOPED_CCS)
    structure.key.host = memory.data(b"h\0" * 4096)
    assert api.set(SCOPED_CCS, structure) == INVALID_PARAMETER


def test_hosts_are_compared_byte_by_byte(api: StandIn, memory: Memory) -> None:
    """Another spelling, another host and another port are other records."""
    assert api.set(SCOPED_CCS, raw_httpapi.set_structure(memory, SCOPED_CCS, host="A.example")) == OK
    again = raw_httpapi.set_structure(memory, SCOPED_CCS, host="A.example")
    assert api.set(SCOPED_CCS, again) == ALREADY_EXISTS
    asked = raw_httpapi.query_structure(memory, SCOPED_CCS, host="a.example")
    assert api.read(SCOPED_CCS, asked)[0] == FILE_NOT_FOUND
    assert api.set(SCOPED_CCS, raw_httpapi.set_structure(memory, SCOPED_CCS, host="a.example.")) == OK
    assert api.set(SCOPED_CCS, raw_httpapi.set_structure(memory, SCOPED_CCS, host="b\u00fccher.example")) == OK
    assert api.set(SCOPED_CCS, raw_httpapi.set_structure(memory, SCOPED_CCS, host="b.example")) == OK
    assert api.set(SCOPED_CCS, raw_httpapi.set_structure(memory, SCOPED_CCS, port=444)) == OK
    for host in ("A.example", "a.example.", "b\u00fccher.example"):
        code, found = api.read(SCOPED_CCS, raw_httpapi.query_structure(memory, SCOPED_CCS, host=host))
        assert (code, found and found.host) == (OK, host)


# ---- parameters --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", [SSL, SNI])
@pytest.mark.parametrize("length", [0, 16, 19, 21, 32])
def test_a_hash_has_twenty_bytes(
    api: StandIn, memory: Memory, bound: machine_keys.Made, family: int, length: int
) -> None:
    """SHA-1 of the certificate, and nothing longer or shorter."""
    structure = set_of(memory, family, bound)
    structure.param.hash_length = length
    assert api.set(family, structure) == INVALID_PARAMETER
    assert "20" in api.reason()


@pytest.mark.parametrize(
    ("family", "store", "code"),
    [
        (SSL, None, OK),
        (SNI, None, INVALID_PARAMETER),
        (SSL, "", INVALID_PARAMETER),
        (SNI, "", INVALID_PARAMETER),
        (SSL, "my", OK),
        (SNI, "My", OK),
        (SSL, "S" * 128, NO_SUCH_LOGON_SESSION),
        (SSL, "S" * 129, INVALID_PARAMETER),
        (SNI, "S" * 129, INVALID_PARAMETER),
    ],
)
def test_store_names(
    api: StandIn, memory: Memory, bound: machine_keys.Made, family: int, store: str | None, code: int
) -> None:
    """NULL means MY for an address, a host name needs a name; at most 128 characters."""
    assert api.set(family, set_of(memory, family, bound, store=store)) == code
    if code == OK:
        assert [found.store for found in api.listed(family)] == [store]


@pytest.mark.parametrize("family", WITHOUT_CERTIFICATE)
@pytest.mark.parametrize("name", ["hash_length", "hash", "store"])
def test_central_store_records_name_no_certificate(api: StandIn, memory: Memory, family: int, name: str) -> None:
    """Hash and store stay empty there."""
    structure = raw_httpapi.set_structure(memory, family)
    setattr(structure.param, name, 20 if name == "hash_length" else memory.text("MY" * 10))
    assert api.set(family, structure) == INVALID_PARAMETER
    assert "no certificate" in api.reason()


OPTIONS = {
    "check_mode": 0x10007,
    "freshness_time": 4_294_967_295,
    "retrieval_timeout": 5000,
    "flags": 0xFFFF,
}


@pytest.mark.parametrize("family", [SSL, SNI, SCOPED_CCS])
def test_every_option_comes_back(api: StandIn, memory: Memory, bound: machine_keys.Made, family: int) -> None:
    """Every number, both CTL strings and the application's id, field by field."""
    structure = set_of(memory, family, bound, app_id=bytes(range(100, 116)), **OPTIONS)
    structure.param.ctl_identifier = memory.text("Vertrauenswürdig")
    structure.param.ctl_store = memory.text("C" * 128)
    assert api.set(family, structure) == OK
    (found,) = api.listed(family)
    assert found.options == OPTIONS
    assert found.app_id == bytes(range(100, 116))
    assert (found.ctl_identifier, found.ctl_store) == ("Vertrauenswürdig", "C" * 128)


@pytest.mark.parametrize("family", FAMILIES)
def test_absent_strings_come_back_absent(api: StandIn, memory: Memory, bound: machine_keys.Made, family: int) -> None:
    """NULL stays NULL, and a central store record has no hash."""
    assert api.set(family, set_of(memory, family, bound)) == OK
    (found,) = api.listed(family)
    assert (found.ctl_identifier, found.ctl_store) == (None, None)
    if family in WITHOUT_CERTIFICATE:
        assert (found.hash_length, found.thumbprint, found.store) == (0, None, None)


@pytest.mark.parametrize("name", [*OPTIONS, "ctl_identifier", "ctl_store"])
def test_a_plain_central_store_record_takes_no_option(api: StandIn, memory: Memory, name: str) -> None:
    """Not one of them, though scoped records do."""
    structure = raw_httpapi.set_structure(memory, CCS)
    setattr(structure.param, name, OPTIONS.get(name) or memory.text("x"))
    assert api.set(CCS, structure) == INVALID_PARAMETER
    assert "no options" in api.reason()


@pytest.mark.parametrize(
    ("name", "bit", "variable"),
    [("flags", 0x10000, "MLSSSL_STANDIN_FLAGS"), ("check_mode", 0x20, "MLSSSL_STANDIN_CHECK_MODES")],
)
def test_bits_of_a_newer_windows(
    api: StandIn, memory: Memory, monkeypatch: pytest.MonkeyPatch, name: str, bit: int, variable: str
) -> None:
    """Unknown bits are refused by default, kept by a Windows that has them, refused by one that has fewer."""
    structure = raw_httpapi.set_structure(memory, SCOPED_CCS)
    setattr(structure.param, name, bit)
    assert api.set(SCOPED_CCS, structure) == INVALID_PARAMETER
    monkeypatch.setenv(variable, "0xffffffff")
    assert api.set(SCOPED_CCS, structure) == OK
    assert [found.options[name] for found in api.listed(SCOPED_CCS)] == [bit]
    monkeypatch.setenv(variable, "0")
    setattr(structure.param, name, 1)
    assert api.update(SCOPED_CCS, structure) == INVALID_PARAMETER


# ---- the certificate -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", [SSL, SNI])
def test_an_unknown_certificate_is_no_logon_session(api: StandIn, memory: Memory, family: int) -> None:
    """1312: what Windows answers whenever the certificate cannot be used."""
    structure = raw_httpapi.set_structure(memory, family, thumbprint=bytes(20))
    assert api.set(family, structure) == NO_SUCH_LOGON_SESSION
    assert "no certificate with this hash" in api.reason()
    assert api.listed(family) == []


def test_the_named_store_is_looked_in(api: StandIn, memory: Memory) -> None:
    """A certificate in another store of the machine does not count; no store is made by looking."""
    with machine_keys.bindable("mlsssl-test-root", store="Root") as made:
        assert api.set(SSL, set_of(memory, SSL, made)) == NO_SUCH_LOGON_SESSION
        assert "no certificate with this hash" in api.reason()
        absent = f"mlsssl-test-{uuid.uuid4()}"
        for _ in range(2):
            assert api.set(SSL, set_of(memory, SSL, made, store=absent)) == NO_SUCH_LOGON_SESSION
            assert "no store of this name" in api.reason()
        assert api.set(SSL, set_of(memory, SSL, made, store="Root")) == OK


def test_a_certificate_of_the_user_does_not_count(api: StandIn, memory: Memory) -> None:
    """Only LocalMachine is looked in."""
    made = machine_keys.make()
    machine_keys.delete_key("mlsssl-test-user")
    machine_keys.import_key(made.key, "mlsssl-test-user")
    try:
        with machine_keys.in_store(made, container="mlsssl-test-user", location="CurrentUser"):
            assert api.set(SSL, set_of(memory, SSL, made)) == NO_SUCH_LOGON_SESSION
            assert "no certificate with this hash" in api.reason()
        with machine_keys.in_store(made, container="mlsssl-test-user"):
            assert api.set(SSL, set_of(memory, SSL, made)) == OK
    finally:
        machine_keys.delete_key("mlsssl-test-user")


@pytest.mark.parametrize(
    ("link", "reason"),
    [
        ({"container": None}, "no private key is linked"),
        ({"container": "mlsssl-test-bad", "flags": 0}, "machine key set"),
        ({"container": "mlsssl-test-absent"}, "does not open"),
        ({"container": "mlsssl-test-bad", "provider": "No Such Provider"}, "does not open"),
        (
            {
                "container": "mlsssl-test-absent",
                "provider": "Microsoft Software Key Storage Provider",
                "provider_type": 0,
            },
            "does not open",
        ),
    ],
)
def test_a_key_that_http_sys_cannot_open(api: StandIn, memory: Memory, link: dict[str, Any], reason: str) -> None:
    """No link, a user's key, a container or provider that is not there: 1312 for Set and Update alike."""
    with machine_keys.bindable("mlsssl-test-bad") as made:
        assert api.set(SSL, set_of(memory, SSL, made)) == OK
        with machine_keys.in_store(made, **link):
            assert api.update(SSL, set_of(memory, SSL, made, flags=1)) == NO_SUCH_LOGON_SESSION
            assert reason in api.reason()
            assert api.set(SSL, set_of(memory, SSL, made, port=444)) == NO_SUCH_LOGON_SESSION
            assert reason in api.reason()
        assert [found.options["flags"] for found in api.listed(SSL)] == [0]


def test_a_certificate_of_a_test_is_gone_afterwards(api: StandIn, memory: Memory) -> None:
    """Certificate and container: what a binding rests on can be taken away under it, as on Windows."""
    with machine_keys.bindable("mlsssl-test-gone") as made:
        assert api.set(SSL, set_of(memory, SSL, made)) == OK
    assert api.update(SSL, set_of(memory, SSL, made)) == NO_SUCH_LOGON_SESSION
    assert "no certificate with this hash" in api.reason()
    with machine_keys.in_store(made, container="mlsssl-test-gone"):
        assert api.update(SSL, set_of(memory, SSL, made)) == NO_SUCH_LOGON_SESSION
    assert "does not open" in api.reason()
    assert len(api.listed(SSL)) == 1


# ---- set, update, delete, query --------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", FAMILIES)
def test_the_life_of_a_record(api: StandIn, memory: Memory, bound: machine_keys.Made, family: int) -> None:
    """Set once, not twice; updated as a whole; deleted once, not twice; gone."""
    first, second = (set_of(memory, family, bound, app_id=bytes([number] * 16)) for number in (1, 2))
    key = raw_httpapi.delete_structure(memory, family)
    ask = raw_httpapi.query_structure(memory, family)
    assert api.read(family, ask) == (NOT_FOUND, None)
    assert api.update(family, first) == NOT_FOUND
    assert api.delete(family, key) == NOT_FOUND
    assert api.set(family, first) == OK
    assert api.set(family, second) == ALREADY_EXISTS
    code, found = api.read(family, ask)
    assert (code, found and found.app_id) == (OK, bytes([1] * 16))
    assert api.update(family, second) == OK
    code, found = api.read(family, ask)
    assert (code, found and found.app_id) == (OK, bytes([2] * 16))
    assert api.delete(family, key) == OK
    assert api.read(family, ask) == (NOT_FOUND, None)
    assert api.delete(family, key) == NOT_FOUND


def test_an_update_replaces_every_field(
    api: StandIn, memory: Memory, bound: machine_keys.Made, other: machine_keys.Made
) -> None:
    """Options that are not given again are gone, and the certificate is the new one."""
    first = set_of(memory, SSL, bound, **OPTIONS)
    first.param.ctl_identifier = memory.text("ctl")
    assert api.set(SSL, first) == OK
    assert api.update(SSL, set_of(memory, SSL, other)) == OK
    (found,) = api.listed(SSL)
    assert found.thumbprint == other.thumbprint
    assert found.ctl_identifier is None
    assert set(found.options.values()) == {0}


def test_families_are_apart(api: StandIn, memory: Memory, bound: machine_keys.Made) -> None:
    """The same port in all four: four records, each found in its own family only."""
    for family in FAMILIES:
        assert api.set(family, set_of(memory, family, bound)) == OK
    for family in FAMILIES:
        assert len(api.listed(family)) == 1
    assert api.delete(CCS, raw_httpapi.delete_structure(memory, CCS)) == OK
    assert [len(api.listed(family)) for family in FAMILIES] == [1, 1, 0, 1]


def test_a_deletion_gives_the_key_alone(api: StandIn, memory: Memory) -> None:
    """The stand-in demands what callers should do: the rest of the structure is zero."""
    assert api.set(SCOPED_CCS, raw_httpapi.set_structure(memory, SCOPED_CCS)) == OK
    structure = raw_httpapi.delete_structure(memory, SCOPED_CCS)
    structure.param.flags = 1
    assert api.delete(SCOPED_CCS, structure) == INVALID_PARAMETER
    structure.param.flags = 0
    assert api.delete(SCOPED_CCS, structure) == OK


def test_tokens_list_every_record_once(api: StandIn, memory: Memory) -> None:
    """Token 0, 1, 2, ... and 259 past the end; deleting moves the rest up."""
    ports = list(range(1000, 1040))
    for port in reversed(ports):
        assert api.set(CCS, raw_httpapi.set_structure(memory, CCS, port=port)) == OK
    assert sorted(found.port for found in api.listed(CCS)) == ports
    beyond = raw_httpapi.query_structure(memory, CCS, kind=NEXT, token=len(ports))
    assert api.query(CCS, beyond) == NO_MORE_ITEMS
    assert api.delete(CCS, raw_httpapi.delete_structure(memory, CCS, port=1000)) == OK
    assert sorted(found.port for found in api.listed(CCS)) == ports[1:]


def test_the_size_probe(api: StandIn, memory: Memory, bound: machine_keys.Made) -> None:
    """122 with the size; one byte less is 122 again and writes nothing; the size itself is enough."""
    assert api.set(SNI, set_of(memory, SNI, bound)) == OK
    ask = raw_httpapi.query_structure(memory, SNI)
    needed = ctypes.c_uint32(7)
    assert api.query(SNI, ask, return_length=ctypes.byref(needed)) == INSUFFICIENT_BUFFER
    assert needed.value > ctypes.sizeof(raw_httpapi.SniSet)
    buffer = (ctypes.c_uint64 * (needed.value // 8 + 2))(*[0x5555555555555555] * (needed.value // 8 + 2))
    start, size = ctypes.addressof(buffer), needed.value
    needed.value = 7
    assert api.query(SNI, ask, start, size - 1, ctypes.byref(needed)) == INSUFFICIENT_BUFFER
    assert needed.value == size
    assert set(bytes(buffer)) == {0x55}
    assert api.query(SNI, ask, start, size, ctypes.byref(needed)) == OK
    assert needed.value == size
    assert set(bytes(buffer)[size:]) == {0x55}, "written past the length that was given"


def test_a_query_without_a_place_for_the_length(api: StandIn, memory: Memory) -> None:
    """The pointer is optional; one that cannot be written is refused."""
    assert api.set(CCS, raw_httpapi.set_structure(memory, CCS)) == OK
    ask = raw_httpapi.query_structure(memory, CCS)
    assert api.query(CCS, ask) == INSUFFICIENT_BUFFER
    assert api.query(CCS, ask, return_length=ctypes.c_void_p(0x10)) == INVALID_PARAMETER


@pytest.mark.parametrize(("output", "length"), [(None, 8), (0x10, 4096), (1, 4096)])
def test_a_wrong_output_buffer_is_refused(api: StandIn, memory: Memory, output: int | None, length: int) -> None:
    """NULL with a length, unmapped, odd."""
    assert api.set(CCS, raw_httpapi.set_structure(memory, CCS)) == OK
    assert api.query(CCS, raw_httpapi.query_structure(memory, CCS), output, length) == INVALID_PARAMETER


@pytest.mark.parametrize("kind", [2, -1])
def test_a_query_is_exact_or_next(api: StandIn, memory: Memory, kind: int) -> None:
    """Any other kind is refused."""
    assert api.query(CCS, raw_httpapi.query_structure(memory, CCS, kind=EXACT)) == NOT_FOUND
    assert api.query(CCS, raw_httpapi.query_structure(memory, CCS, kind=kind)) == INVALID_PARAMETER


# ---- between processes ---------------------------------------------------------------------------------------------


def test_records_are_seen_by_the_next_process(api: StandIn, memory: Memory, bound: machine_keys.Made) -> None:
    """Written there, read here, and the other way round."""
    done = run_python(
        f"""
        assert api.initialize() == 0
        structure = set_structure(memory, SSL, port=8443, thumbprint=bytes.fromhex({bound.thumbprint.hex()!r}))
        print(api.set(SSL, structure), api.terminate(), api.open_count())
        """
    )
    assert (done.stdout.split(), done.stderr) == (["0", "0", "0"], "")
    code, found = api.read(SSL, raw_httpapi.query_structure(memory, SSL, port=8443))
    assert (code, found and found.thumbprint) == (OK, bound.thumbprint)
    assert api.delete(SSL, raw_httpapi.delete_structure(memory, SSL, port=8443)) == OK
    done = run_python("api.initialize(); print(api.listed(SSL)); api.terminate()")
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_processes_at_once_lose_nothing(api: StandIn) -> None:
    """Of four that set the same record one wins; all their other records are there."""
    code = """
        import sys
        assert api.initialize() == 0
        number = int(sys.argv[1])
        won = api.set(CCS, set_structure(memory, CCS, port=1))
        print(won)
        for port in range(number * 100, number * 100 + 25):
            assert api.set(CCS, set_structure(memory, CCS, port=port)) == 0
        assert api.terminate() == 0
    """
    tests = str(Path(__file__).resolve().parent.parent)
    prelude = "from windows.raw_httpapi import *\napi, memory = StandIn(), Memory()\n"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", prelude + textwrap.dedent(code), str(number)],
            env={**os.environ, "PYTHONPATH": tests},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(1, 5)
    ]
    answers = [process.communicate(timeout=120)[0].strip() for process in started]
    assert sorted(answers) == ["0", "183", "183", "183"]
    wanted = {1} | {number * 100 + extra for number in range(1, 5) for extra in range(25)}
    assert {found.port for found in api.listed(CCS)} == wanted


def test_nothing_is_changed_while_another_process_looks(api: StandIn, memory: Memory) -> None:
    """Looking and writing are one step: a change waits until the lock is free."""
    kernel32 = ctypes.CDLL("kernel32.dll")
    kernel32.CreateMutexW.restype = ctypes.c_void_p
    mutex = ctypes.c_void_p(kernel32.CreateMutexW(None, False, ctypes.c_wchar_p("Global\\mlsssl-standin")))
    assert kernel32.WaitForSingleObject(mutex, 10_000) == 0
    tests = str(Path(__file__).resolve().parent.parent)
    code = "from windows.raw_httpapi import *; api = StandIn(); api.initialize(); print('ready', flush=True); "
    code += "print(api.set(CCS, set_structure(Memory(), CCS)))"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": tests},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        assert kernel32.ReleaseMutex(mutex)
        assert kernel32.CloseHandle(mutex)
        assert process.stdout.read().strip() == "0"
    assert [found.port for found in api.listed(CCS)] == [443]


# ---- faults --------------------------------------------------------------------------------------------------------


def life(api: StandIn, memory: Memory) -> list[tuple[str, int]]:
    """One call of each function, in an order in which all succeed; the code of each."""
    record, key = raw_httpapi.set_structure(memory, CCS), raw_httpapi.delete_structure(memory, CCS)
    return [
        ("HttpInitialize", api.initialize()),
        ("HttpSetServiceConfiguration", api.set(CCS, record)),
        ("HttpUpdateServiceConfiguration", api.update(CCS, record)),
        ("HttpQueryServiceConfiguration", api.query(CCS, raw_httpapi.query_structure(memory, CCS))),
        ("HttpDeleteServiceConfiguration", api.delete(CCS, key)),
        ("HttpTerminate", api.terminate()),
    ]


@pytest.mark.parametrize("number", range(1, 7))
def test_the_nth_call_fails_and_does_nothing(raw: StandIn, memory: Memory, number: int) -> None:
    """Set by the exported function: each function in its turn, and it says which one it was."""
    assert raw.initialize() == OK  # so that the others go on when the second one fails
    raw.fail_call(0, 0)
    well = life(raw, memory)
    assert raw.calls() == len(well) == 6
    assert raw.failed_function() is None
    raw.fail_call(number, 1359)
    codes = life(raw, memory)
    assert codes[number - 1] == (well[number - 1][0], 1359)
    assert [name for name, code in codes if code == 1359] == [raw.failed_function()]
    if codes[number - 1][0] == "HttpDeleteServiceConfiguration":
        assert [found.port for found in raw.listed(CCS)] == [443], "a failed deletion deleted"
    raw.fail_call(0, 0)
    while raw.open_count():
        assert raw.terminate() == OK


def test_faults_by_environment(raw: StandIn, memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read at each call, so a running process can be told; the count goes on from where it was."""
    assert raw.initialize() == OK
    monkeypatch.setenv("MLSSSL_STANDIN_FAIL_CALL", str(raw.calls() + 2))
    monkeypatch.setenv("MLSSSL_STANDIN_FAIL_CODE", "0x5b4")
    record = raw_httpapi.set_structure(memory, CCS)
    assert raw.set(CCS, record) == OK
    assert raw.update(CCS, record) == 0x5B4
    assert raw.failed_function() == "HttpUpdateServiceConfiguration"
    assert raw.update(CCS, record) == OK
    assert raw.terminate() == OK


@pytest.mark.parametrize(
    ("when", "records"), [("before", []), ("after", [443])], ids=["before its work", "after its work"]
)
@pytest.mark.parametrize("way", ["environment", "function"])
def test_a_process_that_dies_in_a_call(api: StandIn, when: str, records: list[int], way: str) -> None:
    """Killed before the record is written, or after; the lock is free again in both cases."""
    environment = {"MLSSSL_STANDIN_KILL_CALL": "2", "MLSSSL_STANDIN_KILL_WHEN": when} if way == "environment" else {}
    arm = f"api.kill_call(1, after={when == 'after'})" if way == "function" else ""
    done = run_python(
        f"""
        assert api.initialize() == 0
        print("alive", flush=True)
        {arm}
        api.set(CCS, set_structure(memory, CCS))
        print("still alive")
        """,
        **environment,
    )
    assert (done.returncode, done.stdout.split()) == (KILLED, ["alive"])
    assert [found.port for found in api.listed(CCS)] == records


def test_reset_forgets_records_and_faults_but_no_leak(api: StandIn, memory: Memory) -> None:
    """An initialisation that nobody ended stays visible."""
    assert api.set(CCS, raw_httpapi.set_structure(memory, CCS)) == OK
    api.fail_call(1, 5)
    api.reset()
    assert api.open_count() == 1
    assert api.listed(CCS) == []


# ---- the older library ---------------------------------------------------------------------------------------------


def test_the_older_library_has_no_update(api: StandIn, memory: Memory) -> None:
    """Everything else is there, on the same records."""
    older = load("httpapi-2016.dll")
    assert api.exports("HttpUpdateServiceConfiguration")
    assert not older.exports("HttpUpdateServiceConfiguration")
    assert older.set(CCS, raw_httpapi.set_structure(memory, CCS)) == NOT_INITIALIZED
    assert older.initialize() == OK
    assert older.set(CCS, raw_httpapi.set_structure(memory, CCS)) == OK
    assert len(api.listed(CCS)) == 1
    assert older.delete(CCS, raw_httpapi.delete_structure(memory, CCS)) == OK
    assert older.terminate() == OK
