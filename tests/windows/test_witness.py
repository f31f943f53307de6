"""The second stand-in for HTTP.sys: every field that it read is what the library meant, and it believes nothing.

It runs where httpapi.dll is the witness: `wine.py run --httpapi witness`, a part of `nox -s windows`.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import re
import subprocess
import sys
import uuid
from dataclasses import dataclass, fields
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mlsssl._formats.binding_keys import BindingKey, BindingOptions, CcsPort, HostnamePort, IpPort, ScopedCcs
from mlsssl._formats.url_prefixes import UrlPrefix
from mlsssl._machine.ports import BindingRecord, ReservationRecord
from mlsssl._windows.bindings import WindowsBindings
from mlsssl._windows.dlls import SystemDlls
from mlsssl._windows.reservations import WindowsReservations
from mlsssl.errors import (
    BindingExistsError,
    BindingNotFoundError,
    ReservationExistsError,
    ReservationNotFoundError,
    UnusableCertificateError,
)
from mlsssl.netsh import parse_listing, parse_urlacl_listing
from mlsssl.values import Thumbprint
from windows import machine_keys, mingw, raw_httpapi, witness_log
from windows.raw_httpapi import CCS, NEXT, SCOPED_CCS, SNI, SSL, Memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from windows.witness_log import Call

WITNESS = Path(__file__).parent / "witness"
URLS = 2  # HttpServiceConfigUrlAclInfo
FIELDS_TO_BEAT = 10_818
"""How many fields a stranger's program compared when the library was looked at from outside; ours has to do more."""

under_the_witness = pytest.mark.skipif(
    not witness_log.present(), reason="httpapi.dll is another: wine.py run --httpapi witness, in `nox -s windows`"
)


@pytest.mark.parametrize("target", mingw.TARGETS)
def test_it_compiles_for_both(compilers: None, tmp_path: Path, target: mingw.Target) -> None:
    """Its sizes are stated beside its structures, and hold for both word sizes or do not compile."""
    sources = sorted(set(WITNESS.glob("*.c")) - {WITNESS / "netsh.c"})
    libraries = ("-lcrypt32", "-lncrypt", "-ladvapi32", "-lws2_32")
    mingw.build_dll(sources, tmp_path / "httpapi.dll", *libraries, target=target)
    mingw.build_program(
        [WITNESS / "netsh.c"], tmp_path / "netsh.exe", "-lhttpapi", "-lws2_32", "-lshell32", target=target
    )


# -- what was meant: tables of this test's own, from Microsoft's http.h ------------------------------------------------

FLAGS = {  # DefaultFlags: HTTP_SERVICE_CONFIG_SSL_FLAG_*; the bit is set for this value
    "map_client_certificates": (0x1, True),
    "negotiate_client_certificate": (0x2, True),
    "raw_filter": (0x4, False),
    "reject_connections": (0x8, True),
    "http2": (0x10, False),
    "quic": (0x20, False),
    "tls13": (0x40, False),
    "ocsp_stapling": (0x80, False),
    "token_binding": (0x100, True),
    "log_extended_events": (0x200, True),
    "legacy_tls": (0x400, False),
    "session_tickets": (0x800, True),
    "tls12": (0x1000, False),
    "client_correlation": (0x2000, True),
    "session_id": (0x4000, False),
    "cache_client_hello": (0x8000, True),
}
MODES = {  # DefaultCertCheckMode: HTTP_CERT_CHECK_MODE_*
    "verify_client_revocation": (0x1, False),
    "cached_client_revocation_only": (0x2, True),
    "use_revocation_freshness_time": (0x4, True),
    "cached_urls_only": (0x8, True),
    "retrieve_client_issuers": (0x10, False),
    "check_client_usage": (0x1_0000, False),
}
NUMBERS = {"unknown_flags": 0xFFFF_0000, "unknown_check_modes": 0xFFFE_FFE0}
SET_SIZES = {SSL: 88, URLS: 16, SNI: 216, CCS: 208, SCOPED_CCS: 216}
QUERY_SIZES = {SSL: 24, URLS: 24, SNI: 152, CCS: 144, SCOPED_CCS: 152}
TEXTS = (None, "issuers", "Eigene Zertifikate", "B\u00fccher", "\U0001f511 \u4e2d\u6587", "x" * 200)
NOT_SHOWN_BY_NETSH = ("raw_filter", "client_correlation", "cached_urls_only", "retrieve_client_issuers", *NUMBERS)


