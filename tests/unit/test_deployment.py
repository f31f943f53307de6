"""deploy: one call, the same twice, planned before and undone after."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import sqlite3
import sys
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mlsssl import (
    AccessDeniedError,
    Binding,
    BindingExistsError,
    BindingOptions,
    Certificate,
    CertificateAuthority,
    DeploymentError,
    EmbeddedMachine,
    Failure,
    HostnamePort,
    InvalidInputError,
    IpPort,
    MalformedDataError,
    NativeError,
    NotFoundError,
    Outcome,
    ServiceError,
    ServiceNotFoundError,
    StoreError,
    StoreNotFoundError,
    Thumbprint,
    UnusableCertificateError,
    ValidationError,
    audit,
    cleanup,
    deploy,
    last_outcome,
    recover,
    renew,
    renew_due,
)
from mlsssl._changes.record import Addition, Change, ChangeRecords
from mlsssl._deploy import preflight
from mlsssl._embedded.bindings import EmbeddedBindings
from mlsssl._embedded.port import EmbeddedPort
from mlsssl._embedded.stores import EmbeddedStore
from mlsssl.errors import BindingError
from mlsssl.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mlsssl._machine.ports import BindingRecord
    from mlsssl._select.ports import HasPort

KEY = "0.0.0.0:443"
OTHER_KEY = "0.0.0.0:8443"
AS_IT_IS = "the machine was left as it is"
STRANGE = BindingOptions(tls13=False, negotiate_client_certificate=True, unknown_flags=0x4000_0000)


@pytest.fixture(name="ca", scope="module")
def _ca() -> CertificateAuthority:
    return CertificateAuthority.create("Deployment tests", key="ec-p256")


@pytest.fixture(name="machine")
def _machine(tmp_path: Path) -> Iterator[EmbeddedMachine]:
    with EmbeddedMachine(tmp_path / "machine.sqlite") as machine:
        yield machine


def everything(machine: EmbeddedMachine) -> dict[str, list[tuple[object, ...]]]:
    """Every table that a deployment may touch, whole but for the names of keys."""
    with sqlite3.connect(machine.path) as connection:
        tables = {
            "certificates": "SELECT store, thumbprint, friendly_name, archived, renewed_by, container IS NULL"
            " FROM certificates ORDER BY store, thumbprint",
            "keys": "SELECT public_key, exportable, machine_keyset FROM keys ORDER BY public_key",
            "bindings": "SELECT * FROM bindings ORDER BY family, host, port",
        }
        found = {name: connection.execute(statement).fetchall() for name, statement in tables.items()}
    connection.close()
    return found


def flaky(path: Path, fault: Callable[[str], None], *, at_once: bool = True) -> Machine:
    """The machine at `path`, with a fault injected into its statements; as one that changes each thing by itself."""
    return Machine(EmbeddedPort(path, on_statement=fault, atomic_update=at_once))


def pending(machine: Machine) -> list[Path]:
    """The records of changes that have begun and not ended."""
    return sorted(machine.state_folder.glob("change*.json"))


def over_a_dead_binding(
    ca: CertificateAuthority, machine: EmbeddedMachine, *, audit_log: Path | None = None
) -> Outcome:
    """Deploy to a key whose certificate was taken out of the store."""
    old = ca.issue("a.test")
    deploy(KEY, old, machine=machine)
    machine.store().remove(old.thumbprint)
    return deploy(KEY, ca.issue("a.test"), machine=machine, audit_log=audit_log)


def left_behind(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """A deploy that was killed before it did anything."""
    deploy(KEY, ca.issue("a.test"), machine=machine)
    record = Binding.get(KEY, machine=machine).record
    after = replace(record, thumbprint=Thumbprint(bytes(20)))
    ChangeRecords(machine.state_folder).begin(Change("deploy", record.key, before=record, after=after))


def stuck(ca: CertificateAuthority, machine: EmbeddedMachine) -> tuple[Certificate, Certificate]:
    """An update that was killed after it had deleted, and both its certificates are gone; the old and the new one."""
    old, new = ca.issue("a.test"), ca.issue("a.test")
    deploy(KEY, old, machine=machine)
    before = Binding.get(KEY, machine=machine).record
    after = replace(before, thumbprint=new.thumbprint)
    ChangeRecords(machine.state_folder).begin(Change("update", before.key, before=before, after=after))
    machine.port.bindings.remove(before.key)
    machine.store().remove(old.thumbprint)
    return old, new


def healthy(folder: Path) -> EmbeddedMachine:
    """Another machine, with nothing pending."""
    return EmbeddedMachine(folder / "healthy.sqlite")


# -- doing it -------------------------------------------------------------------------------------------------------


def test_deploy_puts_certificate_chain_and_binding_in_place(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """One call on an empty machine does the whole procedure; the intermediate goes where a chain belongs."""
    certificate = ca.create_intermediate("Below", key="ec-p256").issue("a.test")
    outcome = deploy(KEY, certificate, machine=machine, friendly_name="Shown")
    assert outcome.changed
    assert outcome.before is None
    assert outcome.after == Binding.get(KEY, machine=machine)
    assert outcome.after is not None
    assert outcome.after.thumbprint == certificate.thumbprint
    entry = machine.store()[certificate.thumbprint]
    assert entry.has_private_key
    assert entry.friendly_name == "Shown"
    assert [one.certificate.common_name for one in machine.store("CA")] == ["Below"]
    assert len(machine.store("Root")) == 0


def test_deploy_twice_changes_nothing_the_second_time(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """The second call finds everything done; another certificate is a change again."""
    certificate = ca.issue("a.test")
    assert deploy(KEY, certificate, machine=machine, trust_root=True, friendly_name="n").changed
    before = everything(machine)
    again = deploy(KEY, certificate, machine=machine, trust_root=True, friendly_name="n")
    assert not again.changed
    assert again.done == ()
    assert again.before == again.after
    assert everything(machine) == before
    assert deploy(KEY, ca.issue("a.test"), machine=machine).changed


def test_what_is_not_said_stays_as_it_is(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """Owner, options and unknown bits of the binding that is replaced are the new one's."""
    first, second = ca.issue("a.test"), ca.issue("a.test")
    owner = uuid.uuid4()
    deploy(KEY, first, machine=machine, app_id=owner, options=STRANGE)
    after = deploy(KEY, second, machine=machine).after
    assert after is not None
    assert (after.app_id, after.options) == (owner, STRANGE)
    other = deploy(KEY, second, machine=machine, options=BindingOptions()).after
    assert other is not None
    assert other.options == BindingOptions()


