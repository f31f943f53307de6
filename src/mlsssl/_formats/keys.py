"""Private and public keys: making them, reading and writing PKCS#8, naming their type, comparing them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mlsssl._formats.budget import WorkBudget
from mlsssl._messages.arguments import check_password
from mlsssl._messages.foreign_text import shown
from mlsssl.errors import InvalidInputError, UnsupportedError

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes, PublicKeyTypes
    from typing_extensions import TypeIs

KeyType = Literal["rsa-2048", "rsa-3072", "rsa-4096", "ec-p256", "ec-p384"]
"""The kinds of key this library makes."""

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
"""The kinds of private key this library signs and serves with."""

_CURVES: dict[str, ec.EllipticCurve] = {"ec-p256": ec.SECP256R1(), "ec-p384": ec.SECP384R1()}
DIFFIE_HELLMAN = ("1.2.840.113549.1.3.1", "1.2.840.10046.2.1")
"""The object identifiers of PKCS#3 and ANSI X9.42."""
_CURVE_NAMES = {"secp256r1": "ec-p256", "secp384r1": "ec-p384", "secp521r1": "ec-p521"}


def is_private_key(value: object) -> TypeIs[PrivateKey]:
    """Whether `value` is one of the two kinds of private key we use."""
    return isinstance(value, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey))


def check_key_type(name: str) -> KeyType:
    """Return `name` if it is one of the `KeyType`s; `InvalidInputError` otherwise."""
    for known in get_args(KeyType):
        if name == known:
            return name  # type: ignore[return-value]  # get_args loses the Literal
    raise InvalidInputError(f"key is one of {', '.join(get_args(KeyType))}, or a private key; not {shown(name)}")


def make_key(kind: KeyType | PrivateKey) -> PrivateKey:
    """A new private key of this type; a key given is returned as it is."""
    if not isinstance(kind, str):
        if is_private_key(kind):
            return kind
        raise InvalidInputError(f"key is the name of a key type, or an RSA or EC private key; not {shown(kind)}")
    curve = _CURVES.get(check_key_type(kind))
    if curve is not None:
        return ec.generate_private_key(curve)
    return rsa.generate_private_key(public_exponent=65537, key_size=int(kind.removeprefix("rsa-")))


def key_type_name(key: PublicKeyTypes | PrivateKey) -> str:
    """What to call a key: `rsa-2048`, `ec-p256`, `ed25519`; for curves without a name here, `ec-<name>`."""
    if isinstance(key, (rsa.RSAPublicKey, rsa.RSAPrivateKey)):
        return f"rsa-{key.key_size}"
    if isinstance(key, (ec.EllipticCurvePublicKey, ec.EllipticCurvePrivateKey)):
        return _CURVE_NAMES.get(key.curve.name, f"ec-{key.curve.name}")
    return type(key).__name__.removesuffix("PublicKey").removesuffix("PrivateKey").lstrip("_").lower()


def hash_for(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384:
    """The hash to sign with: SHA-384 for P-384 and larger curves, SHA-256 otherwise (BR 7.1.3.2.2 pairs them so)."""
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.key_size > 256:
        return hashes.SHA384()
    return hashes.SHA256()


def spki(key: PublicKeyTypes) -> bytes:
    """The SubjectPublicKeyInfo DER: equal for equal public keys."""
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def private_key_der(key: PrivateKey) -> bytes:
    """PKCS#8 DER, unencrypted: for the machine that keeps it, never for a file that others can read."""
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def private_key_pem(key: PrivateKey, password: str | None) -> bytes:
    """PKCS#8 PEM, encrypted (PBES2, AES-256, as `cryptography` judges best) when there is a password."""
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


def public_key_of(certificate: x509.Certificate) -> CertificatePublicKeyTypes:
    """The public key of a certificate that somebody else made.

    Raises:
        UnsupportedAlgorithm: as `check_public_kind`.
        ValueError, TypeError, UnsupportedAlgorithm, InternalError: cryptography's word on an odd key.
    """
    check_public_kind(certificate.public_key_algorithm_oid.dotted_string)
    return certificate.public_key()


def check_public_kind(algorithm: str) -> None:
    """Refuse to have a public key read that is dear and good for nothing.

    Raises:
        UnsupportedAlgorithm: it is for Diffie-Hellman. OpenSSL computes with it on reading, seconds at 16 384 bits,
            and nothing can be signed or served with it.
    """
    if algorithm in DIFFIE_HELLMAN:
        raise UnsupportedAlgorithm("a Diffie-Hellman key, which signs and serves nothing")


def load_private_key(data: bytes, password: str | None, budget: WorkBudget | None = None) -> PrivateKey:
    """A private key from PEM or DER (PKCS#8, PKCS#1, SEC 1).

    Args:
        data: The file's bytes; of several keys in PEM the first is read.
        password: None for an unencrypted key. A password given for an unencrypted key is ignored.
        budget: Pays for the work; one of its own when not given.

    Raises:
        InvalidInputError: the password is not text.
        WrongPasswordError: it is encrypted, and the password is missing or wrong.
        MalformedDataError: it is no private key, or costs more work than the budget allows.
        UnsupportedError: it is a key of another kind than RSA and EC, or encrypted by what is not read.
    """
    from mlsssl._formats.key_files import read_private_key  # takes as long to import as all the rest here

    check_password(password)
    key = read_private_key(data, password, budget or WorkBudget())
    if is_private_key(key):
        return key
    raise UnsupportedError(f"the private key is {key_type_name(key.public_key())}; RSA and EC keys can be used")
