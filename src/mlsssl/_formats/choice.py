"""Which certificate of a file is meant, and with which key: one rule for PEM, PKCS#7 and PFX, and for all they hold.

A key that is there twice is one, a key without a certificate is no obstacle; of two certificates for one key the one
that lasts longer is taken. What is left out is told.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509

from mlsssl._formats.der import EXPLICIT_0, read_tlv, split_sequence
from mlsssl._formats.foreign import name_text
from mlsssl._formats.keys import key_type_name, spki
from mlsssl._formats.parsed import OddCertificate, View
from mlsssl._formats.pem import find_extension, public_key_bytes, to_der
from mlsssl._messages.arguments import check_type
from mlsssl._messages.foreign_text import shown
from mlsssl.errors import InvalidInputError, MalformedDataError, NotFoundError
from mlsssl.values import Thumbprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mlsssl._formats.keys import FilePrivateKey
    from mlsssl.errors import MlssslError

_MOST_NAMES = 20

# What Windows calls the container of a key. It writes that as the friendly name of a key that it exports: of its import
# (tp-, te-, le-, lp- with a GUID, or the GUID alone), of a pending request (PvkTmp:), or random hex digits behind one.
_CONTAINER = (
    r"(?is)PvkTmp:.*|(?:[a-z]{1,4}-)?\{?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\}?"
    r"|[0-9a-f]{32}_[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
)


class HeldCertificate(NamedTuple):
    """A certificate as it stands in a file, with its friendly name, localKeyID and DER where they are at hand."""

    certificate: x509.Certificate
    name: str | None = None
    key_id: bytes | None = None
    der: bytes | None = None


class HeldKey(NamedTuple):
    """A private key as it stands in a file, likewise."""

    key: FilePrivateKey
    name: str | None = None
    key_id: bytes | None = None


class Choice(NamedTuple):
    """What is taken of a file.

    Attributes:
        private_key: The key, or None when the file has none.
        certificate: Its certificate; without a key the one that the others lead up from. None when the key has none, or
            there is no certificate at all.
        others: Those above it, and others that may issue, in the order of the file.
        friendly_name: The certificate's, else the key's if it is one (`is_container`).
        left_out: What is not taken, in words.
        der: The certificate's, where it is at hand.
    """

    private_key: FilePrivateKey | None
    certificate: x509.Certificate | None
    others: tuple[x509.Certificate, ...]
    friendly_name: str | None
    left_out: tuple[str, ...]
    der: bytes | None

    def __repr__(self) -> str:  # nothing of the private key
        return f"<Choice of {self.certificate!r}, {self.friendly_name!r}>"


def choose(
    certificates: Iterable[HeldCertificate],
    keys: Iterable[HeldKey] = (),
    *,
    alias: str | None = None,
    unread: Sequence[MlssslError] = (),
) -> Choice:
    """Choose among what a file holds.

    Args:
        certificates: In the order of the file.
        keys: Likewise.
        alias: Which one: a friendly name of the certificate or of the key (upper and lower case differ only where two
            names do), or the certificate's thumbprint.
        unread: Why other private keys could not be read; that matters only if no certificate has a key that could, or
            only an authority's beside one that it issued, whose key may be among them.

    Raises:
        InvalidInputError: the alias is no text.
        NotFoundError: nothing in the file has this alias; the message lists what there is.
        MalformedDataError: several keys have certificates, and no alias says which; the message lists them. Or none of
            several keys has one.
        MlssslError: the first of `unread`, when it matters.
    """
    held = _Held(certificates, keys)
    if alias is not None:
        certificate, public = held.named(check_type(alias, str, "an alias is text"))
    else:
        certificate, public = None, held.only_key(unread)
    if public is None and unread:
        raise unread[0]  # it may be the one
    if public is not None:
        own = _ends(held.certificates_of(public))
        if certificate is None and own:
            certificate = own[0] if len(own) == 1 else max(own, key=lambda one: held.length(one, public))
    elif certificate is None and held.certificates:
        certificate = _end_of_chain(list(held.certificates))
    if unread and alias is None and certificate is not None and held.stands_above_another(certificate):
        raise unread[0]
    others, left_out = held.sort_out(certificate, public)
    left_out += [f"a private key that could not be read: {error}" for error in unread]
    return Choice(
        private_key=None if public is None else held.keys[public][0].key,
        certificate=certificate,
        others=others,
        friendly_name=held.friendly_name(certificate, public),
        left_out=tuple(left_out),
        der=None if certificate is None else held.certificates[certificate][0].der,
    )


class _Held:
    """What a file holds, each certificate and each key once."""

    def __init__(self, certificates: Iterable[HeldCertificate], keys: Iterable[HeldKey]) -> None:
        self.certificates: dict[x509.Certificate, list[HeldCertificate]] = {}
        self.keys: dict[bytes, list[HeldKey]] = {}
        for certificate in certificates:
            self.certificates.setdefault(certificate.certificate, []).append(certificate)
        for key in keys:
            self.keys.setdefault(spki(key.key.public_key()), []).append(key)
        self._of_key: dict[bytes, list[x509.Certificate]] = {}
        self._key_of: dict[x509.Certificate, bytes] = {}
        for one in self.certificates if self.keys else ():
            public = public_key_bytes(one)
            if public in self.keys:
                self._of_key.setdefault(public, []).append(one)
                self._key_of[one] = public

    def certificates_of(self, public: bytes) -> list[x509.Certificate]:
        """Those that certify this public key."""
        return self._of_key.get(public, [])

    def only_key(self, unread: Sequence[MlssslError]) -> bytes | None:
        """The public half of the one key that has a certificate, or of the one key; None without keys."""
        whole = [public for public in self.keys if public in self._of_key]
        if len(whole) == 1:
            return whole[0]
        if whole:
            raise MalformedDataError(
                f"this file holds {len(whole)} private keys, each with its certificate: {self._list(whole)}; say which "
                "is wanted with alias=..., its name or thumbprint"
            )
        if unread:
            raise unread[0]
        if len(self.keys) > 1:
            raise MalformedDataError(
                f"this file holds {len(self.keys)} private keys, and a certificate of none of them"
            )
        return next(iter(self.keys), None)

    def named(self, alias: str) -> tuple[x509.Certificate | None, bytes | None]:
        """The certificate and key of this alias; no certificate where it is for the rule to say which."""
        found, publics = self._fitting(alias)
        several = list(dict.fromkeys([*publics, *(self._key_of[one] for one in found if one in self._key_of)]))
        if len(several) > 1 or (not several and len(set(map(_raw_public_key, found))) > 1):
            listed = self._list(several) if several else ", ".join(map(_described, found[:_MOST_NAMES]))
            raise MalformedDataError(
                f"several in this file have the name {shown(alias)}: {listed}; say which with alias=..., its thumbprint"
            )
        if not several:
            return max(found, key=self.length), None
        own = _ends([one for one in found if one in self._key_of])
        return (max(own, key=lambda one: self.length(one, several[0])) if own else None), several[0]

    def _fitting(self, alias: str) -> tuple[list[x509.Certificate], list[bytes]]:
        folded = alias.casefold()
        tests: tuple[Callable[[str | None], bool], ...] = (
            lambda name: name == alias,
            lambda name: name is not None and name.casefold() == folded,
        )
        for fits in tests:
            found = [one for one, ones in self.certificates.items() if any(fits(held.name) for held in ones)]
            publics = [public for public, ones in self.keys.items() if any(fits(held.name) for held in ones)]
            if found or publics:
                return found, publics
        with contextlib.suppress(InvalidInputError):
            thumbprint = Thumbprint(alias)
            found = [one for one in self.certificates if _thumbprint(one) == thumbprint]
            if found:
                return found, []
        whole = [public for public in self.keys if public in self._of_key]
        listed = (
            self._list(whole) or ", ".join(map(self._described, list(self.certificates)[:_MOST_NAMES])) or "nothing"
        )
        raise NotFoundError(f"nothing in this file has the alias {shown(alias)}; there is {listed or 'none'}")

    def length(self, certificate: x509.Certificate, public: bytes | None = None) -> tuple[object, ...]:
        """To compare certificates of one key by: which lasts longer, which is newer, which has the key's identifier."""
        identifiers = {one.key_id for one in self.keys.get(public or b"", ())} - {None}
        same = any(one.key_id in identifiers for one in self.certificates[certificate])
        return certificate.not_valid_after_utc, certificate.not_valid_before_utc, same

    def friendly_name(self, certificate: x509.Certificate | None, public: bytes | None) -> str | None:
        """The first name of the certificate, else of the key if it is none of Windows' own."""
        ones = [] if certificate is None else self.certificates[certificate]
        names = [one.name for one in ones if one.name]
        names += [one.name for one in self.keys.get(public or b"", ()) if one.name and not is_container(one.name)]
        return next(iter(names), None)

    def stands_above_another(self, chosen: x509.Certificate) -> bool:
        """Whether it leads to one that may not issue and has no key here: that one would be the server's."""
        others = [one for one in self.certificates if one != chosen and one not in self._key_of and not may_issue(one)]
        return chosen.subject in _names_above(others, self.certificates)

    def sort_out(
        self, chosen: x509.Certificate | None, chosen_key: bytes | None
    ) -> tuple[tuple[x509.Certificate, ...], list[str]]:
        """The others that stand above the chosen one or may issue, and words for what does neither."""
        if chosen is None:
            return tuple(self.certificates), []
        above = _names_above([chosen], self.certificates)
        others: list[x509.Certificate] = []
        left_out: list[str] = []
        for one in self.certificates:
            if one == chosen:
                continue
            if one.subject in above or may_issue(one):
                others.append(one)
            elif _raw_public_key(one) == _raw_public_key(chosen):
                left_out.append(f"{self._described(one)}: for the same key, and it ends {_sooner(one, chosen)}")
            else:
                what = "another server's, with its private key" if one in self._key_of else "it issues nothing"
                left_out.append(f"{self._described(one)}: {what}")
        for other, ones in self.keys.items():
            own = self.certificates_of(other)
            if other != chosen_key and not own:
                name = next((f" {shown(one.name)}" for one in ones if one.name), "")
                left_out.append(f"a private key{name} ({_kind(ones)}) without a certificate")
            elif other != chosen_key and all(one in others for one in own):
                left_out.append(f"the private key of {self._described(own[0])}")
        return tuple(others), left_out

    def _described(self, certificate: x509.Certificate, public: bytes | None = None) -> str:
        name = self.friendly_name(certificate, public)
        return f"{shown(name)} ({_described(certificate)})" if name else _described(certificate)

    def _list(self, publics: Sequence[bytes]) -> str:
        more = f" and {len(publics) - _MOST_NAMES} more" if len(publics) > _MOST_NAMES else ""
        return ", ".join(map(self._described_key, publics[:_MOST_NAMES])) + more

    def _described_key(self, public: bytes) -> str:
        own = self.certificates_of(public)
        return (
            self._described(own[0], public)
            if own
            else f"a private key ({key_type_name(self.keys[public][0].key.public_key())})"
        )


