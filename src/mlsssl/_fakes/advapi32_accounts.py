"""A fake of the account look-ups of advapi32.dll: the accounts of a Windows in English or German, and a domain's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsssl._fakes.calls import Calls, Fake, Misuse, returns_bool
from mlsssl._fakes.crypt32 import text_of
from mlsssl._machine.accounts import sid_bytes
from mlsssl._native.cdata import NULL, ffi, wide

if TYPE_CHECKING:
    from mlsssl._fakes.computer import Computer
    from mlsssl._native.cdata import CData

INSUFFICIENT_BUFFER, INVALID_PARAMETER, INVALID_SID, NONE_MAPPED = 122, 87, 1337, 1332


class FakeAdvapi32Accounts(Fake):
    """The account half of advapi32.dll (`mlsssl._windows.dlls.Advapi32Accounts`) over a `Computer`."""

    def __init__(self, calls: Calls, computer: Computer) -> None:
        super().__init__(calls)
        self.computer = computer

    @returns_bool
    def LookupAccountNameW(
        self, system: CData, name: CData, sid: CData, sid_size: CData, domain: CData, domain_size: CData, use: CData, /
    ) -> int:
        r"""By `DOMAIN\name` or the bare name, in any case, in the language of this computer only."""
        if system != NULL:
            raise Misuse("another computer is asked")
        wanted = text_of(name).casefold()
        for account, text in self.computer.accounts.items():
            authority, _, bare = account.rpartition("\\")
            if wanted in (account.casefold(), bare.casefold()):
                binary = sid_bytes(text)
                if sid_size[0] < len(binary) or domain_size[0] <= len(authority):
                    sid_size[0], domain_size[0] = len(binary), len(authority) + 1
                    return INSUFFICIENT_BUFFER
                ffi.memmove(sid, binary, len(binary))
                sid_size[0] = len(binary)
                _put(domain, domain_size, authority)
                use[0] = 1
                return 0
        return NONE_MAPPED

    @returns_bool
    def LookupAccountSidW(
        self, system: CData, sid: CData, name: CData, name_size: CData, domain: CData, domain_size: CData, use: CData, /
    ) -> int:
        """The name in the language of this computer."""
        if system != NULL:
            raise Misuse("another computer is asked")
        head = bytes(ffi.buffer(ffi.cast("BYTE *", sid), 8))
        if head[0] != 1 or head[1] > 15:
            return INVALID_SID
        binary = bytes(ffi.buffer(ffi.cast("BYTE *", sid), 8 + 4 * head[1]))
        for account, text in self.computer.accounts.items():
            if sid_bytes(text) == binary:
                authority, _, bare = account.rpartition("\\")
                if name_size[0] <= len(bare) or domain_size[0] <= len(authority):
                    name_size[0], domain_size[0] = len(bare) + 1, len(authority) + 1
                    return INSUFFICIENT_BUFFER
                _put(name, name_size, bare)
                _put(domain, domain_size, authority)
                use[0] = 1
                return 0
        return NONE_MAPPED


def _put(memory: CData, size: CData, text: str) -> None:
    """Text with its NUL; the count says the length without it, as the pages of both functions do."""
    array = wide(text)
    ffi.memmove(memory, array, 2 * len(array))
    size[0] = len(array) - 1
