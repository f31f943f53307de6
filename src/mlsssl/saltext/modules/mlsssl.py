"""Execution module `mlsssl`: certificates, keys and bindings of this minion. Plain values in and out.

What is returned is what the command line prints with `--json`. With `test=True`, or where the minion runs in test
mode, nothing is changed and the plan is returned. No secret is an argument or a part of a return: an argument says
where it is, as `pillar:KEY`, `file:PATH` or `sdb://PROFILE/KEY`.

Arguments of one name mean the same in every function:

- `machine`: the file of an embedded machine, instead of `mlsssl:machine` of the pillar or the configuration, or else of
  this computer.
- `test`: only say what would be done; when not given, as the minion's own `test` says.
- `password`: where the password of `file` or `pillar` comes from.
- `after`: the steps after the change, as `--after` of the command line, in a list; `after_timeout`, `after_password`,
  `after_account` and `after_failure` with it.

Every function raises Salt's `CommandExecutionError`, with what is wrong and what to do.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import uuid
from typing import TYPE_CHECKING, Any

import mlsssl
from mlsssl._messages.foreign_text import clean_logger
from mlsssl.saltext import _errors, _issuers, _settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from mlsssl.binding import CertificateReference

# What Salt's loader puts here.
__opts__: Mapping[str, Any]
__pillar__: Mapping[str, Any]
__salt__: Mapping[str, Callable[..., Any]]
__context__: dict[str, Any]

__virtualname__ = "mlsssl"
__load__ = [
    "audit",
    "bindings",
    "check",
    "cleanup",
    "complete",
    "deploy",
    "recover",
    "remove",
    "renew",
    "renew_due",
    "request",
    "reservations",
    "stored",
    "trust",
    "undo",
]

_OWNERS = uuid.UUID("0b5bd3b4-9ad4-4d6e-9d3b-7c4f6a1f2e10")
"""The namespace (RFC 9562) of the owners of bindings that nobody gave one."""


def __virtual__() -> str | tuple[bool, str]:
    from importlib.util import find_spec

    missing = [name for name in ("cryptography", "cffi") if find_spec(name) is None]
    return (False, f"Salt's Python has no {missing[0]}: salt-pip install mlsssl") if missing else __virtualname__


# -- looking ----------------------------------------------------------------------------------------------------------


def audit(*, profile: str = "private", unbound: bool = False, machine: str | None = None) -> dict[str, object]:
    """Every binding of this minion, its certificate, key, owner and findings; nothing is changed.

    Args:
        profile: Whose rules the certificates are checked by: `private`, `public` …
        unbound: Also certificates with a private key that nothing is bound to.
        machine: See above.

    Returns:
        As `mlsssl audit --json`: `machine`, `at`, `ok`, `notes`, `rows`, `reservations`.

    CLI Example:

        salt '*' mlsssl.audit
    """
    with _errors.as_salts_own(), _existing(machine) as on:
        return mlsssl.audit(machine=on, profile=profile, unbound=unbound).to_dict()


def bindings(*, machine: str | None = None) -> list[dict[str, object]]:
    """Every binding, as `mlsssl binding list --json`: key, certificate, its names and days left, owner, options.

    CLI Example:

        salt '*' mlsssl.bindings
    """
    from mlsssl._commands.binding import binding_row

    with _errors.as_salts_own(), _existing(machine) as on:
        return [binding_row(binding) for binding in on.bindings]


def reservations(*, machine: str | None = None) -> list[dict[str, object]]:
    """Every URL reservation, as `mlsssl reservation list --json`.

    CLI Example:

        salt '*' mlsssl.reservations
    """
    from mlsssl._commands.reservation import reservation_row

    with _errors.as_salts_own(), _existing(machine) as on:
        return [reservation_row(reservation) for reservation in on.reservations]


def stored(store: str = "MY", *, machine: str | None = None) -> list[str]:
    """The thumbprints of the certificates in a LocalMachine store; empty where there is no such store or machine.

    CLI Example:

        salt '*' mlsssl.stored Root
    """
    with _errors.as_salts_own():
        try:
            with _existing(machine) as on, on.store(store) as opened:
                return sorted(map(str, opened.thumbprints()))
        except mlsssl.NotFoundError:
            return []


def check(
    target: str,
    *,
    host: str | None = None,
    trust: Sequence[str] | str = "system",
    profile: str = "private",
    client: str | None = None,
    password: str | None = None,
) -> dict[str, object]:
    """What clients would say to a server (`www.example.com:443`), or to a certificate in a file of this minion.

    Args:
        target: `HOST:PORT`, an https address, or a file.
        host: The name that clients connect to; a server's own when not given.
        trust: Files of roots on this minion, or `system`.
        profile: As in `audit`.
        client: The one client to ask for.
        password: See above; of a file.

    Returns:
        As `mlsssl check --json`. Salt's return code is 1 when a finding is an error.

    CLI Example:

        salt web1 mlsssl.check 127.0.0.1:443 host=www.example.com
    """
    from mlsssl._commands.certificate import endpoint_of, load_anchors

    with _errors.as_salts_own():
        paths = [trust] if isinstance(trust, str) else trust
        given: dict[str, Any] = {"host": host, "profile": profile, "client": client}
        given["trust"] = [root for path in paths for root in load_anchors(path)]
        endpoint = endpoint_of(target)
        if endpoint is not None:
            seen = mlsssl.check_endpoint(endpoint, **given)
            __context__["retcode"] = 0 if seen.ok else 1
            return seen.to_dict()
        certificate = _around().certificate(target, None, key=None, password=password, alias=None)
        report = certificate.check(key_expected=certificate.has_private_key, **given)
        __context__["retcode"] = 0 if report.ok else 1
        return report.to_dict()


# -- changing ---------------------------------------------------------------------------------------------------------


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
    after: Sequence[str] | None = None,
    after_timeout: float | None = None,
    after_password: str | None = None,
    after_account: str | None = None,
    after_failure: str | None = None,
    machine: str | None = None,
    test: bool | None = None,
) -> dict[str, object]:
    """Make this certificate the one bound to this key, whatever was there. Doing it again changes nothing.

    Args:
        key: `0.0.0.0:443`, `[::]:443`, `www.example.com:443` (SNI).
        file: A file of this minion with the certificate and its private key. Or, in its place:
        pillar: A key of the pillar with the same as text: PEM, or base64 of a PFX.
        thumbprint: Of a certificate that is in the store with its key.
        issuer: A name in `mlsssl:issuers`; it is asked for a certificate for `host`, with a key of `key_type` that is
            made here, only when what is bound is not its own, not for these names, or due.
        key_file: The private key's file, where it is another than `file`.
        password: See above.
        alias: Which one, where there are several.
        host: The name to check for; from an issuer the names of the certificate.
        key_type: For an issuer: `rsa-2048`, `ec-p256` …
        store: The LocalMachine store; `MY` when not given.
        app_id: The owner's GUID. When not given, the present one; of a new binding one that is made of the minion's id
            and the key, always the same.
        options: Those to change, by name: `{tls13: false}`; the others stay.
        on_conflict: `replace`, `fail`, `keep`, `replace-if-same-app`.
        trust_root: Put the chain's root into Root.
        friendly_name: As in `mlsssl.deploy` of the library, like the next ones.
        exportable: Whether the private key may be read back.
        provider: `cng` or `csp`.
        restart: Services to stop meanwhile, in a list.
        key_access: Accounts that may read the private key, in a list, or `keep`.
        reserve: A URL prefix to reserve for `user`.
        user: The account, or several.
        profile: Whose rules to check by.
        force: Go on although the preflight found errors.
        verify: Shake hands with the port afterwards.
        audit_log: A file that gets a line for the change.
        after: See above.
        after_timeout: Seconds for each step.
        after_password: Where the password of its files comes from: `file:PATH`.
        after_account: Who reads its files.
        after_failure: `report` or `undo`.
        machine: See above. A new one is made where it is not there yet.
        test: See above.

    Returns:
        As `mlsssl deploy --json`; with `test`, as `mlsssl deploy --plan --json`.

    CLI Example:

        salt web1 mlsssl.deploy 0.0.0.0:443 /etc/pki/www.pfx password=pillar:www_password
        salt web1 mlsssl.deploy 0.0.0.0:443 issuer=fleet host=www.example.com test=True
    """
    arguments = locals()
    with _errors.as_salts_own():
        around = _around()
        path = around.machine(machine)
        certificate: CertificateReference | mlsssl.Issuer
        if _one_of(arguments, "file", "pillar", "thumbprint", "issuer") == "thumbprint":
            certificate = mlsssl.Thumbprint(str(thumbprint))
        elif issuer is not None:
            certificate = _issuers.issuer_named(issuer, around, path)
        else:
            certificate = around.certificate(file, pillar, key=key_file, password=password, alias=alias)
        given = _given(arguments, *_DEPLOYING, *_CHANGING, "host", "key_type", "profile")
        return _deployed(key, certificate, path, given, app_id, options, test=_is_test(test))


def renew(
    key: str,
    issuer: str | None = None,
    *,
    file: str | None = None,
    pillar: str | None = None,
    password: str | None = None,
    alias: str | None = None,
    key_type: str | None = None,
    days: int | None = None,
    grace: float | None = None,
    everywhere: bool = False,
    restart: Sequence[str] | None = None,
    key_access: Sequence[str] | str | None = None,
    profile: str | None = None,
    force: bool = False,
    verify: bool = True,
    audit_log: str | None = None,
    after: Sequence[str] | None = None,
    after_timeout: float | None = None,
    after_password: str | None = None,
    after_account: str | None = None,
    after_failure: str | None = None,
    machine: str | None = None,
    test: bool | None = None,
) -> dict[str, object]:
    """Replace the certificate of a binding by a new one for the same names, now; everything else stays as it is.

    Args:
        key: The binding.
        issuer: A name in `mlsssl:issuers`. Or, in its place:
        file: A file of this minion with the new certificate and its private key.
        pillar: A key of the pillar with the same as text.
        password: See above.
        alias: Which one, where there are several.
        key_type: For an issuer: what key to make; the old one's type when not given.
        days: For an authority of this minion: validity.
        grace: Days that `cleanup` keeps the old certificate.
        everywhere: Every binding of the old certificate: all of them, or none.
        restart: As in `deploy`.
        key_access: As in `deploy`; those that may read the old key when not given.
        profile: As in `deploy`.
        force: As in `deploy`.
        verify: As in `deploy`.
        audit_log: As in `deploy`.
        after: See above.
        after_timeout: As in `deploy`.
        after_password: As in `deploy`.
        after_account: As in `deploy`.
        after_failure: As in `deploy`.
        machine: See above.
        test: See above.

    Returns:
        As `deploy`.

    CLI Example:

        salt web1 mlsssl.renew 0.0.0.0:443 fleet
    """
    arguments = locals()
    with _errors.as_salts_own():
        around = _around()
        path = around.machine(machine)
        source: mlsssl.Issuer | mlsssl.Certificate
        if _one_of(arguments, "issuer", "file", "pillar") == "issuer":
            source = _issuers.issuer_named(str(issuer), around, path)
        else:
            source = around.certificate(file, pillar, key=None, password=password, alias=alias)
        given = _given(arguments, *_CHANGING, *_RENEWING, "profile")
        with _existing(path) as on:
            run = mlsssl.renew.plan if _is_test(test) else mlsssl.renew
            return _told(run(key, source, machine=on, **given))


def renew_due(
    issuer: str,
    *,
    only: Sequence[str] | None = None,
    due_only: bool = True,
    any_issuer: bool = False,
    key_type: str | None = None,
    days: int | None = None,
    grace: float | None = None,
    fraction: float | None = None,
    jitter: float | None = None,
    everywhere: bool = False,
    restart: Sequence[str] | None = None,
    key_access: Sequence[str] | str | None = None,
    profile: str | None = None,
    force: bool = False,
    verify: bool = True,
    audit_log: str | None = None,
    after: Sequence[str] | None = None,
    after_timeout: float | None = None,
    after_password: str | None = None,
    after_account: str | None = None,
    after_failure: str | None = None,
    machine: str | None = None,
    test: bool | None = None,
) -> dict[str, object]:
    """Renew every binding whose certificate is due, from the issuer of this name; one failure stops no other.

    What a killed run left is cleared up first. Certificates of other issuers are left alone.

    Args:
        issuer: A name in `mlsssl:issuers`.
        only: These keys, in a list; every binding when not given.
        due_only: Only those that are due; `False` renews all now.
        any_issuer: Also certificates that somebody else issued.
        key_type: As in `renew`.
        days: As in `renew`.
        grace: As in `renew`.
        fraction: The share of the lifetime to use.
        jitter: Earlier by up to this share, so that not all ask at once.
        everywhere: As in `renew`.
        restart: As in `deploy`.
        key_access: As in `renew`.
        profile: As in `deploy`.
        force: As in `deploy`.
        verify: As in `deploy`.
        audit_log: As in `deploy`.
        after: See above.
        after_timeout: As in `deploy`.
        after_password: As in `deploy`.
        after_account: As in `deploy`.
        after_failure: As in `deploy`.
        machine: See above.
        test: See above.

    Returns:
        `exit_code` and `results`, as `mlsssl renew --all --due --json`. Salt's return code is 0 when all is renewed,
        nothing was due (`exit_code` 10) or an issuer has no answer yet (13), and the exit code otherwise, so that a
        batch with `--failhard` stops.

    CLI Example:

        salt -b 10% --failhard '*' mlsssl.renew_due fleet
    """
    from mlsssl._commands.deployment import NOTHING_DUE, PENDING, code_of
    from mlsssl._deploy import machines

    arguments = locals()
    with _errors.as_salts_own():
        around = _around()
        path = around.machine(machine)
        source = _issuers.issuer_named(issuer, around, path)
        given = _given(
            arguments, *_CHANGING, *_RENEWING, "profile", "only", "due_only", "any_issuer", "fraction", "jitter"
        )
        with machines.existing_or_empty(path) if _is_test(test) else machines.existing(path) as on:
            results = mlsssl.renew_due(source, machine=on, dry_run=_is_test(test), **given)
        code = code_of(results)
        __context__["retcode"] = 0 if code in (NOTHING_DUE, PENDING) else code
        return {"exit_code": code, "results": [one.to_dict() for one in results]}


def undo(
    key: str,
    *,
    after: Sequence[str] | None = None,
    after_timeout: float | None = None,
    after_password: str | None = None,
    after_account: str | None = None,
    machine: str | None = None,
    test: bool | None = None,
) -> dict[str, object]:
    """Take the last deploy or renew of a key back.

    Returns:
        As `mlsssl undo --json`. With `test` the same, with the binding as it is and as it would be, and nothing done.

    CLI Example:

        salt web1 mlsssl.undo 0.0.0.0:443
    """
    from mlsssl.binding import bound_key

    arguments = locals()
    with _errors.as_salts_own(), _existing(machine) as on:
        if _is_test(test):
            return _would_undo(bound_key(key, on), on)
        outcome = mlsssl.last_outcome(key, machine=on)
        if outcome is None:
            raise _nothing_to_undo(key)
        return _told(outcome.undo(**_hooks(arguments)))


def recover(
    *,
    abandon: str | None = None,
    after: Sequence[str] | None = None,
    after_timeout: float | None = None,
    after_password: str | None = None,
    after_account: str | None = None,
    machine: str | None = None,
    test: bool | None = None,
) -> dict[str, object]:
    """Finish or take back what a killed process left; every change does this first.

    Args:
        abandon: The key of a change to give up, if it can be neither finished nor taken back.
        after: See above.
        after_timeout: As in `deploy`.
        after_password: As in `deploy`.
        after_account: As in `deploy`.
        machine: See above.
        test: See above.

    Returns:
        `done`: a line for each thing done. With `test`, `pending`: a line for each change that is not finished.

    CLI Example:

        salt web1 mlsssl.recover
    """
    from mlsssl._changes.recovery import not_ended

    arguments = locals()
    with _errors.as_salts_own(), _existing(machine) as on:
        if _is_test(test):
            lines = [_errors.in_salt(str(error)) for _, error in not_ended(on.port)]
            return {"done": [], "pending": list(dict.fromkeys(lines))}
        hooks = _hooks(arguments)
        return {"done": [_errors.in_salt(one) for one in mlsssl.recover(machine=on, abandon=abandon, **hooks)]}


def cleanup(*, grace: float | None = None, machine: str | None = None, test: bool | None = None) -> dict[str, object]:
    """Take superseded certificates out, with their private keys, after their grace.

    Args:
        grace: Days since they were replaced; as `renew` was told when not given.
        machine: See above.
        test: See above.

    Returns:
        As `mlsssl cleanup --json`.

    CLI Example:

        salt '*' mlsssl.cleanup test=True
    """
    arguments = locals()
    with _errors.as_salts_own(), _existing(machine) as on:
        found = mlsssl.cleanup(machine=on, dry_run=_is_test(test), **_given(arguments, "grace"))
        return {"dry_run": _is_test(test), **found.to_dict()}


def trust(
    file: str | None = None,
    *,
    pillar: str | None = None,
    store: str = "Root",
    machine: str | None = None,
    test: bool | None = None,
) -> dict[str, object]:
    """Put a root into the store Root, or an intermediate into CA: every program of this minion trusts what it signs.

    Args:
        file: A file of this minion with the certificate. Or, in its place:
        pillar: A key of the pillar with it as PEM.
        store: The LocalMachine store.
        machine: See above. A new one is made where it is not there yet.
        test: See above.

    Returns:
        `thumbprint`, `subject`, `store`, and whether it is `changed`, or would be.

    CLI Example:

        salt '*' mlsssl.trust pillar=fleet:root
    """
    from mlsssl._deploy import machines

    arguments = locals()
    with _errors.as_salts_own():
        _one_of(arguments, "file", "pillar")
        around = _around()
        path = around.machine(machine)
        certificate = around.certificate(file, pillar, key=None, password=None, alias=None).without_key().with_chain([])
        if store.casefold() == "root" and not certificate.is_self_issued:
            raise mlsssl.InvalidInputError(f"{certificate!r} is no root, for another signed it: store=CA takes it")

        def add(on: mlsssl.Machine) -> bool:
            with on.store(store, create=True) as opened:
                new = certificate.thumbprint not in opened.thumbprints()
                if new:
                    opened.add(certificate)
            return new

        if _is_test(test):
            changed = str(certificate.thumbprint) not in stored(store, machine=machine)
        else:
            with machines.to_add_to(path, add, _say_made) as on:
                changed = add(on)
        told = {"thumbprint": str(certificate.thumbprint), "subject": certificate.subject}
        return {**told, "store": store, "changed": changed}


def remove(
    key: str | None = None,
    *,
    url: str | None = None,
    thumbprint: str | None = None,
    store: str = "MY",
    keep_key: bool = False,
    force: bool = False,
    machine: str | None = None,
    test: bool | None = None,
) -> dict[str, object]:
    """Remove a binding, a URL reservation, or a certificate with its private key; nothing when it is not there.

    Args:
        key: The binding's key. Or, in its place:
        url: The reserved URL prefix.
        thumbprint: The certificate in `store`. One that is bound, or that a pending change needs, is an error.
        store: The LocalMachine store.
        keep_key: Leave the certificate's private key.
        force: Remove a certificate although it is bound.
        machine: See above.
        test: See above.

    Returns:
        `removed`: what it was, as a field `before` of `deploy` has it, a reservation, or a thumbprint with its store;
        None when it, or the embedded machine, is not there. With `test`, what would be.

    CLI Example:

        salt web1 mlsssl.remove 0.0.0.0:8443
    """
    from mlsssl._commands.store import take_out
    from mlsssl._deploy import machines

    arguments = locals()
    with _errors.as_salts_own():
        which = _one_of(arguments, "key", "url", "thumbprint")
        with machines.existing_or_empty(_around().machine(machine)) as on:
            removed: dict[str, object] | None = None
            if which == "thumbprint":
                found = None
                with contextlib.suppress(mlsssl.StoreNotFoundError):
                    found = on.store(store).find(thumbprint=str(thumbprint))
                if found is not None:
                    removed = {"thumbprint": str(found.thumbprint), "store": store}
                    if not _is_test(test):
                        take_out(str(thumbprint), on.store(store), on, delete_key=not keep_key, force=force)
                return {"removed": removed}
            there = on.bindings.find(str(key)) if which == "key" else on.reservations.find(str(url))
            if there is not None:
                removed = there.to_dict()
                if not _is_test(test):
                    there.remove()
            return {"removed": removed}


# -- certificates that somebody else makes ----------------------------------------------------------------------------


def request(
    key: str,
    *,
    host: str | Sequence[str] | None = None,
    key_type: str | None = None,
    store: str | None = None,
    exportable: bool = False,
    provider: str | None = None,
    machine: str | None = None,
    test: bool | None = None,
) -> dict[str, object]:
    """A certificate request for a binding. The private key is made on this minion and stays there.

    The same call gives the same request until `complete` has put the certificate in place.

    Args:
        key: The binding that the certificate is for.
        host: Its names. When not given: those of the certificate that is bound, which it shall follow; or the name in
            the key.
        key_type: The old one's when not given, or `rsa-2048`.
        store: As in `deploy`; for `host` only, as the next two.
        exportable: As in `deploy`.
        provider: As in `deploy`.
        machine: See above. A new one is made where it is not there yet.
        test: See above; the plan is returned.

    Returns:
        `key`, `names`, `key_type`, `fingerprint` (SHA-256) and `request`, as PEM (RFC 2986): no secret.

    CLI Example:

        salt web1 mlsssl.request 0.0.0.0:443 host=www.example.com
    """
    from mlsssl._deploy import machines

    arguments = locals()
    with _errors.as_salts_own():
        path = _around().machine(machine)
        person = _issuers.HandedIn()
        given = _given(arguments, "host", "key_type", "store", "exportable", "provider")

        def plan(on: mlsssl.Machine) -> mlsssl.Plan:
            if host is None and _is_bound(key, on):
                return mlsssl.renew.plan(key, person, machine=on, **_given(arguments, "key_type"))
            return mlsssl.deploy.plan(key, person, machine=on, **given)

        if _is_test(test):
            with machines.existing_or_empty(path) as on:
                return _told(plan(on))
        with machines.to_add_to(path, plan, _say_made) as on, contextlib.suppress(mlsssl.IssuePendingError):
            if host is None and _is_bound(key, on):
                mlsssl.renew(key, person, machine=on, **_given(arguments, "key_type"))
            else:
                mlsssl.deploy(key, person, machine=on, **given)
        asked = person.request
        assert asked is not None
        return {
            "key": key,
            "names": list(asked.names),
            "key_type": asked.key_type,
            "fingerprint": asked.fingerprint,
            "request": asked.to_pem().decode("ascii"),
        }


def complete(
    key: str,
    certificate: str | None = None,
    *,
    file: str | None = None,
    pillar: str | None = None,
    app_id: str | None = None,
    options: Mapping[str, object] | None = None,
    on_conflict: str | None = None,
    trust_root: bool = False,
    friendly_name: str | None = None,
    reserve: str | None = None,
    user: str | Sequence[str] | None = None,
    restart: Sequence[str] | None = None,
    key_access: Sequence[str] | str | None = None,
    profile: str | None = None,
    force: bool = False,
    verify: bool = True,
    audit_log: str | None = None,
    after: Sequence[str] | None = None,
    after_timeout: float | None = None,
    after_password: str | None = None,
    after_account: str | None = None,
    after_failure: str | None = None,
    machine: str | None = None,
    test: bool | None = None,
) -> dict[str, object]:
    """Deploy the certificate that came back for a `request` of this key, with the private key that waits for it.

    It is checked against the request: key, names, dates, chain.

    Args:
        key: As `request` was told.
        certificate: The certificate, with the intermediates that clients need, as PEM. Or, in its place:
        file: A file of this minion with it.
        pillar: A key of the pillar with it.
        app_id: As in `deploy`, like the next six; only where `request` was given `host`, or nothing was bound.
        options: As in `deploy`.
        on_conflict: As in `deploy`.
        trust_root: As in `deploy`.
        friendly_name: As in `deploy`.
        reserve: As in `deploy`.
        user: As in `deploy`.
        restart: As in `deploy`.
        key_access: As in `deploy`, or `renew` for what follows another certificate.
        profile: As in `deploy`.
        force: As in `deploy`.
        verify: As in `deploy`.
        audit_log: As in `deploy`.
        after: See above.
        after_timeout: As in `deploy`.
        after_password: As in `deploy`.
        after_account: As in `deploy`.
        after_failure: As in `deploy`.
        machine: See above.
        test: See above.

    Returns:
        As `deploy`.

    CLI Example:

        salt web1 mlsssl.complete 0.0.0.0:443 file=/tmp/www.cer
    """
    from mlsssl._deploy.obtain import waiting_for
    from mlsssl.binding import bound_key

    arguments = locals()
    with _errors.as_salts_own():
        around = _around()
        path = around.machine(machine)
        if _one_of(arguments, "certificate", "file", "pillar") == "certificate":
            answer = mlsssl.Certificate.from_text(str(certificate)).without_key()
        else:
            answer = around.certificate(file, pillar, key=None, password=None, alias=None).without_key()
        given = _given(arguments, *_CHANGING, "profile")
        with _existing(path) as on:
            waiting = waiting_for(on.port, bound_key(key, on), answer)
            joined = waiting.checked(answer)
            if not waiting.renewal:
                given |= _given(arguments, "on_conflict", "trust_root", "friendly_name", "reserve", "user")
                given |= {**waiting.first, "host": list(waiting.hosts)}
        only_first = ("app_id", "options", "on_conflict", "trust_root", "friendly_name", "reserve", "user")
        if not waiting.renewal:
            if _is_test(test):
                given.pop("key_type")
                given["host"] = waiting.hosts[0]
                return _deployed(key, joined, path, given, app_id, options, test=True)
            return _deployed(key, _issuers.HandedIn(answer), path, given, app_id, options, test=False)
        if others := [name for name in only_first if arguments[name]]:
            raise mlsssl.InvalidInputError(
                f"{', '.join(others)} stay as they are where a certificate follows another; deploy changes them"
            )
        with _existing(path) as on:
            if _is_test(test):
                return _told(mlsssl.renew.plan(key, joined, machine=on, **given))
            person = _issuers.HandedIn(answer)
            return _told(mlsssl.renew(key, person, machine=on, key_type=waiting.key_type, **given))


# -- what several functions need --------------------------------------------------------------------------------------

_DEPLOYING = ("store", "on_conflict", "trust_root", "friendly_name", "exportable", "provider", "reserve", "user")
_CHANGING = ("restart", "key_access", "force", "verify", "audit_log", "after_failure")
_RENEWING = ("key_type", "days", "grace", "everywhere")
_AFTER = ("after", "after_timeout", "after_password", "after_account")
_LISTS = ("restart", "key_access", "only", "after")


def _around() -> _settings.Surroundings:
    return _settings.Surroundings(__opts__, __pillar__, __salt__)


def _existing(machine: str | None) -> mlsssl.Machine:
    from mlsssl._deploy import machines

    return machines.existing(_around().machine(machine))


def _is_test(test: bool | None) -> bool:
    return bool(__opts__.get("test", False)) if test is None else test


def _one_of(arguments: Mapping[str, Any], *names: str) -> str:
    """The one of these arguments that is given. `InvalidInputError` when none is, or several."""
    given = [name for name in names if arguments[name] is not None]
    if len(given) != 1:
        raise mlsssl.InvalidInputError(f"one of {', '.join(names)} is needed, not {' and '.join(given) or 'none'}")
    return given[0]


def _given(arguments: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Those of these arguments that are given, as the library takes them, with the steps where they are among them."""
    chosen = {name: arguments[name] for name in names if arguments[name] is not None}
    for name in _LISTS:
        if isinstance(chosen.get(name), str) and chosen[name] != "keep":
            chosen[name] = [chosen[name]]
    if "grace" in chosen:
        chosen["grace"] = _days(chosen["grace"])
    failure = {"after_failure": chosen.pop("after_failure")} if "after_failure" in chosen else {}
    return {**chosen, **_hooks({**arguments, **failure}, *failure)} if "after" in arguments else chosen


