"""Strategies for thumbprints, binding keys, options, bindings, netsh's command lines and whole machines."""

from __future__ import annotations

import datetime as dt
import ipaddress
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

from mlsssl._formats.binding_keys import (
    BindingFamily,
    BindingKey,
    BindingOptions,
    CcsPort,
    HostnamePort,
    IpPort,
    ScopedCcs,
)
from mlsssl._machine.ports import BindingRecord
from mlsssl._netsh.options import SWITCHES
from mlsssl._strategies.certificates import CERTIFICATES, names
from mlsssl._strategies.common import BOOLEANS, check_range, integers, or_default, sampled, subset
from mlsssl._testing.machines import throw_away_machine
from mlsssl.binding import Binding
from mlsssl.netsh import NetshCommand, format_command
from mlsssl.values import Thumbprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from hypothesis.strategies import DrawFn, SearchStrategy

    from mlsssl.certificate import Certificate
    from mlsssl.machine import EmbeddedMachine, Machine

_FAMILIES = tuple(BindingFamily)


# -- thumbprints ------------------------------------------------------------------------------------------------------


def thumbprints() -> SearchStrategy[Thumbprint]:
    """Thumbprints. Shrinks to forty zeros."""
    return _THUMBPRINTS


_THUMBPRINTS = st.binary(min_size=20, max_size=20).map(Thumbprint)
# What was seen between and around the digits: Explorer's U+200E, word processors' blanks, a byte order mark.
_AROUND = ("", "\u200e", "\u200f", " ", "\ufeff", "\t", "\u200e \u202a", "\r\n")
_BETWEEN = ("", " ", ":", "-", "\u00a0", "\u202f", "\u200b", ": ")


@st.composite
def thumbprint_texts(draw: DrawFn, *, thumbprint: Thumbprint | None = None) -> str:
    """The spellings of a thumbprint that people paste. Shrinks to forty lower-case digits.

    Args:
        thumbprint: Whose spellings; of any when not given. `Thumbprint(text)` is it again.
    """
    if thumbprint is not None and not isinstance(thumbprint, Thumbprint):
        raise InvalidArgument(f"thumbprint is a Thumbprint or None, not {thumbprint!r}")
    value = draw(_THUMBPRINTS) if thumbprint is None else thumbprint
    between = draw(sampled(_BETWEEN))
    digits = between.join(f"{octet:02x}" for octet in value)
    if draw(BOOLEANS):
        digits = digits.upper()
    # Drawn even where it is not used: the plainest spelling must take no more choices than any other.
    prefix = draw(sampled(("", "0x", "0X")))
    around = [draw(sampled(_AROUND)) for _ in range(2)]
    return around[0] + ("" if between else prefix) + digits + around[1]


# -- bindings ---------------------------------------------------------------------------------------------------------


@st.composite
def binding_keys(draw: DrawFn, *, families: Iterable[BindingFamily] = _FAMILIES) -> BindingKey:
    """Keys of TLS bindings. Shrinks to `0.0.0.0:1`.

    Args:
        families: Which of the four.
    """
    chosen = subset(families, _FAMILIES, "families")
    kind = draw(sampled(tuple(kind for family in chosen for kind in _KEY_KINDS[family])))
    # Drawn for every kind, so that the plainest takes no more choices than the others: fewest is what "simplest" means.
    number, port = draw(_NUMBERS), draw(_PORTS)
    if kind in (4, 6):
        return IpPort(_address(kind, number), port)
    if kind == "ccs":
        return CcsPort(port)
    return HostnamePort(draw(_HOSTS), port) if kind == "hostnameport" else ScopedCcs(draw(_HOSTS), port)


_KEY_KINDS: dict[BindingFamily, tuple[int | str, ...]] = {
    BindingFamily.IP_PORT: (4, 6),
    BindingFamily.HOSTNAME_PORT: ("hostnameport",),
    BindingFamily.CCS: ("ccs",),
    BindingFamily.SCOPED_CCS: ("scopedccs",),
}
_KNOWN_ADDRESSES = {
    4: ("0.0.0.0", "127.0.0.1", "10.0.0.5", "255.255.255.255"),  # noqa: S104 -- HTTP.sys' word for every address
    6: ("::", "::1", "fe80::1", "2001:db8::1"),
}
_NUMBERS = st.integers(0, (1 << 128) + 3)


def _address(version: int, number: int) -> str:
    """The address of this number; what lies beyond the last are some that mean something."""
    known = _KNOWN_ADDRESSES[version]
    if number >> 128:
        return known[number % len(known)]
    return str(ipaddress.IPv4Address(number % (1 << 32)) if version == 4 else ipaddress.IPv6Address(number))


_PORTS = st.integers(1, 65535)
_HOSTS = names(kinds=("dns", "wildcard", "idn"))


def binding_options(*, unknown_bits: bool = False) -> SearchStrategy[BindingOptions]:
    """Options of bindings, every flag and mode both ways. Shrinks to the defaults.

    Args:
        unknown_bits: Also set bits that no version of the Windows headers names, as a later Windows might.
    """
    return st.builds(
        BindingOptions.from_numbers,
        flags=_bits(0xFFFF) if not unknown_bits else st.integers(0, 0xFFFF_FFFF),
        check_mode=_bits(0x1001F) if not unknown_bits else st.integers(0, 0xFFFF_FFFF),
        freshness_seconds=st.integers(0, 0xFFFF_FFFF),
        timeout_milliseconds=st.integers(0, 0xFFFF_FFFF),
        ctl_identifier=_CTL_TEXTS,
        ctl_store_name=_CTL_TEXTS,
    )


def _bits(mask: int) -> SearchStrategy[int]:
    return st.integers(0, mask).map(lambda bits: bits & mask)


