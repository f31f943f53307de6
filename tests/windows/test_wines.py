"""Comparing two Wines: what counts as a difference, and that a comparison which could not be made is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from windows import wine, wines

if sys.platform == "win32":
    pytest.skip("Windows needs no Wine", allow_module_level=True)

REPORT = """<testsuites><testsuite>
<testcase classname="a" name="good"/>
<testcase classname="a" name="bad"><failure message="it is 2&#10;and more">text</failure></testcase>
<testcase classname="a" name="left"><skipped message="why" type="pytest.skip"/></testcase>
</testsuite></testsuites>"""


def test_a_report_is_read() -> None:
    """Each test with what became of it, in one line."""
    expected = {"a::good": "passed", "a::bad": "failure: it is 2", "a::left": "skipped: why"}
    assert wines.read_report(REPORT) == expected


def test_outcomes_differ_not_words() -> None:
    """A test that is missing on one side differs too."""
    one = {"a": "passed", "b": "skipped: for this", "c": "passed", "d": "passed"}
    other = {"a": "passed", "b": "skipped: for that", "c": "failure: 2"}
    assert wines.differences(one, other) == [("c", "passed", "failure: 2"), ("d", "passed", "not there")]
    assert wines.differences(one, one) == []


def test_folders_in_others_are_not_mounted_twice() -> None:
    """The cache may lie in the repository, and both in /tmp."""
    folders = [Path("/tmp"), Path("/tmp/a"), Path("/srv/b")]
    assert wines._outermost(folders) == [Path("/tmp"), Path("/srv/b")]


@pytest.mark.parametrize("lacking", ["root", "apt", "debian"])
def test_what_cannot_be_had_is_said_and_no_success(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lacking: str
) -> None:
    """Exit code 2, with the reason."""
    if sys.platform != "win32":
        monkeypatch.setattr(os, "geteuid", lambda: 1000 if lacking == "root" else 0)
    bootstrap = tmp_path / "debootstrap"
    bootstrap.write_text("#!/bin/sh\nexit 1\n")
    bootstrap.chmod(0o755)
    if lacking == "debian":
        apt = tmp_path / "apt-get"
        apt.write_text("#!/bin/sh\necho http://mirror.example/somewhere-else/\n")
        apt.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert wines.main([]) == 2
    reason = {"root": "only root", "apt": "no apt", "debian": "no source of Debian"}[lacking]
    said = capsys.readouterr()
    assert reason in said.err
    assert "NOT compared" in said.err
    assert said.out == ""


def test_a_failing_step_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that was half made is not taken for a Debian by the next run."""
    if sys.platform != "win32":
        monkeypatch.setattr(os, "geteuid", lambda: 0)
    for name, text in (("debootstrap", "echo no; exit 3"), ("apt-get", "echo http://mirror.example/debian/")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv(wine.CACHE_VARIABLE, str(tmp_path / "cache"))
    with pytest.raises(wines.CannotCompareError, match="debootstrap ended with 3: no"):
        wines.other_wine()
    assert [path.name for path in (tmp_path / "cache").iterdir() if path.is_dir()] == []


def can_mount() -> bool:
    """Whether this user may have mounts of his own."""
    command = ["unshare", "--mount", "true"]
    return bool(shutil.which("unshare")) and subprocess.run(command, check=False, timeout=60).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="no mounts here")
def test_programs_start_in_the_other_root(tmp_path: Path) -> None:
    """Arguments, the current folder, the environment and the exit code go through; nothing stays mounted."""
    root, programs, shared = tmp_path / "root", tmp_path / "bin", tmp_path / "shared folder"
    for folder in (root / "proc", root / "dev", programs, shared):
        folder.mkdir(parents=True)
    for name in ("bin", "lib", "lib64"):  # this system's programs, at another root
        (root / name).symlink_to(f"usr/{name}")
    (root / "sbin").mkdir()
    wine_there = root / "sbin" / "wine"
    wine_there.write_text('#!/bin/sh\nprintf "%s|" "$PWD" "$NAME" "$@"\nexit 5\n')
    wine_there.chmod(0o755)
    wines.write_programs(root, programs, shared=[Path("/usr"), shared])
    done = subprocess.run(
        [programs / "wine", "a b", "$c'\""],
        cwd=shared,
        env={**os.environ, "NAME": "it's", "PATH": f"{programs}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 5, done.stderr
    assert done.stdout == f"{shared}|it's|a b|$c'\"|"
    assert str(root) not in Path("/proc/mounts").read_text(encoding="utf-8")
