"""Which TLS binding answers: HTTP.sys' order of precedence, and so which records are hidden by which.

The order is the one that Microsoft's AD FS documentation gives ("Troubleshooting TLS/SSL bindings") and that
HTTP_SERVICE_CONFIG_SSL_KEY's page agrees with: a concrete address; the host name the client sends (SNI); the Central
Certificate Store; `[::]`, for IPv6 clients; `0.0.0.0`, for clients of either kind.

What it leaves open is decided here like this, and has not been seen on a real Windows: among host names the more
specific comes first, whatever the family: the name itself, then `*.example.com` (one label in place of the star), then
`*`; of one host name, an SNI record comes before a scoped CCS record; CCS records are passed over when the client
sends no name, for they have nothing to look up then.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, TypeAlias, TypeGuard, TypeVar

from mlsssl._formats.binding_keys import BindingFamily, CcsPort, IpPort

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from mlsssl._formats.binding_keys import BindingKey

Slot: TypeAlias = "tuple[int, BindingFamily, str]"
"""What a key is filed under: port, family, and the address or host name in it (`""` for `ccs=`)."""

FoundT = TypeVar("FoundT")


def slot_of(key: BindingKey) -> Slot:
    """The slot of a key."""
    if isinstance(key, IpPort):
        return key.port, key.family, key.address
    return key.port, key.family, "" if isinstance(key, CcsPort) else key.host


def first(by_slot: Mapping[Slot, FoundT], port: int, address: str, name: str | None) -> FoundT | None:
    """What answers a client, or None.

    Args:
        by_slot: All there is, by the slots of its keys.
        port: Of the binding table.
        address: The address that the client connected to, in its shortest form.
        name: What it asked for by SNI, lower case, no trailing dot; None without. Nothing else is taken for granted.
    """
    return next((by_slot[slot] for slot in _slots(port, address, name) if slot in by_slot), None)


def answering(keys: Iterable[BindingKey], port: int, address: str, name: str | None) -> BindingKey | None:
    """Which of the keys answers a client; the other arguments as for `first`."""
    return first({slot_of(key): key for key in keys}, port, address, name)


def _slots(port: int, address: str, name: str | None) -> Iterator[Slot]:
    """What can answer a client, in the order of precedence."""
    yield port, BindingFamily.IP_PORT, address
    if name is not None:
        for host in (name, f"*.{name.partition('.')[2]}", "*"):
            yield port, BindingFamily.HOSTNAME_PORT, host
            yield port, BindingFamily.SCOPED_CCS, host
        yield port, BindingFamily.CCS, ""
    if ":" in address:
        yield port, BindingFamily.IP_PORT, "::"
    yield port, BindingFamily.IP_PORT, "0.0.0.0"  # noqa: S104 -- a slot, not an address to listen on


def hides(winner: BindingKey, loser: BindingKey) -> str | None:
    """For which clients `winner` answers although `loser` matches them too, in words; None when for none."""
    if winner.port != loser.port or winner == loser:
        return None
    # One client is enough: whoever both match is met by the narrower host name and the concrete address among them.
    address = next((key.address for key in (winner, loser) if _is_concrete(key)), "2001:db8::1")
    hosts = [key.host for key in (winner, loser) if not isinstance(key, (IpPort, CcsPort)) and key.host != "*"]
    name = hosts[0] if hosts else "name.invalid"
    order = _slots(winner.port, address, f"name{name[1:]}" if name.startswith("*.") else name)
    return _clients_of(winner) if slot_of(winner) in order and slot_of(loser) in order else None  # in this order


class Neighbours:
    """For each key of a table the others that some client may match too.

    Two host names without a star never meet, nor do two addresses that are no wildcards: of these a table may have
    thousands, and everything else is rare.
    """

    def __init__(self, keys: Iterable[BindingKey]) -> None:
        self._all: dict[int, list[tuple[int, BindingKey]]] = {}
        self._wide: dict[int, list[tuple[int, BindingKey]]] = {}
        self._of_no_address: dict[int, list[tuple[int, BindingKey]]] = {}
        self._by_host: dict[tuple[int, str], list[tuple[int, BindingKey]]] = {}
        for place in enumerate(keys):
            key = place[1]
            self._all.setdefault(key.port, []).append(place)
            if not _is_concrete(key):
                self._of_no_address.setdefault(key.port, []).append(place)
            host = _host_without_star(key)
            if host is None:
                self._wide.setdefault(key.port, []).append(place)
            else:
                self._by_host.setdefault((key.port, host), []).append(place)

    def of(self, key: BindingKey) -> list[BindingKey]:
        """Those of this key, first those of its host."""
        return [one for _, one in self._found(key)]

    def in_order(self, key: BindingKey) -> list[BindingKey]:
        """Those of this key, in the order of the table."""
        return [one for _, one in sorted(self._found(key), key=itemgetter(0))]

    def _found(self, key: BindingKey) -> list[tuple[int, BindingKey]]:
        host = _host_without_star(key)
        if host is None:
            found = (self._of_no_address if _is_concrete(key) else self._all).get(key.port, [])
        else:
            found = [*self._by_host.get((key.port, host), []), *self._wide.get(key.port, [])]
        return [place for place in found if place[1] != key]

    def work(self) -> int:
        """How many pairs there are to look at, about."""
        return sum(
            len(self._of_no_address.get(port, []) if _is_concrete(key) else self._all[port])
            for port, wide in self._wide.items()
            for _, key in wide
        )


def _host_without_star(key: BindingKey) -> str | None:
    return None if isinstance(key, (IpPort, CcsPort)) or key.host.startswith("*") else key.host


def _is_concrete(key: BindingKey) -> TypeGuard[IpPort]:
    return isinstance(key, IpPort) and not key.is_wildcard


def _clients_of(winner: BindingKey) -> str:
    if isinstance(winner, CcsPort):
        return "every client whose host name the Central Certificate Store knows"
    if not isinstance(winner, IpPort):
        return f"clients that ask for {winner.host} (SNI)"
    # Of the two wildcards only [::] can come before another.
    return f"every client that connects to {winner.address}" if _is_concrete(winner) else "clients that connect by IPv6"


def hidden_by(key: BindingKey, others: Iterable[BindingKey]) -> list[tuple[BindingKey, str]]:
    """Which of the others take precedence over this key, and for which clients."""
    return [(other, why) for other in others if (why := hides(other, key)) is not None]


def hiding(key: BindingKey, others: Iterable[BindingKey]) -> list[tuple[BindingKey, str]]:
    """Which of the others this key takes precedence over, and for which clients."""
    return [(other, why) for other in others if (why := hides(key, other)) is not None]
