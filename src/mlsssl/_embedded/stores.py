"""One certificate store of the machine's file: certificates, their private keys, revocation lists."""

from __future__ import annotations

import hashlib
import itertools
import uuid
from dataclasses import dataclass
from functools import cache
from operator import attrgetter
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization

from mlsssl._embedded.names import LOOK, names_of
from mlsssl._formats import foreign, pem
from mlsssl._formats.crl import check_der_crl
from mlsssl._formats.hosts import looked_for_under
from mlsssl._formats.keys import spki
from mlsssl._machine.ports import (
    Cause,
    KeyAccess,
    KeyState,
    NewCertificate,
    Parsed,
    StoreRecord,
    check_provider,
    check_request_key,
    refuse_users_roots,
)
from mlsssl._machine.stores import OpenStore, read_pfx, thumbprint_of
from mlsssl.errors import (
    AccessDeniedError,
    InvalidInputError,
    MalformedDataError,
    NotFoundError,
    StoreNotFoundError,
)
from mlsssl.values import Thumbprint, check_friendly_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator

    from cryptography import x509

    from mlsssl._embedded.database import Database, Row, Value
    from mlsssl._machine.accounts import Account
    from mlsssl._machine.ports import KeyProvider, KeyRight
    from mlsssl.values import Location

CNG = "mlsssl Embedded Key Storage Provider"
CSP = "mlsssl Embedded Cryptographic Provider"

KEY_COLUMNS = "certificates.public_key, container, provider, machine_keyset, exportable, keys.public_key, persisted"
"""What `key_state` needs, from certificates LEFT JOIN keys USING (container)."""

KEY_KINDS = "bTTIIBI"
"""Their kinds, as `Database.query` takes them."""

_COLUMNS = f"der, friendly_name, archived, renewed_by, {KEY_COLUMNS}"
_KINDS = "bTiB" + KEY_KINDS
_FROM = "FROM certificates LEFT JOIN keys USING (container)"
_FIND = f"SELECT {_COLUMNS} {_FROM} WHERE store = ? AND thumbprint = ?"
_ACCESS = (
    f"SELECT {KEY_COLUMNS}, sid, CASE WHEN sid IS NULL THEN '' ELSE name END,"
    f" CASE WHEN sid IS NULL THEN '' ELSE access END {_FROM} LEFT JOIN key_access USING (container)"
    " WHERE store = ? AND thumbprint = ? ORDER BY sid"
)
_ACCESS_KINDS = KEY_KINDS + "Ttt"

_PAGE = 500  # certificates read at once: a listing of any length costs about a megabyte
_CRL_PAGE = 4  # likewise; each may have megabytes
_CHUNK = 1000  # certificates added in one transaction


