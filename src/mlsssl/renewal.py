"""`renew`: the same names, options and owner, a new certificate and key; `renew_due`, for every binding at once."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from mlsssl._changes import recovery
from mlsssl._changes.audit_log import former_name
from mlsssl._deploy.carry_out import carry_out
from mlsssl._deploy.due import about_late, how_late, said_by
from mlsssl._deploy.plan import only_plan
from mlsssl._deploy.request import checked, checked_around
from mlsssl._deploy.snapshot import Snapshot
from mlsssl._formats import pem
from mlsssl._formats.keys import key_type_name
from mlsssl._issue import lifetimes
from mlsssl._issue.certificates import check_days
from mlsssl._issue.keys import check_key_type, same_key_type
from mlsssl._machine.files import path_of
from mlsssl._messages.arguments import check_callable, items_of
from mlsssl._messages.foreign_text import clean_logger, shown
from mlsssl._messages.output import as_dict, as_json
from mlsssl._select.ports import HasPort, existing_port_of, port_of
from mlsssl._validator.profiles import find_profile
from mlsssl._validator.report import Severity
from mlsssl.authority import (
    CertificateAuthority,
    renewal_common_name,
    renewal_days,
    renewal_hosts,
    with_list_of,
)
from mlsssl.binding import Binding, binding_of, bound_key
from mlsssl.certificate import Certificate, check_shares
from mlsssl.errors import BindingError, InvalidInputError, IssuePendingError, MlssslError, StoreNotFoundError
from mlsssl.issuers import Issuer
from mlsssl.store import Store
from mlsssl.values import check_moment

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path
    from typing import Literal

    from mlsssl._deploy.apply import Outcome
    from mlsssl._deploy.obtain import Asking
    from mlsssl._deploy.plan import Plan
    from mlsssl._deploy.request import Request
    from mlsssl._formats.binding_keys import BindingKey
    from mlsssl._machine.ports import BindingRecord, KeyProvider, MachinePort
    from mlsssl._notebook.cards import Tone
    from mlsssl._validator.profiles import Profile
    from mlsssl._validator.report import Finding
    from mlsssl.hooks import AfterFailure, Hook
    from mlsssl.store import StoreEntry
    from mlsssl.values import KeyType, Thumbprint

__all__ = ["GRACE", "Renewal", "RenewalSource", "Renewals", "renew", "renew_due"]

RenewalSource: TypeAlias = CertificateAuthority | Issuer | Certificate | Callable[[Certificate], Certificate]
"""Where `renew` has the new certificate from: an issuer, the certificate itself, or a function of the old one."""

GRACE = dt.timedelta(days=30)
"""How long a replaced certificate is kept by default."""


class _Renew:
    """`renew(key, source)` does it; `renew.plan(key, source)` says what it would do. Same arguments."""

    __slots__ = ()

    def __call__(
        self,
        key: BindingKey | str,
        source: RenewalSource,
        *,
        machine: HasPort | None = None,
        key_type: KeyType | None = None,
        reuse_key: bool = False,
        days: int | None = None,
        grace: dt.timedelta = GRACE,
        everywhere: bool = False,
        restart: Sequence[str] = (),
        profile: str | Profile = "private",
        force: bool = False,
        verify: bool = True,
        audit_log: str | Path | None = None,
        key_access: Sequence[str] | Literal["keep"] = "keep",
        hooks: Sequence[Hook] = (),
        after_failure: AfterFailure = "report",
        at: dt.datetime | None = None,
        trail: str | Path | None = None,
    ) -> Outcome:
        """Replace the certificate of a binding by a new one for the same names; everything else stays as it is.

        Names, subject, key type, the address of the revocation list, whether the key may be exported, its kind of key
        storage, friendly name, store, owner and options (with unknown bits) are the old one's; a common name that is
        none of the names gives way to the first of them. The key is a new one, which the same accounts may read. The
        old certificate gets the mark
        CERT_RENEWAL, which IIS' automatic rebind reads, and stays in the store until
        `cleanup` takes it out after its grace. The binding is never without a certificate where the system can update
        it in one step. What a killed change left is cleared up before anything is read; options and owner that are
        changed while the new certificate is made stay so.

        Args:
            key: The binding; it must exist.
            source: Where the new certificate comes from: an authority of your own, which issues it; any other
                `Issuer`, which is sent a request; a certificate with its private key; or a function that is given the
                old certificate and returns the new one. Issuer and function are asked before anything is changed, and
                may take their time. For an issuer key and request are kept in the machine's state folder until the new
                certificate is in the store: after a kill, or without an answer yet, the next call goes on with the same
                request. What it gives is checked against the request: key, names, dates, chain.
            machine: Which machine; this computer when not given.
            key_type: With an authority or another issuer: what key to make; the old one's type when not given.
            reuse_key: With an authority: certify the old private key again. It has to be exportable.
            days: With an authority: validity; the old one's, but at most 199, when not given.
            grace: How long `cleanup` keeps the old certificate, from now.
            everywhere: Put the new certificate on every other binding of the old one too, whatever its kind, in one
                change: all of them or none, and undone as one. Each keeps its own options and owner, and has the
                certificate in its own store. Without it the warning `superseded-elsewhere` names them.
            restart: As in `deploy`.
            profile: As in `deploy`.
            force: As in `deploy`.
            verify: As in `deploy`.
            audit_log: As in `deploy`.
            key_access: As in `deploy`; by default whoever may read the old private key may read the new one.
            hooks: As in `deploy`.
            after_failure: As in `deploy`.
            at: As in `deploy`; also the moment of issuing.
            trail: The former name of `audit_log`, deprecated.

        Returns:
            What was done; `outcome.undo()` goes back to the old certificate.

        Raises:
            InvalidInputError: the source cannot make such a certificate; or an argument that cannot be.
            BindingNotFoundError: nothing is bound to this key: `deploy` does it.
            NotFoundError: no machine is given, and this computer has no embedded machine where it would be.
            StoreNotFoundError: the bound certificate is not in its store, so nobody knows its names: `deploy`.
            AccessDeniedError: `reuse_key`, and the key is not exportable.
            ValidationError: the preflight found an error in the new certificate; nothing was done.
            BindingError: the binding was given another certificate meanwhile; nothing was done. Or somebody else has
                been changing this machine's bindings for a minute.
            IssuePendingError: the issuer has no answer yet; the same call later goes on with the same request.
            IssuerError: the issuer refuses, could not be asked, or gave what does not answer the request.
            DeploymentError: it stopped in the middle and was taken back, as in `deploy`.
            Exception: whatever a function given as `source` raises; nothing was done.
        """
        return _renew(locals())

    def plan(
        self,
        key: BindingKey | str,
        source: RenewalSource,
        *,
        machine: HasPort | None = None,
        key_type: KeyType | None = None,
        reuse_key: bool = False,
        days: int | None = None,
        grace: dt.timedelta = GRACE,
        everywhere: bool = False,
        restart: Sequence[str] = (),
        profile: str | Profile = "private",
        force: bool = False,
        verify: bool = True,
        audit_log: str | Path | None = None,
        key_access: Sequence[str] | Literal["keep"] = "keep",
        hooks: Sequence[Hook] = (),
        after_failure: AfterFailure = "report",
        at: dt.datetime | None = None,
        trail: str | Path | None = None,
    ) -> Plan:
        """What `renew` with these arguments would do, and what is wrong; the machine is only looked at.

        An authority of your own issues the new certificate, a function is called. The plan holds what came of it, and
        `plan.apply()` binds that very certificate. Any other issuer is asked by `plan.apply()` only, unless it has
        answered already: the first step is then `ask-issuer`, and `plan.after` is None.

        Returns:
            The steps, the findings and the difference; `plan.apply()` does it.

        Raises:
            InvalidInputError, BindingNotFoundError, StoreNotFoundError, AccessDeniedError, Exception: as `renew`. What
                the preflight finds is in `plan.findings` instead.
            BindingError: as `renew`; or a change of this binding is not finished, by another process that still runs
                or that was killed: `recover` first, for a plan clears nothing up.
        """
        return _plan(locals())

    __call__.__qualname__, plan.__qualname__ = "renew", "renew.plan"  # what an error of a wrong call names
    __name__ = "renew"

    def __repr__(self) -> str:
        return "<function renew>"


renew = _Renew()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bound:
    """What is to be renewed, as it is now."""

    binding: Binding
    entry: StoreEntry
    old: Certificate

    @property
    def record(self) -> BindingRecord:
        return self.binding.record


def _renew(arguments: Mapping[str, Any], *, planned: BindingRecord | None = None) -> Outcome:
    """`renew`; with `planned` only if that is still what is bound."""
    issuer = _issuer_of(arguments)
    bound = _look(arguments)
    if planned is not None and bound.record != planned:
        raise BindingError(f"{bound.binding.key} was changed since this plan was made; plan again")
    if issuer is None:
        return carry_out(_request(arguments, bound, _obtain(arguments, bound.old)))
    _request(arguments, bound, None)  # what cannot be is refused before anything is ordered
    with _asking(issuer, bound, arguments).certificate() as new:
        return carry_out(_request(arguments, bound, new))


def _plan(arguments: Mapping[str, Any]) -> Plan:
    """`renew.plan`."""
    issuer = _issuer_of(arguments)
    bound = _look(arguments, only_looking=True)
    if issuer is None:
        return only_plan(_request(arguments, bound, _obtain(arguments, bound.old)))
    return _asking(issuer, bound, arguments).plan(
        lambda new: _request(arguments, bound, new), lambda: _renew(arguments, planned=bound.record)
    )


def _look(arguments: Mapping[str, Any], *, only_looking: bool = False) -> _Bound:
    """What is bound. The source is asked when the machine is no longer locked."""
    machine, reuse_key = arguments["machine"], arguments["reuse_key"]
    check_grace(arguments["grace"])
    if arguments["at"] is not None:
        check_moment(arguments["at"])
    port = existing_port_of(machine)
    key = bound_key(arguments["key"], machine)
    if only_looking:
        recovery.refuse_pending(port, key)
    # What a killed change left is no state to read.
    with contextlib.nullcontext() if only_looking else recovery.changing(port, key):
        binding = Binding.get(key, machine=machine)
        entry = _bound_entry(binding, machine)
        if reuse_key:
            old = Store.open(entry.store_name, machine=machine).export(entry.thumbprint)
        else:
            old = entry.certificate
    return _Bound(binding=binding, entry=entry, old=old)


def _request(arguments: Mapping[str, Any], bound: _Bound, new: Certificate | None) -> Request:
    """What `renew` with these arguments asks to be deployed: the new certificate, in the place of the bound one."""
    as_they_are = ("machine", "restart", "profile", "force", "verify", "key_access", "hooks", "after_failure")
    names = (*as_they_are, "at", "grace", "everywhere", "together")
    trail = arguments["trail"]
    file = arguments["audit_log"] if trail is None else former_name(trail, stacklevel=5)
    given = {name: arguments[name] for name in names if name in arguments}
    place = _in_place_of(bound.binding, bound.entry, bound.old, new)
    return checked({**given, **place, "audit_log": file}, to_be_issued=new is None)


# -- from an issuer that is sent a request --------------------------------------------------------------------------


def _issuer_of(arguments: Mapping[str, Any]) -> Issuer | None:
    """The source, if it is an issuer other than an authority of one's own, which answers at once."""
    source = arguments["source"]
    if isinstance(source, type):  # which has all that `Issuer` asks for, and could be called
        raise InvalidInputError(f"{source.__name__} is a class; give an issuer that was made of it")
    if isinstance(source, (CertificateAuthority, Certificate)) or not isinstance(source, Issuer):
        return None
    if arguments["reuse_key"] or arguments["days"] is not None:
        raise InvalidInputError(f"reuse_key and days are for an authority; {source.name} makes its own choice")
    return source


