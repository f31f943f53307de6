"""Runner `mlsssl_ca`: the master signs what minions request, or tells a signing minion whose names are which.

Minions call it as peer runs: the master's `peer_run` lets them call `mlsssl_ca.sign_request` where the authority is on
the master, and lets the signing minion alone call `mlsssl_ca.names` where it is on a minion.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mlsssl.saltext import _settings, _signing

if TYPE_CHECKING:
    from collections.abc import Callable

# What Salt's loader puts here.
__opts__: Mapping[str, Any]
__salt__: Mapping[str, Callable[..., Any]]

__virtualname__ = "mlsssl_ca"
__load__ = ["names", "sign_request"]


def __virtual__() -> str:
    return __virtualname__


def sign_request(policy: str, request: str) -> dict[str, object]:
    """Sign a request of the minion that calls, under a policy of the master's configuration.

    Args:
        policy: A name in `mlsssl:policies` of the master's configuration.
        request: A certificate request (RFC 2986) as PEM.

    Returns:
        `certificate`: PEM with the intermediates; or `refused`: why not. Nothing is raised.

    Standards: RFC 2986, RFC 5280. Not checked: whether the names lead to the minion.

    CLI Example, on a minion:

        salt-call publish.runner mlsssl_ca.sign_request "['web', '-----BEGIN …']"
    """
    # Of a peer run the master sets `id` to the minion that it has authenticated; of `salt-run` it is the master's own.
    around = _settings.Surroundings(__opts__, {}, __salt__)
    return _signing.answer(around, _OnMaster(), policy, request, str(__opts__["id"]))


def names(minion: str, grain: str | None = None) -> dict[str, list[str]]:
    """The names of a minion as the master knows them.

    Args:
        minion: Its id.
        grain: A grain to look up besides, in what the minion sent last. A minion chooses its grains.

    Returns:
        `pillar`: the list at `mlsssl:names` of its pillar, compiled now; `grain`: the values of the grain, a text or a
        list of texts; both empty where there is nothing. A master without minion data cache has no grains to compile a
        pillar with, as Salt's own `pillar.show_pillar`.

    CLI Example:

        salt-run mlsssl_ca.names web1
    """
    import salt.pillar
    import salt.utils.minions

    _, grains, _ = salt.utils.minions.get_minion_data(minion, __opts__)
    grains = dict(grains or {}, id=minion)
    # Not what is cached, for a minion may have its pillar compiled with values that it sends along.
    pillar: object = salt.pillar.Pillar(dict(__opts__), grains, minion, "base").compile_pillar()
    for part in _signing.NAMES_IN_PILLAR.split(":"):
        pillar = pillar.get(part) if isinstance(pillar, Mapping) else None
    return {"pillar": _texts(pillar), "grain": _texts(None if grain is None else grains.get(grain))}


class _OnMaster:
    """What the master knows, asked here."""

    def matches(self, expression: str, minion: str) -> bool:
        """By the runner `match.compound_matches`."""
        return bool(__salt__["match.compound_matches"](expression, minion).get("res") == minion)

    def names(self, minion: str, grain: str | None) -> dict[str, list[str]]:
        """As the function of that name."""
        return names(minion, grain)


def _texts(value: object) -> list[str]:
    several = value if isinstance(value, (list, tuple)) else [value]
    return [one for one in several if isinstance(one, str)]
