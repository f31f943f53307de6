"""A program as a step after a change: told by variables and JSON, bounded in time and output, without a shell."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import TYPE_CHECKING

from mlsssl._machine import programs
from mlsssl._messages.arguments import check_number
from mlsssl._messages.foreign_text import printable
from mlsssl.errors import HookError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlsssl.hooks import Replacement

__all__ = ["CommandHook"]

LIMIT = 1024 * 1024
"""Bytes that a program may write, on standard output and on standard error each."""

_SHOWN = 300
"""Characters of what it wrote last that are shown when it fails."""

LONGEST = 24 * 60 * 60.0


@dataclass(frozen=True, slots=True)
class CommandHook:
    r"""Run a program after the change.

    It is told of the change twice: in variables of its environment and as one JSON object on standard input, whose
    fields are those of `Replacement.to_dict()`.

    | variable | what |
    |---|---|
    | `MLSSSL_VERB` | `deploy`, `renew` or `undo` |
    | `MLSSSL_KEY` | the binding's key, such as `0.0.0.0:443` |
    | `MLSSSL_KEYS` | the keys of all bindings changed together, that one first, separated by commas |
    | `MLSSSL_OLD_THUMBPRINT`, `MLSSSL_NEW_THUMBPRINT` | 40 hex digits; empty for none |
    | `MLSSSL_STORE` | the LocalMachine store, such as `MY` |
    | `MLSSSL_HOST`, `MLSSSL_HOSTS` | the name that clients connect to; all names, separated by commas |
    | `MLSSSL_MACHINE_KIND` | `windows` or `embedded` |

    No private key and no password is among them. Exit code 0 is success. Any other, a signal, the end of the time, or
    more than 1 MiB of output is a failure, which shows the end of what the program wrote; at the end of the time it is
    killed with everything it started.

    Args:
        command: The program and its arguments, as they are: no shell reads them. A name without a folder is looked
            for in PATH. Others on the machine can read the arguments, so no secret belongs in there.
        timeout: Seconds, more than 0, at most a day.

    Raises:
        InvalidInputError: the command is empty or no list of text, a batch file on Windows, or an impossible time.
    """

    command: Sequence[str]
    timeout: float = field(default=300.0, kw_only=True)

    def __post_init__(self) -> None:
        object.__setattr__(self, "command", tuple(programs.checked_command(self.command)))
        check_number(self.timeout, 0, LONGEST, "timeout is a number of seconds from 0 to a day", above=True)

    @property
    def name(self) -> str:
        """The program's name without its folder."""
        return PurePath(self.command[0]).name or self.command[0]

    def __call__(self, replacement: Replacement) -> None:
        """Run it.

        Raises:
            HookError: it did not end with 0, or not in time.
            NotFoundError: there is no such program.
            AccessDeniedError: this user may not run it.
            NativeError: it cannot be started for another reason.
        """
        run_program(self.command, replacement, name=self.name, timeout=self.timeout)


def run_program(
    command: Sequence[str], replacement: Replacement, *, name: str, timeout: float, more: dict[str, str] | None = None
) -> bytes:
    """Run a program that is told of a replacement, and return its output; errors as `CommandHook`."""
    told = json.dumps(replacement.to_dict()).encode("ascii") + b"\n"
    environment = {**variables(replacement), **(more or {})}
    finished = programs.run(command, input=told, timeout=timeout, environment=environment, limit=LIMIT)
    if finished.code == 0:
        return finished.output
    if finished.stopped is not None:
        how = f"it {finished.stopped}, and was stopped"
    elif finished.code is not None and finished.code < 0:
        how = f"it was ended by signal {-finished.code}"
    else:
        how = f"it ended with exit code {finished.code}"
    wrote = _end_of(finished.error) or _end_of(finished.output)
    raise HookError(f"{name}: {how}" + (f"; it wrote: {wrote}" if wrote else ""))


def variables(replacement: Replacement) -> dict[str, str]:
    """The environment variables of a replacement."""
    return {
        "MLSSSL_VERB": replacement.verb,
        "MLSSSL_KEY": str(replacement.key),
        "MLSSSL_KEYS": ",".join(map(str, replacement.keys)),
        "MLSSSL_OLD_THUMBPRINT": str(replacement.old or ""),
        "MLSSSL_NEW_THUMBPRINT": str(replacement.new or ""),
        "MLSSSL_STORE": replacement.store,
        "MLSSSL_HOST": replacement.host or "",
        "MLSSSL_HOSTS": ",".join(replacement.hosts),
        "MLSSSL_MACHINE_KIND": replacement.machine_kind,
    }


def _end_of(wrote: bytes) -> str:
    """The last of what a program wrote, in one line, fit to be shown."""
    text = " ".join(wrote[-4 * _SHOWN :].decode("utf-8", "replace").split())
    return printable(text if len(text) <= _SHOWN else f"…{text[-_SHOWN:]}")
