"""The subject of what is issued: a common name, and beside it an organization, a country and the like."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import NameOID

from mlsssl._formats.der import write
from mlsssl._formats.hosts import USER_PRINCIPAL_NAME, UTF8_STRING, dns_name, parse_name
from mlsssl._formats.subjects import make_attribute
from mlsssl._messages.arguments import check_type, items_of
from mlsssl._messages.foreign_text import shown
from mlsssl.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterable

EMPTY = x509.Name([])

_CONTROL = r"[\x00-\x1f\x7f-\x9f]"
_LONGEST_PRINCIPAL = 1024  # rangeUpper of Active Directory's attribute userPrincipalName
# RFC 5321 section 4.1.2, Dot-string, of at most 64 octets.
_LOCAL_PART = r"(?a)(?=.{1,64}\Z)[\w!#$%&'*+/=?^`{|}~-]+(?:\.[\w!#$%&'*+/=?^`{|}~-]+)*"

_LIMIT = 64  # X.520's ub-common-name, in characters (RFC 5280 appendix A.1)


def beside(
    organization: str | None,
    organizational_unit: str | None,
    locality: str | None,
    state: str | None,
    country: str | None,
    subject: x509.Name | None,
) -> x509.Name:
    """What stands beside the common name: the fields given, in the order C, ST, L, O, OU, or `subject` as it is.

    Raises:
        InvalidInputError: a field out of its range, or fields and a whole subject.
    """
    given = [
        (NameOID.COUNTRY_NAME, "country", country),
        (NameOID.STATE_OR_PROVINCE_NAME, "state", state),
        (NameOID.LOCALITY_NAME, "locality", locality),
        (NameOID.ORGANIZATION_NAME, "organization", organization),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "organizational_unit", organizational_unit),
    ]
    fields = [_field(oid, value, what) for oid, what, value in given if value is not None]
    if subject is None:
        return x509.Name(fields)
    check_type(subject, x509.Name, "subject is a cryptography x509.Name")
    if fields:
        raise InvalidInputError("give the fields of the subject (organization and so on) or a whole subject, not both")
    return subject


def _field(oid: x509.ObjectIdentifier, value: str, what: str) -> x509.NameAttribute[str]:
    if isinstance(value, str) and (value != value.strip() or re.search(_CONTROL, value)):
        raise InvalidInputError(f"{what} has control characters, or a blank at an end: {shown(value)}")
    attribute = make_attribute(oid, value, what)
    return make_attribute(oid, value.upper(), what) if oid == NameOID.COUNTRY_NAME else attribute


def named(common_name: str, others: x509.Name = EMPTY) -> x509.Name:
    """`others` with this common name, or with none for `""`: in the place of theirs, else at the end.

    Raises:
        InvalidInputError: more than 64 characters, or characters that a name has not.
    """
    if not isinstance(common_name, str) or len(common_name) > _LIMIT:
        raise InvalidInputError(f"a common name has at most {_LIMIT} characters (RFC 5280), not {shown(common_name)}")
    if re.match(r"\s*CN\s*=", common_name, re.IGNORECASE):  # as MakeCert's -n has it; it would be CN=CN\3d... here
        raise InvalidInputError(f"a common name is given without CN= in front, not as {shown(common_name)}")
    wanted = make_attribute(NameOID.COMMON_NAME, common_name, "a common name") if common_name else None
    parts = []
    for part in others.rdns:
        kept = []
        for attribute in part:
            if attribute.oid != NameOID.COMMON_NAME:
                kept.append(attribute)
            elif wanted is not None:
                kept.append(wanted)
                wanted = None
        if kept:
            parts.append(x509.RelativeDistinguishedName(kept))
    if wanted is not None:
        parts.append(x509.RelativeDistinguishedName([wanted]))
    return x509.Name(parts)


def fitting(texts: Iterable[str]) -> str:
    """The first that is short enough for a common name; `""` when none is."""
    return next((text for text in texts if len(text) <= _LIMIT), "")


def client_names(
    emails: Iterable[str], hosts: Iterable[str], user_principal_name: str | None
) -> tuple[x509.GeneralName, ...]:
    """The subjectAltName of a client's certificate, each name once.

    Raises:
        InvalidInputError: a name that cannot be.
    """
    names: list[x509.GeneralName] = [_email(one) for one in items_of(emails, "emails is a list of mail addresses")]
    names += [parse_name(one) for one in items_of(hosts, "hosts is a list of host names and addresses")]
    if user_principal_name is not None:
        names.append(_principal(user_principal_name))
    return tuple(dict.fromkeys(names))


def _email(text: str) -> x509.RFC822Name:
    local, _, domain = text.rpartition("@") if isinstance(text, str) else ("", "", "")
    if not re.fullmatch(_LOCAL_PART, local) or domain.startswith("*"):
        raise InvalidInputError(
            f"a mail address is such as alice@example.com, in ASCII before the @ (RFC 5280), not {shown(text)}"
        )
    return x509.RFC822Name(f"{local}@{dns_name(domain)}")


def _principal(text: str) -> x509.OtherName:
    user, _, domain = text.rpartition("@") if isinstance(text, str) else ("", "", "")
    if not user or not domain or len(text) > _LONGEST_PRINCIPAL or not text.isprintable() or text != text.strip():
        raise InvalidInputError(
            f"a user principal name is such as alice@corp.example.com, of at most {_LONGEST_PRINCIPAL} characters, "
            f"not {shown(text)}"
        )
    return x509.OtherName(USER_PRINCIPAL_NAME, write(UTF8_STRING, text.encode()))
