"""`--after`: the steps after a change, as words of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlsssl._commands.parser import seconds
from mlsssl._machine.programs import split_command
from mlsssl.errors import InvalidInputError

if TYPE_CHECKING:
    from mlsssl._commands.parser import Parser
    from mlsssl.hooks import Hook

_PEM = ("nginx", "apache", "haproxy")
"""`bundles.Server`, which is not imported for the sake of `--help`."""

_OWN = ("after", "after_timeout", "after_password", "after_account")


def add_after(parser: Parser, *, failure: bool = True) -> None:
    """Add the options that say what to do after a change; `failure` with what a step's failure leads to."""
    parser.add_argument(
        "--after",
        action="append",
        metavar="STEP",
        help="after a change: rdp or winrm (the listener gets the certificate), pfx=FILE, nginx=FOLDER, apache=FOLDER, "
        "haproxy=FOLDER (files are written), or a program with its arguments, without a shell; may be given again",
    )
    parser.add_argument(
        "--after-timeout", type=seconds, metavar="SECONDS", help="for each step that runs a program (default: 300)"
    )
    parser.add_argument(
        "--after-password",
        metavar="SOURCE",
        help="for the files of --after: where their password comes from, env:NAME or file:PATH",
    )
    parser.add_argument("--after-account", metavar="NAME", help="for the files of --after: the account that reads them")
    if failure:
        parser.add_argument(
            "--after-failure", choices=("report", "undo"), help="when a step fails: say so, or take the change back too"
        )


def with_hooks(options: dict[str, Any]) -> dict[str, Any]:
    """The options with `hooks` in the place of what says the same on the command line."""
    own = {name: options.pop(name, None) for name in _OWN}
    if own["after"] is None:
        if any(value is not None for value in own.values()) or "after_failure" in options:
            raise InvalidInputError("--after-… says how to do what --after names, which is missing")
        return options
    files: dict[str, Any] = {"account": own["after_account"], **_password(own["after_password"])}
    hooks = [_hook(step, files, own["after_timeout"]) for step in own["after"]]
    if any(files.values()) and not any(step.partition("=")[0] in ("pfx", *_PEM) for step in own["after"]):
        raise InvalidInputError("--after-password and --after-account are about files, and no --after writes one")
    return {**options, "hooks": hooks}


def _hook(step: str, files: dict[str, Any], timeout: float | None) -> Hook:
    """The step behind one `--after`."""
    from mlsssl.hooks.command import CommandHook
    from mlsssl.hooks.files import PemFiles, PfxFile
    from mlsssl.hooks.windows import RdpListener, WinRmListener

    limits: dict[str, Any] = {} if timeout is None else {"timeout": timeout}
    kind, equals, where = step.partition("=")
    if step == "rdp":
        return RdpListener(**limits)
    if step == "winrm":
        return WinRmListener(**limits)
    if equals and kind == "pfx":
        return PfxFile(where, **files)
    if equals and kind in _PEM:
        return PemFiles(where, kind, **files)  # type: ignore[arg-type]  # looked at just above
    return CommandHook(split_command(step, "--after"), **limits)


def _password(source: str | None) -> dict[str, str]:
    kind, _, name = (source or "").partition(":")
    if source is None:
        return {}
    if kind in ("env", "file") and name:
        return {f"password_{kind}": name}
    raise InvalidInputError(
        "--after-password is env:NAME or file:PATH, for a step cannot ask; what was given is not shown, for it may be "
        "the password"
    )
