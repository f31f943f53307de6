"""The page of one or more audits: a file of HTML that needs nothing else, for an administrator to open or to mail.

The rows are in the page once, as JSON in which each text stands once; a script makes rows of them a hundred at a time.
Without scripts the summary, the timeline, the findings with their remedies and the most urgent rows are there.
A Content-Security-Policy names the page's own style and script by their hashes and forbids every request
(https://www.w3.org/TR/CSP3/), so that text from elsewhere could do nothing even if it were taken for HTML.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import re
from collections import Counter
from dataclasses import dataclass, field
from importlib import resources
from typing import TYPE_CHECKING, Any

from mlsssl._messages.foreign_text import message
from mlsssl._messages.output import escaped
from mlsssl._notebook.cards import SEVERITIES, SIGNS, count, themes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mlsssl._notebook.cards import Tone

STILL_ROWS = 200
"""The most urgent rows, which are there without scripts too."""

LINES = 30
"""Certificates that the timeline shows one by one; more are counted by month."""

_TEXT_LIMIT = 1000
_MONTHS = 15
_ROW_TEXTS = (
    *("key", "family", "owner", "app_id", "thumbprint", "store", "names", "issuer", "not_after", "renew_from"),
    *("key_type", "private_key", "key_access", "renewed_by"),
)
_FINDING_TEXTS = ("code", "severity", "where", "found", "expected", "remedy", "standard")
_RANKS = {severity: rank for rank, severity in enumerate(SEVERITIES)}
_OPTION = re.compile(r"(?<= )(--?[\w-]+)")


def page(audits: Sequence[Mapping[str, Any]]) -> str:
    """The page as ASCII HTML.

    Args:
        audits: What `Audit.to_dict` returns, at least one. Every text in them may be a stranger's.
    """
    data = _Data()
    audits = _named_apart(audits)
    for audit in audits:
        data.add(audit)
    style, script = _read("css"), _read("js")
    # The newest moment: what is over then is over for the reader too.
    at = max(dt.datetime.fromisoformat(audit["at"]) for audit in audits)
    machines = [_text(audit["machine"]) for audit in audits]
    title = f"Audit of {machines[0]}" if len(machines) == 1 else f"Audit of {len(machines)} machines"
    policy = (
        f"default-src 'none'; style-src {_source(style)}; script-src {_source(script)}; base-uri 'none'; "
        "form-action 'none'"
    )
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">',
        f"<title>{title}</title><style>{style}</style></head>",
        f'<body class="report">{_PATTERNS}<main><h1>{title}</h1>',
        f'<p class="faint">at {at:%Y-%m-%d %H:%M} UTC</p>',
        data.summary(),
        *_machines(audits),
        *_by_code(data.findings),
        *_timeline(data.ends(), at),
        *_bindings(data, several=len(audits) > 1),
        *_reservations(data.reservations, several=len(audits) > 1),
        "</main>",
        f'<script type="application/json" id="data">{data.to_json()}</script>',
        f"<script>{script}</script></body></html>\n",
    ]
    return "\n".join(parts).encode("ascii", "xmlcharrefreplace").decode("ascii")


def _named_apart(audits: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The audits, of which those that are called as one before them get a number."""
    taken: set[str] = set()
    counts: Counter[str] = Counter()
    named = []
    for audit in audits:
        wanted = name = str(audit["machine"])
        while name in taken:
            counts[wanted] += 1
            name = f"{wanted} ({counts[wanted] + 1})"
        taken.add(name)
        named.append({**audit, "machine": name})
    return named


