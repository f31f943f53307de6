"""Embedded machines of many bindings, made in one transaction: nobody would wait for 10,000 of them."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mlsssl import CertificateAuthority
from mlsssl._embedded.port import EmbeddedPort
from mlsssl._formats.binding_keys import BindingOptions, HostnamePort
from mlsssl._machine.ports import BindingRecord, NewCertificate

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def bind_all(machine: EmbeddedPort, records: Iterable[BindingRecord]) -> None:
    """Add bindings that are known to be possible and new."""
    bindings, database = machine.bindings, machine._database  # noqa: SLF001
    with database.transaction():
        for record in records:
            bindings._put("INSERT", record, bindings._checked_row(record))  # noqa: SLF001


def fill(path: Path, count: int) -> CertificateAuthority:
    """A machine with that many bindings, each of its own certificate; the authority, whose root is in the store."""
    authority = CertificateAuthority.create("Benchmark", key="ec-p256")
    issued = [authority.issue(f"host-{number}.example", key="ec-p256") for number in range(count)]
    machine = EmbeddedPort(path)
    root = machine.open_store("Root", "LocalMachine", write=True)
    root.add(authority.certificate.to_der(), None, friendly_name=None, exportable=False, provider=None)
    new = []
    for one in issued:
        assert one.private_key is not None
        key = one.private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        new.append(NewCertificate(certificate=one.to_der(), private_key=key, friendly_name=None))
    machine.open_store("MY", "LocalMachine", write=True).add_many(new, exportable=False)
    records = (
        BindingRecord(
            key=HostnamePort(f"host-{number}.example", 443),
            thumbprint=one.thumbprint,
            store_name="MY",
            app_id=uuid.UUID(int=number + 1),
            options=BindingOptions(),
        )
        for number, one in enumerate(issued)
    )
    bind_all(machine, records)
    machine.close()
    return authority
