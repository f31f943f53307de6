"""Programs as issuers: what they are given, what of their answer is taken, and how the command line ends."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING

import pytest

from issuing import AUTHORITY
from mlsssl import (
    Binding,
    Certificate,
    CertificateAuthority,
    CertificateRequest,
    CommandIssuer,
    EmbeddedMachine,
    InvalidInputError,
    IssuePendingError,
    Issuer,
    IssuerError,
    NotFoundError,
    deploy,
)
from mlsssl._machine.programs import split_command
from mlsssl.cli import main

if TYPE_CHECKING:
    from pathlib import Path

KEY = "0.0.0.0:443"
STRANGER = CertificateAuthority.create("Else", key="ec-p256")
ROOT = AUTHORITY.certificate.without_key()
REQUEST = CertificateRequest.create("a.test", "10.0.0.5", key="ec-p256").without_key()
SIGN = """
import os, sys
from mlsssl import CertificateAuthority, CertificateRequest
text = sys.stdin.buffer.read()
request = CertificateRequest.from_bytes(text)
assert os.environ["MLSSSL_REQUEST"] == request.fingerprint
assert os.environ["MLSSSL_NAMES"].split() == list(request.names)
assert "PRIVATE KEY" not in text.decode()
sys.stdout.buffer.write(CertificateAuthority.load(sys.argv[1]).sign(request).to_pem(chain=True))
"""


@pytest.fixture(autouse=True)
def _few_system_roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tmp_path / "system.pem"
    bundle.write_bytes(CertificateAuthority.create("System", key="ec-p256").certificate.to_pem())
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))


def program(tmp_path: Path, source: str) -> list[str]:
    """A command that runs this Python; a file, so that the command line can name it too."""
    file = tmp_path / "program.py"
    file.write_text(source, encoding="utf-8")
    return [sys.executable, str(file)]


def line(command: list[str]) -> str:
    """A command as `--issuer-command` takes it."""
    return " ".join(f'"{word}"' for word in command)


def test_a_program_issues(tmp_path: Path) -> None:
    authority = AUTHORITY.save(tmp_path / "ca.pem", no_password=True)
    issuer = CommandIssuer([*program(tmp_path, SIGN), str(authority)], issued_by=ROOT)
    assert isinstance(issuer, Issuer)
    answer = issuer.issue(REQUEST, old=None)
    assert REQUEST.matches(answer)
    assert answer.names == ("a.test", "10.0.0.5")
    assert not answer.has_private_key
    assert issuer.issued(answer)
    assert not issuer.issued(STRANGER.issue("a.test"))


@pytest.mark.parametrize("form", ["pem", "der", "p7b", "json"])
def test_every_form_of_certificate_is_read(tmp_path: Path, form: str) -> None:
    middle = AUTHORITY.create_intermediate("Middle", key="ec-p256")
    made = middle.sign(REQUEST)
    data = {
        "pem": made.to_pem(chain=True),
        "der": made.to_der(),
        "p7b": made.to_pkcs7(),
        "json": json.dumps({"certificate": made.to_pem().decode()}).encode(),
    }[form]
    source = f"import sys; sys.stdin.read(); sys.stdout.buffer.write({data!r})"
    issuer = CommandIssuer(program(tmp_path, source), issued_by=[middle.certificate])
    answer = issuer.issue(REQUEST, old=None)
    assert answer.thumbprint == made.thumbprint
    assert middle.certificate in answer.chain, "the intermediate that clients need is added where it is left out"


def test_the_old_certificate_is_handed_over(tmp_path: Path) -> None:
    old = AUTHORITY.issue("a.test")
    source = "import os, sys; print(os.environ['MLSSSL_OLD_CERTIFICATE'], os.environ['WORD'])"
    issuer = CommandIssuer(program(tmp_path, source), issued_by=ROOT, environment={"WORD": "said"})
    assert issuer.issue(REQUEST, old=old).thumbprint == old.thumbprint
    with pytest.raises(IssuerError, match="KeyError"):
        issuer.issue(REQUEST, old=None)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import sys; sys.exit('the name is not\\x1b yours')", r"ended with 1: the name is not\\x1b yours$"),
        ("", "wrote no certificate on standard output"),
        ("print('hello')", "gave no certificate that can be read"),
        (
            f"print('''{CertificateAuthority.create('Else', key='ec-p256').issue('a.test').to_pem().decode()}''')",
            "Else",
        ),
        ("import sys; sys.stderr.write('x ' * 5000); sys.exit(2)", "ended with 2: (x ){250}…$"),
        ("import os\nwhile True: os.write(1, b'x' * 65536)", "was ended, since it wrote more than 1048576 bytes"),
    ],
    ids=["refuses", "silent", "text", "authority", "chatty", "endless"],
)
def test_what_is_no_answer_is_said(tmp_path: Path, source: str, message: str) -> None:
    issuer = CommandIssuer([*program(tmp_path, source), "--token=sesame"], issued_by=ROOT, name="signing desk")
    with pytest.raises(IssuerError, match=message) as raised:
        issuer.issue(REQUEST, old=None)
    assert raised.value.issuer == "signing desk"
    assert not isinstance(raised.value, IssuePendingError)
    assert "sesame" not in f"{raised.value} {issuer!r}"


def test_no_answer_yet_is_its_own_code(tmp_path: Path) -> None:
    issuer = CommandIssuer(program(tmp_path, "import sys; print('x', file=sys.stderr); sys.exit(13)"), issued_by=ROOT)
    with pytest.raises(IssuePendingError, match="has no answer yet: x; the next try asks with the same request"):
        issuer.issue(REQUEST, old=None)


def test_a_program_has_its_time(tmp_path: Path) -> None:
    issuer = CommandIssuer(program(tmp_path, "import time; time.sleep(600)"), issued_by=ROOT, timeout=0.5)
    begun = time.monotonic()
    with pytest.raises(IssuerError, match=r"was ended, since it was not done after 0\.5 seconds"):
        issuer.issue(REQUEST, old=None)
    assert time.monotonic() - begun < 60


def test_arguments_are_checked(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="list of texts"):
        CommandIssuer("sign --quiet", issued_by=ROOT)
    with pytest.raises(InvalidInputError, match="none was given"):
        CommandIssuer(["sign"], issued_by=[])
    with pytest.raises(InvalidInputError, match="number of seconds"):
        CommandIssuer(["sign"], issued_by=ROOT, timeout=0)
    with pytest.raises(InvalidInputError, match="variables to texts"):
        CommandIssuer(["sign"], issued_by=ROOT, environment={"A": 1})  # type: ignore[dict-item]
    with pytest.raises(InvalidInputError, match="not empty"):
        CommandIssuer(["sign"], issued_by=ROOT, name="")
    issuer = CommandIssuer([str(tmp_path / "missing")], issued_by=ROOT)
    assert issuer.name == "missing"
    with pytest.raises(NotFoundError, match="there is no program"):
        issuer.issue(REQUEST, old=None)


@pytest.mark.parametrize(
    ("windows", "text", "words"),
    [
        (False, "sign --name 'a b' c\\ d", ["sign", "--name", "a b", "c d"]),
        (
            True,
            r'"C:\Program Files\sign.exe" --out C:\x "a b"',
            [r"C:\Program Files\sign.exe", "--out", r"C:\x", "a b"],
        ),
        (False, "sign 'a", None),
        (True, 'sign "a', None),
    ],
)
def test_a_command_line_is_split_without_a_shell(windows: bool, text: str, words: list[str] | None) -> None:
    if words is not None:
        assert split_command(text, "--x", windows=windows) == words
        return
    with pytest.raises(InvalidInputError, match="the quotes in --x"):
        split_command(text, "--x", windows=windows)


# -- the command line ------------------------------------------------------------------------------------------------


@pytest.fixture(name="root_file")
def _root_file(tmp_path: Path) -> str:
    return str(ROOT.save(tmp_path / "root.cer"))


def bound(tmp_path: Path) -> Certificate:
    with EmbeddedMachine(tmp_path / "m.sqlite") as machine:
        found = Binding.get(KEY, machine=machine).certificate
        assert found is not None
        return found


def test_deploy_and_renew_from_a_program(tmp_path: Path, root_file: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The first certificate for the names of `--host`; again nothing; then the renewal."""
    authority = AUTHORITY.save(tmp_path / "ca.pem", no_password=True)
    command = line([*program(tmp_path, SIGN), str(authority)])
    issuer = ["--machine", str(tmp_path / "m.sqlite"), "--issuer-command", command, "--issued-by", root_file]
    names = ["--host", "a.test", "--host", "10.0.0.5"]
    assert main(["deploy", KEY, *names, *issuer, "--plan"]) == 0
    assert "ask " in capsys.readouterr().out
    assert not (tmp_path / "m.sqlite").exists()
    assert main(["deploy", KEY, *names, *issuer]) == 0
    first = bound(tmp_path)
    assert first.names == ("a.test", "10.0.0.5")
    assert main(["deploy", KEY, *names, *issuer]) == 0
    assert bound(tmp_path) == first
    assert main(["renew", "--all", "--due", *issuer]) == 10
    assert main(["renew", "--all", *issuer]) == 0
    assert bound(tmp_path).names == first.names
    assert bound(tmp_path) != first


