"""Writes finding-codes.md and clients.md from their tables: `python docs/finding_codes.py`. A test compares them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlsssl._validator.catalogue import MACHINE_RULE_GROUPS, MACHINE_RULES, RULE_GROUPS, RULES, WINDOWS_VERDICT
from mlsssl._validator.clients import BESIDES_CLIENTS, CLIENTS, OPINIONS
from mlsssl._validator.profiles import PROFILES
from mlsssl._validator.rules import ISSUER_REMEDIES, Rule
from mlsssl._windows.trust import STATUS
from mlsssl.values import PROFILE_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable

PAGE = Path(__file__).with_name("finding-codes.md")
CLIENTS_PAGE = Path(__file__).with_name("clients.md")

_HEAD = """# Finding codes

<!-- Written by docs/finding_codes.py from the rule table; changes belong there. -->

Every finding of a [check](validator.md) has a code. Codes are stable: a code that is here stays and keeps its meaning,
and new ones come beside them. Ask a report for one with `report.filter(code="expired")`, leave one out with
`check(..., silence={"expired": "why"})`, and weigh it otherwise with `PROFILES["private"].with_severity(...)`.

Each entry says how severe the finding is under each profile; a profile that is not named does not have the rule. A
date is the first day of issue (notBefore) on which the rule holds for that profile; before it, a finding is a notice.

What `deploy.plan`, `deploy` and `audit` find about a binding, such as `binding-shadowed`, is [at the end](#bindings);
it weighs the same whatever the profile. [Which client refuses what](clients.md) is a table of its own. Where no
standard says what a code says, a page of this documentation stands in its place: `mlsssl: docs/...`.
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


_CLIENTS = """# Which client refuses

<!-- Written by docs/finding_codes.py from the table of clients; changes belong there. -->

A certificate that one client takes another may refuse. Each finding names the clients that are known to refuse a
certificate for it (`finding.refused_by`) and those that are known to take it all the same (`finding.taken_by`); of the
rest it is not known. To ask for one client, name it:

```pycon
>>> from mlsssl import CertificateAuthority
>>> ca = CertificateAuthority.create("Test CA", key="ec-p256")
>>> report = ca.issue("www.example.com", days=900).check("www.example.com", trust=[ca], client="python-3.13")
>>> report.ok, [(str(f.severity), f.code, f.refused_by) for f in report]
(True, [('warning', 'validity-too-long', ('apple',))])
>>> ca.issue("www.example.com", days=900).check("www.example.com", trust=[ca], client="apple").ok
False
```

On the command line it is `mlsssl check FILE --client python-3.13`; the exit code is 1 when that client refuses. The
report is ok exactly when that client takes the certificate, as far as known, and `report.not_known` has the codes of
its findings of which it is not known. What the client is known to refuse is an error under every profile, and nothing
else that clients look at is. `deploy`, `renew`, `audit` and whatever else takes a profile ask for a client with
`profile=PROFILES["private"].for_client("python-3.13")`, and `mlsssl deploy` and `mlsssl audit` with `--client`.

Not asked of a client, and weighed as the profile weighs it: {besides}. Nor is it known what a client refuses for
reasons that no finding has a code for: a proxy's rules, a list of blocked certificates, a limit set by its
administrator, a critical policyConstraints that GnuTLS does not process. A client with settings of its own (a lower
security level, `VERIFY_X509_STRICT` taken away) is another client. With `trust="system"` on Windows it is Windows that
judges the chain, and what it holds against it stays an error whichever client is asked for.

## The clients
"""

_CLIENTS_TABLE = """## What each refuses

Looked at on {seen}. **refuses**: a certificate with this finding and no other fault is refused; *not the root*: except
where it stands at a trusted root; *the leaf*: at the leaf, elsewhere not known; *public*: where the root is a public
authority's (the profile `public`), not where it is one's own; yes: taken; empty: not known, or it depends on more than
the finding says. A row with a slash is a case of a finding that clients tell from the others: an extension by its name,
or `decisive` for a name that no other name of the certificate replaces.
"""

_WORDS = {"R": "**refuses**", "r": "**refuses**, not the root", "l": "**refuses** the leaf", "P": "**refuses** public"}


def render_clients() -> str:
    """The page of clients."""
    besides = ", ".join(f"`{code}`" for code in sorted(BESIDES_CLIENTS))
    parts = [_CLIENTS.replace("{besides}", besides)]
    for name, client in CLIENTS.items():
        parts.append(
            f"`{name}`\n: {client.title}.\n: Asked: {client.asked}.\n: Source: {client.source}; looked at on "
            f"{client.seen.isoformat()}.\n"
        )
    seen = max(client.seen for client in CLIENTS.values()).isoformat()
    parts.append(_CLIENTS_TABLE.replace("{seen}", seen))
    lines = [f"| code | {' | '.join(CLIENTS)} |", f"|---|{'---|' * len(CLIENTS)}"]
    for key, letters in OPINIONS.items():
        cells = (_WORDS.get(letter, "yes" if letter == "a" else "") for letter in letters)
        lines.append(f"| `{key}` | {' | '.join(cells)} |")
    return "\n".join(parts) + "\n" + "\n".join(lines) + "\n"


def render() -> str:
    """The whole page."""
    parts = [_HEAD, _issuers(), "## Profiles\n"]
    parts += [f"`{name}`\n: {PROFILES[name].summary}\n" for name in PROFILE_NAMES]
    parts.append(_limits())
    for title, rules in RULE_GROUPS.items():
        parts.append(f"## {title}\n")
        parts += [_entry(rule) for rule in rules]
    parts += [_windows(), _BINDINGS]
    for title, rules in MACHINE_RULE_GROUPS.items():
        parts += [f"### {title}\n", _table(rules)]
    return "\n".join(parts)


def _issuers() -> str:
    lines = [f"- {role}: {_quoted(remedy)}." for role, remedy in ISSUER_REMEDIES.items()]
    return (
        "Where a finding stands at an issuer, to issue again helps only whom the authority belongs to. The remedy is "
        "then, in place of\nthe one below:\n\n" + "\n".join(lines) + "\n"
    )


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
    CLIENTS_PAGE.write_text(render_clients(), encoding="utf-8")
    print(f"{PAGE}: {len(RULES) + len(MACHINE_RULES)} codes")
