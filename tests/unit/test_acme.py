"""`AcmeIssuer` against Pebble: account, every kind of challenge, chains, revocation, and what goes wrong."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import os
import pickle
import socket
import stat
import sys
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

import acme_servers
from acme_servers import free_port
from mlsssl import (
    Certificate,
    CertificateAuthority,
    CertificateRequest,
    EmbeddedMachine,
    Issuer,
    RenewalTimes,
    deploy,
)
from mlsssl.errors import (
    AccessDeniedError,
    InvalidInputError,
    IssuePendingError,
    IssuerError,
    ListenerError,
    MalformedDataError,
    NotFoundError,
    UnsupportedError,
)
from mlsssl.issuers import acme
from mlsssl.issuers.acme import AcmeIssuer
from mlsssl.issuers.challenges import (
    ChallengeSolver,
    DnsChallenge,
    SettlingSolver,
    SocketChallenge,
    TlsAlpnChallenge,
    WebrootChallenge,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from acme_servers import Caddy, Pebble


@pytest.fixture(name="server", scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    with acme_servers.pebble(tmp_path_factory.mktemp("pebble")) as server:
        yield server


@pytest.fixture(name="web")
def _web(server: Pebble, tmp_path: Path) -> Iterator[Path]:
    """A folder that a site serves where Pebble looks."""
    folder = tmp_path / "site"
    folder.mkdir()
    with acme_servers.site(folder, server.http_port):
        yield folder


@pytest.fixture(name="make")
def _make(server: Pebble, tmp_path: Path) -> Callable[..., AcmeIssuer]:
    def make(*solvers: ChallengeSolver, **options: Any) -> AcmeIssuer:
        given = {"agree_terms": True, "trust": server.trust, "state": tmp_path / "state", "timeout": 60, **options}
        return AcmeIssuer(server.directory, solvers, **given)

    return make


def request(*names: str) -> CertificateRequest:
    return CertificateRequest.create(*names, key="ec-p256")


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


# -- challenges ------------------------------------------------------------------------------------------------------


def test_http_by_a_folder(server: Pebble, web: Path, make: Callable[..., AcmeIssuer]) -> None:
    """From no account to a chain up to the server's root, and nothing is left in the site."""
    told: list[str] = []
    issuer = make(WebrootChallenge(web), contact=["ops@example.com"], progress=told.append)
    made = issuer.issue(wanted := request("www.example.com", "example.com"))
    assert wanted.matches(made)
    assert set(made.names) == {"www.example.com", "example.com"}
    assert made.check("example.com", trust=[server.root()]).ok
    assert files_in(web) == []
    assert any("ordering a certificate for www.example.com, example.com" in text for text in told)
    assert isinstance(issuer, Issuer)
    assert isinstance(issuer, RenewalTimes)
    assert issuer.name == server.directory


def test_without_an_answer_there_is_no_certificate(
    server: Pebble, make: Callable[..., AcmeIssuer], tmp_path: Path
) -> None:
    """A folder that nobody serves: the server's own words, and nothing left."""
    with pytest.raises(
        IssuerError, match=r"control over a\.example was not shown \(http-01: .*\(connection\)"
    ) as caught:
        make(WebrootChallenge(tmp_path)).issue(request("a.example"))
    assert type(caught.value) is IssuerError
    assert caught.value.issuer == server.directory
    assert [name for name in files_in(tmp_path) if "." not in name] == []


@pytest.mark.skipif(os.name == "nt", reason="modes")
def test_a_challenge_file_can_be_read_by_the_sites_account(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        WebrootChallenge(tmp_path).present("a.example", "token", "token.thumbprint")
    finally:
        os.umask(before)
    file = tmp_path / ".well-known" / "acme-challenge" / "token"
    assert file.read_text() == "token.thumbprint"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (file, file.parent, file.parent.parent)] == [
        0o644,
        0o755,
        0o755,
    ]
    for _ in range(2):
        WebrootChallenge(tmp_path).cleanup("a.example", "token", "token.thumbprint")
        assert not file.exists()


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"no folder .*nothing, which a site should serve for a\.example"):
        WebrootChallenge(tmp_path / "nothing").present("a.example", "token", "x")


