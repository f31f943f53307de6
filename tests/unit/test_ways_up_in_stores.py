"""How CA, Root and AuthRoot are gone through for the issuers of a certificate: by names, in bounded memory and work."""

from __future__ import annotations

import tracemalloc
import uuid
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from chains import ECDSA_SHA256, NOW, Made, ec_key, integer, intermediate, leaf, name, oid, root, tlv
from mlsssl import Certificate, EmbeddedMachine, Machine, MalformedDataError, audit
from mlsssl._deploy.issuers import KnownIssuers
from mlsssl._embedded.stores import EmbeddedStore
from mlsssl._formats.binding_keys import BindingOptions, IpPort
from mlsssl._formats.crl import der_of
from mlsssl._formats.keys import private_key_der
from mlsssl._formats.parsed import OddCertificate, View, subject_octets
from mlsssl._formats.pem import load_der
from mlsssl._issue.revocation_lists import build_crl
from mlsssl._machine.authorities import MAX_DEPTH, Authorities
from mlsssl._machine.ports import BindingRecord, NewCertificate
from mlsssl._machine.stores import thumbprint_of
from mlsssl._validator import path
from mlsssl._validator.path import signature_problem
from odd_certificates import CERTIFICATES
from repetitions import examples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from mlsssl import Finding

ROOT = root("Way Root", 70)
ISSUER = intermediate(ROOT, "Way Issuer", 71, path_length=None)
LEAF = leaf(ISSUER, "a.test")


pytestmark = pytest.mark.usefixtures("few_system_roots")


@pytest.fixture(name="machine")
def _machine(each_machine: Machine) -> Machine:
    return each_machine


def put(machine: Machine, store: str, made: Iterable[Made], *, archived: bool = False) -> None:
    """Into a store of the machine, without keys."""
    opened = machine.port.open_store(store, "LocalMachine", create=True, write=True)
    for one in made:
        opened.add(one.der(), None, friendly_name=None, exportable=False, provider=None)
        if archived:
            opened.set_archived(thumbprint_of(one.der()), True)


def bind(machine: Machine, made: Made, address: str = "0.0.0.0") -> None:
    """Into MY with its key, and bound."""
    opened = machine.port.open_store("MY", "LocalMachine", create=True, write=True)
    key = private_key_der(made.key)
    opened.add(made.der(), key, friendly_name=None, exportable=False, provider=None)
    machine.port.bindings.add(
        BindingRecord(
            key=IpPort(address, 443),
            thumbprint=thumbprint_of(made.der()),
            store_name="MY",
            app_id=uuid.UUID(int=1),
            options=BindingOptions(),
        )
    )


def stranger_list(common: str) -> bytes:
    """A revocation list of 48 KB, with no signature."""
    moment = tlv(0x17, b"261130120000Z")
    entries = tlv(0x30, integer(5), moment) * 2400
    signed = (integer(1), ECDSA_SHA256, name(common), moment, moment, tlv(0x30, entries))
    return tlv(0x30, tlv(0x30, *signed), ECDSA_SHA256, tlv(0x03, b"\0"))


def about_issuers(machine: Machine) -> list[Finding]:
    """What an audit says of the one binding's issuers."""
    (row,) = audit(machine=machine, at=NOW).rows
    return [one for one in row.findings if one.code in ("issuer-not-found", "authority-ending")]


def test_only_what_stands_above_is_kept(machine: Machine) -> None:
    """Of a store's other certificates nothing."""
    put(machine, "CA", [ISSUER, *(intermediate(ROOT, f"Stranger {number}", 72) for number in range(20))])
    put(machine, "Root", [ROOT, *(root(f"Another {number}", 73) for number in range(20))])
    authorities = Authorities(machine.port)
    assert [View(one).der for one in authorities.issuers_of([load_der(LEAF.der())])] == [ISSUER.der(), ROOT.der()]
    assert len(authorities.certificates) == 2
    assert [View(one).der for one in authorities.roots] == [ROOT.der()]


