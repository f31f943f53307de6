"""The Windows machine on this Windows: the real one, or Wine's with the stand-in for HTTP.sys.

Certificates come from the tests' own hands (`windows.machine_keys`), so what the library's stores do wrong cannot hide
in the bindings' tests. They are made once for a run: an RSA key takes its time.
"""

from __future__ import annotations

import atexit
import contextlib
import time
from itertools import cycle
from typing import TYPE_CHECKING

import pytest

from contract.subjects.kinds import MADE_UP_TRUST_LIST, BindingsSubject, HttpSubject, ServicesSubject
from mlsssl._machine.ports import ServiceState
from mlsssl._windows.bindings import RETRY_DELAYS, WindowsBindings
from mlsssl._windows.dlls import SystemDlls
from mlsssl._windows.machine import WindowsPort
from mlsssl._windows.services import WindowsServices
from mlsssl._windows.stores import WindowsStores
from mlsssl.values import Thumbprint
from windows import machine_keys, raw_httpapi, witness_log
from windows.wine_limits import may_change_this_windows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from contract.subjects.kinds import BindingsMaker, HttpMaker, ServicesMaker

# Started on demand, stopped again at once, needed by nothing: of Windows as of Wine.
CANDIDATES = ("BITS", "StiSvc", "FontCache", "wuauserv")

# Bits that the newest headers have, or only old ones: a build that does not know one answers 87.
OPTIONS_BY_BUILD = frozenset(
    {"raw_filter", "cached_urls_only", "retrieve_client_issuers", "client_correlation", "cache_client_hello"}
)

_made: list[Thumbprint] = []


def _certificates() -> list[Thumbprint]:
    if not _made:
        stack = contextlib.ExitStack()
        atexit.register(stack.close)
        for number in range(2):
            made = stack.enter_context(machine_keys.bindable(f"mlsssl-contract-{number}"))
            _made.append(Thumbprint(made.thumbprint))
    return _made


@contextlib.contextmanager
def _bindings(folder: Path) -> Iterator[BindingsSubject]:
    certificates = cycle(_certificates())
    dlls = SystemDlls()
    loaded = raw_httpapi.StandIn()
    standin = loaded if loaded.exports("StandinOpenCount") else None
    witness = witness_log.WitnessLog() if witness_log.present() else None
    before = standin.open_count() if standin else 0
    # HTTP.sys itself needs some seconds before it sees a new key; a stand-in answers 87 only to what is wrong.
    delays = () if standin or witness else RETRY_DELAYS
    with pytest.MonkeyPatch.context() as environment:
        if standin:  # a Windows that knows more bits than we have names for
            environment.setenv("MLSSSL_STANDIN_FLAGS", "0xffffffff")
            environment.setenv("MLSSSL_STANDIN_CHECK_MODES", "0xffffffff")
        yield BindingsSubject(
            bindings=WindowsBindings(dlls, WindowsStores(dlls, lambda: folder).diagnose, retry_delays=delays),
            add_certificate=lambda: next(certificates),
            takes_unknown_bits=bool(standin or witness),
            # A real HTTP.sys may answer 1312 for a trust list that does not exist: the store that every Windows has.
            trust_list=(None, "ClientAuthIssuer") if not (standin or witness) else MADE_UP_TRUST_LIST,
            may_refuse=frozenset() if standin or witness else OPTIONS_BY_BUILD,
        )
    if standin:
        assert standin.open_count() == before
    if witness:
        assert witness_log.open_count() == 0
        assert witness.faults() == []


@contextlib.contextmanager
def _http(folder: Path) -> Iterator[HttpSubject]:
    loaded = raw_httpapi.StandIn()
    standin = loaded if loaded.exports("StandinOpenCount") else None
    witness = witness_log.WitnessLog() if witness_log.present() else None
    before = standin.open_count() if standin else 0
    yield HttpSubject(
        port=WindowsPort(state_folder=folder / "state"),
        may_be_configured=standin is not None,
        # HTTP.sys keeps a descriptor in the registry, not its text; so does the witness.
        keeps_words=standin is not None,
    )
    if standin:
        assert standin.open_count() == before
    if witness:
        assert witness_log.open_count() == 0
        assert witness.faults() == []


@contextlib.contextmanager
def _services(_folder: Path) -> Iterator[ServicesSubject]:
    services = WindowsServices(SystemDlls())

    def settle(name: str) -> None:
        deadline = time.monotonic() + 30
        while services.query(name).state.name.endswith("PENDING"):
            assert time.monotonic() < deadline, f"{name} is {services.query(name).state}"
            time.sleep(0.02)

    for name in CANDIDATES:
        with contextlib.suppress(LookupError):
            if services.query(name).state is ServiceState.STOPPED:
                break
    else:
        pytest.skip(f"none of {', '.join(CANDIDATES)} is a stopped service here")
    yield ServicesSubject(services=services, stopped=name, settle=settle)
    services.request_stop(name)
    settle(name)


BINDINGS: dict[str, BindingsMaker] = {"windows-real": _bindings} if may_change_this_windows() else {}
SERVICES: dict[str, ServicesMaker] = {"windows-real": _services} if may_change_this_windows() else {}
HTTP: dict[str, HttpMaker] = {"windows-real": _http} if may_change_this_windows() else {}
