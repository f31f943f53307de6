"""A look-up by host on the embedded machine: its index answers as looking at every certificate of the store does."""

from __future__ import annotations

import ipaddress
import signal
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import odd_certificates
from chains import Extension, leaf, root, tlv
from made_certificates import make
from mlsssl import Certificate, EmbeddedMachine, MalformedDataError
from mlsssl._embedded import names, schema
from mlsssl._embedded.database import Database
from mlsssl._embedded.stores import EmbeddedStore
from mlsssl._formats import pem
from mlsssl._formats.hosts import any_matches, filed_under, looked_for_under, parse_name
from mlsssl.testing import memory_machine
from repetitions import examples

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mlsssl.store import Store, StoreEntry

ROOT = root("Names Root")

HOSTS = [
    "www.example.com",
    "WWW.Example.COM.",
    "a.example.com",
    "*.example.com",
    "example.com",
    "com",
    "deep.www.example.com",
    "bücher.example.com",
    "xn--bcher-kva.example.com",
    "win_host",
    "0a000005",
    "10.0.0.5",
    "::1",
    "[::1]",
    "::ffff:10.0.0.5",
    "::ffff:a00:5",
    "2001:DB8::1",
    "2001:db8:0:0:0:0:0:1",
]
PRESENTED = [
    *HOSTS,
    "",
    ".",
    "*",
    "*.",
    "*.com",
    "*.COM",
    "*.*.example.com",
    "w*.example.com",
    "*.www.example.com",
    "www.example.com\0.evil.test",
    " www.example.com",
    "a" * 253,
    "a" * 254,
    "*." + "a" * 251,
    "fe80::1%eth0",
    "010.0.0.5",
    "10.0.0.0/8",
    "\u212aelvin.example.com",  # whose lower case is ASCII
]
LONG = ".".join(["a" * 63] * 3 + ["b" * 61])  # 253 characters: the longest that can be asked for

hosts = st.sampled_from([*HOSTS, "kelvin.example.com", LONG]) | st.ip_addresses().map(str)
presented = st.sampled_from([*PRESENTED, LONG]) | st.ip_addresses().map(str) | st.text(max_size=5)


@settings(max_examples=examples(1000))
@given(st.lists(presented, max_size=3), hosts)
def test_what_matches_is_filed_where_it_is_looked_for(texts: list[str], host: str) -> None:
    wanted = parse_name(host)
    if any_matches(texts, wanted):
        assert {filed_under(text) for text in texts} & set(looked_for_under(wanted))


def with_names(number: int, *texts: str) -> Certificate:
    """A certificate with these as dNSNames, whatever they are; addresses as iPAddress too, every second time."""
    parts = []
    for text in texts:
        parts.append(tlv(0x82, text.encode("ascii")))
        if number % 2:
            with suppress(ValueError):
                parts.append(tlv(0x87, ipaddress.ip_address(text.strip("[]")).packed))
    made = leaf(ROOT, number=number + 10)
    return Certificate.from_der(made.with_extension(Extension("2.5.29.17", False, tlv(0x30, *parts))).der())


def walked(store: Store, host: str) -> list[StoreEntry]:
    """As it was done before there was an index."""
    wanted, found = parse_name(host), []
    for entry in store:
        try:
            if any_matches(entry.certificate.hosts, wanted):
                found.append(entry)
        except MalformedDataError:
            continue
    return found


def agree(store: Store, asked: Iterable[str] = (*HOSTS, "kelvin.example.com", LONG)) -> int:
    """Every look-up the same as by walking; how many were found in all."""
    count = 0
    for host in asked:
        found = store.find_all(host=host)
        assert found == walked(store, host), host
        count += len(found)
    return count


ascii_names = st.sampled_from([text for text in [*PRESENTED, LONG] if text.isascii()])
stored = st.lists(st.tuples(st.lists(ascii_names, max_size=4), st.booleans(), st.booleans()), max_size=6)


@settings(max_examples=examples(60), deadline=None)
@given(stored)
def test_whatever_is_stored_is_found_as_by_walking(content: list[tuple[list[str], bool, bool]]) -> None:
    """Archived ones are not listed, removed ones are gone, another store has its own."""
    with memory_machine() as machine, machine.store("MY") as store, machine.store("WebHosting") as other:
        for number, (texts, archived, removed) in enumerate(content):
            entry = store.add(with_names(number, *texts))
            other.add(with_names(number + 100, *texts))
            if archived:
                store.set_archived(entry.thumbprint)
            if removed:
                store.remove(entry.thumbprint)
        agree(store)
        agree(other)


def test_odd_certificates_are_found_as_by_walking() -> None:
    with memory_machine() as machine, machine.store("MY") as store:
        for der in odd_certificates.CERTIFICATES.values():
            try:
                store.add(Certificate.from_der(der))
            except MalformedDataError:  # not even its fields can be read
                continue
        found = agree(store, [odd_certificates.HOST, "7.example.com", "10.0.0.5", "evil.test", "xn--a.example.com"])
        assert found > 100


@pytest.fixture
def machine_with_names(tmp_path: Path) -> EmbeddedMachine:
    machine = EmbeddedMachine(tmp_path / "machine.sqlite")
    store = machine.store("MY")
    for number, text in enumerate(PRESENTED):
        if text.isascii():
            store.add(with_names(number, text, "www.example.com"))
            store.add(with_names(number + 100, text))
    store.add(with_names(500, *(f"{number}.example.com" for number in range(1500)), "com"))
    return machine


