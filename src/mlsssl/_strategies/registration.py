"""Hypothesis' entry point: `strategies.from_type(mlsssl.Certificate)` works, and costs nothing until it is used.

Hypothesis calls `register` while it is being imported. Types that are loaded by then are registered at once, the
others when the package `mlsssl` loads them; the strategies themselves are imported at the first draw.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import mlsssl

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

# Module and name of each type, and the strategy that draws it.
_TYPES = {
    ("mlsssl.values", "Thumbprint"): "thumbprints",
    ("mlsssl.values", "IpPort"): "binding_keys",
    ("mlsssl.values", "HostnamePort"): "binding_keys",
    ("mlsssl.values", "CcsPort"): "binding_keys",
    ("mlsssl.values", "ScopedCcs"): "binding_keys",
    ("mlsssl.values", "BindingOptions"): "binding_options",
    ("mlsssl.certificate", "Certificate"): "certificates",
    ("mlsssl.authority", "CertificateAuthority"): "authorities",
    ("mlsssl.binding", "Binding"): "bindings",
}
_registered: set[tuple[str, str]] = set()


def register() -> None:
    """Register what is loaded, and whatever the package loads later."""
    if _register_loaded not in mlsssl._told_of_loading:  # noqa: SLF001 -- made for this
        mlsssl._told_of_loading.append(_register_loaded)  # noqa: SLF001
    _register_loaded()


def _register_loaded() -> None:
    for place, strategy in _TYPES.items():
        kind = getattr(sys.modules.get(place[0]), place[1], None)
        if kind is not None and place not in _registered:
            _registered.add(place)
            _register_type(kind, strategy)


def _register_type(kind: type[Any], name: str) -> None:
    from hypothesis import strategies as st

    def resolve(_: type[Any]) -> SearchStrategy[Any]:
        from mlsssl import strategies

        if name == "binding_keys":
            return strategies.binding_keys(families=[kind.family])
        made: SearchStrategy[Any] = getattr(strategies, name)()
        return made

    st.register_type_strategy(kind, resolve)
