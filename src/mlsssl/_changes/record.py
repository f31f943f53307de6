"""What a change of a machine set out to do, on disk before it starts: so that a killed one can be finished or undone.

One file for each binding's key, or reserved URL, `change-<digest of it>.json` in the machine's state folder, exists
exactly while a change of it runs. It says what was there before and what shall be there after, whole; what was done in
between is found by looking at the machine. No secret is in it. When a deploy or renew is done the file becomes
`last-<digest of the key>.json`, which `undo` reads. Each key has its own, so that a change which can be neither
finished nor taken back is in nobody else's way. The steps that follow a change (`hooks=`) are
named in its record too, and those that are still to be run stay there.
"""

from __future__ import annotations

import datetime as dt
import errno
import hashlib
import json
import os
import uuid
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

from mlsssl._formats.binding_keys import (
    BindingKey,
    BindingOptions,
    HostnamePort,
    IpPort,
    ScopedCcs,
    numbers_of,
    parse_binding_key,
)
from mlsssl._formats.url_prefixes import UrlPrefix
from mlsssl._machine import files, private_files
from mlsssl._machine.accounts import Account, sid_bytes
from mlsssl._machine.ports import BindingRecord, ReservationRecord, owner_text
from mlsssl._messages.foreign_text import system_reason
from mlsssl._messages.output import as_json
from mlsssl.errors import MalformedDataError, MlssslError, NativeError, NotFoundError
from mlsssl.values import Thumbprint

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION = 2
"""Of the files' format; a later one is refused, not guessed at. One binding, and no more than it, is version 1."""

FORMER_NAME = "change.json"
"""What the one record of all keys was called before each had its own; one that was left then is recovered still."""

