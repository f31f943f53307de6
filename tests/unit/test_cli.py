"""The command line: what it prints, what it returns, and that passwords stay out of its arguments."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

import made_certificates
from mlsssl import Binding, Certificate, CertificateAuthority, EmbeddedMachine
from mlsssl._commands.remedies import in_commands
from mlsssl.cli import main
from mlsssl.testing import tls_server
from mlsssl.values import REVOCATION_REASONS

PASSWORD = "hunter-22"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, an embedded machine in it, and the password in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLSSSL_MACHINE", str(tmp_path / "state" / "machine.sqlite"))
    monkeypatch.setenv("PW", PASSWORD)
    EmbeddedMachine().close()
    monkeypatch.setenv("WRONG", "not the password")
    return tmp_path


@pytest.fixture
def issued(place: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """`ca create` and `issue` have run: ca.pfx, ca.cer and server.pfx are there."""
    create = ["ca", "create", "CLI Root", "--key", "ec-p256", "--out", "ca.pfx", "--certificate-out", "ca.cer"]
    assert main([*create, "--password", "env:PW"]) == 0
    issue = ["issue", "server.test", "10.0.0.5", "--ca", "ca.pfx", "--ca-password", "env:PW", "--out", "server.pfx"]
    assert main([*issue, "--password", "env:PW"]) == 0
    capsys.readouterr()
    return place


def output(capsys: pytest.CaptureFixture[str]) -> str:
    """What was printed since the last look, both streams."""
    captured = capsys.readouterr()
    return captured.out + captured.err


def exit_code(words: list[str]) -> int | str | None:
    """What the process would end with; argparse leaves by SystemExit."""
    try:
        return main(words)
    except SystemExit as stop:
        return stop.code


def test_the_procedure_by_hand(issued: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Check, store, bind, list, update, remove: each with its exit code."""
    thumbprint = str(Certificate.load("server.pfx", password=PASSWORD).thumbprint)
    check = ["check", "server.pfx", "--password", "env:PW", "--trust", "ca.cer", "--host"]
    assert main([*check, "server.test"]) == 0
    assert main([*check, "other.test"]) == 1
    assert "name-mismatch" in output(capsys)
    assert main(["store", "add", "server.pfx", "--password", "env:PW"]) == 0
    assert main(["binding", "add", "0.0.0.0:443", thumbprint.upper(), "--option", "tls13=no"]) == 0
    assert main(["binding", "add", "0.0.0.0:443", thumbprint]) == 4
    assert main(["binding", "update", "0.0.0.0:443", "--option", "http2=no"]) == 0
    assert main(["store", "remove", thumbprint]) == 2
    assert "is bound to 0.0.0.0:443" in output(capsys)
    assert main(["binding", "list", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["thumbprint"] == thumbprint
    assert row["options"]["flags"] == 0x40 | 0x10
    assert main(["binding", "remove", "0.0.0.0:443"]) == 0
    assert main(["binding", "remove", "0.0.0.0:443"]) == 3
    assert main(["store", "remove", thumbprint]) == 0
    assert main(["store", "list"]) == 0
    assert "empty" in output(capsys)


def test_a_bundle_of_roots_is_trusted_whole(issued: Path) -> None:
    """As OpenSSL takes a CAfile: wherever the root stands in it; without it the answer turns."""
    other = CertificateAuthority.create("Another Root", key="ec-p256").certificate.to_pem()
    ours = Certificate.load("ca.cer").to_pem()
    check = ["check", "server.pfx", "--password", "env:PW", "--host", "server.test", "--trust"]
    for name, bundle, code in (("first.pem", ours + other, 0), ("last.pem", other + ours, 0), ("none.pem", other, 1)):
        (issued / name).write_bytes(bundle)
        assert main([*check, name]) == code


@pytest.mark.skipif(sys.platform == "win32", reason="Windows' own chain engine reads no bundle")
def test_the_systems_roots_and_others_are_trusted_together(issued: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`system` may stand beside files, in any order, as in `check(trust=["system", ca])`; alone it does not do."""
    other = CertificateAuthority.create("Another Root", key="ec-p256")
    (issued / "bundle.pem").write_bytes(other.certificate.to_pem())
    monkeypatch.setenv("SSL_CERT_FILE", str(issued / "bundle.pem"))
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    check = ["check", "server.pfx", "--password", "env:PW", "--host", "server.test"]
    assert main([*check, "--trust", "system", "--trust", "ca.cer"]) == 0
    assert main([*check, "--trust", "ca.cer", "--trust", "system"]) == 0
    assert main([*check, "--trust", "system"]) == 1


def test_a_live_server_is_checked(issued: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it sends, by its address; the wrong name is exit code 1, nobody listening 9."""
    certificate = Certificate.load("server.pfx", password=PASSWORD)
    with EmbeddedMachine(issued / "live.sqlite") as machine, machine.store() as store:
        Binding("0.0.0.0:443", store.add(certificate), machine=machine).add()
        with machine.listen() as listener:
            port = listener.port_of(443)
            check = ["check", f"127.0.0.1:{port}", "--trust", "ca.cer", "--host"]
            assert main([*check, "server.test"]) == 0
            assert main([*check, "other.test"]) == 1
            assert "name-mismatch" in output(capsys)
    assert main([*check, "server.test"]) == 9


def test_a_pfx_is_explained(issued: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From outside, opened, with a wrong password (6), and for one system: known to read it (0) or not (1)."""
    certificate = Certificate.load("server.pfx", password=PASSWORD)
    certificate.save("modern.pfx", password=PASSWORD, readable_by="windows-server-2019")
    assert main(["explain", "modern.pfx"]) == 0
    assert "password: not given" in output(capsys)
    assert main(["explain", "modern.pfx", "--password", "env:PW"]) == 0
    told = output(capsys)
    assert "password: right" in told
    assert "certificate: CN=server.test" in told
    assert PASSWORD not in told
    assert main(["explain", "modern.pfx", "--password", "env:WRONG"]) == 6
    assert "password: wrong" in output(capsys)
    assert main(["explain", "modern.pfx", "--readable-by", "windows-server-2016"]) == 1
    assert main(["explain", "modern.pfx", "--readable-by", "windows-server-2022"]) == 0
    capsys.readouterr()
    assert main(["explain", "modern.pfx", "--password", "env:PW", "--json"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert (read["file"], read["password"]) == ("modern.pfx", "right")
    assert read["certificates"][0] == "CN=server.test"
    assert {one["name"]: one["reads"] for one in read["readers"]}["windows-server-2016"] is False
    assert {bag["kind"] for part in read["parts"] for bag in part["bags"]} == {"certificate", "encrypted key"}


def test_what_a_pfx_says_reaches_no_terminal_as_it_is(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A name in it is a stranger's text: no line of its own, no escape sequence."""
    name = "a\nnote: all is well\x1b[2J\u202e"
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.timezone.utc)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), 1, now, now + dt.timedelta(days=1))
    hostile = Certificate(builder.sign(key, hashes.SHA256()), private_key=key, friendly_name=name)
    hostile.save("hostile.pfx", password=PASSWORD)
    assert main(["explain", "hostile.pfx", "--password", "env:PW"]) == 0
    told = capsys.readouterr().out
    assert "all is well" in told
    assert not any(line.startswith("note: all is well") for line in told.splitlines())
    assert all(line.isprintable() for line in told.splitlines())


def test_import_takes_a_pfx_as_it_is(issued: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The wrong password is exit code 6; the right one imports."""
    import_pfx = ["store", "import", "server.pfx", "--password"]
    (issued / "wrong.txt").write_text("not it\n", encoding="utf-8")
    assert main([*import_pfx, "file:wrong.txt"]) == 6
    assert main([*import_pfx, "env:PW"]) == 0
    assert main(["store", "list", "--json"]) == 0
    assert '"has_private_key": true' in output(capsys)


def test_binding_without_the_certificate_is_explained(issued: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """1312 before it happens: exit code 8 and what to do."""
    assert main(["binding", "add", "0.0.0.0:443", "18e1628ac1cd7cae3495e718f87e5b6188193c81"]) == 8
    assert "1312" in output(capsys)


# Windows has no words of its own for these: the file is not there, and that is what is told.
_POSIX_MISTAKES = [
    (["show", "n" * 5000], 2, "cannot be the path"),
    (["show", "ca.pfx/below.pem"], 3, "a file stands where a folder should"),
] * (sys.platform != "win32")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nonsense"], 2, "there is no command nonsense"),
        (["issue"], 2, "required"),
        (["issue", "a.test", "--out", "x.pem"], 2, "required: --ca"),
        (["binding", "list", "--machine", "mistyped.sqlite"], 3, "no machine in the file 'mistyped.sqlite'"),
        (["show", "nowhere.pfx"], 3, "no file"),
        (["show", "ca.pfx", "--password", "pass:hunter-22"], 2, "an argument can be read"),
        (["show", "ca.pfx", "--password", "env:NOT_THERE"], 2, "no variable"),
        (["show", "ca.pfx"], 2, "no terminal"),
        (["check", "server.pfx", "--password", "env:PW", "--trust", "ca.pfx"], 2, r"trust the authority's certificate"),
        (["ca", "create", "Again", "--out", "ca.pfx", "--password", "env:PW"], 4, "--overwrite"),
        (["issue", "a b", "--ca", "ca.pfx", "--ca-password", "env:PW", "--out", "x.pem"], 2, "letters, digits"),
        (["pfx", "ca.cer", "--out", "x.pfx", "--password", "env:PW"], 2, "--key"),
        (["binding", "add", "example.test", "00"], 2, "no port"),
        (["binding", "add", "0.0.0.0:443", "zz"], 2, "40 hex digits"),
        (["binding", "add", "ccs=443", "--option", "tls=no"], 2, "name=value"),
        (["store", "list", "--store", "Nowhere"], 3, "Nowhere"),
        (["store", "list", "--machine", "ca.cer"], 6, "is not a machine of mlsssl"),
        (["serve", "--seconds", "nan"], 2, "--seconds"),
        (["serve", "--seconds", "-1"], 2, "--seconds"),
        (
            ["binding", "add", "a.test:443", "00", "--option", f"url-retrieval-timeout={'9' * 30}"],
            2,
            "at most 4294967295",
        ),
        *_POSIX_MISTAKES,
        (["show", "no\0where"], 2, "cannot be the path"),
        (["show", "ca.pfx", "--password", "env:WRONG"], 6, "ca.pfx: this password"),
        (["explain", "nowhere.pfx"], 3, "no file"),
        (["explain", "ca.cer"], 6, "ca.cer: "),
        (["explain", "ca.pfx", "--readable-by", "amiga"], 2, "a system is one of"),
    ],
)
def test_mistakes_are_told(
    issued: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, message: str
) -> None:
    """In a line that says what to do, with its exit code, and without a secret."""
    before = (issued / "ca.pfx").read_bytes()
    assert exit_code(words) == code
    said = output(capsys)
    assert message in said
    assert "Traceback" not in said
    assert PASSWORD not in said.replace("pass:", "")
    assert (issued / "ca.pfx").read_bytes() == before


def test_an_error_is_json_where_json_was_asked_for(issued: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On standard output, with the error's type."""
    assert main(["show", "nowhere.pfx", "--json"]) == 3
    said = json.loads(capsys.readouterr().out)
    assert (said["error"], said["exit_code"]) == ("NotFoundError", 3)


@pytest.mark.parametrize("words", [["--version"], ["--help"], ["completion", "bash"]])
def test_help_and_version_load_no_cryptography(words: list[str]) -> None:
    """They answer at once."""
    script = (
        "import sys\nfrom mlsssl.cli import main\n"
        f"try:\n    main({words!r})\nexcept SystemExit:\n    pass\n"
        "sys.exit(any(name.split('.')[0] in ('cryptography', 'cffi', 'sqlite3') for name in sys.modules))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout


def test_quickstart_does_the_whole_procedure(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Eleven steps, files kept, and a second run into the same folder refused."""
    assert main(["quickstart", "server-name.com", "--keep", "kept", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["ok"]
    assert len(said["steps"]) == 11
    assert {"SelfIssuedCA.cer", "SelfIssuedSSL.pfx", "machine.sqlite"} <= {Path(file).name for file in said["files"]}
    root = Certificate.load(place / "kept" / "SelfIssuedCA.cer")
    password = (place / "kept" / "password.txt").read_text(encoding="utf-8").strip()
    assert Certificate.load(place / "kept" / "SelfIssuedSSL.pfx", password=password).check(
        "server-name.com", trust=[root]
    )
    assert main(["quickstart", "server-name.com", "--keep", "kept"]) == 4


_SUBJECT = ["--organization", "Example & Söhne", "--organizational-unit", "IT", "--locality", "Fürth"]
_SUBJECT += ["--state", "Bayern", "--country", "de"]
_BESIDE = "OU=IT,O=Example & Söhne,L=Fürth,ST=Bayern,C=DE"


def test_subjects_have_fields(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In roots, intermediates, server and client certificates, and in all that quickstart makes and renews."""
    made = ["--password", "env:PW", *_SUBJECT]
    assert main(["ca", "create", "Root", "--key", "ec-p256", "--out", "r.pfx", *made]) == 0
    authority = ["--issuer", "r.pfx", "--issuer-password", "env:PW"]
    assert main(["ca", "create", "Middle", "--out", "m.pfx", *authority, *made]) == 0
    authority = ["--ca", "m.pfx", "--ca-password", "env:PW"]
    assert main(["issue", "www.example.com", "--out", "w.pfx", *authority, *made]) == 0
    assert main(["ca", "issue-client", "Alice", "--out", "a.pfx", *authority, *made]) == 0
    for file, common in (("r", "Root"), ("m", "Middle"), ("w", "www.example.com"), ("a", "Alice")):
        assert Certificate.load(f"{file}.pfx", password=PASSWORD).subject == f"CN={common},{_BESIDE}"
    assert main(["ca", "create", "Root", "--out", "x.pfx", "--password", "env:PW", "--country", "Germany"]) == 2
    assert "two letters" in capsys.readouterr().err
    assert not Path("x.pfx").exists()
    assert main(["quickstart", "server-name.com", "--key", "ec-p256", "--keep", "kept", *_SUBJECT]) == 0
    with EmbeddedMachine("kept/machine.sqlite") as machine, machine.store("MY") as store:
        assert {entry.certificate.subject for entry in store} == {f"CN=server-name.com,{_BESIDE}"}
        assert {entry.certificate.issuer for entry in store} == {f"CN=SelfIssuedCA,{_BESIDE}"}


@pytest.mark.parametrize("name", ["some-other-name.example", "*.other.example", "::1"])
def test_quickstart_takes_every_name(place: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Even the one that it uses as the wrong one."""
    assert main(["quickstart", name, "--key", "ec-p256"]) == 0
    assert "refused" in output(capsys)


def test_quickstart_fails_loudly(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """When the client accepts what it must refuse, or the listener keeps the old certificate."""
    from mlsssl._commands import quickstart

    assert main(["quickstart", "not a name"]) == 2
    monkeypatch.setattr(quickstart, "_other_name", lambda host: host)
    assert main(["quickstart", "server-name.com"]) == 9
    assert "which it must refuse" in output(capsys)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "utf-8"])
def test_terminals_of_every_encoding(place: Path, encoding: str) -> None:
    """An arrow that the terminal cannot show becomes `->`; JSON stays JSON with the same content."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONIOENCODING": encoding}
    environment["PYTHONUTF8"] = "0"
    run = [sys.executable, "-m", "mlsssl", "quickstart", "server-name.com", "--key", "ec-p256"]
    done = subprocess.run(run, capture_output=True, check=False, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr.decode()
    assert (" → " if encoding == "utf-8" else " -> ") in done.stdout.decode(encoding)
    done = subprocess.run([*run, "--json"], capture_output=True, check=False, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr.decode()
    assert any(" → " in step["result"] for step in json.loads(done.stdout.decode(encoding))["steps"])


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full, which Linux has")
def test_output_that_cannot_be_written_is_told(issued: Path) -> None:
    """A full disk behind standard output: a line and exit code 9; a reader that went away: 141, in silence."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("PYTHONUNBUFFERED", None)
    for words in (["show", "ca.cer"], ["--version"], ["--help"], ["--json", "show"]):
        run = [sys.executable, "-m", "mlsssl", *words]
        with Path("/dev/full").open("wb") as full:
            done = subprocess.run(run, stdout=full, stderr=subprocess.PIPE, check=False, timeout=60, env=environment)
        assert (done.returncode, done.stderr.count(b"\n")) == (9, 1), words
        assert b"No space left" in done.stderr
        reading, writing = os.pipe()
        os.close(reading)
        try:
            done = subprocess.run(run, stdout=writing, stderr=subprocess.PIPE, check=False, timeout=60, env=environment)
        finally:
            os.close(writing)
        assert (done.returncode, done.stderr) == (141, b""), words


@pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full, which Linux has")
@pytest.mark.parametrize("where", ["full", "gone", "closed"])
def test_a_standard_error_that_takes_nothing_stops_no_work(issued: Path, where: str) -> None:
    """What is said there is beside the result: a full disk below a log, a reader that went away, or nothing at all."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("PYTHONUNBUFFERED", None)
    run = [sys.executable, "-m", "mlsssl"]
    if where == "closed":
        run = ["sh", "-c", 'exec "$@" 2>&-', "sh", *run]
    reading, writing = os.pipe()
    os.close(reading)
    deploy = ["-v", "--json", "deploy", "0.0.0.0:443", "server.pfx", "--password", "env:PW", "--machine", "new.sqlite"]
    try:
        with Path("/dev/full").open("wb") as full:
            beside = full if where == "full" else writing
            for words, code in ((deploy, 0), (["--json", "show", "missing"], 3)):
                done = subprocess.run(
                    [*run, *words], stdout=subprocess.PIPE, stderr=beside, check=False, timeout=60, env=environment
                )
                assert done.returncode == code
                assert json.loads(done.stdout)  # and nothing but the result
    finally:
        os.close(writing)


def test_json_may_stand_anywhere(issued: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the command, after its group, at the end; and a wrong word is told as JSON too."""
    for words in (["--json", "store", "list"], ["store", "--json", "list"], ["store", "list", "--json"]):
        assert main(words) == 0
        assert json.loads(capsys.readouterr().out) == []
    assert main(["store", "list"]) == 0
    assert "is empty" in capsys.readouterr().out
    assert main(["store", "list", "--nonsense", "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert (told["error"], told["exit_code"]) == ("UsageError", 2)


def test_update_moves_to_another_store(issued: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--store` alone keeps the certificate, and is refused when it is not there; the list shows --option's words."""
    thumbprint = str(Certificate.load("server.pfx", password=PASSWORD).thumbprint)
    assert main(["store", "add", "server.pfx", "--password", "env:PW"]) == 0
    timeout = ["--option", "url-retrieval-timeout=5000", "--option", "http2=no"]
    assert main(["binding", "add", "0.0.0.0:443", thumbprint, *timeout]) == 0
    assert main(["binding", "update", "0.0.0.0:443", "--store", "WebHosting"]) == 8
    assert "not in LocalMachine\\WebHosting" in output(capsys)
    assert main(["store", "add", "server.pfx", "--password", "env:PW", "--store", "WebHosting"]) == 0
    assert main(["binding", "update", "0.0.0.0:443", "--store", "WebHosting"]) == 0
    assert Binding.get("0.0.0.0:443").store_name == "WebHosting"
    capsys.readouterr()
    assert main(["binding", "list"]) == 0
    assert "url_retrieval_timeout=5000, http2=no" in output(capsys)
    assert main(["binding", "add", "ccs=443"]) == 0
    assert main(["binding", "update", "ccs=443", "--store", "MY"]) == 2


def test_a_new_key_or_certificate_is_never_lost(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A place that cannot hold both, or is taken, is refused before anything is made."""
    create = ["ca", "create", "R", "--key", "ec-p256", "--out"]
    assert main([*create, "r.cer"]) == 2
    assert "private key" in output(capsys)
    assert main([*create, "r.key"]) == 2
    assert "holds no certificate" in output(capsys)
    (place / "taken.cer").write_bytes(b"mine")
    assert main([*create, "r.pem", "--certificate-out", "taken.cer"]) == 4
    assert main([*create, str(place)]) == 2
    assert not (place / "r.pem").exists()
    assert main([*create, "r.key", "--certificate-out", "r.cer"]) == 0
    issue = ["issue", "a.test", "--ca", "r.cer", "--ca-key", "r.key", "--out"]
    for name in ("a.cer", "a.crt", "a.p7b", "a.key"):
        assert main([*issue, name]) == 2
        assert not (place / name).exists()
    assert main([*issue, "a.pem"]) == 0
    assert Certificate.load("a.pem").has_private_key


def crl_files(place: Path) -> tuple[CertificateAuthority, Certificate]:
    """first.crl (DER, empty) and second.pem (newer, names the certificate in bad.pem) of one authority; root.cer."""
    ca = CertificateAuthority.create("CLI \x1b[31m Lists", key="ec-p256")
    bad = ca.issue("bad.test", key="ec-p256")
    (place / "first.crl").write_bytes(ca.crl(number=1).to_der())
    (place / "second.pem").write_bytes(ca.crl([bad], number=2).to_pem())
    ca.certificate.save("root.cer")
    bad.save("bad.pem")
    return ca, bad


def test_revocation_lists_in_a_store(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Listed, added, renewed, refused when older, removed by file and by SHA-1; in the store CA by default."""
    crl_files(place)
    assert main(["store", "crls"]) == 0
    assert r"no revocation lists in LocalMachine\CA" in output(capsys)
    assert main(["store", "add-crl", "first.crl"]) == 0
    assert main(["store", "add-crl", "first.crl"]) == 0
    assert "there already" in output(capsys)
    assert main(["store", "add-crl", "second.pem", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["number"], row["entries"]) == (2, 1)
    assert main(["store", "add-crl", "first.crl"]) == 2
    assert "not newer" in output(capsys)
    assert main(["store", "crls"]) == 0
    shown = output(capsys)
    assert row["sha1"] in shown
    assert "\x1b" not in shown
    assert main(["store", "crls", "--json", "--store", "MY"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert main(["store", "remove-crl", "first.crl"]) == 3
    assert main(["store", "remove-crl", row["sha1"].upper()]) == 0
    assert main(["store", "remove-crl", row["sha1"]]) == 3
    assert main(["store", "add-crl", "second.pem"]) == 0
    assert main(["store", "remove-crl", "second.pem"]) == 0
    assert main(["store", "remove-crl", "missing.crl"]) == 3
    assert main(["store", "add-crl", "missing.crl"]) == 3
    assert exit_code(["store", "add-crl", "root.cer"]) == exit_code(["check", "first.crl"]) != 0
    assert main(["show", "first.crl"]) == 0
    assert row["issuer"] in output(capsys)
    with EmbeddedMachine() as machine:
        assert machine.store("CA").crls() == ()


def test_braces_that_powershell_took_are_told_everywhere(issued: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of an option of ours too, which would be said to lack its value."""
    guid = "4dc3e181-e14b-4a21-b022-59fc669b0914"
    for block, told in ((guid, f'"{{{guid}}}"'), ("hunter2", '"{...}"')):
        encoded = base64.b64encode(block.encode("utf-16-le")).decode()
        split = ["-encodedCommand", encoded, "-inputFormat", "xml", "-outputFormat", "text"]
        assert main(["deploy", "0.0.0.0:443", "server.pfx", "--app-id", *split]) == 2
        assert told in (said := output(capsys))
        assert "hunter2" not in said
    assert main(["deploy", "0.0.0.0:443", "server.pfx", "--app-id"]) == 2
    assert "--app-id" in output(capsys)


def test_a_store_is_exported(issued: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every certificate and never a key, in the form that the name or --format says; what was left out is said."""
    assert main(["store", "add", "server.pfx", "--password", "env:PW"]) == 0
    assert main(["store", "add", "ca.cer", "--store", "Root"]) == 0
    other = CertificateAuthority.create("Other", key="ec-p256")
    other.certificate.save("other.cer")
    assert main(["store", "add", "other.cer", "--store", "Root"]) == 0
    capsys.readouterr()
    assert main(["store", "export", "Root", "--out", "roots.pem"]) == 0
    assert output(capsys).splitlines() == [
        "Wrote 2 certificates of LocalMachine\\Root to roots.pem.",
        "Left out: nothing.",
    ]
    written = Certificate.load("roots.pem")
    roots = {one.common_name for one in (written, *written.chain)}
    assert roots == {"CLI Root", "Other"}
    for name, form in (
        ("my.p7b", []),
        ("my.bin", ["--format", "p7b"]),
        ("my.crt", []),
        ("my.txt", ["--format", "pem"]),
    ):
        assert main(["store", "export", "MY", "--out", name, *form]) == 0
        assert "Wrote 1 certificate of" in (told := output(capsys))
        assert "Left out: 1 private key." in told
        assert b"PRIVATE" not in Path(name).read_bytes()
        assert Certificate.load(name).thumbprint == Certificate.load("server.pfx", password=PASSWORD).thumbprint
    for words, code in (
        (["Root", "--out", "roots.pem"], 4),
        (["Disallowed", "--out", "new.pem"], 3),
        (["Root", "--out", "new.cer"], 2),
        (["Root", "--out", "new"], 2),
    ):
        assert main(["store", "export", *words]) == code
    assert not any(place.name.startswith("new") for place in issued.iterdir())
    assert main(["store", "export", "Root", "--out", "roots.pem", "--force", "--json"]) == 0
    capsys.readouterr()


def test_an_export_of_what_cannot_be_read(issued: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """PEM has every certificate as it is; PKCS#7 only those that can be read, and says how many were left out."""
    assert main(["store", "add", "ca.cer", "--store", "CA"]) == 0
    with EmbeddedMachine(os.environ["MLSSSL_MACHINE"]) as machine:
        damaged = (
            Certificate.load("server.pfx", password=PASSWORD).to_der().replace(b"server.test", b"\xff\xff\xffver.test")
        )
        with contextlib.closing(machine.port.open_store("CA", "LocalMachine", write=True)) as port:
            port.add(damaged, None, friendly_name=None, exportable=False, provider=None)
        with machine.store("CA") as store:
            total = len(store.to_pem().split(b"BEGIN CERTIFICATE")) - 1
            readable = len(list(store))
    capsys.readouterr()
    assert main(["store", "export", "CA", "--out", "all.pem", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["certificates"] == total == 2
    assert main(["store", "export", "CA", "--out", "all.p7b", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["certificates"], told["left_out"]["unreadable"]) == (readable, total - readable)


def test_a_folder_of_the_central_certificate_store(issued: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`ccs check` ends with 1 when a host gets no certificate; the password is asked for only where one is needed."""
    Path("share").mkdir()
    assert main(["ccs", "check", "share"]) == 0
    assert "is empty" in output(capsys)
    Path("share/server.test.pfx").write_bytes(Path("server.pfx").read_bytes())
    assert main(["ccs", "check", "share", "--password", "env:PW"]) == 0
    assert output(capsys).startswith("ok: 'share' has 1 file")
    assert main(["ccs", "check", "share"]) == 2
    assert "no terminal to ask at" in output(capsys)
    assert main(["ccs", "check", "share", "--password", "env:WRONG"]) == 1
    assert "ccs-password" in output(capsys)
    Path("share/10.0.0.5.pfx").write_bytes(Path("server.pfx").read_bytes())
    assert main(["ccs", "check", "share", "--password", "env:PW", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert [one["code"] for one in told["findings"]] == ["ccs-address"]
    assert (told["ok"], told["files"]) == (False, 2)
    assert main(["ccs", "check", "share", "--password", "env:PW", "--at", "2099-01-01"]) == 1
    assert "ccs-dates" in output(capsys)
    assert main(["ccs", "list", "share", "--password", "env:PW"]) == 0
    listed = output(capsys)
    assert "server.test" in listed
    assert "ccs-address" in listed
    assert main(["ccs", "list", "share", "--password", "env:PW", "--json"]) == 0
    assert [one["host"] for one in json.loads(capsys.readouterr().out)] == [None, "server.test"]
    assert main(["ccs", "check", "share", "--readable-by", "windows-95"]) == 2
    assert main(["ccs", "check", "nowhere"]) == 2


def test_check_takes_revocation_lists(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--crl` is looked up, `--revocation hard` demands one; without either nothing is said about lists."""
    crl_files(place)
    check = ["check", "bad.pem", "--no-key", "--host", "bad.test", "--trust", "root.cer"]
    assert main(check) == 0
    assert main([*check, "--crl", "first.crl"]) == 0
    assert main([*check, "--crl", "first.crl", "--crl", "second.pem"]) == 1
    assert "revoked" in output(capsys)
    assert main([*check, "--revocation", "hard", "--crl", "first.crl"]) == 0
    assert main([*check, "--revocation", "hard"]) == 1
    assert "crl-not-found" in output(capsys)
    assert exit_code([*check, "--crl", "root.cer"]) not in (0, 1)
    assert exit_code([*check, "--revocation", "maybe"]) == 2


def test_check_of_a_server_takes_revocation_lists(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same for what a live server sends."""
    _, bad = crl_files(place)
    with tls_server(bad) as server:
        check = ["check", f"127.0.0.1:{server.port}", "--host", "bad.test", "--trust", "root.cer"]
        assert main([*check, "--crl", "first.crl", "--revocation", "hard"]) == 0
        assert main([*check, "--crl", "second.pem"]) == 1
        assert "revoked" in output(capsys)
        assert main([*check, "--revocation", "hard"]) == 1
        assert "crl-not-found" in output(capsys)


def test_an_authoritys_revocation_list(issued: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Made, gone on from, and heard by `check`; what the next one leaves out counts as good again."""
    authority = ["--ca", "ca.pfx", "--ca-password", "env:PW"]
    issue = [
        "issue",
        "b.test",
        *authority,
        "--out",
        "b.pfx",
        "--password",
        "env:PW",
        "--crl-url",
        "http://c.test/1.crl",
    ]
    assert main(issue) == 0
    assert main(["ca", "crl", *authority, "--out", "1.crl", "--revoke", "b.cer"]) == 3
    Certificate.load("b.pfx", password=PASSWORD).without_key().save("b.cer")
    other = Certificate.load("server.pfx", password=PASSWORD)
    assert main(["ca", "crl", *authority, "--out", "1.crl", "--revoke", "b.cer", "--reason", "superseded"]) == 0
    check = ["check", "b.pfx", "--password", "env:PW", "--trust", "ca.cer", "--host", "b.test", "--revocation", "hard"]
    capsys.readouterr()
    assert main([*check, "--crl", "1.crl"]) == 1
    assert "superseded" in output(capsys)
    again = ["ca", "crl", *authority, "--previous", "1.crl", "--revoke", f"{other.serial_number:x}", "--out", "1.crl"]
    assert main(again) == 4
    assert main([*again, "--force"]) == 0
    assert "revokes 2" in output(capsys)
    assert main([*check, "--crl", "1.crl"]) == 1
    assert main(["ca", "crl", *authority, "--out", "2.pem"]) == 0
    assert main([*check, "--crl", "2.pem"]) == 0
    assert Path("2.pem").read_bytes().startswith(b"-----BEGIN X509 CRL-----")
    assert main(["ca", "crl", *authority, "--previous", "1.crl", "--revoke", "no such file", "--out", "3.crl"]) == 3
    assert not Path("3.crl").exists()


def test_the_address_of_a_list_needs_an_issuer(issued: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It goes into what stands below the authority: an intermediate has it, a root cannot."""
    create = ["ca", "create", "Below", "--key", "ec-p256", "--password", "env:PW", "--crl-url", "http://c.test/1.crl"]
    assert main([*create, "--out", "root.pfx"]) == 2
    assert "root has no issuer" in output(capsys)
    assert main([*create, "--out", "below.pfx", "--issuer", "ca.pfx", "--issuer-password", "env:PW"]) == 0
    certificate = Certificate.load("below.pfx", password=PASSWORD).to_cryptography()
    points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    assert points[0].full_name == [x509.UniformResourceIdentifier("http://c.test/1.crl")]


def test_the_systems_roots_and_a_file_together(issued: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither stands in the way of the other."""
    main(["ca", "create", "Bundle", "--key", "ec-p256", "--out", "b.pfx", "--password", "env:PW"])
    Certificate.load("b.pfx", password=PASSWORD).without_key().save("bundle.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(issued / "bundle.pem"))
    check = ["check", "server.pfx", "--password", "env:PW", "--host", "server.test"]
    assert main([*check, "--trust", "system"]) == 1
    assert main([*check, "--trust", "system", "--trust", "ca.cer"]) == 0


@pytest.mark.parametrize("reason", REVOCATION_REASONS)
def test_every_reason_for_revoking_is_one_of_cryptographys(reason: str) -> None:
    assert x509.ReasonFlags(reason).value == reason


def test_help_shows_the_defaults_of_the_library(capsys: pytest.CaptureFixture[str]) -> None:
    """They are stated in the signatures of its functions, and nowhere else."""
    for command, default in (
        ("ca create", 3652),
        ("ca crl", 30),
        ("issue", 199),
        ("check", "private"),
        ("deploy", "replace"),
        ("renew", "0.667"),
        ("serve", "127.0.0.1"),
        ("store list", "MY"),
        ("store crls", "CA"),
    ):
        assert exit_code([*command.split(), "--help"]) == 0
        assert f"(default: {default})" in " ".join(output(capsys).split())


def test_what_to_do_is_said_in_commands(issued: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """JSON keeps the library's own words, for programs."""
    plain = "the name ca.example.com (RFC 5280) has ipport=0.0.0.0:443"
    assert in_commands(plain) == plain
    check = ["check", "server.pfx", "--password", "env:PW", "--trust", "ca.cer", "--host", "other.test"]
    assert main(check) == 1
    assert "mlsssl issue other.test" in output(capsys)
    assert main([*check, "--json"]) == 1
    assert "ca.issue(" in output(capsys)
    assert main(["binding", "add", "0.0.0.0:443", "18e1628ac1cd7cae3495e718f87e5b6188193c81"]) == 8
    assert "mlsssl store add" in output(capsys)


def test_an_empty_password(issued: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """It opens a file without one, from every source; a file is written without one by that option alone."""
    monkeypatch.setenv("EMPTY", "")
    Path("empty.txt").write_text("\n")
    pfx = ["pfx", "server.pfx", "--in-password", "env:PW", "--out", "open.pfx"]
    assert main([*pfx, "--password", "env:EMPTY"]) == 2
    assert "is empty; --no-password writes" in output(capsys)
    assert main([*pfx, "--password", "env:PW", "--no-password"]) == 2
    assert not Path("open.pfx").exists()
    assert main([*pfx, "--no-password"]) == 0
    for source in ("env:EMPTY", "file:empty.txt"):
        assert main(["show", "open.pfx", "--password", source]) == 0
        assert main(["store", "import", "open.pfx", "--password", source]) == 0
        assert main(["deploy", "0.0.0.0:443", "open.pfx", "--password", source]) == 0
        assert main(["explain", "open.pfx", "--password", source]) == 0
    assert main(["show", "open.pfx"]) == 0
    capsys.readouterr()
    assert main(["show", "server.pfx", "--password", "env:EMPTY"]) == 6
    assert "protected by a password, and the one that was given is empty" in output(capsys)
    assert main(["ca", "create", "Open", "--key", "ec-p256", "--out", "open-ca.pfx", "--no-password"]) == 0
    issue = ["issue", "x.test", "--ca", "open-ca.pfx", "--ca-password", "env:EMPTY", "--out", "x.p12", "--no-password"]
    assert main(issue) == 0
    assert Certificate.load("x.p12").has_private_key


def test_a_file_with_several(issued: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--alias` chooses, under the name that it has in the command; what is left out is named on standard error."""
    ca = CertificateAuthority.load("ca.pfx", password=PASSWORD)
    one, two = ca.issue("one.test", "two.test", key="ec-p256"), ca.issue("two.test", key="ec-p256")
    text = b"".join(each.private_key_pem() + each.to_pem() for each in (one, two))
    Path("two.pem").write_bytes(text + ca.certificate.to_pem())
    alias = str(two.thumbprint)
    for words in (["show", "two.pem"], ["deploy", "0.0.0.0:443", "two.pem"], ["store", "add", "two.pem"]):
        assert main(words) == 6
        assert f"{alias}); say which is wanted with --alias ..." in output(capsys).replace(alias, f"{alias})")
        assert main([*words, "--alias", alias]) == 0
        captured = capsys.readouterr()
        assert f"two.pem: left out: CN=one.test, until {one.not_after:%Y-%m-%d}, {one.thumbprint}" in captured.err
    assert main(["check", "two.pem", "--trust", "ca.cer", "--host", "two.test", "--alias", alias]) == 0
    assert main(["pfx", "two.pem", "--out", "two.pfx", "--password", "env:PW", "--alias", alias]) == 0
    assert main(["explain", "two.pfx", "--password", "env:PW", "--alias", alias]) == 0
    assert main(["store", "import", "two.pfx", "--password", "env:PW", "--alias", alias]) == 0
    renew = ["renew", "0.0.0.0:443", "--certificate", "two.pem", "--alias"]
    assert main([*renew, str(one.thumbprint)]) == 0
    capsys.readouterr()
    assert main(["show", "two.pem", "--alias", "nobody"]) == 3
    assert "nothing in this file has the alias 'nobody'" in output(capsys)
    assert main(["--json", "show", "two.pem", "--alias", alias]) == 0
    assert len(json.loads(capsys.readouterr().out)["left_out"]) == 1
    authorities = b"".join(
        each._certificate.private_key_pem() + each.certificate.to_pem()
        for each in (ca, CertificateAuthority.create("Second", key="ec-p256"))
    )
    Path("cas.pem").write_bytes(authorities)
    issue = ["issue", "x.test", "--ca", "cas.pem", "--out", "x.pem"]
    assert main(issue) == 6
    assert "--ca-alias ..." in output(capsys)
    assert main([*issue, "--ca-alias", str(ca.certificate.thumbprint)]) == 0
    assert Certificate.load("x.pem").issuer == "CN=CLI Root"
    create = ["ca", "create", "Below", "--issuer", "cas.pem", "--out", "below.pem"]
    assert main(create) == 6
    assert "--issuer-alias ..." in output(capsys)
    assert main([*create, "--issuer-alias", str(ca.certificate.thumbprint)]) == 0


def test_a_bundle_of_certificates_that_may_not_issue_is_taken_whole(
    issued: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Self-signed server certificates are trusted each by itself; MakeCert's roots had no basicConstraints either."""
    first, second = (made_certificates.make(name) for name in ("one.test", "two.test"))
    Path("both.pem").write_bytes(first.pem + second.pem)
    Path("second.pem").write_bytes(second.pem)
    assert main(["check", "second.pem", "--trust", "both.pem", "--no-key"]) == 0
    assert main(["store", "add", "both.pem", "--store", "Root"]) == 0
    assert "left out" not in output(capsys)
    with EmbeddedMachine(os.environ["MLSSSL_MACHINE"]) as machine:
        assert {entry.thumbprint for entry in machine.store("Root")} == {first.thumbprint, second.thumbprint}


def test_the_question_names_the_file_that_is_locked(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The certificate's file, that of its key, or both with a password each; nobody is asked about an open one."""
    certificate = CertificateAuthority.create("Authority", key="ec-p256").issue("a.test")
    certificate.save("open.crt")
    certificate.save("locked.key", password="key's")
    certificate.save("locked.pfx", password="pfx's")
    certificate.save("locked.pem", password="pem's")
    show = ["show", "open.crt", "--key", "locked.key"]
    monkeypatch.setattr(sys, "stdin", None)
    assert main(show) == 2
    assert "the password of locked.key is needed" in output(capsys)
    assert main(["issue", "b.test", "--ca", "open.crt", "--ca-key", "locked.key", "--out", "b.pem"]) == 2
    assert "the password of locked.key is needed" in output(capsys)

    asked: list[str] = []
    answers = {"locked.key": "key's", "locked.pfx": "pfx's", "locked.pem": "pem's"}

    def ask(purpose: str, *, confirm: bool) -> str:
        assert not confirm
        asked.append(purpose.removeprefix("the password of "))
        return answers[asked[-1]]

    monkeypatch.setattr("mlsssl._commands.terminal._ask", ask)
    for words, questions in (
        (show, ["locked.key"]),
        (["show", "locked.pfx"], ["locked.pfx"]),
        (["show", "locked.pfx", "--key", "locked.key"], ["locked.pfx", "locked.key"]),
        (["show", "locked.pem"], ["locked.pem"]),
        (["show", "open.crt"], []),
    ):
        asked.clear()
        assert main(words) == 0, words
        assert asked == questions
    answers["locked.key"] = "another"
    assert main(show) == 6
    assert asked == ["locked.key"]
