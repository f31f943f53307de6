"""The seam to `cryptography` for foreign bytes: its warnings are dropped, whatever it raises becomes our error.

It reads lazily, and raises over odd content whatever happens to come up: KeyError for an unknown TLS feature,
InternalError for a short Ed25519 key, InvalidVersion, a Rust panic, which is not even an `Exception`. So nothing here
lists those classes: every reading of foreign bytes and of a foreign certificate's fields goes through `call`, `read`
or `read_or`, with a function of `cryptography` itself (an attribute by `attrgetter`).
"""

from __future__ import annotations

import builtins
from operator import attrgetter
from types import FunctionType
from typing import TYPE_CHECKING, ParamSpec, TypeVar, cast

from cryptography.exceptions import UnsupportedAlgorithm

from mlsssl.errors import MalformedDataError, MlssslError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

P = ParamSpec("P")
R = TypeVar("R")
D = TypeVar("D")

DIFFIE_HELLMAN = ("1.2.840.113549.1.3.1", "1.2.840.10046.2.1")
"""The object identifiers of PKCS#3 and ANSI X9.42."""

UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm)
"""What `call` raises over foreign bytes, and nothing else; only key readers tell them apart."""


def _pass_on(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    return function(*args, **kwargs)


# Where a module's `__name__` is None, CPython takes itself to be shutting down and drops a warning before it looks at
# any filter (warn_explicit in Python/_warnings.c, 3.10 to 3.14). `warnings.catch_warnings` would do it for every thread
# of the process. With `-W error` a certificate from elsewhere would otherwise end the program.
_silently: Callable[..., object] = FunctionType(_pass_on.__code__, {"__name__": None, "__builtins__": builtins})


def call(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """What the function returns; no warning of its own comes out.

    Raises:
        ValueError, TypeError, UnsupportedAlgorithm: as the function does; ValueError for everything else it raises.
        MlssslError, MemoryError: as the function does.
    """
    try:
        return cast("R", _silently(function, *args, **kwargs))
    except (MlssslError, MemoryError, *UNREADABLE):
        raise
    except BaseException as error:
        # pyo3's PanicException cannot be imported; KeyboardInterrupt and SystemExit are nobody's malformed bytes.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise ValueError(f"{type(error).__name__}: {reason(error)}") from None


def read(what: str, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """As `call`, for callers that tell nothing apart; `what` begins the message: `"this is no certificate"`.

    Raises:
        MalformedDataError: it raised.
        MlssslError, MemoryError: as the function does.
    """
    try:
        return call(function, *args, **kwargs)
    except MlssslError:
        raise
    except UNREADABLE as error:
        raise MalformedDataError(f"{what}: {reason(error)}") from None


def read_or(default: D, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R | D:
    """As `read`, with `default` for what cannot be read."""
    try:
        return call(function, *args, **kwargs)
    except UNREADABLE:  # our own MalformedDataError is a ValueError
        return default


def reason(error: BaseException) -> str:
    """The first line of what an error says, at most 200 characters; its class where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


extensions_of = attrgetter("extensions")
"""For `read` and `read_or`: the extensions of a certificate, request or revocation list."""

serial_of = attrgetter("serial_number")
"""Likewise the serial number, which `cryptography` warns of where it is not positive."""


def public_key_of(certificate: x509.Certificate) -> CertificatePublicKeyTypes:
    """The public key. `MalformedDataError` when it cannot be read, or is a Diffie-Hellman key (`check_public_kind`)."""
    return read("this certificate's public key cannot be read", key_of, certificate)


def key_of(certificate: x509.Certificate) -> CertificatePublicKeyTypes:
    """For `call` and `read_or`: the public key of a certificate, as cryptography reads it.

    Raises:
        UnsupportedAlgorithm: as `check_public_kind`.
        ValueError, TypeError, UnsupportedAlgorithm, InternalError: cryptography's word on an odd key.
    """
    check_public_kind(certificate.public_key_algorithm_oid.dotted_string)
    return certificate.public_key()


def check_public_kind(algorithm: str) -> None:
    """Refuse to have a public key read that is dear and good for nothing.

    Raises:
        UnsupportedAlgorithm: it is for Diffie-Hellman. OpenSSL computes with it on reading, seconds at 16 384 bits,
            and nothing can be signed or served with it.
    """
    if algorithm in DIFFIE_HELLMAN:
        raise UnsupportedAlgorithm("a Diffie-Hellman key, which signs and serves nothing")


def name_text(name: x509.Name) -> str:
    """A name as RFC 4514 text; `(unreadable name)` where it has none."""
    return read_or("(unreadable name)", name.rfc4514_string)
