"""`issue --names FILE`: a certificate for each line, each in a file of its own, and never one over another."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mlsssl import Certificate, CertificateAuthority
from mlsssl._commands import issue_many
from mlsssl._commands.issue_many import read_names
from mlsssl.cli import main
from mlsssl.errors import InvalidInputError

NAMES = """\
# our servers
www.example.com shop.example.com   # the shop too
*.example.com,example.com

10.0.0.5, 2001:db8::1
2001:db8::2
bücher.example
"""
FILES = [
    "10.0.0.5.pem",
    "2001-db8--2.pem",
    "_.example.com.pem",
    "www.example.com.pem",
    "xn--bcher-kva.example.pem",
]


@pytest.fixture(name="place", autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PW", "hunter-22")
    CertificateAuthority.create("Many", key="ec-p256", permitted=["example.com", "bücher.example", "10.0.0.0/8"]).save(
        tmp_path / "narrow.pem"
    )
    CertificateAuthority.create("Many", key="ec-p256").save(tmp_path / "ca.pem")
    (tmp_path / "names.txt").write_text(NAMES, encoding="utf-8")
    return tmp_path


def listed() -> list[str]:
    """What is in the folder `out`."""
    return sorted(path.name for path in Path("out").iterdir())


def issue(*words: str, ca: str = "ca.pem", form: str = "pem") -> int:
    """`issue --names names.txt` into the folder `out`."""
    return main(["issue", "--names", "names.txt", "--ca", ca, "--out", "out", "--format", form, *words])


def test_a_certificate_for_each_line(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With all its names, in files named after the first, which only their owner may read."""
    assert issue("--days", "30") == 0
    said = capsys.readouterr()
    assert "Issued 5, left 0, in out." in said.out
    assert said.err == ""
    assert listed() == FILES
    made = Certificate.load(place / "out" / "_.example.com.pem")
    assert made.names == ("*.example.com", "example.com")
    assert made.has_private_key
    assert (made.not_after - made.not_before).days == 29  # and all of the thirtieth but a second
    assert str(made.thumbprint) in said.out
    if sys.platform != "win32":
        modes = {stat.S_IMODE((place / "out" / name).stat().st_mode) for name in FILES}
        assert modes == {0o600}
        assert stat.S_IMODE((place / "out").stat().st_mode) == 0o700


def test_pfx_is_what_is_written_if_nothing_else_is_said(place: Path) -> None:
    """All with the one password."""
    words = ["issue", "--names", "names.txt", "--ca", "ca.pem", "--out", "out", "--password", "env:PW"]
    assert main(words) == 0
    assert Certificate.load(place / "out" / "www.example.com.pfx", password="hunter-22").has_private_key
    assert main(["issue", "--names", "names.txt", "--ca", "ca.pem", "--out", "other"]) == 2  # nobody to ask for one
    assert not list(place.glob("other/*"))


def test_what_is_there_is_left_unless_asked(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Said, and not a byte changed; --overwrite replaces it."""
    assert issue() == 0
    before = {name: (place / "out" / name).read_bytes() for name in FILES}
    (place / "out" / FILES[0]).unlink()
    capsys.readouterr()
    assert issue("--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert [one["file"] for one in said["issued"]] == [FILES[0]]
    assert [one["line"] for one in said["left"]] == [2, 3, 6, 7]
    for name in FILES[1:]:
        assert (place / "out" / name).read_bytes() == before[name]
    assert issue() == 0
    out = capsys.readouterr().out
    assert out.count("is there already, and is left") == 5
    assert issue("--overwrite") == 0
    assert all((place / "out" / name).read_bytes() != before[name] for name in FILES)


def test_a_plan_writes_nothing(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what would be written and what would be left, and asks for no password."""
    (place / "out").mkdir()
    (place / "out" / FILES[0]).write_text("somebody's")
    assert issue("--plan", ca="not-even-there.pem") == 0
    said = capsys.readouterr().out
    assert "www.example.com.pem: www.example.com, shop.example.com" in said
    assert "Would issue 4, left 1, in out." in said
    assert listed() == [FILES[0]]
    assert issue("--plan", "--json") == 0
    assert json.loads(capsys.readouterr().out)["plan"] is True


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "www.example.com other.example.com",
            "begins with 'www.example.com' as line 2 does, and both would be written",
        ),
        ("WWW.example.com.", "as line 2 does"),
        ("exa mple..com", "line 8: 'mple..com'"),
        ("a;b", "names are separated by blanks or commas"),
        ("https://www.example.com/", "line 8"),
        ("a.example\u202e", "line 8"),
        ("ok.example " + "x" * 70000, "line 8"),
    ],
)
def test_a_line_that_cannot_be_used(place: Path, capsys: pytest.CaptureFixture[str], line: str, message: str) -> None:
    """File, line and what to do; nothing is issued, and the other bad lines are named too."""
    with (place / "names.txt").open("a", encoding="utf-8") as file:
        file.write(f"{line}\nfine.example\n..\n")
    assert issue() == 2
    said = capsys.readouterr().err
    assert message in said
    assert "names.txt, line 8: " in said
    assert "lines that cannot be used either: 10. Nothing was issued" in said
    assert said.rstrip("\n").isprintable()
    assert len(said) < 1000
    assert not (place / "out").exists()


