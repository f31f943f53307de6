"""Fresh handshakes with the listener against those with a bare asyncio TLS server of one certificate.

Run: python benchmarks/bench_listener.py [handshakes in a round]

Both servers run in processes of their own and take turns. Two numbers are compared: handshakes per second as the clients
see them, and per second of processor time of the server, which no slow client can blur.
"""

from __future__ import annotations

import asyncio
import datetime as dt
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

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mlsssl._embedded.contexts import Identity, load_identity
from mlsssl._embedded.port import EmbeddedPort
from mlsssl._ports import BindingRecord
from mlsssl.values import BindingOptions, HostnamePort, IpPort, Thumbprint

BOUND = 0.9
ROUNDS = 9
CLIENTS = 2
NAME = "benchmark.example"


def make_certificate() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = dt.datetime.now(dt.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    der = serialization.Encoding.DER
    return certificate.public_bytes(der), key.private_bytes(
        der, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def answer_questions(port: int) -> None:
    """A server process: say the port, then the processor time for every line that comes in."""
    print(port, flush=True)
    for _ in sys.stdin:
        print(time.process_time(), flush=True)


def serve_bare(certificate: bytes, key: bytes) -> None:
    """As small as asyncio allows: one certificate, a protocol that does nothing."""

    async def serve() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        load_identity(context, Identity(chain=(certificate,), private_key=key))
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
        thumbprint = Thumbprint(x509.load_der_x509_certificate(certificate).fingerprint(hashes.SHA1()))
        keys = [
            IpPort("0.0.0.0", 443),
            *(HostnamePort(f"h{n}.example", 443) for n in range(20)),
            HostnamePort(NAME, 443),
        ]
        for each in keys:
            machine.bindings.add(
                BindingRecord(
                    key=each,
                    thumbprint=thumbprint,
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
    failed = False
    for what, times in (
        ("handshakes per second", elapsed),
        ("handshakes per second of the server's processor", processor),
    ):
        bare, ours = (1 / statistics.median(times[kind]) for kind in ("bare", "listener"))
        failed |= ours / bare < BOUND
        print(
            f"{what}, listener against bare asyncio: {ours / bare:.2f} x (bound {BOUND:.2f} x; {ours:.0f} against {bare:.0f})"
        )
    return int(failed)


if __name__ == "__main__":
    if len(sys.argv) == 4:
        {"bare": serve_bare, "listener": serve_listener}[sys.argv[1]](
            bytes.fromhex(sys.argv[2]), bytes.fromhex(sys.argv[3])
        )
    else:
        sys.exit(main())
