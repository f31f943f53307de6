"""How a command is added to the parser, the options that several commands share, and the machine that they name."""

from __future__ import annotations

import argparse
import datetime as dt
import math
import sys
from collections import deque
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NoReturn, get_args

import mlsssl
from mlsssl._commands.addresses import key_of
from mlsssl._commands.terminal import note
from mlsssl._messages import foreign_text
from mlsssl._messages.arguments import nearest
from mlsssl.errors import InvalidInputError
from mlsssl.values import PROFILE_NAMES, ClientName

if TYPE_CHECKING:
    import contextlib
    from argparse import Namespace
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import TypeAlias

    from mlsssl._commands.terminal import Terminal

    Commands: TypeAlias = "argparse._SubParsersAction[Parser]"  # noqa: SLF001  # typeshed has no other name

PASSWORD_HELP = "where the password comes from: env:NAME, file:PATH, stdin or prompt (never the password itself)"  # noqa: S105


def whole_number(text: str) -> int:
    """The type of an argument that is a whole number; also what `type=int` means here."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"a whole number is needed, not {foreign_text.shown(text)}") from None


def number(text: str, *, least: float = -1e300, most: float = 1e300, what: str = "a number") -> float:
    """The type of an argument that is a number; also what `type=float` means here."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not least <= found <= most:  # nor is NaN
        raise argparse.ArgumentTypeError(f"{what} is needed, not {foreign_text.shown(text)}")
    return found


def seconds(text: str) -> float:
    """The type of an argument that says how long something may take."""
    return number(text, least=0.001, what="a number of seconds above 0")


def binding_key(text: str) -> str:
    """The type of an argument that is a binding's key."""
    try:
        return key_of(text)
    except InvalidInputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


