"""The certificates and private keys that a file of any kind holds, once `sniff` has told what it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsssl._formats import keys, pem
from mlsssl._formats.budget import WorkBudget
from mlsssl._formats.choice import HeldCertificate, HeldKey, choose
from mlsssl._formats.sniff import Kind, of_kinds, recognise, take
from mlsssl._messages.arguments import check_password
from mlsssl.errors import MalformedDataError, UnsupportedError, WrongPasswordError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlsssl._formats.choice import Choice
    from mlsssl._formats.keys import PrivateKey
    from mlsssl._formats.sniff import Item
    from mlsssl.errors import MlssslError


class Contents:
    """What was read, in the order of the file; `unread`: why other private keys could not be, for `choose`.

    A PFX is read faster where the certificate of its key may come first (`exact_order=False`).
    """

    __slots__ = ("certificates", "exact_order", "private_keys", "unread")

    def __init__(self, *, exact_order: bool = False) -> None:
        self.exact_order = exact_order
        self.certificates: list[HeldCertificate] = []
        self.private_keys: list[HeldKey] = []
        self.unread: list[MlssslError] = []

    def chosen(self, alias: str | None) -> Choice:
        """What is taken of it; errors as `choose`."""
        return choose(self.certificates, self.private_keys, alias=alias, unread=self.unread)


def read_contents(
    data: bytes, password: str | None, budget: WorkBudget, *, needed: Kind | None = None, exact_order: bool = False
) -> Contents:
    """All certificates and private keys, paid for from the budget; requests, revocation lists and so on are left out.

    `exact_order` is as in `Contents`.

    Raises:
        WrongPasswordError: a PFX does not open.
        MalformedDataError: as `sniff.recognise`, or a part is damaged, or there is no certificate and no private key,
            or as `sniff.of_kinds` nothing of the kind that is needed.
    """
    check_password(password)
    recognised = recognise(data)
    if needed is not None:
        of_kinds(recognised, needed)
    readable = [item for item in recognised.items if item.kind in _READERS]
    contents = _read(readable, password, budget, exact_order=exact_order)
    if not contents.certificates and not contents.private_keys and not contents.unread:
        raise MalformedDataError(f"a certificate is needed, and this is {recognised}")
    return contents


def read_private_keys(data: bytes, password: str | None, budget: WorkBudget) -> Contents:
    """The private keys in PEM, DER, PVK or a PFX, or any of these wrapped, without certificates.

    Raises:
        WrongPasswordError: all of them are encrypted, and the password is missing or wrong.
        MalformedDataError: there is none, or one is damaged, or costs more work than the budget allows.
        UnsupportedError: all of them are neither RSA nor EC, or encrypted by what is not read.
    """
    check_password(password)
    contents = _read(take(data, Kind.PRIVATE_KEY, Kind.PVK, Kind.PFX), password, budget)
    if not contents.private_keys:
        raise contents.unread[0] if contents.unread else MalformedDataError("this PFX holds no private key")
    contents.certificates = []
    return contents


def read_private_key(data: bytes, password: str | None, budget: WorkBudget | None = None) -> PrivateKey:
    """The private key in such a file; errors as `read_private_keys`, and `MalformedDataError` for several."""
    found = read_private_keys(data, password, budget or WorkBudget()).private_keys
    count = len({keys.spki(one.key.public_key()) for one in found})
    if count > 1:
        raise MalformedDataError(f"this file holds {count} private keys, and one is wanted; give the right one alone")
    return usable(found[0].key)


def _read(items: Sequence[Item], password: str | None, budget: WorkBudget, *, exact_order: bool = False) -> Contents:
    contents = Contents(exact_order=exact_order)
    for item in items:
        item.check_end()
        _READERS[item.kind](item, password, budget, contents)
    return contents


def _read_certificate(item: Item, _password: str | None, _budget: WorkBudget, contents: Contents) -> None:
    what = f"{item.place or 'this'} is no certificate that can be read"
    contents.certificates.append(HeldCertificate(pem.load_der(item.data, what), der=item.data))


def _read_pkcs7(item: Item, _password: str | None, _budget: WorkBudget, contents: Contents) -> None:
    from mlsssl._formats import pkcs7

    contents.certificates += map(HeldCertificate, pkcs7.load_pkcs7(item.data))


def _read_pfx(item: Item, password: str | None, budget: WorkBudget, contents: Contents) -> None:
    from mlsssl._formats.pkcs12 import read

    exact_order = contents.exact_order
    certificates, private_keys, unread = read.load_held(item.data, password, budget, exact_order=exact_order)
    contents.certificates += certificates
    contents.private_keys += private_keys
    contents.unread += unread


def _read_key(item: Item, password: str | None, budget: WorkBudget, contents: Contents) -> None:
    try:
        if item.kind is Kind.PVK:
            from mlsssl._formats import pvk

            key: PrivateKey = pvk.load_pvk(item.data, password, budget).private_key
        else:
            from mlsssl._formats.key_files import load_private_key  # takes as long to import as all the rest here

            key = load_private_key(item.data, password, budget)
    except (WrongPasswordError, UnsupportedError) as error:
        contents.unread.append(error)
    else:
        contents.private_keys.append(HeldKey(key))


_READERS = {
    Kind.CERTIFICATE: _read_certificate,
    Kind.PKCS7: _read_pkcs7,
    Kind.PFX: _read_pfx,
    Kind.PRIVATE_KEY: _read_key,
    Kind.PVK: _read_key,
}


def usable(key: object) -> PrivateKey:
    """`UnsupportedError` for a private key of another kind than those that we use."""
    if keys.is_private_key(key):
        return key
    kind = type(key).__name__.removesuffix("PrivateKey")
    raise UnsupportedError(f"the private key is {kind}; RSA and EC keys can be used")
