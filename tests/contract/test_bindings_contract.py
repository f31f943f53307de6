"""What every machine's bindings do alike (`BindingsPort`).

A machine may hold bindings of its own (a real Windows does), so tests use keys of their own and look for those only.
"""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import fields, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from mlsssl._formats.binding_keys import (
    BindingFamily,
    BindingKey,
    BindingOptions,
    CcsPort,
    HostnamePort,
    IpPort,
    ScopedCcs,
    is_host_name,
)
from mlsssl._machine.ports import BindingRecord, Diagnosis
from mlsssl.errors import (
    BindingExistsError,
    BindingNotFoundError,
    InvalidInputError,
    NativeError,
    UnsupportedError,
    UnusableCertificateError,
)
from mlsssl.values import Thumbprint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from contract.subjects.kinds import BindingsSubject

APP_ID = uuid.UUID("a3c5f1d2-0b1c-4d5e-8f90-112233445566")
KEYS: tuple[BindingKey, ...] = (
    IpPort("0.0.0.0", 44301),
    IpPort("::", 44301),
    IpPort("127.0.0.1", 44301),
    IpPort("fe80::1:2", 44301),
    IpPort("10.0.0.5", 65535),
    HostnamePort("www.contract.example", 44301),
    HostnamePort("xn--bcher-kva.contract.example", 1),
    CcsPort(44301),
    CcsPort(44302),
    ScopedCcs("scoped.contract.example", 44301),
    ScopedCcs("a.contract.example", 44301),
)
SPELLINGS: tuple[HostnamePort | ScopedCcs, ...] = (
    HostnamePort.as_stored("WWW.Contract.Example", 44301),
    HostnamePort.as_stored("bücher.contract.example", 1),
    HostnamePort.as_stored("www.contract.example.", 44301),
    HostnamePort.as_stored("*.Contract.example", 44301),
    HostnamePort.as_stored("a b.contract.example", 44301),
    HostnamePort.as_stored("10.0.0.1", 44301),
    ScopedCcs.as_stored("BÜCHER.contract.example.", 44301),
    ScopedCcs.as_stored("-no name-", 44301),
)
"""As other programs write host names: typed upper case, U-labels (IIS converts to them), a dot at the end, anything."""
NOWHERE = Thumbprint(bytes(range(20)))
BOOLEANS = [field.name for field in fields(BindingOptions) if field.type == "bool"]


@pytest.fixture(name="subject")
def _subject(bindings_subject: BindingsSubject) -> Iterator[BindingsSubject]:
    yield bindings_subject
    for key in (*KEYS, *SPELLINGS):
        with contextlib.suppress(BindingNotFoundError):
            bindings_subject.bindings.remove(key)


def record(subject: BindingsSubject, key: BindingKey, options: BindingOptions | None = None) -> BindingRecord:
    """A record for `key` that the machine should take."""
    named = key.family.has_certificate
    return BindingRecord(
        key=key,
        thumbprint=subject.add_certificate() if named else None,
        store_name="MY" if named else None,
        app_id=APP_ID,
        options=options or BindingOptions(),
    )


def ours(subject: BindingsSubject) -> list[BindingRecord]:
    """The machine's records for our keys, in its order."""
    return [found for found in subject.bindings.all() if found.key in set(KEYS)]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_what_is_added_is_found(subject: BindingsSubject, key: BindingKey) -> None:
    """Exactly the record, under exactly its key; before that and after removal, nothing."""
    assert subject.bindings.find(key) is None
    added = record(subject, key)
    subject.bindings.add(added)
    assert subject.bindings.find(key) == added
    assert ours(subject) == [added]
    subject.bindings.remove(key)
    assert subject.bindings.find(key) is None
    assert ours(subject) == []


def test_all_families_are_known(subject: BindingsSubject) -> None:
    """Windows 10 and Server 2016 on know all four."""
    assert all(subject.bindings.supports(family) for family in BindingFamily)


