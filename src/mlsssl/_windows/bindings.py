"""HTTP.sys bindings: `BindingsPort` over httpapi.dll.

Every operation stands between one HttpInitialize and one HttpTerminate. Records are copied out of the buffer of
their query before it is given back. Structures and codes:
learn.microsoft.com/windows/win32/http/http-server-api-version-1-0-reference; what its pages leave open is said where
it matters.
"""

from __future__ import annotations

import secrets
import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from mlsssl._formats.binding_keys import BindingFamily, BindingKey, CcsPort, HostnamePort, IpPort, ScopedCcs
from mlsssl._machine.diagnosis import about_ctl
from mlsssl._machine.ports import refuse_ccs_options, sort_key
from mlsssl._messages.foreign_text import clean_logger
from mlsssl._native.cdata import NULL, exports, ffi
from mlsssl._native.codes import native_error
from mlsssl._windows import binding_records as codec
from mlsssl._windows.failures import binding_failure
from mlsssl._windows.http_calls import (
    DELETE,
    FILE_NOT_FOUND,
    INSUFFICIENT_BUFFER,
    INVALID_PARAMETER,
    MOST_RECORDS,
    NO_MORE_ITEMS,
    NO_SUCH_LOGON_SESSION,
    NOT_SUPPORTED,
    QUERY,
    QUERY_EXACT,
    QUERY_NEXT,
    SET,
    UPDATE,
    query_record,
    session,
)
from mlsssl.errors import (
    BindingExistsError,
    MalformedDataError,
    MlssslError,
    UnsupportedError,
    UnusableCertificateError,
)

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterator, Sequence

    from mlsssl._machine.ports import BindingRecord, Diagnosis
    from mlsssl._native.cdata import CData
    from mlsssl._windows.dlls import HttpApi, HttpDlls
    from mlsssl.values import Thumbprint

    Diagnose = Callable[[Thumbprint, str], tuple[Diagnosis, ...]]
    """Why HTTP.sys could not use the certificate of this thumbprint in this LocalMachine store."""
    Write = Callable[[CData, int, CData, int, CData], int]
    """HttpSetServiceConfiguration or HttpUpdateServiceConfiguration."""

RETRY_DELAYS = (0.3, 0.7, 1.5, 3.0, 5.0)
"""Seconds between attempts at a Set or Update that was answered 87 although nothing is wrong with it.

For some seconds after a CNG key was installed HTTP.sys answers so; seen on Server 2019 to 2025 by the makers of
tokentimer, whose agent retries in like steps.
"""

TRIAL_APPLICATION = uuid.UUID("6f0f3c5e-0d5b-4a53-9d0c-7a1c2f9be2d4")
"""The owner of a record that only tries a certificate out; what it owns outside of a `try_out` a kill has left."""

_TRIAL_PORTS = range(1023, 0, -1)
# From above: IANA lists TCP 1023 as reserved, 1022 and 1021 as for experiments (RFC 4727), and assigns no service to
# the ten below.


