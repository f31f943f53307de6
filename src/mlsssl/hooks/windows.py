"""Steps for parts of Windows that have a certificate of their own: the listeners of Remote Desktop and of WinRM.

Each is set by the interface that Microsoft documents for it, from Windows PowerShell 5.1, which every Windows has since
Server 2016 (`wmic`, the other documented way to the first, is gone from newer ones). What runs are the fixed scripts
below; the thumbprint and the listener's name travel in variables of the environment, so nothing has to be quoted. That
takes about a second; COM through cffi would take none, and two hundred lines of declarations for IWbemServices.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from mlsssl._messages.arguments import check_number, check_type
from mlsssl._messages.foreign_text import shown
from mlsssl.errors import HookError, InvalidInputError, UnsupportedError
from mlsssl.hooks.command import LONGEST, run_program
from mlsssl.store import Store

if TYPE_CHECKING:
    from mlsssl.hooks import Replacement

__all__ = ["RdpListener", "WinRmListener"]

# By its whole path: a program of this name further in front in PATH would get administrator rights.
_HOME = Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32/WindowsPowerShell/v1.0"

_NETWORK_SERVICE = "S-1-5-20"

# A listener is named by whoever made it; both scripts compare the name, and never put it into a query.
_NAME = re.compile(r"[A-Za-z0-9 ._-]{1,64}")

# Neither holds a double quote, the one sign that the rules of Windows command lines would change (CommandLineToArgvW).
# `throw` text reaches standard error by the last line; PowerShell itself would wrap it at the width of a console.
_BEGINNING = "$ErrorActionPreference = 'Stop'; $ProgressPreference = 'SilentlyContinue'; try { "
_END = " } catch { [Console]::Error.WriteLine($_.Exception.Message); exit 1 }; exit 0"

# Microsoft Learn, "Remote Desktop listener certificate configurations" and "Win32_TSGeneralSetting class".
_RDP = (
    _BEGINNING + "$wanted = $env:MLSSSL_NEW_THUMBPRINT.ToUpper(); "
    "function Find { Get-CimInstance -Namespace root/cimv2/TerminalServices -ClassName Win32_TSGeneralSetting"
    " | Where-Object { $_.TerminalName -eq $env:MLSSSL_LISTENER } }; "
    "$setting = Find; "
    "if ($null -eq $setting) { throw ('there is no listener ' + $env:MLSSSL_LISTENER) }; "
    "if ($setting.SSLCertificateSHA1Hash -ne $wanted)"
    " { Set-CimInstance -InputObject $setting -Property @{ SSLCertificateSHA1Hash = $wanted } }; "
    "$found = (Find).SSLCertificateSHA1Hash; "
    "if ($found -ne $wanted) { throw ('it was set, but reads back as ' + $found) }" + _END
)

# Microsoft Learn, "Installation and configuration for Windows Remote Management" (the listener's CertificateThumbprint)
# and "Set-WSManInstance": the same resource as `winrm set winrm/config/Listener?Address=*+Transport=HTTPS`.
_WINRM = (
    _BEGINNING + "$wanted = $env:MLSSSL_NEW_THUMBPRINT.ToUpper(); "
    "$which = @{ ResourceURI = 'winrm/config/Listener'; "
    "SelectorSet = @{ Address = $env:MLSSSL_LISTENER; Transport = 'HTTPS' } }; "
    "if (([string](Get-WSManInstance @which).CertificateThumbprint).Replace(' ', '') -ne $wanted)"
    " { Set-WSManInstance @which -ValueSet @{ CertificateThumbprint = $wanted } | Out-Null }; "
    "$found = ([string](Get-WSManInstance @which).CertificateThumbprint).Replace(' ', ''); "
    "if ($found -ne $wanted) { throw ('it was set, but reads back as ' + $found) }" + _END
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listener:
    """What the two have in common: a fixed script for a listener, run by Windows PowerShell."""

    timeout: float = 120.0
    program: str | Path | None = None

    _script: ClassVar[str]

    def _check(self, listener: str, pattern: re.Pattern[str], expected: str) -> None:
        if not pattern.fullmatch(check_type(listener, str, expected)):
            raise InvalidInputError(f"{expected}, not {shown(listener)}")
        check_number(self.timeout, 0, LONGEST, "timeout is a number of seconds from 0 to a day", above=True)
        if self.program is not None and not isinstance(self.program, (str, Path)):
            raise InvalidInputError(f"program is a path, not {type(self.program).__name__}")

    @staticmethod
    def _check_change(name: str, replacement: Replacement) -> None:
        if replacement.machine_kind != "windows":
            raise UnsupportedError(f"{name} is a part of Windows, and this is an embedded machine: leave the step out")
        if replacement.new is None:
            raise HookError(f"{name}: nothing is bound now, so it keeps the certificate that it has")
        if replacement.store.casefold() != "my":
            raise HookError(f"{name}: Windows looks for it in LocalMachine\\MY, not in {replacement.store}")

    def _set(self, name: str, listener: str, replacement: Replacement) -> None:
        program = str(_HOME / "powershell.exe" if self.program is None else self.program)
        command = [program, "-NoLogo", "-NoProfile", "-NonInteractive", "-Command", self._script]
        # A PowerShell 7 further up would hand down where its own modules are, which 5.1 cannot load.
        more = {"MLSSSL_LISTENER": listener, "PSModulePath": str(_HOME / "Modules")}
        run_program(command, replacement, name=name, timeout=self.timeout, more=more)


@dataclass(frozen=True, slots=True, kw_only=True)
class RdpListener(_Listener):
    """Give the Remote Desktop listener of this Windows the new certificate.

    Sets `Win32_TSGeneralSetting.SSLCertificateSHA1Hash` and reads it back. New connections get the new certificate;
    those that are open go on. The Remote Desktop service runs as NETWORK SERVICE, which is given the right to read the
    private key first (`Store.grant_key_access`). It needs administrator rights.

    Args:
        listener: The listener's name (`TerminalName`).
        grant: Whether to give that right; False leaves it to you.
        timeout: Seconds for PowerShell, more than 0, at most a day.
        program: Windows PowerShell, where it is not in its usual place.

    Raises:
        InvalidInputError: a name that no listener has, or an impossible time.
    """

    listener: str = "RDP-Tcp"
    grant: bool = True
    _script: ClassVar[str] = _RDP

    def __post_init__(self) -> None:
        self._check(self.listener, _NAME, "a listener's name has 1 to 64 letters, digits, blanks and . _ -")

    @property
    def name(self) -> str:
        """`rdp`."""
        return "rdp"

    def __call__(self, replacement: Replacement) -> None:
        """Set it.

        Raises:
            HookError: there is no such listener, Windows refused, the certificate is not in LocalMachine's MY, or
                PowerShell took too long.
            UnsupportedError: the change was on an embedded machine; or what keeps the key has no access lists.
            NotFoundError: PowerShell is not there.
            StoreError, AccessDeniedError, NativeError: the right could not be given, as `Store.grant_key_access` says.
        """
        self._check_change(self.name, replacement)
        if self.grant and replacement.new is not None:
            store = Store(replacement.store, "LocalMachine", replacement.machine)
            store.grant_key_access(replacement.new, _NETWORK_SERVICE)
        self._set(self.name, self.listener, replacement)


@dataclass(frozen=True, slots=True, kw_only=True)
class WinRmListener(_Listener):
    """Give the HTTPS listener of Windows Remote Management the new certificate.

    Sets `CertificateThumbprint` of `winrm/config/Listener?Address=…+Transport=HTTPS` and reads it back; the listener
    must be there. It needs administrator rights, and the WinRM service to run. Windows wants a certificate for server
    authentication whose name is this computer's (the listener's `Hostname`).

    Args:
        address: The listener's address as WinRM has it: `*`, `IP:192.0.2.1` or `MAC:...`.
        timeout: Seconds for PowerShell, more than 0, at most a day.
        program: Windows PowerShell, where it is not in its usual place.

    Raises:
        InvalidInputError: an address that no listener has, or an impossible time.
    """

    address: str = "*"
    _script: ClassVar[str] = _WINRM
    _ADDRESS: ClassVar[re.Pattern[str]] = re.compile(r"\*|(IP|MAC):[0-9A-Fa-f.:-]{1,45}")

    def __post_init__(self) -> None:
        self._check(self.address, self._ADDRESS, "a WinRM listener's address is *, IP:ADDRESS or MAC:ADDRESS")

    @property
    def name(self) -> str:
        """`winrm`."""
        return "winrm"

    def __call__(self, replacement: Replacement) -> None:
        """Set it; errors as `RdpListener`."""
        self._check_change(self.name, replacement)
        self._set(self.name, self.address, replacement)
