"""A small chain engine for the fake crypt32.dll: path building by name, the commonest error bits, the SSL policy."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from mlsssl._native.cdata import NULL, ffi, text_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlsssl._fakes.computer import Entry
    from mlsssl._native.cdata import CData
    from mlsssl._windows.dlls import CertContext

TIME, SIGNATURE, USAGE, UNTRUSTED_ROOT, BASIC_CONSTRAINTS, PARTIAL_CHAIN = 0x1, 0x8, 0x10, 0x20, 0x400, 0x10000
SELF_SIGNED = 0x8
FILETIME_EPOCH = dt.datetime(1601, 1, 1, tzinfo=dt.timezone.utc)

# The order in which Windows' SSL policy names one of several errors, with the code and the fdwChecks bit that
# ignores it (wininet.h, SECURITY_FLAG_IGNORE_*).
POLICY = (
    (SIGNATURE, 0x80096004, 0),
    (PARTIAL_CHAIN, 0x800B010A, 0x100),
    (UNTRUSTED_ROOT, 0x800B0109, 0x100),
    (BASIC_CONSTRAINTS, 0x80096019, 0),
    (USAGE, 0x800B0110, 0x200),
    (TIME, 0x800B0101, 0x2000),
)
CN_NO_MATCH, IGNORE_NAME = 0x800B010F, 0x1000


class BuiltChain:
    """One chain: its certificates from the leaf on, the error bits of each, and of the whole."""

    def __init__(self, path: list[tuple[Entry, x509.Certificate]], errors: list[int], whole: int) -> None:
        self.entries = [entry for entry, _ in path]
        self.certificates = [certificate for _, certificate in path]
        self.errors = errors
        self.whole = whole
        self._owners: list[CData] = []

    def lay_out(self, contexts: Sequence[CertContext]) -> CData:
        """The structures of CertGetCertificateChain around these contexts, alive as long as this object."""
        elements = []
        for context, errors, certificate in zip(contexts, self.errors, self.certificates, strict=True):
            element = self._new("CERT_CHAIN_ELEMENT *")
            element.cbSize, element.pCertContext = ffi.sizeof("CERT_CHAIN_ELEMENT"), context
            element.TrustStatus.dwErrorStatus = errors
            element.TrustStatus.dwInfoStatus = SELF_SIGNED if certificate.issuer == certificate.subject else 0
            elements.append(element)
        simple = self._new("CERT_SIMPLE_CHAIN *")
        simple.cbSize, simple.cElement = ffi.sizeof("CERT_SIMPLE_CHAIN"), len(elements)
        simple.TrustStatus.dwErrorStatus = self.whole
        simple.rgpElement = self._new("CERT_CHAIN_ELEMENT *[]", elements)
        chain = self._new("CERT_CHAIN_CONTEXT *")
        chain.cbSize, chain.cChain = ffi.sizeof("CERT_CHAIN_CONTEXT"), 1
        chain.TrustStatus.dwErrorStatus = self.whole
        chain.rgpChain = self._new("CERT_SIMPLE_CHAIN *[]", [simple])
        return chain

    def judge(self, para: CData, status: CData) -> None:
        """The SSL policy: the first error that is not to be ignored, else the name."""
        extra = ffi.cast("SSL_EXTRA_CERT_CHAIN_POLICY_PARA *", para.pvExtraPolicyPara)
        status.dwError, status.lChainIndex, status.lElementIndex = 0, -1, -1
        for bit, code, ignored_by in POLICY:
            if self.whole & bit and not extra.fdwChecks & ignored_by:
                status.dwError, status.lChainIndex = code, 0
                status.lElementIndex = next((i for i, errors in enumerate(self.errors) if errors & bit), -1)
                return
        if extra.pwszServerName and not extra.fdwChecks & IGNORE_NAME:
            name = text_at(extra.pwszServerName, 256)
            if not _has_name(self.certificates[0], name):
                status.dwError, status.lChainIndex, status.lElementIndex = CN_NO_MATCH, 0, 0

    def _new(self, cdecl: str, *init: object) -> CData:
        made = ffi.new(cdecl, *init)
        self._owners.append(made)
        return made


def build(leaf: Entry, others: Sequence[Entry], roots: Sequence[Entry], time: CData, para: CData) -> BuiltChain:
    """The path from a leaf towards a root, as far as it goes, and what is wrong with it."""
    at = _moment(time) if time != NULL else dt.datetime.now(dt.timezone.utc)
    wanted = {
        ffi.string(para.RequestedUsage.Usage.rgpszUsageIdentifier[i]).decode("ascii")
        for i in range(para.RequestedUsage.Usage.cUsageIdentifier)
    }
    known = [(entry, x509.load_der_x509_certificate(entry.der)) for entry in (*roots, *others)]
    path = [(leaf, x509.load_der_x509_certificate(leaf.der))]
    errors = [0]
    whole = 0
    while True:
        current = path[-1][1]
        if current.issuer == current.subject:
            if not _signed(current, current):
                errors[-1] |= SIGNATURE
            break
        candidates = [pair for pair in known if pair[1].subject == current.issuer and pair not in path]
        issuer = next((pair for pair in candidates if _signed(current, pair[1])), None)
        if issuer is None:
            if not candidates:
                whole |= PARTIAL_CHAIN
                break
            errors[-1] |= SIGNATURE
            issuer = candidates[0]
        path.append(issuer)
        errors.append(0 if _is_ca(issuer[1]) else BASIC_CONSTRAINTS)
    if not whole and path[-1][0].der not in {root.der for root in roots}:
        errors[-1] |= UNTRUSTED_ROOT
    for i, (_, certificate) in enumerate(path):
        if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
            errors[i] |= TIME
    if not wanted <= _usages(path[0][1], wanted):
        errors[0] |= USAGE
    for found in errors:
        whole |= found
    return BuiltChain(path, errors, whole)


def _moment(time: CData) -> dt.datetime:
    steps = time.dwHighDateTime << 32 | time.dwLowDateTime
    return FILETIME_EPOCH + dt.timedelta(microseconds=steps // 10)


def _signed(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _usages(certificate: x509.Certificate, wanted: set[str]) -> set[str]:
    """What it may be used for; without any extended key usage all that is `wanted`."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return wanted
    return {oid.dotted_string for oid in usage}


def _has_name(certificate: x509.Certificate, host: str) -> bool:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    for name in (name.lower() for name in names.get_values_for_type(x509.DNSName)):
        if name == host.lower() or (name.startswith("*.") and host.lower().partition(".")[2] == name[2:]):
            return True
    return False
