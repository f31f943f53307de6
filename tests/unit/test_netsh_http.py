"""netsh's command lines and listings about reservations, the listen list and numbers: to values and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlsssl import InvalidInputError, MalformedDataError, UrlPrefix, strategies
from mlsssl._machine.ports import HttpNumber, ReservationRecord
from mlsssl.netsh import (
    HttpCommand,
    format_http_command,
    format_urlacl_listing,
    parse_http_command,
    parse_urlacl_listing,
)

if TYPE_CHECKING:
    from mlsssl import UrlReservation
    from mlsssl._netsh.command import Shell

URL = UrlPrefix("https://+:443/mls/")


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (
            r'netsh http add urlacl url=https://+:443/mls/ user="NT SERVICE\MLS"',
            HttpCommand(verb="add", object="urlacl", url=URL, user=r"NT SERVICE\MLS"),
        ),
        (
            r"netsh http add urlacl url=https://+:443/mls user=DOMAIN\user listen=no delegate=YES",
            HttpCommand(verb="add", object="urlacl", url=URL, user=r"DOMAIN\user", listen=False, delegate=True),
        ),
        (
            'http add urlacl https://+:443/mls/ sddl="D:(A;;GX;;;WD)"',
            HttpCommand(verb="add", object="urlacl", url=URL, sddl="D:(A;;GX;;;WD)"),
        ),
        ("netsh http delete urlacl url=https://+:443/mls", HttpCommand(verb="delete", object="urlacl", url=URL)),
        ("C:\\Windows\\System32\\netsh.exe http sh url", HttpCommand(verb="show", object="urlacl")),
        ("netsh http show urlacl url=https://+:443/mls/", HttpCommand(verb="show", object="urlacl", url=URL)),
        ("netsh http add iplisten ipaddress=[::1]", HttpCommand(verb="add", object="iplisten", address="::1")),
        ("netsh http delete iplisten 1.1.1.1", HttpCommand(verb="delete", object="iplisten", address="1.1.1.1")),
        ("netsh http show iplisten", HttpCommand(verb="show", object="iplisten")),
        (
            "netsh http add timeout timeouttype=idleconnectiontimeout value=120",
            HttpCommand(verb="add", object="timeout", number=HttpNumber.IDLE_CONNECTION_SECONDS, value=120),
        ),
        (
            "netsh http add timeout headerwaittimeout 0x40",
            HttpCommand(verb="add", object="timeout", number=HttpNumber.HEADER_WAIT_SECONDS, value=64),
        ),
        (
            "netsh http delete timeout timeouttype=headerwaittimeout",
            HttpCommand(verb="delete", object="timeout", number=HttpNumber.HEADER_WAIT_SECONDS),
        ),
        (
            "netsh http add cacheparam type=cacherangechunksize value=0",
            HttpCommand(verb="add", object="cacheparam", number=HttpNumber.CACHE_RANGE_CHUNK_BYTES, value=0),
        ),
        (
            "netsh http add setting settingtype=sslthrottle value=4294967295",
            HttpCommand(verb="add", object="setting", number=HttpNumber.TLS_THROTTLE, value=2**32 - 1),
        ),
    ],
)
def test_a_command_line_is_read_and_written(line: str, command: HttpCommand) -> None:
    """Microsoft's examples, short forms, tags left out; what is written is read as the same."""
    assert parse_http_command(line) == command
    assert parse_http_command(format_http_command(command)) == command
    assert parse_http_command(format_http_command(command, shell="powershell")) == command


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("netsh http", "ends before"),
        ("netsh http add", "ends before"),
        ("netsh http frob urlacl", "the verb is"),
        ("netsh http show servicestate", "'servicestate' stands where one of"),
        ("netsh http show s", "'s' stands where"),
        ("netsh http show cache", "'cache' stands where"),
        ("netsh http show sslcert", "parse_command reads those"),
        ("netsh http update urlacl url=https://+:443/", "delete it and add it"),
        ("netsh http add urlacl user=x", "url= is needed"),
        ("netsh http delete urlacl", "url= is needed"),
        ("netsh http add urlacl url=https://+:443/", "user= or sddl= is needed"),
        ("netsh http add urlacl url=https://+:443 user=x", "write https://\\+:443/"),
        ("netsh http add urlacl url=https://+:443/ user=x listen=maybe", "listen is yes or no"),
        ("netsh http add urlacl url=https://+:443/ sddl=D: listen=yes", "exclude each other"),
        ("netsh http add urlacl url=https://+:443/ usr=x", "user is meant"),
        ("netsh http add urlacl url=https://+:443/ user=x user=y", "given twice"),
        ("netsh http add urlacl url=https://+:443/ user=%USERNAME%", "in place of the variable"),
        ("netsh http add urlacl url=https://+:443/ user= x", "PowerShell makes two words"),
        ("netsh http delete urlacl url=nonsense", "not a URL prefix"),
        ("netsh http delete urlacl url=https://+:443/ user=x", "no parameter 'user'"),
        ("netsh http show iplisten ipaddress=::", "no parameter 'ipaddress'"),
        ("netsh http add iplisten ipaddress=host", "neither ports nor scopes"),
        ("netsh http add iplisten", "ipaddress= is needed"),
        ("netsh http add timeout timeouttype=x value=1", "idleconnectiontimeout or headerwaittimeout"),
        ("netsh http add timeout timeouttype=headerwaittimeout", "value= is needed"),
        ("netsh http add timeout timeouttype=headerwaittimeout value=0", "1 to 65535"),
        ("netsh http add timeout timeouttype=headerwaittimeout value=65536", "1 to 65535"),
        ("netsh http add timeout timeouttype=headerwaittimeout value=abc", "a whole number"),
        ("netsh http add cacheparam type=maxcacheresponsesize value=0xfffffffff", "a whole number"),
        ("netsh http delete setting", "settingtype= is needed"),
        ("netsh http add iplisten :: ::", "one word more"),
    ],
)
def test_what_is_no_command_is_refused_in_words(line: str, said: str) -> None:
    """One error for all of it."""
    with pytest.raises(MalformedDataError, match=said):
        parse_http_command(line)


