"""Who may read a private key, on every machine: looked at, granted, taken away; nobody else's entry is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from contract.test_store_contract import MISSING, add, one, opened, two
from mlsssl._machine.accounts import Account
from mlsssl.errors import AccessDeniedError, StoreClosedError, StoreNotFoundError

if TYPE_CHECKING:
    from contract.subjects.kinds import StoresSubject
    from mlsssl._machine.ports import KeyAccess, KeyProvider, KeyRight, StorePort
    from mlsssl.values import Thumbprint

SYSTEM, ADMINISTRATORS = "S-1-5-18", "S-1-5-32-544"
SERVICE = Account("NT AUTHORITY\\NETWORK SERVICE", "S-1-5-20")
LOCAL = Account("NT AUTHORITY\\LOCAL SERVICE", "S-1-5-19")
GONE = Account("S-1-5-21-1-2-3-1001", "S-1-5-21-1-2-3-1001")


def lists(subject: StoresSubject) -> None:
    """Skip where there are none."""
    if subject.access_lists is not None:
        pytest.skip(subject.access_lists)


def rights(store: StorePort, thumbprint: Thumbprint) -> dict[str, KeyRight]:
    """SID to right."""
    found: tuple[KeyAccess, ...] = store.key_access(thumbprint)
    assert len({(entry.sid, entry.right) for entry in found}) == len(found)
    return {entry.sid: entry.right for entry in found}


def others(store: StorePort, thumbprint: Thumbprint) -> dict[str, KeyRight]:
    """Without those that a new key has: SYSTEM, the administrators, and on a real Windows who made it."""
    return {sid: right for sid, right in rights(store, thumbprint).items() if sid in (SERVICE.sid, LOCAL.sid, GONE.sid)}


def test_a_new_key_is_open_to_system_and_administrators(stores_subject: StoresSubject) -> None:
    """To HTTP.sys, which reads it as SYSTEM, and to whoever looks after the machine; by name and SID."""
    lists(stores_subject)
    store = opened(stores_subject)
    add(store, one())
    found = rights(store, one().thumbprint)
    assert found[SYSTEM] == found[ADMINISTRATORS] == "full"
    assert others(store, one().thumbprint) == {}
    names = {entry.sid: entry.name for entry in store.key_access(one().thumbprint)}
    assert names[SYSTEM].endswith("\\SYSTEM")


@pytest.mark.parametrize("provider", [None, "cng", "csp"])
def test_granted_and_taken_away_again(stores_subject: StoresSubject, provider: KeyProvider | None) -> None:
    """Seen by another process; doing either again changes nothing; the certificate's other keys are not touched."""
    lists(stores_subject)
    if provider == "cng" and stores_subject.ec_keys is not None:
        pytest.skip(stores_subject.ec_keys)
    store = opened(stores_subject)
    for made in (one(), two()):
        store.add(made.der, made.pkcs8, friendly_name=None, exportable=False, provider=provider)
    fresh = store.key_access(one().thumbprint)
    for _ in range(2):
        store.grant_key_access(one().thumbprint, SERVICE)
        store.grant_key_access(one().thumbprint, GONE, right="full")
    other = stores_subject.another_process().open_store(stores_subject.my, "LocalMachine")
    assert others(other, one().thumbprint) == {SERVICE.sid: "read", GONE.sid: "full"}
    assert others(other, two().thumbprint) == {}
    record = other.find(one().thumbprint)
    assert record is not None
    assert record.key is not None
    assert record.key.usable
    store.grant_key_access(one().thumbprint, LOCAL)
    for _ in range(2):
        store.revoke_key_access(one().thumbprint, SERVICE)
        store.revoke_key_access(one().thumbprint, GONE)
    assert others(other, one().thumbprint) == {LOCAL.sid: "read"}
    store.revoke_key_access(one().thumbprint, LOCAL)
    assert other.key_access(one().thumbprint) == fresh


def test_full_is_enough_to_read_and_more_than_read(stores_subject: StoresSubject) -> None:
    """Who has everything gets no second entry; who could only read can do everything then."""
    lists(stores_subject)
    store = opened(stores_subject)
    add(store, one())
    before = store.key_access(one().thumbprint)
    store.grant_key_access(one().thumbprint, Account("x", SYSTEM))
    assert store.key_access(one().thumbprint) == before
    store.grant_key_access(one().thumbprint, SERVICE)
    store.grant_key_access(one().thumbprint, SERVICE, right="full")
    assert "full" in [entry.right for entry in store.key_access(one().thumbprint) if entry.sid == SERVICE.sid]
    store.revoke_key_access(one().thumbprint, SERVICE)
    assert store.key_access(one().thumbprint) == before


def test_the_rights_go_with_the_key(stores_subject: StoresSubject) -> None:
    """A certificate that comes again has a new key, which is open to nobody else."""
    lists(stores_subject)
    store = opened(stores_subject)
    add(store, one())
    store.grant_key_access(one().thumbprint, SERVICE)
    store.remove(one().thumbprint, delete_key=True)
    add(store, one())
    assert others(store, one().thumbprint) == {}


def test_without_a_usable_key_there_is_nothing_to_read(stores_subject: StoresSubject) -> None:
    """Said by all three, for a certificate that is not there and for one without a key."""
    store = opened(stores_subject)
    add(store, one(), key=False)
    for thumbprint, words in ((MISSING, "there is no certificate"), (one().thumbprint, "no usable private key")):
        for act in (
            lambda wanted: store.key_access(wanted),
            lambda wanted: store.grant_key_access(wanted, SERVICE),
            lambda wanted: store.revoke_key_access(wanted, SERVICE),
        ):
            with pytest.raises(StoreNotFoundError, match=words):
                act(thumbprint)


def test_a_store_for_looking_only_grants_nothing(stores_subject: StoresSubject) -> None:
    """Nor a closed one."""
    add(opened(stores_subject), one())
    store = stores_subject.machine.open_store(stores_subject.my, "LocalMachine")
    with pytest.raises(AccessDeniedError, match="reading only"):
        store.grant_key_access(one().thumbprint, SERVICE)
    with pytest.raises(AccessDeniedError, match="reading only"):
        store.revoke_key_access(one().thumbprint, SERVICE)
    store.close()
    with pytest.raises(StoreClosedError):
        store.key_access(one().thumbprint)
