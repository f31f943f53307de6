"""Services: order, waiting, what happens when something in between fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from mlsssl._machine.ports import ServiceState, ServiceStatus, refuse_http_driver
from mlsssl.errors import InvalidInputError, ServiceError, ServiceNotFoundError
from mlsssl.service import Service, Services, Timing

S = ServiceState


@dataclass
class Script:
    """A service that goes through pending states as time passes.

    Attributes:
        state: Where it is when nothing is under way.
        needs: What it depends on.
        takes: Seconds a start or stop lasts.
        step: Seconds between two check points; 0 for none.
        hint: Its wait hint in milliseconds.
        fails: Exit code of every start.
        stuck: Every start and stop lasts for ever.
    """

    state: ServiceState = S.RUNNING
    needs: tuple[str, ...] = ()
    takes: float = 0.0
    step: float = 0.0
    hint: int = 2000
    fails: int = 0
    stuck: bool = False
    since: float = field(default=0.0, init=False)


class Manager:
    """A service manager with a clock of its own (`ServicesPort` and `Timing` in one)."""

    def __init__(self, **services: Script) -> None:
        self.services = services
        self.now = 1000.0
        self.log: list[str] = []
        self.sleeps: list[float] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds

    def query(self, name: str) -> ServiceStatus:
        service = self._get(name)
        elapsed = self.now - service.since
        if service.state in (S.START_PENDING, S.STOP_PENDING) and not service.stuck and elapsed >= service.takes:
            service.state = S.RUNNING if service.state is S.START_PENDING and not service.fails else S.STOPPED
        pending = service.state.name.endswith("PENDING")
        return ServiceStatus(
            state=service.state,
            accepts_stop=service.state is S.RUNNING,
            exit_code=service.fails,
            specific_exit_code=42,
            check_point=int(elapsed / service.step) if pending and service.step else 0,
            wait_hint=service.hint if pending else 0,
        )

    def active_dependents(self, name: str) -> tuple[str, ...]:
        self._get(name)
        return tuple(n for n, s in reversed(self.services.items()) if name in s.needs and s.state is not S.STOPPED)

    def request_start(self, name: str) -> bool:
        return self._request(name, S.START_PENDING, (S.RUNNING, S.PAUSED, S.START_PENDING))

    def request_stop(self, name: str) -> bool:
        assert not self.active_dependents(name), "Windows answers 1051"
        return self._request(name, S.STOP_PENDING, (S.STOPPED,))

    def _request(self, name: str, pending: ServiceState, there: tuple[ServiceState, ...]) -> bool:
        service = self._get(name)
        self.log.append(f"{'start' if pending is S.START_PENDING else 'stop'} {name}")
        if service.state in there:
            return False
        service.state, service.since = pending, self.now
        return True

    def _get(self, name: str) -> Script:
        if name not in self.services:
            raise ServiceNotFoundError(f"no {name}", service=name)
        return self.services[name]

    def __getitem__(self, name: str) -> Service:
        return Services(self, timing=Timing(clock=self.clock, sleep=self.sleep))[name]

    def states(self) -> dict[str, ServiceState]:
        return {name: self.query(name).state for name in self.services}


def chain() -> Manager:
    """`web` is needed by `app`, both by `shop`."""
    return Manager(web=Script(), app=Script(needs=("web",)), shop=Script(needs=("web", "app")))


def test_a_service_is_looked_up_when_named() -> None:
    """A wrong name is noticed at once, not at midnight."""
    manager = Manager(web=Script())
    services = Services(manager)
    assert "web" in services
    assert "nothing" not in services
    assert 5 not in services
    assert services["web"].state is S.RUNNING
    with pytest.raises(ServiceNotFoundError):
        services["nothing"]


def test_restart_stops_and_starts_in_order() -> None:
    """Those that need it go first and come back last."""
    manager = chain()
    assert [service.name for service in manager["web"].dependents] == ["shop", "app"]
    manager["web"].restart()
    assert manager.log == ["stop shop", "stop app", "stop web", "start web", "start app", "start shop"]
    assert set(manager.states().values()) == {S.RUNNING}


def test_what_was_stopped_before_stays_stopped() -> None:
    """Only what ran is brought back."""
    manager = chain()
    manager.services["shop"].state = S.STOPPED
    manager["web"].restart()
    assert manager.states() == {"web": S.RUNNING, "app": S.RUNNING, "shop": S.STOPPED}


def test_restarting_a_stopped_service_starts_it() -> None:
    """As `Restart-Service` does."""
    manager = Manager(web=Script(state=S.STOPPED))
    manager["web"].restart()
    assert manager["web"].state is S.RUNNING


def test_stopped_keeps_it_stopped_for_the_block_only() -> None:
    """Everything is down inside, and up after."""
    manager = chain()
    with manager["web"].stopped():
        assert set(manager.states().values()) == {S.STOPPED}
    assert set(manager.states().values()) == {S.RUNNING}


def test_stopped_leaves_a_stopped_service_alone() -> None:
    """It was down before, so it is down after."""
    manager = Manager(web=Script(state=S.STOPPED))
    with manager["web"].stopped():
        pass
    assert manager["web"].state is S.STOPPED


def test_the_start_is_tried_when_the_work_failed() -> None:
    """The work's own error comes out, and the service runs."""
    manager = chain()
    with pytest.raises(ZeroDivisionError), manager["web"].stopped():
        _ = 1 / 0
    assert set(manager.states().values()) == {S.RUNNING}


