/* `netsh http show sslcert [ipport=|hostnameport=|ccs=|scopedccs=]` and `show urlacl`, in English, from what
 * httpapi.dll answers: printed as descriptions and recordings of Server 2019 to 2025 show it.
 */
#define _WIN32_WINNT 0x0A00
#include "witness.h"

#include <stdarg.h>
#include <stdio.h>

static void say(const WCHAR *format, ...) {
  WCHAR wide[8192];
  char narrow[4 * 8192];
  va_list arguments;
  va_start(arguments, format);
  _vsnwprintf(wide, 8191, format, arguments);
  va_end(arguments);
  wide[8191] = 0;
  /* netsh writes in the console's code page; what it does not have becomes a question mark */
  int length = WideCharToMultiByte(CP_OEMCP, 0, wide, -1, narrow, sizeof narrow, NULL, NULL);
  if (length > 1) fwrite(narrow, 1, (size_t)length - 1, stdout);
}

static void field(const WCHAR *label, const WCHAR *value) { say(L"    %-28ls : %ls\n", label, value); }

static const WCHAR *or_null(PCWSTR text) { return text == NULL ? L"(null)" : text; }

static void number(const WCHAR *label, DWORD value) {
  WCHAR text[16];
  _snwprintf(text, 16, L"%lu", value);
  field(label, text);
}

static const struct { DWORD bit; const WCHAR *label; } later[] = {
    {0x0010, L"Disable HTTP2"},         {0x0020, L"Disable QUIC"},          {0x1000, L"Disable TLS1.2"},
    {0x0040, L"Disable TLS1.3"},        {0x0080, L"Disable OCSP Stapling"}, {0x0100, L"Enable Token Binding"},
    {0x0200, L"Log Extended Events"},   {0x0400, L"Disable Legacy TLS Versions"},
    {0x0800, L"Enable Session Ticket"}, {0x4000, L"Disable Session ID"},    {0x8000, L"Enable Caching Client Hello"},
};

static void show_parameters(const HTTP_SERVICE_CONFIG_SSL_PARAM *shown) {
  WCHAR text[64] = L"(null)";
  if (shown->SslHashLength != 0) {
    for (ULONG at = 0; at < min(shown->SslHashLength, 20ul); at++) {
      _snwprintf(text + 2 * at, 3, L"%02x", ((const UCHAR *)shown->pSslHash)[at]);
    }
  }
  field(L"Certificate Hash", text);
  const GUID *id = &shown->AppId;
  _snwprintf(text, 64, L"{%08lx-%04x-%04x-%02x%02x-%02x%02x%02x%02x%02x%02x}", id->Data1, id->Data2, id->Data3, id->Data4[0],
             id->Data4[1], id->Data4[2], id->Data4[3], id->Data4[4], id->Data4[5], id->Data4[6], id->Data4[7]);
  field(L"Application ID", text);
  field(L"Certificate Store Name", or_null(shown->pSslCertStoreName));
  DWORD mode = shown->DefaultCertCheckMode, flags = shown->DefaultFlags;
  field(L"Verify Client Certificate Revocation", mode & 0x1 ? L"Disabled" : L"Enabled");
  field(L"Verify Revocation Using Cached Client Certificate Only", mode & 0x2 ? L"Enabled" : L"Disabled");
  field(L"Usage Check", mode & 0x10000 ? L"Disabled" : L"Enabled");
  if (mode & 0x4) field(L"Use Revocation Freshness Time", L"Enabled");
  number(L"Revocation Freshness Time", shown->DefaultRevocationFreshnessTime);
  number(L"URL Retrieval Timeout", shown->DefaultRevocationUrlRetrievalTimeout);
  field(L"Ctl Identifier", or_null(shown->pDefaultSslCtlIdentifier));
  field(L"Ctl Store Name", or_null(shown->pDefaultSslCtlStoreName));
  field(L"DS Mapper Usage", flags & 0x1 ? L"Enabled" : L"Disabled");
  field(L"Negotiate Client Certificate", flags & 0x2 ? L"Enabled" : L"Disabled");
  field(L"Reject Connections", flags & 0x8 ? L"Enabled" : L"Disabled");
  for (size_t at = 0; at < sizeof later / sizeof *later; at++) {
    field(later[at].label, flags & later[at].bit ? L"Set" : L"Not Set");
  }
  say(L"\n");
}

static void show_address(const SOCKADDR *address, WCHAR *text) {
  WCHAR host[64] = L"";
  if (address->sa_family == AF_INET6) {
    const SOCKADDR_IN6 *six = (const SOCKADDR_IN6 *)address;
    InetNtopW(AF_INET6, (void *)&six->sin6_addr, host, 64);
    if (six->sin6_scope_id != 0) _snwprintf(text, 128, L"[%ls%%%lu]:%u", host, six->sin6_scope_id, ntohs(six->sin6_port));
    else _snwprintf(text, 128, L"[%ls]:%u", host, ntohs(six->sin6_port));
  } else {
    const SOCKADDR_IN *four = (const SOCKADDR_IN *)address;
    InetNtopW(AF_INET, (void *)&four->sin_addr, host, 64);
    _snwprintf(text, 128, L"%ls:%u", host, ntohs(four->sin_port));
  }
}

