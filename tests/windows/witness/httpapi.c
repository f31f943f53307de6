/* The exported calls. Codes as Microsoft documents them: 2, 6, 87, 122, 183, 259, 1312. */
#include "witness.h"

#include <sddl.h>
#include <stddef.h>

typedef struct {
  DWORD id;
  ULONG set_size, query_size;
  ULONG query_key, query_token; /* offsets in the query structure; QueryDesc is at 0 in all of them */
  ULONG parameters;             /* offset in the set structure; the key is at 0 in all of them */
} FAMILY;

#define FAMILY_OF(id, set, query) \
  {id, sizeof(set), sizeof(query), offsetof(query, KeyDesc), offsetof(query, dwToken), offsetof(set, ParamDesc)}

static const FAMILY families[] = {
    FAMILY_OF(FAMILY_IP, HTTP_SERVICE_CONFIG_SSL_SET, HTTP_SERVICE_CONFIG_SSL_QUERY),
    FAMILY_OF(FAMILY_URL, HTTP_SERVICE_CONFIG_URLACL_SET, HTTP_SERVICE_CONFIG_URLACL_QUERY),
    FAMILY_OF(FAMILY_SNI, SNI_SET, SNI_QUERY),
    FAMILY_OF(FAMILY_CCS, CCS_SET, CCS_QUERY),
    FAMILY_OF(FAMILY_SCOPED_CCS, SNI_SET, SNI_QUERY),
};

#ifdef _WIN64 /* the sizes that are documented for 64 bits; a compiler that packs otherwise builds nothing */
_Static_assert(sizeof(HTTP_SERVICE_CONFIG_SSL_PARAM) == 80, "SSL_PARAM");
_Static_assert(sizeof(SNI_SET) == 216 && sizeof(CCS_SET) == 208, "SET");
_Static_assert(sizeof(SNI_QUERY) == 152 && sizeof(CCS_QUERY) == 144, "QUERY");
#endif

static LONG initialised; /* how often, for HTTP_INITIALIZE_CONFIG */
static LONG servers;     /* how often, for HTTP_INITIALIZE_SERVER, which allows no configuration */

/* No Windows has this: how many initialisations of this process have no termination yet. */
__declspec(dllexport) LONG WitnessOpenCount(void) { return initialised; }

static const FAMILY *family_of(DWORD id) {
  for (size_t at = 0; at < sizeof families / sizeof *families; at++) {
    if (families[at].id == id) return &families[at];
  }
  return NULL;
}

/* Takes the lock; what it returns for FALSE in *code is final and the lock is not held. */
static BOOL begin(const char *function, DWORD id, HANDLE handle, const void *overlapped, ULONG *code) {
  if (!records_lock()) {
    *code = ERROR_OPEN_FAILED;
    return FALSE;
  }
  log_begin(function, id);
  *code = 0;
  if (initialised == 0) {
    log_fault("called before HttpInitialize");
    *code = ERROR_INVALID_FUNCTION;
  } else if (handle != NULL) {
    log_fault("the handle is not NULL");
    *code = ERROR_INVALID_HANDLE;
  } else if (overlapped != NULL) {
    log_fault("pOverlapped is not NULL");
    *code = ERROR_INVALID_PARAMETER;
  } else if (family_of(id) == NULL) {
    *code = ERROR_INVALID_PARAMETER; /* a Windows without this family: may be asked, so no fault */
  }
  if (*code == 0) return TRUE;
  *code = log_end(*code);
  records_unlock();
  return FALSE;
}

static ULONG end(ULONG code) {
  code = log_end(code);
  records_unlock();
  return code;
}

static BOOL known_flags(ULONG flags) {
  return flags != 0 && (flags & ~(ULONG)(HTTP_INITIALIZE_CONFIG | HTTP_INITIALIZE_SERVER)) == 0;
}

ULONG WINAPI HttpInitialize(HTTPAPI_VERSION version, ULONG flags, PVOID reserved) {
  if (!records_lock()) return ERROR_OPEN_FAILED;
  log_begin("HttpInitialize", 0);
  log_number("major", version.HttpApiMajorVersion);
  log_number("minor", version.HttpApiMinorVersion);
  log_number("flags", flags);
  BOOL known = (version.HttpApiMajorVersion == 1 || version.HttpApiMajorVersion == 2) && version.HttpApiMinorVersion == 0;
  if (!known || reserved != NULL || !known_flags(flags)) {
    log_fault("not a version 1.0 or 2.0 with flags that are known and nothing reserved");
    return end(ERROR_INVALID_PARAMETER);
  }
  if (flags & HTTP_INITIALIZE_CONFIG) initialised++;
  if (flags & HTTP_INITIALIZE_SERVER) servers++;
  return end(0);
}