Was = Literal["absent", "without-key", "unusable-key", "whole"]
"""How a certificate was found before it was added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """A certificate that a change adds to a LocalMachine store, and how it was there before (from `was` on)."""

    store: str
    thumbprint: Thumbprint
    role: Literal["leaf", "intermediate", "root"]
    was: Was
    friendly_name: str | None = None
    archived: bool = False
    renewed_by: Thumbprint | None = None
    certificate: bytes | None = None
    """Its DER when it was there without a key: taking the key away again takes it out for a moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A CERT_RENEWAL mark that a change sets on the older certificate, and the mark that this one had before."""

    store: str
    thumbprint: Thumbprint
    before: Thumbprint | None
    after: Thumbprint


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationChange:
    """What becomes of a URL reservation in a change; None is no reservation."""

    url: UrlPrefix
    before: ReservationRecord | None
    after: ReservationRecord | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A right that a change gives an account on the private key of a certificate, which it did not have before."""

    store: str
    thumbprint: Thumbprint
    name: str
    sid: str
    right: Literal["read", "full"]

    @property
    def account(self) -> Account:
        """Whose right it is."""
        return Account(self.name, self.sid)

    @property
    def what(self) -> str:
        """What it lets do, in words that continue the account."""
        whole = "use and change" if self.right == "full" else "read"
        return f"{whole} the private key of {self.thumbprint} in LocalMachine\\{self.store}"


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a machine, whole: enough to finish it or to take it back. By default this process begins it now.

    Attributes:
        verb: What was asked for: `deploy`, `renew`, `undo`, `update`, `cleanup`.
        key: The binding's key; None for a change that touches no binding.
        services: Services that ran and are stopped meanwhile.
        back: Whether it is being taken back.
        audit_log: The file that gets a line about it, or None.
        bound: Every certificate that was bound before, when issuers are added: what it did without then, it does
            without again.
        also: How other bindings were that change together with this one, and how each shall be.
        grants: Rights on private keys; written down after the certificates are added, before the first is given.
        steps: The names of all steps that follow the change (`hooks=`).
        owed: Those of them that have not been run, in order. Written down with the change, so that a process killed
            in between leaves word of them.
        reservation: The URL reservation that is changed with the binding, or alone.
    """

    verb: str
    key: BindingKey | None
    _: KW_ONLY
    before: BindingRecord | None = None
    after: BindingRecord | None = None
    additions: tuple[Addition, ...] = ()
    marks: tuple[Mark, ...] = ()
    services: tuple[str, ...] = ()
    started: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.timezone.utc))
    process: int = field(default_factory=os.getpid)
    back: bool = False
    audit_log: Path | None = None
    bound: tuple[Thumbprint, ...] = ()
    also: tuple[tuple[BindingRecord, BindingRecord], ...] = ()
    grants: tuple[Grant, ...] = ()
    steps: tuple[str, ...] = ()
    owed: tuple[str, ...] = ()
    reservation: ReservationChange | None = None

    @property
    def subject(self) -> BindingKey | UrlPrefix | None:
        """What it is about: the binding's key; the URL of a change of a reservation alone; or nothing like that."""
        return self.reservation.url if self.key is None and self.reservation is not None else self.key

    @property
    def bindings(self) -> tuple[tuple[BindingRecord | None, BindingRecord | None], ...]:
        """Each binding that it changes, as it was and as it shall be; that of `key` first, on which the others wait."""
        return () if self.key is None else ((self.before, self.after), *self.also)

    @property
    def keys(self) -> tuple[BindingKey, ...]:
        """The keys of all of these."""
        return () if self.key is None else (self.key, *(before.key for before, _ in self.also))

    @property
    def title(self) -> str:
        """What to call it in messages."""
        about = "" if self.subject is None else f" of {' and '.join(map(str, self.keys or (self.subject,)))}"
        return f"the {self.verb}{about} begun {self.started:%Y-%m-%d %H:%M:%S} UTC by process {self.process}"

    @property
    def undoable(self) -> bool:
        """Whether it is kept for `undo` when it is done."""
        return self.key is not None and self.verb in ("deploy", "renew")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A record whose change has begun and not ended: it runs, or a killed process left it.

    `change` is None when the file cannot be read, for which `error` says why.
    """

    path: Path
    change: Change | None = None
    error: MlssslError | None = None

    @property
    def name(self) -> str:
        """What to call it: the key or URL, or the file's name when it has none that can be read."""
        return self.path.name if self.change is None or self.change.subject is None else str(self.change.subject)

    @property
    def title(self) -> str:
        """What to call it in messages."""
        return f"the change in {self.path}" if self.change is None else self.change.title

    def is_about(self, key: BindingKey | UrlPrefix | str | None) -> bool:
        """Whether it is the change of this key or URL, which the file's name says when nothing else can be read.

        As text `key` is `name`, which may be that of a stranger's key that no host name is; or the name of the file.
        """
        if key is None or isinstance(key, str):
            return key in (self.name, self.path.name)
        if self.change is not None:
            return key in self.change.keys or self.change.subject == key
        return self.path.name == _name("change", key)


