"""A bound machine is renewed from two ACME servers, from account to handshake, while nobody notices."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import socket
import ssl
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

import acme_servers
from mlsssl import Certificate, CertificateAuthority, EmbeddedMachine, Thumbprint, deploy
from mlsssl.cli import main
from repetitions import examples

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from acme_servers import Caddy, Pebble

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the servers are programs of Debian's")

KEY = "0.0.0.0:443"
NAME = "caddy.example"
CLIENTS, HANDSHAKES = 4, examples(2000)
PATIENCE = 180.0  # seconds; ten are enough on two idle cores


@pytest.fixture(name="server", params=["pebble", "caddy"])
def _server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pebble | Caddy]:
    """Each of them, with the root of what it issues."""
    make = acme_servers.pebble if request.param == "pebble" else acme_servers.caddy
    with make(tmp_path / "server") as server:
        yield server


class Client:
    """Shakes hands anew again and again, trusting the old authority and the new one, and remembers what it saw."""

    def __init__(self, port: int, roots: list[Certificate], stop: threading.Event) -> None:
        self.served: list[Thumbprint] = []
        self.failures: list[Exception] = []
        self._port, self._stop = port, stop
        self._roots = "".join(root.to_pem().decode() for root in roots)
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.served.append(shake_hands(self._port, self._roots))
            except Exception as error:  # noqa: BLE001 - whatever it is, a client saw it
                self.failures.append(error)


def shake_hands(port: int, roots: str) -> Thumbprint:
    context = ssl.create_default_context(cadata=roots)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=30) as connection,
        context.wrap_socket(connection, server_hostname=NAME) as session,
    ):
        der = session.getpeercert(binary_form=True)
    assert der is not None
    return Thumbprint(hashlib.sha1(der).digest())


def test_everything_that_is_due_is_renewed_and_no_handshake_fails(
    server: Pebble | Caddy, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first certificate is another authority's and due; then nothing is due; a named key is renewed anyway."""
    before = dt.datetime.now(dt.timezone.utc) - dt.timedelta(days=90)  # due, and not yet near its end
    old = CertificateAuthority.create("Before", key="ec-p256", at=before)
    root = server.root if isinstance(server, acme_servers.Caddy) else server.root()
    first = old.issue(NAME, key="ec-p256", days=120, at=before)
    path = tmp_path / "machine.sqlite"
    options = [
        "--machine",
        str(path),
        "--acme",
        server.directory,
        "--acme-agree-terms",
        "--acme-contact",
        "a@b.example",
    ]
    options += ["--acme-trust", str(server.trust), "--acme-state", str(tmp_path / "state")]
    options += ["--acme-listen", f"127.0.0.1:{server.http_port}", "--json"]

    def renew(*words: str) -> tuple[int, list[dict[str, object]]]:
        code = main(["renew", *words, *options])
        captured = capsys.readouterr()
        assert "results" in captured.out, captured
        return code, json.loads(captured.out)["results"]

    stop = threading.Event()
    with EmbeddedMachine(path) as machine:
        deploy(KEY, first, machine=machine, verify=False)
        with machine.listen() as listener:
            clients = [Client(listener.port_of(KEY), [old.certificate, root], stop) for _ in range(CLIENTS)]
            for client in clients:
                client.thread.start()
            started = time.monotonic()
            try:
                code, results = renew("--all", "--due")
                assert (code, "issued by CN=Before" in str(results)) == (10, True), results
                code, results = renew("--all", "--due", "--any-issuer")
                assert code == 0, results
                bound = [machine.bindings[KEY].thumbprint]
                code, results = renew("--all", "--due")
                assert (code, "not due before" in str(results)) == (10, True), results
                for _ in range(3):
                    code, results = renew(KEY)
                    assert code == 0, results
                    bound.append(machine.bindings[KEY].thumbprint)
                while sum(len(client.served) for client in clients) < HANDSHAKES:
                    assert time.monotonic() < started + PATIENCE
                    time.sleep(0.01)
            finally:
                stop.set()
                for client in clients:
                    client.thread.join()
            # And by the new root alone.
            assert shake_hands(listener.port_of(KEY), root.to_pem().decode()) == bound[-1]
        entry = machine.store()[bound[-1]]
        assert entry.key is not None
        assert entry.certificate.names == (NAME,)
    assert [error for client in clients for error in client.failures] == []
    served = [one for client in clients for one in client.served]
    assert len(served) >= HANDSHAKES
    assert set(served) <= {first.thumbprint, *bound}
    assert served.count(first.thumbprint) > 0
    assert len(set(bound)) == 4
    with pytest.raises(ssl.SSLCertVerificationError), EmbeddedMachine(path) as machine, machine.listen() as listener:
        shake_hands(listener.port_of(KEY), old.certificate.to_pem().decode())
