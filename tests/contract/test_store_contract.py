"""What every machine's stores do, whatever is behind them."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import hashlib
import ipaddress
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

import chains
from made_certificates import CRL_MOMENT, Made, crl_der, make, make_crl, shared_key
from mlsssl._formats.keys import private_key_der
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
from mlsssl.revocation_list import RevocationList
from mlsssl.store import Store
from mlsssl.values import Thumbprint
from refused_certificates import TAKEN_BY_WINDOWS, of_server

if TYPE_CHECKING:
    from collections.abc import Callable

    from contract.subjects.kinds import StoresSubject
    from mlsssl._machine.ports import StorePort
    from mlsssl.values import Location

MISSING = Thumbprint("00" * 20)


@functools.cache
def rsa_key(_number: int) -> rsa.RSAPrivateKey:
    """RSA, for every machine keeps it; the same for the same number."""
    return rsa.generate_private_key(65537, 2048)


@functools.cache
def one() -> Made:
    return make("one.example", key=rsa_key(1))


@functools.cache
def two() -> Made:
    return make("two.example", key=rsa_key(2))


@functools.cache
def first_crl() -> bytes:
    return crl_der(make_crl(1))


@functools.cache
def second_crl() -> bytes:
    """A newer list in place of the first."""
    return crl_der(make_crl(2, revoked=[7]))


@functools.cache
def delta_crl() -> bytes:
    """A delta list to the first."""
    return crl_der(make_crl(2, delta=True, revoked=[8]))


@functools.cache
def other_crl() -> bytes:
    """A list of somebody else."""
    return crl_der(make_crl(1, issuer="another authority", key=shared_key(1)))


def opened(subject: StoresSubject, location: Location = "LocalMachine") -> StorePort:
    return subject.machine.open_store(subject.my, location, write=True)


def add(
    store: StorePort, made: Made, *, key: bool = True, exportable: bool = False, name: str | None = None
) -> StoreRecord:
    return store.add(made.der, made.pkcs8 if key else None, friendly_name=name, exportable=exportable, provider=None)


def found(store: StorePort, made: Made) -> StoreRecord:
    record = store.find(made.thumbprint)
    assert record is not None
    return record


def count_keys(subject: StoresSubject, expected: int) -> None:
    if subject.keys is not None:
        assert subject.keys() == expected


# ---- stores ----


def test_the_usual_stores_are_there(stores_subject: StoresSubject) -> None:
    """MY and Root, in whatever spelling, sorted without case."""
    names = stores_subject.machine.store_names("LocalMachine")
    assert {"my", "root"} <= {name.casefold() for name in names}
    assert names == sorted(names, key=str.casefold)


@pytest.mark.parametrize("write", [False, True])
def test_a_store_that_does_not_exist_is_never_made_by_accident(stores_subject: StoresSubject, write: bool) -> None:
    """A mistyped name is an error, and there is still no such store."""
    with pytest.raises(StoreNotFoundError, match="Mistyped"):
        stores_subject.machine.open_store("Mistyped", "LocalMachine", write=write)
    assert "Mistyped" not in stores_subject.machine.store_names("LocalMachine")


def test_a_store_is_made_when_asked(stores_subject: StoresSubject) -> None:
    """And found by the next one in any spelling."""
    name = f"{stores_subject.my}-Another"
    store = stores_subject.machine.open_store(name, "LocalMachine", create=True, write=True)
    add(store, one(), key=False)
    assert name in stores_subject.machine.store_names("LocalMachine")
    assert found(stores_subject.machine.open_store(name.upper(), "LocalMachine"), one()).certificate == one().der
    store.remove(one().thumbprint, delete_key=False)


@pytest.mark.parametrize("name", ["", "a\\b", "a\0b", "x" * 128])
def test_a_name_that_no_store_can_have_is_refused(stores_subject: StoresSubject, name: str) -> None:
    """Before anything native sees it."""
    with pytest.raises(InvalidInputError):
        stores_subject.machine.open_store(name, "LocalMachine", create=True)


def test_a_closed_store_refuses_everything(stores_subject: StoresSubject) -> None:
    """Closing again is nothing."""
    store = opened(stores_subject)
    store.close()
    store.close()
    calls: list[Callable[[], object]] = [
        lambda: list(store.thumbprints()),
        lambda: list(store.records()),
        lambda: list(store.records_for_host(x509.DNSName("one.example"))),
        lambda: store.certificates(lambda _der: True),
        lambda: store.find(MISSING),
        lambda: add(store, one()),
        lambda: store.add_many([], exportable=False),
        lambda: store.import_pfx(b"", None, exportable=False, friendly_name=None),
        lambda: store.export_key(MISSING),
        lambda: store.set_friendly_name(MISSING, "x"),
        lambda: store.set_archived(MISSING, True),
        lambda: store.set_renewed_by(MISSING, None),
        lambda: store.remove(MISSING, delete_key=True),
        lambda: store.crls(),
        lambda: store.crls(lambda _der: True),
        lambda: store.add_crl(first_crl()),
        lambda: store.remove_crl(first_crl()),
    ]
    for call in calls:
        with pytest.raises(StoreClosedError):
            call()


def test_a_store_opened_for_reading_cannot_be_changed(stores_subject: StoresSubject) -> None:
    """Every change is refused, and looking works."""
    writable = opened(stores_subject)
    add(writable, one())
    store = stores_subject.machine.open_store(stores_subject.my, "LocalMachine")
    calls: list[Callable[[], object]] = [
        lambda: add(store, two()),
        lambda: store.add_many([], exportable=False),
        lambda: store.import_pfx(one().pfx("x"), "x", exportable=False, friendly_name=None),
        lambda: store.set_friendly_name(one().thumbprint, "x"),
        lambda: store.set_archived(one().thumbprint, True),
        lambda: store.set_renewed_by(one().thumbprint, MISSING),
        lambda: store.remove(one().thumbprint, delete_key=True),
        lambda: store.add_crl(second_crl()),
        lambda: store.remove_crl(first_crl()),
    ]
    writable.add_crl(first_crl())
    for call in calls:
        with pytest.raises(AccessDeniedError):
            call()
    assert list(store.thumbprints()) == [one().thumbprint]
    assert store.crls() == [first_crl()]
    writable.remove_crl(first_crl())
    assert found(store, one()).friendly_name is None
    writable.remove(one().thumbprint, delete_key=True)


# ---- adding and finding ----


def test_what_was_added_is_found_by_another_process(stores_subject: StoresSubject) -> None:
    """Certificate, name and a key that opens, matches and is the machine's."""
    record = add(opened(stores_subject), one(), name="Büro €")
    other = stores_subject.another_process().open_store(stores_subject.my.lower(), "LocalMachine", write=True)
    assert found(other, one()) == record
    assert record.certificate == one().der
    assert record.friendly_name == "Büro €"
    assert (record.archived, record.renewed_by) == (False, None)
    assert record.key is not None
    assert record.key.usable
    assert record.key.machine_keyset
    assert record.key.exportable is False
    assert list(other.records()) == [record]
    count_keys(stores_subject, 1)
    other.remove(one().thumbprint, delete_key=True)
    assert list(opened(stores_subject).thumbprints()) == []
    count_keys(stores_subject, 0)