@dataclass(frozen=True)
class Meant:
    """A record in words, and what of it has to arrive."""

    family: int
    key: BindingKey
    address: str
    host: str | None
    store: str | None
    thumbprint: bytes
    app_id: uuid.UUID
    options: dict[str, Any]

    @property
    def record(self) -> BindingRecord:
        """What the library is given."""
        words = dict(self.options)
        words["revocation_freshness_time"] = timedelta(seconds=words.pop("freshness"))
        words["url_retrieval_timeout"] = timedelta(milliseconds=words.pop("timeout"))
        named = self.family in (SSL, SNI)
        return BindingRecord(
            key=self.key,
            thumbprint=Thumbprint(self.thumbprint) if named else None,
            store_name=self.store if named else None,
            app_id=self.app_id,
            options=BindingOptions(**words),
        )

    @property
    def key_fields(self) -> dict[str, object]:
        """The key as the witness names its fields."""
        packed = ip_address(self.address)
        found: dict[str, object] = {
            "address_family": 2 if packed.version == 4 else 23,
            "address": packed.packed.hex(),
            "port": self.key.port,
        }
        if packed.version == 6:
            found |= {"scope": 0, "flowinfo": 0}
        return found if self.host is None else {**found, "host": self.host}

    @property
    def parameters(self) -> dict[str, object]:
        """The rest of the structure."""
        given = self.options
        flags, modes = (
            sum(bit for name, (bit, on) in table.items() if given.get(name, not on) == on) for table in (FLAGS, MODES)
        )
        return {
            "hash_length": len(self.thumbprint),
            "hash": self.thumbprint.hex(),
            "app_id": self.app_id.bytes_le.hex(),
            "store": self.store,
            "check_mode": modes | given.get("unknown_check_modes", 0),
            "freshness": given["freshness"],
            "url_timeout": given["timeout"],
            "flags": flags | given.get("unknown_flags", 0),
            "ctl_identifier": given["ctl_identifier"],
            "ctl_store": given["ctl_store_name"],
        }


NOTHING = {
    "hash_length": 0,
    "hash": "",
    "app_id": "00" * 16,
    "store": None,
    "check_mode": 0,
    "freshness": 0,
    "url_timeout": 0,
    "flags": 0,
    "ctl_identifier": None,
    "ctl_store": None,
}


def meant(draw: random.Random, thumbprints: list[bytes], family: int, *, shown: bool = False) -> Meant:
    """A record at random; `shown` ones have nothing that netsh does not print."""
    port = draw.randint(40_000, 65_535)
    address, host = "0.0.0.0", None
    if family == SSL:
        packed = draw.getrandbits(128 if draw.random() < 0.5 else 32)
        address = str(ip_address(packed.to_bytes(16 if packed >> 32 else 4, "big")))
        key: BindingKey = IpPort(address, port)
    elif family == CCS:
        key = CcsPort(port)
    else:
        kind = HostnamePort if family == SNI else ScopedCcs
        host = f"h{draw.getrandbits(40):x}.witness.example"
        key = kind(host, port)
        if not shown and draw.random() < 0.3:  # as another program may have spelt it
            host = draw.choice([host.upper(), f"B\u00fccher-{host}", f"{host}."])
            key = kind.as_stored(host, port)
    named, central = family in (SSL, SNI), family == CCS
    options: dict[str, Any] = {"freshness": 0, "timeout": 0, "ctl_identifier": None, "ctl_store_name": None}
    if not central:  # a record of the whole central store takes none
        names = [name for name in (*FLAGS, *MODES) if not (shown and name in NOT_SHOWN_BY_NETSH)]
        options |= {name: draw.random() < 0.5 for name in names}
        options |= {"freshness": draw.getrandbits(32), "timeout": draw.getrandbits(32)}
        options |= {name: draw.choice(TEXTS[:3] if shown else TEXTS) for name in ("ctl_identifier", "ctl_store_name")}
        if shown:  # a text without the line may mean either; netsh itself never sets the one without the other
            options["freshness"] *= draw.randint(0, 1)
            options["use_revocation_freshness_time"] |= options["freshness"] > 0
        else:
            options |= {name: draw.getrandbits(32) & mask for name, mask in NUMBERS.items()}
    return Meant(
        family=family,
        key=key,
        address=address,
        host=host,
        store="MY" if named else None,
        thumbprint=draw.choice(thumbprints) if named else b"",
        app_id=uuid.UUID(int=draw.getrandbits(128)),
        options=options,
    )


