"""Certificate stores of Windows (`StorePort`), and what is done across all of them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import rsa

from mlsssl._formats.crl import check_der_crl
from mlsssl._formats.keys import spki
from mlsssl._formats.pem import load_der
from mlsssl._machine.ports import StoreRecord, check_provider, check_request_key, refuse_users_roots
from mlsssl._machine.stores import OpenStore, read_pfx, thumbprint_of
from mlsssl._windows import certificates, crls, system_stores
from mlsssl._windows.keys import blobs, stored
from mlsssl._windows.keys.pending import Pending, PendingKeys, digest
from mlsssl._windows.keys.requests import RequestKeys
from mlsssl.errors import (
    AccessDeniedError,
    NativeError,
    StoreError,
    StoreNotFoundError,
)
from mlsssl.values import Thumbprint, check_friendly_name, check_location, check_store_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from pathlib import Path

    from cryptography import x509

    from mlsssl._formats.keys import PrivateKey
    from mlsssl._machine.accounts import Account
    from mlsssl._machine.ports import Diagnosis, KeyAccess, KeyProvider, KeyRight, NewCertificate, Parsed
    from mlsssl._windows.certificates import KeyLink, StoredCertificate
    from mlsssl._windows.dlls import CertContext, Dlls, StoreHandle
    from mlsssl.values import Location


class WindowsStores:
    """The stores of this computer.

    Args:
        dlls: Windows.
        state_folder: Where notes about unfinished work on the machine's keys lie; asked for only by what changes them.
        user_folder: The same for the user's own keys, which need no administrator; `state_folder` when None.
    """

    def __init__(
        self, dlls: Dlls, state_folder: Callable[[], Path], user_folder: Callable[[], Path] | None = None
    ) -> None:
        self.dlls = dlls
        machine = PendingKeys(dlls, state_folder)
        user = machine if user_folder is None else PendingKeys(dlls, user_folder)
        self.pending: dict[Location, PendingKeys] = {"LocalMachine": machine, "CurrentUser": user}
        self.request_keys = RequestKeys(dlls, machine)

    def names(self, location: Location) -> list[str]:
        """The stores that exist there, sorted without case."""
        return system_stores.names(self.dlls, check_location(location))

    def open(
        self, name: str, location: Location, *, create: bool = False, write: bool = False, keep_open: bool = False
    ) -> WindowsStore:
        """Open a store; see `MachinePort.open_store`. That it exists, and the right to write, are tried here."""
        check_store_name(name)
        location = check_location(location)
        store = WindowsStore(self, name, location, writable=write, create=create, keep_open=keep_open)
        if not (create and keep_open):  # then the first look or change makes it
            store.try_to_open()
        return store

    def diagnose(self, thumbprint: Thumbprint, store_name: str) -> tuple[Diagnosis, ...]:
        """Why HTTP.sys could not use this certificate; empty when it can."""
        from mlsssl._windows.diagnosis import diagnose  # asked for when something is wrong

        return diagnose(self.dlls, thumbprint, check_store_name(store_name))

    def recover(self) -> list[str]:
        """Delete what a killed `add` or `remove` left: keys that no certificate names; a line per key."""
        return [line for pending in dict.fromkeys(self.pending.values()) for line in pending.recover()]


class WindowsStore(OpenStore):
    """A `StorePort` over Crypt32. Each operation opens the store, commits what it changed, and closes it.

    So listings are never stale, a change is on disk when its method returns, and nothing stays open when a program
    forgets to close. With `keep_open` the handle stays for the next look, until something is changed or fails: a handle
    shows no change of others.
    """

    def __init__(
        self,
        stores: WindowsStores,
        name: str,
        location: Location,
        *,
        writable: bool,
        create: bool,
        keep_open: bool,
    ) -> None:
        super().__init__(name, location, writable=writable)
        self._create = create
        self._keep_open = keep_open
        self._kept: tuple[contextlib.ExitStack, StoreHandle] | None = None
        self._dlls = stores.dlls
        self._pending = stores.pending[location]
        self._request_keys = stores.request_keys

    def try_to_open(self) -> None:
        """Open it: that it exists, and the right to write, show here."""
        with self._opened():
            pass

    def close(self) -> None:
        """Close the handle, if one is open; idempotent."""
        super().close()
        self._close_handle()

    def thumbprints(self) -> Iterator[Thumbprint]:
        """Every listed certificate's thumbprint, as they were when the first was asked for."""
        self._check_open()

        def look(context: CertContext) -> Thumbprint | None:
            return (
                None if certificates.is_archived(self._dlls, context) else thumbprint_of(certificates.encoded(context))
            )

        with self._opened() as store:
            found = system_stores.all_of(self._dlls, store, look)
        self._close_handle()  # nothing stays open while the caller goes through them
        for thumbprint in found:
            if thumbprint is not None:
                yield thumbprint

    def records(self) -> Iterator[StoreRecord]:
        """The records behind `thumbprints`; each key is opened when its record is asked for."""
        self._check_open()
        with self._opened() as store:
            found = system_stores.all_of(self._dlls, store, lambda context: certificates.read(self._dlls, context))
        self._close_handle()  # nothing stays open while the caller goes through them
        for item in found:
            if not item.archived:
                yield self._record(item)

    def records_for_host(self, wanted: x509.DNSName | x509.IPAddress) -> Iterator[StoreRecord]:
        """All of `records`: Windows has no index of names."""
        del wanted
        return self.records()

    def certificates(self, wanted: Callable[[bytes], bool]) -> list[bytes]:
        """The certificates that are wanted; see `StorePort.certificates`."""
        self._check_open()
        found = []

        def look(context: CertContext) -> None:
            der = certificates.encoded(context)
            if wanted(der) and not certificates.is_archived(self._dlls, context):
                found.append(der)

        with self._opened() as store:
            system_stores.all_of(self._dlls, store, look)
        return found

    def find(self, thumbprint: Thumbprint) -> StoreRecord | None:
        """The record, archived or not, or None."""
        found = self._read(thumbprint)
        return None if found is None else self._record(found)

    def add(
        self,
        certificate: bytes,
        private_key: bytes | None,
        *,
        friendly_name: str | None,
        exportable: bool,
        provider: KeyProvider | None,
        request_key: str | None = None,
        parsed: Parsed | None = None,
    ) -> StoreRecord:
        """Put a certificate in, with its key if one is given; see `StorePort.add`. Windows reads them itself."""
        self._check_changing()
        certificate = bytes(certificate)
        _check_certificate(certificate)
        check_friendly_name(friendly_name)
        key = None if private_key is None else blobs.load_private_key(bytes(private_key))
        check_provider(provider, is_rsa=key is None or isinstance(key, rsa.RSAPrivateKey))
        check_request_key(request_key, private_key, self.location)
        new = None if key is None else _NewKey(key, exportable=exportable, provider=provider)
        return self._add(certificate, friendly_name, new, request_key)

    def add_many(
        self, items: Iterable[NewCertificate], *, exportable: bool, provider: KeyProvider | None = None
    ) -> int:
        """Put many in, one after the other; see `StorePort.add_many`."""
        self._check_changing()
        count = 0
        for item in items:
            self.add(
                item.certificate,
                item.private_key,
                friendly_name=item.friendly_name,
                exportable=exportable,
                provider=provider,
            )
            count += 1
        return count

    def import_pfx(
        self,
        data: bytes,
        password: str | None,
        *,
        exportable: bool,
        friendly_name: str | None,
        alias: str | None = None,
    ) -> tuple[StoreRecord, tuple[bytes, ...]]:
        """Take a PFX; see `StorePort.import_pfx`. Without `friendly_name` the one in the file is taken.

        It is read here first: so a wrong password and a damaged file are told apart, which Windows does not, and
        a file whose encryption this Windows cannot read is imported all the same. Of a file with more in it than is
        taken Windows is given nothing, for it would import every key.
        """
        self._check_changing()
        check_friendly_name(friendly_name)
        data = bytes(data)
        content = read_pfx(data, password, alias)
        record = self._add(
            content.certificate,
            content.friendly_name if friendly_name is None else friendly_name,
            _NewKey(
                blobs.checked(content.private_key),
                exportable=exportable,
                pfx=None if content.in_part else (data, password),
            ),
        )
        return record, content.others

    def export_key(self, thumbprint: Thumbprint) -> bytes:
        """The private key as PKCS#8 DER; see `StorePort.export_key`."""
        return stored.export(self._dlls, self._usable_link(thumbprint))

    def key_access(self, thumbprint: Thumbprint) -> tuple[KeyAccess, ...]:
        """The access list of its private key; see `StorePort.key_access`."""
        from mlsssl._windows.keys import access  # for this and the next two alone

        return access.look(self._dlls, self._usable_link(thumbprint))

    def grant_key_access(self, thumbprint: Thumbprint, account: Account, *, right: KeyRight = "read") -> None:
        """Let an account use the private key; see `StorePort.grant_key_access`."""
        from mlsssl._windows.keys import access

        self._check_changing()
        with self._pending.changing():  # so that none of two changes of one list is lost
            access.grant(self._dlls, self._usable_link(thumbprint), account, right)

    def revoke_key_access(self, thumbprint: Thumbprint, account: Account) -> None:
        """Take the right away again; see `StorePort.revoke_key_access`."""
        from mlsssl._windows.keys import access

        self._check_changing()
        with self._pending.changing():
            access.revoke(self._dlls, self._usable_link(thumbprint), account)

    def set_friendly_name(self, thumbprint: Thumbprint, friendly_name: str | None) -> None:
        """Set or clear the name."""
        check_friendly_name(friendly_name)
        self._change(thumbprint, lambda context: certificates.set_friendly_name(self._dlls, context, friendly_name))

    def set_archived(self, thumbprint: Thumbprint, archived: bool) -> None:
        """Hide from or show in listings."""
        self._change(thumbprint, lambda context: certificates.set_archived(self._dlls, context, archived))

    def set_renewed_by(self, thumbprint: Thumbprint, newer: Thumbprint | None) -> None:
        """Set or clear the CERT_RENEWAL mark."""
        self._change(thumbprint, lambda context: certificates.set_renewed_by(self._dlls, context, newer))

    def remove(self, thumbprint: Thumbprint, *, delete_key: bool) -> None:
        """Take a certificate out; see `StorePort.remove`.

        The certificate goes first, its key second: a key without its certificate is found again by `recover`, a
        certificate without its key is broken.
        """
        self._check_changing()
        refuse_users_roots(self.name, self.location)
        with self._pending.changing():
            self._close_handle()  # what it shows may have changed before the lock was ours
            before = self._read(thumbprint)
            if before is None:
                raise self._missing(thumbprint)
            if delete_key and before.link is not None and self._is_only_user(before.link, before.der):
                identity = blobs.certificate_identity(before.der)
                with self._pending.noted(Pending(links=(before.link,), public=digest(identity))):
                    self._delete(thumbprint)
            else:
                self._delete(thumbprint)

    def crls(self, wanted: Callable[[bytes], bool] | None = None) -> list[bytes]:
        """The revocation lists that are wanted; see `StorePort.crls`."""
        self._check_open()
        with self._opened() as store:
            return list(dict.fromkeys(crls.all_of(self._dlls, store, wanted)))

    def add_crl(self, crl: bytes, *, replacing: Collection[bytes] = ()) -> None:
        """Put a revocation list in; see `StorePort.add_crl`.

        Through one handle: an implementation that keeps one list of an issuer must not read between the two changes.
        """
        self._check_changing()
        crl = bytes(crl)
        check_der_crl(crl)
        with self._opened_registry() as store:
            if crl not in crls.all_of(self._dlls, store):
                crls.add(self._dlls, store, crl)
            for other in replacing:
                if other != crl:
                    crls.delete(self._dlls, store, other)
        if crl not in self.crls():  # through a fresh handle: a success code is not proof
            raise StoreError(f"Windows reported success, yet the revocation list is not in {self._where}")

    def remove_crl(self, crl: bytes) -> None:
        """Take a revocation list out; see `StorePort.remove_crl`."""
        self._check_changing()
        crl = bytes(crl)
        with self._opened_registry() as store:
            found = crls.delete(self._dlls, store, crl)
        there = crl in self.crls()
        if there and found:
            raise StoreError(
                f"Windows reported success, yet the revocation list is still in {self._where}; another physical store "
                "below it may have it too (group policy, or LocalMachine below CurrentUser)"
            )
        if there:
            raise StoreNotFoundError(
                f"{self._where} shows this revocation list, but does not hold it itself: it comes from group policy, "
                "or from LocalMachine below CurrentUser; remove it there"
            )
        if not found:
            raise StoreNotFoundError(f"this revocation list is not in {self._where}")

    # ---- parts ----

    def _usable_link(self, thumbprint: Thumbprint) -> KeyLink:
        """The link to the certificate's key, which is there and its own; `StoreNotFoundError` otherwise."""
        found = self._read(thumbprint)
        if found is None:
            raise self._missing(thumbprint)
        identity = None if found.link is None else stored.identity(self._dlls, found.link)
        if found.link is None or identity is None or identity != blobs.certificate_identity(found.der):
            raise StoreNotFoundError(f"{thumbprint} in {self._where} has no usable private key")
        return found.link

    @contextlib.contextmanager
    def _opened(self, *, change: bool = False) -> Iterator[StoreHandle]:
        """The handle that was kept, or a new one; committed at the end with `change`, else kept if it shall be."""
        kept, self._kept = self._kept, None
        with contextlib.ExitStack() if kept is None else kept[0] as stack:
            if kept is not None:
                store = kept[1]
            else:
                opening = system_stores.opened(
                    self._dlls, self.name, self.location, write=self._writable, create=self._create
                )
                store = stack.enter_context(opening)
                self._create = False
            yield store
            if change:
                system_stores.commit(self._dlls, store)
            elif self._keep_open:
                self._kept = stack.pop_all(), store

    @contextlib.contextmanager
    def _opened_registry(self) -> Iterator[StoreHandle]:
        # Through the collection a deletion would reach into every physical store below it, LocalMachine's too.
        self._close_handle()
        with system_stores.opened(self._dlls, self.name, self.location, write=True, registry_only=True) as store:
            yield store
            system_stores.commit(self._dlls, store)

    def _close_handle(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            kept[0].close()

    def _read(self, thumbprint: Thumbprint) -> StoredCertificate | None:
        self._check_open()
        with self._opened() as store, system_stores.found(self._dlls, store, thumbprint) as context:
            return None if context is None else certificates.read(self._dlls, context)

    def _record(self, found: StoredCertificate) -> StoreRecord:
        return StoreRecord(
            certificate=found.der,
            friendly_name=found.friendly_name,
            archived=found.archived,
            key=None if found.link is None else stored.state(self._dlls, found.link, found.der),
            renewed_by=found.renewed_by,
        )

    def _add(
        self, certificate: bytes, friendly_name: str | None, new: _NewKey | None, request_key: str | None = None
    ) -> StoreRecord:
        refuse_users_roots(self.name, self.location)
        thumbprint = thumbprint_of(certificate)
        with self._pending.changing():
            self._close_handle()  # what it shows may have changed before the lock was ours
            before = self._read(thumbprint)
            link = None
            if request_key is not None:
                link = self._request_keys.link_for(request_key, blobs.certificate_identity(certificate))
            replaced = None if before is None else before.link
            if before is not None and stored.fits(self._record(before).key, self.location):
                self._put(certificate, friendly_name, None)
            elif new is not None:
                self._put_with_key(certificate, friendly_name, new, replaced)
            elif link is not None and replaced is not None:
                # The link that is replaced is written down: its key goes unless somebody needs it.
                with self._pending.noted(Pending(links=(replaced,), public=digest(None))):
                    self._put(certificate, friendly_name, link)
            else:
                self._put(certificate, friendly_name, link)
            record = self.find(thumbprint)  # through a fresh handle: a success code is not proof
        if record is None:
            raise StoreError(f"Windows reported success, yet {thumbprint} is not in {self._where}")
        return record

    def _put_with_key(
        self, certificate: bytes, friendly_name: str | None, new: _NewKey, replaced: KeyLink | None
    ) -> None:
        """The key first, under a name that is written down before it exists, then the certificate that names it."""
        machine = self.location == "LocalMachine"
        name = stored.new_name()
        there = None
        if new.pfx is not None:
            # Where containers cannot be listed, one that Windows names could be lost: then the key goes in by hand.
            with contextlib.suppress(NativeError, AccessDeniedError):
                there = stored.containers(self._dlls, machine=machine)
        pending = Pending(
            # The link that is replaced is written down too: its key goes unless somebody needs it.
            links=(*stored.possible_links(name, machine=machine), *([] if replaced is None else [replaced])),
            public=digest(spki(new.key.public_key())),
            before=None if there is None else frozenset(link.container for link in there),
            machine=machine,
        )
        with self._pending.noted(pending) as note:
            link = None
            if new.pfx is not None and there is not None:
                from mlsssl._windows.keys import pfx  # for this alone

                data, password = new.pfx
                link = pfx.import_key(
                    self._dlls, data, password, certificate, note, location=self.location, exportable=new.exportable
                )
            if link is None:
                link = stored.persist(
                    self._dlls, name, new.key, machine=machine, exportable=new.exportable, provider=new.provider
                )
            self._put(certificate, friendly_name, link)
            if note.pending.links == pending.links and replaced is None:
                note.settle()

    def _put(self, certificate: bytes, friendly_name: str | None, link: KeyLink | None) -> None:
        """Add a certificate that is not there with its properties in one step, else set those on the one there."""

        def describe(context: CertContext) -> None:
            if friendly_name is not None:
                certificates.set_friendly_name(self._dlls, context, friendly_name)
            if link is not None:  # last, for it is what the rest is about
                certificates.set_key_link(self._dlls, context, link)

        with self._opened(change=True) as store, certificates.created(self._dlls, certificate) as context:
            describe(context)
            # Never a replacing disposition: it drops the other properties.
            if not system_stores.add_new(self._dlls, store, context):
                with system_stores.found(self._dlls, store, thumbprint_of(certificate)) as stored:
                    if stored is None:
                        raise StoreError(f"somebody else is changing {self._where}; try again")
                    describe(stored)

    def _change(self, thumbprint: Thumbprint, change: Callable[[CertContext], None]) -> None:
        self._check_changing()
        with (
            self._opened(change=True) as store,
            system_stores.found(self._dlls, store, thumbprint) as context,
        ):
            if context is None:
                raise self._missing(thumbprint)
            change(context)

    def _delete(self, thumbprint: Thumbprint) -> None:
        with self._opened(change=True) as store:
            if not system_stores.delete(self._dlls, store, thumbprint):
                raise self._missing(thumbprint)

    def _is_only_user(self, link: KeyLink, certificate: bytes) -> bool:
        """Whether the key behind a link is the certificate's own and nobody else needs it."""
        if link.container in self._pending.held():
            return False
        if not stored.is_ours(link):
            # A container with another key in it is somebody else's, whatever this certificate says.
            identity = stored.identity(self._dlls, link)
            if identity is None or identity != blobs.certificate_identity(certificate):
                return False
        return not stored.serves_another(self._dlls, link, certificate)


@dataclass(frozen=True, slots=True)
class _NewKey:
    """A key on its way in.

    Attributes:
        key: The private key.
        exportable: Whether it may be read back.
        provider: Which storage, or None.
        pfx: The file and password that it came in, when Windows is to import it.
    """

    key: PrivateKey = field(repr=False)
    exportable: bool = field(kw_only=True)
    provider: KeyProvider | None = field(default=None, kw_only=True)
    pfx: tuple[bytes, str | None] | None = field(default=None, repr=False, kw_only=True)


def _check_certificate(certificate: bytes) -> None:
    load_der(certificate, "not a DER certificate")
