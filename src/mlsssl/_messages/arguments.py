"""Checks of the arguments of public functions: each returns its argument, or raises what says what was expected.

They are for callers without a type checker, who would otherwise see a TypeError from somewhere inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar

from mlsssl._messages.foreign_text import shown
from mlsssl.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

K = TypeVar("K")
T = TypeVar("T")
V = TypeVar("V")


def check_type(value: object, kind: type[T], expected: str) -> T:
    """Return `value` if it is a `kind`, where True and False are no numbers; `InvalidInputError` otherwise.

    `expected` begins the message, which shows only the value's type, for it may be a secret.
    """
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is int):
        raise InvalidInputError(f"{expected}, not {type(value).__name__}")
    return value


def check_data(data: bytes, expected: str) -> bytes:
    """Return `data` as `bytes` if it is bytes of any kind; `InvalidInputError` otherwise."""
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise InvalidInputError(f"{expected}, not {type(data).__name__}")
    return bytes(data)


def check_password(password: str | None) -> str | None:
    """Return `password` if it is text or None; `InvalidInputError`, which does not show it, otherwise."""
    return None if password is None else check_type(password, str, "a password is text or None")


def check_callable(function: Callable[..., object] | None, expected: str) -> None:
    """`InvalidInputError` unless `function` can be called or is None."""
    if function is not None and not callable(function):
        raise InvalidInputError(f"{expected}, not {type(function).__name__}")


def items_of(values: Iterable[T], expected: str) -> Iterator[T]:
    """The items one by one; `InvalidInputError`, at once, when there are none to take, or it is a single text.

    A text is refused although its letters could be taken one by one: `permitted="corp.test"` is a slip for
    `["corp.test"]`.
    """
    if isinstance(values, (str, bytes, bytearray, memoryview)):
        raise InvalidInputError(f"{expected}, not {type(values).__name__} alone; put it into a list")
    try:
        return iter(values)
    except TypeError:
        raise InvalidInputError(f"{expected}, not {type(values).__name__}") from None


def check_mapping(values: Mapping[K, V], expected: str) -> dict[K, V]:
    """The mapping as a `dict`; `InvalidInputError` when it is none."""
    if not isinstance(values, Mapping):
        raise InvalidInputError(f"{expected}, not {type(values).__name__}")
    return dict(values)


def check_whole(value: int, lowest: int, highest: int, expected: str) -> int:
    """Return `value` if it is a whole number from `lowest` to `highest`; True and False are none."""
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= highest:
        raise InvalidInputError(f"{expected}, not {shown(value)}")
    return value


def check_number(value: float, lowest: float, highest: float, expected: str, *, above: bool = False) -> float:
    """Return `value` if it is a number from `lowest` (or, with `above`, more than that) to `highest`."""
    # Written so that NaN, which compares with nothing, is refused.
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if number and lowest <= value <= highest and (value > lowest or not above):
        return value
    raise InvalidInputError(f"{expected}, not {shown(value)}")


def nearest(name: str, known: Sequence[str]) -> list[str]:
    """Those of the known names that may be meant by a mistyped one: at most two, or one cut short or with more."""
    from difflib import get_close_matches  # for messages only

    near = get_close_matches(name, known, 2, 0.7) or [one for one in known if name and one.startswith(name)]
    return near or [one for one in known if name.startswith(f"{one}-")]
