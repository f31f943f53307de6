"""HTTP.sys's precedence as a pure function, against a second way of writing it down."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlsssl._formats.binding_keys import CcsPort, HostnamePort, IpPort, ScopedCcs, parse_binding_key
from mlsssl._machine.precedence import answering

if TYPE_CHECKING:
    from mlsssl._formats.binding_keys import BindingKey


ALL = [
    "10.0.0.5:443",
    "www.example.com:443",
    "scopedccs=www.example.com:443",
    "*.example.com:443",
    "hostnameport=*:443",
    "ccs=443",
    "[::]:443",
    "0.0.0.0:443",
]


@pytest.mark.parametrize(
    ("address", "name", "expected"),
    [
        ("10.0.0.5", "www.example.com", ALL[:1] + ALL[1:6] + ["0.0.0.0:443"]),
        ("10.0.0.5", None, ["10.0.0.5:443", "0.0.0.0:443"]),
        ("10.0.0.6", "www.example.com", [*ALL[1:6], "0.0.0.0:443"]),
        ("10.0.0.6", "mail.example.com", ["*.example.com:443", "hostnameport=*:443", "ccs=443", "0.0.0.0:443"]),
        ("10.0.0.6", "a.b.example.com", ["hostnameport=*:443", "ccs=443", "0.0.0.0:443"]),
        ("fe80::1", "www.example.com", [*ALL[1:6], "[::]:443", "0.0.0.0:443"]),
        ("fe80::1", None, ["[::]:443", "0.0.0.0:443"]),
        ("10.0.0.6", None, ["0.0.0.0:443"]),
    ],
)
def test_each_record_is_hidden_by_the_ones_before_it(address: str, name: str | None, expected: list[str]) -> None:
    """Taking the winner away lets the next one answer, down to none."""
    keys = [parse_binding_key(text) for text in ALL]
    for text in expected:
        winner = answering(keys, 443, address, name)
        assert winner == parse_binding_key(text)
        keys.remove(parse_binding_key(text))
    assert answering(keys, 443, address, name) is None


HOSTS = ["a.example", "b.example", "x.a.example", "*.example", "*.a.example", "*"]
ADDRESSES = ["10.0.0.1", "10.0.0.2", "::1", "fe80::2", "0.0.0.0", "::"]
keys = st.one_of(
    st.builds(IpPort, st.sampled_from(ADDRESSES), st.integers(1, 2)),
    st.builds(HostnamePort, st.sampled_from(HOSTS), st.integers(1, 2)),
    st.builds(CcsPort, st.integers(1, 2)),
    st.builds(ScopedCcs, st.sampled_from(HOSTS), st.integers(1, 2)),
)


def rank(key: BindingKey, port: int, address: str, name: str | None) -> tuple[int, int] | None:
    """Where a record stands in the documented order; None when it does not apply."""
    if key.port != port:
        return None
    if isinstance(key, IpPort):
        if key.address == address:
            return (1, 0)
        if key.address == "::" and ":" in address:
            return (4, 0)
        return (5, 0) if key.address == "0.0.0.0" else None
    if name is None:
        return None
    if isinstance(key, CcsPort):
        return (3, 0)
    scoped = isinstance(key, ScopedCcs)
    if key.host == name:
        return (2, 0 + scoped)
    if key.host == "*." + name.split(".", 1)[-1] and "." in name:
        return (2, 2 + scoped)
    return (2, 4 + scoped) if key.host == "*" else None


@given(
    st.lists(keys, unique_by=str, max_size=12),
    st.integers(1, 2),
    st.sampled_from(ADDRESSES[:4]),
    st.sampled_from([None, "a.example", "b.example", "x.a.example", "example", "other.test"]),
)
def test_the_winner_has_the_best_rank(table: list[BindingKey], port: int, address: str, name: str | None) -> None:
    """And there is one exactly when some record applies."""
    ranked = [(found, key) for key in table if (found := rank(key, port, address, name)) is not None]
    expected = min(ranked, key=lambda pair: pair[0])[1] if ranked else None
    assert answering(table, port, address, name) == expected
