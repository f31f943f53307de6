"""Keys in Microsoft's software key storage provider (CNG)."""

from __future__ import annotations

import contextlib
import secrets
from typing import TYPE_CHECKING, cast

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from mlsssl._formats import foreign
from mlsssl._native.cdata import NULL, Buffer, ffi, text_at, wide
from mlsssl._windows.certificates import MACHINE_KEYSET, KeyLink
from mlsssl._windows.failures import NO_SUCH_KEY, NTE_NO_MORE_ITEMS, NTE_NOT_SUPPORTED, closing, crypto_failure
from mlsssl._windows.keys import blobs
from mlsssl.errors import MalformedDataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlsssl._formats.keys import PrivateKey
    from mlsssl._issue.machine_keys import HashName
    from mlsssl._native.cdata import CData
    from mlsssl._windows.dlls import CngKey, CngProvider, Dlls
    from mlsssl.values import KeyType

PROVIDER = "Microsoft Software Key Storage Provider"  # MS_KEY_STORAGE_PROVIDER

# ncrypt.h
_SILENT = 0x40
# NCRYPT_PERSIST_FLAG: keep the property with the key (learn.microsoft.com, NCryptSetProperty; .NET's CngKey.Create sets
# the export policy so, before it finalises). Without it a key that is opened again may have the default policy.
_PERSIST = 0x80000000
_ALLOW_EXPORT, _ALLOW_PLAINTEXT_EXPORT = 0x1, 0x2
_EXPORT_POLICY, _LENGTH = "Export Policy", "Length"
_PAD_PKCS1 = 0x2  # BCRYPT_PAD_PKCS1
_HASHES: dict[HashName, str] = {"sha256": "SHA256", "sha384": "SHA384", "sha512": "SHA512"}  # BCRYPT_*_ALGORITHM
_SECURITY_DESCRIPTOR, _DACL = "Security Descr", 0x4  # NCRYPT_SECURITY_DESCR_PROPERTY, DACL_SECURITY_INFORMATION
_PKCS_ALG_OID, _PKCS_ALG_PARAM, _PKCS_SECRET = 41, 42, 46  # NCRYPTBUFFER_*
_NAME_LIMIT = 512  # NCRYPT_MAX_KEY_NAME_LENGTH


def link_to(name: str, *, machine: bool) -> KeyLink:
    """The link to a key of this name, whether or not there is one."""
    return KeyLink(
        container=name, provider=PROVIDER, provider_type=0, flags=MACHINE_KEYSET if machine else 0, key_spec=0
    )


def create(dlls: Dlls, name: str, key: PrivateKey, *, machine: bool, exportable: bool) -> KeyLink:
    """Persist this key under this name; NTE_EXISTS when there is one already.

    That every call succeeded does not mean that the key is kept: open it again to know.
    """
    link = link_to(name, machine=machine)
    algorithm, blob_type = blobs.cng_algorithm(key)
    with blobs.wiped(blobs.cng_private(key)) as blob:
        _persist(dlls, link, algorithm, blob_type, ffi.from_buffer("BYTE[]", blob), len(blob), exportable=exportable)
    return link


def make(dlls: Dlls, name: str, key_type: KeyType, *, machine: bool, exportable: bool) -> KeyLink:
    """Have CNG make a key under this name, which never leaves it; otherwise as `create`."""
    link = link_to(name, machine=machine)
    kind, _, size = key_type.partition("-")
    if kind == "rsa":
        length = ffi.new("DWORD *", int(size))
        _persist(dlls, link, "RSA", _LENGTH, ffi.cast("BYTE *", length), 4, exportable=exportable)
    else:  # the algorithm's name has the curve
        _persist(dlls, link, f"ECDSA_{size.upper()}", None, cast("CData", NULL), 0, exportable=exportable)
    return link


