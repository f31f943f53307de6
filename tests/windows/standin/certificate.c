/* What HTTP.sys asks of a certificate at the moment it is bound: that it lies in the named LocalMachine store and that
 * its key, named by KEY_PROV_INFO, opens from the machine's key set. Everything else is 1312.
 *
 * The container is opened with its own name and flags: CryptAcquireCertificatePrivateKey would be the short way, but
 * Wine's ignores the machine flag and so finds no machine key.
 */
#include "standin.h"

#include <ncrypt.h>

static ULONG unusable(const char *reason)
{
    return refuse(ERROR_NO_SUCH_LOGON_SESSION, reason);
}

static BOOL legacy_key_opens(const CRYPT_KEY_PROV_INFO *info)
{
    HCRYPTPROV provider;
    HCRYPTKEY key;
    BOOL opens;
    if (!CryptAcquireContextW(&provider, info->pwszContainerName, info->pwszProvName, info->dwProvType,
                              CRYPT_MACHINE_KEYSET | CRYPT_SILENT))
        return FALSE;
    opens = CryptGetUserKey(provider, info->dwKeySpec, &key);
    if (opens)
        CryptDestroyKey(key);
    CryptReleaseContext(provider, 0);
    return opens;
}

static BOOL cng_key_opens(const CRYPT_KEY_PROV_INFO *info)
{
    NCRYPT_PROV_HANDLE provider;
    NCRYPT_KEY_HANDLE key;
    BOOL opens;
    if (NCryptOpenStorageProvider(&provider, info->pwszProvName, 0) != ERROR_SUCCESS)
        return FALSE;
    opens = NCryptOpenKey(provider, &key, info->pwszContainerName, 0, NCRYPT_MACHINE_KEY_FLAG | NCRYPT_SILENT_FLAG)
            == ERROR_SUCCESS;
    if (opens)
        NCryptFreeObject(key);
    NCryptFreeObject(provider);
    return opens;
}

static ULONG check_key(PCCERT_CONTEXT certificate)
{
    DWORD length = 0;
    CRYPT_KEY_PROV_INFO *info;
    ULONG code = NO_ERROR;
    if (!CertGetCertificateContextProperty(certificate, CERT_KEY_PROV_INFO_PROP_ID, NULL, &length))
        return unusable("the certificate has no KEY_PROV_INFO: no private key is linked to it");
    info = HeapAlloc(GetProcessHeap(), HEAP_ZERO_MEMORY, length);
    if (info == NULL)
        return refuse(ERROR_NOT_ENOUGH_MEMORY, "no memory");
    if (!CertGetCertificateContextProperty(certificate, CERT_KEY_PROV_INFO_PROP_ID, info, &length))
        code = unusable("KEY_PROV_INFO cannot be read");
    else if ((info->dwFlags & CRYPT_MACHINE_KEYSET) == 0)
        code = unusable("the key is not in the machine key set");
    else if (info->dwProvType != 0 ? !legacy_key_opens(info) : !cng_key_opens(info))
        code = unusable("the key container does not open");
    HeapFree(GetProcessHeap(), 0, info);
    return code;
}

ULONG check_certificate(const RECORD *record)
{
    const WCHAR *store_name = record->text_at[STORE] == NO_TEXT ? L"MY" : &record->text[record->text_at[STORE]];
    CRYPT_HASH_BLOB hash = {record->hash_length, (BYTE *)record->hash};
    PCCERT_CONTEXT certificate;
    ULONG code;
    HCERTSTORE store = CertOpenStore(CERT_STORE_PROV_SYSTEM_W, 0, 0,
                                     CERT_SYSTEM_STORE_LOCAL_MACHINE | CERT_STORE_OPEN_EXISTING_FLAG
                                         | CERT_STORE_READONLY_FLAG,
                                     store_name);
    if (store == NULL)
        return unusable("LocalMachine has no store of this name");
    certificate = CertFindCertificateInStore(store, X509_ASN_ENCODING | PKCS_7_ASN_ENCODING, 0, CERT_FIND_SHA1_HASH,
                                             &hash, NULL);
    if (certificate == NULL) {
        code = unusable("the store holds no certificate with this hash");
    } else {
        code = check_key(certificate);
        CertFreeCertificateContext(certificate);
    }
    CertCloseStore(store, 0);
    return code;
}
