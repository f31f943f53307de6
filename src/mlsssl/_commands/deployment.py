"""`deploy`, `renew`, `undo`, `recover`, `cleanup`: changes of a machine as a whole; `audit`, what is wrong with it."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, get_args

import mlsssl
from mlsssl._commands.after import add_after, with_hooks
from mlsssl._commands.binding import parse_options
from mlsssl._commands.certificate import load
from mlsssl._commands.issuers import ISSUER_ARGUMENTS, ISSUERS, add_issuer_options, issuer_of, names_issuer
from mlsssl._commands.parser import (
    PASSWORD_HELP,
    binding_key,
    command,
    given,
    given_access,
    given_profile,
    machine_of,
    machine_or_empty,
    machine_to_add_to,
    number,
)
from mlsssl._commands.remedies import in_commands
from mlsssl._commands.watch import watch
from mlsssl._machine import files
from mlsssl._validator.report import Severity
from mlsssl.errors import HookError, InvalidInputError, IssuePendingError, MalformedDataError, NotFoundError
from mlsssl.values import KeyType, OnConflict, is_thumbprint

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    from mlsssl._commands.parser import Commands
    from mlsssl._commands.terminal import Terminal

_HasFindings = TypeVar("_HasFindings", "mlsssl.AuditRow", "mlsssl.AuditReservation")

RENEWED, NOT_VERIFIED, FAILED, NOTHING_DUE, AFTER_FAILED, PENDING = 0, 1, 9, 10, 12, 13
"""What `renew` ends with; `mlsssl renew --help` says the same."""


def add_commands(commands: Commands) -> None:
    """Add the parsers of this module's commands."""
    change = ("--machine", "--restart", "--audit-log", "--trail")
    new = ("--friendly-name", "--exportable", "--trust-root", "--option", "--profile", "--client")
    summary = "bind a certificate, whatever was there"
    parser = command(commands, "deploy", deploy, summary, "key", *new, *change, library="deploy.__call__")
    parser.share("file", nargs="?", help="the certificate with its private key")
    parser.add_argument("--thumbprint", help="instead of FILE: one that is in the store with its key")
    parser.share("--key", dest="key_file")
    parser.share("--password", "--alias")
    add_issuer_options(parser)
    parser.share("--key-access")
    parser.add_argument("--plan", action="store_true", help="only say what would be done; 1 when something forbids it")
    parser.add_argument("--store", help="the LocalMachine store; MY by default")
    parser.add_argument("--app-id", metavar="GUID", help="the owner; the present one by default, or a new random GUID")
    parser.add_argument("--on-conflict", choices=get_args(OnConflict), help="when the key has another binding")
    parser.add_argument(
        "--host",
        action="append",
        metavar="NAME",
        help="the name that clients connect to, to check the certificate for; from an issuer: the name that the "
        "certificate is for, and may be given again",
    )
    parser.add_argument("--key-type", choices=get_args(KeyType), help="from an issuer: what key to make")
    parser.add_argument("--reserve", metavar="URL", help="also let --user listen there: https://+:443/mls/")
    parser.add_argument(
        "--user",
        action="append",
        metavar="ACCOUNT",
        help=r"for --reserve: NT SERVICE\name, DOMAIN\user, a SID; may be given again",
    )
    parser.share("--force", help="go on although the preflight found errors")
    add_after(parser)
    parser.add_argument(
        "--no-verify", action="store_const", const=False, dest="verify", help="no TLS handshake afterwards"
    )

    summary = "renew bound certificates in place"
    parser = command(commands, "renew", renew, summary, *change, library="renew_due")
    parser.epilog = (
        "exit codes besides the common ones:\n  0 renewed   1 renewed, but the port serves another certificate; with\n"
        "  --plan, something forbids it\n"
        "  9 at least one failed, or was not renewed and is near its end   10 nothing was due\n"
        "  12 renewed, but a step after it failed   13 none failed, but an issuer has no answer yet"
    )
    parser.add_argument(
        "keys", nargs="*", type=binding_key, metavar="KEY", help="keys of bindings, as for deploy; or --all"
    )
    parser.add_argument("--all", action="store_true", help="every binding whose certificate this issuer issued")
    parser.add_argument("--due", action="store_true", help="only those that are due")
    add_issuer_options(parser)
    parser.add_argument("--certificate", metavar="FILE", help="instead of an issuer: the new certificate with its key")
    parser.share("--password", help=f"for --certificate: {PASSWORD_HELP}")
    parser.share("--alias")
    parser.add_argument(
        "--key", dest="key_type", choices=get_args(KeyType), help="type of the new key; the old one's by default"
    )
    parser.add_argument("--days", type=int, help="validity; the old one's by default, at most 199")
    parser.add_argument("--grace", type=_days, metavar="DAYS", help="keep the old ones so long")
    parser.add_argument(
        "--everywhere", action="store_true", help="every binding of the old certificate: all of them, or none"
    )
    parser.share("--profile", "--client")
    parser.share("--force", help="go on although the preflight found errors")
    parser.add_argument(
        "--no-verify", action="store_const", const=False, dest="verify", help="no TLS handshake afterwards"
    )
    parser.share("--key-access", help="instead of those that may read the old key: an account; may be given again")
    parser.add_argument("--fraction", type=float, help="share of the lifetime to use")
    parser.add_argument("--jitter", type=float, help="earlier by up to this share")
    parser.add_argument("--any-issuer", action="store_true", help="also certificates that somebody else issued")
    parser.add_argument("--plan", action="store_true", help="only say what would be done")
    add_after(parser)
    parser.add_argument("--watch", action="store_true", help="again and again, until the process is asked to end")
    parser.add_argument(
        "--interval", type=float, metavar="SECONDS", help="with --watch: from one round to the next (default: 21600)"
    )
    parser.add_argument("--health", metavar="FILE", help="with --watch: a file that says whether all is well")

    parser = command(commands, "undo", undo, "take the last deploy or renew of a key back", "key", "--machine")
    add_after(parser, failure=False)
    parser = command(commands, "recover", recover, "finish or take back what a killed process left", "--machine")
    add_after(parser, failure=False)
    parser.add_argument(
        "--abandon",
        type=binding_key,
        metavar="KEY",
        help="give the change of this key up if it can be neither finished nor taken back; the machine stays as it is",
    )
    parser = command(commands, "cleanup", cleanup, "remove superseded certificates and keys", "--machine")
    parser.add_argument("--grace", type=_days, metavar="DAYS", help="since they were replaced; as renew was told")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    summary = "every binding, certificate, key and finding"
    parser = command(commands, "audit", audit, summary, "--machine", "--profile", "--client", library="audit")
    parser.add_argument("--unbound", action="store_true", help="also certificates that nothing is bound to")
    parser.add_argument("--remedies", action="store_true", help="each finding in full, with what to do")
    parser.add_argument(
        "--listing",
        action="append",
        default=[],
        metavar="DUMP",
        help="instead of a machine: a file with what netsh http show sslcert or urlacl printed; may be given again",
    )
    parser.add_argument(
        "--from",
        action="extend",
        nargs="+",
        default=[],
        dest="dumps",
        metavar="FILE",
        help="instead of a machine: files with what mlsssl audit --json printed, of any number of machines",
    )
    parser.add_argument("--html", metavar="FILE", help="also write all of it as one page, to open, mail or print")
    parser.share("--overwrite", help="with --html: also over a file with a private key")
    parser.share("--force")


