"""Revocation by lists at hand (RFC 5280 section 6.3); nothing is fetched."""

from __future__ import annotations

from datetime import timedelta
from itertools import zip_longest
from operator import attrgetter
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import AuthorityInformationAccessOID

from mlsssl._formats import foreign
from mlsssl._formats.crl import entry_of, is_signed_by, line_and_age, newest_of_each_line, reason_of
from mlsssl._formats.parsed import name_text
from mlsssl._validator.name_constraints import canonical_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from mlsssl._formats.parsed import View
    from mlsssl._validator.findings import Emitter


_PART = "revocation"


def check_pointers(path: Sequence[View], emitter: Callable[[View], Emitter], *, trusted: bool) -> None:
    """Whether each certificate below the anchor says where its revocation can be asked.

    Schannel asks for every certificate of the chain but the root. A leaf of at most seven days may leave it out. A
    self-issued certificate is a root here, or a step of an authority to its next key. `path` as in `check_revocation`.
    """
    for position, view in enumerate(path[:-1] if trusted else path):
        if view.self_issued:
            continue
        if position == 0 and view.not_after - view.not_before < timedelta(days=7):
            continue
        access = view.value(x509.AuthorityInformationAccess)
        asked = access is not None and any(d.access_method == AuthorityInformationAccessOID.OCSP for d in access)
        if not asked and view.value(x509.CRLDistributionPoints) is None:
            emitter(view)("revocation-pointer-missing", "cRLDistributionPoints", "neither a CRL nor an OCSP address")


def check_revocation(
    path: Sequence[View],
    crls: Sequence[x509.CertificateRevocationList],
    at: datetime,
    emitter: Callable[[View], Emitter],
    *,
    trusted: bool,
) -> None:
    """Look for each certificate below the anchor in the lists of its issuer.

    `path` has the leaf first, and the anchor last when it is `trusted`, which no list can take back. `crls` are in any
    order, of any issuer; of several that replace one another, only the newest counts, and it must be current.
    """
    for view, issuer in zip_longest(path, path[1:]):
        if issuer is None and (trusted or view.is_root):
            return
        emit = emitter(view)
        own = [crl for crl in crls if _issued_by(crl, view)]
        if not own:
            among = f"among the {len(crls)} given" if crls else "was given"
            emit("crl-not-found", _PART, f"no list of {view.issuer_text} {among}")
        elif issuer is None:
            found = f"the list of {view.issuer_text}: its signature cannot be checked without that certificate"
            emit("crl-invalid", _PART, found, remedy=f"add the certificate of {view.issuer_text} to the chain")
        else:
            _look_up(view, _usable(own, view, issuer, emit), at, emit)


def _usable(
    crls: Sequence[x509.CertificateRevocationList], view: View, issuer: View, emit: Emitter
) -> list[x509.CertificateRevocationList]:
    """Those that the issuer did sign and that are about such a certificate; if there is none, it is said why."""
    problems = [_problem(crl, issuer, view) for crl in crls]
    usable = [crl for crl, problem in zip(crls, problems, strict=True) if not problem]
    if not usable:
        for problem in dict.fromkeys(problems):
            emit("crl-invalid", _PART, f"the list of {view.issuer_text}: {problem}")
    return usable


def _look_up(view: View, crls: Sequence[x509.CertificateRevocationList], at: datetime, emit: Emitter) -> None:
    """Look in the newest list of each line. Only usable ones may replace others: a forged one hides nothing."""
    for crl in newest_of_each_line([crl for crl in crls if crl.last_update_utc <= at] or crls):
        begin, end = crl.last_update_utc, crl.next_update_utc
        if at < begin or (end is not None and at.replace(microsecond=0) > end):
            until = "an open end" if end is None else f"{end:%Y-%m-%d %H:%M:%S}"
            found = f"the list of {view.issuer_text} holds from {begin:%Y-%m-%d %H:%M:%S} to {until}"
            emit("crl-expired", _PART, found)
        try:
            entry = foreign.call(entry_of, view.serial, crl)
        except foreign.UNREADABLE as error:  # entries are read when asked for
            emit("crl-invalid", _PART, f"the list of {view.issuer_text} has an unreadable entry: {error}")
            continue
        if entry is not None:
            reason = reason_of(entry)
            if reason != "removeFromCRL":
                emit("revoked", _PART, f"revoked on {entry.revocation_date_utc:%Y-%m-%d %H:%M:%S UTC}, reason {reason}")


