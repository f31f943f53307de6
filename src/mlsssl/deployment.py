"""`deploy`: make this certificate the one bound to this key, whatever was there; planned first, undoable after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsssl._changes import record, recovery
from mlsssl._changes.audit_log import former_name
from mlsssl._deploy import apply
from mlsssl._deploy.apply import Failure, Outcome
from mlsssl._deploy.carry_out import carry_out
from mlsssl._deploy.plan import Plan, Step, only_plan
from mlsssl._deploy.request import checked
from mlsssl._messages.foreign_text import shown
from mlsssl._select.ports import HasPort, existing_port_of
from mlsssl.binding import bound_key
from mlsssl.certificate import Certificate
from mlsssl.errors import DeploymentError, InvalidInputError, MlssslError, NotFoundError
from mlsssl.issuers import Issuer
from mlsssl.store import StoreEntry

if TYPE_CHECKING:
    import datetime as dt
    import uuid
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from typing import Any, Literal

    from mlsssl._deploy.first import FirstCertificate
    from mlsssl._formats.binding_keys import BindingKey, BindingOptions
    from mlsssl._formats.url_prefixes import UrlPrefix
    from mlsssl._machine.ports import KeyProvider, MachinePort
    from mlsssl._validator.profiles import Profile
    from mlsssl.binding import CertificateReference
    from mlsssl.hooks import AfterFailure, Hook
    from mlsssl.reservation import UrlReservation
    from mlsssl.values import KeyType, OnConflict

__all__ = ["Failure", "Outcome", "Plan", "Step", "deploy", "last_outcome", "recover"]


class _Deploy:
    """`deploy(key, certificate)` does it; `deploy.plan(key, certificate)` says what it would do. Same arguments."""

    __slots__ = ()

    def __call__(
        self,
        key: BindingKey | str,
        certificate: CertificateReference | Issuer,
        *,
        machine: HasPort | None = None,
        store: str | None = None,
        app_id: uuid.UUID | str | None = None,
        options: BindingOptions | Callable[[BindingOptions], BindingOptions] | None = None,
        on_conflict: OnConflict = "replace",
        trust_root: bool = False,
        friendly_name: str | None = None,
        exportable: bool = False,
        provider: KeyProvider | None = None,
        restart: Sequence[str] = (),
        host: str | Sequence[str] | None = None,
        key_type: KeyType | None = None,
        profile: str | Profile = "private",
        force: bool = False,
        verify: bool = True,
        audit_log: str | Path | None = None,
        key_access: Sequence[str] | Literal["keep"] = (),
        hooks: Sequence[Hook] = (),
        after_failure: AfterFailure = "report",
        at: dt.datetime | None = None,
        reserve: UrlReservation | UrlPrefix | str | None = None,
        user: str | Sequence[str] | None = None,
        trail: str | Path | None = None,
    ) -> Outcome:
        r"""Make this certificate the one bound to this key on this machine, whatever was there.

        Adds it to the store with its private key and the intermediates above it, and binds or updates the key: in
        one step where the system can, so that there is no moment without a certificate. An issuer that is neither
        with it nor in the machine's stores is a warning, `issuer-not-found`: clients that do not fetch it refuse. What
        is not given stays as it is (owner, options, unknown bits). Doing it again changes nothing. Killed at any
        moment, the machine has the old binding or the new one, whole; the next call or `mlsssl recover` clears up.

        Args:
            key: `0.0.0.0:443`, `[::]:443`, `www.example.com:443` (SNI), or an `IpPort` or `HostnamePort`.
            certificate: A certificate with its private key; or one that is in the store already, as an entry,
                thumbprint or certificate without key. Or an `Issuer`, such as an authority, that is asked for one for
                the names in `host`, with a new key of `key_type` (when not given RSA of 2048 bits; below an authority
                of your own, its default): only when what is bound is not its own, is not for these names, or is due.
                Key and request are kept as by `renew`.
            machine: Which machine; this computer when not given.
            store: The LocalMachine store; an entry's own, else `MY`, when not given.
            app_id: The owner's GUID; when not given the binding's present owner, or a new random one.
            options: The binding's options, all of them, or a function that is given those it has (the defaults when
                nothing is bound) and returns those it shall have; when not given those it has, or the defaults. The
                function is called while the machine is locked, so that nobody's change of the options is lost.
            on_conflict: When the key has another binding: `replace` it, `fail`, `keep` it and do nothing, or
                `replace-if-same-app`: replace when it belongs to `app_id`, else fail.
            trust_root: Put the self-signed root of the chain into the store Root: every program on this machine
                will trust whatever it signs.
            friendly_name: Shown in lists; the certificate's own when not given.
            exportable: Whether the private key may be read back out of the machine later.
            provider: `"cng"` or `"csp"` where one is needed; the machine chooses otherwise.
            restart: Key names of services to stop for the moment of the change and start again, whatever happens
                in between. HTTP.sys itself needs none.
            host: The name that clients connect to, to check the certificate for; an SNI key brings its own. For an
                issuer also several, in a list: the names of the certificate.
            key_type: For an issuer: what key to make.
            profile: Whose rules to check it by, as in `Certificate.check`.
            force: Go on although the preflight found errors.
            verify: Shake hands with the port afterwards, when something listens, and compare the certificate.
            audit_log: A file that gets one JSON line per change; its folder must exist.
            key_access: Accounts that get the right to read the private key, besides SYSTEM and the administrators:
                names (`NETWORK SERVICE`, `NT SERVICE\W3SVC`, `DOMAIN\user`) or SIDs; `"keep"`: those that may read
                the key of the certificate that is bound now. Who has the right already keeps it.
            hooks: Steps after the change, run in this order when it has changed something: functions that are called
                with one `hooks.Replacement`, such as a `hooks.CommandHook`. They run once for each change, outside
                the machine's lock. When one fails, or the process is killed before the last, the rest stays owed: the
                next call for this key with the same steps goes on with them, also when it changes nothing else. So a
                step that was killed in the middle is run again.
            after_failure: When a step fails: `report` gives the finding `after-failed`; `undo` takes the change
                back, lets the steps that had run follow, and raises.
            at: The moment to check the dates for, aware; now when not given.
            reserve: A URL prefix on the port of `key` to reserve for `user`, such as `https://+:443/mls/`, so that a
                service that is not administrator may listen there; or a `UrlReservation`, which says itself for whom.
                Another reservation of that prefix is replaced, and brought back by `undo`. When not given,
                reservations stay as they are.
            user: The account, or several, that `reserve` is for: `NT SERVICE\name`, `DOMAIN\user`, a SID.
            trail: The former name of `audit_log`, deprecated.

        Returns:
            What was done; `outcome.changed` is False when there was nothing to do, `outcome.undo()` goes back.

        Raises:
            InvalidInputError: an argument that cannot be, or a CCS key, which names no certificate.
            NotFoundError: no account is called as `user` says (1332); nothing was done.
            NotFoundError, AccessDeniedError, NativeError: the file of `audit_log` cannot be written; nothing was done.
            ValidationError: the preflight found an error; `.report` has every finding, and nothing was done. What is
                bound already is checked too.
            BindingExistsError: the key has another binding, and `on_conflict` says so.
            BindingError: somebody else is changing this machine's bindings; or an earlier change of this key is pending
                and can be neither finished nor taken back. Nothing was done; the message says what to do.
            StoreNotFoundError: no such store, or a thumbprint that is not in it.
            NotFoundError: no account has a name in `key_access`.
            UnsupportedError: what keeps the key knows no access lists.
            ServiceNotFoundError: a service in `restart` does not exist.
            IssuePendingError: the issuer has no answer yet; the same call later goes on with the same request.
            IssuerError: the issuer refuses, could not be asked, or gave what does not answer the request.
            DeploymentError: it stopped in the middle and was taken back; `.failure` says what was done, what was
                undone and what a person must do. Its `__cause__` is the machine's own error, such as
                `UnusableCertificateError` (1312) or `AccessDeniedError`; or, with `after_failure="undo"`, the
                `HookError` of the step that failed.
        """
        arguments = locals()
        if _is_issuer(certificate, host, key_type):
            return _first(arguments).deploy()
        return carry_out(checked(arguments))

    def plan(
        self,
        key: BindingKey | str,
        certificate: CertificateReference | Issuer,
        *,
        machine: HasPort | None = None,
        store: str | None = None,
        app_id: uuid.UUID | str | None = None,
        options: BindingOptions | Callable[[BindingOptions], BindingOptions] | None = None,
        on_conflict: OnConflict = "replace",
        trust_root: bool = False,
        friendly_name: str | None = None,
        exportable: bool = False,
        provider: KeyProvider | None = None,
        restart: Sequence[str] = (),
        host: str | Sequence[str] | None = None,
        key_type: KeyType | None = None,
        profile: str | Profile = "private",
        force: bool = False,
        verify: bool = True,
        audit_log: str | Path | None = None,
        key_access: Sequence[str] | Literal["keep"] = (),
        hooks: Sequence[Hook] = (),
        after_failure: AfterFailure = "report",
        at: dt.datetime | None = None,
        reserve: UrlReservation | UrlPrefix | str | None = None,
        user: str | Sequence[str] | None = None,
        trail: str | Path | None = None,
    ) -> Plan:
        """What `deploy` would do, and what is wrong; the machine is only looked at. Arguments as `deploy`.

        Nothing is ordered from an issuer either, but as `renew.plan` says.

        Returns:
            The steps, the findings and the difference; `plan.apply()` does it.

        Raises:
            InvalidInputError, StoreNotFoundError, ServiceNotFoundError, UnsupportedError: as `deploy`. What the
                preflight finds is in `plan.findings` instead.
            BindingError: a change of this binding is not finished, by another process that still runs or that was
                killed: `recover` first, for a plan clears nothing up.
        """
        arguments = locals()
        if _is_issuer(certificate, host, key_type):
            return _first(arguments).plan()
        return only_plan(checked(arguments))

    __call__.__qualname__, plan.__qualname__ = "deploy", "deploy.plan"  # what an error of a wrong call names
    __name__ = "deploy"

    def __repr__(self) -> str:
        return "<function deploy>"


deploy = _Deploy()


def _is_issuer(certificate: object, host: object, key_type: object) -> bool:
    """Whether an issuer was given in a certificate's place."""
    if not isinstance(certificate, (Certificate, StoreEntry, bytes, str, type)) and isinstance(certificate, Issuer):
        return True
    if key_type is not None:
        raise InvalidInputError("key_type is for an issuer, which certifies a new key; a certificate has its own")
    if host is not None and not isinstance(host, str):
        raise InvalidInputError("several names in host are for an issuer; to check a certificate for, host is one name")
    return False


