"""How a command is added to the parser, the options that several commands share, and the machine that they name."""

from __future__ import annotations

import argparse
import datetime as dt
import sys
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NoReturn, get_args

import mlsssl
from mlsssl._commands.terminal import write
from mlsssl._messages import foreign_text
from mlsssl._validator.rules import PROFILE_NAMES
from mlsssl.values import ClientName

if TYPE_CHECKING:
    import contextlib
    from argparse import Namespace
    from collections.abc import Callable
    from pathlib import Path
    from typing import TypeAlias

    from mlsssl._commands.terminal import Terminal

    Commands: TypeAlias = "argparse._SubParsersAction[Parser]"  # noqa: SLF001  # typeshed has no other name

PASSWORD_HELP = "where the password comes from: env:NAME, file:PATH, stdin or prompt (never the password itself)"  # noqa: S105

_SHARED: dict[str, dict[str, Any]] = {
    "key": {"metavar": "KEY", "help": "0.0.0.0:443, [::]:443, www.example.com:443"},
    "file": {"metavar": "FILE"},
    "--json": {"action": "store_true", "help": "print the result as one JSON document"},
    "--machine": {"metavar": "FILE", "help": "an embedded machine's file, instead of this computer"},
    "--key": {"metavar": "FILE", "help": "its private key, when that is a file of its own"},
    "--password": {"metavar": "SOURCE", "help": PASSWORD_HELP},
    "--no-password": {"action": "store_true", "help": "write a private key so that everybody can read it"},
    "--alias": {
        "metavar": "NAME",
        "help": "which one of several keys with certificates in the file: friendly name (Java: alias) or thumbprint",
    },
    "--overwrite": {"action": "store_true", "dest": "force", "help": "replace a file that is there"},
    "--force": {"action": "store_true", "help": "the same as --overwrite"},
    "--profile": {"choices": PROFILE_NAMES, "help": "whose rules to check by"},
    "--client": {"choices": get_args(ClientName), "help": "the one client to ask for: does it take the certificate?"},
    "--ca": {"required": True, "metavar": "FILE", "help": "the authority, with its private key"},
    "--ca-key": {"metavar": "FILE", "help": "its private key, when that is a file of its own (.pvk, .key)"},
    "--ca-password": {"metavar": "SOURCE", "help": PASSWORD_HELP},
    "--ca-alias": {
        "metavar": "NAME",
        "help": "which one of several in that file: friendly name or thumbprint",
    },
    "--organization": {"metavar": "NAME", "help": "organization in the subject (O), at most 64 characters"},
    "--organizational-unit": {"metavar": "NAME", "help": "unit in the subject (OU), at most 64 characters"},
    "--locality": {"metavar": "TOWN", "help": "town in the subject (L), at most 128 characters"},
    "--state": {"metavar": "STATE", "help": "state or province in the subject (ST), written out"},
    "--country": {"metavar": "XX", "help": "country in the subject (C), two letters"},
    "--friendly-name": {"help": "the name that Windows shows in lists"},
    "--exportable": {"action": "store_true", "help": "let the private key be read back later"},
    "--trust-root": {"action": "store_true", "help": "put the chain's root into the store Root"},
    "--option": {
        "action": "append",
        "default": [],
        "metavar": "NAME=VALUE",
        "help": "tls13=no and so on; may be given again",
    },
    "--key-access": {
        "action": "append",
        "metavar": "ACCOUNT",
        "help": "an account that may read the private key, by name or SID; or keep, for those that may read the one "
        "bound now; may be given again",
    },
    "--restart": {"action": "append", "metavar": "SERVICE", "help": "stop it meanwhile, and start it again"},
    "--audit-log": {"metavar": "FILE", "help": "add a JSON line for each change to this file"},
    "--trail": {"dest": "audit_log", "metavar": "FILE", "help": argparse.SUPPRESS},  # the old name of --audit-log
}

SUBJECT = ("--organization", "--organizational-unit", "--locality", "--state", "--country")
"""The shared options for what stands beside the common name of a subject."""


