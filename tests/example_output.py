"""Comparing the output that the documentation shows with what is printed now: some of it differs from run to run."""

from __future__ import annotations

import doctest
import re

__all__ = ["ExampleChecker", "same", "steady"]

_VARYING = (
    (re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"), "GUID"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "SHA256"),
    (re.compile(r"\b[0-9a-f]{40}\b"), "THUMBPRINT"),
    (re.compile(r"\b\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?(\+00:00|Z)?)?"), "DATE"),
    (re.compile(r"\b(127\.0\.0\.1|localhost):\d+"), "LOOPBACK"),
    (re.compile(r"\b\d+\.\d\d\b"), "NUMBER"),
    (re.compile(r"/tmp/mlsssl-[\w-]+"), "FOLDER"),
)


def steady(text: str) -> str:
    """The text with what differs from run to run replaced by words: thumbprints, GUIDs, dates, ports and the like."""
    for pattern, word in _VARYING:
        text = pattern.sub(word, text)
    return text


class ExampleChecker(doctest.OutputChecker):
    """Doctest's checker, for output of which some differs from run to run."""

    def check_output(self, want: str, got: str, optionflags: int) -> bool:
        """Whether the output is the wanted one, but for what may differ."""
        return super().check_output(steady(want), steady(got), optionflags)


def same(shown: str, printed: str) -> bool:
    """Whether a command's output is what the page shows; blanks are not counted, and `...` stands for anything."""
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    return ExampleChecker().check_output(f"{shown.strip()}\n", f"{printed.strip()}\n", flags)
