"""What a validation found: findings, and the report that holds all of them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, get_args

from mlsssl._messages.foreign_text import printable, shown
from mlsssl._messages.output import as_dict, to_json
from mlsssl.errors import InvalidInputError, ValidationError
from mlsssl.values import ClientName

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from mlsssl._notebook.cards import Printer


class Severity(str, Enum):
    """How much a finding matters.

    An error makes the certificate unusable, or a client or authority that keeps to the profile refuse it. A
    warning breaks a requirement that clients let pass today, or that only some clients enforce. A notice is worth
    knowing and needs no action.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTICE = "notice"

    def __str__(self) -> str:
        return self.value

    @property
    def rank(self) -> int:
        """0 for an error, 1 for a warning, 2 for a notice: the order in which reports list them."""
        return _RANKS[self.value]


_RANKS = {"error": 0, "warning": 1, "notice": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a validation found.

    Attributes:
        code: Stable kebab-case name of the rule, documented one by one in the table of finding codes.
        severity: How much it matters under the profile that was asked for.
        where: Which certificate of the path, and which part of it: `"leaf: subjectAltName"`.
        found: What is there.
        expected: What should be there.
        remedy: What to do, with the mlsssl call that does it.
        standard: The standard, or the vendor's page, behind the rule.
        refused_by: Clients known to refuse the certificate for this, by the names that `check(client=...)` takes.
        taken_by: Clients known to take it all the same; of those in neither it is not known. Both are about servers'
            certificates, and empty for a client's.
    """

    code: str
    severity: Severity
    where: str
    found: str
    expected: str
    remedy: str
    standard: str
    refused_by: tuple[str, ...] = ()
    taken_by: tuple[str, ...] = ()

    def __str__(self) -> str:
        text = f"{self.severity} {self.code} [{self.where}]: {self.found}; expected {self.expected}"
        return printable(text)

    def clients_text(self) -> str:
        """Which clients refuse the certificate for this and which take it; empty where none is known to refuse it."""
        if not self.refused_by:
            return ""
        if len(self.refused_by) == len(get_args(ClientName)):
            return "refused by every client that is known here"
        taken = f"; taken by {', '.join(self.taken_by)}" if self.taken_by else ""
        return printable(f"refused by {', '.join(self.refused_by)}{taken}")

    def to_dict(self) -> dict[str, object]:
        """Seven fields as text and the clients as two lists, ready for JSON."""
        return as_dict(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class PathStep:
    """One certificate of the path that was found.

    Attributes:
        role: `"leaf"`, `"intermediate"` or `"root"`: the trust anchor, whether or not it is self-signed, or a
            self-signed authority that is not trusted (`Report.trusted` is False then).
        subject: Its subject as RFC 4514 text, or a stand-in when the name cannot be read.
        der: The certificate itself.
    """

    role: str
    subject: str
    der: bytes = field(repr=False)

    @property
    def sha256(self) -> str:
        """SHA-256 of its DER, 64 hex digits."""
        return hashlib.sha256(self.der).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One way that path building tried, and what stopped it.

    Attributes:
        subjects: The subjects from the leaf to where it ended.
        stopped_by: Why it went no further, as one sentence without a full stop.
    """

    subjects: tuple[str, ...]
    stopped_by: str

    def __str__(self) -> str:
        return printable(f"{' <- '.join(self.subjects)}: {self.stopped_by}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Silenced:
    """A finding that the caller chose not to hear, with the reason given for it."""

    finding: Finding
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Every finding of one validation; true when none of them is an error.

    Attributes:
        findings: All findings, errors first; within one severity in the order of the path, leaf first.
        profile: Name of the profile that judged.
        host: The name asked about, or None when no name was.
        at: The moment asked about; aware.
        subject: The leaf's subject, or the names it is for.
        path: The certificates from the leaf to the trust anchor; only what was found when no path was.
        trusted: Whether the path ends at a certificate that the caller trusts.
        attempts: When no path was found without error: the ways that were tried.
        silenced: Findings that the caller silenced, with the reasons.
        client: The client that was asked about, or None when none was.
        not_known: Codes of findings of which it is not known whether that client refuses the certificate for them.
    """

    findings: tuple[Finding, ...]
    profile: str
    host: str | None
    at: datetime
    subject: str = ""
    path: tuple[PathStep, ...] = ()
    trusted: bool = False
    attempts: tuple[Attempt, ...] = ()
    silenced: tuple[Silenced, ...] = ()
    client: str | None = None
    not_known: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.ok

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    @property
    def ok(self) -> bool:
        """Whether no finding is an error; warnings and notices may be there."""
        return not self.errors

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings of severity error."""
        return self.filter(severity=Severity.ERROR)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings of severity warning."""
        return self.filter(severity=Severity.WARNING)

    @property
    def notices(self) -> tuple[Finding, ...]:
        """The findings of severity notice."""
        return self.filter(severity=Severity.NOTICE)

    @property
    def codes(self) -> tuple[str, ...]:
        """The code of each finding, in order, without repetition."""
        return tuple(dict.fromkeys(finding.code for finding in self.findings))

    def filter(self, *, severity: Severity | str | None = None, code: str | None = None) -> tuple[Finding, ...]:
        """The findings with this severity, this code, or both.

        Raises:
            InvalidInputError: `severity` is none of error, warning, notice.
        """
        if severity is not None:
            try:
                severity = Severity(severity)
            except ValueError:
                raise InvalidInputError(f"a severity is error, warning or notice, not {shown(severity)}") from None
        return tuple(
            finding
            for finding in self.findings
            if (severity is None or finding.severity is severity) and (code is None or finding.code == code)
        )

    def raise_for_errors(self) -> Report:
        """Return the report itself when it has no error.

        Raises:
            ValidationError: it has one; the message names every error, `.report` is this report.
        """
        errors = self.errors
        if not errors:
            return self
        lines = "\n".join(f"- {finding}. {printable(finding.remedy)}" for finding in errors)
        count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
        raise ValidationError(f"{self._headline()}: {count}\n{lines}", report=self)

    def _headline(self) -> str:
        about = f" for {self.host!r}" if self.host is not None else ""
        return printable(f"{self.subject or 'certificate'}{about}, {self._judge()}")

    def _judge(self) -> str:
        return f"profile {self.profile}" + (f", client {self.client}" if self.client is not None else "")

    def to_text(self) -> str:
        """The report as lines of plain text, without any control character from a certificate."""
        count = len(self.findings)
        found = "no finding" if count == 0 else "1 finding" if count == 1 else f"{count} findings"
        lines = [
            f"{'ok' if self.ok else 'NOT ok'}: {self._headline()}, at {self.at.isoformat(timespec='seconds')}: {found}"
        ]
        lines += [f"  {step.role:<12} {printable(step.subject)}" for step in self.path]
        for finding in self.findings:
            lines += [
                f"{finding.severity}: {finding.code} [{printable(finding.where)}]",
                f"    found:    {printable(finding.found)}",
                f"    expected: {printable(finding.expected)}",
                f"    remedy:   {printable(finding.remedy)}",
                f"    standard: {printable(finding.standard)}",
                *([f"    clients:  {finding.clients_text()}"] if finding.refused_by else []),
            ]
        if self.not_known:
            lines.append(f"not known: whether {self.client} refuses {', '.join(self.not_known)}")
        if self.attempts:
            lines += ["tried:", *(f"    {attempt}" for attempt in self.attempts)]
        lines += [f"silenced: {s.finding.code}: {printable(s.reason)}" for s in self.silenced]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.to_text()

    def to_dict(self) -> dict[str, object]:
        """The report as dicts, lists, text and booleans, ready for JSON."""
        return {
            **as_dict(self, "ok", "profile", "client", "not_known", "host", "at", "subject", "trusted"),
            "path": [as_dict(step, "role", "subject", "sha256") for step in self.path],
            **as_dict(self, "findings"),
            "attempts": [as_dict(attempt) for attempt in self.attempts],
            "silenced": [{**one.finding.to_dict(), "reason": one.reason} for one in self.silenced],
        }

    def to_json(self, *, indent: int | None = None) -> str:
        """The report as ASCII JSON; `indent` as in `json.dumps`."""
        return to_json(self.to_dict(), indent)

    def _repr_pretty_(self, printer: Printer, cycle: bool) -> None:
        printer.text(str(self))

    def _repr_html_(self) -> str:
        from mlsssl._notebook.cards import card

        return card(*self._card_parts())

    def _card_parts(self) -> tuple[str, ...]:
        """The title and the parts of its card: nothing from a certificate reaches the page unescaped."""
        from mlsssl._notebook.cards import (
            SEVERITIES,
            code,
            count,
            faint,
            findings,
            level,
            line,
            part,
            sign,
            text,
            tree,
        )

        severities = [finding.severity.value for finding in self.findings]
        counts = ", ".join(count(severities.count(word), word) for word in SEVERITIES if word in severities)
        verdict = sign("over", "not ok") if "error" in severities else sign("ok", "ok")
        about = f" for {text(self.host)}" if self.host is not None else ""
        root = sign("ok", "trusted") if self.trusted else sign("over", "not trusted")
        steps = [
            level(step.subject, step.role, "" if number else root) for number, step in enumerate(reversed(self.path))
        ]
        silenced = [line(f"{code(one.finding.code)} {text(one.reason)}") for one in self.silenced]
        return (
            f"{verdict} {text(self.subject or 'certificate')}{about}",
            line(faint(f"{self._judge()}, at {self.at:%Y-%m-%d %H:%M} UTC: {counts or 'no finding'}")),
            part("path", tree(steps)),
            part("findings", findings([finding.to_dict() for finding in self.findings])),
            part("not known of this client", code(", ".join(self.not_known)) if self.not_known else ""),
            part("ways that were tried", "".join(line(text(attempt)) for attempt in self.attempts)),
            part("silenced", "".join(silenced)),
        )
