"""The pieces of notebook cards: tables, bars, trees, signs, as HTML. Everything is escaped; no key comes here.

A card says everything in words and signs first; colour only repeats it. The colours are of Okabe and Ito's palette,
which colour-blind people can tell apart, and the bars differ in pattern as well, for printing in black and white.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, get_args

from mlsssl._messages.foreign_text import printable
from mlsssl._messages.output import escaped
from mlsssl._messages.tables import validity_words
from mlsssl.errors import MlssslError
from mlsssl.values import ClientName

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

_LIGHT = {
    "ground": "#ffffff",
    "ink": "#1b1f24",
    "faint": "#57606a",
    "line": "#d0d7de",
    "fill": "#f6f8fa",
    "ok": "#0072b2",
    "soon": "#8f5f00",
    "over": "#b34700",
    "note": "#57606a",
    "bar-soon": "#e69f00",
    "bar-over": "#d55e00",
    "gap": "#fff7e6",
}
_DARK = {
    "ground": "#161b22",
    "ink": "#e6edf3",
    "faint": "#9da7b3",
    "line": "#3d444d",
    "fill": "#21262d",
    "ok": "#56b4e9",
    "soon": "#e69f00",
    "over": "#ff9259",
    "note": "#9da7b3",
    "bar-soon": "#e69f00",
    "bar-over": "#e8702a",
    "gap": "#3b2f14",
}


def themes(name: str) -> str:
    """The colours of a class, light and dark.

    The reader's system decides; a notebook's own theme (JupyterLab, VS Code, Colab) and this documentation's go before
    it, and paper is light before them all.
    """
    light, dark = ("".join(f"--m-{colour}:{value};" for colour, value in one.items()) for one in (_LIGHT, _DARK))
    chosen_light = (
        f"[data-jp-theme-light=true] .{name},.vscode-light .{name},.vscode-high-contrast-light .{name},"
        f"[data-theme=light] .{name}"
    )
    chosen_dark = (
        f"[data-jp-theme-light=false] .{name},.vscode-dark .{name},"
        # VS Code's light theme of high contrast has this class as well.
        f".vscode-high-contrast:not(.vscode-high-contrast-light) .{name},"
        f"[data-theme=dark] .{name},[theme=dark] .{name}"
    )
    return (
        f".{name}{{{light}}}@media (prefers-color-scheme:dark){{.{name}{{{dark}}}}}{chosen_light}{{{light}}}"
        f"{chosen_dark}{{{dark}}}@media print{{.{name}.{name}.{name}{{{light}}}}}"
    )


# How each kind of element looks. A notebook strips style sheets from what it does not trust, and styles tables, lists
# and code itself; what stands at the element survives the first and goes before the second. `$name` is a colour: the
# light theme's there, and in the style sheet that of whichever theme is on, which is all that the style sheet is for.
# JupyterLab lets at an element pass what its sanitizer's patterns know: colours in digits and names, no function.
_CELL = (
    "text-align:left;vertical-align:top;padding:4px 14px 4px 0;border:0;border-top:1px solid $line;"
    "background-color:$ground;font-size:13px;line-height:1.5;white-space:normal;"
)
_FIXED = "font-family:ui-monospace,Consolas,monospace;font-size:12px;line-height:1.5;padding:0;border:0;"
_BAR = "display:inline-block;width:100px;height:10px;margin:0 8px 0 0;border-radius:3px;vertical-align:-1px;"
_SPAN = "position:absolute;top:1px;height:10px;min-width:2px;border-radius:2px;box-sizing:border-box;"
_HEADING = "border:0;font-weight:600;"
_LOOKS = {
    "card": "background-color:$ground;color:$ink;border:1px solid $line;border-radius:8px;padding:12px 16px;"
    "margin:4px 0;font-family:system-ui,sans-serif;font-size:13px;line-height:1.5;max-width:1000px;overflow-x:auto;"
    "text-align:left;white-space:normal",
    "title": f"color:$ink;margin:0 0 8px 0;font-size:15px;{_HEADING}",
    "part": f"color:$faint;margin:12px 0 4px 0;font-size:12px;{_HEADING}",
    "line": "color:$ink;margin:4px 0",
    "table": "display:table;table-layout:auto;width:100%;margin:0;border:0;border-collapse:collapse;"
    "background-color:$ground;color:$ink",
    "head": f"{_CELL}color:$faint;font-weight:600",
    "name": f"{_CELL}color:$faint;font-weight:600;width:1%",
    "cell": f"{_CELL}color:$ink",
    "code": f"{_FIXED}background-color:$ground;color:$ink",
    "whole": "white-space:nowrap",
    "strong": "font-weight:600",
    **{tone: f"color:${tone}" for tone in ("ok", "soon", "over", "note", "faint")},
    "plain": "color:$ink",
    "bar": f"{_BAR}border:1px solid $faint;background-color:$fill;overflow:hidden",
    "bar-over": f"{_BAR}border:1px dashed $bar-over;background-color:$fill;overflow:hidden",
    "left-ok": "display:block;height:100%;background-color:$ok",
    "left-soon": "display:block;height:100%;background-color:$bar-soon",
    "track": "position:relative;height:12px;min-width:180px;margin:4px 0;border:1px solid $line;background-color:$fill",
    "span-ok": f"{_SPAN}background-color:$ok",
    "span-soon": f"{_SPAN}background-color:$bar-soon",
    "span-over": f"{_SPAN}background-color:$bar-over",
    "today": "position:absolute;top:-4px;height:20px;width:2px;background-color:$ink",
    "tree": "list-style:none;margin:0;padding:0",
    "branch": "list-style:none;margin:0;padding:0 0 0 16px",
    "step": "list-style:none;margin:0;padding:0;color:$ink",
    "steps": "list-style:decimal;margin:0;padding:0 0 0 20px",
    "numbered": "list-style:decimal;margin:0;padding:0;color:$ink",
    "minus": f"{_FIXED}color:$over;padding:0 8px;border-left:3px solid $over",
    "plus": f"{_FIXED}color:$ok;padding:0 8px;border-left:3px solid $ok",
}


def _colours(look: str, colour: Callable[[str], str]) -> str:
    return re.sub(r"\$([a-z-]+)", lambda found: colour(found[1]), look)


def _themed(kind: str, look: str) -> str:
    """The rule with the colours of a kind of element, which beats its own and the page's."""
    coloured = [one for one in look.split(";") if "$" in one]
    rule = "".join(f"{_colours(one, 'var(--m-{})'.format)}!important;" for one in coloured)
    return f".mlsssl{'' if kind == 'card' else ' '}.m-{kind}{{{rule}}}" if rule else ""


