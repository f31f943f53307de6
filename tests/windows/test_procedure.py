"""The whole procedure on the Windows machine, through the public face alone: from no HTTPS to HTTPS, renewed.

Over fakes anywhere, and on this computer under Windows' Python: Wine's stores, keys and services, and the stand-in for
HTTP.sys. Nothing listens on the port, so what clients are served is not part of this.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from mlsssl import (
    Binding,
    BindingOptions,
    Certificate,
    CertificateAuthority,
    Machine,
    ServiceState,
    Store,
    UnusableCertificateError,
    ValidationError,
    WindowsMachine,
    deploy,
    renew,
)
from mlsssl._fakes.advapi32_services import RUNNING, FakeService
from mlsssl._fakes.dlls import FakeDlls
from mlsssl._windows.machine import WindowsPort
from mlsssl.errors import NotFoundError
from windows.wine_limits import may_change_this_windows, under_wine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "127.0.0.1:44601"
HOST_KEY = "procedure.example:44601"


@pytest.fixture(scope="module", name="authority")
def _authority() -> CertificateAuthority:
    # RSA, as Wine keeps EC keys nowhere.
    return CertificateAuthority.create("mlsssl test procedure", key="rsa-2048")


@pytest.fixture(name="machine", params=["fakes", "windows"] if may_change_this_windows() else ["fakes"])
def _machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    if request.param == "fakes":
        dlls = FakeDlls()
        dlls.advapi32_services.define(FakeService(name="StiSvc", state=RUNNING))
        yield Machine(WindowsPort(dlls, state_folder=tmp_path / "state"))
        assert dlls.calls.leaks == {}
        return
    if not under_wine():
        pytest.skip("on a real Windows the workflow runs this procedure with netsh as its witness")
    machine = WindowsMachine()
    with contextlib.suppress(NotFoundError):
        machine.services["StiSvc"].start(timeout=30)
    before = {entry.thumbprint for entry in machine.store()}
    yield machine
    for key in (KEY, HOST_KEY):
        with contextlib.suppress(NotFoundError):
            Binding.get(key, machine=machine).remove()
    with Store.open("MY", machine=machine) as store:
        for entry in list(store):
            if entry.thumbprint not in before:
                store.remove(entry.thumbprint)
    machine.services["StiSvc"].stop(timeout=30)


def public_key(certificate: Certificate) -> object:
    return x509.load_der_x509_certificate(certificate.to_der()).public_key()


def test_from_nothing_to_renewed_and_back(machine: Machine, authority: CertificateAuthority) -> None:
    """Deploy, deploy again (nothing to do), renew, undo: each leaves exactly what it says."""
    first = authority.issue("procedure.example", "127.0.0.1", key="rsa-2048")
    options = BindingOptions(http2=False, negotiate_client_certificate=True)
    outcome = deploy(KEY, first, machine=machine, options=options, verify=False)
    assert outcome.changed
    bound = Binding.get(KEY, machine=machine)
    assert (bound.thumbprint, bound.store_name, bound.options) == (first.thumbprint, "MY", options)
    with Store.open("MY", machine=machine) as store:
        assert store[first.thumbprint].has_private_key
    assert not deploy(KEY, first, machine=machine, options=options, verify=False).changed

    renewed = renew(KEY, authority, machine=machine, force=True, verify=False)
    assert renewed.changed
    after = Binding.get(KEY, machine=machine)
    assert after.thumbprint != first.thumbprint
    assert (after.options, after.app_id) == (options, bound.app_id)
    with Store.open("MY", machine=machine) as store:
        assert after.thumbprint is not None
        newer = store[after.thumbprint]
        assert newer.has_private_key
        assert public_key(newer.certificate) != public_key(first), "a renewal makes a new key"

    renewed.undo()
    assert Binding.get(KEY, machine=machine).thumbprint == first.thumbprint
    assert machine.recover() == []


def test_a_service_is_restarted_around_the_change(machine: Machine, authority: CertificateAuthority) -> None:
    """It runs before and after, and the outcome says that it was stopped in between."""
    certificate = authority.issue("procedure.example", key="rsa-2048")
    outcome = deploy(HOST_KEY, certificate, machine=machine, restart=["StiSvc"], verify=False)
    assert machine.services["StiSvc"].state is ServiceState.RUNNING
    assert any("StiSvc" in line for line in outcome.done)
    assert Binding.get(HOST_KEY, machine=machine).thumbprint == certificate.thumbprint


def test_a_certificate_without_its_key_is_refused_with_the_reason(
    machine: Machine, authority: CertificateAuthority
) -> None:
    """Nothing is bound, and what is missing is said."""
    bare = authority.issue("procedure.example", key="rsa-2048").without_key()
    with Store.open("MY", machine=machine) as store:
        store.add(bare)
    with pytest.raises(UnusableCertificateError, match="private key"):
        Binding(KEY, bare.thumbprint, machine=machine).add()
    assert Binding.find(KEY, machine=machine) is None


def test_a_list_in_a_store_of_the_machine_revokes(machine: Machine, authority: CertificateAuthority) -> None:
    """In every check of the entry, whoever judges trust, and for deploy; when the list is gone, no more."""
    leaf = authority.issue("procedure.example", key="rsa-2048")
    with machine.store() as mine, machine.store("CA") as authorities:
        entry = mine.add(leaf)
        authorities.add(authority.certificate)
        (added,) = authorities.add_crl(authority.crl([leaf]))
        try:
            assert entry.check("procedure.example", trust=[authority]).codes == ("revoked",)
            assert "revoked" in entry.check("procedure.example").codes
            with pytest.raises(ValidationError, match="revoked"):
                deploy(KEY, leaf, machine=machine)
        finally:
            authorities.remove_crl(added)
        assert entry.check("procedure.example", trust=[authority]).findings == ()
        assert "revoked" not in entry.check("procedure.example").codes
        authorities.remove(authority.certificate.thumbprint)
    assert list(machine.bindings) == []