def _persist(
    dlls: Dlls, link: KeyLink, algorithm: str, content: str | None, value: CData, size: int, *, exportable: bool
) -> None:
    """Begin a key, set the property that says what it is, and its export policy, and have it kept."""
    ncrypt = dlls.ncrypt
    policy = ffi.new("DWORD *", _ALLOW_EXPORT | _ALLOW_PLAINTEXT_EXPORT if exportable else 0)
    handle = ffi.new("NCRYPT_KEY_HANDLE *")
    with _provider(dlls, PROVIDER) as provider:
        # No NCRYPT_OVERWRITE_KEY_FLAG: a key that is there is never ours to replace.
        _check(
            "NCryptCreatePersistedKey",
            ncrypt.NCryptCreatePersistedKey(provider, handle, wide(algorithm), wide(link.container), 0, link.flags),
            link.container,
        )
        made: CngKey = handle[0]
        with _closing(dlls, made):
            if content is not None:
                code = ncrypt.NCryptSetProperty(made, wide(content), value, size, 0)
                _check("NCryptSetProperty", code, content)
            code = ncrypt.NCryptSetProperty(made, wide(_EXPORT_POLICY), ffi.cast("BYTE *", policy), 4, _PERSIST)
            _check("NCryptSetProperty", code, _EXPORT_POLICY)
            _check("NCryptFinalizeKey", ncrypt.NCryptFinalizeKey(made, _SILENT), link.container)


def sign(dlls: Dlls, link: KeyLink, digest: bytes, hash_name: HashName) -> bytes:
    """The signature of a digest: PKCS#1 v1.5 of an RSA key, Ecdsa-Sig-Value of another."""
    with _key(dlls, link) as key:
        is_rsa = bytes(_export(dlls, key, "PUBLICBLOB"))[:4] == blobs.RSA_PUBLIC
        name = wide(_HASHES[hash_name])
        padding = ffi.new("BCRYPT_PKCS1_PADDING_INFO *", {"pszAlgId": name})
        signature, size = ffi.new("BYTE[]", 1024), ffi.new("DWORD *")  # 8192 bits, more than any key made here has
        code = dlls.ncrypt.NCryptSignHash(
            key,
            padding if is_rsa else cast("CData", NULL),
            ffi.from_buffer("BYTE[]", digest),
            len(digest),
            signature,
            len(signature),
            size,
            _SILENT | (_PAD_PKCS1 if is_rsa else 0),
        )
        _check("NCryptSignHash", code, link.container)
        raw = bytes(ffi.buffer(signature, min(size[0], len(signature))))
    if is_rsa:
        return raw
    half = len(raw) // 2
    return encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))


def look(dlls: Dlls, link: KeyLink) -> tuple[bytes, bool]:
    """The public half (`keys.spki`) of the key that a link names, and whether it may leave."""
    with _key(dlls, link) as key:
        public = blobs.cng_public_identity(bytes(_export(dlls, key, "PUBLICBLOB")))
        return public, bool(_policy(dlls, key) & (_ALLOW_EXPORT | _ALLOW_PLAINTEXT_EXPORT))


def export(dlls: Dlls, link: KeyLink) -> PrivateKey:
    """The private key itself; NTE_NOT_SUPPORTED or NTE_PERM when it may not leave."""
    with _key(dlls, link) as key:
        if _policy(dlls, key) & _ALLOW_PLAINTEXT_EXPORT:
            public = bytes(_export(dlls, key, "PUBLICBLOB"))
            blob_type = "RSAFULLPRIVATEBLOB" if public[:4] == blobs.RSA_PUBLIC else "ECCPRIVATEBLOB"
            with blobs.wiped(_export(dlls, key, blob_type)) as blob:
                return blobs.from_cng_private(blob)
        return _export_encrypted(dlls, key)


def descriptor(dlls: Dlls, link: KeyLink) -> bytes:
    """The key's security descriptor with its access list (NCRYPT_SECURITY_DESCR_PROPERTY)."""
    name, flags = wide(_SECURITY_DESCRIPTOR), _DACL | _SILENT
    size = ffi.new("DWORD *")
    with _key(dlls, link) as key:
        code = dlls.ncrypt.NCryptGetProperty(key, name, NULL, 0, size, flags)
        _check("NCryptGetProperty", code, _SECURITY_DESCRIPTOR)
        memory = ffi.new("BYTE[]", max(1, size[0]))
        code = dlls.ncrypt.NCryptGetProperty(key, name, memory, size[0], size, flags)
        _check("NCryptGetProperty", code, _SECURITY_DESCRIPTOR)
        return bytes(ffi.buffer(memory))[: size[0]]


