/* bcryptprimitives.dll for Wine releases that lack it (Wine 8): its one function that Rust's standard library calls.
 *
 * ProcessPrng fills a buffer with random bytes and always answers TRUE on Windows
 * (learn.microsoft.com/en-us/windows/win32/seccng/processprng). Here the bytes come from the system-preferred
 * generator of BCryptGenRandom, whose length is a ULONG, so a larger buffer is filled in parts.
 */
#include <windows.h>
#include <bcrypt.h>

#define PART 0x10000000u

BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T length);

BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T length)
{
    while (length > 0) {
        ULONG part = length > PART ? PART : (ULONG)length;
        if (BCryptGenRandom(NULL, data, part, BCRYPT_USE_SYSTEM_PREFERRED_RNG) != 0)
            return FALSE;
        data += part;
        length -= part;
    }
    return TRUE;
}
