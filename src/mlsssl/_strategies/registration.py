"""Registering the types with Hypothesis: `strategies.from_type(mlsssl.Certificate)` works, and costs nothing before.

Hypothesis takes classes, and loading ours whenever it is imported would slow down every project's tests. So those that
are loaded are registered when Hypothesis is imported (its entry point), and each other one after the import of the
module that it lives in, whichever way that came about; the strategies themselves are imported at the first draw.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

    from hypothesis.strategies import SearchStrategy

NOUNS = {
    "mlsssl.values": ("Thumbprint",),
    "mlsssl._embedded.listener.listener": ("Listener",),
    "mlsssl._formats.described": ("CertificateDiff",),
    "mlsssl._formats.pkcs12.explain": ("PfxExplanation",),
    "mlsssl._notebook.timeline": ("Timeline",),
    "mlsssl._validator.profiles": ("Profile",),
    "mlsssl._validator.report": ("Finding", "Report"),
    "mlsssl._validator.validate": ("RuleContext", "ServerFacts"),
    "mlsssl.auditing": ("Audit", "AuditReservation", "AuditRow"),
    "mlsssl.authority": ("CertificateAuthority", "RenewedAuthority"),
    "mlsssl.binding": ("Binding", "Bindings"),
    "mlsssl.certificate": ("Certificate", "CertificateChain"),
    "mlsssl.deployment": ("Outcome", "Plan"),
    "mlsssl.endpoint": ("EndpointReport",),
    "mlsssl.issuers": ("Issuer", "RenewalTimes"),
    "mlsssl.issuers.acme": ("AcmeIssuer",),
    "mlsssl.issuers.adcs": ("AdcsIssuer",),
    "mlsssl.issuers.challenges": (
        "ChallengeSolver",
        "DnsChallenge",
        "HttpSysChallenge",
        "SettlingSolver",
        "SocketChallenge",
        "TlsAlpnChallenge",
        "WebrootChallenge",
    ),
    "mlsssl.issuers.command": ("CommandIssuer",),
    "mlsssl.machine": ("EmbeddedMachine", "Machine", "WindowsMachine"),
    "mlsssl.renewal": ("Renewal", "Renewals"),
    "mlsssl.request": ("CertificateRequest",),
    "mlsssl.reservation": ("IpListenList", "UrlPrefix", "UrlReservation", "UrlReservations"),
    "mlsssl.revocation_list": ("RevocationList", "RevokedEntry"),
    "mlsssl.service": ("Service", "Services"),
    "mlsssl.store": ("Store", "StoreEntry"),
    "mlsssl.superseded": ("Cleanup", "Kept"),
    "mlsssl._formats.binding_keys": ("BindingOptions", "CcsPort", "HostnamePort", "IpPort", "ScopedCcs"),
}
"""The public classes that Hypothesis could not make, or not without this computer's own machine, by their modules."""

_waiting = {name: module for module, names in NOUNS.items() for name in names}


class _Watcher:
    """A finder of modules that finds what the usual one does, and registers after the import."""

    @staticmethod
    def find_spec(fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname not in _waiting.values():
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_and_register(module: ModuleType) -> None:
                load(module)
                register()

            spec.loader.exec_module = load_and_register  # type: ignore[method-assign]
        return spec


def register() -> None:
    """Register the types that are loaded and are not registered yet, and watch for the others."""
    for name, module in tuple(_waiting.items()):
        kind = getattr(sys.modules.get(module), name, None)
        if kind is not None and _waiting.pop(name, ""):
            _register_type(kind, name)
    if _Watcher not in sys.meta_path:
        sys.meta_path.insert(0, _Watcher)


def _register_type(kind: type[Any], name: str) -> None:
    from hypothesis import strategies as st

    def resolve(_: type[Any]) -> SearchStrategy[Any]:
        made: SearchStrategy[Any] = import_module("mlsssl._strategies.nouns").NOUNS[name]()
        return made

    st.register_type_strategy(kind, resolve)