def test_a_certificate_without_a_key_has_none(stores_subject: StoresSubject) -> None:
    """Nothing is made up."""
    store = opened(stores_subject)
    assert add(store, one(), key=False).key is None
    count_keys(stores_subject, 0)
    with pytest.raises(StoreNotFoundError, match="no usable private key"):
        store.export_key(one().thumbprint)
    store.remove(one().thumbprint, delete_key=True)


def test_a_user_store_has_user_keys(stores_subject: StoresSubject) -> None:
    """What lies in CurrentUser is not the machine's, and LocalMachine does not show it."""
    user = opened(stores_subject, location="CurrentUser")
    record = add(user, one())
    assert record.key is not None
    assert record.key.usable
    assert not record.key.machine_keyset
    assert opened(stores_subject).find(one().thumbprint) is None
    user.remove(one().thumbprint, delete_key=True)
    count_keys(stores_subject, 0)


def test_adding_again_keeps_a_usable_key_and_its_terms(stores_subject: StoresSubject) -> None:
    """Otherwise a second add would make a key exportable behind its owner's back."""
    store = opened(stores_subject)
    first = add(store, one(), name="kept")
    again = add(store, one(), exportable=True)
    assert again == first
    assert add(store, one(), key=False) == first
    assert add(store, one(), name="new name").friendly_name == "new name"
    assert list(store.thumbprints()) == [one().thumbprint]
    count_keys(stores_subject, 1)
    store.remove(one().thumbprint, delete_key=True)
    count_keys(stores_subject, 0)


