"""The seam: what a *machine* keeps, as Protocols and plain records. Two machines stand behind it.

Everything that crosses is a plain value: DER bytes, `Thumbprint`, text, the frozen records below. What the two
machines must have in common is written here once, beside the method it is about, and the contract suite
(`tests/contract`) holds both to it.
"""

from __future__ import annotations

import ipaddress
import re
import uuid
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, Protocol

from mlsssl._formats.binding_keys import BindingFamily, BindingKey, BindingOptions, CcsPort, IpPort, written_host
from mlsssl._messages.foreign_text import printable, shown
from mlsssl.errors import InvalidInputError, UnsupportedError
from mlsssl.values import Location, Thumbprint, check_store_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from cryptography import x509

    from mlsssl._formats.keys import PrivateKey
    from mlsssl._formats.url_prefixes import UrlPrefix
    from mlsssl._issue.machine_keys import HashName
    from mlsssl._machine.accounts import Account
    from mlsssl.values import KeyType

MACHINE_VARIABLE = "MLSSSL_MACHINE"
"""Environment variable: the path of an embedded machine to use where no machine is given, on any platform."""

WELL_KNOWN_APPLICATION_IDS = {
    uuid.UUID("4dc3e181-e14b-4a21-b022-59fc669b0914"): "IIS",
    uuid.UUID("214124cd-d05b-4309-9af9-9caa44b2b74a"): "IIS Express",
    uuid.UUID("5d89a20c-beab-4389-9447-324788eb944a"): "AD FS",
}
"""Application ids whose owner is known; any other GUID is somebody's own."""

owner_text: Callable[[uuid.UUID], str] = lru_cache(maxsize=256)(str)
"""An application id as text; a machine has few owners, and a record is written down several times in one change."""

KeyProvider = Literal["cng", "csp"]
"""Which of Windows' two key storages: CNG (`ncrypt.dll`) or the older CryptoAPI provider (type 24)."""


def check_provider(provider: KeyProvider | None, *, is_rsa: bool) -> None:
    """Refuse a key storage that does not exist, or that cannot have the key.

    Raises:
        InvalidInputError: there is no such storage.
        UnsupportedError: the older one, for a key that is not RSA.
    """
    if provider not in (None, "cng", "csp"):
        raise InvalidInputError(f"a key provider is 'cng', 'csp' or None, not {shown(provider)}")
    if provider == "csp" and not is_rsa:
        raise UnsupportedError("the CSP key storage knows RSA keys only; leave the provider out, or say 'cng'")


def new_request_key_name() -> str:
    """A name for a key that nothing has; whoever makes it writes the name down before."""
    return f"mlsssl-{uuid.uuid4()}"


def check_request_key_name(name: str) -> str:
    """Return a name that `new_request_key_name` made; `InvalidInputError` for any other.

    No other key of the machine has such a name, so none can be meant by mistake.
    """
    if isinstance(name, str) and re.fullmatch("mlsssl-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", name):
        return name
    raise InvalidInputError(f"not the name of a request's key: {shown(name)}")


def check_request_key(name: str | None, private_key: bytes | None, location: Location) -> None:
    """Refuse arguments of `StorePort.add` that do not go together, and no name: `InvalidInputError`."""
    if name is None:
        return
    check_request_key_name(name)
    if private_key is not None:
        raise InvalidInputError("a certificate has one private key: give private_key or request_key")
    if location != "LocalMachine":
        raise InvalidInputError("a request's key is among the machine's keys: open the store in LocalMachine")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyState:
    """What was found on opening the private key that a stored certificate is linked to.

    Attributes:
        provider: The provider's full name, as Windows writes it.
        container: The key's name in that provider.
        machine_keyset: Whether it lies among the machine's keys; HTTP.sys needs that.
        persisted: Whether it opens again by its name.
        matches: Whether its public half is the certificate's; None when it could not be opened.
        exportable: Whether the private key may leave the machine; None when it could not be opened.
        problem: Why it could not be opened, in words with the code; None when it could.
    """

    provider: str
    container: str
    machine_keyset: bool
    persisted: bool
    matches: bool | None
    exportable: bool | None
    problem: str | None = None

    @property
    def usable(self) -> bool:
        """Whether it opens and matches: what `has_private_key` means."""
        return self.persisted and self.matches is True


