"""Writes _commands/completion/table.py from the parser: `python docs/completion_table.py`. A test compares them."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

import mlsssl
from mlsssl._formats.binding_keys import BindingOptions
from mlsssl.cli import OLD_COMMANDS, build_parser

TABLE = Path(mlsssl.__file__).parent / "_commands" / "completion" / "table.py"

_HEAD = '''"""The command line as `candidates` reads it, written by docs/completion_table.py, by nobody else."""

from __future__ import annotations

'''
# What is completed for an argument, by what it is called, else by its metavar; `?` is what nobody can know.
_BY_NAME = {
    "--host": "hosts",
    "--store": "stores",
    "--thumbprint": "thumbprints",
    "--app-id": "apps",
    "--reserve": "urls",
    "--abandon": "keys",
    "--for-binding": "keys",
    "--option": "=" + " ".join(f"{one.name.replace('_', '-')}=" for one in fields(BindingOptions)),
    "thumbprint": "thumbprints",
    "url": "urls",
}
_BY_METAVAR = {
    "FILE": "files",
    "FILE.pfx": "files",
    "FILE|SERIAL": "files",
    "SHA1|FILE": "files",
    "FILE|system": "files|=system",
    "FILE|HOST:PORT|URL": "files|endpoints",
    "DUMP": "files",
    "REQUEST": "files",
    "FOLDER": "folders",
    "DIR": "folders",
    "KEY": "keys",
    "STORE": "stores",
    "SERVICE": "services",
    "SOURCE": "sources",
}


def kind_of(action: argparse.Action) -> str:
    """What is completed for an argument; `*` at the end when there may be several."""
    several = "*" if action.nargs in ("*", "+") else ""
    if action.nargs == 0:
        return ""
    if action.nargs == argparse.REMAINDER:
        return ">renew"
    if action.choices is not None:
        return "=" + " ".join(map(str, action.choices)) + several
    name = action.option_strings[-1] if action.option_strings else action.dest
    return (_BY_NAME.get(name) or _BY_METAVAR.get(str(action.metavar), "?")) + several


def lines() -> list[str]:
    """The table, a line for each command and each option."""
    commands: list[str] = []
    summaries: list[str] = []

    def add(parser: argparse.ArgumentParser, path: str) -> None:
        positionals: list[str] = []
        options: dict[str, str] = {}
        inner: list[tuple[str, argparse.ArgumentParser]] = []
        for action in parser._actions:  # noqa: SLF001 -- argparse has no public way
            if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
                positionals.append(">" + " ".join(action.choices))
                inner += action.choices.items()
                for choice in action._choices_actions:  # noqa: SLF001
                    name = f"{path} {choice.dest}".lstrip()
                    summaries.append(f"    {name!r}: {choice.help!r},")
            elif not action.option_strings:
                positionals.append(kind_of(action))
            elif action.help != argparse.SUPPRESS:
                options |= dict.fromkeys(action.option_strings, kind_of(action))
        if path in OLD_COMMANDS:  # their words are not argparse's
            positionals, options = ["files*"], {}
        commands.append(f"    {path!r}: ({tuple(positionals)!r}, {{")
        commands.extend(f"        {name!r}: {kind!r}," for name, kind in options.items())
        commands.append("    }),")
        for name, one in inner:
            add(one, f"{path} {name}".lstrip())

    add(build_parser(), "")
    typed = "COMMANDS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {"
    return [typed, *commands, "}", "SUMMARIES = {", *summaries, "}"]


def table() -> str:
    """The whole file."""
    return _HEAD + "\n".join(lines()) + "\n"


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8", newline="\n")
