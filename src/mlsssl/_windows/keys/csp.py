"""Keys of the older providers (CryptoAPI): named containers, RSA only."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

from mlsssl._native.cdata import NULL, ffi, wide, wide_or_null
from mlsssl._windows.certificates import MACHINE_KEYSET, KeyLink
from mlsssl._windows.failures import ERROR_NO_MORE_ITEMS, NO_SUCH_KEY, closing, crypto_failure, require
from mlsssl._windows.keys import blobs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography.hazmat.primitives.asymmetric import rsa

    from mlsssl._formats.keys import PrivateKey
    from mlsssl._issue.machine_keys import HashName
    from mlsssl._windows.dlls import CspHash, CspKey, Dlls, ProviderHandle
    from mlsssl.values import KeyType

# The only one of Microsoft's older providers that signs with SHA-2 (MS_ENH_RSA_AES_PROV_W, PROV_RSA_AES).
PROVIDER, PROVIDER_TYPE = "Microsoft Enhanced RSA and AES Cryptographic Provider", 24

# wincrypt.h
_NEWKEYSET, _DELETEKEYSET, _SILENT, _VERIFYCONTEXT = 0x8, 0x10, 0x40, 0xF0000000
_AT_KEYEXCHANGE = 1
_EXPORTABLE = 0x1
_HASHES: dict[HashName, int] = {"sha256": 0x800C, "sha384": 0x800D, "sha512": 0x800E}  # CALG_SHA_*
_HP_HASHVAL = 2
_PUBLICKEYBLOB, _PRIVATEKEYBLOB = 6, 7
_KP_PERMISSIONS, _CRYPT_EXPORT = 6, 0x4
_PP_ENUMCONTAINERS, _FIRST, _NEXT = 2, 1, 2
_PP_KEYSET_SEC_DESCR, _DACL = 8, 0x4  # and DACL_SECURITY_INFORMATION, winnt.h
_ANSI = "mbcs" if sys.platform == "win32" else "utf-8"
_BUSY = (107, 170)  # what the documentation of CryptAcquireContext prints for ERROR_BUSY, and what it is


def link_to(name: str, *, machine: bool) -> KeyLink:
    """The link to a container of this name, whether or not there is one."""
    return KeyLink(
        container=name,
        provider=PROVIDER,
        provider_type=PROVIDER_TYPE,
        flags=MACHINE_KEYSET if machine else 0,
        key_spec=_AT_KEYEXCHANGE,
    )


def create(dlls: Dlls, name: str, key: rsa.RSAPrivateKey, *, machine: bool, exportable: bool) -> KeyLink:
    """Make a container of this name with this key in it; NTE_EXISTS when there is one already."""
    link = link_to(name, machine=machine)
    handle = ffi.new("HCRYPTKEY *")
    with blobs.wiped(blobs.csp_private(key)) as blob, _container(dlls, link, _NEWKEYSET) as provider:
        view = ffi.from_buffer("BYTE[]", blob)
        flags = _EXPORTABLE if exportable else 0
        done = dlls.advapi32_crypto.CryptImportKey(provider, view, len(blob), NULL, flags, handle)
        require(dlls, "CryptImportKey", done, name)
        with _closing_key(dlls, handle[0]):
            pass
    return link


def make(dlls: Dlls, name: str, key_type: KeyType, *, machine: bool, exportable: bool) -> KeyLink:
    """Have the provider make an RSA key in a container of this name, which never leaves it; as `create`."""
    link = link_to(name, machine=machine)
    handle = ffi.new("HCRYPTKEY *")
    bits = int(key_type.removeprefix("rsa-"))
    flags = bits << 16 | (_EXPORTABLE if exportable else 0)
    with _container(dlls, link, _NEWKEYSET) as provider:
        done = dlls.advapi32_crypto.CryptGenKey(provider, _AT_KEYEXCHANGE, flags, handle)
        require(dlls, "CryptGenKey", done, name)
        with _closing_key(dlls, handle[0]):
            pass
    return link


def sign(dlls: Dlls, link: KeyLink, digest: bytes, hash_name: HashName) -> bytes:
    """The PKCS#1 v1.5 signature of a digest."""
    api = dlls.advapi32_crypto
    made = ffi.new("HCRYPTHASH *")
    with _container(dlls, link) as provider:
        require(dlls, "CryptCreateHash", api.CryptCreateHash(provider, _HASHES[hash_name], NULL, 0, made))
        hashed: CspHash = made[0]
        with closing(lambda: require(dlls, "CryptDestroyHash", api.CryptDestroyHash(hashed))):
            value = ffi.from_buffer("BYTE[]", digest)
            require(dlls, "CryptSetHashParam", api.CryptSetHashParam(hashed, _HP_HASHVAL, value, 0))
            signature = ffi.new("BYTE[]", 2048)  # 16384 bits, the most that these providers make
            size = ffi.new("DWORD *", len(signature))
            done = api.CryptSignHashW(hashed, _AT_KEYEXCHANGE, NULL, 0, signature, size)
            require(dlls, "CryptSignHashW", done, link.container)
            return bytes(ffi.buffer(signature, min(size[0], len(signature))))[::-1]  # little-endian there


