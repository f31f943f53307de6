"""The tutorial notebook runs from top to bottom, and shows the cards that it promises."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any, cast

import pytest

NOTEBOOK = Path(__file__).parents[2] / "docs" / "notebook.ipynb"


def cells(kind: str) -> list[str]:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == kind]


def run(source: str, names: dict[str, Any]) -> object:
    """Run a cell as a notebook does; the value of its last expression, or None."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), names)
    return None if last is None else eval(compile(ast.Expression(cast("ast.Expr", last).value), "cell", "eval"), names)


@pytest.fixture(name="shown", scope="module")
def _shown() -> list[object]:
    names: dict[str, Any] = {}
    return [run(source, names) for source in cells("code")]


def card_of(value: object) -> str:
    return str(cast("Any", value)._repr_html_())


def test_it_ends_with_a_validated_chain(shown: list[object]) -> None:
    """The first report is good and its card shows the chain; the second is not."""
    reports = [value for value in shown if type(value).__name__ == "Report"]
    assert [bool(report) for report in reports] == [True, False, True]
    assert "My first authority" in card_of(reports[0])
    assert "name-mismatch" in card_of(reports[1])
    assert "root-not-trusted" in card_of(reports[1])


def test_it_shows_every_kind_of_card(shown: list[object]) -> None:
    """Certificate, report, plan, bindings, store, and a timeline as a picture."""
    kinds = {type(value).__name__ for value in shown if hasattr(value, "_repr_html_")}
    assert kinds == {"CertificateAuthority", "Certificate", "Report", "Plan", "Bindings", "Store", "Timeline"}
    assert any(hasattr(value, "_repr_svg_") for value in shown)


def test_the_renewed_certificate_is_served(shown: list[object]) -> None:
    """The comparison in the notebook comes out true."""
    assert [value for value in shown if isinstance(value, bool)] == [True]


def test_it_is_stored_without_outputs() -> None:
    """They differ in every run; the documentation makes its own."""
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
