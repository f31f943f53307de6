"""The machine's one SQLite file: made private, opened safely, changed in transactions, errors in our words."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import sys
import threading
import time
import weakref
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from mlsssl._embedded import schema
from mlsssl._machine import file_rights, files, private_files
from mlsssl._messages.foreign_text import system_reason
from mlsssl.errors import (
    AccessDeniedError,
    ClosedError,
    InvalidInputError,
    MalformedDataError,
    MlssslError,
    StoreError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")
Row = tuple[Any, ...]
_KINDS: dict[str, tuple[type, ...]] = {"t": (str,), "b": (bytes,), "i": (int,), "r": (int, float)}
_KINDS.update({letter.upper(): (*kinds, type(None)) for letter, kinds in list(_KINDS.items())})
Value = str | bytes | int | float | None


_rows_changed: Callable[[sqlite3.Cursor], int] = attrgetter("rowcount")


@cache
def _kinds(columns: str) -> tuple[tuple[type, ...], ...]:
    return tuple(_KINDS[letter] for letter in columns)


# Statements keep to what SQLite 3.31 (2020) knows: Python brings its own on Windows and macOS, but takes the system's
# on Linux, and Debian 11 and RHEL 9 have 3.34. So no RETURNING (3.35) and no STRICT tables (3.37).


# `secure_delete`: a deleted key is overwritten, not only forgotten. `cache_size`: KiB, at most.
_SETTINGS = """
    PRAGMA synchronous = FULL;
    PRAGMA secure_delete = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA cache_size = -16384;
"""


def state_folder_of(file: Path) -> Path:
    """Where what belongs to a machine's file lies, beside it; not made here."""
    return file.with_name(file.name + ".state")


