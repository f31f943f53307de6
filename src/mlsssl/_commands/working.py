"""What takes its time says so: one line on standard error, for a person at a terminal, that is gone in the end."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING

from mlsssl._messages.foreign_text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TextIO

_DELAY, _EVERY = 0.4, 0.2  # seconds: what is over sooner shows nothing
_BAR = 24  # characters
_COLUMNS = 80  # where it is not known

_shown: _Line | None = None


@contextlib.contextmanager
def working(text: str, total: int | None, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Say what is being done while it is done, with the seconds and, of `total`, how many are done.

    Nothing is said where standard error is no terminal: a log or a scheduled task has no use for it. Whatever
    `terminal.write` writes meanwhile stands above the line.

    Yields:
        The function to give to `progress=`: it takes the number done so far.
    """
    global _shown
    stream = sys.stderr
    if quiet or _shown is not None or not _is_watched(stream):
        yield lambda done: None
        return
    line = _shown = _Line(stream, printable(text), total)
    try:
        line.start()
        yield line.advance
    finally:
        line.end()
        _shown = None


def _is_watched(stream: TextIO | None) -> bool:
    # A dumb terminal (Emacs' shell, say) cannot go back to the beginning of a line.
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


@contextlib.contextmanager
def line_hidden() -> Iterator[None]:
    """Take the line away while something else is written, or asked."""
    if _shown is None:
        yield
        return
    with _shown.hidden():
        yield


class _Line:
    """The line, drawn by a thread of its own: making a key, say, is one call that tells nothing until it is over."""

    def __init__(self, stream: TextIO, text: str, total: int | None) -> None:
        import threading  # not free, and nothing is drawn where nobody watches

        self._stream = stream
        self._text = text
        self._total = total
        self._done: int | None = None if total is None else 0
        self._began = time.monotonic()
        self._drawn = ""
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mlsssl-working", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def advance(self, done: int) -> None:
        """That many are done."""
        self._done = done

    def end(self) -> None:
        """Take it away for good."""
        self._ended.set()
        self._thread.join()
        self._draw("")

    @contextlib.contextmanager
    def hidden(self) -> Iterator[None]:
        with self._lock:
            self._draw("")
            yield

    def _run(self) -> None:
        pause = _DELAY
        while not self._ended.wait(pause):
            self._draw(self._words())
            pause = _EVERY

    def _words(self) -> str:
        done, total = self._done, self._total
        counted = ""
        if done is not None:
            counted = f" {done} of {total}" if total else f" {done}"
        if done is not None and total:
            filled = min(done, total) * _BAR // total
            counted += f" [{'#' * filled}{'.' * (_BAR - filled)}]"
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        return f"mlsssl: {self._text}{counted} {minutes}:{seconds:02}"

    def _draw(self, words: str) -> None:
        # One column is left free, for at the last one some terminals go on to the next line.
        words = words[: self._columns() - 1]
        # A terminal that went away is no failure of the work.
        with self._lock, contextlib.suppress(OSError, ValueError):
            if words != self._drawn:
                self._stream.write("\r" + words.ljust(len(self._drawn)) + "\r" * (not words))
                self._stream.flush()
                self._drawn = words

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._stream.fileno()).columns or _COLUMNS  # 0: nobody has said how wide it is
        except (OSError, ValueError):
            return _COLUMNS
