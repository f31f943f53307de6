"""Host names that another program bound in a spelling of its own, through the public face: over fakes of the DLLs.

What the ports do with them is in the contract (`tests/contract/test_bindings_contract.py`).
"""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlsssl import (
    Binding,
    BindingNotFoundError,
    CertificateAuthority,
    HostnamePort,
    InvalidInputError,
    ScopedCcs,
    audit,
    deploy,
    renew,
)
from mlsssl._changes.record import Change, ChangeRecords, record_from_dict, record_to_dict
from mlsssl._fakes.computer import Computer
from mlsssl._fakes.dlls import FakeDlls
from mlsssl._fakes.httpapi import SNI, SslRecord
from mlsssl._netsh.command import NetshCommand, format_command, parse_command
from mlsssl._windows.machine import WindowsPort
from mlsssl.deployment import last_outcome, recover
from mlsssl.machine import Machine

if TYPE_CHECKING:
    from pathlib import Path

CA = CertificateAuthority.create("Foreign spellings", key="ec-p256")
HOSTS = ("WWW.Example.COM", "bücher.example", "www.example.com.", "a b.example", "10.0.0.1", "*.Example.com")


class EndOfProcess(BaseException):
    """The process ends here."""


def port_of(computer: Computer, folder: Path, *, atomic: bool = True) -> WindowsPort:
    """A process on a computer."""
    dlls = FakeDlls(computer)
    if not atomic:
        del dlls.httpapi.HttpUpdateServiceConfiguration
    return WindowsPort(dlls, state_folder=folder)


def bound(folder: Path, *hosts: str) -> Computer:
    """A computer on which another program has bound these hosts, each to a certificate of its own."""
    computer = Computer()
    machine = Machine(port_of(computer, folder))
    for host in hosts:
        with machine.store("MY") as store:
            entry = store.add(CA.issue("www.example.com", "xn--bcher-kva.example", key="ec-p256"))
        record = SslRecord(
            config_id=SNI,
            address=b"\2\0\x01\xbb" + bytes(12),
            host=host,
            digest=bytes(entry.thumbprint),
            numbers=dict.fromkeys(("DefaultCertCheckMode", "DefaultFlags"), 0),
            texts={"pSslCertStoreName": "MY"},
        )
        computer.bindings[record.key] = record
    return computer


def hosts_of(computer: Computer) -> list[str]:
    """The spellings that HTTP.sys has."""
    return sorted(record.host for record in computer.bindings.values() if record.host is not None)


def typed(binding: Binding) -> str:
    """The key as a person types it, from what a listing shows."""
    return f"hostnameport={binding.key}"


@pytest.mark.parametrize("atomic", [True, False], ids=["update", "2016"])
@pytest.mark.parametrize("host", HOSTS)
def test_every_verb_works_and_keeps_the_spelling(tmp_path: Path, host: str, atomic: bool) -> None:
    """Find, update, renew, undo, deploy, audit and remove, by what the listing shows."""
    computer = bound(tmp_path, host)
    machine = Machine(port_of(computer, tmp_path, atomic=atomic))
    (listed,) = machine.bindings
    old = listed.thumbprint
    assert Binding.find(listed.key, machine=machine) == listed
    assert Binding.find(typed(listed), machine=machine) == listed
    assert typed(listed) in machine.bindings
    listed.with_options(listed.options).update()
    assert [row.key for row in audit(machine=machine).rows if row.key is not None] == [listed.key]
    for key in (listed.key, typed(listed)):
        done = renew(key, CA, machine=machine, verify=False, force=True)
        assert done.changed
        assert hosts_of(computer) == [host]
        outcome = last_outcome(key, machine=machine)
        assert outcome is not None
        outcome.undo()
        assert machine.bindings[key].thumbprint == old
        assert hosts_of(computer) == [host]
    assert deploy(
        typed(listed), CA.issue("www.example.com", key="ec-p256"), machine=machine, verify=False, force=True
    ).changed
    assert hosts_of(computer) == [host]
    machine.bindings[typed(listed)].remove()
    assert hosts_of(computer) == []
    with pytest.raises((BindingNotFoundError, InvalidInputError)):
        machine.bindings[typed(listed)]


def test_nobody_binds_what_is_no_host_name() -> None:
    """Only a record that is there has such a key."""
    for text in ("a b.example:443", "hostnameport=10.0.0.1:443"):
        with pytest.raises(InvalidInputError):
            Binding(text, bytes(20))
        machine = Machine(WindowsPort(FakeDlls()))
        with pytest.raises(InvalidInputError):
            machine.bindings.find(text)
    for host in ("", "\ud800.example"):
        with pytest.raises(InvalidInputError):
            HostnamePort.as_stored(host, 443)
    with pytest.raises(InvalidInputError):
        ScopedCcs.as_stored("a.example", 0)