def _asking(issuer: Issuer, bound: _Bound, arguments: Mapping[str, Any]) -> Asking:
    """How the successor of what is bound is asked for."""
    from mlsssl._deploy.obtain import Asking, Target, successor_of  # only who has such an issuer needs it

    record = bound.record
    wanted = arguments["key_type"]
    key_type = same_key_type(bound.old.key_type, "key_type") if wanted is None else check_key_type(wanted)
    return Asking(
        port=port_of(arguments["machine"]),
        target=Target(key=record.key, store=record.store, older=record.thumbprint, renewal=True),
        wanted=successor_of(
            bound.old,
            key_type,
            exportable=_is_exportable(bound.entry),
            provider=_provider(bound.entry, key_type),
        ),
        issuer=issuer,
        old=bound.old,
        at=arguments["at"],
        together=arguments.get("together", ()),
    )


def _in_place_of(binding: Binding, entry: StoreEntry, old: Certificate, new: Certificate | None) -> dict[str, Any]:
    """What of a request follows from what is bound and what shall be."""
    return {
        "verb": "renew",
        "key": binding.key,
        "certificate": new,
        "store": binding.record.store,
        "friendly_name": entry.friendly_name if new is None or new.friendly_name is None else new.friendly_name,
        "exportable": _is_exportable(entry),
        "provider": None if new is None else _provider(entry, _key_type_of(new)),
        "older": old,
        "expected": binding.record,
    }