def set_descriptor(dlls: Dlls, link: KeyLink, data: bytes) -> None:
    """Set the access list of the key's security descriptor; owner, group and audit list stay."""
    # learn.microsoft.com, NCryptSetProperty: which part is set is said by flags, and kept by NCRYPT_PERSIST_FLAG.
    flags = _PERSIST | _DACL | _SILENT
    with _key(dlls, link) as key:
        view = ffi.from_buffer("BYTE[]", data)
        code = dlls.ncrypt.NCryptSetProperty(key, wide(_SECURITY_DESCRIPTOR), view, len(data), flags)
        _check("NCryptSetProperty", code, _SECURITY_DESCRIPTOR)


def delete(dlls: Dlls, link: KeyLink) -> bool:
    """Delete the key; False when there is none."""
    # NTE_NOT_SUPPORTED: a provider that opens no key by its name has kept none.
    with _provider(dlls, link.provider) as provider:
        handle = ffi.new("NCRYPT_KEY_HANDLE *")
        flags = _SILENT | (link.flags & MACHINE_KEYSET)
        code = dlls.ncrypt.NCryptOpenKey(provider, handle, wide(link.container), _spec(link), flags) & 0xFFFF_FFFF
        if code in (*NO_SUCH_KEY, NTE_NOT_SUPPORTED):
            return False
        _check("NCryptOpenKey", code, link.container)
        key: CngKey = handle[0]
        code = dlls.ncrypt.NCryptDeleteKey(key, _SILENT)
        if code:  # the handle is freed only by success
            with _closing(dlls, key):
                _check("NCryptDeleteKey", code, link.container)
        return True


def containers(dlls: Dlls, *, machine: bool) -> list[KeyLink]:
    """A link to every key of the user or the machine in this provider."""
    ncrypt = dlls.ncrypt
    found: list[KeyLink] = []
    state = ffi.new("void **")
    with _provider(dlls, PROVIDER) as provider:
        try:
            while True:
                name = ffi.new("NCryptKeyName **")
                flags = _SILENT | (MACHINE_KEYSET if machine else 0)
                code = ncrypt.NCryptEnumKeys(provider, NULL, name, state, flags) & 0xFFFF_FFFF
                if code == NTE_NO_MORE_ITEMS:
                    return found
                _check("NCryptEnumKeys", code)
                key_spec, text = name[0].dwLegacyKeySpec, text_at(name[0].pszName, _NAME_LIMIT)
                _check("NCryptFreeBuffer", ncrypt.NCryptFreeBuffer(ffi.cast("void *", name[0])))
                if key_spec == 0:  # the others are the older providers' keys, which they list themselves
                    found.append(link_to(text, machine=machine))
        finally:
            if state[0]:
                ncrypt.NCryptFreeBuffer(state[0])


def _spec(link: KeyLink) -> int:
    """AT_KEYEXCHANGE or AT_SIGNATURE for an older provider's key that CNG shows; everything else means none."""
    return link.key_spec if link.key_spec in (1, 2) else 0


@contextlib.contextmanager
def _provider(dlls: Dlls, name: str) -> Iterator[CngProvider]:
    handle = ffi.new("NCRYPT_PROV_HANDLE *")
    _check("NCryptOpenStorageProvider", dlls.ncrypt.NCryptOpenStorageProvider(handle, wide(name), 0), name)
    with _closing(dlls, handle[0]):
        yield handle[0]


@contextlib.contextmanager
def _key(dlls: Dlls, link: KeyLink) -> Iterator[CngKey]:
    handle = ffi.new("NCRYPT_KEY_HANDLE *")
    flags = _SILENT | (link.flags & MACHINE_KEYSET)
    with _provider(dlls, link.provider) as provider:
        code = dlls.ncrypt.NCryptOpenKey(provider, handle, wide(link.container), _spec(link), flags)
        _check("NCryptOpenKey", code, link.container)
        with _closing(dlls, handle[0]):
            yield handle[0]


