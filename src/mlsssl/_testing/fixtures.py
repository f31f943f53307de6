"""The fixtures of the pytest plugin; each imports what it needs when a test asks for it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from mlsssl._testing.machines import FakeWindows
    from mlsssl._testing.tls import TlsClientMaker, TlsConnection, TlsServer, TlsServerMaker
    from mlsssl.authority import CertificateAuthority
    from mlsssl.certificate import Certificate
    from mlsssl.machine import EmbeddedMachine


@pytest.fixture(scope="session")
def ca() -> CertificateAuthority:
    """An authority for the whole run: P-256, immutable, and trusted by nobody who is not told to."""
    from mlsssl.authority import CertificateAuthority

    return CertificateAuthority.create("mlsssl test authority", key="ec-p256")


@pytest.fixture(scope="session")
def server_certificate(ca: CertificateAuthority) -> Certificate:
    """A certificate by `ca` for `localhost`, `127.0.0.1` and `::1`, with its private key; valid for a week."""
    return ca.issue("localhost", "127.0.0.1", "::1", days=7)


@pytest.fixture
def machine() -> Iterator[EmbeddedMachine]:
    """An empty embedded machine, gone after the test: `mlsssl.testing.memory_machine`."""
    from mlsssl._testing.machines import memory_machine

    with memory_machine() as made:
        yield made


@pytest.fixture
def fake_windows() -> Iterator[FakeWindows]:
    """A Windows made of fakes, empty: `mlsssl.testing.fake_windows_machine`."""
    from mlsssl._testing.machines import fake_windows_machine

    with fake_windows_machine() as made:
        yield made


@pytest.fixture
def tls_server() -> Iterator[TlsServerMaker]:
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
def tls_client(ca: CertificateAuthority) -> TlsClientMaker:
    """A TLS client that trusts `ca`.

    As `mlsssl.testing.tls_client`, but for `trust`, which is `ca` when not given.
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
        anchors = [ca] if trust is None else trust
        return tls.tls_client(address, trust=anchors, certificate=certificate, host=host, timeout=timeout)

    return connect
