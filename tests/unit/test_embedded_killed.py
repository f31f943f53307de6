"""Writers of the machine's file are killed in the middle: what was acknowledged is there, and nothing is torn."""

from __future__ import annotations

import os
import pickle
import random
import subprocess
import sys
import textwrap
import time
import uuid
from typing import TYPE_CHECKING

import pytest

from made_certificates import Made, make, shared_key
from mlsssl._embedded.port import EmbeddedPort
from mlsssl._formats.binding_keys import BindingOptions, HostnamePort, IpPort
from mlsssl._machine.ports import BindingRecord

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 12

# One line of output is one acknowledged change: it is written after the call has returned.
WRITER = """
import os, pickle, sys, uuid
from mlsssl._embedded.port import EmbeddedPort
from mlsssl._machine.ports import BindingRecord, NewCertificate
from mlsssl._formats.binding_keys import BindingOptions, HostnamePort, IpPort
from mlsssl.values import Thumbprint

path, work, start = sys.argv[1], sys.argv[2], int(sys.argv[3])
with open(work, "rb") as file:
    made = pickle.load(file)
machine = EmbeddedPort(path)
store = machine.open_store("MY", "LocalMachine", write=True)
bindings = machine.bindings

def say(*words):
    os.write(1, (" ".join(map(str, words)) + chr(10)).encode())

def record(key, thumbprint, number):
    return BindingRecord(key=key, thumbprint=Thumbprint(thumbprint), store_name="MY", app_id=uuid.UUID(int=number),
                         options=BindingOptions(unknown_flags=number << 16))

moving = IpPort("0.0.0.0", 443)
for n in range(start, len(made)):
    thumbprint, der, pkcs8 = made[n]
    store.add(der, pkcs8, friendly_name=f"number {n}", exportable=True, provider=None)
    say("added", n)
    bindings.add(record(HostnamePort(f"h{n}.example", 443), thumbprint, n))
    say("bound", n)
    new = record(moving, thumbprint, n)
    bindings.add(new) if bindings.find(moving) is None else bindings.update(new)
    say("moved", n)
    if n % 3 == 2 and n - 2 >= start:
        bindings.remove(HostnamePort(f"h{n - 2}.example", 443))
        say("unbound", n - 2)
        store.remove(Thumbprint(made[n - 2][0]), delete_key=True)
        say("removed", n - 2)
say("finished")
"""


@pytest.fixture(scope="module")
def made() -> list[Made]:
    return [make(f"h{n}.example", key=shared_key(1000 + n)) for n in range(1200)]


def run_and_kill(machine: Path, work: Path, start: int, seconds: float) -> list[list[str]]:
    """What a writer said before it was killed, this many seconds after its first word."""
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(machine), str(work), str(start)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stderr is not None
    with child:
        first = child.stdout.readline()
        time.sleep(seconds)
        child.kill()
        # Not `communicate`, which passes over what `readline` has read ahead.
        rest, errors = child.stdout.read(), child.stderr.read()
    assert first, errors
    assert "Traceback" not in errors
    # A line that the kill cut short was not said.
    return [line.split() for line in (first + rest).splitlines(keepends=True) if line.endswith("\n")]


def test_every_acknowledged_change_survives_and_nothing_is_torn(tmp_path: Path, made: list[Made]) -> None:
    """Twelve kills at random moments on one file, looked at after each."""
    path, work = tmp_path / "machine.sqlite", tmp_path / "work"
    work.write_bytes(pickle.dumps([(bytes(m.thumbprint), m.der, m.pkcs8) for m in made]))
    chance = random.Random(443)
    said: dict[int, set[str]] = {}
    start = 0
    for _ in range(ROUNDS):
        lines = run_and_kill(path, work, start, chance.uniform(0.0, 0.12))
        assert ["finished"] not in lines, "the writer was faster than the kill: give it more to do"
        for word, number in lines:
            said.setdefault(int(number), set()).add(word)
        start = max(said) + 2  # the change that was under way may be there or not
        last_moved = max((n for n, words in said.items() if "moved" in words), default=None)
        check(path, made, said, last_moved)
    assert len(said) > ROUNDS, "too few changes happened to show anything"


def check(path: Path, made: list[Made], said: dict[int, set[str]], last_moved: int | None) -> None:
    machine = EmbeddedPort(path)
    try:
        database = machine._database
        assert database.query("PRAGMA integrity_check") == [("ok",)]
        assert machine.recover() == [], "a key without its certificate was left"
        store = machine.open_store("MY", "LocalMachine")
        numbers = {one.thumbprint: n for n, one in enumerate(made)}
        for record in store.records():
            assert record.key is not None, "a certificate came without its key"
            assert record.key.usable
        for n, words in said.items():
            found = store.find(made[n].thumbprint)
            bound = machine.bindings.find(HostnamePort(f"h{n}.example", 443))
            if "removed" in words:
                assert found is None
            elif found is None:
                assert "unbound" in words, f"certificate {n} was acknowledged and is gone"
            else:
                assert found.friendly_name == f"number {n}"
                assert store.export_key(made[n].thumbprint) == made[n].pkcs8
            if "bound" in words and "unbound" not in words:
                # The removal that was under way may have happened; it is announced by number n + 2.
                assert bound == whole(HostnamePort(f"h{n}.example", 443), made, n) or "moved" in said.get(n + 2, ())
            if "unbound" in words:
                assert bound is None
        moving = machine.bindings.find(IpPort("0.0.0.0", 443))
        if last_moved is not None:
            assert moving is not None
            assert moving.thumbprint is not None
            n = numbers[moving.thumbprint]
            assert n >= last_moved
            assert moving == whole(IpPort("0.0.0.0", 443), made, n), "the record is of two changes"
    finally:
        machine.close()


def whole(key: IpPort | HostnamePort, made: list[Made], n: int) -> BindingRecord:
    return BindingRecord(
        key=key,
        thumbprint=made[n].thumbprint,
        store_name="MY",
        app_id=uuid.UUID(int=n),
        options=BindingOptions(unknown_flags=n << 16),
    )


def test_a_kill_at_every_statement_of_an_addition_leaves_all_or_nothing(tmp_path: Path, made: list[Made]) -> None:
    """A sweep: the process ends just before the first, the second, … statement."""
    one = made[0]
    script = """
        import os, pathlib, sys
        from mlsssl._embedded.port import EmbeddedPort
        count, left = 0, int(sys.argv[2])
        def hook(statement):
            global count
            count += 1
            if count > left:
                os._exit(9)
        der, pkcs8 = bytes.fromhex(sys.argv[3]), bytes.fromhex(sys.argv[4])
        machine = EmbeddedPort(sys.argv[1], on_statement=hook)
        store = machine.open_store("MY", "LocalMachine", write=True)
        store.add(der, pkcs8, friendly_name=None, exportable=True, provider=None)
        print(count, flush=True)
        os._exit(0)
    """
    outcomes = []
    for point in range(100):
        path = tmp_path / f"{point}.sqlite"
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script), str(path), str(point), one.der.hex(), one.pkcs8.hex()],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ},
        )
        machine = EmbeddedPort(path)
        found = machine.open_store("MY", "LocalMachine").find(one.thumbprint)
        assert found is None or (found.key is not None and found.key.usable)
        assert machine.recover() == []
        machine.close()
        outcomes.append((done.returncode, found is not None))
        if done.returncode == 0:
            break
        assert done.returncode == 9, done.stderr
    print(f"killed at {len(outcomes) - 1} statements")
    assert outcomes[-1] == (0, True)
    assert set(outcomes[:-1]) == {(9, False)}
    assert len(outcomes) > 5
