"""`UrlReservation`: who may listen on a URL of HTTP.sys without being administrator (`netsh http add urlacl`).

Beside it what else HTTP.sys is configured with for the whole machine: `IpListenList`, `HttpTimeouts`, `HttpLimits`.
"""

from __future__ import annotations

import contextlib
from dataclasses import KW_ONLY, dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from mlsssl._changes import recovery
from mlsssl._formats import sddl as access_lists
from mlsssl._formats.url_prefixes import UrlPrefix
from mlsssl._machine import accounts
from mlsssl._machine.ports import HttpNumber, ReservationRecord, listen_address
from mlsssl._messages.arguments import check_whole, items_of
from mlsssl._messages.foreign_text import shown
from mlsssl._messages.output import as_dict
from mlsssl._select.ports import HasPort, account_of, port_of
from mlsssl.errors import (
    InvalidInputError,
    MalformedDataError,
    MlssslError,
    ReservationNotFoundError,
    UnsupportedError,
)
from mlsssl.values import set_attributes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from typing_extensions import Self

    from mlsssl._machine.ports import HttpSettingsPort
    from mlsssl._notebook.cards import Printer

__all__ = ["HttpLimits", "HttpTimeouts", "IpListenList", "UrlGrant", "UrlPrefix", "UrlReservation", "UrlReservations"]

