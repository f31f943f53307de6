"""What one process was told is done, another one's change does not undo: every change of bindings takes the lock."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from mlsssl import (
    AccessDeniedError,
    Binding,
    BindingError,
    BindingOptions,
    CertificateAuthority,
    EmbeddedMachine,
    InvalidInputError,
    cleanup,
    deploy,
    renew,
)
from mlsssl._changes.recovery import LOCK
from mlsssl._commands import binding as binding_commands
from mlsssl._commands.old_tools import netsh
from mlsssl._commands.old_tools.command_lines import Context
from mlsssl.cli import main
from mlsssl.testing import fake_windows_machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from mlsssl import Thumbprint

KEY, FREE = "0.0.0.0:443", "0.0.0.0:444"
PATIENCE = 30.0  # seconds, for what takes none
A_WHILE = 0.3  # seconds, in which a change that does not wait is long done


@pytest.fixture(name="ca", scope="module")
def _ca() -> CertificateAuthority:
    return CertificateAuthority.create("Acknowledged changes", key="ec-p256")


@pytest.fixture(name="machine", params=[True, False], ids=["atomic", "server-2016"])
def _machine(request: pytest.FixtureRequest, tmp_path: Path, ca: CertificateAuthority) -> Iterator[EmbeddedMachine]:
    """A machine with a binding for `KEY`; `another` is how a second process sees it."""
    with EmbeddedMachine(tmp_path / "m.sqlite", atomic_update=request.param) as machine:
        deploy(KEY, ca.issue("a.test"), machine=machine)
        yield machine


def another(machine: EmbeddedMachine) -> EmbeddedMachine:
    """The same machine, opened once more."""
    return EmbeddedMachine(machine.path, atomic_update=machine.port.bindings.atomic_update)


def thumbprint(machine: EmbeddedMachine) -> Thumbprint:
    """Of the certificate that is bound to `KEY`."""
    found = Binding.get(KEY, machine=machine).thumbprint
    assert found is not None
    return found


def with_option(binding: Binding, **changes: Any) -> Binding:
    """The same binding with some options changed."""
    return binding.with_options(dataclasses.replace(binding.options, **changes))


def turn_http2_off(machine: EmbeddedMachine) -> None:
    """Read, change and write as a careful program does: again when somebody was faster."""
    with another(machine) as mine:
        while True:
            try:
                with_option(Binding.get(KEY, machine=mine), http2=False).update()
            except BindingError:
                continue
            return


def during(machine: EmbeddedMachine, threads: list[threading.Thread]) -> None:
    """Let somebody turn HTTP/2 off now, as far as that is possible now."""
    threads.append(threading.Thread(target=turn_http2_off, args=(machine,)))
    threads[-1].start()
    threads[-1].join(A_WHILE)


# -- every writer waits -----------------------------------------------------------------------------------------------

WRITERS: dict[str, Callable[[EmbeddedMachine], object]] = {
    "add": lambda machine: Binding(FREE, thumbprint(machine), machine=machine).add(),
    "bindings.add": lambda machine: machine.bindings.add(FREE, thumbprint(machine)),
    "update": lambda machine: with_option(Binding.get(KEY, machine=machine), http2=False).update(),
    "remove": lambda machine: Binding.get(KEY, machine=machine).remove(),
    "netsh add": lambda machine: run_netsh(machine, "add", f"ipport={FREE}"),
    "netsh update": lambda machine: run_netsh(machine, "update", f"ipport={KEY}"),
    "netsh delete": lambda machine: netsh.run(["http", "delete", "sslcert", f"ipport={KEY}"], context(machine)),
    "binding add": lambda machine: run_cli(machine, "binding", "add", FREE, str(thumbprint(machine))),
    "binding update": lambda machine: run_cli(machine, "binding", "update", KEY, "--option", "http2=no"),
    "binding remove": lambda machine: run_cli(machine, "binding", "remove", KEY),
    "store remove": lambda machine: run_cli(machine, "store", "remove", str(thumbprint(machine)), "--force"),
    "cleanup": lambda machine: cleanup(machine=machine),
}


def context(machine: EmbeddedMachine) -> Context:
    """What an old command works with."""
    return Context(
        machine=lambda: machine,
        add_to_machine=lambda add: add(machine),
        ask_password=lambda *_, **__: None,
        out=str,
    )


def run_netsh(machine: EmbeddedMachine, verb: str, key: str) -> int:
    """A command line of netsh that writes a record."""
    words = ["http", verb, "sslcert", key, f"certhash={thumbprint(machine)}", f"appid={{{OWNER}}}"]
    return netsh.run(words, context(machine))


OWNER = "11111111-2222-3333-4444-555555555555"


def run_cli(machine: EmbeddedMachine, *words: str) -> None:
    """A command line of ours; it has no imitation of Server 2016, so there only waiting can be seen."""
    assert main([*words, "--machine", str(machine.path)]) == 0


@pytest.mark.parametrize("writer", WRITERS)
def test_every_writer_of_bindings_waits_for_a_change_that_is_under_way(machine: EmbeddedMachine, writer: str) -> None:
    """Whatever reads, decides and writes under the lock has then seen the last state, and nobody else's in between."""
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with another(machine) as mine:
                WRITERS[writer](mine)
        except BaseException as error:  # noqa: BLE001 - told below, in the thread that may fail the test
            failures.append(error)

    before = machine.port.bindings.all()
    thread = threading.Thread(target=work)
    with machine.port.lock(LOCK, timeout=PATIENCE):
        thread.start()
        thread.join(A_WHILE)
        assert thread.is_alive(), failures
        assert machine.port.bindings.all() == before
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert failures == []


