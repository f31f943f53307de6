"""Stores and keys under faults and kills: each native call in turn, over the fakes.

After a fault: nothing is open, the error names the call, no key is left over, and doing it again works. After a kill
(the process calls nothing any more): the store is in its old state or the new one, a fresh process recovers what is
left, and doing it again works.
"""

from __future__ import annotations

import copy
import datetime as dt
import functools
import os
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from made_certificates import CRL_MOMENT, Made, crl_der, make, make_crl, shared_key
from mlsssl._fakes.computer import Computer, Entry, ProvInfo
from mlsssl._fakes.dlls import FakeDlls
from mlsssl._machine import files
from mlsssl._native.cdata import address_of
from mlsssl.errors import MlssslError, NativeError, StoreError, StoreNotFoundError
from mlsssl.store import Store
from sweeps import points
from windows.stores_machine import WindowsStoresMachine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Literal

    from mlsssl._machine.ports import StoreRecord
    from mlsssl._native.cdata import CData
    from mlsssl._windows.dlls import CrlContext, StoreHandle
    from mlsssl._windows.stores import WindowsStore

    Operation = Callable[[WindowsStore], object]

OUT_OF_MEMORY = 14
# Documented to have no failure, or returning nothing.
CANNOT_FAIL = {"CertFreeCertificateContext", "CertFreeCRLContext"}


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


OLD_CRL = crl_der(make_crl(1))
NEW_CRL = crl_der(make_crl(2, at=CRL_MOMENT + dt.timedelta(days=1), revoked=[7]))
OTHER_CRL = crl_der(make_crl(1, issuer="another authority"))


def add(store: WindowsStore, made: Made, provider: str | None = None, name: str | None = None) -> StoreRecord:
    return store.add(made.der, made.pkcs8, friendly_name=name, exportable=True, provider=provider)  # type: ignore[arg-type]


def nothing(_store: WindowsStore) -> None:
    """No preparation."""


def keyless(store: WindowsStore) -> None:
    store.add(ONE.der, None, friendly_name="kept", exportable=False, provider=None)


def both(store: WindowsStore) -> None:
    add(store, ONE)
    add(store, OTHER)


def two_crls(store: WindowsStore) -> None:
    store.add_crl(OLD_CRL)
    store.add_crl(OTHER_CRL)


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
    Case("add-crl", lambda store: store.add_crl(NEW_CRL), before=two_crls),
    Case("add-crl-at-commit", lambda store: store.add_crl(NEW_CRL), before=both, computer=Computer(writes="at-commit")),
    Case("remove-crl", lambda store: store.remove_crl(OTHER_CRL), before=two_crls, again=StoreNotFoundError),
    Case(
        "remove-crl-at-commit",
        lambda store: store.remove_crl(OTHER_CRL),
        before=two_crls,
        computer=Computer(writes="at-commit"),
        again=StoreNotFoundError,
    ),
    Case("list-crls", lambda store: store.crls(), before=two_crls),
    Case("list", lambda store: (list(store.records()), list(store.thumbprints())), before=both),
    Case("pick", lambda store: store.certificates(lambda der: der == ONE.der), before=both),
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
    """What another process sees: certificates, names, and whether their keys are usable; and revocation lists."""
    store = Process(computer, folder).store()
    found = sorted((r.certificate, r.friendly_name, r.key is not None and r.key.usable) for r in store.records())
    return [*found, *((crl, "a revocation list", False) for crl in sorted(store.crls()))]


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
    real = files.write

    def write(path: Path, data: bytes, *, private: bool, entry_lasts: bool = True) -> None:
        note("write")
        real(path, data, private=private, entry_lasts=entry_lasts)

    patched.setattr(files, "write", write)


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


# ---- a revocation list in place of an older one: between two states there is a third, both lists, and never none ----


def replace_at_the_seam(process: Process) -> None:
    process.store().add_crl(NEW_CRL, replacing=[OLD_CRL])


def replace_in_public(process: Process) -> None:
    machine = SimpleNamespace(port=process.machine)  # of a machine, Store asks for its stores only
    with Store.open("MY", machine=machine) as store:
        store.add_crl(NEW_CRL)


REPLACING = pytest.mark.parametrize("replace", [replace_at_the_seam, replace_in_public])
WRITES = pytest.mark.parametrize("writes", ["at-once", "at-commit"])


def with_old_crl(writes: Literal["at-once", "at-commit"], folder: Path) -> Computer:
    computer = Computer(writes=writes)
    two_crls(Process(computer, folder).store())
    return computer


def crls_of(computer: Computer, folder: Path) -> set[bytes]:
    return set(Process(computer, folder).store().crls())