class Comparison:
    """Counts the fields it compares; a field that nobody meant anything by is a failure."""

    def __init__(self) -> None:
        self.fields = 0

    def equal(self, seen: dict[str, Any], expected: dict[str, Any]) -> None:
        """Every field of both sides."""
        assert seen == expected
        self.fields += len(seen)

    def call(self, call: Call, one: Meant, parameters: dict[str, object]) -> None:
        """Set, Update or Delete of this record."""
        expected = {**one.key_fields, **parameters, "length": SET_SIZES[one.family], "family": one.family, "faults": []}
        seen = {name: value for name, value in call.items() if name not in ("function", "code")}
        self.equal(seen, expected)

    def query(self, call: Call, keys: list[dict[str, object]]) -> None:
        """A Query: of one of these keys, or the next in turn; its room, and what it was answered."""
        family, code = call["family"], call["code"]
        seen = {
            name: value for name, value in call.items() if name not in ("function", "code", "output_length", "needed")
        }
        if call["query"] == 1:
            expected = {
                "query": 1,
                "token": call["token"],
                "length": QUERY_SIZES[family],
                "family": family,
                "faults": [],
            }
            assert call["token"] in range(len(keys) + 1)
            assert code in (0, 122, 259)
        else:
            key = {name: value for name, value in seen.items() if name not in ("query", "length", "family", "faults")}
            assert key in keys
            expected = {**key, "query": 0, "length": QUERY_SIZES[family], "family": family, "faults": []}
            assert code in (0, 2, 122)
        self.equal(seen, expected)
        if "needed" in call:
            assert (code == 0) == (call["needed"] <= call["output_length"])
            self.fields += 2


@pytest.fixture(scope="module", name="thumbprints")
def _thumbprints() -> Iterator[list[bytes]]:
    with machine_keys.bindable("mlsssl-witness-1") as one, machine_keys.bindable("mlsssl-witness-2") as other:
        yield [one.thumbprint, other.thumbprint]


@pytest.fixture(name="log")
def _log() -> Iterator[witness_log.WitnessLog]:
    before = witness_log.open_count()
    yield witness_log.WitnessLog()
    assert witness_log.open_count() == before


def machine() -> WindowsBindings:
    """The library's own, on the DLL of System32."""
    return WindowsBindings(SystemDlls(), lambda _thumbprint, _store: ())


def checked(calls: list[Call], keys: list[dict[str, object]], comparison: Comparison) -> list[Call]:
    """Every call but those that change something, compared; and those that do."""
    changes = []
    for call in calls:
        assert call["faults"] == []
        if call["function"] == "HttpInitialize":
            expected = {"function": "HttpInitialize", "family": 0, "minor": 0, "flags": 2, "faults": [], "code": 0}
            comparison.equal(call, {**expected, "major": call["major"]})
            assert call["major"] in (1, 2)
        elif call["function"] == "HttpTerminate":
            comparison.equal(call, {"function": "HttpTerminate", "family": 0, "flags": 2, "faults": [], "code": 0})
        elif call["function"] == "Query":
            comparison.query(call, keys)
        else:
            changes.append(call)
    return changes


