"""The test doubles do what they promise: real handshakes, true codes, faults where asked for, nothing left behind."""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
import time
import urllib.request
from typing import TYPE_CHECKING, Any, cast

import pytest

from mlsssl import testing
from mlsssl.authority import CertificateAuthority
from mlsssl.deployment import deploy
from mlsssl.errors import (
    AccessDeniedError,
    BindingExistsError,
    BindingNotFoundError,
    ClosedError,
    InvalidInputError,
    ListenerError,
    MlssslError,
    StoreNotFoundError,
    UnusableCertificateError,
)
from mlsssl.renewal import renew
from mlsssl.service import Timing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mlsssl.machine import Machine

AUTHORITY = CertificateAuthority.create("Authority for tests", key="ec-p256")
STRANGER = CertificateAuthority.create("Stranger", key="ec-p256")
LOCALHOST = AUTHORITY.issue("localhost", "127.0.0.1", "::1")


def eventually(condition: Callable[[], bool]) -> bool:
    """Another thread is about to do it; five seconds are for a busy computer."""
    deadline = time.monotonic() + 5
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


# -- the clock --------------------------------------------------------------------------------------------------------


def test_a_frozen_clock_stands_still() -> None:
    """It moves when told to, and only forward."""
    clock = testing.FrozenClock()
    assert clock() == clock() == clock.now == dt.datetime(2026, 1, 1, 12, tzinfo=dt.timezone.utc)
    clock.advance(days=2)
    clock.sleep(1.5)
    assert clock() == dt.datetime(2026, 1, 3, 12, 0, 1, 500_000, tzinfo=dt.timezone.utc)
    assert clock.monotonic() == 2 * 86_400 + 1.5
    with pytest.raises(InvalidInputError, match="forward"):
        clock.advance(dt.timedelta(seconds=-1))
    with pytest.raises(InvalidInputError, match="time zone"):
        testing.FrozenClock(dt.datetime(2026, 1, 1))  # noqa: DTZ001 -- the point of it


def test_a_frozen_clock_waits_in_no_time() -> None:
    """A service that never starts is given up after its minute, which passes on the clock alone."""
    from mlsssl.service import Services

    clock = testing.FrozenClock()
    with testing.fake_windows_machine() as windows:
        windows.define_service("Stuck", running=False).stuck = True
        services = Services(windows.machine.port.services, timing=Timing(clock=clock.monotonic, sleep=clock.sleep))
        started = time.monotonic()
        with pytest.raises(MlssslError, match="Stuck"):
            services["Stuck"].start()
        assert clock.monotonic() >= 1
        assert time.monotonic() - started < 5


# -- the machine in memory --------------------------------------------------------------------------------------------


def test_a_memory_machine_is_a_whole_machine_and_then_gone() -> None:
    """Stores, bindings and services work; afterwards neither file nor folder is left, and it says it is closed."""
    with testing.memory_machine() as machine:
        folder = machine.path.parent
        machine.store("MY").add(LOCALHOST)
        machine.bindings.add("0.0.0.0:443", LOCALHOST)
        machine.define_service("Demo")
        assert machine.bindings["0.0.0.0:443"].certificate == LOCALHOST
        assert folder.is_dir()
        assert machine.state_folder.is_dir()
    assert not folder.exists()
    with pytest.raises(ClosedError):
        len(machine.bindings)


def test_two_memory_machines_know_nothing_of_each_other() -> None:
    """Each has its own file."""
    with testing.memory_machine() as one, testing.memory_machine() as other:
        one.store("MY").add(LOCALHOST)
        assert len(one.store("MY")) == 1
        assert len(other.store("MY")) == 0


def test_a_memory_machine_imitates_server_2016() -> None:
    """Without an atomic update, updating still works, by removing and adding."""
    with testing.memory_machine(atomic_update=False) as machine:
        assert not machine.port.bindings.atomic_update
        machine.store("MY").add(LOCALHOST)
        binding = machine.bindings.add("0.0.0.0:443", LOCALHOST)
        assert binding.update() == binding


# -- Windows made of fakes --------------------------------------------------------------------------------------------


def test_the_fake_windows_runs_the_procedure() -> None:
    """Certificate in, binding on it, read back; every handle is closed at the end, or leaving says so."""
    with testing.fake_windows_machine() as windows:
        entry = windows.machine.store("MY").add(LOCALHOST)
        assert entry.has_private_key
        windows.machine.bindings.add("0.0.0.0:443", entry)
        assert windows.machine.bindings["0.0.0.0:443"].certificate == LOCALHOST
        assert "CertAddCertificateContextToStore" in windows.calls.names
        assert "HttpSetServiceConfiguration" in windows.calls.names
        with pytest.raises(BindingExistsError):
            windows.machine.bindings.add("0.0.0.0:443", entry)
        with pytest.raises(BindingNotFoundError):
            windows.machine.bindings["0.0.0.0:444"].remove()
        with pytest.raises(InvalidInputError):
            windows.machine.port.lock("no/name", timeout=0).__enter__()
        with windows.machine.port.lock("test", timeout=0):
            assert windows.machine.state_folder.is_dir()