def test_a_record_without_store_name_keeps_its_spelling(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """HTTP.sys means MY by no name; deploying to MY is no change of that, deploying to another store is one."""
    certificate = ca.issue("a.test")
    deploy(KEY, certificate, machine=machine)
    record = Binding.get(KEY, machine=machine).record
    bare = type(record)(
        key=record.key, thumbprint=record.thumbprint, store_name=None, app_id=record.app_id, options=record.options
    )
    machine.port.bindings.update(bare)
    assert not deploy(KEY, certificate, machine=machine).changed
    with machine.store("WebHosting", create=True):
        moved = deploy(KEY, certificate, machine=machine, store="WebHosting")
    assert moved.after is not None
    assert moved.after.store_name == "WebHosting"


def test_a_certificate_in_the_store_is_deployed_by_reference(
    ca: CertificateAuthority, machine: EmbeddedMachine
) -> None:
    """An entry, its thumbprint or the certificate without key do, when the key is in the store; not otherwise."""
    certificate = ca.issue("a.test")
    with machine.store() as store:
        entry = store.add(certificate)
    assert deploy(KEY, entry, machine=machine).changed
    assert not deploy(KEY, str(entry.thumbprint).upper(), machine=machine).changed
    assert not deploy(KEY, certificate.without_key(), machine=machine).changed
    with pytest.raises(StoreNotFoundError, match="give the certificate itself"):
        deploy(KEY, Thumbprint(bytes(20)), machine=machine)
    with pytest.raises(ValidationError, match="no-private-key"):
        deploy(KEY, ca.issue("b.test").without_key(), machine=machine)


def test_a_missing_key_is_given_to_a_certificate_that_is_there(
    ca: CertificateAuthority, machine: EmbeddedMachine
) -> None:
    """The certificate alone is in the store: deploy brings the key, undo takes it away and keeps the rest."""
    certificate = ca.issue("a.test")
    with machine.store() as store:
        store.add(certificate.without_key(), friendly_name="old name")
        before = everything(machine)
        outcome = deploy(KEY, certificate, machine=machine, friendly_name="new name")
        assert store[certificate.thumbprint].has_private_key
        outcome.undo()
    assert everything(machine) == before


# -- conflicts ------------------------------------------------------------------------------------------------------


def test_what_is_bound_already_is_checked_all_the_same(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """Right name and date: nothing to change. Another name, or past its end: refused as the first time, or forced."""
    certificate = ca.issue("a.test")
    deploy(KEY, certificate, machine=machine, host="a.test")
    assert str(deploy(KEY, certificate, machine=machine, host="a.test")).endswith("nothing to change")
    with pytest.raises(ValidationError) as again:
        deploy(KEY, certificate, machine=machine, host="wrong.test")
    with pytest.raises(ValidationError) as first:
        deploy("[::]:443", certificate, machine=machine, host="wrong.test")
    told = [str(error.value).splitlines()[1:] for error in (first, again)]
    assert "name-mismatch" in told[0][0]
    assert told[0] == told[1]
    assert not deploy(KEY, certificate, machine=machine, host="wrong.test", force=True).changed
    with pytest.raises(ValidationError, match="expired"):
        deploy(KEY, certificate, machine=machine, at=certificate.not_after + dt.timedelta(days=1))
    plan = deploy.plan(KEY, certificate, machine=machine, host="wrong.test")
    assert not plan.changes
    assert not plan.ok
    with pytest.raises(ValidationError, match="name-mismatch"):
        plan.apply()


def test_a_binding_that_is_kept_is_not_judged_by_the_certificate_that_was_not_taken(
    ca: CertificateAuthority, machine: EmbeddedMachine
) -> None:
    """on_conflict='keep' does nothing, so what is wrong with the other certificate stops nobody."""
    deploy(KEY, ca.issue("a.test"), machine=machine)
    kept = deploy(KEY, ca.issue("b.test"), machine=machine, on_conflict="keep", host="a.test")
    assert not kept.changed
    assert "binding-kept" in str(kept)


def test_on_conflict_decides_what_happens_to_another_binding(
    ca: CertificateAuthority, machine: EmbeddedMachine
) -> None:
    """fail, keep and replace-if-same-app leave somebody else's binding; replace and the owner's own do not."""
    mine, theirs = uuid.uuid4(), uuid.uuid4()
    first, second = ca.issue("a.test"), ca.issue("a.test")
    deploy(KEY, first, machine=machine, app_id=theirs)
    before = everything(machine)
    with pytest.raises(BindingExistsError, match="bound to"):
        deploy(KEY, second, machine=machine, on_conflict="fail")
    with pytest.raises(BindingExistsError, match=str(mine)):
        deploy(KEY, second, machine=machine, on_conflict="replace-if-same-app", app_id=mine)
    kept = deploy(KEY, second, machine=machine, on_conflict="keep")
    assert not kept.changed
    assert [finding.code for finding in kept.findings] == ["binding-kept"]
    assert everything(machine) == before
    assert not deploy(KEY, first, machine=machine, on_conflict="fail").changed  # the same is no conflict
    assert deploy(KEY, second, machine=machine, on_conflict="replace-if-same-app", app_id=theirs).changed
    assert deploy(KEY, first, machine=machine, on_conflict="replace").changed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"on_conflict": "ask"}, "on_conflict is one of"),
        ({"on_conflict": "replace-if-same-app"}, "needs the app_id"),
        ({"restart": "W3SVC"}, "a list of service names"),
        ({"at": dt.datetime(2026, 1, 1)}, "aware"),  # noqa: DTZ001 - the point
        ({"app_id": "x"}, "GUID"),
        ({"store": "a\\b"}, "backslash"),
    ],
)
def test_arguments_that_cannot_be_are_refused_before_anything_is_done(
    arguments: dict[str, object], message: str, ca: CertificateAuthority, machine: EmbeddedMachine
) -> None:
    """Each says what is wrong; nothing is bound."""
    with pytest.raises(InvalidInputError, match=message):
        deploy(KEY, ca.issue("a.test"), machine=machine, **arguments)  # type: ignore[arg-type]
    assert Binding.find(KEY, machine=machine) is None