def _first(arguments: Mapping[str, Any]) -> FirstCertificate:
    from mlsssl._deploy.first import FirstCertificate  # only who has an issuer needs it

    if arguments["trail"] is not None:
        arguments = {**arguments, "audit_log": former_name(arguments["trail"], stacklevel=4), "trail": None}
    return FirstCertificate(arguments["certificate"], arguments)


def recover(
    *, machine: HasPort | None = None, abandon: BindingKey | str | None = None, hooks: Sequence[Hook] = ()
) -> list[str]:
    """Finish or take back what a killed deploy, renew or update left; a line for each thing done.

    Steps that were to follow such a change (`hooks=`) are owed still. They are run when they are given here too, and
    a line names them otherwise.

    Every deploy, renew and undo does this first, so it is needed only when none follows. A change that can be neither
    finished nor taken back, since the old certificate is gone, say, stays pending; other bindings can be changed
    meanwhile, its own cannot.

    Args:
        machine: Which machine; this computer when not given.
        abandon: A change to give up, if it can be neither finished nor taken back: the key of its binding, or the
            name of its file (`"change.json"`) where nobody can read of which binding it is. The machine stays as it
            is, and a line says how that is.
        hooks: The steps to run where some are owed: those that `deploy` or `renew` was given.

    Raises:
        BindingError: somebody is changing the machine right now.
        InvalidInputError: `abandon` is neither a key nor such a name.
        NotFoundError: no change of `abandon` was pending; or there is no machine, as `audit` says.
        DeploymentError: not everything is well again: a change is still pending, a service that had been stopped does
            not start, a step failed, or the audit log could not be told. `.failure` says what was done and what is to
            do, and `__cause__` is what stopped the first change that is pending, or the first step.
    """
    wanted = abandon
    if hooks != ():
        from mlsssl.hooks import checked_hooks

        hooks = checked_hooks(hooks)
    port = existing_port_of(machine)
    with recovery.looking(port) as records:
        names = {one.name for one in records.pending()}  # a stranger's key is known by no other text
        if isinstance(abandon, str) and abandon not in names and not record.is_record(abandon):
            wanted = bound_key(abandon, machine)
        recovered = recovery.recover(port, records, abandon=wanted)
        done, problems = [*recovered.done], [*recovered.problems, *(one.text for one in recovered.stuck)]
        try:
            done += port.recover()
        except MlssslError as error:
            if str(error) not in problems:
                problems.append(str(error))
    failed = _steps_left_over(port, hooks, machine, done, problems)
    if problems:
        failure = Failure(verb="recover", key="", reason="; ".join(problems), done=tuple(done), to_do=tuple(problems))
        text = "".join(f"\n  {line}" for line in (*done, *problems))
        raise DeploymentError(f"not everything is well again:{text}", failure=failure) from (
            recovered.stuck[0].error if recovered.stuck else failed
        )
    if abandon is not None and not any(one.is_about(wanted) for one in recovered.pending):
        raise NotFoundError(f"no change of {shown(abandon)} is pending")
    return done


