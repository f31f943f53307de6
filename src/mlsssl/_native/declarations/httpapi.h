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

/* ---- requests: the server half of the API, version 2 (learn.microsoft.com/windows/win32/api/http) ----
 *
 * From http.h. Enums are ints. The ids of sessions, URL groups and requests are numbers of 64 bits. */

typedef struct {
    USHORT MajorVersion;
    USHORT MinorVersion;
} HTTP_VERSION;

/* Lengths of headers and URLs are bytes, without a NUL. */
typedef struct {
    USHORT RawValueLength;
    char *pRawValue;
} HTTP_KNOWN_HEADER;

/* HttpHeaderRequestMaximum is 41, HttpHeaderResponseMaximum 30. */
typedef struct {
    USHORT UnknownHeaderCount;
    void *pUnknownHeaders;
    USHORT TrailerCount;
    void *pTrailers;
    HTTP_KNOWN_HEADER KnownHeaders[41];
} HTTP_REQUEST_HEADERS;

typedef struct {
    USHORT UnknownHeaderCount;
    void *pUnknownHeaders;
    USHORT TrailerCount;
    void *pTrailers;
    HTTP_KNOWN_HEADER KnownHeaders[30];
} HTTP_RESPONSE_HEADERS;

typedef struct {
    SOCKADDR *pRemoteAddress;
    SOCKADDR *pLocalAddress;
} HTTP_TRANSPORT_ADDRESS;

/* The pointers lead into one text; each length is bytes. */
typedef struct {
    USHORT FullUrlLength;
    USHORT HostLength;
    USHORT AbsPathLength;
    USHORT QueryStringLength;
    WCHAR *pFullUrl;
    WCHAR *pHost;
    WCHAR *pAbsPath;
    WCHAR *pQueryString;
} HTTP_COOKED_URL;

/* The union's first kind, and as much behind it as the largest of the others takes. */
typedef struct {
    void *pBuffer;
    ULONG BufferLength;
    ULONG __rest1;
    ULONGLONG __rest2;
} HTTP_DATA_CHUNK_FROM_MEMORY;

typedef struct {
    int32_t DataChunkType;
    HTTP_DATA_CHUNK_FROM_MEMORY FromMemory;
} HTTP_DATA_CHUNK;

/* What HTTP_REQUEST_V2, which version 2 of the API writes, begins with; the rest of it is not read here. */
typedef struct {
    ULONG Flags;
    ULONGLONG ConnectionId;
    ULONGLONG RequestId;
    ULONGLONG UrlContext;
    HTTP_VERSION Version;
    int32_t Verb;
    USHORT UnknownVerbLength;
    USHORT RawUrlLength;
    char *pUnknownVerb;
    char *pRawUrl;
    HTTP_COOKED_URL CookedUrl;
    HTTP_TRANSPORT_ADDRESS Address;
    HTTP_REQUEST_HEADERS Headers;
    ULONGLONG BytesReceived;
    USHORT EntityChunkCount;
    HTTP_DATA_CHUNK *pEntityChunks;
    ULONGLONG RawConnectionId;
    void *pSslInfo;
} HTTP_REQUEST_V1;

/* HTTP_RESPONSE_V2: HTTP_RESPONSE_V1 and two fields. */
typedef struct {
    ULONG Flags;
    HTTP_VERSION Version;
    USHORT StatusCode;
    USHORT ReasonLength;
    char *pReason;
    HTTP_RESPONSE_HEADERS Headers;
    USHORT EntityChunkCount;
    HTTP_DATA_CHUNK *pEntityChunks;
    USHORT ResponseInfoCount;
    void *pResponseInfo;
} HTTP_RESPONSE;

/* Flags: HTTP_PROPERTY_FLAGS, whose one bit says that the rest is there. */
typedef struct {
    ULONG Flags;
    void *RequestQueueHandle;
} HTTP_BINDING_INFO;

/* All of them return the Win32 code. A queue is a HANDLE; what is registered at its group goes with it. */
ULONG __stdcall HttpCreateServerSession(HTTPAPI_VERSION Version, ULONGLONG *pServerSessionId, ULONG Reserved);
ULONG __stdcall HttpCloseServerSession(ULONGLONG ServerSessionId);
ULONG __stdcall HttpCreateUrlGroup(ULONGLONG ServerSessionId, ULONGLONG *pUrlGroupId, ULONG Reserved);
ULONG __stdcall HttpCloseUrlGroup(ULONGLONG UrlGroupId);
ULONG __stdcall HttpCreateRequestQueue(
    HTTPAPI_VERSION Version, WCHAR *pName, void *pSecurityAttributes, ULONG Flags, void **pReqQueueHandle);
ULONG __stdcall HttpCloseRequestQueue(void *ReqQueueHandle);
ULONG __stdcall HttpSetUrlGroupProperty(
    ULONGLONG UrlGroupId, int32_t Property, void *pPropertyInformation, ULONG PropertyInformationLength);
ULONG __stdcall HttpAddUrlToUrlGroup(
    ULONGLONG UrlGroupId, WCHAR *pFullyQualifiedUrl, ULONGLONG UrlContext, ULONG Reserved);
ULONG __stdcall HttpRemoveUrlFromUrlGroup(ULONGLONG UrlGroupId, WCHAR *pFullyQualifiedUrl, ULONG Flags);
/* With an OVERLAPPED: 997 (ERROR_IO_PENDING) while it goes on, 0 when it is done already. */
ULONG __stdcall HttpReceiveHttpRequest(
    void *ReqQueueHandle, ULONGLONG RequestId, ULONG Flags, HTTP_REQUEST_V1 *pRequestBuffer, ULONG RequestBufferLength,
    ULONG *pBytesReceived, OVERLAPPED *pOverlapped);
ULONG __stdcall HttpSendHttpResponse(
    void *ReqQueueHandle, ULONGLONG RequestId, ULONG Flags, HTTP_RESPONSE *pHttpResponse, void *pReserved1,
    ULONG *pBytesSent, void *pReserved2, ULONG Reserved3, OVERLAPPED *pOverlapped, void *pReserved4);
