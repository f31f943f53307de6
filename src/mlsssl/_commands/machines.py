"""`store …`, `binding …`, `serve`: what looks at a machine or changes it."""

from __future__ import annotations

import contextlib
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

from mlsssl._changes.recovery import changing
from mlsssl._commands.certificates import describe_crl, load
from mlsssl._commands.terminal import read_password
from mlsssl._machine import files
from mlsssl._messages.foreign_text import shown
from mlsssl.binding import Binding, bound_key, change_binding
from mlsssl.errors import InvalidInputError, MalformedDataError, UnsupportedError, WrongPasswordError
from mlsssl.machine import EmbeddedMachine, Machine
from mlsssl.values import BindingOptions, Thumbprint

if TYPE_CHECKING:
    from argparse import Namespace

    from mlsssl._commands.terminal import Terminal
    from mlsssl.certificate import Certificate
    from mlsssl.store import StoreEntry


def machine_of(arguments: Namespace) -> Machine:
    """The machine that `--machine FILE` names, else this computer."""
    return Machine.local() if arguments.machine is None else EmbeddedMachine(arguments.machine)


def _names(certificate: Certificate) -> list[str]:
    """Its names for a list: none where they cannot be read, for the others are to be listed all the same."""
    try:
        return list(certificate.names)
    except MalformedDataError:
        return []


def _entry_row(entry: StoreEntry) -> dict[str, object]:
    certificate = entry.certificate
    return {
        "thumbprint": str(entry.thumbprint),
        "names": _names(certificate) or [certificate.subject],
        "friendly_name": entry.friendly_name,
        "not_after": f"{certificate.not_after:%Y-%m-%d}",
        "days_left": certificate.days_left,
        "has_private_key": entry.has_private_key,
        "key_problem": entry.key.problem if entry.key else None,
        "issuer": certificate.issuer,
        "renewed_by": None if entry.renewed_by is None else str(entry.renewed_by),
    }


_ENTRY_COLUMNS = {
    "thumbprint": "THUMBPRINT",
    "names": "NAMES",
    "not_after": "NOT AFTER",
    "days_left": "DAYS",
    "has_private_key": "KEY",
    "friendly_name": "FRIENDLY NAME",
}


def store_list(arguments: Namespace, terminal: Terminal) -> int:
    """`store list`."""
    with machine_of(arguments) as machine, machine.store(arguments.store, location=arguments.location) as store:
        rows = [_entry_row(entry) for entry in sorted(store, key=lambda entry: entry.certificate.not_after)]
    terminal.table(rows, _ENTRY_COLUMNS, empty=f"{arguments.location}\\{arguments.store} is empty.")
    return 0


def store_add(arguments: Namespace, terminal: Terminal) -> int:
    """`store add FILE`."""
    certificate = load(arguments.file, arguments.password, key=arguments.key)
    with machine_of(arguments) as machine, machine.store(arguments.store, location=arguments.location) as store:
        entry = store.add(
            certificate,
            friendly_name=arguments.friendly_name,
            exportable=arguments.exportable,
            trust_root=arguments.trust_root,
        )
    terminal.result(_entry_row(entry), [repr(entry), f"Thumbprint {entry.thumbprint}"])
    return 0


def store_import(arguments: Namespace, terminal: Terminal) -> int:
    """`store import FILE.pfx`: the file as it is, the way the import wizard takes it."""
    with machine_of(arguments) as machine, machine.store(arguments.store, location=arguments.location) as store:
        options = {"exportable": arguments.exportable, "trust_root": arguments.trust_root}
        try:
            password = None if arguments.password is None else read_password(arguments.password, "the password")
            entry = store.import_pfx(arguments.file, password, friendly_name=arguments.friendly_name, **options)
        except WrongPasswordError:
            if arguments.password is not None:
                raise
            password = read_password(None, f"the password of {arguments.file}")
            entry = store.import_pfx(arguments.file, password, friendly_name=arguments.friendly_name, **options)
    terminal.result(_entry_row(entry), [repr(entry), f"Thumbprint {entry.thumbprint}"])
    return 0


