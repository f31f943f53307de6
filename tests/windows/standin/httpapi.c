/* A stand-in for the configuration part of Windows' httpapi.dll, for tests under Wine, whose own keeps nothing.
 *
 * It answers as Microsoft's reference of http.h says, with the codes Windows is known to give: 2 no such record,
 * 5 not an administrator, 6 a service handle, 87 anything wrong in a parameter and families this Windows lacks,
 * 122 a structure or buffer too small, 183 the record exists, 259 past the last record, 1114 not initialised,
 * 1312 no usable certificate. Where Windows' behaviour is not known it takes the strict side and says so beside it.
 *
 * Known families are 1, 5, 6 and 11; what is not about TLS (0, 2, 3, 4, 7) is in config.c. The "Ex" families (8, 9, 10, 12) answer 87, as on a Windows before them.
 * Built a second time with -DWITHOUT_UPDATE, it is the library of a Windows before HttpUpdateServiceConfiguration.
 */
#include "standin.h"

#include <string.h>

#define LARGEST_SET sizeof(HTTP_SERVICE_CONFIG_SSL_SNI_SET)
#define LARGEST_QUERY sizeof(HTTP_SERVICE_CONFIG_SSL_SNI_QUERY)
#define ALIGNED(length) (((length) + 7u) & ~7u)

