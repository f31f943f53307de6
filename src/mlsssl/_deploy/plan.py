"""A deployment in words, before anything is done: its steps, its findings, and the difference that it makes."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlsssl._changes import recovery
from mlsssl._deploy import preflight
from mlsssl._deploy.carry_out import carry_out_as
from mlsssl._deploy.prepare import conflicts, other_bindings, prepare, readers_of, report_of
from mlsssl._deploy.snapshot import Snapshot
from mlsssl._messages.foreign_text import printable
from mlsssl._messages.output import as_dict, to_json
from mlsssl._select.ports import port_of
from mlsssl._validator.report import Finding, Report, Severity
from mlsssl.binding import Binding, binding_of
from mlsssl.errors import BindingError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from mlsssl._changes.record import Grant
    from mlsssl._deploy.apply import Outcome
    from mlsssl._deploy.prepare import Prepared, Task
    from mlsssl._deploy.request import Request
    from mlsssl._formats.binding_keys import BindingKey
    from mlsssl._machine.ports import MachinePort
    from mlsssl._notebook.cards import Printer


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a plan.

    Attributes:
        action: `ask-issuer`, `add-certificate`, `add-chain`, `trust-root`, `grant-key`, `stop-service`, `bind`,
            `update`, `replace` (deleted and set again, where the system has no atomic update), `start-service`,
            `mark-renewed`, `verify`, `after` (a step of `hooks=`, those included that an earlier change has left over).
        what: The step in words.
    """

    action: str
    what: str

    def __str__(self) -> str:
        return self.what


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What `deploy` or `renew` would do; nothing is done until `apply`.

    Attributes:
        key: The binding's key.
        before: The binding as it is; None when nothing is bound.
        after: The binding as it will be; None when its certificate is still to be issued.
        also: The other bindings that change together with it (`everywhere=True`), as they will be.
        steps: In order; empty when there is nothing to do.
        findings: What the preflight found, errors first.
    """

    key: BindingKey
    before: Binding | None
    after: Binding | None
    steps: tuple[Step, ...]
    findings: tuple[Finding, ...]
    also: tuple[Binding, ...] = ()
    _request: Request = field(repr=False, compare=False)
    _task: Task | None = field(repr=False, compare=False)
    _later: Callable[[], Outcome] | None = field(default=None, repr=False, compare=False)

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.steps)

    @property
    def owner_is_new(self) -> bool:
        """Whether `after.app_id` was made for this plan, at random, since nobody said whose the new binding is.

        `apply` uses that very one; another plan, or `deploy`, makes another.
        """
        return self.before is None and self.after is not None and self._request.app_id is None

    @property
    def ok(self) -> bool:
        """Whether no finding is an error, so that `apply` goes ahead."""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)

    @property
    def report(self) -> Report:
        """The findings as a report."""
        return report_of(self._request, self.findings)

    @property
    def diff(self) -> tuple[tuple[str, str | None, str | None], ...]:
        """Each field of the binding that changes: its name, how it was, how it will be.

        `key_access` among them: who besides SYSTEM and the administrators may read the certificate's private key.
        """
        before, after = _fields(self.before), _fields(self.after)
        if self._task is None:
            after = {**before, "thumbprint": "of the certificate that is issued then"}
        if self.owner_is_new:
            after["app_id"] = f"{after['app_id']}, made for this plan"
        if self._task is not None:
            before["key_access"], after["key_access"] = map(_named, self._task.readers)
        return tuple(
            (name, before.get(name), after.get(name))
            for name in {**before, **after}
            if before.get(name) != after.get(name)
        )

    def apply(self) -> Outcome:
        """Do exactly what the plan says, if the machine is still as it was when the plan was made.

        A step `ask-issuer` asks then, and what is issued is checked, by the preflight too, before anything changes.

        Raises:
            BindingExistsError: the key has a binding, and `on_conflict` says to leave it.
            ValidationError: a finding is an error; `.report` has them all. `force=True` goes on all the same.
            BindingError: somebody has changed the binding or the store since; plan again. Or an earlier change of this
                binding is pending.
            NotFoundError, AccessDeniedError, InvalidInputError, NativeError: the audit log cannot be written;
                nothing was done.
            DeploymentError: it stopped in the middle; `.failure` says what was done, what was undone and what is
                left.
            IssuerError: the issuer refuses, could not be asked, or (`IssuePendingError`) has no answer yet.
        """
        task = self._task
        if task is None:
            assert self._later is not None
            return self._later()

        def prepared_again() -> Prepared:
            planned = task.change.after
            prepared = prepare(task.request, app_id=None if planned is None else planned.app_id)
            now = _plan_of(prepared)
            if (now.before, now.after, now.also, now.steps) != (self.before, self.after, self.also, self.steps):
                raise BindingError(f"{self.key} or its certificate was changed since this plan was made; plan again")
            return prepared

        return carry_out_as(task.request, prepared_again)

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON."""
        return {
            **as_dict(self, "key", "changes", "ok", "owner_is_new", "before", "after", "also"),
            "diff": [{"field": name, "before": old, "after": new} for name, old, new in self.diff],
            "steps": [as_dict(step, "action", "what") for step in self.steps],
            **as_dict(self, "findings"),
        }

    def to_json(self, *, indent: int | None = None) -> str:
        """`to_dict` as ASCII JSON; `indent` as in `json.dumps`."""
        return to_json(self.to_dict(), indent)

    def _repr_pretty_(self, printer: Printer, cycle: bool) -> None:
        printer.text(str(self))

    def _repr_html_(self) -> str:
        from mlsssl._notebook import cards

        ready = cards.sign("ok", "ready") if self.changes else cards.sign("note", "nothing to change")
        verdict = ready if self.ok else cards.sign("over", "would be refused")
        return cards.card(
            f"plan for {cards.text(self.key)} · {verdict}",
            cards.line(cards.faint(f"on {port_of(self._request.machine).description}")),
            cards.part("steps", cards.ordered(self.steps)),
            cards.part("the binding", cards.diff(self.diff)),
            cards.part("findings", cards.findings([finding.to_dict() for finding in self.findings])),
        )

    def __str__(self) -> str:
        lines = [f"plan for {self.key} on {port_of(self._request.machine).description}:"]
        if not self.changes:
            lines.append("  nothing to change")
        lines += [f"  {number}. {step}" for number, step in enumerate(self.steps, 1)]
        for name, old, new in self.diff:
            lines += [f"  - {name}: {old}"] if old is not None else []
            lines += [f"  + {name}: {new}"] if new is not None else []
        lines += [f"  {finding}" for finding in self.findings]
        return "\n".join(map(printable, lines))