def _days(text: str) -> dt.timedelta:
    return dt.timedelta(days=number(text, least=0, most=dt.timedelta.max.days, what="a number of days from 0 up"))


def deploy(arguments: Namespace, terminal: Terminal) -> int:
    """`deploy KEY FILE`."""
    if arguments.file is None and files.exists(Path(arguments.key)):
        raise InvalidInputError(
            f"the binding's key comes before the certificate, such as deploy 0.0.0.0:443 {arguments.key}"
        )
    if names_issuer(arguments) + (arguments.file is not None) + (arguments.thumbprint is not None) != 1:
        named = names_issuer(arguments) and arguments.file is not None and not files.exists(Path(arguments.file))
        hint = f"; what an issuer is to certify is named by --host {arguments.file}" if named else ""
        raise InvalidInputError(
            "deploy takes one of these: a certificate file, --thumbprint of one in the store, or an issuer "
            f"({ISSUERS}){hint}"
        )
    own = ("key", "file", "thumbprint", "key_file", "password", "alias", "plan", "option", *ISSUER_ARGUMENTS)
    options = with_hooks(given_profile(given_access(given(arguments, *own))))
    if (arguments.reserve is None) != (arguments.user is None):
        raise InvalidInputError("--reserve URL needs --user ACCOUNT, who may listen there, and --user needs --reserve")
    if arguments.option:
        options["options"] = lambda present: parse_options(arguments.option, present)
    if arguments.host is not None and len(arguments.host) == 1:
        options["host"] = arguments.host[0]
    certificate = issuer_of(arguments) or _certificate_of(arguments)

    def planned(machine: mlsssl.Machine) -> mlsssl.Plan:
        return mlsssl.deploy.plan(arguments.key, certificate, machine=machine, **options)

    def refused(machine: mlsssl.Machine) -> None:
        plan = planned(machine)
        if not arguments.force:
            plan.report.raise_for_errors()

    if arguments.plan:
        with machine_or_empty(arguments) as machine, terminal.working("planning"):
            plan = planned(machine)
        return _tell(plan, terminal)
    with machine_to_add_to(arguments, refused) as machine:
        with terminal.working("deploying"):
            outcome = mlsssl.deploy(arguments.key, certificate, machine=machine, **options)
        return _tell(outcome, terminal)


