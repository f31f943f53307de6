"""MakeCert's options and what they mean, as far as server certificates go: a command line to a checked value."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from mlsssl._commands.old_tools.command_lines import Option, Parsed
from mlsssl._messages.foreign_text import shown
from mlsssl.errors import InvalidInputError

if TYPE_CHECKING:
    from mlsssl._formats.pvk import KeySpec
    from mlsssl._issue.keys import KeyType

_SERVER_AUTH = "1.3.6.1.5.5.7.3.1"
_CONTAINER = "the private key would lie in a named container of a provider; use -sv FILE.pvk, or -ss STORE"
_ISSUER_CONTAINER = "the issuer's private key is taken from -iv FILE.pvk, or from the store of -is"

OPTIONS: dict[str, Option] = {
    "n": Option(value="a name such as CN=www.example.com"),
    "pe": Option(),
    "sk": Option(value="a container", refused=_CONTAINER),
    "sr": Option(value="currentuser or localmachine"),
    "ss": Option(value="a store"),
    "#": Option(value="a serial number"),
    "$": Option(value="individual or commercial", refused="it is about signing programs, not about servers"),
    "a": Option(value="sha256, sha384 or sha512"),
    "b": Option(value="a date mm/dd/yyyy"),
    "crl": Option(refused="this makes certificates; an authority's revocation list is another thing"),
    "cy": Option(value="end or authority"),
    "d": Option(value="a name to show"),
    "e": Option(value="a date mm/dd/yyyy"),
    "eku": Option(value="object identifiers"),
    "h": Option(value="a number of levels"),
    "ic": Option(value="the issuer's certificate file"),
    "ik": Option(value="a container", refused=_ISSUER_CONTAINER),
    "iky": Option(value="signature or exchange"),
    "in": Option(value="the issuer's common name"),
    "ip": Option(value="a provider", refused=_ISSUER_CONTAINER),
    "ir": Option(value="currentuser or localmachine"),
    "is": Option(value="the issuer's store"),
    "iv": Option(value="the issuer's .pvk file"),
    "iy": Option(value="a provider type", refused=_ISSUER_CONTAINER),
    "l": Option(value="a link", refused="policy links are for signing programs"),
    "len": Option(value="2048, 3072 or 4096"),
    "m": Option(value="a number of months"),
    "nscp": Option(refused="the Netscape extension is read by no program of today"),
    "r": Option(),
    "sc": Option(value="a file", refused="give the key itself with -sv; a public key alone comes with a request"),
    "sky": Option(value="signature or exchange"),
    "sp": Option(value="a provider"),
    "sv": Option(value="a .pvk file"),
    "sy": Option(value="a provider type"),
    "?": Option(),
    "!": Option(),
}
# Providers and types that tutorials name so that Schannel finds the key; keys made here it finds anyway.
_PROVIDERS = {
    "microsoft rsa schannel cryptographic provider",
    "microsoft enhanced rsa and aes cryptographic provider",
    "microsoft enhanced cryptographic provider v1.0",
    "microsoft strong cryptographic provider",
}
_PROVIDER_TYPES = {"1", "12", "24"}  # PROV_RSA_FULL, PROV_RSA_SCHANNEL, PROV_RSA_AES


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a command line asks for, checked."""

    common_names: tuple[str, ...]
    self_signed: bool
    authority: bool
    key_type: KeyType | None
    key_spec: KeySpec
    key_file: Path | None
    certificate_file: Path | None
    store: str | None
    location: Literal["LocalMachine", "CurrentUser"]
    exportable: bool
    friendly_name: str | None
    serial: int | None
    begin: dt.datetime | None
    end: dt.datetime | None
    months: int | None
    path_length: int | None

    def dates(self, days: int) -> tuple[dt.datetime | None, int]:
        """`at` and `days` for the library; `days` is what holds when the command line says nothing."""
        if self.begin is None and self.end is None and self.months is None:
            return None, days
        begin = self.begin or dt.datetime.now(dt.timezone.utc)
        try:
            end = self.end or (_add_months(begin, self.months) if self.months else begin + dt.timedelta(days=days))
        except (OverflowError, ValueError):
            raise InvalidInputError(f"the validity from {begin:%m/%d/%Y} would end after the year 9999") from None
        if end <= begin:
            raise InvalidInputError(f"the validity would end ({end:%m/%d/%Y}) before it begins ({begin:%m/%d/%Y})")
        # The library starts an hour before `at`, for clocks that are slow.
        return begin + dt.timedelta(hours=1), max(1, (end - begin).days)


