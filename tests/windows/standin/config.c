/* What HTTP.sys is configured with besides TLS: URL reservations (id 2), the listen list (0), numbers (3, 4, 7).
 *
 * From the pages of HttpSetServiceConfiguration, HttpQueryServiceConfiguration and their structures. What they leave
 * open is answered on the strict side: prefixes are compared character by character, a number that is there is not set
 * again (183), one that is not set is not found (2), a time is answered as its number alone and the others as their
 * SET structure. An access list is looked at by Windows' own reader of SDDL.
 *
 * Kept as values under HKLM\Software\mlsssl-standin, one step each, as TLS records are.
 */
#include "standin.h"

#include <sddl.h>
#include <stdio.h>
#include <string.h>

#define CONFIG_ROOT L"Software\\mlsssl-standin\\Config"
#define URL_LENGTH 1000   /* our own limit: Windows documents none */
#define SDDL_LENGTH 16000 /* likewise */
#define MOST_ADDRESSES 256

typedef struct {
    ULONG url_length, sddl_length; /* characters, NULs included */
    WCHAR text[URL_LENGTH + SDDL_LENGTH + 2];
} RESERVATION;

BOOL is_config(int id)
{
    return id == CONFIG_LISTEN_LIST || id == CONFIG_URLACL || id == CONFIG_TIMEOUT || id == CONFIG_CACHE
           || id == CONFIG_SETTING;
}

static const WCHAR *key_name(int id)
{
    static const WCHAR *const names[] = {L"ListenOnlyList", NULL, L"UrlAclInfo", L"Timeout", L"Cache", NULL, NULL,
                                         L"Setting"};
    return names[id];
}

static ULONG open_config(int id, HKEY *key)
{
    WCHAR path[100];
    lstrcpyW(path, CONFIG_ROOT L"\\");
    lstrcatW(path, key_name(id));
    return (ULONG)RegCreateKeyExW(HKEY_LOCAL_MACHINE, path, 0, NULL, 0, KEY_ALL_ACCESS, NULL, key, NULL);
}

/* Copy a NUL-terminated string of the caller, at most `longest` characters without the NUL; 0: it cannot be read. */
static ULONG copy_text(WCHAR *copy, const WCHAR *string, ULONG longest)
{
    ULONG length;
    if (string == NULL || (UINT_PTR)string % sizeof(WCHAR) != 0)
        return 0;
    for (length = 0; length <= longest; length++) {
        if ((length == 0 || (UINT_PTR)&string[length] % 4096 == 0) && !readable(&string[length], sizeof(WCHAR)))
            return 0;
        copy[length] = string[length];
        if (string[length] == 0)
            return length + 1;
    }
    return 0;
}

/* "UrlPrefix Strings": scheme, host, port without leading zeros, a path that ends with a slash. */
static BOOL is_prefix(const WCHAR *url)
{
    const WCHAR *host, *at;
    ULONG port = 0, digits = 0;
    if (_wcsnicmp(url, L"http://", 7) == 0)
        host = url + 7;
    else if (_wcsnicmp(url, L"https://", 8) == 0)
        host = url + 8;
    else
        return FALSE;
    at = host;
    if (*at == L'[') {
        while (*at != 0 && *at != L']')
            at++;
        if (*at++ == 0)
            return FALSE;
    } else {
        while (*at != 0 && *at != L':' && *at != L'/')
            at++;
    }
    if (at == host || *at++ != L':' || *at == L'0')
        return FALSE;
    for (; *at >= L'0' && *at <= L'9' && digits < 6; at++, digits++)
        port = port * 10 + (ULONG)(*at - L'0');
    if (digits == 0 || port > 65535)
        return FALSE;
    if (*at == L':') /* an address behind the port, as IIS registers */
        while (*at != 0 && *at != L'/')
            at++;
    if (*at != L'/' || wcspbrk(at, L"?#\\") != NULL)
        return FALSE;
    return at[wcslen(at) - 1] == L'/';
}

static ULONG check_sddl(const WCHAR *text)
{
    PSECURITY_DESCRIPTOR descriptor;
    if (!ConvertStringSecurityDescriptorToSecurityDescriptorW(text, SDDL_REVISION_1, &descriptor, NULL))
        return refuse(GetLastError(), "the access list is no SDDL");
    LocalFree(descriptor);
    return wcsstr(text, L"D:") == NULL ? refuse(ERROR_INVALID_PARAMETER, "there is no access list (D:)") : NO_ERROR;
}

