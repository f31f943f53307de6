"""Windows' codes have the names and numbers of mingw-w64's winerror.h."""

from __future__ import annotations

import pytest

from mlsssl._native import codes
from windows import mingw


@pytest.mark.usefixtures("compilers")
@pytest.mark.parametrize("target", mingw.TARGETS)
def test_names_are_winerror_h(target: mingw.Target) -> None:
    """Each name in the table is the header's name of that number."""
    mingw.require()
    lines = [f'_Static_assert((unsigned)({name}) == {code}u, "{name}");' for code, name in codes.NAMES.items()]
    code = "#include <windows.h>\n#include <winerror.h>\n" + "\n".join(lines)
    assert mingw.static_assert(code, target) is None


@pytest.mark.usefixtures("compilers")
def test_a_wrong_number_would_be_noticed() -> None:
    """The failing twin: the compiler refuses a number that is not the header's."""
    mingw.require()
    said = mingw.static_assert('#include <windows.h>\n_Static_assert(ERROR_BUSY == 107, "ERROR_BUSY");', "x86_64")
    assert said is not None
    assert "ERROR_BUSY" in said


def test_codes_are_unsigned_and_names_unique() -> None:
    """A signed HRESULT would never be found again, and a name stands for one code."""
    assert all(0 <= code <= 0xFFFF_FFFF for code in codes.NAMES)
    assert len(set(codes.NAMES.values())) == len(codes.NAMES)


def test_signed_and_wrapped_codes_are_named() -> None:
    """Cffi gives signed codes, and an HRESULT may wrap a Win32 code."""
    assert codes.code_name(0x80092004 - (1 << 32)) == "CRYPT_E_NOT_FOUND"
    assert codes.code_name(0x80070002) == "ERROR_FILE_NOT_FOUND"
    assert codes.code_name(0xDEADBEEF) == ""


def test_native_error_carries_function_code_and_name() -> None:
    """What a program needs is in attributes; the message has it too."""
    error = codes.native_error("HttpSetServiceConfiguration", 87, "wrong")
    assert (error.function, error.code, error.code_name) == (
        "HttpSetServiceConfiguration",
        87,
        "ERROR_INVALID_PARAMETER",
    )
    assert "HttpSetServiceConfiguration failed with code 87 (ERROR_INVALID_PARAMETER): wrong" in str(error)
