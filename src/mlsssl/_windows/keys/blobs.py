"""Private and public keys as the byte layouts of CNG and of the older providers, and back. Pure.

CNG: BCRYPT_RSAKEY_BLOB and BCRYPT_ECCKEY_BLOB (bcrypt.h), numbers big-endian. The older providers: see `rsa_blobs`.

What holds a private key is a bytearray here, so that `wiped` can zero it; Python's integers cannot be.
"""

from __future__ import annotations

import contextlib
import struct
from typing import TYPE_CHECKING, TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mlsssl._formats import foreign
from mlsssl._formats.keys import PrivateKey, spki
from mlsssl._formats.pem import load_der
from mlsssl._formats.rsa_blobs import PRIVATEKEYBLOB, PUBLICKEYBLOB, cut, read_blob, write_private_blob
from mlsssl.errors import MalformedDataError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator

BufferT = TypeVar("BufferT", bound=bytearray)

_ANOTHER = "Windows keeps RSA keys and EC keys on P-256, P-384 and P-521; this is another"

RSA_PUBLIC, RSA_PRIVATE, RSA_FULL_PRIVATE = b"RSA1", b"RSA2", b"RSA3"

# bcrypt.h: BCRYPT_ECDSA_{PUBLIC,PRIVATE}_P*_MAGIC and the same for ECDH; the bytes spell it out.
_CURVES: dict[str, ec.EllipticCurve] = {"P256": ec.SECP256R1(), "P384": ec.SECP384R1(), "P521": ec.SECP521R1()}
_CURVE_LETTERS = {"P256": b"12", "P384": b"34", "P521": b"56"}  # public, private
_ECC_PUBLIC = {
    purpose + letters[:1]: curve for purpose in (b"ECS", b"ECK") for curve, letters in _CURVE_LETTERS.items()
}
_ECC_PRIVATE = {
    purpose + letters[1:]: curve for purpose in (b"ECS", b"ECK") for curve, letters in _CURVE_LETTERS.items()
}


@contextlib.contextmanager
def wiped(buffer: BufferT) -> Iterator[BufferT]:
    """Lend out `buffer` and zero it afterwards, whatever happens."""
    try:
        yield buffer
    finally:
        buffer[:] = bytes(len(buffer))


def load_private_key(pkcs8: bytes) -> PrivateKey:
    """The key in a PKCS#8 DER.

    Raises:
        MalformedDataError: it is no such thing.
        UnsupportedError: neither RSA nor one of the curves that Windows keeps (P-256, P-384, P-521).
    """
    try:
        # Made or loaded, and so validated, by this library; validating an RSA key again costs some 30 ms.
        load = serialization.load_der_private_key
        key = foreign.call(load, pkcs8, None, unsafe_skip_rsa_key_validation=True)
    except (ValueError, TypeError) as error:
        raise MalformedDataError(f"not a PKCS#8 private key: {type(error).__name__}") from None
    except UnsupportedAlgorithm:
        raise UnsupportedError(_ANOTHER) from None
    return checked(key)


def checked(key: object) -> PrivateKey:
    """The key, if Windows keeps such keys; `UnsupportedError` otherwise."""
    if isinstance(key, rsa.RSAPrivateKey):
        return key
    if isinstance(key, ec.EllipticCurvePrivateKey) and _curve_name(key.curve) is not None:
        return key
    raise UnsupportedError(_ANOTHER)


def certificate_identity(der: bytes) -> bytes | None:
    """`spki` of a certificate's key; None when nobody here can read it.

    Encoded again rather than cut out: a certificate may name its RSA key as RSASSA-PSS (RFC 4055), its container
    as plain RSA, and it is one key.
    """
    try:
        key = foreign.public_key_of(load_der(der))
    except MalformedDataError:
        return None
    return spki(key) if isinstance(key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey)) else None


# ---- CNG ----


def cng_algorithm(key: PrivateKey) -> tuple[str, str]:
    """The algorithm to create it under (BCRYPT_*_ALGORITHM), and the type of its private blob."""
    if isinstance(key, rsa.RSAPrivateKey):
        return "RSA", "RSAFULLPRIVATEBLOB"
    return f"ECDSA_{_curve_name(key.curve)}", "ECCPRIVATEBLOB"


