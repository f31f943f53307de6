"""Every native call of a deployment fails once with each code, and once the process ends there: still whole.

The Windows machine over fakes of the DLLs, so it runs anywhere. The end of a process is an exception that nothing
catches, after which every further call of the dead process raises it again; the next process finds the computer as
it was left. (The embedded machine's sweep kills real processes.)
"""

from __future__ import annotations

import copy
import shutil
from typing import TYPE_CHECKING

import pytest

from contract.deployment_scenarios import (
    SCENARIOS,
    Picture,
    Scenario,
    check_second_run,
    check_whole,
    fast_place,
    picture,
)
from mlsssl import MlssslError
from mlsssl._fakes.computer import Computer
from mlsssl._fakes.dlls import FakeDlls
from mlsssl._fakes.http_config import HttpState
from mlsssl._windows.machine import WindowsPort
from mlsssl.machine import Machine
from sweeps import points

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACCESS_DENIED, NOT_ENOUGH_MEMORY, INVALID_PARAMETER, INTERNAL_ERROR = 5, 8, 87, 1359
E_ACCESSDENIED, E_FAIL = 0x8007_0005, 0x8000_4005
NTE_PERM, NTE_FAIL, NTE_EXISTS = 0x8009_0010, 0x8009_0020, 0x8009_000F

# The codes that the pages of each function give for a failure; a code that is an answer ("there is none") is no
# failure, and a system that gives wrong answers is not one that can be kept whole.
CODES: dict[str, tuple[int, ...]] = {
    "HttpInitialize": (INVALID_PARAMETER, INTERNAL_ERROR),
    "HttpTerminate": (INVALID_PARAMETER,),
    "HttpQueryServiceConfiguration": (INTERNAL_ERROR,),
    "HttpSetServiceConfiguration": (ACCESS_DENIED, INVALID_PARAMETER, 183, 1312, INTERNAL_ERROR),
    "HttpUpdateServiceConfiguration": (ACCESS_DENIED, 2, INVALID_PARAMETER, 1312, INTERNAL_ERROR),
    "HttpDeleteServiceConfiguration": (ACCESS_DENIED, 2, INVALID_PARAMETER, INTERNAL_ERROR),
    "CertOpenStore": (ACCESS_DENIED, E_ACCESSDENIED),
    "CertCloseStore": (E_FAIL,),
    "CertControlStore": (E_ACCESSDENIED, NOT_ENOUGH_MEMORY),
    "CertEnumSystemStore": (ACCESS_DENIED,),
    "CertEnumCertificatesInStore": (E_FAIL,),
    "CertEnumCRLsInStore": (E_FAIL,),
    "CertFindCertificateInStore": (E_FAIL,),
    "CertGetCertificateContextProperty": (E_FAIL,),
    "CertSetCertificateContextProperty": (E_ACCESSDENIED, INVALID_PARAMETER),
    "CertCreateCertificateContext": (E_FAIL,),
    "CertFreeCertificateContext": (E_FAIL,),
    "CertAddCertificateContextToStore": (E_ACCESSDENIED, INVALID_PARAMETER),
    "CertDeleteCertificateFromStore": (E_ACCESSDENIED,),
    "NCryptOpenStorageProvider": (NTE_FAIL,),
    "NCryptCreatePersistedKey": (NTE_EXISTS, NTE_PERM, NTE_FAIL),
    "NCryptSetProperty": (NTE_PERM, NTE_FAIL),
    "NCryptFinalizeKey": (NTE_PERM, NTE_FAIL),
    "NCryptImportKey": (NTE_PERM, NTE_FAIL),
    "NCryptDeleteKey": (NTE_PERM, NTE_FAIL),
    "NCryptOpenKey": (NTE_FAIL,),
    "NCryptExportKey": (NTE_FAIL,),
    "NCryptGetProperty": (NTE_FAIL,),
    "NCryptFreeObject": (NTE_FAIL,),
    "LookupAccountSidW": (1332, 1789),
}


class EndOfProcess(BaseException):
    """The process ends here."""


