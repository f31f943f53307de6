"""Every finding code is in the catalogue and the documentation, and each about a certificate has an example.

An example is a chain with that one fault, which the faultless chain does not have.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import cryptography
import pytest

import mlsssl
from faults import CASES, NOT_PUBLIC, Case
from mlsssl._machine.ports import Cause
from mlsssl._validator.catalogue import MACHINE_RULES, RULES, WINDOWS_VERDICT
from mlsssl._validator.profiles import PROFILES
from mlsssl._validator.report import Severity
from mlsssl.values import PROFILE_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
SRC = ROOT / "src" / "mlsssl"
CATALOGUE = SRC / "_validator" / "catalogue.py"
# Where a finding is made; and made again of what another process sent (`check_many`) or a file has (`Audit.from_json`).
MAKERS = {"_validator/findings.py", "bulk.py", "auditing.py"}

# Faults that cannot come alone: the codes that their examples have besides their own.
COMPANIONS: dict[str, set[str]] = {
    "encoding-odd": {"signature-algorithm"},  # which the encoding of an algorithm is another part of
    "encoding-broken": {"unique-id"},
    "rsa-small-factor": {"rsa-modulus-bits"},
    "signature-algorithm-mismatch": {"signature-invalid"},
    "key-usage-empty": {"key-usage-unsuitable"},
    "issuer-subject-empty": {"issuer-empty"},
    "issuer-empty": {"issuer-subject-empty"},
    "anchor-aki-missing": {"anchor-not-root"},
    "version": {"san-missing", "aki-missing", "eku-missing", "key-usage-missing"},
}


def test_every_code_has_an_example_and_every_example_a_code() -> None:
    """The table of rules and the table of examples are the same set."""
    assert set(CASES) == set(RULES)


@pytest.mark.parametrize("profile", PROFILE_NAMES)
def test_the_faultless_chain_is_faultless_in_every_profile(profile: str) -> None:
    """What the examples start from has none of the findings they show, public pointers aside."""
    assert set(Case(profile=profile).check().codes) <= NOT_PUBLIC


@pytest.mark.parametrize("code", RULES)
def test_the_fault_gives_its_finding(code: str) -> None:
    """The finding is there, complete, and with the severity that the table promises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # cryptography warns of serial numbers and curves
        case = CASES[code]()
        report = case.check()
    findings = report.filter(code=code)
    if code == "encoding-odd" and not findings and int(cryptography.__version__.partition(".")[0]) < 49:
        pytest.skip("this version of cryptography takes such a certificate by itself")
    assert findings, report.to_text()
    known = NOT_PUBLIC if case.profile in ("public", "windows") else set()
    assert set(report.codes) - known - {code} == COMPANIONS.get(code, set())
    for finding in findings:
        assert finding.severity is RULES[code].severities[case.profile]
        assert finding.found
        assert finding.expected
        assert finding.remedy
        assert finding.standard
        assert finding.where.count(": ") >= 1


def test_rules_are_complete_and_speak_in_sentences() -> None:
    """Each rule concerns somebody, ends its title with a full stop, and its dates belong to its profiles."""
    for rule in (*RULES.values(), *MACHINE_RULES.values(), WINDOWS_VERDICT):
        assert rule.severities, rule.code
        assert rule.title.endswith("."), rule.code
        assert set(rule.severities) <= set(PROFILES)
        assert set(rule.since) <= set(rule.severities), rule.code
        assert not rule.remedy.endswith("."), rule.code
        assert all(isinstance(severity, Severity) for severity in rule.severities.values())
    assert all(rule.code == code for rules in (RULES, MACHINE_RULES) for code, rule in rules.items())


def test_what_is_found_about_a_machine_weighs_the_same_for_everybody() -> None:
    """And every cause of 1312 is among it."""
    for rule in (*MACHINE_RULES.values(), WINDOWS_VERDICT):
        assert set(rule.severities) == set(PROFILE_NAMES), rule.code
        assert len(set(rule.severities.values())) == 1, rule.code
    assert {cause.value for cause in Cause} <= set(MACHINE_RULES)


