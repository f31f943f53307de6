"""Machines to throw away: an embedded one in memory, and a Windows machine over fakes of the DLLs."""

from __future__ import annotations

import contextlib
import copy
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mlsssl._fakes.advapi32_services import RUNNING, STOPPED, FakeService
from mlsssl._fakes.computer import Computer
from mlsssl._fakes.dlls import FakeDlls
from mlsssl._fakes.port import FakeWindowsPort
from mlsssl.errors import InvalidInputError
from mlsssl.machine import EmbeddedMachine, Machine

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mlsssl._fakes.calls import Calls
    from mlsssl._machine.ports import MachinePort

WindowsRelease = Literal["2016", "2019"]
"""Which Windows Server `fake_windows_machine` imitates; 2019 stands for all later ones."""

# A file system in memory: a commit need not wait for a disk. Only Linux has one at a place that is known.
_MEMORY = Path("/dev/shm")  # noqa: S108 -- a private folder is made in it


@contextlib.contextmanager
def memory_machine(*, atomic_update: bool = True) -> Iterator[EmbeddedMachine]:
    """An `EmbeddedMachine` that is gone when the `with` ends.

    It is the embedded machine itself, with its file, its transactions and its listener, so that a test sees what
    production does; nothing is imitated a second time. The file lies in a private folder of a file system in memory
    on Linux, and of the temporary folder elsewhere, and is deleted with it.

    Args:
        atomic_update: As in `EmbeddedMachine`.
    """
    folder = _private_folder()
    with folder:
        machine = EmbeddedMachine(Path(folder.name) / "machine.sqlite", atomic_update=atomic_update)
        try:
            yield machine
        finally:
            machine.close()


def throw_away_machine() -> EmbeddedMachine:
    """As `memory_machine`, gone when nobody refers to it any more: for what cannot be held by a `with`."""
    folder = _private_folder()
    machine = EmbeddedMachine(Path(folder.name) / "machine.sqlite")
    weakref.finalize(machine, _end, machine.port, folder)
    return machine


def _private_folder() -> tempfile.TemporaryDirectory[str]:
    place = _MEMORY if _MEMORY.is_dir() else None
    return tempfile.TemporaryDirectory(prefix="mlsssl-", dir=place, ignore_cleanup_errors=True)


def _end(port: MachinePort, folder: tempfile.TemporaryDirectory[str]) -> None:
    port.close()
    folder.cleanup()


class FakeWindows:
    """A Windows that is made of fakes, and the process that uses it; `fake_windows_machine` makes it.

    Attributes:
        machine: What the code under test is given.
        dlls: The fakes, for what has no method here.
    """

    def __init__(self, release: WindowsRelease, computer: Computer, folder: Path) -> None:
        self._release = release
        self._folder = folder
        self._ended: list[FakeDlls] = []
        self.dlls = self._process(computer, None)
        self.machine = Machine(FakeWindowsPort(self.dlls, folder))

    def _process(self, computer: Computer, before: FakeDlls | None) -> FakeDlls:
        dlls = FakeDlls(computer)
        if self._release == "2016":
            del dlls.httpapi.HttpUpdateServiceConfiguration  # not exported yet
        dlls.advapi32_services.administrator = computer.administrator
        if before is not None:
            # The service manager is not part of the process that died.
            dlls.advapi32_services.services = before.advapi32_services.services
        return dlls

    @property
    def calls(self) -> Calls:
        """Every call of this process: `names`, `faults`, `leaks`."""
        return self.dlls.calls

    def fail_at(self, call: int, code: int) -> None:
        """Let a call fail, once and without any other effect.

        Args:
            call: Its number from now on: 0 is the next one.
            code: What it fails with, such as 5 (ERROR_ACCESS_DENIED) or 1450 (ERROR_NO_SYSTEM_RESOURCES).

        Raises:
            InvalidInputError: a negative number, or 0 for a code, which means success.
        """
        if call < 0 or not 1 <= code <= 0xFFFF_FFFF:
            raise InvalidInputError(f"call counts from 0 and code is an error, not {call!r} and {code!r}")
        self.calls.faults[len(self.calls.names) + call] = code

    def forget_faults(self) -> None:
        """Let no call fail any more."""
        self.calls.faults.clear()

    def define_service(self, name: str, *, needs: Sequence[str] = (), running: bool = True) -> FakeService:
        """Make a service; the value returned can be set to get stuck, to refuse a stop, to fail at start.

        Args:
            name: Its key name.
            needs: The services that it depends on.
            running: Whether it runs at first.
        """
        state = RUNNING if running else STOPPED
        return self.dlls.advapi32_services.define(FakeService(name=name, needs=tuple(needs), state=state))

    def restart(self) -> Machine:
        """End the process as if it was killed, and start another on the same computer: its machine, also `machine`.

        Certificates, keys, bindings, services and files stay; calls, faults and open handles do not.
        """
        self._ended.append(self.dlls)
        self.dlls = self._process(self.dlls.computer, self.dlls)
        self.machine = Machine(FakeWindowsPort(self.dlls, self._folder))
        return self.machine


@contextlib.contextmanager
def fake_windows_machine(
    *,
    release: WindowsRelease = "2019",
    administrator: bool = True,
    computer: Computer | None = None,
) -> Iterator[FakeWindows]:
    """The Windows machine of this library over fakes of Crypt32, ncrypt, advapi32 and httpapi, on any system.

    What runs is the code that runs on Windows; only the DLLs are imitated, with the codes, sizes, pointers and
    refusals that Microsoft documents. A call that Windows says must never be made raises `Misuse`.

    Args:
        release: `"2016"` knows no AES in PFX files and cannot update a binding in one step.
        administrator: False is refused (5) whatever changes the machine.
        computer: What is on the disk to begin with; a copy is used. An empty computer when not given.

    Yields:
        The fake Windows: `machine`, `calls`, `fail_at`, `define_service`, `restart`.

    Raises:
        InvalidInputError: another release.
        AssertionError: at the end, when a handle was left open and no exception is under way.
    """
    if release not in ("2016", "2019"):
        raise InvalidInputError(f"release is '2016' or '2019', which stands for all later ones; not {release!r}")
    found = Computer() if computer is None else copy.deepcopy(computer)
    found.administrator = administrator
    found.pfx = release
    with tempfile.TemporaryDirectory(prefix="mlsssl-", ignore_cleanup_errors=True) as place:
        windows = FakeWindows(release, found, Path(place))
        yield windows
        leaks = windows.calls.leaks
        if leaks:
            raise AssertionError(f"left open: {', '.join(f'{count} {kind}' for kind, count in leaks.items())}")
