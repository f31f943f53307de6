"""What a server's own certificate must be, or a client's: names, what it may be used for, how long it is valid."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID as Eku
from cryptography.x509.oid import NameOID

from mlsssl._formats.hosts import (
    common_name_host,
    dns_problem,
    idna_problem,
    lenient_address,
    matches_any,
    to_a_labels,
)
from mlsssl._formats.keys import is_ec, is_rsa
from mlsssl._validator.clients import CLIENTS
from mlsssl._validator.every_certificate import NETSCAPE_TYPE, check_common, check_dates, netscape_bits
from mlsssl._validator.profiles import days_of
from mlsssl._validator.public_suffixes import is_public_suffix
from mlsssl._validator.weak_keys import check_key, for_pss_only
from mlsssl.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mlsssl._formats.hosts import Address
    from mlsssl._formats.parsed import View
    from mlsssl._validator.findings import Emitter
    from mlsssl._validator.profiles import Profile


_SAN, _EKU = "subjectAltName", "extKeyUsage"
_USAGES = {"client": (Eku.CLIENT_AUTH, "clientAuth"), "server": (Eku.SERVER_AUTH, "serverAuth")}
_UNIT_OID = bytes.fromhex("060355040b")  # of organizationalUnitName
_NETSCAPE_BITS = {"client": 0x80, "server": 0x40}  # bits 0 and 1 of netscapeCertType
_OTHER_USAGES = {
    Eku.CODE_SIGNING: "codeSigning",
    Eku.EMAIL_PROTECTION: "emailProtection",
    Eku.TIME_STAMPING: "timeStamping",
    Eku.OCSP_SIGNING: "OCSPSigning",
}
_NAMED_USAGES = {Eku.CLIENT_AUTH: "clientAuth", Eku.SERVER_AUTH: "serverAuth", **_OTHER_USAGES}
# RFC 6761, RFC 6762 appendix G, RFC 8375, RFC 9476, and the names that ICANN will never delegate (corp, home, mail).
_INTERNAL_TOP_LEVELS = frozenset(
    {"alt", "corp", "domain", "home", "internal", "intranet", "invalid", "lan", "local", "localdomain", "localhost"}
    | {"mail", "private", "test"}
)


class Names:
    """The names that a certificate presents: DNS names and addresses of its subjectAltName, and its common names."""

    __slots__ = ("addresses", "common", "dns", "other", "san")

    def __init__(self, view: View) -> None:
        san = view.value(x509.SubjectAlternativeName)
        self.san = san is not None or view.has(x509.SubjectAlternativeName)
        self.dns: list[str] = []
        self.addresses: list[object] = []
        self.other: list[x509.GeneralName] = []
        for name in san if san is not None else ():
            if isinstance(name, x509.DNSName):
                self.dns.append(name.value)
            elif isinstance(name, x509.IPAddress):
                self.addresses.append(name.value)
            else:
                self.other.append(name)
        self.common = view.common_names

    def __str__(self) -> str:
        count = len(self.dns) + len(self.addresses)
        if not count:
            return "no name"
        listed = [*self.dns[:20], *map(str, self.addresses[:20])][:20]
        shown = ", ".join(name if len(name) <= 255 else f"{name[:255]}…" for name in listed)
        return shown if count <= 20 else f"{shown} and {count - 20} more"


def check_host(names: Names, host: str | Address, emit: Emitter) -> None:
    """Whether the certificate is for the name asked about (RFC 9525 section 6)."""
    if matches_any(host, names.dns, names.addresses):
        return
    matches = not names.dns and _common_name_matches(names.common, host)
    if matches and _reads_common_name(names, host, emit.profile):
        return
    by_common_name = matches and not names.addresses
    carried = f"names: {names}"
    if names.common and not names.dns and not names.addresses:
        carried = f"no name in subjectAltName, and the common name {', '.join(names.common)}"
    hint = ""
    if by_common_name:
        hint = " (the common name matches, and clients ignore it)"
    elif not isinstance(host, str) and str(host) in names.dns:
        hint = " (the address stands there as a DNS name, where clients do not look for it)"
    emit(
        "name-mismatch",
        _SAN,
        f"{carried}{hint}",
        expected=f"a name that matches {host}",
        remedy=f'issue one for this name: ca.issue("{host}")',
    )


def _reads_common_name(names: Names, host: str | Address, profile: Profile) -> bool:
    """Whether a name in the subject counts; a client that reads it looks for host names there, not for addresses."""
    if profile.client is None:
        return profile.accepts_common_name and not names.addresses
    beside = CLIENTS[profile.client].beside_addresses or not names.addresses
    return profile.accepts_common_name and beside and isinstance(host, str)


def _common_name_matches(common: Sequence[str], host: str | Address) -> bool:
    if isinstance(host, str):
        return matches_any(host, (name for name in map(common_name_host, common) if isinstance(name, str)), ())
    return any(common_name_host(name) == host and name == str(host) for name in common)


def check_leaf(view: View, names: Names, emit: Emitter, at: datetime, host: str | Address | None) -> None:
    """Everything about the leaf that needs no other certificate; `host` as `parse_host` gives it."""
    check_common(view, emit)
    check_dates(view, emit, at)
    _check_validity(view, emit, at)
    check_key(view, emit, leaf=True)
    _check_names(view, names, emit, host)
    _check_common_name(view, names, emit)
    _check_usages(view, emit)
    _check_key_usage(view, emit)
    for oid, _, value in view.unknown:
        purpose = emit.profile.purpose
        if oid == NETSCAPE_TYPE and not netscape_bits(value) & _NETSCAPE_BITS[purpose]:
            emit("netscape-type", "extension netscapeCertType", f"no bit for TLS {purpose}s")
    if _is_ca(view):
        usage = view.value(x509.KeyUsage)
        serves = usage is None or usage.digital_signature or usage.key_encipherment or usage.key_agreement
        emit("leaf-is-ca", "basicConstraints", "CA:TRUE", case="" if serves else "no server")
    if view.has(x509.NameConstraints):
        emit("leaf-name-constraints", "nameConstraints", "name constraints")
    if not view.has(x509.SubjectKeyIdentifier):
        emit("leaf-ski-missing", "subjectKeyIdentifier", "no subjectKeyIdentifier")
    if view.serial > 0 and view.serial.bit_length() < 56:
        # 64 random bits have fewer than 56 significant ones once in 256 certificates.
        emit("serial-predictable", "serialNumber", f"a number of {view.serial.bit_length()} bits")
    if not view.has(x509.CertificatePolicies):
        emit("policies-missing", "certificatePolicies", "no certificatePolicies")
    if not view.has(x509.AuthorityInformationAccess):
        emit("aia-missing", "authorityInfoAccess", "no authorityInfoAccess")
    if not view.has(x509.PrecertificateSignedCertificateTimestamps):
        emit("sct-missing", "signedCertificateTimestampList", "no signed certificate timestamps")


def _check_validity(view: View, emit: Emitter, at: datetime) -> None:
    begin, end, issued = view.not_before, view.not_after, emit.issued
    if end < begin:
        return
    limit = emit.profile.limit(issued)
    days = days_of(begin, end)
    if limit is not None and days > limit.days:
        emit(
            "validity-too-long",
            "validity",
            f"{days} days, issued {issued.isoformat()}",
            expected=f"at most {limit.days} days when issued from {limit.since.isoformat()} on",
            standard=limit.standard,
        )
    elif limit is not None and limit.recommended is not None and days > limit.recommended:
        emit(
            "validity-above-recommended",
            "validity",
            f"{days} days",
            expected=f"at most {limit.recommended} days",
            standard=limit.standard,
        )
    elif limit is None and emit.profile.validity_limits and days > emit.profile.validity_limits[0].days:
        emit("validity-backdated", "validity", f"{days} days, issued {issued.isoformat()}")
    left = end - at
    if begin <= at <= end and left * 10 < end - begin:
        emit("expires-soon", "validity", f"{left.days} days left of {days}")


def _check_names(view: View, names: Names, emit: Emitter, host: str | Address | None) -> None:
    if not names.dns and not names.addresses:
        if names.san:
            if view.value(x509.SubjectAlternativeName) is not None:
                emit("san-without-host", _SAN, f"{len(names.other)} names of other kinds")
        elif names.common:
            emit("common-name-only", "subject", f"the common name {', '.join(names.common)} and no subjectAltName")
        else:
            emit("san-missing", "extensions", "no subjectAltName and no common name")
    if names.other:
        kinds = sorted({type(name).__name__ for name in names.other})
        emit("san-type", _SAN, f"names of the kinds {', '.join(kinds)}")
    if names.san:
        critical = x509.SubjectAlternativeName in view.critical
        empty = view.subject == b"\x30\x00"
        if critical and not empty:
            emit("san-critical", _SAN, "a critical subjectAltName beside a subject")
        elif empty and not critical and view.value(x509.SubjectAlternativeName) is not None:
            emit("san-not-critical", _SAN, "a subjectAltName that is not critical, and no subject")
    # Only one wildcard can match the host, *.<its parent>; it is what matches unless the host itself is listed.
    decisive = None
    if isinstance(host, str) and host not in map(str.lower, names.dns):
        decisive = f"*.{host.partition('.')[2]}"
    for name in names.dns:
        _check_dns_name(name, emit, decisive=name.lower() == decisive)
    for address in names.addresses:
        if not isinstance(address, (ipaddress.IPv4Address, ipaddress.IPv6Address)):
            emit("ip-malformed", _SAN, f"the address {address}")
        elif not address.is_global:
            emit("reserved-ip", _SAN, f"the address {address}")


def is_internal(name: str) -> bool:
    """Whether `name` (lower case, without wildcard) ends in no top-level domain of the public DNS.

    Names of one label, and the names reserved for private use; any other ending counts as public.
    """
    labels = name.split(".")
    return len(labels) < 2 or labels[-1] in _INTERNAL_TOP_LEVELS


def _check_dns_name(name: str, emit: Emitter, *, decisive: bool) -> None:
    problem = dns_problem(name)
    if problem is not None:
        emit(problem, _SAN, f"the DNS name {name!r}", case="decisive" if decisive else "")
        return
    bare = name.lower()
    if bare[:2] == "*.":
        bare = bare[2:]
        if is_public_suffix(bare):
            code = "wildcard-public-suffix" if decisive else "wildcard-public-suffix-unmatched"
            emit(code, _SAN, f"the DNS name {name!r}; {bare!r} is a public suffix")
    if is_internal(bare):
        emit("internal-name", _SAN, f"the DNS name {name!r}")
    if bare.endswith(".arpa"):
        emit("reverse-zone-name", _SAN, f"the DNS name {name!r}")
    trouble = idna_problem(bare) if "xn--" in bare else None
    if trouble:
        emit("dns-name-idna", _SAN, f"the DNS name {name!r}: {trouble}")


def _check_common_name(view: View, names: Names, emit: Emitter) -> None:
    listed = {*names.dns, *map(str, names.addresses)}
    for common in names.common[:5]:
        if len(common) > 64:
            emit("common-name-too-long", "subject", f"a common name of {len(common)} characters")
        if listed and common not in listed:
            emit(_common_name_problem(common, names), "subject", f"the common name {common!r}, names: {names}")
    if _UNIT_OID in view.subject and view.attributes(NameOID.ORGANIZATIONAL_UNIT_NAME):
        emit("subject-ou", "subject", "an organizationalUnitName")


def _common_name_problem(common: str, names: Names) -> str:
    """Which rule a common name breaks that is, character by character, no name of the subjectAltName.

    Another spelling of a listed name misleads, and so does a host of its own kind. A text that is no host name, a
    parent domain of a listed name, and a host beside names that are no public names at all, are merely untidy.
    """
    address = lenient_address(common)
    if address is not None:
        return "common-name-spelling" if address in names.addresses else "common-name-not-in-san"
    try:
        spelled = to_a_labels(common)
    except InvalidInputError:
        spelled = common.lower()
        if "." in spelled and not spelled.isascii() and " " not in spelled:
            return "common-name-other-host"
    listed = [name.lower().removesuffix(".") for name in names.dns]
    if spelled in listed:
        return "common-name-spelling"
    public = [name for name in listed if not is_internal(name.removeprefix("*."))]
    if dns_problem(spelled) is not None or is_internal(spelled) or not public:
        return "common-name-not-in-san"
    if any(name.endswith("." + spelled) for name in public):
        return "common-name-not-in-san"
    return "common-name-other-host"


def _check_usages(view: View, emit: Emitter) -> None:
    usages = view.value(x509.ExtendedKeyUsage)
    if usages is not None:
        present = set(usages)
        if present != {_USAGES[emit.profile.purpose][0]}:
            _check_other_usages(present, emit)
        if x509.ExtendedKeyUsage in view.critical:
            emit("eku-critical", _EKU, "a critical extKeyUsage")
    elif not view.has(x509.ExtendedKeyUsage):
        expected, remedy = _usage_words(emit.profile)
        emit("eku-missing", _EKU, "no extKeyUsage", expected=expected, remedy=remedy)


def _usage_words(profile: Profile) -> tuple[str | None, str | None]:
    """What is expected and the remedy where the rules' own words, which are about servers, do not fit."""
    if profile.purpose == "server":
        return None, None
    needed, name = _USAGES[profile.purpose]
    expected = f"extendedKeyUsage with {name} ({needed.dotted_string})"
    return expected, "issue a new certificate: ca.issue_client(...) sets clientAuth"


