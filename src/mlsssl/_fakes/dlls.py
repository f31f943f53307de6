"""All fakes together, as the Windows machine takes them."""

from __future__ import annotations

from mlsssl._fakes.advapi32_accounts import FakeAdvapi32Accounts
from mlsssl._fakes.advapi32_crypto import FakeAdvapi32Crypto
from mlsssl._fakes.advapi32_services import FakeAdvapi32Services
from mlsssl._fakes.calls import Calls
from mlsssl._fakes.computer import Computer
from mlsssl._fakes.crypt32 import FakeCrypt32
from mlsssl._fakes.http_config import HttpConfig
from mlsssl._fakes.http_requests import FakeBackground, FakeHttpDriver, FakeHttpRequests, FakeKernel32
from mlsssl._fakes.httpapi import FakeHttpApi
from mlsssl._fakes.ncrypt import FakeNCrypt


class FakeDlls:
    """Fakes of every DLL (`mlsssl._windows.dlls.Dlls`) that share one `Calls`: one process on a computer.

    Args:
        computer: What it finds on disk; a fresh one when None. Give the same one to another `FakeDlls` for what a
            second process finds, or the first after it was killed.
        driver: HTTP.sys' requests on that computer; a fresh one when None.
    """

    def __init__(self, computer: Computer | None = None, *, driver: FakeHttpDriver | None = None) -> None:
        self.calls = Calls()
        self.computer = Computer() if computer is None else computer
        self.httpapi = FakeHttpApi(
            self.calls,
            check_certificate=self.computer.http_look,
            administrator=self.computer.administrator,
            keeps_ccs_options=self.computer.ccs_options == "kept",
            records=self.computer.bindings,
            config=HttpConfig(self.computer.http, administrator=self.computer.administrator),
        )
        background = FakeBackground(self.calls)
        self.httpapi_requests = FakeHttpRequests(self.calls, background, FakeHttpDriver() if driver is None else driver)
        self.kernel32 = FakeKernel32(self.calls, background)
        self.advapi32_services = FakeAdvapi32Services(self.calls)
        self.crypt32 = FakeCrypt32(self.calls, self.computer)
        self.ncrypt = FakeNCrypt(self.calls, self.computer)
        self.advapi32_crypto = FakeAdvapi32Crypto(self.calls, self.computer)
        self.advapi32_accounts = FakeAdvapi32Accounts(self.calls, self.computer)

    def last_error(self) -> int:
        """What the last failing call set."""
        return self.calls.last_error
