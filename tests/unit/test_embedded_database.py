"""The machine's file: private, opened safely, whole after any failure, and never an error of sqlite3."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
import time
from _thread import interrupt_main
from contextlib import closing
from pathlib import Path

import pytest

from mlsssl._embedded import schema
from mlsssl._embedded.database import Database
from mlsssl.errors import (
    AccessDeniedError,
    ClosedError,
    InvalidInputError,
    MalformedDataError,
    MlssslError,
    StoreError,
    UnsupportedError,
)
from windows.wine_limits import under_wine

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "machine.sqlite"


def insert(database: Database, *settings: tuple[str, str], error: Exception | None = None) -> None:
    with database.transaction():
        for setting in settings:
            database.query("INSERT INTO settings VALUES (?, ?)", setting)
        if error is not None:
            raise error


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@posix
def test_the_file_and_its_companions_are_private_whatever_the_umask(path: Path) -> None:
    """0600 for the database, its log and its index, 0700 for the folder made for it."""
    before = os.umask(0)
    try:
        database = Database(path)
        database.query("INSERT INTO settings VALUES ('a', 'b')")
    finally:
        os.umask(before)
    names = {entry.name: mode(entry) for entry in path.parent.iterdir()}
    assert names == {"machine.sqlite": 0o600, "machine.sqlite-wal": 0o600, "machine.sqlite-shm": 0o600}
    assert mode(path.parent) == 0o700
    database.close()


@posix
def test_a_file_that_everybody_may_read_is_refused(path: Path) -> None:
    """The keys in it are no secret any more; the message says how to close it."""
    Database(path).close()
    path.chmod(0o640)
    Database(path).close()
    path.chmod(0o644)
    with pytest.raises(AccessDeniedError, match="chmod 600") as caught:
        Database(path)
    assert caught.value.right == "private file"
    assert mode(path) == 0o644


@posix
def test_the_mode_of_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    """The user's folder is the user's."""
    tmp_path.chmod(0o755)
    Database(tmp_path / "machine.sqlite").close()
    assert mode(tmp_path) == 0o755


def test_a_folder_is_not_a_machine(tmp_path: Path) -> None:
    """A folder given as the file is an argument's mistake."""
    with pytest.raises(InvalidInputError, match="is a folder"):
        Database(tmp_path)


def test_bytes_of_something_else_are_malformed(path: Path) -> None:
    """A file that is not SQLite is refused and left as it is."""
    path.parent.mkdir()
    path.write_bytes(b"-----BEGIN CERTIFICATE-----\n" * 100)
    path.chmod(0o600)
    with pytest.raises(MalformedDataError, match="not a machine of mlsssl"):
        Database(path)
    assert path.read_bytes() == b"-----BEGIN CERTIFICATE-----\n" * 100


def test_a_database_of_another_program_is_left_untouched(path: Path) -> None:
    """Not even its journal mode changes."""
    path.parent.mkdir()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE notes (text)")
    other.commit()
    other.close()
    path.chmod(0o600)
    before = path.read_bytes()
    with pytest.raises(MalformedDataError, match="another program"):
        Database(path)
    assert path.read_bytes() == before


def test_a_file_of_a_later_version_is_refused(path: Path) -> None:
    """Its tables may mean something else by then; the message says to update."""
    database = Database(path)
    database.query(f"PRAGMA user_version = {schema.VERSION + 1}")
    database.close()
    with pytest.raises(UnsupportedError, match="later version"):
        Database(path)


def test_a_file_without_its_tables_is_malformed(path: Path) -> None:
    """An owner's mark alone does not make a machine."""
    path.parent.mkdir()
    other = sqlite3.connect(path)
    other.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    other.commit()
    other.close()
    path.chmod(0o600)
    with pytest.raises(MalformedDataError, match="tables are missing"):
        Database(path)


def test_a_damaged_page_is_malformed_data(path: Path) -> None:
    """Damage in the middle is found when it is read, and named for what it is."""
    database = Database(path)
    database.query("INSERT INTO settings VALUES ('a', ?)", ("b" * 50_000,))
    database.close()
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(MalformedDataError, match="damaged"):
        Database(path).query("SELECT * FROM settings")