def test_http_by_a_socket_of_its_own(server: Pebble, make: Callable[..., AcmeIssuer]) -> None:
    """The port is open while the order needs it, and for no longer."""
    issuer = make(SocketChallenge(f"127.0.0.1:{server.http_port}"))
    made = issuer.issue(request("socket.example"))
    assert made.check("socket.example", trust=[server.root()]).ok
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", server.http_port)):
        pass


def test_a_socket_answers_its_tokens_only() -> None:
    port = free_port()
    solver = SocketChallenge(f"127.0.0.1:{port}")
    solver.present("a.example", "one", "one.x")
    solver.present("b.example", "two", "two.x")
    address = f"http://127.0.0.1:{port}"
    assert get(f"{address}/.well-known/acme-challenge/one") == b"one.x"
    assert get(f"{address}/.well-known/acme-challenge/two?x=y") == b"two.x"
    for path in ("/", "/one", "/.well-known/acme-challenge/", "/.well-known/acme-challenge/three", "/x/one"):
        with pytest.raises(urllib.error.HTTPError, match="404") as caught:
            get(address + path)
        caught.value.close()
    solver.cleanup("a.example", "one", "one.x")
    with pytest.raises(urllib.error.HTTPError, match="404") as caught:
        get(f"{address}/.well-known/acme-challenge/one")
    caught.value.close()
    assert get(f"{address}/.well-known/acme-challenge/two") == b"two.x"
    for _ in range(2):
        solver.cleanup("b.example", "two", "two.x")
    with pytest.raises(urllib.error.URLError):
        get(address)
    solver.present("a.example", "one", "one.x")  # it opens again
    assert get(f"{address}/.well-known/acme-challenge/one") == b"one.x"
    solver.cleanup("a.example", "one", "one.x")


def test_a_socket_for_both_families() -> None:
    port = free_port()
    solver = SocketChallenge(f"[::]:{port}")
    try:
        solver.present("a.example", "one", "one.x")
    except ListenerError:
        pytest.skip("there is no IPv6 here")
    for host in ("127.0.0.1", "[::1]"):
        assert get(f"http://{host}:{port}/.well-known/acme-challenge/one") == b"one.x"
    solver.cleanup("a.example", "one", "one.x")


def test_a_port_that_is_taken() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ListenerError, match="is in use by another program: let that one serve a folder"):
            SocketChallenge(f"127.0.0.1:{port}", timeout=0.2).present("a.example", "one", "one.x")
        # Another order of this computer has it for a moment.
        waiting = SocketChallenge(f"127.0.0.1:{port}", timeout=30)
        timer = threading.Timer(0.3, other.close)
        timer.start()
        waiting.present("a.example", "one", "one.x")
        waiting.cleanup("a.example", "one", "one.x")
        timer.join()


def test_an_address_that_is_another_computers() -> None:
    with pytest.raises((ListenerError, AccessDeniedError), match=r"192\.0\.2\.1:8080"):
        SocketChallenge("192.0.2.1:8080").present("a.example", "one", "one.x")