def is_container(name: str) -> bool:
    """Whether this is what Windows calls the container of a key (`PvkTmp:...`, `tp-GUID`), and so no friendly name."""
    return re.fullmatch(_CONTAINER, name) is not None


def may_issue(certificate: x509.Certificate) -> bool:
    """Whether its basicConstraints say so, or cannot be read; those of a server's certificate never do."""
    try:
        constraints = find_extension(certificate, x509.BasicConstraints)
    except MalformedDataError:
        return True
    return constraints is not None and constraints.ca


def _ends(certificates: Sequence[x509.Certificate]) -> Sequence[x509.Certificate]:
    """Those that issued none of the others: an authority may have its server's key."""
    if len(certificates) == 1:
        return certificates
    issuers = {one.issuer for one in certificates if one.issuer != one.subject}
    return [one for one in certificates if one.subject not in issuers] or certificates[:1]


def _end_of_chain(certificates: Sequence[x509.Certificate]) -> x509.Certificate:
    """The one that the others lead up from: it issued none of them, and of such one that may not issue.

    The order would do for a server's PEM, but a PKCS#7 is a SET, sorted by its bytes.
    """
    ends = _ends(certificates)
    first = next((one for one in ends if not may_issue(one)), ends[0])
    public = _raw_public_key(first)
    same = [one for one in ends if _raw_public_key(one) == public]
    return max(same, key=lambda one: (one.not_valid_after_utc, one.not_valid_before_utc))


