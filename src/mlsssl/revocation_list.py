"""Certificate revocation lists (RFC 5280 section 5): the noun `RevocationList`, and the lists that a caller gives."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mlsssl._formats.crl import der_of, described, entry_of, issuer_of, load_crls, load_der_crl, number_of, reason_of
from mlsssl._formats.foreign import read
from mlsssl._machine import files, stores
from mlsssl._messages.arguments import check_data, check_type
from mlsssl._messages.output import as_dict
from mlsssl.errors import InvalidInputError
from mlsssl.values import check_moment, set_attributes

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from pathlib import Path
    from typing import NoReturn, TypeAlias

    from mlsssl.values import Thumbprint

    AnyList: TypeAlias = "RevocationList | x509.CertificateRevocationList"
    Given: TypeAlias = "RevocationList | x509.CertificateRevocationList | bytes | str | Path"

__all__ = ["RevocationList", "RevokedEntry"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedEntry:
    """One certificate that a `RevocationList` revokes.

    Attributes:
        serial_number: Of the certificate.
        at: When it was revoked, UTC.
        reason: RFC 5280's name (`keyCompromise`), `not given`, or `unreadable`.
    """

    serial_number: int
    at: datetime
    reason: str


class RevocationList:
    """A certificate revocation list (RFC 5280 section 5). Immutable; equal by its DER.

    `CertificateAuthority.crl` makes one, `Store.crls` reads those of a store, and `check(crls=[...])` takes them. Its
    signature is not checked here, nor whether it is current: `check` does both.

    Args:
        crl: A list of `cryptography`.

    Raises:
        InvalidInputError: something else.
        MalformedDataError: its name, times or extensions cannot be read.
    """

    __slots__ = ("_crl",)

    _crl: x509.CertificateRevocationList

    def __init__(self, crl: x509.CertificateRevocationList) -> None:
        expected = "a cryptography CertificateRevocationList is needed (RevocationList.load reads a file)"
        set_attributes(self, _crl=load_der_crl(der_of(check_type(crl, x509.CertificateRevocationList, expected))))

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a RevocationList is immutable: {name} cannot be set")

    @classmethod
    def load(cls, path: str | Path) -> RevocationList:
        """Read the one list of a file: DER, PEM, or what else `Store.add_crl` reads.

        Raises:
            MalformedDataError: there is none, or one cannot be read.
            InvalidInputError: there are several (`Store.add_crl` takes them all); or it is no path.
            NotFoundError, AccessDeniedError: as `Certificate.load`.
        """
        return _only(given_lists(files.path_of(path)))

    @classmethod
    def from_bytes(cls, data: bytes) -> RevocationList:
        """As `load`, from the bytes of such a file, `data`."""
        return _only(given_lists(check_data(data, "bytes are needed (RevocationList.load takes a path)")))

    def to_der(self) -> bytes:
        """The list as DER: what is published at an authority's `crl_url`."""
        return der_of(self._crl)

    def to_pem(self) -> bytes:
        """The list as PEM."""
        return self._crl.public_bytes(Encoding.PEM)

    def save(self, path: str | Path) -> Path:
        """Write it, whole or not at all, over what is there: PEM for `.pem`, DER for every other suffix.

        Raises:
            NotFoundError: the folder is not there.
            AccessDeniedError: it may not be written.
            InvalidInputError: it is no path of a file.
        """
        target = files.path_of(path)
        files.write(target, self.to_pem() if target.suffix.lower() == ".pem" else self.to_der(), private=False)
        return target

    def to_cryptography(self) -> x509.CertificateRevocationList:
        """The object of `cryptography`, for everything that is not here."""
        return self._crl

    @property
    def issuer(self) -> str:
        """The authority's name as text (RFC 4514)."""
        return issuer_of(self._crl)

    @property
    def number(self) -> int | None:
        """The CRL number, which grows from list to list (RFC 5280 section 5.2.3), or None."""
        number = number_of(self._crl)
        return None if number < 0 else number

    @property
    def this_update(self) -> datetime:
        """When it was issued, UTC."""
        return self._crl.last_update_utc

    @property
    def next_update(self) -> datetime | None:
        """When the next is there at the latest, UTC; None when it does not say."""
        return self._crl.next_update_utc

    @property
    def thumbprint(self) -> Thumbprint:
        """What Windows calls it: the SHA-1 of its DER."""
        return stores.thumbprint_of(self.to_der())

    @property
    def entries(self) -> tuple[RevokedEntry, ...]:
        """What it revokes, in its order. `MalformedDataError` when an entry cannot be read."""
        return tuple(
            RevokedEntry(
                serial_number=read("an entry of the list cannot be read", attrgetter("serial_number"), one),
                at=read("an entry of the list cannot be read", attrgetter("revocation_date_utc"), one),
                reason=reason_of(one),
            )
            for one in self._crl
        )

    def revokes(self, serial_number: int) -> bool:
        """Whether it has an entry of this serial number (`certificate.serial_number`). Issuers are not compared."""
        check_type(serial_number, int, "a serial number is a number (certificate.serial_number)")
        return entry_of(serial_number, self._crl) is not None

    def to_dict(self) -> dict[str, object]:
        """Plain values, ready for JSON; serial numbers in hexadecimal digits."""
        entries = [{"serial_number": f"{one.serial_number:x}", **as_dict(one, "at", "reason")} for one in self.entries]
        return {**as_dict(self, "thumbprint", "issuer", "number", "this_update", "next_update"), "entries": entries}

    def __len__(self) -> int:
        return len(self._crl)

    def __bool__(self) -> bool:
        return True  # an empty list is a list

    def __eq__(self, other: object) -> bool:
        return self.to_der() == other.to_der() if isinstance(other, RevocationList) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.to_der())

    def __reduce__(self) -> tuple[object, ...]:
        return RevocationList.from_bytes, (self.to_der(),)

    def __repr__(self) -> str:
        return f"<RevocationList {described(self._crl)}; {len(self)} revoked>"

    def _repr_html_(self) -> str:
        from mlsssl._notebook.cards import ROW_LIMIT, Validity, card, code, facts, more, or_why, part, table, text

        end, now = self.next_update, check_moment(None)
        left = "" if end is None else Validity(start=self.this_update, end=end, at=now).bar
        until = f" to {end:%Y-%m-%d}" if end is not None else ""
        number = self.number
        rows = [
            ("number", "" if number is None else text(number)),
            ("current", f"{self.this_update:%Y-%m-%d}{until} {left}"),
            ("thumbprint", code(self.thumbprint, whole=True)),
        ]

        def revoked() -> str:
            some = self.entries[:ROW_LIMIT]
            cells = [[code(f"{one.serial_number:x}"), f"{one.at:%Y-%m-%d %H:%M}", text(one.reason)] for one in some]
            return table(("serial number", "revoked at", "reason"), cells, empty="nothing is revoked") + more(len(self))

        title = f"revocation list of {text(self.issuer)} · {len(self)} revoked"
        return card(title, facts(rows), part("revoked", or_why(revoked, is_html=True)))


def _only(lists: tuple[x509.CertificateRevocationList, ...]) -> RevocationList:
    first, *more = lists
    if more:
        raise InvalidInputError(f"there are {len(lists)} revocation lists, and one is meant (Store.add_crl takes all)")
    return RevocationList(first)


def wrapped_lists(lists: Iterable[x509.CertificateRevocationList]) -> tuple[RevocationList, ...]:
    """The nouns around lists that can be read."""
    return tuple(map(RevocationList, lists))


def given_lists(crl: Given) -> tuple[x509.CertificateRevocationList, ...]:
    """The lists that a caller gave: one, or those of PEM or DER bytes or of a file.

    Raises:
        MalformedDataError: there is none, or one cannot be read.
        NotFoundError, AccessDeniedError, InvalidInputError: as `files.read`.
    """
    if isinstance(crl, RevocationList):
        return (crl.to_cryptography(),)
    if isinstance(crl, x509.CertificateRevocationList):
        return (crl,)
    if isinstance(crl, (bytes, bytearray, memoryview)):
        return load_crls(bytes(crl))
    data = files.read(files.path_of(crl))
    with files.naming(crl):
        return load_crls(data)
