"""Each native call of a binding's or service's life fails in turn, with each code that it may fail with.

Then: no handle stays open, no binding is lost, the error is ours and names the call.
"""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from mlsssl._fakes.advapi32_services import RUNNING, FakeService
from mlsssl._fakes.dlls import FakeDlls
from mlsssl._fakes.httpapi import FakeHttpApi
from mlsssl._formats.binding_keys import BindingOptions, CcsPort, HostnamePort, IpPort
from mlsssl._machine.ports import BindingRecord
from mlsssl._windows.bindings import WindowsBindings
from mlsssl._windows.services import WindowsServices
from mlsssl.errors import MlssslError, NativeError, UnsupportedError
from mlsssl.values import Thumbprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from _pytest.mark import ParameterSet

HTTP_CODES = (2, 5, 6, 8, 50, 87, 122, 183, 259, 1312, 1359, 4711)
SERVICE_CODES = (
    *(2, 3, 5, 6, 8, 87, 122, 123, 234, 1051, 1052, 1053, 1055, 1056, 1058, 1060, 1061, 1062),
    *(1068, 1069, 1072, 1075, 1115, 1722, 4711),
)

OLD = BindingRecord(
    key=IpPort("0.0.0.0", 443),
    thumbprint=Thumbprint(bytes(20)),
    store_name="MY",
    app_id=uuid.UUID(int=1),
    options=BindingOptions(),
)
NEW = replace(OLD, thumbprint=Thumbprint(bytes(range(20))), app_id=uuid.UUID(int=2))
OTHERS = (
    replace(OLD, key=HostnamePort("a.example", 443)),
    replace(OLD, key=CcsPort(443), thumbprint=None, store_name=None),
)

# Answers that are no failure: what the call is there to find out, or what another attempt puts right.
PART_OF_THE_PLAN = {
    *(("HttpQueryServiceConfiguration", code) for code in (2, 50, 87, 122, 259)),
    *((function, 87) for function in ("HttpSetServiceConfiguration", "HttpUpdateServiceConfiguration")),
    ("StartServiceW", 1056),
    ("ControlService", 1062),
    ("EnumDependentServicesW", 234),
}


def fakes() -> FakeDlls:
    """Fakes whose HTTP.sys takes every certificate: what a certificate needs is tested with the stores."""
    dlls = FakeDlls()
    dlls.httpapi = FakeHttpApi(dlls.calls)
    return dlls


@dataclass(frozen=True)
class Act:
    """Something done to a machine that has `before`, which leaves one of `after` for the key of `OLD`."""

    name: str
    do: Callable[[WindowsBindings], object]
    before: BindingRecord | None
    done: BindingRecord | None

    def __str__(self) -> str:
        return self.name


ACTS = (
    Act("add", lambda bindings: bindings.add(NEW), None, NEW),
    Act("update", lambda bindings: bindings.update(NEW), OLD, NEW),
    Act("update nothing", lambda bindings: bindings.update(NEW), None, None),
    Act("try out", lambda bindings: bindings.try_out(NEW), OLD, OLD),
    Act("remove", lambda bindings: bindings.remove(OLD.key), OLD, None),
    Act("find", lambda bindings: bindings.find(OLD.key), OLD, OLD),
    Act("find nothing", lambda bindings: bindings.find(OLD.key), None, None),
    Act("all", lambda bindings: bindings.all(), OLD, OLD),
    Act("supports", lambda bindings: bindings.supports(OLD.key.family), OLD, OLD),
)


def http_machine(before: BindingRecord | None) -> tuple[FakeDlls, WindowsBindings]:
    """Fakes with the records, and bindings over them that have called nothing yet."""
    dlls = fakes()
    for record in (*OTHERS, *([before] if before else [])):
        WindowsBindings(dlls, lambda _thumbprint, _store: ()).add(record)
    dlls.calls.names.clear()
    return dlls, WindowsBindings(dlls, lambda _thumbprint, _store: (), sleep=lambda _seconds: None)


def blamed(error: BaseException) -> NativeError | None:
    """The native failure that an error carries."""
    return (
        error
        if isinstance(error, NativeError)
        else (error.__cause__ if isinstance(error.__cause__, NativeError) else None)
    )


def http_cases() -> Iterator[ParameterSet]:
    for act in ACTS:
        dlls, bindings = http_machine(act.before)
        with contextlib.suppress(MlssslError):
            act.do(bindings)
        for number, function in enumerate(dlls.calls.names):
            for code in HTTP_CODES:
                yield pytest.param(act, number, function, code, id=f"{act}-{number}-{function}-{code}")


