"""The listener: real sockets for the ports of a binding table, in a thread of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import errno
import functools
import ipaddress
import socket
import threading
import weakref
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from mlsssl._embedded.database import Database
from mlsssl._embedded.listener.connection import Connection, Limits, Service
from mlsssl._embedded.listener.serving import Serving
from mlsssl._formats.binding_keys import BindingFamily, IpPort, parse_binding_key
from mlsssl._messages.arguments import check_mapping, check_type, items_of
from mlsssl._messages.foreign_text import clean_logger, shown, system_reason
from mlsssl.errors import ClosedError, InvalidInputError, ListenerError, MlssslError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

    from mlsssl._formats.binding_keys import BindingKey

logger = clean_logger("mlsssl.listener")

_running: weakref.WeakSet[Listener] = weakref.WeakSet()

_LOOK = 0.25  # seconds between two looks for ports that something was bound to since
_PATIENCE = 30.0  # seconds to wait for the listener's thread


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenAddress:
    """One listening socket.

    Attributes:
        host: The IP address it listens on.
        port: The port it listens on.
        binding_port: The port in the binding table that it stands for.
    """

    host: str
    port: int
    binding_port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class Listener:
    """An HTTPS server over a binding table; starts with `with`, `async with`, `await` or `start()`.

    It runs in a thread of its own, so it works the same in programs with and without an event loop. A binding that
    anybody changes, in this process or another, answers the very next handshake; connections that are open go on as
    they are.

    Args:
        path: The machine's file.
        host: Where to listen: an IP address or host name, or several. Records for a concrete IP address answer only
            those who connect to that address.
        ports: Which ports of the table to serve, and where: `{443: 8443}`; 0 lets the system choose. None serves
            every port of the table, and those bound later, where the system chooses.
        allow_legacy_tls: Speak TLS 1.0 and 1.1 where a binding does not forbid it. Off, as on current Windows.
        families: The binding families that the machine knows.
        limits: What one client may cost.
        clock: The time for the status page; aware.

    Raises:
        InvalidInputError: no host, or a port that is none.
    """

    def __init__(
        self,
        path: Path,
        *,
        host: str | Sequence[str] = "127.0.0.1",
        ports: Mapping[int, int] | None = None,
        allow_legacy_tls: bool = False,
        families: Collection[BindingFamily] = tuple(BindingFamily),
        limits: Limits | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        self._path = path
        expected = "host is an address or a list of them, for example '127.0.0.1'"
        self._hosts = (host,) if isinstance(host, str) else tuple(items_of(host, expected))
        if not self._hosts or not all(isinstance(name, str) and name for name in self._hosts):
            raise InvalidInputError(f"{expected}, not {shown(host)}")
        self._ports = None if ports is None else _check_ports(ports)
        self._allow_legacy_tls = allow_legacy_tls
        self._families = tuple(families)
        self._limits = Limits() if limits is None else check_type(limits, Limits, "limits are a Limits")
        self._clock = clock
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._starting = threading.Lock()
        self._started = threading.Event()
        self._failure: MlssslError | None = None
        self._closed = False
        self._close_timeout = 0.0
        self._addresses: dict[int, list[ListenAddress]] = {}
        self._servers: list[asyncio.Server] = []
        self._opening: asyncio.Lock | None = None
        self._serving: Serving | None = None
        self._service: Service | None = None

    def __repr__(self) -> str:
        state = "closed" if self._closed else ", ".join(map(str, self.addresses)) or "not started"
        return f"<Listener {state}>"

    def start(self) -> Self:
        """Start; return when every port listens. Idempotent.

        Raises:
            ListenerError: a port is in use, needs a right that is missing, or the address is not this computer's.
            ClosedError: it was closed.
            StoreError, MalformedDataError, AccessDeniedError: the machine's file cannot be opened.
        """
        if self._closed:
            raise ClosedError("a listener that was closed does not start again; make a new one")
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="mlsssl-listener", daemon=True)
                self._thread.start()
            self._started.wait()
        if self._failure is not None:
            self._closed = True
            raise self._failure
        _running.add(self)
        return self

    def close(self, timeout: float = 5.0) -> None:
        """Stop accepting, let answers under way be sent, close; idempotent.

        Args:
            timeout: Seconds to wait for clients that do not take their answers.
        """
        self._closed = True
        _running.discard(self)
        thread, loop, stop = self._thread, self._loop, self._stop
        if thread is None or loop is None or stop is None:
            return
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            loop.call_soon_threadsafe(self._begin_to_close, timeout)
        if thread is not threading.current_thread():
            thread.join(timeout + 5.0)

    @property
    def path(self) -> Path:
        """The machine's file."""
        return self._path

    @property
    def addresses(self) -> tuple[ListenAddress, ...]:
        """Every listening socket, by port of the table."""
        return tuple(address for _, found in sorted(self._addresses.copy().items()) for address in found)

    def port_of(self, key: BindingKey | str | int) -> int:
        """The port to connect to for a binding.

        Args:
            key: A binding key or its text (`0.0.0.0:443`), or a port of the table.

        Returns:
            The port on the (first) host that the listener was started with. When something was bound to this port
            only just now, it is opened first.

        Raises:
            ListenerError: the listener does not run, or serves other ports.
            InvalidInputError: not a key.
        """
        port = key if isinstance(key, int) else parse_binding_key(key).port
        loop = self._loop
        if self._thread is None or self._closed or loop is None:
            raise ListenerError("the listener does not run; start it with `with`, or start()")
        if port not in self._addresses and self._ports is None:
            opening = asyncio.run_coroutine_threadsafe(self._open_bound_ports(), loop)
            try:
                opening.result(_PATIENCE)
            except concurrent.futures.TimeoutError:
                raise ListenerError(f"the listener did not open port {port} within {_PATIENCE:g} seconds") from None
        found = self._addresses.get(port)
        if not found:
            known = ", ".join(map(str, sorted(self._addresses))) or "none"
            raise ListenerError(f"port {port} of the binding table is not served; these are: {known}")
        return found[0].port

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __await__(self) -> Generator[None, None, Self]:
        return asyncio.to_thread(self.start).__await__()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except MlssslError as error:
            self._failure = error
        except Exception as error:
            logger.exception("the listener ended")
            self._failure = ListenerError(f"the listener ended: {error}")
        finally:
            self._addresses.clear()
            self._started.set()

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._opening = asyncio.Lock()
        # Its own connection, so that a change made through any other one shows in data_version. A writer keeps it
        # from reading for an instant at most; waiting longer would let all clients wait.
        database = Database(self._path, busy_timeout=2.0)
        try:
            self._serving = Serving(database, families=self._families, allow_legacy_tls=self._allow_legacy_tls)
            self._service = Service(serving=self._serving, limits=self._limits, clock=self._clock, connections=set())
            for binding_port, port in (self._ports or {}).items():
                await self._open(binding_port, port)
            await self._open_bound_ports()
            self._started.set()
            while not self._stop.is_set():
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), _LOOK)
                try:
                    await self._open_bound_ports()
                except MlssslError as error:
                    logger.warning("%s", error)
        finally:
            await self._shut()
            database.close()

    async def _open_bound_ports(self) -> None:
        """Listen for every port of the table that has no socket yet, unless the caller named the ports."""
        assert self._serving is not None
        assert self._opening is not None
        if self._ports is not None:
            return
        async with self._opening:
            for binding_port in self._serving.ports():
                if binding_port not in self._addresses:
                    await self._open(binding_port, 0)

    async def _open(self, binding_port: int, port: int) -> None:
        assert self._service is not None
        sockets = await self._bound_sockets(port)
        addresses = []
        for listening in sockets:
            host, number = listening.getsockname()[:2]
            addresses.append(ListenAddress(host=host, port=number, binding_port=binding_port))
            factory = functools.partial(Connection, self._service, binding_port)
            self._servers.append(await asyncio.get_running_loop().create_server(factory, sock=listening, backlog=1024))
        self._addresses[binding_port] = addresses

    async def _bound_sockets(self, port: int) -> list[socket.socket]:
        """One socket per address, all with the same number when the system chooses it."""
        addresses = [address for host in self._hosts for address in await _resolve(host)]
        for attempt in range(20):
            sockets: list[socket.socket] = []
            try:
                for address in dict.fromkeys(addresses):
                    number = port or (sockets[0].getsockname()[1] if sockets else 0)
                    sockets.append(_bind(address, number))
            except ListenerError as error:
                for opened in sockets:
                    opened.close()
                taken = isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EADDRINUSE
                if port or not sockets or not taken or attempt == 19:
                    raise
            else:
                return sockets
        raise AssertionError("the last attempt returns or raises")

    def _begin_to_close(self, timeout: float) -> None:
        assert self._stop is not None
        assert self._service is not None
        self._close_timeout = timeout
        self._stop.set()
        for server in self._servers:
            server.close()
        for connection in list(self._service.connections):
            connection.close()

    async def _shut(self) -> None:
        for server in self._servers:
            server.close()
        if self._service is None:
            return
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._close_timeout
        while self._service.connections and loop.time() < deadline:
            await asyncio.sleep(0.01)
        for connection in list(self._service.connections):
            connection.abort()
        await asyncio.sleep(0)  # let the transports close their sockets


