/* ncrypt.dll: keys in CNG key storage providers. From ncrypt.h and bcrypt.h;
 * learn.microsoft.com/windows/win32/api/ncrypt. Handles are integers of pointer size there; the names of types
 * here keep a provider, a key and an allocated buffer apart. */

typedef struct NCRYPT_PROV__ *NCRYPT_PROV_HANDLE;
typedef struct NCRYPT_KEY__ *NCRYPT_KEY_HANDLE;

/* bcrypt.h: NCryptBuffer and NCryptBufferDesc are BCryptBuffer and BCryptBufferDesc. */
typedef struct {
    ULONG cbBuffer;
    ULONG BufferType;
    void *pvBuffer;
} NCryptBuffer;

typedef struct {
    ULONG ulVersion;
    ULONG cBuffers;
    NCryptBuffer *pBuffers;
} NCryptBufferDesc;

typedef struct {
    WCHAR *pszName;
    WCHAR *pszAlgid;
    DWORD dwLegacyKeySpec;
    DWORD dwFlags;
} NCryptKeyName;

/* bcrypt.h: by which hash the signature of a given digest is to say that it was made. */
typedef struct {
    WCHAR *pszAlgId;
} BCRYPT_PKCS1_PADDING_INFO;

/* bcrypt.h. What follows the header is big-endian: public exponent, modulus, prime 1, prime 2, and in the full
 * form exponent 1, exponent 2, coefficient, private exponent. */
typedef struct {
    ULONG Magic;
    ULONG BitLength;
    ULONG cbPublicExp;
    ULONG cbModulus;
    ULONG cbPrime1;
    ULONG cbPrime2;
} BCRYPT_RSAKEY_BLOB;

/* bcrypt.h. What follows is big-endian: x, y and, in the private form, d, each of cbKey bytes. */
typedef struct {
    ULONG dwMagic;
    ULONG cbKey;
} BCRYPT_ECCKEY_BLOB;

/* SECURITY_STATUS results: 0 is success, everything else is the code itself; GetLastError is not set. */
LONG __stdcall NCryptOpenStorageProvider(NCRYPT_PROV_HANDLE *phProvider, WCHAR *pszProviderName, DWORD dwFlags);
LONG __stdcall NCryptOpenKey(
    NCRYPT_PROV_HANDLE hProvider, NCRYPT_KEY_HANDLE *phKey, WCHAR *pszKeyName, DWORD dwLegacyKeySpec, DWORD dwFlags);
LONG __stdcall NCryptCreatePersistedKey(
    NCRYPT_PROV_HANDLE hProvider, NCRYPT_KEY_HANDLE *phKey, WCHAR *pszAlgId, WCHAR *pszKeyName,
    DWORD dwLegacyKeySpec, DWORD dwFlags);
/* hObject may be a provider in Windows; here only keys have properties. */
LONG __stdcall NCryptGetProperty(
    NCRYPT_KEY_HANDLE hObject, WCHAR *pszProperty, BYTE *pbOutput, DWORD cbOutput, DWORD *pcbResult, DWORD dwFlags);
LONG __stdcall NCryptSetProperty(
    NCRYPT_KEY_HANDLE hObject, WCHAR *pszProperty, BYTE *pbInput, DWORD cbInput, DWORD dwFlags);
LONG __stdcall NCryptFinalizeKey(NCRYPT_KEY_HANDLE hKey, DWORD dwFlags);
LONG __stdcall NCryptExportKey(
    NCRYPT_KEY_HANDLE hKey, NCRYPT_KEY_HANDLE hExportKey, WCHAR *pszBlobType, NCryptBufferDesc *pParameterList,
    BYTE *pbOutput, DWORD cbOutput, DWORD *pcbResult, DWORD dwFlags);
/* RSA signatures are big-endian; those of EC keys are r and s, each as long as the curve's order. */
LONG __stdcall NCryptSignHash(
    NCRYPT_KEY_HANDLE hKey, BCRYPT_PKCS1_PADDING_INFO *pPaddingInfo, BYTE *pbHashValue, DWORD cbHashValue,
    BYTE *pbSignature, DWORD cbSignature, DWORD *pcbResult, DWORD dwFlags);
/* Frees hKey when it succeeds. */
LONG __stdcall NCryptDeleteKey(NCRYPT_KEY_HANDLE hKey, DWORD dwFlags);
/* The enumeration's state, and each name, are freed with NCryptFreeBuffer. */
LONG __stdcall NCryptEnumKeys(
    NCRYPT_PROV_HANDLE hProvider, WCHAR *pszScope, NCryptKeyName **ppKeyName, void **ppEnumState, DWORD dwFlags);
LONG __stdcall NCryptFreeBuffer(void *pvInput);
/* Takes a provider or a key. */
LONG __stdcall NCryptFreeObject(void *hObject);