def test_adding_again_gives_a_missing_key(stores_subject: StoresSubject) -> None:
    """The usual repair: the certificate came without its key first. Its other properties stay."""
    store = opened(stores_subject)
    add(store, one(), key=False, name="kept")
    store.set_renewed_by(one().thumbprint, two().thumbprint)
    record = add(store, one(), exportable=True)
    assert record.key is not None
    assert record.key.usable
    assert (record.friendly_name, record.renewed_by) == ("kept", two().thumbprint)
    assert store.export_key(one().thumbprint) == one().pkcs8
    store.remove(one().thumbprint, delete_key=True)
    count_keys(stores_subject, 0)


def test_three_certificates_have_three_keys(stores_subject: StoresSubject) -> None:
    """No import wins over another: each opens and matches, and goes alone."""
    store = opened(stores_subject)
    made = [one(), two(), make("three.example", key=rsa_key(3))]
    for item in made:
        add(store, item)
    records = {record.certificate: record for record in store.records()}
    assert set(records) == {item.der for item in made}
    assert all(record.key is not None and record.key.usable for record in records.values())
    store.remove(made[1].thumbprint, delete_key=True)
    assert {record.certificate for record in store.records() if record.key and record.key.usable} == {
        made[0].der,
        made[2].der,
    }
    for item in (made[0], made[2]):
        store.remove(item.thumbprint, delete_key=True)
    count_keys(stores_subject, 0)


@pytest.mark.parametrize("name", ["", "a\0b", "half \ud800 pair"])
def test_a_friendly_name_that_cannot_be_kept_is_refused(stores_subject: StoresSubject, name: str) -> None:
    """Nothing is added or renamed by it."""
    store = opened(stores_subject)
    with pytest.raises(InvalidInputError, match="friendly name"):
        add(store, one(), name=name)
    assert store.find(one().thumbprint) is None
    with pytest.raises(InvalidInputError, match="friendly name"):
        store.set_friendly_name(one().thumbprint, name)


@pytest.mark.parametrize("data", [b"", b"hello", b"\x30\x03\x02\x01\x05"])
def test_what_is_no_certificate_is_malformed(stores_subject: StoresSubject, data: bytes) -> None:
    """And nothing is stored."""
    store = opened(stores_subject)
    with pytest.raises(MalformedDataError):
        store.add(data, None, friendly_name=None, exportable=False, provider=None)
    assert list(store.thumbprints()) == []


def test_what_is_no_private_key_is_malformed(stores_subject: StoresSubject) -> None:
    """The certificate does not go in without it."""
    store = opened(stores_subject)
    with pytest.raises(MalformedDataError, match="not a PKCS#8 private key"):
        store.add(one().der, one().pkcs8[:-1], friendly_name=None, exportable=False, provider=None)
    assert list(store.thumbprints()) == []
    count_keys(stores_subject, 0)


def test_many_are_added_one_whole_after_the_other(stores_subject: StoresSubject) -> None:
    """What came before an error stays, whole; the rest does not come."""
    store = opened(stores_subject)
    items = [
        NewCertificate(certificate=one().der, private_key=one().pkcs8, friendly_name="first"),
        NewCertificate(certificate=b"not one"),
        NewCertificate(certificate=two().der),
    ]
    assert store.add_many(iter(items[:1]), exportable=False) == 1
    with pytest.raises(MalformedDataError):
        store.add_many(items[1:], exportable=False)
    assert list(store.thumbprints()) == [one().thumbprint]
    record = found(store, one())
    assert record.key is not None
    assert record.key.usable
    store.remove(one().thumbprint, delete_key=True)


