"""What all strategies share: the clock, checks of arguments, and strategies that are made once."""

from __future__ import annotations

import datetime as dt
import functools
from typing import TYPE_CHECKING, Any, TypeVar

from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hypothesis.strategies import SearchStrategy

T = TypeVar("T")

CLOCK = dt.datetime(2026, 1, 1, 12, tzinfo=dt.timezone.utc)
"""The moment of issuing when `at=` is not given."""


def subset(given: Iterable[T], known: Sequence[T], what: str) -> tuple[T, ...]:
    """The distinct items given, when there are some and all are known."""
    chosen: tuple[T, ...] = tuple(dict.fromkeys(given))
    wrong = [item for item in chosen if item not in known]
    if wrong or not chosen:
        raise InvalidArgument(f"{what} is one or more of {', '.join(map(str, known))}, not {given!r}")
    return chosen


def check_range(low: int, high: int, *, least: int, most: int, what: str) -> None:
    """Refuse bounds out of order or out of range."""
    if not (isinstance(low, int) and isinstance(high, int) and least <= low <= high <= most):
        raise InvalidArgument(f"{what} goes from {least} to {most}; {low!r} to {high!r} is no part of that")


def check_clock(at: dt.datetime) -> None:
    """Refuse a moment that is naive, or so early or late that a validity around it leaves the calendar."""
    if not isinstance(at, dt.datetime) or at.tzinfo is None or not 1960 <= at.year <= 9800:
        raise InvalidArgument(f"at is an aware datetime between the years 1960 and 9800, not {at!r}")


def or_default(given: SearchStrategy[T] | None, default: SearchStrategy[T], what: str) -> SearchStrategy[T]:
    """The strategy given, else the default; anything but a strategy is refused."""
    if given is None:
        return default
    if not isinstance(given, st.SearchStrategy):
        raise InvalidArgument(f"{what} is a strategy, not {given!r}; hypothesis.strategies.just() makes one of a value")
    return given


# Making a strategy costs more than drawing from it, so those made while drawing are kept.


def sampled(choices: tuple[T, ...]) -> SearchStrategy[T]:
    """`hypothesis.strategies.sampled_from`."""
    return _kept_sampled(choices)


@functools.lru_cache(256)
def _kept_sampled(choices: tuple[Any, ...]) -> SearchStrategy[Any]:
    return st.sampled_from(choices)


integers = functools.lru_cache(256)(st.integers)
"""`hypothesis.strategies.integers`."""

BOOLEANS = st.booleans()
