"""Execution module `mlsssl_ca`: this minion signs what others of the fleet request. Only where policies are set.

Other minions call it through the master, whose `peer` lets them call `mlsssl_ca.sign_request` and nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mlsssl.saltext import _settings, _signing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# What Salt's loader puts here.
__opts__: Mapping[str, Any]
__pillar__: Mapping[str, Any]
__salt__: Mapping[str, Callable[..., Any]]

__virtualname__ = "mlsssl_ca"
__load__ = ["sign_request"]


def __virtual__() -> str | tuple[bool, str]:
    if _settings.Surroundings(__opts__, __pillar__, {}).setting("policies") is None:
        return False, "no mlsssl:policies in this minion's pillar or configuration, so it signs for nobody"
    return __virtualname__


def sign_request(policy: str, request: str, **published: object) -> dict[str, object]:
    """Sign a request of the minion that calls, under a policy of this one. Not for people: it answers minions alone.

    Args:
        policy: A name in `mlsssl:policies` of this minion's pillar or configuration.
        request: A certificate request (RFC 2986) as PEM.
        published: What Salt adds: who calls.

    Returns:
        `certificate`: PEM with the intermediates; or `refused`: why not. Nothing is raised.

    Standards: RFC 2986, RFC 5280. Not checked: whether the names lead to the minion.

    CLI Example, on another minion:

        salt-call publish.publish ca1 mlsssl_ca.sign_request "['web', '-----BEGIN …']"
    """
    minion = _signing.caller(policy, request, published)
    if minion is None:
        return {
            "refused": "Salt does not say which minion asks, so nothing is signed: call it by publish.publish with two "
            "positional arguments, of a master (not over a syndic)"
        }
    around = _settings.Surroundings(__opts__, __pillar__, __salt__)
    return _signing.answer(around, _signing.AskedMaster(__salt__), policy, request, minion)
