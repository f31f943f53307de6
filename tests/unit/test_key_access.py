"""Who may read the private keys: granted, carried to the renewed key, planned, audited, undone, on the command line."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from issuing import AUTHORITY, DistantIssuer
from mlsssl import (
    Binding,
    CertificateAuthority,
    EmbeddedMachine,
    KeyAccess,
    Machine,
    audit,
    deploy,
    last_outcome,
    recover,
    renew,
    renew_due,
)
from mlsssl._changes import record, recovery
from mlsssl._changes.record import ChangeRecords
from mlsssl._embedded import schema
from mlsssl._embedded.database import Database
from mlsssl._embedded.port import EmbeddedPort
from mlsssl._embedded.stores import EmbeddedStore
from mlsssl._fakes.computer import GERMAN, Computer
from mlsssl._fakes.dlls import FakeDlls
from mlsssl._windows.machine import WindowsPort
from mlsssl.cli import main
from mlsssl.errors import (
    DeploymentError,
    InvalidInputError,
    MalformedDataError,
    NotFoundError,
    StoreError,
    StoreNotFoundError,
    ValidationError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mlsssl import Certificate
    from mlsssl.values import Thumbprint

KEY, OTHER_KEY = "0.0.0.0:443", "0.0.0.0:8443"
SERVICE, LOCAL = "S-1-5-20", "S-1-5-19"
ALWAYS = ("S-1-5-18", "S-1-5-32-544")


@pytest.fixture(name="ca", scope="module")
def _ca() -> CertificateAuthority:
    return CertificateAuthority.create("Rights root", key="ec-p256")


@pytest.fixture(name="machine", params=["embedded", "windows", "windows-german", "windows-csp"])
def _machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    if request.param == "embedded":
        with EmbeddedMachine(tmp_path / "machine.sqlite") as machine:
            yield machine
        return
    computer = Computer(cng_keeps="nothing" if request.param == "windows-csp" else "all")
    if request.param == "windows-german":
        computer.accounts = dict(GERMAN)
    dlls = FakeDlls(computer)
    yield Machine(WindowsPort(dlls, state_folder=tmp_path / "state"))
    assert dlls.calls.leaks == {}


@pytest.fixture(name="old", scope="module")
def _old(ca: CertificateAuthority) -> Certificate:
    return ca.issue("a.test", key="rsa-2048")


@pytest.fixture(name="new", scope="module")
def _new(ca: CertificateAuthority) -> Certificate:
    return ca.issue("a.test", key="rsa-2048")


def readers(machine: Machine, thumbprint: Thumbprint) -> set[str]:
    """SIDs of those besides everybody's own who may read a key."""
    listed = machine.store()[thumbprint].key_access
    assert {one.sid for one in listed if one.right == "full"} >= set(ALWAYS)
    return {one.sid for one in listed if one.may_read} - set(ALWAYS)


def bound(machine: Machine, key: str = KEY) -> Thumbprint:
    """The thumbprint that is bound."""
    thumbprint = Binding.get(key, machine=machine).thumbprint
    assert thumbprint is not None
    return thumbprint


# -- the store ----------------------------------------------------------------------------------------------------


def test_an_account_is_let_in_and_out_by_name_or_sid(machine: Machine, old: Certificate) -> None:
    """The list comes back; SYSTEM and the administrators are never turned out."""
    with machine.store() as store:
        entry = store.add(old)
        first = entry.key_access
        granted = store.grant_key_access(old.thumbprint, "network service")
        assert granted == entry.key_access == store.grant_key_access(old.thumbprint, SERVICE)
        (mine,) = [one for one in granted if one.sid == SERVICE]
        assert mine.may_read
        assert str(mine) == f"{mine.name} (S-1-5-20): read"
        assert mine.name in ("NT AUTHORITY\\NETWORK SERVICE", "NT-AUTORITÄT\\Netzwerkdienst")
        for account in ("SYSTEM", "S-1-5-18", "Administrators"):
            with pytest.raises(InvalidInputError, match=r"keeps its right: HTTP\.sys reads"):
                store.revoke_key_access(old.thumbprint, account)
        assert store.revoke_key_access(old.thumbprint, mine.name) == first


def test_a_users_own_key_may_be_read_by_others_too(machine: Machine, old: Certificate) -> None:
    """In a CurrentUser store."""
    with machine.store(location="CurrentUser") as store:
        entry = store.add(old)
        store.grant_key_access(old.thumbprint, "LOCAL SERVICE")
        assert LOCAL in {one.sid for one in entry.key_access}


