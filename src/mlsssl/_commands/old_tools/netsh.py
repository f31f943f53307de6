"""`mlsssl netsh http … sslcert`: netsh's command lines, word for word, against this machine or an embedded one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsssl._changes.recovery import add_record, remove_record, replace_record
from mlsssl._commands.old_tools.command_lines import unquote
from mlsssl._select.ports import port_of
from mlsssl.errors import BindingNotFoundError, InvalidInputError, MalformedDataError
from mlsssl.netsh import NetshCommand, format_listing, parse_command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlsssl._commands.old_tools.command_lines import Context

_DONE = {"add": "added", "update": "updated", "delete": "deleted"}


def run(argv: Sequence[str], context: Context) -> int:
    """Run the words after `netsh` of `netsh http add | update | delete | show sslcert`; `http` may be missing."""
    command = read_command(argv)
    if context.explain_only:
        return _explain(command, context)
    record = command.record
    if command.verb == "add" and record is not None:
        context.add_to_machine(lambda machine: add_record(port_of(machine), record))
        context.out(f"SSL Certificate successfully {_DONE[command.verb]}")
        return 0
    port = port_of(context.machine())
    if command.verb == "show":
        found = port.bindings
        records = found.all() if command.key is None else [record for record in [found.find(command.key)] if record]
        if command.key is not None and not records:
            raise BindingNotFoundError(f"The system cannot find the file specified: nothing is bound to {command.key}")
        context.out(format_listing(records))
        return 0
    assert command.key is not None
    if command.verb == "delete":
        remove_record(port, command.key)
    elif record is not None:
        replace_record(port, record)
    context.out(f"SSL Certificate successfully {_DONE[command.verb]}")
    return 0


def read_command(argv: Sequence[str]) -> NetshCommand:
    """The command in words as a shell gave them: a value in typographic quotes, which no shell knows, is in pieces.

    `InvalidInputError` when it is none: at the command line that is wrong usage, and no file that cannot be read.
    """
    words, queue = [], list(argv)
    while queue:
        name, equals, value = queue.pop(0).partition("=")
        words.append(f"{name}={unquote(value, queue)}" if equals else name)
    try:
        return parse_command(words)
    except MalformedDataError as error:
        raise InvalidInputError(str(error)) from None


def _explain(command: NetshCommand, context: Context) -> int:
    key = command.key
    if command.verb == "show" or key is None:
        return context.explain(
            "mlsssl binding list",
            "Binding.all()",
            "values instead of text whose labels change with Windows' version and language",
        )
    if command.verb == "delete":
        return context.explain(
            f"mlsssl binding remove {key}",
            f'Binding.get("{key}").remove()',
            "to renew, nothing needs to be deleted: renew() changes the binding in one step",
        )
    thumbprint = command.record.thumbprint if command.record else None
    return context.explain(
        f"mlsssl binding {command.verb} {key}" + (f" {thumbprint}" if thumbprint else ""),
        f'deploy("{key}", cert)',
        "certificate, store and binding in one call, all or nothing, and the same again is no error",
        "no thumbprint is copied by hand, no GUID is made on a website",
        "1312 comes with the cause that holds and what to do",
    )
