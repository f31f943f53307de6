"""A fake service control manager: services in a dictionary that take their time, with winsvc.h's codes.

A service goes through its pending state by being looked at: each query is one step, so no test has to wait.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from mlsssl._fakes.calls import Calls, Fake, Misuse, returns_bool, returns_handle
from mlsssl._native.cdata import NULL, address_of, ffi, text_at

if TYPE_CHECKING:
    from mlsssl._native.cdata import CData
    from mlsssl._windows.dlls import ManagerHandle, ServiceHandle

STOPPED, START_PENDING, STOP_PENDING, RUNNING, PAUSED = 1, 2, 3, 4, 7
QUERY_STATUS, ENUMERATE_DEPENDENTS, START, STOP = 0x4, 0x8, 0x10, 0x20
SUCCESS, ACCESS_DENIED, INVALID_HANDLE, INSUFFICIENT_BUFFER, INVALID_NAME, MORE_DATA = 0, 5, 6, 122, 123, 234
DEPENDENT_SERVICES_RUNNING, INVALID_SERVICE_CONTROL, SERVICE_ALREADY_RUNNING = 1051, 1052, 1056
SERVICE_DISABLED, SERVICE_DOES_NOT_EXIST, CANNOT_ACCEPT_CTRL, SERVICE_NOT_ACTIVE = 1058, 1060, 1061, 1062


@dataclass(kw_only=True)
class FakeService:
    """One service.

    Attributes:
        name: Its key name.
        needs: Services it depends on, directly.
        state: SERVICE_STATUS.dwCurrentState.
        steps: How many looks a start or a stop takes.
        left: How many are left of the one under way.
        accepts_stop: Whether it takes a stop while it runs.
        disabled: A start is answered 1058.
        exit_code: Not 0: a start ends in STOPPED with it.
        wait_hint: Milliseconds it gives while pending.
        stuck: A start or stop under way never ends.
    """

    name: str
    needs: tuple[str, ...] = ()
    state: int = STOPPED
    steps: int = 1
    left: int = 0
    accepts_stop: bool = True
    disabled: bool = False
    exit_code: int = 0
    wait_hint: int = 2000
    stuck: bool = False
    check_point: int = field(default=0, init=False)

    def begin(self, state: int) -> None:
        """Enter a pending state."""
        self.state, self.left, self.check_point = state, self.steps, 0

    def look(self) -> None:
        """One step on the way."""
        if self.state not in (START_PENDING, STOP_PENDING) or self.stuck:
            return
        self.left -= 1
        self.check_point += 1
        if self.left < 0:
            self.state = RUNNING if self.state == START_PENDING and not self.exit_code else STOPPED
            self.check_point = 0


class FakeAdvapi32Services(Fake):
    """The service half of advapi32.dll (`mlsssl._windows.dlls.Advapi32Services`).

    Args:
        calls: Shared with the other fakes.
        administrator: False answers 5 to opening a service for start or stop.
    """

    def __init__(self, calls: Calls, *, administrator: bool = True) -> None:
        super().__init__(calls)
        self.administrator = administrator
        self.services: dict[str, FakeService] = {}
        self._handles: dict[int, tuple[FakeService | None, int]] = {}
        self._next = 0x1000

    def define(self, service: FakeService) -> FakeService:
        """Make a service."""
        self.services[service.name.casefold()] = service
        return service

    @returns_handle
    def OpenSCManagerW(
        self, lpMachineName: CData, lpDatabaseName: CData, dwDesiredAccess: int, /
    ) -> ManagerHandle | int:
        """Open the manager of this computer, to connect only."""
        if lpMachineName != NULL or lpDatabaseName != NULL or dwDesiredAccess != 1:
            raise Misuse("only the local manager, and only to connect")
        return cast("ManagerHandle", self._open("SC_MANAGER_HANDLE", None, dwDesiredAccess))

    @returns_handle
    def OpenServiceW(
        self, hSCManager: ManagerHandle, lpServiceName: CData, dwDesiredAccess: int, /
    ) -> ServiceHandle | int:
        """Open a service: 1060, 123, 5."""
        if self._kind(hSCManager) != "SC_MANAGER_HANDLE" or address_of(hSCManager) not in self._handles:
            return INVALID_HANDLE
        name = text_at(lpServiceName, len(lpServiceName))
        if "/" in name or "\\" in name or len(name) > 256:
            return INVALID_NAME
        service = self.services.get(name.casefold())
        if service is None:
            return SERVICE_DOES_NOT_EXIST
        if not self.administrator and dwDesiredAccess & (START | STOP):
            return ACCESS_DENIED
        return cast("ServiceHandle", self._open("SC_SERVICE_HANDLE", service, dwDesiredAccess))

    def CloseServiceHandle(self, hSCObject: ManagerHandle | ServiceHandle, /) -> int:
        """Closes in any case, also when made to fail."""
        code = self.calls.enter("CloseServiceHandle")
        if self._handles.pop(address_of(hSCObject), None) is None:
            raise Misuse("a service handle is closed that is not open")
        self.calls.close(self._kind(hSCObject))
        self.calls.last_error = code or self.calls.last_error
        return 0 if code else 1

    @returns_bool
    def QueryServiceStatusEx(
        self, hService: ServiceHandle, InfoLevel: int, lpBuffer: CData, cbBufSize: int, pcbBytesNeeded: CData, /
    ) -> int:
        """SERVICE_STATUS_PROCESS."""
        service = self._get(hService, QUERY_STATUS)
        if isinstance(service, int):
            return service
        pcbBytesNeeded[0] = ffi.sizeof("SERVICE_STATUS_PROCESS")
        if InfoLevel != 0 or cbBufSize < ffi.sizeof("SERVICE_STATUS_PROCESS"):
            return INSUFFICIENT_BUFFER
        service.look()
        _fill(ffi.cast("SERVICE_STATUS_PROCESS *", lpBuffer), service)
        return SUCCESS

    @returns_bool
    def ControlService(self, hService: ServiceHandle, dwControl: int, lpServiceStatus: CData, /) -> int:
        """Stop: 1051, 1052, 1061, 1062."""
        service = self._get(hService, STOP)
        if isinstance(service, int):
            return service
        if dwControl != 1 or lpServiceStatus == NULL:
            raise Misuse("only SERVICE_CONTROL_STOP, and with a place for the status")
        if service.state == STOPPED:
            return SERVICE_NOT_ACTIVE
        if service.state in (START_PENDING, STOP_PENDING):
            return CANNOT_ACCEPT_CTRL
        if not service.accepts_stop:
            return INVALID_SERVICE_CONTROL
        if self._dependents(service):
            return DEPENDENT_SERVICES_RUNNING
        service.begin(STOP_PENDING)
        return SUCCESS

    @returns_bool
    def StartServiceW(self, hService: ServiceHandle, dwNumServiceArgs: int, lpServiceArgVectors: CData, /) -> int:
        """Start, what it needs first: 1056, 1058."""
        service = self._get(hService, START)
        if isinstance(service, int):
            return service
        if dwNumServiceArgs or lpServiceArgVectors != NULL:
            raise Misuse("services are started without arguments")
        if service.state != STOPPED:
            return SERVICE_ALREADY_RUNNING
        if service.disabled:
            return SERVICE_DISABLED
        for need in service.needs:
            self.services[need.casefold()].state = RUNNING
        service.begin(START_PENDING)
        return SUCCESS

    @returns_bool
    def EnumDependentServicesW(
        self,
        hService: ServiceHandle,
        dwServiceState: int,
        lpServices: CData,
        cbBufSize: int,
        pcbBytesNeeded: CData,
        lpServicesReturned: CData,
        /,
    ) -> int:
        """Active dependents of every level, last started first; 234 when they do not fit."""
        service = self._get(hService, ENUMERATE_DEPENDENTS)
        if isinstance(service, int):
            return service
        if dwServiceState != 1:
            raise Misuse("only SERVICE_ACTIVE")
        dependents = self._dependents(service)
        entry = ffi.sizeof("ENUM_SERVICE_STATUSW")
        texts = [(each.name + "\0").encode("utf-16-le") for each in dependents]
        needed = sum(entry + len(text) for text in texts)
        pcbBytesNeeded[0], lpServicesReturned[0] = 0, 0
        if needed > cbBufSize:
            pcbBytesNeeded[0] = needed
            return MORE_DATA
        at = address_of(lpServices) + entry * len(dependents)
        for index, (each, text) in enumerate(zip(dependents, texts, strict=True)):
            place = ffi.cast("WCHAR *", at)
            ffi.memmove(place, text, len(text))
            lpServices[index].lpServiceName = lpServices[index].lpDisplayName = place
            _fill(lpServices[index].ServiceStatus, each)
            at += len(text)
        lpServicesReturned[0] = len(dependents)
        return SUCCESS

    def _dependents(self, service: FakeService) -> list[FakeService]:
        found: list[FakeService] = []
        for each in self.services.values():
            if service.name.casefold() in (need.casefold() for need in each.needs):
                found += [deeper for deeper in [*self._dependents(each), each] if deeper not in found]
        return [each for each in found if each.state != STOPPED]

    def _open(self, kind: str, service: FakeService | None, rights: int) -> CData:
        self._next += 0x10
        self._handles[self._next] = service, rights
        self.calls.open(kind)
        return ffi.cast(kind, self._next)

    def _get(self, handle: ServiceHandle, right: int) -> FakeService | int:
        service, rights = self._handles.get(address_of(handle), (None, 0))
        if service is None or self._kind(handle) != "SC_SERVICE_HANDLE":
            return INVALID_HANDLE
        return service if rights & right else ACCESS_DENIED

    @staticmethod
    def _kind(handle: CData) -> str:
        kinds = {ffi.typeof(kind): kind for kind in ("SC_MANAGER_HANDLE", "SC_SERVICE_HANDLE")}
        return kinds.get(ffi.typeof(handle), "")


def _fill(status: CData, service: FakeService) -> None:
    pending = service.state in (START_PENDING, STOP_PENDING)
    status.dwServiceType = 0x10  # SERVICE_WIN32_OWN_PROCESS
    status.dwCurrentState = service.state
    status.dwControlsAccepted = 1 if service.accepts_stop and service.state in (RUNNING, PAUSED) else 0
    status.dwWin32ExitCode = service.exit_code if service.state == STOPPED else 0
    status.dwCheckPoint = service.check_point if pending else 0
    status.dwWaitHint = service.wait_hint if pending else 0