class ChangeRecords:
    """The records in one state folder. Only the holder of the machine's lock writes them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def pending(self) -> tuple[Pending, ...]:
        """The changes that are running, or that killed processes left; a record that cannot be read with its error."""
        with on_disk("iterdir"):
            names = sorted(filter(is_record, os.listdir(self.folder)))  # noqa: PTH208 -- others need no `Path`
        found = (self._pending(self.folder / name) for name in names)
        return tuple(one for one in found if one is not None)

    @staticmethod
    def _pending(path: Path) -> Pending | None:
        try:
            return Pending(path=path, change=_parse(private_files.read_private(path), path))
        except NotFoundError:
            return None  # it has ended meanwhile, for who holds no lock
        except MlssslError as error:
            return Pending(path=path, error=error)

    def begin(self, change: Change, *, path: Path | None = None) -> None:
        """Write it down; it is on the disk when this returns. The key has no other that is pending.

        `path` is its record when it has one already that is not at the usual place; also in `finish`.
        """
        with on_disk("write"):
            files.write(path or self._path("change", change.subject), _text(change), private=True)

    def turn_back(self, change: Change) -> Change:
        """Write down that it is being taken back, whatever happens next."""
        turned = replace(change, back=True)
        self.begin(turned)
        return turned

    def finish(self, change: Change, *, keep: bool = True, path: Path | None = None) -> None:
        """It is done: keep it as what `undo` takes back, if it is such a change, or (`keep` False) forget it.

        It is kept for each of its keys, of which any can be given to `undo`.
        """
        record = path or self._path("change", change.subject)
        with on_disk("rename"):
            if keep and change.undoable:
                for key in change.keys[1:]:
                    # The steps that follow are owed once.
                    files.write(self._last(key), _text(replace(change, owed=())), private=True)
                files.replace(record, self._last(change.key))
            else:
                files.remove(record)

    def abandon(self, pending: Pending) -> None:
        """Forget it, however it ended; the machine stays as it is."""
        with on_disk("unlink"):
            files.remove(pending.path)

    def last(self, key: BindingKey) -> Change | None:
        """The last change of this key that was kept, or None. `MalformedDataError` when the file is damaged."""
        path = self._last(key)
        try:
            return _parse(private_files.read_private(path), path)
        except NotFoundError:
            return None

    def owed(self, key: BindingKey) -> tuple[str, ...]:
        """The steps that are still to be run after the last change of this key; none when its file is damaged."""
        try:
            return tuple(map(_str, json.loads(private_files.read_private(self._last(key))).get("owed", ())))
        except (MlssslError, AttributeError, ValueError, TypeError, RecursionError):
            return ()

    def forget(self, change: Change) -> None:
        """Forget it as the last change of its keys."""
        with on_disk("unlink"):
            for key in reversed(change.keys):  # the first one last: it is what a second try would look for
                files.remove(self._last(key))

    def settle_steps(self, change: Change, owed: tuple[str, ...]) -> None:
        """Note which steps of a finished change are still to be run; nothing when it is not the last one any more."""
        assert change.key is not None
        last = self.last(change.key)
        if last is not None and (last.started, last.process) == (change.started, change.process):
            with on_disk("write"):
                files.write(self._last(change.key), _text(replace(last, owed=owed)), private=True)

    def with_owed_steps(self) -> tuple[Change, ...]:
        """Every finished change of which a step is still to be run; a damaged file is nobody's here."""
        with on_disk("iterdir"):
            paths = sorted(path for path in self.folder.iterdir() if path.name.startswith("last-"))
        found = []
        for path in paths:
            with suppress(MlssslError):
                found.append(_parse(private_files.read_private(path), path))
        return tuple(change for change in found if change.owed)

    def _last(self, key: BindingKey | None) -> Path:
        return self._path("last", key)

    def _path(self, kind: Literal["change", "last"], key: BindingKey | UrlPrefix | None) -> Path:
        return files.inside(self.folder, _name(kind, key))


@lru_cache(maxsize=64)
def _name(kind: Literal["change", "last"], key: BindingKey | UrlPrefix | None) -> str:
    text = "" if key is None else f"url={key.folded}" if isinstance(key, UrlPrefix) else key_text(key)
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


def is_record(name: str) -> bool:
    """Whether a file of this name is the record of a pending change."""
    return name == FORMER_NAME or (name.startswith("change-") and name.endswith(".json"))


class on_disk:  # noqa: N801 -- as `files.translated`
    """What the system says to a write, in our words: a full disk is no OSError of anybody's."""

    __slots__ = ("_function",)

    def __init__(self, function: str) -> None:
        self._function = function

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        if isinstance(error, OSError) and not isinstance(error, MlssslError):
            code = error.errno or 0
            hint = f"the record of the change cannot be kept: {system_reason(error)}"
            raise NativeError(self._function, code, errno.errorcode.get(code, ""), hint) from None


# -- as JSON ----------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def key_text(key: BindingKey) -> str:
    """A key as text that `parse_binding_key` reads as the same key, whatever its family."""
    return f"{key.family.value}={key}" if isinstance(key, (IpPort, HostnamePort)) else str(key)


def _key_to_dict(key: BindingKey | None) -> dict[str, object]:
    """A key as plain values: its text, and the spelling that the machine has it in."""
    if key is None:
        return {"key": None}
    stored = key.stored_host if isinstance(key, (HostnamePort, ScopedCcs)) else None
    spelling = {} if stored is None else {"stored_host": stored}
    return {"key": key_text(key), **spelling}


