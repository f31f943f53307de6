"""Nobody notices a renewal: fresh handshakes all the time while the certificate is renewed a hundred times."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from typing import TYPE_CHECKING

from mlsssl import Certificate, CertificateAuthority, EmbeddedMachine, Thumbprint, deploy, renew
from repetitions import examples

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

KEY = "0.0.0.0:443"
CLIENTS, HANDSHAKES, RENEWALS = 4, examples(2000), examples(100)
PATIENCE = 120.0  # seconds; a few are enough on two idle cores


class Client:
    """Shakes hands anew again and again, verifying as a browser does, and remembers what it was served and when."""

    def __init__(self, port: int, ca: CertificateAuthority, stop: threading.Event) -> None:
        self.served: list[tuple[float, float, Thumbprint]] = []
        self.failures: list[Exception] = []
        self._port = port
        self._ca = ca
        self._stop = stop
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._stop.is_set():
            start = time.monotonic()
            try:
                # A context of its own each time: nothing is resumed.
                context = self._ca.ssl_context()
                with (
                    socket.create_connection(("127.0.0.1", self._port), timeout=30) as connection,
                    context.wrap_socket(connection, server_hostname="a.test") as session,
                ):
                    der = session.getpeercert(binary_form=True)
                    assert not session.session_reused
            except Exception as error:  # noqa: BLE001 - whatever it is, a client saw it
                self.failures.append(error)
                continue
            assert der is not None
            self.served.append((start, time.monotonic(), Thumbprint(hashlib.sha1(der).digest())))


def test_no_handshake_fails_while_the_certificate_is_renewed_a_hundred_times(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each client always gets the old or the new certificate: one that was bound at some moment of its handshake."""
    ca = CertificateAuthority.create("Load", key="ec-p256")
    new = [ca.issue("a.test") for _ in range(RENEWALS)]
    stop = threading.Event()
    with EmbeddedMachine(tmp_path / "m.sqlite") as machine:
        first = ca.issue("a.test")
        deploy(KEY, first, machine=machine)
        with machine.listen() as listener:
            clients = [Client(listener.port_of(KEY), ca, stop) for _ in range(CLIENTS)]
            for client in clients:
                client.thread.start()
            started = time.monotonic()
            # When each certificate may first be seen, and from when on it must not be any more.
            since: dict[Thumbprint, float] = {first.thumbprint: 0.0}
            until: dict[Thumbprint, float] = {}

            def made() -> int:
                return sum(len(client.served) for client in clients)

            bound: Certificate = first
            for number, certificate in enumerate(new, 1):
                since[certificate.thumbprint] = time.monotonic()
                assert renew(KEY, certificate, machine=machine, verify=False).changed
                until[bound.thumbprint] = time.monotonic()
                bound = certificate
                while made() < HANDSHAKES * number // RENEWALS and time.monotonic() < started + PATIENCE:
                    time.sleep(0.001)
            stop.set()
            for client in clients:
                client.thread.join()
    failures = [error for client in clients for error in client.failures]
    assert failures == []
    handshakes = [one for client in clients for one in client.served]
    assert len(handshakes) >= HANDSHAKES
    for start, end, thumbprint in handshakes:
        assert since[thumbprint] <= end, "served before it was bound"
        assert start <= until.get(thumbprint, end), "served although another was bound before the handshake began"
    seen = len({thumbprint for _, _, thumbprint in handshakes})
    assert seen > RENEWALS // 2
    with capsys.disabled():
        took = time.monotonic() - started
        print(f"\n{len(handshakes)} handshakes, {RENEWALS} renewals, {seen} certificates seen, {took:.1f} s", end=" ")
