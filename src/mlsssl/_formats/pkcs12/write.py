"""PFX (PKCS#12, RFC 7292) out: a key with its certificates to the bytes that a given system can read.

Two writers, one rule: `cryptography` writes what it can express, ten times as fast, with the certificates first. It
has no other rounds for the MAC, none of Microsoft's attributes, no source of random bytes but its own, and needs a
password and a certificate; a file that asks for something else is written here, with the key first.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12

from mlsssl._formats import der, identifiers
from mlsssl._formats.keys import spki
from mlsssl._formats.parsed import OddCertificate
from mlsssl._formats.pem import public_key_bytes
from mlsssl._formats.pkcs12.encryption import Encryption, KeyDerivation, check_password, write_encryption, write_mac
from mlsssl._formats.pkcs12.structure import encrypted_part, open_part
from mlsssl._formats.pkcs12.targets import check_readable, find_target
from mlsssl._messages.arguments import check_whole
from mlsssl.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import KeySerializationEncryption

    from mlsssl._formats.keys import FilePrivateKey

COMPATIBLE_ROUNDS = 2_048
"""Rounds of PKCS#12's own derivation: what Windows and OpenSSL write. More would not help, for the MAC that
`cryptography` writes has as many, and the cheapest is what a guesser attacks; a long random password does."""
MODERN_ROUNDS = 20_000
"""Rounds of PBKDF2 with AES: `cryptography`'s own default."""
_MOST_ITERATIONS = 600_000