def look(dlls: Dlls, link: KeyLink) -> tuple[bytes, bool]:
    """The public half (`keys.spki`) of the key that a link names, and whether it may leave."""
    with _key(dlls, link) as key:
        public = blobs.csp_public_identity(bytes(_export(dlls, key, _PUBLICKEYBLOB)))
        permissions, size = ffi.new("DWORD *"), ffi.new("DWORD *", 4)
        pointer = ffi.cast("BYTE *", permissions)
        done = dlls.advapi32_crypto.CryptGetKeyParam(key, _KP_PERMISSIONS, pointer, size, 0)
        require(dlls, "CryptGetKeyParam", done, link.container)
        return public, bool(permissions[0] & _CRYPT_EXPORT)


def export(dlls: Dlls, link: KeyLink) -> PrivateKey:
    """The private key itself; NTE_BAD_KEY_STATE when it may not leave."""
    with _key(dlls, link) as key, blobs.wiped(_export(dlls, key, _PRIVATEKEYBLOB)) as blob:
        return blobs.from_csp_private(blob)


def descriptor(dlls: Dlls, link: KeyLink) -> bytes:
    """The container's security descriptor with its access list (PP_KEYSET_SEC_DESCR)."""
    function, api = "CryptGetProvParam", dlls.advapi32_crypto
    size = ffi.new("DWORD *")
    with _named_container(dlls, link) as provider:
        if not api.CryptGetProvParam(provider, _PP_KEYSET_SEC_DESCR, NULL, size, _DACL) and not size[0]:
            raise crypto_failure(function, dlls.last_error(), link.container)
        memory = ffi.new("BYTE[]", max(1, size[0]))
        done = api.CryptGetProvParam(provider, _PP_KEYSET_SEC_DESCR, memory, size, _DACL)
        require(dlls, function, done, link.container)
        return bytes(ffi.buffer(memory))[: size[0]]


def set_descriptor(dlls: Dlls, link: KeyLink, data: bytes) -> None:
    """Set the access list of the container's security descriptor; owner, group and audit list stay."""
    with _named_container(dlls, link) as provider:
        view = ffi.from_buffer("BYTE[]", data)
        done = dlls.advapi32_crypto.CryptSetProvParam(provider, _PP_KEYSET_SEC_DESCR, view, _DACL)
        require(dlls, "CryptSetProvParam", done, link.container)


def delete(dlls: Dlls, link: KeyLink) -> bool:
    """Delete the container with the keys in it; False when there is none."""
    if not link.container:  # for CRYPT_DELETEKEYSET a NULL or empty name means the default container: somebody's key
        return False
    handle = ffi.new("HCRYPTPROV *")
    flags = _DELETEKEYSET | _SILENT | (link.flags & MACHINE_KEYSET)
    if dlls.advapi32_crypto.CryptAcquireContextW(
        handle, wide(link.container), wide(link.provider), link.provider_type, flags
    ):
        return True  # the handle is undefined after this and not to be released
    code = dlls.last_error()
    if code in NO_SUCH_KEY:
        return False
    hint = "a program is using it; try again later" if code in _BUSY else ""
    raise crypto_failure("CryptAcquireContextW", code, f"while deleting the key {link.container} {hint}".strip())


