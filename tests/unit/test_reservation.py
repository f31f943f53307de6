"""`UrlReservation`, the listen list and the numbers of HTTP.sys, on a machine of one's own; and their commands."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given

from mlsssl import (
    AccessDeniedError,
    BindingError,
    CertificateAuthority,
    EmbeddedMachine,
    ExistsError,
    HttpLimits,
    HttpTimeouts,
    InvalidInputError,
    IpListenList,
    NotFoundError,
    ReservationError,
    ReservationExistsError,
    ReservationNotFoundError,
    UnsupportedError,
    UrlPrefix,
    UrlReservation,
    audit,
    deploy,
    last_outcome,
    recover,
    strategies,
)
from mlsssl._changes.record import Change, ChangeRecords, ReservationChange
from mlsssl._machine.ports import HttpNumber, ReservationRecord
from mlsssl.cli import main
from mlsssl.machine import Machine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

URL = "https://+:443/mls/"
MLS = r"NT SERVICE\MLS"
MLS_SID = "S-1-5-80-4070944799-1235368740-2881077111-3050012431-290796495"


@pytest.fixture(autouse=True)
def _this_computer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An embedded machine on every system, whose accounts are known; nothing makes its file."""
    monkeypatch.setenv("MLSSSL_MACHINE", str(tmp_path / "local" / "m.sqlite"))


@pytest.fixture(name="machine")
def _machine(tmp_path: Path) -> Iterator[EmbeddedMachine]:
    with EmbeddedMachine(tmp_path / "m.sqlite") as machine:
        yield machine


# -- as a value ---------------------------------------------------------------------------------------------------


def test_a_reservation_is_a_value_until_it_is_added(machine: EmbeddedMachine) -> None:
    """Made of an account, it has netsh's access list; added, found, listed, removed."""
    made = UrlReservation(URL, user=MLS, machine=machine)
    assert made.sddl == f"D:(A;;GX;;;{MLS_SID})"
    assert list(machine.reservations) == []
    assert made.add() is made
    assert machine.reservations[URL] == made == UrlReservation.get("https://+:443/MLS/", machine=machine)
    assert (URL in machine.reservations, len(machine.reservations)) == (True, 1)
    assert (
        "https://+:443/" in machine.reservations,
        "nonsense" in machine.reservations,
        5 in machine.reservations,
    ) == (
        False,
        False,
        False,
    )
    machine.reservations[URL].remove()
    assert machine.reservations.find(URL) is None


@pytest.mark.parametrize(("listen", "delegate", "word"), [(True, False, "GX"), (True, True, "GA"), (False, True, "GW")])
def test_rights_are_those_of_http_sys(listen: bool, delegate: bool, word: str) -> None:
    """GENERIC_EXECUTE, _ALL and _WRITE, for each of several accounts, each once."""
    made = UrlReservation(URL, user=["NETWORK SERVICE", "S-1-1-0", "networkservice"], listen=listen, delegate=delegate)
    assert made.sddl == f"D:(A;;{word};;;S-1-5-20)(A;;{word};;;S-1-1-0)"
    assert made.is_plain


def test_reservations_are_shown(machine: EmbeddedMachine) -> None:
    """In a notebook and as text; a stranger's characters do no harm."""
    assert "nothing is reserved" in machine.reservations._repr_html_()
    machine.port.reservations.add(ReservationRecord(url=UrlPrefix.as_stored("<b>odd</b>"), sddl="D:"))
    page = machine.reservations._repr_html_()
    assert "<b>odd</b>" not in page
    assert "&lt;b&gt;odd&lt;/b&gt;" in page
    assert "nobody but administrators" in page
    assert repr(machine.reservations) == "<UrlReservations: <b>odd</b>>"


