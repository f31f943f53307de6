"""Registering the types with Hypothesis: `strategies.from_type(mlsssl.Certificate)` works, and costs nothing before.

Hypothesis takes classes, and loading ours whenever it is imported would slow down every project's tests. So those that
are loaded are registered when Hypothesis is imported (its entry point), and after each name that the package loads
later; the strategies themselves are imported at the first draw.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

# Each type that is not registered yet, and the strategy that draws it: both as module and name.
_WAITING = {
    ("mlsssl.values", "Thumbprint"): ("mlsssl._strategies.bindings", "thumbprints"),
    ("mlsssl.values", "IpPort"): ("mlsssl._strategies.bindings", "binding_keys"),
    ("mlsssl.values", "HostnamePort"): ("mlsssl._strategies.bindings", "binding_keys"),
    ("mlsssl.values", "CcsPort"): ("mlsssl._strategies.bindings", "binding_keys"),
    ("mlsssl.values", "ScopedCcs"): ("mlsssl._strategies.bindings", "binding_keys"),
    ("mlsssl.values", "BindingOptions"): ("mlsssl._strategies.bindings", "binding_options"),
    ("mlsssl.certificate", "Certificate"): ("mlsssl._strategies.certificates", "certificates"),
    ("mlsssl.authority", "CertificateAuthority"): ("mlsssl._strategies.certificates", "authorities"),
    ("mlsssl.binding", "Binding"): ("mlsssl._strategies.bindings", "bindings"),
}


def register() -> None:
    """Register the types that are loaded and are not registered yet."""
    for module, name in tuple(_WAITING):
        kind = getattr(sys.modules.get(module), name, None)
        if kind is not None and (strategy := _WAITING.pop((module, name), None)):
            _register_type(kind, *strategy)


def _register_type(kind: type[Any], module: str, name: str) -> None:
    from hypothesis import strategies as st

    def resolve(_: type[Any]) -> SearchStrategy[Any]:
        make = getattr(import_module(module), name)
        made: SearchStrategy[Any] = make(families=[kind.family]) if name == "binding_keys" else make()
        return made

    st.register_type_strategy(kind, resolve)
