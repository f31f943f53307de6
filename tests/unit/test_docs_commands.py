"""Runs the command lines that the documentation shows, and compares what they print with what is shown.

Every ```` ```console ```` block of every page runs, one page as one session in a folder of its own, unless the line
before it says `<!-- not run: why -->`. A line that starts with `$ ` is a command, `> ` continues it, all others are its
output. In the output `...` stands for anything; thumbprints, GUIDs, dates, ports and the like may differ. A page that
begins with `<!-- server: pebble -->` has that ACME server: `$ACME` is its directory, `$ACME_ROOT` a file with the root
of its HTTPS certificate, `$HTTP_PORT` where it looks instead of at port 80.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import acme_servers
import certreq
from example_output import same

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))
_FENCE = re.compile(
    r"^ *(?P<ticks>`{3,})(?P<language>\S*)[^\n]*\n(?P<body>.*?)^ *(?P=ticks)$", re.MULTILINE | re.DOTALL
)
_NOT_RUN = re.compile(r"<!-- not run: (?P<reason>\S.*?) -->\n\Z")
_SEPARATOR = "\x1e"


@dataclass
class Command:
    """A command with the output that the page shows."""

    text: str
    line: int
    shown: list[str] = field(default_factory=list)


@dataclass
class Fence:
    """A fenced block of a page."""

    language: str
    body: str
    line: int
    not_run: str | None


def fences(page: Path) -> list[Fence]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        before = _NOT_RUN.search(text, 0, match.start())
        line = text.count("\n", 0, match.start()) + 2
        reason = before["reason"] if before else None
        found.append(Fence(match["language"], textwrap.dedent(match["body"]), line, reason))
    return found


def commands(page: Path) -> list[Command]:
    """The commands of a page that are to run."""
    found: list[Command] = []
    for fence in fences(page):
        if fence.language != "console" or fence.not_run:
            continue
        for number, line in enumerate(fence.body.splitlines(), fence.line):
            if line.startswith("$ "):
                found.append(Command(line[2:], number))
            elif line.startswith("> ") and not found[-1].shown:
                found[-1].text += "\n" + line[2:]
            else:
                found[-1].shown.append(line)
    return found


@contextlib.contextmanager
def server(page: Path, folder: Path) -> Iterator[dict[str, str]]:
    """The variables for the server that a page needs, while it runs."""
    if not page.read_text(encoding="utf-8").startswith("<!-- server: pebble -->"):
        yield {}
        return
    with acme_servers.pebble(folder / "pebble") as pebble:
        yield {"ACME": pebble.directory, "ACME_ROOT": str(pebble.trust), "HTTP_PORT": str(pebble.http_port)}


def run(session: list[Command], folder: Path, variables: dict[str, str] | None = None) -> list[tuple[int, str]]:
    """The exit code and output of each command, run one after the other in one shell."""
    programs, work, home = folder / "bin", folder / "work", folder / "home"
    for one in (programs, work, home):
        one.mkdir()
    for name, arguments in (("mlsssl", " -m mlsssl"), ("python", "")):
        shim = programs / name
        shim.write_text(f'#!/bin/sh\nexec "{sys.executable}"{arguments} "$@"\n', encoding="utf-8")
        shim.chmod(0o755)
    if any("--adcs" in command.text for command in session):  # a manager approves while the reader reads on
        certreq.prepare(folder / "authority", answer="pend", asks=0)
        shim = programs / "certreq"
        shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{certreq.__file__}" "$@"\n', encoding="utf-8")
        shim.chmod(0o755)
    # The separator keeps the exit code for `echo $?`, and gives it to us.
    script = f"separator() {{ local code=$?; printf '{_SEPARATOR}%s\\n' $code; return $code; }}\n"
    script += "".join(f"{command.text}\nseparator\n" for command in session)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=work,
        env={
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "src"),
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "STAND_IN_CA": str(folder / "authority"),
            "MLSSSL_MACHINE": str(folder / "machine" / "machine.sqlite"),
            **(variables or {}),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    first, *rest = done.stdout.split(_SEPARATOR)
    outputs, codes = [first], []
    for part in rest:
        code, _, output = part.partition("\n")
        codes.append(int(code))
        outputs.append(output)
    return list(zip(codes, outputs, strict=False))


@pytest.mark.skipif(sys.platform == "win32" or not shutil.which("bash"), reason="the command lines are bash's")
@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.name)
def test_the_command_lines_of_a_page_print_what_it_shows(page: Path, tmp_path: Path) -> None:
    """A page's commands, run in order in one shell, succeed and print what stands below each of them."""
    session = commands(page)
    with server(page, tmp_path) as variables:
        results = run(session, tmp_path, variables)
    for number, (command, (code, printed)) in enumerate(zip(session, results, strict=True)):
        where = f"{page.name}:{command.line}: $ {command.text}"
        assert same("\n".join(command.shown), printed), f"{where}\nprinted:\n{printed}"
        answered = number + 1 < len(session) and session[number + 1].text == "echo $?"
        assert code == 0 or answered, f"{where} ended with {code}, and the page does not show it"


def test_output_that_differs_is_noticed() -> None:
    """What may vary may vary, and nothing else."""
    assert same("valid to 2027-06-10", "valid to 2031-01-01")
    assert same("<Certificate ...; no private key>", "<Certificate a; b; no private key>")
    assert not same("accepted", "refused")
    assert not same("", "something")


@pytest.mark.skipif(sys.platform == "win32" or not shutil.which("bash"), reason="the command lines are bash's")
def test_a_session_gives_each_command_its_output_and_exit_code(tmp_path: Path) -> None:
    """Failing commands do not end the session, and a shell variable lives on."""
    session = [Command("word=yes", 1), Command("mlsssl show nowhere.pem", 2), Command("echo $?; echo $word", 3)]
    (_, nothing), (code, error), (_, answer) = run(session, tmp_path)
    assert nothing == ""
    assert code == 3
    assert "nowhere.pem" in error
    assert answer == "3\nyes\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_prompt_is_in_a_block_that_runs(page: Path) -> None:
    """`>>>` stands in `pycon` blocks, which the doctest builder runs, and `$ ` in `console` blocks, which run here."""
    for fence in fences(page):
        where = f"{page.name}:{fence.line}"
        if re.search(r"^>>> ", fence.body, re.MULTILINE):
            assert fence.language in ("pycon", "{doctest}") or fence.not_run, where
        if re.search(r"^\$ ", fence.body, re.MULTILINE):
            assert fence.language == "console", where
