"""Strategies for URL prefixes and URL reservations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from hypothesis import strategies as st

from mlsssl._formats import sddl as access_lists
from mlsssl._formats.url_prefixes import HostKind, UrlPrefix
from mlsssl._strategies.certificates import names
from mlsssl._strategies.common import BOOLEANS, or_default, sampled, subset
from mlsssl.reservation import UrlReservation

if TYPE_CHECKING:
    import ipaddress
    from collections.abc import Iterable

    from hypothesis.strategies import DrawFn, SearchStrategy

    from mlsssl.machine import Machine

Scheme = Literal["https", "http"]

_SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
_KINDS: tuple[HostKind, ...] = get_args(HostKind)
_PORTS = st.integers(1, 65535)
_HOSTS = names(kinds=("dns", "wildcard", "idn"))
_SEGMENTS = st.lists(
    st.text(
        st.characters(codec="utf-8", exclude_categories=("C", "Z"), exclude_characters="/\\?#%"),
        min_size=1,
        max_size=12,
    ).filter(lambda segment: segment not in (".", "..")),
    max_size=3,
)
_ADDRESSES = st.ip_addresses().filter(lambda address: getattr(address, "scope_id", None) is None)


@st.composite
def url_prefixes(
    draw: DrawFn, *, schemes: Iterable[Scheme] = _SCHEMES, hosts: Iterable[HostKind] = _KINDS
) -> UrlPrefix:
    """URL prefixes as HTTP.sys takes them. Shrinks to `https://+:1/`.

    Args:
        schemes: Which of `https` and `http`.
        hosts: Which of Microsoft's four categories: `strong wildcard`, `explicit`, `address`, `weak wildcard`.
    """
    scheme = draw(sampled(subset(schemes, _SCHEMES, "schemes")))
    kind = draw(sampled(subset(hosts, _KINDS, "hosts")))
    # Drawn for every kind, so that the plainest takes no more choices than the others.
    name, address = draw(_HOSTS), draw(_ADDRESSES)
    port, segments = draw(_PORTS), draw(_SEGMENTS)
    host = {"strong wildcard": "+", "weak wildcard": "*", "explicit": name, "address": _written(address)}[kind]
    return UrlPrefix(f"{scheme}://{host}:{port}/{''.join(f'{segment}/' for segment in segments)}")


def _written(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    return f"[{address}]" if address.version == 6 else str(address)


# Everyone, a built-in group, service accounts, a service, an application pool, a domain's user; and SDDL's aliases.
_ACCOUNTS = (
    "S-1-5-20",
    "NS",
    "S-1-1-0",
    "WD",
    "S-1-5-32-545",
    "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464",
    "S-1-5-82-3006700770-424185619-1745488364-794895919-4004696415",
    "S-1-5-21-1004336348-1177238915-682003330-1104",
)
_FOREIGN = ("O:BAG:SYD:PAI(A;CI;GX;;;WD)", "D:(D;;GX;;;AN)(A;;0x20000000;;;BU)", "D:", "D:(A;;GXGW;;;LA)")


@st.composite
def reservations(
    draw: DrawFn,
    *,
    urls: SearchStrategy[UrlPrefix] | None = None,
    foreign: bool = False,
    machine: Machine | None = None,
) -> UrlReservation:
    """URL reservations as values: nothing is written until `add()`. Shrinks to `https://+:1/` for NETWORK SERVICE.

    Args:
        urls: Their prefixes; `url_prefixes()` when not given.
        foreign: Also access lists that this library does not write: flags, denials, numbers, none at all.
        machine: Whose; this computer's when not given, as in `UrlReservation`.
    """
    url = draw(or_default(urls, _URLS, "urls"))
    accounts = draw(st.lists(sampled(_ACCOUNTS), min_size=1, max_size=3, unique=True))
    rights = draw(sampled(((True, False), (True, True), (False, True))))
    odd = draw(BOOLEANS) and foreign
    text = draw(sampled(_FOREIGN))
    made = access_lists.write([(account, *rights) for account in accounts])
    return UrlReservation(url, sddl=text if odd else made, machine=machine)


_URLS = url_prefixes()
