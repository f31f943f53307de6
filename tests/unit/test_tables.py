"""Tables and lists at every width: what is copied (thumbprints, GUIDs, keys) is never split, with rich or without."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlsssl import (
    AccessDeniedError,
    Binding,
    CertificateAuthority,
    CertificateRequest,
    EmbeddedMachine,
    UrlReservation,
    audit,
    ccs,
    deploy,
    renew,
)
from mlsssl._commands import terminal
from mlsssl._messages.tables import cell, display_width, facts, plain_table, table, validity_words
from mlsssl.cli import main
from mlsssl.netsh import format_listing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

WIDTHS = range(20, 201)
COPIED = re.compile(
    r"[0-9a-f]{40}|\{[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}|S-1-[0-9-]+|D:\(\S+\)"
    r"|https://\S+/|(?:[\w.-]+|\[[0-9a-f:]+\]):[0-9]+|ccs=[0-9]+|[\w.-]+\.pfx"
)
"""Thumbprints, GUIDs, SIDs, access lists, URL prefixes and the keys of bindings."""

ROWS: list[dict[str, object]] = [
    {"key": "0.0.0.0:443", "hash": "a" * 40, "names": ["a.test", "www.a.test"], "days": 198.96, "severity": "error"},
    {"key": "b.test:8443", "hash": "b" * 40, "names": [], "days": -0.5, "severity": None},
]
COLUMNS = {"key": "KEY", "hash": "THUMBPRINT", "names": "NAMES", "days": "DAYS"}


def lines(width: int | None, rows: Sequence[Mapping[str, object]] = ROWS) -> list[str]:
    """A table's text."""
    return [line for line, _ in table(rows, COLUMNS, width)]


def test_a_table_is_as_wide_as_its_columns() -> None:
    """Whole days; a dash where there is nothing; no blanks at the end."""
    assert lines(None) == [
        "KEY          THUMBPRINT                                NAMES               DAYS",
        f"0.0.0.0:443  {'a' * 40}  a.test, www.a.test  198",
        f"b.test:8443  {'b' * 40}  -                   -1",
    ]
    assert plain_table(ROWS, COLUMNS).split("\n") == lines(None) == lines(200) == lines(79)


def test_a_narrower_one_is_broken_at_blanks() -> None:
    """Nowhere else."""
    assert [" ".join(line.split()) for line in lines(78)] == [" ".join(line.split()) for line in lines(71)]
    assert lines(71)[1:3] == [
        f"0.0.0.0:443  {'a' * 40}  a.test,     198",
        f"{' ' * 55}www.a.test",
    ]


def test_a_narrow_one_is_a_list() -> None:
    """Of what there is: each value behind its heading, below it where it would not fit."""
    assert lines(70) == [
        "KEY",
        "0.0.0.0:443",
        f"  thumbprint  {'a' * 40}",
        "  names       a.test, www.a.test",
        "  days        198",
        "b.test:8443",
        f"  thumbprint  {'b' * 40}",
        "  days        -1",
    ]
    assert lines(42)[2:6] == ["  thumbprint", f"  {'a' * 40}", "  names       a.test, www.a.test", "  days        198"]
    assert lines(20)[2:5] == ["  thumbprint", "a" * 40, "  names"]


def test_lines_have_the_style_of_their_row() -> None:
    """Headings have their own."""
    for width in (None, 71, 40):
        styles = dict(table(ROWS, COLUMNS, width))
        assert {styles[line] for line in lines(width) if "a" * 40 in line} == {"error"}
        assert {styles[line] for line in lines(width) if "b" * 40 in line} == {""}
        assert styles[lines(width)[0]] == "heading"


def test_facts_stand_behind_their_names() -> None:
    """At any width."""
    told = {"sha-1": "a" * 40, "names": ("a.test", "b.test"), "ca": False, "of": None}
    assert [line for line, _ in facts(told, None)] == [
        f"sha-1  {'a' * 40}",
        "names  a.test, b.test",
        "ca     no",
        "of     -",
    ]
    assert [line for line, _ in facts(told, 20)][:4] == ["sha-1", "a" * 40, "names  a.test,", "       b.test"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        *((1.99, "1"), (-0.01, "-1"), (0.0, "0"), (7, "7"), (True, "yes"), ("", "-"), ((), "-"), ("a\nb", "a\\nb")),
        ([{"sha_1": "ab", "entries": 0, "next": None}], "sha 1 ab, entries 0, next -"),
    ],
)
def test_a_cell(value: object, shown: str) -> None:
    """Days are whole: a certificate with half a day left has none, one that ended just now is not at 0."""
    assert cell(value) == shown


