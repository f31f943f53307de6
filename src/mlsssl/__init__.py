"""HTTPS for a Windows service, renewed for ever, in one call.

The public names, and nothing else. Each is imported from its module on first use (PEP 562), so that importing the
package costs next to nothing and a tool that needs one class loads no more than that. Type checkers read
`__init__.pyi`, to which a name that is misspelt is an error.
"""

from __future__ import annotations

from mlsssl._version import __version__ as __version__

_HOMES = {
    "_embedded.listener.connection": ("Limits",),
    "_embedded.listener.listener": ("Listener",),
    "_validator.validate": ("RuleContext", "ServerFacts", "UserRule"),
    "_formats.pkcs12.explain": ("PfxExplanation", "explain_pfx"),
    "request": ("CertificateRequest",),
    "_issue.lifetimes": ("ShortenedWarning",),
    "_issue.requests": ("RequestPolicy",),
    "_validator.profiles": ("PROFILES", "Profile"),
    "_validator.report": ("Finding", "Report", "Severity"),
    "_formats.described": ("CertificateDiff",),
    "revocation_list": ("RevocationList", "RevokedEntry"),
    "_notebook.timeline": ("Timeline", "timeline"),
    "_formats.binding_keys": (
        "BindingFamily",
        "BindingKey",
        "BindingOptions",
        "CcsPort",
        "HostnamePort",
        "IpPort",
        "ScopedCcs",
    ),
    "_machine.ports": ("Cause", "Diagnosis", "KeyAccess", "KeyState", "ServiceState", "ServiceStatus"),
    "auditing": ("Audit", "AuditReservation", "AuditRow", "audit"),
    "authority": ("CertificateAuthority", "RenewedAuthority"),
    "binding": ("Binding", "Bindings", "CertificateReference"),
    "bulk": ("check_many",),
    "certificate": ("Certificate", "CertificateChain"),
    "deployment": ("Failure", "Outcome", "Plan", "Step", "deploy", "last_outcome", "recover"),
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
        "HookError",
        "InvalidInputError",
        "IssuePendingError",
        "IssuerError",
        "ListenerError",
        "MalformedDataError",
        "MlssslError",
        "NativeError",
        "NotFoundError",
        "ReservationError",
        "ReservationExistsError",
        "ReservationNotFoundError",
        "ServiceError",
        "ServiceNotFoundError",
        "StoreClosedError",
        "StoreError",
        "StoreNotFoundError",
        "UnreadableCertificateError",
        "UnsupportedError",
        "UnusableCertificateError",
        "ValidationError",
        "WrongPasswordError",
    ),
    "issuers": ("Issuer", "RenewalTimes"),
    "issuers.acme": ("AcmeIssuer",),
    "issuers.challenges": (
        "ChallengeSolver",
        "DnsChallenge",
        "HttpSysChallenge",
        "SettlingSolver",
        "SocketChallenge",
        "TlsAlpnChallenge",
        "WebrootChallenge",
    ),
    "issuers.adcs": ("AdcsIssuer",),
    "issuers.command": ("CommandIssuer",),
    "machine": ("EmbeddedMachine", "Machine", "WindowsMachine"),
    "_notebook.progress": ("progress_bar",),
    "renewal": ("Renewal", "RenewalSource", "Renewals", "renew", "renew_due"),
    "reservation": (
        "HttpLimits",
        "HttpTimeouts",
        "IpListenList",
        "UrlGrant",
        "UrlPrefix",
        "UrlReservation",
        "UrlReservations",
    ),
    "superseded": ("Cleanup", "Kept", "cleanup"),
    "service": ("Service", "Services"),
    "store": ("Store", "StoreEntry"),
    "values": ("KeyType", "Location", "OnConflict", "Thumbprint"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
__all__ = sorted(["__version__", *_HOME_OF])


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'mlsssl' has no attribute {name!r}")
    from importlib import import_module  # a quarter of what `mlsssl --version` would take besides Python

    value = getattr(import_module(f"mlsssl.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
