"""A machine with many bindings: what is done once for all of them, or for those only that it is about."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from made_certificates import make, shared_key
from mlsssl import Binding, CertificateAuthority, EmbeddedMachine, audit, cleanup, deploy, renew_due, superseded
from mlsssl._deploy import issuers as deploy_issuers
from mlsssl._embedded import bindings as embedded_bindings
from mlsssl._embedded.database import Database
from mlsssl._embedded.listener.serving import Serving
from mlsssl._embedded.port import EmbeddedPort
from mlsssl._formats.binding_keys import BindingFamily, BindingOptions, HostnamePort
from mlsssl._machine import precedence
from mlsssl._machine.ports import BindingRecord
from mlsssl._validator.path import TrustAnchors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ONE = make("one.example", key=shared_key(1))
TWO = make("two.example", key=shared_key(2))
COUNT = 30


class Counted:
    """A function that is called as before, and how often."""

    def __init__(self, function: Callable[..., object]) -> None:
        self._function = function
        self.calls = 0

    def __call__(self, *arguments: object, **named: object) -> object:
        self.calls += 1
        return self._function(*arguments, **named)


def record(host: str, der: bytes = ONE.der) -> BindingRecord:
    return BindingRecord(
        key=HostnamePort.as_stored(host, 443),
        thumbprint=ONE.thumbprint if der == ONE.der else TWO.thumbprint,
        store_name="MY",
        app_id=uuid.UUID(int=1),
        options=BindingOptions(),
    )


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[EmbeddedPort]:
    port = EmbeddedPort(tmp_path / "machine.sqlite")
    store = port.open_store("MY", "LocalMachine", write=True)
    for made in (ONE, TWO):
        store.add(made.der, made.pkcs8, friendly_name=None, exportable=False, provider=None)
    for number in range(COUNT):
        port.bindings.add(record(f"host-{number}.example"))
    yield port
    port.close()


@pytest.fixture
def serving(machine: EmbeddedPort) -> Iterator[Serving]:
    database = Database(machine.path, busy_timeout=2.0)
    yield Serving(database, families=tuple(BindingFamily), allow_legacy_tls=False)
    database.close()


def test_a_host_that_is_not_bound_is_not_compared_with_every_other(
    machine: EmbeddedPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Counted(embedded_bindings._key)
    monkeypatch.setattr(embedded_bindings, "_key", read)

    assert machine.bindings.find(HostnamePort("new.example", 443)) is None
    assert read.calls == 0


@pytest.mark.parametrize("stored", ["WWW.example", "www.example.", "wWw.exaMple."])
def test_a_host_in_another_spelling_is_found_among_them(stored: str, machine: EmbeddedPort) -> None:
    machine.bindings.add(record(stored))

    found = machine.bindings.find(HostnamePort("www.example", 443))

    assert found is not None
    assert isinstance(found.key, HostnamePort)
    assert found.key.stored_host == stored


def test_a_host_with_letters_beyond_ascii_is_found_among_them(machine: EmbeddedPort) -> None:
    machine.bindings.add(record("bücher.example"))

    assert machine.bindings.find(HostnamePort("xn--bcher-kva.example", 443)) is not None
    assert machine.bindings.find(HostnamePort("xn--bcher-kwa.example", 443)) is None


def test_after_a_change_only_what_changed_is_read_anew(
    machine: EmbeddedPort, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving.answer(443, "127.0.0.1", "host-0.example")
    read = Counted(embedded_bindings._parse)
    monkeypatch.setattr(embedded_bindings, "_parse", read)
    machine.bindings.update(record("host-7.example", TWO.der))
    read.calls = 0  # the look back, by the other connection

    answer = serving.answer(443, "127.0.0.1", "host-7.example")

    assert read.calls == 1
    assert answer.certificate.public_bytes(Encoding.DER) == TWO.der


def test_the_ports_follow_a_change(machine: EmbeddedPort, serving: Serving) -> None:
    assert serving.ports() == [443]
    machine.bindings.add(
        BindingRecord(
            key=HostnamePort("other.example", 8443),
            thumbprint=ONE.thumbprint,
            store_name="MY",
            app_id=uuid.UUID(int=1),
            options=BindingOptions(),
        )
    )
    assert serving.ports() == [443, 8443]


def test_bindings_of_one_certificate_share_what_answers_and_keep_their_record(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up = Counted(serving._answer_from_store)
    monkeypatch.setattr(serving, "_answer_from_store", looked_up)

    answers = [serving.answer(443, "127.0.0.1", f"host-{number}.example") for number in range(COUNT)]

    assert looked_up.calls == 1
    assert len({id(answer.context) for answer in answers}) == 1
    assert [str(answer.record.key) for answer in answers] == [f"host-{number}.example:443" for number in range(COUNT)]


def test_an_audit_puts_the_issuers_together_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = CertificateAuthority.create("Authority", key="ec-p256")
    made = Counted(TrustAnchors)
    with EmbeddedMachine(tmp_path / "machine.sqlite") as machine:
        for number in range(4):
            name = f"host-{number}.example"
            deploy(f"{name}:443", authority.issue(name, key="ec-p256"), machine=machine, trust_root=True)
        monkeypatch.setattr(deploy_issuers, "TrustAnchors", made)
        found = audit(machine=machine)

    assert found.ok
    assert len(found.rows) == 4
    assert made.calls == 2  # of no place, and of the stores


def test_what_is_not_due_is_read_from_a_store_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = CertificateAuthority.create("Authority", key="ec-p256")
    with EmbeddedMachine(tmp_path / "machine.sqlite") as machine:
        for number in range(4):
            name = f"host-{number}.example"
            deploy(f"{name}:443", authority.issue(name, key="ec-p256"), machine=machine)
        opened = Counted(machine.port.open_store)
        monkeypatch.setattr(machine.port, "open_store", opened)

        results = renew_due(authority, machine=machine)
        assert [bool(one.skipped) for one in results] == [True] * 4
        assert opened.calls == 1
        results = renew_due(authority, machine=machine, due_only=False)  # the failing twin: here they are changed
        assert all(one.outcome is not None and one.outcome.changed for one in results)
        assert opened.calls > 4


def test_a_renewal_is_compared_with_its_neighbours_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of so many host names none meets another; each meets the one record for every address."""
    authority = CertificateAuthority.create("Authority", key="ec-p256")
    with EmbeddedMachine(tmp_path / "machine.sqlite") as machine, machine.store("MY") as store:
        for name in ["0.0.0.0:8443", *(f"host-{number}.example:8443" for number in range(COUNT))]:
            certificate = authority.issue(name.partition(":")[0], key="ec-p256")
            store.add(certificate)
            Binding(name, certificate, machine=machine).add()
        compared = Counted(precedence.hides)
        monkeypatch.setattr(precedence, "hides", compared)
        results = renew_due(authority, machine=machine, due_only=False, dry_run=True)

    findings = [[one.code for one in result.plan.findings] for result in results if result.plan is not None]
    assert [len([code for code in codes if code == "binding-shadowed"]) for codes in findings] == [COUNT, *[0] * COUNT]
    assert [len([code for code in codes if code == "binding-shadows"]) for codes in findings] == [0, *[1] * COUNT]
    assert compared.calls == 4 * COUNT  # each pair in both ways, from both sides