class UsageError(Exception):
    """Words that are no command line of ours; the message says where help is."""


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that says where help is, abbreviates nothing, and shows the defaults of the library.

    An option that is not given is None, and the library's function is called without it; so a default is stated in
    one place, the function's signature.
    """

    library: str | None = None
    """The name in `mlsssl` of that function; looked up for help only, since that imports what the command needs."""

    def __init__(self, *args: object, **options: object) -> None:
        options.setdefault("allow_abbrev", False)
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(*args, **options)  # type: ignore[arg-type]

    def share(self, *names: str, **changes: Any) -> None:
        """Add arguments that several commands have, with these `changes`."""
        for name in names:
            self.add_argument(name, **{**_SHARED[name], **changes})

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        # argparse would take the value of an option that it does not know for the command's name, and show it.
        for word in args or () if self._subparsers is not None else ():
            name = word.partition("=")[0]
            if not word.startswith("-") or word == "--":
                break
            if name not in self._option_string_actions:
                self.error(f"{name} is no option here; options follow the command: {self.prog} COMMAND {name} ...")
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {foreign_text.message(message)}\nTry '{self.prog} --help'.")

    def format_help(self) -> str:
        from inspect import signature  # not free to import, and `--version` does without

        parameters = signature(attrgetter(self.library)(mlsssl)).parameters if self.library else {}
        for action in self._actions:
            default = action.default
            if default is None and action.dest in parameters:
                default = parameters[action.dest].default
            if isinstance(default, dt.timedelta):
                default = default.days
            if isinstance(default, float):
                default = f"{default:.3g}"
            known = type(default) in (str, int) and default != argparse.SUPPRESS
            if known and action.help and "%(default)s" not in action.help:
                action.default = default
                action.help += " (default: %(default)s)"
        return super().format_help()


def command(
    commands: Commands,
    name: str,
    run: Callable[[Namespace, Terminal], int] | None,
    summary: str,
    *shared: str,
    library: str | None = None,
) -> Parser:
    """Add a command that `run` carries out (None for a group), with its `shared` arguments, which others have too."""
    parser = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    if run is not None:
        parser.set_defaults(run=run)
    parser.library = library
    parser.share("--json", default=argparse.SUPPRESS)  # another default would undo a --json that stood further in front
    parser.share(*shared)
    return parser


def group(commands: Commands, name: str, summary: str) -> Commands:
    """Add a group of commands, such as `store`."""
    return command(commands, name, None, summary).add_subparsers(title="commands", metavar="COMMAND", required=True)


def given(arguments: Namespace, *own: str) -> dict[str, Any]:
    """The options that were given, for a function of the library; without `--json`, `--machine` and its `own`."""
    own = ("json", "run", "machine", *own)
    return {name: value for name, value in vars(arguments).items() if value is not None and name not in own}


def given_profile(options: dict[str, Any]) -> dict[str, Any]:
    """The options with `--client` in the profile, for a function of the library that takes a profile alone."""
    client = options.pop("client", None)
    if client is not None:
        options["profile"] = mlsssl.PROFILES[options.get("profile", "private")].for_client(client)
    return options


def given_access(options: dict[str, Any]) -> dict[str, Any]:
    """The options with `--key-access keep` as the library takes it; together with accounts it is one of them."""
    if options.get("key_access") == ["keep"]:
        options["key_access"] = "keep"
    return options


def machine_of(arguments: Namespace) -> mlsssl.Machine:
    """The machine that `--machine FILE` names, else this computer; `NotFoundError` unless it is there."""
    from mlsssl._deploy import machines

    return machines.existing(arguments.machine)


def machine_or_empty(arguments: Namespace) -> contextlib.AbstractContextManager[mlsssl.Machine]:
    """`machine_of`; in place of one that is not there an empty one that nobody keeps, for a plan."""
    from mlsssl._deploy import machines

    return machines.existing_or_empty(arguments.machine)


def machine_to_add_to(
    arguments: Namespace, rehearsal: Callable[[mlsssl.Machine], object]
) -> contextlib.AbstractContextManager[mlsssl.Machine]:
    """`machine_of`, or a new one, which is said; as `machines.to_add_to`."""
    from mlsssl._deploy import machines

    return machines.to_add_to(arguments.machine, rehearsal, _say_made)


def _say_made(file: Path) -> None:
    write(foreign_text.message(f"mlsssl: a new machine was made in {file}"), to=sys.stderr)
