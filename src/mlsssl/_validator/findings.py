"""The one place where findings are made: from the code of a rule, where it was broken, and what was found there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsssl._validator.catalogue import MACHINE_RULES, RULES
from mlsssl._validator.report import Finding

if TYPE_CHECKING:
    from mlsssl._formats.parsed import View
    from mlsssl._validator.profiles import Profile
    from mlsssl._validator.report import Severity
    from mlsssl._validator.rules import Rule


# A certificate can carry a hundred thousand wrong names; nobody reads more than these.
_MOST_OF_ONE_CODE = 25
# Nor more of one than this, which is enough for twenty names of the greatest length a host name has.
_LONGEST_FOUND = 6000


def make_finding(
    rule: Rule,
    severity: Severity,
    where: str,
    found: str,
    *,
    expected: str | None = None,
    remedy: str | None = None,
    standard: str | None = None,
) -> Finding:
    """A finding of this rule; `expected`, `remedy` and `standard` only where they are more exact than the rule's."""
    return Finding(
        code=rule.code,
        severity=severity,
        where=where,
        found=found,
        expected=expected or rule.expected,
        remedy=remedy or rule.remedy,
        standard=standard or rule.standard,
    )


def machine_finding(
    code: str,
    where: str,
    found: str,
    *,
    severity: Severity | None = None,
    expected: str | None = None,
    remedy: str | None = None,
) -> Finding:
    """A finding about a binding, a change or a machine, from `MACHINE_RULES`; the rest only where it differs there."""
    rule = MACHINE_RULES[code]
    fixed = next(iter(rule.severities.values()))  # the same under every profile
    return make_finding(rule, severity or fixed, where, found, expected=expected, remedy=remedy)


class Emitter:
    """Collects the findings about one certificate, which is a `"leaf"`, an `"intermediate"` or a `"root"`."""

    __slots__ = ("_counts", "_label", "findings", "issued", "profile")

    def __init__(self, profile: Profile, view: View, role: str) -> None:
        self.profile = profile
        self.issued = view.not_before.date()  # many rules hold from a day of issue on
        self._label = role if role == "leaf" else f'{role} "{view.subject_text}"'
        self.findings: list[Finding] = []
        self._counts: dict[str, int] = {}

    def __call__(
        self,
        code: str,
        part: str,
        found: str,
        *,
        expected: str | None = None,
        remedy: str | None = None,
        standard: str | None = None,
    ) -> None:
        """Add a finding of this code about this part of the certificate, if the profile has the rule."""
        rule = RULES[code]
        severity = self.profile.severity(rule, self.issued)
        if severity is None:
            return
        count = self._counts.get(code, 0) + 1
        self._counts[code] = count
        if count > _MOST_OF_ONE_CODE:
            return
        if count == _MOST_OF_ONE_CODE:
            found = f"{found[:_LONGEST_FOUND]} (more of the same are left out)"
        elif len(found) > _LONGEST_FOUND:
            found = f"{found[:_LONGEST_FOUND]}…"
        part = f"{self._label}: {part}"
        self.findings.append(
            make_finding(rule, severity, part, found, expected=expected, remedy=remedy, standard=standard)
        )
