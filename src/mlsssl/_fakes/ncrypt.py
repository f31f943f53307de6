"""A fake ncrypt.dll: Microsoft's software key storage provider, and one that keeps nothing."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature

from mlsssl._fakes.calls import Calls, Fake, Misuse, returns_code
from mlsssl._fakes.computer import Computer, FakeKey, list_alone, with_list_of
from mlsssl._fakes.crypt32 import text_of
from mlsssl._fakes.key_handles import Handles
from mlsssl._formats import der
from mlsssl._formats.pkcs12.encryption import Encryption, KeyDerivation, write_encryption
from mlsssl._native.cdata import address_of, ffi, wide

if TYPE_CHECKING:
    from mlsssl._formats.keys import PrivateKey
    from mlsssl._native.cdata import CData
    from mlsssl._windows.dlls import CngKey, CngProvider

BAD_DATA, BAD_FLAGS, NTE_EXISTS, NTE_PERM = 0x80090005, 0x80090009, 0x8009000F, 0x80090010
BAD_KEYSET, INVALID_PARAMETER, BUFFER_TOO_SMALL = 0x80090016, 0x80090027, 0x80090028
NOT_SUPPORTED, NO_MORE_ITEMS, BAD_KEY_STATE = 0x80090029, 0x8009002A, 0x8009000B

MACHINE, SILENT, PERSIST, DACL, PAD_PKCS1 = 0x20, 0x40, 0x80000000, 0x4, 0x2
SECURITY, ACCESS_DENIED = "Security Descr", 5
HASHES: dict[str, hashes.HashAlgorithm] = {
    "SHA256": hashes.SHA256(),
    "SHA384": hashes.SHA384(),
    "SHA512": hashes.SHA512(),
}
BY_SIZE = {algorithm.digest_size: algorithm for algorithm in HASHES.values()}
PROVIDER = "Microsoft Software Key Storage Provider"
ALGORITHMS = {"RSA", "ECDSA_P256", "ECDSA_P384", "ECDSA_P521"}
CURVES: dict[bytes, ec.EllipticCurve] = {b"2": ec.SECP256R1(), b"4": ec.SECP384R1(), b"6": ec.SECP521R1()}


@dataclass(eq=False)
class Draft:
    """A key handle: of a persisted key, or of one that is not finalised yet."""

    place: tuple[bool, str]
    key: FakeKey | None = None
    algorithm: str = ""
    properties: dict[str, bytes] = field(default_factory=dict)


class FakeNCrypt(Fake):
    """ncrypt.dll (`mlsssl._windows.dlls.NCrypt`) over a `Computer`."""

    def __init__(self, calls: Calls, computer: Computer) -> None:
        super().__init__(calls)
        self.computer = computer
        self._providers: Handles[str] = Handles(calls, "NCRYPT_PROV_HANDLE", "cng provider", 0x40000)
        self._keys: Handles[Draft] = Handles(calls, "NCRYPT_KEY_HANDLE", "cng key", 0x50000)
        self._buffers: dict[int, tuple[object, ...]] = {}

    @returns_code
    def NCryptOpenStorageProvider(self, result: CData, name: CData, flags: int, /) -> int:
        """The software provider only."""
        if flags:
            return BAD_FLAGS
        if text_of(name) != PROVIDER:
            return BAD_KEYSET
        result[0] = self._providers.open(PROVIDER)
        return 0

    @returns_code
    def NCryptOpenKey(self, provider: CngProvider, result: CData, name: CData, key_spec: int, flags: int, /) -> int:
        """A persisted key by its name, among the machine's or the user's."""
        self._providers.get(provider)
        if self.computer.cng_keeps == "nothing":
            return NOT_SUPPORTED
        place = (_machine(flags), text_of(name).casefold())
        key = self.computer.cng.get(place)
        if key is None or key_spec:
            return BAD_KEYSET
        result[0] = self._keys.open(Draft(place, key))
        return 0

    @returns_code
    def NCryptCreatePersistedKey(
        self, provider: CngProvider, result: CData, algorithm: CData, name: CData, key_spec: int, flags: int, /
    ) -> int:
        """Begins a key; nothing is kept before NCryptFinalizeKey."""
        self._providers.get(provider)
        wanted = text_of(algorithm)
        if wanted not in ALGORITHMS or key_spec or (wanted != "RSA" and self.computer.cng_keeps != "all"):
            return NOT_SUPPORTED
        machine = _machine(flags)
        place = (machine, text_of(name).casefold())
        if place in self.computer.cng:
            return NTE_EXISTS
        if machine and not self.computer.administrator:
            return NTE_PERM
        self.computer.key_names[place[1]] = text_of(name)
        result[0] = self._keys.open(Draft(place, algorithm=wanted))
        return 0

    @returns_code
    def NCryptGetProperty(
        self, key: CngKey, name: CData, output: CData, room: int, result: CData, flags: int, /
    ) -> int:
        """Export Policy, and the access list of Security Descr."""
        draft = self._keys.get(key)
        if text_of(name) == SECURITY and draft.key is not None:
            if flags & ~SILENT != DACL:
                return BAD_FLAGS
            data = list_alone(draft.key.descriptor)
            result[0] = len(data)
            if output:
                if room < len(data):
                    return BUFFER_TOO_SMALL
                ffi.memmove(output, data, len(data))
            return 0
        if text_of(name) != "Export Policy" or draft.key is None:
            return NOT_SUPPORTED
        result[0] = 4
        if output:
            if room < 4:
                return BUFFER_TOO_SMALL
            ffi.memmove(output, struct.pack("<I", draft.key.policy), 4)
        return 0

    @returns_code
    def NCryptSetProperty(self, key: CngKey, name: CData, data: CData, size: int, flags: int, /) -> int:
        """Before finalising: the private blob, and the export policy, which is kept only if persisted (strict side).

        After it: the access list of Security Descr, the same.
        """
        draft = self._keys.get(key)
        if draft.key is not None and text_of(name) == SECURITY:
            return self._set_list(draft, bytes(ffi.buffer(data, size)), flags)
        if draft.key is not None:
            return BAD_KEY_STATE
        if flags & ~(PERSIST | SILENT):
            return BAD_FLAGS
        if text_of(name) == "Export Policy" and not flags & PERSIST:
            return 0
        draft.properties[text_of(name)] = bytes(ffi.buffer(data, size))
        return 0

    def _set_list(self, draft: Draft, data: bytes, flags: int) -> int:
        if flags & ~(PERSIST | SILENT) != DACL:
            return BAD_FLAGS
        if draft.place[0] and not self.computer.administrator:
            return ACCESS_DENIED
        assert draft.key is not None
        changed = with_list_of(draft.key.descriptor, data)
        if changed is None:
            return INVALID_PARAMETER
        if flags & PERSIST and self.computer.keeps_lists:
            draft.key.descriptor = changed
        return 0

    @returns_code
    def NCryptFinalizeKey(self, key: CngKey, _flags: int, /) -> int:
        """Keeps the key, or says so."""
        draft = self._keys.get(key)
        if draft.key is not None:
            return BAD_KEY_STATE
        kind = "RSAFULLPRIVATEBLOB" if draft.algorithm == "RSA" else "ECCPRIVATEBLOB"
        blob = draft.properties.get(kind)
        private = _new_key(draft) if blob is None else _key_of(blob, draft.algorithm)
        if private is None:
            return BAD_DATA
        (policy,) = struct.unpack("<I", draft.properties.get("Export Policy", bytes(4)))
        if self.computer.cng_keeps != "nothing":
            draft.key = FakeKey(private, policy)
            self.computer.keep_in_cng(draft.place, draft.key)
        return 0

    @returns_code
    def NCryptExportKey(
        self,
        key: CngKey,
        _wrap: CngKey,
        blob_type: CData,
        parameters: CData,
        output: CData,
        room: int,
        result: CData,
        _flags: int,
        /,
    ) -> int:
        """The public blob; the private ones and PKCS#8 as the policy allows."""
        found = self._keys.get(key).key
        if found is None:
            return BAD_KEY_STATE
        kind = text_of(blob_type)
        if kind == "PKCS8_PRIVATEKEY" and parameters:
            blob = _sealed(found.key, parameters) if found.policy & 3 else None
        elif kind == "PUBLICBLOB":
            blob = _public_blob(found.key)
        elif kind == ("RSAFULLPRIVATEBLOB" if isinstance(found.key, rsa.RSAPrivateKey) else "ECCPRIVATEBLOB"):
            blob = _private_blob(found.key) if found.policy & 2 else None
        else:
            blob = None
        if blob is None:
            return NOT_SUPPORTED
        result[0] = len(blob)
        if output:
            if room < len(blob):
                return BUFFER_TOO_SMALL
            ffi.memmove(output, blob, len(blob))
        return 0

    @returns_code
    def NCryptSignHash(
        self,
        key: CngKey,
        padding_info: CData,
        digest: CData,
        digest_size: int,
        output: CData,
        room: int,
        result: CData,
        flags: int,
        /,
    ) -> int:
        """PKCS#1 v1.5 with RSA, r and s with EC; no question may be asked."""
        found = self._keys.get(key).key
        if found is None:
            return BAD_KEY_STATE
        value = bytes(ffi.buffer(digest, digest_size))
        is_rsa = isinstance(found.key, rsa.RSAPrivateKey)
        if flags != (SILENT | PAD_PKCS1 if is_rsa else SILENT) or bool(padding_info) != is_rsa:
            return INVALID_PARAMETER
        if isinstance(found.key, rsa.RSAPrivateKey):
            digest_type = HASHES.get(text_of(padding_info.pszAlgId))
            if digest_type is None or digest_type.digest_size != digest_size:
                return INVALID_PARAMETER
            signature = found.key.sign(value, padding.PKCS1v15(), Prehashed(digest_type))
        else:
            r, s = decode_dss_signature(found.key.sign(value, ec.ECDSA(Prehashed(BY_SIZE[digest_size]))))
            width = (found.key.curve.key_size + 7) // 8
            signature = r.to_bytes(width, "big") + s.to_bytes(width, "big")
        result[0] = len(signature)
        if room < len(signature):
            return BUFFER_TOO_SMALL
        ffi.memmove(output, signature, len(signature))
        return 0

    @returns_code
    def NCryptDeleteKey(self, key: CngKey, _flags: int, /) -> int:
        """Frees the handle when it succeeds, and only then."""
        draft = self._keys.get(key)
        if draft.place[0] and not self.computer.administrator:
            return NTE_PERM
        self.computer.cng.pop(draft.place, None)
        self._keys.close(key)
        return 0

    @returns_code
    def NCryptEnumKeys(self, provider: CngProvider, scope: CData, result: CData, state: CData, flags: int, /) -> int:
        """The keys, one per call; what is handed out must be freed."""
        self._providers.get(provider)
        if self.computer.cng_keeps == "nothing" or not self.computer.lists_keys or scope:
            return NOT_SUPPORTED
        machine = _machine(flags)
        if not state[0]:
            names = [self.computer.key_names[name] for place, name in self.computer.cng if place == machine]
            counter = ffi.new("DWORD[2]")
            state[0] = self._buffer(ffi.cast("void *", counter), counter, names)
        names = self._buffers[address_of(state[0])][2]  # type: ignore[assignment]
        counter = ffi.cast("DWORD *", state[0])
        if counter[0] >= len(names):
            return NO_MORE_ITEMS
        text, algorithm = wide(names[counter[0]]), wide("RSA")
        item = ffi.new("NCryptKeyName *")
        item.pszName, item.pszAlgid = text, algorithm
        counter[0] += 1
        result[0] = ffi.cast("NCryptKeyName *", self._buffer(ffi.cast("void *", item), item, [], text, algorithm))
        return 0

    def NCryptFreeBuffer(self, memory: CData, /) -> int:
        """What NCryptEnumKeys gave; freed in any case, also when made to fail."""
        code = self.calls.enter("NCryptFreeBuffer")
        if self._buffers.pop(address_of(memory), None) is None:
            raise Misuse("a buffer is freed that was not given")
        self.calls.close("cng buffer")
        return code

    def NCryptFreeObject(self, handle: CngProvider | CngKey, /) -> int:
        """Closes either kind in any case, also when made to fail."""
        code = self.calls.enter("NCryptFreeObject")
        if handle in self._keys:
            self._keys.close(handle)
        else:
            self._providers.close(handle)
        return code

    def _buffer(self, memory: CData, *owners: object) -> CData:
        self._buffers[address_of(memory)] = (memory, *owners)
        self.calls.open("cng buffer")
        return memory


