"""The service control manager: `ServicesPort` over advapi32.dll, one native operation per method.

Starting and stopping may block for up to 30 seconds, for the manager sends one control at a time and a busy service
makes it wait (pages ControlService and StartService). Waiting for a state is done above the seam.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from mlsssl._machine.ports import ServiceState, ServiceStatus, refuse_http_driver
from mlsssl._messages.foreign_text import shown
from mlsssl._native.cdata import NULL, Buffer, ffi, wide
from mlsssl._native.codes import native_error
from mlsssl._windows.failures import closing, service_failure
from mlsssl.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from mlsssl._windows.dlls import ManagerHandle, ServiceDlls, ServiceHandle

# winsvc.h
_SC_MANAGER_CONNECT = 0x1
_SERVICE_QUERY_STATUS = 0x4
_SERVICE_ENUMERATE_DEPENDENTS = 0x8
_SERVICE_START = 0x10
_SERVICE_STOP = 0x20
_SC_STATUS_PROCESS_INFO = 0
_SERVICE_ACTIVE = 1
_SERVICE_CONTROL_STOP = 1
_SERVICE_ACCEPT_STOP = 1

_MORE_DATA = 234
_SERVICE_ALREADY_RUNNING = 1056
_SERVICE_CANNOT_ACCEPT_CTRL = 1061
_SERVICE_NOT_ACTIVE = 1062

_LARGEST_LIST = 64_000  # bytes; page EnumDependentServicesW says 64K, and more than that it never fills


class WindowsServices:
    """This Windows' services (`ServicesPort`).

    Args:
        dlls: The DLLs.
    """

    def __init__(self, dlls: ServiceDlls) -> None:
        self._dlls = dlls

    def query(self, name: str) -> ServiceStatus:
        """QueryServiceStatusEx."""
        with self._service(name, _SERVICE_QUERY_STATUS) as service:
            return self._status(service, name)

    def active_dependents(self, name: str) -> tuple[str, ...]:
        """EnumDependentServicesW, whose order is the one to stop in: the reverse of the order of starting."""
        function = "EnumDependentServicesW"
        needed, count = ffi.new("DWORD *"), ffi.new("DWORD *")
        with self._service(name, _SERVICE_ENUMERATE_DEPENDENTS) as service:
            size = 0
            while True:
                buffer = Buffer(function, size)
                view = buffer.view("ENUM_SERVICE_STATUSW") if size else NULL
                done = self._dlls.advapi32_services.EnumDependentServicesW(
                    service, _SERVICE_ACTIVE, view, size, needed, count
                )
                if done:
                    return _names(buffer, int(count[0]))
                code = self._dlls.last_error()
                if code != _MORE_DATA or size >= _LARGEST_LIST:
                    raise service_failure(function, code, name)
                # Services may start meanwhile, so the size asked for is a beginning only.
                size = min(max(int(needed[0]), 2 * size, 1024), _LARGEST_LIST)

    def request_start(self, name: str) -> bool:
        """StartServiceW, without arguments."""
        refuse_http_driver(name)
        with self._service(name, _SERVICE_START) as service:
            if self._dlls.advapi32_services.StartServiceW(service, 0, NULL):
                return True
            code = self._dlls.last_error()
            if code == _SERVICE_ALREADY_RUNNING:
                return False
            raise service_failure("StartServiceW", code, name)

    def request_stop(self, name: str) -> bool:
        """ControlService with SERVICE_CONTROL_STOP; a service that is stopping already counts as asked."""
        refuse_http_driver(name)
        with self._service(name, _SERVICE_STOP | _SERVICE_QUERY_STATUS) as service:
            status = ffi.new("SERVICE_STATUS *")
            if self._dlls.advapi32_services.ControlService(service, _SERVICE_CONTROL_STOP, status):
                return True
            code = self._dlls.last_error()
            if code == _SERVICE_NOT_ACTIVE:
                return False
            state = self._status(service, name).state
            if code == _SERVICE_CANNOT_ACCEPT_CTRL and state is ServiceState.STOP_PENDING:
                return True
            raise service_failure("ControlService", code, name, state.name)

    def _status(self, service: ServiceHandle, name: str) -> ServiceStatus:
        function = "QueryServiceStatusEx"
        needed = ffi.new("DWORD *")
        buffer = Buffer(function, ffi.sizeof("SERVICE_STATUS_PROCESS"))
        done = self._dlls.advapi32_services.QueryServiceStatusEx(
            service, _SC_STATUS_PROCESS_INFO, buffer.view("BYTE"), buffer.size, needed
        )
        if not done:
            raise service_failure(function, self._dlls.last_error(), name)
        status = buffer.view("SERVICE_STATUS_PROCESS")
        try:
            state = ServiceState(status.dwCurrentState)
        except ValueError:
            raise native_error(function, 13, f"service {shown(name)} is in state {status.dwCurrentState}") from None
        return ServiceStatus(
            state=state,
            accepts_stop=bool(status.dwControlsAccepted & _SERVICE_ACCEPT_STOP),
            exit_code=status.dwWin32ExitCode,
            specific_exit_code=status.dwServiceSpecificExitCode,
            check_point=status.dwCheckPoint,
            wait_hint=status.dwWaitHint,
            process_id=status.dwProcessId,
        )

    @contextlib.contextmanager
    def _service(self, name: str, rights: int) -> Iterator[ServiceHandle]:
        api = self._dlls.advapi32_services
        if not isinstance(name, str) or not name:
            raise InvalidInputError(f"a service is named by its key name, for example 'W3SVC', not {shown(name)}")
        text = wide(name)
        manager = api.OpenSCManagerW(NULL, NULL, _SC_MANAGER_CONNECT)
        if not manager:
            raise service_failure("OpenSCManagerW", self._dlls.last_error(), name)
        with self._closing(manager):
            service = api.OpenServiceW(manager, text, rights)
            if not service:
                raise service_failure("OpenServiceW", self._dlls.last_error(), name)
            with self._closing(service):
                yield service

    def _closing(self, handle: ManagerHandle | ServiceHandle) -> AbstractContextManager[None]:
        def close() -> None:
            if not self._dlls.advapi32_services.CloseServiceHandle(handle):
                raise native_error("CloseServiceHandle", self._dlls.last_error(), "what was asked for was done before")

        return closing(close)


def _names(buffer: Buffer, count: int) -> tuple[str, ...]:
    if not count:
        return ()
    entries = buffer.view("ENUM_SERVICE_STATUSW", count)
    return tuple(buffer.text_at(entries[index].lpServiceName) or "" for index in range(count))
