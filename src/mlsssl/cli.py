"""The command line: its parser, put together from the commands' own, and what happens with their errors and results.

A command imports its own module alone and what that needs; `--help` and completion, which read them all, import no
cryptography. `__main__.py` answers `--version` before any of this.
"""

from __future__ import annotations

import codecs
import io
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from mlsssl import errors
from mlsssl._commands.parser import ANYWHERE, Parser, UsageError, command, option_name
from mlsssl._commands.remedies import fields_in_commands, in_commands
from mlsssl._commands.terminal import Terminal, as_loud_as, forget, write_aside
from mlsssl._messages import foreign_text
from mlsssl._version import __version__

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

# The most specific class that fits wins; 1 is a negative answer (a check with errors), 2 argparse's own.
EXIT_CODES: tuple[tuple[type[errors.MlssslError], int], ...] = (
    (errors.ValidationError, 1),
    (errors.InvalidInputError, 2),
    (errors.NotFoundError, 3),
    (errors.ExistsError, 4),
    (errors.AccessDeniedError, 5),
    (errors.MalformedDataError, 6),
    (errors.UnsupportedError, 7),
    (errors.UnusableCertificateError, 8),
    (errors.HookError, 12),
    (errors.IssuePendingError, 13),
    (errors.IssuerError, 11),
    (errors.MlssslError, 9),
)
# MakeCert, Pvk2Pfx and netsh as they were, with one word put in front.
OLD_COMMANDS = ("makecert", "pvk2pfx", "netsh")
# The module of `_commands` that has each command, in the order of the help.
_MODULES = {
    "ca": "authority",
    "issue": "authority",
    "request": "request",
    "check": "certificate",
    "show": "certificate",
    "explain": "certificate",
    "pfx": "certificate",
    "store": "store",
    "binding": "binding",
    "reservation": "reservation",
    "ccs": "ccs",
    "serve": "serve",
    "deploy": "deployment",
    "renew": "deployment",
    "undo": "deployment",
    "recover": "deployment",
    "cleanup": "deployment",
    "audit": "deployment",
    "dsc": "dsc",
    "revoke": "acme",
    "health": "watch",
    "quickstart": "quickstart",
    "schedule": "schedule",
}

_EPILOG = """\
exit codes:
  0 done   1 the answer is no   2 wrong usage or input   3 not found   4 exists already   5 access denied
  6 unreadable file or wrong password   7 not supported here   8 certificate unusable for HTTP.sys   9 other failure
  11 an issuer refuses or cannot be asked   12 done, but a step after it failed   13 an issuer has no answer yet
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: The arguments without the program's name; `sys.argv` when not given.

    Returns:
        The exit code; `mlsssl --help` lists them.
    """
    try:
        try:
            _write_what_the_terminal_can()
            return _answer(list(sys.argv[1:] if argv is None else argv))
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # here, where a full disk or a reader that went away can still be told
    except BrokenPipeError:  # `mlsssl … | head`
        forget(sys.stdout)
        return 141
    except OSError as error:
        _complain(f"mlsssl: {error}")
        forget(sys.stdout)
        return 9
    except KeyboardInterrupt:
        _complain("mlsssl: interrupted")
        return 130
    except Exception:  # noqa: BLE001 -- Python's own way out ends with 1, which means "the answer is no" here
        import traceback

        _complain(f"mlsssl: this is a defect of mlsssl; please report it\n{traceback.format_exc().rstrip()}")
        return 9


def _answer(words: list[str]) -> int:
    parser = build_parser(_asked(words))
    try:
        words = parser.ordered(words)
        if words and words[0] in OLD_COMMANDS:
            # Their words are not argparse's: -opt, /opt, name=value.
            return _run(_old(words))
        arguments = parser.parse_args(words)
    except UsageError as error:
        message = str(error)
        if any(word.lower() == "-encodedcommand" for word in words):  # --app-id {…} in PowerShell
            from mlsssl._netsh.command import split_at_braces

            message = f"mlsssl: {split_at_braces(words)}"
        if "--json" in words:
            Terminal(as_json=True).result({"error": "UsageError", "message": message, "exit_code": 2})
        _complain(message)
        return 2
    if not hasattr(arguments, "run"):
        parser.print_help()
        return 2
    return _run(arguments)


