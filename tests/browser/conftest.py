"""A headless Chromium, a JupyterLab, and the notebooks that they show."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from browser.cards_in_hand import notebook, things
from browser.chromium import Window, require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Nothing is to be asked of anywhere: a browser updates itself and reports home.
_FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run"),
)
_SETTINGS = {
    "apputils-extension/notification.jupyterlab-settings": '{"fetchNews": "false", "checkForUpdates": false}',
    "notebook-extension/tracker.jupyterlab-settings": '{"windowingMode": "none"}',
}


@pytest.fixture(name="browser", scope="session")
def _browser() -> Iterator[Any]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    require("playwright", there=importlib.util.find_spec("playwright"))
    require("chromium", there=program)
    drive = pytest.importorskip("playwright.sync_api")  # Any: type checkers do without it
    with drive.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=[*_FLAGS])
        yield browser
        browser.close()


@pytest.fixture(name="window", scope="session")
def _window(browser: Any) -> Window:
    return Window(browser)


@pytest.fixture(name="cards", scope="session")
def _cards() -> dict[str, str]:
    return things()


@pytest.fixture(name="lab", scope="session")
def _lab(tmp_path_factory: pytest.TempPathFactory, cards: dict[str, str]) -> Iterator[str]:
    """A JupyterLab with `trusted.ipynb` and `untrusted.ipynb`; its address."""
    require("jupyterlab", there=importlib.util.find_spec("jupyterlab"))
    folder = tmp_path_factory.mktemp("lab")
    shelf = folder / "notebooks"
    shelf.mkdir()
    # Trust is a signature of the content: the two have to differ.
    (shelf / "trusted.ipynb").write_text(notebook(cards, trust="yes"), encoding="utf-8")
    (shelf / "untrusted.ipynb").write_text(notebook(cards), encoding="utf-8")
    environment = {
        **os.environ,
        **{f"JUPYTER_{name}_DIR": str(folder / name.lower()) for name in ("DATA", "CONFIG", "RUNTIME")},
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
    }
    for name, setting in _SETTINGS.items():
        file = folder / "settings" / "@jupyterlab" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(setting, encoding="utf-8")
    sign = [sys.executable, "-m", "nbformat.sign", str(shelf / "trusted.ipynb")]
    subprocess.run(sign, env=environment, check=True, capture_output=True, timeout=120)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--notebook-dir={shelf}"),
        *("--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token="),
        *("--LabApp.expose_app_in_browser=True", "--JupyterNotebookApp.expose_app_in_browser=True"),
    ]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait_for(f"http://127.0.0.1:{port}/api", server, folder / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(30)


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"JupyterLab does not answer: {log.read_text(encoding='utf-8', errors='replace')[-2000:]}")
