"""The mingw-w64 cross compilers: a second opinion on structure layouts, and the builder of our DLLs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Target = Literal["x86_64", "i686"]

TARGETS: tuple[Target, ...] = get_args(Target)
STRICT = ("-std=c11", "-Wall", "-Wextra", "-Werror")


class CompileError(Exception):
    """The compiler refused a source; the message holds what it said."""


def compiler(target: Target) -> str:
    """Return the name of the cross compiler's program for ``target``."""
    return f"{target}-w64-mingw32-gcc"


def missing_compilers() -> list[str]:
    """Return the names of the cross compilers that are not on the PATH."""
    return [compiler(target) for target in TARGETS if shutil.which(compiler(target)) is None]


def require() -> None:
    """Fail the running test when a cross compiler is missing: unproven must not look like proven.

    Skipped on Windows itself, where the same tests have their turn on the machine that runs Wine, and where
    ``MLSSSL_WITHOUT_MINGW=1`` says that somebody knows.
    """
    import pytest

    if sys.platform == "win32":
        pytest.skip("layouts are proven with the cross compilers, on the machine that has them")
    absent = ", ".join(missing_compilers())
    if absent and os.environ.get("MLSSSL_WITHOUT_MINGW") == "1":
        pytest.skip(f"cross compilers not installed: {absent}")
    if absent:
        pytest.fail(
            f"cross compilers not installed: {absent}. On Debian and Ubuntu: apt-get install gcc-mingw-w64-x86-64 "
            "gcc-mingw-w64-i686. Set MLSSSL_WITHOUT_MINGW=1 to leave these proofs out.",
            pytrace=False,
        )


def static_assert(code: str, target: Target) -> str | None:
    """Compile C that is made of ``#include`` lines and ``_Static_assert`` s, without keeping any output.

    Returns:
        None when everything holds, else the compiler's own words.

    Raises:
        FileNotFoundError: the cross compiler is not installed. That is never the same as "it holds".
    """
    command = [compiler(target), *STRICT, "-fsyntax-only", "-x", "c", "-"]
    done = subprocess.run(command, input=code, capture_output=True, text=True, check=False, timeout=120)
    return None if done.returncode == 0 else done.stderr or f"{command[0]} ended with {done.returncode}"


def build_dll(sources: Sequence[Path], output: Path, *options: str, target: Target = "x86_64") -> None:
    """Build one DLL from C files.

    ``options`` follow the sources on the command line, so that both ``-D`` and ``-l`` work. The result needs no DLL of
    the compiler's own, as it runs where none is installed.

    Raises:
        CompileError: the compiler refused the sources.
        FileNotFoundError: the cross compiler is not installed.
    """
    _build(sources, output, "-shared", *options, target=target)


def build_program(sources: Sequence[Path], output: Path, *options: str, target: Target = "x86_64") -> None:
    """Build one console program; as `build_dll`."""
    _build(sources, output, *options, target=target)


def _build(sources: Sequence[Path], output: Path, *options: str, target: Target) -> None:
    command = [compiler(target), *STRICT, "-O2", "-static-libgcc", "-s", "-o", str(output)]
    command += [*map(str, sources), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        raise CompileError(f"{output.name} does not compile for {target}:\n{done.stderr}")