def _closing(dlls: Dlls, handle: CngProvider | CngKey) -> contextlib.AbstractContextManager[None]:
    return closing(lambda: _check("NCryptFreeObject", dlls.ncrypt.NCryptFreeObject(handle)))


def _policy(dlls: Dlls, key: CngKey) -> int:
    buffer = Buffer("NCryptGetProperty", 4)
    size = ffi.new("DWORD *")
    pointer = ffi.cast("BYTE *", buffer.memory)
    code = dlls.ncrypt.NCryptGetProperty(key, wide(_EXPORT_POLICY), pointer, 4, size, _SILENT)
    _check("NCryptGetProperty", code, _EXPORT_POLICY)
    return int(buffer.view("DWORD")[0])


def _export(dlls: Dlls, key: CngKey, blob_type: str, parameters: CData | None = None) -> bytearray:
    size = ffi.new("DWORD *")
    kind = wide(blob_type)
    list_ = cast("CData", NULL) if parameters is None else parameters
    code = dlls.ncrypt.NCryptExportKey(key, NULL, kind, list_, NULL, 0, size, _SILENT)
    _check("NCryptExportKey", code, blob_type)
    buffer = bytearray(size[0])
    memory = ffi.from_buffer("BYTE[]", buffer)
    code = dlls.ncrypt.NCryptExportKey(key, NULL, kind, list_, memory, len(buffer), size, _SILENT)
    _check("NCryptExportKey", code, blob_type)
    ffi.release(memory)  # so that the bytearray may be resized
    del buffer[size[0] :]
    return buffer


def _export_encrypted(dlls: Dlls, key: CngKey) -> PrivateKey:
    """A key whose policy allows export, but not in plain: the import wizard's "mark this key as exportable".

    It comes as PKCS#8 under a password made up here (learn.microsoft.com, NCryptExportKey,
    NCRYPT_PKCS8_PRIVATE_KEY_BLOB), with the one scheme that every Windows writes.
    """
    password = secrets.token_urlsafe(24)
    secret = wide(password)
    oid = ffi.new("char[]", b"1.2.840.113549.1.12.1.3")  # pbeWithSHAAnd3-KeyTripleDES-CBC (RFC 7292)
    salted = ffi.from_buffer("BYTE[]", _pbe_parameters())  # ffi.new would add a NUL
    buffers = ffi.new("NCryptBuffer[3]")
    for buffer, (kind, data) in zip(
        (buffers[0], buffers[1], buffers[2]),
        ((_PKCS_ALG_OID, oid), (_PKCS_ALG_PARAM, salted), (_PKCS_SECRET, secret)),
        strict=True,
    ):
        buffer.BufferType, buffer.cbBuffer, buffer.pvBuffer = kind, ffi.sizeof(data), ffi.cast("void *", data)
    parameters = ffi.new("NCryptBufferDesc *")
    parameters.cBuffers, parameters.pBuffers = 3, buffers
    sealed = bytes(_export(dlls, key, "PKCS8_PRIVATEKEY", parameters))
    try:
        opened = foreign.call(
            serialization.load_der_private_key, sealed, password.encode(), unsafe_skip_rsa_key_validation=True
        )
    except (ValueError, TypeError) as error:
        raise MalformedDataError(f"CNG exported a key that cannot be read: {type(error).__name__}") from None
    if isinstance(opened, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)):
        return opened
    raise MalformedDataError("CNG exported a key of a kind that was not asked for")


def _pbe_parameters() -> bytes:
    """CRYPT_PKCS12_PBE_PARAMS (wincrypt.h: iterations, length of the salt), and the salt behind it."""
    salt = secrets.token_bytes(8)
    return (2048).to_bytes(4, "little") + len(salt).to_bytes(4, "little") + salt


def _check(function: str, code: int, hint: str = "") -> None:
    if code:
        raise crypto_failure(function, code, hint)
