"""Reports: what they say, and that hostile names stay harmless in every rendering."""

from __future__ import annotations

import json
import pickle
from dataclasses import FrozenInstanceError, fields, replace
from datetime import datetime, timezone
from typing import Any

import pytest

from mlsssl._validator.report import Attempt, Finding, PathStep, Report, Severity, Silenced
from mlsssl.errors import InvalidInputError, ValidationError

AT = datetime(2026, 11, 23, tzinfo=timezone.utc)
HOSTILE = "<script>alert('x')</script>\x1b[31m\u202egnp.exe"


def finding(code: str = "expired", severity: Severity = Severity.ERROR, found: str = "2020") -> Finding:
    return Finding(
        code=code,
        severity=severity,
        where="leaf: validity",
        found=found,
        expected="a later date",
        remedy="issue a new one with ca.issue(...)",
        standard="RFC 5280 section 4.1.2.5",
    )


def report(*findings: Finding) -> Report:
    return Report(findings=findings, profile="private", host="a.test", at=AT, subject="CN=a.test")


def test_a_report_without_errors_is_true() -> None:
    """Warnings and notices leave a report true; one error makes it false."""
    harmless = report(finding("a", Severity.WARNING), finding("b", Severity.NOTICE))
    assert harmless
    assert harmless.raise_for_errors() is harmless
    assert not report(finding("a", Severity.WARNING), finding())
    assert report()


@pytest.mark.parametrize("kind", [Report, PathStep])
def test_each_field_holds_what_was_given_for_it(kind: type[Report | PathStep]) -> None:
    """They are set one by one in an `__init__` of our own."""
    given = {one.name: object() for one in fields(kind)}
    made: Any = kind(**given)  # type: ignore[arg-type]
    assert {name: getattr(made, name) for name in given} == given
    assert replace(made) == made
    with pytest.raises(FrozenInstanceError):
        made.subject = "another"


def test_errors_are_raised_with_the_report_and_every_error_in_the_message() -> None:
    """The exception carries the report; its message names both errors and leaves the warning out."""
    bad = report(finding("expired"), finding("name-mismatch"), finding("odd", Severity.WARNING))
    with pytest.raises(ValidationError, match="2 errors") as caught:
        bad.raise_for_errors()
    assert caught.value.report is bad
    assert "expired" in str(caught.value)
    assert "name-mismatch" in str(caught.value)
    assert "odd" not in str(caught.value)


def test_findings_are_filtered_by_severity_and_code() -> None:
    """Either filter alone and both together; an unknown severity is refused."""
    first, second, third = finding("a"), finding("b", Severity.WARNING), finding("a", Severity.NOTICE)
    mixed = report(first, second, third)
    assert mixed.filter(severity="warning") == mixed.warnings == (second,)
    assert mixed.filter(code="a") == (first, third)
    assert mixed.filter(code="a", severity=Severity.NOTICE) == mixed.notices == (third,)
    assert list(mixed) == [first, second, third]
    assert len(mixed) == 3
    assert mixed.codes == ("a", "b")
    with pytest.raises(InvalidInputError, match="fatal"):
        mixed.filter(severity="fatal")


def test_hostile_text_is_harmless_in_every_rendering() -> None:
    """No tag in the card, no control or bidi character in text, card or exception, and JSON stays readable."""
    hostile = Report(
        findings=(finding(found=HOSTILE),),
        profile="private",
        host=HOSTILE,
        at=AT,
        subject=HOSTILE,
        path=(PathStep(role="leaf", subject=HOSTILE, der=b""),),
        attempts=(Attempt(subjects=(HOSTILE,), stopped_by=HOSTILE),),
        silenced=(Silenced(finding=finding(found=HOSTILE), reason=HOSTILE),),
    )
    card = hostile._repr_html_()
    assert "<script" not in card
    assert "&lt;script" in card
    with pytest.raises(ValidationError) as caught:
        hostile.raise_for_errors()
    for text in (hostile.to_text(), card, str(caught.value), str(hostile)):
        assert "\x1b" not in text
        assert "\u202e" not in text
    assert json.loads(hostile.to_json())["subject"] == HOSTILE


def test_a_report_survives_pickling() -> None:
    """Reports come back from worker processes unchanged."""
    original = report(finding())
    assert pickle.loads(pickle.dumps(original)) == original


def test_text_says_what_was_found_and_what_to_do() -> None:
    """The plain rendering has the five things a reader needs, and a clean report says so."""
    text = report(finding()).to_text()
    for part in ("NOT ok", "expired", "leaf: validity", "a later date", "ca.issue", "RFC 5280"):
        assert part in text
    assert "no finding" in report().to_text()


def test_the_moment_is_told_in_whole_seconds() -> None:
    """A microsecond tells a reader nothing; the data keep it."""
    at = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc)
    told = replace(report(), at=at)
    assert "at 2026-01-02T03:04:05+00:00:" in str(told)
    assert told.to_dict()["at"] == at.isoformat()
