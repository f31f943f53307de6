"""A small validator that is right about drawn chains, and what becomes of it by one classic mistake each.

It is written with `cryptography` alone and shares nothing with the library's own, so that the strategies are judged by
somebody else. Each wrong one is the right one with one function in another's place, most as they stood in programs that
many people used; `docs/howto-property-tests.md` has the table of how soon each is found.
"""

from __future__ import annotations

import ipaddress
import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import idna
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID as Eku
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings

from mlsssl import strategies

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from typing import TypeAlias

    from mlsssl.strategies import Chain

    Certificate: TypeAlias = x509.Certificate

LIMIT = 200
"""Within so many examples every wrong validator has to be found."""


@dataclass(frozen=True, kw_only=True)
class Validator:
    """Does a chain hold for a host at a moment? Yes when every part says so; each part can be put in another's place.

    Attributes:
        host_matches: Whether a certificate is for a host.
        in_time: Whether the certificate at this height (the leaf is 0) is valid at a moment.
        signed_by: Whether an authority signed a certificate.
        trusted: Whether the way up ends at what is trusted.
        may_issue: Whether an authority with so many others below it may issue.
        for_servers: Whether the certificate at this height may be, or issue, a server's.
        constraints_hold: Whether names are allowed by the constraints of an authority.
        understood: Whether all critical extensions are known.
        strong: Whether key and signature are such as are still taken.
        decent: Whether the leaf keeps what clients ask of a server's certificate besides.
        not_revoked: Whether no list names it.
    """

    host_matches: Callable[[Certificate, str], bool]
    in_time: Callable[[Certificate, datetime, int], bool]
    signed_by: Callable[[Certificate, Certificate], bool]
    trusted: Callable[[list[Certificate], Certificate], bool]
    may_issue: Callable[[Certificate, int], bool]
    for_servers: Callable[[Certificate, int], bool]
    constraints_hold: Callable[[Certificate, Certificate], bool]
    understood: Callable[[Certificate, int], bool]
    strong: Callable[[Certificate, int], bool]
    decent: Callable[[Certificate], bool]
    not_revoked: Callable[[Certificate, Certificate, Sequence[x509.CertificateRevocationList], int], bool]

    def accepts(self, chain: Chain) -> bool:
        """Whether this validator takes the chain."""
        given = [one.to_der() for one in (chain.certificate, *chain.certificate.chain)]
        path = [x509.load_der_x509_certificate(der) for der in given]
        root = x509.load_der_x509_certificate(chain.root.to_der())
        crls = [x509.load_der_x509_crl(crl.to_der()) for crl in chain.crls]
        leaf, host = path[0], chain.host if _is_address(chain.host) else _a_label(chain.host)
        return (
            self.host_matches(leaf, host)
            and self.decent(leaf)
            and self.trusted(path, root)
            and all(self.in_time(one, chain.at, height) for height, one in enumerate(path))
            and all(self.understood(one, height) and self.strong(one, height) for height, one in enumerate(path))
            and all(self.for_servers(one, height) for height, one in enumerate(path))
            and all(self.may_issue(one, below) for below, one in enumerate(path[1:]))
            and all(self.constraints_hold(one, leaf) for one in path[1:])
            and all(self.signed_by(lower, upper) for lower, upper in itertools.pairwise(path))
            and all(
                self.not_revoked(lower, upper, crls, height)
                for height, (lower, upper) in enumerate(itertools.pairwise(path))
            )
        )


def _extension(certificate: Certificate, kind: type[x509.ExtensionType]) -> x509.ExtensionType | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _dns_names(certificate: Certificate) -> list[str]:
    san = _extension(certificate, x509.SubjectAlternativeName)
    return san.get_values_for_type(x509.DNSName) if isinstance(san, x509.SubjectAlternativeName) else []


def _addresses(certificate: Certificate) -> list[str]:
    san = _extension(certificate, x509.SubjectAlternativeName)
    found = san.get_values_for_type(x509.IPAddress) if isinstance(san, x509.SubjectAlternativeName) else []
    return [str(one) for one in found]


