/* The SSL part of http.h: mingw-w64's declarations, those it lacks, and every size and offset stated for both targets.
 *
 * mingw-w64 declares only the oldest family (HTTP_SERVICE_CONFIG_SSL_KEY, _PARAM, _SET, _QUERY). The SNI and CCS
 * structures follow the Windows SDK's http.h in field order (learn.microsoft.com/en-us/windows/win32/api/http/).
 * The numbers below were computed apart from this file; a wrong declaration does not compile.
 */
#ifndef STANDIN_LAYOUT_H
#define STANDIN_LAYOUT_H

#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>
#include <wincrypt.h>

#define HTTPAPI_LINKAGE __declspec(dllexport)
#include <http.h>

#include <stddef.h>

/* HTTP_SERVICE_CONFIG_ID as it is at run time. The SDK's enumeration hides members behind _WIN32_WINNT, mingw-w64's
 * ends at 2, so the numbers are written out. */
enum { CONFIG_SSL = 1, CONFIG_SSL_SNI = 5, CONFIG_SSL_CCS = 6, CONFIG_SSL_SCOPED_CCS = 11 };

#define SSL_HASH_LENGTH 20       /* HTTP_SSL_CERT_SHA_HASH_LENGTH: SHA-1 */
#define SSL_STORE_NAME_LENGTH 128 /* HTTP_SSL_CERT_STORE_NAME_LENGTH */

typedef struct {
    SOCKADDR_STORAGE IpPort;
    PWSTR Host;
} HTTP_SERVICE_CONFIG_SSL_SNI_KEY;

typedef struct {
    HTTP_SERVICE_CONFIG_SSL_SNI_KEY KeyDesc;
    HTTP_SERVICE_CONFIG_SSL_PARAM ParamDesc;
} HTTP_SERVICE_CONFIG_SSL_SNI_SET;

typedef struct {
    HTTP_SERVICE_CONFIG_QUERY_TYPE QueryDesc;
    HTTP_SERVICE_CONFIG_SSL_SNI_KEY KeyDesc;
    DWORD dwToken;
} HTTP_SERVICE_CONFIG_SSL_SNI_QUERY;

typedef struct {
    SOCKADDR_STORAGE LocalAddress;
} HTTP_SERVICE_CONFIG_SSL_CCS_KEY;

typedef struct {
    HTTP_SERVICE_CONFIG_SSL_CCS_KEY KeyDesc;
    HTTP_SERVICE_CONFIG_SSL_PARAM ParamDesc;
} HTTP_SERVICE_CONFIG_SSL_CCS_SET;

typedef struct {
    HTTP_SERVICE_CONFIG_QUERY_TYPE QueryDesc;
    HTTP_SERVICE_CONFIG_SSL_CCS_KEY KeyDesc;
    DWORD dwToken;
} HTTP_SERVICE_CONFIG_SSL_CCS_QUERY;

