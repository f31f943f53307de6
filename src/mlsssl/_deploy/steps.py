"""The steps after a change (`hooks=`): run in order, and what is left of them when one fails or is killed.

Their names are in the record of the change from its beginning, so no kill loses them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mlsssl._changes import recovery
from mlsssl._changes.record import ChangeRecords
from mlsssl._machine import stores
from mlsssl._select.ports import HasPort, port_of
from mlsssl._validator.findings import machine_finding
from mlsssl.certificate import Certificate
from mlsssl.errors import HookError, MlssslError
from mlsssl.hooks import Replacement, name_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlsssl._changes.record import Change
    from mlsssl._formats.binding_keys import BindingKey
    from mlsssl._machine.ports import MachinePort
    from mlsssl._validator.report import Finding
    from mlsssl.hooks import Hook
    from mlsssl.values import Thumbprint


def names(hooks: Sequence[Hook]) -> tuple[str, ...]:
    """What the record of a change calls these steps."""
    return tuple(map(name_of, hooks))


def owed_to(port: MachinePort, key: BindingKey) -> Change | None:
    """The last change of this key, if steps after it are still to be run and the binding is still as it left it."""
    change = ChangeRecords(port.state_folder).last(key)
    if change is None or not change.owed or port.bindings.find(key) != change.after:
        return None
    return change


def run_owed(
    change: Change, hooks: Sequence[Hook], *, machine: HasPort | None, certificate: Certificate | None
) -> tuple[list[str], tuple[str, Exception] | None]:
    """Run what is owed after a change; a line for each step done, and the first that failed, with its error.

    What follows a step that failed is not run, for it may build on it: it stays owed. What is owed are the last ones
    of the steps given; when they are called otherwise now, all are run. `certificate` is the new one where this
    process has made the change; without it the change was left over.
    """
    port = port_of(machine)
    called = names(hooks)
    first = len(called) - len(change.owed)
    if first < 0 or called[first:] != change.owed:
        first = 0
    told = _replacement(change, machine, certificate)
    lines: list[str] = []
    for number, hook in enumerate(hooks[first:], first):
        failure: tuple[str, Exception] | None = None
        owed = called[number:]
        try:
            hook(told)
            lines.append(f"ran the step {called[number]}")
            owed = called[number + 1 :]
        except Exception as error:  # noqa: BLE001 -- whatever a step raises is its failure, and told
            failure = called[number], error
        try:
            with recovery.looking(port) as records:
                records.settle_steps(change, owed)
        except MlssslError as error:
            failure = failure or (called[number], HookError(f"it ran, but that cannot be written down: {error}"))
        if failure is not None:
            return lines, failure
    return lines, None


def run_back(change: Change, hooks: Sequence[Hook], *, machine: HasPort | None) -> tuple[list[str], list[Finding]]:
    """Run steps after the undo of a change, told of it the other way round, the last one first; each is tried."""
    told = _replacement(replace(change, verb="undo", before=change.after, after=change.before), machine, None)
    lines, findings = [], []
    for hook in reversed(hooks):
        step = name_of(hook)
        try:
            hook(told)
            lines.append(f"ran the step {step} for what is bound again")
        except Exception as error:  # noqa: BLE001 -- whatever a step raises is its failure, and told
            findings.append(failed(told.key, step, error))
    return lines, findings


def failed(key: BindingKey, step: str, error: Exception) -> Finding:
    """The finding of a step that failed."""
    return machine_finding("after-failed", str(key), f"the step {step} failed: {reason(step, error)}")


def as_hook_error(step: str, error: Exception) -> HookError:
    """What a step raised, as an error of ours that names it; the error itself is its `__cause__`."""
    if isinstance(error, HookError):
        return error
    made = HookError(f"{step}: {reason(step, error)}")
    made.__cause__ = error
    return made


def reason(step: str, error: Exception) -> str:
    """Why a step failed, without its name where the message begins with it."""
    text = str(error) or type(error).__name__
    return (text if isinstance(error, MlssslError) else f"{type(error).__name__}: {text}").removeprefix(f"{step}: ")


def _replacement(change: Change, machine: HasPort | None, certificate: Certificate | None) -> Replacement:
    assert change.key is not None
    before, after = change.before, change.after
    record = before if after is None else after
    assert record is not None
    port = port_of(machine)
    found = certificate or _stored(port, record.store, record.thumbprint)
    left_over = certificate is None and change.verb != "undo"
    keys = change.keys
    if left_over:  # somebody may have changed another one since
        keys = tuple(
            key for key, (_, after) in zip(keys, change.bindings, strict=True) if port.bindings.find(key) == after
        )
    return Replacement(
        verb=change.verb,  # type: ignore[arg-type]  # only these three have steps
        key=change.key,
        keys=keys,
        old=None if before is None else before.thumbprint,
        new=None if after is None else after.thumbprint,
        store=record.store,
        hosts=() if found is None else found.hosts,
        left_over=left_over,
        machine=machine,
        _certificate=certificate,
    )


def _stored(port: MachinePort, store: str, thumbprint: Thumbprint | None) -> Certificate | None:
    record = None if thumbprint is None else stores.certificate(port, store, thumbprint)
    try:
        return None if record is None else Certificate.from_der(record.certificate)
    except MlssslError:
        return None  # a damaged one has no names to tell
