"""RC4 and RC2, for reading old files only: OpenSSL 3 keeps both in a provider that many builds leave out.

`cryptography` asks that provider, and its RC2 takes keys of 128 bits only, not the 40 effective bits of old PFX files.

RC4 after its public description (the test vectors are RFC 6229's), RC2 after RFC 2268. Neither is fit for new data;
nothing here encrypts with RC2.
"""

from __future__ import annotations

import struct

from mlsssl.errors import MalformedDataError

# Pure Python: about 3 MB/s for RC4 and 0.2 MB/s for RC2. A key with its certificates has some thousand bytes.
_LIMIT = 1 << 20


def rc4(key: bytes, data: bytes) -> bytes:
    """Encrypt or decrypt, which is the same.

    Raises:
        MalformedDataError: more than 1 MiB of data.
    """
    _check_size("RC4", data)
    state = list(range(256))
    j = 0
    for i in range(256):
        j = (j + state[i] + key[i % len(key)]) & 0xFF
        state[i], state[j] = state[j], state[i]
    i = j = 0
    stream = bytearray()
    for _ in data:
        i = (i + 1) & 0xFF
        a = state[i]
        j = (j + a) & 0xFF
        b = state[j]
        state[i], state[j] = b, a
        stream.append(state[(a + b) & 0xFF])
    return bytes(x ^ y for x, y in zip(data, stream, strict=True))


def rc2_cbc_decrypt(key: bytes, iv: bytes, data: bytes, *, effective_bits: int) -> bytes:
    """Decrypt whole blocks of 8 bytes; padding stays.

    Raises:
        MalformedDataError: not a whole number of blocks, an IV that is not 8 bytes, or more than 1 MiB of data.
    """
    _check_size("RC2", data)
    if len(data) % 8 or len(iv) != 8 or not 1 <= len(key) <= 128:
        raise MalformedDataError("RC2 data is not a whole number of blocks, or its key or IV has the wrong size")
    schedule = _rc2_schedule(key, effective_bits)
    plain = bytearray()
    previous = iv
    for start in range(0, len(data), 8):
        block = data[start : start + 8]
        plain += bytes(x ^ y for x, y in zip(_rc2_decrypt_block(schedule, block), previous, strict=True))
        previous = block
    return bytes(plain)


def _check_size(name: str, data: bytes) -> None:
    if len(data) > _LIMIT:
        raise MalformedDataError(f"{len(data)} bytes encrypted with {name}; no file with a key in it is so large")


# RFC 2268, section 2: a permutation of 0..255 made from the digits of pi.
_PITABLE = bytes.fromhex(
    "d978f9c419ddb5ed28e9fd794aa0d89dc67e37832b76538e624c6488448bfba2"
    "179a59f587b34f1361456d8d09817d32bd8f40eb86b77b0bf09521225c6b4e82"
    "54d66593ce60b21c7356c014a78cf1dc1275ca1f3bbee4d1423dd430a33cb626"
    "6fbf0eda4669075727f21d9bbc944303f811c7f690ef3ee706c3d52fc8661ed7"
    "08e8eade8052eef784aa72ac354d6a2a961ad2715a1549744b9fd05e0418a4ec"
    "c2e0416e0f51cbcc2491af50a1f47039997c3a8523b8b47afc02365b25559731"
    "2d5dfa98e38a92ae05df2910676cbac9d300e6cfe19ea82c6316013f58e289a9"
    "0d38341bab33ffb0bb480c5fb9b1cd2ec5f3db47e5a59c770aa62068fe7fc1ad"
)


def _rc2_schedule(key: bytes, effective_bits: int) -> tuple[int, ...]:
    """Section 2: 64 words of 16 bits."""
    table = bytearray(key)
    while len(table) < 128:
        table.append(_PITABLE[(table[-1] + table[-len(key)]) & 0xFF])
    effective_bytes = (effective_bits + 7) // 8
    mask = 0xFF >> (8 * effective_bytes - effective_bits)
    table[128 - effective_bytes] = _PITABLE[table[128 - effective_bytes] & mask]
    for i in range(127 - effective_bytes, -1, -1):
        table[i] = _PITABLE[table[i + 1] ^ table[i + effective_bytes]]
    return struct.unpack("<64H", table)


_ROTATIONS = (1, 2, 3, 5)


def _rc2_decrypt_block(schedule: tuple[int, ...], block: bytes) -> bytes:
    """Section 4: 5 mixing rounds, a mashing round, 6, a mashing round, 5, all backwards."""
    words = list(struct.unpack("<4H", block))
    j = 63
    for rounds in (5, 6, 5):
        for _ in range(rounds):
            for i in (3, 2, 1, 0):
                turn = _ROTATIONS[i]
                word = ((words[i] >> turn) | (words[i] << (16 - turn))) & 0xFFFF
                one, two, three = words[i - 1], words[i - 2], words[i - 3]
                words[i] = (word - schedule[j] - (one & two) - (~one & three)) & 0xFFFF
                j -= 1
        if j >= 0:
            for i in (3, 2, 1, 0):
                words[i] = (words[i] - schedule[words[i - 1] & 63]) & 0xFFFF
    return struct.pack("<4H", *words)
