"""`mlsssl deploy`, `renew` and `revoke` with `--acme`: what the options mean, and errors in the command's words."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from acme_stand_in import Reply, StandIn, problem, stand_in
from mlsssl import Certificate, CertificateRequest, EmbeddedMachine
from mlsssl.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

KEY = "0.0.0.0:443"
SECRET = "c2VjcmV0LWhtYWMta2V5LW9mLXRoZS1hY2NvdW50"


@pytest.fixture(name="server")
def _server(tmp_path: Path) -> Iterator[StandIn]:
    with stand_in(tmp_path) as server:
        yield server


@pytest.fixture(name="run")
def _run(
    server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """A command about this server; its exit code, and everything that it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLSSSL_MACHINE", str(tmp_path / "machine.sqlite"))
    monkeypatch.setenv("HMAC", SECRET)
    monkeypatch.setenv("NOT_BASE64", "not base64!")
    (tmp_path / "site").mkdir()

    def run(*words: str, account: bool = True) -> tuple[int, str]:
        options = ["--acme", server.directory, "--acme-trust", str(server.trust), "--acme-state", "state"]
        code = main([*words, *(options if account else [])])
        captured = capsys.readouterr()
        return code, captured.out + captured.err

    return run


DEPLOY = ("deploy", KEY, "--host", "a.example", "--no-verify", "--acme-webroot", "site")


def test_deploy_and_renew(run: Callable[..., tuple[int, str]], server: StandIn) -> None:
    """The first certificate, then none is due, then another one by the binding's name."""
    code, printed = run(*DEPLOY)
    assert (code, "deploy of 0.0.0.0:443: unbound" in printed) == (0, True), printed
    code, printed = run("renew", "--all", "--due", "--acme-webroot", "site")
    assert (code, "not due before" in printed) == (10, True), printed
    code, printed = run("renew", KEY, "--acme-webroot", "site")
    assert (code, "renew of 0.0.0.0:443" in printed) == (0, True), printed
    assert len(server.orders) == 2


def test_the_server_says_when(run: Callable[..., tuple[int, str]], server: StandIn) -> None:
    """Renewal information makes a fresh certificate due."""
    run(*DEPLOY)
    body = {"suggestedWindow": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-02T00:00:00Z"}}
    server.instead["/renewal/"] = lambda _payload: Reply(body)
    code, printed = run("renew", "--all", "--due", "--acme-webroot", "site")
    assert code == 0, printed
    (replaced,) = [payload["replaces"] for path, payload in server.seen if "replaces" in (payload or {})]
    assert "." in replaced


def test_not_yet_and_then_the_same_order(run: Callable[..., tuple[int, str]], server: StandIn) -> None:
    """Exit code 13 for a slow order; the key and the order are those of the first try."""
    server.instead["/order/"] = lambda _payload: (
        Reply({"status": "processing"}, headers={"Retry-After": "3600"})
        if server.orders[0]["status"] == "valid"
        else None
    )
    code, printed = run(*DEPLOY, "--acme-timeout", "5")
    assert (code, "the next try goes on with the same order" in printed) == (13, True), printed
    del server.instead["/order/"]
    code, printed = run(*DEPLOY)
    assert code == 0, printed
    assert len(server.orders) == 1


def test_a_server_that_refuses(run: Callable[..., tuple[int, str]], server: StandIn) -> None:
    """Exit code 11 and its words; nothing is bound."""
    server.instead["/new-order"] = lambda _payload: problem("rejectedIdentifier", 400)
    code, printed = run(*DEPLOY)
    assert (code, "because of rejectedIdentifier" in printed) == (11, True), printed
    with EmbeddedMachine() as machine:
        assert list(machine.bindings) == []


def test_terms_and_external_accounts(run: Callable[..., tuple[int, str]], server: StandIn) -> None:
    """Each error names the option; the account's key comes from the environment and is not shown."""
    server.meta.update(termsOfService="https://ca.example/terms", externalAccountRequired=True)
    code, printed = run(*DEPLOY)
    assert (code, "https://ca.example/terms; read them, and agree to them: --acme-agree-terms" in printed) == (11, True)
    code, printed = run(*DEPLOY, "--acme-agree-terms")
    assert (code, "--acme-eab-id ID --acme-eab-key file:KEY" in printed) == (11, True), printed
    account = ("--acme-agree-terms", "--acme-eab-id", "kid-1", "--acme-eab-key", "env:HMAC")
    code, printed = run(*DEPLOY, *account, "--acme-contact", "a@b.example")
    assert code == 0, printed
    assert SECRET not in printed
    (payload,) = [payload for path, payload in server.seen if path == "/account"]
    assert payload["contact"] == ["mailto:a@b.example"]
    assert payload["termsOfServiceAgreed"] is True
    protected = payload["externalAccountBinding"]["protected"]
    assert "kid-1" in decoded_text(protected)
    assert SECRET not in json.dumps(server.seen)


def decoded_text(text: str) -> str:
    import base64

    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "--acme needs a way to show control over the names: --acme-webroot FOLDER"),
        (["--acme-webroot", "site", "--acme-dns-wait", "5"], "--acme-dns-wait is for --acme-dns-hook"),
        (["--acme-webroot", "site", "--acme-eab-id", "x"], "--acme-eab-id and --acme-eab-key belong together"),
        (["--acme-webroot", "site", "--acme-eab-id", "x", "--acme-eab-key", SECRET], "a password comes from env:NAME"),
        (
            ["--acme-webroot", "site", "--acme-eab-id", "x", "--acme-eab-key", "env:NOT_BASE64"],
            "mlsssl: --acme-eab-key names where the HMAC key is, which is base64url",
        ),
        (["--acme-dns-hook", " "], "--acme-dns-hook is empty"),
        (["--acme-webroot", "site", "--ca", "ca.pem"], "each name an issuer; give one of them"),
        (["--acme-listen", "www.example.com"], "0.0.0.0:443"),
        (["--acme-webroot", "site", "--acme-timeout", "0"], "--acme-timeout: a number of seconds above 0 is needed"),
    ],
)
def test_options_that_cannot_be(
    options: list[str], message: str, run: Callable[..., tuple[int, str]], server: StandIn
) -> None:
    code, printed = run("deploy", KEY, "--host", "a.example", *options)
    assert (code, message in printed) == (2, True), printed
    assert SECRET not in printed
    assert server.asked == {}