ANYBODY = frozenset({"S-1-1-0", "S-1-5-2", "S-1-5-4", "S-1-5-7", "S-1-5-11", "S-1-5-32-545", "S-1-5-32-546"})
"""Accounts that everybody on a computer belongs to, or anybody may: Everyone, NETWORK, INTERACTIVE, ANONYMOUS LOGON,
Authenticated Users, Users, Guests. Private."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlGrant:
    """What one entry of a reservation's access list allows.

    Attributes:
        account: The account's name on its machine; its SID where it has none there; for an alias that means another
            account on each computer (`LA`), the alias.
        sid: Its SID; None for such an alias.
        listen: Whether it may register URLs there.
        delegate: Whether it may reserve parts of it for others.
        denied: Whether the entry denies that, instead of allowing it.
    """

    account: str
    sid: str | None
    listen: bool
    delegate: bool
    denied: bool = False

    def __str__(self) -> str:
        rights = " and ".join(word for word, has in (("listen", self.listen), ("delegate", self.delegate)) if has)
        return f"{self.account} {'may not' if self.denied else 'may'} {rights or 'do nothing that HTTP.sys asks for'}"


@dataclass(frozen=True, slots=True, init=False)
class UrlReservation:
    r"""One URL reservation of HTTP.sys as a value; nothing happens until `add`, `update` or `remove`.

    Args:
        url: The prefix: `https://+:443/mls/`, as `UrlPrefix` reads it.
        user: Whom to allow: an account's name (`NT SERVICE\MLS`, `DOMAIN\user`, `NETWORK SERVICE`) or SID, or several.
        listen: Whether these may register URLs there: what a service needs that is not administrator.
        delegate: Whether these may reserve parts of it for others.
        sddl: The access list as SDDL text instead, handed on character by character; no `user` then. HTTP.sys keeps
            what it says, and may give it back in other words (`NS` for S-1-5-20).
        machine: Whose reservation; this computer's when not given. Its accounts are asked for names at once.

    Attributes:
        url: The prefix.
        sddl: The access list in SDDL.

    Raises:
        InvalidInputError: the prefix is none; neither or both of `user` and `sddl` are given; nothing would be allowed;
            or the SDDL is none.
        NotFoundError: no account has this name (1332).
        NativeError: Windows could not find out; a domain does not answer, say. A SID needs no look-up.
    """

    url: UrlPrefix
    sddl: str
    _machine: HasPort | None = field(repr=False, compare=False)
    _known: ReservationRecord | None = field(repr=False, compare=False)
    """The record that it was read or written as; the only one that `update` replaces. None for any."""
    _names: Mapping[str, str] = field(repr=False, compare=False)
    """SID to name, of the accounts that it was made of: a machine may know no way back."""

    def __init__(
        self,
        url: UrlPrefix | str,
        *,
        user: str | Sequence[str] | None = None,
        listen: bool = True,
        delegate: bool = False,
        sddl: str | None = None,
        machine: HasPort | None = None,
    ) -> None:
        prefix = url if isinstance(url, UrlPrefix) else UrlPrefix(url)
        text, names = access_list(user, listen, delegate, sddl, machine)
        _fill(self, ReservationRecord(url=prefix, sddl=text), machine, names=names)

    @property
    def record(self) -> ReservationRecord:
        """The plain record that crosses the seam."""
        return ReservationRecord(url=self.url, sddl=self.sddl)

    @property
    def grants(self) -> tuple[UrlGrant, ...]:
        """What the access list says, entry by entry; empty where it is empty, or no list that can be read.

        The machine is asked for the accounts' names.

        Raises:
            AccessDeniedError, MalformedDataError: the machine cannot be asked.
        """
        return tuple(self._grant(entry) for entry in self._entries)

    @property
    def is_for_anybody(self) -> bool:
        """Whether it lets an account listen that everybody is: Everyone, Users, Authenticated Users and the like."""
        return any(
            entry.listens and entry.kind.strip().upper() == "A" and entry.sid in ANYBODY for entry in self._entries
        )

    @property
    def is_plain(self) -> bool:
        """Whether the access list says no more than `user`, `listen` and `delegate` can, entry by entry."""
        entries = self._entries
        bare = self.sddl.strip().upper().startswith("D:(") and self.sddl.strip().endswith(")")
        return bool(entries) and bare and all(entry.is_plain for entry in entries)

    @property
    def _entries(self) -> tuple[access_lists.Entry, ...]:
        try:
            return access_lists.entries(self.sddl)
        except MalformedDataError:
            return ()

    def _grant(self, entry: access_lists.Entry) -> UrlGrant:
        sid = entry.sid
        return UrlGrant(
            account=entry.account.strip()
            if sid is None
            else self._names.get(sid) or account_of(self._machine, sid).name,
            sid=sid,
            listen=entry.listens,
            delegate=entry.delegates,
            denied=entry.kind.strip().upper() != "A",
        )

    # -- reading ------------------------------------------------------------------------------------------------

    @classmethod
    def get(cls, url: UrlPrefix | str, *, machine: HasPort | None = None) -> UrlReservation:
        """The reservation of this prefix, in whatever case and spelling another program wrote it.

        Args:
            url: The prefix, `https://+:443/mls/` say.
            machine: Which machine; this computer when not given.

        Raises:
            ReservationNotFoundError: it is not reserved; the message lists what is reserved on the same port.
            InvalidInputError: the prefix is none, nor the text of a stored one.
        """
        found = cls.find(url, machine=machine)
        if found is None:
            wanted = prefix_of(url, machine)
            near = [str(one.url) for one in cls.all(machine=machine) if one.url.port == wanted.port]
            hint = f"; reserved on that port: {', '.join(near)}" if near else "; nothing is reserved on that port"
            raise ReservationNotFoundError(f"{wanted} is not reserved{hint}")
        return found

    @classmethod
    def find(cls, url: UrlPrefix | str, *, machine: HasPort | None = None) -> UrlReservation | None:
        """The reservation of this prefix, or None; arguments and `InvalidInputError` as `get`."""
        record = port_of(machine).reservations.find(prefix_of(url, machine))
        return None if record is None else reservation_of(record, machine)

    @classmethod
    def all(cls, *, machine: HasPort | None = None) -> list[UrlReservation]:
        """Every reservation of the machine, sorted by prefix; Windows brings some of its own."""
        return [reservation_of(record, machine) for record in port_of(machine).reservations.all()]

    # -- changing -----------------------------------------------------------------------------------------------

    def add(self) -> UrlReservation:
        """Write it (`netsh http add urlacl`); returns itself.

        As every change here it waits for others of this machine, and clears up what a killed one left.

        Raises:
            ReservationExistsError: the prefix is reserved already (183): `update` replaces it.
            AccessDeniedError: not administrator (5).
            InvalidInputError: the machine takes the access list for none.
            NativeError: HTTP.sys refuses it for another reason (87).
            BindingError: somebody else has been changing this machine for a minute; or an earlier change of this
                reservation is pending and can be neither finished nor taken back.
        """
        recovery.add_reservation(port_of(self._machine), self.record)
        set_attributes(self, _known=self.record)
        return self

    def update(self) -> UrlReservation:
        """Replace the access list of this prefix; returns itself.

        HTTP.sys has no update for reservations, so the old one is deleted and this one set: when that fails the old
        one is put back, and when the process is killed in between, `mlsssl recover` or the next change does it. One
        that was read (`get`, `find`, `all`) and changed (`with_sddl`, `with_user`) replaces only what it was read as.

        Raises:
            ReservationNotFoundError: the prefix is not reserved (2): `add` does it.
            ReservationError: it was changed since it was read; or it failed, and the old one could not be put back.
            AccessDeniedError, InvalidInputError, NativeError, BindingError: as `add`.
        """
        recovery.replace_reservation(port_of(self._machine), self.record, expected=self._known)
        set_attributes(self, _known=None)
        return self

    def remove(self) -> None:
        """Delete it (`netsh http delete urlacl`).

        Raises:
            ReservationNotFoundError: the prefix is not reserved (2).
            AccessDeniedError, BindingError: as `add`.
        """
        recovery.remove_reservation(port_of(self._machine), self.url)

    def with_sddl(self, sddl: str) -> UrlReservation:
        """The same prefix with the access list `sddl`, in SDDL; `InvalidInputError` when the text is none."""
        return self._changed(*access_list(None, True, False, sddl, self._machine))

    def with_user(self, user: str | Sequence[str], *, listen: bool = True, delegate: bool = False) -> UrlReservation:
        """The same prefix for these accounts alone; arguments and errors as `UrlReservation`."""
        return self._changed(*access_list(user, listen, delegate, None, self._machine))

    def _changed(self, sddl: str, names: Mapping[str, str]) -> UrlReservation:
        made, record = UrlReservation.__new__(UrlReservation), ReservationRecord(url=self.url, sddl=sddl)
        return _fill(made, record, self._machine, known=self._known, names=names)

    def _repr_html_(self) -> str:
        from mlsssl._notebook.cards import card, code, facts, text

        who = "<br>".join(text(one) for one in self.grants) or text(words_of(self))
        return card(f"URL reservation {text(self.url)}", facts([("who", who), ("SDDL", code(self.sddl))]))

    def __repr__(self) -> str:
        return f"UrlReservation({str(self.url)!r}, sddl={self.sddl!r})"

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON."""
        return {
            "url": self.url.written,
            "sddl": self.sddl,
            "grants": [as_dict(grant) for grant in self.grants],
        }


