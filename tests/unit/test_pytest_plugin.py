"""The pytest plugin, as a user's project meets it: found by its entry point, used, overridden and switched off."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Run: TypeAlias = Callable[..., pytest.RunResult]

pytest_plugins = ["pytester"]

SOURCE = Path(__file__).parents[2] / "src"


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs pytest in a process of its own, in which mlsssl is as good as installed: its entry point is found."""
    installed = pytester.mkdir("installed")
    metadata = installed / "mlsssl-0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: mlsssl\nVersion: 0\n", encoding="utf-8")
    (metadata / "entry_points.txt").write_text("[pytest11]\nmlsssl = mlsssl.pytest_plugin\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{SOURCE}{';' if sys.platform == 'win32' else ':'}{installed}")
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    return lambda *arguments: pytester.runpytest_subprocess("-p", "no:cacheprovider", *arguments, timeout=120)


def test_a_service_that_serves_the_renewed_certificate(pytester: pytest.Pytester, run: Run) -> None:
    """The five lines of the docs pass, and fail when the service does not take up what was renewed."""
    pytester.makepyfile(
        """
        import pytest

        def serve(ca, tls_server, tls_client, notice_renewal):
            server = tls_server(ca.issue("localhost"))
            newer = ca.issue("localhost")
            if notice_renewal:
                server.use(newer)
            with tls_client(server.address, host="localhost") as connection:
                assert connection.certificate == newer

        def test_right(ca, tls_server, tls_client):
            serve(ca, tls_server, tls_client, notice_renewal=True)

        def test_broken(ca, tls_server, tls_client):
            serve(ca, tls_server, tls_client, notice_renewal=False)
        """
    )
    result = run()
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["E*assert <Certificate localhost*"])


def test_every_fixture_is_there_and_of_its_scope(pytester: pytest.Pytester, run: Run) -> None:
    """The authority and the certificate are the run's, machines are each test's own."""
    pytester.makepyfile(
        """
        import pytest
        seen = []

        @pytest.mark.parametrize("turn", [1, 2])
        def test_all(turn, ca, server_certificate, machine, fake_windows, tls_server, tls_client):
            assert server_certificate.chain[0] == ca.certificate
            assert server_certificate.hosts == ("localhost", "127.0.0.1", "::1")
            assert server_certificate.check("localhost", trust=[ca]).ok
            for each in (machine, fake_windows.machine):
                assert len(each.store("MY")) == 0
                each.store("MY").add(server_certificate)
            with tls_client(tls_server(server_certificate).address) as connection:
                assert connection.certificate == server_certificate
            seen.append((ca, server_certificate, machine.path))

        def test_scopes():
            (ca, certificate, path), (same_ca, same_certificate, other_path) = seen
            assert ca is same_ca and certificate is same_certificate
            assert path != other_path and not path.exists() and not other_path.exists()
        """
    )
    run("-W", "error").assert_outcomes(passed=3)


def test_a_projects_own_fixture_goes_first(pytester: pytest.Pytester, run: Run) -> None:
    """`machine` and `ca` are common words: who has them already loses nothing."""
    pytester.makeconftest("import pytest\n@pytest.fixture\ndef machine(): return 'mine'")
    pytester.makepyfile("def test_it(machine): assert machine == 'mine'")
    run().assert_outcomes(passed=1)


@pytest.mark.parametrize("way", ["option", "ini", "pytest"])
def test_it_can_be_switched_off(pytester: pytest.Pytester, run: Run, way: str) -> None:
    """By our option, by the configuration, and by pytest's own; the twin above shows that they are there otherwise."""
    if way == "ini":
        pytester.makeini("[pytest]\nmlsssl_fixtures = false")
    pytester.makepyfile("def test_it(ca): pass")
    result = run(*{"option": ["--no-mlsssl"], "ini": [], "pytest": ["-p", "no:mlsssl"]}[way])
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'ca' not found*"])


def test_it_costs_nothing_until_it_is_used(pytester: pytest.Pytester, run: Run) -> None:
    """A project that does not use it gets no module but the plugin's own loaded."""
    pytester.makepyfile(
        """
        import sys

        def test_it():
            ours = sorted(name for name in sys.modules if name.startswith("mlsssl"))
            loaded = ["mlsssl", "mlsssl._testing", "mlsssl._testing.fixtures", "mlsssl._version"]
            assert ours == [*loaded, "mlsssl.pytest_plugin"]
            assert "cryptography" not in sys.modules
        """
    )
    run().assert_outcomes(passed=1)


def test_the_fixtures_are_listed(run: Run) -> None:
    """`pytest --fixtures` tells what each is for."""
    result = run("--fixtures")
    for name in ("ca [[]session scope]*", "server_certificate [[]session scope]*", "machine *", "tls_server *"):
        result.stdout.fnmatch_lines([name])


# -- the documentation's examples --------------------------------------------------------------------------------------

_PAGE = (SOURCE.parent / "docs" / "howto-pytest.md").read_text(encoding="utf-8")
_EXAMPLES = re.findall(r"^```python\n(.*?)^```", _PAGE, re.DOTALL | re.MULTILINE)

# Ways to break the renewal that the first example tests: a conftest.py, and what the failure then says.
_BREAKS = {
    "nothing is bound": (
        """
        from mlsssl._embedded.bindings import EmbeddedBindings
        EmbeddedBindings.update = lambda self, record: None
        """,
        "E *Error: *0.0.0.0:443*",
    ),
    "nothing is renewed": (
        """
        import mlsssl
        mlsssl.renew = lambda key, ca, machine: mlsssl.deploy("0.0.0.0:444", ca.issue("localhost"), machine=machine)
        """,
        "E *assert <Certificate localhost*",
    ),
    "the listener never looks again": (
        """
        from mlsssl._embedded.database import Database
        Database.data_version = lambda self: 1
        """,
        "E *assert <Certificate localhost*",
    ),
}


def test_the_examples_of_the_docs_pass(pytester: pytest.Pytester, run: Run) -> None:
    """Every example of the page, as it stands there."""
    assert len(_EXAMPLES) == 3
    pytester.makepyfile(**{f"test_example_{number}": text for number, text in enumerate(_EXAMPLES)})
    run("-W", "error").assert_outcomes(passed=3)


@pytest.mark.parametrize("way", _BREAKS)
def test_the_first_example_fails_when_renewal_is_broken(pytester: pytest.Pytester, run: Run, way: str) -> None:
    """The failing twins: the same text, with a renewal that does not do its work."""
    conftest, said = _BREAKS[way]
    pytester.makeconftest(conftest)
    pytester.makepyfile(_EXAMPLES[0])
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([said])
