"""Stores and keys under faults and kills: each native call in turn, over the fakes.

After a fault: nothing is open, the error names the call, no key is left over, and doing it again works. After a kill
(the process calls nothing any more): the store is in its old state or the new one, a fresh process recovers what is
left, and doing it again works.
"""

from __future__ import annotations

import copy
import functools
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from made_certificates import Made, make, shared_key
from mlsssl import _files
from mlsssl._fakes.computer import Computer, ProvInfo
from mlsssl._fakes.dlls import FakeDlls
from mlsssl.errors import MlssslError, NativeError, StoreNotFoundError
from sweeps import points
from windows.stores_machine import WindowsStoresMachine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mlsssl._ports import StoreRecord
    from mlsssl._windows.stores import WindowsStore

    Operation = Callable[[WindowsStore], object]

OUT_OF_MEMORY = 14
# Documented to have no failure, or returning nothing.
CANNOT_FAIL = {"CertFreeCertificateContext"}


@functools.cache
def rsa_key(_number: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 1024)  # read and checked hundreds of times here


ONE = make("one.example", key=rsa_key(1))
EC = make("ec.example", key=shared_key(1))
OTHER = make("other.example", key=rsa_key(2))
# AES, which the "2016" computer cannot read; one round, for it is read many times here.
PFX = pkcs12.serialize_key_and_certificates(
    None,
    ONE.key,
    ONE.certificate,
    None,
    serialization.PrivateFormat.PKCS12.encryption_builder()
    .kdf_rounds(1)
    .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC)
    .hmac_hash(hashes.SHA256())
    .build(b"secret"),
)


def add(store: WindowsStore, made: Made, provider: str | None = None, name: str | None = None) -> StoreRecord:
    return store.add(made.der, made.pkcs8, friendly_name=name, exportable=True, provider=provider)  # type: ignore[arg-type]


def nothing(_store: WindowsStore) -> None:
    """No preparation."""


def keyless(store: WindowsStore) -> None:
    store.add(ONE.der, None, friendly_name="kept", exportable=False, provider=None)


def both(store: WindowsStore) -> None:
    add(store, ONE)
    add(store, OTHER)


def unusable(store: WindowsStore) -> None:
    """A certificate that names a key which is gone."""
    add(store, ONE)
    store._dlls.computer.cng.clear()  # type: ignore[attr-defined]
    store._dlls.computer.csp.clear()  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Case:
    """An operation, what is there before it, and what computer it runs on."""

    name: str
    operation: Operation
    before: Operation = nothing
    computer: Computer = field(default_factory=Computer)  # copied before each use
    again: type[MlssslError] | None = None  # what a second run raises when the first one was whole


CASES = [
    Case("add-cng", lambda store: add(store, ONE)),
    Case("add-ec", lambda store: add(store, EC)),
    Case("add-csp", lambda store: add(store, ONE, "csp")),
    Case("add-where-cng-keeps-nothing", lambda store: add(store, ONE), computer=Computer(cng_keeps="nothing")),
    Case("add-at-commit", lambda store: add(store, ONE), computer=Computer(writes="at-commit")),
    Case("add-without-key", keyless),
    Case("add-key-later", lambda store: add(store, ONE, name=None), before=keyless),
    Case("add-key-again", lambda store: add(store, ONE), before=unusable),
    Case("import", lambda store: store.import_pfx(PFX, "secret", exportable=False, friendly_name=None)),
    Case(
        "import-unreadable",
        lambda store: store.import_pfx(PFX, "secret", exportable=False, friendly_name=None),
        computer=Computer(pfx="2016"),
    ),
    Case(
        "import-one-container",
        lambda store: store.import_pfx(PFX, "secret", exportable=False, friendly_name=None),
        computer=Computer(pfx="wine", cng_keeps="nothing", writes="at-commit", lists_keys=True),
    ),
    Case(
        "remove",
        lambda store: store.remove(ONE.thumbprint, delete_key=True),
        before=both,
        again=StoreNotFoundError,
    ),
    Case("list", lambda store: (list(store.records()), list(store.thumbprints())), before=both),
    Case("export", lambda store: store.export_key(ONE.thumbprint), before=both),
    Case("rename", lambda store: store.set_friendly_name(ONE.thumbprint, "new"), before=both),
]


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill is not a power failure; and the disk is not what is tested here."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    found = request.param
    assert isinstance(found, Case)
    return found


class Killed(BaseException):
    """What the process would not see."""


class Process:
    """One process on a computer: a machine over fresh fakes."""

    def __init__(self, computer: Computer, folder: Path) -> None:
        self.dlls = FakeDlls(computer)
        self.machine = WindowsStoresMachine(self.dlls, folder)

    def store(self) -> WindowsStore:
        return self.machine.open_store("MY", "LocalMachine", write=True)


def prepared(case: Case, folder: Path) -> Computer:
    """A computer of its own, as the case finds it."""
    if case.name not in _prepared:
        computer = copy.deepcopy(case.computer)
        case.before(Process(computer, folder).store())
        _prepared[case.name] = computer
    return copy.deepcopy(_prepared[case.name])