def _fields(binding: Binding | None) -> dict[str, str | None]:
    if binding is None:
        return {}
    options = repr(binding.options).removeprefix("BindingOptions(").removesuffix(")")
    return {
        "thumbprint": str(binding.thumbprint),
        "store": binding.store_name or "MY",
        "app_id": f"{{{binding.app_id}}}",
        "options": options or "default",
    }


def only_plan(request: Request, *, snapshot: Snapshot | None = None) -> Plan:
    """Plan the deployment; the machine is only looked at. `BindingError` when a change of this key is not finished."""
    recovery.refuse_pending(port_of(request.machine), request.key)
    plan = _plan_of(prepare(request, snapshot and snapshot.for_the_next(), shown=True))
    for other in plan.also:
        recovery.refuse_pending(port_of(request.machine), other.key)
    return plan


def _plan_of(prepared: Prepared) -> Plan:
    """What was prepared, for whom wants to read it."""
    task = prepared.task
    request, change = task.request, task.change
    return Plan(
        key=request.key,
        before=None if change.before is None else binding_of(change.before, request.machine),
        after=None if change.after is None else binding_of(change.after, request.machine),
        steps=tuple(_steps(port_of(request.machine), prepared)),
        findings=prepared.findings,
        also=tuple(binding_of(new, request.machine) for _, new in change.also),
        _request=request,
        _task=task,
    )