/* The name of a prefix in the registry, where names are compared without regard to case. */
static void url_name(const WCHAR *url, WCHAR *name)
{
    int at = 0;
    for (; *url != 0; url++)
        at += _snwprintf(name + at, 5, L"%04x", *url);
    name[at] = 0;
}

static ULONG change_reservation(BOOL remove, const void *input, ULONG length)
{
    static RESERVATION kept; /* guarded by the lock */
    static WCHAR name[4 * URL_LENGTH + 1];
    HTTP_SERVICE_CONFIG_URLACL_SET set;
    HKEY key;
    ULONG code;
    if (length != sizeof set)
        return refuse(length < sizeof set ? ERROR_INSUFFICIENT_BUFFER : ERROR_INVALID_PARAMETER, "not a URLACL_SET");
    if (!capture(&set, input, sizeof set, sizeof(void *)))
        return refuse(ERROR_INVALID_PARAMETER, "the input structure cannot be read or is not aligned");
    kept.url_length = copy_text(kept.text, set.KeyDesc.pUrlPrefix, URL_LENGTH);
    if (kept.url_length == 0 || !is_prefix(kept.text))
        return refuse(ERROR_INVALID_PARAMETER, "pUrlPrefix is no URL prefix");
    if (remove && set.ParamDesc.pStringSecurityDescriptor != NULL)
        return refuse(ERROR_INVALID_PARAMETER, "ParamDesc is not zero in a deletion");
    if (!remove) {
        kept.sddl_length = copy_text(kept.text + kept.url_length, set.ParamDesc.pStringSecurityDescriptor, SDDL_LENGTH);
        if (kept.sddl_length == 0)
            return refuse(ERROR_INVALID_PARAMETER, "pStringSecurityDescriptor cannot be read or is too long");
        code = check_sddl(kept.text + kept.url_length);
        if (code != NO_ERROR)
            return code;
    }
    url_name(kept.text, name);
    code = open_config(CONFIG_URLACL, &key);
    if (code != NO_ERROR)
        return code;
    if (remove)
        code = (ULONG)RegDeleteValueW(key, name);
    else if (RegQueryValueExW(key, name, NULL, NULL, NULL, NULL) == ERROR_SUCCESS)
        code = refuse(ERROR_ALREADY_EXISTS, "the prefix is reserved");
    else
        code = (ULONG)RegSetValueExW(key, name, 0, REG_BINARY, (const BYTE *)&kept,
                                     (DWORD)(offsetof(RESERVATION, text)
                                             + (kept.url_length + kept.sddl_length) * sizeof(WCHAR)));
    RegCloseKey(key);
    return code;
}

static ULONG answer(const void *part, ULONG length, void *output, ULONG room, ULONG *needed, ULONG too_small)
{
    if (needed != NULL)
        *needed = length;
    if (length > room)
        return refuse(too_small, "the output buffer is too small");
    memcpy(output, part, length);
    return NO_ERROR;
}

static ULONG query_reservation(const void *input, ULONG length, void *output, ULONG room, ULONG *needed)
{
    static RESERVATION kept;
    static WCHAR name[4 * URL_LENGTH + 1], url[URL_LENGTH + 1];
    HTTP_SERVICE_CONFIG_URLACL_QUERY query;
    HTTP_SERVICE_CONFIG_URLACL_SET set;
    DWORD size = sizeof kept, name_length = ARRAYSIZE(name);
    HKEY key;
    ULONG code, whole;
    if (length != sizeof query)
        return refuse(length < sizeof query ? ERROR_INSUFFICIENT_BUFFER : ERROR_INVALID_PARAMETER, "not a URLACL_QUERY");
    if (!capture(&query, input, sizeof query, sizeof(void *)))
        return refuse(ERROR_INVALID_PARAMETER, "the input structure cannot be read or is not aligned");
    if (query.QueryDesc != HttpServiceConfigQueryExact && query.QueryDesc != HttpServiceConfigQueryNext)
        return refuse(ERROR_INVALID_PARAMETER, "QueryDesc is neither Exact (0) nor Next (1)");
    if (query.QueryDesc == HttpServiceConfigQueryExact && copy_text(url, query.KeyDesc.pUrlPrefix, URL_LENGTH) == 0)
        return refuse(ERROR_INVALID_PARAMETER, "pUrlPrefix cannot be read");
    code = open_config(CONFIG_URLACL, &key);
    if (code != NO_ERROR)
        return code;
    if (query.QueryDesc == HttpServiceConfigQueryExact) {
        url_name(url, name);
        code = (ULONG)RegQueryValueExW(key, name, NULL, NULL, (BYTE *)&kept, &size);
    } else {
        code = (ULONG)RegEnumValueW(key, query.dwToken, name, &name_length, NULL, NULL, (BYTE *)&kept, &size);
    }
    RegCloseKey(key);
    if (code != NO_ERROR)
        return refuse(code, "no such reservation");
    whole = (ULONG)sizeof set + (kept.url_length + kept.sddl_length) * (ULONG)sizeof(WCHAR);
    if (needed != NULL)
        *needed = whole;
    if (whole > room)
        return refuse(ERROR_INSUFFICIENT_BUFFER, "the output buffer is too small");
    set.KeyDesc.pUrlPrefix = (PWSTR)((BYTE *)output + sizeof set);
    set.ParamDesc.pStringSecurityDescriptor = set.KeyDesc.pUrlPrefix + kept.url_length;
    memcpy(output, &set, sizeof set);
    memcpy((BYTE *)output + sizeof set, kept.text, whole - sizeof set);
    return NO_ERROR;
}

