"""Key blobs of CNG and the older providers: there and back, against known layouts, and against foreign bytes."""

from __future__ import annotations

import functools
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from mlsssl._formats.keys import private_key_der, spki
from mlsssl._windows.keys.blobs import (
    cng_algorithm,
    cng_private,
    cng_public_identity,
    csp_private,
    csp_public_identity,
    from_cng_private,
    from_csp_private,
    load_private_key,
    wiped,
)
from mlsssl.errors import MalformedDataError, UnsupportedError
from programs import require

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SIZES = (1024, 1030, 2048)


@functools.cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


EC_KEYS = [ec.derive_private_key(1000003, curve) for curve in (ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1())]


@pytest.mark.parametrize("bits", SIZES)
def test_an_rsa_key_goes_through_both_layouts(bits: int) -> None:
    """Also one whose modulus fills no whole number of 16-bit units."""
    key = rsa_key(bits)
    assert from_cng_private(cng_private(key)).private_numbers() == key.private_numbers()
    assert from_csp_private(csp_private(key)).private_numbers() == key.private_numbers()
    assert load_private_key(private_key_der(key)).private_numbers() == key.private_numbers()


@pytest.mark.parametrize("key", EC_KEYS, ids=lambda key: key.curve.name)
def test_an_ec_key_goes_through_the_layout(key: ec.EllipticCurvePrivateKey) -> None:
    """With leading zeroes in its numbers, for the small private value has many."""
    blob = cng_private(key)
    assert from_cng_private(blob).private_numbers() == key.private_numbers()
    assert cng_algorithm(key) == (f"ECDSA_P{key.key_size}", "ECCPRIVATEBLOB")
    public = blob[:3] + bytes([blob[3] - 1]) + blob[4 : -((key.key_size + 7) // 8)]
    assert cng_public_identity(bytes(public)) == spki(key.public_key())
    agreement = bytes(public).replace(b"ECS", b"ECK", 1)  # what Windows makes of many imported keys
    assert cng_public_identity(agreement) == spki(key.public_key())


@pytest.mark.parametrize("bits", SIZES)
def test_the_older_layout_is_what_openssl_writes(bits: int, tmp_path: Path) -> None:
    """`openssl rsa -outform MSBLOB` writes the same bytes."""
    openssl = require("openssl")
    source, target = tmp_path / "key.pem", tmp_path / "key.blob"
    key = rsa_key(bits)
    source.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    command = [openssl, "rsa", "-in", str(source), "-outform", "MSBLOB", "-out", str(target)]
    subprocess.run(command, check=True, capture_output=True)
    assert csp_private(key) == target.read_bytes()
    public = [openssl, "rsa", "-in", str(source), "-pubout", "-outform", "MSBLOB", "-out", str(target)]
    subprocess.run(public, check=True, capture_output=True)
    assert csp_public_identity(target.read_bytes()) == spki(key.public_key())


def test_a_key_that_windows_keeps_not_is_refused() -> None:
    """By what it is, before anything native sees it."""
    others: list[ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey] = [
        ed25519.Ed25519PrivateKey.generate(),
        ec.derive_private_key(3, ec.SECP256K1()),
    ]
    for other in others:
        pkcs8 = other.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with pytest.raises(UnsupportedError, match="P-256"):
            load_private_key(pkcs8)


def test_what_the_older_providers_cannot_hold_is_refused() -> None:
    """A public exponent of more than 32 bits has no place in RSAPUBKEY."""
    key = rsa.generate_private_key(65537, 1024)
    numbers = key.private_numbers()
    wide = 2**40 + 15
    p, q = numbers.p, numbers.q
    d = pow(wide, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(wide, p * q)
    parts = (d % (p - 1), d % (q - 1), numbers.iqmp)
    odd = rsa.RSAPrivateNumbers(p, q, d, *parts, public).private_key(unsafe_skip_rsa_key_validation=True)
    with pytest.raises(UnsupportedError, match="exponent"):
        csp_private(odd)
    assert from_cng_private(cng_private(odd)).private_numbers() == odd.private_numbers()


READERS: list[Callable[[bytes], object]] = [
    from_cng_private,
    from_csp_private,
    cng_public_identity,
    csp_public_identity,
    load_private_key,
]


def blobs() -> list[bytes]:
    key = rsa_key(1024)
    found = [bytes(cng_private(key)), bytes(csp_private(key)), private_key_der(key)]
    return found + [bytes(cng_private(other)) for other in EC_KEYS]


@given(st.binary(max_size=300))
def test_foreign_bytes_are_malformed_or_unsupported(data: bytes) -> None:
    """Whatever comes: our errors and no other."""
    for reader in READERS:
        with pytest.raises((MalformedDataError, UnsupportedError)):
            reader(data)


@given(st.data())
def test_a_damaged_blob_is_refused_or_another_key(data: st.DataObject) -> None:
    """One byte changed, or the end cut off: an error of ours, or a result; never another exception."""
    blob = bytearray(data.draw(st.sampled_from(blobs())))
    if data.draw(st.booleans()):
        position = data.draw(st.integers(0, len(blob) - 1))
        blob[position] ^= data.draw(st.integers(1, 255))
    else:
        del blob[data.draw(st.integers(0, len(blob) - 1)) :]
    for reader in READERS:
        try:
            reader(bytes(blob))
        except (MalformedDataError, UnsupportedError):
            continue


def test_numbers_that_do_not_belong_together_are_malformed() -> None:
    """A modulus that is not the product of the primes."""
    for blob, reader in (
        (cng_private(rsa_key(1024)), from_cng_private),
        (csp_private(rsa_key(1024)), from_csp_private),
    ):
        blob[40] ^= 1
        with pytest.raises(MalformedDataError, match="belong together"):
            reader(bytes(blob))


def test_a_lent_blob_is_zeroed_also_after_an_error() -> None:
    """So that no copy of the key outlives its use in memory that we own."""
    blob = cng_private(rsa_key(1024))
    with pytest.raises(RuntimeError), wiped(blob):
        raise RuntimeError
    assert set(blob) == {0}
