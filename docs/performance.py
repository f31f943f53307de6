"""Writes the figures of performance.md from a run of the benchmarks: `python docs/performance.py figures.jsonl`.

The page says how such a file is made. A test holds that each benchmark has a row.
"""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
from ratios import Ratio
from results import read

PAGE = Path(__file__).with_name("performance.md")
_BETWEEN = re.compile(r"(<!-- figures: written by docs/performance.py -->\n\n).*?(\n<!-- end -->)", re.DOTALL)


def render(lines: list[dict[str, Any]]) -> str:
    """The machine, the versions and the table; of a benchmark that ran more than once the last run counts."""
    last = {line["benchmark"]: line for line in lines}
    machines: dict[str, list[str]] = {}
    for name, line in last.items():
        on = "; ".join(f"{what} {version}" for what, version in line["on"].items())
        machines.setdefault(f"{line['day']}: {on}", []).append(f"`{name}`")
    # What most have in common is told of all, and then who differs.
    common, *others = sorted(machines, key=lambda machine: len(machines[machine]), reverse=True)
    measured = [f"Measured on {common}."]
    measured += [f"{' '.join(machines[machine])} on {machine}." for machine in others]
    ratios = [(name, Ratio.from_json(figure)) for name in sorted(last) for figure in last[name]["figures"]]
    kept = [ratio.promise_kept for _, ratio in ratios if not math.isinf(ratio.promise)]
    head = f"{len(ratios)} figures; promises missed: {kept.count(False)} of {len(kept)}."
    table = ["| benchmark | what / beside what | figure | promise | | measured |", "|---|---|---|---|---|---|"]
    return "\n\n".join([*measured, head, "\n".join([*table, *(_row(*one) for one in ratios)])]) + "\n"


def _row(benchmark: str, ratio: Ratio) -> str:
    promised, verdict = "none", ""
    if ratio.promise != math.inf:
        promised = f"{'≥' if ratio.at_least else '≤'} {_number(ratio.promise)}"
        verdict = "kept" if ratio.promise_kept else f"**missed**: {ratio.limit}" if ratio.limit else "**missed**"
    cells = (f"`{benchmark}`", ratio.name, _number(ratio.value), promised, verdict, ratio.detail)
    return f"| {' | '.join(cells)} |"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def replaced(page: str, figures: str) -> str:
    """The page with these figures between the comments."""
    assert _BETWEEN.search(page)
    return _BETWEEN.sub(lambda found: found[1] + figures + found[2], page)


if __name__ == "__main__":
    PAGE.write_text(replaced(PAGE.read_text(encoding="utf-8"), render(read(Path(sys.argv[1])))), encoding="utf-8")
