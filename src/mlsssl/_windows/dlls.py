"""The DLLs as Protocols: what the Windows machine is typed against, what the real ones are and fakes imitate.

Names and argument order are the declarations' (`declarations/*.h`). A function that a Windows release may lack is
asked for with `cdata.exports` first. Each kind of handle and pointer is a type of its own, to mypy as to cffi.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Protocol, cast

from mlsssl._native.cdata import CData, last_error, load

if TYPE_CHECKING:
    from collections.abc import Callable


class ManagerHandle(CData):
    """SC_HANDLE of the service control manager."""


class ServiceHandle(CData):
    """SC_HANDLE of one service."""


class StoreHandle(CData):
    """HCERTSTORE."""


class CertContext(CData):
    """PCCERT_CONTEXT."""


class CrlContext(CData):
    """PCCRL_CONTEXT."""


class ChainEngine(CData):
    """HCERTCHAINENGINE; NULL is the current user's."""


class ChainContext(CData):
    """PCCERT_CHAIN_CONTEXT."""


class ProviderHandle(CData):
    """HCRYPTPROV of an older provider: one open container, or none."""


class CspKey(CData):
    """HCRYPTKEY."""


class CspHash(CData):
    """HCRYPTHASH."""


class CngProvider(CData):
    """NCRYPT_PROV_HANDLE."""


class CngKey(CData):
    """NCRYPT_KEY_HANDLE."""


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


class HttpRequestsApi(Protocol):
    """The server half of httpapi.dll, version 2. Every function returns the Win32 code; 0 is success."""

    def HttpInitialize(self, Version: CData, Flags: int, pReserved: CData, /) -> int:
        """Count one more user of the API."""
        ...

    def HttpTerminate(self, Flags: int, pReserved: CData, /) -> int:
        """Count one less, with the same flags."""
        ...

    def HttpCreateServerSession(self, Version: CData, pServerSessionId: CData, Reserved: int, /) -> int:
        """What URL groups belong to."""
        ...

    def HttpCloseServerSession(self, ServerSessionId: int, /) -> int:
        """End it, and its groups."""
        ...

    def HttpCreateUrlGroup(self, ServerSessionId: int, pUrlGroupId: CData, Reserved: int, /) -> int:
        """What prefixes are registered at."""
        ...

    def HttpCloseUrlGroup(self, UrlGroupId: int, /) -> int:
        """End it, and its registrations."""
        ...

    def HttpCreateRequestQueue(
        self, Version: CData, pName: CData, pSecurityAttributes: CData, Flags: int, pReqQueueHandle: CData, /
    ) -> int:
        """What requests come to; NULL is a queue without a name."""
        ...

    def HttpCloseRequestQueue(self, ReqQueueHandle: CData, /) -> int:
        """End it."""
        ...

    def HttpSetUrlGroupProperty(
        self, UrlGroupId: int, Property: int, pPropertyInformation: CData, PropertyInformationLength: int, /
    ) -> int:
        """Among others: which queue gets the requests of the group."""
        ...

    def HttpAddUrlToUrlGroup(
        self, UrlGroupId: int, pFullyQualifiedUrl: CData, UrlContext: int, Reserved: int, /
    ) -> int:
        """Register a prefix."""
        ...

    def HttpRemoveUrlFromUrlGroup(self, UrlGroupId: int, pFullyQualifiedUrl: CData, Flags: int, /) -> int:
        """Take it back."""
        ...

    def HttpReceiveHttpRequest(
        self,
        ReqQueueHandle: CData,
        RequestId: int,
        Flags: int,
        pRequestBuffer: CData,
        RequestBufferLength: int,
        pBytesReceived: CData,
        pOverlapped: CData,
        /,
    ) -> int:
        """The next request; 997 while there is none."""
        ...

    def HttpSendHttpResponse(
        self,
        ReqQueueHandle: CData,
        RequestId: int,
        Flags: int,
        pHttpResponse: CData,
        pReserved1: CData,
        pBytesSent: CData,
        pReserved2: CData,
        Reserved3: int,
        pOverlapped: CData,
        pReserved4: CData,
        /,
    ) -> int:
        """Answer it."""
        ...


