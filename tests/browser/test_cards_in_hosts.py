"""Cards where they are used, by geometry: nothing overlaps, is cut off or pushed about, and every word can be read.

The pictures are kept in the folder that MLSSSL_PICTURES names, to be looked at.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from browser.cards_in_hand import looks, normal, notebook
from browser.chromium import faults, require

if TYPE_CHECKING:
    from browser.chromium import Window


def keep(page: Any, name: str) -> None:
    """Keep a picture of the page, if somebody wants to look at it."""
    if folder := os.environ.get("MLSSSL_PICTURES"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


# -- JupyterLab and Notebook ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theme", ["Light", "Dark"])
@pytest.mark.parametrize("trust", ["trusted", "untrusted"])
@pytest.mark.parametrize("place", ["lab/tree", "notebooks"])
def test_cards_in_jupyter(lab: str, window: Window, cards: dict[str, str], place: str, trust: str, theme: str) -> None:
    """JupyterLab and Notebook, each in its own two themes, with and without the style sheet."""
    if place == "notebooks":
        require("notebook", there=importlib.util.find_spec("notebook"))
    page = window.open(f"{lab}/{place}/{trust}.ipynb{'?reset' if place == 'lab/tree' else ''}")
    page.wait_for_function("n => document.querySelectorAll('.mlsssl').length === n", arg=len(cards), timeout=120_000)
    page.evaluate("t => jupyterapp.commands.execute('apputils:change-theme', {theme: t})", f"JupyterLab {theme}")
    light = "true" if theme == "Light" else "false"
    page.wait_for_function(
        # The theme's style sheet is there, too, once its ground is not that of the other theme.
        "l => document.body.dataset.jpThemeLight === l && (l === 'true') === (getComputedStyle(document.body)"
        ".getPropertyValue('--jp-layout-color0').trim().match(/^(white|#fff(fff)?)$/) !== null)",
        arg=light,
        timeout=60_000,
    )
    assert page.evaluate("document.querySelectorAll('.mlsssl > style').length") == (trust == "trusted") * len(cards)
    keep(page, f"{place.partition('/')[0]}-{trust}-{theme.lower()}")
    assert faults(page) == []
    ground = page.evaluate("getComputedStyle(document.querySelector('.mlsssl')).backgroundColor")
    dark = theme == "Dark" and trust == "trusted"  # what is not trusted is a light card, wherever it is
    assert ground == ("rgb(22, 27, 34)" if dark else "rgb(255, 255, 255)")
    page.close()


def test_the_sanitizer_takes_nothing_away(lab: str, window: Window, cards: dict[str, str]) -> None:
    """Everything that stands at an element passes JupyterLab's patterns."""
    page = window.open(f"{lab}/lab/tree/untrusted.ipynb?reset")
    page.wait_for_function("n => document.querySelectorAll('.mlsssl').length === n", arg=len(cards), timeout=120_000)
    left = page.evaluate(
        "[...document.querySelectorAll('.mlsssl')].map(card => [card, ...card.querySelectorAll('[style]')]"
        ".map(one => one.getAttribute('style')))"
    )
    for (name, card), those in zip(cards.items(), left, strict=True):
        assert [normal(one) for one in those] == looks(card), name
    page.close()


