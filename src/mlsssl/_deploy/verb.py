"""Two methods out of one list of arguments: the verb itself, which does it, and its `plan`, which only says what.

Type checkers see both with every argument (`ParamSpec`), and so do `help` and `inspect.signature`.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from mlsssl._changes import recovery
from mlsssl._deploy import apply
from mlsssl._deploy.plan import Draft, make_plan
from mlsssl._select import ports

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Concatenate

    from mlsssl._deploy.apply import Outcome
    from mlsssl._deploy.plan import Plan, Wish

P = ParamSpec("P")
V = TypeVar("V")


def doing(wish: Callable[Concatenate[V, P], Wish | Draft]) -> Callable[Concatenate[V, P], Outcome]:
    """The method that carries out what `wish` works out: planned and done under the machine's lock, then looked at.

    Args:
        wish: Checks the arguments. Its docstring becomes the verb's.
    """

    def call(self: V, /, *args: P.args, **kwargs: P.kwargs) -> Outcome:
        wanted = wish(self, *args, **kwargs)
        port = ports.port_of(wanted.machine)
        if isinstance(wanted, Draft):
            with recovery.changing(port, wanted.key):  # what a killed change left is no state to read
                complete = wanted.read()
            wanted = complete()
        with recovery.changing(port, wanted.key) as journal:
            plan = make_plan(wanted)
            outcome = plan.execute(journal)
        return apply.look(plan.task, outcome)

    return _like(wish, call, name="__call__", returned="Outcome", words=wish.__doc__)


def saying(wish: Callable[Concatenate[V, P], Wish | Draft], words: str) -> Callable[Concatenate[V, P], Plan]:
    """The method that makes a plan of what `wish` works out, and does nothing.

    Args:
        wish: As in `doing`.
        words: The docstring.
    """

    def plan(self: V, /, *args: P.args, **kwargs: P.kwargs) -> Plan:
        wanted = wish(self, *args, **kwargs)
        error = recovery.pending_of(ports.port_of(wanted.machine), wanted.key)
        if error is not None:
            raise error
        return make_plan(wanted.read()() if isinstance(wanted, Draft) else wanted)

    return _like(wish, plan, name="plan", returned="Plan", words=words)


Q = ParamSpec("Q")
T = TypeVar("T")


def _like(
    wish: Callable[Q, Wish | Draft], method: Callable[Q, T], *, name: str, returned: str, words: str | None
) -> Callable[Q, T]:
    """`method` with the arguments of `wish`, and a name, a result and words of its own."""
    functools.update_wrapper(method, wish)
    method.__name__ = name
    method.__qualname__ = f"{wish.__qualname__.rpartition('.')[0]}.{name}"
    method.__doc__ = None if words is None else inspect.cleandoc(words)
    setattr(method, "__signature__", inspect.signature(wish).replace(return_annotation=returned))  # noqa: B010
    return method
