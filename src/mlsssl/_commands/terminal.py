"""What the commands say: text, tables or JSON, how much of it and in which colour; and where passwords come from."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from mlsssl._commands.remedies import in_commands
from mlsssl._commands.working import line_hidden, working
from mlsssl._formats.text import password_line
from mlsssl._messages.foreign_text import before_records, clean_logger, message, printable, printable_lines, shown
from mlsssl._messages.tables import facts, table
from mlsssl.errors import InvalidInputError

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import TextIO

Loudness: TypeAlias = Literal["quiet", "normal", "verbose"]
_STYLES = {"heading": "bold", "error": "bold red", "warning": "yellow", "notice": "cyan", "ok": "green"}
# How the first lines of reports begin, and those of findings, in and below outcomes and plans; of differences in plans.
_BEGINNINGS = r"(?P<error>NOT ok:| *error[: ])|(?P<warning> *warning[: ])|(?P<notice> *notice[: ])|(?P<ok>ok:)"
_BELOW = " " * 4

_LOUDNESS: ContextVar[Loudness] = ContextVar("loudness", default="normal")


def write(text: str | Sequence[str], *, to: TextIO | None = None) -> None:
    """Print text, the only way to a terminal: whatever is not printable is escaped, so that nothing can steer it.

    The line ends of a text are our own; in a sequence of lines every line end is foreign, and escaped too.
    """
    with line_hidden():
        print(_cleaned(text), file=to, flush=True)


def write_aside(text: str) -> None:
    """Print text on standard error, as `write` does; one that is closed, full or gone is no failure of the work."""
    if sys.stderr is None:  # started with it closed; `print` would take standard output for it
        return
    try:
        write(text, to=sys.stderr)
    except (OSError, ValueError):
        forget(sys.stderr)


def forget(stream: TextIO | None) -> None:
    """Write no more to a stream: what is left in it has nowhere to go, and Python would try, and complain, at exit."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, stream.fileno())  # type: ignore[union-attr]  # None has none
        finally:
            os.close(nowhere)


def _cleaned(text: str | Sequence[str]) -> str:
    return printable_lines(text) if isinstance(text, str) else "\n".join(map(printable, text))


def note(text: str) -> None:
    """A remark beside the result, in one line on standard error; not with `--quiet`."""
    if _LOUDNESS.get() != "quiet":
        write_aside(message(f"mlsssl: {text}"))


@contextlib.contextmanager
def as_loud_as(loudness: Loudness | None) -> Iterator[None]:
    """Meanwhile tell as much as `--quiet` or `--verbose` says, also of what the library logs: on standard error."""
    loudness = loudness or "normal"
    made: dict[str, logging.Handler] = {}

    def listen(logger: logging.Logger) -> None:
        if not made:
            made.setdefault("teller", _teller(loudness))  # two threads may come at once, and one handler is kept
        logger.addHandler(made["teller"])

    def stop_listening() -> None:
        for teller in made.values():
            clean_logger("mlsssl").removeHandler(teller)

    with contextlib.ExitStack() as ends:
        ends.callback(_LOUDNESS.reset, _LOUDNESS.set(loudness))
        if loudness == "verbose":  # with the steps, which nobody logs where `logging` is not loaded
            logger = clean_logger("mlsssl")
            ends.callback(logger.setLevel, logger.level)
            logger.setLevel("INFO")
        ends.callback(stop_listening)
        ends.enter_context(before_records(listen))
        yield


def _teller(loudness: Loudness) -> logging.Handler:
    import logging  # not free, and loaded where there is something to tell

    class Teller(logging.Handler):
        """Writes each record, in the command line's words."""

        def emit(self, record: logging.LogRecord) -> None:
            """As the other lines there."""
            write_aside(f"mlsssl: {record.levelname.lower()}: {in_commands(record.getMessage())}")

    teller = Teller({"quiet": logging.ERROR, "normal": logging.WARNING, "verbose": logging.INFO}[loudness])
    if loudness != "verbose":  # any client of `serve` causes those
        teller.addFilter(lambda record: not record.name.startswith("mlsssl.listener"))
    return teller


