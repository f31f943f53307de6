"""Text that strangers chose, on its way to a terminal or a log: it stays on its line and steers nothing."""

from __future__ import annotations

import ast
import datetime as dt
import io
import json
import logging
import re
import socket
import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

import mlsssl
from mlsssl import Binding, CertificateAuthority, EmbeddedMachine, MlssslError, deploy
from mlsssl._embedded.listener.page import error_page
from mlsssl._messages.foreign_text import clean_logger, message, printable, printable_lines
from mlsssl._messages.output import escaped
from mlsssl.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(mlsssl.__file__).parent
EVIL = "\x1b]0;owned\x07\x1b[2J\rroot OK\nFAKE ROW\x9b31m\u202e\u2028\x00x"
EVIL_NAME = "a\x1b[2J\x1b[31mb\nFAKE ROW  everything is fine\n"


@pytest.fixture(name="hostile")
def _hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with a deployed certificate whose names are an attack, and the certificate's file."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLSSSL_MACHINE", str(tmp_path / "machine.sqlite"))
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, EVIL.replace("\x00", ""))])
    now = dt.datetime.now(dt.timezone.utc)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 5, now - dt.timedelta(1), now + dt.timedelta(90))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("www.a.test"), x509.DNSName(EVIL_NAME)]), False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "evil.pem").write_bytes(pem + certificate.public_bytes(Encoding.PEM))
    assert main(["deploy", "0.0.0.0:443", "evil.pem", "--force", "--friendly-name", "f\x1b[2J\nFAKE ROW\u202e"]) == 0
    return tmp_path / "evil.pem"


def harmless(text: str) -> bool:
    """Whether each line can be printed, and none is the stranger's."""
    lines = text.split("\n")
    return all(line.isprintable() for line in lines) and not any(line.lstrip().startswith("FAKE") for line in lines)


@pytest.mark.parametrize(
    "line",
    [
        "show evil.pem",
        "check evil.pem --trust evil.pem --host www.a.test",
        "store list",
        "binding list",
        "audit",
        "audit --remedies",
        "renew 0.0.0.0:443 --ca evil.pem",
        "deploy 0.0.0.0:444 evil.pem --plan",
        "store add evil.pem",
        "netsh http show sslcert",
        "cleanup",
        "undo 0.0.0.0:443",
    ],
)
@pytest.mark.parametrize("rich", [False, True])
def test_no_command_lets_a_name_steer_the_terminal(
    hostile: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, line: str, rich: bool
) -> None:
    """Neither on standard output nor in an error; rich writes sequences of its own, and none of the name's."""
    capsys.readouterr()
    if rich:
        monkeypatch.setattr("mlsssl._commands.terminal._have_rich", lambda: True)
        monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
        monkeypatch.delenv("NO_COLOR", raising=False)
        monkeypatch.setenv("TERM", "xterm")
    main(line.split())
    said = capsys.readouterr()
    own = re.sub(r"\x1b\[(?:0|1|32|33|36|1;31)m", "", said.out) if rich else said.out
    assert harmless(own), said.out
    assert harmless(said.err), said.err


@pytest.mark.parametrize("line", ["show evil.pem --json", "store list --json", "audit --json", "binding list --json"])
def test_json_is_ascii_and_keeps_the_name(hostile: Path, capsys: pytest.CaptureFixture[str], line: str) -> None:
    """To a terminal or a file alike: U+009B and U+202E are written as escapes, and read back as they were."""
    capsys.readouterr()
    main(line.split())
    out = capsys.readouterr().out
    assert out.isascii()
    assert harmless(out)
    assert EVIL_NAME in str(json.loads(out)) or json.dumps(EVIL_NAME)[1:-1] in out


