"""How an error of mlsssl looks in a cell of a notebook: the lines of the cell, none of mlsssl's own files."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest

from mlsssl import Certificate, CertificateAuthority, MlssslError
from mlsssl._messages.cell_traceback import callers, in_a_cell

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


def raised(call: Callable[[], object]) -> MlssslError:
    with pytest.raises(MlssslError) as caught:
        call()
    return caught.value


def names(whole: TracebackType | None) -> list[str]:
    found = []
    while whole is not None:
        found.append(whole.tb_frame.f_code.co_filename)
        whole = whole.tb_next
    return found


def test_it_ends_at_the_callers_line() -> None:
    """Python's own traceback still has every frame."""
    error = raised(lambda: Certificate.from_text("no certificate"))
    assert len(names(error.__traceback__)) > len(names(callers(error.__traceback__)))
    assert names(callers(error.__traceback__))[-1] == __file__
    shown = "".join(in_a_cell(error))
    assert "certificate.py" not in shown
    assert shown.endswith(f"{error}\n")


def test_ipython_draws_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its own colours and mode, from the frames that are the caller's. A real one is in tests/browser."""
    drawn: list[object] = []

    class Shell:
        class InteractiveTB:
            @staticmethod
            def structured_traceback(kind: type, error: BaseException, frames: TracebackType) -> list[str]:
                drawn.extend((kind, error, names(frames)[-1]))
                return ["drawn"]

    monkeypatch.setitem(sys.modules, "IPython", cast("Any", SimpleNamespace(get_ipython=Shell)))
    error = raised(lambda: Certificate.from_text("no certificate"))
    assert error._render_traceback_() == ["drawn"]
    assert drawn == [type(error), error, __file__]


def test_a_function_of_the_callers_stays() -> None:
    """What mlsssl calls back is the caller's code, and is shown with what led to it."""
    ca = CertificateAuthority.create("Authority", key="ec-p256")

    def progress(_: int) -> None:
        Certificate.from_text("no certificate")

    whole = raised(lambda: list(ca.issue_many(["a.test"], key="ec-p256", progress=progress))).__traceback__
    shown = names(callers(whole))
    assert shown[-1] == __file__
    assert any(name.endswith("authority.py") for name in shown)


def test_an_error_without_frames() -> None:
    """One that was made and not raised, and one whose frames are all of mlsssl."""
    assert callers(None) is None
    assert "made" in "".join(in_a_cell(MlssslError("made")))
    whole = raised(lambda: Certificate.from_text("no certificate")).__traceback__
    while whole is not None and whole.tb_frame.f_globals["__name__"] != "mlsssl.certificate":
        whole = whole.tb_next
    assert names(callers(whole)) == names(whole) != []
