"""Mutual TLS: servers and clients of several makers take our client certificates, and refuse their twins."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from mlsssl import Certificate, CertificateAuthority
from mlsssl.testing import TlsServer, tls_client, tls_server
from programs import output, require, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOST = "server-name.com"
# What a server that asks for client certificates takes, and what it refuses, in OpenSSL's words.
REFUSED = {
    "server": "unsuitable certificate purpose",
    "stranger": "self-signed certificate in certificate chain",
    "expired": "certificate has expired",
}


@dataclass(frozen=True)
class People:
    """A server, its clients, the good one and its twins, and their files."""

    root: CertificateAuthority
    server: Certificate
    clients: dict[str, Certificate]
    folder: Path

    def file(self, name: str) -> Path:
        """Certificate, key and chain as PEM, or the root."""
        return self.folder / f"{name}.pem"


@pytest.fixture(scope="module", params=["ec-p256", "rsa-2048"])
def people(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> People:
    """A root and an intermediate, which issues for servers and clients alike."""
    key, folder = request.param, tmp_path_factory.mktemp("people")
    long_ago = dt.datetime.now(dt.timezone.utc) - dt.timedelta(days=400)
    root = CertificateAuthority.create("People Root", key=key, at=long_ago, organization="Example", country="DE")
    middle = root.create_intermediate("People Intermediate", at=long_ago)
    people = People(
        root,
        middle.issue(HOST),
        {
            "alice": middle.issue_client(
                "Alice Example",
                emails=["alice@example.com"],
                hosts=["pc-7.example"],
                user_principal_name="alice@corp.example",
                organization="Example",
            ),
            "server": middle.issue(HOST),
            "stranger": CertificateAuthority.create("Strangers", key=key).issue_client("Alice Example"),
            "expired": middle.issue_client("Alice Example", days=30, at=long_ago),
        },
        folder,
    )
    root.certificate.save(folder / "root.pem")
    for name, one in {"www": people.server, **people.clients}.items():
        one.save(people.file(name))
    return people


@contextmanager
def _s_server(people: People) -> Iterator[int]:
    """`openssl s_server`, strict, which ends each connection without a client certificate that it likes."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [require("openssl"), "s_server", "-accept", f"127.0.0.1:{port}", "-cert", str(people.file("www"))]
    command += ["-cert_chain", str(people.file("www")), "-CAfile", str(people.file("root")), "-Verify", "3"]
    command += ["-verify_return_error", "-x509_strict", "-www", "-quiet"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(100):
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                    break
                time.sleep(0.1)
            yield port
        finally:
            process.terminate()


def _fetch_by_python(people: People, port: int, who: str | None) -> str:
    """What Python's `ssl`, strict, reads with this client's certificate, or why it does not."""
    context = ssl.create_default_context(cafile=str(people.file("root")))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    if who is not None:
        context.load_cert_chain(people.file(who))
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as raw,
            context.wrap_socket(raw, server_hostname=HOST) as connection,
        ):
            connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
            return connection.recv(4096).decode("ascii", "replace")
    except OSError as error:
        return f"refused: {error}"


def _fetch_by_curl(people: People, port: int, who: str | None) -> str:
    words = ["--silent", "--show-error", "--max-time", "20", "--noproxy", "*", "--http1.1", "--include"]
    words += ["--resolve", f"{HOST}:{port}:127.0.0.1", "--cacert", str(people.file("root"))]
    words += ["--cert", str(people.file(who))] if who is not None else []
    result = run("curl", *words, f"https://{HOST}:{port}/")
    return output(result) if result.returncode == 0 else f"refused: {output(result)}"


def _fetch_by_openssl(people: People, port: int, who: str | None) -> str:
    words = ["-connect", f"127.0.0.1:{port}", "-servername", HOST, "-CAfile", str(people.file("root")), "-ign_eof"]
    words += ["-cert", str(people.file(who)), "-cert_chain", str(people.file(who))] if who is not None else []
    result = run("openssl", "s_client", "-quiet", "-verify_return_error", *words, stdin=b"GET / HTTP/1.0\r\n\r\n")
    said = output(result)
    return said if "200 " in said else f"refused: {said}"


