"""The pytest plugin, as a user's project meets it: found by its entry point, used, overridden and switched off."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from programs import require_package

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

        def serve(mlsssl_ca, mlsssl_tls_server, mlsssl_tls_client, notice_renewal):
            server = mlsssl_tls_server(mlsssl_ca.issue("localhost"))
            newer = mlsssl_ca.issue("localhost")
            if notice_renewal:
                server.use(newer)
            with mlsssl_tls_client(server.address, host="localhost") as connection:
                assert connection.certificate == newer

        def test_right(mlsssl_ca, mlsssl_tls_server, mlsssl_tls_client):
            serve(mlsssl_ca, mlsssl_tls_server, mlsssl_tls_client, notice_renewal=True)

        def test_broken(mlsssl_ca, mlsssl_tls_server, mlsssl_tls_client):
            serve(mlsssl_ca, mlsssl_tls_server, mlsssl_tls_client, notice_renewal=False)
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
        def test_all(turn, mlsssl_ca, mlsssl_certificate, mlsssl_server, mlsssl_ca_bundle, mlsssl_ca_environment,
                     mlsssl_machine, mlsssl_fake_windows, mlsssl_tls_server, mlsssl_tls_client):
            assert mlsssl_certificate.chain[0] == mlsssl_ca.certificate
            assert mlsssl_certificate.hosts == ("localhost", "127.0.0.1", "::1")
            assert mlsssl_certificate.check("localhost", trust=[mlsssl_ca]).ok
            for each in (mlsssl_machine, mlsssl_fake_windows.machine):
                assert len(each.store("MY")) == 0
                each.store("MY").add(mlsssl_certificate)
            with mlsssl_tls_client(mlsssl_tls_server(mlsssl_certificate).address) as connection:
                assert connection.certificate == mlsssl_certificate
            with mlsssl_tls_client(mlsssl_server.address) as connection:
                assert connection.certificate == mlsssl_certificate
            assert mlsssl_ca_bundle.read_bytes() == mlsssl_ca.certificate.to_pem()
            assert mlsssl_ca_environment["SSL_CERT_FILE"] == str(mlsssl_ca_bundle)
            seen.append((mlsssl_ca, mlsssl_certificate, mlsssl_server, mlsssl_ca_bundle, mlsssl_machine.path))

        def test_scopes():
            (*runs, path), (*others, other_path) = seen
            assert all(one is other for one, other in zip(runs, others))
            assert path != other_path and not path.exists() and not other_path.exists()
        """
    )
    run("-W", "error").assert_outcomes(passed=3)


_SHORT = ("ca", "server_certificate", "machine", "fake_windows", "tls_server", "tls_client")


def test_short_names_are_there_when_asked_for(pytester: pytest.Pytester, run: Run) -> None:
    """Each is the long one; without the line in the configuration there is none, so that they collide with nothing."""
    pytester.makepyfile(
        """
        def test_it(request, ca, server_certificate, machine, fake_windows, tls_server, tls_client):
            same = {"ca": "ca", "server_certificate": "certificate", "machine": "machine", "tls_client": "tls_client",
                    "fake_windows": "fake_windows", "tls_server": "tls_server"}
            for short, long in same.items():
                assert request.getfixturevalue(short) is request.getfixturevalue(f"mlsssl_{long}")
        """
    )
    without = run()
    without.assert_outcomes(errors=1)
    without.stdout.fnmatch_lines(["*fixture 'ca' not found*"])
    pytester.makeini("[pytest]\nmlsssl_short_names = true")
    run("-W", "error").assert_outcomes(passed=1)


def test_every_name_has_the_prefix(run: Run) -> None:
    """Of the fixtures that are defined without being asked for; the twin above shows the others."""
    result = run("--fixtures", "-q")
    listed = {line.split()[0] for line in result.outlines if "_testing/fixtures.py" in line.replace("\\", "/")}
    assert len(listed) == 9
    assert all(name.startswith("mlsssl_") for name in listed)
    assert not {name for line in result.outlines if line for name in _SHORT if line.split()[0] == name}


def test_a_projects_own_fixture_goes_first(pytester: pytest.Pytester, run: Run) -> None:
    """`machine` and `ca` are common words: who has them already loses nothing by asking for short names."""
    pytester.makeini("[pytest]\nmlsssl_short_names = true")
    pytester.makeconftest("import pytest\n@pytest.fixture\ndef machine(): return 'mine'")
    pytester.makepyfile("def test_it(machine, ca): assert machine == 'mine'")
    run().assert_outcomes(passed=1)


@pytest.mark.parametrize("workers", [(), ("-p", "xdist", "-n", "2")], ids=["one process", "two workers"])
def test_the_environment_is_as_before_after_the_test(pytester: pytest.Pytester, run: Run, workers: list[str]) -> None:
    """What was set is set again, what was not is not; each worker of pytest-xdist trusts its own authority."""
    pytester.makepyfile(
        """
        import os, ssl, sys, urllib.error, urllib.request
        import pytest

        NAMES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
        os.environ["CURL_CA_BUNDLE"] = "mine"
        os.environ.pop("SSL_CERT_FILE", None)

        @pytest.mark.parametrize("turn", range(4))
        def test_set(turn, mlsssl_ca_environment, mlsssl_ca_bundle, mlsssl_server):
            assert {name: os.environ[name] for name in NAMES} == mlsssl_ca_environment
            assert os.environ["CURL_CA_BUNDLE"] == os.environ["SSL_CERT_FILE"] == str(mlsssl_ca_bundle)
            assert urllib.request.urlopen(mlsssl_server.url, timeout=10).status == 200
            if sys.platform != "win32":  # where Python adds the roots of Windows
                assert len(ssl.create_default_context().get_ca_certs()) == 1

        @pytest.mark.parametrize("turn", range(4))
        def test_unset(turn, mlsssl_server):
            assert os.environ["CURL_CA_BUNDLE"] == "mine"
            assert "SSL_CERT_FILE" not in os.environ
            with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
                urllib.request.urlopen(mlsssl_server.url, timeout=10)
        """
    )
    run("-W", "error", *workers).assert_outcomes(passed=8)


@pytest.mark.parametrize("way", ["option", "ini", "pytest"])
def test_it_can_be_switched_off(pytester: pytest.Pytester, run: Run, way: str) -> None:
    """By our option, by the configuration, and by pytest's own; the twin above shows that they are there otherwise."""
    if way == "ini":
        pytester.makeini("[pytest]\nmlsssl_fixtures = false")
    pytester.makepyfile("def test_it(mlsssl_ca): pass")
    result = run(*{"option": ["--no-mlsssl"], "ini": [], "pytest": ["-p", "no:mlsssl"]}[way])
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'mlsssl_ca' not found*"])


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
    for name in ("ca [[]session scope]*", "server [[]session scope]*", "machine *", "tls_server *"):
        name = f"mlsssl_{name}"
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
    assert len(_EXAMPLES) == 5
    for package in ("aiohttp", "httpx", "requests"):
        require_package(package)
    pytester.makepyfile(**{f"test_example_{number}": text for number, text in enumerate(_EXAMPLES)})
    run("-W", "error").assert_outcomes(passed=9)


@pytest.mark.parametrize("way", _BREAKS)
def test_the_first_example_fails_when_renewal_is_broken(pytester: pytest.Pytester, run: Run, way: str) -> None:
    """The failing twins: the same text, with a renewal that does not do its work."""
    conftest, said = _BREAKS[way]
    pytester.makeconftest(conftest)
    pytester.makepyfile(_EXAMPLES[0])
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([said])
