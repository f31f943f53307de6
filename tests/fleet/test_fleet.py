"""A fleet on Salt itself: a master, an issuing minion and ten that serve, each a process with a machine and a listener.

`nox -s fleet` runs it, for Salt wants an environment of its own. The tests are one story, in the order in which they
stand here; each begins with what the one before has left. Nothing is skipped where Salt's master runs, which is on Unix
alone: what cannot run fails.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from fleet.harness import HASH_SEED, Fleet, Handshakes, fleet_of
from fleet.prepared import ISSUER, PASSWORD, PEERS, SERVING, give, prepare
from mlsssl import Audit, Certificate, CertificateAuthority, EmbeddedMachine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fleet.harness import Minion

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="Salt's master runs on Unix alone, in `nox -s fleet`"),
]

ALL_NOW = ("fleet", "due_only=False")
"""Arguments of `mlsssl.renew_due`: all that is of the issuer `fleet`, whether due or not."""


def _batch_order() -> list[str]:
    """The order in which `salt -b` takes the minions."""
    code = f"print(*set({list(SERVING)!r}))"
    environment = {**os.environ, "PYTHONHASHSEED": HASH_SEED}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    return done.stdout.split()


FULL = _batch_order()[2]
"""Whose disk becomes full: one of the first in a batch, so that others would come after it."""
KILLED, OFFLINE, THIEF = [name for name in SERVING if name != FULL][:3]


@pytest.fixture(scope="module", name="started")
def _started() -> Iterator[tuple[Fleet, CertificateAuthority]]:
    made: list[CertificateAuthority] = []
    names = (ISSUER, *SERVING)
    with fleet_of(names, {"peer": PEERS}, lambda fleet: made.append(prepare(fleet)), small=FULL) as fleet:
        yield fleet, made[0]


@pytest.fixture(name="fleet")
def _fleet(started: tuple[Fleet, CertificateAuthority]) -> Fleet:
    return started[0]


@pytest.fixture(name="authority")
def _authority(started: tuple[Fleet, CertificateAuthority]) -> CertificateAuthority:
    """The fleet's first authority."""
    return started[1]


def serving(fleet: Fleet) -> list[Minion]:
    """The minions that serve."""
    return [fleet.minions[name] for name in SERVING]


def bound(fleet: Fleet) -> dict[str, str]:
    """What each of them has bound."""
    return {one.name: one.bound() for one in serving(fleet)}


def records(minion: Minion) -> list[Path]:
    """Of changes and requests that are not done with; the last goes a moment after the change is seen."""
    return [*minion.state.glob("change-*.json"), *minion.state.glob("request-*.json")]


def is_whole(minion: Minion, authority: CertificateAuthority) -> str:
    """Checks that nothing is half done on this minion; what it serves."""
    assert records(minion) == []
    thumbprint = str(minion.served(authority).thumbprint)
    assert thumbprint == minion.bound()
    return thumbprint


def test_first_deployment(fleet: Fleet, authority: CertificateAuthority) -> None:
    """Nothing is bound; a state has a certificate issued for each minion's own name, and binds it."""
    for minion in serving(fleet):
        with EmbeddedMachine(minion.machine, create=False) as machine:
            assert not machine.bindings
    planned = fleet.salt("web*", "state.apply", "bound", "test=True", check=False)
    assert {_only(one)["result"] for one in planned.answers.values()} == {None}
    assert not any([*one.state.glob("request-*.json")] for one in serving(fleet))

    done = fleet.salt("web*", "state.apply", "bound", "-b", "3", "--failhard")
    assert sorted(done.answers) == sorted(SERVING), done.said
    for minion in serving(fleet):
        served = minion.served(authority)
        assert served.names == (minion.host,)
        assert _only(done.answers[minion.name])["changes"]["thumbprint"] == {"old": None, "new": str(served.thumbprint)}

    again = fleet.salt("web*", "state.apply", "bound")
    assert [_only(one)["changes"] for one in again.answers.values()] == [{}] * len(SERVING)


def _only(answer: dict[str, Any]) -> dict[str, Any]:
    """The one state of an answer of `state.apply`."""
    [state] = answer.values()
    assert isinstance(state, dict), answer
    return state