def test_both_failures_are_told() -> None:
    """A service that is down is what must be known first; the work's error is the cause."""
    manager = chain()
    manager.services["web"].fails = 5
    with pytest.raises(ServiceError, match=r"'web'.*exit code 5.*division") as caught, manager["web"].stopped():
        _ = 1 / 0
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert (caught.value.service, caught.value.state) == ("web", "STOPPED")


def test_every_start_is_tried_though_one_fails() -> None:
    """One broken dependent does not keep the others down; the error names exactly the broken one."""
    manager = Manager(web=Script(), bad=Script(needs=("web",)), good=Script(needs=("web",)))
    manager.services["bad"].fails = 1066
    with pytest.raises(ServiceError, match=r"'bad'.*its own exit code 42") as caught:
        manager["web"].restart()
    assert "'good'" not in str(caught.value)
    assert manager.states() == {"web": S.RUNNING, "bad": S.STOPPED, "good": S.RUNNING}


def test_a_stop_that_gets_stuck_starts_the_others_again() -> None:
    """Half a stop is undone; the error says where it got stuck and how long that was waited for."""
    manager = chain()
    manager.services["app"].stuck = True
    with pytest.raises(ServiceError, match="'app' is still STOP_PENDING after 30 s, not STOPPED") as caught:
        manager["web"].stop(timeout=30)
    assert (caught.value.service, caught.value.state) == ("app", "STOP_PENDING")
    assert manager.states() == {"web": S.RUNNING, "app": S.STOP_PENDING, "shop": S.RUNNING}
    assert manager.log == ["stop shop", "stop app", "start shop"]


def test_a_stop_that_cannot_be_undone_says_what_is_down() -> None:
    """Nobody finds out from a customer."""
    manager = chain()
    manager.services["app"].stuck = True
    manager.services["shop"].fails = 1
    with pytest.raises(ServiceError, match="not started again: 'shop'") as caught:
        manager["web"].stop(timeout=5)
    assert caught.value.service == "app"


def test_a_paused_dependent_is_not_touched() -> None:
    """It could not be paused again after; nothing is stopped then."""
    manager = chain()
    manager.services["app"].state = S.PAUSED
    with pytest.raises(ServiceError, match="'app' needs 'web' and is paused") as caught:
        manager["web"].restart()
    assert caught.value.state == "PAUSED"
    assert manager.log == []


def test_a_paused_service_cannot_be_held_stopped() -> None:
    """It would come back running."""
    manager = Manager(web=Script(state=S.PAUSED))
    with pytest.raises(ServiceError, match="paused"), manager["web"].stopped():
        pytest.fail("the block must not run")
    with pytest.raises(ServiceError, match="paused"):
        manager["web"].start()
    assert manager["web"].state is S.PAUSED