# ---- properties ----


def test_properties_are_set_and_cleared(stores_subject: StoresSubject) -> None:
    """Each alone, and another process sees it."""
    store = opened(stores_subject)
    other = stores_subject.another_process().open_store(stores_subject.my, "LocalMachine")
    add(store, one())
    store.set_friendly_name(one().thumbprint, "a name")
    store.set_renewed_by(one().thumbprint, two().thumbprint)
    record = found(other, one())
    assert (record.friendly_name, record.renewed_by) == ("a name", two().thumbprint)
    assert record.key is not None
    assert record.key.usable
    store.set_friendly_name(one().thumbprint, None)
    store.set_renewed_by(one().thumbprint, None)
    record = found(other, one())
    assert (record.friendly_name, record.renewed_by) == (None, None)
    store.remove(one().thumbprint, delete_key=True)


def test_certificates_are_picked_out_of_a_listing(stores_subject: StoresSubject) -> None:
    """In its order, each shown once; what the caller raises comes out, and the store is as usable as before."""
    store = opened(stores_subject)
    for made in (one(), two()):
        add(store, made)
    listed = [record.certificate for record in store.records()]
    shown: list[bytes] = []

    def note(der: bytes) -> bool:
        shown.append(der)
        return der == two().der

    assert store.certificates(note) == [two().der]
    assert shown == listed
    assert store.certificates(lambda _der: True) == listed
    with pytest.raises(ZeroDivisionError):
        store.certificates(lambda _der: 1 / 0 > 0)
    store.remove(two().thumbprint, delete_key=True)
    assert store.certificates(lambda _der: True) == [one().der]


def test_archived_certificates_are_found_but_not_listed(stores_subject: StoresSubject) -> None:
    """As in Windows' own lists."""
    if stores_subject.archives is not None:
        pytest.skip(stores_subject.archives)
    store = opened(stores_subject)
    add(store, one())
    add(store, two())
    store.set_archived(one().thumbprint, True)
    assert one().der not in store.certificates(lambda _der: True)
    assert list(store.thumbprints()) == [two().thumbprint]
    assert [record.certificate for record in store.records()] == [two().der]
    assert found(store, one()).archived
    store.set_archived(one().thumbprint, False)
    assert set(store.thumbprints()) == {one().thumbprint, two().thumbprint}
    assert not found(store, one()).archived
    for item in (one(), two()):
        store.remove(item.thumbprint, delete_key=True)


def test_the_records_for_a_host_are_some_of_all_in_their_order(stores_subject: StoresSubject) -> None:
    """With every one that is for it, also by a wildcard, unless it is archived or gone."""
    store = opened(stores_subject)
    made = [make(*names, key=rsa_key(1)) for names in (["one.example"], ["*.example", "10.0.0.5"], ["two.example"])]
    for each in made:
        add(store, each, key=False)
    every = list(store.records())
    for host, wanted in {"one.example": {0, 1}, "two.example": {1, 2}, "10.0.0.5": {1}, "*.example": {1}}.items():
        name = x509.IPAddress(ipaddress.ip_address(host)) if host[0] == "1" else x509.DNSName(host)
        given = list(store.records_for_host(name))
        assert given == [record for record in every if record in given]
        assert {made[number].der for number in wanted} <= {record.certificate for record in given}
    if stores_subject.archives is None:
        store.set_archived(made[1].thumbprint, True)
    else:  # this machine cannot
        store.remove(made[1].thumbprint, delete_key=True)
    store.remove(made[2].thumbprint, delete_key=True)
    assert [record.certificate for record in store.records_for_host(x509.DNSName("one.example"))] == [made[0].der]
    left = {record.certificate for record in store.records_for_host(x509.DNSName("two.example"))}
    assert not left & {made[1].der, made[2].der}
    store.remove(made[0].thumbprint, delete_key=True)
    if stores_subject.archives is None:
        store.remove(made[1].thumbprint, delete_key=True)


