/* The caller's structures: every pointer looked at before it is read, everything copied before it is judged.
 *
 * Stricter than Windows is known to be, so that a careless caller is caught here: padding of addresses must be zero,
 * and pointers must be aligned.
 */
#include "standin.h"

#include <stdio.h>
#include <string.h>

#define SMALLEST_PAGE 4096 /* protection never changes inside one */
#define ANY_READ                                                                                                   \
    (PAGE_READONLY | PAGE_READWRITE | PAGE_WRITECOPY | PAGE_EXECUTE_READ | PAGE_EXECUTE_READWRITE                  \
     | PAGE_EXECUTE_WRITECOPY)
#define ANY_WRITE (PAGE_READWRITE | PAGE_WRITECOPY | PAGE_EXECUTE_READWRITE | PAGE_EXECUTE_WRITECOPY)

static BOOL accessible(const void *memory, SIZE_T length, DWORD protection)
{
    const BYTE *next = memory, *end = next + length;
    if (memory == NULL || end < next)
        return FALSE;
    while (next < end) {
        MEMORY_BASIC_INFORMATION region;
        if (VirtualQuery(next, &region, sizeof region) == 0 || region.State != MEM_COMMIT
            || (region.Protect & PAGE_GUARD) != 0 || (region.Protect & protection) == 0)
            return FALSE;
        next = (const BYTE *)region.BaseAddress + region.RegionSize;
    }
    return TRUE;
}

BOOL readable(const void *memory, SIZE_T length)
{
    return accessible(memory, length, ANY_READ);
}

BOOL writable(void *memory, SIZE_T length, SIZE_T alignment)
{
    return (UINT_PTR)memory % alignment == 0 && accessible(memory, length, ANY_WRITE);
}

BOOL capture(void *copy, const void *memory, SIZE_T length, SIZE_T alignment)
{
    if ((UINT_PTR)memory % alignment != 0 || !readable(memory, length))
        return FALSE;
    memcpy(copy, memory, length);
    return TRUE;
}

static BOOL all_zero(const void *memory, SIZE_T length)
{
    const BYTE *bytes = memory;
    while (length > 0)
        if (bytes[--length] != 0)
            return FALSE;
    return TRUE;
}

/* Append a NUL-terminated string of at most `longest` characters to the record's text. */
static BOOL capture_text(RECORD *record, int which, const WCHAR *string, ULONG longest)
{
    ULONG length;
    if ((UINT_PTR)string % sizeof(WCHAR) != 0)
        return FALSE;
    for (length = 0; length <= longest; length++) {
        BOOL new_page = length == 0 || (UINT_PTR)&string[length] % SMALLEST_PAGE == 0;
        if (new_page && !readable(&string[length], sizeof(WCHAR)))
            return FALSE;
        record->text[record->text_length + length] = string[length];
        if (string[length] == 0) {
            record->text_at[which] = record->text_length;
            record->text_length += length + 1;
            return TRUE;
        }
    }
    return FALSE;
}

static void start_record(RECORD *record)
{
    int which;
    memset(record, 0, sizeof *record);
    for (which = 0; which < TEXTS; which++)
        record->text_at[which] = NO_TEXT;
}

static ULONG check_ip_address(const BYTE *address, ULONG *length)
{
    SOCKADDR_IN v4;
    SOCKADDR_IN6 v6;
    memcpy(&v4, address, sizeof v4);
    memcpy(&v6, address, sizeof v6);
    if (v4.sin_port == 0) /* at the same place in both */
        return refuse(ERROR_INVALID_PARAMETER, "port 0");
    if (v4.sin_family == AF_INET) {
        *length = sizeof v4;
        if (!all_zero(v4.sin_zero, sizeof v4.sin_zero))
            return refuse(ERROR_INVALID_PARAMETER, "sin_zero is not zero");
    } else {
        *length = sizeof v6;
        if (v6.sin6_flowinfo != 0)
            return refuse(ERROR_INVALID_PARAMETER, "sin6_flowinfo is not zero");
    }
    return NO_ERROR;
}

