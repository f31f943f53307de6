"""How many points of a sweep a platform visits."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Point = TypeVar("Point")

STRIDE = 1 if sys.platform != "win32" else 17
"""Linux visits every point. Under Wine a point costs some twenty times as much, so the sweeps over the embedded machine
and over the fakes visit every 17th there; `tests/windows/test_deployment_native.py` sweeps the real DLLs."""


def points(items: Iterable[Point]) -> Iterator[tuple[int, Point]]:
    """The items to visit, each with its number among all."""
    return ((number, item) for number, item in enumerate(items) if number % STRIDE == 0)
