"""Fresh handshakes with the listener against those with a bare asyncio TLS server of one certificate.

Run: python benchmarks/bench_listener.py [handshakes in a round]

Both servers run in processes of their own and take turns. Two numbers are compared: handshakes per second as the
clients see them, and per second of processor time of the server, which no slow client can blur.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from ratios import Ratio, report

from mlsssl import CertificateAuthority
from mlsssl._embedded.port import EmbeddedPort
from mlsssl._machine.ports import BindingRecord
from mlsssl._machine.tls_contexts import load_der
from mlsssl.values import BindingKey, BindingOptions, HostnamePort, IpPort, Thumbprint

BOUND = 0.9
ROUNDS = 9
CLIENTS = 2
NAME = "benchmark.example"


def make_certificate() -> tuple[bytes, bytes]:
    certificate = CertificateAuthority.create("Benchmark", key="ec-p256").issue(NAME)
    key = certificate.private_key
    assert key is not None
    pkcs8 = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.to_der(), pkcs8


def answer_questions(port: int) -> None:
    """A server process: say the port, then the processor time for every line that comes in."""
    print(port, flush=True)
    for _ in sys.stdin:
        print(time.process_time(), flush=True)


def serve_bare(certificate: bytes, key: bytes) -> None:
    """As small as asyncio allows: one certificate, a protocol that does nothing."""

    async def serve() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        load_der(context, [certificate], key)
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0, ssl=context)
        await asyncio.to_thread(answer_questions, server.sockets[0].getsockname()[1])
        server.close()

    asyncio.run(serve())


def serve_listener(certificate: bytes, key: bytes) -> None:
    """A machine with some bindings besides the one that answers."""
    with tempfile.TemporaryDirectory() as folder:
        machine = EmbeddedPort(Path(folder) / "machine.sqlite")
        store = machine.open_store("MY", "LocalMachine", write=True)
        store.add(certificate, key, friendly_name=None, exportable=False, provider=None)
        hosts = [*(f"h{n}.example" for n in range(20)), NAME]
        keys: list[BindingKey] = [IpPort("0.0.0.0", 443), *(HostnamePort(host, 443) for host in hosts)]
        for each in keys:
            machine.bindings.add(
                BindingRecord(
                    key=each,
                    thumbprint=Thumbprint(hashlib.sha1(certificate).digest()),
                    store_name="MY",
                    app_id=uuid.UUID(int=1),
                    options=BindingOptions(),
                )
            )
        with machine.listen() as listener:
            answer_questions(listener.port_of(443))
        machine.close()


class Server:
    """A server process and what it costs."""

    def __init__(self, kind: str, certificate: bytes, key: bytes) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, kind, certificate.hex(), key.hex()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = int(self._read())

    def processor_time(self) -> float:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._read())

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def close(self) -> None:
        self._process.communicate(timeout=30)


def handshakes(port: int, count: int) -> None:
    """Fresh ones, one after the other, each client with threads of its own."""

    def client(count: int) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # what is compared is the server
        for _ in range(count):
            raw = socket.create_connection(("127.0.0.1", port))
            with raw, context.wrap_socket(raw, server_hostname=NAME):
                pass

    threads = [threading.Thread(target=client, args=(count // CLIENTS,)) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    certificate, key = make_certificate()
    servers = {kind: Server(kind, certificate, key) for kind in ("bare", "listener")}
    elapsed: dict[str, list[float]] = {kind: [] for kind in servers}
    processor: dict[str, list[float]] = {kind: [] for kind in servers}
    for round_number in range(ROUNDS + 1):
        for kind, server in servers.items():
            busy, begin = server.processor_time(), time.perf_counter()
            handshakes(server.port, count)
            if round_number:  # the first one warms up
                elapsed[kind].append((time.perf_counter() - begin) / count)
                processor[kind].append((server.processor_time() - busy) / count)
    for server in servers.values():
        server.close()
    compared = {
        "handshakes per second": elapsed,
        "handshakes per second of the server's processor": processor,
    }
    return report([ratio(name, times) for name, times in compared.items()])


def ratio(name: str, times: dict[str, list[float]]) -> Ratio:
    """The median over the rounds, each of which had both servers in turn."""
    ratios = [bare / ours for bare, ours in zip(times["bare"], times["listener"], strict=True)]
    rates = [1 / statistics.median(times[kind]) for kind in ("listener", "bare")]
    return Ratio(
        f"listener, {name}",
        statistics.median(ratios),
        BOUND,
        at_least=True,
        detail=f"{rates[0]:.0f} against {rates[1]:.0f} of a bare asyncio server",
    )


if __name__ == "__main__":
    if len(sys.argv) == 4:
        serve = serve_bare if sys.argv[1] == "bare" else serve_listener
        serve(bytes.fromhex(sys.argv[2]), bytes.fromhex(sys.argv[3]))
    else:
        sys.exit(main())