KeyRight = Literal["read", "full", "denied", "other"]
"""What an entry of a private key's access list says: the account may use the key (`read`), use and change it (`full`),
may not use it (`denied`); or the entry is about something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAccess:
    r"""What one account may do with a private key, by one entry of the key's access list.

    Attributes:
        name: The account as its machine calls it, such as `NT AUTHORITY\NETWORK SERVICE`; the SID where no account has
            it any more.
        sid: The account's SID as text, such as `S-1-5-20`.
        right: `read`: use the key, to sign and decrypt with it; `full`: besides, change its access list or delete it;
            `denied`: must not use it, whatever else is allowed; `other`: neither, or only under a condition.
        inherited: Whether the entry comes from the folder that the key lies in.
    """

    name: str
    sid: str
    right: KeyRight
    inherited: bool = False

    @property
    def may_read(self) -> bool:
        """Whether this entry lets the account use the key."""
        return self.right in ("read", "full")

    def _repr_html_(self) -> str:
        from mlsssl._notebook.cards import card, facts, sign, text

        words = f"{self.right}{', inherited' if self.inherited else ''}"
        right = sign("ok" if self.may_read else "over" if self.right == "denied" else "note", words)
        return card(text(self.name), facts([("right", right), ("SID", text(self.sid))]))

    def __str__(self) -> str:
        account = self.sid if self.name == self.sid else f"{self.name} ({self.sid})"
        return printable(f"{account}: {self.right}{', inherited' if self.inherited else ''}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRecord:
    """One certificate in a store, with its properties.

    Attributes:
        certificate: The DER bytes.
        friendly_name: The name shown in lists, or None.
        archived: Hidden from listings on Windows, still found by thumbprint.
        key: The linked private key as it was found; None when none is linked.
        renewed_by: The certificate that replaced this one (the CERT_RENEWAL property), or None.
    """

    certificate: bytes
    friendly_name: str | None = None
    archived: bool = False
    key: KeyState | None = None
    renewed_by: Thumbprint | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCertificate:
    """One item of `StorePort.add_many`; the fields are `StorePort.add`'s.

    Attributes:
        certificate: DER.
        private_key: PKCS#8 DER, unencrypted, or None.
        friendly_name: None leaves what is there.
    """

    certificate: bytes
    private_key: bytes | None = field(default=None, repr=False)
    friendly_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What `StorePort.add` is given as bytes, as `cryptography` holds it; no key where none is given as bytes."""

    certificate: x509.Certificate
    private_key: PrivateKey | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingRecord:
    """One TLS record of HTTP.sys.

    Attributes:
        key: What it is filed under.
        thumbprint: The certificate; None exactly for the two CCS families.
        store_name: The LocalMachine store that holds it. None means MY, for IP keys only; None for CCS.
        app_id: The owner's GUID.
        options: All the rest.
    """

    key: BindingKey
    thumbprint: Thumbprint | None
    store_name: str | None
    app_id: uuid.UUID
    options: BindingOptions

    @property
    def store(self) -> str:
        """The LocalMachine store that the certificate is in: MY when none is named (HTTP_SERVICE_CONFIG_SSL_PARAM)."""
        return self.store_name or "MY"

    def __post_init__(self) -> None:
        if self.key.family.has_certificate:
            if self.thumbprint is None:
                raise InvalidInputError(
                    f"a binding for {self.key} needs a certificate: the thumbprint of one in a store"
                )
            if self.store_name is None and self.key.family is BindingFamily.HOSTNAME_PORT:
                # `netsh http add sslcert help`: certstorename is required for hostnameport.
                raise InvalidInputError(f"a binding for {self.key} needs a store name, usually 'MY'")
        elif self.thumbprint is not None or self.store_name is not None:
            raise InvalidInputError(f"a binding for {self.key} names no certificate: CCS finds it by host name")
        if self.store_name is not None:
            check_store_name(self.store_name)
        if not isinstance(self.app_id, uuid.UUID):
            raise InvalidInputError(f"an application id is a uuid.UUID, not {shown(self.app_id)}")


