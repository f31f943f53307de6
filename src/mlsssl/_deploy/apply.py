"""The steps of a deployment and of its undo: add, bind, mark, look; and what to say when they end, well or not."""

from __future__ import annotations

import contextlib
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Generic, Literal

from typing_extensions import TypeVar

from mlsssl._changes import audit_log, recovery
from mlsssl._formats import pem
from mlsssl._machine import handshake, precedence, stores
from mlsssl._messages.foreign_text import clean_logger, log_step, printable, printable_lines
from mlsssl._messages.output import as_dict, to_json
from mlsssl._select.ports import HasPort, existing_port_of, port_of
from mlsssl._validator.findings import machine_finding
from mlsssl.binding import Binding, binding_of
from mlsssl.errors import BindingError, DeploymentError, InvalidInputError, MlssslError, UnusableCertificateError
from mlsssl.service import Services

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlsssl._changes.record import Addition, Change, ChangeRecords
    from mlsssl._deploy.prepare import Task
    from mlsssl._formats.binding_keys import BindingKey
    from mlsssl._machine.ports import BindingRecord, MachinePort
    from mlsssl._validator.report import Finding
    from mlsssl.hooks import Hook
    from mlsssl.values import Thumbprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What a deployment that stopped has left; `DeploymentError.failure`.

    Attributes:
        verb: What was asked for: `deploy`, `renew`, `undo`.
        key: The binding's key, as text.
        reason: What went wrong, as one sentence or more.
        done: What had been done when it went wrong, in order.
        undone: What was taken back, in order.
        to_do: What a person must do; empty when the machine is as it was.
        state: Which binding is in force: `old`, `new` or, when the machine could not be asked, `unknown`.
    """

    verb: str
    key: str
    reason: str
    done: tuple[str, ...] = ()
    undone: tuple[str, ...] = ()
    to_do: tuple[str, ...] = ()
    state: Literal["old", "new", "unknown"] = "unknown"

    def __str__(self) -> str:
        lines = [f"{self.verb} of {self.key} stopped: {self.reason}"]
        lines += [f"  done:   {line}" for line in self.done]
        lines += [f"  undone: {line}" for line in self.undone]
        lines += [f"  to do:  {line}" for line in self.to_do]
        if not self.to_do:
            lines.append(f"  to do:  nothing; the {self.state} binding is in force and the machine is as it was")
        return printable_lines("\n".join(lines))  # a reason may be an error's message of several lines

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON."""
        return as_dict(self)


