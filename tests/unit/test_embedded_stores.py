"""Stores of the embedded machine: what goes in, what is found again, whose the keys are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from made_certificates import Made, make, shared_key
from mlsssl._embedded.port import EmbeddedPort
from mlsssl._machine.ports import Cause, NewCertificate, StoreRecord
from mlsssl.errors import (
    AccessDeniedError,
    InvalidInputError,
    MalformedDataError,
    StoreClosedError,
    StoreNotFoundError,
    UnsupportedError,
    WrongPasswordError,
)
from mlsssl.values import Thumbprint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mlsssl._embedded.stores import EmbeddedStore

ONE = make("one.example", key=shared_key(1))
TWO = make("two.example", key=shared_key(2))
RENEWED = make("one.example", key=shared_key(1), days=60)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[EmbeddedPort]:
    port = EmbeddedPort(tmp_path / "machine.sqlite")
    yield port
    port.close()


@pytest.fixture
def store(machine: EmbeddedPort) -> EmbeddedStore:
    return machine.open_store("MY", "LocalMachine", write=True)


def add(store: EmbeddedStore, made: Made, *, key: bool = True, exportable: bool = False) -> StoreRecord:
    return store.add(made.der, made.pkcs8 if key else None, friendly_name=None, exportable=exportable, provider=None)


def key_rows(machine: EmbeddedPort) -> int:
    """How many keys there are; what they are made of must have come and gone with them."""
    persisted = machine._database.query("SELECT container FROM keys WHERE persisted ORDER BY container")
    assert persisted == machine._database.query("SELECT container FROM key_material ORDER BY container")
    return int(machine._database.query("SELECT count(*) FROM keys")[0][0])


def test_what_was_added_is_found_after_opening_again(machine: EmbeddedPort, store: EmbeddedStore) -> None:
    """Certificate, name and key are there for the next process."""
    store.add(ONE.der, ONE.pkcs8, friendly_name="Büro", exportable=True, provider=None)
    machine.close()
    again = EmbeddedPort(machine.path)
    record = again.open_store("my", "LocalMachine").find(ONE.thumbprint)
    assert record is not None
    assert (record.certificate, record.friendly_name, record.archived) == (ONE.der, "Büro", False)
    assert record.key is not None
    assert record.key.usable
    assert record.key.machine_keyset
    assert record.key.exportable
    assert again.open_store("MY", "LocalMachine").find(TWO.thumbprint) is None
    again.close()


def test_the_repr_of_a_record_shows_no_key(store: EmbeddedStore) -> None:
    """Neither do those of the store and of an item on its way in."""
    record = add(store, ONE)
    item = NewCertificate(certificate=ONE.der, private_key=ONE.pkcs8)
    for text in (repr(record), repr(store), repr(item)):
        assert repr(ONE.pkcs8)[2:40] not in text


def test_adding_again_keeps_a_usable_key_and_its_terms(machine: EmbeddedPort, store: EmbeddedStore) -> None:
    """Neither a call without a key nor one with other terms takes anything away."""
    first = add(store, ONE, exportable=False)
    store.set_archived(ONE.thumbprint, True)
    add(store, ONE, key=False)
    second = add(store, ONE, exportable=True)
    assert second.key == first.key
    assert second.archived
    assert key_rows(machine) == 1


def test_adding_again_gives_a_missing_key(store: EmbeddedStore) -> None:
    """The usual repair of 1312: the same certificate, this time with its key."""
    assert add(store, ONE, key=False).key is None
    repaired = add(store, ONE)
    assert repaired.key is not None
    assert repaired.key.usable


@pytest.mark.parametrize("cause", [Cause.KEY_NOT_FOUND, Cause.KEY_NOT_PERSISTED, Cause.USER_KEYSET, Cause.KEY_MISMATCH])
def test_adding_again_replaces_an_unusable_key(machine: EmbeddedPort, store: EmbeddedStore, cause: Cause) -> None:
    """Whatever was wrong with it, and it leaves no key behind."""
    add(store, ONE)
    store.imitate(ONE.thumbprint, cause)
    assert [d.cause for d in machine.diagnose(ONE.thumbprint, "MY")] == [cause]
    assert key_rows(machine) == (cause is not Cause.KEY_NOT_FOUND)
    repaired = add(store, ONE)
    assert repaired.key is not None
    assert repaired.key.usable
    assert machine.diagnose(ONE.thumbprint, "MY") == ()
    assert key_rows(machine) == 1


def test_the_friendly_name_is_set_only_when_given(store: EmbeddedStore) -> None:
    """None leaves what is there; clearing has a call of its own."""
    store.add(ONE.der, None, friendly_name="first", exportable=False, provider=None)
    assert add(store, ONE).friendly_name == "first"
    store.set_friendly_name(ONE.thumbprint, "second")
    store.set_friendly_name(ONE.thumbprint, None)
    assert add(store, ONE).friendly_name is None


@pytest.mark.parametrize("name", ["", "nul\0", "half \ud800"])
def test_a_name_that_cannot_be_kept_is_refused(store: EmbeddedStore, name: str) -> None:
    """Before anything is changed."""
    with pytest.raises(InvalidInputError, match="friendly name"):
        store.add(ONE.der, None, friendly_name=name, exportable=False, provider=None)
    add(store, ONE)
    with pytest.raises(InvalidInputError, match="friendly name"):
        store.set_friendly_name(ONE.thumbprint, name)


def test_archived_certificates_are_found_but_not_listed(store: EmbeddedStore) -> None:
    """As on Windows."""
    add(store, ONE)
    add(store, TWO)
    store.set_archived(ONE.thumbprint, True)
    assert list(store.thumbprints()) == [TWO.thumbprint]
    assert [record.certificate for record in store.records()] == [TWO.der]
    found = store.find(ONE.thumbprint)
    assert found is not None
    assert found.archived


def test_the_renewal_mark_is_kept(store: EmbeddedStore) -> None:
    """And cleared."""
    add(store, ONE)
    store.set_renewed_by(ONE.thumbprint, RENEWED.thumbprint)
    record = store.find(ONE.thumbprint)
    assert record is not None
    assert record.renewed_by == RENEWED.thumbprint
    assert isinstance(record.renewed_by, Thumbprint)
    store.set_renewed_by(ONE.thumbprint, None)
    assert next(store.records()).renewed_by is None


def test_properties_of_a_missing_certificate_are_not_found(store: EmbeddedStore) -> None:
    """Every call that needs one says which one, and where."""
    calls = [
        lambda: store.set_archived(ONE.thumbprint, True),
        lambda: store.set_friendly_name(ONE.thumbprint, "x"),
        lambda: store.set_renewed_by(ONE.thumbprint, None),
        lambda: store.remove(ONE.thumbprint, delete_key=True),
        lambda: store.export_key(ONE.thumbprint),
        lambda: store.imitate(ONE.thumbprint, Cause.NO_KEY),
    ]
    for call in calls:
        with pytest.raises(StoreNotFoundError, match=str(ONE.thumbprint)):
            call()  # type: ignore[no-untyped-call]


def test_certificates_of_one_key_share_it_until_the_last_one_goes(machine: EmbeddedPort, store: EmbeddedStore) -> None:
    """A renewal with the old key has one container; the key goes with the last certificate."""
    first, second = add(store, ONE), add(store, RENEWED)
    assert first.key is not None
    assert second.key is not None
    assert first.key.container == second.key.container
    store.remove(ONE.thumbprint, delete_key=True)
    left = store.find(RENEWED.thumbprint)
    assert left is not None
    assert left.key is not None
    assert left.key.usable
    store.remove(RENEWED.thumbprint, delete_key=True)
    assert key_rows(machine) == 0


def test_a_key_is_not_shared_between_different_terms(machine: EmbeddedPort, store: EmbeddedStore) -> None:
    """An exportable copy must not make the other one exportable, nor a user's key the machine's."""
    add(store, ONE, exportable=False)
    add(store, RENEWED, exportable=True)
    user = machine.open_store("MY", "CurrentUser", write=True)
    kept = add(user, ONE)
    assert kept.key is not None
    assert not kept.key.machine_keyset
    assert key_rows(machine) == 3
    with pytest.raises(AccessDeniedError):
        store.export_key(ONE.thumbprint)
    assert store.export_key(RENEWED.thumbprint) == ONE.pkcs8


def test_a_key_can_be_left_and_is_not_recovered(machine: EmbeddedPort, store: EmbeddedStore) -> None:
    """Windows leaves it, so a call that asks for it does too; recover takes real orphans only."""
    add(store, ONE)
    store.remove(ONE.thumbprint, delete_key=False)
    add(store, TWO)
    store.imitate(TWO.thumbprint, Cause.NO_KEY)
    assert key_rows(machine) == 2
    lines = machine.recover()
    assert len(lines) == 1
    assert "removed the private key" in lines[0]
    assert key_rows(machine) == 1
    assert machine.recover() == []
    add(store, ONE)
    store.remove(ONE.thumbprint, delete_key=True)
    assert key_rows(machine) == 0


def test_a_key_leaves_the_machine_only_when_it_may(store: EmbeddedStore) -> None:
    """Exportable is asked for at adding; the error says so."""
    add(store, ONE, exportable=True)
    add(store, TWO)
    assert store.export_key(ONE.thumbprint) == ONE.pkcs8
    with pytest.raises(AccessDeniedError, match="exportable=True") as caught:
        store.export_key(TWO.thumbprint)
    assert caught.value.right == "exportable key"
    store.imitate(ONE.thumbprint, Cause.KEY_NOT_FOUND)
    with pytest.raises(StoreNotFoundError, match="no usable private key"):
        store.export_key(ONE.thumbprint)


def test_a_key_of_another_certificate_does_not_count(machine: EmbeddedPort, store: EmbeddedStore) -> None:
    """The comparison is real: the digests come from the key and from the certificate."""
    record = store.add(ONE.der, TWO.pkcs8, friendly_name=None, exportable=False, provider=None)
    assert record.key is not None
    assert record.key.matches is False
    assert not record.key.usable
    assert [d.cause for d in machine.diagnose(ONE.thumbprint, "MY")] == [Cause.KEY_MISMATCH]


def test_a_csp_key_is_rsa(store: EmbeddedStore) -> None:
    """Windows' older key storage knows no elliptic curves."""
    with pytest.raises(UnsupportedError, match="RSA keys only"):
        store.add(ONE.der, ONE.pkcs8, friendly_name=None, exportable=False, provider="csp")
    record = store.add(ONE.der, ONE.pkcs8, friendly_name=None, exportable=False, provider="cng")
    assert record.key is not None
    with pytest.raises(InvalidInputError, match="'cng', 'csp'"):
        store.add(ONE.der, ONE.pkcs8, friendly_name=None, exportable=False, provider="tpm")  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [b"", b"\x30\x03\x02\x01\x01", ONE.der[:-1], ONE.der + b"\0", ONE.pem])
