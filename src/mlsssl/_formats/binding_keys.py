"""Binding keys, of the four families of HTTP.sys' TLS records, and the options of a binding."""

from __future__ import annotations

import ipaddress
import unicodedata
from dataclasses import dataclass, field, fields
from datetime import timedelta
from enum import Enum
from functools import lru_cache
from itertools import compress
from operator import attrgetter
from typing import TYPE_CHECKING, ClassVar

from mlsssl._messages.arguments import check_whole
from mlsssl._messages.foreign_text import shown
from mlsssl.errors import InvalidInputError
from mlsssl.values import is_thumbprint, set_attributes

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "BindingFamily",
    "BindingKey",
    "BindingOptions",
    "CcsPort",
    "HostnamePort",
    "IpPort",
    "ScopedCcs",
]


class BindingFamily(str, Enum):
    """The four kinds of HTTP.sys TLS record, with netsh's words for them as values."""

    IP_PORT = "ipport"
    HOSTNAME_PORT = "hostnameport"
    CCS = "ccs"
    SCOPED_CCS = "scopedccs"

    @property
    def has_certificate(self) -> bool:
        """Whether a record of this family names a certificate; the CCS families look it up by host name."""
        return self in (BindingFamily.IP_PORT, BindingFamily.HOSTNAME_PORT)


def _check_port(port: int) -> int:
    return check_whole(port, 1, 65535, "a port is a number from 1 to 65535")


