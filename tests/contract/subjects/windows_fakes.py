"""The Windows machine over fakes of the DLLs: runs anywhere."""

from __future__ import annotations

import contextlib
import copy
import functools
from itertools import count
from typing import TYPE_CHECKING

from contract.subjects.kinds import BindingsSubject, HttpSubject, ServicesSubject, StoresSubject
from made_certificates import make, shared_key
from mlsssl._fakes.advapi32_services import FakeService
from mlsssl._fakes.computer import Computer
from mlsssl._fakes.dlls import FakeDlls
from mlsssl._fakes.http_config import HttpState
from mlsssl._windows.machine import WindowsPort
from mlsssl._windows.services import WindowsServices
from windows.stores_machine import WindowsStoresMachine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from contract.subjects.kinds import StoresMaker
    from mlsssl.values import Thumbprint


@contextlib.contextmanager
def _bindings(folder: Path, *, has_update: bool = True) -> Iterator[BindingsSubject]:
    dlls = FakeDlls()
    if not has_update:
        del dlls.httpapi.HttpUpdateServiceConfiguration
    port = WindowsPort(dlls, state_folder=folder / "state")
    numbers = count()

    def add_certificate() -> Thumbprint:
        made = make(f"h{next(numbers)}.contract.example", key=shared_key(0))
        with contextlib.closing(port.open_store("MY", "LocalMachine", write=True)) as store:
            store.add(made.der, made.pkcs8, friendly_name=None, exportable=False, provider=None)
        return made.thumbprint

    yield BindingsSubject(bindings=port.bindings, add_certificate=add_certificate)
    assert dlls.calls.leaks == {}


@contextlib.contextmanager
def _http(folder: Path, state: HttpState | None = None) -> Iterator[HttpSubject]:
    state = HttpState() if state is None else copy.deepcopy(state)
    dlls = FakeDlls(Computer(http=state))
    yield HttpSubject(port=WindowsPort(dlls, state_folder=folder / "state"), keeps_words=state.keeps_words)
    assert dlls.calls.leaks == {}


@contextlib.contextmanager
def _services(_folder: Path) -> Iterator[ServicesSubject]:
    dlls = FakeDlls()
    dlls.advapi32_services.define(FakeService(name="Demo"))
    services = WindowsServices(dlls)

    def settle(name: str) -> None:
        while services.query(name).state.name.endswith("PENDING"):
            pass

    yield ServicesSubject(services=services, stopped="Demo", settle=settle)
    assert dlls.calls.leaks == {}


def _stores(computer: Computer, ec_keys: str | None = None) -> StoresMaker:
    @contextlib.contextmanager
    def make(folder: Path) -> Iterator[StoresSubject]:
        fresh = copy.deepcopy(computer)
        processes = [FakeDlls(fresh)]

        def another_process() -> WindowsStoresMachine:
            processes.append(FakeDlls(fresh))
            return WindowsStoresMachine(processes[-1], folder)

        yield StoresSubject(
            machine=WindowsStoresMachine(processes[0], folder),
            another_process=another_process,
            keys=lambda: len(fresh.containers),
            ec_keys=ec_keys,
        )
        assert [process.calls.leaks for process in processes] == [{}] * len(processes)

    return make


STORES = {
    "windows-fakes": _stores(Computer()),
    "windows-fakes-2016": _stores(Computer(pfx="2016")),
    "windows-fakes-no-cng": _stores(
        Computer(cng_keeps="nothing", writes="at-commit", pfx="wine", lists_keys=False),
        ec_keys="this CNG keeps nothing, and the older provider knows RSA only",
    ),
}
BINDINGS = {"windows-fakes": _bindings, "windows-2016-fakes": functools.partial(_bindings, has_update=False)}
HTTP = {
    "windows-fakes": _http,
    "windows-fakes-overwriting": functools.partial(_http, state=HttpState(numbers_are_set_once=False)),
    "windows-fakes-rewriting": functools.partial(_http, state=HttpState(keeps_words=False)),
    "windows-fakes-folding": functools.partial(_http, state=HttpState(folds_prefixes=True)),
}
SERVICES = {"windows-fakes": _services}
