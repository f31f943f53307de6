"""What a deployment would do, worked out before anything is done: steps, findings, and the difference it makes."""

from __future__ import annotations

import contextlib
import datetime as dt
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, get_args

from mlsssl._changes import audit_log, recovery
from mlsssl._changes.record import Addition, Journal, Mark, Was, begun
from mlsssl._changes.superseded import Ledger, Superseded
from mlsssl._deploy import preflight
from mlsssl._deploy.apply import Task, is_standard, look, run
from mlsssl._machine.authorities import look_around_if_lists
from mlsssl._machine.ports import BindingRecord
from mlsssl._messages.arguments import check_type, items_of
from mlsssl._messages.foreign_text import printable, shown
from mlsssl._messages.output import as_dict, to_json
from mlsssl._select.ports import HasPort, port_of
from mlsssl._validator.findings import machine_finding
from mlsssl._validator.report import Finding, Report, Severity
from mlsssl.binding import Binding, application_id, binding_of, bound_key, check_options, thumbprint_of
from mlsssl.certificate import Certificate
from mlsssl.errors import BindingError, BindingExistsError, InvalidInputError, MalformedDataError, StoreNotFoundError
from mlsssl.store import StoreEntry
from mlsssl.values import BindingOptions, check_friendly_name, check_moment, check_store_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import TypeAlias

    from mlsssl._deploy.apply import Outcome
    from mlsssl._machine.ports import KeyProvider, MachinePort, StoreRecord
    from mlsssl._notebook.cards import Printer
    from mlsssl._validator.profiles import Profile
    from mlsssl.binding import CertificateReference
    from mlsssl.values import BindingKey, Thumbprint

    OptionsWanted: TypeAlias = BindingOptions | Callable[[BindingOptions], BindingOptions]

__all__ = ["OnConflict", "Plan", "Step"]

