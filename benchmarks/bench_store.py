"""A store of many certificates: look-ups among them against 1,000, memory of adding them and of an audit; the start.

The start is to open a machine, find one certificate and close it, against the same with `sqlite3` in the same file: at
most 3.0. It was 3.4 to 3.5 on a quiet machine with 846 calls of functions, and is 2.4 with 485. What is below the
classes of the public API (2.0) is measured and printed too.

`python benchmarks/bench_store.py 1000000` measures the same with a million, each of a name of its own, and with
200,000 in CA and Root. On two cores, beside a load of 9 to 12 and with files in memory, a look-up by thumbprint takes
1.33 times what it takes among 1,000 (72 against 54 µs), by host 1.23 times (124 against 100 µs). Adding them with
private keys, as a machine's own code does, takes 63 MiB; an audit of one binding 2.5 MiB more than beside 1,000, and
16.4 MiB more beside 200,000 in CA and Root, which is what SQLite may keep of a file. A former run needed 340 s of
processor time for adding, and on a disk 980 s by the clock, for four indexes are in no order; without keys by
`Store.add_all` it took 64 MiB, in a transaction each 200; a file of schema 5 was brought up to date in 50 MiB and 34
s of processor time.

Run: python benchmarks/bench_store.py [number of certificates]
"""

from __future__ import annotations

import datetime as dt
import math
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from itertools import chain, count, islice
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from ratios import Ratio, compare, growth, report, settled, spread

from mlsssl import Binding, Certificate, CertificateAuthority, EmbeddedMachine, audit
from mlsssl._embedded.port import EmbeddedPort
from mlsssl._machine.ports import NewCertificate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mlsssl import Store

LOOKUP_BOUND = 2.0
START_BOUND = 3.0
MEMORY_BOUND = 300.0  # MiB
AUDIT_BOUND = 24.0  # MiB: what SQLite may keep in memory of a file of any size is 16
FEW = 1_000
SIZES = (250, 1000, 4000)


def host_of(number: int) -> str:
    """The name of a certificate: each another one, and in no order, as the names of a real store are."""
    return f"host-{number * 7919 % 100_000_007:09}.benchmark.example"


def certificates(count: int) -> Iterator[NewCertificate]:
    """That many certificates, each with its own serial, its own name, its own key and that key's PKCS#8.

    Made by putting other numbers into one real certificate: a store parses and digests them like any other, and does
    not check signatures.
    """
    serial, key = 0x7F00_0000_0000_0000_0000_0000_0000_0001, ec.derive_private_key(1, ec.SECP256R1())
    host = host_of(count)
    start = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
    template = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "benchmark")]))
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=199))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )
    for number in range(count):
        own = ec.derive_private_key(number + 2, ec.SECP256R1())
        pkcs8 = own.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        der = template.replace(serial.to_bytes(16, "big"), (serial + number).to_bytes(16, "big"))
        der = der.replace(host.encode(), host_of(number).encode()).replace(point(key), point(own))
        yield NewCertificate(certificate=der, private_key=pkcs8, friendly_name=f"number {number}")


def point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)


def fill(path: Path, count: int) -> None:
    """With private keys, as a machine's own code adds many."""
    machine = EmbeddedPort(path)
    machine.open_store("MY", "LocalMachine", write=True).add_many(certificates(count), exportable=False)
    machine.close()


def add_all(path: Path, count: int) -> None:
    """Without keys, by the public API: in pieces, for `add_all` returns the entries."""
    made = (Certificate.from_der(one.certificate) for one in certificates(count))
    with EmbeddedMachine(path) as machine, machine.store("MY") as store:
        while piece := list(islice(made, 1000)):
            store.add_all(piece)