def test_a_start_that_makes_progress_is_waited_for() -> None:
    """A growing check point is worth waiting, up to the time-out."""
    manager = Manager(web=Script(state=S.STOPPED, takes=50, step=4, hint=1000))
    manager["web"].start(timeout=60)
    assert manager["web"].state is S.RUNNING


def test_a_start_without_progress_is_given_up() -> None:
    """Longer than its wait hint (or ten seconds) without a check point is a stall, long before the time-out."""
    manager = Manager(web=Script(state=S.STOPPED, stuck=True, hint=15_000))
    begin = manager.now
    with pytest.raises(ServiceError, match="still START_PENDING") as caught:
        manager["web"].start(timeout=600)
    assert caught.value.state == "START_PENDING"
    assert 15 < manager.now - begin < 30


def test_progress_for_ever_ends_at_the_time_out() -> None:
    """A service that always says "soon" is not waited for for ever."""
    manager = Manager(web=Script(state=S.STOPPED, stuck=True, step=1))
    begin = manager.now
    with pytest.raises(ServiceError, match="after 60 s"):
        manager["web"].start()
    assert manager.now - begin == pytest.approx(60)


def test_looking_is_quick_first_and_never_rare() -> None:
    """A fast service is not waited for for a second, a slow one is not asked all the time."""
    manager = Manager(web=Script(state=S.STOPPED, takes=45, step=1, hint=1_000_000))
    manager["web"].start()
    assert manager.sleeps[:3] == [0.1, 0.2, 0.4]
    assert max(manager.sleeps) <= 10
    assert all(later >= sooner for sooner, later in pairwise(manager.sleeps[:-1]))


def test_a_service_that_is_starting_is_stopped_after_that() -> None:
    """It takes no control before; one whose start fails meanwhile is stopped too."""
    for fails in (0, 5):
        manager = Manager(web=Script(state=S.START_PENDING, takes=3, fails=fails))
        manager.services["web"].since = manager.now
        manager["web"].stop()
        assert manager["web"].state is S.STOPPED


def test_a_service_that_is_stopping_is_started_after_that() -> None:
    """Likewise the other way round."""
    manager = Manager(web=Script(state=S.STOP_PENDING, takes=3))
    manager.services["web"].since = manager.now
    manager["web"].start()
    assert manager["web"].state is S.RUNNING


def test_dependents_that_come_up_meanwhile_are_stopped_too() -> None:
    """They are asked for again before the service itself is stopped."""
    manager = chain()
    original = manager.request_stop

    def restless(name: str) -> bool:
        answer = original(name)
        if manager.log.count("stop shop") == 1 and name == "app":
            manager.services["shop"].state = S.RUNNING
        return answer

    manager.request_stop = restless  # type: ignore[method-assign]
    assert manager["web"].stop() == ("shop", "app")
    assert manager.log == ["stop shop", "stop app", "stop shop", "stop web"]


@pytest.mark.parametrize("name", ["HTTP", "http", "Http "])
def test_the_http_driver_is_refused(name: str) -> None:
    """Above the seam too: whatever the machine, it is never asked."""
    manager = Manager(**{name: Script(), "web": Script()})
    service = manager[name]
    for act in (service.stop, service.start, service.restart, service.stopped().__enter__):
        with pytest.raises(InvalidInputError, match="HTTP driver"):
            act()
    assert manager.log == []
    refuse_http_driver("HTTPFilter")


def test_the_http_driver_is_not_stopped_as_a_dependent_either() -> None:
    """Stopping what HTTP needs would stop HTTP."""
    manager = Manager(net=Script(), HTTP=Script(needs=("net",)))
    with pytest.raises(InvalidInputError, match="HTTP driver"):
        manager["net"].stop()
    assert manager.log == []


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_time_out_is_more_than_nothing(timeout: float) -> None:
    """Refused before anything is asked."""
    manager = Manager(web=Script())
    with pytest.raises(InvalidInputError, match="timeout"):
        manager["web"].restart(timeout=timeout)
    assert manager.log == []
