"""Where checks put what they find: turns a rule's code into a finding, or into nothing, as the profile says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsssl._validator.catalogue import RULES
from mlsssl._validator.report import Finding, Severity

if TYPE_CHECKING:
    from datetime import date

    from mlsssl._validator.rules import Profile

__all__ = ["Emitter"]

# A certificate can carry a hundred thousand wrong names; nobody reads more than these.
_MOST_OF_ONE_CODE = 25
# Nor more of one than this, which is enough for twenty names of the greatest length a host name has.
_LONGEST_FOUND = 6000


class Emitter:
    """Collects the findings about one certificate.

    Args:
        profile: Decides on severities.
        label: Which certificate of the path, for `Finding.where`: `"leaf"`, `'root "CN=x"'`.
        issued: Its day of issue, since many rules hold from a day on.
    """

    __slots__ = ("_counts", "findings", "issued", "label", "profile")

    def __init__(self, profile: Profile, label: str, issued: date) -> None:
        self.profile = profile
        self.label = label
        self.issued = issued
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
        self.findings.append(
            Finding(
                code=code,
                severity=severity,
                where=f"{self.label}: {part}",
                found=found,
                expected=expected or rule.expected,
                remedy=remedy or rule.remedy,
                standard=standard or rule.standard,
            )
        )

    @property
    def first_error(self) -> Finding | None:
        """The first finding that is an error, or None."""
        return next((finding for finding in self.findings if finding.severity is Severity.ERROR), None)
