"""`ccs …`: folders of a Central Certificate Store, checked and listed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsssl._commands.certificate import parse_moment
from mlsssl._commands.parser import PASSWORD_HELP, command, group
from mlsssl._commands.remedies import in_commands
from mlsssl._commands.terminal import read_password
from mlsssl._messages.foreign_text import shown

if TYPE_CHECKING:
    from argparse import Namespace

    from mlsssl import ccs
    from mlsssl._commands.parser import Commands
    from mlsssl._commands.terminal import Terminal


def add_commands(commands: Commands) -> None:
    """Add the parsers of this module's commands."""
    folders = group(commands, "ccs", "folders of IIS' Central Certificate Store")
    command(folders, "check", check, "say what is wrong with the files of a folder; 1 when a host gets no certificate")
    command(folders, "list", list_files, "list the files of a folder with their certificates")
    for parser in folders.choices.values():
        parser.add_argument("folder", metavar="FOLDER")
        parser.share("--password", help=f"the store's: {PASSWORD_HELP}")
        parser.add_argument("--readable-by", metavar="SYSTEM", help="the oldest server that reads the folder")
        parser.add_argument("--at", metavar="MOMENT", help="check dates for this moment (2027-01-31) instead of now")


def _read(arguments: Namespace) -> tuple[ccs.CcsFile, ...]:
    """The files of the folder, asking for the store's password only when one of them needs it."""
    from mlsssl import ccs

    def read(password: str | None) -> tuple[ccs.CcsFile, ...]:
        moment = parse_moment(arguments.at)
        return ccs.read_folder(arguments.folder, password, at=moment, readable_by=arguments.readable_by)

    if arguments.password is None:
        files = read(None)
        if not any(finding.code == "ccs-password" for file in files for finding in file.findings):
            return files
    return read(read_password(arguments.password, f"the password of the store in {arguments.folder}"))


def check(arguments: Namespace, terminal: Terminal) -> int:
    """`ccs check FOLDER`: 1 when a finding is an error."""
    with terminal.working(_READING):
        files = _read(arguments)
    findings = [finding for file in files for finding in file.findings]
    ok = not any(finding.severity.value == "error" for finding in findings)
    told = [finding.to_dict() for finding in findings]
    terminal.result({"folder": arguments.folder, "ok": ok, "files": len(files), "findings": told})
    for finding in findings:
        text = f"{finding.severity} {finding.code} [{finding.path.name}]: {finding.problem}"
        terminal.say([in_commands(text)], style=finding.severity.value)
        terminal.say([f"    remedy: {in_commands(finding.remedy)}"])
    served = sum(file.host is not None and file.certificate is not None for file in files)
    verdict = "ok" if ok else "not ok"
    terminal.say(
        [f"{verdict}: {shown(arguments.folder)} has {len(files)} files, {served} of them for the store"]
        if files
        else [f"{shown(arguments.folder)} is empty: the store has no certificate for anybody"]
    )
    return 0 if ok else 1


_READING = "reading the files"

_COLUMNS = {
    "file": "FILE",
    "host": "HOST",
    "names": "NAMES",
    "not_after": "NOT AFTER",
    "days_left": "DAYS",
    "has_private_key": "KEY",
    "codes": "FINDINGS",
}


def list_files(arguments: Namespace, terminal: Terminal) -> int:
    """`ccs list FOLDER`."""
    with terminal.working(_READING):
        files = _read(arguments)
    if terminal.as_json:
        terminal.result([file.to_dict() for file in files])
        return 0
    rows = [
        {
            **file.to_dict(),
            "not_after": None if file.certificate is None else f"{file.certificate.not_after:%Y-%m-%d}",
            "codes": sorted({finding.code for finding in file.findings}) or None,
            "severity": min((finding.severity for finding in file.findings), key=lambda one: one.rank, default=""),
        }
        for file in files
    ]
    terminal.table(rows, _COLUMNS, empty=f"{shown(arguments.folder)} is empty.")
    return 0