class Database:
    """One open file. Threads share it; each process opens its own.

    There is one connection behind one lock: a statement takes microseconds, and a change waits for the disk, not
    for us. Readers in other processes never wait for a writer (WAL), nor does a writer's death cost anything that
    `transaction` has returned from (synchronous=FULL).

    SQLite forbids carrying a connection over a fork, even unused: the child would believe it holds the parent's
    locks. So every connection is closed just before a fork and opened again when it is next needed.

    Args:
        path: The file; made with its folder when missing.
        busy_timeout: Seconds to wait for another process's change.
        on_statement: Called with each statement before it runs; whatever it raises is raised as if the statement
            had. It is the hook by which tests make every single call fail or kill the process there.

    Raises:
        AccessDeniedError: this user may not open it, or others may read it although it holds keys.
        InvalidInputError: the path is a folder.
        MalformedDataError: the file is something else, or damaged.
        StoreError: it cannot be opened for another reason: disk full, locked by another process.
        UnsupportedError: a later version of this library made it.
    """

    def __init__(
        self, path: Path, *, busy_timeout: float = 30.0, on_statement: Callable[[str], None] | None = None
    ) -> None:
        self._connection: sqlite3.Connection | None = None
        self.path = path
        self._companions = _companions(path)
        self._busy_timeout = busy_timeout
        self._on_statement = on_statement
        self._lock = threading.RLock()
        self._in_transaction = False
        self._joining = False
        # What cannot change as long as this very file is open: which tables there are, and the numbers of the stores.
        self._tables: set[str] = set()
        self.store_numbers: dict[tuple[str, str], int] = {}
        self.closed = False
        with self._lock:
            self._opened()
        _databases.add(self)

    def query(self, statement: str, parameters: Sequence[Value] = (), *, columns: str = "") -> list[Row]:
        """Run one statement; every row of its answer.

        Args:
            statement: SQL.
            parameters: For its question marks.
            columns: What stands in each column, a letter each: `t` text, `b` bytes, `i` an integer, `r` a number, as
                a capital when it may be NULL. SQLite puts anything into any column, so a file damaged in one place
                still answers.

        Raises:
            MalformedDataError: the file is damaged; or a column holds something else.
            InvalidInputError: a parameter is a text that is no Unicode.
            AccessDeniedError, StoreError, ClosedError: as the class says, or the machine was closed.
        """
        rows = self._run(statement, parameters, sqlite3.Cursor.fetchall)
        if rows and columns:
            kinds = _kinds(columns)
            for row in rows:
                if not all(map(isinstance, row, kinds)):
                    raise MalformedDataError(
                        f"{self.path} is damaged: something else stands where a text or a number should"
                    )
        return rows

    def query_one(self, statement: str, parameters: Sequence[Value] = (), *, columns: str = "") -> Row | None:
        """Run one statement; the first row of its answer, or None. As `query`."""
        rows = self.query(statement, parameters, columns=columns)
        return rows[0] if rows else None

    def change(self, statement: str, parameters: Sequence[Value]) -> int:
        """Run one statement; how many rows it has changed. Errors as `query`."""
        return self._run(statement, parameters, _rows_changed)

    def _run(self, statement: str, parameters: Sequence[Value], take: Callable[[sqlite3.Cursor], T]) -> T:
        with self._lock:
            connection = self._connection or self._opened()
            try:
                if self._on_statement is not None:
                    self._on_statement(statement)
                return take(connection.execute(statement, parameters))
            except UnicodeEncodeError:  # whose message would show the text, which may be a password
                raise InvalidInputError("a text that is to be kept holds half a character (a lone surrogate)") from None
            except _FAILURES as error:
                raise self._translated(error) from None

    @contextlib.contextmanager
    def transaction(self, *, write: bool = True) -> Iterator[None]:
        """Everything queried inside is one change (or one consistent look, when not `write`): all of it or nothing.

        It is on the disk when this returns. Other threads of this process wait outside meanwhile, so no caller's
        code runs in here.
        """
        with self._lock:
            if self._joining:
                if self._connection is None or not self._connection.in_transaction:
                    raise StoreError("an error, or a fork, has ended the change that this one is a part of")
                yield
                return
            if self._in_transaction:
                raise StoreError("a change of the machine cannot start inside another one")
            self._opened()
            self._in_transaction = True
            try:
                # In here, for who interrupts us while we wait for another process is heard when this has returned.
                self.query("BEGIN IMMEDIATE" if write else "BEGIN")
                yield
                self.query("COMMIT")
            except BaseException:
                # A failed COMMIT (disk full) leaves the transaction open; some errors have rolled it back already.
                with contextlib.suppress(MlssslError, *_FAILURES):
                    if self._connection is not None and self._connection.in_transaction:
                        self._connection.rollback()
                raise
            finally:
                self._in_transaction = False

    @contextlib.contextmanager
    def joined(self) -> Iterator[bool]:
        """A transaction of which those that start inside are parts: whatever one of them raises has to come out here.

        Gives True.
        """
        with self.transaction():
            self._joining = True
            try:
                yield True
            finally:
                self._joining = False

    def has_table(self, name: str) -> bool:
        """Whether the table is there: a file of an earlier version that this user may only read lacks later ones."""
        if name not in self._tables:
            # Asked for once: no table ever goes, and of one that is not there somebody else's upgrade may make one.
            if self.query_one("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)) is None:
                return False
            self._tables.add(name)
        return True

    def data_version(self) -> int:
        """A number that is another one after anybody else has changed the file; cheap enough for every handshake."""
        row = self.query_one("PRAGMA data_version")
        return int(row[0]) if row else 0

    def close(self) -> None:
        """Close the file; idempotent."""
        with self._lock:
            self.closed = True
            self._disconnect()
        _databases.discard(self)

    def __del__(self) -> None:
        # Forgotten, as the machine of a whole process is: nothing is lost, for every change is on the disk already.
        connection = getattr(self, "_connection", None)
        if connection is not None:
            try:  # noqa: SIM105 -- contextlib may be gone before us when the interpreter ends
                connection.close()
            except Exception:  # noqa: BLE001, S110 -- nobody is left to hear it
                pass

    def _opened(self) -> sqlite3.Connection:
        if self.closed:
            raise ClosedError(f"the machine at {self.path} was closed")
        if self._connection is None:
            if self._in_transaction:
                raise StoreError("this process was forked in the middle of a change; only the parent may finish it")
            self._connection = self._connect()
        return self._connection

    def _disconnect(self) -> None:
        self._tables.clear()  # opened again, the path may lead to another file
        self.store_numbers.clear()
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _connect(self) -> sqlite3.Connection:
        _make_private_file(self.path, self._companions)
        connection: sqlite3.Connection | None = None
        try:
            connection = sqlite3.connect(
                self.path, timeout=self._busy_timeout, isolation_level=None, check_same_thread=False
            )
            self._prepare(connection)
        except BaseException as error:
            if connection is not None:
                connection.close()
            if isinstance(error, _FAILURES):
                raise self._translated(error) from None
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        # First look, then touch: a file that is not ours is left exactly as it is.
        connection.execute("BEGIN")  # so that the three looks are one, while somebody else makes the tables
        version = self._version(connection)
        connection.execute("COMMIT")
        self._refuse_torn_page(connection)
        _set_write_ahead_log(connection, self._busy_timeout)
        connection.executescript(_SETTINGS)
        if version < schema.VERSION:
            self._upgrade(connection, version)
        _check_companions(self._companions)  # once more, as opened, before anything of ours is written to them
        for companion in self._companions[:2]:  # which are there now, and hold no key of a new file yet
            file_rights.share_as(companion, self.path)

    def _refuse_torn_page(self, connection: sqlite3.Connection) -> None:
        """Refuse a file that was cut off inside its last page: SQLite may take the rest of it for an empty table.

        Not where there is a write-ahead log: who died while its pages were put into the file has lost nothing.
        """
        try:
            if os.stat(self._companions[0]).st_size:  # noqa: PTH116 -- half of what Path.stat takes
                return
        except OSError:
            pass
        (page,) = connection.execute("PRAGMA page_size").fetchone()
        if os.stat(self.path).st_size % page:  # noqa: PTH116 -- likewise
            raise MalformedDataError(f"{self.path} is damaged: it ends in the middle of a page")

    def _upgrade(self, connection: sqlite3.Connection, version: int) -> None:
        """Bring the file to this version in one transaction: killed in it, the file is what it was."""
        try:
            connection.execute("BEGIN IMMEDIATE")
            _do_steps(connection, self._version(connection))  # looked at again: somebody may have been faster
            connection.execute("COMMIT")
        except BaseException as error:
            connection.rollback()
            # Who may only read reads what an earlier version left.
            if not (version > 0 and isinstance(error, sqlite3.Error) and _code(error) in _FORBIDDEN):
                raise

    def _version(self, connection: sqlite3.Connection) -> int:
        """The file's version, 0 when it is empty; raises unless it is empty or ours."""
        (owner,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        empty = connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone() is None
        if owner == 0 and version == 0 and empty:
            return 0
        if owner != schema.APPLICATION_ID:
            raise MalformedDataError(f"{self.path} is an SQLite file of another program, not a machine of mlsssl")
        if version > schema.VERSION:
            raise UnsupportedError(
                f"{self.path} was made by a later version of mlsssl (schema {version}, this one knows "
                f"{schema.VERSION}); update mlsssl"
            )
        if version < 1 or empty:
            raise MalformedDataError(f"{self.path} says it is a machine of mlsssl, but its tables are missing")
        return int(version)

    def _translated(self, error: sqlite3.Error | UnicodeDecodeError) -> MlssslError:
        if isinstance(error, UnicodeDecodeError) or "Could not decode" in str(error):
            # Python's sqlite3 shows the text that it could not decode, which may be a password.
            return MalformedDataError(
                f"{self.path} is not a machine of mlsssl, or it is damaged: a text in it is no UTF-8"
            )
        code = _code(error)
        if code in _BUSY:
            return StoreError(
                f"{self.path} has been locked by another process for {self._busy_timeout:g} seconds; try again later"
            )
        if code in _FORBIDDEN or (code == 14 and not os.access(self.path.parent, os.W_OK)):
            return AccessDeniedError(
                f"this user may not change {self.path} and the files beside it: {error}", right="write"
            )
        if code in (11, 26):
            return MalformedDataError(f"{self.path} is not a machine of mlsssl, or it is damaged: {error}")
        if code == 13:
            return StoreError(f"the disk is full: {self.path} was not changed; free some space and try again")
        return StoreError(f"{self.path} cannot be read or changed: {error}")

    def _before_fork(self) -> None:
        self._lock.acquire()
        if not self._in_transaction:
            self._disconnect()

    def _after_fork(self, *, in_child: bool) -> None:
        if in_child and self._connection is not None:
            # The forking thread is itself in a transaction. Not even closing is safe here: keep it for ever.
            _abandoned.append(self._connection)
            self._connection = None
        self._lock.release()


_databases: weakref.WeakSet[Database] = weakref.WeakSet()
_abandoned: list[sqlite3.Connection] = []
_forking = threading.local()
"""`databases`: those that this thread holds while it forks, as another one may at the same time."""

if sys.platform != "win32":

    def _before_fork() -> None:
        _forking.databases = sorted(_databases, key=id)  # in one order, for two that fork at once
        for database in _forking.databases:
            database._before_fork()  # noqa: SLF001 -- one module's affair

    def _after_fork(in_child: bool) -> None:
        for database in _forking.databases:
            database._after_fork(in_child=in_child)  # noqa: SLF001
        _forking.databases = []

    os.register_at_fork(
        before=_before_fork,
        after_in_parent=lambda: _after_fork(in_child=False),
        after_in_child=lambda: _after_fork(in_child=True),
    )


def _make_private_file(path: Path, companions: Sequence[Path]) -> None:
    """Make the file for its owner only, before SQLite writes to it; its -wal and -shm take over its mode.

    What SQLite would read back is looked at first: the file, its write-ahead log and index, and a rollback journal,
    which SQLite would play back even into a file that uses none.
    """
    try:
        if not files.is_file(path):
            if not files.is_folder(path.parent):
                private_files.private_folder(path.parent)
            if files.is_folder(path):
                raise InvalidInputError(
                    f"{path} is a folder; the machine is one file, for example {path / 'machine.sqlite'}"
                )
            private_files.make_private_file(path)
        try:
            status = private_files.check_private(path, secret=True)
        except AccessDeniedError as error:
            if error.right == "private file":
                _refuse_foreign(path)
            raise
        if status is not None and status.st_size and file_rights.others_may_add_beside(path):
            # Ours from now on, so SQLite cannot meet another one in the moment between the look and its opening them.
            # Empty, they mean nothing to it. (Beside an empty file it would delete them, and believe none anyway.)
            for companion in (companions[0], companions[2]):
                private_files.make_private_file(companion)
        _check_companions(companions)
    except MlssslError:
        raise
    except PermissionError:
        raise AccessDeniedError(f"this user may not make or read {path}", right="read and write") from None
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be made: {system_reason(error)}") from None


def _check_companions(companions: Sequence[Path]) -> None:
    for companion in companions:
        private_files.check_private(companion, secret=True)


def _companions(path: Path) -> tuple[Path, Path, Path]:
    """What SQLite keeps beside the file (sqlite.org/tempfiles.html): log, index, rollback journal."""
    return Path(f"{path}-wal"), Path(f"{path}-shm"), Path(f"{path}-journal")


def _refuse_foreign(path: Path) -> None:
    """Refuse another program's file, before anybody is told to change its mode.

    Through SQLite, never through open(): closing a file drops every lock that this process has on it (POSIX), and
    with it those of the machine's other connections. As immutable, so that SQLite makes nothing beside it: a
    write-ahead log would get the very mode that is refused, and be left behind.
    """
    with contextlib.suppress(*_FAILURES):  # in use, half a change seen, or not readable: it may well be ours
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)
        with contextlib.closing(connection):
            try:
                (owner,) = connection.execute("PRAGMA application_id").fetchone()
                (objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            except sqlite3.DatabaseError as error:
                if _code(error) == _NO_DATABASE:
                    raise MalformedDataError(f"{path} is not a machine of mlsssl: it is no SQLite file") from None
                raise
        if objects and owner != schema.APPLICATION_ID:
            raise MalformedDataError(f"{path} is an SQLite file of another program, not a machine of mlsssl")


def _set_write_ahead_log(connection: sqlite3.Connection, timeout: float) -> None:
    # SQLite's own busy timeout does not cover every step of this switch, so two processes that make the file at
    # the same moment may meet here.
    deadline = time.monotonic() + timeout
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if time.monotonic() > deadline or _code(error) not in _BUSY:
                raise
        else:
            return
        time.sleep(0.01)


def _do_steps(connection: sqlite3.Connection, version: int) -> None:
    for statements in schema.STEPS[version:]:
        for statement in statements:
            connection.execute(statement)
    if 0 < version < schema.NAMES_SINCE <= schema.VERSION:
        from mlsssl._embedded import names  # who opens a file need not be able to read certificates

        names.fill(connection)
    if version == 0:
        connection.executemany(
            "INSERT INTO stores (location, name, folded) VALUES (?, ?, ?)",
            [(location, name, folded(name)) for location, name in schema.STANDARD_STORES],
        )
        connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {schema.VERSION}")


def folded(name: str) -> str:
    """A store name as Windows compares it: upper-cased character by character, never longer than it was."""
    if name.isascii():
        return name.upper()
    return "".join(upper if len(upper := character.upper()) == 1 else character for character in name)


# Result codes of sqlite.org/rescode.html with the text that SQLite gives each: before Python 3.11 the text is all
# there is.
_CODES = {
    3: "access permission denied",
    5: "database is locked",
    6: "database table is locked",
    8: "attempt to write a readonly database",
    10: "disk I/O error",
    11: "database disk image is malformed",
    13: "database or disk is full",
    14: "unable to open database file",
    15: "locking protocol",
    23: "authorization denied",
    26: "file is not a database",
}
_FAILURES = (sqlite3.Error, UnicodeDecodeError)
"""What the sqlite3 module raises: the second when SQLite's own message quotes a damaged name."""

_BUSY = frozenset({5, 6, 15})
_NO_DATABASE = 26
_FORBIDDEN = frozenset({3, 8, 23})


def _code(error: sqlite3.Error) -> int:
    code = getattr(error, "sqlite_errorcode", None)
    if isinstance(code, int):
        return code & 0xFF  # extended codes keep the primary one in the low byte
    return next((number for number, text in _CODES.items() if text in str(error)), 1)
