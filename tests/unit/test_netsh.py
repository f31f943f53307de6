"""netsh's command lines and listings, and the JSON form of bindings."""

from __future__ import annotations

import base64
import json
import pickle
import re
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import Literal

import pytest

from made_certificates import make
from mlsssl import UrlPrefix
from mlsssl._formats.binding_keys import BindingOptions, CcsPort, HostnamePort, IpPort, ScopedCcs
from mlsssl._machine.ports import BindingRecord
from mlsssl.errors import InvalidInputError, MalformedDataError
from mlsssl.netsh import (
    HttpCommand,
    Listing,
    NetshCommand,
    format_command,
    format_listing,
    from_json,
    parse_command,
    parse_listing,
    parse_script,
    to_json,
)
from mlsssl.values import Thumbprint

HASH = "18e1628ac1cd7cae3495e718f87e5b6188193c81"
APP = uuid.UUID("9168E8B4-DF4B-497C-918E-36EBC2C69732")
PLAIN = BindingRecord(
    key=IpPort("0.0.0.0", 443),
    thumbprint=Thumbprint(HASH),
    store_name=None,
    app_id=APP,
    options=BindingOptions(),
)


@pytest.mark.parametrize(
    "line",
    [
        f"netsh http add sslcert ipport=0.0.0.0:443 certhash={HASH} appid={{{APP}}}",
        f"http add sslcert ipport=0.0.0.0:443 certhash={HASH} appid={{{APP}}}",
        f"add sslcert ipport=0.0.0.0:443 certhash={HASH} appid={{{APP}}}",
        rf"C:\Windows\System32\netsh.exe HTTP ADD SSLCERT IPPORT=0.0.0.0:443 CERTHASH={HASH.upper()} appid={APP}",
        f"netsh http add sslcert ipport=0.0.0.0:443 certhash={HASH} appid='{{{APP}}}'",
        f'netsh http add sslcert ipport=0.0.0.0:443 certhash={HASH} "appid={{{APP}}}"',
        f"netsh http add sslcert ipport=0.0.0.0:443 certhash={HASH} appid=“{{{APP}}}”",
        f"netsh http add sslcert ipport=0.0.0.0:443 certhash=\u200e{HASH} appid={{{str(APP).replace('-', '–')}}}",
        f"netsh\u00a0http add sslcert ipport=0.0.0.0:443 certhash={HASH} appid=`{{{APP}`}}",
        f"netsh http add sslcert ^\r\n  ipport=0.0.0.0:443 ^\n certhash={HASH} appid={{{APP}}}",
        f"netsh --% http add sslcert ipport=0.0.0.0:443 certhash={HASH} appid={{{APP}}}",
    ],
)
def test_the_procedures_line_in_every_dress(line: str) -> None:
    """As the page prints it, as cmd and PowerShell take it, and as it is after a word processor had it."""
    assert parse_command(line) == NetshCommand(verb="add", key=PLAIN.key, record=PLAIN)


def test_words_that_a_shell_split() -> None:
    """The words of argv are taken one by one, so that blanks inside them stay."""
    words = ["http", "add", "sslcert", "hostnameport=a.test:443", f"certhash={HASH}", f"appid={APP}"]
    command = parse_command([*words, "certstorename=My Store"])
    assert command.record is not None
    assert command.record.store_name == "My Store"


def test_every_parameter() -> None:
    """Each one goes to its field, those that forbid turned round."""
    command = parse_command(
        f"netsh http update sslcert hostnameport=www.example.com:8443 certhash={HASH} appid={{{APP}}} "
        "certstorename=WebHosting verifyclientcertrevocation=disable verifyrevocationwithcachedclientcertonly=enable "
        "usagecheck=disable revocationfreshnesstime=60 urlretrievaltimeout=1500 sslctlidentifier=list "
        "sslctlstorename=AuthRoot dsmapperusage=enable clientcertnegotiation=enable reject=enable "
        "disablehttp2=enable disablequic=enable disabletls12=enable disabletls13=enable disableocspstapling=enable "
        "enabletokenbinding=enable logextendedevents=enable disablelegacytls=enable enablesessionticket=enable "
        "disablesessionid=enable"
    )
    assert command.verb == "update"
    assert command.record is not None
    assert command.record.key == HostnamePort("www.example.com", 8443)
    assert command.record.options == BindingOptions(
        verify_client_revocation=False,
        cached_client_revocation_only=True,
        check_client_usage=False,
        revocation_freshness_time=timedelta(seconds=60),
        url_retrieval_timeout=timedelta(milliseconds=1500),
        ctl_identifier="list",
        ctl_store_name="AuthRoot",
        map_client_certificates=True,
        negotiate_client_certificate=True,
        reject_connections=True,
        http2=False,
        quic=False,
        tls12=False,
        tls13=False,
        ocsp_stapling=False,
        token_binding=True,
        log_extended_events=True,
        legacy_tls=False,
        session_tickets=True,
        session_id=False,
    )
    assert parse_command(format_command(command)) == command
    assert parse_command(format_command(command, shell="powershell")) == command


