"""What all fakes share: the list of calls, the fault to inject, the thread's last error, what is still open.

One `Calls` is given to every fake of a test, so that "the n-th native call" counts over all DLLs.
"""

from __future__ import annotations

import functools
from collections import Counter
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar, cast

from mlsssl._native.cdata import NULL

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlsssl._native.cdata import CData


P = ParamSpec("P")
FakeT = TypeVar("FakeT", bound="Fake")
HandleT = TypeVar("HandleT", bound="CData")


class Misuse(AssertionError):
    """A call that Windows documents as never to be made, where no code is documented either: a bug in the caller."""


class Calls:
    """The calls of one test.

    Attributes:
        names: The functions called, in order.
        faults: Number of a call (0 is the first) to the code it fails with; the call then does nothing else.
        last_error: What GetLastError says.
        opened: Kind of handle to how many are open.
        before: Called with each function's name before it works; a place to change the world between two calls.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.faults: dict[int, int] = {}
        self.last_error = 0
        self.opened: Counter[str] = Counter()
        self.before: Callable[[str], None] | None = None

    def enter(self, name: str) -> int:
        """Note a call of the entry point `name`; the code it must fail with, or 0."""
        if self.before is not None:
            self.before(name)
        self.names.append(name)
        return self.faults.get(len(self.names) - 1, 0)

    def open(self, kind: str) -> None:
        """Count a handle of this `kind`."""
        self.opened[kind] += 1

    def close(self, kind: str) -> None:
        """Count one less of this `kind`; one that is not open is `Misuse`."""
        if self.opened[kind] < 1:
            raise Misuse(f"a {kind} is closed that is not open")
        self.opened[kind] -= 1

    @property
    def leaks(self) -> dict[str, int]:
        """What is open, by kind; empty when all was closed."""
        return {kind: count for kind, count in self.opened.items() if count}


class Fake:
    """What a fake DLL has: the calls that it counts into."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls


def returns_code(function: Callable[Concatenate[FakeT, P], int]) -> Callable[Concatenate[FakeT, P], int]:
    """A function that returns its Win32 code (httpapi, ncrypt)."""

    @functools.wraps(function)
    def call(self: FakeT, /, *args: P.args, **kwargs: P.kwargs) -> int:
        return self.calls.enter(function.__name__) or function(self, *args, **kwargs)

    return call


def returns_bool(function: Callable[Concatenate[FakeT, P], int]) -> Callable[Concatenate[FakeT, P], int]:
    """A BOOL function. The body returns the *code* (0 for success), the caller gets TRUE or FALSE and last error."""

    @functools.wraps(function)
    def call(self: FakeT, /, *args: P.args, **kwargs: P.kwargs) -> int:
        code = self.calls.enter(function.__name__) or function(self, *args, **kwargs)
        if code:
            self.calls.last_error = code
        return 0 if code else 1

    return call


def returns_handle(
    function: Callable[Concatenate[FakeT, P], HandleT | int],
) -> Callable[Concatenate[FakeT, P], HandleT]:
    """A function that returns a handle. The body returns it or a code; the caller gets NULL and last error then."""

    @functools.wraps(function)
    def call(self: FakeT, /, *args: P.args, **kwargs: P.kwargs) -> HandleT:
        answer = self.calls.enter(function.__name__) or function(self, *args, **kwargs)
        if isinstance(answer, int):
            self.calls.last_error = answer
            return cast("HandleT", NULL)
        return answer

    return call