CLIENTS = {"python": _fetch_by_python, "curl": _fetch_by_curl, "openssl": _fetch_by_openssl}


@pytest.mark.parametrize("client", CLIENTS)
def test_openssls_server_takes_alice_and_nobody_else(people: People, client: str) -> None:
    with _s_server(people) as port:
        fetch = CLIENTS[client]
        assert "200 " in fetch(people, port, "alice")
        for who in (None, *REFUSED):
            assert fetch(people, port, who).startswith("refused"), who


@pytest.mark.parametrize("client", CLIENTS)
def test_pythons_server_takes_alice_and_says_why_nobody_else(people: People, client: str) -> None:
    with tls_server(people.server, clients=[people.root]) as server:
        fetch = CLIENTS[client]
        assert "200 " in fetch(people, server.port, "alice")
        assert server.client_certificates == [people.clients["alice"]]
        refusals = [(None, "did not return a certificate"), *REFUSED.items()]
        for number, (who, words) in enumerate(refusals):
            assert fetch(people, server.port, who).startswith("refused"), who
            assert words in _failure(server, number), who
        assert (server.handshakes, len(server.client_certificates)) == (1, 1)


def _failure(server: TlsServer, number: int) -> str:
    """The server's reason, which it may note after the client has heard of it."""
    for _ in range(100):
        if len(server.failures) > number:
            break
        time.sleep(0.05)
    return server.failures[number]


def test_our_client_shows_its_certificate(people: People) -> None:
    """The helper for tests, both ways; a server that asks nobody is not shown any."""
    with tls_server(people.server, clients=[people.root]) as server:
        alice, wrong = people.clients["alice"], people.clients["server"]
        with tls_client(server.address, trust=[people.root], certificate=alice, host=HOST) as connection:
            connection.session.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert connection.session.recv(64).startswith(b"HTTP/1.1 200")
        with (
            tls_client(server.address, trust=[people.root], certificate=wrong, host=HOST) as connection,
            pytest.raises(OSError, match=r"alert|EOF|reset|pipe"),
        ):
            connection.session.recv(64)
    with (
        tls_server(people.server) as server,
        tls_client(server.address, trust=[people.root], certificate=people.clients["alice"], host=HOST) as connection,
    ):
        assert connection.certificate == people.server
        assert server.client_certificates == []


@pytest.mark.parametrize("who", ["alice", *REFUSED])
def test_other_verifiers_agree_with_check(people: People, who: str) -> None:
    """`openssl verify -purpose sslclient`, GnuTLS and `check(purpose="client")` say the same."""
    certificate = people.clients[who]
    verdict = certificate.check(trust=[people.root], purpose="client").ok
    assert verdict is (who == "alice")
    chain = people.folder / "chain.pem"
    chain.write_bytes(b"".join(one.to_pem() for one in certificate.chain))
    (people.folder / "one.pem").write_bytes(certificate.to_pem())
    said = run(
        "openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", people.file("root"),
        "-untrusted", chain, people.folder / "one.pem",
    )  # fmt: skip
    assert (said.returncode == 0) is verdict, output(said)
    full = people.folder / "full.pem"
    full.write_bytes(certificate.to_pem(chain=True))
    said = run(
        "certtool", "--verify", "--verify-purpose", "1.3.6.1.5.5.7.3.2", "--load-ca-certificate", people.file("root"),
        "--infile", full,
    )  # fmt: skip
    assert (said.returncode == 0) is verdict, output(said)
    if who == "alice":
        said = run("openssl", "verify", "-purpose", "sslserver", "-CAfile", people.file("root"), "-untrusted", chain,
                   people.folder / "one.pem")  # fmt: skip
        assert said.returncode != 0
        assert not certificate.check(trust=[people.root]).ok


def test_openssl_reads_the_names(people: People) -> None:
    (people.folder / "alice.crt").write_bytes(people.clients["alice"].to_pem())
    said = output(run("openssl", "x509", "-noout", "-ext", "subjectAltName", "-in", people.folder / "alice.crt"))
    assert "othername: UPN" in said
    assert "alice@corp.example" in said
    assert "email:alice@example.com, DNS:pc-7.example" in said