_CTL_TEXTS = st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=64)
_STORE_NAMES = st.sampled_from(("MY", "WebHosting", "Root", "Eigene Zertifikate"))
_APPLICATION_IDS = st.integers(0, (1 << 128) - 1).map(lambda number: uuid.UUID(int=number))


@st.composite
def bindings(
    draw: DrawFn,
    *,
    families: Iterable[BindingFamily] = _FAMILIES,
    certificates: SearchStrategy[Certificate] | None = None,
    options: SearchStrategy[BindingOptions] | None = None,
    machine: Machine | None = None,
) -> Binding:
    """Bindings as values: nothing is written until `add()`. Shrinks to `0.0.0.0:1` with forty zeros and no options.

    Args:
        families: Which of the four.
        certificates: What they name; random thumbprints when not given.
        options: `binding_options()` when not given.
        machine: Whose; this computer's when not given, as in `Binding`.
    """
    key = draw(binding_keys(families=families))
    reference: Certificate | Thumbprint | None = None
    store: str | None = None
    if key.family.has_certificate and certificates is None:
        reference, store = draw(_THUMBPRINTS), draw(_STORE_NAMES)
    elif key.family.has_certificate:
        reference, store = draw(or_default(certificates, CERTIFICATES, "certificates")), draw(_STORE_NAMES)
    return Binding(
        key,
        reference,
        store=store,
        app_id=draw(_APPLICATION_IDS),
        options=draw(or_default(options, _OPTIONS, "options")),
        machine=machine,
    )


_OPTIONS = binding_options()


# -- netsh ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class NetshLine:
    """A command line for `netsh http … sslcert` as it is found in scripts and on web pages.

    Attributes:
        text: The line.
        command: What it means.
    """

    text: str
    command: NetshCommand


@st.composite
def netsh_lines(
    draw: DrawFn,
    *,
    verbs: Iterable[Literal["add", "update", "delete", "show"]] = ("add", "update", "delete", "show"),
    families: Iterable[BindingFamily] = _FAMILIES,
) -> NetshLine:
    """Command lines of netsh, for cmd and PowerShell, plain or as word processors mangle them.

    Shrinks to `netsh http add sslcert ipport=0.0.0.0:1` with forty zeros.

    Args:
        verbs: Which commands.
        families: Which of the four families of keys.
    """
    verb = draw(sampled(subset(verbs, ("add", "update", "delete", "show"), "verbs")))
    key = draw(binding_keys(families=families))
    record = draw(_netsh_records(key)) if verb in ("add", "update") else None
    command = NetshCommand(verb=verb, key=key, record=record)
    text = format_command(command, shell=draw(sampled(("cmd", "powershell"))))
    return NetshLine(text=_MANGLINGS[draw(integers(0, len(_MANGLINGS) - 1))](text), command=command)


_MANGLINGS: tuple[Callable[[str], str], ...] = (
    lambda text: text,
    lambda text: text.removeprefix("netsh http "),
    lambda text: text.replace("-", "\u2011"),
    lambda text: text.replace('"', "\u201d"),
    lambda text: text.replace(" ", "\u00a0"),
    lambda text: text.replace("certhash=", "certhash=\u200e"),
    lambda text: text.replace("netsh http add", "NETSH HTTP ADD"),
)


@st.composite
def _netsh_records(draw: DrawFn, key: BindingKey) -> BindingRecord:
    switches: dict[str, Any] = {switch.field: draw(BOOLEANS) for switch in SWITCHES} if draw(BOOLEANS) else {}
    # A fraction of a second is nothing to netsh, and it has no way to write the revocation time as an explicit 0.
    seconds, milliseconds = draw(integers(0, 0xFFFF_FFFF)), draw(integers(0, 0xFFFF_FFFF))
    options = BindingOptions(
        **switches,
        revocation_freshness_time=dt.timedelta(seconds=seconds),
        url_retrieval_timeout=dt.timedelta(milliseconds=milliseconds),
    )
    named = key.family.has_certificate
    return BindingRecord(
        key=key,
        thumbprint=draw(_THUMBPRINTS) if named else None,
        store_name=draw(_STORE_NAMES) if named else None,
        app_id=draw(_APPLICATION_IDS),
        options=options,
    )


# -- machines ---------------------------------------------------------------------------------------------------------


@st.composite
def machines(
    draw: DrawFn,
    *,
    certificates: SearchStrategy[Certificate] | None = None,
    max_certificates: int = 3,
    max_bindings: int = 3,
) -> EmbeddedMachine:
    """Embedded machines with certificates in their stores, and bindings that name them. Shrinks to an empty one.

    A machine is deleted when nobody refers to it any more, which is soon after its example; closing it is harmless.
    Each costs milliseconds, for its file is written like any other.

    Args:
        certificates: What is in the store MY of LocalMachine; must have private keys.
        max_certificates: At most so many; 0 to 100.
        max_bindings: At most so many, of every family; 0 to 100. Without a certificate only the CCS families have
            any.
    """
    check_range(0, max_certificates, least=0, most=100, what="max_certificates")
    check_range(0, max_bindings, least=0, most=100, what="max_bindings")
    wanted = or_default(certificates, CERTIFICATES, "certificates")
    drawn = [draw(wanted) for _ in range(draw(integers(0, max_certificates)))]
    keys = [draw(binding_keys()) for _ in range(draw(integers(0, max_bindings)))]
    named = [draw(integers(0, max(0, len(drawn) - 1))) for _ in keys]
    machine = throw_away_machine()
    store = machine.store("MY")
    for certificate in drawn:
        store.add(certificate)
    for key, number in zip(dict.fromkeys(keys), named, strict=False):
        if not key.family.has_certificate:
            machine.bindings.add(key)
        elif drawn:
            machine.bindings.add(key, drawn[number])
    return machine
