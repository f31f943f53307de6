"""Access lists of private keys: foreign entries kept bit by bit, refusals told, faults at every call."""

from __future__ import annotations

import contextlib
import struct
import sys
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.subjects.windows_real_stores import STORES
from contract.test_store_contract import rsa_key
from made_certificates import make
from mlsssl._fakes.computer import DESCRIPTOR, Computer, FakeKey
from mlsssl._fakes.dlls import FakeDlls
from mlsssl._machine.accounts import Account, sid_bytes
from mlsssl._machine.ports import KeyAccess
from mlsssl._windows.dlls import SystemDlls
from mlsssl._windows.keys import access, csp, descriptors
from mlsssl._windows.stores import WindowsStore
from mlsssl.errors import AccessDeniedError, MalformedDataError, MlssslError, NativeError, StoreError, UnsupportedError
from windows.stores_machine import WindowsStoresMachine

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mlsssl._machine.ports import KeyProvider

SERVICE = Account("NT AUTHORITY\\NETWORK SERVICE", "S-1-5-20")
ALICE = "S-1-5-21-1004336348-1177238915-682003330-1104"
MADE = make("rights.example", key=rsa_key(1))


def ace(kind: int, flags: int, mask: int, sid: str, behind: bytes = b"") -> bytes:
    """An entry, by MS-DTYP 2.4.4."""
    octets = struct.pack("<I", mask) + sid_bytes(sid) + behind
    return struct.pack("<BBH", kind, flags, 4 + len(octets)) + octets


def descriptor(*entries: bytes, control: int = 0x9004, revision: int = 2) -> bytes:
    """A descriptor with this access list alone."""
    body = b"".join(entries)
    head = struct.pack("<BBH4I", 1, 0, control, 0, 0, 0, 20)
    return head + struct.pack("<BBHHH", revision, 0, 8 + len(body), len(entries), 0) + body


DENY_GUESTS = ace(1, 0, 0x1F01FF, "S-1-5-32-546")
SYSTEM_FULL = ace(0, 0, 0xD01F01FF, "S-1-5-18")
ALICE_WRITES = ace(0, 0, 0x2, ALICE)
CONDITIONAL = ace(9, 0, 0x120089, ALICE, b"artx\0\0\0\0")
OBJECT = bytes.fromhex("0500280001000000") + bytes(4) + sid_bytes(ALICE)  # ACCESS_ALLOWED_OBJECT_ACE: only kept
INHERITED = ace(0, 0x10, 0x120089, "S-1-5-32-545")
FOREIGN = (DENY_GUESTS, SYSTEM_FULL, ALICE_WRITES, CONDITIONAL, OBJECT, INHERITED)


class Bench:
    """A computer with one certificate and its key, whose list is `given`."""

    def __init__(self, folder: Path, given: bytes = DESCRIPTOR, *, provider: KeyProvider | None = "cng") -> None:
        self.computer = Computer()
        self.dlls = FakeDlls(self.computer)
        self.folder = folder
        self.store = self.open()
        self.store.add(MADE.der, MADE.pkcs8, friendly_name=None, exportable=False, provider=provider)
        self.key.descriptor = given

    def open(self) -> WindowsStore:
        """The store."""
        return WindowsStoresMachine(self.dlls, self.folder).open_store("MY", "LocalMachine", write=True)

    @property
    def key(self) -> FakeKey:
        """The key itself."""
        keys = [*self.computer.cng.values(), *(one for both in self.computer.csp.values() for one in both.values())]
        (key,) = keys
        return key

    @property
    def octets(self) -> list[bytes]:
        """The entries of its list, as they are."""
        entries = descriptors.parse(self.key.descriptor).entries
        assert entries is not None
        return [entry.octets for entry in entries]


@pytest.fixture(name="bench")
def _bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, descriptor(*FOREIGN))


def test_foreign_entries_are_kept_bit_by_bit(bench: Bench) -> None:
    """The new one goes behind the key's own and before the inherited; away again, everything is as it was."""
    bench.key.descriptor = before = DESCRIPTOR[:20] + DESCRIPTOR[20:48] + descriptor(*FOREIGN)[20:]
    bench.store.grant_key_access(MADE.thumbprint, SERVICE)
    ours = ace(0, 0, 0x80120089, SERVICE.sid)
    assert bench.octets == [*FOREIGN[:5], ours, INHERITED]
    assert bench.key.descriptor[:48] == before[:48]  # control, owner and group
    bench.store.revoke_key_access(MADE.thumbprint, SERVICE)
    assert bench.key.descriptor == before
    assert bench.dlls.calls.leaks == {}


