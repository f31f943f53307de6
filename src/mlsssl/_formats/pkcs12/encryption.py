"""Encryption and MACs from a password: PKCS#12's own (RFC 7292, appendices B and C) and PKCS#5's (RFC 8018)."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from mlsssl._formats import der
from mlsssl._formats.budget import ATTEMPT, CIPHER, PBKDF2, PKCS12, SCRYPT, SCRYPT_MEMORY
from mlsssl._formats.old_ciphers import rc2_cbc_decrypt, rc4
from mlsssl._messages import arguments
from mlsssl.errors import InvalidInputError, MalformedDataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from mlsssl._formats.budget import WorkBudget
    from mlsssl._formats.der import Element


class _Hash(NamedTuple):
    """A hash function: hashlib's name for it, cryptography's, and its object identifiers: alone, and in an HMAC."""

    name: str
    primitive: hashes.HashAlgorithm
    digest_oid: str
    hmac_oid: str

    @property
    def make(self) -> Callable[[bytes], Any]:
        """Its constructor; that of OpenSSL's own ones is twice as slow."""
        return getattr(hashlib, self.name, None) or partial(hashlib.new, self.name)


_NIST = "2.16.840.1.101.3.4.2"
_RSA = "1.2.840.113549.2"
_HASHES = {
    "SHA-1": _Hash("sha1", hashes.SHA1(), "1.3.14.3.2.26", f"{_RSA}.7"),  # noqa: S303 -- others wrote it
    "SHA-224": _Hash("sha224", hashes.SHA224(), f"{_NIST}.4", f"{_RSA}.8"),
    "SHA-256": _Hash("sha256", hashes.SHA256(), f"{_NIST}.1", f"{_RSA}.9"),
    "SHA-384": _Hash("sha384", hashes.SHA384(), f"{_NIST}.2", f"{_RSA}.10"),
    "SHA-512": _Hash("sha512", hashes.SHA512(), f"{_NIST}.3", f"{_RSA}.11"),
    "SHA-512/224": _Hash("sha512_224", hashes.SHA512_224(), f"{_NIST}.5", f"{_RSA}.12"),
    "SHA-512/256": _Hash("sha512_256", hashes.SHA512_256(), f"{_NIST}.6", f"{_RSA}.13"),
    "SHA3-224": _Hash("sha3_224", hashes.SHA3_224(), f"{_NIST}.7", f"{_NIST}.13"),
    "SHA3-256": _Hash("sha3_256", hashes.SHA3_256(), f"{_NIST}.8", f"{_NIST}.14"),
    "SHA3-384": _Hash("sha3_384", hashes.SHA3_384(), f"{_NIST}.9", f"{_NIST}.15"),
    "SHA3-512": _Hash("sha3_512", hashes.SHA3_512(), f"{_NIST}.10", f"{_NIST}.16"),
}
_DIGEST_OIDS = {known.digest_oid: name for name, known in _HASHES.items()}
_HMAC_OIDS = {known.hmac_oid: name for name, known in _HASHES.items()}
_PBES2 = "1.2.840.113549.1.5.13"
_PBMAC1 = "1.2.840.113549.1.5.14"
_MD5_AND_DES = "1.2.840.113549.1.5.3"
_PBKDF2 = "1.2.840.113549.1.5.12"
_SCRYPT = "1.3.6.1.4.1.11591.4.11"