def test_dns_by_functions_and_a_wildcard(server: Pebble, make: Callable[..., AcmeIssuer]) -> None:
    """Two records of one name stand side by side."""
    changes: list[tuple[str, str, str]] = []
    looks: list[str] = []

    def present(name: str, value: str) -> None:
        changes.append(("present", name, value))
        server.set_txt(name, value)

    def check(name: str, value: str) -> bool:
        looks.append(value)
        return True

    def cleanup(name: str, value: str) -> None:
        changes.append(("cleanup", name, value))
        server.clear_txt(name, value)

    solver = DnsChallenge(present, cleanup, check=check)
    assert isinstance(solver, SettlingSolver)
    made = make(solver).issue(request("*.wild.example", "wild.example"))
    assert set(made.names) == {"*.wild.example", "wild.example"}
    assert [what for what, *_ in changes] == ["present"] * 2 + ["cleanup"] * 2
    assert {name for _, name, _ in changes} == {"_acme-challenge.wild.example"}
    assert sorted(looks) == sorted(value for what, _, value in changes if what == "present")
    assert len(set(looks)) == 2


def test_dns_by_a_program(server: Pebble, make: Callable[..., AcmeIssuer], tmp_path: Path) -> None:
    """It gets what to do, the record's name and its value; no shell is between."""
    hook = tmp_path / "hook with a space.py"
    hook.write_text(
        "import json, sys, urllib.request\n"
        f"open({str(tmp_path / 'calls')!r}, 'a').write(json.dumps(sys.argv[1:]) + '\\n')\n"
        "what, name, value = sys.argv[1:]\n"
        "opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))\n"
        "path = {'present': 'set-txt', 'cleanup': 'clear-txt'}[what]\n"
        "data = json.dumps({'host': name + '.', 'value': value}).encode()\n"
        f"opener.open({server.dns!r} + '/' + path, data).close()\n"
    )
    made = make(DnsChallenge.by_command([sys.executable, str(hook)])).issue(request("program.example"))
    assert made.check("program.example", trust=[server.root()]).ok
    calls = [json.loads(line) for line in (tmp_path / "calls").read_text().splitlines()]
    assert [call[:2] for call in calls] == [
        [what, "_acme-challenge.program.example"] for what in ("present", "cleanup")
    ]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; sys.exit('the zone is locked')", "it ended with code 1: the zone is locked"),
        ("import time; time.sleep(60)", "it was not done after 0.5 seconds"),
    ],
)
def test_a_program_that_fails(code: str, message: str) -> None:
    solver = DnsChallenge.by_command([sys.executable, "-c", code], timeout=0.5 if "sleep" in code else 30)
    with pytest.raises(IssuerError, match=message):
        solver.present("a.example", "token", "token.x")


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"there is no program .*nothing"):
        DnsChallenge.by_command(tmp_path / "nothing").present("a.example", "token", "token.x")


def test_a_function_that_raises_and_a_record_that_never_comes() -> None:
    def fail(name: str, value: str) -> None:
        raise KeyError("zone")

    with pytest.raises(IssuerError, match=r"_acme-challenge\.a\.example could not be put into DNS: KeyError: 'zone'"):
        DnsChallenge(fail, fail).present("a.example", "token", "token.x")
    never = DnsChallenge(lambda *_: None, lambda *_: None, check=lambda *_: False, timeout=0.1)
    with pytest.raises(IssuerError, match=r"_acme-challenge\.a\.example was not found within 0.1 seconds"):
        never.settle("a.example", "token", "token.x")


def test_tls_alpn_by_the_listener_of_a_machine(server: Pebble, make: Callable[..., AcmeIssuer], tmp_path: Path) -> None:
    """Beside what is bound; the listener may be another process', since the answer is a file."""
    ca = CertificateAuthority.create("Before", key="ec-p256")
    with EmbeddedMachine(tmp_path / "machine.sqlite") as machine:
        deploy("0.0.0.0:443", ca.issue("alpn.example", key="ec-p256"), machine=machine, verify=False)
        with machine.listen(ports={443: server.tls_port}):
            made = make(TlsAlpnChallenge(machine)).issue(request("alpn.example", "127.0.0.1"))
            assert made.check("alpn.example", trust=[server.root()]).ok
            assert files_in(machine.state_folder / "acme-tls-alpn") == []
            # What is bound answers everybody else as before.
            with (
                socket.create_connection(("127.0.0.1", server.tls_port), timeout=30) as connection,
                ca.ssl_context().wrap_socket(connection, server_hostname="alpn.example") as session,
            ):
                assert session.version() == "TLSv1.3"
            # Nothing is left of the answer: a validation is refused.
            context = ca.ssl_context()
            context.set_alpn_protocols(["acme-tls/1"])
            with (
                socket.create_connection(("127.0.0.1", server.tls_port), timeout=30) as connection,
                pytest.raises(OSError, match=r"(?i)unrecognized.name"),
            ):
                context.wrap_socket(connection, server_hostname="alpn.example")


