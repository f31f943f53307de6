"""What an operating system's own chain engine holds against a certificate, as findings of a report."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mlsssl._formats import pem
from mlsssl._validator.catalogue import WINDOWS_VERDICT
from mlsssl._validator.findings import make_finding
from mlsssl._validator.report import Severity
from mlsssl.errors import MalformedDataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mlsssl._machine.ports import TrustProblem
    from mlsssl._validator.report import Finding

SILENCED = {"trust-not-asked": "Windows' own chain engine was asked"}
"""What the validator says when it is given no roots."""

NO_PATH = frozenset(
    {
        0x20,  # CERT_TRUST_IS_UNTRUSTED_ROOT
        0x10000,  # CERT_TRUST_IS_PARTIAL_CHAIN
        0x800B0109,  # CERT_E_UNTRUSTEDROOT, the first of these as the TLS policy says it
        0x800B010A,  # CERT_E_CHAINING, the second likewise
    }
)
"""The codes that mean only that Windows knows no way to a root; roots of one's own may be the way. All others stand."""

_REMEDIES = {
    "CERT_TRUST_IS_UNTRUSTED_ROOT": "put the root where Windows trusts it: Store.open('Root').add(ca.certificate)",
    "CERT_TRUST_IS_PARTIAL_CHAIN": "give the missing issuer along, or add it: Store.open('CA').add(intermediate)",
    "CERT_E_CN_NO_MATCH": "issue for that name: ca.issue(name)",
    "CERT_TRUST_IS_EXPLICIT_DISTRUST": "find out why it is in the store Disallowed before taking it out",
}


def findings(problems: Iterable[TrustProblem]) -> Iterator[Finding]:
    """One finding per problem; codes are the system's names: `windows-cert-trust-is-untrusted-root`."""
    for problem in problems:
        where = "leaf" if problem.position == 0 else f"certificate {problem.position} above the leaf"
        rule = replace(WINDOWS_VERDICT, code=f"windows-{problem.name.lower().replace('_', '-')}")
        found = f"{_subject(problem.certificate)} {problem.text} ({problem.name}, {problem.code:#x})"
        yield make_finding(rule, Severity.ERROR, f"{where}: trust", found, remedy=_REMEDIES.get(problem.name))


def _subject(der: bytes) -> str:
    try:
        return pem.load_der(der).subject.rfc4514_string() or "the certificate"
    except MalformedDataError:
        return "the certificate"