def serialize_pfx(
    private_key: FilePrivateKey | None,
    certificate: x509.Certificate | None,
    chain: Sequence[x509.Certificate] = (),
    password: str | None = None,
    *,
    friendly_name: str | None = None,
    readable_by: str | None = None,
    iterations: int | None = None,
    provider: str | None = None,
    machine_keyset: bool = False,
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> bytes:
    """Write a PFX: the key, its certificate, then the chain in the order given; see `Certificate.to_pfx`.

    Without `readable_by` it is encrypted with three-key 3DES and carries an HMAC-SHA-1, both with keys by PKCS#12's own
    derivation. That is the one combination that every supported Windows reads: Server 2016, supported until 2027-01-12,
    answers "the password is incorrect" to AES. Name a newer system to get AES-256 with PBKDF2 and HMAC-SHA-256. Either
    way the password is what protects the key: make it long and random. Encrypted with an empty one is what other
    programs write for "no password", and all of them read; without one everything lies open, with a MAC against
    accidents only, and Java finds nothing in it.

    The key, the certificate or both may be missing. `iterations` is for every key derivation and the MAC, by default as
    the constants above say; salts and initialization vectors come from `random`.

    Raises:
        InvalidInputError: nothing to write, or one of these that it cannot be.
    """
    check_password(password)
    usual = iterations is None and provider is None and not machine_keyset and random is secrets.token_bytes
    target = None if readable_by is None else find_target(readable_by)
    if target is not None:
        check_readable(password, target)
    aes = target is not None and target.aes
    if iterations is None:
        iterations = MODERN_ROUNDS if aes else COMPATIBLE_ROUNDS
    check_whole(iterations, 1, _MOST_ITERATIONS, f"iterations is a number from 1 to {_MOST_ITERATIONS}")
    if friendly_name is not None and (len(friendly_name) > 1000 or "\0" in friendly_name):
        raise InvalidInputError("a friendly name has at most 1000 characters and no NUL")
    if private_key is None and certificate is None and not chain:
        raise InvalidInputError("there is nothing to write: neither a private key nor a certificate")
    public = None if private_key is None or certificate is None else spki(private_key.public_key())
    if public is not None and certificate is not None and public != public_key_bytes(certificate):
        raise InvalidInputError("this private key does not belong to this certificate")
    odd = [one for one in (certificate, *chain) if isinstance(one, OddCertificate)]  # which cryptography refuses
    if usual and password and certificate is not None and not odd:  # the rule of the two writers
        name = None if friendly_name is None else friendly_name.encode("utf-8")
        protection = encryption_for(password, iterations, aes=aes)
        try:
            return pkcs12.serialize_key_and_certificates(
                name, private_key, certificate, list(chain) or None, protection
            )
        except (ValueError, TypeError) as error:
            raise InvalidInputError(f"this cannot be written as a PFX: {error}") from None
    writer = _Writer(password=password, aes=aes, iterations=iterations, random=random)
    key_id = certificate.fingerprint(hashes.SHA1()) if certificate is not None else b"\1"  # noqa: S303 -- a label
    safes = []
    if private_key is not None:
        attributes = _attributes(friendly_name, key_id, provider, machine_keyset=machine_keyset)
        pkcs8 = private_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        safes.append(open_part(der.write_sequence(writer.key_bag(pkcs8, attributes))))
    bags = []
    if certificate is not None:
        attributes = _attributes(friendly_name, key_id if private_key is not None else None)
        bags.append(_certificate_bag(certificate, attributes))
    bags.extend(map(_certificate_bag, chain))
    if bags:
        safes.append(writer.safe(bags))
    return writer.pfx(safes)


def encryption_for(password: str, rounds: int, *, aes: bool) -> KeySerializationEncryption:
    """How `cryptography` is to protect a file: by AES-256 and SHA-256, or by what old readers take."""
    return (
        PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(rounds)
        .key_cert_algorithm(pkcs12.PBES.PBESv2SHA256AndAES256CBC if aes else pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
        .hmac_hash(hashes.SHA256() if aes else hashes.SHA1())  # noqa: S303 -- all that Server 2016 and old Java check
        .build(password.encode("utf-8"))
    )


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Writer:
    """The pieces of a PFX, all protected by one password in one way."""

    password: str | None
    aes: bool
    iterations: int
    random: Callable[[int], bytes]

    def pfx(self, safes: list[bytes]) -> bytes:
        authenticated = der.write_sequence(*safes)
        kdf = self._pkcs12_derivation("SHA-256" if self.aes else "SHA-1")
        mac = write_mac(kdf, authenticated, self.password)
        return der.write_sequence(der.write_number(3), open_part(authenticated), mac)

    def safe(self, bags: list[bytes]) -> bytes:
        """A ContentInfo encrypted with the password, if there is one."""
        contents = der.write_sequence(*bags)
        if self.password is None:
            return open_part(contents)
        return encrypted_part(*self._encrypt(contents))

    def key_bag(self, pkcs8: bytes, attributes: list[bytes]) -> bytes:
        if self.password is None:
            return _bag(identifiers.KEY_BAG, pkcs8, attributes)
        algorithm, encrypted = self._encrypt(pkcs8)
        value = der.write_sequence(algorithm, der.write(der.OCTET_STRING, encrypted))
        return _bag(identifiers.ENCRYPTED_KEY_BAG, value, attributes)

    def _encrypt(self, data: bytes) -> tuple[bytes, bytes]:
        """An AlgorithmIdentifier with a salt of its own, and the encrypted bytes."""
        assert self.password is not None
        if self.aes:
            kdf = KeyDerivation(kind="PBKDF2", hash_name="SHA-256", salt=self.random(16), iterations=self.iterations)
            encryption = Encryption(scheme="PBES2", cipher="AES-256-CBC", kdf=kdf, iv=self.random(16))
        else:
            kdf = self._pkcs12_derivation("SHA-1")
            encryption = Encryption(scheme="PBES1", cipher="3DES-CBC", kdf=kdf)
        return write_encryption(encryption), encryption.encrypt(data, self.password)

    def _pkcs12_derivation(self, hash_name: str) -> KeyDerivation:
        # 8 bytes: what Windows, OpenSSL and NSS write for this derivation, whose RFC recommends as much as a block.
        return KeyDerivation(kind="PKCS12", hash_name=hash_name, salt=self.random(8), iterations=self.iterations)


def _bag(identifier: str, value: bytes, attributes: Sequence[bytes] = ()) -> bytes:
    written = [der.write(der.SET, *sorted(attributes))] if attributes else []
    return der.write_sequence(der.write_oid(identifier), der.write(der.EXPLICIT_0, value), *written)


def _certificate_bag(certificate: x509.Certificate, attributes: Sequence[bytes] = ()) -> bytes:
    octets = der.write(der.OCTET_STRING, certificate.public_bytes(Encoding.DER))
    value = der.write_sequence(der.write_oid(identifiers.X509_CERTIFICATE), der.write(der.EXPLICIT_0, octets))
    return _bag(identifiers.CERTIFICATE_BAG, value, attributes)


def _attributes(
    friendly_name: str | None, key_id: bytes | None, provider: str | None = None, *, machine_keyset: bool = False
) -> list[bytes]:
    found: list[bytes] = []
    if friendly_name:
        found.append(_attribute(identifiers.FRIENDLY_NAME, der.write_bmp_string(friendly_name)))
    if key_id is not None:
        found.append(_attribute(identifiers.LOCAL_KEY_ID, der.write(der.OCTET_STRING, key_id)))
    if provider:
        found.append(_attribute(identifiers.PROVIDER_NAME, der.write_bmp_string(provider)))
    if machine_keyset:
        found.append(_attribute(identifiers.MACHINE_KEYSET))
    return found


def _attribute(identifier: str, *values: bytes) -> bytes:
    return der.write_sequence(der.write_oid(identifier), der.write(der.SET, *values))