def test_tls_alpn_needs_an_embedded_machine() -> None:
    with pytest.raises(InvalidInputError, match="answered by the listener of an EmbeddedMachine"):
        TlsAlpnChallenge("machine.sqlite")  # type: ignore[arg-type]  # the mistake in question


def test_an_address_and_a_name_of_another_alphabet(server: Pebble, web: Path, make: Callable[..., AcmeIssuer]) -> None:
    """IP identifiers (RFC 8738), and A-labels."""
    made = make(WebrootChallenge(web)).issue(request("127.0.0.1", "bücher.example"))
    assert set(made.names) == {"127.0.0.1", "xn--bcher-kva.example"}
    assert made.check("bücher.example", trust=[server.root()]).ok


@pytest.fixture(name="inside", scope="module")
def _inside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caddy]:
    with acme_servers.caddy(tmp_path_factory.mktemp("caddy")) as server:
        yield server


def test_caddy_by_a_socket(inside: Caddy, tmp_path: Path) -> None:
    """An internal server: its own root for HTTPS too, no terms, certificates of 12 hours."""
    issuer = AcmeIssuer(
        inside.directory,
        [SocketChallenge(f"127.0.0.1:{inside.http_port}")],
        contact=["ops@example.com"],
        trust=inside.trust,
        state=tmp_path / "state",
    )
    made = issuer.issue(wanted := request(*inside.NAMES))
    assert set(made.names) == set(inside.NAMES)
    assert made.check(inside.NAMES[1], trust=[inside.root]).ok
    assert made.not_after - made.not_before < dt.timedelta(hours=13)
    assert issuer.renewal_time(made) is None
    issuer.revoke(made, "superseded")
    assert wanted.matches(made)


def test_caddy_by_the_listener_of_a_machine(inside: Caddy, tmp_path: Path) -> None:
    """tls-alpn-01, as another server looks for it; a wrong answer is refused by it."""
    with EmbeddedMachine(tmp_path / "machine.sqlite") as machine, machine.listen(ports={443: inside.tls_port}):

        def issuer(solver: ChallengeSolver) -> AcmeIssuer:
            return AcmeIssuer(inside.directory, [solver], trust=inside.trust, state=tmp_path / "state", timeout=30)

        assert issuer(TlsAlpnChallenge(machine)).issue(request(inside.NAMES[0])).names == inside.NAMES[:1]

        class Wrong(TlsAlpnChallenge):
            def present(self, domain: str, token: str, key_authorization: str) -> None:
                super().present(domain, token, f"{token}.wrong")

        with pytest.raises(IssuerError, match="was not shown"):
            issuer(Wrong(machine)).issue(request(inside.NAMES[1]))
        assert files_in(machine.state_folder / "acme-tls-alpn") == []