def test_http_sys_refuses_what_it_cannot_use() -> None:
    """1312, explained: no certificate at all, and one without its private key."""
    with testing.fake_windows_machine() as windows:
        with pytest.raises(UnusableCertificateError) as absent:
            windows.machine.bindings.add("0.0.0.0:443", LOCALHOST)
        windows.machine.store("MY").add(LOCALHOST.without_key())
        with pytest.raises(UnusableCertificateError) as keyless:
            windows.machine.bindings.add("0.0.0.0:443", LOCALHOST)
        assert absent.value.diagnosis != keyless.value.diagnosis
        windows.machine.store("MY").add(LOCALHOST)
        windows.machine.bindings.add("0.0.0.0:443", LOCALHOST)


def test_a_key_whose_container_is_gone_is_refused() -> None:
    """The fake looks for the key itself: a link alone is not enough, as on Windows."""
    with testing.fake_windows_machine() as windows:
        windows.machine.store("MY").add(LOCALHOST)
        windows.dlls.computer.cng.clear()
        windows.dlls.computer.csp.clear()
        with pytest.raises(UnusableCertificateError):
            windows.machine.bindings.add("0.0.0.0:443", LOCALHOST)


def test_every_call_can_fail() -> None:
    """Whichever call of an addition fails, an error of ours comes out, nothing is open, and trying again works."""
    with testing.fake_windows_machine() as windows:
        windows.machine.store("MY").add(LOCALHOST)
        needed = len(windows.calls.names)
    refused = 0
    for number in range(needed):
        with testing.fake_windows_machine() as windows:
            windows.fail_at(number, 1450)
            try:
                windows.machine.store("MY").add(LOCALHOST)
            except MlssslError:
                refused += 1
            windows.forget_faults()
            assert windows.machine.store("MY").add(LOCALHOST).has_private_key
    assert refused >= needed // 3


@contextlib.contextmanager
def _windows_with_something_to_do() -> Iterator[testing.FakeWindows]:
    with testing.fake_windows_machine() as windows:
        windows.machine.store("MY").add(LOCALHOST)
        windows.define_service("Demo")
        yield windows


@pytest.mark.parametrize(
    ("work", "closes"),
    [
        (lambda machine: machine.bindings.add("0.0.0.0:443", LOCALHOST), "HttpTerminate"),
        (lambda machine: machine.services["Demo"].stop(), "CloseServiceHandle"),
    ],
)
def test_a_sweep_of_faults_may_hit_a_call_that_closes(work: Callable[[Machine], object], closes: str) -> None:
    """It is told as an error, and what it should have closed is not held against the code under test at the end."""
    with _windows_with_something_to_do() as windows:
        prepared = len(windows.calls.names)
        work(windows.machine)
        names = windows.calls.names[prepared:]
    assert closes in names
    for number, name in enumerate(names):
        with _windows_with_something_to_do() as windows:
            windows.fail_at(number, 1450)
            with pytest.raises(MlssslError) if name == closes else contextlib.suppress(MlssslError):
                work(windows.machine)
            assert windows.calls.names[prepared + number] == name


def test_faults_count_from_now_and_hit_once() -> None:
    """The next call fails, the one after it does not."""
    with testing.fake_windows_machine() as windows:
        assert len(windows.machine.store("MY")) == 0
        windows.fail_at(0, 5)
        with pytest.raises(MlssslError):
            len(windows.machine.store("MY"))
        assert len(windows.machine.store("MY")) == 0
        for call, code in ((-1, 5), (0, 0)):
            with pytest.raises(InvalidInputError):
                windows.fail_at(call, code)


def test_a_restarted_process_finds_the_same_computer() -> None:
    """Certificates, bindings and services stay; calls and faults are the dead process's."""
    with testing.fake_windows_machine() as windows:
        windows.machine.store("MY").add(LOCALHOST)
        windows.machine.bindings.add("0.0.0.0:443", LOCALHOST)
        windows.define_service("Demo")
        windows.fail_at(0, 5)
        machine = windows.restart()
        assert windows.calls.names == []
        assert machine is windows.machine
        assert machine.bindings["0.0.0.0:443"].certificate == LOCALHOST
        assert machine.services["Demo"].state.name == "RUNNING"