def refuse_ccs_options(record: BindingRecord) -> None:
    """Refuse to write a plain CCS record that has options: `InvalidInputError`, before any machine is asked.

    HTTP.sys has no place for them there: it answers 87, or keeps what nobody honours (the makers of SslCertBinding.Net
    refuse them too). A scoped CCS record takes them.
    """
    if record.key.family is BindingFamily.CCS and record.options != BindingOptions():
        raise InvalidInputError(f"a binding for {record.key} takes no options; {record.options!r} was given")


def sort_key(key: BindingKey) -> tuple[str, int, str]:
    """What orders the keys of one family: as they order themselves, and spellings of one host after that."""
    if isinstance(key, IpPort):
        return key.address, key.port, ""
    return ("", key.port, "") if isinstance(key, CcsPort) else (key.host, key.port, written_host(key))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationRecord:
    """One URL reservation of HTTP.sys.

    Attributes:
        url: What it is filed under.
        sddl: Who may do what there: a security descriptor in SDDL, character by character as the machine has it.
    """

    url: UrlPrefix
    sddl: str

    def __post_init__(self) -> None:
        if not isinstance(self.sddl, str) or "\0" in self.sddl:
            raise InvalidInputError(f"the access list of a reservation is text in SDDL, not {shown(self.sddl)}")


class HttpNumber(Enum):
    """The numbers that HTTP.sys is configured with for the whole machine, each with its unit.

    The value is HTTP_SERVICE_CONFIG_ID (3 timeouts, 4 cache, 7 settings) and the key within it
    (HTTP_SERVICE_CONFIG_TIMEOUT_KEY, …_CACHE_KEY, …_SETTING_KEY).
    """

    IDLE_CONNECTION_SECONDS = (3, 0)
    HEADER_WAIT_SECONDS = (3, 1)
    MAX_CACHE_RESPONSE_BYTES = (4, 0)
    CACHE_RANGE_CHUNK_BYTES = (4, 1)
    TLS_THROTTLE = (7, 1)

    @property
    def least(self) -> int:
        """The smallest value: a time is more than zero (HTTP_SERVICE_CONFIG_TIMEOUT_SET)."""
        return 1 if self.value[0] == 3 else 0

    @property
    def most(self) -> int:
        """The largest value: a USHORT for times, a ULONG for the others."""
        return 0xFFFF if self.value[0] == 3 else 0xFFFF_FFFF


def listen_address(address: object) -> str:
    """An address in its shortest form; `InvalidInputError` for what is none."""
    try:
        if not isinstance(address, str) or "%" in address:
            raise ValueError
        return str(ipaddress.ip_address(address.removeprefix("[").removesuffix("]")))
    except ValueError:
        raise InvalidInputError(
            f"{shown(address)} is not an IPv4 or IPv6 address; the listen list has neither ports nor scopes"
        ) from None


