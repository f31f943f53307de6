"""Windows' error codes by name, and what they mean at the borders that are ours: bindings and services.

The names are winerror.h's. A code without a better name in our tree stays a `NativeError`; where there is one, the
`NativeError` (function, code, name) is its `__cause__`, so the failing call can always be read off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsssl.errors import (
    WINDOWS_ACCESS_DENIED,
    AccessDeniedError,
    BindingExistsError,
    BindingNotFoundError,
    InvalidInputError,
    MlssslError,
    NativeError,
    ServiceError,
    ServiceNotFoundError,
)

if TYPE_CHECKING:
    from mlsssl.values import BindingKey

NTE_PERM = 0x80090010

NAMES = {
    0: "ERROR_SUCCESS",
    1: "ERROR_INVALID_FUNCTION",
    2: "ERROR_FILE_NOT_FOUND",
    3: "ERROR_PATH_NOT_FOUND",
    5: "ERROR_ACCESS_DENIED",
    6: "ERROR_INVALID_HANDLE",
    8: "ERROR_NOT_ENOUGH_MEMORY",
    13: "ERROR_INVALID_DATA",
    14: "ERROR_OUTOFMEMORY",
    21: "ERROR_NOT_READY",
    32: "ERROR_SHARING_VIOLATION",
    50: "ERROR_NOT_SUPPORTED",
    80: "ERROR_FILE_EXISTS",
    86: "ERROR_INVALID_PASSWORD",
    87: "ERROR_INVALID_PARAMETER",
    109: "ERROR_BROKEN_PIPE",
    122: "ERROR_INSUFFICIENT_BUFFER",
    123: "ERROR_INVALID_NAME",
    126: "ERROR_MOD_NOT_FOUND",
    127: "ERROR_PROC_NOT_FOUND",
    170: "ERROR_BUSY",
    183: "ERROR_ALREADY_EXISTS",
    234: "ERROR_MORE_DATA",
    259: "ERROR_NO_MORE_ITEMS",
    998: "ERROR_NOACCESS",
    1051: "ERROR_DEPENDENT_SERVICES_RUNNING",
    1052: "ERROR_INVALID_SERVICE_CONTROL",
    1053: "ERROR_SERVICE_REQUEST_TIMEOUT",
    1055: "ERROR_SERVICE_DATABASE_LOCKED",
    1056: "ERROR_SERVICE_ALREADY_RUNNING",
    1057: "ERROR_INVALID_SERVICE_ACCOUNT",
    1058: "ERROR_SERVICE_DISABLED",
    1060: "ERROR_SERVICE_DOES_NOT_EXIST",
    1061: "ERROR_SERVICE_CANNOT_ACCEPT_CTRL",
    1062: "ERROR_SERVICE_NOT_ACTIVE",
    1066: "ERROR_SERVICE_SPECIFIC_ERROR",
    1067: "ERROR_PROCESS_ABORTED",
    1068: "ERROR_SERVICE_DEPENDENCY_FAIL",
    1069: "ERROR_SERVICE_LOGON_FAILED",
    1072: "ERROR_SERVICE_MARKED_FOR_DELETE",
    1075: "ERROR_SERVICE_DEPENDENCY_DELETED",
    1077: "ERROR_SERVICE_NEVER_STARTED",
    1114: "ERROR_DLL_INIT_FAILED",
    1115: "ERROR_SHUTDOWN_IN_PROGRESS",
    1168: "ERROR_NOT_FOUND",
    1244: "ERROR_NOT_AUTHENTICATED",
    1300: "ERROR_NOT_ALL_ASSIGNED",
    1307: "ERROR_INVALID_OWNER",
    1312: "ERROR_NO_SUCH_LOGON_SESSION",
    1314: "ERROR_PRIVILEGE_NOT_HELD",
    1355: "ERROR_NO_SUCH_DOMAIN",
    1359: "ERROR_INTERNAL_ERROR",
    1450: "ERROR_NO_SYSTEM_RESOURCES",
    1722: "RPC_S_SERVER_UNAVAILABLE",
    8250: "ERROR_DS_SERVER_DOWN",
    0x80004005: "E_FAIL",
    0x80070005: "E_ACCESSDENIED",
    0x80090005: "NTE_BAD_DATA",
    0x80090008: "NTE_BAD_ALGID",
    0x80090009: "NTE_BAD_FLAGS",
    0x8009000A: "NTE_BAD_TYPE",
    0x8009000B: "NTE_BAD_KEY_STATE",
    0x8009000D: "NTE_NO_KEY",
    0x8009000F: "NTE_EXISTS",
    0x80090010: "NTE_PERM",
    0x80090011: "NTE_NOT_FOUND",
    0x80090015: "NTE_BAD_PUBLIC_KEY",
    0x80090016: "NTE_BAD_KEYSET",
    0x80090019: "NTE_KEYSET_NOT_DEF",
    0x80090020: "NTE_FAIL",
    0x80090022: "NTE_SILENT_CONTEXT",
    0x80090026: "NTE_INVALID_HANDLE",
    0x80090027: "NTE_INVALID_PARAMETER",
    0x80090028: "NTE_BUFFER_TOO_SMALL",
    0x80090029: "NTE_NOT_SUPPORTED",
    0x8009002A: "NTE_NO_MORE_ITEMS",
    0x80092002: "CRYPT_E_BAD_ENCODE",
    0x80092003: "CRYPT_E_FILE_ERROR",
    0x80092004: "CRYPT_E_NOT_FOUND",
    0x80092005: "CRYPT_E_EXISTS",
    0x80092006: "CRYPT_E_NO_PROVIDER",
    0x80092007: "CRYPT_E_SELF_SIGNED",
    0x80092009: "CRYPT_E_NO_MATCH",
    0x8009200B: "CRYPT_E_NO_KEY_PROPERTY",
    0x80092010: "CRYPT_E_REVOKED",
    0x80092012: "CRYPT_E_NO_REVOCATION_CHECK",
    0x80092013: "CRYPT_E_REVOCATION_OFFLINE",
    0x80093100: "CRYPT_E_ASN1_ERROR",
    0x80093101: "CRYPT_E_ASN1_INTERNAL",
    0x80093102: "CRYPT_E_ASN1_EOD",
    0x80093103: "CRYPT_E_ASN1_CORRUPT",
    0x80093104: "CRYPT_E_ASN1_LARGE",
    0x8009310B: "CRYPT_E_ASN1_BADTAG",
    0x80096004: "TRUST_E_CERT_SIGNATURE",
    0x80096019: "TRUST_E_BASIC_CONSTRAINTS",
    0x800B0101: "CERT_E_EXPIRED",
    0x800B0102: "CERT_E_VALIDITYPERIODNESTING",
    0x800B0103: "CERT_E_ROLE",
    0x800B0104: "CERT_E_PATHLENCONST",
    0x800B0105: "CERT_E_CRITICAL",
    0x800B0106: "CERT_E_PURPOSE",
    0x800B0107: "CERT_E_ISSUERCHAINING",
    0x800B0108: "CERT_E_MALFORMED",
    0x800B0109: "CERT_E_UNTRUSTEDROOT",
    0x800B010A: "CERT_E_CHAINING",
    0x800B010B: "TRUST_E_FAIL",
    0x800B010C: "CERT_E_REVOKED",
    0x800B010D: "CERT_E_UNTRUSTEDTESTROOT",
    0x800B010E: "CERT_E_REVOCATION_FAILURE",
    0x800B010F: "CERT_E_CN_NO_MATCH",
    0x800B0110: "CERT_E_WRONG_USAGE",
    0x800B0111: "TRUST_E_EXPLICIT_DISTRUST",
    0x800B0112: "CERT_E_UNTRUSTEDCA",
    0x800B0113: "CERT_E_INVALID_POLICY",
    0x800B0114: "CERT_E_INVALID_NAME",
}
"""Code (unsigned) to name, for every code that the documentation of our calls or a field report mentions."""


def code_name(code: int) -> str:
    """The name in winerror.h; for an HRESULT made of a Win32 code (0x8007xxxx) that code's; `""` if unknown."""
    code &= 0xFFFF_FFFF
    if code not in NAMES and code >> 16 == 0x8007:
        return NAMES.get(code & 0xFFFF, "")
    return NAMES.get(code, "")