def _certificate_of(arguments: Namespace) -> mlsssl.Certificate | mlsssl.Thumbprint:
    """What `deploy` is given: a file, or what is in the store."""
    if arguments.file is None:
        return mlsssl.Thumbprint(arguments.thumbprint)
    try:
        return load(arguments.file, arguments.password, key=arguments.key_file, alias=arguments.alias)
    except NotFoundError as error:
        if is_thumbprint(arguments.file):
            thumbprint = mlsssl.Thumbprint(arguments.file)
            raise NotFoundError(
                f"there is no file {arguments.file}; a thumbprint is given as --thumbprint {thumbprint}"
            ) from None
        if files.exists(Path(arguments.key)):
            raise NotFoundError(
                f"{error}; the binding's key comes first: deploy {arguments.file} {arguments.key}"
            ) from None
        raise


def _tell(done: mlsssl.Outcome[mlsssl.Binding | None] | mlsssl.Plan, terminal: Terminal) -> int:
    terminal.report(done.to_dict(), str(done))
    return code_of_one(done)


def code_of_one(done: mlsssl.Outcome[mlsssl.Binding | None] | mlsssl.Plan) -> int:
    """What `deploy` and `undo` end with."""
    if isinstance(done, mlsssl.Plan):
        return 0 if done.ok else 1
    if any(one.code == "after-failed" for one in done.findings):
        return AFTER_FAILED
    return NOT_VERIFIED if done.verified is False else 0


def undo(arguments: Namespace, terminal: Terminal) -> int:
    """`undo KEY`: take the last deploy or renew of a key back."""
    with machine_of(arguments) as machine:
        outcome = mlsssl.last_outcome(arguments.key, machine=machine)
        if outcome is None:
            raise NotFoundError(f"there is no deploy or renew of {arguments.key} to undo")
        with terminal.working("taking the change back"):
            undone = outcome.undo(**with_hooks(given(arguments, "key")))
        return _tell(undone, terminal)


