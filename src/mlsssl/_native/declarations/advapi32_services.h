/* advapi32.dll: the service control manager. From winsvc.h; learn.microsoft.com/windows/win32/api/winsvc.
 *
 * Windows has one SC_HANDLE for the manager and for a service; here they are two types, so that one given for
 * the other is a TypeError in Python instead of ERROR_INVALID_HANDLE in production. */

typedef struct SC_MANAGER__ *SC_MANAGER_HANDLE;
typedef struct SC_SERVICE__ *SC_SERVICE_HANDLE;

typedef struct {
    DWORD dwServiceType;
    DWORD dwCurrentState;
    DWORD dwControlsAccepted;
    DWORD dwWin32ExitCode;
    DWORD dwServiceSpecificExitCode;
    DWORD dwCheckPoint;
    DWORD dwWaitHint;
} SERVICE_STATUS;

typedef struct {
    DWORD dwServiceType;
    DWORD dwCurrentState;
    DWORD dwControlsAccepted;
    DWORD dwWin32ExitCode;
    DWORD dwServiceSpecificExitCode;
    DWORD dwCheckPoint;
    DWORD dwWaitHint;
    DWORD dwProcessId;
    DWORD dwServiceFlags;
} SERVICE_STATUS_PROCESS;

typedef struct {
    WCHAR *lpServiceName;
    WCHAR *lpDisplayName;
    SERVICE_STATUS ServiceStatus;
} ENUM_SERVICE_STATUSW;

/* BOOL and handle results: 0 and NULL mean failure, the code is GetLastError's. */
SC_MANAGER_HANDLE __stdcall OpenSCManagerW(WCHAR *lpMachineName, WCHAR *lpDatabaseName, DWORD dwDesiredAccess);
SC_SERVICE_HANDLE __stdcall OpenServiceW(SC_MANAGER_HANDLE hSCManager, WCHAR *lpServiceName, DWORD dwDesiredAccess);
BOOL __stdcall CloseServiceHandle(void *hSCObject);
/* InfoLevel is the enum SC_STATUS_TYPE. */
BOOL __stdcall QueryServiceStatusEx(
    SC_SERVICE_HANDLE hService, int32_t InfoLevel, BYTE *lpBuffer, DWORD cbBufSize, DWORD *pcbBytesNeeded);
BOOL __stdcall ControlService(SC_SERVICE_HANDLE hService, DWORD dwControl, SERVICE_STATUS *lpServiceStatus);
BOOL __stdcall StartServiceW(SC_SERVICE_HANDLE hService, DWORD dwNumServiceArgs, WCHAR **lpServiceArgVectors);
BOOL __stdcall EnumDependentServicesW(
    SC_SERVICE_HANDLE hService, DWORD dwServiceState, ENUM_SERVICE_STATUSW *lpServices, DWORD cbBufSize,
    DWORD *pcbBytesNeeded, DWORD *lpServicesReturned);
