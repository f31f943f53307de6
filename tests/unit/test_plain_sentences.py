"""What a newcomer's mistakes are told: one plain sentence in the words of the command line, and its exit code."""

from __future__ import annotations

import argparse
import re
import shlex
from typing import TYPE_CHECKING

import pytest

from mlsssl import CertificateAuthority, CertificateRequest, EmbeddedMachine, UrlReservation, cleanup, deploy, renew
from mlsssl._commands.parser import binding_key
from mlsssl.cli import build_parser, main

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
    ("audit --from ca.cer", 6, "ca.cer: this is no JSON text: it is not in UTF-8, UTF-16 or UTF-32; --from reads what"),
    (f"ca crl {CA} --out c.crl --reason superseded", 2, "nothing is to be revoked: --revoke FILE|SERIAL"),
    (f"ca crl {CA} --out c.crl --revoke s.pfx", 2, "give the certificate's file without its key (.cer), or its serial"),
    (f"ca crl {CA} --out c.crl --revoke {'f' * 40}", 2, "is no serial number but a thumbprint, perhaps; give the"),
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
    (f"ca crl {CA} --out c.crl --number -1", 2, "--number is at least 0, not -1"),
    ("cleanup --grace -1", 2, "argument --grace: a number of days from 0 up is needed, not '-1'"),
    ("cleanup --grace 1e300", 2, "argument --grace: a number of days from 0 up is needed"),
    (f"{RENEW} --grace x", 2, "argument --grace: a number of days from 0 up is needed, not 'x'"),
    (f"{RENEW} --fraction 2", 2, "--fraction is a share of the lifetime, above 0 up to 1, not 2.0"),
    (f"{RENEW} --days 0", 2, "mlsssl: --days is a whole number from 1 to 36500, not 0"),
    (f"renew --all --due {CA} --days 0", 2, "mlsssl: --days is a whole number from 1 to 36500, not 0"),
    (f"issue --names hash.txt {CA} --out folder --no-password --days 0", 2, "mlsssl: --days is a whole number from 1"),
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
    (f"deploy 0.0.0.0:443 b.test {CA}", 2, "; what an issuer is to certify is named by --host b.test"),
    ("binding add 0.0.0.0:447", 2, "a binding for 0.0.0.0:447 needs a certificate: the thumbprint of one in a store"),
    ("binding add 0.0.0.0:447 s.pfx", 2, "; 'mlsssl deploy' takes a file, 'mlsssl store list' shows thumbprints"),
    ("store remove a.test", 2, "; 'mlsssl deploy' takes a file, 'mlsssl store list' shows thumbprints"),
    ("store list --store Personal", 3, "; what Windows' snap-in shows as Personal is the store MY"),
    ("ca create CN=Mine --out y.pem --no-password", 2, "a common name is given without CN= in front, not as 'CN=Mine'"),
    (f"ca issue-client 'cn = Alice' {CA} --out y.pem --no-password", 2, "is given without CN= in front"),
    (f"issue b.test,c.test {CA} --out y.pem --no-password", 2, "several names are given one by one, without commas"),
    ("issue b.test --ca ca.cer --out y.pem --no-password", 2, "; the .pfx or .pem that it was saved to has it"),
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
    CertificateRequest.create("a.test", key="ec-p256").save(folder / "r.csr")
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


ACME = "--acme https://acme.test/ --acme-agree-terms"
OUT_OF_RANGE = {
    "ca create --days": "ca create X --out y.pem --no-password --days 0",
    "ca create --path-length": "ca create X --out y.pem --no-password --path-length 100",
    "ca renew --days": f"ca renew {CA} --out y.pem --bridge-out z.pem --no-password --days 0",
    "ca issue-client --days": f"ca issue-client Alice {CA} --out y.pem --no-password --days -1",
    "ca crl --days": f"ca crl {CA} --out c.crl --days 0",
    "ca crl --number": f"ca crl {CA} --out c.crl --number -1",
    "issue --days": f"issue b.test {CA} --out y.pem --no-password --days 40000",
    "request sign --days": f"request sign r.csr {CA} --out y.pem --days 0",
    "request sign --minimum-rsa-bits": f"request sign r.csr {CA} --out y.pem --minimum-rsa-bits -1",
    "serve --seconds": "serve --seconds -1",
    "deploy --adcs-request-id": r"deploy 0.0.0.0:443 --host a.test --adcs 'h\c' --adcs-request-id -1",
    "renew --adcs-request-id": r"renew 0.0.0.0:443 --adcs 'h\c' --adcs-request-id -1",
    "deploy --issuer-timeout": "deploy 0.0.0.0:443 --host a.test --issuer-command true --issuer-timeout 0",
    "renew --issuer-timeout": "renew 0.0.0.0:443 --issuer-command true --issuer-timeout 0",
    "deploy --acme-timeout": f"deploy 0.0.0.0:443 --host a.test {ACME} --acme-listen :80 --acme-timeout 0",
    "renew --acme-timeout": f"renew 0.0.0.0:443 {ACME} --acme-listen :80 --acme-timeout nan",
    "revoke --acme-timeout": f"revoke s.pfx --password env:PW {ACME} --acme-timeout 0",
    "deploy --acme-dns-wait": f"deploy 0.0.0.0:443 --host a.test {ACME} --acme-dns-hook true --acme-dns-wait -1",
    "renew --acme-dns-wait": f"renew 0.0.0.0:443 {ACME} --acme-dns-hook true --acme-dns-wait inf",
    "deploy --after-timeout": f"{DEPLOY} --after true --after-timeout 0",
    "renew --after-timeout": f"{RENEW} --after true --after-timeout -1",
    "undo --after-timeout": "undo 0.0.0.0:443 --after true --after-timeout 0",
    "recover --after-timeout": "recover --after true --after-timeout 0",
    "renew --days": f"{RENEW} --days 99999999",
    "renew --grace": f"{RENEW} --grace -1",
    "renew --fraction": f"{RENEW} --fraction 0",
    "renew --jitter": f"{RENEW} --jitter 2",
    "renew --interval": f"renew --all --due {CA} --watch --interval 0",
    "cleanup --grace": "cleanup --grace -1",
    "schedule install --every": f"schedule install --every 0 renew --all --due {CA}",
}
"""A command line for each option that is a number, with one that cannot be."""


def test_the_options_that_are_numbers() -> None:
    """All are in the table above."""
    found = set()
    parsers: list[argparse.ArgumentParser] = [build_parser()]
    while parsers:
        parser = parsers.pop()
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                parsers += action.choices.values()
            elif action.type is not None and action.type is not binding_key:
                found.add(f"{parser.prog.removeprefix('mlsssl ')} {action.option_strings[-1]}")
    assert found == {*OUT_OF_RANGE}


@pytest.mark.parametrize("option", OUT_OF_RANGE)
def test_a_number_that_cannot_be_is_wrong_usage(
    prepared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    """Exit code 2 wherever it stands, and the message names the option; nothing is written."""
    monkeypatch.chdir(prepared)
    monkeypatch.setenv("MLSSSL_MACHINE", "m.sqlite")
    monkeypatch.setenv("PW", "secret-22")
    there = {*prepared.iterdir()}
    assert main(shlex.split(OUT_OF_RANGE[option])) == 2
    error = capsys.readouterr().err
    assert option.split()[-1] in error.partition("\n")[0]
    assert {*prepared.iterdir()} == there


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