def _asked(words: Sequence[str]) -> str | None:
    """The command among the words, behind options that stand before it; None when it is none that `_MODULES` has."""
    waiting = iter(words)
    for word in waiting:
        name = option_name(word)
        if name is None:
            return word if word in _MODULES else None
        if name.lstrip("-") == "machine" and "=" not in word:
            next(waiting, None)
    return None


def build_parser(asked: str | None = None) -> Parser:
    """The parser of the whole command line; when the command `asked` for is known, with those of its module alone."""
    parser = Parser(prog="mlsssl", description="HTTPS for a Windows service, renewed for ever.", epilog=_EPILOG)
    parser.add_argument("--version", action="version", version=f"mlsssl {__version__}")
    parser.share(*ANYWHERE)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for module in dict.fromkeys(_MODULES.values()) if asked is None else (_MODULES[asked],):
        more = (build_parser,) if module == "schedule" else ()  # which reads what is scheduled
        import_module(f"mlsssl._commands.{module}").add_commands(commands, *more)
    for name in OLD_COMMANDS:
        commands.add_parser(name, help=f"{name}'s own command line, word for word; '{name} --help' says more")
    if asked is None:
        from mlsssl._commands.completion.shells import SCRIPTS

        scripts = command(commands, "completion", _complete, "print the script that completes words in a shell")
        scripts.add_argument("shell", choices=SCRIPTS)
    return parser


def _complete(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """`completion SHELL`: a script that asks `completion --candidates` at each Tab, which `__main__` answers."""
    from mlsssl._commands.completion.shells import script

    text = script(arguments.shell)
    terminal.product({"shell": arguments.shell, "script": text}, text.rstrip("\n"))
    return 0


def _old(words: list[str]) -> argparse.Namespace:
    from mlsssl._commands.old_tools.run import read_words

    return read_words(words)


def _run(arguments: argparse.Namespace) -> int:
    terminal = Terminal(as_json=arguments.json)
    with as_loud_as(arguments.loudness):
        try:
            return int(arguments.run(arguments, terminal))
        except errors.MlssslError as error:
            return _tell(error, arguments, terminal)


# What we print beyond ASCII, for terminals without it: Windows' code pages 437 and 1252, the locale C.
_PLAIN = {"→": "->", "…": "...", "–": "-", "—": "-", "’": "'", "“": '"', "”": '"', "·": "-", "×": "x", "²": "2"}


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    written = "".join(
        _PLAIN.get(c) or c.encode("ascii", "backslashreplace").decode("ascii")
        for c in error.object[error.start : error.end]
    )
    return written, error.end


def _write_what_the_terminal_can() -> None:
    codecs.register_error("mlsssl.plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="mlsssl.plain")


def _complain(text: str) -> None:
    write_aside(foreign_text.without_secrets(text))


def _tell(error: errors.MlssslError, arguments: argparse.Namespace, terminal: Terminal) -> int:
    # A deployment that stopped ends with the code of what stopped it.
    cause = error.__cause__ if isinstance(error, errors.DeploymentError) else None
    reason = cause if isinstance(cause, errors.MlssslError) else error
    code = next(code for kind, code in EXIT_CODES if isinstance(reason, kind))
    if arguments.json:
        told: dict[str, object] = {"error": type(error).__name__, "message": str(error), "exit_code": code}
        for name in ("failure", "report"):
            value = getattr(error, name, None)
            if value is not None:
                told[name] = value.to_dict()
        terminal.result(fields_in_commands(told))
    _complain(f"mlsssl: {in_commands(str(error))}")
    causes = [str(item) for item in getattr(reason, "diagnosis", ())]
    for item in causes if len(causes) > 1 else ():  # a single one is in the message
        _complain(in_commands(f"  - {item}"))
    below = error.__cause__ if arguments.loudness == "verbose" else None
    while below is not None:
        _complain(f"  caused by {type(below).__name__}: {foreign_text.message(str(below))}")
        below = below.__cause__
    return code