_SHORTEST_MAC_KEY, _LONGEST_MAC_KEY = 20, 64 * 1024
_KEY_BYTES = {
    "AES-128-CBC": 16,
    "AES-192-CBC": 24,
    "AES-256-CBC": 32,
    "3DES-CBC": 24,
    "2-key 3DES-CBC": 16,
    "RC2-128-CBC": 16,
    "RC2-40-CBC": 5,
    "RC4-128": 16,
    "RC4-40": 5,
    "DES-CBC": 8,
}
# RFC 7292, appendix C: the older kind, each with SHA-1; and what "openssl pkcs8 -topk8" wrote before 1.1.0.
_PBES1_SCHEMES = {
    "1.2.840.113549.1.12.1.1": "RC4-128",
    "1.2.840.113549.1.12.1.2": "RC4-40",
    "1.2.840.113549.1.12.1.3": "3DES-CBC",
    "1.2.840.113549.1.12.1.4": "2-key 3DES-CBC",
    "1.2.840.113549.1.12.1.5": "RC2-128-CBC",
    "1.2.840.113549.1.12.1.6": "RC2-40-CBC",
    _MD5_AND_DES: "DES-CBC",
}
_PBES2_SCHEMES = {
    "2.16.840.1.101.3.4.1.2": "AES-128-CBC",
    "2.16.840.1.101.3.4.1.22": "AES-192-CBC",
    "2.16.840.1.101.3.4.1.42": "AES-256-CBC",
    "1.2.840.113549.3.7": "3DES-CBC",
}
# Known by name, to be able to say what is not read. Their keys are made from MD2, MD5 or weak DES.
_REFUSED_SCHEMES = {
    "1.2.840.113549.1.5.1": "PBES1 with MD2 and DES",
    "1.2.840.113549.1.5.4": "PBES1 with MD2 and RC2",
    "1.2.840.113549.1.5.6": "PBES1 with MD5 and RC2",
    "1.2.840.113549.1.5.10": "PBES1 with SHA-1 and DES",
    "1.2.840.113549.1.5.11": "PBES1 with SHA-1 and RC2",
}


_REFUSED_CIPHERS = {
    "1.2.392.200011.61.1.1.1.2": "Camellia-128-CBC",
    "1.2.392.200011.61.1.1.1.3": "Camellia-192-CBC",
    "1.2.392.200011.61.1.1.1.4": "Camellia-256-CBC",
    "1.2.840.113549.3.2": "RC2-CBC",
    "1.3.14.3.2.7": "DES-CBC",
    "2.16.840.1.101.3.4.1.6": "AES-128-GCM",
    "2.16.840.1.101.3.4.1.46": "AES-256-GCM",
}


def pkcs12_passwords(password: str | None) -> list[bytes]:
    """How `password` may have been fed to PKCS#12's own key derivation, likeliest first.

    RFC 7292, appendix B.1 wants UTF-16BE with a terminating NUL. None and "" were never told apart: some programs
    use nothing at all, some the NUL. OpenSSL before 1.1.0 put a zero in front of each byte it was given.
    """
    if not password:
        return [b"", b"\0\0"] if password is None else [b"\0\0", b""]
    spellings = [password.encode("utf-16-be", "surrogatepass") + b"\0\0"]
    if not password.isascii():
        spellings.append(password.encode("utf-8", "surrogatepass").decode("latin-1").encode("utf-16-be") + b"\0\0")
    return spellings


def pkcs5_passwords(password: str | None) -> list[bytes]:
    """The same for PBKDF2 and scrypt: UTF-8 by RFC 8018, section 3; NSS used to take PKCS#12's form here too."""
    return list(dict.fromkeys([(password or "").encode("utf-8", "surrogatepass"), *pkcs12_passwords(password)]))


