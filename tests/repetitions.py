"""How often a test repeats what is chosen at random, or one of hundreds of inputs: less often under Wine.

Every call costs about eight times as much there. What is repeated so runs over the fakes, the embedded machine or in
the library alone, with its full number on every other system. `docs/windows-under-wine.md` says so too.
"""

from __future__ import annotations

from windows.wine_limits import under_wine

LESS_OFTEN = 8 if under_wine() else 1
"""Of how many repetitions one is made here."""


def examples(number: int) -> int:
    """`number`, or one of `LESS_OFTEN`, but three at least."""
    return min(number, max(3, number // LESS_OFTEN))
