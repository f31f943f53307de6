"""The generated FFI is the declarations, and the text helpers keep Windows' text whole."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlsssl._native import cdata, declarations
from mlsssl._native.cdata import Buffer, ffi
from mlsssl.errors import InvalidInputError, NativeError, UnsupportedError

if TYPE_CHECKING:
    import uuid


def test_generated_module_is_up_to_date() -> None:
    """Changed a declaration? Run `python -m mlsssl._native.declarations`."""
    assert declarations.generated_path().read_text(encoding="utf-8") == declarations.generate()


@given(st.text(st.characters(exclude_characters="\0"), max_size=40))
def test_text_goes_out_and_comes_back(text: str) -> None:
    """Any text without NUL, half surrogate pairs included, survives the way through UTF-16."""
    array = cdata.wide(text)
    assert array[len(array) - 1] == 0
    assert cdata.text_at(array, len(array)) == text


def test_half_surrogate_pairs_survive() -> None:
    """Windows does not check its text, so neither may we."""
    assert cdata.text_at(cdata.wide("a\ud800b"), 4) == "a\ud800b"


def test_text_without_nul_stops_at_the_limit() -> None:
    """The reader never passes the limit it was given."""
    array = ffi.new("WCHAR[]", [0x4100, 0x41, 0x42, 0x43])
    assert cdata.text_at(array, 3) == "\u4100AB"


def test_nul_inside_text_is_refused() -> None:
    """Windows would cut it off there and use another name."""
    with pytest.raises(InvalidInputError, match="NUL"):
        cdata.wide("MY\0evil")


@given(st.uuids())
def test_guid_round_trip(value: uuid.UUID) -> None:
    """A GUID's fields are the UUID's."""
    guid = ffi.new("GUID *")
    cdata.set_guid(guid[0], value)
    assert guid.Data1 == value.time_low
    assert cdata.get_guid(guid[0]) == value


def test_buffer_follows_no_pointer_that_leaves_it() -> None:
    """A length or pointer from outside never leads to a read beyond the memory."""
    buffer = Buffer("HttpQueryServiceConfiguration", 16)
    start = ffi.cast("BYTE *", buffer.memory)
    assert buffer.bytes_at(start, 16) == bytes(16)
    for shift, length in ((0, 17), (16, 1), (-1, 1), (8, 9)):
        pointer = ffi.cast("BYTE *", cdata.address_of(start) + shift)
        with pytest.raises(NativeError, match="outside its own buffer"):
            buffer.bytes_at(pointer, length)
    with pytest.raises(NativeError):
        buffer.view("ENUM_SERVICE_STATUSW")


def test_buffer_text_ends_with_the_buffer() -> None:
    """Text whose NUL is missing ends where the buffer does; NULL is no text."""
    buffer = Buffer("EnumDependentServicesW", 6)
    units = ffi.cast("WCHAR *", buffer.memory)
    units[0], units[1], units[2], units[3] = 0x41, 0x42, 0x43, 0x44
    assert buffer.text_at(units) == "ABC"
    assert buffer.text_at(cdata.NULL) is None


def test_a_missing_export_is_noticed() -> None:
    """An export is there or not; nothing else is asked."""

    class Old:
        def HttpInitialize(self) -> int:
            return 0

    assert cdata.exports(Old(), "HttpInitialize")
    assert not cdata.exports(Old(), "HttpUpdateServiceConfiguration")


def test_a_real_library_without_the_export_is_noticed() -> None:
    """Cffi has another word for it than Python."""
    library = ffi.dlopen("kernel32.dll" if sys.platform == "win32" else None)
    assert not cdata.exports(library, "HttpInitialize")
    assert not cdata.exports(library, "no_function_of_ours")
    if sys.platform == "win32":
        assert cdata.exports(library, "GetSystemDirectoryW")


@pytest.mark.skipif("sys.platform == 'win32'")
def test_no_dll_is_loaded_elsewhere() -> None:
    """Off Windows the loader refuses with our own error."""
    with pytest.raises(UnsupportedError, match=r"httpapi\.dll"):
        cdata.load("httpapi.dll")


_AT_THE_END_OF_MEMORY = """
import ctypes, mmap
from mlsssl._native import cdata
page = mmap.PAGESIZE
memory = mmap.mmap(-1, 2 * page)
start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
text = "host\\0".encode("utf-16-le")
memory[page - len(text) : page] = text
libc = ctypes.CDLL(None, use_errno=True)
assert libc.mprotect(ctypes.c_void_p(start + page), ctypes.c_size_t(page), 0) == 0  # PROT_NONE
assert cdata.text_at(cdata.ffi.cast("WCHAR *", start + page - len(text)), 256) == "host"
print("read")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="takes away the memory behind a text with mprotect")
def test_a_text_at_the_end_of_memory_is_read_to_its_nul_and_no_further() -> None:
    """The test doubles once took 512 bytes wherever a host name stood, and a process died of it in a thousand runs."""
    run = subprocess.run([sys.executable, "-c", _AT_THE_END_OF_MEMORY], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "read\n"), run.stderr
