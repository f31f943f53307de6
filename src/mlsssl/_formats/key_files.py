"""Private keys out of PEM and DER: told apart before OpenSSL sees them, and tried out instead of proved.

OpenSSL proves on loading that the primes of an RSA key are prime: 50 ms for RSA-2048, 5 s for RSA-8192, 34 s for
RSA-16384. What has to be known here is that the numbers belong together and that the key does what its public half
says: a few divisions and one signature tell, at a fiftieth of the cost. A composite "prime" that came through would be
a key that signs and decrypts all the same.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key

from mlsssl._formats import der
from mlsssl._formats.budget import DSA, DSA_BYTES, KEY, KEY_BYTES, RSA_BITS, WorkBudget, rsa_cost
from mlsssl._formats.foreign import DIFFIE_HELLMAN, UNREADABLE, call, reason
from mlsssl._formats.keys import PrivateKey, is_private_key, key_type_name
from mlsssl._formats.sniff import Kind, take
from mlsssl._formats.text import base64_bytes
from mlsssl._messages.arguments import check_password
from mlsssl.errors import MalformedDataError, UnsupportedError, WrongPasswordError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from mlsssl._formats.pkcs12.encryption import Encryption


_DSA_OID = "1.2.840.10040.4.1"
# The others are not handed to OpenSSL at all: it computes the public half of Diffie-Hellman keys, of any size.
_READ = {
    "1.2.840.113549.1.1.1": "RSA",
    "1.2.840.113549.1.1.10": "RSASSA-PSS",
    "1.2.840.10045.2.1": "EC",
    "1.3.101.110": "X25519",
    "1.3.101.111": "X448",
    "1.3.101.112": "Ed25519",
    "1.3.101.113": "Ed448",
    _DSA_OID: "DSA",
}
_LARGEST_EXPONENT = 256  # bits: FIPS 186-5, appendix A.1.1; honest ones have 2 to 32


def load_private_key(data: bytes, password: str | None, budget: WorkBudget | None = None) -> PrivateKey:
    """A private key from PEM (the first of several) or DER: PKCS#8, PKCS#1, SEC 1. An open key needs no password.

    Raises:
        InvalidInputError: the password is not text.
        WrongPasswordError: it is encrypted, and the password is missing or wrong.
        MalformedDataError: it is no private key, or costs more work than the budget allows.
        UnsupportedError: it is a key of another kind than RSA and EC, or encrypted by what is not read.
    """
    check_password(password)
    found = take(data, Kind.PRIVATE_KEY)[0].data
    reader = _read_old_pem if found.startswith(b"-----BEGIN") else _read_der
    key = reader(found, password, budget or WorkBudget())
    if is_private_key(key):
        return key
    raise UnsupportedError(f"the private key is {key_type_name(key.public_key())}; RSA and EC keys can be used")


def check_size(size: int) -> None:
    """`MalformedDataError` for more bytes than any private key has."""
    if size > KEY_BYTES:
        raise MalformedDataError(f"a private key of {size} bytes; at most {KEY_BYTES} are read (RSA: {RSA_BITS} bits)")


_OLD_PEM_CIPHERS = {
    "AES-128-CBC": "AES-128-CBC",
    "AES-192-CBC": "AES-192-CBC",
    "AES-256-CBC": "AES-256-CBC",
    "DES-EDE3-CBC": "3DES-CBC",
    "DES-CBC": "DES-CBC",
}


def _read_old_pem(block: bytes, password: str | None, budget: WorkBudget) -> PrivateKeyTypes:
    """OpenSSL's own encryption of PEM (RFC 1421), as `sniff` hands it on; `cryptography` reads a part of it."""
    check_size(len(block) * 3 // 4)
    headers, _, rest = block.decode("utf-8", "replace").partition("\n\n")
    found = re.search(r"\nDEK-Info:[ \t]*([A-Za-z0-9-]{1,40}),[ \t]*((?:[0-9A-Fa-f]{2}){8,16})[ \t]*(?:\n|$)", headers)
    data = base64_bytes("".join(rest.splitlines()[:-1]))
    if found is None or not data:
        raise MalformedDataError(
            "the headers of the encrypted private key (Proc-Type, DEK-Info) are damaged: each stands in a line of its "
            "own, and an empty line behind them"
        )
    from mlsssl._formats.pkcs12.encryption import Encryption, KeyDerivation

    iv = bytes.fromhex(found[2])
    cipher = _OLD_PEM_CIPHERS.get(found[1].upper())
    kdf = KeyDerivation(kind="EVP_BytesToKey", hash_name="MD5", salt=iv[:8], iterations=1)
    return _decrypted(
        Encryption(scheme="PBES1", cipher=cipher, kdf=kdf, iv=iv, refusal=found[1]), data, password, budget
    )


def _read_der(encoded: bytes, password: str | None, budget: WorkBudget) -> PrivateKeyTypes:
    encrypted = _encryption_of(encoded)
    if encrypted is None:
        return load_plain_key(encoded, budget)
    check_size(len(encoded))
    return _decrypted(*encrypted, password, budget)


def _decrypted(encryption: Encryption, data: bytes, password: str | None, budget: WorkBudget) -> PrivateKeyTypes:
    if not password:
        raise WrongPasswordError("the private key is encrypted; give its password")
    if encryption.cipher is None:
        raise UnsupportedError(
            f"the private key is encrypted with {encryption.refusal}, which is not read here; write it anew: openssl "
            "pkey -in FILE -aes256 -out new.key (OpenSSL 3 may want -provider legacy -provider default)"
        )
    for plain in encryption.attempts(data, password, budget):
        if looks_like_key(plain):
            return load_plain_key(plain, budget)
    raise WrongPasswordError("this password does not open the private key (or the key is damaged)")


def _encryption_of(encoded: bytes) -> tuple[Encryption, bytes] | None:
    """How a PKCS#8 EncryptedPrivateKeyInfo (RFC 5958, section 3) is encrypted, and the octets; None for another key."""
    with der.decoding("a private key"):
        fields = der.Fields(der.only(encoded))
        algorithm = fields.optional(der.SEQUENCE)
        if algorithm is None:
            return None
        from mlsssl._formats.pkcs12.encryption import read_encryption  # as dear to import as all the rest here

        encryption, data = read_encryption(algorithm), der.octets(fields.take())
        fields.end()
        return encryption, data


def looks_like_key(data: bytes) -> bool:
    """Whether decrypted bytes have the shape of a private key: then the password was right."""
    try:
        with der.decoding("a private key"):
            return len(der.members(der.only(data), der.SEQUENCE, most=16)) >= 3
    except MalformedDataError:
        return False


def load_plain_key(encoded: bytes, budget: WorkBudget) -> PrivateKeyTypes:
    """The private key in unencrypted DER: PKCS#8, PKCS#1, SEC 1, or OpenSSL's old form of DSA.

    Raises:
        MalformedDataError: it is no private key, its numbers do not belong together, or it costs too much.
        UnsupportedError: it is of a kind that is not read.
    """
    check_size(len(encoded))
    identifier = _algorithm(encoded)
    if identifier is not None and identifier not in _READ:
        kind = "for Diffie-Hellman" if identifier in DIFFIE_HELLMAN else f"of the kind {identifier}"
        raise UnsupportedError(f"the private key is {kind}, which no TLS server has")
    if identifier == _DSA_OID:
        if len(encoded) > DSA_BYTES:
            raise MalformedDataError(f"a DSA key of {len(encoded)} bytes; at most {DSA_BYTES} are read")
        budget.spend(DSA, "a DSA key")
    budget.spend(KEY, "a private key")
    try:
        key = call(load_der_private_key, encoded, None, unsafe_skip_rsa_key_validation=True)
    except UnsupportedAlgorithm as error:
        raise UnsupportedError(f"the private key is of a kind that cannot be read here: {reason(error)}") from None
    except UNREADABLE as error:
        raise MalformedDataError(f"this is no private key that can be read: {reason(error)}") from None
    if isinstance(key, rsa.RSAPrivateKey):
        try_out(key, budget)
    return key


def _algorithm(encoded: bytes) -> str | None:
    """The object identifier of a PKCS#8 key; None for the older forms, which have none in that place."""
    with der.decoding("a private key"):
        fields = der.Fields(der.only(encoded))
        fields.take(der.INTEGER)
        algorithm = fields.optional(der.SEQUENCE)
        return None if algorithm is None else der.oid(der.Fields(algorithm).take())


def try_out(key: rsa.RSAPrivateKey, budget: WorkBudget) -> None:
    """Make sure that an RSA key that nobody has checked is one (RFC 8017, section 3.2), and that it works.

    Raises:
        MalformedDataError: its numbers do not belong together, it is larger than any, or it costs too much.
    """
    if key.key_size > RSA_BITS:
        raise MalformedDataError(f"an RSA key of {key.key_size} bits; at most {RSA_BITS} are read")
    numbers = key.private_numbers()
    problem = rsa_problem(numbers)
    if problem is None:
        budget.spend(rsa_cost(numbers.p.bit_length(), numbers.q.bit_length()), f"an RSA key of {key.key_size} bits")
        problem = _signing_problem(key)
    if problem is not None:
        raise MalformedDataError(f"its numbers are not an RSA key: {problem}")


def rsa_problem(numbers: rsa.RSAPrivateNumbers) -> str | None:
    """What does not fit among the numbers of an RSA key, or None."""
    e, n = numbers.public_numbers.e, numbers.public_numbers.n
    p, q, d = numbers.p, numbers.q, numbers.d
    if p * q != n or min(p, q) < 3 or not p & q & 1:
        return "its modulus is not the product of its primes"
    if not 0 < e.bit_length() <= _LARGEST_EXPONENT or not e & 1:
        return f"its public exponent is even, or has more than {_LARGEST_EXPONENT} bits"
    if (
        not 0 < d < n
        or numbers.dmp1 != d % (p - 1)
        or numbers.dmq1 != d % (q - 1)
        or (numbers.iqmp * q) % p != 1
        or not 0 < numbers.iqmp < p
    ):
        return "its CRT values do not fit its primes"
    if (e * numbers.dmp1) % (p - 1) != 1 or (e * numbers.dmq1) % (q - 1) != 1:
        return "its private exponent does not fit its public exponent"
    return None


def _signing_problem(key: rsa.RSAPrivateKey) -> str | None:
    """Whether the public half takes what the private one signed: no composite in place of a prime comes so far."""
    probe = b"mlsssl"
    try:
        signature = key.sign(probe, padding.PKCS1v15(), hashes.SHA256())
        key.public_key().verify(signature, probe, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return "its public half does not take its signature; its primes are none"
    except UNREADABLE as error:
        return reason(error)
    return None