def check_grace(grace: dt.timedelta) -> None:
    """`InvalidInputError` for what is no time to keep a certificate. Private."""
    if not isinstance(grace, dt.timedelta) or grace < dt.timedelta(0):
        raise InvalidInputError(f"grace is a timedelta from 0 up, such as timedelta(days=30), not {shown(grace)}")


def _bound_entry(binding: Binding, machine: HasPort | None) -> StoreEntry:
    found = Store(binding.record.store, "LocalMachine", machine).find(thumbprint=_bound_thumbprint(binding))
    if found is None:
        raise _not_there(binding)
    return found


def _bound_thumbprint(binding: Binding) -> Thumbprint:
    if binding.thumbprint is None:
        raise InvalidInputError(f"{binding.key} names no certificate: renew the file in the Central Certificate Store")
    return binding.thumbprint


def _not_there(binding: Binding) -> StoreNotFoundError:
    return StoreNotFoundError(
        f"{binding.key} is bound to {binding.thumbprint}, which is not in "
        f"LocalMachine\\{binding.record.store}; deploy a certificate for its names instead"
    )


def _obtain(arguments: Mapping[str, Any], old: Certificate) -> Certificate:
    source: RenewalSource = arguments["source"]
    key_type, reuse_key, days = arguments["key_type"], arguments["reuse_key"], arguments["days"]
    if isinstance(source, CertificateAuthority):
        return _issue(source, old, key_type=key_type, reuse_key=reuse_key, days=days, at=arguments["at"])
    if key_type is not None or reuse_key or days is not None:
        raise InvalidInputError("key_type, reuse_key and days are for an authority; this source makes its own choice")
    if isinstance(source, Certificate):
        return source
    if not callable(source):
        raise InvalidInputError(
            "a source is an authority or another issuer (it has name, issue and issued), a certificate or a function, "
            f"not {type(source).__name__}; Certificate.load reads a file"
        )
    with lifetimes.noted():
        made = source(old)
    if not isinstance(made, Certificate):
        raise InvalidInputError(f"the source returned {type(made).__name__}, not a Certificate; nothing was done")
    return made


