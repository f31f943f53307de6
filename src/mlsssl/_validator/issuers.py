"""What every issuer of a path must be: an authority that may sign, for the purpose, and says so as RFC 5280 wants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID as Eku

from mlsssl._validator.every_certificate import check_common, check_key_identifiers, check_signature_algorithm
from mlsssl._validator.name_constraints import check_form
from mlsssl._validator.policies import maps_any_policy, read_mappings
from mlsssl._validator.weak_keys import check_key

if TYPE_CHECKING:
    from mlsssl._formats.parsed import View
    from mlsssl._validator.findings import Emitter


def check_issuer(view: View, emit: Emitter, *, anchor: bool) -> None:
    """Everything about an issuer that needs no other certificate and no clock.

    An `anchor` is trusted by itself: nobody checks who signed it, and how.
    """
    check_common(view, emit, anchor=anchor)
    check_key(view, emit, leaf=False)
    if not anchor:
        check_signature_algorithm(view, emit)
    _check_authority(view, emit, anchor=anchor)
    _check_usage(view, emit, anchor=anchor)
    if view.subject == b"\x30\x00":
        emit("issuer-subject-empty", "subject", "an empty name")
    if not view.has(x509.SubjectKeyIdentifier):
        emit("issuer-ski-missing", "subjectKeyIdentifier", "no subjectKeyIdentifier")
    if anchor and not view.is_root:
        emit("anchor-not-root", "issuer", f"a certificate by {view.issuer_text}, trusted by itself")
    if anchor:
        check_key_identifiers(view, emit, issuer=view if view.is_root else None, anchor=True)
    check_form(view, emit)
    if maps_any_policy(read_mappings(view) or {}):
        emit("policy-mappings-any", "extension policyMappings", "a mapping from or to anyPolicy")
    for kind, name in ((x509.PolicyConstraints, "policyConstraints"), (x509.InhibitAnyPolicy, "inhibitAnyPolicy")):
        if view.value(kind) is not None and kind not in view.critical:
            emit("extension-not-critical", f"extension {name}", "an extension that is not critical")


def _check_authority(view: View, emit: Emitter, *, anchor: bool) -> None:
    part = "basicConstraints"
    constraints = view.value(x509.BasicConstraints)
    if constraints is None:
        if not view.has(x509.BasicConstraints):
            missing = "root-basic-constraints-missing" if anchor else "intermediate-basic-constraints-missing"
            emit(missing, part, "no basicConstraints")
    elif not constraints.ca:
        emit("issuer-not-ca", part, "CA:FALSE")
    elif x509.BasicConstraints not in view.critical:
        emit("basic-constraints-not-critical", part, "basicConstraints that are not critical")


def _check_usage(view: View, emit: Emitter, *, anchor: bool) -> None:
    usage = view.value(x509.KeyUsage)
    if usage is None:
        if not view.has(x509.KeyUsage):
            emit("issuer-key-usage-missing", "keyUsage", "no keyUsage")
    elif not usage.key_cert_sign:
        emit("issuer-key-usage", "keyUsage", "no keyCertSign")
    elif x509.KeyUsage not in view.critical:
        emit("key-usage-not-critical", "keyUsage", "a keyUsage that is not critical")
    usages = view.value(x509.ExtendedKeyUsage)
    if usages is None:
        return
    client = emit.profile.purpose == "client"
    needed, name = (Eku.CLIENT_AUTH, "clientAuth") if client else (Eku.SERVER_AUTH, "serverAuth")
    expected = f"no extendedKeyUsage in the issuer, or one with {name}"
    if needed not in usages and Eku.ANY_EXTENDED_KEY_USAGE not in usages:
        emit("issuer-eku", "extKeyUsage", f"an extKeyUsage without {name}", expected=expected)
    elif needed not in usages:
        emit("issuer-eku-any", "extKeyUsage", f"anyExtendedKeyUsage without {name}", expected=expected)
    if anchor and view.is_root:
        emit("root-eku", "extKeyUsage", "an extKeyUsage in a root")
