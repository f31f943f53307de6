"""Deploy and renew through Windows' own Crypt32 and the stand-in for HTTP.sys, with its faults and kills.

The same scenarios and the same looks afterwards as in the sweeps over fakes. The stand-in counts HTTP.sys' calls
only; the kills are real ends of real processes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from contract.deployment_scenarios import (
    KEY,
    SCENARIOS,
    Picture,
    Scenario,
    authority,
    certificates,
    check_second_run,
    check_whole,
    picture,
)
from mlsssl import Binding, MlssslError
from mlsssl._windows.machine import WindowsPort
from mlsssl.machine import Machine
from windows import raw_httpapi

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

if sys.platform != "win32":
    pytest.skip("the real DLLs are Windows': `nox -s windows` runs this under Wine", allow_module_level=True)

INTERNAL_ERROR = 1359  # the sweep over fakes goes through the other codes; here each run takes a second


def clear(port: WindowsPort) -> None:
    """Take away whatever the scenarios put on this computer."""
    machine = Machine(port)
    binding = Binding.find(KEY, machine=machine)
    if binding is not None:
        binding.remove()
    ours = {one.thumbprint for certificate in certificates() for one in (certificate, *certificate.chain)}
    for name in ("MY", "CA", "Root"):
        with machine.store(name, create=True) as store:
            for thumbprint in ours | {authority().certificate.thumbprint}:
                if thumbprint in store:
                    store.remove(thumbprint)
    for file in port.state_folder.glob("*.json"):
        file.unlink()


@pytest.fixture(name="standin")
def _standin() -> Iterator[raw_httpapi.StandIn]:
    standin = raw_httpapi.StandIn()
    if not standin.exports("StandinReset"):
        pytest.skip("this httpapi.dll is Windows' own; the stand-in is used only under Wine")
    standin.reset()
    yield standin
    standin.reset()
    while standin.open_count():  # an HttpTerminate that was made to fail has left its initialisation open
        assert standin.terminate() == 0


@pytest.fixture(name="port")
def _port(tmp_path: Path) -> Iterator[WindowsPort]:
    port = WindowsPort(state_folder=tmp_path / "state")
    clear(port)
    yield port
    clear(port)


def scenario_of(name: str, standin: raw_httpapi.StandIn) -> Scenario:
    """The scenario, as this Windows can do it."""
    found = next(one for one in SCENARIOS if one.name == name)
    atomic = standin.exports("HttpUpdateServiceConfiguration")
    return Scenario(found.name, found.prepare, found.act, atomic=atomic)


def run_undisturbed(
    port: WindowsPort, scenario: Scenario, standin: raw_httpapi.StandIn
) -> tuple[Picture, Picture, int]:
    """The machine before and after, and how many calls of HTTP.sys it took."""
    machine = Machine(port)
    scenario.prepare(machine)
    before = picture(port)
    standin.fail_call(0, 0)  # restarts the count
    scenario.act(machine)
    calls = standin.calls()
    after = picture(port)
    assert before != after
    clear(port)
    return before, after, calls


def check(port: WindowsPort, scenario: Scenario, before: Picture, after: Picture) -> str:
    """As the sweeps do; keys are counted by what `recover` finds only."""
    state = check_whole(port, scenario, before, after, count_keys=lambda: len(picture(port).keyed))
    check_second_run(port, scenario, after)
    clear(port)
    return state


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deploy-first", "renew", "undo"])
def test_every_call_of_httpapi_that_fails_leaves_the_old_or_the_new_state(
    name: str, port: WindowsPort, standin: raw_httpapi.StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each call of each scenario."""
    scenario = scenario_of(name, standin)
    before, after, calls = run_undisturbed(port, scenario, standin)
    states = {"old": 0, "new": 0}
    for number in range(1, calls + 1):
        scenario.prepare(Machine(port))
        standin.fail_call(number, INTERNAL_ERROR)
        failed = False
        try:
            scenario.act(Machine(port))
        except MlssslError:
            failed = True
        standin.fail_call(0, 0)
        state = check(port, scenario, before, after)
        assert failed or state == "new", f"call {number}"
        states[state] += 1
    with capsys.disabled():
        print(f"\n{name}: {calls} calls of httpapi.dll, {sum(states.values())} faults, {states}", end=" ")


_CHILD = """
import sys
from pathlib import Path
from mlsssl import Certificate, renew
from mlsssl._windows.machine import WindowsPort
from mlsssl.machine import Machine
folder, key = sys.argv[1:]
new = Certificate.load(Path(folder) / "new.pem")
renew(key, new, machine=Machine(WindowsPort(state_folder=Path(folder) / "state")), verify=False)
"""


@pytest.mark.slow
def test_a_process_that_ends_at_any_call_of_httpapi_leaves_the_old_or_the_new_state(
    tmp_path: Path, port: WindowsPort, standin: raw_httpapi.StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each call of a renewal, in a process of its own, which the stand-in ends there."""
    scenario = scenario_of("renew", standin)
    before, after, _ = run_undisturbed(port, scenario, standin)
    certificates()[1].save(tmp_path / "new.pem")
    states = {"old": 0, "new": 0}
    number = 0
    while True:
        number += 1
        scenario.prepare(Machine(port))
        done = subprocess.run(
            [sys.executable, "-c", _CHILD, str(tmp_path), KEY],
            env={**os.environ, "MLSSSL_STANDIN_KILL_CALL": str(number)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
            check=False,
        )
        if done.returncode == 0:
            break
        assert b"Traceback" not in done.stderr, done.stderr
        states[check(port, scenario, before, after)] += 1
    assert states["old"]
    assert states["new"]
    with capsys.disabled():
        print(f"\nrenew: ended at {number - 1} calls of httpapi.dll, {states}", end=" ")
