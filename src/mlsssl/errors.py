"""Every exception that leaves the library, in one tree under `MlssslError`.

```
MlssslError
├── InvalidInputError (ValueError)         the caller's argument
├── MalformedDataError (ValueError)        bytes we were given
│   ├── UnreadableCertificateError         … a certificate, one field of which cannot be read
│   └── WrongPasswordError                 … readable, but not with this password
├── ValidationError                        a report with errors; `.report` has every finding
├── StoreError                             a certificate store
│   ├── StoreNotFoundError  (NotFoundError)
│   └── StoreClosedError    (ClosedError)
├── BindingError                           a TLS binding
│   ├── BindingNotFoundError (NotFoundError)
│   ├── BindingExistsError   (ExistsError)
│   └── UnusableCertificateError           Windows' 1312 and kin; `.diagnosis` is ranked
├── ReservationError                       a URL reservation
│   ├── ReservationNotFoundError (NotFoundError)
│   └── ReservationExistsError   (ExistsError)
├── NotFoundError (LookupError)            whatever it is, it is not there
├── ExistsError                            whatever it is, it is there already
├── ClosedError                            used after close()
├── ServiceError                           a Windows service did not do as asked
│   └── ServiceNotFoundError (NotFoundError)
├── IssuerError                            an issuer refused, or could not be asked; `.issuer`
│   └── IssuePendingError                  … has no answer yet: ask again later
├── HookError                              a step after a change failed; the change itself is done
├── ListenerError                          the embedded TLS listener
├── EndpointError (OSError)                a server could not be asked; `.endpoint`
├── DeploymentError                        deploy or renew stopped; `.failure` says what is left
├── AccessDeniedError (PermissionError)    `.right` names what is missing
├── UnsupportedError                       this platform, Windows release or family cannot
└── NativeError (OSError)                  `.function`, `.code`, `.code_name`
```

A function fed foreign bytes raises `MalformedDataError` (or its child) and nothing else. Messages say what is
wrong and what to do next; what a program needs is in attributes, so nobody has to parse a message.
"""

from __future__ import annotations

# At run time too, so that what reads annotations (Hypothesis' `from_type`) can make every error.
import datetime as dt  # noqa: TC003
from collections.abc import Sequence  # noqa: TC003

from mlsssl._messages import foreign_text

__all__ = [
    "AccessDeniedError",
    "BindingError",
    "BindingExistsError",
    "BindingNotFoundError",
    "ClosedError",
    "DeploymentError",
    "EndpointError",
    "ExistsError",
    "HookError",
    "InvalidInputError",
    "IssuePendingError",
    "IssuerError",
    "ListenerError",
    "MalformedDataError",
    "MlssslError",
    "NativeError",
    "NotFoundError",
    "ReservationError",
    "ReservationExistsError",
    "ReservationNotFoundError",
    "ServiceError",
    "ServiceNotFoundError",
    "StoreClosedError",
    "StoreError",
    "StoreNotFoundError",
    "UnreadableCertificateError",
    "UnsupportedError",
    "UnusableCertificateError",
    "ValidationError",
    "WrongPasswordError",
]


WINDOWS_ACCESS_DENIED = frozenset({5, 740, 1300, 1307, 1314})
"""Win32 codes that all mean that this user lacks a right. Private.

winerror.h: ERROR_ACCESS_DENIED, _ELEVATION_REQUIRED, _NOT_ALL_ASSIGNED, _INVALID_OWNER (what making something for an
owner that this user may not name is answered, KB 245153), _PRIVILEGE_NOT_HELD. Python makes an OSError with EINVAL, not
a PermissionError, of all but the first.
"""


class MlssslError(Exception):
    """The root: catching it catches everything that this library raises on purpose.

    The message is one printable line (of `ValidationError` and `DeploymentError`, several) without private keys,
    whatever was given or read: messages are printed and logged.
    """

    _cleaned = staticmethod(foreign_text.message)

    def __init__(self, *args: object) -> None:
        super().__init__(*(self._cleaned(one) if isinstance(one, str) else one for one in args))

    def _render_traceback_(self) -> list[str]:
        # IPython's hook. A message below sixty lines of our files is not seen; `%debug` still has every frame.
        from mlsssl._messages.cell_traceback import in_a_cell

        return in_a_cell(self)


class InvalidInputError(MlssslError, ValueError):
    """An argument that cannot mean anything here; nothing was read or changed."""


class MalformedDataError(MlssslError, ValueError):
    """Bytes or text from elsewhere that are not what they should be."""


class UnreadableCertificateError(MalformedDataError):
    """A certificate of which a field cannot be read, not even as OpenSSL does; the message names the field."""


class WrongPasswordError(MalformedDataError):
    """The file is encrypted, and this password does not open it."""


class ValidationError(MlssslError):
    """A report with at least one error; the message has a line for each.

    Attributes:
        report: The `mlsssl.Report` with every finding, not only the errors.
    """

    _cleaned = staticmethod(foreign_text.message_lines)

    def __init__(self, message: str, *, report: object) -> None:
        super().__init__(message)
        self.report = report


class StoreError(MlssslError):
    """Something about a certificate store."""


class BindingError(MlssslError):
    """Something about a TLS binding."""


class NotFoundError(MlssslError, LookupError):
    """The thing asked for is not there."""


