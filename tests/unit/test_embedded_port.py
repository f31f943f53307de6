"""The embedded machine as a whole: where it lives, its locks, its imitated services."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING

import pytest

from mlsssl._changes.record import Change, ChangeRecords
from mlsssl._embedded.central_store import CentralStore
from mlsssl._embedded.port import EmbeddedPort, default_path
from mlsssl._embedded.services import EmbeddedServices
from mlsssl._formats.binding_keys import IpPort
from mlsssl._formats.url_prefixes import UrlPrefix
from mlsssl._machine.ports import ReservationRecord, ServiceState
from mlsssl.errors import (
    AccessDeniedError,
    BindingError,
    ClosedError,
    ExistsError,
    InvalidInputError,
    ReservationExistsError,
    ServiceError,
    ServiceNotFoundError,
    StoreError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlsssl._machine.ports import MachinePort


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[EmbeddedPort]:
    port = EmbeddedPort(tmp_path / "machine.sqlite")
    yield port
    port.close()


@pytest.mark.skipif(sys.platform == "win32", reason="links take a right there; spellings have a test of their own")
def test_one_file_under_two_names_has_one_lock_and_one_record(
    machine: EmbeddedPort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a link, a link to its folder, and a relative path: what one began the other recovers, and they take turns."""
    (tmp_path / "link.sqlite").symlink_to("machine.sqlite")
    (tmp_path / "folder").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    for name in ("link.sqlite", "folder/link.sqlite", f"../{tmp_path.name}/machine.sqlite", "machine.sqlite"):
        other = EmbeddedPort(name)
        assert other.path == machine.path
        records = ChangeRecords(machine.state_folder)
        records.begin(Change("deploy", IpPort("0.0.0.0", 443)))
        assert ChangeRecords(other.state_folder).pending() is not None
        records.finish(Change("deploy", IpPort("0.0.0.0", 443)), keep=False)
        with (
            machine.lock("change", timeout=1),
            pytest.raises(BindingError, match="somebody else is changing"),
            other.lock("change", timeout=0.05),
        ):
            pass
        other.close()
    assert sorted(path.name for path in tmp_path.glob("*.state")) == ["machine.sqlite.state"]


def test_what_is_changed_at_once_is_there_when_all_of_it_is(machine: EmbeddedPort) -> None:
    """Or, after an error, nothing of it; another process sees nothing meanwhile. An imitated old system cannot."""
    other = EmbeddedPort(machine.path)

    def put(url: str) -> None:
        machine.reservations.add(ReservationRecord(url=UrlPrefix(url), sddl="D:(A;;GX;;;LS)"))

    with machine.at_once() as whole:
        assert whole
        put("https://+:443/a/")
        put("https://+:443/b/")
        assert len(machine.reservations.all()) == 2
        assert other.reservations.all() == []
    assert len(other.reservations.all()) == 2

    def put_at_once(*urls: str, rolled_back: bool = False) -> None:
        with machine.at_once():
            for url in urls:
                put(url)
                if rolled_back:  # as SQLite itself does when the disk is full
                    machine._database.query("ROLLBACK")

    with pytest.raises(ReservationExistsError):
        put_at_once("https://+:443/c/", "https://+:443/a/")
    with pytest.raises(StoreError, match="has ended the change"):
        put_at_once("https://+:443/c/", "https://+:443/d/", rolled_back=True)
    assert len(other.reservations.all()) == 2
    other.close()
    old = EmbeddedPort(machine.path, atomic_update=False)
    with old.at_once() as whole:
        assert not whole
    old.close()


def test_a_file_with_two_names_is_no_machine(machine: EmbeddedPort, tmp_path: Path) -> None:
    """By a hard link it would have two write-ahead logs, and SQLite could not recover the one from the other."""
    machine.close()
    os.link(machine.path, tmp_path / "other.sqlite")
    for name in ("machine.sqlite", "other.sqlite"):
        with pytest.raises(AccessDeniedError, match="has 2 names"):
            EmbeddedPort(tmp_path / name)
    (tmp_path / "other.sqlite").unlink()
    EmbeddedPort(tmp_path / "machine.sqlite").close()


def test_a_path_that_no_file_can_have_is_refused(tmp_path: Path) -> None:
    """NUL, and half a character where names are UTF-8; also from the environment."""
    for text in ("a\0b", "a\ud800b") if sys.platform != "win32" else ("a\0b",):
        with pytest.raises(InvalidInputError, match="cannot be the path of a file"):
            EmbeddedPort(tmp_path / text)