def check_password(password: str | None) -> None:
    """`InvalidInputError` for what no encoding can carry: a NUL, half a surrogate pair."""
    text = arguments.check_password(password) or ""
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise InvalidInputError("a password cannot contain NUL or half a surrogate pair")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyDerivation:
    """How a key is made from the password: RFC 7292, appendix B (`PKCS12`), RFC 8018, RFC 7914, OpenSSL's old way.

    scrypt's N is in `iterations`, its r and p in `block_size` and `parallelization`; its `hash_name` is SHA-256.
    `key_length` is how many bytes it says that it is for, if it does.
    """

    kind: Literal["PKCS12", "PBKDF1", "PBKDF2", "scrypt", "EVP_BytesToKey"]
    hash_name: str
    salt: bytes = field(repr=False)
    iterations: int
    block_size: int = 1
    parallelization: int = 1
    key_length: int | None = None

    def cost(self, length: int) -> int:
        """Nanoseconds that deriving `length` bytes takes, as `WorkBudget` counts."""
        if self.kind == "scrypt":
            return (self.iterations + 4) * self.block_size * self.parallelization * SCRYPT
        if self.kind in ("PBKDF1", "EVP_BytesToKey"):
            return self.iterations * PKCS12[self.hash_name]
        of_one = (PKCS12 if self.kind == "PKCS12" else PBKDF2)[self.hash_name]
        return self.iterations * -(-length // _HASHES[self.hash_name].primitive.digest_size) * of_one

    def passwords(self, password: str | None) -> list[bytes]:
        """The encodings of `password` to try."""
        return pkcs12_passwords(password) if self.kind == "PKCS12" else pkcs5_passwords(password)

    def derive(self, password: bytes, length: int, purpose: int) -> bytes:
        """`length` bytes; `purpose` is PKCS#12's id byte: 1 key, 2 IV, 3 MAC key."""
        if self.kind == "PKCS12":
            return pkcs12_kdf(self.hash_name, password, self.salt, self.iterations, purpose=purpose, length=length)
        if self.kind == "PBKDF1":
            derived = password + self.salt  # RFC 8018, section 5.1; here with MD5 only
            for _ in repeat(None, self.iterations):
                derived = hashlib.md5(derived).digest()  # noqa: S324 -- to read what others wrote
            return derived[:8] if purpose == 1 else derived[8:16]
        if self.kind == "EVP_BytesToKey":  # its manual page: here with one round of MD5
            derived = block = b""
            while len(derived) < length:
                block = hashlib.md5(block + password + self.salt).digest()  # noqa: S324 -- likewise
                derived += block
            return derived[:length]
        if self.kind == "PBKDF2":
            # cryptography's OpenSSL is newer than Python's on most machines, and a third faster here.
            return PBKDF2HMAC(_HASHES[self.hash_name].primitive, length, self.salt, self.iterations).derive(password)
        return hashlib.scrypt(
            password,
            salt=self.salt,
            n=self.iterations,
            r=self.block_size,
            p=self.parallelization,
            maxmem=SCRYPT_MEMORY + 1024 * 1024,
            dklen=length,
        )

    def __str__(self) -> str:
        if self.kind == "scrypt":
            return f"scrypt with N={self.iterations}, r={self.block_size}, p={self.parallelization}"
        return f"{self.kind} with {self.hash_name}, {self.iterations} iterations"


@dataclass(frozen=True, slots=True, kw_only=True)
class Encryption:
    """One encryption by password, as its AlgorithmIdentifier describes it.

    `PBES1` is also what has PKCS#12's key derivation; without `iv`, that comes from the password (PBES1). Without
    `cipher` and `kdf` it is not read, and `refusal` says why.
    """

    scheme: Literal["PBES1", "PBES2"]
    cipher: str | None
    kdf: KeyDerivation | None
    iv: bytes | None = field(default=None, repr=False)
    refusal: str | None = None

    @property
    def cost(self) -> int:
        """Nanoseconds that one attempt at the password takes, as `WorkBudget` counts; the data apart."""
        if self.kdf is None or self.cipher is None:
            return 0
        iv_cost = self.kdf.cost(8) if self._iv_from_password else 0
        return self.kdf.cost(_KEY_BYTES[self.cipher]) + iv_cost + ATTEMPT

    def outside(self, of_one: int) -> int:
        """The same where others do PKCS#12's key derivation, at `of_one` nanoseconds a round."""
        return self.cost * of_one // PKCS12["SHA-1"]

    @property
    def _iv_from_password(self) -> bool:
        return self.iv is None and self.cipher not in ("RC4-128", "RC4-40")

    def attempts(self, data: bytes, password: str | None, budget: WorkBudget) -> Iterator[bytes]:
        """Every plaintext that some encoding of `password` gives with a valid padding, likeliest first.

        A padding is valid by chance once in 256 times: the caller's parser has the last word. None at all means
        that the password is wrong or the data damaged.

        Raises:
            MalformedDataError: a cipher that is not read, data that no cipher can have made, or more work than the
                budget allows.
        """
        if self.kdf is None or self.cipher is None:
            raise MalformedDataError(
                f"it is encrypted with {self.refusal}, which this library does not read; write the PFX anew: openssl "
                "pkcs12 -in FILE -out all.pem, then openssl pkcs12 -export -in all.pem -out new.pfx"
            )
        of_data = len(data) * CIPHER.get(self.cipher[:3], 0)
        for number, encoded in enumerate(self.kdf.passwords(password)):
            if number and not budget.affords(self.cost + of_data):
                return  # honest files with so many rounds are of today, when there is one spelling
            budget.spend(self.cost + of_data, self)
            key = self.kdf.derive(encoded, _KEY_BYTES[self.cipher], 1)
            iv = self.kdf.derive(encoded, 8, 2) if self._iv_from_password else self.iv or b""
            plain = _decrypt(self.cipher, key, iv, data)
            if plain is not None:
                yield plain

    def encrypt(self, data: bytes, password: str) -> bytes:
        """The way out; only for AES and three-key 3DES."""
        assert self.kdf is not None
        assert self.cipher is not None
        encoded = self.kdf.passwords(password)[0]
        algorithm = _block_cipher(self.cipher, self.kdf.derive(encoded, _KEY_BYTES[self.cipher], 1))
        iv = self.kdf.derive(encoded, 8, 2) if self.iv is None else self.iv
        size = algorithm.block_size // 8
        count = size - len(data) % size
        encryptor = Cipher(algorithm, modes.CBC(iv)).encryptor()
        return encryptor.update(data + bytes([count]) * count) + encryptor.finalize()

    def __str__(self) -> str:
        if self.kdf is None:
            return str(self.refusal)
        return f"{self.scheme}, {self.cipher}, key by {self.kdf}"


def _decrypt(cipher: str, key: bytes, iv: bytes, data: bytes) -> bytes | None:
    """The plaintext without its padding; None when the padding is wrong."""
    if cipher in ("RC4-128", "RC4-40"):
        return rc4(key, data)
    if cipher in ("RC2-128-CBC", "RC2-40-CBC"):
        padded = rc2_cbc_decrypt(key, iv, data, effective_bits=8 * len(key))
        return _unpad(padded, 8)
    algorithm = _block_cipher(cipher, key)
    size = algorithm.block_size // 8
    if not data or len(data) % size or len(iv) != size:
        raise MalformedDataError("encrypted data is not a whole number of cipher blocks")
    decryptor = Cipher(algorithm, modes.CBC(iv)).decryptor()
    return _unpad(decryptor.update(data) + decryptor.finalize(), size)


def _block_cipher(cipher: str, key: bytes) -> algorithms.AES | TripleDES:
    if cipher.startswith("AES"):
        return algorithms.AES(key)
    # With one key three times it is DES. It warns of too few keys only where it is given too few.
    return TripleDES((key + key + key)[:24])


def _unpad(padded: bytes, size: int) -> bytes | None:
    """RFC 8018, section 6.1.1, step 4, backwards. Not in constant time: the reader holds the password already."""
    count = padded[-1] if padded else 0
    if not 1 <= count <= size or padded[-count:] != bytes([count]) * count:
        return None
    return padded[:-count]


def write_encryption(encryption: Encryption) -> bytes:
    """The AlgorithmIdentifier that describes `encryption`, which is AES by PBES2 or 3DES by PBES1."""
    kdf = encryption.kdf
    assert kdf is not None
    salt, iterations = der.write(der.OCTET_STRING, kdf.salt), der.write_number(kdf.iterations)
    if encryption.scheme == "PBES1":
        return _write_algorithm(_name_of(_PBES1_SCHEMES, encryption.cipher), der.write_sequence(salt, iterations))
    prf = _write_algorithm(_name_of(_HMAC_OIDS, kdf.hash_name), _NULL)
    pbkdf2 = _write_algorithm(_PBKDF2, der.write_sequence(salt, iterations, prf))
    iv = der.write(der.OCTET_STRING, encryption.iv or b"")
    cipher = _write_algorithm(_name_of(_PBES2_SCHEMES, encryption.cipher), iv)
    return _write_algorithm(_PBES2, der.write_sequence(pbkdf2, cipher))


_NULL = der.write(der.NULL)


def _write_algorithm(identifier: str, parameters: bytes) -> bytes:
    return der.write_sequence(der.write_oid(identifier), parameters)


def _name_of(identifiers: Mapping[str, str], name: str | None) -> str:
    return next(identifier for identifier, named in identifiers.items() if named == name)


def _read_algorithm(algorithm: Element) -> tuple[str, Element | None]:
    """An AlgorithmIdentifier (RFC 5280, section 4.1.1.2): its OID, and its parameters if there are any."""
    identifier, *parameters = der.fields(algorithm, 1, 1)
    return der.oid(identifier), parameters[0] if parameters else None


def _given(parameters: Element | None) -> Element:
    if parameters is None:
        raise MalformedDataError("an algorithm lacks its parameters")
    return parameters


def read_encryption(algorithm: Element) -> Encryption:
    """What the AlgorithmIdentifier of an encryption says. Call it inside `der.decoding`."""
    identifier, parameters = _read_algorithm(algorithm)
    if identifier in _PBES1_SCHEMES:
        octets, count = der.fields(_given(parameters), 2)
        salt, iterations = der.octets(octets), _positive(count)
        kdf = KeyDerivation(kind="PKCS12", hash_name="SHA-1", salt=salt, iterations=iterations)
        if identifier == _MD5_AND_DES:
            kdf = KeyDerivation(kind="PBKDF1", hash_name="MD5", salt=salt, iterations=iterations)
        return Encryption(scheme="PBES1", cipher=_PBES1_SCHEMES[identifier], kdf=kdf)
    if identifier != _PBES2:
        refusal = _REFUSED_SCHEMES.get(identifier, f"the algorithm {identifier}")
        return Encryption(scheme="PBES1", cipher=None, kdf=None, refusal=refusal)
    derivation, encryption = der.fields(_given(parameters), 2)
    found = read_key_derivation(derivation)
    scheme, iv = _read_algorithm(encryption)
    cipher = _PBES2_SCHEMES.get(scheme)
    if isinstance(found, str) or cipher is None:
        refusal = found if isinstance(found, str) else _REFUSED_CIPHERS.get(scheme, f"the cipher {scheme}")
        return Encryption(scheme="PBES2", cipher=None, kdf=None, refusal=refusal)
    if iv is None:
        raise MalformedDataError(f"the cipher {cipher} lacks its initialization vector")
    return Encryption(scheme="PBES2", cipher=cipher, kdf=found, iv=der.octets(iv))


def read_key_derivation(algorithm: Element) -> KeyDerivation | str:
    """PBKDF2 or scrypt from an AlgorithmIdentifier, or the name of what it is instead."""
    identifier, parameters = _read_algorithm(algorithm)
    if identifier == _PBKDF2:
        fields = der.Fields(_given(parameters))
        salt, iterations = der.octets(fields.take()), _positive(fields.take())
        length = _optional_length(fields)  # which for encryption the cipher says too
        prf = fields.optional(der.SEQUENCE)
        fields.end()
        prf_oid = "1.2.840.113549.2.7" if prf is None else _read_algorithm(prf)[0]
        if prf_oid not in _HMAC_OIDS:
            return f"PBKDF2 with the function {prf_oid}"
        hash_name = _HMAC_OIDS[prf_oid]
        return KeyDerivation(kind="PBKDF2", hash_name=hash_name, salt=salt, iterations=iterations, key_length=length)
    if identifier == _SCRYPT:
        fields = der.Fields(_given(parameters))
        salt = der.octets(fields.take())
        cost, block, parallel = (_positive(fields.take()) for _ in range(3))
        length = _optional_length(fields)
        fields.end()
        if cost & (cost - 1) or cost < 2 or 128 * block * (cost + parallel + 2) > SCRYPT_MEMORY:
            memory = f"at most {SCRYPT_MEMORY >> 20} MiB of memory are spent on it"
            return f"scrypt with N={cost}, r={block}, p={parallel} ({memory})"
        return KeyDerivation(
            kind="scrypt",
            hash_name="SHA-256",
            salt=salt,
            iterations=cost,
            block_size=block,
            parallelization=parallel,
            key_length=length,
        )
    return f"the key derivation {identifier}"


def _optional_length(fields: der.Fields) -> int | None:
    found = fields.optional(der.INTEGER)
    return None if found is None else der.number(found)


def _positive(element: Element) -> int:
    found = der.number(element)
    if found < 1:
        raise MalformedDataError(f"a count of {found} stands where at least 1 belongs")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Mac:
    """A PFX's MAC: RFC 7292 (`HMAC`) or RFC 9879 (`PBMAC1`).

    Without `kdf` this library cannot check it, and `refusal` says why; `digest` is what to compare with.
    """

    scheme: Literal["HMAC", "PBMAC1"]
    hash_name: str
    kdf: KeyDerivation | None
    digest: bytes = field(repr=False)
    refusal: str | None = None

    @property
    def cost(self) -> int:
        """Nanoseconds that one attempt at the password takes, as `WorkBudget` counts."""
        return self.kdf.cost(self.key_length) + ATTEMPT if self.kdf else 0

    @property
    def key_length(self) -> int:
        """Bytes of the key: as many as the hash has, unless it is said, as PBMAC1 does."""
        said = self.kdf.key_length if self.kdf else None
        return _HASHES[self.hash_name].primitive.digest_size if said is None else said

    def fits(self, data: bytes, password: str | None, budget: WorkBudget) -> bool:
        """Whether `password` and `data` make this MAC.

        Raises:
            MalformedDataError: it cannot be checked, or that would take more work than the budget allows.
        """
        if self.kdf is None:
            raise MalformedDataError(f"its MAC uses {self.refusal}, which this library does not check")
        name = _HASHES[self.hash_name].name
        for number, encoded in enumerate(self.kdf.passwords(password)):
            if number and not budget.affords(self.cost):
                break  # as in `Encryption.attempts`
            budget.spend(self.cost, self)
            key = self.kdf.derive(encoded, self.key_length, 3)
            if hmac.compare_digest(hmac.digest(key, data, name), self.digest):
                return True
        return False

    def __str__(self) -> str:
        if self.kdf is None:
            return f"{self.scheme} with {self.refusal}"
        return f"{self.scheme} with {self.hash_name}, key by {self.kdf}"


def read_mac(data: Element) -> Mac:
    """What a MacData (RFC 7292, section 4) says. Call it inside `der.decoding`."""
    info, octets, *count = der.fields(data, 2, 1)
    algorithm, value = der.fields(info, 2)
    salt, digest = der.octets(octets), der.octets(value)
    identifier, parameters = _read_algorithm(algorithm)
    if identifier in _DIGEST_OIDS:
        hash_name = _DIGEST_OIDS[identifier]
        iterations = _positive(count[0]) if count else 1
        kdf = KeyDerivation(kind="PKCS12", hash_name=hash_name, salt=salt, iterations=iterations)
        return Mac(scheme="HMAC", hash_name=hash_name, kdf=kdf, digest=digest)
    if identifier != _PBMAC1:
        return Mac(scheme="HMAC", hash_name="SHA-1", kdf=None, digest=digest, refusal=f"the algorithm {identifier}")
    derivation, function = der.fields(_given(parameters), 2)
    found = read_key_derivation(derivation)
    mac_oid, _ = _read_algorithm(function)
    if isinstance(found, str):
        refusal: str | None = found
    elif mac_oid not in _HMAC_OIDS:
        refusal = f"the function {mac_oid}"
    else:
        refusal = _length_refusal(found.key_length)
    return Mac(
        scheme="PBMAC1",
        hash_name=_HMAC_OIDS.get(mac_oid, "SHA-256"),
        kdf=None if isinstance(found, str) or refusal else found,
        digest=digest,
        refusal=refusal,
    )


def _length_refusal(length: int | None) -> str | None:
    """RFC 9879: keyLength is there, and is the size of the HMAC's key; fewer than 20 bytes are easy to guess."""
    if length is None:
        return "PBMAC1 without keyLength, the size of its key, which RFC 9879 requires"
    if not _SHORTEST_MAC_KEY <= length <= _LONGEST_MAC_KEY:
        return f"PBMAC1 with a key of {length} bytes, where {_SHORTEST_MAC_KEY} to {_LONGEST_MAC_KEY} make sense"
    return None


def write_mac(kdf: KeyDerivation, data: bytes, password: str | None) -> bytes:
    """The MacData over `data`. What other programs write for "no password" is an empty one, NUL included."""
    hash_name = kdf.hash_name
    key = kdf.derive(pkcs12_passwords(password or "")[0], _HASHES[hash_name].primitive.digest_size, 3)
    digest = hmac.digest(key, data, _HASHES[hash_name].name)
    algorithm = _write_algorithm(_name_of(_DIGEST_OIDS, hash_name), _NULL)
    return der.write_sequence(
        der.write_sequence(algorithm, der.write(der.OCTET_STRING, digest)),
        der.write(der.OCTET_STRING, kdf.salt),
        *([] if kdf.iterations == 1 else [der.write_number(kdf.iterations)]),  # DEFAULT 1
    )


def pkcs12_kdf(hash_name: str, password: bytes, salt: bytes, iterations: int, *, purpose: int, length: int) -> bytes:
    """RFC 7292, appendix B.2; `password` is in its encoded form, `purpose` 1 (key), 2 (IV) or 3 (MAC key)."""
    make = _HASHES[hash_name].make
    block = int(make(b"").block_size)
    mask = (1 << (8 * block)) - 1
    diversifier = bytes([purpose]) * block
    source = bytearray(_fill(salt, block) + _fill(password, block))
    out = b""
    while True:
        digest: bytes = make(diversifier + source).digest()
        eights, rest = divmod(iterations - 1, 8)
        for _ in repeat(None, eights):  # a fifth faster than one hash for each turn of the loop
            digest = make(make(make(make(digest).digest()).digest()).digest()).digest()
            digest = make(make(make(make(digest).digest()).digest()).digest()).digest()
        for _ in repeat(None, rest):
            digest = make(digest).digest()
        out += digest
        if len(out) >= length:
            return out[:length]
        addend = int.from_bytes(_fill(digest, block)[:block], "big") + 1
        for start in range(0, len(source), block):
            total = int.from_bytes(source[start : start + block], "big") + addend
            source[start : start + block] = (total & mask).to_bytes(block, "big")


def _fill(data: bytes, block: int) -> bytes:
    """`data` repeated up to the next multiple of `block`; nothing stays nothing."""
    size = block * -(-len(data) // block)
    return (data * (size // len(data) + 1))[:size] if data else b""