def test_delete_and_show() -> None:
    """They take a key and nothing else; `show` may do without."""
    assert parse_command("netsh http delete sslcert ipport=0.0.0.0:443").key == PLAIN.key
    assert parse_command("netsh http del sslcert ipport=[::]:443").key == IpPort("::", 443)
    assert parse_command("netsh http show sslcert").key is None
    assert parse_command("netsh http show sslcert ccs=443").key == CcsPort(443)
    assert parse_command("netsh http delete sslcert scopedccs=a.test:443").key == ScopedCcs("a.test", 443)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "ends before"),
        ("netsh http add urlacl url=http://+:80/", "'urlacl'"),
        ("netsh http frob sslcert ipport=0.0.0.0:443", "'frob'"),
        (f"netsh http add sslcert ipport=0.0.0.0:443 appid={APP}", "certhash is needed"),
        (f"netsh http add sslcert ipport=0.0.0.0:443 certhash={HASH}", "appid is needed"),
        (f"netsh http add sslcert ipport=0.0.0.0:443 certhash={HASH[:-1]} appid={APP}", "39"),
        (f"netsh http add sslcert ipport=0.0.0.0:443 certhash={HASH} appid=my-app", "GUID"),
        (f"netsh http add sslcert ipport=0.0.0.0 certhash={HASH} appid={APP}", "port"),
        (f"netsh http add sslcert hostnameport=a.test:443 certhash={HASH} appid={APP}", "store name"),
        (f"netsh http add sslcert ccs=443 certhash={HASH} appid={APP}", "no certificate"),
        (f"netsh http add sslcert ipport=0.0.0.0:443 ccs=443 appid={APP}", "exclude each other"),
        ("netsh http add sslcert ipport=0.0.0.0:443 ipport=0.0.0.0:443", "twice"),
        ("netsh http add sslcert ipport=0.0.0.0:443 clientcert=enable", "no parameter 'clientcert'"),
        (f"netsh http add sslcert ipport=0.0.0.0:443 certhash={HASH} appid={APP} reject=yes", "enable or disable"),
        (f"netsh http add sslcert ipport=0.0.0.0:443 certhash={HASH} appid={APP} urlretrievaltimeout=1s", "whole"),
        ("netsh http add sslcert ipport=0.0.0.0:443 certhash=$hash appid=$guid", "variable"),
        ("netsh http delete sslcert ipport=0.0.0.0:%%i", "variable"),
        ("netsh http delete sslcert ipport=!ip!:443", "variable"),
        ("netsh http add sslcert 0.0.0.0:443", "appid is needed"),
        ("netsh http add sslcert all:of:them", "name=value"),
        ("netsh http add sslcert json=C:\\x.json", "json="),
        ("netsh http delete sslcert", "is needed"),
        (f"netsh http delete sslcert ipport=0.0.0.0:443 certhash={HASH}", "takes no certhash"),
        ("netsh http add sslcert ipport=0.0.0.0:443 appid='{", "quote"),
        ("netsh http add sslcert " + "x" * 40_000, "at most"),
    ],
)
def test_lines_that_netsh_would_refuse_too(line: str, words: str) -> None:
    """Each says what is wrong, by name."""
    with pytest.raises(MalformedDataError, match=words):
        parse_command(line)


def test_what_a_command_line_looks_like() -> None:
    """Defaults are left out, an explicit zero is never written, PowerShell gets its quotes."""
    command = NetshCommand(verb="add", key=PLAIN.key, record=PLAIN)
    expected = f"netsh http add sslcert ipport=0.0.0.0:443 certhash={HASH} "
    # The braces are quoted for cmd too, so that PowerShell, where such a line is pasted as well, leaves them alone.
    assert format_command(command) == f'{expected}"appid={{{APP}}}"'
    assert format_command(command, shell="powershell") == f"{expected}'appid={{{APP}}}'"
    spaced = NetshCommand(verb="add", key=PLAIN.key, record=_changed(store_name="It's mine"))
    assert 'certstorename="It\'s mine"' in format_command(spaced)
    assert "'certstorename=It''s mine'" in format_command(spaced, shell="powershell")
    assert parse_command(format_command(spaced)).record == spaced.record


def _changed(store_name: str | None = None, options: BindingOptions | None = None) -> BindingRecord:
    return BindingRecord(
        key=PLAIN.key,
        thumbprint=PLAIN.thumbprint,
        store_name=store_name,
        app_id=APP,
        options=options or BindingOptions(),
    )


@pytest.mark.parametrize(
    "options",
    [
        BindingOptions(cache_client_hello=True),
        BindingOptions(unknown_flags=0x10000),
        BindingOptions(use_revocation_freshness_time=True),
        BindingOptions(ctl_identifier='say "x"'),
    ],
)
def test_what_netsh_cannot_say(options: BindingOptions) -> None:
    """It is refused by name, never dropped in silence."""
    with pytest.raises(InvalidInputError):
        format_command(NetshCommand(verb="add", key=PLAIN.key, record=_changed(options=options)))


