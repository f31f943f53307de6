"""Whoever decides by what is bound clears up first what a killed process left: its state is neither old nor new."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from mlsssl import (
    AccessDeniedError,
    Binding,
    BindingError,
    BindingNotFoundError,
    BindingOptions,
    CertificateAuthority,
    EmbeddedMachine,
    UnusableCertificateError,
    cleanup,
    deploy,
    last_outcome,
    recover,
    renew,
    renew_due,
)
from mlsssl._embedded.bindings import EmbeddedBindings
from mlsssl.cli import main
from mlsssl.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mlsssl import Certificate
    from mlsssl._formats.binding_keys import BindingKey
    from mlsssl._machine.ports import BindingRecord

KEY, OTHER = "0.0.0.0:443", "0.0.0.0:444"


class EndOfProcess(BaseException):
    """The process ends here: nothing is undone on its way out."""


@pytest.fixture(name="ca", scope="module")
def _ca() -> CertificateAuthority:
    return CertificateAuthority.create("Recovery tests", key="ec-p256")


@pytest.fixture(name="old", scope="module")
def _old(ca: CertificateAuthority) -> Certificate:
    return ca.issue("a.test", days=30)


@pytest.fixture(name="machine")
def _machine(tmp_path: Path, ca: CertificateAuthority, old: Certificate) -> Iterator[EmbeddedMachine]:
    """A Server 2016 whose renewal died between deleting the record of `KEY` and setting it again."""
    with EmbeddedMachine(tmp_path / "m.sqlite", atomic_update=False) as machine:
        deploy(OTHER, ca.issue("b.test", days=30), machine=machine)
        deploy(KEY, old, machine=machine)
        with pytest.MonkeyPatch.context() as patch:
            end_after(patch, "remove")
            with pytest.raises(EndOfProcess):
                renew(KEY, ca, machine=machine)
        assert Binding.find(KEY, machine=machine) is None
        yield machine


def end_after(patch: pytest.MonkeyPatch, name: str) -> None:
    """Let the process end when the machine has done this."""
    real = getattr(EmbeddedBindings, name)

    def last(self: EmbeddedBindings, what: BindingKey | BindingRecord) -> None:
        real(self, what)
        raise EndOfProcess

    patch.setattr(EmbeddedBindings, name, last)


def run_cli(machine: EmbeddedMachine, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """The exit code, and everything that was said."""
    capsys.readouterr()
    code = main([*words, "--machine", str(machine.path)])
    told = capsys.readouterr()
    return code, told.out + told.err


# -- who may change ---------------------------------------------------------------------------------------------------


def test_renew_clears_up_before_it_reads(machine: EmbeddedMachine, ca: CertificateAuthority, old: Certificate) -> None:
    """The old certificate says for which names the new one is: without it there is nothing to renew."""
    asked: list[Certificate] = []
    outcome = renew(KEY, lambda certificate: asked.append(certificate) or ca.issue("a.test"), machine=machine)  # type: ignore[func-returns-value]
    assert asked == [old]
    assert outcome.before is not None
    assert outcome.before.thumbprint == old.thumbprint
    assert Binding.get(KEY, machine=machine) == outcome.after


@pytest.mark.parametrize("only", [None, [KEY]])
def test_renew_due_clears_up_before_it_reads(
    machine: EmbeddedMachine, ca: CertificateAuthority, only: list[str] | None
) -> None:
    """A dead port is what a scheduled task is to mend, not to pass over."""
    results = {str(one.key): one for one in renew_due(ca, machine=machine, only=only, due_only=False)}
    assert set(results) == ({KEY, OTHER} if only is None else {KEY})
    assert all(one.outcome is not None and one.outcome.changed for one in results.values())
    assert recover(machine=machine) == []


def test_the_last_outcome_is_looked_up_after_clearing_up(
    machine: EmbeddedMachine, ca: CertificateAuthority, old: Certificate
) -> None:
    """A renewal that died when its record was set is finished, so it is the last one, and undo takes it back."""
    recover(machine=machine)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mlsssl._changes.recovery.finish_forwards", end_of_process)
        with pytest.raises(EndOfProcess):
            renew(KEY, ca, machine=machine)
    outcome = last_outcome(KEY, machine=machine)
    assert outcome is not None
    assert outcome.verb == "renew"
    assert outcome.undo().changed
    assert Binding.get(KEY, machine=machine).thumbprint == old.thumbprint


def end_of_process(*_: object, **__: object) -> None:
    """In place of whatever comes next."""
    raise EndOfProcess


COMMANDS: dict[str, tuple[str, ...]] = {
    "deploy": ("deploy", KEY, "new.pfx", "--password", "env:PW"),
    "deploy with an option": ("deploy", KEY, "new.pfx", "--password", "env:PW", "--option", "http2=no"),
    "renew": ("renew", KEY, "--certificate", "new.pfx", "--password", "env:PW"),
    "renew all": ("renew", "--all", "--ca", "ca.pfx", "--ca-password", "env:PW"),
    "undo": ("undo", KEY),
    "binding update": ("binding", "update", KEY, "--option", "http2=no"),
    "binding remove": ("binding", "remove", KEY),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_clear_up_before_they_read(
    machine: EmbeddedMachine,
    ca: CertificateAuthority,
    command: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each does what it does where nothing has died: no "nothing is bound", no "changed since this plan was made"."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PW", "secret")
    ca.save("ca.pfx", password="secret")
    ca.issue("a.test").save("new.pfx", password="secret")
    code, told = run_cli(machine, capsys, *COMMANDS[command])
    assert code == 0, told
    assert not any(machine.state_folder.glob("change*.json"))
    bound = Binding.find(KEY, machine=machine)
    assert (bound is None) == (command in ("binding remove", "undo"))


def test_store_remove_clears_up_before_it_says_that_nothing_is_bound(
    machine: EmbeddedMachine, old: Certificate, capsys: pytest.CaptureFixture[str]
) -> None:
    """The certificate of the binding that is put back stays."""
    code, told = run_cli(machine, capsys, "store", "remove", str(old.thumbprint))
    assert code == 2
    assert f"is bound to {KEY}" in told
    assert Binding.get(KEY, machine=machine).certificate == old


# -- who may only look ------------------------------------------------------------------------------------------------


def test_who_only_looks_says_what_is_not_finished(
    machine: EmbeddedMachine, ca: CertificateAuthority, old: Certificate
) -> None:
    """No plan from a state that is neither old nor new, no "nothing is bound", and nothing is cleared up."""
    looks: tuple[Callable[[], object], ...] = (
        lambda: renew.plan(KEY, ca, machine=machine),
        lambda: deploy.plan(KEY, old, machine=machine),
    )
    for look in looks:
        with pytest.raises(
            BindingError, match=rf"the renew of {KEY} .* has begun and not ended.*mlsssl.recover"
        ) as caught:
            look()
        assert not isinstance(caught.value, BindingNotFoundError)
    assert cleanup(machine=machine, dry_run=True).removed == ()
    assert Binding.find(KEY, machine=machine) is None
    with pytest.raises(BindingNotFoundError, match=rf"nothing is bound to {KEY} now: the renew .* has begun"):
        Binding.get(KEY, machine=machine)
    with pytest.raises(BindingNotFoundError, match="nor to any other key of port"):
        Binding.get("0.0.0.0:445", machine=machine)
    assert renew.plan(OTHER, ca, machine=machine).changes  # another binding is what it is
    assert recover(machine=machine)
    assert renew.plan(KEY, ca, machine=machine).changes
    assert not deploy.plan(KEY, old, machine=machine).changes
    assert cleanup(machine=machine, dry_run=True).removed == ()


@pytest.mark.parametrize("only", [None, [KEY, OTHER]])
def test_a_dry_run_of_renew_due_counts_a_binding_in_the_middle_of_a_change_as_a_failure(
    machine: EmbeddedMachine, ca: CertificateAuthority, only: list[str] | None
) -> None:
    """Also when the key has no binding at the moment; the others are planned."""
    planned, failed = renew_due(ca, machine=machine, only=only, due_only=False, dry_run=True)
    assert (str(planned.key), str(failed.key)) == (OTHER, KEY)
    assert planned.plan is not None
    assert planned.plan.ok
    assert "has begun and not ended" in str(failed.error)
    assert json.dumps(failed.to_dict())
    (one,) = renew_due(ca, machine=machine, only=[OTHER], due_only=False, dry_run=True)
    assert one.plan is not None
    assert Binding.find(KEY, machine=machine) is None


def test_a_dry_run_on_the_command_line_ends_with_the_code_of_a_failure(
    machine: EmbeddedMachine, ca: CertificateAuthority, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """9, as of a renewal that failed."""
    ca.save(tmp_path / "ca.pfx", password="secret")
    (tmp_path / "pw").write_text("secret")
    words = ("--ca", str(tmp_path / "ca.pfx"), "--ca-password", f"file:{tmp_path / 'pw'}", "--plan")
    code, told = run_cli(machine, capsys, "renew", "--all", *words)
    assert (code, "has begun and not ended" in told) == (9, True)


def test_who_may_not_read_the_state_folder_can_look_all_the_same(
    machine: EmbeddedMachine, ca: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a user of Windows who is no administrator: there is a plan, of what is there."""

    def refuse(_: object) -> Path:
        raise AccessDeniedError("not yours", right="administrator")

    monkeypatch.setattr("mlsssl._embedded.port.EmbeddedPort.state_folder", property(refuse))
    assert renew.plan(OTHER, ca, machine=machine).changes
    with pytest.raises(AccessDeniedError):
        renew(OTHER, ca, machine=machine)


