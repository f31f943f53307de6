"""PFX files taken apart and put together anew, for tests that need what no tool writes."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from mlsssl._formats import der, identifiers
from mlsssl._formats.budget import WorkBudget
from mlsssl._formats.choice import Choice, choose
from mlsssl._formats.pkcs12.encryption import Encryption, KeyDerivation, check_password, write_encryption, write_mac
from mlsssl._formats.pkcs12.read import holdings, open_safes
from mlsssl._formats.pkcs12.structure import encrypted_part, open_part, read_structure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def load_pfx_entries(data: bytes, password: str | None) -> tuple[Choice, ...]:
    """Each private key of a PFX with what belongs to it, by our own reader throughout; one for a file without."""
    check_password(password)
    budget = WorkBudget()
    structure = read_structure(data)
    safes = open_safes(structure, password, budget)
    certificates, keys, unread = holdings(structure, safes, password, budget)
    if unread:
        raise unread[0]
    return tuple(choose(certificates, one) for one in ([[key] for key in keys] or [[]]))


def rebuild(
    data: bytes,
    *,
    mac: bool = True,
    mac_iterations: int | None = None,
    safes: Sequence[bytes] | None = None,
    extra: bytes | None = None,
    encryption: Encryption | None = None,
    password: str | None = None,
    kdf: KeyDerivation | None = None,
) -> bytes:
    """`data` with something changed; with a password the MAC is made anew, else it is kept.

    Args:
        data: A PFX, or with `encryption` the SafeContents to encrypt whole.
        mac: False drops it.
        mac_iterations: Another count, without making the MAC anew.
        safes: Other ContentInfos.
        extra: Another PFX whose safes are appended.
        encryption: Encrypts all bags of `data` as one part.
        password: For the MAC and the encryption.
        kdf: Of the new MAC; three rounds of SHA-256 when not given.
    """
    if encryption is not None:
        contents = safe_contents(data) if data[:1] == b"\x30" and _is_pfx(data) else data
        infos = [encrypted_part(write_encryption(encryption), encryption.encrypt(contents, password or ""))]
    else:
        infos = list(safes) if safes is not None else parts_of(data)
    if extra is not None:
        infos += parts_of(extra)
    authenticated = der.write_sequence(*infos)
    written = b""
    if mac and password is not None:
        kdf = kdf or KeyDerivation(kind="PKCS12", hash_name="SHA-256", salt=b"12345678", iterations=3)
        written = write_mac(kdf, authenticated, password)
    elif mac and encryption is None:
        digest, salt, *count = _members(_members(der.only(data))[2])
        counts = [der.write_number(mac_iterations)] if mac_iterations else [one.raw for one in count]
        written = der.write_sequence(digest.raw, salt.raw, *counts)
    return der.write_sequence(der.write_number(3), open_part(authenticated), written)


def _members(element: der.Element) -> list[der.Element]:
    return der.members(element, element.tag, most=10_000)


def _is_pfx(data: bytes) -> bool:
    return _members(der.only(data))[0].tag == der.INTEGER


def authenticated_safe(data: bytes) -> bytes:
    """What the MAC of a PFX is about."""
    return contents_of(_members(der.only(data))[1].raw)


def parts_of(data: bytes) -> list[bytes]:
    """The ContentInfos of a PFX."""
    return [info.raw for info in _members(der.only(authenticated_safe(data)))]


def contents_of(info: bytes) -> bytes:
    """What lies in a ContentInfo of type data."""
    return der.octets(der.inside(_members(der.only(info))[1]))


def safe_contents(data: bytes) -> bytes:
    """All bags of the parts of a PFX that lie open, as one SafeContents."""
    bags: list[bytes] = []
    for info in parts_of(data):
        if der.oid(_members(der.only(info))[0]) == identifiers.DATA:
            bags += [bag.raw for bag in _members(der.only(contents_of(info)))]
    return der.write_sequence(*bags)


def ber(data: bytes, *, depth: int = 99) -> bytes:
    """DER with indefinite lengths in every constructed value down to `depth`, and long octet strings cut in pieces."""
    header, contents, end = _element(data, 0)
    assert end == len(data)
    return _ber(header, contents, depth)


def _ber(tag: int, contents: bytes, depth: int) -> bytes:
    if depth == 0:
        return _der(tag, contents)
    if tag & 0x20:
        out, at = b"", 0
        while at < len(contents):
            inner, body, at = _element(contents, at)
            out += _ber(inner, body, depth - 1)
        return bytes([tag, 0x80]) + out + b"\0\0"
    if tag == 0x04 and len(contents) > 200:
        half = len(contents) // 2
        pieces = b"".join(_der(0x04, piece) for piece in (contents[:half], contents[half:]))
        return bytes([0x24, 0x80]) + pieces + b"\0\0"
    return _der(tag, contents)


def _der(tag: int, contents: bytes) -> bytes:
    size = len(contents)
    if size < 128:
        return bytes([tag, size]) + contents
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + contents


def _element(data: bytes, at: int) -> tuple[int, bytes, int]:
    tag, size, at = data[at], data[at + 1], at + 2
    if size & 0x80:
        count = size & 0x7F
        size, at = int.from_bytes(data[at : at + count], "big"), at + count
    return tag, data[at : at + size], at + size


def pbmac1(
    data: bytes,
    password: str,
    *,
    iterations: int = 100,
    hash_name: str = "sha256",
    prf: str | None = None,
    said_length: int | None = 32,
    length: int | None = None,
    said_iterations: int | None = None,
    said_salt: bytes = b"salt-of-pbmac1",
    said_hash: str | None = None,
    said_prf: str | None = None,
    digest: Callable[[bytes], bytes] = bytes,
) -> bytes:
    """`data` with a MAC by PBMAC1 (RFC 9879) in place of its own: PBKDF2 and HMAC.

    Args:
        data: A PFX.
        password: The MAC's.
        iterations: Of PBKDF2.
        hash_name: Of the HMAC.
        prf: Of PBKDF2; the same when not given.
        said_length: The keyLength that is written; None leaves it out.
        length: The length of the key that is used, when that is another.
        said_iterations: Written in place of the true one, and so with `said_salt`, `said_hash` and `said_prf`.
        said_salt: See above.
        said_hash: See above.
        said_prf: See above.
        digest: What becomes of the digest.
    """
    authenticated = authenticated_safe(data)
    used = length if length is not None else said_length if said_length is not None else 32
    key = pbkdf2(prf or hash_name, password.encode(), b"salt-of-pbmac1", iterations, used)
    written = [] if said_length is None else [_integer(said_length)]
    function = _sequence(HMAC_OIDS[said_prf or prf or hash_name], der.write(der.NULL))
    rounds = iterations if said_iterations is None else said_iterations
    parameters = der.write_sequence(der.write(der.OCTET_STRING, said_salt), _integer(rounds), *written, function)
    hmac_function = _sequence(HMAC_OIDS[said_hash or hash_name], der.write(der.NULL))
    both = der.write_sequence(_sequence("1.2.840.113549.1.5.12", parameters), hmac_function)
    made = digest(hmac.digest(key, authenticated, hash_name))
    # RFC 9879, section 5: salt and count of the old derivation are there for old parsers only.
    mac = der.write_sequence(
        der.write_sequence(_sequence("1.2.840.113549.1.5.14", both), der.write(der.OCTET_STRING, made)),
        der.write(der.OCTET_STRING, b"NOT USED"),  # and a count of 1, which is the default
    )
    return der.write_sequence(der.write_number(3), open_part(authenticated), mac)


# RFC 8018, appendix B.1.2, and NIST's list (csrc.nist.gov, Computer Security Objects Register).
HMAC_OIDS = {
    "sha1": "1.2.840.113549.2.7",
    "sha224": "1.2.840.113549.2.8",
    "sha256": "1.2.840.113549.2.9",
    "sha384": "1.2.840.113549.2.10",
    "sha512": "1.2.840.113549.2.11",
    "sha512_224": "1.2.840.113549.2.12",
    "sha512_256": "1.2.840.113549.2.13",
    "sha3_224": "2.16.840.1.101.3.4.2.13",
    "sha3_256": "2.16.840.1.101.3.4.2.14",
    "sha3_384": "2.16.840.1.101.3.4.2.15",
    "sha3_512": "2.16.840.1.101.3.4.2.16",
    "md5": "1.2.840.113549.2.6",
}


def pbkdf2(hash_name: str, password: bytes, salt: bytes, iterations: int, length: int) -> bytes:
    """RFC 8018, section 5.2, word for word: a second opinion on what others compute."""
    out = b""
    for block in range(1, -(-length // hashlib.new(hash_name).digest_size) + 1):
        turn = hmac.digest(password, salt + block.to_bytes(4, "big"), hash_name)
        total = int.from_bytes(turn, "big")
        for _ in range(iterations - 1):
            turn = hmac.digest(password, turn, hash_name)
            total ^= int.from_bytes(turn, "big")
        out += total.to_bytes(len(turn), "big")
    return out[:length]


def _integer(number: int) -> bytes:
    return der.write(der.INTEGER, number.to_bytes(number.bit_length() // 8 + 1, "big", signed=True))


def _sequence(identifier: str, rest: bytes) -> bytes:
    return der.write_sequence(der.write_oid(identifier), rest)