def _key_from_dict(data: Mapping[str, object]) -> BindingKey:
    """The key behind `_key_to_dict`."""
    text, stored = _str(data["key"]), _optional(data.get("stored_host"))
    if stored is None:
        return parse_binding_key(text)
    family, _, rest = text.partition("=")
    kind = {one.family.value: one for one in (HostnamePort, ScopedCcs)}[family]
    return kind.as_stored(stored, int(rest.rpartition(":")[2]))


def record_to_dict(record: BindingRecord) -> dict[str, object]:
    """A binding record as plain values; nothing is lost."""
    options = record.options
    flags, check_mode, freshness_seconds, timeout_milliseconds = numbers_of(options)
    return {
        **_key_to_dict(record.key),
        "thumbprint": _shown(record.thumbprint),
        "store": record.store_name,
        "app_id": owner_text(record.app_id),
        "flags": flags,
        "check_mode": check_mode,
        "freshness_seconds": freshness_seconds,
        "timeout_milliseconds": timeout_milliseconds,
        "ctl_identifier": options.ctl_identifier,
        "ctl_store_name": options.ctl_store_name,
    }


def record_from_dict(data: Mapping[str, object]) -> BindingRecord:
    """The record behind `record_to_dict`. KeyError, TypeError or a MlssslError when it is none."""
    return BindingRecord(
        key=_key_from_dict(data),
        thumbprint=_thumbprint(data["thumbprint"]),
        store_name=_optional(data["store"]),
        app_id=uuid.UUID(_str(data["app_id"])),
        options=BindingOptions.from_numbers(
            flags=_int(data["flags"]),
            check_mode=_int(data["check_mode"]),
            freshness_seconds=_int(data["freshness_seconds"]),
            timeout_milliseconds=_int(data["timeout_milliseconds"]),
            ctl_identifier=_optional(data["ctl_identifier"]),
            ctl_store_name=_optional(data["ctl_store_name"]),
        ),
    )


def _text(change: Change) -> bytes:
    data: dict[str, object] = {
        # An earlier mlsssl reads the others too; of these it would leave bindings, rights or a reservation alone.
        "version": VERSION if change.also or change.grants or change.reservation is not None else 1,
        "verb": change.verb,
        **_key_to_dict(change.key),
        "before": None if change.before is None else record_to_dict(change.before),
        "after": None if change.after is None else record_to_dict(change.after),
        "additions": [*map(_addition_to_dict, change.additions)],
        "marks": [
            {
                "store": one.store,
                "thumbprint": str(one.thumbprint),
                "before": _shown(one.before),
                "after": str(one.after),
            }
            for one in change.marks
        ],
        "services": change.services,
        "started": change.started.isoformat(),
        "process": change.process,
        "back": change.back,
        "bound": [*map(str, change.bound)],
        "steps": change.steps,
        "owed": change.owed,
    }
    if change.also:
        data["also"] = [{"before": record_to_dict(old), "after": record_to_dict(new)} for old, new in change.also]
    if change.grants:
        data["grants"] = as_json(change.grants)
    data["trail"] = None if change.audit_log is None else str(change.audit_log)  # called so from the first version on
    if change.reservation is not None:
        data["reservation"] = reservation_to_dict(change.reservation)
    return json.dumps(data).encode("ascii") + b"\n"  # on one line: indenting is done in Python, ten times as slow


def _shown(thumbprint: Thumbprint | None) -> str | None:
    return None if thumbprint is None else str(thumbprint)


def _addition_to_dict(addition: Addition) -> dict[str, object]:
    return {
        "store": addition.store,
        "thumbprint": str(addition.thumbprint),
        "role": addition.role,
        "was": addition.was,
        "friendly_name": addition.friendly_name,
        "archived": addition.archived,
        "renewed_by": _shown(addition.renewed_by),
        "certificate": None if addition.certificate is None else addition.certificate.hex(),
    }


