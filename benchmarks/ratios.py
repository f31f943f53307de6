"""What the benchmark scripts share: two ways of doing a thing, timed in turn in one run, and the ratio of the two."""

from __future__ import annotations

import gc
import math
import statistics
import sys
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class Ratio:
    """One measured promise.

    Attributes:
        name: What was measured.
        value: Ours divided by the peer's.
        bound: What was promised.
        at_least: Whether the bound is a floor (a speed-up) instead of a ceiling (a cost).
        detail: The two figures.
    """

    name: str
    value: float
    bound: float
    at_least: bool = False
    detail: str = ""

    @property
    def kept(self) -> bool:
        """Whether the promise held in this run."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound


# Other load on the machine counts less in processor time; Windows measures that in steps of 16 ms only.
_CLOCK = time.process_time if time.get_clock_info("process_time").resolution < 1e-5 else time.perf_counter


def seconds(work: Callable[[], object], repeat: int) -> float:
    """How long `repeat` calls take: time of the processor where the system can tell."""
    start = _CLOCK()
    for _ in range(repeat):
        work()
    return _CLOCK() - start


def compare(
    name: str,
    ours: Callable[[], object],
    peer: Callable[[], object],
    *,
    bound: float,
    repeat: int,
    rounds: int = 15,
) -> Ratio:
    """The median ratio over rounds in which ours and the peer's run one after the other, in changing order; settled."""
    return settled(partial(_compare, name, ours, peer, bound, repeat, rounds))


def _compare(
    name: str, ours: Callable[[], object], peer: Callable[[], object], bound: float, repeat: int, rounds: int
) -> Ratio:
    seconds(ours, max(1, repeat // 10))
    seconds(peer, max(1, repeat // 10))
    ratios, mine, theirs = [], [], []
    gc.collect()
    gc.disable()
    try:
        for number in range(rounds):
            if number % 2:
                a, b = seconds(ours, repeat), seconds(peer, repeat)
            else:
                b, a = seconds(peer, repeat), seconds(ours, repeat)
            ratios.append(a / b)
            mine.append(a / repeat)
            theirs.append(b / repeat)
    finally:
        gc.enable()
    detail = f"{statistics.median(mine) * 1e6:.1f} µs against {statistics.median(theirs) * 1e6:.1f} µs"
    return Ratio(name, statistics.median(ratios), bound, detail=f"{detail}; {spread(ratios)}")


GROWTH_BOUND = 1.25
"""What `growth` allows over n log n; n log n itself is 1, and a list that grows with n from 0.5 on."""


def growth(
    name: str,
    work_at: Callable[[int], Callable[[], object]],
    sizes: tuple[int, int, int],
    *,
    bound: float = GROWTH_BOUND,
    rounds: int = 3,
) -> Ratio:
    """How much faster than n log n the time of a list grows, from the smallest size to the worse of the two others.

    What takes n² is at 8 and more where the largest is 16 times the smallest. A constant part hides nothing of that as
    long as it is less than what the smallest size takes.

    Args:
        name: What the list is of.
        work_at: Gives for a size what is to be timed; what it prepares itself is not.
        sizes: Three, each a multiple of the one before.
        bound: The most.
        rounds: How many turns of all three; the median counts.
    """
    works = [work_at(size) for size in sizes]
    return settled(partial(_growth, name, works, sizes, bound, rounds))


def _growth(name: str, works: Sequence[Callable[[], object]], sizes: Sequence[int], bound: float, rounds: int) -> Ratio:
    seconds(works[0], 1)
    each: list[list[float]] = [[] for _ in sizes]
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for size, work, found in zip(sizes, works, each, strict=True):
                repeat = sizes[-1] // size  # as many elements in each, so that each is measured as well
                found.append(seconds(work, repeat) / repeat / size)
    finally:
        gc.enable()
    medians = [statistics.median(found) for found in each]
    grown = [
        median / medians[0] * math.log(sizes[0]) / math.log(size) for median, size in zip(medians, sizes, strict=True)
    ]
    micros = ", ".join(f"{median * 1e6:.1f}" for median in medians)
    counts = ", ".join(f"{size:,}" for size in sizes)
    return Ratio(f"{name}, growth over n log n", max(grown[1:]), bound, detail=f"{micros} µs each of {counts}")


def spread(ratios: list[float]) -> str:
    """Between which two values the middle half of the turns lies."""
    low, _, high = statistics.quantiles(ratios, n=4)
    return f"half of {len(ratios)} turns from {low:.2f} to {high:.2f}"


def settled(measure: Callable[[], Ratio], tries: int = 3) -> Ratio:
    """A ratio that is kept at once, or the median of several runs: one may have met a neighbour's busy minute."""
    found = [measure()]
    while not found[0].kept and len(found) < tries:
        found.append(measure())
    return sorted(found, key=lambda ratio: ratio.value)[len(found) // 2]


def report(ratios: list[Ratio]) -> int:
    """Print a line for each; the exit code is 1 when a promise was missed."""
    for ratio in ratios:
        sign = "≥" if ratio.at_least else "≤"
        word = "ok" if ratio.kept else "MISSED"
        print(f"{word:6} {ratio.name}: {ratio.value:.2f} (promised {sign} {ratio.bound:.2f}; {ratio.detail})")
    sys.stdout.flush()
    return 0 if all(ratio.kept for ratio in ratios) else 1
