"""What a machine has, for completion: keys, thumbprints, stores and so on, read past the library, which takes longer.

On Windows itself it is the library that reads.
"""

from __future__ import annotations

import os
import sqlite3
import sys

from mlsssl._embedded.schema import APPLICATION_ID

TYPE_CHECKING = False  # typing's own takes as long to import as SQLite
if TYPE_CHECKING:
    from collections.abc import Iterator

    import mlsssl

_STEPS = 2_000_000
"""Of SQLite's machine, some 50 ms: a file that somebody else has made could keep it busy for ever."""

_KEY = """
    CASE family
        WHEN 'ipport' THEN CASE WHEN host LIKE '%:%' THEN '[' || host || ']:' || port ELSE host || ':' || port END
        WHEN 'hostnameport' THEN host || ':' || port
        WHEN 'ccs' THEN 'ccs=' || port
        ELSE 'scopedccs=' || host || ':' || port
    END
"""
_QUERIES = {
    "keys": f"SELECT {_KEY}, lower(hex(thumbprint)) FROM bindings ORDER BY family <> 'ipport', host, port",  # noqa: S608
    "endpoints": "SELECT host || ':' || port, '' FROM bindings WHERE family = 'hostnameport' ORDER BY host, port",
    "hosts": "SELECT DISTINCT host, '' FROM bindings WHERE family IN ('hostnameport', 'scopedccs') ORDER BY host",
    "apps": "SELECT DISTINCT app_id, '' FROM bindings ORDER BY app_id",
    "stores": "SELECT name, '' FROM stores WHERE location = 'LocalMachine' ORDER BY folded",
    "thumbprints": """
        SELECT lower(hex(thumbprint)), coalesce(friendly_name, '')
        FROM certificates JOIN stores ON stores.id = certificates.store
        WHERE stores.location = 'LocalMachine' AND stores.name = ? COLLATE NOCASE AND NOT archived
        ORDER BY certificates.id DESC
    """,
    "urls": "SELECT url, '' FROM reservations ORDER BY folded",
    "services": "SELECT name, '' FROM services ORDER BY name",
}


def found(kind: str, machine: str | None, store: str | None, *, most: int) -> list[tuple[str, str]]:
    """What the machine has of this kind, at most so many, each with what it is.

    Args:
        kind: One of `_QUERIES`.
        machine: The embedded machine's file; this computer when None.
        store: The LocalMachine store to look for thumbprints in; MY when None.
        most: How many at most.
    """
    file = machine or os.environ.get("MLSSSL_MACHINE")
    if not file:
        if sys.platform == "win32":
            return of_library(kind, store, most=most)
        from mlsssl._machine.user_folder import MACHINE_FILE, user_folder

        folder = user_folder()
        if folder is None:
            return []
        file = f"{folder}/{MACHINE_FILE}"
    return _of_file(kind, file, store, most)


def _of_file(kind: str, file: str, store: str | None, most: int) -> list[tuple[str, str]]:
    if not os.path.isfile(file):  # noqa: PTH113 -- a pipe would hold us up
        return []
    place = os.path.abspath(file).replace(os.sep, "/").lstrip("/")  # noqa: PTH100
    for special in "%?#":
        place = place.replace(special, f"%{ord(special):x}")
    connection = None
    try:
        connection = sqlite3.connect(f"file:///{place}?mode=ro", uri=True, timeout=0.2)
        connection.set_progress_handler(lambda: 1, _STEPS)
        connection.execute("PRAGMA trusted_schema = OFF")
        if connection.execute("PRAGMA application_id").fetchone() != (APPLICATION_ID,):
            return []
        given = (store or "MY",) if kind == "thumbprints" else ()
        rows = connection.execute(f"{_QUERIES[kind]} LIMIT {most:d}", given).fetchall()
        return [(text, told) for text, told in rows if isinstance(text, str) and isinstance(told, str)]
    except (sqlite3.Error, ValueError, OverflowError):  # damaged, of an older library, locked for long, or a stranger's
        return []
    finally:
        if connection is not None:
            connection.close()


def of_library(kind: str, store: str | None, *, most: int, machine: str | None = None) -> list[tuple[str, str]]:
    """The same as the library tells it: what is asked of a Windows, and what the tests compare with."""
    from itertools import islice

    import mlsssl

    try:
        opened = mlsssl.Machine.local(create=False) if machine is None else mlsssl.EmbeddedMachine(machine)
        with opened:
            return list(islice(_asked(opened, kind, store), most))
    except (mlsssl.MlssslError, OSError):
        return []


def _asked(machine: mlsssl.Machine, kind: str, store: str | None) -> Iterator[tuple[str, str]]:
    if kind == "thumbprints":
        with machine.store(store or "MY") as entries:
            for entry in entries:
                if not entry.archived:
                    yield str(entry.thumbprint), entry.friendly_name or ""
    elif kind == "stores":
        yield from ((name, "") for name in machine.store_names())
    elif kind == "urls":
        yield from ((str(one.url), "") for one in machine.reservations)
    elif kind == "keys":
        yield from ((str(one.key), str(one.thumbprint or "")) for one in machine.bindings)
    elif kind == "apps":
        yield from ((one, "") for one in sorted({str(one.app_id) for one in machine.bindings}))
    elif kind in ("hosts", "endpoints"):
        keys = [one.key for one in machine.bindings]
        named = [key for key in keys if key.family.value in ("hostnameport", "scopedccs")]
        wanted = {str(key) if kind == "endpoints" else key.host for key in named if hasattr(key, "host")}
        yield from ((one, "") for one in sorted(wanted) if not one.startswith("scopedccs="))
