"""The one place where findings are made: from the code of a rule, where it was broken, and what was found there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsssl._validator.catalogue import MACHINE_RULES, RULES
from mlsssl._validator.clients import BESIDES_CLIENTS, opinions
from mlsssl._validator.report import Finding, Severity
from mlsssl._validator.rules import ISSUER_REMEDIES

if TYPE_CHECKING:
    from datetime import date

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


def role_in_words(view: View, role: str) -> str:
    """What a certificate is called that has this role in the path: a root that is not trusted is a root still."""
    return "root" if role == "intermediate" and view.is_root else role


class Emitter:
    """Collects the findings about one certificate: the `"leaf"`, an `"intermediate"`, or the anchor, a `"root"`."""

    __slots__ = ("_counts", "_role", "_view", "findings", "profile")

    def __init__(self, profile: Profile, view: View, role: str) -> None:
        self.profile = profile
        self._view = view
        self._role = role
        self.findings: list[Finding] = []
        self._counts: dict[str, int] = {}

    @property
    def issued(self) -> date:
        """The day of issue: many rules hold from one on."""
        return self._view.not_before.date()

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
        rule, profile, view = RULES[code], self.profile, self._view
        if profile.base not in rule.severities and not profile.overrides and profile.client is None:
            return  # what most calls of a check of a good certificate come to
        issued = view.not_before.date()
        severity = profile.severity(rule, issued)
        if severity is None and profile.client is None:
            return
        known: dict[str, bool] = {}
        if profile.purpose == "server":
            cases = (case,) if view.version == 3 else (case, "version 1")
            known = opinions(code, cases, self._role, issued, public=profile.base == "public")
        severity = self._weighed(rule, severity, known)
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
        role = role_in_words(view, self._role)
        label = role if role == "leaf" else f'{role} "{view.subject_text}"'
        self.findings.append(
            make_finding(
                rule,
                severity,
                f"{label}: {part}",
                found,
                expected=expected,
                remedy=remedy or (ISSUER_REMEDIES.get(role) if rule.reissues else None),
                standard=standard,
                refused_by=tuple(client for client, refuses in known.items() if refuses),
                taken_by=tuple(client for client, refuses in known.items() if not refuses),
            )
        )

    def _weighed(self, rule: Rule, severity: Severity | None, known: dict[str, bool]) -> Severity | None:
        """As the profile weighs it; where it speaks for one client, an error is what that client refuses."""
        client = self.profile.client
        if client is None or rule.code in BESIDES_CLIENTS or rule.code in self.profile.overrides:
            return severity
        if known.get(client):
            return Severity.ERROR
        return Severity.WARNING if severity is Severity.ERROR else severity
