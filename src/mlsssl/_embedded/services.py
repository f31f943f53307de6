"""An imitation of the service manager: named services with dependents, whose states are kept in the file.

Nothing is started or stopped. It is there so that a deployment with `restart=[...]` can be tried, with services
that take their time or fail to start, before it meets a real one.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mlsssl._machine.ports import ServiceState, ServiceStatus, refuse_http_driver
from mlsssl._messages.arguments import items_of
from mlsssl._messages.foreign_text import shown
from mlsssl.errors import ExistsError, InvalidInputError, MalformedDataError, ServiceError, ServiceNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mlsssl._embedded.database import Database

_PENDING = {ServiceState.RUNNING: ServiceState.START_PENDING, ServiceState.STOPPED: ServiceState.STOP_PENDING}
_LONGEST = 1e9  # seconds that a service is on its way: thirty years


class EmbeddedServices:
    """A `ServicesPort` over the file; `clock` gives seconds since 1970."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def define(
        self,
        name: str,
        *,
        depends_on: Iterable[str] = (),
        running: bool = False,
        takes: float = 0.0,
        start_error: int = 0,
    ) -> None:
        """Make a service; see `EmbeddedMachine.define_service`.

        Args:
            name: Its key name: 1 to 256 characters without slashes; compared without case.
            depends_on: Services defined before, which are started with it and cannot be stopped under it.
            running: Whether it runs now.
            takes: Seconds it stays START_PENDING or STOP_PENDING.
            start_error: Not 0 makes every start end in STOPPED with this Win32 exit code.
        """
        _check_name(name)
        depends_on = list(items_of(depends_on, "depends_on is a list of services' key names"))
        if not 0 <= takes <= _LONGEST or not 0 <= start_error <= 0xFFFF_FFFF:
            raise InvalidInputError("takes and start_error are not negative, nor beyond all measure")
        state = ServiceState.RUNNING if running else ServiceState.STOPPED
        with self._database.transaction():
            if self._database.query("SELECT 1 FROM services WHERE name = ?", (name,)):
                raise ExistsError(f"there is a service {shown(name)} already")
            for other in depends_on:
                self.query(other)
            self._database.query(
                "INSERT INTO services (name, state, changed_at, takes, start_error) VALUES (?, ?, 0, ?, ?)",
                (name, state.value, float(takes), start_error),
            )
            for other in depends_on:
                self._database.query("INSERT OR IGNORE INTO dependencies VALUES (?, ?)", (name, other))

    def delete(self, name: str) -> None:
        """Remove a service; `ServiceError` while others depend on it, `ServiceNotFoundError` when it is not there."""
        with self._database.transaction():
            self.query(name)
            dependents = self._dependents(name)
            if dependents:
                raise ServiceError(f"{name} is needed by {', '.join(dependents)}", service=name)
            self._database.query("DELETE FROM dependencies WHERE service = ?", (name,))
            self._database.query("DELETE FROM services WHERE name = ?", (name,))

    def names(self) -> list[str]:
        """Every service, sorted."""
        return [row[0] for row in self._database.query("SELECT name FROM services ORDER BY name", columns="t")]

    def active_dependents(self, name: str) -> tuple[str, ...]:
        """Services that need this one and are not stopped, in the order in which to stop them."""
        with self._database.transaction(write=False):
            self.query(name)
            return self._active_dependents(name)

    def request_start(self, name: str) -> bool:
        """Ask it to start, those it needs before it; see `ServicesPort.request_start`."""
        _check_name(name)
        refuse_http_driver(name)
        with self._database.transaction():
            return self._start(name)

    def request_stop(self, name: str) -> bool:
        """Ask it to stop; see `ServicesPort.request_stop`."""
        _check_name(name)
        refuse_http_driver(name)
        with self._database.transaction():
            status = self.query(name)
            if status.state is ServiceState.STOPPED:
                return False
            if not status.accepts_stop:
                raise ServiceError(
                    f"{name} is {status.state.name} and cannot take a stop now "
                    "(1061, ERROR_SERVICE_CANNOT_ACCEPT_CTRL); wait for it",
                    service=name,
                    state=status.state.name,
                )
            active = self._active_dependents(name)
            if active:
                raise ServiceError(
                    f"{name} cannot stop while {', '.join(active)} run "
                    "(1051, ERROR_DEPENDENT_SERVICES_RUNNING); stop them first",
                    service=name,
                    state=status.state.name,
                )
            self._move(name, ServiceState.STOPPED, exit_code=0)
            return True

    def _start(self, name: str, *, above: tuple[str, ...] = ()) -> bool:
        if name in above:
            raise MalformedDataError(f"{self._database.path} is damaged: the service {name!r} needs itself")
        status = self.query(name)
        if status.state in (ServiceState.RUNNING, ServiceState.START_PENDING):
            return False  # 1056, ERROR_SERVICE_ALREADY_RUNNING, is the answer to both
        if status.state is not ServiceState.STOPPED:
            raise ServiceError(
                f"{name} is {status.state.name}; wait until it has stopped", service=name, state=status.state.name
            )
        needs = self._database.query("SELECT needs FROM dependencies WHERE service = ?", (name,), columns="t")
        for (needed,) in needs:
            self._start(needed, above=(*above, name))
            if self.query(needed).state is ServiceState.STOPPED:
                raise ServiceError(
                    f"{name} did not start: {needed}, which it needs, failed (1068, ERROR_SERVICE_DEPENDENCY_FAIL)",
                    service=name,
                    state="STOPPED",
                )
        row = self._database.query_one("SELECT start_error FROM services WHERE name = ?", (name,), columns="i")
        error = int(row[0]) if row else 0
        self._move(name, ServiceState.STOPPED if error else ServiceState.RUNNING, exit_code=error)
        return True

    def _move(self, name: str, state: ServiceState, *, exit_code: int) -> None:
        self._database.query(
            "UPDATE services SET state = ?, changed_at = ?, exit_code = ? WHERE name = ?",
            (state.value, self._clock(), exit_code, name),
        )

    def query(self, name: str) -> ServiceStatus:
        """Look; see `ServicesPort.query`."""
        _check_name(name)
        row = self._database.query_one(
            "SELECT state, changed_at, takes, exit_code FROM services WHERE name = ?", (name,), columns="irri"
        )
        if row is None:
            raise ServiceNotFoundError(
                f"there is no service {shown(name)} (1060, ERROR_SERVICE_DOES_NOT_EXIST); on the embedded machine a "
                "service has to be defined first",
                service=name,
            )
        number, changed_at, takes, exit_code = row
        goal = next((state for state in _PENDING if state.value == number), None)
        if goal is None or not 0 <= takes <= _LONGEST or not 0 <= exit_code <= 0xFFFF_FFFF:
            raise MalformedDataError(f"{self._database.path} is damaged: the service {name!r} cannot be as it says")
        # A start that is going to fail is a START_PENDING that ends in STOPPED.
        under_way = ServiceState.START_PENDING if exit_code else _PENDING[goal]
        elapsed = self._clock() - changed_at
        if 0 <= elapsed < takes:
            return ServiceStatus(
                state=under_way,
                accepts_stop=False,
                check_point=int(elapsed * 10) + 1,
                wait_hint=min(int(takes * 1000), 0xFFFF_FFFF),
                process_id=1,
            )
        running = goal is ServiceState.RUNNING
        return ServiceStatus(
            state=goal, accepts_stop=running, exit_code=0 if running else exit_code, process_id=int(running)
        )

    def _active_dependents(self, name: str) -> tuple[str, ...]:
        return tuple(n for n in self._dependents(name) if self.query(n).state is not ServiceState.STOPPED)

    def _dependents(self, name: str) -> list[str]:
        """All levels, each service before those it needs."""
        found: list[str] = []
        seen: set[str] = set()  # a damaged file may have services that need one another

        def visit(needed: str) -> None:
            if needed in seen:
                return
            seen.add(needed)
            rows = self._database.query(
                "SELECT service FROM dependencies WHERE needs = ? ORDER BY service", (needed,), columns="t"
            )
            for (service,) in rows:
                visit(service)
                if service not in found:
                    found.append(service)

        visit(name)
        return found


def _check_name(name: str) -> None:
    # CreateServiceW: at most 256 characters, no slash of either kind.
    if not isinstance(name, str) or not 1 <= len(name) <= 256 or any(c in "/\\\0" for c in name):
        raise InvalidInputError(f"a service name has 1 to 256 characters and no slash, not {shown(name)}")