def store_remove(arguments: Namespace, terminal: Terminal) -> int:
    """`store remove THUMBPRINT`."""
    from mlsssl.superseded import needed_by_pending

    with machine_of(arguments) as machine, machine.store(arguments.store, location=arguments.location) as store:
        # So that it is not bound between the look and the removal; a user's own store holds nothing that is bound.
        machine_wide = arguments.location == "LocalMachine"
        with changing(machine.port) if machine_wide else contextlib.nullcontext() as records:
            entry = store[arguments.thumbprint]
            needed = None if records is None else needed_by_pending(records).get(entry.thumbprint)
            if needed and not arguments.force:
                raise InvalidInputError(f"{entry.thumbprint} stays: {needed}; --force removes it all the same")
            bound = [str(b.key) for b in machine.bindings if b.thumbprint == entry.thumbprint]
            if bound and not arguments.force:
                raise InvalidInputError(
                    f"{entry.thumbprint} is bound to {', '.join(bound)}; --force removes it all the same"
                )
            store.remove(entry.thumbprint, delete_key=not arguments.keep_key)
    terminal.result(
        {"removed": str(entry.thumbprint), "key_deleted": not arguments.keep_key}, f"Removed {entry.thumbprint}."
    )
    return 0


_CRL_COLUMNS = {
    "sha1": "SHA-1",
    "issuer": "ISSUER",
    "number": "NUMBER",
    "this_update": "THIS UPDATE",
    "next_update": "NEXT UPDATE",
    "entries": "ENTRIES",
}


def store_crls(arguments: Namespace, terminal: Terminal) -> int:
    """`store crls`."""
    with machine_of(arguments) as machine, machine.store(arguments.store, location=arguments.location) as store:
        rows = [describe_crl(crl) for crl in store.crls()]
    rows.sort(key=lambda row: (str(row["issuer"]), str(row["this_update"])))
    terminal.table(
        rows, _CRL_COLUMNS, empty=f"There are no revocation lists in {arguments.location}\\{arguments.store}."
    )
    return 0


def store_add_crl(arguments: Namespace, terminal: Terminal) -> int:
    """`store add-crl FILE`."""
    with machine_of(arguments) as machine, machine.store(arguments.store, location=arguments.location) as store:
        rows = [describe_crl(crl) for crl in store.add_crl(arguments.file)]
    lines = [f"Added the revocation list {row['sha1']} of {row['issuer']}." for row in rows]
    terminal.result(rows, lines or "Nothing to add: what is in the file is there already.")
    return 0


def store_remove_crl(arguments: Namespace, terminal: Terminal) -> int:
    """`store remove-crl SHA1|FILE`: a file of such a name wins."""
    wanted: Thumbprint | str = arguments.crl
    if not files.exists(Path(arguments.crl)):
        with contextlib.suppress(InvalidInputError):
            wanted = Thumbprint(arguments.crl)
    with machine_of(arguments) as machine, machine.store(arguments.store, location=arguments.location) as store:
        store.remove_crl(wanted)
    terminal.result({"removed": str(wanted)}, f"Removed the revocation list {wanted}.")
    return 0


_BINDING_COLUMNS = {
    "key": "KEY",
    "thumbprint": "THUMBPRINT",
    "store": "STORE",
    "owner": "OWNER",
    "names": "NAMES",
    "days_left": "DAYS",
    "options_text": "OPTIONS",
}


def _binding_row(binding: Binding) -> dict[str, object]:
    certificate = None
    with contextlib.suppress(MalformedDataError):  # the others are to be listed all the same
        certificate = binding.certificate
    return {
        **binding.to_dict(),
        "owner": binding.owner or f"{{{binding.app_id}}}",
        "names": None if certificate is None else _names(certificate),
        "days_left": None if certificate is None else certificate.days_left,
        "options_text": _options_text(binding.options),
    }


def binding_list(arguments: Namespace, terminal: Terminal) -> int:
    """`binding list`."""
    with machine_of(arguments) as machine:
        rows = [_binding_row(binding) for binding in machine.bindings]
    terminal.table(rows, _BINDING_COLUMNS, empty="Nothing is bound.")
    return 0


_UNITS = {"revocation_freshness_time": "seconds", "url_retrieval_timeout": "milliseconds"}


def _options_text(options: BindingOptions) -> str:
    """What differs from the defaults, in the words that --option takes."""
    from dataclasses import fields
    from datetime import timedelta

    default, words = BindingOptions(), []
    for one in fields(options):
        value = getattr(options, one.name)
        if value == getattr(default, one.name):
            continue
        if isinstance(value, timedelta):
            value = value // timedelta(**{_UNITS[one.name]: 1})
        elif isinstance(value, bool):
            value = "yes" if value else "no"
        words.append(f"{one.name}={value}")
    return ", ".join(words) or "default"


