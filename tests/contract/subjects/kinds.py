"""What the contract tests need of a machine: one small record per part of the seam.

A machine joins by a module in this folder that has `BINDINGS`, `HTTP`, `SERVICES` or `STORES`: name to a function that
takes an empty folder and returns a context manager around the subject. `conftest.py` finds the modules.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from mlsssl._machine.ports import (
        BindingsPort,
        Diagnosis,
        HttpSettingsPort,
        RequestKeysPort,
        ReservationsPort,
        ServicesPort,
        StorePort,
    )
    from mlsssl.values import Location, Thumbprint

    HttpMaker = Callable[[Path], AbstractContextManager["HttpSubject"]]
    BindingsMaker = Callable[[Path], AbstractContextManager["BindingsSubject"]]
    ServicesMaker = Callable[[Path], AbstractContextManager["ServicesSubject"]]
    StoresMaker = Callable[[Path], AbstractContextManager["StoresSubject"]]


MADE_UP_TRUST_LIST = ("Client issuers é\U0001f512", "Issuers")
"""A certificate trust list that nobody has: its identifier and its store."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingsSubject:
    """A machine's bindings, under test.

    Attributes:
        bindings: The port.
        add_certificate: Names a certificate with a usable machine key in the MY store of LocalMachine; each time
            another one than the last time.
        takes_unknown_bits: Whether the machine keeps option bits without a name (a Windows may refuse them).
        trust_list: Identifier and store of a trust list that a record may name; None for no identifier.
        may_refuse: Options of `BindingOptions` that this machine may answer 87, depending on its build.
    """

    bindings: BindingsPort
    add_certificate: Callable[[], Thumbprint]
    takes_unknown_bits: bool = True
    trust_list: tuple[str | None, str] = MADE_UP_TRUST_LIST
    may_refuse: frozenset[str] = frozenset()


class HttpMachine(Protocol):
    """The part of `MachinePort` that is about HTTP.sys besides bindings."""

    @property
    def reservations(self) -> ReservationsPort: ...

    @property
    def http_settings(self) -> HttpSettingsPort: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSubject:
    """A machine's URL reservations and settings of HTTP.sys, under test.

    Attributes:
        port: The machine.
        may_be_configured: Whether its listen list and numbers may be changed: not those of a real HTTP.sys.
        keeps_words: Whether it gives prefixes and access lists back character by character, not only in what they say.
    """

    port: HttpMachine
    may_be_configured: bool = True
    keeps_words: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicesSubject:
    """A machine's services, under test.

    Attributes:
        services: The port.
        stopped: Key name of a service that is stopped, can be started and stopped, and has no dependents.
        settle: Waits until the service of that name is in no pending state.
    """

    services: ServicesPort
    stopped: str
    settle: Callable[[str], None]


class StoresMachine(Protocol):
    """The part of `MachinePort` that is about stores."""

    @property
    def request_keys(self) -> RequestKeysPort: ...

    def store_names(self, location: Location) -> list[str]: ...

    def open_store(
        self, name: str, location: Location, *, create: bool = False, write: bool = False, keep_open: bool = False
    ) -> StorePort: ...

    def diagnose(self, thumbprint: Thumbprint, store_name: str) -> tuple[Diagnosis, ...]: ...

    def recover(self) -> list[str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoresSubject:
    """A machine's stores, under test.

    Attributes:
        machine: One process's view of it.
        another_process: A second view of the same machine, as another process has.
        keys: How many private keys the machine keeps; None where it cannot tell.
        my: A store that exists in both locations and is empty: MY, where that is nobody else's.
        ec_keys: Why it keeps no EC keys, or None.
        archives: Why it cannot hide a certificate from listings, or None.
        access_lists: Why it cannot change who may read a key, or None.
        crls_of_one_issuer: Why it keeps only one revocation list of an issuer, or None.
    """

    machine: StoresMachine
    another_process: Callable[[], StoresMachine]
    keys: Callable[[], int] | None
    my: str = "MY"
    ec_keys: str | None = None
    archives: str | None = None
    access_lists: str | None = None
    crls_of_one_issuer: str | None = None
