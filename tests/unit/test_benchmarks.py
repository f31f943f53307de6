"""What the benchmarks say of a figure: kept, missed or failed."""

from __future__ import annotations

import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import results
from ratios import Ratio, report, settled


@pytest.mark.parametrize(
    ("ratio", "code", "words"),
    [
        (Ratio("it", 1.9, 2.0), 0, "ok     it: 1.90 (promised ≤ 2.00)"),
        (Ratio("it", 2.1, 2.0), 1, "FAILED it: 2.10 (promised ≤ 2.00)"),
        (Ratio("it", 2.1, 3.0).with_promise(2.0, "why"), 0, "MISSED promise it: 2.10 (promised ≤ 2.00, fails above 3"),
        (Ratio("it", 3.1, 3.0).with_promise(2.0, "why"), 1, "FAILED it: 3.10 (promised ≤ 2.00, fails above 3.00)"),
        (Ratio("it", 1.5, 1.4).with_promise(2.0), 1, "FAILED it: 1.50 (promised ≤ 2.00, fails above 1.40)"),
        (Ratio("it", 9.0, math.inf), 0, "ok     it: 9.00 (no promise)"),
        (Ratio("it", 9.0, 5.0).with_promise(math.inf), 1, "FAILED it: 9.00 (no promise, fails above 5.00)"),
        (Ratio("it", 0.8, 0.9, at_least=True), 1, "FAILED it: 0.80 (promised ≥ 0.90)"),
        (Ratio("it", 0.8, 0.7, at_least=True, promised=0.9, limit="why"), 0, "MISSED promise it: 0.80 (promised ≥ 0"),
        (Ratio("it", 0.95, 0.7, at_least=True, promised=0.9), 0, "ok     it: 0.95 (promised ≥ 0.90, fails below 0.70)"),
    ],
)
def test_a_figure_is_kept_missed_or_failed(
    ratio: Ratio, code: int, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the bound decides the exit code; a promise that is missed is told, with the reason."""
    assert report([Ratio("another", 1.0, 2.0), ratio]) == code
    first, line, *reason = capsys.readouterr().out.splitlines()
    assert first == "ok     another: 1.00 (promised ≤ 2.00)"
    assert line.startswith(words)
    assert reason == (["       why"] if ratio.limit else [])


def test_one_bad_run_is_measured_again_and_a_slow_library_stays_slow() -> None:
    """A neighbour's busy minute is in one run; what got slower is so in each."""
    figures = iter([2.5, 1.5, 1.6, 2.5, 2.4, 1.0, 1.5])
    measured = [settled(lambda: Ratio("it", next(figures), 2.0)).value for _ in range(3)]
    assert measured == [1.6, 2.4, 1.5]


def test_figures_are_added_to_the_file_that_a_variable_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the machine and versions; without the variable no file is written."""
    figures = [Ratio("it", 0.5, 1.0, detail="half"), Ratio("that", 9.0, 8.0).with_promise(math.inf, "why")]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["benchmarks/bench_it.py", "1"])
    monkeypatch.delenv(results.VARIABLE, raising=False)
    report(figures)
    assert not [*tmp_path.iterdir()]
    monkeypatch.setenv(results.VARIABLE, "figures.jsonl")
    report(figures)
    report([Ratio("last", 1.0, math.inf)])
    first, second = results.read(tmp_path / "figures.jsonl")
    assert first["benchmark"] == "bench_it"
    assert {"processor", "cores", "system", "Python", "cryptography", "SQLite"} <= set(first["on"])
    assert [Ratio.from_json(one) for one in first["figures"]] == [replace(figures[0], promised=1.0), figures[1]]
    assert second["figures"][0]["bound"] is None
