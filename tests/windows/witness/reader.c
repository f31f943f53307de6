/* The caller's structures, read as by somebody who has been lied to: every pointer is probed before it is followed,
 * every byte that the documentation calls zero is looked at, every field goes into the log.
 */
#include "witness.h"

static BOOL accessible(const void *memory, size_t length, DWORD wanted) {
  const UCHAR *at = memory, *end = at + length;
  if (memory == NULL || end < at) return FALSE;
  while (at < end) {
    MEMORY_BASIC_INFORMATION page;
    if (VirtualQuery(at, &page, sizeof page) == 0 || page.State != MEM_COMMIT) return FALSE;
    if (page.Protect & (PAGE_GUARD | PAGE_NOACCESS) || !(page.Protect & wanted)) return FALSE;
    at = (const UCHAR *)page.BaseAddress + page.RegionSize;
  }
  return TRUE;
}

#define WRITABLE_PAGES (PAGE_READWRITE | PAGE_WRITECOPY | PAGE_EXECUTE_READWRITE | PAGE_EXECUTE_WRITECOPY)

BOOL readable(const void *memory, size_t length) {
  return accessible(memory, length, WRITABLE_PAGES | PAGE_READONLY | PAGE_EXECUTE_READ);
}

BOOL writable(void *memory, size_t length) { return accessible(memory, length, WRITABLE_PAGES); }

BOOL read_text(const char *name, PCWSTR given, TEXT_FIELD *text) {
  memset(text, 0, sizeof *text);
  if (given != NULL) {
    size_t length = 0;
    for (;; length++) {
      if (length == TEXT_LIMIT || !readable(given + length, sizeof(WCHAR))) {
        log_fault("%s: not terminated within %d characters of readable memory", name, TEXT_LIMIT);
        return FALSE;
      }
      if (given[length] == 0) break;
      text->text[length] = given[length];
    }
    text->present = 1;
    if ((ULONG_PTR)given % sizeof(WCHAR) != 0) log_fault("%s: not aligned to its characters", name);
  }
  log_text(name, text);
  return TRUE;
}

/* Bytes that have to be zero: their place is a fault, not only their presence. */
static BOOL all_zero(const char *name, const void *memory, size_t length) {
  for (size_t at = 0; at < length; at++) {
    if (((const UCHAR *)memory)[at] != 0) {
      log_fault("%s: byte %u is not zero", name, (unsigned)at);
      return FALSE;
    }
  }
  return TRUE;
}

/* An address of IP:port: a pointer to a SOCKADDR_IN or SOCKADDR_IN6 of the caller. */
static BOOL read_address(const SOCKADDR *given, RECORD *record) {
  if (!readable(given, sizeof(SOCKADDR_IN))) {
    log_fault("pIpPort: no readable address");
    return FALSE;
  }
  record->address_family = given->sa_family;
  log_number("address_family", record->address_family);
  if (given->sa_family == AF_INET) {
    const SOCKADDR_IN *four = (const SOCKADDR_IN *)given;
    record->port = ntohs(four->sin_port);
    memcpy(record->address, &four->sin_addr, 4);
    log_hex("address", record->address, 4);
    if (!all_zero("sin_zero", four->sin_zero, sizeof four->sin_zero)) return FALSE;
  } else if (given->sa_family == AF_INET6 && readable(given, sizeof(SOCKADDR_IN6))) {
    const SOCKADDR_IN6 *six = (const SOCKADDR_IN6 *)given;
    record->port = ntohs(six->sin6_port);
    record->scope = six->sin6_scope_id;
    memcpy(record->address, &six->sin6_addr, 16);
    log_hex("address", record->address, 16);
    log_number("scope", record->scope);
    log_number("flowinfo", six->sin6_flowinfo);
    if (six->sin6_flowinfo != 0) {
      log_fault("sin6_flowinfo is not zero");
      return FALSE;
    }
  } else {
    log_fault("pIpPort: family %u is neither AF_INET nor AF_INET6", given->sa_family);
    return FALSE;
  }
  log_number("port", record->port);
  return TRUE;
}

/* The port of SNI and CCS: inline, AF_INET, 0.0.0.0, and nothing else in the 128 bytes. */
static BOOL read_wildcard(const SOCKADDR_STORAGE *given, RECORD *record) {
  const SOCKADDR_IN *four = (const SOCKADDR_IN *)given;
  record->address_family = four->sin_family;
  record->port = ntohs(four->sin_port);
  log_number("address_family", record->address_family);
  log_number("port", record->port);
  log_hex("address", &four->sin_addr, 4);
  if (four->sin_family != AF_INET) {
    log_fault("IpPort: family %u is not AF_INET", four->sin_family);
    return FALSE;
  }
  return all_zero("IpPort after its port", (const UCHAR *)given + 4, sizeof *given - 4);
}

BOOL read_key(DWORD family, const void *key, RECORD *record) {
  memset(record, 0, sizeof *record);
  record->family = family;
  if (family == FAMILY_URL) {
    const HTTP_SERVICE_CONFIG_URLACL_KEY *url = key;
    if (!read_text("url", url->pUrlPrefix, &record->name)) return FALSE;
    if (record->name.present) return TRUE;
    log_fault("pUrlPrefix is NULL");
    return FALSE;
  }
  BOOL good;
  if (family == FAMILY_IP) {
    good = read_address(((const HTTP_SERVICE_CONFIG_SSL_KEY *)key)->pIpPort, record);
  } else {
    good = read_wildcard(key, record);
  }
  if (good && record->port == 0) {
    log_fault("port 0");
    return FALSE;
  }
  if (!good || family == FAMILY_IP || family == FAMILY_CCS) return good;
  if (!read_text("host", ((const SNI_KEY *)key)->Host, &record->name)) return FALSE;
  if (record->name.present && record->name.text[0]) return TRUE;
  log_fault("Host is empty");
  return FALSE;
}

BOOL read_parameters(const HTTP_SERVICE_CONFIG_SSL_PARAM *given, RECORD *record) {
  record->hash_length = given->SslHashLength;
  log_number("hash_length", given->SslHashLength);
  if (given->SslHashLength != 0) {
    if (given->SslHashLength != sizeof record->hash || !readable(given->pSslHash, sizeof record->hash)) {
      log_fault("pSslHash: not 20 readable bytes");
      return FALSE;
    }
    memcpy(record->hash, given->pSslHash, sizeof record->hash);
  } else if (given->pSslHash != NULL) {
    log_fault("pSslHash without a length");
    return FALSE;
  }
  log_hex("hash", record->hash, record->hash_length);
  record->application = given->AppId;
  log_hex("app_id", &given->AppId, sizeof given->AppId); /* as it lies in memory: the test knows GUIDs */
  if (!read_text("store", given->pSslCertStoreName, &record->store)) return FALSE;
  record->check_mode = given->DefaultCertCheckMode;
  record->freshness = given->DefaultRevocationFreshnessTime;
  record->url_timeout = given->DefaultRevocationUrlRetrievalTimeout;
  record->flags = given->DefaultFlags;
  log_number("check_mode", record->check_mode);
  log_number("freshness", record->freshness);
  log_number("url_timeout", record->url_timeout);
  log_number("flags", record->flags);
  return read_text("ctl_identifier", given->pDefaultSslCtlIdentifier, &record->ctl_identifier) &&
         read_text("ctl_store", given->pDefaultSslCtlStoreName, &record->ctl_store);
}