@pytest.mark.parametrize(
    ("line", "verb", "key"),
    [
        ("netsh http show ssl", "show", None),
        ("netsh http delete ssl ipport=0.0.0.0:443", "delete", PLAIN.key),
        ("netsh http delete sslcert 0.0.0.0:443", "delete", PLAIN.key),
        ("netsh http show sslcert [::]:443", "show", IpPort("::", 443)),
        ("netsh http del sslc www.example.com:443", "delete", HostnamePort("www.example.com", 443)),
        ("netsh -c http show sslcert", "show", None),
        ("@netsh ht s ss", "show", None),
        (f"netsh http add ssl ipport=0.0.0.0:443 certhash={HASH} appid={APP}", "add", PLAIN.key),
        (f"netsh http add sslcert 0.0.0.0:443 {HASH} {{{APP}}}", "add", PLAIN.key),
        (f"netsh http u ssl 0.0.0.0:443 {HASH} appid={APP} certstorename=MY", "update", PLAIN.key),
    ],
)
def test_netshs_own_short_forms(line: str, verb: str, key: object) -> None:
    """Words cut as far as netsh allows, and tags left out in the order of Microsoft's syntax."""
    command = parse_command(line)
    assert (command.verb, command.key) == (verb, key)
    if command.record is not None:
        assert (command.record.thumbprint, command.record.app_id) == (PLAIN.thumbprint, APP)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("netsh http d ssl 0.0.0.0:443", "'d'"),  # delete or dump
        ("netsh http show s", "'s'"),  # servicestate, setting or sslcert
        ("netsh http add sslx", "'sslx'"),
        ("netsh http delete sslcert 443", "address and port"),
        (f"netsh http add sslcert {HASH} 0.0.0.0:443", HASH),
        (f"netsh http add sslcert ipport=0.0.0.0:443 {HASH}", "name=value"),
        ("netsh http delete sslcert 0.0.0.0:443 ipport=0.0.0.0:443", "twice"),
        (f"netsh http add sslcert 0.0.0.0:443 {HASH} {APP} MY {'enable ' * 30}", "more than"),
        ("netsh -r server http show sslcert", "'?-r"),
    ],
)
def test_short_forms_that_could_be_something_else(line: str, words: str) -> None:
    """They are refused, and a word that stands in a wrong place is not put into another."""
    with pytest.raises(MalformedDataError, match=words):
        parse_command(line)


def _encoded(block: str) -> str:
    return base64.b64encode(block.encode("utf-16-le")).decode()


_SPLIT = ["http", "add", "sslcert", "ipport=0.0.0.0:443", f"certhash={HASH}"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([*_SPLIT, "appid=", "-encodedCommand", _encoded(str(APP)), "-inputFormat", "xml"], f'"appid={{{APP}}}"'),
        ([*_SPLIT, "appid=", "-encodedCommand", _encoded(" $guid "), "-inputFormat", "xml"], '"appid={$guid}"'),
        ([*_SPLIT[:3], "-EncodedCommand", _encoded(str(APP))], f'"{{{APP}}}"'),
        ([*_SPLIT, "appid=", "-encodedCommand", "no base64"], '"appid={...}"'),
        ([*_SPLIT, "appid=", "-encodedCommand"], '"appid={...}"'),
        ([*_SPLIT[:4], "certhash=", HASH], r'"certhash=$(...)"'),
        ([*_SPLIT[:4], "certhash=($cert.Thumbprint)"], "put the value in place"),
        ([*_SPLIT[:4], "certhash=$($cert.Thumbprint)"], "put the value in place"),
        ([*_SPLIT[:4], "certhash=@($hash)"], "put the value in place"),
        ([*_SPLIT[:4], "certhash=[Subject]\n  CN=a\n\n.Thumbprint"], "an object"),
        ([*_SPLIT, "appid=System.Collections.Hashtable"], "an object"),
        ([*_SPLIT[:4], "certhash="], "variable leaves"),
        ([*_SPLIT[:3], "`"], "backtick"),
        ([*_SPLIT[:3], "^"], "continued with ^ in cmd"),
        ([*_SPLIT, "certstorename=My", "Store"], "a value with a blank needs quotes"),
    ],
)
def test_a_line_that_powershell_took_apart(words: list[str], told: str) -> None:
    """The message says what PowerShell made of it, and the word that arrives whole."""
    with pytest.raises(MalformedDataError) as caught:
        parse_command(words)
    assert told in str(caught.value)


def test_what_powershell_leaves_alone() -> None:
    """The same words with quotes around them are the command."""
    assert parse_command([*_SPLIT, f"appid={{{APP}}}"]).record == PLAIN
    assert parse_command(["--%", *_SPLIT, f"appid={{{APP}}}"]).record == PLAIN
    # Single quotes are PowerShell's; in cmd they are letters.
    assert parse_command([*_SPLIT, f"'appid={{{APP}}}'"]).record == PLAIN
    assert parse_command([*_SPLIT, f"appid='{{{APP}}}'"]).record == PLAIN


