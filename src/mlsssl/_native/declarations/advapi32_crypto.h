/* advapi32.dll: keys of the older cryptographic service providers. From wincrypt.h;
 * learn.microsoft.com/windows/win32/api/wincrypt. Handles are integers of pointer size there. */

typedef struct HCRYPTPROV__ *HCRYPTPROV;
typedef struct HCRYPTKEY__ *HCRYPTKEY;
typedef struct HCRYPTHASH__ *HCRYPTHASH;

/* ns-wincrypt-publickeystruc: every key blob of these providers begins with it. */
typedef struct {
    BYTE bType;
    BYTE bVersion;
    WORD reserved;
    DWORD aiKeyAlg;
} BLOBHEADER;

/* ns-wincrypt-rsapubkey: follows the header of an RSA blob. */
typedef struct {
    DWORD magic;
    DWORD bitlen;
    DWORD pubexp;
} RSAPUBKEY;

/* BOOL results: 0 means failure, the code is GetLastError's. */
BOOL __stdcall CryptAcquireContextW(
    HCRYPTPROV *phProv, WCHAR *szContainer, WCHAR *szProvider, DWORD dwProvType, DWORD dwFlags);
BOOL __stdcall CryptReleaseContext(HCRYPTPROV hProv, DWORD dwFlags);
BOOL __stdcall CryptGetProvParam(HCRYPTPROV hProv, DWORD dwParam, BYTE *pbData, DWORD *pdwDataLen, DWORD dwFlags);
BOOL __stdcall CryptSetProvParam(HCRYPTPROV hProv, DWORD dwParam, BYTE *pbData, DWORD dwFlags);
BOOL __stdcall CryptGetUserKey(HCRYPTPROV hProv, DWORD dwKeySpec, HCRYPTKEY *phUserKey);
BOOL __stdcall CryptImportKey(
    HCRYPTPROV hProv, BYTE *pbData, DWORD dwDataLen, HCRYPTKEY hPubKey, DWORD dwFlags, HCRYPTKEY *phKey);
BOOL __stdcall CryptExportKey(
    HCRYPTKEY hKey, HCRYPTKEY hExpKey, DWORD dwBlobType, DWORD dwFlags, BYTE *pbData, DWORD *pdwDataLen);
BOOL __stdcall CryptGetKeyParam(HCRYPTKEY hKey, DWORD dwParam, BYTE *pbData, DWORD *pdwDataLen, DWORD dwFlags);
BOOL __stdcall CryptDestroyKey(HCRYPTKEY hKey);
/* The upper half of dwFlags is the length in bits. */
BOOL __stdcall CryptGenKey(HCRYPTPROV hProv, DWORD Algid, DWORD dwFlags, HCRYPTKEY *phKey);
BOOL __stdcall CryptCreateHash(HCRYPTPROV hProv, DWORD Algid, HCRYPTKEY hKey, DWORD dwFlags, HCRYPTHASH *phHash);
BOOL __stdcall CryptSetHashParam(HCRYPTHASH hHash, DWORD dwParam, BYTE *pbData, DWORD dwFlags);
/* PKCS#1 v1.5, little-endian. */
BOOL __stdcall CryptSignHashW(
    HCRYPTHASH hHash, DWORD dwKeySpec, WCHAR *szDescription, DWORD dwFlags, BYTE *pbSignature, DWORD *pdwSigLen);
BOOL __stdcall CryptDestroyHash(HCRYPTHASH hHash);