def test_a_missing_certificate_is_not_found(stores_subject: StoresSubject) -> None:
    """The error names it."""
    store = opened(stores_subject)
    assert store.find(MISSING) is None
    calls: list[Callable[[], object]] = [
        lambda: store.set_friendly_name(MISSING, "x"),
        lambda: store.set_archived(MISSING, True),
        lambda: store.set_renewed_by(MISSING, None),
        lambda: store.export_key(MISSING),
        lambda: store.remove(MISSING, delete_key=True),
        lambda: store.remove(MISSING, delete_key=False),
    ]
    for call in calls:
        with pytest.raises(StoreNotFoundError, match=str(MISSING)):
            call()


# ---- revocation lists ----


def test_revocation_lists_stand_beside_each_other(stores_subject: StoresSubject) -> None:
    """Each once however often it is added; another process sees them; certificates are apart."""
    store = opened(stores_subject)
    assert store.crls() == []
    for crl in (first_crl(), other_crl(), first_crl(), other_crl()):
        store.add_crl(crl)
    other = stores_subject.another_process().open_store(stores_subject.my, "LocalMachine", write=True)
    for each in (store, other):
        assert sorted(each.crls()) == sorted([first_crl(), other_crl()])
        assert each.crls(lambda der: der == other_crl()) == [other_crl()]
        with pytest.raises(ZeroDivisionError):
            each.crls(lambda _der: 1 / 0 > 0)
        assert list(each.thumbprints()) == []
    other.remove_crl(first_crl())
    assert store.crls() == [other_crl()]
    store.remove_crl(other_crl())
    assert other.crls() == []


def test_several_revocation_lists_of_one_issuer_stand_beside_each_other(stores_subject: StoresSubject) -> None:
    """Older, newer and delta lists: which of them count is decided above the seam."""
    if stores_subject.crls_of_one_issuer is not None:
        pytest.skip(stores_subject.crls_of_one_issuer)
    store = opened(stores_subject)
    for crl in (second_crl(), first_crl(), delta_crl()):
        store.add_crl(crl)
    assert sorted(store.crls()) == sorted([first_crl(), second_crl(), delta_crl()])
    store.remove_crl(first_crl())
    assert sorted(store.crls()) == sorted([second_crl(), delta_crl()])
    store.remove_crl(second_crl())
    store.remove_crl(delta_crl())


def test_a_revocation_list_takes_the_place_of_others(stores_subject: StoresSubject) -> None:
    """Of those named and no more, whether they are there or not; itself is not taken out again."""
    store = opened(stores_subject)
    store.add_crl(first_crl())
    store.add_crl(other_crl())
    for _ in range(2):
        store.add_crl(second_crl(), replacing=[first_crl(), second_crl(), delta_crl()])
        assert sorted(store.crls()) == sorted([second_crl(), other_crl()])
    with pytest.raises(MalformedDataError):
        store.add_crl(b"no list", replacing=[other_crl()])
    assert sorted(store.crls()) == sorted([second_crl(), other_crl()])
    store.remove_crl(second_crl())
    store.remove_crl(other_crl())


def test_revocation_lists_are_their_stores_own(stores_subject: StoresSubject) -> None:
    """Another store has none of them, and neither listing nor removing finds them there."""
    store = opened(stores_subject)
    store.add_crl(first_crl())
    name = f"{stores_subject.my}-Another"
    with contextlib.closing(
        stores_subject.machine.open_store(name, "LocalMachine", create=True, write=True)
    ) as another:
        assert another.crls() == []
        with pytest.raises(StoreNotFoundError, match="Another"):
            another.remove_crl(first_crl())
    assert store.crls() == [first_crl()]
    store.remove_crl(first_crl())


