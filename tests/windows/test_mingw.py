"""The cross compilers as a witness: what holds passes, what does not hold is refused with the compiler's words."""

from __future__ import annotations

from pathlib import Path

import pytest

from windows import mingw

pytestmark = pytest.mark.usefixtures("compilers")

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


LAYOUT = f'#include "{(Path(__file__).parent / "standin" / "layout.h").as_posix()}"\n'


@pytest.mark.parametrize("target", mingw.TARGETS)
def test_the_standins_structures_are_windows_own(target: mingw.Target) -> None:
    """Every size and offset that the stand-in states, for both targets, though only one of them is built."""
    assert mingw.static_assert(LAYOUT, target) is None


@pytest.mark.parametrize(("target", "wrong"), [("x86_64", 188), ("i686", 188)])
def test_the_classic_mistake_is_found(target: mingw.Target, wrong: int) -> None:
    """188 is what SNI_SET has on x86 if one forgets that SOCKADDR_STORAGE is aligned to 8."""
    said = mingw.static_assert(f"{LAYOUT}SIZE(HTTP_SERVICE_CONFIG_SSL_SNI_SET, {wrong}, {wrong});\n", target)
    assert said is not None
    assert "size of HTTP_SERVICE_CONFIG_SSL_SNI_SET" in said


def test_a_source_that_does_not_compile_says_why(tmp_path: Path) -> None:
    """And leaves no DLL."""
    source = tmp_path / "wrong.c"
    source.write_text("int answer(void) { return nonsense; }\n", encoding="utf-8")
    with pytest.raises(mingw.CompileError, match="nonsense"):
        mingw.build_dll([source], tmp_path / "wrong.dll")
    assert not (tmp_path / "wrong.dll").exists()


def test_warnings_are_errors(tmp_path: Path) -> None:
    """What the compiler only warns of does not get in either."""
    source = tmp_path / "careless.c"
    source.write_text("int answer(int unused) { return 42; }\n", encoding="utf-8")
    with pytest.raises(mingw.CompileError, match="unused"):
        mingw.build_dll([source], tmp_path / "careless.dll")
