"""Whether clients find the way from a certificate to a root, by what the server has, and how long there is one.

A server sends what stands in the chain of its certificate and in the machine's stores. Windows and some browsers fetch
a missing issuer from the address in the certificate (caIssuers, RFC 5280 section 4.2.2.1); OpenSSL, Java, Go and Python
do not, and refuse.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING

from cryptography import x509

from mlsssl._changes.roots_file import RootsFile
from mlsssl._formats import pem
from mlsssl._formats.parsed import View, issuer_view
from mlsssl._machine.authorities import MAX_DEPTH, Authorities
from mlsssl._select.trust import trusted_roots
from mlsssl._validator.findings import machine_finding
from mlsssl._validator.path import PathSearch, TrustAnchors, fetch_hint
from mlsssl._validator.profiles import PROFILES, find_profile
from mlsssl._validator.report import Severity
from mlsssl.certificate import x509_chain
from mlsssl.errors import MalformedDataError, MlssslError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from typing import TypeAlias

    from mlsssl._machine.ports import MachinePort
    from mlsssl._validator.path import PathResult
    from mlsssl._validator.profiles import Profile
    from mlsssl._validator.report import Finding
    from mlsssl.certificate import Certificate

    _Known: TypeAlias = tuple[Sequence[View], TrustAnchors]

_PLACES = 3


class KnownIssuers:
    """Every place where the issuers of a machine's certificates are, each read when those before it do not do."""

    def __init__(self, port: MachinePort, authorities: Authorities | None = None) -> None:
        self._port = port
        self._authorities = Authorities(port) if authorities is None else authorities
        self._kept: list[_Known] = [((), TrustAnchors(()))]
        self._read = 0  # certificates of the stores when these were put together
        self._views: dict[bytes, View] = {}
        self._expected: dict[bytes, View] = {}

    def expect(self, certificates: Iterable[Certificate], *, self_issued: bool) -> None:
        """Read the stores once for all of these, which are asked about next; for those that are `self_issued`, too."""
        self._expected = {}
        for certificate in certificates:
            with contextlib.suppress(MalformedDataError):  # who asks is told
                view = View(pem.x509_of(certificate), certificate.to_der())
                self._expected[view.der] = view
        self._authorities.read(view for view in self._expected.values() if self_issued or not view.self_issued)

    def way_up(self, certificate: Certificate, at: dt.datetime) -> PathResult:
        """The way to a root, or how far there is one; a self-signed certificate that is known counts as a root."""
        leaf = self.view(certificate)
        chain = [*map(issuer_view, x509_chain(certificate))]
        places = 0 if chain else 1
        found = self._search(leaf, chain, places, at)
        while not found.trusted and places < _PLACES:
            places += 1
            found = self._search(leaf, chain, places, at)
        return found

    def view(self, certificate: Certificate) -> View:
        """A certificate taken apart; the last two are kept, which are asked about again: a new one and the old one."""
        der = certificate.to_der()
        known = self._expected.get(der) or self._views.get(der)
        if known is None:
            self._views = dict([*self._views.items()][-1:])
            known = self._views[der] = View(pem.x509_of(certificate), der)
        return known

    def _search(self, leaf: View, chain: Sequence[View], places: int, at: dt.datetime) -> PathResult:
        if places:
            self._authorities.read((leaf, *chain))  # by names of issuers, so the leaf itself is asked for below
        pool, anchors = self._known(places)
        if chain:
            pool = (*chain, *pool)
            anchors = TrustAnchors(one.certificate for one in (*_roots(chain), *anchors.views))

        def run(anchors: TrustAnchors) -> PathResult:
            profile = PROFILES["private"]
            return PathSearch(leaf, anchors=anchors, pool=pool, at=at, profile=profile, max_depth=MAX_DEPTH).run()

        found = run(anchors)
        if places == 1 and not _is_whole(found) and self._authorities.has_root(leaf.der):
            found = run(TrustAnchors((leaf.certificate, *(one.certificate for one in anchors.views))))
        return found

    def _known(self, places: int) -> _Known:
        """What is known from the first so many places; put together once for all the certificates of a machine."""
        read = len(self._authorities.certificates) if places else self._read
        if read != self._read:
            self._read = read
            del self._kept[1:]
        while len(self._kept) <= places:
            certificates, roots = self._place(len(self._kept))
            pool = (*self._kept[-1][0], *map(issuer_view, certificates))
            anchors = TrustAnchors([*(one.certificate for one in _roots(pool)), *roots])
            self._kept.append((pool, anchors))
        return self._kept[places]

    def latest_root(self, step: View) -> View | None:
        """Of the roots here with the name and the key of this certificate the one that is valid longest."""
        known = [*self._authorities.roots_named_as(step), *self._noted, *self._system]
        same = [view for view in map(issuer_view, known) if view.is_root and _same_key(view, step)]
        return max(same, key=attrgetter("not_after"), default=None)

    def trusts(self, root: View) -> bool:
        """Whether this machine, or its operating system, trusts this root."""
        if self._authorities.has_root(root.der):
            return True
        return root.der in {issuer_view(one).der for one in self._system}

    def _place(self, number: int) -> tuple[Collection[x509.Certificate], Sequence[x509.Certificate]]:
        """What is in one of the places, and what is trusted there and in those before it."""
        stored = self._authorities
        if number == 1:
            return stored.certificates, stored.roots
        if number == 2:
            return self._noted, stored.roots
        return self._system, (*stored.roots, *self._system)

    @cached_property
    def _noted(self) -> list[x509.Certificate]:
        """The roots of certificates that were deployed, and no others."""
        ders: list[bytes] = []
        with contextlib.suppress(MlssslError):  # who may not look there is told so by what he does there
            ders = RootsFile(self._port.state_folder).read()
        return [*pem.readable(ders)]

    @cached_property
    def _system(self) -> list[x509.Certificate]:
        """The roots of the operating system here, which the stores of an embedded machine do not have."""
        roots: list[x509.Certificate] = []
        with contextlib.suppress(MlssslError):  # none is installed
            roots = trusted_roots("system") or []
        return self._authorities.allowed(roots)