def _read(suffix: str) -> str:
    text = resources.files("mlsssl._notebook").joinpath(f"report_page.{suffix}").read_text(encoding="utf-8")
    # What stands in the page is what the hash is of: ASCII, and no line end that a checkout or a browser changes.
    text = "\n".join(line.strip() for line in text.splitlines() if line.strip())
    text = f"{themes('report')}\n{text}" if suffix == "css" else text
    text.encode("ascii")
    return text


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@dataclass(slots=True)
class _Data:
    """All audits as the page has them: texts by number, each once."""

    numbers: dict[str, int] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    machines: list[list[Any]] = field(default_factory=list)
    rows: list[dict[str, Any]] = field(default_factory=list)
    lines: list[list[Any]] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)
    reservations: list[dict[str, Any]] = field(default_factory=list)

    def add(self, audit: Mapping[str, Any]) -> None:
        """Take an audit in."""
        machine = self.text(audit["machine"])
        moment = dt.datetime.fromisoformat(audit["at"])
        self.machines.append([machine, self.text(f"{moment:%Y-%m-%d %H:%M}")])
        for row in audit["rows"]:
            found = [self._finding(one) for one in row["findings"]]
            tone = _tone(row, moment)
            self.rows.append({**row, "machine": audit["machine"], "tone": tone})
            self.lines.append(
                [
                    machine,
                    row["days_left"],
                    list(SIGNS).index(tone),
                    found,
                    *(self.text(row[name]) for name in _ROW_TEXTS),
                ]
            )
        for one in audit["reservations"]:
            self.reservations.append({**one, "machine": audit["machine"]})
            self.findings += one["findings"]

    def text(self, value: object) -> int:
        """The number of a text; 0 is no text."""
        if value is None or value == "":
            return 0
        raw = str(value)
        number = self.numbers.get(raw)
        if number is None:
            cleaned = _cleaned(raw)
            self.texts.append(cleaned if len(cleaned) <= _TEXT_LIMIT else f"{cleaned[: _TEXT_LIMIT - 1]}…")
            number = self.numbers[raw] = len(self.texts)
        return number

    def _finding(self, finding: Mapping[str, Any]) -> list[int]:
        self.findings.append(dict(finding))
        texts = [self.text(finding[name]) for name in _FINDING_TEXTS]
        return [*texts, self.text(", ".join(finding["refused_by"]))]

    def ends(self) -> list[dict[str, Any]]:
        """A row for each certificate of each machine that has an end."""
        once = {(row["machine"], row["thumbprint"]): row for row in self.rows if row["not_after"] is not None}
        return sorted(once.values(), key=lambda row: str(row["not_after"]))

    def summary(self) -> str:
        """The counts, as a list."""
        tones = Counter(row["tone"] for row in self.rows)
        severities = Counter(one["severity"] for one in self.findings)
        bound = sum(row["app_id"] is not None for row in self.rows)
        items: list[tuple[Tone, int, str]] = [("plain", bound, "binding" if bound == 1 else "bindings")]
        items += [("over", tones["over"], "expired"), ("soon", tones["soon"], "to be renewed")]
        items += [(SEVERITIES[one], severities[one], one if severities[one] == 1 else f"{one}s") for one in SEVERITIES]
        listed = "".join(
            f'<li class="{tone if number else "plain"}"><b>{SIGNS[tone] if number else ""} {number}</b> {words}</li>'
            for tone, number, words in items
        )
        return f'<ul class="counts">{listed}</ul>'

    def urgent(self) -> list[dict[str, Any]]:
        """The rows, those that end first in front; what has no end comes last, the worst of it first."""

        def order(row: Mapping[str, Any]) -> tuple[bool, float]:
            days = row["days_left"]
            return days is None, _RANKS.get(row["severity"], len(_RANKS)) if days is None else days

        return sorted(self.rows, key=order)

    def to_json(self) -> str:
        """All of it, which cannot end the element that it stands in."""
        data = {"texts": ["", *self.texts], "machines": self.machines, "rows": self.lines}
        text = json.dumps(data, separators=(",", ":"), allow_nan=False)
        return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _tone(row: Mapping[str, Any], at: dt.datetime) -> Tone:
    if row["days_left"] is None:
        return "plain"
    if row["days_left"] < 0:
        return "over"
    return "soon" if row["renew_from"] is not None and at >= dt.datetime.fromisoformat(row["renew_from"]) else "ok"


def _sign(tone: Tone, words: object) -> str:
    return f'<span class="{tone}"><b>{SIGNS[tone]}</b> {_text(words)}</span>'


def _text(value: object) -> str:
    return escaped(_cleaned(str(value)), limit=_TEXT_LIMIT)


def _cleaned(text: str) -> str:
    """A stranger's text without what steers a page or may be a key; far beyond the limit nothing is looked at."""
    return message(text[: 10 * _TEXT_LIMIT])