def calls_of(replace: Callable[[Process], None], computer: Computer, folder: Path) -> list[str]:
    process = Process(computer, folder)
    replace(process)
    assert process.dlls.calls.leaks == {}
    assert crls_of(computer, folder) == {NEW_CRL, OTHER_CRL}
    return process.dlls.calls.names


def assert_replaced_in_the_end(
    replace: Callable[[Process], None], computer: Computer, folder: Path, where: str
) -> set[bytes]:
    """Nothing is lost so far, and doing it again ends in the new list; what was there before is returned."""
    seen = crls_of(computer, folder)
    assert OTHER_CRL in seen, where
    assert seen & {OLD_CRL, NEW_CRL}, where
    replace(Process(computer, folder))
    assert crls_of(computer, folder) == {NEW_CRL, OTHER_CRL}, where
    return seen


@WRITES
@REPLACING
def test_replacing_a_revocation_list_with_each_call_failing(
    replace: Callable[[Process], None], writes: Literal["at-once", "at-commit"], tmp_path: Path
) -> None:
    """The error names the call, nothing is open, the old list or the new one is there, and again works."""
    for number, function in enumerate(calls_of(replace, with_old_crl(writes, tmp_path), tmp_path)):
        if function in CANNOT_FAIL:
            continue
        where = f"call {number}, {function}"
        computer = with_old_crl(writes, tmp_path)
        process = Process(computer, tmp_path)
        process.dlls.calls.faults = {number: OUT_OF_MEMORY}
        failure: MlssslError | None = None
        try:
            replace(process)
        except MlssslError as error:
            failure = error
        assert failure is None or function in functions_of(failure), where
        assert process.dlls.calls.leaks == {}, where
        assert_replaced_in_the_end(replace, computer, tmp_path, where)


@WRITES
@REPLACING
def test_replacing_a_revocation_list_killed_at_each_call(
    replace: Callable[[Process], None], writes: Literal["at-once", "at-commit"], tmp_path: Path
) -> None:
    """The old list, both or the new one; where Windows writes at once all three are met on the way."""
    met = set()
    for number, function in enumerate(calls_of(replace, with_old_crl(writes, tmp_path), tmp_path)):
        computer = with_old_crl(writes, tmp_path)
        process = Process(computer, tmp_path)
        process.dlls.calls.before = killer(number)
        with pytest.raises(Killed):
            replace(process)
        seen = assert_replaced_in_the_end(replace, computer, tmp_path, f"killed before call {number}, {function}")
        met.add(frozenset(seen - {OTHER_CRL}))
    assert {frozenset({OLD_CRL}), frozenset({NEW_CRL})} <= met
    assert (frozenset({OLD_CRL, NEW_CRL}) in met) == (writes == "at-once")


def test_a_deletion_that_does_nothing_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A success code is no proof: the list is looked for again, and the same for one that was added."""
    process = Process(with_old_crl("at-once", tmp_path), tmp_path)
    crypt32 = process.dlls.crypt32

    def free(context: CrlContext) -> int:
        return crypt32.CertFreeCRLContext(context)

    with monkeypatch.context() as patched:
        patched.setattr(crypt32, "CertDeleteCRLFromStore", free, raising=False)
        with pytest.raises(StoreError, match="still in LocalMachine"):
            process.store().remove_crl(OLD_CRL)
    with monkeypatch.context() as patched:
        patched.setattr(crypt32, "CertAddEncodedCRLToStore", lambda *_args: 1, raising=False)
        with pytest.raises(StoreError, match="not in LocalMachine"):
            process.store().add_crl(NEW_CRL)
    assert process.dlls.calls.leaks == {}


def test_a_list_of_another_physical_store_is_not_taken_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What group policy put there is seen and cannot be removed here; the error says where it comes from."""
    process = Process(Computer(), tmp_path)
    store = process.store()
    real = process.dlls.crypt32.CertOpenStore

    def logical(provider: CData, *rest: object) -> StoreHandle:
        # The logical store shows one list more than the physical one, which is opened with provider 13.
        entries = process.dlls.computer.stores[0x20000, "my"].crls
        entries[:] = [] if address_of(provider) == 13 else [Entry(OLD_CRL)]
        return real(provider, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(process.dlls.crypt32, "CertOpenStore", logical, raising=False)
    assert store.crls() == [OLD_CRL]
    with pytest.raises(StoreNotFoundError, match="group policy"):
        store.remove_crl(OLD_CRL)
    with pytest.raises(StoreNotFoundError, match="is not in"):
        store.remove_crl(NEW_CRL)
    assert process.dlls.calls.leaks == {}