_issuer_of = attrgetter("issuer")


def _issued_by(crl: x509.CertificateRevocationList, view: View) -> bool:
    theirs: x509.Name | None = foreign.read_or(None, _issuer_of, crl)
    ours: x509.Name | None = foreign.read_or(None, _issuer_of, view.certificate)
    if theirs is None or ours is None:  # a name that cannot be read is nobody's
        return False
    return foreign.read_or(None, theirs.public_bytes) == view.issuer or canonical_name(theirs) == canonical_name(ours)


def _problem(crl: x509.CertificateRevocationList, issuer: View, view: View) -> str:
    """Why this list says nothing about this certificate, or an empty text."""
    try:
        problem = foreign.call(_problem_of_readable, crl, issuer, view)
    except foreign.UNREADABLE as error:  # TypeError for a key that cannot sign, ValueError for extensions
        return f"it cannot be read: {foreign.reason(error)}"
    usage = issuer.value(x509.KeyUsage)
    if not problem and usage is not None and not usage.crl_sign:
        return "its issuer's key usage does not allow signing lists"
    return problem


def _problem_of_readable(crl: x509.CertificateRevocationList, issuer: View, view: View) -> str:
    key = issuer.public_key
    if key is None or not is_signed_by(key, crl):
        return f"{name_text(issuer.certificate, 'subject')} did not sign it"
    if isinstance(crl.signature_hash_algorithm, hashes.MD5):
        return "its signature is by MD5, which can be forged"
    for extension in crl.extensions:
        value = extension.value
        if isinstance(value, x509.IssuingDistributionPoint):
            problem = _out_of_scope(value, view)
            if problem:
                return problem
        elif isinstance(value, x509.DeltaCRLIndicator):
            return "it is a delta list, which needs its base"
        elif extension.critical:
            return f"its critical extension {extension.oid.dotted_string} is unknown"
    line_and_age(crl)  # what is looked at next can be read
    unknown = _unknown_in_entries(crl)
    return "" if unknown is None else f"an entry has the critical extension {unknown}, which is unknown"


_KNOWN_IN_ENTRIES = frozenset({x509.CRLReason.oid, x509.InvalidityDate.oid})
_CRITICAL = b"\x01\x01\xff"  # BOOLEAN TRUE


def _unknown_in_entries(crl: x509.CertificateRevocationList) -> str | None:
    """A critical extension of an entry that is not processed here: the whole list is not to be used (section 5.3)."""
    # A million entries take a second to look at one by one, and hardly any list has anything critical in it.
    if _CRITICAL not in crl.tbs_certlist_bytes:
        return None
    for entry in crl:
        for extension in entry.extensions:
            if extension.critical and extension.oid not in _KNOWN_IN_ENTRIES:
                return str(extension.oid.dotted_string)
    return None


def _out_of_scope(scope: x509.IssuingDistributionPoint, view: View) -> str:
    constraints = view.value(x509.BasicConstraints)
    authority = constraints is not None and constraints.ca
    if scope.indirect_crl:
        return "it is an indirect list"
    if scope.only_contains_attribute_certs:
        return "it is about attribute certificates only"
    if scope.only_contains_user_certs and authority:
        return "it is about certificates of end entities only"
    if scope.only_contains_ca_certs and not authority:
        return "it is about certificates of authorities only"
    if scope.only_some_reasons:
        return "it covers some reasons only"
    if scope.relative_name is not None:
        return "its distribution point has a name relative to its issuer, which is not compared here"
    if scope.full_name is not None:
        # Section 6.3.3 (b)(2)(i): the list of one partition says nothing about certificates of another.
        points = view.value(x509.CRLDistributionPoints)
        names = {name for point in points or () for name in point.full_name or ()}
        if not names.intersection(scope.full_name):
            return "it is for certificates of another distribution point"
    return ""
