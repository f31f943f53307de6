"""A machine's file that is mistyped: every command says so and makes none, but for what adds something and can."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import mlsssl
from mlsssl import CertificateAuthority, EmbeddedMachine, Machine, NotFoundError
from mlsssl.cli import OLD_COMMANDS, build_parser, main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOBODY = "0" * 40
KEY = "0.0.0.0:443"
URL = "https://+:443/mls/"
APP = "{00000000-0000-0000-0000-000000000001}"

# What each command may be given so that it does its work, or as much as there is in an empty machine.
LOOKING = {
    "store list": "",
    "store remove": NOBODY,
    "store access": NOBODY,
    "store grant": f"{NOBODY} SYSTEM",
    "store revoke": f"{NOBODY} S-1-5-20",
    "store crls": "",
    "store export": "MY --out out.pem",
    "store remove-crl": NOBODY,
    "binding list": "",
    "binding update": KEY,
    "binding remove": KEY,
    "reservation list": "",
    "reservation update": f"{URL} --user SYSTEM",
    "reservation remove": URL,
    "dsc get": f'--input {{"key":"{KEY}"}}',
    "dsc test": f'--input {{"key":"{KEY}"}}',
    "dsc export": "",
    "serve": "--seconds 0",
    "renew": "--all --ca ca.pfx --ca-password env:PW",
    "undo": KEY,
    "request create": f"--for-binding {KEY} --out r.csr --key-out r.key",
    "recover": "",
    "cleanup": "",
    "audit": "",
}
ADDING = {
    "store add": "server.pfx --password env:PW",
    "store import": "server.pfx --password env:PW",
    "store add-crl": "ca.crl",
    "binding add": "ccs=443",
    "request complete": "server.cer --key server.pem --store MY",
    "reservation add": f"{URL} --user SYSTEM",
    "deploy": f"{KEY} server.pfx --password env:PW",
    "dsc set": f'--input {{"key":"{KEY}","file":"server.pfx","password":"env:PW"}}',
}
# The same commands with something that makes them fail on every empty machine.
FAILING = {
    "store add": ["absent.pfx", "server.pfx --password env:WRONG", "server.pfx --password env:PW --store Nowhere"],
    "store import": ["server.pfx --password env:WRONG", "ca.cer"],
    "store add-crl": ["ca.cer", "absent.crl"],
    "request complete": ["server.cer --key ca.cer --store MY", "server.cer --key server.pem --store Nowhere"],
    "binding add": [f"{KEY} {NOBODY}", f"{KEY} nonsense", "ccs=443 --option frob=no"],
    "reservation add": [f"{URL} --user nobody-at-all", f"{URL}nonsense --user SYSTEM"],
    "deploy": [
        f"{KEY} server.pfx --password env:PW --host other.test",
        f"{KEY} --thumbprint {NOBODY}",
        f"{KEY} server.pfx --password env:PW --restart NoSuchService",
    ],
    "dsc set": [
        f'--input {{"key":"{KEY}","file":"absent.pfx"}}',
        f'--input {{"key":"{KEY}","thumbprint":"{NOBODY}"}}',
        '--input {"key":"other.test:443","file":"server.pfx","password":"env:PW"}',
    ],
}
WITHOUT_MACHINE = {
    "revoke",
    "ccs check",
    "ccs list",
    "ca create",
    "ca crl",
    "ca issue-client",
    "ca renew",
    "issue",
    "request show",
    "request sign",
    "check",
    "show",
    "explain",
    "pfx",
    "quickstart",
    "completion",
    "health",
    "schedule install",
    "schedule show",
    "schedule remove",
}
OLD = {
    "netsh http show sslcert": False,
    f"netsh http delete sslcert ipport={KEY}": False,
    "netsh http show urlacl": False,
    f"netsh http delete urlacl url={URL}": False,
    "netsh http show iplisten": False,
    "netsh http show timeout": False,
    "netsh http delete timeout timeouttype=headerwaittimeout": False,
    f"netsh http add urlacl url={URL} user=SYSTEM": True,
    "netsh http add iplisten ipaddress=10.0.0.5": True,
    "netsh http add timeout timeouttype=headerwaittimeout value=60": True,
    f"netsh http update sslcert ipport={KEY} certhash={NOBODY} appid={APP}": False,
    "makecert -is my -in Root -n CN=a.test -sv a.pvk a.cer": False,
    f"netsh http add sslcert ccs=443 appid={APP}": True,
    "makecert -r -n CN=a.test -ss my -sr localmachine": True,
}


@pytest.fixture(name="place", autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with ca.pfx, .cer and .crl, server.pfx, .cer and .pem; no machine."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLSSSL_MACHINE", str(tmp_path / "typo.sqlite"))
    monkeypatch.setenv("PW", "hunter-22")
    monkeypatch.setenv("WRONG", "hunter-23")
    ca = CertificateAuthority.create("Mistyped", key="ec-p256")
    ca.save("ca.pfx", password="hunter-22")
    ca.certificate.save("ca.cer")
    server = ca.issue("server.test")
    server.save("server.pfx", password="hunter-22")
    server.without_key().save("server.cer")
    server.save("server.pem", no_password=True)
    assert main(["ca", "crl", "--ca", "ca.pfx", "--ca-password", "env:PW", "--out", "ca.crl"]) == 0
    return tmp_path


@pytest.fixture(name="named", params=["--machine", "MLSSSL_MACHINE", "usual place"])
def _named(request: pytest.FixtureRequest, place: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], Path]:
    """The ways to name a machine: the words to add, and the file that is meant."""
    if request.param == "--machine":
        monkeypatch.delenv("MLSSSL_MACHINE")
        return ["--machine", "typo.sqlite"], place / "typo.sqlite"
    if request.param == "MLSSSL_MACHINE":
        return [], place / "typo.sqlite"
    if sys.platform == "win32":
        pytest.skip("this computer is Windows itself")
    monkeypatch.delenv("MLSSSL_MACHINE")
    monkeypatch.setenv("XDG_DATA_HOME", str(place / "data"))
    monkeypatch.setenv("HOME", str(place / "home"))
    from mlsssl._embedded.port import default_path

    return [], default_path()


def leaves(parser: argparse.ArgumentParser, path: str = "") -> Iterator[tuple[str, set[str]]]:
    """Every command of the parser with its options."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield path, {option for action in parser._actions for option in action.option_strings}
    for group in groups:
        for name, below in group.choices.items():
            yield from leaves(below, f"{path} {name}".strip())