@pytest.mark.parametrize(("ended", "code"), [(13, 13), (2, 11)])
def test_commands_end_with_codes_of_their_own(
    tmp_path: Path, root_file: str, capsys: pytest.CaptureFixture[str], ended: int, code: int
) -> None:
    """`deploy` with the issuer's; `renew`, which goes on with other bindings, with 9 for a refusal."""
    command = line(program(tmp_path, f"import sys; sys.exit({ended})"))
    machine = str(tmp_path / "m.sqlite")
    with EmbeddedMachine(machine) as there:
        deploy(KEY, AUTHORITY.issue("a.test"), machine=there)
    issuer = ["--machine", machine, "--issuer-command", command, "--issued-by", root_file]
    before = bound(tmp_path)
    assert main(["deploy", KEY, "--host", "b.test", *issuer]) == code
    assert "program.py" not in capsys.readouterr().err
    assert main(["--json", "renew", KEY, *issuer]) == (13 if ended == 13 else 9)
    (result,) = json.loads(capsys.readouterr().out)["results"]
    assert result["result"] == ("pending" if ended == 13 else "failed")
    assert bound(tmp_path) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--issuer-command", "sign"], "needs --issued-by"),
        (["--issuer-command", "sign", "--ca", "ca.pfx"], "--ca and --issuer-command each name an issuer"),
        (["--ca", "ca.pfx", "--issued-by", "root.cer"], "--issued-by is for --issuer-command"),
        (["--issuer-timeout", "3"], "--issuer-timeout is for --issuer-command"),
        ([], "--ca, --issuer-command, --adcs or --acme"),
    ],
)
def test_options_that_do_not_go_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    for words in (["renew", "--all"], ["deploy", KEY]):
        with EmbeddedMachine(tmp_path / "m.sqlite"):
            pass
        assert main([*words, "--machine", str(tmp_path / "m.sqlite"), *options]) == 2
        assert message in capsys.readouterr().err