def renew(arguments: Namespace, terminal: Terminal) -> int:
    """`renew KEY… | --all`."""
    if bool(arguments.keys) == arguments.all:
        raise InvalidInputError("renew takes the keys of bindings, or --all")
    if names_issuer(arguments) == (arguments.certificate is not None):
        raise InvalidInputError(f"renew takes an issuer, {ISSUERS}, or --certificate, the new one itself")
    own = ("keys", "all", "due", "certificate", "password", "alias", "plan", "any_issuer")
    options = given_profile(given(arguments, *own, *ISSUER_ARGUMENTS, "watch", "interval", "health"))
    options = with_hooks(given_access(options))

    def renew_due(stop: Callable[[], bool] | None = None) -> tuple[int, list[mlsssl.Renewal]]:
        with machine_of(arguments) as machine:
            issuer = issuer_of(arguments)
            assert issuer is not None, "looked at above"
            count = len(arguments.keys) or sum(one.thumbprint is not None for one in machine.bindings)
            with terminal.working("planning" if arguments.plan else "renewing", count) as progress:
                results = mlsssl.renew_due(
                    issuer,
                    machine=machine,
                    only=None if arguments.all else arguments.keys,
                    due_only=arguments.due,
                    any_issuer=arguments.any_issuer or not arguments.all,  # who names a key means it
                    dry_run=arguments.plan,
                    stop=stop,
                    progress=progress,
                    **options,
                )
        return code_of(results), results

    if arguments.watch:
        if not arguments.due or arguments.plan or arguments.certificate is not None:
            raise InvalidInputError(
                "--watch needs --due, or each round would renew everything again; and has no --plan or --certificate"
            )
        return watch(renew_due, terminal, interval=arguments.interval, health=arguments.health)
    if arguments.interval is not None or arguments.health is not None:
        raise InvalidInputError("--interval and --health are about --watch, which is missing")
    if arguments.certificate is None:
        return _tell_renewals(*renew_due(), terminal)
    with machine_of(arguments) as machine:
        if arguments.all or len(arguments.keys) != 1 or arguments.due:
            raise InvalidInputError(
                "--certificate renews one binding, now, and with --everywhere all that have the same certificate: "
                "renew KEY --certificate FILE --everywhere"
            )
        if arguments.key_type is not None or arguments.days is not None:
            raise InvalidInputError("--key and --days are for an issuer, which makes the certificate; here it is given")
        run = mlsssl.renew.plan if arguments.plan else mlsssl.renew
        for name in ("fraction", "jitter"):  # of no meaning where nothing has to be due
            options.pop(name, None)
        certificate = load(arguments.certificate, arguments.password, alias=arguments.alias)
        with terminal.working("planning" if arguments.plan else "renewing"):
            done = run(arguments.keys[0], certificate, machine=machine, **options)
        return _tell(done, terminal)


def code_of(results: list[mlsssl.Renewal]) -> int:
    """What `renew` ends with after these."""
    renewed = [one for one in results if one.outcome is not None or one.plan is not None]
    pending = [one for one in results if isinstance(one.error, IssuePendingError)]
    late = [one for one in results if any(finding.severity is Severity.ERROR for finding in one.findings)]
    failed = [one for one in results if one in late or (one.error is not None and one not in pending)]
    verified = all(
        (one.outcome is None or one.outcome.verified is not False) and (one.plan is None or one.plan.ok)
        for one in results
    )
    done = NOTHING_DUE if not renewed else RENEWED if verified else NOT_VERIFIED
    # A step that failed is told by a finding; where it was left over, or led to an undo, by an error.
    steps = [one for one in failed if _failed_step(one)]
    after = bool(steps) or any(
        finding.code == "after-failed" for one in renewed if one.outcome is not None for finding in one.outcome.findings
    )
    return FAILED if len(steps) < len(failed) else AFTER_FAILED if after else PENDING if pending else done


