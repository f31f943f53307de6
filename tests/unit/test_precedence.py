"""Which binding answers: HTTP.sys' order, and what hides what."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mlsssl._formats.binding_keys import BindingKey, CcsPort, HostnamePort, IpPort, ScopedCcs, parse_binding_key
from mlsssl._machine.precedence import Neighbours, answering, hidden_by, hides, hiding

ALL = [
    parse_binding_key(text)
    for text in (
        "10.0.0.5:443",
        "[fe80::1]:443",
        "www.a.test:443",
        "scopedccs=www.a.test:443",
        "*.a.test:443",
        "scopedccs=*.a.test:443",
        "hostnameport=*:443",
        "ccs=443",
        "[::]:443",
        "0.0.0.0:443",
    )
]
ADDRESSES = ["10.0.0.5", "10.0.0.6", "fe80::1", "fe80::2"]
NAMES = ["www.a.test", "mail.a.test", "b.test", "a.test", "test", "x.www.a.test"]
HOSTS = ["www.a.test", "b.test", "*.a.test", "*.test", "*.www.a.test", "*"]
KEYS = st.one_of(
    st.builds(IpPort, st.sampled_from([*ADDRESSES, "0.0.0.0", "::"]), st.just(443)),
    st.builds(HostnamePort, st.sampled_from(HOSTS), st.just(443)),
    st.builds(ScopedCcs, st.sampled_from(HOSTS), st.just(443)),
    st.builds(CcsPort, st.just(443)),
)
CLIENTS = [(address, name) for address in ADDRESSES for name in (*NAMES, None)]


@given(st.lists(KEYS, min_size=1, unique=True), st.sampled_from(ADDRESSES), st.sampled_from([*NAMES, None]))
@example([HostnamePort("*.a.test", 443), ScopedCcs("www.a.test", 443)], "10.0.0.6", "www.a.test")
def test_what_answers_hides_all_that_match_too(keys: list[BindingKey], address: str, name: str | None) -> None:
    """Of any records, for any client."""
    chosen = answering(keys, 443, address, name)
    matching = [key for key in keys if answering([key], 443, address, name) is not None]
    assert (chosen is None) == (not matching)
    for other in matching:
        if chosen is not None and other != chosen:
            assert hides(chosen, other) is not None
            assert hides(other, chosen) is None


@given(KEYS, KEYS)
@example(HostnamePort("*.a.test", 443), ScopedCcs("www.a.test", 443))
@example(HostnamePort("www.a.test", 443), HostnamePort("*.a.test", 443))
def test_it_says_what_the_listener_does(winner: BindingKey, loser: BindingKey) -> None:
    """One hides the other exactly when the listener, asked about every kind of client, says so for one of them."""
    clients = [*CLIENTS, *((address, "any.www.a.test") for address in ADDRESSES)]
    taken = False
    for address, name in clients:
        chosen = answering([winner, loser], 443, address, name)
        if answering([loser], 443, address, name) is not None and chosen == winner != loser:
            taken = True
    assert (hides(winner, loser) is not None) == taken


def test_the_order_is_microsofts() -> None:
    """Concrete address, host name (the narrower first), central store, every IPv6 address, every address."""
    keys = list(ALL)
    for address, name, expected in (
        ("fe80::1", "www.a.test", ALL[1:]),
        ("10.0.0.5", "www.a.test", [ALL[0], *ALL[2:8], ALL[9]]),
        ("fe80::2", "mail.a.test", ALL[4:]),
        ("fe80::2", None, ALL[8:]),
    ):
        keys = list(ALL)
        for key in expected:
            assert answering(keys, 443, address, name) == key
            keys.remove(key)
        assert answering(keys, 443, address, name) is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0.0.0.0:443", "10.0.0.5:8443"),
        ("a.test:443", "b.test:443"),
        ("1.1.1.1:443", "2.2.2.2:443"),
        ("1.1.1.1:443", "[::]:443"),
        ("*.a.test:443", "b.test:443"),
    ],
)
def test_another_port_hides_nothing(one: str, other: str) -> None:
    """Nor does a host name another host name, nor an address another address."""
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
    (why,) = [why for key, why in hiding(ALL[2], ALL) if key == ALL[4]]
    assert "www.a.test" in why


def test_neighbours_are_all_that_can_hide_or_be_hidden() -> None:
    """Of a table with every kind of key, no pair is lost by not looking at all of them."""
    keys: list[BindingKey] = [
        make(host, port)
        for port in (443, 8443)
        for make in (HostnamePort, ScopedCcs)
        for host in ("a.test", "b.a.test", "*.a.test", "*.test", "*")
    ]
    keys += [
        IpPort(address, port) for port in (443, 8443) for address in ("0.0.0.0", "::", "10.0.0.5", "10.0.0.6", "::5")
    ]
    keys += [CcsPort(443)]
    neighbours = Neighbours(keys)
    for key in keys:
        near = neighbours.of(key)
        assert key not in near
        for look in (hidden_by, hiding):
            assert sorted(look(key, near), key=str) == sorted(look(key, keys), key=str)
            assert look(key, neighbours.in_order(key)) == look(key, keys)
    assert neighbours.of(HostnamePort("a.test", 444)) == []
    names = [HostnamePort(f"h{number}.test", 443) for number in range(100)]
    assert Neighbours(names).work() == 0
    assert Neighbours([*names, IpPort("0.0.0.0", 443)]).work() == 101
    addresses = [IpPort(f"10.0.0.{number}", 443) for number in range(100)]
    assert [Neighbours(addresses).of(one) for one in addresses] == [[]] * 100
    assert Neighbours(addresses).work() == 0
    assert Neighbours([*addresses, names[0], names[1]]).work() == 200
