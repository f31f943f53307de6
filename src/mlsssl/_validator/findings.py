"""The one place where findings are made: from the code of a rule, where it was broken, and what was found there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsssl._validator.catalogue import MACHINE_RULES, RULES
from mlsssl._validator.clients import BESIDES_CLIENTS, opinions
from mlsssl._validator.report import Finding, Severity
from mlsssl._validator.rules import ISSUER_REMEDIES

if TYPE_CHECKING:
    from mlsssl._formats.parsed import View
    from mlsssl._validator.profiles import Profile
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
    refused_by: tuple[str, ...] = (),
    taken_by: tuple[str, ...] = (),
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
        refused_by=refused_by,
        taken_by=taken_by,
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

    __slots__ = ("_cases", "_counts", "_label", "_role", "findings", "issued", "profile")

    def __init__(self, profile: Profile, view: View, role: str) -> None:
        self.profile = profile
        self.issued = view.not_before.date()  # many rules hold from a day of issue on
        self._role = role
        self._cases = ("version 1",) if view.version != 3 else ()
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
        case: str = "",
    ) -> None:
        """Add a finding of this code about this part of the certificate, if the profile has the rule.

        `case` names the case of it where clients tell it from the others: a row of their table.
        """
        rule = RULES[code]
        cases = (case, *self._cases)
        known: dict[str, bool] = {}
        if self.profile.purpose == "server":
            known = opinions(code, cases, self._role, self.issued, public=self.profile.base == "public")
        severity = self._weighed(rule, known)
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
        self.findings.append(
            make_finding(
                rule,
                severity,
                f"{self._label}: {part}",
                found,
                expected=expected,
                remedy=remedy or (ISSUER_REMEDIES.get(self._role) if rule.reissues else None),
                standard=standard,
                refused_by=tuple(client for client, refuses in known.items() if refuses),
                taken_by=tuple(client for client, refuses in known.items() if not refuses),
            )
        )

    def _weighed(self, rule: Rule, known: dict[str, bool]) -> Severity | None:
        """As the profile weighs it; where it speaks for one client, an error is what that client refuses."""
        severity = self.profile.severity(rule, self.issued)
        client = self.profile.client
        if client is None or rule.code in BESIDES_CLIENTS or rule.code in self.profile.overrides:
            return severity
        if known.get(client):
            return Severity.ERROR
        return Severity.WARNING if severity is Severity.ERROR else severity