/* Print the record that is asked for; the key as netsh takes it goes to `key`. */
static ULONG show_next(DWORD family, DWORD token, const WCHAR *wanted) {
  union {
    HTTP_SERVICE_CONFIG_SSL_QUERY ip;
    HTTP_SERVICE_CONFIG_URLACL_QUERY url;
    SNI_QUERY sni;
    CCS_QUERY ccs;
  } query;
  ULONG size, needed = 0, code;
  memset(&query, 0, sizeof query);
  query.ip.QueryDesc = HttpServiceConfigQueryNext; /* the first field of all of them */
  if (family == FAMILY_IP) query.ip.dwToken = token, size = sizeof query.ip;
  else if (family == FAMILY_URL) query.url.dwToken = token, size = sizeof query.url;
  else if (family == FAMILY_CCS) query.ccs.dwToken = token, size = sizeof query.ccs;
  else query.sni.dwToken = token, size = sizeof query.sni;
  code = HttpQueryServiceConfiguration(NULL, (HTTP_SERVICE_CONFIG_ID)family, &query, size, NULL, 0, &needed, NULL);
  if (code != ERROR_INSUFFICIENT_BUFFER) return code;
  void *output = HeapAlloc(GetProcessHeap(), 0, needed);
  code = HttpQueryServiceConfiguration(NULL, (HTTP_SERVICE_CONFIG_ID)family, &query, size, output, needed, &needed, NULL);
  if (code == 0) {
    WCHAR key[TEXT_LIMIT + 16];
    const WCHAR *label;
    const HTTP_SERVICE_CONFIG_SSL_PARAM *parameters = NULL;
    if (family == FAMILY_IP) {
      const HTTP_SERVICE_CONFIG_SSL_SET *set = output;
      show_address(set->KeyDesc.pIpPort, key);
      label = L"IP:port", parameters = &set->ParamDesc;
    } else if (family == FAMILY_URL) {
      const HTTP_SERVICE_CONFIG_URLACL_SET *set = output;
      _snwprintf(key, TEXT_LIMIT, L"%ls", set->KeyDesc.pUrlPrefix);
      label = L"Reserved URL";
      if (wanted == NULL || lstrcmpW(wanted, key) == 0) {
        field(label, key);
        say(L"        SDDL: %ls\n\n", or_null(set->ParamDesc.pStringSecurityDescriptor));
      }
    } else if (family == FAMILY_CCS) {
      const CCS_SET *set = output;
      _snwprintf(key, 16, L"%u", ntohs(((const SOCKADDR_IN *)&set->KeyDesc.LocalAddress)->sin_port));
      label = L"Central Certificate Store", parameters = &set->ParamDesc;
    } else {
      const SNI_SET *set = output;
      _snwprintf(key, TEXT_LIMIT, L"%ls:%u", set->KeyDesc.Host, ntohs(((const SOCKADDR_IN *)&set->KeyDesc.IpPort)->sin_port));
      label = family == FAMILY_SNI ? L"Hostname:port" : L"Scoped CCS:port", parameters = &set->ParamDesc;
    }
    if (parameters != NULL && (wanted == NULL || lstrcmpW(wanted, key) == 0)) {
      field(label, key);
      show_parameters(parameters);
    } else if (wanted != NULL) {
      code = ERROR_MORE_DATA; /* not the one: go on */
    }
  }
  HeapFree(GetProcessHeap(), 0, output);
  return code;
}

static const struct { DWORD family; const WCHAR *selector; } selectors[] = {
    {FAMILY_IP, L"ipport="}, {FAMILY_SNI, L"hostnameport="}, {FAMILY_CCS, L"ccs="}, {FAMILY_SCOPED_CCS, L"scopedccs="},
};

int main(void) {
  int count, shown = 0;
  WCHAR **words = CommandLineToArgvW(GetCommandLineW(), &count);
  HTTPAPI_VERSION version = {2, 0};
  BOOL urls = count >= 4 && lstrcmpiW(words[3], L"urlacl") == 0;
  BOOL known = count >= 4 && lstrcmpiW(words[1], L"http") == 0 && lstrcmpiW(words[2], L"show") == 0 &&
               (urls || lstrcmpiW(words[3], L"sslcert") == 0);
  if (!known) {
    say(L"The following command was not found: only http show sslcert and http show urlacl.\n");
    return 1;
  }
  ULONG code = HttpInitialize(version, HTTP_INITIALIZE_CONFIG, NULL);
  if (code != 0) {
    say(L"HttpInitialize failed, Error: %lu\n", code);
    return 1;
  }
  const WCHAR *heading = urls ? L"URL Reservations:" : L"SSL Certificate bindings:";
  say(L"\n%ls\n-------------------------\n\n", heading);
  for (size_t at = 0; at < sizeof selectors / sizeof *selectors; at++) {
    const WCHAR *wanted = NULL;
    DWORD family = urls ? FAMILY_URL : selectors[at].family;
    if (urls && at > 0) break;
    if (!urls && count > 4) {
      size_t length = wcslen(selectors[at].selector);
      if (_wcsnicmp(words[4], selectors[at].selector, length) != 0) continue;
      wanted = words[4] + length;
    }
    for (DWORD token = 0; code == 0 || code == ERROR_MORE_DATA; token++) {
      code = show_next(family, token, wanted);
      shown += code == 0;
    }
    if (code != ERROR_NO_MORE_ITEMS) say(L"Error: %lu\n", code);
    code = 0;
  }
  if (count > 4 && shown == 0) say(L"The system cannot find the file specified.\n\n");
  HttpTerminate(HTTP_INITIALIZE_CONFIG, NULL);
  return count > 4 && shown == 0;
}
