"""Bindings and services through the real call boundary: Windows' CPython, cffi, and a DLL that does not trust us.

The stand-in is read and written a second time by the tests' own declarations (`raw_httpapi`), so a mistake in the
library's cannot agree with itself.
"""

from __future__ import annotations

import subprocess
import sys
import uuid
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from mlsssl._formats.binding_keys import (
    BindingFamily,
    BindingKey,
    BindingOptions,
    CcsPort,
    HostnamePort,
    IpPort,
    ScopedCcs,
)
from mlsssl._machine.ports import BindingRecord, ServiceState
from mlsssl._native.cdata import last_error, load
from mlsssl._windows.bindings import WindowsBindings
from mlsssl._windows.dlls import SystemDlls
from mlsssl._windows.services import WindowsServices
from mlsssl.errors import (
    AccessDeniedError,
    BindingNotFoundError,
    MlssslError,
    NativeError,
    ServiceError,
    UnsupportedError,
    UnusableCertificateError,
)
from mlsssl.service import Services
from mlsssl.values import Thumbprint
from windows import machine_keys, raw_httpapi

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

if sys.platform != "win32":
    pytest.skip("the real DLLs are Windows': `nox -s windows` runs this under Wine", allow_module_level=True)

APP_ID = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
OPTIONS = BindingOptions(
    http2=False,
    negotiate_client_certificate=True,
    verify_client_revocation=False,
    revocation_freshness_time=timedelta(seconds=77),
    url_retrieval_timeout=timedelta(milliseconds=88),
    ctl_identifier="issuers",
    ctl_store_name="CTLs",
)
KEYS: tuple[BindingKey, ...] = (
    IpPort("127.0.0.1", 44401),
    IpPort("fe80::1", 44401),
    HostnamePort("native.example", 44401),
    CcsPort(44401),
    ScopedCcs("native.example", 44401),
)


@pytest.fixture(scope="module", name="thumbprint")
def _thumbprint() -> Iterator[Thumbprint]:
    with machine_keys.bindable("mlsssl-native-test") as made:
        yield Thumbprint(made.thumbprint)


@pytest.fixture(name="standin")
def _standin() -> Iterator[raw_httpapi.StandIn]:
    standin = raw_httpapi.StandIn()
    if not standin.exports("StandinReset"):
        pytest.skip("this httpapi.dll is Windows' own; the stand-in is used only under Wine")
    standin.reset()
    before = standin.open_count()
    yield standin
    standin.reset()
    assert standin.open_count() == before


def machine() -> WindowsBindings:
    return WindowsBindings(SystemDlls(), lambda _thumbprint, _store: (), retry_delays=())


def record(key: BindingKey, thumbprint: Thumbprint) -> BindingRecord:
    named = key.family.has_certificate
    return BindingRecord(
        key=key,
        thumbprint=thumbprint if named else None,
        store_name="MY" if named else None,
        app_id=APP_ID,
        options=BindingOptions() if key.family is BindingFamily.CCS else OPTIONS,
    )


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_an_independent_reader_sees_what_was_written(
    standin: raw_httpapi.StandIn, thumbprint: Thumbprint, key: BindingKey
) -> None:
    """Each field, through declarations that are not the library's."""
    written = record(key, thumbprint)
    machine().add(written)
    assert standin.initialize() == 0
    family = {"ipport": 1, "hostnameport": 5, "ccs": 6, "scopedccs": 11}[key.family.value]
    (found,) = standin.listed(family)
    assert standin.terminate() == 0
    assert found.port == 44401
    assert found.address == (key.address if isinstance(key, IpPort) else "0.0.0.0")
    assert found.host == (None if isinstance(key, (IpPort, CcsPort)) else key.host)
    assert found.thumbprint == (bytes(thumbprint) if key.family.has_certificate else None)
    assert found.store == ("MY" if key.family.has_certificate else None)
    assert found.app_id == APP_ID.bytes_le
    if key.family is not BindingFamily.CCS:
        expected = {"check_mode": 0x5, "freshness_time": 77, "retrieval_timeout": 88, "flags": 0x12}
        assert found.options == expected
        assert (found.ctl_identifier, found.ctl_store) == ("issuers", "CTLs")