class Cause(str, Enum):
    """The known causes of 1312, in the order in which they are worth looking at."""

    NOT_IN_STORE = "not-in-store"
    WRONG_STORE = "wrong-store"
    WRONG_LOCATION = "wrong-location"
    NO_KEY = "no-key"
    KEY_NOT_FOUND = "key-not-found"
    USER_KEYSET = "user-keyset"
    KEY_NOT_PERSISTED = "key-not-persisted"
    KEY_MISMATCH = "key-mismatch"
    UNUSABLE_CTL = "unusable-ctl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """One cause of 1312 that was checked and holds; `UNUSABLE_CTL` is what is left when no other does.

    Attributes:
        cause: Which.
        found: What was seen.
        remedy: What to do, with the mlsssl call that does it.
    """

    cause: Cause
    found: str
    remedy: str

    def __str__(self) -> str:
        return printable(f"{self.found} → {self.remedy}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrustProblem:
    """One thing that the operating system's own chain engine holds against a certificate.

    Attributes:
        code: The system's number: a bit of CERT_TRUST_STATUS.dwErrorStatus, or an HRESULT of its TLS policy.
        name: That number's name in the system's headers.
        position: Which certificate of the chain; 0 is the leaf.
        certificate: That certificate's DER; empty when there is no chain at all.
        text: What is wrong, in words that continue "the certificate".
    """

    code: int
    name: str
    position: int
    certificate: bytes
    text: str


class StorePort(Protocol):
    """One open certificate store. Its owner closes it; used after that it raises `StoreClosedError`."""

    @property
    def name(self) -> str:
        """The store's name as it was opened."""
        ...

    @property
    def location(self) -> Location:
        """LocalMachine or CurrentUser."""
        ...

    def thumbprints(self) -> Iterator[Thumbprint]:
        """Every certificate's thumbprint that a listing shows (archived ones are left out), in no stated order."""
        ...

    def records(self) -> Iterator[StoreRecord]:
        """The records behind `thumbprints`; the key of each is opened and compared."""
        ...

    def records_for_host(self, wanted: x509.DNSName | x509.IPAddress) -> Iterator[StoreRecord]:
        """Those of `records`, in their order, among which every certificate for this host is: it spares looking.

        Whether one is for the host says `hosts.any_matches`. A machine without an index of names (Windows has none)
        gives all.
        """
        ...

    def certificates(self, wanted: Callable[[bytes], bool]) -> list[bytes]:
        """Of the certificates (DER) of `records`, in their order, those that `wanted` says yes to; no key is opened.

        Takes no memory for the others. `wanted` may not change the store.
        """
        ...

    def find(self, thumbprint: Thumbprint) -> StoreRecord | None:
        """The record, archived or not, or None."""
        ...

    def add(
        self,
        certificate: bytes,
        private_key: bytes | None,
        *,
        friendly_name: str | None,
        exportable: bool,
        provider: KeyProvider | None,
        request_key: str | None = None,
        parsed: Parsed | None = None,
    ) -> StoreRecord:
        """Put a certificate in, with its private key (PKCS#8 DER, unencrypted) if one is given.

        The certificate is there once, whatever was there: adding it again keeps a usable key (and its
        exportability), gives a missing or unusable one the key that came now, and sets the friendly name if one
        is given. Other properties stay. The caller has checked that the key belongs to the certificate. In
        LocalMachine the key goes among the machine's keys. Killed at any moment: all of it or nothing, and no
        orphan key that `MachinePort.recover` would not find. What goes into CurrentUser's Root: `refuse_users_roots`.

        Args:
            certificate: DER.
            private_key: PKCS#8 DER or None.
            friendly_name: None leaves what is there.
            exportable: Whether the private key may be read back.
            provider: Which key storage; None lets the machine choose.
            request_key: In place of `private_key`: the name of the key in `MachinePort.request_keys` that the
                certificate is for. It goes on being one of those until it is released; `exportable` and `provider`
                were said when it was made. In LocalMachine only.
            parsed: The same certificate and key where they are at hand, for a machine that would have to read them.

        Raises:
            NotFoundError: there is no `request_key` of this name.
            InvalidInputError: it is not the certificate's, or the store is CurrentUser's.
        """
        ...

    def add_many(
        self, items: Iterable[NewCertificate], *, exportable: bool, provider: KeyProvider | None = None
    ) -> int:
        """Put many certificates in: for each what `add` does, for all of them in bounded memory.

        A machine may do several in one transaction, or simply call `add` in a loop (Windows has nothing better).
        Whatever stops it, an error of an item or of the iterator or the end of the process, leaves some first
        items in, each whole, and the rest out; doing it again does the rest.

        Args:
            items: Taken one after the other; may be a generator, and may read from this machine.
            exportable: As in `add`, for all of them.
            provider: As in `add`, for all of them.

        Returns:
            How many items were taken.
        """
        ...

    def import_pfx(
        self,
        data: bytes,
        password: str | None,
        *,
        exportable: bool,
        friendly_name: str | None,
        alias: str | None = None,
    ) -> tuple[StoreRecord, tuple[bytes, ...]]:
        """Take a PFX as the import wizard does; the certificate with the key lands in this store.

        Returns:
            The record, and the DER of the other certificates in the file, which were *not* put anywhere.

        Raises:
            WrongPasswordError, MalformedDataError, UnsupportedError: told apart as the machine can.
            NotFoundError: nothing in it has this alias (`Certificate.load`).
        """
        ...

    def export_key(self, thumbprint: Thumbprint) -> bytes:
        """The private key as PKCS#8 DER.

        Raises:
            StoreNotFoundError: no such certificate, or no usable key.
            AccessDeniedError: the key is not exportable.
        """
        ...

    def key_access(self, thumbprint: Thumbprint) -> tuple[KeyAccess, ...]:
        """The access list of its private key, in the order in which it is gone through.

        In LocalMachine SYSTEM and the administrators are in it from the start, with all rights.

        Raises:
            StoreNotFoundError: no such certificate, or no usable key.
            UnsupportedError: what keeps the key has no access lists.
            AccessDeniedError, NativeError: it could not be read.
        """
        ...

    def grant_key_access(self, thumbprint: Thumbprint, account: Account, *, right: KeyRight = "read") -> None:
        """Let an account use the private key; idempotent. Every other entry stays as it is, bit by bit.

        An account that may do so through a group only gets an entry of its own. All at once, or nothing.

        Args:
            thumbprint: Which.
            account: As `MachinePort.account` found it.
            right: `read` or `full`.

        Raises:
            StoreNotFoundError, UnsupportedError, NativeError: as `key_access`.
            StoreError: an entry denies it to this account; or it did not last.
            AccessDeniedError: this user may not change the key.
        """
        ...

    def revoke_key_access(self, thumbprint: Thumbprint, account: Account) -> None:
        """Take out every entry that lets this very account use the private key; idempotent. Others stay, bit by bit.

        Raises:
            StoreNotFoundError, UnsupportedError, NativeError: as `key_access`.
            StoreError: the right is inherited; or everybody has it.
            AccessDeniedError: this user may not change the key.
        """
        ...

    def set_friendly_name(self, thumbprint: Thumbprint, friendly_name: str | None) -> None:
        """Set or clear the name. `StoreNotFoundError` when the certificate is not there."""
        ...

    def set_archived(self, thumbprint: Thumbprint, archived: bool) -> None:
        """Hide from or show in listings. `StoreNotFoundError` when the certificate is not there."""
        ...

    def set_renewed_by(self, thumbprint: Thumbprint, newer: Thumbprint | None) -> None:
        """Set or clear the CERT_RENEWAL mark. `StoreNotFoundError` when the certificate is not there."""
        ...

    def remove(self, thumbprint: Thumbprint, *, delete_key: bool) -> None:
        """Take a certificate out; with `delete_key` its private key too, unless another certificate uses it.

        A key in `MachinePort.request_keys` stays in any case: another certificate may come for it.

        As on Windows, a certificate that a binding names is removed all the same.
        `StoreNotFoundError` when the certificate is not there.
        """
        ...

    def crls(self, wanted: Callable[[bytes], bool] | None = None) -> list[bytes]:
        """The revocation lists in it, DER, that `wanted` says yes to, else all; each once, in no stated order.

        Memory and `wanted` as in `certificates`.
        """
        ...

    def add_crl(self, crl: bytes, *, replacing: Collection[bytes] = ()) -> None:
        """Put a revocation list (DER) in beside the others; idempotent for the very same list.

        Then take out those of `replacing` that are there. Killed at any moment, the new list is in or nothing is
        out. `MalformedDataError` when it is no list. Neither its signature nor its age is looked at.
        """
        ...

    def remove_crl(self, crl: bytes) -> None:
        """Take exactly this list (DER) out. `StoreNotFoundError` when it is not there."""
        ...

    def close(self) -> None:
        """Give the handle back; idempotent."""
        ...