def test_an_access_list_is_said_in_words(machine: EmbeddedMachine) -> None:
    """Names where the machine has them, SIDs and aliases where not; what is denied says so."""
    machine.define_service("MLS")
    sddl = f"D:(D;;GX;;;AN)(A;;GA;;;{MLS_SID})(A;;GX;;;S-1-5-21-1-2-3-4)(A;;RC;;;LA)"
    found = UrlReservation(URL, sddl=sddl, machine=machine)
    assert [str(grant) for grant in found.grants] == [
        r"NT AUTHORITY\ANONYMOUS LOGON may not listen",
        r"NT SERVICE\MLS may listen and delegate",
        "S-1-5-21-1-2-3-4 may listen",
        "LA may do nothing that HTTP.sys asks for",
    ]
    assert not found.is_plain
    assert found.to_dict()["sddl"] == sddl
    assert UrlReservation(URL, sddl="D:", machine=machine).grants == ()


@pytest.mark.parametrize(
    ("sddl", "anybody"),
    [
        ("D:(A;;GX;;;WD)", True),
        ("D:(A;;GA;;;BU)", True),
        ("D:(A;;GX;;;S-1-5-20)(A;;GX;;;AU)", True),
        ("D:(A;;GW;;;WD)", False),
        ("D:(D;;GX;;;WD)", False),
        ("D:(A;;GX;;;BA)", False),
    ],
)
def test_it_is_known_whether_anybody_may_listen(sddl: str, anybody: bool) -> None:
    """Everyone, Users, Authenticated Users: listening is what counts."""
    assert UrlReservation(URL, sddl=sddl).is_for_anybody is anybody


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "user=, or has an access list as sddl="),
        ({"user": "Everyone", "sddl": "D:"}, "not both"),
        ({"user": []}, "none is given"),
        ({"user": "Everyone", "listen": False}, "nothing is allowed"),
        ({"user": "Everyone", "listen": 1}, "True or False"),
        ({"sddl": "D:", "delegate": True}, "says itself"),
        ({"sddl": "Everyone"}, "not an access list in SDDL"),
        ({"sddl": b"D:"}, "sddl is text"),
        ({"user": 5}, "account"),
    ],
)
def test_what_cannot_be_is_refused(arguments: dict[str, object], said: str) -> None:
    """Before any machine is asked."""
    with pytest.raises(InvalidInputError, match=said):
        UrlReservation(URL, **arguments)  # type: ignore[arg-type]


def test_an_unknown_account_is_1332_in_words() -> None:
    """Not a reservation for nobody."""
    with pytest.raises(NotFoundError, match=r"nobody-at-all.*1332, ERROR_NONE_MAPPED"):
        UrlReservation(URL, user="nobody-at-all")


def test_nothing_is_opened_to_make_a_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded machine's accounts are known without its file."""
    monkeypatch.setenv("MLSSSL_MACHINE", str(tmp_path / "none.sqlite"))
    assert str(UrlReservation(URL, user=MLS).grants[0]) == r"NT SERVICE\MLS may listen"
    assert list(tmp_path.iterdir()) == []


@given(strategies.reservations(foreign=True))
def test_any_reservation_comes_back_as_it_was(drawn: UrlReservation) -> None:
    """Character by character, through its record and its text."""
    assert eval(repr(drawn)) == drawn
    assert UrlReservation(drawn.record.url, sddl=drawn.record.sddl) == drawn
    assert pickle.loads(pickle.dumps(drawn)) == copy.deepcopy(drawn) == drawn
    assert hash(copy.copy(drawn)) == hash(drawn)
    assert isinstance(json.dumps(drawn.to_dict()), str)


# -- changing -----------------------------------------------------------------------------------------------------


def test_errors_say_what_to_do(machine: EmbeddedMachine) -> None:
    """183 and 2, with what is near."""
    made = machine.reservations.add(URL, user="Everyone")
    with pytest.raises(ReservationExistsError, match=r"reserved already .183.*update it, or remove it first"):
        made.add()
    with pytest.raises(ReservationNotFoundError, match="reserved on that port: https://\\+:443/mls/"):
        machine.reservations["https://+:443/other/"]
    with pytest.raises(ReservationNotFoundError, match="nothing is reserved on that port"):
        UrlReservation.get("http://+:80/", machine=machine)
    with pytest.raises(ReservationNotFoundError, match="add it instead"):
        UrlReservation("http://+:80/", user="Everyone", machine=machine).update()
    with pytest.raises(ReservationNotFoundError, match="2, ERROR_FILE_NOT_FOUND"):
        UrlReservation("http://+:80/", user="Everyone", machine=machine).remove()


