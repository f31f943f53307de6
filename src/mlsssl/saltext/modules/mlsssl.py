"""Execution module `mlsssl`: certificates, keys and bindings of this minion. Plain values in and out.

What is returned is what the command line prints with `--json`. With `test=True`, or where the minion runs in test
mode, nothing is changed and the plan is returned. No secret is an argument or a part of a return: where one is, is
said as `pillar:KEY`, `file:PATH` or `sdb://PROFILE/KEY`.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import mlsssl
from mlsssl.saltext import _errors, _issuers, _settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

# What Salt's loader puts here.
__opts__: Mapping[str, Any]
__pillar__: Mapping[str, Any]
__salt__: Mapping[str, Callable[..., Any]]
__context__: dict[str, Any]

__virtualname__ = "mlsssl"
__load__ = ["audit", "bindings", "deploy", "renew_due"]

_OWNERS = uuid.UUID("0b5bd3b4-9ad4-4d6e-9d3b-7c4f6a1f2e10")
"""The namespace (RFC 9562) of the owners of bindings that nobody has given one."""


def __virtual__() -> str:
    return __virtualname__


def audit(*, profile: str = "private", unbound: bool = False, machine: str | None = None) -> dict[str, object]:
    """Every binding of this minion, its certificate, key, owner and findings; nothing is changed.

    CLI Example:

        salt '*' mlsssl.audit
    """
    from mlsssl._deploy import machines

    with _errors.as_salts_own(), machines.existing(_around().machine(machine)) as on:
        found = mlsssl.audit(machine=on, profile=profile, unbound=unbound)
        return found.to_dict()


def bindings(*, machine: str | None = None) -> list[dict[str, object]]:
    """Every binding, as `mlsssl binding list --json` has them.

    CLI Example:

        salt '*' mlsssl.bindings
    """
    from mlsssl._deploy import machines

    with _errors.as_salts_own(), machines.existing(_around().machine(machine)) as on:
        return [binding.to_dict() for binding in on.bindings]


def deploy(
    key: str,
    file: str | None = None,
    *,
    pillar: str | None = None,
    thumbprint: str | None = None,
    issuer: str | None = None,
    key_file: str | None = None,
    password: str | None = None,
    alias: str | None = None,
    host: str | Sequence[str] | None = None,
    key_type: str | None = None,
    store: str | None = None,
    app_id: str | None = None,
    options: Mapping[str, object] | None = None,
    on_conflict: str | None = None,
    trust_root: bool = False,
    friendly_name: str | None = None,
    exportable: bool = False,
    provider: str | None = None,
    restart: Sequence[str] | None = None,
    key_access: Sequence[str] | str | None = None,
    reserve: str | None = None,
    user: str | Sequence[str] | None = None,
    profile: str | None = None,
    force: bool = False,
    verify: bool = True,
    audit_log: str | None = None,
    machine: str | None = None,
    test: bool | None = None,
) -> dict[str, object]:
    """Make this certificate the one bound to this key, whatever was there.

    CLI Example:

        salt web1 mlsssl.deploy 0.0.0.0:443 /etc/pki/www.pfx password=pillar:www_password
    """
    from mlsssl._commands.binding import parse_options
    from mlsssl._deploy import machines

    given: dict[str, Any] = {
        name: value
        for name, value in {
            "host": host,
            "key_type": key_type,
            "store": store,
            "on_conflict": on_conflict,
            "friendly_name": friendly_name,
            "provider": provider,
            "restart": restart,
            "key_access": key_access,
            "reserve": reserve,
            "user": user,
            "profile": profile,
            "audit_log": audit_log,
        }.items()
        if value is not None
    }
    given |= {"trust_root": trust_root, "exportable": exportable, "force": force, "verify": verify}
    if options is not None:
        words = _settings.option_words(options)
        given["options"] = lambda present: parse_options(words, present)
    with _errors.as_salts_own():
        around = _around()
        path = around.machine(machine)
        certificate = _certificate_of(around, path, file, pillar, thumbprint, issuer, key_file, password, alias)

        def owned(on: mlsssl.Machine) -> dict[str, Any]:
            if app_id is None and mlsssl.Binding.find(key, machine=on) is not None:
                return given
            return {**given, "app_id": app_id or str(_owner_of(key))}

        def refused(on: mlsssl.Machine) -> None:
            plan = mlsssl.deploy.plan(key, certificate, machine=on, **owned(on))
            if not force:
                plan.report.raise_for_errors()

        if _is_test(test):
            with machines.existing_or_empty(path) as on:
                return mlsssl.deploy.plan(key, certificate, machine=on, **owned(on)).to_dict()
        with machines.to_add_to(path, refused, _nobody) as on:
            return mlsssl.deploy(key, certificate, machine=on, **owned(on)).to_dict()


def renew_due(
    issuer: str,
    *,
    only: Sequence[str] | None = None,
    due_only: bool = True,
    any_issuer: bool = False,
    everywhere: bool = False,
    key_type: str | None = None,
    days: int | None = None,
    fraction: float | None = None,
    jitter: float | None = None,
    restart: Sequence[str] | None = None,
    profile: str | None = None,
    force: bool = False,
    verify: bool = True,
    audit_log: str | None = None,
    machine: str | None = None,
    test: bool | None = None,
) -> dict[str, object]:
    """Renew every binding whose certificate is due, from the issuer of this name; one failure stops no other.

    CLI Example:

        salt -b 10% '*' mlsssl.renew_due fleet
    """
    from mlsssl._commands.deployment import NOTHING_DUE, PENDING, RENEWED, code_of
    from mlsssl._deploy import machines

    given: dict[str, Any] = {
        name: value
        for name, value in {
            "only": only,
            "key_type": key_type,
            "days": days,
            "fraction": fraction,
            "jitter": jitter,
            "restart": restart,
            "profile": profile,
            "audit_log": audit_log,
        }.items()
        if value is not None
    }
    with _errors.as_salts_own():
        around = _around()
        path = around.machine(machine)
        with machines.existing(path) as on:
            results = mlsssl.renew_due(
                _issuers.issuer_named(issuer, around, path),
                machine=on,
                due_only=due_only,
                any_issuer=any_issuer,
                everywhere=everywhere,
                force=force,
                verify=verify,
                dry_run=_is_test(test),
                **given,
            )
            code = code_of(results)
            __context__["retcode"] = 0 if code in (RENEWED, NOTHING_DUE, PENDING) else code
            return {"exit_code": code, "results": [one.to_dict() for one in results]}


def _around() -> _settings.Surroundings:
    return _settings.Surroundings(__opts__, __pillar__, __salt__)


def _is_test(test: bool | None) -> bool:
    return bool(__opts__.get("test", False)) if test is None else test


def _owner_of(key: str) -> uuid.UUID:
    """The owner of a new binding that nobody gave one: the same for a minion and a key, so that plans are exact."""
    return uuid.uuid5(_OWNERS, f"{__opts__.get('id')} {key}")


def _certificate_of(
    around: _settings.Surroundings,
    machine: str | None,
    file: str | None,
    pillar: str | None,
    thumbprint: str | None,
    issuer: str | None,
    key_file: str | None,
    password: str | None,
    alias: str | None,
) -> mlsssl.Certificate | mlsssl.Thumbprint | mlsssl.Issuer:
    if sum(one is not None for one in (file, pillar, thumbprint, issuer)) != 1:
        raise mlsssl.InvalidInputError(
            "deploy takes one of file (of this minion), pillar (a key with PEM text), thumbprint (of what is in the "
            "store), and issuer (a name in mlsssl:issuers)"
        )
    if issuer is not None:
        return _issuers.issuer_named(issuer, around, machine)
    if thumbprint is not None:
        return mlsssl.Thumbprint(thumbprint)
    return around.certificate(file, pillar, key=key_file, password=password, alias=alias)


def _nobody(_: Path) -> None:
    """A new machine is told to nobody: the return says what was done in it."""
