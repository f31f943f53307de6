"""`completion SHELL`: a static script, so that completing a word starts no Python at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsssl.errors import UnsupportedError

if TYPE_CHECKING:
    from argparse import Namespace

    from mlsssl._commands.terminal import Terminal


def completion(arguments: Namespace, terminal: Terminal) -> int:
    """Print the completion script of a shell, made by shtab."""
    try:
        import shtab
    except ImportError:
        raise UnsupportedError("completion needs shtab: pip install 'mlsssl[cli]'") from None
    from mlsssl.cli import build_parser

    script = shtab.complete(build_parser(), arguments.shell)
    terminal.result({"shell": arguments.shell, "script": script}, script)
    return 0
