"""Lists of three sizes: what is done with many certificates or bindings grows no faster than n log n.

An audit of bindings and its page, renewals in which nothing or everything is due, clearing up after them, checking and
issuing many, a bundle's file, netsh's listing, the keys that completion offers. Adding to a store and looking up in one
are in `bench_store.py`, the table of a fleet in `bench_fleet.py`.

Run: python benchmarks/bench_lists.py [words in the names of what is to be measured]
"""

from __future__ import annotations

import datetime as dt
import sys
import uuid
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from bench_store import audit_bound, fill_authorities
from machines import bind_all, fill
from ratios import growth, report

from mlsssl import Certificate, CertificateAuthority, EmbeddedMachine, audit, check_many, cleanup, netsh, renew_due
from mlsssl._commands.completion import machine as completion
from mlsssl._embedded.port import EmbeddedPort
from mlsssl._formats.binding_keys import BindingOptions, HostnamePort, IpPort
from mlsssl._machine.ports import BindingRecord
from mlsssl.values import Thumbprint

if TYPE_CHECKING:
    from collections.abc import Callable

    from ratios import Ratio

    from mlsssl import Audit

SMALL = (25, 100, 400)
MIDDLE = (50, 200, 800)  # a file of PEM may have 1,000 blocks
LARGE = (500, 2000, 8000)
LATER = dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=3650)


