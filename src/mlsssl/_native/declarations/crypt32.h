/* crypt32.dll: certificate stores, PFX, chains. From wincrypt.h; learn.microsoft.com/windows/win32/api/wincrypt.
 *
 * Windows declares most handles `void *` or an integer; here each kind is a type of its own, so that one given
 * for another is a TypeError in Python instead of a corrupted heap in production. */

typedef struct HCERTSTORE__ *HCERTSTORE;
typedef struct HCERTCHAINENGINE__ *HCERTCHAINENGINE;

/* CRYPT_INTEGER_BLOB and its twenty other names. */
typedef struct {
    DWORD cbData;
    BYTE *pbData;
} CRYPT_DATA_BLOB;

/* ns-wincrypt-cert_context. pCertInfo, the decoded form, is not used here: DER is decoded in Python. */
typedef struct {
    DWORD dwCertEncodingType;
    BYTE *pbCertEncoded;
    DWORD cbCertEncoded;
    struct CERT_INFO *pCertInfo;
    HCERTSTORE hCertStore;
} CERT_CONTEXT;

/* ns-wincrypt-crl_context. pCrlInfo as above. */
typedef struct {
    DWORD dwCertEncodingType;
    BYTE *pbCrlEncoded;
    DWORD cbCrlEncoded;
    struct CRL_INFO *pCrlInfo;
    HCERTSTORE hCertStore;
} CRL_CONTEXT;

/* ns-wincrypt-crypt_key_prov_info. dwProvType 0 means that pwszProvName is a CNG key storage provider. */
typedef struct {
    WCHAR *pwszContainerName;
    WCHAR *pwszProvName;
    DWORD dwProvType;
    DWORD dwFlags;
    DWORD cProvParam;
    struct CRYPT_KEY_PROV_PARAM *rgProvParam;
    DWORD dwKeySpec;
} CRYPT_KEY_PROV_INFO;

/* nc-wincrypt-pfn_cert_enum_system_store. pvSystemStore is the store's name unless dwFlags has
 * CERT_SYSTEM_STORE_RELOCATE_FLAG, which is never asked for here. */
typedef BOOL (__stdcall *PFN_CERT_ENUM_SYSTEM_STORE)(
    void *pvSystemStore, DWORD dwFlags, void *pStoreInfo, void *pvReserved, void *pvArg);

/* BOOL and pointer results: 0 and NULL mean failure, the code is GetLastError's. A `PCCERT_CONTEXT` is written
 * `CERT_CONTEXT *`. lpszStoreProvider is a small number cast to a pointer. */
HCERTSTORE __stdcall CertOpenStore(
    char *lpszStoreProvider, DWORD dwEncodingType, void *hCryptProv, DWORD dwFlags, void *pvPara);
BOOL __stdcall CertControlStore(HCERTSTORE hCertStore, DWORD dwFlags, DWORD dwCtrlType, void *pvCtrlPara);
BOOL __stdcall CertCloseStore(HCERTSTORE hCertStore, DWORD dwFlags);
BOOL __stdcall CertEnumSystemStore(
    DWORD dwFlags, void *pvSystemStoreLocationPara, void *pvArg, PFN_CERT_ENUM_SYSTEM_STORE pfnEnum);
/* Both free pPrev, always. */
CERT_CONTEXT *__stdcall CertEnumCertificatesInStore(HCERTSTORE hCertStore, CERT_CONTEXT *pPrevCertContext);
CERT_CONTEXT *__stdcall CertFindCertificateInStore(
    HCERTSTORE hCertStore, DWORD dwCertEncodingType, DWORD dwFindFlags, DWORD dwFindType, void *pvFindPara,
    CERT_CONTEXT *pPrevCertContext);
CERT_CONTEXT *__stdcall CertCreateCertificateContext(
    DWORD dwCertEncodingType, BYTE *pbCertEncoded, DWORD cbCertEncoded);
BOOL __stdcall CertFreeCertificateContext(CERT_CONTEXT *pCertContext);
BOOL __stdcall CertAddCertificateContextToStore(
    HCERTSTORE hCertStore, CERT_CONTEXT *pCertContext, DWORD dwAddDisposition, CERT_CONTEXT **ppStoreContext);
/* Frees pCertContext, always. */
BOOL __stdcall CertDeleteCertificateFromStore(CERT_CONTEXT *pCertContext);
BOOL __stdcall CertGetCertificateContextProperty(
    CERT_CONTEXT *pCertContext, DWORD dwPropId, void *pvData, DWORD *pcbData);
BOOL __stdcall CertSetCertificateContextProperty(
    CERT_CONTEXT *pCertContext, DWORD dwPropId, DWORD dwFlags, void *pvData);

/* Frees pPrev, always. */
CRL_CONTEXT *__stdcall CertEnumCRLsInStore(HCERTSTORE hCertStore, CRL_CONTEXT *pPrevCrlContext);
BOOL __stdcall CertAddEncodedCRLToStore(
    HCERTSTORE hCertStore, DWORD dwCertEncodingType, BYTE *pbCrlEncoded, DWORD cbCrlEncoded,
    DWORD dwAddDisposition, CRL_CONTEXT **ppCrlContext);
/* Frees pCrlContext, always. */
BOOL __stdcall CertDeleteCRLFromStore(CRL_CONTEXT *pCrlContext);
BOOL __stdcall CertFreeCRLContext(CRL_CONTEXT *pCrlContext);