def test_a_full_disk_is_said_and_changes_nothing(path: Path) -> None:
    """The transaction that met it is gone as a whole; the next one works."""
    database = Database(path)
    database.query("INSERT INTO settings VALUES ('before', 'kept')")
    database.query("PRAGMA max_page_count = 40")
    with pytest.raises(StoreError, match="disk is full"):
        insert(database, ("small", "x"), ("large", "x" * 1_000_000))
    assert database.query("SELECT name FROM settings") == [("before",)]
    with database.transaction():
        database.query("INSERT INTO settings VALUES ('after', 'works')")
    database.close()


def test_a_lock_that_is_not_given_up_is_a_store_error(path: Path) -> None:
    """After the busy timeout, with the path and the time in it; reading goes on meanwhile."""
    database = Database(path, busy_timeout=0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match=r"locked by another process for 0\.05 seconds"), database.transaction():
        pass
    assert database.query("SELECT count(*) FROM stores")[0][0] > 0
    other.execute("ROLLBACK")
    with database.transaction():
        pass
    other.close()
    database.close()


if sys.platform != "win32":

    @pytest.mark.skipif(os.getuid() != 0, reason="needs root to become somebody else")
    def test_another_user_is_told_which_right_is_missing(path: Path) -> None:
        """Neither opening nor making the file works for them, and both say so."""
        Database(path).close()
        path.parent.parent.chmod(0o755)
        script = """
            import os, pathlib, sys
            from mlsssl._embedded.database import Database
            from mlsssl.errors import AccessDeniedError
            os.setuid(65534)
            for path in sys.argv[1:]:
                try:
                    Database(pathlib.Path(path))
                except AccessDeniedError as error:
                    print(error.right)
        """
        paths = [path, path.parent / "new.sqlite", path.parent.parent / "new" / "machine.sqlite"]
        for parent in path.parents:  # pytest's own folders are closed to others
            if parent != path.parent and parent.stat().st_uid == os.getuid() and str(parent).startswith("/tmp/"):
                parent.chmod(parent.stat().st_mode | 0o055)
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script), *map(str, paths)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if "PermissionError" in done.stderr or "ModuleNotFoundError" in done.stderr:
            pytest.skip("the other user cannot even read this interpreter")
        assert done.stdout.split("\n")[:3] == ["read and write", "read and write", "write"], done.stderr


@posix
def test_a_read_only_file_cannot_be_changed(path: Path) -> None:
    """Who may only read is told that writing is what is missing."""
    database = Database(path)
    database.query("INSERT INTO settings VALUES ('a', 'b')")
    database.query("PRAGMA query_only = ON")  # SQLite answers with the same code as for a read-only file
    with pytest.raises(AccessDeniedError) as caught:
        database.query("INSERT INTO settings VALUES ('c', 'd')")
    assert caught.value.right == "write"
    database.close()


def test_use_after_close_is_a_closed_error(path: Path) -> None:
    """Closing twice is nothing, using it is an error of ours."""
    database = Database(path)
    database.close()
    database.close()
    with pytest.raises(ClosedError, match="was closed"):
        database.query("SELECT 1")


def test_a_failure_inside_a_transaction_takes_all_of_it_back(path: Path) -> None:
    """Whatever is raised, by us or by the caller."""
    database = Database(path)
    with pytest.raises(KeyError):
        insert(database, ("a", "b"), error=KeyError())
    assert database.query("SELECT * FROM settings") == []
    with pytest.raises(StoreError, match="inside another"), database.transaction(), database.transaction():
        pass
    database.close()


def test_who_is_interrupted_while_he_waits_for_another_change_holds_nothing(path: Path) -> None:
    """Python tells of a Ctrl-C when SQLite's BEGIN has returned: the change that it has begun is not left open."""
    database, other = Database(path), Database(path, busy_timeout=0.1)
    other.query("BEGIN IMMEDIATE")

    def interrupt() -> None:
        time.sleep(0.2)
        interrupt_main()
        time.sleep(0.2)
        other.query("ROLLBACK")

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        insert(database, ("a", "b"))
    thread.join()
    insert(other, ("c", "d"))
    insert(database, ("e", "f"))
    assert other.query("SELECT name FROM settings ORDER BY name") == [("c",), ("e",)]
    database.close()
    other.close()


