"""Whether clients find the way from a server's certificate to a root: by what the server has, since many fetch nothing.

A server sends what stands in the chain of its certificate and in the machine's stores. Windows and some browsers fetch
a missing issuer from the address in the certificate (caIssuers, RFC 5280 section 4.2.2.1); OpenSSL, Java, Go and Python
do not, and refuse.
"""

from __future__ import annotations

import contextlib
from functools import cached_property
from typing import TYPE_CHECKING

from cryptography import x509

from mlsssl._changes.roots_file import RootsFile
from mlsssl._formats import pem
from mlsssl._formats.parsed import View, issuer_view
from mlsssl._machine.authorities import read_issuers
from mlsssl._select.trust import trusted_roots
from mlsssl._validator.findings import machine_finding
from mlsssl._validator.path import PathSearch, TrustAnchors, fetch_hint
from mlsssl._validator.profiles import PROFILES, find_profile
from mlsssl._validator.report import Severity
from mlsssl.errors import MalformedDataError, MlssslError

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator, Sequence

    from mlsssl._machine.ports import MachinePort
    from mlsssl._validator.path import PathResult
    from mlsssl._validator.profiles import Profile
    from mlsssl._validator.report import Finding
    from mlsssl.certificate import Certificate

_DEPTH = 8  # as `Certificate.check` has it


class KnownIssuers:
    """Every place where the issuers of a machine's certificates are, each read when those before it do not do."""

    def __init__(self, port: MachinePort) -> None:
        self._port = port

    def way_up(self, certificate: Certificate, at: dt.datetime) -> PathResult:
        """The way to a root, or how far there is one; a self-signed certificate that is known counts as a root."""
        leaf = View(pem.x509_of(certificate))
        known = [*map(pem.x509_of, certificate.chain)]
        found = _search(leaf, known, (), at)
        for place in ("_stored", "_noted", "_system"):
            if found.trusted:
                break
            certificates, roots = getattr(self, place)
            known = [*known, *certificates]
            found = _search(leaf, known, roots, at)
        return found

    def trusts(self, root: View) -> bool:
        """Whether this machine, or its operating system, trusts this root."""
        ders = {issuer_view(one).der for one in self._stored[1]}
        return root.der in ders or root.der in {issuer_view(one).der for one in self._system[0]}

    @cached_property
    def _stored(self) -> tuple[list[x509.Certificate], tuple[x509.Certificate, ...]]:
        """Those in CA, Root and AuthRoot, and which of them are trusted."""
        read = read_issuers(self._port)
        return [one for same in read.certificates.values() for one in same], read.roots

    @cached_property
    def _noted(self) -> tuple[list[x509.Certificate], tuple[x509.Certificate, ...]]:
        """The roots of certificates that were deployed, and no others."""
        ders: list[bytes] = []
        with contextlib.suppress(MlssslError):  # who may not look there is told so by what he does there
            ders = RootsFile(self._port.state_folder).read()
        return [*pem.readable(ders)], self._stored[1]

    @cached_property
    def _system(self) -> tuple[list[x509.Certificate], tuple[x509.Certificate, ...]]:
        """The roots of the operating system here, which the stores of an embedded machine do not have."""
        roots: list[x509.Certificate] = []
        with contextlib.suppress(MlssslError):  # none is installed
            roots = trusted_roots("system") or []
        return roots, (*self._stored[1], *roots)


def _search(
    leaf: View, known: Sequence[x509.Certificate], roots: Sequence[x509.Certificate], at: dt.datetime
) -> PathResult:
    self_issued = [one for one in known if issuer_view(one).self_issued]
    return PathSearch(
        leaf,
        anchors=TrustAnchors([*self_issued, *roots]),
        pool=[issuer_view(one) for one in known],
        at=at,
        profile=PROFILES["private"],
        max_depth=_DEPTH,
    ).run()


def about_issuers(
    certificate: Certificate, issuers: KnownIssuers, at: dt.datetime, profile: str | Profile
) -> Iterator[Finding]:
    """Which issuer is missing. A `Profile` of the user's own may give the finding another severity, or none."""
    severity = find_profile(profile).overrides.get("issuer-not-found", Severity.WARNING)
    if severity is None or certificate.is_self_issued:
        return
    try:
        found = issuers.way_up(certificate, at)
    except MalformedDataError:
        return  # of which there is a finding already
    codes = {finding.code for finding in found.findings}
    if found.trusted or not codes & {"issuer-not-found", "signature-invalid"}:
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
        new, old = View(pem.x509_of(certificate)), View(pem.x509_of(older))
        if _same_issuer(new, old):
            return
        found, before = issuers.way_up(certificate, at), issuers.way_up(older.with_chain(certificate.chain), at)
        if found.trusted:
            root, former = found.path[-1], before.path[-1]
            same = before.trusted and (root.subject, root.spki) == (former.subject, former.spki)
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


def _same_issuer(new: View, old: View) -> bool:
    """The same name, and the same key where both say which."""
    keys = {one.key_identifier for view in (new, old) if (one := view.value(x509.AuthorityKeyIdentifier)) is not None}
    return new.issuer == old.issuer and len(keys - {None}) <= 1
