"""A check of a two-certificate chain with every `private` rule, against cryptography's bare verification.

Run it alone on a quiet machine: `python benchmarks/bench_validate.py`. It prints one ratio per key type with its
bound and exits non-zero when one is missed. Both sides get certificates parsed afresh each time, since a check of
many certificates reads each of them once; the root is parsed once, as it is when one root stands above them all.
"""

from __future__ import annotations

import sys
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from mlsssl import CertificateAuthority, check_many
from mlsssl._pki.validate import validate

if TYPE_CHECKING:
    from collections.abc import Callable

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

    report = validate(certificate.to_cryptography(), host=HOST, at=now, trust=[trusted], private_key=private)
    assert report.findings == (), report.to_text()
    bare_time, full_time = best(bare), best(full)
    ratio = full_time / bare_time
    verdict = "ok" if ratio <= BOUND else "MISSED"
    print(f"{key}: {full_time * 1e6:.0f} us / {bare_time * 1e6:.0f} us = {ratio:.2f} (bound {BOUND:.2f}) {verdict}")
    return ratio


def measure_many(count: int = 10_000) -> None:
    """Ten thousand certificates in one process and on two, with a progress callback; printed, without a bound."""
    authority = CertificateAuthority.create("SelfIssuedCA", key="ec-p256")
    certificates = [authority.issue(HOST, key="ec-p256")] * count
    seconds = []
    for workers in (1, 2):
        seen: list[int] = []
        start = time.perf_counter()
        reports = check_many(certificates, trust=[authority], workers=workers, progress=seen.append)
        assert sum(report.ok for report in reports) == count == seen[-1]
        seconds.append(time.perf_counter() - start)
    print(f"{count} certificates: {seconds[0]:.1f} s alone, {seconds[1]:.1f} s on two processes")


def main() -> int:
    """Exit code 0 when every bound is kept."""
    measure_many()
    return 0 if max(measure(key) for key in ("ec-p256", "rsa-2048")) <= BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
