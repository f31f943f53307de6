"""The arguments of `deploy` and `renew`: seen by editors, named by errors, and the same in every list of them."""

from __future__ import annotations

import dataclasses
import inspect
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import mlsssl
from mlsssl import CertificateAuthority, EmbeddedMachine, deploy, renew
from mlsssl._deploy.request import Request
from mlsssl.renewal import renew_due

if TYPE_CHECKING:
    from collections.abc import Callable

CALLS: dict[str, Callable[..., Any]] = {
    "deploy": deploy,
    "deploy.plan": deploy.plan,
    "renew": renew,
    "renew.plan": renew.plan,
}


@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_call_is_told_by_the_name_that_was_called(name: str) -> None:
    """Arguments that are missing, misspelt, or too many."""
    second = "certificate" if name.startswith("deploy") else "source"
    with pytest.raises(TypeError) as caught:
        CALLS[name]()
    assert str(caught.value) == f"{name}() missing 2 required positional arguments: 'key' and '{second}'"
    with pytest.raises(TypeError) as caught:
        CALLS[name]("0.0.0.0:443", b"", machin=None)
    assert str(caught.value).startswith(f"{name}() got an unexpected keyword argument 'machin'")
    with pytest.raises(TypeError) as caught:
        CALLS[name]("0.0.0.0:443", b"", None)
    assert str(caught.value).startswith(f"{name}() takes ")


@pytest.mark.parametrize("name", CALLS)
def test_an_editor_shows_the_arguments(name: str) -> None:
    """What jedi completes with, which reads the code and does not run it."""
    jedi = pytest.importorskip("jedi")
    code = f"from mlsssl import {name.partition('.')[0]}\n{name}("
    project = jedi.Project(Path(mlsssl.__file__).parents[1])
    (signature,) = jedi.Script(code, project=project, environment=jedi.InterpreterEnvironment()).get_signatures()
    assert [one.name for one in signature.params] == [*inspect.signature(CALLS[name]).parameters]


def test_the_plan_takes_what_the_call_takes() -> None:
    """And the request has a field for every argument of `deploy` but the former name of one, and the new key's type."""
    for verb in (deploy, renew):
        taken = inspect.signature(verb).parameters
        assert taken == inspect.signature(verb.plan).parameters
    fields = [one.name for one in dataclasses.fields(Request)]
    arguments = [name for name in inspect.signature(deploy).parameters if name not in ("trail", "key_type")]
    assert fields[: len(arguments)] == arguments
    defaults = {one.name: one.default for one in dataclasses.fields(Request)}
    for name, parameter in inspect.signature(deploy).parameters.items():
        if parameter.default is not parameter.empty and name not in ("trail", "key_type"):
            assert defaults[name] == parameter.default, name


def test_the_former_name_of_the_audit_log_is_taken_with_a_warning(tmp_path: Path) -> None:
    """It names the caller's line. The twin warns of nothing."""
    ca = CertificateAuthority.create("CA", key="ec-p256")
    log = tmp_path / "audit.jsonl"
    with EmbeddedMachine(tmp_path / "m.sqlite") as machine:
        calls: list[Callable[[str], object]] = [
            lambda name: deploy("0.0.0.0:443", ca.issue("a.test"), machine=machine, **{name: log}),  # type: ignore[arg-type]
            lambda name: renew("0.0.0.0:443", ca, machine=machine, **{name: log}),  # type: ignore[arg-type]
            lambda name: renew_due(ca, machine=machine, due_only=False, **{name: log}),  # type: ignore[arg-type]
        ]
        for number, call in enumerate(calls, 1):
            with pytest.warns(DeprecationWarning, match="trail= is called audit_log= now") as caught:
                call("trail")
            assert [Path(one.filename).name for one in caught] == [Path(__file__).name]
            assert len(log.read_text().splitlines()) == 2 * number - 1
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                call("audit_log")
            assert len(log.read_text().splitlines()) == 2 * number
