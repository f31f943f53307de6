"""`dsc …`: a binding as a command-based resource of Microsoft's DSC v3, as the manifest beside this module says.

An instance comes as JSON from standard input or `--input`; each result is JSON on a line of its own. `test` and
`set --what-if` are the plan of `deploy`, `set` is `deploy`.
"""

from __future__ import annotations

import contextlib
import json
import sys
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import mlsssl
from mlsssl._commands.binding import parse_options
from mlsssl._commands.parser import command, group, machine_of, machine_or_empty, machine_to_add_to
from mlsssl._commands.terminal import write
from mlsssl._formats.binding_keys import BindingFamily
from mlsssl._messages.foreign_text import shown
from mlsssl._messages.output import as_json
from mlsssl._netsh.options import TIME_UNITS
from mlsssl.errors import InvalidInputError, MalformedDataError, StoreNotFoundError

if TYPE_CHECKING:
    from argparse import Namespace

    from mlsssl._commands.parser import Commands
    from mlsssl._commands.terminal import Terminal

MANIFEST = "mlsssl.dsc.resource.json"
"""The manifest's name, which DSC finds it by. The wheel puts it beside the program too, where DSC looks for it."""

_LONGEST = 1024 * 1024  # octets of an instance
_TYPES = {"string": str, "boolean": bool, "integer": int, "array": list, "object": dict}
_CCS = (BindingFamily.CCS, BindingFamily.SCOPED_CCS)


def add_commands(commands: Commands) -> None:
    """Add the parsers of this module's commands."""
    resource = group(commands, "dsc", "a binding as a resource of DSC v3, for WinGet and Machine Configuration")
    for name, run, summary in (
        ("get", get, "how a binding is"),
        ("test", test, "whether a binding is as it should be"),
        ("set", set_, "make a binding as it should be"),
    ):
        parser = command(resource, name, run, summary, "--machine")
        parser.add_argument("--input", metavar="JSON", help="the instance; from standard input when not given")
        if run is set_:
            parser.add_argument("--what-if", action="store_true", help="only say how the binding would be")
    parser = command(resource, "export", export, "every binding, one on a line", "--machine")
    parser.add_argument("--input", metavar="JSON", help="an instance: only the binding of its key")


def manifest() -> dict[str, Any]:
    """The resource's manifest."""
    from importlib.resources import files

    found: dict[str, Any] = json.loads(files(__package__).joinpath(MANIFEST).read_bytes())
    return found


def get(arguments: Namespace, terminal: Terminal) -> int:
    """`dsc get`: how the binding is, whatever the rest of the instance says."""
    wanted = _instance(arguments)
    with machine_of(arguments) as machine:
        _tell(_state(wanted, machine))
    return 0


def test(arguments: Namespace, terminal: Terminal) -> int:
    """`dsc test`: how the binding is, with `_inDesiredState`; 0 in both cases, as DSC wants it."""
    wanted = _instance(arguments)
    with machine_of(arguments) as machine:
        _tell({**_state(wanted, machine), "_inDesiredState": not _differs(wanted, machine)})
    return 0


def set_(arguments: Namespace, terminal: Terminal) -> int:
    """`dsc set`: deploy, or remove where `_exist` is false; with `--what-if` only the plan."""
    wanted = _instance(arguments)
    if arguments.what_if:
        with machine_or_empty(arguments) as machine:
            _tell(_expected(wanted, machine))
        return 0
    if not wanted.get("_exist", True):
        with machine_of(arguments) as machine:
            _remove(wanted, machine)
            _tell(_state(wanted, machine))
        return 0

    def refused(machine: mlsssl.Machine) -> None:
        _plan(wanted, machine).report.raise_for_errors()

    with machine_to_add_to(arguments, refused) as machine:
        if _differs(wanted, machine):
            mlsssl.deploy(wanted["key"], _certificate(wanted, machine), machine=machine, **_options(wanted))
        _tell(_state(wanted, machine))
    return 0


def export(arguments: Namespace, terminal: Terminal) -> int:
    """`dsc export`: bindings of the CCS families are left out, for they name no certificate to deploy."""
    from mlsssl.binding import bound_key

    wanted = _instance(arguments) if arguments.input else None
    with machine_of(arguments) as machine:
        only = None if wanted is None else bound_key(wanted["key"], machine)
        for binding in machine.bindings:
            if binding.family not in _CCS and only in (None, binding.key):
                _tell(_of(binding))
    return 0


