"""The private keys of the machine's file: rows of their own, which certificates name by container."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from mlsssl._machine.ports import KeyState, check_provider

if TYPE_CHECKING:
    from mlsssl._embedded.database import Database, Row
    from mlsssl._machine.ports import KeyProvider

CNG = "mlsssl Embedded Key Storage Provider"
CSP = "mlsssl Embedded Cryptographic Provider"

STATE_COLUMNS = "container, provider, machine_keyset, exportable, keys.public_key, persisted"
"""What `key_state` needs, from certificates LEFT JOIN keys USING (container)."""

STATE_KINDS = "TTIIBI"
"""Their kinds, as `Database.query` takes them."""


def provider_name(provider: KeyProvider | None, pkcs8: bytes | None) -> str:
    """The full name of the embedded provider that stands for CNG (the machine's own choice) or the older CSP.

    Raises:
        InvalidInputError, UnsupportedError: as `check_provider`.
    """
    # id-ecPublicKey (RFC 5480) in the PrivateKeyInfo's first bytes.
    check_provider(provider, is_rsa=pkcs8 is None or bytes.fromhex("06072a8648ce3d0201") not in pkcs8[:32])
    return CSP if provider == "csp" else CNG


def key_state(row: Row, *, certificate_key: bytes, in_machine_store: bool) -> KeyState | None:
    """What was found at the end of a certificate's link to its key; None when there is no link.

    Opening and comparing is looking at two digests here: both were computed from the key itself when it came.
    """
    container, provider, machine_keyset, exportable, public_key, persisted = row
    if container is None:
        return None
    problem = None
    if provider is None:
        problem = "0x80090016 (NTE_BAD_KEYSET): there is no key of this name"
    elif not persisted:
        problem = "0x80090016 (NTE_BAD_KEYSET): the key was never persisted; it ended with the process that had it"
    return KeyState(
        provider=provider or CNG,
        container=container,
        machine_keyset=in_machine_store if provider is None else bool(machine_keyset),
        persisted=problem is None,
        matches=public_key == certificate_key if problem is None else None,
        exportable=bool(exportable) if problem is None else None,
        problem=problem,
    )


def store_key(
    database: Database,
    pkcs8: bytes,
    *,
    public_key: bytes,
    provider: str,
    machine_keyset: bool,
    exportable: bool,
) -> str:
    """Put a key in, or find it there already with the same terms; its container's name. Inside a transaction."""
    same = database.query_one(
        "SELECT container FROM keys WHERE public_key = ? AND provider = ? AND machine_keyset = ? AND exportable = ?"
        " AND persisted",
        (public_key, provider, machine_keyset, exportable),
        columns="t",
    )
    if same is not None:
        database.query("UPDATE keys SET kept = 0 WHERE container = ? AND kept", same)
        return str(same[0])
    container = str(uuid.uuid4())
    database.query(
        "INSERT INTO keys (container, provider, machine_keyset, exportable, public_key) VALUES (?, ?, ?, ?, ?)",
        (container, provider, machine_keyset, exportable, public_key),
    )
    database.query("INSERT INTO key_material (container, pkcs8) VALUES (?, ?)", (container, pkcs8))
    return container


def release_key(database: Database, container: str | None, *, delete: bool) -> None:
    """A certificate let go of this key: delete it, or keep it on purpose, unless another one uses it.

    Inside the transaction that changed the certificate.
    """
    if container is None or database.query("SELECT 1 FROM certificates WHERE container = ? LIMIT 1", (container,)):
        return
    if delete:
        database.query("DELETE FROM keys WHERE container = ?", (container,))
    else:
        database.query("UPDATE keys SET kept = 1 WHERE container = ?", (container,))
