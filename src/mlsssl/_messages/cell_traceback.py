"""How an error of ours looks in a notebook: to the line that called mlsssl, not through our files."""

from __future__ import annotations

import sys
import traceback
from types import TracebackType
from typing import Any, cast


def in_a_cell(error: BaseException) -> list[str]:
    """The lines that IPython shows for an error: its own, without the frames below the caller's."""
    kind, frames = type(error), callers(error.__traceback__)
    ipython = cast("Any", sys.modules.get("IPython"))
    shell = ipython and ipython.get_ipython()
    if not shell:  # another program that knows the hook
        return traceback.format_exception(kind, error, frames)
    lines: list[str] = shell.InteractiveTB.structured_traceback(kind, error, frames)
    return lines


def callers(whole: TracebackType | None) -> TracebackType | None:
    """A traceback to its last frame that is neither mlsssl's nor the standard library's; the whole when none is."""
    frames = []
    while whole is not None:
        frames.append(whole)
        whole = whole.tb_next
    kept = frames
    while kept and _is_inside(kept[-1]):
        kept = kept[:-1]
    shown = None
    for one in reversed(kept or frames):
        shown = TracebackType(shown, one.tb_frame, one.tb_lasti, one.tb_lineno)
    return shown


def _is_inside(one: TracebackType) -> bool:
    module = str(one.tb_frame.f_globals.get("__name__", ""))
    return module.partition(".")[0] in ("mlsssl", *sys.stdlib_module_names)