class EmbeddedStore(OpenStore):
    """A `StorePort` over the file. It holds nothing open of its own, so closing is bookkeeping."""

    def __init__(self, database: Database, number: int, name: str, location: Location, *, writable: bool) -> None:
        super().__init__(name, location, writable=writable, is_machine_closed=lambda: database.closed)
        self._database = database
        self._number = number

    def thumbprints(self) -> Iterator[Thumbprint]:
        """Every listed certificate's thumbprint, in the order of their bytes."""
        for row in self._pages("thumbprint", "b"):
            yield Thumbprint(row[0])

    def records(self) -> Iterator[StoreRecord]:
        """The records behind `thumbprints`."""
        for row in self._pages(_COLUMNS, _KINDS):
            yield self._record(row)

    def records_for_host(self, wanted: x509.DNSName | x509.IPAddress) -> Iterator[StoreRecord]:
        """Of `records`, in their order, those that the index has for this host; see `StorePort.records_for_host`."""
        database = self._open()
        if not database.has_table("names"):
            yield from self.records()
            return
        under = (LOOK, *looked_for_under(wanted))
        # Numbers first, then one after the other: nothing stays open in between, as in `_pages`.
        rows = database.query(
            "SELECT DISTINCT thumbprint FROM names CROSS JOIN certificates ON certificates.id = certificate"  # noqa: S608
            f" WHERE names.store = ? AND name IN ({', '.join('?' * len(under))}) AND NOT archived ORDER BY thumbprint",
            (self._number, *under),
            columns="b",
        )
        for (thumbprint,) in rows:
            record = self.find(Thumbprint(thumbprint))
            if record is not None and not record.archived:
                yield record

    def certificates(self, wanted: Callable[[bytes], bool]) -> list[bytes]:
        """The certificates that are wanted; see `StorePort.certificates`."""
        return [der for der, _ in self._pages("der", "b") if wanted(der)]

    def find(self, thumbprint: Thumbprint) -> StoreRecord | None:
        """The record, archived or not, or None."""
        row = self._open().query_one(_FIND, (self._number, bytes(thumbprint)), columns=_KINDS)
        return None if row is None else self._record(row)

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
        """Put a certificate in, with its key if one is given; see `StorePort.add`."""
        check_request_key(request_key, private_key, self.location)
        new = NewCertificate(certificate=certificate, private_key=private_key, friendly_name=friendly_name)
        item = _checked(new, exportable=exportable, provider=provider, given=parsed)
        database = self._changing()
        with database.transaction():
            if request_key is not None:
                self._check_request_key(request_key, item)
            return self._insert(item, request_key) or self._existing(item.thumbprint)

    def add_many(
        self, items: Iterable[NewCertificate], *, exportable: bool, provider: KeyProvider | None = None
    ) -> int:
        """Put many in, a thousand to a transaction; see `StorePort.add_many`."""
        database = self._changing()
        waiting = iter(items)
        count = 0
        # Taken and parsed outside the transaction: the caller's iterator may read from this very machine.
        while chunk := [
            _checked(new, exportable=exportable, provider=provider) for new in itertools.islice(waiting, _CHUNK)
        ]:
            with database.transaction():
                for item in chunk:
                    self._insert(item)
            count += len(chunk)
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
        """Take a PFX; see `StorePort.import_pfx`. Without `friendly_name` the one in the file is taken."""
        self._changing()
        content = read_pfx(data, password, alias)
        record = self.add(
            content.certificate,
            content.private_key.private_bytes(
                serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
            friendly_name=content.friendly_name if friendly_name is None else friendly_name,
            exportable=exportable,
            provider=None,
        )
        return record, content.others

    def export_key(self, thumbprint: Thumbprint) -> bytes:
        """The private key as PKCS#8 DER; see `StorePort.export_key`."""
        record = self._existing(thumbprint)
        if record.key is None or not record.key.usable:
            raise StoreNotFoundError(f"{thumbprint} in {self._where} has no usable private key")
        if not record.key.exportable:
            raise AccessDeniedError(
                f"the private key of {thumbprint} may not leave the machine; it was added without exportable=True",
                right="exportable key",
            )
        row = self._open().query_one(
            "SELECT pkcs8 FROM key_material WHERE container = ?", (record.key.container,), columns="b"
        )
        if row is None:  # removed by somebody else since the line above
            raise StoreNotFoundError(f"the private key of {thumbprint} in {self._where} is gone")
        return bytes(row[0])

    def key_access(self, thumbprint: Thumbprint) -> tuple[KeyAccess, ...]:
        """The access list of its private key, imitated: nothing keeps anybody off; see `StorePort.key_access`."""
        if not self._open().has_table("key_access"):
            self._container_of(thumbprint)
            return _everywhere()
        # A container is a name that no other key ever has.
        rows = self._database.query(_ACCESS, (self._number, bytes(thumbprint)), columns=_ACCESS_KINDS)
        self._usable_key(thumbprint, rows[0][:7] if rows else None)
        listed = [
            KeyAccess(name=name, sid=sid, right="full" if how == "full" else "read")
            for *_, sid, name, how in rows
            if sid is not None
        ]
        return (*_everywhere(), *listed)

    def grant_key_access(self, thumbprint: Thumbprint, account: Account, *, right: KeyRight = "read") -> None:
        """Let an account use the private key; see `StorePort.grant_key_access`."""
        from mlsssl._machine.accounts import ADMINISTRATORS, SYSTEM

        database = self._changing()
        with database.transaction():
            container = self._container_of(thumbprint)
            if account.sid in (SYSTEM.sid, ADMINISTRATORS.sid):
                return
            if right == "read" and any(sid == account.sid for sid, _, _ in self._access_rows(container)):
                return
            database.query(
                "INSERT OR REPLACE INTO key_access (container, sid, name, access) VALUES (?, ?, ?, ?)",
                (container, account.sid, account.name, right),
            )

    def revoke_key_access(self, thumbprint: Thumbprint, account: Account) -> None:
        """Take the right away again; see `StorePort.revoke_key_access`."""
        database = self._changing()
        with database.transaction():
            container = self._container_of(thumbprint)
            database.query("DELETE FROM key_access WHERE container = ? AND sid = ?", (container, account.sid))

    def _access_rows(self, container: str) -> list[Row]:
        return self._database.query(
            "SELECT sid, name, access FROM key_access WHERE container = ? ORDER BY sid", (container,), columns="ttt"
        )

    def _container_of(self, thumbprint: Thumbprint) -> str:
        row = self._open().query_one(
            f"SELECT {KEY_COLUMNS} {_FROM} WHERE store = ? AND thumbprint = ?",
            (self._number, bytes(thumbprint)),
            columns=KEY_KINDS,
        )
        return self._usable_key(thumbprint, row).container

    def _usable_key(self, thumbprint: Thumbprint, row: Row | None) -> KeyState:
        if row is None:
            raise self._missing(thumbprint)
        key = key_state(row, self.location)
        if key is None or not key.usable:
            raise StoreNotFoundError(f"{thumbprint} in {self._where} has no usable private key")
        return key

    def set_friendly_name(self, thumbprint: Thumbprint, friendly_name: str | None) -> None:
        """Set or clear the name."""
        check_friendly_name(friendly_name)
        self._set("friendly_name", friendly_name, thumbprint)

    def set_archived(self, thumbprint: Thumbprint, archived: bool) -> None:
        """Hide from or show in listings."""
        self._set("archived", int(archived), thumbprint)

    def set_renewed_by(self, thumbprint: Thumbprint, newer: Thumbprint | None) -> None:
        """Set or clear the CERT_RENEWAL mark."""
        self._set("renewed_by", None if newer is None else bytes(newer), thumbprint)

    def remove(self, thumbprint: Thumbprint, *, delete_key: bool) -> None:
        """Take a certificate out; see `StorePort.remove`."""
        database = self._changing()
        refuse_users_roots(self.name, self.location)
        with database.transaction():
            row = database.query_one(
                "SELECT id, container FROM certificates WHERE store = ? AND thumbprint = ?",
                (self._number, bytes(thumbprint)),
                columns="iT",
            )
            if row is None:
                raise self._missing(thumbprint)
            database.query("DELETE FROM certificates WHERE id = ?", row[:1])
            _release_key(database, row[1], delete=delete_key)

    def crls(self, wanted: Callable[[bytes], bool] | None = None) -> list[bytes]:
        """The revocation lists that are wanted; see `StorePort.crls`."""
        database = self._open()
        if not database.has_table("crls"):
            return []
        statement = "SELECT der, digest FROM crls WHERE store = ? AND digest > ? ORDER BY digest LIMIT ?"
        found, after = [], b""
        while True:
            page = database.query(statement, (self._number, after, _CRL_PAGE), columns="bb")
            found += [der for der, _ in page if wanted is None or wanted(der)]
            if len(page) < _CRL_PAGE:
                return found
            after = page[-1][1]

    def add_crl(self, crl: bytes, *, replacing: Collection[bytes] = ()) -> None:
        """Put a revocation list in; see `StorePort.add_crl`."""
        database = self._changing()
        check_der_crl(crl)
        with database.transaction():
            database.query(
                "INSERT OR IGNORE INTO crls (store, digest, der) VALUES (?, ?, ?)", (*self._crl_row(crl), crl)
            )
            for other in replacing:
                if other != crl:
                    database.query("DELETE FROM crls WHERE store = ? AND digest = ?", self._crl_row(other))

    def remove_crl(self, crl: bytes) -> None:
        """Take a revocation list out; see `StorePort.remove_crl`."""
        database = self._changing()
        row = self._crl_row(crl)
        with database.transaction():
            if database.query_one("SELECT 1 FROM crls WHERE store = ? AND digest = ?", row) is None:
                raise StoreNotFoundError(f"this revocation list is not in {self._where}")
            database.query("DELETE FROM crls WHERE store = ? AND digest = ?", row)

    def _crl_row(self, crl: bytes) -> tuple[int, bytes]:
        return self._number, hashlib.sha256(crl).digest()

    def imitate(self, thumbprint: Thumbprint, cause: Cause) -> None:
        """Bring a certificate's key into one of the states that Windows is known to answer with 1312.

        For trying out what a program does then; not part of `StorePort`, for Windows needs no help with it.

        Args:
            thumbprint: A certificate of this store with a key.
            cause: NO_KEY takes the link away, KEY_NOT_FOUND the key behind it, KEY_NOT_PERSISTED makes the key
                one that was never kept, USER_KEYSET one of a user, KEY_MISMATCH another one than the
                certificate's.

        Raises:
            InvalidInputError: the cause is about the certificate's place, not its key.
            StoreNotFoundError: no such certificate here, or it has no key.
        """
        database = self._changing()
        statement = _IMITATIONS.get(cause)
        if statement is None:
            raise InvalidInputError(f"{cause.value} is not a state of a key; remove or move the certificate for it")
        with database.transaction():
            record = self._existing(thumbprint)
            if record.key is None:
                raise StoreNotFoundError(f"{thumbprint} in {self._where} has no private key")
            database.query(statement, (record.key.container,))

    def _open(self) -> Database:
        self._check_open()
        return self._database

    def _changing(self) -> Database:
        self._check_changing()
        return self._database

    def _pages(self, columns: str, kinds: str) -> Iterator[Row]:
        # By keyset, not by cursor: nothing stays open between two pages, so callers may change what they list.
        after = b""
        while True:
            page = self._open().query(
                f"SELECT {columns}, thumbprint {_FROM} WHERE store = ? AND thumbprint > ? AND NOT archived"
                " ORDER BY thumbprint LIMIT ?",
                (self._number, after, _PAGE),
                columns=kinds + "b",
            )
            yield from page
            if len(page) < _PAGE:
                return
            after = page[-1][-1]

    def _record(self, row: Row) -> StoreRecord:
        der, friendly_name, archived, renewed_by = row[:4]
        return StoreRecord(
            certificate=der,
            friendly_name=friendly_name,
            archived=bool(archived),
            key=key_state(row[4:11], self.location),
            renewed_by=None if renewed_by is None else Thumbprint(renewed_by),
        )

    def _existing(self, thumbprint: Thumbprint) -> StoreRecord:
        record = self.find(thumbprint)
        if record is None:
            raise self._missing(thumbprint)
        return record

    def _set(self, column: str, value: Value, thumbprint: Thumbprint) -> None:
        database = self._changing()
        with database.transaction():
            statement = f"UPDATE certificates SET {column} = ? WHERE store = ? AND thumbprint = ?"  # noqa: S608
            if not database.change(statement, (value, self._number, bytes(thumbprint))):
                raise self._missing(thumbprint)

    def _check_request_key(self, name: str, item: _Item) -> None:
        row = self._open().query_one(
            "SELECT public_key FROM keys WHERE container = ? AND requested", (name,), columns="b"
        )
        if row is None:
            raise NotFoundError(f"there is no request's key {name} on this machine")
        if row[0] != item.public_key:
            raise InvalidInputError(f"the certificate is for another key than the request's, {name}")

    def _insert(self, item: _Item, request_key: str | None = None) -> StoreRecord | None:
        """One certificate, inside the caller's transaction; with the request's key in place of its own, if given.

        The record of a new one with its own key; None where it has to be looked up.
        """
        refuse_users_roots(self.name, self.location)
        database = self._open()
        new = item.new
        before = database.query_one(
            f"SELECT certificates.id, {KEY_COLUMNS} {_FROM} WHERE store = ? AND thumbprint = ?",
            (self._number, bytes(item.thumbprint)),
            columns="i" + KEY_KINDS,
        )
        if before is None:
            container = request_key or self._store_key(item)
            database.query(
                "INSERT INTO certificates (store, thumbprint, public_key, subject, friendly_name, container, der)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    self._number,
                    bytes(item.thumbprint),
                    item.public_key,
                    item.subject,
                    new.friendly_name,
                    container,
                    new.certificate,
                ),
            )
            self._file_names(item.names)
            if request_key is not None:
                return None
            key = (container, item.provider, self.location == "LocalMachine", item.exportable, item.key_digest, 1)
            return self._record((new.certificate, new.friendly_name, 0, None, item.public_key, *key))
        number = before[0]
        state = key_state(before[1:], self.location)
        if new.friendly_name is not None:
            database.query("UPDATE certificates SET friendly_name = ? WHERE id = ?", (new.friendly_name, number))
        fit = state is not None and state.usable and (state.machine_keyset or self.location != "LocalMachine")
        if (new.private_key is not None or request_key is not None) and not fit:
            container = request_key or self._store_key(item)
            database.query("UPDATE certificates SET container = ? WHERE id = ?", (container, number))
            _release_key(database, None if state is None else state.container, delete=True)
        return None

    def _file_names(self, names: Collection[str]) -> None:
        """File the certificate that was inserted last; a table without row numbers leaves `last_insert_rowid` as is."""
        if LOOK in names:
            return
        first, *others = names or (None,)
        where = "WHERE store = ? AND name = ? AND certificate = last_insert_rowid()"
        if first is None:
            self._database.query(f"DELETE FROM names {where}", (self._number, LOOK))  # noqa: S608
        else:  # in the place of the one that the trigger has filed
            self._database.query(f"UPDATE names SET name = ? {where}", (first, self._number, LOOK))  # noqa: S608
        for name in others:
            self._database.query(
                "INSERT INTO names (store, name, certificate) VALUES (?, ?, last_insert_rowid())", (self._number, name)
            )

    def _store_key(self, item: _Item) -> str | None:
        """Put the key in, or find it there already with the same terms; its container's name."""
        if item.new.private_key is None:
            return None
        terms = (item.key_digest, item.provider, self.location == "LocalMachine", item.exportable)
        same = self._database.query_one(
            "SELECT container FROM keys WHERE public_key = ? AND provider = ? AND machine_keyset = ? AND exportable = ?"
            " AND persisted",
            terms,
            columns="t",
        )
        if same is not None:
            self._database.query("UPDATE keys SET kept = 0 WHERE container = ? AND kept", same)
            return str(same[0])
        container = str(uuid.uuid4())
        self._database.query(
            "INSERT INTO keys (public_key, provider, machine_keyset, exportable, container) VALUES (?, ?, ?, ?, ?)",
            (*terms, container),
        )
        self._database.query(
            "INSERT INTO key_material (container, pkcs8) VALUES (?, ?)", (container, item.new.private_key)
        )
        return container


