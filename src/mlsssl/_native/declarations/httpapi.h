/* httpapi.dll: the TLS configuration of HTTP.sys.
 *
 * From http.h of the Windows SDK; field meanings from the pages "HTTP_SERVICE_CONFIG_SSL_..." of
 * learn.microsoft.com/windows/win32/api/http. mingw-w64's http.h ends before the SNI and CCS structures.
 * The enums HTTP_SERVICE_CONFIG_ID and HTTP_SERVICE_CONFIG_QUERY_TYPE are ints here: their members depend on
 * _WIN32_WINNT in the header, not at run time (the numbers are in bindings.py). */

/* ws2def.h, ws2ipdef.h. Ports and addresses are in network order, the family is not. */
typedef struct {
    USHORT sa_family;
    BYTE sa_data[14];
} SOCKADDR;

typedef struct {
    USHORT sin_family;
    BYTE sin_port[2];
    BYTE sin_addr[4];
    BYTE sin_zero[8];
} SOCKADDR_IN;

typedef struct {
    USHORT sin6_family;
    BYTE sin6_port[2];
    ULONG sin6_flowinfo;
    BYTE sin6_addr[16];
    ULONG sin6_scope_id;
} SOCKADDR_IN6;

typedef struct {
    USHORT ss_family;
    BYTE __ss_pad1[6];
    int64_t __ss_align;
    BYTE __ss_pad2[112];
} SOCKADDR_STORAGE;

typedef struct {
    USHORT HttpApiMajorVersion;
    USHORT HttpApiMinorVersion;
} HTTPAPI_VERSION;

/* What a record holds besides its key; one structure for all four families. */
typedef struct {
    ULONG SslHashLength;
    void *pSslHash;
    GUID AppId;
    WCHAR *pSslCertStoreName;
    DWORD DefaultCertCheckMode;
    DWORD DefaultRevocationFreshnessTime;
    DWORD DefaultRevocationUrlRetrievalTimeout;
    WCHAR *pDefaultSslCtlIdentifier;
    WCHAR *pDefaultSslCtlStoreName;
    DWORD DefaultFlags;
} HTTP_SERVICE_CONFIG_SSL_PARAM;

/* Address and port: the key is a pointer, unlike the other families' keys. */
typedef struct {
    SOCKADDR *pIpPort;
} HTTP_SERVICE_CONFIG_SSL_KEY;

typedef struct {
    HTTP_SERVICE_CONFIG_SSL_KEY KeyDesc;
    HTTP_SERVICE_CONFIG_SSL_PARAM ParamDesc;
} HTTP_SERVICE_CONFIG_SSL_SET;

typedef struct {
    int32_t QueryDesc;
    HTTP_SERVICE_CONFIG_SSL_KEY KeyDesc;
    DWORD dwToken;
} HTTP_SERVICE_CONFIG_SSL_QUERY;

/* Host name and port; for SNI and, under another id, for the scoped central certificate store. */
typedef struct {
    SOCKADDR_STORAGE IpPort;
    WCHAR *Host;
} HTTP_SERVICE_CONFIG_SSL_SNI_KEY;

typedef struct {
    HTTP_SERVICE_CONFIG_SSL_SNI_KEY KeyDesc;
    HTTP_SERVICE_CONFIG_SSL_PARAM ParamDesc;
} HTTP_SERVICE_CONFIG_SSL_SNI_SET;

typedef struct {
    int32_t QueryDesc;
    HTTP_SERVICE_CONFIG_SSL_SNI_KEY KeyDesc;
    DWORD dwToken;
} HTTP_SERVICE_CONFIG_SSL_SNI_QUERY;

/* A port of the central certificate store. */
typedef struct {
    SOCKADDR_STORAGE LocalAddress;
} HTTP_SERVICE_CONFIG_SSL_CCS_KEY;

typedef struct {
    HTTP_SERVICE_CONFIG_SSL_CCS_KEY KeyDesc;
    HTTP_SERVICE_CONFIG_SSL_PARAM ParamDesc;
} HTTP_SERVICE_CONFIG_SSL_CCS_SET;

typedef struct {
    int32_t QueryDesc;
    HTTP_SERVICE_CONFIG_SSL_CCS_KEY KeyDesc;
    DWORD dwToken;
} HTTP_SERVICE_CONFIG_SSL_CCS_QUERY;

/* A URL reservation: the prefix, and who may do what there as a security descriptor in SDDL. */
typedef struct {
    WCHAR *pUrlPrefix;
} HTTP_SERVICE_CONFIG_URLACL_KEY;

typedef struct {
    WCHAR *pStringSecurityDescriptor;
} HTTP_SERVICE_CONFIG_URLACL_PARAM;

typedef struct {
    HTTP_SERVICE_CONFIG_URLACL_KEY KeyDesc;
    HTTP_SERVICE_CONFIG_URLACL_PARAM ParamDesc;
} HTTP_SERVICE_CONFIG_URLACL_SET;

typedef struct {
    int32_t QueryDesc;
    HTTP_SERVICE_CONFIG_URLACL_KEY KeyDesc;
    DWORD dwToken;
} HTTP_SERVICE_CONFIG_URLACL_QUERY;

/* The listen list: set and deleted an address at a time, queried (without input) as a whole. */
typedef struct {
    USHORT AddrLength;
    SOCKADDR *pAddress;
} HTTP_SERVICE_CONFIG_IP_LISTEN_PARAM;

typedef struct {
    ULONG AddrCount;
    SOCKADDR_STORAGE AddrList[1]; /* ANYSIZE_ARRAY */
} HTTP_SERVICE_CONFIG_IP_LISTEN_QUERY;

/* Numbers: set and deleted with their key; a query takes the key alone (an enum) and answers the number alone. */
typedef struct {
    int32_t KeyDesc;
    USHORT ParamDesc;
} HTTP_SERVICE_CONFIG_TIMEOUT_SET;

typedef struct {
    int32_t KeyDesc;
    ULONG ParamDesc;
} HTTP_SERVICE_CONFIG_CACHE_SET;

/* Not in mingw-w64; http.h of the Windows SDK has it from Windows 10 on. */
typedef struct {
    int32_t KeyDesc;
    ULONG ParamDesc;
} HTTP_SERVICE_CONFIG_SETTING_SET;

/* All of them return the Win32 code; GetLastError means nothing here. ServiceHandle and pOverlapped are
 * reserved: NULL. */
ULONG __stdcall HttpInitialize(HTTPAPI_VERSION Version, ULONG Flags, void *pReserved);
ULONG __stdcall HttpTerminate(ULONG Flags, void *pReserved);
ULONG __stdcall HttpSetServiceConfiguration(
    void *ServiceHandle, int32_t ConfigId, void *pConfigInformation, ULONG ConfigInformationLength,
    void *pOverlapped);
/* Windows 10 1703 and Server 2019 on; not exported before. */
ULONG __stdcall HttpUpdateServiceConfiguration(
    void *ServiceHandle, int32_t ConfigId, void *pConfigInformation, ULONG ConfigInformationLength,
    void *pOverlapped);
ULONG __stdcall HttpDeleteServiceConfiguration(
    void *ServiceHandle, int32_t ConfigId, void *pConfigInformation, ULONG ConfigInformationLength,
    void *pOverlapped);
ULONG __stdcall HttpQueryServiceConfiguration(
    void *ServiceHandle, int32_t ConfigId, void *pInput, ULONG InputLength, void *pOutput, ULONG OutputLength,
    ULONG *pReturnLength, void *pOverlapped);
