"""Accounts of every machine: the names of Windows in English, whatever its language, and SIDs."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import pytest

from mlsssl._embedded.port import EmbeddedPort
from mlsssl._fakes.computer import GERMAN, Computer
from mlsssl._fakes.dlls import FakeDlls
from mlsssl._windows.machine import WindowsPort
from mlsssl.errors import InvalidInputError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mlsssl._machine.ports import MachinePort

MACHINES: dict[str, Callable[[Path], MachinePort]] = {
    "embedded": lambda folder: EmbeddedPort(folder / "machine.sqlite"),
    "windows-english": lambda folder: WindowsPort(FakeDlls(), state_folder=folder),
    "windows-german": lambda folder: WindowsPort(FakeDlls(Computer(accounts=dict(GERMAN))), state_folder=folder),
}
if os.name == "nt":
    MACHINES["windows"] = lambda folder: WindowsPort(state_folder=folder)


@pytest.fixture(name="port", params=sorted(MACHINES))
def _port(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MachinePort]:
    with contextlib.closing(MACHINES[request.param](tmp_path)) as port:
        yield port


@pytest.mark.parametrize(
    ("name", "sid"),
    [
        ("NETWORK SERVICE", "S-1-5-20"),
        ("nt authority\\network service", "S-1-5-20"),
        ("LocalSystem", "S-1-5-18"),
        ("Administrators", "S-1-5-32-544"),
        ("Everyone", "S-1-1-0"),
        ("S-1-5-19", "S-1-5-19"),
        ("s-1-5-19", "S-1-5-19"),
    ],
)
def test_what_every_windows_has_is_found_by_its_english_name(port: MachinePort, name: str, sid: str) -> None:
    """In any case, with and without the authority; by the name that comes back it is found again."""
    found = port.account(name)
    assert found.sid == sid
    assert found.name != sid
    assert port.account(found.sid) == found
    if port.account("SYSTEM").name.startswith("NT AUTHORITY"):
        assert port.account(found.name) == found


def test_a_sid_that_nobody_has_is_an_account_too(port: MachinePort) -> None:
    """Access lists are full of them."""
    found = port.account("S-1-5-21-1-2-3-1001")
    assert (found.name, found.sid) == ("S-1-5-21-1-2-3-1001", "S-1-5-21-1-2-3-1001")


def test_a_name_that_nobody_has_is_not_found(port: MachinePort) -> None:
    """1332, in words."""
    with pytest.raises(NotFoundError, match=r"there is no account 'Netwrok Service' here \(1332"):
        port.account("Netwrok Service")


@pytest.mark.parametrize("wrong", ["", "S-1-5", "a\0b"])
def test_what_can_be_no_account_is_refused(port: MachinePort, wrong: str) -> None:
    """Before anybody is asked."""
    with pytest.raises(InvalidInputError, match="is no"):
        port.account(wrong)