class Kernel32(Protocol):
    """kernel32.dll: events, and calls that go on in the background. 0 and NULL mean failure, except of the wait."""

    def CreateEventW(self, lpEventAttributes: CData, bManualReset: int, bInitialState: int, lpName: CData, /) -> CData:
        """A new event."""
        ...

    def SetEvent(self, hEvent: CData, /) -> int:
        """Signal it."""
        ...

    def CloseHandle(self, hObject: CData, /) -> int:
        """Close an event, among others."""
        ...

    def WaitForMultipleObjects(self, nCount: int, lpHandles: CData, bWaitAll: int, dwMilliseconds: int, /) -> int:
        """The index of the first that is signalled; 0xFFFFFFFF is failure."""
        ...

    def CancelIoEx(self, hFile: CData, lpOverlapped: CData, /) -> int:
        """Have a call end with 995 (ERROR_OPERATION_ABORTED)."""
        ...

    def GetOverlappedResult(
        self, hFile: CData, lpOverlapped: CData, lpNumberOfBytesTransferred: CData, bWait: int, /
    ) -> int:
        """Whether a call succeeded, once it has ended."""
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


class Crypt32(Protocol):
    """crypt32.dll. 0 and NULL mean failure; then ask `last_error`."""

    def CertOpenStore(
        self, lpszStoreProvider: CData, dwEncodingType: int, hCryptProv: CData, dwFlags: int, pvPara: CData, /
    ) -> StoreHandle:
        """Open a store."""
        ...

    def CertControlStore(self, hCertStore: StoreHandle, dwFlags: int, dwCtrlType: int, pvCtrlPara: CData, /) -> int:
        """Commit, among others."""
        ...

    def CertCloseStore(self, hCertStore: StoreHandle, dwFlags: int, /) -> int:
        """Close a store."""
        ...

    def CertEnumSystemStore(
        self,
        dwFlags: int,
        pvSystemStoreLocationPara: CData,
        pvArg: CData,
        pfnEnum: CData | Callable[..., int],
        /,
    ) -> int:
        """Call back for every system store of a location."""
        ...

    def CertEnumCertificatesInStore(self, hCertStore: StoreHandle, pPrevCertContext: CertContext, /) -> CertContext:
        """The next certificate; frees the previous one."""
        ...

    def CertFindCertificateInStore(
        self,
        hCertStore: StoreHandle,
        dwCertEncodingType: int,
        dwFindFlags: int,
        dwFindType: int,
        pvFindPara: CData,
        pPrevCertContext: CertContext,
        /,
    ) -> CertContext:
        """The next certificate that fits; frees the previous one."""
        ...

    def CertCreateCertificateContext(
        self, dwCertEncodingType: int, pbCertEncoded: CData, cbCertEncoded: int, /
    ) -> CertContext:
        """A context of its own, in no store."""
        ...

    def CertFreeCertificateContext(self, pCertContext: CertContext, /) -> int:
        """One reference less."""
        ...

    def CertAddCertificateContextToStore(
        self, hCertStore: StoreHandle, pCertContext: CertContext, dwAddDisposition: int, ppStoreContext: CData, /
    ) -> int:
        """Put a copy in, with its properties."""
        ...

    def CertDeleteCertificateFromStore(self, pCertContext: CertContext, /) -> int:
        """Take it out of its store; frees it, always."""
        ...

    def CertGetCertificateContextProperty(
        self, pCertContext: CertContext, dwPropId: int, pvData: CData, pcbData: CData, /
    ) -> int:
        """Read a property, or its size."""
        ...

    def CertSetCertificateContextProperty(
        self, pCertContext: CertContext, dwPropId: int, dwFlags: int, pvData: CData, /
    ) -> int:
        """Set a property; NULL takes it away."""
        ...

    def CertEnumCRLsInStore(self, hCertStore: StoreHandle, pPrevCrlContext: CrlContext, /) -> CrlContext:
        """The next revocation list; frees the previous one."""
        ...

    def CertAddEncodedCRLToStore(
        self,
        hCertStore: StoreHandle,
        dwCertEncodingType: int,
        pbCrlEncoded: CData,
        cbCrlEncoded: int,
        dwAddDisposition: int,
        ppCrlContext: CData,
        /,
    ) -> int:
        """Put a revocation list in."""
        ...

    def CertDeleteCRLFromStore(self, pCrlContext: CrlContext, /) -> int:
        """Take it out of its store; frees it, always."""
        ...

    def CertFreeCRLContext(self, pCrlContext: CrlContext, /) -> int:
        """One reference less."""
        ...

    def PFXImportCertStore(self, pPFX: CData, szPassword: CData, dwFlags: int, /) -> StoreHandle:
        """A store in memory with what the PFX holds; its keys are persisted at once."""
        ...

    def CertCreateCertificateChainEngine(self, pConfig: CData, phChainEngine: CData, /) -> int:
        """A chain engine with roots of its own."""
        ...

    def CertFreeCertificateChainEngine(self, hChainEngine: ChainEngine, /) -> None:
        """Let go of it."""
        ...

    def CertGetCertificateChain(
        self,
        hChainEngine: ChainEngine,
        pCertContext: CertContext,
        pTime: CData,
        hAdditionalStore: StoreHandle,
        pChainPara: CData,
        dwFlags: int,
        pvReserved: CData,
        ppChainContext: CData,
        /,
    ) -> int:
        """Build a chain and judge it; TRUE says only that a context came out."""
        ...

    def CertFreeCertificateChain(self, pChainContext: ChainContext, /) -> None:
        """Free it."""
        ...

    def CertVerifyCertificateChainPolicy(
        self, pszPolicyOID: CData, pChainContext: ChainContext, pPolicyPara: CData, pPolicyStatus: CData, /
    ) -> int:
        """Judge a chain for a purpose; TRUE says only that the check ran."""
        ...