def _issue(
    authority: CertificateAuthority,
    old: Certificate,
    *,
    key_type: KeyType | None,
    reuse_key: bool,
    days: int | None,
    at: dt.datetime | None,
) -> Certificate:
    hosts = renewal_hosts(old)
    if reuse_key and key_type is not None:
        raise InvalidInputError("reuse_key keeps the key, so key_type cannot choose another")
    made = old.private_key if reuse_key else key_type or same_key_type(old.key_type, "key_type")
    with lifetimes.noted():  # the finding `authority-ending` says it
        return with_list_of(authority, old).issue(
            *hosts,
            key=made,
            days=renewal_days(old) if days is None else days,
            common_name=renewal_common_name(old, hosts),
            subject=pem.x509_of(old).subject,
            at=at,
        )


def _is_exportable(entry: StoreEntry) -> bool:
    """Whether the old private key may leave the machine, and so the new one too."""
    return entry.key is not None and entry.key.exportable is True


def _key_type_of(certificate: Certificate) -> str:
    # Where the private key is at hand, it need not be read from the certificate.
    key = certificate.private_key
    return certificate.key_type if key is None else key_type_name(key)


def _provider(entry: StoreEntry, key_type: str) -> KeyProvider | None:
    """The old key's kind of storage, for a program may be able to read one kind only; EC keys have no choice."""
    if entry.key is None or not key_type.startswith("rsa") or not entry.key.provider:
        return None
    return "cng" if "Key Storage Provider" in entry.key.provider else "csp"


