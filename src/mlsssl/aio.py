"""Awaitable forms of `deploy`, `renew`, `audit` and others: the same functions, run in a thread.

Arguments, results and errors are those of the function of the same name in `mlsssl`. What changes a machine is never
abandoned half-way: when such an `await` is cancelled, it waits until the change is done or undone, and then raises
`asyncio.CancelledError`. An error of the change is its `__cause__`, for whoever awaits the call itself, and
`mlsssl.last_outcome(key)` says what became of it. What only looks is let go at once, and its thread ends by its own
time-out.

The listener needs nothing from here: `async with machine.listen() as listener:`.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from mlsssl import auditing, deployment, endpoint, renewal

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["audit", "check_endpoint", "deploy", "plan", "recover", "renew", "renew_due"]

P = ParamSpec("P")
T = TypeVar("T")


def _looking(function: Callable[P, T]) -> Callable[P, Coroutine[None, None, T]]:
    """The awaitable form of a function that changes nothing."""

    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.to_thread(function, *args, **kwargs)

    return _named(run, function)


def _changing(function: Callable[P, T]) -> Callable[P, Coroutine[None, None, T]]:
    """The awaitable form of a function that changes a machine: cancelled, it ends first."""

    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        work = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError as cancelled:
            while not work.done():
                # Cancelled again while waiting is no reason to leave either. `wait` does not raise what `work` does.
                try:
                    await asyncio.wait([work])
                except asyncio.CancelledError:
                    continue
            raise cancelled from (None if work.cancelled() else work.exception())

    return _named(run, function)


def _named(
    run: Callable[P, Coroutine[None, None, T]], function: Callable[P, T]
) -> Callable[P, Coroutine[None, None, T]]:
    # `deploy` and `renew` are objects that are called: their words and signatures are their methods', the names not.
    origin: Callable[P, T] = function if inspect.isroutine(function) else getattr(function, "__call__")  # noqa: B004, B009
    functools.update_wrapper(run, origin)
    run.__name__ = getattr(function, "__name__")  # noqa: B009
    setattr(run, "__signature__", inspect.signature(function))  # noqa: B010 -- a method's own would begin with self
    return run


deploy = _changing(deployment.deploy)
plan = _looking(deployment.deploy.plan)
renew = _changing(renewal.renew)
renew_due = _changing(renewal.renew_due)
recover = _changing(deployment.recover)
check_endpoint = _looking(endpoint.check_endpoint)
audit = _looking(auditing.audit)
