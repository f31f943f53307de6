"""Changes of a machine that are whole whatever happens: the one way in which a binding is replaced, and the way back.

The point of no return is the binding: once it is the new record the change is finished forwards, before that it is
taken back. Both are done by looking at the machine, not by believing how far the killed process came, so both may be
done twice. One that the machine lets nobody do either way stays pending, in the way of its own key only.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mlsssl._changes import audit_log
from mlsssl._changes.record import Change, ChangeRecords, ReservationChange
from mlsssl._formats import pem
from mlsssl._machine import stores
from mlsssl._machine.ports import refuse_ccs_options
from mlsssl._messages.foreign_text import clean_logger
from mlsssl.errors import (
    AccessDeniedError,
    BindingError,
    BindingNotFoundError,
    InvalidInputError,
    MalformedDataError,
    MlssslError,
    ReservationError,
    ReservationNotFoundError,
    StoreNotFoundError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cryptography import x509

    from mlsssl._changes.record import Addition, Grant, Pending
    from mlsssl._formats.binding_keys import BindingKey
    from mlsssl._formats.url_prefixes import UrlPrefix
    from mlsssl._machine.ports import (
        BindingRecord,
        BindingsPort,
        Diagnosis,
        MachinePort,
        ReservationRecord,
        ReservationsPort,
        StoreRecord,
    )
    from mlsssl.values import Thumbprint

LOCK = "change"
"""The machine's lock that every change of bindings by this library holds."""

LOCK_TIMEOUT = 60.0
"""Seconds to wait for somebody else's change."""

FAILURES: tuple[type[BaseException], ...] = (Exception, KeyboardInterrupt, SystemExit)
"""What is undone at once. Anything else is the end of the process, which touches nothing more on its way out."""


@contextlib.contextmanager
def looking(port: MachinePort) -> Iterator[ChangeRecords]:
    """Hold the machine's lock, with what a killed change left still in its records; `BindingError` after a minute."""
    with port.lock(LOCK, timeout=LOCK_TIMEOUT) as folder:
        yield ChangeRecords(folder)


@contextlib.contextmanager
def changing(port: MachinePort, key: BindingKey | UrlPrefix | None = None) -> Iterator[ChangeRecords]:
    """Hold the machine's lock, with whatever a killed change left finished or taken back first, as far as that goes.

    `BindingError` as `looking`, or when a change of this very key can be neither finished nor taken back.
    """
    with looking(port) as records:
        for one in _recover_and_log(port, records).stuck:
            if one.pending.is_about(key):
                raise BindingError(f"nothing was done: {one.text}") from one.error
        yield records


@contextlib.contextmanager
def recovered_first(port: MachinePort) -> Iterator[list[tuple[BindingKey | None, BindingError]]]:
    """As `changing`, whichever key is to be changed: what is still pending is told, as by `not_ended`."""
    with looking(port) as records:
        recovered = _recover_and_log(port, records)
        yield _with_keys([(one.pending, one.text) for one in recovered.stuck])


def _recover_and_log(port: MachinePort, records: ChangeRecords) -> Recovery:
    recovered = recover(port, records)
    for line in (*recovered.done, *recovered.problems, *(one.text for one in recovered.stuck)):
        clean_logger("mlsssl").warning("%s: %s", port.description, line)
    return recovered


def left_over(port: MachinePort) -> tuple[tuple[Pending, ...], bool]:
    """For who only looks: the changes that are pending, and whether one of them may be running right now.

    `AccessDeniedError` when this user may not look into the state folder.
    """
    records = ChangeRecords(port.state_folder)
    if not records.pending():
        return (), False
    try:
        with port.lock(LOCK, timeout=0):
            return records.pending(), False
    except (BindingError, AccessDeniedError):
        return records.pending(), True


def not_ended(port: MachinePort) -> list[tuple[BindingKey | None, BindingError]]:
    """For who only looks: each pending change's key (None: it has none to read) and an error that tells of it."""
    with contextlib.suppress(AccessDeniedError):  # who may not look there could not see to it either
        found = [(one, f"{one.title} has begun and not ended: run `mlsssl.recover()`") for one in left_over(port)[0]]
        return _with_keys(found)
    return []


def refuse_pending(port: MachinePort, key: BindingKey) -> None:
    """For who only looks: raise what `pending_of` has to say."""
    error = pending_of(port, key)
    if error is not None:
        raise error


