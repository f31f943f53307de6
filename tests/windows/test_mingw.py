"""The cross compilers as a witness: what holds passes, what does not hold is refused with the compiler's words."""

from __future__ import annotations

import pytest

from windows import mingw

MISSING = mingw.missing_compilers()
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"cross compilers not installed: {', '.join(MISSING)}")

POINTER = '#include <windows.h>\n_Static_assert(sizeof(void *) == {size}, "pointer size");\n'


@pytest.mark.parametrize(("target", "size"), [("x86_64", 8), ("i686", 4)])
def test_a_true_assertion_passes(target: mingw.Target, size: int) -> None:
    """Each compiler builds for its own machine: the size of a pointer differs between the two."""
    assert mingw.static_assert(POINTER.format(size=size), target) is None


@pytest.mark.parametrize(("target", "size"), [("x86_64", 4), ("i686", 8)])
def test_a_false_assertion_is_refused_with_its_text(target: mingw.Target, size: int) -> None:
    """The failing twin: the assertion's own message comes back."""
    said = mingw.static_assert(POINTER.format(size=size), target)
    assert said is not None
    assert "pointer size" in said
