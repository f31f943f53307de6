"""Keys of requests under faults and kills, over the fakes: no key that nobody knows of, and the owner goes on.

The owner's rule is that of `RequestKeysPort`: the name is written down before `make`. After a kill it looks for the key
by its name; if there is none it releases the name and makes another.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from contract.test_request_keys_contract import certificate_for, thumbprint
from mlsssl._fakes.computer import Computer
from mlsssl._fakes.dlls import FakeDlls
from mlsssl._machine import files
from mlsssl._machine.ports import new_request_key_name
from mlsssl._windows import certificates, system_stores
from mlsssl.errors import MlssslError
from sweeps import points
from windows.stores_machine import WindowsStoresMachine
from windows.test_store_faults import CANNOT_FAIL, Killed, functions_of, killer, orphans

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlsssl.values import KeyType, Location

    Step = Callable[["Process"], object]

NAME = new_request_key_name()
OUT_OF_MEMORY = 14
LOCATIONS: tuple[Location, Location] = ("LocalMachine", "CurrentUser")
KEY = rsa.generate_private_key(65537, 2048)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """One RSA key for all; and a kill is not a power failure."""
    monkeypatch.setattr(rsa, "generate_private_key", lambda *_arguments: KEY)
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@dataclass
class Process:
    """One process on a computer; the key type says which storage is tried."""

    computer: Computer
    folder: Path
    key_type: KeyType

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self.dlls = FakeDlls(self.computer)
        self.machine = WindowsStoresMachine(self.dlls, self.folder)
        self.keys = self.machine.request_keys

    def make(self) -> bytes:
        return self.keys.make(NAME, self.key_type, exportable=False, provider=None)

    def owner_goes_on(self) -> bytes:
        """What the owner does after a kill: use what is there, or begin anew."""
        public = self.keys.public_key(NAME)
        if public is None:
            self.keys.release(NAME)
            public = self.make()
        return public

    def add(self) -> None:
        with contextlib.closing(self.machine.open_store("MY", "LocalMachine", write=True)) as store:
            if not list(store.thumbprints()):
                store.add(
                    certificate_for(self.owner_goes_on()),
                    None,
                    friendly_name=None,
                    exportable=False,
                    provider=None,
                    request_key=NAME,
                )

    def remove(self, location: Location = "LocalMachine") -> None:
        with contextlib.closing(self.machine.open_store("MY", location, write=True)) as store:
            for record in list(store.records()):
                store.remove(thumbprint(record.certificate), delete_key=True)

    def move_to_user(self) -> None:
        """What an administrator does by dragging: the certificate goes to the user's MY, with its link to the key."""
        with contextlib.ExitStack() as stack:
            here, there = (
                stack.enter_context(system_stores.opened(self.dlls, "MY", location, write=True, create=True))
                for location in LOCATIONS
            )
            (digest,) = system_stores.all_of(self.dlls, here, lambda context: thumbprint(certificates.encoded(context)))
            with system_stores.found(self.dlls, here, digest) as context:
                assert context is not None
                assert system_stores.add_new(self.dlls, there, context)
            assert system_stores.delete(self.dlls, here, digest)
            for store in (here, there):
                system_stores.commit(self.dlls, store)

    def release(self) -> None:
        self.keys.release(NAME)

    def added_and_released(self) -> None:
        self.add()
        self.release()

    def unknown(self) -> set[str]:
        """Containers that neither a certificate nor a request has."""
        return {name for _, _, name in orphans(self.computer)} - set(self.keys.names())


@dataclass(frozen=True)
class Case:
    """A step, those before it, and on what computer."""

    name: str
    step: Step
    before: tuple[Step, ...] = ()
    key_type: KeyType = "ec-p256"
    cng: bool = True

    def process(self, folder: Path) -> Process:
        """A computer of its own, as the step finds it."""
        computer = Computer() if self.cng else Computer(cng_keeps="nothing", writes="at-commit")
        for step in self.before:
            step(Process(computer, folder, self.key_type))
        return Process(computer, folder, self.key_type)