def test_every_entry_is_told_by_what_it_lets_do(bench: Bench) -> None:
    """Names where an account has one; a condition is neither yes nor no; an unknown kind is kept, and not told."""
    assert bench.store.key_access(MADE.thumbprint) == (
        KeyAccess(name="S-1-5-32-546", sid="S-1-5-32-546", right="denied"),
        KeyAccess(name="NT AUTHORITY\\SYSTEM", sid="S-1-5-18", right="full"),
        KeyAccess(name="EXAMPLE\\alice", sid=ALICE, right="other"),
        KeyAccess(name="S-1-5-32-545", sid="S-1-5-32-545", right="read", inherited=True),
    )


@pytest.mark.parametrize("mask", [0x80000000, 0x120089, 0x80120089, 0x1])
def test_who_may_read_already_gets_no_second_entry(tmp_path: Path, mask: int) -> None:
    """In whatever way the right is written down."""
    bench = Bench(tmp_path, descriptor(SYSTEM_FULL, ace(0, 0, mask, SERVICE.sid)))
    bench.store.grant_key_access(MADE.thumbprint, SERVICE)
    assert len(bench.octets) == 2
    bench.store.revoke_key_access(MADE.thumbprint, SERVICE)
    assert bench.octets == [SYSTEM_FULL]


def test_an_entry_that_denies_is_not_overruled(tmp_path: Path) -> None:
    """It goes before whatever allows, so granting would do nothing: said."""
    bench = Bench(tmp_path, descriptor(ace(1, 0, 0x120089, SERVICE.sid), SYSTEM_FULL))
    before = bench.key.descriptor
    with pytest.raises(StoreError, match=r"denies NT AUTHORITY.NETWORK SERVICE \(S-1-5-20\)"):
        bench.store.grant_key_access(MADE.thumbprint, SERVICE)
    bench.store.revoke_key_access(MADE.thumbprint, SERVICE)
    assert bench.key.descriptor == before


def test_what_is_inherited_is_not_taken_away_here(tmp_path: Path) -> None:
    """It is the folder's."""
    bench = Bench(tmp_path, descriptor(SYSTEM_FULL, INHERITED))
    with pytest.raises(StoreError, match="take that right from the folder"):
        bench.store.revoke_key_access(MADE.thumbprint, Account("x", "S-1-5-32-545"))


def test_a_key_without_a_list_is_open_to_everybody(tmp_path: Path) -> None:
    """So nothing is granted, and nothing can be taken away."""
    bench = Bench(tmp_path, struct.pack("<BBH4I", 1, 0, 0x8004, 0, 0, 0, 0))
    assert bench.store.key_access(MADE.thumbprint) == (KeyAccess(name="Everyone", sid="S-1-1-0", right="full"),)
    bench.store.grant_key_access(MADE.thumbprint, SERVICE)
    with pytest.raises(StoreError, match="everybody may read it"):
        bench.store.revoke_key_access(MADE.thumbprint, SERVICE)


def test_a_full_list_takes_no_more(tmp_path: Path) -> None:
    """64 KiB is what its header can say."""
    many = [ace(0, 0, 0x120089, f"S-1-5-21-1-2-3-{number}") for number in range(1000, 2818)]
    bench = Bench(tmp_path, descriptor(*[SYSTEM_FULL] * 3, *many))
    with pytest.raises(StoreError, match="is full"):
        bench.store.grant_key_access(MADE.thumbprint, SERVICE)


@pytest.mark.parametrize("provider", ["cng", "csp"])
def test_a_success_that_keeps_nothing_is_no_success(tmp_path: Path, provider: KeyProvider) -> None:
    """Read again afterwards."""
    bench = Bench(tmp_path, provider=provider)
    bench.computer.keeps_lists = False
    with pytest.raises(StoreError, match="reported success, yet"):
        bench.store.grant_key_access(MADE.thumbprint, SERVICE)


@pytest.mark.parametrize("provider", ["cng", "csp"])
def test_who_is_no_administrator_changes_nothing(tmp_path: Path, provider: KeyProvider) -> None:
    """5 from the key itself, in words; looking is allowed."""
    bench = Bench(tmp_path, provider=provider)
    link = bench.store._usable_link(MADE.thumbprint)
    bench.computer.administrator = False
    changes: tuple[Callable[[], None], ...] = (
        lambda: access.grant(bench.dlls, link, SERVICE, "read"),
        lambda: access.revoke(bench.dlls, link, Account("SYSTEM", "S-1-5-18")),
    )
    for change in changes:
        with pytest.raises(AccessDeniedError, match="Run as administrator") as caught:
            change()
        assert isinstance(caught.value.__cause__, NativeError)
        assert caught.value.__cause__.code == 5
    assert bench.key.descriptor == DESCRIPTOR
    assert len(access.look(bench.dlls, link)) == 2
    with pytest.raises(AccessDeniedError):  # as soon as the store is opened
        bench.store.grant_key_access(MADE.thumbprint, SERVICE)


