"""System stores of Crypt32 on the level of handles: open, look, change, commit, close."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, cast

from mlsssl._messages.foreign_text import clean_logger
from mlsssl._native.cdata import NULL, ffi, text_at, wide
from mlsssl._windows import certificates
from mlsssl._windows.certificates import ENCODING
from mlsssl._windows.failures import (
    CRYPT_E_EXISTS,
    CRYPT_E_NOT_FOUND,
    ERROR_FILE_NOT_FOUND,
    closing,
    crypto_failure,
    require,
)
from mlsssl.errors import MlssslError, StoreNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeVar

    from mlsssl._native.cdata import CData
    from mlsssl._windows.dlls import CertContext, Dlls, StoreHandle
    from mlsssl.values import Location, Thumbprint

    ResultT = TypeVar("ResultT")

# wincrypt.h
_PROVIDER_SYSTEM, _PROVIDER_REGISTRY = 10, 13  # CERT_STORE_PROV_SYSTEM_W, CERT_STORE_PROV_SYSTEM_REGISTRY_W
_LOCATIONS: dict[Location, int] = {"CurrentUser": 0x10000, "LocalMachine": 0x20000}
_READONLY, _OPEN_EXISTING, _ENUM_ARCHIVED = 0x8000, 0x4000, 0x200
_COMMIT, _FORCE = 3, 1
_FIND_SHA1_HASH = 0x10000
_ADD_NEW = 1
END_OF_LIST = (0, CRYPT_E_NOT_FOUND, 18)  # 18: ERROR_NO_MORE_FILES, of external stores
_NAME_LIMIT = 1024  # longer than any name that a registry key can have (255)


def names(dlls: Dlls, location: Location) -> list[str]:
    """The stores that exist there, sorted without case."""
    found: dict[str, str] = {}

    def note(name: CData, *_rest: object) -> int:
        text = text_at(name, _NAME_LIMIT)
        found.setdefault(text.casefold(), text)
        return 1  # go on

    callback = ffi.callback("PFN_CERT_ENUM_SYSTEM_STORE", note)
    if not dlls.crypt32.CertEnumSystemStore(_LOCATIONS[location], cast("CData", NULL), cast("CData", NULL), callback):
        code = dlls.last_error()
        if code != ERROR_FILE_NOT_FOUND:  # a user who never had a store
            raise crypto_failure("CertEnumSystemStore", code, location)
    return [found[key] for key in sorted(found)]


@contextlib.contextmanager
def opened(
    dlls: Dlls,
    name: str,
    location: Location,
    *,
    write: bool = False,
    create: bool = False,
    registry_only: bool = False,
) -> Iterator[StoreHandle]:
    """A system store, committed (with `write`) and closed at the end.

    It is a collection of physical stores; with `registry_only` just the one in the registry, which is where every
    change goes, without those of group policy, or of LocalMachine below CurrentUser.

    A handle is held for one operation only: an open store is a snapshot, so one held for long would neither show
    what others change nor, on systems that write at close, keep what we changed if the process dies.

    Raises:
        StoreNotFoundError: it does not exist, and `create` is False.
        AccessDeniedError: this user may not, with `write`.
    """
    flags = _LOCATIONS[location] | _ENUM_ARCHIVED  # archived ones are told apart here, not hidden
    flags |= 0 if write or create else _READONLY
    flags |= 0 if create else _OPEN_EXISTING  # without it a mistyped name would be a new store
    provider = _PROVIDER_REGISTRY if registry_only else _PROVIDER_SYSTEM
    wide_name = wide(name)
    store = dlls.crypt32.CertOpenStore(
        ffi.cast("char *", provider), 0, cast("CData", NULL), flags, ffi.cast("void *", wide_name)
    )
    if not store:
        where = f"{location}\\{name}"
        raise crypto_failure("CertOpenStore", dlls.last_error(), where, store=where)
    with closing_store(dlls, store):
        yield store
        if write or create:
            # Registry stores of Windows write each change at once and may answer that they have nothing to
            # commit; other implementations write here or at close. So the answer says nothing, and whoever
            # changed something looks at it again through a fresh handle. Forced, because changing a property of
            # a stored context need not mark its store as changed.
            dlls.crypt32.CertControlStore(store, _FORCE, _COMMIT, cast("CData", NULL))


def look_everywhere(
    dlls: Dlls, look: Callable[[StoreHandle], ResultT]
) -> tuple[list[tuple[Location, str, ResultT]], dict[str, MlssslError]]:
    """What `look` makes of every store of this computer; and, by name, why it was not asked about the others.

    A store may not open although it exists: one of a domain whose controller is away (UserDS), one whose registry key
    is denied. That is no reason to do without the others, so it is said to the log `mlsssl`, and whoever deletes
    something because nobody needs it looks at the second value.
    """
    results: list[tuple[Location, str, ResultT]] = []
    unread: dict[str, MlssslError] = {}
    for location in _LOCATIONS:
        try:
            listed = names(dlls, location)
        except MlssslError as error:
            unread[location] = error
            continue
        for name in listed:
            try:
                with opened(dlls, name, location) as store:
                    result = look(store)
            except StoreNotFoundError:  # removed since it was listed
                continue
            except MlssslError as error:
                unread[f"{location}\\{name}"] = error
            else:
                results.append((location, name, result))
    if unread:
        for where, why in unread.items():
            clean_logger("mlsssl").warning("%s was not looked into: %s", where, why)
    return results, unread


def closing_store(dlls: Dlls, store: StoreHandle) -> contextlib.AbstractContextManager[None]:
    """Close `store` at the end."""
    return closing(lambda: require(dlls, "CertCloseStore", dlls.crypt32.CertCloseStore(store, 0)))


@contextlib.contextmanager
def found(dlls: Dlls, store: StoreHandle, thumbprint: Thumbprint) -> Iterator[CertContext | None]:
    """The context of a certificate in an open store, freed at the end; None when it is not there."""
    context = _find(dlls, store, thumbprint)
    try:
        yield context
    finally:
        if context is not None:
            certificates.free(dlls, context)


def all_of(dlls: Dlls, store: StoreHandle, look: Callable[[CertContext], ResultT]) -> list[ResultT]:
    """What `look` makes of every certificate, archived ones included."""
    results: list[ResultT] = []
    context = cast("CertContext", NULL)
    while True:
        context = dlls.crypt32.CertEnumCertificatesInStore(store, context)  # frees the one before
        if not context:
            code = dlls.last_error()
            if code not in END_OF_LIST:
                raise crypto_failure("CertEnumCertificatesInStore", code)
            return results
        try:
            results.append(look(context))
        except BaseException:
            certificates.free(dlls, context)
            raise


def add_new(dlls: Dlls, store: StoreHandle, context: CertContext) -> bool:
    """Put a copy of a context with its properties in; False when the certificate is there already."""
    if dlls.crypt32.CertAddCertificateContextToStore(store, context, _ADD_NEW, cast("CData", NULL)):
        return True
    code = dlls.last_error()
    if code == CRYPT_E_EXISTS:
        return False
    raise crypto_failure("CertAddCertificateContextToStore", code)


def delete(dlls: Dlls, store: StoreHandle, thumbprint: Thumbprint) -> bool:
    """Take a certificate out; False when it is not there."""
    context = _find(dlls, store, thumbprint)
    if context is None:
        return False
    # Frees the context in any case.
    require(dlls, "CertDeleteCertificateFromStore", dlls.crypt32.CertDeleteCertificateFromStore(context))
    return True


def _find(dlls: Dlls, store: StoreHandle, thumbprint: Thumbprint) -> CertContext | None:
    digest = ffi.from_buffer("BYTE[]", bytes(thumbprint))
    blob = ffi.new("CRYPT_DATA_BLOB *")
    blob.cbData, blob.pbData = len(thumbprint), digest
    context = dlls.crypt32.CertFindCertificateInStore(store, ENCODING, 0, _FIND_SHA1_HASH, blob, NULL)
    if context:
        return context
    code = dlls.last_error()
    if code != CRYPT_E_NOT_FOUND:
        raise crypto_failure("CertFindCertificateInStore", code)
    return None
