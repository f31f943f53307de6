"""Runner `mlsssl`, on the master: what all minions have in one table, and a change of the root in steps."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import mlsssl
from mlsssl.saltext import _errors, _fleet, _root_change

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# What Salt's loader puts here.
__opts__: Mapping[str, Any]

__virtualname__ = "mlsssl"
__load__ = ["fleet", "rotate_root"]


def __virtual__() -> str:
    return __virtualname__


def fleet(
    tgt: str | Sequence[str] = "*",
    tgt_type: str = "glob",
    *,
    days: float = 30,
    save: str | None = None,
    timeout: float | None = None,
) -> dict[str, object]:
    """One table of what all minions have, what is due, and who did not answer. Nothing is changed.

    Args:
        tgt: Which minions, as for `salt`.
        tgt_type: What kind of target that is.
        days: What is to be renewed within so many days from now is `due`; 0 to 36500.
        save: A file on the master for the table: `.html`, the report page; `.json`, what `mlsssl audit --from` reads;
            `.txt`. It is written whole or not at all. Without it the rows are in the return, which is for a fleet that
            one looks at.
        timeout: Seconds to wait for answers; the master's `timeout` when not given.

    Returns:
        `asked` and `answered`: how many; `no_answer`: ids; `failed`: for an id what it said instead; `bindings`,
        `errors`, `warnings`: how many; `due`: a dict for each binding that is, what is due first in front; `saved`: the
        file, or `rows`: a dict for each binding.

    Raises:
        CommandExecutionError: no minion is meant, or the file cannot be written; an argument that cannot be.

    CLI Example:

        salt-run mlsssl.fleet days=30 save=/srv/reports/fleet.html
    """
    with _errors.as_salts_own():
        if not (isinstance(days, (int, float)) and not isinstance(days, bool) and 0 <= days <= 36500):
            raise mlsssl.InvalidInputError("days is a number from 0 to 36500")
        target = None if save is None else _fleet.path_to_save(save)
        minions = _fleet.Minions(__opts__, tgt, tgt_type, timeout)
        failed: dict[str, str] = {}
        with _fleet.FleetTable(dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=days)) as table:
            for minion, well, answer in minions.ask("mlsssl.audit"):
                try:
                    if not well:
                        raise mlsssl.MalformedDataError(_fleet.reason(answer))
                    table.add(minion, answer)
                except mlsssl.MlssslError as error:
                    failed[minion] = str(error)
            return {
                "asked": len(minions.ids),
                "answered": len(table.minions),
                "no_answer": sorted(minions.ids - {*table.minions, *failed}),
                "failed": failed,
                "bindings": table.bindings,
                "errors": table.errors,
                "warnings": table.warnings,
                "due": sorted(table.due, key=lambda one: str(one["renew_from"])),
                **({"rows": list(table.rows())} if target is None else {"saved": str(table.save(target))}),
            }


def rotate_root(
    step: str = "look",
    *,
    old: str,
    new: str,
    old_with_new: str | None = None,
    issuer: str | None = None,
    tgt: str | Sequence[str] = "*",
    tgt_type: str = "glob",
    batch: str | int = "10%",
    clients_trust_new: bool = False,
    timeout: float | None = None,
) -> dict[str, object]:
    """Take a change of the root one step further on all minions; refused while any of them lacks the step before.

    The steps are those of the how-to "Change the root". `look` changes nothing. `successor` puts "old with new" into
    every minion's store CA. `changeover` renews every binding that the old key has certified, from the issuer whose
    authority is the bridge now. `finish` puts the new root into the store Root, and takes the cross-certificates and
    the old root out. A step that was done already is done again, which changes nothing; so what stopped half-way is
    gone on with by the same call.

    Args:
        step: `look`, `successor`, `changeover` or `finish`.
        old: A file of the master with the old root's certificate.
        new: The same of the new root.
        old_with_new: For `successor`: the same of the cross-certificate, as `mlsssl ca renew --old-with-new-out` writes
            it.
        issuer: For `changeover`: the issuer's name in the minions' `mlsssl:issuers`.
        tgt: Which minions; those that serve. All that are meant have to answer.
        tgt_type: What kind of target that is.
        batch: For `changeover`: how many at a time, a number or a share. After a failure no further ones.
        clients_trust_new: For `finish`: that you know that every client trusts the new root. Nobody can look that up.
        timeout: Seconds to wait for answers; the master's `timeout` when not given.

    Returns:
        `step`; `minions`: for each id what it has then: `has_old_with_new`, `trusts_new`, `trusts_old`, and the keys
        of bindings `of_old`, `of_new` and of `others`; `lacking`: who has the step still before it, and why; `next`:
        the step that may follow, None after the last.

    Raises:
        CommandExecutionError: a minion lacks the step before, or did not answer; nothing was changed. Or an argument
            that cannot be.

    CLI Example:

        salt-run mlsssl.rotate_root successor old=/srv/pki/old.cer new=/srv/pki/new.cer \
            old_with_new=/srv/pki/old-with-new.cer
    """
    with _errors.as_salts_own():
        change = _root_change.Change.load(
            old, new, old_with_new=old_with_new, issuer=issuer, clients_trust_new=clients_trust_new
        )
        minions = _fleet.Minions(__opts__, tgt, tgt_type, timeout)
        return _root_change.walk(change, step, minions, batch=str(batch))
