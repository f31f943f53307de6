"""An ACME server validates against HTTP.sys: Pebble outside, `HttpSysChallenge` in a Windows process under Wine.

Pebble looks for http-01 at a port of its own choice; Wine's HTTP.sys driver has it, and our listener answers.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Literal

import pytest

from windows import wine

if sys.platform == "win32":
    pytest.skip("Pebble is a program of Debian's", allow_module_level=True)

from acme_servers import pebble
from mlsssl import AcmeIssuer, CertificateRequest, IssuerError

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from acme_servers import Pebble

pytestmark = pytest.mark.skipif(
    bool(wine.missing_packages()) or not (wine.prefix_folder() / wine.PREFIX_STAMP).exists(),
    reason="not prepared: python tests/windows/wine.py prepare",
)


class ThroughWine:
    """Has a Windows process present the answer, and clean it up when a file says so.

    Args:
        windows: Where the process runs.
        port: What HTTP.sys is to share.
        folder: For that file.
        right: False presents another key authorization than the right one.
    """

    type: Literal["http-01"] = "http-01"

    def __init__(self, windows: wine.Session, port: int, folder: Path, *, right: bool = True) -> None:
        self._windows = windows
        self._port = port
        self._end = folder / "end"
        self._right = right
        self._process: subprocess.Popen[bytes] | None = None

    def present(self, domain: str, token: str, key_authorization: str) -> None:
        self._end.unlink(missing_ok=True)
        shown = key_authorization if self._right else f"{token}.other"
        given = f"{domain!r}, {token!r}, {shown!r}"
        code = (
            "import time; from pathlib import Path; from mlsssl import HttpSysChallenge\n"
            f"solver = HttpSysChallenge({self._port}); solver.present({given}); print('here', flush=True)\n"
            f"while not Path({wine.windows_path(self._end)!r}).exists(): time.sleep(0.05)\n"
            f"solver.cleanup({given}); print('done', flush=True)\n"
        )
        self._process = self._windows.start(["-c", code], merge_errors=True)
        assert self._process.stdout is not None
        said = self._process.stdout.readline()
        assert said.strip() == b"here", said + self._process.stdout.read()

    def cleanup(self, domain: str, token: str, key_authorization: str) -> None:
        process, self._process = self._process, None
        if process is not None:
            self._end.touch()
            with process:
                assert process.communicate(timeout=60)[0].strip() == b"done"


@pytest.fixture(name="server", scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    with pebble(tmp_path_factory.mktemp("pebble")) as server:
        yield server


@pytest.fixture(name="windows", scope="module")
def _windows() -> Iterator[wine.Session]:
    with wine.session(httpapi="wine") as windows:
        yield windows


def test_pebble_validates_against_http_sys(server: Pebble, windows: wine.Session, tmp_path: Path) -> None:
    """It finds the answer through Wine's driver, and issues."""
    issuer = AcmeIssuer(
        server.directory,
        [ThroughWine(windows, server.http_port, tmp_path)],
        trust=server.trust,
        agree_terms=True,
        state=tmp_path / "state",
    )
    made = issuer.issue(CertificateRequest.create("windows.example", key="ec-p256").without_key(), old=None)
    assert made.check("windows.example", trust=[server.root()]).ok


def test_pebble_refuses_another_answer(server: Pebble, windows: wine.Session, tmp_path: Path) -> None:
    """The failing twin: what HTTP.sys shows is looked at."""
    issuer = AcmeIssuer(
        server.directory,
        [ThroughWine(windows, server.http_port, tmp_path, right=False)],
        trust=server.trust,
        agree_terms=True,
        state=tmp_path / "state",
    )
    with pytest.raises(IssuerError, match=r"windows\.example"):
        issuer.issue(CertificateRequest.create("windows.example", key="ec-p256").without_key(), old=None)
