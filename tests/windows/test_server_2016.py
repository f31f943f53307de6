"""A Windows without HttpUpdateServiceConfiguration: whatever takes its time is done before the port is unbound."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from mlsssl import (
    AccessDeniedError,
    Binding,
    BindingError,
    BindingOptions,
    CertificateAuthority,
    DeploymentError,
    NativeError,
    UnusableCertificateError,
    deploy,
    recover,
    renew,
)
from mlsssl._windows.bindings import RETRY_DELAYS, TRIAL_APPLICATION
from mlsssl._windows.machine import WindowsPort
from mlsssl.testing import FakeWindows, fake_windows_machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlsssl import Certificate
    from mlsssl._native.cdata import CData

KEYS = ("0.0.0.0:443", "[::]:443", "a.test:443")
DELETE = "HttpDeleteServiceConfiguration"


@pytest.fixture(name="ca", scope="module")
def _ca() -> CertificateAuthority:
    return CertificateAuthority.create("Server 2016", key="ec-p256")


@pytest.fixture(name="old", scope="module")
def _old(ca: CertificateAuthority) -> Certificate:
    return ca.issue("a.test")


@pytest.fixture(name="new", scope="module")
def _new(ca: CertificateAuthority) -> Certificate:
    return ca.issue("a.test")


@pytest.fixture(name="windows", params=KEYS)
def _windows(request: pytest.FixtureRequest, old: Certificate) -> Iterator[FakeWindows]:
    """A key that is bound, the first of `bindings`."""
    with fake_windows_machine(release="2016") as windows:
        deploy(request.param, old, machine=windows.machine)
        yield windows


def bound(windows: FakeWindows) -> Binding:
    """The one binding that there is; a trial's would be a second one."""
    (binding,) = windows.machine.bindings
    return binding


def answer(windows: FakeWindows, new: Certificate, *codes: int) -> tuple[list[float], list[Binding]]:
    """Let HTTP.sys answer these codes to its first looks at `new`.

    Returns:
        The waits, and what was bound under the first key during each.
    """
    left, waits, seen = list(codes), list[float](), list[Binding]()
    look = windows.dlls.httpapi.check_certificate
    key = bound(windows).key

    def check(digest: bytes, store: str) -> int:
        if digest == bytes(new.thumbprint) and left:
            return left.pop(0)
        return 0 if look is None else look(digest, store)

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        seen.append(windows.machine.bindings[key])

    windows.dlls.httpapi.check_certificate = check
    assert isinstance(windows.machine.port, WindowsPort)
    windows.machine.port.bindings._sleep = sleep
    return waits, seen


def update(windows: FakeWindows, new: Certificate) -> None:
    """By hand: into the store, then the record."""
    windows.machine.store("MY").add(new)
    bound(windows).with_certificate(new).update()


CHANGES: dict[str, Callable[[FakeWindows, Certificate], object]] = {
    "update": update,
    "renew": lambda windows, new: renew(bound(windows).key, new, machine=windows.machine),
    "deploy": lambda windows, new: deploy(bound(windows).key, new, machine=windows.machine),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_new_key_is_waited_for_while_the_old_record_is_in_force(
    windows: FakeWindows, old: Certificate, new: Certificate, change: str
) -> None:
    """For some seconds HTTP.sys answers 87: the port stays bound all the time, and nothing else is at the end."""
    waits, seen = answer(windows, new, 87, 87, 87)
    CHANGES[change](windows, new)
    assert waits == list(RETRY_DELAYS[:3])
    assert {binding.thumbprint for binding in seen} == {old.thumbprint}
    assert bound(windows).thumbprint == new.thumbprint
    assert recover(machine=windows.machine) == []


@pytest.mark.parametrize("change", CHANGES)
def test_a_key_that_never_works_never_unbinds(windows: FakeWindows, new: Certificate, change: str) -> None:
    """The waiting ends with the machine's own error; the record was not deleted for a moment."""
    before = bound(windows)
    waits, _ = answer(windows, new, *[87] * 100)
    since = len(windows.calls.names)
    with pytest.raises((NativeError, DeploymentError), match="87"):
        CHANGES[change](windows, new)
    assert waits == list(RETRY_DELAYS)
    assert DELETE not in windows.calls.names[since:]
    assert bound(windows) == before
    assert recover(machine=windows.machine) == []


@pytest.mark.parametrize("change", CHANGES)
def test_a_record_that_is_refused_after_all_is_not_waited_for(
    windows: FakeWindows, new: Certificate, change: str
) -> None:
    """It was taken under the trial's key, and 87 comes under the real one: the old one is back at once."""
    before = bound(windows)
    waits, _ = answer(windows, new, 0, 87)
    with pytest.raises((NativeError, DeploymentError), match="87"):
        CHANGES[change](windows, new)
    assert waits == []
    assert bound(windows) == before
    assert recover(machine=windows.machine) == []


def test_a_refused_certificate_never_unbinds(windows: FakeWindows, ca: CertificateAuthority) -> None:
    """1312 with its cause, for the key that was asked for."""
    before = bound(windows)
    since = len(windows.calls.names)
    with pytest.raises(UnusableCertificateError, match=re.escape(f"for {before.key}: ")):
        before.with_certificate(ca.issue("a.test")).update()
    assert DELETE not in windows.calls.names[since:]
    assert bound(windows) == before


@pytest.mark.parametrize("code", [5, 1359])
def test_a_trial_that_cannot_be_deleted_stops_the_change_and_goes_with_it(
    windows: FakeWindows, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Nothing was unbound yet; taking back deletes the trial's record too, or `recover` does."""
    before = bound(windows)
    delete = windows.dlls.httpapi.HttpDeleteServiceConfiguration
    for failures in (1, 2):
        answers = [code] * failures

        def refuse(
            handle: CData, number: int, structure: CData, length: int, overlapped: CData, answers: list[int] = answers
        ) -> int:
            return answers.pop() if answers else delete(handle, number, structure, length, overlapped)

        monkeypatch.setattr(windows.dlls.httpapi, DELETE, refuse)
        with pytest.raises((NativeError, AccessDeniedError, BindingError)) as caught:
            before.with_options(BindingOptions(http2=False)).update()
        if failures == 2:
            assert f"the old binding of {before.key} is in force" in str(caught.value)
            left = [one for one in windows.machine.bindings if one.app_id == TRIAL_APPLICATION]
            assert len(left) == 1
            assert recover(machine=windows.machine)[-1].startswith(f"removed the record of {left[0].key}")
        assert bound(windows) == before
        assert recover(machine=windows.machine) == []
