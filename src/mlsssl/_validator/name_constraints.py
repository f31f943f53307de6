"""Name constraints (RFC 5280 section 4.2.1.10): their form, and whether the names below an issuer keep to them."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import NameOID

from mlsssl._formats import foreign
from mlsssl._formats.der import read_tlv, split_sequence
from mlsssl._formats.hosts import common_name_host, dns_problem, lenient_address, to_a_labels, utf8_string
from mlsssl.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mlsssl._formats.parsed import View
    from mlsssl._validator.findings import Emitter


_PART = "nameConstraints"
_OCTETS_PER_COMPARISON = 64
_LONGEST_HOST = 253
_SMTP_UTF8_MAILBOX = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.9")

# What OpenSSL takes for a DNS name in a common name, addresses included: two labels or more, by characters alone
# (cn2dnsid in crypto/x509/v3_ncons.c).
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]*[A-Za-z0-9_])?"
_READ_AS_DNS_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})+")

# RFC 4518 section 2.2; Python takes the separators U+001C to U+001F for blanks too, which nobody else does.
_BLANKS = re.compile(r"[^\S\x1c-\x1f]+")

NamesByKind = dict[type[x509.GeneralName], list[object]]
"""Names, or subtrees of names, by kind; directory names folded for comparing."""


class BudgetExceededError(Exception):
    """Checking costs more than any honest chain does; never leaves the validator and the authority."""


@dataclass(slots=True, kw_only=True)
class Budget:
    """What path building may spend; hostile chains are stopped by counting, not by a clock.

    The numbers leave room for every chain seen in the wild: the largest bridges need a few dozen signatures, and
    the largest honest certificates a few thousand comparisons of names.
    """

    signatures: int = 100
    steps: int = 20_000
    comparisons: int = 250_000

    def sign(self) -> None:
        """One more signature to verify."""
        self.signatures -= 1
        if self.signatures < 0:
            raise BudgetExceededError("more signatures than any honest chain has")

    def step(self) -> None:
        """One more candidate issuer to look at."""
        self.steps -= 1
        if self.steps < 0:
            raise BudgetExceededError("more cross-signed issuers than any honest chain has")

    def compare(self, count: int) -> None:
        """`count` more names to compare with constraints."""
        self.comparisons -= count
        if self.comparisons < 0:
            raise BudgetExceededError("more names and name constraints than any honest chain has")


def check_form(view: View, emit: Emitter) -> None:
    """Whether an issuer's name constraints are written as their standard says."""
    constraints = view.value(x509.NameConstraints)
    if constraints is None:
        return
    permitted, excluded = constraints.permitted_subtrees, constraints.excluded_subtrees
    if x509.NameConstraints not in view.critical:
        emit("name-constraints-not-critical", _PART, "name constraints that are not critical")
    if _has_distance(view):
        emit("name-constraints-distance", _PART, "a subtree with minimum or maximum")
    for subtree in [*(permitted or ()), *(excluded or ())][:5000]:
        problem = _form_problem(subtree)
        if problem:
            emit("name-constraints-malformed", _PART, problem)
            return


def _has_distance(view: View) -> bool:
    """Whether a subtree has more than its base, which cryptography reads and drops."""
    octets = view.octets(x509.NameConstraints)
    _, start, end = read_tlv(octets, 0)
    for _, _, first, last in split_sequence(octets, start, end):
        for _, _, content, stop in split_sequence(octets, first, last):
            _, _, base_end = read_tlv(octets, content)
            if base_end != stop:
                return True
    return False


def _form_problem(subtree: x509.GeneralName) -> str:
    if isinstance(subtree, x509.DNSName):
        value = subtree.value
        if value[:1] == "." or _domain(value) is None:
            return f"the DNS subtree {value!r}"
    elif isinstance(subtree, x509.IPAddress):
        if not isinstance(subtree.value, (ipaddress.IPv4Network, ipaddress.IPv6Network)):
            return f"the IP subtree {subtree.value} without a mask"
    elif isinstance(subtree, x509.RFC822Name):
        local, at, host = subtree.value.rpartition("@")
        if (at and not local) or "@" in local or (host and dns_problem(host.removeprefix(".")) is not None):
            return f"the mail subtree {subtree.value!r}"
    elif isinstance(subtree, x509.UniformResourceIdentifier):
        host = subtree.value.removeprefix(".")
        if host and dns_problem(host) is not None:
            return f"the URI subtree {subtree.value!r}"
    return ""


