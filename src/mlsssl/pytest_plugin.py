"""The pytest plugin: fixtures `ca`, `server_certificate`, `machine`, `tls_server` and friends.

pytest loads this at its start in every project that has mlsssl installed, so it imports nothing but pytest. The
fixtures are in `mlsssl._testing.fixtures`; `--no-mlsssl`, `mlsssl_fixtures = false` in the configuration, or pytest's
own `-p no:mlsssl` leaves them out. A fixture of the same name in a project's own tests goes before one of these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

_OPTION, _INI = "--no-mlsssl", "mlsssl_fixtures"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the fixtures be switched off."""
    group = parser.getgroup("mlsssl", "certificates and machines for tests")
    group.addoption(_OPTION, action="store_true", default=False, help="do not define the fixtures of mlsssl")
    parser.addini(_INI, "whether to define the fixtures of mlsssl", type="bool", default=True)


def pytest_configure(config: pytest.Config) -> None:
    """Define the fixtures, unless they are switched off."""
    if not config.getoption(_OPTION) and config.getini(_INI):
        from mlsssl._testing import fixtures

        config.pluginmanager.register(fixtures, "mlsssl_fixtures")