def fill_authorities(path: Path, count: int) -> None:
    """Half of them in CA and half in Root, and one that is bound, with its issuer in CA and its root in Root."""
    root = CertificateAuthority.create("Benchmark Root", key="ec-p256")
    issuer = root.create_intermediate("Benchmark Issuer", key="ec-p256")
    machine = EmbeddedPort(path)
    for name, above in (("CA", issuer), ("Root", root)):
        strangers = (replace(one, private_key=None) for one in certificates(count // 2))
        store = machine.open_store(name, "LocalMachine", write=True)
        store.add_many(chain(strangers, [NewCertificate(certificate=above.certificate.to_der())]), exportable=False)
    machine.close()
    with EmbeddedMachine(path) as embedded:
        entry = embedded.store("MY").add(issuer.issue("bound.example", key="ec-p256").with_chain([]))
        Binding("bound.example:443", entry.thumbprint, machine=embedded).add()


def audit_bound(path: Path, count: int) -> None:
    """An audit of the one binding of `fill_authorities`, whose way to the root is found."""
    with EmbeddedMachine(path) as machine:
        (row,) = audit(machine=machine).rows
    assert not row.findings, (count, row.findings)


def audit_few(path: Path, count: int) -> None:
    """An audit where nothing but one certificate of the store is bound."""
    with EmbeddedMachine(path) as machine:
        if not machine.bindings:
            thumbprint = next(machine.store("MY").thumbprints())
            Binding(f"{host_of(0)}:443", thumbprint, machine=machine).add()
        assert len(audit(machine=machine).rows) == 1, count


def measured(work: Callable[[Path, int], None], path: Path, count: int) -> float | None:
    """Do this in a process of its own; its peak memory in MiB, where the platform tells."""
    script = f"import sys; sys.path[:0] = {sys.path!r}; import bench_store; bench_store.do_and_tell(*sys.argv[1:])"
    command = [sys.executable, "-c", script, work.__name__, str(path), str(count)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parent)
    return float(done.stdout) or None


def do_and_tell(name: str, path: str, count: str) -> None:
    """What the process of `measured` does."""
    globals()[name](Path(path), int(count))
    if sys.platform == "win32":
        print(0)
    elif sys.platform == "linux":  # where getrusage counts what the process was a copy of before it became itself
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        print(int(status["VmHWM"].split()[0]) / 2**10)
    else:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(peak / 2**20 if sys.platform == "darwin" else peak / 2**10)


def adding(work: Callable[[Path, int], None], path: Path, count: int) -> list[Ratio]:
    """The memory that adding so many takes; nothing where the platform does not tell."""
    begin = time.perf_counter()
    memory = measured(work, path, count)
    seconds = time.perf_counter() - begin
    detail = f"{seconds / count * 1e6:.0f} µs for each, made and added"
    name = f"store, MiB of memory while {count:,} are added by {work.__name__}"
    return [] if memory is None else [Ratio(name, memory, MEMORY_BOUND, detail=detail)]


def auditing(work: Callable[[Path, int], None], few: Path, many: Path, count: int, where: str = "") -> list[Ratio]:
    """What an audit of one binding takes more beside many certificates than beside few."""
    memory = measured(work, few, FEW), measured(work, many, count)
    if memory[0] is None or memory[1] is None:
        return []
    detail = f"{memory[1]:.1f} against {memory[0]:.1f}"
    name = f"audit, MiB more beside {count:,}{where}"
    return [Ratio(name, memory[1] - memory[0], AUDIT_BOUND, detail=detail)]


def lookups(few: Path, many: Path, count: int) -> Iterator[Ratio]:
    """By thumbprint and by host, among many against among few."""
    with EmbeddedMachine(few) as one, EmbeddedMachine(many) as other:
        stores = [machine.store("MY") for machine in (one, other)]
        thumbprints: list[list[str]] = [[*map(str, store.thumbprints())] for store in stores]
        if [len(found) for found in thumbprints] != [FEW, count]:
            raise AssertionError("not everything was added")
        hosts: list[list[str]] = [[host_of(number) for number in range(size)] for size in (FEW, count)]

        def found_by_thumbprint(store: Store, thumbprint: str) -> bool:
            return store.find(thumbprint=thumbprint) is not None

        def found_by_host(store: Store, host: str) -> bool:
            return len(store.find_all(host=host)) == 1

        for what, find, wanted in (
            ("thumbprint", found_by_thumbprint, thumbprints),
            ("host", found_by_host, hosts),
        ):
            lookup_times(stores, wanted, find, 3)
            yield settled(partial(_lookup, what, stores, wanted, find, count))


def _lookup(
    what: str, stores: Sequence[Store], wanted: Sequence[Sequence[str]], find: Callable[[Store, str], bool], count: int
) -> Ratio:
    times = lookup_times(stores, wanted, find, 21)
    few, many = (statistics.median(found) * 1e6 for found in times)
    ratios = [b / a for a, b in zip(*times, strict=True)]
    detail = f"{many:.1f} µs against {few:.1f} µs; {spread(ratios)}"
    name = f"store, look-up by {what} among {count:,} against {FEW:,}"
    return Ratio(name, statistics.median(ratios), LOOKUP_BOUND, detail=detail)


def lookup_times(
    stores: Sequence[Store], wanted: Sequence[Sequence[str]], find: Callable[[Store, str], bool], rounds: int
) -> list[list[float]]:
    """Processor seconds of one look-up in each store, round by round, the stores taking turns."""
    times: list[list[float]] = [[] for _ in stores]
    for _ in range(rounds):
        for store, names, found in zip(stores, wanted, times, strict=True):
            chosen = random.sample(names, 300)
            begin = time.process_time()
            for name in chosen:
                if not find(store, name):
                    raise AssertionError("a certificate that was added is not there")
            found.append((time.process_time() - begin) / len(chosen))
    return times


def grown(folder: Path) -> list[Ratio]:
    """Adding, and looking every one up, at three sizes."""
    made = list(certificates(SIZES[-1]))
    numbers = count()

    def add(size: int) -> Callable[[], object]:
        def work() -> None:
            machine = EmbeddedPort(folder / f"add-{next(numbers)}.sqlite")
            machine.open_store("MY", "LocalMachine", write=True).add_many(made[:size], exportable=False)
            machine.close()

        return work

    def look_up(size: int) -> Callable[[], object]:
        path = folder / f"look-up-{size}.sqlite"
        fill(path, size)

        def work() -> None:
            with EmbeddedMachine(path) as machine, machine.store("MY") as store:
                assert all(len(store.find_all(host=host_of(number))) == 1 for number in range(size))

        return work

    return [growth("store, add", add, SIZES), growth("store, look-up by host", look_up, SIZES)]


def start(path: Path) -> Ratio:
    """A machine of 1,000 certificates is opened, one of them looked for, and closed."""
    machine = EmbeddedPort(path)
    wanted = next(iter(machine.open_store("MY", "LocalMachine").thumbprints()))
    machine.close()

    def ours() -> None:
        with EmbeddedMachine(path) as machine, machine.store("MY") as store:
            assert store.find(thumbprint=wanted) is not None

    def port() -> None:
        machine = EmbeddedPort(path)
        assert machine.open_store("MY", "LocalMachine").find(wanted) is not None
        machine.close()

    def bare() -> None:
        file = sqlite3.connect(path)
        assert file.execute("SELECT * FROM certificates WHERE thumbprint = ?", (bytes(wanted),)).fetchone()
        file.close()

    floor = compare("", port, bare, bound=math.inf, repeat=20)
    print(f"below the classes: a machine's start / SQLite's: {floor.value:.2f} ({floor.detail})")
    return compare("a machine's start / SQLite's", ours, bare, bound=START_BOUND, repeat=20)


def main() -> int:
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    authorities = number // 5
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        few, many = folder / "few.sqlite", folder / "many.sqlite"
        few_authorities, many_authorities = folder / "few-authorities.sqlite", folder / "many-authorities.sqlite"
        fill(few, FEW)
        fill_authorities(few_authorities, FEW)
        fill_authorities(many_authorities, authorities)
        return report(
            [
                start(few),
                *adding(fill, many, number),
                *lookups(few, many, number),
                *auditing(audit_few, few, many, number),
                *auditing(audit_bound, few_authorities, many_authorities, authorities, " in CA and Root"),
                *adding(add_all, folder / "add_all.sqlite", number),
                *grown(folder),
            ]
        )


if __name__ == "__main__":
    sys.exit(main())