def test_an_update_keeps_the_machines_spelling(machine: EmbeddedMachine) -> None:
    """And leaves no record behind."""
    written = UrlPrefix.as_stored("https://+:443/MLS/")
    machine.port.reservations.add(ReservationRecord(url=written, sddl="D:(A;;GX;;;WD)"))
    UrlReservation(URL, user=MLS, machine=machine).update()
    (found,) = machine.port.reservations.all()
    assert (found.url.written, found.sddl) == ("https://+:443/MLS/", f"D:(A;;GX;;;{MLS_SID})")
    assert not list(machine.state_folder.glob("change*.json"))


def test_a_change_that_would_lose_another_is_refused(machine: EmbeddedMachine) -> None:
    """One that was read replaces only what it was read as; one that was made replaces anything."""
    read = machine.reservations.add(URL, user="Everyone").with_user(MLS)
    UrlReservation(URL, user="SYSTEM", machine=machine).update()
    with pytest.raises(ReservationError, match="changed since it was read"):
        read.update()
    assert str(machine.reservations[URL].grants[0]).startswith(r"NT AUTHORITY\SYSTEM")
    machine.reservations[URL].with_sddl("D:(A;;GA;;;WD)").update()
    assert machine.reservations[URL].sddl == "D:(A;;GA;;;WD)"


class _Refuses:
    """A machine's reservations that refuse to add, some times."""

    def __init__(self, machine: EmbeddedMachine, times: int) -> None:
        self._real = machine.port.reservations
        self.left = times

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

    def add(self, record: ReservationRecord) -> None:
        if self.left:
            self.left -= 1
            raise AccessDeniedError("not now", right="administrator")
        self._real.add(record)