_INLINE = {kind: _colours(look, _LIGHT.__getitem__) for kind, look in _LOOKS.items()}
_STYLE = (
    themes("mlsssl")
    + "".join(_themed(kind, look) for kind, look in _LOOKS.items())
    # Bars differ in pattern too.
    + ".mlsssl .m-left-soon,.mlsssl .m-span-soon{background-image:"
    "repeating-linear-gradient(45deg,var(--m-bar-soon) 0 5px,var(--m-gap) 5px 8px)!important}"
    ".mlsssl .m-bar-over,.mlsssl .m-span-over{background-image:"
    "repeating-linear-gradient(135deg,var(--m-bar-over) 0 3px,var(--m-fill) 3px 7px)!important}"
    ".mlsssl{print-color-adjust:exact;-webkit-print-color-adjust:exact}"
)


def _element(tag: str, kind: str, content: str, more: str = "", attributes: str = "") -> str:
    """An element of a kind, with its look at itself; its content is HTML."""
    return f'<{tag} class="m-{kind}"{attributes} style="{_INLINE[kind]}{more}">{content}</{tag}>'


_LONG_RUN = re.compile(r"[^\s-]{24,}")  # the longest usual word here is authorityKeyIdentifier
_DATES = re.compile(r"[\d-]{10} to [\d-]{10}")
_PIECES = re.compile(r"[^./:\\,@=]{0,11}[./:\\,@=]|[^./:\\,@=]{1,12}")


