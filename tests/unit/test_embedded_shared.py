"""One machine's file used by several processes, each with several threads, at once."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import textwrap
import uuid
from typing import TYPE_CHECKING

from made_certificates import make, shared_key
from mlsssl._embedded.port import EmbeddedPort
from mlsssl._formats.binding_keys import BindingOptions, HostnamePort, IpPort
from mlsssl._machine.ports import BindingRecord

if TYPE_CHECKING:
    from pathlib import Path

PROCESSES, THREADS, EACH = 3, 3, 8

# Every thread adds certificates of its own and one that all add, reads all the while, and races for a binding.
WORKER = """
import json, pickle, sys, threading, uuid
from mlsssl._embedded.port import EmbeddedPort
from mlsssl._machine.ports import BindingRecord
from mlsssl.errors import BindingExistsError
from mlsssl._formats.binding_keys import BindingOptions, HostnamePort, IpPort
from mlsssl.values import Thumbprint

path, work, process, threads, each = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
with open(work, "rb") as file:
    made = pickle.load(file)
machine = EmbeddedPort(path)
won, errors = [], []

def record(key, thumbprint, owner):
    return BindingRecord(key=key, thumbprint=Thumbprint(thumbprint), store_name="MY", app_id=uuid.UUID(int=owner),
                         options=BindingOptions(unknown_flags=owner << 16))

def run(thread):
    owner = process * threads + thread
    store = machine.open_store("MY", "LocalMachine", write=True)
    try:
        for n in range(each):
            for thumbprint, der, pkcs8 in (made[1 + owner * each + n], made[0]):
                store.add(der, pkcs8, friendly_name=f"by {owner}", exportable=False, provider=None)
            for found in store.records():
                assert found.key is not None and found.key.usable
            try:
                machine.bindings.add(record(HostnamePort(f"h{n}.example", 443), made[0][0], owner))
                won.append((n, owner))
            except BindingExistsError:
                pass
            machine.bindings.update(record(IpPort("0.0.0.0", 443), made[1 + owner * each + n][0], owner))
            moved = machine.bindings.find(IpPort("0.0.0.0", 443))
            assert moved.options.unknown_flags >> 16 == moved.app_id.int
    except BaseException as error:
        errors.append(repr(error))

running = [threading.Thread(target=run, args=(thread,)) for thread in range(threads)]
[thread.start() for thread in running]
[thread.join() for thread in running]
print(json.dumps([won, errors]))
"""


def test_nothing_is_lost_doubled_or_mixed(tmp_path: Path) -> None:
    """Each certificate is there once with its key, each binding was won once, each record is of one owner."""
    path, work = tmp_path / "machine.sqlite", tmp_path / "work"
    count = 1 + PROCESSES * THREADS * EACH
    made = [make(f"h{n}.example", key=shared_key(3000 + n)) for n in range(count)]
    work.write_bytes(pickle.dumps([(bytes(m.thumbprint), m.der, m.pkcs8) for m in made]))
    machine = EmbeddedPort(path)
    store = machine.open_store("MY", "LocalMachine", write=True)
    store.add(made[0].der, made[0].pkcs8, friendly_name=None, exportable=False, provider=None)
    moving = BindingRecord(
        key=IpPort("0.0.0.0", 443),
        thumbprint=made[0].thumbprint,
        store_name="MY",
        app_id=uuid.UUID(int=0),
        options=BindingOptions(),
    )
    machine.bindings.add(moving)
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(WORKER), *map(str, (path, work, process, THREADS, EACH))],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for process in range(PROCESSES)
    ]
    won: list[tuple[int, int]] = []
    for worker in workers:
        output, trouble = worker.communicate(timeout=120)
        assert worker.returncode == 0, trouble
        theirs, errors = json.loads(output)
        assert errors == []
        won += [(n, owner) for n, owner in theirs]
    assert sorted(n for n, _ in won) == list(range(EACH))
    for n, owner in won:
        bound = machine.bindings.find(HostnamePort(f"h{n}.example", 443))
        assert bound is not None
        assert (bound.app_id.int, bound.options.unknown_flags >> 16) == (owner, owner)
    assert set(store.thumbprints()) == {one.thumbprint for one in made}
    assert len(list(store.records())) == count
    assert machine._database.query("SELECT count(*) FROM keys") == [(count,)]
    assert machine._database.query("PRAGMA integrity_check") == [("ok",)]
    machine.close()
