/* Faults on demand: counting calls, failing the n-th, ending the process at the n-th, and a build of Windows to imitate.
 *
 * Two ways to ask. The environment, read at each call, so that it reaches a child process and can be changed while it
 * runs (all numbers decimal or 0x...):
 *
 *   MLSSSL_STANDIN_FAIL_CALL=n, MLSSSL_STANDIN_FAIL_CODE=c      call n answers c (default 1359) and does nothing
 *   MLSSSL_STANDIN_KILL_CALL=n, MLSSSL_STANDIN_KILL_WHEN=after  the process ends before (default) or after call n's work
 *   MLSSSL_STANDIN_FAMILIES=1,5   the families this Windows knows (default 1,5,6,11)
 *   MLSSSL_STANDIN_FLAGS=0x1ff    the bits of DefaultFlags this Windows knows (default 0xffff)
 *   MLSSSL_STANDIN_CHECK_MODES=7  the same for DefaultCertCheckMode (default 0x1001f)
 *   MLSSSL_STANDIN_NOT_ADMIN=1    Set, Update and Delete answer 5
 *
 * And exported functions, which no Windows has: StandinFailCall, StandinKillCall, StandinCalls, StandinFailedFunction
 * and StandinReason (here), StandinOpenCount and StandinReset (httpapi.c).
 *
 * A call that is failed on demand does nothing: a failed HttpTerminate leaves its initialisation open, and the caller
 * can do no more about it. StandinFailedFunction tells such a case apart from a leak.
 */
#include "standin.h"

#define KILLED_EXIT_CODE 137 /* as a shell reports SIGKILL */

enum { KILL_BEFORE = 0, KILL_AFTER = 1 };

static volatile LONG calls;
static LONG fail_number, kill_number; /* 0: whatever the environment says */
static ULONG fail_code;
static int kill_when;
static const char *volatile failed_function;
static const char *volatile last_reason;

__declspec(dllexport) void WINAPI StandinFailCall(LONG number, ULONG code);
__declspec(dllexport) void WINAPI StandinKillCall(LONG number, int when);
__declspec(dllexport) LONG WINAPI StandinCalls(void);
__declspec(dllexport) const char *WINAPI StandinFailedFunction(void);
__declspec(dllexport) const char *WINAPI StandinReason(void);

/* Fail call `number` from now (1: the next one) with `code`; 0 disarms. Both restart the count of StandinCalls. */
void WINAPI StandinFailCall(LONG number, ULONG code)
{
    fail_number = number;
    fail_code = code;
    failed_function = NULL;
    InterlockedExchange(&calls, 0);
}

/* End the process at call `number` from now, before (0) or after (1) its work; 0 disarms. Restarts the count. */
void WINAPI StandinKillCall(LONG number, int when)
{
    kill_number = number;
    kill_when = when;
    InterlockedExchange(&calls, 0);
}

/* Calls of this process since it started, or since StandinFailCall, StandinKillCall or StandinReset. */
LONG WINAPI StandinCalls(void)
{
    return calls;
}

/* The name of the function that was last failed on demand, or NULL. */
const char *WINAPI StandinFailedFunction(void)
{
    return failed_function;
}

/* Why the last refused call was refused, in a few English words, or NULL. For whoever debugs a test. */
const char *WINAPI StandinReason(void)
{
    return last_reason;
}

ULONG refuse(ULONG code, const char *reason)
{
    last_reason = reason;
    return code;
}

static BOOL environment_text(const WCHAR *name, WCHAR *text, DWORD size)
{
    DWORD length = GetEnvironmentVariableW(name, text, size);
    return length > 0 && length < size;
}

static ULONG number_at(const WCHAR **text)
{
    const WCHAR *next = *text;
    ULONG value = 0, base = 10;
    if (next[0] == '0' && (next[1] == 'x' || next[1] == 'X')) {
        base = 16;
        next += 2;
    }
    for (;; next++) {
        ULONG digit = *next >= '0' && *next <= '9'   ? (ULONG)(*next - '0')
                      : *next >= 'a' && *next <= 'f' ? (ULONG)(*next - 'a' + 10)
                      : *next >= 'A' && *next <= 'F' ? (ULONG)(*next - 'A' + 10)
                                                     : base;
        if (digit >= base)
            break;
        value = value * base + digit;
    }
    *text = next;
    return value;
}

ULONG setting(const WCHAR *name, ULONG otherwise)
{
    WCHAR text[32];
    const WCHAR *start = text;
    return environment_text(name, text, ARRAYSIZE(text)) ? number_at(&start) : otherwise;
}

BOOL family_enabled(int id)
{
    WCHAR text[64];
    const WCHAR *next = text;
    if (!environment_text(L"MLSSSL_STANDIN_FAMILIES", text, ARRAYSIZE(text)))
        return TRUE;
    while (*next != 0) {
        const WCHAR *start = next;
        if (number_at(&next) == (ULONG)id && next != start)
            return TRUE;
        if (*next != 0)
            next++;
    }
    return FALSE;
}

static void die(void)
{
    TerminateProcess(GetCurrentProcess(), KILLED_EXIT_CODE);
}

static BOOL dies(const CALL *call, int when)
{
    WCHAR text[8];
    ULONG number = kill_number != 0 ? (ULONG)kill_number : setting(L"MLSSSL_STANDIN_KILL_CALL", 0);
    if (number == 0 || (ULONG)call->number != number)
        return FALSE;
    if (kill_number != 0)
        return kill_when == when;
    return (environment_text(L"MLSSSL_STANDIN_KILL_WHEN", text, ARRAYSIZE(text)) && lstrcmpiW(text, L"after") == 0)
           == (when == KILL_AFTER);
}

BOOL call_begins(CALL *call, const char *function, ULONG *code)
{
    ULONG number;
    call->number = InterlockedIncrement(&calls);
    if (dies(call, KILL_BEFORE))
        die();
    number = fail_number != 0 ? (ULONG)fail_number : setting(L"MLSSSL_STANDIN_FAIL_CALL", 0);
    if (number == 0 || (ULONG)call->number != number)
        return TRUE;
    failed_function = function;
    *code = fail_number != 0 ? fail_code : setting(L"MLSSSL_STANDIN_FAIL_CODE", ERROR_INTERNAL_ERROR);
    last_reason = "asked to fail";
    return FALSE;
}

ULONG call_ends(const CALL *call, ULONG code)
{
    if (dies(call, KILL_AFTER))
        die();
    return code;
}