def pending_of(port: MachinePort, key: BindingKey) -> BindingError | None:
    """For who only looks: what there is to say about a change of this key that has begun and not ended, or None."""
    return next((error for one, error in not_ended(port) if one == key), None)


def _with_keys(found: list[tuple[Pending, str]]) -> list[tuple[BindingKey | None, BindingError]]:
    return [
        (key, BindingError(text))
        for one, text in found
        for key in (one.change.keys if one.change is not None else ()) or (None,)
    ]


# -- replacing a binding ------------------------------------------------------------------------------------------


def add_record(port: MachinePort, record: BindingRecord) -> None:
    """`BindingsPort.add` under the machine's lock; errors as `changing` too."""
    with changing(port, record.key):
        port.bindings.add(record)


def remove_record(port: MachinePort, key: BindingKey) -> None:
    """`BindingsPort.remove` under the machine's lock; errors as `changing` too."""
    with changing(port, key):
        port.bindings.remove(key)


def replace_record(port: MachinePort, record: BindingRecord, *, expected: BindingRecord | None = None) -> None:
    """Replace the record of a key, under the machine's lock; `BindingError` when it is not as `expected`."""
    with changing(port, record.key) as records:
        if expected is None and port.bindings.atomic_update:
            port.bindings.update(record)  # looks for nothing first: a record that cannot be read can be replaced
            return
        before = port.bindings.find(record.key)
        if before is None:
            raise BindingNotFoundError(f"nothing is bound to {record.key} (2, ERROR_FILE_NOT_FOUND); add it instead")
        if expected is not None and before != expected:
            raise BindingError(
                f"{record.key} was changed since this binding was read; nothing was done, for that change would be "
                "lost: read the binding again and change that one"
            )
        exchange(port, records, before, record)


def exchange(port: MachinePort, records: ChangeRecords, before: BindingRecord, after: BindingRecord) -> None:
    """Make `before`, which is there now, into `after`; the caller holds the machine's lock.

    At once where the machine can, else by deleting and setting, with a record of it on disk. After an error the old
    record is in force, except after a `BindingError` that says what is bound now.
    """
    if port.bindings.atomic_update:
        port.bindings.update(after)
        return
    after = replace(after, key=before.key)  # in the spelling that the machine has
    refuse_ccs_options(after)
    try:
        refuse_ccs_options(before)
    except InvalidInputError:  # what could not be put back is not taken away
        raise BindingError(
            f"nothing was done: what is bound to {before.key} has options ({before.options!r}), which could not be put "
            "back if this Windows refused the new record, and it changes none in one step; remove it, and add it anew"
        ) from None
    change = Change("update", before.key, before=before, after=after)
    records.begin(change)
    done: list[str] = []
    try:
        put(port.bindings, before, after)
    except FAILURES as error:
        try:
            take_back(port, change, say=done.append)
            records.finish(change, keep=False)
        except MlssslError as second:
            message = (
                f"{in_force(port, change)}: the update failed ({str(error) or type(error).__name__}), and taking it "
                f"back failed too ({second}). The old record is kept in {port.state_folder}; once the reason is gone, "
                "run `mlsssl.recover()`, which puts it back (the next deploy, renew or update does the same)"
            )
            if isinstance(error, Exception):
                raise BindingError(message) from error
            # KeyboardInterrupt and SystemExit are the caller's own.
            clean_logger("mlsssl").error("%s: %s", port.description, message)
        raise
    records.finish(change, keep=False)


# -- replacing a reservation --------------------------------------------------------------------------------------


def add_reservation(port: MachinePort, record: ReservationRecord) -> None:
    """`ReservationsPort.add` under the machine's lock; errors as `changing` too."""
    with changing(port, record.url):
        port.reservations.add(record)


def remove_reservation(port: MachinePort, url: UrlPrefix) -> None:
    """`ReservationsPort.remove` under the machine's lock; errors as `changing` too."""
    with changing(port, url):
        port.reservations.remove(url)