def test_mistakes_change_nothing(machine: Machine, old: Certificate) -> None:
    """An account that is not there, a certificate that is not there, no account at all."""
    with machine.store() as store:
        entry = store.add(old)
        before = entry.key_access
        with pytest.raises(NotFoundError, match="1332, ERROR_NONE_MAPPED"):
            store.grant_key_access(old.thumbprint, "nobody-at-all")
        with pytest.raises(InvalidInputError, match="is no account"):
            store.grant_key_access(old.thumbprint, "")
        with pytest.raises(StoreNotFoundError):
            store.grant_key_access("0" * 40, "NETWORK SERVICE")
        assert entry.key_access == before
        assert store.add(old).key_access == before


def test_without_a_key_nobody_reads(machine: Machine, ca: CertificateAuthority) -> None:
    """The authority's own certificate has none here."""
    with machine.store("Root") as store:
        assert store.add(ca.certificate.with_chain(())).key_access == ()


# -- deploy and renew -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("due", [False, True])
def test_a_renewed_key_may_be_read_by_whoever_read_the_old_one(
    machine: Machine, ca: CertificateAuthority, old: Certificate, due: bool
) -> None:
    """First run and renewal are the same, for CNG and the older provider; who has everything keeps everything."""
    deploy(KEY, old, machine=machine, key_access=["NETWORK SERVICE"])
    port = machine.port.open_store("MY", "LocalMachine", write=True)
    port.grant_key_access(old.thumbprint, machine.port.account("LOCAL SERVICE"), right="full")
    if due:
        (result,) = renew_due(ca, machine=machine, due_only=False)
        assert result.error is None
    else:
        outcome = renew(KEY, ca, machine=machine)
        assert any("NETWORK SERVICE" in line or "Netzwerkdienst" in line for line in outcome.done)
        assert outcome.findings == ()
    new = bound(machine)
    assert new != old.thumbprint
    assert readers(machine, new) == {SERVICE, LOCAL}
    assert {one.sid: one.right for one in machine.store()[new].key_access}[LOCAL] == "full"
    assert readers(machine, old.thumbprint) == {SERVICE, LOCAL}


@pytest.mark.parametrize(("access", "expected"), [((), set()), (["LOCAL SERVICE"], {LOCAL}), ("keep", {SERVICE})])
def test_a_renewal_may_choose_others(
    machine: Machine, new: Certificate, old: Certificate, access: Sequence[str], expected: set[str]
) -> None:
    """Who loses the right is told, before and after."""
    deploy(KEY, old, machine=machine, key_access=[SERVICE])
    plan = renew.plan(KEY, new, machine=machine, key_access=access)
    assert [one.code for one in plan.findings] == ([] if SERVICE in expected else ["key-access-lost"])
    outcome = renew(KEY, new, machine=machine, key_access=access)
    assert outcome.findings == plan.findings
    assert readers(machine, new.thumbprint) == expected


def test_a_plan_says_who_will_read(machine: Machine, new: Certificate, old: Certificate) -> None:
    """A step, and a line of the difference; applied, both come true."""
    deploy(KEY, old, machine=machine)
    plan = deploy.plan(KEY, new, machine=machine, key_access=["NETWORK SERVICE"])
    (step,) = [one for one in plan.steps if one.action == "grant-key"]
    assert "(S-1-5-20) read the private key of" in str(step)
    (line,) = [one for one in plan.diff if one[0] == "key_access"]
    assert line[1] is None
    assert str(line[2]).endswith(": read")
    assert readers(machine, old.thumbprint) == set()
    plan.apply()
    assert readers(machine, new.thumbprint) == {SERVICE}


def test_a_deployment_that_forgets_the_readers_is_warned_of(
    machine: Machine, new: Certificate, old: Certificate
) -> None:
    """What users found when their service could not read the renewed key; `keep` is the remedy."""
    deploy(KEY, old, machine=machine, key_access=[SERVICE])
    (warning,) = deploy.plan(KEY, new, machine=machine).findings
    assert warning.code == "key-access-lost"
    assert "(S-1-5-20)" in warning.found
    assert deploy(KEY, new, machine=machine, key_access="keep").findings == ()
    assert readers(machine, new.thumbprint) == {SERVICE}


def test_doing_it_again_changes_nothing(machine: Machine, old: Certificate) -> None:
    """Nor does a right that every key gives."""
    deploy(KEY, old, machine=machine, key_access=[SERVICE])
    assert not deploy(KEY, old, machine=machine, key_access=["NETWORK SERVICE", "SYSTEM"]).changed
    assert deploy(KEY, old, machine=machine, key_access=[LOCAL]).changed
    assert readers(machine, old.thumbprint) == {SERVICE, LOCAL}