class UrlReservations:
    """The URL reservations of one machine, by prefix: `machine.reservations["https://+:443/mls/"]`."""

    def __init__(self, machine: HasPort | None) -> None:
        self._machine = machine

    def __getitem__(self, url: UrlPrefix | str) -> UrlReservation:
        return UrlReservation.get(url, machine=self._machine)

    def __contains__(self, url: object) -> bool:
        if not isinstance(url, (str, UrlPrefix)):
            return False
        try:
            return UrlReservation.find(url, machine=self._machine) is not None
        except InvalidInputError:  # what is no prefix is reserved nowhere
            return False

    def __iter__(self) -> Iterator[UrlReservation]:
        return iter(UrlReservation.all(machine=self._machine))

    def __len__(self) -> int:
        return len(UrlReservation.all(machine=self._machine))

    def find(self, url: UrlPrefix | str) -> UrlReservation | None:
        """As `UrlReservation.find`."""
        return UrlReservation.find(url, machine=self._machine)

    def add(
        self,
        url: UrlPrefix | str,
        *,
        user: str | Sequence[str] | None = None,
        listen: bool = True,
        delegate: bool = False,
        sddl: str | None = None,
    ) -> UrlReservation:
        """`UrlReservation(url, …).add()` on this machine; arguments as `UrlReservation`, errors as its `add`."""
        made = UrlReservation(url, user=user, listen=listen, delegate=delegate, sddl=sddl, machine=self._machine)
        return made.add()

    def _repr_pretty_(self, printer: Printer, cycle: bool) -> None:
        printer.text("\n".join([f"{len(self)} reservations", *(f"  {one.url}  {words_of(one)}" for one in self)]))

    def _repr_html_(self) -> str:
        from mlsssl._notebook.cards import listing, strong, text

        title = f"URL reservations of {port_of(self._machine).description}"
        rows = [[strong(one.url), text(words_of(one))] for one in self]
        return listing(title, "reservation", ("prefix", "who"), rows, empty="nothing is reserved")

    def __repr__(self) -> str:
        return f"<UrlReservations: {', '.join(str(one.url) for one in self) or 'none'}>"


