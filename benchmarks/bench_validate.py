"""A check of a two-certificate chain with every `private` rule, against cryptography's bare verification.

Both sides get certificates parsed afresh each time, since a check of many certificates reads each of them once; the
root is parsed once, as it is when one root stands above them all.

Measured twice. One check in turn with one verification is what a program does that checks now and then. Ten of each in
turn is what a program does that does nothing else; the verification, a few pages of compiled code, then gains more from
the processor's caches than Python does.

Promised are 3.5 times the verification for RSA-2048 and 2.0 for P-256, and more fails. One in turn comes to 2.8 to 2.9
and 1.7 to 1.8, ten in turn to 3.1 to 3.3 and 1.8 to 1.9 on a machine that others keep busy: the more they have of the
processor, the more Python loses against compiled code.

What cannot be spared is measured and printed too: the calls of `cryptography` that the rules cannot do without (every
extension, the public key, its comparison with the private key, one signature) by themselves take 1.2 times the
verification, which reads most of that in compiled code. An RSA key takes another 0.45 for arithmetic, most of it two
calls of Python's own: a greatest common divisor with the primes below 752, and a square root. The rest is some 90
functions of ours for all rules (`tests/unit/test_bounded_work.py` holds their number), none of which takes a twentieth
of a check by itself. A subject that is one plain common name, as here, is read without `cryptography`.
"""

from __future__ import annotations

import math
import sys
from datetime import datetime, timezone

from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store
from ratios import Ratio, compare, report

from mlsssl import CertificateAuthority
from mlsssl._validator.validate import validate

HOST = "server-name.com"
PROMISED = {"rsa-2048": 3.5, "ec-p256": 2.0}


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

    def calls_alone() -> object:
        leaf = x509.load_der_x509_certificate(der)
        public = leaf.public_key()
        trusted.public_key()
        leaf.verify_directly_issued_by(trusted)
        assert private is not None
        assert private.public_key() == public
        return [*leaf.extensions]

    floor = compare("", calls_alone, bare, bound=math.inf, repeat=1, rounds=501)
    print(f"calls of cryptography alone, {key} / bare verification: {floor.value:.2f} ({floor.detail})")
    found = validate(certificate.to_cryptography(), host=HOST, at=now, trust=[trusted], private_key=private)
    assert found.findings == (), found.to_text()

    def ratio(repeat: int, rounds: int) -> Ratio:
        name = f"check, {key}, {repeat} in turn / cryptography's verifier"
        return compare(name, full, bare, bound=PROMISED[key], repeat=repeat, rounds=rounds)

    return [ratio(1, 1001), ratio(10, 101)]


def main() -> int:
    """Exit code 0 when every bound is kept."""
    return report([*measure("ec-p256"), *measure("rsa-2048")])


if __name__ == "__main__":
    sys.exit(main())