/* HTTP_SERVICE_CONFIG_SSL_KEY: a pointer to an IPv4 or IPv6 address of the caller. */
static ULONG read_pointed_address(const HTTP_SERVICE_CONFIG_SSL_KEY *key, RECORD *record)
{
    ADDRESS_FAMILY kind;
    ULONG length;
    if (!capture(&kind, key->pIpPort, sizeof kind, sizeof kind))
        return refuse(ERROR_INVALID_PARAMETER, "pIpPort cannot be read");
    if (kind != AF_INET && kind != AF_INET6)
        return refuse(ERROR_INVALID_PARAMETER, "address family is neither AF_INET (2) nor AF_INET6 (23)");
    length = kind == AF_INET ? sizeof(SOCKADDR_IN) : sizeof(SOCKADDR_IN6);
    if (!capture(record->address, key->pIpPort, length, sizeof kind))
        return refuse(ERROR_INVALID_PARAMETER, "pIpPort cannot be read to its end");
    return check_ip_address(record->address, &record->address_length);
}

/* The inline address of the other families: AF_INET, 0.0.0.0 and a port, nothing else
 * (HTTP_SERVICE_CONFIG_SSL_SNI_KEY and _SSL_CCS_KEY in Microsoft's reference). */
static ULONG read_inline_address(const SOCKADDR_STORAGE *storage, RECORD *record)
{
    SOCKADDR_IN address;
    memcpy(&address, storage, sizeof address);
    if (address.sin_family != AF_INET)
        return refuse(ERROR_INVALID_PARAMETER, "address family is not AF_INET (2)");
    if (address.sin_addr.s_addr != 0)
        return refuse(ERROR_INVALID_PARAMETER, "address is not 0.0.0.0");
    if (address.sin_port == 0)
        return refuse(ERROR_INVALID_PARAMETER, "port 0");
    if (!all_zero((const BYTE *)storage + offsetof(SOCKADDR_IN, sin_zero),
                  sizeof *storage - offsetof(SOCKADDR_IN, sin_zero)))
        return refuse(ERROR_INVALID_PARAMETER, "bytes after the address are not zero");
    memcpy(record->address, storage, sizeof *storage);
    record->address_length = sizeof *storage;
    return NO_ERROR;
}

ULONG read_key(const FAMILY *family, const void *key, RECORD *record)
{
    ULONG code;
    start_record(record);
    if (family->id == CONFIG_SSL)
        return read_pointed_address(key, record);
    code = read_inline_address(key, record); /* at the start of both inline keys */
    if (code != NO_ERROR || !family->has_host)
        return code;
    if (!capture_text(record, HOST, ((const HTTP_SERVICE_CONFIG_SSL_SNI_KEY *)key)->Host, HOST_LENGTH))
        return refuse(ERROR_INVALID_PARAMETER, "Host cannot be read or has more than 255 characters");
    if (record->text[record->text_at[HOST]] == 0)
        return refuse(ERROR_INVALID_PARAMETER, "Host is empty");
    return NO_ERROR;
}

static ULONG read_certificate_reference(const HTTP_SERVICE_CONFIG_SSL_PARAM *param, const FAMILY *family,
                                        RECORD *record)
{
    if (param->SslHashLength != SSL_HASH_LENGTH)
        return refuse(ERROR_INVALID_PARAMETER, "SslHashLength is not 20");
    if (!capture(record->hash, param->pSslHash, SSL_HASH_LENGTH, 1))
        return refuse(ERROR_INVALID_PARAMETER, "pSslHash cannot be read");
    record->hash_length = SSL_HASH_LENGTH;
    if (param->pSslCertStoreName == NULL) /* means MY for an address; netsh demands it for a host name */
        return family->has_host ? refuse(ERROR_INVALID_PARAMETER, "a host name needs a store name") : NO_ERROR;
    if (!capture_text(record, STORE, param->pSslCertStoreName, SSL_STORE_NAME_LENGTH))
        return refuse(ERROR_INVALID_PARAMETER, "store name cannot be read or has more than 128 characters");
    if (record->text[record->text_at[STORE]] == 0)
        return refuse(ERROR_INVALID_PARAMETER, "store name is empty");
    return NO_ERROR;
}

