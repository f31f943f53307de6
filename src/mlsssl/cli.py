"""The command line: its parser, put together from the commands' own, and what happens with their errors and results.

`--version`, `--help` and completion import no cryptography.
"""

from __future__ import annotations

import argparse
import codecs
import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING

from mlsssl import errors
from mlsssl._commands import (
    acme,
    authority,
    binding,
    ccs,
    certificate,
    deployment,
    dsc,
    quickstart,
    request,
    reservation,
    schedule,
    serve,
    store,
    watch,
)
from mlsssl._commands.parser import Parser, UsageError, command
from mlsssl._commands.remedies import fields_in_commands, in_commands
from mlsssl._commands.terminal import Terminal, write
from mlsssl._messages import foreign_text
from mlsssl._version import __version__

if TYPE_CHECKING:
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
    words = list(sys.argv[1:] if argv is None else argv)
    _write_what_the_terminal_can()
    if words and words[0] in OLD_COMMANDS:
        # Their words are not argparse's: -opt, /opt, name=value, typographic dashes.
        return _run(argparse.Namespace(json=False, run=_run_old, words=words))
    parser = build_parser()
    try:
        arguments, rest = parser.parse_known_args(words)
        if rest:
            # Of an option not its value: --pasword hunter2 would show what --password hides.
            options = [word.partition("=")[0] for word in rest if word.startswith("-")]
            parser.error(f"unrecognized arguments: {' '.join(options or rest)}")
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


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = Parser(prog="mlsssl", description="HTTPS for a Windows service, renewed for ever.", epilog=_EPILOG)
    parser.add_argument("--version", action="version", version=f"mlsssl {__version__}")
    parser.share("--json")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    nouns = (authority, request, certificate, store, binding, reservation, ccs)
    for module in (*nouns, serve, deployment, dsc, acme, watch, quickstart):
        module.add_commands(commands)
    schedule.add_commands(commands, parser)
    for name in OLD_COMMANDS:
        commands.add_parser(name, help=f"{name}'s own command line, word for word; '{name} --help' says more")
    script = command(commands, "completion", _complete, "print a completion script")
    script.add_argument("shell", choices=("bash", "zsh", "tcsh"))
    script.set_defaults(whole=parser)
    return parser


def _complete(arguments: argparse.Namespace, terminal: Terminal) -> int:
    """`completion SHELL`: a static script, made by shtab, so that completing a word starts no Python at all."""
    try:
        import shtab
    except ImportError:
        raise errors.UnsupportedError("completion needs shtab: pip install 'mlsssl[cli]'") from None

    script = shtab.complete(arguments.whole, arguments.shell)
    terminal.result({"shell": arguments.shell, "script": script}, script)
    return 0


def _run_old(arguments: argparse.Namespace, terminal: Terminal) -> int:
    from mlsssl._commands.old_tools.run import run_old

    return run_old(arguments, terminal)


def _run(arguments: argparse.Namespace) -> int:
    terminal = Terminal(as_json=arguments.json)
    try:
        try:
            code = int(arguments.run(arguments, terminal))
        except errors.MlssslError as error:
            code = _tell(error, arguments, terminal)
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where a full disk or a reader that went away can still be told
    except BrokenPipeError:  # `mlsssl … | head`
        _forget_output()
        return 141
    except OSError as error:
        _complain(f"mlsssl: {error}")
        _forget_output()
        return 9
    except KeyboardInterrupt:
        _complain("mlsssl: interrupted")
        return 130
    except Exception:  # noqa: BLE001 -- Python's own way out ends with 1, which means "the answer is no" here
        import traceback

        _complain(f"mlsssl: this is a defect of mlsssl; please report it\n{traceback.format_exc().rstrip()}")
        return 9
    return code


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


def _forget_output() -> None:
    # What is left in the buffer has nowhere to go; Python would try, and complain, at exit.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(text: str) -> None:
    write(foreign_text.without_secrets(text), to=sys.stderr)


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
    _complain(in_commands(f"mlsssl: {error}"))
    causes = [str(item) for item in getattr(reason, "diagnosis", ())]
    for item in causes if len(causes) > 1 else ():  # a single one is in the message
        _complain(in_commands(f"  - {item}"))
    return code
