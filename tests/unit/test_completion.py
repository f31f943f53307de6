"""Completion: what is offered where, by the engine and in real shells; and that nothing foreign runs or garbles."""

from __future__ import annotations

import importlib.util
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

import mlsssl
from mlsssl import Binding, CertificateAuthority, EmbeddedMachine, UrlReservation
from mlsssl._commands.completion import candidates, machine, table
from mlsssl._commands.completion.candidates import complete, for_bash, split
from mlsssl._commands.completion.shells import SCRIPTS
from mlsssl.cli import build_parser, main
from programs import require

BREAKS = " \t\n\"'><=;|&(:@"
KEYS = ["0.0.0.0:443", "[::]:443", "ccs=443", "scopedccs=shop.example.com:443", "www.example.com:443"]
EVIL = "$(touch ran) `touch ran`;\x1b[2J\u202e'\"\n"
CA = CertificateAuthority.create("Completion", key="ec-p256")


@pytest.fixture(name="place", autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files, and a machine with some of everything."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLSSSL_MACHINE", str(tmp_path / "m.sqlite"))
    monkeypatch.setenv("USERPROFILE" if sys.platform == "win32" else "HOME", str(tmp_path))
    for name in ("certificate.pem", "two words.pem", "other.txt"):
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    with EmbeddedMachine() as this, this.store() as store:
        entry = store.add(CA.issue("www.example.com"), friendly_name="the shop")
        for key in KEYS:
            Binding(key, None if "ccs" in key else entry.thumbprint, machine=this).add()
        with this.store("WebHosting") as other:
            other.add(CA.issue("a.test"))
        this.store("O'Brien's $(touch ran)", create=True).close()
        UrlReservation("https://+:443/mls/", user="SYSTEM", machine=this).add()
    return tmp_path


def texts(line: str) -> list[str]:
    """The candidates at the end of a line."""
    words = line.split(" ")
    return [text for text, _ in complete(words[1:-1], words[-1])[1]]


@pytest.mark.parametrize("words", [(), ("mlsssl ",), ("mlsssl ", " ", "more")])
def test_a_bash_that_gives_other_words_has_an_answer(words: tuple[str, ...], capfd: pytest.CaptureFixture[str]) -> None:
    """Nobody at a Tab can read a complaint."""
    assert candidates.main("bash", list(words)) == 0
    assert capfd.readouterr().err == ""


