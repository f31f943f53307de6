"""States `mlsssl`: what shall be bound, renewed, trusted or gone on this minion.

Each looks first, by the plan of the function that does it. In test mode that plan is the answer: `changes` is what the
run then makes of it, but for the thumbprint of a certificate that an issuer is still to issue. A state that is met has
no changes. Where something fails, the machine is as it was, or the comment says what is left; it is one report.
"""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any

from mlsssl.saltext import _errors
from mlsssl.saltext.modules import mlsssl as functions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# What Salt's loader puts here.
__opts__: Mapping[str, Any]
__salt__: Mapping[str, Callable[..., Any]]

__virtualname__ = "mlsssl"
__load__ = ["absent", "deployed", "renewed", "trusted"]


def __virtual__() -> str | tuple[bool, str]:
    return __virtualname__ if "mlsssl.deploy" in __salt__ else (False, "the execution module mlsssl is not loaded")


def deployed(name: str, **options: Any) -> dict[str, Any]:
    r"""A certificate is bound to this key.

    Args:
        name: The key: `0.0.0.0:443`, `www.example.com:443`.
        options: Those of the function `mlsssl.deploy`: one of `file`, `pillar`, `thumbprint` and `issuer`, and the
            rest. With `issuer` the certificate is asked for when none is bound that will do, and renewed when it is
            due.

    Example:
        0.0.0.0:443:
          mlsssl.deployed:
            - issuer: fleet
            - host: www.example.com
            - options: {tls12: false}
            - key_access: ['NETWORK SERVICE']
            - reserve: https://+:443/app/
            - user: NT SERVICE\App
    """
    issuer = options.get("issuer")

    def run() -> dict[str, Any]:
        plan = _call("deploy", functions.deploy, name, options, test=True)
        refused = [one for one in plan["findings"] if one["severity"] == "error"]
        if options.get("force"):  # which goes on over all but what on_conflict says
            refused = [one for one in refused if one["code"] == "binding-exists"]
        if refused:
            return _state(name, result=False, lines=["refused; nothing was done", *map(_finding, refused)])
        if not plan["changes"]:
            return _state(name, lines=[f"{name} has this certificate already", *map(_finding, plan["findings"])])
        changes = _changes(plan, issuer)
        if __opts__["test"]:
            return _state(name, result=None, changes=changes, lines=[one["what"] for one in plan["steps"]])
        done = _call("deploy", functions.deploy, name, options, test=False)
        if not done["changed"]:
            return _state(name, lines=[f"{name} has this certificate already"])
        if "thumbprint" in changes:
            changes["thumbprint"]["new"] = done["after"]["thumbprint"]
        wrong = done["verified"] is False or any(one["code"] == "after-failed" for one in done["findings"])
        lines = [*done["done"], *map(_finding, done["findings"])]
        return _state(name, result=not wrong, changes=changes, lines=lines)

    return _reported(name, run)


def renewed(name: str, issuer: str | None = None, **options: Any) -> dict[str, Any]:
    """Every binding whose certificate is from this issuer and due has a new one.

    Args:
        name: The issuer's name in `mlsssl:issuers`, unless `issuer` says it.
        issuer: That name, where `name` is another.
        options: Those of the function `mlsssl.renew_due`.

    A certificate that an issuer has no answer for yet is no failure as long as there is time; the next run goes on.

    Example:
        fleet:
          mlsssl.renewed:
            - jitter: 0.1
    """
    source = name if issuer is None else issuer

    def run() -> dict[str, Any]:
        test = bool(__opts__["test"])
        found = _call("renew_due", functions.renew_due, source, options, test=test)
        changes: dict[str, Any] = {}
        lines: list[str] = []
        failed = False
        for one in found["results"]:
            done = one["outcome"] or one["plan"]
            late = any(finding["severity"] == "error" for finding in one["findings"])
            failed = failed or late or one["result"] == "failed"
            if done is None:
                why = one["skipped"] or one["error"]["message"]
                lines.append(f"{one['key']}: {one['result']}: {why}")
                continue
            plan = one["plan"] is not None
            refused = plan and not done["ok"] and not options.get("force")
            steps = any(finding["code"] == "after-failed" for finding in done["findings"])
            failed = failed or bool(refused) or steps or (not plan and done["verified"] is False)
            lines += [f"{one['key']}: {one['result']}", *map(_finding, done["findings"])]
            if not refused:
                new = _issued_by(source) if plan else done["after"]["thumbprint"]
                changes[one["key"]] = {"old": done["before"]["thumbprint"], "new": new}
        result = False if failed else None if changes and test else True
        return _state(name, result=result, changes=changes, lines=lines or ["nothing is bound"])

    return _reported(name, run)


