"""Running a program to its end: no shell, a bounded time, bounded output, and nothing of it left running after that."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from mlsssl._messages.arguments import items_of
from mlsssl._messages.foreign_text import shown, system_reason
from mlsssl.errors import AccessDeniedError, InvalidInputError, NativeError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PIECE = 64 * 1024
_LAST_OUTPUT = 2.0
"""Seconds for the rest of the output after a program has ended; what it leaves in the background may hold the pipe."""

_TASKKILL_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a program ended.

    Attributes:
        code: Its exit code, negative for the signal that ended it (POSIX); None when it was stopped, see `stopped`.
        output: What it wrote on standard output, at most `limit` bytes.
        error: What it wrote on standard error, at most `limit` bytes.
        stopped: Why it was stopped, in words that go on "it …"; None when it ended by itself.
    """

    code: int | None
    output: bytes
    error: bytes
    stopped: str | None = None


def run(
    command: Sequence[str],
    *,
    input: bytes,  # noqa: A002 -- as subprocess.run calls it
    timeout: float,
    environment: Mapping[str, str] | None,
    limit: int,
) -> Finished:
    """Run a program with bytes on its standard input, and wait for its end.

    At the end of the time, or when it writes too much, it is killed with whatever it has started: on POSIX its process
    group, on Windows the tree of processes below it. The same happens when waiting is interrupted. What a program
    that ended by itself has left in the background goes on.

    Args:
        command: The program and its arguments, as they are; never read by a shell. Others on the machine can read
            them, so no secret belongs in there.
        input: What it reads on standard input. It need not read it.
        timeout: Seconds.
        environment: Variables besides this process's own; None for no more.
        limit: How many bytes it may write, on standard output and on standard error each.

    Raises:
        InvalidInputError: the command is empty, no list of text, or (on Windows) a batch file, which a shell would run.
        NotFoundError: there is no such program.
        AccessDeniedError: this user may not run it.
        NativeError: it cannot be started for another reason.
    """
    words = checked_command(command)
    process = _start(words, {**os.environ, **(environment or {})})
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    deadline = time.monotonic() + timeout
    too_much = threading.Event()
    readers = [_Reader(process.stdout, limit, too_much), _Reader(process.stderr, limit, too_much)]
    writer = threading.Thread(target=_write, args=(process.stdin, input), daemon=True)
    stopped = None
    try:
        for thread in (writer, *readers):
            thread.start()
        while process.poll() is None and stopped is None:
            left = deadline - time.monotonic()
            if too_much.is_set():
                stopped = f"wrote more than {limit} bytes"
            elif left <= 0:
                stopped = f"was not done after {timeout:g} seconds"
            else:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(min(left, 0.05))
        if stopped is not None:
            _kill(process)
    except BaseException:
        _kill(process)
        raise
    last = time.monotonic() + _LAST_OUTPUT
    for reader in readers:
        reader.join(max(0.0, last - time.monotonic()))
    output, error = (reader.so_far() for reader in readers)
    if stopped is None and too_much.is_set():
        stopped = f"wrote more than {limit} bytes"
    return Finished(code=process.returncode if stopped is None else None, output=output, error=error, stopped=stopped)


def checked_command(command: Sequence[str]) -> list[str]:
    """The words of a command, if it can be one; errors as `run`."""
    expected = "a command is a list of texts, the program and its arguments, such as ['/usr/bin/sign', '--quiet']"
    words = list(items_of(command, expected))
    if not words or not all(isinstance(word, str) for word in words) or not words[0]:
        raise InvalidInputError(expected)
    if any("\0" in word for word in words):
        raise InvalidInputError("a command cannot hold a NUL character")
    if sys.platform == "win32" and words[0].lower().endswith((".bat", ".cmd")):
        raise InvalidInputError(
            f"{shown(words[0])} is a batch file, which Windows runs by a shell that reads the arguments its own way; "
            "name a program, or write ['cmd.exe', '/d', '/c', …] and see to the quoting"
        )
    return words


def split_command(text: str, option: str = "the command", *, windows: bool = sys.platform == "win32") -> list[str]:
    r"""A program and its arguments, split at blanks; no shell reads them. `option` names where they stood, for errors.

    Quotes hold words together, and nothing else means anything: no variables, no `|`, no `>`. On Windows, where `\` is
    part of a path, only double quotes do; elsewhere single and double quotes and `\` as in a POSIX shell.
    """
    try:
        if not windows:
            words = shlex.split(text)
        elif text.count('"') % 2:
            raise ValueError("No closing quotation")
        else:
            words = [word.replace('"', "") for word in re.findall(r'(?:[^\s"]|"[^"]*")+', text)]
    except ValueError:
        raise InvalidInputError(f"the quotes in {option} {shown(text)} do not match") from None
    if not any(words):
        raise InvalidInputError(f"{option} is empty; a program with its arguments belongs there")
    return words


def _start(words: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    try:
        if sys.platform == "win32":
            flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW
            return subprocess.Popen(  # noqa: S603 -- what the caller named, and no shell
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                creationflags=flags,
            )
        return subprocess.Popen(  # noqa: S603 -- what the caller named, and no shell
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(f"there is no program {shown(words[0])}; give its whole path") from None
    except PermissionError:
        raise AccessDeniedError(f"this user may not run {shown(words[0])}", right="execute") from None
    except ValueError as error:  # a variable's name with = in it, say
        raise InvalidInputError(f"{shown(words[0])} cannot be started like this: {error}") from None
    except OSError as error:
        if error.errno == errno.ENOEXEC:
            raise InvalidInputError(
                f"{shown(words[0])} is no program that the system can run by itself; a script needs a first line that "
                "names its interpreter, or the interpreter as the first word of the command"
            ) from None
        name = errno.errorcode.get(error.errno or 0, "")
        raise NativeError("start", error.errno or 0, name, f"{shown(words[0])}: {system_reason(error)}") from None


def _write(pipe: IO[bytes], data: bytes) -> None:
    # A program that does not read it all has what it wants, or ends with its own error.
    with contextlib.suppress(OSError, ValueError):
        pipe.write(data)
    with contextlib.suppress(OSError, ValueError):
        pipe.close()


class _Reader(threading.Thread):
    """Takes all that comes, and keeps the first `limit` bytes of it."""

    def __init__(self, pipe: IO[bytes], limit: int, too_much: threading.Event) -> None:
        super().__init__(daemon=True)
        self._pipe = pipe
        self._limit = limit
        self._too_much = too_much
        self._read = bytearray()

    def run(self) -> None:
        with contextlib.suppress(OSError, ValueError), self._pipe:
            while piece := os.read(self._pipe.fileno(), _PIECE):
                room = self._limit - len(self._read)
                self._read += piece[:room]
                if len(piece) > room:
                    self._too_much.set()

    def so_far(self) -> bytes:
        """What was read."""
        return bytes(self._read)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a program and what it has started. POSIX: its process group; Windows: by `taskkill /t`."""
    if process.returncode is not None:  # its number may be another's by now
        return
    if sys.platform == "win32":
        taskkill = os.path.join(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", "taskkill.exe")  # noqa: PTH118
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(  # noqa: S603 -- Windows' own program, by its whole path
                [taskkill, "/f", "/t", "/pid", str(process.pid)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_TASKKILL_SECONDS,
                check=False,
            )
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()
