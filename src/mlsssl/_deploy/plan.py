"""Planning a deployment, before anything is done: its steps, its findings, and the difference that it makes."""

from __future__ import annotations

import contextlib
import datetime as dt
import uuid
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from mlsssl._changes import audit_log, recovery
from mlsssl._changes.record import Addition, Change, Grant, Mark, ReservationChange, Was
from mlsssl._changes.roots_file import RootsFile
from mlsssl._changes.superseded_file import Superseded, SupersededFile
from mlsssl._deploy import preflight
from mlsssl._deploy.apply import Task, is_standard, look, refuse_pending_of_others, run
from mlsssl._deploy.issuers import KnownIssuers, about_issuers, about_new_issuer
from mlsssl._formats.binding_keys import BindingOptions
from mlsssl._formats.choice import may_issue
from mlsssl._formats.parsed import issuer_view
from mlsssl._formats.pem import end_of, is_root, x509_of
from mlsssl._machine import precedence, stores
from mlsssl._machine.accounts import ADMINISTRATORS, SYSTEM, Account
from mlsssl._machine.authorities import Authorities
from mlsssl._machine.ports import BindingRecord
from mlsssl._messages.foreign_text import clean_logger, printable
from mlsssl._messages.output import as_dict, to_json
from mlsssl._select.ports import port_of
from mlsssl._validator.findings import machine_finding
from mlsssl._validator.report import Finding, Report, Severity
from mlsssl.binding import Binding, binding_of, check_options, thumbprint_of
from mlsssl.certificate import Certificate, x509_chain
from mlsssl.errors import (
    BindingError,
    BindingExistsError,
    InvalidInputError,
    MlssslError,
    StoreNotFoundError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from mlsssl._changes.record import ChangeRecords
    from mlsssl._deploy.apply import Outcome
    from mlsssl._deploy.request import Request
    from mlsssl._formats.binding_keys import BindingKey
    from mlsssl._formats.parsed import View
    from mlsssl._machine.ports import KeyAccess, MachinePort, StorePort, StoreRecord
    from mlsssl._notebook.cards import Printer
    from mlsssl.values import Thumbprint


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
        return _report(self._request, self.findings)

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

        def prepared_again() -> _Prepared:
            planned = task.change.after
            prepared = _prepare(task.request, app_id=None if planned is None else planned.app_id)
            now = _plan_of(prepared)
            if (now.before, now.after, now.also, now.steps) != (self.before, self.after, self.also, self.steps):
                raise BindingError(f"{self.key} or its certificate was changed since this plan was made; plan again")
            return prepared

        return _carry_out(task.request, prepared_again)

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


class Snapshot:
    """What planning has seen of a machine; each thing is read when it is first asked for, and not again.

    Each store is opened once. Carrying a plan out and recovering read the machine itself, late.
    """

    def __init__(self, port: MachinePort) -> None:
        self._port = port
        self._opened: dict[str, StorePort | None] = {}
        self._closing = contextlib.ExitStack()
        self._stored: dict[tuple[str, Thumbprint], StoreRecord | None] = {}
        self._authorities: dict[str, Authorities | None] = {}

    def close(self) -> None:
        """Close the stores that were opened; idempotent."""
        self._closing.close()

    def for_the_next(self) -> Snapshot:
        """For planning the next of several changes: the same authorities and other bindings; certificates anew."""
        made = Snapshot(self._port)
        made._authorities = self._authorities
        made.issuers = self.issuers
        made.bindings = self.bindings
        made.neighbours = self.neighbours
        made.by_thumbprint = self.by_thumbprint
        return made

    @cached_property
    def issuers(self) -> KnownIssuers:
        """Every place where issuers are."""
        return KnownIssuers(self._port)

    @cached_property
    def bindings(self) -> tuple[BindingRecord, ...]:
        """Every binding."""
        return tuple(self._port.bindings.all())

    @cached_property
    def neighbours(self) -> precedence.Neighbours:
        """Which bindings may stand in each other's way."""
        return precedence.Neighbours(record.key for record in self.bindings)

    @cached_property
    def by_thumbprint(self) -> dict[Thumbprint, list[BindingRecord]]:
        """The bindings of each certificate, in their order."""
        found: dict[Thumbprint, list[BindingRecord]] = {}
        for record in self.bindings:
            if record.thumbprint is not None:
                found.setdefault(record.thumbprint, []).append(record)
        return found

    def binding(self, key: BindingKey) -> BindingRecord | None:
        """The binding of this key, in whatever spelling, as it is now; None without."""
        return self._port.bindings.find(key)

    def certificate(self, store: str, thumbprint: Thumbprint) -> StoreRecord | None:
        """The certificate in a LocalMachine store; None when it, or the store, is not there."""
        name = (store.casefold(), thumbprint)
        if name not in self._stored:
            opened = self._store(store)
            self._stored[name] = None if opened is None else opened.find(thumbprint)
        return self._stored[name]

    def key_access(self, store: str, thumbprint: Thumbprint) -> tuple[KeyAccess, ...]:
        """The access list of a certificate's private key there; empty without a usable key, or where there are none."""
        opened = self._store(store)
        try:
            return () if opened is None else opened.key_access(thumbprint)
        except (StoreNotFoundError, UnsupportedError):
            return ()

    def authorities(self, store: str) -> Authorities | None:
        """The authorities in the machine's stores, and the revocation lists in `store` too; None without any list."""
        name = store.casefold()
        if name not in self._authorities:
            known = Authorities(self._port, "LocalMachine", store)
            # What is kept is used for the next of several changes too, after this one's stores are closed.
            self._authorities[name] = known if known.has_crls(look=self._store) else None
        return self._authorities[name]

    def _store(self, name: str) -> StorePort | None:
        key = name.casefold()
        if key not in self._opened:
            self._opened[key] = opened = stores.if_there(self._port, name)
            if opened is not None:
                self._closing.callback(opened.close)
        return self._opened[key]


def carry_out(request: Request, *, snapshot: Snapshot | None = None) -> Outcome:
    """Prepare the deployment and do it under the machine's lock, then look at what listens.

    `snapshot` is the machine as seen while other changes were planned.
    """
    return _carry_out(request, lambda: _prepare(request, snapshot and snapshot.for_the_next()))


def _carry_out(request: Request, prepare: Callable[[], _Prepared]) -> Outcome:
    """What `prepare` gives under the machine's lock, done; then the look at what listens, and the steps after it."""
    if not request.hooks:  # who has no steps does without their modules
        return _changed(request, prepare)[1]
    from mlsssl._deploy import after

    with after.alone(port_of(request.machine), request.key):
        prepared, outcome = _changed(request, prepare)
        if any(one.code == "binding-kept" for one in prepared.findings):
            return outcome
        return after.follow(request, outcome, prepared.task.certificate)


def _changed(request: Request, prepare: Callable[[], _Prepared]) -> tuple[_Prepared, Outcome]:
    with recovery.changing(port_of(request.machine), request.key) as records:
        prepared = prepare()
        outcome = _execute(prepared, records)
    return prepared, look(prepared.task, outcome)


def plan_to_ask(
    request: Request, issuer: str, hosts: Collection[str], later: Callable[[], Outcome], *, snapshot: Snapshot | None
) -> Plan:
    """A plan that orders nothing: what `later` will do, and what can be said before there is a certificate.

    `BindingError` when a change of this key, or of one that changes together with it, is not finished.
    """
    recovery.refuse_pending(port_of(request.machine), request.key)
    with contextlib.closing(snapshot.for_the_next() if snapshot else Snapshot(port_of(request.machine))) as seen:
        before = seen.binding(request.key)
        also = [] if before is None else [other for other, _ in _also(seen, request, before, None)]
        for other in also:
            recovery.refuse_pending(port_of(request.machine), other.key)
        findings = [*preflight.about_owner(before, request.app_id)]
        if request.older is not None:
            together = {*request.together, *(other.key for other in also)}
            findings += preflight.about_superseded(request.key, request.older, seen.by_thumbprint, together)
        findings += preflight.about_precedence(request.key, seen.neighbours.in_order(request.key))
        findings += [] if before is None else _conflict(request, before)
        findings.sort(key=lambda finding: finding.severity.rank)
        readers = request.key_access
        if readers == "keep":
            bound = None if before is None else before.thumbprint
            kept_by_it = {} if before is None or bound is None else _readers(seen, before.store, bound)
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


def only_plan(request: Request, *, snapshot: Snapshot | None = None) -> Plan:
    """Plan the deployment; the machine is only looked at. `BindingError` when a change of this key is not finished."""
    recovery.refuse_pending(port_of(request.machine), request.key)
    plan = _plan_of(_prepare(request, snapshot and snapshot.for_the_next(), shown=True))
    for other in plan.also:
        recovery.refuse_pending(port_of(request.machine), other.key)
    return plan


def _execute(prepared: _Prepared, records: ChangeRecords) -> Outcome:
    """Carry out what was prepared, under the lock that its maker holds."""
    task = prepared.task
    request = task.request
    conflict = next((one for one in prepared.findings if one.code == "binding-exists"), None)
    if conflict is not None:
        raise _forbidden(request, conflict)
    # Also when there is nothing to do: "bound already" is no answer to whether it is right for this name, today.
    kept = any(one.code == "binding-kept" for one in prepared.findings)
    if not request.force and not kept and any(one.severity is Severity.ERROR for one in prepared.findings):
        _report(request, prepared.findings).raise_for_errors()
    refuse_pending_of_others(records, task.change)
    if task.changes or prepared.steps_owed:
        if request.audit_log is not None:
            audit_log.try_to_open(request.audit_log)
        _note_superseded(request, task.change, records)
    outcome = run(task, records)
    _note_roots(task, records)
    return outcome


def _report(request: Request, findings: tuple[Finding, ...]) -> Report:
    return Report(
        findings=findings,
        profile="deployment",
        host=request.host,
        at=request.at or dt.datetime.now(dt.timezone.utc),
        subject=str(request.key),
    )


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
    stores_of_it = _stores(request.store or "MY", change.also)
    entries = (Superseded(store=one, thumbprint=older.thumbprint, at=moment, grace=grace) for one in stores_of_it)
    SupersededFile(records.folder).add(*entries)


def _stores(first: str, also: Iterable[tuple[BindingRecord, BindingRecord]]) -> list[str]:
    """The stores that the bindings of a change name, each once."""
    names = {first.casefold(): first}
    for before, _ in also:
        names.setdefault(before.store.casefold(), before.store)
    return list(names.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """What a request means on its machine, worked out: all that carrying it out needs; a `Plan` is that in words.

    Attributes:
        task: What there is to do.
        findings: What the preflight found, errors first.
        steps_owed: Whether an earlier change has left steps (`hooks=`) over, which are run even when nothing changes.
    """

    task: Task
    findings: tuple[Finding, ...]
    steps_owed: bool


def _prepare(
    request: Request, snapshot: Snapshot | None = None, *, app_id: uuid.UUID | None = None, shown: bool = False
) -> _Prepared:
    """Look at the machine and work out what the request means there; errors as `Plan.apply` and `deploy`.

    `app_id` is the new owner's GUID for a key that has no binding; a random one when not given. `shown`: whether it is
    for a `Plan`, which says more than is needed to carry it out.
    """
    with contextlib.closing(snapshot or Snapshot(port_of(request.machine))) as seen:
        return _prepared(request, seen, app_id, shown=shown)


def _prepared(request: Request, snapshot: Snapshot, app_id: uuid.UUID | None, *, shown: bool) -> _Prepared:
    port = port_of(request.machine)
    before = snapshot.binding(request.key)
    expected = request.expected
    if expected is not None and (
        before is None
        or before.thumbprint != expected.thumbprint
        or before.store.casefold() != expected.store.casefold()
    ):
        raise BindingError(f"{request.key} was changed while its new certificate was made; nothing was done")
    store = request.store or "MY"
    certificate, stored = _resolve(port, snapshot, request, store)
    name = certificate.friendly_name if request.friendly_name is None else request.friendly_name
    also = tuple(_also(snapshot, request, before, certificate.thumbprint))
    chain = tuple(map(issuer_view, x509_chain(certificate)))
    additions = tuple(_additions(snapshot, request, certificate, chain, stored, store, name))
    access = _access(snapshot, request, before, certificate, stored, store, additions, shown=shown)
    for other in _stores(store, also)[1:] if also else ():
        there = snapshot.certificate(other, certificate.thumbprint)
        own = tuple(_leaf_additions(certificate, there, other, name))
        bound = next(one for one, _ in also if one.store.casefold() == other.casefold())
        access = access.and_in(_access(snapshot, request, bound, certificate, there, other, own, shown=False))
        additions += own
    after: BindingRecord | None = _after(request, before, certificate.thumbprint, store, app_id)
    conflicting = None if before == after else before
    if conflicting is not None and request.on_conflict == "keep":
        additions, after, access = (), before, _Access()
        request = replace(request, reserve=None)
    marks = tuple(_marks(snapshot, request, before, certificate, also))
    for service in request.restart:
        port.services.query(service)  # it exists, or this raises before anything is done
    findings = [*dict.fromkeys(_findings(snapshot, request, certificate, stored, before, store, also))]
    findings += preflight.about_key_access(request.key, access.lost, access.unread)
    if conflicting is not None:
        findings += _conflict(request, conflicting)
    findings.sort(key=lambda finding: finding.severity.rank)
    if after == before and not additions and not access.grants:
        findings = [finding for finding in findings if finding.code != "owner-changes"]
    change = Change(
        request.verb,
        request.key if before is None else before.key,  # in the spelling that the machine has
        before=before,
        after=after,
        additions=additions,
        marks=marks,
        audit_log=request.audit_log,
        grants=access.grants,
        # Asked about issuers alone. Each renewal of 10,000 bindings would write down 10,000 of them.
        bound=() if all(one.role == "leaf" for one in additions) else tuple(snapshot.by_thumbprint),
        also=also,
        reservation=_reservation(port, request),
    )
    task = Task(
        request=request,
        change=change,
        certificate=certificate,
        friendly_name=name,
        readers=(access.before, access.after),
        findings=tuple(finding for finding in findings if finding.severity is not Severity.ERROR),
        roots=tuple(view.der for view in chain if view.is_root),
        rebinds=any(old != new for old, new in change.bindings),
    )
    return _Prepared(task=task, findings=tuple(findings), steps_owed=_steps_owed(port, task))


def _steps_owed(port: MachinePort, task: Task) -> bool:
    if not task.request.hooks or task.changes:
        return False
    from mlsssl._deploy import steps

    assert task.change.key is not None
    return steps.owed_to(port, task.change.key) is not None


def _plan_of(prepared: _Prepared) -> Plan:
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


def _also(
    snapshot: Snapshot, request: Request, before: BindingRecord | None, thumbprint: Thumbprint | None
) -> Iterator[tuple[BindingRecord, BindingRecord]]:
    """Every other binding of the old certificate, as it is and as it shall be: with the new one, else as it is."""
    if not request.everywhere or before is None or before.thumbprint is None or before.thumbprint == thumbprint:
        return
    for one in snapshot.by_thumbprint.get(before.thumbprint, ()):
        if one.key != before.key:
            yield one, one if thumbprint is None else replace(one, thumbprint=thumbprint)


def _resolve(
    port: MachinePort, snapshot: Snapshot, request: Request, store: str
) -> tuple[Certificate, StoreRecord | None]:
    """The certificate itself, and how it stands in the store now."""
    assert request.certificate is not None
    thumbprint = thumbprint_of(request.certificate)
    stored = snapshot.certificate(store, thumbprint)
    if stored is None and not is_standard(store):  # else: a system so new that nothing was in it yet may lack it
        port.open_store(store, "LocalMachine").close()  # it exists, or this raises
    if isinstance(request.certificate, Certificate):
        return request.certificate, stored
    if stored is None:
        raise StoreNotFoundError(
            f"no certificate {thumbprint} in LocalMachine\\{store}; give the certificate itself, or its store"
        )
    return Certificate.from_der(stored.certificate), stored


def _additions(
    snapshot: Snapshot,
    request: Request,
    certificate: Certificate,
    chain: Sequence[View],
    stored: StoreRecord | None,
    store: str,
    friendly_name: str | None,
) -> Iterator[Addition]:
    for view in chain:
        if view.is_root or not may_issue(view.certificate):
            continue
        thumbprint = stores.thumbprint_of(view.der)
        if snapshot.certificate("CA", thumbprint) is None:
            yield Addition(store="CA", thumbprint=thumbprint, role="intermediate", was="absent")
    if request.trust_root:
        root = next((one for one in (certificate, *certificate.chain) if is_root(x509_of(one))), None)
        if root is None:
            raise InvalidInputError(
                "trust_root needs the root in the certificate's chain: certificate.with_chain([…, root])"
            )
        if snapshot.certificate("Root", root.thumbprint) is None:
            yield Addition(store="Root", thumbprint=root.thumbprint, role="root", was="absent")
    yield from _leaf_additions(certificate, stored, store, friendly_name)


def _leaf_additions(
    certificate: Certificate, stored: StoreRecord | None, store: str, friendly_name: str | None
) -> Iterator[Addition]:
    if stored is None:
        yield Addition(store=store, thumbprint=certificate.thumbprint, role="leaf", was="absent")
        return
    key = stored.key
    was: Was = "whole"
    if key is None:
        was = "without-key"
    elif not (key.usable and key.machine_keyset):
        was = "unusable-key"
    gets_key = certificate.has_private_key and was != "whole"
    if gets_key or (friendly_name is not None and friendly_name != stored.friendly_name):
        yield Addition(
            store=store,
            thumbprint=certificate.thumbprint,
            role="leaf",
            was=was,
            friendly_name=stored.friendly_name,
            archived=stored.archived,
            renewed_by=stored.renewed_by,
            certificate=stored.certificate if was == "without-key" else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Access:
    """What a plan does about who may read the private keys.

    Attributes:
        grants: Rights to give.
        lost: Accounts that may read the bound certificate's key, and will not be able to read the new one's.
        unread: Why that could not be found out, or None.
        before: Who besides SYSTEM and the administrators may read the bound certificate's key, by SID.
        after: Who will be able to read the new one's; of a `Plan` only, unless somebody's right is lost or given.
    """

    grants: tuple[Grant, ...] = ()
    lost: tuple[str, ...] = ()
    unread: str | None = None
    before: Mapping[str, Grant] = field(default_factory=dict)
    after: Mapping[str, Grant] = field(default_factory=dict)

    def and_in(self, other: _Access) -> _Access:
        """With what is done about the same certificate in another store, where it may have a key of its own."""
        lost = tuple(dict.fromkeys((*self.lost, *other.lost)))
        return replace(self, grants=(*self.grants, *other.grants), lost=lost, unread=self.unread or other.unread)


def _access(
    snapshot: Snapshot,
    request: Request,
    before: BindingRecord | None,
    certificate: Certificate,
    stored: StoreRecord | None,
    store: str,
    additions: tuple[Addition, ...],
    *,
    shown: bool,
) -> _Access:
    thumbprint = certificate.thumbprint
    old: dict[str, Grant] = {}
    unread = None
    if before is not None and before.thumbprint is not None:
        try:
            old = _readers(snapshot, before.store, before.thumbprint)
        except MlssslError as error:
            if request.key_access == "keep":
                raise
            unread = f"who may read the private key of the bound certificate could not be looked up ({error})"
    same = before is not None and before.thumbprint == thumbprint
    new_key = stored is None or any(
        one.thumbprint == thumbprint and one.was in ("without-key", "unusable-key") for one in additions
    )
    nobody = not (old or request.key_access or shown)  # so nobody's right is lost or given, whoever has one already
    has = {} if new_key or nobody else old if same else _readers(snapshot, store, thumbprint)
    wanted: dict[str, Grant] = {}
    if request.key_access == "keep":
        wanted = {sid: replace(one, store=store, thumbprint=thumbprint) for sid, one in old.items()}
    else:
        for account in request.key_access:
            if account.sid not in _ALWAYS:
                wanted[account.sid] = _grant(store, thumbprint, account, "read")
    after = {**has, **{sid: one for sid, one in wanted.items() if sid not in has or one.right == "full"}}
    return _Access(
        grants=tuple(one for sid, one in wanted.items() if sid not in has or (one.right, has[sid].right) == _MORE),
        lost=tuple(str(one.account) for sid, one in old.items() if sid not in after),
        unread=unread,
        before=old,
        after=after,
    )


_ALWAYS = frozenset({SYSTEM.sid, ADMINISTRATORS.sid})
"""Who may read every key of a machine: HTTP.sys, and who looks after it."""

_MORE = ("full", "read")


def _readers(snapshot: Snapshot, store: str, thumbprint: Thumbprint) -> dict[str, Grant]:
    """What besides everybody's own rights accounts have on a certificate's private key, by SID.

    Without what is inherited, which a new key inherits too.
    """
    found: dict[str, Grant] = {}
    for one in snapshot.key_access(store, thumbprint):
        if one.may_read and not one.inherited and one.sid not in _ALWAYS:
            right: Literal["read", "full"] = "full" if one.right == "full" else "read"
            if one.sid not in found or right == "full":
                found[one.sid] = _grant(store, thumbprint, Account(one.name, one.sid), right)
    return found


def _grant(store: str, thumbprint: Thumbprint, account: Account, right: Literal["read", "full"]) -> Grant:
    return Grant(store=store, thumbprint=thumbprint, name=account.name, sid=account.sid, right=right)


def _named(readers: Mapping[str, Grant]) -> str | None:
    """In words; None when nobody else may."""
    return ", ".join(sorted(f"{one.name}: {one.right}" for one in readers.values())) or None


def _after(
    request: Request, before: BindingRecord | None, thumbprint: Thumbprint, store: str, app_id: uuid.UUID | None
) -> BindingRecord:
    """The record that is wanted: what was not said stays as it is."""
    present = BindingOptions() if before is None else before.options
    options = present if request.options is None else request.options
    if callable(options):
        options = check_options(options(present))
    if before is None:
        return BindingRecord(
            key=request.key,
            thumbprint=thumbprint,
            store_name=store,
            app_id=request.app_id or app_id or uuid.uuid4(),
            options=options,
        )
    return BindingRecord(
        key=before.key,
        thumbprint=thumbprint,
        store_name=before.store_name if before.store.casefold() == store.casefold() else store,
        app_id=before.app_id if request.app_id is None else request.app_id,
        options=options,
    )


def _marks(
    snapshot: Snapshot,
    request: Request,
    before: BindingRecord | None,
    certificate: Certificate,
    also: tuple[tuple[BindingRecord, BindingRecord], ...],
) -> Iterator[Mark]:
    newer = certificate.thumbprint
    if request.older in (None, certificate) or before is None or before.thumbprint in (None, newer):
        return
    for store in _stores(before.store, also):
        stored = snapshot.certificate(store, before.thumbprint)
        if stored is not None and stored.renewed_by != newer:
            yield Mark(store=store, thumbprint=before.thumbprint, before=stored.renewed_by, after=newer)


def _findings(
    snapshot: Snapshot,
    request: Request,
    certificate: Certificate,
    stored: StoreRecord | None,
    before: BindingRecord | None,
    store: str,
    also: tuple[tuple[BindingRecord, BindingRecord], ...],
) -> Iterator[Finding]:
    at = request.at or dt.datetime.now(dt.timezone.utc)
    bound_until = None
    if before is not None and before.thumbprint is not None:
        old = snapshot.certificate(before.store, before.thumbprint)
        # One that cannot be read goes, and can be compared with nothing.
        bound_until = None if old is None else end_of(old.certificate)
    host, authorities = preflight.host_of(request.key, request.host), snapshot.authorities(store)
    view_of = snapshot.issuers.view
    yield from preflight.about_certificate(certificate, host, at, request.profile, authorities, view_of=view_of)
    yield from about_issuers(certificate, snapshot.issuers, at, request.profile)
    yield from about_new_issuer(certificate, request.older, snapshot.issuers, at)
    yield from preflight.about_replacement(certificate, bound_until)
    yield from preflight.about_lost_names(certificate, request.older)
    yield from preflight.about_key(certificate, stored, store)
    yield from preflight.about_owner(before, request.app_id)
    if request.older is not None:
        together = {*request.together, *(other.key for other, _ in also)}
        yield from preflight.about_superseded(request.key, request.older, snapshot.by_thumbprint, together)
    for other, _ in also:
        name = preflight.host_of(other.key, None)
        if name is not None:
            yield from preflight.about_certificate(certificate, name, at, request.profile, authorities, view_of=view_of)
        if other.store.casefold() != store.casefold():
            there = snapshot.certificate(other.store, certificate.thumbprint)
            yield from preflight.about_key(certificate, there, other.store)
        yield from preflight.about_owner(other, None)
    yield from preflight.about_precedence(request.key, snapshot.neighbours.in_order(request.key))


def kept_by(request: Request, before: BindingRecord) -> Finding | None:
    """What to say when `on_conflict` keeps this binding; `BindingExistsError` when it forbids to replace it."""
    for finding in _conflict(request, before):
        if finding.code == "binding-kept":
            return finding
        raise _forbidden(request, finding)
    return None


def _forbidden(request: Request, conflict: Finding) -> BindingExistsError:
    return BindingExistsError(f"{request.key}: {conflict.found}, expected {conflict.expected}; {conflict.remedy}")


def _conflict(request: Request, before: BindingRecord) -> Iterator[Finding]:
    refused = request.on_conflict == "fail" or (
        request.on_conflict == "replace-if-same-app" and request.app_id != before.app_id
    )
    kept = request.on_conflict == "keep"
    if not refused and not kept:
        return
    yield machine_finding(
        "binding-kept" if kept else "binding-exists",
        str(request.key),
        f"it is bound to {before.thumbprint} by {{{before.app_id}}} already",
        expected=f"a binding of {{{request.app_id}}}" if request.on_conflict == "replace-if-same-app" else None,
    )


def _reservation(port: MachinePort, request: Request) -> ReservationChange | None:
    """What becomes of the URL reservation; None when it is as it shall be, or none is asked for."""
    if request.reserve is None:
        return None
    wanted = request.reserve.record
    before = port.reservations.find(wanted.url)
    if recovery.reservation_is(before, wanted):
        return None
    url = wanted.url if before is None else before.url  # in the spelling that the machine has
    return ReservationChange(url=url, before=before, after=replace(wanted, url=url))


_ACTIONS = {"leaf": "add-certificate", "intermediate": "add-chain", "root": "trust-root"}


def _steps(port: MachinePort, prepared: _Prepared) -> Iterator[Step]:
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
