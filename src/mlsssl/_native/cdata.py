"""C data and DLLs through cffi: the one FFI, what its objects are to the type checker, text, GUIDs, loading a DLL.

Rules that whoever uses it keeps: a pointer stored in a structure does not own what it points to, so the
owner (what `ffi.new` and `wide` return) stays in a local variable until the call is over; what a call returned in
a buffer is copied out of it by `Buffer`, which follows no pointer that leaves the buffer.
"""

from __future__ import annotations

import sys
import uuid
from typing import TYPE_CHECKING, Any, Protocol, cast

from mlsssl._messages.foreign_text import shown
from mlsssl._native import _generated
from mlsssl._native.codes import native_error
from mlsssl.errors import InvalidInputError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class CData:
    """An object of cffi, as the type checker sees it: pointer, array or structure of the C declarations.

    A name for annotations only, nothing is ever an instance of it. Fields are what `declarations/*.h` says; no
    checker can follow that, so reading one gives Any, here and nowhere else. Each kind of handle is a subclass
    (in `_windows/dlls.py`), so one given for another is an error to mypy as it is to cffi.
    """

    if TYPE_CHECKING:

        def __getattr__(self, name: str, /) -> Any: ...
        def __setattr__(self, name: str, value: object, /) -> None: ...
        def __getitem__(self, index: int, /) -> Any: ...
        def __setitem__(self, index: int | slice, value: object, /) -> None: ...
        def __bool__(self) -> bool: ...
        def __len__(self) -> int: ...
        def __int__(self) -> int: ...


class ForeignFunctions(Protocol):
    """The part of cffi's FFI that is used here."""

    @property
    def NULL(self) -> Any:
        """The null pointer; Any, for it is a pointer of every type."""
        ...

    def new(self, cdecl: str, init: object = ..., /) -> CData:
        """An owned, zeroed object: a pointer to it, or an array."""
        ...

    def cast(self, cdecl: str, value: object, /) -> CData:
        """The same bits under another type; owns nothing."""
        ...

    def addressof(self, cdata: CData, /, *field_or_index: str | int) -> CData:
        """A pointer into a structure; owns nothing."""
        ...

    def buffer(self, cdata: CData, size: int = ..., /) -> memoryview:
        """The memory behind a pointer or array, readable and writable."""
        ...

    def from_buffer(self, cdecl: str, python_buffer: object, /) -> CData:
        """An array over the memory of a Python object, which it keeps alive."""
        ...

    def release(self, cdata: CData, /) -> None:
        """Let go of what an owned object holds, now: the memory of `from_buffer`."""
        ...

    def memmove(self, dest: object, src: object, n: int, /) -> None:
        """Copy `n` bytes."""
        ...

    def string(self, cdata: CData, maxlen: int = ..., /) -> Any:
        """The NUL-terminated bytes at a char pointer."""
        ...

    def sizeof(self, cdata: str | CData, /) -> int:
        """Bytes of a type or of an owned object."""
        ...

    def offsetof(self, cdecl: str, /, *fields: str) -> int:
        """Where a field starts."""
        ...

    def typeof(self, cdata: str | CData, /) -> Any:
        """The C type of an object or of a declaration."""
        ...

    def callback(self, cdecl: str, python_callable: Callable[..., object], /) -> CData:
        """A C function that calls a Python one; alive as long as what is returned."""
        ...

    def dlopen(self, libpath: str | None, flags: int = ..., /) -> object:
        """An open DLL."""
        ...


ffi: ForeignFunctions = cast("ForeignFunctions", _generated.ffi)
"""The FFI of every DLL: types of two FFIs do not mix, not even two FILETIMEs."""

NULL: Any = ffi.NULL
"""The null pointer, of every type."""


def wide(text: str) -> CData:
    """`text` as a NUL-terminated UTF-16 array, owned by what is returned: keep it until the call is over.

    Raises:
        InvalidInputError: it has a NUL inside, at which Windows would cut it off.
    """
    if "\0" in text:
        raise InvalidInputError(f"text for Windows cannot hold a NUL character: {shown(text)}")
    # surrogatepass: Windows' text may hold half surrogate pairs, and what it gave must go back unchanged.
    return ffi.from_buffer("WCHAR[]", (text + "\0").encode("utf-16-le", "surrogatepass"))


def wide_or_null(text: str | None) -> CData:
    """As `wide`; None is NULL."""
    return cast("CData", NULL) if text is None else wide(text)


