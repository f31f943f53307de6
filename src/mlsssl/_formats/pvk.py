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
from mlsssl._formats.rsa_blobs import (
    DSS2,
    HEADER,
    MAGICS,
    PRIVATEKEYBLOB,
    RSAPUBKEY,
    KeySpec,
    check_header,
    read_blob,
    write_private_blob,
)
from mlsssl._formats.sniff import PADDING, Kind, take
from mlsssl.errors import InvalidInputError, MalformedDataError, UnsupportedError, WrongPasswordError

if TYPE_CHECKING:
    from collections.abc import Callable

Protection = Literal["none", "strong", "weak"]
"""How a PVK is encrypted: not at all, RC4 with 128 bits, or RC4 with 40 bits (the export form)."""

_MAGIC = 0xB0B5F11E
_HEADER = struct.Struct("<6I")
_KEY_SPECS: dict[int, KeySpec] = {1: "exchange", 2: "signature"}
_SALT_LENGTH = 16
_SALT_LIMIT = 1024
_BITS = range(512, RSA_BITS + 1)
_BLOB_LIMIT = 20 + RSA_BITS // 8 * 9 // 2 + 64


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedPvk:
    """What a PVK holds: the RSA key, checked, what CryptoAPI may use it for, and how it was encrypted."""

    private_key: rsa.RSAPrivateKey = field(repr=False)
    key_spec: KeySpec
    protection: Protection


def load_pvk(data: bytes, password: str | None, budget: WorkBudget | None = None) -> LoadedPvk:
    """Read a PVK.

    The password is tried in UTF-8 and, outside ASCII, in Windows-1252: MakeCert took the bytes of the machine's code
    page.

    Raises:
        WrongPasswordError: it is encrypted, and this password does not open it.
        MalformedDataError: no PVK, damaged, with a DSA key, or too much work.
    """
    budget = budget or WorkBudget()
    data = take(data, Kind.PVK)[0].data
    encrypted, salt, blob, file_spec = _split(data)
    if not encrypted:
        return LoadedPvk(private_key=_read_blob(blob, file_spec, budget), key_spec=file_spec, protection="none")
    if password is None:
        raise WrongPasswordError("the PVK is protected by a password, and none was given")
    clear, hidden = blob[: HEADER.size], blob[HEADER.size :]
    for encoded in _passwords(password):
        derived = hashlib.sha1(salt + encoded).digest()[:16]  # noqa: S324 -- the format's own
        protections: tuple[Protection, ...] = ("strong", "weak")
        for protection in protections:
            plain = rc4(derived if protection == "strong" else _weakened(derived), hidden)
            if _is_key(plain):
                key = _read_blob(clear + plain, file_spec, budget)
                return LoadedPvk(private_key=key, key_spec=file_spec, protection=protection)
    try:
        check_header(clear, PRIVATEKEYBLOB)
    except MalformedDataError as error:
        raise _damaged(error) from None
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

    `exchange` is for TLS servers, `signature` MakeCert's default; `weak` is the export form of the 1990s, 40 bits.

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
    if private_key.key_size not in _BITS:
        raise InvalidInputError(f"a PVK holds RSA keys of {_BITS[0]} to {_BITS[-1]} bits; write this key as a PFX")
    try:
        blob = bytes(write_private_blob(private_key, key_spec))
    except UnsupportedError as error:
        raise InvalidInputError(f"this key does not fit into a PVK, write it as a PFX: {error}") from None
    salt = b""
    if password is not None:
        salt = random(_SALT_LENGTH)
        derived = hashlib.sha1(salt + password.encode()).digest()[:16]  # noqa: S324 -- the format's own
        key = derived if protection == "strong" else _weakened(derived)
        blob = blob[: HEADER.size] + rc4(key, blob[HEADER.size :])
    spec_number = next(number for number, spec in _KEY_SPECS.items() if spec == key_spec)
    header = _HEADER.pack(_MAGIC, 0, spec_number, int(password is not None), len(salt), len(blob))
    return header + salt + blob


def _is_key(plain: bytes) -> bool:
    """Whether this is a decrypted key, though perhaps a damaged one: then the password was right all the same."""
    if len(plain) < RSAPUBKEY.size:
        return False
    magic, bits, _ = RSAPUBKEY.unpack_from(plain)
    full = (len(plain) - RSAPUBKEY.size) * 2 // 9
    n, p, q = (
        int.from_bytes(plain[RSAPUBKEY.size + start : RSAPUBKEY.size + end], "little")
        for start, end in ((0, full), (full, full + full // 2), (full + full // 2, 2 * full))
    )
    return magic in (MAGICS[PRIVATEKEYBLOB], DSS2) or bits == 8 * full or p * q == n != 0


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
    _magic, reserved, spec_number, encrypted, salt_length, blob_length = _HEADER.unpack_from(data)
    if reserved != 0 or encrypted > 1:
        raise _damaged("its header has a reserved field or flag that it cannot have")
    if spec_number not in _KEY_SPECS:
        raise _damaged(f"its key type is {spec_number}, not 1 or 2")
    if salt_length > _SALT_LIMIT or blob_length > _BLOB_LIMIT:
        raise MalformedDataError(
            f"this PVK claims a salt of {salt_length} and a key of {blob_length} bytes; "
            f"at most {_SALT_LIMIT} and {_BLOB_LIMIT} are read"
        )
    if bool(encrypted) != bool(salt_length):
        raise _damaged("encrypted without a salt, or a salt without encryption")
    wanted = _HEADER.size + salt_length + blob_length
    if len(data) < wanted or data[wanted:].strip(PADDING):
        raise _damaged(f"{len(data)} bytes instead of the {wanted} its header promises")
    salt_end = _HEADER.size + salt_length
    return bool(encrypted), data[_HEADER.size : salt_end], data[salt_end:wanted], _KEY_SPECS[spec_number]


def _read_blob(blob: bytes, file_spec: KeySpec, budget: WorkBudget) -> rsa.RSAPrivateKey:
    """The key in a PRIVATEKEYBLOB, every number of it checked."""
    try:
        key_spec, bits, exponent, numbers = read_blob(blob, PRIVATEKEYBLOB)
    except MalformedDataError as error:
        raise _damaged(error) from None
    if bits not in _BITS:
        raise MalformedDataError(f"this PVK claims a key of {bits} bits; {_BITS[0]} to {_BITS[-1]} are read")
    modulus, p, q, dmp1, dmq1, iqmp, d = numbers
    if modulus.bit_length() != bits:
        raise _damaged(f"its modulus has {modulus.bit_length()} bits instead of {bits}")
    if file_spec != key_spec:
        raise _damaged(f"a key for {file_spec} in its header, for {key_spec} inside")
    public = rsa.RSAPublicNumbers(exponent, modulus)
    return _checked_key(rsa.RSAPrivateNumbers(p, q, d, dmp1, dmq1, iqmp, public), budget)


def _damaged(reason: object) -> MalformedDataError:
    return MalformedDataError(f"this PVK is damaged: {reason}")


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
    raise _damaged(f"its numbers are not an RSA key: {problem}")