def test_a_change_by_somebody_else_changes_the_data_version(path: Path) -> None:
    """Which is how the listener notices; one's own changes and reading do not."""
    mine, other = Database(path), Database(path)
    before = mine.data_version()
    other.query("SELECT * FROM settings")
    assert mine.data_version() == before
    other.query("INSERT INTO settings VALUES ('a', 'b')")
    assert mine.data_version() != before
    mine.close()
    other.close()


def test_sixteen_threads_and_processes_make_one_file_at_once(tmp_path: Path) -> None:
    """Whoever comes first makes the tables; nobody fails, nobody makes them twice."""
    # Wine drops SQLite's locks on a file when any handle of it is closed, as that of `os.stat` is: SQLite alone fails
    # there too, one time in ten (docs/windows-under-wine.md). Elsewhere once is enough.
    for left in range(5 if under_wine() else 0, -1, -1):
        try:
            _make_at_once(tmp_path / f"folder {left}" / "machine.sqlite")
        except (AssertionError, MlssslError):
            if not left:
                raise
        else:
            return


def _make_at_once(path: Path) -> None:
    script = """
        import pathlib, sys
        from mlsssl._embedded.database import Database
        for i in range(5):
            database = Database(pathlib.Path(sys.argv[1]))
            database.query("INSERT INTO settings VALUES (?, '')", (f"{sys.argv[2]}-{i}",))
            database.close()
    """
    children = [
        subprocess.Popen([sys.executable, "-c", textwrap.dedent(script), str(path), str(n)], stderr=subprocess.PIPE)
        for n in range(4)
    ]
    errors: list[BaseException] = []

    def run(n: int) -> None:
        try:
            database = Database(path)
            for i in range(5):
                database.query("INSERT INTO settings VALUES (?, '')", (f"thread {n}-{i}",))
            database.close()
        except BaseException as error:  # noqa: BLE001 -- shown below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    outputs = [child.communicate(timeout=60)[1] for child in children]
    assert not errors
    assert [child.returncode for child in children] == [0] * 4, outputs
    database = Database(path)
    assert database.query("SELECT count(*) FROM settings") == [(80,)]
    assert database.query("SELECT count(*) FROM stores") == [(len(schema.STANDARD_STORES),)]
    assert database.query("PRAGMA integrity_check") == [("ok",)]
    database.close()


if sys.platform != "win32":

    @pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
    def test_two_threads_that_fork_at_once_leave_the_machine_usable(path: Path) -> None:
        """Each gives back what it has held meanwhile, and no more."""
        database = Database(path)

        def fork() -> None:
            child = os.fork()
            if child == 0:
                os._exit(0)
            os.waitpid(child, 0)

        forking = [threading.Thread(target=fork, daemon=True) for _ in range(2)]
        with database.transaction():  # both wait for its end
            for thread in forking:
                thread.start()
            time.sleep(0.2)
        for thread in forking:
            thread.join(10)
        asking = threading.Thread(target=database.data_version, daemon=True)
        asking.start()
        asking.join(10)
        assert not any(thread.is_alive() for thread in (*forking, asking))
        database.close()

    @pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
    def test_a_forked_child_has_a_connection_of_its_own(path: Path) -> None:
        """Parent and child go on with the same object, and each sees what the other wrote."""
        database = Database(path)
        database.query("INSERT INTO settings VALUES ('parent', '')")
        child = os.fork()
        if child == 0:
            status = 1
            try:
                database.query("INSERT INTO settings VALUES ('child', '')")
                # The locks are the child's own: a second connection of the kernel's view must meet them.
                status = 0 if database.query("SELECT count(*) FROM settings") == [(2,)] else 2
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert database.query("SELECT name FROM settings ORDER BY name") == [("child",), ("parent",)]
        assert database.query("PRAGMA integrity_check") == [("ok",)]
        database.close()

    @pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
    def test_a_change_cannot_be_carried_over_a_fork(path: Path) -> None:
        """The child of a thread in the middle of a change is refused; the parent's change goes through."""
        database = Database(path)
        with database.transaction():
            database.query("INSERT INTO settings VALUES ('parent', '')")
            child = os.fork()
            if child == 0:
                status = 1
                try:
                    database.query("INSERT INTO settings VALUES ('child', '')")
                except StoreError:
                    status = 0
                finally:
                    os._exit(status)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert database.query("SELECT name FROM settings") == [("parent",)]
        database.close()


