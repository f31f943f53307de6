"""The pieces of notebook cards: tables, bars, trees, signs, as HTML. Everything is escaped; no key comes here.

A card says everything in words and signs first; colour only repeats it. The colours are of Okabe and Ito's palette,
which colour-blind people can tell apart, and the bars differ in pattern as well, for printing in black and white.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from mlsssl._messages.output import escaped
from mlsssl.errors import MlssslError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

Tone = Literal["ok", "soon", "over", "note", "plain"]


class Printer(Protocol):
    """What IPython gives to `_repr_pretty_`, where there is no HTML."""

    def text(self, text: str, /) -> object:
        """Write `text`."""


SIGNS: dict[Tone, str] = {"ok": "✓", "soon": "▲", "over": "✗", "note": "i", "plain": ""}
SEVERITIES: dict[str, Tone] = {"error": "over", "warning": "soon", "notice": "note"}
"""The tone of each severity of a finding, worst first."""
ROW_LIMIT = 100
"""Rows that a table shows; it says how many more there are."""

_LIGHT = (
    "--m-ground:#fff;--m-ink:#1b1f24;--m-faint:#57606a;--m-line:#d0d7de;--m-fill:#f6f8fa;"
    "--m-ok:#0072b2;--m-soon:#8f5f00;--m-over:#b34700;--m-note:#57606a;--m-bar-soon:#e69f00;--m-bar-over:#d55e00;"
    "--m-gap:rgba(255,255,255,.75)"
)
_DARK = (
    "--m-ground:#161b22;--m-ink:#e6edf3;--m-faint:#9da7b3;--m-line:#3d444d;--m-fill:#21262d;"
    "--m-ok:#56b4e9;--m-soon:#e69f00;--m-over:#ff9259;--m-note:#9da7b3;--m-bar-soon:#e69f00;--m-bar-over:#e8702a;"
    "--m-gap:rgba(22,27,34,.75)"
)


def themes(name: str) -> str:
    """The colours of a class, light and dark.

    The reader's system decides; a notebook's own theme (JupyterLab, VS Code) and this documentation's go before it.
    """
    light = f"[data-jp-theme-light=true] .{name},.vscode-light .{name},[data-theme=light] .{name}"
    dark = f"[data-jp-theme-light=false] .{name},.vscode-dark .{name},[data-theme=dark] .{name}"
    return (
        f".{name}{{{_LIGHT}}}@media (prefers-color-scheme:dark){{.{name}{{{_DARK}}}}}{light}{{{_LIGHT}}}"
        f"{dark}{{{_DARK}}}@media print{{.{name}{{{_LIGHT}}}}}"
    )


_STYLE = (
    themes("mlsssl")
    + ".mlsssl{background:var(--m-ground);color:var(--m-ink);border:1px solid var(--m-line);border-radius:8px;"
    "padding:12px 16px;margin:4px 0;font:13px/1.5 system-ui,sans-serif;max-width:1000px;overflow-x:auto;"
    "print-color-adjust:exact;-webkit-print-color-adjust:exact}"
    ".mlsssl h4,.mlsssl h5{padding:0;border:0;font-family:inherit;text-transform:none}"
    ".mlsssl h4{margin:0 0 8px;font-size:15px;font-weight:600;color:var(--m-ink)}"
    ".mlsssl h5{margin:12px 0 4px;font-size:12px;font-weight:600;color:var(--m-faint)}"
    ".mlsssl p{margin:4px 0}"
    ".mlsssl table{border-collapse:collapse;margin:0;width:100%;background:none;color:inherit}"
    ".mlsssl th,.mlsssl td{text-align:left;vertical-align:top;padding:4px 14px 4px 0;border:0;"
    "border-top:1px solid var(--m-line);background:none;color:inherit;font-size:13px}"
    ".mlsssl tr:first-child>*{border-top:0}"
    ".mlsssl th{font-weight:600;color:var(--m-faint);white-space:nowrap}"
    ".mlsssl .facts th{width:1%}"
    ".mlsssl code{font:12px/1.5 ui-monospace,monospace;background:none;color:inherit;padding:0;overflow-wrap:anywhere}"
    ".mlsssl .whole,.mlsssl .bar+span{white-space:nowrap;overflow-wrap:normal}"
    ".mlsssl .findings td:nth-child(-n+2){white-space:nowrap}"
    ".mlsssl .ok{color:var(--m-ok)}.mlsssl .soon{color:var(--m-soon)}.mlsssl .over{color:var(--m-over)}"
    ".mlsssl .note,.mlsssl .faint{color:var(--m-faint)}.mlsssl .sign{font-weight:700;white-space:nowrap}"
    ".mlsssl .bar{display:inline-block;width:100px;height:10px;border:1px solid var(--m-faint);border-radius:3px;"
    "margin-right:8px;vertical-align:-1px;background:var(--m-fill);overflow:hidden}"
    ".mlsssl .bar i{display:block;height:100%;background:var(--m-ok)}"
    ".mlsssl .bar.soon i{background:repeating-linear-gradient(45deg,var(--m-bar-soon) 0 5px,var(--m-gap) 5px 8px)}"
    ".mlsssl .bar.over{background:repeating-linear-gradient(135deg,var(--m-bar-over) 0 3px,transparent 3px 7px)}"
    ".mlsssl ul{list-style:none;margin:0;padding:0}"
    ".mlsssl ul ul{margin-left:9px;border-left:1px solid var(--m-faint);padding-left:0}"
    ".mlsssl ul ul li{padding-left:22px;position:relative}"
    ".mlsssl ul ul li::before{content:'';position:absolute;left:0;top:11px;width:15px;"
    "border-top:1px solid var(--m-faint)}"
    ".mlsssl ul ul li>ul{margin-left:9px}"
    ".mlsssl ul ul>li:last-child::after{content:'';position:absolute;left:-1px;top:12px;bottom:0;width:1px;"
    "background:var(--m-ground)}"
    ".mlsssl .minus,.mlsssl .plus{font:12px/1.6 ui-monospace,monospace;white-space:pre-wrap;overflow-wrap:anywhere;"
    "padding:0 8px;border-left:3px solid}"
    ".mlsssl .minus{border-color:var(--m-over);color:var(--m-over)}"
    ".mlsssl .plus{border-color:var(--m-ok);color:var(--m-ok)}"
    ".mlsssl ol{margin:0;padding-left:20px}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """When a certificate is valid, and how much of that is left at a moment."""

    start: dt.datetime
    end: dt.datetime
    at: dt.datetime

    @property
    def share_left(self) -> float:
        """How much of the validity is left, from 0 to 1."""
        whole = (self.end - self.start).total_seconds()
        return min(1.0, max(0.0, (self.end - self.at).total_seconds() / whole)) if whole > 0 else 0.0

    @property
    def tone(self) -> Tone:
        """`over` outside of the validity, `soon` in its last third, when a renewal is due, `ok` before."""
        if not self.start <= self.at <= self.end:
            return "over"
        return "ok" if self.share_left > 1 / 3 else "soon"

    @property
    def words(self) -> str:
        """`42 days left`, `expired 3 days ago`, `valid in 2 days`."""
        if self.at < self.start:
            return f"valid in {_days(self.start - self.at)}"
        if self.at > self.end:
            return f"expired {_days(self.at - self.end)} ago"
        return f"{_days(self.end - self.at)} left"

    @property
    def bar(self) -> str:
        """A bar of what is left, and the words."""
        return bar(round(100 * self.share_left), self.tone, self.words)


def bar(width: int, tone: Tone, words: str) -> str:
    """A bar of this many percent, and the words that say the same."""
    return (
        f'<span class="bar {tone}" role="img" aria-label="{width} percent"><i style="width:{width}%"></i></span>'
        f"{sign(tone, words)}"
    )


def _days(duration: dt.timedelta) -> str:
    days = duration / dt.timedelta(days=1)
    if days >= 2:
        return f"{int(days)} days"
    hours = int(duration / dt.timedelta(hours=1))
    return "1 day" if days >= 1 else "1 hour" if hours == 1 else f"{hours} hours"


def sign(tone: Tone, text: str) -> str:
    """Text after the sign of its tone: nobody has to see a colour."""
    return f'<span class="{tone}"><span class="sign">{SIGNS[tone]}</span> {escaped(text)}</span>'


def faint(text: object) -> str:
    """Text that matters less."""
    return f'<span class="faint">{escaped(text)}</span>'


def second_line(text: str | None) -> str:
    """Faint text on a line of its own; nothing when there is none."""
    return f"<br>{faint(text)}" if text else ""


def or_why(read: Callable[[], str]) -> str:
    """What `read` returns, escaped, or why it failed: a certificate that cannot be read has a card all the same."""
    try:
        return escaped(read())
    except MlssslError as error:
        return sign("over", str(error))


def count(number: int, noun: str) -> str:
    """`1 error`, `2 errors`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def days_left(end: dt.datetime, renew_from: dt.datetime | None, at: dt.datetime) -> str:
    """A bar of the days left where the beginning is not known: a full one is a year, or more."""
    left = end - at
    tone: Tone = "over" if left < dt.timedelta(0) else "soon" if renew_from and at >= renew_from else "ok"
    width = 0 if tone == "over" else min(100, max(1, round(100 * left / dt.timedelta(days=365))))
    return bar(width, tone, Validity(start=min(at, end), end=end, at=at).words)


