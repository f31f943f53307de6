"""Host names, IP addresses and subtrees of them as people write them, in the form that certificates carry."""

from __future__ import annotations

import ipaddress

from cryptography import x509

from mlsssl._formats import foreign, hosts
from mlsssl._messages.foreign_text import shown
from mlsssl.errors import InvalidInputError

_LDH = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")


def parse_name(text: str) -> x509.DNSName | x509.IPAddress:
    """The subjectAltName entry for a name as people write it.

    Args:
        text: A DNS name of at most 253 characters (RFC 1035 section 2.3.4), whose first label may be a whole
            `*`; an internationalised name, which becomes A-labels (UTS 46, IDNA 2008); or an IPv4 or IPv6
            address, with or without brackets. Case and a trailing dot are dropped. Underscores are accepted,
            for Windows host names have them.

    Raises:
        InvalidInputError: it is none of these; the message says why.
    """
    if not isinstance(text, str):
        raise InvalidInputError(f"a name is text, not {type(text).__name__}: {shown(text)}")
    address = _parse_address(text)
    return x509.IPAddress(address) if address else x509.DNSName(dns_name(text))


def _parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if ":" not in bare and not bare[-1:].isdigit():
        return None  # no address ends in a letter unless it has colons; spares an exception for each host name
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id:
        raise InvalidInputError(f"{shown(text)}: a certificate cannot carry an IPv6 scope id")
    return address


def dns_name(text: str) -> str:
    """A DNS name in the form in which a certificate carries it; the rules are `parse_name`'s."""
    name = text.removesuffix(".")
    wildcard = name.startswith("*.")
    host = name[2:] if wildcard else name
    if not host.isascii():
        host = _to_a_labels(host, text)
    host = host.lower()
    labels = host.split(".")
    if len(host) + 2 * wildcard > 253:
        raise InvalidInputError(f"a DNS name has at most 253 characters; this one has {len(host) + 2 * wildcard}")
    for label in labels:
        if not 1 <= len(label) <= 63:
            raise InvalidInputError(f"{shown(text)}: each label of a DNS name has 1 to 63 characters")
        if not _LDH.issuperset(label) or label[0] == "-" or label[-1] == "-":
            raise InvalidInputError(_explain_label(text, label))
    if labels[-1].isdigit():
        raise InvalidInputError(f"{shown(text)} is not an IP address, and a DNS name's last label is not a number")
    if wildcard and len(labels) < 2:
        raise InvalidInputError(
            f"{shown(text)}: clients ignore a wildcard directly under a top-level label; name the host"
        )
    return f"*.{host}" if wildcard else host


def _explain_label(text: str, label: str) -> str:
    if "*" in label:
        return f"{shown(text)}: a wildcard is the whole first label, as in *.example.com (RFC 9525 section 6.3)"
    if ":" in text or "/" in text:
        return f"{shown(text)} is not a DNS name; give the host alone, without scheme, port or path"
    return f"{shown(text)}: the label {shown(label)} may have letters, digits and inner hyphens only"


def _to_a_labels(host: str, text: str) -> str:
    import idna

    try:
        return idna.encode(host, uts46=True, transitional=False).decode("ascii")
    except (idna.IDNAError, UnicodeError) as error:
        raise InvalidInputError(f"{shown(text)} is not an internationalised name that can be used: {error}") from None


def name_text(name: x509.GeneralName) -> str:
    """A subjectAltName entry as text: `www.example.com`, `10.0.0.5`; other kinds with their kind in front."""
    if isinstance(name, x509.DNSName):
        return name.value
    if isinstance(name, x509.IPAddress):
        return str(name.value)
    if isinstance(name, x509.DirectoryName):
        return f"dirName:{foreign.name_text(name.value)}"
    kind = {x509.RFC822Name: "email", x509.UniformResourceIdentifier: "URI"}.get(type(name), type(name).__name__)
    return f"{kind}:{name.value}"


def host_matches(pattern: str, wanted: x509.DNSName | x509.IPAddress) -> bool:
    """Whether a name of a certificate, as text, is the wanted host: RFC 9525 section 6.3 and 6.4.

    A wildcard stands for exactly one whole label; addresses match as numbers, never as text or by wildcard.
    """
    if isinstance(wanted, x509.IPAddress):
        address = _parse_address(pattern)
        return address is not None and address == wanted.value
    # The same rule as check's; and a wildcard is looked for by its own name.
    return pattern.lower() == wanted.value or hosts.matches_any(wanted.value, (pattern,), ())


def parse_subtree(text: str) -> x509.DNSName | x509.IPAddress:
    """A name-constraint subtree: a DNS domain (`corp.test`: itself and all below) or a network (`10.0.0.0/8`).

    Raises:
        InvalidInputError: it is neither, or a network with host bits set, or a domain with a leading dot, which RFC
            5280 does not have and which means the names below alone to those who read it.
    """
    if not isinstance(text, str) or not text:
        raise InvalidInputError(f"a name constraint is a domain or a network as text, not {shown(text)}")
    if "/" in text or _parse_address(text):
        try:
            return x509.IPAddress(ipaddress.ip_network(text))
        except ValueError as error:
            raise InvalidInputError(f"{shown(text)} is not a network: {error}") from None
    if "*" in text:
        raise InvalidInputError(
            f"{shown(text)}: a constraint has no wildcard; {shown(text.lstrip('*.'))} covers all below it"
        )
    if text[0] == ".":
        raise InvalidInputError(
            f"{shown(text)}: a constraint has no leading dot; {shown(text.lstrip('.'))} covers all below it, too"
        )
    return x509.DNSName(dns_name(text))