def test_a_name_that_the_authority_may_not_issue_for(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Known at the line only: those before it are there, and the same command goes on."""
    assert issue(ca="narrow.pem") == 2
    said = capsys.readouterr().err
    assert "names.txt, line 5: Many may not issue this" in said
    assert "2 were issued before it" in said
    assert listed() == ["_.example.com.pem", "www.example.com.pem"]
    (place / "names.txt").write_text(NAMES.replace("10.0.0.5, 2001:db8::1\n2001:db8::2\n", ""), encoding="utf-8")
    assert issue(ca="narrow.pem") == 0
    assert "Issued 1, left 2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "has no names"),
        (b"# none\n\n", "has no names"),
        (b"\x00\x01\x02", "is no UTF-8"),
        (b"a.\xff", "is no UTF-8"),
    ],
)
def test_a_file_that_is_none(place: Path, capsys: pytest.CaptureFixture[str], data: bytes, message: str) -> None:
    """Said with its name."""
    (place / "names.txt").write_bytes(data)
    assert issue() == 2
    assert message in capsys.readouterr().err


def test_a_file_too_large_and_one_just_large(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bounded; what is allowed is read in a time that grows with it."""
    (place / "names.txt").write_bytes(b"#" * (issue_many.MOST_BYTES + 1))
    assert issue() == 2
    assert "larger than" in capsys.readouterr().err
    (place / "names.txt").write_bytes(b"," * issue_many.MOST_BYTES)
    began = time.process_time()
    assert issue() == 2
    assert time.process_time() - began < 20
    (place / "names.txt").write_text("".join(f"h{n}.example\n" for n in range(20_000)))
    assert len(read_names(place / "names.txt", ".pfx")) == 20_000


def test_utf_16_and_crlf(place: Path) -> None:
    """As Notepad and PowerShell write them."""
    (place / "names.txt").write_bytes(NAMES.replace("\n", "\r\n").encode("utf-16"))
    assert [one.line for one in read_names(place / "names.txt", ".pfx")] == [2, 3, 5, 6, 7]
    assert [one.file.replace("pfx", "pem") for one in read_names(place / "names.txt", ".pfx")] == [
        FILES[3], FILES[2], FILES[0], FILES[1], FILES[4],
    ]  # fmt: skip


def test_names_of_files_are_safe(place: Path) -> None:
    """No device of Windows, none too long for a file system, and different ones stay different."""
    long = ".".join(["a" * 60] * 4)
    (place / "names.txt").write_text(f"aux.example\nnul\ncom1.test\nauxiliary.test\n{long}\nb.{long[:-2]}\n")
    files = [one.file for one in read_names(place / "names.txt", ".pfx")]
    assert files[:4] == ["_aux.example.pfx", "_nul.pfx", "_com1.test.pfx", "auxiliary.test.pfx"]
    assert all(len(one) <= 204 for one in files)
    assert len(set(files)) == 6
    assert issue("--json") == 0


@pytest.mark.parametrize(
    "words",
    [
        ["www.example.com", "--names", "names.txt"],
        [],
        ["www.example.com", "--plan"],
        ["www.example.com", "--format", "pem"],
        ["--names", "names.txt", "--common-name", "a.test"],
    ],
)
def test_what_does_not_go_together(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage, in words, and nothing made."""
    assert main(["issue", *words, "--ca", "ca.pem", "--out", "out.pem"]) == 2
    assert "--names" in capsys.readouterr().err
    assert not Path("out.pem").exists()


def test_the_folder_is_a_file(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Said before a password is asked for."""
    (place / "out").write_text("")
    assert issue() == 2
    assert "--out is the folder" in capsys.readouterr().err


def test_shortened_lifetimes_are_said_once(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The threads that issue note them for the command, which says one for all."""
    CertificateAuthority.create("Short", key="ec-p256", days=20).save(place / "ca.pem", overwrite=True)
    assert issue() == 0
    assert capsys.readouterr().err.count("itself ends") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_kill_leaves_whole_files_and_the_same_command_goes_on(place: Path) -> None:
    """Whatever has a name of ours can be read; the rest is issued by the next run."""
    (place / "names.txt").write_text("".join(f"h{n}.example\n" for n in range(300)))
    words = ["issue", "--names", "names.txt", "--ca", "ca.pem", "--out", "out", "--format", "pem"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-m", "mlsssl", *words], env=environment, stdout=subprocess.DEVNULL
    ) as process:
        until = time.monotonic() + 60
        while not (place / "out").exists() or len(listed()) < 20:
            assert time.monotonic() < until
            time.sleep(0.005)
        process.kill()
    whole = sorted((place / "out").glob("h*.pem"))
    assert 0 < len(whole) < 300
    before = {path: path.read_bytes() for path in whole}
    for path in whole:
        assert Certificate.load(path).has_private_key
    assert issue() == 0
    assert len(list((place / "out").glob("h*.pem"))) == 300
    assert all(path.read_bytes() == data for path, data in before.items())


def test_reading_refuses_before_anything(place: Path) -> None:
    """The function itself, as the command calls it."""
    (place / "names.txt").write_text("fine.test\n-bad-\n")
    with pytest.raises(InvalidInputError, match=r"names\.txt, line 2: "):
        read_names(place / "names.txt", ".pem")