def test_scripts() -> None:
    """Commands are found among everything else, comments excepted, and errors name their line."""
    script = f"""
    # netsh http add sslcert ipport=1.1.1.1:443
    rem netsh http delete sslcert ipport=1.1.1.1:443
    cmd /c "echo hello"
    netsh http delete sslcert ipport=0.0.0.0:443 > nul
    netsh http add sslcert `
        ipport=0.0.0.0:443 certhash={HASH} `
        appid='{{{APP}}}' | Out-Null
    echo done
    """
    found = parse_script(script)
    assert [command.verb for command in found] == ["delete", "add"]
    assert found.passed_over == ()
    assert found == (found[0], found[1])
    with pytest.raises(MalformedDataError, match="line 2"):
        parse_script("rem\nnetsh http delete sslcert ipport=nonsense")


_ADD = f"add sslcert ipport=0.0.0.0:443 certhash={HASH} appid={{{APP}}}"
_WORDS = ", ".join(f'"{word}"' for word in _ADD.split())


@pytest.mark.parametrize(
    "line",
    [
        f"netsh http {_ADD}",
        f"netsh -c http {_ADD}",
        f'netsh -c "http" {_ADD}',
        f"netsh --% http {_ADD}",
        f"@netsh http {_ADD}>nul 2>&1",
        f"http {_ADD}",
        f'& "$env:windir\\system32\\netsh.exe" http {_ADD.replace("sslcert", "ssl")}; exit',
        f"cmd /c 'netsh http {_ADD}' | Out-Null",
        f'cmd /c "netsh http {_ADD} & exit"',
        f"Start-Process netsh -ArgumentList 'http {_ADD}' -Wait",
        f'Start-Process netsh -ArgumentList "http", {_WORDS} -Wait',
        f'subprocess.run(["netsh", "http", {_WORDS}], check=True)',
        f'iex "netsh http {_ADD.replace("appid=", "appid=`" + chr(34))}`""',
        f"$answer = $(netsh http {_ADD})",
        f"if ($wanted) {{ netsh http {_ADD} }}",
        f"netsh http {_ADD} # the shop's; was: netsh http delete sslcert ipport=0.0.0.0:443",
        f'Start-Process netsh "http {_ADD}" -Wait\t#netsh http add servicestate',
    ],
)
def test_a_command_wherever_a_script_has_it(line: str) -> None:
    """In quotes, in arrays, in brackets, with netsh's options; of several on a line each."""
    found = parse_script(line)
    assert found.passed_over == ()
    assert list(found) == [NetshCommand(verb="add", key=PLAIN.key, record=PLAIN)]
    if not line.startswith("http"):
        assert len(parse_script(f"netsh http del ssl 0.0.0.0:443 & {line}")) == 2


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("netsh http show servicestate view=session", "show servicestate is not about bindings"),
        ("netsh http delete cache", "delete cache is not about bindings"),
        ("echo netsh http add urlacl url=http://+:80/ user=x", "printed"),
        ("add urlacl url=http://+:80/ user=x", "netsh http is not in front"),
        ("add iplisten ipaddress=10.0.0.1", "netsh http is not in front"),
        (f"echo netsh http {_ADD}", "printed"),
        (f'$line = "http {_ADD}"', "netsh is not in this line"),
        (_ADD, "netsh http is not in front"),
        ("netsh http", "no verb"),
        ("netsh http $words", "no verb"),
        ("netsh -r server -u me -p hunter2 http show sslcert", "another computer"),
        ("netsh http show sslcert " + "x" * 40_000, "characters"),
    ],
)
def test_what_a_script_has_about_netsh_http_and_no_command(line: str, reason: str) -> None:
    """It is passed over, and said: with its line, why, and nothing secret."""
    found = parse_script(f"rem\n{line}\n")
    assert not found
    (passed_over,) = found.passed_over
    assert passed_over.line == 2
    assert reason in passed_over.reason
    assert len(passed_over.text) <= 200
    assert "hunter2" not in repr(found)
    assert str(passed_over).startswith("line 2 was passed over: ")
    assert pickle.loads(pickle.dumps(found)).passed_over == found.passed_over


_URLACL = r"add urlacl url=https://+:443/mls/"


