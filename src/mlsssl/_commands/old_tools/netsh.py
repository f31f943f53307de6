"""`mlsssl netsh http …`: netsh's command lines, word for word, against this machine or an embedded one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsssl._changes.recovery import add_record, changing, remove_record, replace_record
from mlsssl._commands.old_tools.command_lines import unquote
from mlsssl._machine.ports import HttpNumber
from mlsssl._messages.foreign_text import shown
from mlsssl._netsh.http_command import NUMBERS, object_of
from mlsssl._select.ports import port_of
from mlsssl.errors import BindingNotFoundError, InvalidInputError, MalformedDataError, ReservationNotFoundError
from mlsssl.netsh import (
    HttpCommand,
    NetshCommand,
    format_listing,
    format_urlacl_listing,
    parse_command,
    parse_http_command,
)
from mlsssl.reservation import IpListenList, UrlReservation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlsssl._commands.old_tools.command_lines import Context
    from mlsssl.machine import Machine

_DONE = {"add": "added", "update": "updated", "delete": "deleted"}


def run(argv: Sequence[str], context: Context) -> int:
    """Run the words after `netsh` of `netsh http add | update | delete | show …`; `http` may be missing."""
    words = _words(argv)
    try:
        about = object_of(words)
    except MalformedDataError as error:
        raise InvalidInputError(str(error)) from None
    if about != "sslcert":
        return _run_other(words, context)
    command = read_command(words)
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
    """The command in words as a shell gave them.

    `InvalidInputError` when it is none: at the command line that is wrong usage, and no file that cannot be read.
    """
    try:
        return parse_command(_words(argv))
    except MalformedDataError as error:
        raise InvalidInputError(str(error)) from None


def _words(argv: Sequence[str]) -> list[str]:
    """The words as a shell gave them; a value in typographic quotes, which no shell knows, is in pieces."""
    words, queue = [], list(argv)
    while queue:
        name, equals, value = queue.pop(0).partition("=")
        words.append(f"{name}={unquote(value, queue)}" if equals else name)
    return words


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


# -- what is not about TLS bindings -------------------------------------------------------------------------------

_NOUNS = {
    "urlacl": "URL reservation",
    "iplisten": "IP address",
    "timeout": "Timeout",
    "cacheparam": "Cache parameter",
    "setting": "Setting",
}


def _run_other(words: Sequence[str], context: Context) -> int:
    try:
        command = parse_http_command(words)
    except MalformedDataError as error:
        raise InvalidInputError(str(error)) from None
    if context.explain_only:
        return _explain_other(command, context)
    if command.verb == "add":
        context.add_to_machine(lambda machine: _add(command, machine))
    elif command.verb == "delete":
        _delete(command, context.machine())
    else:
        context.out(_show(command, context.machine()))
        return 0
    context.out(f"{_NOUNS[command.object]} successfully {_DONE[command.verb]}")
    return 0


def _add(command: HttpCommand, machine: Machine) -> None:
    if command.url is not None:
        _reservation(command, machine).add()
    elif command.address is not None:
        IpListenList(machine=machine).add(command.address)
    elif command.number is not None and command.value is not None:
        with changing(machine.port):
            machine.port.http_settings.set_number(command.number, command.value)


def _reservation(command: HttpCommand, machine: Machine) -> UrlReservation:
    assert command.url is not None
    user = _user(command)
    if command.sddl is None:
        return UrlReservation(command.url, user=user, listen=command.listen, delegate=command.delegate, machine=machine)
    made = UrlReservation(command.url, sddl=command.sddl, machine=machine)
    # netsh takes both. Which of them counts when they differ it does not say.
    if user is not None and machine.port.account(user).sid not in [grant.sid for grant in made.grants]:
        raise InvalidInputError(f"sddl= says nothing of user={shown(user)}: give one of the two")
    return made


def _user(command: HttpCommand) -> str | None:
    """Whom to allow; netsh shows and takes the name of an account of no domain behind a backslash."""
    return None if command.user is None else command.user.removeprefix("\\")


def _delete(command: HttpCommand, machine: Machine) -> None:
    if command.url is not None:
        machine.reservations[command.url].remove()
    elif command.address is not None:
        IpListenList(machine=machine).remove(command.address)
    elif command.number is not None:
        with changing(machine.port):
            machine.port.http_settings.reset_number(command.number)


def _show(command: HttpCommand, machine: Machine) -> str:
    port = machine.port
    if command.object == "urlacl":
        if command.url is None:
            records = port.reservations.all()
        else:
            found = port.reservations.find(command.url)
            if found is None:
                raise ReservationNotFoundError(
                    f"The system cannot find the file specified: {command.url} is not reserved"
                )
            records = [found]
        return format_urlacl_listing(records, name_of=lambda sid: port.account(sid).name)
    if command.object == "iplisten":
        title = "IP addresses present in the IP listen list:"
        return "\n".join(
            ["", title, "-" * len(title), "", *(f"    {one}" for one in IpListenList(machine=machine)), ""]
        )
    titles = {"timeout": "HTTP service timeouts:", "cacheparam": "HTTP cache parameters:", "setting": "HTTP settings:"}
    title = titles[command.object]
    lines = ["", title, "-" * len(title), ""]
    for which in NUMBERS[command.object].values():
        value = port.http_settings.number(which)
        lines.append(f"    {_LABELS[which]:<40}: {'not set' if value is None else value}")
    return "\n".join([*lines, ""])


_LABELS = {
    HttpNumber.IDLE_CONNECTION_SECONDS: "Idle connection timeout (secs)",
    HttpNumber.HEADER_WAIT_SECONDS: "Header wait timeout (secs)",
    HttpNumber.MAX_CACHE_RESPONSE_BYTES: "Maximum cached response size (bytes)",
    HttpNumber.CACHE_RANGE_CHUNK_BYTES: "Cache range chunk size (bytes)",
    HttpNumber.TLS_THROTTLE: "SSL throttle",
}


_NUMBERS_ARE_BETTER = "None where nothing is configured, and what was there is put back when a change fails"


def _explain_other(command: HttpCommand, context: Context) -> int:
    if command.object == "urlacl":
        return _explain_urlacl(command, context)
    if command.object == "iplisten":
        calls = {"add": f'.add("{command.address}")', "delete": f'.remove("{command.address}")', "show": ""}
        python = f"IpListenList(){calls[command.verb]}" if command.verb != "show" else "list(IpListenList())"
    else:
        kind = "HttpTimeouts" if command.object == "timeout" else "HttpLimits"
        python = f"{kind}.get()" if command.verb == "show" else f"replace({kind}.get(), ...).set()"
    return context.explain(
        f"mlsssl netsh http {command.verb} {command.object}",
        python,
        "values instead of text whose labels change with Windows' version and language",
        *([] if command.object == "iplisten" else [_NUMBERS_ARE_BETTER]),
    )


def _explain_urlacl(command: HttpCommand, context: Context) -> int:
    if command.verb == "show":
        return context.explain(
            "mlsssl reservation list",
            "UrlReservation.all()",
            "values instead of text whose labels change with Windows' version and language",
        )
    if command.verb == "delete":
        return context.explain(
            f"mlsssl reservation remove {command.url}",
            f'UrlReservation.get("{command.url}").remove()',
            "to let somebody else listen, nothing needs to be deleted: update() replaces the reservation",
        )
    user, url = _user(command), command.url
    who = f'--user "{user}"' if command.sddl is None else f'--sddl "{command.sddl}"'
    who += "" if command.listen else " --no-listen"
    who += " --delegate" if command.delegate else ""
    python = f"user={user!r}" if command.sddl is None else f"sddl={command.sddl!r}"
    python += "" if command.listen else ", listen=False"
    python += ", delegate=True" if command.delegate else ""
    noun = f'UrlReservation("{url}", {python})'
    if url is None or url.scheme != "https":  # no certificate is bound for it
        return context.explain(
            f"mlsssl reservation add {url} {who}",
            f"{noun}.add()",
            "a prefix without its slash, a relative path or a misspelt account is told before anything changes",
        )
    plain = command.sddl is None and command.listen and not command.delegate
    reserve = f'"{url}", {python}' if plain else noun
    return context.explain(
        f"mlsssl reservation add {url} {who}",
        f'deploy("0.0.0.0:{url.port}", cert, reserve={reserve})',
        "certificate, store, binding and reservation in one call, all or nothing, and the same again is no error",
        "a prefix without its slash, a relative path or a misspelt account is told before anything changes",
    )
