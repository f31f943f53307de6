"""Subjects in Windows' syntax: what CertStrToName takes, taken; what is wrong, told."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from mlsssl import CertificateAuthority, CertificateRequest, InvalidInputError
from mlsssl._formats.subjects import parse_subject
from programs import output, run

if TYPE_CHECKING:
    from collections.abc import Callable

READ = {
    "CN=Example Root, O=Example, C=US": "C=US,O=Example,CN=Example Root",
    "CN=Example Root,O=Example,C=US": "C=US,O=Example,CN=Example Root",
    "CN=Example Root;O=Example;C=US": "C=US,O=Example,CN=Example Root",
    "O=Example, CN=Example Root": "CN=Example Root,O=Example",
    "CN=a.example.com, CN=b.example.com": "CN=b.example.com,CN=a.example.com",
    "cn=Example Root": "CN=Example Root",
    "CN = Example Root": "CN=Example Root",
    'CN="Example Root"': "CN=Example Root",
    'CN="Example, Inc."; O=x': "O=x,CN=Example\\, Inc.",
    'CN="User ""one"""': 'CN=User \\"one\\"',
    "CN=a, S=Bavaria, L=Munich": "L=Munich,ST=Bavaria,CN=a",
    "CN=a+OU=b,O=c": "O=c,CN=a+OU=b",
    "OID.2.5.4.3=a, 2.5.4.10=b": "O=b,CN=a",
    "CN=a,": "CN=a",
    "CN=grün": "CN=grün",
    "CN=*.example.com": "CN=*.example.com",
    "CN=a=b": "CN=a=b",
    "UID=a, Description=b, phone=1, POBox=2": "2.5.4.18=2,2.5.4.20=1,2.5.4.13=b,UID=a",
}


@pytest.mark.parametrize("text", READ)
def test_what_windows_takes_is_taken(text: str) -> None:
    assert parse_subject(text).rfc4514_string() == READ[text]


def test_the_order_stays() -> None:
    assert [one.oid for one in parse_subject("CN=a, O=b; C=DE")] == [
        NameOID.COMMON_NAME,
        NameOID.ORGANIZATION_NAME,
        NameOID.COUNTRY_NAME,
    ]


REFUSED = {
    "": "no KEY=",
    "www.example.com": "no KEY=",
    "CN=a, b": "no KEY=",
    "CN=": "no value",
    "X=a": "no key of a subject",
    "=a": "no key of a subject",
    'CN="a': "not closed",
    'CN="a" b': "comma or semicolon is missing",
    'CN=a "b" c': "quotation mark",
    "C=USA": "two letters",
    "C=1a": "two letters",
    "CN=" + "a" * 65: "at most 64 characters",
    "CN=" + "ü" * 40: "CN= in a subject cannot be",
    "O=" + "a" * 65: "at most 64 characters",
    "L=" + "a" * 129: "at most 128 characters",
    "E=ü@example.com": "ASCII characters only",
    "O=\ud800": "UTF-8",
    "CN=" + "a" * 5000: "at most 4096",
    ",".join(["DC=a"] * 65): "at most 64",
    "CN=a+CN=a": "is no subject",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_wrong_is_told(text: str) -> None:
    with pytest.raises(InvalidInputError, match=REFUSED[text]):
        parse_subject(text)


_VALUES = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=16)


@given(st.lists(st.tuples(st.sampled_from(["CN", "O", "OU", "L"]), _VALUES.filter(str.strip)), min_size=1, max_size=6))
def test_any_value_in_quotation_marks_comes_back(pairs: list[tuple[str, str]]) -> None:
    text = "; ".join('{}="{}"'.format(key, value.replace('"', '""')) for key, value in pairs)
    assert [attribute.value for attribute in parse_subject(text)] == [value for _, value in pairs]


@given(st.text(max_size=60))
def test_any_text_is_a_subject_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidInputError):
        assert isinstance(parse_subject(text), x509.Name)


# -- subjects of what is issued ---------------------------------------------------------------------------------------

ROOT = CertificateAuthority.create("Subjects Root", key="ec-p256")
FIELDS = {
    "organization": "Bücher & Söhne, Inc.",
    "organizational_unit": "IT",
    "locality": "Würzburg",
    "state": "Bayern",
    "country": "de",
}
BESIDE = "OU=IT,O=Bücher & Söhne\\, Inc.,L=Würzburg,ST=Bayern,C=DE"
# Everything that makes a subject: each takes the fields and gives what it made.
MAKERS: dict[str, Callable[..., x509.Name]] = {
    "create": lambda **fields: (
        CertificateAuthority.create("N", key="ec-p256", **fields).certificate.to_cryptography().subject
    ),
    "create_intermediate": lambda **fields: (
        ROOT.create_intermediate("N", **fields).certificate.to_cryptography().subject
    ),
    "issue": lambda **fields: ROOT.issue("n", **fields).to_cryptography().subject,
    "issue_many": lambda **fields: next(ROOT.issue_many(["n"], workers=1, **fields)).to_cryptography().subject,
    "issue_client": lambda **fields: ROOT.issue_client("N", **fields).to_cryptography().subject,
    "sign": lambda **fields: (
        ROOT.sign(CertificateRequest.create("n", key="ec-p256"), **fields).to_cryptography().subject
    ),
    "request": lambda **fields: CertificateRequest.create("n", key="ec-p256", **fields).to_cryptography().subject,
}


