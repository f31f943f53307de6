"""`schedule install`, `show`, `remove`: a renewal that the system runs again and again."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import mlsssl
from mlsssl._commands.after import with_hooks
from mlsssl._commands.issuers import ISSUERS, issuer_of
from mlsssl._commands.parser import Parser, UsageError, command, group
from mlsssl._commands.terminal import read_password
from mlsssl._machine import files
from mlsssl._machine.ports import MACHINE_VARIABLE
from mlsssl.errors import InvalidInputError, NotFoundError, UnsupportedError, WrongPasswordError

if TYPE_CHECKING:
    from argparse import Namespace

    from mlsssl._commands.parser import Commands
    from mlsssl._commands.schedules.job import Scheduler
    from mlsssl._commands.terminal import Terminal

_SYSTEMS = ("task", "systemd", "cron")
_HOURS = (1, 2, 3, 4, 6, 8, 12, 24)


def add_commands(commands: Commands, whole: argparse.ArgumentParser) -> None:
    """Add the parsers of this module's commands; `whole` is the parser that reads what is scheduled."""
    below = group(commands, "schedule", "renewals that the system runs: Task Scheduler, systemd timer or crontab")
    parser = _named(command(below, "install", install, "schedule a renew command, or replace the one of this name"))
    parser.add_argument(
        "--every", type=int, choices=_HOURS, default=6, metavar="HOURS", help="1, 2, 3, 4, 6, 8, 12 or 24"
    )
    parser.add_argument(
        "words", nargs=argparse.REMAINDER, metavar="renew ...", help="the command as it would be typed after mlsssl"
    )
    parser.share("--machine", help="the same as behind renew")
    parser.set_defaults(whole=whole)
    _named(command(below, "show", show, "what is scheduled, and when it runs next"))
    _named(command(below, "remove", remove, "take a schedule away; only its own"))


def _named(parser: Parser) -> Parser:
    parser.add_argument("--name", default="renew", help="tells several schedules apart")
    parser.add_argument(
        "--system",
        choices=_SYSTEMS,
        help="where: Windows' Task Scheduler, a systemd timer or this user's crontab; what this system has by default",
    )
    return parser


def install(arguments: Namespace, terminal: Terminal) -> int:
    """`schedule install … renew …`."""
    from mlsssl._commands.schedules.job import Job

    own = [] if arguments.machine is None else ["--machine", arguments.machine]
    words = _checked([*arguments.words, *own], arguments.whole)
    job = Job(
        name=arguments.name,
        command=(sys.executable, "-m", "mlsssl", *words),
        folder=Path.cwd(),
        every=arguments.every,
    )
    where = _scheduler(arguments.system).install(job)
    times = [f"{hour:02}:{minute:02}" for hour, minute in job.times]
    terminal.result(
        {"name": job.name, "where": where, "times": times, "command": list(job.command), "folder": str(job.folder)},
        f"scheduled in {where}, at {', '.join(times)}",
    )
    return 0


def show(arguments: Namespace, terminal: Terminal) -> int:
    """`schedule show`."""
    from mlsssl._commands.schedules.job import check_name

    found = _scheduler(arguments.system).show(check_name(arguments.name))
    if found is None:
        raise NotFoundError(f"nothing is scheduled under the name {arguments.name}; mlsssl schedule install does it")
    text = f"{found.where}\nnext run: {found.next_run or 'not known; the times are in it'}\n\n{found.definition}"
    data = {"name": arguments.name, "where": found.where, "next_run": found.next_run, "definition": found.definition}
    terminal.result(data, text.rstrip().splitlines())
    return 0


def remove(arguments: Namespace, terminal: Terminal) -> int:
    """`schedule remove`."""
    from mlsssl._commands.schedules.job import check_name

    where = _scheduler(arguments.system).remove(check_name(arguments.name))
    if where is None:
        raise NotFoundError(f"nothing is scheduled under the name {arguments.name}, so nothing was removed")
    terminal.result({"name": arguments.name, "removed": where}, f"removed from {where}")
    return 0


def _scheduler(system: str | None) -> Scheduler:
    """The one that was asked for, or that this system has."""
    from mlsssl._commands.schedules.crontab import Crontab
    from mlsssl._commands.schedules.systemd import Systemd, is_running
    from mlsssl._commands.schedules.task_scheduler import TaskScheduler

    if system is None:
        if sys.platform == "win32":
            system = "task"
        elif is_running():
            system = "systemd"
        elif shutil.which("crontab") is not None:
            system = "cron"
        else:
            raise UnsupportedError(
                "neither systemd nor crontab is here; in a container, run mlsssl renew --watch (docs/howto-schedule)"
            )
    if (system == "task") != (sys.platform == "win32"):
        raise UnsupportedError(f"--system {system} is not of this operating system")
    return Systemd() if system == "systemd" else Crontab() if system == "cron" else TaskScheduler()


def _checked(words: list[str], whole: argparse.ArgumentParser) -> list[str]:
    """The words of a renew command that can run without anybody there, from wherever a scheduler starts it."""
    from mlsssl._embedded.port import default_path  # not for the sake of `--help`

    if words[:1] == ["--"]:
        words = words[1:]
    if words[:1] != ["renew"]:
        raise InvalidInputError("schedule install takes a renew command: mlsssl schedule install renew --all --due ...")
    try:
        given = whole.parse_args(words)
    except UsageError as error:
        raise InvalidInputError(f"what is to be scheduled is no renew command: {error}") from None
    if given.watch:
        raise InvalidInputError("renew --watch never ends: run it as a service, or schedule renew without --watch")
    if given.plan or not given.due:
        raise InvalidInputError(
            "what is scheduled is renew with --due, or each run would renew everything again, and without --plan"
        )
    for option in ("password", "ca_password", "acme_eab_key", "after_password"):
        source = getattr(given, option, None)
        name = f"--{option.replace('_', '-')}"
        if source is not None and not source.startswith("file:"):
            raise InvalidInputError(
                f"{name} is to be file:PATH: a scheduled command has nobody to ask, and not the environment of this one"
            )
    if given.ca is not None:
        _open_authority(given)
    elif issuer_of(given) is None:
        raise InvalidInputError(f"what is scheduled names an issuer: {ISSUERS}")
    with_hooks({name: value for name, value in vars(given).items() if name.startswith("after") and value is not None})
    # The scheduler's process is another user's, or has not the variables that say where this one keeps its things.
    if given.machine is None and (os.environ.get(MACHINE_VARIABLE) or sys.platform != "win32"):
        words = [*words, "--machine", os.path.abspath(default_path())]  # noqa: PTH100 -- text, for a command line
    for issuer in ("acme", "adcs"):
        if getattr(given, issuer) is not None and getattr(given, f"{issuer}_state") is None:
            words = [*words, f"--{issuer}-state", str(files.issuer_folder(issuer))]
    return words


def _open_authority(given: Namespace) -> None:
    """Raise now what would be raised at night: by a file that is not there, a wrong password, one that is asked for."""
    try:
        password = None if given.ca_password is None else read_password(given.ca_password, "the authority's password")
        mlsssl.CertificateAuthority.load(given.ca, password=password, key=given.ca_key, alias=given.ca_alias)
    except WrongPasswordError as error:
        if given.ca_password is not None:
            raise
        raise InvalidInputError(
            f"{error}; --ca-password file:PATH says it, for a scheduled command has nobody to ask"
        ) from None
