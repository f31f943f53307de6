"""What Salt's runners are made of, without Salt: the table of a fleet, and the walk through a change of the root."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from made_audits import HOSTILE, made_audit
from mlsssl import (
    Audit,
    CertificateAuthority,
    EmbeddedMachine,
    ExistsError,
    InvalidInputError,
    MalformedDataError,
    Store,
    deploy,
    renew,
)
from mlsssl.saltext import _fleet, _root_change
from mlsssl.saltext._fleet import FleetTable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNTIL = dt.datetime(2026, 12, 29, 10, 0, tzinfo=dt.timezone.utc)


@pytest.fixture(name="table")
def _table() -> Iterator[FleetTable]:
    """Two minions with seven and three bindings."""
    with FleetTable(UNTIL) as table:
        table.add("web2", made_audit(3, "what it calls itself", seed=2).to_dict())
        table.add("web1", made_audit(7, "the same").to_dict())
        yield table


def test_a_table_is_of_ids_in_their_order(table: FleetTable) -> None:
    """A minion is called by the id that the master knows it by, whatever it says."""
    assert table.minions == ["web1", "web2"]
    rows = list(table.rows())
    assert [row["minion"] for row in rows] == ["web1"] * 7 + ["web2"] * 3
    assert rows[0]["key"] == str(made_audit(7).rows[0].key)
    assert table.bindings == 10
    whole = [row for number, seed in ((7, 1), (3, 2)) for row in made_audit(number, seed=seed).rows]
    assert table.errors == sum(row.severity == "error" for row in whole)
    assert table.warnings == sum(row.severity == "warning" for row in whole)
    assert table.errors > 0


def test_what_is_due_is_what_is_to_be_renewed_until_then(table: FleetTable) -> None:
    whole = [*made_audit(7).rows, *made_audit(3, seed=2).rows]
    due = {str(row.key) for row in whole if row.renew_from is not None and row.renew_from < UNTIL}
    assert {one["key"] for one in table.due} == due
    assert 0 < len(due) < 10


def test_it_is_saved_as_the_suffix_says(table: FleetTable, tmp_path: Path) -> None:
    """What is saved as JSON is what `audit --from` reads."""
    from mlsssl.cli import main

    saved = table.save(tmp_path / "f.json")
    audits = Audit.from_json(saved.read_bytes())
    assert [one.machine for one in audits] == ["web1", "web2"]
    assert audits[0].rows == made_audit(7).rows
    assert main(["audit", "--from", str(saved), "--html", str(tmp_path / "g.html")]) == 1
    assert table.save(tmp_path / "f.html").read_text() == (tmp_path / "g.html").read_text()
    lines = table.save(tmp_path / "f.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 11
    assert lines[0].split()[:2] == ["MINION", "KEY"]
    assert lines[1].startswith("web1")
    starts = {line.index(str(row["key"])) for line, row in zip(lines[1:], table.rows(), strict=True)}
    assert len(starts) == 1


def test_it_is_not_saved_where_it_must_not(table: FleetTable, tmp_path: Path) -> None:
    for name in ("f.doc", "f"):
        with pytest.raises(InvalidInputError, match=r"\.html, \.json or \.txt"):
            table.save(tmp_path / name)
    key = tmp_path / "key.json"
    CertificateAuthority.create("X", key="ec-p256").save(tmp_path / "key.pem", no_password=True)
    (tmp_path / "key.pem").rename(key)
    with pytest.raises(ExistsError):
        table.save(key)
    with FleetTable(UNTIL) as empty, pytest.raises(InvalidInputError, match="no minion has answered"):
        empty.save(tmp_path / "empty.html")
    assert not (tmp_path / "empty.html").exists()


@pytest.mark.parametrize(
    "answer",
    [None, "Minion did not return", 7, [], {}, {"machine": "x"}, {**made_audit(1).to_dict(), "at": "yesterday"},
     {**made_audit(1).to_dict(), "rows": [7]}, {**made_audit(1).to_dict(), "rows": [{"key": 1}]},
     {**made_audit(1).to_dict(), "machine": None}],
)  # fmt: skip
def test_an_answer_that_is_no_audit(answer: object) -> None:
    """A minion may return anything; nothing of it is in the table."""
    with FleetTable(UNTIL) as table:
        with pytest.raises(MalformedDataError):
            table.add("web1", answer)
        assert table.minions == []
        table.add("web1", made_audit(1).to_dict())
        with pytest.raises(InvalidInputError, match="answered already"):
            table.add("web1", made_audit(1).to_dict())
        assert table.bindings == 1


def test_a_strangers_texts_stay_on_their_line(tmp_path: Path) -> None:
    """No name draws a row of its own, or steers a terminal."""
    found = made_audit(1).to_dict()
    rows = cast("list[dict[str, Any]]", found["rows"])
    rows[0] |= {"names": f"{HOSTILE}\nweb9  0.0.0.0:1", "owner": "\x1b[2J"}
    with FleetTable(UNTIL) as table:
        table.add("web1\nweb2", found)
        text = table.save(tmp_path / "f.txt").read_text(encoding="utf-8")
    assert text.count("\n") == 2
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("answer", "words"),
    [("Traceback\n  File x\nErrorOfSalt: no\n\n", "ErrorOfSalt: no"), ("", "nothing"), (None, "None")],
)
def test_the_reason_of_a_failure_is_one_line(answer: object, words: str) -> None:
    found = _fleet.reason(answer)
    assert words in found
    assert "\n" not in found
    assert len(_fleet.reason("x" * 10_000)) <= 500


# -- a change of the root ----------------------------------------------------------------------------------------------


class Fleet:
    """Minions without Salt: machines, and the functions of `mlsssl_root` on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.old = CertificateAuthority.create("Fleet Root", key="ec-p256", days=300)
        made = self.old.renew(days=3652)
        assert made.bridge is not None
        assert made.old_with_new is not None
        self.bridge, self.new, self.cross = made.bridge, made.authority, made.old_with_new
        self.old.certificate.save(folder / "old.cer")
        self.new.certificate.save(folder / "new.cer")
        self.cross.save(folder / "cross.cer")
        self.ids = frozenset({"web1", "web2", "web3"})
        self.silent: set[str] = set()
        self.failing: set[str] = set()
        self.asked: list[str] = []
        for name in self.ids:
            with EmbeddedMachine(folder / f"{name}.sqlite") as machine:
                deploy("0.0.0.0:443", self.old.issue("web.test", key="ec-p256"), machine=machine, verify=False)

    def change(self, **more: Any) -> _root_change.Change:
        given = {"old_with_new": str(self.folder / "cross.cer"), "issuer": "fleet", "clients_trust_new": True, **more}
        return _root_change.Change.load(str(self.folder / "old.cer"), str(self.folder / "new.cer"), **given)

    def walk(self, step: str, **more: Any) -> dict[str, Any]:
        return _root_change.walk(self.change(**more), step, cast("_fleet.Minions", self), batch="1")

    def ask(self, function: str, *arguments: Any, batch: str | None = None) -> Iterator[tuple[str, bool, Any]]:
        name = function.removeprefix("mlsssl_root.")
        for minion in sorted(self.ids - self.silent):
            if name != "look":
                self.asked.append(f"{minion} {name}")
            if minion in self.failing and name != "look":
                yield minion, False, "Traceback …\nit fails"
                if batch is not None:
                    return
                continue
            with EmbeddedMachine(self.folder / f"{minion}.sqlite") as machine:
                change = _root_change.from_texts(*arguments[:2])
                if name == "successor":
                    from mlsssl import Certificate

                    _root_change.add_successor(Certificate.from_text(arguments[2]), machine)
                elif name == "changeover":
                    for key in cast("list[str]", _root_change.state(change, machine)["of_old"]):
                        renew(key, self.bridge, machine=machine, verify=False)
                elif name == "finish":
                    _root_change.finish(change, machine)
                yield minion, True, _root_change.state(change, machine)