CASES = [
    Case("make-cng", Process.owner_goes_on),
    Case("make-cng-rsa", Process.owner_goes_on, key_type="rsa-2048"),
    Case("make-csp", Process.owner_goes_on, key_type="rsa-2048", cng=False),
    Case("add-cng", Process.add, (Process.make,)),
    Case("add-csp", Process.add, (Process.make,), key_type="rsa-2048", cng=False),
    Case("release-unused", Process.release, (Process.make,)),
    Case("release-used", Process.release, (Process.add,)),
    Case("remove-held", Process.remove, (Process.add,)),
    Case("all", Process.added_and_released, key_type="rsa-2048"),
]


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    found = request.param
    assert isinstance(found, Case)
    return found


def watch_files(patched: pytest.MonkeyPatch, note: Callable[[str], None]) -> None:
    """Writes and removals of files are calls too."""
    for name in ("write", "remove"):
        real = getattr(files, name)

        def watched(*arguments: object, _real: Callable[..., None] = real, _name: str = name, **named: object) -> None:
            note(_name)
            _real(*arguments, **named)

        patched.setattr(files, name, watched)


def assert_the_owner_goes_on(case: Case, computer: Computer, folder: Path, where: str) -> None:
    """Nothing unknown is left, now or after recovery; then the whole way works, and at its end one key is left."""
    fresh = Process(computer, folder, case.key_type)
    fresh.machine.recover()
    assert fresh.unknown() == set(), where
    assert fresh.machine.recover() == [], where
    fresh.added_and_released()
    assert fresh.keys.names() == [], where
    assert len(computer.containers) == 1, where
    assert orphans(computer) == set(), where
    fresh.remove()
    assert computer.containers == set(), where
    assert fresh.dlls.calls.leaks == {}, where


def calls_of(case: Case, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Calls, writes and removals of a run without trouble."""
    process = case.process(folder)
    noted: list[str] = []
    with monkeypatch.context() as patched:
        watch_files(patched, noted.append)
        process.dlls.calls.before = noted.append
        case.step(process)
    return noted


def error_of(case: Case, process: Process) -> MlssslError | None:
    """What the step raises."""
    try:
        case.step(process)
    except MlssslError as error:
        return error
    return None


def test_killed_at_each_call(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any call of Windows, and any change of a file."""
    for number, function in points(calls_of(case, tmp_path / "whole", monkeypatch)):
        where = f"{case.name} killed before call {number}, {function}"
        folder = tmp_path / str(number)
        process = case.process(folder)
        with monkeypatch.context() as patched:
            kill = killer(number)
            watch_files(patched, kill)
            process.dlls.calls.before = kill
            with pytest.raises(Killed):
                case.step(process)
        assert_the_owner_goes_on(case, process.computer, folder, where)


def test_each_call_failing_in_turn(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Out of memory at each call that can fail: the error names it, or another way led to the same end."""
    process = case.process(tmp_path / "whole")
    first = len(process.dlls.calls.names)
    case.step(process)
    for number, function in points(process.dlls.calls.names[first:]):
        if function in CANNOT_FAIL:
            continue
        where = f"{case.name}, call {number}, {function}"
        folder = tmp_path / str(number)
        failing = case.process(folder)
        failing.dlls.calls.faults = {number: OUT_OF_MEMORY}
        error = error_of(case, failing)
        assert error is None or function in functions_of(error), where
        assert failing.dlls.calls.leaks == {}, where
        assert_the_owner_goes_on(case, failing.computer, folder, where)


@pytest.mark.parametrize(("key_type", "cng"), [("ec-p256", True), ("rsa-2048", False)])
def test_the_key_stays_for_a_certificate_that_was_moved_to_the_user(
    tmp_path: Path, key_type: KeyType, cng: bool
) -> None:
    """While the request holds it, and after, while the moved certificate has it; then it goes with that."""
    computer = Computer() if cng else Computer(cng_keeps="nothing", writes="at-commit")
    process = Process(computer, tmp_path / "state", key_type)
    process.add()
    process.move_to_user()
    public = process.keys.public_key(NAME)
    assert public is not None
    assert process.machine.recover() == []
    process.remove("CurrentUser")
    assert process.keys.public_key(NAME) == public
    process.add()
    process.move_to_user()
    process.release()
    assert process.machine.recover() == []
    store = process.machine.open_store("MY", "CurrentUser", write=True)
    (record,) = store.records()
    assert record.key is not None
    assert record.key.usable
    process.remove("CurrentUser")
    assert orphans(computer) == set()
