"""The Windows machine as a whole: over fakes anywhere, and this Windows itself where there is one."""

from __future__ import annotations

import sys
import threading
import uuid
from typing import TYPE_CHECKING

import pytest

from made_certificates import make, shared_key
from mlsssl import Binding, Machine, Store, WindowsMachine
from mlsssl._fakes.advapi32_services import RUNNING, FakeService
from mlsssl._fakes.computer import Computer
from mlsssl._fakes.dlls import FakeDlls
from mlsssl._formats.binding_keys import BindingOptions, HostnamePort, IpPort
from mlsssl._machine.ports import BindingRecord, Cause, MachinePort
from mlsssl._windows.machine import WindowsPort
from mlsssl.errors import BindingError, InvalidInputError, UnsupportedError, UnusableCertificateError

if TYPE_CHECKING:
    from pathlib import Path

    from made_certificates import Made

KEY = IpPort("0.0.0.0", 443)


def port_over_fakes(folder: Path, computer: Computer | None = None) -> tuple[FakeDlls, WindowsPort]:
    dlls = FakeDlls(computer)
    return dlls, WindowsPort(dlls, state_folder=folder / "state")


def put(port: MachinePort, made: Made, *, key: bool = True) -> BindingRecord:
    """Add a certificate to MY, and make the record that binds it."""
    store = port.open_store("MY", "LocalMachine", write=True)
    store.add(made.der, made.pkcs8 if key else None, friendly_name=None, exportable=False, provider=None)
    store.close()
    return BindingRecord(
        key=KEY, thumbprint=made.thumbprint, store_name="MY", app_id=uuid.UUID(int=9), options=BindingOptions()
    )


def test_stores_bindings_and_services_are_one_computer(tmp_path: Path) -> None:
    """A certificate put into its store is one that its HTTP.sys takes, and the next process finds both."""
    computer = Computer()
    dlls, port = port_over_fakes(tmp_path, computer)
    dlls.advapi32_services.define(FakeService(name="web", state=RUNNING))
    record = put(port, make("a.example", key=shared_key()))
    port.bindings.add(record)
    assert record.thumbprint is not None
    assert port.diagnose(record.thumbprint, "MY") == ()
    assert port.services.query("web").state.name == "RUNNING"
    other_dlls, other = port_over_fakes(tmp_path, computer)
    assert other.bindings.all() == [record]
    assert port.recover() == []
    port.close()
    assert (dlls.calls.leaks, other_dlls.calls.leaks) == ({}, {})


def test_a_refused_certificate_is_diagnosed_by_looking(tmp_path: Path) -> None:
    """1312 comes with what the stores say: no key here, elsewhere there; and the same is a finding beforehand."""
    _, port = port_over_fakes(tmp_path)
    record = put(port, make("a.example", key=shared_key()), key=False)
    assert record.thumbprint is not None
    with pytest.raises(UnusableCertificateError) as caught:
        port.bindings.add(record)
    causes = caught.value.diagnosis
    assert [cause.cause for cause in port.diagnose(record.thumbprint, "MY")] == [Cause.NO_KEY]
    assert causes == port.diagnose(record.thumbprint, "MY")
    store = port.open_store("Root", "LocalMachine", write=True)
    made = make("b.example", key=shared_key(1))
    store.add(made.der, made.pkcs8, friendly_name=None, exportable=False, provider=None)
    assert [cause.cause for cause in port.diagnose(made.thumbprint, "MY")] == [Cause.WRONG_STORE]


def test_the_nouns_work_on_it(tmp_path: Path) -> None:
    """The public face over the Windows machine: nothing in it knows which machine it has."""
    dlls, port = port_over_fakes(tmp_path)
    machine = Machine(port)
    made = make("a.example", key=shared_key())
    put(port, made)
    with Store.open("MY", machine=machine) as store:
        assert [entry.thumbprint for entry in store] == [made.thumbprint]
        assert store[made.thumbprint].has_private_key
    Binding("0.0.0.0:443", made.thumbprint, machine=machine).add()
    assert Binding.get("0.0.0.0:443", machine=machine).thumbprint == made.thumbprint
    assert machine.description == "this computer"
    assert dlls.calls.leaks == {}


def test_where_its_bindings_answer(tmp_path: Path) -> None:
    """At the key's own address and port; a wildcard answers at this computer's loopback."""
    _, port = port_over_fakes(tmp_path)
    assert port.served_at(KEY) == ("127.0.0.1", 443)
    assert port.served_at(IpPort("::", 8443)) == ("::1", 8443)
    assert port.served_at(IpPort("10.0.0.5", 443)) == ("10.0.0.5", 443)
    assert port.served_at(HostnamePort("a.example", 444)) == ("127.0.0.1", 444)


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    """Across threads as across processes; the second one is told, and gets it afterwards."""
    _, port = port_over_fakes(tmp_path)
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with port.lock("deploy", timeout=5):
            entered.set()
            leave.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    assert entered.wait(10)
    try:
        with (
            pytest.raises(BindingError, match="somebody else is changing this computer"),
            port.lock("deploy", timeout=0.05),
        ):
            pytest.fail("two hold it")
        with port.lock("another", timeout=0.05):
            pass
    finally:
        leave.set()
        holder.join()
    with port.lock("deploy", timeout=5):
        pass
    with pytest.raises(InvalidInputError), port.lock("../deploy", timeout=0):
        pytest.fail("a name leads out of the folder")


def test_the_state_folder_is_made_private(tmp_path: Path) -> None:
    """On first use, not before."""
    _, port = port_over_fakes(tmp_path)
    assert not (tmp_path / "state").exists()
    assert port.state_folder == tmp_path / "state"
    assert port.state_folder.is_dir()
    if sys.platform != "win32":
        assert port.state_folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(sys.platform == "win32", reason="this is Windows")
def test_elsewhere_it_says_so() -> None:
    """No half-working machine: the error comes when it is made."""
    with pytest.raises(UnsupportedError, match=sys.platform):
        WindowsPort()
    with pytest.raises(UnsupportedError):
        WindowsMachine()
    with pytest.raises(UnsupportedError, match="state_folder"):
        _ = WindowsPort(FakeDlls()).state_folder


@pytest.mark.skipif(sys.platform != "win32", reason="this is not Windows")
def test_this_windows_is_a_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `Machine.local()` is here; its records of changes lie where only administrators write."""
    monkeypatch.delenv("MLSSSL_MACHINE", raising=False)
    machine = Machine.local()
    assert isinstance(machine, WindowsMachine)
    assert "MY" in [name.upper() for name in machine.store_names()]
    assert machine.state_folder.name == "mlsssl"
    assert machine.state_folder.is_dir()
    assert "HTTP" in machine.services
    with machine.port.lock("test", timeout=5):
        pass
    machine.close()