def key_state(words: str | None) -> str:
    """`usable`, or what is wrong with a private key; nothing when there is none."""
    return "" if words is None else sign("ok" if words == "usable" else "over", words)


def code(text: object, *, whole: bool = False) -> str:
    """Text in a fixed-width font; `whole` when it must not be broken into lines."""
    start = '<code class="whole">' if whole else "<code>"
    return f"{start}{escaped(text)}</code>"


def card(title: str, *parts: str) -> str:
    """A whole card; its title and parts are HTML."""
    return f'<div class="mlsssl"><style>{_STYLE}</style><h4>{title}</h4>{"".join(parts)}</div>'


def listing(title: str, noun: str, heads: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str) -> str:
    """A card of one table; its title says how many there are of the noun."""
    return card(f"{escaped(title)} · {count(len(rows), noun)}", table(heads, rows, empty=empty))


def part(heading: str, content: str) -> str:
    """A part under a heading; nothing when there is no content."""
    return f"<h5>{escaped(heading)}</h5>{content}" if content else ""


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """A table of names and values; the values are HTML, and empty ones are left out."""
    body = "".join(f"<tr><th>{escaped(name)}</th><td>{value}</td></tr>" for name, value in rows if value)
    return f'<table class="facts"><tbody>{body}</tbody></table>'


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str) -> str:
    """A table with heads; cells are HTML. `empty` is what to say when there is no row."""
    if not rows:
        return f'<p class="faint">{escaped(empty)}</p>'
    head = "".join(f"<th>{escaped(name)}</th>" for name in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows[:ROW_LIMIT])
    more = f'<p class="faint">… and {len(rows) - ROW_LIMIT} more</p>' if len(rows) > ROW_LIMIT else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def tree(levels: Sequence[str]) -> str:
    """A chain from the root down to the leaf; each level is HTML."""
    nested = ""
    for level in reversed(levels):
        nested = f"<ul><li>{level}{nested}</li></ul>"
    return nested