def find_violation(
    issuer: View, below: View, budget: Budget, *, leaf: bool, common_name_counts: bool
) -> tuple[str, str] | None:
    """The code and the description of the first name of `below` that `issuer` does not allow, or None.

    Self-issued certificates are checked only as the leaf. `common_name_counts`: whether a common name is a host name
    when there is no host in subjectAltName. `BudgetExceededError` for too many names and constraints.
    """
    constraints = issuer.value(x509.NameConstraints)
    if constraints is None or (below.self_issued and not leaf):
        return None
    # Sorting names by kind costs something too, even where nothing is compared then.
    budget.compare((len(issuer.der) + len(below.der)) // _OCTETS_PER_COMPARISON)
    san = below.value(x509.SubjectAlternativeName)
    common = below.common_names if leaf else ()
    names = names_by_kind(san or (), below.name, common_names=common if common_name_counts else ())
    return find_forbidden(names, constraints, budget, common_names=common)


def find_forbidden(
    names: NamesByKind, constraints: x509.NameConstraints, budget: Budget, *, common_names: Iterable[str] = ()
) -> tuple[str, str] | None:
    """The code and the description of the first of `names` that `constraints` do not allow, or None.

    For what is to be issued as for what was: an authority that asked another engine would issue what is then refused.
    `common_names` are the leaf's, which OpenSSL holds against DNS constraints where `names` have no DNS name.
    `BudgetExceededError` for too many names and constraints.
    """
    permitted = _by_kind(constraints.permitted_subtrees or ())
    excluded = _by_kind(constraints.excluded_subtrees or ())
    for kind, values in names.items():
        found = _compare(kind, values, permitted.get(kind, ()), excluded.get(kind, ()), budget)
        if found is not None:
            return found
    if x509.DNSName not in names:
        read = [common for common in common_names if _READ_AS_DNS_NAME.fullmatch(common)]
        found = _compare(x509.DNSName, read, permitted.get(x509.DNSName, ()), excluded.get(x509.DNSName, ()), budget)
        if found is not None:
            return "name-constraints-common-name", f"the common name {found[1]}"
    return None


def _compare(
    kind: type[x509.GeneralName],
    values: Sequence[object],
    allowed: Sequence[object],
    forbidden: Sequence[object],
    budget: Budget,
) -> tuple[str, str] | None:
    if not allowed and not forbidden:
        return None
    budget.compare(sum(map(_weight, values)) * (len(allowed) + len(forbidden)))
    matcher = _MATCHERS.get(kind)
    if matcher is None:
        return "name-constraints-unsupported", f"a name of the kind {kind.__name__}"
    for value in values:
        for subtree in forbidden:
            if matcher(value, subtree, True):
                return "name-constraints-violated", f"{_text(value)} is within the excluded {_text(subtree)}"
        if allowed and not any(matcher(value, subtree, False) for subtree in allowed):
            shown = ", ".join(map(_text, allowed[:10])) + (f" and {len(allowed) - 10} more" if allowed[10:] else "")
            return "name-constraints-violated", f"{_text(value)} is in no permitted subtree ({shown})"
    return None


def subtree_within(inner: x509.GeneralName, outer: x509.GeneralName) -> bool | None:
    """Whether every name in the subtree `inner` is in `outer` too; None for different kinds. Domains and networks."""
    if isinstance(inner, x509.DNSName) and isinstance(outer, x509.DNSName):
        return _dns(inner.value, outer.value, False)
    if isinstance(inner, x509.IPAddress) and isinstance(outer, x509.IPAddress):
        ours, theirs = inner.value, outer.value
        if isinstance(ours, ipaddress.IPv4Network) and isinstance(theirs, ipaddress.IPv4Network):
            return ours.subnet_of(theirs)
        if isinstance(ours, ipaddress.IPv6Network) and isinstance(theirs, ipaddress.IPv6Network):
            return ours.subnet_of(theirs)
        return False
    return None


def _weight(value: object) -> int:
    """How many comparisons of usual names one with this name is worth."""
    if isinstance(value, _CanonicalName):
        return 1 + len(value.rdns) // 4
    return 1 + len(value) // 256 if isinstance(value, str) else 1


def _text(value: object) -> str:
    return value.name.rfc4514_string() if isinstance(value, _CanonicalName) else repr(str(value))


def _by_kind(names: Iterable[x509.GeneralName]) -> NamesByKind:
    kinds: NamesByKind = {}
    for name in names:
        value = name.value
        kinds.setdefault(type(name), []).append(_CanonicalName(value) if isinstance(value, x509.Name) else value)
    return kinds


class _CanonicalName:
    """A directory name that is folded for comparing once, however many constraints it meets."""

    __slots__ = ("name", "rdns")

    def __init__(self, name: x509.Name) -> None:
        self.name = name
        self.rdns = canonical_name(name)


def names_by_kind(
    san: Iterable[x509.GeneralName], subject: x509.Name | None, *, common_names: Iterable[str] = ()
) -> NamesByKind:
    """Every name that constraints speak about, by kind; the subject too, as a directory name and for its mail.

    `common_names` are those of the subject's that count as hosts if there is no host in subjectAltName.
    """
    names = _by_kind(san)
    for name in san if x509.OtherName in names else ():
        if isinstance(name, x509.OtherName) and name.type_id == _SMTP_UTF8_MAILBOX:
            names.setdefault(x509.RFC822Name, []).append(_mailbox(name.value))
    hosted = x509.DNSName in names or x509.IPAddress in names
    if subject is not None and subject.rdns:
        names.setdefault(x509.DirectoryName, []).append(_CanonicalName(subject))
        mail = [a.value for a in subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS)]
        if mail:
            # RFC 5280 asks for it where subjectAltName has none; OpenSSL looks at it in any case.
            names.setdefault(x509.RFC822Name, []).extend(mail)
    for common in () if hosted else common_names:
        host = common_name_host(common)
        if host is not None:
            names.setdefault(x509.DNSName if isinstance(host, str) else x509.IPAddress, []).append(host)
    return names


