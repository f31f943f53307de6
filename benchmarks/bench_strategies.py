"""Drawing certificates against what they would cost otherwise.

Run: python benchmarks/bench_strategies.py [number of certificates]
"""

from __future__ import annotations

import datetime as dt
import math
import sys
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from ratios import Ratio, compare, report

from mlsssl import strategies

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy

COUNT = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
AT = strategies.CLOCK


def draw(strategy: SearchStrategy[Any], count: int) -> Callable[[], None]:
    """A test of this many examples that does nothing with them."""

    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(drawn=strategy)
    def test(drawn: object) -> None:
        pass

    return test


def bare(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> x509.Certificate:
    """A root or leaf by `cryptography` alone, with the extensions of ours."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "www.example.test")])
    public = key.public_key()
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign"), False
    )
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(AT)
        .not_valid_after(AT + dt.timedelta(days=199))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(digital_signature=True, crl_sign=False, encipher_only=False, decipher_only=False, **usage),
            critical=True,
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("www.example.test")]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


def bare_pairs() -> None:
    """As many pairs of authority and leaf, each with a new P-256 key: no strategy, no choice, no shrinking."""
    for _ in range(2 * COUNT):
        bare(ec.generate_private_key(ec.SECP256R1()))


def main() -> int:
    """Exit code 0 when every bound is kept."""
    certificates = draw(strategies.certificates(), COUNT)
    numbers = draw(st.tuples(*[st.integers(1, 2**64) for _ in range(8)]), COUNT)
    few = 20
    naive = draw(st.builds(lambda _: bare(rsa.generate_private_key(65537, 2048)), st.integers(1, 2**64)), few)
    slow = compare("", naive, draw(strategies.certificates(), few), bound=math.inf, repeat=1, rounds=5)
    name = f"a strategy that makes an RSA-2048 key each time / certificates(), {few} drawn"
    return report(
        [
            compare(
                f"{COUNT} certificates() / eight integers() each", certificates, numbers, bound=3.3, repeat=1, rounds=7
            ).with_promise(4),
            compare(
                f"{COUNT} certificates() / bare cryptography, new P-256 keys",
                certificates,
                bare_pairs,
                bound=6.5,
                repeat=1,
                rounds=7,
            ).with_promise(10),
            compare(
                f"{COUNT} chains() / certificates()",
                draw(strategies.chains(), COUNT),
                certificates,
                bound=1.5,
                repeat=1,
                rounds=7,
            ).with_promise(2),
            Ratio(name, slow.value, 15, at_least=True, detail=slow.detail, promised=5),
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
