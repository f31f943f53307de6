"""Bindings of the embedded machine: HTTP.sys's rules and codes."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from made_certificates import make, shared_key
from mlsssl._embedded.port import EmbeddedPort
from mlsssl._formats.binding_keys import BindingFamily, BindingOptions, CcsPort, HostnamePort, IpPort, ScopedCcs
from mlsssl._machine.ports import BindingRecord, Cause, Diagnosis
from mlsssl.errors import (
    BindingExistsError,
    BindingNotFoundError,
    InvalidInputError,
    MalformedDataError,
    UnsupportedError,
    UnusableCertificateError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlsssl._formats.binding_keys import BindingKey
    from mlsssl.values import Location, Thumbprint

ONE = make("one.example", key=shared_key(1))
TWO = make("two.example", key=shared_key(2))
APP = uuid.UUID("01234567-89ab-cdef-0123-456789abcdef")
KEYS = [IpPort("0.0.0.0", 443), HostnamePort("www.example.com", 443), CcsPort(443), ScopedCcs("www.example.com", 443)]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[EmbeddedPort]:
    port = EmbeddedPort(tmp_path / "machine.sqlite")
    put(port, "MY", "LocalMachine")
    yield port
    port.close()


def put(port: EmbeddedPort, name: str, location: Location, *, key: bool = True) -> None:
    store = port.open_store(name, location, write=True)
    for made in (ONE, TWO):
        store.add(made.der, made.pkcs8 if key else None, friendly_name=None, exportable=False, provider=None)
    store.close()


def record(
    key: BindingKey,
    thumbprint: Thumbprint = ONE.thumbprint,
    *,
    store_name: str | None = "MY",
    options: BindingOptions | None = None,
) -> BindingRecord:
    named = key.family.has_certificate
    return BindingRecord(
        key=key,
        thumbprint=thumbprint if named else None,
        store_name=store_name if named else None,
        app_id=APP,
        options=options or BindingOptions(),
    )


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_a_record_is_kept_and_found(machine: EmbeddedPort, key: BindingKey) -> None:
    """For each family, also by the next process."""
    assert machine.bindings.find(key) is None
    machine.bindings.add(record(key))
    other = EmbeddedPort(machine.path)
    assert other.bindings.find(key) == record(key)
    assert other.bindings.all() == [record(key)]
    other.close()


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_a_key_is_bound_once(machine: EmbeddedPort, key: BindingKey) -> None:
    """Adding again is 183 and changes nothing."""
    machine.bindings.add(record(key))
    with pytest.raises(BindingExistsError, match="183"):
        machine.bindings.add(replace(record(key), app_id=uuid.uuid4()))
    assert machine.bindings.find(key) == record(key)


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_what_is_not_bound_cannot_be_changed_or_removed(machine: EmbeddedPort, key: BindingKey) -> None:
    """Both are 2, before and after there was one."""
    for _ in range(2):
        with pytest.raises(BindingNotFoundError, match="ERROR_FILE_NOT_FOUND"):
            machine.bindings.update(record(key))
        with pytest.raises(BindingNotFoundError, match="ERROR_FILE_NOT_FOUND"):
            machine.bindings.remove(key)
        machine.bindings.add(record(key))
        machine.bindings.remove(key)


def test_update_replaces_the_whole_record(machine: EmbeddedPort) -> None:
    """Options that are not said again are not kept."""
    key = IpPort("0.0.0.0", 443)
    machine.bindings.add(record(key, options=BindingOptions(reject_connections=True), store_name=None))
    machine.bindings.update(record(key, TWO.thumbprint))
    assert machine.bindings.find(key) == record(key, TWO.thumbprint)


def test_every_option_survives_and_bits_without_a_name_too(machine: EmbeddedPort) -> None:
    """Compared with the numbers that Windows keeps."""
    options = BindingOptions(
        verify_client_revocation=False,
        revocation_freshness_time=timedelta(seconds=2**32 - 1),
        url_retrieval_timeout=timedelta(milliseconds=1),
        ctl_identifier="Liste für Kunden",
        ctl_store_name="adfstrusteddevices",
        negotiate_client_certificate=True,
        http2=False,
        tls13=False,
        session_tickets=True,
        unknown_flags=0xFFFF_0000,
        unknown_check_modes=0x4000_0000,
    )
    key = ScopedCcs("www.example.com", 443)
    machine.bindings.add(record(key, options=options))
    found = machine.bindings.find(key)
    assert found is not None
    assert found.options == options
    assert (found.options.flags, found.options.check_mode) == (options.flags, options.check_mode)


def test_plain_ccs_takes_no_options(machine: EmbeddedPort) -> None:
    """HTTP.sys answers 87; scoped CCS takes them."""
    with pytest.raises(InvalidInputError, match="takes no options"):
        machine.bindings.add(record(CcsPort(443), options=BindingOptions(http2=False)))
    assert machine.bindings.all() == []
    machine.bindings.add(record(ScopedCcs("a.example", 443), options=BindingOptions(http2=False)))


def test_an_option_that_no_file_can_hold_is_refused(machine: EmbeddedPort) -> None:
    """Half of a surrogate pair is no text."""
    with pytest.raises(InvalidInputError, match="surrogate"):
        machine.bindings.add(record(IpPort("0.0.0.0", 443), options=BindingOptions(ctl_identifier="\ud800")))


def test_a_store_name_left_out_means_my(machine: EmbeddedPort) -> None:
    """For IP keys; and None stays None in the record."""
    machine.bindings.add(record(IpPort("0.0.0.0", 443), store_name=None))
    (found,) = machine.bindings.all()
    assert found.store_name is None
    with pytest.raises(UnusableCertificateError, match="1312"):
        machine.bindings.add(record(IpPort("0.0.0.0", 444), store_name="WebHosting"))


def test_the_certificate_is_looked_up_when_the_record_is_set(machine: EmbeddedPort) -> None:
    """It may be removed afterwards, as on Windows; then nothing can be set with it again."""
    machine.bindings.add(record(IpPort("0.0.0.0", 443), store_name="my"))
    store = machine.open_store("MY", "LocalMachine", write=True)
    store.remove(ONE.thumbprint, delete_key=True)
    assert machine.bindings.find(IpPort("0.0.0.0", 443)) is not None
    with pytest.raises(UnusableCertificateError):
        machine.bindings.update(record(IpPort("0.0.0.0", 443)))
    machine.bindings.remove(IpPort("0.0.0.0", 443))


def causes(error: UnusableCertificateError) -> list[Cause]:
    return [item.cause for item in error.diagnosis if isinstance(item, Diagnosis)]


@pytest.mark.parametrize("change", ["add", "update"])
@pytest.mark.parametrize("cause", [cause for cause in Cause if cause is not Cause.UNUSABLE_CTL])  # kept without effect
def test_each_cause_of_1312_is_found_and_named(tmp_path: Path, cause: Cause, change: str) -> None:
    """Only the one that holds, the record as it was, and setting works once the cause is gone."""
    port = EmbeddedPort(tmp_path / "machine.sqlite")
    key = IpPort("10.0.0.5", 443)
    if change == "update":
        store = port.open_store("MY", "LocalMachine", write=True)
        store.add(TWO.der, TWO.pkcs8, friendly_name=None, exportable=False, provider=None)
        port.bindings.add(record(key, TWO.thumbprint))
    if cause is Cause.WRONG_STORE:
        put(port, "WebHosting", "LocalMachine")
    elif cause is Cause.WRONG_LOCATION:
        put(port, "MY", "CurrentUser")
    elif cause is not Cause.NOT_IN_STORE:
        put(port, "MY", "LocalMachine", key=cause is not Cause.NO_KEY)
        if cause is not Cause.NO_KEY:
            port.open_store("MY", "LocalMachine", write=True).imitate(ONE.thumbprint, cause)
    before = port.bindings.all()
    method = getattr(port.bindings, change)
    with pytest.raises(UnusableCertificateError, match="1312") as caught:
        method(record(key))
    assert causes(caught.value) == [cause]
    assert port.bindings.all() == before
    (diagnosis,) = port.diagnose(ONE.thumbprint, "my")
    assert diagnosis.cause is cause
    put(port, "MY", "LocalMachine")
    method(record(key))
    assert port.bindings.find(key) == record(key)
    port.close()


def test_a_certificate_in_two_wrong_places_has_both_named(tmp_path: Path) -> None:
    """The other store first: binding it from there is the smaller change."""
    port = EmbeddedPort(tmp_path / "machine.sqlite")
    put(port, "WebHosting", "LocalMachine")
    put(port, "MY", "CurrentUser")
    found = port.diagnose(ONE.thumbprint, "MY")
    assert [d.cause for d in found] == [Cause.WRONG_STORE, Cause.WRONG_LOCATION]
    assert "store='WebHosting'" in found[0].remedy
    assert port.diagnose(ONE.thumbprint, "webhosting") == ()
    port.close()


def test_all_lists_family_by_family_sorted_by_key(machine: EmbeddedPort) -> None:
    """In the order of the families, then of the keys."""
    keys: list[BindingKey] = [
        CcsPort(443),
        HostnamePort("b.example", 443),
        HostnamePort("a.example", 8443),
        HostnamePort("a.example", 443),
        ScopedCcs("a.example", 443),
        IpPort("::", 443),
        IpPort("0.0.0.0", 8443),
        IpPort("0.0.0.0", 443),
    ]
    for key in keys:
        machine.bindings.add(record(key))
    assert [str(r.key) for r in machine.bindings.all()] == [
        "0.0.0.0:443",
        "0.0.0.0:8443",
        "[::]:443",
        "a.example:443",
        "a.example:8443",
        "b.example:443",
        "ccs=443",
        "scopedccs=a.example:443",
    ]


def test_server_2016_has_no_update(tmp_path: Path) -> None:
    """The imitation refuses it, so that the other way is taken."""
    port = EmbeddedPort(tmp_path / "machine.sqlite", atomic_update=False)
    put(port, "MY", "LocalMachine")
    key = IpPort("0.0.0.0", 443)
    port.bindings.add(record(key))
    assert not port.bindings.atomic_update
    with pytest.raises(UnsupportedError, match="HttpUpdateServiceConfiguration"):
        port.bindings.update(record(key, TWO.thumbprint))
    assert port.bindings.find(key) == record(key)
    port.close()


def test_a_family_that_the_machine_does_not_know_is_unsupported(tmp_path: Path, machine: EmbeddedPort) -> None:
    """Each call says so, listing leaves it out."""
    old = EmbeddedPort(machine.path, families=[BindingFamily.IP_PORT])
    machine.bindings.add(record(CcsPort(443)))
    assert [old.bindings.supports(family) for family in BindingFamily] == [True, False, False, False]
    assert old.bindings.all() == []
    for call in (
        lambda: old.bindings.find(CcsPort(443)),
        lambda: old.bindings.add(record(CcsPort(443))),
        lambda: old.bindings.update(record(CcsPort(443))),
        lambda: old.bindings.remove(CcsPort(443)),
    ):
        with pytest.raises(UnsupportedError, match="ccs"):
            call()  # type: ignore[no-untyped-call]
    assert machine.bindings.all() == [record(CcsPort(443))]
    old.close()


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE bindings SET family = 'quic'",
        "UPDATE bindings SET app_id = 'x'",
        "UPDATE bindings SET thumbprint = x'00'",
        "UPDATE bindings SET flags = -1",
        "UPDATE bindings SET flags = 'many'",
        "UPDATE bindings SET port = 0",
        "UPDATE bindings SET freshness_seconds = 9e99",
    ],
)
def test_a_record_that_cannot_be_one_is_malformed(machine: EmbeddedPort, change: str) -> None:
    """Somebody edited the file by hand; the error says so."""
    machine.bindings.add(record(IpPort("0.0.0.0", 443)))
    machine._database.query(change)
    with pytest.raises(MalformedDataError, match="cannot be one"):
        machine.bindings.all()
