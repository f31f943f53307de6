"""`completion SHELL`: a static script, so that completing a word starts no Python at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsssl._commands.parser import command
from mlsssl.errors import UnsupportedError

if TYPE_CHECKING:
    from argparse import ArgumentParser, Namespace

    from mlsssl._commands.parser import Commands
    from mlsssl._commands.terminal import Terminal


def add_commands(commands: Commands, whole: ArgumentParser) -> None:
    """Add the parser of this module's command, whose script completes the `whole` command line."""
    parser = command(commands, "completion", completion, "print a completion script")
    parser.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    parser.set_defaults(whole=whole)


def completion(arguments: Namespace, terminal: Terminal) -> int:
    """Print the completion script of a shell, made by shtab."""
    try:
        import shtab
    except ImportError:
        raise UnsupportedError("completion needs shtab: pip install 'mlsssl[cli]'") from None

    script = shtab.complete(arguments.whole, arguments.shell)
    terminal.result({"shell": arguments.shell, "script": script}, script)
    return 0
