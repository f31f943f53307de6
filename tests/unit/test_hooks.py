"""Steps after a change: told, in order, once; what one that fails or is killed leaves; and those that are ready."""

from __future__ import annotations

import dataclasses
import json
import stat
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pytest

import mlsssl
from mlsssl import (
    AccessDeniedError,
    BindingError,
    Certificate,
    CertificateAuthority,
    DeploymentError,
    EmbeddedMachine,
    HookError,
    InvalidInputError,
    NotFoundError,
    Store,
    UnsupportedError,
    audit,
    deploy,
    last_outcome,
    recover,
    renew,
    renew_due,
)
from mlsssl._commands import after
from mlsssl._fakes.dlls import FakeDlls
from mlsssl._fakes.port import FakeWindowsPort
from mlsssl._machine.programs import split_command
from mlsssl.bundles import Server
from mlsssl.cli import main
from mlsssl.hooks.command import CommandHook
from mlsssl.hooks.files import PemFiles, PfxFile
from mlsssl.hooks.windows import RdpListener, WinRmListener
from mlsssl.testing import memory_machine
from windows.wine_limits import under_wine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mlsssl.hooks import Replacement

KEY = "0.0.0.0:443"


class FakeMachine:
    """A Windows, imitated."""

    def __init__(self, folder: Path) -> None:
        self.port = FakeWindowsPort(FakeDlls(), folder)


class Step:
    """A step that notes what it was told, and fails as often as it should."""

    def __init__(self, name: str, log: list[str] | None = None, *, failures: int = 0) -> None:
        self.name = name
        self.log = [] if log is None else log
        self.failures = failures
        self.told: list[Replacement] = []

    def __call__(self, replacement: Replacement) -> None:
        self.told.append(replacement)
        self.log.append(self.name)
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the service is away")


@pytest.fixture(scope="module", name="ca")
def _ca() -> CertificateAuthority:
    return CertificateAuthority.create("Hooks", key="ec-p256")


@pytest.fixture(name="machine")
def _machine() -> Iterator[EmbeddedMachine]:
    with memory_machine() as machine:
        yield machine


def program(folder: Path, text: str) -> list[str]:
    """The command of a small Python program."""
    file = folder / f"step{len([*folder.iterdir()])}.py"
    file.write_text(textwrap.dedent(text), encoding="utf-8")
    return [sys.executable, str(file)]


RECORDING = """
import json, os, sys
from pathlib import Path
told = {name: value for name, value in os.environ.items() if name.startswith("MLSSSL_")}
Path(__file__ + ".told").write_text(json.dumps([sys.argv[1:], told, sys.stdin.read()]), encoding="utf-8")
"""


def recorded(command: list[str]) -> tuple[list[str], dict[str, str], dict[str, object]]:
    """What a recording program was given: arguments, variables, and the JSON on standard input."""
    arguments, variables, read = json.loads(Path(command[1] + ".told").read_text(encoding="utf-8"))
    return arguments, variables, json.loads(read)


