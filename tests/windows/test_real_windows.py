"""Real HTTP.sys, real Crypt32, as administrator; `netsh http show …` is the witness that is not ours.

It runs in the public CI workflow only. Where it cannot run, its witness is held to the truth on the embedded machine,
so that the code below is not code that has never run.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import uuid
from typing import TYPE_CHECKING

import pytest

from mlsssl import (
    Binding,
    BindingExistsError,
    BindingOptions,
    CertificateAuthority,
    EmbeddedMachine,
    Machine,
    NotFoundError,
    ReservationExistsError,
    ReservationNotFoundError,
    UnusableCertificateError,
    UrlReservation,
    deploy,
    renew,
)
from mlsssl._formats.sddl import same
from mlsssl.netsh import format_listing, format_urlacl_listing, parse_listing, parse_urlacl_listing
from windows.wine_limits import REAL_WINDOWS, under_wine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mlsssl._machine.ports import BindingRecord

    Witness = Callable[[], list[BindingRecord]]

REAL = sys.platform == "win32" and os.environ.get(REAL_WINDOWS) == "1"
APP_ID = uuid.UUID("6d6c7373-736c-4000-8000-7465737473aa")
IP_KEY, SNI_KEY = "0.0.0.0:44399", "mlsssl-test.example:44399"


URL = "https://+:44399/mlsssl-test/"


def _shown(what: str) -> bytes:
    """What Windows' own tool says."""
    program = os.path.join(os.environ["SYSTEMROOT"], "System32", "netsh.exe")  # noqa: PTH118  # a Windows path, as text
    return subprocess.run([program, "http", "show", what], capture_output=True, check=True, timeout=120).stdout


def _netsh() -> list[BindingRecord]:
    """What is bound, our application id only."""
    return [record for record in parse_listing(_shown("sslcert")).records if record.app_id == APP_ID]


@pytest.fixture(name="place", params=["real" if REAL else "embedded"])
def _place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Machine, Witness]]:
    """A machine and its witness; afterwards nothing of ours is left on it."""
    if request.param == "real":
        machine: Machine = Machine.local()
        witness = _netsh
    else:
        machine = EmbeddedMachine(tmp_path / "machine.sqlite")

        def witness() -> list[BindingRecord]:
            shown = format_listing(binding.record for binding in machine.bindings)
            return [record for record in parse_listing(shown).records if record.app_id == APP_ID]

    with machine:
        before = set(machine.store("MY").thumbprints())
        try:
            yield machine, witness
        finally:
            for binding in machine.bindings:
                if binding.app_id == APP_ID:
                    binding.remove()
            with machine.store("MY") as store:
                for thumbprint in set(store.thumbprints()) - before:
                    store.remove(thumbprint, delete_key=True)


@pytest.mark.parametrize(
    "key_type",
    ["rsa-2048", pytest.param("ec-p256", marks=pytest.mark.skipif(under_wine(), reason="Wine's CNG keeps nothing"))],
)
@pytest.mark.parametrize("key", [IP_KEY, SNI_KEY])
def test_what_is_deployed_is_what_netsh_shows(place: tuple[Machine, Witness], key: str, key_type: str) -> None:
    """Deployed, renewed, removed: after each step the witness says the same as we do."""
    machine, witness = place
    ca = CertificateAuthority.create("mlsssl real Windows test", key=key_type)  # type: ignore[arg-type]
    options = BindingOptions(negotiate_client_certificate=True, verify_client_revocation=False)
    first = ca.issue("mlsssl-test.example")
    deploy(key, first, machine=machine, app_id=APP_ID, options=options)
    (seen,) = witness()
    assert (seen.thumbprint, seen.options) == (first.thumbprint, options)
    assert seen == machine.bindings[key].record

    assert renew(key, ca, machine=machine).changed
    (seen,) = witness()
    assert seen.thumbprint != first.thumbprint
    assert seen == machine.bindings[key].record

    machine.bindings[key].remove()
    assert witness() == []


def test_the_codes_are_true(place: tuple[Machine, Witness]) -> None:
    """183, 2 and 1312 come when they should, and 1312 with its cause."""
    machine, _ = place
    ca = CertificateAuthority.create("mlsssl real Windows test", key="rsa-2048")
    entry = machine.store("MY").add(ca.issue("mlsssl-test.example"))
    binding = Binding(IP_KEY, entry, app_id=APP_ID, machine=machine).add()
    with pytest.raises(BindingExistsError):
        binding.add()
    binding.remove()
    with pytest.raises(NotFoundError):
        binding.remove()
    with pytest.raises(UnusableCertificateError) as caught:
        Binding(IP_KEY, ca.issue("mlsssl-test.example"), app_id=APP_ID, machine=machine).add()
    assert caught.value.diagnosis


def test_what_is_reserved_is_what_netsh_shows(place: tuple[Machine, Witness]) -> None:
    """Added, replaced, removed: after each step the witness says the same, and the codes come when they should.

    The words of the access list are Windows' own: it keeps a descriptor, not its text.
    """
    machine, _ = place

    def witness() -> list[str]:
        shown = _shown("urlacl") if REAL else format_urlacl_listing(one.record for one in machine.reservations)
        return [record.sddl for record in parse_urlacl_listing(shown).records if record.url.written == URL]

    with contextlib.suppress(ReservationNotFoundError):  # of a run that was ended
        UrlReservation.get(URL, machine=machine).remove()
    try:
        made = machine.reservations.add(URL, user="S-1-5-20")
        (seen,) = witness()
        assert same(seen, "D:(A;;GX;;;S-1-5-20)")
        with pytest.raises(ReservationExistsError):
            made.add()
        read = machine.reservations[URL]
        assert read.sddl == seen
        assert [grant.sid for grant in read.grants] == ["S-1-5-20"]
        read.with_user(["S-1-5-18", "S-1-5-20"], delegate=True).update()
        (seen,) = witness()
        assert same(seen, "D:(A;;GA;;;S-1-5-18)(A;;GA;;;S-1-5-20)")
    finally:
        machine.reservations[URL].remove()
    assert witness() == []
    with pytest.raises(ReservationNotFoundError):
        made.remove()
