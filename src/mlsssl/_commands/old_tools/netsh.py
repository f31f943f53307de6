"""`mlsssl netsh http … sslcert`: netsh's command lines, word for word, against this machine or an embedded one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsssl._changes.recovery import add_record, remove_record, replace_record
from mlsssl._commands.old_tools.command_lines import explain, unquote
from mlsssl._select.ports import port_of
from mlsssl.errors import BindingNotFoundError
from mlsssl.netsh import NetshCommand, format_listing, parse_command

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlsssl._commands.old_tools.command_lines import AskPassword
    from mlsssl.machine import Machine

_DONE = {"add": "added", "update": "updated", "delete": "deleted"}


def run(
    argv: Sequence[str],
    *,
    machine: Machine | None,
    ask_password: AskPassword | None = None,
    out: Callable[[str], object],
    explain_only: bool = False,
) -> int:
    """Run a command line of `netsh http add | update | delete | show sslcert`.

    Args:
        argv: The words after `netsh`; `http` may be missing.
        machine: Whose bindings; this computer's when None.
        ask_password: Not used; every old command takes it.
        out: Takes the lines to print.
        explain_only: Print the modern call instead of doing anything.

    Returns:
        0.

    Raises:
        MalformedDataError: it is no such command; the message names the parameter.
        BindingError: as `Binding.add`, `update` and `remove` raise them.
    """
    command = parse_command(_join(argv))
    if explain_only:
        _explain(command, out)
        return 0
    port = port_of(machine)
    if command.verb == "show":
        found = port.bindings
        records = found.all() if command.key is None else [record for record in [found.find(command.key)] if record]
        if command.key is not None and not records:
            raise BindingNotFoundError(f"The system cannot find the file specified: nothing is bound to {command.key}")
        out(format_listing(records))
        return 0
    assert command.key is not None
    if command.verb == "delete":
        remove_record(port, command.key)
    elif command.record is not None and command.verb == "add":
        add_record(port, command.record)
    elif command.record is not None:
        replace_record(port, command.record)
    out(f"SSL Certificate successfully {_DONE[command.verb]}")
    return 0


def _join(argv: Sequence[str]) -> list[str]:
    """Words as a shell gave them; a value in typographic quotes, which no shell knows, comes in pieces."""
    words, queue = [], list(argv)
    while queue:
        name, equals, value = queue.pop(0).partition("=")
        words.append(f"{name}={unquote(value, queue)}" if equals else name)
    return words


def _explain(command: NetshCommand, out: Callable[[str], object]) -> None:
    key = command.key
    if command.verb == "show" or key is None:
        explain(
            out,
            command_line="mlsssl binding list",
            python="Binding.all()",
            better=("values instead of text whose labels change with Windows' version and language",),
        )
    elif command.verb == "delete":
        explain(
            out,
            command_line=f"mlsssl binding remove {key}",
            python=f'Binding.get("{key}").remove()',
            better=("to renew, nothing needs to be deleted: renew() changes the binding in one step",),
        )
    else:
        thumbprint = command.record.thumbprint if command.record else None
        explain(
            out,
            command_line=f"mlsssl binding {command.verb} {key}" + (f" {thumbprint}" if thumbprint else ""),
            python=f'deploy("{key}", cert)',
            better=(
                "certificate, store and binding in one call, all or nothing, and the same again is no error",
                "no thumbprint is copied by hand, no GUID is made on a website",
                "1312 comes with the cause that holds and what to do",
            ),
        )