@cache
def _everywhere() -> tuple[KeyAccess, ...]:
    """What every access list of a key begins with."""
    from mlsssl._machine.accounts import ADMINISTRATORS, SYSTEM

    return tuple(KeyAccess(name=one.name, sid=one.sid, right="full") for one in (SYSTEM, ADMINISTRATORS))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    """One certificate on its way in, checked and digested before any transaction starts.

    Attributes:
        new: What was given.
        thumbprint: SHA-1 of the certificate's DER.
        public_key: SHA-256 of its SubjectPublicKeyInfo.
        subject: SHA-256 of its subject's DER.
        names: What a look-up by host finds it by.
        key_digest: SHA-256 of the SubjectPublicKeyInfo that belongs to the private key; empty without one.
        exportable: Whether the private key may be read back.
        provider: The full name of the embedded provider that stands for CNG (the machine's own choice) or the CSP.
    """

    new: NewCertificate
    thumbprint: Thumbprint
    public_key: bytes
    subject: bytes
    names: frozenset[str]
    key_digest: bytes
    exportable: bool
    provider: str


def _checked(
    new: NewCertificate, *, exportable: bool, provider: KeyProvider | None, given: Parsed | None = None
) -> _Item:
    check_friendly_name(new.friendly_name)
    parsed = pem.load_der(new.certificate, "not a DER certificate") if given is None else given.certificate
    key = new.private_key
    if key is not None and given is not None and given.private_key is not None:
        # One digest for both: the caller has checked that they belong together.
        public_key = key_digest = hashlib.sha256(spki(given.private_key.public_key())).digest()
    else:
        public_key, key_digest = _public_key_digest(parsed), b"" if key is None else _private_key_digest(key)
    # id-ecPublicKey (RFC 5480) in the PrivateKeyInfo's first bytes.
    check_provider(provider, is_rsa=key is None or bytes.fromhex("06072a8648ce3d0201") not in key[:32])
    return _Item(
        new=new,
        thumbprint=thumbprint_of(new.certificate),
        public_key=public_key,
        subject=subject_digest(parsed),
        names=names_of(parsed),
        key_digest=key_digest,
        exportable=bool(exportable),
        provider=CSP if provider == "csp" else CNG,
    )


