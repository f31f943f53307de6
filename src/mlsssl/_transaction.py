"""Changes of a machine that are whole whatever happens: the one way in which a binding is replaced, and the way back.

The point of no return is the binding: once it is the new record the change is finished forwards, before that it is
taken back. Both are done by looking at the machine, not by believing how far the killed process came, so both may be
done twice.
"""

from __future__ import annotations

import contextlib
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509

from mlsssl import _journal, _trail
from mlsssl._pki.pem import FOREIGN_ERRORS
from mlsssl.errors import AccessDeniedError, BindingError, BindingNotFoundError, MlssslError, StoreNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlsssl._journal import Addition, Change, Journal
    from mlsssl._ports import BindingRecord, BindingsPort, MachinePort, StorePort, StoreRecord
    from mlsssl.values import BindingKey, Thumbprint

LOCK = "change"
"""The machine's lock that every change of bindings by this library holds."""

LOCK_TIMEOUT = 60.0
"""Seconds to wait for somebody else's change."""

FAILURES: tuple[type[BaseException], ...] = (Exception, KeyboardInterrupt, SystemExit)
"""What is undone at once. Anything else is the end of the process, which touches nothing more on its way out."""

NOTHING: Callable[[str], None] = lambda line: None  # noqa: E731  # a default argument


def journal_of(port: MachinePort) -> Journal:
    """The machine's journal."""
    return _journal.Journal(port.state_folder)


@contextlib.contextmanager
def changing(port: MachinePort, *, timeout: float = LOCK_TIMEOUT) -> Iterator[Journal]:
    """Hold the machine's lock, with whatever a killed change left finished or taken back first.

    Raises:
        BindingError: somebody else holds the lock for longer than `timeout` seconds.
        MlssslError: what was left could not be cleared up; nothing else was done.
    """
    with port.lock(LOCK, timeout=timeout):
        journal = journal_of(port)
        recovered = recover(port, journal)
        if recovered.done or recovered.problems:
            import logging

            for line in (*recovered.done, *recovered.problems):
                logging.getLogger("mlsssl").warning("%s: %s", port.description, line)
        yield journal


@contextlib.contextmanager
def looking(port: MachinePort) -> Iterator[Journal]:
    """As `changing`, for who may change nothing: what a killed change left is an error, and stays.

    Raises:
        BindingError: somebody else holds the lock; or a change is not finished.
        MalformedDataError: the journal is damaged.
    """
    with port.lock(LOCK, timeout=LOCK_TIMEOUT):
        if (found := unsettled(port)) is not None:
            raise found[0]
        yield journal_of(port)


def unsettled(port: MachinePort) -> tuple[BindingError, BindingKey | None] | None:
    """For who may only look, and clears nothing up: an error that tells of an unfinished change, and the key of that.

    None when there is none. The key's binding is not what it will be then, and without an atomic update there may be
    none at all for the moment. A user who may not read the state folder (on Windows: no administrator) is not told,
    and could not change anything either.

    Raises:
        MalformedDataError: the journal is damaged.
    """
    try:
        change = journal_of(port).pending()
    except AccessDeniedError:
        return None
    if change is None:
        return None
    error = BindingError(
        f"{change.title} is not finished: it still runs, or its process has ended. What is found now may be neither "
        "the old state nor the new one; run `mlsssl recover` (the next deploy, renew or update does the same), then "
        "look again"
    )
    return error, change.key


def same_store(one: str | None, other: str | None) -> bool:
    """Whether two store names of binding records mean the same store: no name is MY, and case does not count."""
    return (one or "MY").casefold() == (other or "MY").casefold()


# -- replacing a binding ------------------------------------------------------------------------------------------


def add_record(port: MachinePort, record: BindingRecord) -> None:
    """`BindingsPort.add` under the machine's lock.

    Raises:
        BindingError: somebody else is changing the machine's bindings; and all that `BindingsPort.add` raises.
    """
    with changing(port):
        port.bindings.add(record)


