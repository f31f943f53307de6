"""What a rule is: the code of a finding, its words, and how severe it is under each profile and from which day on."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlsssl._messages.foreign_text import shown
from mlsssl._validator.report import Severity
from mlsssl.errors import InvalidInputError
from mlsssl.values import PROFILE_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

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
        standard: The standard or the vendor's page behind it; `mlsssl: docs/<page>` where only this library says so.
        severities: Profile name to severity; a profile that is not there does not have the rule.
        since: Profile name to the first day of issue (notBefore) on which the rule holds, before which a finding
            is a notice; no entry: always.
        reissues: Whether the remedy is to issue again, which helps at a leaf and not at its issuers.
    """

    code: str
    title: str
    expected: str
    remedy: str
    standard: str
    severities: Mapping[str, Severity]
    since: Mapping[str, date] = field(default_factory=dict)
    reissues: bool = False


NEW_AUTHORITY = "make a new authority with CertificateAuthority.create(...) and issue from it"

ISSUER_REMEDIES = {
    "intermediate": "get the authority's new intermediate and put it into the chain, cert.with_chain([...]); if the "
    "authority is yours, make one with ca.create_intermediate(...) and issue from it",
    "root": "trust the authority's newer root: check(..., trust=[root]), and add it to the store Root of each client: "
    "Store.open('Root').add(root); if the authority is yours, make one with CertificateAuthority.create(...) and "
    "issue from it",
}
"""What to do about a certificate of the path that is not the leaf, whoever its authority belongs to, by its role."""


def rule(
    code: str,
    title: str,
    *,
    levels: str = "E",
    expected: str,
    standard: str,
    remedy: str = "issue a new certificate: ca.issue(...)",
    since: Mapping[str, date] | None = None,
) -> Rule:
    """A rule from one letter for each of `PROFILE_NAMES`: E, W, N, or - where the profile does not have it.

    A single letter stands for all profiles.
    """
    letters = levels.split() if len(levels) > 1 else [levels] * len(PROFILE_NAMES)
    return Rule(
        code=check_code(code),
        title=title,
        expected=expected,
        remedy=remedy,
        standard=standard,
        severities={name: _LETTERS[one] for name, one in zip(PROFILE_NAMES, letters, strict=True) if one != "-"},
        since=since or {},
        reissues=remedy.startswith(("issue ", "make a")) and not remedy.startswith("issue from"),
    )
