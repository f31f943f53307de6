"""Cells that somebody new types into a real JupyterLab: cards come, and errors that can be read."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from browser.chromium import faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from browser.chromium import Window

_LAST = "[...document.querySelectorAll('.jp-Notebook .jp-CodeCell')].at(-1)"
_RUN = "jupyterapp.commands.execute('notebook:run-cell')"


class Typist:
    """Types a cell below the others, runs it, and gives what stands below it then."""

    def __init__(self, page: Any) -> None:
        self._page = page
        self._cells = 0

    def __call__(self, source: str) -> Any:
        page = self._page
        if self._cells:
            page.evaluate("jupyterapp.commands.execute('notebook:insert-cell-below')")
        self._cells += 1
        page.wait_for_function(
            "n => document.querySelectorAll('.jp-Notebook .jp-CodeCell').length === n", arg=self._cells
        )
        cell = page.locator(".jp-Notebook .jp-CodeCell").last
        cell.locator(".cm-content").click()
        page.keyboard.insert_text(source)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            prompt = cell.locator(".jp-InputArea-prompt").text_content().strip()
            if prompt[1:-2].isdigit():  # "[3]:"
                break
            if "*" not in prompt:  # a kernel that is not there yet forgets what it was given
                page.evaluate(_RUN)
            page.wait_for_timeout(200)
        else:
            pytest.fail(f"not run: {source}")
        page.wait_for_function(f"{_LAST}.querySelector('.jp-OutputArea-child')")
        return cell.locator(".jp-OutputArea").last


@pytest.fixture(name="type_cell")
def _type_cell(lab: str, window: Window) -> Iterator[Typist]:
    page = window.open(f"{lab}/lab?reset")
    page.wait_for_function("window.jupyterapp?.commands.hasCommand('notebook:create-new')", timeout=60_000)
    page.evaluate("jupyterapp.commands.execute('notebook:create-new', {kernelName: 'python3'})")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell .cm-content", timeout=60_000)
    yield Typist(page)
    assert faults(page) == []
    page.close()


def test_what_a_newcomer_types(type_cell: Typist) -> None:
    """The tutorial, shortened, with the mistakes that are made."""
    authority = type_cell(
        "from mlsssl import Certificate, CertificateAuthority, EmbeddedMachine, deploy, renew\n"
        "ca = CertificateAuthority.create('My CA', key='ec-p256')\n"
        "certificate = ca.issue('server-name.com')\n"
        "machine = EmbeddedMachine('typed.sqlite')\n"
        "ca"
    )
    assert authority.locator(".mlsssl").inner_text().startswith("authority My CA")
    assert "✓ ok" in type_cell("certificate.check('server-name.com', trust=[ca])").inner_text()
    assert "name-mismatch" in type_cell("certificate.check('www.server-name.com', trust=[ca])").inner_text()
    assert "✓ ready" in type_cell("deploy.plan('0.0.0.0:443', certificate, machine=machine)").inner_text()
    assert "✓ done" in type_cell("deploy('0.0.0.0:443', certificate, machine=machine)").inner_text()
    assert "✓ done" in type_cell("renew('0.0.0.0:443', ca, machine=machine)").inner_text()
    assert "server-name.com" in type_cell("machine.bindings").locator(".mlsssl").inner_text()
    for mistake, message in (
        ("certificate.check('https://server-name.com/', trust=[ca])", "is a URL; write its host alone"),
        ("certificate.check('server-name.com', trust=['root.cer'])", "Certificate.load reads a file"),
        ("Certificate.load('nothing.pfx')", "NotFoundError: there is no file nothing.pfx"),
        ("Certificate.from_text('root.cer')", "if it is the name of a file"),
    ):
        shown = type_cell(mistake).inner_text()
        assert message in shown
        assert mistake in shown
        # None of our files stands between the cell and the message.
        assert "site-packages" not in shown
        assert ".py" not in shown
    assert "ZeroDivisionError" in type_cell("1 / 0").inner_text()  # errors of others are as they were