def _is_whole(found: PathResult) -> bool:
    return found.trusted and not any(finding.severity is Severity.ERROR for finding in found.findings)


def _roots(views: Sequence[View]) -> Iterator[View]:
    return (view for view in views if view.is_root)


def about_issuers(
    certificate: Certificate,
    issuers: KnownIssuers,
    at: dt.datetime,
    profile: str | Profile,
    renew_from: dt.datetime | None = None,
) -> Iterator[Finding]:
    """Which issuer is missing, and which one ends too soon for a certificate that is to be renewed from then on.

    When not given, that is its `renewal_time`. A `Profile` of the user's own may give the first finding another
    severity, or none.
    """
    if certificate.is_self_issued:
        return
    try:
        found = issuers.way_up(certificate, at)
    except MalformedDataError:
        return  # of which there is a finding already
    yield from _about_missing(found, find_profile(profile).overrides.get("issuer-not-found", Severity.WARNING))
    leaf, *above = found.path
    lifetime = leaf.not_after - leaf.not_before
    # Its renewal time need not be worked out where an issuer outlasts its end by as much.
    latest = max(at, leaf.not_before, leaf.not_after) if renew_from is None else max(at, renew_from)
    if not all(_lasts(view, at) and view.not_after - latest >= lifetime for view in above):
        yield from _about_end(found, issuers, at, certificate.renewal_time() if renew_from is None else renew_from)


# How long before its end clients need the successor of a root: the slowest of them get updates twice a year. An
# authority for a test lives shorter than that as a whole.
_ROOT_CHANGE = dt.timedelta(days=180)