# -- all that are due ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """What `renew_due` did about one binding.

    Attributes:
        key: The binding; None for a pending change whose record does not say of which binding it is.
        outcome: What was done; None when nothing was, or it failed.
        plan: With `dry_run`, what would be done; None otherwise.
        error: Why it failed, or (an `IssuePendingError`) why there is no new certificate yet; None otherwise.
        skipped: Why nothing was done, in words; None when something was tried.
        due: From when on the certificate that was found is to be renewed, aware; None when that is not known.
        findings: `renewal-due` where a certificate is due and was not renewed, with the reason and the time that is
            left: a notice, a warning or an error, by how much of that is left. What a renewal found is in its outcome.
    """

    key: BindingKey | None
    outcome: Outcome | None = None
    plan: Plan | None = None
    error: MlssslError | None = None
    skipped: str | None = None
    due: dt.datetime | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def result(self) -> Literal["renewed", "planned", "skipped", "pending", "failed"]:
        """In one word."""
        if self.error is not None:
            return "pending" if isinstance(self.error, IssuePendingError) else "failed"
        return "skipped" if self.skipped else "planned" if self.plan else "renewed"

    def _repr_html_(self) -> str:
        return Renewals([self])._repr_html_()

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON."""
        return {
            **as_dict(self, "key", "result"),
            "skipped": self.skipped,
            "error": None if self.error is None else {"type": type(self.error).__name__, "message": str(self.error)},
            **as_dict(self, "due", "outcome", "plan", "findings"),
        }


class Renewals(list[Renewal]):
    """What `renew_due` did, a `Renewal` for each binding: a list, and a card in notebooks."""

    def _repr_html_(self) -> str:
        from mlsssl._notebook.cards import listing

        heads = ("binding", "result", "what was done, or why not")
        return listing("renewals", "binding", heads, [_card_row(one) for one in self], empty="nothing is bound")

    def to_rows(self) -> list[dict[str, object]]:
        """A dict of plain values for each, all with the same keys: `pandas.DataFrame(renew_due(ca).to_rows())`."""
        return [
            {
                "key": None if one.key is None else str(one.key),
                "result": one.result,
                "thumbprint": None if one.outcome is None else as_json(one.outcome.after.thumbprint),
                "why": one.skipped or (None if one.error is None else str(one.error)),
            }
            for one in self
        ]


def _card_row(renewal: Renewal) -> list[str]:
    from mlsssl._notebook.cards import code, faint, ordered, sign, strong, text

    tones: dict[str, Tone] = {"renewed": "ok", "planned": "ok", "skipped": "note", "pending": "soon", "failed": "over"}
    if renewal.outcome is not None:
        what = code(renewal.outcome.after.thumbprint, whole=True) + ordered(renewal.outcome.done)
    elif renewal.plan is not None:
        what = ordered(renewal.plan.steps)
    else:
        what = text(renewal.skipped or renewal.error or "")
    key = faint("not known") if renewal.key is None else strong(renewal.key)
    return [key, sign(tones[renewal.result], renewal.result), what]


