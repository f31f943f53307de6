"""The embedded machine against a model in a dictionary: any order of calls, through two views of one file."""

from __future__ import annotations

import tempfile
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from made_certificates import make, shared_key
from mlsssl._embedded.port import EmbeddedPort
from mlsssl._formats.binding_keys import BindingOptions, CcsPort, HostnamePort, IpPort, ScopedCcs
from mlsssl._machine.ports import BindingRecord, NewCertificate
from mlsssl.errors import (
    AccessDeniedError,
    BindingExistsError,
    BindingNotFoundError,
    StoreNotFoundError,
    UnusableCertificateError,
)
from repetitions import examples

if TYPE_CHECKING:
    from mlsssl._embedded.stores import EmbeddedStore
    from mlsssl._formats.binding_keys import BindingKey
    from mlsssl.values import Thumbprint

# Two certificates share the key 0.
MADE = [make(f"h{n}.example", key=shared_key(n // 2 if n < 2 else n)) for n in range(4)]
STORES = ["MY", "WebHosting"]
KEYS: list[BindingKey] = [
    IpPort("0.0.0.0", 443),
    HostnamePort("h0.example", 443),
    CcsPort(443),
    ScopedCcs("h0.example", 443),
]

certificates = st.sampled_from(range(len(MADE)))
stores = st.sampled_from(STORES)
keys = st.sampled_from(KEYS)


class ModelEntry:
    """What a certificate in a store should be."""

    def __init__(self) -> None:
        self.friendly_name: str | None = None
        self.archived = False
        self.renewed_by: Thumbprint | None = None
        self.exportable: bool | None = None  # None without a key


class EmbeddedMachineModel(RuleBasedStateMachine):
    """Two ports on one file, used in turn, must always agree with the dictionaries."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.path = Path(self._folder.name) / "machine.sqlite"
        self.ports = [EmbeddedPort(self.path), EmbeddedPort(self.path)]
        self.turn = 0
        self.entries: dict[tuple[str, int], ModelEntry] = {}
        self.bindings: dict[BindingKey, BindingRecord] = {}

    @property
    def port(self) -> EmbeddedPort:
        self.turn += 1
        return self.ports[self.turn % 2]

    def store(self, name: str) -> EmbeddedStore:
        return self.port.open_store(name, "LocalMachine", write=True)

    @rule(
        name=stores,
        number=certificates,
        key=st.booleans(),
        exportable=st.booleans(),
        friendly=st.none() | st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=5),
        many=st.booleans(),
    )
    def add(self, name: str, number: int, key: bool, exportable: bool, friendly: str | None, many: bool) -> None:
        made = MADE[number]
        private_key = made.pkcs8 if key else None
        if many:
            item = NewCertificate(certificate=made.der, private_key=private_key, friendly_name=friendly)
            assert self.store(name).add_many([item], exportable=exportable) == 1
        else:
            self.store(name).add(made.der, private_key, friendly_name=friendly, exportable=exportable, provider=None)
        entry = self.entries.setdefault((name, number), ModelEntry())
        entry.friendly_name = friendly or entry.friendly_name
        if key and entry.exportable is None:
            entry.exportable = exportable

    @rule(name=stores, number=certificates, delete_key=st.booleans())
    def remove(self, name: str, number: int, delete_key: bool) -> None:
        if self.entries.pop((name, number), None) is None:
            with pytest.raises(StoreNotFoundError):
                self.store(name).remove(MADE[number].thumbprint, delete_key=delete_key)
        else:
            self.store(name).remove(MADE[number].thumbprint, delete_key=delete_key)

    @rule(name=stores, number=certificates, archived=st.booleans(), newer=st.none() | certificates)
    def set_properties(self, name: str, number: int, archived: bool, newer: int | None) -> None:
        store, thumbprint = self.store(name), MADE[number].thumbprint
        entry = self.entries.get((name, number))
        renewed_by = None if newer is None else MADE[newer].thumbprint
        if entry is None:
            with pytest.raises(StoreNotFoundError):
                store.set_archived(thumbprint, archived)
            return
        store.set_archived(thumbprint, archived)
        store.set_renewed_by(thumbprint, renewed_by)
        entry.archived, entry.renewed_by = archived, renewed_by

    @rule(name=stores, number=certificates)
    def export_key(self, name: str, number: int) -> None:
        entry = self.entries.get((name, number))
        store, thumbprint = self.store(name), MADE[number].thumbprint
        if entry is not None and entry.exportable:
            assert store.export_key(thumbprint) == MADE[number].pkcs8
        else:
            missing = entry is None or entry.exportable is None
            with pytest.raises(StoreNotFoundError if missing else AccessDeniedError):
                store.export_key(thumbprint)

    def record(self, key: BindingKey, name: str, number: int, flags: int) -> BindingRecord:
        named = key.family.has_certificate
        plain = isinstance(key, CcsPort)
        return BindingRecord(
            key=key,
            thumbprint=MADE[number].thumbprint if named else None,
            store_name=name if named else None,
            app_id=uuid.UUID(int=flags),
            options=BindingOptions() if plain else BindingOptions(unknown_flags=flags << 16, http2=bool(flags % 2)),
        )

    @rule(key=keys, name=stores, number=certificates, flags=st.integers(0, 0xFFFF), update=st.booleans())
    def bind(self, key: BindingKey, name: str, number: int, flags: int, update: bool) -> None:
        record = self.record(key, name, number, flags)
        entry = self.entries.get((name, number))
        usable = not key.family.has_certificate or (entry is not None and entry.exportable is not None)
        method = self.port.bindings.update if update else self.port.bindings.add
        if (key in self.bindings) is not update:
            with pytest.raises(BindingNotFoundError if update else BindingExistsError):
                method(record)
        elif not usable:
            with pytest.raises(UnusableCertificateError) as caught:
                method(record)
            assert len(caught.value.diagnosis) > 0
        else:
            method(record)
            self.bindings[key] = record

    @rule(key=keys)
    def unbind(self, key: BindingKey) -> None:
        if self.bindings.pop(key, None) is None:
            with pytest.raises(BindingNotFoundError):
                self.port.bindings.remove(key)
        else:
            self.port.bindings.remove(key)

    @rule()
    def open_again(self) -> None:
        self.turn += 1
        self.ports[self.turn % 2].close()
        self.ports[self.turn % 2] = EmbeddedPort(self.path)

    @invariant()
    def everything_agrees(self) -> None:
        for name in STORES:
            store = self.store(name)
            expected = {number for (place, number), e in self.entries.items() if place == name and not e.archived}
            assert set(store.thumbprints()) == {MADE[number].thumbprint for number in expected}
            for number, made in enumerate(MADE):
                found, entry = store.find(made.thumbprint), self.entries.get((name, number))
                assert (found is None) == (entry is None)
                if found is None or entry is None:
                    continue
                assert (found.certificate, found.archived, found.renewed_by, found.friendly_name) == (
                    made.der,
                    entry.archived,
                    entry.renewed_by,
                    entry.friendly_name,
                )
                assert (found.key is None) == (entry.exportable is None)
                if found.key is not None:
                    assert found.key.usable
                    assert found.key.exportable is entry.exportable
        bindings = {record.key: record for record in self.port.bindings.all()}
        assert bindings == self.bindings
        assert self.port.recover() == []

    def teardown(self) -> None:
        for port in self.ports:
            port.close()
        self._folder.cleanup()


TestEmbeddedMachine = EmbeddedMachineModel.TestCase
TestEmbeddedMachine.settings = settings(max_examples=examples(40), stateful_step_count=30, deadline=None)


def test_the_model_notices_a_difference() -> None:
    """The invariant is not empty: a change behind the model's back breaks it."""
    model = EmbeddedMachineModel()
    try:
        model.add(name="MY", number=0, key=True, exportable=False, friendly=None, many=False)
        model.everything_agrees()
        model.bind(key=KEYS[0], name="MY", number=0, flags=1, update=False)
        model.bindings[KEYS[0]] = replace(model.bindings[KEYS[0]], app_id=uuid.UUID(int=2))
        with pytest.raises(AssertionError):
            model.everything_agrees()
    finally:
        model.teardown()
