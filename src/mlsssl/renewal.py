"""`renew`: the same names, options and owner, a new certificate and key; `renew_due`, for every binding at once."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from cryptography import x509

from mlsssl._changes import recovery
from mlsssl._changes.audit_log import former_name
from mlsssl._deploy.plan import Snapshot, carry_out, only_plan
from mlsssl._deploy.request import checked
from mlsssl._formats import pem
from mlsssl._formats.parsed import View
from mlsssl._issue import lifetimes
from mlsssl._issue.keys import check_key_type
from mlsssl._messages.arguments import check_type, items_of
from mlsssl._messages.foreign_text import shown
from mlsssl._messages.output import as_dict
from mlsssl._select.ports import HasPort, existing_port_of
from mlsssl.authority import SERVER_DAYS, CertificateAuthority
from mlsssl.binding import Binding, binding_of, bound_key
from mlsssl.certificate import Certificate
from mlsssl.errors import BindingError, InvalidInputError, MlssslError, StoreNotFoundError
from mlsssl.store import Store
from mlsssl.values import check_moment

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from mlsssl._deploy.apply import Outcome
    from mlsssl._deploy.plan import Plan
    from mlsssl._deploy.request import Request
    from mlsssl._machine.ports import BindingRecord, KeyProvider
    from mlsssl._validator.profiles import Profile
    from mlsssl.store import StoreEntry
    from mlsssl.values import BindingKey, KeyType, Thumbprint

__all__ = ["GRACE", "Renewal", "RenewalSource", "renew", "renew_due"]

RenewalSource: TypeAlias = CertificateAuthority | Certificate | Callable[[Certificate], Certificate]
"""Where `renew` has the new certificate from: an authority, the certificate itself, or a function of the old one."""

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
        at: dt.datetime | None = None,
        trail: str | Path | None = None,
    ) -> Outcome:
        """Replace the certificate of a binding by a new one for the same names; everything else stays as it is.

        Names, subject, key type, the address of the revocation list, whether the key may be exported, its kind of key
        storage, friendly name, store, owner and options (with unknown bits) are the old one's; a common name that is
        none of the names gives way to the first of them. The key is a new one. The old certificate gets the mark
        CERT_RENEWAL, which IIS' automatic rebind reads, and stays in the store until
        `cleanup` takes it out after its grace. The binding is never without a certificate where the system can update
        it in one step. What a killed change left is cleared up before anything is read; options and owner that are
        changed while the new certificate is made stay so.

        Args:
            key: The binding; it must exist.
            source: Where the new certificate comes from: an authority, which issues it; a certificate with its
                private key; or a function that is given the old certificate and returns the new one. The function is
                called before anything is locked or changed, and may take its time.
            machine: Which machine; this computer when not given.
            key_type: With an authority: what key to make; the old one's type when not given.
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
            DeploymentError: it stopped in the middle and was taken back, as in `deploy`.
            Exception: whatever a function given as `source` raises; nothing was done.
        """
        return carry_out(_request(locals()))

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
        at: dt.datetime | None = None,
        trail: str | Path | None = None,
    ) -> Plan:
        """What `renew` with these arguments would do, and what is wrong; the machine is only looked at.

        The source is asked: an authority issues the new certificate, a function is called. The plan holds what came
        of it, and `plan.apply()` binds that very certificate.

        Returns:
            The steps, the findings and the difference; `plan.apply()` does it.

        Raises:
            InvalidInputError, BindingNotFoundError, StoreNotFoundError, AccessDeniedError, Exception: as `renew`. What
                the preflight finds is in `plan.findings` instead.
            BindingError: as `renew`; or a change of this binding is not finished, by another process that still runs
                or that was killed: `recover` first, for a plan clears nothing up.
        """
        return only_plan(_request(locals(), only_looking=True))

    __call__.__qualname__, plan.__qualname__ = "renew", "renew.plan"  # what an error of a wrong call names
    __name__ = "renew"

    def __repr__(self) -> str:
        return "<function renew>"


renew = _Renew()


def _request(arguments: Mapping[str, Any], *, only_looking: bool = False) -> Request:
    """What `renew` with these arguments asks to be deployed: the source's certificate, in the place of the bound one.

    The source is asked when the machine is no longer locked.
    """
    machine, at, grace, reuse_key = (arguments[name] for name in ("machine", "at", "grace", "reuse_key"))
    check_grace(grace)
    if at is not None:
        check_moment(at)
    port = existing_port_of(machine)
    key = bound_key(arguments["key"], machine)
    if only_looking:
        recovery.refuse_pending(port, key)
    # What a killed change left is no state to read.
    with contextlib.nullcontext() if only_looking else recovery.changing(port, key):
        binding = Binding.get(key, machine=machine)
        entry = _bound_entry(binding, machine)
        store = Store.open(entry.store_name, machine=machine)
        old = store.export(entry.thumbprint) if reuse_key else entry.certificate
    new = _obtain(arguments, old)
    names = ("machine", "restart", "profile", "force", "verify", "at", "grace", "everywhere")
    given = {name: arguments[name] for name in names}
    trail = arguments["trail"]
    file = arguments["audit_log"] if trail is None else former_name(trail, stacklevel=4)
    return checked({**given, **_in_place_of(binding, entry, old, new), "audit_log": file})


def _in_place_of(binding: Binding, entry: StoreEntry, old: Certificate, new: Certificate) -> dict[str, Any]:
    """What of a request follows from what is bound and what shall be."""
    return {
        "verb": "renew",
        "key": binding.key,
        "certificate": new,
        "store": binding.record.store,
        "friendly_name": new.friendly_name if new.friendly_name is not None else entry.friendly_name,
        "exportable": entry.key is not None and entry.key.exportable is True,
        "provider": _provider(entry, new),
        "older": old,
        "expected": binding.record,
    }


def check_grace(grace: dt.timedelta) -> None:
    """`InvalidInputError` for what is no time to keep a certificate. Private."""
    if not isinstance(grace, dt.timedelta) or grace < dt.timedelta(0):
        raise InvalidInputError(f"grace is a timedelta from 0 up, not {shown(grace)}")


def _bound_entry(binding: Binding, machine: HasPort | None) -> StoreEntry:
    if binding.thumbprint is None:
        raise InvalidInputError(f"{binding.key} names no certificate: renew the file in the Central Certificate Store")
    found = Store(binding.record.store, "LocalMachine", machine).find(thumbprint=binding.thumbprint)
    if found is None:
        raise StoreNotFoundError(
            f"{binding.key} is bound to {binding.thumbprint}, which is not in "
            f"LocalMachine\\{binding.record.store}; deploy a certificate for its names instead"
        )
    return found


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
            f"a source is an authority, a certificate or a function, not {type(source).__name__}; "
            "Certificate.load reads a file"
        )
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
    hosts = old.hosts
    other = [name for name in old.names if name not in hosts]
    if other:
        raise InvalidInputError(
            f"the old certificate has names that an authority here does not issue ({', '.join(other)}); "
            "give a function that returns the new certificate"
        )
    if not hosts and old.common_name:
        hosts = (old.common_name,)  # what MakeCert wrote: no subjectAltName, the host in the subject
    if reuse_key and key_type is not None:
        raise InvalidInputError("reuse_key keeps the key, so key_type cannot choose another")
    made = old.private_key if reuse_key else key_type or check_key_type(old.key_type)
    # The first name is what an authority takes anyway, except for an address that its constraints would stop there.
    common_name = old.common_name if old.common_name in hosts[1:] else None if old.common_name else ""
    if days is None:
        lifetime = old.not_after - old.not_before
        days = max(1, min(SERVER_DAYS, round(lifetime / dt.timedelta(days=1))))
    subject = pem.x509_of(old).subject
    with lifetimes.noted():  # the finding `authority-ending` says it
        return _with_list_of(authority, old).issue(
            *hosts, key=made, days=days, common_name=common_name, subject=subject, at=at
        )


def _with_list_of(authority: CertificateAuthority, old: Certificate) -> CertificateAuthority:
    """The authority, naming the address of its revocation list that the old certificate has, when it names none."""
    issuer = View(pem.x509_of(authority))
    view = View(pem.x509_of(old))
    # A list is signed by one key: the one of an authority's former key says nothing of what the new one signs.
    if authority.crl_url is not None or view.issuer != issuer.subject or not view.may_be_signed_by(issuer):
        return authority
    points = pem.find_extension(pem.x509_of(old), x509.CRLDistributionPoints)
    for name in (name for point in points or () for name in point.full_name or ()):
        if isinstance(name, x509.UniformResourceIdentifier):
            return authority.with_crl_url(name.value)
    return authority


def _provider(entry: StoreEntry, new: Certificate) -> KeyProvider | None:
    """The old key's kind of storage, for a program may be able to read one kind only; EC keys have no choice."""
    if entry.key is None or not new.key_type.startswith("rsa") or not entry.key.provider:
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
        error: Why it failed; None when it did not.
        skipped: Why nothing was done, in words; None when something was tried.
    """

    key: BindingKey | None
    outcome: Outcome | None = None
    plan: Plan | None = None
    error: MlssslError | None = None
    skipped: str | None = None

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON."""
        result = "failed" if self.error else "skipped" if self.skipped else "planned" if self.plan else "renewed"
        return {
            **as_dict(self, "key"),
            "result": result,
            "skipped": self.skipped,
            "error": None if self.error is None else {"type": type(self.error).__name__, "message": str(self.error)},
            **as_dict(self, "outcome", "plan"),
        }