ULONG WINAPI HttpTerminate(ULONG flags, PVOID reserved) {
  if (!records_lock()) return ERROR_OPEN_FAILED;
  log_begin("HttpTerminate", 0);
  log_number("flags", flags);
  BOOL open = (!(flags & HTTP_INITIALIZE_CONFIG) || initialised > 0) && (!(flags & HTTP_INITIALIZE_SERVER) || servers > 0);
  if (reserved != NULL || !known_flags(flags) || !open) {
    log_fault("no HttpInitialize with these flags is open");
    return end(ERROR_INVALID_PARAMETER);
  }
  if (flags & HTTP_INITIALIZE_CONFIG) initialised--;
  if (flags & HTTP_INITIALIZE_SERVER) servers--;
  return end(0);
}

/* The set structure of a family, the key first; FALSE with the code for the caller. */
static BOOL read_set(const FAMILY *family, const void *given, ULONG length, RECORD *record, ULONG *code) {
  log_number("length", length);
  if (length != family->set_size) {
    log_fault("length %lu, not %lu", length, family->set_size);
    *code = length < family->set_size ? ERROR_INSUFFICIENT_BUFFER : ERROR_INVALID_PARAMETER;
    return FALSE;
  }
  *code = ERROR_INVALID_PARAMETER;
  if (!readable(given, length) || (ULONG_PTR)given % sizeof(void *) != 0) {
    log_fault("no readable, aligned structure");
    return FALSE;
  }
  if (!read_key(family->id, given, record)) return FALSE;
  const void *parameters = (const UCHAR *)given + family->parameters;
  if (family->id == FAMILY_URL) {
    PCWSTR descriptor = ((const HTTP_SERVICE_CONFIG_URLACL_PARAM *)parameters)->pStringSecurityDescriptor;
    return read_text("descriptor", descriptor, &record->store);
  }
  return read_parameters(parameters, record);
}

static BOOL switched(const WCHAR *name, const WCHAR *value) {
  WCHAR found[16];
  DWORD length = GetEnvironmentVariableW(name, found, 16);
  return length != 0 && length < 16 && lstrcmpW(found, value) == 0;
}

/* HTTP.sys keeps the descriptor itself (the values of UrlAclInfo in the registry), so the text that it gives back is not
 * the caller's: aliases for SIDs, words for rights. Whether an owner comes back is not documented: here it does not. */
static ULONG rewrite_descriptor(RECORD *record) {
  PSECURITY_DESCRIPTOR descriptor;
  PWSTR text = NULL;
  ULONG code = 0;
  if (!record->store.present) return ERROR_INVALID_PARAMETER;
  if (!ConvertStringSecurityDescriptorToSecurityDescriptorW(record->store.text, SDDL_REVISION_1, &descriptor, NULL)) {
    return GetLastError();
  }
  if (!ConvertSecurityDescriptorToStringSecurityDescriptorW(descriptor, SDDL_REVISION_1, DACL_SECURITY_INFORMATION, &text, NULL)) {
    code = GetLastError();
  } else if (wcslen(text) >= TEXT_LIMIT) {
    code = ERROR_INVALID_PARAMETER;
  } else {
    memset(record->store.text, 0, sizeof record->store.text);
    wcscpy(record->store.text, text);
  }
  LocalFree(text);
  LocalFree(descriptor);
  return code;
}

/* What a record has to be, beyond being readable. */
static ULONG acceptable(RECORD *record) {
  if (record->family == FAMILY_URL) return rewrite_descriptor(record);
  BOOL central = record->family == FAMILY_CCS || record->family == FAMILY_SCOPED_CCS;
  if (!central) {
    if (record->hash_length == 0) return ERROR_INVALID_PARAMETER;
    if (record->family == FAMILY_SNI && !record->store.present) {
      log_fault("a record by host name needs the name of its store");
      return ERROR_INVALID_PARAMETER;
    }
    if (record->store.present && record->store.text[0] == 0) {
      log_fault("the name of the store is empty");
      return ERROR_INVALID_PARAMETER;
    }
    return certificate_usable(record);
  }
  if (record->hash_length != 0 || record->store.present) {
    log_fault("a record of the central store with a certificate");
    return ERROR_INVALID_PARAMETER;
  }
  BOOL options = record->check_mode || record->freshness || record->url_timeout || record->flags ||
                 record->ctl_identifier.present || record->ctl_store.present;
  /* Unknown of a real HTTP.sys: other tools refuse options of plain CCS themselves. By a switch, both. */
  if (record->family == FAMILY_CCS && options && !switched(L"MLSSSL_WITNESS_CCS", L"keep")) return ERROR_INVALID_PARAMETER;
  return 0;
}

