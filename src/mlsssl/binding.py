"""`Binding`: which certificate answers on which address, the record that `netsh http add sslcert` writes."""

from __future__ import annotations

import uuid
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from mlsssl._changes import recovery
from mlsssl._formats.binding_keys import (
    BindingFamily,
    BindingKey,
    BindingOptions,
    CcsPort,
    HostnamePort,
    IpPort,
    ScopedCcs,
    parse_binding_key,
)
from mlsssl._machine import stores
from mlsssl._machine.ports import WELL_KNOWN_APPLICATION_IDS, BindingRecord
from mlsssl._messages.arguments import check_type
from mlsssl._messages.foreign_text import shown
from mlsssl._messages.output import as_dict
from mlsssl._select.ports import HasPort, port_of
from mlsssl.certificate import Certificate, card_title, card_validity
from mlsssl.errors import BindingNotFoundError, InvalidInputError, MlssslError
from mlsssl.store import StoreEntry
from mlsssl.values import Thumbprint, check_store_name, set_attributes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlsssl._machine.ports import Diagnosis
    from mlsssl._notebook.cards import Printer

__all__ = ["Binding", "Bindings", "CertificateReference"]

CertificateReference: TypeAlias = Certificate | StoreEntry | Thumbprint | bytes | str
"""How a binding is told its certificate: the certificate, its store entry or its thumbprint, also as text."""