def _check_other_usages(present: set[x509.ObjectIdentifier], emit: Emitter) -> None:
    """Usages that are not just the one that is needed."""
    needed, name = _USAGES[emit.profile.purpose]
    if Eku.ANY_EXTENDED_KEY_USAGE in present:
        expected, remedy = _usage_words(emit.profile)
        alone = needed not in present
        code, found = ("eku-any-only", f", no {name}") if alone else ("eku-any", "")
        emit(code, _EKU, f"anyExtendedKeyUsage{found}", expected=expected, remedy=remedy)
    elif needed not in present:
        listed = sorted(_NAMED_USAGES.get(usage, usage.dotted_string) for usage in present)
        found = f"only {', '.join(listed) or 'nothing'}"
        code = "eku-client-auth-missing" if emit.profile.purpose == "client" else "eku-server-auth-missing"
        emit(code, _EKU, found, case="" if listed else "empty")
    others = [name for usage, name in _OTHER_USAGES.items() if usage in present]
    if others:
        emit("eku-other-usage", _EKU, ", ".join(others))
    if Eku.CLIENT_AUTH in present and Eku.SERVER_AUTH in present:
        emit("eku-client-auth", _EKU, "clientAuth beside serverAuth")


def _check_key_usage(view: View, emit: Emitter) -> None:
    part = "keyUsage"
    usage = view.value(x509.KeyUsage)
    if usage is None:
        if not view.has(x509.KeyUsage):
            emit("key-usage-missing", part, "no keyUsage")
        return
    if x509.KeyUsage not in view.critical:
        emit("key-usage-not-critical", part, "a keyUsage that is not critical")
    if usage.key_cert_sign or usage.crl_sign:
        alone = usage.key_cert_sign and not _is_ca(view)
        emit("key-usage-cert-sign", part, "keyCertSign or cRLSign", case="keyCertSign" if alone else "")
    signs, enciphers = usage.digital_signature, usage.key_encipherment
    server = signs or enciphers or usage.key_agreement or usage.content_commitment or usage.data_encipherment
    if not server and not usage.key_cert_sign and not usage.crl_sign:
        emit("key-usage-empty", part, "no bit set")
    if (enciphers or usage.data_encipherment) and is_ec(view.public_key):
        emit("key-usage-ec-encipherment", part, "keyEncipherment or dataEncipherment with an EC key")
    if signs:
        return
    if enciphers and is_rsa(view.public_key) and emit.profile.purpose == "server" and not for_pss_only(view.spki):
        emit("key-usage-no-signature", part, "keyEncipherment without digitalSignature")
    elif not (usage.key_cert_sign and _is_ca(view)):
        # An authority in the place of the leaf has a finding of its own.
        case = "key exchange" if enciphers or usage.key_agreement else "" if server or usage.key_cert_sign else "empty"
        emit("key-usage-unsuitable", part, "no digitalSignature", case=case)


def _is_ca(view: View) -> bool:
    constraints = view.value(x509.BasicConstraints)
    return constraints is not None and constraints.ca