def test_what_is_no_certificate_is_malformed(store: EmbeddedStore, data: bytes) -> None:
    """And nothing is kept of it."""
    with pytest.raises(MalformedDataError, match="not a DER certificate"):
        store.add(data, None, friendly_name=None, exportable=False, provider=None)
    assert list(store.thumbprints()) == []


def test_what_is_no_private_key_is_malformed(store: EmbeddedStore) -> None:
    """The certificate does not go in without it."""
    with pytest.raises(MalformedDataError, match="not a PKCS#8 private key"):
        store.add(ONE.der, ONE.pkcs8[:-1], friendly_name=None, exportable=False, provider=None)
    assert list(store.thumbprints()) == []


def test_a_pfx_is_taken_as_it_is(store: EmbeddedStore) -> None:
    """The certificate with the key lands here; the others are handed back and put nowhere."""
    root = make("root", authority=True)
    leaf = make("leaf.example", issuer=root)
    record, others = store.import_pfx(
        leaf.pfx("Pässword", root, friendly_name=b"from the file"), "Pässword", exportable=True, friendly_name=None
    )
    assert (record.certificate, record.friendly_name, others) == (leaf.der, "from the file", (root.der,))
    assert store.export_key(leaf.thumbprint) == leaf.pkcs8
    assert store.find(root.thumbprint) is None