def test_of_a_line_the_newest_revocation_list_stays(stores_subject: StoresSubject) -> None:
    """`Store` over every machine: an older list goes, an older one is refused, and another issuer's is left alone."""
    machine = SimpleNamespace(port=stores_subject.machine)  # of a machine, Store asks for its stores only
    with Store.open(stores_subject.my, machine=machine) as store:
        lists = [RevocationList(make_crl(number, at=CRL_MOMENT + dt.timedelta(days=number))) for number in range(3)]
        store.add_crl(other_crl())
        for crl in lists:
            assert store.add_crl(crl) == (crl,)
            assert store.add_crl(crl) == ()
            assert {crl_der(one) for one in store.crls()} == {other_crl(), crl_der(crl)}
        with pytest.raises(InvalidInputError, match="not newer"):
            store.add_crl(lists[1])
        store.remove_crl(Thumbprint(hashlib.sha1(other_crl()).digest()))
        assert store.crls() == (lists[2],)
        store.remove_crl(lists[2])
        assert store.crls() == ()


def test_a_missing_revocation_list_is_not_found(stores_subject: StoresSubject) -> None:
    """Also one that was there, and one of the same authority as one that is."""
    store = opened(stores_subject)
    store.add_crl(first_crl())
    with pytest.raises(StoreNotFoundError):
        store.remove_crl(second_crl())
    assert store.crls() == [first_crl()]
    store.remove_crl(first_crl())
    with pytest.raises(StoreNotFoundError):
        store.remove_crl(first_crl())


def test_what_is_no_revocation_list_is_refused(stores_subject: StoresSubject) -> None:
    """Nothing, a certificate, half a list, a list with something behind it."""
    store = opened(stores_subject)
    for data in (b"", one().der, first_crl()[:-1], first_crl() + b"\0"):
        with pytest.raises(MalformedDataError):
            store.add_crl(data)
    assert store.crls() == []


def test_a_large_revocation_list_comes_back_whole(stores_subject: StoresSubject) -> None:
    """Twenty thousand entries."""
    store = opened(stores_subject)
    crl = crl_der(make_crl(3, revoked=range(1, 20_001)))
    assert len(crl) > 400_000
    store.add_crl(crl)
    assert store.crls() == [crl]
    store.remove_crl(crl)


# ---- keys ----


def test_a_key_leaves_the_machine_only_when_it_may(stores_subject: StoresSubject) -> None:
    """What comes out is what went in."""
    store = opened(stores_subject)
    add(store, one(), exportable=True)
    add(store, two())
    assert store.export_key(one().thumbprint) == one().pkcs8
    with pytest.raises(AccessDeniedError, match="may not leave"):
        store.export_key(two().thumbprint)
    for item in (one(), two()):
        store.remove(item.thumbprint, delete_key=True)


def test_an_ec_key_is_kept(stores_subject: StoresSubject) -> None:
    """Or refused with the reason, and then nothing of it stays."""
    store = opened(stores_subject)
    made = make("ec.example", key=shared_key(1))
    if stores_subject.ec_keys is None:
        add(store, made, exportable=True)
        assert store.export_key(made.thumbprint) == made.pkcs8
        store.remove(made.thumbprint, delete_key=True)
    else:
        with pytest.raises(UnsupportedError, match="EC"):
            add(store, made)
        assert store.find(made.thumbprint) is None
    count_keys(stores_subject, 0)


def test_a_csp_key_is_rsa(stores_subject: StoresSubject) -> None:
    """The older storage knows no curves, and says so; it keeps RSA keys when asked."""
    store = opened(stores_subject)
    made = make("ec.example", key=shared_key(1))
    with pytest.raises(UnsupportedError, match="RSA"):
        store.add(made.der, made.pkcs8, friendly_name=None, exportable=False, provider="csp")
    assert store.find(made.thumbprint) is None
    record = store.add(one().der, one().pkcs8, friendly_name=None, exportable=True, provider="csp")
    assert record.key is not None
    assert record.key.usable
    assert store.export_key(one().thumbprint) == one().pkcs8
    store.remove(one().thumbprint, delete_key=True)
    count_keys(stores_subject, 0)


def test_an_unknown_provider_is_refused(stores_subject: StoresSubject) -> None:
    """There are two."""
    with pytest.raises(InvalidInputError, match="'cng', 'csp'"):
        opened(stores_subject).add(
            one().der,
            one().pkcs8,
            friendly_name=None,
            exportable=False,
            provider="tpm",  # type: ignore[arg-type]
        )


