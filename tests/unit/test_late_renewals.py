"""What is due and was not renewed is said with its reason, louder from third to third of the time that is left."""

from __future__ import annotations

import datetime as dt
import json
import logging
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlsssl import (
    BindingError,
    Certificate,
    CertificateAuthority,
    CertificateRequest,
    EmbeddedMachine,
    IssuePendingError,
    Renewal,
    Severity,
    ValidationError,
    audit,
    deploy,
    renew_due,
)
from mlsssl._commands.deployment import code_of
from mlsssl._deploy.due import how_late
from mlsssl.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "0.0.0.0:443"
DAY = dt.timedelta(days=1)
CA = CertificateAuthority.create("Late", key="ec-p256", at=dt.datetime.now(dt.timezone.utc) - 400 * DAY)
# The same name, so that it counts the old certificates as its own; and it may not issue for their names.
UNABLE = CertificateAuthority.create("Late", key="ec-p256", permitted=["other.test"])
ANOTHER = CertificateAuthority.create("Another", key="ec-p256")
STAGES = [(15 / 24, None), (17 / 24, Severity.NOTICE), (19 / 24, Severity.WARNING), (22 / 24, Severity.ERROR)]
MOMENTS = st.integers(0, 36_000 * 86_400).map(lambda one: dt.datetime.fromtimestamp(one, dt.timezone.utc))


class Pending:
    """An issuer that never has an answer."""

    name = "Late"

    def issue(self, request: CertificateRequest, *, old: Certificate | None) -> Certificate:
        """Not yet."""
        raise IssuePendingError("a manager has to approve it", issuer=self.name)

    def issued(self, certificate: Certificate) -> bool:
        """Everything."""
        return True


@pytest.fixture(name="machine")
def _machine(tmp_path: Path) -> Iterator[EmbeddedMachine]:
    with EmbeddedMachine(tmp_path / "m.sqlite") as machine:
        yield machine


def bound(machine: EmbeddedMachine, share: float, days: int = 24) -> Certificate:
    """Binds a certificate of which this share of its life is over."""
    old = CA.issue("a.test", days=days, at=dt.datetime.now(dt.timezone.utc) - share * days * DAY)
    deploy(KEY, old, machine=machine)
    return old


def only(results: list[Renewal]) -> Renewal:
    """The one result."""
    (one,) = results
    return one


@given(MOMENTS, st.timedeltas(dt.timedelta(0), 200 * DAY), st.timedeltas(dt.timedelta(0), 400 * DAY))
def test_it_only_ever_gets_louder(due: dt.datetime, left: dt.timedelta, passed: dt.timedelta) -> None:
    """Nothing before it is due, an error at the end and after it, and in between each stage in its third."""
    end, at = due + left, due + passed
    assert how_late(due, end, due - dt.timedelta(microseconds=1)) is None
    assert how_late(due, end, end + DAY) is Severity.ERROR
    stage = how_late(due, end, at)
    assert stage is not None
    later = how_late(due, end, at + DAY)
    assert later is not None
    assert later.rank <= stage.rank
    expected = Severity.NOTICE if passed < left / 3 else Severity.WARNING if passed < left / 3 * 2 else Severity.ERROR
    assert stage is expected


@pytest.mark.parametrize("days", [12, 24, 199])
@pytest.mark.parametrize(("share", "severity"), STAGES)
def test_renewals_and_audits_agree_how_late_it_is(
    machine: EmbeddedMachine, share: float, severity: Severity | None, days: int
) -> None:
    """One rule for a lifetime of any length, whoever says it."""
    bound(machine, share, days)
    result = only(renew_due(UNABLE, machine=machine, jitter=0))
    rows = audit(machine=machine, jitter=0).rows
    found = [one.severity for one in rows[0].findings if one.code == "renewal-due"]
    assert found == [one.severity for one in result.findings] == ([] if severity is None else [severity])
    assert audit(machine=machine, jitter=0).ok is (severity is not Severity.ERROR)


def test_the_reason_and_the_time_that_is_left_are_said(
    machine: EmbeddedMachine, caplog: pytest.LogCaptureFixture
) -> None:
    """In the result, in its JSON and in the log, from a warning on; a plan says it without the log."""
    old = bound(machine, 20 / 24)
    with caplog.at_level(logging.INFO, logger="mlsssl"):
        result = only(renew_due(UNABLE, machine=machine))
        (record,) = caplog.records
        caplog.clear()
        planned = only(renew_due(UNABLE, machine=machine, dry_run=True))
        assert caplog.records == []
    (finding,) = result.findings
    assert f"ends on {old.not_after:%Y-%m-%d %H:%M} UTC, in " in finding.found
    assert "not renewed: Late may not issue this: " in finding.found
    assert (record.levelno, finding.found in record.getMessage()) == (logging.WARNING, True)
    assert KEY in record.getMessage()
    assert json.loads(json.dumps(result.to_dict()))["findings"][0]["severity"] == "warning"
    assert [one.severity for one in planned.findings] == [Severity.WARNING]