def test_an_update_that_fails_leaves_the_old_one(machine: EmbeddedMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put back at once; the first error is the one that is told."""
    machine.reservations.add(URL, user="Everyone")
    monkeypatch.setattr(machine.port, "reservations", _Refuses(machine, 1))
    with pytest.raises(AccessDeniedError, match="not now"):
        UrlReservation(URL, user=MLS, machine=machine).update()
    assert machine.reservations[URL].sddl == "D:(A;;GX;;;S-1-1-0)"
    assert not list(machine.state_folder.glob("change*.json"))


def test_an_update_that_cannot_be_taken_back_is_recovered_later(
    machine: EmbeddedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its record stays; whoever changes that reservation next, or `recover`, puts the old one back."""
    machine.reservations.add(URL, user="Everyone")
    refuses = _Refuses(machine, 3)
    monkeypatch.setattr(machine.port, "reservations", refuses)
    with pytest.raises(ReservationError, match=r"taking it back failed too .*mlsssl.recover"):
        UrlReservation(URL, user=MLS, machine=machine).update()
    assert machine.reservations.find(URL) is None
    refuses.left = 1
    with pytest.raises(BindingError, match=r"nothing was done: the update of https://\+:443/mls/ .*still pending"):
        machine.reservations.add(URL, user=MLS)
    done = recover(machine=machine)
    assert done == [f"took back {done[0].removeprefix('took back ')}", f"reserved {URL} as before"]
    assert machine.reservations[URL].sddl == "D:(A;;GX;;;S-1-1-0)"


def _killed(machine: EmbeddedMachine, now: str | None) -> None:
    """A machine on which the update from Everyone to MLS was killed, with this access list there now."""
    url = UrlPrefix(URL)
    before = ReservationRecord(url=url, sddl="D:(A;;GX;;;WD)")
    after = ReservationRecord(url=url, sddl=f"D:(A;;GX;;;{MLS_SID})")
    change = Change("update", None, reservation=ReservationChange(url=url, before=before, after=after))
    ChangeRecords(machine.state_folder).begin(change)
    if now is not None:
        machine.port.reservations.add(ReservationRecord(url=url, sddl=now))


@pytest.mark.parametrize(
    ("now", "then", "line"),
    [
        (None, "D:(A;;GX;;;WD)", "took back"),
        ("D:(A;;GX;;;WD)", "D:(A;;GX;;;WD)", "took back"),
        (f"D:(A;;GX;;;{MLS_SID})", f"D:(A;;GX;;;{MLS_SID})", "finished"),
        ("D:(A;;GX;;;SY)", "D:(A;;GX;;;SY)", "took back"),
    ],
    ids=["deleted", "not begun", "done", "somebody else's"],
)
def test_what_a_kill_left_is_settled(machine: EmbeddedMachine, now: str | None, then: str, line: str) -> None:
    """The old access list or the new one, never none; and a stranger's is left alone."""
    _killed(machine, now)
    told = recover(machine=machine)
    assert told[0].startswith(f"{line} the update of {URL}")
    assert machine.reservations[URL].sddl == then
    assert recover(machine=machine) == []


def test_a_stuck_change_is_given_up_by_its_url(machine: EmbeddedMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    """`mlsssl recover --abandon URL`; it is in no binding's way meanwhile."""
    _killed(machine, None)
    refuses = _Refuses(machine, 1000)
    monkeypatch.setattr(machine.port, "reservations", refuses)
    ca = CertificateAuthority.create("Stuck", key="ec-p256")
    assert deploy("0.0.0.0:443", ca.issue("a.test"), machine=machine).changed
    done = recover(machine=machine, abandon=URL)
    assert any("gave up the update of https://+:443/mls/" in line for line in done)
    assert recover(machine=machine) == []


# -- with a binding -----------------------------------------------------------------------------------------------


@pytest.fixture(name="ca", scope="module")
def _ca() -> CertificateAuthority:
    return CertificateAuthority.create("Reservations", key="ec-p256")


def test_deploy_reserves_with_the_binding(machine: EmbeddedMachine, ca: CertificateAuthority) -> None:
    """Planned, done, not done twice, undone with the binding."""
    cert = ca.issue("a.test")
    plan = deploy.plan("0.0.0.0:443", cert, machine=machine, reserve=URL, user=MLS)
    assert [step.action for step in plan.steps] == ["add-certificate", "reserve", "bind"]
    assert rf"reserve {URL}: NT SERVICE\MLS may listen" in str(plan)
    outcome = plan.apply()
    assert f"reserved {URL}" in outcome.done
    assert machine.reservations[URL].sddl == f"D:(A;;GX;;;{MLS_SID})"
    assert not deploy("0.0.0.0:443", cert, machine=machine, reserve=URL, user=MLS).changed
    undone = outcome.undo()
    assert f"removed the reservation of {URL}" in undone.done
    assert (list(machine.reservations), list(machine.bindings)) == ([], [])


def test_deploy_replaces_a_reservation_and_brings_it_back(machine: EmbeddedMachine, ca: CertificateAuthority) -> None:
    """Also when the binding stays as it is; the undo may come from another process."""
    cert = ca.issue("a.test")
    deploy("0.0.0.0:443", cert, machine=machine)
    machine.reservations.add("https://+:443/Mls/", user="Everyone")
    wanted = UrlReservation(URL, user=MLS, delegate=True, machine=machine)
    plan = deploy.plan("0.0.0.0:443", cert, machine=machine, reserve=wanted)
    assert "in place of its present reservation" in str(plan)
    plan.apply()
    assert machine.reservations[URL].sddl == f"D:(A;;GA;;;{MLS_SID})"
    last = last_outcome("0.0.0.0:443", machine=machine)
    assert last is not None
    last.undo()
    assert machine.reservations[URL].sddl == "D:(A;;GX;;;S-1-1-0)"
    assert len(machine.bindings) == 1


def test_an_issuer_and_a_reservation_go_together(machine: EmbeddedMachine, ca: CertificateAuthority) -> None:
    """Also when what is bound will do, and only the reservation is missing."""
    first = deploy("0.0.0.0:443", ca, host="a.test", machine=machine, reserve=URL, user=MLS)
    assert f"reserved {URL}" in first.done
    machine.reservations[URL].remove()
    again = deploy("0.0.0.0:443", ca, host="a.test", machine=machine, reserve=URL, user=MLS)
    assert again.done == (f"reserved {URL}",)
    assert again.after.thumbprint == first.after.thumbprint


def test_an_undo_leaves_somebody_elses_reservation(machine: EmbeddedMachine, ca: CertificateAuthority) -> None:
    """What was changed since is not lost."""
    outcome = deploy("0.0.0.0:443", ca.issue("a.test"), machine=machine, reserve=URL, user=MLS)
    UrlReservation(URL, user="SYSTEM", machine=machine).update()
    assert any("somebody else has changed it since" in line for line in outcome.undo().done)
    assert machine.reservations[URL].sddl == "D:(A;;GX;;;S-1-5-18)"


def test_the_audit_log_has_the_reservation(machine: EmbeddedMachine, ca: CertificateAuthority, tmp_path: Path) -> None:
    """Before and after, as they are."""
    log = tmp_path / "log.jsonl"
    deploy("0.0.0.0:443", ca.issue("a.test"), machine=machine, reserve=URL, user=MLS, audit_log=log)
    (line,) = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    after = {"url": URL, "sddl": f"D:(A;;GX;;;{MLS_SID})"}
    assert line["reservation"] == {"url": URL, "before": None, "after": after}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"reserve": "https://+:444/mls/", "user": MLS}, "has the port 443"),
        ({"reserve": "http://+:443/mls/", "user": MLS}, "begins with https"),
        ({"reserve": URL}, "user=, or has an access list"),
        ({"user": MLS}, "user= is for reserve="),
        ({"reserve": UrlReservation(URL, sddl="D:(A;;GX;;;SY)"), "user": MLS}, "says itself for whom"),
        ({"reserve": 5, "user": MLS}, "a URL prefix is text"),
    ],
)
def test_what_cannot_be_reserved_stops_everything(
    machine: EmbeddedMachine, ca: CertificateAuthority, arguments: dict[str, object], said: str
) -> None:
    """Nothing is done then."""
    with pytest.raises(InvalidInputError, match=said):
        deploy("0.0.0.0:443", ca.issue("a.test"), machine=machine, **arguments)  # type: ignore[arg-type]
    assert list(machine.bindings) == []


