"""What the tests of the Windows storey share."""

from __future__ import annotations

import pytest

from windows import mingw


@pytest.fixture
def compilers() -> None:
    """The cross compilers; Windows' Python under Wine has none, so what they prove is proven outside of it."""
    if missing := mingw.missing_compilers():
        pytest.skip(f"cross compilers not installed: {', '.join(missing)}")