def _machine(flags: int) -> bool:
    if flags & ~(MACHINE | SILENT):
        raise Misuse(f"flags {flags:#x}: a key may be overwritten, or a question asked")
    return bool(flags & MACHINE)


def _new_key(draft: Draft) -> PrivateKey | None:
    """What Windows makes where no key was put in: RSA of the length that was said (the stricter side: it must be)."""
    if draft.algorithm == "RSA":
        (bits,) = struct.unpack("<I", draft.properties.get("Length", bytes(4)))
        return rsa.generate_private_key(65537, bits) if bits in (2048, 3072, 4096) else None
    return ec.generate_private_key({"256": ec.SECP256R1(), "384": ec.SECP384R1()}[draft.algorithm[-3:]])


def _key_of(blob: bytes, algorithm: str) -> PrivateKey | None:
    """Written apart from the code under test, so that two equal mistakes are unlikely."""
    if algorithm == "RSA":
        if len(blob) < 24:
            return None
        magic, bits, e_size, n_size, p_size, q_size = struct.unpack_from("<4s5I", blob)
        sizes = (e_size, n_size, p_size, q_size, p_size, q_size, p_size, n_size)
        if magic != b"RSA3" or len(blob) != 24 + sum(sizes):
            return None
        ends = [24 + sum(sizes[: i + 1]) for i in range(8)]
        e, n, p, q, dp, dq, qi, d = (
            int.from_bytes(blob[end - size : end], "big") for size, end in zip(sizes, ends, strict=True)
        )
        if n.bit_length() != bits or p * q != n:
            return None
        return rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, rsa.RSAPublicNumbers(e, n)).private_key(
            unsafe_skip_rsa_key_validation=True
        )
    curve = CURVES.get(blob[3:4])
    if blob[:3] != b"ECS" or curve is None or not algorithm.endswith(str(curve.key_size)):
        return None
    (size,) = struct.unpack_from("<I", blob, 4)
    if len(blob) != 8 + 3 * size:
        return None
    return ec.derive_private_key(int.from_bytes(blob[8 + 2 * size :], "big"), curve)


