"""Host names, wildcards and IP addresses: read as clients, people and certificates write them, and matched (RFC 9525).

One parser of addresses, one IDNA encoder, one rule for the form of a DNS name (`dns_problem`) and one match
(`matches_any`). Who is asked for a name differs, and so does how much is forgiven: `parse_host` takes what a client may
be asked to connect to, `parse_name` only what a certificate should carry, `lenient_address` whatever some client might
take for an address, because what is read differently there would be a way past name constraints.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from cryptography import x509

from mlsssl._formats import foreign
from mlsssl._formats.der import read_tlv
from mlsssl._messages.foreign_text import shown
from mlsssl.errors import InvalidInputError, MalformedDataError

if TYPE_CHECKING:
    from collections.abc import Iterable


USER_PRINCIPAL_NAME = x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.3")  # szOID_NT_PRINCIPAL_NAME of wincrypt.h
UTF8_STRING = 0x0C

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_PLAIN = b"abcdefghijklmnopqrstuvwxyz0123456789.-"  # what is done to others changes none of these
_NO_HOST = r"[\s\x00-\x1f\x7f/@\[\]]"
_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_LABELS = rf"{_LABEL}(?:\.{_LABEL})*"
_LONGEST = 253  # RFC 1035 section 2.3.4, as text


def parse_host(host: str) -> str | Address:
    """What a client means by `host`: an address, or a DNS name in lower case, as A-labels, without trailing dot.

    IPv6 has brackets or none. `InvalidInputError`: it is empty, has blanks or a port, or IDNA 2008 cannot encode it.
    """
    if not isinstance(host, str) or not host or len(host) > 1000:
        raise InvalidInputError(f"a host is a DNS name or an IP address, not {host!r:.80}")
    if host.isascii() and host[-1].isalpha() and not host.encode().translate(None, _PLAIN):
        return host
    bare = _bare(host)
    name = bare if ":" in bare else to_a_labels(bare)  # which makes digits of other scripts ASCII
    address = _address(name)
    if address is not None:
        return address
    if "://" in name:
        raise InvalidInputError(f"{shown(host)} is a URL; write its host alone, as 'www.example.com'")
    if ":" in name:
        raise InvalidInputError(
            f"{shown(host)} is no host; give its name or address alone, without scheme, port or path"
        )
    if not name or re.search(_NO_HOST, name):
        raise InvalidInputError(f"{shown(host)} is not a DNS name")
    return name


def parse_name(text: str) -> x509.DNSName | x509.IPAddress:
    """The subjectAltName entry for a name as people write it; `InvalidInputError` says why there is none.

    A DNS name has at most 253 characters (RFC 1035 section 2.3.4), its first label may be a whole `*`, and an
    internationalised one becomes A-labels (UTS 46, IDNA 2008); an IPv6 address has brackets or none. Case and a
    trailing dot are dropped. Underscores are accepted, for Windows host names have them.
    """
    if not isinstance(text, str):
        raise InvalidInputError(f"a name is text, not {type(text).__name__}: {shown(text)}")
    address = _address(text)
    if address is None:
        return x509.DNSName(dns_name(text))
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id:
        raise InvalidInputError(f"{shown(text)}: a certificate cannot carry an IPv6 scope id")
    return x509.IPAddress(address)


def dns_name(text: str) -> str:
    """A DNS name in the form in which a certificate carries it; the rules are `parse_name`'s."""
    wildcard = "*." if text.startswith("*.") else ""
    name = wildcard + to_a_labels(text.removeprefix(wildcard))
    problem = dns_problem(name)
    if problem not in (None, "dns-name-underscore"):
        raise InvalidInputError(_explain(text, name, problem))
    return name


def _explain(text: str, name: str, problem: str) -> str:
    if problem == "wildcard-top-level":
        return f"{shown(text)}: clients ignore a wildcard directly under a top-level label; name the host"
    if len(name) > _LONGEST:
        return f"a DNS name has at most {_LONGEST} characters; this one has {len(name)}"
    labels = name.removeprefix("*.").split(".")
    label = next((label for label in labels if not re.fullmatch(_LABEL, label)), None)
    if label is None:
        return f"{shown(text)} is not an IP address, and a DNS name's last label is not a number"
    if not 1 <= len(label) <= 63:
        return f"{shown(text)}: each label of a DNS name has 1 to 63 characters"
    if "*" in label:
        return f"{shown(text)}: a wildcard is the whole first label, as in *.example.com (RFC 9525 section 6.3)"
    if ":" in text or "/" in text:
        return f"{shown(text)} is not a DNS name; give the host alone, without scheme, port or path"
    if "," in text:
        return f"{shown(text)} is not a DNS name; several names are given one by one, without commas"
    return f"{shown(text)}: the label {shown(label)} may have letters, digits and inner hyphens only"


def _address(text: str) -> Address | None:
    """The address as everybody writes it, with or without brackets."""
    bare = _bare(text)
    if ":" not in bare and not bare[-1:].isdigit():
        return None  # no address ends in a letter unless it has colons; spares an exception for each host name
    try:
        return ipaddress.ip_address(bare)
    except ValueError:
        return None