def _about_end(found: PathResult, issuers: KnownIssuers, at: dt.datetime, renew_from: dt.datetime) -> Iterator[Finding]:
    leaf, *above = found.path
    lifetime = leaf.not_after - leaf.not_before

    def lasts(view: View) -> bool:
        return view.not_after - max(at, renew_from) >= lifetime and _lasts(view, at)

    for position, view in enumerate(above):
        if lasts(view):
            continue
        root = issuers.latest_root(view)
        if root is not None and lasts(root):
            return  # it is a cross-certificate, or was renewed: the new root stands above what it issued
        if view.not_after < at:
            when = f"has ended on {view.not_after:%Y-%m-%d %H:%M} UTC"
        else:
            when = f"ends on {view.not_after:%Y-%m-%d %H:%M} UTC, in {(view.not_after - at).days} days"
        why = "and what it issues ends with it"
        if view.not_after - max(at, renew_from) < lifetime:
            days = f"{lifetime / dt.timedelta(days=1):.3g}"
            why = f"so the next certificate cannot have the whole {days} days of this one"
        label = "root" if view.is_root else f"intermediate {position + 1}"
        yield machine_finding("authority-ending", f'{label} "{view.subject_text}": validity', f"it {when}, {why}")
        return


def _lasts(view: View, at: dt.datetime) -> bool:
    """Whether there is time to bring clients its successor; by differences, for sums leave the calendar."""
    return view.not_after - at >= min(_ROOT_CHANGE, (view.not_after - view.not_before) / 3)


def _about_missing(found: PathResult, severity: Severity | None) -> Iterator[Finding]:
    if severity is None or found.trusted:
        return
    codes = {finding.code for finding in found.findings}
    if not codes & {"issuer-not-found", "signature-invalid"}:
        return
    top = found.path[-1]
    label = "leaf" if top is found.path[0] else f'intermediate "{top.subject_text}"'
    name = top.issuer_text
    text = f"the certificate of its issuer {name} is neither with it nor in the machine's stores (CA, Root, AuthRoot)"
    if "signature-invalid" in codes:
        text += "; the one of that name that is there has another key"
    yield machine_finding(
        "issuer-not-found",
        f"{label}: issuer",
        f"{text}: clients that do not fetch it will refuse",
        severity=severity,
        remedy=f"get the certificate of {name}{fetch_hint(top)} and give it along, cert.with_chain([...]), or add it "
        "to the machine: Store.open('CA').add(issuer). If it is a root that all clients have, add it to the machine "
        "too, and this ends: Store.open('Root').add(root)",
    )


def about_new_issuer(
    certificate: Certificate, older: Certificate | None, issuers: KnownIssuers, at: dt.datetime
) -> Iterator[Finding]:
    """Whether a renewal comes from an authority that clients may not trust."""
    if older is None or older == certificate:
        return
    try:
        new, old = issuers.view(certificate), issuers.view(older)
        if _same_issuer(new, old):
            return
        found, before = issuers.way_up(certificate, at), issuers.way_up(older.with_chain(certificate.chain), at)
        if found.trusted:
            root, former = found.path[-1], before.path[-1]
            same = before.trusted and _same_key(root, former)
            if same or issuers.trusts(root):
                return
    except MalformedDataError:
        return  # of the new one the validator has spoken; of the old one nobody can say who issued it
    under = f"under the root {found.path[-1].subject_text}, which this machine does not trust either"
    by = "another authority of that name" if new.issuer == old.issuer else new.issuer_text
    text = f"the old one was issued by {old.issuer_text}, this one by {by}"
    text += f", {under}" if found.trusted else ""
    yield machine_finding(
        "issuer-changes", "leaf: issuer", f"{text}: clients that trust only the old one's root will refuse it"
    )


def _same_key(one: View, other: View) -> bool:
    return (one.subject, one.spki) == (other.subject, other.spki)


def _same_issuer(new: View, old: View) -> bool:
    """The same name, and the same key where both say which."""
    keys = {one.key_identifier for view in (new, old) if (one := view.value(x509.AuthorityKeyIdentifier)) is not None}
    return new.issuer == old.issuer and len(keys - {None}) <= 1
