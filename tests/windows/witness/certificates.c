/* HTTP.sys looks the certificate and its key up when a record is set: 1312 when either is missing. */
#include "witness.h"

#include <ncrypt.h>
#include <wincrypt.h>

static BOOL key_opens(const CRYPT_KEY_PROV_INFO *where) {
  if (where->dwProvType != 0) { /* an older provider */
    HCRYPTPROV opened;
    DWORD flags = CRYPT_SILENT | (where->dwFlags & CRYPT_MACHINE_KEYSET);
    if (!CryptAcquireContextW(&opened, where->pwszContainerName, where->pwszProvName, where->dwProvType, flags)) return FALSE;
    CryptReleaseContext(opened, 0);
    return TRUE;
  }
  NCRYPT_PROV_HANDLE provider;
  NCRYPT_KEY_HANDLE key;
  if (NCryptOpenStorageProvider(&provider, where->pwszProvName, 0) != 0) return FALSE;
  DWORD flags = NCRYPT_SILENT_FLAG | (where->dwFlags & NCRYPT_MACHINE_KEY_FLAG);
  BOOL opens = NCryptOpenKey(provider, &key, where->pwszContainerName, where->dwKeySpec, flags) == 0;
  if (opens) NCryptFreeObject(key);
  NCryptFreeObject(provider);
  return opens;
}

ULONG certificate_usable(const RECORD *record) {
  const WCHAR *store_name = record->store.present ? record->store.text : L"MY";
  DWORD how = CERT_SYSTEM_STORE_LOCAL_MACHINE | CERT_STORE_READONLY_FLAG | CERT_STORE_OPEN_EXISTING_FLAG;
  HCERTSTORE store = CertOpenStore(CERT_STORE_PROV_SYSTEM_W, 0, 0, how, store_name);
  if (store == NULL) return ERROR_NO_SUCH_LOGON_SESSION;
  CRYPT_HASH_BLOB wanted = {sizeof record->hash, (BYTE *)record->hash};
  PCCERT_CONTEXT found = CertFindCertificateInStore(store, X509_ASN_ENCODING, 0, CERT_FIND_SHA1_HASH, &wanted, NULL);
  ULONG answer = ERROR_NO_SUCH_LOGON_SESSION;
  if (found != NULL) {
    DWORD size = 0;
    if (CertGetCertificateContextProperty(found, CERT_KEY_PROV_INFO_PROP_ID, NULL, &size)) {
      CRYPT_KEY_PROV_INFO *where = HeapAlloc(GetProcessHeap(), 0, size);
      if (where != NULL && CertGetCertificateContextProperty(found, CERT_KEY_PROV_INFO_PROP_ID, where, &size)) {
        /* CRYPT_MACHINE_KEYSET and NCRYPT_MACHINE_KEY_FLAG are the same bit: the service has no user's keys. */
        if (where->dwFlags & CRYPT_MACHINE_KEYSET && key_opens(where)) answer = 0;
      }
      HeapFree(GetProcessHeap(), 0, where);
    }
    CertFreeCertificateContext(found);
  }
  CertCloseStore(store, 0);
  return answer;
}