def remove_record(port: MachinePort, key: BindingKey) -> None:
    """`BindingsPort.remove` under the machine's lock.

    Raises:
        BindingError: somebody else is changing the machine's bindings; and all that `BindingsPort.remove` raises.
    """
    with changing(port):
        port.bindings.remove(key)


def replace_record(port: MachinePort, record: BindingRecord, *, expected: BindingRecord | None = None) -> None:
    """Replace the record of a key, under the machine's lock.

    Args:
        port: The machine.
        record: What it shall be.
        expected: What it must be now; anything when not given.

    Raises:
        BindingNotFoundError: nothing is bound to the key.
        BindingError: somebody else is changing the machine's bindings; or the record is not as expected.
        MlssslError: as `exchange`.
    """
    with changing(port) as journal:
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
        exchange(port, journal, before, record)


def exchange(port: MachinePort, journal: Journal, before: BindingRecord, after: BindingRecord) -> None:
    """Make `before`, which is there now, into `after`; the caller holds the machine's lock.

    At once where the machine can, else by deleting and setting under the journal.

    Raises:
        BindingError: it failed, and so did taking it back: the message says what is bound now and what to do.
        MlssslError: as `BindingsPort.add`; the old record is in force.
    """
    if port.bindings.atomic_update:
        port.bindings.update(after)
        return
    change = _journal.begun("update", before.key, before=before, after=after)
    journal.begin(change)
    try:
        put(port.bindings, before, after)
    except FAILURES as error:
        try:
            take_back(port, change)
            journal.finish(change, keep=False)
        except MlssslError as second:
            message = _left(port, change, error, second)
            if isinstance(error, Exception):
                raise BindingError(message) from error
            import logging  # KeyboardInterrupt and SystemExit are the caller's own

            logging.getLogger("mlsssl").error("%s: %s", port.description, message)
        raise
    journal.finish(change, keep=False)


def _left(port: MachinePort, change: Change, error: BaseException, second: MlssslError) -> str:
    """What to say when an update failed and could not be taken back either."""
    assert change.key is not None
    try:
        current = port.bindings.find(change.key)
    except MlssslError:
        state = f"what is bound to {change.key} now cannot be read"
    else:
        state = f"{change.key} has another binding now"
        if current is None:
            state = f"nothing is bound to {change.key} now"
        elif current == change.before:
            state = f"the old binding of {change.key} is in force"
        elif has_happened(change, current):
            state = f"the new binding of {change.key} is in force"
    return (
        f"{state}: the update failed ({str(error) or type(error).__name__}), and taking it back failed too ({second}). "
        f"The old record is kept in {port.state_folder}; once the reason is gone, run `mlsssl recover`, which puts it "
        "back (the next deploy, renew or update does the same)"
    )


