"""`renew --watch`: rounds, two clocks, the health file, and an end between two changes."""

from __future__ import annotations

import datetime as dt
import json
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from mlsssl import (
    BindingError,
    CertificateAuthority,
    EmbeddedMachine,
    InvalidInputError,
    IssuePendingError,
    deploy,
    renew_due,
)
from mlsssl._commands.terminal import Terminal
from mlsssl._commands.watch import BEAT, SLACK, Health, Rounds, Stop, watch
from mlsssl._formats.binding_keys import parse_binding_key
from mlsssl.cli import main
from mlsssl.renewal import Renewal
from mlsssl.testing import memory_machine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = "0.0.0.0:443"


class Clocks:
    """Two clocks that the test moves."""

    def __init__(self) -> None:
        self.monotonic = 1000.0
        self.wall = 1_800_000_000.0

    def rounds(self, interval: float = 3600.0) -> Rounds:
        """Rounds by these clocks, with the same jitter each time."""
        return Rounds(interval, share=lambda: 0.5, monotonic=lambda: self.monotonic, now=lambda: self.wall)

    def pass_(self, seconds: float) -> None:
        """Time passes."""
        self.monotonic += seconds
        self.wall += seconds


class Waiting(Stop):
    """A stop whose waiting takes no time, and that ends after so many seconds of the test's clocks."""

    def __init__(self, clocks: Clocks, seconds: float) -> None:
        super().__init__()
        self.clocks = clocks
        self.end = clocks.monotonic + seconds

    def wait(self, seconds: float) -> None:
        self.clocks.pass_(seconds)
        if self.clocks.monotonic >= self.end:
            self.ask()


class TestWhenTheNextRoundIs:
    def test_after_the_interval_a_little_earlier(self) -> None:
        """By up to a tenth."""
        clocks = Clocks()
        rounds = clocks.rounds()
        assert rounds.ended(failed=False) == clocks.wall + 3600 * 0.95
        clocks.pass_(3419)
        assert not rounds.due
        clocks.pass_(1)
        assert rounds.due

    def test_after_failures_sooner_and_ever_later(self) -> None:
        """A minute, two, four ... up to the interval; one success begins anew."""
        clocks = Clocks()
        rounds = clocks.rounds()
        waits = [round((rounds.ended(failed=True) - clocks.wall) / 0.95) for _ in range(9)]
        assert waits == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
        rounds.ended(failed=False)
        assert round((rounds.ended(failed=True) - clocks.wall) / 0.95) == 60
        rounds.failures = 10**6
        rounds.ended(failed=True)

    def test_no_later_than_what_is_awaited(self) -> None:
        """The first of those to come, though not within a minute; never later than without."""
        clocks = Clocks()
        rounds = clocks.rounds()
        assert rounds.ended(failed=False, awaited=[clocks.wall + 900, clocks.wall + 600, clocks.wall - 5]) == (
            clocks.wall + 600
        )
        assert rounds.ended(failed=False, awaited=[clocks.wall + 1]) == clocks.wall + 60
        assert rounds.ended(failed=False, awaited=[clocks.wall + 86_400]) == clocks.wall + 3600 * 0.95

    @pytest.mark.parametrize(("monotonic", "wall"), [(0, 86_400), (3600, -86_400), (3600, 3600)])
    def test_a_clock_that_jumps_delays_no_round(self, monotonic: float, wall: float) -> None:
        """A computer that slept, a clock that was set forwards or back: whichever clock says so."""
        clocks = Clocks()
        rounds = clocks.rounds()
        rounds.ended(failed=False)
        clocks.monotonic += monotonic
        clocks.wall += wall
        assert rounds.due

    def test_a_clock_that_is_set_back_brings_no_round_forward(self) -> None:
        """Neither clock has come so far."""
        clocks = Clocks()
        rounds = clocks.rounds()
        rounds.ended(failed=False)
        clocks.wall -= 86_400
        clocks.monotonic += 60
        assert not rounds.due


def result(**what: object) -> Renewal:
    """What a round did about a binding."""
    return Renewal(key=parse_binding_key(KEY), **what)  # type: ignore[arg-type]  # as the test has it


