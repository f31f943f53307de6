"""Every reader over files that were made to cost: two seconds of processor time and 200 MB for less than a megabyte.

Each file is read in a process of its own, by each reader that takes such files, with the right password and with a
wrong one outside ASCII. Counted are the processor time of the call, or of the dearest of several, and all the memory
that the process ever had. What a reader says does not matter, as long as it is an answer or an error of ours.

`python benchmarks/bench_hostile_files.py WORD` reads only the files with that word in their names.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

SECONDS = 2.0
MEGABYTES = 200.0
PASSWORDS = ("secret", "wörng")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


# ---- in the child: a reader yields after each of its calls ----


def _certificate(data: bytes, password: str) -> Iterator[object]:
    from mlsssl import Certificate

    yield (certificate := Certificate.from_bytes(data, password=password))
    yield repr(certificate)
    yield certificate._repr_html_()
    yield certificate.names, certificate.hosts, certificate.key_type


def _check(data: bytes, password: str) -> Iterator[object]:
    from mlsssl import Certificate

    yield (certificate := Certificate.from_bytes(data, password=password))
    trust = [certificate.chain[-1] if certificate.chain else certificate]
    yield certificate.check("www.example.com", trust=trust).to_text()


def _check_below(data: bytes, password: str) -> Iterator[object]:
    """As the issuer of another certificate."""
    from mlsssl import Certificate

    yield (certificate := Certificate.from_bytes(data, password=password))
    yield certificate.with_chain([certificate]).check("www.example.com", trust=[certificate]).to_json()


def _key(data: bytes, password: str) -> Iterator[object]:
    from mlsssl import Certificate, CertificateAuthority

    own = CertificateAuthority.create("Root", key="ec-p256").certificate
    yield Certificate.from_bytes(own.to_pem(), key=data, key_password=password)


def _request_key(data: bytes, password: str) -> Iterator[object]:
    from mlsssl import CertificateRequest

    Path("request.csr").write_bytes(CertificateRequest.create("www.example.com", key="ec-p256").to_pem())
    Path("request.key").write_bytes(data)
    yield CertificateRequest.load("request.csr", key="request.key", key_password=password)


def _authority(data: bytes, password: str) -> Iterator[object]:
    from mlsssl import CertificateAuthority

    Path("authority").write_bytes(data)
    yield CertificateAuthority.load("authority", password=password)


def _explain(data: bytes, password: str) -> Iterator[object]:
    from mlsssl import explain_pfx

    yield str(explain_pfx(data, password))


def _import(data: bytes, password: str) -> Iterator[object]:
    from mlsssl.testing import memory_machine

    with memory_machine() as machine, machine.store("MY") as store:
        yield repr(store.import_pfx(data, password))


def _store(data: bytes, password: str) -> Iterator[object]:
    from mlsssl import Certificate
    from mlsssl.testing import memory_machine

    with memory_machine() as machine, machine.store("MY") as store:
        yield (certificate := Certificate.from_bytes(data, password=password))
        yield store.add(certificate)
        yield list(store)
        yield store.find_all(host="www.example.com")


def _folder(data: bytes, password: str) -> Iterator[object]:
    from mlsssl import ccs

    Path("share").mkdir()
    Path("share/www.example.com.pfx").write_bytes(data)
    yield ccs.check_folder("share", password)


def _request(data: bytes, password: str) -> Iterator[object]:
    from mlsssl import CertificateAuthority, CertificateRequest

    del password
    Path("request.csr").write_bytes(data)
    yield (request := CertificateRequest.load("request.csr"))
    yield repr(request)
    yield CertificateAuthority.create("Root", key="ec-p256").sign(request)


def _lists(data: bytes, password: str) -> Iterator[object]:
    from mlsssl.testing import memory_machine

    del password
    with memory_machine() as machine, machine.store("CA") as store:
        yield store.add_crl(data)
        yield store.crls()


def _revoked(data: bytes, password: str) -> Iterator[object]:
    import hostile

    from mlsssl import Certificate
    from mlsssl._formats.crl import load_crls

    del password
    yield (lists := load_crls(data))
    leaf, root = map(Certificate.from_der, hostile.family())
    yield leaf.check("www.example.com", trust=[root], crls=lists).to_text()


def _netsh(data: bytes, password: str) -> Iterator[object]:
    from mlsssl import netsh

    del password
    yield netsh.parse_listing(data)


def _script(data: bytes, password: str) -> Iterator[object]:
    from mlsssl import netsh

    del password
    yield netsh.parse_script(data.decode("utf-8", "replace"))


def _password_file(data: bytes, password: str) -> Iterator[object]:
    from mlsssl.cli import main

    del password
    Path("password").write_bytes(data)
    yield main(["ca", "create", "Root", "--key", "ec-p256", "--out", "root.pfx", "--password", "file:password"])


READERS: dict[str, tuple[Callable[[bytes, str], Iterator[object]], ...]] = {
    "key": (_key, _request_key),
    "PFX": (_certificate, _authority, _explain, _import, _folder),
    "PVK": (_key,),
    "certificate": (_certificate, _check, _check_below, _store),
    "PEM": (_certificate, _check),
    "PKCS#7": (_certificate, _check),
    "chain": (_check,),
    "request": (_request,),
    "list": (_lists, _revoked),
    "netsh": (_netsh, _script),
    "password": (_password_file,),
}


def child(reader: str, path: str, password: str) -> None:
    """Read one file and print the cost."""
    from mlsssl.errors import MlssslError

    data = Path(path).read_bytes()
    times = [time.process_time()]
    try:
        for _ in globals()[reader](data, password):
            times.append(time.process_time())  # noqa: PERF401 -- the moment counts
        word = "read"
    except MlssslError as error:
        word = f"{type(error).__name__}: {error}"
    except BaseException as error:  # noqa: BLE001 - what must not happen is told, too
        word = f"FOREIGN {type(error).__name__}: {error}"
    times.append(time.process_time())
    seconds = max(after - before for before, after in pairwise(times))
    print(json.dumps([seconds, peak_memory(), word[:200]]))


def peak_memory() -> float:
    """Megabytes that this process had at most; 0 where nobody tells (Windows)."""
    try:
        # Not getrusage: what it tells on Linux begins with the parent's.
        status = Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1e3
    except OSError:
        return 0.0


# ---- in the parent ----


@dataclass(frozen=True)
class Cost:
    """What one reader did with one file."""

    name: str
    reader: str
    seconds: float
    megabytes: float
    word: str

    @property
    def kept(self) -> bool:
        """Whether the promise held."""
        return self.seconds <= SECONDS and self.megabytes <= MEGABYTES and not self.word.startswith("FOREIGN")


def measure(name: str, reader: str, path: Path, password: str) -> Cost:
    """Run one child."""
    command = [sys.executable, __file__, "--child", reader, str(path), password]
    with tempfile.TemporaryDirectory() as folder:
        # A file that costs minutes has missed the promise already.
        try:
            run = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=folder, check=False)
        except subprocess.TimeoutExpired:
            return Cost(name, reader, 60.0, 0.0, "stopped")
    if run.returncode:
        return Cost(name, reader, 0.0, 0.0, f"FOREIGN end of the process: {run.returncode} {run.stderr[-200:]}")
    seconds, megabytes, word = json.loads(run.stdout.splitlines()[-1])
    return Cost(name, reader, seconds, megabytes, word)


def main(words: list[str]) -> int:
    """Measure everything; the exit code is 1 when a promise was missed."""
    import hostile
    from ratios import Ratio, report

    costs = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        for name, data in hostile.files():
            if len(data) >= hostile.MOST or not all(word in name for word in words):
                assert len(data) < hostile.MOST, f"{name}: {len(data)} bytes"
                continue
            path.write_bytes(data)
            kind = name.partition(",")[0]
            for reader in READERS[kind]:
                for password in PASSWORDS if kind in ("key", "PFX", "PVK") else PASSWORDS[:1]:
                    cost = measure(name, reader.__name__, path, password)
                    costs.append(cost)
                    sign = "ok" if cost.kept else "MISSED"
                    print(
                        f"{sign:6} {name} ({len(data) / 1e3:.0f} kB), {reader.__name__[1:]}: {cost.seconds:.2f} s, "
                        f"{cost.megabytes:.0f} MB; {cost.word}",
                        flush=True,
                    )
    missed = [cost for cost in costs if not cost.kept]
    print(f"{len(costs)} readings, {len(missed)} missed")
    readings = f"of the dearest of {len(costs)} readings of hostile files"
    ratios = [
        Ratio(f"seconds {readings}", max(cost.seconds for cost in costs), SECONDS),
        Ratio(f"MB {readings}", max(cost.megabytes for cost in costs), MEGABYTES),
    ]
    return 1 if report(ratios) or missed else 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:5])
    else:
        sys.exit(main(sys.argv[1:]))
