"""`audit`: every binding with its certificate, key, days left, findings and owner, in one table."""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache, cached_property
from operator import itemgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from mlsssl._changes import recovery
from mlsssl._changes.record import ChangeRecords
from mlsssl._deploy import preflight
from mlsssl._deploy.due import about_late
from mlsssl._deploy.issuers import KnownIssuers, about_issuers
from mlsssl._formats.binding_keys import BindingFamily, recorded_key
from mlsssl._formats.url_prefixes import UrlPrefix
from mlsssl._machine import files, precedence, stores
from mlsssl._machine.accounts import ADMINISTRATORS, SYSTEM
from mlsssl._machine.authorities import Authorities
from mlsssl._machine.ports import WELL_KNOWN_APPLICATION_IDS
from mlsssl._messages.arguments import check_callable, check_type
from mlsssl._messages.foreign_json import list_in, moment_in, needed_text, read_json, text_in
from mlsssl._messages.foreign_text import printable, shown
from mlsssl._messages.output import as_dict, to_json
from mlsssl._messages.tables import plain_table
from mlsssl._netsh.listing import has_bindings
from mlsssl._select.ports import HasPort, existing_port_of
from mlsssl._validator.findings import machine_finding
from mlsssl._validator.report import Finding, Severity
from mlsssl.binding import binding_of
from mlsssl.certificate import Certificate
from mlsssl.errors import AccessDeniedError, InvalidInputError, MalformedDataError, MlssslError, UnsupportedError
from mlsssl.netsh import Listing, parse_listing
from mlsssl.store import Store, key_words
from mlsssl.values import Thumbprint, check_moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path
    from typing import TypeVar

    from mlsssl._changes.record import Change, Pending
    from mlsssl._formats.binding_keys import BindingKey
    from mlsssl._machine.ports import BindingRecord, MachinePort, StorePort, StoreRecord
    from mlsssl._notebook.cards import Printer
    from mlsssl._validator.profiles import Profile
    from mlsssl.reservation import UrlReservation

    T = TypeVar("T")