def test_a_ccs_key_names_no_certificate(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """The Central Certificate Store is served from files, so there is nothing to deploy to its bindings."""
    with pytest.raises(InvalidInputError, match="Central Certificate Store"):
        deploy("ccs=443", ca.issue("a.test"), machine=machine)


# -- planning -------------------------------------------------------------------------------------------------------


def test_a_plan_shows_what_would_be_done_and_does_nothing(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """Steps, difference and JSON, in order; the machine is as it was until apply."""
    before = everything(machine)
    certificate = ca.create_intermediate("Below", key="ec-p256").issue("a.test")
    plan = deploy.plan(KEY, certificate, machine=machine, trust_root=True)
    assert [step.action for step in plan.steps] == ["add-chain", "trust-root", "add-certificate", "bind"]
    assert plan.changes
    assert plan.ok
    assert everything(machine) == before
    read = json.loads(plan.to_json())
    assert read["before"] is None
    assert read["after"]["thumbprint"] == str(certificate.thumbprint)
    assert {one["field"] for one in read["diff"]} == {"thumbprint", "store", "app_id", "options"}
    assert str(certificate.thumbprint) in str(plan)
    outcome = plan.apply()
    assert outcome.after == plan.after  # the random owner is the planned one
    assert plan.after is not None
    owner = f"{{{plan.after.app_id}}}"
    assert ("app_id", None, f"{owner}, made for this plan") in plan.diff
    assert f"app_id: {owner}, made for this plan" in str(plan)
    assert (plan.owner_is_new, read["owner_is_new"]) == (True, True)
    mine = uuid.uuid4()
    said = deploy.plan("[::]:443", certificate, machine=machine, app_id=mine)
    assert ("app_id", None, f"{{{mine}}}") in said.diff
    renewed = deploy.plan(KEY, ca.issue("a.test"), machine=machine)
    assert (said.owner_is_new, renewed.owner_is_new) == (False, False)
    assert not deploy.plan(KEY, certificate, machine=machine, trust_root=True).changes


def test_a_plan_never_shows_the_private_key(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """Neither repr nor text nor JSON of plan and outcome have any of it."""
    certificate = ca.issue("a.test")
    assert certificate.private_key is not None
    secret = str(certificate.private_key.private_numbers())[:40]
    plan = deploy.plan(KEY, certificate, machine=machine)
    outcome = plan.apply()
    for text in (repr(plan), str(plan), plan.to_json(), repr(outcome), str(outcome), outcome.to_json()):
        assert "PRIVATE KEY" not in text
        assert secret not in text


def test_a_plan_that_the_machine_has_outrun_is_refused(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """Somebody binds the key in between: apply says so and does nothing."""
    plan = deploy.plan(KEY, ca.issue("a.test"), machine=machine)
    deploy(KEY, ca.issue("a.test"), machine=machine)
    before = everything(machine)
    with pytest.raises(BindingError, match="plan again"):
        plan.apply()
    assert everything(machine) == before


@pytest.mark.parametrize("days", [-400, 400])
def test_the_preflight_stops_a_certificate_outside_its_dates(
    days: int, ca: CertificateAuthority, machine: EmbeddedMachine
) -> None:
    """Expired or not yet valid is an error with the finding in it; force goes on all the same."""
    certificate = ca.issue("a.test")
    at = dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=days)
    with pytest.raises(ValidationError) as caught:
        deploy(KEY, certificate, machine=machine, at=at)
    assert "deployment" in str(caught.value)
    assert Binding.find(KEY, machine=machine) is None
    assert deploy(KEY, certificate, machine=machine, at=at, force=True).changed


def test_the_preflight_compares_the_host_of_an_sni_key(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """A certificate for another name is an error for an SNI key, and for any key with host=."""
    certificate = ca.issue("a.test")
    with pytest.raises(ValidationError):
        deploy("b.test:443", certificate, machine=machine)
    with pytest.raises(ValidationError):
        deploy(KEY, certificate, machine=machine, host="b.test")
    assert deploy("a.test:443", certificate, machine=machine).changed
    assert deploy(KEY, certificate, machine=machine, host="a.test").changed


def test_the_preflight_names_what_takes_precedence(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """A concrete address over a host name is a warning, in both directions; another port is nothing."""
    certificate = ca.issue("a.test", "10.0.0.5")
    deploy(HostnamePort("a.test", 443), certificate, machine=machine)
    codes = {f.code: f.severity.value for f in deploy.plan("10.0.0.5:443", certificate, machine=machine).findings}
    assert codes == {"binding-shadows": "warning"}
    deploy(IpPort("10.0.0.5", 443), certificate, machine=machine)
    codes = {f.code: f.severity.value for f in deploy.plan("a.test:443", certificate, machine=machine).findings}
    assert codes == {"binding-shadowed": "warning"}
    assert deploy.plan("a.test:8443", certificate, machine=machine).findings == ()


def test_the_preflight_says_whose_binding_it_is(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """Replacing IIS' binding is worth a notice, taking it over a warning."""
    iis = "4dc3e181-e14b-4a21-b022-59fc669b0914"
    deploy(KEY, ca.issue("a.test"), machine=machine, app_id=iis)
    second = ca.issue("a.test")
    (notice,) = deploy.plan(KEY, second, machine=machine).findings
    assert (notice.code, "IIS" in notice.found) == ("owner-known", True)
    (warning,) = deploy.plan(KEY, second, machine=machine, app_id=uuid.uuid4()).findings
    assert warning.code == "owner-changes"


# -- undoing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("atomic", [True, False])
def test_undo_restores_exactly_what_was_there(ca: CertificateAuthority, tmp_path: Path, atomic: bool) -> None:
    """Binding whole with unknown bits, certificates and keys, root and intermediate: as if nothing had been."""
    machine = EmbeddedMachine(tmp_path / "m.sqlite", atomic_update=atomic)
    deploy(KEY, ca.issue("a.test"), machine=machine, options=STRANGE)
    before = everything(machine)
    below = ca.create_intermediate("Below", key="ec-p256")
    outcome = deploy(
        KEY, below.issue("a.test"), machine=machine, options=BindingOptions(), app_id=uuid.uuid4(), trust_root=True
    )
    assert everything(machine) != before
    undone = outcome.undo()
    assert undone.changed
    assert everything(machine) == before
    assert (undone.before, undone.after) == (outcome.after, outcome.before)
    assert not outcome.undo().changed  # again is nothing
    with pytest.raises(InvalidInputError, match="deploy again"):
        undone.undo()


def test_undo_of_a_first_deploy_leaves_an_empty_machine(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """No binding, no certificate, no key."""
    before = everything(machine)
    deploy(KEY, ca.issue("a.test"), machine=machine).undo()
    assert everything(machine) == before


def test_undo_of_nothing_is_nothing(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """An outcome that changed nothing has nothing to undo, and must not undo the one before."""
    certificate = ca.issue("a.test")
    deploy(KEY, certificate, machine=machine)
    assert not deploy(KEY, certificate, machine=machine).undo().changed
    assert Binding.get(KEY, machine=machine).thumbprint == certificate.thumbprint


def test_undo_leaves_a_certificate_that_is_bound_elsewhere(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """Its certificate and intermediate stay while another binding needs them."""
    certificate = ca.create_intermediate("Below", key="ec-p256").issue("a.test")
    outcome = deploy(KEY, certificate, machine=machine)
    Binding("[::]:443", certificate, machine=machine).add()
    undone = outcome.undo()
    assert Binding.find(KEY, machine=machine) is None
    assert machine.store()[certificate.thumbprint].has_private_key
    assert len(machine.store("CA")) == 1
    assert any("[::]:443 is bound to it" in line for line in undone.done)


def test_undo_refuses_when_somebody_has_changed_the_binding_since(
    ca: CertificateAuthority, machine: EmbeddedMachine
) -> None:
    """Undoing the first of two deployments would throw the second away."""
    first = deploy(KEY, ca.issue("a.test"), machine=machine)
    deploy(KEY, ca.issue("a.test"), machine=machine)
    before = everything(machine)
    with pytest.raises(BindingError, match="changed since"):
        first.undo()
    assert everything(machine) == before


@pytest.mark.parametrize("atomic", [True, False])
def test_undo_whose_old_certificate_is_gone_is_refused_before_anything_is_written(
    ca: CertificateAuthority, tmp_path: Path, atomic: bool
) -> None:
    """Nothing is pending, every other call goes on, and once the certificate is back the undo can be done."""
    machine = EmbeddedMachine(tmp_path / "machine.sqlite", atomic_update=atomic)
    old, new = ca.issue("a.test"), ca.issue("a.test")
    deploy(KEY, old, machine=machine)
    outcome = deploy(KEY, new, machine=machine)
    with machine.store() as store:
        store.remove(old.thumbprint)
        before = everything(machine)
        with pytest.raises(UnusableCertificateError, match="Nothing was undone") as caught:
            outcome.undo()
        assert caught.value.diagnosis == machine.port.diagnose(old.thumbprint, "MY") != ()
        assert everything(machine) == before
        assert pending(machine) == []
        assert recover(machine=machine) == []
        assert deploy(OTHER_KEY, ca.issue("b.test"), machine=machine).changed
        store.add(old)
    assert outcome.undo().changed
    assert Binding.get(KEY, machine=machine).thumbprint == old.thumbprint


@pytest.mark.parametrize("atomic", [True, False])
def test_a_deploy_over_a_binding_whose_certificate_is_gone_is_not_undone(
    ca: CertificateAuthority, tmp_path: Path, atomic: bool
) -> None:
    """What was broken before cannot be set again: the undo is refused, and another deploy is not."""
    machine = EmbeddedMachine(tmp_path / "machine.sqlite", atomic_update=atomic)
    outcome = over_a_dead_binding(ca, machine)
    with pytest.raises(UnusableCertificateError, match="deploy another one"):
        outcome.undo()
    assert pending(machine) == []
    assert deploy(KEY, ca.issue("a.test"), machine=machine).changed


@pytest.mark.parametrize("atomic", [True, False])
def test_an_undo_does_not_drop_options_that_somebody_has_changed_since(
    ca: CertificateAuthority, tmp_path: Path, atomic: bool
) -> None:
    """They were acknowledged, and the record that the undo puts back has others; another deploy keeps them."""
    machine = EmbeddedMachine(tmp_path / "machine.sqlite", atomic_update=atomic)
    old = ca.issue("a.test")
    deploy(KEY, old, machine=machine)
    outcome = deploy(KEY, ca.issue("a.test"), machine=machine)
    mine = Binding.get(KEY, machine=machine).with_options(STRANGE).update()
    with pytest.raises(BindingError, match="that change would be lost"):
        outcome.undo()
    assert Binding.get(KEY, machine=machine) == mine
    assert pending(machine) == []
    assert deploy(KEY, old, machine=machine).changed
    assert Binding.get(KEY, machine=machine) == mine.with_certificate(old)


def test_an_undo_that_the_machine_refuses_leaves_nothing_pending(
    ca: CertificateAuthority, machine: EmbeddedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The binding comes first: when that is refused, nothing else was touched, and the undo can be done again."""
    old = ca.issue("a.test")
    deploy(KEY, old, machine=machine)
    outcome = deploy(KEY, ca.issue("a.test"), machine=machine)
    before = everything(machine)

    def refuse(*_: object) -> None:
        raise NativeError("HttpUpdateServiceConfiguration", 1359, "ERROR_INTERNAL_ERROR")

    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedBindings, "update", refuse)
        with pytest.raises(DeploymentError, match="1359") as caught:
            outcome.undo()
    assert isinstance(caught.value.failure, Failure)
    assert (caught.value.failure.state, caught.value.failure.to_do) == ("new", ())
    assert everything(machine) == before
    assert pending(machine) == []
    assert outcome.undo().changed
    assert Binding.get(KEY, machine=machine).thumbprint == old.thumbprint


def test_a_certificate_that_ends_before_the_bound_one_says_when(ca: CertificateAuthority) -> None:
    """With the time where the day is the same, for two equal days would tell nothing."""
    new = ca.issue("a.test")
    ends = new.not_after
    night = ends.replace(hour=23, minute=59, second=59)
    for bound_until, found in (
        (ends, []),
        (night, [f"it ends on {ends:%Y-%m-%d %H:%M:%S} UTC, the bound one on {night:%Y-%m-%d} 23:59:59 UTC"]),
        (night + dt.timedelta(1), [f"it ends on {ends:%Y-%m-%d}, the bound one on {night + dt.timedelta(1):%Y-%m-%d}"]),
    ):
        assert [one.found for one in preflight.about_replacement(new, bound_until)] == found


def test_an_undo_that_is_interrupted_is_logged_where_something_is_left(
    ca: CertificateAuthority,
    machine: EmbeddedMachine,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The interrupt itself says nothing of what is pending; before the binding is back nothing is."""
    deploy(KEY, ca.issue("a.test"), machine=machine)
    outcome = deploy(KEY, ca.issue("a.test"), machine=machine)

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for port, name, left in ((EmbeddedBindings, "update", 0), (EmbeddedStore, "remove", 1)):
        with monkeypatch.context() as patch:
            patch.setattr(port, name, interrupt)
            with pytest.raises(KeyboardInterrupt):
                outcome.undo()
        assert len(pending(machine)) == caplog.text.count("goes on with the undo") == left
    assert not recover(machine=machine)[0].startswith("gave up")
    assert not outcome.undo().changed


def test_the_last_outcome_can_be_undone_by_a_later_process(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """What was done is kept in the state folder, without any secret, until it is undone."""
    assert last_outcome(KEY, machine=machine) is None
    deploy(KEY, ca.issue("a.test"), machine=machine)
    for file in machine.state_folder.glob("*.json"):
        assert b"PRIVATE" not in file.read_bytes()
        assert sys.platform == "win32" or file.stat().st_mode & 0o077 == 0
    with EmbeddedMachine(machine.path) as later:
        found = last_outcome(KEY, machine=later)
        assert found is not None
        assert found.undo().changed
    assert Binding.find(KEY, machine=machine) is None
    assert last_outcome(KEY, machine=machine) is None


# -- failing --------------------------------------------------------------------------------------------------------


def test_a_failure_is_taken_back_and_told_in_one_report(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """The disk fills up as the binding is set: the certificate goes out again, and the report has all of it."""
    before = everything(machine)

    def fault(statement: str) -> None:
        if statement.startswith("INSERT INTO bindings"):
            raise sqlite3.OperationalError("database or disk is full")

    with flaky(machine.path, fault, at_once=False) as broken, pytest.raises(DeploymentError) as caught:
        deploy(KEY, ca.issue("a.test"), machine=broken)
    failure = caught.value.failure
    assert isinstance(failure, Failure)
    assert "disk is full" in failure.reason
    assert [line.split()[0] for line in failure.done] == ["added"]
    assert [line.split()[0] for line in failure.undone] == ["removed"]
    assert failure.to_do == ()
    assert failure.state == "old"
    assert isinstance(caught.value.__cause__, StoreError)
    assert "undone: removed" in str(failure)
    assert json.dumps(failure.to_dict())
    assert everything(machine) == before
    assert recover(machine=machine) == []


@pytest.mark.parametrize("failing", ["INSERT INTO key_material", "UPDATE bindings", "UPDATE certificates", "COMMIT"])
def test_a_machine_that_changes_all_at_once_has_done_nothing_when_a_part_fails(
    ca: CertificateAuthority, machine: EmbeddedMachine, failing: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Certificate, key, binding and the mark on the old one are one transaction; report and log say no more."""
    deploy(KEY, ca.issue("a.test"), machine=machine)
    caplog.set_level("INFO", "mlsssl")
    before = everything(machine)
    began = 0

    def fault(statement: str) -> None:
        nonlocal began
        began += statement == "BEGIN IMMEDIATE"
        if began == 1 and statement.startswith(failing):
            raise sqlite3.OperationalError("database or disk is full")

    with flaky(machine.path, fault) as broken, pytest.raises(DeploymentError) as caught:
        renew(KEY, ca, machine=broken)
    failure = caught.value.failure
    assert isinstance(failure, Failure)
    assert (failure.done, failure.undone, failure.to_do, failure.state) == ((), (), (), "old")
    assert not [message for message in caplog.messages if "added" in message or "bound" in message]
    assert everything(machine) == before
    assert pending(machine) == []


def test_who_reads_the_log_may_change_the_machine(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """Steps are logged when they are done: a handler does not run in a transaction, and waits for none."""
    told: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if not told:  # another connection, as another process has it
                with EmbeddedMachine(machine.path) as other:
                    other.store("CA").add(ca.certificate)
            told.append(record.getMessage())

    logger, handler = logging.getLogger("mlsssl"), Handler("INFO")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel("INFO")
    try:
        thumbprint = deploy(KEY, ca.issue("a.test"), machine=machine).after.thumbprint
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
    assert [line.partition(": ")[2].split()[0] for line in told] == ["added", "bound", "no"]
    assert machine.bindings[KEY].thumbprint == thumbprint
    assert machine.store("CA").find(thumbprint=ca.certificate.thumbprint) is not None


def test_a_failure_that_cannot_be_taken_back_says_what_to_do(
    ca: CertificateAuthority, machine: EmbeddedMachine
) -> None:
    """The disk stays full: the record stays too, and `recover` cleans up when there is room again."""
    before = everything(machine)
    full = False

    def fault(statement: str) -> None:
        nonlocal full
        full = full or statement.startswith("INSERT INTO bindings")
        if full and not statement.startswith("SELECT"):
            raise sqlite3.OperationalError("database or disk is full")

    with flaky(machine.path, fault, at_once=False) as broken, pytest.raises(DeploymentError) as caught:
        deploy(KEY, ca.issue("a.test"), machine=broken)
    failure = caught.value.failure
    assert isinstance(failure, Failure)
    assert any("mlsssl.recover()" in line for line in failure.to_do)
    assert everything(machine) != before
    assert next(line.partition(" of ")[0] for line in recover(machine=machine)) == "took back the deploy"
    assert everything(machine) == before


def test_an_interrupt_is_taken_back_and_stays_an_interrupt(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """Ctrl-C in the middle: the machine is as it was, and the caller sees KeyboardInterrupt."""
    before = everything(machine)

    def fault(statement: str) -> None:
        if statement.startswith("INSERT INTO bindings"):
            raise KeyboardInterrupt

    with flaky(machine.path, fault) as broken, pytest.raises(KeyboardInterrupt):
        deploy(KEY, ca.issue("a.test"), machine=broken)
    assert everything(machine) == before


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"[]", b'{"version": 1}', b'{"version": 1, "verb": 2}', b"\xff", b"[" * 100_000, b'{"version": 99}'],
    ids=range(8),
)
def test_a_record_that_nobody_can_read_is_in_nobody_elses_way_and_can_be_given_up(
    ca: CertificateAuthority, machine: EmbeddedMachine, damage: bytes
) -> None:
    """Damaged or of a later version: nothing is guessed. The name of the file says which key it is of."""
    left_behind(ca, machine)
    (record,) = pending(machine)
    record.write_bytes(damage)
    assert deploy(OTHER_KEY, ca.issue("b.test"), machine=machine).changed
    with pytest.raises(BindingError, match=rf"mlsssl\.recover\(abandon='{record.name}'\)"):
        deploy(KEY, ca.issue("a.test"), machine=machine)
    with pytest.raises(DeploymentError, match=r"damaged|later version") as caught:
        recover(machine=machine)
    assert isinstance(caught.value.__cause__, MalformedDataError)
    assert pending(machine) == [record]
    assert any("gave up" in line for line in recover(machine=machine, abandon=KEY))
    assert pending(machine) == []
    assert deploy(KEY, ca.issue("a.test"), machine=machine).changed


def test_a_record_of_an_earlier_version_is_recovered(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """It was one file for all keys; damaged, it is in nobody's way, and its name gives it up."""
    left_behind(ca, machine)
    (record,) = pending(machine)
    former = record.rename(record.with_name("change.json"))
    assert recover(machine=machine)[0].startswith("took back the deploy")
    assert not former.exists()
    former.write_bytes(b"{")
    assert deploy(KEY, ca.issue("a.test"), machine=machine).changed
    with pytest.raises(DeploymentError, match=r"mlsssl\.recover\(abandon='change\.json'\)"):
        recover(machine=machine)
    assert recover(machine=machine, abandon="change.json") == [f"gave up the change in {former}; {AS_IT_IS}"]
    assert recover(machine=machine) == []


def test_a_change_that_cannot_be_ended_is_in_the_way_of_its_own_key_only(
    ca: CertificateAuthority, tmp_path: Path
) -> None:
    """Killed between deleting and setting, and both certificates gone: nothing can be bound until it is given up."""
    machine = EmbeddedMachine(tmp_path / "m.sqlite", atomic_update=False)
    old, new = stuck(ca, machine)
    assert deploy(OTHER_KEY, ca.issue("b.test"), machine=machine).changed
    with pytest.raises(BindingError, match=f"nothing was done: the update of {KEY}.*abandon='{KEY}'"):
        deploy(KEY, ca.issue("a.test"), machine=machine)
    with pytest.raises(DeploymentError, match=f"abandon='{KEY}'") as caught:
        recover(machine=machine)
    assert isinstance(caught.value.__cause__, UnusableCertificateError)
    with pytest.raises(NotFoundError, match="no change of"):
        recover(machine=healthy(tmp_path), abandon=KEY)
    with pytest.raises(InvalidInputError):
        recover(machine=machine, abandon="nonsense")
    lines = recover(machine=machine, abandon=KEY)
    assert any(line.startswith("gave up the update") and "nothing is bound" in line for line in lines)
    assert recover(machine=machine) == []
    assert deploy(KEY, ca.issue("a.test"), machine=machine).changed
    assert old != new


@pytest.mark.parametrize("atomic", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        lambda binding: binding.with_options(STRANGE).update(),
        lambda binding: binding.remove(),
        lambda binding: Binding(KEY, binding.thumbprint, options=STRANGE, machine=binding._machine).add(),
    ],
    ids=["update", "remove", "add"],
)
def test_no_change_of_a_key_is_acknowledged_that_a_later_recovery_would_undo(
    ca: CertificateAuthority, tmp_path: Path, atomic: bool, change: Callable[[Binding], object]
) -> None:
    """While one that is to be taken back is stuck, every other is refused; once it is given up, it is not."""
    machine = EmbeddedMachine(tmp_path / "m.sqlite", atomic_update=atomic)
    deploy(KEY, ca.issue("a.test"), machine=machine)
    binding = Binding.get(KEY, machine=machine)
    records = ChangeRecords(machine.state_folder)
    records.begin(
        Change("deploy", binding.key, before=replace(binding.record, store_name="NONE"), after=binding.record)
    )
    (record,) = pending(machine)
    record.write_bytes(record.read_bytes().replace(b'"version": 1', b'"version": 99'))
    before = everything(machine)
    with pytest.raises(BindingError, match=f"nothing was done: .*abandon='{record.name}'"):
        change(binding)
    assert everything(machine) == before
    recover(machine=machine, abandon=KEY)
    with contextlib.suppress(BindingExistsError):  # of `add`, which says so as ever
        change(binding)
        assert everything(machine) != before


def test_what_is_told_to_give_up_a_strangers_key_gives_it_up(ca: CertificateAuthority, tmp_path: Path) -> None:
    """Other programs bind what is no host name; its text is then all that there is to call it by."""
    machine = EmbeddedMachine(tmp_path / "m.sqlite", atomic_update=False)
    certificate = ca.issue("a.test")
    key = HostnamePort.as_stored("no..host", 443)
    before = replace(Binding("a.test:443", certificate).record, key=key)
    after = replace(before, thumbprint=Thumbprint(bytes(20)))
    ChangeRecords(machine.state_folder).begin(Change("update", key, before=before, after=after))
    with pytest.raises(DeploymentError, match=r"nothing is bound to no\.\.host:443 now.*abandon='no\.\.host:443'"):
        recover(machine=machine)
    assert recover(machine=machine, abandon="no..host:443")[0].startswith("gave up the update of no..host:443")
    assert recover(machine=machine) == []
    with pytest.raises(InvalidInputError):  # it is known no longer
        recover(machine=machine, abandon="no..host:443")


def test_a_failure_that_leaves_nothing_bound_says_so(
    ca: CertificateAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an atomic update, and the machine sets nothing any more: the port is dead, and that is what matters."""
    machine = EmbeddedMachine(tmp_path / "m.sqlite", atomic_update=False)
    deploy(KEY, ca.issue("a.test"), machine=machine)

    def refuse(*_: object, **__: object) -> None:
        raise NativeError("HttpSetServiceConfiguration", 1359, "ERROR_INTERNAL_ERROR")

    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedBindings, "add", refuse)
        with pytest.raises(DeploymentError, match=f"nothing is bound to {KEY} now.*mlsssl.recover"):
            deploy(KEY, ca.issue("a.test"), machine=machine)
        with pytest.raises(DeploymentError, match=f"still pending: nothing is bound to {KEY} now"):
            recover(machine=machine)
    assert any(line.startswith(f"bound {KEY}") for line in recover(machine=machine))


def test_an_interrupt_that_leaves_nothing_bound_is_logged(
    ca: CertificateAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The interrupt itself says nothing of the port."""
    machine = EmbeddedMachine(tmp_path / "m.sqlite", atomic_update=False)
    deploy(KEY, ca.issue("a.test"), machine=machine)

    def interrupt(*_: object, retry: bool = True) -> None:
        if retry:
            raise NativeError("HttpSetServiceConfiguration", 1359, "ERROR_INTERNAL_ERROR")
        raise KeyboardInterrupt

    monkeypatch.setattr(EmbeddedBindings, "add", interrupt)
    with pytest.raises(KeyboardInterrupt):
        deploy(KEY, ca.issue("a.test"), machine=machine)
    assert f"nothing is bound to {KEY} now" in caplog.text
    assert "mlsssl.recover()" in caplog.text


def test_a_cleanup_that_fails_leaves_nothing_pending(
    ca: CertificateAuthority, machine: EmbeddedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody was killed, and there is nothing to recover."""
    deploy(KEY, ca.issue("a.test"), machine=machine)
    renew(KEY, ca, machine=machine)

    def refuse(*_: object, **__: object) -> None:
        raise AccessDeniedError("this user may not delete the private key", right="delete")

    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedStore, "remove", refuse)
        with pytest.raises(AccessDeniedError, match="private key"):
            cleanup(machine=machine, grace=dt.timedelta(0))
    assert pending(machine) == []
    assert audit(machine=machine).ok
    assert len(cleanup(machine=machine, grace=dt.timedelta(0)).removed) == 1


def test_what_a_recovery_finishes_can_be_undone_in_the_spelling_of_the_system(
    ca: CertificateAuthority, machine: EmbeddedMachine
) -> None:
    """Killed before it was read back: what the system made of the record is what was set."""
    old, new = ca.issue("a.test"), ca.issue("a.test")
    deploy(KEY, old, machine=machine)
    machine.store().add(new)
    before = Binding.get(KEY, machine=machine)
    after = before.with_certificate(new).with_options(STRANGE)
    ChangeRecords(machine.state_folder).begin(Change("deploy", before.key, before=before.record, after=after.record))
    machine.port.bindings.update(after.with_options(BindingOptions(tls13=False)).record)
    (record,) = pending(machine)
    record.rename(record.with_name("change.json"))  # wherever it is
    assert recover(machine=machine)[0].startswith("finished the deploy")
    outcome = last_outcome(KEY, machine=machine)
    assert outcome is not None
    assert outcome.after == Binding.get(KEY, machine=machine)
    assert outcome.undo().changed
    assert Binding.get(KEY, machine=machine) == before


def test_a_killed_change_whose_old_certificate_is_gone_goes_forwards(ca: CertificateAuthority, tmp_path: Path) -> None:
    """Neither is bound, and the new one can be: better that than a dead port."""
    machine = EmbeddedMachine(tmp_path / "m.sqlite", atomic_update=False)
    old, new = stuck(ca, machine)
    with machine.store() as store:
        store.add(new)
    assert recover(machine=machine)[0].startswith("finished the update")
    assert Binding.get(KEY, machine=machine).thumbprint == new.thumbprint
    assert old.thumbprint not in machine.store()


def test_what_a_pending_change_needs_is_not_cleaned_up(ca: CertificateAuthority, tmp_path: Path) -> None:
    """The old certificate is superseded and unbound, and taking back needs it."""
    machine = EmbeddedMachine(tmp_path / "m.sqlite", atomic_update=False)
    old, new = stuck(ca, machine)
    later = ca.issue("a.test")
    with machine.store() as store:
        store.add(later)
        store.add(Certificate.from_der(old.to_der()))  # without its key: still nothing that could be bound
        machine.port.open_store("MY", "LocalMachine", write=True).set_renewed_by(old.thumbprint, later.thumbprint)
        done = cleanup(machine=machine, grace=dt.timedelta(0))
        assert done.removed == ()
        assert "is pending and needs it" in done.kept[0].reason
        recover(machine=machine, abandon=KEY)
        assert [one.thumbprint for one in cleanup(machine=machine, grace=dt.timedelta(0)).removed] == [old.thumbprint]
    assert new != later


def test_audit_and_renew_due_tell_what_is_pending(ca: CertificateAuthority, tmp_path: Path) -> None:
    """An error, also where nothing is bound; a notice while somebody is changing the machine, for it may be that."""
    machine = EmbeddedMachine(tmp_path / "m.sqlite", atomic_update=False)
    stuck(ca, machine)
    (row,) = audit(machine=machine).rows
    assert (str(row.key), [one.code for one in row.findings]) == (KEY, ["change-pending"])
    assert f"recover(abandon='{KEY}')" in row.findings[0].remedy
    assert not audit(machine=machine).ok
    for dry_run in (True, False):
        (result,) = renew_due(ca, machine=machine, dry_run=dry_run)
        assert str(result.key) == KEY
        assert "mlsssl.recover()" in str(result.error)
    with machine.port.lock("change", timeout=0):
        assert audit(machine=machine).ok
    (record,) = pending(machine)
    record.rename(record.with_name("change.json")).write_bytes(b"{")
    (row,) = audit(machine=machine).rows
    assert (row.key, row.findings[0].where) == (None, "change.json")
    (result,) = renew_due(ca, machine=machine)
    assert result.to_dict()["key"] is None
    recover(machine=machine, abandon="change.json")
    assert audit(machine=machine).ok
    assert renew_due(ca, machine=machine) == []


@pytest.mark.skipif(sys.platform == "win32", reason="folders are not writable by mode bits on Windows")
def test_a_record_that_cannot_be_written_stops_it_before_anything_is_done(
    ca: CertificateAuthority, machine: EmbeddedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No record, no change: a full disk is found out at the first step."""
    before = everything(machine)

    def full(*_args: object, **_options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mlsssl._machine.files.write", full)
    with pytest.raises(DeploymentError, match="No space left") as caught:
        deploy(KEY, ca.issue("a.test"), machine=machine)
    assert isinstance(caught.value.__cause__, NativeError)
    assert everything(machine) == before


# -- services -------------------------------------------------------------------------------------------------------


def test_services_are_stopped_for_the_change_and_started_again(
    ca: CertificateAuthority, machine: EmbeddedMachine
) -> None:
    """In the plan and on the machine; a deployment that changes nothing does not touch them."""
    machine.define_service("Maps", running=True)
    certificate = ca.issue("a.test")
    plan = deploy.plan(KEY, certificate, machine=machine, restart=["Maps"])
    assert [step.action for step in plan.steps] == ["add-certificate", "stop-service", "bind", "start-service"]
    outcome = plan.apply()
    assert "stopped the service Maps" in outcome.done
    assert machine.port.services.query("Maps").state.name == "RUNNING"
    assert deploy(KEY, certificate, machine=machine, restart=["Maps"]).done == ()
    with pytest.raises(ServiceNotFoundError):
        deploy(KEY, ca.issue("a.test"), machine=machine, restart=["Other"])


def test_a_service_runs_again_although_the_binding_failed(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """Whatever happened in between."""
    machine.define_service("Maps", running=True)

    def fault(statement: str) -> None:
        if statement.startswith("INSERT INTO bindings"):
            raise sqlite3.OperationalError("disk I/O error")

    with flaky(machine.path, fault) as broken, pytest.raises(DeploymentError):
        deploy(KEY, ca.issue("a.test"), machine=broken, restart=["Maps"])
    assert machine.port.services.query("Maps").state.name == "RUNNING"


def test_a_service_that_does_not_start_again_is_told_to_a_person(
    ca: CertificateAuthority, machine: EmbeddedMachine
) -> None:
    """The binding is taken back, and the report names the service."""
    machine._port.services.define("Maps", running=True, start_error=5)
    with pytest.raises(DeploymentError) as caught:
        deploy(KEY, ca.issue("a.test"), machine=machine, restart=["Maps"])
    assert isinstance(caught.value.__cause__, ServiceError)
    assert Binding.find(KEY, machine=machine) is None


# -- looking --------------------------------------------------------------------------------------------------------


def test_a_fresh_handshake_confirms_what_is_served(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """With a listener the outcome is verified, without it is not known, with verify=False not asked."""
    first, second, third = (ca.issue("a.test") for _ in range(3))
    assert deploy(KEY, first, machine=machine).verified is None
    with machine.listen():
        outcome = deploy(KEY, second, machine=machine)
        assert outcome.verified is True
        assert outcome.served == second.thumbprint
        assert deploy(KEY, third, machine=machine, verify=False).verified is None


def test_a_port_that_serves_another_certificate_is_an_error_in_the_outcome(
    ca: CertificateAuthority, machine: EmbeddedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who is not HTTP.sys answers: the binding stays, and the outcome says what was seen."""
    first = ca.issue("a.test")
    deploy(KEY, first, machine=machine)
    with EmbeddedMachine(machine.path.with_name("other.sqlite")) as other:
        deploy(KEY, ca.issue("a.test"), machine=other)
        with other.listen() as listener:
            monkeypatch.setattr(EmbeddedPort, "served_at", lambda *_: ("127.0.0.1", listener.port_of(443)))
            outcome = deploy(KEY, ca.issue("a.test"), machine=machine)
    assert outcome.verified is False
    assert outcome.findings[-1].code == "served-another"


# -- the audit log ------------------------------------------------------------------------------------------------


def test_the_audit_log_has_a_line_for_every_change(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """When, who, which key, before and after; private; nothing for a deployment that changed nothing."""
    log = machine.path.with_name("audit.jsonl")
    first, second = ca.issue("a.test"), ca.issue("a.test")
    deploy(KEY, first, machine=machine, audit_log=log)
    deploy(KEY, first, machine=machine, audit_log=log)
    deploy(KEY, second, machine=machine, audit_log=log).undo()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["verb"], line["result"]) for line in lines] == [
        ("deploy", "done"),
        ("deploy", "done"),
        ("undo", "done"),
    ]
    assert lines[1]["before"]["thumbprint"] == str(first.thumbprint)
    assert lines[1]["after"]["thumbprint"] == str(second.thumbprint)
    assert lines[0]["user"]
    assert dt.datetime.fromisoformat(lines[0]["at"]).tzinfo is not None
    assert sys.platform == "win32" or log.stat().st_mode & 0o077 == 0


def test_an_audit_log_that_cannot_be_kept_stops_the_change(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """Who wants every change recorded wants no unrecorded one."""
    with pytest.raises(NotFoundError, match="audit log"):
        deploy(KEY, ca.issue("a.test"), machine=machine, audit_log=machine.path.with_name("none") / "audit.jsonl")
    with pytest.raises(InvalidInputError, match="folder"):
        deploy(KEY, ca.issue("a.test"), machine=machine, audit_log=machine.path.parent)
    assert Binding.find(KEY, machine=machine) is None


@pytest.mark.parametrize("name", ["a\0b.jsonl", "\ud800.jsonl", "x" * 300], ids=["nul", "surrogate", "long"])
def test_an_audit_log_that_can_be_no_file_is_refused_before_anything_is_done(
    ca: CertificateAuthority, machine: EmbeddedMachine, name: str
) -> None:
    """A NUL, half a surrogate, a name too long: our own error, and the next deploy finds nothing in its way."""
    if name.startswith("\ud800") and sys.platform == "win32":
        pytest.skip("Windows takes half a surrogate")
    before = everything(machine)
    with pytest.raises(InvalidInputError, match="cannot be the path of a file"):
        deploy(KEY, ca.issue("a.test"), machine=machine, audit_log=f"{machine.path.parent}/{name}")
    assert everything(machine) == before
    assert pending(machine) == []
    assert deploy(KEY, ca.issue("a.test"), machine=machine).changed


def refusing(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on no line can be added to an audit log, though it can be opened."""

    def refuse(change: Change, **_: object) -> None:
        if change.audit_log is not None:
            raise AccessDeniedError("this user may not write the audit log", right="write")

    monkeypatch.setattr("mlsssl._changes.audit_log.add", refuse)


def test_an_audit_log_that_fails_at_the_end_leaves_nothing_pending(
    ca: CertificateAuthority, machine: EmbeddedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is taken back, and the failure says so and nothing else."""
    before = everything(machine)
    refusing(monkeypatch)
    with pytest.raises(DeploymentError) as caught:
        deploy(KEY, ca.issue("a.test"), machine=machine, audit_log=machine.path.with_name("audit.jsonl"))
    failure = caught.value.failure
    assert isinstance(failure, Failure)
    assert (failure.state, failure.to_do, len(failure.undone)) == ("old", (), 2)
    assert everything(machine) == before
    assert pending(machine) == []


@pytest.mark.parametrize("atomic", [True, False])
def test_an_audit_log_that_fails_over_a_binding_whose_certificate_is_gone_keeps_the_new_one(
    ca: CertificateAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, atomic: bool
) -> None:
    """It cannot be taken back, so it is finished, and a person is told."""
    machine = EmbeddedMachine(tmp_path / "m.sqlite", atomic_update=atomic)
    refusing(monkeypatch)
    with pytest.raises(DeploymentError) as caught:
        over_a_dead_binding(ca, machine, audit_log=tmp_path / "audit.jsonl")
    failure = caught.value.failure
    assert isinstance(failure, Failure)
    assert failure.state == "new"
    assert any("is in force" in line for line in failure.to_do)
    assert Binding.get(KEY, machine=machine).diagnose() == ()
    assert pending(machine) == []


def test_an_undo_without_its_audit_log_is_refused_or_told(
    ca: CertificateAuthority, machine: EmbeddedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before, when the log's folder is gone; afterwards, when only its last line cannot be written."""
    log = machine.path.parent / "logs" / "audit.jsonl"
    log.parent.mkdir()
    outcome = deploy(KEY, ca.issue("a.test"), machine=machine, audit_log=log)
    away = log.parent.rename(log.parent.with_name("away"))
    with pytest.raises(NotFoundError, match="audit log"):
        outcome.undo()
    assert Binding.find(KEY, machine=machine) is not None
    away.rename(log.parent)
    refusing(monkeypatch)
    with pytest.raises(DeploymentError, match="the undo is done, but not in the audit log"):
        outcome.undo()
    assert Binding.find(KEY, machine=machine) is None
    assert pending(machine) == []
    assert last_outcome(KEY, machine=machine) is None


# -- Binding.update -------------------------------------------------------------------------------------------------


def test_a_failed_update_on_server_2016_puts_the_old_record_back(ca: CertificateAuthority, tmp_path: Path) -> None:
    """`Binding.update` deletes and sets there; when the set fails the old record is back, and no record is left."""
    machine = EmbeddedMachine(tmp_path / "m.sqlite", atomic_update=False)
    certificate = ca.issue("a.test")
    deploy(KEY, certificate, machine=machine, options=STRANGE)
    binding = Binding.get(KEY, machine=machine)
    with pytest.raises(UnusableCertificateError):
        binding.with_certificate(Thumbprint(bytes(20))).update()
    assert Binding.get(KEY, machine=machine) == binding
    assert recover(machine=machine) == []
    assert binding.with_options(BindingOptions()).update().options == BindingOptions()


def test_loading_and_deploying_a_pfx_is_the_whole_procedure(
    ca: CertificateAuthority, machine: HasPort, tmp_path: Path
) -> None:
    """What the manual page needs forty steps for."""
    path = ca.issue("server-name.com").save(tmp_path / "x.pfx", password="secret")
    assert deploy(KEY, Certificate.load(path, password="secret"), machine=machine, host="server-name.com").changed


def test_a_recovered_update_is_not_what_undo_takes_back(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """As one that was not killed: the deploy before it is."""
    new = ca.issue("a.test")
    deploy(KEY, ca.issue("a.test"), machine=machine)
    machine.store().add(new)
    before = Binding.get(KEY, machine=machine).record
    after = replace(before, thumbprint=new.thumbprint)
    ChangeRecords(machine.state_folder).begin(Change("update", before.key, before=before, after=after))
    machine.port.bindings.update(after)
    assert recover(machine=machine)[0].startswith("finished the update")
    outcome = last_outcome(KEY, machine=machine)
    assert outcome is not None
    assert outcome.verb == "deploy"


# -- systems with a mind of their own -------------------------------------------------------------------------------


def test_a_record_that_reads_back_in_another_spelling_is_still_ours(
    ca: CertificateAuthority, machine: EmbeddedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system that drops an option it does not know: the outcome says so, and undo knows its own record."""
    certificate = ca.issue("a.test")
    deploy(KEY, certificate, machine=machine)
    update = EmbeddedBindings.update

    def forgetful(self: EmbeddedBindings, record: BindingRecord) -> None:
        update(self, replace(record, options=replace(record.options, unknown_flags=0)))

    monkeypatch.setattr(EmbeddedBindings, "update", forgetful)
    outcome = deploy(KEY, certificate, machine=machine, options=STRANGE)
    assert outcome.after == Binding.get(KEY, machine=machine)
    assert outcome.after is not None
    assert outcome.after.options.unknown_flags == 0
    assert any("reads back" in line for line in outcome.done)
    undone = outcome.undo()
    assert undone.changed
    assert Binding.get(KEY, machine=machine).options == BindingOptions()


def test_a_record_that_reads_back_as_another_is_taken_back(
    ca: CertificateAuthority, machine: EmbeddedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A success code is no proof: nothing was set, so the deployment has failed."""
    old, new = ca.issue("a.test"), ca.issue("a.test")
    deploy(KEY, old, machine=machine)
    before = everything(machine)
    monkeypatch.setattr(EmbeddedBindings, "update", lambda *_: None)
    with pytest.raises(DeploymentError, match="reads back as"):
        deploy(KEY, new, machine=machine)
    assert everything(machine) == before


def test_recovery_starts_services_and_says_what_a_person_must_see(
    ca: CertificateAuthority, machine: EmbeddedMachine
) -> None:
    """What a killed process had stopped runs again; an audit log that is gone is a person's affair, told once."""
    machine.define_service("Maps", running=False)
    records = ChangeRecords(machine.state_folder)
    deploy(KEY, ca.issue("a.test"), machine=machine)
    record = Binding.get(KEY, machine=machine).record
    records.begin(Change("deploy", record.key, before=record, after=record, services=("Maps",)))
    assert "started the service Maps" in recover(machine=machine)
    assert machine.port.services.query("Maps").state.name == "RUNNING"
    log = machine.path.parent / "gone" / "audit.jsonl"
    records.begin(Change("deploy", record.key, before=record, after=record, services=("Maps",), audit_log=log))
    with pytest.raises(DeploymentError, match="audit log") as caught:
        recover(machine=machine)
    assert isinstance(caught.value.failure, Failure)
    assert len(caught.value.failure.to_do) == 1
    assert recover(machine=machine) == []


def test_the_next_change_says_what_it_recovered(
    ca: CertificateAuthority, machine: EmbeddedMachine, caplog: pytest.LogCaptureFixture
) -> None:
    """In the log, for nobody asked; an undisturbed one says nothing."""
    deploy(KEY, ca.issue("a.test"), machine=machine)
    assert caplog.messages == []
    record = Binding.get(KEY, machine=machine).record
    ChangeRecords(machine.state_folder).begin(Change("deploy", record.key, before=record, after=record))
    deploy(KEY, ca.issue("a.test"), machine=machine)
    assert any("took back the deploy of 0.0.0.0:443" in message for message in caplog.messages)


def test_what_somebody_else_has_bound_since_is_left_alone_by_recovery(
    ca: CertificateAuthority, machine: EmbeddedMachine
) -> None:
    """A third record is neither the old nor the new one; the killed deployment's certificate goes, theirs stays."""
    old, new, theirs = (ca.issue("a.test") for _ in range(3))
    deploy(KEY, old, machine=machine)
    before = Binding.get(KEY, machine=machine).record
    after = replace(before, thumbprint=new.thumbprint)
    added = Addition(store="MY", thumbprint=new.thumbprint, role="leaf", was="absent")
    ChangeRecords(machine.state_folder).begin(
        Change("deploy", before.key, before=before, after=after, additions=(added,))
    )
    with machine.store() as store:
        store.add(new)
        store.add(theirs)
        machine.port.bindings.update(replace(before, thumbprint=theirs.thumbprint))
        lines = recover(machine=machine)
        assert any("somebody else" in line for line in lines)
        assert new.thumbprint not in store
    assert Binding.get(KEY, machine=machine).thumbprint == theirs.thumbprint