@pytest.mark.parametrize(
    ("line", "user", "sddl"),
    [
        (rf'netsh http {_URLACL} user="NT SERVICE\MLS" > nul', r"NT SERVICE\MLS", None),
        (rf'netsh http {_URLACL} "user=NT SERVICE\MLS" & exit /b', r"NT SERVICE\MLS", None),
        (rf"@netsh http {_URLACL} user=\Everyone", r"\Everyone", None),
        (rf"http {_URLACL.replace('urlacl', 'url')} user=DOMAIN\svc", r"DOMAIN\svc", None),
        (
            f"netsh http {_URLACL} sddl=D:(A;;GX;;;S-1-5-20)(A;;GA;;;BA) & exit",
            None,
            "D:(A;;GX;;;S-1-5-20)(A;;GA;;;BA)",
        ),
        (f"netsh http {_URLACL} 'sddl=D:(A;;GX;;;NS)'; exit", None, "D:(A;;GX;;;NS)"),
        (f'cmd /c "netsh http {_URLACL} sddl=D:(A;;GX;;;NS) & exit"', None, "D:(A;;GX;;;NS)"),
        (rf'cmd /c "netsh http {_URLACL} user=\"NT SERVICE\MLS\""', r"NT SERVICE\MLS", None),
        (
            r'subprocess.run(["netsh", "http", "add", "urlacl", "url=https://+:443/mls/", "user=NT SERVICE\MLS"])',
            r"NT SERVICE\MLS",
            None,
        ),
        (
            f"Start-Process netsh -ArgumentList 'http {_URLACL} " + r"""user="NT SERVICE\MLS"' -Wait""",
            r"NT SERVICE\MLS",
            None,
        ),
    ],
)
def test_reservations_wherever_a_script_has_them(line: str, user: str | None, sddl: str | None) -> None:
    """As bindings are found; an entry of SDDL ends no command, a blank in an array's item no word."""
    found = parse_script(line)
    assert found.passed_over == ()
    url = UrlPrefix("https://+:443/mls/")
    assert list(found) == [HttpCommand(verb="add", object="urlacl", url=url, user=user, sddl=sddl)]


def test_a_script_of_an_administrator_has_both() -> None:
    """In their order; an error in either names its line."""
    script = f"""
    netsh http delete urlacl url=https://+:443/mls/
    netsh http add urlacl url=https://+:443/mls/ ^
        user=Everyone listen=yes
    netsh http {_ADD}
    netsh http add iplisten ipaddress=10.0.0.1 & netsh http add timeout idleconnectiontimeout 120
    netsh http show urlacl
    """
    found = parse_script(script)
    assert [(type(one).__name__, one.verb, getattr(one, "object", None)) for one in found] == [
        ("HttpCommand", "delete", "urlacl"),
        ("HttpCommand", "add", "urlacl"),
        ("NetshCommand", "add", None),
        ("HttpCommand", "add", "iplisten"),
        ("HttpCommand", "add", "timeout"),
        ("HttpCommand", "show", "urlacl"),
    ]
    assert found.passed_over == ()
    assert pickle.loads(pickle.dumps(found)) == found
    with pytest.raises(MalformedDataError, match=r"^line 2: .*user=%USERNAME%: put the value in place"):
        parse_script("rem\nnetsh http add urlacl url=http://+:80/ user=%USERNAME%")


@pytest.mark.parametrize(
    "line", ["rem netsh http add urlacl", "// netsh http show sslcert", "curl http://a.test/add/x"]
)
def test_what_has_nothing_to_do_with_it_is_not_said(line: str) -> None:
    """Comments, and lines about other things."""
    assert parse_script(line).passed_over == ()


SERVER_2012 = f"""
SSL Certificate bindings:
-------------------------

    IP:port                      : 0.0.0.0:443
    Certificate Hash             : {HASH}
    Application ID               : {{{APP}}}
    Certificate Store Name       : (null)
    Verify Client Certificate Revocation : Enabled
    Verify Revocation Using Cached Client Certificate Only : Disabled
    Usage Check                  : Enabled
    Revocation Freshness Time    : 0
    URL Retrieval Timeout        : 0
    Ctl Identifier               : (null)
    Ctl Store Name               : (null)
    DS Mapper Usage              : Disabled
    Negotiate Client Certificate : Disabled

    Hostname:port                : SNI.IIS8.com:443
    Certificate Hash             : 0000000000000000000000000000000000000001
    Application ID               : {{4dc3e181-e14b-4a21-b022-59fc669b0914}}
    Certificate Store Name       : My
    Verify Client Certificate Revocation : Disabled
    Verify Revocation Using Cached Client Certificate Only : Enabled
    Usage Check                  : Disabled
    Revocation Freshness Time    : 60
    URL Retrieval Timeout        : 1500
    Ctl Identifier               : (null)
    Ctl Store Name               : adfstrusteddevices
    DS Mapper Usage              : Enabled
    Negotiate Client Certificate : Enabled
"""

