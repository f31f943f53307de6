"""`renew --watch`: a round of renewals again and again, until the process is asked to end; and its health file."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import random
import signal
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlsssl._commands.remedies import in_commands
from mlsssl._machine import files
from mlsssl._messages.foreign_text import message
from mlsssl._messages.output import as_json
from mlsssl.errors import InvalidInputError, IssuePendingError, MalformedDataError, MlssslError, NotFoundError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path
    from types import FrameType

    from mlsssl._commands.parser import Commands
    from mlsssl._commands.terminal import Terminal
    from mlsssl.renewal import Renewal

INTERVAL = 6 * 60 * 60.0
"""Seconds from one round to the next."""

_SHORTEST, _LONGEST = 10.0, 7 * 24 * 60 * 60.0

FIRST_RETRY = 60.0
"""Seconds to the next round after one that failed; doubled with each further one, up to the interval."""

JITTER = 0.1
"""A round comes earlier by up to this share, so that many containers that started at once do not renew at once."""

BEAT = 60.0
"""Seconds after which the health file is written anew while nothing happens."""

SLACK = 180.0
"""Seconds for which it is good beyond the next beat: a busy computer may be late."""

LONGEST_ROUND = 60 * 60.0
"""Seconds that a round may take before the file is good no more."""

HEALTHY, NOT_HEALTHY = 0, 1


def add_commands(commands: Commands) -> None:
    """Add the parsers of this module's commands."""
    from mlsssl._commands.parser import command

    summary = "whether renew --watch runs and renews, for a container's health check"
    parser = command(commands, "health", health, summary)
    parser.add_argument("file", metavar="FILE", help="what renew --watch was given as --health")
    parser.epilog = "exit codes besides the common ones:\n  0 healthy   1 not"


@dataclass(slots=True)
class Rounds:
    """When the next round is, by two clocks, and what became of the last.

    A computer that slept, or whose clock was set, has one clock run and the other not: the round comes when either says
    so. (The monotonic clock stands still in a sleeping Linux; the wall clock may be set back.)
    """

    interval: float = INTERVAL
    share: Callable[[], float] = random.random
    monotonic: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    number: int = 0
    failures: int = 0
    _due: tuple[float, float] = (0.0, 0.0)

    def ended(self, *, failed: bool, awaited: Iterable[float] = ()) -> float:
        """Note that a round ended, and say when (as `time.time` has it) the next one is.

        It is not later than the first moment to come of those `awaited`: when a certificate will be due, or an issuer
        wants to be asked again. A certificate of 12 hours would else end before the round that finds it due.
        """
        self.failures = self.failures + 1 if failed else 0
        wait = self.interval
        if failed:
            wait = min(wait, FIRST_RETRY * 2 ** min(self.failures - 1, 30))
        wait *= 1 - JITTER * self.share()
        to_come = [moment - self.now() for moment in awaited if moment > self.now()]
        wait = min([wait, *(max(one, FIRST_RETRY) for one in to_come)])
        self._due = (self.monotonic() + wait, self.now() + wait)
        return self._due[1]

    @property
    def due(self) -> bool:
        """Whether the next round is to begin."""
        return self.monotonic() >= self._due[0] or self.now() >= self._due[1]


class Health:
    """The health file: one JSON document, written whole or not at all, and never good for longer than it says."""

    def __init__(self, path: Path | None, *, now: Callable[[], float] = time.time) -> None:
        self._path = path
        self._now = now
        self._told: dict[str, object] = {}
        self._written = 0.0
        self.problem: str | None = None

    def tell(self, *, valid: float, **told: object) -> None:
        """Write what is new beside what was told before; good for `valid` seconds."""
        self._told |= told
        self._written = self._now()
        document = {
            **self._told,
            "process": os.getpid(),
            "written": _moment(self._written),
            "valid_until": _moment(self._written + valid),
        }
        self.problem = None
        if self._path is None:
            return
        try:
            files.write(self._path, json.dumps(as_json(document), indent=1).encode("ascii") + b"\n", private=False)
        except MlssslError as error:
            self.problem = str(error)

    def beat(self) -> None:
        """Write it anew when it is time, so that it says that this process lives."""
        if abs(self._now() - self._written) >= BEAT:
            self.tell(valid=BEAT + SLACK)


