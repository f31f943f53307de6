"""`Store.crls`, `add_crl`, `remove_crl`: the newest list of each line stays, and nothing is lost on the way."""

from __future__ import annotations

import datetime as dt
import hashlib
import pickle
import subprocess
import sys
import textwrap
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from hypothesis import given, settings
from hypothesis import strategies as st

from made_certificates import CRL_MOMENT, crl_der, make, make_crl, shared_key
from mlsssl import (
    AccessDeniedError,
    Certificate,
    CertificateAuthority,
    EmbeddedMachine,
    InvalidInputError,
    MalformedDataError,
    NotFoundError,
    RevocationList,
    Store,
    StoreClosedError,
    StoreNotFoundError,
    Thumbprint,
)
from mlsssl._embedded.port import EmbeddedPort
from mlsssl._fakes.computer import LOCAL_MACHINE, Computer, Entry
from mlsssl.testing import fake_windows_machine, memory_machine
from repetitions import examples

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlsssl.machine import Machine


def made(number: int | None, **options: Any) -> RevocationList:
    return RevocationList(make_crl(number, **options))


LATER = CRL_MOMENT + dt.timedelta(days=1)
OLD = made(1)
NEW = made(2, at=LATER, revoked=[7])
BESIDE = {
    "another issuer": made(1, issuer="another authority"),
    "another key": made(1, key=shared_key(1)),
    "another scope": made(1, scope="http://made.example/1.crl"),
    "a third scope": made(1, scope="http://made.example/2.crl"),
    "a delta list": made(1, delta=True),
}


