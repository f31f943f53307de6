"""PFX (PKCS#12, RFC 7292) in: bytes and a password to a key with its certificates. `write` is the way out.

Two readers, one rule (`_key_for_openssl`): where every encrypted part has its key by PKCS#12's own derivation, a loop
in Python here, and one private key lies in sight, OpenSSL is given the parts and takes a fifth of the time. Everything
else is read here: PBES2, keys hidden in encrypted parts, several keys or none, no MAC, no password. So is what OpenSSL
does not take or what leaves room for a second key, for it tells of one only. Both find the same.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key

from mlsssl._formats.budget import DSA, DSA_BYTES, KEY, PKCS12_CRYPTOGRAPHY, PKCS12_OPENSSL, WorkBudget
from mlsssl._formats.choice import HeldCertificate, HeldKey, choose
from mlsssl._formats.foreign import UNREADABLE, call
from mlsssl._formats.key_files import load_plain_key, looks_like_key, try_out
from mlsssl._formats.keys import FilePrivateKey
from mlsssl._formats.pem import load_der
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
    from typing import TypeAlias

    from mlsssl._formats.choice import Choice
    from mlsssl._formats.pkcs12.structure import Bag, Safe, Structure
    from mlsssl.errors import MlssslError


def load_pfx(
    data: bytes,
    password: str | None,
    budget: WorkBudget | None = None,
    *,
    alias: str | None = None,
) -> Choice:
    """Read a PFX, and choose among what it holds as `choose` does.

    DER and BER are read; MACs of RFC 7292 and RFC 9879 (PBMAC1), or none at all; AES, 3DES, RC2 and RC4. What the
    password must cost is added up before any of it is spent. Programs write an empty password for none, so both are
    tried; one outside ASCII is tried in the encodings that programs have used.

    Args:
        data: The whole file.
        password: None when none is known.
        budget: Pays for it; a new one when not given.
        alias: As in `choose`.

    Raises:
        InvalidInputError: the password contains NUL or half a surrogate pair.
        WrongPasswordError: the file is whole, and this password does not open it.
        MalformedDataError: no PFX, damaged, larger than 16 MiB, too much work, or by what is not read.
        NotFoundError, MalformedDataError: as `choose`.
    """
    certificates, keys, unread = load_held(data, password, budget or WorkBudget())
    return choose(certificates, keys, alias=alias, unread=unread)


Held: TypeAlias = "tuple[list[HeldCertificate], list[HeldKey], list[MlssslError]]"
"""The certificates and keys of a PFX in its order, and why other keys could not be read: for `choose`."""


def load_held(data: bytes, password: str | None, budget: WorkBudget, *, exact_order: bool = False) -> Held:
    """What a PFX holds; arguments and errors as `load_pfx`, but nothing is chosen.

    Unless `exact_order` is wanted, the certificate of the key may come before those that stand before it in the file.
    """
    encryption.check_password(password)
    structure = read_structure(data)
    visible = _key_for_openssl(structure)
    if visible is not None and password:
        held = _load_quickly(data, structure, visible, password, budget, exact_order=exact_order)
        if held is not None:
            return held
    return holdings(structure, open_safes(structure, password, budget), password, budget)


_KEY_KINDS = ("key", "encrypted key")
_OUTSIDE_BYTES = 3 * 1024  # RSA-4096 has 2 400; what costs at this size is DSA


def _key_for_openssl(structure: Structure) -> Bag | None:
    """The one key in sight, where OpenSSL may be asked for the rest: the encrypted parts, for their certificates."""
    visible = [bag for bag in structure.bags if bag.kind in _KEY_KINDS]
    parts = [safe.encryption for safe in structure.safes if safe.encryption]
    helps = parts and all(map(quicker_outside, parts)) and not any(safe.refusal for safe in structure.safes)
    return visible[0] if helps and len(visible) == 1 and structure.mac is not None else None


def _load_quickly(
    data: bytes, structure: Structure, bag: Bag, password: str, budget: WorkBudget, *, exact_order: bool
) -> Held | None:
    """What `load_held` gives, by OpenSSL; None when it does not help after all, for any reason."""
    parts = [safe.encryption for safe in structure.safes if safe.encryption]
    mac = structure.mac
    assert mac is not None
    costs = [(mac.cost, mac), *((part.outside(PKCS12_OPENSSL), part) for part in parts)]
    if bag.encryption:
        costs.append((bag.encryption.outside(PKCS12_CRYPTOGRAPHY), bag.encryption))
    budget.foresee(costs)
    if not exact_order and is_small_alone(structure, bag):
        return _load_small(data, structure, bag, password, budget)
    if not mac.fits(structure.authenticated, password, budget):
        raise _wrong(password)
    certificates: list[HeldCertificate] = []
    for safe in structure.safes:
        if safe.encryption is None:
            certificates += _certificates(safe.bags, len(certificates) + 1)
            continue
        opened = certificates_alone(safe, load_outside(safe, password, budget), bag.local_key_id)
        if not opened:
            return None
        certificates += opened
    return _held(certificates, [bag], password, budget, proven=True)


def _load_small(data: bytes, structure: Structure, bag: Bag, password: str, budget: WorkBudget) -> Held | None:
    """The same for a small key beside one encrypted part: OpenSSL reads both and, where it may, checks the MAC.

    It tells which certificate is the key's, and not where among the others that stands.

    For the MAC it needs the file as it is. Where the key comes first in that, one call does it. A key hidden in a part
    that comes first it would decrypt, with rounds for minutes if the file says so: that part it sees by itself before.
    And where the slow way would then be too dear, which knows why something is refused, the MAC is checked here.
    """
    mac = structure.mac
    assert mac is not None
    first, second = structure.safes
    part, key_safe = (first, second) if first.encryption else (second, first)
    slow = sum(nanoseconds for nanoseconds, _ in structure.costs)
    with_mac = mac.kdf is not None and mac.kdf.kind == "PKCS12" and budget.affords(2 * slow)
    certificates: list[HeldCertificate] | None = None
    if with_mac:
        budget.spend(mac.cost, mac)
        if part is first:
            certificates = certificates_alone(part, load_outside(part, password, budget), bag.local_key_id)
            if not certificates:
                return None
    elif not mac.fits(structure.authenticated, password, budget):
        raise _wrong(password)
    if bag.encryption:
        budget.spend(bag.encryption.outside(PKCS12_OPENSSL) + KEY, bag.encryption)
    loaded = load_outside(part, password, budget, key_safe=key_safe, whole=data if with_mac else None)
    if loaded is None or not isinstance(loaded.key, FilePrivateKey):
        return None
    if certificates is None:
        certificates = certificates_alone(part, loaded, bag.local_key_id)
    if not certificates:
        return None
    return certificates, [HeldKey(loaded.key, bag.friendly_name, bag.local_key_id)], []


def bags_of(safes: Sequence[Safe]) -> list[Bag]:
    """Every bag that shows."""
    return [bag for safe in safes for bag in safe.bags]


def holdings(structure: Structure, safes: Sequence[Safe], password: str | None, budget: WorkBudget) -> Held:
    """What opened safes hold. `MalformedDataError` when that is nothing, or something is damaged."""
    # A MAC has been checked, and no encrypted part opens by chance.
    proven = structure.mac is not None or any(safe.encryption for safe in structure.safes)
    bags = bags_of(safes)
    return _held(_certificates(bags), bags, password, budget, proven=proven)


def _held(
    certificates: list[HeldCertificate],
    bags: Sequence[Bag],
    password: str | None,
    budget: WorkBudget,
    *,
    proven: bool,
) -> Held:
    keys: list[HeldKey] = []
    unread: list[MlssslError] = []
    for bag in bags:
        if bag.kind in _KEY_KINDS:
            try:
                key = _load_key(bag, password, budget, proven=proven)
            except (WrongPasswordError, _UnusableKeyError) as error:
                unread.append(error)
            else:
                keys.append(HeldKey(key, bag.friendly_name, bag.local_key_id))
    if not keys and not certificates and not unread:
        raise MalformedDataError("this PFX holds neither a private key nor a certificate")
    return certificates, keys, unread


def _certificates(bags: Sequence[Bag], first: int = 1) -> list[HeldCertificate]:
    return [
        HeldCertificate(
            load_der(bag.value, f"certificate {number} in the PFX is damaged and cannot be read"),
            bag.friendly_name,
            bag.local_key_id,
        )
        for number, bag in enumerate([bag for bag in bags if bag.kind == "certificate"], first)
    ]


class _UnusableKeyError(MalformedDataError):
    """A private key of a kind that no server has."""


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
        raise _not_decrypted(structure, password) from None
    # Now that everything shows, also what the encrypted safes hid.
    budget.foresee((bag.encryption.cost, bag.encryption) for bag in bags_of(safes) if bag.encryption)
    return safes


def _wrong(password: str | None) -> WrongPasswordError:
    if password:
        return WrongPasswordError("this password does not open the PFX")
    given = "none was given" if password is None else "the one that was given is empty"
    return WrongPasswordError(f"the PFX is protected by a password, and {given}")


def _not_decrypted(structure: Structure, password: str | None) -> WrongPasswordError:
    if structure.mac is None:
        return _unproven("PFX", password)
    return WrongPasswordError(
        "this password fits the MAC of the PFX, but not its contents: they were encrypted with a second password "
        "(openssl pkcs12 -twopass does so)"
    )


def _unproven(what: str, password: str | None) -> WrongPasswordError:
    if password:
        return WrongPasswordError(
            f"this password does not open the {what}, or the PFX is damaged: it has no MAC, so nobody can tell"
        )
    given = "no password was given" if password is None else "the password that was given is empty"
    return WrongPasswordError(f"the {what} is encrypted, and {given} (it has no MAC that would tell of damage)")


def _load_key(bag: Bag, password: str | None, budget: WorkBudget, *, proven: bool) -> FilePrivateKey:
    """The key in a bag; `proven` says that this password has opened something else in the file."""
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
        if bag.encryption and not proven and not looks_like_key(plain):
            continue  # a padding fits by chance once in 256 times
        try:
            return _checked(load_plain_key(plain, budget))
        except (MalformedDataError, UnsupportedError) as error:
            if budget.exhausted:
                raise
            reason = reason or error
    if reason is None and not proven:
        raise _unproven("private key in the PFX", password)
    if reason is None:
        raise WrongPasswordError(
            "this password opens the PFX, but not the private key in it, which has a password of its own"
        )
    if isinstance(reason, (UnsupportedError, _UnusableKeyError)):
        raise _UnusableKeyError(f"the private key in the PFX is of a kind that is not read: {reason}")
    raise MalformedDataError(f"the private key in the PFX is damaged: {reason}")


def _checked(key: object) -> FilePrivateKey:
    if isinstance(key, FilePrivateKey):
        return key
    raise _UnusableKeyError(f"the PFX holds a {type(key).__name__}, which cannot be a server's key")
