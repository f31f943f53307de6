"""Another Wine beside this system's: Debian 13's, in a folder of its own, and what differs between the two.

``python tests/windows/wines.py`` runs the tests of the Windows half under both and names every test with another
outcome. It needs root, Debian's debootstrap, and an apt source that has Debian 13. Where that is not so it says so and
ends with 2: what could not be compared has not been found equal.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":  # run by its path: the other modules of tests/ are then not yet importable
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from windows import wine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RELEASE = "trixie"  # Debian 13
PROGRAMS = ("wine", "wineboot", "wineserver", "winecfg")
TESTS = ("tests/windows", "tests/contract")


class CannotCompareError(Exception):
    """There is no other Wine to be had here, or the tests did not end under one; the message says which and why."""


def other_wine() -> Path:
    """Return a folder with Debian 13 and its Wine, made on the first call: about two minutes and 1.5 GB.

    Raises:
        CannotCompareError: not root, no apt, no source of Debian 13, or a step failed.
    """
    if sys.platform == "win32" or os.geteuid() != 0:
        raise CannotCompareError("only root can unpack another Debian")
    if shutil.which("debootstrap") is None:
        try:
            wine.install_packages(["debootstrap"])
        except wine.WineError as error:
            raise CannotCompareError(str(error)) from None
    source = _debian_source()

    def build(folder: Path) -> None:
        _run("debootstrap", "--variant=minbase", "--include=ca-certificates", RELEASE, str(folder), source)
        install = "export DEBIAN_FRONTEND=noninteractive; apt-get update -q && apt-get install -q -y"
        packages = "--no-install-recommends wine wine64"
        _run("unshare", "--mount", "sh", "-euc", inside(folder, f"{install} {packages}"))

    return wine._once(f"debian-{RELEASE}", [*PROGRAMS], build)


def _debian_source() -> str:
    """The address that this system's apt has Debian from: no other is asked."""
    if shutil.which("apt-get") is None:
        raise CannotCompareError("there is no apt here")
    found = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)"], capture_output=True, text=True, check=False, timeout=60
    )
    sources = sorted({line.rstrip("/") for line in found.stdout.split() if line.rstrip("/").endswith("/debian")})
    if not sources:
        raise CannotCompareError("apt has no source of Debian here")
    return sources[0]


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800)
    if done.returncode != 0:
        raise CannotCompareError(f"{command[0]} ended with {done.returncode}: {(done.stdout + done.stderr)[-1500:]}")


def inside(root: Path, command: str, *, folders: Sequence[Path] = ()) -> str:
    """Return shell text that runs a command in `root`, with these folders of the outer system at their own places.

    To be run in a mount namespace of its own, so that nothing stays mounted.
    """
    lines = [f"mount -t proc proc {_quoted(root / 'proc')}", f"mount --rbind /dev {_quoted(root / 'dev')}"]
    for folder in folders:
        place = root / folder.relative_to("/")
        lines += [f"mkdir -p {_quoted(place)}", f"mount --bind {_quoted(folder)} {_quoted(place)}"]
    return "\n".join([*lines, f"exec chroot {_quoted(root)} sh -c {shlex.quote(command)}"])


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))


def write_programs(root: Path, folder: Path, *, shared: Sequence[Path]) -> None:
    """Write Wine's programs into `folder`: scripts that start those of `root`, in the same current folder."""
    for name in PROGRAMS:
        # The current folder goes in by the environment, so that nothing has to be quoted twice. The outer PATH begins
        # with this very script.
        command = f'cd "$HERE" && PATH=/usr/bin:/usr/sbin:/bin:/sbin exec {name} "$@"'
        text = inside(root, "CHANGED", folders=shared).rpartition("\n")[0]
        start = f'exec chroot {_quoted(root)} sh -c {shlex.quote(command)} {name} "$@"'
        script = folder / name
        body = f"{text}\n{start}"
        script.write_text(
            f'#!/bin/sh\nHERE="$PWD" exec unshare --mount sh -euc {shlex.quote(body)} {name} "$@"\n', encoding="utf-8"
        )
        script.chmod(0o755)


