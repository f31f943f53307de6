"""Which binding answers: HTTP.sys' order, and what hides what."""

from __future__ import annotations

import itertools
import uuid

import pytest

from mlsssl._embedded.selection import by_port
from mlsssl._ports import BindingRecord
from mlsssl._shadow import hidden_by, hides, hiding, rank
from mlsssl.values import BindingKey, BindingOptions, Thumbprint, parse_binding_key

ALL = [
    parse_binding_key(text)
    for text in (
        "10.0.0.5:443",
        "[fe80::1]:443",
        "www.a.test:443",
        "scopedccs=www.a.test:443",
        "ccs=443",
        "[::]:443",
        "0.0.0.0:443",
    )
]


def record(key: BindingKey) -> BindingRecord:
    """A binding of this key."""
    named = key.family.has_certificate
    return BindingRecord(
        key=key,
        thumbprint=Thumbprint(bytes(20)) if named else None,
        store_name="MY" if named else None,
        app_id=uuid.UUID(int=1),
        options=BindingOptions(),
    )


CLIENTS = list(itertools.product(("10.0.0.5", "10.0.0.6", "fe80::1", "fe80::2"), ("www.a.test", "b.test", None)))


@pytest.mark.parametrize("winner", ALL, ids=str)
@pytest.mark.parametrize("loser", ALL, ids=str)
def test_it_says_what_the_listener_does(winner: BindingKey, loser: BindingKey) -> None:
    """One hides the other exactly when the listener, asked about every kind of client, says so for one of them."""
    both = by_port([record(winner), record(loser)])[443]
    alone = by_port([record(loser)])[443]
    taken = False
    for address, name in CLIENTS:
        chosen = both.select(address, name)
        if alone.select(address, name) is not None and chosen is not None and chosen.key == winner != loser:
            taken = True
    assert (hides(winner, loser) is not None) == taken


def test_the_order_is_microsofts() -> None:
    """Concrete address, host name, central store, every IPv6 address, every address."""
    assert [rank(key) for key in ALL] == [0, 0, 1, 2, 3, 4, 5]


def test_another_port_hides_nothing() -> None:
    """Nor does a host name another host name, nor an address another address."""
    for one, other in (("0.0.0.0:443", "10.0.0.5:8443"), ("a.test:443", "b.test:443"), ("1.1.1.1:443", "2.2.2.2:443")):
        keys = parse_binding_key(one), parse_binding_key(other)
        assert hides(*keys) is None
        assert hides(*reversed(keys)) is None


def test_both_directions_are_listed_with_the_clients_concerned() -> None:
    """A wildcard under everything else, a concrete address over it."""
    everywhere = parse_binding_key("0.0.0.0:443")
    assert [str(key) for key, _ in hidden_by(everywhere, ALL)] == [str(key) for key in ALL[:-1]]
    assert hiding(everywhere, ALL) == []
    (why,) = [why for key, why in hiding(ALL[0], ALL) if key == everywhere]
    assert "10.0.0.5" in why
