"""Certificates as Crypt32 has them (contexts): their bytes and properties as plain values, and back."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from mlsssl._native.cdata import NULL, Buffer, ffi, wide
from mlsssl._windows.failures import CRYPT_E_NOT_FOUND, ERROR_MORE_DATA, crypto_failure, require
from mlsssl.values import Thumbprint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlsssl._native.cdata import CData
    from mlsssl._windows.dlls import CertContext, Dlls

ENCODING = 0x10001  # X509_ASN_ENCODING | PKCS_7_ASN_ENCODING

# wincrypt.h, CERT_*_PROP_ID
KEY_PROV_INFO, FRIENDLY_NAME, ARCHIVED, RENEWAL = 2, 11, 19, 64

MACHINE_KEYSET = 0x20  # CRYPT_MACHINE_KEYSET and NCRYPT_MACHINE_KEY_FLAG are the same bit


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyLink:
    """What CRYPT_KEY_PROV_INFO says: where a certificate's private key is to be found.

    Attributes:
        container: The key's name.
        provider: The provider's name.
        provider_type: PROV_RSA_FULL 1, PROV_RSA_AES 24, ...; 0 says that the provider is a CNG one.
        flags: `MACHINE_KEYSET` among others.
        key_spec: AT_KEYEXCHANGE 1 or AT_SIGNATURE 2; 0 with CNG.
    """

    container: str
    provider: str
    provider_type: int
    flags: int
    key_spec: int

    @property
    def is_cng(self) -> bool:
        """Whether CNG has the key."""
        return self.provider_type == 0

    @property
    def is_machine(self) -> bool:
        """Whether the key is said to lie among the machine's keys."""
        return bool(self.flags & MACHINE_KEYSET)

    @property
    def place(self) -> tuple[str, bool, bool]:
        """The same for two links to one container. Names are compared as Windows' file system does.

        Not by provider: the older ones share one folder of containers, and so do CNG's software providers.
        """
        return self.container.casefold(), self.is_cng, self.is_machine


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCertificate:
    """One certificate in a store with the properties that matter here.

    Attributes:
        der: The certificate.
        link: Where its key is said to be, or None.
        friendly_name: The name in lists, or None.
        archived: Whether listings leave it out.
        renewed_by: SHA-1 of its successor, or None.
    """

    der: bytes
    link: KeyLink | None
    friendly_name: str | None
    archived: bool
    renewed_by: Thumbprint | None


def free(dlls: Dlls, context: CertContext) -> None:
    """Let go of one reference. The documentation knows no failure: the result is always TRUE."""
    dlls.crypt32.CertFreeCertificateContext(context)


@contextlib.contextmanager
def created(dlls: Dlls, der: bytes) -> Iterator[CertContext]:
    """A context of its own for DER bytes, freed at the end."""
    encoded = ffi.from_buffer("BYTE[]", der)
    context = dlls.crypt32.CertCreateCertificateContext(ENCODING, encoded, len(der))
    require(dlls, "CertCreateCertificateContext", context, "Windows cannot read this certificate")
    try:
        yield context
    finally:
        free(dlls, context)


def encoded(context: CertContext) -> bytes:
    """A copy of the context's DER."""
    return bytes(ffi.buffer(context.pbCertEncoded, context.cbCertEncoded))


def read(dlls: Dlls, context: CertContext) -> StoredCertificate:
    """Everything that matters about a context, copied."""
    name = _property(dlls, context, FRIENDLY_NAME)
    renewed_by = _property(dlls, context, RENEWAL)
    return StoredCertificate(
        der=encoded(context),
        link=key_link(dlls, context),
        friendly_name=(name.text_at(ffi.cast("WCHAR *", name.memory)) if name is not None else None) or None,
        archived=_property(dlls, context, ARCHIVED) is not None,
        renewed_by=_thumbprint(renewed_by),
    )


def is_archived(dlls: Dlls, context: CertContext) -> bool:
    """Whether listings leave it out."""
    return _property(dlls, context, ARCHIVED) is not None


def key_link(dlls: Dlls, context: CertContext) -> KeyLink | None:
    """Where the context's private key is said to be, or None."""
    buffer = _property(dlls, context, KEY_PROV_INFO)
    if buffer is None:
        return None
    info = buffer.view("CRYPT_KEY_PROV_INFO")
    return KeyLink(
        container=buffer.text_at(info.pwszContainerName) or "",
        provider=buffer.text_at(info.pwszProvName) or "",
        provider_type=info.dwProvType,
        flags=info.dwFlags,
        key_spec=info.dwKeySpec,
    )


def set_key_link(dlls: Dlls, context: CertContext, link: KeyLink) -> None:
    """Name the key that belongs to a context."""
    container, provider = wide(link.container), wide(link.provider)
    info = ffi.new("CRYPT_KEY_PROV_INFO *")
    info.pwszContainerName, info.pwszProvName = container, provider
    info.dwProvType, info.dwFlags, info.dwKeySpec = link.provider_type, link.flags, link.key_spec
    _set(dlls, context, KEY_PROV_INFO, info)


def set_friendly_name(dlls: Dlls, context: CertContext, name: str | None) -> None:
    """Set or, with None, take away the name in lists."""
    # The blob holds UTF-16 with its NUL, and cbData counts bytes with the NUL.
    _set_blob(dlls, context, FRIENDLY_NAME, None if name is None else bytes(ffi.buffer(wide(name))))


def set_archived(dlls: Dlls, context: CertContext, archived: bool) -> None:
    """Hide from or show in listings; an empty blob is what the property holds."""
    _set_blob(dlls, context, ARCHIVED, b"" if archived else None)


def set_renewed_by(dlls: Dlls, context: CertContext, newer: Thumbprint | None) -> None:
    """Set or take away the SHA-1 of the successor."""
    _set_blob(dlls, context, RENEWAL, newer)


def _thumbprint(buffer: Buffer | None) -> Thumbprint | None:
    if buffer is None or buffer.size != 20:  # other lengths are somebody else's idea of the property
        return None
    return Thumbprint(bytes(ffi.buffer(buffer.memory, 20)))


def _property(dlls: Dlls, context: CertContext, number: int) -> Buffer | None:
    """A property's bytes in memory of their own; pointers in it lead into it. None when it is not set."""
    function = "CertGetCertificateContextProperty"
    size = ffi.new("DWORD *")
    buffer: Buffer | None = None
    while True:
        memory = cast("CData", NULL) if buffer is None else buffer.memory
        done = dlls.crypt32.CertGetCertificateContextProperty(context, number, memory, size)
        if done and buffer is not None:
            return buffer
        if not done and (code := dlls.last_error()) != ERROR_MORE_DATA:
            if code == CRYPT_E_NOT_FOUND:
                return None
            raise crypto_failure(function, code, f"property {number}")
        buffer = Buffer(function, size[0])  # the first answer is its size; a later one, that it grew in between


def _set_blob(dlls: Dlls, context: CertContext, number: int, data: bytes | None) -> None:
    if data is None:
        _set(dlls, context, number, cast("CData", NULL))
        return
    kept = ffi.from_buffer("BYTE[]", data)
    blob = ffi.new("CRYPT_DATA_BLOB *")
    blob.cbData = len(data)
    blob.pbData = kept if data else NULL
    _set(dlls, context, number, blob)


def _set(dlls: Dlls, context: CertContext, number: int, value: CData) -> None:
    done = dlls.crypt32.CertSetCertificateContextProperty(context, number, 0, value)
    require(dlls, "CertSetCertificateContextProperty", done, f"property {number}")
