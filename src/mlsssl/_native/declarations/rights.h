/* kernel32.dll, advapi32.dll, shell32.dll and ole32.dll: what files that are private are made and looked at with.
 * From fileapi.h, handleapi.h, processthreadsapi.h, winbase.h, securitybaseapi.h, aclapi.h, sddl.h, winnt.h, shlobj.h
 * and combaseapi.h. HANDLE, PSECURITY_DESCRIPTOR and PSID are void *, as there. */

typedef struct {
    DWORD nLength;
    void *lpSecurityDescriptor;
    BOOL bInheritHandle;
} SECURITY_ATTRIBUTES;

typedef struct {
    void *Sid;
    DWORD Attributes;
} SID_AND_ATTRIBUTES;

typedef struct {
    SID_AND_ATTRIBUTES User;
} TOKEN_USER;

/* INVALID_HANDLE_VALUE, (HANDLE)-1, means failure here, and only here. */
void *__stdcall CreateFileW(
    WCHAR *lpFileName, DWORD dwDesiredAccess, DWORD dwShareMode, SECURITY_ATTRIBUTES *lpSecurityAttributes,
    DWORD dwCreationDisposition, DWORD dwFlagsAndAttributes, void *hTemplateFile);
BOOL __stdcall CloseHandle(void *hObject);
BOOL __stdcall CreateDirectoryW(WCHAR *lpPathName, SECURITY_ATTRIBUTES *lpSecurityAttributes);
void *__stdcall LocalFree(void *hMem);
void *__stdcall GetCurrentProcess(void);

BOOL __stdcall ConvertStringSecurityDescriptorToSecurityDescriptorW(
    WCHAR *StringSecurityDescriptor, DWORD StringSDRevision, void **SecurityDescriptor, ULONG *SecurityDescriptorSize);
BOOL __stdcall SetFileSecurityW(WCHAR *lpFileName, DWORD SecurityInformation, void *pSecurityDescriptor);
BOOL __stdcall GetFileSecurityW(
    WCHAR *lpFileName, DWORD RequestedInformation, void *pSecurityDescriptor, DWORD nLength, DWORD *lpnLengthNeeded);
/* Returns the code. ObjectType is the enum SE_OBJECT_TYPE. */
DWORD __stdcall GetSecurityInfo(
    void *handle, int32_t ObjectType, DWORD SecurityInfo, void **ppsidOwner, void **ppsidGroup, void **ppDacl,
    void **ppSacl, void **ppSecurityDescriptor);
BOOL __stdcall ConvertStringSidToSidW(WCHAR *StringSid, void **Sid);
BOOL __stdcall ConvertSidToStringSidW(void *Sid, WCHAR **StringSid);
/* peUse is the enum SID_NAME_USE. */
BOOL __stdcall LookupAccountNameW(
    WCHAR *lpSystemName, WCHAR *lpAccountName, void *Sid, DWORD *cbSid, WCHAR *ReferencedDomainName,
    DWORD *cchReferencedDomainName, int32_t *peUse);
BOOL __stdcall LookupAccountSidW(
    WCHAR *lpSystemName, void *Sid, WCHAR *Name, DWORD *cchName, WCHAR *ReferencedDomainName,
    DWORD *cchReferencedDomainName, int32_t *peUse);
BOOL __stdcall OpenProcessToken(void *ProcessHandle, DWORD DesiredAccess, void **TokenHandle);
/* TokenInformationClass is the enum TOKEN_INFORMATION_CLASS. */
BOOL __stdcall GetTokenInformation(
    void *TokenHandle, int32_t TokenInformationClass, void *TokenInformation, DWORD TokenInformationLength,
    DWORD *ReturnLength);

/* Returns an HRESULT; the text is CoTaskMemFree's to free, also after a failure. */
LONG __stdcall SHGetKnownFolderPath(GUID *rfid, DWORD dwFlags, void *hToken, WCHAR **ppszPath);
void __stdcall CoTaskMemFree(void *pv);
