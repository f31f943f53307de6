"""Name constraints and policies: what RFC 5280 says about each kind of name, on both sides of each line."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID, ObjectIdentifier

from chains import NOW, Extension, Made, extension, general_names, intermediate, leaf, name, oid, root, tlv
from mlsssl._validator.validate import validate

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = "www.example.com"


def codes(made: Made, *above: Made, profile: str = "private", host: str | None = None) -> set[str]:
    """The codes of the errors; the last of `above` is the trusted root."""
    report = validate(
        made.certificate(),
        host=host,
        at=NOW,
        trust=[above[-1].certificate()],
        intermediates=[one.certificate() for one in above[:-1]],
        expect_key=False,
        profile=profile,
    )
    return {finding.code for finding in report.errors}


def constrained(permitted: list[x509.GeneralName] | None, excluded: list[x509.GeneralName] | None = None) -> Made:
    return root().with_extension(x509.NameConstraints(permitted, excluded), critical=True)


def mail(text: str) -> x509.GeneralName:
    return x509.RFC822Name(text)


def uri(text: str) -> x509.GeneralName:
    return x509.UniformResourceIdentifier(text)


def network(text: str) -> x509.GeneralName:
    return x509.IPAddress(ipaddress.ip_network(text))


@pytest.mark.parametrize(
    ("subtree", "dns", "allowed"),
    [
        ("example.com", "example.com", True),
        ("example.com", "www.example.com", True),
        ("example.com", "a.b.example.com", True),
        ("EXAMPLE.com", "www.Example.COM", True),
        ("example.com", "badexample.com", False),
        ("example.com", "com", False),
        ("www.example.com", "example.com", False),
        ("example.com", "*.example.com", True),
        ("www.example.com", "*.example.com", False),
        ("", "anything.test", True),
    ],
)
def test_dns_subtrees_permit_their_domain_and_what_is_below(subtree: str, dns: str, allowed: bool) -> None:
    """By whole labels, without case; a wildcard is permitted only when all of it is."""
    above = constrained([x509.DNSName(subtree)])
    assert ("name-constraints-violated" not in codes(leaf(above, dns), above)) is allowed


@pytest.mark.parametrize(
    ("subtree", "dns", "excluded"),
    [
        ("example.com", "www.example.com", True),
        ("example.com", "example.org", False),
        ("bar.example.com", "*.example.com", True),
        ("a.bar.example.com", "*.example.com", False),
        ("bar.example.com", "www.example.com", False),
        ("", "www.example.com", True),
    ],
)
def test_dns_subtrees_exclude_wildcards_that_reach_into_them(subtree: str, dns: str, excluded: bool) -> None:
    """A wildcard stands for names one label longer, and one of them may be the excluded one."""
    above = constrained(None, [x509.DNSName(subtree)])
    assert ("name-constraints-violated" in codes(leaf(above, dns), above)) is excluded


@pytest.mark.parametrize(
    ("subtree", "address", "allowed"),
    [
        ("10.0.0.0/8", "10.255.255.255", True),
        ("10.0.0.0/8", "11.0.0.0", False),
        ("2001:db8::/32", "2001:db8::1", True),
        ("2001:db8::/32", "2001:db9::1", False),
        ("10.0.0.0/8", "2001:db8::1", False),
        ("0.0.0.0/0", "192.0.2.1", True),
    ],
)
def test_address_subtrees_are_networks(subtree: str, address: str, allowed: bool) -> None:
    """An address of the other family is in no subtree of this one."""
    above = constrained([network(subtree)])
    assert ("name-constraints-violated" not in codes(leaf(above, address), above)) is allowed


@pytest.mark.parametrize(
    ("subtree", "address", "allowed"),
    [
        ("root@example.com", "root@example.com", True),
        ("root@example.com", "Root@example.com", False),
        ("root@example.com", "root@EXAMPLE.com", True),
        ("example.com", "any@example.com", True),
        ("example.com", "any@mail.example.com", False),
        (".example.com", "any@mail.example.com", True),
        (".example.com", "any@example.com", False),
    ],
)
def test_mail_subtrees_are_a_box_a_host_or_a_domain(subtree: str, address: str, allowed: bool) -> None:
    """The local part is compared with case, the host without."""
    above = constrained([mail(subtree)])
    made = leaf(above).with_extension(x509.SubjectAlternativeName([x509.DNSName(HOST), mail(address)]))
    assert ("name-constraints-violated" not in codes(made, above)) is allowed


@pytest.mark.parametrize(
    ("name_of", "subtree", "value"),
    [
        (mail, "example.org", "any@example.org."),
        (mail, "example.org", "any@EXAMPLE.ORG."),
        (mail, "example.org", "any@[192.0.2.1]"),
        (uri, "example.org", "https://example.org./"),
        (uri, "example.org", "https://ex%61mple.org/"),
    ],
)
def test_a_host_that_cannot_be_compared_is_never_permitted_and_always_excluded(
    name_of: Callable[[str], x509.GeneralName], subtree: str, value: str
) -> None:
    """A trailing dot or an escape is no way past; the twin is another host, in plain letters."""
    san = x509.SubjectAlternativeName([x509.DNSName(HOST), name_of(value)])
    for above in (constrained([name_of(subtree)]), constrained(None, [name_of(subtree)])):
        assert codes(leaf(above).with_extension(san), above) == {"name-constraints-violated"}
    plain = "any@example.net" if name_of is mail else "https://example.net/"
    above = constrained(None, [name_of(subtree)])
    other = x509.SubjectAlternativeName([x509.DNSName(HOST), name_of(plain)])
    assert codes(leaf(above).with_extension(other), above) == set()


def mailbox(value: bytes) -> x509.GeneralName:
    return x509.OtherName(ObjectIdentifier("1.3.6.1.5.5.7.8.9"), value)


@pytest.mark.parametrize(
    ("value", "host"),
    [
        (tlv(0x0C, "jörg@mail.example.com".encode()), "mail.example.com"),
        (tlv(0x0C, b"any@MAIL.example.com"), "mail.example.com"),
        (tlv(0x0C, "jörg@bücher.example".encode()), "xn--bcher-kva.example"),
        (tlv(0x0C, "jörg@xn--bcher-kva.example".encode()), "xn--bcher-kva.example"),
    ],
)
def test_mail_beyond_ascii_meets_constraints_on_mail(value: bytes, host: str) -> None:
    """RFC 9598 section 6: an SmtpUTF8Mailbox is held against the subtrees of mail, as OpenSSL does."""
    san = x509.SubjectAlternativeName([x509.DNSName(HOST), mailbox(value)])
    for above, expected in (
        (constrained([mail(host)]), set()),
        (constrained([mail("." + host.partition(".")[2])]), set()),
        (constrained(None, [mail("example.org")]), set()),
        (constrained([mail("example.org")]), {"name-constraints-violated"}),
        (constrained(None, [mail(host)]), {"name-constraints-violated"}),
        (constrained([x509.DNSName("example.com")]), set()),
    ):
        assert codes(leaf(above).with_extension(san), above) == expected


@pytest.mark.parametrize(
    "value", [tlv(0x0C), tlv(0x0C, b"no at"), tlv(0x0C, b"\xff@a.b"), tlv(0x16, b"a@a.b"), tlv(0x0C, "a@ü..b".encode())]
)
def test_mail_that_cannot_be_read_is_never_permitted_and_always_excluded(value: bytes) -> None:
    """And does not end the check."""
    san = x509.SubjectAlternativeName([x509.DNSName(HOST), mailbox(value)])
    for above in (constrained([mail("a.b")]), constrained(None, [mail("example.org")])):
        assert codes(leaf(above).with_extension(san), above) == {"name-constraints-violated"}


def test_the_kelvin_sign_in_a_uri_is_no_k() -> None:
    """`urlsplit` gives hosts in small letters, and the small letter of that sign is a k."""
    value = tlv(0x30, tlv(0x82, HOST.encode()), tlv(0x86, "https://ban\u212a.example/".encode()))
    for above in (constrained([uri("bank.example")]), constrained(None, [uri("example.org")])):
        made = leaf(above).with_extension(Extension("2.5.29.17", False, value))
        assert codes(made, above) == {"name-constraints-violated"}


def test_mail_in_the_subject_counts_beside_mail_in_the_san() -> None:
    """OpenSSL looks at both; the twin has the right one in both places."""
    above = constrained([mail("example.com")])
    san = x509.SubjectAlternativeName([x509.DNSName(HOST), mail("any@example.com")])
    for address, expected in (("any@example.com", set()), ("any@example.org", {"name-constraints-violated"})):
        subject = x509.Name([x509.NameAttribute(NameOID.EMAIL_ADDRESS, address)]).public_bytes()
        assert codes(replace(leaf(above), subject=subject).with_extension(san), above) == expected


def test_mail_in_the_subject_counts_when_there_is_none_in_the_san() -> None:
    """RFC 5280 section 4.2.1.10 for certificates of old."""
    above = constrained([mail("example.com")])
    attribute = x509.NameAttribute(NameOID.EMAIL_ADDRESS, "any@example.org")
    made = replace(leaf(above), subject=x509.Name([attribute]).public_bytes())
    assert "name-constraints-violated" in codes(made, above)


@pytest.mark.parametrize(
    ("subtree", "value", "allowed"),
    [
        ("www.example.com", "https://www.example.com/x", True),
        ("example.com", "https://www.example.com/x", False),
        (".example.com", "https://www.example.com:8443/x", True),
        (".example.com", "https://example.com/x", False),
        (".example.com", "https://10.0.0.1/x", False),
        (".example.com", "urn:example:com", False),
    ],
)
def test_uri_subtrees_look_at_the_host(subtree: str, value: str, allowed: bool) -> None:
    """A URI without a host name is refused wherever URIs are constrained."""
    above = constrained([uri(subtree)])
    made = leaf(above).with_extension(x509.SubjectAlternativeName([x509.DNSName(HOST), uri(value)]))
    assert ("name-constraints-violated" not in codes(made, above)) is allowed


def test_directory_subtrees_are_prefixes_compared_by_rfc_5280() -> None:
    """Case and runs of blanks do not matter, the order of the parts does."""
    wanted = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test  Company")])
    above = constrained([x509.DirectoryName(wanted)])
    inside = replace(leaf(above), subject=name("x", ORGANIZATION_NAME="y"))
    assert "name-constraints-violated" in codes(inside, above)
    attributes = [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "TEST company"),
        x509.NameAttribute(NameOID.COMMON_NAME, HOST),
    ]
    assert not codes(replace(leaf(above), subject=x509.Name(attributes).public_bytes()), above)
    backwards = x509.Name(attributes[::-1]).public_bytes()
    assert "name-constraints-violated" in codes(replace(leaf(above), subject=backwards), above)


@pytest.mark.parametrize("blank", [" ", "   ", "\t", "\u00a0", "\u3000"])
@pytest.mark.parametrize("other", ["\x1c", "\x1f", "", "_", "\u200b"])
def test_only_blanks_are_blanks_in_a_name(blank: str, other: str) -> None:
    """RFC 4518 section 2.2; a separator of records is none, and must not make a permitted name of another one."""
    above = constrained(
        [x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test Company")]))]
    )
    for between, allowed in ((blank, True), (other, False)):
        subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, f"Test{between}Company")]).public_bytes()
        assert (not codes(replace(leaf(above), subject=subject), above)) is allowed


def test_what_is_permitted_is_told_with_what_is_not() -> None:
    """The constraint that stopped it, not only the name; of many constraints the first ten."""
    for count, shown in ((2, "('n0.test', 'n1.test')"), (12, "'n9.test' and 2 more)")):
        above = constrained([x509.DNSName(f"n{number}.test") for number in range(count)])
        report = validate(leaf(above).certificate(), at=NOW, trust=[above.certificate()], expect_key=False)
        found = report.filter(code="name-constraints-violated")[0].found
        assert found.startswith(f"'{HOST}' is in no permitted subtree (")
        assert shown in found


def test_self_issued_intermediates_are_exempt_and_other_ones_are_not() -> None:
    """RFC 5280 section 6.1.4 (b): key rollover must stay possible."""
    above = constrained([x509.DNSName("example.com")])
    outside = general_names("other.test")
    rolled = replace(intermediate(above, number=5), subject=above.subject).with_extension(outside)
    assert not codes(leaf(rolled), rolled, above)
    other = intermediate(above, number=5).with_extension(outside)
    assert "name-constraints-violated" in codes(leaf(other), other, above)


def test_the_common_name_is_constrained_where_it_counts_as_a_host() -> None:
    """Else a profile that reads the common name would let it past the constraint."""
    above = constrained([x509.DNSName("example.com")])
    made = replace(leaf(above), subject=name("evil.test")).without(x509.SubjectAlternativeName)
    assert "name-constraints-violated" in codes(made, above, profile="legacy")
    assert "name-constraints-violated" not in codes(made, above, profile="private")


@pytest.mark.parametrize("profile", ["legacy", "procedure"])
@pytest.mark.parametrize(
    ("common", "host", "inside"),
    [
        ("www.evil.test", "www.evil.test", "evil.test"),
        ("www.evil.test.", "www.evil.test", "evil.test"),
        ("WWW.Evil.TEST", "www.evil.test", "evil.test"),
        ("*.evil.test", "www.evil.test", "evil.test"),
        ("*.evil.test", "www.evil.test", "www.evil.test"),
        ("www.b\u00fccher.test", "www.xn--bcher-kva.test", "xn--bcher-kva.test"),
        ("\uff45\uff56\uff49\uff4c.test", "evil.test", "test"),
        ("www\u3002evil\uff0etest", "www.evil.test", "evil.test"),
        ("e_vil.test", "e_vil.test", "test"),
        ("intranet", "intranet", "intranet"),
    ],
)
def test_a_common_name_meets_constraints_as_the_host_it_matches(
    common: str, host: str, inside: str, profile: str
) -> None:
    """Whatever spelling lets it match; the twins are the same name without constraints, and with the right ones."""
    free = root()
    for above, expected in (
        (free, set()),
        (constrained([x509.DNSName(inside)]) if "*" not in common else free, set()),
        (constrained([x509.DNSName("example.com")]), {"name-constraints-violated"}),
        (constrained(None, [x509.DNSName(inside)]), {"name-constraints-violated"}),
    ):
        made = replace(leaf(above), subject=name(common)).without(x509.SubjectAlternativeName)
        assert codes(made, above, profile=profile, host=host) == expected


@pytest.mark.parametrize("common", ["10.0.0.1", "0x0a.0.0.1", "\uff11\uff10.0.0.1", "10.0.0.1."])
def test_a_common_name_that_is_an_address_in_some_spelling_is_constrained_as_one(common: str) -> None:
    """And never matched as a DNS name of the same look, which no constraint on addresses would stop."""
    above = constrained([x509.DNSName("example.com"), network("192.0.2.0/24")])
    made = replace(leaf(above), subject=name(common)).without(x509.SubjectAlternativeName)
    assert "name-constraints-violated" in codes(made, above, profile="legacy", host=common)
    free = root()
    unconstrained = replace(leaf(free), subject=name(common)).without(x509.SubjectAlternativeName)
    assert codes(unconstrained, free, profile="legacy", host=common) == (
        set() if common == "10.0.0.1" else {"name-mismatch"}
    )


@pytest.mark.parametrize(
    ("common", "read"),
    [
        ("evil.test", True),
        ("10.0.0.5", True),
        ("e_vil.test", True),
        ("example.com", False),
        ("intranet", False),
        ("evil.test.", False),
        ("*.evil.test", False),
        ("-x.test", False),
        ("x-.test", False),
        ("a..test", False),
        ("Example Company", False),
        ("evil.test, Inc.", False),
    ],
)
def test_a_common_name_beside_addresses_alone_is_constrained_as_openssl_reads_it(common: str, read: bool) -> None:
    """By its characters, where there is no DNS name in subjectAltName; beside a DNS name it says nothing."""
    above = constrained([x509.DNSName("example.com")])
    expected = {"name-constraints-common-name"} if read else set()
    assert codes(leaf(above, "10.0.0.5", common=common), above, host="10.0.0.5") == expected
    named = leaf(above, "www.example.com", "10.0.0.5", common=common)
    assert codes(named, above, host="10.0.0.5") == set()
    excluding = constrained(None, [x509.DNSName("test")])
    excluded = expected if common.endswith("test") else set()
    assert codes(leaf(excluding, "10.0.0.5", common=common), excluding, host="10.0.0.5") == excluded


def test_a_common_name_that_can_be_no_host_meets_no_constraint() -> None:
    """A person's or a company's name neither matches nor breaks anything."""
    above = constrained([x509.DNSName("example.com")])
    made = replace(leaf(above), subject=name("Example Company")).without(x509.SubjectAlternativeName)
    assert codes(made, above, profile="legacy") == set()
    assert codes(made, above, profile="legacy", host="example.com") == {"name-mismatch"}


@pytest.mark.parametrize(
    ("dns", "permitted", "excluded"),
    [
        ("corp.test", False, False),
        ("a.corp.test", True, True),
        ("*.corp.test", True, True),
        ("xcorp.test", False, False),
    ],
)
def test_a_leading_dot_means_the_names_below(dns: str, permitted: bool, excluded: bool) -> None:
    """RFC 5280 has no such form; OpenSSL, Go and Firefox take it for the names below, without the domain itself."""
    below = x509.DNSName(".corp.test")
    for above, violated in ((constrained([below]), not permitted), (constrained(None, [below]), excluded)):
        assert ("name-constraints-violated" in codes(leaf(above, dns), above)) is violated


@pytest.mark.parametrize("subtree", ["corp.test.", "..corp.test", "corp test", "-", "a" * 300])
def test_a_subtree_that_is_no_domain_permits_nothing_and_excludes_everything(subtree: str) -> None:
    """Nobody can say what its maker meant; an excluded name must not get through by that."""
    for above in (constrained([x509.DNSName(subtree)]), constrained(None, [x509.DNSName(subtree)])):
        assert "name-constraints-violated" in codes(leaf(above, "a.corp.test"), above)


# Policies ----------------------------------------------------------------------------------------------------------

A, B, ANY = "1.3.6.1.4.1.99999.1", "1.3.6.1.4.1.99999.2", "2.5.29.32.0"


def policies(*oids: str) -> Extension:
    return extension(x509.CertificatePolicies([x509.PolicyInformation(ObjectIdentifier(o), None) for o in oids]))


def demand(skip: int = 0) -> Extension:
    return extension(x509.PolicyConstraints(skip, None), critical=True)


def mapping(issuer: str, subject: str) -> Extension:
    return Extension("2.5.29.33", True, tlv(0x30, tlv(0x30, oid(issuer), oid(subject))))


def chain(root_parts: list[Extension], middle: list[Extension], end: list[Extension]) -> set[str]:
    above = root()
    for part in root_parts:
        above = above.with_extension(part)
    between = intermediate(above)
    for part in middle:
        between = between.with_extension(part)
    made = leaf(between)
    for part in end:
        made = made.with_extension(part)
    return codes(made, between, above)


@pytest.mark.parametrize(
    ("middle", "end", "valid"),
    [
        ([demand(), policies(A)], [policies(A)], True),
        ([demand(), policies(A, B)], [policies(B)], True),
        ([demand(), policies(A)], [policies(B)], False),
        ([demand(), policies(A)], [], False),
        ([demand()], [policies(A)], False),
        ([demand(), policies(ANY)], [policies(A)], True),
        ([demand(), policies(A)], [policies(ANY)], True),
        ([demand(1), policies(A)], [policies(B)], False),
        ([demand(5), policies(A)], [policies(B)], True),
        ([policies(A)], [policies(B)], True),
        ([demand(), policies(A), mapping(A, B)], [policies(B)], True),
        ([demand(), policies(A), mapping(A, B)], [policies(A)], False),
        ([demand(), policies(ANY), extension(x509.InhibitAnyPolicy(0), critical=True)], [policies(A)], True),
        ([demand(), policies(A), extension(x509.InhibitAnyPolicy(0), critical=True)], [policies(ANY)], False),
    ],
)
def test_a_demanded_policy_has_to_be_there(middle: list[Extension], end: list[Extension], valid: bool) -> None:
    """requireExplicitPolicy, anyPolicy, inhibitAnyPolicy and mappings, as RFC 5280 section 6.1 has them."""
    assert chain([], middle, end) == (set() if valid else {"policy-required"})
