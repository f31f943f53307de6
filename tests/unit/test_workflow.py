"""The public workflow: what it says holds, and each of its commands runs, or is one that runs elsewhere in CI.

Its job on a real Windows is run word for word under Wine by `wine.py workflow`, a part of `nox -s windows`.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from windows import real_windows, wine
from workflow import WORKFLOW, Job, Step, jobs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

if sys.platform == "win32":
    pytest.skip("read once, where the workflow's other commands can run", allow_module_level=True)

ROOT = WORKFLOW.parent.parent.parent
JOBS = jobs()
STEPS = [step for job in JOBS.values() for step in job.steps]
COMMANDS = {step.command: step for step in STEPS if step.command}
ACTIONS = {"actions/checkout": "v7", "actions/setup-python": "v7"}
"""Their current major versions in November 2026; the older ones run on a Node that runners no longer have."""


def noxfile() -> tuple[set[str], list[str]]:
    """The names of the sessions, and the Pythons."""
    names, pythons = set[str](), list[str]()
    for node in ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef) and node.decorator_list:
            given = {}
            for decorator in node.decorator_list:
                if isinstance(decorator, ast.Call):
                    given = {word.arg: word.value for word in decorator.keywords}
            name = given.get("name")
            names.add(str(name.value) if isinstance(name, ast.Constant) else node.name)
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PYTHONS":
            pythons = ast.literal_eval(node.value)
    return names, pythons


def pyproject() -> tuple[set[str], set[str]]:
    """The names of the dependency groups, and of the extras; a reader of their lines is enough."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    tables = dict(re.findall(r"^\[([\w.-]+)\]\n(.*?)(?=^\[|\Z)", text, re.MULTILINE | re.DOTALL))
    found = [set(re.findall(r"^([\w-]+) *=", tables[name], re.MULTILINE)) for name in TABLES]
    return found[0], found[1]


TABLES = ("dependency-groups", "project.optional-dependencies")


def test_every_job_and_every_long_step_has_a_limit() -> None:
    """What hangs costs minutes, not the six hours that are the default."""
    assert set(JOBS) == {"linux", "pythons", "real-windows"}
    for job in JOBS.values():
        assert job.limit is not None
        assert job.limit <= 90
    limited = [step for step in JOBS["real-windows"].steps if step.limit]
    assert sum(step.limit or 0 for step in limited) <= (JOBS["real-windows"].limit or 0)
    assert {word for step in limited for word in ("pytest", "prepare", "leftovers") if word in step.command} == {
        "pytest",
        "prepare",
        "leftovers",
    }


def test_actions_are_current() -> None:
    """By name and major version, and no others."""
    used = {step.uses for step in STEPS if step.uses}
    assert used == {f"{name}@{version}" for name, version in ACTIONS.items()}


def test_both_servers_and_every_python_have_their_turn() -> None:
    """The matrix is what noxfile.py and pyproject.toml say."""
    _, pythons = noxfile()
    assert JOBS["real-windows"].systems == ("windows-2022", "windows-2025")
    assert JOBS["pythons"].matrix["python"] == pythons
    assert {"windows-2022", "windows-2025"} < set(JOBS["pythons"].systems)
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.findall(r'"Programming Language :: Python :: (3\.\d+)"', text) == pythons
    assert f'requires-python = ">={pythons[0]}"' in text


def position(job: Job, word: str) -> int:
    """Where a job has its one command with this word."""
    (at,) = [at for at, step in enumerate(job.steps) if word in step.command]
    return at


def test_the_real_windows_is_prepared_and_used_by_one_process() -> None:
    """The provider of the central store comes first; no workers share one HTTP.sys; what is left is looked at."""
    job = JOBS["real-windows"]
    assert position(job, "pip>=") < position(job, "--group") < position(job, "prepare") < position(job, "pytest")
    assert position(job, "pytest") < position(job, "leftovers")
    step = job.steps[position(job, "pytest")]
    assert step.env == {"MLSSSL_REAL_WINDOWS": "1"}
    assert not {"-n", "--numprocesses", "--dist"} & set(shlex.split(step.command))


def nox(words: list[str]) -> None:
    """A session that noxfile.py has, for a Python that it has."""
    names, pythons = noxfile()
    assert words[:2] == ["nox", "-s"]
    (name,) = words[2:]
    base, _, python = name.rpartition("-")
    assert name in names or (base in names and python in pythons)


def pip(words: list[str]) -> None:
    """Groups and extras that pyproject.toml has; nothing else is installed but pip and nox."""
    groups, extras = pyproject()
    options = iter(words[1:])
    assert words[:2] == ["pip", "install"]
    next(options)
    for word in options:
        if word == "--group":
            assert next(options) in groups
        elif word == "-e":
            assert set(re.split(r"[,\[\]]", next(options))) - {".", ""} <= extras
        else:
            assert re.fullmatch(r"--upgrade|(pip|nox)>=[\d.]+", word), word


def pytest_command(words: list[str]) -> None:
    """It collects here as it stands; with its environment on the right system it runs, without workers."""
    done = python([*words, "--collect-only", "-q"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "test_what_is_deployed_is_what_netsh_shows" in done.stdout


def script(words: list[str]) -> None:
    """The script and its subcommand exist; off Windows a step says that it cannot be done, and fails."""
    assert python([words[0], words[1], "--help"]).returncode == 0
    done = python(words)
    assert done.returncode == 1
    assert done.stderr.strip()


def python(words: list[str]) -> subprocess.CompletedProcess[str]:
    """Run this Python in the project's folder; `pytest` is a module, all else a script."""
    module = ["-m"] if words[0] == "pytest" else []
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "SYSTEMROOT": "/nowhere"}
    command = [sys.executable, *module, *words]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300)


KINDS: dict[str, Callable[[list[str]], None]] = {
    "python -m nox": nox,
    "python -m pip": pip,
    "python -m pytest": pytest_command,
    "python tests/windows/real_windows.py": script,
}


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.startswith("python ")])
def test_a_command_does_what_it_says(command: str) -> None:
    """Each is of a kind that can be looked at here; one that is not fails."""
    (kind,) = [kind for kind in KINDS if command.startswith(kind)]
    words = shlex.split(command)
    KINDS[kind](words[2:] if words[1] == "-m" else words[1:])


