"""Answering requests through the HTTP.sys of this Windows: its driver, real clients on the loopback, real processes.

Under Wine only with Wine's own httpapi.dll and its driver (`wine.py run --httpapi wine`): the stand-in has no requests.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import pytest

from mlsssl._native.cdata import exports
from mlsssl._windows.dlls import SystemDlls
from mlsssl._windows.http_requests import PrefixListener
from mlsssl.errors import ListenerError
from windows.wine_limits import under_wine

if TYPE_CHECKING:
    from collections.abc import Iterator

if sys.platform != "win32":
    pytest.skip("the real DLLs are Windows': `nox -s windows` runs this under Wine", allow_module_level=True)
if not exports(SystemDlls().httpapi_requests, "HttpAddUrlToUrlGroup"):
    pytest.skip("the stand-in has no requests: wine.py run --httpapi wine", allow_module_level=True)

BELOW = ".well-known/acme-challenge/"


@pytest.fixture
def port() -> int:
    """One that nobody has."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def prefix(port: int, below: str = BELOW) -> str:
    return f"http://+:{port}/{below}"


def get(port: int, path: str, *, method: str = "GET", headers: dict[str, str] | None = None) -> tuple[int, bytes, str]:
    """Status, body and content type, by a client that knows nothing of HTTP.sys."""
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/{path}", method=method, headers=headers or {})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(asked, timeout=60) as response:
            return response.status, response.read(), response.headers.get("Content-Type", "")
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), error.headers.get("Content-Type", "")


def answer(path: str) -> bytes | None:
    return b"token.thumbprint" if path == f"/{BELOW}token" else None


def test_a_client_gets_the_answer(port: int) -> None:
    """As RFC 8555 wants it, with and without a query; what is not known is 404, and so is another method."""
    with PrefixListener(SystemDlls(), prefix(port), answer) as listener:
        assert get(port, f"{BELOW}token") == (200, b"token.thumbprint", "application/octet-stream")
        assert get(port, f"{BELOW}token?a=b")[:2] == (200, b"token.thumbprint")
        assert get(port, f"{BELOW}other")[0] == 404
        assert get(port, f"{BELOW}token", method="DELETE")[0] == 404
        assert get(port, f"{BELOW}token", headers={f"X-{n}": "x" * 1000 for n in range(10)})[0] == 200
        assert listener.failure is None


def test_the_longest_prefix_gets_the_request(port: int) -> None:
    """Another program on the same port keeps everything else: two listeners, as two programs have them."""
    with (
        PrefixListener(SystemDlls(), prefix(port, ""), lambda _path: b"site"),
        PrefixListener(SystemDlls(), prefix(port), answer),
    ):
        assert get(port, "")[1] == b"site"
        assert get(port, "page")[1] == b"site"
        assert get(port, f"{BELOW}token")[1] == b"token.thumbprint"
        assert get(port, f"{BELOW}other")[0] == 404


@pytest.mark.skipif(under_wine(), reason="Wine's driver closes a port for all when one of its queues is closed")
def test_the_other_program_goes_on(port: int) -> None:
    """When the listener has ended, the other one has its port as before, and the prefix too."""
    with PrefixListener(SystemDlls(), prefix(port, ""), lambda _path: b"site"):
        PrefixListener(SystemDlls(), prefix(port), answer).close()
        assert get(port, "page")[1] == b"site"
        assert get(port, f"{BELOW}token")[1] == b"site"


def test_two_do_not_share_a_prefix_and_closing_frees_it(port: int) -> None:
    """183 while the first is there; the second time it works."""
    with PrefixListener(SystemDlls(), prefix(port), answer):
        with pytest.raises(ListenerError, match="another program listens"):
            PrefixListener(SystemDlls(), prefix(port), answer)
        if not under_wine():  # its driver closes the port of all with the queue of the one that it refused
            assert get(port, f"{BELOW}token")[0] == 200
    with PrefixListener(SystemDlls(), prefix(port), answer):
        assert get(port, f"{BELOW}token")[0] == 200


@contextlib.contextmanager
def another_process(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """One that listens, from its word on until it is killed."""
    code = (
        "import sys; from mlsssl._windows.dlls import SystemDlls\n"
        "from mlsssl._windows.http_requests import PrefixListener\n"
        f"with PrefixListener(SystemDlls(), {prefix(port)!r}, lambda path: b'other'):\n"
        "    print('here', flush=True); sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == b"here"
        yield process
        process.kill()


def test_a_killed_process_leaves_nothing(port: int) -> None:
    """Its registration ends with it: refused while it lives, free when it is dead."""
    with another_process(port) as process:
        assert get(port, f"{BELOW}token")[1] == b"other"
        with pytest.raises(ListenerError, match="another program listens"):
            PrefixListener(SystemDlls(), prefix(port), answer)
        process.kill()
        process.wait(60)
    with PrefixListener(SystemDlls(), prefix(port), answer):
        assert get(port, f"{BELOW}token")[1] == b"token.thumbprint"