static void address_name(const BYTE *address, ULONG length, WCHAR *name)
{
    ULONG at;
    for (at = 0; at < length; at++)
        _snwprintf(name + 2 * at, 3, L"%02x", address[at]);
}

static ULONG change_listen_list(BOOL remove, const void *input, ULONG length)
{
    HTTP_SERVICE_CONFIG_IP_LISTEN_PARAM param;
    BYTE address[sizeof(SOCKADDR_STORAGE)];
    ADDRESS_FAMILY kind;
    WCHAR name[2 * sizeof address + 1];
    ULONG code, expected;
    HKEY key;
    memset(address, 0, sizeof address);
    if (length != sizeof param)
        return refuse(length < sizeof param ? ERROR_INSUFFICIENT_BUFFER : ERROR_INVALID_PARAMETER, "not a LISTEN_PARAM");
    if (!capture(&param, input, sizeof param, sizeof(void *)) || !capture(&kind, param.pAddress, sizeof kind, 1))
        return refuse(ERROR_INVALID_PARAMETER, "the input structure or its address cannot be read");
    expected = kind == AF_INET ? sizeof(SOCKADDR_IN) : kind == AF_INET6 ? sizeof(SOCKADDR_IN6) : 0;
    if (expected == 0 || param.AddrLength != expected || !capture(address, param.pAddress, expected, 1))
        return refuse(ERROR_INVALID_PARAMETER, "AddrLength is not that of the address");
    if (address[2] != 0 || address[3] != 0)
        return refuse(ERROR_INVALID_PARAMETER, "an address in the listen list has no port");
    address_name(address, expected, name);
    code = open_config(CONFIG_LISTEN_LIST, &key);
    if (code != NO_ERROR)
        return code;
    if (remove)
        code = (ULONG)RegDeleteValueW(key, name);
    else if (RegQueryValueExW(key, name, NULL, NULL, NULL, NULL) == ERROR_SUCCESS)
        code = refuse(ERROR_ALREADY_EXISTS, "the address is in the list");
    else
        code = (ULONG)RegSetValueExW(key, name, 0, REG_BINARY, address, sizeof address);
    RegCloseKey(key);
    return code;
}

static ULONG query_listen_list(const void *input, ULONG length, void *output, ULONG room, ULONG *needed)
{
    static struct {
        ULONG count;
        SOCKADDR_STORAGE list[MOST_ADDRESSES];
    } found; /* guarded by the lock */
    WCHAR name[300];
    ULONG code, whole;
    HKEY key;
    _Static_assert(offsetof(HTTP_SERVICE_CONFIG_IP_LISTEN_QUERY, AddrList) == 8, "the list begins at 8");
    if (input != NULL || length != 0)
        return refuse(ERROR_INVALID_PARAMETER, "a query of the listen list has no input");
    code = open_config(CONFIG_LISTEN_LIST, &key);
    if (code != NO_ERROR)
        return code;
    memset(&found, 0, sizeof found);
    while (found.count < MOST_ADDRESSES) {
        DWORD name_length = ARRAYSIZE(name), size = sizeof(SOCKADDR_STORAGE);
        if (RegEnumValueW(key, found.count, name, &name_length, NULL, NULL, (BYTE *)&found.list[found.count], &size)
            != ERROR_SUCCESS)
            break;
        found.count++;
    }
    RegCloseKey(key);
    whole = 8 + (found.count == 0 ? 1 : found.count) * (ULONG)sizeof(SOCKADDR_STORAGE);
    return answer(&found, whole, output, room, needed, ERROR_INSUFFICIENT_BUFFER);
}

static BOOL known_number(int id, int number)
{
    return id == CONFIG_SETTING ? number == 1 : number == 0 || number == 1;
}

