"""The awaitable verbs: same results, same errors, and a cancellation that leaves nothing half-done."""

from __future__ import annotations

import asyncio
import inspect
import threading
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

import mlsssl
from mlsssl import aio, testing
from mlsssl.authority import CertificateAuthority
from mlsssl.errors import BindingNotFoundError, DeploymentError, EndpointError, InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from mlsssl.certificate import Certificate
    from mlsssl.machine import EmbeddedMachine

T = TypeVar("T")
AUTHORITY = CertificateAuthority.create("Authority", key="ec-p256")
OLD = AUTHORITY.issue("localhost", "127.0.0.1")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, 60))


@pytest.fixture(name="machine")
def _machine() -> Iterator[EmbeddedMachine]:
    with testing.memory_machine() as machine:
        yield machine


def test_the_procedure_awaited(machine: EmbeddedMachine) -> None:
    """Plan, deploy, listen, check, renew, audit: each awaited, and the listener serves what was renewed."""

    async def work() -> None:
        plan = await aio.plan("0.0.0.0:443", OLD, machine=machine)
        assert plan.changes
        outcome = await aio.deploy("0.0.0.0:443", OLD, machine=machine)
        assert outcome.changed
        async with machine.listen() as listener:
            at = f"127.0.0.1:{listener.port_of('0.0.0.0:443')}"
            seen = await aio.check_endpoint(at, host="localhost", trust=[AUTHORITY])
            assert (seen.ok, seen.certificate) == (True, OLD)
            renewed = await aio.renew("0.0.0.0:443", AUTHORITY, machine=machine)
            assert renewed.changed
            seen = await aio.check_endpoint(at, host="localhost", trust=[AUTHORITY])
            assert seen.certificate != OLD
            assert seen.certificate == machine.bindings["0.0.0.0:443"].certificate
        assert (await aio.audit(machine=machine)).ok
        assert await aio.renew_due(AUTHORITY, machine=machine) is not None
        assert await aio.recover(machine=machine) == []

    run(work())


def test_the_loop_goes_on_meanwhile(machine: EmbeddedMachine) -> None:
    """Other tasks run while a verb waits: here for a function that waits for them."""
    machine.store("MY").add(OLD)
    machine.bindings.add("0.0.0.0:443", OLD)

    async def work() -> bool:
        ready = threading.Event()

        def slow(old: Certificate) -> Certificate:
            assert ready.wait(30)
            return AUTHORITY.issue(*old.hosts)

        renewal = asyncio.ensure_future(aio.renew("0.0.0.0:443", slow, machine=machine))
        await asyncio.sleep(0.05)
        assert not renewal.done()
        ready.set()
        return (await renewal).changed

    assert run(work())


def test_errors_are_the_same(machine: EmbeddedMachine) -> None:
    """What the plain function raises, the awaited one raises."""
    with pytest.raises(BindingNotFoundError):
        run(aio.renew("0.0.0.0:443", AUTHORITY, machine=machine))
    with pytest.raises(InvalidInputError):
        run(aio.deploy("no key", OLD, machine=machine))
    with pytest.raises(EndpointError):
        run(aio.check_endpoint("127.0.0.1:1", trust=None, timeout=1))


@pytest.mark.parametrize("times", [1, 3])
def test_a_cancelled_renewal_ends_first(machine: EmbeddedMachine, times: int) -> None:
    """However often it is cancelled: when the await returns, the new certificate is bound, not half of it."""
    machine.store("MY").add(OLD)
    machine.bindings.add("0.0.0.0:443", OLD)

    async def work() -> None:
        started, ready = threading.Event(), threading.Event()

        def slow(old: Certificate) -> Certificate:
            started.set()
            assert ready.wait(30)
            return AUTHORITY.issue(*old.hosts)

        renewal = asyncio.ensure_future(aio.renew("0.0.0.0:443", slow, machine=machine))
        await asyncio.to_thread(started.wait, 30)
        for _ in range(times):
            renewal.cancel()
            await asyncio.sleep(0.02)
        assert not renewal.done()
        ready.set()
        with pytest.raises(asyncio.CancelledError):
            await renewal
        assert renewal.cancelled()

    run(work())
    bound = machine.bindings["0.0.0.0:443"].certificate
    assert bound is not None
    assert bound != OLD
    outcome = mlsssl.last_outcome("0.0.0.0:443", machine=machine)
    assert outcome is not None
    assert outcome.changed


def test_an_error_after_a_cancellation_is_not_lost(machine: EmbeddedMachine) -> None:
    """Whoever awaits the verb finds it as the cause of the CancelledError."""
    machine.store("MY").add(OLD)
    machine.bindings.add("0.0.0.0:443", OLD)

    async def work() -> BaseException | None:
        started, ready = threading.Event(), threading.Event()

        def failing(_: Certificate) -> Certificate:
            started.set()
            assert ready.wait(30)
            raise InvalidInputError("the authority is on holiday")

        causes: list[BaseException | None] = []

        async def caller() -> None:
            try:
                await aio.renew("0.0.0.0:443", failing, machine=machine)
            except asyncio.CancelledError as cancelled:
                causes.append(cancelled.__cause__)
                raise

        renewal = asyncio.ensure_future(caller())
        await asyncio.to_thread(started.wait, 30)
        renewal.cancel()
        ready.set()
        with pytest.raises(asyncio.CancelledError):
            await renewal
        return causes[0]

    cause = run(work())
    assert isinstance(cause, (InvalidInputError, DeploymentError))
    assert machine.bindings["0.0.0.0:443"].certificate == OLD


def test_looking_is_let_go_at_once() -> None:
    """A server that says nothing keeps nobody who was cancelled."""
    import socket

    async def work() -> float:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            look = asyncio.ensure_future(aio.check_endpoint(f"127.0.0.1:{port}", trust=None, timeout=3))
            await asyncio.sleep(0.1)
            start = asyncio.get_running_loop().time()
            look.cancel()
            with pytest.raises(asyncio.CancelledError):
                await look
            return asyncio.get_running_loop().time() - start

    assert run(work()) < 1


@pytest.mark.parametrize("name", aio.__all__)
def test_each_has_the_signature_and_the_words_of_its_origin(name: str) -> None:
    """Nothing is written twice, so nothing can differ."""
    origin: Any = mlsssl.deploy.plan if name == "plan" else getattr(mlsssl, name)
    made = getattr(aio, name)
    assert inspect.iscoroutinefunction(made)
    assert made.__name__ == name
    assert made.__doc__ == (origin if inspect.isroutine(origin) else origin.__call__).__doc__
    assert inspect.signature(made) == inspect.signature(origin)
