"""Why HTTP.sys could not use a certificate: the known causes of 1312, each looked for in the machine's file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsssl._embedded import schema
from mlsssl._ports import Cause, Diagnosis

if TYPE_CHECKING:
    from mlsssl._embedded.database import Database
    from mlsssl.values import Thumbprint


def diagnose(database: Database, thumbprint: Thumbprint, store_name: str) -> tuple[Diagnosis, ...]:
    """Every cause that holds, likeliest first; empty when HTTP.sys can use the certificate.

    Runs two lookups by index; callers that want one consistent look hold a transaction.
    """
    rows = database.query(
        "SELECT location, name, folded, certificates.public_key, container, provider, machine_keyset,"
        " keys.public_key, pkcs8 IS NOT NULL"
        " FROM certificates JOIN stores ON stores.id = store LEFT JOIN keys USING (container)"
        " WHERE thumbprint = ? ORDER BY location DESC, name",
        (bytes(thumbprint),),
    )
    wanted = schema.folded(store_name)
    for location, _, folded, certificate_key, container, provider, machine_keyset, public_key, persisted in rows:
        if location == "LocalMachine" and folded == wanted:
            return tuple(
                _about_key(
                    container=container,
                    key_exists=provider is not None,
                    persisted=bool(persisted),
                    machine_keyset=bool(machine_keyset),
                    matches=public_key == certificate_key,
                )
            )
    return _about_place([(location, name) for location, name, *_ in rows], store_name)


def _about_place(places: list[tuple[str, str]], store_name: str) -> tuple[Diagnosis, ...]:
    here = f"LocalMachine\\{store_name}"
    if not places:
        return (
            Diagnosis(
                cause=Cause.NOT_IN_STORE,
                found=f"the certificate is in no store of this machine, so not in {here}",
                remedy=f"add it with its private key: Store.open({store_name!r}).add(certificate)",
            ),
        )
    found = []
    wrong_stores = [name for location, name in places if location == "LocalMachine"]
    if wrong_stores:
        names = " and ".join(f"LocalMachine\\{name}" for name in wrong_stores)
        found.append(
            Diagnosis(
                cause=Cause.WRONG_STORE,
                found=f"the certificate is in {names}, not in {here}",
                remedy=f"bind it with store_name={wrong_stores[0]!r}, or add it to {store_name!r} with its private key",
            )
        )
    wrong_locations = [name for location, name in places if location != "LocalMachine"]
    if wrong_locations:
        names = " and ".join(f"CurrentUser\\{name}" for name in wrong_locations)
        found.append(
            Diagnosis(
                cause=Cause.WRONG_LOCATION,
                found=f"the certificate is in {names}, where HTTP.sys never looks",
                remedy=f"add it to {here} with its private key: Store.open({store_name!r}).add(certificate)",
            )
        )
    return tuple(found)


def _about_key(
    *, container: str | None, key_exists: bool, persisted: bool, machine_keyset: bool, matches: bool
) -> list[Diagnosis]:
    again = "add the certificate again together with its private key: store.add(certificate)"
    if container is None:
        return [
            Diagnosis(cause=Cause.NO_KEY, found="the certificate in the store has no private key", remedy=again),
        ]
    if not key_exists:
        return [
            Diagnosis(
                cause=Cause.KEY_NOT_FOUND,
                found=f"the certificate names the private key {container}, which is not there",
                remedy=again,
            )
        ]
    found = []
    if not machine_keyset:
        found.append(
            Diagnosis(
                cause=Cause.USER_KEYSET,
                found="the private key lies among a user's keys, which HTTP.sys cannot open",
                remedy="add the certificate again together with its private key to a LocalMachine store",
            )
        )
    if not persisted:
        found.append(
            Diagnosis(
                cause=Cause.KEY_NOT_PERSISTED,
                found="the private key was never persisted; it ended with the process that loaded it",
                remedy=again,
            )
        )
    elif not matches:
        found.append(
            Diagnosis(
                cause=Cause.KEY_MISMATCH,
                found="the private key that the certificate names is the key of another certificate",
                remedy=again,
            )
        )
    return found