# -- what is refused before anything is asked --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "kind", "message"),
    [
        (["*.a.example"], "http-01", r"control over \*\.a\.example, dns-01 is needed, and here is http-01"),
        (["10.0.0.5"], "dns-01", r"control over 10\.0\.0\.5, http-01 or tls-alpn-01 is needed, and here is dns-01"),
        (["a.example"], None, r"control over a\.example, dns-01 or http-01 or tls-alpn-01 is needed, .* nothing"),
    ],
)
def test_what_no_solver_can_show(
    names: list[str], kind: str | None, message: str, server: Pebble, make: Callable[..., AcmeIssuer], tmp_path: Path
) -> None:
    solvers: dict[str | None, list[ChallengeSolver]] = {
        "http-01": [WebrootChallenge(tmp_path)],
        "dns-01": [DnsChallenge(print, print)],
        None: [],
    }
    before = server.log.count("GET /dir")
    with pytest.raises(InvalidInputError, match=message):
        make(*solvers[kind]).issue(request(*names))
    assert server.log.count("GET /dir") == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"directory": "http://ca.example/dir"}, "a directory is an address such as https://"),
        ({"directory": "ca.example"}, "a directory is an address such as https://"),
        ({"directory": "https://[::1/dir"}, "a directory is an address such as https://"),
        ({"directory": "https://me:secret@ca.example/dir"}, "holds no user name or password"),
        ({"solvers": ["http-01"]}, "solvers is a list of solvers"),
        ({"solvers": [WebrootChallenge]}, "WebrootChallenge is a class"),
        ({"solvers": "http-01"}, "solvers is a list of solvers, .*put it into a list"),
        ({"contact": ["ops"]}, "contact is a list of e-mail addresses, and 'ops' is none"),
        ({"contact": "ops@example.com"}, "put it into a list"),
        ({"agree_terms": "yes"}, "agree_terms is True or False"),
        ({"external_account": ("kid", "not base64!")}, "a key identifier and an HMAC key in base64url"),
        ({"external_account": "kid"}, "a key identifier and an HMAC key in base64url"),
        ({"timeout": 0}, "timeout is a number of seconds above 0"),
        ({"preferred_chain": 1}, "preferred_chain is a common name"),
        ({"progress": "yes"}, "progress is a function of a text"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=message) as caught:
        AcmeIssuer(**{"directory": "https://ca.example/dir", "state": tmp_path, **arguments})
    assert "secret" not in str(caught.value)
    assert "not base64!" not in str(caught.value)


def test_a_trust_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "trust.pem").write_text("nothing")
    with pytest.raises(MalformedDataError, match=r"trust\.pem"):
        AcmeIssuer("https://ca.example/dir", trust=tmp_path / "trust.pem")
    with pytest.raises(NotFoundError):
        AcmeIssuer("https://ca.example/dir", trust=tmp_path / "missing.pem")


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "acme", None)
    with pytest.raises(UnsupportedError, match=r"pip install 'mlsssl\[acme\]'"):
        AcmeIssuer("letsencrypt")


def test_short_names_of_directories() -> None:
    assert AcmeIssuer("letsencrypt").name == acme.DIRECTORIES["letsencrypt"]
    assert "staging" in AcmeIssuer("letsencrypt-staging").name


# -- the account -----------------------------------------------------------------------------------------------------


def test_one_account_for_all_runs(server: Pebble, web: Path, make: Callable[..., AcmeIssuer]) -> None:
    """Another object, as in another process, signs with the same key; another state is another account."""
    before = server.log.count("accounts in memory")
    for name in ("one.example", "two.example"):
        make(WebrootChallenge(web)).issue(request(name))
    assert server.log.count("accounts in memory") == before + 1
    make(WebrootChallenge(web), state=web.parent / "other").issue(request("three.example"))
    assert server.log.count("accounts in memory") == before + 2


def test_the_terms_have_to_be_agreed_to(make: Callable[..., AcmeIssuer], web: Path, server: Pebble) -> None:
    before = server.log.count("accounts in memory")
    with pytest.raises(IssuerError, match=r"has terms of service, .*agree to them: AcmeIssuer\(agree_terms=True\)"):
        make(WebrootChallenge(web), agree_terms=False).issue(request("terms.example"))
    assert server.log.count("accounts in memory") == before


