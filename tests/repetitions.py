"""How often a test repeats what is chosen at random, or one of hundreds of inputs: less often under Wine.

Every call costs about eight times as much there. What is repeated so runs over the fakes, the embedded machine or in
the library alone, with its full number on every other system. `docs/windows-under-wine.md` says so too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from windows.wine_limits import under_wine

if TYPE_CHECKING:
    from collections.abc import Iterable

LESS_OFTEN = 8 if under_wine() else 1
"""Of how many repetitions one is made here."""


def examples(number: int) -> int:
    """`number`, or one of `LESS_OFTEN`, but three at least."""
    return min(number, max(3, number // LESS_OFTEN))


MANY = 24
"""A unit test that is given more inputs than this is given one of four of them under Wine."""


def left_out(names: Iterable[str]) -> set[str]:
    """Which of these tests, named as pytest does, a run under Wine leaves out: three of four where inputs are many."""
    inputs: dict[str, list[str]] = {}
    for name in names:
        if name.startswith("tests/unit/"):
            inputs.setdefault(name.partition("[")[0], []).append(name)
    many = [several for several in inputs.values() if len(several) > MANY]
    return {name for several in many for number, name in enumerate(several) if number % 4}
