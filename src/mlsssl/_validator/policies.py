"""Certificate policies along a path (RFC 5280 section 6.1), for callers who accept any policy.

Nobody here asks for a certain policy, so the whole computation answers one question: does an issuer demand that
some policy be valid, and is none? The tree of RFC 5280 is kept as one set per depth, as RFC 9618 does: a node is
its policy, since parents matter only for the sets a caller could ask for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from mlsssl._formats.der import dotted_oid, read_tlv, split_sequence
from mlsssl.errors import MalformedDataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlsssl._formats.parsed import View


_ANY = "2.5.29.32.0"
MAPPINGS = "2.5.29.33"
_SEQUENCE, _OID = 0x30, 0x06


def missing_policy(path: Sequence[View]) -> str:
    """Why the policies of a path, leaf first and anchor last, are not enough; an empty text when they are."""
    for view in path:
        if x509.PolicyConstraints in view.known:
            break
    else:
        return ""
    if len(path) < 2:
        return ""
    below = list(reversed(path))[1:]
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
    mappings = read_mappings(view)
    if not valid or not mappings:
        return valid
    mapped = mappings.keys() & valid if _ANY not in valid else set(mappings)
    result = valid - mapped
    if allowed:
        result.update(*(mappings[policy] for policy in mapped))
    return result or None


def read_mappings(view: View) -> dict[str, set[str]] | None:
    """The policyMappings, which cryptography has no class for: policies of the issuer to those of the subject.

    Empty where there are none; None where they cannot be read, which map nothing.
    """
    der = next((value for oid, _, value in view.unknown if oid == MAPPINGS), None)
    if der is None:
        return {}
    mappings: dict[str, set[str]] = {}
    try:
        tag, start, end = read_tlv(der, 0)
        if tag != _SEQUENCE or end != len(der):
            return None
        for pair_tag, _, first, last in split_sequence(der, start, end):
            left, right = split_sequence(der, first, last)
            if (pair_tag, left[0], right[0]) != (_SEQUENCE, _OID, _OID):
                return None
            issuer, subject = (dotted_oid(der[part[2] : part[3]]) for part in (left, right))
            mappings.setdefault(issuer, set()).add(subject)
    except (MalformedDataError, ValueError):
        return None
    return mappings or None  # RFC 5280 section 4.2.1.5: at least one pair


def maps_any_policy(mappings: dict[str, set[str]]) -> bool:
    """Whether anyPolicy is mapped, or mapped to (RFC 5280 section 6.1.4 (a))."""
    return _ANY in mappings or any(_ANY in subjects for subjects in mappings.values())