def test_an_account_that_the_server_has_lost(tmp_path: Path, server: Pebble, web: Path) -> None:
    """The same key is registered again, and the order that the server does not know either is placed anew."""
    issuer = AcmeIssuer(
        server.directory, [WebrootChallenge(web)], agree_terms=True, trust=server.trust, state=tmp_path / "state"
    )
    issuer.issue(request("lost.example"))
    account = issuer.state_folder / "account.json"
    record = json.loads(account.read_text())
    account.write_text(json.dumps({**record, "url": record["url"] + "9"}))
    assert issuer.issue(request("found.example")).names == ("found.example",)
    assert json.loads(account.read_text()) == record


def test_a_damaged_account_is_not_replaced(server: Pebble, web: Path, make: Callable[..., AcmeIssuer]) -> None:
    issuer = make(WebrootChallenge(web))
    issuer.issue(request("damaged.example"))
    account = issuer.state_folder / "account.json"
    for content in ("{", "[]", '{"key": 1}'):
        account.write_text(content)
        with pytest.raises(MalformedDataError, match="back from a backup"):
            issuer.issue(request("more.example"))
        assert account.read_text() == content


@pytest.fixture(name="external", scope="module")
def _external(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pebble]:
    environment = {"PEBBLE_ALTERNATE_ROOTS": "2", "PEBBLE_CHAIN_LENGTH": "2"}
    with acme_servers.pebble(tmp_path_factory.mktemp("external"), external=True, environment=environment) as server:
        yield server


def test_an_external_account(external: Pebble, tmp_path: Path) -> None:
    """With its key it works; without, or with another, the server's refusal says so."""
    solver = SocketChallenge(f"127.0.0.1:{external.http_port}")

    def issuer(account: tuple[str, str] | None) -> AcmeIssuer:
        return AcmeIssuer(
            external.directory,
            [solver],
            agree_terms=True,
            trust=external.trust,
            external_account=account,
            state=tmp_path / "state",
        )

    with pytest.raises(IssuerError, match=r"give the key identifier and .*: AcmeIssuer\(external_account="):
        issuer(None).issue(request("eab.example"))
    wrong = (acme_servers.EXTERNAL[0], "d3Jvbmc")
    with pytest.raises(IssuerError, match="refuses: "):
        issuer(wrong).issue(request("eab.example"))
    assert issuer(acme_servers.EXTERNAL).issue(request("eab.example")).names == ("eab.example",)