def test_an_option_of_acme_without_it(run: Callable[..., tuple[int, str]]) -> None:
    code, printed = run("deploy", KEY, "--host", "a.example", "--acme-webroot", "site", account=False)
    assert (code, "--acme-webroot is for --acme, which is not given" in printed) == (2, True), printed


def test_no_name_and_days_in_the_words_of_the_command(run: Callable[..., tuple[int, str]]) -> None:
    code, printed = run("deploy", KEY, "--acme-webroot", "site")
    assert (code, "may be given again: --host 'www.example.com', since 0.0.0.0:443 names none" in printed) == (2, True)
    run(*DEPLOY)
    code, printed = run("renew", "--all", "--days", "30", "--acme-webroot", "site")
    assert (code, "mlsssl: --days is for --ca; " in printed) == (2, True), printed


def test_what_was_shown_to_fail_is_said_once(run: Callable[..., tuple[int, str]], server: StandIn) -> None:
    """A server gives the order the error of its challenge as well."""
    said = {"type": "urn:ietf:params:acme:error:connection", "detail": "nobody answers at a.example"}

    def invalid(_payload: object) -> Reply | None:
        server.orders[0]["status"] = "invalid"
        return Reply({"status": "invalid", "error": said, "authorizations": [server.directory[:-4] + "/authz/0"]})

    server.instead["/order/"] = invalid
    server.instead["/authz/"] = lambda _payload: Reply(
        {
            "status": "invalid",
            "identifier": {"type": "dns", "value": "a.example"},
            "challenges": [{"type": "http-01", "status": "invalid", "error": said}],
        }
    )
    code, printed = run(*DEPLOY)
    assert (code, printed.count("nobody answers at a.example")) == (11, 1), printed


def test_a_profile_that_the_server_has_and_one_that_it_has_not(
    run: Callable[..., tuple[int, str]], server: StandIn
) -> None:
    """A server that knows no profiles would make its usual certificate; it is not asked for one."""
    code, printed = run(*DEPLOY, "--acme-profile", "shortlived")
    assert (code, "offers no profile shortlived: it has none, so leave it out" in printed) == (11, True), printed
    server.meta["profiles"] = {"classic": "https://ca.example/classic", "shortlived": "https://ca.example/short"}
    code, printed = run(*DEPLOY, "--acme-profile", "shortlife")
    assert (code, "it has classic, shortlived" in printed) == (11, True), printed
    assert server.orders == []
    code, printed = run(*DEPLOY, "--acme-profile", "shortlived")
    assert code == 0, printed
    (ordered,) = [payload for path, payload in server.seen if path == "/new-order"]
    assert ordered["profile"] == "shortlived"