def _public_blob(key: PrivateKey) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        e, n = (value.to_bytes((value.bit_length() + 7) // 8, "big") for value in (numbers.e, numbers.n))
        return struct.pack("<4s5I", b"RSA1", numbers.n.bit_length(), len(e), len(n), 0, 0) + e + n
    point = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    letter = {256: b"1", 384: b"3", 521: b"5"}[key.curve.key_size]
    return b"ECS" + letter + struct.pack("<I", len(point) // 2) + point[1:]


def _private_blob(key: PrivateKey) -> bytes:
    public = _public_blob(key)
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.private_numbers()
        half = key.key_size // 16
        _, bits, e_size, n_size, _, _ = struct.unpack_from("<4s5I", public)
        head = struct.pack("<4s5I", b"RSA3", bits, e_size, n_size, half, half)
        halves = (numbers.p, numbers.q, numbers.dmp1, numbers.dmq1, numbers.iqmp)
        body = b"".join(value.to_bytes(half, "big") for value in halves)
        return head + public[24:] + body + numbers.d.to_bytes(n_size, "big")
    size = (len(public) - 8) // 2
    letter = {b"1": b"2", b"3": b"4", b"5": b"6"}[public[3:4]]
    secret = key.private_numbers().private_value.to_bytes(size, "big")
    return b"ECS" + letter + public[4:] + secret


def _sealed(key: PrivateKey, parameters: CData) -> bytes:
    """PKCS#8 under the password of NCRYPTBUFFER_PKCS_SECRET, encrypted as PKCS#12 does with 3DES."""
    given = {}
    for i in range(parameters.cBuffers):
        buffer = parameters.pBuffers[i]
        given[buffer.BufferType] = bytes(ffi.buffer(ffi.cast("BYTE *", buffer.pvBuffer), buffer.cbBuffer))
    if set(given) != {41, 42, 46} or given[41] != b"1.2.840.113549.1.12.1.3\0":
        raise Misuse("an encrypted export takes an algorithm, its parameters and a password")
    iterations, salt_size = struct.unpack_from("<II", given[42])
    if not iterations or len(given[42]) != 8 + salt_size:
        raise Misuse("CRYPT_PKCS12_PBE_PARAMS does not fit its salt")
    kdf = KeyDerivation(kind="PKCS12", hash_name="SHA-1", salt=given[42][8:], iterations=iterations)
    encryption = Encryption(scheme="PBES1", cipher="3DES-CBC", kdf=kdf)
    plain = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    sealed = encryption.encrypt(plain, given[46].decode("utf-16-le").rstrip("\0"))
    return der.write_sequence(write_encryption(encryption), der.write(der.OCTET_STRING, sealed))