def parse_options(settings: list[str], start: BindingOptions) -> BindingOptions:
    """Options from `name=value` words: the names of `BindingOptions`, yes or no, seconds or milliseconds."""
    from dataclasses import fields, replace
    from datetime import timedelta

    known = {one.name: getattr(start, one.name) for one in fields(start)}
    changes: dict[str, object] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        name = name.replace("-", "_")
        if not equals or name not in known:
            raise InvalidInputError(
                f"an option is written name=value, with one of {', '.join(known)}; not {shown(setting)}"
            )
        if isinstance(known[name], bool):
            if value.lower() not in ("yes", "no", "true", "false", "on", "off"):
                raise InvalidInputError(f"{name} is yes or no, not {shown(value)}")
            changes[name] = value.lower() in ("yes", "true", "on")
        elif isinstance(known[name], (timedelta, int)):
            if not (value.isascii() and value.isdigit()):
                raise InvalidInputError(f"{name} is a whole number, not {shown(value)}")
            unit = _UNITS.get(name)
            if len(value) > len(str(2**32)):  # a DWORD at most; more digits overflow timedelta
                raise InvalidInputError(f"{name} is at most {2**32 - 1}, not {value}")
            changes[name] = timedelta(**{unit: int(value)}) if unit else int(value)
        else:
            changes[name] = value or None
    if "revocation_freshness_time" in changes:
        changes.setdefault("use_revocation_freshness_time", None)
    return replace(start, **changes)  # type: ignore[arg-type]  # names and types were matched above


def binding_add(arguments: Namespace, terminal: Terminal) -> int:
    """`binding add KEY THUMBPRINT`."""
    with machine_of(arguments) as machine:
        binding = Binding(
            arguments.key,
            arguments.thumbprint,
            store=arguments.store,
            app_id=arguments.app_id,
            options=parse_options(arguments.option, BindingOptions()),
            machine=machine,
        ).add()
        terminal.result(_binding_row(binding), f"Bound {binding.key} to {binding.thumbprint or 'the CCS'}.")
    return 0


def binding_update(arguments: Namespace, terminal: Terminal) -> int:
    """`binding update KEY`: what is not named stays as it is."""

    def changed(binding: Binding) -> Binding:
        wanted = arguments.thumbprint or binding.thumbprint
        if wanted is not None and (arguments.thumbprint is not None or arguments.store is not None):
            binding = binding.with_certificate(wanted, store=arguments.store)
        elif arguments.store is not None:
            raise InvalidInputError(f"a binding for {binding.key} names no certificate, so no store either")
        return binding.with_options(parse_options(arguments.option, binding.options))

    with machine_of(arguments) as machine:
        binding = change_binding(arguments.key, changed, machine=machine)
        terminal.result(_binding_row(binding), f"Updated {binding.key}.")
    return 0


def binding_remove(arguments: Namespace, terminal: Terminal) -> int:
    """`binding remove KEY`."""
    with machine_of(arguments) as machine:
        with changing(machine.port):  # what a killed change left is no state to read
            binding = machine.bindings[bound_key(arguments.key, machine)]
        binding.remove()
        terminal.result({"removed": str(binding.key)}, f"Removed {binding.key}.")
    return 0


def serve(arguments: Namespace, terminal: Terminal) -> int:
    """`serve`: the embedded machine's bindings on a real TLS listener, until interrupted."""
    if arguments.seconds is not None and not arguments.seconds >= 0:  # not <, for NaN is no number of seconds either
        raise InvalidInputError(f"--seconds is a number from 0 up, not {arguments.seconds}")
    with machine_of(arguments) as machine:
        if not isinstance(machine, EmbeddedMachine):
            raise UnsupportedError("on Windows HTTP.sys itself serves; --machine FILE serves an embedded machine")
        with machine.listen(host=arguments.host, ports=_parse_ports(arguments.port)) as listener:
            rows = [{"port": one.binding_port, "address": str(one)} for one in listener.addresses]
            if arguments.json:
                terminal.result(rows)
            for row in rows:
                terminal.say(f"port {row['port']} of the bindings is on https://{row['address']}/")
            if not rows:
                terminal.say("Nothing is bound yet; what is bound from now on is served.")
            try:
                _sleep(arguments.seconds)
            except KeyboardInterrupt:
                terminal.say("Stopped.")
    return 0


def _sleep(seconds: float | None) -> None:
    # Not Event.wait: on Windows Ctrl-C does not wake it (bugs.python.org/issue35935).
    end = math.inf if seconds is None else time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, 3600))


def _parse_ports(words: list[str]) -> dict[int, int] | None:
    ports: dict[int, int] = {}
    for word in words:
        bound, _, actual = word.partition("=")
        if not (bound.isdecimal() and actual.isdecimal()):
            raise InvalidInputError(f"a port is mapped as BOUND=ACTUAL, for example 443=8443; not {shown(word)}")
        ports[int(bound)] = int(actual)
    return ports or None