def test_the_table(fleet: Fleet) -> None:
    """As values, as the report page, and as JSON that `audit --from` reads; what is due."""
    found = fleet.run("mlsssl.fleet", "days=1").answers["runner"]
    assert (found["asked"], found["answered"], found["no_answer"], found["failed"]) == (11, 11, [], {})
    assert (found["bindings"], found["errors"], found["due"]) == (10, 0, [])
    assert {(row["minion"], row["names"]) for row in found["rows"]} == {(one.name, one.host) for one in serving(fleet)}

    for suffix in ("html", "json"):
        target = fleet.folder / "made" / f"fleet.{suffix}"
        found = fleet.run("mlsssl.fleet", "web*", "days=40", f"save={target}").answers["runner"]
        assert found["saved"] == str(target)
        assert {one["minion"] for one in found["due"]} == {*SERVING}
        assert "rows" not in found
        text = target.read_text()
        assert all(one.host in text for one in serving(fleet))
    audits = Audit.from_json((fleet.folder / "made" / "fleet.json").read_bytes())
    assert {one.machine for one in audits} == {*SERVING}


def test_a_rotation_in_batches_of_two(fleet: Fleet, authority: CertificateAuthority) -> None:
    """Everybody has a new certificate, and no client outside has seen a failure meanwhile."""
    before = bound(fleet)
    with Handshakes(serving(fleet), authority) as outside:
        done = fleet.salt("web*", "mlsssl.renew_due", *ALL_NOW, "-b", "2", "--failhard")
    assert outside.failed == []
    assert sorted(done.answers) == sorted(SERVING), done.said
    after = bound(fleet)
    for minion in serving(fleet):
        assert after[minion.name] != before[minion.name]
        assert outside.seen[minion.name] == [before[minion.name], after[minion.name]]
        assert str(minion.served(authority).thumbprint) == after[minion.name]
    # Nothing is due now: the scheduled call changes nothing.
    fleet.salt("web*", "mlsssl.renew_due", "fleet")
    assert bound(fleet) == after


def test_a_full_disk_stops_the_batch(fleet: Fleet, authority: CertificateAuthority) -> None:
    """The minion refuses and is whole; what would have come after it is as it was; with room again all go on."""
    before = bound(fleet)
    with fleet.full_disk(), Handshakes(serving(fleet), authority) as outside:
        done = fleet.salt("web*", "mlsssl.renew_due", *ALL_NOW, "-b", "2", "--failhard", check=False)
        assert done.code != 0
        assert is_served(fleet.minions[FULL], authority) == before[FULL]
    assert outside.failed == []
    assert fleet.minions[FULL].bound() == before[FULL], done.said
    begun = {
        name for group in re.findall(r"Executing run on \[(.*)\]", done.said) for name in re.findall(r"\w+", group)
    }
    left_alone = {*SERVING} - begun
    assert FULL in begun
    assert left_alone, done.said
    for name in begun - {FULL}:  # of which one may still have been at it when the batch was ended
        _wait(partial(_is_changed, fleet.minions[name], before[name]))
    for name in left_alone:
        assert is_whole(fleet.minions[name], authority) == before[name]

    fleet.salt(FULL, "mlsssl.recover")
    fleet.salt("web*", "mlsssl.renew_due", *ALL_NOW, "-b", "3", "--failhard")
    now = bound(fleet)
    assert all(now[name] != before[name] for name in SERVING)
    for minion in serving(fleet):
        assert is_whole(minion, authority) == now[minion.name]


def is_served(minion: Minion, authority: CertificateAuthority) -> str:
    """What a client is served."""
    return str(minion.served(authority).thumbprint)


