"""Certificate stores of any machine: opened, looked into for one certificate, and what their ports have in common."""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, NamedTuple

from cryptography.hazmat.primitives.serialization import Encoding

from mlsssl._formats.keys import private_key_der
from mlsssl._issue.machine_keys import held_name
from mlsssl._machine.ports import Parsed
from mlsssl.errors import AccessDeniedError, MalformedDataError, StoreClosedError, StoreNotFoundError
from mlsssl.values import Thumbprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cryptography import x509

    from mlsssl._formats.keys import FilePrivateKey, PrivateKey
    from mlsssl._machine.ports import KeyProvider, MachinePort, StorePort, StoreRecord
    from mlsssl.values import Location


@contextlib.contextmanager
def opened(
    port: MachinePort, name: str, location: Location = "LocalMachine", *, write: bool = False
) -> Iterator[StorePort | None]:
    """A store for what takes no time, closed at the end.

    None when it does not exist: a new Windows may have no `Disallowed` yet.
    """
    store = if_there(port, name, location, write=write)
    try:
        yield store
    finally:
        if store is not None:
            store.close()


def if_there(
    port: MachinePort, name: str, location: Location = "LocalMachine", *, write: bool = False
) -> StorePort | None:
    """A store, open, which the caller closes; None when it does not exist."""
    try:
        return port.open_store(name, location, write=write, keep_open=True)
    except StoreNotFoundError:
        return None


def is_standard(store: str) -> bool:
    """Whether every Windows has this store, be it that nothing was ever put in."""
    return store.casefold() in ("my", "ca", "root")


def certificate(port: MachinePort, store: str, thumbprint: Thumbprint) -> StoreRecord | None:
    """The certificate in a LocalMachine store; None when it, or the store, is not there."""
    with opened(port, store) as found:
        return None if found is None else found.find(thumbprint)


def add(
    store: StorePort,
    certificate: bytes,
    parsed: x509.Certificate,
    private_key: PrivateKey | None,
    *,
    friendly_name: str | None,
    exportable: bool,
    provider: KeyProvider | None,
) -> StoreRecord:
    """`StorePort.add` of what is at hand: a certificate, and a key in this process's memory or held by the machine."""
    held = held_name(private_key)
    given = None if held is not None else private_key
    return store.add(
        certificate,
        None if given is None else private_key_der(given),
        friendly_name=friendly_name,
        exportable=exportable,
        provider=provider,
        request_key=held,
        parsed=Parsed(certificate=parsed, private_key=given),
    )


def thumbprint_of(der: bytes) -> Thumbprint:
    """What Windows finds a certificate or a revocation list by: the SHA-1 of its DER."""
    return Thumbprint(hashlib.sha1(der, usedforsecurity=False).digest())


class OpenStore:
    """The part of a `StorePort` that no machine does in its own way.

    Args:
        name: As it was opened.
        location: LocalMachine or CurrentUser.
        writable: Whether it was opened for changing.
        is_machine_closed: Whether the machine was closed since.
    """

    def __init__(
        self, name: str, location: Location, *, writable: bool, is_machine_closed: Callable[[], bool] = lambda: False
    ) -> None:
        self.name = name
        self.location = location
        self._writable = writable
        self._is_machine_closed = is_machine_closed
        self._closed = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._where}{', closed' if self._closed else ''}>"

    def close(self) -> None:
        """Refuse everything from now on; idempotent."""
        self._closed = True

    @property
    def _where(self) -> str:
        return f"{self.location}\\{self.name}"

    def _check_open(self) -> None:
        if self._closed or self._is_machine_closed():
            raise StoreClosedError(f"the store {self._where} was closed")

    def _check_changing(self) -> None:
        if not self._writable:
            # CERT_STORE_READONLY_FLAG has CertAddCertificateContextToStore answer with E_ACCESSDENIED.
            raise AccessDeniedError(f"the store {self._where} was opened for reading only", right="write")
        self._check_open()

    def _missing(self, thumbprint: Thumbprint) -> StoreNotFoundError:
        return StoreNotFoundError(f"there is no certificate {thumbprint} in {self._where}")


class PfxContent(NamedTuple):
    """What `StorePort.import_pfx` takes from a file; certificates are DER. `in_part`: there is more in it."""

    certificate: bytes
    private_key: FilePrivateKey
    friendly_name: str | None
    others: tuple[bytes, ...]
    in_part: bool


def read_pfx(data: bytes, password: str | None, alias: str | None = None) -> PfxContent:
    """A PFX with a certificate and its private key.

    Raises:
        WrongPasswordError, MalformedDataError, UnsupportedError: as `load_pfx`; also when it holds no such pair.
        NotFoundError: nothing in it has this alias.
    """
    from mlsssl._formats.pkcs12.read import load_pfx  # as much to import as all of a machine

    loaded = load_pfx(data, password, alias=alias)
    if loaded.certificate is None or loaded.private_key is None:
        raise MalformedDataError("the PFX holds no certificate with its private key; add certificates one by one")
    return PfxContent(
        certificate=loaded.certificate.public_bytes(Encoding.DER),
        private_key=loaded.private_key,
        friendly_name=(loaded.friendly_name or "").replace("\0", "") or None,  # which no friendly name can hold
        others=tuple(other.public_bytes(Encoding.DER) for other in loaded.others),
        in_part=bool(loaded.left_out),
    )
