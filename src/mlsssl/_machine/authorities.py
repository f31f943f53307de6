"""The certificate authorities in a machine's stores: issuers, their revocation lists, trusted roots."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property, partial
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509

from mlsssl._formats import pem
from mlsssl._formats.crl import load_der_crl
from mlsssl._formats.foreign import UNREADABLE, call, read_or
from mlsssl._formats.parsed import View, issuer_view, subject_octets
from mlsssl._machine import stores
from mlsssl._validator.name_constraints import canonical_name
from mlsssl.errors import MalformedDataError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator
    from typing import TypeAlias

    from mlsssl._machine.ports import MachinePort, StorePort
    from mlsssl.values import Location

    Look: TypeAlias = Callable[[str], StorePort | None]

# Where Windows' chain engine looks besides the stores of certificates with keys (CertCreateCertificateChainEngine).
_ROOTS = ("Root", "AuthRoot")
_AUTHORITIES = ("CA", *_ROOTS)

MAX_DEPTH = 8
"""How many intermediates a way has at most where nothing else is said, as in `Certificate.check`."""


class _Issuer(NamedTuple):
    """A certificate that bears a name that was looked for, and the names of its own issuer."""

    certificate: x509.Certificate
    above: tuple[object, ...]


class Authorities:
    """What CA, Root and AuthRoot hold above the certificates that are asked about, without what is in Disallowed.

    The stores are gone through for the names of issuers, then for those of the issuers of what was found, and so on.
    What bears none of them is not kept, so that only the ways up take memory, whatever the stores hold; a name that was
    looked for is not looked for again. What cannot be read is passed over: it is somebody else's, and nobody's issuer.

    Args:
        port: The machine.
        location: Of the certificates in question. A user's stores stand in front of the machine's, as on Windows.
        further: More stores to take revocation lists from.
        max_depth: How many intermediates a way has at most. The stores are gone through once for each, and once for
            roots, and no more often, whatever they hold.
        look: Gives each store of the machine, open, or None without it, and closes it later; by default they are opened
            for each reading.
    """

    def __init__(
        self,
        port: MachinePort,
        location: Location = "LocalMachine",
        *further: str,
        max_depth: int = MAX_DEPTH,
        look: Look | None = None,
    ) -> None:
        self._port = port
        self._location = location
        self._look = look
        self._with_crls = (*_AUTHORITIES, *further)
        self._levels = max_depth + 1  # and the root's
        self._followed: set[bytes] = set()  # issuers from which all levels were gone up
        self._asked: set[object] = set()
        self._named: dict[object, list[_Issuer]] = {}
        self._found: dict[bytes, x509.Certificate] = {}
        self._roots: dict[bytes, x509.Certificate] = {}
        self._crls: dict[object, list[x509.CertificateRevocationList]] = {}

    @property
    def certificates(self) -> Collection[x509.Certificate]:
        """All that were found so far, those of one name in the order of the stores; there are never fewer later."""
        return self._found.values()

    @property
    def roots(self) -> tuple[x509.Certificate, ...]:
        """Those of them that are in Root or AuthRoot."""
        return tuple(self._roots.values())

    def read(self, views: Iterable[View]) -> None:
        """Look for every certificate on a way up from these, by names alone; whether signatures hold is not asked."""
        below = [view for view in views if view.issuer not in self._followed]
        if not below:
            return
        names = {name for view in below for name in _issuer_names(view)}
        seen: set[object] = set()
        with self._reading() as reading:
            for _ in range(self._levels):
                if not names:
                    break
                self._look_for(names, reading)
                seen |= names
                names = {above for name in names for one in self._named.get(name, ()) for above in one.above} - seen
        self._followed.update(view.issuer for view in below)

    def issuers_of(self, certificates: Iterable[x509.Certificate]) -> list[x509.Certificate]:
        """Every certificate on a way up from these, by names alone; whether signatures hold is the validator's."""
        below = [View(certificate) for certificate in certificates]
        self.read(below)
        found: list[x509.Certificate] = []
        names: set[object] = set()
        wanted = [_issuer(view.certificate) for view in below]
        while wanted:
            name = wanted.pop()
            if name not in names:
                names.add(name)
                for issuer in self._named.get(name, ()):
                    found.append(issuer.certificate)
                    wanted.append(issuer.above[-1])
        return found

    def roots_named_as(self, view: View) -> list[x509.Certificate]:
        """Those in Root and AuthRoot with the name of this one."""
        with self._reading() as reading:
            self._look_for(_subject_names(view), reading)
        same = (one.certificate for one in self._named.get(view.subject, ()))
        return [one for one in same if pem.to_der(one) in self._roots]

    def has_root(self, der: bytes) -> bool:
        """Whether this very certificate is in Root or AuthRoot."""
        with self._reading() as reading:
            roots = reading.opened(_ROOTS)
            return any(_lists(store, der) for _, store in roots) and not reading.is_disallowed(der)

    def allowed(self, certificates: Iterable[x509.Certificate]) -> list[x509.Certificate]:
        """Those of these that are not in Disallowed, wherever they come from."""
        given = [(pem.to_der(one), one) for one in certificates]
        with self._reading() as reading:
            disallowed = reading.disallowed_among({der for der, _ in given})
        return [one for der, one in given if der not in disallowed]

    def has_crls(self, look: Look | None = None) -> bool:
        """Whether a revocation list is there, of whomever; `look` gives the stores this once."""
        if not self._port.may_have_crls():
            return False
        there = False

        def is_wanted(der: bytes) -> bool:
            nonlocal there
            there = there or _crl_issuer(der) is not None
            return False

        with self._reading(look) as reading:
            for _, store in reading.opened(self._with_crls):
                store.crls(is_wanted)
        return there

    def crls_for(self, certificates: Iterable[x509.Certificate]) -> list[x509.CertificateRevocationList]:
        """The revocation lists of these certificates' issuers."""
        names = dict.fromkeys(_issuer(certificate) for certificate in certificates)
        if not self._crls.keys() >= names.keys():
            # With those of all issuers that are known by now: nothing is gone through for each certificate.
            new: dict[object, list[x509.CertificateRevocationList]] = {
                name: [] for name in (*names, *self._asked) if name not in self._crls
            }
            if self._port.may_have_crls():
                self._read_crls(new)
            self._crls |= new
        return [one for name in names for one in self._crls[name]]

    def _read_crls(self, wanted: dict[object, list[x509.CertificateRevocationList]]) -> None:
        with self._reading() as reading:
            for _, store in reading.opened(self._with_crls):
                for der in store.crls(lambda der: _crl_issuer(der) in wanted):
                    one = load_der_crl(der)
                    wanted[canonical_name(one.issuer)].append(one)

    def _reading(self, look: Look | None = None) -> _Reading:
        return _Reading(self._port, self._location, look or self._look)

    def _look_for(self, names: Collection[object], reading: _Reading) -> None:
        names = {name for name in names if name not in self._asked}
        if not names:
            return
        for store_name, store in reading.stores:
            for der in store.certificates(_bears_one_of(names)):
                if der not in self._found and not reading.is_disallowed(der):
                    with suppress(MalformedDataError):
                        self._keep(der)
                if store_name in _ROOTS and der in self._found:
                    self._roots.setdefault(der, self._found[der])
        self._asked |= names

    def _keep(self, der: bytes) -> None:
        certificate = pem.load_der(der)
        view = issuer_view(certificate)
        issuer = _Issuer(certificate, _issuer_names(view))
        for name in dict.fromkeys(_subject_names(view)):
            self._named.setdefault(name, []).append(issuer)
        self._found[der] = certificate