OnConflict = Literal["replace", "fail", "keep", "replace-if-same-app"]
"""What to do when the key has another binding already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a plan.

    Attributes:
        action: `add-certificate`, `add-chain`, `trust-root`, `stop-service`, `bind`, `update`, `replace` (deleted
            and set again, where the system has no atomic update), `start-service`, `mark-renewed`, `verify`.
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
        after: The binding as it will be.
        steps: In order; empty when there is nothing to do.
        findings: What the preflight found, errors first.
    """

    key: BindingKey
    before: Binding | None
    after: Binding | None
    steps: tuple[Step, ...]
    findings: tuple[Finding, ...]
    _wish: Wish = field(repr=False, compare=False)
    _task: Task = field(repr=False, compare=False)

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.steps)

    @property
    def owner_is_new(self) -> bool:
        """Whether `after.app_id` was made for this plan, at random, since nobody said whose the new binding is.

        `apply` uses that very one; another plan, or `deploy`, makes another.
        """
        return self.before is None and self.after is not None and self._wish.app_id is None

    @property
    def ok(self) -> bool:
        """Whether no finding is an error, so that `apply` goes ahead."""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)

    @property
    def report(self) -> Report:
        """The findings as a report."""
        return Report(
            findings=self.findings,
            profile="deployment",
            host=self._wish.host,
            at=self._wish.at or dt.datetime.now(dt.timezone.utc),
            subject=str(self.key),
        )

    @property
    def diff(self) -> tuple[tuple[str, str | None, str | None], ...]:
        """Each field of the binding that changes: its name, how it was, how it will be."""
        before, after = _fields(self.before), _fields(self.after)
        if self.owner_is_new:
            after["app_id"] = f"{after['app_id']}, made for this plan"
        return tuple(
            (name, before.get(name), after.get(name))
            for name in {**before, **after}
            if before.get(name) != after.get(name)
        )

    def apply(self) -> Outcome:
        """Do exactly what the plan says, if the machine is still as it was when the plan was made.

        Raises:
            BindingExistsError: the key has a binding, and `on_conflict` says to leave it.
            ValidationError: a finding is an error; `.report` has them all. `force=True` goes on all the same.
            BindingError: somebody has changed the binding or the store since; plan again. Or an earlier change of this
                binding is pending.
            NotFoundError, AccessDeniedError, InvalidInputError, NativeError: the audit trail cannot be written;
                nothing was done.
            DeploymentError: it stopped in the middle; `.failure` says what was done, what was undone and what is
                left.
        """
        with recovery.changing(port_of(self._wish.machine), self.key) as journal:
            planned = self._task.change.after
            now = make_plan(self._wish, app_id=None if planned is None else planned.app_id)
            same = (now.before, now.after, now.steps) == (self.before, self.after, self.steps)
            if not same:
                raise BindingError(f"{self.key} or its certificate was changed since this plan was made; plan again")
            outcome = now.execute(journal)
        return look(self._task, outcome)

    def execute(self, journal: Journal) -> Outcome:
        """Carry the plan out under the lock that its maker holds. Private."""
        conflict = next((one for one in self.findings if one.code == "binding-exists"), None)
        if conflict is not None:
            raise BindingExistsError(f"{self.key}: {conflict.found}, expected {conflict.expected}; {conflict.remedy}")
        # Also when there is nothing to do: "bound already" is no answer to whether it is right for this name, today.
        kept = any(one.code == "binding-kept" for one in self.findings)
        if not self._wish.force and not kept:
            self.report.raise_for_errors()
        if self.changes:
            audit_log.try_to_open(self._wish.trail)
            self._note_superseded()
        return run(self._task, journal)

    def _note_superseded(self) -> None:
        # Before the change: should it be killed in between, an entry without a mark is passed over.
        older, grace = self._wish.older, self._wish.grace
        if older is None or grace is None or self.after is None or older.thumbprint == self.after.thumbprint:
            return
        moment = dt.datetime.now(dt.timezone.utc)
        store = self._wish.store or "MY"
        superseded = Superseded(store=store, thumbprint=older.thumbprint, at=moment, grace=grace)
        Ledger(port_of(self._wish.machine).state_folder).add(superseded)

    @property
    def task(self) -> Task:
        """What is behind it. Private."""
        return self._task

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON."""
        return {
            **as_dict(self, "key", "changes", "ok", "owner_is_new", "before", "after"),
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
        from mlsssl._notebook.views import plan_card

        findings = [finding.to_dict() for finding in self.findings]
        return plan_card(
            self.key, ok=self.ok, changes=self.changes, steps=self.steps, diff=self.diff, findings=findings
        )

    def __str__(self) -> str:
        lines = [f"plan for {self.key} on {port_of(self._wish.machine).description}:"]
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What was asked for, checked; the arguments of `deploy`, and a little more for `renew`.

    Attributes:
        older: For a renewal: the certificate that is renewed.
        expected: For a renewal: the binding whose certificate it is. The new one names no other; its options and its
            owner are whatever they are when it is replaced.
        grace: For a renewal: how long to keep that certificate.
        Others: As in `deploy`.
    """

    verb: Literal["deploy", "renew"]
    machine: HasPort | None
    key: BindingKey
    certificate: CertificateReference
    store: str | None
    app_id: uuid.UUID | None
    options: OptionsWanted | None
    on_conflict: OnConflict
    trust_root: bool
    friendly_name: str | None
    exportable: bool
    provider: KeyProvider | None
    restart: tuple[str, ...]
    host: str | None
    profile: str | Profile
    force: bool
    verify: bool
    trail: Path | None
    at: dt.datetime | None
    older: Certificate | None = None
    expected: BindingRecord | None = None
    grace: dt.timedelta | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A wish that depends on what the machine has.

    Attributes:
        machine: Which machine.
        key: The binding in question.
        read: Looks at the machine, under its lock where something will be done. What it returns makes the wish, and is
            called without the lock, for it may take its time.
    """

    machine: HasPort | None
    key: BindingKey
    read: Callable[[], Callable[[], Wish]]


def make_wish(
    verb: Literal["deploy", "renew"],
    key: BindingKey | str,
    certificate: CertificateReference,
    *,
    machine: HasPort | None,
    store: str | None,
    app_id: uuid.UUID | str | None = None,
    options: OptionsWanted | None = None,
    on_conflict: OnConflict = "replace",
    trust_root: bool = False,
    friendly_name: str | None,
    exportable: bool,
    provider: KeyProvider | None,
    restart: Sequence[str],
    host: str | None,
    profile: str | Profile,
    force: bool,
    verify: bool,
    trail: str | Path | None,
    at: dt.datetime | None,
    older: Certificate | None = None,
    expected: BindingRecord | None = None,
    grace: dt.timedelta | None = None,
) -> Wish:
    """Check the arguments. `InvalidInputError` for each that cannot be; nothing is looked at on the machine."""
    parsed = bound_key(key, machine)
    if not parsed.family.has_certificate:
        raise InvalidInputError(
            f"{parsed} names no certificate: the Central Certificate Store is a folder; put the file there"
        )
    if on_conflict not in get_args(OnConflict):
        raise InvalidInputError(f"on_conflict is one of {', '.join(get_args(OnConflict))}, not {shown(on_conflict)}")
    if on_conflict == "replace-if-same-app" and app_id is None:
        raise InvalidInputError("on_conflict='replace-if-same-app' needs the app_id to compare with")
    services = tuple(items_of(restart, "restart is a list of service names, such as ['W3SVC']"))
    for service in services:
        check_type(service, str, "a service name is text")
    if isinstance(certificate, StoreEntry) and store is None:
        store = certificate.store_name
    return Wish(
        verb=verb,
        machine=machine,
        key=parsed,
        certificate=certificate,
        store=None if store is None else check_store_name(store),
        app_id=None if app_id is None else application_id(app_id),
        options=options if options is None or callable(options) else check_options(options),
        on_conflict=on_conflict,
        trust_root=trust_root,
        friendly_name=check_friendly_name(friendly_name),
        exportable=exportable,
        provider=provider,
        restart=services,
        host=host,
        profile=profile,
        force=force,
        verify=verify,
        trail=audit_log.check(trail),
        at=None if at is None else check_moment(at),
        older=older,
        expected=expected,
        grace=grace,
    )


def make_plan(wish: Wish, *, app_id: uuid.UUID | None = None) -> Plan:
    """Look at the machine and work out what the wish means there.

    Args:
        wish: What was asked for.
        app_id: The new owner's GUID for a key that has no binding; a random one when not given.

    Raises:
        BindingError: the binding to renew names another certificate by now.
        StoreNotFoundError: the store does not exist, or a thumbprint was given that is not in it.
        UnsupportedError: the machine does not know the family.
        ServiceNotFoundError: a service to restart does not exist.
    """
    port = port_of(wish.machine)
    before = port.bindings.find(wish.key)
    if wish.expected is not None and not _same_certificate(before, wish.expected):
        raise BindingError(f"{wish.key} was changed while its new certificate was made; nothing was done")
    store = wish.store or "MY"
    certificate, stored = _resolve(port, wish, store)
    name = certificate.friendly_name if wish.friendly_name is None else wish.friendly_name
    additions = tuple(_additions(port, wish, certificate, stored, store, name))
    after: BindingRecord | None = _after(wish, before, certificate.thumbprint, store, app_id)
    conflict = before is not None and before != after
    if conflict and wish.on_conflict == "keep":
        additions, after = (), before
    marks: tuple[Mark, ...] = ()
    older = wish.older
    if older is not None and older != certificate and before is not None:
        marks = tuple(_marks(port, before, certificate.thumbprint))
    for service in wish.restart:
        port.services.query(service)  # it exists, or this raises before anything is done
    findings = [*_findings(port, wish, certificate, stored, before, store)]
    if conflict and before is not None:
        findings += _conflict(wish, before)
    findings.sort(key=lambda finding: finding.severity.rank)
    if after == before and not additions:
        findings = [finding for finding in findings if finding.code != "owner-changes"]
    change = begun(
        wish.verb,
        wish.key if before is None else before.key,  # in the spelling that the machine has
        before=before,
        after=after,
        additions=additions,
        marks=marks,
        trail=wish.trail,
        bound=tuple({one.thumbprint for one in port.bindings.all() if one.thumbprint is not None}),
    )
    certificates = {one.thumbprint: one for one in (*certificate.chain, certificate)}
    task = Task(
        machine=wish.machine,
        change=change,
        certificates=certificates,
        friendly_name=name,
        exportable=wish.exportable,
        provider=wish.provider,
        services=wish.restart if before != after else (),
        verify=wish.verify,
        findings=tuple(finding for finding in findings if finding.severity is not Severity.ERROR),
    )
    return Plan(
        key=wish.key,
        before=None if before is None else binding_of(before, wish.machine),
        after=None if after is None else binding_of(after, wish.machine),
        steps=tuple(_steps(port, task, certificate)),
        findings=tuple(findings),
        _wish=wish,
        _task=task,
    )


def _resolve(port: MachinePort, wish: Wish, store: str) -> tuple[Certificate, StoreRecord | None]:
    """The certificate itself, and how it stands in the store now."""
    thumbprint = thumbprint_of(wish.certificate)
    stored = _find(port, store, thumbprint)
    if isinstance(wish.certificate, Certificate):
        return wish.certificate, stored
    if stored is None:
        raise StoreNotFoundError(
            f"no certificate {thumbprint} in LocalMachine\\{store}; give the certificate itself, or its store"
        )
    return Certificate.from_der(stored.certificate), stored


def _find(port: MachinePort, store: str, thumbprint: Thumbprint) -> StoreRecord | None:
    try:
        opened = port.open_store(store, "LocalMachine")
    except StoreNotFoundError:
        if not is_standard(store):
            raise
        return None  # a system so new that nothing was in it yet
    try:
        return opened.find(thumbprint)
    finally:
        opened.close()


def _additions(
    port: MachinePort,
    wish: Wish,
    certificate: Certificate,
    stored: StoreRecord | None,
    store: str,
    friendly_name: str | None,
) -> Iterator[Addition]:
    above = certificate.chain
    for one in above:
        if one.is_self_issued:
            continue
        if _find(port, "CA", one.thumbprint) is None:
            yield Addition(store="CA", thumbprint=one.thumbprint, role="intermediate", was="absent")
    if wish.trust_root:
        root = next((one for one in (certificate, *above) if one.is_self_issued), None)
        if root is None:
            raise InvalidInputError(
                "trust_root needs the root in the certificate's chain: certificate.with_chain([…, root])"
            )
        if _find(port, "Root", root.thumbprint) is None:
            yield Addition(store="Root", thumbprint=root.thumbprint, role="root", was="absent")
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


def _same_certificate(one: BindingRecord | None, other: BindingRecord) -> bool:
    return (
        one is not None and one.thumbprint == other.thumbprint and recovery.same_store(one.store_name, other.store_name)
    )


def _after(
    wish: Wish, before: BindingRecord | None, thumbprint: Thumbprint, store: str, app_id: uuid.UUID | None
) -> BindingRecord:
    """The record that is wanted: what was not said stays as it is."""
    present = BindingOptions() if before is None else before.options
    options = present if wish.options is None else wish.options
    if callable(options):
        options = check_options(options(present))
    if before is None:
        return BindingRecord(
            key=wish.key,
            thumbprint=thumbprint,
            store_name=store,
            app_id=wish.app_id or app_id or uuid.uuid4(),
            options=options,
        )
    return replace(
        before,
        thumbprint=thumbprint,
        store_name=before.store_name if recovery.same_store(before.store_name, store) else store,
        app_id=before.app_id if wish.app_id is None else wish.app_id,
        options=options,
    )


def _marks(port: MachinePort, before: BindingRecord, newer: Thumbprint) -> Iterator[Mark]:
    store = before.store_name or "MY"
    if before.thumbprint is None or before.thumbprint == newer:
        return
    stored = _find(port, store, before.thumbprint)
    if stored is not None and stored.renewed_by != newer:
        yield Mark(store=store, thumbprint=before.thumbprint, before=stored.renewed_by, after=newer)


def _findings(
    port: MachinePort,
    wish: Wish,
    certificate: Certificate,
    stored: StoreRecord | None,
    before: BindingRecord | None,
    store: str,
) -> Iterator[Finding]:
    at = wish.at or dt.datetime.now(dt.timezone.utc)
    bound = None
    if before is not None and before.thumbprint is not None:
        old = _find(port, before.store_name or "MY", before.thumbprint) if _exists(port, before.store_name) else None
        with contextlib.suppress(MalformedDataError):  # it goes, and can be compared with nothing
            bound = None if old is None else Certificate.from_der(old.certificate)
    host, around = preflight.host_of(wish.key, wish.host), look_around_if_lists(port, store)
    yield from preflight.about_certificate(certificate, host, at, wish.profile, around)
    yield from preflight.about_replacement(certificate, bound)
    yield from preflight.about_lost_names(certificate, wish.older)
    yield from preflight.about_key(certificate, stored, store)
    yield from preflight.about_owner(before, wish.app_id)
    others = [record.key for record in port.bindings.all() if record.key != wish.key]
    yield from preflight.about_shadows(wish.key, others)


def _exists(port: MachinePort, store: str | None) -> bool:
    return (store or "MY").casefold() in {name.casefold() for name in port.store_names("LocalMachine")}


def _conflict(wish: Wish, before: BindingRecord) -> Iterator[Finding]:
    refused = wish.on_conflict == "fail" or (wish.on_conflict == "replace-if-same-app" and wish.app_id != before.app_id)
    kept = wish.on_conflict == "keep"
    if not refused and not kept:
        return
    yield machine_finding(
        "binding-kept" if kept else "binding-exists",
        str(wish.key),
        f"it is bound to {before.thumbprint} by {{{before.app_id}}} already",
        expected=f"a binding of {{{wish.app_id}}}" if wish.on_conflict == "replace-if-same-app" else None,
    )


_ACTIONS = {"leaf": "add-certificate", "intermediate": "add-chain", "root": "trust-root"}


def _steps(port: MachinePort, task: Task, certificate: Certificate) -> Iterator[Step]:
    change = task.change
    for addition in change.additions:
        one = task.certificates[addition.thumbprint]
        shown = repr(one).removeprefix("<Certificate ").removesuffix(">")
        where = f"LocalMachine\\{addition.store}"
        if addition.was == "absent":
            what = f"add to {where}: {shown}"
        elif addition.was == "whole" or not certificate.has_private_key:
            what = f"name {addition.thumbprint} in {where} {task.friendly_name!r}"
        else:
            what = f"give {addition.thumbprint} in {where} its private key"
        yield Step(action=_ACTIONS[addition.role], what=what)
    if change.before != change.after and change.after is not None:
        for name in task.services:
            yield Step(action="stop-service", what=f"stop the service {name} and what depends on it")
        if change.before is None:
            action, verb = "bind", "bind"
        elif port.bindings.atomic_update:
            action, verb = "update", "update in one step:"
        else:
            action, verb = "replace", "delete and set again, for this system has no update in one step:"
        yield Step(action=action, what=f"{verb} {change.key} to {change.after.thumbprint}")
        for name in reversed(task.services):
            yield Step(action="start-service", what=f"start the service {name} and what depended on it")
    for mark in change.marks:
        yield Step(action="mark-renewed", what=f"mark {mark.thumbprint} as renewed by {mark.after}")
    bound = change.key is not None and change.before != change.after
    if bound and task.verify and change.key is not None and port.served_at(change.key) is not None:
        yield Step(action="verify", what="shake hands anew with what listens there and compare the certificate")