def _bare(text: str) -> str:
    return text[1:-1] if text[:1] == "[" and text[-1:] == "]" else text


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
    if len(lower) > _LONGEST or not name.isascii() or not re.fullmatch(_LABELS, rest):
        return "dns-name-malformed"
    if rest.rpartition(".")[2].isdigit():
        return "ip-as-dns-name" if _address(lower) is not None else "dns-name-malformed"
    if rest != lower and "." not in rest:
        return "wildcard-top-level"
    if "_" in rest:
        return "dns-name-underscore"
    return None


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
    presented name that is not well-formed matches nothing. Nor does one that is not ASCII: of the Kelvin sign the small
    letter is k.
    """
    if not isinstance(host, str):
        return any(address == host for address in addresses)
    label, _, parent = host.partition(".")
    for name in dns_names:
        if not name.isascii():
            continue
        presented = name.lower()
        if presented == host:
            if "*" not in presented:
                return True
        elif label and parent and presented[:2] == "*." and presented[2:] == parent:
            return True
    return False


def any_matches(presented: Iterable[str], wanted: x509.DNSName | x509.IPAddress) -> bool:
    """`matches_any` for a certificate's names as text, where a wildcard is also found by its own name."""
    if isinstance(wanted, x509.IPAddress):
        return matches_any(wanted.value, (), map(_address, presented))  # type: ignore[arg-type]  # never a network
    names = [name.lower() for name in presented if name.isascii()]
    return wanted.value in names or matches_any(wanted.value, names, ())


def filed_under(presented: str) -> str | None:
    """What a certificate is indexed by for one of its names as text; None for a name that no host can match.

    `any_matches` is the rule; this and `looked_for_under` only spare looking at what it says no to: where it says yes,
    one of the presented names is filed under what the wanted one is looked for under. Not the other way round.
    """
    address = _address(presented)
    if address is not None:
        return address.packed.hex()  # its text is another one in each version of Python
    return presented.lower() if presented.isascii() and 0 < len(presented) <= _LONGEST else None


def looked_for_under(wanted: x509.DNSName | x509.IPAddress) -> tuple[str, ...]:
    """Where the index has the certificates for a host; see `filed_under`."""
    if isinstance(wanted, x509.IPAddress):
        return (wanted.value.packed.hex(),)  # type: ignore[union-attr]  # never a network
    return (wanted.value, f"*.{wanted.value.partition('.')[2]}")


def lenient_address(text: str) -> Address | None:
    """The address that some client might read in `text`: leading zeros, octal, hexadecimal, fewer parts, brackets."""
    bare = text.strip().strip("[]")
    address = _address(bare)
    if address is not None:
        return address
    parts = bare.split(".")
    if not 1 <= len(parts) <= 4 or not bare.isascii() or len(bare) > 64:
        return None
    numbers = [number for number in map(_lenient_number, parts) if number is not None]
    if len(numbers) != len(parts):
        return None
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
    return int(part) if part.isdigit() else None


def hosts_among(names: Iterable[x509.GeneralName]) -> tuple[str, ...]:
    """The host names and IP addresses among the entries of a subjectAltName, as text."""
    return tuple(name_text(name) for name in names if isinstance(name, (x509.DNSName, x509.IPAddress)))


def name_text(name: x509.GeneralName) -> str:
    """A subjectAltName entry as text: `www.example.com`, `10.0.0.5`; other kinds with their kind in front."""
    if isinstance(name, x509.DNSName):
        return name.value
    if isinstance(name, x509.IPAddress):
        return str(name.value)
    if isinstance(name, x509.DirectoryName):
        return f"dirName:{foreign.name_text(name.value)}"
    if isinstance(name, x509.OtherName) and name.type_id == USER_PRINCIPAL_NAME:
        return f"UPN:{foreign.read_or(repr(name.value), utf8_string, name.value)}"
    kind = {x509.RFC822Name: "email", x509.UniformResourceIdentifier: "URI"}.get(type(name), type(name).__name__)
    return f"{kind}:{name.value}"


def utf8_string(data: bytes) -> str:
    """The text of a UTF8String. `MalformedDataError` for another type, ValueError for octets that are no UTF-8."""
    tag, start, end = read_tlv(data, 0)
    if tag != UTF8_STRING or end != len(data):
        raise MalformedDataError("no UTF8String")
    return data[start:end].decode()


def parse_subtree(text: str) -> x509.DNSName | x509.IPAddress:
    """A name-constraint subtree: a DNS domain (`corp.test`: itself and all below) or a network (`10.0.0.0/8`).

    Refused are a network with host bits set, and a domain with a leading dot, which RFC 5280 does not have and which
    means the names below alone to those who read it.
    """
    if not isinstance(text, str) or not text:
        raise InvalidInputError(f"a name constraint is a domain or a network as text, not {shown(text)}")
    if "/" in text or _address(text) is not None:
        if "%" in text:
            raise InvalidInputError(f"{shown(text)}: a certificate cannot carry an IPv6 scope id")
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