class Terminal:
    """Where a command's result goes: standard output, as text for people or as one JSON document for programs.

    With `--quiet` of the text only errors are left, and what the command is for, such as a request to send away.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        # Started with a closed standard output, Python has None for it.
        self._width = _width_of_terminal() if sys.stdout is not None and sys.stdout.isatty() else None
        self._coloured = not as_json and _wants_colour()

    @property
    def quiet(self) -> bool:
        """Whether only errors are told."""
        return _LOUDNESS.get() == "quiet"

    def result(self, data: object, text: str | Sequence[str] | None = None) -> None:
        """Print the result: `data` as ASCII JSON, or `text` as `write` takes it (nothing when None)."""
        if self.as_json or not self.quiet:
            self.product(data, text)

    def product(self, data: object, text: str | Sequence[str] | None) -> None:
        """As `result`, also with `--quiet`: what is to go into a file or another program."""
        if self.as_json:
            write(_json(data, indent=2))
        elif text is not None:
            write(text)

    def report(self, data: object, text: str) -> None:
        """Print a result with findings in it, in the command line's words; each line has the colour of its severity."""
        if self.as_json:
            self.result(data)
            return
        style, lines = "", []
        for line in _cleaned(in_commands(text)).split("\n"):
            found = re.match(_BEGINNINGS, line)
            below = found is None and line.startswith(_BELOW)
            style = style if below else (found and found.lastgroup) or ""
            if style == "error" or not self.quiet:
                lines.append((line, "" if below else style))
        if lines:
            self._print(lines)

    def line(self, data: object, text: str, *, style: str = "") -> None:
        """One of many results: `data` as a JSON document on a line of its own, or `text` as a line."""
        if self.as_json:
            write(_json(data))
        else:
            self.say([text], style=style)

    def say(self, text: str | Sequence[str], *, style: str = "") -> None:
        """A line or lines on the way to the result, as `write` takes them; not with JSON."""
        if not self.as_json and (style == "error" or not self.quiet):
            self._print([(_cleaned(text), style)])

    def working(self, text: str, total: int | None = None) -> AbstractContextManager[Callable[[int], None]]:
        """Say what takes its time while it is done, as `working.working`; not with JSON or `--quiet`."""
        return working(text, total, quiet=self.as_json or self.quiet)

    def table(self, rows: Sequence[Mapping[str, object]], columns: Mapping[str, str], *, empty: str) -> None:
        """Print rows: with JSON as they are, else the named columns under their headings."""
        told = [row for row in rows if row.get("severity") == "error"] if self.quiet else rows
        if self.as_json:
            self.result(rows)
        elif told:
            self._print(table(told, columns, self._width))
        else:
            self.say(empty)

    def facts(self, data: Mapping[str, object], **also: object) -> None:
        """Print the values of `data` behind their names; with JSON, what there is `also`."""
        self.result({**data, **also})
        if not self.as_json and not self.quiet:
            self._print(facts({name.replace("_", " "): value for name, value in data.items()}, self._width))

    def _print(self, lines: Iterable[tuple[str, str]]) -> None:
        """Print text of our own layout, each piece in its style where there is colour."""
        if not self._coloured:
            write("\n".join(text for text, _ in lines))
            return
        from rich.console import Console
        from rich.text import Text

        console = Console(highlight=False, force_terminal=True)
        with line_hidden():
            for text, style in lines:
                # Without soft_wrap a long line would be broken as if it ended there, in the middle of a thumbprint.
                console.print(Text(_cleaned(text), style=_STYLES.get(style, "")), soft_wrap=True)


def _json(data: object, indent: int | None = None) -> str:
    import json  # not free, and text for people does without

    return json.dumps(data, indent=indent, default=str)


def _width_of_terminal() -> int:
    import shutil  # which brings compressors: not where nobody sees a width

    return shutil.get_terminal_size().columns


def _wants_colour() -> bool:
    """Whether standard output gets colour, as no-color.org and force-color.org say; rich (the extra `cli`) makes it."""
    person = sys.stdout is not None and sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    wanted = not os.environ.get("NO_COLOR") and (person or bool(os.environ.get("FORCE_COLOR")))
    return wanted and _have_rich()


def _have_rich() -> bool:
    from importlib.util import find_spec

    return find_spec("rich") is not None


def read_password(source: str | None, purpose: str, *, new: bool = False, instead: str = "") -> str:
    """A password from `env:NAME`, `file:PATH` (its first line), `stdin` (one line) or `prompt`, which is the default.

    Never from the command line itself, which other users can read. It may be empty, as those of files without one are;
    a `new` one, which is asked for twice, may not, and its error says what to do `instead`.

    Raises:
        InvalidInputError: there is no such source, or a new one is empty.
    """
    kind, _, name = (source or "prompt").partition(":")
    if kind == "env":
        password = os.environ.get(name)
        if password is None:
            raise InvalidInputError(f"the environment has no variable {shown(name)} for {purpose}")
    elif kind == "file":
        from mlsssl._machine import files

        password = password_line(files.read(Path(name), limit=65536), f"the file {name}")
    elif kind == "stdin":
        if sys.stdin is None:
            raise InvalidInputError(f"{purpose} is to come from standard input, which is closed")
        password = password_line(sys.stdin.buffer.readline(65536), "standard input")
    elif kind == "prompt":
        with line_hidden():
            password = _ask(purpose, confirm=new)
    else:
        raise InvalidInputError(
            "a password comes from env:NAME, file:PATH, stdin or prompt; what was given is none of these and is not "
            "shown, for it may be the password: an argument can be read by every user of this computer"
        )
    if new and not password:
        raise InvalidInputError(f"{purpose} is empty{instead}")
    return password


def _ask(purpose: str, *, confirm: bool) -> str:
    import getpass

    if sys.stdin is None or not sys.stdin.isatty():
        raise InvalidInputError(
            f"{purpose} is needed, and there is no terminal to ask at: use env:NAME, file:PATH or stdin"
        )
    purpose = printable(purpose)
    try:
        password = getpass.getpass(f"{purpose}: ", stream=sys.stderr)
        if confirm and getpass.getpass(f"{purpose}, again: ", stream=sys.stderr) != password:
            raise InvalidInputError("the two passwords differ")
    except (EOFError, KeyboardInterrupt) as end:
        write_aside("")  # the question has no end of its own
        if isinstance(end, KeyboardInterrupt):
            raise
        raise InvalidInputError(f"{purpose} is needed, and none was typed") from None
    return password
