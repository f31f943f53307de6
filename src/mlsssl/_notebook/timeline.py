"""Timelines: certificates on one axis of time, as SVG and as text, with a line for today."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mlsssl._messages.arguments import items_of
from mlsssl._messages.foreign_text import printable
from mlsssl._messages.output import escaped
from mlsssl._notebook import cards
from mlsssl._notebook.cards import SIGNS, Validity, themes
from mlsssl.errors import InvalidInputError, MalformedDataError
from mlsssl.values import check_moment

if TYPE_CHECKING:
    from collections.abc import Iterable

_WIDTH, _LABEL, _ROW, _TOP, _RIGHT = 860, 230, 28, 34, 170
_LIMIT = 200
_STYLE = (
    themes("mlsssl-line") + ".mlsssl-line text{font:12px system-ui,sans-serif;fill:var(--m-ink)}"
    ".mlsssl-line .faint{fill:var(--m-faint)}"
    ".mlsssl-line .ground{fill:var(--m-ground);stroke:var(--m-line)}.mlsssl-line .tick{stroke:var(--m-line)}"
    ".mlsssl-line .now{stroke:var(--m-ink);stroke-width:1.5;stroke-dasharray:4 3}"
    ".mlsssl-line rect.ok{fill:var(--m-ok)}.mlsssl-line rect.soon{fill:url(#mlsssl-soon);stroke:var(--m-bar-soon)}"
    ".mlsssl-line rect.over{fill:url(#mlsssl-over);stroke:var(--m-bar-over)}"
    ".mlsssl-line text.ok{fill:var(--m-ok)}"
    ".mlsssl-line text.soon{fill:var(--m-soon)}.mlsssl-line text.over{fill:var(--m-over)}"
)
# A picture of its own patterns, so that it can be told apart in black and white.
_PATTERNS = (
    '<pattern id="mlsssl-soon" width="8" height="8" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="5" height="8" style="fill:var(--m-bar-soon)"/></pattern>'
    '<pattern id="mlsssl-over" width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(135)">'
    '<rect width="2.5" height="7" style="fill:var(--m-bar-over)"/></pattern>'
)


class HasValidity(Protocol):
    """What a timeline needs of a certificate."""

    @property
    def names(self) -> tuple[str, ...]:
        """The names that it is for."""

    @property
    def subject(self) -> str:
        """The subject as text."""

    @property
    def not_before(self) -> dt.datetime:
        """The first second of its validity."""

    @property
    def not_after(self) -> dt.datetime:
        """The last second of its validity."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Certificates over time: a picture in notebooks, text elsewhere.

    Attributes:
        rows: For each certificate what it is called, its first second and its last.
        at: Where "today" is.
    """

    rows: tuple[tuple[str, dt.datetime, dt.datetime], ...]
    at: dt.datetime

    def to_svg(self) -> str:
        """The picture: SVG for a page or a file. Text in it is escaped; light and dark follow the reader's system."""
        shown = self.rows[:_LIMIT]
        first, last = self._span()
        height = _TOP + _ROW * len(shown) + 14
        drawn = _WIDTH - _LABEL - _RIGHT

        def x(moment: dt.datetime) -> float:
            return _LABEL + drawn * ((moment - first) / (last - first))

        title = f"{len(self.rows)} certificates over time"
        size = f'viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" class="mlsssl-line" {size} role="img"><title>{title}</title>',
            f"<style>{_STYLE}</style><defs>{_PATTERNS}</defs>",
            f'<rect class="ground" x="0.5" y="0.5" width="{_WIDTH - 1}" height="{height - 1}" rx="8"/>',
        ]
        for moment, text in _ticks(first, last):
            parts.append(
                f'<line class="tick" x1="{x(moment):.1f}" x2="{x(moment):.1f}" y1="{_TOP - 6}" y2="{height - 10}"/>'
            )
            parts.append(f'<text class="faint" x="{x(moment):.1f}" y="20" text-anchor="middle">{text}</text>')
        for number, (name, start, end) in enumerate(shown):
            parts += _row(number, name, Validity(start=start, end=end, at=self.at), x(start), x(end))
        parts.append(
            f'<line class="now" x1="{x(self.at):.1f}" x2="{x(self.at):.1f}" y1="{_TOP - 6}" y2="{height - 10}"/>'
        )
        parts.append("</svg>")
        return "".join(parts)

    def _span(self) -> tuple[dt.datetime, dt.datetime]:
        moments = [self.at, *(start for _, start, _ in self.rows), *(end for _, _, end in self.rows)]
        first, last = min(moments), max(moments)
        return first, last if last > first else first + dt.timedelta(days=1)

    def _repr_html_(self) -> str:
        """A table with bars: JupyterLab shows no picture in a notebook that it does not trust."""
        first, last = self._span()

        def share(moment: dt.datetime) -> float:
            return 100 * ((moment - first) / (last - first))

        rows = []
        for name, start, end in self.rows[: cards.ROW_LIMIT]:
            validity = Validity(start=start, end=end, at=self.at)
            drawn = cards.track(share(start), share(max(start, end)), share(self.at), validity.tone)
            dates = cards.faint(f"{start:%Y-%m-%d} to {end:%Y-%m-%d}", whole=True)
            rows.append([cards.text(name), drawn, f"{cards.sign(validity.tone, validity.words)}<br>{dates}"])
        heads = ("certificate", f"{first:%Y-%m-%d} to {last:%Y-%m-%d}", "validity")
        title = f"{cards.count(len(self.rows), 'certificate')} at {self.at:%Y-%m-%d}"
        return cards.card(title, cards.table(heads, rows, empty=""), cards.more(len(self.rows)))

    def _repr_svg_(self) -> str:
        return self.to_svg()

    def __str__(self) -> str:
        lines = [f"{len(self.rows)} certificates at {self.at:%Y-%m-%d}"]
        for name, start, end in self.rows:
            words = Validity(start=start, end=end, at=self.at).words
            lines.append(f"  {start:%Y-%m-%d} to {end:%Y-%m-%d}  {words:<22} {printable(name)}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)


def _row(number: int, name: str, validity: Validity, left: float, right: float) -> list[str]:
    y = _TOP + _ROW * number
    label = escaped(name, limit=60)
    width = max(2.0, right - left)
    tone = validity.tone
    detail = f"{name}: {validity.start:%Y-%m-%d} to {validity.end:%Y-%m-%d}, {validity.words}"
    return [
        # An inner picture cuts off what does not fit.
        f'<svg y="{y}" width="{_LABEL - 12}" height="{_ROW}"><text x="14" y="18">{label}</text></svg>',
        (
            f'<rect class="{tone}" x="{left:.1f}" y="{y + 6}" width="{width:.1f}" height="16" rx="3">'
            f"<title>{escaped(detail)}</title></rect>"
        ),
        f'<text class="{tone}" x="{_WIDTH - _RIGHT + 10}" y="{y + 18}">{SIGNS[tone]} {escaped(validity.words)}</text>',
    ]


def _ticks(first: dt.datetime, last: dt.datetime) -> list[tuple[dt.datetime, str]]:
    """At most about eight beginnings of months or years in the span."""
    months = (last.year - first.year) * 12 + last.month - first.month
    step = next((size for size in (1, 2, 3, 6, 12, 24, 60, 120, 240, 600) if months / size <= 8), 1200)
    found = []
    number = first.year * 12 + first.month - 1
    number += -number % step
    while number <= last.year * 12 + last.month - 1 and number // 12 <= 9999:
        moment = dt.datetime(number // 12, number % 12 + 1, 1, tzinfo=dt.timezone.utc)
        if first <= moment <= last:
            found.append((moment, f"{moment:%Y}" if step >= 12 else f"{moment:%Y-%m}"))
        number += step
    return found


def timeline(certificates: Iterable[HasValidity], *, at: dt.datetime | None = None) -> Timeline:
    """Certificates on one axis of time, those that end first on top.

    Args:
        certificates: Certificates, each shown by its first name.
        at: Where "today" is; aware; now when not given.

    Returns:
        A `Timeline`: a picture in a notebook, `to_svg()` for a page, text when printed.

    Raises:
        InvalidInputError: no certificate, something else than certificates, or a moment without time zone.
    """
    moment = check_moment(at)
    expected = "a timeline is made of a list of certificates"
    try:
        rows = [(_name(one), one.not_before, one.not_after) for one in items_of(certificates, expected)]
    except AttributeError as error:
        raise InvalidInputError(f"{expected}: {error}") from None
    if not rows:
        raise InvalidInputError("a timeline needs at least one certificate")
    return Timeline(tuple(sorted(rows, key=lambda row: row[2])), moment)


def _name(certificate: HasValidity) -> str:
    try:
        names = certificate.names
    except MalformedDataError:  # somebody else's damaged certificate ends some day all the same
        names = ()
    return names[0] if names else certificate.subject or "no name"
