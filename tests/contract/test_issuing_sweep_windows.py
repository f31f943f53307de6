"""Asking an issuer on Windows is ended at every native call: one order, no key that nobody knows of.

Over fakes of the DLLs, in both key storages; the end of the process is as in `test_deployment_sweep_windows.py`. The
embedded machine's sweep, with files and the issuer's own steps among its points, is `test_issuing_sweep.py`.
"""

from __future__ import annotations

import copy
import shutil
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from contract.deployment_scenarios import KEY, fast_place
from contract.test_deployment_sweep_windows import EndOfProcess
from issuing import AUTHORITY, DistantIssuer
from mlsssl import Binding, deploy, renew
from mlsssl._deploy.obtain import _tidy_up
from mlsssl._fakes.computer import Computer
from mlsssl._fakes.dlls import FakeDlls
from mlsssl._windows.machine import WindowsPort
from mlsssl.machine import Machine
from sweeps import points
from windows.test_store_faults import orphans

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mlsssl.values import KeyType

OLD = AUTHORITY.issue("a.test", key="ec-p256")
NEW_KEY = rsa.generate_private_key(65537, 2048)
COMPUTERS: dict[str, tuple[Callable[[], Computer], KeyType]] = {
    "cng": (Computer, "ec-p256"),
    "csp": (lambda: Computer(cng_keeps="nothing", writes="at-commit"), "rsa-2048"),
}


@pytest.fixture(name="fast_folder")
def _fast_folder(tmp_path: Path) -> Iterator[Path]:
    with fast_place(tmp_path) as folder:
        yield folder


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """One RSA key for all, and no waiting for HTTP.sys."""
    monkeypatch.setattr(rsa, "generate_private_key", lambda *_arguments: NEW_KEY)
    monkeypatch.setattr("mlsssl._windows.bindings.time.sleep", lambda _: None)


def killer(number: int) -> Callable[[str], None]:
    """From native call `number` on the process makes none."""
    seen = 0

    def kill(_name: str) -> None:
        nonlocal seen
        if seen >= number:
            raise EndOfProcess
        seen += 1

    return kill


@pytest.mark.parametrize("name", COMPUTERS)
def test_the_end_at_every_native_call_leaves_an_order_to_go_on_with(
    name: str, fast_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, key_type = COMPUTERS[name]
    prepared = make()
    old = OLD if key_type == "ec-p256" else AUTHORITY.issue("a.test", key=NEW_KEY)
    deploy(KEY, old, machine=Machine(WindowsPort(FakeDlls(prepared), state_folder=fast_folder / "base")))

    def copied(place: str) -> tuple[FakeDlls, Machine, DistantIssuer]:
        folder = fast_folder / place
        shutil.copytree(fast_folder / "base", folder)
        dlls = FakeDlls(copy.deepcopy(prepared))
        return dlls, Machine(WindowsPort(dlls, state_folder=folder)), DistantIssuer(folder / "issuer")

    dlls, machine, issuer = copied("whole")
    renew(KEY, issuer, machine=machine, key_type=key_type)
    assert dlls.calls.leaks == {}
    calls = list(dlls.calls.names)
    assert {"NCryptSignHash" if name == "cng" else "CryptSignHashW"} <= set(calls)
    renewed = 0
    for number, function in points(calls):
        where = f"ended before call {number}, {function}"
        dlls, machine, issuer = copied(str(number))
        dlls.calls.before = killer(number)
        with pytest.raises(EndOfProcess):
            renew(KEY, issuer, machine=machine, key_type=key_type)
        fresh = FakeDlls(dlls.computer)
        port = WindowsPort(fresh, state_folder=fast_folder / str(number))
        machine = Machine(port)
        machine.recover()
        known = set(port.request_keys.names())
        assert {container for _, _, container in orphans(dlls.computer)} <= known, where
        if Binding.get(KEY, machine=machine).thumbprint == old.thumbprint:
            renew(KEY, issuer, machine=machine, key_type=key_type)
        else:
            renewed += 1
        thumbprint = Binding.get(KEY, machine=machine).thumbprint
        assert thumbprint is not None, where
        assert machine.store()[thumbprint].has_private_key, where
        assert len(issuer.orders) == 1, where
        # What an end just after the deployment has left goes with the next request on this machine.
        _tidy_up(port, besides=port.state_folder / "none")
        assert port.request_keys.names() == [], where
        assert orphans(dlls.computer) == set(), where
        assert fresh.calls.leaks == {}, where
        shutil.rmtree(fast_folder / str(number))
    assert renewed
    with capsys.disabled():
        print(f"\n{name}: {len(calls)} calls, after {renewed} of them it was renewed", end=" ")