#define ON_TARGET(x64, x86) (sizeof(void *) == 8 ? (x64) : (x86))
#define SIZE(type, x64, x86) _Static_assert(sizeof(type) == ON_TARGET(x64, x86), "size of " #type)
#define OFFSET(type, field, x64, x86) \
    _Static_assert(offsetof(type, field) == ON_TARGET(x64, x86), "offset of " #type "." #field)

SIZE(WCHAR, 2, 2);
SIZE(GUID, 16, 16);
SIZE(SOCKADDR_IN, 16, 16);
OFFSET(SOCKADDR_IN, sin_family, 0, 0);
OFFSET(SOCKADDR_IN, sin_port, 2, 2);
OFFSET(SOCKADDR_IN, sin_addr, 4, 4);
OFFSET(SOCKADDR_IN, sin_zero, 8, 8);
SIZE(SOCKADDR_IN6, 28, 28);
OFFSET(SOCKADDR_IN6, sin6_port, 2, 2);
OFFSET(SOCKADDR_IN6, sin6_flowinfo, 4, 4);
OFFSET(SOCKADDR_IN6, sin6_addr, 8, 8);
OFFSET(SOCKADDR_IN6, sin6_scope_id, 24, 24);
SIZE(SOCKADDR_STORAGE, 128, 128);
SIZE(HTTPAPI_VERSION, 4, 4);
OFFSET(HTTPAPI_VERSION, HttpApiMinorVersion, 2, 2);

SIZE(HTTP_SERVICE_CONFIG_SSL_KEY, 8, 4);
SIZE(HTTP_SERVICE_CONFIG_SSL_PARAM, 80, 52);
OFFSET(HTTP_SERVICE_CONFIG_SSL_PARAM, SslHashLength, 0, 0);
OFFSET(HTTP_SERVICE_CONFIG_SSL_PARAM, pSslHash, 8, 4);
OFFSET(HTTP_SERVICE_CONFIG_SSL_PARAM, AppId, 16, 8);
OFFSET(HTTP_SERVICE_CONFIG_SSL_PARAM, pSslCertStoreName, 32, 24);
OFFSET(HTTP_SERVICE_CONFIG_SSL_PARAM, DefaultCertCheckMode, 40, 28);
OFFSET(HTTP_SERVICE_CONFIG_SSL_PARAM, DefaultRevocationFreshnessTime, 44, 32);
OFFSET(HTTP_SERVICE_CONFIG_SSL_PARAM, DefaultRevocationUrlRetrievalTimeout, 48, 36);
OFFSET(HTTP_SERVICE_CONFIG_SSL_PARAM, pDefaultSslCtlIdentifier, 56, 40);
OFFSET(HTTP_SERVICE_CONFIG_SSL_PARAM, pDefaultSslCtlStoreName, 64, 44);
OFFSET(HTTP_SERVICE_CONFIG_SSL_PARAM, DefaultFlags, 72, 48);
SIZE(HTTP_SERVICE_CONFIG_SSL_SET, 88, 56);
OFFSET(HTTP_SERVICE_CONFIG_SSL_SET, ParamDesc, 8, 4);
SIZE(HTTP_SERVICE_CONFIG_SSL_QUERY, 24, 12);
OFFSET(HTTP_SERVICE_CONFIG_SSL_QUERY, KeyDesc, 8, 4);
OFFSET(HTTP_SERVICE_CONFIG_SSL_QUERY, dwToken, 16, 8);

SIZE(HTTP_SERVICE_CONFIG_SSL_SNI_KEY, 136, 136);
OFFSET(HTTP_SERVICE_CONFIG_SSL_SNI_KEY, Host, 128, 128);
SIZE(HTTP_SERVICE_CONFIG_SSL_SNI_SET, 216, 192);
OFFSET(HTTP_SERVICE_CONFIG_SSL_SNI_SET, ParamDesc, 136, 136);
SIZE(HTTP_SERVICE_CONFIG_SSL_SNI_QUERY, 152, 152);
OFFSET(HTTP_SERVICE_CONFIG_SSL_SNI_QUERY, KeyDesc, 8, 8);
OFFSET(HTTP_SERVICE_CONFIG_SSL_SNI_QUERY, dwToken, 144, 144);

SIZE(HTTP_SERVICE_CONFIG_SSL_CCS_KEY, 128, 128);
SIZE(HTTP_SERVICE_CONFIG_SSL_CCS_SET, 208, 184);
OFFSET(HTTP_SERVICE_CONFIG_SSL_CCS_SET, ParamDesc, 128, 128);
SIZE(HTTP_SERVICE_CONFIG_SSL_CCS_QUERY, 144, 144);
OFFSET(HTTP_SERVICE_CONFIG_SSL_CCS_QUERY, KeyDesc, 8, 8);
OFFSET(HTTP_SERVICE_CONFIG_SSL_CCS_QUERY, dwToken, 136, 136);

SIZE(CRYPT_KEY_PROV_INFO, 48, 28);
OFFSET(CRYPT_KEY_PROV_INFO, dwProvType, 16, 8);
OFFSET(CRYPT_KEY_PROV_INFO, dwFlags, 20, 12);
OFFSET(CRYPT_KEY_PROV_INFO, dwKeySpec, 40, 24);

#endif