def test_removing_leaves_the_key_unless_asked(stores_subject: StoresSubject) -> None:
    """As Windows does; what was left on purpose is no orphan."""
    store = opened(stores_subject)
    add(store, one())
    store.remove(one().thumbprint, delete_key=False)
    count_keys(stores_subject, 1)
    assert stores_subject.machine.recover() == []
    count_keys(stores_subject, 1)


def test_a_key_that_another_certificate_needs_stays(stores_subject: StoresSubject) -> None:
    """A renewal that kept its key: the old certificate goes, the new one still works."""
    store = opened(stores_subject)
    renewed = make("one.example", key=rsa_key(1), days=60)
    add(store, one())
    add(store, renewed)
    store.remove(one().thumbprint, delete_key=True)
    record = found(store, renewed)
    assert record.key is not None
    assert record.key.usable
    store.remove(renewed.thumbprint, delete_key=True)
    count_keys(stores_subject, 0)


def test_a_key_is_not_shared_between_different_terms(stores_subject: StoresSubject) -> None:
    """An exportable copy must not make the other one exportable."""
    store = opened(stores_subject)
    renewed = make("one.example", key=rsa_key(1), days=60)
    add(store, one(), exportable=False)
    add(store, renewed, exportable=True)
    with pytest.raises(AccessDeniedError):
        store.export_key(one().thumbprint)
    assert store.export_key(renewed.thumbprint) == one().pkcs8
    for item in (one(), renewed):
        store.remove(item.thumbprint, delete_key=True)
    count_keys(stores_subject, 0)


def test_recover_on_a_sound_machine_does_nothing(stores_subject: StoresSubject) -> None:
    """Twice, and the key is still there."""
    store = opened(stores_subject)
    add(store, one())
    assert stores_subject.machine.recover() == []
    assert stores_subject.another_process().recover() == []
    record = found(store, one())
    assert record.key is not None
    assert record.key.usable
    store.remove(one().thumbprint, delete_key=True)


# ---- PFX ----


def test_a_pfx_is_taken_as_it_is(stores_subject: StoresSubject) -> None:
    """The certificate with the key lands here with a usable machine key; the others come back and go nowhere."""
    store = opened(stores_subject)
    root = make("root", authority=True, key=shared_key(7))
    leaf = make("leaf.example", issuer=root, key=rsa_key(1))
    record, others = store.import_pfx(
        leaf.pfx("Pässword", root, friendly_name=b"from the file"), "Pässword", exportable=True, friendly_name=None
    )
    assert (record.certificate, record.friendly_name, others) == (leaf.der, "from the file", (root.der,))
    assert record.key is not None
    assert record.key.usable
    assert record.key.machine_keyset
    assert record.key.exportable
    assert store.export_key(leaf.thumbprint) == leaf.pkcs8
    assert store.find(root.thumbprint) is None
    count_keys(stores_subject, 1)
    store.remove(leaf.thumbprint, delete_key=True)
    count_keys(stores_subject, 0)


def test_three_pfx_files_have_three_keys(stores_subject: StoresSubject) -> None:
    """The last import wins over none."""
    store = opened(stores_subject)
    made = [one(), two(), make("three.example", key=rsa_key(3))]
    for number, item in enumerate(made):
        record, _ = store.import_pfx(item.pfx("x"), "x", exportable=False, friendly_name=f"number {number}")
        assert record.friendly_name == f"number {number}"
    assert all(record.key is not None and record.key.usable for record in store.records())
    with pytest.raises(AccessDeniedError):
        store.export_key(one().thumbprint)
    for item in made:
        store.remove(item.thumbprint, delete_key=True)
    count_keys(stores_subject, 0)


@pytest.mark.parametrize("password", [None, ""])
def test_a_pfx_without_a_password(stores_subject: StoresSubject, password: str | None) -> None:
    """None and the empty text are tried for each other."""
    store = opened(stores_subject)
    record, _ = store.import_pfx(one().pfx(None), password, exportable=False, friendly_name=None)
    assert record.key is not None
    assert record.key.usable
    store.remove(one().thumbprint, delete_key=True)
    count_keys(stores_subject, 0)