class TestWhatAStepIsTold:
    def test_a_step_follows_a_deploy_and_a_renewal_and_nothing_else(
        self, ca: CertificateAuthority, machine: EmbeddedMachine
    ) -> None:
        """Key, old and new thumbprint, store and names; and no second time when there is nothing to change."""
        step = Step("one")
        certificate = ca.issue("a.test", "10.0.0.5")
        first = deploy(KEY, certificate, machine=machine, hooks=[step])
        assert "ran the step one" in first.done
        assert not deploy(KEY, certificate, machine=machine, hooks=[step]).changed
        second = renew(KEY, ca, machine=machine, hooks=[step])
        assert len(step.told) == 2
        told = step.told[0]
        assert (told.verb, str(told.key), told.old, told.new) == ("deploy", KEY, None, certificate.thumbprint)
        assert (told.store, told.hosts, told.host, told.machine_kind) == (
            "MY",
            ("a.test", "10.0.0.5"),
            "a.test",
            "embedded",
        )
        assert not told.left_over
        assert (step.told[1].verb, step.told[1].old) == ("renew", certificate.thumbprint)
        assert step.told[1].new == second.after.thumbprint
        assert step.told[1].machine is machine

    def test_the_key_says_the_host_where_it_has_one(self, ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
        """An SNI binding's name, not the first one of the certificate."""
        step = Step("one")
        deploy("b.test:443", ca.issue("a.test", "b.test"), machine=machine, hooks=[step])
        assert step.told[0].host == "b.test"

    def test_it_is_a_frozen_value_without_secrets(self, ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
        """Nothing to change, no key in its text or its JSON."""
        step = Step("one")
        deploy(KEY, ca.issue("a.test"), machine=machine, hooks=[step])
        told = step.told[0]
        with pytest.raises(dataclasses.FrozenInstanceError):
            told.store = "Root"  # type: ignore[misc]  # which is what is tried
        assert "ertificate" not in repr(told)
        assert set(told.to_dict()) == {
            *("verb", "key", "keys", "old", "new", "store", "host", "hosts", "machine_kind", "left_over"),
        }
        assert json.loads(json.dumps(told.to_dict()))["new"] == str(told.new)

    def test_the_key_comes_with_the_certificate_where_it_is_at_hand(
        self, ca: CertificateAuthority, machine: EmbeddedMachine
    ) -> None:
        """As given, or out of the store with its chain; and refused where it may not be exported."""
        step = Step("one", failures=1)
        certificate = ca.issue("a.test")
        deploy(KEY, certificate, machine=machine, hooks=[step])
        assert step.told[0].certificate_with_key().private_key_pem() == certificate.private_key_pem()
        deploy(KEY, certificate, machine=machine, hooks=[step])
        assert step.told[1].left_over
        with pytest.raises(AccessDeniedError):
            step.told[1].certificate_with_key()
        other = ca.create_intermediate("Below").issue("a.test")
        step.failures = 1
        deploy(KEY, other, machine=machine, hooks=[step], exportable=True, trust_root=True)
        deploy(KEY, other, machine=machine, hooks=[step])
        exported = step.told[3].certificate_with_key()
        assert exported.private_key_pem() == other.private_key_pem()
        assert [one.common_name for one in exported.chain] == ["Below", "Hooks"]

    def test_a_plan_names_the_steps_and_runs_none(self, ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
        """`apply` runs them."""
        step = Step("one")
        certificate = ca.issue("a.test")
        plan = deploy.plan(KEY, certificate, machine=machine, hooks=[step])
        assert [one.what for one in plan.steps if one.action == "after"] == ["run the step one"]
        assert not step.told
        plan.apply()
        assert len(step.told) == 1
        again = deploy.plan(KEY, certificate, machine=machine, hooks=[step])
        assert not again.changes

    def test_a_binding_that_is_kept_has_no_steps(self, ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
        """`on_conflict="keep"` changes nothing."""
        step = Step("one")
        deploy(KEY, ca.issue("a.test"), machine=machine)
        deploy(KEY, ca.issue("a.test"), machine=machine, hooks=[step], on_conflict="keep")
        assert not step.told

    @pytest.mark.parametrize("wrong", [print, "print", 5, [5], [CommandHook], [None]])
    def test_what_is_no_list_of_steps_is_refused(
        self, ca: CertificateAuthority, machine: EmbeddedMachine, wrong: object
    ) -> None:
        """Before anything is done."""
        with pytest.raises(InvalidInputError, match="hooks is a list of functions"):
            deploy(KEY, ca.issue("a.test"), machine=machine, hooks=wrong)  # type: ignore[arg-type]  # as said
        with pytest.raises(InvalidInputError, match="after_failure is report or undo"):
            deploy(KEY, ca.issue("a.test"), machine=machine, after_failure="nothing")  # type: ignore[arg-type]
        assert not [*machine.bindings]


class TestAStepThatFails:
    def test_it_is_a_finding_and_the_rest_is_owed(self, ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
        """What follows it is not run; the next call goes on with the one that failed, and runs none twice."""
        log: list[str] = []
        steps = [Step("one", log), Step("two", log, failures=2), Step("three", log)]
        certificate = ca.issue("a.test")
        outcome = deploy(KEY, certificate, machine=machine, hooks=steps)
        assert outcome.changed
        (finding,) = [one for one in outcome.findings if one.code == "after-failed"]
        assert finding.found == "the step two failed: RuntimeError: the service is away"
        assert log == ["one", "two"]
        (row,) = audit(machine=machine).rows
        assert ["two, three" in one.found for one in row.findings if one.code == "after-owed"] == [True]

        again = deploy(KEY, certificate, machine=machine, hooks=steps)
        assert not again.changed
        assert "after-failed" in [one.code for one in again.findings]
        assert log == ["one", "two", "two"]
        last = deploy(KEY, certificate, machine=machine, hooks=steps)
        assert log == ["one", "two", "two", "two", "three"]
        assert last.done == ("ran the step two", "ran the step three")
        assert steps[2].told[0].left_over
        assert "after-owed" not in [one.code for one in audit(machine=machine).rows[0].findings]

    def test_renew_due_goes_on_although_nothing_is_due(
        self, ca: CertificateAuthority, machine: EmbeddedMachine
    ) -> None:
        """And says so; with a step that fails again it is an error of that binding."""
        step = Step("one", failures=2)
        deploy(KEY, ca.issue("a.test"), machine=machine, hooks=[step])
        (dry,) = renew_due(ca, machine=machine, hooks=[step], dry_run=True)
        assert len(step.told) == 1
        assert dry.error is None
        (failed,) = renew_due(ca, machine=machine, hooks=[step])
        assert isinstance(failed.error, HookError)
        assert str(failed.error) == "one: RuntimeError: the service is away"
        (result,) = renew_due(ca, machine=machine, hooks=[step])
        assert result.skipped is not None
        assert result.skipped.startswith("not due before")
        assert "ran the step one, left over from the last change" in result.skipped
        assert [one.left_over for one in step.told] == [False, True, True]
        renew_due(ca, machine=machine, hooks=[step])
        assert len(step.told) == 3

    def test_one_bindings_step_stops_no_other(self, ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
        """The second binding is renewed, and its steps run."""
        deploy("127.0.0.1:443", ca.issue("a.test"), machine=machine)
        deploy("127.0.0.2:443", ca.issue("b.test"), machine=machine)
        step = Step("one", failures=1)
        results = renew_due(ca, machine=machine, due_only=False, hooks=[step])
        assert [one.outcome is not None for one in results] == [True, True]
        failed = [
            one.outcome is not None and "after-failed" in [f.code for f in one.outcome.findings] for one in results
        ]
        assert failed == [True, False]
        assert len(step.told) == 2

    def test_other_steps_are_all_run_in_place_of_those_owed(
        self, ca: CertificateAuthority, machine: EmbeddedMachine
    ) -> None:
        """Nobody can say which of them are done."""
        certificate = ca.issue("a.test")
        deploy(KEY, certificate, machine=machine, hooks=[Step("one"), Step("two", failures=1)])
        log: list[str] = []
        deploy(KEY, certificate, machine=machine, hooks=[Step("three", log), Step("four", log)])
        assert log == ["three", "four"]

    def test_a_change_without_steps_hands_on_what_is_owed(
        self, ca: CertificateAuthority, machine: EmbeddedMachine
    ) -> None:
        """A renewal by hand in between does not make RDP's old certificate right."""
        step = Step("one", failures=1)
        deploy(KEY, ca.issue("a.test"), machine=machine, hooks=[step])
        renewed = renew(KEY, ca, machine=machine)
        renew_due(ca, machine=machine, hooks=[step])
        assert step.told[-1].new == renewed.after.thumbprint
        assert len(step.told) == 2

    def test_nothing_is_owed_for_a_binding_that_somebody_changed(
        self, ca: CertificateAuthority, machine: EmbeddedMachine
    ) -> None:
        """The steps are about a certificate that is bound no more."""
        step = Step("one", failures=1)
        deploy(KEY, ca.issue("a.test"), machine=machine, hooks=[step])
        other = machine.store().add(ca.issue("a.test"))
        mlsssl.Binding.get(KEY, machine=machine).with_certificate(other).update()
        renew_due(ca, machine=machine, hooks=[step])
        assert len(step.told) == 1

    def test_it_can_take_the_change_back(self, ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
        """The binding is the old one again, and the steps that ran are told so, the last one first."""
        log: list[str] = []
        one, two, three = Step("one", log), Step("two", log), Step("three", log, failures=1)
        before = deploy(KEY, ca.issue("a.test"), machine=machine).after
        with pytest.raises(DeploymentError) as raised:
            renew(KEY, ca, machine=machine, hooks=[one, two, three, Step("four", log)], after_failure="undo")
        assert isinstance(raised.value.__cause__, HookError)
        assert isinstance(raised.value.__cause__.__cause__, RuntimeError)
        failure = raised.value.failure
        assert isinstance(failure, mlsssl.Failure)
        assert (failure.state, failure.to_do) == ("old", ())
        assert failure.reason == "the step three failed: RuntimeError: the service is away"
        assert mlsssl.Binding.get(KEY, machine=machine) == before
        assert log == ["one", "two", "three", "three", "two", "one"]
        back = one.told[-1]
        assert (back.verb, back.new, back.old) == ("undo", before.thumbprint, one.told[0].new)
        assert back.hosts == ("a.test",)
        assert not renew_due(ca, machine=machine, hooks=[one])[0].error

    def test_a_step_that_fails_backwards_too_is_for_a_person(
        self, ca: CertificateAuthority, machine: EmbeddedMachine
    ) -> None:
        """The others are tried all the same."""
        log: list[str] = []
        deploy(KEY, ca.issue("a.test"), machine=machine)
        with pytest.raises(DeploymentError) as raised:
            renew(
                KEY, ca, machine=machine, hooks=[Step("one", log), Step("two", log, failures=9)], after_failure="undo"
            )
        failure = raised.value.failure
        assert isinstance(failure, mlsssl.Failure)
        assert len(failure.to_do) == 1
        assert "the step two failed" in failure.to_do[0]
        assert log == ["one", "two", "two", "one"]

    def test_keyboard_interrupt_is_the_callers_and_owes(
        self, ca: CertificateAuthority, machine: EmbeddedMachine
    ) -> None:
        """The change stays, and the step is run by the next call."""

        def interrupted(_: Replacement) -> None:
            raise KeyboardInterrupt

        interrupted.name = "one"  # type: ignore[attr-defined]  # what a step may have
        with pytest.raises(KeyboardInterrupt):
            deploy(KEY, ca.issue("a.test"), machine=machine, hooks=[interrupted])
        step = Step("one")
        renew_due(ca, machine=machine, hooks=[step])
        assert len(step.told) == 1


class TestUndo:
    def test_the_steps_follow_an_undo(self, ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
        """In the other order; what they fail with is a finding."""
        log: list[str] = []
        first = deploy(KEY, ca.issue("a.test"), machine=machine).after
        steps = [Step("one", log), Step("two", log)]
        outcome = renew(KEY, ca, machine=machine, hooks=steps)
        steps[0].failures = 1
        undone = outcome.undo()
        assert log == ["one", "two", "two", "one"]
        assert [one.code for one in undone.findings] == ["after-failed"]
        assert steps[1].told[-1].new == first.thumbprint
        assert not outcome.undo().changed
        assert len(log) == 4

    def test_an_undo_of_an_earlier_process_says_what_was_not_run(
        self, ca: CertificateAuthority, machine: EmbeddedMachine
    ) -> None:
        """Or runs what it is given; after the undo of a first deploy nothing is bound."""
        step = Step("one")
        deploy(KEY, ca.issue("a.test"), machine=machine, hooks=[step])
        outcome = last_outcome(KEY, machine=machine)
        assert outcome is not None
        assert [one.code for one in outcome.undo().findings] == ["after-owed"]
        deploy(KEY, ca.issue("a.test"), machine=machine, hooks=[step])
        outcome = last_outcome(KEY, machine=machine)
        assert outcome is not None
        assert not outcome.undo(hooks=[step]).findings
        assert (step.told[-1].verb, step.told[-1].new, step.told[-1].store) == ("undo", None, "MY")

    def test_rubbish_for_its_steps_undoes_nothing(self, ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
        """The check comes first."""
        outcome = deploy(KEY, ca.issue("a.test"), machine=machine)
        with pytest.raises(InvalidInputError):
            outcome.undo(hooks=[5])  # type: ignore[list-item]  # which is what is tried
        assert mlsssl.Binding.find(KEY, machine=machine) is not None


KILLED = """
import os, sys
from mlsssl import CertificateAuthority, EmbeddedMachine, deploy, renew
from mlsssl._deploy import apply, after
from mlsssl._changes import audit_log

path, when = sys.argv[1:]
ca = CertificateAuthority.load("ca.pem")

def one(replacement):
    if when == "before the steps": os._exit(9)
    open("one", "a").write("x")

def two(replacement):
    if when == "in the second": os._exit(9)
    open("two", "a").write("x")

one.name, two.name = "one", "two"
with EmbeddedMachine(path) as machine:
    if when == "before it is finished":
        audit_log.add = lambda *a, **k: os._exit(9)
    renew("0.0.0.0:443", ca, machine=machine, hooks=[one, two], audit_log="log.jsonl")
"""


class TestAKill:
    @pytest.mark.parametrize("when", ["before it is finished", "before the steps", "in the second"])
    @pytest.mark.parametrize("next_call", ["renew_due", "recover", "deploy"])
    def test_what_is_owed_is_run_by_the_next_call(
        self, ca: CertificateAuthority, tmp_path: Path, when: str, next_call: str
    ) -> None:
        """Between the change and a step, and between two steps; no step that was done is run again."""
        path = tmp_path / "machine.sqlite"
        ca.save(tmp_path / "ca.pem", no_password=True)
        with EmbeddedMachine(path) as machine:
            first = deploy(KEY, ca.issue("a.test"), machine=machine).after
        ended = subprocess.run(
            [sys.executable, "-c", KILLED, str(path), when], cwd=tmp_path, timeout=120, check=False, capture_output=True
        )
        assert ended.returncode == 9, ended.stderr.decode()
        log: list[str] = []
        steps = [Step("one", log), Step("two", log)]
        with EmbeddedMachine(path) as machine:
            told = "\n".join(recover(machine=machine))
            assert ("the steps two" if when == "in the second" else "the steps one, two") in told
            bound = mlsssl.Binding.get(KEY, machine=machine)
            assert bound.thumbprint != first.thumbprint
            if next_call == "renew_due":
                assert renew_due(ca, machine=machine, hooks=steps)[0].error is None
            elif next_call == "recover":
                assert "ran the step two" in "\n".join(recover(machine=machine, hooks=steps))
            else:
                assert bound.thumbprint is not None
                deploy(KEY, bound.thumbprint, machine=machine, hooks=steps)
            assert log == (["two"] if when == "in the second" else ["one", "two"])
            assert steps[1].told[0].left_over
            assert (steps[1].told[0].old, steps[1].told[0].new) == (first.thumbprint, bound.thumbprint)
            assert recover(machine=machine, hooks=steps) == []
            assert len(log) == len({*log})

    def test_recover_tells_of_a_step_that_fails(self, ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
        """As of everything that is not well again; the step stays owed."""
        step = Step("one", failures=2)
        deploy(KEY, ca.issue("a.test"), machine=machine, hooks=[step])
        with pytest.raises(DeploymentError, match="the service is away") as raised:
            recover(machine=machine, hooks=[step])
        assert isinstance(raised.value.__cause__, HookError)
        assert "ran the step one" in recover(machine=machine, hooks=[step])[0]

    def test_two_processes_do_not_run_them_side_by_side(
        self, ca: CertificateAuthority, machine: EmbeddedMachine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Who finds steps owed that somebody is running leaves them; who has a change of its own waits for them."""
        running, go_on = threading.Event(), threading.Event()

        def slow(_: Replacement) -> None:
            running.set()
            assert go_on.wait(60)

        certificate = ca.issue("a.test")
        thread = threading.Thread(target=lambda: deploy(KEY, certificate, machine=machine, hooks=[slow]))
        thread.start()
        try:
            assert running.wait(60)
            step = Step("one")
            assert renew_due(ca, machine=machine, hooks=[step])[0].error is None
            assert not step.told
            monkeypatch.setattr("mlsssl._changes.recovery.LOCK_TIMEOUT", 0.0)
            with pytest.raises(BindingError, match=r"steps after a change of 0\.0\.0\.0:443 are running"):
                deploy(KEY, certificate, machine=machine, hooks=[step])
        finally:
            go_on.set()
            thread.join(60)
        assert not step.told
        assert renew_due(ca, machine=machine, hooks=[step])[0].skipped is not None
        assert not step.told


class TestACommand:
    def test_it_is_told_by_variables_and_by_json(
        self, ca: CertificateAuthority, machine: EmbeddedMachine, tmp_path: Path
    ) -> None:
        """The same in both, and its arguments as they are: no shell reads them."""
        command = [*program(tmp_path, RECORDING), "$HOME", "a b", "; touch x", "%PATH%", '"', ""]
        outcome = deploy(KEY, ca.issue("a.test", "b.test"), machine=machine, hooks=[CommandHook(command)])
        arguments, variables, told = recorded(command)
        assert arguments == command[2:]
        thumbprint = str(outcome.after.thumbprint)
        for name, value in {
            "MLSSSL_VERB": "deploy",
            "MLSSSL_KEY": KEY,
            "MLSSSL_KEYS": KEY,
            "MLSSSL_OLD_THUMBPRINT": "",
            "MLSSSL_NEW_THUMBPRINT": thumbprint,
            "MLSSSL_STORE": "MY",
            "MLSSSL_HOST": "a.test",
            "MLSSSL_HOSTS": "a.test,b.test",
            "MLSSSL_MACHINE_KIND": "embedded",
        }.items():
            assert variables[name] == value
        assert told == {
            "verb": "deploy",
            "key": KEY,
            "keys": [KEY],
            "old": None,
            "new": thumbprint,
            "store": "MY",
            "host": "a.test",
            "hosts": ["a.test", "b.test"],
            "machine_kind": "embedded",
            "left_over": False,
        }

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("import sys; sys.exit('no disk \\x1b[31m left')", "it ended with exit code 1; it wrote: no disk"),
            ("import sys; sys.exit(3)", "it ended with exit code 3"),
            ("print('x' * 3_000_000)", "it wrote more than 1048576 bytes"),
        ],
    )
    def test_its_failure_says_how_it_ended_and_what_it_wrote(
        self, ca: CertificateAuthority, machine: EmbeddedMachine, tmp_path: Path, text: str, expected: str
    ) -> None:
        """In one printable line, bounded."""
        hook = CommandHook(program(tmp_path, text))
        outcome = deploy(KEY, ca.issue("a.test"), machine=machine, hooks=[hook])
        (finding,) = [one for one in outcome.findings if one.code == "after-failed"]
        assert expected in finding.found
        assert len(finding.found) < 600
        assert "\x1b" not in str(finding)

    def test_at_the_end_of_its_time_it_is_killed_with_what_it_started(
        self, ca: CertificateAuthority, machine: EmbeddedMachine, tmp_path: Path
    ) -> None:
        """The grandchild writes no more; the machine's lock is free meanwhile."""
        beat = tmp_path / "beat"
        child = f"import time\nwhile True:\n  open({str(beat)!r}, 'a').write('x'); time.sleep(0.05)"
        text = f"import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', {child!r}])\ntime.sleep(600)"
        hook = CommandHook(program(tmp_path, text), timeout=5.0)
        outcome = deploy(KEY, ca.issue("a.test"), machine=machine, hooks=[hook])
        assert "was not done after 5 seconds" in outcome.findings[-1].found
        assert beat.exists(), "the grandchild did not start within the time"
        if under_wine():
            return  # whose taskkill (8.0) does not know /t
        deadline = time.monotonic() + 30
        size = -1
        while size != beat.stat().st_size:  # the last write may be on its way
            assert time.monotonic() < deadline
            size = beat.stat().st_size
            time.sleep(0.5)

    def test_a_missing_program_is_a_failure_like_others(
        self, ca: CertificateAuthority, machine: EmbeddedMachine, tmp_path: Path
    ) -> None:
        """With undo it is the cause, as an error of the step."""
        hook = CommandHook([str(tmp_path / "absent")])
        outcome = deploy(KEY, ca.issue("a.test"), machine=machine, hooks=[hook])
        assert "there is no program" in outcome.findings[-1].found
        with pytest.raises(DeploymentError) as raised:
            renew(KEY, ca, machine=machine, hooks=[hook], after_failure="undo")
        assert isinstance(raised.value.__cause__, HookError)
        assert isinstance(raised.value.__cause__.__cause__, NotFoundError)

    @pytest.mark.parametrize("timeout", [0, -1, float("nan"), 10**9, "5", True])
    def test_impossible_times_are_refused(self, timeout: float) -> None:
        """And so is what is no command."""
        with pytest.raises(InvalidInputError, match="seconds"):
            CommandHook(["x"], timeout=timeout)
        for command in ([], [""], "x", [5], ["a\0b"]):
            with pytest.raises(InvalidInputError):
                CommandHook(command)  # type: ignore[arg-type]  # which is what is tried


class TestFiles:
    def test_a_pfx_is_written_for_its_owner_only(
        self, ca: CertificateAuthority, machine: EmbeddedMachine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whole, with key and chain, and anew by each renewal; the password may change in between."""
        path = tmp_path / "service.pfx"
        monkeypatch.setenv("SERVICE_PW", "one-1")
        hook = PfxFile(path, password_env="SERVICE_PW")
        first = deploy(KEY, ca.create_intermediate("I").issue("a.test"), machine=machine, hooks=[hook])
        assert [one.code for one in first.findings if one.code.startswith("after")] == []
        read = Certificate.load(path, password="one-1")
        assert (read.thumbprint, read.has_private_key) == (first.after.thumbprint, True)
        assert [one.common_name for one in read.chain][:1] == ["I"]
        monkeypatch.setenv("SERVICE_PW", "two-2")
        second = renew(KEY, ca, machine=machine, hooks=[hook])
        assert Certificate.load(path, password="two-2").thumbprint == second.after.thumbprint
        if sys.platform != "win32":
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert [one.name for one in tmp_path.iterdir()] == ["service.pfx"]

    def test_a_password_of_a_file_is_its_first_line(
        self, ca: CertificateAuthority, machine: EmbeddedMachine, tmp_path: Path
    ) -> None:
        """A file that is not there is a failure of the step, and leaves the old PFX."""
        (tmp_path / "pw").write_text("one-1\nrest\n", encoding="utf-8")
        hook = PfxFile(tmp_path / "service.pfx", password_file=tmp_path / "pw")
        deploy(KEY, ca.issue("a.test"), machine=machine, hooks=[hook])
        before = (tmp_path / "service.pfx").read_bytes()
        Certificate.from_pfx(before, "one-1")
        (tmp_path / "pw").unlink()
        outcome = renew(KEY, ca, machine=machine, hooks=[hook])
        assert "there is no file" in outcome.findings[-1].found
        assert (tmp_path / "service.pfx").read_bytes() == before

    def test_a_key_that_may_not_leave_the_store_is_said(
        self, ca: CertificateAuthority, machine: EmbeddedMachine, tmp_path: Path
    ) -> None:
        """A certificate that was in the store already has no key at hand."""
        entry = machine.store().add(ca.issue("a.test"))
        hook = PfxFile(tmp_path / "service.pfx", password="one-1")
        outcome = deploy(KEY, entry, machine=machine, hooks=[hook])
        assert "export" in outcome.findings[-1].found
        assert not (tmp_path / "service.pfx").exists()

    def test_pem_files_for_a_server(self, ca: CertificateAuthority, machine: EmbeddedMachine, tmp_path: Path) -> None:
        """The key's file is private; what is public keeps the umask."""
        hook = PemFiles(tmp_path, "nginx", file_name="site")
        outcome = deploy(KEY, ca.issue("a.test"), machine=machine, hooks=[hook])
        assert Certificate.load(tmp_path / "site.crt").thumbprint == outcome.after.thumbprint
        key = (tmp_path / "site.key").read_bytes()
        assert Certificate.load(tmp_path / "site.crt").with_key(key).has_private_key
        if sys.platform != "win32":
            assert stat.S_IMODE((tmp_path / "site.key").stat().st_mode) == 0o600
        deploy("0.0.0.0:444", ca.issue("b.test"), machine=machine, hooks=[PemFiles(tmp_path, "haproxy")])
        assert b"PRIVATE KEY" in (tmp_path / "server.pem").read_bytes()

    def test_an_account_that_is_not_there_is_said_and_leaves_nothing(
        self, ca: CertificateAuthority, machine: EmbeddedMachine, tmp_path: Path
    ) -> None:
        """Neither a file nor half of one."""
        hook = PemFiles(tmp_path, "nginx", account="no such account")
        outcome = deploy(KEY, ca.issue("a.test"), machine=machine, hooks=[hook])
        assert "there is no account" in outcome.findings[-1].found
        assert [*tmp_path.iterdir()] == []

    @pytest.mark.skipif(sys.platform == "win32", reason="modes and owners; access lists are in tests/windows")
    def test_an_account_gets_the_file(self, ca: CertificateAuthority, machine: EmbeddedMachine, tmp_path: Path) -> None:
        """Root gives it away; anybody else may only keep it, and is told so."""
        path = tmp_path / "service.pfx"
        mine, root = path.parent.stat().st_uid, path.parent.stat().st_uid == 0
        deploy(KEY, ca.issue("a.test"), machine=machine, hooks=[PfxFile(path, password="one-1", account=str(mine))])
        assert path.stat().st_uid == mine
        outcome = renew(KEY, ca, machine=machine, hooks=[PfxFile(path, password="one-1", account="nobody")])
        if root:
            assert (path.stat().st_uid == mine, stat.S_IMODE(path.stat().st_mode)) == (False, 0o600)
        else:
            assert "only root may give a file" in outcome.findings[-1].found

    def test_no_password_is_shown(self) -> None:
        """Neither in the text of a step nor in the error of a wrong one."""
        assert "one-1" not in repr(PfxFile("a.pfx", password="one-1"))
        with pytest.raises(InvalidInputError) as raised:
            PfxFile("a.pfx", password="one-1", password_env="X")
        assert "one-1" not in str(raised.value)

    @pytest.mark.parametrize(
        "make",
        [
            lambda: PfxFile("a.pfx"),
            lambda: PfxFile(5, password="x"),  # type: ignore[arg-type]  # which is what is tried
            lambda: PfxFile("a.pfx", password="x", account=5),  # type: ignore[arg-type]
            lambda: PemFiles(".", "iis"),  # type: ignore[arg-type]
            lambda: PemFiles(".", "nginx", file_name="../x"),
            lambda: RdpListener(listener="x'; Remove-Item"),
            lambda: RdpListener(timeout=0),
            lambda: RdpListener(program=5),  # type: ignore[arg-type]
            lambda: WinRmListener(address="$(whoami)"),
        ],
    )
    def test_what_cannot_be_is_refused_at_once(self, make: Callable[[], object]) -> None:
        """Not first after a renewal, at night."""
        with pytest.raises(InvalidInputError):
            make()


class TestWindowsListeners:
    """Windows is imitated; PowerShell is a program of the test that notes what it is given."""

    @pytest.fixture(name="windows")
    def _windows(self, tmp_path: Path) -> FakeMachine:
        return FakeMachine(tmp_path / "state")

    @pytest.fixture(name="powershell")
    def _powershell(self, tmp_path: Path) -> list[str]:
        if sys.platform == "win32":
            pytest.skip("a script of the test cannot stand in for powershell.exe there")
        command = program(tmp_path, f"#!{sys.executable}\n{RECORDING}")
        Path(command[1]).chmod(0o700)
        return command

    @pytest.mark.parametrize(
        ("kind", "listener", "words"),
        [
            (
                RdpListener,
                "RDP-Tcp",
                ["root/cimv2/TerminalServices", "Win32_TSGeneralSetting", "SSLCertificateSHA1Hash"],
            ),
            (WinRmListener, "*", ["winrm/config/Listener", "Set-WSManInstance", "CertificateThumbprint", "HTTPS"]),
        ],
    )
    def test_powershell_is_given_a_fixed_script_and_the_rest_as_variables(
        self,
        ca: CertificateAuthority,
        windows: FakeMachine,
        powershell: list[str],
        kind: Callable[..., RdpListener | WinRmListener],
        listener: str,
        words: list[str],
    ) -> None:
        """So that nothing has to be quoted: the script is the same whatever is set, and holds no double quote."""
        outcome = deploy(KEY, ca.issue("a.test"), machine=windows, hooks=[kind(program=powershell[1])])
        assert [one.code for one in outcome.findings if one.code.startswith("after")] == []
        arguments, variables, told = recorded(powershell)
        assert arguments[:-1] == ["-NoLogo", "-NoProfile", "-NonInteractive", "-Command"]
        assert '"' not in arguments[-1]
        assert all(word in arguments[-1] for word in words)
        assert str(outcome.after.thumbprint) not in arguments[-1]
        assert variables["MLSSSL_LISTENER"] == listener
        assert variables["MLSSSL_NEW_THUMBPRINT"] == str(outcome.after.thumbprint)
        assert told["machine_kind"] == "windows"
        entry = Store("MY", "LocalMachine", windows)[str(outcome.after.thumbprint)]
        readers = [one.sid for one in entry.key_access if one.may_read]
        assert ("S-1-5-20" in readers) is (kind is RdpListener)

    def test_what_windows_refuses_is_told(self, ca: CertificateAuthority, windows: FakeMachine, tmp_path: Path) -> None:
        """With the words that it wrote, under the name of the listener."""
        if sys.platform == "win32":
            pytest.skip("a script of the test cannot stand in for powershell.exe there")
        command = program(tmp_path, f"#!{sys.executable}\nimport sys; sys.exit('there is no listener RDP-Tcp')")
        Path(command[1]).chmod(0o700)
        outcome = deploy(KEY, ca.issue("a.test"), machine=windows, hooks=[RdpListener(program=command[1])])
        assert "the step rdp failed: it ended with exit code 1; it wrote: there is no listener RDP-Tcp" in str(
            outcome.findings[-1]
        )

    @pytest.mark.parametrize("kind", [RdpListener, WinRmListener])
    def test_another_machine_or_store_is_refused(
        self,
        ca: CertificateAuthority,
        machine: EmbeddedMachine,
        windows: FakeMachine,
        kind: Callable[..., RdpListener | WinRmListener],
    ) -> None:
        """An embedded machine's certificate is in no store of Windows; and both listeners look into MY alone."""
        step = Step("note")
        deploy(KEY, ca.issue("a.test"), machine=machine, hooks=[step])
        with pytest.raises(UnsupportedError, match="embedded machine"):
            kind(program="absent")(step.told[0])
        deploy(KEY, ca.issue("a.test"), machine=windows, hooks=[step])
        with pytest.raises(HookError, match="not in WebHosting"):
            kind(program="absent")(dataclasses.replace(step.told[1], store="WebHosting"))
        with pytest.raises(HookError, match="nothing is bound"):
            kind(program="absent")(dataclasses.replace(step.told[1], new=None))
        with pytest.raises(NotFoundError, match="no program"):
            kind(program="absent")(step.told[1])


class TestTheCommandLine:
    @pytest.fixture(name="place")
    def _place(self, ca: CertificateAuthority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PW", "hunter-22")
        monkeypatch.setenv("MLSSSL_MACHINE", str(tmp_path / "machine.sqlite"))
        ca.save("ca.pfx", password="hunter-22")
        ca.issue("a.test").save("server.pfx", password="hunter-22")
        return tmp_path

    DEPLOY = ("deploy", KEY, "server.pfx", "--password", "env:PW")
    RENEW = ("renew", "--all", "--ca", "ca.pfx", "--ca-password", "env:PW")

    def test_steps_run_and_a_failure_is_exit_code_12(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """In the order given; what is left over is run by the next renewal, due or not."""
        good, bad = program(place, RECORDING), program(place, "import sys; sys.exit(5)")
        words = [f'"{word}"' for word in good]
        after = ("--after", " ".join(words), "--after", " ".join(f'"{word}"' for word in bad))
        assert main([*self.DEPLOY, *after]) == 12
        assert "after-failed" in capsys.readouterr().out
        assert recorded(good)[1]["MLSSSL_KEY"] == KEY
        assert main([*self.RENEW, "--due", *after, "--json"]) == 12
        assert json.loads(capsys.readouterr().out)["exit_code"] == 12
        assert main([*self.RENEW, *after]) == 12
        capsys.readouterr()
        assert main([*self.RENEW, *after, "--after-failure", "undo", "--json"]) == 12
        (told,) = json.loads(capsys.readouterr().out)["results"]
        assert told["error"]["type"] == "DeploymentError"
        assert main([*self.RENEW, *after]) == 12
        assert main(["recover", *after]) == 12
        Path(bad[1]).write_text("", encoding="utf-8")
        assert main([*self.RENEW, "--due", *after]) == 10
        assert main(["undo", KEY]) == 0
        assert "after-owed" in capsys.readouterr().out

    def test_files_by_their_short_words(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        """A PFX with its password from the environment; PEM files; the key is nowhere in the output."""
        (place / "pem").mkdir()
        files = ("--after", "pfx=out.pfx", "--after", "haproxy=pem", "--after-password", "env:PW")
        assert main([*self.DEPLOY, *files[:2], *files[4:]]) == 0
        assert Certificate.load("out.pfx", password="hunter-22").has_private_key
        assert main([*self.DEPLOY, "--plan", *files[:2], *files[4:]]) == 0
        assert "hunter-22" not in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["--after-timeout", "5"], "--after names, which is missing"),
            (["--after", "rdp", "--after-account", "x"], "no --after writes one"),
            (["--after", "pfx=x.pfx"], "needs a password: --after-password env:NAME"),
            (["--after", "pfx=x.pfx", "--after-password", "hunter-22"], "env:NAME or file:PATH"),
            (["--after", 'say "hello'], "do not match"),
            (["--after", ""], "--after is empty"),
            (["--after", "x", "--after-timeout", "0"], "seconds"),
        ],
    )
    def test_what_cannot_be_is_refused_before_anything_is_done(
        self, place: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
    ) -> None:
        """Exit code 2, and no machine was made."""
        assert main([*self.DEPLOY, *words]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert "hunter-22" not in error
        assert not (place / "machine.sqlite").exists()

    @pytest.mark.parametrize(
        ("text", "windows", "expected"),
        [
            (r'"C:\Program Files\x.exe" /a "b c"', True, ["C:\\Program Files\\x.exe", "/a", "b c"]),
            (r"C:\x\y.exe a'b", True, ["C:\\x\\y.exe", "a'b"]),
            (r"/bin/x 'a b' c\ d $HOME", False, ["/bin/x", "a b", "c d", "$HOME"]),
        ],
    )
    def test_a_command_is_split_as_its_system_writes_paths(self, text: str, windows: bool, expected: list[str]) -> None:
        """Backslashes are part of a path on Windows."""
        assert split_command(text, windows=windows) == expected


def test_the_servers_of_the_command_line_are_all_there_are() -> None:
    """They are written twice, since `--help` imports none of what writes files."""
    assert set(after._PEM) == set(get_args(Server))