def test_a_handle_left_open_is_told_of() -> None:
    """At the end of the `with`; an error under way is not hidden by it."""
    with pytest.raises(AssertionError, match="left open: 1 HCERTSTORE"), testing.fake_windows_machine() as windows:
        windows.calls.open("HCERTSTORE")
    with pytest.raises(StoreNotFoundError), testing.fake_windows_machine() as windows:
        _leak_and_fail(windows)


def _leak_and_fail(windows: testing.FakeWindows) -> None:
    windows.calls.open("HCERTSTORE")
    windows.machine.store("NoSuchStore")


def test_releases_and_rights_differ() -> None:
    """2016 has no atomic update and reads no AES; without rights nothing is changed."""
    modern = LOCALHOST.to_pfx("secret", readable_by="openssl-3")
    calls = {}
    for release in ("2016", "2019"):
        with testing.fake_windows_machine(release=cast("Any", release)) as windows:
            assert windows.machine.port.bindings.atomic_update == (release != "2016")
            assert windows.machine.store("MY").import_pfx(modern, "secret").has_private_key
            calls[release] = windows.calls.names.count("PFXImportCertStore")
    # 2016 calls the right password wrong, so that the library has to write the file anew and try again.
    assert calls["2016"] > calls["2019"]
    with testing.fake_windows_machine(administrator=False) as windows, pytest.raises(AccessDeniedError):
        windows.machine.store("MY").add(LOCALHOST)
    with (
        pytest.raises(InvalidInputError, match="2016"),
        testing.fake_windows_machine(release=cast("Any", "95")),
    ):
        pass


def test_a_computer_given_is_copied() -> None:
    """What a test does to it is not seen by the next."""
    computer = testing.Computer()
    with testing.fake_windows_machine(computer=computer) as windows:
        windows.machine.store("MY").add(LOCALHOST)
    assert computer.containers == set()


# -- TLS at both ends -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_server_and_client_shake_hands(host: str) -> None:
    """The client sees the certificate that is served, and the server counts it."""
    with testing.tls_server(LOCALHOST, host=host) as server:
        with testing.tls_client(server.address, trust=[AUTHORITY], host="localhost") as connection:
            assert connection.certificate == LOCALHOST
            assert connection.protocol == "TLSv1.3"
            assert connection.cipher.startswith("TLS_")
        assert eventually(lambda: server.handshakes == 1)
        assert server.failures == []


@pytest.mark.parametrize(
    ("trust", "host", "reason"),
    [
        ([STRANGER], "localhost", "issuer"),
        ([], "localhost", "issuer"),
        ([AUTHORITY], "www.example.com", "mismatch|doesn't match"),
    ],
)
def test_a_client_that_should_refuse_refuses(trust: list[CertificateAuthority], host: str, reason: str) -> None:
    """The failing twins: another authority, none at all, another name; the server has the reason too."""
    with testing.tls_server(LOCALHOST) as server:
        with (
            pytest.raises(ListenerError, match=reason),
            testing.tls_client(server.address, trust=trust, host=host),
        ):
            pass
        assert eventually(lambda: len(server.failures) == 1 or server.handshakes == 1)


def test_an_expired_certificate_is_refused() -> None:
    """By its dates, with OpenSSL's own word for it."""
    long_ago = dt.datetime.now(dt.timezone.utc) - dt.timedelta(days=400)
    authority = CertificateAuthority.create("Old", key="ec-p256", at=long_ago)
    with (
        testing.tls_server(authority.issue("localhost", days=30, at=long_ago)) as server,
        pytest.raises(ListenerError, match="expired"),
        testing.tls_client(server.address, trust=[authority], host="localhost"),
    ):
        pass


def test_an_intermediate_can_be_what_is_trusted() -> None:
    """Trust in the issuing authority alone is enough."""
    middle = AUTHORITY.create_intermediate("Middle")
    certificate = middle.issue("localhost")
    with testing.tls_server(certificate) as server:
        for anchor in (AUTHORITY, middle, middle.certificate):
            with testing.tls_client(server.address, trust=[anchor], host="localhost") as connection:
                assert connection.certificate == certificate


def test_a_server_changes_its_certificate() -> None:
    """The next handshake gets the new one; an open connection keeps the old."""
    newer = AUTHORITY.issue("localhost")
    with testing.tls_server(LOCALHOST) as server:
        with testing.tls_client(server.address, trust=[AUTHORITY], host="localhost") as before:
            server.use(newer)
            before.session.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert before.session.recv(100).startswith(b"HTTP/1.1 200 OK")
        with testing.tls_client(server.address, trust=[AUTHORITY], host="localhost") as after:
            assert (before.certificate, after.certificate) == (LOCALHOST, newer)
        with pytest.raises(InvalidInputError):
            server.use(LOCALHOST.without_key())


