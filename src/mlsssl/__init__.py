"""HTTPS for a Windows service, renewed for ever, in one call.

The public names, and nothing else. Each is imported from its module on first use (PEP 562), so that importing the
package costs next to nothing and a tool that needs one noun loads no more than that; type checkers see plain imports,
and nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from mlsssl._version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlsssl._embedded.listener.connection import Limits
    from mlsssl._embedded.listener.listener import Listener
    from mlsssl._formats.pkcs12.explain import PfxExplanation, explain_pfx
    from mlsssl._issue.keys import KeyType
    from mlsssl._issue.requests import RequestPolicy
    from mlsssl._machine.ports import Cause, Diagnosis, KeyState, ServiceState, ServiceStatus
    from mlsssl._notebook.timeline import Timeline, timeline
    from mlsssl._validator.profiles import PROFILES, Profile
    from mlsssl._validator.report import Finding, Report, Severity
    from mlsssl._validator.validate import RuleContext, ServerFacts, UserRule
    from mlsssl.auditing import Audit, AuditRow, audit
    from mlsssl.authority import CertificateAuthority
    from mlsssl.binding import Binding, Bindings
    from mlsssl.bulk import check_many
    from mlsssl.certificate import Certificate
    from mlsssl.deployment import Failure, OnConflict, Outcome, Plan, Step, deploy, last_outcome, recover
    from mlsssl.endpoint import EndpointReport, check_endpoint
    from mlsssl.errors import (
        AccessDeniedError,
        BindingError,
        BindingExistsError,
        BindingNotFoundError,
        ClosedError,
        DeploymentError,
        EndpointError,
        ExistsError,
        InvalidInputError,
        ListenerError,
        MalformedDataError,
        MlssslError,
        NativeError,
        NotFoundError,
        ServiceError,
        ServiceNotFoundError,
        StoreClosedError,
        StoreError,
        StoreNotFoundError,
        UnsupportedError,
        UnusableCertificateError,
        ValidationError,
        WrongPasswordError,
    )
    from mlsssl.machine import EmbeddedMachine, Machine, WindowsMachine
    from mlsssl.progress import progress_bar
    from mlsssl.renewal import Renewal, renew, renew_due
    from mlsssl.request import CertificateRequest
    from mlsssl.service import Service, Services
    from mlsssl.store import Store, StoreEntry
    from mlsssl.superseded import Cleanup, Kept, cleanup
    from mlsssl.values import (
        BindingFamily,
        BindingKey,
        BindingOptions,
        CcsPort,
        HostnamePort,
        IpPort,
        Location,
        ScopedCcs,
        Thumbprint,
    )

__all__ = [
    "PROFILES",
    "AccessDeniedError",
    "Audit",
    "AuditRow",
    "Binding",
    "BindingError",
    "BindingExistsError",
    "BindingFamily",
    "BindingKey",
    "BindingNotFoundError",
    "BindingOptions",
    "Bindings",
    "Cause",
    "CcsPort",
    "Certificate",
    "CertificateAuthority",
    "CertificateRequest",
    "Cleanup",
    "ClosedError",
    "DeploymentError",
    "Diagnosis",
    "EmbeddedMachine",
    "EndpointError",
    "EndpointReport",
    "ExistsError",
    "Failure",
    "Finding",
    "HostnamePort",
    "InvalidInputError",
    "IpPort",
    "Kept",
    "KeyState",
    "KeyType",
    "Limits",
    "Listener",
    "ListenerError",
    "Location",
    "Machine",
    "MalformedDataError",
    "MlssslError",
    "NativeError",
    "NotFoundError",
    "OnConflict",
    "Outcome",
    "PfxExplanation",
    "Plan",
    "Profile",
    "Renewal",
    "Report",
    "RequestPolicy",
    "RuleContext",
    "ScopedCcs",
    "ServerFacts",
    "Service",
    "ServiceError",
    "ServiceNotFoundError",
    "ServiceState",
    "ServiceStatus",
    "Services",
    "Severity",
    "Step",
    "Store",
    "StoreClosedError",
    "StoreEntry",
    "StoreError",
    "StoreNotFoundError",
    "Thumbprint",
    "Timeline",
    "UnsupportedError",
    "UnusableCertificateError",
    "UserRule",
    "ValidationError",
    "WindowsMachine",
    "WrongPasswordError",
    "__version__",
    "audit",
    "check_endpoint",
    "check_many",
    "cleanup",
    "deploy",
    "explain_pfx",
    "last_outcome",
    "progress_bar",
    "recover",
    "renew",
    "renew_due",
    "timeline",
]

_HOMES = {
    "_embedded.listener.connection": ("Limits",),
    "_embedded.listener.listener": ("Listener",),
    "_validator.validate": ("RuleContext", "ServerFacts", "UserRule"),
    "_formats.pkcs12.explain": ("PfxExplanation", "explain_pfx"),
    "request": ("CertificateRequest",),
    "_issue.requests": ("RequestPolicy",),
    "_issue.keys": ("KeyType",),
    "_validator.profiles": ("PROFILES", "Profile"),
    "_validator.report": ("Finding", "Report", "Severity"),
    "_notebook.timeline": ("Timeline", "timeline"),
    "_machine.ports": ("Cause", "Diagnosis", "KeyState", "ServiceState", "ServiceStatus"),
    "auditing": ("Audit", "AuditRow", "audit"),
    "authority": ("CertificateAuthority",),
    "binding": ("Binding", "Bindings"),
    "bulk": ("check_many",),
    "certificate": ("Certificate",),
    "deployment": ("Failure", "OnConflict", "Outcome", "Plan", "Step", "deploy", "last_outcome", "recover"),
    "endpoint": ("EndpointReport", "check_endpoint"),
    "errors": (
        "AccessDeniedError",
        "BindingError",
        "BindingExistsError",
        "BindingNotFoundError",
        "ClosedError",
        "DeploymentError",
        "EndpointError",
        "ExistsError",
        "InvalidInputError",
        "ListenerError",
        "MalformedDataError",
        "MlssslError",
        "NativeError",
        "NotFoundError",
        "ServiceError",
        "ServiceNotFoundError",
        "StoreClosedError",
        "StoreError",
        "StoreNotFoundError",
        "UnsupportedError",
        "UnusableCertificateError",
        "ValidationError",
        "WrongPasswordError",
    ),
    "machine": ("EmbeddedMachine", "Machine", "WindowsMachine"),
    "progress": ("progress_bar",),
    "renewal": ("Renewal", "renew", "renew_due"),
    "superseded": ("Cleanup", "Kept", "cleanup"),
    "service": ("Service", "Services"),
    "store": ("Store", "StoreEntry"),
    "values": (
        "BindingFamily",
        "BindingKey",
        "BindingOptions",
        "CcsPort",
        "HostnamePort",
        "IpPort",
        "Location",
        "ScopedCcs",
        "Thumbprint",
    ),
}
# Called after a name was loaded: how a tool that is imported before us learns of our types without loading them.
_told_of_loading: list[Callable[[], object]] = []
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


if not TYPE_CHECKING:  # a type checker that sees it would take every misspelt name

    def __getattr__(name: str) -> object:
        home = _HOME_OF.get(name)
        if home is None:
            raise AttributeError(f"module 'mlsssl' has no attribute {name!r}")
        value = getattr(import_module(f"mlsssl.{home}"), name)
        globals()[name] = value
        for tell in _told_of_loading:
            tell()
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