def text_at(pointer: CData, limit: int) -> str:
    """The NUL-terminated UTF-16 text at `pointer`, at most `limit` code units; the NUL may be missing.

    Nothing behind the NUL is touched: the memory may end there.
    """
    units = ffi.cast("WCHAR *", pointer)
    length = 0
    while length < limit and units[length]:
        length += 1
    return bytes(ffi.buffer(units, 2 * length)).decode("utf-16-le", "surrogatepass")


def address_of(pointer: CData) -> int:
    """The address a pointer holds."""
    return int(ffi.cast("uintptr_t", pointer))


class Buffer:
    """Memory that a call fills: 8-byte aligned, zeroed, and read without trusting what was written.

    Args:
        function: The call that fills it, for the error.
        size: Bytes; at least one is allocated.
    """

    __slots__ = ("_function", "_start", "memory", "size")

    def __init__(self, function: str, size: int) -> None:
        self._function = function
        self.size = size
        self.memory = ffi.new("uint64_t[]", max(1, -(-size // 8)))
        self._start = address_of(self.memory)

    def view(self, cdecl: str, count: int = 1) -> CData:
        """A pointer of type `cdecl *` to the start, once it is known that `count` of them fit in."""
        self._check(self._start, count * ffi.sizeof(cdecl))
        return ffi.cast(f"{cdecl} *", self.memory)

    def bytes_at(self, pointer: CData, length: int) -> bytes:
        """A copy of `length` bytes at a pointer found in the buffer."""
        start = address_of(pointer)
        self._check(start, length)
        return bytes(ffi.buffer(ffi.cast("BYTE *", pointer), length))

    def text_at(self, pointer: CData) -> str | None:
        """A copy of the NUL-terminated UTF-16 text at a pointer found in the buffer; None for NULL."""
        if not pointer:
            return None
        start = address_of(pointer)
        self._check(start, 2)
        return text_at(pointer, (self._start + self.size - start) // 2)

    def _check(self, start: int, length: int) -> None:
        if not (self._start <= start and 0 <= length <= self._start + self.size - start):
            # The system's own answer, so nobody's argument is wrong; 13 is what Windows calls such data.
            raise native_error(self._function, 13, "its answer points outside its own buffer")


def get_guid(guid: CData) -> uuid.UUID:
    """The UUID in a GUID structure."""
    return uuid.UUID(bytes_le=bytes(ffi.buffer(ffi.addressof(guid))))


def set_guid(guid: CData, value: uuid.UUID) -> None:
    """Fill a GUID structure."""
    ffi.memmove(ffi.addressof(guid), value.bytes_le, 16)


def exports(dll: object, function: str) -> bool:
    """Whether the DLL has the function: the one place where a missing export is noticed."""
    try:
        getattr(dll, function)
    except (AttributeError, _generated.ffi.error):  # a fake's way to say so, and that of a generated FFI
        return False
    return True


_LOAD_LIBRARY_SEARCH_SYSTEM32 = 0x800  # libloaderapi.h: the DLL and what it needs come from System32 only


def load(name: str) -> object:
    """A DLL of Windows, from System32 and nowhere else: neither the current folder nor PATH is looked at.

    Raises:
        UnsupportedError: this is not Windows, or this Windows has no such DLL.
    """
    if sys.platform != "win32":
        raise UnsupportedError(f"{name} is a part of Windows; this is {sys.platform}")
    try:
        return ffi.dlopen(f"{_system_folder()}\\{name}", _LOAD_LIBRARY_SEARCH_SYSTEM32)
    except OSError as error:
        raise UnsupportedError(f"this Windows has no {name}: {error}") from None


def _system_folder() -> str:
    # The environment's SystemRoot is the caller's to change, so the system is asked. kernel32 is in every process.
    kernel32: Any = ffi.dlopen("kernel32.dll", _LOAD_LIBRARY_SEARCH_SYSTEM32)
    path = ffi.new("WCHAR[]", 261)
    length = kernel32.GetSystemDirectoryW(path, len(path))
    if not 0 < length < len(path):
        raise native_error("GetSystemDirectoryW", last_error())
    return text_at(path, length)


def last_error() -> int:
    """GetLastError's code, unsigned, as cffi kept it right after this thread's last call; Windows only."""
    return _windows_error()[0] & 0xFFFF_FFFF


def os_error(path: str | Path | None, code: int | None = None) -> OSError:
    """The error that Python's own functions raise for a code of Windows (by default `last_error`); Windows only."""
    number, text = _windows_error() if code is None else _windows_error(code)
    return OSError(0, text, None if path is None else str(path), number)


def _windows_error(*code: int) -> tuple[int, str]:
    read = cast("Callable[..., tuple[int, str]]", getattr(ffi, "getwinerror"))  # noqa: B009 - not there off Windows
    return read(*code)