SERVER_2025 = f"""

SSL Certificate bindings:
-------------------------



    IP:port                      : [::]:8443
    Certificate Hash             : {HASH}
    Application ID               : {{{APP}}}
    Certificate Store Name       : MY
    Verify Client Certificate Revocation : Enabled
    Verify Revocation Using Cached Client Certificate Only : Disabled
    Usage Check                  : Enabled
    Revocation Freshness Time    : 0
    URL Retrieval Timeout        : 0
    Ctl Identifier               : (null)
    Ctl Store Name               : (null)
    DS Mapper Usage              : Disabled
    Negotiate Client Certificate : Disabled
    Reject Connections           : Enabled
    Disable HTTP2                : Set
    Disable QUIC                 : Not Set
    Disable TLS1.2               : Not Set
    Disable TLS1.3               : Set
    Disable OCSP Stapling        : Set
    Enable Token Binding         : Set
    Log Extended Events          : Set
    Disable Legacy TLS Versions  : Set
    Enable Session Ticket        : Set
    Enable Caching Client Hello  : Set

 Extended Properties:
    PropertyId                   : 0
    Receive Window               : 1048576
 Extended Properties:
    PropertyId                   : 1
    Max Settings Per Frame       : 2796202
    Max Settings Per Minute      : 4294967295

    Central Certificate Store    : 443
    Certificate Hash             : (null)
    Application ID               : {{{APP}}}
    Certificate Store Name       : (null)
    Verify Client Certificate Revocation : Enabled
"""

GERMAN = f"""
SSL-Zertifikatbindungen:
-------------------------

    IP:Port                      : 10.0.0.5:443
    Zertifikathash               : {HASH}
    Anwendungs-ID                : {{{APP}}}
    Zertifikatspeichername       : MY
    Clientzertifikatsperrung überprüfen : Aktiviert
    Sperrung nur mit zwischengespeichertem Clientzertifikat überprüfen : Deaktiviert
    Verwendungsüberprüfung       : Aktiviert
    Sperrungsaktualisierungszeit : 90
    URL-Abruftimeout             : 7
    Steuerelement-ID             : (null)
    Steuerelementspeichername    : Liste
    DS-Zuordnungsverwendung      : Deaktiviert
    Clientzertifikat aushandeln  : Aktiviert
    Verbindungen ablehnen        : Deaktiviert
    HTTP2 deaktivieren           : Nicht festgelegt
"""


def test_an_old_english_listing() -> None:
    """Fields of Server 2012, with two families."""
    listing = parse_listing(SERVER_2012)
    assert listing.notes == ()
    first, second = listing.records
    assert first == PLAIN
    assert second.key == HostnamePort("sni.iis8.com", 443)
    assert second.store_name == "My"
    assert second.options == BindingOptions(
        verify_client_revocation=False,
        cached_client_revocation_only=True,
        check_client_usage=False,
        revocation_freshness_time=timedelta(seconds=60),
        url_retrieval_timeout=timedelta(milliseconds=1500),
        ctl_store_name="adfstrusteddevices",
        map_client_certificates=True,
        negotiate_client_certificate=True,
    )


def test_a_new_english_listing() -> None:
    """Fields by label where builds differ, extended properties passed over, CCS without a certificate."""
    listing = parse_listing(SERVER_2025)
    assert listing.notes == ()
    first, second = listing.records
    assert first.key == IpPort("::", 8443)
    assert first.options == BindingOptions(
        reject_connections=True,
        http2=False,
        tls13=False,
        ocsp_stapling=False,
        token_binding=True,
        log_extended_events=True,
        legacy_tls=False,
        session_tickets=True,
        cache_client_hello=True,
    )
    assert (second.key, second.thumbprint, second.store_name) == (CcsPort(443), None, None)


def test_a_german_listing_in_its_code_page() -> None:
    """By place instead of label, also from the bytes of an OEM code page or UTF-16."""
    for data in (GERMAN, GERMAN.encode(), GERMAN.encode("cp850"), GERMAN.encode("utf-16")):
        (record,) = parse_listing(data).records
        assert record.key == IpPort("10.0.0.5", 443)
        assert record.options == BindingOptions(
            revocation_freshness_time=timedelta(seconds=90),
            url_retrieval_timeout=timedelta(milliseconds=7),
            ctl_store_name="Liste",
            negotiate_client_certificate=True,
        )


def _in_another_language(text: str, words: dict[str, str]) -> str:
    lines: list[str] = []
    for line in text.splitlines():
        _, colon, value = line.partition(" : ")
        lines.append(f"    Öäü {len(lines)}  : {words.get(value, value)}" if colon else line)
    return "\n".join(lines)


def test_a_language_nobody_told_us() -> None:
    """Words for on and off are inferred from where they stand, with a note that says so."""
    text = _in_another_language(SERVER_2012.split("    Hostname:port")[0], {"Enabled": "Bai", "Disabled": "Ez"})
    listing = parse_listing(text)
    assert listing.records == (PLAIN,)
    assert any("'bai'" in note for note in listing.notes)


def test_a_language_that_cannot_be_inferred_is_refused() -> None:
    """Rather no answer than a wrong one: three words for two meanings."""
    text = _in_another_language(SERVER_2012, {"Enabled": "Bai", "Disabled": "Ez"}).replace("Bai", "Agian", 1)
    with pytest.raises(MalformedDataError, match="on and off"):
        parse_listing(text)