def test_a_host_name_longer_than_any_file_name_has_no_file(tmp_path: Path) -> None:
    """A client may ask for 253 characters; with `.pfx` that is more than a file's name can have."""
    host = ".".join(["a" * 62] * 4)
    store = CentralStore(folder=tmp_path, password=None)
    assert len(host) == 251
    assert store.find(f"aa.{host}"[:253]) is None
    (tmp_path / "www.example.com.pfx").write_bytes(b"")
    assert store.find("www.example.com") == tmp_path / "www.example.com.pfx"


def test_it_is_a_machine_port(machine: EmbeddedPort) -> None:
    """For the type checker, and by its description."""
    port: MachinePort = machine
    assert port.description == f"the embedded machine at {machine.path}"
    assert str(machine.path) in repr(machine)


def test_its_place_is_the_argument_then_the_environment_then_the_platform(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In this order; the default lies among this user's application data."""
    monkeypatch.delenv("MLSSSL_MACHINE", raising=False)
    monkeypatch.setenv("LOCALAPPDATA" if sys.platform == "win32" else "XDG_DATA_HOME", str(tmp_path / "data"))
    if sys.platform != "darwin":
        assert default_path() == tmp_path / "data" / "mlsssl" / "machine.sqlite"
    monkeypatch.setenv("MLSSSL_MACHINE", str(tmp_path / "by environment.sqlite"))
    port = EmbeddedPort()
    assert port.path == tmp_path / "by environment.sqlite"
    port.close()
    port = EmbeddedPort(tmp_path / "by argument.sqlite")
    assert port.path == tmp_path / "by argument.sqlite"
    port.close()


def test_a_name_means_nothing_to_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither `:memory:` nor a `file:` URI; and a later chdir leads nowhere else."""
    monkeypatch.chdir(tmp_path)
    for name in ("file:x?mode=memory", ":memory:") if sys.platform != "win32" else ("x",):
        port = EmbeddedPort(name)
        assert (tmp_path / name).is_file()
        assert port.path == tmp_path / name
        port.close()
    with pytest.raises(InvalidInputError):
        EmbeddedPort("nul\0.sqlite")


def test_the_state_folder_lies_beside_the_file_and_is_private(machine: EmbeddedPort) -> None:
    """Made on first use."""
    expected = machine.path.with_name("machine.sqlite.state")
    assert not expected.exists()
    assert machine.state_folder == expected
    assert machine.state_folder.is_dir()
    if sys.platform != "win32":
        assert expected.stat().st_mode & 0o777 == 0o700


def test_a_closed_machine_refuses(machine: EmbeddedPort) -> None:
    """Closing twice is nothing."""
    machine.close()
    machine.close()
    with pytest.raises(ClosedError):
        machine.bindings.all()
    with pytest.raises(ClosedError):
        machine.store_names("LocalMachine")


def test_a_lock_keeps_threads_and_processes_out(machine: EmbeddedPort) -> None:
    """The message names the process; another name is another lock; a dead holder holds nothing."""
    script = """
        import sys
        from mlsssl._embedded.port import EmbeddedPort
        with EmbeddedPort(sys.argv[1]).lock("renew", timeout=1):
            print("held", flush=True)
            sys.stdin.readline()
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), str(machine.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    said = str(child.pid) if sys.platform != "win32" else "process"
    with pytest.raises(BindingError, match=said), machine.lock("renew", timeout=0.05):
        pass
    with machine.lock("other", timeout=0.05):
        pass
    child.kill()
    child.communicate()
    with machine.lock("renew", timeout=5):
        refused: list[bool] = []

        def attempt() -> None:
            try:
                with machine.lock("renew", timeout=0.05):
                    refused.append(False)
            except BindingError:
                refused.append(True)

        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()
        assert refused == [True]


@pytest.mark.parametrize("name", ["", "../x", "a b", "ü", "x" * 65])
def test_a_lock_is_named_simply(machine: EmbeddedPort, name: str) -> None:
    """Its name becomes a file's."""
    with pytest.raises(InvalidInputError), machine.lock(name, timeout=1):
        pass


def test_an_error_inside_a_lock_comes_out_and_frees_it(machine: EmbeddedPort) -> None:
    """Also one that looks like the lock's own."""
    with pytest.raises(TimeoutError, match="mine"), machine.lock("renew", timeout=1):
        raise TimeoutError("mine")
    with machine.lock("renew", timeout=0.05):
        pass


def test_services_start_what_they_need_and_stop_in_order(machine: EmbeddedPort) -> None:
    """Dependents are listed as they must be stopped: nobody before those that need it."""
    machine.services.define("Base")
    machine.services.define("Middle", depends_on=["base"])
    machine.services.define("Top", depends_on=["Middle", "Base"])
    services = machine.services
    assert services.names() == ["Base", "Middle", "Top"]
    assert services.query("TOP").state is ServiceState.STOPPED
    assert services.request_start("Top")
    assert not services.request_start("Base")
    assert services.active_dependents("Base") == ("Top", "Middle")
    assert services.active_dependents("Top") == ()
    with pytest.raises(ServiceError, match="1051") as caught:
        services.request_stop("Base")
    assert (caught.value.service, caught.value.state) == ("Base", "RUNNING")
    for name in (*services.active_dependents("Base"), "Base"):
        assert services.request_stop(name)
    assert not services.request_stop("Base")
    assert services.active_dependents("Base") == ()


def test_states_are_kept_in_the_file(machine: EmbeddedPort) -> None:
    """Another process sees them."""
    machine.services.define("Web", running=True)
    other = EmbeddedPort(machine.path)
    assert other.services.query("Web").state is ServiceState.RUNNING
    assert other.services.query("Web").accepts_stop
    other.services.request_stop("Web")
    other.close()
    assert machine.services.query("Web").state is ServiceState.STOPPED


def test_a_slow_service_is_pending_for_its_time(machine: EmbeddedPort) -> None:
    """It takes no stop meanwhile, and its check point grows."""
    now = [1000.0]
    services = EmbeddedServices(machine._database, clock=lambda: now[0])
    services.define("Slow", takes=10)
    services.request_start("Slow")
    first = services.query("Slow")
    now[0] += 5
    second = services.query("Slow")
    assert (first.state, first.accepts_stop, first.wait_hint) == (ServiceState.START_PENDING, False, 10_000)
    assert second.check_point > first.check_point
    with pytest.raises(ServiceError, match="1061"):
        services.request_stop("Slow")
    now[0] += 5
    assert services.query("Slow").state is ServiceState.RUNNING
    services.request_stop("Slow")
    assert services.query("Slow").state is ServiceState.STOP_PENDING
    with pytest.raises(ServiceError, match="STOP_PENDING"):
        services.request_start("Slow")
    now[0] += 10
    assert services.query("Slow").state is ServiceState.STOPPED


def test_a_service_can_fail_to_start(machine: EmbeddedPort) -> None:
    """It ends in STOPPED with its code, and those that need it do not start."""
    now = [1000.0]
    services = EmbeddedServices(machine._database, clock=lambda: now[0])
    services.define("Broken", takes=2, start_error=1067)
    services.define("Quick", start_error=5)
    services.define("Above", depends_on=["Quick"])
    assert services.request_start("Broken")
    assert services.query("Broken").state is ServiceState.START_PENDING
    now[0] += 2
    status = services.query("Broken")
    assert (status.state, status.exit_code) == (ServiceState.STOPPED, 1067)
    with pytest.raises(ServiceError, match="1068"):
        services.request_start("Above")


def test_services_are_defined_once_and_on_what_is_there(machine: EmbeddedPort) -> None:
    """And deleted only when nobody needs them."""
    machine.services.define("Web")
    with pytest.raises(ExistsError):
        machine.services.define("web")
    with pytest.raises(ServiceNotFoundError, match="1060") as caught:
        machine.services.define("Other", depends_on=["nosuch"])
    assert caught.value.service == "nosuch"
    assert machine.services.names() == ["Web"]
    machine.services.define("Other", depends_on=["Web"])
    with pytest.raises(ServiceError, match="needed by Other"):
        machine.services.delete("Web")
    machine.services.delete("Other")
    machine.services.delete("Web")
    with pytest.raises(ServiceNotFoundError):
        machine.services.query("Web")


@pytest.mark.parametrize("name", ["", "a/b", "a\\b", "x" * 257, "\ud800"])
def test_a_name_that_no_service_can_have_is_refused(machine: EmbeddedPort, name: str) -> None:
    """By every call."""
    for call in (machine.services.query, machine.services.request_start, machine.services.define):
        with pytest.raises(InvalidInputError):
            call(name)


def test_it_runs_where_nothing_else_of_the_library_was_imported(tmp_path: Path) -> None:
    """The machine stands alone: no cffi, and none of the nouns above it."""
    script = """
        import sys
        from mlsssl._embedded.port import EmbeddedPort
        EmbeddedPort(sys.argv[1]).close()
        unwanted = {"cffi", "mlsssl.machine", "mlsssl.certificate", "mlsssl._windows"}
        print(sorted(unwanted & sys.modules.keys()))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "machine.sqlite")],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ},
        timeout=60,
    )
    assert done.stdout.strip() == "[]"
