"""The work that one call may do on foreign bytes: one budget for all its layers, all keys and all spellings.

Whoever writes a file chooses how many rounds of hashing a password costs, how much memory, how many keys there are and
how large. So each piece of work is paid for before it is done, in nanoseconds of one processor core as measured here
on an ordinary server of 2026; what a call cannot pay for is refused, and nothing depends on a clock. The promise is
two seconds of processor time and 200 MB of memory for any input below 1 MB. `LIMIT` leaves a third of the time for what
is not counted because it grows with the bytes only: splitting ASN.1, and reading certificates.

What honest programs write, beside it: OpenSSL 2 048 rounds of PBKDF2 or PKCS#12 (1 ms each); Java's keytool 10 000, and
50 000 to 100 000 before 2021 (60 ms); NSS 600 000 (0.7 s for key, certificates and MAC); OWASP's Password Storage Cheat
Sheet wants 600 000 rounds of PBKDF2 with SHA-256 (0.15 s) or scrypt with N = 2^17, r = 8 (0.6 s, 128 MiB). A key of
RSA-2048 costs 3 ms, RSA-4096 8 ms, RSA-8192 50 ms, so that hundreds of keys in one file are read, and thousands not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsssl.errors import MalformedDataError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias


LIMIT = 1_300_000_000
"""Nanoseconds that one call may spend on passwords and private keys."""

SCRYPT_MEMORY = 130 * 1024 * 1024
"""Bytes that scrypt may take: N = 2^17 with r = 8 needs 128 MiB and a little."""

RSA_BITS = 8192
"""Bits of the largest RSA key with a private half. Twice as many take OpenSSL 1.7 s for one signature when a prime is
none; public keys may have 16 384, which is where OpenSSL stops (OPENSSL_RSA_MAX_MODULUS_BITS)."""

KEY_BYTES = 6 * 1024
"""Bytes of a private key as DER; RSA-8192 has 4 700 as PKCS#8."""

DSA_BYTES = 2 * 1024
"""The same for DSA, whose parameters may have any size; DSA-3072, the largest of FIPS 186-4, has 900."""

SHA3 = ("SHA3-224", "SHA3-256", "SHA3-384", "SHA3-512")

# Nanoseconds for one round. PKCS#12's own derivation is a loop in Python here (and so is PBKDF1, with MD5); PBKDF2 and
# scrypt are OpenSSL's.
PKCS12 = {"MD5": 650, "SHA-1": 650, "SHA-224": 700, "SHA-256": 700, "SHA-384": 900, "SHA-512": 1350}
PKCS12 |= {"SHA-512/224": 1900, "SHA-512/256": 1900, **dict.fromkeys(SHA3, 1600)}
PBKDF2 = {"SHA-1": 230, "SHA-224": 230, "SHA-256": 230, "SHA-384": 1000, "SHA-512": 1000}
PBKDF2 |= {"SHA-512/224": 1000, "SHA-512/256": 1000, **dict.fromkeys(SHA3, 1500)}
PKCS12_OPENSSL = 100
"""One round of PKCS#12's derivation with SHA-1 where OpenSSL can be given the whole part."""
PKCS12_CRYPTOGRAPHY = 300
"""The same where cryptography decrypts a key."""
SCRYPT = 550  # for each block of 128 bytes: N times r times p of them
ATTEMPT = 100_000
"""What trying one spelling of a password on one part costs besides."""

CIPHER = {"RC2": 5000, "RC4": 350}
"""Nanoseconds for one byte of the two ciphers that are lines of Python."""

KEY = 2_000_000
"""Nanoseconds for a private key to be read, whatever its kind: the slowest curve (brainpoolP512r1) takes so long."""

DSA = 400_000_000
"""The same for DSA besides: OpenSSL computes the public half, a power with as many bits as `DSA_BYTES` let it have."""

Cost: TypeAlias = "tuple[int, object]"
"""Nanoseconds, and what they are for: whatever `str` makes readable."""


class WorkBudget:
    """What is left of `LIMIT`; one object for each call of a public reader, handed down to whoever spends."""

    __slots__ = ("left",)

    def __init__(self, limit: int = LIMIT) -> None:
        self.left = limit

    @property
    def exhausted(self) -> bool:
        """Whether something was refused."""
        return self.left == 0

    def foresee(self, costs: Iterable[Cost]) -> None:
        """Refuse what is sure to be too much before any of it is done; nothing is spent.

        Raises:
            MalformedDataError: together they cost more than is left; the message names the most expensive.
        """
        found = list(costs)
        total = sum(nanoseconds for nanoseconds, _ in found)
        if total > self.left:
            raise _refusal(total, max(found, key=lambda cost: cost[0])[1])

    def affords(self, nanoseconds: int) -> bool:
        """Whether so much is left."""
        return nanoseconds <= self.left

    def spend(self, nanoseconds: int, what: object) -> None:
        """Pay for `what`, which is about to be done.

        Raises:
            MalformedDataError: it costs more than is left.
        """
        if nanoseconds > self.left:
            self.left = 0  # nothing cheaper is tried afterwards
            raise _refusal(nanoseconds, what)
        self.left -= nanoseconds


def rsa_cost(p: int, q: int) -> int:
    """Nanoseconds of one private operation with primes of so many bits each."""
    return KEY + (p**3 + q**3) // 2750


def _refusal(nanoseconds: int, what: object) -> MalformedDataError:
    return MalformedDataError(
        f"reading this costs too much work: {what} brings it to {_seconds(nanoseconds)} of processor time, and one "
        f"call spends at most {_seconds(LIMIT)} on all passwords and keys. It may be hostile or damaged; if you trust "
        "it, write it anew with fewer rounds or keys: 'openssl pkcs8 -topk8' for a key, 'openssl pkcs12 -export' for a "
        "PFX"
    )


def _seconds(nanoseconds: int) -> str:
    seconds = nanoseconds / 1e9
    return f"{seconds:.1f} s" if seconds < 1e6 else "years"