def trusted(name: str, **options: Any) -> dict[str, Any]:
    """A root is in the store Root, or an intermediate in CA.

    Args:
        name: Anything; the file, unless `file` or `pillar` is given.
        options: Those of the function `mlsssl.trust`.

    Example:
        fleet root:
          mlsssl.trusted:
            - pillar: fleet:root
    """
    given = options if options.keys() & {"file", "pillar"} else {**options, "file": name}

    def run() -> dict[str, Any]:
        test = bool(__opts__["test"])
        found = _call("trust", functions.trust, None, given, test=test)
        what = f"{found['thumbprint']} ({found['subject']})"
        if not found["changed"]:
            return _state(name, lines=[f"{what} is in {found['store']} already"])
        changes = {found["store"]: {"old": None, "new": found["thumbprint"]}}
        verb = "would be added" if test else "added"
        return _state(
            name, result=None if test else True, changes=changes, lines=[f"{what} {verb} to {found['store']}"]
        )

    return _reported(name, run)


def absent(name: str, **options: Any) -> dict[str, Any]:
    """A binding, a URL reservation, or a certificate with its private key is not there.

    Args:
        name: The binding's key; anything, where `url` or `thumbprint` is given.
        options: Those of the function `mlsssl.remove`. A certificate that is bound stays, and is a failure.

    Example:
        0.0.0.0:8443:
          mlsssl.absent: []
        the old root:
          mlsssl.absent:
            - thumbprint: 0da6a9b4c3e3ae1ee7a3b2a8b5b7d7a4f2f5a1c9
            - store: Root
    """
    given = options if options.keys() & {"key", "url", "thumbprint"} else {**options, "key": name}
    what = str(given.get("key") or given.get("url") or given.get("thumbprint"))

    def run() -> dict[str, Any]:
        test = bool(__opts__["test"])
        removed = _call("remove", functions.remove, None, given, test=test)["removed"]
        if removed is None:
            return _state(name, lines=[f"{what} is not there"])
        line = f"{what} would be removed" if test else f"{what} was removed"
        return _state(name, result=None if test else True, changes={what: {"old": removed, "new": None}}, lines=[line])

    return _reported(name, run)


# -- what all of them need --------------------------------------------------------------------------------------------

_OF_THE_BINDING = ("bind", "update", "replace", "verify", "stop-service", "start-service", "ask-issuer")
"""Steps that the fields of the binding tell, or that leave nothing behind."""


def _call(
    called: str, function: Callable[..., Any], name: str | None, options: Mapping[str, Any], *, test: bool
) -> dict[str, Any]:
    """An execution function with the options of a state, of which none may be unknown."""
    from salt.exceptions import CommandExecutionError

    known = set(signature(function).parameters) - {"test"}
    if name is not None:
        known -= {next(iter(signature(function).parameters))}
    given = {option: value for option, value in options.items() if not option.startswith("__")}
    unknown = sorted(set(given) - known)
    if unknown:
        raise CommandExecutionError(f"no option is called {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    found: dict[str, Any] = __salt__[f"mlsssl.{called}"](*([] if name is None else [name]), **given, test=test)
    return found


def _changes(plan: Mapping[str, Any], issuer: object) -> dict[str, Any]:
    """What a plan of `deploy` changes: each field of the binding, and the steps that are about other things."""
    changes = {one["field"]: {"old": one["before"], "new": one["after"]} for one in plan["diff"]}
    if issuer is not None and "thumbprint" in changes:
        changes["thumbprint"]["new"] = _issued_by(issuer)
    told = (*_OF_THE_BINDING, *(("add-certificate", "add-chain") if "thumbprint" in changes else ()))
    for step in plan["steps"]:
        if step["action"] not in told and not (step["action"] == "grant-key" and "key_access" in changes):
            change = changes.setdefault(step["action"], {"old": None, "new": []})
            change["new"].append(step["what"])
    return changes or {"steps": {"old": None, "new": [one["what"] for one in plan["steps"]]}}


def _issued_by(issuer: object) -> str:
    return f"of a certificate that {issuer} is still to issue"


def _finding(finding: Mapping[str, Any]) -> str:
    return _errors.in_salt(f"{finding['severity']}: {finding['found']}: {finding['remedy']}")


def _state(
    name: str, *, result: bool | None = True, changes: Mapping[str, Any] | None = None, lines: list[str]
) -> dict[str, Any]:
    comment = "\n".join(map(_errors.in_salt, lines))
    return {"name": name, "result": result, "changes": dict(changes or {}), "comment": comment}


def _reported(name: str, run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `run` says; where a function fails, its message as the comment."""
    from salt.exceptions import CommandExecutionError

    try:
        return run()
    except CommandExecutionError as error:
        return _state(name, result=False, lines=[str(error)])
