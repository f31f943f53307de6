"""Making private keys, and the hash that each signs with: a new key type is one line of `_MAKERS`."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mlsssl._formats.keys import CURVE_NAMES, PrivateKey, is_private_key, key_type_name
from mlsssl._messages.foreign_text import shown
from mlsssl.errors import InvalidInputError
from mlsssl.values import KeyType

if TYPE_CHECKING:
    from collections.abc import Callable

_MAKERS: dict[KeyType, Callable[[], PrivateKey]] = {
    "rsa-2048": lambda: rsa.generate_private_key(65537, 2048),
    "rsa-3072": lambda: rsa.generate_private_key(65537, 3072),
    "rsa-4096": lambda: rsa.generate_private_key(65537, 4096),
    "ec-p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "ec-p384": lambda: ec.generate_private_key(ec.SECP384R1()),
}


def check_key_type(name: str) -> KeyType:
    """Return `name` if it is one of the `KeyType`s; `InvalidInputError` otherwise."""
    for known in get_args(KeyType):
        if name == known:
            return name  # type: ignore[return-value]  # get_args loses the Literal
    raise InvalidInputError(f"key is one of {', '.join(get_args(KeyType))}, or a private key; not {shown(name)}")


def usual_key_type(kind: str, otherwise: KeyType) -> KeyType:
    """The type of a new key beside one of this type: the same where it is made here, for what was loaded may be any."""
    return check_key_type(kind) if kind in get_args(KeyType) else otherwise


def same_key_type(kind: str, argument: str) -> KeyType:
    """The type of a successor's key: the old one's. `InvalidInputError`, with the argument to give, for any other."""
    if kind not in get_args(KeyType):
        raise InvalidInputError(
            f"the old key is {kind}, and none of that kind is made here; choose with {argument} one of "
            f"{', '.join(get_args(KeyType))}"
        )
    return check_key_type(kind)


def is_usable(key: object, *, bits: int = 2048) -> bool:
    """Whether clients take a certificate for this public key: RSA of so many bits and an odd exponent, a NIST curve."""
    if isinstance(key, rsa.RSAPublicKey):
        exponent = key.public_numbers().e
        return key.key_size >= bits and exponent >= 3 and exponent % 2 == 1
    return isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in CURVE_NAMES


def make_key(kind: KeyType | PrivateKey) -> PrivateKey:
    """A new private key of this type; a key given is returned as it is, when `is_usable`."""
    if not isinstance(kind, str):
        if is_private_key(kind):
            if not is_usable(kind.public_key()):
                raise InvalidInputError(
                    f"the key is {key_type_name(kind.public_key())}, which clients refuse; RSA keys of 2048 bits and "
                    "more and the NIST curves are accepted"
                )
            return kind
        raise InvalidInputError(f"key is the name of a key type, or an RSA or EC private key; not {shown(kind)}")
    return _MAKERS[check_key_type(kind)]()


def hash_for(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384:
    """The hash to sign with: SHA-384 for P-384 and larger curves, SHA-256 otherwise (BR 7.1.3.2.2 pairs them so)."""
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.key_size > 256:
        return hashes.SHA384()
    return hashes.SHA256()
