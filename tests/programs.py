"""Running programs that we did not write, for their opinion."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


def require(program: str) -> str:
    """The program's path. Where it is missing the test is skipped with that reason, and in CI it fails."""
    path = shutil.which(program)
    if path is None:
        if os.environ.get("CI") and sys.platform != "win32":  # on Windows nobody installs them; Linux asks them all
            pytest.fail(f"{program} is not installed, and CI skips nothing (noxfile.py lists the packages)")
        pytest.skip(f"{program} is not installed here")
    return path


def require_package(name: str) -> None:
    """As `require`, for a package of an extra."""
    if importlib.util.find_spec(name) is None:
        if os.environ.get("CI"):
            pytest.fail(f"the package {name} is not installed, and CI skips nothing (pyproject.toml lists it)")
        pytest.skip(f"the package {name} is not installed here")


def run(
    program: str, *arguments: str | Path, stdin: bytes = b"", environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a program to its end, at most a minute, and return what it said."""
    return subprocess.run(
        [require(program), *map(str, arguments)],
        input=stdin,
        capture_output=True,
        timeout=60,
        check=False,
        env={**os.environ, "LC_ALL": "C", **(environment or {})},
    )


def output(result: subprocess.CompletedProcess[bytes]) -> str:
    """Everything it said, for looking into and for the assertion's message."""
    return (result.stdout + result.stderr).decode("utf-8", "replace")
