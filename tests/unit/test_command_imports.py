"""What a command imports: its start is most of the time that somebody at a terminal waits for."""

from __future__ import annotations

import gc
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from mlsssl import CertificateAuthority, EmbeddedMachine, __version__, deploy
from mlsssl._commands.parser import Parser
from mlsssl.cli import _MODULES, OLD_COMMANDS, build_parser

if TYPE_CHECKING:
    from pathlib import Path

VALIDATOR = "mlsssl._validator"
LISTS = ("binding list", "store list", "reservation list")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a machine in which something is bound, and a certificate's file."""
    folder = tmp_path_factory.mktemp("imports")
    certificate = CertificateAuthority.create("Imports", key="ec-p256").issue("imports.example", key="ec-p256")
    certificate.save(folder / "leaf.pem", no_password=True)
    certificate.save(folder / "leaf.crt")
    with EmbeddedMachine(folder / "machine.sqlite") as machine:
        deploy("0.0.0.0:443", certificate, machine=machine)
    return folder


def imported(words: str, folder: Path, *, without: str = "") -> set[str]:
    """The modules of a process that has run this command line; `without` those that these statements load."""
    code = (
        f"import sys\n{without}\nbefore = set(sys.modules)  # by site too, which may load anything\n"
        "from mlsssl.__main__ import main\n"
        f"sys.argv[1:] = {words.split()!r}\n"
        "code = main()\nprint('\\n', *sorted(set(sys.modules) - before))\nsys.exit(code)"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return set(run.stdout.splitlines()[-1].split())


def ours(modules: set[str]) -> set[str]:
    return {name for name in modules if name.partition(".")[0] == "mlsssl"}


def below(package: str, modules: set[str]) -> set[str]:
    return {name for name in modules if name == package or name.startswith(f"{package}.")}


def test_version_imports_nothing(place: Path) -> None:
    modules = imported("--version", place)

    assert ours(modules) == {"mlsssl", "mlsssl.__main__", "mlsssl._version"}
    assert not modules & {"argparse", "re", "typing", "json", "cryptography"}


def test_version_is_the_parsers_too(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from mlsssl.__main__ import main

    monkeypatch.setattr(sys, "argv", ["mlsssl", "--version"])
    assert main() == 0
    said = capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["mlsssl", "--json", "--version"])  # not what is answered at the start
    monkeypatch.setattr(gc, "set_threshold", lambda _: None)  # this is no process of the command line
    with pytest.raises(SystemExit, match="0"):
        main()

    assert said == capsys.readouterr().out == f"mlsssl {__version__}\n"


def test_an_interrupt_while_the_command_line_is_loaded_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    from mlsssl.__main__ import main

    class Interrupt:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "mlsssl.cli":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "mlsssl.cli", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupt(), *sys.meta_path])
    monkeypatch.setattr(sys, "argv", ["mlsssl", "show"])
    monkeypatch.setattr(gc, "set_threshold", lambda _: None)  # this is no process of the command line
    assert main() == 130


@pytest.mark.parametrize("words", LISTS)
def test_a_list_imports_nothing_of_the_validator(words: str, place: Path) -> None:
    modules = imported(f"{words} --machine machine.sqlite", place)

    assert not below(VALIDATOR, modules)
    assert not modules & {"rich", "asyncio", "ssl"}


def test_an_audit_does_import_the_validator(place: Path) -> None:
    assert below(VALIDATOR, imported("audit --machine machine.sqlite", place))


# What `show` cannot do without, whatever of the rest they bring.
NEEDED = "import argparse, pathlib, cryptography.x509\nargparse.ArgumentParser().add_argument('file')"


@pytest.mark.parametrize("file", ["leaf.pem", "leaf.crt"])
def test_show_imports_no_machine(file: str, place: Path) -> None:
    modules = imported(f"show {file}", place, without=NEEDED)

    assert not below(VALIDATOR, modules)
    assert not modules & {"mlsssl._machine.ports", "mlsssl._formats.binding_keys", "mlsssl._formats.pkcs12"}
    # `shutil` has the compressors, `html` every name of a character, `uuid` asks what platform this is.
    assert not modules & {"sqlite3", "shutil", "html", "uuid", "secrets", "rich", "ssl", "subprocess", "tempfile"}
    assert not modules & {"json", "logging", "threading", "traceback", "unicodedata", "encodings.utf_8_sig"}


def test_show_of_a_certificate_alone_imports_no_serialization(place: Path) -> None:
    """Which brings SSH, ciphers and dataclasses; a private key cannot be read without."""
    modules = imported("show leaf.crt", place, without=NEEDED)

    assert not modules & {"cryptography.hazmat.primitives.serialization", "dataclasses", "inspect"}


def test_what_is_logged_is_told_where_nothing_else_imports_logging(place: Path) -> None:
    """The command line listens before the first record, and `logging` is loaded with that."""
    code = (
        "import sys\nbefore = 'logging' in sys.modules  # by site\nfrom mlsssl._commands.terminal import as_loud_as\n"
        "from mlsssl._messages.foreign_text import clean_logger\n"
        "with as_loud_as(None):\n    assert before or 'logging' not in sys.modules\n"
        "    clean_logger('mlsssl.some').warning('run recover()')\n    clean_logger('mlsssl').info('a step')\n"
        "assert not clean_logger('mlsssl').handlers"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=place, capture_output=True, text=True, check=False)

    assert (run.returncode, run.stderr) == (0, "mlsssl: warning: run mlsssl recover\n")


@pytest.mark.parametrize(
    ("words", "own"),
    [
        ("show leaf.pem", {"certificate"}),
        ("binding list --machine machine.sqlite", {"binding", "store", "certificate"}),
    ],
)
def test_a_command_imports_no_other_commands(words: str, own: set[str], place: Path) -> None:
    shared = {"parser", "terminal", "remedies", "addresses", "working"}

    commands = below("mlsssl._commands", imported(words, place)) - {"mlsssl._commands"}

    assert {name.rpartition(".")[2] for name in commands} - shared == own


def _choices(parser: object) -> dict[str, object]:
    assert isinstance(parser, Parser)
    assert parser._subparsers is not None
    choices = parser._subparsers._group_actions[0].choices
    assert isinstance(choices, dict)
    return choices


def test_the_table_of_modules_has_every_command_in_the_order_of_the_help() -> None:
    choices = list(_choices(build_parser()))

    assert choices == [*_MODULES, *OLD_COMMANDS, "completion"]


@pytest.mark.parametrize("name", _MODULES)
def test_the_parser_of_one_command_is_that_of_the_whole(name: str) -> None:
    whole, alone = (_choices(build_parser(asked))[name] for asked in (None, name))
    assert isinstance(whole, Parser)
    assert isinstance(alone, Parser)
    assert alone.format_help() == whole.format_help()
    assert alone.prog == whole.prog


def test_help_is_as_wide_as_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    parser = _choices(build_parser("show"))["show"]
    assert isinstance(parser, Parser)
    widest = []
    for columns in (60, 120):
        monkeypatch.setenv("COLUMNS", str(columns))
        widest.append(max(map(len, parser.format_help().splitlines())))

    assert widest[0] <= 60
    assert 100 <= widest[1] <= 120