def test_the_others_are_the_linux_job_alone() -> None:
    """A container's few packages, then what CI runs here."""
    others = {command for command in COMMANDS if not command.startswith("python ")}
    assert {COMMANDS[command].job for command in others} == {"linux"}
    assert JOBS["linux"].steps[-1].command == "bash .ci/run"
    assert subprocess.run(["bash", "-n", ".ci/run"], cwd=ROOT, check=False, timeout=60).returncode == 0
    assert all(command.startswith("apt-get ") for command in others - {"bash .ci/run"})


def test_wine_runs_the_commands_of_the_real_windows() -> None:
    """All of them but pip's, in their order, and nothing else."""
    expected = [step.command for step in JOBS["real-windows"].steps if step.command and " pip " not in step.command]
    assert [step.command for step in wine.workflow_steps()] == expected
    assert len(expected) == 3
    *_, part = wine.parts()
    assert part.workflow
    assert "workflow" in wine._command(part, 60, ())


def test_what_wine_leaves_out_is_over_fakes_and_in_another_part() -> None:
    """It exists, and never calls a DLL of the computer."""
    for name in wine.WITHOUT_DLLS:
        text = (ROOT / name).read_text(encoding="utf-8")
        assert not re.search(r"SystemDlls|Machine\.local|windows-real", text)
    for name in wine.LEFT_OUT:
        assert any(name in part.arguments for part in wine.parts())


@pytest.mark.parametrize(("real", "code"), [("1", 4), ("", 0)])
def test_workers_are_refused_over_one_real_machine(tmp_path: Path, real: str, code: int) -> None:
    """Four of them made 9 of 535 tests fail; where nothing is shared they may be."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        "2",
        "-p",
        "no:cacheprovider",
        "tests/unit/test_structure.py",
    ]
    environment = {**os.environ, "PYTHONPATH": "src", "MLSSSL_REAL_WINDOWS": real}
    for name in [name for name in environment if name.startswith("PYTEST_")]:
        del environment[name]
    done = subprocess.run(
        [*command, "-k", "nothing_has_this_name"] if real else [*command, "--collect-only"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == code, done.stdout + done.stderr
    assert ("leave -n away" in done.stderr) == bool(real)


def test_a_step_is_once_for_each_combination() -> None:
    """The reader of the workflow itself."""
    commands = [step.command for step in JOBS["pythons"].steps if "nox -s" in step.command]
    assert commands == [f"python -m nox -s tests-all-{version}" for version in noxfile()[1]]
    assert shutil.which("bash")
    assert all(isinstance(step, Step) for step in STEPS)


def test_readme_and_front_page_say_what_has_been_seen() -> None:
    """One sentence, the same in both; when a real Windows was seen, both and `docs/provenance.md` change."""
    sentence = re.compile(r"No part of mlsssl has run on a real Windows yet: [^.]*HTTP\.sys[^.]*\.")
    said = []
    for name in ("README.md", "docs/index.md"):
        text = " ".join((ROOT / name).read_text(encoding="utf-8").split())
        said += sentence.findall(text)
    assert len(said) == 2
    assert said[0] == said[1]
    assert "**Real Windows: nothing yet.**" in (ROOT / "docs" / "provenance.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("line", "left"),
    [
        ("    IP:port                      : 0.0.0.0:44301", True),
        ("    Hostname:port                : a.example:443", False),
    ],
)
def test_what_is_left_is_found(monkeypatch: pytest.MonkeyPatch, line: str, left: bool) -> None:
    """By netsh's text: the tests' ports, and no others."""
    monkeypatch.setattr(real_windows, "run", lambda *_, **__: f"\r\nSSL Certificate bindings:\r\n{line}\r\n\r\n")
    assert real_windows.main(["leftovers"]) == int(left)


def test_a_service_that_does_not_stop_is_another_ones_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first that is stopped will do; when none is, the step fails and says of each why."""
    stopped: set[str] = set()

    def run(_program: str, verb: str, name: str, **_: object) -> str:
        if verb == "stop" and name not in stopped:
            raise real_windows.StepError(f"{name}: 1052")
        return "        STATE              : 1  STOPPED"

    monkeypatch.setattr(real_windows, "run", run)
    with pytest.raises(real_windows.StepError, match="BITS: 1052\nStiSvc: 1052"):
        real_windows.stop_a_service()
    stopped.add("StiSvc")
    assert "StiSvc" in real_windows.stop_a_service()