def test_a_host_may_be_bound_to_a_port_in_two_families(subject: BindingsSubject) -> None:
    """SNI and scoped CCS: two records. That a real HTTP.sys keeps them apart, nobody has shown."""
    named, scoped = HostnamePort("both.contract.example", 44301), ScopedCcs("both.contract.example", 44301)
    first, second = record(subject, named), record(subject, scoped)
    subject.bindings.add(first)
    try:
        subject.bindings.add(second)
        assert subject.bindings.find(named) == first
        assert subject.bindings.find(scoped) == second
        subject.bindings.remove(scoped)
        assert subject.bindings.find(named) == first
    except BindingExistsError:
        if not subject.may_refuse:
            raise
        pytest.xfail("this HTTP.sys files SNI and scoped CCS under one key")
    finally:
        subject.bindings.remove(named)


def test_a_listing_goes_family_by_family_sorted_by_key(subject: BindingsSubject) -> None:
    """The order does not depend on the order of adding."""
    added = [record(subject, key) for key in KEYS]
    for each in reversed(added):
        subject.bindings.add(each)
    families = list(BindingFamily)
    expected = sorted(added, key=lambda r: (families.index(r.key.family), *_sort_key(r.key)))
    assert ours(subject) == expected


def _sort_key(key: BindingKey) -> tuple[str, int]:
    if isinstance(key, IpPort):
        return key.address, key.port
    return ("", key.port) if isinstance(key, CcsPort) else (key.host, key.port)


def test_keys_that_print_alike_are_two_bindings(subject: BindingsSubject) -> None:
    """A host name and port may be bound once for SNI and once for the scoped central store."""
    sni, scoped = record(subject, KEYS[5]), record(subject, KEYS[9])
    subject.bindings.add(sni)
    subject.bindings.add(scoped)
    subject.bindings.remove(sni.key)
    assert subject.bindings.find(sni.key) is None
    assert subject.bindings.find(scoped.key) == scoped


def test_a_key_is_bound_once(subject: BindingsSubject) -> None:
    """Adding again is refused and changes nothing, whatever the second record says."""
    first = record(subject, KEYS[0])
    subject.bindings.add(first)
    for second in (first, record(subject, KEYS[0], BindingOptions(http2=False))):
        with pytest.raises(BindingExistsError, match=r"0\.0\.0\.0:44301"):
            subject.bindings.add(second)
    assert subject.bindings.find(KEYS[0]) == first


@pytest.mark.parametrize("key", [KEYS[0], KEYS[5], KEYS[7], KEYS[9]], ids=str)
def test_what_is_not_bound_cannot_be_removed_or_updated(subject: BindingsSubject, key: BindingKey) -> None:
    """Both say so, and neither makes a binding."""
    with pytest.raises(BindingNotFoundError):
        subject.bindings.remove(key)
    if subject.bindings.atomic_update:
        with pytest.raises(BindingNotFoundError):
            subject.bindings.update(record(subject, key))
    assert subject.bindings.find(key) is None


@pytest.mark.parametrize("key", [KEYS[0], KEYS[1], KEYS[5]], ids=str)
def test_an_update_replaces_the_whole_record(subject: BindingsSubject, key: BindingKey) -> None:
    """Certificate, owner and options are the new record's: options not said again are back at their defaults."""
    if not subject.bindings.atomic_update:
        pytest.skip("this machine has no atomic update")
    subject.bindings.add(record(subject, key, BindingOptions(tls12=False, ctl_store_name=subject.trust_list[1])))
    newer = replace(record(subject, key, BindingOptions(quic=False)), app_id=uuid.UUID(int=1))
    subject.bindings.update(newer)
    assert subject.bindings.find(key) == newer
    assert ours(subject) == [newer]


