"""From a connection to what answers it: the binding, its certificate and a context, always as the file says now."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import serialization

from mlsssl._embedded.bindings import EmbeddedBindings
from mlsssl._embedded.central_store import CentralStore, read_central_store
from mlsssl._embedded.chains import client_roots, find_chain
from mlsssl._embedded.database import folded, state_folder_of
from mlsssl._embedded.listener.contexts import (
    HANDSHAKE_FAILURE,
    INTERNAL_ERROR,
    UNRECOGNIZED_NAME,
    Identity,
    RefusedError,
    make_context,
)
from mlsssl._formats.pem import load_der
from mlsssl._machine import precedence, private_files, tls_alpn
from mlsssl._messages.foreign_text import system_reason
from mlsssl.errors import ListenerError, MlssslError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Collection
    from pathlib import Path

    from cryptography import x509

    from mlsssl._embedded.database import Database
    from mlsssl._formats.binding_keys import BindingFamily
    from mlsssl._machine.ports import BindingRecord

_ATTEMPTS = 20
_CONTEXTS = 10_000  # kept; a context takes some 20 KB, and to make one as long as a handshake


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What answers a connection.

    Attributes:
        record: The binding.
        certificate: What it serves.
        context: With certificate, chain, key and the binding's options in it.
    """

    record: BindingRecord
    certificate: x509.Certificate
    context: ssl.SSLContext