def test_wide_characters_take_two_columns() -> None:
    """In terminals; an accent takes none."""
    assert [display_width(one) for one in ("ab", "日本", "e\u0301", "é")] == [2, 4, 1, 1]
    first, second, third = lines(None, [{"key": "日本.test"}, {"key": "longer.test", "hash": "x"}])
    assert second.index("-") + 2 == third.index("x") == first.index("T")


AT = dt.datetime(2026, 6, 1, tzinfo=dt.timezone.utc)


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        (-9, 42.7, "42 days left"),
        (-9, 1.9, "1 day left"),
        (-9, 0.5, "12 hours left"),
        (-9, 0.05, "1 hour left"),
        (-9, -1.2, "expired 1 day ago"),
        (-9, -30, "expired 30 days ago"),
        (2, 9, "valid in 2 days"),
    ],
)
def test_a_validity_in_words(start: float, end: float, words: str) -> None:
    """Whole days, hours on the last."""
    assert validity_words(AT + dt.timedelta(days=start), AT + dt.timedelta(days=end), AT) == words


CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(["a" * 40, "{a6e300a4-fd30-4f67-a928-7cdc053fb6f8}", "0.0.0.0:443", "[2001:db8::1]:443"]),
    st.text(max_size=60),
    st.lists(st.text(st.characters(min_codepoint=33, max_codepoint=0x3100), min_size=1, max_size=70), max_size=5),
)


@given(
    st.integers(1, 7).flatmap(lambda n: st.lists(st.lists(CELLS, min_size=n, max_size=n), min_size=1, max_size=4)),
    st.integers(20, 200),
)
def test_no_word_is_split_or_lost(cells: list[list[object]], width: int) -> None:
    """Whatever stands in a cell, at every width; and no line is longer than the terminal but for one long word."""
    columns = {str(number): f"HEADING {number}" for number in range(len(cells[0]))}
    rows = [{str(number): value for number, value in enumerate(row)} for row in cells]
    told = [line for line, _ in table(rows, columns, width)]
    said = [line.split(" ") for line in told]
    for row in cells:
        for value in row:
            words = [word for word in cell(value).split(" ") if word not in ("", "-")]
            assert all(any(word in line for line in said) for word in words)
    assert all(display_width(line) <= width or len(line.split()) <= 1 for line in told)


# -- the commands -------------------------------------------------------------------------------------------------