def renew_due(
    issuer: Issuer,
    *,
    machine: HasPort | None = None,
    only: Iterable[BindingKey | str] | None = None,
    due_only: bool = True,
    any_issuer: bool = False,
    key_type: KeyType | None = None,
    fraction: float = 2 / 3,
    jitter: float = 1 / 20,
    days: int | None = None,
    grace: dt.timedelta = GRACE,
    everywhere: bool = False,
    restart: Sequence[str] = (),
    profile: str | Profile = "private",
    force: bool = False,
    verify: bool = True,
    audit_log: str | Path | None = None,
    key_access: Sequence[str] | Literal["keep"] = "keep",
    hooks: Sequence[Hook] = (),
    after_failure: AfterFailure = "report",
    at: dt.datetime | None = None,
    dry_run: bool = False,
    stop: Callable[[], bool] | None = None,
    progress: Callable[[int], object] | None = None,
    trail: str | Path | None = None,
) -> Renewals:
    """Renew every binding whose certificate is due, for a scheduled task; one failure does not stop the others.

    Bindings that share a certificate share the new one. Certificates that another issuer has issued are left alone,
    for whoever issued them renews them; one in the last third of the time from when it was due to its end was not
    renewed, and is a failure. What a killed change left is cleared up before anything is read.

    What is due and was not renewed, for whatever reason, is said with that reason and the time that is left, louder
    from third to third of it: in the results and, from a warning on, to the logger `mlsssl`, which without any handler
    is standard error.

    Args:
        issuer: Issues the new ones: an authority of your own, or any other `Issuer`, as in `renew`. One that says
            itself when a certificate is due (`RenewalTimes`) is asked; where it says nothing, the share of the
            lifetime decides.
        machine: Which machine; this computer when not given.
        only: These keys; every binding of the machine when not given.
        due_only: Only those that are due, as the issuer or else `Certificate.renewal_due` says.
        any_issuer: Also certificates that somebody else issued.
        key_type: As in `renew`.
        fraction: As in `Certificate.renewal_due`.
        jitter: As in `Certificate.renewal_due`.
        days: As in `renew`; with an authority of your own only.
        grace: As in `renew`.
        everywhere: As in `renew`: the bindings that share a certificate change together or not at all, those too that
            `only` does not name. Each of them that is looked at has the same outcome or error in its result.
        restart: As in `renew`.
        profile: As in `renew`.
        force: As in `renew`.
        verify: As in `renew`.
        audit_log: As in `renew`.
        key_access: As in `renew`.
        hooks: As in `deploy`. Those that an earlier change of a binding has left over are run although it is not
            due. A step that fails for one binding stops no other.
        after_failure: As in `deploy`.
        at: As in `renew`; also the moment to be due at.
        dry_run: Only say what would be done, as `renew.plan` does: the machine is only looked at, nothing is ordered,
            and what an authority of your own issues for the plans is kept nowhere else. A binding with a change that is
            not finished, since its process was killed, say, is a failure, also when nothing is bound to its key now. Of
            plans that share a certificate, one can be applied; the others are then to be made again.
        stop: Asked before each binding; when it says True, that one and those after it are left for the next call, and
            are not among the results.
        progress: Called with the number of bindings looked at so far, after each, renewed or not.
        trail: The former name of `audit_log`, deprecated.

    Returns:
        A result for each binding that names a certificate, in the order of `Binding.all` or `only`; then one for each
        other change (of a key in `only`) that a killed process left and that could be neither finished nor taken back
        (with `dry_run`: that is not finished). A binding with such a change is not renewed; `.error` says what to do.

    Raises:
        BindingError: another `renew_due` runs on this machine; the message says which process. Or somebody else has
            been changing its bindings for a minute.
        BindingNotFoundError: a key in `only` is not bound.
        NotFoundError: as `renew`.
        InvalidInputError: an argument that cannot be.
    """
    if not isinstance(issuer, Issuer):
        raise InvalidInputError(
            f"an issuer is needed, such as an authority (CertificateAuthority.load reads one), not "
            f"{type(issuer).__name__}"
        )
    check_grace(grace)
    check_shares(fraction, jitter)
    check_callable(stop, "stop is a function without arguments that returns True to stop")
    check_callable(progress, "progress is a function of the number of bindings so far")
    moment = check_moment(at)
    if trail is not None:
        audit_log = former_name(trail, stacklevel=3)
    arguments = {
        "source": issuer,
        "machine": machine,
        "key_type": key_type,
        "reuse_key": False,
        "days": days,
        "grace": grace,
        "everywhere": everywhere,
        "restart": restart,
        "profile": profile,
        "force": force,
        "verify": verify,
        "audit_log": audit_log,
        "key_access": key_access,
        "hooks": hooks,
        "after_failure": after_failure,
        "at": at,
        "trail": None,
    }
    # What cannot be is refused once, whatever is bound or due, not as a failure of each binding.
    _issuer_of(arguments)
    arguments |= checked_around(arguments)
    find_profile(profile)
    if audit_log is not None:
        path_of(audit_log)
    if days is not None:
        check_days(days)
    if key_type is not None:
        check_key_type(key_type)
    keys_given = None if only is None else items_of(only, "only is a list of binding keys")
    wanted = None if keys_given is None else [bound_key(key, machine) for key in keys_given]
    port = existing_port_of(machine)
    lock = contextlib.nullcontext() if dry_run else port.lock("renew", timeout=0)
    with lock, contextlib.closing(Snapshot(port)) as snapshot:
        ready = contextlib.nullcontext(recovery.not_ended(port)) if dry_run else recovery.recovered_first(port)
        with ready as pending:
            bindings = _bindings_of(snapshot.bindings, machine, wanted, {key for key, _ in pending})
        said = said_by(issuer)
        made: dict[Thumbprint, Certificate] = {}
        along: dict[Thumbprint, Renewal] = {}
        failed: dict[BindingKey | None, MlssslError] = {}
        for key, error in pending:
            failed.setdefault(key, error)
        keys: dict[Thumbprint | None, list[BindingKey]] = {}
        for binding in bindings:
            keys.setdefault(binding.thumbprint, []).append(binding.key)
        results = []
        for binding in bindings:
            if stop is not None and stop():
                break
            old, due = None, None
            result = None if binding.thumbprint is None else along.get(binding.thumbprint)
            try:
                if binding.key in failed:
                    raise failed[binding.key]
                if result is None:
                    stored = snapshot.certificate(binding.store_name or "MY", _bound_thumbprint(binding))
                    if stored is None:
                        raise _not_there(binding)
                    old = Certificate.from_der(stored.certificate)
                    due = old.renewal_time(fraction, jitter=jitter)
                    mine = any_issuer or issuer.issued(old)
                    if mine:
                        due = said(old) or due
                        why = f"not due before {due:%Y-%m-%d %H:%M} UTC" if due_only and moment < due else None
                    else:
                        why = _not_ours(old, issuer, due, moment)
                    if why is None:
                        entry = Store(binding.record.store, "LocalMachine", machine)._entry(stored)  # noqa: SLF001
                        bound = _Bound(binding=binding, entry=entry, old=entry.certificate)
                        together = tuple(keys.get(entry.thumbprint, ()))
                        given = {**arguments, "key": binding.key, "together": together}
                        result = _renew_one(given, bound, snapshot, made, dry_run=dry_run)
                    else:
                        result = _skipped(binding.key, why, () if dry_run else hooks, machine)
            except MlssslError as error:
                result = Renewal(key=binding.key, error=error)
            if old is not None and due is not None and (result.error is not None or result.skipped is not None):
                late = _late(result, old, due, moment)
                result = replace(result, findings=late) if late != result.findings else result
            if everywhere and binding.thumbprint is not None and result.skipped is None:
                along[binding.thumbprint] = result
            results.append(replace(result, key=binding.key, due=due))
            if progress is not None:
                progress(len(results))
        told = {binding.key for binding in bindings}
        others = [one for one in pending if one[0] not in told and (wanted is None or one[0] in wanted)]
        results += [Renewal(key=key, error=error) for key, error in others]
    if not dry_run:
        _log_late(port, results)
    return Renewals(results)


