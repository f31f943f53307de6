"""Writes the tables of howto-property-tests.md: `python docs/near_misses.py`. Tests compare them.

How soon a wrong validator is found depends on the version of Hypothesis, which the page names, and on which modules
were imported, for Hypothesis draws constants that it finds in them too. So a test compares what this script finds, run
by itself: `--first` prints the first run's figures.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from pathlib import Path

import hypothesis

from mlsssl import strategies

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from wrong_validators import MISTAKES, RUNS, TAKEN_BY, found_by

PAGE = Path(__file__).with_name("howto-property-tests.md")
VERSION = "Measured with Hypothesis {version}"


def misses() -> str:
    """The near misses, with what they are to the validator and to other programs."""
    programs = " | ".join(TAKEN_BY)
    lines = [f"| near miss | finding | {programs} |", "|---|---|" + "---|" * len(TAKEN_BY)]
    for name, code in strategies.NEAR_MISSES.items():
        opinions = " | ".join("takes it" if name in taken else "refuses" for taken in TAKEN_BY.values())
        lines.append(f"| `{name}` | `{code}` | {opinions} |")
    return "\n".join(lines) + "\n"


def first() -> dict[str, int | None]:
    """After how many examples of the first run each wrong validator is found."""
    found = {mistake.words: found_by(mistake.validator, 0) for mistake in MISTAKES}
    return {words: None if one is None else one[0] for words, one in found.items()}


def mistakes() -> str:
    """The wrong validators, and after how many examples each is found."""
    head = f"{VERSION.format(version=hypothesis.__version__)}, in {RUNS} runs."
    lines = [head, "", "| a validator that … | seen in | found after: median | each run |", "|---|---|---|---|"]
    for mistake in MISTAKES:
        counts = []
        for number in range(RUNS):
            found = found_by(mistake.validator, number)
            assert found is not None, mistake.words
            counts.append(found[0])
        median = round(statistics.median(counts))
        lines.append(f"| {mistake.words} | {mistake.seen} | {median} | {', '.join(map(str, counts))} |")
    return "\n".join(lines) + "\n"


def replaced(page: str, name: str, table: str) -> str:
    """The page with this table between the comments that name it."""
    pattern = re.compile(rf"(<!-- {name}: written by docs/near_misses.py -->\n\n).*?(\n<!-- end -->)", re.DOTALL)
    assert pattern.search(page), name
    return pattern.sub(lambda found: found[1] + table + found[2], page)


if __name__ == "__main__" and sys.argv[1:] == ["--first"]:
    print(json.dumps(first()))
elif __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    text = replaced(replaced(text, "near misses", misses()), "wrong validators", mistakes())
    PAGE.write_text(text, encoding="utf-8")
