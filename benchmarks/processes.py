"""Whole processes compared: two command lines in turn, by the processor time that the system counts for each."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from tempfile import TemporaryDirectory, TemporaryFile
from typing import TYPE_CHECKING

from ratios import Ratio, settled, spread

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypeAlias

Command: TypeAlias = "Sequence[str]"
PYTHON = sys.executable


@contextmanager
def compiled() -> Iterator[dict[str, str]]:
    """The environment of an installed package: its files compiled once, also where it says not to write any."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with TemporaryDirectory() as folder:
        yield environment | {"PYTHONPYCACHEPREFIX": folder}


def cost(command: Command, environment: dict[str, str]) -> float:
    """Processor seconds, the system's included, of a process that has to succeed; what it says is thrown away."""
    if sys.platform == "win32":
        raise RuntimeError("Windows tells no parent what a child has cost")
    with TemporaryFile() as told:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=told)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            told.seek(0)
            raise RuntimeError(f"{command} ended with {process.returncode}: {told.read()!r}")
    return used.ru_utime + used.ru_stime


def compare(
    name: str, ours: Command, peer: Command, *, bound: float, environment: dict[str, str], rounds: int = 15
) -> Ratio:
    """The median ratio over rounds in which ours and the peer's run one after the other, in changing order; settled."""
    return settled(partial(_compare, name, ours, peer, bound, environment, rounds))


def _compare(name: str, ours: Command, peer: Command, bound: float, environment: dict[str, str], rounds: int) -> Ratio:
    commands = [ours, peer]
    for command in commands:
        cost(command, environment)  # compiles, and fills the system's caches
    rows = []
    for number in range(rounds):
        turn = [cost(command, environment) for command in (commands[::-1] if number % 2 else commands)]
        rows.append(turn[::-1] if number % 2 else turn)
    ratios = [mine / theirs for mine, theirs in rows]
    mine, theirs = (statistics.median(column) * 1e3 for column in zip(*rows, strict=True))
    detail = f"{mine:.1f} ms against {theirs:.1f} ms; {spread(ratios)}"
    return Ratio(name, statistics.median(ratios), bound, detail=detail)
