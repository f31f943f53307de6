"""Accounts of this Windows, looked up by name or SID (`MachinePort.account`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsssl._machine import accounts
from mlsssl._machine.accounts import Account, check_account, is_sid, not_found, sid_bytes, sid_text
from mlsssl._native.cdata import NULL, Buffer, ffi, text_at, wide
from mlsssl._windows.failures import crypto_failure

if TYPE_CHECKING:
    from mlsssl._native.cdata import CData
    from mlsssl._windows.dlls import AccountDlls

_ERROR_NONE_MAPPED = 1332
_LONGEST_SID = 68  # SECURITY_MAX_SID_SIZE, winnt.h


def account(dlls: AccountDlls, text: str) -> Account:
    """The account of this name or SID, as this Windows calls it.

    The names that every Windows has are taken in English, whatever the language of this one, and looked up by SID.

    Raises:
        InvalidInputError: it can be neither name nor SID.
        NotFoundError: no account has this name (1332). A SID that no account has is taken as it is.
        NativeError: a domain could not be asked, say.
    """
    wanted = check_account(text)
    known = accounts.known(wanted)
    if known is not None:
        return by_sid(dlls, known.sid)
    return by_sid(dlls, wanted) if is_sid(wanted) else _by_name(dlls, wanted)


def by_sid(dlls: AccountDlls, sid: str) -> Account:
    """The account with this SID; its name is the SID when no account has it, or none that can be asked for now."""
    # Not even a domain that does not answer is a reason to show nothing.
    binary = ffi.from_buffer("BYTE[]", sid_bytes(sid))
    name, domain = _Text(257), _Text(257)
    use = ffi.new("int32_t *")
    if not dlls.advapi32_accounts.LookupAccountSidW(
        NULL, ffi.cast("void *", binary), name.memory, name.size, domain.memory, domain.size, use
    ):
        return Account(sid, sid)
    return Account(_joined(domain.text, name.text) or sid, sid)


def _by_name(dlls: AccountDlls, name: str) -> Account:
    function, api = "LookupAccountNameW", dlls.advapi32_accounts
    sid, size = Buffer(function, _LONGEST_SID), ffi.new("DWORD *", _LONGEST_SID)
    domain, use = _Text(257), ffi.new("int32_t *")
    memory = ffi.cast("void *", sid.memory)
    if not api.LookupAccountNameW(NULL, wide(name), memory, size, domain.memory, domain.size, use):
        code = dlls.last_error()
        if code == _ERROR_NONE_MAPPED:
            error = not_found(name)
            error.__cause__ = crypto_failure(function, code)
            raise error
        raise crypto_failure(function, code, f"while looking for the account {name!r}; its SID needs no look-up")
    length = 8 + 4 * sid.view("BYTE", 2)[1]
    found = sid_text(sid.bytes_at(sid.memory, length))
    shown = by_sid(dlls, found)  # in the spelling of this Windows
    return shown if shown.name != found else Account(_joined(domain.text, name.rpartition("\\")[2]), found)


def _joined(domain: str, name: str) -> str:
    return f"{domain}\\{name}" if domain and name else name or domain


class _Text:
    """Room for text that a call writes, and the count of characters that it reads and sets."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.memory: CData = ffi.new("WCHAR[]", room)
        self.size: CData = ffi.new("DWORD *", room)

    @property
    def text(self) -> str:
        """What was written."""
        return text_at(self.memory, self.room)