HCERTSTORE __stdcall PFXImportCertStore(CRYPT_DATA_BLOB *pPFX, WCHAR *szPassword, DWORD dwFlags);

/* ---- chains ---- */

typedef struct {
    DWORD cbSize;
    HCERTSTORE hRestrictedRoot;
    HCERTSTORE hRestrictedTrust;
    HCERTSTORE hRestrictedOther;
    DWORD cAdditionalStore;
    HCERTSTORE *rghAdditionalStore;
    DWORD dwFlags;
    DWORD dwUrlRetrievalTimeout;
    DWORD MaximumCachedCertificates;
    DWORD CycleDetectionModulus;
    HCERTSTORE hExclusiveRoot;          /* since Windows 7 */
    HCERTSTORE hExclusiveTrustedPeople; /* since Windows 7 */
    DWORD dwExclusiveFlags;             /* since Windows 8 */
} CERT_CHAIN_ENGINE_CONFIG;

typedef struct {
    DWORD dwErrorStatus;
    DWORD dwInfoStatus;
} CERT_TRUST_STATUS;

typedef struct {
    DWORD cUsageIdentifier;
    char **rgpszUsageIdentifier;
} CERT_ENHKEY_USAGE;

typedef struct {
    DWORD dwType;
    CERT_ENHKEY_USAGE Usage;
} CERT_USAGE_MATCH;

/* The long form, which the headers hide behind CERT_CHAIN_PARA_HAS_EXTRA_FIELDS. */
typedef struct {
    DWORD cbSize;
    CERT_USAGE_MATCH RequestedUsage;
    CERT_USAGE_MATCH RequestedIssuancePolicy;
    DWORD dwUrlRetrievalTimeout;
    BOOL fCheckRevocationFreshnessTime;
    DWORD dwRevocationFreshnessTime;
    FILETIME *pftCacheResync;
    struct CERT_STRONG_SIGN_PARA *pStrongSignPara;
    DWORD dwStrongSignFlags;
} CERT_CHAIN_PARA;

typedef struct {
    DWORD cbSize;
    CERT_CONTEXT *pCertContext;
    CERT_TRUST_STATUS TrustStatus;
    struct CERT_REVOCATION_INFO *pRevocationInfo;
    CERT_ENHKEY_USAGE *pIssuanceUsage;
    CERT_ENHKEY_USAGE *pApplicationUsage;
    WCHAR *pwszExtendedErrorInfo;
} CERT_CHAIN_ELEMENT;

typedef struct {
    DWORD cbSize;
    CERT_TRUST_STATUS TrustStatus;
    DWORD cElement;
    CERT_CHAIN_ELEMENT **rgpElement;
    struct CERT_TRUST_LIST_INFO *pTrustListInfo;
    BOOL fHasRevocationFreshnessTime;
    DWORD dwRevocationFreshnessTime;
} CERT_SIMPLE_CHAIN;

typedef struct CERT_CHAIN_CONTEXT {
    DWORD cbSize;
    CERT_TRUST_STATUS TrustStatus;
    DWORD cChain;
    CERT_SIMPLE_CHAIN **rgpChain;
    DWORD cLowerQualityChainContext;
    struct CERT_CHAIN_CONTEXT **rgpLowerQualityChainContext;
    BOOL fHasRevocationFreshnessTime;
    DWORD dwRevocationFreshnessTime;
    DWORD dwCreateFlags;
    GUID ChainId;
} CERT_CHAIN_CONTEXT;

typedef struct {
    DWORD cbSize;
    DWORD dwFlags;
    void *pvExtraPolicyPara;
} CERT_CHAIN_POLICY_PARA;

typedef struct {
    DWORD cbSize;
    DWORD dwError;
    LONG lChainIndex;
    LONG lElementIndex;
    void *pvExtraPolicyStatus;
} CERT_CHAIN_POLICY_STATUS;

/* HTTPSPolicyCallbackData is the same structure; cbSize shares its place with cbStruct there. */
typedef struct {
    DWORD cbSize;
    DWORD dwAuthType;
    DWORD fdwChecks;
    WCHAR *pwszServerName;
} SSL_EXTRA_CERT_CHAIN_POLICY_PARA;

BOOL __stdcall CertCreateCertificateChainEngine(CERT_CHAIN_ENGINE_CONFIG *pConfig, HCERTCHAINENGINE *phChainEngine);
void __stdcall CertFreeCertificateChainEngine(HCERTCHAINENGINE hChainEngine);
BOOL __stdcall CertGetCertificateChain(
    HCERTCHAINENGINE hChainEngine, CERT_CONTEXT *pCertContext, FILETIME *pTime, HCERTSTORE hAdditionalStore,
    CERT_CHAIN_PARA *pChainPara, DWORD dwFlags, void *pvReserved, CERT_CHAIN_CONTEXT **ppChainContext);
void __stdcall CertFreeCertificateChain(CERT_CHAIN_CONTEXT *pChainContext);
/* pszPolicyOID is a small number cast to a pointer. TRUE says only that the check ran. */
BOOL __stdcall CertVerifyCertificateChainPolicy(
    char *pszPolicyOID, CERT_CHAIN_CONTEXT *pChainContext, CERT_CHAIN_POLICY_PARA *pPolicyPara,
    CERT_CHAIN_POLICY_STATUS *pPolicyStatus);