_SHARED: dict[str, dict[str, Any]] = {
    "key": {
        "metavar": "KEY",
        "type": binding_key,
        "help": "0.0.0.0:443, [::]:443, www.example.com:443, or the https:// address that it answers",
    },
    "file": {"metavar": "FILE"},
    "--json": {"action": "store_true", "help": "print the result as one JSON document"},
    "--machine": {"metavar": "FILE", "help": "an embedded machine's file, instead of this computer"},
    "--verbose": {"action": "store_const", "const": "verbose", "dest": "loudness", "help": "also tell what is done"},
    "--quiet": {"action": "store_const", "const": "quiet", "dest": "loudness", "help": "only tell what went wrong"},
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

_SHORT = {"--verbose": "-v", "--quiet": "-q"}

ANYWHERE = ("--json", "--verbose", "--quiet", "--machine")
"""The shared options that may also stand before the command."""

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
        # Each argument that is added is laid out for a trial; how wide the terminal is counts in `format_help` only.
        options.setdefault("formatter_class", partial(argparse.RawDescriptionHelpFormatter, width=80))
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.register("type", int, whole_number)
        self.register("type", float, number)

    def share(self, *names: str, **changes: Any) -> None:
        """Add arguments that several commands have, with these `changes`."""
        for name in names:
            short = [_SHORT[name]] if name in _SHORT else []
            self.add_argument(*short, name, **{**_SHARED[name], **changes})

    def parse_known_args(self, args=None, namespace=None):  # type: ignore[no-untyped-def]
        found, rest = super().parse_known_args(self.ordered(sys.argv[1:] if args is None else args), namespace)
        if rest and self._commands is None:  # options that are not known were refused before
            words = [one for one in rest if one != "--"]
            told = ", ".join(map(foreign_text.shown, words))
            # `store export Root` takes it, `store list --store Root` does not.
            alone = len(words) == 1 and all(action.option_strings for action in self._actions)
            hint = f"; did you mean --store {foreign_text.shown(words[0])}?" if alone and self._find("--store") else ""
            self.error(f"there is no argument for {told} here{hint}")
        return found, rest

    def ordered(self, words: Sequence[str]) -> list[str]:
        """The words as argparse takes them: options first, with two dashes; for a command's parser, what it gets.

        argparse gives up on an argument that may be missing when an option stands before it (`deploy KEY --plan FILE`),
        and would show an option that it does not know together with its value, which may be a password.

        Raises:
            UsageError: an option, or a command, that there is not.
        """
        commands = self._commands
        options: list[str] = []
        behind: list[str] = []  # of a command
        others: list[str] = []
        queue = deque(words)
        while queue:
            word = queue.popleft()
            action = None if word == "--" else self._option(word)
            if action is None and (word == "--" or commands is not None or self._takes_the_rest):
                others += queue if word == "--" else [word, *queue]
                break
            if action is None:
                others.append(word)
                continue
            takes = action.nargs != 0 and "=" not in word
            if takes and (not queue or self._is_option(queue[0])):
                self.error(f"{action.option_strings[-1]} needs a value: {_value_of(action)}")
            to = behind if commands is not None and action.dest in ("json", "loudness", "machine") else options
            to.append(action.option_strings[-1] + "".join(word.partition("=")[1:]))
            if takes:
                to.append(queue.popleft())
            while takes and action.nargs is not None and queue and not self._is_option(queue[0]):
                to.append(queue.popleft())
        if commands is None:
            return [*options, *(["--"] if others and not self._takes_the_rest else []), *others]
        if others and others[0] not in commands:
            self._refuse_command(others[0], [*commands])
        if not others and "--help" not in options and self.prog != "mlsssl":
            self.error(f"a command is missing: {', '.join(commands)}")
        return [*options, *others[:1], *behind, *others[1:]]

    @property
    def _commands(self) -> dict[str, argparse.ArgumentParser] | None:
        """The parsers of the commands below this one by their names; None when it is a command itself."""
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001  # argparse has no public way to ask
                return action.choices
        return None

    @property
    def _takes_the_rest(self) -> bool:
        return any(action.nargs == argparse.REMAINDER for action in self._actions)

    def _option(self, word: str) -> argparse.Action | None:
        """The option that a word names, whatever dashes it has, as pasted from a page; None when it names none."""
        name = option_name(word)
        if name is None:
            return None
        found = self._find(name)
        if found is None:
            self._refuse_option(name)
        return found

    def _is_option(self, word: str) -> bool:
        name = option_name(word)
        return name is not None and self._find(name) is not None

    def _find(self, name: str) -> argparse.Action | None:
        bare = name.lstrip("-")
        known = self._option_string_actions
        return known.get(name) or known.get(f"--{bare}") or known.get(f"-{bare}")

    def _refuse_command(self, name: str, known: list[str]) -> NoReturn:
        from mlsssl._commands.also_called import commands_for

        near = commands_for(name, known) or nearest(name, known)
        if not near and self._find(f"--{name}"):  # `mlsssl help`, `mlsssl version`
            near = [f"--{name}"]
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
        self.error(f"there is no command {name}; {hint}")

    def _refuse_option(self, name: str) -> NoReturn:
        if self._commands is not None:
            hint = f" before the command; options follow it: {self.prog} COMMAND {name} ..."
        elif name == "--machine":
            hint = f"; '{self.prog}' is about no machine"
        else:
            from mlsssl._commands.also_called import hint_for

            bare = name.lstrip("-").lower()
            known = {one.lstrip("-"): one for one in self._option_string_actions}
            near = " or ".join(known[one] for one in nearest(bare, [*known]))
            hint = hint_for(bare, self.prog, self._actions) or (near and f"; did you mean {near}?")
            if not hint and self._takes_the_rest:
                hint = f"; options of what is scheduled follow it: {self.prog} renew {name} ..."
        self.error(f"there is no option {name}{hint}")

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
        self.formatter_class = argparse.RawDescriptionHelpFormatter
        return super().format_help()


def _value_of(action: argparse.Action) -> str:
    return str(action.metavar or (", ".join(map(str, action.choices)) if action.choices else "text"))


def option_name(word: str) -> str | None:
    """The part of a word before its equals sign when it looks like an option: with plain dashes, however many."""
    name = word.partition("=")[0]
    if not name.isascii():
        from mlsssl.netsh import normalize  # which reads the old tools' pasted lines

        name = normalize(name)
    bare = name.lstrip("-")
    first = bare[:1]  # a number (-1) is none, nor is what has blanks in it
    plain = first.isascii() and first.isalpha() and not any(map(str.isspace, bare))
    return name if bare != name and plain else None


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
    parser.share("--json", "--verbose", "--quiet", default=argparse.SUPPRESS)
    parser.share(*shared)
    return parser


def group(commands: Commands, name: str, summary: str) -> Commands:
    """Add a group of commands, such as `store`."""
    parser = command(commands, name, None, summary)
    parser.share("--machine", default=argparse.SUPPRESS)
    return parser.add_subparsers(title="commands", metavar="COMMAND", required=True)


def given(arguments: Namespace, *own: str) -> dict[str, Any]:
    """The options that were given, for a function of the library; without those that may stand anywhere, and `own`."""
    own = ("json", "loudness", "run", "machine", *own)
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
    note(f"a new machine was made in {file}")