def _check_ports(ports: Mapping[int, int]) -> dict[int, int]:
    expected = "ports maps ports of the table to ports to listen on, for example {443: 8443}"
    checked = check_mapping(ports, expected)
    for pair in checked.items():
        table, here = (check_type(port, int, expected) for port in pair)
        if not 1 <= table <= 65535 or not 0 <= here <= 65535:
            raise InvalidInputError(f"{expected}, not {shown(ports)}")
    return checked


def served_at(path: Path, key: BindingKey) -> tuple[str, int] | None:
    """Where a listener of this process over this file answers for a key: address and port; None when none does.

    A record for a concrete address answers only those who connect to it, and `[::]` only those who come by IPv6.
    """
    for listener in list(_running):
        if listener.path != path:
            continue
        for address in listener.addresses:
            host = ipaddress.ip_address(address.host)
            if address.binding_port != key.port:
                continue
            if host.is_unspecified:
                host = ipaddress.ip_address("::1" if host.version == 6 else "127.0.0.1")
            if isinstance(key, IpPort):
                if not key.is_wildcard and key.ip != host:
                    continue
                if key.ip.version == 6 and host.version == 4:
                    continue
            return str(host), address.port
    return None


async def _resolve(host: str) -> list[str]:
    with contextlib.suppress(ValueError):
        return [str(ipaddress.ip_address(host.strip("[]")))]
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ListenerError(f"there is no address for the host {shown(host)}: {system_reason(error)}") from None
    return [str(address[4][0]) for address in found]


def _bind(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        opened.bind((address, port))
        opened.listen(1024)
        opened.setblocking(False)
    except OSError as error:
        opened.close()
        raise ListenerError(f"cannot listen on {address} port {port}: {_advice(error, port)}") from error
    return opened


def _advice(error: OSError, port: int) -> str:
    if error.errno in (errno.EADDRINUSE, getattr(errno, "WSAEADDRINUSE", errno.EADDRINUSE)):
        return "another program listens there; choose another port: ports={443: 0} takes any free one"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"this user may not use it; choose a port above 1023, for example ports={{{port}: {port + 8000}}}"
    if error.errno == errno.EADDRNOTAVAIL:
        return "it is no address of this computer"
    return system_reason(error)