def test_audit_lists_reservations_beside_bindings(machine: EmbeddedMachine, ca: CertificateAuthority) -> None:
    """What is whole has no finding; what anybody may use, or serves no port, a warning."""
    deploy("0.0.0.0:443", ca.issue("a.test"), machine=machine, reserve=URL, user=MLS)
    clean = audit(machine=machine)
    assert [(str(one.url), one.findings) for one in clean.reservations] == [(URL, ())]
    assert clean.rows[0].findings == ()
    machine.reservations.add("http://+:80/x/", user="Everyone")
    machine.reservations.add("https://+:8443/x/", user="Users")
    machine.reservations.add("https://+:5986/wsman/", user="NETWORK SERVICE")
    machine.reservations.add("http://+:80/Temporary_Listen_Addresses/", user="Everyone")
    found = audit(machine=machine)
    assert {str(one.url): [finding.code for finding in one.findings] for one in found.reservations} == {
        "http://+:80/Temporary_Listen_Addresses/": [],
        "http://+:80/x/": ["reservation-for-anybody"],
        URL: [],
        "https://+:5986/wsman/": [],
        "https://+:8443/x/": ["reservation-for-anybody", "reservation-unbound"],
    }
    assert found.ok
    assert "RESERVED URL" in str(found)
    assert "https://+:8443/x/" in found._repr_html_()
    assert len(json.loads(found.to_json())["reservations"]) == 5


def test_audit_tells_of_a_mistyped_port(machine: EmbeddedMachine, ca: CertificateAuthority) -> None:
    """A binding without reservation is nothing by itself; beside a reservation without binding it is a notice."""
    deploy("0.0.0.0:8443", ca.issue("a.test"), machine=machine)
    assert audit(machine=machine).rows[0].findings == ()
    machine.reservations.add(URL, user=MLS)
    assert [finding.code for finding in audit(machine=machine).rows[0].findings] == ["binding-unreserved"]
    machine.reservations.add("https://*:8443/", user=MLS)
    assert audit(machine=machine).rows[0].findings == ()