@under_the_witness
def test_every_field_is_what_was_meant(log: witness_log.WitnessLog, thumbprints: list[bytes]) -> None:
    """Set, read, updated and deleted: each structure of each call, of every family, field by field."""
    draw, comparison, bindings = random.Random(15), Comparison(), machine()
    for number in range(160):
        family = (SSL, SNI, SCOPED_CCS, SSL, SNI, CCS)[number % 6]
        first = meant(draw, thumbprints, family)
        again = meant(draw, thumbprints, family)
        second = Meant(**{**vars(again), "key": first.key, "address": first.address, "host": first.host})
        keys = [first.key_fields]
        for function, one, parameters in (
            ("Set", first, first.parameters),
            ("Update", second, second.parameters),
            ("Delete", first, NOTHING),
        ):
            if function == "Delete":
                bindings.remove(one.key)
            else:
                (bindings.add if function == "Set" else bindings.update)(one.record)
            (change,) = checked(log.read(), keys, comparison)
            assert (change["function"], change["code"]) == (function, 0)
            comparison.call(change, one, parameters)
            expected = None if function == "Delete" else one.record
            found = bindings.find(first.key)
            assert found == expected
            if found is not None:
                comparison.fields += len(fields(BindingOptions)) + 4
            assert checked(log.read(), keys, comparison) == []
        with pytest.raises(BindingNotFoundError):
            bindings.remove(first.key)
        (change,) = checked(log.read(), keys, comparison)
        assert change["code"] == 2
        comparison.call(change, first, NOTHING)
    sys.stdout.write(f"{comparison.fields} fields compared ")
    assert comparison.fields > FIELDS_TO_BEAT


@under_the_witness
def test_what_is_refused_is_refused_for_its_reason(log: witness_log.WitnessLog, thumbprints: list[bytes]) -> None:
    """183 for a key that is bound, 1312 for a certificate that is not there; the structures are right all the same."""
    draw, bindings = random.Random(16), machine()
    for family in (SSL, SNI):
        one = meant(draw, thumbprints, family)
        bindings.add(one.record)
        with pytest.raises(BindingExistsError):
            bindings.add(one.record)
        nowhere = Meant(**{**vars(meant(draw, [bytes(range(20))], family)), "store": "MY"})
        with pytest.raises(UnusableCertificateError):
            bindings.add(nowhere.record)
        bindings.remove(one.key)
    calls = log.read()
    assert [call["code"] for call in calls if call["function"] == "Set"] == [0, 183, 1312] * 2
    assert all(call["faults"] == [] for call in calls)


# -- URL reservations --------------------------------------------------------------------------------------------------

SIDS = {  # as a caller may name an account, and as Windows writes it: "SID Strings" of Microsoft's reference
    "S-1-1-0": "WD",
    "S-1-5-20": "NS",
    "BU": "BU",
    "S-1-5-32-545": "BU",
    "S-1-5-21-1-2-3-1001": "S-1-5-21-1-2-3-1001",
    "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464": (
        "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
    ),
}
SEGMENTS = ("mls", "Gr\u00fcn", "a%20b", "x" * 40, "\u4e2d")
RIGHTS = {"GX": "GX", "GW": "GW", "GA": "GA", "0x20000000": "GX", "0x10000000": "GA"}


def reserved(draw: random.Random) -> tuple[str, str, str]:
    """A prefix at random, an access list, and the list as Windows writes it."""
    host = draw.choice(["+", "*", "www.witness.example", "10.0.0.5", "[fe80::1:2]", "B\u00fccher.example"])
    path = "".join(f"{draw.choice(SEGMENTS)}/" for _ in range(draw.randint(0, 4)))
    url = f"{draw.choice(['http', 'https'])}://{host}:{draw.randint(40_000, 65_535)}/{path}"
    chosen = [
        (draw.choice("AD"), draw.choice(list(RIGHTS)), draw.choice(list(SIDS))) for _ in range(draw.randint(1, 12))
    ]
    given = "".join(f"({kind};;{rights};;;{account})" for kind, rights, account in chosen)
    written = "".join(f"({kind};;{RIGHTS[rights]};;;{SIDS[account]})" for kind, rights, account in chosen)
    return url, f"D:{given}", f"D:{written}"