class WindowsBindings:
    """The TLS records of this Windows' HTTP.sys (`BindingsPort`).

    Args:
        dlls: The DLLs.
        diagnose: Asked when HTTP.sys refuses a certificate.
        retry_delays: As `RETRY_DELAYS`.
        sleep: Waits that long; `time.sleep` when not given.
    """

    def __init__(
        self,
        dlls: HttpDlls,
        diagnose: Diagnose,
        *,
        retry_delays: Sequence[float] = RETRY_DELAYS,
        sleep: Callable[[float], None] | None = None,
    ) -> None:
        self._dlls = dlls
        self._diagnose = diagnose
        self._retry_delays = tuple(retry_delays)
        self._sleep = sleep or time.sleep  # looked up now, so that tests can replace it
        self._supported: dict[BindingFamily, bool] = {}

    @property
    def atomic_update(self) -> bool:
        """Whether HttpUpdateServiceConfiguration is exported: Windows 10 1703 and Server 2019 on."""
        return exports(self._dlls.httpapi, "HttpUpdateServiceConfiguration")

    def supports(self, family: BindingFamily) -> bool:
        """Whether this Windows knows the family: asked of HTTP.sys once, not guessed from a version."""
        with session(self._dlls) as api:
            return self._knows(api, family)

    def find(self, key: BindingKey) -> BindingRecord | None:
        """The record, or None. `MalformedDataError` when it holds what no record of ours can."""
        family = codec.FAMILIES[key.family]
        with session(self._dlls) as api:
            self._require(api, key)
            query, _owners = codec.encode_query(key)
            query.QueryDesc = QUERY_EXACT
            code, buffer = query_record(api, family, query)
            if code == FILE_NOT_FOUND:
                return self._in_another_spelling(api, key)
            if code:
                raise binding_failure(QUERY, code, key)
            return codec.decode(buffer, family)

    def all(self) -> list[BindingRecord]:
        """Every record, family by family, sorted by key.

        Not a snapshot: what others add or remove meanwhile may be missed. A record that `BindingRecord` cannot
        hold is left out, and the log `mlsssl` says so.
        """
        records: list[BindingRecord] = []
        with session(self._dlls) as api:
            for name in BindingFamily:
                if self._knows(api, name):
                    found = {sort_key(record.key): record for record in _enumerate(api, codec.FAMILIES[name])}
                    records += [found[key] for key in sorted(found)]
        return records

    def add(self, record: BindingRecord, *, retry: bool = True) -> None:
        """HttpSetServiceConfiguration: a record for a key that has none, in no spelling of its host."""
        with session(self._dlls) as api:
            self._require(api, record.key)
            if self._in_another_spelling(api, record.key) is not None:
                raise BindingExistsError(
                    f"{record.key} is bound already, in another spelling of its host: update it, or remove it first"
                )
            self._write(api, SET, api.HttpSetServiceConfiguration, record, retry=retry)

    def try_out(self, record: BindingRecord) -> None:
        """HttpSetServiceConfiguration and HttpDelete… under a key of the same family that answers no client.

        There is no call that only asks. The trial key has a port for which no record is, so that HTTP.sys has served
        no TLS there; and its address is one of 127.0.0.0/8, which is reached from this computer only, its host name
        one that no name server knows (`.invalid`, RFC 6761). A record by itself opens no port: that takes a program
        that registers a URL there.
        """
        trial = replace(record, key=_trial_key(record.key, self.all()), app_id=TRIAL_APPLICATION)
        with session(self._dlls) as api:
            self._write(api, SET, api.HttpSetServiceConfiguration, trial, wanted=record)
            self._delete_trial(api, trial.key)

    def recover(self) -> list[str]:
        """Remove what a `try_out` left that was killed; a line for each record."""
        left = [record.key for record in self.all() if record.app_id == TRIAL_APPLICATION]
        if left:
            with session(self._dlls) as api:
                for key in left:
                    self._delete_trial(api, key)
        return [f"removed the record of {key}, which only tried a certificate out" for key in left]

    def _delete_trial(self, api: HttpApi, key: BindingKey) -> None:
        code = _delete(api, key)
        if code not in (0, FILE_NOT_FOUND):  # another process' recovery may have been faster
            raise binding_failure(DELETE, code, key)

    def update(self, record: BindingRecord) -> None:
        """HttpUpdateServiceConfiguration: the whole record, at once, under the key as HTTP.sys has it."""
        if not self.atomic_update:
            raise UnsupportedError(
                f"this Windows has no {UPDATE} (Server 2016 and older): remove the binding and add it again"
            )
        with session(self._dlls) as api:
            record = replace(record, key=self._as_stored(api, record.key))
            self._write(api, UPDATE, api.HttpUpdateServiceConfiguration, record)

    def remove(self, key: BindingKey) -> None:
        """HttpDeleteServiceConfiguration."""
        with session(self._dlls) as api:
            if code := _delete(api, self._as_stored(api, key)):
                raise binding_failure(DELETE, code, key)

    def _knows(self, api: HttpApi, name: BindingFamily) -> bool:
        if name not in self._supported:
            family = codec.FAMILIES[name]
            query = ffi.new(f"{family.query_type} *", {"QueryDesc": QUERY_NEXT})
            needed = ffi.new("ULONG *")
            code = api.HttpQueryServiceConfiguration(
                NULL, family.config_id, query, ffi.sizeof(family.query_type), NULL, 0, needed, NULL
            )
            if code not in (0, INSUFFICIENT_BUFFER, NO_MORE_ITEMS, INVALID_PARAMETER, NOT_SUPPORTED):
                raise binding_failure(QUERY, code)
            self._supported[name] = code not in (INVALID_PARAMETER, NOT_SUPPORTED)
        return self._supported[name]

    def _require(self, api: HttpApi, key: BindingKey) -> None:
        if not self._knows(api, key.family):
            raise UnsupportedError(f"this Windows has no {key.family.value} bindings, so none for {key}")

    def _write(
        self,
        api: HttpApi,
        function: str,
        call: Write,
        record: BindingRecord,
        *,
        retry: bool = True,
        wanted: BindingRecord | None = None,
    ) -> None:
        """Set or update `record`; errors tell of `wanted`, where that is another one."""
        refuse_ccs_options(wanted or record)
        self._require(api, record.key)
        structure, _owners = codec.encode(record)
        record = wanted or record
        key = record.key
        family = codec.FAMILIES[key.family]
        size = ffi.sizeof(family.set_type)
        code = call(NULL, family.config_id, structure, size, NULL)
        if code == INVALID_PARAMETER and record.thumbprint is not None:
            self._refuse_unusable(function, code, record, only_if_diagnosed=True)
            for delay in self._retry_delays if retry else ():
                _log().info("%s: 87 for %s; its key may be new, trying again in %s s", function, key, delay)
                self._sleep(delay)
                if (code := call(NULL, family.config_id, structure, size, NULL)) != INVALID_PARAMETER:
                    break
        if not code:
            return
        if record.thumbprint is not None:
            if code == NO_SUCH_LOGON_SESSION:
                self._refuse_unusable(function, code, record)
            # Which code an unknown store gets is not documented; for a Set, 2 can mean nothing else.
            if code == FILE_NOT_FOUND and (function == SET or self._is_bound(api, key)):
                self._refuse_unusable(function, code, record)
        raise binding_failure(function, code, key)

    def _as_stored(self, api: HttpApi, key: BindingKey) -> BindingKey:
        """The key as HTTP.sys has it: of what is bound under another spelling of the host, that spelling."""
        self._require(api, key)
        other = self._in_another_spelling(api, key)
        return key if other is None else other.key

    def _in_another_spelling(self, api: HttpApi, key: BindingKey) -> BindingRecord | None:
        """The first record of the same host in another spelling, for a key that is not bound in its own; else None.

        Other programs write U-labels (IIS converts to Unicode), upper case and trailing dots, and whether HTTP.sys
        takes two spellings for one is not documented. A key that was read from HTTP.sys means that one record only.
        """
        if not isinstance(key, (HostnamePort, ScopedCcs)) or key.stored_host is not None or self._is_bound(api, key):
            return None
        same = (record for record in _enumerate(api, codec.FAMILIES[key.family]) if record.key == key)
        return min(same, key=lambda record: sort_key(record.key), default=None)

    def _is_bound(self, api: HttpApi, key: BindingKey) -> bool:
        query, _owners = codec.encode_query(key)
        query.QueryDesc = QUERY_EXACT
        code, _buffer = query_record(api, codec.FAMILIES[key.family], query)
        return code == 0

    def _refuse_unusable(
        self, function: str, code: int, record: BindingRecord, *, only_if_diagnosed: bool = False
    ) -> None:
        assert record.thumbprint is not None
        diagnosis: tuple[Diagnosis, ...] = ()
        try:
            diagnosis = self._diagnose(record.thumbprint, record.store)
            if not diagnosis and code == NO_SUCH_LOGON_SESSION:
                diagnosis = about_ctl(record.options)
        except MlssslError as error:
            why = f"looking for the cause failed: {error}"
        else:
            why = "; ".join(map(str, diagnosis)) or (
                "every known cause was checked and none holds; look at the rights on the private key "
                "(SYSTEM must read it) and at the event log under HttpEvent"
            )
        if only_if_diagnosed and not diagnosis:
            return
        raise UnusableCertificateError(
            f"HTTP.sys cannot use certificate {record.thumbprint} of LocalMachine\\{record.store} "
            f"for {record.key}: {why}",
            diagnosis=diagnosis,
        ) from native_error(function, code)


