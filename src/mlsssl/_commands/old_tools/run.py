"""`mlsssl makecert | pvk2pfx | netsh …`: an old command line with our own options taken out, and its tool run."""

from __future__ import annotations

import contextlib
from argparse import Namespace
from typing import TYPE_CHECKING

from mlsssl._commands.authority import telling_shortened
from mlsssl._commands.old_tools import makecert, netsh, pvk2pfx
from mlsssl._commands.old_tools.command_lines import Context
from mlsssl._commands.parser import machine_of, machine_to_add_to
from mlsssl._commands.terminal import read_password
from mlsssl.errors import InvalidInputError
from mlsssl.netsh import normalize

if TYPE_CHECKING:
    from collections.abc import Callable

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
"""


def run_old(arguments: Namespace, terminal: Terminal) -> int:
    """`makecert …`, `pvk2pfx …`, `netsh …`: `arguments.words` has the command's name and everything after it."""
    name, *rest = arguments.words
    own = Namespace(explain=False, help=False, overwrite=False, machine=None, password=[])
    theirs: list[str] = []
    while rest:
        word = rest.pop(0)
        option = normalize(word)
        if option in ("--explain", "--help", "--overwrite"):
            setattr(own, option[2:], True)
        elif option in ("--machine", "--password") and not rest:
            raise InvalidInputError(f"{option} needs a value")
        elif option == "--machine":
            own.machine = rest.pop(0)
        elif option == "--password":
            own.password.append(rest.pop(0))
        else:
            theirs.append(word)

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