def test_a_server_answers_http(tmp_path: Path) -> None:
    """Python's own HTTP client is content, given the authority."""
    with (
        testing.tls_server(LOCALHOST) as server,
        urllib.request.urlopen(server.url, context=AUTHORITY.ssl_context(), timeout=10) as answer,
    ):
        assert answer.read() == b"ok\n"


def test_a_server_leaves_nothing_behind() -> None:
    """No thread and no port, even when a client says nothing at all."""
    before = threading.active_count()
    with testing.tls_server(LOCALHOST) as server:
        import socket

        silent = [socket.create_connection(server.address) for _ in range(3)]
        with testing.tls_client(server.address, trust=[AUTHORITY], host="localhost"):
            assert threading.active_count() > before
    for connection in silent:
        connection.close()
    assert eventually(lambda: threading.active_count() == before)
    with pytest.raises(ListenerError), testing.tls_client(server.address, trust=[AUTHORITY], timeout=1):
        pass
    server.close()
    assert "closed" in repr(server)


def test_nonsense_is_refused() -> None:
    """No key, no address, no certificate to trust."""
    with pytest.raises(InvalidInputError, match="private key"), testing.tls_server(LOCALHOST.without_key()):
        pass
    with pytest.raises(ListenerError, match="cannot listen"), testing.tls_server(LOCALHOST, host="192.0.2.1"):
        pass
    with (
        pytest.raises(InvalidInputError, match="trust"),
        testing.tls_client(("127.0.0.1", 1), trust=[cast("Any", "root.pem")]),
    ):
        pass


def test_all_is_what_there_is() -> None:
    """Every name is exported, documented and sorted."""
    assert sorted(testing.__all__) == testing.__all__
    for name in testing.__all__:
        assert getattr(testing, name).__doc__ or name == "WindowsRelease"


def test_deploy_and_renew_on_windows_made_of_fakes() -> None:
    """The two verbs run as on Windows, names kept and certificate changed."""
    with testing.fake_windows_machine() as windows:
        outcome = deploy("0.0.0.0:443", LOCALHOST, machine=windows.machine)
        assert outcome.changed
        renewed = renew("0.0.0.0:443", AUTHORITY, machine=windows.machine)
        assert renewed.changed
        bound = windows.machine.bindings["0.0.0.0:443"].certificate
        assert bound is not None
        assert bound != LOCALHOST
        assert bound.hosts == LOCALHOST.hosts


def test_a_renewal_that_fails_at_a_chosen_call_changes_nothing() -> None:
    """HTTP.sys refuses the update: an error of ours, and the old certificate is bound still."""
    with testing.fake_windows_machine() as windows:
        deploy("0.0.0.0:443", LOCALHOST, machine=windows.machine)

        def refuse(name: str) -> None:
            if name == "HttpUpdateServiceConfiguration":
                windows.fail_at(0, 1450)

        windows.calls.before = refuse
        with pytest.raises(MlssslError):
            renew("0.0.0.0:443", AUTHORITY, machine=windows.machine)
        windows.calls.before = None
        assert windows.machine.bindings["0.0.0.0:443"].certificate == LOCALHOST


def test_wrong_arguments_of_mutual_tls() -> None:
    """Who may be a client is authorities or certificates; who shows a certificate needs its key."""
    for clients in ([5], "ca", None):
        with pytest.raises(InvalidInputError, match="clients is"), testing.tls_server(LOCALHOST, clients=clients):  # type: ignore[arg-type]  # the mistake
            pass
    with (
        testing.tls_server(LOCALHOST, clients=[AUTHORITY]) as server,
        pytest.raises(InvalidInputError, match="needs its private key"),
        testing.tls_client(server.address, trust=[AUTHORITY], certificate=LOCALHOST.without_key()),
    ):
        pass


def test_another_certificate_is_served_to_the_same_clients() -> None:
    """`use` keeps asking."""
    client = AUTHORITY.issue_client("Alice")
    with testing.tls_server(LOCALHOST, clients=[AUTHORITY]) as server:
        server.use(AUTHORITY.issue("localhost"))
        with testing.tls_client(server.address, trust=[AUTHORITY], certificate=client, host="localhost") as connection:
            connection.session.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert connection.session.recv(64).startswith(b"HTTP/1.1 200")
        assert server.client_certificates == [client]
