"""What a request to deploy means on its machine: the change, who may read the key, and what the preflight finds."""

from __future__ import annotations

import contextlib
import datetime as dt
import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from mlsssl._changes import recovery
from mlsssl._changes.record import Addition, Change, Grant, Mark, ReservationChange, Was
from mlsssl._deploy import preflight
from mlsssl._deploy.issuers import about_issuers, about_new_issuer
from mlsssl._deploy.snapshot import Snapshot
from mlsssl._formats.binding_keys import BindingOptions
from mlsssl._formats.choice import may_issue
from mlsssl._formats.parsed import issuer_view
from mlsssl._formats.pem import end_of, is_root, x509_of
from mlsssl._machine import stores
from mlsssl._machine.accounts import ADMINISTRATORS, SYSTEM, Account
from mlsssl._machine.ports import BindingRecord
from mlsssl._select.ports import port_of
from mlsssl._validator.findings import machine_finding
from mlsssl._validator.report import Finding, Report, Severity
from mlsssl.binding import check_options, thumbprint_of
from mlsssl.certificate import Certificate, x509_chain
from mlsssl.errors import BindingError, BindingExistsError, InvalidInputError, MlssslError, StoreNotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mlsssl._deploy.request import Request
    from mlsssl._formats.parsed import View
    from mlsssl._machine.ports import MachinePort, StoreRecord
    from mlsssl.values import Thumbprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What there is to do: what carrying it out needs, and what a plan shows.

    `certificate` is the new one, with the chain behind `change.additions`; a `friendly_name` of None leaves its own.
    `readers` are who besides SYSTEM and the administrators may read the private key before and after, by SID;
    `roots` are the self-signed ones that came with the certificate, DER; `rebinds`: whether a binding changes.
    """

    request: Request
    change: Change
    certificate: Certificate
    friendly_name: str | None
    findings: tuple[Finding, ...]
    readers: tuple[Mapping[str, Grant], Mapping[str, Grant]]
    roots: tuple[bytes, ...]
    rebinds: bool

    def certificate_of(self, addition: Addition) -> Certificate:
        """What is added: the certificate, or one of its chain."""
        if addition.role == "leaf":
            return self.certificate
        whole: tuple[Certificate, ...] = (*self.certificate.chain, self.certificate)
        return next(one for one in whole if one.thumbprint == addition.thumbprint)

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        change = self.change
        done = change.additions or change.grants or change.marks or change.reservation
        return bool(done or self.rebinds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What a request means on its machine, worked out: all that carrying it out needs; a `Plan` is that in words.

    Attributes:
        task: What there is to do.
        findings: What the preflight found, errors first.
        steps_owed: Whether an earlier change has left steps (`hooks=`) over, which are run even when nothing changes.
    """

    task: Task
    findings: tuple[Finding, ...]
    steps_owed: bool


def prepare(
    request: Request, snapshot: Snapshot | None = None, *, app_id: uuid.UUID | None = None, shown: bool = False
) -> Prepared:
    """Look at the machine and work out what the request means there; errors as `Plan.apply` and `deploy`.

    `app_id` is the new owner's GUID for a key that has no binding; a random one when not given. `shown`: whether it is
    for a `Plan`, which says more than is needed to carry it out.
    """
    with contextlib.closing(snapshot or Snapshot(port_of(request.machine))) as seen:
        return _prepared(request, seen, app_id, shown=shown)


def _prepared(request: Request, snapshot: Snapshot, app_id: uuid.UUID | None, *, shown: bool) -> Prepared:
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
    also = tuple(other_bindings(snapshot, request, before, certificate.thumbprint))
    chain = tuple(map(issuer_view, x509_chain(certificate)))
    additions = tuple(_additions(snapshot, request, certificate, chain, stored, store, name))
    access = _access(snapshot, request, before, certificate, stored, store, additions, shown=shown)
    for other in stores_of(store, also)[1:] if also else ():
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
        findings += conflicts(request, conflicting)
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
    return Prepared(task=task, findings=tuple(findings), steps_owed=_steps_owed(port, task))


def _steps_owed(port: MachinePort, task: Task) -> bool:
    if not task.request.hooks or task.changes:
        return False
    from mlsssl._deploy import steps

    assert task.change.key is not None
    return steps.owed_to(port, task.change.key) is not None


def other_bindings(
    snapshot: Snapshot, request: Request, before: BindingRecord | None, thumbprint: Thumbprint | None
) -> Iterator[tuple[BindingRecord, BindingRecord]]:
    """Every other binding of the old certificate, as it is and as it shall be: with the new one, else as it is."""
    if not request.everywhere or before is None or before.thumbprint is None or before.thumbprint == thumbprint:
        return
    for one in snapshot.by_thumbprint.get(before.thumbprint, ()):
        if one.key != before.key:
            yield one, one if thumbprint is None else replace(one, thumbprint=thumbprint)


def stores_of(first: str, also: Iterable[tuple[BindingRecord, BindingRecord]]) -> list[str]:
    """The stores that the bindings of a change name, each once."""
    names = {first.casefold(): first}
    for before, _ in also:
        names.setdefault(before.store.casefold(), before.store)
    return list(names.values())


def _resolve(
    port: MachinePort, snapshot: Snapshot, request: Request, store: str
) -> tuple[Certificate, StoreRecord | None]:
    """The certificate itself, and how it stands in the store now."""
    assert request.certificate is not None
    thumbprint = thumbprint_of(request.certificate)
    stored = snapshot.certificate(store, thumbprint)
    if stored is None and not stores.is_standard(store):  # else: a system so new that nothing was in it yet may lack it
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
            old = readers_of(snapshot, before.store, before.thumbprint)
        except MlssslError as error:
            if request.key_access == "keep":
                raise
            unread = f"who may read the private key of the bound certificate could not be looked up ({error})"
    same = before is not None and before.thumbprint == thumbprint
    new_key = stored is None or any(
        one.thumbprint == thumbprint and one.was in ("without-key", "unusable-key") for one in additions
    )
    nobody = not (old or request.key_access or shown)  # so nobody's right is lost or given, whoever has one already
    has = {} if new_key or nobody else old if same else readers_of(snapshot, store, thumbprint)
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


def readers_of(snapshot: Snapshot, store: str, thumbprint: Thumbprint) -> dict[str, Grant]:
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
    for store in stores_of(before.store, also):
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
    for finding in conflicts(request, before):
        if finding.code == "binding-kept":
            return finding
        raise forbidden(request, finding)
    return None


def forbidden(request: Request, conflict: Finding) -> BindingExistsError:
    return BindingExistsError(f"{request.key}: {conflict.found}, expected {conflict.expected}; {conflict.remedy}")


def conflicts(request: Request, before: BindingRecord) -> Iterator[Finding]:
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


def report_of(request: Request, findings: tuple[Finding, ...]) -> Report:
    return Report(
        findings=findings,
        profile="deployment",
        host=request.host,
        at=request.at or dt.datetime.now(dt.timezone.utc),
        subject=str(request.key),
    )