def test_a_killed_minion_recovers(fleet: Fleet, authority: CertificateAuthority) -> None:
    """SIGKILL between the record of the change and the change; the old certificate is served until the next run."""
    minion = fleet.minions[KILLED]
    before = minion.bound()
    state = minion.state
    with Handshakes([minion], authority) as outside:
        with fleet.minions[ISSUER].process.halted():  # the job cannot come further than to its request
            fleet.salt(KILLED, "mlsssl.renew_due", *ALL_NOW, "--async")
            _wait(lambda: any("BEGIN CERTIFICATE REQUEST" in _text(one) for one in state.glob("request-*.json")))
            held = sqlite3.connect(minion.machine, isolation_level=None)
            held.execute("BEGIN IMMEDIATE")  # nor, with the certificate, to writing the change
        _wait(lambda: any(state.glob("change-*.json")))
        minion.process.kill()
        held.close()
        assert list(state.glob("change-*.json"))
        assert minion.bound() == before
        assert is_served(minion, authority) == before

        minion.process.start()
        fleet.wait_for(KILLED)
        fleet.salt(KILLED, "mlsssl.renew_due", *ALL_NOW)
    assert outside.failed == []
    after = is_whole(minion, authority)
    assert after != before
    assert outside.seen[KILLED] == [before, after]
    assert fleet.salt(KILLED, "mlsssl.recover").answers[KILLED] in ([], {"done": []})
    with EmbeddedMachine(minion.machine, create=False) as machine:
        assert len(machine.bindings) == 1


def _wait(for_what: Callable[[], bool], limit: float = 240) -> None:
    end = time.monotonic() + limit
    while not for_what():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.002)


def _is_changed(minion: Minion, before: str) -> bool:
    return minion.bound() != before and not records(minion)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def test_a_minion_that_was_offline_catches_up(fleet: Fleet, authority: CertificateAuthority) -> None:
    """It misses the rotation, is named as missing, keeps the others from the next step, and renews by its schedule."""
    minion = fleet.minions[OFFLINE]
    before = bound(fleet)
    minion.process.kill()
    fleet.salt("web*", "mlsssl.renew_due", *ALL_NOW, "-b", "3", "--failhard", "-t", "20", check=False)
    after = bound(fleet)
    assert {name for name in SERVING if after[name] == before[name]} == {OFFLINE}
    assert is_served(minion, authority) == before[OFFLINE]
    found = fleet.run("mlsssl.fleet", "web*", "timeout=15").answers["runner"]
    assert (found["answered"], found["no_answer"]) == (9, [OFFLINE])

    # As after a long absence: what was issued before now is due.
    schedule = {
        "function": "mlsssl.renew_due",
        "args": ["fleet"],
        "kwargs": {"fraction": 1.5e-6, "jitter": 0.0},  # four seconds; 1e-6 has no point, so YAML takes it for a text
        "hours": 6,
        "splay": 2,
        "run_on_start": True,
    }
    give(fleet, "authority.pfx", authority, schedules={OFFLINE: {"renewal": schedule}})
    minion.process.start()
    fleet.wait_for(OFFLINE)
    _wait(partial(_is_changed, minion, before[OFFLINE]))
    assert is_whole(minion, authority) == minion.bound()
    give(fleet, "authority.pfx", authority)  # the next start is to change nothing


def test_another_ones_name_is_refused(fleet: Fleet) -> None:
    """By the issuing minion, which knows by Salt's master who asks; its own name is signed."""
    thief, victim = fleet.minions[THIEF], fleet.minions[OFFLINE]
    before = thief.bound()
    other = f"127.0.0.1:{thief.port + 1}"
    done = fleet.salt(THIEF, "mlsssl.deploy", other, "issuer=fleet", f"host={victim.host}", check=False)
    assert done.code != 0
    assert f"not among the names of {THIEF}" in done.said
    both = json.dumps([thief.host, victim.host])
    done = fleet.salt(THIEF, "mlsssl.deploy", other, "issuer=fleet", f"host={both}", check=False)
    assert f"not among the names of {THIEF}" in done.said
    with EmbeddedMachine(thief.machine, create=False) as machine:
        assert [str(one.key) for one in machine.bindings] == [thief.key]
    assert thief.bound() == before
    # The twin, and nothing else may be asked of the issuing minion.
    assert fleet.salt(THIEF, "mlsssl.deploy", other, "issuer=fleet", f"host={thief.host}").answers[THIEF]["changed"]
    fleet.salt(THIEF, "mlsssl.remove", other)
    asked = fleet.salt(THIEF, "publish.publish", ISSUER, "cmd.run", "id", check=False)
    assert asked.answers.get(THIEF) in ({}, None)