def test_a_rule_without_a_standard_names_a_page_that_exists() -> None:
    """`mlsssl: docs/<page>` is the one form for what only this library says."""
    for rule in (*RULES.values(), *MACHINE_RULES.values(), WINDOWS_VERDICT):
        pages = re.findall(r"mlsssl: docs/([a-z0-9-]+)", rule.standard)
        assert rule.standard.count("mlsssl") == len(pages), rule.code
        assert all((ROOT / "docs" / f"{page}.md").is_file() for page in pages), rule.code


def _parsed() -> Iterator[tuple[str, ast.Module]]:
    for path in SRC.rglob("*.py"):
        if path != CATALOGUE:
            yield path.relative_to(SRC).as_posix(), ast.parse(path.read_text(encoding="utf-8"))


def test_findings_are_made_in_one_place() -> None:
    """So that none has words, a severity or a citation that are not in the catalogue."""
    made = set()
    for name, tree in _parsed():
        calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
        if any(getattr(call, "id", getattr(call, "attr", None)) == "Finding" for call in calls):
            made.add(name)
    assert made <= MAKERS


def test_codes_of_the_sources_and_of_the_catalogue_are_the_same() -> None:
    """A code that a check names has a rule, and a rule has a check that names its code."""
    texts: set[str] = set()
    emitted: dict[str, set[str]] = {"emit": set(), "machine_finding": set()}
    for _, tree in _parsed():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.add(node.value)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in emitted and node.args:
                codes = {one.value for one in ast.walk(node.args[0]) if isinstance(one, ast.Constant)}
                emitted[node.func.id] |= {code for code in codes if isinstance(code, str)}
    assert emitted["emit"] <= set(RULES)
    assert emitted["machine_finding"] <= set(MACHINE_RULES)
    assert len(emitted["emit"]) > 80
    assert len(emitted["machine_finding"]) > 10
    assert set(RULES) | set(MACHINE_RULES) <= texts


def test_the_documentation_is_what_the_rules_say() -> None:
    """docs/finding-codes.md is written by docs/finding_codes.py, and is up to date."""
    docs = ROOT / "docs"
    spec = importlib.util.spec_from_file_location("finding_codes", docs / "finding_codes.py")
    assert spec is not None
    assert spec.loader is not None
    writer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(writer)
    written = (docs / "finding-codes.md").read_text(encoding="utf-8")
    assert written == writer.render(), "run: python docs/finding_codes.py"
    assert (docs / "clients.md").read_text(encoding="utf-8") == writer.render_clients(), (
        "run: python docs/finding_codes.py"
    )
    assert all(f"### `{code}`" in written for code in RULES)
    assert all(f"\n| `{code}` | " in written for code in MACHINE_RULES)


_CALL = re.compile(r"([A-Za-z_.]+)\(([^()]*)")
_OWNERS: dict[str, object] = {
    "ca": mlsssl.CertificateAuthority,
    "cert": mlsssl.Certificate,
    "Certificate": mlsssl.Certificate,
    "CertificateAuthority": mlsssl.CertificateAuthority,
}
_PLAIN: dict[str, object] = {
    "check": mlsssl.Certificate.check,
    "create": mlsssl.CertificateAuthority.create,
    "issue": mlsssl.CertificateAuthority.issue,
    "renew": mlsssl.renew,
    "Store.open": mlsssl.Store.open,
    "add": mlsssl.Store.add,
    "add_crl": mlsssl.Store.add_crl,
    "import_pfx": mlsssl.Store.import_pfx,
    "BindingOptions": mlsssl.BindingOptions,
}


@pytest.mark.parametrize("code", RULES)
def test_remedies_name_calls_that_exist(code: str) -> None:
    """Each call in a remedy is there, with each keyword that the remedy gives it."""
    for called, arguments in _CALL.findall(RULES[code].remedy):
        owner, _, method = called.strip(".").rpartition(".")
        if called.strip(".") in _PLAIN:
            function = _PLAIN[called.strip(".")]
        else:
            assert owner in _OWNERS, called
            function = getattr(_OWNERS[owner], method)
        assert callable(function)
        known = inspect.signature(function).parameters
        for keyword in re.findall(r"(\w+)=", arguments):
            assert keyword in known, f"{called} has no {keyword}="
