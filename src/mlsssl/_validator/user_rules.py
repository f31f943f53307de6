"""Rules of the caller's own: what they are given, how they are run, and what they may yield."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from mlsssl._messages.arguments import check_callable, items_of
from mlsssl._validator.catalogue import RULES
from mlsssl._validator.report import Finding, Severity
from mlsssl._validator.rules import check_code

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509

    from mlsssl._validator.findings import Emitter
    from mlsssl._validator.profiles import Profile

__all__ = ["RuleContext", "UserRule", "check_extra_rules", "run_user_rule"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleContext:
    """What a rule of the user's own sees.

    Attributes:
        certificate: The leaf.
        path: The certificates from the leaf to the trust anchor, as far as they were found.
        host: The name asked about, or None.
        at: The moment asked about.
        profile: The profile that judges.
    """

    certificate: x509.Certificate
    path: tuple[x509.Certificate, ...]
    host: str | None
    at: datetime
    profile: Profile


UserRule = Callable[[RuleContext], Iterable[Finding]]
"""A rule of the user's own: takes a `RuleContext`, yields findings with codes of its own."""


def check_extra_rules(extra_rules: Iterable[UserRule]) -> tuple[UserRule, ...]:
    """The caller's rules; `InvalidInputError` for something else."""
    expected = "extra_rules is a list of functions of a RuleContext"
    rules = tuple(items_of(extra_rules, expected))
    for rule in rules:
        check_callable(rule, expected)
    return rules


def run_user_rule(rule: UserRule, context: RuleContext, emit: Emitter) -> list[Finding]:
    """What a rule of the caller's yields; an exception in it is a finding, so that the rest of the report stays."""
    name = getattr(rule, "__name__", type(rule).__name__)
    before = len(emit.findings)
    try:
        findings = [_check_own(finding) for finding in rule(context)]
    except Exception as error:  # noqa: BLE001 - whatever the caller's rule raises
        emit("user-rule-failed", f"rule {name}", f"{type(error).__name__}: {error}")
        return emit.findings[before:]
    return findings


def _check_own(finding: object) -> Finding:
    """A finding of a caller's rule, fit for a report; TypeError and ValueError say why it is not."""
    if not isinstance(finding, Finding):
        raise TypeError(f"it yielded {type(finding).__name__} instead of Finding")
    check_code(finding.code)
    if finding.code in RULES:
        raise ValueError(f"the code {finding.code!r} is taken")
    for field in fields(finding):
        value = getattr(finding, field.name)
        if not isinstance(value, str):
            raise TypeError(f"{field.name} is text, not {type(value).__name__}")
    return replace(finding, severity=Severity(finding.severity))  # which may be its name: "error"