# -- an update that cannot be taken back ------------------------------------------------------------------------------


def test_an_update_that_leaves_nothing_bound_says_so(ca: CertificateAuthority, tmp_path: Path) -> None:
    """And what to do; what was there is still written down, and comes back when the machine lets it."""
    machine = EmbeddedMachine(tmp_path / "m.sqlite", atomic_update=False)
    deploy(KEY, ca.issue("a.test"), machine=machine)
    binding = Binding.get(KEY, machine=machine)
    with pytest.MonkeyPatch.context() as patch:
        refuse = UnusableCertificateError("no such logon session")

        def add(*_: object, **__: object) -> None:
            raise refuse

        patch.setattr(EmbeddedBindings, "add", add)
        with pytest.raises(BindingError, match=f"nothing is bound to {KEY} now.*mlsssl.recover") as caught:
            binding.with_options(BindingOptions(http2=False)).update()
        assert caught.value.__cause__ is refuse
        assert Binding.find(KEY, machine=machine) is None
        assert any(machine.state_folder.glob("change*.json"))
    assert f"bound {KEY}" in "".join(recover(machine=machine))
    assert Binding.get(KEY, machine=machine) == binding


def test_an_update_that_is_refused_beforehand_never_unbinds(ca: CertificateAuthority, tmp_path: Path) -> None:
    """A certificate that is not there is found out while the old record is in force."""
    machine = EmbeddedMachine(tmp_path / "m.sqlite", atomic_update=False)
    deploy(KEY, ca.issue("a.test"), machine=machine)
    binding = Binding.get(KEY, machine=machine)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EmbeddedBindings, "remove", end_of_process)
        with pytest.raises(UnusableCertificateError):
            binding.with_certificate(ca.issue("a.test")).update()
        with pytest.raises(EndOfProcess):  # the same without a reason to refuse comes as far as that
            binding.with_options(BindingOptions(http2=False)).update()
    assert Binding.get(KEY, machine=Machine(machine.port)) == binding