def test_memory_of_an_audit_does_not_grow_with_the_stores(tmp_path: Path) -> None:
    """Held, these took six kilobytes a certificate, 5 MB, and the lists 3 MB; a page of either takes some 300 KB."""
    many = examples(300)
    strangers = [
        NewCertificate(certificate=replace(root("Stranger", 73), serial=number + 1).der()) for number in range(many)
    ]
    lists = [stranger_list(f"Stranger {number}") for number in range(60)]
    peaks = []
    for count in (10, many):
        with EmbeddedMachine(tmp_path / f"{count}.sqlite") as machine:
            bind(machine, LEAF)
            put(machine, "CA", [ISSUER])
            put(machine, "Root", [ROOT])
            for store in ("CA", "Root", "AuthRoot", "Disallowed"):
                opened = machine.port.open_store(store, "LocalMachine", write=True)
                opened.add_many(strangers[:count], exportable=False)
                for crl in lists[: count // 5]:
                    opened.add_crl(crl)
            audit(machine=machine, at=NOW)
            tracemalloc.start()
            try:
                assert about_issuers(machine) == []
                peaks.append(tracemalloc.get_traced_memory()[1])
            finally:
                tracemalloc.stop()
    assert peaks[1] - peaks[0] < 1_000_000, peaks


@pytest.fixture(name="passes")
def _passes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stores that are gone through."""
    gone_through: list[str] = []
    certificates = EmbeddedStore.certificates

    def counted(self: EmbeddedStore, wanted: Callable[[bytes], bool]) -> list[bytes]:
        gone_through.append(self.name)
        return certificates(self, wanted)

    monkeypatch.setattr(EmbeddedStore, "certificates", counted)
    return gone_through


@pytest.fixture(name="embedded")
def _embedded(tmp_path: Path) -> Iterator[EmbeddedMachine]:
    with EmbeddedMachine(tmp_path / "embedded.sqlite") as machine:
        yield machine


def test_bindings_of_one_authority_go_through_the_stores_once(embedded: EmbeddedMachine, passes: list[str]) -> None:
    """For the issuers, then for theirs; a root's own name was looked for."""
    put(embedded, "CA", [ISSUER])
    put(embedded, "Root", [ROOT])
    for number in range(3):
        bind(embedded, leaf(ISSUER, f"{number}.test"), f"127.0.0.{number}")
    assert len(audit(machine=embedded, at=NOW).rows) == 3
    assert passes == ["CA", "Root", "AuthRoot"] * 2


def test_another_issuer_is_looked_for_when_it_is_asked_about(embedded: EmbeddedMachine, passes: list[str]) -> None:
    """By its own name alone: the root above it was found for the first."""
    another = intermediate(ROOT, "Another Issuer", 77)
    put(embedded, "CA", [ISSUER, another])
    put(embedded, "Root", [ROOT])
    known = KnownIssuers(embedded.port)
    for count, made in ((6, LEAF), (9, leaf(another, "b.test")), (9, leaf(another, "c.test"))):
        assert known.way_up(Certificate.from_der(made.der()), NOW).trusted
        assert len(passes) == count


def test_revocation_lists_are_gone_through_once(embedded: EmbeddedMachine, monkeypatch: pytest.MonkeyPatch) -> None:
    """To see that there is one, and for those of all issuers together; of a self-signed certificate too."""
    gone_through: list[str] = []
    crls = EmbeddedStore.crls

    def counted(self: EmbeddedStore, wanted: Callable[[bytes], bool] | None = None) -> list[bytes]:
        gone_through.append(self.name)
        return crls(self, wanted)

    monkeypatch.setattr(EmbeddedStore, "crls", counted)
    above = [root(f"Lists {number}", 78 + number) for number in range(2)]
    put(embedded, "Root", above)
    below = [leaf(one, "x.test") for one in above]
    alone = replace(leaf(above[0], "x.test", number=90), issuer=name("Alone"), subject=name("Alone"), signer=ec_key(90))
    for number, made in enumerate((*below, alone)):
        bind(embedded, made, f"127.0.0.{number}")
    for one in above:
        crl = build_crl(one.certificate(), one.key, [(LEAF.serial, NOW, None)], at=NOW, number=1)
        embedded.port.open_store("CA", "LocalMachine", write=True).add_crl(der_of(crl))
    rows = audit(machine=embedded, at=NOW).rows
    assert ["revoked" in [one.code for one in row.findings] for row in rows] == [True, True, False]
    assert gone_through == ["CA", "Root", "AuthRoot", "MY"] * 2


def test_every_list_of_a_store_is_given_once(embedded: EmbeddedMachine) -> None:
    """However many pages they are read in."""
    opened = embedded.port.open_store("CA", "LocalMachine", write=True)
    for count in (0, 3, 4, 5, 8, 9):
        lists = [stranger_list(f"Stranger {number}") for number in range(count)]
        for crl in lists:
            opened.add_crl(crl)
        assert sorted(opened.crls()) == sorted(lists)
        assert opened.crls(lists[-1:].__contains__) == lists[-1:]


def test_issuers_that_are_missing_are_looked_for_once(embedded: EmbeddedMachine, passes: list[str]) -> None:
    """Not once for each of their certificates; and then which of the operating system's roots are in Disallowed."""
    for number in range(3):
        bind(embedded, leaf(root(f"Nowhere {number}", 74), f"{number}.test"), f"127.0.0.{number}")
    found = audit(machine=embedded, at=NOW)
    assert [[one.code for one in row.findings].count("issuer-not-found") for row in found.rows] == [1, 1, 1]
    assert passes == ["CA", "Root", "AuthRoot", "Disallowed"]


@pytest.mark.parametrize("circle", [False, True])
def test_a_way_that_does_not_end_is_followed_as_far_as_the_validator_goes(
    embedded: EmbeddedMachine, passes: list[str], circle: bool
) -> None:
    """However many stand above one another in the store, or in a circle."""
    count = 3 if circle else 30
    names = [f"Step {number}" for number in range(count)]
    steps = [
        intermediate(root(names[(number + 1) % count], 80), names[number], 80, path_length=None)
        for number in range(count)
    ]
    put(embedded, "CA", steps)
    bind(embedded, leaf(steps[0], "a.test"))
    assert [one.code for one in about_issuers(embedded)] == ["issuer-not-found"] * circle
    assert passes == [*["CA", "Root", "AuthRoot"] * (3 if circle else MAX_DEPTH + 1), "Disallowed"]


def test_among_thousands_of_one_name_the_right_one_is_found(
    embedded: EmbeddedMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its key identifier, with no signature of the others checked."""
    checked: list[View] = []

    def noted(child: View, issuer: View) -> str:
        checked.append(issuer)
        return signature_problem(child, issuer)

    monkeypatch.setattr(path, "signature_problem", noted)
    others = (
        replace(root("Way Issuer", 75), serial=number + 1, issuer=ROOT.subject) for number in range(examples(2000))
    )
    opened = embedded.port.open_store("CA", "LocalMachine", write=True)
    opened.add_many((NewCertificate(certificate=one.der()) for one in (*others, ISSUER)), exportable=False)
    put(embedded, "Root", [ROOT])
    bind(embedded, LEAF)
    assert about_issuers(embedded) == []
    assert len(checked) == 2


def test_a_leaf_in_root_is_its_own_anchor(machine: Machine) -> None:
    """Though nothing of its issuer's name is anywhere; archived, or in Disallowed too, it is none."""
    bind(machine, LEAF)
    assert [one.code for one in about_issuers(machine)] == ["issuer-not-found"]
    put(machine, "Root", [LEAF])
    assert about_issuers(machine) == []
    entry = next(iter(machine.store("MY")))
    if not machine.port.is_this_windows:
        assert "leaf-is-anchor" in entry.check("a.test", at=NOW).codes
    put(machine, "Disallowed", [LEAF])
    assert [one.code for one in about_issuers(machine)] == ["issuer-not-found"]


@pytest.mark.parametrize("store", ["CA", "Root"])
def test_what_is_archived_is_no_issuer(machine: Machine, store: str) -> None:
    """As it is in no listing; and what is archived in Disallowed is not disallowed."""
    put(machine, store, [ROOT])
    bind(machine, leaf(ROOT, "a.test"))
    assert about_issuers(machine) == []
    put(machine, "Disallowed", [ROOT], archived=True)
    assert about_issuers(machine) == []
    machine.port.open_store(store, "LocalMachine", write=True).set_archived(thumbprint_of(ROOT.der()), True)
    assert [one.code for one in about_issuers(machine)] == ["issuer-not-found"]


COMMON, ORGANIZATION = "2.5.4.3", "2.5.4.10"


def written(*attributes: tuple[str, int, bytes]) -> bytes:
    """A name of one attribute each: type, string tag, octets."""
    return tlv(0x30, *(tlv(0x31, tlv(0x30, oid(kind), tlv(tag, octets))) for kind, tag, octets in attributes))


@pytest.mark.parametrize(
    ("subject", "issuer"),
    [
        (written((COMMON, 0x0C, b"Way Root")), written((COMMON, 0x13, b"Way Root"))),
        (written((COMMON, 0x0C, b"WAY  root ")), written((COMMON, 0x0C, b"Way Root"))),
        (written((COMMON, 0x1E, "Wäy".encode("utf-16-be"))), written((COMMON, 0x0C, "WÄY".encode()))),
        (written((COMMON, 0x13, b"a*b_c")), written((COMMON, 0x0C, b"A*B_C"))),  # which cryptography refuses
        (written((COMMON, 0x0C, b"A*B_C")), written((COMMON, 0x13, b"a*b_c"))),
    ],
)
def test_names_are_the_same_however_they_are_written(machine: Machine, subject: bytes, issuer: bytes) -> None:
    """As the validator compares them: case, blanks, kinds of strings; odd encodings too."""
    upper = replace(root("any", 76), subject=subject, issuer=subject)
    put(machine, "Root", [upper])
    bind(machine, replace(leaf(upper, "a.test"), issuer=issuer))
    assert about_issuers(machine) == []


def test_octets_are_the_same_however_they_are_read(machine: Machine) -> None:
    """A date in a name is read as text; where `cryptography` refuses the certificate, as hexadecimal digits."""
    upper = replace(
        root("any", 76), subject=written((COMMON, 0x17, b"261130Z")), issuer=written((COMMON, 0x17, b"261130Z"))
    )
    java = replace(leaf(upper, "a.test"), algorithm=bytes.fromhex("300c06082a8648ce3d0403020500"))
    assert isinstance(load_der(java.der()), OddCertificate)
    assert not isinstance(load_der(upper.der()), OddCertificate)
    put(machine, "Root", [upper])
    bind(machine, java)
    assert about_issuers(machine) == []


@pytest.mark.parametrize("label", [label for label in CERTIFICATES if label.startswith(("subject", "issuer"))])
def test_whatever_the_validator_matches_is_found(label: str, embedded: EmbeddedMachine) -> None:
    """By octets that nobody can read, too."""
    try:
        odd = View(load_der(CERTIFICATES[label]))
    except MalformedDataError:
        return
    for octets in (odd.subject, odd.issuer):
        if octets == name():
            continue
        upper = replace(root("any", 76), subject=octets, issuer=ROOT.subject)
        try:
            put(embedded, "CA", [upper])
            below = View(load_der(replace(leaf(upper, "a.test"), issuer=octets).der()))
        except MalformedDataError:
            continue
        authorities = Authorities(embedded.port)
        authorities.read([below])
        assert upper.der() in [View(one).der for one in authorities.certificates]


@pytest.mark.parametrize("label", CERTIFICATES)
def test_the_subject_is_cut_out_as_a_view_has_it(label: str) -> None:
    """Also of version 1, where a field before it is missing; lengths that are not definite are left to `View`."""
    der = CERTIFICATES[label]
    with suppress(MalformedDataError):
        view = View(load_der(der))
        if view.form == der:
            assert subject_octets(der) == view.subject
    for cut in range(0, min(len(der), 200), 7):
        with pytest.raises(MalformedDataError):
            subject_octets(der[:cut])
