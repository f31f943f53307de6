"""Numbered handles for the fakes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from mlsssl._fakes.calls import Misuse
from mlsssl._native.cdata import address_of, ffi

if TYPE_CHECKING:
    from mlsssl._fakes.calls import Calls
    from mlsssl._native.cdata import CData

ThingT = TypeVar("ThingT")


class Handles(Generic[ThingT]):
    """Handles of one C type, each for one Python object, counted in `Calls.opened`."""

    def __init__(self, calls: Calls, cdecl: str, kind: str, first: int) -> None:
        self._calls = calls
        self._cdecl = cdecl
        self._kind = kind
        self._next = first
        self._things: dict[int, ThingT] = {}

    def open(self, thing: ThingT) -> CData:
        """A new handle."""
        self._next += 0x10
        self._things[self._next] = thing
        self._calls.open(self._kind)
        return ffi.cast(self._cdecl, self._next)

    def get(self, handle: CData) -> ThingT:
        """What a handle stands for; one that is not open is `Misuse`."""
        if address_of(handle) not in self._things:
            raise Misuse(f"a {self._kind} is used that is not open")
        return self._things[address_of(handle)]

    @property
    def numbers(self) -> list[int]:
        """Those that are open."""
        return list(self._things)

    def __contains__(self, handle: CData) -> bool:
        return address_of(handle) in self._things

    def close(self, handle: CData) -> None:
        """Close it."""
        self.get(handle)
        del self._things[address_of(handle)]
        self._calls.close(self._kind)