@pytest.fixture(name="fleet")
def _fleet_without_salt(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


def test_a_root_is_changed_step_by_step(fleet: Fleet) -> None:
    """And a step that is done again changes nothing."""
    assert fleet.walk("look")["next"] == "successor"
    following = {"successor": "changeover", "changeover": "finish", "finish": None}
    for step, after in following.items():
        for _ in range(2):
            found = fleet.walk(step)
            assert (found["lacking"], found["next"]) == ({}, after)
        assert fleet.walk("look")["next"] == after
    for minion in fleet.ids:
        with EmbeddedMachine(fleet.folder / f"{minion}.sqlite") as machine:
            with Store.open("Root", machine=machine) as store:
                assert [one.thumbprint for one in store] == [fleet.new.certificate.thumbprint]
            with Store.open("CA", machine=machine) as store:
                assert len(store) == 0


@pytest.mark.parametrize("step", ["changeover", "finish"])
def test_a_step_waits_for_the_one_before(fleet: Fleet, step: str) -> None:
    with pytest.raises(InvalidInputError, match="has to wait, nothing was changed: 3 of 3"):
        fleet.walk(step)
    assert fleet.asked == []


def test_one_that_does_not_answer_keeps_all_from_the_next_step(fleet: Fleet) -> None:
    fleet.silent = {"web2"}
    with pytest.raises(InvalidInputError, match=r"1 of 3 minions lack the step before \(web2: it did not answer"):
        fleet.walk("successor")
    fleet.silent = set()
    fleet.walk("successor")
    fleet.silent = {"web3"}
    with pytest.raises(InvalidInputError, match="web3: it did not answer"):
        fleet.walk("changeover")
    assert not any("changeover" in one for one in fleet.asked)


def test_a_failure_stops_the_batch_and_the_next_step(fleet: Fleet) -> None:
    fleet.walk("successor")
    fleet.failing = {"web2"}
    found = fleet.walk("changeover")
    assert set(found["lacking"]) == {"web2", "web3"}
    assert found["lacking"]["web2"] == "it fails"
    assert "still of the old key: 0.0.0.0:443" in found["lacking"]["web3"]
    assert found["next"] == "changeover"
    with pytest.raises(InvalidInputError, match="2 of 3 minions lack the step before"):
        fleet.walk("finish")
    fleet.failing = set()
    assert fleet.walk("changeover")["next"] == "finish"


@pytest.mark.parametrize(
    ("step", "more", "words"),
    [
        ("nonsense", {}, "the steps are"),
        ("successor", {"old_with_new": None}, "needs old_with_new"),
        ("changeover", {"issuer": None}, "needs issuer"),
        ("finish", {"clients_trust_new": False}, "clients_trust_new=True"),
        ("finish", {"clients_trust_new": "yes"}, "clients_trust_new=True"),
    ],
)
def test_a_step_lacks_its_argument(fleet: Fleet, step: str, more: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        fleet.walk(step, **more)
    assert fleet.asked == []


def test_roots_that_are_none_of_one_change(fleet: Fleet) -> None:
    """Each mistake of the files is told, before anybody is asked."""
    place = fleet.folder
    other = CertificateAuthority.create("Other Root", key="ec-p256")
    other.certificate.save(place / "other.cer")
    fleet.old.issue("leaf.test", key="ec-p256").without_key().save(place / "leaf.cer")
    for old, new, words in (
        ("old.cer", "other.cer", "two roots of one change"),
        ("old.cer", "old.cer", "two roots of one change"),
        ("leaf.cer", "new.cer", "old is the certificate of a root"),
        ("old.cer", "cross.cer", "new is the certificate of a root"),
    ):
        with pytest.raises(InvalidInputError, match=words):
            _root_change.Change.load(
                str(place / old), str(place / new), old_with_new=None, issuer=None, clients_trust_new=False
            )
    with pytest.raises(InvalidInputError, match="old_with_new is the old root's key"):
        fleet.change(old_with_new=str(place / "new.cer"))


def test_other_certificates_stay_where_they_are(fleet: Fleet) -> None:
    """What another authority has issued is nobody's business, and neither are its certificates in the stores."""
    other = CertificateAuthority.create("Other Root", key="ec-p256")
    with EmbeddedMachine(fleet.folder / "web1.sqlite") as machine:
        deploy("0.0.0.0:444", other.issue("web.test", key="ec-p256"), machine=machine, verify=False, trust_root=True)
        change = fleet.change()
        assert _root_change.state(change, machine)["others"] == ["0.0.0.0:444"]
    for step in _root_change.STEPS:
        fleet.walk(step)
    with EmbeddedMachine(fleet.folder / "web1.sqlite") as machine:
        found = _root_change.state(fleet.change(), machine)
        assert (found["of_new"], found["others"]) == (["0.0.0.0:443"], ["0.0.0.0:444"])
        with Store.open("Root", machine=machine) as store:
            assert other.certificate.thumbprint in store.thumbprints()


def test_answers_that_are_none(fleet: Fleet) -> None:
    """A stolen minion may say anything; it is shown, and the step waits."""

    def ask(function: str, *arguments: Any, batch: str | None = None) -> Iterator[tuple[str, bool, Any]]:
        yield "web1", True, {"has_old_with_new": "yes"}
        yield "web2", True, None
        yield "web3", False, "no such function"

    fleet.ask = ask  # type: ignore[method-assign]
    with pytest.raises(InvalidInputError, match="3 of 3 minions") as told:
        fleet.walk("successor")
    assert "no such function" in str(told.value)
    json.dumps(str(told.value))
