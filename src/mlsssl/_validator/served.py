"""What a server was seen to send: its chain as sent, and the protocol it chose."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from typing import TYPE_CHECKING

from mlsssl._formats import foreign
from mlsssl._formats.parsed import issuer_view
from mlsssl._validator.name_constraints import canonical_name

if TYPE_CHECKING:
    from cryptography import x509

    from mlsssl._formats.parsed import View
    from mlsssl._validator.findings import Emitter


_OBSOLETE = frozenset({"SSLv2", "SSLv3", "TLSv1", "TLSv1.1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What came out of one handshake: the certificates after the leaf, as sent, and the protocol as Python names it."""

    chain: tuple[x509.Certificate, ...]
    protocol: str


def check_served(leaf: View, served: Served, emit: Emitter, *, complete: bool) -> None:
    """Report on the order and the content of the chain as sent.

    Unless path building came to a trusted root (`complete`), a certificate without relation to the leaf may stand
    above one that is missing.
    """
    part = "chain as sent"
    if served.protocol in _OBSOLETE:
        emit("protocol-obsolete", "protocol", served.protocol)
    views = [leaf, *map(issuer_view, served.chain)]
    subject = {view: _compared(view.certificate, "subject") or view.subject for view in views}
    issuer = {view: _compared(view.certificate, "issuer") or view.issuer for view in views}
    issuers = {issuer[leaf]}
    related = {leaf.der}
    # Whoever issued a related certificate is related: a walk over names, however they were sorted.
    grown = True
    while grown:
        grown = False
        for view in views:
            if view.der not in related and subject[view] in issuers:
                related.add(view.der)
                issuers.add(issuer[view])
                grown = True
    strangers = [view for view in views[1:] if view.der not in related or view.der == leaf.der]
    ordered = [leaf, *(view for view in views[1:] if view not in strangers)]
    subjects = {subject[view] for view in ordered}
    missing = next((view.issuer_text for view in ordered if issuer[view] not in subjects), "")
    for stranger in strangers:
        if stranger.der == leaf.der:
            emit("chain-unrelated", part, "the leaf once more")
        elif complete or not missing:
            emit("chain-unrelated", part, stranger.subject_text)
        else:
            emit(
                "chain-unrelated",
                part,
                f"{stranger.subject_text}, unless it stands above {missing}, which is not sent",
                remedy=f"send the certificate of {missing} first, cert.with_chain([...]); leave this one out if it has "
                "nothing to do with the chain then",
            )
    if any(issuer[below] != subject[above] for below, above in pairwise(ordered)):
        emit("chain-order", part, " | ".join(view.subject_text for view in ordered))
    for view in ordered[1:]:
        if view.is_root:
            emit("chain-sends-root", part, view.subject_text)


def _compared(certificate: x509.Certificate, which: str) -> object:
    """A name in the form for comparing, as path building compares them; None where it is empty or cannot be read."""
    name: x509.Name | None = foreign.read_or(None, attrgetter(which), certificate)
    return None if name is None or not name.rdns else canonical_name(name)
