"""PFX (PKCS#12, RFC 7292) in: bytes and a password to a key with its certificates. `write` is the way out.

Two readers, one rule (`_key_for_openssl`): where every encrypted part has its key by PKCS#12's own derivation, a loop
in Python here, and one private key lies in sight, OpenSSL is given the parts and takes a fifth of the time. Everything
else is read here: PBES2, keys hidden in encrypted parts, several keys or none, no MAC, no password. So is what OpenSSL
does not take or what leaves room for a second key, for it tells of one only. Both find the same.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key

from mlsssl._formats.budget import DSA, DSA_BYTES, KEY, PKCS12_CRYPTOGRAPHY, PKCS12_OPENSSL, WorkBudget
from mlsssl._formats.foreign import UNREADABLE, call
from mlsssl._formats.key_files import load_plain_key, try_out
from mlsssl._formats.keys import FilePrivateKey, spki
from mlsssl._formats.pem import load_der, probe, public_key_bytes
from mlsssl._formats.pkcs12 import encryption
from mlsssl._formats.pkcs12.structure import (
    certificates_alone,
    is_small_alone,
    load_outside,
    open_safe,
    password_opens_a_part,
    quicker_outside,
    read_structure,
)
from mlsssl.errors import MalformedDataError, UnsupportedError, WrongPasswordError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509
    from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12KeyAndCertificates

    from mlsssl._formats.pkcs12.structure import Bag, Safe, Structure


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedPfx:
    """One private key of a PFX, or None in a trust store, with its certificate and the others in the order of the file.

    The friendly name is the certificate's, else the key's.
    """

    private_key: FilePrivateKey | None = field(repr=False)
    certificate: x509.Certificate | None
    additional: tuple[x509.Certificate, ...]
    friendly_name: str | None


def load_pfx(data: bytes, password: str | None, budget: WorkBudget | None = None) -> LoadedPfx:
    """Read a PFX that holds one private key, or none.

    DER and BER are read; MACs of RFC 7292 and RFC 9579 (PBMAC1), or none at all; AES, 3DES, RC2 and RC4. What the
    password must cost is added up before any of it is spent. Programs write an empty password for none, so both are
    tried; one outside ASCII is tried in the encodings that programs have used.

    Raises:
        InvalidInputError: the password contains NUL or half a surrogate pair.
        WrongPasswordError: the file is whole, and this password does not open it.
        MalformedDataError: no PFX, damaged, larger than 16 MiB, too much work, by what is not read, or several keys.
    """
    budget = budget or WorkBudget()
    encryption.check_password(password)
    structure = read_structure(data)
    key = _key_for_openssl(structure)
    if key is not None and password:
        loaded = _load_quickly(data, structure, key, password, budget)
        if loaded is not None:
            return loaded
    bags = bags_of(open_safes(structure, password, budget))
    keys = [bag for bag in bags if bag.kind in _KEY_KINDS]
    if len(keys) > 1:
        names = ", ".join(repr(key.friendly_name) for key in keys[:_MOST_NAMES])
        more = f" and {len(keys) - _MOST_NAMES} more" if len(keys) > _MOST_NAMES else ""
        raise MalformedDataError(
            f"this PFX holds {len(keys)} private keys ({names}{more}), and one is wanted; export the right one alone"
        )
    return load_entries(bags, password, budget)[0]


_KEY_KINDS = ("key", "encrypted key")
_MOST_NAMES = 20
_OUTSIDE_BYTES = 3 * 1024  # RSA-4096 has 2 400; what costs at this size is DSA


def _key_for_openssl(structure: Structure) -> Bag | None:
    """The one key in sight, where OpenSSL may be asked for the rest: the encrypted parts, for their certificates."""
    visible = [bag for bag in structure.bags if bag.kind in _KEY_KINDS]
    parts = [safe.encryption for safe in structure.safes if safe.encryption]
    helps = parts and all(map(quicker_outside, parts)) and not any(safe.refusal for safe in structure.safes)
    return visible[0] if helps and len(visible) == 1 and structure.mac is not None else None


def _load_quickly(data: bytes, structure: Structure, bag: Bag, password: str, budget: WorkBudget) -> LoadedPfx | None:
    """What `load_pfx` gives, by OpenSSL; None when it does not help after all, for any reason."""
    parts = [safe.encryption for safe in structure.safes if safe.encryption]
    mac = structure.mac
    assert mac is not None
    costs = [(mac.cost, mac), *((part.outside(PKCS12_OPENSSL), part) for part in parts)]
    if bag.encryption:
        costs.append((bag.encryption.outside(PKCS12_CRYPTOGRAPHY), bag.encryption))
    budget.foresee(costs)
    small = is_small_alone(structure, bag)
    key_safe = next(safe for safe in structure.safes if safe.bags) if small else None
    # Where OpenSSL looks at the MAC, too, the slow way must remain: it knows why something is refused.
    slow = sum(nanoseconds for nanoseconds, _ in structure.costs)
    with_mac = small and mac.kdf is not None and mac.kdf.kind == "PKCS12" and budget.affords(2 * slow)
    if with_mac:
        budget.spend(mac.cost, mac)
        first = structure.safes[0]
        if first.encryption and not certificates_alone(first, load_outside(first, password, budget)):
            return None  # it would meet a hidden key first
    elif not mac.fits(structure.authenticated, password, budget):
        raise _wrong(password)
    if small and bag.encryption:
        budget.spend(bag.encryption.outside(PKCS12_OPENSSL) + KEY, bag.encryption)
    bags: list[Bag] = []
    loaded: PKCS12KeyAndCertificates | None = None
    for safe in structure.safes:
        if safe.encryption is None:
            bags += safe.bags
            continue
        loaded = load_outside(safe, password, budget, key_safe=key_safe, whole=data if with_mac else None)
        opened = certificates_alone(safe, loaded)
        if not opened:
            return None
        bags += opened
    entry = _entry(loaded, bag) if small and loaded is not None else load_entries(bags, password, budget)[0]
    own = None if entry.certificate is None else public_key_bytes(entry.certificate)
    if own is not None and sum(own in bag.value for bag in bags if bag.kind == "certificate") != 1:
        return None  # which of two certificates is the key's own, an attribute says
    return entry


def _entry(loaded: PKCS12KeyAndCertificates, bag: Bag) -> LoadedPfx:
    additional = tuple(one.certificate for one in loaded.additional_certs)
    certificate = None if loaded.cert is None else loaded.cert.certificate
    for each in additional if certificate is None else (certificate, *additional):
        probe(each)
    name = loaded.cert.friendly_name if loaded.cert else None
    return LoadedPfx(
        private_key=_checked(loaded.key),
        certificate=certificate,
        additional=additional,
        friendly_name=name.decode("utf-8", "replace") if name else bag.friendly_name,
    )


def bags_of(safes: Sequence[Safe]) -> list[Bag]:
    """Every bag that shows."""
    return [bag for safe in safes for bag in safe.bags]


def load_entries(bags: Sequence[Bag], password: str | None, budget: WorkBudget) -> tuple[LoadedPfx, ...]:
    """Each private key in opened safes with what belongs to it, or one entry without a key when there is none.

    Certificates that belong to no key are in `additional` of every entry. Errors as in `load_pfx`.
    """
    certificates = [
        (bag, load_der(bag.value, f"certificate {number} in the PFX is damaged and cannot be read"))
        for number, bag in enumerate([bag for bag in bags if bag.kind == "certificate"], 1)
    ]
    keys = [(bag, _load_key(bag, password, budget)) for bag in bags if bag.kind in _KEY_KINDS]
    if not keys and not certificates:
        raise MalformedDataError("this PFX holds neither a private key nor a certificate")
    by_key: dict[bytes | None, list[tuple[Bag, x509.Certificate]]] = {}
    for pair in certificates if keys else ():
        by_key.setdefault(public_key_bytes(pair[1]), []).append(pair)
    found = [(bag, key, _certificate_of(bag, key, by_key)) for bag, key in keys]
    own = {match[1] for _, _, match in found if match}
    others = tuple(certificate for _, certificate in certificates if certificate not in own)
    if not found:
        name = certificates[0][0].friendly_name if len(certificates) == 1 else None
        return (LoadedPfx(private_key=None, certificate=None, additional=others, friendly_name=name),)
    return tuple(
        LoadedPfx(
            private_key=key,
            certificate=match[1] if match else None,
            additional=others,
            friendly_name=(match[0].friendly_name if match else None) or bag.friendly_name,
        )
        for bag, key, match in found
    )


def open_safes(structure: Structure, password: str | None, budget: WorkBudget) -> list[Safe]:
    """Every safe opened, after the MAC has been checked; what the keys in them will cost was looked at, too."""
    budget.foresee(structure.costs)
    if structure.mac is not None and not structure.mac.fits(structure.authenticated, password, budget):
        if password_opens_a_part(structure, password, budget):
            raise MalformedDataError("this password is right, but the PFX was damaged: its MAC does not fit")
        raise _wrong(password)
    try:
        safes = [open_safe(safe, password, budget) for safe in structure.safes]
    except WrongPasswordError:
        raise _not_decrypted(structure) from None
    # Now that everything shows, also what the encrypted safes hid.
    budget.foresee((bag.encryption.cost, bag.encryption) for bag in bags_of(safes) if bag.encryption)
    return safes


def _wrong(password: str | None) -> WrongPasswordError:
    return WrongPasswordError(
        "this password does not open the PFX"
        if password is not None
        else "the PFX is protected by a password, and none was given"
    )


def _not_decrypted(structure: Structure) -> WrongPasswordError:
    if structure.mac is None:
        return WrongPasswordError(
            "this password does not open the PFX, or the PFX is damaged: it has no MAC, so nobody can tell"
        )
    return WrongPasswordError(
        "this password fits the MAC of the PFX, but not its contents: they were encrypted with a second password "
        "(openssl pkcs12 -twopass does so)"
    )


def _load_key(bag: Bag, password: str | None, budget: WorkBudget) -> FilePrivateKey:
    if bag.encryption and password and quicker_outside(bag.encryption) and len(bag.value) <= _OUTSIDE_BYTES:
        budget.spend(bag.encryption.outside(PKCS12_CRYPTOGRAPHY) + KEY, bag.encryption)
        found: object = None
        with contextlib.suppress(*UNREADABLE):
            found = call(load_der_private_key, bag.value, password.encode(), unsafe_skip_rsa_key_validation=True)
            if isinstance(found, RSAPrivateKey):
                try_out(found, budget)
                return found
        if len(bag.value) > DSA_BYTES // 2:  # what it was shows only now
            budget.spend(DSA if len(bag.value) <= DSA_BYTES else 2 * DSA, "a large key that is not RSA")
        if found is not None:
            return _checked(found)
    reason = None
    for plain in bag.private_keys(password, budget):
        try:
            return _checked(load_plain_key(plain, budget))
        except (MalformedDataError, UnsupportedError) as error:
            if budget.exhausted:
                raise
            reason = reason or error
    if reason is None:
        raise WrongPasswordError(
            "this password opens the PFX, but not the private key in it, which has a password of its own"
        )
    raise MalformedDataError(f"the private key in the PFX is damaged or of a kind that is not read: {reason}")


def _checked(key: object) -> FilePrivateKey:
    if isinstance(key, FilePrivateKey):
        return key
    raise MalformedDataError(f"the PFX holds a {type(key).__name__}, which cannot be a server's key")


def _certificate_of(
    bag: Bag, key: FilePrivateKey, by_key: dict[bytes | None, list[tuple[Bag, x509.Certificate]]]
) -> tuple[Bag, x509.Certificate] | None:
    """The certificate with the public half of `key`; of several, the one with the same localKeyID, else the first."""
    public = spki(key.public_key())
    matches = by_key.get(public, [])
    for pair in matches:
        if bag.local_key_id is not None and pair[0].local_key_id == bag.local_key_id:
            return pair
    return matches[0] if matches else None
