"""What is wrong, or worth knowing, before a certificate is bound: looked at without changing anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsssl._formats import pem
from mlsssl._formats.binding_keys import HostnamePort, IpPort, is_host_name
from mlsssl._formats.hosts import any_matches, parse_name
from mlsssl._machine import precedence
from mlsssl._machine.ports import WELL_KNOWN_APPLICATION_IDS
from mlsssl._select.trust import report_on
from mlsssl._validator.findings import machine_finding
from mlsssl._validator.report import Finding, Severity
from mlsssl.certificate import x509_chain
from mlsssl.errors import InvalidInputError, MalformedDataError

if TYPE_CHECKING:
    import datetime as dt
    import uuid
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from cryptography import x509

    from mlsssl._formats.binding_keys import BindingKey
    from mlsssl._formats.parsed import View
    from mlsssl._machine.authorities import Authorities
    from mlsssl._machine.ports import BindingRecord, StoreRecord
    from mlsssl._validator.profiles import Profile
    from mlsssl.certificate import Certificate
    from mlsssl.values import Thumbprint


def about_certificate(
    certificate: Certificate,
    host: str | None,
    at: dt.datetime,
    profile: str | Profile,
    authorities: Authorities | None,
    *,
    view_of: Callable[[Certificate], View] | None = None,
) -> Iterator[Finding]:
    """What the validator says to the certificate itself; trust is the clients' question, not this machine's.

    With `authorities`, what the machine's stores know, it is looked up in the revocation lists there. `view_of` takes
    it apart, for who has to do that anyway.
    """
    crls: list[x509.CertificateRevocationList] = []
    leaf, chain = pem.x509_of(certificate), x509_chain(certificate)
    try:
        if authorities is not None:
            chain = (*chain, *authorities.issuers_of([leaf, *chain]))
            crls = authorities.crls_for([leaf, *chain])
            chain = pem.order_chain(leaf, chain)
        report = report_on(
            leaf,
            chain,
            host,
            der=certificate.to_der(),
            view=None if view_of is None else view_of(certificate),
            private_key=certificate.private_key,
            trust=None,
            at=at,
            profile=profile,
            crls=crls,
        )
        yield from (finding for finding in report if finding.code != "trust-not-asked")
    except MalformedDataError as error:
        yield machine_finding("certificate-unreadable", "leaf", str(error))


def about_replacement(certificate: Certificate, bound_until: dt.datetime | None) -> Iterator[Finding]:
    """Whether it lasts longer than the one that is bound now."""
    if bound_until is None or certificate.not_after >= bound_until:
        return
    ends = certificate.not_after
    moment = "%Y-%m-%d" if ends.date() != bound_until.date() else "%Y-%m-%d %H:%M:%S UTC"
    found = f"it ends on {ends:{moment}}, the bound one on {bound_until:{moment}}"
    yield machine_finding("ends-before-the-old-one", "leaf: validity", found)


def about_lost_names(certificate: Certificate, older: Certificate | None) -> Iterator[Finding]:
    """Whether it is for every name of the certificate that it renews."""
    if older is None:
        return
    try:
        lost = lost_names(certificate.hosts, older.hosts)
    except MalformedDataError:
        return  # of the old one nobody can say what it was for; of the new one the validator has spoken
    if lost:
        found = f"it is not for {', '.join(lost)}, as the bound one is"
        yield machine_finding("names-lost", "leaf: subjectAltName", found)


def lost_names(hosts: Sequence[str], wanted: Iterable[str]) -> list[str]:
    """Those of the names wanted that a certificate for `hosts` is not for."""
    return [name for name in wanted if not _covers(hosts, name)]


def _covers(hosts: Sequence[str], wanted: str) -> bool:
    if wanted in hosts:
        return True
    try:
        name = parse_name(wanted)
    except InvalidInputError:
        return True  # no client can ask for it, so nobody misses it
    return any_matches(hosts, name)


def about_superseded(
    key: BindingKey,
    older: Certificate,
    bindings: Mapping[Thumbprint, Sequence[BindingRecord]],
    together: Collection[BindingKey],
) -> Iterator[Finding]:
    """Which other bindings keep the certificate that is renewed here, but for those renewed `together` with it."""
    old = older.thumbprint
    others = [one.key for one in bindings.get(old, ()) if one.key != key and one.key not in together]
    if others:
        what = "1 other binding still has" if len(others) == 1 else f"{len(others)} other bindings still have"
        found = f"{what} the old certificate {old}: {', '.join(map(str, others))}"
        yield machine_finding("superseded-elsewhere", str(key), found)


def about_key(certificate: Certificate, stored: StoreRecord | None, store: str) -> Iterator[Finding]:
    """Whether HTTP.sys will find a private key: with the certificate, or usable in the store already."""
    if certificate.has_private_key:
        return
    where = f"LocalMachine\\{store}"
    if stored is None:
        found = f"{certificate.thumbprint} comes without its private key and is not in {where}"
        yield machine_finding("no-private-key", "leaf: private key", found)
    elif stored.key is None:
        found = f"{certificate.thumbprint} in {where} has no private key"
        yield machine_finding("no-private-key", "leaf: private key", found)
    elif not stored.key.usable or not stored.key.machine_keyset:
        found = stored.key.problem or (
            "the key is another certificate's" if stored.key.machine_keyset else "the key lies among a user's keys"
        )
        yield machine_finding("private-key-unusable", "leaf: private key", found)


def about_key_access(key: BindingKey, lost: tuple[str, ...], unread: str | None) -> Iterator[Finding]:
    """Who may read the bound certificate's private key, and not the new one's; or why that is not known."""
    if unread is not None:
        yield machine_finding("key-access-lost", str(key), unread)
    if lost:
        found = f"the private key of the bound certificate may be read by {', '.join(lost)}, and the new one may not"
        yield machine_finding("key-access-lost", str(key), found)


def about_owner(before: BindingRecord | None, app_id: uuid.UUID | None) -> Iterator[Finding]:
    """Whose record it is that will be replaced."""
    if before is None:
        return
    owner = WELL_KNOWN_APPLICATION_IDS.get(before.app_id)
    if app_id is not None and app_id != before.app_id:
        found = f"the binding belongs to {owner or f'{{{before.app_id}}}'}"
        yield machine_finding("owner-changes", str(before.key), found, expected=f"a binding of {{{app_id}}}")
    elif owner is not None:
        yield machine_finding(
            "owner-known",
            str(before.key),
            f"the binding belongs to {owner}",
            remedy=f"look at it in {owner} afterwards; it may write its own record again",
        )


def about_precedence(key: BindingKey, others: Sequence[BindingKey]) -> Iterator[Finding]:
    """Bindings that take precedence over this one for some clients, and those that it takes precedence over."""
    for other, clients in precedence.hidden_by(key, others):
        yield machine_finding(
            "binding-shadowed",
            str(key),
            f"{other} answers {clients}",
            severity=_severity(other, key),
            expected=f"{key} answers all that it matches",
            remedy=f"remove {other} if nobody needs it, or deploy to it too",
        )
    for other, clients in precedence.hiding(key, others):
        yield machine_finding(
            "binding-shadows",
            str(key),
            f"in place of {other} it answers {clients}",
            severity=_severity(key, other),
            expected=f"{other} answers all that it matches",
        )


def _severity(winner: BindingKey, loser: BindingKey) -> Severity:
    # A name under a wildcard is how several sites share a port; a concrete address over a name is how one site
    # takes every other one off the air.
    surprising = isinstance(winner, IpPort) and not winner.is_wildcard and not isinstance(loser, IpPort)
    return Severity.WARNING if surprising else Severity.NOTICE


def host_of(key: BindingKey, host: str | None) -> str | None:
    """The name to check against: the one given, else the one that the key itself names, if that is a name."""
    if host is not None or not isinstance(key, HostnamePort) or key.host == "*" or not is_host_name(key.host):
        return host
    return f"any.{key.host[2:]}" if key.host.startswith("*.") else key.host
