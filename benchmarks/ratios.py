"""What the benchmark scripts share: two ways of doing a thing, timed in turn in one run, and the ratio of the two."""

from __future__ import annotations

import gc
import math
import os
import statistics
import time
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import results

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


# Where the machine's neighbours are not known, as in CI, each bound has this much room: 1.1 is a tenth.
ROOM_VARIABLE = "MLSSSL_BENCHMARK_ROOM"


@dataclass(frozen=True)
class Ratio:
    """One figure, what was promised of it, and from where on it fails the run.

    A promise that is missed fails the run. Only where it is known why it cannot be kept may the bound lie beyond it.

    Attributes:
        name: What was measured.
        value: Ours divided by the peer's.
        bound: What it may be; beyond it the run fails. `math.inf`: anything.
        at_least: Whether promise and bound are floors (a speed-up) instead of ceilings (a cost).
        detail: The two figures, and the spread.
        promised: What was promised; the bound when not given, and nothing when `math.inf`.
        limit: Why the promise cannot be kept, in a sentence; a bound beyond the promise needs it.
    """

    name: str
    value: float
    bound: float
    at_least: bool = False
    detail: str = ""
    promised: float | None = None
    limit: str = ""

    def __post_init__(self) -> None:
        """Refuse a bound that lies beyond the promise for no reason."""
        beyond = self.bound != self.promise and self._within(self.promise, self.bound)
        if beyond and not self.limit and not math.isinf(self.promise):
            raise ValueError(f"{self.name}: why may it be {self.bound} where {self.promise} is promised?")

    @property
    def promise(self) -> float:
        """What was promised; `math.inf` when nothing was."""
        return self.bound if self.promised is None else self.promised

    @property
    def kept(self) -> bool:
        """Whether it is within the bound, and the room that the environment gives."""
        room = float(os.environ.get(ROOM_VARIABLE, "1"))
        return self._within(self.value, self.bound / room if self.at_least else self.bound * room)

    @property
    def promise_kept(self) -> bool:
        """Whether the promise held in this run."""
        return math.isinf(self.promise) or self._within(self.value, self.promise)

    def _within(self, value: float, limit: float) -> bool:
        return value >= limit if self.at_least else value <= limit

    def with_promise(self, promised: float, limit: str = "") -> Ratio:
        """This figure beside what was promised, where that is not the bound."""
        return replace(self, promised=promised, limit=limit)

    def as_json(self) -> dict[str, Any]:
        """For a file of results; None where nothing was promised, or nothing fails."""
        found = asdict(self) | {"promised": self.promise}
        return {name: None if value == math.inf else value for name, value in found.items()}

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Ratio:
        """The same again."""
        return cls(**found | {name: math.inf for name in ("bound", "promised") if found[name] is None})

    def __str__(self) -> str:
        """The line of a report."""
        word = "FAILED" if not self.kept else "ok" if self.promise_kept else "MISSED promise"
        sign = "≥" if self.at_least else "≤"
        told = "no promise" if math.isinf(self.promise) else f"promised {sign} {self.promise:.2f}"
        if self.bound != self.promise and not math.isinf(self.bound):
            told += f", fails {'below' if self.at_least else 'above'} {self.bound:.2f}"
        text = f"{word:6} {self.name}: {self.value:.2f} ({'; '.join(filter(None, (told, self.detail)))})"
        return text if self.promise_kept or not self.limit else f"{text}\n       {self.limit}"


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
    detail = f"{_duration(statistics.median(mine))} against {_duration(statistics.median(theirs))}"
    return Ratio(name, statistics.median(ratios), bound, detail=f"{detail}; {spread(ratios)}")


def _duration(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.1f} ms"


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


def settled(measure: Callable[[], Ratio], tries: int = 5) -> Ratio:
    """The first of several runs that is kept, or the best: what got slower is so in each, a busy minute is in some."""
    found = [measure()]
    while not found[-1].kept and len(found) < tries:
        found.append(measure())
    return (max if found[-1].at_least else min)(found, key=lambda ratio: ratio.value)


def report(ratios: list[Ratio]) -> int:
    """Print each; the exit code is 1 when a bound was broken. A promise missed for a known reason is told, no more."""
    print(*ratios, sep="\n", flush=True)
    results.write([ratio.as_json() for ratio in ratios])
    return 0 if all(ratio.kept for ratio in ratios) else 1