class BindingsPort(Protocol):
    """The TLS records of HTTP.sys. One record per key and family.

    A host name that another program wrote in another spelling stays in it: records come with keys `as_stored`, and go
    back as they came. Such a key means the record in its spelling; any other key means the record in the normalised
    spelling, else the first one in any other.
    """

    @property
    def atomic_update(self) -> bool:
        """Whether `update` exists here (HttpUpdateServiceConfiguration: not on Server 2016)."""
        ...

    def supports(self, family: BindingFamily) -> bool:
        """Whether this machine knows the family."""
        ...

    def find(self, key: BindingKey) -> BindingRecord | None:
        """The record, or None. `UnsupportedError` for an unknown family."""
        ...

    def all(self) -> list[BindingRecord]:
        """Every record of every family this machine knows, family by family, sorted by key."""
        ...

    def add(self, record: BindingRecord, *, retry: bool = True) -> None:
        """Add. `BindingExistsError` (183), `UnusableCertificateError` (1312) with its diagnosis, `UnsupportedError`.

        A key that was not read from a machine exists in whatever spelling its host is there. A plain CCS record has
        no options: `InvalidInputError`.

        Args:
            record: What to add.
            retry: Whether a refusal that may pass by itself (87 on Windows, while the key is new) is waited out, for
                some ten seconds. False where clients would wait too: while a record is being replaced.
        """
        ...

    def try_out(self, record: BindingRecord) -> None:
        """Raise what `add` would raise if nothing were bound to the key; what clients are served stays as it is.

        Waits as `add` does. Only between `ChangeRecords.begin` and `finish`, holding the machine's lock: a machine may
        have to set the record under another key for a moment, and after a kill `recover` has to remove that.
        """
        ...

    def recover(self) -> list[str]:
        """Remove what a killed `try_out` left; a line for each thing. `MachinePort.recover` does it too."""
        ...

    def update(self, record: BindingRecord) -> None:
        """Replace the whole record at once.

        `BindingNotFoundError` (2), `UnusableCertificateError` (1312); `UnsupportedError` without `atomic_update`.
        """
        ...

    def remove(self, key: BindingKey) -> None:
        """Remove. `BindingNotFoundError` (2)."""
        ...


