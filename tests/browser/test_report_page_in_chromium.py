"""The page of audits in a real browser: sorting, searching, keyboard, telephone, paper, contrast, no request, no error.

The pictures are kept in the folder that MLSSSL_PICTURES names, to be looked at.
"""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from browser.test_cards_in_hosts import keep
from made_audits import HOSTILE, hostile_audit, made_audit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mlsssl import Audit

ROWS = "#rows tbody tr:not(.more-of)"
# Relative luminance and contrast: WCAG 2.2, "contrast ratio". Text that is not seen is passed over.
_CONTRAST = """() => {
  const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const channels = colour => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = colour => {
    const [red, green, blue] = channels(colour).slice(0, 3).map(
      one => one / 255 <= 0.04045 ? one / 255 / 12.92 : ((one / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const ground = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if (channels(colour)[3] === 255) return colour;
    }
    return "white";
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  let looked = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest("option")) continue;
    looked += 1;
    const [one, other] = [luminance(getComputedStyle(element).color), luminance(ground(element))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) found.push(`${ratio.toFixed(1)}: ${walker.currentNode.data}`);
  }
  return [looked, found];
}"""


class Page:
    """An open page, with what the browser said of it and asked for."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.said: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))

    def told(self) -> str:
        """How many rows there are."""
        text: str = self.page.inner_text("[role=status]")
        return text

    def wait_until_told(self, text: str) -> None:
        """Wait for that; by asking, since the page's policy forbids what playwright itself would wait with."""
        end = time.monotonic() + 30
        while self.told() != text:
            assert time.monotonic() < end, self.told()
            self.page.wait_for_timeout(10)

    def search(self, words: str, told: str) -> None:
        """Type into the search."""
        self.page.fill("input[type=search]", words)
        self.wait_until_told(told)

    def column(self, number: int, *, lines: int = 1) -> list[str]:
        """The first lines of the cells of a column."""
        cells = self.page.eval_on_selector_all(
            f"{ROWS} td:nth-child({number})", "cells => cells.map(cell => cell.innerText.trim())"
        )
        return ["\n".join(cell.split("\n")[:lines]) for cell in cells]


@pytest.fixture(name="show")
def _show(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    contexts = []

    def show(*audits: Audit, width: int = 1280, dark: bool = False, scripts: bool = True) -> Page:
        file = audits[0].save(tmp_path / "report.html", *audits[1:])
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            java_script_enabled=scripts,
        )
        contexts.append(context)
        page = Page(context.new_page())
        page.page.goto(file.as_uri())
        return page

    yield show
    for context in contexts:
        context.close()


def several() -> tuple[Audit, ...]:
    """Three machines."""
    return made_audit(24), made_audit(25, "server02.corp.test", seed=5), made_audit(3, "dc01.corp.test", seed=6)


@pytest.mark.parametrize("dark", [False, True])
def test_it_can_be_read_light_and_dark_and_asks_for_nothing(show: Callable[..., Page], *, dark: bool) -> None:
    """Contrast of at least 4.5 everywhere, details open; not an error, not a request but for itself."""
    page = show(*several(), dark=dark)
    for one in page.page.query_selector_all("#rows summary")[:3] + page.page.query_selector_all("#rows .open")[:2]:
        one.click()
    looked, faint = page.page.evaluate(_CONTRAST)
    assert looked > 300
    assert faint == []
    ground = page.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(22, 27, 34)" if dark else "rgb(255, 255, 255)")
    page.page.evaluate("scrollTo(0, 0)")
    keep(page.page, f"report-{'dark' if dark else 'light'}")
    assert page.said == []
    assert len(page.asked) == 1
    page.page.evaluate("document.querySelector('h1').style.color = 'rgb(120, 120, 120)'")
    assert len(page.page.evaluate(_CONTRAST)[1]) == 1  # it can be noticed