def check(parsed: Parsed) -> Wanted:
    """What a command line asks for. `InvalidInputError` when that cannot be, or cannot be honoured."""
    if len(parsed.operands) > 1:
        raise InvalidInputError(f"makecert writes one certificate file, not {len(parsed.operands)}: {parsed.operands}")
    self_signed = parsed.flag("r")
    has_issuer = any(parsed.text(name) for name in ("ic", "is", "in"))
    if self_signed and (has_issuer or parsed.text("iv")):
        raise InvalidInputError("makecert -r signs by itself, so -ic, -iv, -is and -in have no meaning with it")
    if not self_signed and not has_issuer:
        raise InvalidInputError(
            "makecert needs an issuer: -ic FILE.cer -iv FILE.pvk, or -is STORE -in NAME, or -r for a self-signed one; "
            "the test root that it used without is trusted by nobody"
        )
    if parsed.text("sv") is None and parsed.text("ss") is None:
        raise InvalidInputError("makecert -sv FILE.pvk or -ss STORE is needed, or the private key would be lost")
    if not parsed.operands and parsed.text("ss") is None:
        raise InvalidInputError("makecert needs an output file for the certificate, or -ss STORE")
    _check_words(parsed)
    eku = parsed.text("eku")
    if eku is not None and {one.strip() for one in eku.split(",")} != {_SERVER_AUTH}:
        raise InvalidInputError(
            f"makecert -eku {eku} cannot be honoured: server certificates for {_SERVER_AUTH} alone are made, as "
            "clients of today want them"
        )
    kind = _one_of(parsed, "cy", ("end", "authority"))
    # -r without more is how MakeCert's users made their roots.
    authority = kind == "authority" or (kind is None and self_signed and eku is None)
    if authority and eku is not None:
        raise InvalidInputError("makecert -cy authority and -eku exclude each other: drop -eku")
    key_length = _one_of(parsed, "len", ("2048", "3072", "4096"))
    sky = _one_of(parsed, "sky", ("signature", "exchange", "1", "2"))
    location = _one_of(parsed, "sr", ("currentuser", "localmachine"))
    wanted = Wanted(
        common_names=_common_names(parsed.text("n")),
        self_signed=self_signed,
        authority=authority,
        key_type=None if key_length is None else cast("KeyType", f"rsa-{key_length}"),
        key_spec="exchange" if sky in ("exchange", "1") else "signature",
        key_file=None if parsed.text("sv") is None else Path(str(parsed.text("sv"))),
        certificate_file=Path(parsed.operands[0]) if parsed.operands else None,
        store=parsed.text("ss"),
        location="LocalMachine" if location == "localmachine" else "CurrentUser",
        exportable=parsed.flag("pe"),
        friendly_name=parsed.text("d"),
        serial=_number(parsed, "#", 1, 2**31 - 1),
        begin=_date(parsed, "b"),
        end=_date(parsed, "e"),
        months=_number(parsed, "m", 1, 1200),
        path_length=_number(parsed, "h", 0, 99),
    )
    wanted.dates(1)  # before a key is made, which takes its time
    return wanted


def _check_words(parsed: Parsed) -> None:
    algorithm = parsed.text("a")
    if algorithm is not None and algorithm.lower() not in ("sha256", "sha384", "sha512"):
        raise InvalidInputError(
            f"makecert -a {algorithm} cannot be honoured: MD5 and SHA-1 signatures are forged, and clients refuse "
            "them; say -a sha256"
        )
    provider, kind = parsed.text("sp"), parsed.text("sy")
    if (provider is not None and provider.lower() not in _PROVIDERS) or (
        kind is not None and kind not in _PROVIDER_TYPES
    ):
        raise InvalidInputError(
            "makecert -sp and -sy cannot be honoured for this provider: the machine chooses one that Schannel can use"
        )
    _one_of(parsed, "iky", ("signature", "exchange", "1", "2"))
    _one_of(parsed, "ir", ("currentuser", "localmachine"))
    if parsed.text("m") and parsed.text("e"):
        raise InvalidInputError("makecert -m and -e exclude each other")


def _one_of(parsed: Parsed, name: str, words: tuple[str, ...]) -> str | None:
    value = parsed.text(name)
    if value is None:
        return None
    if value.lower() not in words:
        raise InvalidInputError(f"makecert -{name} is {' or '.join(words)}, not {shown(value)}")
    return value.lower()


def _number(parsed: Parsed, name: str, low: int, high: int) -> int | None:
    value = parsed.text(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and low <= int(value[:20]) <= high):
        raise InvalidInputError(f"makecert -{name} is a number from {low} to {high}, not {shown(value)}")
    return int(value)


def _date(parsed: Parsed, name: str) -> dt.datetime | None:
    value = parsed.text(name)
    if value is None:
        return None
    try:
        return dt.datetime.strptime(value, "%m/%d/%Y").replace(tzinfo=dt.timezone.utc)
    except ValueError:
        raise InvalidInputError(f"makecert -{name} is a date mm/dd/yyyy, not {shown(value)}") from None


def _add_months(begin: dt.datetime, months: int) -> dt.datetime:
    year, month = divmod(begin.year * 12 + begin.month - 1 + months, 12)
    for day in range(begin.day, 27, -1):
        try:
            return begin.replace(year=year, month=month + 1, day=day)
        except ValueError:
            continue
    return begin.replace(year=year, month=month + 1)


def _common_names(text: str | None) -> tuple[str, ...]:
    """The common names in an X.500 name, in the order written."""
    from cryptography import x509

    if text is None:
        raise InvalidInputError('makecert -n is needed: -n "CN=www.example.com"')
    try:
        name = x509.Name.from_rfc4514_string(text.strip())
    except ValueError:
        raise InvalidInputError(f'makecert -n is a name such as "CN=www.example.com", not {shown(text)}') from None
    attributes = list(name)[::-1]
    others = [one.rfc4514_string() for one in attributes if one.oid != x509.NameOID.COMMON_NAME]
    if others or not attributes:
        raise InvalidInputError(
            f"makecert -n: {', '.join(others) or 'an empty name'} cannot be honoured; clients look at host names only, "
            "so CN= is all that is needed"
        )
    return tuple(str(one.value) for one in attributes)
