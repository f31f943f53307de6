"""Values that every module knows: thumbprints, the words of choices, checks of common arguments, immutable classes.

No dataclasses: to import them, with `inspect`, takes as long as all that reading a certificate needs of this library.
"""

from __future__ import annotations

import contextlib
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Literal, NoReturn, TypeVar, get_args

from mlsssl._messages.foreign_text import shown
from mlsssl.errors import InvalidInputError

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")

KeyType = Literal["rsa-2048", "rsa-3072", "rsa-4096", "ec-p256", "ec-p384"]
"""The kinds of key this library makes."""

OnConflict = Literal["replace", "fail", "keep", "replace-if-same-app"]
"""What to do when the key has another binding already."""

PROFILE_NAMES = ("procedure", "private", "public", "windows", "legacy")
"""The names of `PROFILES`, for who needs no more of it."""

ClientName = Literal["python-3.13", "openssl-strict", "openssl", "gnutls", "go", "java", "chrome", "apple", "schannel"]
"""A client of TLS whose refusals are known: what it is and how it was asked is in the documentation, under clients."""

Strictness = Literal["soft", "hard"]
"""Whether a missing or stale revocation list is an error: with `hard` only."""

Purpose = Literal["server", "client"]
"""What a certificate is to be used for: by a TLS server, or by a client that proves itself to one."""

REVOCATION_REASONS = (
    "keyCompromise",
    "cACompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "certificateHold",
    "privilegeWithdrawn",
)
"""Reasons for revoking, by their names in RFC 5280 section 5.3.1; `unspecified` is said by giving none."""


def key_holder(kind: type[T]) -> type[T]:
    """Decorate a class whose objects hold a private key: they are immutable, and refuse to be pickled.

    A pickle would carry the private key to wherever it goes, and nobody would be told.
    """
    hint = "; use to_der()" if hasattr(kind, "to_der") else ""

    def refuse_to_set(_self: T, name: str, _value: object) -> NoReturn:
        raise AttributeError(f"a {kind.__name__} is immutable: {name} cannot be set")

    def refuse_to_delete(_self: T, name: str) -> NoReturn:
        raise AttributeError(f"a {kind.__name__} is immutable: {name} cannot be deleted")

    def refuse_to_pickle(_self: T) -> NoReturn:
        raise InvalidInputError(f"a {kind.__name__} is not pickled, for its private key would go along{hint}")

    methods = {"__setattr__": refuse_to_set, "__delattr__": refuse_to_delete, "__getstate__": refuse_to_pickle}
    for name, method in methods.items():
        setattr(kind, name, method)
    return kind


def set_attributes(made: T, **attributes: object) -> T:
    """Set attributes of an immutable object that is being made, and return it."""
    for name, value in attributes.items():
        _set(made, name, value)
    return made


_set = object.__setattr__


Location = Literal["LocalMachine", "CurrentUser"]
"""Where a store lives. HTTP.sys reads LocalMachine only."""


_LOCATIONS: tuple[Location, ...] = get_args(Location)


def check_location(location: str) -> Location:
    """Return `location` if it is one of the two names Windows has; `InvalidInputError` otherwise."""
    for known in _LOCATIONS:
        if location == known or (isinstance(location, str) and location.casefold() == known.casefold()):
            return known
    raise InvalidInputError(f"location must be 'LocalMachine' or 'CurrentUser', not {shown(location)}")


def check_moment(at: datetime | None) -> datetime:
    """Return `at` if it is an aware datetime, and now for None; `InvalidInputError` otherwise."""
    if at is not None:
        in_utc(at)
    return datetime.now(timezone.utc) if at is None else at


def in_utc(at: datetime | None) -> datetime:
    """The same moment in UTC, and now for None; errors as `check_moment`. Private."""
    if at is None:
        return datetime.now(timezone.utc)
    if not isinstance(at, datetime) or (at.tzinfo is not timezone.utc and at.utcoffset() is None):
        raise InvalidInputError(
            f"at is an aware datetime, with a time zone: datetime.now(timezone.utc), not {shown(at)}"
        )
    try:
        return at.astimezone(timezone.utc)
    except OverflowError:
        raise InvalidInputError(f"at lies outside the years 1 to 9999 of UTC: {shown(at)}") from None


# HTTP_SSL_CERT_STORE_NAME_LENGTH in http.h, which counts the terminating NUL.
_STORE_NAME_LIMIT = 127


def check_store_name(name: str) -> str:
    """Return `name` if it can name a system store: 1 to 127 characters, no backslash, no control characters.

    Windows compares store names without case; the spelling given is kept.
    """
    if not isinstance(name, str) or not name or len(name) > _STORE_NAME_LIMIT:
        raise InvalidInputError(f"a store name has 1 to {_STORE_NAME_LIMIT} characters, not {shown(name)}")
    plain = name.isascii() and name.isprintable()  # as nearly every name is: nothing to look up
    if "\\" in name or not (plain or all(_category(c)[0] != "C" for c in name)):
        raise InvalidInputError(
            f"a store name has no backslash and no control characters: {shown(name)}{thumbprint_hint(name)}"
        )
    return name