# -- pages ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("template", "theme"), [("lab", "light"), ("lab", "dark"), ("classic", "light")])
def test_cards_in_nbconvert(window: Window, cards: dict[str, str], tmp_path: Path, template: str, theme: str) -> None:
    """What `jupyter nbconvert --to html` makes, without a network."""
    require("nbconvert", there=importlib.util.find_spec("nbconvert"))
    source = tmp_path / "cards.ipynb"
    source.write_text(notebook(cards), encoding="utf-8")
    command = [sys.executable, "-m", "nbconvert", "--to", "html", "--template", template, "--theme", theme, str(source)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    page = window.open((tmp_path / "cards.html").as_uri())
    keep(page, f"nbconvert-{template}-{theme}")
    assert faults(page) == []
    page.close()


# What a web view of Visual Studio Code says about an output: its `backLayerWebView.ts`, as far as it concerns tables,
# code, lists and the body's colours, and the class that its theme gives to the body.
_VSCODE = """<!doctype html><meta charset="utf-8"><style>
body { padding: 0; font-family: "Segoe WPC", "Segoe UI", sans-serif; font-size: 13px; color: #CCC; }
body.vscode-light { background: #FFF; color: #616161 } body.vscode-dark { background: #1E1E1E; }
body.vscode-high-contrast { background: #000; color: #FFF }
body.vscode-high-contrast-light { background: #FFF; color: #292929 }
code { color: #D7BA7D; font-family: monospace; background-color: rgba(127, 127, 127, .2) }
#container > div > div > div { overflow-x: auto; }
table, thead, tr, th, td, tbody { border: none !important; border-color: transparent; border-spacing: 0;
  border-collapse: collapse; }
table { width: 100%; } table, th, tr { text-align: right; vertical-align: middle; }
thead { font-weight: bold; background-color: rgba(130, 130, 130, 0.16); }
th, td { padding: 4px 8px; }
tr:nth-child(even) { background-color: rgba(130, 130, 130, 0.08); } tr:hover { background-color: rgba(0, 90, 200, .3) }
tbody th { font-weight: normal; }
</style>"""


@pytest.mark.parametrize("width", [680, 1200])
@pytest.mark.parametrize("theme", ["light", "dark", "high-contrast", "high-contrast-light"])
def test_cards_under_vs_codes_rules(
    window: Window, cards: dict[str, str], tmp_path: Path, theme: str, width: int
) -> None:
    """A page with the rules of VS Code's web view, in the theme that is not the system's."""
    outputs = "".join(f'<div class="output"><div>{card}</div></div>' for card in cards.values())
    file = tmp_path / "code.html"
    # Its light theme of high contrast has the dark one's class too: `ApiThemeClassName`, and what sets it.
    classes = "vscode-high-contrast-light vscode-high-contrast" if theme.endswith("t-light") else f"vscode-{theme}"
    file.write_text(
        f'{_VSCODE}<body class="{classes}"><div id="container"><div>{outputs}</div></div>', encoding="utf-8"
    )
    page = window.open(file.as_uri(), width=width, dark=theme.endswith("light"))
    keep(page, f"vscode-{theme}-{width}")
    assert faults(page) == []
    ground = page.evaluate("getComputedStyle(document.querySelector('.mlsssl')).backgroundColor")
    assert ground == ("rgb(255, 255, 255)" if theme.endswith("light") else "rgb(22, 27, 34)")
    page.close()


_CONF = """
extensions = ["myst_nb"]
html_theme = "furo"
nb_execution_mode = "off"
html_static_path = [{static!r}]
html_css_files = ["mlsssl.css"]
"""


def test_cards_in_the_documentation(window: Window, cards: dict[str, str], tmp_path: Path) -> None:
    """A page made as ours are, whose column of text is narrow, light and dark."""
    require("myst-nb", there=importlib.util.find_spec("myst_nb"))
    require("furo", there=importlib.util.find_spec("furo"))
    static = Path(__file__).parents[2] / "docs" / "_static"
    (tmp_path / "conf.py").write_text(_CONF.format(static=str(static)), encoding="utf-8")
    (tmp_path / "index.ipynb").write_text(notebook(cards), encoding="utf-8")
    command = [sys.executable, "-m", "sphinx", "-q", "-b", "html", str(tmp_path), str(tmp_path / "html")]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    page = window.open((tmp_path / "html" / "index.html").as_uri())
    for theme in ("light", "dark"):
        page.evaluate("t => { document.body.dataset.theme = t }", theme)
        keep(page, f"docs-{theme}")
        assert faults(page) == [], theme
    page.close()


# -- the measure itself -----------------------------------------------------------------------------------------------


_CELL = "text-align:left;vertical-align:top;border:0;border-top:1px solid #888;padding:0"
_BAR = "display:inline-block;width:100px;height:10px;border:1px solid #555;background:#fff"


@pytest.mark.parametrize(
    ("fault", "card"),
    [
        ("overprinted", "<div style='line-height:3px'>one <br> two</div>"),
        ("overprinted", f"<span class=m-bar style='{_BAR};margin-right:-50px'></span><span>words after</span>"),
        ("aligned right", f"<table style='width:100%'><td style='{_CELL};text-align:right'>words</table>"),
        ("aligned middle", f"<table><td style='{_CELL};vertical-align:middle'>words</table>"),
        ("not at the left", f"<table style='width:100%'><td style='{_CELL}'><div style='float:right'>a</div></table>"),
        ("no line above", f"<table><td style='{_CELL};border-top:0'>words</table>"),
        ("another ground", f"<table><tr style='background:#eef'><td style='{_CELL}'>words</table>"),
        ("contrast 2", "<span style='color:#aaa'>faint</span>"),
        ("contrast 1", "<span style='color:#000;background:#111'>dark on dark</span>"),
        ("wider than its card", "<div style='width:3000px'>long</div>"),
        ("past the border", "<div style='margin-left:-30px'>words</div>"),
        ("cut off", "<div style='width:30px;overflow:hidden;white-space:nowrap'>many words in a row</div>"),
        ("out of its cell", f"<table style='table-layout:fixed;width:80px'><td style='{_CELL}'>{'x' * 40}</table>"),
        ("a bullet", "<ul><li>step</ul>"),
        ("not shown", "<span style='display:none'>words</span>"),
        ("a bar without colour", f"<span class=m-bar style='{_BAR}'><i style='display:block;width:50%'></i></span>"),
        ("drawn for 50%", f"<span class=m-bar style='{_BAR}'><i style='width:50%'></i></span>"),
        ("a bar of 0", "<span class=m-bar></span>"),
        ("letters of 8px", "<span style='font-size:8px'>small</span>"),
    ],
)
def test_the_measure_sees_each_fault(window: Window, fault: str, card: str) -> None:
    """The failing twin of every assertion above."""
    look = "background:#fff;color:#222;border:1px solid #888;padding:12px;width:600px;font-size:13px"
    page = window.open("about:blank")
    page.set_content(f"<!doctype html><div class=mlsssl style='{look}'>{card}<p>and more words</p></div>")
    assert any(fault in one for one in faults(page)), faults(page)
    page.set_content(f"<!doctype html><div class=mlsssl style='{look}'><p>and more words</p></div>")
    assert faults(page) == []
    page.close()
