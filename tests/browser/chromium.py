"""Pages of a headless browser, and what is wrong with the cards on them."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

_GEOMETRY = (Path(__file__).parent / "geometry.js").read_text(encoding="utf-8")


def require(what: str, *, there: object) -> None:
    """Skip where something is missing, saying so; in CI fail, for CI skips nothing."""
    if there:
        return
    reason = f"{what} is not installed here: `nox -s notebook` runs these tests"
    if os.environ.get("CI") and sys.platform != "win32":  # on Windows nobody installs them
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass(frozen=True)
class Window:
    """Pages of the browser that reach this computer only."""

    browser: Any

    def open(self, url: str, *, width: int = 1200, dark: bool = False) -> Any:
        """A page so high that nothing has to be scrolled."""
        page = self.browser.new_page(
            viewport={"width": width, "height": 9000}, color_scheme="dark" if dark else "light"
        )
        page.route(lambda asked: not asked.startswith(("http://127.0.0.1:", "file:", "data:")), lambda way: way.abort())
        page.goto(url)
        return page


def faults(page: Any, selector: str = ".mlsssl") -> list[str]:
    """What is wrong with the cards of a page."""
    found: list[str] = page.evaluate(_GEOMETRY, selector)
    return found
