/* A stand-in for Windows' httpapi.dll: first slice, only the initialisation count. */
#include <windows.h>
#define EXPORT __declspec(dllexport)
static volatile LONG open_count;
EXPORT ULONG WINAPI HttpInitialize(ULONG version, ULONG flags, PVOID reserved)
{
    if ((version != 1 && version != 2) || flags == 0 || (flags & ~3u) || reserved != NULL)
        return ERROR_INVALID_PARAMETER;
    InterlockedIncrement(&open_count);
    return NO_ERROR;
}
EXPORT ULONG WINAPI HttpTerminate(ULONG flags, PVOID reserved)
{
    if (flags == 0 || (flags & ~3u) || reserved != NULL || open_count == 0)
        return ERROR_INVALID_PARAMETER;
    InterlockedDecrement(&open_count);
    return NO_ERROR;
}
