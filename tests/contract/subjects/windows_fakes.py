"""The Windows machine over fakes of the DLLs: runs anywhere."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from itertools import count
from typing import TYPE_CHECKING

from contract.subjects.kinds import BindingsSubject, ServicesSubject
from mlsssl._fakes.advapi32_services import FakeService
from mlsssl._fakes.dlls import FakeDlls
from mlsssl._fakes.httpapi import FakeHttpApi
from mlsssl._ports import Cause, Diagnosis
from mlsssl._windows.bindings import WindowsBindings
from mlsssl._windows.services import WindowsServices
from mlsssl.values import Thumbprint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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


BINDINGS = {"windows-fakes": _bindings, "windows-2016-fakes": functools.partial(_bindings, has_update=False)}
SERVICES = {"windows-fakes": _services}
