"""What is scheduled, and what the three schedulers have in common."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mlsssl._machine import programs
from mlsssl._messages.foreign_text import printable
from mlsssl.errors import ExistsError, InvalidInputError, NativeError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HOURS = (1, 2, 3, 4, 6, 8, 12, 24)
"""How often: every so many hours, so that each day has the same times."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_TIMEOUT, _LIMIT = 60.0, 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A command line to run again and again.

    Attributes:
        name: Tells it from others of this computer: letters, digits, - and _.
        command: The program by its whole path, and its arguments. No secret is among them.
        folder: Where it runs, which relative paths among the arguments are seen from.
        every: Hours between two runs, one of `HOURS`.
    """

    name: str
    command: tuple[str, ...]
    folder: Path
    every: int

    def __post_init__(self) -> None:
        check_name(self.name)
        for word in (*self.command, str(self.folder)):
            if any(sign in word for sign in "\r\n\0"):
                raise InvalidInputError("a command line that is scheduled cannot hold a line break or a NUL character")

    @property
    def minute(self) -> int:
        """Minutes after midnight of the first run of a day, within `every` hours.

        Drawn from the names of this computer and of the job: a thousand computers come at a thousand times, and each
        one at the same every day, also when it is installed again.
        """
        digest = hashlib.sha256(f"{platform.node()}\0{self.name}".encode()).digest()
        return int.from_bytes(digest[:8], "big") % (self.every * 60)

    @property
    def times(self) -> list[tuple[int, int]]:
        """Hour and minute of each run of a day."""
        return [divmod(self.minute + number * self.every * 60, 60) for number in range(24 // self.every)]

    @property
    def title(self) -> str:
        """What it is, for people."""
        return f"mlsssl schedule {self.name}: renews certificates that are due"


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """What is there of a name.

    Attributes:
        where: The task, unit or crontab.
        definition: How it is defined, as the scheduler has it.
        next_run: When it runs next, as the scheduler says it; None when it does not say.
    """

    where: str
    definition: str
    next_run: str | None


class Scheduler(Protocol):
    """One of the three."""

    def install(self, job: Job) -> str:
        """Put it there, in the place of an earlier one of its name; where, in words."""
        ...

    def show(self, name: str) -> Installed | None:
        """What is there of this name; None when nothing of ours is."""
        ...

    def remove(self, name: str) -> str | None:
        """Take it away; where it was, in words, or None when nothing of ours was there."""
        ...


def check_name(name: str) -> str:
    """The name; `InvalidInputError` for one that a scheduler could not take."""
    if not _NAME.fullmatch(name):
        raise InvalidInputError("--name has 1 to 64 letters and digits of ASCII, - and _, and begins with neither sign")
    return name


def run(command: Sequence[str], *, input: bytes = b"", may_fail: bool = False) -> programs.Finished:  # noqa: A002
    """Run a scheduler's own program; `NativeError` with what it wrote when it fails, unless it `may_fail`."""
    finished = programs.run(command, input=input, timeout=_TIMEOUT, environment={"LC_ALL": "C"}, limit=_LIMIT)
    if finished.code != 0 and not (may_fail and finished.code is not None):
        raise failure(command, finished)
    return finished


def failure(command: Sequence[str], finished: programs.Finished) -> NativeError:
    """The error of a program that failed."""
    wrote = " ".join((finished.error or finished.output)[-2000:].decode("utf-8", "replace").split())[-300:]
    how = f"it {finished.stopped}" if finished.stopped else printable(wrote) or "it said nothing"
    return NativeError(os.path.basename(command[0]), finished.code or 0, "", how)  # noqa: PTH119 -- no path to open


def refuse_stranger(where: str) -> ExistsError:
    """The error for something of that name which `mlsssl schedule` has not made."""
    return ExistsError(f"{where} is there, and mlsssl schedule has not made it: choose another --name")