class Bench:
    """A prepared computer, copied for each point."""

    def __init__(self, folder: Path, scenario: Scenario) -> None:
        self._folder = folder
        self._scenario = scenario
        self._copies = 0
        self.computer = Computer(http=HttpState(keeps_words=False))  # access lists come back in words of its own
        base = self.port(self.dlls(self.computer), folder / "base")
        scenario.prepare(Machine(base))
        _ = base.state_folder  # there, so that it can be copied
        self.before = picture(base)
        self.after, self.calls = self._undisturbed()

    def dlls(self, computer: Computer) -> FakeDlls:
        """A process on a computer."""
        dlls = FakeDlls(computer)
        if not self._scenario.atomic:
            del dlls.httpapi.HttpUpdateServiceConfiguration
        return dlls

    def port(self, dlls: FakeDlls, folder: Path) -> WindowsPort:
        """The machine as a process sees it."""
        return WindowsPort(dlls, state_folder=folder)

    def copy(self) -> tuple[Computer, Path]:
        """The prepared computer and its state folder, again."""
        self._copies += 1
        folder = self._folder / f"copy{self._copies}"
        shutil.copytree(self._folder / "base", folder)
        return copy.deepcopy(self.computer), folder

    def _undisturbed(self) -> tuple[Picture, list[str]]:
        computer, folder = self.copy()
        dlls = self.dlls(computer)
        port = self.port(dlls, folder)
        self._scenario.act(Machine(port))
        names = list(dlls.calls.names)
        after = picture(port)
        assert dlls.calls.leaks == {}
        shutil.rmtree(folder)
        return after, names

    def check(self, computer: Computer, folder: Path) -> str:
        """Another process looks at what is left, recovers it, does it again; which state it found."""
        dlls = self.dlls(computer)
        port = self.port(dlls, folder)
        state = check_whole(port, self._scenario, self.before, self.after, count_keys=lambda: len(computer.containers))
        check_second_run(port, self._scenario, self.after)
        assert dlls.calls.leaks == {}
        shutil.rmtree(folder)
        return state


@pytest.fixture(name="fast_folder")
def _fast_folder(tmp_path: Path) -> Iterator[Path]:
    with fast_place(tmp_path) as folder:
        yield folder


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP.sys is asked again after a while when it says 87; the fake needs no while."""
    monkeypatch.setattr("mlsssl._windows.bindings.time.sleep", lambda _: None)


# The embedded machine's sweep has these two as well; here each takes minutes, and what differs between an update in one
# step and two steps is swept by the other two.
SWEPT = [one for one in SCENARIOS if one.name not in ("renew-everywhere-2016", "undo-everywhere")]
_IDS = [scenario.name for scenario in SWEPT]


@pytest.mark.parametrize("scenario", SWEPT, ids=_IDS)
def test_every_native_call_that_fails_leaves_the_old_or_the_new_state(
    scenario: Scenario, fast_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each call with each of its codes; nothing but our own errors come out."""
    bench = Bench(fast_folder, scenario)
    assert set(bench.calls) <= set(CODES)
    states = {"old": 0, "new": 0}
    for number, name in points(bench.calls):
        for code in CODES[name]:
            computer, folder = bench.copy()
            dlls = bench.dlls(computer)
            dlls.calls.faults[number] = code
            failed = False
            try:
                scenario.act(Machine(bench.port(dlls, folder)))
            except MlssslError:
                failed = True
            assert dlls.calls.leaks == {}, f"{name} (call {number}) with {code:#x}"
            state = bench.check(computer, folder)
            # A newer key that cannot be opened just now is a reason to keep the old certificate, and no error.
            kept = scenario.name == "cleanup" and state == "old"
            assert failed or kept or state == "new", f"{name} (call {number}) with {code:#x}"
            states[state] += 1
    with capsys.disabled():
        print(f"\n{scenario.name}: {len(bench.calls)} native calls, {sum(states.values())} faults, {states}", end=" ")


@pytest.mark.parametrize("scenario", SWEPT, ids=_IDS)
def test_a_process_that_ends_at_any_native_call_leaves_the_old_or_the_new_state(
    scenario: Scenario, fast_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before each call, and with every later call of the dead process refused."""
    bench = Bench(fast_folder, scenario)
    states = {"old": 0, "new": 0}
    for number, _name in points(bench.calls):
        computer, folder = bench.copy()
        dlls = bench.dlls(computer)

        def end(_: str, *, dlls: FakeDlls = dlls, number: int = number) -> None:
            if len(dlls.calls.names) >= number:
                raise EndOfProcess

        dlls.calls.before = end
        with pytest.raises(EndOfProcess):
            scenario.act(Machine(bench.port(dlls, folder)))
        states[bench.check(computer, folder)] += 1
    assert states["old"]
    with capsys.disabled():
        print(f"\n{scenario.name}: ended at {len(bench.calls)} native calls, {states}", end=" ")
