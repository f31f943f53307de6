"""What a machine's stores know around a certificate: its issuers, their revocation lists, and trusted roots."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from mlsssl._formats import pem
from mlsssl._formats.crl import load_der_crl
from mlsssl._formats.foreign import read_or
from mlsssl._formats.parsed import issuer_view
from mlsssl._validator.name_constraints import canonical_name
from mlsssl.errors import MalformedDataError, StoreNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cryptography import x509

    from mlsssl._machine.ports import MachinePort, StorePort
    from mlsssl.values import Location

# Where Windows' chain engine looks besides the stores of certificates with keys (CertCreateCertificateChainEngine).
_ROOTS = ("Root", "AuthRoot")
_AUTHORITIES = ("CA", *_ROOTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What was found in the stores at one moment, without what is in Disallowed.

    Attributes:
        authorities: The certificates in CA, Root and AuthRoot, by their subject in the form for comparing.
        crls: Revocation lists, by their issuer in the same form.
        roots: Those of Root and AuthRoot.
    """

    authorities: dict[object, list[x509.Certificate]]
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
                for issuer in self.authorities.get(name, ()):
                    found.append(issuer)
                    wanted.append(_issuer(issuer))
        return found

    def crls_for(self, certificates: Iterable[x509.Certificate]) -> list[x509.CertificateRevocationList]:
        """The lists of these certificates' issuers."""
        names = dict.fromkeys(_issuer(certificate) for certificate in certificates)
        return [one for name in names for one in self.crls.get(name, ())]


def look_around(port: MachinePort, location: Location, *stores: str) -> Surroundings:
    """Read the stores that hold authorities, and the revocation lists in them and in `stores`.

    A user's stores stand in front of the machine's, as on Windows. What cannot be read is passed over: it is
    somebody else's, and nobody's issuer.

    Args:
        port: The machine.
        location: Of the certificates in question.
        stores: Further stores to take revocation lists from.
    """
    disallowed = {der for place in _places(location) for der in _certificates(port, "Disallowed", place)}
    authorities: dict[object, list[x509.Certificate]] = {}
    roots: dict[bytes, x509.Certificate] = {}
    for place in _places(location):
        for name in _AUTHORITIES:
            for der in _certificates(port, name, place):
                if der not in disallowed:
                    _file(authorities, roots if name in _ROOTS else {}, der)
    crls = lists_around(port, location, *stores)
    return Surroundings(authorities=authorities, crls=crls, roots=tuple(roots.values()))


def look_around_if_lists(port: MachinePort, *stores: str) -> Surroundings | None:
    """`look_around` in LocalMachine, or None where no revocation list is: then there is nothing to look up."""
    return look_around(port, "LocalMachine", *stores) if lists_around(port, "LocalMachine", *stores) else None


def lists_around(
    port: MachinePort, location: Location, *stores: str
) -> dict[object, list[x509.CertificateRevocationList]]:
    """The revocation lists alone, by the DER of their issuer."""
    names = {name.casefold(): name for name in (*_AUTHORITIES, *stores)}
    found: dict[object, list[x509.CertificateRevocationList]] = {}
    for place in _places(location):
        for name in names.values():
            for der in _in_store(port, name, place, lambda store: store.crls()):
                with suppress(MalformedDataError):
                    one = load_der_crl(der)
                    found.setdefault(canonical_name(one.issuer), []).append(one)
    return found


def _places(location: Location) -> tuple[Location, ...]:
    return ("CurrentUser", "LocalMachine") if location == "CurrentUser" else ("LocalMachine",)


def _file(authorities: dict[object, list[x509.Certificate]], roots: dict[bytes, x509.Certificate], der: bytes) -> None:
    with suppress(MalformedDataError):
        certificate = pem.load_der(der)
        same = authorities.setdefault(_subject(certificate), [])
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


def _certificates(port: MachinePort, name: str, location: Location) -> Iterator[bytes]:
    return _in_store(port, name, location, lambda store: [record.certificate for record in store.records()])


def _in_store(
    port: MachinePort, name: str, location: Location, take: Callable[[StorePort], list[bytes]]
) -> Iterator[bytes]:
    """Nothing, where there is no such store: a Windows on which nothing was ever distrusted may have none."""
    try:
        store = port.open_store(name, location)
    except StoreNotFoundError:
        return
    with closing(store):
        yield from take(store)