@under_the_witness
def test_every_field_of_a_reservation_is_what_was_meant(log: witness_log.WitnessLog) -> None:
    """Set, read, listed by another program, deleted: each structure of each call, field by field."""
    draw, comparison, reservations = random.Random(18), Comparison(), WindowsReservations(SystemDlls())
    before = len(reservations.all())
    for _ in range(120):
        url, given, written = reserved(draw)
        prefix = UrlPrefix.as_stored(url)
        keys: list[dict[str, object]] = [{"url": url}, {"url": str(prefix)}]
        common = {"url": url, "length": SET_SIZES[URLS], "family": URLS, "faults": []}
        log.read()
        reservations.add(ReservationRecord(url=prefix, sddl=given))
        with pytest.raises(ReservationExistsError):
            reservations.add(ReservationRecord(url=prefix, sddl=given))
        for change, code in zip(checked(log.read(), keys, comparison), (0, 183), strict=True):
            comparison.equal(change, {**common, "descriptor": given, "function": "Set", "code": code})
        found = reservations.find(prefix)
        assert found == ReservationRecord(url=prefix, sddl=written)
        comparison.fields += 2
        assert len(reservations.all()) == before + 1
        reservations.remove(prefix)
        with pytest.raises(ReservationNotFoundError):
            reservations.remove(prefix)
        assert reservations.find(prefix) is None
        for change, code in zip(checked(log.read(), keys, comparison), (0, 2), strict=True):
            comparison.equal(change, {**common, "descriptor": None, "function": "Delete", "code": code})
    sys.stdout.write(f"{comparison.fields} fields of reservations compared ")
    assert comparison.fields > FIELDS_TO_BEAT


@under_the_witness
def test_netsh_prints_the_reservations_that_were_meant() -> None:
    """A second process, another program: its text read by a reader of this test's own, and by the library's."""
    draw, reservations = random.Random(19), WindowsReservations(SystemDlls())
    made = {url: (given, written) for url, given, written in (reserved(draw) for _ in range(60)) if url.isascii()}
    try:
        for url, (given, _) in made.items():
            reservations.add(ReservationRecord(url=UrlPrefix.as_stored(url), sddl=given))
        shown = netsh(what="urlacl")
        assert shown.returncode == 0
        printed = dict(re.findall(r"Reserved URL +: (\S+)\r\n +SDDL: (\S+)\r", shown.stdout.decode("ascii")))
        assert {url: printed.get(url) for url in made} == {url: written for url, (_, written) in made.items()}
        read = {record.url.written: record.sddl for record in parse_urlacl_listing(shown.stdout).records}
        assert read == printed
        assert len(made) > 8
    finally:
        for url in made:
            reservations.remove(UrlPrefix.as_stored(url))


def _nowhere_url(_memory: Memory, structure: UrlSet) -> None:
    structure.url = 8


def _no_url(_memory: Memory, structure: UrlSet) -> None:
    structure.url = None


def _endless_list(memory: Memory, structure: UrlSet) -> None:
    structure.descriptor = memory.data(b"x\0" * 5000)


@under_the_witness
@pytest.mark.parametrize("lie", [_nowhere_url, _no_url, _endless_list])
def test_a_wrong_field_of_a_reservation_is_a_fault(
    log: witness_log.WitnessLog, lie: Callable[[Memory, UrlSet], None]
) -> None:
    """The failing twin: written down, and refused."""
    api, memory = raw_httpapi.HttpApi(), Memory()
    given = UrlSet(memory.text("https://+:44399/witness/"), memory.text("D:(A;;GX;;;NS)"))
    lie(memory, given)
    with initialised(api):
        assert api.set(URLS, memory.structure(given)) == 87
    (wrong,) = log.faults()
    assert (wrong["function"], wrong["code"]) == ("Set", 87)


@under_the_witness
def test_a_deletion_that_brings_an_access_list_is_a_fault(log: witness_log.WitnessLog) -> None:
    """HTTP.sys reads the key; a caller that sends more has mistaken something."""
    api, memory = raw_httpapi.HttpApi(), Memory()
    given = UrlSet(memory.text("https://+:44399/witness/"), memory.text("D:(A;;GX;;;NS)"))
    with initialised(api):
        assert api.delete(URLS, memory.structure(given)) == 87
    (wrong,) = log.faults()
    assert "more than a key" in wrong["faults"][0]