@pytest.mark.parametrize("key", [KEYS[0], KEYS[1], KEYS[5], KEYS[7], KEYS[9]], ids=str)
def test_a_record_that_is_tried_out_changes_nothing(subject: BindingsSubject, key: BindingKey) -> None:
    """While the key has another one, and while it has none; nothing is left to be cleaned up."""
    for old in ([], [record(subject, key)]):
        for one in old:
            subject.bindings.add(one)
        before = subject.bindings.all()
        subject.bindings.try_out(replace(record(subject, key), app_id=uuid.UUID(int=1)))
        assert subject.bindings.all() == before
        assert ours(subject) == old
        assert subject.bindings.recover() == []


def test_trying_a_record_out_says_what_adding_it_would(subject: BindingsSubject) -> None:
    """The key that was meant is named, and nothing is left."""
    unusable = replace(record(subject, KEYS[0]), thumbprint=NOWHERE)
    refused = record(subject, CcsPort(44302), BindingOptions(http2=False))
    before = subject.bindings.all()
    for wanted in (unusable, refused):
        with pytest.raises((UnusableCertificateError, InvalidInputError)) as adding:
            subject.bindings.add(wanted)
        with pytest.raises(type(adding.value)) as trying:
            subject.bindings.try_out(wanted)
        assert str(trying.value) == str(adding.value)
    assert subject.bindings.all() == before
    assert subject.bindings.recover() == []


def test_a_machine_without_updates_says_so(subject: BindingsSubject) -> None:
    """Server 2016 has no such call: nothing is half done."""
    if subject.bindings.atomic_update:
        pytest.skip("this machine has an atomic update")
    old = record(subject, KEYS[0])
    subject.bindings.add(old)
    with pytest.raises(UnsupportedError):
        subject.bindings.update(replace(old, app_id=uuid.UUID(int=1)))
    assert subject.bindings.find(KEYS[0]) == old


@pytest.mark.parametrize("name", BOOLEANS)
def test_each_option_is_kept(subject: BindingsSubject, name: str) -> None:
    """Every named option survives on its own, turned from its default; or a build that lacks it refuses the record."""
    turned: dict[str, Any] = {name: not getattr(BindingOptions(), name)}
    options = BindingOptions(**turned)
    added = record(subject, KEYS[0], options)
    refused: NativeError | None = None
    try:
        subject.bindings.add(added)
    except NativeError as error:
        if name not in subject.may_refuse:
            raise
        refused = error
    if refused is not None:
        assert refused.code == 87
        assert "may not know one of the options" in str(refused)
        assert subject.bindings.find(KEYS[0]) is None
        return
    found = subject.bindings.find(KEYS[0])
    assert found == added
    assert found is not None
    assert getattr(found.options, name) is getattr(options, name)


@pytest.mark.parametrize("key", [KEYS[0], KEYS[5]], ids=str)
def test_durations_and_texts_are_kept(subject: BindingsSubject, key: BindingKey) -> None:
    """Seconds and milliseconds are not mixed up, nor the two texts."""
    options = BindingOptions(
        revocation_freshness_time=timedelta(seconds=4_000_000_000),
        url_retrieval_timeout=timedelta(milliseconds=3),
        ctl_identifier=subject.trust_list[0],
        ctl_store_name=subject.trust_list[1],
    )
    added = record(subject, key, options)
    subject.bindings.add(added)
    assert subject.bindings.find(key) == added
    assert ours(subject) == [added]


def test_a_freshness_time_that_is_not_used_stays_unused(subject: BindingsSubject) -> None:
    """The number and the bit that makes it count are two things."""
    options = BindingOptions(revocation_freshness_time=timedelta(days=1), use_revocation_freshness_time=False)
    subject.bindings.add(record(subject, KEYS[0], options))
    found = subject.bindings.find(KEYS[0])
    assert found is not None
    assert found.options == options


def test_bits_without_a_name_are_kept(subject: BindingsSubject) -> None:
    """What a newer Windows set must survive our rewriting of the record."""
    if not subject.takes_unknown_bits:
        pytest.skip("this machine refuses bits that it does not know")
    options = BindingOptions(unknown_flags=0x8001_0000, unknown_check_modes=0x4000_0020, quic=False)
    subject.bindings.add(record(subject, KEYS[0], options))
    found = subject.bindings.find(KEYS[0])
    assert found is not None
    assert found.options == options


