"""PFX (PKCS#12, RFC 7292) in: bytes and a password to a key with its certificates. `pfx_write` is the way out."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key, pkcs12

from mlsssl._pki import _pbe, _pkcs12, foreign
from mlsssl._pki.keytypes import PRIVATE_KEY_TYPES, PrivateKey
from mlsssl._pki.pem import load_der, probe, public_key_bytes
from mlsssl._pki.pfx_write import serialize_pfx
from mlsssl.errors import MalformedDataError, WrongPasswordError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509

    from mlsssl._pki._pkcs12 import Bag, Structure

__all__ = ["LoadedPfx", "PrivateKey", "load_pfx", "load_pfx_entries", "serialize_pfx"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedPfx:
    """One private key of a PFX with what belongs to it.

    Attributes:
        private_key: The private key, or None when the file has none (a trust store).
        certificate: The certificate of that key, or None.
        additional: Every other certificate, in the order of the file.
        friendly_name: The name on the certificate, else on the key, or None.
    """

    private_key: PrivateKey | None = field(repr=False)
    certificate: x509.Certificate | None
    additional: tuple[x509.Certificate, ...]
    friendly_name: str | None


def load_pfx(data: bytes, password: str | None) -> LoadedPfx:
    """Read a PFX that holds one private key, or none.

    DER and BER are read; MACs of RFC 7292 and RFC 9579 (PBMAC1), or none at all; AES, 3DES, RC2 and RC4. What the
    password must cost is added up before any of it is spent.

    Args:
        data: The whole file.
        password: None when there is none. Programs write an empty one for that, so both are tried. A password
            outside ASCII is tried in the encodings that programs have used.

    Raises:
        InvalidInputError: the password contains NUL or half a surrogate pair.
        WrongPasswordError: the file is whole, and this password does not open it.
        MalformedDataError: it is not a PFX, or damaged, or larger than 16 MiB, or its iteration counts are hostile,
            or it uses what is not read, or it holds several private keys (`load_pfx_entries` gives each); the
            message says which.
    """
    structure = _structure(data, password)
    bounded = _bounded_for_openssl(data, structure, password)
    loaded = None if bounded is None else _load_with_openssl(bounded, password, structure)
    if loaded is not None:
        return loaded
    entries = load_entries(structure, password)
    if len(entries) > 1:
        names = ", ".join(repr(entry.friendly_name) for entry in entries)
        raise MalformedDataError(
            f"this PFX holds {len(entries)} private keys ({names}), and one is wanted; export the right one alone"
        )
    return entries[0]


def load_pfx_entries(data: bytes, password: str | None) -> tuple[LoadedPfx, ...]:
    """Read a PFX with any number of private keys: one entry for each, or one without a key when there is none.

    Certificates that belong to no key are in `additional` of every entry. Arguments and errors as in `load_pfx`.
    """
    return load_entries(_structure(data, password), password)


def _structure(data: bytes, password: str | None) -> Structure:
    _pbe.check_password(password)
    structure = _pkcs12.read_structure(data)
    _pbe.check_work(structure.works)
    return structure


def _bounded_for_openssl(data: bytes, structure: Structure, password: str | None) -> bytes | None:
    """The file, or an equal one, on which OpenSSL can do no work that `check_work` has not seen; None if there is none.

    An encrypted part may hide an encrypted key with an iteration count of its own. OpenSSL decrypts the first key it
    meets and skips the others, so nothing is hidden from us when the one key lies open to view in front of every
    encrypted part. Windows writes so. Most others put the certificates first: then the parts change places, and the
    MAC, which is about their order, is checked here.
    """
    keys = [safe for safe in structure.safes for bag in safe.bags if "key" in bag.kind]
    encrypted = [safe for safe in structure.safes if safe.encryption is not None]
    if any(safe.refusal for safe in structure.safes) or len(keys) > 1 or (encrypted and not keys):
        return None
    if not encrypted or structure.safes.index(keys[0]) < structure.safes.index(encrypted[0]):
        return data
    if structure.mac is None or structure.mac.kdf is None or not structure.mac.fits(structure.authenticated, password):
        return None  # `load_entries` says why
    return _pkcs12.with_open_safes_first(structure)


def _load_with_openssl(data: bytes, password: str | None, structure: Structure) -> LoadedPfx | None:
    """The quick way; None when OpenSSL does not take it, for whatever reason: `load_entries` finds out."""
    try:
        # cryptography warns about BER, which RFC 7292 allows
        loaded = foreign.call(pkcs12.load_pkcs12, data, None if password is None else password.encode())
        if not isinstance(loaded.key, PRIVATE_KEY_TYPES):
            return None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    additional = tuple(other.certificate for other in loaded.additional_certs)
    for certificate in (loaded.cert.certificate, *additional) if loaded.cert else additional:
        probe(certificate)
    name = loaded.cert.friendly_name if loaded.cert else None
    # OpenSSL drops a name with characters outside the Basic Multilingual Plane; the key's says the same.
    key_name = next((bag.friendly_name for bag in structure.bags if "key" in bag.kind), None)
    return LoadedPfx(
        private_key=loaded.key,
        certificate=loaded.cert.certificate if loaded.cert else None,
        additional=additional,
        friendly_name=name.decode("utf-8", "replace") if name else key_name,
    )


def load_entries(structure: Structure, password: str | None) -> tuple[LoadedPfx, ...]:
    """What `load_pfx_entries` gives, from a structure whose work was checked."""
    bags = _open(structure, password)
    certificates = [(bag, _load_certificate(bag)) for bag in bags if bag.kind == "certificate"]
    keys = [(bag, _load_key(bag, password)) for bag in bags if bag.kind in ("key", "encrypted key")]
    if not keys and not certificates:
        raise MalformedDataError("this PFX holds neither a private key nor a certificate")
    own: list[x509.Certificate] = []
    found = []
    for bag, key in keys:
        match = _certificate_of(bag, key, certificates)
        if match:
            own.append(match[1])
        found.append((bag, key, match))
    others = tuple(certificate for _, certificate in certificates if certificate not in own)
    if not found:
        names = [bag.friendly_name for bag, _ in certificates]
        return (
            LoadedPfx(
                private_key=None,
                certificate=None,
                additional=others,
                friendly_name=names[0] if len(names) == 1 else None,
            ),
        )
    return tuple(
        LoadedPfx(
            private_key=key,
            certificate=match[1] if match else None,
            additional=others,
            friendly_name=(match[0].friendly_name if match else None) or bag.friendly_name,
        )
        for bag, key, match in found
    )


def _open(structure: Structure, password: str | None) -> list[Bag]:
    """Every bag, after the MAC has been checked and every safe opened."""
    mac_fits = structure.mac is None or structure.mac.fits(structure.authenticated, password)
    if not mac_fits:
        if _pkcs12.password_opens_a_part(structure, password):
            raise MalformedDataError("this password is right, but the PFX was damaged: its MAC does not fit")
        raise WrongPasswordError(
            "this password does not open the PFX"
            if password is not None
            else "the PFX is protected by a password, and none was given"
        )
    try:
        bags = [bag for safe in structure.safes for bag in _pkcs12.open_safe(safe, password).bags]
    except WrongPasswordError:
        raise _not_decrypted(structure) from None
    # Now that everything shows, also what the encrypted safes hid.
    _pbe.check_work([*structure.works, *(bag.encryption.work for bag in bags if bag.encryption)])
    return bags


def _not_decrypted(structure: Structure) -> WrongPasswordError:
    if structure.mac is None:
        return WrongPasswordError(
            "this password does not open the PFX, or the PFX is damaged: it has no MAC, so nobody can tell"
        )
    return WrongPasswordError(
        "this password fits the MAC of the PFX, but not its contents: they were encrypted with a second password "
        "(openssl pkcs12 -twopass does so)"
    )


def _load_certificate(bag: Bag) -> x509.Certificate:
    try:
        return load_der(bag.value)
    except MalformedDataError as error:
        raise MalformedDataError(f"a certificate in the PFX is damaged: {error}") from None


def _load_key(bag: Bag, password: str | None) -> PrivateKey:
    """The key of a bag. OpenSSL checks an RSA key's arithmetic while it loads; nothing loads it twice."""
    if bag.encryption and password:
        with contextlib.suppress(ValueError, TypeError, UnsupportedAlgorithm):
            # Its own decryption is quicker.
            return _checked(foreign.call(load_der_private_key, bag.value, password.encode()))
    reason = None
    for plain in bag.private_keys(password):
        try:
            key = foreign.call(load_der_private_key, plain, None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            reason = str(error).split("\n")[0][:200]
            continue
        return _checked(key)
    if reason is None:
        raise WrongPasswordError(
            "this password opens the PFX, but not the private key in it, which has a password of its own"
        )
    raise MalformedDataError(f"the private key in the PFX is damaged or of a kind that is not read: {reason}")


def _checked(key: object) -> PrivateKey:
    if isinstance(key, PRIVATE_KEY_TYPES):
        return key
    raise MalformedDataError(f"the PFX holds a {type(key).__name__}, which cannot be a server's key")


def _certificate_of(
    bag: Bag, key: PrivateKey, certificates: Sequence[tuple[Bag, x509.Certificate]]
) -> tuple[Bag, x509.Certificate] | None:
    """The certificate with the public half of `key`; of several, the one with the same localKeyID, else the first."""
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    matches = [pair for pair in certificates if public_key_bytes(pair[1]) == public]
    for pair in matches:
        if bag.local_key_id is not None and pair[0].local_key_id == bag.local_key_id:
            return pair
    return matches[0] if matches else None
