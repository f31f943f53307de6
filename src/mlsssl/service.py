"""Windows services by key name: look, stop, start, restart, with the services that need them, in order.

A new binding or certificate needs no restart of HTTP.sys, but a program that loads its certificate at start does.
How the service manager orders and reports things: learn.microsoft.com/windows/win32/services, pages "Starting a
Service" and "Stopping a Service".
"""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlsssl._machine.ports import ServiceState, ServiceStatus, refuse_http_driver
from mlsssl._messages.arguments import check_number
from mlsssl.errors import InvalidInputError, MlssslError, ServiceError, ServiceNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mlsssl._machine.ports import ServicesPort

__all__ = ["Service", "ServiceState", "ServiceStatus", "Services"]

DEFAULT_TIMEOUT = 60.0
"""Seconds that one service gets to reach a state."""

_STALL = 10.0  # seconds without progress after which a start is given up, if its wait hint is not longer
_FIRST_POLL, _SHORTEST_POLL, _LONGEST_POLL = 0.1, 1.0, 10.0  # seconds; the pages above ask for 1 to 10
_ROUNDS = 5  # how often dependents that came up meanwhile are stopped
_STOPPED = frozenset({ServiceState.STOPPED})
_RUNNING = frozenset({ServiceState.RUNNING})
_SETTLED = frozenset({ServiceState.STOPPED, ServiceState.RUNNING, ServiceState.PAUSED})
_PENDING = frozenset({ServiceState.START_PENDING, ServiceState.CONTINUE_PENDING, ServiceState.PAUSE_PENDING})
_SEE_SPECIFIC = 1066  # ERROR_SERVICE_SPECIFIC_ERROR: the service has a code of its own


@dataclass(frozen=True, slots=True)
class Timing:
    """How time passes: for tests."""

    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class Services:
    """The services of a machine, by key name: `machine.services["W3SVC"]`.

    Args:
        port: The machine's service manager.
        timing: How time passes.
    """

    def __init__(self, port: ServicesPort, *, timing: Timing | None = None) -> None:
        self._port = port
        self._timing = timing or Timing()

    def __getitem__(self, name: str) -> Service:
        """The service, which is looked up now.

        Args:
            name: Its key name (`W3SVC`), not the name that the Services window shows; case does not matter.

        Raises:
            ServiceNotFoundError: there is none.
            InvalidInputError: this cannot be the name of one.
            AccessDeniedError: this user may not look at it.
        """
        self._port.query(name)
        return Service(name, self._port, timing=self._timing)

    def __contains__(self, name: object) -> bool:
        """Whether there is such a service."""
        if not isinstance(name, str):
            return False
        try:
            self._port.query(name)
        except (ServiceNotFoundError, InvalidInputError):
            return False
        return True


