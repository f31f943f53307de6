"""The words of a command line: dashes, options before the command, URLs, what is mistyped, and how much is told."""

from __future__ import annotations

import argparse
import io
import json
import logging
import re
from typing import TYPE_CHECKING

import pytest

from mlsssl import Certificate, CertificateAuthority, EmbeddedMachine, InvalidInputError, audit, deploy
from mlsssl._commands import terminal
from mlsssl._commands.addresses import endpoint_of, key_of
from mlsssl._commands.also_called import _ALSO_CALLED
from mlsssl._commands.remedies import in_commands
from mlsssl._messages.foreign_text import clean_logger
from mlsssl.cli import OLD_COMMANDS, build_parser, main
from mlsssl.testing import tls_server

if TYPE_CHECKING:
    from pathlib import Path

DASHES = ["–", "—", "-", "−", "‐", "―", "––", "﹣", "---"]
"""What word processors and web pages make of two hyphens, and what fingers make of them."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority, certificates and a machine in which one is bound."""
    folder = tmp_path_factory.mktemp("words")
    ca = CertificateAuthority.create("Words", key="ec-p256")
    ca.save(folder / "ca.pem")
    ca.certificate.save(folder / "ca.cer")
    ca.issue("a.test").save(folder / "a.pem")
    ca.issue("b.test").save(folder / "b.pem")
    with EmbeddedMachine(folder / "m.sqlite") as machine:
        deploy("0.0.0.0:443", ca.issue("a.test"), machine=machine)
    return folder


