"""The certificates and private keys that a file of any kind holds, once `sniff` has told what it is."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlsssl._formats import keys, pem
from mlsssl._formats.budget import WorkBudget
from mlsssl._formats.sniff import Kind, recognise, take
from mlsssl._messages.arguments import check_password
from mlsssl.errors import MalformedDataError, UnsupportedError

if TYPE_CHECKING:
    from cryptography import x509

    from mlsssl._formats.keys import PrivateKey
    from mlsssl._formats.sniff import Item


@dataclass(slots=True)
class Contents:
    """What was read: certificates and keys in the order of the file, and the name that a PFX gives its certificate."""

    certificates: list[x509.Certificate] = field(default_factory=list)
    private_keys: list[PrivateKey] = field(default_factory=list)
    friendly_name: str | None = None


def read_contents(data: bytes, password: str | None, budget: WorkBudget) -> Contents:
    """All certificates and private keys, paid for from the budget; requests, revocation lists and so on are left out.

    Raises:
        WrongPasswordError: something in it is encrypted, and the password is missing or wrong.
        MalformedDataError: as `sniff.recognise`, or a part is damaged, or there is no certificate and no private key.
        UnsupportedError: a private key that is neither RSA nor EC, or encrypted by what is not read.
    """
    check_password(password)
    recognised = recognise(data)
    contents = Contents()
    for item in recognised.items:
        if item.kind in _READERS:
            item.check_end()
            _READERS[item.kind](item, password, budget, contents)
    if not contents.certificates and not contents.private_keys:
        raise MalformedDataError(f"a certificate is needed, and this is {recognised}")
    return contents


def read_private_key(data: bytes, password: str | None, budget: WorkBudget | None = None) -> PrivateKey:
    """The private key (the first of several) in PEM, DER, PVK or a PFX, or any of these wrapped.

    Raises:
        WrongPasswordError: it is encrypted, and the password is missing or wrong.
        MalformedDataError: there is none, or it is damaged, or costs more work than the budget allows.
        UnsupportedError: as `read_contents`.
    """
    check_password(password)
    item = take(data, Kind.PRIVATE_KEY, Kind.PVK, Kind.PFX)[0]
    budget = budget or WorkBudget()
    if item.kind is not Kind.PFX:
        return _private_key(item, password, budget)
    contents = Contents()
    _read_pfx(item, password, budget, contents)
    if not contents.private_keys:
        raise MalformedDataError("this PFX holds no private key")
    return contents.private_keys[0]


def _private_key(item: Item, password: str | None, budget: WorkBudget) -> PrivateKey:
    if item.kind is Kind.PVK:
        from mlsssl._formats import pvk

        return pvk.load_pvk(item.data, password, budget).private_key
    from mlsssl._formats.key_files import load_private_key  # takes as long to import as all the rest here

    return load_private_key(item.data, password, budget)


def _read_certificate(item: Item, _password: str | None, _budget: WorkBudget, contents: Contents) -> None:
    what = f"{item.place} is no certificate" if item.place else "this is no certificate that can be read"
    contents.certificates.append(pem.load_der(item.data, what))


def _read_pkcs7(item: Item, _password: str | None, _budget: WorkBudget, contents: Contents) -> None:
    from mlsssl._formats import pkcs7

    contents.certificates += pkcs7.load_pkcs7(item.data)


def _read_pfx(item: Item, password: str | None, budget: WorkBudget, contents: Contents) -> None:
    from mlsssl._formats.pkcs12 import read

    loaded = read.load_pfx(item.data, password, budget)
    if loaded.private_key is not None:
        contents.private_keys.append(_usable(loaded.private_key))
    contents.certificates += [*([loaded.certificate] if loaded.certificate else []), *loaded.additional]
    contents.friendly_name = contents.friendly_name or loaded.friendly_name


def _read_key(item: Item, password: str | None, budget: WorkBudget, contents: Contents) -> None:
    contents.private_keys.append(_private_key(item, password, budget))


_READERS = {
    Kind.CERTIFICATE: _read_certificate,
    Kind.PKCS7: _read_pkcs7,
    Kind.PFX: _read_pfx,
    Kind.PRIVATE_KEY: _read_key,
    Kind.PVK: _read_key,
}


def _usable(key: object) -> PrivateKey:
    if keys.is_private_key(key):
        return key
    kind = type(key).__name__.removesuffix("PrivateKey")
    raise UnsupportedError(f"the private key is {kind}; RSA and EC keys can be used")