def test_the_preferred_chain(external: Pebble, tmp_path: Path) -> None:
    """The root of that name, where the server has it; else its own choice, and the user is told."""
    told: list[str] = []
    roots = [external.root(number) for number in range(3)]
    for number, root in enumerate(roots):
        issuer = AcmeIssuer(
            external.directory,
            [SocketChallenge(f"127.0.0.1:{external.http_port}")],
            agree_terms=True,
            trust=external.trust,
            external_account=acme_servers.EXTERNAL,
            state=tmp_path / "state",
            preferred_chain=root.common_name,
            progress=told.append,
        )
        made = issuer.issue(request(f"chain{number}.example"))
        assert made.chain[-1].issuer == root.subject
        assert made.check(f"chain{number}.example", trust=[root]).ok
    assert not any("taking its own choice" in text for text in told)
    issuer = AcmeIssuer(
        external.directory,
        [SocketChallenge(f"127.0.0.1:{external.http_port}")],
        agree_terms=True,
        trust=external.trust,
        external_account=acme_servers.EXTERNAL,
        state=tmp_path / "state",
        preferred_chain="Nobody",
        progress=told.append,
    )
    issuer.issue(request("chain.example"))
    assert "the server has no chain up to Nobody; taking its own choice" in told


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_secrets_are_private_and_never_said(
    external: Pebble, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither of the account's keys is in a log of any library, an error, a `repr`, or the words of a program."""
    caplog.set_level(logging.DEBUG)
    started: list[str] = []
    sys.addaudithook(lambda event, arguments: started.append(repr(arguments)) if event == "subprocess.Popen" else None)
    told: list[str] = []
    issuer = AcmeIssuer(
        external.directory,
        [
            SocketChallenge(f"127.0.0.1:{external.http_port}"),
            DnsChallenge.by_command([sys.executable, "-c", "pass"]),
        ],
        agree_terms=True,
        trust=external.trust,
        external_account=acme_servers.EXTERNAL,
        state=tmp_path / "state",
        progress=told.append,
    )
    issuer.issue(request("secret.example"))
    with pytest.raises(IssuerError) as caught:
        issuer.issue(request("*.secret.example"))
    record = json.loads((issuer.state_folder / "account.json").read_text())
    scalar = "".join(record["key"].split("\n")[1:-2])
    texts = [caplog.text, repr(issuer), str(issuer), repr(caught.value), *told, *started]
    assert started
    for secret in (acme_servers.EXTERNAL[1], record["key"], scalar, scalar[40:80]):
        assert not any(secret in text for text in texts)
    files = list((tmp_path / "state").rglob("*"))
    assert len(files) > 5
    for path in files:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
        if path.is_file():
            assert acme_servers.EXTERNAL[1] not in path.read_text()
    with pytest.raises(InvalidInputError, match="not pickled"):
        pickle.dumps(issuer)


def test_a_state_of_somebody_elses_is_not_taken(make: Callable[..., AcmeIssuer], web: Path, tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o777)
    with pytest.raises(AccessDeniedError, match="chmod 700"):
        make(WebrootChallenge(web)).issue(request("a.example"))


# -- its own, revocation, wrong answers ------------------------------------------------------------------------------


def test_what_it_has_issued(make: Callable[..., AcmeIssuer], web: Path) -> None:
    """What was ordered here, and its like; not what somebody else issued, nor anything before the first order."""
    issuer = make(WebrootChallenge(web))
    other = CertificateAuthority.create("Other", key="ec-p256").issue("own.example", key="ec-p256")
    assert not issuer.issued(other)
    made = issuer.issue(request("own.example"))
    assert issuer.issued(made)
    assert make(WebrootChallenge(web)).issued(made)
    assert not issuer.issued(other)
    assert not make(WebrootChallenge(web), state=web.parent / "other").issued(made)


def test_the_same_request_again(server: Pebble, make: Callable[..., AcmeIssuer], web: Path) -> None:
    """The same answer without an order, for a process that was killed before it stored it; not as its own successor."""
    issuer = make(WebrootChallenge(web))
    made = issuer.issue(wanted := request("again.example"))
    orders = server.orders
    second = make(WebrootChallenge(web)).issue(wanted)
    assert (second, second.chain) == (made, made.chain)
    assert len(made.chain) == 1
    assert server.orders == orders
    assert make(WebrootChallenge(web)).issue(wanted, old=made) != made
    assert server.orders == orders + 1


def test_revocation(server: Pebble, make: Callable[..., AcmeIssuer], web: Path, tmp_path: Path) -> None:
    """By the account; by the certificate's key where another account ordered it; twice is once."""
    issuer, other = make(WebrootChallenge(web)), make(WebrootChallenge(web), state=tmp_path / "other")
    first, second = request("revoked.example"), request("revoked.example")
    made = issuer.issue(first)
    with pytest.raises(InvalidInputError, match="a reason is one of keyCompromise"):
        issuer.revoke(made, "because")
    issuer.revoke(made, "superseded")
    issuer.revoke(made, "superseded")
    assert issuer.issue(first) != made, "what was revoked is nobody's answer"
    made = issuer.issue(second)
    with pytest.raises(IssuerError, match="refuses"):
        other.revoke(made)
    other.revoke(second.complete(made), "keyCompromise")


def test_a_server_that_cannot_be_trusted(server: Pebble, web: Path, tmp_path: Path) -> None:
    """Without its root: an error that says what to give, and no account key is sent anywhere."""
    issuer = AcmeIssuer(server.directory, [WebrootChallenge(web)], state=tmp_path / "state", timeout=5)
    with pytest.raises(
        IssuerError,
        match=r"cannot be trusted: .*give the file with its root: AcmeIssuer\(trust=",
    ):
        issuer.issue(request("a.example"))


def test_a_server_that_is_not_there(tmp_path: Path, web: Path) -> None:
    issuer = AcmeIssuer(
        f"https://127.0.0.1:{free_port()}/dir", [WebrootChallenge(web)], state=tmp_path / "state", timeout=5
    )
    with pytest.raises(IssuerError, match=r"cannot be reached: .*refused") as caught:
        issuer.issue(request("a.example"))
    assert not isinstance(caught.value, IssuePendingError)


def get(url: str) -> bytes:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=30) as answer:
        found: bytes = answer.read()
    return found


