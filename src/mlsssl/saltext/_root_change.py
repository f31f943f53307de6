"""A change of the root over a fleet: its steps, what a minion has of each, and who may go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import mlsssl
from mlsssl._formats.parsed import View
from mlsssl._formats.pem import x509_of
from mlsssl._messages.foreign_text import shown
from mlsssl._validator.path import signature_problem
from mlsssl.errors import InvalidInputError, MalformedDataError
from mlsssl.saltext._fleet import reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlsssl.saltext._fleet import Minions

STEPS = ("look", "successor", "changeover", "finish")
_STATE = {
    "has_old_with_new": bool,
    "trusts_new": bool,
    "trusts_old": bool,
    "crossed": bool,
    "of_old": list,
    "of_new": list,
    "others": list,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The two roots, and what the steps need besides.

    Attributes:
        old: The old root.
        new: The new one.
        old_with_new: The old key certified by the new one; for `successor`.
        issuer: The name of the issuer to renew from; for `changeover`.
        clients_trust_new: Whether somebody says so; for `finish`.
    """

    old: mlsssl.Certificate
    new: mlsssl.Certificate
    old_with_new: mlsssl.Certificate | None = None
    issuer: str | None = None
    clients_trust_new: bool = False

    @classmethod
    def load(
        cls, old: str, new: str, *, old_with_new: str | None, issuer: str | None, clients_trust_new: bool
    ) -> Change:
        """Read the files. `InvalidInputError` when they are not the roots of one change; else as `Certificate.load`."""
        roots = [mlsssl.Certificate.load(one).without_key() for one in (old, new)]
        crossed = None if old_with_new is None else mlsssl.Certificate.load(old_with_new).without_key()
        found = cls(
            old=roots[0], new=roots[1], old_with_new=crossed, issuer=issuer, clients_trust_new=clients_trust_new is True
        )
        before, after = found.views
        for name, view in (("old", before), ("new", after)):
            if not _is_by(view, view):
                raise InvalidInputError(f"{name} is the certificate of a root, which its own key has signed")
        if before.subject != after.subject or before.spki == after.spki:
            raise InvalidInputError(
                "old and new are the two roots of one change: of one name, with two keys, as of `mlsssl ca renew`"
            )
        if crossed is not None:
            view = View(x509_of(crossed))
            if view.spki != before.spki or not _is_by(view, after):
                raise InvalidInputError("old_with_new is the old root's key, certified by the new root")
        return found

    @property
    def views(self) -> tuple[View, View]:
        """Both roots, to look into."""
        return View(x509_of(self.old)), View(x509_of(self.new))


def state(change: Change, machine: mlsssl.Machine) -> dict[str, object]:
    """What a machine has of the change."""
    before, after = change.views
    of: dict[str, list[str]] = {"of_old": [], "of_new": [], "others": []}
    for binding in machine.bindings:
        certificate = binding.certificate
        if certificate is not None:
            view = View(x509_of(certificate))
            by = "of_old" if _is_by(view, before) else "of_new" if _is_by(view, after) else "others"
            of[by].append(str(binding.key))
    crossed = [View(x509_of(one)) for one in _crossed(change, machine)]
    roots = _thumbprints(machine, "Root")
    return {
        "has_old_with_new": any(one.spki == before.spki for one in crossed),
        "trusts_new": change.new.thumbprint in roots,
        "trusts_old": change.old.thumbprint in roots,
        "crossed": bool(crossed),
        **of,
    }


def add_successor(cross: mlsssl.Certificate, machine: mlsssl.Machine) -> None:
    """Step `successor` on a machine; nothing when it has it."""
    if cross.thumbprint not in _thumbprints(machine, "CA"):
        machine.store("CA").add(cross)


def finish(change: Change, machine: mlsssl.Machine) -> None:
    """Step `finish` on a machine: the new root first, so that no moment has neither."""
    if change.new.thumbprint not in _thumbprints(machine, "Root"):
        machine.store("Root").add(change.new)
    for one in _crossed(change, machine):
        machine.store("CA").remove(one.thumbprint)
    if change.old.thumbprint in _thumbprints(machine, "Root"):
        machine.store("Root").remove(change.old.thumbprint)


def _crossed(change: Change, machine: mlsssl.Machine) -> list[mlsssl.Certificate]:
    """The cross-certificates in the store CA: one root's key, certified by the other's."""
    before, after = change.views
    found = []
    if "CA" in {name.upper() for name in machine.store_names()}:
        for entry in machine.store("CA"):
            view = View(x509_of(entry.certificate))
            if (view.spki == before.spki and _is_by(view, after)) or (view.spki == after.spki and _is_by(view, before)):
                found.append(entry.certificate)
    return found


def _thumbprints(machine: mlsssl.Machine, store: str) -> set[mlsssl.Thumbprint]:
    there = {name.upper() for name in machine.store_names()}
    return set(machine.store(store).thumbprints()) if store.upper() in there else set()


