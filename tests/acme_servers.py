"""Two ACME servers that we did not write, started for the tests: Pebble, and the one inside Caddy.

Debian's packages `pebble` and `caddy` have them. Where one is missing the tests are skipped, and in CI they fail.
"""

from __future__ import annotations

import contextlib
import functools
import http.server
import json
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from mlsssl import Certificate, CertificateAuthority
from programs import require

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

EXTERNAL = ("kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W")
"""An external account that `pebble(external=True)` knows: its key identifier and HMAC key."""

_PATIENCE = 60.0  # seconds for a server to start on a loaded machine
_STARTS = 5


def free_port() -> int:
    """A port that nothing listens on, below those that the system gives to clients: it is not lent out meanwhile."""
    while True:
        port = random.SystemRandom().randrange(10000, 32000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server that runs.

    Attributes:
        directory: The address of its directory.
        trust: A file with the root of its own HTTPS certificate.
        folder: What it has; `log` is what it said.
    """

    directory: str
    trust: Path
    folder: Path

    @property
    def log(self) -> str:
        """What it has said until now."""
        return (self.folder / "log").read_text(errors="replace")


@dataclass(frozen=True, kw_only=True)
class Pebble(Server):
    """Pebble, which finds every name at 127.0.0.1.

    Attributes:
        http_port: Where it looks for http-01.
        tls_port: Where it looks for tls-alpn-01.
        management: Its other address.
        dns: The address of its DNS server's management.
    """

    http_port: int
    tls_port: int
    management: str
    dns: str

    def root(self, number: int = 0) -> Certificate:
        """The root of what it issues, new with each start."""
        context = ssl.create_default_context(cafile=str(self.trust))
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )
        with opener.open(f"{self.management}/roots/{number}", timeout=30) as answer:
            return Certificate.from_pem(answer.read())

    @property
    def orders(self) -> int:
        """How many orders were ever placed."""
        return self.log.count("Added order ")

    @property
    def certificates(self) -> int:
        """How many certificates were ever issued to orders."""
        return self.log.count("Issued certificate serial ")

    def set_txt(self, name: str, value: str) -> None:
        """Add a TXT record."""
        self._tell_dns("set-txt", {"host": f"{name}.", "value": value})

    def clear_txt(self, name: str, value: str) -> None:
        """Take all TXT records of a name away; the server knows no better."""
        self._tell_dns("clear-txt", {"host": f"{name}.", "value": value})

    def _tell_dns(self, what: str, record: dict[str, str]) -> None:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self.dns}/{what}", json.dumps(record).encode(), timeout=30):
            pass


@contextlib.contextmanager
def pebble(folder: Path, *, external: bool = False, environment: dict[str, str] | None = None) -> Iterator[Pebble]:
    """Pebble with its DNS server, until the end of the block. It refuses one nonce in five, good or not."""
    folder.mkdir(parents=True, exist_ok=True)
    require("pebble"), require("pebble-challtestsrv")
    ca = CertificateAuthority.create("The tests' own", key="ec-p256")
    (folder / "trust.pem").write_bytes(ca.certificate.to_pem())
    ca.issue("localhost", "127.0.0.1", key="ec-p256").save(folder / "server.pem")
    for _ in range(_STARTS):
        http_port, tls, dns, dns_management, acme, management = (free_port() for _ in range(6))
        configuration: dict[str, Any] = {
            "listenAddress": f"127.0.0.1:{acme}",
            "managementListenAddress": f"127.0.0.1:{management}",
            "certificate": str(folder / "server.pem"),
            "privateKey": str(folder / "server.pem"),
            "httpPort": http_port,
            "tlsPort": tls,
            "externalAccountBindingRequired": external,
            "certificateValidityPeriod": 90 * 24 * 3600,  # five years by default, which no client takes
        }
        if external:
            configuration["externalAccountMACKeys"] = dict([EXTERNAL])
        (folder / "pebble.json").write_text(json.dumps({"pebble": configuration}))
        mock = ["pebble-challtestsrv", "-defaultIPv6", "", "-defaultIPv4", "127.0.0.1", "-dns01", f"127.0.0.1:{dns}"]
        mock += ["-http01", "", "-https01", "", "-tlsalpn01", "", "-management", f"127.0.0.1:{dns_management}"]
        server = ["pebble", "-config", str(folder / "pebble.json"), "-dnsserver", f"127.0.0.1:{dns}"]
        settings = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "20", "PEBBLE_AUTHZREUSE": "0"}
        with (
            _running(mock, folder / "dns.log") as first,
            _running(server, folder / "log", {**settings, **(environment or {})}) as second,
        ):
            if _listening(dns_management, first) and _listening(acme, second) and _listening(management, second):
                yield Pebble(
                    directory=f"https://127.0.0.1:{acme}/dir",
                    trust=folder / "trust.pem",
                    folder=folder,
                    http_port=http_port,
                    tls_port=tls,
                    management=f"https://127.0.0.1:{management}",
                    dns=f"http://127.0.0.1:{dns_management}",
                )
                return
    raise AssertionError(
        f"Pebble did not start {_STARTS} times: {(folder / 'log').read_text(errors='replace')[-2000:]}"
    )


@dataclass(frozen=True, kw_only=True)
class Caddy(Server):
    """The ACME server inside Caddy, whose certificates live 12 hours.

    Attributes:
        http_port: Where its requests to port 80 of the names `NAMES` arrive.
        tls_port: Where those to port 443 arrive.
        root: The root of what it issues.
    """

    NAMES: ClassVar[tuple[str, ...]] = ("caddy.example", "www.caddy.example")

    http_port: int
    tls_port: int
    root: Certificate


def _succeeds(command: Sequence[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@contextlib.contextmanager
def caddy(folder: Path) -> Iterator[Caddy]:
    """Caddy, until the end of the block.

    It validates at ports 80 and 443 of the names, and cannot be told otherwise. So it runs in a network namespace of
    its own, where those ports are free for whoever the tests run as, with a list of hosts of its own; sockets in the
    file system lead out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    program, unshare = require("caddy"), require("unshare")
    # root needs no user namespace, which a system may forbid; another user is root in one.
    ways = ([unshare, "-nm"], [unshare, "-rnm"])
    namespaces = next((one for one in ways if _succeeds([*one, "true"])), None)
    if namespaces is None:
        why = "this user may not make network namespaces (unshare -rnm), which Caddy's ACME server needs"
        if os.environ.get("CI"):
            pytest.fail(why)
        pytest.skip(why)
    (folder / "hosts").write_text(f"127.0.0.1 localhost {' '.join(Caddy.NAMES)}\n")
    (folder / "Caddyfile").write_text(
        "{\n\tadmin off\n\tskip_install_trust\n\tauto_https disable_redirects\n"
        f"\tstorage file_system {folder}/storage\n\thttp_port 8080\n}}\n"
        "https://127.0.0.1:8443 {\n\ttls internal\n\tacme_server\n}\n"
    )
    relay = str(Path(__file__).with_name("relay.py"))
    # A path of a socket has some 100 characters, and folders of tests have names as long as the tests'.
    sockets = Path(tempfile.mkdtemp(prefix="mlsssl-"))
    acme, http_, tls = (f"unix:{sockets / name}" for name in ("acme", "http", "tls"))
    script = 'mount --bind "$1" /etc/hosts && shift && { "$1" "$2" --lo "$3" "$4" "$5" & shift 5; exec "$@"; }'
    inside = [*namespaces, "sh", "-c", script, "sh", str(folder / "hosts"), sys.executable, relay]
    inside += [f"{acme}=tcp:8443", f"tcp:80={http_}", f"tcp:443={tls}"]
    inside += [program, "run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]
    home = {name: str(folder) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")}
    root = folder / "storage" / "pki" / "authorities" / "local" / "root.crt"
    try:
        for _ in range(_STARTS):
            port, http_port, tls_port = (free_port() for _ in range(3))
            outside = [sys.executable, relay, f"tcp:{port}={acme}", f"{http_}=tcp:{http_port}", f"{tls}=tcp:{tls_port}"]
            with _running(inside, folder / "log", home) as first, _running(outside, folder / "relay.log") as second:
                directory = f"https://127.0.0.1:{port}/acme/local/directory"
                if _listening(port, second) and _answers(directory, root, first):
                    yield Caddy(
                        directory=directory,
                        trust=root,
                        folder=folder,
                        http_port=http_port,
                        tls_port=tls_port,
                        root=Certificate.load(root),
                    )
                    return
            for path in sockets.iterdir():
                path.unlink()
    finally:
        shutil.rmtree(sockets)
    raise AssertionError(f"Caddy did not start {_STARTS} times: {(folder / 'log').read_text(errors='replace')[-2000:]}")


def _answers(url: str, trust: Path, process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            https = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=str(trust)))
            with urllib.request.build_opener(urllib.request.ProxyHandler({}), https).open(url, timeout=10):
                return True
        time.sleep(0.05)
    return False


@contextlib.contextmanager
def site(folder: Path, port: int) -> Iterator[None]:
    """A web site that serves a folder, as IIS or nginx would."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- http.server's name
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def _running(
    command: Sequence[str], log: Path, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        try:
            yield process
        finally:
            if sys.platform != "win32":
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _listening(port: int, process: subprocess.Popen[bytes]) -> bool:
    """Whether something listens there in time; not when the process has ended, since its port was taken, say."""
    deadline = time.monotonic() + _PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
            return process.poll() is None
        time.sleep(0.02)
    return False
