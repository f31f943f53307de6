"""The card of each noun: what of it a notebook shows. Never a key, and never an exception over odd bytes."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from mlsssl._messages.output import escaped
from mlsssl._notebook import cards
from mlsssl._notebook.cards import Tone, Validity, card, code, facts, level, part, sign, table, tree
from mlsssl.errors import MlssslError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mlsssl._deploy.plan import Plan
    from mlsssl._validator.report import Finding, Report
    from mlsssl.auditing import Audit, AuditRow
    from mlsssl.binding import Binding
    from mlsssl.certificate import Certificate
    from mlsssl.store import StoreEntry

_MARKS: dict[str, tuple[Tone, str]] = {
    "error": ("over", "error"),
    "warning": ("soon", "warning"),
    "notice": ("note", ""),
}


def _now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc)


def _or_why(read: Callable[[], object]) -> str:
    """What a property of a certificate says, escaped; a certificate that cannot be read has a card all the same."""
    try:
        value = read()
    except MlssslError as error:
        return sign("over", str(error))
    if isinstance(value, tuple):
        value = ", ".join(map(str, value))
    return escaped("" if value is None else value)


def _names(certificate: Certificate) -> tuple[str, ...]:
    try:
        return certificate.hosts or ((certificate.common_name,) if certificate.common_name else ())
    except MlssslError:
        return ()


def _name(certificate: Certificate) -> str:
    names = _names(certificate)
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{names[0]}{more}" if names else certificate.subject or "no name"


def _validity(certificate: Certificate, at: dt.datetime | None = None) -> Validity:
    return Validity(start=certificate.not_before, end=certificate.not_after, at=at or _now())


def certificate_card(certificate: Certificate) -> str:
    """Names, dates with what is left, key, usages, thumbprint, and the chain as a tree."""
    validity = _validity(certificate)
    line = [*reversed(certificate.chain), certificate]
    last = len(line) - 1
    levels = [
        level(_name(one), _role(one, leaf=number == last), _validity(one).bar if number < last else "this one")
        for number, one in enumerate(line)
    ]
    return card(
        escaped(_name(certificate)),
        facts(
            [
                ("names", _or_why(lambda: certificate.names)),
                ("subject", escaped(certificate.subject)),
                ("issuer", escaped(certificate.issuer) + (" (itself)" if certificate.is_self_issued else "")),
                ("valid", f"{certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d} {validity.bar}"),
                ("key", _key(certificate)),
                ("usages", _or_why(lambda: (*certificate.key_usages, *certificate.extended_key_usages))),
                ("thumbprint", code(certificate.thumbprint)),
                ("SHA-256", code(certificate.sha256)),
                ("friendly name", escaped(certificate.friendly_name or "")),
            ]
        ),
        part("chain", tree(levels) if last else ""),
    )


def _key(certificate: Certificate) -> str:
    here = (
        sign("ok", "private key here") if certificate.has_private_key else "<span class='faint'>no private key</span>"
    )
    return f"{_or_why(lambda: certificate.key_type)} · {here}"


def _role(certificate: Certificate, *, leaf: bool) -> str:
    if leaf:
        return "server" if not _is_ca(certificate) else "authority"
    return "root" if certificate.is_self_issued else "intermediate"


def _is_ca(certificate: Certificate) -> bool:
    try:
        return certificate.is_ca
    except MlssslError:
        return False


def report_card(report: Report) -> str:
    """The verdict, the path as a tree from the root down, and every finding with its remedy."""
    verdict = sign("ok", "ok") if report.ok else sign("over", "not ok")
    about = f" for {escaped(report.host)}" if report.host is not None else ""
    trusted = {True: sign("ok", "trusted"), False: sign("over", "not trusted")}
    steps = [
        level(step.subject, step.role, trusted[report.trusted] if number == 0 else "")
        for number, step in enumerate(reversed(report.path))
    ]
    tried = "".join(f"<p>{escaped(attempt)}</p>" for attempt in report.attempts)
    silenced = "".join(f"<p>{code(one.finding.code)} {escaped(one.reason)}</p>" for one in report.silenced)
    counts = ", ".join(
        f"{len(found)} {word}{'' if len(found) == 1 else 's'}"
        for word, found in (("error", report.errors), ("warning", report.warnings), ("notice", report.notices))
        if found
    )
    return card(
        f"{verdict} {escaped(report.subject or 'certificate')}{about}",
        f'<p class="faint">profile {escaped(report.profile)}, at {report.at:%Y-%m-%d %H:%M} UTC: '
        f"{counts or 'no finding'}</p>",
        part("path", tree(steps)),
        part("findings", _findings(report.findings)),
        part("ways that were tried", tried),
        part("silenced", silenced),
    )


def _findings(findings: Iterable[Finding]) -> str:
    return cards.findings(
        (f.severity.value, f.code, f.where, f.found, f.expected, f.remedy, f.standard) for f in findings
    )


def plan_card(plan: Plan) -> str:
    """What would be done, what changes in the record, and what speaks against it."""
    if not plan.ok:
        verdict = sign("over", "would be refused")
    else:
        verdict = sign("ok", "ready") if plan.changes else sign("note", "nothing to change")
    return card(
        f"plan for {escaped(plan.key)} · {verdict}",
        part("steps", cards.ordered(plan.steps)),
        part("the binding", cards.diff(plan.diff)),
        part("findings", _findings(plan.findings)),
    )


def store_card(title: str, entries: Sequence[StoreEntry]) -> str:
    """What is in a store, those that end first on top."""
    rows = [
        [
            escaped(_name(entry.certificate))
            + _second_line(entry.friendly_name)
            + f"<br>{code(entry.thumbprint, whole=True)}",
            escaped(entry.certificate.issuer),
            _validity(entry.certificate).bar,
            _stored_key(entry),
        ]
        for entry in sorted(entries, key=lambda entry: entry.certificate.not_after)
    ]
    count = f"{len(rows)} certificate{'' if len(rows) == 1 else 's'}"
    return card(
        f"{escaped(title)} · {count}",
        table(("certificate", "issuer", "validity", "private key"), rows, empty="the store is empty"),
    )


def _stored_key(entry: StoreEntry) -> str:
    if entry.key is None:
        return "<span class='faint'>none</span>"
    if entry.has_private_key:
        return sign("ok", "usable")
    return sign("over", entry.key.problem or "another certificate's")


def _lines(first: str, second: str | None) -> str:
    return escaped(first) + _second_line(second) if first else f"<span class='faint'>{escaped(second or '')}</span>"


def _second_line(text: str | None) -> str:
    return f"<br><span class='faint'>{escaped(text)}</span>" if text else ""


def bindings_card(title: str, bindings: Sequence[Binding]) -> str:
    """Every binding with the certificate that it names and how long that lasts."""
    rows = []
    for binding in bindings:
        found, trouble = None, f"not in {binding.store_name}"
        try:
            found = binding.certificate
        except MlssslError:  # the others are to be shown all the same
            trouble = "cannot be read"
        options = repr(binding.options).removeprefix("BindingOptions(").removesuffix(")")
        if binding.thumbprint is None:
            what, left = "<span class='faint'>from the central store</span>", ""
        elif found is None:
            what, left = sign("over", trouble), ""
        else:
            what, left = escaped(_name(found)), _validity(found).bar
        rows.append(
            [
                f"<strong>{escaped(binding.key)}</strong>{_second_line(binding.family.value)}",
                what + (f"<br>{code(binding.thumbprint, whole=True)}" if binding.thumbprint is not None else ""),
                left,
                escaped(binding.owner) if binding.owner else code(f"{{{binding.app_id}}}"),
                code(options) if options else "<span class='faint'>default</span>",
            ]
        )
    count = f"{len(rows)} binding{'' if len(rows) == 1 else 's'}"
    heads = ("binding", "certificate", "validity", "owner", "options")
    return card(f"{escaped(title)} · {count}", table(heads, rows, empty="nothing is bound"))


def audit_card(audit: Audit) -> str:
    """Each binding with a bar of the days left, the state of its key, and what is wrong."""
    verdict = sign("ok", "no error") if audit.ok else sign("over", "errors")
    rows = [
        [
            f"<strong>{escaped(row.key)}</strong>" if row.key is not None else "<span class='faint'>not bound</span>",
            _lines(", ".join(row.names), row.owner),
            _row_validity(row, audit.at),
            _row_key(row),
            "<br>".join(_finding_line(finding) for finding in row.findings) or sign("ok", "nothing"),
        ]
        for row in audit.rows
    ]
    heads = ("binding", "names and owner", "days left", "private key", "findings")
    return card(
        f"audit of {escaped(audit.machine)} · {verdict}",
        f'<p class="faint">at {audit.at:%Y-%m-%d %H:%M} UTC</p>',
        table(heads, rows, empty="nothing is bound"),
    )


def _row_validity(row: AuditRow, at: dt.datetime) -> str:
    """The audit knows the end and when a renewal is due, not the beginning: a full bar is a year, or more."""
    if row.not_after is None:
        return ""
    left = row.not_after - at
    tone: Tone = "over" if left < dt.timedelta(0) else "soon" if row.renew_from and at >= row.renew_from else "ok"
    words = Validity(start=min(at, row.not_after), end=row.not_after, at=at).words
    width = 0 if tone == "over" else min(100, max(1, round(100 * left / dt.timedelta(days=365))))
    return cards.bar(width, tone, words)


def _row_key(row: AuditRow) -> str:
    if row.private_key is None:
        return ""
    return sign("ok" if row.private_key == "usable" else "over", row.private_key)


def _finding_line(finding: Finding) -> str:
    tone, word = _MARKS[finding.severity.value]
    return f"{sign(tone, word)} {code(finding.code)} <span class='faint'>{escaped(finding.found)}</span>"