_IMITATIONS = {
    Cause.NO_KEY: "UPDATE certificates SET container = NULL WHERE container = ?",
    Cause.KEY_NOT_FOUND: "DELETE FROM keys WHERE container = ?",
    Cause.KEY_NOT_PERSISTED: "UPDATE keys SET persisted = 0 WHERE container = ?",
    Cause.USER_KEYSET: "UPDATE keys SET machine_keyset = 0 WHERE container = ?",
    Cause.KEY_MISMATCH: "UPDATE keys SET public_key = zeroblob(32) WHERE container = ?",
}


def key_state(row: Row, location: str) -> KeyState | None:
    """What was found at the end of the link to its key (`KEY_COLUMNS`) of a certificate there; None without a link.

    Opening and comparing is looking at two digests here: both were computed from the key itself when it came.
    """
    certificate_key, container, provider, machine_keyset, exportable, public_key, persisted = row
    if container is None:
        return None
    problem = None
    if provider is None:
        problem = "0x80090016 (NTE_BAD_KEYSET): there is no key of this name"
    elif not persisted:
        problem = "0x80090016 (NTE_BAD_KEYSET): the key was never persisted; it ended with the process that had it"
    return KeyState(
        provider=provider or CNG,
        container=container,
        machine_keyset=location == "LocalMachine" if provider is None else bool(machine_keyset),
        persisted=problem is None,
        matches=public_key == certificate_key if problem is None else None,
        exportable=bool(exportable) if problem is None else None,
        problem=problem,
    )


