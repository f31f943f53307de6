"""What all tests share: how much Hypothesis tries, and telling which test runs to whoever has to end the run."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import settings

from repetitions import examples
from windows.wine_limits import under_wine

settings.register_profile("wine", max_examples=examples(100), deadline=None)
if under_wine():
    settings.load_profile("wine")


def pytest_runtest_logstart(nodeid: str) -> None:
    """Keep the name of the test that begins in the file that `wine.py` names, for a run that does not end."""
    if kept := os.environ.get("MLSSSL_CURRENT_TEST"):
        Path(kept).write_text(nodeid, encoding="utf-8")
