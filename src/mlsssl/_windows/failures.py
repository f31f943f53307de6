"""What the codes of Windows' calls mean, as errors of ours: for bindings, services, stores and keys.

A code without a better name in our tree stays a `NativeError`; where there is one, the `NativeError` (function, code,
name) is its `__cause__`, so the failing call can always be read off.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from mlsssl._native.codes import code_name, is_access_denied, native_error
from mlsssl.errors import (
    AccessDeniedError,
    BindingExistsError,
    BindingNotFoundError,
    ExistsError,
    InvalidInputError,
    NativeError,
    NotFoundError,
    ReservationExistsError,
    ReservationNotFoundError,
    ServiceError,
    ServiceNotFoundError,
    StoreNotFoundError,
)
from mlsssl.values import store_hint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlsssl._formats.binding_keys import BindingKey
    from mlsssl._formats.url_prefixes import UrlPrefix
    from mlsssl._windows.dlls import LastError
    from mlsssl.errors import MlssslError

ERROR_FILE_NOT_FOUND, ERROR_MORE_DATA, ERROR_NO_MORE_ITEMS = 2, 234, 259
NTE_NO_KEY, NTE_NOT_FOUND = 0x8009000D, 0x80090011
NTE_BAD_KEYSET, NTE_KEYSET_NOT_DEF = 0x80090016, 0x80090019
NTE_NOT_SUPPORTED, NTE_NO_MORE_ITEMS = 0x80090029, 0x8009002A
CRYPT_E_NOT_FOUND, CRYPT_E_EXISTS = 0x80092004, 0x80092005

NO_SUCH_KEY = frozenset({NTE_BAD_KEYSET, NTE_NO_KEY, NTE_NOT_FOUND, NTE_KEYSET_NOT_DEF, ERROR_FILE_NOT_FOUND})
"""There is no key of that name. NTE_KEYSET_NOT_DEF is the older providers' word for an unknown provider."""


def binding_failure(function: str, code: int, key: BindingKey | None = None) -> MlssslError:
    """What a code of httpapi.dll means for a binding.

    1312 is not among them: it needs a diagnosis, which `bindings.py` makes.
    """
    cause = native_error(function, code, f"while working on {key}" if key else "")
    error: MlssslError = cause
    if is_access_denied(code):
        error = _only_administrators()
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


def _only_administrators() -> AccessDeniedError:
    return AccessDeniedError(
        "only an administrator may do this to HTTP.sys: run it in an elevated process (Run as administrator)",
        right="administrator",
    )


_NO_ACCESS_LIST = frozenset({1305, 1336, 1337, 1338})
"""ERROR_UNKNOWN_REVISION, _INVALID_ACL, _INVALID_SID, _INVALID_SECURITY_DESCR: what reading SDDL may be answered."""


def reservation_failure(function: str, code: int, url: UrlPrefix | None) -> MlssslError:
    """What a code of httpapi.dll means for a URL reservation; None: for all of them."""
    cause = native_error(function, code, f"while working on {url}" if url else "")
    error: MlssslError = cause
    if is_access_denied(code):
        error = _only_administrators()
    elif url is not None and code == 2:
        error = ReservationNotFoundError(f"{url} is not reserved")
    elif url is not None and code == 183:
        error = ReservationExistsError(f"{url} is reserved already: update the reservation, or remove it first")
    elif url is not None and code in _NO_ACCESS_LIST:
        error = InvalidInputError(f"Windows does not take the access list of {url} for one: look at its SDDL")
    elif url is not None and code == 87:
        hint = "the prefix or the access list is not as it wants them, such as an SDDL with an unknown word"
        return native_error(function, code, f"HTTP.sys refuses the reservation of {url}; {hint}")
    if error is not cause:
        error.__cause__ = cause
    return error


def setting_failure(function: str, code: int, what: str) -> MlssslError:
    """What a code of httpapi.dll means for a setting: `what` it is, in words."""
    cause = native_error(function, code, f"while working on {what}")
    error: MlssslError = cause
    if is_access_denied(code):
        error = _only_administrators()
    elif code == 2:
        error = NotFoundError(f"HTTP.sys is not configured with {what}")
    elif code == 183:
        error = ExistsError(f"HTTP.sys is configured with {what} already")
    elif code == 87:
        return native_error(function, code, f"HTTP.sys refuses {what}; this Windows may not know it")
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


def crypto_failure(function: str, code: int, hint: str = "", *, store: str | None = None) -> MlssslError:
    """What a code of crypt32.dll, ncrypt.dll or advapi32.dll means; with `store` (location first) for opening it."""
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
        usual = "; Windows makes one when it is first opened with create=True"
        told = store_hint(store.rpartition("\\")[2]) or usual
        error = StoreNotFoundError(f"there is no store {store} on this computer{told}")
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


def require(dlls: LastError, function: str, done: object, hint: str = "") -> None:
    """Raise `crypto_failure` unless a call answered something: 0 and NULL mean failure."""
    if not done:
        raise crypto_failure(function, dlls.last_error(), hint)


@contextlib.contextmanager
def closing(close: Callable[[], None]) -> Iterator[None]:
    """Call `close` at the end. What it raises counts, unless something else is being raised already."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(NativeError):
            close()
        raise
    close()