def plan_to_ask(
    request: Request, issuer: str, hosts: Collection[str], later: Callable[[], Outcome], *, snapshot: Snapshot | None
) -> Plan:
    """A plan that orders nothing: what `later` will do, and what can be said before there is a certificate.

    `BindingError` when a change of this key, or of one that changes together with it, is not finished.
    """
    recovery.refuse_pending(port_of(request.machine), request.key)
    with contextlib.closing(snapshot.for_the_next() if snapshot else Snapshot(port_of(request.machine))) as seen:
        before = seen.binding(request.key)
        also = [] if before is None else [other for other, _ in other_bindings(seen, request, before, None)]
        for other in also:
            recovery.refuse_pending(port_of(request.machine), other.key)
        findings = [*preflight.about_owner(before, request.app_id)]
        if request.older is not None:
            together = {*request.together, *(other.key for other in also)}
            findings += preflight.about_superseded(request.key, request.older, seen.by_thumbprint, together)
        findings += preflight.about_precedence(request.key, seen.neighbours.in_order(request.key))
        findings += [] if before is None else conflicts(request, before)
        findings.sort(key=lambda finding: finding.severity.rank)
        readers = request.key_access
        if readers == "keep":
            bound = None if before is None else before.thumbprint
            kept_by_it = {} if before is None or bound is None else readers_of(seen, before.store, bound)
            readers = tuple(one.account for one in kept_by_it.values())
        for service in request.restart:
            port_of(request.machine).services.query(service)  # it exists, or this raises before anything is asked for
        stop = [Step(action="stop-service", what=f"stop the service {name}") for name in request.restart]
        start = [Step(action="start-service", what=f"start the service {name}") for name in reversed(request.restart)]
        asked = f"ask {issuer} for a certificate for {', '.join(hosts)}"
        verb = "update" if before is not None else "bind"
        kept = any(one.code == "binding-kept" for one in findings)
        steps = (
            ()
            if kept
            else (
                Step(action="ask-issuer", what=f"{asked}, which is checked before anything is changed"),
                Step(action="add-certificate", what=f"add it to LocalMachine\\{request.store or 'MY'}"),
                *(Step(action="grant-key", what=f"let {one} read its private key") for one in readers),
                *stop,
                Step(action=verb, what=f"{verb} {request.key} to it"),
                *(Step(action="update", what=f"update {other.key} to it") for other in also),
                *start,
                *_steps_after(request),
            )
        )
        return Plan(
            key=request.key,
            before=None if before is None else binding_of(before, request.machine),
            after=None,
            steps=steps,
            findings=tuple(findings),
            _request=request,
            _task=None,
            _later=later,
        )


def _named(readers: Mapping[str, Grant]) -> str | None:
    """In words; None when nobody else may."""
    return ", ".join(sorted(f"{one.name}: {one.right}" for one in readers.values())) or None


_ACTIONS = {"leaf": "add-certificate", "intermediate": "add-chain", "root": "trust-root"}


def _steps(port: MachinePort, prepared: Prepared) -> Iterator[Step]:
    task = prepared.task
    change = task.change
    for addition in change.additions:
        one = task.certificate_of(addition)
        shown = repr(one).removeprefix("<Certificate ").removesuffix(">")
        where = f"LocalMachine\\{addition.store}"
        if addition.was == "absent":
            what = f"add to {where}: {shown}"
        elif addition.was == "whole" or not task.certificate.has_private_key:
            what = f"name {addition.thumbprint} in {where} {task.friendly_name!r}"
        else:
            what = f"give {addition.thumbprint} in {where} its private key"
        yield Step(action=_ACTIONS[addition.role], what=what)
    for grant in change.grants:
        yield Step(action="grant-key", what=f"let {grant.account} {grant.what}")
    if change.reservation is not None and task.request.reserve is not None:
        who = "; ".join(map(str, task.request.reserve.grants))
        again = "" if change.reservation.before is None else ", in place of its present reservation"
        yield Step(action="reserve", what=f"reserve {change.reservation.url}{again}: {who}")
    if task.rebinds and change.after is not None:
        for name in task.request.restart:
            yield Step(action="stop-service", what=f"stop the service {name} and what depends on it")
        for key, (before, after) in zip(change.keys, change.bindings, strict=True):
            if before == after or after is None:
                continue
            if before is None:
                action, verb = "bind", "bind"
            elif port.bindings.atomic_update:
                action, verb = "update", "update in one step:"
            else:
                action, verb = "replace", "delete and set again, for this system has no update in one step:"
            yield Step(action=action, what=f"{verb} {key} to {after.thumbprint}")
        for name in reversed(task.request.restart):
            yield Step(action="start-service", what=f"start the service {name} and what depended on it")
    for mark in change.marks:
        yield Step(action="mark-renewed", what=f"mark {mark.thumbprint} as renewed by {mark.after}")
    listening = any(port.served_at(key) is not None for key in change.keys)
    if task.rebinds and task.request.verify and listening:
        yield Step(action="verify", what="shake hands anew with what listens there and compare the certificate")
    if task.changes or prepared.steps_owed:
        yield from _steps_after(task.request)


def _steps_after(request: Request) -> Iterator[Step]:
    if request.hooks:
        from mlsssl._deploy import steps

        for name in steps.names(request.hooks):
            yield Step(action="after", what=f"run the step {name}")