def test_the_next_process_finds_it(standin: raw_httpapi.StandIn, thumbprint: Thumbprint) -> None:
    """A binding is the machine's, not the process's."""
    assert standin.calls() == 0
    machine().add(record(KEYS[0], thumbprint))
    code = (
        "from mlsssl._windows.bindings import WindowsBindings; from mlsssl._windows.dlls import SystemDlls; "
        "print([str(r.key) for r in WindowsBindings(SystemDlls(), lambda t, s: ()).all()])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['127.0.0.1:44401']"


ACTS: dict[str, Callable[[WindowsBindings, BindingRecord], object]] = {
    "add": lambda bindings, new: bindings.add(replace(new, key=KEYS[1])),
    "update": lambda bindings, new: bindings.update(replace(new, app_id=uuid.UUID(int=5))),
    "remove": lambda bindings, new: bindings.remove(new.key),
    "find": lambda bindings, new: bindings.find(new.key),
    "all": lambda bindings, new: bindings.all(),
}


@pytest.mark.parametrize("act", ACTS)
def test_each_call_fails_in_turn(standin: raw_httpapi.StandIn, thumbprint: Thumbprint, act: str) -> None:
    """No initialisation stays open, nothing is lost, and the error names the function that the stand-in failed."""
    old = record(KEYS[0], thumbprint)
    if act == "update" and not machine().atomic_update:
        pytest.skip("this httpapi.dll has no update")
    functions = []
    for number in range(1, 50):
        standin.reset()
        machine().add(old)
        before = standin.open_count()
        standin.fail_call(number, 1359)
        try:
            ACTS[act](machine(), old)
        except MlssslError as error:
            failed = standin.failed_function()
            standin.fail_call(0, 0)
            assert failed is not None
            functions.append(failed)
            cause = error if isinstance(error, NativeError) else error.__cause__
            assert isinstance(cause, NativeError)
            assert (cause.function, cause.code, cause.code_name) == (failed, 1359, "ERROR_INTERNAL_ERROR")
            left = machine().all()
            if failed == "HttpTerminate":  # it did nothing, so one initialisation is left: end it here
                assert standin.open_count() == before + 1
                assert standin.terminate() == 0
            else:
                assert standin.open_count() == before
                assert left == [old]
        else:
            standin.fail_call(0, 0)
            break
    assert functions[0] == "HttpInitialize"
    assert functions[-1] == "HttpTerminate"
    assert len(functions) >= 4


def test_a_trial_that_fails_anywhere_leaves_what_recovery_takes_out(
    standin: raw_httpapi.StandIn, thumbprint: Thumbprint
) -> None:
    """Each call fails in turn: the record that is bound stays as it is, and no other one does."""
    old = record(KEYS[0], thumbprint)
    functions: list[str] = []
    for number in range(1, 50):
        standin.reset()
        machine().add(old)
        before = standin.open_count()
        standin.fail_call(number, 1359)
        try:
            machine().try_out(replace(old, options=BindingOptions()))
        except MlssslError:
            failed = standin.failed_function()
            assert failed is not None
            functions.append(failed)
        else:
            break
        finally:
            standin.fail_call(0, 0)
            while standin.open_count() > before:  # a termination that failed did nothing: end it here
                assert standin.terminate() == 0
        assert len(machine().recover()) == (failed == "HttpDeleteServiceConfiguration")
        assert machine().all() == [old]
    assert {"HttpSetServiceConfiguration", "HttpDeleteServiceConfiguration"} <= set(functions)
    assert machine().all() == [old]


def test_not_an_administrator(
    standin: raw_httpapi.StandIn, thumbprint: Thumbprint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading works, changing names the right."""
    machine().add(record(KEYS[0], thumbprint))
    monkeypatch.setenv("MLSSSL_STANDIN_NOT_ADMIN", "1")
    assert machine().find(KEYS[0]) is not None
    with pytest.raises(AccessDeniedError, match="administrator"):
        machine().remove(KEYS[0])
    monkeypatch.delenv("MLSSSL_STANDIN_NOT_ADMIN")
    machine().remove(KEYS[0])


def test_a_windows_without_some_families(standin: raw_httpapi.StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked of the DLL, not guessed."""
    monkeypatch.setenv("MLSSSL_STANDIN_FAMILIES", "1,5")
    bindings = machine()
    assert [family.value for family in BindingFamily if bindings.supports(family)] == ["ipport", "hostnameport"]
    assert bindings.all() == []
    with pytest.raises(UnsupportedError, match="ccs"):
        bindings.find(CcsPort(443))


def test_a_certificate_without_a_key_is_refused(standin: raw_httpapi.StandIn) -> None:
    """1312 from a real look into the store and at the key."""
    made = machine_keys.make()
    with machine_keys.in_store(made, container=None), pytest.raises(UnusableCertificateError) as caught:
        machine().add(record(KEYS[0], Thumbprint(made.thumbprint)))
    assert isinstance(caught.value.__cause__, NativeError)
    assert caught.value.__cause__.code == 1312


def test_bits_that_this_windows_does_not_know(standin: raw_httpapi.StandIn, thumbprint: Thumbprint) -> None:
    """87, explained; nothing is bound."""
    with pytest.raises(NativeError, match="may not know one of the options"):
        machine().add(replace(record(KEYS[0], thumbprint), options=BindingOptions(unknown_flags=0x8000_0000)))
    with pytest.raises(BindingNotFoundError):
        machine().remove(KEYS[0])


def test_dlls_come_from_system32(monkeypatch: pytest.MonkeyPatch) -> None:
    """By full path, whatever the environment says; one that does not exist is our error."""
    monkeypatch.setenv("SystemRoot", "C:\\nowhere")
    monkeypatch.setenv("PATH", "C:\\nowhere")
    assert "\\system32\\httpapi.dll" in repr(load("httpapi.dll")).lower()
    with pytest.raises(UnsupportedError, match=r"mlsssl-nothing\.dll"):
        load("mlsssl-nothing.dll")


def test_the_last_error_is_read_unsigned() -> None:
    """Right after the call, in one place."""
    with pytest.raises(MlssslError) as caught:
        WindowsServices(SystemDlls()).query("mlsssl-no-such-service")
    assert isinstance(caught.value.__cause__, NativeError)
    assert (caught.value.__cause__.function, caught.value.__cause__.code) == ("OpenServiceW", 1060)
    assert last_error() >= 0


def test_a_service_restarts_for_real() -> None:
    """Stopped, started, held stopped for a block, and left as it was found."""
    services = Services(WindowsServices(SystemDlls()))
    name = next((n for n in ("StiSvc", "FontCache", "BITS") if n in services), None)
    if name is None or services[name].state is not ServiceState.STOPPED:
        pytest.skip("no service here that is stopped and harmless to start")
    service = services[name]
    try:
        service.start(timeout=30)
        first = service.status.process_id
        service.restart(timeout=30)
        seen = [service.state]
        assert service.status.process_id != first
        with service.stopped(timeout=30):
            seen.append(service.state)
        seen.append(service.state)
    finally:
        service.stop(timeout=30)
    seen.append(service.state)
    running, stopped = ServiceState.RUNNING, ServiceState.STOPPED
    assert seen == [running, stopped, running, stopped]


def test_a_disabled_service_says_so() -> None:
    """1058, from the service manager itself."""
    services = Services(WindowsServices(SystemDlls()))
    if "LanmanServer" not in services or services["LanmanServer"].state is not ServiceState.STOPPED:
        pytest.skip("LanmanServer is disabled under Wine only")
    with pytest.raises(ServiceError, match="disabled"):
        services["LanmanServer"].start(timeout=10)