def all_files(place: Path) -> set[Path]:
    """Every file and folder below."""
    return {*place.rglob("*")}


def test_every_command_is_looked_at_here() -> None:
    """A new one belongs into one of the tables."""
    commands = dict(leaves(build_parser()))
    asked = {name for name, options in commands.items() if "--machine" in options}
    assert asked - {"schedule install"} == {*LOOKING, *ADDING}  # which hands it on to the command that it schedules
    assert {*commands} == {*LOOKING, *ADDING, *WITHOUT_MACHINE, *OLD_COMMANDS}
    assert {line.split()[0] for line in OLD} | {"pvk2pfx"} == {*OLD_COMMANDS}  # which knows no machine


@pytest.mark.parametrize("command", [*LOOKING, *(line for line, adds in OLD.items() if not adds)])
def test_what_adds_nothing_fails_and_makes_no_machine(
    place: Path, named: tuple[list[str], Path], capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """Exit code 3, and the file as it was understood."""
    words, file = named
    before = all_files(place)
    assert main([*command.split(), *LOOKING.get(command, "").split(), *words]) == 3
    captured = capsys.readouterr()
    shown = "typo.sqlite" if words else str(file)
    assert f"there is no machine in the file {shown!r}" in captured.err
    assert captured.out == ""
    assert all_files(place) == before


@pytest.mark.parametrize("command", [*ADDING, *(line for line, adds in OLD.items() if adds)])
def test_what_adds_something_makes_one_and_says_so_once(
    named: tuple[list[str], Path], capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """One line, on standard error, so that JSON stays JSON."""
    words, file = named
    line = [*command.split(), *ADDING.get(command, "").split(), *words]
    if command in ADDING:
        line.append("--json")
    assert main(line) == 0
    captured = capsys.readouterr()
    assert captured.err == f"mlsssl: a new machine was made in {'typo.sqlite' if words else file}\n"
    if command in ADDING:
        json.loads(captured.out)
    assert file.is_file()
    main(line)
    assert "new machine" not in capsys.readouterr().err


@pytest.mark.parametrize("command", FAILING)
def test_what_fails_on_an_empty_machine_makes_none(
    place: Path, named: tuple[list[str], Path], capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """A mistyped machine and a thumbprint of the right one, say; or a file, password or name that is wrong."""
    words, _ = named
    before = all_files(place)
    for rest in FAILING[command]:
        assert main([*command.split(), *rest.split(), *words]) not in (0, 2) or "frob" in rest or "nonsense" in rest
        assert "new machine" not in capsys.readouterr().err
        assert all_files(place) == before


def test_a_forced_deployment_makes_one(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--force goes on although the preflight found errors, here too."""
    line = ["deploy", KEY, "server.pfx", "--password", "env:PW", "--host", "other.test", "--force"]
    assert main(line) == 0
    assert (place / "typo.sqlite").is_file()
    assert "a new machine was made" in capsys.readouterr().err


def test_a_plan_is_of_an_empty_machine_that_nobody_makes(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says of which file, and that it is not there."""
    before = all_files(place)
    line = ["deploy", KEY, "server.pfx", "--password", "env:PW", "--plan"]
    assert main(line) == 0
    assert f"at {place / 'typo.sqlite'}, which is not there yet:" in capsys.readouterr().out
    assert main([*line, "--host", "other.test"]) == 1
    assert all_files(place) == before


CALLS: dict[str, Callable[[CertificateAuthority], object]] = {
    "audit": lambda _: mlsssl.audit(),
    "renew": lambda ca: mlsssl.renew(KEY, ca),
    "renew.plan": lambda ca: mlsssl.renew.plan(KEY, ca),
    "renew_due": lambda ca: mlsssl.renew_due(ca),
    "cleanup": lambda _: mlsssl.cleanup(),
    "recover": lambda _: mlsssl.recover(),
    "last_outcome": lambda _: mlsssl.last_outcome(KEY),
    "Machine.local": lambda _: Machine.local(create=False),
    "EmbeddedMachine": lambda _: EmbeddedMachine(create=False),
}


@pytest.mark.parametrize("call", CALLS)
def test_python_says_the_same(place: Path, call: str) -> None:
    """Of this computer's machine, when no other is given."""
    ca = CertificateAuthority.load("ca.pfx", password="hunter-22")
    before = all_files(place)
    with pytest.raises(NotFoundError, match=r"no machine in the file .*typo\.sqlite', which MLSSSL_MACHINE names"):
        CALLS[call](ca)
    assert all_files(place) == before
    EmbeddedMachine().close()
    if call.startswith("renew") and call != "renew_due":
        with pytest.raises(mlsssl.BindingNotFoundError):
            CALLS[call](ca)
    else:
        CALLS[call](ca)


def test_a_machine_is_opened_only_where_it_is_when_asked_so(place: Path) -> None:
    """By its path; made without being asked for it, as before."""
    file = place / "folder" / "machine.sqlite"
    with pytest.raises(NotFoundError, match="no machine in the file"):
        EmbeddedMachine(file, create=False)
    assert not file.parent.exists()
    EmbeddedMachine(file).close()
    EmbeddedMachine(file, create=False).close()
    assert Path(file).is_file()