def test_a_wrong_password_is_told_from_damage(stores_subject: StoresSubject) -> None:
    """Two errors, for two things to do; nothing is stored by either."""
    store = opened(stores_subject)
    data = one().pfx("right")
    with pytest.raises(WrongPasswordError):
        store.import_pfx(data, "wrong", exportable=False, friendly_name=None)
    for damaged in (data[: len(data) // 2], b"", b"hello"):
        with pytest.raises(MalformedDataError) as caught:
            store.import_pfx(damaged, "right", exportable=False, friendly_name=None)
        assert not isinstance(caught.value, WrongPasswordError)
    assert list(store.thumbprints()) == []
    count_keys(stores_subject, 0)


def test_importing_again_keeps_a_usable_key(stores_subject: StoresSubject) -> None:
    """As adding again does."""
    store = opened(stores_subject)
    first = add(store, one())
    record, _ = store.import_pfx(one().pfx("x"), "x", exportable=True, friendly_name="named")
    assert record.key == first.key
    assert record.friendly_name == "named"
    count_keys(stores_subject, 1)
    store.remove(one().thumbprint, delete_key=True)


# ---- diagnosis ----


def test_a_usable_certificate_has_no_diagnosis(stores_subject: StoresSubject) -> None:
    """Nothing to say about it."""
    store = opened(stores_subject)
    add(store, one())
    assert stores_subject.machine.diagnose(one().thumbprint, stores_subject.my) == ()
    store.remove(one().thumbprint, delete_key=True)


def test_each_place_has_its_diagnosis(stores_subject: StoresSubject) -> None:
    """Nowhere, in another store, with the user, without its key."""

    def causes(store_name: str = stores_subject.my) -> list[Cause]:
        return [item.cause for item in stores_subject.machine.diagnose(one().thumbprint, store_name)]

    assert causes() == [Cause.NOT_IN_STORE]
    user = opened(stores_subject, location="CurrentUser")
    add(user, one())
    assert causes() == [Cause.WRONG_LOCATION]
    user.remove(one().thumbprint, delete_key=True)
    store = opened(stores_subject)
    add(store, one(), key=False)
    assert causes() == [Cause.NO_KEY]
    assert causes("Root") == [Cause.WRONG_STORE]
    assert causes("NoSuchStore") == [Cause.WRONG_STORE]
    store.remove(one().thumbprint, delete_key=True)


def test_the_users_root_is_refused(stores_subject: StoresSubject) -> None:
    """Windows asks the user in a dialog, for which a service would wait without end."""
    machine = stores_subject.machine
    store = machine.open_store("root", "CurrentUser", create=True, write=True)
    before = set(store.thumbprints())
    asked: list[Callable[[], object]] = [
        lambda: store.add(one().der, None, friendly_name=None, exportable=False, provider=None),
        lambda: store.add_many([NewCertificate(certificate=one().der)], exportable=False),
        lambda: store.import_pfx(one().pfx("x"), "x", exportable=False, friendly_name=None),
        lambda: store.remove(one().thumbprint, delete_key=True),
    ]
    for ask in asked:
        with pytest.raises(UnsupportedError, match="dialog"):
            ask()
    assert set(store.thumbprints()) == before


@pytest.mark.parametrize("kind", TAKEN_BY_WINDOWS)
def test_what_cryptography_refuses(stores_subject: StoresSubject, kind: str) -> None:
    """It is kept octet for octet, with its key, which is found to be its own."""
    der = of_server(**TAKEN_BY_WINDOWS[kind])
    with contextlib.closing(opened(stores_subject)) as store:
        record = store.add(der, private_key_der(chains.rsa_key()), friendly_name="odd", exportable=True, provider=None)
        assert record.certificate == der
        assert record.key is not None
        assert record.key.matches
        assert [one.certificate for one in store.records()] == [der]
        store.remove(Thumbprint(hashlib.sha1(der, usedforsecurity=False).digest()), delete_key=True)
        assert list(store.records()) == []