class Service:
    """One service. Made by `Services`; it holds no handle, so there is nothing to close.

    Every method may raise `ServiceNotFoundError` (it was deleted meanwhile), `AccessDeniedError` (starting and
    stopping need an administrator, as a rule) and `NativeError`.

    Args:
        name: The key name.
        port: The machine's service manager.
        timing: How time passes.
    """

    def __init__(self, name: str, port: ServicesPort, *, timing: Timing | None = None) -> None:
        self._name = name
        self._port = port
        self._timing = timing or Timing()

    @property
    def name(self) -> str:
        """The key name, as it was given."""
        return self._name

    @property
    def status(self) -> ServiceStatus:
        """One look at it, now."""
        return self._port.query(self._name)

    @property
    def state(self) -> ServiceState:
        """Its state, now."""
        return self.status.state

    @property
    def dependents(self) -> tuple[Service, ...]:
        """The services that need it and are not stopped, in the order in which to stop them."""
        return tuple(
            Service(name, self._port, timing=self._timing) for name in self._port.active_dependents(self._name)
        )

    def stop(self, *, timeout: float = DEFAULT_TIMEOUT) -> tuple[str, ...]:
        """Stop it, and before it the services that need it; wait until they are stopped.

        When one of them cannot be stopped, those stopped before it are started again, as well as they can be.

        Args:
            timeout: Seconds for each service. A single request may block 30 seconds longer, for Windows sends
                one at a time.

        Returns:
            The key names of the dependents that were stopped, in that order: `start` them in reverse.

        Raises:
            InvalidInputError: it is the HTTP driver, which would take every web server down; or `timeout` is not
                more than 0.
            ServiceError: a dependent is paused (nothing was stopped then), one refused, or one did not get there
                in time; `.state` says where it got stuck.
        """
        _check_timeout(timeout)
        refuse_http_driver(self._name)
        stopped: list[str] = []
        try:
            self._stop_dependents(stopped, timeout)
            self._stop_one(self._name, timeout)
        except BaseException as error:
            down = self._start_all(reversed(stopped), timeout)
            if down and isinstance(error, ServiceError):
                text = f"{error}; stopped before it, and not started again: {_list(down)}"
                raise ServiceError(text, service=error.service, state=error.state) from error
            raise
        return tuple(stopped)

    def start(self, *, timeout: float = DEFAULT_TIMEOUT) -> None:
        """Start it and wait until it runs; what it needs is started by Windows. Running already is fine.

        Args:
            timeout: As for `stop`.

        Raises:
            InvalidInputError: it is the HTTP driver, or `timeout` is not more than 0.
            ServiceError: it refused, it stopped again (the message has its exit code), or it did not get there in
                time; `.state` says where it got stuck. A paused service is not resumed: also this error.
        """
        _check_timeout(timeout)
        refuse_http_driver(self._name)
        self._start_one(self._name, timeout)

    def restart(self, *, timeout: float = DEFAULT_TIMEOUT) -> None:
        """Stop it with the services that need it, and start them all again. Stopped or paused before, it runs after.

        Args:
            timeout: As for `stop`.

        Raises:
            InvalidInputError, ServiceError: as `stop` and `start`; when a start fails, the others are started all
                the same, and the error names every service that is down.
        """
        dependents = self.stop(timeout=timeout)
        self._start_again(dependents, timeout, None)

    @contextlib.contextmanager
    def stopped(self, *, timeout: float = DEFAULT_TIMEOUT) -> Iterator[None]:
        """Keep it stopped for the time of a `with` block; afterwards everything runs again that ran before.

        The start is tried whatever happened in the block. A service that was stopped before stays stopped.

        Args:
            timeout: As for `stop`.

        Raises:
            InvalidInputError, ServiceError: as `stop`; it is paused (which could not be brought back); or, after
                the block, a start failed: the error names every service that is down, and its cause is the
                block's own error, if there was one.
        """
        _check_timeout(timeout)
        refuse_http_driver(self._name)
        before = self._port.query(self._name).state
        if before is ServiceState.PAUSED:
            raise _refused(self._name, "is paused, and would not be after a restart; resume or stop it first", before)
        dependents = self.stop(timeout=timeout)
        again = before not in (ServiceState.STOPPED, ServiceState.STOP_PENDING)
        failure: BaseException | None = None
        try:
            yield
        except BaseException as error:
            failure = error
            raise
        finally:
            if again:
                self._start_again(dependents, timeout, failure)

    def __repr__(self) -> str:
        return f"Service({self._name!r})"

    def _stop_dependents(self, stopped: list[str], timeout: float) -> None:
        for _ in range(_ROUNDS):
            names = self._port.active_dependents(self._name)
            if not names:
                return
            for name in names:
                refuse_http_driver(name)
                state = self._port.query(name).state
                if state is ServiceState.PAUSED:
                    raise _refused(name, f"needs {self._name!r} and is paused; resume or stop it first", state)
            for name in names:
                if self._stop_one(name, timeout) and name not in stopped:
                    stopped.append(name)

    def _stop_one(self, name: str, timeout: float) -> bool:
        """Stop and wait; whether it was this call that stopped it."""
        if self._port.query(name).state in _PENDING:  # it takes no control until that is over
            self._wait(name, _SETTLED, timeout)
        asked = self._port.request_stop(name)
        if asked:
            self._wait(name, _STOPPED, timeout)
        return asked

    def _start_one(self, name: str, timeout: float) -> None:
        if self._port.query(name).state is ServiceState.STOP_PENDING:
            self._wait(name, _STOPPED, timeout)
        self._port.request_start(name)
        self._wait(name, _RUNNING, timeout)

    def _start_again(self, dependents: tuple[str, ...], timeout: float, failure: BaseException | None) -> None:
        down = self._start_all((self._name, *reversed(dependents)), timeout)
        if not down:
            return
        name, error = down[0]
        after = f" (after the work in between failed: {failure})" if failure else ""
        state = error.state if isinstance(error, ServiceError) else None
        text = f"not started again: {_list(down)}{after}"
        raise ServiceError(text, service=name, state=state) from (failure or error)

    def _start_all(self, names: Iterable[str], timeout: float) -> list[tuple[str, MlssslError]]:
        """Start each, whatever happens to the others; those that failed, with why."""
        down: list[tuple[str, MlssslError]] = []
        for name in names:
            try:
                self._start_one(name, timeout)
            except MlssslError as error:
                down.append((name, error))
        return down

    def _wait(self, name: str, wanted: frozenset[ServiceState], timeout: float) -> None:
        """Look until the service is in one of the states: as the pages above say, but looking sooner at first."""
        now = self._timing.clock()
        deadline, progressed, seen, poll = now + timeout, now, (ServiceState.STOPPED, -1), _FIRST_POLL
        while True:
            status = self._port.query(name)
            if status.state in wanted:
                return
            now = self._timing.clock()
            if (status.state, status.check_point) != seen:
                seen, progressed = (status.state, status.check_point), now
            starting = wanted == _RUNNING
            if starting and status.state is ServiceState.STOPPED:
                own = status.exit_code == _SEE_SPECIFIC
                code = f"its own exit code {status.specific_exit_code}" if own else f"exit code {status.exit_code}"
                raise _refused(name, f"stopped again while starting, with {code}", status.state)
            if starting and status.state is ServiceState.PAUSED:
                raise _refused(name, "is paused; resume it", status.state)
            hint = status.wait_hint / 1000
            stalled = starting and now - progressed > max(hint, _STALL)
            if stalled or now >= deadline:
                waited = f"after {now - (deadline - timeout):.0f} s"
                goal = " or ".join(sorted(state.name for state in wanted))
                raise _refused(name, f"is still {status.state.name} {waited}, not {goal}", status.state)
            longest = min(max(hint / 10, _SHORTEST_POLL), _LONGEST_POLL)
            self._timing.sleep(max(0.0, min(poll, longest, deadline - now)))
            poll *= 2


def _check_timeout(timeout: float) -> None:
    # The longest that Python itself waits for anything is 292 years.
    check_number(timeout, 0, threading.TIMEOUT_MAX, "timeout is a number of seconds above 0", above=True)


def _refused(name: str, why: str, state: ServiceState) -> ServiceError:
    return ServiceError(f"service {name!r} {why}", service=name, state=state.name)


def _list(down: list[tuple[str, MlssslError]]) -> str:
    return "; ".join(f"{name!r} ({why})" for name, why in down)