class TestTheRounds:
    def run(
        self,
        capsys: pytest.CaptureFixture[str],
        outcomes: list[Callable[[], tuple[int, list[Renewal]]]],
        *,
        seconds: float,
        health: Path | None = None,
        as_json: bool = False,
    ) -> list[str]:
        """The lines of a watch, whose rounds give these outcomes, the last one again and again."""
        clocks = Clocks()

        def renew(stop: Callable[[], bool]) -> tuple[int, list[Renewal]]:
            assert not stop()
            return (outcomes.pop(0) if len(outcomes) > 1 else outcomes[0])()

        stop = Waiting(clocks, seconds)
        terminal = Terminal(as_json=as_json)
        name = None if health is None else str(health)
        assert watch(renew, terminal, interval=None, health=name, stop=stop, rounds=clocks.rounds()) == 0
        return capsys.readouterr().out.splitlines()

    def test_a_line_for_each_round(self, capsys: pytest.CaptureFixture[str]) -> None:
        """When, what was done, and when the next one is; one for the end."""
        lines = self.run(capsys, [lambda: (10, [result(skipped="not due")])], seconds=3600 * 2)
        assert len(lines) == 4
        moment = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00"
        assert re.fullmatch(rf"{moment} round 1: 1 left; next round {moment}", lines[0])
        assert re.fullmatch(rf"{moment} asked to end: stopped", lines[-1])

    def test_with_json_a_document_on_each_line(self, capsys: pytest.CaptureFixture[str]) -> None:
        """With the results of the round."""
        lines = self.run(capsys, [lambda: (10, [result(skipped="not due")])], seconds=60, as_json=True)
        first, last = map(json.loads, lines)
        assert (first["round"], first["left"], first["results"][0]["skipped"]) == (1, 1, "not due")
        assert last["status"] == "stopped"

    def test_an_error_of_the_first_round_ends_it(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        """It is one of the command line; and the file says that nothing runs."""

        def wrong() -> tuple[int, list[Renewal]]:
            raise InvalidInputError("no such password")

        with pytest.raises(InvalidInputError):
            self.run(capsys, [wrong], seconds=60, health=tmp_path / "health.json")
        told = json.loads((tmp_path / "health.json").read_text(encoding="utf-8"))
        assert (told["status"], told["healthy"]) == ("stopped", False)

    def test_later_errors_are_failed_rounds_that_come_again_soon(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        """They are told in the line, and the file says so until a round goes well."""

        def busy() -> tuple[int, list[Renewal]]:
            raise BindingError("another renewal runs")

        def failed() -> tuple[int, list[Renewal]]:
            return 9, [result(error=BindingError("it is pending"))]

        file = tmp_path / "health.json"
        seen: list[dict[str, object]] = []

        def well() -> tuple[int, list[Renewal]]:
            seen.append(json.loads(file.read_text(encoding="utf-8")))
            return 10, []

        lines = self.run(capsys, [well, busy, failed, well], seconds=3600 + 400, health=file)
        assert "the round: another renewal runs" in lines[1]
        assert "1 failed; 0.0.0.0:443: it is pending" in lines[2]
        assert [one["status"] for one in seen] == ["running", "running"]
        assert [one["healthy"] for one in seen] == [False, False]
        assert seen[1]["failed"] == [{"key": KEY, "error": "it is pending"}]
        assert seen[1]["failures_in_a_row"] == 2

    def test_a_certificate_of_hours_and_an_issuer_that_says_when_bring_the_next_round_forward(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The rounds of one hour come when it is due, and when the issuer wants to be asked again."""

        def later(seconds: int) -> dt.datetime:
            return dt.datetime.fromtimestamp(1_800_000_000 + seconds, dt.timezone.utc)

        pending = IssuePendingError("not yet", issuer="x", not_before=later(1000))
        lines = self.run(
            capsys,
            [lambda: (10, [result(skipped="not due", due=later(600))]), lambda: (13, [result(error=pending)])],
            seconds=1100,
        )
        assert [line[:19] for line in lines[:3]] == [f"{later(at):%Y-%m-%dT%H:%M:%S}" for at in (0, 600, 1000)]

    def test_a_round_whose_handshake_showed_another_certificate_failed(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The exit code says so although no result has an error."""
        lines = self.run(capsys, [lambda: (1, [])], seconds=100)
        assert len(lines) == 3  # a second round after a minute

    def test_a_health_file_that_cannot_be_written_is_said_at_once(
        self, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        """Before the first round."""
        with pytest.raises(InvalidInputError, match="the health file cannot be written: there is no folder"):
            self.run(capsys, [lambda: (10, [])], seconds=60, health=tmp_path / "absent" / "health.json")


class TestTheHealthFile:
    def told(self, path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
        """What `mlsssl health` says."""
        code = main(["health", str(path)])
        return code, capsys.readouterr().out

    def test_it_is_good_until_shortly_after_the_next_beat(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """A process that is killed is known by that, for nobody writes the file any more."""
        path = tmp_path / "health.json"
        now = time.time()
        health = Health(path, now=lambda: now)
        health.tell(valid=BEAT + SLACK, healthy=True, status="waiting")
        assert self.told(path, capsys) == (0, "healthy\n")
        Health(path, now=lambda: now - BEAT - SLACK - 1).tell(valid=BEAT + SLACK, healthy=True, status="waiting")
        code, text = self.told(path, capsys)
        assert (code, "the process is gone" in text) == (1, True)
        Health(path, now=lambda: now + 7200).tell(valid=BEAT + SLACK, healthy=True, status="waiting")
        code, text = self.told(path, capsys)
        assert (code, "the clock was set back" in text) == (1, True)

    def test_it_is_written_anew_while_nothing_happens(self, tmp_path: Path) -> None:
        """Each minute; and when the clock was set back, too."""
        clocks = Clocks()
        path = tmp_path / "health.json"
        health = Health(path, now=lambda: clocks.wall)
        health.tell(valid=BEAT + SLACK, healthy=True, status="waiting")
        first = path.read_bytes()
        clocks.pass_(BEAT - 1)
        health.beat()
        assert path.read_bytes() == first
        clocks.pass_(1)
        health.beat()
        second = json.loads(path.read_bytes())
        assert second["healthy"] is True
        written, until = (dt.datetime.fromisoformat(second[name]) for name in ("written", "valid_until"))
        assert (until - written).total_seconds() == BEAT + SLACK
        clocks.wall -= 86_400
        health.beat()
        assert json.loads(path.read_bytes())["written"] < second["written"]

    def test_what_says_otherwise_is_not_healthy(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """Failing with its reasons; no file; and what is no such file is an error."""
        path = tmp_path / "health.json"
        assert self.told(path, capsys)[0] == 1
        failed = [{"key": KEY, "error": "it is pending"}]
        Health(path).tell(valid=60, healthy=False, status="failing", failed=failed)
        assert self.told(path, capsys) == (1, f"not healthy: it is failing: {KEY}: it is pending\n")
        for text in ("", "[]", "{}", '{"valid_until": 5, "written": 5}', "[" * 100_000):
            path.write_text(text, encoding="utf-8")
            assert main(["health", str(path)]) == 6
            assert "is no health file" in capsys.readouterr().err


class TestTheProcess:
    @pytest.fixture(name="place")
    def _place(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PW", "hunter-22")
        past = dt.datetime.now(dt.timezone.utc) - dt.timedelta(days=300)
        ca = CertificateAuthority.create("Watch", key="ec-p256", at=past)
        ca.save("ca.pfx", password="hunter-22")
        with EmbeddedMachine("machine.sqlite") as machine:
            for number in range(2):
                old = ca.issue("a.test", days=330, at=past)
                deploy(f"127.0.0.{number + 1}:443", old, machine=machine, verify=False)
        return tmp_path

    WATCH = (
        *("renew", "--all", "--due", "--ca", "ca.pfx", "--ca-password", "env:PW"),
        *("--machine", "machine.sqlite", "--watch", "--health", "health.json"),
    )

    @pytest.mark.skipif(sys.platform == "win32", reason="nobody can send SIGTERM there")
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_it_renews_and_ends_with_0_when_asked(
        self, place: Path, number: signal.Signals, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Healthy while it runs; and no longer."""
        with subprocess.Popen(
            [sys.executable, "-m", "mlsssl", *self.WATCH], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            assert "round 1: 2 renewed" in first
            assert main(["health", "health.json"]) == 0
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "")
        assert out.endswith("asked to end: stopped\n")
        assert main(["health", "health.json"]) == 1
        assert "stopped" in (place / "health.json").read_text(encoding="utf-8")

    @pytest.mark.skipif(sys.platform == "win32", reason="nobody can send SIGTERM there")
    def test_a_change_that_runs_is_ended_first_and_no_other_begun(self, place: Path) -> None:
        """Asked in a step after the first change: its second step runs too, the second binding is left."""
        text = "import os, signal\nos.kill(os.getppid(), signal.SIGTERM)\nopen('steps', 'a').write('1')"
        (place / "step.py").write_text(text, encoding="utf-8")
        (place / "two.py").write_text("open('steps', 'a').write('2')", encoding="utf-8")
        after = [word for name in ("step.py", "two.py") for word in ("--after", f"'{sys.executable}' {name}")]
        ended = subprocess.run(
            [sys.executable, "-m", "mlsssl", *self.WATCH, *after],
            timeout=120,
            check=False,
            capture_output=True,
            text=True,
        )
        assert (ended.returncode, ended.stderr) == (0, "")
        assert "round 1: 1 renewed" in ended.stdout
        assert (place / "steps").read_text(encoding="utf-8") == "12"

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--all", "--watch"], "--watch needs --due"),
            (["--all", "--due", "--plan", "--watch"], "--watch needs --due"),
            (["--all", "--due", "--interval", "60"], "--watch, which is missing"),
            (["--all", "--due", "--health", "x"], "--watch, which is missing"),
            (["--all", "--due", "--watch", "--interval", "1"], "seconds from 10"),
            (["--all", "--due", "--watch", "--interval", "nan"], "a number is needed, not 'nan'"),
        ],
    )
    def test_what_cannot_be_is_refused(
        self, place: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
    ) -> None:
        """Before the first round."""
        machine = ["--machine", str(place / "machine.sqlite"), "--ca", "ca.pfx", "--ca-password", "env:PW"]
        assert main(["renew", *words, *machine]) == 2
        assert said in capsys.readouterr().err

    def test_signals_are_as_before_afterwards(self) -> None:
        """And already after the first one, so that a second ends the process at once."""
        former = signal.getsignal(signal.SIGINT)
        stop = Stop()
        with stop.on_signals():
            signal.raise_signal(signal.SIGINT)
            assert stop
            assert signal.getsignal(signal.SIGINT) is former
        assert signal.getsignal(signal.SIGINT) is former


@pytest.mark.parametrize("shares", [{"fraction": 0.0}, {"fraction": 1.5}, {"fraction": 0.01}, {"jitter": -0.1}])
def test_impossible_shares_are_refused_before_anything_is_looked_at(shares: dict[str, float]) -> None:
    """An error of the call, not one of each binding, which a watch would meet again and again."""
    with memory_machine() as machine, pytest.raises(InvalidInputError, match="share of the lifetime"):
        renew_due(CertificateAuthority.create("Shares", key="ec-p256"), machine=machine, **shares)  # type: ignore[arg-type]  # numbers


def test_renew_due_can_be_stopped_between_two_bindings() -> None:
    """What was not reached is not among the results."""
    ca = CertificateAuthority.create("Watch", key="ec-p256")
    with memory_machine() as machine:
        for number in range(3):
            deploy(f"127.0.0.{number + 1}:443", ca.issue("a.test"), machine=machine)
        answers = iter([False, True])
        results = renew_due(ca, machine=machine, due_only=False, stop=lambda: next(answers))
        assert [str(one.key) for one in results] == ["127.0.0.1:443"]