def _sooner(one: x509.Certificate, chosen: x509.Certificate) -> str:
    if one.not_valid_after_utc == chosen.not_valid_after_utc:
        return "at the same time"
    return "sooner" if one.not_valid_after_utc < chosen.not_valid_after_utc else "later, but is not the one asked for"


def _names_above(leaves: Iterable[x509.Certificate], others: Iterable[x509.Certificate]) -> set[x509.Name]:
    """The subjects of their issuers, those ones' issuers and so on, among these certificates."""
    by_subject: dict[x509.Name, list[x509.Certificate]] = {}
    for one in others:
        by_subject.setdefault(one.subject, []).append(one)
    above: set[x509.Name] = set()
    names = [leaf.issuer for leaf in leaves if leaf.issuer != leaf.subject]
    while names:
        name = names.pop()
        if name not in above:
            above.add(name)
            names += [one.issuer for one in by_subject.get(name, ())]
    return above


def _raw_public_key(certificate: x509.Certificate) -> bytes:
    """The SubjectPublicKeyInfo as it stands (RFC 5280, section 4.1): unlike reading it, that costs nothing."""
    if isinstance(certificate, OddCertificate):
        return View(certificate).spki
    tbs = certificate.tbs_certificate_bytes
    _, start, end = read_tlv(tbs, 0)
    fields = split_sequence(tbs, start, end)
    _, first, _, last = fields[6 if fields[0][0] == EXPLICIT_0 else 5]
    return tbs[first:last]


def _kind(ones: Sequence[HeldKey]) -> str:
    return key_type_name(ones[0].key.public_key())


def _thumbprint(certificate: x509.Certificate) -> Thumbprint:
    return Thumbprint(hashlib.sha1(to_der(certificate), usedforsecurity=False).digest())


def _described(certificate: x509.Certificate) -> str:
    subject = shown(name_text(certificate.subject))[1:-1] or "no subject"
    return f"{subject}, until {certificate.not_valid_after_utc:%Y-%m-%d}, {_thumbprint(certificate)}"
