"""Writes finding-codes.md from the rule table: `python docs/finding_codes.py`. A test compares the two."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlsssl._validator.catalogue import MACHINE_RULE_GROUPS, MACHINE_RULES, RULE_GROUPS, RULES, WINDOWS_VERDICT
from mlsssl._validator.profiles import PROFILES
from mlsssl._validator.rules import PROFILE_NAMES, Rule
from mlsssl._windows.trust import STATUS

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = Path(__file__).with_name("finding-codes.md")

_HEAD = """# Finding codes

<!-- Written by docs/finding_codes.py from the rule table; changes belong there. -->

Every finding of a [check](validator.md) has a code. Codes are stable: a code that is here stays and keeps its meaning,
and new ones come beside them. Ask a report for one with `report.filter(code="expired")`, leave one out with
`check(..., silence={"expired": "why"})`, and weigh it otherwise with `PROFILES["private"].with_severity(...)`.

Each entry says how severe the finding is under each profile; a profile that is not named does not have the rule. A
date is the first day of issue (notBefore) on which the rule holds for that profile; before it, a finding is a notice.

What `deploy.plan`, `deploy` and `audit` find about a binding, such as `binding-shadowed`, is [at the end](#bindings);
it weighs the same whatever the profile. Where no standard says what a code says, a page of this documentation stands in
its place: `mlsssl: docs/...`.
"""

_WINDOWS = """## Windows' own verdict

On Windows `check(trust="system")` asks Windows' chain engine, and each thing that it holds against a certificate of the
chain is an error with Windows' own name, under every profile. A bit without a name here becomes
`windows-cert-trust-bit-` and the bit in hex; another code of its TLS policy becomes `windows-` and the code's name.

| code | the certificate |
|---|---|
"""

_BINDINGS = """## Bindings

What [plans, deployments](howto-replace-live.md) and audits find about bindings, changes and the machine.
"""


def render() -> str:
    """The whole page."""
    parts = [_HEAD, "## Profiles\n"]
    parts += [f"`{name}`\n: {PROFILES[name].summary}\n" for name in PROFILE_NAMES]
    parts.append(_limits())
    for title, rules in RULE_GROUPS.items():
        parts.append(f"## {title}\n")
        parts += [_entry(rule) for rule in rules]
    parts += [_windows(), _BINDINGS]
    for title, rules in MACHINE_RULE_GROUPS.items():
        parts += [f"### {title}\n", _table(rules)]
    return "\n".join(parts)


def _windows() -> str:
    """The codes of `check(trust="system")` on Windows, which are Windows' own words."""
    rows = [f"| `windows-{name.lower().replace('_', '-')}` | {text} |" for name, text in STATUS.values()]
    rows.append("| `windows-cert-e-cn-no-match` | is not for this host name |")
    return _WINDOWS + "\n".join(rows) + f"\n\nStandard: {WINDOWS_VERDICT.standard}.\n"


def _table(rules: Iterable[Rule]) -> str:
    """The codes of what is found about a machine, one a row."""
    lines = ["| code | severity | | standard |", "|---|---|---|---|"]
    lines += [f"| `{r.code}` | {next(iter(r.severities.values()))} | {r.title} | {r.standard} |" for r in rules]
    return "\n".join(lines) + "\n"


def _limits() -> str:
    lines = ["| profile | issued from | days at most | recommended | source |", "|---|---|---|---|---|"]
    lines += [
        f"| `{name}` | {limit.since.isoformat()} | {limit.days} | {limit.recommended or ''} | {limit.standard} |"
        for name in PROFILE_NAMES
        for limit in PROFILES[name].validity_limits
    ]
    return (
        "The limits of `validity-too-long`, which take effect on their dates by themselves:\n\n"
        + "\n".join(lines)
        + "\n"
    )


def _entry(rule: Rule) -> str:
    severities = []
    for name in PROFILE_NAMES:
        if name in rule.severities:
            since = rule.since.get(name)
            severities.append(f"{rule.severities[name]} in `{name}`" + (f" from {since.isoformat()}" if since else ""))
    return (
        f"### `{rule.code}`\n\n{rule.title}\n\n"
        f"- Severity: {', '.join(severities)}.\n"
        f"- Expected: {rule.expected}.\n"
        f"- Remedy: {_quoted(rule.remedy)}.\n"
        f"- Standard: {rule.standard}.\n"
    )


def _quoted(remedy: str) -> str:
    """Angle brackets and asterisks would be markup."""
    return remedy.replace("*", "\\*").replace("<", "&lt;")


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
    print(f"{PAGE}: {len(RULES) + len(MACHINE_RULES)} codes")
