"""PFX files taken apart and put together anew, for tests that need what no tool writes."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

from asn1crypto import core

from mlsssl._formats import asn1
from mlsssl._formats.budget import WorkBudget
from mlsssl._formats.pkcs12.encryption import Encryption, KeyDerivation, check_password, write_encryption, write_mac
from mlsssl._formats.pkcs12.read import LoadedPfx, load_entries, open_safes
from mlsssl._formats.pkcs12.structure import read_structure

if TYPE_CHECKING:
    from collections.abc import Sequence


def load_pfx_entries(data: bytes, password: str | None) -> tuple[LoadedPfx, ...]:
    """Each private key of a PFX with what belongs to it, as `explain_pfx` takes them: by our own reader throughout."""
    check_password(password)
    budget = WorkBudget()
    return load_entries(open_safes(read_structure(data), password, budget), password, budget)


def rebuild(
    data: bytes,
    *,
    mac: bool = True,
    mac_iterations: int | None = None,
    safes: Sequence[Any] | None = None,
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
    old = None
    if encryption is not None:
        contents = data if data[:2] != _pfx_start(data) else safe_contents(data)
        algorithm = write_encryption(encryption)
        sealed = encryption.encrypt(contents, password or "")
        content = {"content_type": asn1.DATA, "algorithm": algorithm, "content": sealed}
        encrypted = asn1.EncryptedData({"version": 0, "content": content})
        infos: list[Any] = [{"content_type": asn1.ENCRYPTED_DATA, "content": asn1.explicit(encrypted)}]
    else:
        old = asn1.Pfx.load(data)
        infos = list(safes) if safes is not None else list(_infos(data))
    if extra is not None:
        infos += list(_infos(extra))
    authenticated = asn1.ContentInfos(infos).dump()
    wanted: dict[str, Any] = {
        "version": 3,
        "auth_safe": {
            "content_type": asn1.DATA,
            "content": asn1.explicit(core.OctetString(authenticated)),
        },
    }
    if mac and password is not None:
        kdf = kdf or KeyDerivation(kind="PKCS12", hash_name="SHA-256", salt=b"12345678", iterations=3)
        wanted["mac_data"] = write_mac(kdf, authenticated, password)
    elif mac and old is not None:
        wanted["mac_data"] = {
            "mac": old["mac_data"]["mac"],
            "salt": old["mac_data"]["salt"],
            "iterations": mac_iterations or old["mac_data"]["iterations"],
        }
    return bytes(asn1.Pfx(wanted).dump())


def _infos(data: bytes) -> Any:
    return asn1.ContentInfos.load(asn1.octets(asn1.Pfx.load(data)["auth_safe"]["content"].parse(core.OctetString)))


def _pfx_start(data: bytes) -> bytes:
    """The first two bytes, if `data` is a PFX and not SafeContents."""
    try:
        asn1.Pfx.load(data)["version"].native  # noqa: B018 -- decoding is the test
    except (ValueError, TypeError):
        return b""
    return data[:2]


def safe_contents(data: bytes) -> bytes:
    """All bags of the parts of a PFX that lie open, as one SafeContents."""
    bags = []
    for info in _infos(data):
        if asn1.oid(info["content_type"]) == asn1.DATA:
            bags += list(asn1.SafeContents.load(asn1.as_octets(info["content"])))
    return bytes(asn1.SafeContents(bags).dump())


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


def pbmac1(data: bytes, password: str, *, iterations: int = 100) -> bytes:
    """`data` with a MAC by PBMAC1 (RFC 9879) in place of its own: PBKDF2 and HMAC, both with SHA-256."""
    pfx = asn1.Pfx.load(data)
    authenticated = asn1.as_octets(pfx["auth_safe"]["content"])
    key = hashlib.pbkdf2_hmac("sha256", password.encode(), b"salt-of-pbmac1", iterations, 32)
    sha256 = {"algorithm": "1.2.840.113549.2.9", "parameters": core.Null()}
    pbkdf2 = asn1.Pbkdf2Parameters(
        {"salt": b"salt-of-pbmac1", "iterations": iterations, "key_length": 32, "prf": sha256}
    )
    parameters = asn1.Pbes2Parameters(
        {"kdf": {"algorithm": "1.2.840.113549.1.5.12", "parameters": pbkdf2}, "scheme": sha256}
    )
    algorithm = {"algorithm": "1.2.840.113549.1.5.14", "parameters": parameters}
    digest = hmac.digest(key, authenticated, "sha256")
    # RFC 9879, section 5: salt and count of the old derivation are there for old parsers only.
    mac = {"mac": {"algorithm": algorithm, "digest": digest}, "salt": b"NOT USED", "iterations": 1}
    content = asn1.explicit(core.OctetString(authenticated))
    auth_safe = {"content_type": asn1.DATA, "content": content}
    return bytes(asn1.Pfx({"version": 3, "auth_safe": auth_safe, "mac_data": mac}).dump())
