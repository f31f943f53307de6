"""The certificate authorities in a machine's stores: issuers, their revocation lists, trusted roots."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from mlsssl._formats import pem
from mlsssl._formats.crl import load_der_crl
from mlsssl._formats.foreign import read_or
from mlsssl._formats.parsed import issuer_view
from mlsssl._machine import stores
from mlsssl._validator.name_constraints import canonical_name
from mlsssl.errors import MalformedDataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cryptography import x509

    from mlsssl._machine.ports import MachinePort, StorePort
    from mlsssl.values import Location

# Where Windows' chain engine looks besides the stores of certificates with keys (CertCreateCertificateChainEngine).
_ROOTS = ("Root", "AuthRoot")
_AUTHORITIES = ("CA", *_ROOTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorities:
    """What the stores held at one moment, without what is in Disallowed.

    Attributes:
        certificates: Those in CA, Root and AuthRoot, by their subject in the form for comparing.
        crls: Revocation lists, by their issuer in the same form.
        roots: Those of Root and AuthRoot.
    """

    certificates: dict[object, list[x509.Certificate]]
    crls: dict[object, list[x509.CertificateRevocationList]]
    roots: tuple[x509.Certificate, ...]

    def issuers_of(self, certificates: Iterable[x509.Certificate]) -> list[x509.Certificate]:
        """Every certificate on a way up from these, by names alone; whether signatures hold is the validator's."""
        found: list[x509.Certificate] = []
        names: set[object] = set()
        wanted = [_issuer(certificate) for certificate in certificates]
        while wanted:
            name = wanted.pop()
            if name not in names:
                names.add(name)
                for issuer in self.certificates.get(name, ()):
                    found.append(issuer)
                    wanted.append(_issuer(issuer))
        return found

    def crls_for(self, certificates: Iterable[x509.Certificate]) -> list[x509.CertificateRevocationList]:
        """The lists of these certificates' issuers."""
        names = dict.fromkeys(_issuer(certificate) for certificate in certificates)
        return [one for name in names for one in self.crls.get(name, ())]


def read_authorities(port: MachinePort, location: Location, *further: str) -> Authorities:
    """Read the stores that hold authorities, and the revocation lists in them and in `further`; each is opened once.

    A user's stores stand in front of the machine's, as on Windows. What cannot be read is passed over: it is
    somebody else's, and nobody's issuer.

    Args:
        port: The machine.
        location: Of the certificates in question.
        further: More stores to take revocation lists from.
    """
    with _opened(port, location, further, None) as opened:
        return _authorities(port, location, opened, _crls(opened))


def read_authorities_if_crls(
    port: MachinePort, *further: str, look: Callable[[str], StorePort | None] | None = None
) -> Authorities | None:
    """`read_authorities` in LocalMachine, or None where no revocation list is: then there is nothing to look up.

    Args:
        port: The machine.
        further: More stores to take revocation lists from.
        look: Gives each of the stores, open, or None without it, and closes it later; by default they are opened here.
    """
    if not port.may_have_crls():
        return None
    with _opened(port, "LocalMachine", further, look) as opened:
        crls = _crls(opened)
        return _authorities(port, "LocalMachine", opened, crls) if crls else None


def read_issuers(port: MachinePort, *, look: Callable[[str], StorePort | None] | None = None) -> Authorities:
    """`read_authorities` in LocalMachine without the revocation lists; `look` as in `read_authorities_if_crls`."""
    with _opened(port, "LocalMachine", (), look) as opened:
        return _authorities(port, "LocalMachine", opened, {})


@contextmanager
def _opened(
    port: MachinePort, location: Location, further: Iterable[str], look: Callable[[str], StorePort | None] | None
) -> Iterator[list[tuple[str, StorePort]]]:
    """Every store that is there, with its name, the user's first."""
    names = {name.casefold(): name for name in (*_AUTHORITIES, *further, *_AUTHORITIES)}  # in our spelling of those
    with ExitStack() as stack:
        opened = [
            (name, stack.enter_context(stores.opened(port, name, place)) if look is None else look(name))
            for place in _places(location)
            for name in names.values()
        ]
        yield [(name, store) for name, store in opened if store is not None]


def _crls(opened: Iterable[tuple[str, StorePort]]) -> dict[object, list[x509.CertificateRevocationList]]:
    found: dict[object, list[x509.CertificateRevocationList]] = {}
    for _, store in opened:
        for der in store.crls():
            with suppress(MalformedDataError):
                one = load_der_crl(der)
                found.setdefault(canonical_name(one.issuer), []).append(one)
    return found


def _authorities(
    port: MachinePort,
    location: Location,
    opened: Iterable[tuple[str, StorePort]],
    crls: dict[object, list[x509.CertificateRevocationList]],
) -> Authorities:
    disallowed: set[bytes] = set()
    for place in _places(location):
        with stores.opened(port, "Disallowed", place) as store:
            disallowed |= set() if store is None else {record.certificate for record in store.records()}
    certificates: dict[object, list[x509.Certificate]] = {}
    roots: dict[bytes, x509.Certificate] = {}
    for name, store in opened:
        for record in store.records() if name in _AUTHORITIES else ():
            if record.certificate not in disallowed:
                _file(certificates, roots if name in _ROOTS else {}, record.certificate)
    return Authorities(certificates=certificates, crls=crls, roots=tuple(roots.values()))


def _places(location: Location) -> tuple[Location, ...]:
    return ("CurrentUser", "LocalMachine") if location == "CurrentUser" else ("LocalMachine",)


def _file(certificates: dict[object, list[x509.Certificate]], roots: dict[bytes, x509.Certificate], der: bytes) -> None:
    with suppress(MalformedDataError):
        certificate = pem.load_der(der)
        same = certificates.setdefault(_subject(certificate), [])
        if certificate not in same:
            same.append(certificate)
        roots.setdefault(der, certificate)


def _subject(certificate: x509.Certificate) -> object:
    """The subject in the form for comparing; its octets where it cannot be read."""
    view = issuer_view(certificate)
    return view.subject if view.name is None else canonical_name(view.name)


def _issuer(certificate: x509.Certificate) -> object:
    """The issuer likewise."""
    name: x509.Name | None = read_or(None, attrgetter("issuer"), certificate)
    return issuer_view(certificate).issuer if name is None else canonical_name(name)
