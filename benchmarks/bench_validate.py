"""A check of a two-certificate chain with every `private` rule, against cryptography's bare verification.

Run it alone on a quiet machine: `python benchmarks/bench_validate.py`. It prints one ratio per key type with its
bound and exits non-zero when one is missed. Both sides get certificates parsed afresh each time, since a check of
many certificates reads each of them once; the root is parsed once, as it is when one root stands above them all.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store
from ratios import Ratio, report

from mlsssl import CertificateAuthority, check_many
from mlsssl._validator.validate import validate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlsssl import Certificate
    from mlsssl._select.trust import TrustAnchor

BOUND = 5.0
HOST = "server-name.com"


def best(action: Callable[[], object], *, rounds: int = 15, count: int = 100) -> float:
    """Processor seconds of one call, the best of several rounds: other load on the machine counts less so."""
    fastest = float("inf")
    for _ in range(rounds):
        start = time.process_time()
        for _ in range(count):
            action()
        fastest = min(fastest, (time.process_time() - start) / count)
    return fastest


def measure(key: str) -> float:
    """The ratio for one key type."""
    authority = CertificateAuthority.create("SelfIssuedCA", key=key)  # type: ignore[arg-type]
    certificate = authority.issue(HOST)
    der = certificate.to_der()
    private = certificate.private_key
    trusted = authority.certificate.to_cryptography()
    now = datetime.now(timezone.utc)
    store = Store([trusted])

    def bare() -> object:
        leaf = x509.load_der_x509_certificate(der)
        return PolicyBuilder().store(store).time(now).build_server_verifier(x509.DNSName(HOST)).verify(leaf, [])

    def full() -> object:
        leaf = x509.load_der_x509_certificate(der)
        return validate(leaf, host=HOST, at=now, trust=[trusted], private_key=private)

    found = validate(certificate.to_cryptography(), host=HOST, at=now, trust=[trusted], private_key=private)
    assert found.findings == (), found.to_text()
    bare_time, full_time = best(bare), best(full)
    ratio = full_time / bare_time
    verdict = "ok" if ratio <= BOUND else "MISSED"
    print(f"{key}: {full_time * 1e6:.0f} us / {bare_time * 1e6:.0f} us = {ratio:.2f} (bound {BOUND:.2f}) {verdict}")
    return ratio


def processor_seconds(certificates: Sequence[Certificate], trust: Sequence[TrustAnchor], workers: int) -> float:
    """What a check of them all costs this process and its workers together, with a progress callback."""
    seen: list[int] = []
    before = os.times()
    reports = check_many(certificates, trust=trust, workers=workers, progress=seen.append)
    assert sum(one.ok for one in reports) == len(certificates) == seen[-1]
    return sum(os.times()[:4]) - sum(before[:4])


def many(count: int = 10_000) -> list[Ratio]:
    """Ten thousand certificates in one process and on two; and as many roots trusted as an operating system has."""
    authority = CertificateAuthority.create("SelfIssuedCA", key="ec-p256")
    certificates = [authority.issue(HOST, key="ec-p256") for _ in range(50)] * (count // 50)
    roots = [CertificateAuthority.create(f"Root {number}", key="ec-p256") for number in range(140)]
    alone, shared, wide, walls = [], [], [], []
    for _ in range(5):
        start = time.perf_counter()
        alone.append(processor_seconds(certificates, [authority], 1))
        middle = time.perf_counter()
        shared.append(processor_seconds(certificates, [authority], 2))
        walls.append((middle - start) / (time.perf_counter() - middle))
        wide.append(processor_seconds(certificates, [*roots, authority], 1))
    print(f"{count} certificates on two processes: {max(walls):.2f} times as fast as on one, at best of {len(walls)}")

    def ratio(name: str, cost: list[float], bound: float) -> Ratio:
        value = statistics.median(each / base for each, base in zip(cost, alone, strict=True))
        detail = f"{min(cost) / count * 1e6:.0f} µs of processor each against {min(alone) / count * 1e6:.0f} µs"
        return Ratio(name, value, bound, detail=detail)

    return [
        ratio(f"{count} certificates, processor time on two processes / on one", shared, 1.15),
        ratio(f"{count} certificates, {len(roots) + 1} roots trusted / one", wide, 1.15),
    ]


def main() -> int:
    """Exit code 0 when every bound is kept."""
    missed = report(many())
    return 0 if max(measure(key) for key in ("ec-p256", "rsa-2048")) <= BOUND and not missed else 1


if __name__ == "__main__":
    sys.exit(main())