def test_the_table_is_that_of_the_parser() -> None:
    """`python docs/completion_table.py` writes it anew."""
    path = Path(__file__).parents[2] / "docs" / "completion_table.py"
    spec = importlib.util.spec_from_file_location("completion_table", path)
    assert spec is not None
    assert spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    assert Path(table.__file__).read_text("utf-8") == generator.table()
    kinds = {kind.rstrip("*") for positionals, options in table.COMMANDS.values() for kind in options.values()}
    kinds |= {kind.rstrip("*") for positionals, options in table.COMMANDS.values() for kind in positionals}
    parts = {part for kind in kinds for part in kind.split("|") if part[:1] not in ("=", ">", "?")}
    assert parts <= {"", "files", "folders", "sources", *machine._QUERIES}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mlsssl sto", ["store"]),
        ("mlsssl store gr", ["grant"]),
        ("mlsssl nonsense ", []),
        ("mlsssl deploy --thumb", ["--thumbprint"]),
        ("mlsssl binding remove ", KEYS),
        ("mlsssl binding remove 0.0.0.0:", ["0.0.0.0:443"]),
        ("mlsssl binding remove [", ["[::]:443"]),
        ("mlsssl binding remove 0.0.0.0:443 ", []),
        ("mlsssl binding --json remove s", ["scopedccs=shop.example.com:443"]),
        ("mlsssl renew 0.0.0.0:443 w", ["www.example.com:443"]),
        ("mlsssl renew --due -- --a", []),
        ("mlsssl undo ccs", ["ccs=443"]),
        ("mlsssl recover --abandon [", ["[::]:443"]),
        ("mlsssl request create --for-binding w", ["www.example.com:443"]),
        ("mlsssl issue --key ec", ["ec-p256", "ec-p384"]),
        ("mlsssl issue --key=ec-p2", ["--key=ec-p256"]),
        ("mlsssl issue a.test b.test --key rsa-2", ["rsa-2048"]),
        ("mlsssl check x --profile pu", ["public"]),
        ("mlsssl check w", ["www.example.com:443"]),
        ("mlsssl check x --trust s", ["system"]),
        ("mlsssl check x --host ", ["shop.example.com", "www.example.com"]),
        ("mlsssl deploy KEY FILE --option tls13", ["tls13="]),
        ("mlsssl store list --store We", ["WebHosting"]),
        ("mlsssl store export Ro", ["Root"]),
        ("mlsssl store list --location C", ["CurrentUser"]),
        ("mlsssl deploy --reserve ", ["https://+:443/mls/"]),
        ("mlsssl reservation remove h", ["https://+:443/mls/"]),
        ("mlsssl pfx x --password e", ["env:"]),
        ("mlsssl schedule install --every 1", ["1", "12"]),
        ("mlsssl schedule install renew --al", ["--all", "--alias"]),
        ("mlsssl schedule install -- renew [", ["[::]:443"]),
        ("mlsssl audit --from a b --un", ["--unbound"]),
        ("mlsssl completion p", ["powershell"]),
    ],
)
def test_what_is_offered(line: str, expected: list[str]) -> None:
    """In each place what can stand there."""
    assert texts(line) == expected


@pytest.mark.parametrize(
    ("line", "besides"),
    [
        ("mlsssl show ./ce", "files"),
        ("mlsssl deploy 0.0.0.0:443 ", "files"),
        ("mlsssl deploy 0.0.0.0:443 x ", ""),
        ("mlsssl renew --all --machine ", "files"),
        ("mlsssl audit --from a b ", "files"),
        ("mlsssl quickstart a.test --keep ", "folders"),
        ("mlsssl ccs check ", "folders"),
        ("mlsssl check ", "files"),
        ("mlsssl makecert -r -pe ", "files"),
        ("mlsssl ca create Root --days ", ""),
        ("mlsssl show --json ", "files"),
    ],
)
def test_where_files_fit(line: str, besides: str) -> None:
    """Said to the shell, which finds them."""
    words = line.split(" ")
    assert complete(words[1:-1], words[-1])[0] == besides


def test_thumbprints_are_those_of_the_store_with_their_names() -> None:
    """MY unless `--store` says which."""
    with EmbeddedMachine() as this:
        (mine,) = this.store()
        (other,) = this.store("WebHosting")
    assert complete(["deploy", "k", "--thumbprint"], "") == ("", [(str(mine.thumbprint), "the shop")])
    assert texts("mlsssl store remove --store webhosting ") == [str(other.thumbprint)]
    assert texts("mlsssl store remove --store=Nowhere ") == []
    assert texts(f"mlsssl binding add 0.0.0.0:444 {str(mine.thumbprint)[:3]}") == [str(mine.thumbprint)]


