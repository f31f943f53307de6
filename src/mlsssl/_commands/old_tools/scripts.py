"""`mlsssl makecert | pvk2pfx | netsh …`: the old command lines with one word put in front."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mlsssl._commands.old_tools import makecert, netsh, pvk2pfx
from mlsssl._commands.terminal import read_password
from mlsssl.errors import InvalidInputError
from mlsssl.machine import EmbeddedMachine
from mlsssl.netsh import normalize

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Sequence

    from mlsssl._commands.old_tools.command_lines import AskPassword
    from mlsssl._commands.terminal import Terminal
    from mlsssl.machine import Machine


class _Runner(Protocol):
    def __call__(
        self,
        argv: Sequence[str],
        *,
        machine: Machine | None,
        ask_password: AskPassword,
        out: Callable[[str], object],
        explain_only: bool = False,
    ) -> int: ...


_RUNNERS: dict[str, _Runner] = {"makecert": makecert.run, "pvk2pfx": pvk2pfx.run, "netsh": netsh.run}

HELP = """\
mlsssl {name} takes the command line of {name} word for word. Ours, which may stand anywhere among its words:
  --explain          print the modern call that does the same, and what is better about it; do nothing
  --machine FILE     an embedded machine's file, instead of this computer
  --password SOURCE  answers what the old tool asked for: env:NAME, file:PATH, stdin, prompt, or none for no
                     password; given again, the second answers the second question, and so on
"""


class _Answers:
    """Passwords from the sources given, in the order of the questions; the last source answers all that follow."""

    def __init__(self, sources: list[str]) -> None:
        self._sources = sources

    def __call__(self, purpose: str, *, new: bool) -> str | None:
        source = self._sources[0] if self._sources else None
        if len(self._sources) > 1:
            self._sources.pop(0)
        if source == "none":
            return None
        return read_password(source, purpose, confirm=new)


def run_old(arguments: Namespace, terminal: Terminal) -> int:
    """`makecert …`, `pvk2pfx …`, `netsh …`: `arguments.words` has the command's name and everything after it."""
    name, *rest = arguments.words
    own = _OwnOptions()
    theirs: list[str] = []
    while rest:
        word = rest.pop(0)
        plain = normalize(word)
        if plain == "--explain":
            own.explain = True
        elif plain in ("--machine", "--password"):
            if not rest:
                raise InvalidInputError(f"{plain} needs a value")
            own.take(plain, rest.pop(0))
        elif plain == "--help":
            own.help = True
        else:
            theirs.append(word)
    run, answers = _RUNNERS[name], _Answers(own.sources)
    if own.help:
        terminal.say(HELP.format(name=name))
        return 0 if name == "netsh" else run(["-?"], machine=None, ask_password=answers, out=terminal.say)
    if own.explain or own.machine is None:
        # Without one, the command opens this computer's machine only when it has something to do there.
        return run(theirs, machine=None, ask_password=answers, out=terminal.say, explain_only=own.explain)
    with EmbeddedMachine(own.machine) as machine:
        return run(theirs, machine=machine, ask_password=answers, out=terminal.say)


class _OwnOptions:
    """Our options among the old command's words."""

    def __init__(self) -> None:
        self.explain = False
        self.help = False
        self.machine: str | None = None
        self.sources: list[str] = []

    def take(self, name: str, value: str) -> None:
        if name == "--machine":
            self.machine = value
        else:
            self.sources.append(value)
