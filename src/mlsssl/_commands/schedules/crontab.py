"""A line in this user's crontab, between two marks; whatever else is in it stays byte for byte."""

from __future__ import annotations

import shlex

from mlsssl._commands.schedules import job as jobs
from mlsssl.errors import MalformedDataError


class Crontab:
    """The user's crontab, by the program `crontab` (POSIX): `crontab -l` and `crontab -`."""

    def __init__(self, program: str = "crontab") -> None:
        self._program = program

    def install(self, job: jobs.Job) -> str:
        """Put the line in."""
        before = self._read()
        self._write(before, _without(before, job.name)[0] + _block(job))
        return f"this user's crontab ({_when(job)})"

    def show(self, name: str) -> jobs.Installed | None:
        """The lines between the marks. cron does not say when it runs next; the line itself does."""
        block = _without(self._read(), name)[1]
        if block is None:
            return None
        return jobs.Installed(where="this user's crontab", definition=block.decode("utf-8", "replace"), next_run=None)

    def remove(self, name: str) -> str | None:
        """Take the lines out."""
        before = self._read()
        rest, block = _without(before, name)
        if block is None:
            return None
        self._write(before, rest)
        return "this user's crontab"

    def _read(self) -> bytes:
        command = [self._program, "-l"]
        finished = jobs.run(command, may_fail=True)
        if finished.code == 0:
            return finished.output
        # POSIX has no exit code for an empty one. Vixie's, cronie and Debian's say this; busybox cannot open it.
        wrote = finished.error.lower()
        if finished.output or not (b"no crontab for" in wrote or b"no such file" in wrote):
            raise jobs.failure(command, finished)
        return b""

    def _write(self, before: bytes, after: bytes) -> None:
        if after != before:
            jobs.run([self._program, "-"], input=after)


def _marks(name: str) -> tuple[bytes, bytes]:
    return f"# BEGIN mlsssl schedule {name}".encode("ascii"), f"# END mlsssl schedule {name}".encode("ascii")


def _without(crontab: bytes, name: str) -> tuple[bytes, bytes | None]:
    """The crontab without the block of this name, and the block; `MalformedDataError` when a mark is missing."""
    begin, end = _marks(name)
    lines = crontab.splitlines(keepends=True)
    bare = [line.strip() for line in lines]
    if begin not in bare and end not in bare:
        rest = crontab if not crontab or crontab.endswith(b"\n") else crontab + b"\n"
        return rest, None
    if bare.count(begin) != 1 or bare.count(end) != 1 or bare.index(begin) > bare.index(end):
        raise MalformedDataError(
            f"the crontab has not one pair of the lines {begin.decode()!r} and {end.decode()!r}: put that right "
            "(crontab -e)"
        )
    first, last = bare.index(begin), bare.index(end)
    return b"".join([*lines[:first], *lines[last + 1 :]]), b"".join(lines[first : last + 1])


def _when(job: jobs.Job) -> str:
    hours = ",".join(str(hour) for hour, _ in job.times)
    return f"{job.times[0][1]} {hours} * * *"


def _block(job: jobs.Job) -> bytes:
    begin, end = _marks(job.name)
    # cron's own shell runs the line, and reads % as a line end. What the command says goes to the system's log: as
    # mail it would come several times a day.
    words = f"cd {shlex.quote(str(job.folder))} && {shlex.join(job.command)} 2>&1 | logger -t mlsssl-{job.name}"
    escaped = words.replace("%", "\\%").encode("utf-8", "surrogateescape")
    return b"\n".join([begin, f"{_when(job)} ".encode("ascii") + escaped, end, b""])