def _common_names(certificate: Certificate) -> list[str]:
    return [str(one.value) for one in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _a_label(host: str) -> str:
    return host.lower() if host.isascii() else idna.encode(host, uts46=True).decode()


# -- the right one ----------------------------------------------------------------------------------------------------


def _name_matches(name: str, host: str) -> bool:
    """RFC 9525 section 6.3: a whole leftmost label may be a wildcard, for one label, and two labels follow it."""
    name = name.lower()
    if not name.startswith("*."):
        return name == host
    return host.partition(".")[2] == name[2:] and host.count(".") >= 2 and "*" not in name[2:]


def _host_matches(certificate: Certificate, host: str) -> bool:
    if _is_address(host):
        return host in _addresses(certificate)
    return any(_name_matches(name, host) for name in _dns_names(certificate))


def _in_time(certificate: Certificate, at: datetime, _height: int) -> bool:
    return certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc


def _signed_by(lower: Certificate, upper: Certificate) -> bool:
    return _named(lower, upper) and _signature_holds(lower, upper)


def _named(lower: Certificate, upper: Certificate) -> bool:
    named, has = _extension(lower, x509.AuthorityKeyIdentifier), _extension(upper, x509.SubjectKeyIdentifier)
    if not isinstance(named, x509.AuthorityKeyIdentifier) or not isinstance(has, x509.SubjectKeyIdentifier):
        return lower.issuer == upper.subject
    return lower.issuer == upper.subject and named.key_identifier == has.digest


def _signature_holds(lower: Certificate, upper: Certificate) -> bool:
    key, digest = upper.public_key(), lower.signature_hash_algorithm
    assert digest is not None
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(lower.signature, lower.tbs_certificate_bytes, padding.PKCS1v15(), digest)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(lower.signature, lower.tbs_certificate_bytes, ec.ECDSA(digest))
    except InvalidSignature:
        return False
    return True


def _trusted(path: list[Certificate], root: Certificate) -> bool:
    return path[-1] == root and len(path) > 1


def _may_issue(authority: Certificate, below: int) -> bool:
    basic = _extension(authority, x509.BasicConstraints)
    if not isinstance(basic, x509.BasicConstraints) or not basic.ca:
        return False
    if basic.path_length is not None and below > basic.path_length:
        return False
    return _may_sign(authority)


def _may_sign(authority: Certificate) -> bool:
    usage = _extension(authority, x509.KeyUsage)
    return not isinstance(usage, x509.KeyUsage) or usage.key_cert_sign


def _for_servers(certificate: Certificate, height: int) -> bool:
    usages = _extension(certificate, x509.ExtendedKeyUsage)
    return Eku.SERVER_AUTH in usages if isinstance(usages, x509.ExtendedKeyUsage) else height > 0


def _constraints_hold(authority: Certificate, leaf: Certificate) -> bool:
    return _constraints_hold_for(authority, leaf, _below)


def _constraints_hold_for(authority: Certificate, leaf: Certificate, below: Callable[[str, str], bool]) -> bool:
    constraints = _extension(authority, x509.NameConstraints)
    if not isinstance(constraints, x509.NameConstraints):
        return True
    names = _dns_names(leaf)
    permitted = [one.value for one in constraints.permitted_subtrees or () if isinstance(one, x509.DNSName)]
    excluded = [one.value for one in constraints.excluded_subtrees or () if isinstance(one, x509.DNSName)]
    if permitted and not all(any(below(name, subtree) for subtree in permitted) for name in names):
        return False
    if any(_touches(name, subtree, below) for name in names for subtree in excluded):
        return False
    networks = [
        ipaddress.ip_network(str(one.value))
        for one in constraints.permitted_subtrees or ()
        if isinstance(one, x509.IPAddress)
    ]
    addresses = [ipaddress.ip_address(one) for one in _addresses(leaf)]
    return not networks or all(any(address in network for network in networks) for address in addresses)


def _below(name: str, subtree: str) -> bool:
    """RFC 5280 section 4.2.1.10."""
    name, subtree = name.lower(), subtree.lower()
    return name == subtree or name.endswith(f".{subtree}")


def _touches(name: str, subtree: str, below: Callable[[str, str], bool]) -> bool:
    """A wildcard stands also for the names that are excluded."""
    return below(name, subtree) or (name.startswith("*.") and _below(subtree, name[2:]) and subtree != name[2:])


_KNOWN = (
    x509.BasicConstraints,
    x509.KeyUsage,
    x509.SubjectAlternativeName,
    x509.NameConstraints,
    x509.ExtendedKeyUsage,
)


def _understood(certificate: Certificate, _height: int) -> bool:
    return all(isinstance(one.value, _KNOWN) for one in certificate.extensions if one.critical)


def _strong(certificate: Certificate, _height: int) -> bool:
    key = certificate.public_key()
    if isinstance(certificate.signature_hash_algorithm, hashes.SHA1):
        return False
    if isinstance(key, ec.EllipticCurvePublicKey):
        return isinstance(key.curve, (ec.SECP256R1, ec.SECP384R1))
    return isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048


def _decent(leaf: Certificate) -> bool:
    """Not an authority, a key usage that fits, at most 825 days, names that can be names."""
    basic, usage = _extension(leaf, x509.BasicConstraints), _extension(leaf, x509.KeyUsage)
    days = leaf.not_valid_after_utc - leaf.not_valid_before_utc
    return (
        isinstance(basic, x509.BasicConstraints)
        and not basic.ca
        and isinstance(usage, x509.KeyUsage)
        and usage.digital_signature
        and days.days <= 825
        and not any(name == "*.test" or name.startswith("-") for name in _dns_names(leaf))
    )


def _not_revoked(
    lower: Certificate, upper: Certificate, crls: Sequence[x509.CertificateRevocationList], _height: int
) -> bool:
    return not any(
        crl.issuer == upper.subject and crl.get_revoked_certificate_by_serial_number(lower.serial_number) is not None
        for crl in crls
    )


RIGHT = Validator(
    host_matches=_host_matches,
    in_time=_in_time,
    signed_by=_signed_by,
    trusted=_trusted,
    may_issue=_may_issue,
    for_servers=_for_servers,
    constraints_hold=_constraints_hold,
    understood=_understood,
    strong=_strong,
    decent=_decent,
    not_revoked=_not_revoked,
)


# -- the wrong ones ---------------------------------------------------------------------------------------------------


def _by_name(matches: Callable[[str, str], bool]) -> Validator:
    """Hosts are compared like this with each DNS name; addresses as they should be."""

    def host_matches(certificate: Certificate, host: str) -> bool:
        return _host_matches(certificate, host) or (
            not _is_address(host) and any(matches(name.lower(), host) for name in _dns_names(certificate))
        )

    return replace(RIGHT, host_matches=host_matches)


def _or_by(also: Callable[[Certificate, str], bool]) -> Validator:
    """A host may also be found in this way."""
    return replace(RIGHT, host_matches=lambda one, host: _host_matches(one, host) or also(one, host))


def _glob(pattern: str, host: str) -> bool:
    before, star, after = pattern.partition("*")
    return bool(star) and len(host) >= len(pattern) and host.startswith(before) and host.endswith(after)


def _glob_in_a_label(pattern: str, host: str) -> bool:
    return _glob(pattern, host) and pattern.count(".") == host.count(".")


def _suffix(name: str, host: str) -> bool:
    return not name.startswith("*") and host.endswith(name)


def _prefix(name: str, host: str) -> bool:
    return host.startswith(name)


def _child(name: str, host: str) -> bool:
    return host.endswith(f".{name}")


def _same_domain(name: str, host: str) -> bool:
    return name.count(".") > 1 and name.partition(".")[2] == host.partition(".")[2]


def _wildcard_over_nothing(name: str, host: str) -> bool:
    return name == f"*.{host}"


def _until_nul(name: str, host: str) -> bool:
    return name.partition("\0")[0] == host


def _address_as_dns_name(certificate: Certificate, host: str) -> bool:
    return host in _dns_names(certificate)


def _wildcard_address(certificate: Certificate, host: str) -> bool:
    return any(_name_matches(name, host) for name in _dns_names(certificate))


def _address_prefix(certificate: Certificate, host: str) -> bool:
    return any(host.startswith(one) for one in _addresses(certificate))


def _any_kind_of_name(certificate: Certificate, host: str) -> bool:
    san = _extension(certificate, x509.SubjectAlternativeName)
    return isinstance(san, x509.SubjectAlternativeName) and any(
        isinstance(one, x509.UniformResourceIdentifier) and host in one.value for one in san
    )


def _common_name(certificate: Certificate, host: str) -> bool:
    return host in _common_names(certificate)


def _common_name_in_text(certificate: Certificate, host: str) -> bool:
    text = certificate.subject.rfc4514_string().replace("\\", "")
    return any(part.strip() == f"CN={host}" for part in text.split(","))


def _names_only(lower: Certificate, upper: Certificate) -> bool:
    return _named(lower, upper)


def _signature_only(lower: Certificate, upper: Certificate) -> bool:
    return _signature_holds(lower, upper)


def _root_by_name(path: list[Certificate], root: Certificate) -> bool:
    return path[-1].subject == root.subject


def _any_root(path: list[Certificate], _root: Certificate) -> bool:
    return len(path) > 1


def _self_signed_is_enough(path: list[Certificate], root: Certificate) -> bool:
    """A certificate that was signed by its own key is taken for a root."""
    return _trusted(path, root) or path[0].issuer == path[0].subject


def _accepting_self_signed() -> Validator:
    right = _signed_by
    return replace(
        RIGHT,
        trusted=_self_signed_is_enough,
        signed_by=lambda lower, upper: right(lower, upper) or lower.issuer == lower.subject,
    )


def _certificate_authority_or_not(authority: Certificate, below: int) -> bool:
    basic = _extension(authority, x509.BasicConstraints)
    limit = basic.path_length if isinstance(basic, x509.BasicConstraints) else None
    return (limit is None or below <= limit) and _may_sign(authority)


def _unless_it_says_no(authority: Certificate, below: int) -> bool:
    """An authority unless basicConstraints says otherwise: without the extension nothing says so."""
    return _extension(authority, x509.BasicConstraints) is None or _may_issue(authority, below)


def _version_1_too(authority: Certificate, below: int) -> bool:
    return authority.version is x509.Version.v1 or _may_issue(authority, below)


def _leaf_issuer_unchecked(authority: Certificate, below: int) -> bool:
    """The check begins one too high, as after an alternative chain was found."""
    return below == 0 or _may_issue(authority, below)


def _path_length_ignored(authority: Certificate, _below: int) -> bool:
    basic = _extension(authority, x509.BasicConstraints)
    return isinstance(basic, x509.BasicConstraints) and basic.ca and _may_sign(authority)


def _path_length_of_roots_ignored(authority: Certificate, below: int) -> bool:
    return _may_issue(authority, 0 if authority.issuer == authority.subject else below)


def _key_usage_ignored(authority: Certificate, below: int) -> bool:
    basic = _extension(authority, x509.BasicConstraints)
    if not isinstance(basic, x509.BasicConstraints) or not basic.ca:
        return False
    return basic.path_length is None or below <= basic.path_length


def _constraints_of_roots_ignored(authority: Certificate, leaf: Certificate) -> bool:
    return authority.issuer == authority.subject or _constraints_hold(authority, leaf)


def _constraints_case_sensitive(authority: Certificate, leaf: Certificate) -> bool:
    return _constraints_hold_for(authority, leaf, lambda name, tree: name == tree or name.endswith(f".{tree}"))


def _constraints_without_dot(authority: Certificate, leaf: Certificate) -> bool:
    return _constraints_hold_for(authority, leaf, lambda name, tree: name.lower().endswith(tree.lower()))


def _constraints_excluded_only(authority: Certificate, leaf: Certificate) -> bool:
    constraints = _extension(authority, x509.NameConstraints)
    excluded = constraints.excluded_subtrees if isinstance(constraints, x509.NameConstraints) else None
    return not excluded or _constraints_hold(authority, leaf)


def _constraints_on_the_first_name(authority: Certificate, leaf: Certificate) -> bool:
    constraints = _extension(authority, x509.NameConstraints)
    permitted = constraints.permitted_subtrees if isinstance(constraints, x509.NameConstraints) else None
    names = _dns_names(leaf)
    return _constraints_hold(authority, leaf) or bool(
        permitted and names and any(isinstance(one, x509.DNSName) and _below(names[0], one.value) for one in permitted)
    )


def _constraints_blind_to_wildcards(authority: Certificate, leaf: Certificate) -> bool:
    return _constraints_hold(authority, leaf) or any(name.startswith("*.") for name in _dns_names(leaf))


def _constraints_on_dns_names_only(authority: Certificate, leaf: Certificate) -> bool:
    return bool(_addresses(leaf)) or _constraints_hold(authority, leaf)


def _at_height(check: Callable[[Certificate, int], bool], *checked: int) -> Callable[[Certificate, int], bool]:
    return lambda one, height: height not in checked or check(one, height)


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """A classic mistake.

    Attributes:
        words: What the validator does wrong.
        seen: Where it was: a CVE, or the section of the standard that is broken.
        validator: One that makes it.
    """

    words: str
    seen: str
    validator: Validator


MISTAKES = (
    Mistake(
        words="never looks at the host",
        seen="CVE-2012-5784 (Apache Axis)",
        validator=replace(RIGHT, host_matches=lambda _one, _host: True),
    ),
    Mistake(
        words="takes a wildcard for several labels",
        seen="RFC 9525 section 6.3",
        validator=_by_name(lambda name, host: name.startswith("*.") and host.endswith(name[1:])),
    ),
    Mistake(
        words="takes a wildcard for no label",
        seen="RFC 9525 section 6.3",
        validator=_by_name(_wildcard_over_nothing),
    ),
    Mistake(
        words="takes a wildcard anywhere in a name, also in an A-label",
        seen="CVE-2014-1492 (NSS)",
        validator=_by_name(_glob_in_a_label),
    ),
    Mistake(
        words="takes a wildcard for part of an address",
        seen="CVE-2010-3170 (NSS)",
        validator=_or_by(_wildcard_address),
    ),
    Mistake(
        words="compares the end of the host, without the dot",
        seen="CVE-2012-3446 (Apache Libcloud)",
        validator=_by_name(_suffix),
    ),
    Mistake(words="compares the beginning of the host", seen="RFC 9525 section 6.3", validator=_by_name(_prefix)),
    Mistake(words="takes a name for all names below it", seen="RFC 9525 section 6.3", validator=_by_name(_child)),
    Mistake(words="takes a name for its siblings", seen="RFC 9525 section 6.3", validator=_by_name(_same_domain)),
    Mistake(words="reads a name up to a NUL", seen="CVE-2013-4238 (CPython)", validator=_by_name(_until_nul)),
    Mistake(
        words="finds an address among the DNS names",
        seen="RFC 9525 section 6.4",
        validator=_or_by(_address_as_dns_name),
    ),
    Mistake(
        words="compares addresses as text, by their beginning",
        seen="RFC 9525 section 6.4",
        validator=_or_by(_address_prefix),
    ),
    Mistake(
        words="takes a URI for a host's name", seen="CVE-2021-44531 (Node.js)", validator=_or_by(_any_kind_of_name)
    ),
    Mistake(
        words="falls back to the common name though there are alternative names",
        seen="RFC 9525 section 6.3",
        validator=_or_by(_common_name),
    ),
    Mistake(
        words="finds `CN=` in the text of another attribute",
        seen="CVE-2012-6153 (Apache HttpClient)",
        validator=_or_by(_common_name_in_text),
    ),
    Mistake(
        words="never looks at dates", seen="RFC 5280 section 6.1.3", validator=replace(RIGHT, in_time=lambda *_: True)
    ),
    Mistake(
        words="looks at the dates of the leaf only",
        seen="RFC 5280 section 6.1.3",
        validator=replace(RIGHT, in_time=lambda one, at, height: height > 0 or _in_time(one, at, height)),
    ),
    Mistake(
        words="looks only whether it has ended, not whether it has begun",
        seen="RFC 5280 section 6.1.3",
        validator=replace(RIGHT, in_time=lambda one, at, _: at <= one.not_valid_after_utc),
    ),
    Mistake(
        words="compares names and never checks a signature",
        seen="RFC 5280 section 6.1.3",
        validator=replace(RIGHT, signed_by=_names_only),
    ),
    Mistake(
        words="checks signatures and never compares names",
        seen="RFC 5280 section 6.1.3",
        validator=replace(RIGHT, signed_by=_signature_only),
    ),
    Mistake(
        words="knows a root by its name", seen="RFC 5280 section 6.1.1", validator=replace(RIGHT, trusted=_root_by_name)
    ),
    Mistake(words="takes any root", seen="CVE-2008-4989 (GnuTLS)", validator=replace(RIGHT, trusted=_any_root)),
    Mistake(words="takes what is self-signed", seen="RFC 5280 section 6.1.1", validator=_accepting_self_signed()),
    Mistake(
        words="never asks whether an issuer is an authority",
        seen="CVE-2002-0862 (Windows), CVE-2011-0228 (iOS)",
        validator=replace(RIGHT, may_issue=_certificate_authority_or_not),
    ),
    Mistake(
        words="does not ask that of the leaf's issuer",
        seen="CVE-2015-1793 (OpenSSL)",
        validator=replace(RIGHT, may_issue=_leaf_issuer_unchecked),
    ),
    Mistake(
        words="takes an issuer without basicConstraints",
        seen="RFC 5280 section 6.1.4",
        validator=replace(RIGHT, may_issue=_unless_it_says_no),
    ),
    Mistake(
        words="takes an issuer of version 1",
        seen="CVE-2014-1959 (GnuTLS)",
        validator=replace(RIGHT, may_issue=_version_1_too),
    ),
    Mistake(
        words="ignores the path length",
        seen="RFC 5280 section 4.2.1.9",
        validator=replace(RIGHT, may_issue=_path_length_ignored),
    ),
    Mistake(
        words="ignores the path length of the root",
        seen="RFC 5280 section 4.2.1.9",
        validator=replace(RIGHT, may_issue=_path_length_of_roots_ignored),
    ),
    Mistake(
        words="ignores the key usage of issuers",
        seen="RFC 5280 section 4.2.1.3",
        validator=replace(RIGHT, may_issue=_key_usage_ignored),
    ),
    Mistake(
        words="ignores the extended key usage",
        seen="CVE-2020-14039 (Go on Windows)",
        validator=replace(RIGHT, for_servers=lambda *_: True),
    ),
    Mistake(
        words="ignores the extended key usage of issuers",
        seen="CA/Browser Forum TLS BR section 7.1.2",
        validator=replace(RIGHT, for_servers=_at_height(_for_servers, 0)),
    ),
    Mistake(
        words="ignores name constraints",
        seen="RFC 5280 section 4.2.1.10",
        validator=replace(RIGHT, constraints_hold=lambda *_: True),
    ),
    Mistake(
        words="ignores name constraints of the root",
        seen="RFC 5280 section 4.2.1.10",
        validator=replace(RIGHT, constraints_hold=_constraints_of_roots_ignored),
    ),
    Mistake(
        words="keeps name constraints in their own capitals only",
        seen="RFC 5280 section 7.2",
        validator=replace(RIGHT, constraints_hold=_constraints_case_sensitive),
    ),
    Mistake(
        words="compares the end of a constrained name, without the dot",
        seen="RFC 5280 section 4.2.1.10",
        validator=replace(RIGHT, constraints_hold=_constraints_without_dot),
    ),
    Mistake(
        words="knows excluded names and no permitted ones",
        seen="RFC 5280 section 4.2.1.10",
        validator=replace(RIGHT, constraints_hold=_constraints_excluded_only),
    ),
    Mistake(
        words="looks at the first name only",
        seen="RFC 5280 section 4.2.1.10",
        validator=replace(RIGHT, constraints_hold=_constraints_on_the_first_name),
    ),
    Mistake(
        words="lets a wildcard stand for an excluded name",
        seen="CVE-2025-61727 (Go)",
        validator=replace(RIGHT, constraints_hold=_constraints_blind_to_wildcards),
    ),
    Mistake(
        words="knows constraints of DNS names and none of addresses",
        seen="RFC 5280 section 4.2.1.10",
        validator=replace(RIGHT, constraints_hold=_constraints_on_dns_names_only),
    ),
    Mistake(
        words="ignores critical extensions that it does not know",
        seen="RFC 5280 section 4.2",
        validator=replace(RIGHT, understood=lambda *_: True),
    ),
    Mistake(
        words="ignores those of issuers",
        seen="RFC 5280 section 4.2",
        validator=replace(RIGHT, understood=_at_height(_understood, 0)),
    ),
    Mistake(
        words="takes SHA-1 and weak keys", seen="RFC 8603, RFC 9155", validator=replace(RIGHT, strong=lambda *_: True)
    ),
    Mistake(
        words="takes SHA-1 in issuers",
        seen="CA/Browser Forum TLS BR section 7.1.3.2",
        validator=replace(RIGHT, strong=_at_height(_strong, 0)),
    ),
    Mistake(
        words="never looks at revocation lists",
        seen="RFC 5280 section 6.3",
        validator=replace(RIGHT, not_revoked=lambda *_: True),
    ),
    Mistake(
        words="looks at revocation lists for the leaf only",
        seen="RFC 5280 section 6.3",
        validator=replace(
            RIGHT, not_revoked=lambda lower, upper, crls, height: height > 0 or _not_revoked(lower, upper, crls, height)
        ),
    ),
)
"""The table of the documentation, in its order."""


RUNS = 5
"""How many runs of Hypothesis the table of the documentation shows."""

TAKEN_BY = {
    "OpenSSL": frozenset(
        {
            "validity-too-long",
            "wildcard-inside-a-label",
            "wildcard-top-level",
            "dns-name-malformed",
            "common-name-only",
            "sha1",
            "issuer-sha1",
            "curve",
            "small-rsa",
            "eku-missing",
            "leaf-is-ca",
            "wildcard-over-an-excluded-name",
        }
    ),
    "GnuTLS": frozenset(
        {
            "validity-too-long",
            "wildcard-top-level",
            "dns-name-malformed",
            "common-name-only",
            "eku-missing",
            "key-usage-unsuitable",
            "leaf-is-ca",
            "wildcard-over-an-excluded-name",
        }
    ),
}
"""The near misses that these programs take, of Debian 12 and with its settings; `tests/interop` asks them."""


def found_by(validator: Validator, number: int) -> tuple[int, str] | None:
    """After how many examples of one run (of this number) Hypothesis sees that a validator is wrong, and by what.

    None when it does not within `LIMIT`.
    """
    tried: list[str] = []

    @seed(number)
    @settings(
        max_examples=LIMIT,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        verbosity=Verbosity.quiet,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(strategies.faulty_chains())
    def refuses(chain: Chain) -> None:
        assert not (tried and tried[-1].startswith("!"))  # found: Hypothesis looks at it again
        mark = "!" if validator.accepts(chain) else ""
        tried.append(f"{mark}{chain.near_miss}")
        assert not mark

    try:
        refuses()
    except AssertionError:
        return len(tried), tried[-1].removeprefix("!")
    return None