def test_no_store_name_and_my_are_kept_apart(subject: BindingsSubject) -> None:
    """For an address NULL means MY; which of the two was written is the owner's affair."""
    unnamed = replace(record(subject, KEYS[0]), store_name=None)
    subject.bindings.add(unnamed)
    named = record(subject, KEYS[1])
    subject.bindings.add(named)
    assert subject.bindings.find(KEYS[0]) == unnamed
    assert subject.bindings.find(KEYS[1]) == named


def test_an_all_zero_owner_is_an_owner(subject: BindingsSubject) -> None:
    """The zero GUID is accepted and comes back."""
    added = replace(record(subject, KEYS[0]), app_id=uuid.UUID(int=0))
    subject.bindings.add(added)
    assert subject.bindings.find(KEYS[0]) == added


def test_the_owner_comes_back_byte_for_byte(subject: BindingsSubject) -> None:
    """A GUID has mixed byte orders in memory; every field is told apart here."""
    app_id = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
    added = replace(record(subject, CcsPort(44301)), app_id=app_id)
    subject.bindings.add(added)
    found = subject.bindings.find(CcsPort(44301))
    assert found is not None
    assert found.app_id == app_id


@pytest.mark.parametrize("key", [KEYS[0], KEYS[5]], ids=str)
def test_a_certificate_that_is_not_there_is_refused(subject: BindingsSubject, key: BindingKey) -> None:
    """Refused when bound, with the reason, and nothing is bound."""
    missing = replace(record(subject, key), thumbprint=NOWHERE)
    with pytest.raises(UnusableCertificateError, match=str(NOWHERE)) as caught:
        subject.bindings.add(missing)
    assert caught.value.diagnosis
    assert all(isinstance(cause, Diagnosis) for cause in caught.value.diagnosis)
    assert subject.bindings.find(key) is None


def test_a_certificate_in_another_store_is_refused(subject: BindingsSubject) -> None:
    """The store that the record names is where it is looked for."""
    elsewhere = replace(record(subject, KEYS[0]), store_name="WebHosting")
    with pytest.raises(UnusableCertificateError) as caught:
        subject.bindings.add(elsewhere)
    assert caught.value.diagnosis
    assert subject.bindings.find(KEYS[0]) is None


def test_a_failed_update_leaves_the_old_record(subject: BindingsSubject) -> None:
    """Never an unbound moment: a certificate that cannot be used changes nothing."""
    if not subject.bindings.atomic_update:
        pytest.skip("this machine has no atomic update")
    old = record(subject, KEYS[0])
    subject.bindings.add(old)
    with pytest.raises(UnusableCertificateError):
        subject.bindings.update(replace(old, thumbprint=NOWHERE))
    assert subject.bindings.find(KEYS[0]) == old


def test_a_central_store_port_takes_no_options(subject: BindingsSubject) -> None:
    """HTTP.sys has no place for them in a plain CCS record; a scoped one takes them."""
    options = BindingOptions(http2=False)
    with pytest.raises(InvalidInputError, match="no options"):
        subject.bindings.add(record(subject, CcsPort(44301), options))
    assert subject.bindings.find(CcsPort(44301)) is None
    scoped = record(subject, KEYS[9], options)
    subject.bindings.add(scoped)
    assert subject.bindings.find(KEYS[9]) == scoped


def test_a_record_without_its_certificate_cannot_be_written() -> None:
    """The value itself refuses, before any machine is asked."""
    with pytest.raises(InvalidInputError, match="needs a certificate"):
        BindingRecord(key=KEYS[0], thumbprint=None, store_name="MY", app_id=APP_ID, options=BindingOptions())


