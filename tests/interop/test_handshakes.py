"""TLS with our certificates: clients of four makers accept the right server, and refuse its twins."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from interop.conftest import HOST
from programs import output, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from interop.conftest import Issued
    from mlsssl import CertificateAuthority


@contextmanager
def _serving(issued: Issued) -> Iterator[int]:
    """Python's ssl with our context, a small HTTP answer per connection; gives the port."""
    context = issued.leaf.ssl_context()
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.2)
    stop = threading.Event()

    def answer(raw: socket.socket) -> None:
        raw.settimeout(10)
        try:
            with context.wrap_socket(raw, server_side=True) as connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nhi\n")
        except OSError:
            pass  # a client that refuses us: its own words are what the test reads

    def accept() -> None:
        while not stop.is_set():
            try:
                raw, _ = listener.accept()
            except TimeoutError:
                continue
            threading.Thread(target=answer, args=(raw,), daemon=True).start()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stop.set()
        thread.join()
        listener.close()


def test_pythons_strict_client(issued: Issued) -> None:
    """With VERIFY_X509_STRICT, which Python 3.13 made its default."""

    def connect(authority: CertificateAuthority, host: str) -> bytes | None:
        context = authority.ssl_context()
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as raw,
            context.wrap_socket(raw, server_hostname=host) as connection,
        ):
            return connection.getpeercert(binary_form=True)

    with _serving(issued) as port:
        assert connect(issued.root, HOST) == issued.leaf.to_der()
        assert connect(issued.intermediate, HOST) == issued.leaf.to_der()
        with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
            connect(issued.root, "other.example")
        with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
            connect(issued.stranger, HOST)


def test_openssls_client(issued: Issued) -> None:
    """`openssl s_client`, strict."""

    def connect(trusted: str, host: str) -> str:
        result = run(
            "openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", host, "-verify_hostname", host,
            "-verify_return_error", "-x509_strict", "-CAfile", issued.file(trusted), "-no-CApath", "-no-CAstore",
        )  # fmt: skip
        return output(result)

    with _serving(issued) as port:
        assert "Verify return code: 0 (ok)" in connect("root.crt", HOST)
        assert "hostname mismatch" in connect("root.crt", "other.example").lower()
        assert "unable to get local issuer" in connect("stranger.crt", HOST)


def test_curl(issued: Issued) -> None:
    """curl, with its exit code 60 for a certificate it refuses."""

    def fetch(trusted: str, host: str) -> tuple[int, bytes]:
        result = run(
            "curl", "--silent", "--show-error", "--max-time", "20", "--noproxy", "*", "--resolve",
            f"{host}:{port}:127.0.0.1", "--cacert", issued.file(trusted), f"https://{host}:{port}/",
        )  # fmt: skip
        return result.returncode, result.stdout

    with _serving(issued) as port:
        assert fetch("root.crt", HOST) == (0, b"hi\n")
        assert fetch("root.crt", "other.example")[0] == 60
        assert fetch("stranger.crt", HOST)[0] == 60


def test_gnutls_client(issued: Issued) -> None:
    """`gnutls-cli`, which says what it thinks of the chain."""

    def connect(trusted: str, host: str) -> str:
        result = run(
            "gnutls-cli", "--verify-hostname", host, "--sni-hostname", host, "--x509cafile", issued.file(trusted),
            "--port", str(port), "127.0.0.1", stdin=b"GET / HTTP/1.0\r\n\r\n",
        )  # fmt: skip
        return output(result)

    with _serving(issued) as port:
        assert "The certificate is trusted" in connect("root.crt", HOST)
        assert "does not match" in connect("root.crt", "other.example")
        assert "NOT trusted" in connect("stranger.crt", HOST)