def test_a_wrong_password_is_told_from_damage(store: EmbeddedStore) -> None:
    """Two errors, for two things to do; nothing is stored by either."""
    data = ONE.pfx("right")
    with pytest.raises(WrongPasswordError):
        store.import_pfx(data, "wrong", exportable=False, friendly_name=None)
    with pytest.raises(MalformedDataError) as caught:
        store.import_pfx(data[: len(data) // 2], "right", exportable=False, friendly_name=None)
    assert not isinstance(caught.value, WrongPasswordError)
    assert list(store.thumbprints()) == []
    store.import_pfx(data, "right", exportable=False, friendly_name="named")
    assert next(store.records()).friendly_name == "named"


def test_many_are_added_from_an_iterator_that_reads_the_same_machine(
    machine: EmbeddedPort, store: EmbeddedStore
) -> None:
    """No lock is held while the caller's code runs, and pages are no limit to a listing."""
    made = [make(f"h{n}.example", key=shared_key(n % 3)) for n in range(1203)]
    seen: list[int] = []

    def items() -> Iterator[NewCertificate]:
        for n, one in enumerate(made):
            if n % 600 == 0:
                seen.append(len(list(store.thumbprints())))
            yield NewCertificate(certificate=one.der, private_key=one.pkcs8, friendly_name=f"number {n}")

    assert store.add_many(items(), exportable=False) == 1203
    assert seen == [0, 0, 1000]
    assert set(store.thumbprints()) == {one.thumbprint for one in made}
    assert len(list(store.records())) == 1203
    assert key_rows(machine) == 3
    assert store.add_many(iter(()), exportable=False) == 0


def test_an_error_among_many_leaves_the_first_ones_whole(store: EmbeddedStore) -> None:
    """Everything of a chunk or nothing; the error is the item's own."""
    items = [NewCertificate(certificate=ONE.der), NewCertificate(certificate=b"no certificate")]
    with pytest.raises(MalformedDataError):
        store.add_many(items, exportable=False)
    assert list(store.thumbprints()) == []


def test_a_listing_survives_changes_while_it_runs(store: EmbeddedStore) -> None:
    """Removing what is listed is the common case of it."""
    for made in (ONE, TWO, RENEWED):
        add(store, made)
    for thumbprint in store.thumbprints():
        store.remove(thumbprint, delete_key=True)
    assert list(store.records()) == []


def test_store_names_are_compared_without_case(machine: EmbeddedPort) -> None:
    """The spelling that came first is kept; ß is one character and stays one."""
    for name in ("MY", "Root", "CA", "WebHosting", "TrustedPeople", "Disallowed", "AuthRoot"):
        assert name in machine.store_names("LocalMachine")
        machine.open_store(name.swapcase(), "LocalMachine").close()
    assert "WebHosting" not in machine.store_names("CurrentUser")
    with pytest.raises(StoreNotFoundError, match="WebHosting"):
        machine.open_store("nosuch", "LocalMachine")
    machine.open_store("Größe", "LocalMachine", create=True).close()
    machine.open_store("GRÖßE", "LocalMachine").close()
    with pytest.raises(StoreNotFoundError):
        machine.open_store("Grösse", "LocalMachine")
    assert machine.store_names("LocalMachine").count("Größe") == 1
    assert "Größe" not in machine.store_names("CurrentUser")


@pytest.mark.parametrize("name", ["", "a\\b", "x" * 128, "nul\0"])
def test_a_name_that_no_store_can_have_is_refused(machine: EmbeddedPort, name: str) -> None:
    """Also with create=True."""
    with pytest.raises(InvalidInputError):
        machine.open_store(name, "LocalMachine", create=True)


def test_a_store_whose_making_was_rolled_back_is_not_there(machine: EmbeddedPort) -> None:
    """Its number is another store's by then: what was found out inside of the transaction must not be remembered."""

    class StopError(Exception):
        """Ends the transaction."""

    def make_and_stop() -> None:
        with machine._database.transaction():
            machine.open_store("Made", "LocalMachine", create=True)
            raise StopError

    with pytest.raises(StopError):
        make_and_stop()
    other = EmbeddedPort(machine.path)
    add(other.open_store("Another", "LocalMachine", create=True, write=True), ONE)
    other.close()
    with pytest.raises(StoreNotFoundError):
        machine.open_store("Made", "LocalMachine")
    assert not list(machine.open_store("Made", "LocalMachine", create=True).records())


def test_the_same_certificate_lives_apart_in_two_stores(machine: EmbeddedPort, store: EmbeddedStore) -> None:
    """Its properties belong to the place."""
    other = machine.open_store("WebHosting", "LocalMachine", write=True)
    add(store, ONE)
    other.add(ONE.der, None, friendly_name="there", exportable=False, provider=None)
    store.remove(ONE.thumbprint, delete_key=True)
    record = other.find(ONE.thumbprint)
    assert record is not None
    assert (record.friendly_name, record.key) == ("there", None)


def test_a_store_opened_for_reading_cannot_be_changed(machine: EmbeddedPort, store: EmbeddedStore) -> None:
    """As Windows answers, so that a forgotten write=True is found here and not there."""
    add(store, ONE)
    reading = machine.open_store("MY", "LocalMachine")
    assert reading.find(ONE.thumbprint) is not None
    with pytest.raises(AccessDeniedError, match="reading only"):
        reading.remove(ONE.thumbprint, delete_key=True)
    with pytest.raises(AccessDeniedError, match="reading only"):
        add(reading, TWO)
    assert store.find(ONE.thumbprint) is not None


def test_a_closed_store_refuses_everything(machine: EmbeddedPort, store: EmbeddedStore) -> None:
    """Closing twice is nothing; a closed machine closes its stores."""
    other = machine.open_store("MY", "LocalMachine", write=True)
    store.close()
    store.close()
    for call in (lambda: store.find(ONE.thumbprint), lambda: list(store.thumbprints()), lambda: add(store, ONE)):
        with pytest.raises(StoreClosedError):
            call()
    assert other.find(ONE.thumbprint) is None
    machine.close()
    with pytest.raises(StoreClosedError):
        other.find(ONE.thumbprint)


def test_a_certificate_with_an_unreadable_public_key_is_stored(store: EmbeddedStore) -> None:
    """A store holds what it is given; such a certificate just has no private key that fits."""
    odd = make("odd.example", key=ec.derive_private_key(99, ec.SECP256R1()))
    # The curve's OID becomes one that nobody knows (1.2.840.10045.3.1.7 -> 1.2.840.10045.3.1.99).
    der = odd.der.replace(bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a8648ce3d030163"))
    record = store.add(der, odd.pkcs8, friendly_name=None, exportable=False, provider=None)
    assert record.key is not None
    assert record.key.matches is False


def test_every_lookup_goes_by_an_index(machine: EmbeddedPort, store: EmbeddedStore) -> None:
    """SQLite's own plan for every statement that adding, finding, binding and diagnosing run: no table is scanned."""
    statements: list[str] = []
    watched = EmbeddedPort(machine.path, on_statement=statements.append)
    opened = watched.open_store("MY", "LocalMachine", write=True)
    add(opened, ONE)
    add(opened, ONE, exportable=True)
    opened.set_archived(ONE.thumbprint, False)
    next(opened.records())
    watched.diagnose(ONE.thumbprint, "MY")
    watched.diagnose(TWO.thumbprint, "MY")
    opened.remove(ONE.thumbprint, delete_key=True)
    watched.close()
    looked_at = [text for text in statements if text.startswith(("SELECT", "UPDATE", "DELETE"))]
    assert len(looked_at) > 10
    for text in looked_at:
        plan = machine._database.query(f"EXPLAIN QUERY PLAN {text}", (None,) * text.count("?"))
        assert not [row[-1] for row in plan if "SCAN" in row[-1]], text