def renew_due(
    authority: CertificateAuthority,
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
    restart: Sequence[str] = (),
    audit_log: str | Path | None = None,
    at: dt.datetime | None = None,
    dry_run: bool = False,
    trail: str | Path | None = None,
) -> list[Renewal]:
    """Renew every binding whose certificate is due, for a scheduled task; one failure does not stop the others.

    Bindings that share a certificate share the new one. Certificates that another authority has issued are left
    alone, for whoever issued them renews them; one that is over already was not renewed, and is a failure. What
    a killed change left is cleared up before anything is read.

    Args:
        authority: Issues the new ones.
        machine: Which machine; this computer when not given.
        only: These keys; every binding of the machine when not given.
        due_only: Only those that are due, as `Certificate.renewal_due` says.
        any_issuer: Also certificates that somebody else issued.
        key_type: As in `renew`.
        fraction: As in `Certificate.renewal_due`.
        jitter: As in `Certificate.renewal_due`.
        days: As in `renew`.
        grace: As in `renew`.
        restart: As in `renew`.
        audit_log: As in `renew`.
        at: As in `renew`; also the moment to be due at.
        dry_run: Only say what would be done, as `renew.plan` does: the machine is only looked at, and what the
            authority issues for the plans is kept nowhere else. A binding with a change that is not finished, since
            its process was killed, say, is a failure, also when nothing is bound to its key now. Of plans that share a
            certificate, one can be applied; the others are then to be made again.
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
    check_type(authority, CertificateAuthority, "an authority is needed (CertificateAuthority.load reads one)")
    check_grace(grace)
    moment = check_moment(at)
    if trail is not None:
        audit_log = former_name(trail, stacklevel=3)
    keys_given = None if only is None else items_of(only, "only is a list of binding keys")
    wanted = None if keys_given is None else [bound_key(key, machine) for key in keys_given]
    port = existing_port_of(machine)
    with contextlib.nullcontext() if dry_run else port.lock("renew", timeout=0):
        ready = contextlib.nullcontext(recovery.not_ended(port)) if dry_run else recovery.recovered_first(port)
        with ready as pending:
            snapshot = Snapshot(port)
            bindings = _bindings_of(snapshot.bindings, machine, wanted, {key for key, _ in pending})
        same = {"machine": machine, "grace": grace, "restart": restart, "audit_log": audit_log, "at": at}
        made: dict[Thumbprint, Certificate] = {}
        results = []
        for binding in bindings:
            try:
                for key, error in pending:
                    if key == binding.key:
                        raise error
                entry = _bound_entry(binding, machine)
                old = entry.certificate
                why = _why_not(old, authority, moment, due_only, any_issuer, fraction, jitter)
                if why is not None:
                    results.append(Renewal(key=binding.key, skipped=why))
                    continue
                new = made.get(entry.thumbprint) or _issue(
                    authority, old, key_type=key_type, reuse_key=False, days=days, at=at
                )
                together = tuple(one.key for one in bindings if one.thumbprint == entry.thumbprint)
                request = checked({**same, **_in_place_of(binding, entry, old, new), "together": together})
                if dry_run:
                    result = Renewal(key=binding.key, plan=only_plan(request, snapshot=snapshot))
                else:
                    result = Renewal(key=binding.key, outcome=carry_out(request, snapshot=snapshot))
                made[entry.thumbprint] = new
                results.append(result)
            except MlssslError as error:
                results.append(Renewal(key=binding.key, error=error))
        told = {binding.key for binding in bindings}
        others = [one for one in pending if one[0] not in told and (wanted is None or one[0] in wanted)]
        results += [Renewal(key=key, error=error) for key, error in others]
    return results


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


def _why_not(
    old: Certificate,
    authority: CertificateAuthority,
    at: dt.datetime,
    due_only: bool,
    any_issuer: bool,
    fraction: float,
    jitter: float,
) -> str | None:
    if not any_issuer and pem.x509_of(old).issuer != pem.x509_of(authority).subject:
        if at > old.not_after:
            raise BindingError(
                f"its certificate is over since {old.not_after:%Y-%m-%d %H:%M} UTC, and who issued it "
                f"({old.issuer or 'nobody'}) has not renewed it; any_issuer=True renews it from {authority.name}"
            )
        return f"issued by {old.issuer or 'nobody'}, not by {authority.name}"
    if due_only and not old.renewal_due(fraction, at=at, jitter=jitter):
        return f"not due before {old.renewal_time(fraction, jitter=jitter):%Y-%m-%d %H:%M} UTC"
    return None