#define FAMILY_OF(prefix, id, name, has_host, has_certificate)                                                    \
    {id, name, sizeof(prefix##_SET), offsetof(prefix##_SET, ParamDesc), sizeof(prefix##_QUERY),                   \
     offsetof(prefix##_QUERY, KeyDesc), offsetof(prefix##_QUERY, dwToken), has_host, has_certificate}

static const FAMILY families[] = {
    FAMILY_OF(HTTP_SERVICE_CONFIG_SSL, CONFIG_SSL, L"SslBindingInfo", FALSE, TRUE),
    FAMILY_OF(HTTP_SERVICE_CONFIG_SSL_SNI, CONFIG_SSL_SNI, L"SslSniBindingInfo", TRUE, TRUE),
    FAMILY_OF(HTTP_SERVICE_CONFIG_SSL_CCS, CONFIG_SSL_CCS, L"SslCcsBindingInfo", FALSE, FALSE),
    FAMILY_OF(HTTP_SERVICE_CONFIG_SSL_SNI, CONFIG_SSL_SCOPED_CCS, L"SslScopedCcsBindingInfo", TRUE, FALSE),
};

/* Initialisations that are still open, by their flags: each needs one termination with the same flags. */
static volatile LONG open_counts[(HTTP_INITIALIZE_SERVER | HTTP_INITIALIZE_CONFIG) + 1];

__declspec(dllexport) LONG WINAPI StandinOpenCount(void);
__declspec(dllexport) ULONG WINAPI StandinReset(void);
__declspec(dllexport) void WINAPI StandinFailCall(LONG number, ULONG code);
__declspec(dllexport) void WINAPI StandinKillCall(LONG number, int when);

/* How many initialisations of this process have not been terminated. */
LONG WINAPI StandinOpenCount(void)
{
    LONG sum = 0;
    ULONG flags;
    for (flags = 1; flags < ARRAYSIZE(open_counts); flags++)
        sum += open_counts[flags];
    return sum;
}

/* Delete every record of every family, disarm all faults and restart the count of calls. Open initialisations stay. */
ULONG WINAPI StandinReset(void)
{
    ULONG code;
    StandinFailCall(0, 0);
    StandinKillCall(0, 0);
    code = lock_records();
    if (code == NO_ERROR) {
        code = delete_all_records();
        unlock_records();
    }
    return code;
}

static ULONG check_flags(ULONG flags, const void *reserved)
{
    if (flags == 0 || flags >= ARRAYSIZE(open_counts))
        return refuse(ERROR_INVALID_PARAMETER, "Flags has neither or other than SERVER (1) and CONFIG (2)");
    if (reserved != NULL)
        return refuse(ERROR_INVALID_PARAMETER, "pReserved is not NULL");
    return NO_ERROR;
}

static ULONG initialize(HTTPAPI_VERSION version, ULONG flags, const void *reserved)
{
    ULONG code = check_flags(flags, reserved);
    if (code != NO_ERROR)
        return code;
    /* Which code another version gets is not documented for this function. */
    if ((version.HttpApiMajorVersion != 1 && version.HttpApiMajorVersion != 2) || version.HttpApiMinorVersion != 0)
        return refuse(ERROR_INVALID_PARAMETER, "version is neither 1.0 nor 2.0");
    InterlockedIncrement(&open_counts[flags]);
    return NO_ERROR;
}

static ULONG terminate(ULONG flags, const void *reserved)
{
    ULONG code = check_flags(flags, reserved);
    if (code != NO_ERROR)
        return code;
    if (InterlockedDecrement(&open_counts[flags]) < 0) { /* code not documented; strict */
        InterlockedIncrement(&open_counts[flags]);
        return refuse(ERROR_INVALID_PARAMETER, "no open initialisation with these flags");
    }
    return NO_ERROR;
}

/* The checks that all four configuration functions begin with, whatever they are about. */
static ULONG check_any_call(HANDLE service, const OVERLAPPED *overlapped)
{
    /* The reference names 1114 for a missing HttpInitialize at HttpAddUrl; for these functions it names no code. */
    if (open_counts[HTTP_INITIALIZE_CONFIG] + open_counts[HTTP_INITIALIZE_CONFIG | HTTP_INITIALIZE_SERVER] == 0)
        return refuse(ERROR_DLL_INIT_FAILED, "HttpInitialize with HTTP_INITIALIZE_CONFIG was not called");
    if (service != NULL)
        return refuse(ERROR_INVALID_HANDLE, "ServiceHandle is not 0");
    if (overlapped != NULL)
        return refuse(ERROR_INVALID_PARAMETER, "pOverlapped is not NULL");
    return NO_ERROR;
}

static ULONG check_call(HANDLE service, int id, const OVERLAPPED *overlapped, const FAMILY **family)
{
    ULONG index, code = check_any_call(service, overlapped);
    if (code != NO_ERROR)
        return code;
    for (index = 0; index < ARRAYSIZE(families); index++) {
        if (families[index].id == id && family_enabled(id)) {
            *family = &families[index];
            return NO_ERROR;
        }
    }
    return refuse(ERROR_INVALID_PARAMETER, "this Windows does not know the configuration id");
}

/* Copy an input structure of exactly one size: too short and too long are told apart, as Windows does. */
static ULONG capture_structure(void *copy, const void *input, ULONG length, ULONG expected)
{
    if (length < expected)
        return refuse(ERROR_INSUFFICIENT_BUFFER, "the input length is less than the structure's size");
    if (length > expected)
        return refuse(ERROR_INVALID_PARAMETER, "the input length is more than the structure's size");
    if (!capture(copy, input, length, sizeof(void *)))
        return refuse(ERROR_INVALID_PARAMETER, "the input structure cannot be read or is not aligned");
    return NO_ERROR;
}

typedef enum { SET, UPDATE, REMOVE } CHANGE;

static ULONG change_locked(CHANGE change, const FAMILY *family, const RECORD *record)
{
    static RECORD found; /* guarded by the lock */
    WCHAR name[NAME_LENGTH];
    ULONG code;
    record_name(record, name);
    if (change == REMOVE) {
        code = delete_record(family, name);
        return code == ERROR_FILE_NOT_FOUND ? refuse(code, "no such record") : code;
    }
    code = find_record(family, name, &found);
    if (code != NO_ERROR && code != ERROR_FILE_NOT_FOUND)
        return code;
    /* Whether Windows looks for the record or at the certificate first is not documented. */
    if (change == SET && code == NO_ERROR)
        return refuse(ERROR_ALREADY_EXISTS, "the record exists");
    if (change == UPDATE && code != NO_ERROR)
        return refuse(ERROR_FILE_NOT_FOUND, "no such record");
    code = family->has_certificate ? check_certificate(record) : NO_ERROR;
    return code == NO_ERROR ? put_record(family, name, record) : code;
}

static ULONG change_record(CHANGE change, HANDLE service, int id, const void *input, ULONG length,
                           const OVERLAPPED *overlapped)
{
    union {
        void *aligned;
        BYTE bytes[LARGEST_SET];
    } copy;
    static const HTTP_SERVICE_CONFIG_SSL_PARAM nothing;
    HTTP_SERVICE_CONFIG_SSL_PARAM param;
    const FAMILY *family;
    RECORD record;
    ULONG code;
    if (is_config(id) && change != UPDATE) {
        code = check_any_call(service, overlapped);
        return code == NO_ERROR ? config_change(change == REMOVE, id, input, length) : code;
    }
    code = check_call(service, id, overlapped, &family);
    if (code == NO_ERROR && setting(L"MLSSSL_STANDIN_NOT_ADMIN", 0) != 0)
        code = refuse(ERROR_ACCESS_DENIED, "not an administrator");
    if (code == NO_ERROR)
        code = capture_structure(copy.bytes, input, length, family->set_size);
    if (code == NO_ERROR)
        code = read_key(family, copy.bytes, &record);
    if (code != NO_ERROR)
        return code;
    memcpy(&param, copy.bytes + family->param_offset, sizeof param);
    if (change == REMOVE) { /* Windows reads only the key; other than zero here is a caller's mistake */
        if (memcmp(&param, &nothing, sizeof param) != 0)
            code = refuse(ERROR_INVALID_PARAMETER, "ParamDesc is not zero in a deletion");
    } else {
        code = read_param(family, &param, &record);
    }
    if (code == NO_ERROR)
        code = lock_records();
    if (code != NO_ERROR)
        return code;
    code = change_locked(change, family, &record);
    unlock_records();
    return code;
}

/* Lay a part of the answer behind the structure and return its address, or NULL while only measuring. */
static void *place(BYTE *output, ULONG *at, const void *part, ULONG length)
{
    BYTE *placed = output == NULL ? NULL : output + *at;
    if (placed != NULL)
        memcpy(placed, part, length);
    *at = ALIGNED(*at + length);
    return placed;
}

static WCHAR *place_text(BYTE *output, ULONG *at, const RECORD *record, int which)
{
    const WCHAR *text = &record->text[record->text_at[which]];
    if (record->text_at[which] == NO_TEXT)
        return NULL;
    return place(output, at, text, (ULONG)((lstrlenW(text) + 1) * sizeof(WCHAR)));
}

/* Write a SET structure whose pointers point behind it in the same buffer; measure only if there is no buffer. */
static ULONG write_record(const FAMILY *family, const RECORD *record, BYTE *output)
{
    HTTP_SERVICE_CONFIG_SSL_PARAM param;
    HTTP_SERVICE_CONFIG_SSL_SNI_KEY named;
    HTTP_SERVICE_CONFIG_SSL_KEY pointed;
    ULONG at = ALIGNED(family->set_size);
    memset(&param, 0, sizeof param);
    memset(&named, 0, sizeof named);
    memcpy(&named.IpPort, record->address, sizeof named.IpPort);
    pointed.pIpPort = NULL;
    if (family->id == CONFIG_SSL)
        pointed.pIpPort = place(output, &at, record->address, record->address_length);
    named.Host = place_text(output, &at, record, HOST);
    param.SslHashLength = record->hash_length;
    if (record->hash_length != 0)
        param.pSslHash = place(output, &at, record->hash, record->hash_length);
    param.AppId = record->app_id;
    param.pSslCertStoreName = place_text(output, &at, record, STORE);
    param.DefaultCertCheckMode = record->check_mode;
    param.DefaultRevocationFreshnessTime = record->freshness_time;
    param.DefaultRevocationUrlRetrievalTimeout = record->retrieval_timeout;
    param.pDefaultSslCtlIdentifier = place_text(output, &at, record, CTL_IDENTIFIER);
    param.pDefaultSslCtlStoreName = place_text(output, &at, record, CTL_STORE);
    param.DefaultFlags = record->flags;
    if (output != NULL) {
        if (family->id == CONFIG_SSL)
            memcpy(output, &pointed, sizeof pointed);
        else /* the CCS key is the SNI key without its host */
            memcpy(output, &named, family->has_host ? sizeof named : sizeof named.IpPort);
        memcpy(output + family->param_offset, &param, sizeof param);
    }
    return at;
}

static ULONG find_asked(const FAMILY *family, const BYTE *query, RECORD *record)
{
    DWORD kind, token;
    WCHAR name[NAME_LENGTH];
    ULONG code;
    memcpy(&kind, query, sizeof kind); /* QueryDesc */
    memcpy(&token, query + family->token_offset, sizeof token);
    if (kind == HttpServiceConfigQueryExact) {
        code = read_key(family, query + family->query_key_offset, record);
        if (code != NO_ERROR)
            return code;
        record_name(record, name);
    } else if (kind != HttpServiceConfigQueryNext) {
        return refuse(ERROR_INVALID_PARAMETER, "QueryDesc is neither Exact (0) nor Next (1)");
    }
    code = lock_records();
    if (code != NO_ERROR)
        return code;
    code = kind == HttpServiceConfigQueryExact ? find_record(family, name, record) : record_at(family, token, record);
    unlock_records();
    if (code == ERROR_FILE_NOT_FOUND || code == ERROR_NO_MORE_ITEMS)
        refuse(code, "no such record");
    return code;
}

static ULONG query_record(HANDLE service, int id, const void *input, ULONG input_length, void *output,
                          ULONG output_length, ULONG *return_length, const OVERLAPPED *overlapped)
{
    union {
        void *aligned;
        BYTE bytes[LARGEST_QUERY];
    } query;
    const FAMILY *family;
    RECORD record;
    ULONG needed, code;
    if (is_config(id)) {
        code = check_any_call(service, overlapped);
        return code == NO_ERROR ? config_query(id, input, input_length, output, output_length, return_length) : code;
    }
    code = check_call(service, id, overlapped, &family);
    if (code == NO_ERROR)
        code = capture_structure(query.bytes, input, input_length, family->query_size);
    if (code != NO_ERROR)
        return code;
    if (output == NULL && output_length != 0)
        return refuse(ERROR_INVALID_PARAMETER, "an output length without an output buffer");
    if (output != NULL && !writable(output, output_length, sizeof(void *)))
        return refuse(ERROR_INVALID_PARAMETER, "the output buffer cannot be written or is not aligned");
    if (return_length != NULL && !writable(return_length, sizeof *return_length, sizeof *return_length))
        return refuse(ERROR_INVALID_PARAMETER, "pReturnLength cannot be written");
    code = find_asked(family, query.bytes, &record);
    if (code != NO_ERROR)
        return code;
    needed = write_record(family, &record, NULL);
    if (return_length != NULL)
        *return_length = needed;
    if (output_length < needed)
        return refuse(ERROR_INSUFFICIENT_BUFFER, "the output buffer is too small");
    write_record(family, &record, output);
    return NO_ERROR;
}

/* ---- the exported functions: http.h's names, each counted and failed on demand ---- */

#define COUNTED(function, work)                                                                                   \
    CALL call;                                                                                                    \
    ULONG code;                                                                                                   \
    if (call_begins(&call, function, &code))                                                                      \
        code = (work);                                                                                            \
    return call_ends(&call, code)

ULONG WINAPI HttpInitialize(HTTPAPI_VERSION version, ULONG flags, PVOID reserved)
{
    COUNTED("HttpInitialize", initialize(version, flags, reserved));
}

ULONG WINAPI HttpTerminate(ULONG flags, PVOID reserved)
{
    COUNTED("HttpTerminate", terminate(flags, reserved));
}

ULONG WINAPI HttpSetServiceConfiguration(HANDLE service, HTTP_SERVICE_CONFIG_ID id, PVOID input, ULONG length,
                                         LPOVERLAPPED overlapped)
{
    COUNTED("HttpSetServiceConfiguration", change_record(SET, service, (int)id, input, length, overlapped));
}

#ifndef WITHOUT_UPDATE
__declspec(dllexport) ULONG WINAPI HttpUpdateServiceConfiguration(HANDLE service, HTTP_SERVICE_CONFIG_ID id,
                                                                  PVOID input, ULONG length,
                                                                  LPOVERLAPPED overlapped);

/* Documented for ids 1, 5 and 6; that 11 takes it as well is our assumption. */
ULONG WINAPI HttpUpdateServiceConfiguration(HANDLE service, HTTP_SERVICE_CONFIG_ID id, PVOID input, ULONG length,
                                            LPOVERLAPPED overlapped)
{
    COUNTED("HttpUpdateServiceConfiguration", change_record(UPDATE, service, (int)id, input, length, overlapped));
}
#endif

ULONG WINAPI HttpDeleteServiceConfiguration(HANDLE service, HTTP_SERVICE_CONFIG_ID id, PVOID input, ULONG length,
                                            LPOVERLAPPED overlapped)
{
    COUNTED("HttpDeleteServiceConfiguration", change_record(REMOVE, service, (int)id, input, length, overlapped));
}

ULONG WINAPI HttpQueryServiceConfiguration(HANDLE service, HTTP_SERVICE_CONFIG_ID id, PVOID input, ULONG input_length,
                                           PVOID output, ULONG output_length, PULONG return_length,
                                           LPOVERLAPPED overlapped)
{
    COUNTED("HttpQueryServiceConfiguration", query_record(service, (int)id, input, input_length, output, output_length,
                                                          return_length, overlapped));
}
