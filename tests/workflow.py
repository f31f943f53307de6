"""The public workflow, `.github/workflows/ci.yml`, as its jobs and commands."""

from __future__ import annotations

import importlib
import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WORKFLOW = Path(__file__).resolve().parent.parent / ".github" / "workflows" / "ci.yml"


@dataclass(frozen=True)
class Step:
    """A step of a job, once for each combination of its matrix.

    Attributes:
        uses: The action with its version, or "".
        command: What `run` says, the matrix filled in, or "".
        env: Its environment.
        limit: Its `timeout-minutes`; None for none of its own.
        job: The name of its job.
    """

    uses: str
    command: str
    env: dict[str, str]
    limit: int | None
    job: str


@dataclass(frozen=True)
class Job:
    """A job: `steps` are those of every combination of its matrix, each different one once."""

    name: str
    systems: tuple[str, ...]
    limit: int | None
    matrix: dict[str, list[str]] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()


def jobs() -> dict[str, Job]:
    """Every job of the workflow by its name."""
    yaml: Any = importlib.import_module("yaml")
    read = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    return {name: _job(name, given) for name, given in read["jobs"].items()}


def _job(name: str, given: dict[str, Any]) -> Job:
    matrix = given.get("strategy", {}).get("matrix", {})
    steps: dict[tuple[str, str], Step] = {}
    systems = set[str]()
    for values in itertools.product(*matrix.values()):
        filled = dict(zip(matrix, values, strict=True))
        systems.add(_fill(given["runs-on"], filled))
        for step in given["steps"]:
            uses, command = step.get("uses", ""), _fill(step.get("run", ""), filled)
            env = {key: str(value) for key, value in step.get("env", {}).items()}
            steps.setdefault((uses, command), Step(uses, command, env, step.get("timeout-minutes"), name))
    return Job(name, tuple(sorted(systems)), given.get("timeout-minutes"), matrix, tuple(steps.values()))


def _fill(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace("${{ matrix." + name + " }}", value)
    return text