def test_a_cut_listing_whose_words_are_not_known() -> None:
    """Found by fuzzing: with the places gone from which words are inferred, it is refused too."""
    text = SERVER_2012.split("    Usage Check")[0].replace("Disabled", "Ez")
    with pytest.raises(MalformedDataError, match="on and off"):
        parse_listing(text)


def test_options_after_the_known_places_are_noted() -> None:
    """A translated listing whose newer options are not all off says that they were not read."""
    listing = parse_listing(GERMAN.replace("Nicht festgelegt", "Festgelegt"))
    assert any("could not be read" in note for note in listing.notes)


@pytest.mark.parametrize(
    "heading",
    [
        "SSL Certificate bindings:",
        "SSL-Zertifikatbindungen:",
        "Liaisons de certificats SSL :",
        "SSL 证书绑定:",
        "Привязки сертификатов SSL:",
        "C:\\>netsh http show sslcert\n\nSSL Certificate bindings:",
    ],
)
def test_a_listing_of_a_machine_without_bindings(heading: str) -> None:
    """In every language a heading over a line of dashes, as text and as the bytes that a shell writes."""
    text = f"\r\n{heading}\r\n-------------------------\r\n\r\n\r\n"
    for written in (text, text.encode("utf-16"), text.encode("utf-8-sig"), f"{text}PS C:\\Users> "):
        assert parse_listing(written) == Listing(records=(), notes=())


@pytest.mark.parametrize("heading", ["", "\nSSL Certificate bindings:\n-------------------------\n\n"])
def test_nothing_at_the_key_that_was_asked_for(heading: str) -> None:
    """That is no record, and a note that it says nothing of other keys."""
    listing = parse_listing(f"{heading}The system cannot find the file specified.\n")
    assert listing.records == ()
    assert "one key" in listing.notes[0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \r\n \r\n",
        b"\xff\xfe",
        "Access is denied.",
        "The requested operation requires elevation (Run as administrator).",
        "\nSSL Certificate bindings:\n-------------------------\n\nAccess is denied.\n",
        "SSL Certificate bindings:",
        "-------------------------",
        "'netsh' is not recognized as an internal or external command,\noperable program or batch file.",
        "<!DOCTYPE html>\n<html><body>SSL</body></html>",
        "IP addresses present in the IP listen list:\n-------------------------------------------\n",
        "URL Reservations:\n-----------------\n\n    Reserved URL            : http://+:80/\n",
        "Name    : Ethernet\nStatus  : Up\n",
        '{"SslCertBindings": []}',
        b"\x00\x01\x02\x03",
    ],
)
def test_what_is_no_listing_is_no_empty_one(text: str | bytes) -> None:
    """An error that says what it says instead."""
    with pytest.raises(MalformedDataError) as caught:
        parse_listing(text)
    assert len(str(caught.value)) < 400


def test_a_file_of_another_kind_is_named_and_not_shown() -> None:
    """What the recogniser knows is called by its name; a line that may be a password is not in the message."""
    with pytest.raises(MalformedDataError, match="this is a certificate, not a listing"):
        parse_listing(make("a.test").der)
    with pytest.raises(MalformedDataError, match="not a listing") as caught:
        parse_listing("correct horse battery staple")
    assert "horse" not in str(caught.value)


def test_a_record_that_cannot_be() -> None:
    """Its value is named."""
    with pytest.raises(MalformedDataError, match="cannot be"):
        parse_listing(SERVER_2012.replace("0.0.0.0:443", "0.0.0.0:70000"))


@pytest.mark.parametrize("digits", ["9" * 11, "9" * 30, "9" * 4000])
@pytest.mark.parametrize("before", ["Revocation Freshness Time", "URL Retrieval Timeout"])
def test_numbers_that_cannot_be(before: str, digits: str) -> None:
    """They are the listing's fault, in its own error, however many digits there are."""
    listing = re.sub(rf"({before}\s+: )\d+", rf"\g<1>{digits}", format_listing([PLAIN]))
    assert digits in listing
    with pytest.raises(MalformedDataError) as caught:
        parse_listing(listing)
    assert len(str(caught.value)) < 500


def test_a_hostname_record_without_a_store() -> None:
    """Windows prints (null) for a record written without one; the note says what was assumed."""
    listing = parse_listing(SERVER_2012.replace(": My", ": (null)"))
    assert listing.records[1].store_name == "MY"
    assert len(listing.notes) == 1


