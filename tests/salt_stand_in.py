"""What Salt gives its modules, by hand: settings, pillar, the other functions, and a master that passes calls on.

Nothing of Salt is needed. What is imitated was seen on Salt 3008.4: the loader puts its values into a module before it
runs it, a minion hands a function with `**kwargs` what was published under `__pub_...`, and the master says by `id`
which minion it has authenticated.
"""

from __future__ import annotations

import fnmatch
import inspect
import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import mlsssl

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pytest

FOLDER = Path(mlsssl.__file__).parent / "saltext"


class CommandExecutionError(Exception):
    """Salt's, of `salt.exceptions`."""


def install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `salt.exceptions` importable, with that error."""
    salt, exceptions = ModuleType("salt"), ModuleType("salt.exceptions")
    exceptions.CommandExecutionError = CommandExecutionError  # type: ignore[attr-defined]
    salt.exceptions = exceptions  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "salt", salt)
    monkeypatch.setitem(sys.modules, "salt.exceptions", exceptions)


def loaded(kind: str, name: str, **given: object) -> ModuleType:
    """A module of `saltext`, run as Salt's loader does: under a name of its own, with these values in it."""
    spec = spec_from_file_location(f"salt.loaded.ext.{kind}.{name}", FOLDER / kind / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    vars(module).update(given)
    spec.loader.exec_module(module)
    return module


def public(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """The functions that Salt's loader offers: those that `__load__` names, as `MODULE.NAME`; returns are plain."""

    def plain(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            returned = function(*args, **options)
            assert json.loads(json.dumps(returned)) == returned, "a return is plain values, as JSON has them"
            return returned

        call.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
        return call

    return {f"{module.__virtualname__}.{name}": plain(getattr(module, name)) for name in module.__load__}


class Minion:
    """One minion: its execution modules and states, in the settings given.

    Args:
        id: Its id.
        settings: What its configuration has under `mlsssl`.
        pillar: Its whole pillar.
        master: Who passes its calls on.
    """

    def __init__(
        self,
        id: str,  # noqa: A002 -- Salt's word
        settings: Mapping[str, Any] | None = None,
        pillar: Mapping[str, Any] | None = None,
        master: Master | None = None,
    ) -> None:
        self.id = id
        self.opts: dict[str, Any] = {"id": id, "test": False, "mlsssl": dict(settings or {})}
        self.pillar = dict(pillar or {})
        self.functions: dict[str, Callable[..., Any]] = {}
        self.context: dict[str, Any] = {}
        values = {"__opts__": self.opts, "__pillar__": self.pillar, "__salt__": self.functions}
        if master is not None:
            master.minions[id] = self
            self.functions["publish.publish"] = lambda *args, **more: master.publish(id, *args, **more)
            self.functions["publish.runner"] = lambda fun, arg=None: master.run(id, fun, arg)
        for name in ("mlsssl", "mlsssl_ca"):
            module = loaded("modules", name, __context__=self.context, **values)
            if module.__virtual__() == module.__virtualname__:
                self.functions.update(public(module))
        states = loaded("states", "mlsssl", **values)
        assert states.__virtual__() == "mlsssl"
        self.states = public(states)

    def call(self, function: str, *args: Any, **options: Any) -> Any:
        """An execution function, as `salt ID FUNCTION`."""
        self.context.clear()
        return self.functions[function](*args, **options)

    def state(self, function: str, name: str, *, test: bool = False, **options: Any) -> dict[str, Any]:
        """One state, as `state.single`, with what Salt adds to its options."""
        self.opts["test"] = test
        try:
            found: dict[str, Any] = self.states[function](name, **options, __env__="base", __sls__="web")
        finally:
            self.opts["test"] = False
        assert found.keys() == {"name", "result", "changes", "comment"}
        assert found["name"] == name
        return found


class Master:
    """Passes calls of minions on to others, and says of each which minion it is that calls.

    Attributes:
        peer: The functions that each minion may call on others.
        names: What the runner `mlsssl_ca.names` says, by minion.
        seen: Each published call: who, what, with what, and what came back.
    """

    def __init__(self, settings: Mapping[str, Any] | None = None) -> None:
        self.minions: dict[str, Minion] = {}
        self.peer = ["mlsssl_ca.sign_request"]
        self.names: dict[str, dict[str, list[str]]] = {}
        self.settings = dict(settings or {})
        self.seen: list[tuple[str, str, object, object]] = []

    def publish(
        self, who: str, tgt: str, fun: str, arg: list[Any], tgt_type: str = "glob", timeout: float = 5
    ) -> dict[str, Any]:
        """As `publish.publish` of the minion `who`: the answers by minion."""
        assert timeout > 0
        if fun not in self.peer:
            return {}
        asked = [one for one in self.minions if (one == tgt if tgt_type == "list" else fnmatch.fnmatch(one, tgt))]
        answers = {one: deliver(self.minions[one], fun, arg, {"id": who}) for one in asked}
        self.seen += [(who, fun, arg, answer) for answer in answers.values()]
        return answers

    def run(self, who: str, fun: str, arg: list[Any]) -> object:
        """As `publish.runner` of the minion `who`."""
        if fun == "match.compound_matches":
            expression, minion = arg
            return {"res": minion if expression == f"I@role:web and {minion}" else False}
        if fun == "mlsssl_ca.names":
            return self.names.get(arg[0], {"pillar": [], "grain": []})
        runner = loaded("runners", "mlsssl_ca", __opts__={"id": who, "mlsssl": self.settings}, __salt__={})
        answer = public(runner)[fun](*arg)
        self.seen.append((who, fun, arg, answer))
        return answer


def deliver(minion: Minion, fun: str, arg: list[Any], published: Mapping[str, Any]) -> object:
    """Have a minion run what was published, as `salt.minion.load_args_and_kwargs` reads it."""
    function = minion.functions.get(fun)
    if function is None:
        return f"'{fun}' is not available."
    takes_more = any(one.kind is one.VAR_KEYWORD for one in inspect.signature(function).parameters.values())
    args: list[Any] = []
    options: dict[str, Any] = {}
    for one in arg:
        if isinstance(one, dict) and one.get("__kwarg__") is True:
            options.update({name: value for name, value in one.items() if name != "__kwarg__"})
        else:
            args.append(one)
    if takes_more:
        options.update({f"__pub_{name}": value for name, value in {"fun": fun, "arg": arg, **published}.items()})
    return function(*args, **options)