@dataclass(frozen=True, slots=True, init=False)
class Binding:
    """One TLS record of HTTP.sys as a value; nothing happens until `add`, `update` or `remove`.

    Args:
        key: `0.0.0.0:443`, `[::]:443`, `www.example.com:443` (SNI), or a key object; the CCS families must be
            named (`CcsPort(443)`, `ScopedCcs("www.example.com", 443)`).
        certificate: A certificate, a store entry or a thumbprint; None exactly for the CCS families. It has to be
            in the store with its private key before `add`; `deploy` puts it there.
        store: The LocalMachine store it is in; a store entry brings its own. MY when not given.
        app_id: The owner's GUID, as UUID or text; a new random one when not given.
        options: All the rest.
        machine: Whose record; this computer's when not given.

    Raises:
        InvalidInputError: the key is none, a certificate is missing or not allowed, or the entry is in CurrentUser.
    """

    key: BindingKey
    thumbprint: Thumbprint | None
    store_name: str | None
    app_id: uuid.UUID
    options: BindingOptions
    _machine: HasPort | None = field(repr=False, compare=False)
    _known: BindingRecord | None = field(repr=False, compare=False)
    """What the machine had when this, or what it was made from, was read or written; None for one of the caller's."""
    _replaces: BindingRecord | None = field(repr=False, compare=False)
    """The only record that `update` may replace; None for any."""

    def __init__(
        self,
        key: BindingKey | str,
        certificate: CertificateReference | None = None,
        *,
        store: str | None = None,
        app_id: uuid.UUID | str | None = None,
        options: BindingOptions | None = None,
        machine: HasPort | None = None,
    ) -> None:
        parsed = parse_binding_key(key)
        thumbprint = None if certificate is None else thumbprint_of(certificate)
        if isinstance(certificate, StoreEntry) and store is None:
            store = certificate.store_name
        if store is None and parsed.family.has_certificate:
            store = "MY"
        record = BindingRecord(
            key=parsed,
            thumbprint=thumbprint,
            store_name=store if store is None else check_store_name(store),
            app_id=application_id(app_id),
            options=BindingOptions() if options is None else check_options(options),
        )
        _fill(self, record, machine, known=None)

    @property
    def family(self) -> BindingFamily:
        """Which of the four kinds."""
        return self.key.family

    @property
    def owner(self) -> str | None:
        """The application behind a well-known `app_id` (IIS, AD FS …), or None."""
        return WELL_KNOWN_APPLICATION_IDS.get(self.app_id)

    @property
    def record(self) -> BindingRecord:
        """The plain record that crosses the seam."""
        return BindingRecord(
            key=self.key,
            thumbprint=self.thumbprint,
            store_name=self.store_name,
            app_id=self.app_id,
            options=self.options,
        )

    @property
    def certificate(self) -> Certificate | None:
        """The certificate, read from the store it is said to be in; None when it is not there, and for CCS."""
        if self.thumbprint is None:
            return None
        found = stores.certificate(port_of(self._machine), self.record.store, self.thumbprint)
        return None if found is None else Certificate.from_der(found.certificate)

    # -- reading ------------------------------------------------------------------------------------------------

    @classmethod
    def get(cls, key: BindingKey | str, *, machine: HasPort | None = None) -> Binding:
        """The binding of this key.

        A host name is found in whatever spelling other programs wrote it (`HostnamePort.as_stored`). Where a machine
        has several spellings of one host, a name finds the normalised one, else the first of a listing; the keys that
        the listing itself gives find each its own.

        Raises:
            BindingNotFoundError: nothing is bound to it; the message lists what is bound to the same port, or tells of
                a change of this binding that is not finished.
            UnsupportedError: this Windows does not know the family.
            InvalidInputError: the key is none.
        """
        parsed = bound_key(key, machine)
        binding = cls.find(parsed, machine=machine)
        if binding is None:
            port = port_of(machine)
            # A machine without an update in one step deletes a record before it sets another.
            error = None if port.bindings.atomic_update else recovery.pending_of(port, parsed)
            if error is not None:
                raise BindingNotFoundError(f"nothing is bound to {parsed} now: {error}")
            near = [str(b.key) for b in cls.all(machine=machine) if b.key.port == parsed.port and b.key != parsed]
            if near:
                raise BindingNotFoundError(f"nothing is bound to {parsed}; bound to that port: {', '.join(near)}")
            raise BindingNotFoundError(f"nothing is bound to {parsed}, nor to any other key of port {parsed.port}")
        return binding

    @classmethod
    def find(cls, key: BindingKey | str, *, machine: HasPort | None = None) -> Binding | None:
        """The binding of this key, or None; arguments and errors as `get`."""
        record = port_of(machine).bindings.find(bound_key(key, machine))
        return None if record is None else binding_of(record, machine)

    @classmethod
    def all(cls, *, machine: HasPort | None = None) -> list[Binding]:
        """Every binding of every family that this machine knows, family by family, sorted by key."""
        return [binding_of(record, machine) for record in port_of(machine).bindings.all()]

    @classmethod
    def supports(cls, family: BindingFamily | str, *, machine: HasPort | None = None) -> bool:
        """Whether this machine knows a family; asked of the machine, not guessed from its version."""
        try:
            wanted = BindingFamily(family)
        except ValueError:
            known = ", ".join(f.value for f in BindingFamily)
            raise InvalidInputError(f"a family is one of {known}, not {shown(family)}") from None
        return port_of(machine).bindings.supports(wanted)

    # -- changing -----------------------------------------------------------------------------------------------

    def add(self) -> Binding:
        """Write the record (`netsh http add sslcert`); returns itself.

        As every change of bindings here it waits for others of this machine, also of other processes, and clears up
        what a killed one left.

        Raises:
            BindingExistsError: something is bound to this key already: `update` replaces it.
            UnusableCertificateError: HTTP.sys could not use the certificate (1312); `.diagnosis` says why.
            AccessDeniedError: not administrator.
            UnsupportedError: this Windows does not know the family or an option.
            BindingError: somebody else has been changing this machine's bindings for a minute; or an earlier change of
                this key is pending and can be neither finished nor taken back: the message says how to give it up.
        """
        recovery.add_record(port_of(self._machine), self.record)
        self._note_written()
        return self

    def update(self) -> Binding:
        """Replace the whole record of this key (`netsh http update sslcert`); returns itself.

        What is written is this record, whole. One that was read (`get`, `find`, `all`) and then changed
        (`with_certificate`, `with_options`, be it to what it had) replaces only what it was read as: where the key has
        another record by now, a renewal's, say, that change would be lost, and a BindingError says so. One that you
        made, or the very one that was read, replaces whatever is there.

        Atomic where the system can (Windows 10 1703, Server 2019 and newer, the embedded machine). Elsewhere the new
        record is tried out under a key that answers nobody, then the old record is deleted and the new one set: when
        that fails the old one is put back, and when the process is killed in between, `mlsssl recover` or the next
        deploy, renew or update does it.

        Raises:
            BindingNotFoundError: nothing is bound to this key: `add` does it.
            UnusableCertificateError, AccessDeniedError, UnsupportedError: as `add`.
            BindingError: the record was changed since it was read; or as `add`; or, without an atomic update, the old
                record is one that could not be put back (of a plain CCS port, with options), so nothing was done; or
                it failed and the old record could not be put back: the message says what is bound now and what to do.
        """
        recovery.replace_record(port_of(self._machine), self.record, expected=self._replaces)
        self._note_written()
        return self

    def remove(self) -> None:
        """Delete the record of this key (`netsh http delete sslcert`); certificate and key stay in the store.

        Raises:
            BindingNotFoundError: nothing is bound to this key.
            AccessDeniedError, BindingError: as `add`.
        """
        recovery.remove_record(port_of(self._machine), self.key)

    def _note_written(self) -> None:
        set_attributes(self, _known=self.record, _replaces=None)

    def diagnose(self) -> tuple[Diagnosis, ...]:
        """Why HTTP.sys could not use the certificate, likeliest cause first; empty when it can."""
        return recovery.why_unusable(port_of(self._machine), self.record)

    def with_certificate(self, certificate: CertificateReference, *, store: str | None = None) -> Binding:
        """The same binding with another certificate, in `store`; everything else is kept, unknown bits too.

        Where `store` is not given it is the entry's own, else the one that the binding names.
        """
        if store is None:
            store = certificate.store_name if isinstance(certificate, StoreEntry) else self.store_name
        return self._changed(replace(self.record, thumbprint=thumbprint_of(certificate), store_name=store))

    def with_options(self, options: BindingOptions) -> Binding:
        """The same binding with other options."""
        return self._changed(replace(self.record, options=check_options(options)))

    def _changed(self, record: BindingRecord) -> Binding:
        # Also when nothing differs: who sets an option to what it was means that option, not the old certificate.
        return _fill(Binding.__new__(Binding), record, self._machine, known=self._known, replaces=self._known)

    def _repr_html_(self) -> str:
        from mlsssl._notebook.cards import card, facts, text

        what, left, whose, options = _card_cells(self, dates=True)
        rows = [
            ("family", text(self.family.value)),
            ("certificate", what),
            ("valid", left),
            ("store", text(self.store_name or "")),
            ("owner", whose),
            ("options", options),
        ]
        return card(f"binding {text(self.key)}", facts(rows))

    def __repr__(self) -> str:
        # What can be typed back: the arguments, not the fields. As text, "*:443" would be taken for an address.
        shown = [repr(self.key) if str(self.key).startswith("*:") else repr(str(self.key))]
        shown += [] if self.thumbprint is None else [repr(str(self.thumbprint))]
        shown += [] if self.store_name is None else [f"store={self.store_name!r}"]
        shown += [f"app_id={str(self.app_id)!r}"]
        shown += [] if self.options == BindingOptions() else [f"options={self.options!r}"]
        return f"Binding({', '.join(shown)})"

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON; numbers of the options as Windows keeps them."""
        options = self.options
        return {
            **as_dict(self, "family", "key", "thumbprint"),
            "store": self.store_name,
            **as_dict(self, "app_id", "owner"),
            "options": {
                "flags": options.flags,
                "check_mode": options.check_mode,
                "revocation_freshness_seconds": options.freshness_seconds,
                "url_retrieval_timeout_milliseconds": options.timeout_milliseconds,
                "ctl_identifier": options.ctl_identifier,
                "ctl_store_name": options.ctl_store_name,
            },
        }


class Bindings:
    """The bindings of one machine, by key: `machine.bindings["0.0.0.0:443"]`."""

    def __init__(self, machine: HasPort | None) -> None:
        self._machine = machine

    def __getitem__(self, key: BindingKey | str) -> Binding:
        return Binding.get(key, machine=self._machine)

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, (str, IpPort, HostnamePort, CcsPort, ScopedCcs)):
            return False
        try:
            wanted = bound_key(key, self._machine)
        except InvalidInputError:  # what is no key is bound nowhere
            return False
        return Binding.find(wanted, machine=self._machine) is not None

    def __iter__(self) -> Iterator[Binding]:
        return iter(Binding.all(machine=self._machine))

    def __len__(self) -> int:
        return len(Binding.all(machine=self._machine))

    def find(self, key: BindingKey | str) -> Binding | None:
        """As `Binding.find`."""
        return Binding.find(key, machine=self._machine)

    def add(
        self,
        key: BindingKey | str,
        certificate: CertificateReference | None = None,
        *,
        store: str | None = None,
        app_id: uuid.UUID | str | None = None,
        options: BindingOptions | None = None,
    ) -> Binding:
        """`Binding(key, certificate, …).add()` on this machine; arguments as `Binding`, errors as `Binding.add`."""
        made = Binding(key, certificate, store=store, app_id=app_id, options=options, machine=self._machine)
        return made.add()

    def _repr_pretty_(self, printer: Printer, cycle: bool) -> None:
        printer.text("\n".join([f"{len(self)} bindings", *(f"  {one.key}  {one.thumbprint or '-'}" for one in self)]))

    def _repr_html_(self) -> str:
        from mlsssl._notebook.cards import listing

        title = f"bindings of {port_of(self._machine).description}"
        return listing(title, "binding", card_heads(), [card_row(one) for one in self], empty="nothing is bound")

    def __repr__(self) -> str:
        return f"<Bindings: {', '.join(str(binding.key) for binding in self) or 'none'}>"


def card_heads() -> tuple[str, ...]:
    """What the columns of a table of bindings are. Private."""
    return ("binding", "certificate", "validity", "owner, options")


def card_row(binding: Binding) -> list[str]:
    """A binding as a row of such a table. Private."""
    from mlsssl._notebook.cards import second_line, strong

    what, left, whose, options = _card_cells(binding)
    return [f"{strong(binding.key)}{second_line(binding.family.value)}", what, left, f"{whose}<br>{options}"]


def _card_cells(binding: Binding, *, dates: bool = False) -> tuple[str, str, str, str]:
    """Certificate, what is left of it, owner, options."""
    from mlsssl._notebook.cards import code, faint, sign, text

    what, left = faint("from the central store"), ""
    if binding.thumbprint is not None:
        found, trouble = None, f"not in {binding.store_name}"
        try:
            found = binding.certificate
        except MlssslError:  # the others are to be shown all the same
            trouble = "cannot be read"
        what = sign("over", trouble) if found is None else text(card_title(found))
        what += f"<br>{code(binding.thumbprint, whole=True)}"
        if found is not None:
            validity = card_validity(found)
            left = validity.dates_and_bar if dates else validity.bar
    options = repr(binding.options).removeprefix("BindingOptions(").removesuffix(")")
    whose = text(binding.owner) if binding.owner else code(f"{{{binding.app_id}}}")
    return what, left, whose, code(options) if options else faint("default options")


def bound_key(key: BindingKey | str, machine: HasPort | None) -> BindingKey:
    """`parse_binding_key`, which also knows the text of a key that other programs bound to no host name. Private."""
    try:
        return parse_binding_key(key)
    except InvalidInputError:
        if isinstance(key, str):
            with suppress(MlssslError):  # of the two errors the first is the one to tell
                for record in port_of(machine).bindings.all():
                    if key.strip() in (str(record.key), f"{record.key.family.value}={record.key}"):
                        return record.key
        raise


def binding_of(record: BindingRecord, machine: HasPort | None) -> Binding:
    """The noun around a record that the machine has. Private."""
    return _fill(Binding.__new__(Binding), record, machine, known=record)


def change_binding(key: BindingKey | str, change: Callable[[Binding], Binding], *, machine: HasPort | None) -> Binding:
    """Read a binding, let `change` make another of it, and write that, all under the machine's lock. Private.

    Raises:
        MlssslError: as `Binding.get` and `Binding.update`.
    """
    port = port_of(machine)
    key = bound_key(key, machine)
    with recovery.changing(port, key) as records:
        before = Binding.get(key, machine=machine)
        after = change(before).record
        recovery.exchange(port, records, before.record, after)
    return binding_of(after, machine)


def _fill(
    made: Binding,
    record: BindingRecord,
    machine: HasPort | None,
    *,
    known: BindingRecord | None,
    replaces: BindingRecord | None = None,
) -> Binding:
    return set_attributes(
        made,
        key=record.key,
        thumbprint=record.thumbprint,
        store_name=record.store_name,
        app_id=record.app_id,
        options=record.options,
        _machine=machine,
        _known=known,
        _replaces=replaces,
    )


def thumbprint_of(certificate: CertificateReference) -> Thumbprint:
    """The thumbprint behind a reference; `InvalidInputError` for an entry that HTTP.sys cannot see. Private."""
    if isinstance(certificate, StoreEntry):
        if certificate.location != "LocalMachine":
            raise InvalidInputError(
                f"HTTP.sys reads LocalMachine stores only, and {certificate.thumbprint} is in {certificate.location}; "
                "add it to Store.open('MY')"
            )
        return certificate.thumbprint
    return certificate.thumbprint if isinstance(certificate, Certificate) else Thumbprint(certificate)


def check_options(options: BindingOptions) -> BindingOptions:
    """Return `options` if they are. Private."""
    return check_type(options, BindingOptions, "options are a BindingOptions, such as BindingOptions(tls13=False)")


def application_id(app_id: uuid.UUID | str | None) -> uuid.UUID:
    """An application id from what a caller gave; a new random one for None. Private."""
    if app_id is None:
        return uuid.uuid4()
    if isinstance(app_id, uuid.UUID):
        return app_id
    try:
        return uuid.UUID(app_id)
    except (ValueError, AttributeError, TypeError):
        raise InvalidInputError(
            f"an application id is a GUID such as '{{4dc3e181-e14b-4a21-b022-59fc669b0914}}', not {shown(app_id)}"
        ) from None