AfterT = TypeVar("AfterT", bound="Binding | None", default=Binding, covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Generic[AfterT]):
    """What `deploy` or `renew` did.

    To type checkers an `Outcome` is that of a deploy or renew, after which something is bound; that of an `undo`, after
    which nothing may be bound, is an `Outcome[Binding | None]`.

    Attributes:
        verb: `deploy`, `renew` or `undo`.
        key: The binding's key.
        changed: Whether anything on the machine is another than before.
        before: The binding as it was; None when nothing was bound.
        after: The binding as it is now; None only where the undo of a first deploy left nothing bound.
        also: The other bindings that were changed together with it (`everywhere=True`), as they are now.
        done: What was done, in order; empty when nothing was.
        served: The certificate that a fresh TLS handshake showed afterwards; None when nothing listens, when
            another binding answers on this computer, or when it was not asked for.
        findings: What was found before (warnings and notices of the preflight) and after (the handshake).
    """

    verb: str
    key: BindingKey
    changed: bool
    before: Binding | None
    after: AfterT
    also: tuple[Binding, ...] = ()
    done: tuple[str, ...] = ()
    served: Thumbprint | None = None
    findings: tuple[Finding, ...] = ()
    _machine: HasPort | None = field(default=None, repr=False, compare=False)
    _change: Change | None = field(default=None, repr=False, compare=False)
    _hooks: tuple[Hook, ...] = field(default=(), repr=False, compare=False)

    @property
    def verified(self) -> bool | None:
        """Whether the handshake showed the bound certificate; None when there was no handshake to look at."""
        if any(finding.code.startswith("served-") for finding in self.findings):
            return False
        return None if self.served is None else True

    def undo(self, *, hooks: Sequence[Hook] | None = None) -> Outcome[Binding | None]:
        """Bring back exactly what was there before; again changes nothing.

        The binding comes back whole, with its options and unknown bits, and so does each that was changed with it.
        Certificates that this deployment added go with their keys, unless a binding uses them meanwhile; what was there
        before stays, without the rights on its private key that this deployment gave. Nothing is stopped. Steps that
        followed the deployment follow the undo as well, the last one first, and are told of it the other way round
        (`verb` is `undo`).

        Args:
            hooks: Those steps; when not given, the ones that this very outcome's `deploy` or `renew` was given. An
                outcome of `last_outcome` has none: it gets the finding `after-owed` when steps had been run.

        Returns:
            The outcome of the undoing, with `before` and `after` the other way round.

        Raises:
            BindingError: somebody has changed the binding since, be it its options only, or another change of it is
                pending; nothing was done.
            UnusableCertificateError: the old binding cannot be set again, for its certificate or key is gone;
                `.diagnosis` says why, and nothing was done.
            NotFoundError, AccessDeniedError, InvalidInputError, NativeError: the audit log that the deployment was
                given cannot be written any more; nothing was done.
            DeploymentError: it stopped in the middle; `.failure` says what is left.
            InvalidInputError: this is itself the outcome of an undo: deploy again instead; or `hooks` are none.
        """
        if hooks is not None:
            from mlsssl.hooks import checked_hooks

            hooks = checked_hooks(hooks)
        if self.verb == "undo":
            raise InvalidInputError("an undo is not undone; deploy again")
        if self._change is None:
            return replace(self, verb="undo", changed=False, before=self.after, after=self.after, done=(), findings=())
        undone = undo_change(self._machine, self._change)
        steps = self._hooks if hooks is None else hooks
        return _follow_undo(undone, self._change, steps, self._machine)

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON."""
        names = ("verb", "key", "changed", "before", "after", "also", "done", "served", "verified", "findings")
        return as_dict(self, *names)

    def to_json(self, *, indent: int | None = None) -> str:
        """`to_dict` as ASCII JSON; `indent` as in `json.dumps`."""
        return to_json(self.to_dict(), indent)

    def _repr_html_(self) -> str:
        from mlsssl._notebook.cards import card, diff, findings, line, ordered, part, sign, text

        done = sign("ok", "done") if self.changed else sign("note", "nothing to change")
        verdict = sign("over", "another certificate is served") if self.verified is False else done
        served = sign("ok", "a fresh TLS handshake showed the bound certificate") if self.verified else ""
        change = [("certificate", _shown(self.before), _shown(self.after))] if self.changed else []
        keys = " and ".join(map(str, (self.key, *(binding.key for binding in self.also))))
        return card(
            f"{text(self.verb)} of {text(keys)} · {verdict}",
            part("what was done", ordered(self.done)),
            part("the binding", diff(change)),
            line(served) if served else "",
            part("findings", findings([finding.to_dict() for finding in self.findings])),
        )

    def __str__(self) -> str:
        shown = f"{_shown(self.before)} → {_shown(self.after)}" if self.changed else "nothing to change"
        keys = " and ".join(map(str, (self.key, *(binding.key for binding in self.also))))
        lines = [f"{self.verb} of {keys}: {shown}", *(f"  {line}" for line in self.done)]
        lines += [f"  {finding}" for finding in self.findings]
        if self.verified:
            lines.append("  a fresh TLS handshake showed the bound certificate")
        return "\n".join(map(printable, lines))


def _shown(binding: Binding | None) -> str:
    return "unbound" if binding is None else str(binding.thumbprint)


def run(task: Task, records: ChangeRecords) -> Outcome:
    """Carry it out. The caller holds the lock, and has made the task under it."""
    port = port_of(task.request.machine)
    if not task.changes:
        return _outcome(task.change, task.request.machine, changed=False, findings=task.findings)
    services = _running_services(port, task)
    named, owed = _steps_after(records, task)
    change = task.change
    if change.grants or services or named or owed:
        change = replace(change, grants=(), services=services, steps=named, owed=owed)
    done: list[str] = []

    def log(line: str) -> None:
        log_step("%s of %s: %s", change.verb, change.key, line)

    def say(line: str) -> None:
        done.append(line)
        if not whole:
            log(line)

    whole = False
    try:
        records.begin(change)
        # A service takes its time to stop, and its state is not the machine's alone.
        with contextlib.nullcontext(False) if task.request.restart else port.at_once() as whole:
            for addition in change.additions:
                _add(port, task, addition)
                say(f"added {addition.role} {addition.thumbprint} to LocalMachine\\{addition.store}")
            change = _with_grants(port, records, task, change)
            change = _bind_and_mark(port, records, task, change, say, read_back=not whole)
        unseen, at_once, whole = whole and task.rebinds, whole, False
        for line in done if at_once else ():  # now it is done; and whoever listens may change the machine himself
            log(line)
        if unseen:
            change = _read_back(port, records, change, say)
        if change.audit_log is not None:
            audit_log.add(change, result="done")  # who keeps one wants no change that is not in it
        records.finish(change)
    except recovery.FAILURES as error:
        if whole:  # none of it was done
            done.clear()
        failed, to_do = _after_failure(port, records, change, error, done)
        if isinstance(error, Exception):
            raise failed from error
        if to_do:
            clean_logger("mlsssl").error("%s: %s", port.description, failed)
        raise  # KeyboardInterrupt and SystemExit are the caller's own
    return _outcome(change, task.request.machine, done=tuple(done), findings=task.findings)


def look(task: Task, outcome: Outcome) -> Outcome:
    """The outcome with what a fresh handshake shows; outside the lock, for it may wait for a slow listener.

    Each binding that was changed is looked at.
    """
    if not task.request.verify:
        return outcome
    for binding in (outcome.after, *outcome.also):
        served = None if binding.thumbprint is None else _served(port_of(task.request.machine), binding)
        if served is None:
            log_step("%s: no handshake was tried", binding.key)
            continue
        log_step("%s: a fresh handshake was served %s", binding.key, served.thumbprint or served.problem)
        if binding is outcome.after or outcome.served is None:
            outcome = replace(outcome, served=served.thumbprint)
        if served.thumbprint != binding.thumbprint:
            what = served.problem or f"a fresh handshake was served {served.thumbprint}"
            code = "served-nothing" if served.thumbprint is None else "served-another"
            expected = f"the bound certificate {binding.thumbprint}"
            finding = machine_finding(code, str(binding.key), what, expected=expected)
            outcome = replace(outcome, findings=(*outcome.findings, finding))
    return outcome


def undo_change(machine: HasPort | None, change: Change) -> Outcome[Binding | None]:
    """Take a finished change back; see `Outcome.undo`."""
    port = port_of(machine)
    assert change.key is not None
    done: list[str] = []
    with recovery.changing(port, change.key) as records:
        now = [port.bindings.find(key) for key in change.keys]
        for key, current, pair in zip(change.keys, now, change.bindings, strict=True):
            if current not in pair:  # what was set was read back, so any difference is a change
                raise BindingError(
                    f"{key} was changed since {change.title}; nothing was undone, for that change would be lost: "
                    "deploy the certificate that it shall have instead, which keeps its options"
                )
        refuse_pending_of_others(records, change)
        hopeless = [
            cause
            for current, (old, _) in zip(now, change.bindings, strict=True)
            if current != old
            for cause in recovery.why_unusable(port, old)
        ]
        if hopeless and change.before is not None:
            raise UnusableCertificateError(
                f"{change.title} cannot be undone, for the old binding with {change.before.thumbprint} cannot be set "
                f"again (1312): {hopeless[0]}. Nothing was undone. Without that certificate, deploy another one to "
                f"{change.key}",
                diagnosis=hopeless,
            )
        if change.audit_log is not None:
            audit_log.try_to_open(change.audit_log)
        turned = records.turn_back(replace(change, verb="undo", services=()))
        try:
            if recovery.settle(port, turned, say=done.append):
                raise BindingError(done.pop())  # the old certificate went while we looked
        except recovery.FAILURES as error:
            failed, to_do = _undo_stopped(port, records, turned, error, done)
            if isinstance(error, Exception):
                raise failed from error
            if to_do:
                clean_logger("mlsssl").error("%s: %s", port.description, failed)
            raise  # as in `run`
        _end_undo(port, records, turned, done)
    before, after = _binding(change.after, machine), _binding(change.before, machine)
    also = tuple(binding_of(old, machine) for old, _ in change.also)
    return Outcome(
        verb="undo", key=change.key, changed=bool(done), before=before, after=after, also=also, done=tuple(done)
    )


def refuse_pending_of_others(records: ChangeRecords, change: Change) -> None:
    """`BindingError` when another binding of this change has one of its own that has not ended; its key was asked."""
    if not change.also:
        return
    for pending in records.pending():
        stuck = [key for key in change.keys[1:] if pending.is_about(key)]
        if stuck:
            raise BindingError(f"nothing was done: {pending.title} has begun and not ended: run `mlsssl.recover()`")


def _follow_undo(
    undone: Outcome[Binding | None], change: Change, hooks: Sequence[Hook], machine: HasPort | None
) -> Outcome[Binding | None]:
    """The undo with its steps run, or with the finding that they were not."""
    if not undone.changed or not (hooks or change.steps):
        return undone
    if not hooks:
        what = f"the steps {', '.join(change.steps)} were not run for what is bound again"
        remedy = "undo with the same steps, hooks=[...], or see to what they did by hand"
        finding = machine_finding("after-owed", str(undone.key), what, remedy=remedy)
        return replace(undone, findings=(*undone.findings, finding))
    from mlsssl._deploy import steps

    lines, findings = steps.run_back(change, hooks, machine=machine)
    return replace(undone, done=(*undone.done, *lines), findings=(*undone.findings, *findings))


def _undo_stopped(
    port: MachinePort, records: ChangeRecords, turned: Change, error: BaseException, done: list[str]
) -> tuple[DeploymentError, list[str]]:
    """What to say about an undo that stopped, and what is left to do; it is forgotten when it had not begun to show."""
    state = recovery.in_force(port, turned)
    to_do = [f"{state}: run `mlsssl.recover()`, which goes on with the undo; {_give_up(turned)}"]
    if _state(port, turned) == "new":  # the binding comes first, so nothing else was touched
        with contextlib.suppress(MlssslError):
            records.finish(turned, keep=False)
            to_do = []
    return _failure(port, turned, str(error) or type(error).__name__, done, to_do), to_do


def _end_undo(port: MachinePort, records: ChangeRecords, turned: Change, done: list[str]) -> None:
    """Tell the audit log, and forget the undo and what it undid; both are tried, for the undo is done."""
    assert turned.key is not None
    to_do, first = [], None
    try:
        audit_log.add(turned, result="done")
    except MlssslError as error:
        to_do, first = [f"the undo is done, but not in the audit log: {error}"], error
    try:
        records.finish(turned, keep=False)
        records.forget(turned)
    except MlssslError as error:
        to_do.append(f"the undo is done, but its record stays ({error}): run `mlsssl.recover()`; {_give_up(turned)}")
        first = first or error
    if first is not None:
        raise _failure(port, turned, str(first), done, to_do) from first


def _give_up(change: Change) -> str:
    return f"when that cannot be, `mlsssl.recover(abandon={str(change.key)!r})` leaves the machine as it is"


# -- the steps ----------------------------------------------------------------------------------------------------


def _bind_and_mark(
    port: MachinePort,
    records: ChangeRecords,
    task: Task,
    change: Change,
    say: Callable[[str], None],
    *,
    read_back: bool,
) -> Change:
    """Every step after the certificates are there; the change as it turned out."""
    for grant in change.grants:
        with closing(port.open_store(grant.store, "LocalMachine", write=True, keep_open=True)) as store:
            store.grant_key_access(grant.thumbprint, grant.account, right=grant.right)
        say(f"let {grant.account} {grant.what}")
    assert change.key is not None
    if change.reservation is not None:  # before the binding, which is the point of no return
        recovery.put_reservation(port.reservations, change.reservation.before, change.reservation.after)
        say(f"reserved {change.reservation.url}")
    if task.rebinds:
        with contextlib.ExitStack() as stack:
            for name in task.request.restart:
                stack.enter_context(Services(port.services)[name].stopped())
                say(f"stopped the service {name}")
            if change.before != change.after:
                recovery.put(port.bindings, change.before, change.after)
                say(f"bound {change.key} to {change.after and change.after.thumbprint}")
            recovery.bind_others(port, change, say=say)
            if read_back:
                change = _read_back(port, records, change, say)
        for name in task.request.restart:
            say(f"started the service {name}")
    recovery.finish_forwards(port, change, say=say)
    for mark in change.marks:
        say(f"marked {mark.thumbprint} as renewed by {mark.after}")
    return change


def _with_grants(port: MachinePort, records: ChangeRecords, task: Task, change: Change) -> Change:
    """The change with the rights on private keys that are still to be given, which is on the disk then.

    Not before the certificates are there: a key may come with rights, since another certificate has it already. So
    taking back takes nobody's away who had it.
    """
    grants = []
    for grant in task.change.grants:
        with closing(port.open_store(grant.store, "LocalMachine", keep_open=True)) as store:
            listed = store.key_access(grant.thumbprint)
        enough = ("full",) if grant.right == "full" else ("read", "full")
        if not any(one.sid == grant.sid and one.right in enough for one in listed):
            grants.append(grant)
    if grants:
        change = replace(change, grants=tuple(grants))
        records.begin(change)
    return change


def _read_back(port: MachinePort, records: ChangeRecords, change: Change, say: Callable[[str], None]) -> Change:
    """Whether the record is there: a success code is not proof.

    A system may give it back in another spelling than it took, an option that it does not know, say. Then that is
    what was set, and what `undo` will look for.
    """
    read: list[BindingRecord | None] = []
    another = False
    for key, (_, wanted) in zip(change.keys, change.bindings, strict=True):
        found = port.bindings.find(key)
        read.append(found)
        if found == wanted:
            continue
        another = True
        if found is None or wanted is None or (found.thumbprint, found.app_id) != (wanted.thumbprint, wanted.app_id):
            raise BindingError(f"{key} was set, but reads back as {found!r}; somebody else changes it too")
        say(f"{key} reads back with {found.options!r} in LocalMachine\\{found.store_name or 'MY'}")
    if not another and change.before is not None:  # else the keys are told in the spelling that the machine gives them
        return change
    after, *others = read
    as_read = replace(
        change,
        after=after,
        also=tuple((before, now) for (before, _), now in zip(change.also, others, strict=True) if now is not None),
    )
    if another:
        records.begin(as_read)
    return as_read


def _add(port: MachinePort, task: Task, addition: Addition) -> None:
    certificate = task.certificate_of(addition)
    leaf = addition.role == "leaf"
    create = stores.is_standard(addition.store)
    store_name = addition.store
    with closing(port.open_store(store_name, "LocalMachine", create=create, write=True, keep_open=True)) as store:
        stores.add(
            store,
            certificate.to_der(),
            pem.x509_of(certificate),
            certificate.private_key if leaf else None,
            friendly_name=task.friendly_name if leaf else None,
            exportable=task.request.exportable and leaf,
            provider=task.request.provider if leaf else None,
        )


def _running_services(port: MachinePort, task: Task) -> tuple[str, ...]:
    """Every service that will be stopped for it, in the order of stopping."""
    if not task.rebinds:
        return task.change.services
    names: list[str] = []
    for name in task.request.restart:
        if port.services.query(name).process_id or port.services.query(name).state.name != "STOPPED":
            names += [one for one in (*port.services.active_dependents(name), name) if one not in names]
    return tuple(names)


def _steps_after(records: ChangeRecords, task: Task) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of the steps that follow it, and of those that are owed: its own, else what an earlier one has left."""
    if task.request.hooks:
        from mlsssl._deploy import steps

        named = steps.names(task.request.hooks)
        return named, named
    still = tuple(dict.fromkeys(step for key in task.change.keys for step in records.owed(key)))
    return still, still


