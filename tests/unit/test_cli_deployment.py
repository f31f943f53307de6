"""`mlsssl deploy`, `renew`, `undo`, `recover`, `cleanup`, `audit`: output, JSON and exit codes."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from mlsssl import (
    AccessDeniedError,
    Binding,
    Certificate,
    CertificateAuthority,
    EmbeddedMachine,
    Thumbprint,
    deploy,
    netsh,
)
from mlsssl._changes.record import Change, ChangeRecords
from mlsssl._embedded.reservations import EmbeddedReservations
from mlsssl.cli import main

if TYPE_CHECKING:
    from pathlib import Path

KEY = "0.0.0.0:443"


@pytest.fixture(name="ca", scope="module")
def _ca() -> CertificateAuthority:
    return CertificateAuthority.create("CLI deployment", key="ec-p256")


@pytest.fixture(name="place", autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ca: CertificateAuthority) -> Path:
    """A folder with a machine, ca.pfx, server.pfx; the password in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLSSSL_MACHINE", str(tmp_path / "state" / "machine.sqlite"))
    monkeypatch.setenv("PW", "hunter-22")
    ca.save("ca.pfx", password="hunter-22")
    ca.issue("server.test").save("server.pfx", password="hunter-22")
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    capsys.readouterr()
    code = main(list(words))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def run_json(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, Any]:
    """Exit code, and the one JSON document on standard output."""
    code, out, _ = run(capsys, *words, "--json")
    return code, json.loads(out)


DEPLOY = ("deploy", KEY, "server.pfx", "--password", "env:PW")
RENEW = ("renew", "--all", "--due", "--ca", "ca.pfx", "--ca-password", "env:PW")


def test_deploy_plan_apply_again_and_undo(capsys: pytest.CaptureFixture[str]) -> None:
    """A plan does nothing; deploying twice changes once; undo takes it back once."""
    code, plan = run_json(capsys, *DEPLOY, "--plan")
    assert (code, [step["action"] for step in plan["steps"]]) == (0, ["add-certificate", "bind"])
    assert Binding.find(KEY) is None
    code, first = run_json(capsys, *DEPLOY, "--option", "tls13=no")
    assert (code, first["changed"]) == (0, True)
    assert not Binding.get(KEY).options.tls13
    code, again = run_json(capsys, *DEPLOY, "--host", "server.test")
    assert (code, again["changed"]) == (0, False)
    code, wrong = run_json(capsys, *DEPLOY, "--host", "other.test")
    assert (code, wrong["error"]) == (1, "ValidationError")
    assert "name-mismatch" in [finding["code"] for finding in wrong["report"]["findings"]]
    code, http2 = run_json(capsys, *DEPLOY, "--option", "http2=no")
    assert (code, http2["changed"]) == (0, True)
    assert not Binding.get(KEY).options.tls13  # what is not named stays
    assert run(capsys, "undo", KEY)[0] == 0
    assert Binding.get(KEY).options.http2
    assert run(capsys, "undo", KEY)[0] == 3


def test_deploy_says_no_with_the_code_of_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    """A finding is 1, a conflict 4, wrong usage 2, a missing file 3, a certificate without key 1."""
    assert run(capsys, *DEPLOY, "--host", "other.test")[0] == 1
    code, told = run_json(capsys, *DEPLOY, "--host", "other.test")
    assert (code, told["error"]) == (1, "ValidationError")
    assert "name-mismatch" in [finding["code"] for finding in told["report"]["findings"]]
    assert run(capsys, *DEPLOY, "--host", "other.test", "--plan")[0] == 1
    assert run(capsys, *DEPLOY, "--host", "other.test", "--force")[0] == 0
    CertificateAuthority.create("Other", key="ec-p256").issue("server.test").save("other.pfx", password="hunter-22")
    assert run(capsys, "deploy", KEY, "other.pfx", "--password", "env:PW", "--on-conflict", "fail")[0] == 4
    assert run(capsys, "deploy", KEY)[0] == 2
    assert run(capsys, "deploy", KEY, "none.pfx")[0] == 3
    Certificate.load("other.pfx", password="hunter-22").save("other.cer")
    assert run(capsys, "deploy", "[::]:443", "other.cer")[0] == 1
    thumbprint = str(Binding.get(KEY).thumbprint)
    assert run(capsys, "deploy", "[::]:443", "--thumbprint", thumbprint)[0] == 0