static ULONG put(const char *function, BOOL update, HANDLE handle, DWORD id, PVOID given, ULONG length, LPOVERLAPPED overlapped) {
  static RECORD record; /* 16 KB and the lock is held */
  ULONG code;
  if (!begin(function, id, handle, overlapped, &code)) return code;
  if (!read_set(family_of(id), given, length, &record, &code)) return end(code);
  if (update && id == FAMILY_URL) return end(ERROR_INVALID_PARAMETER); /* documented for the families of TLS only */
  int position = records_find(&record);
  if (update && position < 0) return end(ERROR_FILE_NOT_FOUND);
  if (!update && position >= 0) return end(ERROR_ALREADY_EXISTS);
  code = acceptable(&record);
  if (code == 0 && !records_put(position, &record)) code = ERROR_DISK_FULL;
  return end(code);
}

ULONG WINAPI HttpSetServiceConfiguration(HANDLE handle, HTTP_SERVICE_CONFIG_ID id, PVOID given, ULONG length, LPOVERLAPPED overlapped) {
  return put("Set", FALSE, handle, (DWORD)id, given, length, overlapped);
}

__declspec(dllexport) ULONG WINAPI HttpUpdateServiceConfiguration(HANDLE handle, HTTP_SERVICE_CONFIG_ID id, PVOID given, ULONG length, LPOVERLAPPED overlapped) {
  return put("Update", TRUE, handle, (DWORD)id, given, length, overlapped);
}

ULONG WINAPI HttpDeleteServiceConfiguration(HANDLE handle, HTTP_SERVICE_CONFIG_ID id, PVOID given, ULONG length, LPOVERLAPPED overlapped) {
  static RECORD record;
  ULONG code;
  if (!begin("Delete", (DWORD)id, handle, overlapped, &code)) return code;
  if (!read_set(family_of((DWORD)id), given, length, &record, &code)) return end(code);
  const UCHAR *rest = (const UCHAR *)given + family_of((DWORD)id)->parameters;
  for (ULONG at = family_of((DWORD)id)->parameters; at < length; at++, rest++) {
    if (*rest == 0) continue;
    log_fault("a deletion brings more than a key");
    return end(ERROR_INVALID_PARAMETER);
  }
  int position = records_find(&record);
  if (position < 0) return end(ERROR_FILE_NOT_FOUND);
  records_remove(position);
  return end(0);
}

/* ---- answers ----------------------------------------------------------------------------------------------------- */

typedef struct { UCHAR *start; size_t used; } BUFFER; /* start NULL: only measures */

static void *append(BUFFER *buffer, const void *bytes, size_t length, size_t alignment) {
  buffer->used = (buffer->used + alignment - 1) / alignment * alignment;
  UCHAR *place = buffer->start == NULL ? NULL : buffer->start + buffer->used;
  if (place != NULL) memcpy(place, bytes, length);
  buffer->used += length;
  return place;
}

static PWSTR append_text(BUFFER *buffer, const TEXT_FIELD *text) {
  if (!text->present) return NULL;
  return append(buffer, text->text, (wcslen(text->text) + 1) * sizeof(WCHAR), sizeof(WCHAR));
}

static void socket_address(const RECORD *record, SOCKADDR_STORAGE *address) {
  memset(address, 0, sizeof *address);
  if (record->address_family == AF_INET6) {
    SOCKADDR_IN6 *six = (SOCKADDR_IN6 *)address;
    six->sin6_family = AF_INET6;
    six->sin6_port = htons((USHORT)record->port);
    six->sin6_scope_id = record->scope;
    memcpy(&six->sin6_addr, record->address, 16);
  } else {
    SOCKADDR_IN *four = (SOCKADDR_IN *)address;
    four->sin_family = AF_INET;
    four->sin_port = htons((USHORT)record->port);
    memcpy(&four->sin_addr, record->address, 4);
  }
}

