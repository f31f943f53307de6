"""The half of the fake httpapi.dll that is not about TLS: URL reservations, the listen list, numbers.

Where the documentation is silent it takes the stricter side, or either by a switch of `HttpState`: prefixes are
compared character by character, so that a caller has to look for other spellings; access lists may come back in other
words than they were given in; a query of a number that is not set is answered 2; times are answered as the number
alone, the others as their SET structure, so that a caller has to look at the length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mlsssl._fakes.calls import Misuse
from mlsssl._formats.sddl import ALIASES
from mlsssl._native.cdata import NULL, address_of, ffi, text_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlsssl._native.cdata import CData

LISTEN_LIST, URLACL, TIMEOUT, CACHE, SETTING = 0, 2, 3, 4, 7
SETS = {
    LISTEN_LIST: "HTTP_SERVICE_CONFIG_IP_LISTEN_PARAM",
    URLACL: "HTTP_SERVICE_CONFIG_URLACL_SET",
    TIMEOUT: "HTTP_SERVICE_CONFIG_TIMEOUT_SET",
    CACHE: "HTTP_SERVICE_CONFIG_CACHE_SET",
    SETTING: "HTTP_SERVICE_CONFIG_SETTING_SET",
}
QUERIES = {
    URLACL: "HTTP_SERVICE_CONFIG_URLACL_QUERY",
    TIMEOUT: "int32_t",
    CACHE: "int32_t",
    SETTING: "int32_t",
}
_KEYS = {TIMEOUT: (0, 1), CACHE: (0, 1), SETTING: (1,)}

SUCCESS, FILE_NOT_FOUND, ACCESS_DENIED, INVALID_PARAMETER = 0, 2, 5, 87
INSUFFICIENT_BUFFER, ALREADY_EXISTS, MORE_DATA, NO_MORE_ITEMS, INVALID_ACL = 122, 183, 234, 259, 1336

_PREFIX = re.compile(
    r"https?://(?:\+|\*|\[[0-9A-Fa-f:.]+\]|[^/:\[\]]+):([1-9]\d{0,4})(?::[0-9.]+)?/(?:[^?#\\]*/)?", re.IGNORECASE
)
_SDDL = re.compile(
    r"(?:O:[^():]+)?(?:G:[^():]+)?D:\w*(?:\(\w+;\w*;[\w]*;[\w-]*;[\w-]*;(?:S-1-[\d-]+|[A-Za-z]{2})(?:;[^()]*)?\))*"
)


@dataclass(slots=True)
class HttpState:
    """What HTTP.sys keeps on disk besides TLS records.

    Attributes:
        reservations: Prefix to SDDL.
        listen_list: Each address as SOCKADDR_IN or SOCKADDR_IN6.
        numbers: By HTTP_SERVICE_CONFIG_ID and key.
        numbers_are_set_once: Whether setting one that is there is answered 183.
        keeps_words: Whether an access list comes back character by character. Without, it is kept as a descriptor, as
            HTTP.sys' registry values are, and written anew: `NS` for S-1-5-20, `GX` for 0x20000000.
        folds_prefixes: Whether prefixes that differ in case are one.
        shows_to_all: Whether who is no administrator may query; without, that too is answered 5.
    """

    reservations: dict[str, str] = field(default_factory=dict)
    listen_list: list[bytes] = field(default_factory=list)
    numbers: dict[tuple[int, int], int] = field(default_factory=dict)
    numbers_are_set_once: bool = True
    keeps_words: bool = True
    folds_prefixes: bool = False
    shows_to_all: bool = True

    def spelling(self, url: str) -> str:
        """The prefix as it is filed: another spelling of it, or itself."""
        if not self.folds_prefixes:
            return url
        return next((one for one in self.reservations if one.casefold() == url.casefold()), url)


class HttpConfig:
    """The calls about it.

    Args:
        state: What is kept.
        administrator: False answers 5 to whatever changes something.
    """

    def __init__(self, state: HttpState, *, administrator: bool = True) -> None:
        self._state = state
        self._administrator = administrator

    def change(self, config_id: int, structure: CData, length: int, *, remove: bool) -> int:
        """HttpSetServiceConfiguration, or with `remove` HttpDeleteServiceConfiguration, once the call is checked."""
        if (code := _check(structure, length, SETS[config_id])) != SUCCESS:
            return code
        if not self._administrator:
            return ACCESS_DENIED
        if config_id == URLACL:
            return self._change_reservation(structure, remove=remove)
        if config_id == LISTEN_LIST:
            return self._change_listen_list(structure, remove=remove)
        return self._change_number(config_id, structure, remove=remove)

    def _change_reservation(self, structure: CData, *, remove: bool) -> int:
        if structure.KeyDesc.pUrlPrefix == NULL:
            return INVALID_PARAMETER
        known = self._state.reservations
        url = self._state.spelling(text_at(structure.KeyDesc.pUrlPrefix, 20_000))
        pointer = structure.ParamDesc.pStringSecurityDescriptor
        if remove:
            # Windows reads the key only; something else here is a caller's mistake.
            return INVALID_PARAMETER if pointer != NULL else SUCCESS if known.pop(url, None) else FILE_NOT_FOUND
        found = _PREFIX.fullmatch(url)
        if pointer == NULL or found is None or int(found[1]) > 65535:
            return INVALID_PARAMETER
        sddl = text_at(pointer, 70_000)
        if not _SDDL.fullmatch(sddl):
            return INVALID_ACL
        if url in known:
            return ALREADY_EXISTS
        known[url] = sddl if self._state.keeps_words else _rewritten(sddl)
        return SUCCESS

    def _change_listen_list(self, structure: CData, *, remove: bool) -> int:
        size = {2: 16, 23: 28}.get(structure.pAddress.sa_family if structure.pAddress != NULL else 0)
        if size is None or structure.AddrLength != size:
            return INVALID_PARAMETER
        address = bytes(ffi.buffer(ffi.cast("BYTE *", structure.pAddress), size))
        if any(address[2:4]):  # a port
            return INVALID_PARAMETER
        known = self._state.listen_list
        if remove:
            if address not in known:
                return FILE_NOT_FOUND
            known.remove(address)
            return SUCCESS
        if address in known:
            return ALREADY_EXISTS
        known.append(address)
        return SUCCESS

    def _change_number(self, config_id: int, structure: CData, *, remove: bool) -> int:
        key, value, known = int(structure.KeyDesc), int(structure.ParamDesc), self._state.numbers
        if key not in _KEYS[config_id] or (remove and value) or (config_id == TIMEOUT and not remove and not value):
            return INVALID_PARAMETER
        if remove:
            return FILE_NOT_FOUND if known.pop((config_id, key), None) is None else SUCCESS
        if (config_id, key) in known and self._state.numbers_are_set_once:
            return ALREADY_EXISTS
        known[config_id, key] = value
        return SUCCESS

    def query(self, config_id: int, query: CData, length: int, output: CData, room: int, needed: CData) -> int:
        """HttpQueryServiceConfiguration, once the call is checked."""
        if not (self._administrator or self._state.shows_to_all):
            return ACCESS_DENIED
        if config_id == LISTEN_LIST:
            if query != NULL or length:
                return INVALID_PARAMETER
            addresses = b"".join(address.ljust(128, b"\0") for address in self._state.listen_list)
            head = len(self._state.listen_list).to_bytes(8, "little")
            return _answer(lambda _base: head + (addresses or bytes(128)), output, room, needed, INSUFFICIENT_BUFFER)
        if (code := _check(query, length, QUERIES[config_id])) != SUCCESS:
            return code
        if config_id == URLACL:
            found = self._reservation(query)
            if isinstance(found, int):
                return found
            return _answer(lambda base: _reservation_bytes(*found, base), output, room, needed, INSUFFICIENT_BUFFER)
        key = int(query[0])
        if key not in _KEYS[config_id]:
            return INVALID_PARAMETER
        value = self._state.numbers.get((config_id, key))
        if value is None:
            return FILE_NOT_FOUND
        if config_id == TIMEOUT:
            return _answer(lambda _base: value.to_bytes(2, "little"), output, room, needed, MORE_DATA)
        whole = key.to_bytes(4, "little") + value.to_bytes(4, "little")
        return _answer(lambda _base: whole, output, room, needed, INSUFFICIENT_BUFFER)

    def _reservation(self, query: CData) -> tuple[str, str] | int:
        known = self._state.reservations
        if query.QueryDesc == 1:
            found = list(known.items())
            return found[query.dwToken] if query.dwToken < len(found) else NO_MORE_ITEMS
        if query.QueryDesc != 0 or query.KeyDesc.pUrlPrefix == NULL:
            return INVALID_PARAMETER
        url = self._state.spelling(text_at(query.KeyDesc.pUrlPrefix, 20_000))
        return (url, known[url]) if url in known else FILE_NOT_FOUND


_ALIAS_OF = {sid: alias for alias, sid in ALIASES.items()}
_WORD_OF = {"0x10000000": "GA", "0x20000000": "GX", "0x40000000": "GW", "0x80000000": "GR"}


def _rewritten(sddl: str) -> str:
    """An access list in the words in which ConvertSecurityDescriptorToStringSecurityDescriptorW writes it, alone."""

    def entry(found: re.Match[str]) -> str:
        kind, flags, rights, one, other, account, *more = found[1].split(";")
        words = (kind, flags, _WORD_OF.get(rights.lower(), rights), one, other, _ALIAS_OF.get(account, account), *more)
        return f"({';'.join(words)})"

    return re.sub(r"\(([^()]*)\)", entry, sddl[sddl.index("D:") :])


def _check(structure: CData, length: int, expected: str) -> int:
    if structure == NULL:
        return INVALID_PARAMETER
    given = ffi.typeof(structure)
    if given.kind != "pointer" or given.item.cname != expected:
        raise Misuse(f"{expected} * is needed, not {given.cname}")
    if length < ffi.sizeof(expected):
        return INSUFFICIENT_BUFFER
    return INVALID_PARAMETER if length > ffi.sizeof(expected) else SUCCESS


def _answer(made: Callable[[int], bytes], output: CData, room: int, needed: CData, too_small: int) -> int:
    size = len(made(0))
    if needed != NULL:
        needed[0] = size
    if size > room:
        return too_small
    if ffi.typeof(output).kind == "array" and ffi.sizeof(output) < room:
        raise Misuse(f"the buffer has {ffi.sizeof(output)} bytes, {room} were promised")
    ffi.memmove(output, made(address_of(output)), size)
    return SUCCESS


def _reservation_bytes(url: str, sddl: str, base: int) -> bytes:
    structure: Any = ffi.new("HTTP_SERVICE_CONFIG_URLACL_SET *")
    texts = [(text + "\0").encode("utf-16-le", "surrogatepass") for text in (url, sddl)]
    start = base + ffi.sizeof("HTTP_SERVICE_CONFIG_URLACL_SET")
    structure.KeyDesc.pUrlPrefix = ffi.cast("WCHAR *", start)
    structure.ParamDesc.pStringSecurityDescriptor = ffi.cast("WCHAR *", start + len(texts[0]))
    return bytes(ffi.buffer(structure)) + b"".join(texts)
