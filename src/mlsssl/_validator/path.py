"""Finding the way from a leaf to a trusted root among certificates in any order (RFC 4158, RFC 5280 section 6).

The search goes up from the leaf. A first pass follows only issuers without any error, so that an expired
cross-sign or a constraint on one way does not hide another way that is whole. When no way is whole, a second pass
follows names and signatures only and picks the way with the fewest errors, so that the report can name all of them.
Both passes together pay from one budget: hundreds of cross-signed issuers stop at a count.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.x509.oid import AuthorityInformationAccessOID

from mlsssl._formats import foreign, pem
from mlsssl._formats.keys import old_parameters, verify
from mlsssl._formats.parsed import issuer_view
from mlsssl._validator.every_certificate import (
    aki_mismatch,
    check_dates,
    check_ecdsa_hash,
    check_key_identifiers,
    dates_hold,
    signature_parameters,
)
from mlsssl._validator.findings import Emitter
from mlsssl._validator.issuers import check_issuer
from mlsssl._validator.name_constraints import Budget, BudgetExceededError, canonical_name, find_violation
from mlsssl._validator.policies import missing_policy
from mlsssl._validator.report import Attempt, Severity
from mlsssl._validator.weak_keys import for_pss_only
from mlsssl.errors import MalformedDataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from mlsssl._formats.parsed import View
    from mlsssl._validator.profiles import Profile
    from mlsssl._validator.report import Finding


_MOST_ATTEMPTS = 20
_MOST_TOLERATED = 24
_MOST_NAMES = 5000


@dataclass(slots=True, kw_only=True)
class PathResult:
    """What the search ended with: the path leaf first, its findings, and the attempts when no way was whole."""

    path: tuple[View, ...]
    trusted: bool
    findings: list[Finding] = field(default_factory=list)
    attempts: tuple[Attempt, ...] = ()


SignatureProblem = Callable[["View", "View"], str]
"""`signature_problem`, or what remembers what that said."""

_subject_and_key_of = attrgetter("subject", "spki")

_Way = tuple["View", ...]
"""A way up as far as it was followed: the leaf, then its issuers."""

_Found = tuple["list[Finding]", ...]
"""For each issuer of such a way what was found about it and about its link to the one below."""


def _result(way: _Way, found: _Found, *, trusted: bool) -> PathResult:
    return PathResult(path=way, trusted=trusted, findings=list(chain.from_iterable(found)))


def _first_error(findings: Sequence[Finding]) -> Finding | None:
    return next((finding for finding in findings if finding.severity is Severity.ERROR), None)


def _errors(findings: Iterable[Finding]) -> int:
    return sum(finding.severity is Severity.ERROR for finding in findings)


class _Candidates:
    """Certificates that may be issuers, in the order given and by the octets of their subject."""

    def __init__(self, views: Iterable[View]) -> None:
        self.views = tuple(views)
        self.by_subject: dict[bytes, list[View]] = {}
        for view in self.views:
            self.by_subject.setdefault(view.subject, []).append(view)

    def in_other_octets(self, view: View) -> Iterator[View]:
        """Those whose name is that of this one's issuer by RFC 5280 section 7.1, though written otherwise."""
        wanted = foreign.read_or(None, attrgetter("issuer"), view.certificate)
        if self.views and wanted is not None and wanted.rdns:  # an unreadable name is nobody's name
            for one in self._canonical.get(canonical_name(wanted), ()):
                if one.subject != view.issuer:
                    yield one

    @cached_property
    def _canonical(self) -> dict[object, list[View]]:
        """The views by their canonical subject; made when a name is first missed."""
        found: dict[object, list[View]] = {}
        for view in self.views[:_MOST_NAMES]:
            if view.name is not None:
                found.setdefault(canonical_name(view.name), []).append(view)
        return found


_NOBODY = _Candidates(())


class TrustAnchors(_Candidates):
    """What the caller trusts, each certificate once: indexed once for ten thousand leaves, not for each of them."""

    def __init__(self, certificates: Iterable[x509.Certificate]) -> None:
        found = {}
        for certificate in certificates:
            view = issuer_view(certificate)
            if not view.has_readable_names:
                # The caller has it from `cryptography`, which refuses names only when it is asked for them.
                with suppress(MalformedDataError):
                    view = issuer_view(pem.usable(certificate))
            found[view.der] = view
        super().__init__(found.values())
        self.ders = found.keys()