def text(value: object) -> str:
    """A value as text in a card: escaped, and with places where a very long word may be broken into lines.

    Only there, whatever the page says about words: a column is never narrower than a usual word of it.
    """
    shown = printable(str(value))
    shown = shown if len(shown) <= 400 else f"{shown[:399]}…"
    if _LONG_RUN.search(shown) is None:
        return escaped(shown)
    parts = _LONG_RUN.sub(lambda run: "\x00".join(_PIECES.findall(run[0])), shown).split("\x00")
    return "<wbr>".join(map(escaped, parts))


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
        return validity_words(self.start, self.end, self.at)

    @property
    def bar(self) -> str:
        """A bar of what is left, and the words."""
        return bar(round(100 * self.share_left), self.tone, self.words)

    @property
    def dates_and_bar(self) -> str:
        """When it is valid, and a bar of what is left."""
        dates = _element("span", "plain", f"{self.start:%Y-%m-%d} to {self.end:%Y-%m-%d}", f";{_LOOKS['whole']}")
        return f"{dates} {self.bar}"


def bar(width: int, tone: Tone, words: str, *, whole: bool = True) -> str:
    """A bar of this many percent, and the words that say the same."""
    left = "" if tone == "over" else _element("i", f"left-{tone}", "", f";width:{width}%")
    look = "bar-over" if tone == "over" else "bar"
    drawn = _element("span", look, left, attributes=f' role="img" aria-label="{width} percent"')
    return f"{drawn}{sign(tone, words, whole=whole)}"


def sign(tone: Tone, words: str, *, whole: bool = False) -> str:
    """Text after the sign of its tone: nobody has to see a colour; `whole` when it must not be broken into lines."""
    return _element("span", tone, f"{SIGNS[tone]} {text(words)}", f";{_LOOKS['whole']}" if whole else "")


def faint(words: object, *, whole: bool = False) -> str:
    """Text that matters less; `whole` as in `sign`."""
    return _element("span", "faint", text(words), f";{_LOOKS['whole']}" if whole else "")


def strong(words: object) -> str:
    """What a row is about."""
    return _element("span", "strong", text(words))


def line(content: str) -> str:
    """HTML on a line of its own."""
    return _element("div", "line", content)


def second_line(words: str | None) -> str:
    """Faint text on a line of its own; nothing when there is none."""
    return f"<br>{faint(words)}" if words else ""


def or_why(read: Callable[[], str], *, is_html: bool = False) -> str:
    """What `read` returns, escaped unless it is HTML, or why it failed: what cannot be read has a card all the same."""
    try:
        return read() if is_html else text(read())
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
    words = Validity(start=min(at, end), end=end, at=at).words
    return bar(width, tone, words, whole=False)  # an audit's table has no width to spare


def track(start: float, end: float, today: float, tone: Tone) -> str:
    """A validity on an axis of time, and a line for today; all in percent of the axis."""
    drawn = _element("i", f"span-{tone}", "", f";left:{start:.1f}%;width:{end - start:.1f}%")
    return _element("div", "track", drawn + _element("i", "today", "", f";left:{today:.1f}%"))


def key_state(words: str | None, before: str = "") -> str:
    """`usable`, or what is wrong with a private key; nothing when there is none."""
    return "" if words is None else sign("ok" if words == "usable" else "over", before + words)


def code(words: object, *, whole: bool = False) -> str:
    """Text in a fixed-width font; `whole` when it is broken into lines in its middle at most, as thumbprints are."""
    if whole:
        shown = printable(str(words))
        middle = len(shown) // 2
        return _element("code", "code", f"{escaped(shown[:middle])}<wbr>{escaped(shown[middle:])}")
    return _element("code", "code", text(words))


def card(title: str, *parts: str) -> str:
    """A whole card; its title and parts are HTML."""
    head = _element("div", "title", title, attributes=' role="heading" aria-level="4"')
    content = f"<style>{_STYLE}</style>{head}{''.join(parts)}"
    return f'<div class="mlsssl m-card" style="{_INLINE["card"]}">{content}</div>'