def _parse(data: bytes, path: Path) -> Change:
    try:
        read = json.loads(data)
        if _int(read["version"]) > VERSION:
            raise MalformedDataError(f"{path} was written by a later version of mlsssl, which can read it")
        return Change(
            _str(read["verb"]),
            None if read["key"] is None else _key_from_dict(read),
            before=None if read["before"] is None else record_from_dict(read["before"]),
            after=None if read["after"] is None else record_from_dict(read["after"]),
            additions=tuple(_addition(one) for one in read["additions"]),
            marks=tuple(
                Mark(
                    store=_str(one["store"]),
                    thumbprint=Thumbprint(_str(one["thumbprint"])),
                    before=_thumbprint(one["before"]),
                    after=Thumbprint(_str(one["after"])),
                )
                for one in read["marks"]
            ),
            services=tuple(_str(one) for one in read["services"]),
            started=dt.datetime.fromisoformat(_str(read["started"])),
            process=_int(read["process"]),
            back=bool(read["back"]),
            audit_log=None if read["trail"] is None else Path(_str(read["trail"])),
            bound=tuple(Thumbprint(_str(one)) for one in read["bound"]),
            also=tuple(
                (record_from_dict(one["before"]), record_from_dict(one["after"])) for one in read.get("also", ())
            ),
            grants=tuple(_grant(one) for one in read.get("grants", ())),
            steps=tuple(_str(one) for one in read.get("steps", ())),  # not in the files of earlier releases
            owed=tuple(_str(one) for one in read.get("owed", ())),
            reservation=None if read.get("reservation") is None else _reservation_from_dict(read["reservation"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        if isinstance(error, MalformedDataError):
            raise
        raise MalformedDataError(
            f"{path} is damaged ({type(error).__name__}): look whether the binding is what it should be"
        ) from None


def _addition(read: Mapping[str, object]) -> Addition:
    was, role = _str(read["was"]), _str(read["role"])
    if was not in get_args(Was) or role not in ("leaf", "intermediate", "root"):
        raise ValueError(was)
    return Addition(
        store=_str(read["store"]),
        thumbprint=Thumbprint(_str(read["thumbprint"])),
        role=role,  # type: ignore[arg-type]  # looked at two lines above
        was=was,  # type: ignore[arg-type]
        friendly_name=_optional(read["friendly_name"]),
        archived=bool(read["archived"]),
        renewed_by=_thumbprint(read["renewed_by"]),
        certificate=None if read["certificate"] is None else bytes.fromhex(_str(read["certificate"])),
    )


def _grant(read: Mapping[str, object]) -> Grant:
    right, sid = _str(read["right"]), _str(read["sid"])
    if right not in ("read", "full"):
        raise ValueError(right)
    sid_bytes(sid)
    return Grant(
        store=_str(read["store"]),
        thumbprint=Thumbprint(_str(read["thumbprint"])),
        name=_str(read["name"]),
        sid=sid,
        right=right,  # type: ignore[arg-type]  # looked at above
    )


def reservation_to_dict(change: ReservationChange) -> dict[str, object]:
    """What becomes of a reservation as plain values; nothing is lost."""

    def plain(record: ReservationRecord | None) -> object:
        return None if record is None else {"url": record.url.written, "sddl": record.sddl}

    return {"url": change.url.written, "before": plain(change.before), "after": plain(change.after)}


def _reservation_from_dict(data: Mapping[str, object]) -> ReservationChange:
    def record(read: object) -> ReservationRecord | None:
        if read is None:
            return None
        if not isinstance(read, dict):
            raise TypeError("a record expected")
        return ReservationRecord(url=_url(read["url"]), sddl=_str(read["sddl"]))

    return ReservationChange(url=_url(data["url"]), before=record(data["before"]), after=record(data["after"]))


def _url(value: object) -> UrlPrefix:
    """The prefix in the spelling in which it is written; of one that nobody's machine had yet that is its own."""
    text = _str(value)
    stored = UrlPrefix.as_stored(text)
    return UrlPrefix(text) if str(stored) == text and stored.host_kind is not None else stored


def _thumbprint(value: object) -> Thumbprint | None:
    return None if value is None else Thumbprint(_str(value))


def _optional(value: object) -> str | None:
    return None if value is None else _str(value)


def _str(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("text expected")
    return value


def _int(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("number expected")
    return value