def test_the_machine_that_is_meant(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--machine`, before or behind; else the variable; else the usual place."""
    with EmbeddedMachine(place / "two.sqlite") as this:
        Binding("ccs=8443", machine=this).add()
    assert texts("mlsssl binding remove --machine two.sqlite ") == ["ccs=8443"]
    assert texts("mlsssl binding remove --machine=./two.sqlite c") == ["ccs=8443"]
    monkeypatch.delenv("MLSSSL_MACHINE")
    if sys.platform == "win32":
        return
    monkeypatch.setenv("XDG_DATA_HOME", str(place / "data"))
    monkeypatch.setattr(sys, "platform", "linux")
    assert texts("mlsssl binding remove ") == []
    with EmbeddedMachine() as usual:
        Binding("ccs=9443", machine=usual).add()
    assert texts("mlsssl binding remove ") == ["ccs=9443"]


@pytest.mark.parametrize("kind", sorted(set(machine._QUERIES) - {"services"}))
@pytest.mark.parametrize("store", [None, "WebHosting"])
def test_the_library_tells_the_same(place: Path, kind: str, store: str | None) -> None:
    """What is asked of a Windows, and what is read past the library, are one."""
    file = str(place / "m.sqlite")
    light = machine.found(kind, file, store, most=100)
    assert light
    assert sorted(light) == sorted(machine.of_library(kind, store, most=100, machine=file))
    assert len(machine.of_library(kind, store, most=1, machine=file)) == 1
    assert machine.of_library("thumbprints", "Nowhere", most=1, machine=file) == []


# -- what is foreign --------------------------------------------------------------------------------------------------


def spoil(place: Path, statement: str, *parameters: object) -> None:
    """Write past the library, as a stranger's file would have it."""
    with sqlite3.connect(place / "m.sqlite") as connection:
        connection.execute(statement, parameters)
    connection.close()


def test_what_is_not_printable_is_not_offered(place: Path) -> None:
    """Nor what looks like an option; a name behind a thumbprint is shown without what steers a terminal."""
    spoil(place, "UPDATE certificates SET friendly_name = ?", EVIL * 100)
    spoil(place, "UPDATE bindings SET host = ? WHERE host = 'www.example.com'", EVIL)
    spoil(place, "UPDATE bindings SET host = ? WHERE family = 'scopedccs'", "x" * 400)
    spoil(place, "UPDATE stores SET name = '--overwrite' WHERE name = 'Trust'")
    spoil(place, "UPDATE stores SET name = X'00FF' WHERE name = 'CA'")
    assert texts("mlsssl binding remove ") == KEYS[:3]
    ((_, told),) = complete(["deploy", "k", "--thumbprint"], "")[1]
    assert told.isprintable()
    assert len(told) <= 300
    found = texts("mlsssl store list --store ")
    assert "Root" in found
    assert all(text.isprintable() and not text.startswith("-") for text in found)


def test_files_that_are_no_machine(place: Path) -> None:
    """No candidates, no error, no file made, and no waiting for a pipe or for ever."""
    (place / "empty").touch()
    (place / "text").write_text("SQLite format 3\0" + "x" * 5000)
    sqlite3.connect(place / "strange").execute("CREATE TABLE bindings (a)").connection.close()
    names = ["empty", "text", "strange", "folder", "absent", "certificate.pem"]
    if sys.platform != "win32":
        os.mkfifo(place / "pipe")
        names.append("pipe")
    for name in names:
        assert texts(f"mlsssl binding remove --machine {name} ") == [], name
    assert not (place / "absent").exists()
    assert texts("mlsssl binding remove --machine \0 ") == []


def test_a_machine_that_would_keep_sqlite_busy_for_ever(place: Path) -> None:
    """A view in place of the table, which counts without end."""
    spoil(place, "DROP TABLE bindings")
    spoil(
        place,
        "CREATE VIEW bindings AS WITH RECURSIVE n(family) AS (SELECT 'ccs' UNION ALL SELECT family FROM n) "
        "SELECT family, '' AS host, 1 AS port, NULL AS thumbprint FROM n",
    )
    began = time.process_time()
    assert texts("mlsssl binding remove ") == []
    assert time.process_time() - began < 5


def test_many(place: Path) -> None:
    """A thousand are enough for any screen, and reading them is bounded."""
    with sqlite3.connect(place / "m.sqlite") as connection:
        connection.executemany(
            "INSERT INTO stores (location, name, folded) VALUES ('LocalMachine', ?, ?)",
            [(f"s{n}", f"S{n}") for n in range(5000)],
        )
    connection.close()
    assert len(texts("mlsssl store list --store ")) == candidates.MOST


# -- Bash's line ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "words", "raw"),
    [
        ("mlsssl ", [""], ""),
        ("mlsssl show  a", ["show", "a"], "a"),
        ("mlsssl show 'a b' \"c d", ["show", "a b", "c d"], '"c d'),
        ("mlsssl --machine a\\ b.sqlite x\\", ["--machine", "a b.sqlite", "x"], "x\\"),
        ("mlsssl show ~/x ", ["show", "{home}/x", ""], ""),
        ("mlsssl show '~/x' $HOME ", ["show", "~/x", "$HOME", ""], ""),
        ("mlsssl show $(touch ran) ", ["show", "$(touch", "ran)", ""], ""),
    ],
)
def test_words_of_a_line(place: Path, line: str, words: list[str], raw: str) -> None:
    """As Bash takes them apart, but nothing is run or looked up."""
    assert split(line) == ([word.format(home=place) if "{" in word else word for word in words], raw)


@pytest.mark.parametrize(
    ("text", "raw", "written"),
    [
        ("0.0.0.0:443", "", "0.0.0.0:443"),
        ("0.0.0.0:443", "0.0.0.0:4", "443"),
        ("[::]:443", "[::", "\\]:443"),
        ("[::]:443", "\\[:", ":\\]:443"),
        ("--key=rsa-2048", "--key=r", "rsa-2048"),
        ("Remote Desktop", "Rem", "Remote\\ Desktop"),
        ("Remote Desktop", "Remote\\ D", "Remote\\ Desktop"),
        ("Remote Desktop", '"Rem', "Remote Desktop"),
        ("a$(x)", '"a', None),
        ("a$(x)'!", "a", "a\\$\\(x\\)\\'\\!"),
        ("über", "", "über"),
    ],
)
def test_what_bash_puts_into_the_line(text: str, raw: str, written: str | None) -> None:
    """Only what is behind its last cut, with a backslash at whatever has a meaning."""
    assert for_bash(text, raw, BREAKS) == written


# -- real shells ------------------------------------------------------------------------------------------------------


class Shell:
    """A shell at a pseudo-terminal; `mlsssl` in it notes the arguments that it is run with."""

    def __init__(self, name: str, place: Path) -> None:
        self.name, self.place = name, place
        programs = place / "programs"
        programs.mkdir()
        program = programs / "mlsssl"
        program.write_text(
            "#!/bin/sh\n"
            f'[ "$1" = completion ] && exec {sys.executable} -m mlsssl "$@"\n'
            f"printf '%s\\n' \"$@\" > {place}/arguments.new\nmv {place}/arguments.new {place}/arguments\n"
        )
        program.chmod(0o755)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "BASH", "ZDOTDIR"))},
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(sys.path),
            "TERM": "xterm",
            "LC_ALL": "C.UTF-8",
            "PS1": "> ",
        }
        source = subprocess.run(
            [sys.executable, "-m", "mlsssl", "completion", name],
            capture_output=True, check=True, timeout=60, env=self.environment,
        ).stdout  # fmt: skip
        script = place / f"completion.{name}"
        script.write_bytes(source)
        self.start = {
            "bash": (["bash", "--norc", "-i"], f". {script}\n"),
            "zsh": (["zsh", "-f", "-i"], f"autoload -U compinit; compinit -u -D; . {script}\n"),
            "fish": (["fish", "--no-config", "-i"], f"source {script}\n"),
        }[name]

    def type(self, text: str) -> list[str]:
        """Type this with a carriage return behind it; the arguments that mlsssl was then run with."""
        self.typed(text + "\r", until=lambda: (self.place / "arguments").exists())
        return (self.place / "arguments").read_text("utf-8").splitlines()

    def typed(self, text: str, *, until: object = None, seconds: float = 30) -> str:
        """Type this; what the terminal shows until `until` holds, or for so many seconds."""
        if sys.platform == "win32":
            raise NotImplementedError
        import pty
        import select

        (self.place / "arguments").unlink(missing_ok=True)
        ours, theirs = pty.openpty()
        words, first = self.start
        # fish wants to control its terminal.
        taking = (
            "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", taking, *words],
            stdin=theirs, stdout=theirs, stderr=theirs, env=self.environment, start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        shown = b""
        try:
            ready = self.place / "ready"
            ready.unlink(missing_ok=True)
            os.write(ours, f"{first}touch {ready}\n".encode())
            until_time = time.monotonic() + 60
            sent = False
            while time.monotonic() < until_time:
                if select.select([ours], [], [], 0.05)[0]:
                    try:
                        shown += os.read(ours, 65536)
                    except OSError:
                        break
                elif not sent and ready.exists():
                    os.write(ours, text.encode())
                    sent, until_time = True, time.monotonic() + seconds
                if sent and callable(until) and until():
                    break
        finally:
            process.kill()
            process.wait()
            os.close(ours)
        return shown.decode("utf-8", "replace")


def needed(name: str) -> None:
    """Skip where this shell is missing; in CI that fails."""
    if sys.platform == "win32":
        pytest.skip("a shell of Unix")
    require(name)


@pytest.fixture(name="shell", params=["bash", "zsh", "fish"])
def _shell(request: pytest.FixtureRequest, place: Path) -> Shell:
    needed(request.param)
    return Shell(request.param, place)


def test_a_file_at_a_real_prompt(shell: Shell) -> None:
    """`mlsssl show ./ce<Tab>`."""
    assert shell.type("mlsssl show ./ce\t") == ["show", "./certificate.pem"]


def test_a_file_with_a_blank(shell: Shell) -> None:
    """One argument, whatever the shell puts round it."""
    assert shell.type("mlsssl show tw\t") == ["show", "two words.pem"]


def test_keys_at_a_real_prompt(shell: Shell) -> None:
    """With colons and brackets, which shells cut words at or take for patterns."""
    assert shell.type("mlsssl binding remove 0\t") == ["binding", "remove", "0.0.0.0:443"]
    assert shell.type("mlsssl binding remove 0.0.0.0:4\t") == ["binding", "remove", "0.0.0.0:443"]
    bracket = "[" if shell.name == "bash" else "\\["
    assert shell.type(f"mlsssl binding remove {bracket}\t") == ["binding", "remove", "[::]:443"]
    assert shell.type("mlsssl binding remove scopedccs=sh\t") == ["binding", "remove", KEYS[3]]


def test_an_option_and_a_thumbprint(shell: Shell) -> None:
    """Both completed on one line."""
    with EmbeddedMachine() as this:
        (mine,) = this.store()
    completed = ["deploy", "ccs=443", "--thumbprint", str(mine.thumbprint)]
    assert shell.type("mlsssl deploy ccs=443 --thumb\t\t") == completed
    assert shell.type("mlsssl deploy ccs=443 --thumbprint \t") == completed


def test_commands_and_choices(shell: Shell) -> None:
    """From the command line's own table."""
    assert shell.type("mlsssl quick\t") == ["quickstart"]
    assert shell.type("mlsssl check x --profile leg\t") == ["check", "x", "--profile", "legacy"]
    assert shell.type("mlsssl ccs check fol\t") in (["ccs", "check", "folder"], ["ccs", "check", "folder/"])


def test_several_are_listed(shell: Shell) -> None:
    """All of them, whole."""
    shown = shell.typed("mlsssl binding remove \t\t", seconds=4)
    assert "0.0.0.0:443" in shown
    assert "www.example.com:443" in shown


def test_nothing_foreign_runs(shell: Shell, place: Path) -> None:
    """A store called `O'Brien's $(touch ran)` is one argument, and its name is not run, while completing or after."""
    assert shell.type("mlsssl store list --store O\t") == ["store", "list", "--store", "O'Brien's $(touch ran)"]
    spoil(place, "UPDATE certificates SET friendly_name = ?", EVIL)
    shown = shell.typed("mlsssl store remove \t\t", seconds=4)
    assert "\x1b[2J\u202e" not in shown
    assert not (place / "ran").exists()


def test_bash_in_quotes(place: Path) -> None:
    """Where no backslash helps, what would be run is not offered; the rest is."""
    needed("bash")
    shell = Shell("bash", place)
    assert shell.type('mlsssl store list --store "Rem\t') == ["store", "list", "--store", "Remote Desktop"]
    assert shell.type('mlsssl store list --store "O\t"') == ["store", "list", "--store", "O"]
    assert not (place / "ran").exists()


def test_zsh_takes_it_as_a_file_too(place: Path) -> None:
    """In a folder of functions, where compinit finds it by its first line."""
    needed("zsh")
    shell = Shell("zsh", place)
    functions = place / "functions"
    functions.mkdir()
    (place / "completion.zsh").rename(functions / "_mlsssl")
    shell.start = (["zsh", "-f", "-i"], f"fpath=({functions} $fpath); autoload -U compinit; compinit -u -D\n")
    assert shell.type("mlsssl binding remove 0\t") == ["binding", "remove", "0.0.0.0:443"]
    assert shell.type("mlsssl show ./ce\t") == ["show", "./certificate.pem"]


# -- the rest ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(SCRIPTS))
def test_scripts_are_printed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With how to install each in its head."""
    assert main(["completion", name]) == 0
    script = capsys.readouterr().out
    assert script.removeprefix("#compdef mlsssl\n").startswith("# Completion of mlsssl in ")
    assert script.isascii()
    assert f"completion --candidates {name}" in script


def test_powershell_is_answered(place: Path) -> None:
    """Its words are in a variable, for version 5.1 loses empty arguments; in ASCII, for it reads no UTF-8."""
    with EmbeddedMachine() as this:
        this.store("Läden", create=True).close()
    spoil(place, "UPDATE certificates SET friendly_name = 'Läden'")
    assert "Läden" in texts("mlsssl store list --store ")
    answer = answered_in_powershell("store", "list", "--store", "")
    assert "Root" in answer
    assert all(line.isascii() for line in answer)
    assert not [line for line in answer if line.startswith("L")]
    assert answered_in_powershell("deploy", "k", "--thumbprint", "")[1].endswith("\tL?den")
    with EmbeddedMachine() as this:
        thumbprint = next(str(one.thumbprint) for one in this.bindings if str(one.key) == "[::]:443")
    assert answered_in_powershell("binding", "remove", "[") == ["", f"[::]:443\t{thumbprint}"]
    assert answered_in_powershell("show", "./ce") == ["files"]


def answered_in_powershell(*words: str) -> list[str]:
    """The lines that its script reads."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "MLSSSL_COMPLETING": "\n".join(words)}
    done = subprocess.run(
        [sys.executable, "-m", "mlsssl", "completion", "--candidates", "powershell"],
        capture_output=True, check=True, timeout=60, env=environment,
    )  # fmt: skip
    return done.stdout.decode("utf-8").split("\n")[:-1]


def test_a_tab_imports_next_to_nothing() -> None:
    """No argparse, no re, no typing, no cryptography; SQLite only where a machine is asked."""
    script = (
        "import sys\nfrom mlsssl._commands.completion.candidates import complete\n"
        "complete(['check', 'x', '--profile'], 'p')\n"
        "heavy = {'argparse', 're', 'typing', 'pathlib', 'json', 'cryptography', 'inspect', 'logging'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "assert 'sqlite3' not in sys.modules\n"
        "assert complete(['binding', 'remove'], '[')[1]\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(mlsssl.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-S", "-c", script], capture_output=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr.decode()


def test_every_command_can_be_completed() -> None:
    """Each is in the table, and each option of each is offered behind its first letters."""
    parser = build_parser()
    assert parser is not None
    for path, (_, options) in table.COMMANDS.items():
        for option in options:
            assert option in texts(f"mlsssl {path} {option}".replace("  ", " ")), (path, option)