def _mailbox(value: bytes) -> str:
    """The address of an SmtpUTF8Mailbox, which meets constraints on mail (RFC 9598 section 6), its host in A-labels.

    Empty where it cannot be read: that is in no permitted subtree, and in every excluded one.
    """
    local, _, host = foreign.read_or("", utf8_string, value).rpartition("@")
    try:
        return f"{local}@{to_a_labels(host)}"
    except InvalidInputError:
        return ""


def _domain(subtree: str) -> str | None:
    """A DNS subtree in lower case; None where it is no domain, with or without a leading dot."""
    return subtree.lower() if not subtree or _is_host(subtree.removeprefix(".")) else None


def _is_host(text: str) -> bool:
    """Whether it is a DNS name without wildcard; what a constraint meets is one, or cannot be compared."""
    return len(text) <= _LONGEST_HOST and _is_short_host(text)


@lru_cache(maxsize=1024)
def _is_short_host(text: str) -> bool:
    return "*" not in text and dns_problem(text) in (None, "dns-name-underscore")


def _within(name: str, domain: str) -> bool:
    return not domain or name == domain or name.endswith("." + domain)


def _dns(value: object, subtree: object, excluding: bool) -> bool:
    name, domain = str(value).lower().removesuffix("."), _domain(str(subtree))
    if domain is None:
        # Nobody can say what it stands for: it permits nothing and excludes everything.
        return excluding
    if domain[:1] == ".":
        # RFC 5280 has no such form. OpenSSL, Go and Firefox read it alike: the names below, not the domain itself.
        return name.endswith(domain)
    if name[:2] == "*.":
        base = name[2:]
        # A wildcard stands for names one label longer, so an excluded host there is among them (CVE-2025-61727).
        return _within(base, domain) or (excluding and domain.partition(".")[2] == base)
    return _within(name, domain)


def _ip(value: object, subtree: object, excluding: bool) -> bool:
    if not isinstance(subtree, (ipaddress.IPv4Network, ipaddress.IPv6Network)):
        return excluding
    if not isinstance(value, (ipaddress.IPv4Address, ipaddress.IPv6Address)):
        # A mask where an address should be stands for no host: never permitted, always excluded.
        return excluding
    return value in subtree


def _mail(value: object, subtree: object, excluding: bool) -> bool:
    local, at, host = str(value).rpartition("@")
    if not at or not _is_host(host):
        return excluding
    wanted = str(subtree)
    wanted_local, wanted_at, wanted_host = wanted.rpartition("@")
    if wanted_at:
        return local == wanted_local and host.lower() == wanted_host.lower()
    return _ends_with(host, wanted)


def _uri(value: object, subtree: object, excluding: bool) -> bool:
    try:
        parts = urlsplit(str(value))
        host = parts.hostname if parts.netloc.isascii() else None  # in small letters, of the Kelvin sign too
    except ValueError:
        host = None
    if not host or lenient_address(host) is not None or not _is_host(host):
        # RFC 5280: a URI without a host name, or with an address, is to be refused when URIs are constrained.
        return excluding
    return _ends_with(host, str(subtree))


def _ends_with(host: str, wanted: str) -> bool:
    wanted, host = wanted.lower(), host.lower()
    return not wanted or (host.endswith(wanted) if wanted[0] == "." else host == wanted)


def _directory(value: object, subtree: object, excluding: bool) -> bool:
    del excluding
    if not isinstance(value, _CanonicalName) or not isinstance(subtree, _CanonicalName):
        return False
    wanted = subtree.rdns
    return value.rdns[: len(wanted)] == wanted


_MATCHERS: dict[type[x509.GeneralName], Callable[[object, object, bool], bool]] = {
    x509.DNSName: _dns,
    x509.IPAddress: _ip,
    x509.RFC822Name: _mail,
    x509.UniformResourceIdentifier: _uri,
    x509.DirectoryName: _directory,
}


def canonical_name(name: x509.Name) -> tuple[frozenset[tuple[str, str | bytes]], ...]:
    """A name for comparing as RFC 5280 section 7.1 says: without case, runs of blanks as one, Unicode composed."""
    return tuple(frozenset((a.oid.dotted_string, _folded(a.value)) for a in rdn) for rdn in name.rdns)


def _folded(value: str | bytes) -> str | bytes:
    if isinstance(value, bytes):
        return value
    return _BLANKS.sub(" ", unicodedata.normalize("NFKC", value).casefold()).strip(" ")
