"""A check of a two-certificate chain with every `private` rule, against cryptography's bare verification.

Both sides get certificates parsed afresh each time, since a check of many certificates reads each of them once; the
root is parsed once, as it is when one root stands above them all.

Measured twice. One check in turn with one verification is what a program does that checks now and then: promised are
3.5 times the verification for RSA-2048 and 2.0 for P-256. Ten of each in turn is what a program does that does nothing
else; the verification, a few pages of compiled code, then gains more from the processor's caches than Python does.

Where a promise stands beside a bound, it is not kept, for this reason. What is read of a certificate and not by the
verifier (its extensions, subject and public key as objects, the subject as text, the key compared with the private
key) and the signature cost 1.3 times the verification by themselves for both kinds of key. The rest is some 450 calls
of Python for all rules, none of which is dear: 75 to 100 microseconds, 0.7 to 1.0 verifications with P-256 and 1.2 to
1.5 with RSA, with which a check of the modulus for small factors, close primes and ROCA comes in, 0.3.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from datetime import datetime, timezone
from itertools import islice
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store
from ratios import Ratio, compare, report, settled, spread

from mlsssl import Certificate, CertificateAuthority, check_many
from mlsssl._validator.validate import validate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlsssl._select.trust import TrustAnchor

HOST = "server-name.com"
# For each type of key: the bound of one in turn, that of ten in turn, and what was promised.
BOUNDS = {"rsa-2048": (3.5, 4.6, 3.5), "ec-p256": (2.6, 3.1, 2.0)}


def measure(key: str) -> list[Ratio]:
    """The ratios for one key type."""
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
        return validate(leaf, der=der, host=HOST, at=now, trust=[trusted], private_key=private)

    found = validate(certificate.to_cryptography(), host=HOST, at=now, trust=[trusted], private_key=private)
    assert found.findings == (), found.to_text()
    one, ten, promise = BOUNDS[key]

    def ratio(repeat: int, rounds: int, bound: float) -> Ratio:
        name = f"check, {key}, {repeat} in turn"
        kept = "" if bound <= promise else f", where {promise} was promised"
        return compare(f"{name}{kept}", full, bare, bound=bound, repeat=repeat, rounds=rounds)

    return [ratio(1, 2001, one), ratio(10, 201, ten)]


def processor_seconds(certificates: Sequence[Certificate], trust: Sequence[TrustAnchor], workers: int) -> float:
    """What a check of them all costs this process and its workers together, with a progress callback."""
    seen: list[int] = []
    before = os.times()
    reports = check_many(certificates, trust=trust, workers=workers, progress=seen.append)
    assert sum(one.ok for one in reports) == len(certificates) == seen[-1]
    return sum(os.times()[:4]) - sum(before[:4])


def many(count: int = 10_000) -> list[Ratio]:
    """Ten thousand certificates in one process and on two; and as many roots trusted as an operating system has.

    That two processes are 1.9 times as fast as one on two quiet cores, as was promised, is that all take at most 1.05
    times the processor time of one.
    """
    authority = CertificateAuthority.create("SelfIssuedCA", key="ec-p256")
    ders = [authority.issue(HOST, key="ec-p256").to_der() for _ in range(50)] * (count // 50)
    roots = [CertificateAuthority.create(f"Root {number}", key="ec-p256") for number in range(140)]

    def against_one(name: str, bound: float, trust: Sequence[TrustAnchor], workers: int) -> Ratio:
        """In turn with one process and one root."""
        ratios, walls = [], []
        for _ in range(3):
            start = time.perf_counter()
            alone = processor_seconds(_fresh(ders), [authority], 1)
            middle = time.perf_counter()
            ratios.append(processor_seconds(_fresh(ders), trust, workers) / alone)
            walls.append((middle - start) / (time.perf_counter() - middle))
        detail = f"{spread(ratios)}; by the clock {max(walls):.2f} times as fast at best"
        return Ratio(f"{count} certificates, {name}", statistics.median(ratios), bound, detail=detail)

    two = "processor time on two processes / on one (1.05 promised)"
    wide = f"{len(roots) + 1} roots trusted / one"
    return [
        settled(lambda: against_one(two, 1.15, [authority], 2)),
        settled(lambda: against_one(wide, 1.15, [*roots, authority], 1)),
        settled(lambda: against_single(ders, authority)),
    ]


def _fresh(ders: Sequence[bytes]) -> list[Certificate]:
    """Certificates of which nothing was read yet but what loading reads."""
    return [Certificate.from_der(der) for der in ders]


def against_single(ders: Sequence[bytes], authority: CertificateAuthority, turn: int = 20) -> Ratio:
    """check_many in this process against as many single checks with the same root, twenty of each in turn."""
    many = check_many(((one, HOST) for one in _fresh(ders)), trust=[authority], workers=1)
    ratios = []
    singles = iter(_fresh(ders))
    while chunk := list(islice(singles, turn)):
        start = time.process_time()
        for one in chunk:
            assert one.check(HOST, trust=[authority], key_expected=False)
        middle = time.process_time()
        assert sum(one.ok for one in islice(many, turn)) == turn
        ratios.append((time.process_time() - middle) / (middle - start))
    name = f"{len(ders)} certificates by check_many / by single checks"
    return Ratio(name, statistics.median(ratios), 0.85, detail=f"0.8 was promised; {spread(ratios)}")


def main() -> int:
    """Exit code 0 when every bound is kept."""
    return report([*measure("ec-p256"), *measure("rsa-2048"), *many()])


if __name__ == "__main__":
    sys.exit(main())
