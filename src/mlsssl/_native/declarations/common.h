/* Types that more than one DLL uses.
 *
 * Every integer has a fixed width: the same text then gives Windows' layout wherever it is compiled, which
 * `unsigned long` (8 bytes on 64-bit Linux) and `wchar_t` (4 bytes there) would not. */

typedef uint8_t BYTE;
typedef int32_t BOOL;
typedef uint16_t WORD;
typedef uint16_t USHORT;
typedef uint32_t DWORD;
typedef uint32_t ULONG;
typedef int32_t LONG;
typedef uint64_t ULONGLONG;

/* One UTF-16 code unit: winnt.h's wchar_t, which has two bytes on Windows. */
typedef uint16_t WCHAR;

/* guiddef.h. Its 16 bytes in memory are uuid.UUID.bytes_le. */
typedef struct {
    DWORD Data1;
    WORD Data2;
    WORD Data3;
    BYTE Data4[8];
} GUID;

/* minwindef.h: 100-nanosecond steps since 1601-01-01 UTC, in two halves. */
typedef struct {
    DWORD dwLowDateTime;
    DWORD dwHighDateTime;
} FILETIME;
