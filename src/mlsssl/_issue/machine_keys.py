"""Private keys that a machine holds, as `cryptography` has private keys: they sign, and never leave.

Objects of these classes go wherever a private key goes (a request is signed by one, a certificate is joined with one);
what would need the key itself raises `AccessDeniedError`. `cryptography` signs requests with whatever implements its
abstract classes.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal, NoReturn, get_args

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from mlsssl._formats import foreign
from mlsssl.errors import AccessDeniedError, UnsupportedError

HashName = Literal["sha256", "sha384", "sha512"]
"""The hashes that a machine signs: hashlib's names for them."""

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

    from mlsssl._formats.keys import PrivateKey

    Sign = Callable[[str, bytes, HashName], bytes]
    """The key's name, a digest, and the hash's name, to the signature; as `RequestKeysPort.sign`."""


class _Held:
    """What both kinds share.

    Args:
        name: What the machine knows it by.
        public: Its public half.
        sign: The machine's.
    """

    def __init__(self, name: str, public: object, sign: Sign) -> None:
        self.name = name
        self._public = public
        self._sign = sign

    def _signature(self, data: bytes, algorithm: object) -> bytes:
        given = getattr(algorithm, "name", None)  # a Prehashed has none: nothing here needs one
        for known in get_args(HashName):
            if given == known:
                return self._sign(self.name, hashlib.new(known, data).digest(), known)
        raise UnsupportedError(f"a key that the machine holds signs with {', '.join(get_args(HashName))}")

    def _refuse(self) -> NoReturn:
        raise AccessDeniedError(
            f"the private key {self.name} was made in the machine and does not leave it; it signs there. Export it "
            "from the store once its certificate is there, if it was made exportable",
            right="exportable key",
        )

    def private_numbers(self) -> NoReturn:
        """`AccessDeniedError`."""
        self._refuse()

    def private_bytes(self, *_arguments: object, **_named: object) -> NoReturn:
        """`AccessDeniedError`."""
        self._refuse()

    def __getstate__(self) -> NoReturn:
        self._refuse()

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: object) -> Self:
        return self

    def __repr__(self) -> str:
        return f"<private key {self.name}, held by the machine>"


class HeldRsaKey(_Held, rsa.RSAPrivateKey):
    """An RSA key; signs by PKCS#1 v1.5."""

    _public: rsa.RSAPublicKey

    @property
    def key_size(self) -> int:
        """The modulus in bits."""
        return self._public.key_size

    def public_key(self) -> rsa.RSAPublicKey:
        """Its public half."""
        return self._public

    def sign(
        self,
        data: bytes | bytearray | memoryview,
        padding_: object,
        algorithm: object,
    ) -> bytes:
        """A signature of the machine's. `UnsupportedError` for another padding or hash."""
        if not isinstance(padding_, padding.PKCS1v15):
            raise UnsupportedError("a key that the machine holds signs by PKCS#1 v1.5 only")
        return self._signature(bytes(data), algorithm)

    def decrypt(self, ciphertext: bytes, padding_: object) -> NoReturn:
        """`AccessDeniedError`: it is for signing."""
        self._refuse()


class HeldEcKey(_Held, ec.EllipticCurvePrivateKey):
    """A key on P-256 or P-384; signs by ECDSA."""

    _public: ec.EllipticCurvePublicKey

    @property
    def key_size(self) -> int:
        """The curve's size in bits."""
        return self._public.key_size

    @property
    def curve(self) -> ec.EllipticCurve:
        """Its curve."""
        return self._public.curve

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """Its public half."""
        return self._public

    def sign(
        self, data: bytes | bytearray | memoryview, signature_algorithm: ec.EllipticCurveSignatureAlgorithm
    ) -> bytes:
        """A signature of the machine's. `UnsupportedError` for another algorithm or hash."""
        if not isinstance(signature_algorithm, ec.ECDSA):
            raise UnsupportedError("a key that the machine holds signs by ECDSA only")
        return self._signature(bytes(data), signature_algorithm.algorithm)

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> NoReturn:
        """`AccessDeniedError`: it is for signing."""
        self._refuse()


def held_key(name: str, public_key: bytes, sign: Sign) -> PrivateKey:
    """The private key that a machine holds under this name; its public half as SubjectPublicKeyInfo DER."""
    public = foreign.read(
        "the public half of the machine's key cannot be read", serialization.load_der_public_key, public_key
    )
    if isinstance(public, rsa.RSAPublicKey):
        return HeldRsaKey(name, public, sign)
    if isinstance(public, ec.EllipticCurvePublicKey):
        return HeldEcKey(name, public, sign)
    raise UnsupportedError("the machine holds a key that is neither RSA nor EC")


def held_name(key: PrivateKey | None) -> str | None:
    """What the machine knows this key by; None for a key that is in this process's memory, and for none."""
    return key.name if isinstance(key, _Held) else None


def is_held(key: object) -> bool:
    """Whether a private key is one of these."""
    return isinstance(key, _Held)
