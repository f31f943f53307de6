"""`mlsssl makecert | pvk2pfx | netsh …`: an old command line with our own options taken out, and its tool run."""

from __future__ import annotations

import contextlib
from argparse import Namespace
from typing import TYPE_CHECKING

from mlsssl._commands.authority import telling_shortened
from mlsssl._commands.old_tools import makecert, netsh, pvk2pfx
from mlsssl._commands.old_tools.command_lines import Context
from mlsssl._commands.parser import UsageError, machine_of, machine_to_add_to, option_name
from mlsssl._commands.terminal import read_password

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlsssl._commands.terminal import Terminal
    from mlsssl.machine import Machine

_TOOLS = {"makecert": makecert.run, "pvk2pfx": pvk2pfx.run, "netsh": netsh.run}

HELP = """\
mlsssl {name} takes the command line of {name} word for word. Ours, which may stand anywhere among its words:
  --explain          print the modern call that does the same, and what is better about it; do nothing
  --overwrite        replace a file that is there although the private key in it is lost by that
  --machine FILE     an embedded machine's file, instead of this computer
  --password SOURCE  answers what the old tool asked for: env:NAME, file:PATH, stdin, prompt, or none for no
                     password; given again, the second answers the second question, and so on
  --verbose, --quiet also tell what is done; only tell what went wrong
"""


def read_words(words: Sequence[str]) -> Namespace:
    """The name of an old command and everything after it, with our own options taken out; `run_old` runs it.

    Raises:
        UsageError: one of our own lacks its value.
    """
    name, *queue = words
    own = Namespace(json=False, loudness=None, explain=False, help=False, overwrite=False, machine=None, password=[])
    theirs: list[str] = []
    while queue:
        word = queue.pop(0)
        option = (option_name(word) or "").lstrip("-")
        if option in ("explain", "help", "overwrite"):
            setattr(own, option, True)
        elif option in ("verbose", "quiet"):
            own.loudness = option
        elif option in ("machine", "password"):
            value = word.partition("=")[2] or (queue.pop(0) if queue else None)
            if value is None:
                raise UsageError(f"mlsssl {name}: --{option} needs a value\nTry 'mlsssl {name} --help'.")
            if option == "machine":
                own.machine = value
            else:
                own.password.append(value)
        else:
            theirs.append(word)
    own.name, own.words, own.run = name, theirs, run_old
    return own


def run_old(own: Namespace, terminal: Terminal) -> int:
    """`makecert …`, `pvk2pfx …`, `netsh …`, as `read_words` gives it."""
    name, theirs = own.name, own.words

    def ask_password(purpose: str, *, new: bool) -> str | None:
        # The sources in the order of the questions; the last one answers all that follow.
        source = own.password.pop(0) if len(own.password) > 1 else own.password[0] if own.password else None
        return None if source == "none" else read_password(source, purpose, new=new)

    if name == "netsh" and theirs[-1:] and theirs[-1].lower() in ("?", "/?", "-?", "help"):
        own.help = True
    if own.help:
        terminal.say(HELP.format(name=name))
        if name == "netsh":
            terminal.say(
                "A file with what netsh http show sslcert or urlacl printed is read by mlsssl audit --listing DUMP."
            )
            return 0
        theirs = ["-?"]
    run = _TOOLS[name]
    with contextlib.ExitStack() as stack:

        def add_to_machine(add: Callable[[Machine], object]) -> object:
            with machine_to_add_to(own, add) as machine:
                return add(machine)

        context = Context(
            machine=lambda: stack.enter_context(machine_of(own)),
            add_to_machine=add_to_machine,
            ask_password=ask_password,
            out=terminal.say,
            overwrite=own.overwrite,
            explain_only=own.explain,
        )
        with telling_shortened():
            return run(theirs, context)