def listing(title: str, noun: str, heads: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str) -> str:
    """A card of one table; its title says how many there are of the noun."""
    return card(f"{text(title)} · {count(len(rows), noun)}", table(heads, rows, empty=empty))


def part(heading: str, content: str) -> str:
    """A part under a heading; nothing when there is no content."""
    if not content:
        return ""
    return _element("div", "part", text(heading), attributes=' role="heading" aria-level="5"') + content


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """A table of names and values; the values are HTML, and empty ones are left out."""
    return _table(
        _row(_element("th", "name", text(name), f";{_LOOKS['whole']}"), _element("td", "cell", value))
        for name, value in rows
        if value
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str) -> str:
    """A table with heads; cells are HTML. `empty` is what to say when there is no row."""
    if not rows:
        return line(faint(empty))
    # A browser breaks a date at its hyphens; other heads may be broken, for some tables need the width.
    whole = [f";{_LOOKS['whole']}" if _DATES.fullmatch(one) else "" for one in heads]
    head = _row(*(_element("th", "head", text(one), more) for one, more in zip(heads, whole, strict=True)))
    body = (_row(*(_element("td", "cell", cell) for cell in row)) for row in rows[:ROW_LIMIT])
    return _table(body, head) + more(len(rows))


def more(number: int, limit: int = ROW_LIMIT) -> str:
    """How many of so many are not shown; nothing when all are."""
    return line(faint(f"… and {number - limit} more")) if number > limit else ""


def _row(*cells: str) -> str:
    return f"<tr>{''.join(cells)}</tr>"


def _table(rows: Iterable[str], head: str = "") -> str:
    return _element("table", "table", f"{f'<thead>{head}</thead>' if head else ''}<tbody>{''.join(rows)}</tbody>")


def tree(levels: Sequence[str]) -> str:
    """A chain from the root down to the leaf; each level is HTML."""
    nested = ""
    for depth in range(len(levels) - 1, -1, -1):
        corner = faint("└") + " " if depth else ""
        look = "branch" if depth else "tree"
        nested = _element("ul", look, _element("li", "step", f"{corner}{levels[depth]}{nested}"))
    return nested


def level(name: str, role: str, detail: str = "") -> str:
    """One certificate of a tree: its name and role are text, the detail is HTML."""
    return f"{strong(name)} {faint(role)}{' · ' if detail else ''}{detail}"


def diff(changes: Iterable[tuple[str, str | None, str | None]]) -> str:
    """What changes, as lines with minus and plus."""
    lines = []
    for name, old, new in changes:
        lines += [_element("div", "minus", f"− {text(name)}: {text(old)}")] if old is not None else []
        lines += [_element("div", "plus", f"+ {text(name)}: {text(new)}")] if new is not None else []
    return "".join(lines)


def ordered(steps: Iterable[object]) -> str:
    """Numbered steps, as text."""
    items = "".join(_element("li", "numbered", text(step)) for step in steps)
    return _element("ol", "steps", items) if items else ""


def findings(found: Iterable[Mapping[str, Any]]) -> str:
    """A table of findings, each with its fields by name; nothing when there is none."""
    rows = [
        [
            f"{sign(SEVERITIES[one['severity']], one['severity'])}<br>{code(one['code'])}{second_line(one['where'])}",
            f"{text(one['found'])}{second_line('expected: ' + one['expected'])}{_clients(one['refused_by'])}",
            f"{text(one['remedy'])}{second_line(one['standard'])}",
        ]
        for one in found
    ]
    return table(("finding", "found", "remedy"), rows, empty="no finding") if rows else ""


def _clients(refused_by: Sequence[str]) -> str:
    if not refused_by:
        return ""
    every = len(refused_by) == len(get_args(ClientName))
    return second_line("refused by every client that is known here" if every else f"refused by {', '.join(refused_by)}")


def finding_line(finding: Mapping[str, Any]) -> str:
    """A finding on one line: its severity, its code, and what was found."""
    severity = finding["severity"]
    mark = sign(SEVERITIES[severity], "" if severity == "notice" else severity, whole=True)
    return f"{mark} {code(finding['code'])} {faint(finding['found'])}"