def netsh(*words: str, what: str = "sslcert") -> subprocess.CompletedProcess[bytes]:
    """The printer, in the place of Windows' own netsh.exe."""
    program = os.path.join(os.environ["SYSTEMROOT"], "System32", "netsh.exe")  # noqa: PTH118  # a Windows path, as text
    command = [program, "http", "show", what, *words]
    return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False, timeout=60)


# As `netsh http show sslcert` has them in English, to a value of `Meant.parameters`.
LABELS: dict[str, Callable[[dict[str, Any]], str]] = {
    "Certificate Hash": lambda p: p["hash"] or "(null)",
    "Certificate Store Name": lambda p: p["store"] or "(null)",
    "Verify Client Certificate Revocation": lambda p: "Disabled" if p["check_mode"] & 1 else "Enabled",
    "Verify Revocation Using Cached Client Certificate Only": lambda p: (
        "Enabled" if p["check_mode"] & 2 else "Disabled"
    ),
    "Usage Check": lambda p: "Disabled" if p["check_mode"] & 0x1_0000 else "Enabled",
    "Revocation Freshness Time": lambda p: str(p["freshness"]),
    "URL Retrieval Timeout": lambda p: str(p["url_timeout"]),
    "Ctl Identifier": lambda p: p["ctl_identifier"] or "(null)",
    "Ctl Store Name": lambda p: p["ctl_store"] or "(null)",
    "DS Mapper Usage": lambda p: "Enabled" if p["flags"] & 1 else "Disabled",
    "Negotiate Client Certificate": lambda p: "Enabled" if p["flags"] & 2 else "Disabled",
    "Reject Connections": lambda p: "Enabled" if p["flags"] & 8 else "Disabled",
    "Disable HTTP2": lambda p: "Set" if p["flags"] & 0x10 else "Not Set",
    "Disable QUIC": lambda p: "Set" if p["flags"] & 0x20 else "Not Set",
    "Disable TLS1.2": lambda p: "Set" if p["flags"] & 0x1000 else "Not Set",
    "Disable TLS1.3": lambda p: "Set" if p["flags"] & 0x40 else "Not Set",
    "Disable OCSP Stapling": lambda p: "Set" if p["flags"] & 0x80 else "Not Set",
    "Enable Token Binding": lambda p: "Set" if p["flags"] & 0x100 else "Not Set",
    "Log Extended Events": lambda p: "Set" if p["flags"] & 0x200 else "Not Set",
    "Disable Legacy TLS Versions": lambda p: "Set" if p["flags"] & 0x400 else "Not Set",
    "Enable Session Ticket": lambda p: "Set" if p["flags"] & 0x800 else "Not Set",
    "Disable Session ID": lambda p: "Set" if p["flags"] & 0x4000 else "Not Set",
    "Enable Caching Client Hello": lambda p: "Set" if p["flags"] & 0x8000 else "Not Set",
}
KEY_LABELS = {SSL: "IP:port", SNI: "Hostname:port", CCS: "Central Certificate Store", SCOPED_CCS: "Scoped CCS:port"}


def key_text(one: Meant) -> str:
    """As netsh takes and prints it."""
    return str(one.key.port) if one.family == CCS else str(one.key).rpartition("=")[2]


