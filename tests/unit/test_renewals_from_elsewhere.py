"""What a renewal says of the clients and of other bindings: another authority, one that is over, the same elsewhere."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING

import pytest

from mlsssl import (
    BindingError,
    CertificateAuthority,
    Finding,
    Machine,
    deploy,
    renew,
    renew_due,
)
from mlsssl.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

KEY = "0.0.0.0:443"
ROOT = CertificateAuthority.create("First Root", key="ec-p256")
FIRST = ROOT.create_intermediate("First Issuer", key="ec-p256")
SECOND = ROOT.create_intermediate("Second Issuer", key="ec-p256")
STRANGER = CertificateAuthority.create("Strange Root", key="ec-p256")
NAMESAKE = CertificateAuthority.create("First Root", key="ec-p256")
LATER = dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=300)


pytestmark = pytest.mark.usefixtures("few_system_roots")


@pytest.fixture(name="machine")
def _machine(each_machine: Machine) -> Machine:
    return each_machine


def coded(findings: Iterable[Finding], code: str) -> list[Finding]:
    """Those with this code."""
    return [finding for finding in findings if finding.code == code]


def test_a_renewal_from_another_authority_says_whom_clients_must_trust(machine: Machine) -> None:
    """A plan and the renewal itself; not where the root is the same, or trusted by this machine."""
    deploy(KEY, FIRST.issue("a.test"), machine=machine)
    assert coded(renew(KEY, FIRST, machine=machine).findings, "issuer-changes") == []
    assert coded(renew(KEY, SECOND, machine=machine).findings, "issuer-changes") == []
    (planned,) = coded(renew.plan(KEY, STRANGER, machine=machine).findings, "issuer-changes")
    assert planned.severity.value == "warning"
    assert "the old one was issued by CN=Second Issuer, this one by CN=Strange Root" in planned.found
    assert "under the root CN=Strange Root, which this machine does not trust" in planned.found
    (due,) = renew_due(STRANGER, machine=machine, due_only=False, any_issuer=True, dry_run=True)
    assert due.plan is not None
    assert coded(due.plan.findings, "issuer-changes") == [planned]
    machine.store("Root").add(STRANGER.certificate)
    assert coded(renew(KEY, STRANGER, machine=machine).findings, "issuer-changes") == []


def test_the_same_name_with_another_key_is_another_authority(machine: Machine) -> None:
    """Made anew under its old name, which clients do not notice until they refuse it."""
    deploy(KEY, ROOT.issue("a.test"), machine=machine)
    (found,) = coded(renew(KEY, NAMESAKE, machine=machine).findings, "issuer-changes")
    assert "CN=First Root, this one by another authority of that name, under the root CN=First Root" in found.found


def test_an_issuer_that_nobody_knows_is_another_one_too(machine: Machine) -> None:
    """Without its chain; and the finding about the missing issuer stands beside it."""
    deploy(KEY, FIRST.issue("a.test"), machine=machine)
    other = STRANGER.create_intermediate("Far Issuer", key="ec-p256").issue("a.test").with_chain([])
    findings = renew(KEY, other, machine=machine).findings
    assert len(coded(findings, "issuer-changes")) == len(coded(findings, "issuer-not-found")) == 1


def test_a_deployment_renews_nothing_and_compares_nothing(machine: Machine) -> None:
    """Who deploys another certificate means it."""
    deploy(KEY, FIRST.issue("a.test"), machine=machine)
    assert coded(deploy(KEY, STRANGER.issue("a.test"), machine=machine).findings, "issuer-changes") == []


def test_a_strangers_certificate_that_is_over_is_a_failure(machine: Machine) -> None:
    """Whoever issued it did not renew it; while it lasts it is left to him. With any_issuer it is renewed."""
    deploy(KEY, FIRST.issue("a.test"), machine=machine)
    (left,) = renew_due(STRANGER, machine=machine)
    assert left.skipped == "issued by CN=First Issuer, not by Strange Root"
    (over,) = renew_due(STRANGER, machine=machine, at=LATER)
    assert isinstance(over.error, BindingError)
    assert "its certificate is over since" in str(over.error)
    assert "any_issuer=True renews it from Strange Root" in str(over.error)
    (renewed,) = renew_due(STRANGER, machine=machine, any_issuer=True, at=LATER)
    assert renewed.outcome is not None
    assert renewed.outcome.changed
    assert coded(renewed.outcome.findings, "issuer-changes")


def test_ones_own_certificate_that_is_over_is_renewed(machine: Machine) -> None:
    """As ever."""
    deploy(KEY, FIRST.issue("a.test"), machine=machine)
    (renewed,) = renew_due(FIRST, machine=machine, at=LATER)
    assert renewed.outcome is not None


def test_renewing_one_of_three_names_the_others(machine: Machine) -> None:
    """The plan too; and nothing when they are renewed by the same call, or when none is left."""
    old = FIRST.issue("a.test")
    keys = [KEY, "[::]:443", "a.test:8443"]
    for key in keys:
        deploy(key, old, machine=machine)
    deploy("b.test:443", FIRST.issue("b.test"), machine=machine)
    (planned,) = coded(renew.plan(KEY, FIRST, machine=machine).findings, "superseded-elsewhere")
    assert planned.where == KEY
    assert planned.found == f"2 other bindings still have the old certificate {old.thumbprint}: [::]:443, a.test:8443"
    assert coded(renew(KEY, FIRST, machine=machine).findings, "superseded-elsewhere") == [planned]
    first, second = renew_due(FIRST, machine=machine, only=keys[1:], due_only=False)
    assert first.outcome is not None
    assert second.outcome is not None
    assert coded([*first.outcome.findings, *second.outcome.findings], "superseded-elsewhere") == []
    assert first.outcome.after.thumbprint == second.outcome.after.thumbprint
    (last,) = renew_due(FIRST, machine=machine, only=[keys[2]], due_only=False, dry_run=True)
    assert last.plan is not None
    (left,) = coded(last.plan.findings, "superseded-elsewhere")
    assert left.found.startswith("1 other binding still has")
    assert left.found.endswith(": [::]:443")


def test_the_command_line_says_it_with_its_exit_codes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """9 for what is over and somebody else's, not 10; the remedy as an option."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLSSSL_MACHINE", str(tmp_path / "machine.sqlite"))
    STRANGER.save("stranger.pem")
    before = dt.datetime.now(dt.timezone.utc) - dt.timedelta(days=30)
    old = CertificateAuthority.create("Old Root", key="ec-p256", at=before).issue("a.test", days=1, at=before)
    deploy(KEY, old, force=True)
    deploy("a.test:443", old, force=True)
    renewal = ["renew", "--all", "--due", "--ca", "stranger.pem"]
    assert main(renewal) == 9
    told = capsys.readouterr().out
    assert told.count("its certificate is over since") == 2
    assert "--any-issuer renews it from Strange Root" in told
    assert main([*renewal, "--json"]) == 9
    results = json.loads(capsys.readouterr().out)["results"]
    assert [one["error"]["type"] for one in results] == ["BindingError", "BindingError"]
    assert main(["renew", KEY, "--ca", "stranger.pem"]) == 0
    told = capsys.readouterr().out
    assert "warning issuer-changes" in told
    assert "warning superseded-elsewhere" in told
    assert main([*renewal, "--any-issuer"]) == 0
    assert "issuer-changes" in capsys.readouterr().out