/* One set structure and behind it what it points to, as close as alignment allows; the padding holds no zeros. */
static void answer(const FAMILY *family, const RECORD *record, BUFFER *buffer) {
  union {
    UCHAR bytes[sizeof(SNI_SET)];
    HTTP_SERVICE_CONFIG_SSL_SET ip;
    HTTP_SERVICE_CONFIG_URLACL_SET url;
    SNI_SET sni;
    CCS_SET ccs;
  } set;
  SOCKADDR_STORAGE address;
  HTTP_SERVICE_CONFIG_SSL_PARAM parameters;
  memset(&set, 0xA5, sizeof set);
  memset(&parameters, 0xA5, sizeof parameters);
  socket_address(record, &address);
  buffer->used = family->set_size;
  if (family->id == FAMILY_URL) {
    set.url.ParamDesc.pStringSecurityDescriptor = append_text(buffer, &record->store);
    set.url.KeyDesc.pUrlPrefix = append_text(buffer, &record->name);
  } else {
    /* Texts before the address and the hash: no order is documented. */
    parameters.pDefaultSslCtlStoreName = append_text(buffer, &record->ctl_store);
    parameters.pDefaultSslCtlIdentifier = append_text(buffer, &record->ctl_identifier);
    parameters.pSslCertStoreName = append_text(buffer, &record->store);
    parameters.SslHashLength = record->hash_length;
    parameters.pSslHash = record->hash_length ? append(buffer, record->hash, record->hash_length, 1) : NULL;
    parameters.AppId = record->application;
    parameters.DefaultCertCheckMode = record->check_mode;
    parameters.DefaultRevocationFreshnessTime = record->freshness;
    parameters.DefaultRevocationUrlRetrievalTimeout = record->url_timeout;
    parameters.DefaultFlags = record->flags;
    if (family->id == FAMILY_IP) {
      size_t size = record->address_family == AF_INET6 ? sizeof(SOCKADDR_IN6) : sizeof(SOCKADDR_IN);
      set.ip.KeyDesc.pIpPort = append(buffer, &address, size, 4);
    } else if (family->id == FAMILY_CCS) {
      set.ccs.KeyDesc.LocalAddress = address;
    } else {
      set.sni.KeyDesc.IpPort = address;
      set.sni.KeyDesc.Host = append_text(buffer, &record->name);
    }
    memcpy(set.bytes + family->parameters, &parameters, sizeof parameters);
  }
  if (buffer->start != NULL) memcpy(buffer->start, &set, family->set_size);
}

ULONG WINAPI HttpQueryServiceConfiguration(HANDLE handle, HTTP_SERVICE_CONFIG_ID id, PVOID given, ULONG length, PVOID output,
                                           ULONG output_length, PULONG return_length, LPOVERLAPPED overlapped) {
  static RECORD key;
  ULONG code;
  if (!begin("Query", (DWORD)id, handle, overlapped, &code)) return code;
  const FAMILY *family = family_of((DWORD)id);
  log_number("length", length);
  log_number("output_length", output_length);
  if (length != family->query_size || !readable(given, length) || (ULONG_PTR)given % sizeof(void *) != 0) {
    log_fault("no readable, aligned query of %lu bytes", family->query_size);
    return end(length < family->query_size ? ERROR_INSUFFICIENT_BUFFER : ERROR_INVALID_PARAMETER);
  }
  if (!writable(return_length, sizeof *return_length)) {
    log_fault("pReturnLength cannot be written");
    return end(ERROR_INVALID_PARAMETER);
  }
  if (output_length != 0 && (!writable(output, output_length) || (ULONG_PTR)output % sizeof(void *) != 0)) {
    log_fault("the output is no writable, aligned memory");
    return end(ERROR_INVALID_PARAMETER);
  }
  int how = *(const int *)given;
  log_number("query", (unsigned)how);
  int position;
  if (how == HttpServiceConfigQueryExact) {
    if (!read_key(family->id, (const UCHAR *)given + family->query_key, &key)) return end(ERROR_INVALID_PARAMETER);
    position = records_find(&key);
    if (position < 0) return end(ERROR_FILE_NOT_FOUND);
  } else if (how == HttpServiceConfigQueryNext) {
    DWORD token = *(const DWORD *)((const UCHAR *)given + family->query_token);
    log_number("token", token);
    position = records_nth(family->id, token);
    if (position < 0) return end(ERROR_NO_MORE_ITEMS);
  } else {
    log_fault("QueryDesc %d", how);
    return end(ERROR_INVALID_PARAMETER);
  }
  BUFFER buffer = {NULL, 0};
  answer(family, records_at(position), &buffer);
  *return_length = (ULONG)buffer.used;
  log_number("needed", buffer.used);
  if (output_length < buffer.used) return end(ERROR_INSUFFICIENT_BUFFER);
  buffer.start = output;
  memset(output, 0x5A, output_length); /* between the texts and behind the last one as well */
  answer(family, records_at(position), &buffer);
  return end(0);
}