def _tell(state: dict[str, object]) -> None:
    write(json.dumps(state))


def _instance(arguments: Namespace) -> dict[str, Any]:
    """The instance that was given, looked at by the schema that the manifest has for it.

    Raises:
        MalformedDataError: it is no JSON object, or longer than a mebibyte.
        InvalidInputError: a property is missing, unknown, or of another type.
    """
    if arguments.input is not None:
        data = arguments.input.encode("utf-8", "surrogateescape")
    elif sys.stdin is None:
        raise InvalidInputError("the instance is to come from standard input, which is closed; or give it as --input")
    else:
        data = sys.stdin.buffer.read(_LONGEST + 1)
    if len(data) > _LONGEST:
        raise MalformedDataError(f"an instance of more than {_LONGEST} bytes is not read")
    try:
        found = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise MalformedDataError(f"the instance is no JSON text: {str(error)[:200]}") from None
    schema = manifest()["schema"]["embedded"]
    own = schema["properties"]
    own["_exist"], own["_inDesiredState"] = {"type": "boolean"}, {"type": "boolean"}  # DSC's own: there by reference
    _check(found, schema, "the instance")
    checked: dict[str, Any] = found
    if "thumbprint" in checked and "file" in checked:
        raise InvalidInputError("an instance names its certificate by thumbprint or by file, not by both")
    if "file" not in checked and (extra := {"keyFile", "password"} & {*checked}):
        raise InvalidInputError(f"{' and '.join(sorted(extra))} is for file, which is not given")
    if (password := checked.get("password")) is not None and not password.startswith(("env:", "file:")):
        raise InvalidInputError(
            "password says where it comes from, env:NAME or file:PATH; what was given is neither and is not shown, for "
            "it may be the password"
        )
    return checked


def _check(value: object, schema: dict[str, Any], where: str) -> None:
    """Names and types, by what of JSON Schema the manifest uses."""
    expected = _TYPES[schema["type"]]
    if not isinstance(value, expected) or (expected is int and isinstance(value, bool)):
        raise InvalidInputError(f"{where} is of type {schema['type']}, not {shown(value)}")
    if isinstance(value, list):
        for one in value:
            _check(one, schema["items"], f"each of {where}")
    if isinstance(value, dict):
        known = schema["properties"]
        for name, one in value.items():
            if name not in known:
                raise InvalidInputError(f"{where} has no property {shown(name)}; it has {', '.join(known)}")
            _check(one, known[name], name)
        for name in schema.get("required", ()):
            if name not in value:
                raise InvalidInputError(f"{where} has no {name}")
    if isinstance(value, int) and not isinstance(value, bool) and value < schema["minimum"]:
        raise InvalidInputError(f"{where} is at least {schema['minimum']}, not {shown(value)}")


