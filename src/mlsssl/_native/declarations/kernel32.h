/* kernel32.dll: only what finds the other DLLs. From sysinfoapi.h; lengths count code units, not bytes. */

DWORD __stdcall GetSystemDirectoryW(WCHAR *lpBuffer, DWORD uSize);
