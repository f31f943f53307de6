"""Reservations through the real call boundary: an independent reader, every call failing, the process killed at each.

The stand-in is read a second time by the tests' own declarations (ctypes), so a mistake in the library's cannot agree
with itself.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlsssl import MlssslError, UrlReservation, recover
from mlsssl._formats.url_prefixes import UrlPrefix
from mlsssl._machine.ports import ReservationRecord
from mlsssl._windows.machine import WindowsPort
from mlsssl.machine import Machine
from windows import raw_httpapi

if TYPE_CHECKING:
    from collections.abc import Iterator

if sys.platform != "win32":
    pytest.skip("the real DLLs are Windows': `nox -s windows` runs this under Wine", allow_module_level=True)

URLACL = 2
URL = "https://+:44402/native/"
BEFORE, AFTER = "D:(A;;GX;;;S-1-1-0)", "D:(A;;GA;;;S-1-5-18)"
KILLED = 137


class UrlaclSet(ctypes.Structure):
    """HTTP_SERVICE_CONFIG_URLACL_SET."""

    _fields_ = (("url", ctypes.c_void_p), ("sddl", ctypes.c_void_p))


class UrlaclQuery(ctypes.Structure):
    """HTTP_SERVICE_CONFIG_URLACL_QUERY."""

    _fields_ = (("kind", ctypes.c_int32), ("url", ctypes.c_void_p), ("token", ctypes.c_uint32))


@pytest.fixture(name="standin")
def _standin() -> Iterator[raw_httpapi.StandIn]:
    standin = raw_httpapi.StandIn()
    if not standin.exports("StandinReset"):
        pytest.skip("this httpapi.dll is Windows' own; the stand-in is used only under Wine")
    standin.reset()
    before = standin.open_count()
    yield standin
    standin.reset()
    assert standin.open_count() == before


def read(standin: raw_httpapi.StandIn, token: int) -> tuple[int, str, str]:
    """The code, the prefix and the access list of the n-th reservation, copied out of the answer's buffer."""
    query = UrlaclQuery(kind=1, token=token)
    needed = ctypes.c_uint32()
    code = standin.query(URLACL, query, return_length=ctypes.byref(needed))
    if code != 122:
        return code, "", ""
    buffer = (ctypes.c_uint64 * ((needed.value + 7) // 8))()
    code = standin.query(URLACL, query, ctypes.addressof(buffer), needed.value, ctypes.byref(needed))
    found = UrlaclSet.from_buffer(buffer)
    start, end = ctypes.addressof(buffer), ctypes.addressof(buffer) + needed.value
    assert start <= found.url < end
    assert start <= found.sddl < end
    return code, ctypes.wstring_at(found.url), ctypes.wstring_at(found.sddl)


def test_an_independent_reader_sees_what_was_written(standin: raw_httpapi.StandIn, tmp_path: Path) -> None:
    """And the library what an independent writer wrote."""
    reservations = WindowsPort(state_folder=tmp_path / "state").reservations
    reservations.add(ReservationRecord(url=UrlPrefix(URL), sddl=BEFORE))
    assert standin.initialize() == 0
    assert read(standin, 0) == (0, URL, BEFORE)
    assert read(standin, 1)[0] == 259
    memory = raw_httpapi.Memory()
    other = "http://*:44402/Grün/"
    assert standin.set(URLACL, UrlaclSet(memory.text(other), memory.text(AFTER))) == 0
    assert standin.terminate() == 0
    assert [(one.url.written, one.sddl) for one in reservations.all()] == [(other, AFTER), (URL, BEFORE)]


@pytest.mark.parametrize(
    ("url", "sddl", "code"),
    [
        (None, BEFORE, 87),
        ("https://+:443", BEFORE, 87),
        ("https://+:443/x", BEFORE, 87),
        ("ftp://+:443/", BEFORE, 87),
        ("https://+:65536/", BEFORE, 87),
        ("https://+:0443/", BEFORE, 87),
        (URL, None, 87),
    ],
)
def test_the_stand_in_is_strict(standin: raw_httpapi.StandIn, url: str | None, sddl: str | None, code: int) -> None:
    """What it takes from nobody it does not take from us; and nothing is kept."""
    memory = raw_httpapi.Memory()
    made = UrlaclSet(None if url is None else memory.text(url), None if sddl is None else memory.text(sddl))
    assert standin.set(URLACL, made) == 1114
    assert standin.initialize() == 0
    assert standin.set(URLACL, made) == code
    assert standin.set(URLACL, made, length=8) == 122
    assert standin.set(URLACL, made, length=17) == 87
    assert standin.set(URLACL, made, handle=1) == 6
    assert standin.delete(URLACL, UrlaclSet(memory.text(URL), None)) == 2
    assert read(standin, 0)[0] == 259
    assert standin.terminate() == 0


def test_every_call_may_fail(standin: raw_httpapi.StandIn, tmp_path: Path) -> None:
    """The old access list or the new one, never none once it was recovered; nothing stays open."""
    machine = Machine(WindowsPort(state_folder=tmp_path / "state"))
    number, outcomes = 0, set()
    while True:
        number += 1
        standin.reset()
        UrlReservation(URL, sddl=BEFORE, machine=machine).add()
        standin.fail_call(number, 1450)
        failed = False
        try:
            UrlReservation(URL, sddl=AFTER, machine=machine).update()
        except MlssslError:
            failed = True
        done = standin.failed_function() is None
        standin.fail_call(0, 0)
        assert standin.open_count() == 0 or standin.failed_function() == "HttpTerminate" or done or failed
        while standin.open_count():  # what the failed HttpTerminate left
            assert standin.terminate() == 0
        recover(machine=machine)
        found = UrlReservation.get(URL, machine=machine).sddl
        assert found in (BEFORE, AFTER)
        outcomes.add(found)
        if done:
            break
    assert outcomes == {BEFORE, AFTER}
    assert number > 8


def test_the_process_may_be_killed_at_every_call(standin: raw_httpapi.StandIn, tmp_path: Path) -> None:
    """Before and after it; the next process recovers."""
    folder = tmp_path / "state"
    script = textwrap.dedent(
        f"""
        import pathlib, sys
        sys.path[:0] = {[str(Path(__file__).parents[2] / "src"), str(Path(__file__).parents[1])]!r}
        from mlsssl import UrlReservation
        from mlsssl._windows.machine import WindowsPort
        from mlsssl.machine import Machine
        from windows import raw_httpapi
        machine = Machine(WindowsPort(state_folder=pathlib.Path(sys.argv[1])))
        raw_httpapi.StandIn().kill_call(int(sys.argv[2]), after=bool(int(sys.argv[3])))
        UrlReservation({URL!r}, sddl={AFTER!r}, machine=machine).update()
        """
    )
    machine = Machine(WindowsPort(state_folder=folder))
    outcomes = set()
    for after in (0, 1):
        for number in range(1, 40):
            standin.reset()
            UrlReservation(URL, sddl=BEFORE, machine=machine).add()
            run = subprocess.run(
                [sys.executable, "-c", script, str(folder), str(number), str(after)],
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            recover(machine=machine)
            found = UrlReservation.get(URL, machine=machine).sddl
            assert found in (BEFORE, AFTER)
            outcomes.add(found)
            assert not list(folder.glob("change*.json"))
            if run.returncode == 0:
                break
            assert run.returncode == KILLED, run.stderr
        else:
            pytest.fail("the update never came to its end")
    assert outcomes == {BEFORE, AFTER}