def words_of(reservation: UrlReservation) -> str:
    """The access list in words, for people; the SDDL itself where it is none that can be read. Private."""
    return "; ".join(map(str, reservation.grants)) or f"nobody but administrators ({reservation.sddl or 'no list'})"


def prefix_of(url: UrlPrefix | str, machine: HasPort | None) -> UrlPrefix:
    """`UrlPrefix`, which also knows the text of one that another program reserved in a form of its own. Private."""
    if isinstance(url, UrlPrefix):
        return url
    try:
        return UrlPrefix(url)
    except InvalidInputError:
        if isinstance(url, str):
            try:
                known = [record.url for record in port_of(machine).reservations.all()]
            except MlssslError:  # of the two errors the first is the one to tell
                known = []
            found = next((one for one in known if url.strip() == one.written), None)
            if found is not None:
                return found
        raise


def reservation_of(record: ReservationRecord, machine: HasPort | None) -> UrlReservation:
    """The noun around a record that the machine has. Private."""
    return _fill(UrlReservation.__new__(UrlReservation), record, machine, known=record)


def reservation_listed(record: ReservationRecord) -> UrlReservation:
    """The noun around a record of some machine's listing: no machine is asked for names. Private."""
    names = {}
    with contextlib.suppress(MalformedDataError):
        for entry in access_lists.entries(record.sddl):
            if entry.sid is not None:
                account = accounts.known(entry.sid)
                names[entry.sid] = entry.sid if account is None else account.name
    return _fill(UrlReservation.__new__(UrlReservation), record, None, known=record, names=names)


def _fill(
    made: UrlReservation,
    record: ReservationRecord,
    machine: HasPort | None,
    *,
    known: ReservationRecord | None = None,
    names: Mapping[str, str] | None = None,
) -> UrlReservation:
    return set_attributes(made, url=record.url, sddl=record.sddl, _machine=machine, _known=known, _names=names or {})


