"""A renewal from an issuer on this Windows: its own key storage makes the key, Crypt32 keeps the certificate.

Under Wine the key is in the older provider, for CNG keeps none there, and HTTP.sys is the stand-in.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from issuing import AUTHORITY, DistantIssuer
from mlsssl import AccessDeniedError, Binding, IssuePendingError, deploy, renew
from mlsssl._windows.machine import WindowsPort
from mlsssl.machine import Machine
from windows import raw_httpapi

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlsssl.certificate import Certificate

if sys.platform != "win32":
    pytest.skip("the real DLLs are Windows': `nox -s windows` runs this under Wine", allow_module_level=True)

KEY = "127.200.0.1:8443"  # nobody's


@pytest.fixture(name="port")
def _port(tmp_path: Path) -> Iterator[WindowsPort]:
    if raw_httpapi.StandIn().exports("StandinReset"):
        raw_httpapi.StandIn().reset()
    port = WindowsPort(state_folder=tmp_path / "state")
    clear(port)
    yield port
    clear(port)


def clear(port: WindowsPort) -> None:
    """Take away what the tests put on this computer."""
    machine = Machine(port)
    if (binding := Binding.find(KEY, machine=machine)) is not None:
        binding.remove()
    with machine.store("MY", create=True) as store:
        for entry in list(store):
            if AUTHORITY.issued(entry.certificate):
                store.remove(entry.thumbprint)
    with machine.store("CA", create=True) as store:
        if AUTHORITY.certificate.thumbprint in store:
            store.remove(AUTHORITY.certificate.thumbprint)
    for name in port.request_keys.names():
        port.request_keys.release(name)
    for file in port.state_folder.glob("*.json"):
        file.unlink()


def deployed(machine: Machine) -> Certificate:
    """The old certificate, bound."""
    old = AUTHORITY.issue("a.test", key=rsa.generate_private_key(65537, 2048))
    deploy(KEY, old, machine=machine)
    return old


def test_a_renewal_makes_its_key_in_this_windows(port: WindowsPort, tmp_path: Path) -> None:
    """The key signs the request, has the certificate, opens for HTTP.sys, and does not leave."""
    machine = Machine(port)
    old = deployed(machine)
    issuer = DistantIssuer(tmp_path / "issuer")
    outcome = renew(KEY, issuer, machine=machine)
    thumbprint = Binding.get(KEY, machine=machine).thumbprint
    assert outcome.changed
    assert thumbprint not in (None, old.thumbprint)
    assert thumbprint is not None
    entry = machine.store()[thumbprint]
    assert entry.has_private_key
    assert entry.key is not None
    assert entry.key.machine_keyset
    assert port.diagnose(thumbprint, "MY") == ()
    with pytest.raises(AccessDeniedError, match="may not leave"):
        machine.store().export(thumbprint)
    assert port.request_keys.names() == []
    assert port.recover() == []
    (request,) = (asked for asked, _ in issuer.asked)
    assert request.matches(entry.certificate)


def test_another_process_goes_on_with_the_key(port: WindowsPort, tmp_path: Path) -> None:
    """One that was killed while it waited for the answer; the request, its order and its key are the same."""
    machine = Machine(port)
    deployed(machine)
    code = (
        "import sys; from pathlib import Path; sys.path.insert(0, 'tests')\n"
        "from issuing import DistantIssuer\n"
        "from mlsssl import renew; from mlsssl.machine import Machine\n"
        "from mlsssl._windows.machine import WindowsPort\n"
        "def stay(what):\n"
        "    if what == 'issuer ordered':\n"
        "        print('ordered', flush=True); sys.stdin.read()\n"
        f"issuer = DistantIssuer(Path({str(tmp_path / 'issuer')!r}), hit=stay)\n"
        f"renew({KEY!r}, issuer, machine=Machine(WindowsPort(state_folder=Path({str(tmp_path / 'state')!r}))))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    with process:
        assert process.stdout is not None
        said = process.stdout.readline().strip()
        process.kill()
        assert said == b"ordered", said + process.stdout.read()
    (name,) = port.request_keys.names()
    public = port.request_keys.public_key(name)
    issuer = DistantIssuer(tmp_path / "issuer")
    renew(KEY, issuer, machine=machine)
    assert len(issuer.orders) == 1
    (request,) = (asked for asked, _ in issuer.asked)
    assert public == request.to_cryptography().public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert port.request_keys.names() == []
    assert port.recover() == []


def test_a_request_that_is_given_up_leaves_no_key(port: WindowsPort, tmp_path: Path) -> None:
    """Pending, and then another kind is wanted: the first key goes, and the second is used."""
    machine = Machine(port)
    deployed(machine)
    issuer = DistantIssuer(tmp_path / "issuer")
    issuer.waits = 1
    with pytest.raises(IssuePendingError):
        renew(KEY, issuer, machine=machine)
    (first,) = port.request_keys.names()
    renew(KEY, issuer, machine=machine, key_type="rsa-3072")
    assert port.request_keys.public_key(first) is None
    assert port.request_keys.names() == []
    thumbprint = Binding.get(KEY, machine=machine).thumbprint
    assert thumbprint is not None
    assert machine.store()[thumbprint].certificate.key_type == "rsa-3072"
