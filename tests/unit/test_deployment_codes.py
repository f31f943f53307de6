"""The codes of what plans and audits find are stable API, so each stands in the documentation."""

from __future__ import annotations

import re
from pathlib import Path

from mlsssl import Cause

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "howto-replace-live.md"
SOURCES = [
    ROOT / "src" / "mlsssl" / name
    for name in ("_deploy/preflight.py", "_deploy/plan.py", "_deploy/apply.py", "auditing.py")
]
_CODE = r"\"([a-z]+(?:-[a-z]+)+)\""
_USES = re.compile(rf"code={_CODE}(?: if [^\n]* else {_CODE})?|(?:_error|_finding)\(\s*{_CODE}")


def used() -> set[str]:
    """The codes in the sources."""
    found = set()
    for source in SOURCES:
        for groups in _USES.findall(source.read_text(encoding="utf-8")):
            found |= {code for code in groups if code}
    return found | {cause.value for cause in Cause}


def test_every_code_of_a_plan_and_an_audit_is_documented() -> None:
    """And nothing is documented that does not exist."""
    page = PAGE.read_text(encoding="utf-8")
    section = page.partition("### What a plan can find")[2].partition("\n## ")[0]
    documented = set(re.findall(r"`([a-z]+(?:-[a-z0-9]+)+)`", section))
    assert used() == documented
    assert len(documented) > 20
