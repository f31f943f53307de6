"""`binding …`: TLS bindings of HTTP.sys; and their options as `--option NAME=VALUE` takes them and lists show them."""

from __future__ import annotations

import contextlib
from dataclasses import fields, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import mlsssl
from mlsssl._commands.parser import command, group, machine_of, machine_to_add_to
from mlsssl._commands.store import names_of
from mlsssl._formats.binding_keys import BindingOptions
from mlsssl._messages.arguments import nearest
from mlsssl._messages.foreign_text import shown
from mlsssl._messages.tables import cell
from mlsssl._netsh.options import TIME_UNITS, changed_options
from mlsssl.errors import InvalidInputError, MalformedDataError

if TYPE_CHECKING:
    from argparse import Namespace

    from mlsssl._commands.parser import Commands
    from mlsssl._commands.terminal import Terminal


def add_commands(commands: Commands) -> None:
    """Add the parsers of this module's commands."""
    bindings = group(commands, "binding", "TLS bindings of HTTP.sys")
    command(bindings, "list", list_bindings, "list every binding", "--machine")
    for name, run, summary in (
        ("add", add, "bind a certificate to a key"),
        ("update", update, "change a binding in one step"),
        ("remove", remove, "remove a binding"),
    ):
        parser = command(bindings, name, run, summary, "--machine")
        parser.share("key", help="0.0.0.0:443, [::]:443, host:443, ccs=443, scopedccs=host:443")
        if run is not remove:
            summary = "the certificate; none for the two CCS families"
            parser.add_argument("thumbprint", nargs="?", metavar="THUMBPRINT", help=summary)
            parser.add_argument("--store", help="the LocalMachine store it is in; MY by default")
            parser.share("--option")
        if run is add:
            parser.add_argument("--app-id", metavar="GUID", help="the owner; a new random GUID by default")


_BINDING_COLUMNS = {
    "key": "KEY",
    "thumbprint": "THUMBPRINT",
    "store": "STORE",
    "owner": "OWNER",
    "names": "NAMES",
    "days_left": "DAYS",
    "options_text": "OPTIONS",
}


def binding_row(binding: mlsssl.Binding) -> dict[str, object]:
    """A binding as it is listed: with the names of its certificate and the days that are left to it."""
    certificate = None
    with contextlib.suppress(MalformedDataError):  # the others are to be listed all the same
        certificate = binding.certificate
    return {
        **binding.to_dict(),
        "owner": binding.owner or f"{{{binding.app_id}}}",
        "names": None if certificate is None else names_of(certificate),
        "days_left": None if certificate is None else certificate.days_left,
        "options_text": _options_text(binding.options),
    }


def list_bindings(arguments: Namespace, terminal: Terminal) -> int:
    """`binding list`."""
    with machine_of(arguments) as machine:
        rows = [binding_row(binding) for binding in machine.bindings]
    terminal.table(rows, _BINDING_COLUMNS, empty="Nothing is bound.")
    return 0


def _options_text(options: BindingOptions) -> str:
    """What differs from the defaults, in the words that --option takes."""
    words = []
    for name, value in changed_options(options).items():
        words.append(f"{name}={cell(value) if isinstance(value, bool) else value}")
    return ", ".join(words) or "default"


def parse_options(settings: list[str], start: BindingOptions) -> BindingOptions:
    """Options from `name=value` words: the names of `BindingOptions`, yes or no, seconds or milliseconds."""
    known = {one.name: getattr(start, one.name) for one in fields(start)}
    changes: dict[str, object] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        name = name.replace("-", "_")
        if name not in known:
            near = nearest(name, [*known])
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
            raise InvalidInputError(f"--option takes name=value, and there is no {shown(name)}; {hint}")
        if not equals:
            example = cell(known[name]) if isinstance(known[name], bool) else "VALUE"
            raise InvalidInputError(f"--option takes name=value, such as {name}={example}; not {shown(setting)}")
        if isinstance(known[name], bool):
            if value.lower() not in ("yes", "no", "true", "false", "on", "off"):
                raise InvalidInputError(f"{name} is yes or no, not {shown(value)}")
            changes[name] = value.lower() in ("yes", "true", "on")
        elif isinstance(known[name], (timedelta, int)):
            if not (value.isascii() and value.isdigit()):
                raise InvalidInputError(f"{name} is a whole number, not {shown(value)}")
            if len(value) > len(str(2**32)):  # a DWORD at most; more digits overflow timedelta
                raise InvalidInputError(f"{name} is at most {2**32 - 1}, not {value}")
            changes[name] = int(value) * TIME_UNITS.get(name, 1)
        else:
            changes[name] = value or None
    if "revocation_freshness_time" in changes:
        changes.setdefault("use_revocation_freshness_time", None)
    return replace(start, **changes)  # type: ignore[arg-type]  # names and types were matched above


def add(arguments: Namespace, terminal: Terminal) -> int:
    """`binding add KEY THUMBPRINT`."""

    def add_to(machine: mlsssl.Machine) -> mlsssl.Binding:
        return mlsssl.Binding(
            arguments.key,
            arguments.thumbprint,
            store=arguments.store,
            app_id=arguments.app_id,
            options=parse_options(arguments.option, BindingOptions()),
            machine=machine,
        ).add()

    with machine_to_add_to(arguments, add_to) as machine:
        binding = add_to(machine)
        terminal.result(binding_row(binding), f"Bound {binding.key} to {binding.thumbprint or 'the CCS'}.")
    return 0


def update(arguments: Namespace, terminal: Terminal) -> int:
    """`binding update KEY`: what is not named stays as it is."""

    def changed(binding: mlsssl.Binding) -> mlsssl.Binding:
        wanted = arguments.thumbprint or binding.thumbprint
        if wanted is not None and (arguments.thumbprint is not None or arguments.store is not None):
            binding = binding.with_certificate(wanted, store=arguments.store)
        elif arguments.store is not None:
            raise InvalidInputError(f"a binding for {binding.key} names no certificate, so no store either")
        return binding.with_options(parse_options(arguments.option, binding.options))

    from mlsssl.binding import change_binding

    with machine_of(arguments) as machine:
        binding = change_binding(arguments.key, changed, machine=machine)
        terminal.result(binding_row(binding), f"Updated {binding.key}.")
    return 0


def remove(arguments: Namespace, terminal: Terminal) -> int:
    """`binding remove KEY`."""
    from mlsssl._changes.recovery import changing
    from mlsssl.binding import bound_key

    with machine_of(arguments) as machine:
        with changing(machine.port):  # what a killed change left is no state to read
            binding = machine.bindings[bound_key(arguments.key, machine)]
        binding.remove()
        terminal.result({"removed": str(binding.key)}, f"Removed {binding.key}.")
    return 0
