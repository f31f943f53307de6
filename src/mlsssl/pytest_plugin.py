"""The pytest plugin: fixtures `mlsssl_ca`, `mlsssl_server`, `mlsssl_machine` and friends.

pytest loads this at its start in every project that has mlsssl installed, so it imports nothing but pytest. The
fixtures are in `mlsssl._testing.fixtures`; `--no-mlsssl`, `mlsssl_fixtures = false` in the configuration, or pytest's
own `-p no:mlsssl` leaves them out. With `mlsssl_short_names = true` some have a short name besides, such as `ca`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

_OPTION, _INI, _SHORT = "--no-mlsssl", "mlsssl_fixtures", "mlsssl_short_names"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the fixtures be switched off."""
    group = parser.getgroup("mlsssl", "certificates and machines for tests")
    group.addoption(_OPTION, action="store_true", default=False, help="do not define the fixtures of mlsssl")
    parser.addini(_INI, "whether to define the fixtures of mlsssl", type="bool", default=True)
    parser.addini(_SHORT, "whether to define ca, machine, tls_server and others besides", type="bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Define the fixtures, unless they are switched off."""
    if not config.getoption(_OPTION) and config.getini(_INI):
        from mlsssl._testing import fixtures

        config.pluginmanager.register(fixtures, "mlsssl_fixtures")
        if config.getini(_SHORT):
            from mlsssl._testing import short_names

            config.pluginmanager.register(short_names, "mlsssl_short_names")
