"""The issuers that a server sends along with its certificate, found in the machine's stores."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from mlsssl._embedded.stores import issuer_digest, subject_digest
from mlsssl._formats import foreign
from mlsssl._formats.parsed import OddCertificate, View
from mlsssl._formats.pem import is_root, readable
from mlsssl._validator.path import signature_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cryptography import x509

    from mlsssl._embedded.database import Database

_LIMIT = 10  # certificates; longer chains do not occur, loops of cross-certificates do


def build_chain(
    leaf: x509.Certificate, candidates: Callable[[x509.Certificate], Iterable[x509.Certificate]]
) -> list[x509.Certificate]:
    """The leaf and its issuers, each certified by the next, without the root.

    A root ends the chain without being sent, as Schannel does it (RFC 8446 section 4.4.2 allows leaving it out). Where
    several `candidates`, as they are given for a certificate, have issued it, one that is valid now is taken; of those
    a cross-certificate, the first, so that clients with either root of an authority that goes over to a new key find
    their way; then the one that is valid longest.
    """
    now = dt.datetime.now(dt.timezone.utc)
    chain = [leaf]
    while len(chain) < _LIMIT and not is_root(chain[-1]):
        fitting = [issuer for issuer in candidates(chain[-1]) if _is_issued_by(chain[-1], issuer)]
        crossed = _names_itself(chain[-1])
        issuer = max(
            fitting,
            key=lambda c: (c.not_valid_after_utc > now, is_root(c) is crossed, c.not_valid_after_utc),
            default=None,
        )
        if issuer is None or is_root(issuer) or issuer in chain:
            break
        chain.append(issuer)
    return chain


def find_chain(database: Database, leaf: x509.Certificate) -> list[x509.Certificate]:
    """`build_chain` from what is in LocalMachine's stores, Disallowed excepted."""

    def candidates(certificate: x509.Certificate) -> list[x509.Certificate]:
        rows = database.query(
            "SELECT DISTINCT der FROM certificates JOIN stores ON stores.id = store"
            " WHERE subject = ? AND location = 'LocalMachine' AND folded <> 'DISALLOWED' LIMIT 50",
            (issuer_digest(certificate),),
            columns="b",
        )
        return list(readable(der for (der,) in rows))

    return build_chain(leaf, candidates)


def _names_itself(certificate: x509.Certificate) -> bool:
    return issuer_digest(certificate) == subject_digest(certificate)


def _is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    if isinstance(certificate, OddCertificate) or isinstance(issuer, OddCertificate):
        return certificate.issuer == issuer.subject and not signature_problem(View(certificate), View(issuer))
    try:
        foreign.call(certificate.verify_directly_issued_by, issuer)
    except foreign.UNREADABLE:  # InvalidSignature among them
        return False
    return True


def client_roots(database: Database) -> tuple[bytes, ...]:
    """What client certificates may chain to: LocalMachine's Root and AuthRoot, without what is in Disallowed."""
    rows = database.query(
        "SELECT DISTINCT der FROM certificates JOIN stores ON stores.id = store"
        " WHERE location = 'LocalMachine' AND folded IN ('ROOT', 'AUTHROOT') AND NOT archived"
        " AND thumbprint NOT IN (SELECT thumbprint FROM certificates JOIN stores ON stores.id = store"
        " WHERE folded = 'DISALLOWED') ORDER BY thumbprint",
        columns="b",
    )
    return tuple(row[0] for row in rows)