def _is_by(child: View, issuer: View) -> bool:
    """Whether this root's key signed it, by name and signature."""
    return child.issuer == issuer.subject and not signature_problem(child, issuer)


# -- on the master ----------------------------------------------------------------------------------------------------


def walk(change: Change, step: str, minions: Minions, *, batch: str) -> dict[str, object]:
    """One step on all minions, after a look whether all of them have the one before.

    Raises:
        InvalidInputError: there is no such step, it lacks an argument, or a minion lacks the step before.
    """
    if step not in STEPS:
        raise InvalidInputError(f"the steps are {', '.join(STEPS)}; {shown(step)} is none")
    if step == "successor" and change.old_with_new is None:
        raise InvalidInputError("the step successor needs old_with_new, a file")
    if step == "changeover" and not change.issuer:
        raise InvalidInputError("the step changeover needs issuer, a name in the minions' mlsssl:issuers")
    if step == "finish" and not change.clients_trust_new:
        raise InvalidInputError(
            "after finish, clients that trust the old root only refuse every server; say clients_trust_new=True when "
            "you know that there are none"
        )
    roots = [_text(change.old), _text(change.new)]
    before = _states(minions, roots)
    lacking = {} if step == "look" else _lacking(STEPS[STEPS.index(step) - 1], minions, before)
    if lacking:
        who = "; ".join(f"{minion}: {why}" for minion, why in sorted(lacking.items())[:20])
        raise InvalidInputError(
            f"{step} has to wait, nothing was changed: {len(lacking)} of {len(minions.ids)} minions lack the step "
            f"before ({who})"
        )
    failed: dict[str, str] = {}
    if step != "look":
        needed = {
            "successor": [None if change.old_with_new is None else _text(change.old_with_new)],
            "changeover": [change.issuer],
            "finish": [],
        }[step]
        answers = minions.ask(f"mlsssl_root.{step}", *roots, *needed, batch=batch if step == "changeover" else None)
        failed = {minion: reason(answer) for minion, well, answer in answers if not well}
        before = _states(minions, roots)
    known = {minion: found for minion, found in before.items() if isinstance(found, dict)}
    reached = [one for one in STEPS if not _lacking(one, minions, before)]
    wanted = step if step != "look" else _following(reached)
    behind = {} if wanted is None else {**_lacking(wanted, minions, before), **failed}
    return {
        "step": step,
        "minions": known,
        "lacking": behind,
        "next": wanted if step == "look" else (step if behind else _following([step])),
    }


def _following(reached: list[str]) -> str | None:
    """The step after the last of these; None after the last of all."""
    last = max((STEPS.index(one) for one in reached), default=0)
    return STEPS[last + 1] if last + 1 < len(STEPS) else None


def _states(minions: Minions, roots: list[str]) -> dict[str, dict[str, Any] | str]:
    """What each minion has; a text for one that failed. Those that did not answer are not in it."""
    found: dict[str, dict[str, Any] | str] = {}
    for minion, well, answer in minions.ask("mlsssl_root.look", *roots):
        found[minion] = _checked(answer) if well else reason(answer)
    return found


def _checked(answer: object) -> dict[str, Any] | str:
    """The answer of `mlsssl_root.look`, which may be anything."""
    if isinstance(answer, dict) and all(isinstance(answer.get(name), kind) for name, kind in _STATE.items()):
        return {name: answer[name] for name in _STATE}
    return f"it answered {shown(answer)}"


def _lacking(step: str, minions: Minions, states: dict[str, dict[str, Any] | str]) -> dict[str, str]:
    """Who has not done this step, each with the reason."""
    lacks: dict[str, Callable[[dict[str, Any]], str]] = {
        "look": lambda _: "",
        "successor": lambda found: "" if found["has_old_with_new"] or _is_finished(found) else "it lacks old with new",
        "changeover": lambda found: f"still of the old key: {', '.join(found['of_old'])}" if found["of_old"] else "",
        "finish": lambda found: "" if _is_finished(found) else "it still has what goes, or lacks the new root",
    }

    def all_of_them() -> Iterator[tuple[str, str]]:
        for minion in sorted(minions.ids):
            found = states.get(minion, "it did not answer")
            why = found if isinstance(found, str) else lacks[step](found)
            if not why and step == "changeover" and isinstance(found, dict):
                why = lacks["successor"](found)  # a minion without bindings has changed over only after that
            if why:
                yield minion, why

    return dict(all_of_them())


def _is_finished(found: dict[str, Any]) -> bool:
    return bool(found["trusts_new"] and not found["trusts_old"] and not found["crossed"] and not found["of_old"])


def _text(certificate: mlsssl.Certificate) -> str:
    return certificate.to_pem().decode("ascii")


def from_texts(old: object, new: object) -> Change:
    """The change as the master tells it to a minion, as PEM. `MalformedDataError` when that is none."""
    if not isinstance(old, str) or not isinstance(new, str):
        raise MalformedDataError("the two roots come as PEM")
    return Change(old=mlsssl.Certificate.from_text(old), new=mlsssl.Certificate.from_text(new))