def replace_reservation(
    port: MachinePort, record: ReservationRecord, *, expected: ReservationRecord | None = None
) -> None:
    """Replace the reservation of a prefix, under the machine's lock; `ReservationError` when it is not as `expected`.

    No machine does that in one step, so a record of it is on disk meanwhile. After an error the old one is in force,
    except after a `ReservationError` that says what is reserved now.
    """
    with changing(port, record.url) as records:
        before = port.reservations.find(record.url)
        if before is None:
            raise ReservationNotFoundError(f"{record.url} is not reserved (2, ERROR_FILE_NOT_FOUND); add it instead")
        if expected is not None and not reservation_is(before, expected):
            raise ReservationError(
                f"the reservation of {record.url} was changed since it was read; nothing was done, for that change "
                "would be lost: read it again and change that one"
            )
        after = replace(record, url=before.url)  # in the spelling that the machine has
        if before == after:
            return
        change = Change("update", None, reservation=ReservationChange(url=before.url, before=before, after=after))
        records.begin(change)
        try:
            put_reservation(port.reservations, before, after)
        except FAILURES as error:
            try:
                take_back(port, change, say=lambda _line: None)
                records.finish(change, keep=False)
            except MlssslError as second:
                message = (
                    f"the update of the reservation of {record.url} failed ({str(error) or type(error).__name__}), and "
                    f"taking it back failed too ({second}). The old one is kept in {port.state_folder}; once the "
                    "reason is gone, run `mlsssl.recover()`, which puts it back"
                )
                if isinstance(error, Exception):
                    raise ReservationError(message) from error
                clean_logger("mlsssl").error("%s: %s", port.description, message)
            raise
        records.finish(change, keep=False)


def put_reservation(
    reservations: ReservationsPort, before: ReservationRecord | None, after: ReservationRecord | None
) -> None:
    """Make `before`, which is there now, into `after`; each may be None for nothing.

    A machine that refuses `after` gets `before` back at once. The caller has a record of both on disk.
    """
    if before is not None:
        reservations.remove(before.url)
    if after is not None:
        try:
            reservations.add(after)
        except FAILURES:
            if before is not None:
                with contextlib.suppress(MlssslError):  # the first error says more, and the record has both
                    reservations.add(before)
            raise


def reservation_is(current: ReservationRecord | None, wanted: ReservationRecord | None) -> bool:
    """Whether a reservation is as it was wanted: a system may give its access list back in other words."""
    if current is None or wanted is None:
        return current is wanted
    from mlsssl._formats import sddl  # most changes are of no reservation

    return current.url == wanted.url and sddl.same(current.sddl, wanted.sddl)


def _take_back_reservation(port: MachinePort, change: ReservationChange, say: Callable[[str], None]) -> None:
    current = port.reservations.find(change.url)
    if reservation_is(current, change.before):
        return
    if current is not None and not reservation_is(current, change.after):
        say(f"left the reservation of {change.url} alone: somebody else has changed it since")
        return
    put_reservation(port.reservations, current, change.before)
    say(f"removed the reservation of {change.url}" if change.before is None else f"reserved {change.url} as before")


# -- replacing a binding, continued -------------------------------------------------------------------------------


def in_force(port: MachinePort, change: Change) -> str:
    """Which binding is in force after a change that has stopped half-way, in words."""
    assert change.key is not None
    return ", ".join(_in_force(port, key, *pair) for key, pair in zip(change.keys, change.bindings, strict=True))


def _in_force(port: MachinePort, key: BindingKey, before: BindingRecord | None, after: BindingRecord | None) -> str:
    try:
        current = port.bindings.find(key)
    except MlssslError:
        return f"what is bound to {key} now cannot be read"
    if current is None:
        return f"nothing is bound to {key} now"
    if current == before:
        return f"the old binding of {key} is in force"
    if has_happened(before, after, current):
        return f"the new binding of {key} is in force"
    return f"{key} has another binding now"


def put(bindings: BindingsPort, before: BindingRecord | None, after: BindingRecord | None) -> None:
    """Make `before`, which is there now, into `after`; each may be None for nothing.

    Where the machine has no atomic update there is a moment with nothing bound, so the caller's record has both. All
    waiting, and whatever refusal can be known before, comes before that moment. A machine that then refuses `after`
    all the same gets `before` back at once.
    """
    if before is None:
        if after is not None:
            bindings.add(after)
    elif after is None:
        bindings.remove(before.key)
    elif bindings.atomic_update:
        bindings.update(after)
    else:
        bindings.try_out(after)
        bindings.remove(before.key)
        try:
            bindings.add(after, retry=False)
        except FAILURES:
            with contextlib.suppress(MlssslError):  # the first error says more, and the record has both
                bindings.add(before)
            raise