ULONG read_param(const FAMILY *family, const HTTP_SERVICE_CONFIG_SSL_PARAM *param, RECORD *record)
{
    if (family->has_certificate) {
        ULONG code = read_certificate_reference(param, family, record);
        if (code != NO_ERROR)
            return code;
    } else if (param->SslHashLength != 0 || param->pSslHash != NULL || param->pSslCertStoreName != NULL) {
        return refuse(ERROR_INVALID_PARAMETER, "a central certificate store record names no certificate");
    }
    if (family->id == CONFIG_SSL_CCS
        && (param->DefaultCertCheckMode != 0 || param->DefaultRevocationFreshnessTime != 0
            || param->DefaultRevocationUrlRetrievalTimeout != 0 || param->pDefaultSslCtlIdentifier != NULL
            || param->pDefaultSslCtlStoreName != NULL || param->DefaultFlags != 0))
        return refuse(ERROR_INVALID_PARAMETER, "a plain central certificate store record takes no options");
    if ((param->DefaultCertCheckMode & ~setting(L"MLSSSL_STANDIN_CHECK_MODES", 0x1001f)) != 0)
        return refuse(ERROR_INVALID_PARAMETER, "DefaultCertCheckMode has a bit this Windows does not know");
    if ((param->DefaultFlags & ~setting(L"MLSSSL_STANDIN_FLAGS", 0xffff)) != 0)
        return refuse(ERROR_INVALID_PARAMETER, "DefaultFlags has a bit this Windows does not know");
    if (param->pDefaultSslCtlIdentifier != NULL
        && !capture_text(record, CTL_IDENTIFIER, param->pDefaultSslCtlIdentifier, CTL_IDENTIFIER_LENGTH))
        return refuse(ERROR_INVALID_PARAMETER, "CTL identifier cannot be read or is too long");
    if (param->pDefaultSslCtlStoreName != NULL
        && !capture_text(record, CTL_STORE, param->pDefaultSslCtlStoreName, SSL_STORE_NAME_LENGTH))
        return refuse(ERROR_INVALID_PARAMETER, "CTL store name cannot be read or has more than 128 characters");
    record->app_id = param->AppId;
    record->check_mode = param->DefaultCertCheckMode;
    record->freshness_time = param->DefaultRevocationFreshnessTime;
    record->retrieval_timeout = param->DefaultRevocationUrlRetrievalTimeout;
    record->flags = param->DefaultFlags;
    return NO_ERROR;
}

/* The record's name in the registry, where names are compared without regard to case. Hosts are compared byte by byte
   here (the strict side: Windows' way is not documented), so of a host each character is written as a number. */
void record_name(const RECORD *record, WCHAR *name)
{
    SOCKADDR_IN v4;
    SOCKADDR_IN6 v6;
    memcpy(&v4, record->address, sizeof v4);
    memcpy(&v6, record->address, sizeof v6);
    if (record->text_at[HOST] != NO_TEXT) {
        const WCHAR *host = &record->text[record->text_at[HOST]];
        int at = 0;
        for (; *host != 0; host++)
            at += _snwprintf(name + at, NAME_LENGTH - at, L"%04x", *host);
        _snwprintf(name + at, NAME_LENGTH - at, L":%u", ntohs(v4.sin_port));
    } else if (v4.sin_family == AF_INET) {
        const BYTE *part = (const BYTE *)&v4.sin_addr;
        _snwprintf(name, NAME_LENGTH, L"%u.%u.%u.%u:%u", part[0], part[1], part[2], part[3], ntohs(v4.sin_port));
    } else {
        int at = _snwprintf(name, NAME_LENGTH, L"["), pair;
        for (pair = 0; pair < 16; pair += 2)
            at += _snwprintf(name + at, NAME_LENGTH - at, pair == 0 ? L"%02x%02x" : L":%02x%02x",
                             v6.sin6_addr.s6_addr[pair], v6.sin6_addr.s6_addr[pair + 1]);
        _snwprintf(name + at, NAME_LENGTH - at, L"%%%lu]:%u", (unsigned long)v6.sin6_scope_id, ntohs(v6.sin6_port));
    }
    name[NAME_LENGTH - 1] = 0;
}