class Advapi32Crypto(Protocol):
    """The older providers' half of advapi32.dll. 0 means failure; then ask `last_error`."""

    def CryptAcquireContextW(
        self, phProv: CData, szContainer: CData, szProvider: CData, dwProvType: int, dwFlags: int, /
    ) -> int:
        """Open, make or delete a key container."""
        ...

    def CryptReleaseContext(self, hProv: ProviderHandle, dwFlags: int, /) -> int:
        """Close it."""
        ...

    def CryptGetProvParam(
        self, hProv: ProviderHandle, dwParam: int, pbData: CData, pdwDataLen: CData, dwFlags: int, /
    ) -> int:
        """Ask about a provider; among others for the names of its containers."""
        ...

    def CryptSetProvParam(self, hProv: ProviderHandle, dwParam: int, pbData: CData, dwFlags: int, /) -> int:
        """Set something of a provider; among others a container's security descriptor."""
        ...

    def CryptGetUserKey(self, hProv: ProviderHandle, dwKeySpec: int, phUserKey: CData, /) -> int:
        """Open one of a container's two keys."""
        ...

    def CryptImportKey(
        self, hProv: ProviderHandle, pbData: CData, dwDataLen: int, hPubKey: CspKey, dwFlags: int, phKey: CData, /
    ) -> int:
        """Put a key blob into the container."""
        ...

    def CryptExportKey(
        self, hKey: CspKey, hExpKey: CspKey, dwBlobType: int, dwFlags: int, pbData: CData, pdwDataLen: CData, /
    ) -> int:
        """Read a key as a blob."""
        ...

    def CryptGetKeyParam(self, hKey: CspKey, dwParam: int, pbData: CData, pdwDataLen: CData, dwFlags: int, /) -> int:
        """Ask about a key; among others what it permits."""
        ...

    def CryptDestroyKey(self, hKey: CspKey, /) -> int:
        """Close the handle; the key stays in its container."""
        ...

    def CryptGenKey(self, hProv: ProviderHandle, Algid: int, dwFlags: int, phKey: CData, /) -> int:
        """Make a key in the container."""
        ...

    def CryptCreateHash(self, hProv: ProviderHandle, Algid: int, hKey: CspKey, dwFlags: int, phHash: CData, /) -> int:
        """What is to be signed."""
        ...

    def CryptSetHashParam(self, hHash: CspHash, dwParam: int, pbData: CData, dwFlags: int, /) -> int:
        """Set its value, among others."""
        ...

    def CryptSignHashW(
        self,
        hHash: CspHash,
        dwKeySpec: int,
        szDescription: CData,
        dwFlags: int,
        pbSignature: CData,
        pdwSigLen: CData,
        /,
    ) -> int:
        """Sign it with one of the container's two keys."""
        ...

    def CryptDestroyHash(self, hHash: CspHash, /) -> int:
        """Let go of it."""
        ...


class Advapi32Accounts(Protocol):
    """The account look-ups of advapi32.dll. 0 means failure; then ask `last_error`."""

    def LookupAccountNameW(
        self,
        lpSystemName: CData,
        lpAccountName: CData,
        Sid: CData,
        cbSid: CData,
        ReferencedDomainName: CData,
        cchReferencedDomainName: CData,
        peUse: CData,
        /,
    ) -> int:
        """The SID of a name."""
        ...

    def LookupAccountSidW(
        self,
        lpSystemName: CData,
        Sid: CData,
        Name: CData,
        cchName: CData,
        ReferencedDomainName: CData,
        cchReferencedDomainName: CData,
        peUse: CData,
        /,
    ) -> int:
        """The name of a SID."""
        ...