def _category(character: str) -> str:
    from unicodedata import category  # for few texts

    return category(character)


def check_friendly_name(name: str | None) -> str | None:
    """Return `name` if lists can show it: one or more characters without NUL or half surrogate pairs; or None."""
    if name is not None:
        try:
            readable = isinstance(name, str) and "\0" not in name and bool(name.encode())
        except UnicodeEncodeError:  # half a surrogate pair
            readable = False
        if not readable:
            raise InvalidInputError(
                f"a friendly name is one or more characters without NUL, or None; not {shown(name)}"
            )
    return name


class Thumbprint(bytes):
    """The SHA-1 of a certificate's DER: 20 bytes, shown as 40 lower-case hex digits.

    It is Windows' name for a certificate, not a security check: two certificates with one SHA-1 can be made on
    purpose. `Certificate.sha256` is for comparing.

    Args:
        value: 20 raw bytes, or text as people paste it. From text these are removed first: blanks and other
            separators (Unicode Z*), control and invisible format characters (Cc, Cf: the certificate dialog
            puts U+200E in front), colons and hyphens, and a leading `0x`. Upper case is accepted.

    Raises:
        InvalidInputError: not 20 bytes, or not 40 hex digits after cleaning; the message shows what was found.
    """

    __slots__ = ()

    def __new__(cls, value: Thumbprint | bytes | str) -> Self:
        """Parse `value`."""
        if isinstance(value, str):
            value = cls._parse(value)
        elif not isinstance(value, (bytes, bytearray, memoryview)):
            has_one = not isinstance(value, type) and hasattr(value, "thumbprint")
            hint = "; give its .thumbprint" if has_one else ""
            raise InvalidInputError(f"a thumbprint is text or 20 bytes, not {type(value).__name__}{hint}")
        if len(value) != 20:
            raise InvalidInputError(f"a thumbprint is the 20 bytes of a SHA-1, not {len(value)} bytes")
        return super().__new__(cls, value)

    @staticmethod
    def _parse(text: str) -> bytes:
        if len(text) == 40:  # as programs write it
            with contextlib.suppress(ValueError):
                if len(found := bytes.fromhex(text)) == 20:  # it passes over blanks
                    return found
        if len(text) > 1000:
            raise InvalidInputError(f"a thumbprint is 40 hex digits; this text has {len(text)} characters")
        digits = "".join(c for c in text if _category(c) not in _IGNORED_CATEGORIES and c not in ":-")
        digits = digits[2:] if digits[:2] in ("0x", "0X") else digits
        wrong = sorted({c for c in digits if c not in "0123456789abcdefABCDEF"})
        if wrong:
            # The name of a file, or of a host.
            hint = "; Certificate.load reads a file, Store.find(host=...) looks for a name" if "." in text else ""
            said = f"{shown(text)} has {', '.join(map(repr, wrong))}"
            raise InvalidInputError(f"a thumbprint is 40 hex digits; {said}{hint}")
        if len(digits) != 40:
            hint = "; that is the length of a SHA-256, HTTP.sys wants the SHA-1" if len(digits) == 64 else ""
            raise InvalidInputError(f"a thumbprint is 40 hex digits; {shown(text)} has {len(digits)}{hint}")
        return bytes.fromhex(digits)

    def __str__(self) -> str:
        return self.hex()

    def __repr__(self) -> str:
        return f"Thumbprint('{self.hex()}')"


_IGNORED_CATEGORIES = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf"})


def thumbprint_hint(text: str) -> str:
    """What to say behind an error about a file or a store of this name when it is a thumbprint; empty otherwise."""
    return "; that is a thumbprint: Store.open('MY')[thumbprint].certificate has it" if is_thumbprint(text) else ""


_IN_THE_SNAP_IN = {
    "personal": "MY",
    "trusted root certification authorities": "Root",
    "intermediate certification authorities": "CA",
    "third-party root certification authorities": "AuthRoot",
    "web hosting": "WebHosting",
    "trusted people": "TrustedPeople",
}
"""What certlm.msc shows for stores, in English: their names for programs."""


def store_hint(name: str) -> str:
    """What to say behind an error about a store that is not there; empty for a name that says nothing."""
    meant = _IN_THE_SNAP_IN.get(name.casefold())
    return thumbprint_hint(name) if meant is None else f"; what Windows' snap-in shows as {name} is the store {meant}"


def is_thumbprint(text: str) -> bool:
    """Whether `Thumbprint` takes this text."""
    try:
        Thumbprint(text)
    except InvalidInputError:
        return False
    return True