def test_undo_takes_the_rights_back(machine: Machine, new: Certificate, old: Certificate) -> None:
    """Those that it gave: on a key that was there before, and with a key that goes."""
    deploy(KEY, old, machine=machine, key_access=[SERVICE])
    outcome = deploy(KEY, old, machine=machine, key_access=[SERVICE, LOCAL])
    undone = outcome.undo()
    assert undone.changed
    assert any("any more" in line for line in undone.done)
    assert readers(machine, old.thumbprint) == {SERVICE}
    renew(KEY, new, machine=machine)
    kept = last_outcome(KEY, machine=machine)
    assert kept is not None
    kept.undo()
    assert bound(machine) == old.thumbprint
    assert new.thumbprint not in machine.store()
    assert readers(machine, old.thumbprint) == {SERVICE}


def test_undo_leaves_the_rights_of_what_stays(machine: Machine, new: Certificate, old: Certificate) -> None:
    """A certificate that another binding has meanwhile keeps its key, and who may read it."""
    deploy(KEY, old, machine=machine)
    outcome = deploy(KEY, new, machine=machine, key_access=[SERVICE])
    deploy(OTHER_KEY, new, machine=machine)
    outcome.undo()
    assert readers(machine, new.thumbprint) == {SERVICE}


def test_a_key_that_is_certified_again_keeps_its_readers_through_an_undo(
    tmp_path: Path, ca: CertificateAuthority, old: Certificate
) -> None:
    """On a machine where both certificates have one key: what was there before the renewal is not taken back."""
    with EmbeddedMachine(tmp_path / "machine.sqlite") as machine:
        deploy(KEY, old, machine=machine, exportable=True, key_access=[SERVICE])
        renew(KEY, ca, machine=machine, reuse_key=True).undo()
        assert readers(machine, old.thumbprint) == {SERVICE}


def test_an_account_that_is_not_there_stops_it_before_anything(machine: Machine, old: Certificate) -> None:
    """Planned or done; nothing is added."""
    for verb in (deploy, deploy.plan):
        with pytest.raises(NotFoundError, match="1332"):
            verb(KEY, old, machine=machine, key_access=["nobody-at-all"])
    for wrong in ("NETWORK SERVICE", [5], 5, ["S-1-5"]):
        with pytest.raises(InvalidInputError):
            deploy(KEY, old, machine=machine, key_access=wrong)  # type: ignore[arg-type]
    assert old.thumbprint not in machine.store()


def test_what_cannot_be_granted_takes_the_deployment_back(tmp_path: Path, old: Certificate, new: Certificate) -> None:
    """A Windows that says yes and keeps nothing: the old binding stays, the new key goes."""
    dlls = FakeDlls()
    machine = Machine(WindowsPort(dlls, state_folder=tmp_path / "state"))
    deploy(KEY, old, machine=machine)
    dlls.computer.keeps_lists = False
    with pytest.raises(DeploymentError) as caught:
        deploy(KEY, new, machine=machine, key_access=[SERVICE])
    assert isinstance(caught.value.__cause__, StoreError)
    assert bound(machine) == old.thumbprint
    assert new.thumbprint not in machine.store()
    assert len(dlls.computer.containers) == 1


def test_a_plan_is_not_applied_after_the_rights_have_changed(
    machine: Machine, old: Certificate, new: Certificate
) -> None:
    """It would do something else than it says."""
    deploy(KEY, old, machine=machine)
    plan = renew.plan(KEY, new, machine=machine)
    machine.store().grant_key_access(old.thumbprint, SERVICE)
    with pytest.raises(Exception, match="plan again"):
        plan.apply()


def test_on_conflict_keep_gives_no_rights(machine: Machine, old: Certificate, new: Certificate) -> None:
    """It does nothing at all."""
    deploy(KEY, old, machine=machine)
    assert not deploy(KEY, new, machine=machine, key_access=[SERVICE], on_conflict="keep").changed
    assert readers(machine, old.thumbprint) == set()


def test_without_a_key_a_right_is_refused_with_the_rest(
    machine: Machine, ca: CertificateAuthority, old: Certificate
) -> None:
    """By the preflight, as ever."""
    bare = old.from_der(old.to_der())
    with pytest.raises(ValidationError):
        deploy(KEY, bare, machine=machine, key_access=[SERVICE])


# -- the record -------------------------------------------------------------------------------------------------------