def test_a_change_of_the_root(fleet: Fleet, authority: CertificateAuthority) -> None:
    """Step by step; clients of the old root, of both and of the new one are served as the how-to says."""
    made = fleet.folder / "made"
    renewed = authority.renew(days=3652)
    new, bridge, old_with_new = renewed.authority, renewed.bridge, renewed.old_with_new
    assert bridge is not None
    assert old_with_new is not None
    bridge.save(made / "bridge.pfx", password=PASSWORD)
    authority.certificate.save(made / "old.cer")
    new.certificate.save(made / "new.cer")
    old_with_new.save(made / "old-with-new.cer")
    roots = (f"old={made / 'old.cer'}", f"new={made / 'new.cer'}", "tgt=web*")

    def step(name: str, *words: str, check: bool = True) -> Any:
        return fleet.run("mlsssl.rotate_root", name, *roots, *words, check=check)

    assert step("look").answers["runner"]["next"] == "successor"
    early = step("changeover", "issuer=fleet", check=False)
    assert early.code != 0
    assert "changeover has to wait, nothing was changed: 10 of 10 minions" in early.said

    # While one is offline the step is done on nobody.
    fleet.minions[OFFLINE].process.kill()
    waits = step("successor", f"old_with_new={made / 'old-with-new.cer'}", "timeout=10", check=False)
    assert f"{OFFLINE}: it did not answer" in waits.said
    fleet.minions[OFFLINE].process.start()
    fleet.wait_for(OFFLINE)

    done = step("successor", f"old_with_new={made / 'old-with-new.cer'}").answers["runner"]
    assert (done["lacking"], done["next"]) == ({}, "changeover")
    for client in ([authority], [authority, new], [new]):
        assert {one.served(*client).names for one in serving(fleet)} == {(one.host,) for one in serving(fleet)}
    assert step("finish", "clients_trust_new=True", check=False).code != 0

    # The issuing minion signs by the bridge from now on.
    give(fleet, "bridge.pfx", authority, new)
    fleet.salt("*", "saltutil.refresh_pillar", "wait=True")
    before = bound(fleet)
    with Handshakes(serving(fleet), authority) as old_clients, Handshakes(serving(fleet), new) as new_clients:
        done = step("changeover", "issuer=fleet", "batch=3").answers["runner"]
    assert old_clients.failed + new_clients.failed == []
    assert (done["lacking"], done["next"]) == ({}, "finish")
    assert all(bound(fleet)[name] != before[name] for name in SERVING)
    assert "clients_trust_new" in step("finish", check=False).said

    done = step("finish", "clients_trust_new=True").answers["runner"]
    assert (done["lacking"], done["next"]) == ({}, None)
    for minion in serving(fleet):
        minion.served(new)
        with pytest.raises(OSError, match="certificate verify failed"):
            minion.served(authority)


def test_no_secret_is_anywhere(fleet: Fleet) -> None:
    """The authority's password and key, and any key as PEM: in no log, job cache or other file of Salt's processes."""
    loaded = Certificate.load(fleet.folder / "made" / "authority.pfx", password=PASSWORD)
    key = loaded.private_key
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    number = key.private_numbers().private_value.to_bytes(32, "big")
    secrets = (PASSWORD.encode(), number, number.hex().encode(), b"PRIVATE KEY")
    ours = {fleet.folder / "pillar" / f"of_{ISSUER}.sls", *(fleet.folder / "made").iterdir()}
    cached = fleet.folder / "master" / "cache" / "pillar" / f"{ISSUER}.p"
    looked_at, found = 0, []
    for path in fleet.folder.rglob("*"):
        if path.is_file() and path not in ours:
            try:
                data = path.read_bytes()
            except FileNotFoundError:  # Salt has taken it away meanwhile
                continue
            looked_at += len(data)
            # A machine and Salt keep keys of their own; the pillar is in the master's cache too, for its owner only.
            parts = path.relative_to(fleet.folder).parts
            looked_for = secrets[:3] if parts[1:2] in (("machine",), ("pki",)) else secrets
            if path == cached:
                assert path.stat().st_mode & 0o077 == 0
                looked_for = secrets[1:]
            found += [str(path) for one in looked_for if one in data]
    assert found == []
    assert looked_at > 1_000_000  # debug logs, the job cache
    kept = list((fleet.folder / "master" / "cache" / "jobs").rglob("return.p"))
    assert len(kept) > 50
    # The twin: what is looked for would be found.
    assert secrets[0] in (fleet.folder / "pillar" / f"of_{ISSUER}.sls").read_bytes()