class ExistsError(MlssslError):
    """The thing to be added is there already."""


class ClosedError(MlssslError):
    """Used after `close()`."""


class StoreNotFoundError(StoreError, NotFoundError):
    """No such store, or no such certificate in it."""


class StoreClosedError(StoreError, ClosedError):
    """The store was closed."""


class BindingNotFoundError(BindingError, NotFoundError):
    """Nothing is bound to this key (Windows: 2, ERROR_FILE_NOT_FOUND)."""


class BindingExistsError(BindingError, ExistsError):
    """Something is bound to this key already (Windows: 183, ERROR_ALREADY_EXISTS)."""


class UnusableCertificateError(BindingError):
    """HTTP.sys cannot use the certificate: Windows' 1312, ERROR_NO_SUCH_LOGON_SESSION, and its kin.

    Attributes:
        diagnosis: What the checks found, likeliest cause first; each item is a `mlsssl.Diagnosis`. Empty only
            when every known cause was checked and none holds.
    """

    def __init__(self, message: str, *, diagnosis: Sequence[object] = ()) -> None:
        super().__init__(message)
        self.diagnosis = tuple(diagnosis)


class ReservationError(MlssslError):
    """Something about a URL reservation."""


class ReservationNotFoundError(ReservationError, NotFoundError):
    """This prefix is not reserved (Windows: 2, ERROR_FILE_NOT_FOUND)."""


class ReservationExistsError(ReservationError, ExistsError):
    """This prefix is reserved already (Windows: 183, ERROR_ALREADY_EXISTS)."""


class ServiceError(MlssslError):
    """A service refused, failed or got stuck.

    Attributes:
        service: The service's key name.
        state: The state it was last seen in, in Windows' words (`"STOP_PENDING"`), or None when not known.
    """

    def __init__(self, message: str, *, service: str, state: str | None = None) -> None:
        super().__init__(message)
        self.service = service
        self.state = state


class ServiceNotFoundError(ServiceError, NotFoundError):
    """No service of this key name (Windows: 1060)."""


class IssuerError(MlssslError):
    """An issuer refused a request, gave what does not answer it, or could not be asked.

    Attributes:
        issuer: The issuer's name.
    """

    def __init__(self, message: str, *, issuer: str) -> None:
        super().__init__(message)
        self.issuer = issuer


class IssuePendingError(IssuerError):
    """An issuer has no answer yet, since a person has to approve the request, say. The next try goes on with it.

    Attributes:
        not_before: When to ask again at the earliest, aware; None when the issuer did not say.
    """

    def __init__(self, message: str, *, issuer: str, not_before: dt.datetime | None = None) -> None:
        super().__init__(message, issuer=issuer)
        self.not_before = not_before


class ListenerError(MlssslError):
    """A listener could not start or answer: the embedded machine's, or the one that answers a challenge."""


class EndpointError(MlssslError, OSError):
    """A server could not be asked for its certificate: no such host, no connection, no TLS, or no answer in time.

    Attributes:
        endpoint: The `host:port` that was asked.
    """

    def __init__(self, message: str, *, endpoint: str) -> None:
        super().__init__(message)
        self.endpoint = endpoint


class HookError(MlssslError):
    """A step after a change (`hooks=`, `--after`) did not do its work: a program failed or took too long, say.

    `deploy` and `renew` turn it, and whatever else a step raises, into the finding `after-failed`; with
    `after_failure="undo"` it is the `__cause__` of the `DeploymentError`, with what the step raised as its own.
    """


class DeploymentError(MlssslError):
    """`deploy` or `renew` stopped before its end.

    Attributes:
        failure: A `mlsssl.Failure`: what was done, what was undone, and what a person must do, if anything.
    """

    _cleaned = staticmethod(foreign_text.message_lines)

    def __init__(self, message: str, *, failure: object) -> None:
        super().__init__(message)
        self.failure = failure


class AccessDeniedError(MlssslError, PermissionError):
    """The caller lacks a right (Windows: 5, ERROR_ACCESS_DENIED, and the codes for a privilege).

    Attributes:
        right: What is missing, in words: `"administrator"`, or the file permission.
    """

    def __init__(self, message: str, *, right: str) -> None:
        super().__init__(message)
        self.right = right


class UnsupportedError(MlssslError):
    """This platform, Windows release, binding family or optional extra cannot do it."""


class NativeError(MlssslError, OSError):
    """A call of the operating system failed in a way that has no better name here.

    Attributes:
        function: The function that failed (`"HttpSetServiceConfiguration"`).
        code: Its code as an unsigned 32-bit number (`0x80092004`, `87`).
        code_name: The code's name in the Windows headers (`"ERROR_INVALID_PARAMETER"`), or `""` if unknown.
    """

    def __init__(self, function: str, code: int, code_name: str = "", hint: str = "") -> None:
        self.function = function
        self.code = code & 0xFFFF_FFFF
        self.code_name = code_name
        shown = f"{self.code:#010x}" if self.code > 0xFFFF else str(self.code)
        named = f" ({code_name})" if code_name else ""
        text = f"{function} failed with code {shown}{named}"
        super().__init__(f"{text}: {hint}" if hint else text)

    def __reduce__(self) -> tuple[type[NativeError], tuple[str, int, str]]:
        # OSError pickles its args, which are the finished text here.
        return (type(self), (self.function, self.code, self.code_name))