def _trial_key(key: BindingKey, records: Sequence[BindingRecord]) -> BindingKey:
    """A key to try a record out under that is for `key`; see `WindowsBindings.try_out`."""
    used = {record.key.port for record in records}
    # A thousand ports in use are no reason to stop: the address or name is a random one, and 183 does no harm here.
    port = next((port for port in _TRIAL_PORTS if port not in used), _TRIAL_PORTS[0])
    host = f"{secrets.token_hex(8)}.invalid"
    if isinstance(key, IpPort):
        return IpPort(f"127.{secrets.randbelow(254) + 1}.{secrets.randbelow(256)}.{secrets.randbelow(254) + 1}", port)
    if isinstance(key, CcsPort):
        return CcsPort(port)
    return HostnamePort(host, port) if isinstance(key, HostnamePort) else ScopedCcs(host, port)


def _delete(api: HttpApi, key: BindingKey) -> int:
    structure, _owners = codec.encode_key(key)
    family = codec.FAMILIES[key.family]
    return api.HttpDeleteServiceConfiguration(NULL, family.config_id, structure, ffi.sizeof(family.set_type), NULL)


def _enumerate(api: HttpApi, family: codec.Family) -> Iterator[BindingRecord]:
    query = ffi.new(f"{family.query_type} *", {"QueryDesc": QUERY_NEXT})
    for token in range(MOST_RECORDS):
        query.dwToken = token
        code, buffer = query_record(api, family, query)
        if code == NO_MORE_ITEMS:
            return
        if code:
            raise binding_failure(QUERY, code)
        try:
            yield codec.decode(buffer, family)
        except MalformedDataError as error:
            _log().warning("left out of the listing: %s", error)


def _log() -> logging.Logger:
    return clean_logger("mlsssl")
