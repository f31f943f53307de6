"""What all tests share: how much Hypothesis tries, and telling which test runs to whoever has to end the run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from repetitions import examples, left_out
from windows.wine_limits import REAL_WINDOWS, under_wine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mlsssl import Machine

settings.register_profile("wine", max_examples=examples(100), deadline=None)
settings.register_profile("lowest", deadline=None)  # as Hypothesis does by itself in CI, in its newer versions
if under_wine():
    settings.load_profile("wine")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse workers side by side where tests share a computer: each would find the other's bindings and keys."""
    shared = under_wine() or os.environ.get(REAL_WINDOWS) == "1"
    if shared and config.getoption("numprocesses", None):
        raise pytest.UsageError(
            "the tests share this computer's one HTTP.sys and one set of key folders: leave -n away "
            f"(it may be given on a Windows without {REAL_WINDOWS}, where they touch neither)"
        )


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Call long bytes and texts by their argument: what was just made has another name in each worker."""
    return argname if isinstance(val, (bytes, str)) and len(val) > 100 else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Under Wine, leave out what `left_out` says; pytest counts it as deselected."""
    if under_wine():
        out = left_out(item.nodeid for item in items)
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in out])
        items[:] = [item for item in items if item.nodeid not in out]


def pytest_runtest_logstart(nodeid: str) -> None:
    """Keep the name of the test that begins in the file that `wine.py` names, for a run that does not end."""
    if kept := os.environ.get("MLSSSL_CURRENT_TEST"):
        Path(kept).write_text(nodeid, encoding="utf-8")


@pytest.fixture
def few_system_roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that issued nothing in tests: reading the operating system's 140 takes longer than a test."""
    from mlsssl import CertificateAuthority

    bundle = tmp_path / "system.pem"
    bundle.write_bytes(CertificateAuthority.create("System", key="ec-p256").certificate.to_pem())
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))


@pytest.fixture(params=["embedded", "windows"])
def each_machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    """The embedded machine, and Windows with its DLLs' fakes."""
    from mlsssl import EmbeddedMachine
    from mlsssl.testing import fake_windows_machine

    if request.param == "embedded":
        with EmbeddedMachine(tmp_path / "machine.sqlite") as machine:
            yield machine
    else:
        with fake_windows_machine() as windows:
            yield windows.machine