def test_a_prefix_in_another_programs_form_is_deleted_and_shown() -> None:
    """But not added."""
    foreign = "https://+:443:10.0.0.5/mls/"
    command = parse_http_command(f"netsh http delete urlacl url={foreign}")
    assert command.url is not None
    assert command.url.written == foreign
    with pytest.raises(MalformedDataError):
        parse_http_command(f"netsh http add urlacl url={foreign} user=x")


def test_what_no_line_can_hold_is_not_written() -> None:
    """As of bindings."""
    with pytest.raises(InvalidInputError, match="shell is"):
        format_http_command(HttpCommand(verb="show", object="urlacl"), shell="sh")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="parse_http_command makes one"):
        format_http_command("netsh")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="cannot be written"):
        format_http_command(HttpCommand(verb="add", object="urlacl", url=URL, user='a"b'))


ENGLISH = """
URL Reservations:
-----------------

    Reserved URL            : http://*:5357/
        User: BUILTIN\\Users
            Listen: Yes
            Delegate: No
        User: NT AUTHORITY\\LOCAL SERVICE
            Listen: Yes
            Delegate: No
            SDDL: D:(A;;GX;;;BU)(A;;GX;;;LS)

    Reserved URL            : https://+:444/adfs/services/
        Can't lookup sid, Error: 1332
            SDDL: D:(A;;GA;;;S-1-5-80-2246541699-21809830-3603976364-117610243-975697593)

"""
# Windows puts a blank behind some values.
ENGLISH = ENGLISH.replace("/\n", "/ \n").replace("(A;;GX;;;LS)\n", "(A;;GX;;;LS) \n")
GERMAN = """
URL-Reservierungen:
-------------------

    Reservierte URL         : http://*:5357/
        Benutzer: VORDEFINIERT\\Benutzer
            Überwachen: Yes
            Delegieren: No
        Benutzer: NT-AUTORITÄT\\LOKALER DIENST
            Überwachen: Yes
            Delegieren: No
            SDDL: D:(A;;GX;;;BU)(A;;GX;;;LS)

    Reservierte URL         : https://+:444/adfs/services/
        Sid kann nicht gesucht werden, Fehler: 1332
            SDDL: D:(A;;GA;;;S-1-5-80-2246541699-21809830-3603976364-117610243-975697593)
"""
ITALIAN = ENGLISH.replace("Reserved URL            :", "URL prenotati           :").replace("User:", "Utente:")
CHINESE = ENGLISH.replace("Reserved URL            :", "保留的 URL：").replace("User:", "用户：")


