"""What the sweeps do to a machine, call by call, and what must be true of it afterwards, whatever machine it is."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import os
import shutil
import sys
import tempfile
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlsssl import (
    Binding,
    BindingOptions,
    CertificateAuthority,
    Store,
    UrlReservation,
    cleanup,
    deploy,
    last_outcome,
    recover,
    renew,
)
from mlsssl.errors import StoreError
from mlsssl.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlsssl import Certificate, KeyType
    from mlsssl._machine.ports import BindingRecord, MachinePort, ReservationRecord
    from mlsssl.values import Thumbprint

KEY = "0.0.0.0:443"
ALSO = ("[::]:443", "a.test:8443")
URL = "https://+:443/sweep/"
READER = "NETWORK SERVICE"
OWNER = uuid.UUID("11111111-2222-3333-4444-555555555555")
# A bit without a name too, where the machine takes one: HTTP.sys answers 87 to a bit that it does not know.
UNKNOWN = 0 if sys.platform == "win32" else 0x4000_0000
OPTIONS = BindingOptions(negotiate_client_certificate=True, http2=False, unknown_flags=UNKNOWN)


@contextlib.contextmanager
def fast_place(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is such a place: thousands of runs, each of which flushes to disk many times."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    # A name of its own: a killed session leaves its folder behind, and Wine gives process ids out again.
    folder = Path(tempfile.mkdtemp(prefix="mlsssl-sweep-", dir=memory))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


# Wine 8 keeps no CNG keys, and the older provider knows RSA only.
KEY_TYPE: KeyType = "rsa-2048" if sys.platform == "win32" else "ec-p256"


@functools.cache
def authority() -> CertificateAuthority:
    """The root of everything here."""
    return CertificateAuthority.create("Sweep root", key=KEY_TYPE)


@functools.cache
def certificates() -> tuple[Certificate, Certificate]:
    """An old certificate under the root, and a new one for the same name under an intermediate."""
    below = authority().create_intermediate("Sweep intermediate", key=KEY_TYPE)
    return authority().issue("a.test"), below.issue("a.test")


@dataclass(frozen=True, slots=True)
class Scenario:
    """One thing to do.

    Attributes:
        name: For the test's id.
        prepare: Brings a fresh machine to where it starts.
        act: What is swept.
        atomic: Whether the machine has an atomic update.
    """

    name: str
    prepare: Callable[[Machine], object]
    act: Callable[[Machine], object]
    atomic: bool = True


def _nothing(_: Machine) -> None:
    """A fresh machine."""


def _bound(machine: Machine) -> None:
    deploy(KEY, certificates()[0], machine=machine, app_id=OWNER, options=OPTIONS, friendly_name="Old")


def _deploy(machine: Machine) -> None:
    deploy(KEY, certificates()[1], machine=machine, trust_root=True)


def _renew(machine: Machine) -> None:
    renew(KEY, certificates()[1], machine=machine, grace=dt.timedelta(0))


def _renewed(machine: Machine) -> None:
    _bound(machine)
    _renew(machine)


def _undo(machine: Machine) -> None:
    outcome = last_outcome(KEY, machine=machine)
    if outcome is not None:  # a second run may find it undone
        outcome.undo()


def _cleanup(machine: Machine) -> None:
    for kept in cleanup(machine=machine, grace=dt.timedelta(0)).kept:
        if "was not looked into" in kept.reason:
            raise StoreError(kept.reason)  # said, as an error would say it


def _bound_and_read(machine: Machine) -> None:
    deploy(KEY, certificates()[0], machine=machine, app_id=OWNER, options=OPTIONS, key_access=[READER])


def _grant(machine: Machine) -> None:
    """Nothing but rights, on a key that is there."""
    deploy(KEY, certificates()[0].thumbprint, machine=machine, key_access=[READER, "LOCAL SERVICE"])


def _granted(machine: Machine) -> None:
    _bound_and_read(machine)
    _grant(machine)


def _update(machine: Machine) -> None:
    Binding.get(KEY, machine=machine).with_options(BindingOptions()).update()


def _bound_everywhere(machine: Machine) -> None:
    _bound(machine)
    Store.open("WebHosting", machine=machine, create=True).close()
    deploy(ALSO[0], certificates()[0], machine=machine, app_id=OWNER, options=BindingOptions(http2=False))
    deploy(ALSO[1], certificates()[0], machine=machine, app_id=OWNER, store="WebHosting", key_access=[READER])


def _renew_everywhere(machine: Machine) -> None:
    renew(KEY, certificates()[1], machine=machine, grace=dt.timedelta(0), everywhere=True)


def _renewed_everywhere(machine: Machine) -> None:
    _bound_everywhere(machine)
    _renew_everywhere(machine)


def _undo_everywhere(machine: Machine) -> None:
    outcome = last_outcome(ALSO[1], machine=machine)  # which any of its keys finds
    if outcome is not None:
        outcome.undo()


def _reserved(machine: Machine) -> None:
    _bound(machine)
    UrlReservation(URL, user="Everyone", machine=machine).add()


def _deploy_and_reserve(machine: Machine) -> None:
    deploy(KEY, certificates()[1], machine=machine, reserve=URL, user=["NETWORK SERVICE", "LOCAL SERVICE"])


def _deployed_and_reserved(machine: Machine) -> None:
    _reserved(machine)
    _deploy_and_reserve(machine)


def _reserve_anew(machine: Machine) -> None:
    UrlReservation.get(URL, machine=machine).with_user("SYSTEM", delegate=True).update()


SCENARIOS = (
    Scenario("deploy-first", _nothing, _deploy),
    Scenario("deploy-over", _bound, _deploy),
    Scenario("deploy-over-2016", _bound, _deploy, atomic=False),
    Scenario("renew", _bound, _renew),
    Scenario("renew-2016", _bound, _renew, atomic=False),
    Scenario("undo", _renewed, _undo),
    Scenario("undo-2016", _renewed, _undo, atomic=False),
    Scenario("cleanup", _renewed, _cleanup),
    Scenario("renew-read", _bound_and_read, _renew),
    Scenario("renew-read-2016", _bound_and_read, _renew, atomic=False),
    Scenario("grant", _bound_and_read, _grant),
    Scenario("undo-grant", _granted, _undo),
    Scenario("update-2016", _bound, _update, atomic=False),
    Scenario("renew-everywhere", _bound_everywhere, _renew_everywhere),
    Scenario("renew-everywhere-2016", _bound_everywhere, _renew_everywhere, atomic=False),
    Scenario("undo-everywhere", _renewed_everywhere, _undo_everywhere),
    Scenario("undo-everywhere-2016", _renewed_everywhere, _undo_everywhere, atomic=False),
    Scenario("reserve-first", _bound, _deploy_and_reserve),
    Scenario("reserve-over", _reserved, _deploy_and_reserve),
    Scenario("reserve-over-2016", _reserved, _deploy_and_reserve, atomic=False),
    Scenario("reserve-undo", _deployed_and_reserved, _undo),
    Scenario("reserve-update", _reserved, _reserve_anew),
)


@dataclass(frozen=True, slots=True)
class Picture:
    """A machine as its port shows it: everything that a deployment may touch."""

    binding: BindingRecord | None
    others: frozenset[BindingRecord]
    certificates: frozenset[tuple[str, Thumbprint, str | None, bool, Thumbprint | None, frozenset[str]]]
    """Store, thumbprint, friendly name, whether the key is usable, the mark, and who may read the key."""
    reservations: tuple[ReservationRecord, ...]

    @property
    def without_owner(self) -> Picture:
        """The same for a binding whose owner is a random GUID each time."""
        record = None if self.binding is None else replace(self.binding, app_id=OWNER)
        return replace(self, binding=record)

    @property
    def keyed(self) -> frozenset[tuple[str, Thumbprint]]:
        """Certificates with a usable key."""
        return frozenset((store, thumbprint) for store, thumbprint, _, key, *_ in self.certificates if key)


def picture(port: MachinePort) -> Picture:
    """Look at the machine."""
    machine = Machine(port)
    binding = Binding.find(KEY, machine=machine)
    found = frozenset(
        (
            name.upper(),
            entry.thumbprint,
            entry.friendly_name,
            entry.has_private_key,
            entry.renewed_by,
            frozenset(one.sid for one in entry.key_access if one.may_read),
        )
        for name in port.store_names("LocalMachine")
        if name.upper() in ("MY", "CA", "ROOT", "WEBHOSTING")
        for entry in machine.store(name)
    )
    others = frozenset(one for one in port.bindings.all() if str(one.key) in ALSO)
    record = None if binding is None else binding.record
    return Picture(record, others, found, tuple(port.reservations.all()))


def check_whole(
    port: MachinePort, scenario: Scenario, before: Picture, after: Picture, *, count_keys: Callable[[], int]
) -> str:
    """Recover, and say which of the two states the machine is in; it must be one of them, whole.

    Args:
        port: The machine, healthy again.
        scenario: What was done.
        before: The machine before it.
        after: The machine after an undisturbed run.
        count_keys: How many private keys lie on the machine, looked at from behind the port.

    Returns:
        `old` or `new`.
    """
    now = picture(port)
    allowed = {before.without_owner.binding, after.without_owner.binding}
    if scenario.atomic:
        # Not even before recovery is there a moment without the binding.
        assert now.without_owner.binding in allowed
        assert {one.key for one in now.others} == {one.key for one in before.others}
        assert now.others <= before.others | after.others
    lost = before.keyed - now.keyed
    assert lost <= before.keyed - after.keyed, "a certificate lost its key, or was lost, that should not be"
    machine = Machine(port)
    recover(machine=machine)
    now = picture(port)
    assert now.without_owner in (before.without_owner, after.without_owner)
    assert {str(record.key) for record in port.bindings.all()} <= {KEY, *ALSO}, (
        "a record that was only tried out was left"
    )
    assert port.recover() == [], "an orphan key was left"
    assert count_keys() == len(now.keyed), "an orphan key was left"
    assert recover(machine=machine) == []
    assert not list(port.state_folder.glob("change*.json"))
    return "new" if now.without_owner == after.without_owner else "old"


def check_second_run(port: MachinePort, scenario: Scenario, after: Picture) -> None:
    """Doing it again succeeds, from wherever the disturbed run has left the machine."""
    scenario.act(Machine(port))
    assert picture(port).without_owner == after.without_owner
