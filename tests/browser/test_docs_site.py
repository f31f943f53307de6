"""The documentation as people see it: what its buttons copy, on a phone, in the dark, with no request to anywhere."""

from __future__ import annotations

import functools
import http.server
import importlib.util
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from browser.chromium import Window, require

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGES = ("index", "reference", "reference/deploy", "cli", "howto-acme", "logging-and-threads", "changelog")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""


@pytest.fixture(name="site", scope="module")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The pages, built here without the notebook's run, on loopback: copying needs an address, files have none."""
    require("sphinx", there=importlib.util.find_spec("sphinx"))
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-D", "nb_execution_mode=off", "-b", "html"]
    subprocess.run([*command, str(ROOT / "docs"), str(folder)], check=True, capture_output=True, timeout=300)
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("page", "language", "copied"),
    [
        (
            "index",
            "pycon",
            'from mlsssl import CertificateAuthority, deploy, renew\nca = CertificateAuthority.create("',
        ),
        ("index", "console", "mlsssl quickstart server-name.com"),
        ("index", "sh", "python3 -m venv .venv && .venv/bin/pip install '.[cli]'"),
    ],
)
def test_a_button_copies_what_is_typed(window: Window, site: str, page: str, language: str, copied: str) -> None:
    """Without prompts, and without what was answered."""
    context = window.browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    try:
        shown = context.new_page()
        shown.goto(f"{site}/{page}.html")
        block = shown.locator(f"div.highlight-{language}").first
        block.hover()
        block.locator("button.copybtn").click()
        shown.wait_for_function("navigator.clipboard.readText().then(text => text.length > 0)")
        text = shown.evaluate("navigator.clipboard.readText()")
    finally:
        context.close()
    assert text.startswith(copied)
    assert ">>>" not in text
    assert "SelfIssuedCA.pvk" not in text, "an answer was copied"


@pytest.mark.parametrize("page", PAGES)
def test_pages_fit_a_phone(window: Window, site: str, page: str) -> None:
    """Nothing makes a page wider than 360 pixels; what is wide scrolls in itself."""
    shown = window.open(f"{site}/{page}.html", width=360)
    try:
        assert shown.evaluate("document.scrollingElement.scrollWidth") <= 360
    finally:
        shown.close()


@pytest.mark.parametrize("page", PAGES)
def test_pages_are_dark_for_who_wants_it(window: Window, site: str, page: str) -> None:
    """The background follows the system's setting, both ways."""
    for dark in (True, False):
        shown = window.open(f"{site}/{page}.html", dark=dark)
        try:
            color = shown.evaluate("getComputedStyle(document.body).backgroundColor")
        finally:
            shown.close()
        channels = [int(number) for number in color.strip("rgba()").split(",")[:3]]
        assert (max(channels) < 64) if dark else (min(channels) > 192), color


@pytest.mark.parametrize("page", PAGES)
def test_pages_ask_nobody(window: Window, site: str, page: str) -> None:
    """All that a page needs is beside it, and its console is empty."""
    asked: list[str] = []
    said: list[str] = []
    shown = window.browser.new_page()
    try:
        shown.on("request", lambda request: asked.append(request.url))
        shown.on("console", lambda line: said.append(line.text))
        shown.goto(f"{site}/{page}.html")
        shown.wait_for_load_state("networkidle")
    finally:
        shown.close()
    assert not [url for url in asked if not url.startswith((site, "data:"))]
    assert not said


def test_source_links_lead_to_the_function(window: Window, site: str) -> None:
    """Also for `deploy`, which is an object that is called."""
    shown: Any = window.open(f"{site}/reference/deploy.html")
    try:
        shown.locator("dt#mlsssl\\.deploy .viewcode-link").click()
        shown.wait_for_load_state()
        assert shown.url.endswith("deployment.html#deploy")
        assert "def __call__" in shown.locator("#deploy").inner_text()
    finally:
        shown.close()