def _parse_port(text: str, whole: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        if is_thumbprint(whole):
            raise InvalidInputError(f"{shown(whole)} is a thumbprint; a binding is named by its key: '0.0.0.0:443'")
        if text.isascii() and text.isdigit():
            raise InvalidInputError(f"a port is a number from 1 to 65535, of at most 5 digits, not {shown(text)}")
        raise InvalidInputError(f"{shown(whole)} has no port: write it as host:port, for example '0.0.0.0:443'")
    return _check_port(int(text))


_HOST_LIMIT = 255


def _check_host(host: str) -> str:
    """A host name as HTTP.sys compares it: A-labels, lower case, no trailing dot; `*` and `*.x` as given."""
    if not isinstance(host, str) or not host:
        raise InvalidInputError("a host name is needed, for example 'www.example.com'")
    name = host
    if not name.isascii():
        from mlsssl._formats.hosts import to_a_labels  # which loads cryptography, and few names need it

        wildcard = "*." if name.startswith("*.") else ""
        name = wildcard + to_a_labels(name.removeprefix(wildcard))
    name = name.lower().removesuffix(".")
    if not name or len(name) > _HOST_LIMIT:
        raise InvalidInputError(f"a host name has 1 to {_HOST_LIMIT} characters, not {shown(host)}")
    labels = name.removeprefix("*.").split(".") if name != "*" else []
    for label in labels:
        if not 1 <= len(label) <= 63 or not label.replace("-", "a").replace("_", "a").isalnum():
            raise InvalidInputError(
                f"{shown(host)} is not a host name: each label has 1 to 63 letters, digits, hyphens or underscores"
            )
    if labels and labels[-1].isdigit():
        raise InvalidInputError(f"{shown(host)} looks like an IP address; a host name's last label is not a number")
    return name


@dataclass(frozen=True, slots=True, order=True)
class IpPort:
    """An address and port: netsh's `ipport=`. `0.0.0.0` answers every IPv4 and IPv6 client, `[::]` IPv6 ones.

    Args:
        address: IPv4 or IPv6, without brackets; kept in its shortest form. No scope id.
        port: 1 to 65535.

    Raises:
        InvalidInputError: one of them is not what it must be.
    """

    address: str
    port: int
    family: ClassVar[BindingFamily] = BindingFamily.IP_PORT

    def __post_init__(self) -> None:
        try:
            if "%" in str(self.address):
                raise ValueError("a scope id cannot be part of a binding")
            parsed = ipaddress.ip_address(self.address)
        except ValueError as error:
            why = f": {error}" if "%" in str(self.address) else ""
            raise InvalidInputError(f"{shown(self.address)} is not an IPv4 or IPv6 address{why}") from None
        set_attributes(self, address=str(parsed))
        _check_port(self.port)

    @property
    def ip(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
        """The address as a number."""
        return ipaddress.ip_address(self.address)

    @property
    def is_wildcard(self) -> bool:
        """Whether it is `0.0.0.0` or `[::]`."""
        return self.address in _WILDCARDS

    def __str__(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 -- to compare with, in the form in which each address is kept


@dataclass(frozen=True, slots=True, order=True)
class _HostKey:
    """What the keys with a host name have in common: the fields, and the reading of what other programs wrote."""

    host: str
    port: int
    stored_host: str | None = field(default=None, init=False, compare=False, repr=False)
    family: ClassVar[BindingFamily]

    def __post_init__(self) -> None:
        set_attributes(self, host=_check_host(self.host))
        _check_port(self.port)

    @classmethod
    def as_stored(cls, host: str, port: int) -> Self:
        """The key of a record that a machine has, in the spelling in which it has it.

        Other programs write host names as they were typed: `Bücher.example`, `WWW.example.com`, `example.com.`, or
        something that is no host name at all. Such a key equals the key of the same name in any other spelling, and
        `stored_host` keeps the one that the machine must be told; what is no host name is `host` as it is.

        Args:
            host: As it was read; one or more characters, no half surrogate pairs.
            port: 1 to 65535.

        Raises:
            InvalidInputError: one of them is not that.
        """
        if not isinstance(host, str) or not host or (not host.isascii() and _has_surrogates(host)):
            raise InvalidInputError(f"a stored host name is one or more whole characters, not {shown(host)}")
        try:
            name = _check_host(host)
        except InvalidInputError:
            name = host
        return set_attributes(cls.__new__(cls), host=name, port=_check_port(port), stored_host=host)


def _has_surrogates(text: str) -> bool:
    return any(unicodedata.category(c) == "Cs" for c in text)


class HostnamePort(_HostKey):
    """A host name and port, chosen by SNI: netsh's `hostnameport=`.

    Args:
        host: A DNS name of at most 255 characters; internationalised names become A-labels, case and a trailing
            dot are dropped. `*.example.com` is accepted; not every Windows release matches it.
        port: 1 to 65535.

    Attributes:
        stored_host: For a key that was read from a machine, the host in the very spelling that it has there
            (`as_stored`); None for any other. It does not count when keys are compared.

    Raises:
        InvalidInputError: one of them is not what it must be.
    """

    __slots__ = ()
    family: ClassVar[BindingFamily] = BindingFamily.HOSTNAME_PORT

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, order=True)
class CcsPort:
    """A port served from the Central Certificate Store: netsh's `ccs=`. It names no certificate.

    Args:
        port: 1 to 65535.

    Raises:
        InvalidInputError: it is not that.
    """

    port: int
    family: ClassVar[BindingFamily] = BindingFamily.CCS

    def __post_init__(self) -> None:
        _check_port(self.port)

    def __str__(self) -> str:
        return f"ccs={self.port}"


class ScopedCcs(_HostKey):
    """A host name and port served from the Central Certificate Store: netsh's `scopedccs=`.

    Args:
        host: As in `HostnamePort`.
        port: 1 to 65535.

    Attributes:
        stored_host: As in `HostnamePort`.

    Raises:
        InvalidInputError: one of them is not what it must be.
    """

    __slots__ = ()
    family: ClassVar[BindingFamily] = BindingFamily.SCOPED_CCS

    def __str__(self) -> str:
        return f"scopedccs={self.host}:{self.port}"


def is_host_name(host: str) -> bool:
    """Whether a key's host is a name: what other programs bound (`as_stored`) need not be one."""
    try:
        return _check_host(host) == host
    except InvalidInputError:
        return False


def written_host(key: HostnamePort | ScopedCcs) -> str:
    """The host of a key as a machine must be told it: as it was read there, else normalised."""
    return key.host if key.stored_host is None else key.stored_host


BindingKey = IpPort | HostnamePort | CcsPort | ScopedCcs
"""The key of a binding; one type per family, because two families print alike in netsh."""


def parse_binding_key(key: BindingKey | str) -> BindingKey:
    """A binding key from a key or from text.

    Args:
        key: A key, which is returned as it is, or text: `0.0.0.0:443`, `[::]:443` (an `IpPort`),
            `www.example.com:443` (a `HostnamePort`). In front may stand netsh's word for the family and an
            equals sign, and must for the two CCS families, whose keys look like the other two: `ccs=443`
            (a `CcsPort`), `scopedccs=www.example.com:443` (a `ScopedCcs`).

    Raises:
        InvalidInputError: the text is none of these.
    """
    if isinstance(key, (IpPort, HostnamePort, CcsPort, ScopedCcs)):
        return key
    if not isinstance(key, str):
        raise InvalidInputError(f"a binding key is text or a key object, not {type(key).__name__}")
    return _parse_key(key)


def recorded_key(text: str) -> BindingKey:
    """The key of a record that was written down, its family in front: its host need not be a name (`as_stored`).

    `InvalidInputError` as `parse_binding_key`.
    """
    try:
        return parse_binding_key(text)
    except InvalidInputError:
        family, _, rest = text.partition("=")
        host, _, port = rest.rpartition(":")
        kind = {one.family.value: one for one in (HostnamePort, ScopedCcs)}.get(family)
        if kind is None or not host or not (port.isascii() and port.isdigit() and len(port) <= 5):
            raise
        return kind.as_stored(host, int(port))


@lru_cache(maxsize=256)  # a change reads the same few keys, given and from its records, again and again
def _parse_key(key: str) -> BindingKey:
    if "://" in key:
        raise InvalidInputError(f"{shown(key)} is a URL; write its host and port, as 'www.example.com:443'")
    family, equals, text = key.strip().rpartition("=")
    family = family.strip().lower()
    if equals and family not in {f.value for f in BindingFamily}:
        raise InvalidInputError(f"{shown(key)}: the family is ipport, hostnameport, ccs or scopedccs")
    if family == "ccs":
        if ":" in text:
            raise InvalidInputError(f"{shown(key)}: ccs is for a port alone, as in 'ccs=443'; scopedccs has a host")
        return CcsPort(_parse_port(text.strip(), key))
    host, _, digits = text.strip().rpartition(":")
    port = _parse_port(digits, key)
    if not host:
        raise InvalidInputError(f"{shown(key)} is a port alone; write 0.0.0.0:{port} for every address")
    if family == "scopedccs":
        return ScopedCcs(host, port)
    if host.startswith("[") and host.endswith("]") and family != "hostnameport":
        return IpPort(host[1:-1], port)
    if ":" in host:
        raise InvalidInputError(f"{shown(key)}: an IPv6 address goes into brackets, for example '[::1]:443'")
    if host == "*" and family != "hostnameport":
        raise InvalidInputError(f"{shown(key)}: write 0.0.0.0:{port} for every address")
    if family == "ipport" or (not family and host.replace(".", "").isdigit()):
        return IpPort(host, port)
    return HostnamePort(host, port)


# HTTP_SERVICE_CONFIG_SSL_FLAG_* in http.h of the Windows SDK: field, bit, inverted (the bit says "do not").
_FLAG_BITS: tuple[tuple[str, int, bool], ...] = (
    ("map_client_certificates", 0x0001, False),
    ("negotiate_client_certificate", 0x0002, False),
    ("raw_filter", 0x0004, True),
    ("reject_connections", 0x0008, False),
    ("http2", 0x0010, True),
    ("quic", 0x0020, True),
    ("tls13", 0x0040, True),
    ("ocsp_stapling", 0x0080, True),
    ("token_binding", 0x0100, False),
    ("log_extended_events", 0x0200, False),
    ("legacy_tls", 0x0400, True),
    ("session_tickets", 0x0800, False),
    ("tls12", 0x1000, True),
    ("client_correlation", 0x2000, False),
    ("session_id", 0x4000, True),
    ("cache_client_hello", 0x8000, False),
)
# HTTP_CERT_CHECK_MODE_* likewise; they concern client certificates only.
_CHECK_MODE_BITS: tuple[tuple[str, int, bool], ...] = (
    ("verify_client_revocation", 0x1, True),
    ("cached_client_revocation_only", 0x2, False),
    ("use_revocation_freshness_time", 0x4, False),
    ("cached_urls_only", 0x8, False),
    ("retrieve_client_issuers", 0x10, True),
    ("check_client_usage", 0x10000, True),
)
_KNOWN_FLAGS = sum(bit for _, bit, _ in _FLAG_BITS)
_KNOWN_CHECK_MODES = sum(bit for _, bit, _ in _CHECK_MODE_BITS)
# As columns: each record that is written down is counted up from them several times.
_FLAG_NUMBERS = [bit for _, bit, _ in _FLAG_BITS]
_CHECK_MODE_NUMBERS = [bit for _, bit, _ in _CHECK_MODE_BITS]
_INVERTED_FLAGS = sum(bit for _, bit, inverted in _FLAG_BITS if inverted)
_INVERTED_CHECK_MODES = sum(bit for _, bit, inverted in _CHECK_MODE_BITS if inverted)
_flags_of = attrgetter(*(name for name, _, _ in _FLAG_BITS))
_check_modes_of = attrgetter(*(name for name, _, _ in _CHECK_MODE_BITS))
_DWORD = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingOptions:
    """Everything in a binding's record besides its key, certificate and owner; the defaults are netsh's.

    Names are positive: `tls13=False` sets HTTP_SERVICE_CONFIG_SSL_FLAG_DISABLE_TLS13. Options about the
    *client's* certificate have "client" in their name; none of them concerns the server's own certificate.

    Args:
        verify_client_revocation: Check client certificates for revocation (bit NO_REVOCATION, inverted).
        cached_client_revocation_only: … from cached lists only (CACHED_REVOCATION).
        use_revocation_freshness_time: Honour `revocation_freshness_time`; None means: when it is not zero, as
            netsh does.
        cached_urls_only: Build client chains from cached URLs only (CACHED_URLS).
        retrieve_client_issuers: Fetch missing issuers of client certificates (NO_AIA, inverted).
        check_client_usage: Check the usage of client certificates (NO_USAGE_CHECK, inverted).
        revocation_freshness_time: How old a revocation list may be; whole seconds, 0 to 2³²-1.
        url_retrieval_timeout: How long fetching a revocation list may take; whole milliseconds, 0 to 2³²-1.
        ctl_identifier: Name of the certificate trust list of acceptable client issuers; None for none.
        ctl_store_name: LocalMachine store that holds that list; None for none.
        map_client_certificates: Map client certificates to accounts (USE_DS_MAPPER).
        negotiate_client_certificate: Ask for a client certificate in the handshake.
        raw_filter: False sets NO_RAW_FILTER (Windows before Vista only).
        reject_connections: Refuse every TLS connection to this key.
        http2, quic, tls12, tls13, ocsp_stapling, session_id: False sets the DISABLE_… bit.
        legacy_tls: False sets DISABLE_LEGACY_TLS: no TLS 1.0 and 1.1.
        token_binding, log_extended_events, session_tickets, client_correlation, cache_client_hello: True sets
            the ENABLE_… (or LOG_…) bit.
        unknown_flags, unknown_check_modes: Bits that this version has no name for, as found in a record; they
            are written back untouched. 0 to 2³²-1, and none of the named bits.

    Raises:
        InvalidInputError: a number out of its range or a fraction of its unit.
    """

    verify_client_revocation: bool = True
    cached_client_revocation_only: bool = False
    use_revocation_freshness_time: bool | None = None
    cached_urls_only: bool = False
    retrieve_client_issuers: bool = True
    check_client_usage: bool = True
    revocation_freshness_time: timedelta = timedelta(0)
    url_retrieval_timeout: timedelta = timedelta(0)
    ctl_identifier: str | None = None
    ctl_store_name: str | None = None
    map_client_certificates: bool = False
    negotiate_client_certificate: bool = False
    raw_filter: bool = True
    reject_connections: bool = False
    http2: bool = True
    quic: bool = True
    tls13: bool = True
    ocsp_stapling: bool = True
    token_binding: bool = False
    log_extended_events: bool = False
    legacy_tls: bool = True
    session_tickets: bool = False
    tls12: bool = True
    client_correlation: bool = False
    session_id: bool = True
    cache_client_hello: bool = False
    unknown_flags: int = 0
    unknown_check_modes: int = 0

    def __post_init__(self) -> None:
        if self.use_revocation_freshness_time is None:
            set_attributes(self, use_revocation_freshness_time=bool(self.revocation_freshness_time))
        _check_duration("revocation_freshness_time", self.revocation_freshness_time, timedelta(seconds=1))
        _check_duration("url_retrieval_timeout", self.url_retrieval_timeout, timedelta(milliseconds=1))
        for name, known in (("unknown_flags", _KNOWN_FLAGS), ("unknown_check_modes", _KNOWN_CHECK_MODES)):
            bits = getattr(self, name)
            if not isinstance(bits, int) or not 0 <= bits <= _DWORD or bits & known:
                raise InvalidInputError(f"{name} holds bits without a name only, not {shown(bits)}")
        for name in ("ctl_identifier", "ctl_store_name"):
            text = getattr(self, name)
            if text is not None and (not isinstance(text, str) or not text or "\0" in text):
                raise InvalidInputError(f"{name} is None or text without NUL, not {shown(text)}")

    @classmethod
    def from_numbers(
        cls,
        *,
        flags: int,
        check_mode: int,
        freshness_seconds: int,
        timeout_milliseconds: int,
        ctl_identifier: str | None,
        ctl_store_name: str | None,
    ) -> BindingOptions:
        """The options behind the numbers of an HTTP_SERVICE_CONFIG_SSL_PARAM, 0 to 2³²-1 each; no bit is lost.

        Args:
            flags: `DefaultFlags`.
            check_mode: `DefaultCertCheckMode`.
            freshness_seconds: `DefaultRevocationFreshnessTime`.
            timeout_milliseconds: `DefaultRevocationUrlRetrievalTimeout`.
            ctl_identifier: `pDefaultSslCtlIdentifier`, or None.
            ctl_store_name: `pDefaultSslCtlStoreName`, or None.
        """
        for number in (flags, check_mode, freshness_seconds, timeout_milliseconds):
            if not isinstance(number, int) or not 0 <= number <= _DWORD:
                raise InvalidInputError(
                    f"the numbers of a record are whole ones from 0 to {_DWORD}, not {shown(number)}"
                )
        named = {name: bool(flags & bit) != inverted for name, bit, inverted in _FLAG_BITS}
        modes = {name: bool(check_mode & bit) != inverted for name, bit, inverted in _CHECK_MODE_BITS}
        return cls(
            **named,
            **modes,
            revocation_freshness_time=timedelta(seconds=freshness_seconds),
            url_retrieval_timeout=timedelta(milliseconds=timeout_milliseconds),
            ctl_identifier=ctl_identifier,
            ctl_store_name=ctl_store_name,
            unknown_flags=flags & ~_KNOWN_FLAGS,
            unknown_check_modes=check_mode & ~_KNOWN_CHECK_MODES,
        )

    @property
    def flags(self) -> int:
        """DefaultFlags as Windows keeps them."""
        return (sum(compress(_FLAG_NUMBERS, _flags_of(self))) ^ _INVERTED_FLAGS) | self.unknown_flags

    @property
    def check_mode(self) -> int:
        """DefaultCertCheckMode as Windows keeps it."""
        named = sum(compress(_CHECK_MODE_NUMBERS, _check_modes_of(self)))
        return (named ^ _INVERTED_CHECK_MODES) | self.unknown_check_modes

    @property
    def freshness_seconds(self) -> int:
        """DefaultRevocationFreshnessTime, in seconds."""
        return self.revocation_freshness_time // timedelta(seconds=1)

    @property
    def timeout_milliseconds(self) -> int:
        """DefaultRevocationUrlRetrievalTimeout, in milliseconds."""
        return self.url_retrieval_timeout // timedelta(milliseconds=1)

    def __repr__(self) -> str:
        # Only what differs from the defaults: 28 fields hide the one that matters.
        defaults = {one.name: one.default for one in fields(self)}
        defaults["use_revocation_freshness_time"] = bool(self.revocation_freshness_time)
        shown = (name for name, default in defaults.items() if getattr(self, name) != default)
        return f"BindingOptions({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"


@lru_cache(maxsize=256)  # one and the same for most bindings, and counted up from 22 fields several times for a change
def numbers_of(options: BindingOptions) -> tuple[int, int, int, int]:
    """Their flags, check mode, freshness time and retrieval timeout, as Windows keeps them. Private."""
    return options.flags, options.check_mode, options.freshness_seconds, options.timeout_milliseconds


def _check_duration(name: str, value: timedelta, unit: timedelta) -> None:
    if not isinstance(value, timedelta) or value % unit or not 0 <= value // unit <= _DWORD:
        word = "seconds" if unit >= timedelta(seconds=1) else "milliseconds"
        raise InvalidInputError(f"{name} is a timedelta of 0 to {_DWORD} whole {word}, not {shown(value)}")