def _release_key(database: Database, container: str | None, *, delete: bool) -> None:
    """A certificate let go of this key: delete it, or keep it on purpose, unless another one or a request has it.

    Inside the transaction that changed the certificate.
    """
    if container is None or database.query("SELECT 1 FROM certificates WHERE container = ? LIMIT 1", (container,)):
        return
    if delete:
        database.query("DELETE FROM keys WHERE container = ? AND NOT requested", (container,))
    else:
        database.query("UPDATE keys SET kept = 1 WHERE container = ?", (container,))


def _public_key_digest(certificate: x509.Certificate) -> bytes:
    # Encoded again rather than cut out: a certificate may name its RSA key as RSASSA-PSS (RFC 4055), its PKCS#8
    # as plain RSA, and it is one key.
    octets = pem.public_key_bytes(certificate)
    # A kind of key that we cannot read: stored all the same, equal to no private key.
    return hashlib.sha256(b"unreadable" + certificate.tbs_certificate_bytes if octets is None else octets).digest()


def _private_key_digest(pkcs8: bytes) -> bytes:
    """The digest of the public half of a PKCS#8 key; `MalformedDataError` when it is none."""
    try:
        # The numbers were checked by whoever made or loaded this key; checking them again costs 32 ms for RSA.
        load = serialization.load_der_private_key
        key = foreign.call(load, pkcs8, None, unsafe_skip_rsa_key_validation=True)
        return hashlib.sha256(spki(key.public_key())).digest()
    except foreign.UNREADABLE as error:
        raise MalformedDataError(f"not a PKCS#8 private key: {type(error).__name__}") from None


def subject_digest(certificate: x509.Certificate) -> bytes:
    """The digest of the subject's DER; of nothing when the name cannot be read."""
    return _name_digest(certificate, issuer=False)


def issuer_digest(certificate: x509.Certificate) -> bytes:
    """The digest of the issuer's DER, to be compared with `subject_digest` of the issuer."""
    return _name_digest(certificate, issuer=True)


def _name_digest(certificate: x509.Certificate, *, issuer: bool) -> bytes:
    name: x509.Name | None = foreign.read_or(None, attrgetter("issuer" if issuer else "subject"), certificate)
    octets = None if name is None else foreign.read_or(None, name.public_bytes)
    return b"" if octets is None else hashlib.sha256(octets).digest()