@pytest.mark.parametrize("host", HOSTS)
def test_a_killed_renewal_gives_the_spelling_back(tmp_path: Path, host: str) -> None:
    """On a Windows without updates, ended at each call of HTTP.sys: the next process finds or makes the same record.

    With a twin in another spelling beside it, which none of it is about.
    """
    twin = "Twin.example" if host != "bücher.example" else "xn--bcher-kva.example"
    computer = bound(tmp_path / "base", host, twin)
    before = {record.host: record.digest for record in computer.bindings.values()}
    number = 0
    while True:
        folder, copied = tmp_path / f"run{number}", copy.deepcopy(computer)
        port = port_of(copied, folder, atomic=False)
        machine = Machine(port)
        (key,) = (one.key for one in machine.bindings if getattr(one.key, "stored_host", None) == host)
        seen = 0

        def end(name: str, last: int = number) -> None:
            nonlocal seen
            if name.startswith(("HttpSet", "HttpDelete")):
                seen += 1
                if seen > last:
                    raise EndOfProcess

        port._dlls.httpapi.calls.before = end  # type: ignore[attr-defined]
        try:
            renew(key, CA, machine=machine, verify=False, force=True)
            ended = False
        except EndOfProcess:
            ended = True
        again = Machine(port_of(copied, folder, atomic=False))
        recover(machine=again)
        after = {record.host: record.digest for record in copied.bindings.values()}
        assert after.keys() == before.keys()
        assert after[twin] == before[twin]
        if not ended:
            assert after[host] != before[host]
            break
        number += 1
    assert number >= 2  # one call takes the record away, one sets it


def test_a_program_that_writes_only_names_is_told_of_the_record(tmp_path: Path) -> None:
    """By name, `update` replaces what is there, in its spelling; `add` says that it is bound."""
    computer = bound(tmp_path, "WWW.Example.COM")
    machine = Machine(port_of(computer, tmp_path))
    with machine.store("MY") as store:
        entry = store.add(CA.issue("www.example.com", key="ec-p256"))
    for atomic in (True, False):
        again = Machine(port_of(computer, tmp_path, atomic=atomic))
        made = Binding("www.example.com:443", entry, machine=again)
        assert made.update().key == made.key
        assert hosts_of(computer) == ["WWW.Example.COM"]
        assert again.bindings["www.example.com:443"].thumbprint == entry.thumbprint


@given(
    host=st.text(min_size=1, max_size=80).filter(lambda text: text.isascii() or max(text) < "\ud800"),
    port=st.integers(1, 65535),
)
def test_a_record_keeps_any_spelling(host: str, port: int) -> None:
    """As plain values and back: the key, and the spelling that no comparison looks at."""
    binding = Binding(HostnamePort("a.example", 1), bytes(20))
    for kind in (HostnamePort, ScopedCcs):
        key = kind.as_stored(host, port)
        record = Binding(key, *([bytes(20)] if kind is HostnamePort else []), app_id=binding.app_id).record
        back = record_from_dict(json.loads(json.dumps(record_to_dict(record))))
        assert back == record
        assert isinstance(back.key, kind)
        assert back.key.stored_host == host


def test_a_record_on_disk_keeps_the_spelling(tmp_path: Path) -> None:
    """Of the change's own key too, by which a killed change is looked for."""
    key = HostnamePort.as_stored("a b.Example.", 443)
    record = Binding(key, bytes(20)).record
    ChangeRecords(tmp_path).begin(Change("deploy", key, before=record, after=record))
    (pending,) = ChangeRecords(tmp_path).pending()
    read = pending.change
    assert read is not None
    assert isinstance(read.key, HostnamePort)
    assert (read.key, read.key.stored_host) == (key, "a b.Example.")
    ChangeRecords(tmp_path).finish(read)
    assert ChangeRecords(tmp_path).last(HostnamePort.as_stored("a b.Example.", 443)) is not None


def test_netsh_is_given_the_spelling_that_is_there() -> None:
    """It finds no other; read again, it is the same key."""
    command = NetshCommand(verb="delete", key=HostnamePort.as_stored("Bücher.example", 443))
    line = format_command(command)
    assert line == "netsh http delete sslcert hostnameport=Bücher.example:443"
    assert parse_command(line).key == command.key
    made = NetshCommand(verb="delete", key=HostnamePort("Bücher.example", 443))
    assert format_command(made) == "netsh http delete sslcert hostnameport=xn--bcher-kva.example:443"
