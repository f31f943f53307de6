"""`deploy`, `renew`, `undo`, `recover`, `cleanup`: verbs that change a machine whole; `audit`, the look at it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from mlsssl._commands.certificates import load, load_authority
from mlsssl._commands.machines import machine_of, parse_options
from mlsssl.auditing import audit as look
from mlsssl.deployment import Plan, last_outcome
from mlsssl.deployment import deploy as deploy_to
from mlsssl.deployment import recover as recover_machine
from mlsssl.errors import InvalidInputError, NotFoundError
from mlsssl.renewal import renew as renew_binding
from mlsssl.renewal import renew_due
from mlsssl.superseded import cleanup as clean
from mlsssl.values import Thumbprint

if TYPE_CHECKING:
    from argparse import Namespace

    from mlsssl._commands.terminal import Terminal
    from mlsssl._deploy.apply import Outcome
    from mlsssl.binding import Binding
    from mlsssl.certificate import Certificate
    from mlsssl.machine import Machine
    from mlsssl.renewal import Renewal

RENEWED, NOT_VERIFIED, FAILED, NOTHING_DUE = 0, 1, 9, 10
"""What `renew` ends with; `mlsssl renew --help` says the same."""


def deploy(arguments: Namespace, terminal: Terminal) -> int:
    """`deploy KEY FILE`."""
    if (arguments.file is None) == (arguments.thumbprint is None):
        raise InvalidInputError("deploy takes a certificate file, or --thumbprint of one that is in the store")
    with machine_of(arguments) as machine:
        certificate: Certificate | Thumbprint
        if arguments.file is None:
            certificate = Thumbprint(arguments.thumbprint)
        else:
            certificate = load(arguments.file, arguments.password, key=arguments.key_file)
        verb = deploy_to.plan if arguments.plan else deploy_to
        return _tell(
            verb(
                arguments.key,
                certificate,
                machine=machine,
                store=arguments.store,
                app_id=arguments.app_id,
                options=(lambda present: parse_options(arguments.option, present)) if arguments.option else None,
                on_conflict=arguments.on_conflict,
                trust_root=arguments.trust_root,
                friendly_name=arguments.friendly_name,
                exportable=arguments.exportable,
                restart=arguments.restart,
                host=arguments.host,
                profile=arguments.profile,
                force=arguments.force,
                verify=not arguments.no_verify,
                audit_log=arguments.audit_log,
            ),
            terminal,
        )


def _tell(done: Outcome[Binding | None] | Plan, terminal: Terminal) -> int:
    terminal.result(done.to_dict(), str(done))
    if isinstance(done, Plan):
        return 0 if done.ok else 1
    return NOT_VERIFIED if done.verified is False else 0


def _days(number: float) -> dt.timedelta:
    try:
        return dt.timedelta(days=number)
    except (ValueError, OverflowError):
        raise InvalidInputError(f"--grace is a number of days from 0 up, not {number}") from None


def undo(arguments: Namespace, terminal: Terminal) -> int:
    """`undo KEY`: take the last deploy or renew of a key back."""
    with machine_of(arguments) as machine:
        outcome = last_outcome(arguments.key, machine=machine)
        if outcome is None:
            raise NotFoundError(f"there is no deploy or renew of {arguments.key} to undo")
        return _tell(outcome.undo(), terminal)


def renew(arguments: Namespace, terminal: Terminal) -> int:
    """`renew KEY… | --all`."""
    if bool(arguments.keys) == arguments.all:
        raise InvalidInputError("renew takes the keys of bindings, or --all")
    if (arguments.ca is None) == (arguments.certificate is None):
        raise InvalidInputError("renew takes --ca, the authority that issues, or --certificate, the new one itself")
    with machine_of(arguments) as machine:
        if arguments.certificate is not None:
            return _renew_with(arguments, machine, terminal)
        results = renew_due(
            load_authority(arguments.ca, arguments.ca_password, arguments.ca_key),
            machine=machine,
            only=None if arguments.all else arguments.keys,
            due_only=arguments.due,
            any_issuer=arguments.any_issuer or not arguments.all,  # who names a key means it
            key_type=arguments.key,
            fraction=arguments.fraction,
            jitter=arguments.jitter,
            days=arguments.days,
            grace=_days(arguments.grace),
            restart=arguments.restart,
            audit_log=arguments.audit_log,
            dry_run=arguments.plan,
        )
    return _tell_renewals(results, terminal)


def _renew_with(arguments: Namespace, machine: Machine, terminal: Terminal) -> int:
    if arguments.all or len(arguments.keys) != 1 or arguments.due:
        raise InvalidInputError("--certificate renews one binding, now: renew KEY --certificate FILE")
    if arguments.key is not None or arguments.days is not None:
        raise InvalidInputError("--key and --days are for --ca, which makes the certificate; here it is given")
    verb = renew_binding.plan if arguments.plan else renew_binding
    return _tell(
        verb(
            arguments.keys[0],
            load(arguments.certificate, arguments.password),
            machine=machine,
            grace=_days(arguments.grace),
            restart=arguments.restart,
            audit_log=arguments.audit_log,
        ),
        terminal,
    )


def _tell_renewals(results: list[Renewal], terminal: Terminal) -> int:
    renewed = [one for one in results if one.outcome is not None or one.plan is not None]
    failed = [one for one in results if one.error is not None]
    verified = all(
        (one.outcome is None or one.outcome.verified is not False) and (one.plan is None or one.plan.ok)
        for one in results
    )
    code = FAILED if failed else NOTHING_DUE if not renewed else RENEWED if verified else NOT_VERIFIED
    terminal.result({"exit_code": code, "results": [one.to_dict() for one in results]})
    for one in results:
        if one.error is not None:
            terminal.say(f"{one.key or 'a pending change'}: failed: {one.error}", style="error")
        elif one.outcome is not None:
            terminal.say(str(one.outcome), style="" if one.outcome.verified is not False else "error")
        elif one.plan is not None:
            terminal.say(str(one.plan), style="" if one.plan.ok else "error")
        else:
            terminal.say(f"{one.key}: {one.skipped}")
    if not results:
        terminal.say("nothing is bound")
    return code


def recover(arguments: Namespace, terminal: Terminal) -> int:
    """`recover`: finish or take back what a killed process left, or give it up."""
    with machine_of(arguments) as machine:
        done = recover_machine(machine=machine, abandon=arguments.abandon)
    terminal.result({"done": done}, "\n".join(done) or "nothing to recover")
    return 0


def cleanup(arguments: Namespace, terminal: Terminal) -> int:
    """`cleanup`: take superseded certificates out."""
    grace = None if arguments.grace is None else _days(arguments.grace)
    with machine_of(arguments) as machine:
        found = clean(machine=machine, grace=grace, dry_run=arguments.dry_run)
    text = str(found)
    terminal.result(
        {"dry_run": arguments.dry_run, **found.to_dict()}, f"only looked at:\n{text}" if arguments.dry_run else text
    )
    return 0


_AUDIT_COLUMNS = {
    "key": "KEY",
    "owner": "OWNER",
    "names": "NAMES",
    "days_left": "DAYS",
    "private_key": "PRIVATE KEY",
    "severity": "WORST",
    "findings": "FINDINGS",
}


def audit(arguments: Namespace, terminal: Terminal) -> int:
    """`audit`: the joined table; 1 when a finding is an error."""
    with machine_of(arguments) as machine:
        found = look(machine=machine, profile=arguments.profile, unbound=arguments.unbound)
    if terminal.as_json:
        terminal.result(found.to_dict())
    else:
        terminal.table(found.to_rows(), _AUDIT_COLUMNS, empty="Nothing is bound.")
        if arguments.remedies:
            for row in found.rows:
                for finding in row.findings:
                    terminal.say(f"{row.key or row.thumbprint}: {finding}", style=finding.severity.value)
                    terminal.say([f"    remedy: {finding.remedy}"])
    return 0 if found.ok else 1