def containers(dlls: Dlls, *, machine: bool) -> list[KeyLink]:
    """A link to every container of the user or the machine, as far as this provider tells."""
    found: list[KeyLink] = []
    with _container(dlls, link_to("", machine=machine), _VERIFYCONTEXT) as provider:
        size = ffi.new("DWORD *")
        name = ffi.new("BYTE[]", 1024)
        while True:
            size[0] = len(name)
            step = _NEXT if found else _FIRST
            if not dlls.advapi32_crypto.CryptGetProvParam(provider, _PP_ENUMCONTAINERS, name, size, step):
                code = dlls.last_error()
                if code == ERROR_NO_MORE_ITEMS:
                    return found
                raise crypto_failure("CryptGetProvParam", code)
            # Listed in the ANSI code page, whatever function is asked.
            text = bytes(ffi.buffer(name)).partition(b"\0")[0].decode(_ANSI, "replace")
            found.append(link_to(text, machine=machine))


@contextlib.contextmanager
def _container(dlls: Dlls, link: KeyLink, extra_flags: int = 0) -> Iterator[ProviderHandle]:
    handle = ffi.new("HCRYPTPROV *")
    flags = extra_flags | _SILENT | (link.flags & MACHINE_KEYSET)
    container, provider = wide_or_null(link.container or None), wide(link.provider)
    if not dlls.advapi32_crypto.CryptAcquireContextW(handle, container, provider, link.provider_type, flags):
        raise crypto_failure("CryptAcquireContextW", dlls.last_error(), link.container)
    opened: ProviderHandle = handle[0]
    api = dlls.advapi32_crypto
    with closing(lambda: require(dlls, "CryptReleaseContext", api.CryptReleaseContext(opened, 0))):
        yield opened


def _named_container(dlls: Dlls, link: KeyLink) -> contextlib.AbstractContextManager[ProviderHandle]:
    # An empty name would open the default container: somebody's key, not the one that was meant.
    if not link.container:
        raise crypto_failure("CryptAcquireContextW", 0x80090016, "the certificate names no container")
    return _container(dlls, link)


@contextlib.contextmanager
def _key(dlls: Dlls, link: KeyLink) -> Iterator[CspKey]:
    # AT_KEYEXCHANGE and AT_SIGNATURE are the two keys that a container can hold; some importers write neither.
    key_spec = link.key_spec if link.key_spec in (1, 2) else _AT_KEYEXCHANGE
    with _named_container(dlls, link) as provider:
        handle = ffi.new("HCRYPTKEY *")
        if not dlls.advapi32_crypto.CryptGetUserKey(provider, key_spec, handle):
            raise crypto_failure("CryptGetUserKey", dlls.last_error(), link.container)
        with _closing_key(dlls, handle[0]):
            yield handle[0]


def _closing_key(dlls: Dlls, key: CspKey) -> contextlib.AbstractContextManager[None]:
    return closing(lambda: require(dlls, "CryptDestroyKey", dlls.advapi32_crypto.CryptDestroyKey(key)))


def _export(dlls: Dlls, key: CspKey, kind: int) -> bytearray:
    """A key blob, in memory that the caller can zero."""
    size = ffi.new("DWORD *")
    require(dlls, "CryptExportKey", dlls.advapi32_crypto.CryptExportKey(key, NULL, kind, 0, NULL, size))
    blob = bytearray(size[0])
    memory = ffi.from_buffer("BYTE[]", blob)
    require(dlls, "CryptExportKey", dlls.advapi32_crypto.CryptExportKey(key, NULL, kind, 0, memory, size))
    ffi.release(memory)  # so that the bytearray may be cut
    del blob[size[0] :]
    return blob
