"""Execution module `mlsssl_root`: this minion's part in a change of the root, which `mlsssl.rotate_root` walks.

Certificates come as PEM. The machine is that of `mlsssl:machine`, as everywhere. Not for people, who call the runner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mlsssl
from mlsssl.saltext import _errors, _root_change, _settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# What Salt's loader puts here.
__opts__: Mapping[str, Any]
__pillar__: Mapping[str, Any]
__salt__: Mapping[str, Callable[..., Any]]
__context__: dict[str, Any]

__virtualname__ = "mlsssl_root"
__load__ = ["changeover", "finish", "look", "successor"]


def __virtual__() -> str:
    return __virtualname__


def look(old: str, new: str) -> dict[str, object]:
    """What this minion has of the change; nothing is changed.

    Args:
        old: The old root.
        new: The new one.

    Returns:
        `has_old_with_new`, `trusts_new`, `trusts_old`; `crossed`: whether the store CA has a cross-certificate; the
        keys of the bindings with a certificate `of_old`, `of_new`, or of `others`.

    CLI Example:

        salt-run mlsssl.rotate_root look old=/srv/pki/old.cer new=/srv/pki/new.cer
    """
    with _errors.as_salts_own(), _machine() as on:
        return _root_change.state(_root_change.from_texts(old, new), on)


def successor(old: str, new: str, old_with_new: str) -> dict[str, object]:
    """Put "old with new" into the store CA. Returns what `look` does.

    CLI Example:

        salt-run mlsssl.rotate_root successor old=/srv/pki/old.cer new=/srv/pki/new.cer old_with_new=/srv/pki/cross.cer
    """
    with _errors.as_salts_own(), _machine() as on:
        change = _root_change.from_texts(old, new)
        _root_change.add_successor(mlsssl.Certificate.from_text(old_with_new), on)
        return _root_change.state(change, on)


def changeover(old: str, new: str, issuer: str) -> dict[str, object]:
    """Renew every binding that the old key has certified. Returns what `look` does, and `results` of `renew_due`.

    Salt's return code is that of `mlsssl.renew_due`, so that a batch stops after a failure.

    CLI Example:

        salt-run mlsssl.rotate_root changeover old=/srv/pki/old.cer new=/srv/pki/new.cer issuer=fleet
    """
    with _errors.as_salts_own():
        change = _root_change.from_texts(old, new)
        with _machine() as on:
            keys = _root_change.state(change, on)["of_old"]
        results = __salt__["mlsssl.renew_due"](issuer, only=keys, due_only=False)["results"] if keys else []
        with _machine() as on:
            return {**_root_change.state(change, on), "results": results}


def finish(old: str, new: str) -> dict[str, object]:
    """Trust the new root, and take the cross-certificates and the old root out. Returns what `look` does.

    CLI Example:

        salt-run mlsssl.rotate_root finish old=/srv/pki/old.cer new=/srv/pki/new.cer clients_trust_new=True
    """
    with _errors.as_salts_own(), _machine() as on:
        change = _root_change.from_texts(old, new)
        _root_change.finish(change, on)
        return _root_change.state(change, on)


def _machine() -> mlsssl.Machine:
    from mlsssl._deploy import machines

    return machines.existing(_settings.Surroundings(__opts__, __pillar__, __salt__).machine(None))