class Stop:
    """Whether the process was asked to end (SIGTERM, SIGINT, on Windows Ctrl+Break): by a flag, between two changes.

    A second request ends it as if nobody had watched for it; a change is then taken back, or finished by the next run.
    """

    def __init__(self) -> None:
        self._asked = threading.Event()

    def __bool__(self) -> bool:
        return self._asked.is_set()

    def ask(self) -> None:
        """Ask for the end."""
        self._asked.set()

    def wait(self, seconds: float) -> None:
        """Wait so long, or until the end is asked for."""
        self._asked.wait(seconds)

    @contextlib.contextmanager
    def on_signals(self) -> Iterator[None]:
        """Take the signals meanwhile; only the main thread can, others leave them alone."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        names = [name for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)]
        former = {getattr(signal, name): signal.getsignal(getattr(signal, name)) for name in names}

        def asked(number: int, frame: FrameType | None) -> None:
            self.ask()
            for one, handler in former.items():
                signal.signal(one, handler)

        try:
            for number in former:
                signal.signal(number, asked)
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)


def watch(
    renew: Callable[[Callable[[], bool]], tuple[int, list[Renewal]]],
    terminal: Terminal,
    *,
    interval: float | None,
    health: str | None,
    stop: Stop | None = None,
    rounds: Rounds | None = None,
) -> int:
    """Renew until asked to end; 0 then.

    An error of the very first round is raised, for it is one of the command line: a wrong password, a missing file.
    From then on an error makes the round a failed one.

    Args:
        renew: A round: given what says whether to stop, it returns the exit code that it would have, and its results.
        terminal: Gets a line for each round; with JSON a document on one line.
        interval: Seconds between two rounds.
        health: The health file, or None.
        stop: Asked to end by somebody else than signals.
        rounds: The clocks.
    """
    stop = Stop() if stop is None else stop  # which is False until it is asked to
    rounds = rounds or Rounds(INTERVAL if interval is None else _checked(interval))
    told = Health(None if health is None else files.absolute(health), now=rounds.now)
    with stop.on_signals():
        told.tell(valid=LONGEST_ROUND, status="starting", healthy=False)
        if told.problem is not None:
            raise InvalidInputError(f"the health file cannot be written: {told.problem}")
        try:
            while not stop:
                _round(renew, terminal, told, rounds, stop)
                while not stop and not rounds.due:
                    stop.wait(1.0)
                    told.beat()
        finally:
            told.tell(valid=0.0, status="stopped", healthy=False, next_round=None)
    terminal.line({"round": rounds.number, "status": "stopped"}, f"{_moment(rounds.now())} asked to end: stopped")
    return 0


def _round(
    renew: Callable[[Callable[[], bool]], tuple[int, list[Renewal]]],
    terminal: Terminal,
    told: Health,
    rounds: Rounds,
    stop: Stop,
) -> None:
    rounds.number += 1
    # What the last round found stays true while this one runs.
    told.tell(valid=LONGEST_ROUND, status="running", round=rounds.number, round_began=_moment(rounds.now()))
    failed: list[dict[str, object]] = []
    results: list[Renewal] = []
    try:
        code, results = renew(lambda: bool(stop))
    except MlssslError as error:
        if rounds.number == 1:
            raise
        code = 9
        failed = [{"key": None, "error": message(in_commands(str(error)))}]
    pending = [one for one in results if isinstance(one.error, IssuePendingError)]
    failed += [_failure(one) for one in results if one not in pending and (one.error or _failed_findings(one))]
    # Whatever the code says, but for "nothing was due" and "no answer yet": another certificate that answers, say.
    bad = bool(failed) or code not in (0, 10, 13)
    awaited = [one.due for one in results if one.skipped is not None]
    awaited += [one.error.not_before for one in pending if isinstance(one.error, IssuePendingError)]
    next_round = rounds.ended(failed=bad, awaited=[one.timestamp() for one in awaited if one is not None])
    counts = {
        "renewed": sum(one.outcome is not None for one in results),
        "failed": len(failed),
        "pending": len(pending),
        "left": sum(one.skipped is not None for one in results),
    }
    now = _moment(rounds.now())
    told.tell(
        valid=BEAT + SLACK,
        status="failing" if bad else "waiting",
        healthy=not bad,
        last_round={"number": rounds.number, "ended": now, "exit_code": code, **counts},
        failed=failed,
        failures_in_a_row=rounds.failures,
        next_round=None if stop else _moment(next_round),
    )
    words = ", ".join(f"{count} {what}" for what, count in counts.items() if count) or "nothing is bound"
    reasons = "".join(f"; {one['key'] or 'the round'}: {one['error']}" for one in failed)
    if told.problem is not None:
        reasons += f"; the health file cannot be written: {told.problem}"
    text = f"{now} round {rounds.number}: {words}{reasons}; next round {_moment(next_round)}"
    line = {"round": rounds.number, "ended": now, "exit_code": code, **counts, "next_round": _moment(next_round)}
    terminal.line(
        {**line, "results": [one.to_dict() for one in results], "failures": failed}, text, style="error" if bad else ""
    )


def _failed_findings(result: Renewal) -> list[str]:
    if result.outcome is None:
        return []
    return [str(one.found) for one in result.outcome.findings if one.code.startswith(("after-failed", "served-"))]


def _failure(result: Renewal) -> dict[str, object]:
    why = str(result.error) if result.error is not None else "; ".join(_failed_findings(result))
    return {"key": None if result.key is None else str(result.key), "error": message(in_commands(why))}


def _checked(interval: float) -> float:
    if not _SHORTEST <= interval <= _LONGEST:
        raise InvalidInputError(f"--interval is a number of seconds from {_SHORTEST:g} to {_LONGEST:g} (a week)")
    return interval


def _moment(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.timezone.utc).isoformat(timespec="seconds")


def health(arguments: Namespace, terminal: Terminal) -> int:
    """`health FILE`: 0 when the file says healthy and is not too old, 1 otherwise, also when it is not there."""
    told, why = _read_health(arguments.file)
    terminal.result({**told, "healthy_now": why is None}, "healthy" if why is None else f"not healthy: {why}")
    return HEALTHY if why is None else NOT_HEALTHY


def _read_health(name: str) -> tuple[dict[str, object], str | None]:
    """What the file says, and why that is not healthy now; None when it is."""
    path = files.path_of(name)
    try:
        told = json.loads(files.read(path, limit=1024 * 1024))
        until = dt.datetime.fromisoformat(told["valid_until"])
        written = dt.datetime.fromisoformat(told["written"])
        healthy, failed = told["healthy"] is True, told.get("failed") or []
        now = dt.datetime.now(dt.timezone.utc)
        late, early = now > until, now < written - dt.timedelta(seconds=SLACK)
    except NotFoundError:
        return {}, f"there is no file {path}, so renew --watch has not begun"
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise MalformedDataError(f"{path} is no health file of renew --watch") from None
    if late:
        return told, f"the file is from {told['written']} and was good until {told['valid_until']}: the process is gone"
    if early:
        return told, f"the file is from {told['written']}, which is to come: the clock was set back"
    if not healthy:
        why = "; ".join(
            f"{one.get('key') or 'the round'}: {one.get('error')}" for one in failed if isinstance(one, dict)
        )
        return told, f"it is {told.get('status')}" + (f": {why}" if why else "")
    return told, None