def test_an_update_that_comes_while_a_renewal_is_at_work_is_kept(
    machine: EmbeddedMachine, ca: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The renewal has read the record already and writes it back with a new certificate: both changes are there."""
    old = thumbprint(machine)
    threads: list[threading.Thread] = []

    def begin(*_: object) -> Iterator[object]:
        during(machine, threads)
        return iter(())

    monkeypatch.setattr("mlsssl._deploy.preflight.about_owner", begin)  # in the middle of the planning
    renew(KEY, ca, machine=machine)
    for thread in threads:
        thread.join(PATIENCE)
    assert threads
    after = Binding.get(KEY, machine=machine)
    assert after.thumbprint != old
    assert not after.options.http2


def test_options_changed_while_the_new_certificate_is_made_stay_changed(
    machine: EmbeddedMachine, ca: CertificateAuthority
) -> None:
    """The source may take its time, without a lock; the record is worked out from what is there afterwards."""

    def source(_: object) -> object:
        with_option(Binding.get(KEY, machine=machine), tls13=False).update()
        return ca.issue("a.test")

    outcome = renew(KEY, source, machine=machine)  # type: ignore[arg-type]  # as loosely typed as a user's
    assert outcome.changed
    assert not Binding.get(KEY, machine=machine).options.tls13


def test_a_certificate_deployed_while_the_new_one_is_made_stays(
    machine: EmbeddedMachine, ca: CertificateAuthority
) -> None:
    """The new one was made for the names of the other."""

    def source(_: object) -> object:
        deploy(KEY, ca.issue("b.test"), machine=machine)
        return ca.issue("a.test")

    with pytest.raises(BindingError, match="was changed while its new certificate was made"):
        renew(KEY, source, machine=machine)  # type: ignore[arg-type]
    certificate = Binding.get(KEY, machine=machine).certificate
    assert certificate is not None
    assert certificate.hosts == ("b.test",)


# -- who read an older record -----------------------------------------------------------------------------------------


def test_a_change_of_a_record_that_is_no_more_is_refused(machine: EmbeddedMachine, ca: CertificateAuthority) -> None:
    """It would bring the old certificate back; read again, it is done, and once more without reading."""
    stale = Binding.get(KEY, machine=machine)
    renew(KEY, ca, machine=machine)
    new = Binding.get(KEY, machine=machine)
    with pytest.raises(BindingError, match="changed since this binding was read; nothing was done"):
        with_option(stale, http2=False).update()
    with pytest.raises(BindingError, match="read the binding again"):
        stale.with_certificate(ca.issue("a.test").thumbprint).update()
    with pytest.raises(BindingError, match="read the binding again"):
        stale.with_options(stale.options).update()  # set to what they were: still only the options are meant
    assert Binding.get(KEY, machine=machine) == new
    changed = with_option(new, http2=False)
    assert changed.update() is changed
    with_option(changed, tls13=False).update()  # what it has written itself it knows
    assert Binding.get(KEY, machine=machine).options == BindingOptions(http2=False, tls13=False)


def test_a_whole_record_replaces_whatever_is_there(machine: EmbeddedMachine, ca: CertificateAuthority) -> None:
    """One that was read, to go back to it; one that the caller made."""
    first = Binding.get(KEY, machine=machine)
    renew(KEY, ca, machine=machine)
    first.update()
    assert Binding.get(KEY, machine=machine) == first
    made = Binding(KEY, thumbprint(machine), options=BindingOptions(quic=False), machine=machine)
    with_option(made, http2=False).update()
    assert Binding.get(KEY, machine=machine).options == BindingOptions(quic=False, http2=False)


def test_deploy_works_options_out_from_those_that_are_there(machine: EmbeddedMachine, ca: CertificateAuthority) -> None:
    """With a function, under the lock; the defaults where nothing is bound; what is none is refused before all."""
    certificate = ca.issue("a.test")
    with_option(Binding.get(KEY, machine=machine), http2=False).update()
    change: Callable[[BindingOptions], BindingOptions] = lambda options: dataclasses.replace(options, tls13=False)  # noqa: E731
    deploy(KEY, certificate, machine=machine, options=change)
    assert Binding.get(KEY, machine=machine).options == BindingOptions(http2=False, tls13=False)
    assert not deploy.plan(KEY, certificate, machine=machine, options=change).changes
    deploy(FREE, certificate, machine=machine, options=change)
    assert Binding.get(FREE, machine=machine).options == BindingOptions(tls13=False)
    before = machine.port.bindings.all()
    with pytest.raises(InvalidInputError, match="options are a BindingOptions"):
        deploy(KEY, certificate, machine=machine, options=lambda _: None)  # type: ignore[arg-type, return-value]
    assert machine.port.bindings.all() == before


def test_deploy_on_the_command_line_keeps_an_option_that_was_changed_meanwhile(
    machine: EmbeddedMachine, ca: CertificateAuthority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`--option` names one; the others are read where they are written."""
    ca.issue("a.test").save(tmp_path / "new.pfx", password="secret")
    monkeypatch.setenv("PW", "secret")
    words = ["deploy", KEY, str(tmp_path / "new.pfx"), "--password", "env:PW", "--option", "tls13=no"]
    check_both_options_are_kept(machine, monkeypatch, words)


def test_an_update_on_the_command_line_keeps_an_option_that_was_changed_meanwhile(
    machine: EmbeddedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Likewise."""
    check_both_options_are_kept(machine, monkeypatch, ["binding", "update", KEY, "--option", "tls13=no"])


def check_both_options_are_kept(
    machine: EmbeddedMachine, monkeypatch: pytest.MonkeyPatch, words: Sequence[str]
) -> None:
    """Somebody changes another option when the command has read the options and works out the new ones."""
    parse = binding_commands.parse_options
    threads: list[threading.Thread] = []

    def slowly(settings: list[str], start: BindingOptions) -> BindingOptions:
        during(machine, threads)
        return parse(settings, start)

    monkeypatch.setattr("mlsssl._commands.binding.parse_options", slowly)
    monkeypatch.setattr("mlsssl._commands.deployment.parse_options", slowly)
    assert main([*words, "--machine", str(machine.path)]) == 0
    for thread in threads:
        thread.join(PATIENCE)
    assert threads
    assert Binding.get(KEY, machine=machine).options == BindingOptions(http2=False, tls13=False)


# -- who may not ------------------------------------------------------------------------------------------------------


def test_who_is_no_administrator_is_told_so(ca: CertificateAuthority) -> None:
    """Not that a lock cannot be had."""
    with fake_windows_machine() as windows:
        entry = windows.machine.store("MY").add(ca.issue("a.test"))
        bound = windows.machine.bindings.add(KEY, entry)
        computer = windows.dlls.computer
    with fake_windows_machine(computer=computer, administrator=False) as windows:
        for act in (
            lambda: windows.machine.bindings.add(FREE, entry.thumbprint),
            lambda: with_option(windows.machine.bindings[KEY], http2=False).update(),
            lambda: windows.machine.bindings[KEY].remove(),
        ):
            with pytest.raises(AccessDeniedError) as caught:
                act()
            assert caught.value.right == "administrator"
        assert windows.machine.bindings[KEY] == bound


# -- under stress -----------------------------------------------------------------------------------------------------

_WORKER = """
import dataclasses, json, sys, time
from mlsssl import Binding, CertificateAuthority, EmbeddedMachine, MlssslError, renew

file, key, atomic, role, seconds, authority = sys.argv[1:]
machine = EmbeddedMachine(file, atomic_update=atomic == "True")
ca = CertificateAuthority.load(authority, password="secret")
acknowledged, lost, renewals, expected = 0, 0, [], None
end = time.monotonic() + float(seconds)
while time.monotonic() < end:
    try:
        if role == "renew":
            outcome = renew(key, ca, machine=machine, verify=False)
            renewals.append((str(outcome.before.thumbprint), str(outcome.after.thumbprint)))
            continue
        binding = Binding.get(key, machine=machine)  # `role` is an option that nobody else touches
        lost += expected is not None and getattr(binding.options, role) is not expected
        wanted = not getattr(binding.options, role)
        binding.with_options(dataclasses.replace(binding.options, **{role: wanted})).update()
    except MlssslError:
        continue  # refused: nothing was promised
    acknowledged, expected = acknowledged + 1, wanted
print(json.dumps({"acknowledged": acknowledged, "lost": lost, "renewals": renewals}))
"""


def test_no_acknowledged_change_is_lost_under_stress(
    machine: EmbeddedMachine, ca: CertificateAuthority, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two processes renew, two turn an option each, for two seconds: every success is there until its owner ends it."""
    ca.save(tmp_path / "ca.pfx", password="secret")
    first, atomic = thumbprint(machine), machine.port.bindings.atomic_update
    words = [sys.executable, "-c", _WORKER, str(machine.path), KEY, str(atomic)]
    workers = [
        subprocess.Popen(
            [*words, role, "2", str(tmp_path / "ca.pfx")],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        for role in ("renew", "renew", "http2", "tls13")
    ]
    told = [json.loads(worker.communicate(timeout=PATIENCE * 4)[0]) for worker in workers]
    renewals = dict(tuple(one) for answer in told for one in answer["renewals"])
    acknowledged, lost = (sum(answer[name] for answer in told) for name in ("acknowledged", "lost"))
    # Acknowledged renewals make one chain: each replaced what another had acknowledged, and the last one is bound.
    newest, length = str(first), 0
    while newest in renewals:
        newest, length = renewals[newest], length + 1
    with capsys.disabled():
        print(f"\n{lost} of {acknowledged} updates lost, {sum(len(one['renewals']) for one in told)} renewals", end=" ")
    assert renewals
    assert acknowledged > 0
    assert lost == 0
    assert (length, newest) == (sum(len(answer["renewals"]) for answer in told), str(thumbprint(machine)))