def put(bindings: BindingsPort, before: BindingRecord | None, after: BindingRecord | None) -> None:
    """Make `before`, which is there now, into `after`; each may be None for nothing.

    Where the machine has no atomic update there is a moment with nothing bound, so the caller's journal has both. All
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
            with contextlib.suppress(MlssslError):  # the first error says more, and the journal has both
                bindings.add(before)
            raise


def has_happened(change: Change, current: BindingRecord | None) -> bool:
    """Whether the binding is the one that `change` has set.

    Its certificate decides when that is a new one: a system may give a record back in another spelling than it took
    (an option that it does not know, say), and that is still our record.
    """
    if current is None or change.after is None or current == change.before:
        return False
    if current == change.after:
        return True
    before = None if change.before is None else change.before.thumbprint
    return current.thumbprint == change.after.thumbprint != before and current.app_id == change.after.app_id


# -- taking back --------------------------------------------------------------------------------------------------


def take_back(port: MachinePort, change: Change, *, say: Callable[[str], None] = NOTHING) -> None:
    """Bring the machine back to how it was before `change`; may be called again after it failed or was killed.

    Certificates that the change added go with their keys, unless a binding uses them meanwhile. A binding that
    somebody else has changed since is left as it is. A key that was linked but unusable before stays usable.

    Args:
        port: The machine.
        change: What to take back.
        say: Called with a line for each thing done.

    Raises:
        MlssslError: the machine refused something; the rest was not tried.
    """
    if change.key is not None and change.before != change.after:
        for line in port.bindings.recover():  # first, for it names the certificate that is to go
            say(line)
        current = port.bindings.find(change.key)
        if current is None and change.before is not None:
            port.bindings.add(change.before)
            say(f"bound {change.key} to {change.before.thumbprint} again")
        elif current is not None and has_happened(change, current):
            put(port.bindings, current, change.before)
            gone = change.before is None
            say(
                f"unbound {change.key}"
                if gone
                else f"bound {change.key} to {change.before and change.before.thumbprint} again"
            )
        elif current != change.before:
            say(f"left {change.key} alone: somebody else has changed it since")
    for mark in reversed(change.marks):
        _set_mark(port, mark.store, mark.thumbprint, expected=mark.after, wanted=mark.before)
    for addition in reversed(change.additions):
        _take_back_addition(port, change, addition, say)


def _set_mark(
    port: MachinePort, store: str, thumbprint: Thumbprint, *, expected: Thumbprint | None, wanted: Thumbprint | None
) -> None:
    with opened(port, store) as found:
        record = found.find(thumbprint) if found is not None else None
        if found is not None and record is not None and record.renewed_by == expected != wanted:
            found.set_renewed_by(thumbprint, wanted)


def _take_back_addition(port: MachinePort, change: Change, addition: Addition, say: Callable[[str], None]) -> None:
    with opened(port, addition.store) as store:
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
    subject = x509.load_der_x509_certificate(record.certificate).subject
    for binding in bindings:
        assert binding.thumbprint is not None
        if binding.thumbprint in change.bound:
            continue
        with opened(port, binding.store_name or "MY") as store:
            served = store.find(binding.thumbprint) if store is not None else None
        if served is not None and _issuer(served) == subject:
            return f"it issued the certificate of {binding.key}"
    return None


def _issuer(record: StoreRecord) -> x509.Name | None:
    try:
        return x509.load_der_x509_certificate(record.certificate).issuer
    except FOREIGN_ERRORS:
        return None  # somebody else's damaged certificate


@contextlib.contextmanager
def opened(port: MachinePort, name: str) -> Iterator[StorePort | None]:
    """A LocalMachine store opened for changing; None when it does not exist."""
    try:
        store = port.open_store(name, "LocalMachine", write=True)
    except StoreNotFoundError:
        yield None
        return
    with closing(store):
        yield store


# -- finishing ----------------------------------------------------------------------------------------------------


def finish_forwards(port: MachinePort, change: Change) -> None:
    """What is left to do once the binding is the new one: the renewal marks."""
    for mark in change.marks:
        _set_mark(port, mark.store, mark.thumbprint, expected=mark.before, wanted=mark.after)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What `recover` did.

    Attributes:
        done: A line for each thing done.
        problems: What a person must look after: a service that does not start, an audit trail that is gone. Not
            reasons to keep the journal, for doing it again would not help.
    """

    done: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def recover(port: MachinePort, journal: Journal) -> Recovery:
    """Finish or take back what a killed process left. The caller holds the lock.

    Raises:
        MalformedDataError: the journal is damaged.
        MlssslError: the machine refused; the journal is still there, and the next call tries again.
    """
    change = journal.pending()
    if change is None:
        return Recovery()
    done: list[str] = []
    current = None if change.key is None else port.bindings.find(change.key)
    forwards = not change.back and has_happened(change, current)
    if forwards:
        finish_forwards(port, change)
        done.append(f"finished {change.title}")
    else:
        take_back(port, change, say=done.append)
        done.insert(0, f"took back {change.title}" if change.verb != "undo" else f"finished {change.title}")
    done += port.recover()  # the keys of a killed `add`
    started, problems = start_services(port, change)
    done += started
    succeeded = forwards or change.verb == "undo"
    try:
        _trail.add(change, result="done" if succeeded else "failed", reason="recovered after the process had ended")
    except MlssslError as error:
        problems.append(str(error))
    journal.finish(change, keep=forwards)
    if change.verb == "undo" and change.key is not None:
        journal.forget(change.key)
    return Recovery(done=tuple(done), problems=tuple(problems))


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
