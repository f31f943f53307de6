"""Choose the machine: the one given, else this platform's. The two machines are imported inside the functions."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Protocol

from mlsssl._machine import files
from mlsssl._machine.ports import MACHINE_VARIABLE
from mlsssl._messages.foreign_text import shown
from mlsssl.errors import InvalidInputError, NotFoundError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path
    from typing import TypeAlias

    from mlsssl._embedded.port import EmbeddedPort
    from mlsssl._machine.accounts import Account
    from mlsssl._machine.ports import MachinePort, TrustProblem
    from mlsssl._windows.http_requests import PrefixListener
    from mlsssl.values import Purpose

    SystemJudge: TypeAlias = Callable[[bytes, Sequence[bytes], str | None, datetime, Purpose], tuple[TrustProblem, ...]]


class HasPort(Protocol):
    """What the nouns need of a `Machine`."""

    @property
    def port(self) -> MachinePort:
        """What the machine keeps, as Protocols."""
        ...


_local: tuple[str | None, int, MachinePort] | None = None


def port_of(machine: HasPort | None) -> MachinePort:
    """The given machine's port, or this computer's.

    This computer's is shared by everything in the process that names no machine: opened on first use and never closed;
    another one when `MLSSSL_MACHINE` changes or after a fork.
    """
    global _local  # a cache; losing it costs an open
    if machine is not None:
        try:
            return machine.port
        except AttributeError:
            given = type(machine).__name__
            raise InvalidInputError(f"machine is a Machine, such as EmbeddedMachine(path), not {given}") from None
    wanted = os.environ.get(MACHINE_VARIABLE) or None
    if _local is None or _local[:2] != (wanted, os.getpid()):
        _local = (wanted, os.getpid(), embedded_port(None) if local_is_embedded() else windows_port())
    return _local[2]


def account_of(machine: HasPort | None, account: str) -> Account:
    """The account of this name or SID on the given machine, or on this computer; errors as `MachinePort.account`.

    The embedded machine's accounts are the same on each, so that no file is opened or made for this computer's.
    """
    if machine is None and local_is_embedded():
        from mlsssl._machine import accounts

        return accounts.imitated(accounts.check_account(account))
    return port_of(machine).account(account)


def existing_port_of(machine: HasPort | None) -> MachinePort:
    """`port_of` for what finds nothing to do in a new machine: `NotFoundError` where this computer has none yet."""
    if machine is None:
        refuse_missing(None)
    return port_of(machine)


def missing_file(path: str | Path | None) -> Path | None:
    """The file of this embedded machine (this computer's when None) if it is not there; None when the machine is."""
    if path is None and not local_is_embedded():
        return None
    from mlsssl._embedded.port import default_path

    file = default_path() if path is None else files.path_of(path)
    return None if files.exists(file) else file


def refuse_missing(path: str | Path | None) -> None:
    """`NotFoundError` where the embedded machine in this file (this computer's when None) is not there."""
    file = missing_file(path)
    if file is not None:
        how = "" if path is not None else f", which {MACHINE_VARIABLE} names" if _named() else ", the usual place"
        raise NotFoundError(
            f"there is no machine in the file {shown(str(file))}{how}; look whether that is the file meant. Only what "
            "adds something makes a new one, such as deploy or store add"
        )


def _named() -> bool:
    return bool(os.environ.get(MACHINE_VARIABLE))


def local_is_embedded() -> bool:
    """Whether this computer's machine is the embedded one: off Windows, or where `MLSSSL_MACHINE` names a file."""
    return sys.platform != "win32" or _named()


def is_embedded(port: MachinePort) -> bool:
    """Whether it is an embedded machine, and not a Windows."""
    from mlsssl._embedded.port import EmbeddedPort

    return isinstance(port, EmbeddedPort)


def embedded_port(path: str | Path | None, *, atomic_update: bool = True) -> EmbeddedPort:
    """The embedded machine in this file; its default place when None."""
    from mlsssl._embedded.port import EmbeddedPort

    return EmbeddedPort(path, atomic_update=atomic_update)


def windows_port() -> MachinePort:
    """This Windows computer."""
    from mlsssl._windows.machine import WindowsPort

    return WindowsPort()


def http_prefix_listener(prefix: str, answer: Callable[[str], bytes | None], *, timeout: float) -> PrefixListener:
    """Answer requests below a URL prefix through this Windows' HTTP.sys; see `PrefixListener`, which its owner closes.

    Raises:
        UnsupportedError: this is not Windows.
        ListenerError, AccessDeniedError, NativeError: as there.
    """
    if sys.platform != "win32":
        raise UnsupportedError(f"HTTP.sys is a part of Windows; this is {sys.platform}")
    from mlsssl._windows import dlls, http_requests

    return http_requests.PrefixListener(dlls.SystemDlls(), prefix, answer, timeout=timeout)


def system_judge() -> SystemJudge | None:
    """This operating system's chain engine, as `_windows.trust.verify`: everything it holds against a certificate.

    None where there is none to ask, only roots (`system_roots`).
    """
    if sys.platform != "win32":
        return None
    from functools import partial

    from mlsssl._windows import dlls, trust

    return partial(trust.verify, dlls.SystemDlls())


def system_roots() -> list[bytes]:
    """The roots that this operating system trusts, DER. `NotFoundError` when none are found."""
    if sys.platform == "win32":
        from mlsssl._windows import dlls, trust

        return trust.roots(dlls.SystemDlls())
    from mlsssl._machine.system_roots import system_roots

    return system_roots()
