"""A fake crypt32.dll: system stores, certificate contexts with reference counts, properties, PFX import.

Strict where Windows is undefined: a handle or context that is not open, a context freed once too often, or a
structure whose length is not the declared one is `Misuse`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from mlsssl._fakes import chain_engine, pfx_import
from mlsssl._fakes.calls import Calls, Fake, Misuse, returns_bool, returns_handle
from mlsssl._fakes.computer import CURRENT_USER, LOCAL_MACHINE, Computer, Entry, FakeStore, ProvInfo
from mlsssl._native.cdata import NULL, address_of, ffi, text_at, wide

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlsssl._native.cdata import CData
    from mlsssl._windows.dlls import CertContext, ChainContext, ChainEngine, CrlContext, StoreHandle

FILE_NOT_FOUND, ACCESS_DENIED, INVALID_PARAMETER, MORE_DATA = 2, 5, 87, 234
E_INVALIDARG, ASN1_BADTAG, NOT_FOUND, EXISTS = 0x80070057, 0x8009310B, 0x80092004, 0x80092005

KEY_PROV_INFO, SHA1_HASH, ARCHIVED = 2, 3, 19
READONLY, OPEN_EXISTING, ENUM_ARCHIVED = 0x8000, 0x4000, 0x200
ENCODINGS = 0x10001
ADD_NEW, USE_EXISTING, REPLACE_EXISTING, ADD_ALWAYS = 1, 2, 3, 4


@dataclass(eq=False)
class OpenStore:
    """What a store handle stands for."""

    entries: list[Entry]
    crls: list[Entry] = field(default_factory=list)
    behind: FakeStore | None = None
    asks: bool = False  # CurrentUser's Root: Windows shows a dialog before each change
    writable: bool = True
    shows_archived: bool = True
    dirty: bool = False


@dataclass(eq=False)
class OpenContext:
    """What a context pointer stands for; the C memory lives as long as this."""

    entry: Entry
    store: OpenStore | None
    memory: CData
    references: int = 1
    owners: tuple[object, ...] = field(default=())


@dataclass(eq=False)
class OpenCrl:
    """What a revocation list's context stands for."""

    entry: Entry
    store: OpenStore
    memory: tuple[object, ...]


