"""The progress bar over bulk work: counts right, ends, and says what is missing where tqdm is not installed."""

from __future__ import annotations

import sys
import warnings
from types import ModuleType

import pytest

from mlsssl._notebook.progress import progress_bar
from mlsssl.authority import CertificateAuthority
from mlsssl.errors import UnsupportedError

AUTHORITY = CertificateAuthority.create("Authority", key="ec-p256")


def test_a_bar_counts_what_is_issued(capsys: pytest.CaptureFixture[str]) -> None:
    """Five of five, with the words given; and it is closed with a line's end."""
    pytest.importorskip("tqdm")
    names = [f"host{number}.example.com" for number in range(5)]
    with progress_bar(len(names), description="issuing") as progress:
        assert len(list(AUTHORITY.issue_many(names, progress=progress))) == 5
    shown = capsys.readouterr().err
    assert "issuing" in shown
    assert "5/5" in shown
    assert shown.endswith("\n")


def test_a_bar_without_a_total(capsys: pytest.CaptureFixture[str]) -> None:
    """A count alone; what is told twice is not counted twice."""
    pytest.importorskip("tqdm")
    with progress_bar(unit="reports") as progress:
        for done in (1, 2, 2, 7):
            progress(done)
    assert "7 reports" in capsys.readouterr().err


def test_without_tqdm(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra to install is named."""
    for name in ("tqdm", "tqdm.auto"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UnsupportedError, match=r"mlsssl\[progress\]"), progress_bar():
        pass


@pytest.mark.parametrize("kernel", [True, False])
def test_without_widgets(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], kernel: bool) -> None:
    """No warning; a notebook shows standard error in red, so the line is on its standard output."""
    pytest.importorskip("tqdm")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setitem(sys.modules, "ipykernel", ModuleType("ipykernel"))  # which alone is no notebook
    if kernel:
        kernels = type("OutStream", (), {"__module__": "ipykernel.iostream", "write": sys.stderr.write, "flush": int})
        monkeypatch.setattr(sys, "stderr", kernels())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with progress_bar(3) as progress:
            progress(3)
    out, err = capsys.readouterr()
    assert ("3/3" in out, "3/3" in err) == (kernel, not kernel)