LISTS = [
    "store list",
    "store list --store Root",
    "store access {hash}",
    "store crls",
    "binding list",
    "reservation list",
    "audit",
    "audit --unbound",
    "audit --from audit.json",
    "audit --listing listing.txt",
    "ccs list folder --password file:password.txt",
    "show server.pem",
    "request show request.csr",
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a machine that has bindings of every kind and a superseded certificate, and with files."""
    folder = tmp_path_factory.mktemp("lists")
    ca = CertificateAuthority.create("An authority", key="ec-p256")
    names = ("a-rather-long-name.department.example.com", "other.example.com", "*.example.org", "10.0.0.5")
    certificate = ca.issue(*names)
    certificate.save(folder / "server.pem")
    CertificateRequest.create(*names, key="ec-p256").save(folder / "request.csr")
    (folder / "folder").mkdir()
    ccs.write_files(folder / "folder", certificate, "secret")
    with EmbeddedMachine(folder / "m.sqlite") as machine:
        deploy("0.0.0.0:443", ca.issue("a.test", "www.a.test"), trust_root=True, machine=machine)
        renew("0.0.0.0:443", ca, machine=machine)
        deploy(f"{names[0]}:8443", certificate, machine=machine, key_access=["NETWORK SERVICE"])
        deploy("[2001:db8::1]:444", ca.issue("b.test"), machine=machine)
        Binding("ccs=445", machine=machine).add()
        UrlReservation("https://+:443/mls/", user="NETWORK SERVICE", machine=machine).add()
        with machine.store("CA") as store:
            store.add_crl(ca.crl())
        audit(machine=machine).save(folder / "audit.json")
        records = [binding.record for binding in machine.bindings]
    (folder / "listing.txt").write_text(format_listing(records), encoding="utf-8")
    (folder / "password.txt").write_text("secret\n", encoding="utf-8")
    (folder / "hash.txt").write_text(str(certificate.thumbprint), encoding="utf-8")
    return folder


@pytest.fixture
def folder(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """To work in."""
    monkeypatch.chdir(prepared)
    monkeypatch.setenv("MLSSSL_MACHINE", "m.sqlite")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    return prepared


def words_of(folder: Path, command: str) -> list[str]:
    """A line of `LISTS` as arguments."""
    return command.format(hash=(folder / "hash.txt").read_text(encoding="utf-8")).split()


def copied(text: str) -> Iterator[str]:
    """What somebody may want to copy out of it, but for what stands in the middle of a sentence."""
    for found in COPIED.finditer(text):
        yield found.group()


@pytest.mark.parametrize("command", LISTS)
def test_every_list_of_every_width_keeps_whole_what_is_copied(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    """What the command gives to be laid out is laid out for each width from 20 to 200."""
    given_out: list[Callable[[int | None], list[str]]] = []

    def spied(lay_out: Callable[..., Iterator[tuple[str, str]]]) -> Callable[..., Iterator[tuple[str, str]]]:
        def spy(*arguments: Any) -> Iterator[tuple[str, str]]:
            *values, _ = arguments
            given_out.append(lambda width: [line for line, _ in lay_out(*values, width)])
            return lay_out(*arguments)

        return spy

    monkeypatch.setattr(terminal, "table", spied(table))
    monkeypatch.setattr(terminal, "facts", spied(facts))
    assert main(words_of(folder, command)) == 0, capsys.readouterr().err
    assert given_out
    found = 0
    for lay_out in given_out:
        wanted = {one for line in lay_out(None) for one in copied(line)}
        found += len(wanted)
        for width in WIDTHS:
            told = lay_out(width)
            broken = [one for one in wanted if not any(one in line for line in told)]
            assert not broken, (width, told)
            assert all(len(line) <= width or " " not in line.strip() for line in told), (width, told)
    assert found


@pytest.mark.parametrize("rich", [True, False])
@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_terminal_gets_what_fits(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int, rich: bool
) -> None:
    """A list below the width of a table; without rich too, which makes colour and nothing else."""
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setattr(terminal, "_have_rich", lambda: rich)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    for command in LISTS:
        assert main(words_of(folder, command)) == 0
        told = capsys.readouterr().out
        assert ("\x1b[" in told) == (rich and "show" not in command)
        plain = re.sub(r"\x1b\[[0-9;]*m", "", told).splitlines()
        plain = [line for line in plain if not line.startswith("note")]  # a sentence
        assert all(len(line) <= width or " " not in line.strip() for line in plain)
    assert main(["binding", "list"]) == 0
    assert ("\n  thumbprint" in capsys.readouterr().out) == (width < 160)


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal")
@pytest.mark.parametrize("rich", [True, False])
def test_a_real_terminal(folder: Path, rich: bool) -> None:
    """Of 50 columns: a thumbprint stands on one line; what comes through a pipe is a table of any width."""
    if sys.platform == "win32":  # for type checkers
        return
    import fcntl
    import pty
    import struct
    import termios

    without = "" if rich else "sys.modules['rich'] = None\n"
    script = f"import sys\n{without}from mlsssl.cli import main\nsys.exit(main(sys.argv[1:]))"
    words = [sys.executable, "-c", script, "store", "list"]
    variables = {**os.environ, "MLSSSL_MACHINE": str(folder / "m.sqlite"), "TERM": "xterm"}
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 50, 0, 0))
    process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env=variables, close_fds=True)
    os.close(theirs)
    told = b""
    try:
        while data := os.read(ours, 65536):
            told += data
    except OSError:  # Linux' way to say that nobody writes any more
        pass
    finally:
        os.close(ours)
    assert process.wait(60) == 0
    lines = re.sub(r"\x1b\[[0-9;]*m", "", told.decode()).splitlines()
    assert (b"\x1b[1m" in told) == rich
    assert lines[0] == "THUMBPRINT"
    assert len([line for line in lines if re.fullmatch("[0-9a-f]{40}", line)]) == 4
    assert "  use            superseded" in lines
    assert "  use            bound to 0.0.0.0:443" in lines
    piped = subprocess.run(words, env=variables, capture_output=True, text=True, check=True).stdout.splitlines()
    assert len(piped) == 5
    assert piped[0].startswith("THUMBPRINT     ")


def test_a_store_says_what_its_certificates_are_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bound to which keys, or superseded; of a user's own store nothing is bound."""
    assert main(["store", "list"]) == 0
    told = {line.split()[1].rstrip(","): line for line in capsys.readouterr().out.splitlines() if ".test" in line}
    assert "bound to [2001:db8::1]:444" in told["b.test"]
    assert main(["store", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    bound = {row["names"][0]: row["bound"] for row in rows if row["renewed_by"] is None}
    assert bound["a.test"] == ["0.0.0.0:443"]
    assert [row["bound"] for row in rows if row["renewed_by"] is not None] == [[]]
    assert {row["use"] for row in rows if row["renewed_by"] is not None} == {"superseded"}


def test_a_store_is_listed_for_who_may_not_see_what_is_bound(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a note, and null in place of keys."""

    def refuse(self: object) -> None:
        raise AccessDeniedError("only an administrator may look", right="read")

    monkeypatch.setattr("mlsssl.binding.Bindings.__iter__", refuse)
    assert main(["store", "list", "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == "mlsssl: note: what is bound is not known: only an administrator may look\n"
    assert {row["bound"] for row in json.loads(captured.out)} == {None}
