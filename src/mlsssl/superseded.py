"""`cleanup`: take superseded certificates out with their keys, after their grace, never one that is still bound."""

from __future__ import annotations

import contextlib
import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlsssl._changes import recovery
from mlsssl._changes.record import Change
from mlsssl._changes.superseded_file import SupersededFile
from mlsssl._machine import stores
from mlsssl._messages.arguments import check_callable
from mlsssl._messages.foreign_text import printable
from mlsssl._messages.output import as_dict, to_json
from mlsssl._select.ports import HasPort, existing_port_of
from mlsssl.certificate import Certificate, card_title
from mlsssl.errors import MalformedDataError, MlssslError
from mlsssl.renewal import GRACE, check_grace
from mlsssl.store import Store
from mlsssl.values import check_moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlsssl._changes.record import ChangeRecords
    from mlsssl._changes.superseded_file import Superseded
    from mlsssl._machine.ports import MachinePort, StoreRecord
    from mlsssl.store import StoreEntry
    from mlsssl.values import Thumbprint

__all__ = ["Cleanup", "Kept", "cleanup"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A superseded certificate that stays.

    Attributes:
        entry: The certificate.
        reason: Why, in words.
    """

    entry: StoreEntry
    reason: str


_LAST = dt.datetime.max.replace(tzinfo=dt.timezone.utc)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleanup:
    """What `cleanup` did.

    Attributes:
        removed: Certificates that were taken out with their keys (with `dry_run`: that would be).
        kept: Superseded certificates that stay, with why.
        dry_run: Whether it was only looked at what would be done.
    """

    removed: tuple[StoreEntry, ...]
    kept: tuple[Kept, ...]
    dry_run: bool = False

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON."""
        return {
            "dry_run": self.dry_run,
            "removed": [_row(entry) for entry in self.removed],
            "kept": [{**_row(one.entry), "reason": one.reason} for one in self.kept],
        }

    def to_json(self, *, indent: int | None = None) -> str:
        """`to_dict` as ASCII JSON; `indent` as in `json.dumps`."""
        return to_json(self.to_dict(), indent)

    def _repr_html_(self) -> str:
        from mlsssl._notebook.cards import code, listing, sign, text

        remove, keep = self._words
        rows = [
            [_shown_on_a_card(one), sign("ok", remove), code(f"LocalMachine\\{one.store_name}")] for one in self.removed
        ]
        rows += [[_shown_on_a_card(one.entry), sign("note", keep), text(one.reason)] for one in self.kept]
        heads = ("certificate", "what would be done" if self.dry_run else "what was done", "where, or why")
        return listing("cleanup", "superseded certificate", heads, rows, empty="no certificate was superseded")

    @property
    def _words(self) -> tuple[str, str]:
        return ("would remove", "would keep") if self.dry_run else ("removed", "kept")

    def __str__(self) -> str:
        remove, keep = self._words
        lines = [f"{remove} {one.thumbprint} from LocalMachine\\{one.store_name}" for one in self.removed]
        lines += [f"{keep} {one.entry.thumbprint}: {one.reason}" for one in self.kept]
        return "\n".join(map(printable, lines)) or "no certificate was superseded"


def _shown_on_a_card(entry: StoreEntry) -> str:
    from mlsssl._notebook.cards import code, text

    return f"{text(card_title(entry.certificate))}<br>{code(entry.thumbprint, whole=True)}"


def _row(entry: StoreEntry) -> dict[str, object]:
    return {
        "thumbprint": str(entry.thumbprint),
        "store": entry.store_name,
        **as_dict(entry, "renewed_by"),
        **as_dict(entry.certificate, "not_after"),
    }


def cleanup(
    *,
    machine: HasPort | None = None,
    grace: dt.timedelta | None = None,
    dry_run: bool = False,
    at: dt.datetime | None = None,
    progress: Callable[[int], object] | None = None,
) -> Cleanup:
    """Take out certificates that were renewed long enough ago, with their private keys.

    A certificate is superseded when it has the mark CERT_RENEWAL. It stays while any binding of any family names
    it, while the newer one is not there with a usable key, while a pending change needs it, and until
    its grace is over. Its key stays when another certificate uses it. Killed at any moment, the next change of the
    machine removes a key that was left alone.

    Args:
        machine: Which machine; this computer when not given.
        grace: How long to keep each, from the moment it was replaced; when not given what `renew` was told, or 30
            days.
        dry_run: Only say what would be done; nothing is changed, and nothing cleared up either.
        at: The moment to count to, aware; now when not given.
        progress: Called with the number removed or kept so far, after each.

    Returns:
        What was removed, and what was kept and why.

    Raises:
        InvalidInputError: a negative grace, or a naive `at`.
        NotFoundError: as `audit`.
        AccessDeniedError: this user may not change the store.
        BindingError: somebody is changing the machine right now.
    """
    if grace is not None:
        check_grace(grace)
    moment = check_moment(at)
    check_callable(progress, "progress is a function of the number of certificates so far")
    port = existing_port_of(machine)
    removed: list[StoreEntry] = []
    kept: list[Kept] = []
    with (recovery.looking if dry_run else recovery.changing)(port) as records:
        superseded = SupersededFile(port.state_folder)
        known = superseded.read()
        needed = needed_by_pending(records)
        judged = []
        for entry in _candidates(port, machine, known):
            since = known.get((entry.store_name.casefold(), entry.thumbprint))
            # All before the first is removed: the one that replaced it may itself be among those to go.
            judged.append((entry, needed.get(entry.thumbprint) or _reason_to_keep(port, entry, since, grace, moment)))
        users = _users(port) if judged else {}  # after all else, for others may bind meanwhile
        judged = [(entry, needed.get(entry.thumbprint) or users.get(entry.thumbprint) or why) for entry, why in judged]
        change = Change("cleanup", None)
        for done, (entry, reason) in enumerate(judged, 1):
            if reason is not None:
                kept.append(Kept(entry=entry, reason=reason))
            else:
                if not dry_run:
                    records.begin(change)  # so that a key left by a kill in here is looked for
                    try:
                        with Store.open(entry.store_name, machine=machine) as store:
                            store.remove(entry.thumbprint, delete_key=True)
                        superseded.remove(entry.store_name, entry.thumbprint)
                    except recovery.FAILURES:
                        with contextlib.suppress(MlssslError):  # the first error is the one to tell
                            records.finish(change, keep=False)
                        raise
                    records.finish(change, keep=False)
                removed.append(entry)
            if progress is not None:
                progress(done)
    return Cleanup(removed=tuple(removed), kept=tuple(kept), dry_run=dry_run)


def needed_by_pending(records: ChangeRecords) -> dict[Thumbprint, str]:
    """The certificates without which a pending change could never be finished or taken back, and why. Private."""
    return {
        record.thumbprint: f"{one.title} is pending and needs it: mlsssl.recover()"
        for one in records.pending()
        if one.change is not None
        for pair in one.change.bindings
        for record in pair
        if record is not None and record.thumbprint is not None
    }


def _candidates(
    port: MachinePort, machine: HasPort | None, known: dict[tuple[str, Thumbprint], Superseded]
) -> Iterator[StoreEntry]:
    """Every certificate with the mark, in the stores that servers' certificates are in, and those in the superseded."""
    there = {name.casefold(): name for name in port.store_names("LocalMachine")}
    wanted = {"my", "webhosting", *(store for store, _ in known)}
    wanted |= {binding.store.casefold() for binding in port.bindings.all()}
    seen: set[tuple[str, Thumbprint]] = set()
    for folded in sorted(wanted & set(there)):
        with Store.open(there[folded], machine=machine) as store:
            for entry in store:
                if entry.renewed_by is not None:
                    seen.add((folded, entry.thumbprint))
                    yield entry
            for where, thumbprint in known:
                # An archived certificate is in no listing, but found by its thumbprint.
                if where == folded and (where, thumbprint) not in seen:
                    found = store.find(thumbprint=thumbprint)
                    if found is not None and found.renewed_by is not None:
                        yield found


def _users(port: MachinePort) -> dict[Thumbprint, str]:
    """Of each certificate that is bound, what it is kept for; read once, for there may be thousands of bindings."""
    keys: dict[Thumbprint, list[str]] = {}
    for binding in port.bindings.all():
        if binding.thumbprint is not None:
            keys.setdefault(binding.thumbprint, []).append(str(binding.key))
    return {thumbprint: f"bound to {', '.join(found)}" for thumbprint, found in keys.items()}


def _reason_to_keep(
    port: MachinePort, entry: StoreEntry, since: Superseded | None, grace: dt.timedelta | None, at: dt.datetime
) -> str | None:
    """Why a certificate that nothing is bound to stays all the same; None when it may go."""
    assert entry.renewed_by is not None
    newer, unread = _find_newer(port, entry.renewed_by)
    if newer is None or newer.key is None or not newer.key.usable:
        there = "".join(f"; LocalMachine\\{name} was not looked into: {error}" for name, error in unread.items())
        return f"the newer certificate {entry.renewed_by} is not there with a usable key{there}"
    try:
        start = Certificate.from_der(newer.certificate).not_before if since is None else since.at
    except MalformedDataError as error:
        return f"the newer certificate {entry.renewed_by} cannot be read: {error}"
    length = grace if grace is not None else GRACE if since is None else since.grace
    if at - start >= length:
        return None
    if length > _LAST - start:  # whoever says `timedelta.max` wants it kept for ever
        return "its grace lasts beyond the year 9999"
    return f"its grace lasts until {start + length:%Y-%m-%d %H:%M} UTC"


def _find_newer(port: MachinePort, thumbprint: Thumbprint) -> tuple[StoreRecord | None, dict[str, MlssslError]]:
    """The certificate, with a usable key rather than without; and the stores that cannot be opened, with why."""
    best: StoreRecord | None = None
    unread: dict[str, MlssslError] = {}
    for name in port.store_names("LocalMachine"):
        try:
            found = stores.certificate(port, name, thumbprint)
        except MlssslError as error:
            unread[name] = error
            continue
        if found is not None and (best is None or (found.key is not None and found.key.usable)):
            best = found
    return best, unread
