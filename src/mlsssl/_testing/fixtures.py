"""The fixtures of the pytest plugin; each imports what it needs when a test asks for it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from mlsssl._testing.machines import FakeWindows
    from mlsssl._testing.tls import TlsClientMaker, TlsConnection, TlsServer, TlsServerMaker
    from mlsssl.authority import CertificateAuthority
    from mlsssl.certificate import Certificate
    from mlsssl.machine import EmbeddedMachine

# What programs and libraries read; `SSL_CERT_DIR` is beside them, so that OpenSSL looks into no folder of its own.
_BUNDLE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture(scope="session")
def mlsssl_ca() -> CertificateAuthority:
    """An authority for the whole run: P-256, immutable, and trusted by nobody who is not told to."""
    from mlsssl.authority import CertificateAuthority

    return CertificateAuthority.create("mlsssl test authority", key="ec-p256")


@pytest.fixture(scope="session")
def mlsssl_certificate(mlsssl_ca: CertificateAuthority) -> Certificate:
    """A certificate by `mlsssl_ca` for `localhost`, `127.0.0.1` and `::1`, with its private key; valid for a week."""
    return mlsssl_ca.issue("localhost", "127.0.0.1", "::1", days=7)


@pytest.fixture(scope="session")
def mlsssl_ca_bundle(mlsssl_ca: CertificateAuthority, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of a PEM file with the root of `mlsssl_ca` alone: what clients take as their CA bundle."""
    file = tmp_path_factory.mktemp("mlsssl-ca") / "ca.pem"
    file.write_bytes(mlsssl_ca.certificate.to_pem())
    return file


@pytest.fixture
def mlsssl_ca_environment(mlsssl_ca_bundle: Path) -> Iterator[Mapping[str, str]]:
    """Environment variables that make programs and libraries trust `mlsssl_ca` alone, until the test ends.

    SSL_CERT_FILE, SSL_CERT_DIR (an empty folder), REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE, in this process and in those
    that it starts; the fixture's value has them too. It reaches what reads them after the fixture was set up.
    """
    empty = mlsssl_ca_bundle.parent / "no-certificates"
    empty.mkdir(exist_ok=True)
    variables = {**dict.fromkeys(_BUNDLE_VARIABLES, str(mlsssl_ca_bundle)), "SSL_CERT_DIR": str(empty)}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield variables


@pytest.fixture(scope="session")
def mlsssl_server(mlsssl_certificate: Certificate) -> Iterator[TlsServer]:
    """A TLS server for the whole run that serves `mlsssl_certificate`: `address`, `port`, `url`.

    Every HTTP request is answered `200 OK`. What a test changes in it, the others see: `mlsssl_tls_server` makes one
    for a test alone.
    """
    from mlsssl._testing import tls

    with tls.tls_server(mlsssl_certificate) as server:
        yield server


@pytest.fixture
def mlsssl_machine() -> Iterator[EmbeddedMachine]:
    """An empty embedded machine, gone after the test: `mlsssl.testing.memory_machine`."""
    from mlsssl._testing.machines import memory_machine

    with memory_machine() as made:
        yield made


@pytest.fixture
def mlsssl_fake_windows() -> Iterator[FakeWindows]:
    """A Windows made of fakes, empty: `mlsssl.testing.fake_windows_machine`."""
    from mlsssl._testing.machines import fake_windows_machine

    with fake_windows_machine() as made:
        yield made


@pytest.fixture
def mlsssl_tls_server() -> Iterator[TlsServerMaker]:
    """A maker of TLS servers that end with the test, as `mlsssl.testing.tls_server`: give it a certificate."""
    from mlsssl._testing import tls

    with contextlib.ExitStack() as stack:

        def serve(
            certificate: Certificate,
            *,
            clients: Sequence[CertificateAuthority | Certificate] = (),
            host: str = "127.0.0.1",
            timeout: float = 5.0,
        ) -> TlsServer:
            return stack.enter_context(tls.tls_server(certificate, clients=clients, host=host, timeout=timeout))

        yield serve


@pytest.fixture
def mlsssl_tls_client(mlsssl_ca: CertificateAuthority) -> TlsClientMaker:
    """A TLS client that trusts `mlsssl_ca`.

    As `mlsssl.testing.tls_client`, but for `trust`, which is `mlsssl_ca` when not given.
    """
    from mlsssl._testing import tls

    def connect(
        address: tuple[str, int],
        *,
        trust: Sequence[CertificateAuthority | Certificate] | None = None,
        certificate: Certificate | None = None,
        host: str | None = None,
        timeout: float = 5.0,
    ) -> AbstractContextManager[TlsConnection]:
        anchors = [mlsssl_ca] if trust is None else trust
        return tls.tls_client(address, trust=anchors, certificate=certificate, host=host, timeout=timeout)

    return connect
