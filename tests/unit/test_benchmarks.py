"""What the benchmarks say of a figure: kept, missed or failed; and that the page of figures has each of them."""

from __future__ import annotations

import ast
import importlib.util
import math
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import results
from ratios import ROOM_VARIABLE, Ratio, report, settled

PROJECT = Path(__file__).parents[2]


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
        (Ratio("it", 0.95, 1.0, at_least=True, promised=0.9), 1, "FAILED it: 0.95 (promised ≥ 0.90, fails below 1.00)"),
    ],
)
def test_a_figure_is_kept_missed_or_failed(
    ratio: Ratio, code: int, words: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bound decides the exit code, which is the promise where nothing is known against it; a reason is told."""
    monkeypatch.delenv(results.VARIABLE, raising=False)
    monkeypatch.delenv(ROOM_VARIABLE, raising=False)
    assert report([Ratio("another", 1.0, 2.0), ratio]) == code
    first, line, *reason = capsys.readouterr().out.splitlines()
    assert first == "ok     another: 1.00 (promised ≤ 2.00)"
    assert line.startswith(words)
    assert reason == (["       why"] if ratio.limit else [])


def test_a_bound_beyond_the_promise_needs_a_reason() -> None:
    """Else a promise is missed and nobody sees it; a stricter one needs none, nor where nothing is promised."""
    for ratio, promised in ((Ratio("it", 1.0, 3.0), 2.0), (Ratio("it", 1.0, 0.7, at_least=True), 0.9)):
        with pytest.raises(ValueError, match=r"^it: why may it be (3.0|0.7) where (2.0|0.9) is promised\?$"):
            ratio.with_promise(promised)
        assert ratio.with_promise(promised, "why").limit == "why"
        assert ratio.with_promise(math.inf).promise == math.inf
    assert Ratio("it", 1.0, 3.0).with_promise(4.0).bound == 3.0


def test_the_environment_gives_a_bound_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a neighbour may be busy: a cost may be higher, a speed lower; what was missed is still told."""
    cost, speed = Ratio("it", 2.1, 2.0), Ratio("it", 0.92, 1.0, at_least=True)
    monkeypatch.delenv(ROOM_VARIABLE, raising=False)
    assert (cost.kept, speed.kept) == (False, False)
    monkeypatch.setenv(ROOM_VARIABLE, "1.1")
    assert (cost.kept, speed.kept) == (True, True)
    assert [str(one).split(" it:")[0] for one in (cost, speed)] == ["MISSED promise", "MISSED promise"]
    assert not replace(cost, value=2.3).kept
    assert not replace(speed, value=0.9).kept


def test_one_bad_run_is_measured_again_and_a_slow_library_stays_slow() -> None:
    """A neighbour's busy minute is in some runs; what got slower is so in each."""
    figures = iter([2.5, 1.5, 2.5, 2.4, 2.6, 2.7, 2.5, 1.5])
    measured = [settled(lambda: Ratio("it", next(figures), 2.0)).value for _ in range(3)]
    assert measured == [1.5, 2.4, 1.5]
    speeds = iter([0.8, 0.9, 0.85, 0.7, 0.8])
    assert settled(lambda: Ratio("it", next(speeds), 1.0, at_least=True)).value == 0.9


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


def test_the_page_has_a_row_for_every_benchmark() -> None:
    """With its promise and verdict; and the machine, the day and the versions."""
    page = (PROJECT / "docs" / "performance.md").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| `(\w+)` \| .+ \| [\d.,]+ \| (?:[≤≥] [\d.,]+ \| (?:kept|\*\*missed\*\*.*)|none \| ) \| .*\|$",
        page,
        re.MULTILINE,
    )
    scripts = {path.stem for path in (PROJECT / "benchmarks").glob("bench_*.py")} | {"windows_bindings"}
    assert set(rows) == scripts, "run: python docs/performance.py"
    assert len(rows) == page.count("\n| `"), "a row is not as docs/performance.py writes it"
    assert re.search(r"\nMeasured on \d{4}-\d\d-\d\d: processor .+; cores \d+; system .+; Python \d.+; SQLite \d", page)


def test_the_table_says_what_is_missed_and_why() -> None:
    """Beside what is kept and what nobody promised; the last run of a benchmark counts."""
    ratios = [
        Ratio("first / peer", 1.5, 2.0, detail="half"),
        Ratio("second / peer", 2.5, 3.0).with_promise(2.0, "the disk is slow"),
        Ratio("memory", 1234.5, 2000.0, at_least=True, promised=math.inf),
    ]
    on = {"processor": "Z80", "cores": "1"}
    line = {"benchmark": "bench_it", "day": "2026-11-29", "on": on}
    runs = [{**line, "figures": [Ratio("old", 1, 2).as_json()]}, {**line, "figures": [one.as_json() for one in ratios]}]
    text = writer().render(runs)
    assert text.startswith(
        "Measured on 2026-11-29: processor Z80; cores 1.\n\n3 figures; promises missed: 1 of 2.\n\n| "
    )
    assert text.splitlines()[-3:] == [
        "| `bench_it` | first / peer | 1.50 | ≤ 2.00 | kept | half |",
        "| `bench_it` | second / peer | 2.50 | ≤ 2.00 | **missed**: the disk is slow |  |",
        "| `bench_it` | memory | 1,234 | none |  |  |",
    ]
    other = {"benchmark": "bench_that", "day": "2026-11-30", "on": on, "figures": []}
    first, second, _ = writer().render([*runs, line | other, other | {"benchmark": "bench_more"}]).split("\n\n", 2)
    assert first == "Measured on 2026-11-30: processor Z80; cores 1."
    assert second == "`bench_it` on 2026-11-29: processor Z80; cores 1."


def test_what_is_in_the_session_promises_is_there() -> None:
    """And its scripts take a number where it gives one."""
    tree = ast.parse((PROJECT / "noxfile.py").read_text(encoding="utf-8"))
    (assigned,) = (
        one for one in tree.body if isinstance(one, ast.Assign) and ast.unparse(one.targets[0]) == "PROMISES"
    )
    named = [str(one.value) for one in ast.walk(assigned) if isinstance(one, ast.Constant)]
    for name, *arguments in map(str.split, named):
        script = (PROJECT / "benchmarks" / f"bench_{name}.py").read_text(encoding="utf-8")
        assert not arguments or "[number of " in script
    assert len(named) >= 12


def writer() -> Any:
    """docs/performance.py."""
    spec = importlib.util.spec_from_file_location("performance", PROJECT / "docs" / "performance.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