def _after_failure(
    port: MachinePort, records: ChangeRecords, change: Change, error: BaseException, done: list[str]
) -> tuple[DeploymentError, list[str]]:
    """Take back what was done, and say what is left: all of it, and what a person must do."""
    undone: list[str] = []
    to_do: list[str] = []
    reason = str(error) or type(error).__name__
    # A kill from here on should lead back too, for the caller will be told that it failed. When not even that can
    # be written down, taking back is tried all the same.
    with contextlib.suppress(MlssslError):
        records.turn_back(change)
    try:
        new = recovery.settle(port, replace(change, back=True), say=undone.append)
    except recovery.FAILURES as second:
        stopped = f"taking it back stopped too ({str(second) or type(second).__name__})"
        stopped += f", and {recovery.in_force(port, change)}"
        to_do.append(f"{stopped}: run `mlsssl.recover()`, which goes on from here; {_give_up(change)}")
    else:
        if new:
            to_do.append(f"the new binding of {change.key} is in force: look whether it should be")
        to_do += _end_failed(records, change, reason, new)
        try:
            undone += port.recover()
        except MlssslError as third:
            to_do.append(f"private keys that no certificate uses may be left ({third}): run `mlsssl.recover()`")
    started, down = recovery.start_services(port, change)
    undone += started
    to_do += down
    return _failure(port, change, reason, done, to_do, undone), to_do


