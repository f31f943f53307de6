"""The machine that a change is for; where it is not there yet, an empty one to plan on, or a new one that is kept."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from mlsssl._machine.private_files import resolved
from mlsssl._select.ports import embedded_port, missing_file
from mlsssl.machine import EmbeddedMachine, Machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def existing(path: str | None) -> Machine:
    """The embedded machine in this file, this computer when None; `NotFoundError` unless it is there."""
    return Machine.local(create=False) if path is None else EmbeddedMachine(path, create=False)


@contextlib.contextmanager
def existing_or_empty(path: str | None) -> Iterator[Machine]:
    """`existing`; in place of one that is not there an empty one that nobody keeps, for a plan."""
    missing = missing_file(path)
    with existing(path) if missing is None else _empty(missing) as machine:
        yield machine


@contextlib.contextmanager
def to_add_to(
    path: str | None, rehearsal: Callable[[Machine], object], told: Callable[[Path], object]
) -> Iterator[Machine]:
    """`existing`, or a new one, of which `told` is given the file.

    It is made only when `rehearsal`, what is going to be done or its plan, raises nothing on an empty machine; so
    neither a mistyped file nor a wrong password leaves a machine behind.
    """
    missing = missing_file(path)
    if missing is None:
        with existing(path) as machine:
            yield machine
        return
    with _empty(missing) as machine:
        rehearsal(machine)
    with EmbeddedMachine(missing) as machine:
        told(missing)
        yield machine


@contextlib.contextmanager
def _empty(missing: Path) -> Iterator[Machine]:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="mlsssl-", ignore_cleanup_errors=True) as folder:
        port = embedded_port(f"{folder}/machine.sqlite")
        port.description = f"the embedded machine at {resolved(missing)}, which is not there yet"
        with Machine(port) as machine:
            yield machine