@pytest.mark.parametrize("code", [0x80090029, 0x8009000A])
def test_a_storage_without_lists_says_so(bench: Bench, code: int) -> None:
    """A smart card, say."""
    bench.dlls.calls.names.clear()
    bench.store.key_access(MADE.thumbprint)
    names = bench.dlls.calls.names
    at = max(number for number, name in enumerate(names) if name == "NCryptGetProperty")
    bench.dlls.calls.names.clear()
    bench.dlls.calls.faults[at] = code
    with pytest.raises(UnsupportedError, match="does not tell or change who may read a key"):
        bench.store.key_access(MADE.thumbprint)
    assert bench.dlls.calls.leaks == {}


@pytest.mark.parametrize("provider", ["cng", "csp"])
def test_every_call_may_fail(tmp_path: Path, provider: KeyProvider) -> None:
    """An error of ours, nothing left open, and the list as it was or as it was to be."""

    def prepared() -> Bench:
        bench = Bench(tmp_path, provider=provider)
        bench.dlls.calls.names.clear()
        return bench

    def grant(bench: Bench) -> None:
        bench.store.grant_key_access(MADE.thumbprint, SERVICE)

    done = prepared()
    grant(done)
    names = [*done.dlls.calls.names]
    assert {"NCryptSetProperty", "CryptSetProvParam"} & set(names)
    for number, name in enumerate(names):
        bench = prepared()
        bench.dlls.calls.faults[number] = 0x80090020 if name.startswith("NCrypt") else 1359
        with contextlib.suppress(MlssslError):
            grant(bench)
        assert bench.key.descriptor in (DESCRIPTOR, done.key.descriptor), (number, name)
        assert bench.dlls.calls.leaks == {}, (number, name)
        bench.dlls.calls.faults.clear()
        grant(bench)
        assert bench.key.descriptor == done.key.descriptor


@pytest.mark.skipif(sys.platform != "win32", reason="it needs Windows' own providers")
def test_the_older_provider_of_this_windows_takes_an_entry(tmp_path: Path) -> None:
    """CryptSetProvParam for real; what was in the list stays bit by bit, and the next process sees it.

    Under Wine too, whose provider keeps its keys in the registry: the list is the registry key's, and SYSTEM not in it.
    """
    with STORES["windows-real"](tmp_path) as subject:
        store = subject.machine.open_store(subject.my, "LocalMachine", write=True)
        assert isinstance(store, WindowsStore)
        store.add(MADE.der, MADE.pkcs8, friendly_name=None, exportable=False, provider="csp")
        link = store._usable_link(MADE.thumbprint)
        before = descriptors.parse(csp.descriptor(SystemDlls(), link)).entries
        assert before
        assert SERVICE.sid not in {entry.sid for entry in before}
        store.grant_key_access(MADE.thumbprint, SERVICE)
        store.grant_key_access(MADE.thumbprint, SERVICE)
        after = descriptors.parse(csp.descriptor(SystemDlls(), link)).entries
        assert after is not None
        assert [entry.octets for entry in after if entry.sid != SERVICE.sid] == [entry.octets for entry in before]
        other = subject.another_process().open_store(subject.my, "LocalMachine")
        (mine,) = [one for one in other.key_access(MADE.thumbprint) if one.sid == SERVICE.sid]
        assert mine.right == "read"
        assert mine.name != mine.sid
        store.remove(MADE.thumbprint, delete_key=True)


# -- the bytes --------------------------------------------------------------------------------------------------------


def test_what_is_written_is_what_was_read() -> None:
    """Whatever is in it."""
    for given_bytes in (DESCRIPTOR, descriptor(*FOREIGN), descriptor(revision=4, control=0x8404)):
        assert descriptors.parse(given_bytes).to_bytes() == given_bytes


@given(st.data())
def test_foreign_bytes_raise_one_error(data: st.DataObject) -> None:
    """Cut off anywhere, or with any byte another one."""
    whole = descriptor(*FOREIGN)
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = data.draw(
        st.sampled_from([whole[:at], whole[:at] + bytes([data.draw(st.integers(0, 255))]) + whole[at + 1 :]])
    )
    with contextlib.suppress(MalformedDataError):
        descriptors.parse(changed)


@given(st.binary(max_size=200))
def test_rubbish_raises_one_error(data: bytes) -> None:
    """Also with a head that may be one."""
    for octets in (data, struct.pack("<BBH", 1, 0, 0x8004) + data):
        with contextlib.suppress(MalformedDataError):
            descriptors.parse(octets)
