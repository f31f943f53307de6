"""The embedded machine: runs anywhere."""

from __future__ import annotations

import contextlib
from itertools import count
from typing import TYPE_CHECKING

from contract.subjects.kinds import BindingsSubject, HttpSubject, ServicesSubject
from made_certificates import make, shared_key
from mlsssl._embedded.port import EmbeddedPort

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlsssl.values import Thumbprint


@contextlib.contextmanager
def _machine(folder: Path) -> Iterator[EmbeddedPort]:
    port = EmbeddedPort(folder / "machine.sqlite")
    try:
        yield port
    finally:
        port.close()


@contextlib.contextmanager
def _bindings(folder: Path) -> Iterator[BindingsSubject]:
    with _machine(folder) as port:
        store = port.open_store("MY", "LocalMachine", write=True)
        numbers = count()

        def add_certificate() -> Thumbprint:
            made = make(f"h{next(numbers)}.contract.example", key=shared_key(0))
            store.add(made.der, made.pkcs8, friendly_name=None, exportable=False, provider=None)
            return made.thumbprint

        yield BindingsSubject(bindings=port.bindings, add_certificate=add_certificate)


@contextlib.contextmanager
def _services(folder: Path) -> Iterator[ServicesSubject]:
    with _machine(folder) as port:
        port.services.define("Demo", takes=0.01)

        def settle(name: str) -> None:
            while port.services.query(name).state.name.endswith("PENDING"):
                pass

        yield ServicesSubject(services=port.services, stopped="Demo", settle=settle)


@contextlib.contextmanager
def _http(folder: Path) -> Iterator[HttpSubject]:
    with _machine(folder) as port:
        yield HttpSubject(port=port)


BINDINGS = {"embedded": _bindings}
HTTP = {"embedded": _http}
SERVICES = {"embedded": _services}