@under_the_witness
def test_netsh_prints_what_was_meant(thumbprints: list[bytes]) -> None:
    """A second process, another program: its text read by a reader of this test's own, and by the library's."""
    draw, comparison, bindings = random.Random(17), Comparison(), machine()
    bound = [meant(draw, thumbprints, family, shown=True) for family in (SSL, SNI, CCS, SCOPED_CCS) for _ in range(6)]
    try:
        for one in bound:
            bindings.add(one.record)
        shown = netsh()
        assert shown.returncode == 0
        blocks = [
            block for block in re.split(r"\r\n\r\n+", shown.stdout.decode("ascii")) if "Certificate Hash" in block
        ]
        printed = [dict(re.findall(r"^ {4}(\S.*?)\s+: (.*?)\r?$", block, re.MULTILINE)) for block in blocks]
        expected = []
        for one in bound:
            parameters = one.parameters
            lines = {label: word(parameters) for label, word in LABELS.items()}
            lines |= {KEY_LABELS[one.family]: key_text(one), "Application ID": f"{{{one.app_id}}}"}
            if one.options.get("use_revocation_freshness_time"):
                lines["Use Revocation Freshness Time"] = "Enabled"
            expected.append(lines)
        ours = {lines["Application ID"] for lines in expected}  # and nothing that a test which failed has left
        by_key = sorted(
            (lines for lines in printed if lines["Application ID"] in ours), key=lambda lines: lines["Application ID"]
        )
        for seen, wanted in zip(by_key, sorted(expected, key=lambda lines: lines["Application ID"]), strict=True):
            comparison.equal(seen, wanted)
        records = parse_listing(shown.stdout).records
        read = {record.key: record for record in records if f"{{{record.app_id}}}" in ours}
        assert read == {one.key: one.record for one in bound}
        assert comparison.fields > 500
        selected = netsh(f"{bound[0].key.family.value}={key_text(bound[0])}")
        assert [record.key for record in parse_listing(selected.stdout).records] == [bound[0].key]
    finally:
        for one in bound:
            bindings.remove(one.key)
    assert netsh(f"{bound[0].key.family.value}={key_text(bound[0])}").returncode == 1
    assert netsh().returncode == 0  # an empty listing is no error


@contextlib.contextmanager
def initialised(api: raw_httpapi.HttpApi) -> Iterator[None]:
    """Between HttpInitialize and HttpTerminate, also when the test fails."""
    assert api.initialize() == 0
    try:
        yield
    finally:
        assert api.terminate() == 0


class UrlSet(ctypes.Structure):
    """HTTP_SERVICE_CONFIG_URLACL_SET."""

    _fields_ = (("url", ctypes.c_void_p), ("descriptor", ctypes.c_void_p))


class UrlQuery(ctypes.Structure):
    """HTTP_SERVICE_CONFIG_URLACL_QUERY."""

    _fields_ = (("kind", ctypes.c_int32), ("url", ctypes.c_void_p), ("token", ctypes.c_uint32))


