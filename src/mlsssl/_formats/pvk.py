"""PVK files, MakeCert's private keys: a 24-byte header, a salt, and a CryptoAPI PRIVATEKEYBLOB, all little-endian.

Microsoft documents the blob (PRIVATEKEYBLOB, RSAPUBKEY), not the file around it; that is after OpenSSL's
`crypto/pem/pvkfmt.c` as a description, checked against files made by OpenSSL. There is no MAC: whether the password
was right shows in the key itself, so every number of it is checked.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from cryptography.hazmat.primitives.asymmetric import rsa

from mlsssl._formats.budget import RSA_BITS, WorkBudget
from mlsssl._formats.foreign import UNREADABLE, call
from mlsssl._formats.key_files import rsa_problem, try_out
from mlsssl._formats.old_ciphers import rc4
from mlsssl._formats.pkcs12 import encryption
from mlsssl.errors import InvalidInputError, MalformedDataError, WrongPasswordError

if TYPE_CHECKING:
    from collections.abc import Callable

KeySpec = Literal["exchange", "signature"]
"""CryptoAPI's two uses of a key: AT_KEYEXCHANGE (1) and AT_SIGNATURE (2); MakeCert's `-sky`."""
Protection = Literal["none", "strong", "weak"]
"""How a PVK is encrypted: not at all, RC4 with 128 bits, or RC4 with 40 bits (the export form)."""

_MAGIC = 0xB0B5F11E
_HEADER = struct.Struct("<6I")
_BLOB_HEADER = struct.Struct("<BBHI")  # BLOBHEADER: type 7, version 2, reserved, algorithm
_PUBLIC_KEY = struct.Struct("<III")  # RSAPUBKEY: magic, bits, public exponent
_RSA2 = 0x32415352
_DSS2 = 0x32535344
_PRIVATE_KEY_BLOB = 7
_ALGORITHMS: dict[int, KeySpec] = {0x0000A400: "exchange", 0x00002400: "signature"}  # CALG_RSA_KEYX, CALG_RSA_SIGN
_KEY_SPECS: dict[int, KeySpec] = {1: "exchange", 2: "signature"}
_SALT_LENGTH = 16
_SALT_LIMIT = 1024
_BITS = range(512, RSA_BITS + 1)
_BLOB_LIMIT = 20 + RSA_BITS // 8 * 9 // 2 + 64


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedPvk:
    """What a PVK holds.

    Attributes:
        private_key: The RSA key, with its arithmetic checked.
        key_spec: What CryptoAPI may use it for.
        protection: How it was encrypted.
    """

    private_key: rsa.RSAPrivateKey = field(repr=False)
    key_spec: KeySpec
    protection: Protection


def is_pvk(data: bytes) -> bool:
    """Whether `data` starts as a PVK does."""
    return data[:4] == _MAGIC.to_bytes(4, "little")


def load_pvk(data: bytes, password: str | None, budget: WorkBudget | None = None) -> LoadedPvk:
    """Read a PVK.

    Args:
        data: The whole file.
        password: None when there is none. It is tried in UTF-8 and, outside ASCII, in Windows-1252: MakeCert took
            the bytes of the machine's own code page.
        budget: Pays for the work; one of its own when not given.

    Raises:
        WrongPasswordError: it is encrypted, and this password does not open it.
        MalformedDataError: it is not a PVK; a length in it is wrong; its numbers are not an RSA key; or it holds a
            DSA key.
    """
    budget = budget or WorkBudget()
    encrypted, salt, blob, file_spec = _split(data)
    if not encrypted:
        key, blob_spec = _read_blob(blob, budget)
        _check_spec(file_spec, blob_spec)
        return LoadedPvk(private_key=key, key_spec=blob_spec, protection="none")
    if password is None:
        raise WrongPasswordError("the PVK is protected by a password, and none was given")
    clear, hidden = blob[: _BLOB_HEADER.size], blob[_BLOB_HEADER.size :]
    for encoded in _passwords(password):
        derived = hashlib.sha1(salt + encoded).digest()[:16]  # noqa: S324 -- the format's own
        protections: tuple[Protection, ...] = ("strong", "weak")
        for protection in protections:
            plain = rc4(derived if protection == "strong" else _weakened(derived), hidden)
            if _is_key(plain):
                key, blob_spec = _read_blob(clear + plain, budget)
                _check_spec(file_spec, blob_spec)
                return LoadedPvk(private_key=key, key_spec=blob_spec, protection=protection)
    _check_header(clear)
    raise WrongPasswordError("this password does not open the PVK")


def serialize_pvk(
    private_key: rsa.RSAPrivateKey,
    password: str | None,
    *,
    key_spec: KeySpec = "exchange",
    protection: Literal["strong", "weak"] = "strong",
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> bytes:
    """Write a PVK, for tools that take nothing newer. RC4 under one round of SHA-1 protects little: prefer a PFX.

    Args:
        private_key: RSA, a whole number of bytes long; its public exponent has at most 32 bits.
        password: One or more characters, or None to write the key unencrypted.
        key_spec: `exchange` for TLS servers; `signature` is MakeCert's default.
        protection: `weak` is the export form of the 1990s, 40 bits; broken in minutes.
        random: Gives the salt.

    Raises:
        InvalidInputError: another kind of key, a size or exponent that the format cannot hold, an empty password.
    """
    if not isinstance(private_key, rsa.RSAPrivateKey):
        raise InvalidInputError("a PVK holds RSA keys only; write this key as a PFX")
    encryption.check_password(password)
    if password == "":
        raise InvalidInputError("a password has at least one character; give None for no encryption")
    if key_spec not in ("exchange", "signature") or protection not in ("strong", "weak"):
        raise InvalidInputError("key_spec is 'exchange' or 'signature', protection is 'strong' or 'weak'")
    blob = _write_blob(private_key, key_spec)
    salt = b""
    if password is not None:
        salt = random(_SALT_LENGTH)
        derived = hashlib.sha1(salt + password.encode()).digest()[:16]  # noqa: S324 -- the format's own
        key = derived if protection == "strong" else _weakened(derived)
        blob = blob[: _BLOB_HEADER.size] + rc4(key, blob[_BLOB_HEADER.size :])
    spec_number = next(number for number, spec in _KEY_SPECS.items() if spec == key_spec)
    header = _HEADER.pack(_MAGIC, 0, spec_number, int(password is not None), len(salt), len(blob))
    return header + salt + blob


def _is_key(plain: bytes) -> bool:
    """Whether this is a decrypted key, though perhaps a damaged one: then the password was right all the same."""
    if len(plain) < _PUBLIC_KEY.size:
        return False
    magic, bits, _ = _PUBLIC_KEY.unpack_from(plain)
    full = (len(plain) - _PUBLIC_KEY.size) * 2 // 9
    n, p, q = (
        int.from_bytes(plain[_PUBLIC_KEY.size + start : _PUBLIC_KEY.size + end], "little")
        for start, end in ((0, full), (full, full + full // 2), (full + full // 2, 2 * full))
    )
    return magic in (_RSA2, _DSS2) or bits == 8 * full or p * q == n != 0


def _weakened(derived: bytes) -> bytes:
    """40 of 128 bits stay; RC4 still gets 16 bytes."""
    return derived[:5] + bytes(11)


def _passwords(password: str) -> list[bytes]:
    found = [password.encode("utf-8", "surrogatepass")]
    if not password.isascii():
        with contextlib.suppress(UnicodeEncodeError):
            found.append(password.encode("cp1252"))
    return found


def _split(data: bytes) -> tuple[bool, bytes, bytes, KeySpec]:
    """Header, salt and blob, with every length checked before anything is sliced by it."""
    if len(data) < _HEADER.size:
        raise MalformedDataError(f"this is not a PVK: it has {len(data)} bytes, and the header alone has 24")
    magic, reserved, spec_number, encrypted, salt_length, blob_length = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise MalformedDataError(f"this is not a PVK: it starts with {magic:#010x} instead of {_MAGIC:#010x}")
    if reserved != 0 or encrypted > 1:
        raise MalformedDataError("this PVK is damaged: its header has a reserved field or flag that it cannot have")
    if spec_number not in _KEY_SPECS:
        raise MalformedDataError(f"this PVK is damaged: its key type is {spec_number}, not 1 or 2")
    if salt_length > _SALT_LIMIT or blob_length > _BLOB_LIMIT:
        raise MalformedDataError(
            f"this PVK claims a salt of {salt_length} and a key of {blob_length} bytes; "
            f"at most {_SALT_LIMIT} and {_BLOB_LIMIT} are read"
        )
    if bool(encrypted) != bool(salt_length):
        raise MalformedDataError("this PVK is damaged: encrypted without a salt, or a salt without encryption")
    wanted = _HEADER.size + salt_length + blob_length
    if len(data) != wanted:
        raise MalformedDataError(f"this PVK is damaged: {len(data)} bytes instead of the {wanted} its header promises")
    salt_end = _HEADER.size + salt_length
    return bool(encrypted), data[_HEADER.size : salt_end], data[salt_end:], _KEY_SPECS[spec_number]


def _check_spec(file_spec: KeySpec, blob_spec: KeySpec) -> None:
    if file_spec != blob_spec:
        raise MalformedDataError(f"this PVK is damaged: a key for {file_spec} in its header, for {blob_spec} inside")


def _check_header(data: bytes) -> KeySpec:
    if len(data) < _BLOB_HEADER.size:
        raise MalformedDataError("this PVK is damaged: its key is cut off")
    kind, version, reserved, algorithm = _BLOB_HEADER.unpack_from(data)
    if kind != _PRIVATE_KEY_BLOB or version != 2 or reserved != 0:
        raise MalformedDataError(f"this PVK is damaged: a blob of type {kind}, version {version} instead of 7, 2")
    if algorithm not in _ALGORITHMS:
        raise MalformedDataError(f"this PVK holds a key for the algorithm {algorithm:#010x}; RSA keys are read only")
    return _ALGORITHMS[algorithm]


def _read_blob(blob: bytes, budget: WorkBudget) -> tuple[rsa.RSAPrivateKey, KeySpec]:
    """Decode a PRIVATEKEYBLOB and check the key in it."""
    start = _BLOB_HEADER.size + _PUBLIC_KEY.size
    if len(blob) < start:
        raise MalformedDataError("this PVK is damaged: its key is cut off")
    magic, bits, exponent = _PUBLIC_KEY.unpack_from(blob, _BLOB_HEADER.size)
    if magic == _DSS2:
        raise MalformedDataError("this PVK holds a DSA key, which no TLS server of today uses")
    spec = _check_header(blob)
    if magic != _RSA2:
        raise MalformedDataError("this PVK is damaged: no private RSA key (RSA2) where one belongs")
    if bits not in _BITS:
        raise MalformedDataError(f"this PVK claims a key of {bits} bits; {_BITS[0]} to {_BITS[-1]} are read")
    full, half = (bits + 7) // 8, (bits + 15) // 16
    lengths = (full, half, half, half, half, half, full)
    if len(blob) != start + sum(lengths):
        raise MalformedDataError(
            f"this PVK is damaged: {len(blob)} bytes of key instead of the {start + sum(lengths)} that {bits} bits take"
        )
    numbers = []
    for length in lengths:
        numbers.append(int.from_bytes(blob[start : start + length], "little"))
        start += length
    modulus, p, q, dmp1, dmq1, iqmp, d = numbers
    if modulus.bit_length() != bits:
        raise MalformedDataError(f"this PVK is damaged: its modulus has {modulus.bit_length()} bits instead of {bits}")
    public = rsa.RSAPublicNumbers(exponent, modulus)
    return _checked_key(rsa.RSAPrivateNumbers(p, q, d, dmp1, dmq1, iqmp, public), budget), spec


def _checked_key(numbers: rsa.RSAPrivateNumbers, budget: WorkBudget) -> rsa.RSAPrivateKey:
    """The key, if its numbers belong together and it works."""
    try:
        # Before cryptography's own look at the numbers, whose words are fewer.
        problem = rsa_problem(numbers)
        if problem is None:
            key = call(numbers.private_key, unsafe_skip_rsa_key_validation=True)
            try_out(key, budget)
            return key
    except UNREADABLE as error:
        if budget.exhausted:
            raise
        problem = str(error).split("\n")[0][:200]
    raise MalformedDataError(f"this PVK is damaged: its numbers are not an RSA key: {problem}")


def _write_blob(private_key: rsa.RSAPrivateKey, key_spec: KeySpec) -> bytes:
    numbers = private_key.private_numbers()
    bits, exponent = private_key.key_size, numbers.public_numbers.e
    full, half = (bits + 7) // 8, (bits + 15) // 16
    if exponent >> 32 or bits not in _BITS or max(numbers.p, numbers.q).bit_length() > 8 * half:
        raise InvalidInputError(
            f"a PVK holds RSA keys of {_BITS[0]} to {_BITS[-1]} bits with primes of equal length and a public "
            f"exponent of 32 bits; write this key as a PFX"
        )
    algorithm = next(number for number, spec in _ALGORITHMS.items() if spec == key_spec)
    fields = [
        (numbers.public_numbers.n, full),
        (numbers.p, half),
        (numbers.q, half),
        (numbers.dmp1, half),
        (numbers.dmq1, half),
        (numbers.iqmp, half),
        (numbers.d, full),
    ]
    return (
        _BLOB_HEADER.pack(_PRIVATE_KEY_BLOB, 2, 0, algorithm)
        + _PUBLIC_KEY.pack(_RSA2, bits, exponent)
        + b"".join(number.to_bytes(length, "little") for number, length in fields)
    )
