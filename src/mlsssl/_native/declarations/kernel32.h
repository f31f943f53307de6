/* kernel32.dll: what finds the other DLLs (sysinfoapi.h; lengths count code units, not bytes), and what waits for
 * calls that go on in the background (minwinbase.h, synchapi.h, ioapiset.h). */

DWORD __stdcall GetSystemDirectoryW(WCHAR *lpBuffer, DWORD uSize);

/* Internal and InternalHigh are ULONG_PTR. Neither it nor what the call fills may go before the call has ended. */
typedef struct {
    uintptr_t Internal;
    uintptr_t InternalHigh;
    DWORD Offset;
    DWORD OffsetHigh;
    void *hEvent;
} OVERLAPPED;

void * __stdcall CreateEventW(void *lpEventAttributes, BOOL bManualReset, BOOL bInitialState, WCHAR *lpName);
BOOL __stdcall SetEvent(void *hEvent);
DWORD __stdcall WaitForMultipleObjects(DWORD nCount, void **lpHandles, BOOL bWaitAll, DWORD dwMilliseconds);
/* Ends one call of any thread of this process; 1168 (ERROR_NOT_FOUND) when it has ended already. */
BOOL __stdcall CancelIoEx(void *hFile, OVERLAPPED *lpOverlapped);
BOOL __stdcall GetOverlappedResult(
    void *hFile, OVERLAPPED *lpOverlapped, DWORD *lpNumberOfBytesTransferred, BOOL bWait);