def has_happened(before: BindingRecord | None, after: BindingRecord | None, current: BindingRecord | None) -> bool:
    """Whether the binding is the one that a change from `before` to `after` has set.

    Its certificate decides when that is a new one: a system may give a record back in another spelling than it took
    (an option that it does not know, say), and that is still our record.
    """
    if current is None or after is None or current == before:
        return False
    if current == after:
        return True
    old = None if before is None else before.thumbprint
    return current.thumbprint == after.thumbprint != old and current.app_id == after.app_id


# -- taking back --------------------------------------------------------------------------------------------------


def take_back(port: MachinePort, change: Change, *, say: Callable[[str], None]) -> None:
    """Bring the machine back to how it was before `change`; may be called again after it failed or was killed.

    Certificates that the change added go with their keys, unless a binding uses them meanwhile. A binding that
    somebody else has changed since is left as it is. A key that was linked but unusable before stays usable. Stops at
    the first refusal. `say` is called with a line for each thing done.
    """
    changed = [(key, *pair) for key, pair in zip(change.keys, change.bindings, strict=True) if pair[0] != pair[1]]
    if changed:
        for line in port.bindings.recover():  # first, for it names the certificate that is to go
            say(line)
    for key, before, after in changed:
        current = port.bindings.find(key)
        if current != before and (current is None or has_happened(before, after, current)):
            put(port.bindings, current, before)
            say(f"unbound {key}" if before is None else f"bound {key} to {before.thumbprint} again")
        elif current != before:
            say(f"left {key} alone: somebody else has changed it since")
    if change.reservation is not None:
        _take_back_reservation(port, change.reservation, say)
    for mark in reversed(change.marks):
        _set_mark(port, mark.store, mark.thumbprint, expected=mark.after, wanted=mark.before)
    for grant in reversed(change.grants):
        _take_back_grant(port, change, grant, say)
    for addition in reversed(change.additions):
        _take_back_addition(port, change, addition, say)


def _set_mark(
    port: MachinePort, store: str, thumbprint: Thumbprint, *, expected: Thumbprint | None, wanted: Thumbprint | None
) -> None:
    with stores.opened(port, store, write=True) as found:
        record = found.find(thumbprint) if found is not None else None
        if found is not None and record is not None and record.renewed_by == expected != wanted:
            found.set_renewed_by(thumbprint, wanted)


def _take_back_grant(port: MachinePort, change: Change, grant: Grant, say: Callable[[str], None]) -> None:
    with stores.opened(port, grant.store, write=True) as store:
        record = store.find(grant.thumbprint) if store is not None else None
        if store is None or record is None:
            return
        try:
            listed = store.key_access(grant.thumbprint)
        except StoreNotFoundError:  # and nothing else: a key that does not open just now has its list still
            return  # the right went with the key
        for addition in change.additions:
            if addition.thumbprint == grant.thumbprint and addition.role == "leaf" and addition.was == "absent":
                user = _user_of(port, change, addition, record)
                if user is not None:  # it stays, and so does who may read its key
                    return
        if any(one.sid == grant.sid and one.may_read for one in listed):
            store.revoke_key_access(grant.thumbprint, grant.account)
            say(f"{grant.name} may not {grant.what} any more")


def _take_back_addition(port: MachinePort, change: Change, addition: Addition, say: Callable[[str], None]) -> None:
    with stores.opened(port, addition.store, write=True) as store:
        record = store.find(addition.thumbprint) if store is not None else None
        if store is None or (record is None and addition.certificate is None):
            return
        where = f"LocalMachine\\{addition.store}"
        user = None if record is None else _user_of(port, change, addition, record)
        if addition.was == "absent":
            if user is not None:
                say(f"left {addition.thumbprint} in {where}: {user}")
                return
            store.remove(addition.thumbprint, delete_key=True)
            say(f"removed {addition.thumbprint} from {where}")
        elif addition.certificate is not None and user is None:
            # The only way to take a key from a certificate: out, and in again without one.
            if record is not None and record.key is not None:
                store.remove(addition.thumbprint, delete_key=True)
                say(f"took the private key of {addition.thumbprint} in {where} away again")
            name = addition.friendly_name
            store.add(addition.certificate, None, friendly_name=name, exportable=False, provider=None)
            store.set_friendly_name(addition.thumbprint, name)
            store.set_archived(addition.thumbprint, addition.archived)
            store.set_renewed_by(addition.thumbprint, addition.renewed_by)
        elif record is not None and record.friendly_name != addition.friendly_name:
            store.set_friendly_name(addition.thumbprint, addition.friendly_name)


