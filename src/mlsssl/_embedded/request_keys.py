"""Keys of certificate requests (`RequestKeysPort`) in the machine's file: rows of `keys` with a mark."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from mlsssl._embedded.stores import CNG, CSP
from mlsssl._formats import foreign
from mlsssl._formats.keys import private_key_der, spki
from mlsssl._issue.keys import check_key_type, make_key
from mlsssl._machine.ports import check_provider, check_request_key_name
from mlsssl.errors import ExistsError, NotFoundError, StoreError

if TYPE_CHECKING:
    from mlsssl._embedded.database import Database
    from mlsssl._formats.keys import PrivateKey
    from mlsssl._issue.machine_keys import HashName
    from mlsssl._machine.ports import KeyProvider
    from mlsssl.values import KeyType

_HASHES: dict[HashName, type[hashes.SHA256 | hashes.SHA384 | hashes.SHA512]] = {
    "sha256": hashes.SHA256,
    "sha384": hashes.SHA384,
    "sha512": hashes.SHA512,
}


class EmbeddedRequestKeys:
    """The request keys of one machine."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def make(self, name: str, key_type: KeyType, *, exportable: bool, provider: KeyProvider | None) -> bytes:
        """Make a key; see `RequestKeysPort.make`. It comes with its name or not at all."""
        check_request_key_name(name)
        check_provider(provider, is_rsa=check_key_type(key_type).startswith("rsa-"))
        key = make_key(key_type)  # outside of the transaction: RSA takes its time
        public = spki(key.public_key())
        database = self._database
        with database.transaction():
            if database.query_one("SELECT 1 FROM keys WHERE container = ?", (name,), columns="i") is not None:
                raise ExistsError(f"there is a request's key {name} on this machine already; release it first")
            database.query(
                "INSERT INTO keys (container, provider, machine_keyset, exportable, public_key, requested)"
                " VALUES (?, ?, 1, ?, ?, 1)",
                (name, CSP if provider == "csp" else CNG, int(exportable), hashlib.sha256(public).digest()),
            )
            database.query("INSERT INTO key_material (container, pkcs8) VALUES (?, ?)", (name, private_key_der(key)))
        return public

    def public_key(self, name: str) -> bytes | None:
        """The public half of a key; see `RequestKeysPort.public_key`."""
        key = self._find(name)
        return None if key is None else spki(key.public_key())

    def sign(self, name: str, digest: bytes, hash_name: HashName) -> bytes:
        """Sign a digest; see `RequestKeysPort.sign`."""
        key = self._find(name)
        if key is None:
            raise NotFoundError(f"there is no request's key {name} on this machine")
        algorithm = Prehashed(_HASHES[hash_name]())
        if isinstance(key, rsa.RSAPrivateKey):
            return key.sign(digest, padding.PKCS1v15(), algorithm)
        return key.sign(digest, ec.ECDSA(algorithm))

    def names(self) -> list[str]:
        """Every key that was not released; see `RequestKeysPort.names`."""
        rows = self._database.query("SELECT container FROM keys WHERE requested ORDER BY container", columns="t")
        return [name for (name,) in rows]

    def release(self, name: str) -> None:
        """Forget a name; see `RequestKeysPort.release`."""
        check_request_key_name(name)
        with self._database.transaction():
            self._database.query("UPDATE keys SET requested = 0 WHERE container = ?", (name,))
            self._database.query(
                "DELETE FROM keys WHERE container = ? AND NOT kept"
                " AND NOT EXISTS (SELECT 1 FROM certificates WHERE certificates.container = keys.container)",
                (name,),
            )

    def _find(self, name: str) -> PrivateKey | None:
        row = self._database.query_one(
            "SELECT pkcs8 FROM keys JOIN key_material USING (container) WHERE container = ? AND requested",
            (check_request_key_name(name),),
            columns="b",
        )
        if row is None:
            return None
        load = serialization.load_der_private_key
        try:
            key = foreign.call(load, row[0], None, unsafe_skip_rsa_key_validation=True)
        except foreign.UNREADABLE as error:
            raise StoreError(f"the request's key {name} is damaged ({type(error).__name__}); release it") from None
        if not isinstance(key, (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey)):
            raise StoreError(f"the request's key {name} is damaged (not a key that is made here); release it")
        return key