class FakeCrypt32(Fake):
    """crypt32.dll (`mlsssl._windows.dlls.Crypt32`) over a `Computer`."""

    def __init__(self, calls: Calls, computer: Computer) -> None:
        super().__init__(calls)
        self.computer = computer
        self._stores: dict[int, OpenStore] = {}
        self._contexts: dict[int, OpenContext] = {}
        self._crls: dict[int, OpenCrl] = {}
        self._engines: dict[int, list[Entry]] = {}
        self._chains: dict[int, tuple[chain_engine.BuiltChain, list[CertContext]]] = {}
        self._next = 0x1000

    # ---- stores ----

    @returns_handle
    def CertOpenStore(
        self, provider: CData, encoding: int, _legacy: CData, flags: int, name: CData, /
    ) -> StoreHandle | int:
        """CERT_STORE_PROV_MEMORY; _SYSTEM_W and _SYSTEM_REGISTRY_W, which are one here, of the machine or the user."""
        if address_of(provider) == 2 and not name:
            return self._store(OpenStore([]))
        if address_of(provider) not in (10, 13) or encoding:
            raise Misuse("only CERT_STORE_PROV_MEMORY, _SYSTEM_W and _SYSTEM_REGISTRY_W are known here")
        location = flags & 0xFF0000
        if location not in (CURRENT_USER, LOCAL_MACHINE):
            return E_INVALIDARG
        text = text_of(name)
        if code := self.computer.unopenable.get((location, text.casefold()), 0):
            return code
        store = self.computer.stores.get((location, text.casefold()))
        if store is None:
            if flags & OPEN_EXISTING:
                return FILE_NOT_FOUND
            if not self._may_write(location):
                return ACCESS_DENIED
            store = self.computer.stores[location, text.casefold()] = FakeStore(text)
        writable = not flags & READONLY
        if writable and not self._may_write(location):
            return ACCESS_DENIED
        copied = self.computer.writes == "at-commit"
        entries = [entry.copy() for entry in store.entries] if copied else store.entries
        crls = [entry.copy() for entry in store.crls] if copied else store.crls
        shows_archived = bool(flags & ENUM_ARCHIVED)
        asks = location == CURRENT_USER and text.casefold() == "root"
        return self._store(OpenStore(entries, crls, store, asks, writable=writable, shows_archived=shows_archived))

    @returns_bool
    def CertControlStore(self, store: StoreHandle, flags: int, kind: int, _para: CData, /) -> int:
        """CERT_STORE_CTRL_COMMIT only."""
        opened = self._open_store(store)
        if kind != 3:
            return INVALID_PARAMETER
        if opened.dirty or flags & 1:
            _commit(opened)
        return 0

    def CertCloseStore(self, store: StoreHandle, flags: int, /) -> int:
        """Closes in any case, also when made to fail."""
        code = self.calls.enter("CertCloseStore")
        opened = self._open_store(store)
        if flags:
            raise Misuse("a close that leaves contexts behind, or pulls them away")
        if opened.dirty:
            _commit(opened)
        del self._stores[address_of(store)]
        self.calls.close("store")
        self.calls.last_error = code or self.calls.last_error
        return 0 if code else 1

    @returns_bool
    def CertEnumSystemStore(self, flags: int, _para: CData, arg: CData, function: CData | Callable[..., int], /) -> int:
        """Calls back for each; a false answer ends it."""
        names = [store.name for (location, _), store in self.computer.stores.items() if location == flags]
        for name in names:
            text = wide(name)
            if not cast("Any", function)(ffi.cast("void *", text), flags, NULL, NULL, arg):
                break
        return 0 if names else FILE_NOT_FOUND

    # ---- contexts ----

    def CertEnumCertificatesInStore(self, store: StoreHandle, previous: CertContext, /) -> CertContext:
        """Frees the previous one, also when made to fail."""
        code = self.calls.enter("CertEnumCertificatesInStore")
        opened = self._open_store(store)
        start = 0
        if previous:
            start = self._position(opened, previous) + 1
            self._free(previous)
        if not code:
            for entry in opened.entries[start:]:
                if opened.shows_archived or ARCHIVED not in entry.properties:
                    return self._context(entry, opened)
        self.calls.last_error = code or NOT_FOUND
        return cast("CertContext", NULL)

    def CertFindCertificateInStore(
        self,
        store: StoreHandle,
        encoding: int,
        flags: int,
        kind: int,
        what: CData,
        previous: CertContext,
        /,
    ) -> CertContext:
        """CERT_FIND_SHA1_HASH only; frees the previous one, also when made to fail."""
        code = self.calls.enter("CertFindCertificateInStore")
        opened = self._open_store(store)
        if encoding != ENCODINGS or flags or kind != 0x10000 or what.cbData != 20:
            raise Misuse("only a search by SHA-1 is known here")
        if previous:
            self._free(previous)
        digest = bytes(ffi.buffer(what.pbData, 20))
        if not code:
            for entry in opened.entries:
                if hashlib.sha1(entry.der, usedforsecurity=False).digest() == digest:
                    return self._context(entry, opened)
        self.calls.last_error = code or NOT_FOUND
        return cast("CertContext", NULL)

    @returns_handle
    def CertCreateCertificateContext(self, encoding: int, data: CData, size: int, /) -> CertContext | int:
        """Reads the outer SEQUENCE only, as far as a fake must."""
        der = bytes(ffi.buffer(ffi.cast("BYTE *", data), size))
        if encoding != ENCODINGS or der[:1] != b"\x30":
            return ASN1_BADTAG
        return self._context(Entry(der), None)

    def CertFreeCertificateContext(self, context: CertContext, /) -> int:
        """Always TRUE; nothing to make fail."""
        self.calls.enter("CertFreeCertificateContext")
        self._free(context)
        return 1

    @returns_bool
    def CertAddCertificateContextToStore(
        self, store: StoreHandle, context: CertContext, disposition: int, result: CData, /
    ) -> int:
        """The dispositions NEW, USE_EXISTING, REPLACE_EXISTING and ALWAYS."""
        opened = self._open_store(store)
        entry = self._open_context(context).entry.copy()
        if not opened.writable:
            return ACCESS_DENIED
        existing = next((old for old in opened.entries if old.der == entry.der), None)
        if disposition not in (ADD_NEW, USE_EXISTING, REPLACE_EXISTING, ADD_ALWAYS):
            raise Misuse(f"disposition {disposition} is not known here")
        if existing is not None and disposition == ADD_NEW:
            return EXISTS
        if existing is not None and disposition == USE_EXISTING:
            entry = existing
        else:
            _ask_nobody(opened)
            if existing is not None and disposition == REPLACE_EXISTING:
                opened.entries.remove(existing)
            opened.entries.append(entry)
            opened.dirty = True
        if result:
            result[0] = self._context(entry, opened)
        return 0

    def CertDeleteCertificateFromStore(self, context: CertContext, /) -> int:
        """Frees the context, also when it fails."""
        code = self.calls.enter("CertDeleteCertificateFromStore")
        opened = self._open_context(context)
        store = opened.store
        if store is None:
            raise Misuse("a context of no store is deleted from its store")
        self._free(context)
        code = code or (0 if store.writable else ACCESS_DENIED)
        if not code:
            _ask_nobody(store)
            store.entries[:] = [entry for entry in store.entries if entry is not opened.entry]
            store.dirty = True
        self.calls.last_error = code or self.calls.last_error
        return 0 if code else 1

    @returns_bool
    def CertGetCertificateContextProperty(self, context: CertContext, number: int, data: CData, size: CData, /) -> int:
        """Size probe and answer; the pointers of KEY_PROV_INFO lead into the caller's buffer."""
        entry = self._open_context(context).entry
        if number == SHA1_HASH:
            value: bytes | ProvInfo | None = hashlib.sha1(entry.der, usedforsecurity=False).digest()
        else:
            value = entry.properties.get(number)
        if value is None:
            return NOT_FOUND
        content = _prov_info_bytes(value, address_of(data)) if isinstance(value, ProvInfo) else value
        room = size[0]
        size[0] = len(content)
        if not data:
            return 0
        if room < len(content):
            return MORE_DATA
        ffi.memmove(ffi.cast("BYTE *", data), content, len(content))
        return 0

    @returns_bool
    def CertSetCertificateContextProperty(self, context: CertContext, number: int, flags: int, data: CData, /) -> int:
        """A NULL takes the property away. On a stored context it changes the store, without marking it."""
        opened = self._open_context(context)
        if flags:
            raise Misuse("no flags are known here")
        if opened.store is not None and not opened.store.writable:
            return ACCESS_DENIED
        if not data:
            opened.entry.properties.pop(number, None)
        elif number == KEY_PROV_INFO:
            info = ffi.cast("CRYPT_KEY_PROV_INFO *", data)
            opened.entry.properties[number] = ProvInfo(
                container=text_of(info.pwszContainerName) if info.pwszContainerName else None,
                provider=text_of(info.pwszProvName) if info.pwszProvName else None,
                provider_type=info.dwProvType,
                flags=info.dwFlags,
                key_spec=info.dwKeySpec,
            )
        else:
            blob = ffi.cast("CRYPT_DATA_BLOB *", data)
            opened.entry.properties[number] = bytes(ffi.buffer(blob.pbData, blob.cbData)) if blob.cbData else b""
        return 0

    # ---- revocation lists ----

    def CertEnumCRLsInStore(self, store: StoreHandle, previous: CrlContext, /) -> CrlContext:
        """Frees the previous one, also when made to fail."""
        code = self.calls.enter("CertEnumCRLsInStore")
        opened = self._open_store(store)
        start = 0
        if previous:
            entry = self._free_crl(previous).entry
            start = next((i + 1 for i, other in enumerate(opened.crls) if other is entry), len(opened.crls))
        if not code and start < len(opened.crls):
            return self._crl_context(opened.crls[start], opened)
        self.calls.last_error = code or NOT_FOUND
        return cast("CrlContext", NULL)

    @returns_bool
    def CertAddEncodedCRLToStore(
        self, store: StoreHandle, encoding: int, data: CData, size: int, disposition: int, result: CData, /
    ) -> int:
        """CERT_STORE_ADD_ALWAYS only. Reads the outer SEQUENCE only, as far as a fake must."""
        opened = self._open_store(store)
        der = bytes(ffi.buffer(ffi.cast("BYTE *", data), size))
        if disposition != ADD_ALWAYS or result:
            raise Misuse(f"disposition {disposition}, or a result that is asked for, is not known here")
        if encoding != ENCODINGS or der[:1] != b"\x30":
            return ASN1_BADTAG
        if not opened.writable:
            return ACCESS_DENIED
        opened.crls.append(Entry(der))
        opened.dirty = True
        return 0

    def CertDeleteCRLFromStore(self, context: CrlContext, /) -> int:
        """Frees the context, also when it fails."""
        code = self.calls.enter("CertDeleteCRLFromStore")
        freed = self._free_crl(context)
        code = code or (0 if freed.store.writable else ACCESS_DENIED)
        if not code:
            freed.store.crls[:] = [entry for entry in freed.store.crls if entry is not freed.entry]
            freed.store.dirty = True
        self.calls.last_error = code or self.calls.last_error
        return 0 if code else 1

    def CertFreeCRLContext(self, context: CrlContext, /) -> int:
        """Always TRUE; nothing to make fail."""
        self.calls.enter("CertFreeCRLContext")
        if context:  # NULL is documented as allowed
            self._free_crl(context)
        return 1

    # ---- PFX ----

    @returns_handle
    def PFXImportCertStore(self, pfx: CData, password: CData, flags: int, /) -> StoreHandle | int:
        """A store in memory; the keys are persisted at once."""
        data = bytes(ffi.buffer(pfx.pbData, pfx.cbData))
        imported = pfx_import.import_pfx(self.computer, data, text_of(password) if password else None, flags)
        return imported if isinstance(imported, int) else self._store(OpenStore(imported))

    # ---- chains ----

    @returns_bool
    def CertCreateCertificateChainEngine(self, config: CData, result: CData, /) -> int:
        """An engine with the roots of hExclusiveRoot."""
        forms = {ffi.sizeof("CERT_CHAIN_ENGINE_CONFIG"), ffi.offsetof("CERT_CHAIN_ENGINE_CONFIG", "dwExclusiveFlags")}
        if config.cbSize not in forms:
            return E_INVALIDARG
        roots = [entry.copy() for entry in self._open_store(config.hExclusiveRoot).entries]
        handle = ffi.cast("HCERTCHAINENGINE", self._number())
        self._engines[address_of(handle)] = roots
        self.calls.open("engine")
        result[0] = handle
        return 0

    def CertFreeCertificateChainEngine(self, engine: ChainEngine, /) -> None:
        """Returns nothing, so nothing can be made to fail."""
        self.calls.enter("CertFreeCertificateChainEngine")
        if self._engines.pop(address_of(engine), None) is None:
            raise Misuse("a chain engine is freed that is not open")
        self.calls.close("engine")

    @returns_bool
    def CertGetCertificateChain(
        self,
        engine: ChainEngine,
        context: CertContext,
        time: CData,
        additional: StoreHandle,
        para: CData,
        _flags: int,
        _reserved: CData,
        result: CData,
        /,
    ) -> int:
        """TRUE says only that a context was built."""
        if para.cbSize != ffi.sizeof("CERT_CHAIN_PARA"):
            return E_INVALIDARG
        if address_of(engine) in self._engines:
            roots = self._engines[address_of(engine)]
        elif address_of(engine) in (0, 1):
            places = (LOCAL_MACHINE,) if address_of(engine) else (CURRENT_USER, LOCAL_MACHINE)
            roots = [entry for place in places for entry in self.computer.stores[place, "root"].entries]
        else:
            raise Misuse("a chain engine is used that is not open")
        others = self._open_store(additional).entries if additional else []
        leaf = self._open_context(context).entry
        built = chain_engine.build(leaf, others, roots, time, para)
        contexts = [self._context(entry, None) for entry in built.entries]
        chain = built.lay_out(contexts)
        self._chains[address_of(chain)] = (built, contexts)
        self.calls.open("chain")
        result[0] = chain
        return 0

    def CertFreeCertificateChain(self, chain: ChainContext, /) -> None:
        """Frees the contexts of its elements as well."""
        self.calls.enter("CertFreeCertificateChain")
        found = self._chains.pop(address_of(chain), None)
        if found is None:
            raise Misuse("a chain is freed that is not open")
        for context in found[1]:
            self._free(context)
        self.calls.close("chain")

    @returns_bool
    def CertVerifyCertificateChainPolicy(
        self, policy: CData, chain: ChainContext, para: CData, status: CData, /
    ) -> int:
        """The SSL policy: one code of the chain's, or the name's."""
        found = self._chains.get(address_of(chain))
        if found is None:
            raise Misuse("a chain is judged that is not open")
        if address_of(policy) != 4 or para.cbSize != ffi.sizeof("CERT_CHAIN_POLICY_PARA"):
            return INVALID_PARAMETER
        found[0].judge(para, status)
        return 0

    # ---- parts ----

    def _number(self) -> int:
        self._next += 0x10
        return self._next

    def _may_write(self, location: int) -> bool:
        return self.computer.administrator or location == CURRENT_USER

    def _store(self, opened: OpenStore) -> StoreHandle:
        handle = cast("StoreHandle", ffi.cast("HCERTSTORE", self._number()))
        self._stores[address_of(handle)] = opened
        self.calls.open("store")
        return handle

    def _open_store(self, handle: StoreHandle) -> OpenStore:
        opened = self._stores.get(address_of(handle))
        if opened is None:
            raise Misuse("a store handle is used that is not open")
        return opened

    def _context(self, entry: Entry, store: OpenStore | None) -> CertContext:
        encoded = ffi.new("BYTE[]", entry.der)
        memory = ffi.new("CERT_CONTEXT *")
        memory.dwCertEncodingType, memory.pbCertEncoded, memory.cbCertEncoded = 1, encoded, len(entry.der)
        self._contexts[address_of(memory)] = OpenContext(entry, store, memory, owners=(encoded,))
        self.calls.open("context")
        return cast("CertContext", ffi.cast("CERT_CONTEXT *", memory))

    def _open_context(self, context: CertContext) -> OpenContext:
        opened = self._contexts.get(address_of(context))
        if opened is None:
            raise Misuse("a certificate context is used that is not open")
        return opened

    def _free(self, context: CertContext) -> None:
        if not context:
            return  # documented as allowed
        opened = self._open_context(context)
        opened.references -= 1
        if not opened.references:
            del self._contexts[address_of(context)]
        self.calls.close("context")

    def _crl_context(self, entry: Entry, store: OpenStore) -> CrlContext:
        encoded = ffi.new("BYTE[]", entry.der)
        memory = ffi.new("CRL_CONTEXT *")
        memory.dwCertEncodingType, memory.pbCrlEncoded, memory.cbCrlEncoded = 1, encoded, len(entry.der)
        self._crls[address_of(memory)] = OpenCrl(entry, store, (memory, encoded))
        self.calls.open("revocation list")
        return cast("CrlContext", ffi.cast("CRL_CONTEXT *", memory))

    def _free_crl(self, context: CrlContext) -> OpenCrl:
        opened = self._crls.pop(address_of(context), None)
        if opened is None:
            raise Misuse("a revocation list's context is used that is not open")
        self.calls.close("revocation list")
        return opened

    def _position(self, store: OpenStore, context: CertContext) -> int:
        entry = self._open_context(context).entry
        return next((i for i, other in enumerate(store.entries) if other is entry), len(store.entries))