def test_clearing_up_reads_the_bindings_as_often_whatever_there_is_to_clear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = CertificateAuthority.create("Authority", key="ec-p256")
    later = dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=60)
    calls = []
    for count in (2, 8):
        with EmbeddedMachine(tmp_path / f"{count}.sqlite") as machine, machine.store("MY") as store:
            newer = store.add(authority.issue("new.example", key="ec-p256"))
            old = [store.add(authority.issue("old.example", key="ec-p256")) for _ in range(count)]
            for one in old:
                store.set_renewed_by(one.thumbprint, newer.thumbprint)
            Binding("a.example:443", old[0].thumbprint, machine=machine).add()
            Binding("b.example:443", old[0].thumbprint, machine=machine).add()
            read = Counted(machine.port.bindings.all)
            monkeypatch.setattr(machine.port.bindings, "all", read)
            done = cleanup(machine=machine, at=later)
            calls.append(read.calls)
            assert {one.thumbprint for one in done.removed} == {one.thumbprint for one in old[1:]}
            assert [one.reason for one in done.kept] == ["bound to a.example:443, b.example:443"]
    assert calls[0] == calls[1]


def test_a_certificate_that_is_bound_while_others_are_judged_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = CertificateAuthority.create("Authority", key="ec-p256")
    later = dt.datetime.now(dt.timezone.utc) + dt.timedelta(days=60)
    with EmbeddedMachine(tmp_path / "machine.sqlite") as machine, machine.store("MY") as store:
        newer, old = (store.add(authority.issue("a.example", key="ec-p256")) for _ in range(2))
        store.set_renewed_by(old.thumbprint, newer.thumbprint)
        real = superseded._find_newer

        def binding_meanwhile(*arguments: Any) -> Any:
            machine.port.bindings.add(replace(record("a.example"), thumbprint=old.thumbprint))  # as netsh, without lock
            return real(*arguments)

        monkeypatch.setattr(superseded, "_find_newer", binding_meanwhile)
        done = cleanup(machine=machine, at=later)
    assert [one.reason for one in done.kept] == ["bound to a.example:443"]
