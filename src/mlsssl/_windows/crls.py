"""Revocation lists in stores of Crypt32, on the level of handles."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from mlsssl._native.cdata import NULL, ffi
from mlsssl._windows.certificates import ENCODING
from mlsssl._windows.failures import crypto_failure, require
from mlsssl._windows.system_stores import END_OF_LIST

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlsssl._native.cdata import CData
    from mlsssl._windows.dlls import CrlContext, Dlls, StoreHandle

_ADD_ALWAYS = 4  # the other dispositions look for a list that this one replaces, not for the same list


def all_of(dlls: Dlls, store: StoreHandle, wanted: Callable[[bytes], bool] | None = None) -> list[bytes]:
    """The DER of the lists in an open store that are wanted; one that two of its physical stores have comes twice."""
    found: list[bytes] = []
    context = _next(dlls, store, None)
    while context is not None:
        der = _encoded(dlls, context)
        try:
            if wanted is None or wanted(der):
                found.append(der)
        except BaseException:
            dlls.crypt32.CertFreeCRLContext(context)
            raise
        context = _next(dlls, store, context)
    return found


def add(dlls: Dlls, store: StoreHandle, crl: bytes) -> None:
    """Put a list in beside the others, whether or not it is there."""
    encoded = ffi.from_buffer("BYTE[]", crl)
    nowhere = cast("CData", NULL)
    if not dlls.crypt32.CertAddEncodedCRLToStore(store, ENCODING, encoded, len(crl), _ADD_ALWAYS, nowhere):
        raise crypto_failure("CertAddEncodedCRLToStore", dlls.last_error())


def delete(dlls: Dlls, store: StoreHandle, crl: bytes) -> bool:
    """Take every copy of a list out of an open store; False when there is none."""
    copies = all_of(dlls, store).count(crl)
    for _ in range(copies):  # counted first, so that it ends even if a deletion succeeds and does nothing
        context = _next(dlls, store, None)
        while context is not None and _encoded(dlls, context) != crl:
            context = _next(dlls, store, context)
        if context is None:  # one deletion took several
            break
        # Frees the context in any case.
        require(dlls, "CertDeleteCRLFromStore", dlls.crypt32.CertDeleteCRLFromStore(context))
    return copies > 0


def _next(dlls: Dlls, store: StoreHandle, context: CrlContext | None) -> CrlContext | None:
    """The list after `context`, which is freed in any case; None after the last."""
    following = dlls.crypt32.CertEnumCRLsInStore(store, cast("CrlContext", NULL) if context is None else context)
    if following:
        return following
    code = dlls.last_error()
    if code not in END_OF_LIST:
        raise crypto_failure("CertEnumCRLsInStore", code)
    return None


def _encoded(dlls: Dlls, context: CrlContext) -> bytes:
    """A copy of the context's DER; the context is freed only when that fails."""
    try:
        return bytes(ffi.buffer(context.pbCrlEncoded, context.cbCrlEncoded))
    except BaseException:
        dlls.crypt32.CertFreeCRLContext(context)
        raise