def _hooks(arguments: Mapping[str, Any], *more: str) -> dict[str, Any]:
    """The steps, as the library takes them."""
    from mlsssl._commands.after import with_hooks

    steps = {name: arguments[name] for name in (*_AFTER, *more) if arguments[name] is not None}
    if isinstance(steps.get("after"), str):
        steps["after"] = [steps["after"]]
    return with_hooks(steps)


def _days(value: float) -> dt.timedelta:
    try:
        return dt.timedelta(days=float(value))
    except (TypeError, ValueError, OverflowError):
        raise mlsssl.InvalidInputError("grace is a number of days from 0 up") from None


def _deployed(
    key: str,
    certificate: CertificateReference | mlsssl.Issuer,
    path: str | None,
    given: Mapping[str, Any],
    app_id: str | None,
    options: Mapping[str, object] | None,
    *,
    test: bool,
) -> dict[str, object]:
    """Deploy, on a new machine where there is none yet; or say what would be done."""
    from mlsssl._commands.binding import parse_options
    from mlsssl._deploy import machines

    chosen = dict(given)
    if options is not None:
        words = _settings.option_words(options)
        chosen["options"] = lambda present: parse_options(words, present)

    def owned(on: mlsssl.Machine) -> dict[str, Any]:
        new = app_id is None and on.bindings.find(key) is None
        return {**chosen, "app_id": str(_owner_of(key, on)) if new else app_id}

    def plan(on: mlsssl.Machine) -> mlsssl.Plan:
        return mlsssl.deploy.plan(key, certificate, machine=on, **owned(on))

    def rehearsal(on: mlsssl.Machine) -> None:
        planned = plan(on)
        if not chosen.get("force"):
            planned.report.raise_for_errors()

    if test:
        with machines.existing_or_empty(path) as on:
            return _told(plan(on))
    with machines.to_add_to(path, rehearsal, _say_made) as on:
        return _told(mlsssl.deploy(key, certificate, machine=on, **owned(on)))