@pytest.fixture
def folder(prepared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """To work in."""
    monkeypatch.chdir(prepared)
    monkeypatch.setenv("MLSSSL_MACHINE", "nowhere.sqlite")
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    return prepared


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command."""
    capsys.readouterr()
    try:
        code = main(words)
    except SystemExit as stop:
        code = int(stop.code or 0)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


# -- dashes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dash", DASHES)
def test_a_wrong_dash_is_understood(folder: Path, capsys: pytest.CaptureFixture[str], dash: str) -> None:
    """As the old tools' are; before the command too, and with the value behind an equals sign."""
    right = told(capsys, "binding", "list", "--machine", "m.sqlite")
    assert right[0] == 0
    assert "0.0.0.0:443" in right[1]
    assert told(capsys, "binding", "list", f"{dash}machine", "m.sqlite") == right
    assert told(capsys, "binding", "list", f"{dash}machine=m.sqlite") == right
    assert told(capsys, f"{dash}machine", "m.sqlite", "binding", "list") == right
    assert told(capsys, "check", "a.pem", f"{dash}trust", "ca.cer", f"{dash}host", "a.test", f"{dash}quiet")[0] == 0
    assert told(capsys, "check", "a.pem", f"{dash}trust", "ca.cer", f"{dash}host", "b.test", f"{dash}quiet")[0] == 1
    assert "usage: mlsssl binding" in told(capsys, "binding", f"{dash}help")[1]
    netsh = ["http", "show", "sslcert"]
    assert told(capsys, "netsh", *netsh, f"{dash}machine", "m.sqlite") == told(
        capsys, "netsh", "--machine", "m.sqlite", *netsh
    )


def test_a_short_option_has_one_dash(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Or a typographic one."""
    for word in ("-q", "–q", "--quiet"):
        assert told(capsys, "check", "a.pem", "--trust", "ca.cer", word) == (0, "", "")


def test_what_only_looks_like_an_option(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers, a lone dash, text with blanks; and everything behind two dashes."""
    assert "is at least 0, not -1" in told(capsys, "ca", "crl", "--ca", "ca.pem", "--out", "x.crl", "--number", "-1")[2]
    assert "is needed, not '-1'" in told(capsys, "cleanup", "--grace", "-1", "--machine", "m.sqlite")[2]
    assert told(capsys, "show", "--", "-a.pem")[2] == "mlsssl: there is no file -a.pem\n"
    assert told(capsys, "show", "– a.pem")[2] == "mlsssl: there is no file – a.pem\n"
    assert "there is no option -a.pem" in told(capsys, "show", "-a.pem")[2]


def test_an_option_of_several_values(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Takes them up to the next option."""
    for name in ("one.json", "two.json"):
        with EmbeddedMachine("m.sqlite") as machine:
            audit(machine=machine).save(name)
    for words in (["--from", "one.json", "two.json", "-q"], ["-q", "--from", "one.json", "two.json"]):
        assert told(capsys, "audit", *words, "--html", "both.html", "--overwrite") == (0, "", "")
    assert told(capsys, "audit", "--from")[2].startswith("mlsssl audit: --from needs a value: ")
    assert told(capsys, "audit", "one.json", "--from", "two.json")[2].startswith(
        "mlsssl audit: there is no argument for"
    )


def test_an_option_may_stand_between_arguments(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also in front of one that may be missing, or of which there may be several."""
    plan = [
        "deploy",
        "0.0.0.0:443",
        "a.pem",
        "--machine",
        "m.sqlite",
        "--plan",
        "--app-id",
        f"{{{'1' * 8}-{'1' * 4}-{'1' * 4}-{'1' * 4}-{'1' * 12}}}",
    ]
    right = told(capsys, *plan)
    assert right[0] == 0
    assert told(capsys, plan[0], *plan[3:], *plan[1:3]) == right
    assert told(capsys, *plan[:2], *plan[3:], plan[2]) == right
    issue = ["issue", "c.test", "--ca", "ca.pem", "d.test", "--out", "issued.pem", "--overwrite"]
    assert "c.test, d.test" in told(capsys, *issue)[1]


# -- before the command -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["binding list", "store list", "audit", "netsh http show sslcert", "cleanup"])
def test_the_machine_may_be_named_anywhere(folder: Path, capsys: pytest.CaptureFixture[str], words: str) -> None:
    """Before the command, within it, behind it; the last one counts, and --json may stand there too."""
    first, *rest = words.split()
    right = told(capsys, first, *rest, "--machine", "m.sqlite")
    assert right[0] == 0
    for given in (["--machine", "m.sqlite"], ["--machine=m.sqlite"]):
        assert told(capsys, *given, first, *rest) == right
        assert told(capsys, first, *given, *rest) == right
    assert told(capsys, "--machine", "nowhere.sqlite", first, *rest)[0] == 3
    assert told(capsys, first, *rest)[0] == 3
    if first not in OLD_COMMANDS:
        both = (
            ["--json", "--machine", "m.sqlite", *words.split()],
            [*words.split(), "--machine", "m.sqlite", "--json"],
        )
        before, behind = (re.sub(r'"at": .*', "", told(capsys, *one)[1]) for one in both)
        assert before == behind
        assert before[0] in "[{"


def test_a_command_without_a_machine_takes_none(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Wherever it stands, it is that command's help that is named."""
    for words in (["--machine", "m.sqlite", "show", "a.pem"], ["show", "a.pem", "--machine", "m.sqlite"]):
        code, out, error = told(capsys, *words)
        assert (code, out) == (2, "")
        said = "mlsssl show: there is no option --machine; 'mlsssl show' is about no machine"
        assert error == f"{said}\nTry 'mlsssl show --help'.\n"


def test_a_schedule_takes_the_machine_too(folder: Path) -> None:
    """In front, where it is the renewal's."""
    arguments = build_parser().parse_args(
        ["--machine", "m.sqlite", "schedule", "install", "renew", "--all", "--due", "--ca", "ca.pem"]
    )
    assert arguments.machine == "m.sqlite"
    assert arguments.words == ["renew", "--all", "--due", "--ca", "ca.pem"]


# -- what is mistyped ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("stroe list", "mlsssl: there is no command stroe; did you mean store?\nTry 'mlsssl --help'."),
        ("frobnicate", "mlsssl: there is no command frobnicate; there are ca, issue, "),
        ("help", "mlsssl: there is no command help; did you mean --help?"),
        ("store help", "mlsssl store: there is no command help; did you mean --help?"),
        ("version", "mlsssl: there is no command version; did you mean --version?"),
        ("verify a.pem", "mlsssl: there is no command verify; did you mean check?"),
        ("schedule install --due", "options of what is scheduled follow it: mlsssl schedule install renew --due ..."),
        ("schedule install --naem x", "did you mean --name?"),
        ("store lst", "mlsssl store: there is no command lst; did you mean list?\nTry 'mlsssl store --help'."),
        ("store", "mlsssl store: a command is missing: list, add, "),
        (
            "show a.pem --pasword env:PW",
            "mlsssl show: there is no option --pasword; did you mean --password?\nTry 'mls",
        ),
        ("show --pasword=hunter2 a.pem", "mlsssl show: there is no option --pasword; did you mean --password?"),
        ("show a.pem -pasword hunter2", "mlsssl show: there is no option -pasword; did you mean --password?"),
        ("show a.pem –pasword hunter2", "mlsssl show: there is no option -pasword; did you mean --password?"),
        ("deploy 0.0.0.0:443 a.pem --pass hunter2", "did you mean --password?"),
        ("store list --sotre Root", "mlsssl store list: there is no option --sotre; did you mean --store?"),
        (
            "store list --frobnicate",
            "mlsssl store list: there is no option --frobnicate\nTry 'mlsssl store list --help'.",
        ),
        (
            "--frob store list",
            "mlsssl: there is no option --frob before the command; options follow it: mlsssl COMMAND ",
        ),
        (
            "store --sotre Root list",
            "there is no option --sotre before the command; options follow it: mlsssl store COMM",
        ),
        (
            "store list Root",
            "mlsssl store list: there is no argument for 'Root' here; did you mean --store 'Root'?\nTry 'mlsssl store",
        ),
        ("binding list Root", "mlsssl binding list: there is no argument for 'Root' here\nTry 'mlsssl binding list"),
        ("show a.pem b.pem c.pem", "mlsssl show: there is no argument for 'b.pem', 'c.pem' here"),
        ("store list --machine", "mlsssl store list: --machine needs a value: FILE\n"),
        ("store list --machine --store Root", "mlsssl store list: --machine needs a value: FILE\n"),
        ("check a.pem --profile", "--profile needs a value: procedure, private, public, windows, legacy"),
        ("issue a.test --ca ca.pem --out x.pem --days two", "argument --days: a whole number is needed, not 'two'"),
        ("renew --all --ca ca.pem --fraction nan", "argument --fraction: a number is needed, not 'nan'"),
        ("show", "mlsssl show: the following arguments are required: FILE\nTry 'mlsssl show --help'."),
    ],
)
def test_what_is_mistyped_is_said_with_what_is_near(
    folder: Path, capsys: pytest.CaptureFixture[str], words: str, said: str
) -> None:
    """Exit code 2, the command's own help, the nearest name, and never the value, which may be a password."""
    code, out, error = told(capsys, *words.split())
    assert (code, out) == (2, "")
    assert said in error
    assert "hunter2" not in error
    code, out, error = told(capsys, *words.split(), "--json")
    assert code == 2
    if "REMAINDER" not in words and "--machine" not in words.split()[-1:] and "--profile" not in words.split()[-1:]:
        assert said.partition("\n")[0] in json.loads(out)["message"]


OTHER_WORDS = {
    # what one command has, and its neighbour under another name
    "check a.pem --ca ca.pem": "--trust",
    "check a.pem --CAfile ca.pem": "--trust",
    "check a.pem --root=ca.pem": "--trust",
    "check a.pem --name a.test": "--host",
    "check a.pem --dns a.test": "--host",
    "check a.pem --private-key a.key": "--key",
    "check a.pem --pfx-pass hunter2": None,
    "check a.pem --pass hunter2": "--password",
    "check --file a.pem": "FILE",
    "show --cert a.pem": "FILE",
    "explain --in a.pfx": "FILE",
    "issue --host a.test --ca ca.pem": "HOST",
    "issue --san a.test --ca ca.pem": "HOST",
    "issue --name a.test --ca ca.pem": "HOST",
    "issue a.test --issuer ca.pem": "--ca",
    "issue a.test --ca ca.pem --output a.pem": "--out",
    "issue a.test --ca ca.pem -o a.pem": "--out",
    "issue a.test --ca ca.pem --key-type ec-p256": "--key",
    "issue a.test --ca ca.pem --private-key a.key": None,
    "issue a.test --ca ca.pem --validity 3": "--days",
    "issue a.test --ca ca.pem --dry-run": "--plan",
    "issue a.test --ca ca.pem --cn a.test": "--common-name",
    "ca create --name Mine": "NAME",
    "ca create Mine --ca ca.pem": "--issuer",
    "ca issue-client --cn Alice": "NAME",
    "request create --dns a.test": "HOST",
    "request create a.test --private-key a.key": None,
    "request sign --csr a.csr --ca ca.pem": "REQUEST",
    "request complete a.cer --ca ca.pem": "--chain",
    "pfx a.pem --name Web": "--friendly-name",
    "store remove --thumbprint 00": "THUMBPRINT",
    "store export --store Root": "STORE",
    "store grant 00 --user Everyone": "ACCOUNT",
    "store add a.pem --store-name Root": "--store",
    "binding add --ipport 0.0.0.0:443": "KEY",
    "binding add 0.0.0.0:443 --certhash 00": "THUMBPRINT",
    "binding remove --key 0.0.0.0:443": "KEY",
    "reservation add --url https://+:443/": "URL",
    "reservation add https://+:443/ --account Everyone": "--user",
    "deploy 0.0.0.0:443 --cert a.pem": "FILE",
    "deploy 0.0.0.0:443 --certhash 00": "--thumbprint",
    "deploy 0.0.0.0:443 a.pem --root": "--trust-root",
    "deploy 0.0.0.0:443 --issuer ca.pem": "--ca or --adcs or --acme or --issuer-command",
    "deploy 0.0.0.0:443 --acme-email a@a.test": "--acme-contact",
    "deploy 0.0.0.0:443 a.pem --what-if": "--plan",
    "renew 0.0.0.0:443 --file a.pem": "--certificate",
    "renew --binding 0.0.0.0:443": "KEY",
    "cleanup --what-if": "--dry-run",
    "cleanup --days 3": "--grace",
    "audit --file a.json": "--from",
    "revoke --cert a.pem": "FILE",
    "quickstart --dns a.test": "HOST",
    "quickstart a.test --out folder": "--keep",
    "check a.pem --frobnicate": None,
}
"""What is typed, and what it should be: an option, an argument without one, or nothing that is sure."""


@pytest.mark.parametrize("words", OTHER_WORDS)
def test_what_is_called_otherwise_here(capsys: pytest.CaptureFixture[str], words: str) -> None:
    """As other tools or the neighbouring commands call it: told with the right name, or nothing where not sure."""
    expected = OTHER_WORDS[words]
    code, out, error = told(capsys, *words.split())
    assert (code, out) == (2, "")
    said = error.partition("; ")[2].partition("\n")[0]
    if expected is None:
        assert not said
    elif expected.startswith("--"):
        assert said == f"did you mean {expected}?"
    else:
        assert said.startswith(f"{expected} is given without an option: mlsssl {words.partition(' --')[0].split()[0]}")
    assert "hunter2" not in error


def test_what_others_call_an_option_leads_to_one_that_there_is() -> None:
    """Each name at the right of the table is one of some command."""
    known: set[str] = set()
    parsers: list[argparse.ArgumentParser] = [build_parser()]
    while parsers:
        parser = parsers.pop()
        for action in parser._actions:  # argparse has no public way to ask
            if isinstance(action, argparse._SubParsersAction):
                known.update(action.choices)
                parsers += action.choices.values()
            elif action.option_strings:
                kind = action.metavar or ("CHOICE" if action.choices else "TEXT")
                known.update({action.option_strings[-1], f"{action.option_strings[-1]}={kind}"})
            else:
                known.update(str(action.metavar or action.dest).split("|"))
    assert {one for _, names in _ALSO_CALLED for one in names.split()} <= known


# -- URLs ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("https://a.test", "a.test:443"),
        ("HTTPS://a.test:8443/path?x=1#y", "a.test:8443"),
        ("https://a.test:/", "a.test:443"),
        ("https://[::1]/", "[::1]:443"),
        ("https://[::1]:8443/", "[::1]:8443"),
        ("https://a.test?x", "a.test:443"),
        ("a.test:443", "a.test:443"),
        ("[::1]:443", "[::1]:443"),
        ("a.test", None),
        ("a.pem", None),
        (r"C:\certificates\a.pem", None),
        ("a/b:443", None),
    ],
)
def test_where_a_server_is(text: str, endpoint: str | None) -> None:
    """Out of a URL as a browser shows it; None for what can only be a file."""
    assert endpoint_of(text) == endpoint


