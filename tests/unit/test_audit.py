"""audit: bindings, certificates, keys, days, findings and owners in one table."""

from __future__ import annotations

import datetime as dt
import json
import platform
import re
import uuid
from typing import TYPE_CHECKING

import pytest

from mlsssl import (
    Audit,
    AuditRow,
    Binding,
    CcsPort,
    CertificateAuthority,
    EmbeddedMachine,
    HostnamePort,
    InvalidInputError,
    IpPort,
    MalformedDataError,
    UrlReservation,
    audit,
    deploy,
    netsh,
    renew,
)
from mlsssl._formats.binding_keys import BindingKey, BindingOptions
from mlsssl._machine.ports import BindingRecord, Cause
from mlsssl.values import Thumbprint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "0.0.0.0:443"
IIS = uuid.UUID("4dc3e181-e14b-4a21-b022-59fc669b0914")


@pytest.fixture(name="ca", scope="module")
def _ca() -> CertificateAuthority:
    return CertificateAuthority.create("Audit tests", key="ec-p256")


@pytest.fixture(name="machine")
def _machine(tmp_path: Path) -> Iterator[EmbeddedMachine]:
    with EmbeddedMachine(tmp_path / "machine.sqlite") as machine:
        yield machine


def row(found: Audit, key: str = KEY) -> AuditRow:
    """The row of a binding."""
    return next(one for one in found.rows if str(one.key) == key)


def codes(found: AuditRow) -> list[str]:
    """The codes of its findings."""
    return [finding.code for finding in found.findings]