def is_access_denied(code: int) -> bool:
    """Whether a code, of whichever of the three number spaces, means that this user lacks a right."""
    code &= 0xFFFF_FFFF
    win32 = code & 0xFFFF if code >> 16 == 0x8007 else code
    return win32 in WINDOWS_ACCESS_DENIED or code == NTE_PERM


def native_error(function: str, code: int, hint: str = "") -> NativeError:
    """The failure of a call that has no better name in our tree."""
    return NativeError(function, code, code_name(code), hint)


def binding_failure(function: str, code: int, key: BindingKey | None = None) -> MlssslError:
    """What a code of httpapi.dll means for a binding.

    1312 is not among them: it needs a diagnosis, which `bindings.py` makes.

    Args:
        function: The call that gave the code.
        code: It.
        key: The binding that it was about; None when it was about none.
    """
    cause = native_error(function, code, f"while working on {key}" if key else "")
    error: MlssslError = cause
    if is_access_denied(code):
        error = AccessDeniedError(
            "only an administrator may do this to HTTP.sys: run it in an elevated process (Run as administrator)",
            right="administrator",
        )
    elif key is not None and code == 2:
        error = BindingNotFoundError(f"nothing is bound to {key}")
    elif key is not None and code == 183:
        error = BindingExistsError(f"{key} is bound already: update the binding, or remove it first")
    elif key is not None and code == 87:
        hint = "this Windows may not know one of the options, or the certificate's key was installed moments ago"
        return native_error(function, code, f"HTTP.sys refuses the record for {key}; {hint}")
    if error is not cause:
        error.__cause__ = cause
    return error