class _Reading(ExitStack):
    """The stores that are gone through for one question, each opened when it is needed and closed at the end."""

    def __init__(self, port: MachinePort, location: Location, look: Look | None) -> None:
        super().__init__()
        self._opened = partial(_opened, port, location, look)

    def opened(self, names: Iterable[str]) -> list[tuple[str, StorePort]]:
        """Those of these names that are there, each once and with its name, the user's first."""
        return self.enter_context(self._opened(names))

    @cached_property
    def stores(self) -> list[tuple[str, StorePort]]:
        """Those that hold authorities."""
        return self.opened(_AUTHORITIES)

    @cached_property
    def _disallowed(self) -> list[tuple[str, StorePort]]:
        return self.opened(("Disallowed",))

    def is_disallowed(self, der: bytes) -> bool:
        """Whether nobody may have this certificate as an issuer."""
        return any(_lists(store, der) for _, store in self._disallowed)

    def disallowed_among(self, ders: Collection[bytes]) -> set[bytes]:
        """Those of these of which nobody may: for many, since little is in that store."""
        found = {der for _, store in self._disallowed for der in store.certificates(ders.__contains__)}
        return {der for der in found if self.is_disallowed(der)}


def _lists(store: StorePort, der: bytes) -> bool:
    record = store.find(stores.thumbprint_of(der))
    return record is not None and not record.archived and record.certificate == der


@contextmanager
def _opened(
    port: MachinePort, location: Location, look: Look | None, names: Iterable[str]
) -> Iterator[list[tuple[str, StorePort]]]:
    """Every store of these that is there, each once and with its name, the user's first."""
    once: dict[str, str] = {}
    for name in names:
        once.setdefault(name.casefold(), name)
    places: tuple[Location, ...] = ("CurrentUser", "LocalMachine") if location == "CurrentUser" else ("LocalMachine",)
    with ExitStack() as stack:
        opened = [
            (name, stack.enter_context(stores.opened(port, name, place)) if look is None else look(name))
            for place in places
            for name in once.values()
        ]
        yield [(name, store) for name, store in opened if store is not None]


def _bears_one_of(names: Collection[object]) -> Callable[[bytes], bool]:
    """Whether a certificate's subject is among these names: its octets, or its form for comparing."""

    def bears(der: bytes) -> bool:
        try:
            return subject_octets(der) in names or canonical_name(_read_subject(der)) in names
        except UNREADABLE:  # for cryptography; our own MalformedDataError is a ValueError
            with suppress(MalformedDataError):
                return any(name in names for name in _subject_names(View(pem.load_der(der))))
            return False

    return bears


def _crl_issuer(der: bytes) -> object:
    """The issuer in the form for comparing; None where the list cannot be read: it is somebody else's."""
    with suppress(MalformedDataError):
        return canonical_name(load_der_crl(der).issuer)
    return None


_subject_of = attrgetter("subject")


def _read_subject(der: bytes) -> x509.Name:
    name: x509.Name = call(_subject_of, call(x509.load_der_x509_certificate, der))
    return name


def _subject_names(view: View) -> tuple[object, ...]:
    """What it is found by as an issuer: the octets of its subject, and the form for comparing where it can be read."""
    return (view.subject,) if view.name is None else (view.subject, canonical_name(view.name))


def _issuer_names(view: View) -> tuple[object, ...]:
    """What its issuer is looked for by, likewise."""
    return (view.issuer, _issuer(view.certificate))


def _issuer(certificate: x509.Certificate) -> object:
    """The issuer in the form for comparing; its octets where it cannot be read."""
    name: x509.Name | None = read_or(None, attrgetter("issuer"), certificate)
    return issuer_view(certificate).issuer if name is None else canonical_name(name)
