"""Names of servers: what a client asks for, what a certificate presents, and when the two match (RFC 9525)."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from mlsssl._messages.foreign_text import shown
from mlsssl.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "Address",
    "common_name_host",
    "dns_problem",
    "idna_problem",
    "lenient_address",
    "matches_any",
    "parse_host",
    "to_a_labels",
]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NO_HOST = re.compile(r"[\s\x00-\x1f\x7f/@\[\]]")
_LDH_UNDERSCORE = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.ASCII)


def parse_host(host: str) -> str | Address:
    """What a client means by `host`: an address, or a DNS name in lower case, as A-labels, without trailing dot.

    Args:
        host: A DNS name (internationalised or not), or an IPv4 or IPv6 address, the latter with or without brackets.

    Raises:
        InvalidInputError: it is empty, has blanks or a port, or cannot be encoded by IDNA 2008.
    """
    if not isinstance(host, str) or not host or len(host) > 1000:
        raise InvalidInputError(f"a host is a DNS name or an IP address, not {host!r:.80}")
    bare = host[1:-1] if host[0] == "[" and host[-1] == "]" else host
    name = bare if ":" in bare else to_a_labels(bare)  # which makes digits of other scripts ASCII
    if ":" in name or name[-1:].isdigit():
        try:
            return ipaddress.ip_address(name)
        except ValueError:
            if ":" in name:
                raise InvalidInputError(f"{shown(host)} is not an IPv6 address, and a host has no port here") from None
    if not name or _NO_HOST.search(name):
        raise InvalidInputError(f"{shown(host)} is not a DNS name")
    return name


def common_name_host(text: str) -> str | Address | None:
    """The host that a client which takes common names for hosts sees in one; None where there is none.

    Matching and name constraints both ask here, for what they read differently would be a way past the constraints:
    a trailing dot, letters of other widths, U-labels, an address in octal.
    """
    try:
        host = parse_host(text)
    except InvalidInputError:
        return None
    return (lenient_address(host) or host) if isinstance(host, str) else host


def to_a_labels(name: str) -> str:
    """`name` in lower case, internationalised labels as A-labels, one trailing dot removed.

    Raises:
        InvalidInputError: IDNA 2008 cannot encode it.
    """
    if name.isascii():
        return name.lower().removesuffix(".")
    import idna  # takes 10 ms to load, and few names need it

    try:
        return idna.encode(name, uts46=True).decode("ascii").lower().removesuffix(".")
    except (idna.IDNAError, UnicodeError) as error:
        raise InvalidInputError(f"{shown(name)} is not an internationalised host name: {error}") from None


def dns_problem(name: str) -> str | None:
    """The code of the rule that a dNSName of a subjectAltName breaks by its form, or None."""
    lower = name.lower()
    rest = lower
    if "*" in lower:
        if not lower.startswith("*.") or "*" in lower[1:]:
            return "wildcard-malformed"
        rest = lower[2:]
    labels = rest.split(".")
    if not all(_LDH_UNDERSCORE.fullmatch(label) for label in labels) or len(lower) > 253:
        return "dns-name-malformed"
    if labels[-1].isdigit():
        return "ip-as-dns-name" if _is_address(lower) else "dns-name-malformed"
    if rest != lower and len(labels) < 2:
        return "wildcard-top-level"
    if "_" in rest:
        return "dns-name-underscore"
    return None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def idna_problem(name: str) -> str | None:
    """Why a name with A-labels is not one that IDNA 2008 can decode, or None."""
    if "xn--" not in name.lower():
        return None
    import idna

    for label in name.lower().split("."):
        if label.startswith("xn--"):
            try:
                idna.decode(label)
            except (idna.IDNAError, UnicodeError) as error:
                return str(error) or "not an A-label"
    return None


def matches_any(host: str | Address, dns_names: Iterable[str], addresses: Iterable[object]) -> bool:
    """Whether one of the presented names is the one a client asks for.

    An address matches an address only; a wildcard is the whole leftmost label and stands for exactly one label; a
    presented name that is not well-formed matches nothing.
    """
    if not isinstance(host, str):
        return any(address == host for address in addresses)
    parent = host.partition(".")[2]
    for name in dns_names:
        presented = name.lower()
        if presented == host:
            if "*" not in presented:
                return True
        elif parent and presented[:2] == "*." and presented[2:] == parent:
            return True
    return False


def lenient_address(text: str) -> Address | None:
    """The address that some client might read in `text`: leading zeros, octal, hexadecimal, fewer parts, brackets."""
    bare = text.strip().strip("[]")
    try:
        return ipaddress.ip_address(bare)
    except ValueError:
        pass
    parts = bare.split(".")
    if not 1 <= len(parts) <= 4 or not bare.isascii() or len(bare) > 64:
        return None
    numbers = []
    for part in parts:
        number = _lenient_number(part)
        if number is None:
            return None
        numbers.append(number)
    *heads, last = numbers
    if any(head > 255 for head in heads) or last >= 256 ** (4 - len(heads)):
        return None
    value = last
    for index, head in enumerate(heads):
        value += head << (8 * (3 - index))
    return ipaddress.IPv4Address(value)


def _lenient_number(part: str) -> int | None:
    if part[:2] in ("0x", "0X"):
        digits = part[2:]
        return int(digits, 16) if digits and all(c in "0123456789abcdefABCDEF" for c in digits) else None
    if not part.isdigit():
        return None
    return int(part)
