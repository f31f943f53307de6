"""Which TLS binding answers: HTTP.sys' order of precedence, and so which records hide which.

The order is the one that Microsoft's AD FS documentation gives ("Troubleshooting TLS/SSL bindings") and that
HTTP_SERVICE_CONFIG_SSL_KEY's page agrees with: a concrete address; the host name the client sends (SNI); the Central
Certificate Store; `[::]`, for IPv6 clients; `0.0.0.0`, for clients of either kind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsssl.values import BindingFamily, CcsPort, HostnamePort, IpPort, ScopedCcs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlsssl.values import BindingKey


def rank(key: BindingKey) -> int:
    """Its place in the order; the smallest that matches a client answers."""
    if isinstance(key, IpPort):
        if not key.is_wildcard:
            return 0
        return 4 if key.ip.version == 6 else 5
    return {BindingFamily.HOSTNAME_PORT: 1, BindingFamily.SCOPED_CCS: 2, BindingFamily.CCS: 3}[key.family]


def hides(winner: BindingKey, loser: BindingKey) -> str | None:
    """For which clients `winner` answers although `loser` matches them too, in words; None when for none."""
    if winner.port != loser.port or winner == loser or rank(winner) >= rank(loser):
        return None
    if isinstance(winner, IpPort) and not winner.is_wildcard:
        return _concrete_hides(winner, loser)
    if isinstance(winner, IpPort):  # [::], and so the loser is 0.0.0.0
        return "clients that connect by IPv6"
    if isinstance(winner, CcsPort):
        return "every client whose host name the Central Certificate Store knows"
    if isinstance(loser, (HostnamePort, ScopedCcs)) and not _host_overlaps(winner.host, loser.host):
        return None
    return f"clients that ask for {winner.host} (SNI)"


def _concrete_hides(winner: IpPort, loser: BindingKey) -> str | None:
    if isinstance(loser, IpPort) and loser.ip.version == 6 and winner.ip.version == 4:
        return None
    return f"every client that connects to {winner.address}"


def _host_overlaps(one: str, other: str) -> bool:
    if one == other or "*" in (one, other):
        return True
    wide, narrow = (one, other) if one.startswith("*.") else (other, one)
    return wide.startswith("*.") and narrow.partition(".")[2] == wide[2:]


def hidden_by(key: BindingKey, others: Iterable[BindingKey]) -> list[tuple[BindingKey, str]]:
    """The others that answer in this key's stead for some clients, with which."""
    return [(other, why) for other in others if (why := hides(other, key)) is not None]


def hiding(key: BindingKey, others: Iterable[BindingKey]) -> list[tuple[BindingKey, str]]:
    """The others in whose stead this key answers for some clients, with which."""
    return [(other, why) for other in others if (why := hides(key, other)) is not None]