def _tell_renewals(code: int, results: list[mlsssl.Renewal], terminal: Terminal) -> int:
    terminal.result({"exit_code": code, "results": [one.to_dict() for one in results]})
    told: dict[int, mlsssl.Renewal] = {}  # with `everywhere` several have the same error, or the same plan
    for one in results:
        first = told.setdefault(id(one.error or one.plan or one), one)
        if first is not one:
            what = "planned" if one.plan else "pending" if isinstance(one.error, IssuePendingError) else "failed"
            terminal.say(f"{one.key}: {what} together with {first.key}", style="error" if what == "failed" else "")
        elif isinstance(one.error, IssuePendingError):
            terminal.say(f"{one.key}: pending: {in_commands(str(one.error))}", style="warning")
        elif one.error is not None:
            terminal.say(f"{one.key or 'a pending change'}: failed: {in_commands(str(one.error))}", style="error")
        elif one.outcome is not None and one.key != one.outcome.key:
            terminal.say(f"{one.key}: changed together with {one.outcome.key}")
        elif one.outcome is not None:
            terminal.say(in_commands(str(one.outcome)), style="" if one.outcome.verified is not False else "error")
        elif one.plan is not None:
            terminal.say(in_commands(str(one.plan)), style="" if one.plan.ok else "error")
        else:
            terminal.say(f"{one.key}: {one.skipped}")
    if not results:
        terminal.say("nothing is bound")
    return code


def _failed_step(result: mlsssl.Renewal) -> bool:
    return isinstance(result.error, HookError) or isinstance(getattr(result.error, "__cause__", None), HookError)


def recover(arguments: Namespace, terminal: Terminal) -> int:
    """`recover`: finish or take back what a killed process left, or give it up."""
    with machine_of(arguments) as machine, terminal.working("recovering"):
        done = mlsssl.recover(machine=machine, **with_hooks(given(arguments)))
    terminal.result({"done": done}, "\n".join(done) or "nothing to recover")
    return 0


def cleanup(arguments: Namespace, terminal: Terminal) -> int:
    """`cleanup`: take superseded certificates out."""
    with machine_of(arguments) as machine, terminal.working("looking at superseded certificates", 0) as progress:
        found = mlsssl.cleanup(machine=machine, progress=progress, **given(arguments))
    terminal.result(found.to_dict(), in_commands(str(found)))
    return 0


def audit(arguments: Namespace, terminal: Terminal) -> int:
    """`audit`: the joined table; 1 when a finding is an error."""
    from mlsssl.auditing import RESERVATION_COLUMNS  # later, for this module is read for every command

    if arguments.listing or arguments.dumps:
        return _audit_files(arguments, terminal)
    with machine_of(arguments) as machine, terminal.working("auditing", len(machine.bindings)) as progress:
        found = mlsssl.audit(machine=machine, progress=progress, **given_profile(given(arguments, *_AUDIT_OWN)))
    _save_page([found], arguments)
    if terminal.as_json:
        terminal.result(found.to_dict())
    else:
        terminal.table(found.to_rows(), found.columns, empty="Nothing is bound.")
        if found.reservations:
            terminal.table([one.to_dict() for one in found.reservations], RESERVATION_COLUMNS, empty="")
    if arguments.remedies:
        _tell_remedies(found, terminal)
    for note in found.notes:
        terminal.say([f"note: {in_commands(note)}"])
    _tell_page(arguments, terminal)
    return 0 if found.ok else 1


_AUDIT_OWN = ("remedies", "listing", "dumps", "html", "force")

_LISTING_COLUMNS = {
    "listing": "LISTING",
    "key": "KEY",
    "owner": "OWNER",
    "thumbprint": "THUMBPRINT",
    "store": "STORE",
    "severity": "WORST",
    "findings": "FINDINGS",
}


