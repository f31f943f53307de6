"""How often a test repeats what is chosen at random: less under Wine, where every call costs about eight times as much.

What is repeated so runs over the fakes, the embedded machine or in the library alone, and many more examples of the
same run on every other system. `docs/windows-under-wine.md` says so too.
"""

from __future__ import annotations

from windows.wine_limits import under_wine

_SLOWER = 8 if under_wine() else 1


def examples(number: int) -> int:
    """`number`; under Wine an eighth of it, but three at least."""
    return min(number, max(3, number // _SLOWER))