class NCrypt(Protocol):
    """ncrypt.dll. Every function returns a SECURITY_STATUS; 0 is success, and `last_error` is not set."""

    def NCryptOpenStorageProvider(self, phProvider: CData, pszProviderName: CData, dwFlags: int, /) -> int:
        """Load a key storage provider."""
        ...

    def NCryptOpenKey(
        self, hProvider: CngProvider, phKey: CData, pszKeyName: CData, dwLegacyKeySpec: int, dwFlags: int, /
    ) -> int:
        """Open a persisted key by its name."""
        ...

    def NCryptCreatePersistedKey(
        self,
        hProvider: CngProvider,
        phKey: CData,
        pszAlgId: CData,
        pszKeyName: CData,
        dwLegacyKeySpec: int,
        dwFlags: int,
        /,
    ) -> int:
        """Begin a key; it exists after NCryptFinalizeKey."""
        ...

    def NCryptGetProperty(
        self, hObject: CngKey, pszProperty: CData, pbOutput: CData, cbOutput: int, pcbResult: CData, dwFlags: int, /
    ) -> int:
        """Read a key's property."""
        ...

    def NCryptSetProperty(
        self, hObject: CngKey, pszProperty: CData, pbInput: CData, cbInput: int, dwFlags: int, /
    ) -> int:
        """Set a key's property."""
        ...

    def NCryptFinalizeKey(self, hKey: CngKey, dwFlags: int, /) -> int:
        """Make the key and persist it."""
        ...

    def NCryptExportKey(
        self,
        hKey: CngKey,
        hExportKey: CngKey,
        pszBlobType: CData,
        pParameterList: CData,
        pbOutput: CData,
        cbOutput: int,
        pcbResult: CData,
        dwFlags: int,
        /,
    ) -> int:
        """Read a key as a blob."""
        ...

    def NCryptSignHash(
        self,
        hKey: CngKey,
        pPaddingInfo: CData,
        pbHashValue: CData,
        cbHashValue: int,
        pbSignature: CData,
        cbSignature: int,
        pcbResult: CData,
        dwFlags: int,
        /,
    ) -> int:
        """Sign a digest."""
        ...

    def NCryptDeleteKey(self, hKey: CngKey, dwFlags: int, /) -> int:
        """Delete the key; frees the handle when it succeeds."""
        ...

    def NCryptEnumKeys(
        self, hProvider: CngProvider, pszScope: CData, ppKeyName: CData, ppEnumState: CData, dwFlags: int, /
    ) -> int:
        """The next persisted key."""
        ...

    def NCryptFreeBuffer(self, pvInput: CData, /) -> int:
        """Free what NCryptEnumKeys allocated."""
        ...

    def NCryptFreeObject(self, hObject: CngProvider | CngKey, /) -> int:
        """Close a provider or a key."""
        ...


class HttpDlls(Protocol):
    """What bindings need of `Dlls`."""

    @property
    def httpapi(self) -> HttpApi:
        """HTTP.sys configuration."""
        ...


class LastError(Protocol):
    """What knows why a call failed."""

    def last_error(self) -> int:
        """GetLastError's code after the last call that failed, unsigned."""
        ...


class RequestDlls(LastError, Protocol):
    """What answering requests needs of `SystemDlls`."""

    @property
    def httpapi_requests(self) -> HttpRequestsApi:
        """HTTP.sys' requests."""
        ...

    @property
    def kernel32(self) -> Kernel32:
        """Events."""
        ...


class ServiceDlls(LastError, Protocol):
    """What services need of `Dlls`."""

    @property
    def advapi32_services(self) -> Advapi32Services:
        """The service control manager."""
        ...


class AccountDlls(LastError, Protocol):
    """What accounts need of `Dlls`."""

    @property
    def advapi32_accounts(self) -> Advapi32Accounts:
        """Names and SIDs of accounts."""
        ...


class Dlls(HttpDlls, ServiceDlls, AccountDlls, Protocol):
    """All DLLs of the Windows machine and the thread's last error; real (`SystemDlls`) or fakes."""

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


class SystemDlls:
    """This Windows' own DLLs, each loaded when first asked for."""

    @cached_property
    def httpapi(self) -> HttpApi:
        """httpapi.dll."""
        return cast("HttpApi", load("httpapi.dll"))

    @cached_property
    def httpapi_requests(self) -> HttpRequestsApi:
        """httpapi.dll."""
        return cast("HttpRequestsApi", load("httpapi.dll"))

    @cached_property
    def kernel32(self) -> Kernel32:
        """kernel32.dll."""
        return cast("Kernel32", load("kernel32.dll"))

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

    @cached_property
    def advapi32_accounts(self) -> Advapi32Accounts:
        """advapi32.dll."""
        return cast("Advapi32Accounts", load("advapi32.dll"))

    def last_error(self) -> int:
        """GetLastError's code, unsigned."""
        return last_error()
