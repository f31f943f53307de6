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
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from mlsssl._messages.foreign_text import message
from mlsssl._messages.output import escaped
from mlsssl._notebook.cards import SEVERITIES, SIGNS, count, themes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from mlsssl._notebook.cards import Tone

STILL_ROWS = 200
"""The most urgent rows, which are there without scripts too."""

LINES = 30
"""Certificates that the timeline shows one by one; more are counted by month."""

_MOST_RESERVATIONS = 5000
_TEXT_LIMIT = 1000
_MONTHS = 15
_ROW_TEXTS = (
    *("key", "family", "owner", "app_id", "thumbprint", "store", "names", "issuer", "not_after", "renew_from"),
    *("key_type", "private_key", "key_access", "renewed_by"),
)
_FINDING_TEXTS = ("code", "severity", "where", "found", "expected", "remedy", "standard")
_RANKS = {severity: rank for rank, severity in enumerate(SEVERITIES)}
_OPTION = re.compile(r"(?<= )(--?[\w-]+)")


def page(audits: Iterable[Mapping[str, Any]]) -> str:
    """The page as ASCII HTML: `pieces` in one."""
    return "".join(pieces(audits))


def pieces(audits: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The page as ASCII HTML in pieces, so that it need not be whole in memory.

    Args:
        audits: What `Audit.to_dict` returns, at least one. Every text in them may be a stranger's. Each is let go
            before the next one is asked for; what stays of a row are numbers, and each different text once.
    """
    data = _Data()
    for audit in _named_apart(audits):
        data.add(audit)
    style, script = _read("css"), _read("js")
    # The newest moment: what is over then is over for the reader too.
    at = max(machine.at for machine in data.machines)
    several = len(data.machines) > 1
    title = f"Audit of {len(data.machines)} machines" if several else f"Audit of {_text(data.machines[0].name)}"
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
        *_machines(data),
        *_by_code(data),
        *_timeline(data, at),
        *_bindings(data, several=several),
        *_reservations(data, several=several),
        "</main>",
        '<script type="application/json" id="data">',
    ]
    yield _ascii("\n".join(parts))
    yield from data.to_json()
    yield f"</script>\n<script>{script}</script></body></html>\n"


def _ascii(text: str) -> str:
    return text.encode("ascii", "xmlcharrefreplace").decode("ascii")


def _named_apart(audits: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The audits, of which those that are called as one before them get a number."""
    taken: set[str] = set()
    counts: Counter[str] = Counter()
    for audit in audits:
        wanted = name = str(audit["machine"])
        while name in taken:
            counts[wanted] += 1
            name = f"{wanted} ({counts[wanted] + 1})"
        taken.add(name)
        yield {**audit, "machine": name}


def _read(suffix: str) -> str:
    text = resources.files("mlsssl._notebook").joinpath(f"report_page.{suffix}").read_text(encoding="utf-8")
    # What stands in the page is what the hash is of: ASCII, and no line end that a checkout or a browser changes.
    text = "\n".join(line.strip() for line in text.splitlines() if line.strip())
    text = f"{themes('report')}\n{text}" if suffix == "css" else text
    text.encode("ascii")
    return text


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


class _Machine(NamedTuple):
    """What the page says of a machine as a whole."""

    name: str
    at: dt.datetime
    bound: int
    ok: bool


class _End(NamedTuple):
    """When a certificate ends; texts by their numbers."""

    not_after: int
    tone: Tone
    renew_from: int
    label: int


@dataclass(slots=True)
class _Code:
    """How often a finding's code was found, what to do about it where it was found first, and all the remedies."""

    remedy: str
    often: int = 0
    remedies: set[int] = field(default_factory=set)


@dataclass(slots=True)
class _Data:
    """All audits as the page has them: texts by number, each once; rows as JSON; only the most urgent ones whole."""

    numbers: dict[str, int] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    machines: list[_Machine] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    tones: Counter[str] = field(default_factory=Counter)
    codes: dict[tuple[str, str], _Code] = field(default_factory=dict)
    ends: dict[tuple[int, int], _End] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    urgent: _First = field(default_factory=lambda: _First(STILL_ROWS, _urgency))
    reservations: _First = field(default_factory=lambda: _First(_MOST_RESERVATIONS, _rank))

    def add(self, audit: Mapping[str, Any]) -> None:
        """Take an audit in."""
        name = str(audit["machine"])
        number, moment = len(self.machines), dt.datetime.fromisoformat(audit["at"])
        bound = sum(row["app_id"] is not None for row in audit["rows"])
        self.machines.append(_Machine(name, moment, bound, bool(audit["ok"])))
        machine, _ = self.text(name), self.text(f"{moment:%Y-%m-%d %H:%M}")
        for note in audit["notes"]:
            self.notes.setdefault(note, []).append(name)
        for row in audit["rows"]:
            found = [self._finding(one) for one in row["findings"]]
            tone = _tone(row, moment)
            self.tones[tone] += 1
            texts = {name: self.text(row[name]) for name in _ROW_TEXTS}
            if row["not_after"] is not None:
                label = texts["names"] or texts["thumbprint"]
                self.ends[number, texts["thumbprint"]] = _End(texts["not_after"], tone, texts["renew_from"], label)
            line = [machine, row["days_left"], list(SIGNS).index(tone), found, *texts.values()]
            self.lines.append(_json(line))
            self.urgent.add({**row, "machine": name, "tone": tone})
        for one in audit["reservations"]:
            self.reservations.add({**one, "machine": name})
            for finding in one["findings"]:
                self._count(finding)

    def text(self, value: object) -> int:
        """The number of a text; 0 is no text."""
        if value is None or value == "":
            return 0
        raw = str(value)
        number = self.numbers.get(raw)
        if number is None:
            cleaned = _cleaned(raw)
            cleaned = cleaned if len(cleaned) <= _TEXT_LIMIT else f"{cleaned[: _TEXT_LIMIT - 1]}…"
            self.texts.append(raw if cleaned == raw else cleaned)  # the one that is there, so that it is there once
            number = self.numbers[raw] = len(self.texts)
        return number

    def told(self, number: int) -> str:
        """The text of a number."""
        return self.texts[number - 1] if number else ""

    def _finding(self, finding: Mapping[str, Any]) -> list[int]:
        self._count(finding)
        texts = [self.text(finding[name]) for name in _FINDING_TEXTS]
        return [*texts, self.text(", ".join(finding["refused_by"]))]

    def _count(self, finding: Mapping[str, Any]) -> None:
        remedy = finding["remedy"]
        code = self.codes.setdefault((finding["severity"], finding["code"]), _Code(remedy))
        code.often += 1
        code.remedies.add(hash(remedy))

    def ends_in_order(self) -> list[_End]:
        """One for each certificate of each machine that has an end."""
        return sorted(self.ends.values(), key=lambda end: self.told(end.not_after))

    def summary(self) -> str:
        """The counts, as a list."""
        severities: Counter[str] = Counter()
        for (severity, _), code in self.codes.items():
            severities[severity] += code.often
        bound = sum(machine.bound for machine in self.machines)
        items: list[tuple[Tone, int, str]] = [("plain", bound, "binding" if bound == 1 else "bindings")]
        items += [("over", self.tones["over"], "expired"), ("soon", self.tones["soon"], "to be renewed")]
        items += [(SEVERITIES[one], severities[one], one if severities[one] == 1 else f"{one}s") for one in SEVERITIES]
        listed = "".join(
            f'<li class="{tone if number else "plain"}"><b>{SIGNS[tone] if number else ""} {number}</b> {words}</li>'
            for tone, number, words in items
        )
        return f'<ul class="counts">{listed}</ul>'

    def to_json(self) -> Iterator[str]:
        """All of it, in pieces that cannot end the element that they stand in."""
        machines = [[self.text(one.name), self.text(f"{one.at:%Y-%m-%d %H:%M}")] for one in self.machines]
        yield f'{{"texts":[""{"," if self.texts else ""}'
        yield from _joined(map(_json, self.texts))
        yield f'],"machines":{_json(machines)},"rows":['
        yield from _joined(self.lines)
        yield "]}"


class _First:
    """Of many rows the first so many by an order; and how many there were."""

    def __init__(self, most: int, order: Callable[[Mapping[str, Any]], tuple[float, ...]]) -> None:
        self.most, self.order = most, order
        self.count = 0
        self._rows: list[Mapping[str, Any]] = []

    def add(self, row: Mapping[str, Any]) -> None:
        """Take a row in; those that cannot be among the first are let go from time to time."""
        self.count += 1
        self._rows.append(row)
        if len(self._rows) >= 2 * self.most:
            self._rows = self.rows()

    def rows(self) -> list[Mapping[str, Any]]:
        """The first ones in order; of equal ones those that came first."""
        return sorted(self._rows, key=self.order)[: self.most]


def _urgency(row: Mapping[str, Any]) -> tuple[float, ...]:
    """Those that end first in front; what has no end comes last, the worst of it first."""
    days = row["days_left"]
    return (1, *_rank(row)) if days is None else (0, days)


def _rank(row: Mapping[str, Any]) -> tuple[float, ...]:
    return (_RANKS.get(row["severity"], len(_RANKS)),)


def _json(value: object) -> str:
    """As JSON that cannot end the element that it stands in."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _joined(values: Iterable[str]) -> Iterator[str]:
    """The values with commas between them, some thousand at a time."""
    between = ""
    values = iter(values)
    while some := list(islice(values, 4096)):
        yield between + ",".join(some)
        between = ","


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


def _machines(data: _Data) -> Iterator[str]:
    several = len(data.machines) > 1
    if several:
        rows = []
        for machine in data.machines:
            state = _sign("ok", "no error") if machine.ok else _sign("over", "errors")
            cells = ("machine", _text(machine.name)), ("at (UTC)", f"{machine.at:%Y-%m-%d %H:%M}")
            rows.append(_row(*cells, ("bindings", str(machine.bound)), ("state", state)))
        yield _section("machines", "Machines", _table(("machine", "at (UTC)", "bindings", "state"), rows))
    for note, told in data.notes.items():
        about = f" ({', '.join(map(_text, told[:20]))}{', …' if len(told) > 20 else ''})" if several else ""
        yield f'<p class="faint">note{about}: {_text(note)}</p>'


def _by_code(data: _Data) -> Iterator[str]:
    """Each code once, with what to do about it: the worst first, then the most frequent."""
    rows = []
    for (severity, name), code in sorted(data.codes.items(), key=lambda one: (_RANKS[one[0][0]], -one[1].often)):
        others = len(code.remedies) - 1
        more = f'<br><span class="faint">and {count(others, "other")}, in the table</span>' if others else ""
        rows.append(
            _row(
                ("severity", _sign(SEVERITIES[severity], severity)),
                ("finding", f'<code class="filter">{_text(name)}</code>'),
                ("how often", str(code.often)),
                # What is typed is not broken at its hyphens.
                ("remedy", _OPTION.sub(r'<span class="whole">\1</span>', _text(code.remedy)) + more),
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


def _timeline(data: _Data, at: dt.datetime) -> Iterator[str]:
    ends = data.ends_in_order()
    if not ends:
        return
    content = _certificate_lines(data, ends, at) if len(ends) <= LINES else _months(data, ends, at)
    yield _section("timeline", "Timeline", content)


def _certificate_lines(data: _Data, ends: Sequence[_End], at: dt.datetime) -> str:
    moments = [dt.datetime.fromisoformat(data.told(end.not_after)) for end in ends]
    first, last = min(*moments, at), max(*moments, at)
    whole = (last - first).total_seconds() or 1.0

    def place(moment: dt.datetime) -> float:
        return round(min(100.0, max(0.0, 100 * (moment - first).total_seconds() / whole)), 2)

    now = place(at)
    rows = []
    for one, end in zip(ends, moments, strict=True):
        tone = one.tone
        due = data.told(one.renew_from)
        begin = max(now, place(dt.datetime.fromisoformat(due))) if due else now
        left, right = (place(end), now) if tone == "over" else (now, place(end))
        late = "" if tone != "ok" else f'<rect x="{begin}%" y="3" width="{right - begin:.2f}%" height="10" {_SOON}/>'
        rows.append(
            f'<li><span class="who">{_text(data.told(one.label))}</span>'
            '<svg class="track" height="16" aria-hidden="true">'
            f'<rect x="{left}%" y="3" width="{max(0.4, right - left):.2f}%" height="10" {_FILLS[tone]}/>{late}'
            f'<line x1="{now}%" x2="{now}%" y1="0" y2="16" class="now"/></svg>'
            f'<span class="when">{_sign(tone, f"{end:%Y-%m-%d}")}</span></li>'
        )
    legend = "from the day of the audit, the vertical line, to each end; striped from when a renewal is due"
    return f'<ul class="lines">{"".join(rows)}</ul><p class="faint">{legend}; {_SPAN.format(first, last)}</p>'


_SOON = 'fill="url(#soon)"'
_SPAN = "from {:%Y-%m-%d} to {:%Y-%m-%d}"


def _months(data: _Data, ends: Sequence[_End], at: dt.datetime) -> str:
    """How many certificates end in each month, from the audit's on."""
    labels = ["expired"]
    year, month = at.year, at.month
    for _ in range(_MONTHS):
        labels.append(f"{year:04}-{month:02}")
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    later = f"from {year:04}-{month:02}"
    counts: Counter[str] = Counter()
    due: Counter[str] = Counter()
    for end in ends:
        name = "expired" if end.tone == "over" else data.told(end.not_after)[:7]
        counts[name if name in labels else later] += 1
        due[name if name in labels else later] += end.tone == "soon"
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


def _bindings(data: _Data, *, several: bool) -> Iterator[str]:
    number = data.urgent.count
    if not number:
        yield _section("bindings", "Bindings", "<p>nothing is bound</p>")
        return
    heads = ("days left", "binding", "names", "private key", "findings")
    still = [_still_row(row, heads, several=several) for row in data.urgent.rows()]
    note = (
        f'<p id="still" class="faint">The {len(still)} that end first of {number}; '
        "with scripts, which this browser does not run here, all of them, to sort and to search.</p>"
        if number > STILL_ROWS
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


def _reservations(data: _Data, *, several: bool) -> Iterator[str]:
    if not data.reservations.count:
        return
    rows = []
    for one in data.reservations.rows():
        found = "<br>".join(
            f"{_sign(SEVERITIES[it['severity']], it['code'])} {_faint(it['found'])}" for it in one["findings"]
        )
        where = f"<br>{_faint(one['machine'])}" if several else ""
        cells = ("reserved URL", f"<b>{_text(one['url'])}</b>{where}"), ("who", _text(one["who"]))
        rows.append(_row(*cells, ("findings", found or _sign("ok", "nothing"))))
    others = data.reservations.count - len(rows)
    more = f"<p>and {others} more</p>" if others else ""
    yield _section("reservations", "URL reservations", _table(("reserved URL", "who", "findings"), rows) + more)
