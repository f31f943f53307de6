"""A machine's file that is damaged in any way: cut off, overwritten, filled with what does not belong there."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from mlsssl import (
    Binding,
    CertificateAuthority,
    EmbeddedMachine,
    HttpTimeouts,
    IpListenList,
    Store,
    audit,
    deploy,
    recover,
)
from mlsssl._embedded.port import EmbeddedPort
from mlsssl.errors import MalformedDataError, MlssslError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY = "0.0.0.0:443"
PASSWORD = "between us"
PAGE = 4096
DAMAGED_FILES = 100


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a machine's file with something in every table."""
    folder = tmp_path_factory.mktemp("machine")
    ca = CertificateAuthority.create("Damage", key="ec-p256")
    with closing(EmbeddedMachine(folder / "m.sqlite")) as machine:
        deploy(KEY, ca.issue("a.test", key="ec-p256"), machine=machine, verify=False, key_access=["SYSTEM", "S-1-5-20"])
        machine.define_service("First")
        machine.define_service("Second", depends_on=["First"], running=True)
        port_of(machine).set_central_store(folder, PASSWORD)
        machine.reservations.add("https://+:443/mls/", user="SYSTEM")
        IpListenList(machine=machine).add("10.0.0.5")
        HttpTimeouts(header_wait=timedelta(seconds=5)).set(machine=machine)
        with Store.open("CA", machine=machine) as store:
            store.add_crl(ca.crl([]))
    with closing(sqlite3.connect(folder / "m.sqlite")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("PRAGMA journal_mode = DELETE")
    return (folder / "m.sqlite").read_bytes()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "m.sqlite"


def port_of(machine: EmbeddedMachine) -> EmbeddedPort:
    assert isinstance(machine.port, EmbeddedPort)
    return machine.port


def put(path: Path, content: bytes) -> None:
    for leftover in path.parent.glob("m.sqlite-*"):
        leftover.unlink()
    path.write_bytes(content)
    path.chmod(0o600)


def stores(machine: EmbeddedMachine) -> None:
    for name in machine.store_names():
        with Store.open(name, machine=machine) as store:
            for certificate in store:
                repr(certificate)
                certificate.key_access  # noqa: B018 -- read
            store.crls()


def services(machine: EmbeddedMachine) -> None:
    known = port_of(machine).services
    for name in known.names():
        known.query(name)
        known.active_dependents(name)
        known.request_start(name)


USES: dict[str, Callable[[EmbeddedMachine], object]] = {
    "stores": stores,
    "services": services,
    "bindings": lambda machine: [binding.to_dict() for binding in Binding.all(machine=machine)],
    "reservations": lambda machine: [one.to_dict() for one in machine.reservations],
    "reservation": lambda machine: machine.reservations.find("https://+:443/mls/"),
    "listen list": lambda machine: list(IpListenList(machine=machine)),
    "time-outs": lambda machine: HttpTimeouts.get(machine=machine),
    "central store": lambda machine: port_of(machine).central_store,
    "audit": lambda machine: audit(machine=machine),
    "recover": lambda machine: recover(machine=machine),
    "keys": lambda machine: machine.port.recover(),
}


def use_all(path: Path) -> list[MlssslError]:
    """Everything that reads the file; what it says, which is nothing but errors of ours and shows no password."""
    errors: list[MlssslError] = []
    try:
        machine = EmbeddedMachine(path)
    except MlssslError as error:
        return [error]
    with closing(machine):
        for use in USES.values():
            try:
                use(machine)
            except MlssslError as error:
                errors.append(error)
    assert not any(PASSWORD in str(error) for error in errors)
    return errors


def test_a_whole_file_says_nothing(whole: bytes, path: Path) -> None:
    """The twin of all below."""
    put(path, whole)
    assert use_all(path) == []


def test_a_file_that_ends_anywhere_is_an_error_of_ours(whole: bytes, path: Path) -> None:
    """At each page, one byte after it, and in its middle; an empty file is a new machine."""
    assert len(whole) > 20 * PAGE
    for size in range(PAGE, len(whole), PAGE):
        for more in (0, 1, PAGE // 2):
            put(path, whole[: size + more])
            assert use_all(path), size + more
    put(path, whole[:50])
    assert isinstance(use_all(path)[0], MalformedDataError)


def test_a_file_with_bytes_overwritten_is_an_error_of_ours_or_none(whole: bytes, path: Path) -> None:
    """Wherever they are: SQLite quotes damaged names in its messages, which need not be text then."""
    damage = random.Random(20_261_128)
    used = [place for place, byte in enumerate(whole) if byte]  # most of a file's bytes belong to no row
    told = 0
    for _ in range(DAMAGED_FILES):
        content = bytearray(whole)
        for _ in range(damage.choice((2, 10, 50))):
            # Half of them in the first page, which has the tables' names and shapes.
            place = damage.choice(used) if damage.random() < 0.5 else damage.randrange(PAGE)
            content[place] = damage.choice((0, 128, 255))
        put(path, bytes(content))
        told += bool(use_all(path))
    assert told > DAMAGED_FILES / 2  # the others changed a value into another one that can be


def test_a_damaged_name_of_a_table_is_malformed_data(whole: bytes, path: Path) -> None:
    """SQLite's message quotes it as it is, and Python cannot decode that."""
    damaged = whole.replace(b"CREATE TABLE settings", b"CREATE T\xffBLE settings")
    assert damaged != whole
    put(path, damaged)
    with pytest.raises(MalformedDataError, match="no UTF-8"):
        EmbeddedMachine(path)


def test_a_text_that_is_none_is_not_shown(whole: bytes, path: Path) -> None:
    """The password of the central store, with one byte wrong: Python's own message would quote the rest."""
    put(path, whole)
    with closing(sqlite3.connect(path)) as connection, connection:
        text = PASSWORD.encode() + b"\xff"
        connection.execute("UPDATE settings SET value = CAST(? AS TEXT) WHERE name = 'ccs_password'", (text,))
    with closing(EmbeddedMachine(path)) as machine, pytest.raises(MalformedDataError, match="damaged") as caught:
        assert port_of(machine).central_store
    assert PASSWORD not in str(caught.value)


@pytest.mark.parametrize("value", ["NULL", "x'ff00'", "'text'", "-1", "9e999"])
def test_a_value_of_another_kind_is_an_error_of_ours_or_none(whole: bytes, path: Path, value: str) -> None:
    """In every column of every table; SQLite itself takes any value anywhere."""
    put(path, whole)
    with closing(sqlite3.connect(path)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = [(one, row[1]) for one in tables for row in connection.execute(f"PRAGMA table_info({one})")]
    assert ("services", "takes") in columns
    changed = 0
    for table, column in columns:
        put(path, whole)
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute("UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', '') WHERE type = 'table'")
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            try:
                connection.execute(f"UPDATE OR IGNORE {table} SET {column} = {value}")
            except sqlite3.IntegrityError:  # a row's number is a number
                continue
            changed += 1
        use_all(path)
    assert changed > 30


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE services SET state = 9",
        "UPDATE services SET state = 'RUNNING'",
        "UPDATE services SET takes = 9e999",
        "UPDATE services SET changed_at = 'yesterday'",
        "UPDATE services SET exit_code = -1",
        "INSERT INTO dependencies VALUES ('First', 'Second')",
        "UPDATE settings SET value = x'00'",
        "UPDATE stores SET name = x'4d59'",
        "UPDATE certificates SET der = 'text'",
        "UPDATE certificates SET friendly_name = x'00'",
        "UPDATE crls SET der = 'text'",
    ],
)
def test_what_cannot_be_there_is_malformed_data(whole: bytes, path: Path, statement: str) -> None:
    """Named as damage, not as a mistake of the caller's."""
    put(path, whole)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE services SET state = 1")  # stopped, so that a start is tried
        connection.execute(statement)
    errors = use_all(path)
    assert errors
    assert any(isinstance(error, MalformedDataError) and "damaged" in str(error) for error in errors), errors