class Machines:
    """Machines with so many bindings, each of its own certificate; made when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[int, tuple[Path, CertificateAuthority]] = {}

    def of(self, count: int) -> tuple[EmbeddedMachine, CertificateAuthority]:
        if count not in self._made:
            path = self._folder / f"{count}.sqlite"
            self._made[count] = (path, fill(path, count))
        path, authority = self._made[count]
        return EmbeddedMachine(path), authority

    def audited(self, count: int) -> Audit:
        with self.of(count)[0] as machine:
            found = audit(machine=machine)
        assert len(found.rows) == count
        return found


def auditing(machines: Machines, count: int) -> Callable[[], object]:
    machines.of(count)
    return lambda: machines.audited(count)


def addresses(folder: Path, count: int) -> Callable[[], object]:
    """An audit where one certificate is bound to so many addresses."""
    path = folder / f"addresses-{count}.sqlite"
    fill(path, 1)
    machine = EmbeddedMachine(path)
    (binding,) = machine.bindings
    hosts = (f"10.0.{number // 250}.{number % 250 + 1}" for number in range(count))
    port = EmbeddedPort(path)
    bind_all(port, [replace(binding.record, key=IpPort(host, 8443)) for host in hosts])
    port.close()

    def work() -> None:
        assert len(audit(machine=machine).rows) == count + 1

    return work


def authorities(folder: Path, count: int) -> Callable[[], object]:
    """An audit of one binding, beside so many certificates in CA and Root."""
    path = folder / f"authorities-{count}.sqlite"
    fill_authorities(path, count)
    return lambda: audit_bound(path, count)


def page(machines: Machines, folder: Path, count: int) -> Callable[[], object]:
    found = machines.audited(count)
    return lambda: found.save(folder / "audit.html")


def nothing_due(machines: Machines, count: int) -> Callable[[], object]:
    machine, authority = machines.of(count)
    return lambda: [one for one in renew_due(authority, machine=machine) if one.skipped is None]


def renewed(folder: Path, count: int) -> Callable[[], object]:
    """Everything is renewed, each time again. The record of each change holds every thumbprint that is bound."""
    path = folder / f"renewed-{count}.sqlite"
    authority = fill(path, count)
    machine = EmbeddedMachine(path)

    def work() -> None:
        results = renew_due(authority, machine=machine, due_only=False, key_type="ec-p256")
        assert all(one.outcome is not None and one.outcome.changed for one in results), results

    return work


def planned(machines: Machines, count: int) -> Callable[[], object]:
    """Everything is due, and planned; that changes nothing, so it can be done again."""
    machine, authority = machines.of(count)

    def work() -> None:
        results = renew_due(authority, machine=machine, due_only=False, dry_run=True, everywhere=True)
        assert all(one.plan is not None for one in results), results

    return work


def clearing(folder: Path, count: int) -> Callable[[], object]:
    """Certificates that were superseded, and bindings of others; by `dry_run`, so that it can be done again."""
    path = folder / f"superseded-{count}.sqlite"
    authority = fill(path, count)
    machine = EmbeddedMachine(path)
    with machine.store("MY") as store:
        newer = store.add(authority.issue("newer.example", key="ec-p256"))
        old = store.add_all([authority.issue("old.example", key="ec-p256") for _ in range(count)])
        for entry in old:
            store.set_renewed_by(entry.thumbprint, newer.thumbprint)

    def work() -> None:
        assert len(cleanup(machine=machine, at=LATER, dry_run=True).removed) == count

    return work


def checking(count: int) -> Callable[[], object]:
    authority = CertificateAuthority.create("Root", key="ec-p256")
    ders = [authority.issue(f"host-{number}.example", key="ec-p256").to_der() for number in range(100)]
    given = [(ders[number % 100], f"host-{number % 100}.example") for number in range(count)]

    def work() -> None:
        pairs = ((Certificate.from_der(der), host) for der, host in given)
        assert sum(one.ok for one in check_many(pairs, trust=[authority], workers=1)) == count

    return work


def issuing(count: int) -> Callable[[], object]:
    authority = CertificateAuthority.create("Root", key="ec-p256")
    hosts = [f"host-{number}.example" for number in range(count)]

    def work() -> None:
        assert sum(1 for _ in authority.issue_many(hosts, key="ec-p256", workers=1)) == count

    return work


def bundle(folder: Path, count: int) -> Callable[[], object]:
    authority = CertificateAuthority.create("Root", key="ec-p256")
    path = folder / f"bundle-{count}.pem"
    path.write_bytes(b"".join(authority.issue("host.example", key="ec-p256").to_pem() for _ in range(count)))

    def work() -> None:
        assert len(Certificate.load_all(path)) == count

    return work


def listing(count: int) -> Callable[[], object]:
    text = netsh.format_listing(
        BindingRecord(
            key=HostnamePort(f"host-{number}.example", 443),
            thumbprint=Thumbprint(f"{number:040x}"),
            store_name="MY",
            app_id=uuid.UUID(int=number),
            options=BindingOptions(),
        )
        for number in range(count)
    )

    def work() -> None:
        assert len(netsh.parse_listing(text).records) == count

    return work


def completed(machines: Machines, count: int) -> Callable[[], object]:
    machine, _ = machines.of(count)
    path = str(machine.path)
    machine.close()

    def work() -> None:
        assert len(completion.found("keys", path, None, most=count)) == count

    return work


def main() -> int:
    """Exit code 0 when every bound is kept."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        machines = Machines(folder)
        measures: dict[str, Callable[[str], Ratio]] = {
            "audit of bindings": partial(growth, work_at=partial(auditing, machines), sizes=SMALL),
            "audit of addresses": partial(growth, work_at=partial(addresses, folder), sizes=SMALL),
            "audit beside authorities": partial(growth, work_at=partial(authorities, folder), sizes=LARGE),
            "page of an audit": partial(growth, work_at=partial(page, machines, folder), sizes=SMALL),
            "renew_due, nothing due": partial(growth, work_at=partial(nothing_due, machines), sizes=SMALL),
            "renew_due, everything planned": partial(growth, work_at=partial(planned, machines), sizes=SMALL),
            "renew_due, everything renewed": partial(
                growth, work_at=partial(renewed, folder), sizes=(5, 20, 80), rounds=2
            ),
            "cleanup": partial(growth, work_at=partial(clearing, folder), sizes=SMALL),
            "check_many": partial(growth, work_at=checking, sizes=SMALL),
            "issue_many": partial(growth, work_at=issuing, sizes=SMALL),
            "load_all of a bundle": partial(growth, work_at=partial(bundle, folder), sizes=MIDDLE),
            "parse_listing": partial(growth, work_at=listing, sizes=MIDDLE),
            "completion of keys": partial(growth, work_at=partial(completed, machines), sizes=SMALL),
        }
        wanted = sys.argv[1:]
        return report(
            [measure(name) for name, measure in measures.items() if not wanted or any(one in name for one in wanted)]
        )


if __name__ == "__main__":
    sys.exit(main())