def _machines(audits: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    notes: dict[str, list[str]] = {}
    for audit in audits:
        for note in audit["notes"]:
            notes.setdefault(note, []).append(audit["machine"])
    if len(audits) > 1:
        rows = []
        for audit in audits:
            moment = dt.datetime.fromisoformat(audit["at"])
            state = _sign("ok", "no error") if audit["ok"] else _sign("over", "errors")
            bound = sum(row["app_id"] is not None for row in audit["rows"])
            cells = ("machine", _text(audit["machine"])), ("at (UTC)", f"{moment:%Y-%m-%d %H:%M}")
            rows.append(_row(*cells, ("bindings", str(bound)), ("state", state)))
        yield _section("machines", "Machines", _table(("machine", "at (UTC)", "bindings", "state"), rows))
    for note, told in notes.items():
        about = f" ({', '.join(map(_text, told[:20]))}{', …' if len(told) > 20 else ''})" if len(audits) > 1 else ""
        yield f'<p class="faint">note{about}: {_text(note)}</p>'


def _by_code(findings: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """Each code once, with what to do about it: the worst first, then the most frequent."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for one in findings:
        groups.setdefault((one["severity"], one["code"]), []).append(one)
    rows = []
    for (severity, code), all_of_it in sorted(groups.items(), key=lambda one: (_RANKS[one[0][0]], -len(one[1]))):
        remedies = list(dict.fromkeys(one["remedy"] for one in all_of_it))
        more = f'<br><span class="faint">and {count(len(remedies) - 1, "other")}, in the table</span>'
        rows.append(
            _row(
                ("severity", _sign(SEVERITIES[severity], severity)),
                ("finding", f'<code class="filter">{_text(code)}</code>'),
                ("how often", str(len(all_of_it))),
                # What is typed is not broken at its hyphens.
                (
                    "remedy",
                    _OPTION.sub(r'<span class="whole">\1</span>', _text(remedies[0]))
                    + (more if len(remedies) > 1 else ""),
                ),
            )
        )
    if rows:
        yield _section("findings", "What to do", _table(("severity", "finding", "how often", "remedy"), rows))
    else:
        yield _section("findings", "What to do", f"<p>{_sign('ok', 'nothing was found')}</p>")


# -- the timeline: widths in percent, so that it fits a telephone, and as attributes, for style="" is forbidden --------


_PATTERNS = (
    '<svg width="0" height="0" aria-hidden="true"><defs>'
    '<pattern id="soon" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="8" height="8" class="gap"/><rect width="5" height="8" class="bar-soon"/></pattern>'
    '<pattern id="over" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(135)">'
    '<rect width="3" height="7" class="bar-over"/></pattern></defs></svg>'
)
_FILLS: dict[Tone, str] = {"ok": 'class="bar-ok"', "soon": 'fill="url(#soon)"', "over": 'fill="url(#over)"'}


def _timeline(ends: Sequence[Mapping[str, Any]], at: dt.datetime) -> Iterable[str]:
    if not ends:
        return
    content = _certificate_lines(ends, at) if len(ends) <= LINES else _months(ends, at)
    yield _section("timeline", "Timeline", content)


def _certificate_lines(ends: Sequence[Mapping[str, Any]], at: dt.datetime) -> str:
    moments = [dt.datetime.fromisoformat(row["not_after"]) for row in ends]
    first, last = min(*moments, at), max(*moments, at)
    whole = (last - first).total_seconds() or 1.0

    def place(moment: dt.datetime) -> float:
        return round(min(100.0, max(0.0, 100 * (moment - first).total_seconds() / whole)), 2)

    now = place(at)
    rows = []
    for row, end in zip(ends, moments, strict=True):
        tone: Tone = row["tone"]
        begin = now if row["renew_from"] is None else max(now, place(dt.datetime.fromisoformat(row["renew_from"])))
        left, right = (place(end), now) if tone == "over" else (now, place(end))
        late = "" if tone != "ok" else f'<rect x="{begin}%" y="3" width="{right - begin:.2f}%" height="10" {_SOON}/>'
        rows.append(
            f'<li><span class="who">{_text(row["names"] or row["thumbprint"])}</span>'
            '<svg class="track" height="16" aria-hidden="true">'
            f'<rect x="{left}%" y="3" width="{max(0.4, right - left):.2f}%" height="10" {_FILLS[tone]}/>{late}'
            f'<line x1="{now}%" x2="{now}%" y1="0" y2="16" class="now"/></svg>'
            f'<span class="when">{_sign(tone, f"{end:%Y-%m-%d}")}</span></li>'
        )
    legend = "from the day of the audit, the vertical line, to each end; striped from when a renewal is due"
    return f'<ul class="lines">{"".join(rows)}</ul><p class="faint">{legend}; {_SPAN.format(first, last)}</p>'


_SOON = 'fill="url(#soon)"'
_SPAN = "from {:%Y-%m-%d} to {:%Y-%m-%d}"


def _months(ends: Sequence[Mapping[str, Any]], at: dt.datetime) -> str:
    """How many certificates end in each month, from the audit's on."""
    labels = ["expired"]
    year, month = at.year, at.month
    for _ in range(_MONTHS):
        labels.append(f"{year:04}-{month:02}")
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    later = f"from {year:04}-{month:02}"
    counts: Counter[str] = Counter()
    due: Counter[str] = Counter()
    for row in ends:
        name = "expired" if row["tone"] == "over" else str(row["not_after"])[:7]
        counts[name if name in labels else later] += 1
        due[name if name in labels else later] += row["tone"] == "soon"
    most = max(counts.values())
    rows = []
    shown = [one for one in (*labels, later) if counts[one] or one not in ("expired", later)]
    while not counts[shown[-1]]:
        del shown[-1]
    for name in shown:
        tone: Tone = "over" if name == "expired" else "ok"
        whole, soon = (round(100 * one / most, 2) for one in (counts[name], due[name]))
        late = f'<rect y="3" width="{soon}%" height="10" {_SOON}/>' if soon else ""
        rows.append(
            f'<li><span class="who">{name}</span><svg class="track" height="16" aria-hidden="true">'
            f'<rect y="3" width="{whole}%" height="10" {_FILLS[tone]}/>{late}</svg>'
            f'<span class="when">{counts[name]}</span></li>'
        )
    legend = "certificates by the month in which they end; striped: those that are to be renewed now"
    return f'<ul class="lines">{"".join(rows)}</ul><p class="faint">{legend}</p>'


# -- the tables --------------------------------------------------------------------------------------------------------


def _section(name: str, heading: str, content: str) -> str:
    return f'<section id="{name}"><h2>{heading}</h2>{content}</section>'


def _row(*cells: tuple[str, str]) -> str:
    """A row; each cell says its heading, for narrow windows, where it stands on a line of its own."""
    inner = "".join(f'<td role="cell" data-label="{name}"><div>{cell}</div></td>' for name, cell in cells)
    return f'<tr role="row">{inner}</tr>'


def _table(heads: Sequence[str], rows: Iterable[str], *, name: str = "") -> str:
    head = "".join(f'<th role="columnheader" scope="col">{one}</th>' for one in heads)
    start = f'<table role="table"{f" id={name}" if name else ""}><thead role="rowgroup"><tr role="row">{head}</tr>'
    return f'{start}</thead><tbody role="rowgroup">{"".join(rows)}</tbody></table>'


def _bindings(data: _Data, *, several: bool) -> Iterable[str]:
    if not data.rows:
        yield _section("bindings", "Bindings", "<p>nothing is bound</p>")
        return
    heads = ("days left", "binding", "names", "private key", "findings")
    still = [_still_row(row, heads, several=several) for row in data.urgent()[:STILL_ROWS]]
    note = (
        f'<p id="still" class="faint">The {len(still)} that end first of {len(data.rows)}; '
        "with scripts, which this browser does not run here, all of them, to sort and to search.</p>"
        if len(data.rows) > STILL_ROWS
        else '<p id="still" class="faint">To sort and to search them scripts are needed, which are off here.</p>'
    )
    yield _section("bindings", "Bindings", f"{note}{_table(heads, still, name='rows')}")


def _still_row(row: Mapping[str, Any], heads: Sequence[str], *, several: bool) -> str:
    days = row["days_left"]
    end = "" if days is None else f"{_sign(row['tone'], _left(days))}<br>{_faint(str(row['not_after'])[:10])}"
    where = f"<br>{_faint(row['machine'])}" if several else ""
    key = _text(row["key"]) if row["key"] is not None else _faint("not bound")
    names = "<br>".join(map(_text, (row["names"] or "").split(", ")[:5])) + (
        f"<br>{_faint(row['owner'])}" if row["owner"] else ""
    )
    private = "" if row["private_key"] is None else _key_state(row["private_key"])
    access = f"<br>{_faint(row['key_access'])}" if row["key_access"] else ""
    found = "<br>".join(
        f"{_sign(SEVERITIES[one['severity']], one['code'])} {_faint(one['found'])}" for one in row["findings"]
    )
    cells = (end, f"<b>{key}</b>{where}", names, private + access, found or _sign("ok", "nothing"))
    return _row(*zip(heads, cells, strict=True))


def _left(days: float) -> str:
    words = count(int(abs(days)), "day")
    return f"expired {words} ago" if days < 0 else f"{words} left"


def _faint(words: object) -> str:
    return f'<span class="faint">{_text(words)}</span>'


def _key_state(words: str) -> str:
    return _sign("ok" if words == "usable" else "over", words)


def _reservations(reservations: Sequence[Mapping[str, Any]], *, several: bool) -> Iterable[str]:
    if not reservations:
        return
    rows = []
    for one in sorted(reservations, key=lambda it: _RANKS.get(it["severity"], len(_RANKS)))[:5000]:
        found = "<br>".join(
            f"{_sign(SEVERITIES[it['severity']], it['code'])} {_faint(it['found'])}" for it in one["findings"]
        )
        where = f"<br>{_faint(one['machine'])}" if several else ""
        cells = ("reserved URL", f"<b>{_text(one['url'])}</b>{where}"), ("who", _text(one["who"]))
        rows.append(_row(*cells, ("findings", found or _sign("ok", "nothing"))))
    more = f"<p>and {len(reservations) - len(rows)} more</p>" if len(reservations) > len(rows) else ""
    yield _section("reservations", "URL reservations", _table(("reserved URL", "who", "findings"), rows) + more)