def _user_of(port: MachinePort, change: Change, addition: Addition, record: StoreRecord) -> str | None:
    """Who uses an added certificate now, in words, or None."""
    bindings = [one for one in port.bindings.all() if one.thumbprint is not None]
    for binding in bindings:
        if binding.thumbprint == addition.thumbprint:
            return f"{binding.key} is bound to it"
    if addition.role == "leaf":
        return None
    try:
        subject = pem.load_der(record.certificate).subject
    except MalformedDataError:
        return "whom it issued cannot be read"
    for binding in bindings:
        assert binding.thumbprint is not None
        if binding.thumbprint in change.bound:
            continue
        served = stores.certificate(port, binding.store, binding.thumbprint)
        if served is not None and _issuer(served) == subject:
            return f"it issued the certificate of {binding.key}"
    return None


def _issuer(record: StoreRecord) -> x509.Name | None:
    try:
        return pem.load_der(record.certificate).issuer
    except MalformedDataError:
        return None  # somebody else's damaged certificate


# -- finishing ----------------------------------------------------------------------------------------------------


def finish_forwards(port: MachinePort, change: Change, *, say: Callable[[str], None]) -> None:
    """What is left to do once the binding is the new one: the other bindings, then the renewal marks."""
    bind_others(port, change, say=say)
    for mark in change.marks:
        _set_mark(port, mark.store, mark.thumbprint, expected=mark.before, wanted=mark.after)


def bind_others(port: MachinePort, change: Change, *, say: Callable[[str], None]) -> None:
    """Set the bindings that change together with the first one, which is the new one already."""
    for before, after in change.also:
        current = port.bindings.find(before.key)
        if current is None or (current == before and before != after):
            put(port.bindings, current, after)
            say(f"bound {before.key} to {after.thumbprint}")
        elif not has_happened(before, after, current):
            say(f"left {before.key} alone: somebody else has changed it since")


def why_unusable(port: MachinePort, record: BindingRecord | None) -> tuple[Diagnosis, ...]:
    """Why the machine would refuse this binding, likeliest cause first; empty when it would not."""
    if record is None or record.thumbprint is None:
        return ()
    return port.diagnose(record.thumbprint, record.store)


def why_not_back(port: MachinePort, change: Change) -> Iterator[Diagnosis]:
    """Why the machine would refuse to have one of the old bindings again; nothing when it would not."""
    for before, after in change.bindings:
        if before != after:
            yield from why_unusable(port, before)