def access_list(
    user: str | Sequence[str] | None, listen: bool, delegate: bool, sddl: str | None, machine: HasPort | None
) -> tuple[str, dict[str, str]]:
    """The SDDL that was given, looked at, or made of accounts and rights, and these accounts' names by SID. Private.

    Errors as `UrlReservation`.
    """
    if (user is None) == (sddl is None):
        both = "not both" if user is not None else "one of them"
        raise InvalidInputError(f"a reservation is for user=, or has an access list as sddl=: {both}")
    if sddl is not None:
        if not isinstance(sddl, str):
            raise InvalidInputError(f"sddl is text such as 'D:(A;;GX;;;S-1-5-20)', not {shown(sddl)}")
        if listen is not True or delegate is not False:
            raise InvalidInputError("an access list says itself who may listen and delegate: leave these out")
        try:
            access_lists.entries(sddl)
        except MalformedDataError as error:
            raise InvalidInputError(str(error)) from None
        return sddl, {}
    if not isinstance(listen, bool) or not isinstance(delegate, bool) or not (listen or delegate):
        raise InvalidInputError("listen and delegate are True or False, one of them True: else nothing is allowed")
    expected = "user is an account's name or SID, or a list of them"
    users = [user] if isinstance(user, str) else list(items_of(user or (), expected))
    if not users:
        raise InvalidInputError(f"{expected}; none is given")
    found = {account.sid: account.name for account in (account_of(machine, one) for one in users)}
    return access_lists.write([(sid, listen, delegate) for sid in found]), found


# -- the listen list and the numbers ------------------------------------------------------------------------------


class IpListenList:
    """The addresses that HTTP.sys listens on (`netsh http show iplisten`): every address of the machine when empty.

    Microsoft does not say when a change takes effect; a restart of the computer makes sure. With a list that is not
    empty, IIS and WinRM listen on no other addresses either. A container: `"10.0.0.5" in IpListenList()`, `len`,
    iteration over addresses as text.

    Args:
        machine: Whose; this computer's when not given.
    """

    def __init__(self, *, machine: HasPort | None = None) -> None:
        self._machine = machine

    def __iter__(self) -> Iterator[str]:
        return iter(port_of(self._machine).http_settings.listen_addresses())

    def __len__(self) -> int:
        return len(port_of(self._machine).http_settings.listen_addresses())

    def __contains__(self, address: object) -> bool:
        try:
            return listen_address(address) in list(self)
        except InvalidInputError:  # what is no address is in no list
            return False

    def add(self, address: str) -> None:
        """Add an address: IPv4 or IPv6, `0.0.0.0` and `::` for every one of a kind.

        Raises:
            InvalidInputError: it is none, or has a port or a scope.
            ExistsError: it is there already (183).
            AccessDeniedError: not administrator (5).
        """
        address, port = listen_address(address), port_of(self._machine)
        with recovery.changing(port):
            port.http_settings.add_listen_address(address)

    def remove(self, address: str) -> None:
        """Remove an address. `NotFoundError`: it is not there (2). Other errors as `add`."""
        address, port = listen_address(address), port_of(self._machine)
        with recovery.changing(port):
            port.http_settings.remove_listen_address(address)

    def __repr__(self) -> str:
        return f"<IpListenList: {', '.join(self) or 'every address'}>"