def _failure(
    port: MachinePort, change: Change, reason: str, done: list[str], to_do: list[str], undone: Sequence[str] = ()
) -> DeploymentError:
    failure = Failure(
        verb=change.verb,
        key=str(change.key),
        reason=reason,
        done=tuple(done),
        undone=tuple(undone),
        to_do=tuple(to_do),
        state=_state(port, change),
    )
    return DeploymentError(str(failure), failure=failure)


def _end_failed(records: ChangeRecords, change: Change, reason: str, new: bool) -> list[str]:
    """Tell the audit log of a failure that was dealt with, and end the change; what is left of that for a person."""
    to_do = []
    try:
        audit_log.add(change, result="done" if new else "failed", reason=reason)
    except MlssslError as error:
        if str(error) != reason:  # else it is what stopped the change, and said already
            to_do.append(f"it is not in the audit log: {error}")
    try:
        records.finish(change, keep=new)
    except MlssslError as error:
        to_do.append(f"its record stays ({error}): run `mlsssl.recover()`; {_give_up(change)}")
    return to_do


def _state(port: MachinePort, change: Change) -> Literal["old", "new", "unknown"]:
    assert change.key is not None
    states: set[Literal["old", "new", "unknown"]] = set()
    for key, (before, after) in zip(change.keys, change.bindings, strict=True):
        try:
            current = port.bindings.find(key)
        except MlssslError:
            return "unknown"
        happened = recovery.has_happened(before, after, current)
        states.add("old" if current == before else "new" if happened else "unknown")
    return states.pop() if len(states) == 1 else "unknown"


