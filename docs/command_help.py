"""The directive `mlsssl-help`: the help of every command, taken from the parser itself, so that it cannot drift."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
from typing import TYPE_CHECKING
from unittest import mock

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from collections.abc import Iterator


def commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parsers of all commands that do something, in the order of the help, without the groups above them."""
    # argparse has no public way to ask for the subcommands.
    groups = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]  # noqa: SLF001
    if not groups:
        yield parser
    for group in groups:
        for inner in dict.fromkeys(group.choices.values()):
            yield from commands(inner)


def help_text(parser: argparse.ArgumentParser) -> str:
    """What `--help` prints, 100 columns wide and without colour."""
    from mlsssl import cli

    old_command = parser.prog.rpartition(" ")[2]
    if old_command in cli.OLD_COMMANDS:  # they have no parser of argparse's
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            cli.main([old_command, "--help"])
        return printed.getvalue().rstrip()
    with mock.patch.dict(os.environ, {"COLUMNS": "100", "NO_COLOR": "1"}):
        return parser.format_help().rstrip()


class CommandHelp(SphinxDirective):
    """`mlsssl --help`, then a section for each command with its own help."""

    def run(self) -> list[nodes.Node]:
        from mlsssl.cli import build_parser

        top = build_parser()
        made: list[nodes.Node] = [self._block(top)]
        for parser in commands(top):
            section = nodes.section("", nodes.title("", "", nodes.literal("", parser.prog)), self._block(parser))
            section["ids"].append(nodes.make_id(parser.prog))
            made.append(section)
        return made

    def _block(self, parser: argparse.ArgumentParser) -> nodes.literal_block:
        block = nodes.literal_block("", help_text(parser))
        block["language"] = "text"
        return block