@pytest.mark.parametrize("hidden", ["", "\u200e"])
def test_a_thumbprint_where_a_file_belongs_is_told_the_option(capsys: pytest.CaptureFixture[str], hidden: str) -> None:
    """As copied from the certificate dialogue, hidden character and all; what is no thumbprint gets no such advice."""
    code, _, errors = run(capsys, "deploy", "0.0.0.0:443", hidden + "AB " * 20)
    assert (code, "--thumbprint " + "ab" * 20 in errors) == (3, True)
    code, _, errors = run(capsys, "deploy", "0.0.0.0:443", "absent.pfx")
    assert (code, "--thumbprint" in errors) == (3, False)


def test_a_deployment_that_stops_tells_all_and_ends_with_the_code_of_its_cause(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """1312 is 8, with what was done and undone in the JSON."""
    from mlsssl._embedded.bindings import EmbeddedBindings
    from mlsssl._embedded.port import EmbeddedPort
    from mlsssl.errors import UnusableCertificateError

    def refuse(*_: object) -> None:
        raise UnusableCertificateError("1312")

    monkeypatch.setattr(EmbeddedBindings, "add", refuse)
    monkeypatch.setattr(EmbeddedPort, "at_once", lambda _: contextlib.nullcontext(False))  # as Windows: one by one
    code, told = run_json(capsys, *DEPLOY)
    assert (code, told["error"], told["failure"]["state"]) == (8, "DeploymentError", "old")
    assert len(told["failure"]["done"]) == len(told["failure"]["undone"]) == 1


def test_renew_tells_nothing_due_renewed_and_failed_apart(
    capsys: pytest.CaptureFixture[str], ca: CertificateAuthority
) -> None:
    """10, 0 and 9; with one document in JSON."""
    assert run(capsys, *RENEW)[0] == 3
    EmbeddedMachine().close()
    assert run(capsys, *RENEW)[0] == 10
    assert run(capsys, *DEPLOY)[0] == 0
    code, nothing = run_json(capsys, *RENEW)
    assert (code, nothing["exit_code"], nothing["results"][0]["result"]) == (10, 10, "skipped")
    code, out, _ = run(capsys, *RENEW, "--fraction", "0.000001", "--jitter", "0")
    assert code == 0
    assert "marked" in out
    assert run(capsys, "renew", KEY, "--ca", "ca.pfx", "--ca-password", "env:PW")[0] == 0
    deploy("b.test:443", ca.issue("b.test"), force=True)
    gone = Binding.get("b.test:443").thumbprint
    assert gone is not None
    with EmbeddedMachine() as machine:
        machine.store().remove(gone)
    code, both = run_json(capsys, *RENEW, "--fraction", "0.000001", "--jitter", "0")
    assert code == 9
    assert {one["key"]: one["result"] for one in both["results"]} == {KEY: "renewed", "b.test:443": "failed"}


def test_a_renewal_is_only_planned_when_asked_so(capsys: pytest.CaptureFixture[str], ca: CertificateAuthority) -> None:
    """For the authority's own and for a given certificate; 10 when nothing is due, 1 when something forbids it."""
    assert run(capsys, *DEPLOY)[0] == 0
    before = Binding.get(KEY)
    assert run(capsys, *RENEW, "--plan")[0] == 10
    code, told = run_json(capsys, *RENEW, "--plan", "--fraction", "0.000001", "--jitter", "0")
    assert (code, told["results"][0]["result"], told["results"][0]["plan"]["ok"]) == (0, "planned", True)
    assert "renew" in run(capsys, *RENEW, "--plan", "--fraction", "0.000001", "--jitter", "0")[1]
    ca.issue("server.test").save("new.pfx", password="hunter-22")
    ca.issue("other.test").save("other.pfx", password="hunter-22")
    given = ("--password", "env:PW", "--plan")
    assert run(capsys, "renew", KEY, "--certificate", "new.pfx", *given)[0] == 0
    code, out, _ = run(capsys, "renew", KEY, "--certificate", "other.pfx", *given)
    assert code == 1
    assert "names-lost" in out
    assert Binding.get(KEY) == before
    with EmbeddedMachine() as machine:
        assert len(machine.store()) == 1


def test_renew_at_the_same_time_says_who_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """The second one ends with 9 and a clear message, and renews nothing."""
    assert run(capsys, *DEPLOY)[0] == 0
    before = Binding.get(KEY)
    with EmbeddedMachine() as machine, machine.port.lock("renew", timeout=0):
        code, _, err = run(capsys, *RENEW, "--fraction", "0.000001", "--jitter", "0")
    assert code == 9
    assert "process" in err
    assert Binding.get(KEY) == before


def test_renew_with_a_given_certificate(capsys: pytest.CaptureFixture[str], ca: CertificateAuthority) -> None:
    """One binding, now; what makes no sense with it is refused."""
    assert run(capsys, *DEPLOY)[0] == 0
    new = ca.issue("server.test")
    new.save("new.pfx", password="hunter-22")
    given = ("--certificate", "new.pfx", "--password", "env:PW")
    for wrong in (("--all", *given), (KEY, "--due", *given), (KEY, "--days", "3", *given), (KEY,), (KEY, "--all")):
        assert run(capsys, "renew", *wrong)[0] == 2
    assert run(capsys, "renew", KEY, *given)[0] == 0
    assert Binding.get(KEY).thumbprint == new.thumbprint
    assert run(capsys, "renew", "[::]:443", *given)[0] == 3


def test_cleanup_and_recover(capsys: pytest.CaptureFixture[str]) -> None:
    """Looked at first, then removed; recover has nothing to do."""
    run(capsys, *DEPLOY)
    run(capsys, "renew", KEY, "--ca", "ca.pfx", "--ca-password", "env:PW", "--grace", "0")
    code, found = run_json(capsys, "cleanup", "--dry-run")
    assert (code, len(found["removed"])) == (0, 1)
    assert run(capsys, "cleanup", "--grace", "5")[1].startswith("kept")
    assert run(capsys, "cleanup")[1].startswith("removed")
    assert run(capsys, "cleanup", "--grace", "nan")[0] == 2
    assert run(capsys, "recover")[:2] == (0, "nothing to recover\n")


def test_audit_is_a_table_and_json_and_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    """0 while no finding is an error, 1 afterwards; remedies when asked for."""
    EmbeddedMachine().close()
    assert run(capsys, "audit")[:2] == (0, "Nothing is bound.\n")
    run(capsys, *DEPLOY)
    code, out, _ = run(capsys, "audit")
    assert code == 0
    assert out.split()[:2] == ["KEY", "OWNER"]
    assert KEY in out
    with EmbeddedMachine() as machine:
        thumbprint = Binding.get(KEY).thumbprint
        assert thumbprint is not None
        machine.store().remove(thumbprint)
    code, found = run_json(capsys, "audit")
    assert (code, found["ok"], found["rows"][0]["severity"]) == (1, False, "error")
    assert "remedy: add it" in run(capsys, "audit", "--remedies")[1]


def test_audit_of_dumps(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    """Of several machines at once, in any encoding; what a dump cannot say is said; text that is none is an error."""
    run(capsys, *DEPLOY)
    dump = run(capsys, "netsh", "http", "show", "sslcert")[1]
    (place / "one.txt").write_bytes(dump.encode("utf-16"))
    (place / "two.txt").write_bytes(dump.encode("utf-8-sig"))
    (place / "none.txt").write_text(netsh.format_listing([]))
    (place / "denied.txt").write_text("Access is denied.\n")
    dumps = ["--listing", "one.txt", "--listing", "two.txt", "--listing", "none.txt"]
    code, out, _ = run(capsys, "audit", *dumps)
    assert code == 0
    lines = out.splitlines()
    assert [line.split()[:2] for line in lines[1:3]] == [["one.txt", KEY], ["two.txt", KEY]]
    assert lines[3] == "none.txt: nothing is bound"
    assert lines[4].startswith("note on one.txt, two.txt: a listing has no certificates")
    code, found = run_json(capsys, "audit", *dumps)
    assert [one["machine"] for one in found] == ["one.txt", "two.txt", "none.txt"]
    assert [len(one["rows"]) for one in found] == [1, 1, 0]
    code, _, err = run(capsys, "audit", "--listing", "one.txt", "--listing", "denied.txt")
    assert code == 6
    assert "denied.txt: " in err
    assert run(capsys, "audit", "--listing", "missing.txt")[0] == 3
    for more in (["--unbound"], ["--machine", "m.sqlite"], ["--profile", "public"]):
        assert run(capsys, "audit", "--listing", "one.txt", *more)[0] == 2


def test_audit_of_dumps_with_reservations(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    """Behind the bindings or alone, as `>>` puts them into one file."""
    run(capsys, *DEPLOY)
    run(capsys, "reservation", "add", "https://+:9443/a/", "--user", "Everyone")
    reserved = run(capsys, "netsh", "http", "show", "urlacl")[1]
    (place / "both.txt").write_text(run(capsys, "netsh", "http", "show", "sslcert")[1] + reserved)
    (place / "reserved.txt").write_text(reserved)
    dumps = ["--listing", "both.txt", "--listing", "reserved.txt"]
    code, out, _ = run(capsys, "audit", *dumps)
    assert code == 0
    assert "both.txt      https://+:9443/a/  Everyone may listen  warning  reservation-for-anybody, reser" in out
    assert "reserved.txt  https://+:9443/a/  Everyone may listen  warning  reservation-for-anybody\n" in out
    assert "note on reserved.txt: it has no bindings" in out
    assert "nothing is bound\n" not in out
    code, found = run_json(capsys, "audit", *dumps)
    assert [(len(one["rows"]), len(one["reservations"])) for one in found] == [(1, 1), (0, 1)]


def test_an_audit_says_what_it_could_not_look_at(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind the tables; and otherwise prints nothing there."""
    run(capsys, *DEPLOY)
    run(capsys, "reservation", "add", "https://+:9443/a/", "--user", "Everyone")
    assert "note" not in run(capsys, "audit")[1]
    assert not run(capsys, "audit")[1].endswith("\n\n")

    def closed(_port: object) -> list[object]:
        raise AccessDeniedError("only an administrator may do this to HTTP.sys", right="administrator")

    monkeypatch.setattr(EmbeddedReservations, "all", closed)
    code, out, _ = run(capsys, "audit")
    assert code == 0
    assert KEY in out
    assert out.endswith(
        "note: URL reservations could not be looked at: only an administrator may do this to HTTP.sys\n"
    )


def test_the_audit_log_is_written(capsys: pytest.CaptureFixture[str], place: Path) -> None:
    """A line per change; the option's old name goes on working."""
    run(capsys, *DEPLOY, "--audit-log", "audit.jsonl")
    run(capsys, "renew", KEY, "--ca", "ca.pfx", "--ca-password", "env:PW", "--trail", "audit.jsonl")
    lines = [json.loads(line) for line in (place / "audit.jsonl").read_text().splitlines()]
    assert [line["verb"] for line in lines] == ["deploy", "renew"]


def test_recover_says_what_is_left_and_gives_one_change_up(capsys: pytest.CaptureFixture[str]) -> None:
    """Not 0 while something is pending, by recover, audit and renew alike; --abandon is told, and does it."""
    assert run(capsys, *DEPLOY)[0] == 0
    with EmbeddedMachine() as machine:
        key = Binding.get(KEY).key
        records = ChangeRecords(machine.state_folder)
        records.begin(Change("deploy", key))
        next(machine.state_folder.glob("change-*.json")).write_bytes(b"{")
    code, told = run_json(capsys, "recover")
    assert (code, told["error"]) == (6, "DeploymentError")
    (line,) = told["failure"]["to_do"]
    assert "mlsssl recover --abandon change-" in line
    assert "--abandon" in run(capsys, "recover")[2]
    code, found = run_json(capsys, "audit")
    assert (code, found["ok"]) == (1, False)
    assert run(capsys, *RENEW)[0] == 9
    assert run(capsys, "recover", "--abandon", "nonsense")[0] == 2
    assert run(capsys, "recover", "--abandon", "0.0.0.0:1")[0] == 6
    code, done = run_json(capsys, "recover", "--abandon", KEY)
    assert code == 0
    assert "gave up" in done["done"][0]
    assert run(capsys, "recover", "--abandon", KEY)[0] == 3
    assert run(capsys, "audit")[0] == 0
    assert run(capsys, *RENEW)[0] == 10


def test_store_remove_keeps_what_a_pending_change_needs(capsys: pytest.CaptureFixture[str]) -> None:
    """Without it the change could never be taken back; as of what is bound, --force removes it all the same."""
    assert run(capsys, *DEPLOY)[0] == 0
    with EmbeddedMachine() as machine:
        record = Binding.get(KEY).record
        assert record.thumbprint is not None
        ChangeRecords(machine.state_folder).begin(
            Change("update", record.key, before=record, after=replace(record, thumbprint=Thumbprint(bytes(20))))
        )
        machine.port.bindings.remove(record.key)
        certificate = machine.store()[record.thumbprint].certificate
        machine.store().remove(record.thumbprint)
        machine.store().add(Certificate.from_der(certificate.to_der()))  # without its key: the change stays pending
    code, _, told = run(capsys, "store", "remove", str(record.thumbprint))
    assert code == 2
    assert "is pending and needs it: mlsssl recover; --force" in told
    assert run(capsys, "store", "remove", str(record.thumbprint), "--force")[0] == 0