def test_every_statement_can_be_made_to_fail(path: Path) -> None:
    """The hook's sqlite3 errors come out as ours, and the change is taken back."""
    failing: list[str] = []

    def hook(statement: str) -> None:
        if failing and failing[0] in statement:
            raise sqlite3.OperationalError("disk I/O error")

    database = Database(path, on_statement=hook)
    failing.append("COMMIT")
    with pytest.raises(StoreError, match="disk I/O error"), database.transaction():
        database.query("INSERT INTO settings VALUES ('a', 'b')")
    failing.clear()
    assert database.query("SELECT * FROM settings") == []
    database.close()


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX's; on Windows an access list says who may read")
def test_nobody_is_told_to_change_the_mode_of_a_foreign_file(tmp_path: Path) -> None:
    """A device, a text, another program's database: none is a machine; a machine of ours is told to be made private."""
    (tmp_path / "text").write_text("root:x:0:0", encoding="utf-8")
    with closing(sqlite3.connect(tmp_path / "other")) as other:
        other.execute("CREATE TABLE t (a)")
    Database(tmp_path / "ours").close()
    for name in ("text", "other", "ours"):
        (tmp_path / name).chmod(0o644)
    for name in ("text", "other"):
        with pytest.raises(MalformedDataError, match="not a machine of mlsssl"):
            Database(tmp_path / name)
    with pytest.raises(AccessDeniedError, match="chmod 600"):
        Database(tmp_path / "ours")
    with pytest.raises(InvalidInputError, match="no ordinary file"):
        Database(Path("/dev/null"))


# ---- files of version 1, which had no revocation lists ----

VERSION_1 = (
    "PRAGMA journal_mode = WAL",
    *schema.STEPS[0],
    "INSERT INTO stores (location, name, folded) VALUES ('LocalMachine', 'CA', 'CA')",
    "INSERT INTO settings VALUES ('from', 'version 1')",
    f"PRAGMA application_id = {schema.APPLICATION_ID}",
    "PRAGMA user_version = 1",
)


@pytest.fixture
def old_path(path: Path) -> Path:
    """A machine as the first version of the schema left it."""
    path.parent.mkdir(mode=0o700)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in VERSION_1:
            connection.execute(statement)
    path.chmod(0o600)
    return path


