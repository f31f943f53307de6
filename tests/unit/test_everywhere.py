"""One certificate on several bindings: renewed together or not at all, undone as one, and found by any of the keys."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from issuing import DistantIssuer
from mlsssl import (
    Binding,
    BindingError,
    BindingOptions,
    Certificate,
    CertificateAuthority,
    DeploymentError,
    EmbeddedMachine,
    Failure,
    Machine,
    Store,
    Thumbprint,
    UnusableCertificateError,
    ValidationError,
    audit,
    deploy,
    last_outcome,
    recover,
    renew,
    renew_due,
)
from mlsssl._changes import recovery
from mlsssl._changes.record import Change, ChangeRecords
from mlsssl._embedded.port import EmbeddedPort
from mlsssl.cli import main
from mlsssl.testing import fake_windows_machine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlsssl._machine.ports import BindingsPort
    from mlsssl.hooks import Replacement

KEY, IPV6, NAME, HOSTED = "0.0.0.0:443", "[::]:443", "a.test:8443", "b.test:443"
KEYS = (KEY, IPV6, NAME, HOSTED)
OTHER = "0.0.0.0:9443"
CA = CertificateAuthority.create("Everywhere", key="ec-p256")
OPTIONS = {
    KEY: BindingOptions(negotiate_client_certificate=True),
    IPV6: BindingOptions(http2=False),
    NAME: BindingOptions(),
    HOSTED: BindingOptions(),
}


class EndOfProcess(BaseException):
    """The process ends here."""


@pytest.fixture(name="machine", params=["embedded", "embedded-2016", "windows", "windows-2016"])
def _machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    """One certificate on four bindings of three kinds, of which one names another store; and another certificate."""
    with contextlib.ExitStack() as stack:
        machine: Machine
        if request.param.startswith("embedded"):
            atomic = request.param == "embedded"
            machine = stack.enter_context(EmbeddedMachine(tmp_path / "m.sqlite", atomic_update=atomic))
        else:
            release = "2016" if request.param.endswith("2016") else "2019"
            machine = stack.enter_context(fake_windows_machine(release=release)).machine  # type: ignore[arg-type]  # one of two
        Store.open("WebHosting", machine=machine, create=True).close()
        old = CA.issue("a.test", "b.test")
        for key, options in OPTIONS.items():
            deploy(key, old, machine=machine, options=options, store="WebHosting" if key == HOSTED else None)
        deploy(OTHER, CA.issue("c.test"), machine=machine)
        yield machine


def bound(machine: Machine) -> list[Thumbprint | None]:
    """What the four keys are bound to."""
    return [Binding.get(key, machine=machine).thumbprint for key in KEYS]


def records(machine: Machine) -> dict[str, Binding]:
    """Every binding, whole."""
    return {str(one.key): one for one in Binding.all(machine=machine)}


@pytest.mark.parametrize("key", KEYS)
def test_a_given_certificate_goes_onto_all_of_them(machine: Machine, key: str) -> None:
    """From whichever key: options, owners and stores stay, the store of each has the certificate with its key."""
    before = records(machine)
    new = CA.issue("a.test", "b.test")
    plan = renew.plan(key, new, machine=machine, everywhere=True)
    assert {str(one.key) for one in plan.also} == {*KEYS} - {key}
    assert not [one for one in plan.findings if one.code == "superseded-elsewhere"]
    outcome = plan.apply()
    assert {str(one.key) for one in outcome.also} == {*KEYS} - {key}
    assert bound(machine) == [new.thumbprint] * 4
    after = records(machine)
    assert after[OTHER].record == before[OTHER].record
    for one in KEYS:
        assert after[one].record == replace(before[one].record, thumbprint=new.thumbprint)
    for store in ("MY", "WebHosting"):
        entry = Store.open(store, machine=machine)[new.thumbprint]
        assert entry.has_private_key
        old = before[KEY].thumbprint
        assert old is not None
        assert Store.open(store, machine=machine)[old].renewed_by == new.thumbprint
    assert json.loads(outcome.to_json())["also"]
    assert all(text in str(outcome) for text in KEYS)
    assert audit(machine=machine).ok


def test_without_it_the_others_are_named_and_left_alone(machine: Machine) -> None:
    """In the plan and in the outcome, with what takes them along; the twin of the test above."""
    old = bound(machine)[0]
    for done in (renew.plan(KEY, CA, machine=machine), renew(KEY, CA, machine=machine)):
        (finding,) = [one for one in done.findings if one.code == "superseded-elsewhere"]
        assert all(key in finding.found for key in KEYS[1:])
        assert OTHER not in finding.found
        assert "everywhere=True" in finding.remedy
        assert done.also == ()
    assert bound(machine)[1:] == [old] * 3


@pytest.mark.parametrize("key", KEYS)
def test_undo_brings_all_of_them_back_by_any_key(machine: Machine, key: str) -> None:
    """As one; then there is nothing left to undo by any."""
    before = records(machine)
    new = CA.issue("a.test", "b.test")
    renew(KEY, new, machine=machine, everywhere=True)
    last = last_outcome(key, machine=machine)
    assert last is not None
    undone = last.undo()
    assert undone.changed
    assert len(undone.also) == 3
    assert records(machine) == before
    for store in ("MY", "WebHosting"):
        assert new.thumbprint not in Store.open(store, machine=machine)
    assert [last_outcome(one, machine=machine) for one in KEYS] == [None] * 4


def test_undo_is_refused_when_one_of_them_was_changed_since(machine: Machine) -> None:
    """Nothing is undone then, of none; each key has the change that was its last."""
    renew(KEY, CA, machine=machine, everywhere=True)
    newest = CA.issue("a.test", "b.test")
    deploy(NAME, newest, machine=machine)
    now = records(machine)
    first, second = last_outcome(KEY, machine=machine), last_outcome(NAME, machine=machine)
    assert first is not None
    assert second is not None
    with pytest.raises(BindingError, match=f"{NAME} was changed since"):
        first.undo()
    assert records(machine) == now
    second.undo()
    assert first.undo().changed
    assert len({*bound(machine)}) == 1


def test_undo_is_refused_when_one_of_them_cannot_be_set_again(machine: Machine) -> None:
    """Its old certificate is gone from its own store."""
    old = bound(machine)[0]
    assert old is not None
    outcome = renew(KEY, CA, machine=machine, everywhere=True)
    Store.open("WebHosting", machine=machine).remove(old)
    now = records(machine)
    with pytest.raises(UnusableCertificateError, match="cannot be undone"):
        outcome.undo()
    assert records(machine) == now


def test_one_that_the_machine_refuses_takes_all_of_them_back(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The third of four: the two that were changed come back, and no certificate is left."""
    before = records(machine)
    new = CA.issue("a.test", "b.test")
    put = recovery.put
    seen: list[object] = []

    def refuse_third(bindings: BindingsPort, old: object, record: object) -> None:
        seen.append(record)
        if len(seen) == 3:
            raise BindingError("refused")
        put(bindings, old, record)  # type: ignore[arg-type]

    monkeypatch.setattr(recovery, "put", refuse_third)
    with pytest.raises(DeploymentError) as caught:
        renew(KEY, new, machine=machine, everywhere=True)
    failure = caught.value.failure
    assert isinstance(failure, Failure)
    assert (failure.state, failure.to_do) == ("old", ())
    assert records(machine) == before
    assert new.thumbprint not in Store.open("MY", machine=machine)
    assert new.thumbprint not in Store.open("WebHosting", machine=machine)


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_process_that_ends_between_two_of_them_is_finished_forwards(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Once the first has changed; before, it is taken back. `audit` has the pending change at each of its bindings."""
    before = bound(machine)
    new = CA.issue("a.test", "b.test")
    put = recovery.put
    seen: list[object] = []

    def end(bindings: BindingsPort, old: object, record: object) -> None:
        seen.append(record)
        if len(seen) == number:
            raise EndOfProcess
        put(bindings, old, record)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(recovery, "put", end)
        patch.setattr(EmbeddedPort, "at_once", lambda _: contextlib.nullcontext(False))  # as Windows: one by one
        with pytest.raises(EndOfProcess):
            renew(KEY, new, machine=machine, everywhere=True)
    rows = {str(row.key): {one.code for one in row.findings} for row in audit(machine=machine).rows}
    assert {key for key, codes in rows.items() if "change-pending" in codes} == {*KEYS}
    for result in renew_due(CA, machine=machine, dry_run=True, due_only=False):
        assert (result.error is not None) is (str(result.key) in KEYS)
    with pytest.raises(BindingError, match="has begun and not ended"):
        deploy.plan(NAME, new, machine=machine)
    assert recover(machine=machine)
    assert bound(machine) == (before if number == 1 else [new.thumbprint] * 4)
    assert recover(machine=machine) == []


def test_a_change_of_one_of_them_that_is_stuck_is_in_the_way_of_all(machine: Machine) -> None:
    """Refused before anything is done; for another certificate it is not."""
    record = Binding.get(NAME, machine=machine).record
    ChangeRecords(machine.port.state_folder).begin(Change("update", record.key, before=record, after=record))
    (file,) = machine.port.state_folder.glob("change-*.json")
    file.write_bytes(file.read_bytes().replace(b'"version": 1', b'"version": 99'))
    before = bound(machine)
    with pytest.raises(BindingError, match="nothing was done"):
        renew(KEY, CA, machine=machine, everywhere=True)
    assert bound(machine) == before
    assert renew(OTHER, CA, machine=machine, everywhere=True).changed


def test_each_name_is_checked(machine: Machine) -> None:
    """A certificate that is not for one of the bound host names is refused for all of them; `force` goes on."""
    new = CA.issue("a.test")
    before = bound(machine)
    with pytest.raises(ValidationError) as caught:
        renew(KEY, new, machine=machine, everywhere=True)
    assert "b.test" in str(caught.value)
    assert bound(machine) == before
    assert renew(KEY, new, machine=machine, everywhere=True, force=True).changed


def test_plans_notice_another_binding_of_it(machine: Machine) -> None:
    """A binding that got the certificate after the plan was made."""
    plan = renew.plan(KEY, CA.issue("a.test", "b.test"), machine=machine, everywhere=True)
    old = bound(machine)[0]
    assert old is not None
    deploy("0.0.0.0:10443", old, machine=machine)
    with pytest.raises(BindingError, match="plan again"):
        plan.apply()


def test_renew_due_takes_them_along_and_says_so_for_each(machine: Machine) -> None:
    """Those too that it was not asked about; a failure is one failure for all of them."""
    results = renew_due(CA, machine=machine, due_only=False, everywhere=True, only=[IPV6, NAME])
    assert [str(one.key) for one in results] == [IPV6, NAME]
    assert results[0].outcome is results[1].outcome is not None
    assert len({*bound(machine)}) == 1
    narrow = CertificateAuthority.create("Everywhere", key="ec-p256", permitted=["other.test"])
    before = bound(machine)
    results = renew_due(narrow, machine=machine, due_only=False, everywhere=True)
    assert all(one.error is not None for one in results)
    assert bound(machine) == before
    planned = renew_due(CA, machine=machine, due_only=False, everywhere=True, dry_run=True)
    assert all(one.plan is not None for one in planned)
    assert bound(machine) == before


def test_a_plan_of_an_issuer_that_is_asked_later_names_all_of_them(machine: Machine, tmp_path: Path) -> None:
    """Nothing is ordered by it, by `renew_due` neither; applied, all have what was issued then."""
    issuer = DistantIssuer(tmp_path / "issuer")
    plan = renew.plan(KEY, issuer, machine=machine, everywhere=True)
    assert plan.ok
    assert [step.what for step in plan.steps if step.action == "update"] == [f"update {key} to it" for key in KEYS]
    planned = renew_due(
        issuer, machine=machine, only=KEYS, any_issuer=True, due_only=False, everywhere=True, dry_run=True
    )
    assert [one.error for one in planned] == [None] * len(KEYS)
    assert issuer.asked == []
    assert plan.apply().changed
    assert len({*bound(machine)}) == 1
    assert len(issuer.orders) == 1


def test_a_step_runs_once_and_is_told_of_all_of_them(machine: Machine) -> None:
    """By whatever key it was renewed, that one first; in an undo too. Of one binding's change it is told that one."""
    told: list[Replacement] = []
    outcome = renew(NAME, CA, machine=machine, everywhere=True, hooks=[told.append])
    assert [[*map(str, one.keys)] for one in told] == [[NAME, *(key for key in KEYS if key != NAME)]]
    outcome.undo()
    assert (told[1].verb, told[1].keys) == ("undo", told[0].keys)
    renew(NAME, CA, machine=machine, hooks=[told.append])
    assert [*map(str, told[2].keys)] == [NAME]


def test_a_step_that_is_left_over_is_told_of_those_that_have_it_still(machine: Machine) -> None:
    """One of them was given another certificate since."""
    told: list[Replacement] = []

    def fails_once(replacement: Replacement) -> None:
        told.append(replacement)
        if len(told) == 1:
            raise RuntimeError("the service is away")

    renew(KEY, CA, machine=machine, everywhere=True, hooks=[fails_once])
    deploy(IPV6, CA.issue("a.test"), machine=machine)
    renew_due(CA, machine=machine, everywhere=True, hooks=[fails_once])
    assert [*map(str, told[0].keys)] == [KEY, *KEYS[1:]]
    assert told[1].left_over
    assert [*map(str, told[1].keys)] == [KEY, NAME, HOSTED]


def test_a_renewal_together_keeps_what_another_of_them_owes(machine: Machine) -> None:
    """A step after an earlier change of one binding failed; it is still to be run when all have been renewed."""

    def fails(replacement: Replacement) -> None:
        raise RuntimeError("the service is away")

    renew(NAME, CA, machine=machine, everywhere=True, hooks=[fails])
    renew(KEY, CA, machine=machine, everywhere=True)
    ran: list[Replacement] = []

    def step(replacement: Replacement) -> None:
        ran.append(replacement)

    renew_due(CA, machine=machine, everywhere=True, hooks=[step])
    assert [one.left_over for one in ran] == [True]


# -- the command line ----------------------------------------------------------------------------------------------


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three bindings of one certificate on the machine of this computer, root.pem, and new.pem for its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLSSSL_MACHINE", str(tmp_path / "m.sqlite"))
    old = CA.issue("a.test")
    with EmbeddedMachine("m.sqlite") as machine:
        for key in (KEY, IPV6, NAME):
            deploy(key, old, machine=machine)
    CA.save("root.pem")
    CA.issue("a.test").save("new.pem")
    return tmp_path


def _bound_here() -> set[Thumbprint | None]:
    with EmbeddedMachine("m.sqlite") as machine:
        return {one.thumbprint for one in Binding.all(machine=machine)}


@pytest.mark.usefixtures("folder")
def test_the_command_puts_a_given_certificate_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    """By one key; `undo` of another one takes all of it back. Without the option the others are named."""
    before = _bound_here()
    assert main(["renew", KEY, "--certificate", "new.pem", "--plan"]) == 0
    told = capsys.readouterr().out
    assert "superseded-elsewhere" in told
    assert main(["renew", "--all", "--certificate", "new.pem"]) == 2
    assert "--certificate FILE --everywhere" in capsys.readouterr().err
    assert main(["renew", KEY, "--certificate", "new.pem", "--everywhere"]) == 0
    assert _bound_here() == {Certificate.load("new.pem").thumbprint}
    assert main(["undo", NAME]) == 0
    assert _bound_here() == before


@pytest.mark.usefixtures("folder")
def test_the_command_takes_them_along_from_an_authority(capsys: pytest.CaptureFixture[str]) -> None:
    """One document with a result for each binding that was looked at."""
    assert main(["renew", KEY, "--ca", "root.pem", "--everywhere", "--json"]) == 0
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert len(result["outcome"]["also"]) == 2
    assert len(_bound_here()) == 1
    assert main(["renew", "--all", "--ca", "root.pem", "--everywhere"]) == 0
    told = capsys.readouterr().out
    assert told.count("changed together with") == 2
    assert main(["renew", "--all", "--ca", "root.pem", "--everywhere", "--plan"]) == 0
    told = capsys.readouterr().out
    assert told.count(f"planned together with {KEY}") == 2
    assert told.count("plan for") == 1
    refusing = ["--after", "/absent", "--after-failure", "undo"]
    assert main(["renew", "--all", "--ca", "root.pem", "--everywhere", *refusing]) == 12
    told = capsys.readouterr().out
    assert told.count(f"failed together with {KEY}") == 2
    assert told.count("there is no program") == 2  # what stopped it, and that going back stopped as well


def test_an_older_version_refuses_a_record_of_several_and_reads_one_of_one(tmp_path: Path) -> None:
    """By its version: it would leave the other bindings as they are. What older ones wrote is still read."""
    port = EmbeddedPort(tmp_path / "m.sqlite")
    kept = ChangeRecords(port.state_folder)
    with Machine(port) as machine:
        old = CA.issue("a.test")
        for key in (KEY, IPV6):
            deploy(key, old, machine=machine)
        single = Binding.get(KEY, machine=machine).record
        other = Binding.get(IPV6, machine=machine).record
        for also, version in (((), 1), (((other, other),), 2)):
            change = Change("renew", single.key, before=single, after=single, also=also)
            kept.begin(change)
            (file,) = port.state_folder.glob("change-*.json")
            data = json.loads(file.read_text())
            assert (data["version"], "also" in data) == (version, version == 2)
            assert [one.change for one in kept.pending()] == [change]
            kept.finish(change, keep=False)


def test_the_audit_log_names_all_of_them(machine: Machine, tmp_path: Path) -> None:
    """A line for the change, a line for its undo; the other way round."""
    log = tmp_path / "audit.jsonl"
    old, new = bound(machine)[0], CA.issue("a.test", "b.test")
    renew(KEY, new, machine=machine, everywhere=True, audit_log=log).undo()
    done, undone = (json.loads(line)["also"] for line in log.read_text().splitlines())
    assert {one["before"]["thumbprint"] for one in done} == {one["after"]["thumbprint"] for one in undone} == {str(old)}
    assert {one["after"]["thumbprint"] for one in done} == {str(new.thumbprint)}
    assert len(done) == len(undone) == 3


def test_rights_on_the_key_are_carried_over_in_each_store(machine: Machine) -> None:
    """Who may read the old key there may read the new one there; after an undo nobody has more than before."""
    old = bound(machine)[0]
    assert old is not None
    for store, account in (("MY", "NETWORK SERVICE"), ("WebHosting", "LOCAL SERVICE")):
        Store.open(store, machine=machine).grant_key_access(old, account)

    def readers(store: str, thumbprint: Thumbprint) -> set[str]:
        entry = Store.open(store, machine=machine)[thumbprint]
        return {one.name for one in entry.key_access if one.may_read}

    before = {store: readers(store, old) for store in ("MY", "WebHosting")}
    assert len(before["MY"]) >= 1
    outcome = renew(KEY, CA, machine=machine, everywhere=True)
    new = outcome.after.thumbprint
    assert new is not None
    assert {store: readers(store, new) for store in before} == before
    outcome.undo()
    assert {store: readers(store, old) for store in before} == before