@pytest.mark.parametrize(
    "text", ["http://a.test/", "https://", "https:///path", "ftp://a.test", "https://u:hunter2@a/"]
)
def test_a_url_that_is_no_server_of_ours(text: str) -> None:
    """Without TLS, without a host, or with a password, which is not shown."""
    for read in (endpoint_of, key_of):
        with pytest.raises(InvalidInputError) as caught:
            read(text)
        assert "https://HOST" in str(caught.value)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("https://+:443/mls/", "0.0.0.0:443"),
        ("https://*/", "0.0.0.0:443"),
        ("https://www.a.test/", "www.a.test:443"),
        ("https://10.0.0.5:8443", "10.0.0.5:8443"),
        ("https://[::]:444/", "[::]:444"),
        ("0.0.0.0:443", "0.0.0.0:443"),
        ("*:443", "*:443"),
        ("ccs=443", "ccs=443"),
        ("nonsense", "nonsense"),
    ],
)
def test_the_key_of_a_url(text: str, key: str) -> None:
    """The binding that answers it; whatever is no URL is left to who reads keys."""
    assert key_of(text) == key


def test_urls_are_taken(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By `deploy`, and whatever else takes a key; by `check`, which says how long the certificate is valid still."""
    machine = ["--machine", "m.sqlite"]
    code, out, _ = told(capsys, "deploy", "https://b.test:8443/", "b.pem", "--plan", *machine)
    assert code == 0
    assert out.startswith("plan for b.test:8443 on ")
    assert told(capsys, "binding", "remove", "https://b.test:8443/x", *machine)[2].startswith(
        "mlsssl: nothing is bound to b.test:8443, nor to any other key of port 8443"
    )
    code, _, error = told(capsys, "deploy", "http://b.test/", "b.pem", "--plan", *machine)
    assert code == 2
    assert "argument KEY: 'http://b.test/' is no https URL" in error
    with tls_server(Certificate.load("a.pem")) as server:
        port = server.port
        check = ["check", f"https://127.0.0.1:{port}/page", "--trust", "ca.cer", "--host"]
        code, out, _ = told(capsys, *check, "a.test")
        assert code == 0
        assert re.search(r"^valid until \d{4}-\d\d-\d\d \d\d:\d\d UTC: \d+ days left$", out, re.MULTILINE)
        assert told(capsys, *check, "b.test")[0] == 1
        read = json.loads(told(capsys, *check, "a.test", "--json")[1])
        assert 190 < read["days_left"] < 200
    assert told(capsys, "check", f"http://127.0.0.1:{port}/")[0] == 2
    assert told(capsys, "check", "a.test")[2] == (
        "mlsssl: there is no file a.test; a server is given with its port: a.test:443\n"
    )
    assert told(capsys, "check", "nowhere.pem")[2] == "mlsssl: there is no file nowhere.pem\n"


# -- how much is told ---------------------------------------------------------------------------------------------


def test_quiet_tells_errors_only(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is the answer; what went wrong is said, on both streams, and JSON that was asked for is printed."""
    check = ["check", "a.pem", "--trust", "ca.cer", "--host"]
    assert told(capsys, *check, "a.test", "-q") == (0, "", "")
    code, out, error = told(capsys, *check, "b.test", "-q")
    assert (code, error) == (1, "")
    assert out.startswith("NOT ok: CN=a.test for 'b.test'")
    assert "error: name-mismatch" in out
    assert "    remedy:   issue one for this name: mlsssl issue b.test" in out
    assert "  leaf" not in out
    assert told(capsys, "-q", "binding", "list", "--machine", "m.sqlite") == (0, "", "")
    assert told(capsys, "-q", "show", "nowhere.pem") == (3, "", "mlsssl: there is no file nowhere.pem\n")
    assert json.loads(told(capsys, *check, "a.test", "-q", "--json")[1])["ok"] is True
    assert told(capsys, "store", "add", "a.pem", "--machine", "new.sqlite", "-q") == (0, "", "")
    code, out, _ = told(capsys, "audit", "-q", "--machine", "m.sqlite")
    assert (code, out) == (0, "")


def test_quiet_keeps_what_the_command_is_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What goes into a file or another program is printed all the same."""
    request = ["request", "create", "c.test", "--out", "c.csr", "--key-out", "c.key", "--overwrite", "-q"]
    assert told(capsys, *request) == (0, "", "")
    assert told(capsys, "request", "sign", "c.csr", "--ca", "ca.pem", "-q")[1].startswith("-----BEGIN CERTIFICATE-----")
    assert "mlsssl" in told(capsys, "completion", "bash", "-q")[1]


def test_verbose_tells_the_steps(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error, of the library's log; without it only what it warns of."""
    deploy_it = ["deploy", "0.0.0.0:447", "b.pem", "--machine", "m.sqlite"]
    code, out, error = told(capsys, *deploy_it, "-v")
    assert code == 0
    assert error.startswith("mlsssl: info: looking at the embedded machine at ")
    assert "mlsssl: info: deploy of 0.0.0.0:447: bound 0.0.0.0:447 to " in error
    assert "bound 0.0.0.0:447 to " in out
    assert told(capsys, "undo", "0.0.0.0:447", "--machine", "m.sqlite")[2] == ""
    assert not clean_logger("mlsssl").handlers


def test_what_the_library_logs_is_told_by_how_bad_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the words of the command line; a listener's clients are told of with --verbose only."""

    def logged(loudness: terminal.Loudness | None) -> list[str]:
        capsys.readouterr()
        with terminal.as_loud_as(loudness):
            for name in ("mlsssl", "mlsssl.listener"):
                logger = clean_logger(name)
                for level in (logging.INFO, logging.WARNING, logging.ERROR):
                    logger.log(level, "%s: run recover()", name)
        return [line.removeprefix("mlsssl: ") for line in capsys.readouterr().err.splitlines()]

    said = [f"{level}: mlsssl: run mlsssl recover" for level in ("info", "warning", "error")]
    assert logged("quiet") == said[2:]
    assert logged(None) == logged("normal") == said[1:]
    assert logged("verbose")[:3] == said
    assert len(logged("verbose")) == 6
    assert logging.getLogger("mlsssl").level == logging.NOTSET


def test_verbose_names_the_causes_of_an_error(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The classes, for who reports it."""

    def fail(*_: object, **__: object) -> None:
        try:
            raise OSError("the disk is full")
        except OSError as error:
            raise InvalidInputError("it cannot be") from error

    monkeypatch.setattr("mlsssl.audit", fail)
    assert told(capsys, "audit", "--machine", "m.sqlite", "-v")[2].endswith(
        "mlsssl: it cannot be\n  caused by OSError: the disk is full\n"
    )
    assert told(capsys, "audit", "--machine", "m.sqlite")[2] == "mlsssl: it cannot be\n"


# -- colour -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "is_terminal", "rich", "coloured"),
    [
        ({}, True, True, True),
        ({}, False, True, False),
        ({}, True, False, False),
        ({"TERM": "dumb"}, True, True, False),
        ({"NO_COLOR": "1"}, True, True, False),
        ({"NO_COLOR": ""}, True, True, True),
        ({"FORCE_COLOR": "1"}, False, True, True),
        ({"FORCE_COLOR": ""}, False, True, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, True, False),
        ({"FORCE_COLOR": "1"}, False, False, False),
    ],
)
def test_where_there_is_colour(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variables: dict[str, str],
    is_terminal: bool,
    rich: bool,
    coloured: bool,
) -> None:
    """For a person at a terminal, or who asks for it; never for who wants none, and never in JSON."""
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.stdout.isatty", lambda: is_terminal, raising=False)
    monkeypatch.setattr(terminal, "_have_rich", lambda: rich)
    check = ["check", "a.pem", "--trust", "ca.cer", "--host"]
    good, bad = told(capsys, *check, "a.test")[1], told(capsys, *check, "b.test")[1]
    plan = told(capsys, "deploy", "0.0.0.0:443", "b.pem", "--host", "c.test", "--plan", "--machine", "m.sqlite")[1]
    assert ("\x1b[32mok: CN=a.test" in good) == coloured
    assert ("\x1b[1;31mNOT ok: CN=a.test" in bad) == coloured
    assert ("\x1b[1;31merror: name-mismatch" in bad) == coloured
    assert ("\x1b[1;31m  error name-mismatch" in plan) == coloured
    assert all(("\x1b" in text) == coloured for text in (good, bad, plan))
    assert "\n    found:    names: a.test\n" in bad
    assert "\x1b" not in told(capsys, *check, "b.test", "--json")[1]


def test_long_lines_have_no_end_of_their_own(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With colour too, a terminal breaks them: a thumbprint that is copied from there is whole."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "30")
    plan = ["deploy", "0.0.0.0:443", "b.pem", "--host", "c.test", "--plan", "--machine", "m.sqlite"]
    coloured = told(capsys, *plan)[1]
    monkeypatch.setenv("NO_COLOR", "1")
    hide = re.compile(r"\{.*?\}")
    assert hide.sub("", re.sub(r"\x1b\[[0-9;]*m", "", coloured)) == hide.sub("", told(capsys, *plan)[1])


def test_a_password_that_is_not_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-D at the question."""

    def end(*_: object, **__: object) -> str:
        raise EOFError

    monkeypatch.setattr("getpass.getpass", end)
    monkeypatch.setattr("sys.stdin", io.StringIO())
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    with pytest.raises(InvalidInputError, match=r"^the password of a\.pfx is needed, and none was typed$"):
        terminal.read_password(None, "the password of a.pfx")


def test_a_missing_program_word(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing at all prints the help, and ends with 2."""
    code, out, _ = told(capsys)
    assert code == 2
    assert out.startswith("usage: mlsssl ")
    assert "--machine FILE" in out


@pytest.mark.parametrize(
    ("text", "turned"),
    [
        ("days is a whole number from 1 to 36500, not 0", "--days is a whole number from 1 to 36500, not 0"),
        ("readable_by is one of a, b; not 'c'", "--readable-by is one of a, b; not 'c'"),
        ("path_length is None or a whole number from 0 to 99", "--path-length is a whole number from 0 to 99"),
        ("a friendly name is text, or None; not ''", "a friendly name is text; not ''"),
        ("CertificateRequest.create('www.example.com')", "mlsssl request create www.example.com"),
        ("ca.issue_client('Alice Example')", "mlsssl ca issue-client 'Alice Example'"),
        (
            "run recover(); recover(abandon='change.json') gives up",
            "run mlsssl recover; mlsssl recover --abandon change.json gives up",
        ),
        ("the next days is a name", "the next days is a name"),
        ("+ app_id: {0}; app_id is a GUID", "+ app_id: {0}; --app-id is a GUID"),
    ],
)
def test_words_of_the_command_line(text: str, turned: str) -> None:
    """In place of Python's, and nowhere else."""
    assert in_commands(text) == turned