_SERVICE_HINTS = {
    2: "its program file is missing",
    3: "its program file is missing",
    1051: "services that need it are running; stop them first",
    1052: "it does not take this control: some services cannot be stopped",
    1053: "it did not answer the service manager in time",
    1055: "the service database is locked; try again",
    1057: "its account is not valid, or its password is wrong",
    1058: "it is disabled, or a device it needs is; change its start type first",
    1061: "it cannot take a control now; wait until it has finished what it is doing",
    1068: "a service that it needs did not start",
    1069: "it could not log on to its account; see to the account's password",
    1072: "it is marked for deletion; close the Services window, or restart the computer",
    1075: "a service that it needs does not exist or is marked for deletion",
    1115: "the computer is shutting down",
}


def service_failure(function: str, code: int, name: str, state: str | None = None) -> MlssslError:
    """What a code of the service control manager means for the service `name`, last seen in `state`."""
    cause = native_error(function, code)
    error: MlssslError
    if is_access_denied(code):
        error = AccessDeniedError(
            f"this user may not do this to the service {name!r}: run it in an elevated process (Run as administrator)",
            right="administrator",
        )
    elif code == 1060:
        error = ServiceNotFoundError(
            f"there is no service {name!r}; the key name is needed, not the name that the Services window shows",
            service=name,
        )
    elif code == 123:
        error = InvalidInputError(f"{name!r} cannot be the name of a service")
    elif code in _SERVICE_HINTS:
        error = ServiceError(f"service {name!r}: {_SERVICE_HINTS[code]}", service=name, state=state)
    else:
        return cause
    error.__cause__ = cause
    return error