@pytest.mark.parametrize(("act", "number", "function", "code"), list(http_cases()))
def test_a_failing_call_of_httpapi(act: Act, number: int, function: str, code: int) -> None:
    """Whatever fails, the machine has the old record or the new one, all others, and no open initialisation."""
    dlls, bindings = http_machine(act.before)
    dlls.calls.faults[number] = code
    error: MlssslError | None = None
    try:
        act.do(bindings)
    except MlssslError as caught:
        error = caught
    assert dlls.calls.leaks == {}
    assert dlls.calls.names[number] == function
    dlls.calls.faults.clear()
    fresh = WindowsBindings(dlls, lambda _thumbprint, _store: ())
    left = fresh.find(OLD.key)
    assert [fresh.find(other.key) for other in OTHERS] == list(OTHERS)
    if error is None:
        # What was tried out and is gone already need not be deleted.
        gone = (act.name, function, code) == ("try out", "HttpDeleteServiceConfiguration", 2)
        assert gone or (function, code) in PART_OF_THE_PLAN
        assert left == act.done
        return
    cause = blamed(error)
    if (function, code) not in PART_OF_THE_PLAN and act.name != "update nothing":
        assert cause is not None
        assert (cause.function, cause.code) == (function, code)
    assert cause is not None or isinstance(error, UnsupportedError)
    assert left == (act.done if function == "HttpTerminate" else act.before)


@dataclass(frozen=True)
class ServiceAct:
    """Something asked of the service manager about `web`, in this state."""

    name: str
    ask: Callable[[WindowsServices], object]
    state: int = RUNNING

    def __str__(self) -> str:
        return self.name


SERVICE_ACTS = (
    ServiceAct("query", lambda services: services.query("web")),
    ServiceAct("dependents", lambda services: services.active_dependents("web")),
    ServiceAct("start", lambda services: services.request_start("web"), state=1),
    ServiceAct("stop", lambda services: services.request_stop("web")),
)


def service_machine(act: ServiceAct) -> tuple[FakeDlls, WindowsServices]:
    dlls = fakes()
    dlls.advapi32_services.define(FakeService(name="web", state=act.state))
    if act.name == "dependents":
        dlls.advapi32_services.define(FakeService(name="app", needs=("web",), state=RUNNING))
    return dlls, WindowsServices(dlls)


def service_cases() -> Iterator[ParameterSet]:
    for act in SERVICE_ACTS:
        dlls, services = service_machine(act)
        act.ask(services)
        for number, function in enumerate(dlls.calls.names):
            for code in SERVICE_CODES:
                yield pytest.param(act, number, function, code, id=f"{act}-{number}-{function}-{code}")


@pytest.mark.parametrize(("act", "number", "function", "code"), list(service_cases()))
def test_a_failing_call_of_the_service_manager(act: ServiceAct, number: int, function: str, code: int) -> None:
    """No handle stays open, and the error is ours and names the call."""
    dlls, services = service_machine(act)
    dlls.calls.faults[number] = code
    error: MlssslError | None = None
    try:
        act.ask(services)
    except MlssslError as caught:
        error = caught
    assert dlls.calls.names[number] == function
    assert dlls.calls.leaks == {}
    if error is None:
        assert (function, code) in PART_OF_THE_PLAN
        return
    cause = blamed(error)
    assert cause is not None
    assert (cause.function, cause.code) == (function, code)


def test_cases_are_many() -> None:
    """The lists above are made by running the acts: an act that calls nothing would test nothing."""
    assert len(list(http_cases())) > 400
    assert len(list(service_cases())) > 400


def test_two_faults_in_one_operation() -> None:
    """The first one is told, though the clean-up fails too."""
    dlls, bindings = http_machine(None)
    bindings.add(NEW)
    names = dlls.calls.names
    dlls, bindings = http_machine(None)
    dlls.calls.faults[names.index("HttpSetServiceConfiguration")] = 1359
    dlls.calls.faults[names.index("HttpTerminate")] = 87
    with pytest.raises(NativeError, match="HttpSetServiceConfiguration"):
        bindings.add(NEW)


def test_a_missing_export_is_no_crash() -> None:
    """A capability, not an AttributeError."""
    dlls = fakes()
    dlls.httpapi = FakeHttpApi(dlls.calls, has_update=False)
    with pytest.raises(UnsupportedError):
        WindowsBindings(dlls, lambda _thumbprint, _store: ()).update(NEW)
