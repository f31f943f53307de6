"""Validators with one classic mistake each are found by `faulty_chains`, and the page that says how soon is true."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from hypothesis import HealthCheck, given, settings

from mlsssl import strategies
from repetitions import examples
from wrong_validators import LIMIT, MISTAKES, RIGHT, RUNS, Mistake, found_by

if TYPE_CHECKING:
    from mlsssl.strategies import Chain

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "howto-property-tests.md").read_text(encoding="utf-8")


@settings(max_examples=examples(100), deadline=None)
@given(strategies.chains())
def test_the_right_validator_takes_what_is_right(chain: Chain) -> None:
    """So that what it refuses below is refused for the near miss."""
    assert RIGHT.accepts(chain)


@settings(max_examples=examples(400), deadline=None, suppress_health_check=list(HealthCheck))
@given(strategies.faulty_chains())
def test_the_right_validator_takes_no_near_miss(chain: Chain) -> None:
    """Which is somebody else's word that each of them is wrong."""
    assert not RIGHT.accepts(chain), chain.near_miss


def test_a_run_begins_with_each_near_miss() -> None:
    """All of them come up within the 200 examples, so that no validator is let off by chance."""
    seen = set()

    @settings(max_examples=LIMIT, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(strategies.faulty_chains())
    def note(chain: Chain) -> None:
        seen.add(chain.near_miss)

    note()
    assert seen == set(strategies.NEAR_MISSES)


@pytest.fixture(scope="module")
def first() -> dict[str, int | None]:
    """What the script that writes the page finds, run by itself: what tests import beside it changes that."""
    done = subprocess.run(
        [sys.executable, str(DOCS / "near_misses.py"), "--first"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    counts: dict[str, int | None] = json.loads(done.stdout)
    return counts


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.words.replace(" ", "-"))
def test_a_wrong_validator_is_found_within_200_examples(mistake: Mistake, first: dict[str, int | None]) -> None:
    """And as soon as the page says, where Hypothesis is the one that it was measured with."""
    found = first[mistake.words]
    assert found is not None
    assert found <= LIMIT
    line = re.search(
        rf"^\| {re.escape(mistake.words)} \| {re.escape(mistake.seen)} \| \d+ \| (.+) \|$", PAGE, re.MULTILINE
    )
    assert line, "run: python docs/near_misses.py"
    counts = list(map(int, line[1].split(", ")))
    assert len(counts) == RUNS
    assert max(counts) <= LIMIT
    if _writer().VERSION.format(version=hypothesis.__version__) in PAGE:
        assert counts[0] == found, "run: python docs/near_misses.py"


def test_the_right_validator_is_not_found() -> None:
    """The failing twin."""
    assert found_by(RIGHT, 0) is None


def test_the_page_has_every_near_miss() -> None:
    """With its finding, and what other programs say to it, which tests/interop asks them."""
    writer = _writer()
    assert writer.replaced(PAGE, "near misses", writer.misses()) == PAGE, "run: python docs/near_misses.py"
    assert len(re.findall(r"^\| .* \| \d+ \| [\d, ]+ \|$", PAGE, re.MULTILINE)) == len(MISTAKES)


def _writer() -> Any:
    spec = importlib.util.spec_from_file_location("near_misses", DOCS / "near_misses.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
