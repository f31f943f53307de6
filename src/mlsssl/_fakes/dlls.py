"""All fakes together, as the Windows storey takes them."""

from __future__ import annotations

from mlsssl._fakes.advapi32_services import FakeAdvapi32Services
from mlsssl._fakes.calls import Calls
from mlsssl._fakes.httpapi import FakeHttpApi


class FakeDlls:
    """Fakes of every DLL (`mlsssl._windows.dlls.Dlls`) that share one `Calls`."""

    def __init__(self) -> None:
        self.calls = Calls()
        self.httpapi = FakeHttpApi(self.calls)
        self.advapi32_services = FakeAdvapi32Services(self.calls)

    def last_error(self) -> int:
        """What the last failing call set."""
        return self.calls.last_error
