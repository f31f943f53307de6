"""Which binding answers a connection: HTTP.sys's order of precedence, as a pure function.

The order is the one Microsoft documents in its AD FS troubleshooting pages:

1. the exact IP address and port
2. the host name (SNI) and port
3. the Central Certificate Store of the port
4. `[::]` and the port, for IPv6 connections
5. `0.0.0.0` and the port, for IPv4 and IPv6 connections

What it leaves open is decided here like this: a scoped CCS record comes right after an SNI record of the same host
name; records for `*.example.com` (one label in place of the star) come after all exact names, and `*` after them; CCS
records are passed over when the client sends no name, for they have nothing to look up then.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlsssl.values import CcsPort, HostnamePort, IpPort

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mlsssl._ports import BindingRecord


@dataclass(slots=True)
class PortBindings:
    """The records of one port, arranged for looking up."""

    by_address: dict[str, BindingRecord] = field(default_factory=dict)
    by_host: dict[str, BindingRecord] = field(default_factory=dict)
    by_scoped_host: dict[str, BindingRecord] = field(default_factory=dict)
    central_store: BindingRecord | None = None

    def select(self, local_address: str, server_name: str | None) -> BindingRecord | None:
        """The record that answers, or None.

        Args:
            local_address: The address that the client connected to, in its shortest form.
            server_name: What the client asked for by SNI, lower case, no trailing dot; None without.
        """
        exact = self.by_address.get(local_address)
        if exact is not None:
            return exact
        if server_name is not None:
            for name in (server_name, f"*.{server_name.partition('.')[2]}", "*"):
                named = self.by_host.get(name) or self.by_scoped_host.get(name)
                if named is not None:
                    return named
            if self.central_store is not None:
                return self.central_store
        if ":" in local_address and "::" in self.by_address:
            return self.by_address["::"]
        return self.by_address.get("0.0.0.0")  # noqa: S104 -- a key of the table, not an address to listen on


def by_port(records: Iterable[BindingRecord]) -> dict[int, PortBindings]:
    """The records of a machine, arranged by port."""
    table: dict[int, PortBindings] = {}
    for record in records:
        key = record.key
        bindings = table.setdefault(key.port, PortBindings())
        if isinstance(key, IpPort):
            bindings.by_address[key.address] = record
        elif isinstance(key, CcsPort):
            bindings.central_store = record
        elif isinstance(key, HostnamePort):
            bindings.by_host[key.host] = record
        else:
            bindings.by_scoped_host[key.host] = record
    return table
