"""Programs of the user's, run to their end: what comes back, what stops them, and that nothing of them is left."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlsssl._machine.programs import Finished, run
from mlsssl.errors import AccessDeniedError, InvalidInputError, MlssslError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

ECHO = "import sys; data = sys.stdin.buffer.read(); sys.stdout.buffer.write(data[::-1]); sys.exit(len(data) % 256)"


def python(source: str, *arguments: str, data: bytes = b"", timeout: float = 60, limit: int = 1 << 20) -> Finished:
    """What a program in Python does."""
    return run([sys.executable, "-c", source, *arguments], input=data, timeout=timeout, environment=None, limit=limit)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie that nobody has waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_input_output_and_code_come_through() -> None:
    """Also more of it than fits into a pipe, in both directions at once."""
    data = bytes(range(256)) * 2000 + b"123"
    done = python(ECHO, data=data)
    assert done == Finished(code=3, output=data[::-1], error=b"")


def test_standard_error_is_apart() -> None:
    done = python("import sys; sys.stderr.write('no'); sys.exit(4)")
    assert (done.code, done.output, done.error, done.stopped) == (4, b"", b"no", None)


def test_arguments_are_no_shell_text() -> None:
    """What a shell would make something of arrives as it is."""
    words = ["$HOME", "a b", '"', "'", ";", "`id`", "%PATH%", "*", "", "^&|<>"]
    done = python("import sys; sys.stdout.write(chr(10).join(sys.argv[1:]))", *words)
    assert done.output.decode().replace("\r", "").split("\n") == words


def test_variables_are_added_to_those_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLSSSL_TEST_OLD", "old")
    source = "import os; print(os.environ['MLSSSL_TEST_OLD'], os.environ['MLSSSL_TEST_NEW'])"
    command = [sys.executable, "-c", source]
    done = run(command, input=b"", timeout=60, environment={"MLSSSL_TEST_NEW": "new"}, limit=100)
    assert done.output.split() == [b"old", b"new"]
    assert "MLSSSL_TEST_NEW" not in os.environ


def test_a_program_need_not_read_its_input() -> None:
    assert python("print('done')", data=b"x" * 1_000_000).output.strip() == b"done"


def test_the_end_of_the_time_stops_it() -> None:
    began = time.monotonic()
    done = python("import time; print('begun', flush=True); time.sleep(600)", timeout=3)
    assert time.monotonic() - began < 60
    assert done.code is None
    assert done.stopped == "was not done after 3 seconds"
    assert done.output.strip() in (b"begun", b"")  # on a machine so busy that Python itself took three seconds


@pytest.mark.skipif(sys.platform == "win32", reason="looks into /proc")
def test_what_it_has_started_is_stopped_too(tmp_path: Path) -> None:
    """A grandchild that ignores the end of its parent, and holds the pipe."""
    note = tmp_path / "pid"
    grandchild = "import time; time.sleep(600)"
    source = (
        "import pathlib, subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-c', {grandchild!r}])\n"
        f"path = pathlib.Path({str(note)!r})\n"
        "path.with_suffix('.new').write_text(str(child.pid))\n"
        "path.with_suffix('.new').rename(path)\n"
        "time.sleep(600)"
    )
    timeout = 3.0
    while not note.exists():  # a machine so busy that three seconds were not enough
        assert timeout < 100
        assert python(source, timeout=timeout).code is None
        timeout *= 2
    until(lambda: not is_alive(int(note.read_text())))


@pytest.mark.skipif(sys.platform != "win32", reason="Windows removes no file that somebody has open")
def test_what_it_has_started_is_stopped_too_on_windows(tmp_path: Path) -> None:
    """A grandchild of its own that holds a file, until `taskkill /t` has ended it."""
    taskkill = Path(os.environ["SYSTEMROOT"]) / "System32" / "taskkill.exe"
    if b"argument T not supported" in taskkill.read_bytes():
        pytest.skip("the taskkill of this Wine (8.0 of Debian 12) does not know /t")
    held = tmp_path / "held"
    grandchild = "import sys, time; file = open(sys.argv[1], 'w'); time.sleep(600)"
    source = (
        "import subprocess, sys, time\n"
        f"subprocess.Popen([sys.executable, '-c', {grandchild!r}, {str(held)!r}])\n"
        "time.sleep(600)"
    )

    def removed() -> bool:
        try:
            held.unlink()
        except PermissionError:
            return False
        return True

    timeout = 10.0
    while not held.exists():  # a machine so busy that ten seconds were not enough
        assert timeout < 200
        assert python(source, timeout=timeout).code is None
        timeout *= 2
    until(removed)
    with subprocess.Popen([sys.executable, "-c", grandchild, str(held)]) as alive:
        until(held.exists)
        assert not removed(), "the file says nothing about who has it open"
        alive.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="looks into /proc")
def test_what_an_ended_program_leaves_in_the_background_goes_on() -> None:
    """And is not waited for, although it holds the pipe: a step that starts a service."""
    source = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid)"
    )
    began = time.monotonic()
    done = python(source, timeout=300)
    assert time.monotonic() - began < 200
    assert done.code == 0
    pid = int(done.output)
    assert is_alive(pid)
    os.kill(pid, 9)


def test_too_much_output_stops_it() -> None:
    """Neither memory nor time goes on with it; the beginning is kept for a message."""
    done = python("import sys\nwhile True: sys.stdout.write('x' * 1000)", limit=10_000)
    assert done.code is None
    assert done.stopped == "wrote more than 10000 bytes"
    assert done.output == b"x" * 10_000


def test_too_much_output_of_a_program_that_has_ended_is_noticed() -> None:
    done = python("print('x' * 2000)", limit=1000)
    assert (done.code, done.stopped) == (None, "wrote more than 1000 bytes")
    assert python("import sys; sys.stdout.write('x' * 1000)", limit=1000).code == 0


def test_what_cannot_be_started_is_said(tmp_path: Path) -> None:
    file = tmp_path / "program"
    file.write_bytes(b"no program\n")
    errors: dict[str, type[MlssslError]] = {str(tmp_path / "none"): NotFoundError}
    if sys.platform != "win32":
        errors[str(file)] = AccessDeniedError
    for command, error in errors.items():
        with pytest.raises(error, match=r"program|may not run"):
            run([command], input=b"", timeout=5, environment=None, limit=100)
    file.chmod(0o700)
    with pytest.raises(MlssslError):
        run([str(file)], input=b"", timeout=5, environment=None, limit=100)


@pytest.mark.parametrize("command", ["sign", [], [""], [1], None, ["a\0b"]])
def test_what_is_no_command_is_refused(command: list[str]) -> None:
    with pytest.raises(InvalidInputError, match="command"):
        run(command, input=b"", timeout=5, environment=None, limit=100)