@under_the_witness
def test_url_reservations_are_kept_and_printed(log: witness_log.WitnessLog) -> None:
    """By declarations of this test: set, read back, shown by netsh, deleted; a descriptor that is none is refused."""
    api, memory, url, sddl = raw_httpapi.HttpApi(), Memory(), "https://+:44399/witness/", "D:(A;;GX;;;NS)"
    given = memory.structure(UrlSet(memory.text(url), memory.text(sddl)))
    query, needed = memory.structure(UrlQuery(0, memory.text(url), 0)), ctypes.c_uint32()
    with initialised(api):
        assert api.set(URLS, memory.structure(UrlSet(memory.text(url), memory.text("nothing of the kind")))) != 0
        assert api.set(URLS, given) == 0
        assert api.set(URLS, given) == 183
        assert api.update(URLS, given) == 87
        assert api.query(URLS, query, return_length=ctypes.byref(needed)) == 122
        buffer = (ctypes.c_uint64 * ((needed.value + 7) // 8))()
        assert api.query(URLS, query, ctypes.addressof(buffer), needed.value, ctypes.byref(needed)) == 0
        found = UrlSet.from_buffer(buffer)
        assert [ctypes.wstring_at(found.url), ctypes.wstring_at(found.descriptor)] == [url, sddl]
        shown = netsh(what="urlacl").stdout.decode("ascii")
        assert re.search(r"^ {4}Reserved URL +: https://\+:44399/witness/\r$", shown, re.MULTILINE)
        assert f"SDDL: {sddl}\r" in shown
        assert api.delete(URLS, memory.structure(UrlSet(memory.text(url), None))) == 0
        assert api.delete(URLS, memory.structure(UrlSet(memory.text(url), None))) == 2
    assert "44399/witness" not in netsh(what="urlacl").stdout.decode("ascii")
    assert log.faults() == []


# -- the witness believes nothing --------------------------------------------------------------------------------------


def _other_family(memory: Memory, structure: Any, family: int) -> None:
    if family == SSL:
        raw = bytearray(raw_httpapi.address_bytes("0.0.0.0", 443))
        raw[0] = 10  # AF_INET6 of Linux
        structure.key.address = memory.data(bytes(raw).ljust(32, b"\0"))
    else:
        structure.key.address.aligned[0] = structure.key.address.aligned[0] & ~0xFFFF | 23


def _tail(memory: Memory, structure: Any, family: int) -> None:
    if family == SSL:
        structure.key.address = memory.data(raw_httpapi.address_bytes("0.0.0.0", 443)[:8] + b"\1" * 8)
    else:
        structure.key.address.aligned[15] = 1 << 56


def _nowhere(_memory: Memory, structure: Any, family: int) -> None:
    if family == SSL:
        structure.key.address = 8
    elif family == CCS:
        structure.param.store = 8
    else:
        structure.key.host = 8


def _hash_alone(_memory: Memory, structure: Any, _family: int) -> None:
    structure.param.hash_length = 0
    structure.param.hash = 8


def _short_hash(_memory: Memory, structure: Any, _family: int) -> None:
    structure.param.hash_length = 19


def _endless(memory: Memory, structure: Any, _family: int) -> None:
    structure.param.ctl_store = memory.data(b"x\0" * 5000)


LIES: dict[str, Callable[[Memory, Any, int], None]] = {
    "another address family": _other_family,
    "a byte behind the port": _tail,
    "a pointer to nowhere": _nowhere,
    "a hash without a length": _hash_alone,
    "a hash of 19 bytes": _short_hash,
    "a text without an end": _endless,
}


@under_the_witness
@pytest.mark.parametrize("family", [SSL, SNI, CCS, SCOPED_CCS])
@pytest.mark.parametrize("lie", LIES)
def test_a_wrong_field_is_a_fault(log: witness_log.WitnessLog, thumbprints: list[bytes], family: int, lie: str) -> None:
    """The failing twin: each mistake that the library could make is written down, and refused."""
    api, memory = raw_httpapi.HttpApi(), Memory()
    structure = raw_httpapi.set_structure(memory, family, thumbprint=thumbprints[0])
    LIES[lie](memory, structure, family)
    with initialised(api):
        assert api.set(family, structure) == 87
    (wrong,) = log.faults()
    assert (wrong["function"], wrong["code"]) == ("Set", 87)


@under_the_witness
@pytest.mark.parametrize("family", [SSL, SNI, CCS, SCOPED_CCS])
def test_a_wrong_length_or_time_is_a_fault(log: witness_log.WitnessLog, thumbprints: list[bytes], family: int) -> None:
    """One byte less and more, a handle, before HttpInitialize; a query whose answer cannot be written."""
    api, memory = raw_httpapi.HttpApi(), Memory()
    structure = raw_httpapi.set_structure(memory, family, thumbprint=thumbprints[0])
    size = ctypes.sizeof(structure)
    assert api.set(family, structure) != 0
    with initialised(api):
        assert api.set(family, structure, length=size - 1) == 122
        assert api.set(family, structure, length=size + 8) == 87
        assert api.set(family, structure, handle=1) == 6
        assert api.query(family, raw_httpapi.query_structure(memory, family, kind=NEXT)) == 87
        assert api.terminate(flags=1) != 0
    assert api.terminate() != 0
    assert len(log.faults()) == 7


@under_the_witness
def test_a_field_that_is_not_meant_is_noticed() -> None:
    """The comparison itself: one bit, one name more, one less."""
    one = meant(random.Random(1), [bytes(20)], SSL)
    right = {**one.key_fields, **one.parameters, "length": 88, "family": 1, "faults": [], "function": "Set", "code": 0}
    Comparison().call(right, one, one.parameters)
    flags = right["flags"]
    assert isinstance(flags, int)
    for wrong in (
        {**right, "flags": flags ^ 0x40},
        {**right, "more": 1},
        {k: v for k, v in right.items() if k != "store"},
    ):
        with pytest.raises(AssertionError):
            Comparison().call(wrong, one, one.parameters)