class ReservationsPort(Protocol):
    """The URL reservations of HTTP.sys. One record per prefix, whatever its case.

    What another program wrote in another spelling stays in it: records come with prefixes `as_stored`, and go back as
    they came. Such a prefix means the record in its spelling; any other means the record in the normalised spelling,
    else the first one in any other. There is no update: HTTP.sys takes none for them
    (HttpUpdateServiceConfiguration), so a record is removed and added.
    """

    def find(self, url: UrlPrefix) -> ReservationRecord | None:
        """The record, or None."""
        ...

    def all(self) -> list[ReservationRecord]:
        """Every record, sorted by prefix. `UnsupportedError`: this machine has no reservations at all."""
        ...

    def add(self, record: ReservationRecord) -> None:
        """Add. `ReservationExistsError` (183), in whatever spelling; `InvalidInputError` for an SDDL that is none."""
        ...

    def remove(self, url: UrlPrefix) -> None:
        """Remove. `ReservationNotFoundError` (2)."""
        ...


class HttpSettingsPort(Protocol):
    """What HTTP.sys is configured with besides: the addresses that it listens on, and numbers."""

    def listen_addresses(self) -> tuple[str, ...]:
        """The addresses in its listen list, in no stated order, IPv6 without brackets; empty means all addresses."""
        ...

    def add_listen_address(self, address: str) -> None:
        """Add one, in its shortest form. `ExistsError` (183)."""
        ...

    def remove_listen_address(self, address: str) -> None:
        """Remove one. `NotFoundError` (2)."""
        ...

    def number(self, which: HttpNumber) -> int | None:
        """What is configured, or None where nothing is. `UnsupportedError`: this Windows does not know it."""
        ...

    def set_number(self, which: HttpNumber, value: int) -> None:
        """Configure it, whatever was there. The caller has checked the range. `UnsupportedError` as `number`."""
        ...

    def reset_number(self, which: HttpNumber) -> None:
        """Configure nothing, so that HTTP.sys goes by its own. `NotFoundError` (2) where nothing is configured."""
        ...


def refuse_users_roots(name: str, location: Location) -> None:
    """Refuse to put a certificate into CurrentUser's Root, or to take one out: `UnsupportedError`.

    Windows asks the user in a dialog, whatever flags a program gives; in a service, where nobody sees it, for ever.
    The machine's own Root needs no dialog, only an administrator.
    """
    if location == "CurrentUser" and name.casefold() == "root":
        raise UnsupportedError(
            "Windows asks in a dialog before a certificate goes into or out of CurrentUser\\Root, so no program can do "
            "it alone; as administrator use Store.open('Root') of LocalMachine, or let the user do it: "
            "certutil -user -addstore Root FILE (-delstore Root THUMBPRINT)"
        )