def test_the_policy_lets_nothing_out(show: Callable[..., Page], browser: Any) -> None:
    """An image that is put into the page is not asked for; in a page without the policy it is."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        image = f"http://127.0.0.1:{server.getsockname()[1]}/x.png"
        page = show(made_audit(1))
        page.page.evaluate("src => document.body.append(Object.assign(new Image(), {src}))", image)
        end = time.monotonic() + 30
        while not any("Content Security Policy" in text for text in page.said):
            assert time.monotonic() < end, page.said
            page.page.wait_for_timeout(10)
        server.settimeout(0.0)
        with pytest.raises(BlockingIOError):
            server.accept()
        without = browser.new_page()
        without.set_content(f"<img src={image}>", wait_until="commit")
        server.settimeout(30)
        server.accept()[0].close()
        without.close()


def test_rows_are_sorted_by_any_column_both_ways(show: Callable[..., Page]) -> None:
    """By number, by address as people count, by the worst finding; what has no value stands last either way."""
    found = made_audit(60)
    page = show(found)
    days = sorted(row.days_left for row in found.rows if row.days_left is not None)
    ends = [
        f"{row.not_after:%Y-%m-%d}" for row in sorted(found.rows, key=lambda it: it.days_left or 0) if row.not_after
    ]
    assert [text.split("\n")[-1] for text in page.column(1, lines=2)] == ends
    assert page.page.get_attribute("#rows th:nth-child(1)", "aria-sort") == "ascending"
    page.page.click("#rows th:nth-child(1) button")
    assert page.page.get_attribute("#rows th:nth-child(1)", "aria-sort") == "descending"
    assert page.column(1)[0].endswith(f"{int(days[-1])} days left")
    page.page.click("#rows th:nth-child(2) button")
    assert page.page.get_attribute("#rows th:nth-child(1)", "aria-sort") is None
    keys = page.column(2)
    assert keys[:4] == ["10.0.0.0:443", "10.0.0.3:443", "10.0.0.6:443", "10.0.0.9:443"]
    assert keys[4] == "10.0.0.12:443"
    page.page.select_option("select[aria-label=order]", "4 0")
    worst = [text[:2].strip() for text in page.column(5)]
    assert worst == sorted(worst, key="✗▲i✓".index)
    assert {"✗", "▲", "i", "✓"} == set(worst)


def test_rows_are_searched_and_chosen(show: Callable[..., Page]) -> None:
    """By every word, in whatever is in the row, its findings and its details; by severity and by machine."""
    audits = several()
    rows = [(one.machine, row) for one in audits for row in one.rows]
    page = show(*audits)
    assert page.told() == "52 rows"
    both = sum("host0000" in str(row.names) and "mail" in str(row.names) for _, row in rows)
    assert both > 1
    page.search("MAIL  host0000", f"{both} of 52 rows")
    thumbprint = str(rows[30][1].thumbprint)
    page.search(thumbprint, "1 of 52 rows")
    page.page.click(f"{ROWS} .open")
    assert thumbprint in page.page.inner_text(".more-of")
    page.page.click(f"{ROWS} .open")
    assert page.page.query_selector(".more-of") is None
    page.search("no-such-host", "0 of 52 rows")
    assert page.column(2) == []
    page.page.keyboard.press("Escape")
    page.wait_until_told("52 rows")
    errors = sum(any(one.severity.value == "error" for one in row.findings) for _, row in rows)
    page.page.select_option("select[aria-label='which rows']", "error")
    assert page.told() == f"{errors} of 52 rows"
    mine = sum(
        name == "server02.corp.test" and any(one.severity.value == "error" for one in row.findings)
        for name, row in rows
    )
    page.page.select_option("select[aria-label='which machine']", "server02.corp.test")
    assert page.told() == f"{mine} of 52 rows"
    # A finding at the top leads to its rows, whatever had been chosen but the machine.
    page.page.select_option("select[aria-label='which machine']", "")
    due = sum(any(one.code == "renewal-due" for one in row.findings) for _, row in rows)
    page.page.click("code.filter button:has-text('renewal-due')")
    assert page.told() == f"{due} of 52 rows"
    assert 0 < due < 52
    assert page.said == []


def test_it_is_used_from_the_keyboard(show: Callable[..., Page]) -> None:
    """/ searches, Tab goes on, Enter sorts and opens; what has the focus can be seen."""
    page = show(made_audit(30))
    keys = page.page.keyboard
    keys.press("/")
    assert page.page.evaluate("document.activeElement.type") == "search"
    keys.type("corp/x")
    assert page.page.input_value("input[type=search]") == "corp/x"
    keys.press("Escape")
    assert page.page.input_value("input[type=search]") == ""
    page.wait_until_told("30 rows")
    for _ in range(4):
        keys.press("Tab")
    assert page.page.evaluate("document.activeElement.textContent") == "binding"
    assert page.page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    keys.press("Enter")
    assert page.page.get_attribute("#rows th:nth-child(2)", "aria-sort") == "ascending"
    for _ in range(4):
        keys.press("Tab")
    keys.press("Enter")
    assert page.page.evaluate("document.activeElement.getAttribute('aria-expanded')") == "true"
    assert page.page.query_selector(".more-of") is not None
    keys.press("Tab")
    keys.press("Enter")
    assert page.page.query_selector("#rows details[open]") is not None


@pytest.mark.parametrize("scripts", [True, False])
def test_a_telephone_shows_it_without_scrolling_aside(show: Callable[..., Page], *, scripts: bool) -> None:
    """At 360 pixels: nothing is wider than the window, each cell says what it is, and the order can be chosen."""
    page = show(*several(), hostile_audit(), width=360, scripts=scripts)
    assert page.page.evaluate("document.documentElement.scrollWidth") == 360
    wide = page.page.evaluate(
        "[...document.querySelectorAll('main *')].filter(one => one.checkVisibility() && !one.closest('svg')"
        " && one.getBoundingClientRect().right > 361).map(one => one.outerHTML.slice(0, 200))"
    )
    assert wide == []
    label = page.page.evaluate("getComputedStyle(document.querySelector('#rows td'), '::before').content")
    assert label == '"days left"'
    keep(page.page, f"report-phone-{'scripts' if scripts else 'still'}")
    if scripts:
        page.page.select_option("select[aria-label=order]", "0 1")
        assert "days left" in page.column(1)[0]


def test_without_scripts_it_is_there_to_read(show: Callable[..., Page]) -> None:
    """The rows that end first, findings, remedies and the timeline; and that scripts are needed for the rest."""
    page = show(made_audit(250), scripts=False)
    text = page.page.inner_text("main")
    assert "The 200 that end first of 250" in text
    assert len(page.page.query_selector_all(ROWS)) == 200
    assert page.page.query_selector("input") is None
    assert page.said == []
    with_scripts = show(made_audit(250)).page
    assert "end first of" not in with_scripts.inner_text("main")
    assert with_scripts.query_selector("input") is not None


def test_strangers_names_are_text(show: Callable[..., Page]) -> None:
    """The end of a script, an element, an override of direction and an ANSI sequence, with scripts and without."""
    for scripts in (True, False):
        page = show(hostile_audit(), made_audit(3), scripts=scripts)
        text = page.page.inner_text("main")
        assert "</script><img src=" in text
        assert HOSTILE not in text
        assert "\\u202e" in text
        assert "\u202e" not in text
        assert "\x1b" not in text
        assert page.page.query_selector("img") is None
        assert page.said == []
        assert len(page.asked) == 1


def test_ten_thousand_bindings_stay_usable(show: Callable[..., Page]) -> None:
    """There in seconds, a hundred rows at a time; each search and order within a second, three if busy."""
    began = time.monotonic()
    page = show(made_audit(10_000, "large"))
    loaded = page.page.evaluate("performance.timing.loadEventEnd - performance.timing.navigationStart")
    assert page.told() == "10000 rows"
    assert len(page.page.query_selector_all(ROWS)) == 100
    page.page.click("button.more")
    assert len(page.page.query_selector_all(ROWS)) == 200
    assert page.page.evaluate("document.activeElement.closest('tr').rowIndex") == 101
    times = {}
    for words, told in (("host01234.", "1 of 10000 rows"), ("no-such-host", "0 of 10000 rows"), ("", "10000 rows")):
        start = time.monotonic()
        page.search(words, told)
        times[words or "all"] = time.monotonic() - start
    for number in range(1, 6):
        times[f"order {number}"] = page.page.evaluate(
            "number => { const start = performance.now();"
            " document.querySelector(`#rows th:nth-child(${number}) button`).click();"
            " document.body.getBoundingClientRect(); return (performance.now() - start) / 1000 }",
            number,
        )
    print(f"loaded in {loaded} ms; {times}; {time.monotonic() - began:.1f} s in all")
    assert loaded < 10_000
    assert max(times.values()) < 3


def test_paper_has_every_chosen_row_with_its_remedy(show: Callable[..., Page], tmp_path: Path) -> None:
    """All of them, not the first hundred; light, also where the window is dark; without what only a window can do."""
    page = show(made_audit(250), dark=True)
    page.page.pdf(path=str(tmp_path / "report.pdf"), format="A4", print_background=True)
    assert (tmp_path / "report.pdf").stat().st_size > 20_000
    assert len(page.page.query_selector_all(ROWS)) == 250
    page.page.emulate_media(media="print")
    page.page.set_viewport_size({"width": 690, "height": 900})
    assert page.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.page.is_visible(".tools")
    assert page.page.is_visible("#rows dd.remedy")
    assert not page.page.is_visible("#rows dd.standard")
    assert page.page.evaluate("document.documentElement.scrollWidth") == 690
    assert page.page.evaluate(_CONTRAST)[1] == []
    keep(page.page, "report-paper")
    assert page.said == []
