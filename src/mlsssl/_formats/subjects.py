"""Subjects as text: X.500 names in the syntax of MakeCert, certreq and Windows' dialogues, read into X.509 names.

The syntax is that of CertStrToName without flags (https://learn.microsoft.com/windows/win32/api/wincrypt/
nf-wincrypt-certstrtonamew): `KEY=value`, separated by commas or semicolons, or by a plus sign within one relative
distinguished name; keys in any case, or dotted object identifiers with or without `OID.`; blanks around keys, values
and separators count for nothing; a value in quotation marks may hold separators, and a quotation mark when it stands
there twice.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import NameOID

from mlsssl._messages.foreign_text import shown
from mlsssl.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["make_attribute", "parse_subject"]

# The X.500 key names of CertNameToStr (same reference), and `ST` and `emailAddress` of RFC 4514 and OpenSSL.
_KEYS: Mapping[str, x509.ObjectIdentifier] = {
    "CN": NameOID.COMMON_NAME,
    "L": NameOID.LOCALITY_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "E": NameOID.EMAIL_ADDRESS,
    "EMAIL": NameOID.EMAIL_ADDRESS,
    "EMAILADDRESS": NameOID.EMAIL_ADDRESS,
    "C": NameOID.COUNTRY_NAME,
    "S": NameOID.STATE_OR_PROVINCE_NAME,
    "ST": NameOID.STATE_OR_PROVINCE_NAME,
    "STREET": NameOID.STREET_ADDRESS,
    "T": NameOID.TITLE,
    "TITLE": NameOID.TITLE,
    "G": NameOID.GIVEN_NAME,
    "GIVENNAME": NameOID.GIVEN_NAME,
    "I": NameOID.INITIALS,
    "INITIALS": NameOID.INITIALS,
    "SN": NameOID.SURNAME,
    "DC": NameOID.DOMAIN_COMPONENT,
    "SERIALNUMBER": NameOID.SERIAL_NUMBER,
    "POSTALCODE": NameOID.POSTAL_CODE,
    "POBOX": x509.ObjectIdentifier("2.5.4.18"),
    "PHONE": x509.ObjectIdentifier("2.5.4.20"),
    "DESCRIPTION": x509.ObjectIdentifier("2.5.4.13"),
    "DNQUALIFIER": NameOID.DN_QUALIFIER,
    "UID": NameOID.USER_ID,
}
# The upper bounds of RFC 5280 appendix A.1, in characters, and X.520's for a street (ub-street-address).
_LIMITS: Mapping[x509.ObjectIdentifier, int] = {
    NameOID.COMMON_NAME: 64,
    NameOID.ORGANIZATION_NAME: 64,
    NameOID.ORGANIZATIONAL_UNIT_NAME: 64,
    NameOID.LOCALITY_NAME: 128,
    NameOID.STATE_OR_PROVINCE_NAME: 128,
    NameOID.STREET_ADDRESS: 128,
    NameOID.TITLE: 64,
    NameOID.SERIAL_NUMBER: 64,
    NameOID.EMAIL_ADDRESS: 255,
}
# What is no UTF8String but a PrintableString or IA5String (the same appendix).
_COUNTRY = r"[A-Za-z]{2}"
_ASCII_ONLY = frozenset({NameOID.EMAIL_ADDRESS, NameOID.DOMAIN_COMPONENT, NameOID.SERIAL_NUMBER, NameOID.DN_QUALIFIER})
_SURROGATE = r"[\ud800-\udfff]"
_OID = r"(?i)(?:OID\.)?([0-9]{1,3}(?:\.[0-9]{1,20}){1,20})"
_LONGEST = 4096
_MOST = 64


def parse_subject(text: str) -> x509.Name:
    """Read a name such as `CN=www.example.com, O="Example, Inc."; C=US`.

    The order stays as it is written; values are checked as `make_attribute` does.

    Args:
        text: At most 4096 characters, 64 attributes.

    Raises:
        InvalidInputError: it is no such name; the message says from where on.
    """
    if len(text) > _LONGEST:
        raise InvalidInputError(f"a subject has at most {_LONGEST} characters, not {len(text)}")
    names: list[list[x509.NameAttribute[str]]] = []
    joined = False
    for key, value, separator in _pairs(text):
        attribute = _attribute(key, value)
        if joined:
            names[-1].append(attribute)
        else:
            names.append([attribute])
        if len(names) > _MOST:
            raise InvalidInputError(f"a subject has at most {_MOST} attributes")
        joined = separator == "+"
    try:
        return x509.Name([x509.RelativeDistinguishedName(one) for one in names])
    except ValueError as error:  # the same attribute twice in one relative distinguished name
        raise InvalidInputError(f"{shown(text)} is no subject: {error}") from None


def _pairs(text: str) -> Iterator[tuple[str, str, str]]:
    """Key, value, and the separator behind them, which is empty at the end."""
    position, end = 0, len(text)
    while True:
        equals = text.find("=", position)
        if equals < 0:
            raise InvalidInputError(
                f'a subject is written as "CN=name, O=organization"; no KEY= in {shown(text[position:])}'
            )
        key = text[position:equals].strip()
        position = equals + 1
        while position < end and text[position].isspace():
            position += 1
        if text[position : position + 1] == '"':
            value, position = _quoted(text, position)
        else:
            start = position
            while position < end and text[position] not in ",;+":
                position += 1
            value = text[start:position].strip()
            if '"' in value:
                raise InvalidInputError(
                    f"in a subject a quotation mark stands around a whole value, not inside {shown(value)}"
                )
        if position < end and text[position] not in ",;+":
            raise InvalidInputError(f"a comma or semicolon is missing before {shown(text[position:])}")
        separator = text[position : position + 1]
        yield key, value, separator
        if not separator or not text[position + 1 :].strip():
            return
        position += 1


def _quoted(text: str, position: int) -> tuple[str, int]:
    """A value in quotation marks, and the position of what follows it."""
    parts = []
    while True:
        closing = text.find('"', position + 1)
        if closing < 0:
            raise InvalidInputError(f"the quotation mark before {shown(text[position + 1 :])} is not closed")
        parts.append(text[position + 1 : closing])
        position = closing
        if text[closing + 1 : closing + 2] != '"':
            break
        position = closing + 1
    position += 1
    while position < len(text) and text[position].isspace():
        position += 1
    return '"'.join(parts), position


def _attribute(key: str, value: str) -> x509.NameAttribute[str]:
    oid = _KEYS.get(key.upper())
    if oid is None and (match := re.fullmatch(_OID, key)):
        try:
            oid = x509.ObjectIdentifier(match.group(1))
        except ValueError:
            oid = None
    if oid is None:
        raise InvalidInputError(
            f"{shown(key)} is no key of a subject; known are {', '.join(_KEYS)} and dotted identifiers"
        )
    if not value:
        raise InvalidInputError(f"{key}= in the subject has no value")
    return make_attribute(oid, value, f"{key}= in a subject")


def make_attribute(oid: x509.ObjectIdentifier, value: str, what: str) -> x509.NameAttribute[str]:
    """An attribute of a name in its DER type, within X.520's limits; `what` begins the message of an error.

    Raises:
        InvalidInputError: it is no text, is empty or too long, or has characters that its type has not.
    """
    if not isinstance(value, str) or not value:
        raise InvalidInputError(f"{what} is text of at least one character, not {shown(value)}")
    limit = _LIMITS.get(oid)
    if limit is not None and len(value) > limit:
        raise InvalidInputError(f"{what} has at most {limit} characters (RFC 5280), not {len(value)}: {shown(value)}")
    if oid == NameOID.COUNTRY_NAME and not re.fullmatch(_COUNTRY, value):
        raise InvalidInputError(f"{what} is a country's two letters, such as DE or US (ISO 3166-1), not {shown(value)}")
    if oid in _ASCII_ONLY and not value.isascii():
        raise InvalidInputError(f"{what} has ASCII characters only (RFC 5280), not {shown(value)}")
    if re.search(_SURROGATE, value):
        raise InvalidInputError(f"{what} is text that UTF-8 can hold, not {shown(value)}")
    try:
        return x509.NameAttribute(oid, value)
    except (ValueError, TypeError) as error:
        raise InvalidInputError(f"{what} cannot be {shown(value)}: {error}") from None