static ULONG change_number(BOOL remove, int id, const void *input, ULONG length)
{
    struct {
        int key;
        ULONG value;
    } set;
    WCHAR name[20];
    HKEY key;
    ULONG code;
    _Static_assert(sizeof set == sizeof(HTTP_SERVICE_CONFIG_TIMEOUT_SET), "one layout for all numbers");
    if (length != sizeof set)
        return refuse(length < sizeof set ? ERROR_INSUFFICIENT_BUFFER : ERROR_INVALID_PARAMETER, "not a SET of a number");
    if (!capture(&set, input, sizeof set, sizeof(int)))
        return refuse(ERROR_INVALID_PARAMETER, "the input structure cannot be read or is not aligned");
    if (id == CONFIG_TIMEOUT)
        set.value &= 0xffff; /* a USHORT, and padding */
    if (!known_number(id, set.key) || (remove && set.value != 0) || (!remove && id == CONFIG_TIMEOUT && set.value == 0))
        return refuse(ERROR_INVALID_PARAMETER, "an unknown key, or a number that cannot be");
    _snwprintf(name, ARRAYSIZE(name), L"%d", set.key);
    code = open_config(id, &key);
    if (code != NO_ERROR)
        return code;
    if (remove)
        code = (ULONG)RegDeleteValueW(key, name);
    else if (RegQueryValueExW(key, name, NULL, NULL, NULL, NULL) == ERROR_SUCCESS)
        code = refuse(ERROR_ALREADY_EXISTS, "the number is set");
    else
        code = (ULONG)RegSetValueExW(key, name, 0, REG_DWORD, (const BYTE *)&set.value, sizeof set.value);
    RegCloseKey(key);
    return code;
}

static ULONG query_number(int id, const void *input, ULONG length, void *output, ULONG room, ULONG *needed)
{
    struct {
        int key;
        ULONG value;
    } set;
    DWORD size = sizeof set.value;
    WCHAR name[20];
    HKEY key;
    ULONG code;
    if (length != sizeof set.key)
        return refuse(length < sizeof set.key ? ERROR_INSUFFICIENT_BUFFER : ERROR_INVALID_PARAMETER, "not a key");
    if (!capture(&set.key, input, sizeof set.key, sizeof set.key) || !known_number(id, set.key))
        return refuse(ERROR_INVALID_PARAMETER, "an unknown key");
    _snwprintf(name, ARRAYSIZE(name), L"%d", set.key);
    code = open_config(id, &key);
    if (code != NO_ERROR)
        return code;
    code = (ULONG)RegQueryValueExW(key, name, NULL, NULL, (BYTE *)&set.value, &size);
    RegCloseKey(key);
    if (code != NO_ERROR)
        return refuse(code, "the number is not set");
    if (id == CONFIG_TIMEOUT)
        return answer(&set.value, sizeof(USHORT), output, room, needed, ERROR_MORE_DATA);
    return answer(&set, sizeof set, output, room, needed, ERROR_INSUFFICIENT_BUFFER);
}

ULONG config_change(BOOL remove, int id, const void *input, ULONG length)
{
    ULONG code;
    if (setting(L"MLSSSL_STANDIN_NOT_ADMIN", 0) != 0)
        return refuse(ERROR_ACCESS_DENIED, "not an administrator");
    code = lock_records();
    if (code != NO_ERROR)
        return code;
    if (id == CONFIG_URLACL)
        code = change_reservation(remove, input, length);
    else if (id == CONFIG_LISTEN_LIST)
        code = change_listen_list(remove, input, length);
    else
        code = change_number(remove, id, input, length);
    unlock_records();
    return code;
}

ULONG config_query(int id, const void *input, ULONG length, void *output, ULONG room, ULONG *needed)
{
    ULONG code;
    if (output == NULL && room != 0)
        return refuse(ERROR_INVALID_PARAMETER, "an output length without an output buffer");
    if (output != NULL && !writable(output, room, sizeof(void *)))
        return refuse(ERROR_INVALID_PARAMETER, "the output buffer cannot be written or is not aligned");
    if (needed != NULL && !writable(needed, sizeof *needed, sizeof *needed))
        return refuse(ERROR_INVALID_PARAMETER, "pReturnLength cannot be written");
    code = lock_records();
    if (code != NO_ERROR)
        return code;
    if (id == CONFIG_URLACL)
        code = query_reservation(input, length, output, room, needed);
    else if (id == CONFIG_LISTEN_LIST)
        code = query_listen_list(input, length, output, room, needed);
    else
        code = query_number(id, input, length, output, room, needed);
    unlock_records();
    return code;
}