def by_name(key: HostnamePort | ScopedCcs) -> BindingKey:
    """The key that a caller makes from the host's name; what is no name can only come from the machine."""
    return type(key)(key.host, key.port) if is_host_name(key.host) else key


@pytest.mark.parametrize("key", SPELLINGS, ids=lambda key: f"{key.stored_host!r}".encode("ascii", "replace").decode())
def test_a_host_in_a_foreign_spelling_is_found_changed_and_removed(
    subject: BindingsSubject, key: HostnamePort | ScopedCcs
) -> None:
    """By the name as by the key of a listing, and the machine keeps the spelling that it was told."""
    added = record(subject, key)
    subject.bindings.add(added)
    assert [found.key.stored_host for found in same_host(subject, key)] == [key.stored_host]
    for asked in (key, by_name(key)):
        found = subject.bindings.find(asked)
        assert found == added
        assert found is not None
        assert isinstance(found.key, (HostnamePort, ScopedCcs))
        assert found.key.stored_host == key.stored_host
    changed = replace(added, key=by_name(key), app_id=uuid.UUID(int=1))
    if subject.bindings.atomic_update:
        subject.bindings.update(changed)
    else:
        subject.bindings.remove(by_name(key))
        subject.bindings.add(replace(changed, key=key))
    assert [found.key.stored_host for found in same_host(subject, key)] == [key.stored_host]
    assert subject.bindings.find(key) == changed
    subject.bindings.remove(by_name(key))
    assert subject.bindings.find(key) is None
    assert subject.bindings.find(by_name(key)) is None
    assert same_host(subject, key) == []


def same_host(subject: BindingsSubject, key: HostnamePort | ScopedCcs) -> list[Any]:
    """Every record of the host, in any spelling."""
    return [found for found in subject.bindings.all() if found.key == key]


def test_a_name_that_is_bound_in_another_spelling_is_bound(subject: BindingsSubject) -> None:
    """No second record beside it, for which of the two answers nobody could say."""
    subject.bindings.add(record(subject, SPELLINGS[0]))
    with pytest.raises(BindingExistsError, match="www"):
        subject.bindings.add(record(subject, KEYS[5]))
    assert len(same_host(subject, SPELLINGS[0])) == 1


def test_two_spellings_of_one_host_are_two_records(subject: BindingsSubject) -> None:
    """Where other programs left both: a name means the normalised one, each listed key its own and no other."""
    upper, dotted, plain = SPELLINGS[0], SPELLINGS[2], HostnamePort.as_stored("www.contract.example", 44301)
    for key in (upper, dotted, plain):
        subject.bindings.add(replace(record(subject, key), app_id=uuid.uuid5(APP_ID, str(key.stored_host))))
    listed = [found.key.stored_host for found in same_host(subject, upper)]
    assert listed == ["WWW.Contract.Example", "www.contract.example", "www.contract.example."]
    for key in (upper, dotted, plain):
        found = subject.bindings.find(key)
        assert found is not None
        assert found.app_id == uuid.uuid5(APP_ID, str(key.stored_host))
    subject.bindings.remove(KEYS[5])
    with pytest.raises(BindingNotFoundError):
        subject.bindings.remove(plain)
    by_the_name = subject.bindings.find(KEYS[5])
    assert by_the_name is not None
    assert by_the_name.app_id == uuid.uuid5(APP_ID, "WWW.Contract.Example")
    subject.bindings.remove(upper)
    assert [found.key.stored_host for found in same_host(subject, upper)] == ["www.contract.example."]


def test_a_central_store_port_that_has_options_is_refused_before_it_is_asked(subject: BindingsSubject) -> None:
    """Whatever a Windows would do with them; and nothing else of the port changes."""
    plain = record(subject, CcsPort(44301))
    subject.bindings.add(plain)
    if subject.bindings.atomic_update:
        with pytest.raises(InvalidInputError, match="no options"):
            subject.bindings.update(replace(plain, options=BindingOptions(tls12=False)))
    assert subject.bindings.find(CcsPort(44301)) == plain
