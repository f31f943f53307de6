"""What `deploy` was asked for: its arguments as one value, checked. `renew` asks for a deployment too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from mlsssl._changes import audit_log
from mlsssl._machine.accounts import Account, check_account
from mlsssl._messages.arguments import check_type, items_of
from mlsssl._messages.foreign_text import shown
from mlsssl._select.ports import HasPort, port_of
from mlsssl.binding import application_id, bound_key, check_options
from mlsssl.errors import InvalidInputError
from mlsssl.store import StoreEntry
from mlsssl.values import OnConflict, check_friendly_name, check_moment, check_store_name

if TYPE_CHECKING:
    import datetime as dt
    import uuid
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from mlsssl._formats.binding_keys import BindingKey, BindingOptions
    from mlsssl._machine.ports import BindingRecord, KeyProvider
    from mlsssl._validator.profiles import Profile
    from mlsssl.binding import CertificateReference
    from mlsssl.certificate import Certificate
    from mlsssl.hooks import AfterFailure, Hook
    from mlsssl.reservation import UrlReservation


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A deployment that is asked for: the arguments of `deploy`, and (from `verb` on) what a renewal adds.

    Attributes:
        certificate: None while an issuer is still to be asked for it, which is planned only.
        older: The certificate that is renewed.
        expected: The binding whose certificate it is. The new one names no other; its options and its owner are
            whatever they are when it is replaced.
        grace: How long to keep that certificate.
        key_access: Accounts that get the right to read the new private key; `keep` for those that may read the key of
            the bound certificate.
        together: Other bindings that are given the new certificate by the same call, each in a change of its own.
        everywhere: Whether every other binding of the old certificate is changed in the same change.
    """

    key: BindingKey
    certificate: CertificateReference | None
    machine: HasPort | None = None
    store: str | None = None
    app_id: uuid.UUID | None = None
    options: BindingOptions | Callable[[BindingOptions], BindingOptions] | None = None
    on_conflict: OnConflict = "replace"
    trust_root: bool = False
    friendly_name: str | None = None
    exportable: bool = False
    provider: KeyProvider | None = None
    restart: tuple[str, ...] = ()
    host: str | None = None
    profile: str | Profile = "private"
    force: bool = False
    verify: bool = True
    audit_log: Path | None = None
    key_access: tuple[Account, ...] | Literal["keep"] = ()
    hooks: tuple[Hook, ...] = ()
    after_failure: AfterFailure = "report"
    at: dt.datetime | None = None
    reserve: UrlReservation | None = None
    user: str | Sequence[str] | None = None
    verb: Literal["deploy", "renew"] = "deploy"
    older: Certificate | None = None
    expected: BindingRecord | None = None
    grace: dt.timedelta | None = None
    together: tuple[BindingKey, ...] = ()
    everywhere: bool = False


_ON_CONFLICT = get_args(OnConflict)


def checked(arguments: Mapping[str, Any], *, to_be_issued: bool = False) -> Request:
    """The request behind arguments of these names: those of `deploy`, its own `self` too, or the fields of a `Request`.

    With `to_be_issued` there is no certificate yet. `InvalidInputError` for one that cannot be, and what
    `audit_log.check` and `MachinePort.account` raise; no binding or store was looked at.
    """
    given = {name: value for name, value in arguments.items() if name not in ("self", "trail", "key_type")}
    certificate, store = given["certificate"], given.get("store")
    app_id, options = given.get("app_id"), given.get("options")
    if to_be_issued:
        certificate = given["certificate"] = None
    elif certificate is None:
        raise InvalidInputError("a certificate, its thumbprint or an issuer is needed, not None")
    key = bound_key(given["key"], given.get("machine"))
    if not key.family.has_certificate:
        raise InvalidInputError(
            f"{key} names no certificate: the Central Certificate Store is a folder; put the file there"
        )
    on_conflict = given.get("on_conflict", "replace")
    if on_conflict not in _ON_CONFLICT:
        raise InvalidInputError(f"on_conflict is one of {', '.join(_ON_CONFLICT)}, not {shown(on_conflict)}")
    if on_conflict == "replace-if-same-app" and app_id is None:
        raise InvalidInputError("on_conflict='replace-if-same-app' needs the app_id to compare with")
    around = checked_around(given)
    if isinstance(certificate, StoreEntry) and store is None:
        store = certificate.store_name
    access = around["key_access"]
    if access != "keep":
        # Looked up before anything is ordered or done, so that a typing error costs nothing.
        access = tuple(map(port_of(given.get("machine")).account, access)) if access else ()
    at, file = given.get("at"), given.get("audit_log")
    if arguments.get("trail") is not None:
        file = audit_log.former_name(arguments["trail"], stacklevel=4)
    if file is not None:
        file = audit_log.check(file)
    reserve = _reservation(key, given.get("reserve"), given.get("user"), given.get("machine"))
    given.update(
        hooks=around["hooks"],
        key=key,
        reserve=reserve,
        user=None,  # the reservation says it
        store=None if store is None else check_store_name(store),
        app_id=None if app_id is None else application_id(app_id),
        options=options if options is None or callable(options) else check_options(options),
        friendly_name=check_friendly_name(given.get("friendly_name")),
        restart=around["restart"],
        key_access=access,
        audit_log=file,
        at=None if at is None else check_moment(at),
    )
    return Request(**given)


def checked_around(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments for what is done around a change, as a `Request` has them, but that accounts are names still.

    `InvalidInputError` for one that cannot be whatever the machine has; no machine is asked.
    """
    restart = tuple(items_of(arguments.get("restart", ()), "restart is a list of service names, such as ['W3SVC']"))
    for service in restart:
        check_type(service, str, "a service name is text")
    access = arguments.get("key_access", ())
    if access != "keep":
        expected = "key_access is a list of accounts, such as ['NETWORK SERVICE'], or 'keep'"
        access = tuple(check_account(one) for one in items_of(access, expected))
    hooks, after_failure = arguments.get("hooks", ()), arguments.get("after_failure", "report")
    if hooks != () or after_failure != "report":  # who has no steps does without their module
        from mlsssl.hooks import AfterFailure, checked_hooks

        hooks = checked_hooks(hooks)
        if after_failure not in get_args(AfterFailure):
            raise InvalidInputError(f"after_failure is report or undo, not {shown(after_failure)}")
    return {"restart": restart, "key_access": access, "hooks": hooks}


def _reservation(key: BindingKey, reserve: object, user: object, machine: HasPort | None) -> UrlReservation | None:
    if reserve is None:
        if user is not None:
            raise InvalidInputError("user= is for reserve=, the URL prefix that this account may listen on")
        return None
    from mlsssl.reservation import UrlReservation  # few deployments reserve anything

    if not isinstance(reserve, UrlReservation):
        made = UrlReservation(reserve, user=user, machine=machine)  # type: ignore[arg-type]  # it looks at both itself
    elif user is not None:
        raise InvalidInputError("a UrlReservation says itself for whom it is: leave out user=")
    else:
        made = reserve
    if made.url.scheme != "https" or made.url.port != key.port:
        raise InvalidInputError(
            f"{made.url} is not what {key} is for: a reservation for this binding begins with https and has the port "
            f"{key.port}"
        )
    return made