# -- the listen list and the numbers ------------------------------------------------------------------------------


def test_the_listen_list_is_a_container(machine: EmbeddedMachine) -> None:
    """Addresses in their shortest form, without brackets, ports and scopes."""
    listed = IpListenList(machine=machine)
    assert (len(listed), repr(listed)) == (0, "<IpListenList: every address>")
    listed.add("10.0.0.5")
    listed.add("[FE80:0::1]")
    assert list(listed) == ["10.0.0.5", "fe80::1"]
    assert "fe80:0::1" in listed
    assert "10.0.0.6" not in listed
    assert "nonsense" not in listed
    with pytest.raises(ExistsError, match="183"):
        listed.add("10.0.0.5")
    listed.remove("10.0.0.5")
    with pytest.raises(NotFoundError, match=r"10\.0\.0\.5 is not in the listen list"):
        listed.remove("10.0.0.5")
    for wrong in ("10.0.0.5:443", "host", "fe80::1%1", "", 5):
        with pytest.raises(InvalidInputError, match="neither ports nor scopes"):
            listed.add(wrong)  # type: ignore[arg-type]


def test_time_outs_are_read_and_set(machine: EmbeddedMachine) -> None:
    """None is what HTTP.sys has of its own."""
    assert HttpTimeouts.get(machine=machine) == HttpTimeouts()
    wanted = HttpTimeouts(idle_connection=timedelta(minutes=2), header_wait=timedelta(seconds=1))
    assert wanted.set(machine=machine) is wanted
    assert HttpTimeouts.get(machine=machine) == wanted
    assert wanted.to_dict() == {"idle_connection": 120, "header_wait": 1}
    HttpTimeouts(header_wait=timedelta(seconds=65535)).set(machine=machine)
    assert HttpTimeouts.get(machine=machine).to_dict() == {"idle_connection": None, "header_wait": 65535}
    HttpTimeouts().set(machine=machine)
    assert HttpTimeouts.get(machine=machine) == HttpTimeouts()


def test_limits_are_read_and_set(machine: EmbeddedMachine) -> None:
    """Whole numbers, 0 too."""
    wanted = HttpLimits(max_cache_response_size=0, tls_throttle=2**32 - 1)
    wanted.set(machine=machine)
    assert HttpLimits.get(machine=machine) == wanted
    assert wanted.to_dict()["tls_throttle"] == 2**32 - 1


@pytest.mark.parametrize("value", [timedelta(0), timedelta(seconds=65536), timedelta(milliseconds=1500), 60, "60"])
def test_a_time_out_that_cannot_be_is_refused(value: object) -> None:
    """A USHORT of seconds, more than zero."""
    with pytest.raises(InvalidInputError, match="1 to 65535 whole seconds"):
        HttpTimeouts(idle_connection=value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [-1, 2**32, 1.5, True, "1"])
def test_a_limit_that_cannot_be_is_refused(value: object) -> None:
    """A ULONG."""
    with pytest.raises(InvalidInputError, match="whole number from 0"):
        HttpLimits(cache_range_chunk_size=value)  # type: ignore[arg-type]


