"""The card of each kind of object: which values it shows, in what order. The objects give the values."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlsssl._messages.output import escaped
from mlsssl._notebook import cards
from mlsssl._notebook.cards import SEVERITIES, Tone, Validity, card, code, facts, level, part, sign, table, tree
from mlsssl.errors import MlssslError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts:
    """What every card shows of a certificate.

    Attributes:
        names: Its host names and addresses, else its common name; empty also when they cannot be read.
        subject: As text.
        issuer: As text.
        validity: When it is valid.
        is_ca: Whether it says, legibly, that it may issue certificates.
        is_self_issued: Whether subject and issuer are the same name.
    """

    names: tuple[str, ...]
    subject: str
    issuer: str
    validity: Validity
    is_ca: bool
    is_self_issued: bool

    @property
    def title(self) -> str:
        """Its first name and how many more there are, else its subject."""
        more = f" and {len(self.names) - 1} more" if len(self.names) > 1 else ""
        return f"{self.names[0]}{more}" if self.names else self.subject or "no name"


def certificate_card(
    line: Sequence[CertificateFacts],
    *,
    names: Callable[[], Iterable[str]],
    key_type: Callable[[], str],
    usages: Callable[[], Iterable[str]],
    has_private_key: bool,
    thumbprint: object,
    sha256: str,
    friendly_name: str | None,
) -> str:
    """Names, dates with what is left, key, usages, thumbprint, and the chain as a tree.

    `line` is the certificate and those above it. `names`, `key_type` and `usages` read it, and may raise a
    `MlssslError`: the card then says why.
    """
    leaf, *above = line
    validity = leaf.validity
    levels = [
        level(one.title, "root" if one.is_self_issued else "intermediate", one.validity.bar) for one in reversed(above)
    ]
    levels.append(level(leaf.title, "authority" if leaf.is_ca else "server", "this one"))
    here = sign("ok", "private key here") if has_private_key else "<span class='faint'>no private key</span>"
    return card(
        escaped(leaf.title),
        facts(
            [
                ("names", _or_why(lambda: ", ".join(names()))),
                ("subject", escaped(leaf.subject)),
                ("issuer", escaped(leaf.issuer) + (" (itself)" if leaf.is_self_issued else "")),
                ("valid", f"{validity.start:%Y-%m-%d} to {validity.end:%Y-%m-%d} {validity.bar}"),
                ("key", f"{_or_why(key_type)} · {here}"),
                ("usages", _or_why(lambda: ", ".join(usages()))),
                ("thumbprint", code(thumbprint)),
                ("SHA-256", code(sha256)),
                ("friendly name", escaped(friendly_name or "")),
            ]
        ),
        part("chain", tree(levels) if above else ""),
    )


def _or_why(read: Callable[[], str]) -> str:
    """What `read` returns, escaped, or why it failed: a certificate that cannot be read has a card all the same."""
    try:
        return escaped(read())
    except MlssslError as error:
        return sign("over", str(error))


def report_card(
    *,
    subject: str,
    host: str | None,
    profile: str,
    at: dt.datetime,
    trusted: bool,
    path: Sequence[tuple[str, str]],
    findings: Sequence[Mapping[str, str]],
    attempts: Iterable[object],
    silenced: Iterable[tuple[str, str]],
) -> str:
    """The verdict, the path as a tree from the root down, and every finding with its remedy.

    `path` is subject and role of each certificate, the leaf first; `silenced` code and reason of each finding left out.
    """
    severities = [one["severity"] for one in findings]
    counts = ", ".join(
        f"{count} {word}{'' if count == 1 else 's'}" for word in SEVERITIES if (count := severities.count(word))
    )
    verdict = sign("over", "not ok") if "error" in severities else sign("ok", "ok")
    about = f" for {escaped(host)}" if host is not None else ""
    root = sign("ok", "trusted") if trusted else sign("over", "not trusted")
    steps = [level(name, role, "" if number else root) for number, (name, role) in enumerate(reversed(path))]
    return card(
        f"{verdict} {escaped(subject or 'certificate')}{about}",
        f'<p class="faint">profile {escaped(profile)}, at {at:%Y-%m-%d %H:%M} UTC: {counts or "no finding"}</p>',
        part("path", tree(steps)),
        part("findings", cards.findings(findings)),
        part("ways that were tried", "".join(f"<p>{escaped(attempt)}</p>" for attempt in attempts)),
        part("silenced", "".join(f"<p>{code(name)} {escaped(reason)}</p>" for name, reason in silenced)),
    )


def plan_card(
    key: object,
    *,
    ok: bool,
    changes: bool,
    steps: Iterable[object],
    diff: Iterable[tuple[str, str | None, str | None]],
    findings: Sequence[Mapping[str, str]],
) -> str:
    """What would be done, what changes in the record, and what speaks against it."""
    ready = sign("ok", "ready") if changes else sign("note", "nothing to change")
    return card(
        f"plan for {escaped(key)} · {ready if ok else sign('over', 'would be refused')}",
        part("steps", cards.ordered(steps)),
        part("the binding", cards.diff(diff)),
        part("findings", cards.findings(findings)),
    )


def store_card(title: str, rows: Sequence[Sequence[str]]) -> str:
    """What is in a store: a `store_row` for each certificate."""
    count = f"{len(rows)} certificate{'' if len(rows) == 1 else 's'}"
    return card(
        f"{escaped(title)} · {count}",
        table(("certificate", "issuer", "validity", "private key"), rows, empty="the store is empty"),
    )


def store_row(
    certificate: CertificateFacts, *, friendly_name: str | None, thumbprint: object, private_key: str | None
) -> list[str]:
    """A certificate in a store; `private_key` is `usable`, what is wrong with it, or None when there is none."""
    return [
        f"{escaped(certificate.title)}{_second_line(friendly_name)}<br>{code(thumbprint, whole=True)}",
        escaped(certificate.issuer),
        certificate.validity.bar,
        _key(private_key) or "<span class='faint'>none</span>",
    ]


def _key(state: str | None) -> str:
    return "" if state is None else sign("ok" if state == "usable" else "over", state)


def _second_line(text: str | None) -> str:
    return f"<br><span class='faint'>{escaped(text)}</span>" if text else ""


def bindings_card(title: str, rows: Sequence[Sequence[str]]) -> str:
    """A `binding_row` for each binding."""
    count = f"{len(rows)} binding{'' if len(rows) == 1 else 's'}"
    heads = ("binding", "certificate", "validity", "owner", "options")
    return card(f"{escaped(title)} · {count}", table(heads, rows, empty="nothing is bound"))


def binding_row(
    key: object,
    *,
    family: str,
    certificate: CertificateFacts | str,
    thumbprint: object | None,
    owner: str | None,
    app_id: object,
    options: str,
) -> list[str]:
    """A binding with the certificate that it names and how long that lasts.

    `certificate` is a text where it cannot be shown: why. Without `thumbprint` it is the central store's.
    """
    if thumbprint is None:
        what, left = "<span class='faint'>from the central store</span>", ""
    elif isinstance(certificate, str):
        what, left = sign("over", certificate), ""
    else:
        what, left = escaped(certificate.title), certificate.validity.bar
    return [
        f"<strong>{escaped(key)}</strong>{_second_line(family)}",
        what + (f"<br>{code(thumbprint, whole=True)}" if thumbprint is not None else ""),
        left,
        escaped(owner) if owner else code(f"{{{app_id}}}"),
        code(options) if options else "<span class='faint'>default</span>",
    ]


def audit_card(machine: str, rows: Sequence[Sequence[str]], *, at: dt.datetime, ok: bool) -> str:
    """An `audit_row` for each binding."""
    heads = ("binding", "names and owner", "days left", "private key", "findings")
    return card(
        f"audit of {escaped(machine)} · {sign('ok', 'no error') if ok else sign('over', 'errors')}",
        f'<p class="faint">at {at:%Y-%m-%d %H:%M} UTC</p>',
        table(heads, rows, empty="nothing is bound"),
    )


def audit_row(
    key: object | None,
    *,
    names: Iterable[str],
    owner: str | None,
    not_after: dt.datetime | None,
    renew_from: dt.datetime | None,
    at: dt.datetime,
    private_key: str | None,
    findings: Iterable[Mapping[str, str]],
) -> list[str]:
    """A binding with a bar of the days left, the state of its key, and what is wrong.

    Without `key` nothing is bound to the certificate, without `not_after` there is none; `private_key` as in
    `store_row`.
    """
    first = escaped(", ".join(names))
    return [
        f"<strong>{escaped(key)}</strong>" if key is not None else "<span class='faint'>not bound</span>",
        first + _second_line(owner) if first else f"<span class='faint'>{escaped(owner or '')}</span>",
        "" if not_after is None else _days_left(not_after, renew_from, at),
        _key(private_key),
        "<br>".join(map(_finding_line, findings)) or sign("ok", "nothing"),
    ]


def _days_left(end: dt.datetime, renew_from: dt.datetime | None, at: dt.datetime) -> str:
    """An audit knows the end and when a renewal is due, not the beginning: a full bar is a year, or more."""
    left = end - at
    tone: Tone = "over" if left < dt.timedelta(0) else "soon" if renew_from and at >= renew_from else "ok"
    words = Validity(start=min(at, end), end=end, at=at).words
    width = 0 if tone == "over" else min(100, max(1, round(100 * left / dt.timedelta(days=365))))
    return cards.bar(width, tone, words)


def _finding_line(finding: Mapping[str, str]) -> str:
    severity = finding["severity"]
    mark = sign(SEVERITIES[severity], "" if severity == "notice" else severity)
    return f"{mark} {code(finding['code'])} <span class='faint'>{escaped(finding['found'])}</span>"