__all__ = ["Audit", "AuditReservation", "AuditRow", "audit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One binding joined with its certificate and key; or one certificate that nothing is bound to.

    A pending change has a row of its own, with its finding and at most its key, where nothing is bound to that key.

    Attributes:
        key: The binding's key; None for a certificate that is not bound.
        app_id: The binding's owner; None for a certificate that is not bound.
        owner: The owner's name when its GUID is well known, else the GUID.
        thumbprint: The certificate; None for the CCS families.
        store: The LocalMachine store it is said to be in.
        names: The hosts it is for.
        issuer: Who issued it, RFC 4514.
        not_after: Its last second, UTC.
        days_left: From the audit's moment to then, to a hundredth; negative when it is over.
        renew_from: From when on it should be renewed, as `Certificate.renewal_time` says.
        key_type: `rsa-2048` and so on.
        private_key: `usable`, `missing`, or what is wrong with it; None when there is no certificate to ask about.
        key_access: Who besides SYSTEM and the administrators may read the private key, each with its right; None when
            there is no usable one, or its machine does not say.
        renewed_by: The certificate that replaced it, when it has that mark.
        findings: What is wrong or worth knowing, errors first.
    """

    key: BindingKey | None
    app_id: uuid.UUID | None
    owner: str | None
    thumbprint: Thumbprint | None
    store: str | None
    names: tuple[str, ...] = ()
    issuer: str | None = None
    not_after: dt.datetime | None = None
    days_left: float | None = None
    renew_from: dt.datetime | None = None
    key_type: str | None = None
    private_key: str | None = None
    key_access: tuple[str, ...] | None = None
    renewed_by: Thumbprint | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def severity(self) -> Severity | None:
        """The worst of the findings; None when there is none."""
        return min((finding.severity for finding in self.findings), key=lambda one: one.rank, default=None)

    def to_dict(self) -> dict[str, object]:
        """Plain values, one per column: ready for JSON and for a DataFrame."""
        return {
            **as_dict(self, "key"),
            "family": None if self.key is None else self.key.family.value,
            **as_dict(self, "owner", "app_id", "thumbprint", "store"),
            "names": ", ".join(self.names),
            **as_dict(self, "issuer", "not_after", "days_left", "renew_from", "key_type", "private_key"),
            "key_access": None if self.key_access is None else ", ".join(self.key_access),
            **as_dict(self, "renewed_by"),
            **as_dict(self, "severity"),
            "findings": ", ".join(dict.fromkeys(finding.code for finding in self.findings)),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReservation:
    """One URL reservation.

    Attributes:
        url: The prefix.
        sddl: Its access list.
        who: The access list in words.
        findings: What is wrong or worth knowing.
    """

    url: UrlPrefix
    sddl: str
    who: str
    findings: tuple[Finding, ...] = ()

    @property
    def severity(self) -> Severity | None:
        """The worst of the findings; None when there is none."""
        return min((finding.severity for finding in self.findings), key=lambda one: one.rank, default=None)

    def to_dict(self) -> dict[str, object]:
        """Plain values, one per column: ready for JSON and for a DataFrame."""
        return {
            "url": self.url.written,
            **as_dict(self, "who", "sddl", "severity"),
            "findings": ", ".join(dict.fromkeys(finding.code for finding in self.findings)),
        }


RESERVATION_COLUMNS = {"url": "RESERVED URL", "who": "WHO", "severity": "WORST", "findings": "FINDINGS"}

COLUMNS = {
    "key": "KEY",
    "owner": "OWNER",
    "names": "NAMES",
    "days_left": "DAYS",
    "private_key": "PRIVATE KEY",
    "severity": "WORST",
    "findings": "FINDINGS",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What `audit` found.

    Attributes:
        machine: What to call the machine: the name of this computer, or the file of an embedded one.
        at: The moment asked about, UTC.
        rows: Bindings family by family, sorted by key; then pending changes of what is not bound; then certificates
            that nothing is bound to, if asked for.
        notes: What could not be looked at, or had to be inferred.
        reservations: The machine's URL reservations, sorted by prefix.
    """

    machine: str
    at: dt.datetime
    rows: tuple[AuditRow, ...]
    notes: tuple[str, ...] = ()
    reservations: tuple[AuditReservation, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether no finding is an error."""
        worst = (*(row.severity for row in self.rows), *(one.severity for one in self.reservations))
        return Severity.ERROR not in worst

    @property
    def columns(self) -> dict[str, str]:
        """What a table of it shows, with a title for each; who may read private keys only where somebody may."""
        shown = {"private_key": "PRIVATE KEY", "key_access": "MAY READ IT"}
        somebody = any(row.key_access for row in self.rows)
        return {
            one: title
            for name, its in COLUMNS.items()
            for one, title in (shown.items() if somebody and name == "private_key" else ((name, its),))
        }

    def to_rows(self) -> list[dict[str, object]]:
        """A dict per row, all with the same keys: `pandas.DataFrame(audit().to_rows())`.

        As `AuditRow.to_dict`, but for its moments, which are aware moments (`datetime`).
        """
        return [{**row.to_dict(), "not_after": row.not_after, "renew_from": row.renew_from} for row in self.rows]

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON; each row with its findings whole."""
        rows = [{**row.to_dict(), **as_dict(row, "findings")} for row in self.rows]
        reserved = [{**one.to_dict(), **as_dict(one, "findings")} for one in self.reservations]
        return {**as_dict(self, "machine", "at", "ok", "notes"), "rows": rows, "reservations": reserved}

    def to_json(self, *, indent: int | None = None) -> str:
        """`to_dict` as ASCII JSON; `indent` as in `json.dumps`."""
        return to_json(self.to_dict(), indent)

    @staticmethod
    def from_json(text: str | bytes) -> tuple[Audit, ...]:
        """The audits in a text that `to_json`, `save` or `mlsssl audit --json` wrote, of this machine or of others.

        What was found is taken as it was written; nothing is looked at anew. Names and accounts with a comma and a
        blank in them come back as two. Members that are not known, as a later version may write, are passed over.

        Args:
            text: JSON, one audit or a list of them; as bytes in UTF-8, UTF-16 or UTF-32.

        Raises:
            MalformedDataError: not JSON, no audit, a value that no audit has, more than 64 MiB or four million values.
        """
        return tuple(_audits_of(text))

    def to_html(self, *others: Audit) -> str:
        """One page of HTML (ASCII) with everything in it: to be opened, mailed or printed.

        It asks nothing of anywhere, and a Content-Security-Policy forbids that it could. A full bar is a year. Without
        scripts the 200 rows that end first are there; with them all, to sort and to search.

        Args:
            others: Audits of other machines, which come into the same page. What has the name of one before it gets a
                number.

        Raises:
            InvalidInputError: one of them is no audit.
        """
        from mlsssl._notebook.report_page import page

        for other in others:
            check_type(other, Audit, "a page is made of audits")
        return page([one.to_dict() for one in (self, *others)])

    def save(self, path: str | Path, *others: Audit, overwrite: bool = False) -> Path:
        """Write a file whole or not at all.

        Args:
            path: The suffix chooses what: `.html` or `.htm`, the page of `to_html`; `.json`, what `from_json` reads. A
                file that is there is replaced, unless it holds a private key.
            others: Audits of other machines, which come into the same file.
            overwrite: Replace a file also when the private key in it is lost by that.

        Returns:
            The path.

        Raises:
            ExistsError: a file with a private key is there, and `overwrite` is False.
            InvalidInputError: another suffix, something else than an audit, or a path that cannot be.
            NotFoundError: the folder is not there.
            AccessDeniedError: it may not be written.
            NativeError: it cannot be written for another reason, such as a full disk.
        """
        from mlsssl._machine.kept_keys import refuse_to_lose_a_key

        target = files.path_of(path)
        suffix = target.suffix.lower()
        if suffix not in (".html", ".htm", ".json"):
            raise InvalidInputError(f"an audit is saved as .html, .htm or .json, not {shown(suffix or 'none')}")
        audits = [check_type(one, Audit, "audits are saved") for one in (self, *others)]
        if not overwrite:
            refuse_to_lose_a_key(target, key=None, password=None)
        files.write(target, saved_pieces(suffix, (one.to_dict() for one in audits)), private=False)
        return target

    def _repr_pretty_(self, printer: Printer, cycle: bool) -> None:
        printer.text(str(self))

    def _repr_html_(self) -> str:
        from mlsssl._notebook.cards import (
            card,
            days_left,
            faint,
            finding_line,
            key_state,
            line,
            second_line,
            sign,
            strong,
            table,
            text,
        )

        rows = []
        for row in self.rows:
            names = text(", ".join(row.names))
            findings = [finding_line(finding.to_dict()) for finding in row.findings]
            rows.append(
                [
                    faint("not bound") if row.key is None else strong(row.key),
                    names + second_line(row.owner) if names else faint(row.owner or ""),
                    ("" if row.not_after is None else f"{days_left(row.not_after, row.renew_from, self.at)}<br>")
                    + key_state(row.private_key, "key: ")
                    + "".join(second_line(one) for one in row.key_access or ()),
                    "<br>".join(findings) or sign("ok", "nothing"),
                ]
            )
        heads = ("binding", "names and owner", "days left, private key", "findings")
        return card(
            f"audit of {text(self.machine)} · {sign('ok', 'no error') if self.ok else sign('over', 'errors')}",
            line(faint(f"at {self.at:%Y-%m-%d %H:%M} UTC")),
            table(heads, rows, empty="nothing is bound"),
            *self._reservation_tables(),
            *(line(faint(note)) for note in self.notes),
        )

    def _reservation_tables(self) -> list[str]:
        from mlsssl._notebook.cards import finding_line, sign, strong, table, text

        rows = [
            [
                strong(one.url),
                text(one.who),
                "<br>".join(finding_line(finding.to_dict()) for finding in one.findings) or sign("ok", "nothing"),
            ]
            for one in self.reservations
        ]
        return [table(("reserved URL", "who", "findings"), rows, empty="")] if rows else []

    def __str__(self) -> str:
        table = plain_table(self.to_rows(), self.columns)
        lines = [table if self.rows else f"nothing is bound on {self.machine}"]
        if self.reservations:
            lines += ["", plain_table([one.to_dict() for one in self.reservations], RESERVATION_COLUMNS)]
        return "\n".join([*lines, *(printable(f"note: {note}") for note in self.notes)])


_FAR = 4_000_000
"""More days than there are from the year 1 to 9999."""


def saved_pieces(suffix: str, audits: Iterable[dict[str, object]]) -> Iterator[bytes]:
    """What `Audit.save` writes into a file of this suffix, in pieces; each audit is let go before the next. Private."""
    if suffix == ".json":
        for number, one in enumerate(audits):
            yield f"{', ' if number else '['}{json.dumps(one)}".encode("ascii")
        yield b"]"
    else:
        from mlsssl._notebook.report_page import pieces

        for piece in pieces(audits):
            yield piece.encode("ascii")


def _audits_of(text: str | bytes) -> Iterator[Audit]:
    document = read_json(text)
    found = document if isinstance(document, list) else [document]
    if not found:
        raise MalformedDataError("there is no audit in this JSON text")
    for one in found:
        yield audit_of(one)


def audit_of(found: object) -> Audit:
    """The audit that these plain values are, as `Audit.to_dict` has them. Private.

    `MalformedDataError` when they are none. They are in memory already, so how many there are is not looked at.
    """
    if not isinstance(found, dict) or not {"machine", "at", "rows"} <= set(found):
        raise MalformedDataError("this is no audit: it has no machine, at and rows, as mlsssl audit --json writes them")
    where = "its first members"
    try:
        machine, at = text_in(found, "machine"), moment_in(found, "at")
        notes = tuple(list_in(found, "notes", str))
        if machine is None or at is None:
            raise ValueError("the machine or the moment is null")
        rows, reservations = [], []
        for number, one in enumerate(list_in(found, "rows", dict), start=1):
            where = f"row {number}"
            rows.append(_row_of(one))
        for number, one in enumerate(list_in(found, "reservations", dict), start=1):
            where = f"reservation {number}"
            reservations.append(_reservation_of(one))
    except (KeyError, ValueError, TypeError, OverflowError) as error:  # our own of wrong input are ValueErrors
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise MalformedDataError(f"this is no audit; {where}: {reason[:300]}") from None
    return Audit(machine=machine, at=at, rows=tuple(rows), notes=notes, reservations=tuple(reservations))


def _key_of(key: str, family: str | None) -> BindingKey:
    return recorded_key(key if family is None or key.startswith(f"{family}=") else f"{family}={key}")


def _row_of(found: dict[str, Any]) -> AuditRow:
    key, family = text_in(found, "key"), text_in(found, "family")
    app_id, thumbprint, renewed_by = (text_in(found, name) for name in ("app_id", "thumbprint", "renewed_by"))
    days = found.get("days_left")
    if days is not None and (isinstance(days, bool) or not isinstance(days, (int, float)) or not abs(days) < _FAR):
        raise ValueError(f"days_left is a number, not {shown(days)}")
    not_after = moment_in(found, "not_after")
    if (days is None) != (not_after is None):
        raise ValueError("days_left and not_after are there together or not at all")
    access = text_in(found, "key_access")
    return AuditRow(
        key=None if key is None else _key_of(key, family),
        app_id=None if app_id is None else uuid.UUID(app_id),
        owner=text_in(found, "owner"),
        thumbprint=None if thumbprint is None else Thumbprint(thumbprint),
        store=text_in(found, "store"),
        names=_parts(text_in(found, "names")),
        issuer=text_in(found, "issuer"),
        not_after=not_after,
        days_left=days,
        renew_from=moment_in(found, "renew_from"),
        key_type=text_in(found, "key_type"),
        private_key=text_in(found, "private_key"),
        key_access=None if access is None else _parts(access),
        renewed_by=None if renewed_by is None else Thumbprint(renewed_by),
        findings=tuple(map(_finding_of, list_in(found, "findings", dict))),
    )


def _reservation_of(found: dict[str, Any]) -> AuditReservation:
    return AuditReservation(
        url=UrlPrefix.as_stored(needed_text(found, "url")),
        sddl=needed_text(found, "sddl"),
        who=needed_text(found, "who"),
        findings=tuple(map(_finding_of, list_in(found, "findings", dict))),
    )


def _finding_of(found: dict[str, Any]) -> Finding:
    return Finding(
        code=needed_text(found, "code"),
        severity=Severity(needed_text(found, "severity")),
        where=needed_text(found, "where"),
        found=needed_text(found, "found"),
        expected=needed_text(found, "expected"),
        remedy=needed_text(found, "remedy"),
        standard=needed_text(found, "standard"),
        # As they come: a later version knows more clients.
        refused_by=tuple(list_in(found, "refused_by", str)),
        taken_by=tuple(list_in(found, "taken_by", str)),
    )


def _parts(joined: str | None) -> tuple[str, ...]:
    return tuple(joined.split(", ")) if joined else ()


def audit(
    *,
    machine: HasPort | None = None,
    at: dt.datetime | None = None,
    profile: str | Profile = "private",
    fraction: float = 2 / 3,
    jitter: float = 1 / 20,
    unbound: bool = False,
    listing: str | bytes | None = None,
    progress: Callable[[int], object] | None = None,
) -> Audit:
    """Look at every binding of a machine, its certificate, key and owner; nothing is changed.

    A change that a killed process left half-done is an error, `change-pending`: `recover` sees to it. Beside bindings
    it lists URL reservations, with a warning where everybody may listen, or where nothing is bound to the port of an
    https URL. That a binding needs a reservation cannot be known, for an administrator's service needs none; a notice
    says so only where another port is reserved and not bound.

    With `listing` no machine is looked at but what `netsh http show sslcert`, `netsh http show urlacl` or both printed
    on one: bindings that hide each other, owners, thumbprints and stores, and reservations with what is said of them on
    a machine. It says nothing of the certificates themselves, and `notes` says so.

    Args:
        machine: Which machine; this computer when not given.
        at: The moment to judge dates by, aware; now when not given.
        profile: Whose rules the certificates are checked by, as in `Certificate.check`. Trust is left out: it is
            the clients' question, but for a missing issuer, without which they find no way to any root. Revocation
            is looked up in the lists that the machine's stores hold.
        fraction: As in `Certificate.renewal_due`.
        jitter: As in `Certificate.renewal_due`.
        unbound: Also list the certificates with a private key, in MY and every store that a binding names, that
            nothing is bound to.
        listing: What netsh printed on another machine, as text or bytes, as `netsh.parse_listing` takes it: bindings,
            reservations, or one behind the other. `machine` and `unbound` have no meaning with it.
        progress: Called with the number of bindings looked at so far, after each; with a listing, which takes no time,
            not at all.

    Returns:
        The table; `audit.ok` is False when a finding is an error.

    Raises:
        InvalidInputError: a naive moment, an unknown profile, or a share out of its range; a machine or `unbound`
            together with a listing.
        MalformedDataError: the listing is none.
        NotFoundError: no machine is given, and this computer has no embedded machine where it would be.
        AccessDeniedError: this user may not look.
    """
    check_callable(progress, "progress is a function of the number of bindings so far")
    if listing is not None:
        if machine is not None or unbound:
            raise InvalidInputError("a listing is looked at in place of a machine: leave out machine and unbound")
        return _audit_listing(listing, check_moment(at).astimezone(dt.timezone.utc))
    port = existing_port_of(machine)
    records = port.bindings.all()
    neighbours = precedence.Neighbours(record.key for record in records)
    with ExitStack() as opened:

        @cache
        def store(name: str) -> StorePort | None:
            return opened.enter_context(stores.opened(port, name))

        authorities = Authorities(port, "LocalMachine", *(record.store for record in records), look=store)
        look = _Look(
            port=port,
            store=store,
            authorities=authorities if authorities.has_crls() else None,
            issuers=KnownIssuers(port, authorities),
            machine=machine,
            at=check_moment(at).astimezone(dt.timezone.utc),
            profile=profile,
            fraction=fraction,
            jitter=jitter,
        )
        rows = []
        for some in _pieces(records):
            for record, stored in zip(some, look.stored((one.store, one.thumbprint) for one in some), strict=True):
                rows.append(look.row_of_binding(record, stored, neighbours.of(record.key)))
                if progress is not None:
                    progress(len(rows))
        rows = look.with_pending(rows)
        if unbound:
            rows += look.rows_of_unbound(records)
    reserved, notes = _reserved_on(machine)
    rows, reservations = _with_reservations(reserved, rows)
    return Audit(machine=_name_of(port), at=look.at, rows=tuple(rows), notes=notes, reservations=reservations)


def _name_of(port: MachinePort) -> str:
    """What to call it beside others: `this computer` is what every Windows calls itself."""
    if not port.is_this_windows:
        return port.description
    import platform

    return platform.node() or port.description


# What Windows reserves for itself, and which ports it binds when the feature is set up: Windows Remote Management
# (KB 4494462), Secure Socket Tunneling (MS-SSTP 1.5), Web Services on Devices (5357 and 5358, IANA's wsdapi), and what
# .NET lets every program use (learn.microsoft.com, "Replace the WCF URL Reservation").
_WINDOWS_OWN = re.compile(
    r"https?://\+:(?:5985|5986|47001)/wsman/|https://\+:443/sra_\{ba195980-cd49-458b-9e23-c84ee0adcd75\}/|"
    r"https?://\*:535[78]/|http://\+:80/temporary_listen_addresses/"
)


def _reserved_on(machine: HasPort | None) -> tuple[list[UrlReservation], tuple[str, ...]]:
    """A machine's reservations, and a note when this user may not see them: bindings can be told of all the same."""
    from mlsssl.reservation import UrlReservation

    try:
        return UrlReservation.all(machine=machine), ()
    except UnsupportedError:
        return [], ()
    except AccessDeniedError as error:
        return [], (f"URL reservations could not be looked at: {error}",)


def _with_reservations(
    found: list[UrlReservation], rows: list[AuditRow], *, all_bindings: bool = True
) -> tuple[list[AuditRow], tuple[AuditReservation, ...]]:
    """The reservations with what is wrong with them, and the rows with what that says of bindings.

    Without `all_bindings` the rows say nothing of what is not bound.
    """
    from mlsssl.reservation import words_of

    bound = {row.key.port for row in rows if row.key is not None and row.app_id is not None}
    reserved, loose, listed = set(), [], []
    for one in found:
        findings, where = [], str(one.url)
        own = _WINDOWS_OWN.fullmatch(one.url.folded) is not None
        if one.is_for_anybody and not own:
            findings.append(machine_finding("reservation-for-anybody", where, words_of(one)))
        if one.url.scheme == "https":
            reserved.add(one.url.port)
            if all_bindings and one.url.port not in bound and not own:
                loose.append(one)
                findings.append(
                    machine_finding("reservation-unbound", where, f"nothing is bound to port {one.url.port}")
                )
        listed.append(AuditReservation(url=one.url, sddl=one.sddl, who=words_of(one), findings=_sorted(findings)))
    for number, row in enumerate(rows) if loose else ():
        if row.key is None or row.app_id is None or row.app_id in WELL_KNOWN_APPLICATION_IDS:
            continue
        if row.key.port not in reserved:
            text = (
                f"no https URL is reserved on port {row.key.port}, but {loose[0].url}, to whose port nothing is bound"
            )
            finding = machine_finding("binding-unreserved", str(row.key), text)
            rows[number] = replace(row, findings=_sorted([*row.findings, finding]))
    return rows, tuple(listed)


_FAMILIES = list(BindingFamily)
_MOST_PAIRS = 100_000  # a listing is foreign text
_NOT_IN_A_LISTING = (
    "a listing has no certificates, only their thumbprints: names, dates, issuers and private keys are not known, nor "
    "whether the certificates are in their stores"
)


_NO_BINDINGS = (
    "it has no bindings, which netsh http show sslcert prints, so it was not looked at whether something is bound to "
    "the ports of the reserved URLs"
)


def _read_listing(given: str | bytes) -> tuple[Listing, list[UrlReservation]]:
    """Bindings and reservations of what netsh printed: both lists one behind the other, or one of them."""
    from mlsssl._netsh.urlacl_listing import reservations_in
    from mlsssl.reservation import reservation_listed

    reserved = [reservation_listed(record) for record in reservations_in(given)]
    if reserved and not has_bindings(given):
        return Listing(records=(), notes=(_NO_BINDINGS,)), reserved
    return parse_listing(given), reserved


def _audit_listing(given: str | bytes, at: dt.datetime) -> Audit:
    """What can be said of bindings and reservations without the machine that they are on."""
    listing, reserved = _read_listing(given)
    records = sorted(listing.records, key=lambda one: (_FAMILIES.index(one.key.family), str(one.key)))
    rows = [_bare_row(record) for record in records]
    notes = [*listing.notes, *([_NOT_IN_A_LISTING] if rows else [])]
    neighbours = precedence.Neighbours(record.key for record in records)
    if neighbours.work() <= _MOST_PAIRS:
        rows = [
            replace(row, findings=_sorted([*preflight.about_precedence(record.key, neighbours.of(record.key))]))
            for row, record in zip(rows, records, strict=True)
        ]
    else:
        notes.append("it has so many bindings of one port that it was not looked at which of them hide each other")
    rows, reservations = _with_reservations(reserved, rows, all_bindings=bool(rows))
    return Audit(machine="the listing", at=at, rows=tuple(rows), notes=tuple(notes), reservations=reservations)


def _bare_row(record: BindingRecord) -> AuditRow:
    """What the record of a binding says itself."""
    return AuditRow(
        key=record.key,
        app_id=record.app_id,
        owner=WELL_KNOWN_APPLICATION_IDS.get(record.app_id) or f"{{{record.app_id}}}",
        thumbprint=record.thumbprint,
        store=record.store if record.thumbprint is not None else None,
    )


_PIECE = 250
"""Certificates that are held at once, with the stores of authorities gone through once for them all."""


def _pieces(whole: Sequence[T]) -> Iterator[Sequence[T]]:
    return (whole[start : start + _PIECE] for start in range(0, len(whole), _PIECE))


class _Stored(NamedTuple):
    """What a store has of a certificate, and the certificate, or why it cannot be read."""

    record: StoreRecord
    certificate: Certificate | MalformedDataError


@dataclass(frozen=True, kw_only=True)
class _Look:
    """The arguments of one audit, and the looking; `store` gives one that is open until the end."""

    port: MachinePort
    store: Callable[[str], StorePort | None]
    authorities: Authorities | None
    issuers: KnownIssuers
    machine: HasPort | None
    at: dt.datetime
    profile: str | Profile
    fraction: float
    jitter: float

    def row_of_binding(self, record: BindingRecord, stored: _Stored | None, others: list[BindingKey]) -> AuditRow:
        """The row of one binding."""
        findings = [*preflight.about_precedence(record.key, others)]
        if record.thumbprint is not None:
            findings += (
                machine_finding(one.cause.value, str(record.key), one.found, remedy=one.remedy)
                for one in binding_of(record, self.machine).diagnose()
            )
        return self._row(_bare_row(record), stored, findings)

    def with_pending(self, rows: list[AuditRow]) -> list[AuditRow]:
        """The rows with what is pending: a finding of its binding, or a row of its own where nothing is bound."""
        try:
            pending, running = recovery.left_over(self.port)
        except AccessDeniedError:
            return rows  # who may not look there could not see to it either
        rows = [*map(self._with_owed_steps, rows)]
        found: dict[str, Finding] = {}
        keyed: dict[str, BindingKey] = {}
        for one in pending:
            keys = {str(key): key for key in (() if one.change is None else one.change.keys)}
            keyed |= keys
            found |= dict.fromkeys(keys or [one.name], _about_pending(one, running))
        for number, row in enumerate(rows):
            finding = found.pop(str(row.key), None)
            if finding is not None:
                rows[number] = replace(row, findings=_sorted([*row.findings, finding]))
        return rows + [
            AuditRow(key=keyed.get(name), app_id=None, owner=None, thumbprint=None, store=None, findings=(finding,))
            for name, finding in found.items()
        ]

    def _with_owed_steps(self, row: AuditRow) -> AuditRow:
        """The row, with the finding that steps after the last change of its binding are still to be run."""
        change = self.owed.get(row.key)
        if change is None or change.after is None or change.after.thumbprint != row.thumbprint:
            return row
        what = f"after {change.title} the steps {', '.join(change.owed)} are still to be run, or are running now"
        finding = machine_finding("after-owed", str(row.key), what)
        return replace(row, findings=_sorted([*row.findings, finding]))

    @cached_property
    def owed(self) -> dict[BindingKey | None, Change]:
        """The last change of each key after which a step is still to be run."""
        return {change.key: change for change in ChangeRecords(self.port.state_folder).with_owed_steps()}

    def rows_of_unbound(self, records: list[BindingRecord]) -> Iterator[AuditRow]:
        """A row for each certificate with a key that no binding names."""
        there = {name.casefold(): name for name in self.port.store_names("LocalMachine")}
        wanted = {"my", *(record.store.casefold() for record in records)}
        bound = {record.thumbprint for record in records}
        for folded in sorted(wanted & set(there)):
            with Store.open(there[folded], machine=self.machine) as store:
                # Of each only when it ends, and which: a store may have a million.
                ends = [
                    (entry.certificate.not_after, entry.thumbprint)
                    for entry in store
                    if entry.key is not None and entry.thumbprint not in bound
                ]
            for some in _pieces(sorted(ends, key=itemgetter(0))):
                found = self.stored((store.name, thumbprint) for _, thumbprint in some)
                for (_, thumbprint), stored in zip(some, found, strict=True):
                    row = AuditRow(key=None, app_id=None, owner=None, thumbprint=thumbprint, store=store.name)
                    yield self._row(row, stored, [])

    def stored(self, wanted: Iterable[tuple[str, Thumbprint | None]]) -> list[_Stored | None]:
        """What is in these stores, with what stands above it read for all of them together."""
        found = [self._stored(name, thumbprint) for name, thumbprint in wanted]
        read = (one.certificate for one in found if one is not None)
        certificates = (one for one in read if isinstance(one, Certificate))
        # Nobody's issuer is missing to what is self-issued, but a revocation list may name it.
        self.issuers.expect(certificates, self_issued=self.authorities is not None)
        return found

    def _stored(self, name: str, thumbprint: Thumbprint | None) -> _Stored | None:
        store = None if thumbprint is None else self.store(name)
        record = None if store is None or thumbprint is None else store.find(thumbprint)
        if record is None:
            return None
        try:
            return _Stored(record, Certificate.from_der(record.certificate))
        except MalformedDataError as error:
            return _Stored(record, error)

    def _key_access(self, row: AuditRow, stored: StoreRecord) -> tuple[str, ...] | None:
        if row.store is None or row.thumbprint is None or stored.key is None or not stored.key.usable:
            return None
        try:
            store = self.store(row.store)
            listed = () if store is None else store.key_access(row.thumbprint)
        except MlssslError:  # who may not look could not see to it either
            return None
        return tuple(f"{one.name}: {one.right}" for one in listed if one.sid not in (SYSTEM.sid, ADMINISTRATORS.sid))

    def _row(self, row: AuditRow, held: _Stored | None, findings: list[Finding]) -> AuditRow:
        if held is None:
            return replace(row, findings=_sorted(findings))
        stored, certificate = held
        row = replace(
            row,
            private_key=key_words(stored.key) or "missing",
            renewed_by=stored.renewed_by,
            key_access=self._key_access(row, stored),
        )
        where = str(row.key or row.thumbprint)
        try:
            if isinstance(certificate, MalformedDataError):
                raise certificate
            names, key_type = certificate.hosts, certificate.key_type
        except MalformedDataError as error:
            findings.append(machine_finding("certificate-unreadable", where, str(error)))
            return replace(row, findings=_sorted(findings))
        host = None if row.key is None else preflight.host_of(row.key, None)
        findings += preflight.about_certificate(certificate, host, self.at, self.profile, self.authorities)
        renew_from = certificate.renewal_time(self.fraction, jitter=self.jitter)
        findings += about_issuers(certificate, self.issuers, self.at, self.profile, renew_from)
        late = None if row.key is None else about_late(where, certificate, renew_from, self.at)
        if late is not None:
            findings.append(late)
        if row.key is not None and stored.renewed_by is not None:
            found = f"it was renewed by {stored.renewed_by}, but is still bound"
            findings.append(machine_finding("superseded-bound", where, found))
        return replace(
            row,
            names=names or ((certificate.common_name,) if certificate.common_name else ()),
            issuer=certificate.issuer,
            not_after=certificate.not_after,
            days_left=round((certificate.not_after - self.at) / dt.timedelta(days=1), 2),
            renew_from=renew_from,
            key_type=key_type,
            findings=_sorted(findings),
        )


def _about_pending(pending: Pending, running: bool) -> Finding:
    left = f"{pending.title} has begun and not ended"
    if pending.error is not None:
        left += f": {pending.error}"
    if running:
        left += "; the machine is being changed right now, so it may just be running"
        remedy = "look again in a minute"
    else:
        remedy = f"recover(); if that cannot, recover(abandon={pending.name!r}) leaves the machine as it is"
    severity = Severity.NOTICE if running else Severity.ERROR
    return machine_finding("change-pending", pending.name, left, severity=severity, remedy=remedy)


def _sorted(findings: list[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda finding: finding.severity.rank))
