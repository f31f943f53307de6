"""Fresh handshakes with the listener against those with a bare asyncio TLS server of one certificate.

Run: python benchmarks/bench_listener.py [handshakes in a round] [connections for the memory]

Every server runs in a process of its own, and they take turns. What is promised is handshakes per second of processor
time of the server, which no slow client and no busy neighbour can blur; by the clock they are printed. Resumption is
off: each client has a context of its own for every connection.

The listener is measured with 21 bindings, and with 10,000 bindings of 10,000 host names, of which each handshake asks
for another one; 100 certificates stand behind those. A certificate that has not answered since the listener was started
costs its first handshake as much again, for OpenSSL has to be given the key (1 ms), and 20 KB; 10,000 are kept. That
is why there are not 10,000 certificates here: it would be that first time which is measured.

Then one of the 10,000 bindings is changed, and the very next handshake has to have the new certificate. And the memory
of the process is looked at in the middle and at the end of many connections: 4,000 when nobody says more. Seen once in
steps of 8,000: 41.8 MiB at first, 43.3 after 40,000, and 43.3 after 96,000.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import random
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from machines import bind_all
from ratios import Ratio, report, settled, spread

from mlsssl import CertificateAuthority
from mlsssl._embedded.port import EmbeddedPort
from mlsssl._formats.binding_keys import BindingKey, BindingOptions, HostnamePort, IpPort
from mlsssl._machine.ports import BindingRecord, NewCertificate
from mlsssl._machine.tls_contexts import load_der
from mlsssl.values import Thumbprint

BOUND = 0.95  # 0.98 to 1.13 come out on a busy machine
MEMORY_BOUND = 2.0  # MiB more after many connections than before
ROUNDS = 9
CLIENTS = 2
FEW, MANY, CERTIFICATES = 20, 10_000, 100
MiB = 2**20

Made = tuple[bytes, bytes]
"""A certificate's DER, its key's PKCS#8."""


def make_certificates(count: int) -> list[Made]:
    authority = CertificateAuthority.create("Benchmark", key="ec-p256")
    made = []
    for number in range(count):
        certificate = authority.issue(f"certificate-{number}.example", key="ec-p256")
        key = certificate.private_key
        assert key is not None
        pkcs8 = key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        made.append((certificate.to_der(), pkcs8))
    return made


def name_of(number: int) -> str:
    return f"host-{number}.example"


def record(key: BindingKey, certificate: bytes) -> BindingRecord:
    thumbprint = Thumbprint(hashlib.sha1(certificate).digest())
    return BindingRecord(
        key=key, thumbprint=thumbprint, store_name="MY", app_id=uuid.UUID(int=1), options=BindingOptions()
    )


def fill(path: Path, names: int, made: list[Made]) -> None:
    """A machine with a binding for each name, and one for who names no host."""
    machine = EmbeddedPort(path)
    new = (NewCertificate(certificate=der, private_key=key, friendly_name=None) for der, key in made)
    machine.open_store("MY", "LocalMachine", write=True).add_many(new, exportable=False)
    ders = itertools.cycle(der for der, _ in made)
    keys: list[BindingKey] = [IpPort("0.0.0.0", 443), *(HostnamePort(name_of(n), 443) for n in range(names))]
    bind_all(machine, (record(key, next(ders)) for key in keys))
    machine.close()


def answer_questions(port: int) -> None:
    """A server process: say the port, then processor time and memory for every line that comes in."""
    print(port, flush=True)
    for _ in sys.stdin:
        print(time.process_time(), resident(), flush=True)


def resident() -> int:
    """Bytes of memory that this process has now; 0 where the system does not tell."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def serve_bare(certificate: bytes, key: bytes) -> None:
    """As small as asyncio allows: one certificate, a protocol that does nothing."""

    async def serve() -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        load_der(context, [certificate], key)
        server = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0, ssl=context)
        await asyncio.to_thread(answer_questions, server.sockets[0].getsockname()[1])
        server.close()

    asyncio.run(serve())


def serve_listener(path: str) -> None:
    machine = EmbeddedPort(path)
    with machine.listen() as listener:
        answer_questions(listener.port_of(443))
    machine.close()


class Server:
    """A server process and what it costs; `names` of hosts are there to be asked for."""

    def __init__(self, names: int, *arguments: str) -> None:
        self.names = names
        self._process = subprocess.Popen(
            [sys.executable, __file__, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.port = int(self._read())

    def used(self) -> tuple[float, int]:
        """Its processor time in seconds, and its memory in bytes."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        processor, memory = self._read().split()
        return float(processor), int(memory)

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def close(self) -> None:
        self._process.communicate(timeout=30)