def test_json_both_ways() -> None:
    """What was exported is imported, for people's eyes too."""
    records = (*parse_listing(SERVER_2012).records, *parse_listing(SERVER_2025).records)
    text = to_json(records)
    assert from_json(text) == from_json(text.encode()) == records
    first = json.loads(text)["bindings"][0]
    assert first["key"] == "ipport=0.0.0.0:443"
    assert first["options"] == {}
    assert json.loads(text)["bindings"][1]["options"]["url_retrieval_timeout"] == 1500


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"format": "mlsssl-bindings", "version": 2, "bindings": []}',
        '{"format": "mlsssl-bindings", "version": 1, "bindings": {}}',
        '{"format": "mlsssl-bindings", "version": 1, "bindings": [{"key": "ccs=443"}]}',
        '{"format": "mlsssl-bindings", "version": 1, "bindings": [{"key": 443, "app_id": "x"}]}',
        '{"format": "mlsssl-bindings", "version": 1, "bindings": [{"key": "ccs=443", "app_id": "x"}]}',
        "[" * 100_000,
        b"\xff\xfe\x00",
    ],
)
def test_json_that_is_something_else(text: str | bytes) -> None:
    """Every other text is malformed, and says so in our words."""
    with pytest.raises(MalformedDataError):
        from_json(text)


@pytest.mark.parametrize(
    "change",
    [{"options": {"tls": False}}, {"options": {"tls13": 1}}, {"options": {"url_retrieval_timeout": 1.5}}, {"more": 1}],
)
def test_json_members_that_cannot_be(change: dict[str, object]) -> None:
    """A member that nobody wrote is refused instead of ignored."""
    document = json.loads(to_json([PLAIN]))
    document["bindings"][0].update(change)
    with pytest.raises(MalformedDataError):
        from_json(json.dumps(document))


def test_json_with_a_key_twice() -> None:
    """One record per key."""
    with pytest.raises(MalformedDataError, match="twice"):
        from_json(to_json([PLAIN, PLAIN]))


@pytest.mark.parametrize("host", ["a b", "a=b", "+", "*", "a:b", "Bücher.example", "WWW.example.com.", "-x"])
@pytest.mark.parametrize("kind", [HostnamePort, ScopedCcs])
def test_a_listing_keeps_the_host_that_another_program_wrote(kind: type[HostnamePort | ScopedCcs], host: str) -> None:
    """Whatever it is, it is bound: it is neither left out in silence nor does it stop the reading of all others."""
    odd = BindingRecord(
        key=kind.as_stored(host, 443),
        thumbprint=PLAIN.thumbprint if kind.family.has_certificate else None,
        store_name="MY" if kind.family.has_certificate else None,
        app_id=APP,
        options=BindingOptions(),
    )
    listed = format_listing([PLAIN, odd])
    assert parse_listing(listed).records == (PLAIN, odd)
    printed = listed.replace(str(odd.key).removeprefix("scopedccs="), f"{host}:443")
    records = parse_listing(printed).records
    assert records == (PLAIN, odd)
    found = records[1].key
    assert isinstance(found, kind)
    assert found.stored_host == host


@pytest.mark.parametrize("shell", ["cmd", "powershell"])
@pytest.mark.parametrize("name", [" x", "x ", " ", "x\u2028", "\u2029x", "!x!", "a$x"])
def test_a_name_that_would_be_read_as_another_is_not_written(name: str, shell: Literal["cmd", "powershell"]) -> None:
    """What `parse_command` reads of a line is what the line was made of."""
    record = replace(PLAIN, store_name=name)
    with pytest.raises(InvalidInputError, match="certstorename="):
        format_command(NetshCommand(verb="add", key=record.key, record=record), shell=shell)


def test_a_listing_that_is_cut_says_what_is_missing() -> None:
    """A record without its application id is not left out in silence, nor are options taken for what nobody read."""
    records = [PLAIN, replace(PLAIN, key=IpPort("10.0.0.1", 8443)), replace(PLAIN, key=IpPort("10.0.0.2", 8443))]
    lines = format_listing(records).splitlines()
    ends = [number for number, line in enumerate(lines) if "10.0.0.2:8443" in line]
    cut = parse_listing("\n".join(lines[: ends[0] + 2]))
    assert cut.records == tuple(records[:2])
    assert cut.notes == ("10.0.0.2:8443: its record has no application id, and was left out; the listing may be cut",)
    cut = parse_listing("\n".join(lines[: ends[0] + 7]))
    assert cut.records == tuple(records)
    assert cut.notes == (
        "10.0.0.2:8443: the listing ends 6 lines before the end of its record; defaults were assumed for what they say",
    )
    assert parse_listing("\n".join(lines)).notes == ()
    central = BindingRecord(key=CcsPort(444), thumbprint=None, store_name=None, app_id=APP, options=BindingOptions())
    whole = format_listing([PLAIN, central])
    (note,) = parse_listing(whole[: whole.index("444") + 4]).notes
    assert note.startswith("444: its record has no application id")
    assert parse_listing(whole).notes == ()


@pytest.mark.parametrize("shell", ["cmd", "powershell"])
@pytest.mark.parametrize("name", ["}", "a}b", "{x", "a)b", "a(b", "x{y}z"])
def test_a_bracket_in_a_name_ends_no_command_of_a_script(name: str, shell: Literal["cmd", "powershell"]) -> None:
    """In quotes it is a character like others."""
    command = NetshCommand(verb="add", key=PLAIN.key, record=replace(PLAIN, store_name=name))
    assert list(parse_script(format_command(command, shell=shell))) == [command]