def _steps_left_over(
    port: MachinePort, hooks: Sequence[Hook], machine: HasPort | None, done: list[str], problems: list[str]
) -> Exception | None:
    """Run what steps are owed, or name them; a line of each to what is done or wrong. The first one's error, if any."""
    first: Exception | None = None
    for change in record.ChangeRecords(port.state_folder).with_owed_steps():
        if not hooks:
            done.append(
                f"still owed after {change.title}: the steps {', '.join(change.owed)}; the next deploy, renew or "
                "recover that is given them runs them"
            )
            continue
        from mlsssl._deploy import after

        assert change.key is not None
        lines, error = after.left_over(change.key, hooks, machine)
        done += [f"{line} after {change.title}" for line in lines]
        if error is not None:
            problems.append(f"a step after {change.title} failed: {error}")
            first = first or error
    return first


def last_outcome(key: BindingKey | str, *, machine: HasPort | None = None) -> Outcome | None:
    """The outcome of the last deploy or renew of this key, also by an earlier process, for its `undo()`.

    Of several bindings that were changed together (`renew(everywhere=True)`) it is the whole change, whichever of their
    keys is given. None when there is none, or it was undone. What a killed process left is cleared up first, as by
    `recover`.

    Raises:
        NotFoundError: there is no machine, as `audit` says.
        MalformedDataError: what was kept is damaged.
        BindingError: somebody else has been changing the machine for a minute.
        MlssslError: what was left could not be cleared up.
    """
    return apply.last_outcome(bound_key(key, machine), machine)
