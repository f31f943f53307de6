"""The whole Windows machine over fakes, and what the fake HTTP.sys thinks of a certificate."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from cryptography import x509

from mlsssl._fakes.computer import LOCAL_MACHINE, Computer, ProvInfo
from mlsssl._windows.machine import WindowsPort

if TYPE_CHECKING:
    from pathlib import Path

    from mlsssl._fakes.dlls import FakeDlls
    from mlsssl.values import BindingKey

_NO_SUCH_LOGON_SESSION = 1312
_KEY_PROV_INFO = 2  # CERT_KEY_PROV_INFO_PROP_ID
_MACHINE_KEYSET = 0x20  # CRYPT_MACHINE_KEYSET, also NCRYPT_MACHINE_KEY_FLAG


class FakeWindowsPort(WindowsPort):
    """The Windows machine over fake DLLs; nothing listens on the ports of its bindings.

    Args:
        dlls: One process's view of the computer.
        folder: Where the state folder lies.
    """

    def __init__(self, dlls: FakeDlls, folder: Path) -> None:
        super().__init__(dlls, state_folder=folder / "state")

    @property
    def description(self) -> str:
        """What to call it in messages."""
        return "the fake Windows machine"

    def served_at(self, key: BindingKey) -> tuple[str, int] | None:
        """Nowhere: what listens on this computer has nothing to do with the fakes."""
        return None


def check_certificate(computer: Computer, digest: bytes, store_name: str) -> int:
    """What HTTP.sys answers to a certificate: 0, or 1312 when it is not there or its machine key cannot be used.

    It looks at the computer's disk itself, so that no call of the process under test is counted for it.
    """
    store = computer.stores.get((LOCAL_MACHINE, store_name.casefold()))
    for entry in store.entries if store else ():
        if hashlib.sha1(entry.der, usedforsecurity=False).digest() != digest:
            continue
        link = entry.properties.get(_KEY_PROV_INFO)
        if isinstance(link, ProvInfo) and _key_fits(computer, link, entry.der):
            return 0
    return _NO_SUCH_LOGON_SESSION


def _key_fits(computer: Computer, link: ProvInfo, der: bytes) -> bool:
    if not link.flags & _MACHINE_KEYSET or link.container is None:
        return False
    place = (True, link.container.casefold())
    keys = [computer.cng[place]] if place in computer.cng else list(computer.csp.get(place, {}).values())
    public = x509.load_der_x509_certificate(der).public_key()
    return any(found.key.public_key() == public for found in keys)