def outcomes(environment: Mapping[str, str], tests: Sequence[str], *, timeout: float) -> dict[str, str]:
    """Run tests under the Wine of this environment; each one's name to what became of it."""
    with tempfile.TemporaryDirectory(dir=wine.cache_folder()) as scratch:
        report = Path(scratch) / "report.xml"
        pytest = ["-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={wine.windows_path(report)}"]
        # In the others no Wine has a part.
        skipped = [*(f"--ignore={name}" for name in wine.WITHOUT_DLLS), "-k", wine.ONLY_DLLS]
        command = [sys.executable, str(wine.HERE / "wine.py"), "run", "--timeout", f"{timeout:.0f}", "--"]
        done = subprocess.run(
            [*command, *pytest, *skipped, *tests], env=dict(environment), capture_output=True, text=True, check=False
        )
        if not report.exists():
            raise CannotCompareError(f"the tests did not run: {(done.stdout + done.stderr)[-1500:]}")
        return read_report(report.read_text(encoding="utf-8"))


def read_report(text: str) -> dict[str, str]:
    """Each test of a JUnit report: passed, or failed, error or skipped with the first line of why."""
    found = {}
    for case in ET.fromstring(text).iter("testcase"):  # pytest's own report
        result = next((child for child in case if child.tag in ("failure", "error", "skipped")), None)
        name = f"{case.get('classname')}::{case.get('name')}"
        why = "" if result is None else (result.get("message") or "").partition("\n")[0][:160]
        found[name] = "passed" if result is None else f"{result.tag}: {why}"
    return found


def differences(one: Mapping[str, str], other: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Name and both outcomes, where they are not the same; the words of a reason do not count."""
    names = sorted({*one, *other})
    pairs = [(name, one.get(name, "not there"), other.get(name, "not there")) for name in names]
    return [(name, a, b) for name, a, b in pairs if a.partition(":")[0] != b.partition(":")[0]]


def compare(tests: Sequence[str], *, timeout: float) -> str:
    """Run both, and return what differs, in words."""
    root = other_wine()
    prefix = wine.prefix_folder()
    with tempfile.TemporaryDirectory(dir=wine.cache_folder()) as scratch:
        programs = Path(scratch) / "bin"
        programs.mkdir()
        # Wine's server is met by a socket in /tmp.
        shared = sorted({wine.ROOT, wine.cache_folder(), prefix.parent, Path("/tmp")})
        write_programs(root, programs, shared=_outermost(shared))
        here = {**os.environ}
        there = {
            **here,
            "PATH": f"{programs}:{here['PATH']}",
            wine.PREFIX_VARIABLE: str(prefix.with_name(f"{prefix.name}-{RELEASE}")),
        }
        names = [_version(environment) for environment in (here, there)]
        found = [outcomes(environment, tests, timeout=timeout) for environment in (here, there)]
    lines = [
        f"{name}: {sum(result == 'passed' for result in results.values())} of {len(results)} tests passed"
        for name, results in zip(names, found, strict=True)
    ]
    differing = differences(*found)
    lines.append(f"tests that differ: {len(differing)}")
    lines += [f"  {name}\n    {names[0]}: {a}\n    {names[1]}: {b}" for name, a, b in differing]
    return "\n".join(lines)


def _outermost(folders: Sequence[Path]) -> list[Path]:
    """Those that lie in no other of them."""
    return [one for one in folders if not any(other in one.parents for other in folders)]


def _version(environment: Mapping[str, str]) -> str:
    done = subprocess.run(
        ["wine", "--version"], env=dict(environment), capture_output=True, text=True, check=False, timeout=60
    )
    if done.returncode != 0:
        raise CannotCompareError(f"wine --version ended with {done.returncode}: {done.stderr[-500:]}")
    return done.stdout.strip()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line: 0 when both were run, whatever differs; 2 when there is no other Wine."""
    parser = argparse.ArgumentParser(prog="wines.py", description=__doc__.splitlines()[0])
    parser.add_argument("--timeout", type=float, default=1800, help="seconds for each of the two")
    parser.add_argument("tests", nargs="*", default=TESTS, help="files or folders of tests")
    options = parser.parse_args(arguments)
    try:
        said = compare(options.tests, timeout=options.timeout)
    except (CannotCompareError, wine.WineError) as error:
        line = "!" * 100
        sys.stderr.write(f"{line}\nDebian 13's Wine was NOT compared: {error}\n{line}\n")
        return 2
    sys.stdout.write(f"{said}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