class ServiceState(Enum):
    """A service's state; names and numbers are SERVICE_STATUS_PROCESS.dwCurrentState's."""

    STOPPED = 1
    START_PENDING = 2
    STOP_PENDING = 3
    RUNNING = 4
    CONTINUE_PENDING = 5
    PAUSE_PENDING = 6
    PAUSED = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """One look at a service (SERVICE_STATUS_PROCESS).

    Attributes:
        state: Where it is.
        accepts_stop: Whether it takes a stop now.
        exit_code: dwWin32ExitCode; 1066 means see `specific_exit_code`.
        specific_exit_code: dwServiceSpecificExitCode.
        check_point: Grows while a pending state makes progress.
        wait_hint: Milliseconds the service says its next step takes.
        process_id: 0 when not running.
    """

    state: ServiceState
    accepts_stop: bool
    exit_code: int = 0
    specific_exit_code: int = 0
    check_point: int = 0
    wait_hint: int = 0
    process_id: int = 0


def refuse_http_driver(name: str) -> None:
    """Refuse to stop or start the HTTP driver service, `HTTP`.

    Stopping it takes down everything on the machine that listens through HTTP.sys (IIS, WinRM and others), and no
    change of a binding needs it: new handshakes use the new record at once.

    Raises:
        InvalidInputError: `name` is that service's.
    """
    if name.strip().casefold() == "http":
        raise InvalidInputError(
            "the HTTP driver service is not stopped or started here: every program that listens through HTTP.sys "
            "would go down with it, and no change of a binding needs it"
        )


class ServicesPort(Protocol):
    """The service manager, one primitive per method; waiting and ordering are done above the seam."""

    def query(self, name: str) -> ServiceStatus:
        """Look. `ServiceNotFoundError` (1060), `InvalidInputError` (123)."""
        ...

    def active_dependents(self, name: str) -> tuple[str, ...]:
        """Services that need this one and are not stopped, in the order in which to stop them."""
        ...

    def request_start(self, name: str) -> bool:
        """Ask it to start; False when it ran already (1056). `ServiceError` otherwise."""
        ...

    def request_stop(self, name: str) -> bool:
        """Ask it to stop; False when it was stopped already (1062). `ServiceError` otherwise."""
        ...


class RequestKeysPort(Protocol):
    """Private keys of certificate requests, among the machine's keys: made there, used there, never outside.

    Each has a name (`new_request_key_name`) that its owner writes down before `make`, so that after a kill the owner
    finds it again or releases it. From `make` to `release` nothing else deletes it: not `StorePort.remove`, not
    `MachinePort.recover`.
    """

    def make(self, name: str, key_type: KeyType, *, exportable: bool, provider: KeyProvider | None) -> bytes:
        """Make a key; its public half as SubjectPublicKeyInfo DER.

        Killed at any moment, `public_key` has it afterwards or not, and `names` has its name if anything is there.

        Args:
            name: Where to keep it.
            key_type: What to make.
            exportable: Whether the private key may be read back once a certificate has it (`StorePort.export_key`).
            provider: Which key storage; None lets the machine choose.

        Raises:
            InvalidInputError: no such name, key type or provider.
            ExistsError: there is something under this name; release it first.
            UnsupportedError: no key storage of this machine makes such keys.
            AccessDeniedError: not an administrator.
        """
        ...

    def public_key(self, name: str) -> bytes | None:
        """The public half of the key of this name, as `make` returned it; None when there is none."""
        ...

    def sign(self, name: str, digest: bytes, hash_name: HashName) -> bytes:
        """Sign a digest: PKCS#1 v1.5 (RFC 8017, 8.2) with an RSA key, else an Ecdsa-Sig-Value (RFC 3279, 2.2.3).

        Raises:
            NotFoundError: there is no key of this name.
        """
        ...

    def names(self) -> list[str]:
        """The name of every key that was not released, sorted; also of one whose making was killed."""
        ...

    def release(self, name: str) -> None:
        """Forget a name. The key goes, unless a certificate in a store has it by now, whose key it then simply is.

        Idempotent, and whole or not at all: killed at any moment, a second time does it, or `MachinePort.recover`.
        """
        ...