def _of(binding: mlsssl.Binding) -> dict[str, object]:
    """A binding as an instance; its options all of them, so that any can be compared with a desired one."""
    options = {one.name: getattr(binding.options, one.name) for one in fields(binding.options)}
    return {
        "key": str(binding.key),
        "_exist": True,
        "thumbprint": str(binding.thumbprint),
        "store": binding.store_name,
        "appId": str(binding.app_id),
        "options": {
            name: as_json(value // TIME_UNITS[name] if name in TIME_UNITS else value)
            for name, value in options.items()
            if value is not None
        },
    }


def _state(wanted: dict[str, Any], machine: mlsssl.Machine) -> dict[str, object]:
    """The instance as it is: the binding of its key, and the reservation if the instance names one."""
    from mlsssl.binding import bound_key

    binding = machine.bindings.find(bound_key(wanted["key"], machine))
    if binding is not None and binding.family in _CCS:
        raise InvalidInputError(f"a binding for {binding.key} names no certificate; this resource is of those that do")
    state = {"key": wanted["key"], "_exist": False} if binding is None else _of(binding)
    if "reservation" in wanted:
        reserved = machine.reservations.find(wanted["reservation"]["url"])
        if reserved is not None:
            state["reservation"] = {"url": reserved.url.written, "sddl": reserved.sddl}
    return state


def _certificate(wanted: dict[str, Any], machine: mlsssl.Machine) -> mlsssl.Certificate | mlsssl.Thumbprint:
    """What to bind: a file's, one in the store, the one that is bound, or the renewed one that took their place."""
    from mlsssl._commands.certificate import load_quietly
    from mlsssl.binding import bound_key

    bound = machine.bindings.find(bound_key(wanted["key"], machine))
    present = None if bound is None else bound.thumbprint
    if "file" in wanted:
        certificate = load_quietly(wanted["file"], wanted.get("password"), key=wanted.get("keyFile"))
        renewed = wanted.get("acceptRenewed", True) and bound is not None and _took_its_place(bound, certificate)
        return present if renewed and present is not None else certificate
    if "thumbprint" not in wanted:
        if present is None:
            raise InvalidInputError(
                f"nothing is bound to {shown(wanted['key'])}: name a certificate by thumbprint or file"
            )
        return present
    thumbprint = mlsssl.Thumbprint(wanted["thumbprint"])
    if wanted.get("acceptRenewed", True) and bound is not None and present is not None and present != thumbprint:
        where = mlsssl.Store.open(wanted.get("store", bound.store_name or "MY"), machine=machine)
        with where as store, contextlib.suppress(StoreNotFoundError):  # then `deploy` says that it is not there
            if _took_its_place(bound, store[thumbprint].certificate):
                return present
    return thumbprint


def _took_its_place(bound: mlsssl.Binding, wanted: mlsssl.Certificate) -> bool:
    """Whether what is bound is the wanted certificate's renewal: the same issuer, the same names, and it ends later."""
    present = bound.certificate
    return (
        present is not None
        and present.issuer == wanted.issuer
        and {*present.names} == {*wanted.names}
        and present.not_after > wanted.not_after
    )


def _options(wanted: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `deploy` beside key, certificate and machine."""
    names = {"store": "store", "appId": "app_id", "trustRoot": "trust_root", "keyAccess": "key_access"}
    options: dict[str, Any] = {ours: wanted[name] for name, ours in names.items() if name in wanted}
    if "options" in wanted:
        words = [f"{name}={_word(value)}" for name, value in wanted["options"].items()]
        options["options"] = lambda present: parse_options(words, present)
    if "reservation" in wanted:
        options["reserve"] = wanted["reservation"]["url"]
        if "users" not in wanted["reservation"]:
            raise InvalidInputError("a reservation is for users, which are not given")
        options["user"] = wanted["reservation"]["users"]
    return options


def _word(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _plan(wanted: dict[str, Any], machine: mlsssl.Machine) -> mlsssl.Plan:
    return mlsssl.deploy.plan(wanted["key"], _certificate(wanted, machine), machine=machine, **_options(wanted))


def _differs(wanted: dict[str, Any], machine: mlsssl.Machine) -> bool:
    """Whether `set` would change something."""
    state = _state(wanted, machine)
    if not wanted.get("_exist", True):
        return bool(state["_exist"] or "reservation" in state)
    return not state["_exist"] or _plan(wanted, machine).changes


def _expected(wanted: dict[str, Any], machine: mlsssl.Machine) -> dict[str, object]:
    """The state after `set`; what would stop it is raised here as it is there."""
    if not wanted.get("_exist", True):
        return {"key": wanted["key"], "_exist": False}
    plan = _plan(wanted, machine)
    plan.report.raise_for_errors()
    assert plan.after is not None
    expected = _of(plan.after)
    if "reservation" in wanted:
        expected["reservation"] = wanted["reservation"]
    return expected


def _remove(wanted: dict[str, Any], machine: mlsssl.Machine) -> None:
    from mlsssl._changes.recovery import changing
    from mlsssl.binding import bound_key

    with changing(machine.port):  # what a killed change left is no state to read
        binding = machine.bindings.find(bound_key(wanted["key"], machine))
    if binding is not None:
        binding.remove()
    if "reservation" in wanted and (reserved := machine.reservations.find(wanted["reservation"]["url"])) is not None:
        reserved.remove()