class _Numbers:
    """What the two classes below have in common: fields that are numbers of HTTP.sys, None where it has its own."""

    _NUMBERS: ClassVar[dict[str, HttpNumber]]

    @classmethod
    def get(cls, *, machine: HasPort | None = None) -> Self:
        """What the machine is configured with; None too for what this Windows does not know."""
        settings, found = port_of(machine).http_settings, {}
        for name, which in cls._NUMBERS.items():
            value = _number(settings, which)
            found[name] = None if value is None else cls._shown(value)
        return cls(**found)

    def set(self, *, machine: HasPort | None = None) -> Self:
        """Configure the machine so, field by field: None makes HTTP.sys go by its own number again.

        After an error what was changed before it has been put back.

        Raises:
            AccessDeniedError: not administrator (5).
            UnsupportedError: this Windows does not know one that is not None.
            BindingError: somebody else has been changing this machine for a minute.
        """
        port = port_of(machine)
        with recovery.changing(port):
            settings = port.http_settings
            before = {which: _number(settings, which) for which in self._NUMBERS.values()}
            done: list[HttpNumber] = []
            try:
                for name, which in self._NUMBERS.items():
                    value = getattr(self, name)
                    done.append(which)
                    _put_number(settings, which, before[which], None if value is None else self._kept(value))
            except recovery.FAILURES:
                for which in reversed(done):
                    with contextlib.suppress(MlssslError):  # the first error says more
                        _put_number(settings, which, _number(settings, which), before[which])
                raise
        return self

    @staticmethod
    def _shown(value: int) -> object:
        return value

    @staticmethod
    def _kept(value: object) -> int:
        assert isinstance(value, int)
        return value

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON, in the units that HTTP.sys keeps; None where it goes by its own number."""
        values = {name: getattr(self, name) for name in self._NUMBERS}
        return {name: None if value is None else self._kept(value) for name, value in values.items()}


def _number(settings: HttpSettingsPort, which: HttpNumber) -> int | None:
    try:
        return settings.number(which)
    except UnsupportedError:
        return None


def _put_number(settings: HttpSettingsPort, which: HttpNumber, before: int | None, after: int | None) -> None:
    if after == before:
        return
    if after is None:
        settings.reset_number(which)
    else:
        settings.set_number(which, after)


@dataclass(frozen=True, slots=True)
class HttpTimeouts(_Numbers):
    """The time-outs of HTTP.sys for the whole machine (`netsh http show timeout`).

    Attributes:
        idle_connection: How long a connection may be idle; 1 to 65535 whole seconds. None: HTTP.sys' own, which
            Microsoft gives as 120 seconds.
        header_wait: How long the header of a request may take to come; likewise.

    Raises:
        InvalidInputError: a time that is none of these.
    """

    _: KW_ONLY
    idle_connection: timedelta | None = None
    header_wait: timedelta | None = None
    _NUMBERS: ClassVar[dict[str, HttpNumber]] = {
        "idle_connection": HttpNumber.IDLE_CONNECTION_SECONDS,
        "header_wait": HttpNumber.HEADER_WAIT_SECONDS,
    }

    def __post_init__(self) -> None:
        for name in self._NUMBERS:
            value = getattr(self, name)
            second = timedelta(seconds=1)
            if value is None:
                continue
            if not isinstance(value, timedelta) or value % second or not 1 <= value // second <= 0xFFFF:
                raise InvalidInputError(
                    f"{name} is a timedelta of 1 to 65535 whole seconds or None, not {shown(value)}"
                )

    @staticmethod
    def _shown(value: int) -> timedelta:
        return timedelta(seconds=value)

    @staticmethod
    def _kept(value: object) -> int:
        assert isinstance(value, timedelta)
        return value // timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class HttpLimits(_Numbers):
    """The cache parameters and the TLS throttle of HTTP.sys (`netsh http show cacheparam`, `show setting`).

    Attributes:
        max_cache_response_size: The largest response that it caches, in bytes, 0 to 2³²-1; None: its own.
        cache_range_chunk_size: The size of the parts in which it caches ranges, likewise.
        tls_throttle: HttpTlsThrottle (netsh: `sslthrottle`), 0 to 2³²-1, whose unit Microsoft does not document.

    Raises:
        InvalidInputError: a number that is none of these.
    """

    _: KW_ONLY
    max_cache_response_size: int | None = None
    cache_range_chunk_size: int | None = None
    tls_throttle: int | None = None
    _NUMBERS: ClassVar[dict[str, HttpNumber]] = {
        "max_cache_response_size": HttpNumber.MAX_CACHE_RESPONSE_BYTES,
        "cache_range_chunk_size": HttpNumber.CACHE_RANGE_CHUNK_BYTES,
        "tls_throttle": HttpNumber.TLS_THROTTLE,
    }

    def __post_init__(self) -> None:
        for name, which in self._NUMBERS.items():
            value = getattr(self, name)
            if value is not None:
                check_whole(value, which.least, which.most, f"{name} is a whole number from 0 to {which.most}, or None")
