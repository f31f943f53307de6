"""`Store`: a certificate store of a machine, and `StoreEntry`, what stands in it."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING

from mlsssl._formats import foreign, pem, sniff
from mlsssl._formats.choice import may_issue
from mlsssl._formats.hosts import any_matches, parse_name
from mlsssl._machine import files, revocation_lists, stores
from mlsssl._machine.accounts import ADMINISTRATORS, SYSTEM
from mlsssl._machine.ports import NewCertificate, refuse_users_roots
from mlsssl._machine.stores import thumbprint_of
from mlsssl._messages.arguments import check_callable, check_type, items_of
from mlsssl._select.ports import HasPort, port_of
from mlsssl._select.trust import trusted_roots
from mlsssl.certificate import Certificate, card_title, card_validity
from mlsssl.errors import InvalidInputError, MalformedDataError, StoreClosedError, StoreNotFoundError
from mlsssl.revocation_list import given_lists, wrapped_lists
from mlsssl.values import Location, Thumbprint, check_location, check_moment, check_store_name, set_attributes

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Literal

    from cryptography import x509
    from typing_extensions import Self

    from mlsssl._machine.ports import KeyAccess, KeyProvider, KeyState, MachinePort, StorePort, StoreRecord
    from mlsssl._notebook.cards import Printer
    from mlsssl._select.trust import TrustAnchor
    from mlsssl._validator.profiles import Profile
    from mlsssl._validator.report import Report
    from mlsssl._validator.validate import UserRule
    from mlsssl.revocation_list import AnyList, RevocationList
    from mlsssl.values import ClientName, Purpose

__all__ = ["Store", "StoreEntry"]

_BATCH = 200  # so many of a bundle are added at once: few transactions, and progress all the same


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreEntry:
    """A certificate in a store, as it was when it was read.

    Attributes:
        certificate: The certificate, without its private key.
        thumbprint: What Windows calls it.
        store_name: The store it was read from.
        location: LocalMachine or CurrentUser.
        friendly_name: The name shown in lists, or None.
        archived: Hidden from listings on Windows.
        key: What was found on opening the private key linked to it; None when none is linked.
        renewed_by: The certificate that replaced it, or None.
    """

    certificate: Certificate
    thumbprint: Thumbprint
    store_name: str
    location: Location
    friendly_name: str | None = None
    archived: bool = False
    key: KeyState | None = None
    renewed_by: Thumbprint | None = None
    _port: Callable[[], MachinePort] | None = field(default=None, init=False, repr=False, compare=False)

    def _repr_html_(self) -> str:
        from mlsssl._notebook.cards import card, code, facts, faint, key_state, or_why, sign, text

        rows = [
            ("store", text(f"{self.location}\\{self.store_name}")),
            ("friendly name", text(self.friendly_name or "")),
            ("names", or_why(lambda: ", ".join(self.certificate.names))),
            ("issuer", text(self.certificate.issuer)),
            ("valid", card_validity(self.certificate).dates_and_bar),
            ("private key", key_state(key_words(self.key)) or faint("none")),
            ("thumbprint", code(self.thumbprint, whole=True)),
            ("renewed by", code(self.renewed_by, whole=True) if self.renewed_by else ""),
            ("archived", sign("note", "hidden from listings on Windows") if self.archived else ""),
        ]
        return card(text(card_title(self.certificate)), facts(rows))

    @property
    def has_private_key(self) -> bool:
        """Whether the private key is there, opens and matches: opened, not guessed."""
        return self.key is not None and self.key.usable

    @property
    def key_access(self) -> tuple[KeyAccess, ...]:
        r"""Who may use its private key: the entries of the key's access list, in the order in which Windows takes them.

        Asked of the machine now. SYSTEM, as which HTTP.sys reads keys, and the administrators are in it on any machine;
        members of a group are not told one by one. Entries of kinds that are neither allowing nor denying are left out.
        Empty when there is no usable private key.

        Raises:
            StoreNotFoundError: the certificate or its key is not there any more.
            UnsupportedError: what keeps the key (a smart card, say) has no access lists.
            AccessDeniedError, NativeError: Windows does not say.
            ClosedError: the machine was closed since.
        """
        if self._port is None or not self.has_private_key:
            return ()
        with closing(self._port().open_store(self.store_name, self.location, keep_open=True)) as store:
            return store.key_access(self.thumbprint)

    def check(
        self,
        host: str | None = None,
        *,
        trust: Iterable[TrustAnchor] | Literal["system"] | None = "system",
        at: dt.datetime | None = None,
        profile: str | Profile = "private",
        client: ClientName | None = None,
        purpose: Purpose = "server",
        crls: Sequence[AnyList] = (),
        revocation: Literal["soft", "hard"] = "soft",
        silence: Mapping[str, str] | None = None,
        extra_rules: Sequence[UserRule] = (),
        max_depth: int = 8,
    ) -> Report:
        """As `Certificate.check`, with what the machine it was read from knows now.

        That is its private key (opened, persisted, the machine's), the issuers in the stores CA, Root and AuthRoot,
        and the revocation lists of its issuers in those stores and its own. On an embedded machine
        `trust="system"` means what is in Root and AuthRoot as well as the operating system's roots; what is in
        Disallowed is nobody's issuer, whoever else trusts it.

        Raises:
            ClosedError: the machine was closed since.
        """
        from mlsssl._machine.authorities import MAX_DEPTH, Authorities
        from mlsssl._validator.validate import ServerFacts, check_crls, check_max_depth

        facts = None
        if self.key is not None:
            facts = ServerFacts(key_persisted=self.key.persisted, key_of_machine=self.key.machine_keyset)
        certificate = self.certificate
        if self._port is not None:
            port = self._port()
            # However few intermediates are wanted, it is told what there are.
            depth = max(check_max_depth(max_depth), MAX_DEPTH)
            authorities = Authorities(port, self.location, self.store_name, max_depth=depth)
            leaf = pem.x509_of(certificate)
            chain = authorities.issuers_of([leaf])
            certificate = certificate.with_chain(chain)
            crls = [*check_crls(crls), *authorities.crls_for([leaf, *chain])]
            if not port.is_this_windows:
                itself = [leaf] if authorities.has_root(pem.to_der(leaf)) else []
                roots = trusted_roots(trust, besides_system=[*authorities.roots, *itself])
                trust = None if roots is None else authorities.allowed(roots)
        return certificate.check(
            host,
            trust=trust,
            at=at,
            profile=profile,
            client=client,
            purpose=purpose,
            key_expected=not self.has_private_key,
            crls=crls,
            revocation=revocation,
            facts=facts,
            silence=silence,
            extra_rules=extra_rules,
            max_depth=max_depth,
        )

    def __repr__(self) -> str:
        inner = repr(self.certificate).removeprefix("<Certificate ").removesuffix("; no private key>")
        key = "with private key" if self.has_private_key else "private key unusable" if self.key else "no private key"
        return f"<StoreEntry {self.location}\\{self.store_name} {self.thumbprint}: {inner}; {key}>"


class Store:
    """A certificate store, by name and location. A context manager; used after `close` it says so.

    Every operation looks at the machine anew, so what another process added is seen, and a change is on disk
    when the call returns.

    Another program may have put a certificate into it that cannot be read. Iterating passes it over, `thumbprints`
    has it, `store[thumbprint]` raises the `MalformedDataError` that says why, and `remove` takes it out.

    Open one with `Store.open` or `machine.store`.
    """

    def __init__(self, name: str, location: Location, machine: HasPort | None) -> None:
        self._name = name
        self._location = location
        self._machine = machine
        self._closed = False

    @classmethod
    def open(
        cls,
        name: str = "MY",
        *,
        location: Location = "LocalMachine",
        machine: HasPort | None = None,
        create: bool = False,
    ) -> Store:
        """Open a store.

        Args:
            name: `MY` (Personal), `CA` (Intermediate), `Root` (Trusted Root), `WebHosting` or another; 1 to 127
                characters, compared without case.
            location: LocalMachine, which HTTP.sys reads, or CurrentUser.
            machine: Which machine; this computer when not given.
            create: Make the store when it is not there.

        Raises:
            InvalidInputError: the name or location cannot be one.
            StoreNotFoundError: there is no such store, and `create` is False.
            AccessDeniedError: this user may not open or make it.
        """
        store = cls(check_store_name(name), check_location(location), machine)
        store._port(create=create).close()  # it is there, or this raises
        return store

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    @property
    def location(self) -> Location:
        """LocalMachine or CurrentUser."""
        return self._location

    def _port(self, *, write: bool = False, create: bool = False) -> StorePort:
        if self._closed:
            raise StoreClosedError(f"the store {self._location}\\{self._name} is closed; open it again")
        return port_of(self._machine).open_store(
            self._name, self._location, create=create, write=write, keep_open=not (write or create)
        )

    def _entry(self, record: StoreRecord) -> StoreEntry:
        certificate = Certificate.from_der(record.certificate)
        if record.friendly_name is not None:
            certificate = certificate.with_friendly_name(record.friendly_name)
        entry = StoreEntry(
            certificate=certificate,
            thumbprint=certificate.thumbprint,
            store_name=self._name,
            location=self._location,
            friendly_name=record.friendly_name,
            archived=record.archived,
            key=record.key,
            renewed_by=record.renewed_by,
        )
        return set_attributes(entry, _port=partial(port_of, self._machine))

    # -- looking ------------------------------------------------------------------------------------------------

    def __getitem__(self, thumbprint: Thumbprint | bytes | str) -> StoreEntry:
        wanted = Thumbprint(thumbprint)
        entry = self.find(thumbprint=wanted)
        if entry is None:
            raise StoreNotFoundError(
                f"no certificate {wanted} in {self._location}\\{self._name}; add it, or look in another store"
            )
        return entry

    def __contains__(self, thumbprint: object) -> bool:
        if not isinstance(thumbprint, (str, bytes)):
            return False
        try:
            wanted = Thumbprint(thumbprint)
        except InvalidInputError:  # what is no thumbprint is in no store
            return False
        with closing(self._port()) as port:
            return port.find(wanted) is not None

    def __len__(self) -> int:
        return sum(1 for _ in self.thumbprints())

    def __bool__(self) -> bool:
        return True  # an empty store is still a store

    def __iter__(self) -> Iterator[StoreEntry]:
        with closing(self._port()) as port:
            for record in port.records():
                try:
                    entry = self._entry(record)
                except MalformedDataError:
                    continue
                yield entry

    def thumbprints(self) -> Iterator[Thumbprint]:
        """The thumbprints alone, in no stated order: much cheaper than the entries."""
        with closing(self._port()) as port:
            yield from port.thumbprints()

    def find(
        self,
        *,
        thumbprint: Thumbprint | bytes | str | None = None,
        host: str | None = None,
        at: dt.datetime | None = None,
    ) -> StoreEntry | None:
        """The entry asked for, or None.

        Args:
            thumbprint: This one; archived ones are found too.
            host: The one to serve this host name or address with: its subjectAltName matches, it is valid at
                `at`, its private key is usable; of several, the one that lasts longest.
            at: The moment for `host`; now when not given.

        Raises:
            InvalidInputError: neither or both are given, one of them is none, or `at` is naive.
        """
        if (thumbprint is None) == (host is None):
            raise InvalidInputError("find takes a thumbprint or a host")
        if thumbprint is not None:
            with closing(self._port()) as port:
                record = port.find(Thumbprint(thumbprint))
            return None if record is None else self._entry(record)
        assert host is not None
        moment = check_moment(at)
        usable = [
            entry
            for entry in self.find_all(host=host)
            if entry.has_private_key and entry.certificate.not_before <= moment <= entry.certificate.not_after
        ]
        return max(usable, key=lambda entry: entry.certificate.not_after, default=None)

    def find_all(self, *, host: str) -> list[StoreEntry]:
        """Every listed entry whose subjectAltName matches this host, whatever its dates and key.

        The embedded machine has an index of names; in a store of Windows every certificate is looked at.
        """
        wanted = parse_name(host)
        found = []
        with closing(self._port()) as port:
            for record in port.records_for_host(wanted):
                with suppress(MalformedDataError):  # somebody else's damaged certificate is not a match
                    entry = self._entry(record)
                    if any_matches(entry.certificate.hosts, wanted):
                        found.append(entry)
        return found

    # -- changing -----------------------------------------------------------------------------------------------

    def add(
        self,
        certificate: Certificate,
        *,
        friendly_name: str | None = None,
        exportable: bool = False,
        provider: KeyProvider | None = None,
        trust_root: bool = False,
    ) -> StoreEntry:
        """Add a certificate with its private key and chain; idempotent.

        The intermediates of its chain go to the store CA of the same location, which are those whose basicConstraints
        let them issue. The private key goes in before the certificate; a process killed in between leaves nothing that
        `mlsssl recover` would not find.

        Args:
            certificate: The certificate; its private key and chain go along when they are at hand.
            friendly_name: Shown in lists; the certificate's own when not given.
            exportable: Whether the private key may be read back out of the machine later.
            provider: `"cng"` or `"csp"` where one is needed; the machine chooses otherwise.
            trust_root: Put the self-signed root of its chain into the store Root: every program on this machine
                will trust whatever it signs. Not from a CurrentUser store.

        Returns:
            The entry as it is now.

        Raises:
            InvalidInputError: it is no `Certificate`.
            StoreClosedError: the store is closed.
            AccessDeniedError: this user may not change it.
            UnsupportedError: the machine cannot keep such a key; or something would go into CurrentUser's Root, for
                which Windows asks the user in a dialog, in a service without end.
        """
        check_type(certificate, Certificate, "a Certificate is needed (import_pfx takes a PFX as it is)")
        refuse_users_roots("Root" if trust_root else self._name, self._location)
        self._add_chain((c.to_der() for c in certificate.chain), trust_root=trust_root)
        with closing(self._port(write=True)) as port:
            record = stores.add(
                port,
                certificate.to_der(),
                pem.x509_of(certificate),
                certificate.private_key,
                friendly_name=certificate.friendly_name if friendly_name is None else friendly_name,
                exportable=exportable,
                provider=provider,
            )
        return self._entry(record)

    def add_all(
        self, certificates: Iterable[Certificate], *, progress: Callable[[int], object] | None = None
    ) -> tuple[StoreEntry, ...]:
        """Add every certificate of a bundle by itself, without private keys and chains; idempotent.

        Into Root go self-issued certificates only, and the others into CA of the same location: IIS refuses clients
        while Root holds a certificate that is not self-signed (Microsoft's article 2802568).

        The entries of all of them are kept for the answer: hundreds of thousands are better given in pieces.

        Args:
            certificates: As `Certificate.load_all` gives them.
            progress: Called with the number added so far, which are on disk, after each.

        Returns:
            The entries, in the given order.

        Raises:
            InvalidInputError: something else than certificates.
            StoreClosedError: the store is closed.
            AccessDeniedError: this user may not change it.
            UnsupportedError: something would go into CurrentUser's Root, as in `add`.
        """
        expected = "a list of certificates is needed (Certificate.load_all reads a bundle)"
        given = [check_type(one, Certificate, expected) for one in items_of(certificates, expected)]
        check_callable(progress, "progress is a function of the number added so far")
        tell = (lambda done: None) if progress is None else progress
        refuse_users_roots(self._name, self._location)
        ours = [one for one in given if self._name.lower() != "root" or pem.is_root(pem.x509_of(one))]
        entries: dict[Certificate, StoreEntry] = {}
        for start in range(0, len(ours), _BATCH):
            batch = ours[start : start + _BATCH]
            with closing(self._port(write=True)) as port:
                port.add_many((NewCertificate(certificate=one.to_der()) for one in batch), exportable=False)
            for done, one in enumerate(batch, start + 1):
                entries[one] = self[one.thumbprint]
                tell(done)
        if others := [one for one in given if one not in entries]:
            intermediates = Store("CA", self._location, self._machine)
            added = intermediates.add_all(others, progress=lambda done: tell(len(ours) + done))
            entries |= zip(others, added, strict=True)
        return tuple(entries[one] for one in given)

    def import_pfx(
        self,
        data: bytes | str | Path,
        password: str | None,
        *,
        alias: str | None = None,
        friendly_name: str | None = None,
        exportable: bool = False,
        trust_root: bool = False,
    ) -> StoreEntry:
        """Take a PFX as it is, the way the import wizard does: on Windows through PFXImportCertStore.

        Args:
            data: The file's bytes, or its path.
            password: As the file was written; None when there is none.
            alias: Which one, where the file has several private keys with a certificate each, as in `Certificate.load`;
                what is not taken then is in that certificate's `left_out`.
            friendly_name: Shown in lists; what the file says when not given.
            exportable: As in `add`.
            trust_root: As in `add`.

        Returns:
            The entry of the certificate that has the private key; the others went where `add` puts a chain.

        Raises:
            WrongPasswordError: the password does not open it.
            MalformedDataError: it is damaged, or no PFX; or it has several keys, and no `alias` says which.
            UnsupportedError: this Windows cannot read its encryption; `Certificate.to_pfx(readable_by=...)`
                writes one that it can. Or CurrentUser's Root, as in `add`.
            NotFoundError: a path was given, and there is no such file; or nothing in the file has this alias.
        """
        file: str | Path | None = None
        if not isinstance(data, (bytes, bytearray, memoryview)):
            file, data = data, files.read(files.path_of(data))
        with files.naming(file):
            data = sniff.take(bytes(data), sniff.Kind.PFX)[0].data
        refuse_users_roots("Root" if trust_root else self._name, self._location)
        with files.naming(file), closing(self._port(write=True)) as port:
            record, others = port.import_pfx(
                data, password, exportable=exportable, friendly_name=friendly_name, alias=alias
            )
        self._add_chain(others, trust_root=trust_root)
        return self._entry(record)

    def _add_chain(self, chain: Iterable[bytes], *, trust_root: bool) -> None:
        machine = port_of(self._machine)
        for der in chain:
            certificate = pem.load_der(der)
            root = pem.is_root(certificate)
            if not trust_root if root else not may_issue(certificate):
                continue
            with closing(machine.open_store("Root" if root else "CA", self._location, write=True)) as port:
                port.add(der, None, friendly_name=None, exportable=False, provider=None)

    def to_pem(self) -> bytes:
        """Every certificate of the store as PEM, one block each, sorted by thumbprint; never a private key.

        Archived certificates and such as this library cannot read are there too; revocation lists are not. Empty for
        an empty store.
        """
        from ssl import DER_cert_to_PEM_cert  # which looks at nothing in it

        with closing(self._port()) as port:
            ders = sorted((record.certificate for record in port.records()), key=lambda der: str(thumbprint_of(der)))
        return "".join(map(DER_cert_to_PEM_cert, ders)).encode("ascii")

    def export(self, thumbprint: Thumbprint | bytes | str) -> Certificate:
        """The certificate of this `thumbprint` together with its private key, which has to be exportable.

        Raises:
            StoreNotFoundError: it is not there, or has no usable private key.
            AccessDeniedError: the key is not exportable.
        """
        from mlsssl._formats.key_files import load_private_key

        wanted = Thumbprint(thumbprint)
        entry = self[wanted]
        with closing(self._port()) as port:
            key = load_private_key(port.export_key(wanted), None)
        return entry.certificate.with_key(key).with_friendly_name(entry.friendly_name)

    def remove(self, thumbprint: Thumbprint | bytes | str, *, delete_key: bool = True) -> None:
        """Take a certificate out.

        As on Windows, a binding that names it stays, and fails from then on: look at `Binding.all` first, or let
        `cleanup` do it.

        Args:
            thumbprint: Which.
            delete_key: Delete its private key too, unless another certificate uses it. Windows itself never
                does, and so collects keys that nothing can reach.

        Raises:
            StoreNotFoundError: it is not there.
            AccessDeniedError: this user may not change the store.
            UnsupportedError: it is in CurrentUser's Root, as in `add`.
        """
        with closing(self._port(write=True)) as port:
            port.remove(Thumbprint(thumbprint), delete_key=delete_key)

    def set_friendly_name(self, thumbprint: Thumbprint | bytes | str, friendly_name: str | None) -> None:
        """Set the name that lists show for the certificate of this `thumbprint`; None for `friendly_name` clears it.

        Raises:
            StoreNotFoundError: it is not there.
            InvalidInputError: a name that lists cannot show.
        """
        with closing(self._port(write=True)) as port:
            port.set_friendly_name(Thumbprint(thumbprint), friendly_name)

    def set_archived(self, thumbprint: Thumbprint | bytes | str, archived: bool = True) -> None:
        """Hide from listings the certificate of this `thumbprint`, or with `archived=False` show it again.

        Raises:
            StoreNotFoundError: it is not there.
        """
        with closing(self._port(write=True)) as port:
            port.set_archived(Thumbprint(thumbprint), check_type(archived, bool, "archived is True or False"))

    def set_renewed_by(self, thumbprint: Thumbprint | bytes | str, newer: Thumbprint | bytes | str | None) -> None:
        """Mark a certificate as renewed by another: the CERT_RENEWAL property, which IIS' automatic rebind reads.

        Args:
            thumbprint: The old one's.
            newer: The new one's, or None to take the mark away.

        Raises:
            StoreNotFoundError: the old one is not there.
        """
        with closing(self._port(write=True)) as port:
            port.set_renewed_by(Thumbprint(thumbprint), None if newer is None else Thumbprint(newer))

    # -- who may use the private keys ---------------------------------------------------------------------------

    def grant_key_access(self, thumbprint: Thumbprint | bytes | str, account: str) -> tuple[KeyAccess, ...]:
        r"""Let an account use a certificate's private key, as "Manage Private Keys" with Read does; idempotent.

        The right is the key's, so every certificate with the same key container has it. Every other entry of the key's
        access list stays as it is. On an embedded machine it is imitated: kept and shown, but nobody is kept off.

        Args:
            thumbprint: Which.
            account: A name or a SID: `NETWORK SERVICE`, `NT SERVICE\W3SVC`, `IIS AppPool\DefaultAppPool`,
                `DOMAIN\user`, `S-1-5-20`. Those that every Windows has are taken in English, whatever its language.

        Returns:
            The access list as it is now, as `StoreEntry.key_access`.

        Raises:
            StoreNotFoundError: the certificate is not there, or has no usable private key.
            NotFoundError: there is no such account (1332).
            InvalidInputError: it can be neither name nor SID.
            StoreError: an entry denies it to this account, and goes before any that allows.
            AccessDeniedError: this user may not change the key.
            UnsupportedError: what keeps the key (a smart card, say) has no access lists.
            NativeError: Windows could not look the account up, or not change the list.
        """
        found = port_of(self._machine).account(account)
        with closing(self._port(write=True)) as port:
            port.grant_key_access(Thumbprint(thumbprint), found)
            return port.key_access(Thumbprint(thumbprint))

    def revoke_key_access(self, thumbprint: Thumbprint | bytes | str, account: str) -> tuple[KeyAccess, ...]:
        """Take from an account what lets it use a certificate's private key; idempotent.

        What it may do as a member of a group stays, and so does an entry that denies.

        Args:
            thumbprint: Which.
            account: As in `grant_key_access`.

        Returns:
            The access list as it is now, as `StoreEntry.key_access`.

        Raises:
            InvalidInputError: it can be neither name nor SID; or it is SYSTEM, as which HTTP.sys reads the machine's
                keys, or the administrators, who alone could give it back.
            StoreError: the right is inherited from the folder of keys; or everybody has it.
            StoreNotFoundError, NotFoundError, AccessDeniedError, UnsupportedError, NativeError: as `grant_key_access`.
        """
        found = port_of(self._machine).account(account)
        if self._location == "LocalMachine" and found.sid in (SYSTEM.sid, ADMINISTRATORS.sid):
            raise InvalidInputError(
                f"{found} keeps its right: HTTP.sys reads the machine's keys as SYSTEM, and without the administrators "
                "nobody could give a right back"
            )
        with closing(self._port(write=True)) as port:
            port.revoke_key_access(Thumbprint(thumbprint), found)
            return port.key_access(Thumbprint(thumbprint))

    # -- revocation lists ---------------------------------------------------------------------------------------

    def crls(self) -> tuple[RevocationList, ...]:
        """The certificate revocation lists in it, in no stated order; `check(crls=...)` takes them as they are.

        Lists that cannot be read are left out, so that somebody else's damaged one is no reason to stop.
        """
        with closing(self._port()) as port:
            return wrapped_lists(revocation_lists.readable(port))

    def add_crl(
        self, crl: RevocationList | x509.CertificateRevocationList | bytes | str | Path
    ) -> tuple[RevocationList, ...]:
        """Add a revocation list in place of the older one that it renews; idempotent.

        It renews a list of the same issuer with the same authorityKeyIdentifier and issuingDistributionPoint, a
        complete list a complete one and a delta list a delta one, as Windows' CERT_STORE_ADD_NEWER does. The new
        one goes in before the old one goes out, so a process killed in between leaves both, and the next `add_crl`
        tidies up. On Windows lists lie in the store CA, beside the intermediates.

        Its signature is *not* checked here, nor whether it is current: `check` does both, and ignores what no
        authority of the chain has signed.

        Args:
            crl: The list; or PEM (any number of them) or DER, as bytes or as the path of a file. Of several in
                one line the newest is taken.

        Returns:
            The lists that are there now and were not before.

        Raises:
            InvalidInputError: one is not newer than the list that it would replace, by thisUpdate and then by CRL
                number; then none was added.
            MalformedDataError: there is no list in it, or one cannot be read.
            NotFoundError: a path was given, and there is no such file.
            AccessDeniedError: this user may not change the store, or not read the file.
            StoreClosedError: the store is closed.
        """
        lists = given_lists(crl)
        with closing(self._port(write=True)) as port:
            return wrapped_lists(revocation_lists.add(port, lists))

    def remove_crl(
        self, crl: RevocationList | x509.CertificateRevocationList | Thumbprint | bytes | str | Path
    ) -> None:
        """Take exactly this revocation list out.

        Args:
            crl: As in `add_crl`; or a `Thumbprint`, the SHA-1 of its DER, by which also a list that cannot be read
                is taken out.

        Raises:
            StoreNotFoundError: it is not there; of several, none was removed then.
            MalformedDataError, NotFoundError, AccessDeniedError, StoreClosedError: as `add_crl`.
        """
        with closing(self._port(write=True)) as port:
            revocation_lists.remove(port, crl if isinstance(crl, Thumbprint) else given_lists(crl))

    # -- looking ------------------------------------------------------------------------------------------------

    def to_rows(self) -> list[dict[str, object]]:
        """A dict per certificate, all with the same keys: `pandas.DataFrame(store.to_rows())`.

        Text and booleans, but for `not_before` and `not_after`, which are moments (`datetime`) in UTC. `names` is text,
        with commas; what cannot be read in a damaged certificate is None. `private_key` is `usable`, or what is
        wrong with the key, and None without one.

        Raises:
            StoreClosedError, AccessDeniedError: as reading the store.
        """
        return [
            {
                "thumbprint": str(one.thumbprint),
                "store": one.store_name,
                "location": one.location,
                "names": foreign.read_or(None, lambda found: ", ".join(found.names), one.certificate),
                "subject": one.certificate.subject,
                "issuer": one.certificate.issuer,
                "not_before": one.certificate.not_before,
                "not_after": one.certificate.not_after,
                "key_type": foreign.read_or(None, attrgetter("key_type"), one.certificate),
                "private_key": key_words(one.key),
                "friendly_name": one.friendly_name,
                "archived": one.archived,
                "renewed_by": None if one.renewed_by is None else str(one.renewed_by),
            }
            for one in self
        ]

    # -- closing ------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close it; idempotent."""
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Store {self._location}\\{self._name}{', closed' if self._closed else ''}>"

    def _repr_pretty_(self, printer: Printer, cycle: bool) -> None:
        printer.text("\n".join([repr(self), *(() if self._closed else (f"  {entry!r}" for entry in self))]))

    def _repr_html_(self) -> str:
        from mlsssl._notebook.cards import code, faint, key_state, listing, second_line, text

        entries = () if self._closed else sorted(self, key=lambda entry: entry.certificate.not_after)
        rows = [
            [
                text(card_title(one.certificate))
                + second_line(one.friendly_name)
                + f"<br>{code(one.thumbprint, whole=True)}",
                text(one.certificate.issuer),
                card_validity(one.certificate).bar,
                key_state(key_words(one.key)) or faint("none"),
            ]
            for one in entries
        ]
        heads = ("certificate", "issuer", "validity", "private key")
        return listing(f"{self._location}\\{self._name}", "certificate", heads, rows, empty="the store is empty")


def key_words(key: KeyState | None) -> str | None:
    """`usable`, or what is wrong with a certificate's key in a store; None when there is none. Private."""
    return None if key is None else "usable" if key.usable else key.problem or "another certificate's"
