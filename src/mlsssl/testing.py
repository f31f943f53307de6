"""Test doubles for those who build on this library: machines, a clock, TLS at both ends, Windows without Windows.

Nothing here replaces the code under test: machines run the library's own code over a throw-away file or over fakes of
Windows' DLLs, and servers and clients shake hands for real. It needs no extra; the pytest fixtures, whose names begin
with `mlsssl_`, need pytest (extra `testing`).
"""

from mlsssl._fakes.advapi32_crypto import FakeAdvapi32Crypto
from mlsssl._fakes.advapi32_services import FakeAdvapi32Services, FakeService
from mlsssl._fakes.calls import Calls, Misuse
from mlsssl._fakes.computer import Computer
from mlsssl._fakes.crypt32 import FakeCrypt32
from mlsssl._fakes.dlls import FakeDlls
from mlsssl._fakes.httpapi import FakeHttpApi
from mlsssl._fakes.ncrypt import FakeNCrypt
from mlsssl._testing.clock import FrozenClock
from mlsssl._testing.machines import FakeWindows, WindowsRelease, fake_windows_machine, memory_machine
from mlsssl._testing.tls import TlsClientMaker, TlsConnection, TlsServer, TlsServerMaker, tls_client, tls_server

__all__ = [
    "Calls",
    "Computer",
    "FakeAdvapi32Crypto",
    "FakeAdvapi32Services",
    "FakeCrypt32",
    "FakeDlls",
    "FakeHttpApi",
    "FakeNCrypt",
    "FakeService",
    "FakeWindows",
    "FrozenClock",
    "Misuse",
    "TlsClientMaker",
    "TlsConnection",
    "TlsServer",
    "TlsServerMaker",
    "WindowsRelease",
    "fake_windows_machine",
    "memory_machine",
    "tls_client",
    "tls_server",
]
