"""Why HTTP.sys could not use a certificate: the known causes of 1312, each looked for in the machine's file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsssl._embedded import schema
from mlsssl._machine.diagnosis import about_key, about_place

if TYPE_CHECKING:
    from mlsssl._embedded.database import Database
    from mlsssl._machine.ports import Diagnosis
    from mlsssl.values import Thumbprint


def diagnose(database: Database, thumbprint: Thumbprint, store_name: str) -> tuple[Diagnosis, ...]:
    """Every cause that holds, likeliest first; empty when HTTP.sys can use the certificate.

    Runs two lookups by index; callers that want one consistent look hold a transaction.
    """
    rows = database.query(
        "SELECT location, name, folded, certificates.public_key, container, provider, machine_keyset,"
        " keys.public_key, persisted"
        " FROM certificates JOIN stores ON stores.id = store LEFT JOIN keys USING (container)"
        " WHERE thumbprint = ? ORDER BY location DESC, name",
        (bytes(thumbprint),),
        columns="tttbTTIBI",
    )
    wanted = schema.folded(store_name)
    for location, _, folded, certificate_key, container, provider, machine_keyset, public_key, persisted in rows:
        if location == "LocalMachine" and folded == wanted:
            return about_key(
                container=container,
                key_exists=provider is not None,
                persisted=bool(persisted),
                machine_keyset=bool(machine_keyset),
                matches=public_key == certificate_key,
            )
    return about_place([(location, name) for location, name, *_ in rows], store_name)
