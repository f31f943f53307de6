"""What takes its time says so on standard error: to a person at a terminal, and to nobody else."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from mlsssl import Binding, Certificate, CertificateAuthority, EmbeddedMachine, audit, cleanup, renew_due
from mlsssl._commands import working as module
from mlsssl._commands.terminal import Loudness, Terminal, as_loud_as, write
from mlsssl.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COUNT = 400  # which takes longer than the 0.4 seconds before a bar, on a fast machine too
PEOPLE = Terminal(as_json=False)
CA = CertificateAuthority.create("Working", key="ec-p256")
pytestmark = pytest.mark.filterwarnings("error")


class Screen(io.StringIO):
    """A standard error that says it is a terminal."""

    def isatty(self) -> bool:
        return True

    def seen(self) -> list[str]:
        """Each state of the line, in turn."""
        return self.getvalue().split("\r")


@pytest.fixture(name="screen")
def _screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    screen = Screen()
    monkeypatch.setattr(module, "sys", SimpleNamespace(stderr=screen))  # pytest sets that of the module sys itself
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(module, "_DELAY", 0.01)
    monkeypatch.setattr(module, "_EVERY", 0.01)
    return screen


def wait_for(screen: Screen, text: str) -> None:
    """Until it was drawn."""
    until = time.monotonic() + 30
    while text not in screen.getvalue():
        assert time.monotonic() < until, screen.getvalue()
        time.sleep(0.005)


def wait_for_and_fail(screen: Screen, text: str) -> None:
    """Until it was drawn."""
    wait_for(screen, text)
    pytest.fail("never mind")


def test_the_line_counts_and_goes_away(screen: Screen) -> None:
    """A bar that fills, and nothing left of it."""
    with PEOPLE.working("renewing", 4) as progress:
        wait_for(screen, "renewing 0 of 4 [........................] 0:00")
        progress(2)
        wait_for(screen, "renewing 2 of 4 [############............]")
        progress(9)  # more than were counted before: one was added meanwhile
        wait_for(screen, "renewing 9 of 4 [########################]")
    *_, last, after = screen.seen()
    assert (last.strip(), after) == ("", "")
    assert len(last) >= len("mlsssl: renewing 9 of 4 [########################] 0:00")


def test_without_a_total(screen: Screen) -> None:
    """The seconds alone, or a count."""
    with PEOPLE.working("making the key"):
        wait_for(screen, "mlsssl: making the key 0:00")
    with PEOPLE.working("looking", 0) as progress:
        progress(3)
        wait_for(screen, "mlsssl: looking 3 0:00")


def test_what_is_over_soon_shows_nothing(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    """No flicker."""
    monkeypatch.setattr(module, "_DELAY", 30)
    with PEOPLE.working("renewing", 4) as progress:
        progress(4)
    assert screen.getvalue() == ""


@pytest.mark.parametrize("why", ["json", "quiet", "no terminal", "closed", "dumb"])
def test_nobody_looks_on(screen: Screen, monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    """Nothing is written, and counting goes on."""
    if why == "no terminal":
        monkeypatch.setattr(screen, "isatty", lambda: False)
    elif why == "closed":
        monkeypatch.setattr(module, "sys", SimpleNamespace(stderr=None))
    elif why == "dumb":
        monkeypatch.setenv("TERM", "dumb")
    loudness: Loudness = "quiet" if why == "quiet" else "normal"
    with as_loud_as(loudness), Terminal(as_json=why == "json").working("renewing", 4) as progress:
        progress(1)
        time.sleep(0.1)
    assert screen.getvalue() == ""


def test_what_is_written_meanwhile_stands_above(screen: Screen) -> None:
    """On a line of its own, which the next drawing leaves alone."""
    with PEOPLE.working("renewing", 4):
        wait_for(screen, "of 4")
        write("mlsssl: warning: late", to=screen)
        time.sleep(0.05)
    before, _, after = screen.getvalue().partition("mlsssl: warning: late\n")
    assert before.endswith("\r")
    assert before.split("\r")[-2].strip() == ""
    assert after.startswith("\rmlsssl: renewing")


def test_an_error_takes_the_line_away(screen: Screen) -> None:
    """And the next one can be shown."""
    with pytest.raises(pytest.fail.Exception, match="never"), PEOPLE.working("renewing", 4):
        wait_for_and_fail(screen, "of 4")
    assert screen.seen()[-2].strip() == ""
    with PEOPLE.working("again"):
        wait_for(screen, "again")


def test_only_one_line_at_a_time(screen: Screen) -> None:
    """What is done inside of something else belongs to it."""
    with PEOPLE.working("outer"), PEOPLE.working("inner", 3) as progress:
        progress(1)
        wait_for(screen, "outer")
        time.sleep(0.05)
    assert "inner" not in screen.getvalue()


def test_a_narrow_terminal(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line is cut: wrapped, it could not be taken away."""
    monkeypatch.setattr(module._Line, "_columns", lambda self: 20)
    with PEOPLE.working("renewing", 4):
        wait_for(screen, "renewing")
    assert max(map(len, screen.seen())) == 19