def _owner_of(key: str, machine: mlsssl.Machine) -> uuid.UUID:
    """The owner of a new binding that nobody gave one: the same for a minion and a key, so that plans are exact."""
    from mlsssl.binding import bound_key

    return uuid.uuid5(_OWNERS, f"{__opts__.get('id')} {bound_key(key, machine)}")


def _told(done: mlsssl.Outcome[mlsssl.Binding | None] | mlsssl.Plan) -> dict[str, object]:
    """What was done as plain values; Salt's return code is what the command line ends with."""
    from mlsssl._commands.deployment import code_of_one

    __context__["retcode"] = code_of_one(done)
    return done.to_dict()


def _is_bound(key: str, machine: mlsssl.Machine) -> bool:
    found = machine.bindings.find(key)
    return found is not None and found.thumbprint is not None


def _would_undo(key: mlsssl.BindingKey, machine: mlsssl.Machine) -> dict[str, object]:
    """What `undo` would do, by the record of the last change; nothing is cleared up either."""
    from mlsssl._changes.record import ChangeRecords
    from mlsssl._changes.recovery import refuse_pending
    from mlsssl.binding import binding_of

    refuse_pending(machine.port, key)
    change = ChangeRecords(machine.port.state_folder).last(key)
    if change is None or change.after is None:
        raise _nothing_to_undo(str(key))
    records = (change.after, change.before)
    before, after = (None if record is None else binding_of(record, machine).to_dict() for record in records)
    also = [binding_of(old, machine).to_dict() for old, _ in change.also]
    return {"verb": "undo", "key": str(key), "changed": True, "before": before, "after": after, "also": also}


def _nothing_to_undo(key: str) -> mlsssl.NotFoundError:
    return mlsssl.NotFoundError(f"there is no deploy or renew of {key} to undo")


def _say_made(file: Path) -> None:
    clean_logger("mlsssl").warning("a new machine was made in %s", file)
