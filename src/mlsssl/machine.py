"""`Machine`: what keeps certificates, bindings and services; this Windows computer, or an embedded one anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsssl._select import ports
from mlsssl.binding import Bindings
from mlsssl.errors import UnsupportedError
from mlsssl.service import Services
from mlsssl.store import Store
from mlsssl.values import check_location

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from typing_extensions import Self

    from mlsssl._embedded.listener.connection import Limits
    from mlsssl._embedded.listener.listener import Listener
    from mlsssl._embedded.port import EmbeddedPort
    from mlsssl._machine.ports import MachinePort
    from mlsssl.reservation import UrlReservations
    from mlsssl.values import Location

__all__ = ["EmbeddedMachine", "Machine", "WindowsMachine"]


class Machine:
    """A machine: certificate stores, TLS bindings, services. A context manager.

    `Machine.local()` is this computer; `EmbeddedMachine(path)` a sandbox anywhere.

    Args:
        port: The seam to it. Tests bring their own; everybody else uses the classes named above.
    """

    def __init__(self, port: MachinePort) -> None:
        self._port = port

    @classmethod
    def local(cls, *, create: bool = True) -> Machine:
        """This computer: Windows itself on Windows, the embedded machine at its default place elsewhere.

        The environment variable `MLSSSL_MACHINE` (a path) chooses an embedded machine on any platform.

        Args:
            create: As in `EmbeddedMachine`; Windows itself is always there.

        Raises:
            NotFoundError: there is no such embedded machine, and `create` is False.
            AccessDeniedError, MalformedDataError, UnsupportedError: the embedded machine's file cannot be used.
        """
        return EmbeddedMachine(create=create) if ports.local_is_embedded() else WindowsMachine()

    @property
    def port(self) -> MachinePort:
        """The seam: plain records in, plain records out."""
        return self._port

    @property
    def description(self) -> str:
        """What to call it in messages."""
        return self._port.description

    @property
    def state_folder(self) -> Path:
        """Where records of changes and locks live; only its owner (on Windows: administrators) may enter."""
        return self._port.state_folder

    def store(self, name: str = "MY", *, location: Location = "LocalMachine", create: bool = False) -> Store:
        """`Store.open` on this machine; arguments and errors as `Store.open`."""
        return Store.open(name, location=location, machine=self, create=create)

    def store_names(self, location: Location = "LocalMachine") -> list[str]:
        """The names of the stores that exist in this location, sorted."""
        return self._port.store_names(check_location(location))

    @property
    def bindings(self) -> Bindings:
        """The TLS bindings, by key."""
        return Bindings(self)

    @property
    def reservations(self) -> UrlReservations:
        """The URL reservations, by prefix."""
        from mlsssl.reservation import UrlReservations  # most machines are never asked for them

        return UrlReservations(self)

    @property
    def services(self) -> Services:
        """The services, by key name."""
        return Services(self._port.services)

    def _repr_html_(self) -> str:
        """A card for notebooks: what is bound, and the names of the stores."""
        from mlsssl._notebook.cards import card, facts, or_why, part, table, text
        from mlsssl.binding import card_heads, card_row

        def bound() -> str:
            return table(card_heads(), [card_row(one) for one in self.bindings], empty="nothing is bound")

        return card(
            text(self.description),
            facts([("stores", or_why(lambda: ", ".join(self.store_names())))]),
            part("bindings", or_why(bound, is_html=True)),
        )

    def recover(self) -> list[str]:
        """Clean up what a killed process left; a line for each thing done, none when all was well."""
        return self._port.recover()

    def close(self) -> None:
        """Release what it holds open; idempotent."""
        self._port.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.description}>"


class EmbeddedMachine(Machine):
    """A machine in one SQLite file: the same stores, rules and error codes as Windows, on any operating system.

    Safe under several processes and threads; killed at any moment, no acknowledged change is lost.

    Args:
        path: The file. When not given: the path in `MLSSSL_MACHINE`, else `mlsssl/machine.sqlite` in the platform's
            folder for application data.
        create: Whether a file that is missing is made, with its folder, for this user only. False for what looks at a
            machine, so that a mistyped path is found out.
        atomic_update: False imitates Server 2016, where a binding cannot be updated in one step.

    Raises:
        NotFoundError: the file is missing, and `create` is False.
        AccessDeniedError: the file or folder may not be used.
        MalformedDataError: the file is something else, or damaged.
        UnsupportedError: a newer version of this library wrote it.
    """

    _port: EmbeddedPort

    def __init__(self, path: str | Path | None = None, *, create: bool = True, atomic_update: bool = True) -> None:
        if not create:
            ports.refuse_missing(path)
        super().__init__(ports.embedded_port(path, atomic_update=atomic_update))

    @property
    def path(self) -> Path:
        """The file."""
        return self._port.path

    def listen(
        self,
        *,
        host: str | Sequence[str] = "127.0.0.1",
        ports: Mapping[int, int] | None = None,
        allow_legacy_tls: bool = False,
        limits: Limits | None = None,
    ) -> Listener:
        """A TLS listener over the bindings, not started yet: `with machine.listen() as listener:`.

        It picks the certificate as HTTP.sys does, serves a changed binding to the next handshake, and leaves open
        connections alone.

        Args:
            host: Where to listen: an IP address or host name, or several.
            ports: Which ports of the bindings to serve, and where: `{443: 8443}`; 0 lets the system choose. When
                not given: every port, each where the system chooses; `listener.port_of(key)` tells where.
            allow_legacy_tls: Speak TLS 1.0 and 1.1 where a binding does not forbid it.
            limits: What one client may cost.

        Returns:
            The listener; its owner closes it. It goes on when this machine is closed.

        Raises:
            InvalidInputError: no host, or a port that is none.
        """
        return self._port.listen(host=host, ports=ports, allow_legacy_tls=allow_legacy_tls, limits=limits)

    @property
    def central_store_folder(self) -> Path | None:
        """The folder that stands for IIS' Central Certificate Store, for the CCS bindings; None when not set."""
        store = self._port.central_store
        return None if store is None else store.folder

    def set_central_store(self, folder: str | Path | None, password: str | None = None) -> None:
        """Say where the Central Certificate Store is: PFX files named by host, `_.example.com.pfx` for wildcards.

        Args:
            folder: The folder; None forgets it.
            password: The one password of all files; kept in the machine's file, which only its owner may read.

        Raises:
            NotFoundError: there is no such folder.
        """
        self._port.set_central_store(folder, password)

    def define_service(self, name: str, *, depends_on: Sequence[str] = (), running: bool = True) -> None:
        """Make an imitated service, so that `restart=` and `machine.services` can be tried: no process runs.

        Args:
            name: Its key name.
            depends_on: Services that it needs, which have to be defined before it.
            running: Whether it runs at first.

        Raises:
            InvalidInputError: a name that is none, or that is taken, or a service it needs that is not there.
        """
        self._port.services.define(name, depends_on=depends_on, running=running)


class WindowsMachine(Machine):
    """This Windows computer, through Crypt32, ncrypt, advapi32 and httpapi.

    Raises:
        UnsupportedError: this is not Windows.
    """

    def __init__(self) -> None:
        import sys

        if sys.platform != "win32":
            raise UnsupportedError("WindowsMachine runs on Windows only; EmbeddedMachine runs anywhere")
        super().__init__(ports.windows_port())