# -- the same in Python -----------------------------------------------------------------------------------------------


@pytest.fixture(name="machine")
def _machine(tmp_path: Path) -> EmbeddedMachine:
    machine = EmbeddedMachine(tmp_path / "machine.sqlite")
    with machine, machine.store() as store:
        for number in range(3):
            entry = store.add(CA.issue(f"h{number}.test"))
            Binding(f"0.0.0.0:{443 + number}", entry.thumbprint, machine=machine).add()
    return EmbeddedMachine(tmp_path / "machine.sqlite")


def test_progress_is_one_thing_everywhere(machine: EmbeddedMachine) -> None:
    """A function of the number done so far, called after each."""
    told: list[int] = []
    with machine:
        renew_due(CA, machine=machine, progress=told.append)
        assert told == [1, 2, 3]  # of which none is due
        told.clear()
        renew_due(CA, machine=machine, due_only=False, progress=told.append, verify=False)
        assert told == [1, 2, 3]
        told.clear()
        audit(machine=machine, progress=told.append)
        assert told == [1, 2, 3]
        told.clear()
        cleanup(machine=machine, progress=told.append)
        assert told == [1, 2, 3]
        told.clear()
        with machine.store("Root", create=True) as store:
            leaf = CA.issue("a.test").without_key()
            entries = store.add_all([CA.certificate, leaf, CA.certificate], progress=told.append)
        assert told == [1, 2, 3]
        assert [one.store_name for one in entries] == ["Root", "CA", "Root"]


@pytest.mark.parametrize(
    "call",
    [
        lambda machine, no_function: renew_due(CA, machine=machine, progress=no_function),
        lambda machine, no_function: audit(machine=machine, progress=no_function),
        lambda machine, no_function: cleanup(machine=machine, progress=no_function),
        lambda machine, no_function: machine.store().add_all([], progress=no_function),
    ],
)
def test_progress_is_a_function(machine: EmbeddedMachine, call: Callable[[EmbeddedMachine, object], object]) -> None:
    """Anything else is refused before anything is done."""
    with machine, pytest.raises(InvalidInputError, match="progress is a function of the number"):
        call(machine, 3)