def test_what_is_renewed_or_not_due_says_nothing(machine: EmbeddedMachine, caplog: pytest.LogCaptureFixture) -> None:
    """However late it had been: the twin of the tests above."""
    bound(machine, 23 / 24)
    assert only(renew_due(CA, machine=machine)).outcome is not None
    assert audit(machine=machine).ok
    result = only(renew_due(UNABLE, machine=machine))
    assert (result.findings, result.error) == ((), None)
    assert caplog.records == []


@pytest.mark.parametrize(("share", "severity"), STAGES)
def test_another_issuers_certificate_is_left_alone_until_its_end_is_near(
    machine: EmbeddedMachine, share: float, severity: Severity | None
) -> None:
    """Then it counts as failed, for nobody else has seen to it."""
    bound(machine, share)
    result = only(renew_due(ANOTHER, machine=machine, jitter=0))
    assert [one.severity for one in result.findings] == ([] if severity is None else [severity])
    if severity is Severity.ERROR:
        assert isinstance(result.error, BindingError)
        assert "any_issuer=True" in str(result.error)
    else:
        assert "issued by CN=Late, not by Another" in (result.skipped or "")


@pytest.mark.parametrize(("share", "severity"), STAGES[1:])
def test_an_answer_that_does_not_come_gets_louder_too(
    machine: EmbeddedMachine, share: float, severity: Severity
) -> None:
    """Waiting is no failure, until there is hardly any time left to wait."""
    bound(machine, share)
    result = only(renew_due(Pending(), machine=machine, jitter=0))
    assert isinstance(result.error, IssuePendingError)
    assert [(one.severity, "a manager has to approve it" in one.found) for one in result.findings] == [(severity, True)]
    assert code_of([result]) == (9 if severity is Severity.ERROR else 13)


def test_it_takes_what_renew_takes(machine: EmbeddedMachine) -> None:
    """Profile, force and verify reach the renewal: 300 days are against the rules of public ones."""
    bound(machine, 20 / 24)
    refused = only(renew_due(CA, machine=machine, days=300, profile="public"))
    assert isinstance(refused.error, ValidationError)
    assert only(renew_due(CA, machine=machine, days=300, profile="public", force=True)).outcome is not None
    with machine.listen() as listener:
        assert listener.port_of(KEY)
        seen = only(renew_due(CA, machine=machine, due_only=False)).outcome
        blind = only(renew_due(CA, machine=machine, due_only=False, verify=False)).outcome
    assert seen is not None
    assert blind is not None
    assert (seen.verified, blind.verified) == (True, None)


# -- the command line ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("share", "code", "said"), [(15 / 24, 10, None), (17 / 24, 10, None), (19.3 / 24, 10, True), (22 / 24, 9, True)]
)
def test_the_command_says_it_on_standard_error_and_by_its_exit_code(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    share: float,
    code: int,
    said: bool | None,
) -> None:
    """A certificate of another authority: passed over, passed over with a warning, failed."""
    monkeypatch.chdir(tmp_path)
    with EmbeddedMachine("m.sqlite") as machine:
        bound(machine, share)
    ANOTHER.save("ca.pem")
    assert main(["renew", "--all", "--due", "--ca", "ca.pem", "--machine", "m.sqlite", "--jitter", "0"]) == code
    told = capsys.readouterr().err
    assert told == "" if said is None else f"{KEY}: it should have been renewed from " in told
    assert told == "" or told.startswith("mlsssl: error: " if code == 9 else "mlsssl: warning: ")
    assert ("--any-issuer renews it from Another" in told) is (code == 9)


def test_the_command_has_the_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--profile`, `--client`, `--force` and `--no-verify`, as `deploy` has them."""
    monkeypatch.chdir(tmp_path)
    with EmbeddedMachine("m.sqlite") as machine:
        bound(machine, 20 / 24)
    CA.save("ca.pem")
    words = ["renew", "--all", "--ca", "ca.pem", "--machine", "m.sqlite", "--days", "300", "--profile", "public"]
    assert main(words) == 9
    assert main([*words, "--force", "--no-verify"]) == 0
    assert main([*words[:-4], "--client", "python-3.13"]) == 0
