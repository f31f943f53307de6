"""What a newcomer's mistakes are told: one plain sentence in the words of the command line, and its exit code."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import pytest

from mlsssl import CertificateAuthority, EmbeddedMachine, UrlReservation, cleanup, deploy, renew
from mlsssl.cli import main

if TYPE_CHECKING:
    from pathlib import Path

NOBODY = "0" * 40
CA = "--ca ca.pfx --ca-password env:PW"
BIND = "binding add 0.0.0.0:447 HASH"
DEPLOY = "deploy 0.0.0.0:448 s.pfx --password env:PW"
RENEW = f"renew 0.0.0.0:443 {CA}"
NETSH = "netsh http"
SSLCERT = f"{NETSH} add sslcert ipport=0.0.0.0:555"

PYTHON = re.compile(
    r"""\w\(\.\.\.|\w\(\)|\b[a-z_]+=(?=[\[{"']|True|False|None)|\b(?:ca|cert|store|machine)\.[a-z_]+\(|\bNone\b|\bTrue\b|\btimedelta\b"""
    r"""|\bdatetime\b|\b(?:Store|Certificate|CertificateAuthority|CertificateRequest|EmbeddedMachine)\b|\bdict\b|\[Errno"""
    r"""|\bcodec\b|Traceback|defect"""
)
"""Words that nobody at a command line has seen."""

MISTAKES: list[tuple[str, int, str]] = [
    # files and passwords
    ("check nowhere.pfx", 3, "there is no file nowhere.pfx"),
    ("check .", 2, ". is a folder, not a file"),
    ("check s.pfx --password env:WRONG", 6, "s.pfx: this password does not open the PFX"),
    ("check s.pfx --password secret-22", 2, "a password comes from env:NAME, file:PATH, stdin or prompt"),
    ("check s.pfx --password env:NOWHERE", 2, "the environment has no variable 'NOWHERE' for the password of s.pfx"),
    ("check s.pfx", 2, "the password of s.pfx is needed, and there is no terminal to ask at"),
    ("check s.pfx --password env:PW --trust nowhere.cer", 3, "there is no file nowhere.cer"),
    ("check s.pfx --password env:PW --crl ca.cer", 6, "a revocation list is needed, and this is a certificate"),
    ("show ca.crl.txt", 3, "there is no file ca.crl.txt"),
    ("pvk2pfx -pvk ca.cer -spc ca.cer -pfx o.pfx", 6, "ca.cer with ca.cer: a private key is needed"),
    ("audit --from ca.cer", 6, "ca.cer: this is no JSON text: it is not in UTF-8, UTF-16 or UTF-32"),
    # hosts and ports
    ("check 127.0.0.1:1", 9, "nothing listens on 127.0.0.1:1"),
    ("check a.test:99999", 2, "a port is a number from 1 to 65535"),
    ("check localhost", 3, "a server is given with its port: localhost:443"),
    ("check s.pfx --password env:PW --host https://a.test/", 2, "is a URL; write its host alone"),
    ("serve --host nohost.invalid --seconds 0", 9, "there is no address for the host 'nohost.invalid': "),
    ("serve --port 443=99999", 2, "a port is mapped as BOUND=ACTUAL, two numbers up to 65535 such as 443=8443"),
    ("serve --port 443", 2, "a port is mapped as BOUND=ACTUAL, two numbers up to 65535 such as 443=8443"),
    # days
    (f"issue b.test {CA} --out x.pem --days 0", 2, "mlsssl: --days is a whole number from 1 to 36500, not 0"),
    (f"issue b.test {CA} --out x.pem --days 1y", 2, "argument --days: a whole number is needed, not '1y'"),
    (f"issue b.test {CA} --out x.pem --country Germany", 2, "--country is a country's two letters, such as DE"),
    ("ca create X --out y.pem --path-length -1", 2, "--path-length is a whole number from 0 to 99, not -1"),
    (f"ca crl {CA} --out c.crl --number -1", 2, "a list's number is at least 0, not -1"),
    ("cleanup --grace -1", 2, "argument --grace: a number of days from 0 up is needed, not '-1'"),
    ("cleanup --grace 1e300", 2, "argument --grace: a number of days from 0 up is needed"),
    (f"{RENEW} --grace x", 2, "argument --grace: a number of days from 0 up is needed, not 'x'"),
    (f"{RENEW} --fraction 2", 2, "--fraction is a share of the lifetime, above 0 up to 1, not 2.0"),
    (f"{RENEW} --days 0", 9, "0.0.0.0:443: failed: --days is a whole number from 1 to 36500, not 0"),
    (f"{DEPLOY} --after true --after-timeout 0", 2, "argument --after-timeout: a number of seconds above 0 is needed"),
    # bindings
    ("binding remove 0.0.0.0:9999", 3, "nothing is bound to 0.0.0.0:9999, nor to any other key of port 9999"),
    ("binding remove 10.0.0.5:443", 3, "nothing is bound to 10.0.0.5:443; bound to that port: 0.0.0.0:443"),
    ("reservation remove https://+:449/", 3, "https://+:449/ is not reserved, nor is anything else on port 449"),
    ("reservation remove https://+:443/", 3, "is not reserved; reserved on that port: https://+:443/mls/"),
    ("undo 0.0.0.0:9999", 3, "there is no deploy or renew of 0.0.0.0:9999 to undo"),
    ("binding add 443 HASH", 2, "'443' is a port alone; write 0.0.0.0:443 for every address"),
    ("binding add 999.0.0.1:443 HASH", 2, "mlsssl: '999.0.0.1' is not an IPv4 or IPv6 address\n"),
    (f"binding add 0.0.0.0:447 {NOBODY}", 8, "add it with its private key: mlsssl store add FILE"),
    (f"{BIND} --option tls13", 2, "--option takes name=value, such as --option tls13=yes; not 'tls13'"),
    (f"{BIND} --option tsl13=no", 2, "there is no 'tsl13'; did you mean tls"),
    (f"{BIND} --option ctl-identifier", 2, "--option takes name=value, such as --option ctl_identifier=VALUE"),
    ("deploy 0.0.0.0:443", 2, "deploy takes one of these: a certificate file, --thumbprint of one in the store"),
    ("deploy s.pfx", 2, "the binding's key comes before the certificate, such as deploy 0.0.0.0:443 s.pfx"),
    ("deploy 0.0.0.0:443 s.pfx --dry-run", 2, "there is no option --dry-run; did you mean --plan?"),
    ("cleanup --plan", 2, "there is no option --plan; did you mean --dry-run?"),
    ("store ls", 2, "there is no command ls; did you mean list?"),
    ("ca create X --out y", 2, "the suffix of a file chooses its format, and 'y' has none: .pfx .p12 .pem"),
    ("deploy s.pfx 0.0.0.0:443", 3, "the binding's key comes first: deploy 0.0.0.0:443 s.pfx"),
    ("deploy 0.0.0.0:443 HASH", 3, "a thumbprint is given as --thumbprint "),
    (f"{DEPLOY} --key-type rsa-2048", 2, "--key-type is for an issuer, which certifies a new key"),
    ("renew", 2, "renew takes the keys of bindings, or --all"),
    (f"renew --all {CA} --watch", 2, "--watch needs --due, or each round would renew everything again"),
    (
        "schedule install renew --all",
        2,
        "what is scheduled is renew with --due, or each run would renew everything again",
    ),
    (
        "pfx s.pfx --in-password env:PW --out x.pfx --no-password --readable-by win",
        2,
        "--readable-by is one of windows",
    ),
    (f"ca issue-client '' {CA} --out c.pfx --no-password", 2, "mlsssl ca issue-client 'Alice Example'"),
    # netsh
    *(
        (f"netsh {line}", 2, "")
        for line in (
            "",
            "htp show sslcert",
            "http sow sslcert",
            "http show sslcrt",
            "http show sslcert ipprt=0.0.0.0:443",
            "http show sslcert ipport=0.0.0.0",
            "http show sslcert ipport=0.0.0.0:99999",
            "http delete sslcert",
            "http delete urlacl url=nonsense",
            "http add iplisten ipaddress=1.2.3",
            "http add timeout timeouttype=frob value=1",
            "http add timeout timeouttype=headerwaittimeout value=one",
            "interface show",
        )
    ),
    (SSLCERT, 2, "appid is needed"),
    (f"{SSLCERT} certhsh={NOBODY} appid={{00000000-0000-0000-0000-000000000000}}", 2, "certhash is meant, perhaps"),
    (f"{SSLCERT} certhash=zz appid={{00000000-0000-0000-0000-000000000000}}", 2, "a thumbprint is 40 hex digits"),
    (f"{SSLCERT} certhash={NOBODY} appid=1", 2, "appid is a GUID such as {"),
    (f"{NETSH} show sslcert ipport=10.9.9.9:443", 3, "nothing is bound to 10.9.9.9:443"),
    (f"{NETSH} delete sslcert ipport=10.9.9.9:443", 3, "nothing is bound to 10.9.9.9:443"),
    (f"{NETSH} show sslcert --machine", 2, "mlsssl netsh: --machine needs a value\nTry 'mlsssl netsh --help'."),
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority, a certificate, and a machine in which one is bound and a URL reserved."""
    folder = tmp_path_factory.mktemp("mistakes")
    ca = CertificateAuthority.create("Mistakes", key="ec-p256")
    ca.save(folder / "ca.pfx", password="secret-22")
    ca.certificate.save(folder / "ca.cer")
    certificate = ca.issue("a.test")
    certificate.save(folder / "s.pfx", password="secret-22")
    with EmbeddedMachine(folder / "m.sqlite") as machine:
        deploy("0.0.0.0:443", certificate, machine=machine)
        UrlReservation("https://+:443/mls/", user="SYSTEM", machine=machine).add()
    (folder / "hash.txt").write_text(str(certificate.thumbprint), encoding="utf-8")
    return folder


@pytest.mark.parametrize(("line", "code", "said"), MISTAKES, ids=[line for line, _, _ in MISTAKES])
def test_a_mistake_is_told_in_a_plain_sentence(
    prepared: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    line: str,
    code: int,
    said: str,
) -> None:
    """With the exit code that the documentation has for it, nothing of Python in it, and no password."""
    monkeypatch.chdir(prepared)
    monkeypatch.setenv("MLSSSL_MACHINE", "m.sqlite")
    monkeypatch.setenv("PW", "secret-22")
    monkeypatch.setenv("WRONG", "another")
    words = shlex.split(line.replace("HASH", (prepared / "hash.txt").read_text(encoding="utf-8")))
    try:
        ended = main(words)
    except SystemExit as stop:
        ended = int(stop.code or 0)
    captured = capsys.readouterr()
    told = captured.out + captured.err
    assert ended == code, told
    assert said in told
    assert told
    assert not PYTHON.search(told), told
    assert "secret-22" not in told


def test_words_of_python_are_seen() -> None:
    """By the test above."""
    for text in (
        "run ca.issue(...)",
        "recover()",
        "days is None",
        "trust=[root]",
        "not datetime.timedelta(1)",
        "{}, not dict",
    ):
        assert PYTHON.search(text), text


def test_what_a_cleanup_would_do(prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Is not what it did: `--dry-run` says "would" for what would be removed and what would stay."""
    ca = CertificateAuthority.load(prepared / "ca.pfx", password="secret-22")
    file = str(tmp_path / "m.sqlite")
    with EmbeddedMachine(file) as machine:
        old = deploy("0.0.0.0:443", ca.issue("a.test"), machine=machine).after.thumbprint
        deploy("0.0.0.0:444", ca.issue("a.test"), machine=machine)
        renew("0.0.0.0:443", ca, machine=machine)
        assert str(cleanup(machine=machine)).startswith(f"kept {old}: its grace lasts until ")
    capsys.readouterr()
    for options, words in (
        (["--dry-run"], "would keep {}: its grace lasts until "),
        (["--dry-run", "--grace", "0"], "would remove {} from LocalMachine\\MY"),
        (["--grace", "0"], "removed {} from LocalMachine\\MY"),
    ):
        assert main(["cleanup", "--machine", file, *options]) == 0
        assert capsys.readouterr().out.startswith(words.format(old))
    assert main(["cleanup", "--machine", file, "--dry-run"]) == 0
    assert capsys.readouterr().out == "no certificate was superseded\n"
