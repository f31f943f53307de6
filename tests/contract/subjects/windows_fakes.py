"""The Windows machine over fakes of the DLLs: runs anywhere."""

from __future__ import annotations

import contextlib
import copy
import functools
import hashlib
from itertools import count
from typing import TYPE_CHECKING

from contract.subjects.kinds import BindingsSubject, ServicesSubject, StoresSubject
from mlsssl._fakes.advapi32_services import FakeService
from mlsssl._fakes.computer import Computer
from mlsssl._fakes.dlls import FakeDlls
from mlsssl._fakes.httpapi import FakeHttpApi
from mlsssl._ports import Cause, Diagnosis
from mlsssl._windows.bindings import WindowsBindings
from mlsssl._windows.services import WindowsServices
from mlsssl.values import Thumbprint
from windows.stores_machine import WindowsStoresMachine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from contract.subjects.kinds import StoresMaker


@contextlib.contextmanager
def _bindings(_folder: Path, *, has_update: bool = True) -> Iterator[BindingsSubject]:
    dlls = FakeDlls()
    dlls.httpapi = FakeHttpApi(dlls.calls, has_update=has_update)
    usable: set[Thumbprint] = set()
    numbers = count()

    def add_certificate() -> Thumbprint:
        usable.add(thumbprint := Thumbprint(hashlib.sha1(b"%d" % next(numbers)).digest()))
        return thumbprint

    def check_certificate(digest: bytes, store_name: str) -> int:
        return 0 if store_name.upper() == "MY" and digest in usable else 1312

    def diagnose(thumbprint: Thumbprint, store_name: str) -> tuple[Diagnosis, ...]:
        if not check_certificate(thumbprint, store_name):
            return ()
        return (Diagnosis(cause=Cause.NOT_IN_STORE, found=f"{thumbprint} is not in {store_name}", remedy="add it"),)

    dlls.httpapi.check_certificate = check_certificate
    yield BindingsSubject(bindings=WindowsBindings(dlls, diagnose), add_certificate=add_certificate)
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
SERVICES = {"windows-fakes": _services}
