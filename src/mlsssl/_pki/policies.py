"""Certificate policies along a path (RFC 5280 section 6.1), for callers who accept any policy.

Nobody here asks for a certain policy, so the whole computation answers one question: does an issuer demand that
some policy be valid, and is none? The tree of RFC 5280 is kept as one set per depth, as RFC 9618 does: a node is
its policy, since parents matter only for the sets a caller could ask for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from mlsssl._pki.view import dotted_oid, read_tlv, split_sequence
from mlsssl.errors import MalformedDataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlsssl._pki.view import View

__all__ = ["missing_policy"]

_ANY = "2.5.29.32.0"
_MAPPINGS = "2.5.29.33"


def missing_policy(path: Sequence[View]) -> str:
    """Why the policies of a path, leaf first and anchor last, are not enough; an empty text when they are."""
    below = list(reversed(path))[1:]
    if not below or not any(_speaks(view) for view in path):
        return ""
    length = len(below)
    explicit, mapping, inhibit_any = length + 1, length + 1, length + 1
    valid: set[str] | None = {_ANY}
    demanded_by = ""
    for index, view in enumerate(below):
        last = index == length - 1
        valid = _next_set(view, valid, accept_any=inhibit_any > 0 or (view.self_issued and not last))
        if explicit <= 0 and not valid:
            return f"{demanded_by} demands a policy, and {view.subject_text} has none of those allowed"
        if last:
            break
        valid = _map(view, valid, allowed=mapping > 0)
        if not view.self_issued:
            explicit, mapping, inhibit_any = max(explicit - 1, 0), max(mapping - 1, 0), max(inhibit_any - 1, 0)
        constraints = view.value(x509.PolicyConstraints)
        if constraints is not None:
            required = constraints.require_explicit_policy
            if required is not None and required < explicit:
                explicit, demanded_by = required, view.subject_text
            if constraints.inhibit_policy_mapping is not None:
                mapping = min(mapping, constraints.inhibit_policy_mapping)
        inhibit = view.value(x509.InhibitAnyPolicy)
        if inhibit is not None:
            inhibit_any = min(inhibit_any, inhibit.skip_certs)
    leaf = below[-1]
    constraints = leaf.value(x509.PolicyConstraints)
    explicit = max(explicit - 1, 0)
    if constraints is not None and constraints.require_explicit_policy == 0:
        explicit, demanded_by = 0, leaf.subject_text
    if explicit == 0 and not valid:
        return f"{demanded_by} demands a policy, and no policy is valid for the whole path"
    return ""


def _speaks(view: View) -> bool:
    return view.value(x509.PolicyConstraints) is not None


def _next_set(view: View, valid: set[str] | None, *, accept_any: bool) -> set[str] | None:
    policies = view.value(x509.CertificatePolicies)
    if policies is None or not valid:
        return None
    named = {policy.policy_identifier.dotted_string for policy in policies}
    result = {oid for oid in named if oid != _ANY and (oid in valid or _ANY in valid)}
    if _ANY in named and accept_any:
        result |= valid
    return result or None


def _map(view: View, valid: set[str] | None, *, allowed: bool) -> set[str] | None:
    mappings = _mappings(view)
    if not valid or not mappings:
        return valid
    result = set(valid)
    for issuer_policy in {pair[0] for pair in mappings}:
        if issuer_policy in valid or _ANY in valid:
            result.discard(issuer_policy)
            if allowed:
                result |= {subject for issuer, subject in mappings if issuer == issuer_policy}
    return result or None


def _mappings(view: View) -> list[tuple[str, str]]:
    """The pairs of policyMappings, which cryptography has no class for; unreadable ones map nothing."""
    der = next((value for oid, _, value in view.unknown if oid == _MAPPINGS), b"")
    try:
        if not der:
            return []
        _, start, end = read_tlv(der, 0)
        return [_pair(der, first, stop) for _, _, first, stop in split_sequence(der, start, end)[:200]]
    except (MalformedDataError, ValueError):
        return []


def _pair(der: bytes, start: int, end: int) -> tuple[str, str]:
    left, right = split_sequence(der, start, end)
    return dotted_oid(der[left[2] : left[3]]), dotted_oid(der[right[2] : right[3]])