def test_an_error_of_progress_leaves_what_was_done(machine: EmbeddedMachine) -> None:
    """It is the caller's own, and is raised as it is; the bindings before are renewed, and no change is left open."""

    def interrupted(done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with machine:
        before = {one.key: one.thumbprint for one in machine.bindings}
        with pytest.raises(KeyboardInterrupt):
            renew_due(CA, machine=machine, due_only=False, progress=interrupted, verify=False)
        after = {one.key: one.thumbprint for one in machine.bindings}
        assert sum(after[key] != before[key] for key in before) == 2
        assert renew_due(CA, machine=machine).to_rows()  # nobody holds a lock, nothing is pending


# -- at a real terminal -----------------------------------------------------------------------------------------------

real = pytest.mark.skipif(sys.platform == "win32", reason="there are no pseudo-terminals of this kind")


def run_at_terminal(words: list[str], folder: Path) -> tuple[int, str, str, float]:
    """Run with standard error at a pseudo-terminal.

    Returns:
        The exit code, standard output, what the terminal got, and the seconds until it got the first of it.
    """
    if sys.platform == "win32":
        raise NotImplementedError
    import pty

    ours, theirs = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "TERM": "xterm"}
    began = time.monotonic()
    with (folder / "stdout").open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlsssl", *words], stdout=out, stderr=theirs, stdin=theirs, env=environment
        )
    os.close(theirs)
    got, first = b"", float("inf")
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # Linux' way to say that the other end is closed
            break
        if not piece:
            break
        first = min(first, time.monotonic() - began)
        got += piece
    os.close(ours)
    return process.wait(60), (folder / "stdout").read_text("utf-8"), got.decode(), first


@pytest.fixture(name="many")
def _many(tmp_path: Path) -> list[str]:
    """A machine with that many bindings; the words that renew them all."""
    CA.save(tmp_path / "ca.pem")
    with EmbeddedMachine(tmp_path / "m.sqlite") as machine, machine.store() as store:
        for number in range(COUNT):
            entry = store.add(CA.issue(f"h{number}.test"))
            Binding(f"0.0.0.0:{1000 + number}", entry.thumbprint, machine=machine).add()
    return ["renew", "--all", "--ca", f"{tmp_path}/ca.pem", "--machine", f"{tmp_path}/m.sqlite", "--no-verify"]


@real
def test_many_renewals_show_a_bar_within_a_second(many: list[str], tmp_path: Path) -> None:
    """And standard output has what it has without a terminal."""
    start = time.monotonic()
    code, _, said, _ = run_at_terminal([*many, "--plan", "--json"], tmp_path)
    planned = time.monotonic() - start
    assert (code, said) == (0, "")
    code, out, said, first = run_at_terminal(many, tmp_path)
    assert code == 0
    assert "\r" not in out
    assert out.count("renewed") + out.count("changed") >= COUNT
    drawn = [line for line in said.replace("\n", "\r").split("\r") if line.strip()]
    assert drawn
    counts = [re.fullmatch(rf"mlsssl: renewing (\d+) of {COUNT} \[#*\.*\] 0:\d\d *", line) for line in drawn]
    done = [int(found[1]) for found in counts if found]
    assert len(done) == len(drawn)
    assert done == sorted(done)
    assert said.split("\r")[-2].strip() == ""
    assert first < planned + 1.0  # a start of Python with all of the library, and a second


@real
def test_json_and_no_terminal_are_untouched(many: list[str], tmp_path: Path) -> None:
    """The document alone; and with both streams in files not a byte more than the results."""
    code, out, said, _ = run_at_terminal([*many, "--json"], tmp_path)
    assert (code, said) == (0, "")
    assert len(json.loads(out)["results"]) == COUNT
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-m", "mlsssl", *many], capture_output=True, check=False, timeout=120, env=environment
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"\r" not in done.stdout.replace(b"\r\n", b"\n")


@real
def test_a_key_of_4096_bits_says_what_it_does(tmp_path: Path) -> None:
    """Making one takes from a fraction of a second to many, by chance; one of some takes long enough to be seen."""
    said = ""
    for number in range(12):
        out = tmp_path / f"ca{number}.pem"
        code, _, said, _ = run_at_terminal(["ca", "create", "Root", "--key", "rsa-4096", "--out", str(out)], tmp_path)
        assert code == 0
        assert Certificate.load(out).key_type == "rsa-4096"
        if said:
            break
    assert said.lstrip("\r").startswith("mlsssl: making the key and its certificate 0:00")
    assert said.split("\r")[-2].strip() == ""