def _audit_files(arguments: Namespace, terminal: Terminal) -> int:
    """`audit --listing DUMP…` and `audit --from FILE…`: one table for all of them; with JSON an audit each."""
    from mlsssl.auditing import RESERVATION_COLUMNS

    about_certificates = arguments.unbound or arguments.profile is not None or arguments.client is not None
    if arguments.machine is not None or about_certificates:
        raise InvalidInputError(
            "--listing and --from are looked at in place of a machine, and certificates are not looked at anew: leave "
            "out --machine, --unbound, --profile and --client"
        )
    audits = [found for path in arguments.listing for found in _read_audits(path, _from_listing)]
    audits += _named_apart(
        [(path, found) for path in arguments.dumps for found in _read_audits(path, mlsssl.Audit.from_json)]
    )
    _save_page(audits, arguments)
    terminal.result([found.to_dict() for found in audits])
    if not terminal.as_json:
        columns = _LISTING_COLUMNS
        if arguments.dumps:
            own = audits[0].columns if len(audits) == 1 else max((found.columns for found in audits), key=len)
            columns = {"listing": "MACHINE", **own}
        rows = [{"listing": found.machine, **row} for found in audits for row in found.to_rows()]
        if rows:
            terminal.table(rows, columns, empty="")
        reserved = [{"listing": found.machine, **one.to_dict()} for found in audits for one in found.reservations]
        if reserved:
            head = {"listing": "MACHINE" if arguments.dumps else "LISTING"}
            terminal.table(reserved, {**head, **RESERVATION_COLUMNS}, empty="")
    for found in audits:
        # What lists reservations alone does not say what is bound.
        if not found.rows and not (found.reservations and found.machine in arguments.listing):
            terminal.say([f"{found.machine}: nothing is bound"])
        if arguments.remedies:
            _tell_remedies(found, terminal)
    for note, told in _notes(audits).items():
        terminal.say([f"note on {', '.join(told)}: {note}"])
    _tell_page(arguments, terminal)
    return 0 if all(found.ok for found in audits) else 1


def _read_audits(name: str, read: Callable[[bytes], tuple[mlsssl.Audit, ...]]) -> list[mlsssl.Audit]:
    path = files.path_of(name)
    data = files.read(path)
    with files.naming(path):
        try:
            found = read(data)
        except MalformedDataError as error:
            hint = "" if read is _from_listing else "; --from reads what 'mlsssl audit --json' printed"
            raise MalformedDataError(f"{error}{hint}") from None
    return [replace(one, machine=name) for one in found] if read is _from_listing else list(found)


def _named_apart(audits: list[tuple[str, mlsssl.Audit]]) -> list[mlsssl.Audit]:
    """The audits, those that have one name with the files that they are from."""
    names = Counter(found.machine for _, found in audits)
    return [
        found if names[found.machine] == 1 else replace(found, machine=f"{found.machine}, {path}")
        for path, found in audits
    ]


def _from_listing(data: bytes) -> tuple[mlsssl.Audit, ...]:
    return (mlsssl.audit(listing=data),)


def _save_page(audits: list[mlsssl.Audit], arguments: Namespace) -> None:
    """Write the page that `--html` asks for, with remedies in the words of the command line."""
    if arguments.html is None:
        return
    path = files.path_of(arguments.html)
    if path.suffix.lower() not in (".html", ".htm"):
        raise InvalidInputError(f"--html writes a file that ends in .html or .htm, not {path.name}")
    first, *others = (_in_commands(found) for found in audits)
    first.save(path, *others, overwrite=arguments.force)


def _tell_page(arguments: Namespace, terminal: Terminal) -> None:
    if arguments.html is not None:
        terminal.say([f"The page is in {arguments.html}."])


def _in_commands(found: mlsssl.Audit) -> mlsssl.Audit:
    def said(one: _HasFindings) -> _HasFindings:
        findings = (replace(it, found=in_commands(it.found), remedy=in_commands(it.remedy)) for it in one.findings)
        return replace(one, findings=tuple(findings))

    return replace(found, rows=tuple(map(said, found.rows)), reservations=tuple(map(said, found.reservations)))


def _notes(audits: list[mlsssl.Audit]) -> dict[str, list[str]]:
    """Each note with the listings that it is about."""
    notes: dict[str, list[str]] = {}
    for found in audits:
        for note in found.notes:
            notes.setdefault(note, []).append(found.machine)
    return notes


def _tell_remedies(found: mlsssl.Audit, terminal: Terminal) -> None:
    for row in found.rows:
        for finding in row.findings:
            terminal.say(f"{row.key or row.thumbprint}: {in_commands(str(finding))}", style=finding.severity.value)
            terminal.say([f"    remedy: {in_commands(finding.remedy)}"])
    for reservation in found.reservations:
        for finding in reservation.findings:
            terminal.say(f"{reservation.url}: {in_commands(str(finding))}", style=finding.severity.value)
            terminal.say([f"    remedy: {in_commands(finding.remedy)}"])
