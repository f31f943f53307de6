"""A change and the steps after it as one: no two processes at the steps of one key, and what a failed step leads to.

The lock of the key's steps is held from before the change until the last step. Another process that finds steps owed
so never runs them beside the one that owes them.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from mlsssl._changes import recovery
from mlsssl._changes.record import key_text
from mlsssl._deploy import steps
from mlsssl._deploy.apply import Failure, Outcome
from mlsssl._select.ports import HasPort, port_of
from mlsssl.errors import BindingError, DeploymentError, MlssslError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlsssl._deploy.request import Request
    from mlsssl._formats.binding_keys import BindingKey
    from mlsssl._machine.ports import MachinePort
    from mlsssl.certificate import Certificate
    from mlsssl.errors import HookError
    from mlsssl.hooks import Hook


@contextlib.contextmanager
def alone(port: MachinePort, key: BindingKey, *, wait: bool = True) -> Iterator[None]:
    """Hold the lock of a key's steps; `BindingError` when somebody else holds it, after a minute or (no `wait`) now."""
    name = f"after-{hashlib.sha256(key_text(key).encode()).hexdigest()[:16]}"
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(port.lock(name, timeout=recovery.LOCK_TIMEOUT if wait else 0))
        except BindingError as error:
            raise BindingError(f"the steps after a change of {key} are running already: {error}") from None
        yield


def follow(request: Request, outcome: Outcome, certificate: Certificate) -> Outcome:
    """Run the steps after a change, or those that an earlier one has left over; the outcome with what came of it.

    The caller is `alone`. `DeploymentError` when a step of this very change failed and the request says to undo.
    """
    made = outcome._change  # noqa: SLF001
    change = made or steps.owed_to(port_of(request.machine), outcome.key)
    if change is None:
        return outcome
    given = None if made is None else certificate
    lines, failure = steps.run_owed(change, request.hooks, machine=request.machine, certificate=given)
    outcome = replace(outcome, done=(*outcome.done, *lines))
    if made is not None:
        outcome = replace(outcome, _hooks=request.hooks)
    if failure is None:
        return outcome
    step, error = failure
    if made is not None and request.after_failure == "undo":
        raise _undone(outcome, request.hooks[: len(lines) + 1], step, error) from steps.as_hook_error(step, error)
    return replace(outcome, findings=(*outcome.findings, steps.failed(outcome.key, step, error)))


def left_over(key: BindingKey, hooks: Sequence[Hook], machine: HasPort | None) -> tuple[list[str], HookError | None]:
    """Run what an earlier change of this key has left over: a line for each step done, and why one failed.

    Nothing when another process is at them right now.
    """
    port = port_of(machine)
    with contextlib.ExitStack() as held:
        if steps.owed_to(port, key) is None:  # who owes nothing needs no lock
            return [], None
        try:
            held.enter_context(alone(port, key, wait=False))
        except BindingError:
            return [], None
        change = steps.owed_to(port, key)
        if change is None:
            return [], None
        lines, failure = steps.run_owed(change, hooks, machine=machine, certificate=None)
        return lines, None if failure is None else steps.as_hook_error(*failure)


def _undone(outcome: Outcome, hooks: Sequence[Hook], step: str, error: Exception) -> DeploymentError:
    """Take a change back whose step failed; the steps that ran, and the failed one, which may be half done, follow."""
    undone: tuple[str, ...] = ()
    to_do: list[str] = []
    state: Literal["old", "unknown"] = "old"
    try:
        back = outcome.undo(hooks=hooks)
    except MlssslError as second:
        state = "unknown"
        to_do.append(f"taking the change back stopped too ({second}); look which binding is in force")
    else:
        undone = back.done
        to_do += [
            f"{one.found}, also for what is bound again: look whether it has the old certificate"
            for one in back.findings
            if one.code == "after-failed"
        ]
    failure = Failure(
        verb=outcome.verb,
        key=str(outcome.key),
        reason=f"the step {step} failed: {steps.reason(step, error)}",
        done=outcome.done,
        undone=undone,
        to_do=tuple(to_do),
        state=state,
    )
    return DeploymentError(str(failure), failure=failure)