@pytest.fixture(params=["embedded", "windows"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    if request.param == "embedded":
        with EmbeddedMachine(tmp_path / "machine.sqlite") as embedded:
            yield embedded
    else:
        with fake_windows_machine() as fake:
            yield fake.machine


@pytest.fixture
def store(machine: Machine) -> Iterator[Store]:
    with machine.store("CA") as opened:
        yield opened


def held(store: Store) -> set[bytes]:
    return {crl_der(one) for one in store.crls()}


def test_a_newer_list_takes_the_place_of_the_older(store: Store) -> None:
    """And comes back as what `check` takes; the same again is nothing."""
    assert store.crls() == ()
    assert store.add_crl(OLD) == (OLD,)
    assert store.crls() == (OLD,)
    assert store.add_crl(OLD) == ()
    assert store.add_crl(NEW) == (NEW,)
    assert store.crls() == (NEW,)
    assert store.add_crl(NEW) == ()


def test_a_list_that_rolls_back_is_refused(store: Store) -> None:
    """An older one, and one of the same moment and number that is another; what was there stays."""
    store.add_crl(NEW)
    for crl in (OLD, made(1, at=LATER), made(None, at=LATER), made(2, at=LATER), made(9)):
        with pytest.raises(InvalidInputError, match=r"not newer than the one in LocalMachine\\CA") as caught:
            store.add_crl(crl)
        assert "CN=made authority" in str(caught.value)
        assert "number 2" in str(caught.value)
    assert store.crls() == (NEW,)


def test_the_crl_number_decides_between_lists_of_one_moment(store: Store) -> None:
    """A list with a number is newer than one without."""
    for crl in (made(None), made(0), made(2**80)):
        assert store.add_crl(crl) == (crl,)
        assert store.crls() == (crl,)


@pytest.mark.parametrize("name", BESIDE)
def test_lists_of_another_line_stand_beside(store: Store, name: str) -> None:
    """Neither replaces the other, whichever is newer."""
    store.add_crl(NEW)
    store.add_crl(BESIDE[name])
    assert held(store) == {crl_der(NEW), crl_der(BESIDE[name])}


def test_every_form_is_taken(store: Store, tmp_path: Path) -> None:
    """DER and PEM, as bytes, path and text of a path; of several the newest of each line."""
    pem = b"".join(one.to_pem() for one in (NEW, OLD, *BESIDE.values()))
    (tmp_path / "list.crl").write_bytes(crl_der(OLD))
    (tmp_path / "lists.pem").write_bytes(pem)
    assert store.add_crl(tmp_path / "list.crl") == (OLD,)
    assert store.add_crl(str(tmp_path / "list.crl")) == ()
    assert store.add_crl(crl_der(OLD)) == ()
    assert set(map(crl_der, store.add_crl(tmp_path / "lists.pem"))) == {crl_der(NEW), *map(crl_der, BESIDE.values())}
    assert store.add_crl(pem) == ()
    store.remove_crl(b"".join(one.to_pem() for one in (NEW, *BESIDE.values())))
    assert store.crls() == ()


def test_of_several_lists_all_or_none_are_added(store: Store) -> None:
    """One that rolls back keeps the others out."""
    store.add_crl(NEW)
    both = b"".join(one.to_pem() for one in (BESIDE["another issuer"], OLD))
    with pytest.raises(InvalidInputError):
        store.add_crl(both)
    assert store.crls() == (NEW,)


def test_exactly_the_named_list_is_removed(store: Store, tmp_path: Path) -> None:
    """By itself, by its bytes, by its file, by its SHA-1; one of several that is not there keeps all in."""
    other = BESIDE["a delta list"]
    (tmp_path / "list.crl").write_bytes(crl_der(OLD))
    sha1 = OLD.thumbprint
    assert sha1 == Thumbprint(hashlib.sha1(crl_der(OLD)).digest())
    for form in (OLD, crl_der(OLD), tmp_path / "list.crl", sha1):
        store.add_crl(OLD)
        store.add_crl(other)
        store.remove_crl(form)
        assert store.crls() == (other,)
        with pytest.raises(StoreNotFoundError, match=r"LocalMachine\\CA"):
            store.remove_crl(form)
    with pytest.raises(StoreNotFoundError, match="made authority"):
        store.remove_crl(b"".join(one.to_pem() for one in (other, OLD)))
    assert store.crls() == (other,)


def test_what_is_no_list_is_refused(store: Store, tmp_path: Path) -> None:
    """Bytes, files that are something else or not there, a certificate, another type."""
    (tmp_path / "text").write_bytes(b"no list")
    for value in (b"", b"no list", tmp_path / "text", make("x.example").der):
        with pytest.raises(MalformedDataError):
            store.add_crl(value)
        with pytest.raises(MalformedDataError):
            store.remove_crl(value)
    with pytest.raises(NotFoundError):
        store.add_crl(tmp_path / "missing.crl")
    with pytest.raises(InvalidInputError):
        store.add_crl(Certificate.from_der(make("x.example").der))  # type: ignore[arg-type]
    store.close()
    for call in (store.crls, lambda: store.add_crl(OLD), lambda: store.remove_crl(OLD)):
        with pytest.raises(StoreClosedError):
            call()


def unreadable() -> bytes:
    """A list in DER with an extension of which nobody can make sense."""
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=OLD.to_cryptography().issuer, last_update=CRL_MOMENT, next_update=LATER
    ).add_extension(x509.UnrecognizedExtension(x509.CRLNumber.oid, b"\x04\x01x"), critical=False)
    return crl_der(builder.sign(shared_key(), hashes.SHA256()))


def test_an_unreadable_list_is_no_reason_to_stop(machine: Machine, store: Store) -> None:
    """It is left out, the others are read and renewed, and it goes by its SHA-1."""
    damaged = unreadable()
    with closing(machine.port.open_store("CA", "LocalMachine", write=True)) as port:
        port.add_crl(damaged)
        assert port.crls() == [damaged]
        assert store.crls() == ()
        store.add_crl(OLD)
        store.add_crl(NEW)
        assert store.crls() == (NEW,)
        assert set(port.crls()) == {damaged, crl_der(NEW)}
        for form in (damaged, x509.load_der_x509_crl(damaged)):
            with pytest.raises(MalformedDataError):
                store.add_crl(form)
        store.remove_crl(Thumbprint(hashlib.sha1(damaged).digest()))
        assert port.crls() == [crl_der(NEW)]
        with pytest.raises(StoreNotFoundError, match="made authority"):
            store.remove_crl(x509.load_der_x509_crl(damaged))


def test_what_a_killed_process_or_a_race_left_is_tidied_up(machine: Machine, store: Store) -> None:
    """Several lists of one line: the next `add_crl` keeps the newest, whether or not it added anything."""
    with closing(machine.port.open_store("CA", "LocalMachine", write=True)) as port:
        for crl in (OLD, NEW, made(None)):
            port.add_crl(crl_der(crl))
    assert len(store.crls()) == 3
    with pytest.raises(InvalidInputError):
        store.add_crl(OLD)  # it is there, but is not the one that counts
    assert store.add_crl(NEW) == ()
    assert store.crls() == (NEW,)


def test_who_may_not_change_the_store_may_look() -> None:
    """An unelevated user of Windows."""
    computer = Computer()
    computer.stores[LOCAL_MACHINE, "ca"].crls.append(Entry(crl_der(OLD)))
    with fake_windows_machine(computer=computer, administrator=False) as plain:
        store = plain.machine.store("CA")
        assert store.crls() == (OLD,)
        with pytest.raises(AccessDeniedError):
            store.add_crl(NEW)
        with pytest.raises(AccessDeniedError):
            store.remove_crl(OLD)
        assert store.crls() == (OLD,)


def test_a_process_killed_at_any_statement_has_lost_no_list(tmp_path: Path) -> None:
    """The old one or the new one is there, the last acknowledged at least; doing it again ends in the new one."""
    script = """
        import os, sys
        from mlsssl._embedded.port import EmbeddedPort
        from mlsssl.machine import Machine
        left = int(sys.argv[2])
        def hook(statement):
            global left
            if left == 0:
                os._exit(9)
            left -= 1
        port = EmbeddedPort(sys.argv[1], on_statement=hook)
        Machine(port).store("CA").add_crl(sys.argv[3])
    """
    (tmp_path / "new.crl").write_bytes(crl_der(NEW))
    seen = []
    for statements in range(60):
        path = tmp_path / f"{statements}.sqlite"
        with EmbeddedMachine(path) as machine:
            machine.store("CA").add_crl(OLD)
        run = [sys.executable, "-c", textwrap.dedent(script), str(path), str(statements), str(tmp_path / "new.crl")]
        done = subprocess.run(run, capture_output=True, text=True, timeout=60, check=False)
        with EmbeddedMachine(path) as machine:
            store = machine.store("CA")
            seen.append(store.crls())
            assert seen[-1] in ((OLD,), (NEW,)), statements
            store.add_crl(NEW)
            assert store.crls() == (NEW,)
        if done.returncode == 0:
            break
        assert done.returncode == 9, done.stderr
    else:
        pytest.fail("it never came to its end")
    assert seen[0] == (OLD,)
    assert (NEW,) in seen[:-1], "no kill came between the new list and the end"


def test_an_authoritys_own_lists_are_taken(tmp_path: Path) -> None:
    """`ca.crl` in, `check` out: what the list names is revoked, and the twin is not."""
    ca = CertificateAuthority.create("Store CRL CA", key="ec-p256")
    bad, good = ca.issue("bad.example", key="ec-p256"), ca.issue("good.example", key="ec-p256")
    with EmbeddedMachine(tmp_path / "machine.sqlite") as machine, machine.store("CA") as store:
        store.add_crl(ca.crl(number=1))
        store.add_crl(ca.crl([bad], number=2))
        crls = store.crls()
    assert len(crls) == 1
    assert "revoked" in {f.code for f in bad.check("bad.example", trust=[ca], crls=crls).errors}
    assert good.check("good.example", trust=[ca], crls=crls).ok


def test_a_revocation_list_as_a_noun(tmp_path: Path) -> None:
    """What it says, written and read again, by value; what is none, and several, are refused."""
    moment = dt.datetime(2026, 5, 1, tzinfo=dt.timezone.utc)
    ca = CertificateAuthority.create("Lister", key="ec-p256", at=moment)
    crl = ca.crl([(0xAB, moment, "keyCompromise")], number=5, at=moment)
    assert (crl.issuer, crl.number, len(crl)) == ("CN=Lister", 5, 1)
    assert (crl.this_update, crl.next_update) == (moment, moment + dt.timedelta(days=30))
    assert crl.revokes(0xAB)
    assert not crl.revokes(0xAC)
    assert crl.to_dict()["entries"] == [
        {"serial_number": "ab", "at": "2026-05-01T00:00:00+00:00", "reason": "keyCompromise"}
    ]
    for name, start in (("a.crl", b"\x30"), ("a.pem", b"-----BEGIN X509 CRL")):
        assert crl.save(tmp_path / name).read_bytes().startswith(start)
        assert RevocationList.load(tmp_path / name) == crl
    assert {crl, RevocationList.from_bytes(crl.to_der()), pickle.loads(pickle.dumps(crl))} == {crl}
    assert crl != ca.crl(number=6)
    assert ca.crl(number=6), "an empty list is a list"
    assert "number 5" in repr(crl)
    with pytest.raises(AttributeError, match="immutable"):
        crl.number = 6  # type: ignore[misc]  # the point of it
    with pytest.raises(InvalidInputError, match="2 revocation lists"):
        RevocationList.from_bytes(crl.to_pem() + ca.crl(number=6).to_pem())
    with pytest.raises(MalformedDataError):
        RevocationList.from_bytes(b"none")
    with pytest.raises(InvalidInputError, match=r"RevocationList\.load"):
        RevocationList(crl.to_der())  # type: ignore[arg-type]  # the point of it


def test_lists_survive_the_process(tmp_path: Path) -> None:
    """They are in the file, beside the certificates, and in their own store only."""
    port = EmbeddedPort(tmp_path / "machine.sqlite")
    with closing(port), closing(port.open_store("CA", "LocalMachine", write=True)) as store:
        store.add_crl(crl_der(OLD))
    with EmbeddedMachine(tmp_path / "machine.sqlite") as machine:
        assert machine.store("CA").crls() == (OLD,)
        assert machine.store("Root").crls() == ()


MANY = {
    (issuer, day, number): made(number, issuer=issuer, at=CRL_MOMENT + dt.timedelta(days=day))
    for issuer in ("one", "two")
    for day in range(3)
    for number in (None, 1, 2)
}


@settings(max_examples=examples(30), deadline=None)
@given(order=st.lists(st.tuples(st.sampled_from(sorted(MANY, key=str)), st.booleans()), max_size=12))
def test_no_order_of_changes_rolls_a_line_back(order: list[tuple[tuple[str, int, int | None], bool]]) -> None:
    """Against a model of one list for each issuer: a newer one goes in, an older one is refused, one may be removed."""
    model: dict[str, tuple[int, int, int | None]] = {}
    with memory_machine() as machine, machine.store("CA") as store:
        for (issuer, day, number), removed in order:
            crl, age = MANY[issuer, day, number], (day, -1 if number is None else number, number)
            there = model.get(issuer)
            if removed and there == age:
                store.remove_crl(crl)
                del model[issuer]
            elif removed:
                with pytest.raises(StoreNotFoundError):
                    store.remove_crl(crl)
            elif there is not None and there[:2] > age[:2]:
                with pytest.raises(InvalidInputError):
                    store.add_crl(crl)
            else:
                assert store.add_crl(crl) == (() if there == age else (crl,))
                model[issuer] = age
            assert held(store) == {crl_der(MANY[name, each[0], each[2]]) for name, each in model.items()}
