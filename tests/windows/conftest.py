"""What the tests of the Windows machine share."""

from __future__ import annotations

import pytest

from windows import mingw


@pytest.fixture
def compilers() -> None:
    """The cross compilers; Windows' Python under Wine has none, so what they prove is proven outside of it."""
    mingw.require()