def link_issuers(leaf: View, pool: Sequence[View], *, max_depth: int) -> tuple[View, ...]:
    """`leaf` and its issuers in `pool`, by names and signatures alone: nothing is judged, nothing is trusted.

    For looking revocation up where trust is not asked, or was asked elsewhere. Of several certificates of one
    issuer the first whose key made the signature is followed; they share that key, and so their lists. When the budget
    is spent, what was found until then is returned.
    """
    path, budget, candidates = [leaf], Budget(), _Candidates(pool)
    try:
        while len(path) <= max_depth + 1 and not path[-1].is_root:
            below = path[-1]
            named = candidates.by_subject.get(below.issuer, ())
            for candidate in chain(named, candidates.in_other_octets(below)):
                budget.step()
                if any(candidate.der == view.der for view in path):
                    continue
                budget.sign()
                if not signature_problem(below, candidate):
                    path.append(candidate)
                    break
            else:
                break
    except BudgetExceededError:
        pass
    return tuple(path)


class PathSearch:
    """The search for the best path from `leaf` to one of `anchors`, of which it may itself be one.

    Certificates of the `pool` may lie in between, at most `max_depth` of them.
    """

    def __init__(
        self,
        leaf: View,
        *,
        anchors: TrustAnchors,
        pool: Sequence[View],
        at: datetime,
        profile: Profile,
        max_depth: int,
        between_issuers: SignatureProblem | None = None,
    ) -> None:
        self.leaf, self.at, self.profile, self.max_depth, self.budget = leaf, at, profile, max_depth, Budget()
        self.anchors = anchors
        self.leaf_is_anchor = leaf.der in anchors.ders
        self.pool = _NOBODY
        if pool:
            once = {view.der: view for view in pool if view.der != leaf.der and view.der not in anchors.ders}
            self.pool = _Candidates(once.values())
        self._between_issuers = between_issuers or signature_problem
        # One view for each certificate is looked at here, so the view stands for it.
        self._signatures: dict[tuple[View, View], str] = {}
        self.attempts: list[Attempt] = []
        self.whole: list[PathResult] = []
        self.dead_ends: list[PathResult] = []

    def run(self) -> PathResult:
        """The best path, or how far there is one."""
        exhausted: list[Finding] = []
        try:
            if self._climb((self.leaf,), (), strict=True):
                return self.whole[0]
            if not self.leaf_is_anchor:
                self._climb((self.leaf,), (), strict=False)
        except BudgetExceededError as error:
            exhausted = self._about(self.leaf, "work-limit-exceeded", "path", str(error))
        if self.leaf_is_anchor:
            return self._trusted_leaf()
        if self.whole:
            result = min(self.whole, key=lambda way: _errors(way.findings))
        else:
            nowhere = PathResult(path=(self.leaf,), trusted=False)
            # The longest way, then the fewest errors.
            result = min(self.dead_ends, key=lambda end: (-len(end.path), _errors(end.findings)), default=nowhere)
        result.attempts = tuple(dict.fromkeys(self.attempts))[:_MOST_ATTEMPTS]
        result.findings += exhausted
        return result

    def _trusted_leaf(self) -> PathResult:
        code = "self-signed-leaf" if self.leaf.self_issued else "leaf-is-anchor"
        found = "a self-signed certificate that is trusted" if self.leaf.self_issued else "a trusted certificate"
        return PathResult(path=(self.leaf,), trusted=True, findings=self._about(self.leaf, code, "trust", found))

    # The way up --------------------------------------------------------------------------------------------------

    def _climb(self, way: _Way, found: _Found, *, strict: bool) -> bool:
        """Extend the way by each issuer of its last certificate; true when the search is over."""
        top = way[-1]
        on_way = set(map(_subject_and_key_of, way))
        failure: list[Finding] | None = None
        tried = followed = False
        for candidate in self._candidates(top):
            tried = True
            self.budget.step()
            if _subject_and_key_of(candidate) in on_way:
                continue
            anchor = candidate.der in self.anchors.ders
            if not anchor and len(way) > self.max_depth:
                text = f"{self.max_depth} intermediates, and {candidate.subject_text} would be one more"
                failure = self._about(top, "path-too-long", "issuer", text)
                continue
            findings = [*self._own_findings(candidate, anchor=anchor), *self._link(candidate, anchor, way)]
            error = _first_error(findings) if strict and findings else None
            if error is not None:
                self._note((*way, candidate), f"{error.code}: {error.found}")
                continue
            problem = self._signature_problem(top, candidate)
            if problem:
                self._note((*way, candidate), f"signature-invalid: {problem}")
                failure = self._about(top, "signature-invalid", "signature", problem)
                continue
            followed = True
            climb = self._arrive if anchor else self._climb
            if climb((*way, candidate), (*found, findings), strict=strict):
                return True
        if not strict and not followed and len(self.dead_ends) < 4 * _MOST_TOLERATED:
            ending = self._ending(top) if failure is None else failure
            self.dead_ends.append(_result(way, (*found, ending), trusted=False))
        elif strict and not tried:
            self._note(way, f"no certificate of the issuer {top.issuer_text}")
        return False

    def _arrive(self, way: _Way, found: _Found, *, strict: bool) -> bool:
        """The way has reached an anchor: look at what only a whole path can tell."""
        missing = missing_policy(way)
        ending = self._about(self.leaf, "policy-required", "policies", missing) if missing else []
        if strict and missing and _first_error(ending):  # the way has none
            self._note(way, f"policy-required: {missing}")
            return False
        self.whole.append(_result(way, (*found, ending), trusted=True))
        return strict or len(self.whole) >= _MOST_TOLERATED

    def _candidates(self, view: View) -> Iterator[View]:
        """The certificates that bear the issuer's name; the likeliest first, those with it in other octets last.

        To compare all names takes long. It is done where no way was found by octets, which may be a stranger's.
        """
        named = [
            *self._others(self.anchors.by_subject.get(view.issuer, ())),
            *self.pool.by_subject.get(view.issuer, ()),
        ]
        yield from self._sorted(view, named)
        anchors = self._others([*self.anchors.in_other_octets(view)])
        yield from self._sorted(view, [*anchors, *self.pool.in_other_octets(view)])

    def _sorted(self, view: View, named: list[View]) -> list[View]:
        if len(named) < 2:
            return named
        aki = view.value(x509.AuthorityKeyIdentifier)

        def order(candidate: View) -> tuple[bool, bool, int]:
            differs = aki is not None and bool(aki_mismatch(aki, candidate))
            stale = not candidate.not_before <= self.at <= candidate.not_after
            return (differs, stale, self._distance(candidate))

        return sorted(named, key=order)

    def _distance(self, candidate: View) -> int:
        """How many certificates, by their names alone, lie between this one and the nearest anchor."""
        if candidate.der in self.anchors.ders:
            return 0
        return 1 + self._distances.get(candidate.issuer, len(self.anchors.views) + len(self.pool.views))

    @cached_property
    def _distances(self) -> dict[bytes, int]:
        below: dict[bytes, set[bytes]] = {}
        anchors = self._others(self.anchors.views)
        for view in (*anchors, *self.pool.views):
            below.setdefault(view.issuer, set()).add(view.subject)
        reached = {view.subject: 0 for view in anchors}
        frontier = deque(reached)
        while frontier:
            name = frontier.popleft()
            for subject in below.get(name, ()):
                if subject not in reached:
                    reached[subject] = reached[name] + 1
                    frontier.append(subject)
        return reached

    def _others(self, views: Sequence[View]) -> Sequence[View]:
        """Without the leaf, which issues nothing here even where it is trusted."""
        return [view for view in views if view.der != self.leaf.der] if self.leaf_is_anchor else views

    # What is found about one candidate ---------------------------------------------------------------------------

    def _own_findings(self, view: View, *, anchor: bool) -> list[Finding]:
        # Apart from its dates, an issuer is judged once for all the leaves below it.
        judged = view.judged
        if judged is None or judged[0] is not self.profile or judged[1] is not anchor:
            emit = self._emitter(view, anchor=anchor)
            check_issuer(view, emit, anchor=anchor)
            judged = view.judged = (self.profile, anchor, emit.findings)
        if dates_hold(view, self.at):
            return judged[2]
        dates = self._emitter(view, anchor=anchor)
        check_dates(view, dates, self.at)
        return [*dates.findings, *judged[2]]

    def _link(self, issuer: View, anchor: bool, way: _Way) -> list[Finding]:
        """What is wrong between an issuer and what stands below it."""
        below = way[-1]
        emit = self._emitter(below, anchor=False)
        if issuer.subject != below.issuer:
            emit("issuer-name-encoding", "issuer", f"{below.issuer_text} in other octets than in the issuer")
        check_key_identifiers(below, emit, issuer=issuer)
        check_ecdsa_hash(below, issuer, emit)
        if below.not_after > issuer.not_after:
            found = f"valid until {below.not_after:%Y-%m-%d}, the issuer until {issuer.not_after:%Y-%m-%d}"
            emit("outlives-issuer", "validity", found)
        constraints = issuer.value(x509.BasicConstraints)
        if constraints is not None and constraints.path_length is not None and len(way) > 1:
            between = sum(not view.self_issued for view in way[1:])
            if between > constraints.path_length:
                found = f"{between} intermediates below, and pathLenConstraint {constraints.path_length}"
                emit.findings += self._about(issuer, "path-length-exceeded", "basicConstraints", found)
        if issuer.value(x509.NameConstraints) is not None:
            emit.findings += self._check_constraints(issuer, way, self._emitter(issuer, anchor=anchor))
        return emit.findings

    def _check_constraints(self, issuer: View, way: _Way, emit: Emitter) -> list[Finding]:
        counts = self.profile.accepts_common_name
        for position, view in enumerate(way):
            violation = find_violation(issuer, view, self.budget, leaf=position == 0, common_name_counts=counts)
            if violation is not None:
                code, text = violation
                emit(code, "nameConstraints", f"{text}, of {view.subject_text}")
        return emit.findings

    def _signature_problem(self, child: View, issuer: View) -> str:
        known = self._signatures.get((child, issuer))
        if known is None:
            self.budget.sign()
            problem_of = signature_problem if child is self.leaf else self._between_issuers
            known = self._signatures[child, issuer] = problem_of(child, issuer)
        return known

    # What is told about ways that ended --------------------------------------------------------------------------

    def _emitter(self, view: View, *, anchor: bool) -> Emitter:
        role = "leaf" if view is self.leaf else "root" if anchor else "intermediate"
        return Emitter(self.profile, view, role)

    def _about(self, view: View, code: str, part: str, found: str, *, remedy: str | None = None) -> list[Finding]:
        """One finding; none where the profile leaves the rule out."""
        emit = self._emitter(view, anchor=view.der in self.anchors.ders)
        emit(code, part, found, remedy=remedy)
        return emit.findings

    def _note(self, way: _Way, reason: str) -> None:
        if len(self.attempts) < 4 * _MOST_ATTEMPTS:
            self.attempts.append(Attempt(subjects=tuple(view.subject_text for view in way), stopped_by=reason))

    def _ending(self, top: View) -> list[Finding]:
        """Why there is nothing above `top`."""
        if top.self_issued and not signature_problem(top, top):
            if top is self.leaf:
                return self._about(top, "self-signed-not-trusted", "issuer", "a self-signed certificate")
            return self._about(top, "root-not-trusted", "trust", f"the root {top.subject_text} is not trusted")
        where = fetch_hint(top)
        return self._about(
            top,
            "issuer-not-found",
            "issuer",
            f"no certificate of the issuer {top.issuer_text} was given",
            remedy=f"add the certificate of {top.issuer_text} to the chain{where}, cert.with_chain([...]), or to "
            "trust=[...] if it is the root",
        )


