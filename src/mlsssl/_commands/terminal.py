"""What the commands say: text or JSON, tables; the one way to the terminal; and where passwords come from."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mlsssl._commands.working import line_hidden, working
from mlsssl._formats.text import password_line
from mlsssl._messages.foreign_text import printable, printable_lines, shown
from mlsssl._messages.output import cell, plain_table
from mlsssl.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from typing import TextIO

_STYLES = {"error": "bold red", "warning": "yellow", "notice": "cyan", "ok": "green", "": ""}


def write(text: str | Sequence[str], *, to: TextIO | None = None) -> None:
    """Print text, the only way to a terminal: whatever is not printable is escaped, so that nothing can steer it.

    The line ends of a text are our own; in a sequence of lines every line end is foreign, and escaped too.
    """
    with line_hidden():
        print(_cleaned(text), file=to, flush=True)


def _cleaned(text: str | Sequence[str]) -> str:
    return printable_lines(text) if isinstance(text, str) else "\n".join(map(printable, text))


class Terminal:
    """Where a command's result goes: standard output, as text for people or as one JSON document for programs."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        # Colour and boxes for a person at a terminal who has rich (the extra `cli`); plain text otherwise.
        # Started with a closed standard output, Python has None for it.
        person = not as_json and sys.stdout is not None and sys.stdout.isatty()
        self._rich = person and not os.environ.get("NO_COLOR") and _have_rich()

    def result(self, data: object, text: str | Sequence[str] | None = None) -> None:
        """Print the result: `data` as ASCII JSON, or `text` as `write` takes it (nothing when None)."""
        if self.as_json:
            write(json.dumps(data, indent=2, default=str))
        elif text is not None:
            write(text)

    def line(self, data: object, text: str) -> None:
        """One of many results: `data` as a JSON document on a line of its own, or `text` as a line."""
        write(json.dumps(data, default=str) if self.as_json else [text])

    def say(self, text: str | Sequence[str], *, style: str = "") -> None:
        """A line or lines on the way to the result, as `write` takes them; not with JSON."""
        if self.as_json:
            return
        if self._rich and style:
            from rich.console import Console
            from rich.text import Text

            with line_hidden():
                Console(highlight=False).print(Text(_cleaned(text), style=_STYLES[style]))
        else:
            write(text)

    def working(self, text: str, total: int | None = None) -> AbstractContextManager[Callable[[int], None]]:
        """Say what takes its time while it is done, as `working.working`; not with JSON."""
        return working(text, total, quiet=self.as_json)

    def table(self, rows: Sequence[Mapping[str, object]], columns: Mapping[str, str], *, empty: str) -> None:
        """Print rows: with JSON as they are, else the named columns under their headings."""
        if self.as_json:
            self.result(rows)
        elif not rows:
            write(empty)
        elif self._rich:
            self._rich_table(rows, columns)
        else:
            write(plain_table(rows, columns))

    def _rich_table(self, rows: Sequence[Mapping[str, object]], columns: Mapping[str, str]) -> None:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, header_style="bold", pad_edge=False)
        for heading in columns.values():
            table.add_column(heading, overflow="fold")
        for row in rows:
            style = _STYLES.get(str(row.get("severity", "")), "")
            table.add_row(*(Text(cell(row.get(key)), style=style) for key in columns))
        with line_hidden():
            Console(highlight=False).print(table)


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
    except EOFError:
        raise InvalidInputError(f"no {purpose} was given") from None
    return password
