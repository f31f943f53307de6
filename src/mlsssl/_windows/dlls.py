"""The DLLs as Protocols: what the storey's code is typed against, what the real ones are and fakes imitate.

Names and argument order are the declarations' (`declarations/*.h`). A function that a Windows release may lack is
asked for with `native.exports` first.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Protocol, cast

from mlsssl._windows.native import CData, last_error, load

if TYPE_CHECKING:
    from mlsssl._windows.crypto_dlls import Advapi32Crypto, Crypt32, NCrypt


class ManagerHandle(CData):
    """SC_HANDLE of the service control manager."""


class ServiceHandle(CData):
    """SC_HANDLE of one service."""


class HttpApi(Protocol):
    """httpapi.dll. Every function returns the Win32 code; 0 is success."""

    def HttpInitialize(self, Version: CData, Flags: int, pReserved: CData, /) -> int:
        """Count one more user of the API."""
        ...

    def HttpTerminate(self, Flags: int, pReserved: CData, /) -> int:
        """Count one less, with the same flags."""
        ...

    def HttpSetServiceConfiguration(
        self, ServiceHandle: CData, ConfigId: int, pConfigInformation: CData, Length: int, pOverlapped: CData, /
    ) -> int:
        """Add a record."""
        ...

    def HttpUpdateServiceConfiguration(
        self, ServiceHandle: CData, ConfigId: int, pConfigInformation: CData, Length: int, pOverlapped: CData, /
    ) -> int:
        """Replace a record. Not exported before Windows 10 1703 and Server 2019."""
        ...

    def HttpDeleteServiceConfiguration(
        self, ServiceHandle: CData, ConfigId: int, pConfigInformation: CData, Length: int, pOverlapped: CData, /
    ) -> int:
        """Remove a record; takes the whole SET structure with the key filled in."""
        ...

    def HttpQueryServiceConfiguration(
        self,
        ServiceHandle: CData,
        ConfigId: int,
        pInput: CData,
        InputLength: int,
        pOutput: CData,
        OutputLength: int,
        pReturnLength: CData,
        pOverlapped: CData,
        /,
    ) -> int:
        """Read one record: an exact key, or the n-th."""
        ...


class Advapi32Services(Protocol):
    """The service control manager's half of advapi32.dll. 0 and NULL mean failure; then ask `last_error`."""

    def OpenSCManagerW(self, lpMachineName: CData, lpDatabaseName: CData, dwDesiredAccess: int, /) -> ManagerHandle:
        """Open the manager."""
        ...

    def OpenServiceW(self, hSCManager: ManagerHandle, lpServiceName: CData, dwDesiredAccess: int, /) -> ServiceHandle:
        """Open a service by its key name."""
        ...

    def CloseServiceHandle(self, hSCObject: ManagerHandle | ServiceHandle, /) -> int:
        """Close either kind."""
        ...

    def QueryServiceStatusEx(
        self, hService: ServiceHandle, InfoLevel: int, lpBuffer: CData, cbBufSize: int, pcbBytesNeeded: CData, /
    ) -> int:
        """Read SERVICE_STATUS_PROCESS."""
        ...

    def ControlService(self, hService: ServiceHandle, dwControl: int, lpServiceStatus: CData, /) -> int:
        """Send a control, for example stop."""
        ...

    def StartServiceW(self, hService: ServiceHandle, dwNumServiceArgs: int, lpServiceArgVectors: CData, /) -> int:
        """Start."""
        ...

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
        """List services that need this one."""
        ...


class HttpDlls(Protocol):
    """What bindings need of `Dlls`."""

    @property
    def httpapi(self) -> HttpApi:
        """HTTP.sys configuration."""
        ...


class ServiceDlls(Protocol):
    """What services need of `Dlls`."""

    @property
    def advapi32_services(self) -> Advapi32Services:
        """The service control manager."""
        ...

    def last_error(self) -> int:
        """GetLastError's code after the last call that failed, unsigned."""
        ...


class Dlls(Protocol):
    """All DLLs of the storey and the thread's last error; real (`SystemDlls`) or fakes."""

    @property
    def httpapi(self) -> HttpApi:
        """HTTP.sys configuration."""
        ...

    @property
    def advapi32_services(self) -> Advapi32Services:
        """The service control manager."""
        ...

    @property
    def crypt32(self) -> Crypt32:
        """Certificate stores, PFX, chains."""
        ...

    @property
    def ncrypt(self) -> NCrypt:
        """CNG keys."""
        ...

    @property
    def advapi32_crypto(self) -> Advapi32Crypto:
        """Keys of the older providers."""
        ...

    def last_error(self) -> int:
        """GetLastError's code after the last call that failed, unsigned."""
        ...


class SystemDlls:
    """This Windows' own DLLs, each loaded when first asked for."""

    @cached_property
    def httpapi(self) -> HttpApi:
        """httpapi.dll."""
        return cast("HttpApi", load("httpapi.dll"))

    @cached_property
    def advapi32_services(self) -> Advapi32Services:
        """advapi32.dll."""
        return cast("Advapi32Services", load("advapi32.dll"))

    @cached_property
    def crypt32(self) -> Crypt32:
        """crypt32.dll."""
        return cast("Crypt32", load("crypt32.dll"))

    @cached_property
    def ncrypt(self) -> NCrypt:
        """ncrypt.dll."""
        return cast("NCrypt", load("ncrypt.dll"))

    @cached_property
    def advapi32_crypto(self) -> Advapi32Crypto:
        """advapi32.dll."""
        return cast("Advapi32Crypto", load("advapi32.dll"))

    def last_error(self) -> int:
        """GetLastError's code, unsigned."""
        return last_error()
