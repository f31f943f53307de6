"""How the fake Windows imports a PFX: which files it takes, and where it puts the key."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, cast

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

from mlsssl._fakes.computer import Computer, Entry, FakeKey, ProvInfo

if TYPE_CHECKING:
    from cryptography import x509

    from mlsssl._formats.keys import PrivateKey

INVALID_PASSWORD, BAD_ENCODE, NTE_PERM = 86, 0x80092002, 0x80090010

EXPORTABLE, MACHINE, SILENT, ALWAYS_CNG, USER_KEYSET = 0x1, 0x20, 0x40, 0x200, 0x1000
KEY_PROV_INFO, FRIENDLY_NAME = 2, 11

# The provider that Windows takes for a file that names none, and its type (PROV_RSA_FULL).
OLD_PROVIDER = ("Microsoft Enhanced Cryptographic Provider v1.0", 1)
CNG_PROVIDER = "Microsoft Software Key Storage Provider"
PBES2 = bytes.fromhex("06092a864886f70d01050d")


def import_pfx(computer: Computer, data: bytes, password: str | None, flags: int) -> list[Entry] | int:
    """The certificates of a file, its key persisted; or the code."""
    wine = computer.pfx == "wine"
    if wine and flags & ~(EXPORTABLE | MACHINE):
        return 0  # NULL, and no last error
    if computer.pfx == "2016" and PBES2 in data:
        return INVALID_PASSWORD
    try:
        loaded = pkcs12.load_pkcs12(data, None if password is None else password.encode())
    except ValueError as error:
        if wine:
            return 0
        return INVALID_PASSWORD if "password" in str(error).lower() else BAD_ENCODE
    machine = bool(flags & MACHINE)
    if machine and not computer.administrator:
        return NTE_PERM
    entries = [Entry(_der(other.certificate)) for other in loaded.additional_certs]
    if loaded.cert is None:
        return entries
    leaf = Entry(_der(loaded.cert.certificate))
    if loaded.cert.friendly_name and not wine:
        leaf.properties[FRIENDLY_NAME] = (loaded.cert.friendly_name.decode() + "\0").encode("utf-16-le")
    if loaded.key is not None:
        key = cast("PrivateKey", loaded.key)
        if wine and not isinstance(key, rsa.RSAPrivateKey):
            return 0
        leaf.properties[KEY_PROV_INFO] = _persist(computer, key, flags, machine=machine)
    return [leaf, *entries]


def _persist(computer: Computer, key: PrivateKey, flags: int, *, machine: bool) -> ProvInfo:
    policy = 1 if flags & EXPORTABLE else 0  # allowed to leave, though not in plain
    if flags & ALWAYS_CNG or not isinstance(key, rsa.RSAPrivateKey):
        name = "{" + str(uuid.uuid4()).upper() + "}"
        computer.key_names[name.casefold()] = name
        computer.keep_in_cng((machine, name.casefold()), FakeKey(key, policy))
        return ProvInfo(
            container=name, provider=CNG_PROVIDER, provider_type=0, flags=MACHINE if machine else 0, key_spec=0
        )
    name = "root" if computer.pfx == "wine" else "{" + str(uuid.uuid4()).upper() + "}"
    computer.key_names[name.casefold()] = name
    computer.csp[machine, name.casefold()] = {1: FakeKey(key, policy)}
    if computer.pfx == "wine":
        return ProvInfo(container=name, provider=OLD_PROVIDER[0], provider_type=1, flags=0, key_spec=3)
    return ProvInfo(
        container=name,
        provider=OLD_PROVIDER[0],
        provider_type=OLD_PROVIDER[1],
        flags=MACHINE if machine else 0,
        key_spec=1,
    )


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)
