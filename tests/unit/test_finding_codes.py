"""Every finding code has an example: a chain with that one fault, which the faultless chain does not have."""

from __future__ import annotations

import importlib.util
import inspect
import re
import warnings
from pathlib import Path

import pytest

import mlsssl
from faults import CASES, NOT_PUBLIC, Case
from mlsssl._validator.catalogue import RULES
from mlsssl._validator.profiles import PROFILES
from mlsssl._validator.report import Severity
from mlsssl._validator.rules import PROFILE_NAMES

# Faults that cannot come alone: the codes that their examples have besides their own.
COMPANIONS: dict[str, set[str]] = {
    "rsa-small-factor": {"rsa-modulus-bits"},
    "signature-algorithm-mismatch": {"signature-invalid"},
    "key-usage-empty": {"key-usage-unsuitable"},
    "issuer-subject-empty": {"issuer-empty"},
    "issuer-empty": {"issuer-subject-empty"},
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
    for code, rule in RULES.items():
        assert rule.code == code
        assert rule.severities, code
        assert rule.title.endswith("."), code
        assert set(rule.severities) <= set(PROFILES)
        assert set(rule.since) <= set(rule.severities), code
        assert not rule.remedy.endswith("."), code
        assert all(isinstance(severity, Severity) for severity in rule.severities.values())


def test_the_documentation_is_what_the_rules_say() -> None:
    """docs/finding-codes.md is written by docs/finding_codes.py, and is up to date."""
    docs = Path(__file__).parents[2] / "docs"
    spec = importlib.util.spec_from_file_location("finding_codes", docs / "finding_codes.py")
    assert spec is not None
    assert spec.loader is not None
    writer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(writer)
    written = (docs / "finding-codes.md").read_text(encoding="utf-8")
    assert written == writer.render(), "run: python docs/finding_codes.py"
    assert all(f"### `{code}`" in written for code in RULES)


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
