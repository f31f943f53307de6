"""What codes of crypt32, ncrypt and advapi32 mean for stores and keys; the names are in `codes.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsssl._windows.codes import code_name, is_access_denied, native_error
from mlsssl.errors import AccessDeniedError, NativeError, StoreNotFoundError

if TYPE_CHECKING:
    from mlsssl.errors import MlssslError

ERROR_FILE_NOT_FOUND, ERROR_MORE_DATA, ERROR_NO_MORE_ITEMS = 2, 234, 259
NTE_NO_KEY, NTE_NOT_FOUND = 0x8009000D, 0x80090011
NTE_BAD_KEYSET, NTE_KEYSET_NOT_DEF = 0x80090016, 0x80090019
NTE_NOT_SUPPORTED, NTE_NO_MORE_ITEMS = 0x80090029, 0x8009002A
CRYPT_E_NOT_FOUND, CRYPT_E_EXISTS = 0x80092004, 0x80092005

NO_SUCH_KEY = frozenset({NTE_BAD_KEYSET, NTE_NO_KEY, NTE_NOT_FOUND, NTE_KEYSET_NOT_DEF, ERROR_FILE_NOT_FOUND})
"""There is no key of that name. NTE_KEYSET_NOT_DEF is the older providers' word for an unknown provider."""


def crypto_failure(function: str, code: int, hint: str = "", *, store: str | None = None) -> MlssslError:
    """The error for a code; the `NativeError` with function and code is the error itself or its cause.

    Args:
        function: The call that gave the code.
        code: It.
        hint: What the call was about.
        store: The store that was being opened, location first; None for every other call.
    """
    code &= 0xFFFF_FFFF
    cause = native_error(function, code, hint)
    error: MlssslError = cause
    if is_access_denied(code):
        error = AccessDeniedError(
            f"this user may not do this{': ' + hint if hint else ''}; "
            "run it in an elevated process (Run as administrator)",
            right="administrator",
        )
    elif store is not None and code == ERROR_FILE_NOT_FOUND:
        error = StoreNotFoundError(
            f"there is no store {store} on this computer; Windows makes one when it is first opened with create=True"
        )
    if error is not cause:
        error.__cause__ = cause
    return error


def in_words(error: BaseException) -> str:
    """Function and code of a failed call, for `KeyState.problem`: `NCryptOpenKey: 0x80090016 (NTE_BAD_KEYSET)`."""
    cause = error if isinstance(error, NativeError) else error.__cause__
    if not isinstance(cause, NativeError):
        return str(error)
    name = code_name(cause.code)
    shown = f"{cause.code:#010x}" if cause.code > 0xFFFF else str(cause.code)
    return f"{cause.function}: {shown}{f' ({name})' if name else ''}"


def code_of(error: BaseException) -> int:
    """The code of the call behind an error; 0 when no call is behind it."""
    cause = error if isinstance(error, NativeError) else error.__cause__
    return cause.code if isinstance(cause, NativeError) else 0