@pytest.mark.parametrize("text", [ENGLISH, GERMAN, ITALIAN, CHINESE], ids=["en", "de", "it", "zh"])
@pytest.mark.parametrize("encoding", [None, "utf-8", "utf-16", "utf-8-sig"])
def test_a_listing_is_read_in_any_language(text: str, encoding: str | None) -> None:
    """By the shape of values; in the encodings that cmd and PowerShell write."""
    found = parse_urlacl_listing(text if encoding is None else text.encode(encoding))
    assert [(record.url.written, record.sddl) for record in found.records] == [
        ("http://*:5357/", "D:(A;;GX;;;BU)(A;;GX;;;LS)"),
        (
            "https://+:444/adfs/services/",
            "D:(A;;GA;;;S-1-5-80-2246541699-21809830-3603976364-117610243-975697593)",
        ),
    ]
    assert found.notes == ()


def test_a_listing_is_written_as_netsh_prints_it() -> None:
    """Labels, indents and names; what was read is written so."""
    bare = "\n".join(line.rstrip() for line in ENGLISH.splitlines())
    assert format_urlacl_listing(parse_urlacl_listing(ENGLISH).records).rstrip() == bare.rstrip()
    record = ReservationRecord(url=URL, sddl="D:(A;;GX;;;S-1-5-80-1-2-3-4-5)(A;;GX;;;LA)")
    names = {"S-1-5-80-1-2-3-4-5": r"NT SERVICE\X"}
    lines = format_urlacl_listing([record], name_of=names.get).splitlines()
    assert r"        User: NT SERVICE\X" in lines
    assert "        Can't lookup sid, Error: 1332" in lines


@pytest.mark.parametrize(
    ("text", "notes"),
    [
        ("\nURL Reservations:\n-----------------\n\n", ()),
        (
            "URL Reservations:\n-----------------\nThe system cannot find the file specified.\n",
            ("netsh was asked for one prefix, and it is not reserved",),
        ),
    ],
)
def test_an_empty_listing_is_one(text: str, notes: tuple[str, ...]) -> None:
    """The heading alone, and what netsh says of one prefix."""
    found = parse_urlacl_listing(text)
    assert (found.records, found.notes) == ((), notes)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no line has a URL"),
        ("<html>https</html>", "no line has a URL"),
        ("Reserved URL : http://+:80/\n", "has no access list"),
        ("Reserved URL : http://+:80/\nReserved URL : http://+:81/\nSDDL: D:\n", "'http://\\+:80/' has no access list"),
        ("x" * (16 * 1024 * 1024 + 1), "too long"),
    ],
)
def test_what_is_no_listing_is_refused(text: str, said: str) -> None:
    """An empty file, a web page, one that was cut."""
    with pytest.raises(MalformedDataError, match=said):
        parse_urlacl_listing(text)


@given(st.lists(strategies.reservations(foreign=True), max_size=4))
def test_any_listing_comes_back(drawn: list[UrlReservation]) -> None:
    """Every prefix and access list, in their order."""
    records = [one.record for one in drawn]
    assert list(parse_urlacl_listing(format_urlacl_listing(records)).records) == records


@given(strategies.reservations(foreign=True))
def test_any_reservation_is_a_command_line(drawn: UrlReservation) -> None:
    """As far as shells can hold it, which the error says otherwise."""
    command = HttpCommand(verb="add", object="urlacl", url=drawn.url, sddl=drawn.sddl)
    shells: tuple[Shell, ...] = ("cmd", "powershell")
    for shell in shells:
        try:
            line = format_http_command(command, shell=shell)
        except InvalidInputError:
            continue
        assert parse_http_command(line) == command


@given(st.text(max_size=200))
def test_any_text_is_a_listing_or_refused(text: str) -> None:
    """Nothing but our own error."""
    for read in (parse_urlacl_listing, parse_http_command):
        try:
            read(text)
        except MalformedDataError:
            continue
