"""Carrying a deployment out: prepared and done under the machine's lock, with notes for `audit` and `cleanup`."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from mlsssl._changes import audit_log, recovery
from mlsssl._changes.roots_file import RootsFile
from mlsssl._changes.superseded_file import Superseded, SupersededFile
from mlsssl._deploy.apply import look, refuse_pending_of_others, run
from mlsssl._deploy.prepare import forbidden, prepare, report_of, stores_of
from mlsssl._messages.foreign_text import clean_logger
from mlsssl._select.ports import port_of
from mlsssl._validator.report import Severity
from mlsssl.errors import MlssslError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlsssl._changes.record import Change, ChangeRecords
    from mlsssl._deploy.apply import Outcome
    from mlsssl._deploy.prepare import Prepared, Task
    from mlsssl._deploy.request import Request
    from mlsssl._deploy.snapshot import Snapshot


def carry_out(request: Request, *, snapshot: Snapshot | None = None) -> Outcome:
    """Prepare the deployment and do it under the machine's lock, then look at what listens.

    `snapshot` is the machine as seen while other changes were planned.
    """
    return carry_out_as(request, lambda: prepare(request, snapshot and snapshot.for_the_next()))


def carry_out_as(request: Request, preparing: Callable[[], Prepared]) -> Outcome:
    """What `preparing` gives under the machine's lock, done; then the look at what listens, and the steps after it."""
    if not request.hooks:  # who has no steps does without their modules
        return _changed(request, preparing)[1]
    from mlsssl._deploy import after

    with after.alone(port_of(request.machine), request.key):
        prepared, outcome = _changed(request, preparing)
        if any(one.code == "binding-kept" for one in prepared.findings):
            return outcome
        return after.follow(request, outcome, prepared.task.certificate)


def _changed(request: Request, preparing: Callable[[], Prepared]) -> tuple[Prepared, Outcome]:
    with recovery.changing(port_of(request.machine), request.key) as records:
        prepared = preparing()
        outcome = _execute(prepared, records)
    return prepared, look(prepared.task, outcome)


def _execute(prepared: Prepared, records: ChangeRecords) -> Outcome:
    """Carry out what was prepared, under the lock that its maker holds."""
    task = prepared.task
    request = task.request
    conflict = next((one for one in prepared.findings if one.code == "binding-exists"), None)
    if conflict is not None:
        raise forbidden(request, conflict)
    # Also when there is nothing to do: "bound already" is no answer to whether it is right for this name, today.
    kept = any(one.code == "binding-kept" for one in prepared.findings)
    if not request.force and not kept and any(one.severity is Severity.ERROR for one in prepared.findings):
        report_of(request, prepared.findings).raise_for_errors()
    refuse_pending_of_others(records, task.change)
    if task.changes or prepared.steps_owed:
        if request.audit_log is not None:
            audit_log.try_to_open(request.audit_log)
        _note_superseded(request, task.change, records)
    outcome = run(task, records)
    _note_roots(task, records)
    return outcome


def _note_roots(task: Task, records: ChangeRecords) -> None:
    try:
        RootsFile(records.folder).add(task.roots)
    except MlssslError as error:  # the deployment is done; the worst is a finding of `audit` too many
        clean_logger("mlsssl").warning("the roots of %s are not noted for audit: %s", task.change.key, error)


def _note_superseded(request: Request, change: Change, records: ChangeRecords) -> None:
    # Before the change: should it be killed in between, an entry without a mark is passed over.
    older, grace = request.older, request.grace
    if older is None or grace is None or change.after is None or older.thumbprint == change.after.thumbprint:
        return
    moment = dt.datetime.now(dt.timezone.utc)
    stores_of_it = stores_of(request.store or "MY", change.also)
    entries = (Superseded(store=one, thumbprint=older.thumbprint, at=moment, grace=grace) for one in stores_of_it)
    SupersededFile(records.folder).add(*entries)
