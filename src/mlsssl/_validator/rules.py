"""What a rule and a profile are: data that says how much a finding matters, to whom, and from which day on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from mlsssl._messages.foreign_text import shown
from mlsssl._validator.report import Finding, Severity
from mlsssl.errors import InvalidInputError

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["PROFILE_NAMES", "Profile", "Rule", "RuleContext", "UserRule", "ValidityLimit", "check_code", "days_of"]

PROFILE_NAMES = ("procedure", "private", "public", "windows", "legacy")
_LETTERS = {"E": Severity.ERROR, "W": Severity.WARNING, "N": Severity.NOTICE}
_CODE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def check_code(code: str) -> str:
    """Return `code` if it is kebab-case ASCII; `InvalidInputError` otherwise."""
    if not isinstance(code, str) or not _CODE.fullmatch(code) or len(code) > 60:
        raise InvalidInputError(f"a finding code is lower-case words joined by hyphens, not {shown(code)}")
    return code


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: what a finding of its code means under each profile.

    Attributes:
        code: Its stable name.
        title: What it is about, one sentence.
        expected: What should be there; a check may say it more exactly.
        remedy: What to do; a check may say it more exactly.
        standard: The standard or page behind it.
        severities: Profile name to severity; a profile that is not there does not have the rule.
        since: Profile name to the first day of issue (notBefore) on which the rule holds, before which a finding
            is a notice; no entry: always.
    """

    code: str
    title: str
    expected: str
    remedy: str
    standard: str
    severities: Mapping[str, Severity]
    since: Mapping[str, date] = field(default_factory=dict)


def rule(
    code: str,
    levels: str,
    title: str,
    *,
    expected: str,
    remedy: str,
    standard: str,
    since: Mapping[str, date] | None = None,
) -> Rule:
    """A rule from one letter for each of `PROFILE_NAMES`: E, W, N, or - where the profile does not have it."""
    letters = levels.split()
    assert len(letters) == len(PROFILE_NAMES), code
    severities = {name: _LETTERS[letter] for name, letter in zip(PROFILE_NAMES, letters, strict=True) if letter != "-"}
    return Rule(
        code=check_code(code),
        title=title,
        expected=expected,
        remedy=remedy,
        standard=standard,
        severities=severities,
        since=since or {},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidityLimit:
    """The longest validity of certificates issued from a day on.

    Attributes:
        since: First day of issue (notBefore) on which it holds.
        days: Days at most, counted as `days_of` does.
        recommended: Days at most as a recommendation; None when the source has none.
        standard: Where it stands.
    """

    since: date
    days: int
    recommended: int | None
    standard: str


def days_of(not_before: datetime, not_after: datetime) -> int:
    """Days of validity: both ends count, a day has 86,400 s, any rest is another day (BR sections 1.6.1 and 6.3.2)."""
    return -((not_before - not_after - timedelta(seconds=1)) // timedelta(days=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Whose rules judge.

    Attributes:
        name: One of `PROFILE_NAMES`, or a name of your own for a profile made with `with_severity`.
        base: The profile of the rule table that it stands on.
        summary: Whom it speaks for, one sentence.
        validity_limits: Limits in the order of their dates; the last one in force on the day of issue holds.
        accepts_common_name: Whether a name in the subject's CN counts when there is no subjectAltName.
        overrides: Code to the severity that this profile gives it instead; None leaves the rule out.
    """

    name: str
    base: str
    summary: str
    validity_limits: Sequence[ValidityLimit] = ()
    accepts_common_name: bool = False
    overrides: Mapping[str, Severity | None] = field(default_factory=dict)

    def severity(self, checked: Rule, issued: date) -> Severity | None:
        """How much a finding of this rule matters for a certificate issued on this day; None: not at all."""
        if checked.code in self.overrides:
            return self.overrides[checked.code]
        since = checked.since.get(self.base)
        if since is not None and issued < since:
            return Severity.NOTICE
        return checked.severities.get(self.base)

    def has(self, checked: Rule) -> bool:
        """Whether findings of this rule can come up at all."""
        return self.overrides.get(checked.code, checked.severities.get(self.base)) is not None

    def limit(self, issued: date) -> ValidityLimit | None:
        """The validity limit in force on this day, or None."""
        held = None
        for limit in self.validity_limits:
            if issued >= limit.since:
                held = limit
        return held

    def with_severity(self, name: str, /, **overrides: Severity | str | None) -> Profile:
        """A copy called `name` in which codes (hyphens written as underscores) have other severities, or none.

        Raises:
            InvalidInputError: a severity or a code that does not exist.
        """
        from mlsssl._validator.catalogue import RULES  # which is made of the classes above

        unknown = [code for code in overrides if code.replace("_", "-") not in RULES]
        if unknown:
            raise InvalidInputError(f"there is no finding code {unknown[0].replace('_', '-')!r} to give a severity to")
        try:
            changed = {
                check_code(code.replace("_", "-")): None if severity is None else Severity(severity)
                for code, severity in overrides.items()
            }
        except ValueError:
            wrong = ", ".join(map(shown, overrides.values()))
            raise InvalidInputError(f"a severity is error, warning, notice or None, not {wrong}") from None
        return Profile(
            name=name,
            base=self.base,
            summary=self.summary,
            validity_limits=self.validity_limits,
            accepts_common_name=self.accepts_common_name,
            overrides={**self.overrides, **changed},
        )


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