def _late(result: Renewal, old: Certificate, due: dt.datetime, at: dt.datetime) -> tuple[Finding, ...]:
    """How late a certificate is that was not renewed, and why it was not."""
    why = str(result.skipped if result.error is None else result.error)
    found = about_late(str(result.key), old, due, at, why)
    return () if found is None else (found,)


def _log_late(port: MachinePort, results: Iterable[Renewal]) -> None:
    logger = clean_logger("mlsssl")
    for finding in dict.fromkeys(one for result in results for one in result.findings):
        tell = {Severity.WARNING: logger.warning, Severity.ERROR: logger.error}.get(finding.severity)
        if tell is not None:
            tell("%s: %s: %s", port.description, finding.where, finding.found)


def _skipped(key: BindingKey, why: str, hooks: Sequence[Hook], machine: HasPort | None) -> Renewal:
    """The result for a binding that is not renewed now, after the steps that an earlier change has left over."""
    if not hooks:
        return Renewal(key=key, skipped=why)
    from mlsssl._deploy import after

    lines, error = after.left_over(key, hooks, machine)
    if error is not None:
        return Renewal(key=key, error=error)
    return Renewal(key=key, skipped="; ".join([why, *(f"{line}, left over from the last change" for line in lines)]))


def _renew_one(
    arguments: Mapping[str, Any],
    bound: _Bound,
    snapshot: Snapshot,
    made: dict[Thumbprint, Certificate],
    *,
    dry_run: bool,
) -> Renewal:
    """Renew what is due, or plan it; `made` has what was issued for another binding of the same certificate."""
    key, thumbprint = bound.binding.key, bound.entry.thumbprint
    issuer = _issuer_of(arguments)
    if issuer is not None:
        asking = _asking(issuer, bound, arguments)
        request = partial(_request, arguments, bound)
        if dry_run:
            later = partial(_renew, arguments, planned=bound.record)
            return Renewal(key=key, plan=asking.plan(request, later, snapshot=snapshot))
        request(None)  # what cannot be is refused before anything is ordered
        with asking.certificate() as new:
            return Renewal(key=key, outcome=carry_out(request(new), snapshot=snapshot))
    new = made.get(thumbprint) or _obtain(arguments, bound.old)
    wanted = _request(arguments, bound, new)
    if dry_run:
        result = Renewal(key=key, plan=only_plan(wanted, snapshot=snapshot))
    else:
        result = Renewal(key=key, outcome=carry_out(wanted, snapshot=snapshot))
    made[thumbprint] = new
    return result


def _bindings_of(
    listed: Iterable[BindingRecord],
    machine: HasPort | None,
    wanted: list[BindingKey] | None,
    pending: Collection[BindingKey | None],
) -> list[Binding]:
    """The bindings to look at: those wanted, or all. One with a pending change may have no record at the moment."""
    if wanted is None:
        return [binding_of(record, machine) for record in listed if record.thumbprint is not None]
    return [
        Binding.get(key, machine=machine)
        for key in wanted
        if key not in pending or Binding.find(key, machine=machine) is not None
    ]


def _not_ours(old: Certificate, issuer: Issuer, due: dt.datetime, at: dt.datetime) -> str:
    """Why a certificate of another issuer is left alone; `BindingError` when that one has let it come near its end."""
    if how_late(due, old.not_after, at) is Severity.ERROR:
        ends = "is over since" if at > old.not_after else "ends on"
        raise BindingError(
            f"its certificate {ends} {old.not_after:%Y-%m-%d %H:%M} UTC, and who issued it "
            f"({old.issuer or 'nobody'}) has not renewed it; any_issuer=True renews it from {issuer.name}"
        )
    return f"issued by {old.issuer or 'nobody'}, not by {issuer.name}"