# -- looking ------------------------------------------------------------------------------------------------------


def _served(port: MachinePort, binding: Binding) -> handshake.Served | None:
    address = port.served_at(binding.key)
    if address is None or binding.options.reject_connections:
        return None
    name = handshake.server_name(binding.key)
    keys = [one.key for one in port.bindings.all()]
    # A record for this very address, or for the name we would ask for, may answer instead: nothing to learn then.
    if precedence.answering(keys, binding.key.port, address[0], name) not in (None, binding.key):
        return None
    return handshake.ask(address, name)


def _outcome(
    change: Change,
    machine: HasPort | None,
    *,
    changed: bool = True,
    done: tuple[str, ...] = (),
    findings: tuple[Finding, ...] = (),
) -> Outcome:
    assert change.key is not None
    assert change.after is not None
    return Outcome(
        verb=change.verb,
        key=change.key,
        changed=changed,
        before=_binding(change.before, machine),
        after=binding_of(change.after, machine),
        also=tuple(binding_of(new, machine) for _, new in change.also),
        done=done,
        findings=findings,
        _machine=machine,
        _change=change if changed else None,
    )


def _binding(record: BindingRecord | None, machine: HasPort | None) -> Binding | None:
    return None if record is None else binding_of(record, machine)


def last_outcome(key: BindingKey, machine: HasPort | None) -> Outcome | None:
    """The outcome of the last change of this key that can be undone, also of an earlier process; None without."""
    port = existing_port_of(machine)
    with recovery.changing(port) as records:  # a killed change of this key is the last one, or none
        change = records.last(key)
    if change is None or change.after is None:  # a deploy or renew leaves something bound
        return None
    return _outcome(change, machine)