def test_a_look_up_by_host_does_not_go_through_the_store(
    machine_with_names: EmbeddedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with machine_with_names as machine, machine.store("MY") as store:
        wanted = {host: walked(store, host) for host in HOSTS}
        monkeypatch.setattr(EmbeddedStore, "records", None)
        assert {host: store.find_all(host=host) for host in HOSTS} == wanted
        (plan,) = (
            row[3]
            for row in machine.port._database.query(  # type: ignore[attr-defined]
                "EXPLAIN QUERY PLAN SELECT certificate FROM names WHERE store = 1 AND name IN ('', 'a', '*.b')"
            )
        )
        assert "SEARCH" in plan


def test_what_cannot_be_read_today_is_looked_at_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later version of `cryptography` may read it."""
    with EmbeddedMachine(tmp_path / "machine.sqlite") as machine, machine.store("MY") as store:
        with monkeypatch.context() as today:

            def unreadable(*_: object) -> None:
                raise MalformedDataError("not today")

            today.setattr(pem, "find_extension", unreadable)
            entry = store.add(with_names(1, "www.example.com"))
        assert store.find_all(host="www.example.com") == [entry]
        assert store.find_all(host="other.test") == []


def rows(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(
            "SELECT store, name, certificate FROM names ORDER BY store, name, certificate"
        ).fetchall()


def as_version_5(path: Path) -> None:
    """The file as the version before names left it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in (
            "DROP TRIGGER certificates_have_the_empty_name",
            "DROP TRIGGER certificates_leave_no_names",
            "DROP TABLE names",
            "PRAGMA user_version = 5",
        ):
            connection.execute(statement)


def test_removing_leaves_no_names(machine_with_names: EmbeddedMachine) -> None:
    with machine_with_names as machine, machine.store("MY") as store:
        assert rows(machine.path)
        for thumbprint in list(store.thumbprints()):
            store.remove(thumbprint)
        assert rows(machine.path) == []


def test_a_file_of_version_5_is_read_once_and_becomes_what_a_new_one_is(machine_with_names: EmbeddedMachine) -> None:
    with machine_with_names as machine:
        path, before = machine.path, rows(machine.path)
        found = agree(machine.store("MY"))
    assert found > 50
    as_version_5(path)
    with closing(sqlite3.connect(path)) as connection:  # nothing in it is a certificate
        connection.execute(
            "INSERT INTO certificates (store, thumbprint, public_key, subject, der)"
            " SELECT store, zeroblob(20), public_key, subject, 'no certificate' FROM certificates LIMIT 1"
        )
        connection.commit()
    Database(path).close()
    damaged = [row for row in rows(path) if row not in before]
    assert [name for _, name, _ in damaged] == [names.LOOK]
    assert [row for row in rows(path) if row not in damaged] == before
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM certificates WHERE thumbprint = zeroblob(20)")
        connection.commit()
    with EmbeddedMachine(path) as machine:
        assert agree(machine.store("MY")) == found


def test_a_file_that_stays_as_it_was_is_walked(
    machine_with_names: EmbeddedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who may only read it cannot bring it up to date."""
    machine_with_names.close()
    as_version_5(machine_with_names.path)
    monkeypatch.setattr(schema, "STEPS", schema.STEPS[:5])
    monkeypatch.setattr(schema, "VERSION", 5)
    with EmbeddedMachine(machine_with_names.path) as machine:
        assert agree(machine.store("MY")) > 50


def test_what_an_earlier_version_adds_meanwhile_is_found(tmp_path: Path) -> None:
    """It had the file open when this one brought it up to date, and knows nothing of names."""
    path = tmp_path / "machine.sqlite"
    with EmbeddedMachine(path) as machine, machine.store("MY") as store:
        made = make("www.example.com")
        with closing(sqlite3.connect(path)) as earlier:
            earlier.execute(
                "INSERT INTO certificates (store, thumbprint, public_key, subject, der) SELECT id, ?, ?, ?, ?"
                " FROM stores WHERE location = 'LocalMachine' AND name = 'MY'",
                (bytes(made.thumbprint), b"", b"", made.der),
            )
            earlier.commit()
        assert [one.thumbprint for one in store.find_all(host="www.example.com")] == [made.thumbprint]
        assert store.find_all(host="other.test") == []


if sys.platform != "win32":

    @pytest.mark.parametrize("after", [0, 1, 30])
    def test_killed_while_it_reads_the_certificates_the_file_is_what_it_was(
        machine_with_names: EmbeddedMachine, after: int
    ) -> None:
        with machine_with_names as machine:
            path, before = machine.path, rows(machine.path)
        as_version_5(path)
        script = """
            import os, pathlib, sys
            from mlsssl._embedded import names
            from mlsssl._embedded.database import Database
            left, real = int(sys.argv[2]), names._names_in
            def dying(der):
                global left
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), 9)
                return real(der)
            names._names_in = dying
            Database(pathlib.Path(sys.argv[1]))
        """
        run = [sys.executable, "-c", textwrap.dedent(script), str(path), str(after)]
        assert subprocess.run(run, timeout=60, check=False).returncode == -signal.SIGKILL
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("PRAGMA user_version").fetchone() == (5,)
            assert connection.execute("SELECT 1 FROM sqlite_master WHERE name LIKE '%names%'").fetchall() == []
        Database(path).close()
        assert rows(path) == before
