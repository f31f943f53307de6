"""What runners ask of all minions, and the one table of their audits, which is kept on the disk while it grows."""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from mlsssl._commands.remedies import in_commands
from mlsssl._machine import files
from mlsssl._messages.foreign_text import message, shown
from mlsssl._messages.tables import cell
from mlsssl._notebook.report_page import pieces
from mlsssl.auditing import COLUMNS, audit_of
from mlsssl.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from typing_extensions import Self

_HEADS = {"minion": "MINION", **COLUMNS}
_DUE = ("key", "names", "issuer", "not_after", "renew_from")
_SAVED = (".json", ".txt", ".html", ".htm")


class FleetTable:
    """The audits of many minions, one table. Not immutable; close it, or use it as a context manager.

    What the minions say is kept in a temporary file that nobody else can open. In memory are a few numbers for each
    minion and what is due, so that 10,000 minions with ten bindings each fit into 300 MiB, their page of HTML too.

    Args:
        until: What is to be renewed before this moment is due; aware.
    """

    def __init__(self, until: dt.datetime) -> None:
        self._until = until
        self._file = tempfile.TemporaryFile(prefix="mlsssl-")  # noqa: SIM115 -- `close` closes it
        self._places: dict[str, int] = {}
        self._widths = {name: len(head) for name, head in _HEADS.items()}
        self.bindings = self.errors = self.warnings = 0
        self.due: list[dict[str, object]] = []

    def add(self, minion: str, answer: object) -> None:
        """Take in what this minion's `mlsssl.audit` returned; under its id, whatever it calls itself.

        Raises:
            MalformedDataError: it is no audit. A minion may return anything.
            InvalidInputError: there is an audit of this minion already.
        """
        if minion in self._places:
            raise InvalidInputError(f"{shown(minion)} has answered already")
        found = replace(audit_of(answer), machine=minion).to_dict()
        self._places[minion] = self._file.seek(0, 2)
        self._file.write(json.dumps(found).encode("ascii") + b"\n")
        for row in _rows(found):
            self.bindings += row["app_id"] is not None
            self.errors += row["severity"] == "error"
            self.warnings += row["severity"] == "warning"
            if row["renew_from"] is not None and dt.datetime.fromisoformat(row["renew_from"]) < self._until:
                self.due.append({"minion": minion, **{name: row[name] for name in _DUE}})
            for name, width in self._widths.items():
                self._widths[name] = max(width, len(cell(row[name])))

    @property
    def minions(self) -> list[str]:
        """Those that have answered, sorted."""
        return sorted(self._places)

    def audits(self) -> Iterator[dict[str, Any]]:
        """Each minion's audit, in the order of their ids, as `Audit.to_dict` has it."""
        return map(json.loads, self._lines())

    def _lines(self) -> Iterator[bytes]:
        for minion in self.minions:
            self._file.seek(self._places[minion])
            yield self._file.readline()

    def rows(self) -> Iterator[dict[str, object]]:
        """One plain dict for each binding: `minion`, then what `Audit.to_rows` has."""
        for audit in self.audits():
            yield from _rows(audit)

    def text(self) -> Iterator[str]:
        """The table for people, a line each."""
        yield self._line(_HEADS)
        for row in self.rows():
            yield self._line({name: cell(row[name]) for name in _HEADS})

    def save(self, path: str | Path) -> Path:
        """Write all of it into a file, whole or not at all.

        Args:
            path: The suffix chooses what: `.html`, the page of `Audit.save`; `.json`, what `mlsssl audit --from`
                reads; `.txt`, the table. A file that is there is replaced, unless it holds a private key.

        Raises:
            InvalidInputError: another suffix, or nobody has answered.
            ExistsError: a file with a private key is there.
            NotFoundError, AccessDeniedError, NativeError: it cannot be written.
        """
        from mlsssl._machine.kept_keys import refuse_to_lose_a_key

        target = path_to_save(path)
        if not self._places:
            raise InvalidInputError("no minion has answered, so there is nothing to save")
        refuse_to_lose_a_key(target, key=None, password=None)
        files.write(target, self._pieces(target.suffix.lower()), private=False)
        return target

    def _pieces(self, suffix: str) -> Iterator[bytes]:
        if suffix == ".txt":
            return (f"{line}\n".encode() for line in self.text())
        if suffix == ".json":
            return chain([b"["], (b"," * (place > 0) + one for place, one in enumerate(self._lines())), [b"]"])
        return (piece.encode("ascii") for piece in pieces(map(_for_people, self.audits())))

    def close(self) -> None:
        """Forget it."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _line(self, cells: Mapping[str, str]) -> str:
        return "  ".join(cells[name].ljust(width) for name, width in self._widths.items()).rstrip()


def path_to_save(path: str | Path) -> Path:
    """Where a table is to be saved. `InvalidInputError` for a suffix that chooses nothing."""
    target = files.path_of(path)
    if target.suffix.lower() not in _SAVED:
        raise InvalidInputError(f"a table is saved as .html, .json or .txt, not {shown(target.suffix or 'none')}")
    return target


def _rows(audit: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for row in audit["rows"]:
        codes = ", ".join(dict.fromkeys(finding["code"] for finding in row["findings"]))
        yield {"minion": audit["machine"], **row, "findings": codes}


def _for_people(audit: dict[str, Any]) -> dict[str, Any]:
    """The audit with findings and remedies in the words of the command line, as `mlsssl audit --html` has them."""
    for one in (*audit["rows"], *audit["reservations"]):
        for finding in one["findings"]:
            finding.update({name: in_commands(finding[name]) for name in ("found", "remedy")})
    return audit


class Minions:
    """The minions that a target means, asked by the master.

    Args:
        opts: The master's configuration, `__opts__` of a runner.
        tgt: The target.
        tgt_type: What kind of target, as for `salt`: `glob`, `list`, `compound`, …
        timeout: Seconds to wait for answers; the master's `timeout` when None.
    """

    def __init__(self, opts: Mapping[str, Any], tgt: str | Sequence[str], tgt_type: str, timeout: float | None) -> None:
        import salt.utils.minions

        self._opts, self._tgt, self._tgt_type = opts, tgt, tgt_type
        self._timeout = {} if timeout is None else {"timeout": timeout}
        found = salt.utils.minions.CkMinions(opts).check_minions(tgt, tgt_type)["minions"]
        self.ids: frozenset[str] = frozenset(found)
        if not self.ids:
            raise InvalidInputError(f"no minion that this master has accepted is meant by {shown(tgt)}")

    def ask(self, function: str, *arguments: object, batch: str | None = None) -> Iterator[tuple[str, bool, Any]]:
        """Call a function on all of them; an answer as it comes: who, whether it went well, and what is returned.

        Those that do not answer do not come. With `batch` so many at a time, and after a failure no further ones.
        """
        import salt.client

        keywords = {**self._timeout}
        with salt.client.get_local_client(self._opts["conf_file"]) as client:
            if batch is None:
                found = client.cmd_iter(self._tgt, function, list(arguments), tgt_type=self._tgt_type, **keywords)
            else:
                found = client.cmd_batch(
                    self._tgt,
                    function,
                    list(arguments),
                    tgt_type=self._tgt_type,
                    batch=batch,
                    failhard=True,
                    raw=True,
                    **keywords,
                )
            for answer in found:
                yield from self._told(answer, batch is not None)

    def _told(self, answer: Mapping[str, Any], raw: bool) -> Iterator[tuple[str, bool, Any]]:
        if raw:
            data = answer.get("data", answer)
            if data.get("id") in self.ids and "return" in data:
                yield data["id"], not data.get("retcode"), data["return"]
            return
        for minion, one in answer.items():
            if minion in self.ids and isinstance(one, dict) and "ret" in one and not one.get("failed"):
                yield minion, not one.get("retcode"), one["ret"]


def reason(answer: object) -> str:
    """What a minion says in place of an answer, for people: the last line of a traceback, at most 500 characters."""
    lines = [line for line in str(answer).splitlines() if line.strip()]
    return message(lines[-1].strip())[:500] if lines else "it said nothing"