class MachinePort(Protocol):
    """A machine: stores, bindings, services, and a folder for what must survive a crash."""

    @property
    def description(self) -> str:
        """What to call it in messages: `this computer`, `the embedded machine at /path`."""
        ...

    @property
    def is_this_windows(self) -> bool:
        """Whether it is the Windows that this process runs on, whose chain engine judges trust.

        On any other machine the roots in its own stores say what it trusts.
        """
        ...

    @property
    def state_folder(self) -> Path:
        """Where records of changes and locks live: made on first use, for this user (or administrators) only."""
        ...

    @property
    def bindings(self) -> BindingsPort:
        """The TLS records."""
        ...

    @property
    def reservations(self) -> ReservationsPort:
        """The URL reservations."""
        ...

    @property
    def http_settings(self) -> HttpSettingsPort:
        """The listen list and numbers of HTTP.sys."""
        ...

    @property
    def services(self) -> ServicesPort:
        """The service manager."""
        ...

    @property
    def request_keys(self) -> RequestKeysPort:
        """Private keys that were made here for certificate requests."""
        ...

    def store_names(self, location: Location) -> list[str]:
        """The stores that exist there, sorted."""
        ...

    def may_have_crls(self) -> bool:
        """Whether it is worth the while to look into the stores for revocation lists: False where there are none."""
        ...

    def open_store(
        self, name: str, location: Location, *, create: bool = False, write: bool = False, keep_open: bool = False
    ) -> StorePort:
        """Open a store; the caller closes it.

        Args:
            name: Which.
            location: Where.
            create: Make it when it is not there; with `keep_open` at the latest when it is first used.
            write: Open it for changing.
            keep_open: Look without opening it anew each time, which is cheaper. What others change meanwhile may not
                show, so it is for what takes no time; `add` and `remove` are as safe as without.

        Raises:
            StoreNotFoundError: it does not exist and `create` is False.
            AccessDeniedError: `write` is True and the caller may not; with `create` and `keep_open` this may show
                when it is first used.
        """
        ...

    def account(self, account: str) -> Account:
        r"""The account of this name or SID, as this machine calls it.

        Names that every Windows has (`NETWORK SERVICE`) are taken in English, in any case, with or without what stands
        in front of the `\`. A SID that no account has is taken as it is.

        Raises:
            InvalidInputError: it can be neither name nor SID.
            NotFoundError: no account has this name.
            NativeError: Windows could not find out; a domain does not answer, say.
        """
        ...

    def diagnose(self, thumbprint: Thumbprint, store_name: str) -> tuple[Diagnosis, ...]:
        """Why HTTP.sys could not use this certificate, likeliest cause first; empty when it can."""
        ...

    def served_at(self, key: BindingKey) -> tuple[str, int] | None:
        """Where a TLS client on this computer reaches what answers for this key: address and port.

        None when nothing here could answer; that something listens there is not promised.
        """
        ...

    def recover(self) -> list[str]:
        """Clean up what a killed `add` (keys without a certificate) or `try_out` left; a line per thing done."""
        ...

    def lock(self, name: str, *, timeout: float) -> AbstractContextManager[Path]:
        """Hold a named lock across processes and threads; `timeout` in seconds. As `state_folder`, and gives that.

        Raises:
            BindingError: somebody else holds it for longer than `timeout`; the message says who, if known.
        """
        ...

    def at_once(self) -> AbstractContextManager[bool]:
        """Change what is changed inside all at once, at the end, or after an error not at all, where the machine can.

        Then it gives True, and nobody else changes anything meanwhile: nothing that waits belongs inside. Elsewhere it
        gives False, and each thing is changed as it comes. Stores, bindings and reservations take part.
        """
        ...

    def close(self) -> None:
        """Release what the machine holds; idempotent."""
        ...