def version_and_tables(path: Path) -> tuple[int, set[str]]:
    with closing(sqlite3.connect(path)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return version, tables


def shape(path: Path) -> set[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as connection:
        return set(connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))


def test_a_file_of_version_1_becomes_what_a_new_one_is(old_path: Path, tmp_path: Path) -> None:
    """The same tables, what it held kept, once and for all."""
    assert version_and_tables(old_path)[0] == 1
    for _ in range(2):
        with closing(Database(old_path)) as database:
            assert database.query("SELECT * FROM settings") == [("from", "version 1")]
    Database(tmp_path / "new.sqlite").close()
    assert version_and_tables(old_path) == version_and_tables(tmp_path / "new.sqlite")
    assert shape(old_path) == shape(tmp_path / "new.sqlite")


def test_an_upgrade_that_fails_anywhere_leaves_the_old_file(old_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every statement of it in turn; then it is done after all."""
    before = version_and_tables(old_path)
    real = sqlite3.connect
    statements: list[str] = []
    failing = -1

    class Connection(sqlite3.Connection):
        def execute(self, sql: str, *args: object) -> sqlite3.Cursor:
            statements.append(sql)
            if len(statements) - 1 == failing:
                raise sqlite3.OperationalError("disk I/O error")
            return super().execute(sql, *args)  # type: ignore[arg-type]

    def connect(*args: object, **kwargs: object) -> sqlite3.Connection:
        return real(*args, factory=Connection, **kwargs)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(sqlite3, "connect", connect)
    copy = old_path.with_name("copy.sqlite")
    copy.write_bytes(old_path.read_bytes())
    copy.chmod(0o600)
    Database(copy).close()
    whole = list(statements)
    assert any("CREATE TABLE crls" in sql for sql in whole)
    for failing in range(len(whole)):
        statements.clear()
        with pytest.raises(StoreError, match="disk I/O error"):
            Database(old_path)
        failing_at = failing
        failing = -1
        assert version_and_tables(old_path) == before, whole[failing_at]
    statements.clear()
    Database(old_path).close()
    assert version_and_tables(old_path)[0] == schema.VERSION


NEW_TABLES = {"crls", "key_access", "reservations", "listen_addresses", "http_numbers", "names"}
"""What the steps after the first one make."""


@posix
def test_an_upgrade_killed_anywhere_leaves_the_old_file_or_the_new_one(old_path: Path) -> None:
    """A process that dies before each statement of it; the next one finishes the work."""
    script = """
        import os, pathlib, sqlite3, sys
        left = int(sys.argv[2])
        class Connection(sqlite3.Connection):
            def execute(self, sql, *args):
                global left
                if left == 0:
                    os.kill(os.getpid(), 9)
                left -= 1
                return super().execute(sql, *args)
        real = sqlite3.connect
        sqlite3.connect = lambda *args, **kwargs: real(*args, factory=Connection, **kwargs)
        from mlsssl._embedded.database import Database
        Database(pathlib.Path(sys.argv[1]))
    """
    old = version_and_tables(old_path)
    content = old_path.read_bytes()
    seen = set()
    for statements in range(40):
        for leftover in old_path.parent.glob("machine.sqlite*"):
            leftover.unlink()
        old_path.write_bytes(content)
        old_path.chmod(0o600)
        run = [sys.executable, "-c", textwrap.dedent(script), str(old_path), str(statements)]
        done = subprocess.run(run, capture_output=True, text=True, timeout=60, check=False)
        found = version_and_tables(old_path)
        seen.add(found[0])
        assert found == old or found == (schema.VERSION, old[1] | NEW_TABLES), statements
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
        with closing(Database(old_path)) as database:
            assert database.query("SELECT * FROM settings") == [("from", "version 1")]
        assert version_and_tables(old_path)[0] == schema.VERSION
    else:
        pytest.fail("opening never came to its end")
    assert seen == {1, schema.VERSION}


def test_eight_openers_upgrade_one_file_at_once(old_path: Path) -> None:
    """Whoever comes first does it; nobody fails."""
    errors: list[BaseException] = []
    together = threading.Barrier(8)

    def run() -> None:
        try:
            together.wait()
            with closing(Database(old_path)) as database:
                database.query("SELECT * FROM crls")
        except BaseException as error:  # noqa: BLE001 -- shown below
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert version_and_tables(old_path)[0] == schema.VERSION


if sys.platform != "win32":

    @pytest.mark.skipif(os.getuid() != 0, reason="needs root to become somebody else")
    def test_who_may_only_read_reads_a_file_of_version_1(old_path: Path) -> None:
        """It has no revocation lists, its other content is there, and it stays as it was; adding a list is refused."""
        old_path.chmod(0o640)
        os.chown(old_path, 0, 65534)
        old_path.parent.chmod(0o755)
        for parent in old_path.parents:
            if parent.stat().st_uid == os.getuid() and str(parent).startswith("/tmp/"):
                parent.chmod(parent.stat().st_mode | 0o055)
        keeper = sqlite3.connect(old_path)  # somebody has it open, so its -wal and -shm are there
        keeper.execute("SELECT * FROM settings").fetchall()
        for companion in old_path.parent.glob("machine.sqlite-*"):
            companion.chmod(0o640)
            os.chown(companion, 0, 65534)
        script = """
            import os, pathlib, sys
            from mlsssl._embedded.port import EmbeddedPort
            from mlsssl.errors import AccessDeniedError
            os.setgid(65534)
            os.setuid(65534)
            machine = EmbeddedPort(sys.argv[1])
            store = machine.open_store("CA", "LocalMachine")
            print(machine.store_names("LocalMachine"), store.crls(), list(store.thumbprints()))
            try:
                machine.open_store("CA", "LocalMachine", write=True)
            except AccessDeniedError as error:
                print(error.right)
        """
        run = [sys.executable, "-c", textwrap.dedent(script), str(old_path)]
        done = subprocess.run(run, capture_output=True, text=True, timeout=60, check=False)
        keeper.close()
        if "PermissionError" in done.stderr or "ModuleNotFoundError" in done.stderr:
            pytest.skip("the other user cannot even read this interpreter")
        assert done.stdout.splitlines() == ["['CA'] [] []", "write"], done.stderr
        assert version_and_tables(old_path)[0] == 1