def test_a_good_binding_has_no_findings(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """Every column is filled, and the owner is named when its GUID is well known."""
    certificate = ca.issue("a.test", days=100)
    deploy("a.test:443", certificate, machine=machine, app_id=IIS)
    found = audit(machine=machine)
    (only,) = found.rows
    assert found.ok
    assert only.findings == ()
    assert (only.owner, only.app_id) == ("IIS", IIS)
    assert only.names == ("a.test",)
    assert only.private_key == "usable"
    assert only.thumbprint == certificate.thumbprint
    assert only.days_left == pytest.approx(100, abs=0.1)
    assert only.renew_from == certificate.renewal_time()
    assert None not in {value for name, value in only.to_dict().items() if name not in ("renewed_by", "severity")}


def test_what_is_wrong_is_found(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """No key, no certificate, over, due, hidden by another: each with its code, and `ok` is False."""
    certificate = ca.issue("a.test", days=100)
    deploy(KEY, certificate, machine=machine)
    now = dt.datetime.now(dt.timezone.utc)
    due = row(audit(machine=machine, at=now + dt.timedelta(days=80)))
    assert "renewal-due" in codes(due)
    assert due.days_left == pytest.approx(20, abs=0.1)
    over = audit(machine=machine, at=now + dt.timedelta(days=101))
    assert codes(row(over))[0] == "expired"
    assert not over.ok

    Binding("[::]:443", certificate, machine=machine).add()
    assert "binding-shadowed" in codes(row(audit(machine=machine)))

    machine._port.open_store("MY", "LocalMachine", write=True).imitate(certificate.thumbprint, Cause.NO_KEY)
    lost = row(audit(machine=machine))
    assert codes(lost)[0] == "no-key"
    assert lost.private_key == "missing"

    machine.store().remove(certificate.thumbprint)
    gone = row(audit(machine=machine))
    assert codes(gone)[0] == "not-in-store"
    assert (gone.names, gone.days_left, gone.private_key) == ((), None, None)


def test_a_superseded_certificate_that_is_still_bound_is_noticed(
    ca: CertificateAuthority, machine: EmbeddedMachine
) -> None:
    """Renewed at one key, forgotten at the other."""
    certificate = ca.issue("a.test")
    deploy(KEY, certificate, machine=machine)
    deploy("a.test:8443", certificate, machine=machine)
    renew(KEY, ca, machine=machine)
    found = audit(machine=machine)
    assert codes(row(found)) == []
    assert codes(row(found, "a.test:8443")) == ["superseded-bound"]


def test_unbound_certificates_are_listed_when_asked_for(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """Those with a key; the bound one and one without a key are not among them."""
    deploy(KEY, ca.issue("a.test"), machine=machine)
    spare = ca.issue("b.test")
    with machine.store() as store:
        store.add(spare)
        store.add(ca.issue("c.test").without_key())
    assert len(audit(machine=machine).rows) == 1
    rows = audit(machine=machine, unbound=True).rows
    assert [(one.key, one.thumbprint) for one in rows[1:]] == [(None, spare.thumbprint)]


def test_the_ccs_families_are_listed_without_a_certificate(machine: EmbeddedMachine) -> None:
    """They name none; what they serve lies in files."""
    Binding(CcsPort(443), machine=machine).add()
    (only,) = audit(machine=machine).rows
    assert (only.thumbprint, only.store, only.findings) == (None, None, ())


def test_text_json_and_rows_say_the_same(ca: CertificateAuthority, machine: EmbeddedMachine) -> None:
    """Rows are flat and all alike; JSON has the findings whole; text has a line per row."""
    assert str(audit(machine=machine)) == f"nothing is bound on {machine.description}"
    deploy(KEY, ca.issue("a.test"), machine=machine)
    deploy("a.test:8443", ca.issue("a.test"), machine=machine)
    found = audit(machine=machine)
    rows = found.to_rows()
    assert {tuple(one) for one in rows} == {tuple(rows[0])}
    assert all(isinstance(value, (str, float, dt.datetime, type(None))) for one in rows for value in one.values())
    assert [one["key"] for one in json.loads(found.to_json())["rows"]] == [one["key"] for one in rows]
    assert [line.split()[0] for line in str(found).splitlines()] == ["KEY", *(str(one["key"]) for one in rows)]


def test_what_cannot_be_asked_is_refused(machine: EmbeddedMachine) -> None:
    """A naive moment and an unknown profile, even when there is nothing to judge by it."""
    with pytest.raises(InvalidInputError, match="aware"):
        audit(machine=machine, at=dt.datetime(2026, 1, 1))  # noqa: DTZ001 - the point


def _listing(*keys: BindingKey) -> str:
    return netsh.format_listing(
        BindingRecord(key=key, thumbprint=Thumbprint("1" * 40), store_name="MY", app_id=IIS, options=BindingOptions())
        for key in keys
    )


def test_a_listing_in_place_of_a_machine(machine: EmbeddedMachine) -> None:
    """What it says is judged as on the machine itself; what it cannot say is said."""
    text = _listing(HostnamePort("a.test", 443), IpPort("10.0.0.5", 443), IpPort("0.0.0.0", 8443))
    for given in (text, text.encode("utf-16"), text.encode("utf-8-sig")):
        found = audit(listing=given)
        assert [str(one.key) for one in found.rows] == ["0.0.0.0:8443", "10.0.0.5:443", "a.test:443"]
        assert codes(row(found, "a.test:443")) == ["binding-shadowed"]
        assert codes(row(found, "0.0.0.0:8443")) == []
        assert (row(found, "a.test:443").owner, row(found, "a.test:443").private_key) == ("IIS", None)
        assert "names, dates, issuers and private keys are not known" in found.notes[0]
        assert "note: a listing has no certificates" in str(found)
        assert "a listing has no certificates" in found._repr_html_()
        assert found.to_dict()["notes"] == list(found.notes)
    for key in (HostnamePort("a.test", 443), IpPort("10.0.0.5", 443)):
        Binding(key, "1" * 40, app_id=IIS, machine=machine)
    assert audit(machine=machine).notes == ()


def test_a_listing_without_bindings_and_what_is_none() -> None:
    """Nothing bound is no row and no note; other text is an error."""
    empty = audit(listing=_listing())
    assert (empty.rows, empty.notes, empty.ok) == ((), (), True)
    with pytest.raises(MalformedDataError, match="Access is denied"):
        audit(listing="Access is denied.")


_RESERVED = netsh.format_urlacl_listing(
    [
        UrlReservation("https://+:443/mls/", sddl="D:(A;;GX;;;NS)(A;;GX;;;S-1-5-21-1-2-3-1001)").record,
        UrlReservation("https://+:9443/open/", sddl="D:(A;;GX;;;WD)").record,
    ]
)


@pytest.mark.parametrize("order", [1, -1])
def test_a_listing_of_bindings_and_reservations(order: int) -> None:
    """One behind the other, as `>>` makes it; accounts by the names that every Windows has, else by their SIDs."""
    text = "\n".join([_listing(HostnamePort("a.test", 443)), _RESERVED][::order])
    for given in (text, text.encode("utf-16")):
        found = audit(listing=given)
        assert [str(row.key) for row in found.rows] == ["a.test:443"]
        assert [(str(one.url), [finding.code for finding in one.findings]) for one in found.reservations] == [
            ("https://+:443/mls/", []),
            ("https://+:9443/open/", ["reservation-for-anybody", "reservation-unbound"]),
        ]
        assert "NETWORK SERVICE may listen; S-1-5-21-1-2-3-1001 may listen" in found.reservations[0].who
        assert "RESERVED URL" in str(found)


@pytest.mark.parametrize("above", ["", _listing() + "\n"])
def test_a_listing_of_reservations_alone(above: str) -> None:
    """What no listing of bindings says is not made up, and said."""
    found = audit(listing=above + _RESERVED)
    assert found.rows == ()
    assert [[finding.code for finding in one.findings] for one in found.reservations] == [
        [],
        ["reservation-for-anybody"],
    ]
    (note,) = found.notes
    assert "it was not looked at whether something is bound" in note


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (_listing(HostnamePort("a.test", 443)) + _RESERVED[: _RESERVED.index("SDDL")], "has no access list"),
        (_RESERVED + re.sub("Enabled|Disabled", "An", _listing(HostnamePort("a.test", 443))), "on and off"),
    ],
)
def test_a_damaged_half_is_not_passed_over(text: str, said: str) -> None:
    """Cut off, or with words that are not known: an error, though the other half can be read."""
    with pytest.raises(MalformedDataError, match=said):
        audit(listing=text)


def test_a_listing_and_a_machine_exclude_each_other(machine: EmbeddedMachine) -> None:
    """Neither is passed over."""
    with pytest.raises(InvalidInputError, match="in place of a machine"):
        audit(listing=_listing(), machine=machine)
    with pytest.raises(InvalidInputError, match="in place of a machine"):
        audit(listing=_listing(), unbound=True)


def test_a_listing_that_would_take_for_ever() -> None:
    """A thousand host names are looked at; a thousand addresses that hide as many are not, and a note says so."""
    names = [HostnamePort(f"h{number}.test", 443) for number in range(1000)]
    found = audit(listing=_listing(*names, IpPort("10.0.0.5", 443)))
    assert len(row(found, "10.0.0.5:443").findings) == 1000
    addresses = [IpPort(f"10.0.{number // 200}.{number % 200}", 443) for number in range(1000)]
    found = audit(listing=_listing(*names, *addresses))
    assert len(found.rows) == 2000
    assert any("so many bindings" in note for note in found.notes)


def test_this_windows_is_called_by_its_name(machine: EmbeddedMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Windows calls itself this computer, which does not tell a fleet's audits apart; other names stay."""
    assert audit(machine=machine).machine == machine.port.description
    monkeypatch.setattr(type(machine.port), "is_this_windows", True)
    monkeypatch.setattr(platform, "node", lambda: "SERVER01")
    assert audit(machine=machine).machine == "SERVER01"
    monkeypatch.setattr(platform, "node", lambda: "")
    assert audit(machine=machine).machine == machine.port.description


@pytest.mark.parametrize("host", ["a b", "a=b", "+", "<b>", "www.example.com"])
def test_an_audit_with_a_host_that_is_no_name_comes_back(host: str) -> None:
    """Other programs bind such; what an audit wrote of them is read again."""
    listing = netsh.format_listing(
        [
            BindingRecord(
                key=HostnamePort.as_stored(host, 443),
                thumbprint=Thumbprint("18e1628ac1cd7cae3495e718f87e5b6188193c81"),
                store_name="MY",
                app_id=uuid.UUID(int=7),
                options=BindingOptions(),
            )
        ]
    )
    made = audit(listing=listing)
    (back,) = Audit.from_json(made.to_json())
    assert [row.key for row in back.rows] == [HostnamePort.as_stored(host, 443)]
