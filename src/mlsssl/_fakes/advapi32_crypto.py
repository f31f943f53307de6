"""A fake of the older providers' half of advapi32.dll: named containers with RSA keys."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from mlsssl._fakes.calls import Calls, Fake, Misuse, returns_bool
from mlsssl._fakes.computer import Computer, FakeKey, list_alone, with_list_of
from mlsssl._fakes.crypt32 import text_of
from mlsssl._fakes.key_handles import Handles
from mlsssl._native.cdata import ffi

if TYPE_CHECKING:
    from mlsssl._native.cdata import CData
    from mlsssl._windows.dlls import CspHash, CspKey, ProviderHandle

INVALID_PARAMETER, MORE_DATA, NO_MORE_ITEMS = 87, 234, 259
BAD_DATA, BAD_FLAGS, BAD_KEY_STATE, NO_KEY = 0x80090005, 0x80090009, 0x8009000B, 0x8009000D
NTE_EXISTS, NTE_PERM, BAD_KEYSET, KEYSET_NOT_DEF = 0x8009000F, 0x80090010, 0x80090016, 0x80090019

NEWKEYSET, DELETEKEYSET, MACHINE, SILENT, VERIFYCONTEXT = 0x8, 0x10, 0x20, 0x40, 0xF0000000
PROVIDERS = {
    "Microsoft Enhanced RSA and AES Cryptographic Provider": 24,
    "Microsoft Enhanced Cryptographic Provider v1.0": 1,
}
KP_PERMISSIONS, PP_ENUMCONTAINERS, PP_KEYSET_SEC_DESCR, DACL = 6, 2, 8, 0x4
ACCESS_DENIED, BAD_TYPE = 5, 0x8009000A
BAD_ALGID = 0x80090008
HASHES: dict[int, hashes.HashAlgorithm] = {0x800C: hashes.SHA256(), 0x800D: hashes.SHA384(), 0x800E: hashes.SHA512()}


@dataclass(eq=False)
class FakeHash:
    """HCRYPTHASH: what is to be signed, by a key of this container."""

    container: tuple[bool, str]
    algorithm: hashes.HashAlgorithm
    value: bytes | None = None


class FakeAdvapi32Crypto(Fake):
    """The key half of advapi32.dll (`mlsssl._windows.dlls.Advapi32Crypto`) over a `Computer`."""

    def __init__(self, calls: Calls, computer: Computer) -> None:
        super().__init__(calls)
        self.computer = computer
        self._providers: Handles[tuple[bool, str | None]] = Handles(calls, "HCRYPTPROV", "csp provider", 0x20000)
        self._keys: Handles[FakeKey] = Handles(calls, "HCRYPTKEY", "csp key", 0x30000)
        self._listed: dict[int, list[str]] = {}
        self._hashes: Handles[FakeHash] = Handles(calls, "HCRYPTHASH", "csp hash", 0xA0000)

    @returns_bool
    def CryptAcquireContextW(
        self, result: CData, container: CData, provider: CData, provider_type: int, flags: int, /
    ) -> int:
        """Open, make or delete a container."""
        if not flags & SILENT:
            raise Misuse("a provider that may ask the user questions")
        if PROVIDERS.get(text_of(provider)) != provider_type:
            return KEYSET_NOT_DEF
        machine = bool(flags & MACHINE)
        if flags & VERIFYCONTEXT == VERIFYCONTEXT:
            result[0] = self._providers.open((machine, None))
            return 0
        if not container or not text_of(container):
            raise Misuse("the default container is opened or deleted: never meant")
        name = text_of(container)
        place = (machine, name.casefold())
        there = place in self.computer.csp
        if flags & DELETEKEYSET:
            if not there:
                return BAD_KEYSET
            if machine and not self.computer.administrator:
                return NTE_PERM
            del self.computer.csp[place]
            return 0
        if flags & NEWKEYSET:
            if there:
                return NTE_EXISTS
            if machine and not self.computer.administrator:
                return NTE_PERM
            self.computer.csp[place] = {}
            self.computer.key_names[name.casefold()] = name
        elif not there:
            return BAD_KEYSET
        result[0] = self._providers.open(place)
        return 0

    def CryptReleaseContext(self, provider: ProviderHandle, flags: int, /) -> int:
        """Closes in any case, also when made to fail."""
        code = self.calls.enter("CryptReleaseContext")
        if flags:
            raise Misuse("no flags are defined")
        self._providers.close(provider)
        self.calls.last_error = code or self.calls.last_error
        return 0 if code else 1

    @returns_bool
    def CryptGetProvParam(
        self, provider: ProviderHandle, parameter: int, data: CData, size: CData, flags: int, /
    ) -> int:
        """PP_ENUMCONTAINERS, and the access list of PP_KEYSET_SEC_DESCR."""
        machine, container = self._providers.get(provider)
        if parameter == PP_KEYSET_SEC_DESCR and container is not None:
            return self._get_list((machine, container), data, size, flags)
        if parameter != PP_ENUMCONTAINERS or not self.computer.lists_keys:
            return NO_MORE_ITEMS
        number = int(ffi.cast("uintptr_t", provider))
        if flags & 1:
            self._listed[number] = [
                self.computer.key_names[name] for place, name in self.computer.csp if place == machine
            ]
        waiting = self._listed.get(number, [])
        if not waiting:
            return NO_MORE_ITEMS
        name = waiting[0].encode() + b"\0"
        if size[0] < len(name):
            return MORE_DATA
        ffi.memmove(data, name, len(name))
        del waiting[0]
        return 0

    def _get_list(self, place: tuple[bool, str], data: CData, size: CData, flags: int) -> int:
        if flags != DACL:
            return BAD_FLAGS
        keys = [*self.computer.csp[place].values()]
        if not keys:
            return NO_KEY
        octets, room = list_alone(keys[0].descriptor), size[0]
        size[0] = len(octets)
        if data:
            if room < len(octets):
                return MORE_DATA
            ffi.memmove(data, octets, len(octets))
        return 0

    @returns_bool
    def CryptSetProvParam(self, provider: ProviderHandle, parameter: int, data: CData, flags: int, /) -> int:
        """The access list of PP_KEYSET_SEC_DESCR: of the container, so of both its keys."""
        machine, container = self._providers.get(provider)
        if parameter != PP_KEYSET_SEC_DESCR or container is None:
            return BAD_TYPE
        if flags != DACL:
            return BAD_FLAGS
        if machine and not self.computer.administrator:
            return ACCESS_DENIED
        keys = [*self.computer.csp[machine, container].values()]
        # No length is given: the descriptor says its own.
        changed = with_list_of(keys[0].descriptor, bytes(ffi.buffer(data))) if keys else None
        if changed is None:
            return INVALID_PARAMETER
        if self.computer.keeps_lists:
            for key in keys:
                key.descriptor = changed
        return 0

    @returns_bool
    def CryptGetUserKey(self, provider: ProviderHandle, key_spec: int, result: CData, /) -> int:
        """Open a key of the container."""
        machine, name = self._providers.get(provider)
        key = self.computer.csp.get((machine, name or ""), {}).get(key_spec)
        if key is None:
            return NO_KEY
        result[0] = self._keys.open(key)
        return 0

    @returns_bool
    def CryptImportKey(
        self, provider: ProviderHandle, data: CData, size: int, _public: CspKey, flags: int, result: CData, /
    ) -> int:
        """PRIVATEKEYBLOB only."""
        machine, name = self._providers.get(provider)
        if flags & ~1:
            return BAD_FLAGS
        key = _key_of(bytes(ffi.buffer(data, size)))
        if key is None or name is None:
            return BAD_DATA
        made = FakeKey(key, flags & 1)
        self.computer.csp[machine, name][1] = made
        result[0] = self._keys.open(made)
        return 0

    @returns_bool
    def CryptGenKey(self, provider: ProviderHandle, algorithm: int, flags: int, result: CData, /) -> int:
        """AT_KEYEXCHANGE, of the length in the upper half of the flags (0 is Windows' own choice: never meant)."""
        machine, name = self._providers.get(provider)
        bits = flags >> 16
        if name is None or algorithm != 1:
            return BAD_ALGID
        if flags & 0xFFFF & ~1 or bits not in (2048, 3072, 4096):
            return BAD_FLAGS
        made = FakeKey(rsa.generate_private_key(65537, bits), flags & 1)
        self.computer.csp[machine, name][1] = made
        result[0] = self._keys.open(made)
        return 0

    @returns_bool
    def CryptCreateHash(
        self, provider: ProviderHandle, algorithm: int, key: CspKey, flags: int, result: CData, /
    ) -> int:
        """SHA-2, without a key."""
        machine, name = self._providers.get(provider)
        if algorithm not in HASHES or key or flags or name is None:
            return BAD_ALGID
        result[0] = self._hashes.open(FakeHash((machine, name), HASHES[algorithm]))
        return 0

    @returns_bool
    def CryptSetHashParam(self, hashed: CspHash, parameter: int, data: CData, flags: int, /) -> int:
        """HP_HASHVAL only: as many bytes as the algorithm has."""
        found = self._hashes.get(hashed)
        if parameter != 2 or flags:
            return INVALID_PARAMETER
        if len(data) != found.algorithm.digest_size:
            raise Misuse("Windows reads as many bytes as the hash has")
        found.value = bytes(ffi.buffer(data, found.algorithm.digest_size))
        return 0

    @returns_bool
    def CryptSignHashW(
        self, hashed: CspHash, key_spec: int, description: CData, flags: int, data: CData, size: CData, /
    ) -> int:
        """PKCS#1 v1.5, little-endian."""
        found = self._hashes.get(hashed)
        key = self.computer.csp.get(found.container, {}).get(key_spec)
        if description or flags or found.value is None:
            return BAD_FLAGS
        if key is None or not isinstance(key.key, rsa.RSAPrivateKey):
            return NO_KEY
        signature = key.key.sign(found.value, padding.PKCS1v15(), Prehashed(found.algorithm))[::-1]
        room = size[0]
        size[0] = len(signature)
        if room < len(signature):
            return MORE_DATA
        ffi.memmove(data, signature, len(signature))
        return 0

    def CryptDestroyHash(self, hashed: CspHash, /) -> int:
        """Lets go of it in any case."""
        code = self.calls.enter("CryptDestroyHash")
        self._hashes.close(hashed)
        self.calls.last_error = code or self.calls.last_error
        return 0 if code else 1

    @returns_bool
    def CryptExportKey(self, key: CspKey, _wrap: CspKey, kind: int, flags: int, data: CData, size: CData, /) -> int:
        """PUBLICKEYBLOB and PRIVATEKEYBLOB."""
        found = self._keys.get(key)
        if flags or kind not in (6, 7):
            return BAD_FLAGS
        if kind == 7 and not found.policy & 1:
            return BAD_KEY_STATE
        blob = _blob_of(found.key, private=kind == 7)
        room = size[0]
        size[0] = len(blob)
        if data:
            if room < len(blob):
                return MORE_DATA
            ffi.memmove(data, blob, len(blob))
        return 0

    @returns_bool
    def CryptGetKeyParam(self, key: CspKey, parameter: int, data: CData, size: CData, flags: int, /) -> int:
        """KP_PERMISSIONS only."""
        found = self._keys.get(key)
        if parameter != KP_PERMISSIONS or flags or size[0] < 4:
            return INVALID_PARAMETER
        # CRYPT_ENCRYPT, DECRYPT, READ, WRITE, MAC; CRYPT_EXPORT
        ffi.memmove(data, struct.pack("<I", 0x3B | (0x4 if found.policy & 1 else 0)), 4)
        return 0

    def CryptDestroyKey(self, key: CspKey, /) -> int:
        """Closes the handle in any case; the key stays."""
        code = self.calls.enter("CryptDestroyKey")
        self._keys.close(key)
        self.calls.last_error = code or self.calls.last_error
        return 0 if code else 1


def _key_of(blob: bytes) -> rsa.RSAPrivateKey | None:
    """Written apart from the code under test, so that two equal mistakes are unlikely."""
    kind, version, _, algorithm, magic, bits, e = struct.unpack_from("<BBHI4sII", blob)
    if (kind, version, algorithm, magic) != (7, 2, 0xA400, b"RSA2") or bits % 16:
        return None
    size = bits // 8
    numbers = [int.from_bytes(blob[20 + a * size // 2 : 20 + b * size // 2], "little") for a, b in _PLACES]
    n, p, q, dp, dq, qi, d = numbers
    if len(blob) != 20 + 9 * size // 2 or p * q != n:
        return None
    public = rsa.RSAPublicNumbers(e, n)
    return rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, public).private_key(unsafe_skip_rsa_key_validation=True)


_PLACES = ((0, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 7), (7, 9))  # in halves of the modulus


def _blob_of(key: object, *, private: bool) -> bytes:
    if not isinstance(key, rsa.RSAPrivateKey):
        raise Misuse("the older providers have RSA keys only")
    numbers = key.private_numbers()
    n, e = numbers.public_numbers.n, numbers.public_numbers.e
    size = n.bit_length() // 8
    head = struct.pack("<BBHI4sII", 7 if private else 6, 2, 0, 0xA400, b"RSA2" if private else b"RSA1", size * 8, e)
    values = [n] if not private else [n, numbers.p, numbers.q, numbers.dmp1, numbers.dmq1, numbers.iqmp, numbers.d]
    body = b"".join(
        value.to_bytes((b - a) * size // 2, "little") for value, (a, b) in zip(values, _PLACES, strict=False)
    )
    return head + body
