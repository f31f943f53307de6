"""RSA keys as PRIVATEKEYBLOB and PUBLICKEYBLOB, for PVK files and the older providers of Windows; all little-endian.

BLOBHEADER, RSAPUBKEY and numbers: learn.microsoft.com, "RSA/Schannel key BLOBs", and wincrypt.h.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Literal

from mlsssl.errors import MalformedDataError, UnsupportedError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import rsa

KeySpec = Literal["exchange", "signature"]
"""CryptoAPI's two uses of a key: AT_KEYEXCHANGE (1) and AT_SIGNATURE (2); MakeCert's `-sky`."""
Order = Literal["little", "big"]

PUBLICKEYBLOB, PRIVATEKEYBLOB, CUR_BLOB_VERSION = 6, 7, 2
ALGORITHMS: dict[int, KeySpec] = {0xA400: "exchange", 0x2400: "signature"}  # CALG_RSA_KEYX, CALG_RSA_SIGN
HEADER = struct.Struct("<BBHI")  # BLOBHEADER: type, version, reserved, algorithm
RSAPUBKEY = struct.Struct("<4sII")  # magic, bits, public exponent
MAGICS = {PUBLICKEYBLOB: b"RSA1", PRIVATEKEYBLOB: b"RSA2"}
DSS2 = b"DSS2"


def check_header(blob: bytes | bytearray, kind: int) -> KeySpec:
    """What the key is for. `MalformedDataError` when the BLOBHEADER is not one of this kind with an RSA key."""
    if len(blob) < HEADER.size:
        raise MalformedDataError("a key blob is cut off")
    found, version, reserved, algorithm = HEADER.unpack_from(blob)
    if (found, version, reserved) != (kind, CUR_BLOB_VERSION, 0):
        raise MalformedDataError(f"a key blob of type {found}, version {version} instead of {kind}, {CUR_BLOB_VERSION}")
    if algorithm not in ALGORITHMS:
        raise MalformedDataError(f"a key blob for the algorithm {algorithm:#010x}; RSA keys are read only")
    return ALGORITHMS[algorithm]


def read_blob(blob: bytes | bytearray, kind: int) -> tuple[KeySpec, int, int, list[int]]:
    """Use, bits, public exponent, and n, of a private key also p, q, dP, dQ, qInv and d. Nothing about them is checked.

    `MalformedDataError` when it is no blob of this kind, or not as long as its numbers.
    """
    start = HEADER.size + RSAPUBKEY.size
    if len(blob) < start:
        raise MalformedDataError("a key blob is cut off")
    magic, bits, exponent = RSAPUBKEY.unpack_from(blob, HEADER.size)
    if magic == DSS2:
        raise MalformedDataError("a key blob with a DSA key, which no TLS server of today uses")
    key_spec = check_header(blob, kind)
    if magic != MAGICS[kind]:
        raise MalformedDataError(f"a key blob without an RSA key ({MAGICS[kind].decode()}) where one belongs")
    whole, half = _lengths(bits)
    lengths = [whole] if kind == PUBLICKEYBLOB else [whole, *[half] * 5, whole]
    return key_spec, bits, exponent, cut(blob, lengths, start=start, order="little", what=f"{bits} bits")


def cut(
    blob: bytes | bytearray, lengths: list[int], *, start: int, order: Order = "big", what: str = "its numbers"
) -> list[int]:
    """The numbers that follow a header; `MalformedDataError` unless the blob ends with the last of them."""
    whole = start + sum(lengths)
    if len(blob) != whole:
        raise MalformedDataError(f"a key blob of {len(blob)} bytes instead of the {whole} that {what} take")
    numbers = []
    for length in lengths:
        numbers.append(int.from_bytes(blob[start : start + length], order))
        start += length
    return numbers


def write_private_blob(key: rsa.RSAPrivateKey, key_spec: KeySpec) -> bytearray:
    """The PRIVATEKEYBLOB of a key. `UnsupportedError` when the layout has no room for one of its numbers."""
    numbers = key.private_numbers()
    n, e = numbers.public_numbers.n, numbers.public_numbers.e
    whole, half = _lengths(key.key_size)
    if e.bit_length() > 32 or max(numbers.p, numbers.q).bit_length() > 8 * half:
        raise UnsupportedError(
            "a PRIVATEKEYBLOB holds RSA keys with a public exponent of at most 32 bits and two primes of equal length"
        )
    algorithm = next(number for number, spec in ALGORITHMS.items() if spec == key_spec)
    blob = bytearray(HEADER.pack(PRIVATEKEYBLOB, CUR_BLOB_VERSION, 0, algorithm))
    blob += RSAPUBKEY.pack(MAGICS[PRIVATEKEYBLOB], key.key_size, e)
    fields = [(n, whole), (numbers.p, half), (numbers.q, half), (numbers.dmp1, half), (numbers.dmq1, half)]
    fields += [(numbers.iqmp, half), (numbers.d, whole)]
    for value, length in fields:
        blob += value.to_bytes(length, "little")
    return blob


def _lengths(bits: int) -> tuple[int, int]:
    """Bytes of the numbers with the bits of the modulus, and of those with half of them."""
    return -(-bits // 8), -(-bits // 16)
