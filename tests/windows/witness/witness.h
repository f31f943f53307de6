/* The second stand-in for httpapi.dll: what its files share.
 *
 * Written from Microsoft's documentation of http.h and mingw-w64's header alone, without a look at the first stand-in
 * (../standin): what both accept from the library is not one author's misreading. It trusts nothing that it is given,
 * writes down every field that it reads, and leaves no convenient zeros in what it answers.
 */
#ifndef WITNESS_H
#define WITNESS_H

#define _WIN32_WINNT 0x0A00
#include <winsock2.h>
#include <windows.h>
#include <ws2tcpip.h>
#define HTTPAPI_LINKAGE __declspec(dllexport)
#include <http.h>

/* ---- structures that mingw-w64's http.h does not have: the order of the fields is Microsoft's documentation's ---- */

typedef struct { SOCKADDR_STORAGE IpPort; PWSTR Host; } SNI_KEY;
typedef struct { SOCKADDR_STORAGE LocalAddress; } CCS_KEY;
typedef struct { SNI_KEY KeyDesc; HTTP_SERVICE_CONFIG_SSL_PARAM ParamDesc; } SNI_SET;
typedef struct { CCS_KEY KeyDesc; HTTP_SERVICE_CONFIG_SSL_PARAM ParamDesc; } CCS_SET;
typedef struct { int QueryDesc; SNI_KEY KeyDesc; DWORD dwToken; } SNI_QUERY;
typedef struct { int QueryDesc; CCS_KEY KeyDesc; DWORD dwToken; } CCS_QUERY;

enum { FAMILY_IP = 1, FAMILY_URL = 2, FAMILY_SNI = 5, FAMILY_CCS = 6, FAMILY_SCOPED_CCS = 11 };

/* ---- what is kept of one record ---------------------------------------------------------------------------------- */

#define TEXT_LIMIT 4096 /* an access list of a hundred accounts has 3000 */

typedef struct { DWORD present; WCHAR text[TEXT_LIMIT]; } TEXT_FIELD;

typedef struct {
  DWORD family; /* one of FAMILY_*, 0: nothing here */
  DWORD address_family;
  DWORD port; /* in the machine's order */
  DWORD scope;
  UCHAR address[16]; /* the first 4 for AF_INET */
  TEXT_FIELD name; /* the host of SNI and scoped CCS, the prefix of a URL reservation */
  DWORD hash_length;
  UCHAR hash[20];
  GUID application;
  TEXT_FIELD store; /* the security descriptor of a URL reservation, in words of its own */
  DWORD check_mode, freshness, url_timeout, flags;
  TEXT_FIELD ctl_identifier, ctl_store;
} RECORD;

/* records.c: a file that every process maps, one of them at a time between lock() and unlock() */
BOOL records_lock(void);
void records_unlock(void);
BOOL records_same_key(const RECORD *one, const RECORD *other);
int records_find(const RECORD *key);               /* a position, -1: no record has this key */
int records_nth(DWORD family, DWORD token);        /* the latest first, -1: past the end */
const RECORD *records_at(int position);
BOOL records_put(int position, const RECORD *record); /* -1: a new position */
void records_remove(int position);

/* log.c: one JSON object a call, in a file beside the records */
void log_begin(const char *function, DWORD family);
void log_number(const char *name, unsigned long long value);
void log_hex(const char *name, const void *bytes, size_t length);
void log_text(const char *name, const TEXT_FIELD *text);
void log_fault(const char *format, ...) __attribute__((format(printf, 1, 2)));
ULONG log_end(ULONG code); /* returns the code */
BOOL witness_folder(WCHAR *path, const WCHAR *file); /* of MAX_PATH characters */

/* reader.c: the caller's memory, FALSE after a log_fault() */
BOOL readable(const void *memory, size_t length);
BOOL writable(void *memory, size_t length);
BOOL read_key(DWORD family, const void *key, RECORD *record);
BOOL read_parameters(const HTTP_SERVICE_CONFIG_SSL_PARAM *given, RECORD *record);
BOOL read_text(const char *name, PCWSTR given, TEXT_FIELD *text);

/* certificates.c: 0, or what HTTP.sys says of a certificate that it cannot use */
ULONG certificate_usable(const RECORD *record);

#endif