_prepared: dict[str, Computer] = {}


def orphans(computer: Computer) -> set[tuple[str, bool, str]]:
    """Containers that no certificate names."""
    named = set()
    for store in computer.stores.values():
        for entry in store.entries:
            info = entry.properties.get(2)
            if isinstance(info, ProvInfo):
                kind = "csp" if info.provider_type else "cng"
                named.add((kind, bool(info.flags & 0x20), (info.container or "").casefold()))
    return computer.containers - named


def state(computer: Computer, folder: Path) -> list[tuple[bytes, str | None, bool]]:
    """What another process sees: certificates, names, and whether their keys are usable."""
    records = Process(computer, folder).store().records()
    return sorted((r.certificate, r.friendly_name, r.key is not None and r.key.usable) for r in records)


def whole_run(case: Case, folder: Path) -> tuple[list[str], list[tuple[bytes, str | None, bool]]]:
    """The calls of a run without trouble, and the state after it."""
    computer = prepared(case, folder)
    process = Process(computer, folder)
    store = process.store()
    first = len(process.dlls.calls.names)
    case.operation(store)
    assert process.dlls.calls.leaks == {}
    assert orphans(computer) == set()
    assert list((folder / "keys").glob("*")) == [] if (folder / "keys").exists() else True
    return process.dlls.calls.names[first:], state(computer, folder)


def test_each_call_failing_in_turn(case: Case, tmp_path: Path) -> None:
    """Out of memory, at every call that can fail."""
    names, after = whole_run(case, tmp_path)
    for number, function in points(names):
        if function in CANNOT_FAIL:
            continue
        computer = prepared(case, tmp_path)
        old = state(computer, tmp_path)
        process = Process(computer, tmp_path)
        store = process.store()
        process.dlls.calls.faults = {len(process.dlls.calls.names) + number: OUT_OF_MEMORY}
        where = f"call {number}, {function}"
        error = error_of(case.operation, store)
        if error is not None:
            assert function in functions_of(error), where
        else:
            assert state(computer, tmp_path) == after, where  # another way led to the same end
        assert process.dlls.calls.leaks == {}, where
        assert state(computer, tmp_path) in (old, after), where
        assert_sound_after_recovery(case, computer, tmp_path, where, old, after)


def test_killed_at_each_call(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends before any of its calls, or before any of its files is written."""
    after = whole_run(case, tmp_path)[1]
    for number, function in points(written_run(case, tmp_path, monkeypatch)):
        computer = prepared(case, tmp_path)
        old = state(computer, tmp_path)
        process = Process(computer, tmp_path)
        store = process.store()
        where = f"killed before call {number}, {function}"
        with monkeypatch.context() as patched:
            kill = killer(number)
            watch_files(patched, kill)
            process.dlls.calls.before = kill
            with pytest.raises(Killed):
                case.operation(store)
        assert state(computer, tmp_path) in (old, after), where
        assert_sound_after_recovery(case, computer, tmp_path, where, old, after)


def written_run(case: Case, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls of a run without trouble, with the file writes among them."""
    computer = prepared(case, folder)
    process = Process(computer, folder)
    store = process.store()
    noted: list[str] = []
    with monkeypatch.context() as patched:
        watch_files(patched, noted.append)
        process.dlls.calls.before = noted.append
        case.operation(store)
    return noted


def watch_files(patched: pytest.MonkeyPatch, note: Callable[[str], None]) -> None:
    real = _files.write

    def write(path: Path, data: bytes, *, private: bool) -> None:
        note("write")
        real(path, data, private=private)

    patched.setattr(_files, "write", write)


def killer(number: int) -> Callable[[str], None]:
    """From call `number` on nothing is called any more."""
    seen = 0

    def kill(_name: str) -> None:
        nonlocal seen
        if seen >= number:
            raise Killed
        seen += 1

    return kill


def assert_sound_after_recovery(
    case: Case,
    computer: Computer,
    folder: Path,
    where: str,
    old: list[tuple[bytes, str | None, bool]],
    after: list[tuple[bytes, str | None, bool]],
) -> None:
    """A fresh process: recovers, finds no orphan and nothing to do a second time, and does the work."""
    fresh = Process(computer, folder)
    fresh.machine.recover()
    assert orphans(computer) == set(), where
    assert fresh.machine.recover() == [], where
    whole = state(computer, folder) == after != old
    error = error_of(case.operation, fresh.store())
    if error is not None:
        assert whole, where
        assert case.again is not None, where
        assert isinstance(error, case.again), where
    assert state(computer, folder) == after, where
    assert orphans(computer) == set(), where
    assert fresh.dlls.calls.leaks == {}, where


def error_of(operation: Operation, store: WindowsStore) -> MlssslError | None:
    """The error that an operation ends with."""
    try:
        operation(store)
    except MlssslError as error:
        return error
    return None


def functions_of(error: BaseException | None) -> Iterator[str]:
    """The calls named by an error and its causes."""
    while error is not None:
        if isinstance(error, NativeError):
            yield error.function
        error = error.__cause__