def _ask_nobody(store: OpenStore) -> None:
    if store.asks:
        raise Misuse("a change to CurrentUser's Root: Windows opens a dialog, for which a service waits without end")


def _commit(opened: OpenStore) -> None:
    opened.dirty = False
    if opened.behind is not None and opened.behind.entries is not opened.entries:
        opened.behind.entries = [entry.copy() for entry in opened.entries]
        opened.behind.crls = [entry.copy() for entry in opened.crls]


def text_of(pointer: CData) -> str:
    return text_at(pointer, 1 << 16)


def _prov_info_bytes(value: ProvInfo, address: int) -> bytes:
    """CRYPT_KEY_PROV_INFO with its strings behind it, for a buffer at `address`."""
    info = ffi.new("CRYPT_KEY_PROV_INFO *")
    strings = b""
    start = address + ffi.sizeof("CRYPT_KEY_PROV_INFO")
    for name, text in (("pwszContainerName", value.container), ("pwszProvName", value.provider)):
        if text is not None:
            setattr(info, name, ffi.cast("WCHAR *", start + len(strings)))
            strings += bytes(ffi.buffer(wide(text)))
    info.dwProvType, info.dwFlags, info.dwKeySpec = value.provider_type, value.flags, value.key_spec
    return bytes(ffi.buffer(ffi.cast("BYTE *", info), ffi.sizeof("CRYPT_KEY_PROV_INFO"))) + strings
