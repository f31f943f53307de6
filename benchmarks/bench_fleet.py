"""The table of a fleet: its time against reading the JSON, its memory; and signing for a fleet against bare signing.

Run: python benchmarks/bench_fleet.py [number of machines]

What bounds the table: each minion's answer is foreign text, so it is read twice (by `json`, then value by value into an
`Audit`) and written once. What bounds signing: reading the request, looking at every name of it and at the policy take
a time of their own, about the same for every key; so the share is the better the slower the authority's key is. For the
key that `CertificateAuthority.create` makes 0.7 is promised.
"""

from __future__ import annotations

import json
import logging
import math
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from ratios import Ratio, compare, growth, report

from mlsssl import Certificate, CertificateAuthority, CertificateRequest
from mlsssl.saltext import _settings, _signing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TABLE_BOUND = 104.0  # x reading the JSON alone; 83 to 88 come out, some 5 ms for a minion with ten bindings
MEMORY_BOUND = 300.0  # MiB, with the page of HTML
SIGNING_BOUND = 0.7  # of the requests that are signed without us
MACHINES = 10_000
BINDINGS = 10


def answers(count: int) -> Iterator[tuple[str, str]]:
    """What so many minions answer, as JSON: each name, thumbprint and owner is another one."""
    row = {
        "key": "", "family": "hostnameport", "owner": None, "app_id": "", "thumbprint": "", "store": "MY", "names": "",
        "issuer": "CN=Fleet Root", "not_after": "2027-03-01T00:00:00+00:00", "days_left": 92.0,
        "renew_from": "2027-02-01T00:00:00+00:00", "key_type": "rsa-2048", "private_key": "usable", "key_access": None,
        "renewed_by": None, "severity": "warning",
    }  # fmt: skip
    finding = {
        "code": "renewal-due", "severity": "warning", "where": "leaf: notAfter", "found": "92 days are left",
        "expected": "a certificate that is renewed in time", "remedy": "renew it", "standard": "", "refused_by": [],
    }  # fmt: skip
    for machine in range(count):
        rows = []
        for number in range(BINDINGS):
            which = machine * BINDINGS + number
            own = {"key": f"h{number}.m{machine}.test:443", "names": f"h{number}.m{machine}.test"}
            numbers = {"app_id": f"00000000-0000-0000-0000-{which:012x}", "thumbprint": f"{which:040x}"}
            rows.append({**row, **own, **numbers, "findings": [finding] if number == 0 else []})
        audit = {"machine": "any", "at": "2026-11-29T10:00:00+00:00", "ok": True, "notes": [], "rows": rows}
        yield f"m{machine:05}", json.dumps({**audit, "reservations": []})


def join(told: Iterator[tuple[str, str]], *targets: Path) -> None:
    """What the runner does with the answers."""
    import datetime as dt

    from mlsssl.saltext._fleet import FleetTable

    with FleetTable(dt.datetime(2027, 1, 1, tzinfo=dt.timezone.utc)) as table:
        for minion, text in told:
            table.add(minion, json.loads(text))
        assert len(table.minions) * BINDINGS == table.bindings
        for target in targets:
            table.save(target)


def peak(count: int) -> float | None:
    """The most memory, in MiB, that a process takes for the table of so many machines and its page; None on Windows."""
    code = (
        "import resource, sys; from pathlib import Path; import bench_fleet as b;"
        f"b.join(b.answers({count}), Path(sys.argv[1]) / 'fleet.html', Path(sys.argv[1]) / 'fleet.json');"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    if sys.platform == "win32":
        return None
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", code, folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parent)
    return float(done.stdout)


def grown(folder: Path) -> Ratio:
    """The table of more and more machines, with its page."""

    def table(count: int) -> Callable[[], object]:
        told = list(answers(count))
        return lambda: join(iter(told), folder / "grown.html", folder / "grown.json")

    return growth("table of machines", table, (10, 40, 160))


class Everybody:
    """A master for which a policy's own settings are enough."""

    def matches(self, expression: str, minion: str) -> bool:
        return True

    def names(self, minion: str, grain: str | None) -> dict[str, list[str]]:
        return {"pillar": [], "grain": []}


def signing(folder: Path, key: str, bound: float) -> Ratio:
    """A request of a minion through the policy, against the same certificate made by `cryptography` alone."""
    file = folder / f"{key}.pem"
    CertificateAuthority.create("Benchmark", key=key).save(file, no_password=True)  # type: ignore[arg-type]
    settings = {"ca": str(file), "minions": ["web*"], "names": ["{id}.fleet.test"], "days": 30}
    around = _settings.Surroundings({"mlsssl": {"policies": {"web": settings}}}, {}, {})
    request = CertificateRequest.create("web1.fleet.test").to_pem().decode("ascii")
    authority = Certificate.load(file)
    own, private_key = authority.to_cryptography(), authority.private_key

    def ours() -> str:
        found = _signing.answer(around, Everybody(), "web", request, "web1")
        return str(found["certificate"])

    model = x509.load_pem_x509_certificate(ours().encode())

    def bare() -> bytes:
        asked = x509.load_pem_x509_csr(request.encode())
        assert asked.is_signature_valid
        builder = x509.CertificateBuilder(
            issuer_name=own.subject,
            subject_name=model.subject,
            public_key=asked.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=model.not_valid_before_utc,
            not_valid_after=model.not_valid_after_utc,
        )
        for one in model.extensions:
            builder = builder.add_extension(one.value, critical=one.critical)
        return builder.sign(private_key, hashes.SHA256()).public_bytes(Encoding.PEM)  # type: ignore[arg-type]

    name = f"requests signed by an authority of {key}"
    cost = compare(name, ours, bare, bound=1 / bound, repeat=40)
    return Ratio(f"{name}, share of bare signing", 1 / cost.value, bound, at_least=True, detail=cost.detail)


def main() -> int:
    logging.getLogger("mlsssl").setLevel(logging.ERROR)  # the line in the log belongs to whoever keeps it
    count = int(sys.argv[1]) if len(sys.argv) > 1 else MACHINES
    some = list(answers(min(count, 300)))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ratios = [
            compare(
                f"table of {len(some)} machines against reading the JSON",
                lambda: join(iter(some), folder / "fleet.json"),
                lambda: [json.loads(text) for _, text in some],
                bound=TABLE_BOUND,
                repeat=1,
                rounds=5,
            ).with_promise(math.inf),
            grown(folder),
            signing(folder, "rsa-3072", SIGNING_BOUND),
        ]
    most = peak(count)
    if most is not None:
        ratios.append(Ratio(f"MiB for {count} machines", most, MEMORY_BOUND, detail="table, JSON and page of HTML"))
    return report(ratios)


if __name__ == "__main__":
    raise SystemExit(main())
