"""Private keys from small numbers: the same key for the same number, made once, so that a test never waits for one.

They are worthless by design. Everybody can compute every one of them.
"""

from __future__ import annotations

import functools
import hashlib
from itertools import combinations
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec, rsa

if TYPE_CHECKING:
    from mlsssl._formats.keys import PrivateKey
    from mlsssl.values import KeyType

EC_KEYS = 255
"""How many keys of each curve there are: more than any test tells apart, few enough to make each only once."""

# A prime of 2n bits is SHAKE-256 of a label, its two highest bits and its lowest set, plus the offset here: what a
# search for "the next prime after it" found, once. So no key is written down, and none is searched for.
_OFFSETS = {
    512: (38, 1236),
    1024: (1596, 826, 1118, 242),
    1536: (330, 184, 1656),
    2048: (2418, 1804, 1704),
}
_EXPONENT = 65537
_CURVES: dict[str, type[ec.EllipticCurve]] = {"ec-p256": ec.SECP256R1, "ec-p384": ec.SECP384R1}


def prime(bits: int, index: int) -> int:
    """The prime of this many bits with this index."""
    start = int.from_bytes(hashlib.shake_256(b"mlsssl.strategies %d %d" % (bits, index)).digest(bits // 8), "big")
    return (start | 3 << (bits - 2) | 1) + _OFFSETS[bits][index]


def rsa_keys(bits: int) -> int:
    """How many RSA keys of this size there are."""
    primes = len(_OFFSETS[bits // 2])
    return primes * (primes - 1) // 2


def key_count(kind: str) -> int:
    """How many keys of this type there are."""
    return EC_KEYS if kind in _CURVES else rsa_keys(int(kind.removeprefix("rsa-")))


def key(kind: KeyType, number: int) -> PrivateKey:
    """The key of this type with this number, from 0."""
    if kind in _CURVES:
        return ec_key(_CURVES[kind], number + 1)
    return rsa_key(int(kind.removeprefix("rsa-")), number)


@functools.cache
def ec_key(curve: type[ec.EllipticCurve], scalar: int) -> ec.EllipticCurvePrivateKey:
    """The key whose private value is this number."""
    return ec.derive_private_key(scalar, curve())


@functools.cache
def rsa_key(bits: int, number: int) -> rsa.RSAPrivateKey:
    """The RSA key of this size with this number."""
    first, second = list(combinations(range(len(_OFFSETS[bits // 2])), 2))[number]
    p, q = prime(bits // 2, first), prime(bits // 2, second)
    d = pow(_EXPONENT, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=d,
        dmp1=rsa.rsa_crt_dmp1(d, p),
        dmq1=rsa.rsa_crt_dmq1(d, q),
        iqmp=rsa.rsa_crt_iqmp(p, q),
        public_numbers=rsa.RSAPublicNumbers(e=_EXPONENT, n=p * q),
    )
    # The check is a test of primality, which tests/unit/test_strategies.py makes once for all of them.
    return numbers.private_key(unsafe_skip_rsa_key_validation=True)