@pytest.mark.parametrize("made", MAKERS)
def test_fields_stand_beside_the_common_name(made: str) -> None:
    """In the order that authorities write, the country in capitals as a PrintableString, all else as UTF8String."""
    subject = MAKERS[made](**FIELDS)
    common = "N" if made.startswith("create") or made == "issue_client" else "n"
    assert subject.rfc4514_string() == f"CN={common},{BESIDE}"
    types = [part.public_bytes().split(b"\x55\x04", 1)[1][1] for part in _rdns(subject)]
    assert types == [0x13, 0x0C, 0x0C, 0x0C, 0x0C, 0x0C]
    assert MAKERS[made]().rfc4514_string() == f"CN={common}"


def _rdns(name: x509.Name) -> list[x509.Name]:
    return [x509.Name([part]) for part in name.rdns]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("organization", "", "at least one character"),
        ("organization", "x" * 65, "at most 64"),
        ("organization", " Example", "blank"),
        ("organization", "Exam\x00ple", "control characters"),
        ("organization", 5, "organization is text"),
        ("organizational_unit", "x" * 65, "at most 64"),
        ("locality", "x" * 129, "at most 128"),
        ("state", "x" * 129, "at most 128"),
        ("country", "Germany", "two letters"),
        ("country", "D", "two letters"),
        ("country", "Dü", "two letters"),
        ("subject", "CN=x", "x509.Name"),
    ],
)
@pytest.mark.parametrize("made", MAKERS)
def test_fields_out_of_range_are_refused(made: str, field: str, value: object, words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        MAKERS[made](**{field: value})


@pytest.mark.parametrize("made", MAKERS)
def test_the_longest_fields_are_taken(made: str) -> None:
    fields = {"organization": "ü" * 64, "organizational_unit": "x" * 64, "locality": "y" * 128, "state": "z" * 128}
    values = {attribute.value for attribute in MAKERS[made](**fields)}
    assert values >= set(fields.values())


@pytest.mark.parametrize("made", MAKERS)
def test_a_whole_subject_keeps_its_order_and_the_place_of_its_common_name(made: str) -> None:
    common = MAKERS[made]().get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
    given = parse_subject("O=Example; CN=replaced, E=a@example.com, OU=one+L=x, OU=two")
    subject = MAKERS[made](subject=given)
    assert subject.rdns[1] == x509.RelativeDistinguishedName([x509.NameAttribute(NameOID.COMMON_NAME, common)])
    assert [part for number, part in enumerate(subject.rdns) if number != 1] == [
        part for number, part in enumerate(given.rdns) if number != 1
    ]
    without = parse_subject("O=Example")
    assert MAKERS[made](subject=without).rdns[0] == without.rdns[0]
    with pytest.raises(InvalidInputError, match="not both"):
        MAKERS[made](subject=given, organization="Example")


def test_no_common_name_leaves_the_other_fields() -> None:
    """The subjectAltName is critical beside an empty subject only."""
    leaf = ROOT.issue("n.example", common_name="", organization="Example", country="DE").to_cryptography()
    assert leaf.subject.rfc4514_string() == "O=Example,C=DE"
    assert not leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical
    empty = ROOT.issue("n.example", common_name="").to_cryptography()
    assert empty.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical
    request = CertificateRequest.create("n.example", common_name="", organization="Example", key="ec-p256")
    assert request.subject == "O=Example"


@pytest.mark.parametrize(
    "line",
    [
        "CN=www.example.com, O=Example, OU=one, OU=two, E=it@example.com, C=US",
        "C=US, O=Example, CN=www.example.com",
        "O=Example",
        "CN=www.example.com",
    ],
)
def test_a_request_for_renewal_keeps_the_subject(line: str) -> None:
    subject = parse_subject(line)
    common = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    old = ROOT.issue("www.example.com", common_name="www.example.com" if common else "", subject=subject)
    assert old.to_cryptography().subject == subject
    assert CertificateRequest.for_renewal(old).to_cryptography().subject == subject


def test_openssl_reads_the_fields() -> None:
    """By another program: field names, order and letters."""
    pem = ROOT.issue("n.example", key="ec-p256", **FIELDS).to_pem()  # type: ignore[call-overload]  # texts all
    said = run("openssl", "x509", "-noout", "-subject", "-nameopt", "RFC2253,-esc_msb,utf8", stdin=pem)
    assert output(said).strip() == f"subject=CN=n.example,{BESIDE}"
