"""Certificates with real keys in Windows' stores, made through ctypes: the tests' own way, apart from the library's.

The older provider, not CNG: Wine's CNG reports success and keeps nothing. The key lies in a machine container that the
certificate names in its KEY_PROV_INFO, which is what HTTP.sys needs. Importable everywhere, usable on Windows.
"""

from __future__ import annotations

import contextlib
import ctypes
import datetime as dt
import struct
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Iterator

PROVIDER = "Microsoft Enhanced RSA and AES Cryptographic Provider"
PROV_RSA_AES = 24
AT_KEYEXCHANGE = 1
CRYPT_MACHINE_KEYSET = 0x20
CRYPT_SILENT = 0x40
CRYPT_NEWKEYSET = 0x8
CRYPT_DELETEKEYSET = 0x10
X509_ASN_ENCODING = 1
CERT_KEY_PROV_INFO_PROP_ID = 2
CERT_STORE_PROV_SYSTEM_W = 10
CERT_STORE_ADD_NEW = 1
CERT_STORE_CTRL_COMMIT = 3
CERT_FIND_SHA1_HASH = 0x10000
LOCATIONS = {"CurrentUser": 0x10000, "LocalMachine": 0x20000}


class KeyProvInfo(ctypes.Structure):
    """CRYPT_KEY_PROV_INFO."""

    _fields_ = (
        ("container", ctypes.c_wchar_p),
        ("provider", ctypes.c_wchar_p),
        ("provider_type", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("parameter_count", ctypes.c_uint32),
        ("parameters", ctypes.c_void_p),
        ("key_spec", ctypes.c_uint32),
    )


class Blob(ctypes.Structure):
    """CRYPT_DATA_BLOB."""

    _fields_ = (("length", ctypes.c_uint32), ("data", ctypes.c_char_p))


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A new key with its self-signed certificate."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    @property
    def thumbprint(self) -> bytes:
        """SHA-1 of the certificate: 20 bytes."""
        return self.certificate.fingerprint(hashes.SHA1())

    @property
    def der(self) -> bytes:
        """The certificate's DER."""
        return self.certificate.public_bytes(serialization.Encoding.DER)


def make(name: str = "server.example") -> Made:
    """Make an RSA key (the one kind that the older provider takes) and a certificate that it signs itself."""
    key = rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return Made(key=key, certificate=certificate)


def private_key_blob(key: rsa.RSAPrivateKey) -> bytes:
    """Return a PRIVATEKEYBLOB: BLOBHEADER, RSAPUBKEY, then the numbers, little-endian, each in its fixed width.

    Layout: "Base Provider Key BLOBs" in Microsoft's cryptography reference.
    """
    numbers = key.private_numbers()
    bits = key.key_size
    header = struct.pack("<BBHI4sII", 7, 2, 0, 0x0000A400, b"RSA2", bits, numbers.public_numbers.e)  # CALG_RSA_KEYX
    half = [numbers.p, numbers.q, numbers.dmp1, numbers.dmq1, numbers.iqmp]
    return b"".join(
        [
            header,
            numbers.public_numbers.n.to_bytes(bits // 8, "little"),
            *(number.to_bytes(bits // 16, "little") for number in half),
            numbers.d.to_bytes(bits // 8, "little"),
        ]
    )


def import_key(key: rsa.RSAPrivateKey, container: str) -> None:
    """Create a machine container of that name with the key in it."""
    advapi32 = ctypes.CDLL("advapi32.dll", use_last_error=True)
    blob = private_key_blob(key)
    flags = CRYPT_NEWKEYSET | CRYPT_MACHINE_KEYSET | CRYPT_SILENT
    with _provider(advapi32, container, flags) as provider:
        handle = ctypes.c_size_t()
        done = advapi32.CryptImportKey(provider, blob, len(blob), None, 0, ctypes.byref(handle))
        _require(done, "CryptImportKey")
        _require(advapi32.CryptDestroyKey(handle), "CryptDestroyKey")


def delete_key(container: str) -> None:
    """Delete a machine container; one that is not there is no error."""
    advapi32 = ctypes.CDLL("advapi32.dll")
    handle = ctypes.c_size_t()
    advapi32.CryptAcquireContextW(
        ctypes.byref(handle),
        ctypes.c_wchar_p(container),
        ctypes.c_wchar_p(PROVIDER),
        PROV_RSA_AES,
        CRYPT_DELETEKEYSET | CRYPT_MACHINE_KEYSET | CRYPT_SILENT,
    )


@contextlib.contextmanager
def in_store(
    made: Made,
    *,
    container: str | None,
    provider: str = PROVIDER,
    provider_type: int = PROV_RSA_AES,
    flags: int = CRYPT_MACHINE_KEYSET,
    location: Literal["LocalMachine", "CurrentUser"] = "LocalMachine",
    store: str = "MY",
) -> Iterator[Made]:
    """Put a certificate into a system store, linked to ``container`` (None: to no key), and take it out again.

    The link is written as asked, whether or not such a container exists.
    """
    link = None
    if container is not None:
        link = KeyProvInfo(container, provider, provider_type, flags, 0, None, AT_KEYEXCHANGE)
    _remove(made, LOCATIONS[location], store)  # Wine's "replace" would keep the link of what it replaces
    _add(made, link, LOCATIONS[location], store)
    try:
        yield made
    finally:
        _remove(made, LOCATIONS[location], store)


@contextlib.contextmanager
def bindable(container: str, *, name: str = "server.example", store: str = "MY") -> Iterator[Made]:
    """Have a certificate that HTTP.sys accepts: in LocalMachine, its key in a machine container; both go afterwards."""
    made = make(name)
    delete_key(container)
    import_key(made.key, container)
    try:
        with in_store(made, container=container, store=store):
            yield made
    finally:
        delete_key(container)


def _add(made: Made, link: KeyProvInfo | None, location: int, store: str) -> None:
    crypt32 = _crypt32()
    context = crypt32.CertCreateCertificateContext(X509_ASN_ENCODING, made.der, len(made.der))
    _require(context, "CertCreateCertificateContext")
    try:
        if link is not None:
            done = crypt32.CertSetCertificateContextProperty(
                ctypes.c_void_p(context), CERT_KEY_PROV_INFO_PROP_ID, 0, ctypes.byref(link)
            )
            _require(done, "CertSetCertificateContextProperty")
        with _open_store(crypt32, location, store) as handle:
            done = crypt32.CertAddCertificateContextToStore(handle, ctypes.c_void_p(context), CERT_STORE_ADD_NEW, None)
            _require(done, "CertAddCertificateContextToStore")
    finally:
        crypt32.CertFreeCertificateContext(ctypes.c_void_p(context))


def _remove(made: Made, location: int, store: str) -> None:
    crypt32 = _crypt32()
    blob = Blob(20, made.thumbprint)
    with _open_store(crypt32, location, store) as handle:
        context = crypt32.CertFindCertificateInStore(
            handle, X509_ASN_ENCODING, 0, CERT_FIND_SHA1_HASH, ctypes.byref(blob), None
        )
        if context:  # deleting frees the context
            _require(crypt32.CertDeleteCertificateFromStore(ctypes.c_void_p(context)), "CertDeleteCertificateFromStore")
            # Wine forgets a deletion when the store is closed without this; to Windows it is nothing special.
            _require(crypt32.CertControlStore(handle, 0, CERT_STORE_CTRL_COMMIT, None), "CertControlStore")


def _crypt32() -> ctypes.CDLL:
    crypt32 = ctypes.CDLL("crypt32.dll", use_last_error=True)
    for function in ("CertCreateCertificateContext", "CertFindCertificateInStore", "CertOpenStore"):
        getattr(crypt32, function).restype = ctypes.c_void_p
    return crypt32


@contextlib.contextmanager
def _open_store(crypt32: ctypes.CDLL, location: int, store: str) -> Iterator[ctypes.c_void_p]:
    """Open a store and close it: under Wine a change reaches the registry only then."""
    opened = crypt32.CertOpenStore(
        ctypes.c_void_p(CERT_STORE_PROV_SYSTEM_W), 0, None, location, ctypes.c_wchar_p(store)
    )
    _require(opened, "CertOpenStore")
    handle = ctypes.c_void_p(opened)
    try:
        yield handle
    finally:
        _require(crypt32.CertCloseStore(handle, 0), "CertCloseStore")


@contextlib.contextmanager
def _provider(advapi32: ctypes.CDLL, container: str, flags: int) -> Iterator[ctypes.c_size_t]:
    handle = ctypes.c_size_t()
    done = advapi32.CryptAcquireContextW(
        ctypes.byref(handle), ctypes.c_wchar_p(container), ctypes.c_wchar_p(PROVIDER), PROV_RSA_AES, flags
    )
    _require(done, "CryptAcquireContextW")
    try:
        yield handle
    finally:
        _require(advapi32.CryptReleaseContext(handle, 0), "CryptReleaseContext")


def _require(done: Any, function: str) -> None:
    if sys.platform == "win32" and not done:
        raise OSError(f"{function} failed with {ctypes.get_last_error() & 0xFFFFFFFF:#x}")
