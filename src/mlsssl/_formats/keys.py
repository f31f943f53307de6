"""Private and public keys: their kinds and names, and PKCS#8 and SubjectPublicKeyInfo bytes out of them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa

from mlsssl.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
    from typing_extensions import TypeIs

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
"""The kinds of private key this library signs and serves with."""

FilePrivateKey = PrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey | dsa.DSAPrivateKey
"""The kinds of private key that a file may hold; whether a TLS server can use it is for validation to say."""

CURVE_NAMES = {"secp256r1": "ec-p256", "secp384r1": "ec-p384", "secp521r1": "ec-p521"}
"""The NIST curves that clients take: as `cryptography` calls them, and as we do."""


def is_private_key(value: object) -> TypeIs[PrivateKey]:
    """Whether `value` is one of the two kinds of private key we use."""
    return isinstance(value, PrivateKey)


# Asked once for each pair: the classes of keys in `cryptography` are abstract, and `isinstance` of one is slow.
_is_subclass: Callable[[type, type], bool] = lru_cache(maxsize=32)(issubclass)


def is_rsa(key: object) -> TypeIs[rsa.RSAPublicKey]:
    """Whether this is a public key of RSA."""
    return _is_subclass(type(key), rsa.RSAPublicKey)


def is_ec(key: object) -> TypeIs[ec.EllipticCurvePublicKey]:
    """Whether this is a public key on an elliptic curve."""
    return _is_subclass(type(key), ec.EllipticCurvePublicKey)


def key_type_name(key: PublicKeyTypes | PrivateKey) -> str:
    """What to call a key: `rsa-2048`, `ec-p256`, `ed25519`; for curves without a name here, `ec-<name>`."""
    if isinstance(key, (rsa.RSAPublicKey, rsa.RSAPrivateKey)):
        return f"rsa-{key.key_size}"
    if isinstance(key, (ec.EllipticCurvePublicKey, ec.EllipticCurvePrivateKey)):
        return CURVE_NAMES.get(key.curve.name, f"ec-{key.curve.name}")
    return type(key).__name__.removesuffix("PublicKey").removesuffix("PrivateKey").lstrip("_").lower()


@lru_cache(maxsize=1)
def as_der() -> serialization.Encoding:
    """`Encoding.DER`, imported when it is needed: `serialization` brings SSH, ciphers and dataclasses with it.

    That is a fifth of what `show` takes, and of what importing `Certificate` would.
    """
    from cryptography.hazmat.primitives import serialization

    return serialization.Encoding.DER


@lru_cache(maxsize=1)
def _as_spki() -> serialization.PublicFormat:
    from cryptography.hazmat.primitives import serialization

    return serialization.PublicFormat.SubjectPublicKeyInfo


def spki(key: PublicKeyTypes) -> bytes:
    """The SubjectPublicKeyInfo DER: equal for equal public keys."""
    return key.public_bytes(as_der(), _as_spki())


def verify(
    key: PublicKeyTypes, signature: bytes, signed: bytes, parameters: object, digest: hashes.HashAlgorithm | None
) -> bool:
    """Check a signature with what `cryptography` says of its algorithm; False for another kind of key.

    Raises:
        InvalidSignature: the key did not make it.
        ValueError, TypeError, UnsupportedAlgorithm: it cannot be checked.
    """
    # The key first: `isinstance` of one of these abstract classes is slow where it is another.
    if is_ec(key) and isinstance(parameters, ec.ECDSA):
        key.verify(signature, signed, parameters)
    elif is_rsa(key) and isinstance(parameters, (padding.PKCS1v15, padding.PSS)) and digest:
        key.verify(signature, signed, parameters, digest)
    elif isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)) and digest is None:
        key.verify(signature, signed)
    else:
        return False
    return True


_OLD_ECDSA = "1.2.840.10045.4.1"  # ecdsa-with-SHA1


def old_parameters(algorithm: str, digest: hashes.HashAlgorithm) -> object:
    """The parameters for `verify` of MD5 and SHA-1, for which `cryptography` gives none; `algorithm` is dotted."""
    return ec.ECDSA(digest) if algorithm == _OLD_ECDSA else padding.PKCS1v15()


def has_signed(key: PublicKeyTypes, made: Any, signed: bytes, signature: bytes | None = None) -> bool:
    """Whether this key made the signature of a request or of a revocation list over what was `signed`.

    `is_signature_valid` of `cryptography` says no to what it does not verify, such as MD5 and SHA-1: old programs sign
    with these, and it is no proof that the key is another one. `made` tells of the algorithm, and has the `signature`
    where that is not given.

    Raises:
        ValueError, TypeError, UnsupportedAlgorithm: it cannot be checked.
    """
    digest, parameters = made.signature_hash_algorithm, made.signature_algorithm_parameters
    signature = made.signature if signature is None else signature
    if parameters is None and digest is not None and not isinstance(key, dsa.DSAPublicKey):
        parameters = old_parameters(made.signature_algorithm_oid.dotted_string, digest)
    try:
        if isinstance(key, dsa.DSAPublicKey) and digest is not None:
            key.verify(signature, signed, digest)
            return True
        return verify(key, signature, signed, parameters, digest)
    except InvalidSignature:
        return False


def private_key_der(key: PrivateKey) -> bytes:
    """PKCS#8 DER, unencrypted: for the machine that keeps it, never for a file that others can read."""
    from cryptography.hazmat.primitives import serialization

    return key.private_bytes(as_der(), serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def private_key_pem(key: PrivateKey, password: str | None) -> bytes:
    """PKCS#8 PEM, encrypted (PBES2, AES-256, as `cryptography` judges best) when there is a password."""
    from cryptography.hazmat.primitives import serialization

    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password is not None:
        encryption = serialization.BestAvailableEncryption(password_bytes(password))
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def password_bytes(password: str) -> bytes:
    """A password for PKCS#8, UTF-8; `InvalidInputError` when it is empty, too long for OpenSSL, or not text."""
    if not isinstance(password, str) or not password:
        raise InvalidInputError("a password is text of at least one character; None writes without encryption")
    encoded = password.encode("utf-8", "surrogatepass")
    if len(encoded) > 1023:  # OpenSSL's PEM_BUFSIZE less the NUL, which cryptography enforces
        raise InvalidInputError("a password has at most 1023 bytes in UTF-8")
    return encoded