def handshake(port: int, name: str) -> bytes | None:
    """A fresh one; the certificate that was sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # what is compared is the server
    raw = socket.create_connection(("127.0.0.1", port))
    with raw, context.wrap_socket(raw, server_hostname=name) as tls:
        return tls.getpeercert(binary_form=True)


def handshakes(server: Server, count: int) -> None:
    """Fresh ones, one after the other, each client in a thread of its own; for names at random."""

    def client() -> None:
        draw = random.Random()
        for _ in range(count // CLIENTS):
            handshake(server.port, name_of(draw.randrange(server.names)))

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def compare(ours: Server, bare: Server, count: int) -> Ratio:
    """The median over rounds in which both had their turn, in changing order."""
    rows: dict[Server, list[tuple[float, float]]] = {ours: [], bare: []}
    for number in range(ROUNDS):
        for server in (ours, bare) if number % 2 else (bare, ours):
            (busy, _), begin = server.used(), time.perf_counter()
            handshakes(server, count)
            wall, (after, _) = time.perf_counter() - begin, server.used()
            rows[server].append((count / (after - busy), count / wall))
    ratios = [mine[0] / theirs[0] for mine, theirs in zip(rows[ours], rows[bare], strict=True)]
    mine, theirs = (statistics.median(processor for processor, _ in rows[server]) for server in (ours, bare))
    walls = [statistics.median(wall for _, wall in rows[server]) for server in (ours, bare)]
    return Ratio(
        f"listener, {ours.names:,} names, handshakes per second of its processor / of a bare server's",
        statistics.median(ratios),
        BOUND,
        at_least=True,
        detail=f"{mine:.0f} against {theirs:.0f}; {spread(ratios)}; by the clock {walls[0]:.0f} against {walls[1]:.0f}",
    )


def change_and_ask(path: Path, server: Server, certificate: bytes) -> None:
    """Bind another certificate; the next handshake has it, or this ends the run."""
    key = HostnamePort(name_of(17), 443)
    machine = EmbeddedPort(path)
    machine.bindings.update(record(key, certificate))
    machine.close()
    begin = time.perf_counter()
    if handshake(server.port, key.host) != certificate:
        raise AssertionError("the first handshake after the change had the old certificate")
    took = time.perf_counter() - begin
    print(f"changed one of {server.names:,} bindings: the next handshake has the new certificate, after {took:.3f} s")


def memory(server: Server, connections: int) -> Ratio:
    """How much more it has after so many connections than after half of them, when the allocator has settled."""
    handshakes(server, connections // 2)
    before = server.used()[1]
    handshakes(server, connections - connections // 2)
    after = server.used()[1]
    return Ratio(
        f"listener, MiB more after {connections:,} connections",
        (after - before) / MiB,
        MEMORY_BOUND,
        detail=f"{before / MiB:.1f} MiB, then {after / MiB:.1f} MiB",
    )


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    connections = int(sys.argv[2]) if len(sys.argv) > 2 else 4_000
    made = make_certificates(CERTIFICATES + 1)
    with tempfile.TemporaryDirectory() as folder:
        few, many = Path(folder) / "few.sqlite", Path(folder) / "many.sqlite"
        fill(few, FEW, made[:1])
        fill(many, MANY, made)
        der, key = made[0]
        bare = Server(1, "bare", der.hex(), key.hex())
        servers = [Server(FEW, "listener", str(few)), Server(MANY, "listener", str(many))]
        for server in (bare, *servers):
            handshakes(server, max(count, 2 * CERTIFICATES))  # the first of each certificate
        found = [settled(partial(compare, server, bare, count)) for server in servers]
        change_and_ask(many, servers[1], made[-1][0])
        if servers[0].used()[1]:
            found.append(memory(servers[0], connections))
        for server in (bare, *servers):
            server.close()
    return report(found)


if __name__ == "__main__":
    if sys.argv[1:2] == ["bare"]:
        serve_bare(*map(bytes.fromhex, sys.argv[2:]))
    elif sys.argv[1:2] == ["listener"]:
        serve_listener(sys.argv[2])
    else:
        sys.exit(main())