def test_a_file_name_cannot_forge_a_line_on_stderr(hostile: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In errors of the library, of the system and of argparse."""
    capsys.readouterr()
    for words in (["show", "a\x1b[2J\nFAKE ROW"], ["bogus\x1b\nFAKE"], ["show", "evil.pem", "x\x1b\nFAKE ROW"]):
        assert main(words) in (2, 3)
        said = capsys.readouterr()
        assert harmless(said.err)
        assert "\\x1b" in said.err


def test_objects_say_their_names_harmlessly_themselves(hostile: Path) -> None:
    """Whoever prints one, or sees its repr in a debugger or a notebook."""
    certificate = mlsssl.Certificate.load(hostile)
    with EmbeddedMachine(hostile.with_name("machine.sqlite")) as machine, machine.store() as store:
        (entry,) = store
        plan = deploy.plan("0.0.0.0:445", certificate, machine=machine, force=True)
        report = certificate.check("www.a.test", trust=None)
        for one in (certificate, entry, *machine.bindings, plan, report, mlsssl.audit(machine=machine, unbound=True)):
            assert harmless(str(one)), one
            assert harmless(repr(one)), one


def test_pages_show_no_direction_marks() -> None:
    """In HTML a right-to-left override turns what follows around, markup or not."""
    for page in (escaped(EVIL), error_page(EVIL, EVIL)):
        assert page.isprintable()
        assert "\\u202e" in page


@pytest.fixture(name="log")
def _log() -> Iterator[io.StringIO]:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    clean_logger("mlsssl").addHandler(handler)
    level = logging.getLogger("mlsssl").level
    logging.getLogger("mlsssl").setLevel(logging.INFO)
    yield written
    logging.getLogger("mlsssl").removeHandler(handler)
    logging.getLogger("mlsssl").setLevel(level)


def _hello(name: bytes) -> bytes:
    """A ClientHello that asks for a name which no TLS library would send."""
    tag = b"QQQQQQQQQQ.example.com"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    sent = ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=tag.decode()).do_handshake()
    return sent.read().replace(tag, name.ljust(len(tag), b"x"))


@pytest.mark.parametrize("port", [443, 444])
@pytest.mark.parametrize("name", [b"x\r\nCRITICAL forged", b"\x1b]0;owned\x07\x1b[2J"])
def test_a_client_forges_no_log_line(tmp_path: Path, log: io.StringIO, port: int, name: bytes) -> None:
    """Whatever it asks for by SNI: one event is one line, without control characters."""
    ca = CertificateAuthority.create("Log", key="ec-p256")
    with EmbeddedMachine(tmp_path / "m.sqlite") as machine:
        (tmp_path / "ccs").mkdir()
        machine.set_central_store(tmp_path / "ccs", "password")
        Binding("ccs=443", machine=machine).add()
        deploy("www.a.test:444", ca.issue("www.a.test", key="ec-p256"), machine=machine, verify=False)
        with (
            machine.listen() as listener,
            socket.create_connection(("127.0.0.1", listener.port_of(f"0.0.0.0:{port}"))) as connection,
        ):
            connection.settimeout(5)
            connection.sendall(_hello(name))
            connection.recv(100)
    lines = [line for line in log.getvalue().splitlines() if not line.startswith("INFO deploy of www.a.test:444: ")]
    assert len(lines) == 1
    assert lines[0].startswith("WARNING port")
    assert lines[0].isprintable()


def test_every_part_of_a_record_is_cleaned(log: io.StringIO) -> None:
    """Arguments, the message itself, and the exception's text, whose lines are indented; numbers stay numbers."""
    logger = clean_logger("mlsssl")
    logger.warning("%d %s %s", 5, EVIL, ValueError(EVIL))
    logger.warning(f"{EVIL}")
    try:
        raise ValueError(EVIL)
    except ValueError:
        logger.exception("it failed")
    lines = log.getvalue().rstrip("\n").split("\n")
    assert all(line.isprintable() for line in lines)
    assert [line.split()[0] for line in lines if not line.startswith("  ")] == ["WARNING", "WARNING", "ERROR"]


def test_there_is_one_way_to_the_terminal_and_one_to_the_log() -> None:
    """Whoever prints or makes a logger anywhere else goes round the cleaning."""
    found = set()
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                if called == "warnings.warn" and isinstance(node.args[0], ast.Constant):
                    continue  # a text of our own, with nothing of anybody else's in it
                if called in ("print", "logging.getLogger", "sys.stdout.write", "sys.stderr.write", "warnings.warn"):
                    found.add((file.relative_to(SOURCE).as_posix(), called))
    assert found == {
        ("__main__.py", "sys.stdout.write"),  # of our own version, before anything is imported
        ("_commands/terminal.py", "print"),
        ("_messages/foreign_text.py", "logging.getLogger"),
        ("_issue/lifetimes.py", "warnings.warn"),  # of a text that `message` has cleaned
    }


@given(st.text())
def test_cleaning_twice_is_cleaning_once(text: str) -> None:
    """So it does not matter that an error in a log record in an output line is cleaned at each border."""
    for clean in (printable, printable_lines, message):
        assert clean(clean(text)) == clean(text)
    assert printable(text).isprintable()
    assert str(MlssslError(text)) == message(text)


def test_errors_of_several_lines_have_only_their_own(tmp_path: Path) -> None:
    """A report's error has a line for each finding; the newline of a name stays within its line."""
    with pytest.raises(MlssslError) as caught:
        raise mlsssl.ValidationError("1 error\n- bad \x1b", report=None)
    assert str(caught.value) == "1 error\n- bad \\x1b"
    assert str(mlsssl.NotFoundError(f"no {EVIL}")).isprintable()


def test_a_crash_is_told_as_such_and_not_as_a_no(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python's own way ends with 1, which means that the answer is no, and prints the exception as it is."""

    def crash(*_: object) -> int:
        raise RuntimeError(EVIL)

    monkeypatch.setattr("mlsssl._commands.certificate.show", crash)
    assert main(["show", "a.pem"]) == 9
    said = capsys.readouterr().err
    assert all(line.isprintable() for line in said.split("\n"))
    assert "defect" in said
