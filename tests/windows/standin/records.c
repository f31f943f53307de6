/* Records in the registry: HKLM\Software\mlsssl-standin\<family>, one value per record, named after its key.
 *
 * A value is written, replaced and deleted as one step, so a process that is killed leaves the old record or the new
 * one. (A subkey per record, which HTTP.sys itself uses, would need two steps to appear.) The named mutex makes
 * look-then-write one step too, between any number of processes; one that dies holding it has left nothing half done.
 */
#include "standin.h"

#define ROOT L"Software\\mlsssl-standin"
#define MUTEX L"Global\\mlsssl-standin"
#define PATIENCE 30000 /* ms */

static HANDLE volatile mutex;

ULONG lock_records(void)
{
    DWORD waited;
    if (mutex == NULL) {
        HANDLE opened = CreateMutexW(NULL, FALSE, MUTEX);
        if (opened == NULL)
            return refuse(GetLastError(), "the stand-in's mutex cannot be opened");
        if (InterlockedCompareExchangePointer((void *volatile *)&mutex, opened, NULL) != NULL)
            CloseHandle(opened); /* another thread was first */
    }
    waited = WaitForSingleObject(mutex, PATIENCE);
    if (waited == WAIT_OBJECT_0 || waited == WAIT_ABANDONED)
        return NO_ERROR;
    return refuse(ERROR_TIMEOUT, "the stand-in's mutex was not released for 30 seconds");
}

void unlock_records(void)
{
    ReleaseMutex(mutex);
}

static ULONG open_family(const FAMILY *family, HKEY *key)
{
    WCHAR path[100];
    lstrcpyW(path, ROOT L"\\");
    lstrcatW(path, family->name);
    return (ULONG)RegCreateKeyExW(HKEY_LOCAL_MACHINE, path, 0, NULL, 0, KEY_ALL_ACCESS, NULL, key, NULL);
}

static ULONG check_read(const RECORD *record, DWORD type, DWORD length)
{
    if (type != REG_BINARY || length < offsetof(RECORD, text) || record->text_length > TEXT_LENGTH
        || length != offsetof(RECORD, text) + record->text_length * sizeof(WCHAR))
        return refuse(ERROR_INVALID_DATA, "a record in the registry was written by something else");
    return NO_ERROR;
}

ULONG find_record(const FAMILY *family, const WCHAR *name, RECORD *record)
{
    HKEY key;
    DWORD type, length = sizeof *record;
    ULONG code = open_family(family, &key);
    if (code != NO_ERROR)
        return code;
    code = (ULONG)RegQueryValueExW(key, name, NULL, &type, (BYTE *)record, &length);
    RegCloseKey(key);
    return code == NO_ERROR ? check_read(record, type, length) : code;
}

ULONG record_at(const FAMILY *family, ULONG index, RECORD *record)
{
    HKEY key;
    WCHAR name[NAME_LENGTH];
    DWORD type, name_length = NAME_LENGTH, length = sizeof *record;
    ULONG code = open_family(family, &key);
    if (code != NO_ERROR)
        return code;
    code = (ULONG)RegEnumValueW(key, index, name, &name_length, NULL, &type, (BYTE *)record, &length);
    RegCloseKey(key);
    return code == NO_ERROR ? check_read(record, type, length) : code;
}

ULONG put_record(const FAMILY *family, const WCHAR *name, const RECORD *record)
{
    HKEY key;
    DWORD length = (DWORD)(offsetof(RECORD, text) + record->text_length * sizeof(WCHAR));
    ULONG code = open_family(family, &key);
    if (code != NO_ERROR)
        return code;
    code = (ULONG)RegSetValueExW(key, name, 0, REG_BINARY, (const BYTE *)record, length);
    RegCloseKey(key);
    return code;
}

ULONG delete_record(const FAMILY *family, const WCHAR *name)
{
    HKEY key;
    ULONG code = open_family(family, &key);
    if (code != NO_ERROR)
        return code;
    code = (ULONG)RegDeleteValueW(key, name);
    RegCloseKey(key);
    return code;
}

ULONG delete_all_records(void)
{
    ULONG code = (ULONG)RegDeleteTreeW(HKEY_LOCAL_MACHINE, ROOT);
    return code == ERROR_FILE_NOT_FOUND ? NO_ERROR : code;
}