def test_a_chain_that_the_server_has_not_is_told(run: Callable[..., tuple[int, str]]) -> None:
    code, printed = run(*DEPLOY, "--acme-preferred-chain", "Nobody")
    assert (code, "mlsssl: warning: the server has no chain up to Nobody" in printed) == (0, True), printed


def test_a_person_at_a_terminal_sees_what_is_waited_for(
    run: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On standard error; a program that reads it is told what is wrong, and no more."""
    code, printed = run(*DEPLOY)
    assert (code, "ordering" in printed) == (0, False), printed
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    code, printed = run("renew", KEY, "--acme-webroot", "site")
    assert (code, "mlsssl: ordering a certificate for a.example" in printed) == (0, True), printed


def test_a_wildcard_by_a_folder(run: Callable[..., tuple[int, str]], server: StandIn) -> None:
    """The command's own words for what would help."""
    code, printed = run("deploy", KEY, "--host", "*.a.example", "--acme-webroot", "site")
    assert (code, "dns-01 is needed, and here is http-01: give --acme-webroot, " in printed) == (2, True), printed
    assert server.asked == {}


def test_revoke(run: Callable[..., tuple[int, str]], server: StandIn, tmp_path: Path) -> None:
    """The certificate and the reason's number arrive; a file without one is an error."""
    made = server.ca.sign(CertificateRequest.create("a.example", key="ec-p256"))
    made.save(tmp_path / "old.pem")
    code, printed = run("revoke", "old.pem", "--reason", "keyCompromise", "--json")
    assert code == 0, printed
    assert json.loads(printed) == {"revoked": str(made.thumbprint), "reason": "keyCompromise"}
    (payload,) = [payload for path, payload in server.seen if path == "/revoke"]
    assert payload["reason"] == 1
    assert Certificate.from_der(b64(payload["certificate"])) == made
    server.instead["/revoke"] = lambda _payload: problem("unauthorized", 403)
    code, printed = run("revoke", "old.pem")
    assert (code, "because of unauthorized" in printed) == (11, True), printed
    assert run("revoke", "missing.pem")[0] == 3


def test_revoke_does_not_choose(run: Callable[..., tuple[int, str]], server: StandIn, tmp_path: Path) -> None:
    """Of a file with several, as `store export` writes, the one that is named; a chain is no other certificate."""
    one, other = (server.ca.sign(CertificateRequest.create("a.example", key="ec-p256")) for _ in range(2))
    (tmp_path / "both.pem").write_bytes(one.to_pem(chain=True) + other.to_pem(chain=True))
    code, printed = run("revoke", "both.pem")
    assert (code, "--alias THUMBPRINT" in printed) == (2, True), printed
    assert server.asked == {}
    code, printed = run("revoke", "both.pem", "--alias", str(other.thumbprint))
    assert code == 0, printed
    (payload,) = [payload for path, payload in server.seen if path == "/revoke"]
    assert Certificate.from_der(b64(payload["certificate"])) == other


def b64(text: str) -> bytes:
    import base64

    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_the_listener_answers_for_a_command_of_another_process(
    run: Callable[..., tuple[int, str]], server: StandIn, tmp_path: Path
) -> None:
    """`--acme-tls-alpn` leaves its answer where the machine's listener looks, and takes it away."""
    seen: list[list[str]] = []

    def challenge(payload: Any) -> Reply | None:
        folder = tmp_path / "machine.sqlite.state" / "acme-tls-alpn"
        seen.append([path.name for path in folder.iterdir()])
        return None

    def authorization(_payload: Any) -> Reply | None:
        status = "pending" if server.orders[-1]["status"] == "pending" else "valid"
        number = len(server.orders) - 1
        one = {"type": "tls-alpn-01", "token": "token", "status": status}
        one["url"] = server.directory.replace("/dir", f"/challenge/{number}")
        return Reply({"status": status, "identifier": {"type": "dns", "value": "a.example"}, "challenges": [one]})

    run(*DEPLOY)
    server.instead.update({"/challenge/": challenge, "/authorization/": authorization})
    code, printed = run("renew", KEY, "--acme-tls-alpn")
    assert code == 0, printed
    assert [len(names) for names in seen] == [1]
    assert list((tmp_path / "machine.sqlite.state" / "acme-tls-alpn").iterdir()) == []