def test_numbers_are_all_set_or_none(machine: EmbeddedMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Windows that does not know the last of them has the first as it was."""
    HttpLimits(max_cache_response_size=5).set(machine=machine)
    settings = machine.port.http_settings

    class Old:
        def __getattr__(self, name: str) -> object:
            return getattr(settings, name)

        def number(self, which: HttpNumber) -> int | None:
            if which is HttpNumber.TLS_THROTTLE:
                raise UnsupportedError("no such setting")
            return settings.number(which)

        def set_number(self, which: HttpNumber, value: int) -> None:
            if which is HttpNumber.TLS_THROTTLE:
                raise UnsupportedError("no such setting")
            settings.set_number(which, value)

    monkeypatch.setattr(machine.port, "http_settings", Old())
    with pytest.raises(UnsupportedError):
        HttpLimits(max_cache_response_size=6, tls_throttle=1).set(machine=machine)
    assert HttpLimits.get(machine=machine) == HttpLimits(max_cache_response_size=5)
    HttpLimits().set(machine=machine)
    assert HttpLimits.get(machine=machine) == HttpLimits()


# -- commands -----------------------------------------------------------------------------------------------------


@pytest.fixture(name="here")
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLSSSL_MACHINE", str(tmp_path / "m.sqlite"))
    return tmp_path


def run(*words: str, code: int = 0) -> None:
    assert main(list(words)) == code


@pytest.mark.usefixtures("here")
def test_reservations_on_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Add, list, update, remove; refusals with their exit codes."""
    run("reservation", "add", URL, "--user", MLS)
    assert capsys.readouterr().out == f"Reserved {URL}: NT SERVICE\\MLS may listen.\n"
    run("reservation", "add", URL, "--user", MLS, code=4)
    run("reservation", "add", "https://+:443/mls", "--user", MLS, code=2)
    assert "write 'https://+:443/mls/'" in capsys.readouterr().err
    run("reservation", "add", "https://+:1/", "--user", "nobody-at-all", code=3)
    run("reservation", "add", "https://+:1/", code=2)
    run("reservation", "add", "https://+:1/", "--sddl", "D:(A;;GX;;;WD)", "--delegate", code=2)
    run("reservation", "update", URL, "--user", "Everyone", "--user", "SYSTEM", "--delegate")
    capsys.readouterr()
    run("reservation", "list", "--json")
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["url"], row["sddl"]) == (URL, "D:(A;;GA;;;S-1-1-0)(A;;GA;;;S-1-5-18)")
    run("reservation", "remove", "https://+:443/MLS/")
    run("reservation", "remove", URL, code=3)
    capsys.readouterr()
    run("reservation", "list")
    assert capsys.readouterr().out == "Nothing is reserved.\n"