def test_names_that_acme_does_not_know(make: Callable[..., AcmeIssuer], web: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    mail = builder.add_extension(x509.SubjectAlternativeName([x509.RFC822Name("a@b.example")]), critical=False)
    for made, message in ((mail, "DNS names and IP addresses only"), (builder, "asks for no name")):
        with pytest.raises(InvalidInputError, match=message):
            make(WebrootChallenge(web)).issue(CertificateRequest(made.sign(key, hashes.SHA256())))


def test_failures_are_remembered(server: Pebble, make: Callable[..., AcmeIssuer], tmp_path: Path, web: Path) -> None:
    """Two may be tried again at once; after the third the server is not asked before a time, longer each time."""
    empty = tmp_path / "empty"
    empty.mkdir()
    for _ in range(3):
        with pytest.raises(IssuerError, match="was not shown") as caught:
            make(WebrootChallenge(empty)).issue(request("failing.example"))
        assert not isinstance(caught.value, IssuePendingError)
    orders = server.orders
    waits = []
    for _ in range(2):
        with pytest.raises(
            IssuePendingError, match="orders in a row have failed, the last one so: control over"
        ) as pending:
            make(WebrootChallenge(web)).issue(request("failing.example"))
        assert pending.value.not_before is not None
        waits.append(pending.value.not_before)
    assert waits[0] == waits[1]
    assert server.orders == orders
    make(WebrootChallenge(web)).issue(request("other.example"))
    # When the time has come, a success ends it.
    (record,) = make().state_folder.glob("failures-*.json")
    record.write_text(json.dumps({**json.loads(record.read_text()), "not_before": "2026-01-01T00:00:00+00:00"}))
    make(WebrootChallenge(web)).issue(request("failing.example"))
    assert not record.exists()


def test_two_processes_for_one_request(make: Callable[..., AcmeIssuer], server: Pebble, web: Path) -> None:
    """One order: the second waits for the first, and is given its answer."""
    wanted = request("both.example")
    orders = server.orders
    made: list[Certificate] = []
    threads = [
        threading.Thread(target=lambda: made.append(make(WebrootChallenge(web)).issue(wanted))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 1
    assert len(made) == 3
    assert server.orders == orders + 1


def test_another_process_is_at_work(make: Callable[..., AcmeIssuer], web: Path) -> None:
    from mlsssl.issuers._acme.order import name_of
    from mlsssl.issuers._acme.state import State

    issuer = make(WebrootChallenge(web), timeout=0.3)
    wanted = request("busy.example")
    issuer.issued(CertificateAuthority.create("x", key="ec-p256").certificate)
    issuer.state_folder.parent.mkdir(mode=0o700)
    with State(issuer.state_folder).locked(name_of(wanted), timeout=0), pytest.raises(IssuePendingError) as caught:
        issuer.issue(wanted)
    assert "another process is at work" in str(caught.value)
    assert caught.value.not_before is not None
    with contextlib.suppress(IssuerError):
        issuer.issue(wanted)