def fetch_hint(view: View) -> str:
    """Where the authority offers the certificate of this one's issuer, in brackets (RFC 5280 section 4.2.2.1)."""
    access = view.value(x509.AuthorityInformationAccess)
    for description in access if access is not None else ():
        location = description.access_location
        if description.access_method == AuthorityInformationAccessOID.CA_ISSUERS and isinstance(
            location, x509.UniformResourceIdentifier
        ):
            return f" (its authority offers it at {location.value[:200]})"
    return ""


def signature_problem(child: View, issuer: View) -> str:
    """Why `issuer`'s key did not make `child`'s signature, or an empty text when it did."""
    key = issuer.public_key
    if key is None:
        return f"the key of {issuer.subject_text} cannot be read"
    certificate = child.certificate
    try:
        parameters, digest = signature_parameters(child)
        if parameters is None and digest is not None:
            parameters = old_parameters(child.signature_oid, digest)  # which old profiles still want to hear verified
        if for_pss_only(issuer.spki) and not isinstance(parameters, padding.PSS):
            return f"the key of {issuer.subject_text} is for RSASSA-PSS signatures only, and this is none"
        if not verify(key, certificate.signature, child.signed, parameters, digest):
            return f"the key of {issuer.subject_text} is of another kind than the signature"
    except InvalidSignature:
        return f"the key of {issuer.subject_text} did not make the signature"
    except Exception as error:  # noqa: BLE001 - UnsupportedAlgorithm, ValueError, TypeError: all mean "not verified"
        return f"the signature cannot be checked: {foreign.reason(error)}"
    return ""