def settle(port: MachinePort, change: Change, *, say: Callable[[str], None]) -> bool:
    """Finish `change` or take it back, whichever leaves a binding that works; may be called again.

    Forwards once the binding is the new one, unless it is being taken back; also then, when the old binding cannot be
    set again, for its certificate or key is gone. Back otherwise. Stops at the first refusal. True when the new
    binding is in force: the change was finished, or (an undo) has come to nothing.
    """
    alone = change.reservation if change.key is None and not change.back else None
    if alone is not None and reservation_is(port.reservations.find(alone.url), alone.after):
        return True
    current = None if change.key is None else port.bindings.find(change.key)
    forwards = has_happened(change.before, change.after, current)
    unbound = current is None and change.before is not None and change.after is not None
    if (forwards and change.back) or unbound:
        hopeless = [*why_not_back(port, change)]
        forwards = bool(hopeless) and not (unbound and why_unusable(port, change.after))
        if forwards:
            say(f"kept the new binding of {change.key}, for the old one cannot be set again: {hopeless[0]}")
    if not forwards:
        take_back(port, change, say=say)
        return False
    if current is None and change.after is not None:
        port.bindings.add(change.after)
        say(f"bound {change.key} to {change.after.thumbprint}")
    finish_forwards(port, change, say=say)
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Stuck:
    """A pending change that could not be brought to an end, neither forwards nor back."""

    pending: Pending
    error: Exception
    state: str | None = None
    """Which binding is in force, in words; None where the change is of none that can be read."""

    @property
    def text(self) -> str:
        """What is the matter and what to do, in one sentence."""
        state = "" if self.state is None else f"{self.state}; "
        return (
            f"{self.pending.title} is still pending: {state}{str(self.error) or type(self.error).__name__}; remove the "
            "reason and run `mlsssl.recover()`, or give it up and leave the machine as it is with "
            f"`mlsssl.recover(abandon={self.pending.name!r})`"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What `recover` did: what was pending before, a line for each thing done, and what is still pending (`stuck`)."""

    pending: tuple[Pending, ...]
    done: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """What a person must look after: a service that does not start, say. To do the change again would not help."""
    stuck: list[Stuck] = field(default_factory=list)


def recover(port: MachinePort, records: ChangeRecords, *, abandon: BindingKey | str | None = None) -> Recovery:
    """Finish or take back what killed processes left, each change by itself. The caller holds the lock.

    `abandon` is the change to forget if it can be neither finished nor taken back: its key or its file's name. What
    goes wrong with one change is in the result.
    """
    recovery = Recovery(pending=records.pending())
    for one in recovery.pending:
        try:
            try:
                _recover_one(port, records, one, recovery)
            except Exception:
                if not one.is_about(abandon):
                    raise
                recovery.done.append(_abandon(port, records, one, recovery))
        except Exception as error:  # noqa: BLE001  # whatever it is, it is told, and in no other change's way
            change = one.change
            state = None if change is None or change.key is None else in_force(port, change)
            recovery.stuck.append(Stuck(pending=one, error=error, state=state))
    if recovery.pending:
        try:
            recovery.done.extend(port.recover())  # the keys of a killed `add`
        except MlssslError as error:
            recovery.problems.append(str(error))
    return recovery


def _recover_one(port: MachinePort, records: ChangeRecords, one: Pending, recovery: Recovery) -> None:
    change = one.change
    if change is None:
        assert one.error is not None
        raise one.error
    lines: list[str] = []
    undo = change.verb == "undo"
    try:
        new = settle(port, change, say=lines.append)
        ended = "gave up" if new and undo else "finished" if new or undo else "took back"
        lines.insert(0, f"{ended} {change.title}")
    finally:
        # What stands still for a change runs again, whatever becomes of the change.
        started, down = start_services(port, change)
        recovery.done.extend([*lines, *started])
        recovery.problems.extend(down)
    _tell_audit_log(change, recovery, result="failed" if new == undo else "done")
    if new and change.undoable and change.key is not None:
        found = as_found(port, change)
        if found != change:  # in the spelling that the system has: undo will know no other
            change = found
            records.begin(change, path=one.path)
    records.finish(change, keep=new, path=one.path)
    if undo and not new:
        records.forget(change)


def as_found(port: MachinePort, change: Change) -> Change:
    """The change with its new bindings as the machine has them; one that is gone or another's stays as it was meant."""
    assert change.key is not None
    also = []
    for before, after in change.also:
        current = port.bindings.find(before.key)
        also.append((before, current if current is not None and has_happened(before, after, current) else after))
    return replace(change, after=port.bindings.find(change.key), also=tuple(also))


def _tell_audit_log(change: Change, recovery: Recovery, *, result: str) -> None:
    try:
        audit_log.add(change, result=result, reason="recovered after the process had ended")
    except MlssslError as error:
        recovery.problems.append(str(error))


def _abandon(port: MachinePort, records: ChangeRecords, one: Pending, recovery: Recovery) -> str:
    """Forget a change and leave the machine as it is; what that is, in words."""
    records.abandon(one)
    change = one.change
    if change is None or change.key is None:
        return f"gave up {one.title}; the machine was left as it is"
    _tell_audit_log(change, recovery, result="abandoned")
    left = ", ".join(_bound_to(port, key) for key in change.keys)
    added = [f"{addition.thumbprint} in LocalMachine\\{addition.store}" for addition in change.additions]
    more = f"; what it was to add was left as it is: {', '.join(added)}" if added else ""
    return f"gave up {change.title}; {left}{more}"


def _bound_to(port: MachinePort, key: BindingKey) -> str:
    try:
        current = port.bindings.find(key)
    except MlssslError as error:
        return f"what is bound to {key} cannot be read ({error})"
    return f"{key} is bound to {current.thumbprint}" if current else f"nothing is bound to {key}"


def start_services(port: MachinePort, change: Change) -> tuple[list[str], list[str]]:
    """Ask every service that the change stopped to start: a line for each that was not running, and that refused."""
    started, down = [], []
    for name in reversed(change.services):
        try:
            if port.services.request_start(name):
                started.append(f"started the service {name}")
        except MlssslError as error:
            down.append(f"the service {name} does not start: {error}")
    return started, down