def test_a_process_killed_between_the_right_and_the_binding_leaves_neither(
    machine: Machine, old: Certificate, new: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record names the right before it is given, and nobody's who had it."""

    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    deploy(KEY, old, machine=machine, key_access=[SERVICE])
    with machine.store() as store:
        store.add(new)
        store.grant_key_access(new.thumbprint, LOCAL)
    with monkeypatch.context() as patched:
        patched.setattr(recovery, "put", die)
        # As on Windows, and as an earlier mlsssl left it.
        patched.setattr(EmbeddedPort, "at_once", lambda _: contextlib.nullcontext(False))
        with pytest.raises(Killed):
            deploy(KEY, new.thumbprint, machine=machine, key_access=[SERVICE, LOCAL])
    assert readers(machine, new.thumbprint) == {SERVICE, LOCAL}
    (pending,) = ChangeRecords(machine.port.state_folder).pending()
    assert pending.change is not None
    assert [grant.sid for grant in pending.change.grants] == [SERVICE]
    lines = recover(machine=machine)
    assert any("may not read the private key" in line for line in lines)
    assert readers(machine, new.thumbprint) == {LOCAL}
    assert bound(machine) == old.thumbprint


def test_only_a_record_with_rights_is_one_of_version_2(machine: Machine, old: Certificate, new: Certificate) -> None:
    """So an earlier mlsssl goes on reading the others; a damaged one is named."""
    folder = machine.port.state_folder
    deploy(KEY, old, machine=machine)
    (path,) = folder.glob("last-*.json")
    assert json.loads(path.read_bytes())["version"] == 1
    deploy(KEY, new, machine=machine, key_access=[SERVICE])
    written = json.loads(path.read_bytes())
    assert written["version"] == record.VERSION == 2
    assert [grant["sid"] for grant in written["grants"]] == [SERVICE]
    for damage in ({"right": "write"}, {"sid": "S-1"}, {"store": 5}, {"thumbprint": "x"}):
        path.write_text(json.dumps({**written, "grants": [{**written["grants"][0], **damage}]}))
        with pytest.raises(MalformedDataError, match="is damaged"):
            last_outcome(KEY, machine=machine)


def test_a_file_of_schema_2_keeps_its_keys(tmp_path: Path, old: Certificate, monkeypatch: pytest.MonkeyPatch) -> None:
    """What yesterday's version made is opened by today's: nobody else may read its keys, until somebody is let in."""
    path = tmp_path / "machine.sqlite"
    with monkeypatch.context() as yesterday:
        yesterday.setattr(schema, "STEPS", schema.STEPS[:2])
        yesterday.setattr(schema, "VERSION", 2)
        yesterday.setattr(EmbeddedStore, "_file_names", lambda *_: None)
        with EmbeddedMachine(path) as machine, machine.store() as store:
            store.add(old)
            assert readers(machine, old.thumbprint) == set()  # read by who may not upgrade it
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (2,)
    with EmbeddedMachine(path) as machine, machine.store() as store:
        assert store[old.thumbprint].has_private_key
        store.grant_key_access(old.thumbprint, SERVICE)
        assert readers(machine, old.thumbprint) == {SERVICE}
        store.remove(old.thumbprint)
    with closing(Database(path)) as database:
        assert database.query("SELECT * FROM key_access") == []


# -- audit and the command line ---------------------------------------------------------------------------------------


def test_audit_shows_who_may_read(machine: Machine, old: Certificate) -> None:
    """A column where there is somebody; always in the JSON."""
    deploy(KEY, old, machine=machine)
    bare = audit(machine=machine)
    assert bare.rows[0].key_access == ()
    assert "MAY READ IT" not in str(bare)
    machine.store().grant_key_access(old.thumbprint, SERVICE)
    found = audit(machine=machine, unbound=True)
    (reader,) = found.rows[0].key_access or ()
    assert reader.endswith(": read")
    assert found.to_dict()["rows"][0]["key_access"] == reader  # type: ignore[index]
    assert "MAY READ IT" in str(found)
    assert reader.partition("\\")[2] in str(found)


@pytest.fixture(name="pfx")
def _pfx(tmp_path: Path, old: Certificate, new: Certificate, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PW", "secret")
    old.save(tmp_path / "old.pfx", password="secret")
    new.save(tmp_path / "new.pfx", password="secret")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str]:
    """A command's exit code and output."""
    code = main([str(word) for word in words])
    return code, capsys.readouterr().out


def test_on_the_command_line(pfx: Path, old: Certificate, new: Certificate, capsys: pytest.CaptureFixture[str]) -> None:
    """grant, access, revoke; deploy and renew with --key-access; the words of the table."""
    machine = ("--machine", pfx / "m.sqlite")
    password = ("--password", "env:PW")
    code, text = run(capsys, "deploy", KEY, pfx / "old.pfx", *password, "--key-access", "NETWORK SERVICE", *machine)
    assert code == 0
    assert f"let NT AUTHORITY\\NETWORK SERVICE (S-1-5-20) read the private key of {old.thumbprint}" in text
    code, text = run(capsys, "store", "access", old.thumbprint, *machine)
    assert code == 0
    assert "NT AUTHORITY\\NETWORK SERVICE" in text
    code, text = run(capsys, "store", "grant", old.thumbprint, "NT SERVICE\\W3SVC", *machine, "--json")
    assert [row["name"] for row in json.loads(text)][-1] == "NT SERVICE\\W3SVC"
    code, text = run(capsys, "store", "revoke", old.thumbprint, "S-1-5-20", *machine)
    assert code == 0
    assert "NETWORK" not in text
    code, text = run(capsys, "renew", KEY, "--certificate", pfx / "new.pfx", *password, *machine, "--plan")
    assert "let NT SERVICE\\W3SVC" in text
    code, text = run(capsys, "deploy", KEY, pfx / "new.pfx", *password, *machine, "--plan", "--key-access", "keep")
    assert "let NT SERVICE\\W3SVC" in text
    arguments = ("renew", KEY, "--certificate", pfx / "new.pfx", *password, *machine, "--key-access", "LOCAL SERVICE")
    code, text = run(capsys, *arguments)
    assert code == 0
    assert "key-access-lost" in text
    with EmbeddedMachine(pfx / "m.sqlite") as opened:
        assert readers(opened, new.thumbprint) == {LOCAL}
        opened.store("Root").add(old.from_der(new.chain[0].to_der()))
    code, text = run(capsys, "audit", *machine)
    assert "MAY READ IT" in text


def test_on_the_command_line_mistakes_are_told(pfx: Path, capsys: pytest.CaptureFixture[str], old: Certificate) -> None:
    """An account that is not there; a certificate without a key."""
    with EmbeddedMachine(pfx / "m.sqlite") as machine, machine.store() as store:
        store.add(old.from_der(old.to_der()))
    assert main(["store", "access", str(old.thumbprint), "--machine", str(pfx / "m.sqlite")]) != 0
    assert "has no usable private key" in capsys.readouterr().err
    assert main(["store", "grant", str(old.thumbprint), "nobody", "--machine", str(pfx / "m.sqlite")]) != 0
    assert "there is no account 'nobody' here (1332" in capsys.readouterr().err


def test_what_it_says_of_an_account_that_is_gone() -> None:
    """The SID once, not twice; and whether the folder gives the right."""
    gone = "S-1-5-21-1-2-3-1001"
    assert str(KeyAccess(name=gone, sid=gone, right="read", inherited=True)) == f"{gone}: read, inherited"


# -- an issuer that is sent a request ---------------------------------------------------------------------------------


def test_a_renewal_from_an_issuer_keeps_the_readers(machine: Machine, tmp_path: Path) -> None:
    """The request's key becomes the certificate's, and whoever read the old one reads it; the plan says so before."""
    issuer = DistantIssuer(tmp_path / "issuer")
    deploy(KEY, AUTHORITY.issue("a.test", key="rsa-2048"), machine=machine, key_access=[SERVICE])
    plan = renew.plan(KEY, issuer, machine=machine)
    (step,) = [one for one in plan.steps if one.action == "grant-key"]
    assert str(step).endswith("(S-1-5-20) read its private key")
    assert issuer.orders == []
    renew(KEY, issuer, machine=machine)
    assert readers(machine, bound(machine)) == {SERVICE}
    assert len(issuer.orders) == 1


def test_a_mistyped_account_is_told_before_anything_is_ordered(machine: Machine, tmp_path: Path) -> None:
    """By renew, renew_due and deploy."""
    issuer = DistantIssuer(tmp_path / "issuer")
    wrong = ["nobody-at-all"]
    with pytest.raises(NotFoundError, match="1332"):
        deploy(KEY, issuer, machine=machine, host="a.test", key_access=wrong)
    deploy(KEY, AUTHORITY.issue("a.test", key="rsa-2048"), machine=machine)
    with pytest.raises(NotFoundError, match="1332"):
        renew(KEY, issuer, machine=machine, key_access=wrong)
    (result,) = renew_due(issuer, machine=machine, due_only=False, key_access=wrong)
    assert isinstance(result.error, NotFoundError)
    assert issuer.orders == []
