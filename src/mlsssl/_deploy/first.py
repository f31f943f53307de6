"""`deploy` from an issuer: a certificate for these names is asked for when what is bound is not one that will do."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mlsssl._changes import recovery
from mlsssl._deploy.carry_out import carry_out
from mlsssl._deploy.due import due_at
from mlsssl._deploy.plan import only_plan
from mlsssl._deploy.preflight import host_of, lost_names
from mlsssl._deploy.prepare import kept_by
from mlsssl._deploy.request import checked
from mlsssl._formats.hosts import name_text, parse_name
from mlsssl._issue import lifetimes
from mlsssl._issue.keys import check_key_type
from mlsssl._machine import stores
from mlsssl._messages.arguments import check_type, items_of
from mlsssl._select.ports import port_of
from mlsssl.authority import CertificateAuthority
from mlsssl.binding import bound_key
from mlsssl.certificate import Certificate
from mlsssl.errors import BindingError, InvalidInputError, MalformedDataError
from mlsssl.values import check_moment

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mlsssl._deploy.apply import Outcome
    from mlsssl._deploy.obtain import Asking
    from mlsssl._deploy.plan import Plan
    from mlsssl._deploy.request import Request
    from mlsssl._machine.ports import BindingRecord
    from mlsssl.issuers import Issuer
    from mlsssl.values import KeyType

_EXPECTED = "with an issuer, host is the name or the list of names that the certificate is for"


class FirstCertificate:
    """A deployment of what an issuer gives, by the arguments of `deploy`.

    Raises:
        InvalidInputError: no name, or an argument that cannot be.
    """

    def __init__(self, issuer: Issuer, arguments: Mapping[str, Any]) -> None:
        self._issuer = issuer
        self._machine = arguments["machine"]
        self._port = port_of(self._machine)
        self._key = bound_key(arguments["key"], self._machine)
        self._at = None if arguments["at"] is None else check_moment(arguments["at"])
        host = host_of(self._key, None) if arguments["host"] is None else arguments["host"]
        hosts = [] if host is None else [host] if isinstance(host, str) else [*items_of(host, _EXPECTED)]
        if not hosts:
            raise InvalidInputError(f"{_EXPECTED}: host='www.example.com', since {self._key} names none")
        self._hosts = tuple(check_type(one, str, _EXPECTED) for one in hosts)
        wanted = arguments["key_type"]
        self._key_type: KeyType | None = None if wanted is None else check_key_type(wanted)
        others = ("self", "certificate", "host", "key_type", "trail")
        self._arguments = {name: value for name, value in arguments.items() if name not in others}
        first_names(self._hosts)
        self._request(None)  # what cannot be is refused before anybody is asked

    def deploy(self, *, planned: Planned | None = None) -> Outcome:
        """Do it; with `planned` only if that is still what is bound."""
        with recovery.changing(self._port, self._key):  # what a killed change left is no state to read
            record, current = self._look()
        if planned is not None and record != planned.record:
            raise BindingError(f"{self._key} was changed since this plan was made; plan again")
        if record is not None and current is not None and self._will_do(current):
            return carry_out(self._as_is(record))
        if isinstance(self._issuer, CertificateAuthority):
            return carry_out(self._request(self._issued(self._issuer)))
        kept = None if record is None else kept_by(self._request(None), record)
        if record is not None and kept is not None:
            outcome = carry_out(replace(self._as_is(record), options=None, app_id=None, friendly_name=None))
            return replace(outcome, findings=(*outcome.findings, kept))
        with self._asking(self._issuer, record, current).certificate() as new:
            return carry_out(self._request(new))

    def plan(self) -> Plan:
        """Say what would be done; nothing is ordered."""
        recovery.refuse_pending(self._port, self._key)
        record, current = self._look()
        if record is not None and current is not None and self._will_do(current):
            return only_plan(self._as_is(record))
        if isinstance(self._issuer, CertificateAuthority):
            return only_plan(self._request(self._issued(self._issuer)))
        asking = self._asking(self._issuer, record, current)
        return asking.plan(self._request, lambda: self.deploy(planned=Planned(record)))

    def _look(self) -> tuple[BindingRecord | None, Certificate | None]:
        """What is bound, and its certificate if that is in the store, with its key, that the new one goes into."""
        record = self._port.bindings.find(self._key)
        if record is None or record.thumbprint is None:
            return record, None
        wanted = self._arguments["store"]
        if wanted is not None and wanted.casefold() != record.store.casefold():
            return record, None
        found = stores.certificate(self._port, record.store, record.thumbprint)
        if found is None or found.key is None or not found.key.usable:
            return record, None
        try:
            return record, Certificate.from_der(found.certificate)
        except MalformedDataError:
            return record, None

    def _will_do(self, current: Certificate) -> bool:
        """Whether it is the issuer's own, is for these names, and is not due."""
        try:
            own = self._issuer.issued(current) and not lost_names(current.hosts, first_names(self._hosts))
        except MalformedDataError:
            return False
        return own and (self._at or dt.datetime.now(dt.timezone.utc)) < due_at(current, self._issuer)

    def _issued(self, authority: CertificateAuthority) -> Certificate:
        with lifetimes.noted():  # the finding `authority-ending` says it
            return authority.issue(*self._hosts, key=self._key_type, at=self._at)

    def _asking(self, issuer: Issuer, record: BindingRecord | None, current: Certificate | None) -> Asking:
        from mlsssl._deploy.obtain import Asking, Target, Wanted  # only who has such an issuer needs it

        return Asking(
            port=self._port,
            target=Target(
                key=self._key if record is None else record.key,
                store=self._arguments["store"] or "MY",
                older=None if record is None else record.thumbprint,
                renewal=False,
            ),
            wanted=Wanted(
                hosts=first_names(self._hosts),
                key_type=self._key_type or "rsa-2048",
                exportable=bool(self._arguments["exportable"]),
                provider=self._arguments["provider"],
            ),
            issuer=issuer,
            old=current if current is not None and issuer.issued(current) else None,
            at=self._at,
        )

    def _request(self, new: Certificate | None) -> Request:
        given = {**self._arguments, "certificate": new, "host": self._hosts[0]}
        return checked(given, to_be_issued=new is None)

    def _as_is(self, record: BindingRecord) -> Request:
        """The deployment of what is bound already: its certificate stays, whatever else is asked for may change."""
        given = {"certificate": record.thumbprint, "store": record.store, "host": self._hosts[0]}
        return checked({**self._arguments, **given})


@dataclass(frozen=True, slots=True)
class Planned:
    """The binding that a plan was made for."""

    record: BindingRecord | None


def first_names(hosts: Iterable[str]) -> tuple[str, ...]:
    """These names as a certificate has them, each once. `InvalidInputError` for one that cannot be."""
    return tuple(dict.fromkeys(name_text(parse_name(host)) for host in hosts))
