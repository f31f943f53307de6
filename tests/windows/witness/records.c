/* The records of a machine: a file of slots, mapped by every process; a table of slot numbers says which ones count.
 *
 * A record is written into a slot that no entry of the table names, then one 32-bit store makes it the record of its
 * key: a process that is killed at any moment leaves the old record or the new one.
 */
#include "witness.h"

#define ENTRIES 600
#define SLOTS (ENTRIES + 1)

typedef struct {
  volatile LONG slot[ENTRIES]; /* slot number + 1, 0: empty */
  RECORD record[SLOTS];
} RECORDS;

static RECORDS *records;
static HANDLE mutex;

BOOL records_lock(void) {
  /* Threads that race here make the same mutex: it has a name. */
  if (mutex == NULL) mutex = CreateMutexW(NULL, FALSE, L"Global\\mlsssl-witness");
  DWORD waited = mutex == NULL ? WAIT_FAILED : WaitForSingleObject(mutex, 60000);
  if (waited != WAIT_OBJECT_0 && waited != WAIT_ABANDONED) return FALSE;
  if (records != NULL) return TRUE;
  WCHAR path[MAX_PATH];
  HANDLE file = INVALID_HANDLE_VALUE, mapping = NULL;
  if (witness_folder(path, L"records.bin")) {
    file = CreateFileW(path, GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_ALWAYS, 0, NULL);
  }
  if (file != INVALID_HANDLE_VALUE) mapping = CreateFileMappingW(file, NULL, PAGE_READWRITE, 0, sizeof(RECORDS), NULL);
  if (mapping != NULL) records = MapViewOfFile(mapping, FILE_MAP_ALL_ACCESS, 0, 0, sizeof(RECORDS));
  if (mapping != NULL) CloseHandle(mapping); /* the view keeps both */
  if (file != INVALID_HANDLE_VALUE) CloseHandle(file);
  if (records == NULL) ReleaseMutex(mutex);
  return records != NULL;
}

void records_unlock(void) { ReleaseMutex(mutex); }

BOOL records_same_key(const RECORD *one, const RECORD *other) {
  if (one->family != other->family) return FALSE;
  if (one->family == FAMILY_IP) {
    return one->address_family == other->address_family && one->port == other->port && one->scope == other->scope &&
           memcmp(one->address, other->address, sizeof one->address) == 0;
  }
  if (one->port != other->port) return FALSE;
  /* Byte by byte, for host names too: nothing documents that HTTP.sys folds case or converts to IDNA. */
  return one->name.present == other->name.present && wcscmp(one->name.text, other->name.text) == 0;
}

int records_find(const RECORD *key) {
  for (int at = 0; at < ENTRIES; at++) {
    if (records->slot[at] != 0 && records_same_key(key, records_at(at))) return at;
  }
  return -1;
}

int records_nth(DWORD family, DWORD token) {
  for (int at = ENTRIES - 1; at >= 0; at--) {
    if (records->slot[at] != 0 && records_at(at)->family == family && token-- == 0) return at;
  }
  return -1;
}

const RECORD *records_at(int position) { return &records->record[records->slot[position] - 1]; }

BOOL records_put(int position, const RECORD *record) {
  BOOL taken[SLOTS] = {FALSE};
  for (int at = 0; at < ENTRIES; at++) {
    if (records->slot[at] != 0) taken[records->slot[at] - 1] = TRUE;
  }
  for (int at = 0; position < 0 && at < ENTRIES; at++) {
    if (records->slot[at] == 0) position = at;
  }
  int slot = 0;
  while (slot < SLOTS && taken[slot]) slot++;
  if (position < 0 || slot == SLOTS) return FALSE;
  records->record[slot] = *record;
  InterlockedExchange(&records->slot[position], slot + 1);
  return TRUE;
}

void records_remove(int position) { InterlockedExchange(&records->slot[position], 0); }
