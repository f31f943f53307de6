"""The Windows machine's services over a fake service manager: what the contract cannot see from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mlsssl._fakes.advapi32_services import PAUSED, RUNNING, STOP_PENDING, FakeAdvapi32Services, FakeService
from mlsssl._fakes.dlls import FakeDlls
from mlsssl._machine.ports import ServiceState
from mlsssl._native.cdata import ffi
from mlsssl._windows.services import WindowsServices
from mlsssl.errors import AccessDeniedError, NativeError, ServiceError
from mlsssl.service import Services, Timing

if TYPE_CHECKING:
    from mlsssl._native.cdata import CData
    from mlsssl._windows.dlls import ServiceHandle


def machine(*services: FakeService) -> tuple[FakeDlls, WindowsServices]:
    dlls = FakeDlls()
    for service in services:
        dlls.advapi32_services.define(service)
    return dlls, WindowsServices(dlls)


def test_dependents_of_every_level_in_the_order_of_stopping() -> None:
    """The deepest first, as EnumDependentServices gives them; stopped ones are left out."""
    dlls, services = machine(
        FakeService(name="web", state=RUNNING),
        FakeService(name="app", needs=("WEB",), state=RUNNING),
        FakeService(name="shop", needs=("app",), state=PAUSED),
        FakeService(name="idle", needs=("web",)),
    )
    assert services.active_dependents("web") == ("shop", "app")
    assert dlls.calls.leaks == {}


def test_dependents_that_appear_between_two_calls() -> None:
    """The size asked for is a beginning only."""
    dlls, services = machine(FakeService(name="web", state=RUNNING))
    number = 0

    def more(function: str) -> None:
        nonlocal number
        if function == "EnumDependentServicesW" and number < 3:
            for _ in range(40 * 10**number):
                name = f"dependent-{len(dlls.advapi32_services.services):05}"
                dlls.advapi32_services.define(FakeService(name=name, needs=("web",), state=RUNNING))
            number += 1 if number < 1 else 2

    dlls.calls.before = more
    assert len(services.active_dependents("web")) == 440


def test_more_dependents_than_the_call_can_give() -> None:
    """64,000 bytes is all it fills: the code comes out, no endless loop."""
    many = [FakeService(name=f"{n:0200}", needs=("web",), state=RUNNING) for n in range(300)]
    dlls, services = machine(FakeService(name="web", state=RUNNING), *many)
    with pytest.raises(NativeError, match="ERROR_MORE_DATA"):
        services.active_dependents("web")
    assert dlls.calls.leaks == {}


class LyingServices(FakeAdvapi32Services):
    """Counts and pointers that are not what they say, and states that do not exist."""

    lie = ""

    def EnumDependentServicesW(
        self, a: ServiceHandle, b: int, entries: CData, size: int, needed: CData, count: CData, /
    ) -> int:
        done = super().EnumDependentServicesW(a, b, entries, size, needed, count)
        if done and self.lie == "count":
            count[0] = 2**32 - 1
        if done and self.lie == "pointer":
            entries[0].lpServiceName = ffi.cast("WCHAR *", 64)
        return done

    def QueryServiceStatusEx(self, a: ServiceHandle, b: int, buffer: CData, d: int, e: CData, /) -> int:
        done = super().QueryServiceStatusEx(a, b, buffer, d, e)
        if done and self.lie == "state":
            ffi.cast("SERVICE_STATUS_PROCESS *", buffer).dwCurrentState = 99
        return done


@pytest.mark.parametrize("lie", ["count", "pointer", "state"])
def test_answers_are_not_trusted(lie: str) -> None:
    """A bad answer is our error, never a crash."""
    dlls = FakeDlls()
    dlls.advapi32_services = fake = LyingServices(dlls.calls)
    fake.define(FakeService(name="web", state=RUNNING))
    fake.define(FakeService(name="app", needs=("web",), state=RUNNING))
    services = WindowsServices(dlls)
    assert services.active_dependents("web") == ("app",)
    fake.lie = lie
    with pytest.raises(NativeError):
        _ = services.query("web") if lie == "state" else services.active_dependents("web")
    assert dlls.calls.leaks == {}


def test_a_stop_of_what_is_stopping_counts_as_asked() -> None:
    """1061 then; any other state that takes no control is an error that names it."""
    dlls, services = machine(FakeService(name="web", state=STOP_PENDING, stuck=True))
    assert services.request_stop("web") is True
    dlls.advapi32_services.services["web"].state = 2
    with pytest.raises(ServiceError, match="cannot take a control now") as caught:
        services.request_stop("web")
    assert caught.value.state == "START_PENDING"
    assert dlls.calls.leaks == {}


def test_a_service_that_takes_no_stop() -> None:
    """1052, with what it means."""
    _, services = machine(FakeService(name="web", state=RUNNING, accepts_stop=False))
    with pytest.raises(ServiceError, match="cannot be stopped") as caught:
        services.request_stop("web")
    assert (caught.value.service, caught.value.state) == ("web", "RUNNING")


def test_not_an_administrator() -> None:
    """Looking is free, starting and stopping are not."""
    dlls = FakeDlls()
    dlls.advapi32_services = FakeAdvapi32Services(dlls.calls, administrator=False)
    dlls.advapi32_services.define(FakeService(name="web", state=RUNNING))
    services = WindowsServices(dlls)
    assert services.query("web").state is ServiceState.RUNNING
    for ask in (services.request_stop, services.request_start):
        with pytest.raises(AccessDeniedError, match="'web'") as caught:
            ask("web")
        assert caught.value.right == "administrator"
    assert dlls.calls.leaks == {}


def test_rights_are_the_least_that_do() -> None:
    """Each operation opens the service with what it needs, so a user who may look can look."""
    dlls, services = machine(FakeService(name="web", state=RUNNING))
    opened: list[int] = []
    original = dlls.advapi32_services._open

    def note(kind: str, service: FakeService | None, rights: int) -> CData:
        opened.append(rights)
        return original(kind, service, rights)

    dlls.advapi32_services._open = note  # type: ignore[method-assign]
    services.query("web")
    services.active_dependents("web")
    services.request_start("web")
    services.request_stop("web")
    assert opened == [0x1, 0x4, 0x1, 0x8, 0x1, 0x10, 0x1, 0x24]


def test_the_whole_machine_restarts_a_chain() -> None:
    """Nouns over port over fake: everything runs again, nothing stays open."""
    dlls, services = machine(
        FakeService(name="web", state=RUNNING, steps=3),
        FakeService(name="app", needs=("web",), state=RUNNING, steps=2),
    )
    now = [0.0]
    timing = Timing(clock=lambda: now[0], sleep=lambda seconds: now.__setitem__(0, now[0] + seconds))
    Services(services, timing=timing)["web"].restart()
    assert {service.state for service in dlls.advapi32_services.services.values()} == {RUNNING}
    assert dlls.calls.leaks == {}
