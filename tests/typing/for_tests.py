"""What users import in their tests and notebooks, typed."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis.strategies import SearchStrategy
from typing_extensions import assert_type

from mlsssl import (
    Binding,
    Certificate,
    CertificateAuthority,
    EmbeddedMachine,
    EndpointReport,
    Machine,
    Outcome,
    RevocationList,
    Thumbprint,
    aio,
    strategies,
    testing,
)


def drawn() -> None:
    assert_type(strategies.certificates(min_names=2, max_names=3), SearchStrategy[Certificate])
    assert_type(strategies.authorities(), SearchStrategy[CertificateAuthority])
    assert_type(strategies.names(kinds=["dns", "ipv4"]), SearchStrategy[str])
    assert_type(strategies.chains(), SearchStrategy[strategies.Chain])
    assert_type(strategies.faulty_chains(codes=["expired"]), SearchStrategy[strategies.Chain])
    assert_type(strategies.thumbprints(), SearchStrategy[Thumbprint])
    assert_type(strategies.bindings(), SearchStrategy[Binding])
    assert_type(strategies.machines(), SearchStrategy[EmbeddedMachine])


@given(chain=strategies.faulty_chains())
def refuses(chain: strategies.Chain) -> None:
    assert_type(chain.fault, str | None)
    assert_type(chain.near_miss, str | None)
    assert_type(chain.crls, tuple[RevocationList, ...])
    assert_type(chain.check().ok, bool)


def doubles(certificate: Certificate, ca: CertificateAuthority) -> None:
    clock = testing.FrozenClock()
    assert_type(clock(), dt.datetime)
    with testing.memory_machine() as machine:
        assert_type(machine, EmbeddedMachine)
    with testing.fake_windows_machine(release="2016") as windows:
        assert_type(windows.machine, Machine)
        assert_type(windows.calls.names, list[str])
        windows.fail_at(0, 5)
    with (
        testing.tls_server(certificate) as server,
        testing.tls_client(server.address, trust=[ca], host="localhost") as connection,
    ):
        assert_type(server.address, tuple[str, int])
        assert_type(connection.certificate, Certificate)


async def awaited(certificate: Certificate, machine: Machine) -> None:
    assert_type(await aio.deploy("0.0.0.0:443", certificate, machine=machine), Outcome)
    assert_type(await aio.check_endpoint("server-name.com:443", timeout=3), EndpointReport)


def test_with_fixtures(
    mlsssl_ca: CertificateAuthority,
    mlsssl_tls_server: testing.TlsServerMaker,
    mlsssl_tls_client: testing.TlsClientMaker,
) -> None:
    server = mlsssl_tls_server(mlsssl_ca.issue("localhost"), host="::1")
    assert_type(server, testing.TlsServer)
    with mlsssl_tls_client(server.address) as connection:
        assert_type(connection, testing.TlsConnection)
    with mlsssl_tls_client(server.address, trust=[mlsssl_ca], host="localhost", timeout=2) as connection:
        assert_type(connection.protocol, str)


def test_on_machines(mlsssl_machine: EmbeddedMachine, mlsssl_fake_windows: testing.FakeWindows) -> None:
    assert_type(mlsssl_machine.bindings["0.0.0.0:443"], Binding)
    assert_type(mlsssl_fake_windows.restart(), Machine)