def level(name: str, role: str, detail: str = "") -> str:
    """One certificate of a tree: its name and role are text, the detail is HTML."""
    return f"<strong>{escaped(name)}</strong> {faint(role)}{' · ' if detail else ''}{detail}"


def diff(changes: Iterable[tuple[str, str | None, str | None]]) -> str:
    """What changes, as lines with minus and plus."""
    lines = []
    for name, old, new in changes:
        lines += [f'<div class="minus">− {escaped(name)}: {escaped(old)}</div>'] if old is not None else []
        lines += [f'<div class="plus">+ {escaped(name)}: {escaped(new)}</div>'] if new is not None else []
    return "".join(lines)


def ordered(steps: Iterable[object]) -> str:
    """Numbered steps, as text."""
    items = "".join(f"<li>{escaped(step)}</li>" for step in steps)
    return f"<ol>{items}</ol>" if items else ""


def findings(found: Iterable[Mapping[str, Any]]) -> str:
    """A table of findings, each with its fields by name; nothing when there is none."""
    rows = [
        [
            sign(SEVERITIES[one["severity"]], one["severity"]),
            code(one["code"]),
            escaped(one["where"]),
            f"{escaped(one['found'])}{second_line('expected: ' + one['expected'])}{_clients(one['refused_by'])}",
            f"{escaped(one['remedy'])}{second_line(one['standard'])}",
        ]
        for one in found
    ]
    shown = table(("", "code", "where", "found", "remedy"), rows, empty="no finding")
    return f'<div class="findings">{shown}</div>' if rows else ""


def _clients(refused_by: Sequence[str]) -> str:
    return second_line(f"refused by {', '.join(refused_by)}") if refused_by else ""


def finding_line(finding: Mapping[str, Any]) -> str:
    """A finding on one line: its severity, its code, and what was found."""
    severity = finding["severity"]
    mark = sign(SEVERITIES[severity], "" if severity == "notice" else severity)
    return f"{mark} {code(finding['code'])} {faint(finding['found'])}"
