"""The fixtures under short names, for projects that ask for them: `mlsssl_short_names = true`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from mlsssl._testing.machines import FakeWindows
    from mlsssl._testing.tls import TlsClientMaker, TlsServerMaker
    from mlsssl.authority import CertificateAuthority
    from mlsssl.certificate import Certificate
    from mlsssl.machine import EmbeddedMachine


@pytest.fixture(scope="session")
def ca(mlsssl_ca: CertificateAuthority) -> CertificateAuthority:
    """`mlsssl_ca`."""
    return mlsssl_ca


@pytest.fixture(scope="session")
def server_certificate(mlsssl_certificate: Certificate) -> Certificate:
    """`mlsssl_certificate`."""
    return mlsssl_certificate


@pytest.fixture
def machine(mlsssl_machine: EmbeddedMachine) -> EmbeddedMachine:
    """`mlsssl_machine`."""
    return mlsssl_machine


@pytest.fixture
def fake_windows(mlsssl_fake_windows: FakeWindows) -> FakeWindows:
    """`mlsssl_fake_windows`."""
    return mlsssl_fake_windows


@pytest.fixture
def tls_server(mlsssl_tls_server: TlsServerMaker) -> TlsServerMaker:
    """`mlsssl_tls_server`."""
    return mlsssl_tls_server


@pytest.fixture
def tls_client(mlsssl_tls_client: TlsClientMaker) -> TlsClientMaker:
    """`mlsssl_tls_client`."""
    return mlsssl_tls_client