class Serving:
    """Chooses answers. Used by one thread.

    Everything is read once and kept until the file changes (PRAGMA data_version tells, for a few microseconds per
    handshake); contexts outlive changes that do not concern them, for loading a key is what costs.

    Args:
        database: A connection of its own that never writes, so that every change is one by somebody else.
        families: The binding families that the machine knows.
        allow_legacy_tls: As in `make_context`.
    """

    def __init__(self, database: Database, *, families: Collection[BindingFamily], allow_legacy_tls: bool) -> None:
        self._database = database
        self._state_folder = state_folder_of(private_files.resolved(database.path))
        self._bindings = EmbeddedBindings(database, atomic_update=True, families=families)
        self._allow_legacy_tls = allow_legacy_tls
        self._version: int | None = None
        self._ports: list[int] = []
        self._records: dict[precedence.Slot, BindingRecord] = {}
        self._central_store: CentralStore | None = None
        self._client_roots: tuple[bytes, ...] | None = None
        self._answers: dict[tuple[object, ...], Answer] = {}
        self._contexts: dict[tuple[object, ...], ssl.SSLContext] = {}
        self._files: dict[Path, tuple[object, Identity]] = {}

    def ports(self) -> list[int]:
        """Every port that something is bound to."""
        self._refresh()
        return self._ports

    def answer(self, port: int, local_address: str, server_name: str | None) -> Answer:
        """What answers a connection to this port of the binding table.

        Raises:
            RefusedError: nothing does.
        """
        try:
            for _ in range(_ATTEMPTS):
                self._refresh()
                try:
                    return self._answer(port, local_address, server_name)
                except MlssslError:
                    # A renewal may have moved the binding and taken the old certificate away since the binding was
                    # read. Then it was never unbound, and the answer is the new one.
                    if self._database.data_version() == self._version:
                        raise
            raise ListenerError("the bindings change faster than they can be read")
        except RefusedError:
            raise
        except MlssslError as error:
            raise RefusedError(str(error), alert=INTERNAL_ERROR) from None

    def answer_to_validation(self, server_name: str | None) -> ssl.SSLContext:
        """What answers an ACME server that validates this name by tls-alpn-01 (RFC 8737).

        Raises:
            RefusedError: nobody has left an answer for it.
        """
        try:
            context = tls_alpn.context_for(self._state_folder, server_name or "")
        except MlssslError as error:
            raise RefusedError(str(error), alert=INTERNAL_ERROR) from None
        if context is None:
            raise RefusedError(f"no order has a challenge for {server_name}", alert=UNRECOGNIZED_NAME)
        return context

    def _refresh(self) -> None:
        version = self._database.data_version()
        if version == self._version:
            return
        with self._database.transaction(write=False):
            self._records = {precedence.slot_of(record.key): record for record in self._bindings.all()}
            self._central_store = read_central_store(self._database)
        self._ports = sorted({record.key.port for record in self._records.values()})
        self._client_roots = None
        self._answers.clear()
        self._version = version

    def _answer(self, port: int, local_address: str, server_name: str | None) -> Answer:
        record = precedence.first(self._records, port, local_address, server_name)
        if record is None:
            raise RefusedError(
                f"nothing is bound to port {port} for {server_name or 'a client that names no host'}",
                alert=HANDSHAKE_FAILURE if server_name is None else UNRECOGNIZED_NAME,
            )
        if record.options.reject_connections:
            raise RefusedError(f"{record.key} rejects connections", alert=None)
        if not record.key.family.has_certificate:
            return self._answer_from_central_store(record, server_name or "")
        what = (record.store, record.thumbprint, record.options)  # which many bindings may share
        known = self._answers.get(what)
        if known is None or not record.options.session_id:
            known = self._answers[what] = self._answer_from_store(record)
        return known if known.record is record else replace(known, record=record)

    def _answer_from_store(self, record: BindingRecord) -> Answer:
        row = self._database.query_one(
            "SELECT der, container FROM certificates JOIN stores ON stores.id = store JOIN keys USING (container)"
            " WHERE location = 'LocalMachine' AND folded = ? AND thumbprint = ? AND persisted"
            " AND machine_keyset",
            (folded(record.store), bytes(record.thumbprint or b"")),
            columns="bt",
        )
        if row is None:
            # HTTP.sys reports this in the event log as 15021 and ends the connection.
            raise ListenerError(
                f"{record.key} names the certificate {record.thumbprint}, which is not in LocalMachine\\{record.store} "
                "with a usable key any more"
            )
        der, container = row
        certificate = load_der(der)
        chain = tuple(
            issuer.public_bytes(serialization.Encoding.DER) for issuer in find_chain(self._database, certificate)
        )
        return self._finished(record, certificate, (chain, container), lambda: self._load_identity(chain, container))

    def _answer_from_central_store(self, record: BindingRecord, host: str) -> Answer:
        store = self._central_store
        if store is None:
            raise ListenerError(f"{record.key} needs a Central Certificate Store, and this machine has none")
        path = store.find(host)
        if path is None:
            raise RefusedError(f"{store.folder} has no file for {host}", alert=UNRECOGNIZED_NAME)
        identity = self._load_file(store, path)
        return self._finished(record, load_der(identity.chain[0]), (identity.chain,), lambda: identity)

    def _load_file(self, store: CentralStore, path: Path) -> Identity:
        try:
            status = path.stat()
        except OSError as error:
            raise ListenerError(f"{path} cannot be read: {system_reason(error)}") from None
        mark = (status.st_mtime_ns, status.st_size, status.st_ino, store.password)
        known = self._files.get(path)
        if known is None or known[0] != mark:
            if len(self._files) >= _CONTEXTS:
                self._files.clear()
            known = self._files[path] = (mark, store.load(path))
        return known[1]

    def _finished(
        self,
        record: BindingRecord,
        certificate: x509.Certificate,
        source: tuple[object, ...],
        load: Callable[[], Identity],
    ) -> Answer:
        options = record.options
        roots = self._roots() if options.negotiate_client_certificate else ()
        key = (source, options, roots)
        context = self._contexts.get(key)
        # Sessions are remembered by the context, and Python cannot switch that off: a new one remembers nothing.
        if context is None or not options.session_id:
            context = make_context(load(), options, client_roots=roots, allow_legacy_tls=self._allow_legacy_tls)
            if len(self._contexts) >= _CONTEXTS:
                self._contexts.clear()
            self._contexts[key] = context
        return Answer(record=record, certificate=certificate, context=context)

    def _load_identity(self, chain: tuple[bytes, ...], container: str) -> Identity:
        row = self._database.query_one("SELECT pkcs8 FROM key_material WHERE container = ?", (container,), columns="b")
        if row is None:
            raise ListenerError("the private key was removed just now")
        return Identity(chain=chain, private_key=row[0])

    def _roots(self) -> tuple[bytes, ...]:
        if self._client_roots is None:
            self._client_roots = client_roots(self._database)
        return self._client_roots