def cng_private(key: PrivateKey) -> bytearray:
    """BCRYPT_RSAFULLPRIVATE_BLOB or BCRYPT_ECCPRIVATE_BLOB."""
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.private_numbers()
        public = numbers.public_numbers
        p, q = _bytes_of(numbers.p), _bytes_of(numbers.q)
        e, n = _bytes_of(public.e), _bytes_of(public.n)
        blob = bytearray(struct.pack("<4s5I", RSA_FULL_PRIVATE, public.n.bit_length(), e, n, p, q))
        fields = [(public.e, e), (public.n, n), (numbers.p, p), (numbers.q, q)]
        fields += [(numbers.dmp1, p), (numbers.dmq1, q), (numbers.iqmp, p), (numbers.d, n)]
    else:
        curve = _curve_name(key.curve)
        assert curve is not None
        secret = key.private_numbers()
        point = secret.public_numbers
        size = -(-key.curve.key_size // 8)
        blob = bytearray(struct.pack("<4sI", b"ECS" + _CURVE_LETTERS[curve][1:], size))
        fields = [(point.x, size), (point.y, size), (secret.private_value, size)]
    for value, length in fields:
        blob += value.to_bytes(length, "big")
    return blob


def from_cng_private(blob: bytes | bytearray) -> PrivateKey:
    """The key in a private blob as CNG exports it.

    Raises:
        MalformedDataError: it is no such blob, or its numbers do not belong together.
        UnsupportedError: a curve that we do not know.
    """
    magic = bytes(blob[:4])
    if magic == RSA_FULL_PRIVATE:
        e, n, p, q, dp, dq, qi, d = cut(blob, _rsa_lengths(blob, full=True), start=24)
        return _rsa_key(n, e, p, q, d, dp, dq, qi)
    if magic in _ECC_PRIVATE:
        x, y, secret = cut(blob, [_word(blob, 4)] * 3, start=8)
        curve = _CURVES[_ECC_PRIVATE[magic]]
        try:
            point = ec.EllipticCurvePublicNumbers(x, y, curve)
            return ec.EllipticCurvePrivateNumbers(secret, point).private_key()
        except ValueError:
            raise MalformedDataError("the numbers of this EC key do not belong together") from None
    raise _unknown(magic)


def cng_public_identity(blob: bytes) -> bytes:
    """`spki` of a public blob as CNG exports it. Raises as `from_cng_private`."""
    magic = blob[:4]
    if magic == RSA_PUBLIC:
        e, n = cut(blob, _rsa_lengths(blob, full=False), start=24)
        return _rsa_identity(n, e)
    if magic in _ECC_PUBLIC:
        x, y = cut(blob, [_word(blob, 4)] * 2, start=8)
        try:
            return spki(ec.EllipticCurvePublicNumbers(x, y, _CURVES[_ECC_PUBLIC[magic]]).public_key())
        except ValueError:
            raise MalformedDataError("this EC key is not a point of its curve") from None
    raise _unknown(magic)


# ---- the older providers: RSA only ----


def csp_private(key: rsa.RSAPrivateKey) -> bytearray:
    """PRIVATEKEYBLOB, as a key for key exchange, which TLS servers of Windows have. Raises as `write_private_blob`."""
    return write_private_blob(key, "exchange")


def from_csp_private(blob: bytes | bytearray) -> rsa.RSAPrivateKey:
    """The key in a PRIVATEKEYBLOB. Raises as `from_cng_private`."""
    _, _, e, (n, p, q, dp, dq, qi, d) = read_blob(blob, PRIVATEKEYBLOB)
    return _rsa_key(n, e, p, q, d, dp, dq, qi)


def csp_public_identity(blob: bytes) -> bytes:
    """`spki` of a PUBLICKEYBLOB. Raises as `from_cng_private`."""
    _, _, e, (n,) = read_blob(blob, PUBLICKEYBLOB)
    return _rsa_identity(n, e)


# ---- parts ----


def _curve_name(curve: ec.EllipticCurve) -> str | None:
    return next((name for name, known in _CURVES.items() if known.name == curve.name), None)


def _bytes_of(value: int) -> int:
    return -(-value.bit_length() // 8)


def _word(blob: bytes | bytearray, offset: int) -> int:
    return int.from_bytes(blob[offset : offset + 4], "little")


def _rsa_lengths(blob: bytes | bytearray, *, full: bool) -> list[int]:
    e, n, p, q = (_word(blob, offset) for offset in (8, 12, 16, 20))
    return [e, n, p, q, p, q, p, n] if full else [e, n]


def _rsa_key(n: int, e: int, p: int, q: int, d: int, dp: int, dq: int, qi: int) -> rsa.RSAPrivateKey:
    numbers = rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, rsa.RSAPublicNumbers(e, n))
    try:
        if p * q != n:
            raise ValueError
        return numbers.private_key(unsafe_skip_rsa_key_validation=True)
    except ValueError:
        raise MalformedDataError("the numbers of this RSA key do not belong together") from None


def _rsa_identity(n: int, e: int) -> bytes:
    try:
        return spki(rsa.RSAPublicNumbers(e, n).public_key())
    except ValueError:
        raise MalformedDataError("these numbers are no RSA key") from None


def _unknown(magic: bytes) -> MalformedDataError | UnsupportedError:
    if magic[:3] in (b"ECS", b"ECK", b"ECD"):
        return UnsupportedError(
            f"an EC key on a curve that is not P-256, P-384 or P-521 ({magic.decode('ascii', 'backslashreplace')})"
        )
    return MalformedDataError(f"not a key blob that we know: it begins with {magic.hex() or 'nothing'}")