def test_deploy_reserves_on_the_command_line(
    here: Path, ca: CertificateAuthority, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--reserve` and `--user` belong together."""
    ca.issue("a.test").save(here / "a.pfx", password="pw")
    words = ["deploy", "0.0.0.0:443", "a.pfx", "--password", "env:PW"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PW", "pw")
        run(*words, "--reserve", URL, code=2)
        run(*words, "--user", MLS, code=2)
        assert "needs --user" in capsys.readouterr().err
        run(*words, "--reserve", URL, "--user", MLS)
        assert f"reserved {URL}" in capsys.readouterr().out
        run("audit")
        assert "RESERVED URL" in capsys.readouterr().out
        run("undo", "0.0.0.0:443")
    with EmbeddedMachine(here / "m.sqlite") as machine:
        assert list(machine.reservations) == []


@pytest.mark.usefixtures("here")
def test_the_rest_of_netsh_http_word_for_word(capsys: pytest.CaptureFixture[str]) -> None:
    """Reservations, the listen list and numbers; what is not there is not found."""
    for words, said in (
        (["add", "urlacl", "url=https://+:443/mls", rf"user={MLS}"], "URL reservation successfully added"),
        (["add", "urlacl", "http://+:80/x", "\\Everyone", "yes", "yes"], "URL reservation successfully added"),
        (["add", "urlacl", "url=http://+:80/y/", "user=Everyone", "sddl=D:(A;;GX;;;WD)"], "successfully added"),
        (["show", "urlacl", "url=https://+:443/mls"], f"    Reserved URL            : {URL}"),
        (["show", "urlacl"], "        User: \\Everyone"),
        (["delete", "urlacl", "url=http://+:80/y/"], "URL reservation successfully deleted"),
        (["add", "iplisten", "ipaddress=::"], "IP address successfully added"),
        (["show", "iplisten"], "    ::"),
        (["del", "ipl", "::"], "IP address successfully deleted"),
        (["add", "timeout", "timeouttype=headerwaittimeout", "value=0x40"], "successfully added"),
        (["show", "timeout"], ": 64"),
        (["delete", "timeout", "timeouttype=HeaderWaitTimeout"], "successfully deleted"),
        (["add", "cacheparam", "type=maxcacheresponsesize", "value=262144"], "successfully added"),
        (["show", "cacheparam"], ": 262144"),
        (["add", "setting", "settingtype=sslthrottle", "value=1"], "successfully added"),
        (["delete", "setting", "sslthrottle"], "successfully deleted"),
        (["show", "setting"], "not set"),
    ):
        run("netsh", "http", *words)
        assert said in capsys.readouterr().out, words
    for words, code in (
        (["show", "urlacl", "url=http://+:1/"], 3),
        (["delete", "urlacl", "url=http://+:1/"], 3),
        (["delete", "timeout", "timeouttype=headerwaittimeout"], 3),
        (["add", "urlacl", "url=http://+:80/y/", "user=Everyone", "sddl=D:(A;;GX;;;SY)"], 2),
        (["add", "urlacl", "url=http://+:80", "user=Everyone"], 2),
        (["add", "iplisten", "ipaddress=10.0.0.1:443"], 2),
        (["add", "timeout", "timeouttype=headerwaittimeout", "value=0"], 2),
        (["add", "urlacl", "url=http://+:81/y/", "user=Everyone", "listen=no"], 2),
        (["update", "urlacl", "url=http://+:80/x/"], 2),
    ):
        run("netsh", "http", *words, code=code)


@pytest.mark.usefixtures("here")
def test_a_reservation_that_allows_nothing_is_refused_in_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """In the words of the surface, not of Python's."""
    run("reservation", "add", URL, "--user", "Everyone", "--no-listen", code=2)
    assert "--no-listen allows nothing without --delegate" in capsys.readouterr().err
    run("netsh", "http", "add", "urlacl", f"url={URL}", "user=Everyone", "listen=no", code=2)
    assert "listen=no allows nothing without delegate=yes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["add", "urlacl", f"url={URL}", f"user={MLS}"], f'reserve="{URL}"'),
        (["add", "urlacl", f"url={URL}", "sddl=D:(A;;GX;;;WD)"], "sddl='D:(A;;GX;;;WD)'"),
        (
            ["add", "urlacl", f"url={URL}", "sddl=D:(A;;GX;;;WD)"],
            f"""cert, reserve=UrlReservation("{URL}", sddl='D:(A;;GX;;;WD)'))""",
        ),
        (["add", "urlacl", "url=https://+:8443/a/", r"user=\Everyone"], """deploy("0.0.0.0:8443", cert, reserve="""),
        (["add", "urlacl", f"url={URL}", r"user=\Everyone", "delegate=yes"], f'{URL} --user "Everyone" --delegate\n'),
        (
            ["add", "urlacl", f"url={URL}", "user=Everyone", "delegate=yes"],
            f"""reserve=UrlReservation("{URL}", user='Everyone', delegate=True))""",
        ),
        (
            ["add", "urlacl", "url=http://+:80/a/", "user=Everyone", "listen=no", "delegate=yes"],
            """  UrlReservation("http://+:80/a/", user='Everyone', listen=False, delegate=True).add()""",
        ),
        (["show", "urlacl"], "UrlReservation.all()"),
        (["delete", "urlacl", f"url={URL}"], "update()"),
        (["add", "iplisten", "ipaddress=::"], 'IpListenList().add("::")'),
        (["show", "iplisten"], "list(IpListenList())"),
        (["show", "timeout"], "HttpTimeouts.get()"),
        (["add", "cacheparam", "type=maxcacheresponsesize", "value=1"], "HttpLimits"),
    ],
)
def test_explain_says_the_modern_call(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    """And does nothing."""
    run("netsh", "http", *words, "--explain")
    assert said in capsys.readouterr().out
    assert list(here.iterdir()) == []


def test_a_machine_without_reservations_is_audited_all_the_same(
    machine: EmbeddedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An old Windows, or Wine by itself."""

    class Nothing:
        def all(self) -> list[ReservationRecord]:
            raise UnsupportedError("this Windows has no URL reservations")

    monkeypatch.setattr(machine.port, "reservations", Nothing())
    assert audit(machine=Machine(machine.port)).reservations == ()
